/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sets of proof/authorised against policy/decide, two readings of one contract: random packets, packets at the
 * edges of what the policy names, and packets taken out of the sets and from outside of them.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dice.h"
#include "policy/read.h"
#include "policy_text.h"
#include "proof/authorised.h"
#include "proof/witness.h"
#include "random_policy_text.h"
#include "random_restrictions.h"

enum { POLICIES = 16, PACKETS = 2500, WITNESSES = 6, ADDRESS_ROOM = 2000, VARIABLES = DIAGRAM_VARIABLES };

static const char NOON[] = "2026-11-24T12:00:00+09:00";

/* One policy under examination. */
struct bench {
  struct arena *arena;
  struct dice dice;
  const struct policy *policy;
  struct restrictions drawn;
  struct circumstances circumstances;
  struct address_set own;
  struct space *space;
  struct diagram_store *store;
  struct authorised *authorised;
  struct address addresses[ADDRESS_ROOM];
  size_t address_count;
  unsigned allowed, compared;
  unsigned reasons[REASON_COUNT_];
};

static const struct policy *read_town(struct arena *arena) {
  struct diagnostic_list diagnostics;
  struct error error = {0};
  const struct policy *policy = NULL;
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(
      policy_read(KIDO_SOURCE_DIRECTORY "/config/examples/town.conf", arena, false, &policy, &diagnostics, &error), 0);
  return policy;
}

/* ---- addresses worth asking about ---- */

static void note_address(struct bench *bench, struct address address) {
  if (bench->address_count < ADDRESS_ROOM)
    bench->addresses[bench->address_count++] = address;
}

static void note_range(struct bench *bench, const struct address_range *range) {
  struct address beside;
  note_address(bench, range->first);
  note_address(bench, range->last);
  if (address_previous(&range->first, &beside))
    note_address(bench, beside);
  if (address_next(&range->last, &beside))
    note_address(bench, beside);
}

static void collect_addresses(struct bench *bench) {
  static const char *const fixed[] = {
      "8.8.8.8", "1.1.1.1", "2a00:1450::1", "2606:4700::1", "ff02::1:ff00:1", "::1", "::ffff:1.2.3.4", "fe80::1",
      "fec0::1", "fd12::1", "239.1.1.1", "10.255.255.1",
      /* both sides of the edges of special ranges */
      "0.0.0.0", "0.255.255.255", "1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.64.0.0",
      "100.127.255.255", "100.128.0.0", "126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0",
      "169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0", "172.15.255.255", "172.16.0.0",
      "172.31.255.255", "172.32.0.0", "191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.255", "192.0.2.0",
      "192.0.2.255", "192.0.3.0", "192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0", "198.17.255.255",
      "198.18.0.0", "198.19.255.255", "198.20.0.0", "198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0",
      "203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0", "223.255.255.255", "224.0.0.0", "239.255.255.255",
      "240.0.0.0", "255.255.255.255", "::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
      "2000::", "2001:1:ffff:ffff:ffff:ffff:ffff:ffff", "2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff",
      "2001:2:1::", "2001:f:ffff:ffff:ffff:ffff:ffff:ffff", "2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff",
      "2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", "2001:30::", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
      "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
      "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
      "4000::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
  for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
    struct address address;
    ck_assert_msg(address_parse(fixed[i], &address), "%s", fixed[i]);
    note_address(bench, address);
  }
  const struct policy *policy = bench->policy;
  for (size_t i = 0; i < policy->zone_count; i++) {
    for (size_t j = 0; j < policy->zones[i].network_count; j++)
      note_range(bench, &policy->zones[i].networks[j].range);
    for (size_t j = 0; j < policy->zones[i].remote_count; j++)
      note_range(bench, &policy->zones[i].remote[j].range);
  }
  for (size_t i = 0; i < policy->header.special_exempt_count; i++)
    note_range(bench, &policy->header.special_exempt[i].range);
  for (size_t i = 0; i < policy->host_count; i++)
    for (size_t j = 0; j < policy->hosts[i].address_count; j++)
      note_range(bench, &policy->hosts[i].addresses[j].range);
}

static unsigned throw_below(void *context, unsigned limit) {
  return dice_below(context, limit);
}

/* ---- building ---- */

static void bench_open(struct bench *bench, struct arena *arena, const struct policy *policy, struct instant now,
                       uint64_t seed) {
  *bench = (struct bench){.arena = arena, .policy = policy, .dice = {seed}};
  collect_addresses(bench);
  struct address_range own[3];
  for (size_t i = 0; i < 3; i++) {
    own[i].first = bench->addresses[dice_below(&bench->dice, (unsigned)bench->address_count)];
    own[i].last = own[i].first;
  }
  ck_assert_int_eq(address_set_build(arena, own, dice_percent(&bench->dice, 60) ? 3 : 0, &bench->own), 0);
  const struct chance chance = {throw_below, &bench->dice};
  bench->drawn = random_restrictions(&chance, policy, bench->addresses, bench->address_count, now, arena);
  bench->circumstances = (struct circumstances){.now = now, .own = &bench->own};
  if (dice_percent(&bench->dice, 60))
    bench->circumstances.restrictions = &bench->drawn;
  struct authorised_question question = {
      .policy = policy, .restrictions = bench->circumstances.restrictions, .own = &bench->own, .now = now};
  bench->space = space_new(arena);
  bench->store = diagram_store_new(0);
  bench->authorised = authorised_new(&question, bench->space, bench->store, arena);
  ck_assert_ptr_nonnull(bench->authorised);
}

static void bench_close(struct bench *bench) {
  ck_assert(!diagram_store_failed(bench->store));
  diagram_store_free(bench->store);
  arena_free(bench->arena);
}

/* ---- packets ---- */

static const struct service *any_service(struct bench *bench) {
  if (bench->policy->flow_count == 0)
    return NULL;
  const struct flow *flow = &bench->policy->flows[dice_below(&bench->dice, (unsigned)bench->policy->flow_count)];
  return flow->service_count != 0 ? &flow->services[dice_below(&bench->dice, (unsigned)flow->service_count)] : NULL;
}

static void choose_service(struct bench *bench, struct packet *packet) {
  static const uint8_t protocols[] = {6, 6, 17, 17, 1, 58, 4, 41, 47, 50, 51, 94, 97, 98, 115, 132, 0, 255};
  static const uint16_t ports[] = {443, 53, 3544, 3543, 3545, 22, 80, 0, 65535};
  static const uint8_t types[] = {8, 0, 3, 11, 12, 128, 129, 1, 4, 5, 135, 136, 134, 137, 13, 17, 143, 130, 151, 139};
  const struct service *service = any_service(bench);
  struct dice *dice = &bench->dice;
  packet->protocol = protocols[dice_below(dice, sizeof protocols)];
  packet->destination_port = ports[dice_below(dice, sizeof ports / sizeof *ports)];
  packet->icmp_type = types[dice_below(dice, sizeof types)];
  if (service != NULL && dice_percent(dice, 80)) {
    packet->protocol = service->protocol;
    packet->icmp_type = service->icmp_type;
    uint16_t edges[] = {service->first_port, service->last_port, (uint16_t)(service->first_port - 1),
                        (uint16_t)(service->last_port + 1)};
    packet->destination_port = edges[dice_below(dice, 4)];
  }
}

static void choose_addresses(struct bench *bench, struct packet *packet) {
  struct dice *dice = &bench->dice;
  const struct policy *policy = bench->policy;
  do {
    packet->source = bench->addresses[dice_below(dice, (unsigned)bench->address_count)];
    packet->destination = bench->addresses[dice_below(dice, (unsigned)bench->address_count)];
  } while (packet->source.family != packet->destination.family);
  if (policy->flow_count == 0 || dice_percent(dice, 40))
    return;
  const struct flow *flow = &policy->flows[dice_below(dice, (unsigned)policy->flow_count)]; /* more that may pass */
  const struct endpoint *from = &flow->from[dice_below(dice, (unsigned)flow->from_count)];
  const struct endpoint *to = &flow->to[dice_below(dice, (unsigned)flow->to_count)];
  struct packet aimed = *packet;
  if (from->kind == ENDPOINT_HOST && from->host != NULL)
    aimed.source = from->host->addresses[dice_below(dice, (unsigned)from->host->address_count)].range.first;
  if (to->kind == ENDPOINT_HOST && to->host != NULL)
    aimed.destination = to->host->addresses[dice_below(dice, (unsigned)to->host->address_count)].range.last;
  if (aimed.source.family == aimed.destination.family)
    *packet = aimed;
}

static void choose_mac(struct bench *bench, struct packet *packet) {
  packet->has_source_mac = true;
  packet->source_mac = (struct mac){{2, 0, 0, 0, 0, (uint8_t)dice_below(&bench->dice, 4)}};
  for (size_t i = 0; i < bench->policy->host_count; i++) {
    const struct host *host = &bench->policy->hosts[i];
    for (size_t j = 0; host->mac_count != 0 && j < host->address_count; j++)
      if (range_contains(&host->addresses[j].range, &packet->source) && dice_percent(&bench->dice, 70))
        packet->source_mac = host->macs[dice_below(&bench->dice, (unsigned)host->mac_count)];
  }
}

static struct packet random_packet(struct bench *bench) {
  static const uint8_t flags[] = {TCP_SYN, TCP_SYN, TCP_SYN | TCP_URG, TCP_SYN | TCP_PSH, TCP_SYN | TCP_FIN,
                                  TCP_ACK, 0,       TCP_SYN | TCP_ACK, TCP_RST,           0x3f,
                                  0xc2};
  struct packet packet = {.source_port = 50000, .icmp_code = (uint8_t)dice_below(&bench->dice, 3)};
  choose_addresses(bench, &packet);
  choose_service(bench, &packet);
  choose_mac(bench, &packet);
  if (packet.protocol == PROTOCOL_TCP)
    packet.tcp_flags = flags[dice_percent(&bench->dice, 70) ? 0 : dice_below(&bench->dice, sizeof flags)];
  if (dice_percent(&bench->dice, 5))
    packet.traits |= packet.source.family == FAMILY_IPV4
                         ? TRAIT_IP_OPTIONS
                         : (dice_percent(&bench->dice, 50) ? TRAIT_HOP_BY_HOP : TRAIT_ROUTING_HEADER);
  if (dice_percent(&bench->dice, 5))
    packet.traits |= TRAIT_NO_PORTS;
  return packet;
}

/* ---- bits ---- */

static void put(const struct space *space, uint8_t *bits, enum space_field field, uint64_t number) {
  unsigned width = space_field_width(field);
  for (unsigned bit = 0; bit < width; bit++)
    bits[space_field_variable(space, field, bit)] = number >> (width - 1 - bit) & 1;
}

static void put_bytes(const struct space *space, uint8_t *bits, enum space_field field, const uint8_t *bytes,
                      size_t length) {
  for (unsigned bit = 0; bit < length * 8; bit++)
    bits[space_field_variable(space, field, bit)] = bytes[bit / 8] >> (7 - bit % 8) & 1;
}

static bool is_icmp(const struct packet *packet) {
  return packet->protocol == PROTOCOL_ICMP || packet->protocol == PROTOCOL_ICMPV6;
}

static uint16_t type_and_code(const struct packet *packet) {
  return (uint16_t)(packet->icmp_type << 8 | packet->icmp_code);
}

static void put_packet(const struct space *space, uint8_t *bits, const struct packet *packet) {
  size_t length = address_length(packet->source.family);
  memset(bits, 0, VARIABLES);
  put(space, bits, FIELD_PROTOCOL, packet->protocol);
  put_bytes(space, bits, FIELD_SOURCE, packet->source.bytes, length);
  put_bytes(space, bits, FIELD_DESTINATION, packet->destination.bytes, length);
  put(space, bits, FIELD_DESTINATION_PORT, is_icmp(packet) ? 7 : packet->destination_port);
  put(space, bits, FIELD_SOURCE_PORT, is_icmp(packet) ? type_and_code(packet) : packet->source_port);
  put(space, bits, FIELD_TCP_FLAGS, packet->tcp_flags);
  put_bytes(space, bits, FIELD_SOURCE_MAC, packet->source_mac.bytes, sizeof packet->source_mac.bytes);
  put(space, bits, FIELD_VERSION_LENGTH, (packet->traits & TRAIT_IP_OPTIONS) != 0 ? 0x46 : 0x45);
  put(space, bits, FIELD_HOP_LIMIT, 255);
  put(space, bits, FIELD_HAS_HOP_BY_HOP, (packet->traits & TRAIT_HOP_BY_HOP) != 0);
  put(space, bits, FIELD_HAS_ROUTING, (packet->traits & TRAIT_ROUTING_HEADER) != 0);
  put(space, bits, FIELD_TRANSPORT_READABLE, (packet->traits & TRAIT_NO_PORTS) == 0);
}

static uint32_t value_of(const struct bench *bench, diagram of, const uint8_t *bits) {
  uint32_t value = 0;
  ck_assert_uint_ne(of, DIAGRAM_NONE);
  ck_assert(diagram_value(bench->store, of, bits, &value));
  return value;
}

static const char *describe(struct bench *bench, const struct query *query) {
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE];
  const struct packet *packet = &query->packet;
  return arena_printf(bench->arena, "%s -> %s protocol %u port %u type %u flags %#x traits %#x in %s out %s; %s",
                      address_format(&packet->source, source), address_format(&packet->destination, destination),
                      packet->protocol, packet->destination_port, packet->icmp_type, packet->tcp_flags, packet->traits,
                      policy_zone_name(bench->policy, query->in_zone), policy_zone_name(bench->policy, query->out_zone),
                      bench->circumstances.restrictions == NULL
                          ? "no restrictions"
                          : restrictions_describe(bench->circumstances.restrictions, bench->policy, bench->arena));
}

/* ---- comparing ---- */

static bool zones_joined(const struct policy *policy, zone_index left, zone_index right) {
  for (size_t i = 0; i < policy->flow_count; i++) {
    const struct flow *flow = &policy->flows[i];
    if ((flow->from_zone == left && flow->to_zone == right) || (flow->from_zone == right && flow->to_zone == left))
      return true;
  }
  return false;
}

/* Whether no-flow is the guard's own answer, or comes later. */
static bool is_early_no_flow(const struct bench *bench, const struct query *query) {
  zone_index to = policy_zone_of_address(bench->policy, &bench->own, &query->packet.destination);
  const struct packet *packet = &query->packet;
  bool readable = (packet->traits & TRAIT_NO_PORTS) == 0, version4 = packet->source.family == FAMILY_IPV4;
  bool error = readable && ((version4 && packet->protocol == 1 &&
                             (packet->icmp_type == 3 || packet->icmp_type == 11 || packet->icmp_type == 12)) ||
                            (!version4 && packet->protocol == 58 && packet->icmp_type >= 1 && packet->icmp_type <= 4));
  return query->in_zone >= 0 && query->in_zone != to && !error &&
         bench->policy->zones[query->in_zone].on_deny != ON_DENY_REJECT &&
         (to == ZONE_NONE || !zones_joined(bench->policy, query->in_zone, to));
}

static enum reason expected_guard(const struct bench *bench, const struct query *query,
                                  const struct decision *decision) {
  if (decision->reason >= REASON_SPECIAL_SOURCE && decision->reason <= REASON_UNKNOWN_ZONE)
    return decision->reason;
  return decision->reason == REASON_NO_FLOW && is_early_no_flow(bench, query) ? REASON_NO_FLOW : REASON_FLOW;
}

static void compare_guard(struct bench *bench, const struct query *query, const struct decision *decision,
                          const uint8_t *bits) {
  struct zone_pair pair = {query->in_zone, query->out_zone, query->same_interface};
  diagram guard = authorised_guard(bench->authorised, &pair, query->packet.source.family);
  uint32_t got = value_of(bench, guard, bits);
  enum reason expected = expected_guard(bench, query, decision);
  ck_assert_msg(got == expected, "%s: the guard says %s, decide %s", describe(bench, query),
                reason_name((enum reason)got), reason_name(decision->reason));
}

static struct situation situation_of(const struct query *query) {
  struct situation situation = {.path = PATH_FORWARD, .family = query->packet.source.family};
  if (query->in_zone == ZONE_GATEWAY)
    situation.path = PATH_OUTPUT;
  else if (query->out_zone == ZONE_GATEWAY)
    situation.path = PATH_INPUT;
  return situation;
}

static void compare_verdict(struct bench *bench, const struct query *query, const struct decision *decision,
                            const uint8_t *bits) {
  struct zone_pair pair = {query->in_zone, query->out_zone, query->same_interface};
  struct situation situation = situation_of(query);
  diagram set = authorised_packets(bench->authorised, &pair, &situation);
  bool got = value_of(bench, set, bits) != 0;
  bench->compared++;
  bench->allowed += decision->allow;
  bench->reasons[decision->reason]++;
  ck_assert_msg(got == decision->allow, "%s: the set says %d, decide %s", describe(bench, query), got,
                reason_name(decision->reason));
}

static const struct flow *next_covering(const struct bench *bench, const struct packet *opener, zone_index from,
                                        zone_index to, const struct flow *flow, bool in_force) {
  do
    flow = policy_next_covering_flow(bench->policy, opener, from, to, flow);
  while (in_force && flow != NULL &&
         restricted_flow_force(bench->policy, bench->circumstances.restrictions, flow, bench->circumstances.now,
                               NULL) != FORCE_YES);
  return flow;
}

/* The leaf lists the flows that decide finds one by one. */
static void compare_flows(struct bench *bench, const struct query *query, const struct packet *opener,
                          const struct zone_pair *pair, diagram of, const uint8_t *bits, bool in_force) {
  struct flow_list list = authorised_flows(bench->authorised, value_of(bench, of, bits));
  const struct flow *flow = NULL;
  for (size_t i = 0; i < list.count; i++) {
    flow = next_covering(bench, opener, pair->from, pair->to, flow, in_force);
    ck_assert_msg(flow == list.flows[i], "%s: flow %s, not %s", describe(bench, query), list.flows[i]->name,
                  flow != NULL ? flow->name : "-");
  }
  if (list.count == 0 || flow != NULL)
    flow = next_covering(bench, opener, pair->from, pair->to, flow, in_force);
  ck_assert_msg(flow == NULL, "%s: %s lacks", describe(bench, query), flow != NULL ? flow->name : "");
}

static void compare_openers(struct bench *bench, const struct query *query, const uint8_t *bits) {
  struct zone_pair pair = {query->in_zone, query->out_zone, false};
  for (int in_force = 0; in_force <= 1; in_force++)
    compare_flows(bench, query, &query->packet, &pair,
                  authorised_openers(bench->authorised, &pair, query->packet.source.family, in_force), bits, in_force);
}

/* ---- connections: the same tuple turned around, or quoted ---- */

static int answer_type(const struct packet *packet) {
  static const uint8_t pairs[][2] = {{8, 0}, {0, 8}, {13, 14}, {14, 13}, {15, 16}, {16, 15}, {17, 18}, {18, 17}};
  static const uint8_t pairs6[][2] = {{128, 129}, {129, 128}, {139, 140}, {140, 139}};
  bool version4 = packet->source.family == FAMILY_IPV4;
  for (size_t i = 0; i < (version4 ? 8u : 4u); i++)
    if ((version4 ? pairs[i] : pairs6[i])[0] == packet->icmp_type)
      return (version4 ? pairs[i] : pairs6[i])[1];
  return -1;
}

static void put_reply(const struct space *space, uint8_t *bits, const struct packet *opener) {
  struct packet reply = *opener;
  reply.source = opener->destination;
  reply.destination = opener->source;
  reply.source_port = opener->destination_port;
  reply.destination_port = opener->source_port;
  reply.icmp_type = (uint8_t)answer_type(opener);
  put_packet(space, bits, &reply);
}

static void put_quoted(const struct space *space, uint8_t *bits, const struct packet *opener) {
  size_t length = address_length(opener->source.family);
  memset(bits, 0, VARIABLES);
  put(space, bits, FIELD_ORIGINAL_PROTOCOL, opener->protocol);
  put_bytes(space, bits, FIELD_ORIGINAL_SOURCE, opener->source.bytes, length);
  put_bytes(space, bits, FIELD_ORIGINAL_DESTINATION, opener->destination.bytes, length);
  put(space, bits, FIELD_ORIGINAL_DESTINATION_PORT, is_icmp(opener) ? type_and_code(opener) : opener->destination_port);
  put(space, bits, FIELD_ORIGINAL_SOURCE_PORT, is_icmp(opener) ? 77 : opener->source_port);
}

static void compare_connections(struct bench *bench, const struct query *query, uint8_t *bits) {
  struct packet opener = query->packet;
  struct zone_pair pair = {query->in_zone, query->out_zone, false};
  opener.traits = 0; /* connection tracking knows the tuple */
  opener.has_source_mac = false;
  for (int i = TRACKING_OPENS; i <= TRACKING_RELATED_REPLY; i++) {
    struct situation situation = {.family = opener.source.family, .tracking = (enum situation_tracking)i};
    if (i == TRACKING_REPLY && is_icmp(&opener) && answer_type(&opener) < 0)
      continue;
    if (i == TRACKING_REPLY)
      put_reply(bench->space, bits, &opener);
    else if (i == TRACKING_RELATED_ORIGINAL || i == TRACKING_RELATED_REPLY)
      put_quoted(bench->space, bits, &opener);
    else
      put_packet(bench->space, bits, &opener);
    for (int in_force = 0; in_force <= 1; in_force++)
      compare_flows(bench, query, &opener, &pair,
                    authorised_connections(bench->authorised, &pair, &situation, in_force), bits, in_force);
  }
}

/* ---- questions ---- */

static zone_index zone_towards(struct bench *bench, const struct address *address) {
  unsigned which = dice_below(&bench->dice, 10);
  if (which == 0)
    return ZONE_GATEWAY;
  if (which == 1)
    return (zone_index)dice_below(&bench->dice, (unsigned)bench->policy->zone_count);
  return policy_zone_of_address(bench->policy, &bench->own, address);
}

static struct query random_query(struct bench *bench) {
  struct query query = {.packet = random_packet(bench), .same_interface = dice_percent(&bench->dice, 20)};
  query.in_zone = zone_towards(bench, &query.packet.source);
  query.out_zone = zone_towards(bench, &query.packet.destination);
  if (query.in_zone == ZONE_GATEWAY && query.out_zone == ZONE_NONE)
    query.out_zone = ZONE_GATEWAY;
  return query;
}

static void compare_query(struct bench *bench, const struct query *query, uint8_t *bits) {
  struct decision decision = policy_decide(bench->policy, &bench->circumstances, query);
  compare_guard(bench, query, &decision, bits);
  if (query->out_zone == ZONE_NONE)
    return;
  compare_verdict(bench, query, &decision, bits);
}

static void compare_random(struct bench *bench, unsigned packets) {
  static uint8_t bits[VARIABLES];
  ck_assert_uint_le(space_variable_count(bench->space), VARIABLES);
  for (unsigned i = 0; i < packets; i++) {
    struct query query = random_query(bench);
    put_packet(bench->space, bits, &query.packet);
    compare_query(bench, &query, bits);
    compare_openers(bench, &query, bits);
    if (i % 4 == 0)
      compare_connections(bench, &query, bits);
  }
}

/* Every address in place of the gateway's, from a sender that has a flow to it. */
static void compare_gateway_addresses(struct bench *bench) {
  static uint8_t bits[VARIABLES];
  for (size_t i = 0; i < bench->policy->flow_count; i++) {
    const struct flow *flow = &bench->policy->flows[i];
    if (flow->to_zone != ZONE_GATEWAY || flow->from[0].host == NULL || flow->services[0].protocol != PROTOCOL_TCP)
      continue;
    struct query query = {.in_zone = flow->from_zone, .out_zone = ZONE_GATEWAY};
    query.packet = (struct packet){.source = flow->from[0].host->addresses[0].range.first,
                                   .protocol = PROTOCOL_TCP,
                                   .tcp_flags = TCP_SYN,
                                   .destination_port = flow->services[0].first_port};
    choose_mac(bench, &query.packet);
    for (size_t j = 0; j < bench->address_count; j++) {
      query.packet.destination = bench->addresses[j];
      if (query.packet.destination.family != query.packet.source.family)
        continue;
      put_packet(bench->space, bits, &query.packet);
      compare_query(bench, &query, bits);
    }
  }
}

/* ---- packets out of the sets ---- */

static void compare_witness(struct bench *bench, const struct zone_pair *pair, const struct situation *situation,
                            diagram set, bool expected) {
  static uint8_t preferred[VARIABLES], bits[VARIABLES];
  unsigned count = space_variable_count(bench->space);
  for (unsigned i = 0; i < count; i++)
    preferred[i] = (uint8_t)dice_below(&bench->dice, 2);
  if (!diagram_witness(bench->store, set, preferred, count, bits))
    return;
  if (situation->family == FAMILY_IPV6)
    put(bench->space, bits, FIELD_HOP_LIMIT, 255);
  struct witness witness;
  witness_build(bench->space, bits, situation, pair, &witness);
  struct decision decision = policy_decide(bench->policy, &bench->circumstances, &witness.query);
  bench->compared++;
  bench->allowed += decision.allow;
  ck_assert_msg(decision.allow == expected, "%s: taken from %s the set, decide says %s",
                describe(bench, &witness.query), expected ? "inside" : "outside", reason_name(decision.reason));
}

static void compare_pair(struct bench *bench, zone_index from, zone_index to, enum address_family family) {
  struct zone_pair pair = {from, to, false};
  struct query query = {.packet.source.family = family, .in_zone = from, .out_zone = to};
  struct situation situation = situation_of(&query);
  diagram possible = authorised_possible(bench->authorised, &situation);
  diagram set = authorised_packets(bench->authorised, &pair, &situation);
  ck_assert_uint_ne(possible, DIAGRAM_NONE);
  ck_assert_uint_ne(set, DIAGRAM_NONE);
  if (family == FAMILY_IPV6) { /* decide knows no hop limit; only neighbour discovery asks for it */
    diagram hops = DIAGRAM_TRUE;
    for (unsigned bit = 8; bit-- > 0;)
      hops = diagram_node(bench->store, space_field_variable(bench->space, FIELD_HOP_LIMIT, bit), DIAGRAM_FALSE, hops);
    possible = diagram_and(bench->store, possible, hops);
  }
  diagram inside = diagram_and(bench->store, possible, set), outside = diagram_difference(bench->store, possible, set);
  for (int i = 0; i < WITNESSES; i++) {
    compare_witness(bench, &pair, &situation, inside, true);
    compare_witness(bench, &pair, &situation, outside, false);
  }
}

static void compare_witnesses(struct bench *bench) {
  zone_index zones = (zone_index)bench->policy->zone_count;
  for (enum address_family family = FAMILY_IPV4; family <= FAMILY_IPV6; family++)
    for (zone_index from = ZONE_GATEWAY; from < zones; from++)
      for (zone_index to = ZONE_GATEWAY; to < zones; to++)
        if (from != ZONE_NONE && to != ZONE_NONE && (from != ZONE_GATEWAY || to != ZONE_GATEWAY))
          compare_pair(bench, from, to, family);
}

/* ---- the claims ---- */

START_TEST(every_set_agrees_with_decide_on_random_policies) {
  uint64_t seed = getenv("KIDO_SEED") != NULL ? dice_seed() : 4;
  unsigned allowed = 0, compared = 0, reasons[REASON_COUNT_] = {0};
  for (unsigned i = 0; i < POLICIES; i++) {
    static struct bench bench;
    struct arena *arena = arena_new(0);
    struct dice dice = {seed + i};
    struct instant now = instant_of_text(NOON);
    const struct policy *policy = policy_of_text(arena, random_policy_text(&dice, now, arena));
    now.seconds += (int64_t)dice_below(&dice, 40) * 86400 / 4;
    bench_open(&bench, arena, policy, now, seed + i);
    compare_random(&bench, PACKETS);
    compare_gateway_addresses(&bench);
    compare_witnesses(&bench);
    allowed += bench.allowed;
    compared += bench.compared;
    for (int r = 0; r < REASON_COUNT_; r++)
      reasons[r] += bench.reasons[r];
    bench_close(&bench);
  }
  ck_assert_uint_gt(compared, 30000);
  ck_assert_uint_gt(allowed, compared / 50);
  for (int r = REASON_FLOW; r <= REASON_ICMP; r++)
    ck_assert_msg(r == REASON_FRAGMENT || reasons[r] > 0, "no packet was denied as %s", reason_name((enum reason)r));
}
END_TEST

START_TEST(every_set_agrees_with_decide_on_the_sample_town) {
  for (unsigned i = 0; i < 4; i++) {
    static struct bench bench;
    struct arena *arena = arena_new(0);
    struct instant now = instant_of_text(NOON);
    now.seconds += (int64_t)i * 31 * 3600;
    bench_open(&bench, arena, read_town(arena), now, 100 + i);
    compare_random(&bench, PACKETS);
    compare_gateway_addresses(&bench);
    compare_witnesses(&bench);
    bench_close(&bench);
  }
}
END_TEST

/* What random policies never say: MACs behind a router, a host pinned twice, networks in each other, crowds of
 * addresses. */
static const char ODD[] =
    "policy = { name = \"o\"; number = \"1\"; model = \"alpha\"; };\nzones = {\n"
    " a = { class = \"lgwan\"; interfaces = [ \"e0\", \"e2\" ]; within = \"allow\";\n"
    "  networks = [ \"10.0.4.0/24\", \"10.0.0.0/16\", \"10.1.0.0/24\", \"2001:500::/64\" ];\n"
    "  remote = [ \"10.2.0.0/24\" ]; };\n"
    " b = { class = \"relay\"; interfaces = [ \"e1\" ]; networks = [ \"10.16.0.0/16\", \"2001:501::/64\" ]; };\n};\n"
    "hosts = {\n"
    " r = { zone = \"a\"; address = \"10.2.0.5\"; mac = \"02:00:00:00:00:01\"; mac_scope = \"via_router\"; "
    "mac_reason = \"x\"; };\n"
    " p = { zone = \"a\"; address = [ \"10.0.0.5-10.0.0.9\", \"2001:500::5\" ]; mac = \"02:00:00:00:00:02\"; };\n"
    " q = { zone = \"a\"; address = \"10.0.0.7-10.0.0.12\"; mac = [ \"02:00:00:00:00:03\", "
    "\"02:00:00:00:00:01\" ]; };\n"
    " d = { zone = \"b\"; address = [ \"10.16.0.1\", \"10.16.0.3\", \"10.16.0.5\", \"10.16.0.7\", \"10.16.0.9\", "
    "\"10.16.0.11\", \"10.16.0.13\", \"10.16.0.15\", \"2001:501::1\" ]; };\n"
    " s = { zone = \"a\"; address = [ \"10.1.0.1\", \"10.1.0.3\", \"10.1.0.5\", \"10.1.0.7\", \"10.1.0.9\", "
    "\"10.1.0.11\", \"10.1.0.13\", \"10.1.0.15\", \"10.1.0.17\", \"2001:500::9\" ]; };\n};\n"
    "flows = {\n"
    " F1 = { from = [ \"r\", \"p\" ]; to = \"d\"; services = [ \"tcp/443\", \"icmp/echo-request\", "
    "\"icmpv6/echo-request\" ]; method = "
    "\"ops\"; };\n"
    " F2 = { from = \"q\"; to = \"d\"; services = [ \"udp/3000-4000\" ]; method = \"ops\"; "
    "};\n"
    " F3 = { from = \"s\"; to = \"d\"; services = [ \"tcp/1-99\", \"icmp/echo-request\", \"icmpv6/echo-request\", "
    "\"proto/47\" ]; method "
    "= \"ops\"; };\n"
    " F4 = { from = \"zone:a\"; to = \"d\"; services = [ \"tcp/50-443\" ]; method = \"ops\"; };\n"
    " F5 = { from = \"s\"; to = \"d\"; services = [ \"udp/80\", \"tcp/80\", \"proto/50\" ]; method = \"ops\"; };\n"
    " F6 = { from = \"gateway\"; to = \"s\"; services = [ \"udp/514\", \"proto/4\" ]; method = \"ops\"; };\n"
    " F7 = { from = \"s\"; to = \"gateway\"; services = [ \"tcp/22\", \"proto/41\" ]; method = \"ops\"; };\n"
    "};\n";

START_TEST(every_set_agrees_with_decide_on_an_odd_policy) {
  for (unsigned i = 0; i < 3; i++) {
    static struct bench bench;
    struct arena *arena = arena_new(0);
    bench_open(&bench, arena, policy_of_text(arena, ODD), instant_of_text(NOON), 200 + i);
    compare_random(&bench, 2 * PACKETS);
    compare_gateway_addresses(&bench);
    compare_witnesses(&bench);
    bench_close(&bench);
  }
}
END_TEST

/* ---- what there is at all ---- */

/* Fields that differ from those of an ordinary packet that opens a TCP connection. */
struct oddity {
  const char *what;
  struct situation situation;
  struct {
    enum space_field field;
    uint32_t value;
  } set[6];
  bool possible;
};

#define IN4(tracking_)                                                                                                 \
  { .path = PATH_FORWARD, .family = FAMILY_IPV4, .tracking = (tracking_) }
#define IN6(tracking_)                                                                                                 \
  { .path = PATH_FORWARD, .family = FAMILY_IPV6, .tracking = (tracking_) }
#define OUT4(tracking_)                                                                                                \
  { .path = PATH_OUTPUT, .family = FAMILY_IPV4, .tracking = (tracking_) }

static const struct oddity ODDITIES[] = {
    {"a SYN", IN4(TRACKING_OPENS), {{0}}, true},
    {"a SYN over IPv6", IN6(TRACKING_OPENS), {{FIELD_NEXT_HEADER, 6}}, true},
    {"a pick-up", IN4(TRACKING_OPENS), {{FIELD_TCP_FLAGS, TCP_ACK | TCP_PSH}}, true},
    {"a SYN with ECN", IN4(TRACKING_OPENS), {{FIELD_TCP_FLAGS, 0xc2}}, true},
    {"an opening FIN", IN4(TRACKING_OPENS), {{FIELD_TCP_FLAGS, TCP_FIN | TCP_ACK}}, false},
    {"a RST of a connection without answer",
     IN4(TRACKING_OPENS_AGAIN),
     {{FIELD_TCP_FLAGS, TCP_RST}, {FIELD_STATUS, 8}},
     true},
    {"a SYN with FIN", IN4(TRACKING_ORIGINAL), {{FIELD_TCP_FLAGS, TCP_SYN | TCP_FIN}, {FIELD_STATUS, 10}}, false},
    {"a SYN with FIN that is invalid", IN4(TRACKING_INVALID), {{FIELD_TCP_FLAGS, TCP_SYN | TCP_FIN}}, true},
    {"options", IN4(TRACKING_OPENS), {{FIELD_VERSION_LENGTH, 0x4f}}, true},
    {"a header too short", IN4(TRACKING_OPENS), {{FIELD_VERSION_LENGTH, 0x44}}, false},
    {"another version", IN4(TRACKING_OPENS), {{FIELD_VERSION_LENGTH, 0x65}}, false},
    {"another version out of a raw socket", OUT4(TRACKING_OPENS), {{FIELD_VERSION_LENGTH, 0x65}}, true},
    {"a later fragment", IN4(TRACKING_OPENS), {{FIELD_FRAGMENT, 1}}, false},
    {"a first fragment", IN4(TRACKING_OPENS), {{FIELD_FRAGMENT, 0x2000}}, false},
    {"a first fragment that a socket sends", OUT4(TRACKING_OPENS), {{FIELD_FRAGMENT, 0x2000}}, false},
    {"a fragment that is invalid", IN4(TRACKING_INVALID), {{FIELD_FRAGMENT, 0x2001}}, false},
    {"TCP that connection tracking leaves alone", IN4(TRACKING_UNTRACKED), {{0}}, false},
    {"a packet that must not be fragmented", IN4(TRACKING_OPENS), {{FIELD_FRAGMENT, 0xc000}}, true},
    {"a mark on the first packet", IN4(TRACKING_OPENS), {{FIELD_MARK, 1}}, false},
    {"a mark on the second", IN4(TRACKING_OPENS_AGAIN), {{FIELD_MARK, 1}, {FIELD_STATUS, 8}}, true},
    {"an unconfirmed reply", IN4(TRACKING_REPLY), {{FIELD_STATUS, 2}}, false},
    {"a reply", IN4(TRACKING_REPLY), {{FIELD_STATUS, 10}, {FIELD_TCP_FLAGS, TCP_SYN | TCP_ACK}}, true},
    {"an unreadable SYN", IN4(TRACKING_OPENS), {{FIELD_TRANSPORT_READABLE, 0}}, false},
    {"unreadable GRE", IN4(TRACKING_OPENS), {{FIELD_TRANSPORT_READABLE, 0}, {FIELD_PROTOCOL, 47}}, true},
    {"a ping", IN4(TRACKING_OPENS), {{FIELD_PROTOCOL, 1}, {FIELD_SOURCE_PORT, 8 << 8}}, true},
    {"a pong that opens", IN4(TRACKING_OPENS), {{FIELD_PROTOCOL, 1}, {FIELD_SOURCE_PORT, 0}}, false},
    {"a pong", IN4(TRACKING_REPLY), {{FIELD_PROTOCOL, 1}, {FIELD_SOURCE_PORT, 0}, {FIELD_STATUS, 10}}, true},
    {"a redirect",
     IN4(TRACKING_RELATED_ORIGINAL),
     {{FIELD_PROTOCOL, 1}, {FIELD_SOURCE_PORT, 5 << 8}, {FIELD_STATUS, 8}},
     true},
    {"TCP about a connection", IN4(TRACKING_RELATED_REPLY), {{FIELD_STATUS, 8}}, false},
    {"ICMPv6 over IPv4", IN4(TRACKING_OPENS), {{FIELD_PROTOCOL, 58}, {FIELD_SOURCE_PORT, 128 << 8}}, false},
    {"ping over IPv6",
     IN6(TRACKING_OPENS),
     {{FIELD_PROTOCOL, 58}, {FIELD_NEXT_HEADER, 58}, {FIELD_SOURCE_PORT, 128 << 8}},
     true},
    {"two protocols", IN6(TRACKING_OPENS), {{FIELD_PROTOCOL, 17}, {FIELD_NEXT_HEADER, 6}}, false},
    {"a hop-by-hop header", IN6(TRACKING_OPENS), {{FIELD_HAS_HOP_BY_HOP, 1}, {FIELD_NEXT_HEADER, 0}}, true},
    {"a hop-by-hop header that is not there", IN6(TRACKING_OPENS), {{FIELD_NEXT_HEADER, 0}}, false},
    {"a hop-by-hop header behind the options",
     IN6(TRACKING_OPENS),
     {{FIELD_HAS_HOP_BY_HOP, 1}, {FIELD_NEXT_HEADER, 60}},
     true},
    {"a hop-by-hop header that nothing leads to",
     IN6(TRACKING_OPENS),
     {{FIELD_HAS_HOP_BY_HOP, 1}, {FIELD_NEXT_HEADER, 6}},
     false},
    {"a routing header",
     IN6(TRACKING_OPENS),
     {{FIELD_HAS_ROUTING, 1}, {FIELD_NEXT_HEADER, 43}, {FIELD_ROUTING_TYPE, 4}},
     true},
    {"a routing header behind authentication",
     IN6(TRACKING_OPENS),
     {{FIELD_HAS_ROUTING, 1}, {FIELD_NEXT_HEADER, 51}, {FIELD_PROTOCOL, 51}},
     true},
    {"TCP behind authentication, for nftables", IN6(TRACKING_OPENS), {{FIELD_NEXT_HEADER, 51}}, false},
    {"a fragment header", IN6(TRACKING_OPENS), {{FIELD_HAS_FRAGMENT, 1}, {FIELD_NEXT_HEADER, 44}}, false},
    {"a fragment header that is invalid",
     IN6(TRACKING_INVALID),
     {{FIELD_HAS_FRAGMENT, 1}, {FIELD_NEXT_HEADER, 44}},
     false},
    {"a neighbour solicitation",
     IN6(TRACKING_UNTRACKED),
     {{FIELD_PROTOCOL, 58}, {FIELD_NEXT_HEADER, 58}, {FIELD_SOURCE_PORT, 135 << 8}},
     true},
    {"a tracked neighbour solicitation",
     IN6(TRACKING_OPENS),
     {{FIELD_PROTOCOL, 58}, {FIELD_NEXT_HEADER, 58}, {FIELD_SOURCE_PORT, 135 << 8}},
     false},
    {"destination options as a transport", IN6(TRACKING_OPENS), {{FIELD_PROTOCOL, 60}, {FIELD_NEXT_HEADER, 60}}, false},
    {"nothing behind the header", IN6(TRACKING_INVALID), {{FIELD_PROTOCOL, 59}, {FIELD_NEXT_HEADER, 59}}, true},
    {"nothing behind the header, and tracked",
     IN6(TRACKING_OPENS),
     {{FIELD_PROTOCOL, 59}, {FIELD_NEXT_HEADER, 59}},
     false},
};

START_TEST(what_is_possible_is_what_the_kernel_lets_be) {
  static struct bench bench;
  struct arena *arena = arena_new(0);
  bench_open(&bench, arena, policy_of_text(arena, ODD), instant_of_text(NOON), 1);
  for (size_t i = 0; i < sizeof ODDITIES / sizeof *ODDITIES; i++) {
    static uint8_t bits[VARIABLES];
    const struct oddity *oddity = &ODDITIES[i];
    struct packet packet = {.source.family = oddity->situation.family, .protocol = PROTOCOL_TCP, .tcp_flags = TCP_SYN};
    put_packet(bench.space, bits, &packet);
    for (size_t j = 0; j < sizeof oddity->set / sizeof oddity->set[0]; j++)
      if (oddity->set[j].field != 0 || oddity->set[j].value != 0)
        put(bench.space, bits, oddity->set[j].field, oddity->set[j].value);
    diagram possible = authorised_possible(bench.authorised, &oddity->situation);
    ck_assert_msg((value_of(&bench, possible, bits) != 0) == oddity->possible, "%s: not %s", oddity->what,
                  oddity->possible ? "possible" : "impossible");
  }
  bench_close(&bench);
}
END_TEST

/* ---- size ---- */

/* Flows between distinct hosts of one pair of zones. */
static char *large_policy(struct arena *arena, unsigned flows) {
  size_t room = 4096 + (size_t)flows * 400, used = 0;
  char *text = arena_alloc(arena, room);
#define PUT(...) used += (size_t)snprintf(text + used, room - used, __VA_ARGS__)
  PUT("policy = { name = \"l\"; number = \"1\"; model = \"alpha\"; };\nzones = {\n"
      " a = { class = \"lgwan\"; interfaces = [ \"e0\" ]; networks = [ \"10.0.0.0/12\", \"2001:500::/64\" ]; };\n"
      " b = { class = \"relay\"; interfaces = [ \"e1\" ]; networks = [ \"10.16.0.0/12\", \"2001:501::/64\" ]; };\n};\n"
      "hosts = {\n");
  for (unsigned i = 0; i < flows; i++) {
    unsigned n = i * 7 + 1;
    PUT(" s%u = { zone = \"a\"; address = \"10.%u.%u.%u\"; };\n", i, n >> 16 & 15, n >> 8 & 255, n & 255);
    PUT(" d%u = { zone = \"b\"; address = \"10.%u.%u.%u\"; };\n", i, 16 + (n >> 16 & 15), n >> 8 & 255, n & 255);
  }
  PUT("};\nflows = {\n");
  for (unsigned i = 0; i < flows; i++)
    PUT(" F%u = { from = \"s%u\"; to = \"d%u\"; services = [ \"tcp/%u\" ]; method = \"ops\"; };\n", i, i,
        (i * 13) % flows, 1000 + i % 40000);
  PUT("};\n");
#undef PUT
  return text;
}

/* KIDO_FLOWS=100000 prints the time; a build without optimisation is no measure. */
START_TEST(a_pair_of_many_flows_is_drawn_at_once) {
  const char *wanted = getenv("KIDO_FLOWS");
  unsigned flows = wanted != NULL ? (unsigned)atoi(wanted) : 2000;
  struct arena *arena = arena_new((size_t)4 << 30);
  const struct policy *policy = policy_of_text(arena, large_policy(arena, flows));
  struct diagram_store *store = diagram_store_new(0);
  struct authorised_question question = {.policy = policy, .now = instant_of_text(NOON)};
  struct zone_pair pair = {0, 1, false};
  struct timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  struct authorised *authorised = authorised_new(&question, space_new(arena), store, arena);
  ck_assert_ptr_nonnull(authorised);
  diagram openers = authorised_openers(authorised, &pair, FAMILY_IPV4, true);
  clock_gettime(CLOCK_MONOTONIC, &after);
  if (wanted != NULL)
    printf("%u flows: %.3f s, %zu nodes\n", flows,
           (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9,
           diagram_store_nodes(store));
  ck_assert_uint_ne(openers, DIAGRAM_NONE);
  ck_assert_uint_lt(diagram_store_nodes(store), (size_t)flows * 400);
  diagram_store_free(store);
  arena_free(arena);
}
END_TEST

/* A lookup that does not ask for an address says nothing about it. */
START_TEST(what_is_known_of_a_class_is_only_what_its_lookup_asks_for) {
  enum { PORTS = 65536 };
  struct arena *arena = arena_new((size_t)4 << 30);
  const struct policy *policy = policy_of_text(arena, large_policy(arena, 20));
  struct diagram_store *store = diagram_store_new(0);
  struct space *space = space_new(arena);
  struct authorised_question question = {.policy = policy, .now = instant_of_text(NOON)};
  struct zone_pair pair = {0, 1, false};
  struct situation situation = {.path = PATH_FORWARD, .family = FAMILY_IPV4, .tracking = TRACKING_OPENS};
  struct authorised *authorised = authorised_new(&question, space, store, arena);
  struct classes *classes = classes_new(space, store, arena);
  struct class_field port = {space_field_variable(space, FIELD_DESTINATION_PORT, 0), 16};
  diagram without = authorised_openers(authorised, &pair, FAMILY_IPV4, true);
  authorised = authorised_new(&question, space, store, arena);
  authorised_use_classes(authorised, classes);
  classes_begin(classes);
  struct class_block *block = classes_block(classes, "rules", PROTOCOL_TCP, &port, 1, PORTS);
  uint8_t(*numbers)[2] = arena_array(arena, PORTS, 2);
  struct diagram_box *boxes = ARENA_ARRAY(arena, PORTS, struct diagram_box);
  uint32_t *entered = ARENA_ARRAY(arena, PORTS, uint32_t);
  for (unsigned i = 0; i < PORTS; i++) {
    numbers[i][0] = (uint8_t)(i >> 8);
    numbers[i][1] = (uint8_t)i;
    boxes[i] = (struct diagram_box){numbers[i], numbers[i], 1};
  }
  ck_assert(class_block_enter(block, boxes, PORTS, entered));
  ck_assert_uint_ne(authorised_openers(authorised, &pair, FAMILY_IPV4, true), without); /* classes were used */
  ck_assert_uint_eq(authorised_care(authorised, &pair, &situation), DIAGRAM_TRUE);
  diagram_store_free(store);
  arena_free(arena);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("authorised");
  TCase *all = tcase_create("all");
  tcase_set_timeout(all, 120);
  tcase_add_test(all, every_set_agrees_with_decide_on_random_policies);
  tcase_add_test(all, every_set_agrees_with_decide_on_the_sample_town);
  tcase_add_test(all, every_set_agrees_with_decide_on_an_odd_policy);
  tcase_add_test(all, what_is_possible_is_what_the_kernel_lets_be);
  tcase_add_test(all, a_pair_of_many_flows_is_drawn_at_once);
  tcase_add_test(all, what_is_known_of_a_class_is_only_what_its_lookup_asks_for);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
