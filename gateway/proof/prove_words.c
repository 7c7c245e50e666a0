/* SPDX-License-Identifier: GPL-2.0-or-later */
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
      (const struct flow **)arena_memdup(words->arena, (const void *)flows.flows, flows.count * sizeof(*copy));
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

bool words_narrow(struct words *words, uint32_t value, struct flow_list flows, bool *ret_emptied) {
  *ret_emptied = false;
  struct word *word = words_find(words, value);
  if (word == NULL)
    return add(words, value, flows);
  size_t kept = 0, before = word->flow_count;
  for (size_t i = 0; i < before; i++)
    if (contains(flows, word->flows[i]))
      word->flows[kept++] = word->flows[i];
  word->flow_count = kept;
  *ret_emptied = before != 0 && kept == 0;
  return true;
}

static bool joins(const struct flow *flow, zone_index zone, zone_index other) {
  if (other == ZONE_NONE)
    return flow->from_zone == zone || flow->to_zone == zone;
  return (flow->from_zone == zone && flow->to_zone == other) || (flow->from_zone == other && flow->to_zone == zone);
}

diagram words_in_force(const struct prover *prover, struct bench *bench, zone_index zone, zone_index other) {
  const struct words *words = &prover->words;
  uint8_t(*bytes)[4] = arena_array(bench->arena, words->count + 1, 4);
  struct diagram_box *boxes = ARENA_ARRAY(bench->arena, words->count + 1, struct diagram_box);
  size_t count = 0;
  for (size_t i = 0; bytes != NULL && boxes != NULL && i < words->count; i++) {
    const struct word *word = &words->items[i];
    bool in_force = false;
    for (size_t j = 0; j < word->flow_count && !in_force; j++)
      in_force = prover->in_force[word->flows[j]->index] && joins(word->flows[j], zone, other);
    if (!in_force)
      continue;
    for (size_t j = 0; j < 4; j++)
      bytes[count][j] = (uint8_t)(word->value >> (24 - 8 * j));
    boxes[count] = (struct diagram_box){bytes[count], bytes[count], 1};
    count++;
  }
  struct diagram_field field = space_field(bench->space, FIELD_MARK, 0);
  return diagram_boxes(bench->store, &field, 1, boxes, count, 0, NULL, NULL);
}
