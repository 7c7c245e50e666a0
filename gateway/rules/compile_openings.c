/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <netinet/in.h>

#include "rules/compile_parts.h"

/*
 * Theory of operation: how many TCP openings may wait for one destination.
 *
 * Each destination has as many slots as the policy allows half-open connections (the next lower power of two). The port
 * of who opens says which slot is his; a dynamic set holds the slots that are taken. The first packet of a connection
 * takes its slot or, where somebody has it, is dropped as `flood`. So the bound is exact, whatever the addresses of a
 * flood are, and the price is that an opening now and then meets the slot of another that still waits; its sender tries
 * again after a second.
 *
 * The slot is given back when the handshake is complete, not when the destination answers: a server answers every
 * opening of a flood. To know that packet costs nothing where it matters: a connection that is half open carries
 * HALF_OPEN_MARK in its mark and so does not pass by the first rule of its pair, but by the chain `handshake`, which
 * takes the bit away when conntrack has seen the handshake (or a reset). What nobody completes the set forgets after
 * HALF_OPEN_SECONDS. A set without room counts as a flood, too.
 *
 * The lowest bit of the port is no part of the slot: systems that prefer even ports would have half the slots.
 *
 * Deleted elements stay until the kernel sweeps the set, and more than a dozen of the same key in one bucket of its
 * hash table make new ones fail. With the kernel's own interval of a second this begins at 4,000 handshakes a second
 * towards one destination (measured), hence the interval of our own.
 */
enum { HALF_OPEN_ROOM = 131072, HALF_OPEN_SWEEP_MILLISECONDS = 100 };

static uint16_t slot_mask(unsigned limit) {
  unsigned slots = 1;
  while (slots * 2 <= limit && slots < UINT16_MAX)
    slots *= 2;
  return slots > UINT16_MAX ? UINT16_MAX : (uint16_t)((slots - 1) << 1);
}

static const char *half_open_set(struct compilation *compilation, enum ip_version version) {
  struct set_draft *draft =
      builder_set(&compilation->builder, arena_printf(compilation->arena, "half_open%c", ip_words[version].digit),
                  MAP_NONE, (const enum field_type[]){ip_words[version].address, KEY_FIELD_PORT, KEY_FIELD_COUNT_});
  draft->set.dynamic = draft->set.timeouts = true;
  draft->set.size = HALF_OPEN_ROOM;
  draft->set.timeout_seconds = compilation->options->half_open_seconds;
  if (draft->set.timeout_seconds == 0)
    draft->set.timeout_seconds = HALF_OPEN_SECONDS;
  draft->set.sweep_milliseconds = HALF_OPEN_SWEEP_MILLISECONDS;
  return builder_seal_set(&compilation->builder, draft);
}

static struct rule_writer begin(struct compilation *compilation, struct chain_draft *chain) {
  struct rule_writer rule = rule_begin(&compilation->builder, chain);
  rule.slot_mask = compilation->slot_mask;
  rule.origin = chain->chain.origin;
  return rule;
}

static void free_slot(struct compilation *compilation, struct chain_draft *chain, enum ip_version version) {
  struct rule_writer rule = begin(compilation, chain);
  rule_transport(&rule, IPPROTO_TCP);
  rule_slot(&rule, SLOT_FREE, FIELDS(ip_words[version].original_destination, MATCH_ORIGINAL_SLOT),
            compilation->half_open[version]);
  rule_end(&rule, VERDICT_NONE, NULL);
}

void compile_handshake(struct compilation *compilation) {
  if (compilation->link_count == 0)
    return;
  compilation->slot_mask = slot_mask(compilation->policy->header.half_open_limit);
  for (enum ip_version version = IP4; version < IP_COUNT_; version++)
    compilation->half_open[version] = half_open_set(compilation, version);
  struct chain_draft *chain = builder_chain(&compilation->builder, "handshake", NULL);
  struct rule_writer rule = begin(compilation, chain);
  rule_differs(&rule, MATCH_TCP_RESET, (const uint8_t[]){0x04}, "rst");
  rule_status(&rule, STATUS_ASSURED, false);
  rule_end(&rule, VERDICT_ACCEPT, NULL);
  for (enum ip_version version = IP4; version < IP_COUNT_; version++)
    free_slot(compilation, chain, version);
  rule = begin(compilation, chain);
  rule_mark_half_open(&rule, false);
  rule_end(&rule, VERDICT_ACCEPT, NULL);
  compilation->handshake = builder_seal_chain(&compilation->builder, chain);
}

/* ---- openings from one zone to another ---- */

static void use_slot(struct compilation *compilation, struct chain_draft *chain, enum ip_version version,
                     enum slot_action action) {
  struct rule_writer rule = begin(compilation, chain);
  if (action == SLOT_TAKE)
    rule_status(&rule, STATUS_CONFIRMED, false);
  rule_slot(&rule, action, FIELDS(ip_words[version].destination, MATCH_TCP_SLOT), compilation->half_open[version]);
  rule_end(&rule, action == SLOT_TAKE ? VERDICT_ACCEPT : VERDICT_NONE, NULL);
}

static void end_flood(struct compilation *compilation, struct rule_writer *rule, size_t from, size_t to) {
  rule_count(rule, denied_counter(compilation, from, to, "flood"));
  end_denial(compilation, rule, "flood");
}

/* What the flow's own limit refuses must take no slot; what finds none is a flood first. */
static void limit_openings(struct compilation *compilation, struct chain_draft *chain, size_t from, size_t to,
                           const char *limits) {
  struct rule_writer rule;
  for (enum ip_version version = IP4; version < IP_COUNT_; version++) {
    rule = begin(compilation, chain);
    rule_status(&rule, STATUS_CONFIRMED, false);
    rule_in(&rule, FIELDS(ip_words[version].destination, MATCH_TCP_SLOT), compilation->half_open[version]);
    end_flood(compilation, &rule, from, to);
  }
  rule = begin(compilation, chain);
  rule_status(&rule, STATUS_CONFIRMED, false);
  rule_verdict_map(&rule, FIELDS(MATCH_CT_MARK), limits);
  rule_end(&rule, VERDICT_NONE, NULL);
}

const char *compile_opening(struct compilation *compilation, size_t from, size_t to, const char *limits) {
  struct chain_draft *chain = builder_chain(
      &compilation->builder,
      arena_printf(compilation->arena, "opening.%s.%s", zone_name_at(compilation, from), zone_name_at(compilation, to)),
      arena_printf(compilation->arena, "%s → %s", zone_label_at(compilation, from), zone_label_at(compilation, to)));
  chain->chain.origin = zone_origin_at(compilation, from);
  if (limits != NULL)
    limit_openings(compilation, chain, from, to, limits);
  struct rule_writer rule = begin(compilation, chain);
  rule_mark_half_open(&rule, true);
  rule_end(&rule, VERDICT_NONE, NULL);
  for (enum ip_version version = IP4; version < IP_COUNT_; version++)
    use_slot(compilation, chain, version, SLOT_TAKE);
  rule = begin(compilation, chain);
  rule_status(&rule, STATUS_CONFIRMED, false);
  end_flood(compilation, &rule, from, to);
  for (enum ip_version version = IP4; version < IP_COUNT_; version++) /* a packet that comes again */
    use_slot(compilation, chain, version, SLOT_RENEW);
  rule = begin(compilation, chain);
  rule_end(&rule, VERDICT_ACCEPT, NULL);
  return builder_seal_chain(&compilation->builder, chain);
}
