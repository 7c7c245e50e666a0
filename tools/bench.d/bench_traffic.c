/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <time.h>

#include "bench.h"
#include "policy/decide.h"

enum { SOURCE_PORT = 40000, HOST_OFFSET = 77 };

/* An address of the zone that is neither the network's own nor the gateway's. */
static struct address zone_address(const struct policy *policy, zone_index zone) {
  struct address address = policy->zones[zone].networks[0].range.first;
  for (int i = 0; i < HOST_OFFSET; i++) {
    address_next(&address, &address);
  }
  return address;
}

static struct address first_address(const struct policy *policy, const struct endpoint *end) {
  return end->kind == ENDPOINT_HOST ? end->host->addresses[0].range.first : zone_address(policy, end->zone);
}

static bool travels(const struct lab *lab, const struct packet *packet) {
  return packet->source.family == FAMILY_IPV4 && packet->destination.family == FAMILY_IPV4 &&
         lab_interface_of(lab, &packet->source) >= 0 && lab_interface_of(lab, &packet->destination) >= 0;
}

/* Whether such a packet between these ends opens a connection that the flow allows. */
static bool try_flow(const struct policy *policy, const struct lab *lab, const struct flow *flow,
                     const struct service *service, struct packet *ret_packet) {
  struct circumstances circumstances = {.now = {time(NULL)}, .own = lab_own(lab)};
  struct query query = {.in_zone = flow->from_zone, .out_zone = flow->to_zone, .role = ROLE_OPENS};
  if (flow->from[0].kind == ENDPOINT_GATEWAY || flow->to[0].kind == ENDPOINT_GATEWAY || flow->limit.set) {
    return false;
  }
  query.packet = (struct packet){.source = first_address(policy, &flow->from[0]),
                                 .destination = first_address(policy, &flow->to[0]),
                                 .protocol = service->protocol,
                                 .source_port = SOURCE_PORT,
                                 .destination_port = service->first_port};
  query.packet.tcp_flags = service->protocol == PROTOCOL_TCP ? TCP_SYN : 0;
  struct decision decision = policy_decide(policy, &circumstances, &query);
  *ret_packet = query.packet;
  return decision.allow && decision.reason == REASON_FLOW && travels(lab, &query.packet);
}

void bench_choose_packet(const struct policy *policy, const struct lab *lab, uint8_t protocol,
                         struct packet *ret_packet) {
  for (size_t i = 0; i < policy->flow_count; i++) {
    const struct flow *flow = &policy->flows[(i + policy->flow_count / 2) % policy->flow_count];
    for (size_t j = 0; j < flow->service_count; j++) {
      if (flow->services[j].protocol == protocol && try_flow(policy, lab, flow, &flow->services[j], ret_packet)) {
        return;
      }
    }
  }
  bench_fail("the policy has no flow of protocol %u between zones that is in force", protocol);
}

static bool joined(const struct policy *policy, zone_index one, zone_index other) {
  for (size_t i = 0; i < policy->flow_count; i++) {
    const struct flow *flow = &policy->flows[i];
    if ((flow->from_zone == one && flow->to_zone == other) || (flow->from_zone == other && flow->to_zone == one)) {
      return true;
    }
  }
  return false;
}

void bench_choose_stranger(const struct policy *policy, const struct lab *lab, const struct packet *packet,
                           struct packet *ret_packet) {
  int in = lab_interface_of(lab, &packet->source);
  zone_index zone = lab_interface(lab, (size_t)in)->zone;
  for (zone_index other = 0; (size_t)other < policy->zone_count; other++) {
    if (other != zone && policy->zones[other].network_count > 0 && !joined(policy, zone, other)) {
      *ret_packet = *packet;
      ret_packet->destination = zone_address(policy, other);
      if (travels(lab, ret_packet)) {
        return;
      }
    }
  }
  bench_fail("every zone is joined to %s", policy_zone_name(policy, zone));
}
