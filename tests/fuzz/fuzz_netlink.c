/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netlink.h>

#include "kernel/conntrack_events.h"
#include "kernel/nftables_parse.h"
#include "kernel/nftables_watch.h"
#include "rules/difference.h"
#include "rules/print.h"

/*
 * What a kernel might answer: any bytes as a dump of nf_tables, whole messages one after another. What is understood is
 * compared with itself and printed. A dump comes in several pieces: the input is fed in two, cut where its first two
 * bytes say, at the end of a message.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMORY_LIMIT = 64 * 1024 * 1024, NOW = 1795489200 };

/* Ends of messages are multiples of the alignment. */
static size_t cut_of(const uint8_t *data, size_t size) {
  size_t cut = (size_t)data[0] << 8 | data[1];
  cut -= cut % NLMSG_ALIGNTO;
  return cut < size ? cut : size;
}

static bool chain_is_ours(const struct chain *chain) {
  for (size_t i = 0; i < chain->rule_count; i++)
    for (size_t j = 0; j < chain->rules[i].expression_count; j++)
      if (chain->rules[i].expressions[j].kind == EXPRESSION_FOREIGN)
        return false;
  return true;
}

/*
 * What our structs cannot say is never the same as anything, so that it is replaced; and no kernel has two things of
 * one name in a table.
 */
static bool is_ours(const struct ruleset *ruleset) {
  bool ours = ruleset->present && !ruleset->dormant && ruleset->foreign_count == 0;
  for (size_t i = 0; i < ruleset->set_count; i++)
    ours = ours && !ruleset->sets[i].foreign && ruleset_find_set(ruleset, ruleset->sets[i].name) == &ruleset->sets[i] &&
           (i == 0 || strcmp(ruleset->sets[i - 1].name, ruleset->sets[i].name) != 0);
  for (size_t i = 0; i < ruleset->chain_count; i++)
    ours = ours && chain_is_ours(&ruleset->chains[i]) &&
           (i == 0 || strcmp(ruleset->chains[i - 1].name, ruleset->chains[i].name) != 0);
  for (size_t i = 1; i < ruleset->counter_count; i++)
    ours = ours && strcmp(ruleset->counters[i - 1].name, ruleset->counters[i].name) != 0;
  return ours;
}

static void must_hold(struct ruleset *ruleset, struct arena *arena) {
  struct instant now = {NOW};
  const char *what = NULL;
  struct delta *delta = NULL;
  char *text = NULL;
  size_t length;
  bool equal = ruleset_equal(ruleset, ruleset, arena, &what);
  bool same = ruleset_difference(ruleset, ruleset, arena, &delta) == 0 && delta_empty(delta);
  if (is_ours(ruleset) && !arena_failed(arena) && (!equal || !same))
    abort();
  FILE *stream = open_memstream(&text, &length);
  if (stream == NULL)
    return;
  ruleset_print_nft(stream, ruleset, now);
  fclose(stream);
  free(text);
  json_decref(ruleset_to_json(ruleset, now));
}

static void watch(const void *message, size_t size) {
  const struct nlmsghdr *header = message;
  struct nftables_transaction transaction = {0};
  struct nftables_author author;
  if (size >= sizeof *header && header->nlmsg_len >= sizeof *header && header->nlmsg_len <= size)
    nftables_watch_parse(message, header->nlmsg_len, "kido", &transaction, &author);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2)
    return 0;
  size_t length = size - 2, cut = cut_of(data, length);
  struct arena *arena = arena_new(MEMORY_LIMIT);
  uint8_t *bytes = malloc(length + 1); /* aligned, and with an end that is looked at */
  memcpy(bytes, data + 2, length);
  watch(bytes, length);
  struct conntrack_event event;
  (void)conntrack_event_parse(bytes, length, &event);
  struct nftables_parser *parser = nftables_parser_new(arena, "kido", (int64_t)NOW * 1000);
  struct ruleset *ruleset = NULL;
  struct error error = {0};
  if (parser != NULL && nftables_parser_feed(parser, bytes, cut, &error) == 0 &&
      nftables_parser_feed(parser, bytes + cut, length - cut, &error) == 0 &&
      nftables_parser_finish(parser, 7, &ruleset, &error) == 0)
    must_hold(ruleset, arena);
  free(bytes);
  arena_free(arena);
  return 0;
}
