/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

static struct arena *arena;

static void begin(void) {
  arena = arena_new(0);
}

static void end(void) {
  arena = arena_free(arena);
}

static struct address_range range(const char *text) {
  struct address_range result;
  const char *reason = NULL;
  ck_assert_msg(range_parse(text, &result, &reason), "%s: %s", text, reason);
  return result;
}

static struct address address(const char *text) {
  return range(text).first;
}

static struct instant instant(const char *text) {
  struct instant result;
  bool without_offset;
  ck_assert_msg(instant_parse(text, &result, &without_offset), "%s", text);
  return result;
}

static struct zone make_zone(const char *name, enum zone_class class, const char *network, const char *more) {
  struct zone zone = {.name = name, .class = class, .class_known = true, .label = ""};
  struct address_range ranges[2] = {range(network), range(more != NULL ? more : network)};
  zone.networks = ARENA_ARRAY(arena, 2, struct placed_range);
  zone.networks[0].range = ranges[0];
  zone.networks[1].range = ranges[1];
  zone.network_count = more != NULL ? 2 : 1;
  ck_assert_int_eq(address_set_build(arena, ranges, 2, &zone.local), 0);
  return zone;
}

/* A town of three zones: closed, open to the world, and one that must not be seen. */
static struct policy make_town(void) {
  struct policy town = {.header = {.timezone = timezone_load(arena, "Asia/Tokyo")}};
  town.zones = ARENA_ARRAY(arena, 3, struct zone);
  town.zone_count = 3;
  town.zones[0] = make_zone("lgwan", CLASS_LGWAN, "10.210.0.0/24", NULL);
  town.zones[1] = make_zone("cloud", CLASS_CLOUD, "172.31.250.0/29", "2400:1::/64");
  town.zones[1].default_route = true;
  town.zones[2] = make_zone("school", CLASS_UNROUTED, "1.1.1.0/24", NULL);
  return town;
}

START_TEST(the_default_zone_claims_global_unicast_and_nothing_else) {
  static const struct {
    const char *address;
    zone_index zone;
  } cases[] = {
      {"10.210.0.5", 0},      {"172.31.250.1", 1},  {"2400:1::9", 1},
      {"1.1.1.1", 2},         {"8.8.8.8", 1},       {"1.1.0.255", 1},
      {"1.1.2.0", 1},         {"192.88.99.1", 1},   {"10.99.0.1", -1},
      {"172.16.0.1", -1},     {"192.168.1.1", -1},  {"100.64.0.1", -1},
      {"100.63.255.255", 1},  {"100.128.0.0", 1},   {"0.1.2.3", -1},
      {"127.0.0.1", -1},      {"169.254.0.1", -1},  {"192.0.0.1", -1},
      {"192.0.2.1", -1},      {"198.18.0.1", -1},   {"198.19.255.255", -1},
      {"198.20.0.0", 1},      {"198.51.100.1", -1}, {"203.0.113.1", -1},
      {"224.0.0.1", -1},      {"240.0.0.1", -1},    {"255.255.255.255", -1},
      {"2600::1", 1},         {"2001:db8::1", -1},  {"2001:2::1", -1},
      {"2001:2:1::1", 1},     {"2001:10::1", -1},   {"2001:2f:ffff::", -1},
      {"2001:30::", 1},       {"3fff:fff::1", -1},  {"3fff:1000::1", 1},
      {"fd00::1", -1},        {"fe80::1", -1},      {"fec0::1", -1},
      {"ff02::1", -1},        {"::1", -1},          {"::", -1},
      {"::ffff:8.8.8.8", -1}, {"1fff::1", -1},      {"4000::1", -1},
      {"64:ff9b::1", -1},     {"2002::1", 1},
  };
  struct policy town = make_town();
  struct address_set space[3];
  for (zone_index i = 0; i < 3; i++)
    ck_assert_int_eq(policy_zone_addresses(&town, i, arena, &space[i]), 0);
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct address one = address(cases[i].address);
    ck_assert_msg(policy_zone_of_address(&town, NULL, &one) == cases[i].zone, "%s", cases[i].address);
    for (zone_index j = 0; j < 3; j++)
      ck_assert_msg(address_set_contains(&space[j], &one) == (cases[i].zone == j), "%s in %d", cases[i].address, j);
  }
}
END_TEST

START_TEST(own_addresses_are_not_of_the_default_space) {
  struct policy town = make_town();
  struct address_range own_range[] = {range("8.8.8.8"), range("10.210.0.1")};
  struct address_set own;
  struct address eights = address("8.8.8.8"), lgwan = address("10.210.0.1");
  address_set_build(arena, own_range, 2, &own);
  ck_assert_int_eq(policy_zone_of_address(&town, &own, &eights), ZONE_NONE);
  ck_assert_int_eq(policy_zone_of_address(&town, &own, &lgwan), 0);
}
END_TEST

START_TEST(ipv6_is_claimed_only_by_a_zone_that_speaks_it) {
  struct policy town = make_town();
  town.zones[1].network_count = 1;
  struct address one = address("2600::1");
  struct address_set space;
  ck_assert_int_eq(policy_zone_of_address(&town, NULL, &one), ZONE_NONE);
  ck_assert_int_eq(policy_zone_addresses(&town, 1, arena, &space), 0);
  ck_assert(!address_set_contains(&space, &one));
}
END_TEST

START_TEST(exemption_lifts_exactly_what_it_names) {
  static const struct {
    const char *address;
    bool source, destination, source_exempt;
  } cases[] = {
      {"192.0.2.1", true, true, false}, {"192.0.2.127", true, true, false},    {"192.0.2.128", true, true, true},
      {"224.0.0.1", true, false, true}, {"255.255.255.255", true, true, true}, {"10.0.0.1", false, false, false},
      {"fd00:1::1", true, true, false}, {"fd00:2::1", true, true, true},       {"ff02::1", true, false, true},
      {"2001:db8::", true, true, true}, {"2400::1", false, false, false},      {"fe80::1", true, true, true},
      {"64:ff9b::1", true, true, true}, {"8000::", true, true, true},          {"fbff::1", true, true, true},
  };
  struct policy town = make_town(), lenient = make_town();
  struct placed_range exempt[] = {{.range = range("192.0.2.0/25")}, {.range = range("fd00:1::/32")}};
  lenient.header.special_exempt = exempt;
  lenient.header.special_exempt_count = 2;
  struct address_set sources, destinations, lifted;
  ck_assert_int_eq(policy_special_sources(&town, arena, &sources), 0);
  ck_assert_int_eq(policy_special_destinations(&town, arena, &destinations), 0);
  ck_assert_int_eq(policy_special_sources(&lenient, arena, &lifted), 0);
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct address one = address(cases[i].address);
    ck_assert_msg(address_set_contains(&sources, &one) == cases[i].source, "%s", cases[i].address);
    ck_assert_msg(address_set_contains(&destinations, &one) == cases[i].destination, "%s", cases[i].address);
    ck_assert_msg(address_set_contains(&lifted, &one) == cases[i].source_exempt, "%s", cases[i].address);
    ck_assert_int_eq(policy_is_special_source(&town, &one), cases[i].source);
    ck_assert_int_eq(policy_is_special_destination(&town, &one), cases[i].destination);
    ck_assert_int_eq(policy_is_special_source(&lenient, &one), cases[i].source_exempt);
  }
}
END_TEST

START_TEST(ends_cover_hosts_local_networks_or_the_attached_ones_of_the_peer) {
  struct policy town = make_town();
  struct placed_range addresses[] = {{.range = range("10.210.0.9")}, {.range = range("10.210.0.8")}};
  struct host host = {.name = "h", .zone = 0, .addresses = addresses, .address_count = 2};
  struct endpoint ends[] = {{.kind = ENDPOINT_HOST, .host = &host, .zone = 0},
                            {.kind = ENDPOINT_ZONE, .zone = 1},
                            {.kind = ENDPOINT_GATEWAY, .zone = ZONE_GATEWAY}};
  struct address_set set;
  char text[RANGE_TEXT_SIZE];
  ck_assert_int_eq(policy_end_addresses(&town, ends, 1, 1, arena, &set), 0);
  ck_assert_uint_eq(set.count, 1);
  ck_assert_str_eq(range_format(&set.ranges[0], text), "10.210.0.8/31");
  ck_assert_int_eq(policy_end_addresses(&town, ends + 1, 1, 0, arena, &set), 0);
  ck_assert_uint_eq(set.count, 2);
  ck_assert_int_eq(policy_end_addresses(&town, ends + 2, 1, 0, arena, &set), 0);
  ck_assert_str_eq(range_format(&set.ranges[0], text), "10.210.0.0-10.210.0.254");
}
END_TEST

static void assert_force(const struct policy *town, const struct flow *flow, const char *now, enum force_state state,
                         const char *until) {
  char text[INSTANT_TEXT_SIZE];
  struct instant change;
  enum force_state found = policy_flow_force(town, flow, instant(now), &change);
  ck_assert_msg(found == state, "%s: state %d", now, found);
  ck_assert_msg(strcmp(instant_format(town->header.timezone, change, text), until) == 0, "%s: until %s, not %s", now,
                text, until);
}

START_TEST(a_flow_without_conditions_is_always_in_force) {
  struct policy town = make_town();
  struct flow flow = {.name = "F"};
  assert_force(&town, &flow, "2026-11-24T12:00:00+09:00", FORCE_YES, "-");
}
END_TEST

START_TEST(an_expiry_ends_a_flow_for_ever) {
  struct policy town = make_town();
  struct flow flow = {.name = "F", .expires_set = true, .expires = instant("2026-12-01T00:00:00+09:00")};
  assert_force(&town, &flow, "2026-11-30T23:59:59+09:00", FORCE_YES, "2026-12-01T00:00:00+09:00");
  assert_force(&town, &flow, "2026-12-01T00:00:00+09:00", FORCE_EXPIRED, "-");
}
END_TEST

START_TEST(windows_join_where_they_touch) {
  struct policy town = make_town();
  struct window windows[] = {
      {.start = instant("2026-11-25T20:00:00+09:00"), .end = instant("2026-11-25T22:00:00+09:00"), .valid = true},
      {.start = instant("2026-11-25T18:00:00+09:00"), .end = instant("2026-11-25T20:00:00+09:00"), .valid = true},
      {.start = instant("2026-11-26T18:00:00+09:00"), .end = instant("2026-11-26T19:00:00+09:00"), .valid = true},
      {.start = instant("2026-11-24T00:00:00+09:00"), .end = instant("2026-11-30T00:00:00+09:00"), .valid = false},
  };
  struct flow flow = {.name = "F", .windows = windows, .window_count = 4};
  assert_force(&town, &flow, "2026-11-25T17:00:00+09:00", FORCE_OUTSIDE_WINDOW, "2026-11-25T18:00:00+09:00");
  assert_force(&town, &flow, "2026-11-25T18:00:00+09:00", FORCE_YES, "2026-11-25T22:00:00+09:00");
  assert_force(&town, &flow, "2026-11-25T22:00:00+09:00", FORCE_OUTSIDE_WINDOW, "2026-11-26T18:00:00+09:00");
  assert_force(&town, &flow, "2026-11-26T19:00:00+09:00", FORCE_EXPIRED, "-");
  flow.expires_set = true;
  flow.expires = instant("2026-11-25T19:00:00+09:00");
  assert_force(&town, &flow, "2026-11-25T18:30:00+09:00", FORCE_YES, "2026-11-25T19:00:00+09:00");
}
END_TEST

START_TEST(hours_recur_and_wrap_over_midnight) {
  struct policy town = make_town();
  struct flow flow = {
      .name = "F", .hours = {.set = true, .weekdays = 0x1f, .first_minute = 8 * 60 + 30, .last_minute = 17 * 60 + 15}};
  assert_force(&town, &flow, "2026-11-24T08:29:59+09:00", FORCE_OUTSIDE_WINDOW, "2026-11-24T08:30:00+09:00");
  assert_force(&town, &flow, "2026-11-24T08:30:00+09:00", FORCE_YES, "2026-11-24T17:15:00+09:00");
  assert_force(&town, &flow, "2026-11-27T17:15:00+09:00", FORCE_OUTSIDE_WINDOW, "2026-11-30T08:30:00+09:00");
  flow.hours = (struct hours){.set = true, .weekdays = 1 << 4, .first_minute = 22 * 60, .last_minute = 5 * 60};
  assert_force(&town, &flow, "2026-11-27T23:00:00+09:00", FORCE_YES, "2026-11-28T05:00:00+09:00");
  assert_force(&town, &flow, "2026-11-28T04:59:00+09:00", FORCE_YES, "2026-11-28T05:00:00+09:00");
  assert_force(&town, &flow, "2026-11-27T04:00:00+09:00", FORCE_OUTSIDE_WINDOW, "2026-11-27T22:00:00+09:00");
  assert_force(&town, &flow, "2026-11-28T05:00:00+09:00", FORCE_OUTSIDE_WINDOW, "2026-12-04T22:00:00+09:00");
  flow.hours = (struct hours){.set = true, .weekdays = 0x7f, .first_minute = 0, .last_minute = 1440};
  assert_force(&town, &flow, "2026-11-27T23:00:00+09:00", FORCE_YES, "-");
  flow.hours.weekdays = 0x1f;
  assert_force(&town, &flow, "2026-11-24T23:00:00+09:00", FORCE_YES, "2026-11-28T00:00:00+09:00");
}
END_TEST

START_TEST(windows_and_hours_must_both_be_open) {
  struct policy town = make_town();
  struct window windows[] = {
      {.start = instant("2026-11-25T18:00:00+09:00"), .end = instant("2026-11-26T10:00:00+09:00"), .valid = true},
  };
  struct flow flow = {.name = "F",
                      .windows = windows,
                      .window_count = 1,
                      .hours = {.set = true, .weekdays = 0x1f, .first_minute = 9 * 60, .last_minute = 17 * 60}};
  assert_force(&town, &flow, "2026-11-24T12:00:00+09:00", FORCE_OUTSIDE_WINDOW, "2026-11-26T09:00:00+09:00");
  assert_force(&town, &flow, "2026-11-26T09:00:00+09:00", FORCE_YES, "2026-11-26T10:00:00+09:00");
  windows[0].end = instant("2026-11-26T08:00:00+09:00");
  assert_force(&town, &flow, "2026-11-24T12:00:00+09:00", FORCE_OUTSIDE_WINDOW, "2026-11-26T08:00:00+09:00");
  assert_force(&town, &flow, "2026-11-26T08:00:00+09:00", FORCE_EXPIRED, "-");
}
END_TEST

/* The change that is announced must be the first one: compared with asking at every minute. */
START_TEST(the_next_change_is_the_first_one) {
  srand(3);
  struct policy town = make_town();
  int64_t base = instant("2026-11-24T00:00:00+09:00").seconds;
  for (int round = 0; round < 60; round++) {
    struct window windows[3];
    for (size_t i = 0; i < 3; i++) {
      int64_t start = base + rand() % 20000 * 60;
      windows[i] = (struct window){.start = {start}, .end = {start + rand() % 5000 * 60 + 60}, .valid = true};
    }
    struct flow flow = {.name = "F", .windows = windows, .window_count = (size_t)rand() % 4};
    flow.hours = (struct hours){.set = rand() % 2 == 0,
                                .weekdays = (uint8_t)(rand() % 128),
                                .first_minute = (unsigned)rand() % 1440,
                                .last_minute = (unsigned)rand() % 1441};
    flow.expires_set = rand() % 2 == 0;
    flow.expires.seconds = base + rand() % 20000 * 60;
    struct instant now = {base + rand() % 10000 * 60}, until, next;
    enum force_state state = policy_flow_force(&town, &flow, now, &until);
    for (next = now; next.seconds < until.seconds && next.seconds < base + 20000 * 60; next.seconds += 60)
      ck_assert_int_eq(policy_flow_force(&town, &flow, next, NULL), state);
    if (until.seconds != INT64_MAX)
      ck_assert_int_ne(policy_flow_force(&town, &flow, until, NULL), state);
  }
}
END_TEST

START_TEST(what_is_logged_by_default) {
  static const struct {
    enum zone_class from, to;
    enum flow_method method;
    enum flow_log log;
    bool logged;
  } cases[] = {
      {CLASS_MYNUMBER, CLASS_LGWAN, METHOD_SPECIFIC, LOG_DEFAULT, true},
      {CLASS_MYNUMBER, CLASS_LGWAN, METHOD_SPECIFIC, LOG_NONE, false},
      {CLASS_LGWAN, CLASS_INTERNET, METHOD_SCREEN, LOG_DEFAULT, true},
      {CLASS_RELAY, CLASS_LGWAN, METHOD_CDR, LOG_DEFAULT, true},
      {CLASS_RELAY, CLASS_INTERNET, METHOD_CDR, LOG_DEFAULT, false},
      {CLASS_LGWAN, CLASS_LGWAN_LINE, METHOD_LGWAN_SERVICE, LOG_DEFAULT, false},
      {CLASS_LGWAN, CLASS_LGWAN_LINE, METHOD_LGWAN_SERVICE, LOG_NEW, true},
      {CLASS_OT, CLASS_LGWAN, METHOD_EXCEPTION, LOG_DEFAULT, true},
      {CLASS_MAINTENANCE, CLASS_OT, METHOD_MAINTENANCE, LOG_DEFAULT, true},
  };
  struct policy town = make_town();
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    town.zones[0].class = cases[i].from;
    town.zones[1].class = cases[i].to;
    struct flow flow = {.from_zone = 0, .to_zone = 1, .method = cases[i].method, .log = cases[i].log};
    ck_assert_msg(flow_logs_new(&town, &flow) == cases[i].logged, "case %zu", i);
  }
}
END_TEST

START_TEST(names_of_what_does_not_exist_are_harmless) {
  struct policy town = make_town();
  ck_assert_str_eq(policy_zone_name(&town, ZONE_GATEWAY), "gateway");
  ck_assert_str_eq(policy_zone_name(&town, ZONE_NONE), "-");
  ck_assert_str_eq(policy_zone_name(&town, 77), "-");
  ck_assert_int_eq(policy_find_zone(&town, "gateway"), ZONE_GATEWAY);
  ck_assert_int_eq(policy_find_zone(&town, "nowhere"), ZONE_NONE);
  ck_assert_str_eq(zone_class_name(CLASS_COUNT_), "-");
  ck_assert_str_eq(flow_method_name(METHOD_CDR), "cdr");
  ck_assert_str_eq(approval_role_name(ROLE_CISO), "ciso");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("model");
  TCase *cases = tcase_create("all");
  tcase_add_checked_fixture(cases, begin, end);
  tcase_add_test(cases, the_default_zone_claims_global_unicast_and_nothing_else);
  tcase_add_test(cases, own_addresses_are_not_of_the_default_space);
  tcase_add_test(cases, ipv6_is_claimed_only_by_a_zone_that_speaks_it);
  tcase_add_test(cases, exemption_lifts_exactly_what_it_names);
  tcase_add_test(cases, ends_cover_hosts_local_networks_or_the_attached_ones_of_the_peer);
  tcase_add_test(cases, a_flow_without_conditions_is_always_in_force);
  tcase_add_test(cases, an_expiry_ends_a_flow_for_ever);
  tcase_add_test(cases, windows_join_where_they_touch);
  tcase_add_test(cases, hours_recur_and_wrap_over_midnight);
  tcase_add_test(cases, windows_and_hours_must_both_be_open);
  tcase_add_test(cases, the_next_change_is_the_first_one);
  tcase_add_test(cases, what_is_logged_by_default);
  tcase_add_test(cases, names_of_what_does_not_exist_are_harmless);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
