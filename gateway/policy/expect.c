/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cases that the town wrote under `expect`. A case may name many packets: a network, a port range, every packet of
 * a pair of zones at any time. It is decided exactly, never by trying all of them:
 *
 * - a case that expects `deny` fails if some packet passes. A packet passes by one flow or within one zone, so each of
 *   these gives at most one candidate: an address of both ends that the guard has nothing against.
 * - a case that expects `allow` fails if some packet does not pass. All ranges that bear on the case cut its ends into
 *   pieces whose addresses share one verdict; the first address of each piece speaks for it.
 *
 * Either way policy_decide() has the last word on the packet that was found.
 */
#include "policy/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/decide.h"

enum { CLIENT_PORT = 50000, TEREDO_PORT = 3544, OPAQUE_PROTOCOL = 253, SERVICE_TEXT_SIZE = 32 };

/* The search for a packet that contradicts one case. */
struct search {
  const struct policy *policy;
  const struct expectation *expectation;
  struct arena *arena; /* freed with the case */
  struct instant now;
  struct address_set from, to;         /* what the ends name; empty for the gateway */
  struct address_set broadcasts;       /* of all attached networks */
  struct address_set bad_sources;      /* special or broadcast */
  struct address_set specials;         /* refused as a destination */
  struct address_set bad_destinations; /* special or broadcast: for a destination in another zone */
  size_t packets;
  bool failed; /* the rest is set */
  struct query query;
  struct decision decision;
  struct instant at;
};

/* ---- one packet ---- */

static bool is_gateway(const struct expectation_end *end) {
  return end->kind == EXPECT_GATEWAY || (end->kind == EXPECT_ZONE && end->zone == ZONE_GATEWAY);
}

static bool contradicts(const struct expectation *expectation, const struct decision *decision) {
  if (decision->allow != expectation->expect_allow)
    return true;
  if (!decision->allow || expectation->flow.text == NULL)
    return false;
  return decision->flow == NULL || strcmp(decision->flow->name, expectation->flow.text) != 0;
}

static bool service_fits_family(uint8_t protocol, enum address_family family) {
  return protocol == PROTOCOL_ICMP ? family == FAMILY_IPV4 : protocol == PROTOCOL_ICMPV6 ? family == FAMILY_IPV6 : true;
}

/* The gateway bears an address of the zone with which it speaks. */
static bool gateway_address_fits(const struct search *search, const struct address *source,
                                 const struct address *destination) {
  if (!is_gateway(&search->expectation->from) && !is_gateway(&search->expectation->to))
    return true;
  return policy_zone_of_address(search->policy, NULL, source) ==
         policy_zone_of_address(search->policy, NULL, destination);
}

/* Asks for the verdict; true when it contradicts the case, and the search is over. */
static bool try_packet(struct search *search, const struct address *source, const struct address *destination,
                       const struct service *service, uint16_t port, struct instant at) {
  if (source->family != destination->family || !service_fits_family(service->protocol, source->family) ||
      !gateway_address_fits(search, source, destination))
    return false;
  const struct expectation *expectation = search->expectation;
  struct circumstances circumstances = {.now = at};
  bool ports = service->protocol == PROTOCOL_TCP || service->protocol == PROTOCOL_UDP;
  struct query query = {.packet = {.source = *source,
                                   .destination = *destination,
                                   .protocol = service->protocol,
                                   .source_port = ports ? CLIENT_PORT : 0,
                                   .destination_port = ports ? port : 0,
                                   .icmp_type = service->icmp_type,
                                   .tcp_flags = service->protocol == PROTOCOL_TCP ? TCP_SYN : 0}};
  query.in_zone = is_gateway(&expectation->from) ? ZONE_GATEWAY : policy_zone_of_address(search->policy, NULL, source);
  query.out_zone = is_gateway(&expectation->to) ? ZONE_GATEWAY : ZONE_NONE;
  struct decision decision = policy_decide(search->policy, &circumstances, &query);
  search->packets++;
  if (!contradicts(expectation, &decision))
    return false;
  search->failed = true;
  search->query = query;
  search->decision = decision;
  search->at = at;
  return true;
}

/* ---- the ends of a case as addresses ---- */

static int end_addresses(const struct search *search, const struct expectation_end *end, struct address_set *ret_set) {
  if (end->kind == EXPECT_RANGE)
    return address_set_build(search->arena, &end->range, 1, ret_set);
  if (end->kind == EXPECT_HOST) {
    struct endpoint host = {.kind = ENDPOINT_HOST, .host = end->host};
    return policy_end_addresses(search->policy, &host, 1, ZONE_NONE, search->arena, ret_set);
  }
  return policy_zone_addresses(search->policy, is_gateway(end) ? ZONE_NONE : end->zone, search->arena, ret_set);
}

/* The gateway's addresses lie in the attached networks of the zones that the other end touches. */
static int gateway_addresses(const struct search *search, const struct address_set *peers,
                             struct address_set *ret_set) {
  const struct policy *policy = search->policy;
  struct address_set found = {0};
  for (size_t i = 0; i < policy->zone_count; i++) {
    struct endpoint gateway = {.kind = ENDPOINT_GATEWAY, .zone = ZONE_GATEWAY};
    struct address_set zone, networks, more;
    if (policy_zone_addresses(policy, (zone_index)i, search->arena, &zone) < 0)
      return -ENOMEM;
    if (!address_set_overlaps(&zone, peers))
      continue;
    if (policy_end_addresses(policy, &gateway, 1, (zone_index)i, search->arena, &networks) < 0 ||
        address_set_union(search->arena, &found, &networks, &more) < 0)
      return -ENOMEM;
    found = more;
  }
  return address_set_subtract(search->arena, &found, &search->bad_destinations, ret_set);
}

static int broadcast_addresses(const struct policy *policy, struct arena *arena, struct address_set *ret_set) {
  size_t count = 0, used = 0;
  for (size_t i = 0; i < policy->zone_count; i++)
    count += policy->zones[i].network_count;
  struct address_range *ranges = ARENA_ARRAY(arena, count, struct address_range);
  if (ranges == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < policy->zone_count; i++)
    for (size_t j = 0; j < policy->zones[i].network_count; j++)
      if (range_broadcast(&policy->zones[i].networks[j].range, &ranges[used].first)) {
        ranges[used].last = ranges[used].first;
        used++;
      }
  return address_set_build(arena, ranges, used, ret_set);
}

static int search_begin(struct search *search) {
  const struct policy *policy = search->policy;
  const struct expectation *expectation = search->expectation;
  struct arena *arena = search->arena;
  struct address_set special;
  if (broadcast_addresses(policy, arena, &search->broadcasts) < 0 ||
      policy_special_sources(policy, arena, &special) < 0 ||
      policy_special_destinations(policy, arena, &search->specials) < 0 ||
      address_set_union(arena, &special, &search->broadcasts, &search->bad_sources) < 0 ||
      address_set_union(arena, &search->specials, &search->broadcasts, &search->bad_destinations) < 0 ||
      end_addresses(search, &expectation->from, &search->from) < 0 ||
      end_addresses(search, &expectation->to, &search->to) < 0)
    return -ENOMEM;
  if (is_gateway(&expectation->from) && gateway_addresses(search, &search->to, &search->from) < 0)
    return -ENOMEM;
  if (is_gateway(&expectation->to) && gateway_addresses(search, &search->from, &search->to) < 0)
    return -ENOMEM;
  return 0;
}

/* ---- flows that bear on a case ---- */

/* What two services have in common. */
static bool services_meet(const struct service *left, const struct service *right, struct service *ret_common) {
  if (left->protocol != right->protocol)
    return false;
  *ret_common = *left;
  if (left->protocol == PROTOCOL_ICMP || left->protocol == PROTOCOL_ICMPV6)
    return left->icmp_type == right->icmp_type;
  if (right->first_port > left->first_port)
    ret_common->first_port = right->first_port;
  if (right->last_port < left->last_port)
    ret_common->last_port = right->last_port;
  return ret_common->first_port <= ret_common->last_port;
}

static bool flow_serves(const struct flow *flow, const struct expectation *expectation) {
  struct service common;
  for (size_t i = 0; i < flow->service_count; i++)
    for (size_t j = 0; j < expectation->service_count; j++)
      if (services_meet(&flow->services[i], &expectation->services[j], &common))
        return true;
  return expectation->universal;
}

static bool end_touches(const struct policy *policy, const struct endpoint *ends, size_t count, zone_index peer,
                        const struct address_set *set) {
  for (size_t i = 0; i < count; i++) {
    const struct endpoint *end = &ends[i];
    zone_index zone = end->kind == ENDPOINT_GATEWAY ? peer : end->zone;
    if (end->kind == ENDPOINT_HOST && end->host != NULL) {
      for (size_t j = 0; j < end->host->address_count; j++)
        if (address_set_overlaps(&(struct address_set){&end->host->addresses[j].range, 1}, set))
          return true;
    } else if (zone >= 0 && address_set_overlaps(&policy->zones[zone].local, set)) {
      return true;
    }
  }
  return false;
}

static bool zone_fits(const struct expectation_end *end, zone_index zone) {
  if (is_gateway(end) || zone == ZONE_GATEWAY)
    return is_gateway(end) && zone == ZONE_GATEWAY;
  return end->kind != EXPECT_ZONE || end->zone == zone;
}

static bool flow_bears_on(const struct search *search, const struct flow *flow) {
  const struct expectation *expectation = search->expectation;
  return zone_fits(&expectation->from, flow->from_zone) && zone_fits(&expectation->to, flow->to_zone) &&
         flow_serves(flow, expectation) &&
         end_touches(search->policy, flow->from, flow->from_count, flow->to_zone, &search->from) &&
         end_touches(search->policy, flow->to, flow->to_count, flow->from_zone, &search->to);
}

/* ---- expecting deny ---- */

/* Tries the first pair of addresses of each family. */
static bool try_sets(struct search *search, const struct address_set *sources, const struct address_set *destinations,
                     const struct service *service, struct instant at) {
  for (enum address_family family = FAMILY_IPV4; family <= FAMILY_IPV6; family++) {
    const struct address *source = NULL, *destination = NULL;
    for (size_t i = sources->count; i-- > 0;)
      if (sources->ranges[i].first.family == family)
        source = &sources->ranges[i].first;
    for (size_t i = destinations->count; i-- > 0;)
      if (destinations->ranges[i].first.family == family)
        destination = &destinations->ranges[i].first;
    if (source != NULL && destination != NULL &&
        try_packet(search, source, destination, service, service->first_port, at))
      return true;
  }
  return false;
}

/* What an end of a case and an end of a flow share, less what the guard refuses. */
static int shared_addresses(const struct search *search, const struct endpoint *ends, size_t count, zone_index peer,
                            const struct address_set *named, const struct address_set *bad,
                            struct address_set *ret_set) {
  struct address_set all, shared;
  if (policy_end_addresses(search->policy, ends, count, peer, search->arena, &all) < 0 ||
      address_set_intersect(search->arena, &all, named, &shared) < 0)
    return -ENOMEM;
  return address_set_subtract(search->arena, &shared, bad, ret_set);
}

/* The moment at which to ask about a flow: that of the case, or for every moment the first from now on at which the
 * flow is in force. False when there is none. */
static bool moment_of(const struct search *search, const struct flow *flow, struct instant *ret_at) {
  struct instant at = search->now, until;
  for (;;) {
    enum force_state state = policy_flow_force(search->policy, flow, at, &until);
    if (state == FORCE_YES) {
      *ret_at = at;
      return true;
    }
    if (state == FORCE_EXPIRED || !search->expectation->universal || until.seconds == INT64_MAX)
      return false;
    at = until;
  }
}

static int try_flow(struct search *search, const struct flow *flow) {
  const struct expectation *expectation = search->expectation;
  struct address_set sources, destinations;
  struct instant at;
  if (!flow_bears_on(search, flow) || !moment_of(search, flow, &at))
    return 0;
  if (shared_addresses(search, flow->from, flow->from_count, flow->to_zone, &search->from, &search->bad_sources,
                       &sources) < 0 ||
      shared_addresses(search, flow->to, flow->to_count, flow->from_zone, &search->to, &search->bad_destinations,
                       &destinations) < 0)
    return -ENOMEM;
  for (size_t i = 0; i < flow->service_count && !search->failed; i++) {
    if (expectation->universal)
      try_sets(search, &sources, &destinations, &flow->services[i], at);
    struct service common;
    for (size_t j = 0; j < expectation->service_count && !search->failed; j++)
      if (services_meet(&flow->services[i], &expectation->services[j], &common))
        try_sets(search, &sources, &destinations, &common, at);
  }
  return 0;
}

static int try_within(struct search *search, zone_index zone) {
  static const struct service opaque = {.protocol = OPAQUE_PROTOCOL, .last_port = UINT16_MAX};
  const struct expectation *expectation = search->expectation;
  struct address_set all, sources, destinations, part;
  if (is_gateway(&expectation->from) || is_gateway(&expectation->to) || !search->policy->zones[zone].within)
    return 0;
  if (policy_zone_addresses(search->policy, zone, search->arena, &all) < 0 ||
      address_set_intersect(search->arena, &all, &search->from, &part) < 0 ||
      address_set_subtract(search->arena, &part, &search->bad_sources, &sources) < 0 ||
      address_set_intersect(search->arena, &all, &search->to, &part) < 0 ||
      address_set_subtract(search->arena, &part, &search->specials, &destinations) < 0)
    return -ENOMEM;
  if (expectation->universal)
    try_sets(search, &sources, &destinations, &opaque, search->now);
  for (size_t i = 0; i < expectation->service_count && !search->failed; i++) {
    struct service service = expectation->services[i];
    try_sets(search, &sources, &destinations, &service, search->now);
    if (search->failed || service.protocol != PROTOCOL_UDP || service.first_port != TEREDO_PORT ||
        service.last_port == TEREDO_PORT)
      continue;
    service.first_port++; /* the guard refuses the first port of the range, not the rest */
    try_sets(search, &sources, &destinations, &service, search->now);
  }
  return 0;
}

static int search_for_allowed(struct search *search) {
  const struct policy *policy = search->policy;
  for (size_t i = 0; i < policy->zone_count && !search->failed; i++)
    if (try_within(search, (zone_index)i) < 0)
      return -ENOMEM;
  for (size_t i = 0; i < policy->flow_count && !search->failed; i++)
    if (try_flow(search, &policy->flows[i]) < 0)
      return -ENOMEM;
  return 0;
}

/* ---- expecting allow ---- */

/* A growing list of addresses at which a new piece of an end begins. */
struct pieces {
  struct arena *arena;
  const struct address_set *whole;
  struct address_range *starts; /* each a single address */
  size_t count, capacity;
  bool failed;
};

static void begin_piece(struct pieces *pieces, const struct address *start) {
  void *items = pieces->starts;
  if (pieces->failed || !address_set_contains(pieces->whole, start))
    return;
  if (arena_grow(pieces->arena, &items, pieces->count, &pieces->capacity, sizeof(*pieces->starts)) < 0) {
    pieces->failed = true;
    return;
  }
  pieces->starts = items;
  pieces->starts[pieces->count++] = (struct address_range){*start, *start};
}

static void cut_pieces(struct pieces *pieces, const struct address_set *ranges) {
  struct address behind;
  for (size_t i = 0; i < ranges->count; i++) {
    begin_piece(pieces, &ranges->ranges[i].first);
    if (address_next(&ranges->ranges[i].last, &behind))
      begin_piece(pieces, &behind);
  }
}

static void cut_by_flows(struct pieces *pieces, const struct search *search, bool sources) {
  for (size_t i = 0; i < search->policy->flow_count; i++) {
    const struct flow *flow = &search->policy->flows[i];
    if (!flow_bears_on(search, flow))
      continue;
    struct address_set ends;
    if (policy_end_addresses(search->policy, sources ? flow->from : flow->to,
                             sources ? flow->from_count : flow->to_count, sources ? flow->to_zone : flow->from_zone,
                             search->arena, &ends) < 0)
      pieces->failed = true;
    else
      cut_pieces(pieces, &ends);
  }
}

/* No host may bear a broadcast address, so a network is allowed without it; unless it is all that the case names. */
static int less_broadcasts(const struct search *search, struct address_set *set) {
  struct address_set rest;
  if (address_set_subtract(search->arena, set, &search->broadcasts, &rest) < 0)
    return -ENOMEM;
  if (rest.count != 0)
    *set = rest;
  return 0;
}

/* One address for every piece of an end within which no verdict changes. */
static int pieces_of_end(struct search *search, bool sources, struct pieces *pieces) {
  struct address_set *whole = sources ? &search->from : &search->to;
  if (less_broadcasts(search, whole) < 0)
    return -ENOMEM;
  *pieces = (struct pieces){.arena = search->arena, .whole = whole};
  for (size_t i = 0; i < pieces->whole->count; i++)
    begin_piece(pieces, &pieces->whole->ranges[i].first);
  cut_pieces(pieces, sources ? &search->bad_sources : &search->bad_destinations);
  for (size_t i = 0; i < search->policy->zone_count; i++) {
    struct address_set zone;
    if (policy_zone_addresses(search->policy, (zone_index)i, search->arena, &zone) < 0)
      return -ENOMEM;
    cut_pieces(pieces, &zone);
  }
  cut_by_flows(pieces, search, sources);
  return pieces->failed ? -ENOMEM : 0;
}

static bool has_ports(const struct service *service) {
  return service->protocol == PROTOCOL_TCP || service->protocol == PROTOCOL_UDP;
}

static bool try_pieces(struct search *search, const struct pieces *sources, const struct pieces *destinations,
                       const struct service *service, uint16_t port) {
  for (size_t i = 0; i < sources->count; i++)
    for (size_t j = 0; j < destinations->count; j++)
      if (try_packet(search, &sources->starts[i].first, &destinations->starts[j].first, service, port, search->now))
        return true;
  return false;
}

/* Marks the ports at which a new piece of a service may begin; the array has one more item than there are ports. */
static bool *pieces_of_ports(const struct search *search, const struct service *service) {
  bool *begins = ARENA_ARRAY(search->arena, UINT16_MAX + 2, bool);
  if (begins == NULL)
    return NULL;
  begins[TEREDO_PORT] = begins[TEREDO_PORT + 1] = true;
  for (size_t i = 0; i < search->policy->flow_count; i++)
    for (size_t j = 0; j < search->policy->flows[i].service_count; j++) {
      const struct service *other = &search->policy->flows[i].services[j];
      if (other->protocol == service->protocol)
        begins[other->first_port] = begins[other->last_port + 1] = true;
    }
  return begins;
}

static int search_for_denied(struct search *search) {
  const struct expectation *expectation = search->expectation;
  struct pieces sources, destinations;
  if (pieces_of_end(search, true, &sources) < 0 || pieces_of_end(search, false, &destinations) < 0)
    return -ENOMEM;
  for (size_t i = 0; i < expectation->service_count; i++) {
    const struct service *service = &expectation->services[i];
    const bool *begins = pieces_of_ports(search, service);
    if (begins == NULL)
      return -ENOMEM;
    unsigned last = has_ports(service) ? service->last_port : service->first_port;
    for (unsigned port = service->first_port; port <= last; port++)
      if ((begins[port] || port == service->first_port) &&
          try_pieces(search, &sources, &destinations, service, (uint16_t)port))
        return 0;
  }
  return 0;
}

/* Every packet of a pair passes only within one zone that allows it: no flow covers every protocol. */
static void search_pair_for_denied(struct search *search) {
  static const struct service opaque = {.protocol = OPAQUE_PROTOCOL, .last_port = UINT16_MAX};
  try_sets(search, &search->from, &search->to, &opaque, search->now);
}

/* ---- telling ---- */

static const char *service_text(const struct packet *packet, char text[static SERVICE_TEXT_SIZE]) {
  unsigned protocol = packet->protocol, type = packet->icmp_type;
  if (protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP)
    snprintf(text, SERVICE_TEXT_SIZE, "%s/%u", protocol == PROTOCOL_TCP ? "tcp" : "udp",
             (unsigned)packet->destination_port);
  else if (protocol != PROTOCOL_ICMP && protocol != PROTOCOL_ICMPV6)
    snprintf(text, SERVICE_TEXT_SIZE, "proto/%u", protocol);
  else if (type == (protocol == PROTOCOL_ICMP ? 8 : 128))
    snprintf(text, SERVICE_TEXT_SIZE, "%s/echo-request", protocol == PROTOCOL_ICMP ? "icmp" : "icmpv6");
  else
    snprintf(text, SERVICE_TEXT_SIZE, "%s/%u", protocol == PROTOCOL_ICMP ? "icmp" : "icmpv6", type);
  return text;
}

static const char *moment_text(const struct search *search, char text[static INSTANT_TEXT_SIZE]) {
  const struct timezone *timezone = search->policy->header.timezone;
  return timezone != NULL ? instant_format(timezone, search->at, text) : "-";
}

static struct diagnostic *tell_allowed(const struct search *search, struct diagnostic_list *list, struct place place) {
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE], service[SERVICE_TEXT_SIZE], at[INSTANT_TEXT_SIZE];
  const struct packet *packet = &search->query.packet;
  const struct flow *flow = search->decision.flow;
  address_format(&packet->source, source);
  address_format(&packet->destination, destination);
  service_text(packet, service);
  if (flow == NULL)
    return diagnostic_add(list, SEVERITY_ERROR, "E01", place, search->expectation->name,
                          "%s から %s への %s は、領域「%s」の中の転送 (within) として通ります",
                          "%s to %s, %s passes as forwarding within zone '%s'", source, destination, service,
                          policy_zone_name(search->policy, search->decision.from_zone));
  if (search->expectation->expect_allow)
    return diagnostic_add(list, SEVERITY_ERROR, "E01", place, search->expectation->name,
                          "%s から %s への %s は通るが、期待した %s ではなく %s によります",
                          "%s to %s, %s passes, yet not by %s as expected but by %s", source, destination, service,
                          search->expectation->flow.text, flow->name);
  return diagnostic_add(list, SEVERITY_ERROR, "E01", place, search->expectation->name,
                        "拒否を期待したが、%s から %s への %s は %s により通ります（%s の時点）",
                        "expected deny, but %s to %s, %s passes by %s (at %s)", source, destination, service,
                        flow->name, moment_text(search, at));
}

static struct diagnostic *tell_denied(const struct search *search, struct diagnostic_list *list, struct place place) {
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE], service[SERVICE_TEXT_SIZE], at[INSTANT_TEXT_SIZE];
  const struct packet *packet = &search->query.packet;
  enum reason reason = search->decision.reason;
  return diagnostic_add(list, SEVERITY_ERROR, "E01", place, search->expectation->name,
                        "許可を期待したが、%s から %s への %s は通りません: %s (%s, %s の時点)",
                        "expected allow, but %s to %s, %s does not pass: %s (%s, at %s)",
                        address_format(&packet->source, source), address_format(&packet->destination, destination),
                        service_text(packet, service), reason_label(reason, list->language), reason_name(reason),
                        moment_text(search, at));
}

static void tell(const struct search *search, struct diagnostic_list *list) {
  const struct expectation *expectation = search->expectation;
  struct place place = expectation->verdict_place.file != NULL ? expectation->verdict_place : expectation->place;
  place = place_of_token(place, expectation->expect_allow ? "allow" : "deny");
  if (!search->failed) {
    diagnostic_add(list, SEVERITY_ERROR, "E01", place, expectation->name,
                   "許可を期待したが、from から to への service のパケットは存在しません（IPの版が合いません）",
                   "expected allow, but no packet of this service can go from `from` to `to` (IP versions differ)");
    return;
  }
  struct diagnostic *diagnostic =
      search->decision.allow ? tell_allowed(search, list, place) : tell_denied(search, list, place);
  const struct flow *flow = search->decision.flow;
  if (flow != NULL)
    diagnostic_relate(list, diagnostic, place_of_token(flow->place, flow->name), "通信 %s", "flow %s", flow->name);
  else if (search->decision.place.file != NULL)
    diagnostic_relate(list, diagnostic, search->decision.place, "領域または端末の宣言", "the zone or host in question");
  if (search->decision.allow)
    diagnostic_hint(list, diagnostic, "通してはならないなら通信を狭め、正しいなら期待を改めてください",
                    "narrow the flow if this must not pass, or correct the expectation");
  else if (flow != NULL)
    diagnostic_hint(list, diagnostic, "%s の期限、時間帯、向きを確かめるか、期待を改めてください",
                    "look at the end, the hours and the direction of %s, or correct the expectation", flow->name);
  else
    diagnostic_hint(list, diagnostic, "必要な通信なら承認を得て flows に加え、不要なら期待を改めてください",
                    "add an approved flow if this is needed, or correct the expectation");
}

static int search_run(struct search *search) {
  if (search_begin(search) < 0)
    return -ENOMEM;
  if (!search->expectation->expect_allow)
    return search_for_allowed(search);
  if (search->expectation->universal)
    search_pair_for_denied(search);
  else
    return search_for_denied(search);
  return 0;
}

struct expectation_result policy_check_expectations(const struct policy *policy, struct instant now,
                                                    struct diagnostic_list *diagnostics) {
  struct expectation_result result = {0};
  for (size_t i = 0; i < policy->expectation_count; i++) {
    const struct expectation *expectation = &policy->expectations[i];
    if (!expectation->valid)
      continue;
    struct search search = {.policy = policy,
                            .expectation = expectation,
                            .arena = arena_new(0),
                            .now = expectation->at_set ? expectation->at : now};
    if (search.arena == NULL || search_run(&search) < 0)
      diagnostics->out_of_memory = true;
    bool passed = !diagnostics->out_of_memory && !search.failed && (!expectation->expect_allow || search.packets != 0);
    if (!passed && !diagnostics->out_of_memory)
      tell(&search, diagnostics);
    result.passed += passed;
    result.failed += !passed;
    arena_free(search.arena);
  }
  return result;
}
