/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guard has against a packet, by its headers alone. Each line of the guard table is a set; put over each other
 * from the last line to the first, the first that holds is what remains on top.
 */
#include <string.h>

#include "proof/authorised_parts.h"

/* What the sets are about. */
struct watch {
  struct authorised *authorised;
  struct diagram_store *store;
  zone_index from, to;
  enum address_family family;
  diagram for_gateway; /* packets that are for the gateway */
};

static diagram both(const struct watch *watch, diagram left, diagram right) {
  return diagram_and(watch->store, left, right);
}

static diagram either(const struct watch *watch, diagram left, diagram right) {
  return diagram_or(watch->store, left, right);
}

static diagram without(const struct watch *watch, diagram left, diagram right) {
  return diagram_difference(watch->store, left, right);
}

static diagram addresses(const struct watch *watch, enum space_field field, const struct address_set *set) {
  return authorised_addresses(watch->authorised, field, watch->family, set);
}

/* Destinations that lie in a zone. */
static diagram towards(const struct watch *watch, zone_index zone) {
  return authorised_claims(watch->authorised, zone, FIELD_DESTINATION, watch->family);
}

/* ---- addresses ---- */

static diagram special_source(const struct watch *watch) {
  return addresses(watch, FIELD_SOURCE, &watch->authorised->special_sources);
}

static diagram special_destination(const struct watch *watch) {
  return addresses(watch, FIELD_DESTINATION, &watch->authorised->special_destinations);
}

static diagram own_source(const struct watch *watch) {
  return authorised_own(watch->authorised, FIELD_SOURCE, watch->family);
}

static diagram broadcast_source(const struct watch *watch) {
  return addresses(watch, FIELD_SOURCE, &watch->authorised->broadcasts);
}

static diagram directed_broadcast(const struct watch *watch) {
  return without(watch, addresses(watch, FIELD_DESTINATION, &watch->authorised->broadcasts),
                 addresses(watch, FIELD_DESTINATION, &watch->authorised->zones[watch->from].broadcasts));
}

static diagram spoofed_source(const struct watch *watch) {
  return diagram_not(watch->store, authorised_claims(watch->authorised, watch->from, FIELD_SOURCE, watch->family));
}

static diagram mac_mismatch(const struct watch *watch) {
  return authorised_mismatched(watch->authorised, watch->from, watch->family);
}

/* A destination that is nobody's. */
static diagram unknown_zone(const struct watch *watch) {
  diagram known = either(watch, authorised_claimed_by_any(watch->authorised, FIELD_DESTINATION, watch->family),
                         authorised_own(watch->authorised, FIELD_DESTINATION, watch->family));
  return diagram_not(watch->store, known);
}

/* ---- cuts ---- */

static bool is_named(const struct watch *watch, zone_index zone, const char *name) {
  if (zone == ZONE_GATEWAY)
    return strcmp(name, "gateway") == 0;
  return authorised_is_zone(watch->authorised, zone) && strcmp(watch->authorised->policy->zones[zone].name, name) == 0;
}

static bool is_management(const struct watch *watch, zone_index zone) {
  return authorised_is_zone(watch->authorised, zone) && watch->authorised->policy->zones[zone].class_known &&
         watch->authorised->policy->zones[zone].class == CLASS_MANAGEMENT;
}

/* Whoever lifts a cut comes this way; only a cut of this very pair closes it. */
static bool lifts_cuts(const struct watch *watch, zone_index one, zone_index other) {
  return (one == ZONE_GATEWAY && is_management(watch, other)) || (other == ZONE_GATEWAY && is_management(watch, one));
}

static bool cut_parts(const struct watch *watch, const struct cut *cut, zone_index one, zone_index other) {
  switch (cut->kind) {
  case CUT_PAIR:
    return (is_named(watch, one, cut->zone) && is_named(watch, other, cut->other_zone)) ||
           (is_named(watch, other, cut->zone) && is_named(watch, one, cut->other_zone));
  case CUT_ZONE:
    return (is_named(watch, one, cut->zone) || is_named(watch, other, cut->zone)) && !lifts_cuts(watch, one, other);
  case CUT_ALL:
    return !lifts_cuts(watch, one, other);
  case CUT_HOST:
  case CUT_KIND_COUNT_:
    break;
  }
  return false;
}

static bool are_parted(const struct watch *watch, zone_index one, zone_index other) {
  const struct restrictions *restrictions = watch->authorised->question.restrictions;
  for (size_t i = 0; restrictions != NULL && i < restrictions->cut_count; i++)
    if (cut_parts(watch, &restrictions->cuts[i], one, other))
      return true;
  return false;
}

static diagram cut_hosts(const struct watch *watch) {
  const struct restrictions *restrictions = watch->authorised->question.restrictions;
  diagram set = DIAGRAM_FALSE;
  for (size_t i = 0; i < restrictions->cut_count; i++) {
    const struct cut *cut = &restrictions->cuts[i];
    if (cut->kind != CUT_HOST || cut->address.family != watch->family)
      continue;
    set = either(watch, set, authorised_one_address(watch->authorised, FIELD_SOURCE, watch->family, &cut->address));
    set =
        either(watch, set, authorised_one_address(watch->authorised, FIELD_DESTINATION, watch->family, &cut->address));
  }
  return set;
}

/* Addresses at which the gateway is spoken to: a zone's broadcast is heard, but belongs to the zone. */
static diagram speaks_to_gateway(const struct watch *watch) {
  diagram borne = addresses(watch, FIELD_DESTINATION, &watch->authorised->zones[watch->from].gateway);
  return either(watch, authorised_own(watch->authorised, FIELD_DESTINATION, watch->family),
                both(watch, watch->for_gateway, borne));
}

/* By the zone of the destination, since the way out is not known where the guard stands. */
static diagram cut_zones(const struct watch *watch) {
  if (watch->from == ZONE_GATEWAY)
    return are_parted(watch, ZONE_GATEWAY, watch->to) ? DIAGRAM_TRUE : DIAGRAM_FALSE;
  diagram set = DIAGRAM_FALSE, elsewhere = DIAGRAM_TRUE;
  for (zone_index zone = 0; authorised_is_zone(watch->authorised, zone); zone++) {
    if (are_parted(watch, watch->from, zone))
      set = either(watch, set, towards(watch, zone));
    elsewhere = without(watch, elsewhere, towards(watch, zone));
  }
  if (are_parted(watch, watch->from, ZONE_NONE))
    set = either(watch, set, elsewhere);
  diagram gateway = speaks_to_gateway(watch);
  set = without(watch, set, gateway);
  return are_parted(watch, watch->from, ZONE_GATEWAY) ? either(watch, set, gateway) : set;
}

static diagram cut(const struct watch *watch) {
  const struct restrictions *restrictions = watch->authorised->question.restrictions;
  if (restrictions == NULL || restrictions->cut_count == 0)
    return DIAGRAM_FALSE;
  return either(watch, cut_hosts(watch), cut_zones(watch));
}

/* ---- headers ---- */

static diagram ip_options(const struct watch *watch) {
  struct authorised *authorised = watch->authorised;
  if (watch->family == FAMILY_IPV4)
    return diagram_not(watch->store, authorised_bits(authorised, FIELD_VERSION_LENGTH, 0x0f, 5));
  diagram routing = both(watch, authorised_flag(authorised, FIELD_HAS_ROUTING),
                         authorised_number(authorised, FIELD_ROUTING_TYPE, 0, 0));
  return either(watch, routing, authorised_flag(authorised, FIELD_HAS_HOP_BY_HOP));
}

/* Of the guard table; port 0 is any. */
static const struct tunnel {
  uint8_t protocol;
  uint16_t port;
} TUNNELS[] = {{4, 0}, {41, 0}, {47, 0}, {50, 0}, {51, 0}, {94, 0}, {97, 0}, {98, 0}, {115, 0}, {PROTOCOL_UDP, 3544}};
enum { TUNNEL_COUNT = sizeof TUNNELS / sizeof *TUNNELS };

uint16_t authorised_tunnels_of(const struct flow *flow) {
  uint16_t named = 0;
  for (size_t i = 0; i < flow->service_count; i++)
    for (size_t j = 0; j < TUNNEL_COUNT; j++) {
      const struct service *service = &flow->services[i];
      if (service->protocol == TUNNELS[j].protocol &&
          (TUNNELS[j].port == 0 || (service->first_port <= TUNNELS[j].port && service->last_port >= TUNNELS[j].port)))
        named |= (uint16_t)(1u << j);
    }
  return named;
}

static diagram tunnel_packets(const struct watch *watch, const struct tunnel *tunnel) {
  struct authorised *authorised = watch->authorised;
  diagram set = authorised_number(authorised, FIELD_PROTOCOL, tunnel->protocol, tunnel->protocol);
  if (tunnel->port == 0)
    return set;
  set = both(watch, set, authorised_number(authorised, FIELD_DESTINATION_PORT, tunnel->port, tunnel->port));
  return both(watch, set, authorised_flag(authorised, FIELD_TRANSPORT_READABLE));
}

static diagram one_tunnel(const struct watch *watch, size_t tunnel) {
  uint16_t bit = (uint16_t)(1u << tunnel);
  diagram allowed = DIAGRAM_FALSE;
  for (zone_index zone = 0; authorised_is_zone(watch->authorised, zone); zone++)
    if ((authorised_join(watch->authorised, watch->from, zone).tunnels & bit) != 0)
      allowed = either(watch, allowed, towards(watch, zone));
  if ((authorised_join(watch->authorised, watch->from, ZONE_GATEWAY).tunnels & bit) != 0)
    allowed = either(watch, allowed, watch->for_gateway);
  return without(watch, tunnel_packets(watch, &TUNNELS[tunnel]), allowed);
}

static diagram tunnel(const struct watch *watch) {
  diagram set = DIAGRAM_FALSE;
  for (size_t i = 0; i < TUNNEL_COUNT; i++)
    set = either(watch, set, one_tunnel(watch, i));
  return set;
}

static diagram icmp_errors(const struct watch *watch) {
  if (watch->family == FAMILY_IPV6)
    return authorised_icmp(watch->authorised, FAMILY_IPV6, 1, 4);
  return either(watch, authorised_icmp(watch->authorised, FAMILY_IPV4, 3, 3),
                authorised_icmp(watch->authorised, FAMILY_IPV4, 11, 12));
}

/* No flow joins the two zones; errors, and what gets an answer, are left to the late part. */
static diagram no_flow(const struct watch *watch) {
  if (watch->authorised->policy->zones[watch->from].on_deny == ON_DENY_REJECT)
    return DIAGRAM_FALSE;
  diagram joined = towards(watch, watch->from);
  for (zone_index zone = 0; authorised_is_zone(watch->authorised, zone); zone++)
    if (authorised_join(watch->authorised, watch->from, zone).joined)
      joined = either(watch, joined, towards(watch, zone));
  return diagram_not(watch->store, either(watch, joined, icmp_errors(watch)));
}

/* ---- all of them ---- */

static const struct line {
  enum reason reason;
  diagram (*objection)(const struct watch *watch);
  bool binds_gateway; /* what it sends, too */
} LINES[] = {
    {REASON_SPECIAL_SOURCE, special_source, false},
    {REASON_SPECIAL_DESTINATION, special_destination, false},
    {REASON_OWN_SOURCE, own_source, false},
    {REASON_BROADCAST_SOURCE, broadcast_source, false},
    {REASON_DIRECTED_BROADCAST, directed_broadcast, false},
    {REASON_SPOOFED_SOURCE, spoofed_source, false},
    {REASON_MAC_MISMATCH, mac_mismatch, false},
    {REASON_CUT, cut, true},
    {REASON_IP_OPTIONS, ip_options, false},
    {REASON_TUNNEL, tunnel, false},
    {REASON_UNKNOWN_ZONE, unknown_zone, true},
    {REASON_NO_FLOW, no_flow, false},
};

diagram authorised_for_gateway(struct authorised *authorised, const struct zone_pair *pair,
                               enum address_family family) {
  if (pair->to == ZONE_NONE)
    return authorised_own(authorised, FIELD_DESTINATION, family);
  return pair->to == ZONE_GATEWAY ? DIAGRAM_TRUE : DIAGRAM_FALSE;
}

/* Neighbour discovery with the gateway must work in every zone. */
static diagram spared(const struct watch *watch) {
  if (watch->family != FAMILY_IPV6)
    return DIAGRAM_FALSE;
  diagram messages = authorised_icmp(watch->authorised, FAMILY_IPV6, 135, 136);
  return watch->from == ZONE_GATEWAY ? messages : both(watch, messages, watch->for_gateway);
}

static diagram draw_guard(struct authorised *authorised, const struct zone_pair *pair, enum address_family family) {
  struct watch watch = {
      authorised, authorised->store, pair->from, pair->to, family, authorised_for_gateway(authorised, pair, family)};
  diagram first = DIAGRAM_FALSE;
  for (size_t i = sizeof LINES / sizeof *LINES; i-- > 0;)
    if (pair->from != ZONE_GATEWAY || LINES[i].binds_gateway)
      first = diagram_choose(authorised->store, LINES[i].objection(&watch),
                             diagram_leaf(authorised->store, LINES[i].reason), first);
  return diagram_choose(authorised->store, spared(&watch), DIAGRAM_FALSE, first);
}

static enum guard_way guard_way(zone_index to) {
  return to == ZONE_GATEWAY ? WAY_TO_THE_GATEWAY : to == ZONE_NONE ? WAY_TO_NO_ZONE : WAY_TO_A_ZONE;
}

diagram authorised_guard(struct authorised *authorised, const struct zone_pair *pair, enum address_family family) {
  if (pair->from != ZONE_GATEWAY && !authorised_is_zone(authorised, pair->from))
    return diagram_leaf(authorised->store, REASON_UNKNOWN_ZONE);
  if (pair->from == ZONE_GATEWAY && pair->to == ZONE_GATEWAY)
    return DIAGRAM_FALSE;
  struct drawing unshared = {false, DIAGRAM_NONE}, *guard = &unshared;
  if (pair->from != ZONE_GATEWAY)
    guard = &authorised->zones[pair->from].guards[guard_way(pair->to)][authorised_family_index(family)];
  if (!guard->made)
    *guard = (struct drawing){true, draw_guard(authorised, pair, family)};
  return authorised->failed ? DIAGRAM_NONE : guard->set;
}
