/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/lockout.h"

#include <string.h>
#include <sys/socket.h>

#include "policy/decide.h"

/* ---- ways in ---- */

static bool is_management(const struct policy *policy, zone_index zone) {
  return zone >= 0 && policy->zones[zone].class_known && policy->zones[zone].class == CLASS_MANAGEMENT;
}

/* Whether an emergency cut took every host that the end names. */
static bool hosts_are_cut(const struct lockout_side *side, const struct endpoint *ends, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (ends[i].kind != ENDPOINT_HOST) {
      return false;
    }
    for (size_t j = 0; j < ends[i].host->address_count; j++) {
      const struct address_range *range = &ends[i].host->addresses[j].range;
      if (!address_equal(&range->first, &range->last) || !restrictions_cut_address(side->restrictions, &range->first)) {
        return false;
      }
    }
  }
  return true;
}

static bool is_way_in(const struct lockout_side *side, const struct flow *flow, struct instant now) {
  return flow->to_zone == ZONE_GATEWAY && is_management(side->policy, flow->from_zone) &&
         restricted_flow_force(side->policy, side->restrictions, flow, now, NULL) == FORCE_YES &&
         !restrictions_cut_zones(side->restrictions, side->policy, flow->from_zone, ZONE_GATEWAY) &&
         !hosts_are_cut(side, flow->from, flow->from_count);
}

static bool has_way_in(const struct lockout_side *side, struct instant now) {
  for (size_t i = 0; side->policy && i < side->policy->flow_count; i++) {
    if (is_way_in(side, &side->policy->flows[i], now)) {
      return true;
    }
  }
  return false;
}

/* ---- the connection ---- */

static struct packet packet_of(const struct operator_way *way, bool reply) {
  return (struct packet){.source = reply ? way->gateway_address : way->operator_address,
                         .destination = reply ? way->operator_address : way->gateway_address,
                         .protocol = PROTOCOL_TCP,
                         .source_port = reply ? way->gateway_port : way->operator_port,
                         .destination_port = reply ? way->operator_port : way->gateway_port,
                         .tcp_flags = TCP_ACK};
}

static bool connection_passes(const struct lockout_side *side, const struct lockout_question *question) {
  if (!side->policy) {
    return false;
  }
  const struct circumstances circumstances = {
      .now = question->now, .own = question->own, .restrictions = side->restrictions};
  const struct operator_way *way = &question->way;
  zone_index zone = policy_zone_of_address(side->policy, question->own, &way->operator_address);
  struct packet opener = packet_of(way, false);
  const struct query asking = {
      .packet = opener, .in_zone = zone, .out_zone = ZONE_GATEWAY, .role = ROLE_ORIGINAL, .opener = opener};
  const struct query answering = {
      .packet = packet_of(way, true), .in_zone = ZONE_GATEWAY, .out_zone = zone, .role = ROLE_REPLY, .opener = opener};
  return policy_decide(side->policy, &circumstances, &asking).allow &&
         policy_decide(side->policy, &circumstances, &answering).allow;
}

/* A connection that does not pass now is not one that the change could cut: it came by a way that is not ours. */
enum lockout lockout_judge(const struct lockout_question *question) {
  if (has_way_in(&question->before, question->now) && !has_way_in(&question->after, question->now)) {
    return LOCKOUT_LAST_WAY_IN;
  }
  if (question->way.known && connection_passes(&question->before, question) &&
      !connection_passes(&question->after, question)) {
    return LOCKOUT_CONNECTION;
  }
  return LOCKOUT_NONE;
}

/* ---- words ---- */

static const struct {
  const char *name, *japanese, *english;
} words[] = {
    [LOCKOUT_NONE] = {"", "", ""},
    [LOCKOUT_LAST_WAY_IN] = {"last-way-in",
                             "運用管理系から本機に入る最後の通信がなくなります。承知の上なら --allow-lockout を付けて"
                             "ください",
                             "the last flow from management to this gateway would end; use --allow-lockout if you mean "
                             "it"},
    [LOCKOUT_CONNECTION] = {"connection",
                            "この操作をしている接続自体が切れます。承知の上なら --allow-lockout を付けてください",
                            "the connection that you came by would be cut; use --allow-lockout if you mean it"},
};

const char *lockout_name(enum lockout lockout) {
  return words[lockout].name;
}

const char *lockout_message(enum lockout lockout, enum language language) {
  return language_choose(language, words[lockout].japanese, words[lockout].english);
}

/* ---- from a request ---- */

static bool address_of(const struct control_address *numbers, struct address *ret_address) {
  struct address address = {.family = numbers->family == AF_INET    ? FAMILY_IPV4
                                      : numbers->family == AF_INET6 ? FAMILY_IPV6
                                                                    : FAMILY_NONE};
  memcpy(address.bytes, numbers->bytes, address_length(address.family));
  *ret_address = address;
  return address.family != FAMILY_NONE;
}

struct operator_way operator_way_of(const struct control_request *request) {
  struct operator_way way = {.operator_port = (uint16_t)request->operator_port,
                             .gateway_port = (uint16_t)request->gateway_port};
  way.known = address_of(&request->operator_address, &way.operator_address) &&
              address_of(&request->gateway_address, &way.gateway_address) &&
              way.operator_address.family == way.gateway_address.family;
  return way;
}
