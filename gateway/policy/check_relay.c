/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sanitising relays (D03).
 *
 * Theory of operation: a relay sanitises only what passes through it, so each mail or file communication is a `pair` of
 * legs, one to the LGWAN side and one to the Internet side, through the same relay host, and the relay host may open
 * nothing else (its `ops` flows excepted). Legs are collected as (label, relay host, side) and sorted, so that one walk
 * over a label sees each of its relay hosts with the sides that it has.
 */
#include "policy/check_parts.h"

#include <stdlib.h>
#include <string.h>

enum { SIDE_LGWAN = 1, SIDE_INTERNET = 2, BOTH_SIDES = SIDE_LGWAN | SIDE_INTERNET };

struct leg {
  const char *label;
  const struct host *relay; /* NULL: not known, and so nothing is said of this label; sorted first */
  const struct flow *flow;
  unsigned side; /* 0: the other end is on neither side */
};

struct legs {
  struct leg *items;
  size_t count, capacity;
};

static bool is_relayed(const struct flow *flow) {
  return flow->method_known && (flow->method == METHOD_MAILTEXT || flow->method == METHOD_CDR);
}

static unsigned side_of(enum zone_class class) {
  return class == CLASS_LGWAN ? SIDE_LGWAN : class == CLASS_INTERNET ? SIDE_INTERNET : 0;
}

/* ---- one flow ---- */

static void refuse_ends(struct check *check, const struct flow *flow, bool both) {
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_ERROR, "D03", check_at(check, flow->method_place, flow_method_name(flow->method)),
      flow->name,
      "method = \"%s\" の通信は、片方の端だけが無害化中継（class = "
      "\"relay\"）の機器でなければなりませんが、%s（2(12)）",
      "a flow of method = \"%s\" must have exactly one end in a relay zone (class = \"relay\"), but %s (2(12))",
      flow_method_name(flow->method),
      both ? check_words(check, "両端とも中継の領域です", "both ends are")
           : check_words(check, "どちらの端もそうではありません", "neither end is"));
  diagnostic_hint(check->diagnostics, found,
                  "中継機器までの通信と中継機器からの通信の二つに分け、同じ pair の名前を付けてください",
                  "split it into one flow to the relay host and one from it, with the same 'pair'");
}

static void refuse_relay_zone(struct check *check, const struct flow *flow, const struct endpoint *end) {
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_ERROR, "D03", check_at(check, end->place, check_endpoint_text(check, end)),
      flow->name, "無害化中継の端が zone:%s で、どの中継機器か決まっていません（2(12)）",
      "the relay end is zone:%s, which does not say through which relay host (2(12))",
      policy_zone_name(check->policy, end->zone));
  diagnostic_hint(check->diagnostics, found, "hosts に中継機器を書き、その名前を指定してください",
                  "declare the relay host under 'hosts' and name it here");
}

static void refuse_missing_pair(struct check *check, const struct flow *flow) {
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_ERROR, "D03", check_at_name(check, flow->place, flow->name),
                     flow->name, "method = \"%s\" の通信に pair がありません（2(12)）",
                     "a flow of method = \"%s\" needs a 'pair' (2(12))", flow_method_name(flow->method));
  diagnostic_hint(
      check->diagnostics, found,
      "同じ中継機器を通る LGWAN 側とインターネット側の通信に、同じ pair の名前（例: \"mail-in\"）を付けてください",
      "give the LGWAN leg and the Internet leg through the same relay host one name, e.g. \"mail-in\"");
}

static void add_leg(struct check *check, struct legs *legs, const struct flow *flow, const struct host *relay,
                    unsigned side) {
  void *items = legs->items;
  if (arena_grow(check->scratch, &items, legs->count, &legs->capacity, sizeof(struct leg)) < 0)
    return;
  legs->items = items;
  legs->items[legs->count++] = (struct leg){.label = flow->pair.text, .relay = relay, .flow = flow, .side = side};
}

static void check_relayed_flow(struct check *check, struct legs *legs, const struct flow *flow) {
  enum zone_class from, to;
  if (check->flows[flow->index].never)
    return;
  if (!check_flow_classes(check, flow, &from, &to) || flow->from_zone == flow->to_zone) {
    if (check_text_present(&flow->pair))
      add_leg(check, legs, flow, NULL, 0); /* another problem hides which leg it is */
    return;
  }
  if ((from == CLASS_RELAY) == (to == CLASS_RELAY)) {
    if (!check->flows[flow->index].pair_refused)
      refuse_ends(check, flow, from == CLASS_RELAY);
    return;
  }
  if (!check_text_present(&flow->pair))
    refuse_missing_pair(check, flow);
  bool relay_opens = from == CLASS_RELAY;
  const struct endpoint *ends = relay_opens ? flow->from : flow->to;
  size_t count = relay_opens ? flow->from_count : flow->to_count;
  for (size_t i = 0; i < count; i++) {
    if (ends[i].kind == ENDPOINT_ZONE)
      refuse_relay_zone(check, flow, &ends[i]);
    else if (ends[i].kind == ENDPOINT_HOST && ends[i].host != NULL && check_text_present(&flow->pair))
      add_leg(check, legs, flow, ends[i].host, side_of(relay_opens ? to : from));
  }
}

/* ---- pairs ---- */

static int compare_legs(const void *left, const void *right) {
  const struct leg *one = left, *other = right;
  int labels = strcmp(one->label, other->label);
  if (labels != 0)
    return labels;
  if (one->relay != other->relay)
    return other->relay != NULL && (one->relay == NULL || one->relay < other->relay) ? -1 : 1;
  return one->flow->index < other->flow->index ? -1 : one->flow->index > other->flow->index;
}

static void refuse_half_pair(struct check *check, const struct leg *legs, size_t count, unsigned sides) {
  const struct flow *flow = legs[0].flow;
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_ERROR, "D03", check_at(check, flow->pair.place, flow->pair.text), flow->name,
      "pair \"%s\" に、中継機器 %s を通る%s側の通信がありません（2(12)）",
      "pair \"%s\" has no leg through relay host '%s' on the %s side (2(12))", flow->pair.text, legs[0].relay->name,
      (sides & SIDE_LGWAN) == 0 && (sides & SIDE_INTERNET) == 0
          ? check_words(check, " LGWAN・インターネット両", "LGWAN and the Internet")
      : (sides & SIDE_LGWAN) == 0 ? check_words(check, " LGWAN ", "LGWAN")
                                  : check_words(check, "インターネット", "Internet"));
  diagnostic_hint(check->diagnostics, found,
                  "足りない側の通信を同じ中継機器・同じ pair で書くか、pair の名前の綴りを確かめてください",
                  "add the missing leg through the same relay host, or check the spelling of 'pair'");
  enum { SHOWN = 4 };
  for (size_t i = 1; i < count && i < SHOWN; i++)
    diagnostic_relate(check->diagnostics, found, check_at(check, legs[i].flow->pair.place, legs[i].flow->pair.text),
                      "同じ pair の通信 %s", "flow '%s' of the same pair", legs[i].flow->name);
}

static bool same_label(const struct leg *one, const struct leg *other) {
  return strcmp(one->label, other->label) == 0;
}

static void check_legs(struct check *check, struct legs *legs) {
  const struct leg *unclear = NULL;
  if (legs->count > 1)
    qsort(legs->items, legs->count, sizeof(legs->items[0]), compare_legs);
  for (size_t first = 0, next; first < legs->count; first = next) {
    const struct leg *leg = &legs->items[first];
    unsigned sides = 0;
    for (next = first;
         next < legs->count && legs->items[next].relay == leg->relay && same_label(&legs->items[next], leg); next++)
      sides |= legs->items[next].side;
    if (leg->relay == NULL)
      unclear = leg;
    if (sides != BOTH_SIDES && (unclear == NULL || !same_label(unclear, leg)))
      refuse_half_pair(check, leg, next - first, sides);
  }
}

/* ---- what else a relay host reaches ---- */

/* Where a relay host may go: the far ends of its relayed and its `ops` flows. */
struct reach {
  struct address_range *ranges;
  size_t count, capacity;
  bool built;
  struct address_set set; /* of the ranges, once asked for */
};

static void add_reach(struct check *check, struct reach *reach, const struct endpoint *ends, size_t count,
                      zone_index peer) {
  struct address_set set;
  if (policy_end_addresses(check->policy, ends, count, peer, check->scratch, &set) < 0)
    return;
  for (size_t i = 0; i < set.count; i++) {
    void *ranges = reach->ranges;
    if (arena_grow(check->scratch, &ranges, reach->count, &reach->capacity, sizeof(set.ranges[0])) < 0)
      return;
    reach->ranges = ranges;
    reach->ranges[reach->count++] = set.ranges[i];
  }
}

static void collect_reach(struct check *check, struct reach *reach, const struct flow *flow) {
  if (!flow->method_known || !(is_relayed(flow) || flow->method == METHOD_OPS))
    return;
  for (size_t i = 0; i < flow->from_count; i++)
    if (flow->from[i].host != NULL)
      add_reach(check, &reach[check_host_index(check, flow->from[i].host)], flow->to, flow->to_count, flow->from_zone);
  for (size_t i = 0; i < flow->to_count; i++)
    if (flow->to[i].host != NULL)
      add_reach(check, &reach[check_host_index(check, flow->to[i].host)], flow->from, flow->from_count, flow->to_zone);
}

static bool reach_covers(struct check *check, struct reach *reach, const struct flow *flow) {
  struct address_set wanted, rest;
  if (!reach->built && address_set_build(check->scratch, reach->ranges, reach->count, &reach->set) < 0)
    return true;
  reach->built = true;
  if (policy_end_addresses(check->policy, flow->to, flow->to_count, flow->from_zone, check->scratch, &wanted) < 0 ||
      address_set_subtract(check->scratch, &wanted, &reach->set, &rest) < 0)
    return true;
  return rest.count == 0;
}

static void refuse_reach(struct check *check, const struct flow *flow, const struct host *relay) {
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_ERROR, "D03", check_at(check, flow->to_place, check_endpoint_text(check, flow->to)),
      flow->name, "中継機器 %s が、無害化の相手（pair）でも運用管理（ops）の相手でもない %s へ通信します（2(12)）",
      "relay host '%s' reaches '%s', which belongs neither to its pairs nor to its 'ops' flows (2(12))", relay->name,
      check_end_text(check, flow->to, flow->to_count));
  diagnostic_hint(check->diagnostics, found,
                  "中継機器から開く通信は、pair の両側と運用管理に限ってください。必要なら別の機器に分けます",
                  "a relay host may open only the legs of its pairs and 'ops' flows; use another machine for the rest");
  diagnostic_relate(check->diagnostics, found, check_at_name(check, relay->place, relay->name), "中継機器 %s の定義",
                    "relay host '%s' is declared here", relay->name);
}

static void check_reach(struct check *check) {
  const struct policy *policy = check->policy;
  struct reach *reach = ARENA_ARRAY(check->scratch, policy->host_count + 1, struct reach);
  if (reach == NULL)
    return;
  for (size_t i = 0; i < policy->flow_count; i++)
    collect_reach(check, reach, &policy->flows[i]);
  for (size_t i = 0; i < policy->flow_count; i++) {
    const struct flow *flow = &policy->flows[i];
    enum zone_class class;
    if (!flow->method_known || is_relayed(flow) || flow->method == METHOD_OPS || check->flows[i].pair_refused ||
        !check_class_of(check, flow->from_zone, &class) || class != CLASS_RELAY)
      continue;
    for (size_t j = 0; j < flow->from_count; j++) {
      const struct endpoint *end = &flow->from[j];
      if (end->kind == ENDPOINT_ZONE)
        refuse_relay_zone(check, flow, end);
      else if (end->host != NULL && !reach_covers(check, &reach[check_host_index(check, end->host)], flow))
        refuse_reach(check, flow, end->host);
    }
  }
}

void check_relays(struct check *check) {
  struct legs legs = {0};
  for (size_t i = 0; i < check->policy->flow_count; i++)
    if (is_relayed(&check->policy->flows[i]))
      check_relayed_flow(check, &legs, &check->policy->flows[i]);
  check_legs(check, &legs);
  check_reach(check);
}
