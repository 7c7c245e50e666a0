/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rules/builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"

enum { COMMENT_MAX = 120, HASH_DIGITS = 8 };

void builder_init(struct builder *builder, struct arena *arena) {
  *builder = (struct builder){.arena = arena};
}

const char *builder_comment(struct builder *builder, const char *text) {
  if (text == NULL || *text == '\0')
    return NULL;
  size_t length = strlen(text);
  if (length > COMMENT_MAX) {
    length = COMMENT_MAX;
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
      length--;
  }
  char *copy = arena_strndup(builder->arena, text, length);
  if (copy == NULL)
    return NULL;
  for (char *byte = copy; *byte != '\0'; byte++)
    if (*byte == '"')
      *byte = '\'';
    else if ((unsigned char)*byte < 0x20 || *byte == 0x7f)
      *byte = ' ';
  return copy;
}

/* ---- sets ---- */

static size_t padded(size_t size) {
  return (size + 3) & ~(size_t)3;
}

/* A draft to write into when memory ran out; it is never read. */
static void *spare(struct builder *builder, void *draft, size_t size) {
  builder->failed = true;
  memset(draft, 0, size);
  return draft;
}

struct set_draft *builder_set(struct builder *builder, const char *name, enum map_data data,
                              const enum field_type *fields) {
  struct set_draft *draft = ARENA_NEW(builder->arena, struct set_draft);
  if (draft == NULL || name == NULL ||
      arena_grow(builder->arena, (void **)&builder->sets, builder->set_count, &builder->set_capacity,
                 sizeof(struct set_draft *)) < 0)
    return spare(builder, &builder->lost_set, sizeof builder->lost_set);
  builder->sets[builder->set_count++] = draft;
  draft->set.name = name;
  draft->set.data = data;
  for (; fields[draft->set.field_count] != KEY_FIELD_COUNT_; draft->set.field_count++) {
    draft->set.fields[draft->set.field_count] = fields[draft->set.field_count];
    draft->set.key_size += padded(field_size(fields[draft->set.field_count]));
  }
  if (draft->set.field_count == 1)
    draft->set.key_size = field_size(fields[0]);
  return draft;
}

struct element *builder_element(struct builder *builder, struct set_draft *draft) {
  if (builder->failed || arena_grow(builder->arena, (void **)&draft->set.elements, draft->set.element_count,
                                    &draft->capacity, sizeof *draft->set.elements) < 0)
    return spare(builder, &builder->lost_element, sizeof builder->lost_element);
  struct element *element = &draft->set.elements[draft->set.element_count++];
  *element = (struct element){.expires = INSTANT_NEVER};
  return element;
}

uint32_t builder_room(size_t count) {
  uint32_t room = 256;
  while (room / 2 < count && room < UINT32_C(1) << 30)
    room *= 4;
  return room;
}

void key_write(const struct set *set, uint8_t key[static RULESET_DATA_MAX], size_t index, const void *bytes) {
  size_t at = 0;
  if (index >= set->field_count) /* the spare draft of a builder without memory */
    return;
  for (size_t i = 0; i < index; i++)
    at += padded(field_size(set->fields[i]));
  memcpy(key + at, bytes, field_size(set->fields[index]));
}

void builder_add_ranges(struct builder *builder, struct set_draft *draft, const struct address_set *addresses,
                        enum address_family family, const char *comment) {
  for (size_t i = 0; i < addresses->count; i++) {
    const struct address_range *range = &addresses->ranges[i];
    if (range->first.family != family)
      continue;
    struct element *element = builder_element(builder, draft);
    memcpy(element->key, range->first.bytes, address_length(family));
    memcpy(element->key_end, range->last.bytes, address_length(family));
    element->comment = comment;
  }
}

static int compare_elements(const void *left, const void *right, void *set) {
  return element_compare_keys(set, left, right);
}

static bool elements_sorted(const struct set *set) {
  for (size_t i = 1; i < set->element_count; i++)
    if (element_compare_keys(set, &set->elements[i - 1], &set->elements[i]) > 0)
      return false;
  return true;
}

/* name-9c3e01ab */
static const char *name_with_hash(struct builder *builder, const char *name, const void *content, size_t length) {
  char text[SHA256_TEXT_SIZE];
  sha256_text(content, length, text);
  const char *full = arena_printf(builder->arena, "%s-%.*s", name, (int)HASH_DIGITS, text);
  return full == NULL ? "" : full;
}

/* Everything that the kernel stores for the set, as bytes. */
static const char *hash_set(struct builder *builder, const struct set *set) {
  char *content = NULL;
  size_t length = 0;
  FILE *stream = open_memstream(&content, &length);
  if (stream == NULL) {
    builder->failed = true;
    return "";
  }
  fputs(set->name, stream);
  for (size_t i = 0; i < set->element_count; i++) {
    const struct element *element = &set->elements[i];
    fwrite(element->key, 1, set->key_size, stream);
    fwrite(element->key_end, 1, set->key_size, stream);
    fwrite(&element->mark, 1, sizeof element->mark, stream);
    if (element->verdict.code != VERDICT_NONE)
      fprintf(stream, "%d %s", (int)element->verdict.code,
              element->verdict.chain == NULL ? "" : element->verdict.chain);
    fputs(element->comment == NULL ? "" : element->comment, stream);
    fputc('\n', stream);
  }
  if (fclose(stream) != 0) {
    builder->failed = true;
    free(content);
    return "";
  }
  const char *name = name_with_hash(builder, set->name, content, length);
  free(content);
  return name;
}

/* Bytes of one element as they go into the digest of its set, at most. */
static size_t element_room(const struct element *element) {
  size_t chain = element->verdict.chain == NULL ? 0 : strlen(element->verdict.chain);
  size_t comment = element->comment == NULL ? 0 : strlen(element->comment);
  return sizeof *element + chain + 1 + comment + 1;
}

static size_t write_bytes(uint8_t *to, size_t at, const void *data, size_t size) {
  memcpy(to + at, data, size);
  return at + size;
}

static size_t write_element(const struct set *set, const struct element *element, uint8_t *to) {
  const char *comment = element->comment == NULL ? "" : element->comment;
  const char *chain = element->verdict.chain == NULL ? "" : element->verdict.chain;
  uint32_t code = (uint32_t)element->verdict.code;
  size_t at = write_bytes(to, 0, element->key, set->key_size);
  at = write_bytes(to, at, element->key_end, set->key_size);
  at = write_bytes(to, at, &element->mark, sizeof element->mark);
  at = write_bytes(to, at, &element->expires.seconds, sizeof element->expires.seconds);
  at = write_bytes(to, at, &code, sizeof code);
  at = write_bytes(to, at, chain, strlen(chain) + 1);
  return write_bytes(to, at, comment, strlen(comment) + 1);
}

/* Without memory the set is not sealed, and is compared element by element. */
static void digest_set(struct set *set) {
  size_t room = 0, length = 0;
  uint8_t *content = NULL, digest[SHA256_SIZE];
  for (size_t i = 0; i < set->element_count; i++) {
    size_t needed = element_room(&set->elements[i]);
    if (content == NULL || room - length < needed) {
      room = room * 2 + needed + 4096;
      uint8_t *larger = realloc(content, room);
      if (larger == NULL) {
        free(content);
        return;
      }
      content = larger;
    }
    length += write_element(set, &set->elements[i], content + length);
  }
  sha256(content == NULL ? (const uint8_t *)"" : content, length, digest);
  free(content);
  memcpy(set->digest, digest, sizeof set->digest);
  set->sealed = true;
}

/* A fixed set that is made twice is one. */
static void drop_double(struct builder *builder, const struct set_draft *draft) {
  size_t at = builder->set_count;
  bool is_double = false;
  for (size_t i = 0; i < builder->set_count; i++)
    if (builder->sets[i] == draft)
      at = i;
    else if (strcmp(builder->sets[i]->set.name, draft->set.name) == 0)
      is_double = true;
  if (is_double && at < builder->set_count)
    builder->sets[at] = builder->sets[--builder->set_count];
}

const char *builder_seal_set(struct builder *builder, struct set_draft *draft) {
  struct set *set = &draft->set;
  if (builder->failed)
    return "";
  if (!elements_sorted(set))
    qsort_r(set->elements, set->element_count, sizeof *set->elements, compare_elements, set);
  if (set->interval || draft->fixed)
    set->name = hash_set(builder, set);
  if (draft->fixed)
    drop_double(builder, draft);
  if (!set->interval)
    for (size_t i = 0; i < set->element_count; i++)
      memcpy(set->elements[i].key_end, set->elements[i].key, sizeof set->elements[i].key);
  digest_set(set);
  return set->name;
}

/* ---- chains and counters ---- */

struct chain_draft *builder_chain(struct builder *builder, const char *name, const char *comment) {
  struct chain_draft *draft = ARENA_NEW(builder->arena, struct chain_draft);
  if (draft == NULL || name == NULL ||
      arena_grow(builder->arena, (void **)&builder->chains, builder->chain_count, &builder->chain_capacity,
                 sizeof(struct chain_draft *)) < 0)
    return spare(builder, &builder->lost_chain, sizeof builder->lost_chain);
  builder->chains[builder->chain_count++] = draft;
  draft->chain.name = name;
  draft->chain.comment = builder_comment(builder, comment);
  return draft;
}

const char *builder_seal_chain(struct builder *builder, struct chain_draft *draft) {
  struct chain *chain = &draft->chain;
  char *content = NULL;
  size_t length = 0;
  FILE *stream = builder->failed ? NULL : open_memstream(&content, &length);
  if (stream == NULL) {
    builder->failed = true;
    return "";
  }
  fprintf(stream, "%s\n%s\n", chain->name, chain->comment == NULL ? "" : chain->comment);
  for (size_t i = 0; i < chain->rule_count; i++)
    fprintf(stream, "%s\n%s\n", chain->rules[i].text, chain->rules[i].comment == NULL ? "" : chain->rules[i].comment);
  if (fclose(stream) != 0) {
    builder->failed = true;
  } else {
    uint8_t digest[SHA256_SIZE];
    sha256(content, length, digest);
    memcpy(chain->digest, digest, sizeof chain->digest);
    chain->sealed = true;
    chain->name = name_with_hash(builder, chain->name, content, length);
  }
  free(content);
  return chain->name;
}

const char *builder_counter(struct builder *builder, const char *name) {
  if (builder->failed || name == NULL ||
      arena_grow(builder->arena, (void **)&builder->counters, builder->counter_count, &builder->counter_capacity,
                 sizeof *builder->counters) < 0) {
    builder->failed = true;
    return "";
  }
  builder->counters[builder->counter_count++] = (struct counter){.name = name};
  return name;
}

/* ---- the whole ---- */

static int compare_sets(const void *left, const void *right) {
  const struct set *first = left, *second = right;
  return strcmp(first->name, second->name);
}

static int compare_chains(const void *left, const void *right) {
  const struct chain *first = left, *second = right;
  return strcmp(first->name, second->name);
}

static int compare_counters(const void *left, const void *right) {
  const struct counter *first = left, *second = right;
  return strcmp(first->name, second->name);
}

static void finish_counters(struct builder *builder, struct ruleset *ruleset) {
  if (builder->counter_count == 0)
    return;
  qsort(builder->counters, builder->counter_count, sizeof *builder->counters, compare_counters);
  size_t kept = 1;
  for (size_t i = 1; i < builder->counter_count; i++)
    if (strcmp(builder->counters[i].name, builder->counters[kept - 1].name) != 0)
      builder->counters[kept++] = builder->counters[i];
  ruleset->counters = builder->counters;
  ruleset->counter_count = kept;
}

struct ruleset *builder_finish(struct builder *builder) {
  struct ruleset *ruleset = ARENA_NEW(builder->arena, struct ruleset);
  if (ruleset == NULL || builder->failed)
    return NULL;
  ruleset->table = "kido";
  ruleset->present = true;
  ruleset->sets = ARENA_ARRAY(builder->arena, builder->set_count, struct set);
  ruleset->chains = ARENA_ARRAY(builder->arena, builder->chain_count, struct chain);
  if (arena_failed(builder->arena))
    return NULL;
  for (; ruleset->set_count < builder->set_count; ruleset->set_count++)
    ruleset->sets[ruleset->set_count] = builder->sets[ruleset->set_count]->set;
  for (; ruleset->chain_count < builder->chain_count; ruleset->chain_count++)
    ruleset->chains[ruleset->chain_count] = builder->chains[ruleset->chain_count]->chain;
  if (ruleset->set_count > 0)
    qsort(ruleset->sets, ruleset->set_count, sizeof *ruleset->sets, compare_sets);
  if (ruleset->chain_count > 0)
    qsort(ruleset->chains, ruleset->chain_count, sizeof *ruleset->chains, compare_chains);
  finish_counters(builder, ruleset);
  return ruleset;
}
