/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rules/compile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <linux/netfilter.h>

#include "rules/compile_parts.h"

/*
 * Theory of operation (docs/ruleset.md says what comes out and why).
 *
 * The base chains and the maps by which they dispatch are the same for every policy. Behind them stand, for each zone,
 * a guard; for each pair of zones that a flow joins (a link), the set of its flows in force, maps from openers to
 * flows, and two chains. This file prepares what all parts need and, when the parts are made, hangs them into the
 * dispatch maps.
 */
const struct ip_words ip_words[IP_COUNT_] = {
    [IP4] = {FAMILY_IPV4, '4', KEY_FIELD_IPV4, MATCH_IP4_SOURCE, MATCH_IP4_DESTINATION, MATCH_ORIGINAL_IP4_SOURCE,
             MATCH_ORIGINAL_IP4_DESTINATION, NFPROTO_IPV4, IPPROTO_ICMP, MATCH_ICMP_TYPE, KEY_FIELD_ICMP_TYPE},
    [IP6] = {FAMILY_IPV6, '6', KEY_FIELD_IPV6, MATCH_IP6_SOURCE, MATCH_IP6_DESTINATION, MATCH_ORIGINAL_IP6_SOURCE,
             MATCH_ORIGINAL_IP6_DESTINATION, NFPROTO_IPV6, IPPROTO_ICMPV6, MATCH_ICMPV6_TYPE, KEY_FIELD_ICMPV6_TYPE},
};

/* ---- small things that all parts use ---- */

size_t gateway_place(const struct compilation *compilation) {
  return compilation->policy->zone_count;
}

zone_index zone_of(const struct compilation *compilation, size_t place) {
  if (place == NO_PLACE)
    return ZONE_NONE;
  return place == gateway_place(compilation) ? ZONE_GATEWAY : (zone_index)place;
}

static size_t place_of(const struct compilation *compilation, zone_index zone) {
  return zone == ZONE_GATEWAY ? gateway_place(compilation) : (size_t)zone;
}

const char *zone_name_at(const struct compilation *compilation, size_t place) {
  return policy_zone_name(compilation->policy, zone_of(compilation, place));
}

const char *zone_label_at(const struct compilation *compilation, size_t place) {
  return policy_zone_label(compilation->policy, zone_of(compilation, place));
}

struct origin zone_origin_at(const struct compilation *compilation, size_t place) {
  if (place == gateway_place(compilation))
    return (struct origin){.subject = "gateway"};
  const struct zone *zone = &compilation->policy->zones[place];
  return (struct origin){.subject = zone->name, .place = zone->place};
}

struct origin flow_origin(const struct flow *flow) {
  return (struct origin){.subject = flow->name, .place = flow->place};
}

const char *denied_counter(struct compilation *compilation, size_t from, size_t to, const char *reason) {
  return builder_counter(&compilation->builder,
                         arena_printf(compilation->arena, "denied.%s.%s.%s", zone_name_at(compilation, from),
                                      zone_name_at(compilation, to), reason));
}

const char *address_interval_set(struct compilation *compilation, const char *name, enum ip_version version,
                                 const struct address_set *addresses) {
  struct set_draft *draft = builder_set(&compilation->builder, name, MAP_NONE,
                                        (const enum field_type[]){ip_words[version].address, KEY_FIELD_COUNT_});
  draft->set.interval = true;
  builder_add_ranges(&compilation->builder, draft, addresses, ip_words[version].family, NULL);
  return builder_seal_set(&compilation->builder, draft);
}

const char *zone_claims(struct compilation *compilation, size_t place, enum ip_version version) {
  struct zone_part *zone = &compilation->zones[place];
  if (zone->claims[version] == NULL)
    zone->claims[version] = address_interval_set(
        compilation,
        arena_printf(compilation->arena, "zone%c.%s", ip_words[version].digit, zone_name_at(compilation, place)),
        version, &zone->addresses);
  return zone->claims[version];
}

void interface_write(const struct set *set, struct element *element, size_t index, const char *interface) {
  enum { INTERFACE_SIZE = 16 };
  char name[INTERFACE_SIZE] = "";
  memcpy(name, interface, strnlen(interface, INTERFACE_SIZE - 1));
  key_write(set, element->key, index, name);
}

/* ---- links ---- */

/* One flow as a member of its link, for sorting. */
struct membership {
  size_t low, high;
  uint32_t side, flow;
};

static int compare_memberships(const void *left, const void *right) {
  const struct membership *first = left, *second = right;
  if (first->low != second->low)
    return first->low < second->low ? -1 : 1;
  if (first->high != second->high)
    return first->high < second->high ? -1 : 1;
  if (first->side != second->side)
    return first->side < second->side ? -1 : 1;
  return (first->flow > second->flow) - (first->flow < second->flow);
}

static bool low_first(const struct compilation *compilation, size_t left, size_t right) {
  if (left == gateway_place(compilation) || right == gateway_place(compilation))
    return right == gateway_place(compilation);
  return strcmp(zone_name_at(compilation, left), zone_name_at(compilation, right)) < 0;
}

static bool takes_part(const struct compilation *compilation, zone_index zone) {
  return zone == ZONE_GATEWAY || (zone >= 0 && compilation->policy->zones[zone].class != CLASS_UNROUTED);
}

static bool flow_takes_part(const struct compilation *compilation, const struct flow *flow) {
  if (compilation->closed && flow->from_zone != ZONE_GATEWAY && flow->to_zone != ZONE_GATEWAY)
    return false;
  return flow->from_zone != flow->to_zone && takes_part(compilation, flow->from_zone) &&
         takes_part(compilation, flow->to_zone);
}

static size_t list_memberships(const struct compilation *compilation, struct membership *members) {
  size_t count = 0;
  for (size_t i = 0; i < compilation->policy->flow_count; i++) {
    const struct flow *flow = &compilation->policy->flows[i];
    if (!flow_takes_part(compilation, flow))
      continue;
    size_t from = place_of(compilation, flow->from_zone), to = place_of(compilation, flow->to_zone);
    bool forward = low_first(compilation, from, to);
    members[count++] = (struct membership){forward ? from : to, forward ? to : from, forward ? 0 : 1, (uint32_t)i};
  }
  if (count > 0)
    qsort(members, count, sizeof *members, compare_memberships);
  return count;
}

static void join(struct compilation *compilation, const struct link *link) {
  compilation->zones[link->low].joined[link->high] = true;
  if (link->high != gateway_place(compilation))
    compilation->zones[link->high].joined[link->low] = true;
}

static int make_links(struct compilation *compilation) {
  size_t flow_count = compilation->policy == NULL ? 0 : compilation->policy->flow_count;
  struct membership *members = ARENA_ARRAY(compilation->arena, flow_count, struct membership);
  uint32_t *flows = ARENA_ARRAY(compilation->arena, flow_count, uint32_t);
  if (members == NULL || flows == NULL)
    return -ENOMEM;
  size_t count = flow_count == 0 ? 0 : list_memberships(compilation, members), capacity = 0;
  for (size_t i = 0; i < count; i++) {
    struct link *link = compilation->link_count == 0 ? NULL : &compilation->links[compilation->link_count - 1];
    if (link == NULL || link->low != members[i].low || link->high != members[i].high) {
      if (arena_grow(compilation->arena, (void **)&compilation->links, compilation->link_count, &capacity,
                     sizeof *compilation->links) < 0)
        return -ENOMEM;
      link = &compilation->links[compilation->link_count++];
      *link = (struct link){.low = members[i].low, .high = members[i].high};
      join(compilation, link);
    }
    flows[i] = members[i].flow;
    if (link->flow_counts[members[i].side]++ == 0)
      link->flows[members[i].side] = &flows[i];
  }
  return 0;
}

const struct link *link_between(const struct compilation *compilation, size_t from, size_t to, size_t *ret_side) {
  bool forward = low_first(compilation, from, to);
  size_t low = forward ? from : to, high = forward ? to : from;
  *ret_side = forward ? 0 : 1;
  size_t first = 0, end = compilation->link_count;
  while (first < end) {
    size_t middle = first + (end - first) / 2;
    const struct link *link = &compilation->links[middle];
    if (link->low == low && link->high == high)
      return link;
    if (link->low < low || (link->low == low && link->high < high))
      first = middle + 1;
    else
      end = middle;
  }
  return NULL;
}

/* ---- zones ---- */

static int list_pinned(const struct compilation *compilation, size_t place, struct address_set *ret_pinned) {
  struct address_range *ranges = NULL;
  size_t count = 0, capacity = 0;
  for (size_t i = 0; i < compilation->policy->host_count; i++) {
    const struct host *host = &compilation->policy->hosts[i];
    if (host->zone != (zone_index)place || host->mac_count == 0 || host->mac_scope != MAC_SCOPE_DIRECT)
      continue;
    for (size_t j = 0; j < host->address_count; j++) {
      if (arena_grow(compilation->arena, (void **)&ranges, count, &capacity, sizeof *ranges) < 0)
        return -ENOMEM;
      ranges[count++] = host->addresses[j].range;
    }
  }
  return address_set_build(compilation->arena, ranges, count, ret_pinned);
}

/* The default space never includes the gateway's addresses; a network on the wire does. */
static int list_claimed(const struct compilation *compilation, size_t place, struct address_set *ret_addresses) {
  const struct zone *zone = &compilation->policy->zones[place];
  struct address_set claimed, foreign_own;
  int status = policy_zone_addresses(compilation->policy, (zone_index)place, compilation->arena, &claimed);
  if (status == 0)
    status = address_set_subtract(compilation->arena, &compilation->own, &zone->local, &foreign_own);
  if (status == 0)
    status = address_set_subtract(compilation->arena, &claimed, &foreign_own, ret_addresses);
  return status;
}

static int make_zones(struct compilation *compilation) {
  size_t count = compilation->policy == NULL ? 0 : compilation->policy->zone_count;
  compilation->zones = ARENA_ARRAY(compilation->arena, count, struct zone_part);
  int status = compilation->zones == NULL ? -ENOMEM : 0;
  for (size_t i = 0; i < count && status == 0; i++) {
    struct zone_part *zone = &compilation->zones[i];
    zone->present = compilation->policy->zones[i].interface_count > 0;
    zone->joined = ARENA_ARRAY(compilation->arena, count + 1, bool);
    status = zone->joined == NULL ? -ENOMEM : list_claimed(compilation, i, &zone->addresses);
    if (status == 0)
      status = list_pinned(compilation, i, &zone->pinned);
  }
  return status;
}

/* A closed gate serves only the zones from which the gateway is managed. */
static void leave_out_zones(struct compilation *compilation) {
  for (size_t i = 0; compilation->closed && compilation->policy != NULL && i < compilation->policy->zone_count; i++)
    compilation->zones[i].present = compilation->zones[i].joined[gateway_place(compilation)];
}

static int list_broadcasts(const struct policy *policy, struct arena *arena, struct address_set *ret_broadcasts) {
  struct address_range *ranges = NULL;
  size_t count = 0, capacity = 0;
  for (size_t i = 0; i < policy->zone_count; i++)
    for (size_t j = 0; j < policy->zones[i].network_count; j++) {
      struct address broadcast;
      if (!range_broadcast(&policy->zones[i].networks[j].range, &broadcast))
        continue;
      if (arena_grow(arena, (void **)&ranges, count, &capacity, sizeof *ranges) < 0)
        return -ENOMEM;
      ranges[count++] = (struct address_range){broadcast, broadcast};
    }
  return address_set_build(arena, ranges, count, ret_broadcasts);
}

static int prepare(struct compilation *compilation) {
  if (compilation->options->own != NULL)
    compilation->own = *compilation->options->own;
  if (compilation->policy == NULL)
    return make_zones(compilation);
  uint32_t *marks = NULL;
  int status = flow_marks(compilation->policy, compilation->arena, &marks);
  compilation->marks = marks;
  if (status == 0)
    status = make_zones(compilation);
  if (status == 0)
    status = make_links(compilation);
  if (status == 0)
    status = list_broadcasts(compilation->policy, compilation->arena, &compilation->broadcasts);
  if (status == 0)
    status = policy_special_sources(compilation->policy, compilation->arena, &compilation->special_sources);
  if (status == 0)
    status = policy_special_destinations(compilation->policy, compilation->arena, &compilation->special_destinations);
  if (status == 0)
    leave_out_zones(compilation);
  return status;
}

/* ---- dispatch ---- */

enum { ONE_INTERFACE_ROOM = 4096, TWO_INTERFACES_ROOM = 16384 };

struct dispatch {
  struct compilation *compilation;
  struct set_draft *receiving, *entering, *leaving, *forwarding, *zoned;
};

static struct set_draft *dispatch_map(struct compilation *compilation, const char *name, enum map_data data,
                                      bool two_interfaces) {
  const enum field_type one[] = {KEY_FIELD_INTERFACE, KEY_FIELD_COUNT_},
                        two[] = {KEY_FIELD_INTERFACE, KEY_FIELD_INTERFACE, KEY_FIELD_COUNT_};
  struct set_draft *draft = builder_set(&compilation->builder, name, data, two_interfaces ? two : one);
  draft->set.size = two_interfaces ? TWO_INTERFACES_ROOM : ONE_INTERFACE_ROOM;
  return draft;
}

static struct dispatch dispatch_maps(struct compilation *compilation) {
  return (struct dispatch){
      .compilation = compilation,
      .receiving = dispatch_map(compilation, "receiving", MAP_VERDICT, false),
      .entering = dispatch_map(compilation, "entering", MAP_VERDICT, false),
      .leaving = dispatch_map(compilation, "leaving", MAP_VERDICT, false),
      .forwarding = dispatch_map(compilation, "forwarding", MAP_VERDICT, true),
      .zoned = dispatch_map(compilation, "zoned", MAP_NONE, false),
  };
}

static struct element *dispatch(struct dispatch *maps, struct set_draft *map, const char *interface, const char *out,
                                const char *chain) {
  struct element *element = builder_element(&maps->compilation->builder, map);
  interface_write(&map->set, element, 0, interface);
  if (out != NULL)
    interface_write(&map->set, element, 1, out);
  if (map->set.data == MAP_VERDICT) {
    element->verdict.code = chain == NULL ? VERDICT_ACCEPT : VERDICT_GOTO;
    element->verdict.chain = chain;
  }
  return element;
}

static void dispatch_loopback(struct dispatch *maps) {
  dispatch(maps, maps->receiving, "lo", NULL, NULL);
  dispatch(maps, maps->entering, "lo", NULL, NULL);
  dispatch(maps, maps->leaving, "lo", NULL, NULL);
}

/* Everything but forwarding for the interfaces of one zone. */
static void dispatch_zone(struct dispatch *maps, size_t place) {
  struct compilation *compilation = maps->compilation;
  const struct zone *zone = &compilation->policy->zones[place];
  const char *guard = compile_guard(compilation, place);
  const char *entering = compile_pair(compilation, place, gateway_place(compilation));
  const char *leaving = compile_pair(compilation, gateway_place(compilation), place);
  for (size_t i = 0; i < zone->interface_count; i++) {
    const char *interface = zone->interfaces[i].text;
    struct origin origin = zone_origin_at(compilation, place);
    dispatch(maps, maps->receiving, interface, NULL, guard)->origin = origin;
    dispatch(maps, maps->entering, interface, NULL, entering)->origin = origin;
    dispatch(maps, maps->leaving, interface, NULL, leaving)->origin = origin;
    dispatch(maps, maps->zoned, interface, NULL, NULL)->origin = origin;
  }
}

static void dispatch_pair(struct dispatch *maps, size_t from, size_t to) {
  struct compilation *compilation = maps->compilation;
  const struct zone *zones = compilation->policy->zones;
  const char *chain = compile_pair(compilation, from, to);
  for (size_t i = 0; i < zones[from].interface_count; i++)
    for (size_t j = 0; j < zones[to].interface_count; j++)
      dispatch(maps, maps->forwarding, zones[from].interfaces[i].text, zones[to].interfaces[j].text, chain)->origin =
          zone_origin_at(compilation, from);
}

/* Between interfaces of one zone: allowed where the zone says so, never back out of the same one. */
static void dispatch_within(struct dispatch *maps, size_t place) {
  struct compilation *compilation = maps->compilation;
  const struct zone *zone = &compilation->policy->zones[place];
  const char *refused = compile_pair(compilation, place, place);
  struct instant until;
  bool within = zone->interface_count > 1 && restricted_within(compilation->policy, compilation->options->restrictions,
                                                               (zone_index)place, compilation->options->now, &until);
  const char *allowed = within ? compile_within(compilation, place, until) : refused;
  for (size_t i = 0; i < zone->interface_count; i++)
    for (size_t j = 0; j < zone->interface_count; j++)
      dispatch(maps, maps->forwarding, zone->interfaces[i].text, zone->interfaces[j].text, i == j ? refused : allowed)
          ->origin = zone_origin_at(compilation, place);
}

/* A zone that is told of refusals is answered from a chain of its own, whatever zone it tried to reach. */
static void dispatch_told(struct dispatch *maps, size_t place) {
  struct compilation *compilation = maps->compilation;
  if (compilation->policy->zones[place].on_deny != ON_DENY_REJECT)
    return;
  for (size_t i = 0; i < compilation->policy->zone_count; i++)
    if (i != place && compilation->zones[i].present && !compilation->zones[place].joined[i])
      dispatch_pair(maps, place, i);
}

static void dispatch_zones(struct dispatch *maps) {
  struct compilation *compilation = maps->compilation;
  if (compilation->policy == NULL)
    return;
  for (size_t i = 0; i < compilation->policy->zone_count; i++)
    if (compilation->zones[i].present) {
      dispatch_zone(maps, i);
      if (compilation->closed)
        continue;
      dispatch_within(maps, i);
      dispatch_told(maps, i);
    }
  for (size_t i = 0; i < compilation->link_count; i++) {
    const struct link *link = &compilation->links[i];
    if (link->high == gateway_place(compilation) || !compilation->zones[link->low].present ||
        !compilation->zones[link->high].present)
      continue;
    dispatch_pair(maps, link->low, link->high);
    dispatch_pair(maps, link->high, link->low);
  }
}

static void seal_dispatch(struct dispatch *maps) {
  struct set_draft *all[] = {maps->receiving, maps->entering, maps->leaving, maps->forwarding, maps->zoned};
  for (size_t i = 0; i < sizeof all / sizeof(struct set_draft *); i++) {
    while (all[i]->set.size / 2 < all[i]->set.element_count)
      all[i]->set.size *= 4;
    builder_seal_set(&maps->compilation->builder, all[i]);
  }
}

/* ---- base chains: the same for every policy ---- */

static struct chain_draft *base_chain(struct compilation *compilation, const char *name, enum chain_hook hook,
                                      int priority, bool policy_drop) {
  struct chain_draft *draft = builder_chain(&compilation->builder, name, NULL);
  draft->chain.hook = hook;
  draft->chain.priority = priority;
  draft->chain.policy_drop = policy_drop;
  return draft;
}

/* Twice, for the same reason as the openers of a pair are judged twice: an element may be exchanged at that moment. */
static void base_dispatch(struct compilation *compilation, struct chain_draft *chain, const enum match *fields,
                          const char *map) {
  for (int i = 0; i < 2; i++) {
    struct rule_writer rule = rule_begin(&compilation->builder, chain);
    rule_verdict_map(&rule, fields, map);
    rule_end(&rule, VERDICT_NONE, NULL);
  }
}

static void base_drop(struct compilation *compilation, struct chain_draft *chain, const char *counter) {
  struct rule_writer rule = rule_begin(&compilation->builder, chain);
  rule_count(&rule, builder_counter(&compilation->builder, counter));
  rule_end(&rule, VERDICT_DROP, NULL);
}

static void base_neighbours(struct compilation *compilation, struct chain_draft *chain) {
  struct rule_writer rule = rule_begin(&compilation->builder, chain);
  rule_in(&rule, FIELDS(MATCH_ICMPV6_TYPE), compilation->neighbour_discovery);
  rule_equals(&rule, MATCH_IP6_HOP_LIMIT, (const uint8_t[]){255}, "255");
  rule_end(&rule, VERDICT_ACCEPT, NULL);
}

static void base_chains(struct compilation *compilation) {
  struct chain_draft *chain =
      base_chain(compilation, "prerouting", HOOK_PREROUTING, -450, true); /* before reassembly */
  base_dispatch(compilation, chain, FIELDS(MATCH_IIFNAME), "receiving");
  base_drop(compilation, chain, "guard.-.unknown-zone");
  chain = base_chain(compilation, "forward", HOOK_FORWARD, 0, true);
  base_dispatch(compilation, chain, FIELDS(MATCH_IIFNAME, MATCH_OIFNAME), "forwarding");
  compile_unjoined(compilation, chain);
  base_drop(compilation, chain, "denied.-.-.unknown-zone");
  chain = base_chain(compilation, "input", HOOK_INPUT, 0, true);
  base_neighbours(compilation, chain);
  base_dispatch(compilation, chain, FIELDS(MATCH_IIFNAME), "entering");
  base_drop(compilation, chain, "denied.-.gateway.unknown-zone");
  chain = base_chain(compilation, "output", HOOK_OUTPUT, 0, true);
  base_neighbours(compilation, chain);
  base_dispatch(compilation, chain, FIELDS(MATCH_OIFNAME), "leaving");
  base_drop(compilation, chain, "denied.gateway.-.unknown-zone");
}

/* ---- the whole ---- */

static void build(struct compilation *compilation) {
  struct dispatch maps = dispatch_maps(compilation);
  compile_guard_sets(compilation);
  compile_handshake(compilation);
  compile_links(compilation);
  dispatch_loopback(&maps);
  dispatch_zones(&maps);
  seal_dispatch(&maps);
  base_chains(compilation);
}

static int compile(const struct policy *policy, const struct compile_options *options, bool closed, struct arena *arena,
                   struct ruleset **ret_ruleset, struct error *error) {
  struct compilation compilation = {
      .policy = policy, .options = options, .closed = closed, .arena = arena, .error = error};
  builder_init(&compilation.builder, arena);
  int status = prepare(&compilation);
  if (status < 0)
    return error_set(error, -status, "no memory to compile the policy");
  build(&compilation);
  if (compilation.status < 0)
    return compilation.status;
  struct ruleset *ruleset = builder_finish(&compilation.builder);
  if (ruleset == NULL || arena_failed(arena))
    return error_set(error, ENOMEM, "no memory to compile the policy");
  *ret_ruleset = ruleset;
  return 0;
}

int ruleset_compile(const struct policy *policy, const struct compile_options *options, struct arena *arena,
                    struct ruleset **ret_ruleset, struct error *error) {
  return compile(policy, options, false, arena, ret_ruleset, error);
}

int ruleset_compile_closed(const struct policy *policy, const struct compile_options *options, struct arena *arena,
                           struct ruleset **ret_ruleset, struct error *error) {
  return compile(policy, options, true, arena, ret_ruleset, error);
}

const char *in_force_set_name(const struct policy *policy, zone_index left, zone_index right, struct arena *arena) {
  const struct compilation compilation = {.policy = policy};
  bool forward = low_first(&compilation, place_of(&compilation, left), place_of(&compilation, right));
  return arena_printf(arena, "in_force.%s.%s", policy_zone_name(policy, forward ? left : right),
                      policy_zone_name(policy, forward ? right : left));
}

bool denied_counter_parse(const char *name, struct arena *arena, const char **ret_from, const char **ret_to,
                          const char **ret_reason) {
  bool guard = strncmp(name, "guard.", strlen("guard.")) == 0;
  if (!guard && strncmp(name, "denied.", strlen("denied.")) != 0)
    return false;
  const char *from = strchr(name, '.') + 1, *from_end = strchr(from, '.');
  const char *to = guard ? from_end : from_end == NULL ? NULL : from_end + 1;
  const char *to_end = guard || to == NULL ? from_end : strchr(to, '.');
  if (from_end == NULL || to_end == NULL)
    return false;
  *ret_from = arena_strndup(arena, from, (size_t)(from_end - from));
  *ret_to = arena_strndup(arena, to, (size_t)(to_end - to));
  *ret_reason = arena_strdup(arena, to_end + 1);
  return !arena_failed(arena);
}
