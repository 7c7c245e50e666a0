/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <linux/netfilter.h>

#include "rules/compile_parts.h"

/*
 * Theory of operation.
 *
 * Every guard stands twice. The fast form accepts what is beyond doubt: a source in the set of the zone's lawful
 * senders, a destination in the set of what the zone may speak to at all, no options, a plain protocol. Those sets are
 * worked out here, so that no rule needs to ask for special, own, broadcast or pinned addresses one by one. In the same
 * way it refuses the usual forgery. All else goes to the refusal chain, which walks the reasons in the order of the
 * guard table, and ends in accept.
 *
 * What an emergency cut concerns is beyond doubt for nobody: cut sources and destinations are taken out of the sets of
 * the fast form, and the refusal chain asks for them behind mac-mismatch. Only the bindings of pinned hosts know
 * nothing of cuts; a rule before them does.
 */
static const uint8_t tunnel_protocols[] = {4, 41, 47, 50, 51, 94, 97, 98, 115};

struct guard {
  struct compilation *compilation;
  size_t place;
  enum ip_version version;
  const char *sources, *foreign, *destinations;
  const char *cut_sources, *cut_destinations;    /* NULL where nothing is cut */
  const char *pinned, *binding, *binding_ranges; /* NULL where no host is pinned (that way) */
  bool bindings_suffice;                         /* to call a source lawful */
  struct guard_view view;
  const char *refusals; /* the chain of that name */
  struct chain_draft *chain;
};

/* ---- tunnels that flows name: one bit for each protocol, and one for Teredo ---- */

enum { TUNNEL_COUNT = sizeof tunnel_protocols, TEREDO_BIT = TUNNEL_COUNT };

static uint32_t tunnels_of(const struct service *service) {
  if (service->protocol == IPPROTO_UDP)
    return service->first_port <= TEREDO_PORT && service->last_port >= TEREDO_PORT ? UINT32_C(1) << TEREDO_BIT : 0;
  const uint8_t *found = memchr(tunnel_protocols, service->protocol, TUNNEL_COUNT);
  return found == NULL ? 0 : UINT32_C(1) << (found - tunnel_protocols);
}

static void find_tunnels(struct compilation *compilation) {
  for (size_t i = 0; i < compilation->link_count; i++) {
    struct link *link = &compilation->links[i];
    for (size_t side = 0; side < 2; side++)
      for (size_t j = 0; j < link->flow_counts[side]; j++) {
        const struct flow *flow = &compilation->policy->flows[link->flows[side][j]];
        for (size_t k = 0; k < flow->service_count; k++)
          link->tunnels |= tunnels_of(&flow->services[k]);
      }
  }
}

/* ---- sets ---- */

static const char *value_set(struct compilation *compilation, const char *name, enum field_type field,
                             const uint8_t *values, size_t count) {
  struct set_draft *draft =
      builder_set(&compilation->builder, name, MAP_NONE, (const enum field_type[]){field, KEY_FIELD_COUNT_});
  for (size_t i = 0; i < count; i++)
    builder_element(&compilation->builder, draft)->key[0] = values[i];
  draft->set.size = builder_room(count);
  return builder_seal_set(&compilation->builder, draft);
}

/* A hash set with every single address of the ranges (they are single addresses). */
static const char *address_hash_set(struct compilation *compilation, const char *name, enum ip_version version,
                                    const struct address_set *addresses) {
  struct set_draft *draft = builder_set(&compilation->builder, name, MAP_NONE,
                                        (const enum field_type[]){ip_words[version].address, KEY_FIELD_COUNT_});
  for (size_t i = 0; i < addresses->count; i++)
    for (struct address at = addresses->ranges[i].first; at.family == ip_words[version].family;) {
      key_write(&draft->set, builder_element(&compilation->builder, draft)->key, 0, at.bytes);
      if (address_equal(&at, &addresses->ranges[i].last) || !address_next(&at, &at))
        break;
    }
  return builder_seal_set(&compilation->builder, draft);
}

static const char *name_for(struct compilation *compilation, const char *kind, enum ip_version version, size_t place) {
  return arena_printf(compilation->arena, "%s%c.%s", kind, ip_words[version].digit, zone_name_at(compilation, place));
}

void compile_guard_sets(struct compilation *compilation) {
  static const uint8_t passing4[] = {0, 3, 8, 11, 12}, errors4[] = {3, 11, 12};
  static const uint8_t passing6[] = {1, 2, 3, 4, 128, 129}, errors6[] = {1, 2, 3, 4}, neighbours[] = {135, 136};
  compilation->neighbour_discovery =
      value_set(compilation, "neighbour_discovery", KEY_FIELD_ICMPV6_TYPE, neighbours, sizeof neighbours);
  compilation->icmp_errors[IP4] = value_set(compilation, "icmp_errors4", KEY_FIELD_ICMP_TYPE, errors4, sizeof errors4);
  compilation->icmp_errors[IP6] =
      value_set(compilation, "icmp_errors6", KEY_FIELD_ICMPV6_TYPE, errors6, sizeof errors6);
  compilation->icmp_passing[IP4] =
      value_set(compilation, "icmp_passing4", KEY_FIELD_ICMP_TYPE, passing4, sizeof passing4);
  compilation->icmp_passing[IP6] =
      value_set(compilation, "icmp_passing6", KEY_FIELD_ICMPV6_TYPE, passing6, sizeof passing6);
  if (compilation->policy == NULL)
    return;
  find_tunnels(compilation);
  compilation->tunnels =
      value_set(compilation, "tunnel_protocols", KEY_FIELD_PROTOCOL, tunnel_protocols, sizeof tunnel_protocols);
  compilation->broadcast_set = address_hash_set(compilation, "broadcast4", IP4, &compilation->broadcasts);
  struct address_set zoned = all_claimed(compilation);
  /* Loopback's own 127/8 is special before it is own; without it the set has one element per address. */
  struct address_set own = addresses_without(compilation, compilation->own, &compilation->special_sources);
  for (enum ip_version version = IP4; version < IP_COUNT_; version++) {
    bool four = version == IP4;
    compilation->own_set[version] = address_hash_set(compilation, four ? "own4" : "own6", version, &own);
    compilation->zoned_set[version] = address_interval_set(compilation, four ? "zoned4" : "zoned6", version, &zoned);
    compilation->special_source_set[version] = address_interval_set(
        compilation, four ? "special_source4" : "special_source6", version, &compilation->special_sources);
    compilation->special_destination_set[version] =
        address_interval_set(compilation, four ? "special_destination4" : "special_destination6", version,
                             &compilation->special_destinations);
  }
}

/* Broadcast addresses of the zone's own networks left out. */
static struct address_set foreign_broadcasts(struct compilation *compilation, size_t place) {
  const struct zone *zone = &compilation->policy->zones[place];
  struct address_range *own = ARENA_ARRAY(compilation->arena, zone->network_count, struct address_range);
  size_t count = 0;
  for (size_t i = 0; own != NULL && i < zone->network_count; i++)
    if (range_broadcast(&zone->networks[i].range, &own[count].first)) {
      own[count].last = own[count].first;
      count++;
    }
  struct address_set mine = addresses_of(compilation, own, count);
  return addresses_without(compilation, compilation->broadcasts, &mine);
}

/* What no reason before mac-mismatch holds against. */
static struct address_set lawful_sources(struct compilation *compilation, size_t place) {
  struct address_set lawful =
      addresses_without(compilation, compilation->zones[place].addresses, &compilation->special_sources);
  lawful = addresses_without(compilation, lawful, &compilation->own);
  return addresses_without(compilation, lawful, &compilation->broadcasts);
}

/* What no reason before spoofed-source holds against, but that one does. */
static struct address_set foreign_sources(struct compilation *compilation, size_t place) {
  struct address_set foreign =
      addresses_without(compilation, every_address(compilation), &compilation->zones[place].addresses);
  foreign = addresses_without(compilation, foreign, &compilation->special_sources);
  foreign = addresses_without(compilation, foreign, &compilation->own);
  return addresses_without(compilation, foreign, &compilation->broadcasts);
}

/* Where a packet of the zone may go as far as the early guard is concerned. */
static struct address_set lawful_destinations(struct compilation *compilation, size_t place) {
  const struct zone_part *part = &compilation->zones[place];
  bool told = compilation->policy->zones[place].on_deny == ON_DENY_REJECT;
  struct address_set lawful = part->addresses;
  for (size_t i = 0; i < compilation->policy->zone_count; i++)
    if (part->joined[i] || told)
      lawful = addresses_with(compilation, lawful, &compilation->zones[i].addresses);
  if (told)
    lawful = addresses_with(compilation, lawful, &compilation->own);
  struct address_set foreign = foreign_broadcasts(compilation, place);
  lawful = addresses_without(compilation, lawful, &compilation->special_destinations);
  return addresses_without(compilation, lawful, &foreign);
}

/* Where no flow leads, for no reason before that. */
static struct address_set unjoined_destinations(struct compilation *compilation, size_t place,
                                                const struct address_set *lawful, const struct address_set *cut) {
  struct address_set foreign = foreign_broadcasts(compilation, place);
  struct address_set unjoined = addresses_without(compilation, all_claimed(compilation), lawful);
  unjoined = addresses_without(compilation, unjoined, cut);
  unjoined = addresses_without(compilation, unjoined, &compilation->special_destinations);
  return addresses_without(compilation, unjoined, &foreign);
}

/* ---- pinned hosts ---- */

struct pin {
  struct mac mac;
  struct address_range range;
};

static int compare_pins(const void *left, const void *right) {
  return memcmp(((const struct pin *)left)->mac.bytes, ((const struct pin *)right)->mac.bytes, sizeof(struct mac));
}

static struct pin *list_pins(struct compilation *compilation, size_t place, size_t *ret_count) {
  struct pin *pins = NULL;
  size_t capacity = 0;
  *ret_count = 0;
  for (size_t i = 0; i < compilation->policy->host_count; i++) {
    const struct host *host = &compilation->policy->hosts[i];
    if (host->zone != (zone_index)place || host->mac_scope != MAC_SCOPE_DIRECT)
      continue;
    for (size_t j = 0; j < host->mac_count * host->address_count; j++) {
      if (arena_grow(compilation->arena, (void **)&pins, *ret_count, &capacity, sizeof *pins) < 0) {
        compilation->builder.failed = true;
        return NULL;
      }
      pins[(*ret_count)++] = (struct pin){host->macs[j % host->mac_count], host->addresses[j / host->mac_count].range};
    }
  }
  if (*ret_count > 0)
    qsort(pins, *ret_count, sizeof *pins, compare_pins);
  return pins;
}

static void add_binding(struct compilation *compilation, struct set_draft *draft, const struct address_range *range,
                        const struct mac *mac) {
  struct element *element = builder_element(&compilation->builder, draft);
  key_write(&draft->set, element->key, 0, range->first.bytes);
  key_write(&draft->set, element->key, 1, mac->bytes);
  key_write(&draft->set, element->key_end, 0, range->last.bytes);
  key_write(&draft->set, element->key_end, 1, mac->bytes);
}

/* All addresses bound to one MAC: single ones into the hash set, the others into the interval set. */
static void bind_mac(struct guard *guard, struct set_draft *exact, struct set_draft *ranges, const struct pin *pins,
                     size_t count) {
  struct compilation *compilation = guard->compilation;
  struct address_range *bound = ARENA_ARRAY(compilation->arena, count, struct address_range);
  for (size_t i = 0; bound != NULL && i < count; i++)
    bound[i] = pins[i].range;
  struct address_set set = addresses_of(compilation, bound, bound == NULL ? 0 : count);
  for (size_t i = 0; i < set.count; i++)
    if (set.ranges[i].first.family == ip_words[guard->version].family)
      add_binding(compilation, address_equal(&set.ranges[i].first, &set.ranges[i].last) ? exact : ranges,
                  &set.ranges[i], &pins->mac);
}

static void drop_empty_draft(struct compilation *compilation, const struct set_draft *draft) {
  struct builder *builder = &compilation->builder;
  for (size_t i = builder->set_count; i-- > 0;)
    if (builder->sets[i] == draft) {
      builder->sets[i] = builder->sets[--builder->set_count];
      return;
    }
}

static void compile_bindings(struct guard *guard) {
  struct compilation *compilation = guard->compilation;
  const enum field_type fields[] = {ip_words[guard->version].address, KEY_FIELD_ETHER, KEY_FIELD_COUNT_};
  struct set_draft *exact = builder_set(
      &compilation->builder, name_for(compilation, "binding", guard->version, guard->place), MAP_NONE, fields);
  struct set_draft *ranges = builder_set(
      &compilation->builder, name_for(compilation, "binding_range", guard->version, guard->place), MAP_NONE, fields);
  ranges->set.interval = true;
  size_t count;
  const struct pin *pins = list_pins(compilation, guard->place, &count);
  for (size_t first = 0, end = 0; pins != NULL && first < count; first = end) {
    while (end < count && mac_equal(&pins[end].mac, &pins[first].mac))
      end++;
    bind_mac(guard, exact, ranges, &pins[first], end - first);
  }
  if (exact->set.element_count > 0)
    guard->binding = builder_seal_set(&compilation->builder, exact);
  else
    drop_empty_draft(compilation, exact);
  if (ranges->set.element_count > 0)
    guard->binding_ranges = builder_seal_set(&compilation->builder, ranges);
  else
    drop_empty_draft(compilation, ranges);
  if (guard->binding != NULL || guard->binding_ranges != NULL)
    guard->pinned = address_interval_set(compilation, name_for(compilation, "pinned", guard->version, guard->place),
                                         guard->version, &compilation->zones[guard->place].pinned);
}

/* ---- the fast form ---- */

static struct rule_writer begin(struct guard *guard) {
  struct rule_writer rule = rule_begin(&guard->compilation->builder, guard->chain);
  rule.origin = zone_origin_at(guard->compilation, guard->place);
  return rule;
}

static void go_to(struct guard *guard, const char *chain) {
  struct rule_writer rule = begin(guard);
  rule_end(&rule, VERDICT_GOTO, chain);
}

/* Plain TCP or UDP to where the zone may speak to. IPv4 is without options by now. */
static void accept_plain(struct guard *guard, uint8_t protocol) {
  uint16_t teredo = htons(TEREDO_PORT);
  struct rule_writer rule = begin(guard);
  if (guard->version == IP4)
    rule_transport(&rule, protocol);
  else
    rule_equals(&rule, MATCH_IP6_NEXT_HEADER, &protocol, protocol == IPPROTO_TCP ? "tcp" : "udp");
  rule_in(&rule, FIELDS(ip_words[guard->version].destination), guard->destinations);
  if (protocol == IPPROTO_UDP)
    rule_differs(&rule, MATCH_UDP_DESTINATION, &teredo, "3544");
  rule_end(&rule, VERDICT_ACCEPT, NULL);
}

/* The chain for packets whose sender is beyond doubt. */
static const char *compile_sent(const struct guard *outer) {
  struct guard guard = *outer;
  struct compilation *compilation = guard.compilation;
  guard.chain = builder_chain(&compilation->builder, name_for(compilation, "sent", guard.version, guard.place),
                              zone_label_at(compilation, guard.place));
  accept_plain(&guard, IPPROTO_TCP);
  accept_plain(&guard, IPPROTO_UDP);
  go_to(&guard, guard.refusals);
  return builder_seal_chain(&compilation->builder, guard.chain);
}

/* From the first to the last pinned address: two comparisons keep most packets from the costly look at the MAC. */
void guard_narrow_to_pinned(struct compilation *compilation, size_t place, enum ip_version version,
                            struct rule_writer *rule) {
  const struct address_set *pinned = &compilation->zones[place].pinned;
  const struct ip_words *words = &ip_words[version];
  const struct address *first = NULL, *last = NULL;
  for (size_t i = 0; i < pinned->count; i++)
    if (pinned->ranges[i].first.family == words->family) {
      first = first == NULL ? &pinned->ranges[i].first : first;
      last = &pinned->ranges[i].last;
    }
  if (first == NULL)
    return;
  char first_text[ADDRESS_TEXT_SIZE], last_text[ADDRESS_TEXT_SIZE];
  address_format(first, first_text);
  address_format(last, last_text);
  if (address_equal(first, last))
    rule_equals(rule, words->source, first->bytes, first_text);
  else
    rule_between(rule, words->source, first->bytes, first_text, last->bytes, last_text);
}

static void go_on_if_lawful(struct guard *guard, const char *sent) {
  struct rule_writer rule = begin(guard);
  rule_in(&rule, FIELDS(ip_words[guard->version].source), guard->sources);
  rule_end(&rule, VERDICT_GOTO, sent);
}

static void go_on_if_bound(struct guard *guard, const char *binding, const char *sent) {
  if (binding == NULL || !guard->bindings_suffice)
    return;
  struct rule_writer rule = begin(guard);
  guard_narrow_to_pinned(guard->compilation, guard->place, guard->version, &rule);
  rule_in(&rule, FIELDS(ip_words[guard->version].source, MATCH_ETHER_SOURCE), binding);
  rule_end(&rule, VERDICT_GOTO, sent);
}

/* The bindings below know nothing of cuts. */
static void stop_cut_bindings(struct guard *guard) {
  if (guard->cut_sources == NULL || guard->pinned == NULL)
    return;
  struct rule_writer rule = begin(guard);
  rule_in(&rule, FIELDS(ip_words[guard->version].source), guard->cut_sources);
  rule_end(&rule, VERDICT_GOTO, guard->refusals);
}

/* A binding says nothing about special, own or broadcast addresses; it may stand here only if no pinned one is such. */
static bool pinned_is_lawful(struct guard *guard, const struct address_set *lawful) {
  struct address_set doubtful =
      addresses_without(guard->compilation, guard->compilation->zones[guard->place].pinned, lawful);
  return doubtful.count == 0;
}

/* ---- the refusal chain ---- */

static void refuse(struct guard *guard, struct rule_writer *rule, const char *reason) {
  struct compilation *compilation = guard->compilation;
  rule_count(rule,
             builder_counter(&compilation->builder, arena_printf(compilation->arena, "guard.%s.%s",
                                                                 zone_name_at(compilation, guard->place), reason)));
  end_denial(compilation, rule, reason);
}

/*
 * The usual forgery is refused at once: no reason that comes before spoofed-source in the table holds against these
 * sources, nor against a destination to which the zone may speak.
 */
static void refuse_foreign(struct guard *guard) {
  const struct ip_words *words = &ip_words[guard->version];
  struct rule_writer rule = begin(guard);
  rule_in(&rule, FIELDS(words->source), guard->foreign);
  rule_in(&rule, FIELDS(words->destination), guard->destinations);
  refuse(guard, &rule, "spoofed-source");
}

static void refuse_in(struct guard *guard, enum match field, const char *set, const char *reason) {
  struct rule_writer rule = begin(guard);
  rule_in(&rule, FIELDS(field), set);
  refuse(guard, &rule, reason);
}

static void refuse_not_in(struct guard *guard, enum match field, const char *set, const char *reason) {
  struct rule_writer rule = begin(guard);
  rule_not_in(&rule, FIELDS(field), set);
  refuse(guard, &rule, reason);
}

static void refuse_addresses(struct guard *guard) {
  struct compilation *compilation = guard->compilation;
  const struct ip_words *words = &ip_words[guard->version];
  refuse_in(guard, words->source, compilation->special_source_set[guard->version], "special-source");
  refuse_in(guard, words->destination, compilation->special_destination_set[guard->version], "special-destination");
  refuse_in(guard, words->source, compilation->own_set[guard->version], "own-source");
  if (guard->version == IP4) {
    struct address_set foreign = foreign_broadcasts(compilation, guard->place);
    refuse_in(guard, words->source, compilation->broadcast_set, "broadcast-source");
    refuse_in(
        guard, words->destination,
        address_hash_set(compilation, name_for(compilation, "foreign_broadcast", IP4, guard->place), IP4, &foreign),
        "directed-broadcast");
  }
  refuse_not_in(guard, words->source, zone_claims(compilation, guard->place, guard->version), "spoofed-source");
}

static void return_bound(struct guard *guard, const char *binding) {
  struct rule_writer rule = begin(guard);
  rule_in(&rule, FIELDS(ip_words[guard->version].source, MATCH_ETHER_SOURCE), binding);
  rule_end(&rule, VERDICT_RETURN, NULL);
}

/* A chain of its own: what has no Ethernet header at all must not slip past a rule that looks at it. */
static const char *compile_bound(const struct guard *outer) {
  struct guard guard = *outer;
  struct compilation *compilation = guard.compilation;
  guard.chain = builder_chain(&compilation->builder, name_for(compilation, "bound", guard.version, guard.place),
                              zone_label_at(compilation, guard.place));
  if (guard.binding != NULL)
    return_bound(&guard, guard.binding);
  if (guard.binding_ranges != NULL)
    return_bound(&guard, guard.binding_ranges);
  struct rule_writer rule = begin(&guard);
  refuse(&guard, &rule, "mac-mismatch");
  return builder_seal_chain(&compilation->builder, guard.chain);
}

static void refuse_mac(struct guard *guard) {
  if (guard->pinned == NULL)
    return;
  struct rule_writer rule = begin(guard);
  rule_in(&rule, FIELDS(ip_words[guard->version].source), guard->pinned);
  rule_end(&rule, VERDICT_JUMP, compile_bound(guard));
}

static void refuse_cut(struct guard *guard) {
  if (guard->cut_sources != NULL)
    refuse_in(guard, ip_words[guard->version].source, guard->cut_sources, "cut");
  if (guard->cut_destinations != NULL)
    refuse_in(guard, ip_words[guard->version].destination, guard->cut_destinations, "cut");
}

static void refuse_options(struct guard *guard) {
  struct rule_writer rule = begin(guard);
  if (guard->version == IP4) {
    rule_differs(&rule, MATCH_IP4_HEADER_LENGTH, (const uint8_t[]){5}, "5");
    refuse(guard, &rule, "ip-options");
    return;
  }
  rule_equals(&rule, MATCH_IP6_ROUTING_TYPE, (const uint8_t[]){0}, "0");
  refuse(guard, &rule, "ip-options");
  rule = begin(guard);
  rule_equals(&rule, MATCH_IP6_HOP_BY_HOP, (const uint8_t[]){1}, "exists");
  refuse(guard, &rule, "ip-options");
}

/* ---- tunnels ---- */

static void return_named(struct guard *guard, uint8_t protocol, const char *destinations) {
  struct rule_writer rule = begin(guard);
  rule_transport(&rule, protocol);
  rule_in(&rule, FIELDS(ip_words[guard->version].destination), destinations);
  rule_end(&rule, VERDICT_RETURN, NULL);
}

static void return_later_fragments(struct guard *guard) {
  struct rule_writer rule = begin(guard);
  if (guard->version == IP6) /* nft would put this check here by itself */
    rule_equals(&rule, MATCH_NFPROTO, (const uint8_t[]){NFPROTO_IPV6}, "ipv6");
  rule_transport(&rule, IPPROTO_UDP);
  rule_differs(&rule, guard->version == IP4 ? MATCH_IP4_FRAGMENT_OFFSET : MATCH_IP6_FRAGMENT_OFFSET,
               (const uint8_t[]){0, 0}, "0");
  rule_end(&rule, VERDICT_RETURN, NULL);
}

/* Tunnels that a flow of the zone names return from this chain, towards the zone at the other end of the flow. */
static const char *compile_tunnels(const struct guard *outer) {
  struct guard guard = *outer;
  struct compilation *compilation = guard.compilation;
  guard.chain = builder_chain(&compilation->builder, name_for(compilation, "tunnel", guard.version, guard.place),
                              zone_label_at(compilation, guard.place));
  return_later_fragments(&guard);
  for (size_t i = 0; i < compilation->link_count; i++) {
    const struct link *link = &compilation->links[i];
    if (link->low != guard.place && link->high != guard.place)
      continue;
    size_t other = link->low == guard.place ? link->high : link->low;
    for (size_t bit = 0; bit <= TEREDO_BIT; bit++)
      if (link->tunnels >> bit & 1)
        return_named(&guard, bit == TEREDO_BIT ? IPPROTO_UDP : tunnel_protocols[bit],
                     other == gateway_place(compilation) ? compilation->own_set[guard.version]
                                                         : zone_claims(compilation, other, guard.version));
  }
  struct rule_writer rule = begin(&guard);
  refuse(&guard, &rule, "tunnel");
  return builder_seal_chain(&compilation->builder, guard.chain);
}

static void refuse_tunnels(struct guard *guard) {
  const char *chain = compile_tunnels(guard);
  uint16_t teredo = htons(TEREDO_PORT);
  struct rule_writer rule = begin(guard);
  rule_in(&rule, FIELDS(MATCH_L4PROTO), guard->compilation->tunnels);
  rule_end(&rule, VERDICT_JUMP, chain);
  rule = begin(guard);
  rule_equals(&rule, MATCH_UDP_DESTINATION, &teredo, "3544");
  rule_end(&rule, VERDICT_JUMP, chain);
}

static void match_fragment(const struct guard *guard, struct rule_writer *rule) {
  if (guard->version == IP4)
    rule_differs(rule, MATCH_IP4_FRAGMENT, (const uint8_t[]){0, 0}, "0");
  else
    rule_equals(rule, MATCH_IP6_FRAGMENT, (const uint8_t[]){1}, "exists");
}

/* RFC 6980. It was counted as a fragment when it came; without the first one the others wait in vain. */
static void refuse_discovery_in_fragments(struct guard *guard) {
  if (guard->version == IP4)
    return;
  struct rule_writer rule = begin(guard);
  rule_in(&rule, FIELDS(MATCH_ICMPV6_TYPE), guard->compilation->neighbour_discovery);
  match_fragment(guard, &rule);
  end_denial(guard->compilation, &rule, "fragment");
}

/* A later fragment does not say of what type it is. */
static void accept_errors(struct guard *guard) {
  struct compilation *compilation = guard->compilation;
  struct rule_writer rule = begin(guard);
  if (guard->version == IP4) {
    rule_transport(&rule, IPPROTO_ICMP);
    rule_equals(&rule, MATCH_IP4_FRAGMENT_OFFSET, (const uint8_t[]){0, 0}, "0");
  }
  rule_in(&rule, FIELDS(ip_words[guard->version].icmp_type), compilation->icmp_errors[guard->version]);
  rule_end(&rule, VERDICT_ACCEPT, NULL);
}

static void refuse_unjoined(struct guard *guard) {
  struct compilation *compilation = guard->compilation;
  const struct ip_words *words = &ip_words[guard->version];
  refuse_not_in(guard, words->destination, compilation->zoned_set[guard->version], "unknown-zone");
  accept_errors(guard);
  refuse_not_in(guard, words->destination, guard->destinations, "no-flow");
  struct rule_writer rule = begin(guard);
  rule_end(&rule, VERDICT_ACCEPT, NULL);
}

static const char *compile_refusals(const struct guard *outer) {
  struct guard guard = *outer;
  guard.chain =
      builder_chain(&guard.compilation->builder, name_for(guard.compilation, "refuse", guard.version, guard.place),
                    zone_label_at(guard.compilation, guard.place));
  refuse_addresses(&guard);
  refuse_mac(&guard);
  refuse_cut(&guard);
  refuse_options(&guard);
  refuse_discovery_in_fragments(&guard);
  refuse_tunnels(&guard);
  refuse_unjoined(&guard);
  return builder_seal_chain(&guard.compilation->builder, guard.chain);
}

/* ---- whole guards ---- */

static void accept_neighbours(struct guard *guard) {
  struct rule_writer rule = begin(guard);
  rule_in(&rule, FIELDS(MATCH_ICMPV6_TYPE), guard->compilation->neighbour_discovery);
  rule_equals(&rule, MATCH_IP6_HOP_LIMIT, (const uint8_t[]){255}, "255");
  rule_equals(&rule, MATCH_IP6_FRAGMENT, (const uint8_t[]){0}, "missing");
  rule_end(&rule, VERDICT_ACCEPT, NULL);
}

static const char *cut_set(const struct guard *guard, const char *kind, const struct address_set *cut) {
  struct compilation *compilation = guard->compilation;
  if (!has_version(cut, guard->version))
    return NULL;
  return address_interval_set(compilation, name_for(compilation, kind, guard->version, guard->place), guard->version,
                              cut);
}

/* Everything to which the rules of the guard refer. */
static struct guard prepare_guard(struct compilation *compilation, size_t place, enum ip_version version) {
  struct guard guard = {.compilation = compilation, .place = place, .version = version};
  struct address_set lawful = lawful_sources(compilation, place);
  struct address_set unpinned = addresses_without(compilation, lawful, &compilation->zones[place].pinned);
  struct address_set foreign = foreign_sources(compilation, place);
  struct address_set destinations = lawful_destinations(compilation, place);
  struct address_set no_sources = cut_sources(compilation, place);
  struct address_set no_destinations = cut_destinations(compilation, place);
  unpinned = addresses_without(compilation, unpinned, &no_sources);
  destinations = addresses_without(compilation, destinations, &no_destinations);
  guard.cut_sources = cut_set(&guard, "cut_source", &no_sources);
  guard.cut_destinations = cut_set(&guard, "cut_destination", &no_destinations);
  guard.sources =
      address_interval_set(compilation, name_for(compilation, "source", version, place), version, &unpinned);
  guard.foreign =
      address_interval_set(compilation, name_for(compilation, "foreign", version, place), version, &foreign);
  guard.destinations =
      address_interval_set(compilation, name_for(compilation, "destination", version, place), version, &destinations);
  guard.bindings_suffice = pinned_is_lawful(&guard, &lawful);
  compile_bindings(&guard);
  guard.refusals = compile_refusals(&guard);
  guard.view = (struct guard_view){
      .refusals = guard.refusals,
      .binding = guard.bindings_suffice && guard.cut_sources == NULL ? guard.binding : NULL,
      .sources = unpinned,
      .destinations = destinations,
      .unjoined = unjoined_destinations(compilation, place, &destinations, &no_destinations),
      .foreign = foreign,
  };
  return guard;
}

static void go_on(struct guard *guard, const char *sent) {
  go_on_if_lawful(guard, sent);
  stop_cut_bindings(guard);
  go_on_if_bound(guard, guard->binding, sent);
  go_on_if_bound(guard, guard->binding_ranges, sent);
}

static void count_fragments(struct guard *guard) {
  struct compilation *compilation = guard->compilation;
  struct rule_writer rule = begin(guard);
  match_fragment(guard, &rule);
  rule_count(&rule, builder_counter(&compilation->builder, arena_printf(compilation->arena, "guard.%s.fragment",
                                                                        zone_name_at(compilation, guard->place))));
  rule_end(&rule, VERDICT_NONE, NULL);
}

static const char *compile_guard6(struct compilation *compilation, size_t place) {
  struct guard guard = prepare_guard(compilation, place, IP6);
  guard.chain = builder_chain(&compilation->builder, name_for(compilation, "guard", IP6, place),
                              zone_label_at(compilation, place));
  const char *sent = compile_sent(&guard);
  count_fragments(&guard);
  accept_neighbours(&guard);
  go_on(&guard, sent);
  refuse_foreign(&guard);
  go_to(&guard, guard.refusals);
  return builder_seal_chain(&compilation->builder, guard.chain);
}

/* For what does not begin with version 4 and a header of five words (IPv6, IPv4 with options), and for fragments. */
static const char *compile_odd(const struct guard *outer) {
  struct guard guard = *outer;
  struct compilation *compilation = guard.compilation;
  const char *name = arena_printf(compilation->arena, "odd.%s", zone_name_at(compilation, guard.place));
  guard.chain = builder_chain(&compilation->builder, name, zone_label_at(compilation, guard.place));
  struct rule_writer rule = begin(&guard);
  rule_equals(&rule, MATCH_NFPROTO, (const uint8_t[]){NFPROTO_IPV6}, "ipv6");
  rule_end(&rule, VERDICT_GOTO, compile_guard6(compilation, guard.place));
  count_fragments(&guard);
  go_to(&guard, guard.refusals);
  return builder_seal_chain(&compilation->builder, guard.chain);
}

static void send_odd_away(struct guard *guard) {
  const char *odd = compile_odd(guard);
  struct rule_writer rule = begin(guard);
  rule_differs(&rule, MATCH_IP_FIRST_BYTE, (const uint8_t[]){0x45}, "0x45");
  rule_end(&rule, VERDICT_GOTO, odd);
  rule = begin(guard);
  rule_differs(&rule, MATCH_IP_FRAGMENT_WORD, (const uint8_t[4]){0}, "0x0");
  rule_end(&rule, VERDICT_GOTO, odd);
}

const char *compile_guard(struct compilation *compilation, size_t place) {
  struct guard guard = prepare_guard(compilation, place, IP4);
  const char *name = arena_printf(compilation->arena, "guard.%s", zone_name_at(compilation, place));
  guard.chain = builder_chain(&compilation->builder, name, zone_label_at(compilation, place));
  guard.view.chain = guard.chain;
  const char *sent = compile_sent(&guard);
  const struct shortcuts *shortcuts = shortcuts_new(compilation, place, &guard.view);
  shortcuts_send(shortcuts, false);
  send_odd_away(&guard);
  shortcuts_refuse_strangers(shortcuts);
  shortcuts_send(shortcuts, true);
  go_on(&guard, sent);
  refuse_foreign(&guard);
  go_to(&guard, guard.refusals);
  return builder_seal_chain(&compilation->builder, guard.chain);
}
