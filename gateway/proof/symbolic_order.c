/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>

#include "proof/symbolic_parts.h"

/*
 * Base chains of a path in their order: hook by hook, in each by priority. Chains of one hook and one priority stand in
 * no order that can be seen; where it would matter, they cannot be followed.
 */

enum { HOOK_INET_INGRESS = 5, NETDEV_INGRESS = 0, NETDEV_EGRESS = 1 };

/* The hooks of a path. Devices that the kernel has at hand there: see the callers of nf_hook_state_init(). */
struct hook_facts {
  unsigned hook;
  bool has_in, has_out, link_header, hopped;
};
static const struct hook_facts FORWARDED[] = {
    {HOOK_INET_INGRESS, true, false, true, false},
    {NF_INET_PRE_ROUTING, true, false, true, false},
    {NF_INET_FORWARD, true, true, true, true},
    {NF_INET_POST_ROUTING, true, true, true, true},
};
static const struct hook_facts RECEIVED[] = {
    {HOOK_INET_INGRESS, true, false, true, false},
    {NF_INET_PRE_ROUTING, true, false, true, false},
    {NF_INET_LOCAL_IN, true, false, true, false},
};
static const struct hook_facts SENT[] = {
    {NF_INET_LOCAL_OUT, false, true, false, false},
    {NF_INET_POST_ROUTING, false, true, false, false},
};
struct path_facts {
  const struct hook_facts *hooks;
  size_t count;
};
static const struct path_facts PATHS[] = {
    [PATH_FORWARD] = {FORWARDED, sizeof(FORWARDED) / sizeof(FORWARDED[0])},
    [PATH_INPUT] = {RECEIVED, sizeof(RECEIVED) / sizeof(RECEIVED[0])},
    [PATH_OUTPUT] = {SENT, sizeof(SENT) / sizeof(SENT[0])},
};

/* ---- what chains do, wherever they lead ---- */

enum { DOES_MARK = 1, DOES_PACKET_MARK = 2, DOES_TRACKING = 4, READS_SHIFT = 8 };

static unsigned expression_does(const struct live_expression *expression) {
  unsigned key = expression->key;
  switch (expression->kind) {
  case LIVE_META:
    return key == NFT_META_MARK ? DOES_PACKET_MARK << READS_SHIFT : 0;
  case LIVE_META_SET:
    return key == NFT_META_MARK ? DOES_PACKET_MARK : 0;
  case LIVE_CT:
    return (DOES_TRACKING | (key == NFT_CT_MARK ? (unsigned)DOES_MARK : 0)) << READS_SHIFT;
  case LIVE_CT_SET:
    return DOES_MARK | (DOES_TRACKING << READS_SHIFT);
  case LIVE_NOTRACK:
    return DOES_TRACKING;
  default:
    return 0;
  }
}

struct seen_chains {
  const struct live_chain **chains;
  size_t count, capacity;
};

static bool seen_add(struct symbolic *machine, struct seen_chains *seen, const struct live_chain *chain) {
  for (size_t i = 0; i < seen->count; i++)
    if (seen->chains[i] == chain)
      return false;
  void *items = seen->chains;
  if (arena_grow(machine->arena, &items, seen->count, &seen->capacity, sizeof(const struct live_chain *)) < 0) {
    machine->failed = true;
    return false;
  }
  seen->chains = items;
  seen->chains[seen->count++] = chain;
  return true;
}

static void follow_verdict(struct symbolic *machine, struct seen_chains *seen, const struct live_verdict *verdict) {
  if (verdict->chain != NULL)
    seen_add(machine, seen, verdict->chain);
}

static unsigned chain_does(struct symbolic *machine, struct seen_chains *seen, const struct live_chain *chain) {
  unsigned does = 0;
  for (size_t i = 0; i < chain->rule_count; i++) {
    for (size_t k = 0; k < chain->rules[i].expression_count; k++) {
      const struct live_expression *expression = &chain->rules[i].expressions[k];
      does |= expression_does(expression);
      if (expression->is_verdict)
        follow_verdict(machine, seen, &expression->verdict);
      for (size_t n = 0; expression->set != NULL && expression->verdict_map && n < expression->set->element_count; n++)
        follow_verdict(machine, seen, &expression->set->elements[n].verdict);
      if (expression->set != NULL && expression->set->has_catch_all)
        follow_verdict(machine, seen, &expression->set->catch_all.verdict);
    }
  }
  return does;
}

static unsigned base_does(struct symbolic *machine, const struct live_chain *chain) {
  struct seen_chains seen = {NULL, 0, 0};
  unsigned does = 0;
  seen_add(machine, &seen, chain);
  for (size_t i = 0; i < seen.count; i++)
    does |= chain_does(machine, &seen, seen.chains[i]);
  return does;
}

/* Whether it matters which of the two comes first. */
static bool order_matters(unsigned left, unsigned right) {
  unsigned mask = READS_SHIFT == 8 ? (DOES_MARK | DOES_PACKET_MARK | DOES_TRACKING) : 0;
  unsigned left_touches = (left | left >> READS_SHIFT) & mask, right_touches = (right | right >> READS_SHIFT) & mask;
  return ((left & mask) & right_touches) != 0 || ((right & mask) & left_touches) != 0;
}

/* ---- which chains ---- */

static bool family_takes(unsigned table_family, enum address_family family) {
  return table_family == NFPROTO_INET || (table_family == NFPROTO_IPV4 && family == FAMILY_IPV4) ||
         (table_family == NFPROTO_IPV6 && family == FAMILY_IPV6);
}

static bool device_listed(const struct live_chain *chain, const char *name) {
  for (size_t i = 0; name != NULL && i < chain->device_count; i++) {
    size_t length = strlen(chain->devices[i]);
    if (length > 0 && chain->devices[i][length - 1] == '*' && strncmp(chain->devices[i], name, length - 1) == 0)
      return true;
    if (strcmp(chain->devices[i], name) == 0)
      return true;
  }
  return false;
}

static bool chain_is_there(const struct live_chain *chain, const struct situation *situation,
                           const struct hook_facts *hook) {
  if (!chain->base)
    return false;
  if (hook->hook != HOOK_INET_INGRESS)
    return family_takes(chain->table->family, situation->family) && chain->hook == hook->hook;
  if (chain->table->family == NFPROTO_NETDEV)
    return chain->hook == NETDEV_INGRESS && device_listed(chain, situation->in);
  return chain->table->family == NFPROTO_INET && chain->hook == HOOK_INET_INGRESS &&
         device_listed(chain, situation->in);
}

static struct stage stage_make(const struct live_chain *chain, const struct hook_facts *hook) {
  struct stage stage = {.family = (uint8_t)chain->table->family,
                        .hook = (uint8_t)hook->hook,
                        .has_in = hook->has_in,
                        .has_out = hook->has_out,
                        .hopped = hook->hopped,
                        .link_header = hook->link_header,
                        .whole = true,
                        .connection = true};
  bool first = hook->hook == NF_INET_PRE_ROUTING || hook->hook == NF_INET_LOCAL_OUT;
  if (first) {
    stage.whole = chain->priority > NF_IP_PRI_CONNTRACK_DEFRAG;
    stage.connection = chain->priority > NF_IP_PRI_CONNTRACK;
    stage.ambiguous = chain->priority == NF_IP_PRI_CONNTRACK_DEFRAG || chain->priority == NF_IP_PRI_CONNTRACK;
  } else if (hook->hook == HOOK_INET_INGRESS) {
    stage.whole = false;
    stage.connection = false;
  }
  stage.route = chain->type != NULL && strcmp(chain->type, "route") == 0;
  return stage;
}

/* nf_nat_proto.c: chains of type nat are all asked by one hook, which has its own place among the others; their
 * priorities order them among themselves. */
static int32_t nat_place(unsigned hook) {
  bool source = hook == NF_INET_POST_ROUTING || hook == NF_INET_LOCAL_IN;
  return source ? NF_IP_PRI_NAT_SRC : NF_IP_PRI_NAT_DST;
}

struct stops {
  struct stop *items;
  size_t count, capacity;
};

static int stops_add(struct symbolic *machine, struct stops *stops, const struct live_chain *chain,
                     const struct hook_facts *hook) {
  void *items = stops->items;
  if (arena_grow(machine->arena, &items, stops->count, &stops->capacity, sizeof(*stops->items)) < 0)
    return -1;
  stops->items = items;
  struct stop *stop = &stops->items[stops->count++];
  stop->chain = chain;
  stop->stage = stage_make(chain, hook);
  stop->nat = chain->type != NULL && strcmp(chain->type, "nat") == 0;
  stop->place = stop->nat ? nat_place(hook->hook) : chain->priority;
  stop->unmodelled = chain->table->unmodelled;
  return 0;
}

static int stop_order(const void *left, const void *right) {
  const struct stop *a = left, *b = right;
  if (a->place != b->place)
    return a->place < b->place ? -1 : 1;
  return a->chain->priority < b->chain->priority ? -1 : a->chain->priority > b->chain->priority;
}

static bool order_is_seen(const struct stop *left, const struct stop *right) {
  return left->nat && right->nat && left->chain->priority != right->chain->priority;
}

/* Chains of one place. */
static void stops_compare(struct symbolic *machine, struct stop *stops, size_t count) {
  for (size_t i = 0; i < count; i++)
    for (size_t k = i + 1; k < count && stops[k].place == stops[i].place; k++)
      if (!order_is_seen(&stops[i], &stops[k]) && stops[i].unmodelled == NULL &&
          order_matters(base_does(machine, stops[i].chain), base_does(machine, stops[k].chain)))
        stops[i].unmodelled = "chain of the same hook and priority as another, and one changes what the other reads";
}

static int stops_of_hook(struct symbolic *machine, const struct situation *situation, const struct hook_facts *hook,
                         int64_t before, struct stops *stops) {
  size_t first = stops->count;
  for (size_t i = 0; i < machine->ruleset->table_count; i++) {
    const struct live_table *table = &machine->ruleset->tables[i];
    for (size_t k = 0; k < table->chain_count && !table->dormant; k++) {
      const struct live_chain *chain = &table->chains[k];
      if (chain_is_there(chain, situation, hook) && chain->priority < before &&
          stops_add(machine, stops, chain, hook) < 0)
        return -1;
    }
  }
  if (stops->count == first)
    return 0;
  qsort(stops->items + first, stops->count - first, sizeof(*stops->items), stop_order);
  stops_compare(machine, stops->items + first, stops->count - first);
  return 0;
}

int order_make(struct symbolic *machine, const struct situation *situation, bool early, int32_t before_priority,
               struct stop **ret_stops, size_t *ret_count) {
  const struct path_facts *path = &PATHS[early ? PATH_INPUT : situation->path];
  struct stops stops = {NULL, 0, 0};
  for (size_t i = 0; i < path->count; i++) {
    const struct hook_facts *hook = &path->hooks[i];
    bool cut = early && hook->hook == NF_INET_PRE_ROUTING;
    if (early && hook->hook == NF_INET_LOCAL_IN)
      break;
    if (stops_of_hook(machine, situation, hook, cut ? before_priority : INT64_MAX, &stops) < 0)
      return -1;
  }
  *ret_stops = stops.items;
  *ret_count = stops.count;
  return 0;
}
