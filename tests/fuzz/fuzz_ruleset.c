/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "live_dump.h"
#include "proof/decode.h"
#include "proof/live.h"
#include "proof/snapshot.h"

/*
 * What a kernel might say of its ruleset: four bytes of generation and any bytes as messages. Whatever they are: the
 * same bytes mean the same twice; there is a node for each message; what is not marked as not understood keeps what
 * live.h promises. The same input is also read as a recorded file.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMORY_LIMIT = 64 * 1024 * 1024 };

static void must(bool holds) {
  if (!holds)
    abort();
}

/* ---- nothing is dropped ---- */

static size_t messages_of(const struct snapshot *snapshot, unsigned type) {
  size_t count = 0;
  struct nlmsghdr header;
  for (size_t at = 0; at < snapshot->length; at += NLMSG_ALIGN((size_t)header.nlmsg_len)) {
    memcpy(&header, snapshot->messages + at, sizeof header);
    count += header.nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | type);
  }
  return count;
}

static void check_counts(const struct live_ruleset *ruleset, const struct snapshot *snapshot) {
  size_t chains = 0, rules = 0, sets = 0, objects = 0, flowtables = 0;
  for (size_t i = 0; i < ruleset->table_count; i++) {
    const struct live_table *table = &ruleset->tables[i];
    chains += table->chain_count;
    sets += table->set_count;
    objects += table->object_count;
    flowtables += table->flowtable_count;
    for (size_t j = 0; j < table->chain_count; j++)
      rules += table->chains[j].rule_count;
  }
  must(ruleset->table_count == messages_of(snapshot, NFT_MSG_NEWTABLE));
  must(chains == messages_of(snapshot, NFT_MSG_NEWCHAIN));
  must(rules == messages_of(snapshot, NFT_MSG_NEWRULE));
  must(sets == messages_of(snapshot, NFT_MSG_NEWSET));
  must(objects == messages_of(snapshot, NFT_MSG_NEWOBJ));
  must(flowtables == messages_of(snapshot, NFT_MSG_NEWFLOWTABLE));
}

/* ---- what is understood is as promised ---- */

static bool within(unsigned start, unsigned length) {
  return start >= 16 && start <= LIVE_REGISTER_BYTES && length <= LIVE_REGISTER_BYTES - start;
}

static void check_expression(const struct live_expression *expression) {
  must(expression->kind < LIVE_KIND_COUNT_ && expression->name != NULL);
  if (expression->unmodelled != NULL)
    return;
  must(!expression->has_destination || within(expression->destination, expression->length));
  switch (expression->kind) {
  case LIVE_COMPARE:
    must(within(expression->source, expression->data_length) && expression->data_length > 0);
    break;
  case LIVE_RANGE:
    must(within(expression->source, expression->data_length) && expression->data_length == expression->data_to_length);
    break;
  case LIVE_LOOKUP:
  case LIVE_DYNSET:
    must(expression->set != NULL && within(expression->source, expression->set->key_length));
    break;
  case LIVE_IMMEDIATE:
    must(expression->is_verdict != (expression->data != NULL));
    break;
  case LIVE_META_SET:
  case LIVE_CT_SET:
  case LIVE_PAYLOAD_SET:
  case LIVE_BITWISE:
  case LIVE_BYTEORDER:
    must(within(expression->source, expression->length));
    break;
  default:
    break;
  }
}

static void check_set(const struct live_set *set) {
  if (set->unmodelled != NULL)
    return;
  must(set->key_length > 0 && set->key_length <= 64 && set->field_count > 0 && set->field_count <= 16);
  bool line = set->interval && set->field_count == 1;
  for (size_t i = 0; i < set->element_count; i++) {
    const struct live_element *element = &set->elements[i];
    must(element->unmodelled == NULL && element->first != NULL && element->last != NULL);
    must((element->data != NULL) == (set->data_kind == LIVE_VALUES));
    must((element->object != NULL) == (set->data_kind == LIVE_OBJECTS));
    must(!line || memcmp(element->first, element->last, set->key_length) <= 0);
    must(!line || i == 0 || memcmp(element[-1].last, element->first, set->key_length) < 0);
  }
}

static void check_table(const struct live_table *table) {
  for (size_t i = 0; i < table->set_count; i++)
    check_set(&table->sets[i]);
  for (size_t i = 0; i < table->chain_count; i++)
    for (size_t j = 0; j < table->chains[i].rule_count; j++)
      for (size_t k = 0; k < table->chains[i].rules[j].expression_count; k++)
        check_expression(&table->chains[i].rules[j].expressions[k]);
}

/* ---- the input ---- */

static char *dump(const struct live_ruleset *ruleset, struct arena *arena) {
  char *text = NULL;
  size_t length = 0;
  FILE *stream = open_memstream(&text, &length);
  must(stream != NULL);
  live_dump(stream, ruleset, arena);
  fclose(stream);
  return text;
}

static void decode_twice(const struct snapshot *snapshot, struct arena *arena) {
  struct live_ruleset *first = NULL, *second = NULL;
  struct error error = {0};
  int status = decode_ruleset(snapshot, arena, &first, &error);
  must(status == 0 || error.code == -status);
  if (status < 0)
    return;
  for (size_t i = 0; i < first->table_count; i++)
    check_table(&first->tables[i]);
  check_counts(first, snapshot);
  must(decode_ruleset(snapshot, arena, &second, &error) == 0 || arena_failed(arena));
  if (arena_failed(arena))
    return;
  char *one = dump(first, arena), *other = dump(second, arena);
  must(arena_failed(arena) || strcmp(one, other) == 0);
  free(one);
  free(other);
}

/* What is read as a file is written as the same file. */
static void parse_file(const uint8_t *data, size_t size, struct arena *arena) {
  struct snapshot snapshot;
  struct error error = {0};
  const uint8_t *again = NULL;
  size_t length = 0;
  if (snapshot_parse(data, size, arena, &snapshot, &error) < 0)
    return;
  must(snapshot_write(&snapshot, arena, &again, &length) < 0 || (length == size && memcmp(again, data, size) == 0));
  decode_twice(&snapshot, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct arena *arena = arena_new(MEMORY_LIMIT);
  parse_file(data, size, arena);
  uint32_t generation;
  if (size >= sizeof generation) {
    memcpy(&generation, data, sizeof generation);
    size_t length = size - sizeof generation;
    uint8_t *messages = malloc(length + 1); /* with an end that is looked at */
    memcpy(messages, data + sizeof generation, length);
    struct snapshot snapshot = {.generation = generation, .messages = messages, .length = length};
    decode_twice(&snapshot, arena);
    free(messages);
  }
  arena_free(arena);
  return 0;
}
