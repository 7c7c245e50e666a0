/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reference meaning. A packet goes through a list of checks in the order in which reasons are reported; the first
 * that objects decides, and what passes all of them is judged by the flows. Early checks look at the packet alone and
 * do not bind the gateway itself, cuts excepted; late ones stand where connection tracking and the way out are known.
 */
#include "policy/decide.h"

#include <string.h>

/* Everything that the checks ask about one packet. */
struct judgement {
  const struct policy *policy;
  const struct circumstances *circumstances;
  const struct query *query;
  const struct packet *packet;
  const struct zone *receiving; /* NULL when the gateway sends */
  zone_index source_zone;       /* that claims the source address */
  zone_index destination_zone;  /* that claims the destination address; a gateway address too lies in one */
  zone_index from, to;          /* zones between which the packet travels, ZONE_GATEWAY included */
  const struct flow *flow;
  const struct cut *cut;
  struct place place;
};

/* ---- names ---- */

static const struct {
  const char *name, *japanese, *english;
} REASONS[REASON_COUNT_] = {
    [REASON_FLOW] = {"flow", "許可された通信である", "a flow allows it"},
    [REASON_WITHIN] = {"within", "同じ領域の中で許可されている", "forwarding within the zone is allowed"},
    [REASON_SPECIAL_SOURCE] = {"special-source", "送信元が特殊用途のアドレスである",
                               "the source is a special-purpose address"},
    [REASON_SPECIAL_DESTINATION] = {"special-destination", "宛先が特殊用途のアドレスである",
                                    "the destination is a special-purpose address"},
    [REASON_OWN_SOURCE] = {"own-source", "送信元が本機自身のアドレスである",
                           "the source is an address of the gateway itself"},
    [REASON_BROADCAST_SOURCE] = {"broadcast-source", "送信元がブロードキャストアドレスである",
                                 "the source is a broadcast address"},
    [REASON_DIRECTED_BROADCAST] = {"directed-broadcast", "別の領域のブロードキャストアドレス宛てである",
                                   "the destination is the broadcast address of another zone"},
    [REASON_SPOOFED_SOURCE] = {"spoofed-source", "送信元が受信した領域のアドレスではない",
                               "the source does not belong to the zone that it came from"},
    [REASON_MAC_MISMATCH] = {"mac-mismatch", "登録された機器と異なるMACアドレスから届いた",
                             "the source is pinned to another MAC address"},
    [REASON_CUT] = {"cut", "緊急遮断されている", "an emergency cut is in force"},
    [REASON_IP_OPTIONS] = {"ip-options", "IPオプションまたは禁止された拡張ヘッダを含む",
                           "it carries IP options or a forbidden extension header"},
    [REASON_FRAGMENT] = {"fragment", "断片化に不正がある", "it is a bad fragment"},
    [REASON_TUNNEL] = {"tunnel", "許可のないトンネルである", "it is a tunnel that no flow names"},
    [REASON_UNKNOWN_ZONE] = {"unknown-zone", "どの領域にも属さない", "it belongs to no zone"},
    [REASON_NO_FLOW] = {"no-flow", "許可する通信がない", "no flow allows it"},
    [REASON_NO_FLOW_THIS_DIRECTION] = {"no-flow-this-direction", "逆向きだけが許可されている",
                                       "flows allow it only in the other direction"},
    [REASON_INVALID_STATE] = {"invalid-state", "接続の状態として正しくない", "it fits no connection and opens none"},
    [REASON_ICMP] = {"icmp", "転送しない種類のICMPである", "ICMP of this type is not forwarded"},
    [REASON_FLOOD] = {"flood", "応答のない接続要求が多すぎる", "too many unanswered openings"},
    [REASON_LIMIT] = {"limit", "通信の上限を超えた", "it is over the limit of its flow"},
    [REASON_EXPIRED] = {"expired", "許可の期限が切れている", "the flow has expired"},
    [REASON_OUTSIDE_WINDOW] = {"outside-window", "許可された時間の外である", "the flow is outside its window"},
};

const char *reason_name(enum reason reason) {
  return (unsigned)reason < REASON_COUNT_ ? REASONS[reason].name : "-";
}

const char *reason_label(enum reason reason, enum language language) {
  if ((unsigned)reason >= REASON_COUNT_)
    return "-";
  return language_choose(language, REASONS[reason].japanese, REASONS[reason].english);
}

/* ---- protocols ---- */

static bool is_icmp4(const struct packet *packet) {
  return packet->source.family == FAMILY_IPV4 && packet->protocol == PROTOCOL_ICMP;
}

static bool is_icmp6(const struct packet *packet) {
  return packet->source.family == FAMILY_IPV6 && packet->protocol == PROTOCOL_ICMPV6;
}

static bool is_icmp(const struct packet *packet) {
  return is_icmp4(packet) || is_icmp6(packet);
}

/* ICMP over IPv6 or ICMPv6 over IPv4: connection tracking takes it for broken. */
static bool is_misplaced_icmp(const struct packet *packet) {
  return (packet->protocol == PROTOCOL_ICMP || packet->protocol == PROTOCOL_ICMPV6) && !is_icmp(packet);
}

static bool header_is_known(const struct packet *packet) {
  return (packet->traits & TRAIT_NO_PORTS) == 0;
}

static bool is_type(const struct packet *packet, bool version4, uint8_t first, uint8_t last) {
  return header_is_known(packet) && (version4 ? is_icmp4(packet) : is_icmp6(packet)) && packet->icmp_type >= first &&
         packet->icmp_type <= last;
}

static bool is_icmp_error(const struct packet *packet) {
  return is_type(packet, true, 3, 3) || is_type(packet, true, 11, 12) || is_type(packet, false, 1, 4);
}

static bool is_echo(const struct packet *packet) {
  return is_type(packet, true, 0, 0) || is_type(packet, true, 8, 8) || is_type(packet, false, 128, 129);
}

static bool is_neighbour_discovery(const struct packet *packet) {
  return is_type(packet, false, 135, 136);
}

/* Connection tracking takes these as the start of a connection; whether they pass is another question. */
static bool icmp_may_open(const struct packet *packet) {
  return is_type(packet, true, 8, 8) || is_type(packet, true, 13, 13) || is_type(packet, true, 15, 15) ||
         is_type(packet, true, 17, 17) || is_type(packet, false, 128, 128) || is_type(packet, false, 139, 139);
}

/* Connection tracking leaves these alone, so they are never invalid. */
static bool icmp_is_untracked(const struct packet *packet) {
  return is_type(packet, false, 130, 136) || is_type(packet, false, 143, 143) || is_type(packet, false, 151, 153);
}

static bool tcp_opens(const struct packet *packet) {
  return (packet->tcp_flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK)) == TCP_SYN;
}

/* The combinations that RFC 793 knows; PSH may stand with any. */
static bool tcp_flags_make_sense(const struct packet *packet) {
  static const uint8_t sensible[] = {TCP_SYN,           TCP_SYN | TCP_URG, TCP_SYN | TCP_ACK,           TCP_RST,
                                     TCP_RST | TCP_ACK, TCP_FIN | TCP_ACK, TCP_FIN | TCP_ACK | TCP_URG, TCP_ACK,
                                     TCP_ACK | TCP_URG};
  uint8_t flags = packet->tcp_flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK | TCP_URG);
  return memchr(sensible, flags, sizeof(sensible)) != NULL;
}

/* ---- zones and hosts ---- */

static const struct zone *zone_at(const struct policy *policy, zone_index zone) {
  return zone >= 0 && (size_t)zone < policy->zone_count ? &policy->zones[zone] : NULL;
}

/* Where an address of the gateway lies; a broadcast address is none, though the gateway hears it. */
static bool may_be_gateway(const struct policy *policy, zone_index zone, const struct address *address) {
  const struct zone *found = zone_at(policy, zone);
  struct address broadcast;
  for (size_t i = 0; found != NULL && i < found->network_count; i++)
    if (range_contains(&found->networks[i].range, address))
      return !range_broadcast(&found->networks[i].range, &broadcast) || !address_equal(&broadcast, address);
  return false;
}

static bool host_has(const struct host *host, const struct address *address) {
  for (size_t i = 0; i < host->address_count; i++)
    if (range_contains(&host->addresses[i].range, address))
      return true;
  return false;
}

static bool host_is_pinned(const struct host *host) {
  return host->mac_count != 0 && host->mac_scope == MAC_SCOPE_DIRECT;
}

static bool host_knows_mac(const struct host *host, const struct mac *mac) {
  for (size_t i = 0; i < host->mac_count; i++)
    if (mac_equal(&host->macs[i], mac))
      return true;
  return false;
}

/* A host of the zone to which the source is pinned while another MAC sent the packet; NULL when all is well. */
static const struct host *mismatched_host(const struct policy *policy, const struct packet *packet, zone_index zone) {
  const struct host *mismatched = NULL;
  for (size_t i = 0; packet->has_source_mac && i < policy->host_count; i++) {
    const struct host *host = &policy->hosts[i];
    if (host->zone != zone || !host_is_pinned(host) || !host_has(host, &packet->source))
      continue;
    if (host_knows_mac(host, &packet->source_mac))
      return NULL;
    if (mismatched == NULL)
      mismatched = host;
  }
  return mismatched;
}

static bool is_own(const struct judgement *judgement, const struct address *address) {
  return judgement->circumstances->own != NULL && address_set_contains(judgement->circumstances->own, address);
}

/* The zone on whose attached networks the address is a broadcast; ZONE_NONE when on none. */
static zone_index broadcast_zone(const struct policy *policy, const struct address *address) {
  for (size_t i = 0; i < policy->zone_count; i++)
    for (size_t j = 0; j < policy->zones[i].network_count; j++) {
      struct address broadcast;
      if (range_broadcast(&policy->zones[i].networks[j].range, &broadcast) && address_equal(&broadcast, address))
        return (zone_index)i;
    }
  return ZONE_NONE;
}

/* ---- flows ---- */

/* A zone that must never be seen here has no flows, whatever the file says. */
static bool flow_is_sound(const struct policy *policy, const struct flow *flow) {
  const struct zone *from = zone_at(policy, flow->from_zone), *to = zone_at(policy, flow->to_zone);
  return flow->from_zone != ZONE_NONE && flow->to_zone != ZONE_NONE &&
         (from == NULL || from->class != CLASS_UNROUTED) && (to == NULL || to->class != CLASS_UNROUTED);
}

static bool flow_joins(const struct policy *policy, const struct flow *flow, zone_index left, zone_index right) {
  return flow_is_sound(policy, flow) &&
         ((flow->from_zone == left && flow->to_zone == right) || (flow->from_zone == right && flow->to_zone == left));
}

static bool zones_are_joined(const struct policy *policy, zone_index left, zone_index right) {
  for (size_t i = 0; i < policy->flow_count; i++)
    if (flow_joins(policy, &policy->flows[i], left, right))
      return true;
  return false;
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

static bool end_covers(const struct policy *policy, const struct endpoint *end, zone_index peer,
                       const struct address *address) {
  switch (end->kind) {
  case ENDPOINT_HOST:
    return end->host != NULL && host_has(end->host, address);
  case ENDPOINT_ZONE:
    return zone_at(policy, end->zone) != NULL && address_set_contains(&policy->zones[end->zone].local, address);
  case ENDPOINT_GATEWAY:
    return may_be_gateway(policy, peer, address);
  }
  return false;
}

static bool source_is_covered(const struct policy *policy, const struct flow *flow, const struct packet *packet) {
  for (size_t i = 0; i < flow->from_count; i++) {
    const struct endpoint *end = &flow->from[i];
    if (!end_covers(policy, end, flow->to_zone, &packet->source))
      continue;
    if (end->kind != ENDPOINT_HOST || !host_is_pinned(end->host) ||
        mismatched_host(policy, packet, end->host->zone) == NULL)
      return true;
  }
  return false;
}

static bool destination_is_covered(const struct policy *policy, const struct flow *flow, const struct packet *packet) {
  for (size_t i = 0; i < flow->to_count; i++)
    if (end_covers(policy, &flow->to[i], flow->from_zone, &packet->destination))
      return true;
  return false;
}

const struct flow *policy_next_covering_flow(const struct policy *policy, const struct packet *opener,
                                             zone_index from_zone, zone_index to_zone, const struct flow *previous) {
  size_t start = previous != NULL ? (size_t)(previous - policy->flows) + 1 : 0;
  for (size_t i = start; i < policy->flow_count; i++) {
    const struct flow *flow = &policy->flows[i];
    if (flow->from_zone == from_zone && flow->to_zone == to_zone && flow_is_sound(policy, flow) &&
        services_cover(flow, opener) && source_is_covered(policy, flow, opener) &&
        destination_is_covered(policy, flow, opener))
      return flow;
  }
  return NULL;
}

/* The first flow in force that covers an opener; else NULL with the reason, and the flow that comes nearest. */
static const struct flow *flow_in_force(const struct judgement *judgement, const struct packet *opener, zone_index from,
                                        zone_index to, enum reason *ret_reason, const struct flow **ret_nearest) {
  const struct policy *policy = judgement->policy;
  *ret_reason = REASON_NO_FLOW;
  *ret_nearest = NULL;
  for (const struct flow *flow = NULL; (flow = policy_next_covering_flow(policy, opener, from, to, flow)) != NULL;) {
    enum force_state state = restricted_flow_force(policy, judgement->circumstances->restrictions, flow,
                                                   judgement->circumstances->now, NULL);
    if (state == FORCE_YES)
      return flow;
    enum reason reason = state == FORCE_EXPIRED ? REASON_EXPIRED : REASON_OUTSIDE_WINDOW;
    if (*ret_nearest == NULL || (reason == REASON_OUTSIDE_WINDOW && *ret_reason == REASON_EXPIRED)) {
      *ret_reason = reason;
      *ret_nearest = flow;
    }
  }
  if (*ret_nearest != NULL)
    return NULL;
  struct packet turned = *opener;
  turned.source = opener->destination;
  turned.destination = opener->source;
  turned.has_source_mac = false;
  *ret_nearest = policy_next_covering_flow(policy, &turned, to, from, NULL);
  if (*ret_nearest != NULL)
    *ret_reason = REASON_NO_FLOW_THIS_DIRECTION;
  return NULL;
}

/* ---- the guard, early: each check says whether it objects ---- */

static bool has_special_source(struct judgement *judgement) {
  return policy_is_special_source(judgement->policy, &judgement->packet->source);
}

static bool has_special_destination(struct judgement *judgement) {
  return policy_is_special_destination(judgement->policy, &judgement->packet->destination);
}

static bool has_own_source(struct judgement *judgement) {
  return is_own(judgement, &judgement->packet->source);
}

static bool has_broadcast_source(struct judgement *judgement) {
  zone_index zone = broadcast_zone(judgement->policy, &judgement->packet->source);
  if (zone != ZONE_NONE)
    judgement->place = judgement->policy->zones[zone].place;
  return zone != ZONE_NONE;
}

static bool is_directed_broadcast(struct judgement *judgement) {
  zone_index zone = broadcast_zone(judgement->policy, &judgement->packet->destination);
  if (zone == ZONE_NONE || zone == judgement->query->in_zone)
    return false;
  judgement->place = judgement->policy->zones[zone].place;
  return true;
}

static bool is_spoofed(struct judgement *judgement) {
  if (judgement->source_zone == judgement->query->in_zone)
    return false;
  judgement->place = judgement->receiving->place;
  return true;
}

static bool has_wrong_mac(struct judgement *judgement) {
  const struct host *host = mismatched_host(judgement->policy, judgement->packet, judgement->query->in_zone);
  if (host != NULL)
    judgement->place = host->place;
  return host != NULL;
}

/*
 * The zone whose cuts concern the packet: by the destination address, since the way out is not known yet; by the way
 * out for what the gateway sends.
 */
static zone_index zone_of_cuts(const struct judgement *judgement) {
  const struct query *query = judgement->query;
  const struct address *destination = &judgement->packet->destination;
  if (query->in_zone == ZONE_GATEWAY)
    return judgement->to;
  bool for_gateway = is_own(judgement, destination) ||
                     (judgement->to == ZONE_GATEWAY && may_be_gateway(judgement->policy, query->in_zone, destination));
  return for_gateway ? ZONE_GATEWAY : judgement->destination_zone;
}

static bool is_cut(struct judgement *judgement) {
  const struct restrictions *restrictions = judgement->circumstances->restrictions;
  judgement->cut = restrictions_find_address_cut(restrictions, &judgement->packet->source);
  if (judgement->cut == NULL)
    judgement->cut = restrictions_find_address_cut(restrictions, &judgement->packet->destination);
  if (judgement->cut == NULL)
    judgement->cut =
        restrictions_find_zone_cut(restrictions, judgement->policy, judgement->query->in_zone, zone_of_cuts(judgement));
  return judgement->cut != NULL;
}

static bool has_ip_options(struct judgement *judgement) {
  return (judgement->packet->traits & (TRAIT_IP_OPTIONS | TRAIT_ROUTING_HEADER | TRAIT_HOP_BY_HOP)) != 0;
}

/* RFC 6980: it is never cut in pieces but by whoever wants it to pass for something else. */
static bool is_discovery_in_fragments(struct judgement *judgement) {
  return is_neighbour_discovery(judgement->packet) && (judgement->packet->traits & TRAIT_FRAGMENT) != 0;
}

static bool tunnel_is_named(const struct judgement *judgement, zone_index zone) {
  const struct policy *policy = judgement->policy;
  for (size_t i = 0; i < policy->flow_count; i++)
    if (flow_joins(policy, &policy->flows[i], judgement->query->in_zone, zone) &&
        services_cover(&policy->flows[i], judgement->packet))
      return true;
  return false;
}

static bool is_tunnel(struct judgement *judgement) {
  static const uint8_t protocols[] = {4, 41, 47, 50, 51, 94, 97, 98, 115};
  enum { TEREDO_PORT = 3544 };
  const struct packet *packet = judgement->packet;
  bool teredo = packet->protocol == PROTOCOL_UDP && header_is_known(packet) && packet->destination_port == TEREDO_PORT;
  if (!teredo && memchr(protocols, packet->protocol, sizeof(protocols)) == NULL)
    return false;
  return !tunnel_is_named(judgement, judgement->destination_zone) &&
         !(judgement->to == ZONE_GATEWAY && tunnel_is_named(judgement, ZONE_GATEWAY));
}

static bool goes_nowhere(struct judgement *judgement) {
  return judgement->destination_zone == ZONE_NONE && !is_own(judgement, &judgement->packet->destination);
}

/* What a zone that is told of refusals sends is judged late, so that the answer can be made. */
static bool has_no_flow_at_all(struct judgement *judgement) {
  zone_index from = judgement->query->in_zone, to = judgement->destination_zone;
  if (from == to || is_icmp_error(judgement->packet) || judgement->receiving->on_deny == ON_DENY_REJECT ||
      zones_are_joined(judgement->policy, from, to))
    return false;
  const struct zone *destination = zone_at(judgement->policy, to);
  if (destination != NULL && destination->class == CLASS_UNROUTED)
    judgement->place = destination->place;
  return true;
}

/* ---- the guard, late ---- */

static bool is_invalid(struct judgement *judgement) {
  const struct packet *packet = judgement->packet;
  enum packet_role role = judgement->query->role;
  if (!header_is_known(packet) || role == ROLE_ERROR)
    return false;
  if (packet->protocol == PROTOCOL_TCP)
    return !tcp_flags_make_sense(packet) || (role == ROLE_OPENS && !tcp_opens(packet));
  if (role != ROLE_OPENS)
    return false;
  return is_misplaced_icmp(packet) || (is_icmp(packet) && !icmp_may_open(packet) && !icmp_is_untracked(packet));
}

static bool connection_is_allowed(struct judgement *judgement, zone_index left, zone_index right) {
  const struct packet *opener = &judgement->query->opener;
  enum reason reason;
  const struct flow *nearest, *flow = flow_in_force(judgement, opener, left, right, &reason, &nearest);
  if (flow == NULL)
    flow = flow_in_force(judgement, opener, right, left, &reason, &nearest);
  if (flow == NULL)
    return false;
  judgement->flow = flow;
  judgement->place = flow->place;
  return true;
}

/* The gateway reports about connections that it forwards for a zone, whatever the other zone is, unless it is cut off.
 */
static bool gateway_may_report(struct judgement *judgement) {
  const struct restrictions *restrictions = judgement->circumstances->restrictions;
  for (size_t i = 0; i < judgement->policy->zone_count; i++)
    if (!restrictions_cut_zones(restrictions, judgement->policy, judgement->to, (zone_index)i) &&
        connection_is_allowed(judgement, judgement->to, (zone_index)i))
      return true;
  return false;
}

static bool within_is_allowed(const struct judgement *judgement) {
  return restricted_within(judgement->policy, judgement->circumstances->restrictions, judgement->to,
                           judgement->circumstances->now, NULL) &&
         !judgement->query->same_interface;
}

static bool error_is_allowed(struct judgement *judgement) {
  if (!is_icmp_error(judgement->packet))
    return false;
  if (judgement->from == judgement->to)
    return zone_at(judgement->policy, judgement->to) != NULL && within_is_allowed(judgement);
  return connection_is_allowed(judgement, judgement->from, judgement->to) ||
         (judgement->from == ZONE_GATEWAY && gateway_may_report(judgement));
}

static bool is_unwanted_icmp(struct judgement *judgement) {
  if (judgement->query->role == ROLE_ERROR)
    return !error_is_allowed(judgement);
  return is_icmp(judgement->packet) && header_is_known(judgement->packet) && !is_echo(judgement->packet);
}

/* ---- the order of all of them ---- */

struct check {
  enum reason reason;
  bool (*objects)(struct judgement *judgement);
  bool early;
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

/* Between the gateway and whoever stands on the same wire; what the gateway sends is whole where it is judged. */
static bool discovers_gateway(struct judgement *judgement) {
  return is_neighbour_discovery(judgement->packet) &&
         (judgement->from == ZONE_GATEWAY || (judgement->to == ZONE_GATEWAY && !is_discovery_in_fragments(judgement)));
}

/* A packet for the gateway must bear an address of the interfaces on its side. */
static bool destination_fits(const struct judgement *judgement) {
  if (judgement->to == ZONE_GATEWAY)
    return may_be_gateway(judgement->policy, judgement->query->in_zone, &judgement->packet->destination);
  return judgement->destination_zone == judgement->to;
}

static enum reason judge_within(struct judgement *judgement) {
  const struct zone *zone = zone_at(judgement->policy, judgement->to);
  if (zone == NULL)
    return judgement->to == ZONE_GATEWAY ? REASON_WITHIN : REASON_UNKNOWN_ZONE;
  judgement->place = zone->place;
  return within_is_allowed(judgement) ? REASON_WITHIN : REASON_NO_FLOW;
}

static enum reason judge_by_flows(struct judgement *judgement) {
  const struct query *query = judgement->query;
  bool reply = query->role == ROLE_REPLY;
  const struct packet *opener = query->role == ROLE_OPENS ? judgement->packet : &query->opener;
  zone_index from = reply ? judgement->to : judgement->from, to = reply ? judgement->from : judgement->to;
  enum reason reason;
  const struct flow *nearest, *flow = flow_in_force(judgement, opener, from, to, &reason, &nearest);
  judgement->flow = flow != NULL ? flow : nearest;
  if (judgement->flow != NULL)
    judgement->place = judgement->flow->place;
  return flow != NULL ? REASON_FLOW : reason;
}

static enum reason judge(struct judgement *judgement) {
  const struct query *query = judgement->query;
  bool gateway_sends = query->in_zone == ZONE_GATEWAY;
  if (query->in_zone == ZONE_NONE || (!gateway_sends && judgement->receiving == NULL))
    return REASON_UNKNOWN_ZONE;
  if (discovers_gateway(judgement))
    return REASON_WITHIN;
  if (gateway_sends && judgement->to == ZONE_GATEWAY)
    return REASON_WITHIN;
  for (size_t i = 0; i < sizeof(CHECKS) / sizeof(CHECKS[0]); i++)
    if (!(gateway_sends && CHECKS[i].early) && CHECKS[i].objects(judgement))
      return CHECKS[i].reason;
  if (!destination_fits(judgement)) {
    judgement->flow = NULL;
    judgement->place = (struct place){0};
    return REASON_NO_FLOW;
  }
  if (query->role == ROLE_ERROR)
    return judgement->from == judgement->to ? REASON_WITHIN : REASON_FLOW;
  return judgement->from == judgement->to ? judge_within(judgement) : judge_by_flows(judgement);
}

struct decision policy_decide(const struct policy *policy, const struct circumstances *circumstances,
                              const struct query *query) {
  struct judgement judgement = {
      .policy = policy,
      .circumstances = circumstances,
      .query = query,
      .packet = &query->packet,
      .receiving = zone_at(policy, query->in_zone),
      .source_zone = policy_zone_of_address(policy, circumstances->own, &query->packet.source),
      .destination_zone = policy_zone_of_address(policy, circumstances->own, &query->packet.destination),
      .from = query->in_zone,
      .to = query->out_zone,
  };
  if (judgement.to == ZONE_NONE)
    judgement.to = is_own(&judgement, &query->packet.destination) ? ZONE_GATEWAY : judgement.destination_zone;
  enum reason reason = judge(&judgement);
  return (struct decision){
      .allow = reason == REASON_FLOW || reason == REASON_WITHIN,
      .reason = reason,
      .flow = judgement.flow,
      .cut = judgement.cut,
      .from_zone = judgement.from,
      .to_zone = judgement.to,
      .place = judgement.place,
  };
}
