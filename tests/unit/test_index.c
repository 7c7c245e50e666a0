/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The index against policy_decide(): random policies, packets near their ends, every role. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "policy/read.h"
#include "random_restrictions.h"
#include "watch/index.h"

enum { POLICIES = 30, QUESTIONS = 4000, ADDRESSES = 400, TEXT_SIZE = 256 * 1024 };

static uint64_t state;

static uint32_t random_below(uint32_t limit) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(state >> 33) % limit;
}

/* A policy text that grows. */
struct writer {
  char text[TEXT_SIZE];
  size_t length;
};

static void put(struct writer *writer, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct writer *writer, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(writer->text + writer->length, TEXT_SIZE - writer->length, format, arguments);
  va_end(arguments);
  ck_assert_int_ge(length, 0);
  writer->length += (size_t)length;
  ck_assert_uint_lt(writer->length, TEXT_SIZE);
}

static const char *const CLASSES[] = {"lgwan", "internet", "relay", "mynumber", "management", "cloud"};
static const char *const SERVICES[] = {"tcp/443",  "tcp+udp/53", "udp/5000-5010",       "icmp/echo-request",
                                       "proto/47", "tcp/1-1000", "icmpv6/echo-request", "proto/132"};
static const char *const TERMS[] = {"", "", " expires = \"2026-11-20\";", " expires = \"2026-12-20\";",
                                    " hours = \"mon-fri 08:30-17:15\";"};

static void put_zones(struct writer *writer, unsigned zones) {
  put(writer, "zones = {\n");
  for (unsigned z = 0; z < zones; z++) {
    put(writer, " z%u = { class = \"%s\"; interfaces = [ \"e%u\", \"f%u\" ];%s%s networks = [ \"10.%u.0.0/24\"", z,
        CLASSES[z % 6], z, z, z % 3 == 0 ? " within = \"allow\";" : "", z % 4 == 1 ? " on_deny = \"reject\";" : "", z);
    put(writer, z % 2 == 0 ? ", \"2001:500:%x::/64\" ];" : ", \"10.%u.4.0/22\" ];", z);
    put(writer, z == 5 ? " default_route = true;" : " remote = [ \"172.16.%u.0/24\" ];", z);
    put(writer, " };\n");
  }
  put(writer, " n = { class = \"unrouted\"; networks = [ \"10.200.0.0/24\" ]; };\n};\n");
}

static void put_hosts(struct writer *writer, unsigned zones, unsigned hosts) {
  put(writer, "hosts = {\n");
  for (unsigned h = 0; h < hosts; h++) {
    unsigned z = random_below(zones), first = random_below(200);
    put(writer, " h%u = { zone = \"z%u\"; ", h, z);
    if (random_below(3) == 0)
      put(writer, "address = \"10.%u.0.%u-10.%u.0.%u\";", z, first, z, first + random_below(50));
    else if (random_below(3) == 0)
      put(writer, "address = \"10.%u.0.%u/30\";", z, first & ~3u);
    else
      put(writer, "address = [ \"10.%u.0.%u\"%s ];", z, first, "");
    if (random_below(3) == 0)
      put(writer, " mac = \"02:00:00:00:00:%02x\";", random_below(4));
    put(writer, " };\n");
  }
  put(writer, "};\n");
}

static void put_flows(struct writer *writer, unsigned hosts, unsigned flows) {
  put(writer, "flows = {\n");
  for (unsigned f = 0; f < flows; f++) {
    put(writer, " F-%u = { ", f);
    unsigned kind = random_below(12);
    if (kind == 0)
      put(writer, "from = \"gateway\"; to = \"h%u\";", random_below(hosts));
    else if (kind == 1)
      put(writer, "from = \"h%u\"; to = \"gateway\";", random_below(hosts));
    else if (kind == 2)
      put(writer, "from = \"zone:z%u\"; to = \"zone:z%u\";", random_below(3), 3 + random_below(3));
    else
      put(writer, "from = \"h%u\"; to = \"h%u\";", random_below(hosts), random_below(hosts));
    put(writer, " services = [ \"%s\" ]; method = \"ops\";%s };\n", SERVICES[random_below(8)], TERMS[random_below(5)]);
  }
  put(writer, "};\n");
}

static const struct policy *random_policy(struct arena *arena) {
  static struct writer writer;
  unsigned zones = 6, hosts = 5 + random_below(40), flows = 5 + random_below(80);
  writer.length = 0;
  put(&writer, "policy = { name = \"r\"; number = \"1\"; model = \"alpha\"; timezone = \"Asia/Tokyo\"; };\n");
  put_zones(&writer, zones);
  put_hosts(&writer, zones, hosts);
  put_flows(&writer, hosts, flows);
  struct diagnostic_list diagnostics;
  struct error error = {0};
  const struct policy *policy = NULL;
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("random", writer.text, writer.length, arena, true, &policy, &diagnostics, &error),
                   0);
  ck_assert_ptr_nonnull(policy);
  return policy;
}

/* Addresses at which something of the policy begins or ends, and some that mean nothing. */
static size_t collect(const struct policy *policy, struct address *addresses) {
  static const char *const fixed[] = {"127.0.0.1",   "8.8.8.8",   "192.168.1.1",   "255.255.255.255", "224.0.0.1",
                                      "10.200.0.5",  "10.0.0.1",  "10.3.0.1",      "10.1.0.255",      "10.250.0.1",
                                      "2001:500::9", "fe80::1",   "2001:500:2::5", "fc00::1",         "2a00::1",
                                      "172.16.1.7",  "10.0.0.255"};
  size_t count = 0;
  for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
    ck_assert(address_parse(fixed[i], &addresses[count++]));
  for (size_t i = 0; i < policy->host_count && count + 4 < ADDRESSES; i++) {
    const struct address_range *range = &policy->hosts[i].addresses[0].range;
    addresses[count++] = range->first;
    addresses[count++] = range->last;
    count += address_next(&range->last, &addresses[count]) ? 1 : 0;
    count += address_previous(&range->first, &addresses[count]) ? 1 : 0;
  }
  return count;
}

static struct packet random_packet(const struct address *addresses, size_t count) {
  static const uint8_t protocols[] = {6, 6, 6, 17, 17, 1, 58, 47, 132, 4, 50};
  static const uint16_t ports[] = {443, 53, 5000, 5010, 5011, 1, 1000, 3544, 22};
  static const uint8_t types[] = {8, 0, 3, 11, 128, 129, 1, 135, 136, 13, 5, 143};
  static const uint8_t flags[] = {TCP_SYN, TCP_SYN, TCP_ACK, TCP_SYN | TCP_ACK, 0, TCP_FIN, TCP_RST, TCP_PSH | TCP_ACK};
  struct packet packet = {.source = addresses[random_below((uint32_t)count)],
                          .destination = addresses[random_below((uint32_t)count)],
                          .protocol = protocols[random_below(sizeof protocols)]};
  for (int i = 0; i < 8 && packet.source.family != packet.destination.family; i++)
    packet.destination = addresses[random_below((uint32_t)count)];
  if (packet.source.family != packet.destination.family)
    packet.destination = packet.source;
  packet.source_port = 40000;
  packet.destination_port = ports[random_below(9)];
  packet.icmp_type = types[random_below(sizeof types)];
  packet.tcp_flags = packet.protocol == 6 ? flags[random_below(sizeof flags)] : 0;
  packet.traits = random_below(20) == 0 ? TRAIT_IP_OPTIONS : random_below(20) == 0 ? TRAIT_NO_PORTS : 0;
  packet.traits |= random_below(8) == 0 ? TRAIT_FRAGMENT : 0;
  packet.has_source_mac = random_below(2) == 0;
  packet.source_mac.bytes[0] = 2;
  packet.source_mac.bytes[5] = (uint8_t)random_below(5);
  return packet;
}

static struct query random_query(const struct policy *policy, const struct address *addresses, size_t count) {
  struct query query = {.packet = random_packet(addresses, count), .same_interface = random_below(4) == 0};
  zone_index own = policy_zone_of_address(policy, NULL, &query.packet.source);
  zone_index any = (zone_index)random_below((uint32_t)policy->zone_count);
  query.in_zone = random_below(8) == 0 ? ZONE_GATEWAY : random_below(8) == 0 ? any : own;
  query.out_zone = random_below(4) == 0 ? ZONE_GATEWAY : random_below(6) == 0 ? any : ZONE_NONE;
  if (query.in_zone == ZONE_GATEWAY && random_below(2) == 0)
    query.out_zone = policy_zone_of_address(policy, NULL, &query.packet.destination);
  query.role = random_below(4);
  query.opener = random_packet(addresses, count);
  if (query.role != ROLE_OPENS && random_below(4) != 0) {
    bool reply = query.role == ROLE_REPLY || random_below(2) == 0;
    query.opener.source = reply ? query.packet.destination : query.packet.source;
    query.opener.destination = reply ? query.packet.source : query.packet.destination;
  }
  return query;
}

static void compare(const struct policy *policy, const struct index *index, const struct circumstances *circumstances,
                    const struct query *query, unsigned *ret_allowed) {
  struct decision expected = policy_decide(policy, circumstances, query), got = index_decide(index, query);
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE];
  ck_assert_msg(expected.allow == got.allow && expected.reason == got.reason && expected.flow == got.flow &&
                    expected.cut == got.cut && expected.from_zone == got.from_zone && expected.to_zone == got.to_zone,
                "%s -> %s protocol %u port %u role %d in %d out %d mac %d: decide says %s %s, index %s %s",
                address_format(&query->packet.source, source), address_format(&query->packet.destination, destination),
                query->packet.protocol, query->packet.destination_port, query->role, query->in_zone, query->out_zone,
                query->packet.has_source_mac, reason_name(expected.reason), expected.flow ? expected.flow->name : "-",
                reason_name(got.reason), got.flow ? got.flow->name : "-");
  *ret_allowed += expected.allow;
}

static unsigned below_of_state(void *context, unsigned limit) {
  (void)context;
  return random_below(limit);
}

static unsigned compare_policy(struct instant now, bool with_own) {
  struct arena *arena = arena_new(0);
  const struct policy *policy = random_policy(arena);
  struct address addresses[ADDRESSES];
  size_t count = collect(policy, addresses);
  struct address_set own = {0};
  struct address_range ranges[] = {
      {addresses[6], addresses[6]}, {addresses[7], addresses[7]}, {addresses[1], addresses[1]}};
  ck_assert_int_eq(address_set_build(arena, ranges, with_own ? 3 : 0, &own), 0);
  struct index *index = NULL;
  const struct chance chance = {below_of_state, NULL};
  struct restrictions drawn = random_restrictions(&chance, policy, addresses, count, now, arena);
  const struct restrictions *restrictions = random_below(3) == 0 ? NULL : &drawn;
  ck_assert_int_eq(index_build(arena, policy, &own, restrictions, &index), 0);
  index_set_time(index, now);
  struct circumstances circumstances = {.now = now, .own = &own, .restrictions = restrictions};
  unsigned allowed = 0;
  for (int i = 0; i < QUESTIONS; i++) {
    struct query query = random_query(policy, addresses, count);
    compare(policy, index, &circumstances, &query, &allowed);
  }
  arena_free(arena);
  return allowed;
}

START_TEST(index_agrees_with_policy_decide) {
  static const int64_t times[] = {1795482000, 1795432000, 1798000000}; /* office hours, night, after some ends */
  unsigned allowed = 0;
  for (int i = 0; i < POLICIES; i++) {
    state = (uint64_t)i + 1;
    allowed += compare_policy((struct instant){times[i % 3]}, i % 2 == 0);
  }
  ck_assert_uint_gt(allowed, POLICIES * QUESTIONS / 200); /* the questions are not all denied */
}
END_TEST

START_TEST(index_knows_the_zone_of_every_address) {
  struct arena *arena = arena_new(0);
  state = 7;
  const struct policy *policy = random_policy(arena);
  struct address addresses[ADDRESSES];
  size_t count = collect(policy, addresses);
  struct index *index = NULL;
  ck_assert_int_eq(index_build(arena, policy, NULL, NULL, &index), 0);
  for (size_t i = 0; i < count; i++)
    ck_assert_int_eq(index_find(index, &addresses[i]).zone, policy_zone_of_address(policy, NULL, &addresses[i]));
  arena_free(arena);
}
END_TEST

START_TEST(index_follows_the_time_of_its_flows) {
  struct arena *arena = arena_new(0);
  state = 3;
  const struct policy *policy = random_policy(arena);
  struct index *index = NULL;
  ck_assert_int_eq(index_build(arena, policy, NULL, NULL, &index), 0);
  uint64_t changes = 0, epoch = 0;
  for (int64_t now = 1795400000; now < 1795400000 + 3 * 86400; now += 600) {
    index_set_time(index, (struct instant){now});
    changes += epoch != index_epoch(index);
    epoch = index_epoch(index);
    for (size_t i = 0; i < policy->flow_count; i++)
      ck_assert_int_eq(index_flow_in_force(index, &policy->flows[i]),
                       policy_flow_force(policy, &policy->flows[i], (struct instant){now}, NULL) == FORCE_YES);
  }
  ck_assert_uint_gt(changes, 2);
  ck_assert_uint_lt(changes, 12); /* not computed anew each time */
  arena_free(arena);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("index");
  TCase *all = tcase_create("all");
  tcase_set_timeout(all, 120);
  tcase_add_test(all, index_agrees_with_policy_decide);
  tcase_add_test(all, index_knows_the_zone_of_every_address);
  tcase_add_test(all, index_follows_the_time_of_its_flows);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
