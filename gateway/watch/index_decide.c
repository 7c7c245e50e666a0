/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy_decide() over the index: the same checks in the same order, each answered from what the segments of the two
 * addresses already know. tests/unit/test_index.c holds the two against each other with random policies and packets.
 */
#include <string.h>

#include "watch/index_parts.h"

struct judging {
  const struct index *index;
  const struct query *query;
  const struct packet *packet;
  struct address_facts source, destination;
  const struct zone *receiving; /* NULL when the gateway sends */
  zone_index from, to;
  const struct flow *flow;
  const struct cut *cut;
};

/* ---- protocols ---- */

static bool header_is_known(const struct packet *packet) {
  return (packet->traits & TRAIT_NO_PORTS) == 0;
}

static bool is_icmp4(const struct packet *packet) {
  return packet->source.family == FAMILY_IPV4 && packet->protocol == PROTOCOL_ICMP;
}

static bool is_icmp6(const struct packet *packet) {
  return packet->source.family == FAMILY_IPV6 && packet->protocol == PROTOCOL_ICMPV6;
}

static bool is_icmp(const struct packet *packet) {
  return is_icmp4(packet) || is_icmp6(packet);
}

/* Sets of ICMP types, one bit each for the types 0 to 255. */
struct types {
  uint32_t bits[8];
};

static const struct types ERRORS4 = {{1u << 3 | 1u << 11 | 1u << 12}},
                          ERRORS6 = {{1u << 1 | 1u << 2 | 1u << 3 | 1u << 4}};
static const struct types ECHO4 = {{1u << 0 | 1u << 8}}, ECHO6 = {{[4] = 1u << 0}}, ECHO_REPLY6 = {{[4] = 1u << 1}};
static const struct types OPENERS4 = {{1u << 8 | 1u << 13 | 1u << 15 | 1u << 17}},
                          OPENERS6 = {{[4] = 1u << 0 | 1u << 11}};
static const struct types UNTRACKED6 = {{[4] = 0x7fu << 2 | 1u << 15 | 7u << 23}},
                          NEIGHBOUR6 = {{[4] = 1u << 7 | 1u << 8}};
static const struct types NONE = {{0}};

static bool is_type(const struct packet *packet, const struct types *types4, const struct types *types6) {
  if (!header_is_known(packet) || !is_icmp(packet))
    return false;
  const struct types *types = is_icmp4(packet) ? types4 : types6;
  return (types->bits[packet->icmp_type / 32] >> packet->icmp_type % 32 & 1) != 0;
}

static bool tcp_opens(const struct packet *packet) {
  return (packet->tcp_flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK)) == TCP_SYN;
}

static bool tcp_flags_make_sense(uint8_t all) {
  static const uint8_t sensible[] = {TCP_SYN,           TCP_SYN | TCP_URG, TCP_SYN | TCP_ACK,           TCP_RST,
                                     TCP_RST | TCP_ACK, TCP_FIN | TCP_ACK, TCP_FIN | TCP_ACK | TCP_URG, TCP_ACK,
                                     TCP_ACK | TCP_URG};
  uint8_t flags = all & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK | TCP_URG);
  return memchr(sensible, flags, sizeof sensible) != NULL;
}

/* ---- flows ---- */

/* Flows that may have these addresses at their ends: one sorted list and the wide ones of that side. */
struct candidates {
  const struct candidate *list, *wide;
  uint32_t list_count, wide_count;
  uint32_t list_at, wide_at;
};

static struct candidates find_candidates(const struct index *index, const struct packet *opener) {
  const struct span *from = &index->segments[index_find(index, &opener->source).segment].from;
  const struct span *to = &index->segments[index_find(index, &opener->destination).segment].to;
  if (from->count + index->wide_from_count <= to->count + index->wide_to_count)
    return (struct candidates){
        index->candidates + from->first, index->wide_from, from->count, index->wide_from_count, 0, 0};
  return (struct candidates){index->candidates + to->first, index->wide_to, to->count, index->wide_to_count, 0, 0};
}

/* The next one in the order of the file; NULL at the end. */
static const struct candidate *next_candidate(struct candidates *candidates) {
  bool in_list = candidates->list_at < candidates->list_count, in_wide = candidates->wide_at < candidates->wide_count;
  const struct candidate *list = in_list ? &candidates->list[candidates->list_at] : NULL;
  const struct candidate *wide = in_wide ? &candidates->wide[candidates->wide_at] : NULL;
  bool take_wide = wide != NULL && (list == NULL || wide->flow < list->flow);
  candidates->wide_at += take_wide;
  candidates->list_at += !take_wide;
  return take_wide ? wide : list;
}

/* What a candidate is asked: the packet in the terms of candidates. */
struct wanted {
  const struct packet *opener;
  int16_t from_zone, to_zone;
  uint16_t number; /* destination port, or ICMP type */
  bool any_number; /* the number is not known and need not be */
  bool none;       /* it is not known, and only services without one may cover the packet */
};

static struct wanted want(const struct packet *opener, zone_index from, zone_index to, bool any_port) {
  bool icmp = opener->protocol == PROTOCOL_ICMP || opener->protocol == PROTOCOL_ICMPV6;
  bool numbered = icmp || opener->protocol == PROTOCOL_TCP || opener->protocol == PROTOCOL_UDP;
  return (struct wanted){.opener = opener,
                         .from_zone = (int16_t)from,
                         .to_zone = (int16_t)to,
                         .number = icmp       ? opener->icmp_type
                                   : numbered ? opener->destination_port
                                              : 0,
                         .any_number = any_port,
                         .none = !any_port && numbered && (!header_is_known(opener) || (icmp && !is_icmp(opener)))};
}

static bool candidate_fits(const struct candidate *candidate, const struct wanted *wanted) {
  return candidate->protocol == wanted->opener->protocol && candidate->from_zone == wanted->from_zone &&
         candidate->to_zone == wanted->to_zone && !wanted->none &&
         (wanted->any_number || (wanted->number >= candidate->first && wanted->number <= candidate->last));
}

static bool service_covers(const struct service *service, const struct packet *packet) {
  if (service->protocol != packet->protocol)
    return false;
  if (service->protocol == PROTOCOL_ICMP || service->protocol == PROTOCOL_ICMPV6)
    return is_icmp(packet) && header_is_known(packet) && service->icmp_type == packet->icmp_type;
  if (service->protocol != PROTOCOL_TCP && service->protocol != PROTOCOL_UDP)
    return true;
  return header_is_known(packet) && packet->destination_port >= service->first_port &&
         packet->destination_port <= service->last_port;
}

static bool services_cover(const struct flow *flow, const struct packet *packet) {
  for (size_t i = 0; i < flow->service_count; i++)
    if (service_covers(&flow->services[i], packet))
      return true;
  return false;
}

static bool host_has(const struct host *host, const struct address *address) {
  for (size_t i = 0; i < host->address_count; i++)
    if (range_contains(&host->addresses[i].range, address))
      return true;
  return false;
}

static bool end_covers(const struct index *index, const struct endpoint *end, const struct address *address) {
  if (end->kind == ENDPOINT_HOST)
    return end->host != NULL && host_has(end->host, address);
  return end->kind == ENDPOINT_GATEWAY || address_set_contains(&index->policy->zones[end->zone].local, address);
}

/* An end that names no pinned host covers the source whatever its MAC. */
static bool unpinned_end_covers(const struct index *index, const struct flow *flow, const struct packet *opener) {
  for (size_t i = 0; i < flow->from_count; i++) {
    const struct endpoint *end = &flow->from[i];
    bool pinned = end->kind == ENDPOINT_HOST && end->host != NULL && end->host->mac_count > 0 &&
                  end->host->mac_scope == MAC_SCOPE_DIRECT;
    if (!pinned && end_covers(index, end, &opener->source))
      return true;
  }
  return false;
}

static bool source_is_covered(const struct index *index, const struct index_flow *entry, const struct packet *opener) {
  if (!address_set_contains(&entry->from, &opener->source))
    return false;
  if (!opener->has_source_mac)
    return true;
  struct address_facts facts = index_find(index, &opener->source);
  return (facts.traits & ADDRESS_PINNED) == 0 ||
         index_mac_matches(index, &facts, entry->flow->from_zone, &opener->source_mac) ||
         unpinned_end_covers(index, entry->flow, opener);
}

static const struct zone *zone_at(const struct index *index, zone_index zone) {
  return zone >= 0 && (size_t)zone < index->policy->zone_count ? &index->policy->zones[zone] : NULL;
}

/* Where an address of the gateway lies; a broadcast address is none, though the gateway hears it. */
static bool may_be_gateway(const struct index *index, zone_index at, const struct address *address) {
  const struct zone *zone = zone_at(index, at);
  struct address broadcast;
  for (size_t i = 0; zone != NULL && i < zone->network_count; i++)
    if (range_contains(&zone->networks[i].range, address))
      return !range_broadcast(&zone->networks[i].range, &broadcast) || !address_equal(&broadcast, address);
  return false;
}

/* The gateway's end of a flow, if it has one. */
static bool gateway_end_covers(const struct index *index, const struct flow *flow, const struct packet *opener) {
  if (flow->from_zone == ZONE_GATEWAY)
    return may_be_gateway(index, flow->to_zone, &opener->source);
  return flow->to_zone != ZONE_GATEWAY || may_be_gateway(index, flow->from_zone, &opener->destination);
}

static const struct index_flow *covering_flow(const struct index *index, const struct candidate *candidate,
                                              const struct wanted *wanted) {
  if (!candidate_fits(candidate, wanted))
    return NULL;
  const struct index_flow *entry = &index->flows[candidate->flow];
  const struct packet *opener = wanted->opener;
  bool covers = address_set_contains(&entry->to, &opener->destination) && source_is_covered(index, entry, opener) &&
                gateway_end_covers(index, entry->flow, opener);
  return covers ? entry : NULL;
}

static bool any_flow_covers(const struct index *index, const struct packet *opener, zone_index from, zone_index to,
                            const struct flow **ret_flow) {
  struct candidates candidates = find_candidates(index, opener);
  struct wanted wanted = want(opener, from, to, false);
  const struct candidate *candidate;
  const struct index_flow *entry = NULL;
  while (entry == NULL && (candidate = next_candidate(&candidates)) != NULL)
    entry = covering_flow(index, candidate, &wanted);
  if (entry != NULL)
    *ret_flow = entry->flow;
  return entry != NULL;
}

/* The first flow in force that covers an opener; else NULL with the reason, and the flow that comes nearest. */
static const struct flow *flow_in_force(const struct index *index, const struct packet *opener, zone_index from,
                                        zone_index to, bool any_port, enum reason *ret_reason,
                                        const struct flow **ret_nearest) {
  struct candidates candidates = find_candidates(index, opener);
  struct wanted wanted = want(opener, from, to, any_port);
  const struct candidate *candidate;
  *ret_reason = REASON_NO_FLOW;
  *ret_nearest = NULL;
  while ((candidate = next_candidate(&candidates)) != NULL) {
    const struct index_flow *entry = covering_flow(index, candidate, &wanted);
    if (entry == NULL)
      continue;
    if (entry->force == FORCE_YES)
      return entry->flow;
    enum reason reason = entry->force == FORCE_EXPIRED ? REASON_EXPIRED : REASON_OUTSIDE_WINDOW;
    if (*ret_nearest == NULL || (reason == REASON_OUTSIDE_WINDOW && *ret_reason == REASON_EXPIRED)) {
      *ret_reason = reason;
      *ret_nearest = entry->flow;
    }
  }
  return NULL;
}

/* The same, and when no flow covers it, whether one would cover it the other way. */
static const struct flow *judge_opener(const struct index *index, const struct packet *opener, zone_index from,
                                       zone_index to, enum reason *ret_reason, const struct flow **ret_nearest) {
  const struct flow *flow = flow_in_force(index, opener, from, to, false, ret_reason, ret_nearest);
  if (flow != NULL || *ret_nearest != NULL)
    return flow;
  struct packet turned = *opener;
  turned.source = opener->destination;
  turned.destination = opener->source;
  turned.has_source_mac = false;
  if (any_flow_covers(index, &turned, to, from, ret_nearest))
    *ret_reason = REASON_NO_FLOW_THIS_DIRECTION;
  return NULL;
}

const struct flow *index_flow_between(const struct index *index, const struct packet *packet, zone_index from,
                                      zone_index to) {
  enum reason reason;
  const struct flow *nearest;
  const struct flow *flow = flow_in_force(index, packet, from, to, true, &reason, &nearest);
  if (flow != NULL)
    return flow;
  struct packet reverse = *packet;
  reverse.source = packet->destination;
  reverse.destination = packet->source;
  reverse.has_source_mac = false;
  return flow_in_force(index, &reverse, to, from, true, &reason, &nearest);
}

static bool zones_are_joined(const struct index *index, zone_index left, zone_index right) {
  size_t slots = index->policy->zone_count + 1;
  if (left == ZONE_NONE || right == ZONE_NONE)
    return false;
  size_t a = index_zone_slot(index, left), b = index_zone_slot(index, right);
  return index->joined[a * slots + b] != 0 || index->joined[b * slots + a] != 0;
}

/* ---- the guard, in the order of its table ---- */

static bool has_special_source(struct judging *judging) {
  return (judging->source.traits & ADDRESS_SPECIAL_SOURCE) != 0;
}

static bool has_special_destination(struct judging *judging) {
  return (judging->destination.traits & ADDRESS_SPECIAL_DESTINATION) != 0;
}

static bool has_own_source(struct judging *judging) {
  return (judging->source.traits & ADDRESS_OWN) != 0;
}

static bool has_broadcast_source(struct judging *judging) {
  return (judging->source.traits & ADDRESS_BROADCAST) != 0;
}

static bool is_directed_broadcast(struct judging *judging) {
  return (judging->destination.traits & ADDRESS_BROADCAST) != 0 && judging->destination.zone != judging->query->in_zone;
}

static bool is_spoofed(struct judging *judging) {
  return judging->source.zone != judging->query->in_zone;
}

static bool has_wrong_mac(struct judging *judging) {
  return judging->packet->has_source_mac && (judging->source.traits & ADDRESS_PINNED) != 0 &&
         !index_mac_matches(judging->index, &judging->source, judging->query->in_zone, &judging->packet->source_mac);
}

static size_t cut_slot(const struct index *index, zone_index zone) {
  return zone == ZONE_NONE ? index->policy->zone_count + 1 : index_zone_slot(index, zone);
}

static bool zones_are_cut(const struct index *index, zone_index left, zone_index right) {
  return index->restrictions != NULL &&
         index->cut[cut_slot(index, left) * (index->policy->zone_count + 2) + cut_slot(index, right)];
}

static zone_index zone_of_cuts(const struct judging *judging) {
  zone_index in_zone = judging->query->in_zone;
  if (in_zone == ZONE_GATEWAY)
    return judging->to;
  bool for_gateway =
      (judging->destination.traits & ADDRESS_OWN) != 0 ||
      (judging->to == ZONE_GATEWAY && may_be_gateway(judging->index, in_zone, &judging->packet->destination));
  return for_gateway ? ZONE_GATEWAY : judging->destination.zone;
}

static const struct cut *cut_of_addresses(const struct index *index, const struct packet *packet) {
  const struct cut *cut = restrictions_find_address_cut(index->restrictions, &packet->source);
  return cut != NULL ? cut : restrictions_find_address_cut(index->restrictions, &packet->destination);
}

/* Which cut it is, is looked up only where one holds. */
static bool is_cut(struct judging *judging) {
  const struct index *index = judging->index;
  if (index->restrictions == NULL)
    return false;
  zone_index in_zone = judging->query->in_zone, zone = zone_of_cuts(judging);
  if (((judging->source.traits | judging->destination.traits) & ADDRESS_CUT) != 0)
    judging->cut = cut_of_addresses(index, judging->packet);
  else if (zones_are_cut(index, in_zone, zone))
    judging->cut = restrictions_find_zone_cut(index->restrictions, index->policy, in_zone, zone);
  return judging->cut != NULL;
}

static bool has_ip_options(struct judging *judging) {
  return (judging->packet->traits & (TRAIT_IP_OPTIONS | TRAIT_ROUTING_HEADER | TRAIT_HOP_BY_HOP)) != 0;
}

static bool is_neighbour_discovery(const struct packet *packet) {
  return is_type(packet, &NONE, &NEIGHBOUR6);
}

static bool is_discovery_in_fragments(struct judging *judging) {
  return is_neighbour_discovery(judging->packet) && (judging->packet->traits & TRAIT_FRAGMENT) != 0;
}

static bool tunnel_is_named(const struct judging *judging, zone_index zone) {
  const struct index *index = judging->index;
  zone_index in = judging->query->in_zone;
  if (!zones_are_joined(index, in, zone))
    return false;
  for (size_t i = 0; i < index->flow_count; i++) {
    const struct flow *flow = index->flows[i].flow;
    if (((flow->from_zone == in && flow->to_zone == zone) || (flow->from_zone == zone && flow->to_zone == in)) &&
        services_cover(flow, judging->packet))
      return true;
  }
  return false;
}

static bool is_tunnel(struct judging *judging) {
  static const uint8_t protocols[] = {4, 41, 47, 50, 51, 94, 97, 98, 115};
  enum { TEREDO_PORT = 3544 };
  const struct packet *packet = judging->packet;
  bool teredo = packet->protocol == PROTOCOL_UDP && header_is_known(packet) && packet->destination_port == TEREDO_PORT;
  if (!teredo && memchr(protocols, packet->protocol, sizeof protocols) == NULL)
    return false;
  return !tunnel_is_named(judging, judging->destination.zone) &&
         !(judging->to == ZONE_GATEWAY && tunnel_is_named(judging, ZONE_GATEWAY));
}

static bool goes_nowhere(struct judging *judging) {
  return judging->destination.zone == ZONE_NONE && (judging->destination.traits & ADDRESS_OWN) == 0;
}

static bool is_icmp_error(const struct packet *packet) {
  return is_type(packet, &ERRORS4, &ERRORS6);
}

static bool has_no_flow_at_all(struct judging *judging) {
  zone_index from = judging->query->in_zone, to = judging->destination.zone;
  return from != to && !is_icmp_error(judging->packet) && judging->receiving->on_deny != ON_DENY_REJECT &&
         !zones_are_joined(judging->index, from, to);
}

static bool is_invalid(struct judging *judging) {
  const struct packet *packet = judging->packet;
  enum packet_role role = judging->query->role;
  if (!header_is_known(packet) || role == ROLE_ERROR)
    return false;
  if (packet->protocol == PROTOCOL_TCP)
    return !tcp_flags_make_sense(packet->tcp_flags) || (role == ROLE_OPENS && !tcp_opens(packet));
  if (role != ROLE_OPENS || (packet->protocol != PROTOCOL_ICMP && packet->protocol != PROTOCOL_ICMPV6))
    return false;
  return !is_type(packet, &OPENERS4, &OPENERS6) && !is_type(packet, &NONE, &UNTRACKED6);
}

static bool connection_is_allowed(struct judging *judging, zone_index left, zone_index right) {
  const struct packet *opener = &judging->query->opener;
  enum reason reason;
  const struct flow *nearest;
  const struct flow *flow = flow_in_force(judging->index, opener, left, right, false, &reason, &nearest);
  if (flow == NULL)
    flow = flow_in_force(judging->index, opener, right, left, false, &reason, &nearest);
  if (flow != NULL)
    judging->flow = flow;
  return flow != NULL;
}

static bool gateway_may_report(struct judging *judging) {
  for (size_t i = 0; i < judging->index->policy->zone_count; i++)
    if (!zones_are_cut(judging->index, judging->to, (zone_index)i) &&
        connection_is_allowed(judging, judging->to, (zone_index)i))
      return true;
  return false;
}

static bool within_is_allowed(const struct judging *judging) {
  return judging->index->within[judging->to] && !judging->query->same_interface;
}

static bool error_is_allowed(struct judging *judging) {
  if (!is_icmp_error(judging->packet))
    return false;
  if (judging->from == judging->to)
    return zone_at(judging->index, judging->to) != NULL && within_is_allowed(judging);
  return connection_is_allowed(judging, judging->from, judging->to) ||
         (judging->from == ZONE_GATEWAY && gateway_may_report(judging));
}

static bool is_echo(const struct packet *packet) {
  return is_type(packet, &ECHO4, &ECHO6) || is_type(packet, &NONE, &ECHO_REPLY6);
}

static bool is_unwanted_icmp(struct judging *judging) {
  if (judging->query->role == ROLE_ERROR)
    return !error_is_allowed(judging);
  return is_icmp(judging->packet) && header_is_known(judging->packet) && !is_echo(judging->packet);
}

struct check {
  enum reason reason;
  bool (*objects)(struct judging *judging);
  bool early; /* does not bind the gateway itself */
};

static const struct check CHECKS[] = {
    {REASON_SPECIAL_SOURCE, has_special_source, true},
    {REASON_SPECIAL_DESTINATION, has_special_destination, true},
    {REASON_OWN_SOURCE, has_own_source, true},
    {REASON_BROADCAST_SOURCE, has_broadcast_source, true},
    {REASON_DIRECTED_BROADCAST, is_directed_broadcast, true},
    {REASON_SPOOFED_SOURCE, is_spoofed, true},
    {REASON_MAC_MISMATCH, has_wrong_mac, true},
    {REASON_CUT, is_cut, false},
    {REASON_IP_OPTIONS, has_ip_options, true},
    {REASON_FRAGMENT, is_discovery_in_fragments, true},
    {REASON_TUNNEL, is_tunnel, true},
    {REASON_UNKNOWN_ZONE, goes_nowhere, false},
    {REASON_NO_FLOW, has_no_flow_at_all, true},
    {REASON_INVALID_STATE, is_invalid, false},
    {REASON_ICMP, is_unwanted_icmp, false},
};

/* ---- what the flows say of a packet that the guard lets pass ---- */

static bool destination_fits(const struct judging *judging) {
  if (judging->to == ZONE_GATEWAY)
    return may_be_gateway(judging->index, judging->query->in_zone, &judging->packet->destination);
  return judging->destination.zone == judging->to;
}

static bool discovers_gateway(struct judging *judging) {
  return is_neighbour_discovery(judging->packet) &&
         (judging->from == ZONE_GATEWAY || (judging->to == ZONE_GATEWAY && !is_discovery_in_fragments(judging)));
}

static enum reason judge_within(struct judging *judging) {
  const struct zone *zone = zone_at(judging->index, judging->to);
  if (zone == NULL)
    return judging->to == ZONE_GATEWAY ? REASON_WITHIN : REASON_UNKNOWN_ZONE;
  return within_is_allowed(judging) ? REASON_WITHIN : REASON_NO_FLOW;
}

static enum reason judge_by_flows(struct judging *judging) {
  const struct query *query = judging->query;
  bool reply = query->role == ROLE_REPLY;
  const struct packet *opener = query->role == ROLE_OPENS ? judging->packet : &query->opener;
  zone_index from = reply ? judging->to : judging->from, to = reply ? judging->from : judging->to;
  enum reason reason;
  const struct flow *nearest;
  const struct flow *flow = judge_opener(judging->index, opener, from, to, &reason, &nearest);
  judging->flow = flow != NULL ? flow : nearest;
  return flow != NULL ? REASON_FLOW : reason;
}

static enum reason judge(struct judging *judging) {
  const struct query *query = judging->query;
  bool gateway_sends = query->in_zone == ZONE_GATEWAY;
  if (query->in_zone == ZONE_NONE || (!gateway_sends && judging->receiving == NULL))
    return REASON_UNKNOWN_ZONE;
  if (discovers_gateway(judging))
    return REASON_WITHIN;
  if (gateway_sends && judging->to == ZONE_GATEWAY)
    return REASON_WITHIN;
  for (size_t i = 0; i < sizeof CHECKS / sizeof CHECKS[0]; i++)
    if (!(gateway_sends && CHECKS[i].early) && CHECKS[i].objects(judging))
      return CHECKS[i].reason;
  if (!destination_fits(judging)) {
    judging->flow = NULL;
    return REASON_NO_FLOW;
  }
  if (query->role == ROLE_ERROR)
    return judging->from == judging->to ? REASON_WITHIN : REASON_FLOW;
  return judging->from == judging->to ? judge_within(judging) : judge_by_flows(judging);
}

struct decision index_decide(const struct index *index, const struct query *query) {
  struct judging judging = {.index = index,
                            .query = query,
                            .packet = &query->packet,
                            .source = index_find(index, &query->packet.source),
                            .destination = index_find(index, &query->packet.destination),
                            .receiving = zone_at(index, query->in_zone),
                            .from = query->in_zone,
                            .to = query->out_zone};
  if (judging.to == ZONE_NONE)
    judging.to = (judging.destination.traits & ADDRESS_OWN) != 0 ? ZONE_GATEWAY : judging.destination.zone;
  enum reason reason = judge(&judging);
  return (struct decision){.allow = reason == REASON_FLOW || reason == REASON_WITHIN,
                           .reason = reason,
                           .flow = judging.flow,
                           .cut = judging.cut,
                           .from_zone = judging.from,
                           .to_zone = judging.to};
}
