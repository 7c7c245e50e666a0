/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "policy/decide.h"
#include "policy/read.h"
#include "sample_town.h"

/* Tuesday; inside no maintenance window of the sample. */
static const char NOON[] = "2026-11-24T12:00:00+09:00";

static struct arena *arena;
static const struct policy *town;

static void read_town(void) {
  arena = arena_new(0);
  town = sample_town(arena);
  ck_assert_ptr_nonnull(town);
}

static void free_town(void) {
  arena = arena_free(arena);
}

static struct address address(const char *text) {
  struct address result;
  ck_assert_msg(address_parse(text, &result), "%s", text);
  return result;
}

static struct instant instant(const char *text) {
  struct instant result;
  bool without_offset;
  ck_assert_msg(instant_parse(text, &result, &without_offset), "%s", text);
  return result;
}

static zone_index zone(const char *name) {
  return name == NULL ? ZONE_NONE : policy_find_zone(town, name);
}

/* "tcp/443", "icmp/8", "icmpv6/135", "proto/47" */
static struct packet packet(const char *source, const char *destination, const char *service) {
  struct packet result = {.source = address(source), .destination = address(destination)};
  char protocol[16];
  unsigned number;
  ck_assert_int_eq(sscanf(service, "%15[^/]/%u", protocol, &number), 2);
  if (strcmp(protocol, "tcp") == 0 || strcmp(protocol, "udp") == 0) {
    result.protocol = protocol[0] == 't' ? PROTOCOL_TCP : PROTOCOL_UDP;
    result.destination_port = (uint16_t)number;
    result.source_port = 40000;
    result.tcp_flags = protocol[0] == 't' ? TCP_SYN : 0;
  } else if (strcmp(protocol, "proto") == 0) {
    result.protocol = (uint8_t)number;
  } else {
    result.protocol = strcmp(protocol, "icmp") == 0 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6;
    result.icmp_type = (uint8_t)number;
  }
  return result;
}

static struct decision decide(const struct query *query, const char *now) {
  struct circumstances circumstances = {.now = instant(now)};
  struct address_range own_ranges[] = {{address("10.199.0.1"), address("10.199.0.1")},
                                       {address("10.211.0.1"), address("10.211.0.1")}};
  struct address_set own;
  ck_assert_int_eq(address_set_build(arena, own_ranges, 2, &own), 0);
  circumstances.own = &own;
  return policy_decide(town, &circumstances, query);
}

static void expect(const struct query *query, const char *now, const char *reason, const char *flow,
                   const char *about) {
  struct decision decision = decide(query, now);
  ck_assert_msg(strcmp(reason_name(decision.reason), reason) == 0, "%s: %s instead of %s", about,
                reason_name(decision.reason), reason);
  ck_assert_msg(decision.allow == (strcmp(reason, "flow") == 0 || strcmp(reason, "within") == 0), "%s", about);
  const char *found = decision.flow != NULL ? decision.flow->name : "-";
  ck_assert_msg(strcmp(found, flow) == 0, "%s: flow %s instead of %s", about, found, flow);
}

START_TEST(openers_are_judged_in_the_order_of_the_table) {
  static const struct {
    const char *in, *source, *destination, *service, *reason, *flow;
  } cases[] = {
      {"lgwan", "10.211.3.9", "10.140.0.33", "tcp/443", "flow", "F-301"},
      {"lgwan", "10.211.1.5", "10.140.0.33", "tcp/3389", "flow", "F-302"},
      {"lgwan", "10.211.2.5", "10.140.0.33", "tcp/3389", "no-flow", "-"},
      {"internet", "10.140.0.33", "10.211.3.9", "tcp/443", "no-flow-this-direction", "F-301"},
      {"internet", "10.140.0.33", "10.211.3.9", "tcp/80", "no-flow", "-"},
      {"lgwan", "10.211.0.5", "8.8.8.8", "udp/53", "no-flow", "-"},
      {"lgwan", "10.211.0.5", "10.210.0.11", "tcp/80", "within", "-"},
      {"relay", "10.130.10.4", "10.130.10.5", "tcp/80", "no-flow", "-"},
      {"lgwan", "10.211.0.5", "10.120.0.3", "tcp/80", "no-flow", "-"},
      {"lgwan", "10.211.0.5", "10.99.0.3", "tcp/80", "unknown-zone", "-"},
      {"lgwan", "10.140.0.33", "10.211.3.9", "tcp/443", "spoofed-source", "-"},
      {"lgwan", "10.120.0.3", "10.211.3.9", "tcp/443", "spoofed-source", "-"},
      {NULL, "10.211.3.9", "10.140.0.33", "tcp/443", "unknown-zone", "-"},
      {"lgwan", "127.0.0.1", "10.140.0.33", "tcp/443", "special-source", "-"},
      {"lgwan", "224.0.0.1", "10.140.0.33", "tcp/443", "special-source", "-"},
      {"lgwan", "192.0.2.1", "240.0.0.1", "tcp/443", "special-source", "-"},
      {"lgwan", "10.211.3.9", "255.255.255.255", "udp/67", "special-destination", "-"},
      {"lgwan", "10.211.3.9", "192.0.2.1", "tcp/443", "special-destination", "-"},
      {"lgwan", "10.211.0.1", "10.140.0.33", "tcp/443", "own-source", "-"},
      {"lgwan", "10.211.3.255", "10.140.0.33", "tcp/443", "broadcast-source", "-"},
      {"lgwan", "10.140.0.255", "10.140.0.33", "tcp/443", "broadcast-source", "-"},
      {"lgwan", "10.211.3.9", "10.140.0.255", "tcp/443", "directed-broadcast", "-"},
      {"lgwan", "10.211.3.9", "10.210.0.255", "tcp/443", "within", "-"},
      {"lgwan", "10.211.3.9", "224.0.0.1", "udp/5353", "unknown-zone", "-"},
      {"lgwan", "10.211.3.9", "10.140.0.33", "proto/47", "tunnel", "-"},
      {"lgwan", "10.211.3.9", "10.210.0.11", "proto/41", "tunnel", "-"},
      {"lgwan", "10.211.3.9", "10.140.0.33", "udp/3544", "tunnel", "-"},
      {"lgwan", "10.211.3.9", "10.140.0.33", "udp/3545", "no-flow", "-"},
      {"lgwan", "10.211.3.9", "10.140.0.33", "icmp/8", "no-flow", "-"},
      {"lgwan", "10.211.3.9", "10.140.0.33", "icmp/13", "icmp", "-"},
      {"lgwan", "10.211.3.9", "10.140.0.33", "icmp/5", "invalid-state", "-"},
      {"lgwan", "10.211.3.9", "10.140.0.33", "icmp/3", "invalid-state", "-"},
      {"lgwan", "10.211.3.9", "10.110.0.11", "icmp/3", "invalid-state", "-"},
      {"internet", "10.140.0.20", "10.110.0.11", "icmp/8", "no-flow", "-"},
      {"internet", "10.140.0.20", "10.110.0.11", "icmp/3", "invalid-state", "-"},
      {"lgwan", "10.211.3.9", "10.210.0.11", "icmp/13", "icmp", "-"},
      {"seccloud", "8.8.8.8", "10.140.0.13", "tcp/25", "no-flow", "-"},
      {"seccloud", "203.0.113.25", "10.140.0.13", "tcp/25", "flow", "F-404"},
      {"seccloud", "10.99.0.1", "10.140.0.13", "tcp/25", "spoofed-source", "-"},
      {"seccloud", "100.64.0.1", "10.140.0.13", "tcp/25", "spoofed-source", "-"},
      {"seccloud", "2400::1", "2400::2", "tcp/25", "spoofed-source", "-"},
      {"seccloud", "fe80::1", "2400::2", "tcp/25", "special-source", "-"},
      {"maint", "10.151.0.10", "10.110.0.11", "tcp/3389", "outside-window", "F-601"},
      {"mgmt", "10.199.0.21", "10.199.0.1", "tcp/22", "flow", "F-501"},
      {"mgmt", "10.199.0.10", "10.199.0.1", "tcp/22", "no-flow", "-"},
      {"mgmt", "10.199.0.21", "10.211.0.1", "tcp/22", "no-flow", "-"},
      {"lgwan", "10.211.3.9", "10.199.0.1", "tcp/22", "no-flow", "-"},
      {"gateway", "10.199.0.1", "10.199.0.10", "tcp/6514", "flow", "F-502"},
      {"mgmt", "10.199.0.21", "10.199.0.31", "tcp/22", "no-flow", "-"},
      {"gateway", "10.199.0.1", "10.199.0.10", "tcp/22", "no-flow", "-"},
      {"gateway", "10.211.0.1", "10.199.0.10", "tcp/6514", "no-flow", "-"},
      {"gateway", "10.199.0.1", "10.99.0.1", "tcp/22", "unknown-zone", "-"},
      {"gateway", "10.199.0.1", "10.199.0.21", "tcp/22", "no-flow-this-direction", "F-501"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    char about[200];
    snprintf(about, sizeof(about), "case %zu, %s %s", i, cases[i].source, cases[i].destination);
    struct query query = {.packet = packet(cases[i].source, cases[i].destination, cases[i].service),
                          .in_zone = zone(cases[i].in),
                          .out_zone = ZONE_NONE};
    expect(&query, NOON, cases[i].reason, cases[i].flow, about);
  }
}
END_TEST

START_TEST(traits_and_macs_are_judged_by_the_guard) {
  struct query query = {
      .packet = packet("10.211.3.9", "10.140.0.33", "tcp/443"), .in_zone = zone("lgwan"), .out_zone = ZONE_NONE};
  query.packet.traits = TRAIT_FRAGMENT;
  expect(&query, NOON, "flow", "F-301", "fragments are judged as a whole");
  query.packet.traits = TRAIT_IP_OPTIONS;
  expect(&query, NOON, "ip-options", "-", "options");
  query.packet.traits = TRAIT_ROUTING_HEADER;
  expect(&query, NOON, "ip-options", "-", "routing header");
  query.packet.traits = TRAIT_NO_PORTS;
  expect(&query, NOON, "no-flow", "-", "unknown ports match no service");
  query.packet = packet("10.110.0.11", "10.210.0.12", "tcp/22");
  query.in_zone = zone("mynumber");
  expect(&query, NOON, "flow", "F-206", "MAC unknown");
  query.packet.has_source_mac = true;
  expect(&query, NOON, "mac-mismatch", "-", "another MAC");
  ck_assert(mac_parse("02:00:5e:10:01:11", &query.packet.source_mac));
  expect(&query, NOON, "flow", "F-206", "its MAC");
}
END_TEST

START_TEST(tcp_that_opens_nothing_is_invalid) {
  static const struct {
    uint8_t flags;
    const char *opens, *continues;
  } cases[] = {
      {TCP_SYN, "flow", "flow"},
      {TCP_SYN | TCP_PSH, "flow", "flow"},
      {TCP_SYN | TCP_URG, "flow", "flow"},
      {TCP_SYN | TCP_ACK, "invalid-state", "flow"},
      {TCP_ACK, "invalid-state", "flow"},
      {TCP_RST, "invalid-state", "flow"},
      {TCP_FIN | TCP_ACK | TCP_PSH, "invalid-state", "flow"},
      {0, "invalid-state", "invalid-state"},
      {TCP_FIN, "invalid-state", "invalid-state"},
      {TCP_FIN | TCP_PSH | TCP_URG, "invalid-state", "invalid-state"},
      {TCP_SYN | TCP_FIN, "invalid-state", "invalid-state"},
      {TCP_SYN | TCP_RST, "invalid-state", "invalid-state"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct query query = {.packet = packet("10.211.3.9", "10.140.0.33", "tcp/443"),
                          .in_zone = zone("lgwan"),
                          .out_zone = zone("internet")};
    query.opener = query.packet;
    query.packet.tcp_flags = cases[i].flags;
    char about[40];
    snprintf(about, sizeof(about), "flags %#x", cases[i].flags);
    expect(&query, NOON, cases[i].opens, cases[i].opens[0] == 'f' ? "F-301" : "-", about);
    query.role = ROLE_ORIGINAL;
    expect(&query, NOON, cases[i].continues, cases[i].continues[0] == 'f' ? "F-301" : "-", about);
  }
}
END_TEST

START_TEST(replies_and_errors_follow_their_opener) {
  struct query query = {.packet = packet("10.140.0.33", "10.211.3.9", "tcp/40000"),
                        .in_zone = zone("internet"),
                        .out_zone = zone("lgwan"),
                        .role = ROLE_REPLY,
                        .opener = packet("10.211.3.9", "10.140.0.33", "tcp/443")};
  query.packet.tcp_flags = TCP_SYN | TCP_ACK;
  expect(&query, NOON, "flow", "F-301", "a reply");
  query.opener.destination_port = 80;
  expect(&query, NOON, "no-flow", "-", "a reply to what no flow covers");
  query.opener = packet("10.211.1.9", "10.140.0.33", "tcp/3389");
  expect(&query, "2027-01-01T00:00:00+09:00", "expired", "F-302", "a reply of an expired flow");
  query.role = ROLE_ERROR;
  query.packet = packet("10.140.0.1", "10.211.1.9", "icmp/3");
  expect(&query, NOON, "flow", "F-302", "an error about a connection in force");
  expect(&query, "2027-01-01T00:00:00+09:00", "icmp", "-", "an error about an expired one");
  query.packet.icmp_type = 5;
  expect(&query, NOON, "icmp", "-", "a redirect is no error");
  query.packet = packet("10.211.1.9", "10.140.0.33", "icmp/3");
  query.in_zone = zone("lgwan");
  query.out_zone = zone("internet");
  expect(&query, NOON, "flow", "F-302", "an error in the direction of the opener");
  query.packet = packet("10.110.0.11", "10.140.0.33", "icmp/3");
  query.in_zone = zone("mynumber");
  expect(&query, NOON, "icmp", "-", "an error from a zone that has no part in the connection");
  query.packet = packet("10.211.0.1", "10.211.1.9", "icmp/11");
  query.in_zone = ZONE_GATEWAY;
  query.out_zone = zone("lgwan");
  expect(&query, NOON, "flow", "F-302", "an error that the gateway makes");
  query.out_zone = zone("relay");
  query.packet.destination = address("10.130.10.4");
  expect(&query, NOON, "icmp", "-", "an error of the gateway to a stranger");
}
END_TEST

START_TEST(a_window_opens_and_shuts_by_itself) {
  static const struct {
    const char *now, *reason;
  } cases[] = {
      {"2026-11-25T17:59:59+09:00", "outside-window"}, {"2026-11-25T18:00:00+09:00", "flow"},
      {"2026-11-25T20:59:59+09:00", "flow"},           {"2026-11-25T21:00:00+09:00", "expired"},
      {"2026-11-28T00:00:00+09:00", "expired"},
  };
  struct query query = {
      .packet = packet("10.151.0.10", "10.110.0.11", "tcp/3389"), .in_zone = zone("maint"), .out_zone = ZONE_NONE};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
    expect(&query, cases[i].now, cases[i].reason, "F-601", cases[i].now);
}
END_TEST

START_TEST(a_packet_stays_on_the_way_of_its_zone) {
  struct query query = {
      .packet = packet("10.211.3.9", "10.140.0.33", "tcp/443"), .in_zone = zone("lgwan"), .out_zone = zone("relay")};
  expect(&query, NOON, "no-flow", "-", "it would leave by another zone");
  query.packet.destination = address("10.210.0.11");
  query.out_zone = zone("lgwan");
  query.same_interface = true;
  expect(&query, NOON, "no-flow", "-", "back where it came from");
  query.same_interface = false;
  expect(&query, NOON, "within", "-", "to the other interface");
}
END_TEST

START_TEST(neighbours_of_the_gateway_are_discovered) {
  struct query query = {
      .packet = packet("fe80::1", "ff02::1:ff00:1", "icmpv6/135"), .in_zone = zone("lgwan"), .out_zone = ZONE_GATEWAY};
  expect(&query, NOON, "within", "-", "solicitation");
  query.packet.icmp_type = 134;
  expect(&query, NOON, "special-source", "-", "advertisement of a router");
  query.packet.icmp_type = 136;
  query.out_zone = zone("internet");
  expect(&query, NOON, "special-source", "-", "forwarded");
  query.in_zone = ZONE_GATEWAY;
  expect(&query, NOON, "within", "-", "sent by the gateway");
}
END_TEST

static const char two_zones[] =
    "policy = { name = \"t\"; number = \"1\"; model = \"alpha\"; };"
    "zones = { left = { class = \"internet\"; interfaces = [ \"l0\" ]; networks = [ \"2400:1::/64\" ]; };"
    " right = { class = \"ot\"; interfaces = [ \"r0\" ]; networks = [ \"2400:2::/64\" ]; }; };"
    "hosts = { }; flows = { };";

static void read_two_zones(void) {
  struct diagnostic_list diagnostics;
  struct error error;
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("t", two_zones, strlen(two_zones), arena, false, &town, &diagnostics, &error), 0);
  ck_assert_ptr_nonnull(town);
}

/* RFC 6980. Whoever sends it must still be who he says: the reasons of the addresses come first. */
START_TEST(neighbour_discovery_in_fragments_is_refused) {
  static const struct {
    const char *in, *source, *service, *whole, *in_fragments;
  } cases[] = {
      {"left", "2400:1::9", "icmpv6/135", "within", "fragment"},
      {"left", "2400:1::9", "icmpv6/136", "within", "fragment"},
      {"left", "fe80::1", "icmpv6/135", "within", "special-source"},
      {"right", "2400:1::9", "icmpv6/136", "within", "spoofed-source"},
      {"left", "2400:1::9", "icmpv6/134", "icmp", "icmp"},
      {"gateway", "2400:2::1", "icmpv6/135", "within", "within"}, /* cut in pieces behind all rules, if at all */
  };
  read_two_zones();
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct query query = {.packet = packet(cases[i].source, "2400:1::1", cases[i].service),
                          .in_zone = zone(cases[i].in),
                          .out_zone = ZONE_GATEWAY};
    expect(&query, NOON, cases[i].whole, "-", cases[i].service);
    query.packet.traits = TRAIT_FRAGMENT;
    expect(&query, NOON, cases[i].in_fragments, "-", cases[i].service);
  }
}
END_TEST

START_TEST(covering_flows_come_in_the_order_of_the_file) {
  struct packet opener = packet("10.211.1.5", "10.140.0.33", "tcp/443");
  const struct flow *flow = policy_next_covering_flow(town, &opener, zone("lgwan"), zone("internet"), NULL);
  ck_assert_ptr_nonnull(flow);
  ck_assert_str_eq(flow->name, "F-301");
  ck_assert_ptr_null(policy_next_covering_flow(town, &opener, zone("lgwan"), zone("internet"), flow));
  ck_assert_ptr_null(policy_next_covering_flow(town, &opener, zone("internet"), zone("lgwan"), NULL));
}
END_TEST

START_TEST(every_reason_has_a_name_and_words) {
  for (int i = 0; i < REASON_COUNT_; i++) {
    ck_assert_str_ne(reason_name((enum reason)i), "-");
    ck_assert_str_ne(reason_label((enum reason)i, LANGUAGE_JAPANESE), reason_label((enum reason)i, LANGUAGE_ENGLISH));
  }
  ck_assert_str_eq(reason_name(REASON_COUNT_), "-");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("decide");
  TCase *cases = tcase_create("all");
  tcase_add_checked_fixture(cases, read_town, free_town);
  tcase_add_test(cases, openers_are_judged_in_the_order_of_the_table);
  tcase_add_test(cases, traits_and_macs_are_judged_by_the_guard);
  tcase_add_test(cases, tcp_that_opens_nothing_is_invalid);
  tcase_add_test(cases, replies_and_errors_follow_their_opener);
  tcase_add_test(cases, a_window_opens_and_shuts_by_itself);
  tcase_add_test(cases, a_packet_stays_on_the_way_of_its_zone);
  tcase_add_test(cases, neighbours_of_the_gateway_are_discovered);
  tcase_add_test(cases, neighbour_discovery_in_fragments_is_refused);
  tcase_add_test(cases, covering_flows_come_in_the_order_of_the_file);
  tcase_add_test(cases, every_reason_has_a_name_and_words);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
