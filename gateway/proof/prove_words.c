/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "proof/prove_parts.h"

/*
 * What a mark stands for is found out: every connection that may bear a word was stamped on a way through the rules;
 * the flows that cover all of these connections are what the word can stand for. A word whose connections no flow
 * covers together stands for none, and must never open the gate.
 */

static size_t slot_of(const struct words *words, uint32_t value) {
  return (size_t)((value * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (words->slot_count - 1);
}

struct word *words_find(const struct words *words, uint32_t value) {
  if (words->slot_count == 0)
    return NULL;
  for (size_t slot = slot_of(words, value);; slot = (slot + 1) & (words->slot_count - 1)) {
    uint32_t index = words->slots[slot];
    if (index == 0)
      return NULL;
    if (words->items[index - 1].value == value)
      return &words->items[index - 1];
  }
}

static void enter(struct words *words, size_t index) {
  size_t slot = slot_of(words, words->items[index].value);
  while (words->slots[slot] != 0)
    slot = (slot + 1) & (words->slot_count - 1);
  words->slots[slot] = (uint32_t)index + 1;
}

static bool make_room(struct words *words) {
  if (arena_grow(words->arena, (void **)&words->items, words->count, &words->capacity, sizeof(words->items[0])) != 0)
    return false;
  if ((words->count + 1) * 2 <= words->slot_count)
    return true;
  size_t count = words->slot_count == 0 ? 64 : words->slot_count * 2;
  words->slots = ARENA_ARRAY(words->arena, count, uint32_t);
  words->slot_count = words->slots != NULL ? count : 0;
  for (size_t i = 0; words->slots != NULL && i < words->count; i++)
    enter(words, i);
  return words->slots != NULL;
}

static bool add(struct words *words, uint32_t value, struct flow_list flows) {
  if (!make_room(words))
    return false;
  const struct flow **copy =
      (const struct flow **)arena_memdup(words->arena, (const void *)flows.flows, flows.count * sizeof(void *));
  if (copy == NULL && flows.count != 0)
    return false;
  words->items[words->count] = (struct word){.value = value, .flows = copy, .flow_count = flows.count};
  enter(words, words->count++);
  return true;
}

static bool contains(struct flow_list flows, const struct flow *flow) {
  for (size_t i = 0; i < flows.count; i++)
    if (flows.flows[i] == flow)
      return true;
  return false;
}

/* ---- what can be taken back ---- */

struct words_change {
  size_t index;
  const struct flow **flows; /* as they were */
  size_t flow_count;
  bool accepted;
};

struct words_past {
  size_t count, rewrite_count; /* of the words */
  struct words_change *changes;
  size_t change_count, change_capacity;
};

void words_remember(struct words *words) {
  words->past = ARENA_NEW(words->arena, struct words_past);
  if (words->past != NULL)
    *words->past = (struct words_past){.count = words->count, .rewrite_count = words->rewrite_count};
}

static bool note_change(struct words *words, const struct word *word) {
  struct words_past *past = words->past;
  size_t index = (size_t)(word - words->items);
  if (past == NULL || index >= past->count)
    return true;
  if (arena_grow(words->arena, (void **)&past->changes, past->change_count, &past->change_capacity,
                 sizeof(past->changes[0])) != 0)
    return false;
  const struct flow **copy =
      (const struct flow **)arena_memdup(words->arena, (const void *)word->flows, word->flow_count * sizeof(void *));
  if (copy == NULL && word->flow_count != 0)
    return false;
  past->changes[past->change_count++] = (struct words_change){index, copy, word->flow_count, word->accepted};
  return true;
}

void words_restore(struct words *words) {
  struct words_past *past = words->past;
  if (past == NULL)
    return;
  for (size_t i = past->change_count; i-- > 0;) {
    struct word *word = &words->items[past->changes[i].index];
    word->flows = past->changes[i].flows;
    word->flow_count = past->changes[i].flow_count;
    word->accepted = past->changes[i].accepted;
  }
  words->count = past->count;
  words->rewrite_count = past->rewrite_count;
  if (words->slot_count != 0)
    memset(words->slots, 0, words->slot_count * sizeof(words->slots[0]));
  for (size_t i = 0; i < words->count; i++)
    enter(words, i);
  words->past = NULL;
}

void words_forget(struct words *words) {
  words->past = NULL;
}

void words_accept(struct words *words, struct word *word) {
  if (!word->accepted && note_change(words, word))
    word->accepted = true;
}

/* ---- narrowing ---- */

static bool covers_all(const struct word *word, struct flow_list flows) {
  for (size_t i = 0; i < word->flow_count; i++)
    if (!contains(flows, word->flows[i]))
      return false;
  return true;
}

bool words_narrow(struct words *words, uint32_t value, struct flow_list flows, bool *ret_emptied) {
  *ret_emptied = false;
  struct word *word = words_find(words, value);
  if (word == NULL)
    return add(words, value, flows);
  if (covers_all(word, flows))
    return true;
  if (!note_change(words, word))
    return false;
  size_t kept = 0, before = word->flow_count;
  for (size_t i = 0; i < before; i++)
    if (contains(flows, word->flows[i]))
      word->flows[kept++] = word->flows[i];
  word->flow_count = kept;
  *ret_emptied = before != 0 && kept == 0;
  return true;
}

bool words_know_rewrite(const struct words *words, struct mark_word rewrite) {
  for (size_t i = 0; i < words->rewrite_count; i++)
    if (words->rewrites[i].keep == rewrite.keep && words->rewrites[i].flip == rewrite.flip)
      return true;
  return false;
}

void words_note_rewrite(struct words *words, struct mark_word rewrite) {
  if (words_know_rewrite(words, rewrite))
    return;
  if (words->rewrite_count < sizeof(words->rewrites) / sizeof(words->rewrites[0]))
    words->rewrites[words->rewrite_count++] = rewrite;
}

static bool joins(const struct flow *flow, zone_index zone, zone_index other) {
  if (other == ZONE_NONE)
    return flow->from_zone == zone || flow->to_zone == zone;
  return (flow->from_zone == zone && flow->to_zone == other) || (flow->from_zone == other && flow->to_zone == zone);
}

/* The words of a set that is being listed, four bytes each. */
struct word_list {
  struct arena *arena;
  uint32_t *values;
  size_t count, capacity;
};

static void list_word(struct word_list *list, uint32_t value) {
  if (arena_grow(list->arena, (void **)&list->values, list->count, &list->capacity, sizeof(value)) == 0)
    list->values[list->count++] = value;
}

enum { LOOSE_BITS_MOST = 4 };

bool words_only_loosens(struct mark_word rewrite) {
  return rewrite.flip == 0 && __builtin_popcount(~rewrite.keep) <= LOOSE_BITS_MOST;
}

/* What a rule turns into this word by taking away a few bits stands for the same, also where nothing that is stamped
 * now bears it (a half-open connection, for flows that TCP has no part in). Not where it turns bits over: from what a
 * flow of long ago may have left behind, that would make any word there is. */
static void list_origins(struct word_list *list, uint32_t value, struct mark_word rewrite) {
  uint32_t loose = ~rewrite.keep;
  if (!words_only_loosens(rewrite) || (value & loose) != 0)
    return;
  for (uint32_t bits = loose;; bits = (bits - 1) & loose) { /* every part of the loose bits */
    list_word(list, value | bits);
    if (bits == 0)
      return;
  }
}

/* Whether a flow's connections bear the word by its documented identity: as it is, or with the few bits that a rule
 * takes away. What else is found to stand for the flow now may have stood for another before, and connections last. */
static bool is_identity(const struct prover *prover, uint32_t value, const struct flow *flow) {
  const uint32_t *identities = prover->question->identities;
  if (identities == NULL || value == identities[flow->index])
    return true;
  for (size_t i = 0; i < prover->words.rewrite_count; i++) {
    struct mark_word rewrite = prover->words.rewrites[i];
    if (words_only_loosens(rewrite) && (value & rewrite.keep) == identities[flow->index])
      return true;
  }
  return false;
}

static bool stands_for_force(const struct prover *prover, const struct word *word, zone_index zone, zone_index other) {
  for (size_t i = 0; i < word->flow_count; i++)
    if (prover->in_force[word->flows[i]->index] && joins(word->flows[i], zone, other) &&
        is_identity(prover, word->value, word->flows[i]))
      return true;
  return false;
}

static void list_with_origins(struct word_list *list, const struct words *words, uint32_t value) {
  list_word(list, value);
  for (size_t i = 0; i < words->rewrite_count; i++)
    list_origins(list, value, words->rewrites[i]);
}

/* Marks of flows that no rule writes now, since other flows cover all of theirs. */
static void list_identities(const struct prover *prover, struct word_list *list, zone_index zone, zone_index other) {
  const struct proof_question *question = prover->question;
  for (size_t i = 0; question->identities != NULL && i < question->policy->flow_count; i++)
    if (prover->in_force[i] && joins(&question->policy->flows[i], zone, other) &&
        words_find(&prover->words, question->identities[i]) == NULL)
      list_with_origins(list, &prover->words, question->identities[i]);
}

static int word_order(const void *left, const void *right) {
  uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
  return (a > b) - (a < b);
}

bool identities_have(const struct prover *prover, uint32_t value) {
  return prover->sorted_identities != NULL &&
         bsearch(&value, prover->sorted_identities, prover->question->policy->flow_count, sizeof(value), word_order) !=
             NULL;
}

bool identities_sort(struct prover *prover) {
  const struct proof_question *question = prover->question;
  size_t count = question->policy->flow_count;
  if (question->identities == NULL || count == 0)
    return true;
  uint32_t *sorted = arena_memdup(prover->arena, question->identities, count * sizeof(*sorted));
  if (sorted == NULL)
    return false;
  qsort(sorted, count, sizeof(*sorted), word_order);
  prover->sorted_identities = sorted;
  return true;
}

bool words_add_identities(struct prover *prover) {
  const struct proof_question *question = prover->question;
  for (size_t i = 0; question->identities != NULL && i < question->policy->flow_count; i++) {
    const struct flow *flow = &question->policy->flows[i];
    bool emptied;
    if (prover->in_force[i] && words_find(&prover->words, question->identities[i]) == NULL &&
        !words_narrow(&prover->words, question->identities[i], (struct flow_list){&flow, 1}, &emptied))
      return false;
  }
  return true;
}

static diagram draw_words(struct bench *bench, const struct word_list *list) {
  uint8_t(*bytes)[4] = arena_array(bench->arena, list->count + 1, 4);
  struct diagram_box *boxes = ARENA_ARRAY(bench->arena, list->count + 1, struct diagram_box);
  if (bytes == NULL || boxes == NULL)
    return DIAGRAM_NONE;
  for (size_t i = 0; i < list->count; i++) {
    for (size_t j = 0; j < 4; j++)
      bytes[i][j] = (uint8_t)(list->values[i] >> (24 - 8 * j));
    boxes[i] = (struct diagram_box){bytes[i], bytes[i], 1};
  }
  struct diagram_field field = space_field(bench->space, FIELD_MARK, 0);
  return diagram_boxes(bench->store, &field, 1, boxes, list->count, 0, NULL, NULL);
}

/* ---- by classes ---- */

static bool is_listed(const struct word_list *list, uint32_t value) {
  return list->count != 0 && bsearch(&value, list->values, list->count, sizeof(value), word_order) != NULL;
}

/* Whether all words with these bits are listed; few bits may be free. */
static bool all_listed(void *context, const uint8_t *bits) {
  const struct word_list *list = context;
  uint32_t value = 0, loose = 0;
  for (unsigned i = 0; i < 32; i++) {
    value |= (uint32_t)(bits[i] == 1) << (31 - i);
    loose |= (uint32_t)(bits[i] == CLASS_BIT_FREE) << (31 - i);
  }
  if (__builtin_popcount(loose) > LOOSE_BITS_MOST)
    return false;
  for (uint32_t part = loose;; part = (part - 1) & loose) {
    if (!is_listed(list, value | part))
      return false;
    if (part == 0)
      return true;
  }
}

/* No more than the listed words: what passes must be among them, so fewer are only harder to pass. */
static diagram draw_words_by_classes(struct bench *bench, struct word_list *list) {
  struct diagram_field field = space_field(bench->space, FIELD_MARK, 0);
  if (list->count != 0)
    qsort(list->values, list->count, sizeof(list->values[0]), word_order);
  return classes_within(bench->classes, &field, all_listed, list);
}

diagram words_in_force(const struct prover *prover, struct bench *bench, zone_index zone, zone_index other) {
  const struct words *words = &prover->words;
  struct word_list list = {.arena = bench->arena};
  for (size_t i = 0; i < words->count; i++) {
    if (!stands_for_force(prover, &words->items[i], zone, other))
      continue;
    list_with_origins(&list, words, words->items[i].value);
  }
  list_identities(prover, &list, zone, other);
  if (arena_failed(bench->arena))
    return DIAGRAM_NONE;
  return bench->classes != NULL ? draw_words_by_classes(bench, &list) : draw_words(bench, &list);
}
