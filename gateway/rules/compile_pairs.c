/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <netinet/in.h>

#include "rules/compile_parts.h"

/*
 * The chains that judge packets from one zone to another, in the order in which reasons are reported. What belongs to
 * an established connection in force leaves by the first rule.
 */
struct pair {
  struct compilation *compilation;
  struct chain_draft *chain;
  size_t from, to;
  const struct link *link; /* NULL: no flow joins them */
  size_t side;             /* of the link */
};

static struct rule_writer begin(struct pair *pair) {
  struct rule_writer rule = rule_begin(&pair->compilation->builder, pair->chain);
  rule.origin = pair->chain->chain.origin;
  return rule;
}

static void end_denied(struct pair *pair, struct rule_writer *rule, const char *reason) {
  rule_count(rule, denied_counter(pair->compilation, pair->from, pair->to, reason));
  end_denial(pair->compilation, rule, reason);
}

static void accept_in_force(struct pair *pair, bool established) {
  if (pair->link == NULL)
    return;
  struct rule_writer rule = begin(pair);
  if (established)
    rule_state(&rule, STATE_ESTABLISHED);
  rule_in(&rule, FIELDS(MATCH_CT_MARK), pair->link->in_force);
  rule_end(&rule, VERDICT_ACCEPT, NULL);
}

static void deny_invalid(struct pair *pair) {
  struct rule_writer rule = begin(pair);
  rule_state(&rule, STATE_INVALID);
  end_denied(pair, &rule, "invalid-state");
  rule = begin(pair);
  rule_state(&rule, STATE_NEW);
  rule_differs(&rule, MATCH_TCP_OPENING, (const uint8_t[]){0x02}, "syn");
  end_denied(pair, &rule, "invalid-state");
}

/* Redirects and the like carry the mark of the connection that they quote, so they go before any look at marks. */
static void deny_icmp_types(struct pair *pair) {
  for (enum ip_version version = IP4; version < IP_COUNT_; version++) {
    struct rule_writer rule = begin(pair);
    rule_not_in(&rule, FIELDS(ip_words[version].icmp_type), pair->compilation->icmp_passing[version]);
    end_denied(pair, &rule, "icmp");
  }
}

/* Behind these, ICMP is echo alone, so the maps of openers need no type. */
static void deny_icmp_errors(struct pair *pair) {
  for (enum ip_version version = IP4; version < IP_COUNT_; version++) {
    struct rule_writer rule = begin(pair);
    rule_in(&rule, FIELDS(ip_words[version].icmp_type), pair->compilation->icmp_errors[version]);
    end_denied(pair, &rule, "icmp");
  }
}

/*
 * Twice: while an element is exchanged, a lookup that began before the commit can miss the old one, which is out
 * already, and the new one, which is not in for it. The second look is of the new generation. Only what would be denied
 * gets that far.
 */
static void judge_openers(struct pair *pair) {
  static const struct {
    uint8_t direction;
    const char *text;
  } directions[] = {{0, "original"}, {1, "reply"}, {0, "original"}, {1, "reply"}};
  for (size_t i = 0; i < sizeof directions / sizeof directions[0] && pair->link != NULL; i++) {
    const char *chain = pair->link->open_chains[directions[i].direction == 0 ? pair->side : 1 - pair->side];
    if (chain == NULL)
      continue;
    struct rule_writer rule = begin(pair);
    rule_equals(&rule, MATCH_CT_DIRECTION, &directions[i].direction, directions[i].text);
    rule_end(&rule, VERDICT_JUMP, chain);
  }
}

/* ---- refusals that are told ---- */

static bool is_told(const struct pair *pair) {
  const struct compilation *compilation = pair->compilation;
  return pair->from != gateway_place(compilation) && compilation->policy->zones[pair->from].on_deny == ON_DENY_REJECT;
}

/* TCP hears a reset, all else ICMP. */
static void refuse_aloud(struct pair *pair, const char *counter) {
  log_denial(pair->compilation, pair->chain, "no-flow");
  struct rule_writer rule = begin(pair);
  rule_transport(&rule, IPPROTO_TCP);
  rule_count(&rule, counter);
  rule_refuse(&rule, true);
  rule_end(&rule, VERDICT_NONE, NULL);
  rule = begin(pair);
  rule_count(&rule, counter);
  rule_refuse(&rule, false);
  rule_end(&rule, VERDICT_NONE, NULL);
}

static void deny_no_flow(struct pair *pair) {
  if (is_told(pair)) {
    refuse_aloud(pair, denied_counter(pair->compilation, pair->from, pair->to, "no-flow"));
    return;
  }
  struct rule_writer rule = begin(pair);
  end_denied(pair, &rule, "no-flow");
}

/* ---- what the gateway sends of itself ---- */

static void accept_report(struct pair *pair, const char *in_force) {
  for (enum ip_version version = IP4; version < IP_COUNT_; version++) {
    struct rule_writer rule = begin(pair);
    rule_in(&rule, FIELDS(ip_words[version].icmp_type), pair->compilation->icmp_errors[version]);
    rule_in(&rule, FIELDS(MATCH_CT_FLOW), in_force);
    rule_end(&rule, VERDICT_ACCEPT, NULL);
  }
}

/* What belongs to a connection whose handshake goes on. */
static void accept_half_open(struct pair *pair) {
  if (pair->link == NULL || pair->compilation->handshake == NULL)
    return;
  struct rule_writer rule = begin(pair);
  rule_state(&rule, STATE_ESTABLISHED);
  rule_in(&rule, FIELDS(MATCH_CT_FLOW), pair->link->in_force);
  rule_end(&rule, VERDICT_GOTO, pair->compilation->handshake);
}

/* ICMP errors about openings. */
static void accept_related(struct pair *pair) {
  if (pair->link == NULL)
    return;
  struct rule_writer rule = begin(pair);
  rule_state(&rule, STATE_RELATED);
  rule_in(&rule, FIELDS(MATCH_CT_FLOW), pair->link->in_force);
  rule_end(&rule, VERDICT_ACCEPT, NULL);
}

/* ICMP errors about connections in force between the zone and any other from which it is not cut. */
static void accept_reports(struct pair *pair) {
  const struct compilation *compilation = pair->compilation;
  for (size_t i = 0; i < compilation->link_count; i++) {
    const struct link *link = &compilation->links[i];
    bool concerned = (link->low == pair->to || link->high == pair->to) && link != pair->link;
    if (concerned && !places_are_cut(compilation, link->low, link->high))
      accept_report(pair, link->in_force);
  }
}

static void accept_refusals(struct pair *pair) {
  const struct compilation *compilation = pair->compilation;
  if (compilation->policy->zones[pair->to].on_deny != ON_DENY_REJECT)
    return;
  uint32_t mark = REFUSAL_MARK;
  struct rule_writer rule = begin(pair);
  rule_equals(&rule, MATCH_TCP_RESET, (const uint8_t[]){0x04}, "== rst");
  rule_equals(&rule, MATCH_CT_MARK, &mark, "0xffffffff");
  rule_end(&rule, VERDICT_ACCEPT, NULL);
  for (enum ip_version version = IP4; version < IP_COUNT_; version++) {
    rule = begin(pair);
    rule_in(&rule, FIELDS(ip_words[version].icmp_type), compilation->icmp_errors[version]);
    rule_equals(&rule, MATCH_CT_MARK, &mark, "0xffffffff");
    rule_end(&rule, VERDICT_ACCEPT, NULL);
  }
}

static void deny_unclaimed(struct pair *pair) {
  for (enum ip_version version = IP4; version < IP_COUNT_; version++) {
    struct rule_writer rule = begin(pair);
    rule_not_in(&rule, FIELDS(ip_words[version].destination), pair->compilation->zoned_set[version]);
    end_denied(pair, &rule, "unknown-zone");
  }
}

/* What others send was stopped by their guards; the gateway's own packets meet a cut here, before anything else. */
static void deny_cut(struct pair *pair) {
  struct compilation *compilation = pair->compilation;
  struct rule_writer rule;
  if (places_are_cut(compilation, pair->from, pair->to)) {
    rule = begin(pair);
    end_denied(pair, &rule, "cut");
  }
  struct address_set hosts = cut_hosts(compilation);
  for (enum ip_version version = IP4; version < IP_COUNT_; version++) {
    const struct ip_words *words = &ip_words[version];
    if (!has_version(&hosts, version))
      continue;
    if (compilation->cut_set[version] == NULL)
      compilation->cut_set[version] =
          address_interval_set(compilation, version == IP4 ? "cut4" : "cut6", version, &hosts);
    rule = begin(pair);
    rule_in(&rule, FIELDS(words->destination), compilation->cut_set[version]);
    end_denied(pair, &rule, "cut");
    rule = begin(pair);
    rule_in(&rule, FIELDS(words->source), compilation->cut_set[version]);
    end_denied(pair, &rule, "cut");
  }
}

static void gateway_sends(struct pair *pair) {
  accept_refusals(pair);
  accept_reports(pair);
  deny_unclaimed(pair);
}

/* ---- whole chains ---- */

static struct pair pair_begin(struct compilation *compilation, const char *kind, size_t from, size_t to) {
  struct pair pair = {.compilation = compilation, .from = from, .to = to};
  if (from != to)
    pair.link = link_between(compilation, from, to, &pair.side);
  const char *name = arena_printf(compilation->arena, "%s.%s.%s", kind, zone_name_at(compilation, from),
                                  zone_name_at(compilation, to));
  pair.chain = builder_chain(
      &compilation->builder, name,
      arena_printf(compilation->arena, "%s → %s", zone_label_at(compilation, from), zone_label_at(compilation, to)));
  pair.chain->chain.origin = zone_origin_at(compilation, from);
  return pair;
}

const char *compile_pair(struct compilation *compilation, size_t from, size_t to) {
  struct pair pair = pair_begin(compilation, "pair", from, to);
  if (from == gateway_place(compilation))
    deny_cut(&pair);
  accept_in_force(&pair, true);
  accept_half_open(&pair);
  if (from == gateway_place(compilation))
    gateway_sends(&pair);
  deny_invalid(&pair);
  deny_icmp_types(&pair);
  accept_in_force(&pair, false);
  accept_related(&pair);
  deny_icmp_errors(&pair);
  judge_openers(&pair);
  deny_no_flow(&pair);
  return builder_seal_chain(&compilation->builder, pair.chain);
}

/* The interfaces of a zone for as long as packets may pass between them: its end needs no living process. */
static const char *trial_interfaces(struct compilation *compilation, size_t place, struct instant until) {
  const struct zone *zone = &compilation->policy->zones[place];
  struct set_draft *draft =
      builder_set(&compilation->builder, arena_printf(compilation->arena, "trial_within.%s", zone->name), MAP_NONE,
                  (const enum field_type[]){KEY_FIELD_INTERFACE, KEY_FIELD_COUNT_});
  draft->set.timeouts = true;
  draft->set.origin = zone_origin_at(compilation, place);
  for (size_t i = 0; i < zone->interface_count; i++) {
    struct element *element = builder_element(&compilation->builder, draft);
    interface_write(&draft->set, element, 0, zone->interfaces[i].text);
    element->expires = until;
    element->origin = zone_origin_at(compilation, place);
  }
  return builder_seal_set(&compilation->builder, draft);
}

const char *compile_within(struct compilation *compilation, size_t place, struct instant until) {
  struct pair pair = pair_begin(compilation, "within", place, place);
  bool ends = until.seconds != INSTANT_NEVER.seconds;
  const char *interfaces = ends ? trial_interfaces(compilation, place, until) : NULL;
  deny_invalid(&pair);
  deny_icmp_types(&pair);
  for (enum ip_version version = IP4; version < IP_COUNT_; version++) {
    struct rule_writer rule = begin(&pair);
    if (ends)
      rule_in(&rule, FIELDS(MATCH_IIFNAME), interfaces);
    rule_in(&rule, FIELDS(ip_words[version].destination), zone_claims(compilation, place, version));
    rule_end(&rule, VERDICT_ACCEPT, NULL);
  }
  deny_no_flow(&pair);
  return builder_seal_chain(&compilation->builder, pair.chain);
}

void compile_unjoined(struct compilation *compilation, struct chain_draft *chain) {
  struct pair pair = {.compilation = compilation, .chain = chain, .from = NO_PLACE, .to = NO_PLACE};
  deny_invalid(&pair);
  deny_icmp_types(&pair);
  deny_icmp_errors(&pair);
  struct rule_writer rule = begin(&pair);
  rule_in(&rule, FIELDS(MATCH_OIFNAME), "zoned");
  end_denied(&pair, &rule, "no-flow");
}
