/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/restrictions_json.h"
#include "policy/decide.h"
#include "sample_town.h"

/* Tuesday noon; the window of F-601 is open on Wednesday evening. */
static const char NOON[] = "2026-11-24T12:00:00+09:00", EVENING[] = "2026-11-25T19:00:00+09:00";

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

/* "host 10.0.0.1", "pair lgwan internet", "zone lgwan", "all" */
static struct cut cut_of(const char *text) {
  char *words = arena_strdup(arena, text), *rest = words;
  const char *kind = strsep(&rest, " ");
  struct cut cut = {.id = 1, .kind = CUT_ALL, .by = "tester", .why = "test"};
  for (int i = 0; i < CUT_KIND_COUNT_; i++)
    if (strcmp(kind, cut_kind_name((enum cut_kind)i)) == 0)
      cut.kind = (enum cut_kind)i;
  if (cut.kind == CUT_HOST)
    cut.address = address(rest);
  else if (cut.kind != CUT_ALL)
    cut.zone = strsep(&rest, " ");
  if (cut.kind == CUT_PAIR)
    cut.other_zone = rest;
  return cut;
}

static struct packet packet(const char *source, const char *destination, const char *service) {
  struct packet result = {.source = address(source), .destination = address(destination)};
  unsigned number = (unsigned)atoi(strchr(service, '/') + 1);
  result.protocol = service[0] == 't' ? PROTOCOL_TCP : service[0] == 'u' ? PROTOCOL_UDP : PROTOCOL_ICMP;
  result.icmp_type = result.protocol == PROTOCOL_ICMP ? (uint8_t)number : 0;
  result.destination_port = result.protocol == PROTOCOL_ICMP ? 0 : (uint16_t)number;
  result.source_port = 40000;
  result.tcp_flags = result.protocol == PROTOCOL_TCP ? TCP_SYN : 0;
  return result;
}

static struct decision decide(const struct query *query, const struct restrictions *restrictions, const char *now) {
  const struct address_range ranges[] = {{address("10.199.0.1"), address("10.199.0.1")},
                                         {address("10.211.0.1"), address("10.211.0.1")}};
  struct address_set own;
  ck_assert_int_eq(address_set_build(arena, ranges, 2, &own), 0);
  struct circumstances circumstances = {.now = instant(now), .own = &own, .restrictions = restrictions};
  return policy_decide(town, &circumstances, query);
}

START_TEST(a_cut_takes_its_place_among_the_reasons) {
  static const struct {
    const char *cut, *in, *source, *destination, *service, *reason;
  } cases[] = {
      {"host 10.140.0.33", "lgwan", "10.211.3.9", "10.140.0.33", "tcp/443", "cut"},
      {"host 10.211.3.9", "lgwan", "10.211.3.9", "10.140.0.33", "tcp/443", "cut"},
      {"host 10.211.3.8", "lgwan", "10.211.3.9", "10.140.0.33", "tcp/443", "flow"},
      {"host 10.211.3.9", "lgwan", "10.211.3.9", "10.210.0.11", "tcp/80", "cut"},
      {"host 10.140.0.33", "internet", "10.140.0.33", "10.211.3.9", "tcp/80", "cut"},
      {"host 10.140.0.33", "lgwan", "10.140.0.33", "10.211.3.9", "tcp/443", "spoofed-source"},
      {"host 10.120.0.3", "lgwan", "10.211.3.9", "10.120.0.3", "tcp/443", "cut"},
      {"host 10.99.0.3", "lgwan", "10.211.3.9", "10.99.0.3", "tcp/443", "cut"},
      {"host 10.199.0.21", "mgmt", "10.199.0.21", "10.199.0.1", "tcp/22", "cut"},
      {"host 10.199.0.10", "gateway", "10.199.0.1", "10.199.0.10", "tcp/6514", "cut"},
      {"pair lgwan internet", "lgwan", "10.211.3.9", "10.140.0.33", "tcp/443", "cut"},
      {"pair internet lgwan", "lgwan", "10.211.3.9", "10.140.0.33", "tcp/443", "cut"},
      {"pair internet lgwan", "internet", "10.140.0.33", "10.211.3.9", "tcp/80", "cut"},
      {"pair internet lgwan", "internet", "10.140.0.33", "10.110.0.11", "tcp/80", "no-flow"},
      {"pair internet mynumber", "internet", "10.140.0.33", "10.110.0.11", "tcp/80", "cut"},
      {"pair internet mynumber", "internet", "10.140.0.33", "10.110.0.11", "icmp/3", "cut"},
      {"pair relay internet", "lgwan", "10.211.3.9", "10.140.0.33", "tcp/443", "flow"},
      {"pair lgwan internet", "lgwan", "10.211.0.5", "10.210.0.11", "tcp/80", "within"},
      {"pair lgwan lgwan", "lgwan", "10.211.0.5", "10.210.0.11", "tcp/80", "cut"},
      {"pair lgwan lgwan", "lgwan", "10.211.3.9", "10.140.0.33", "tcp/443", "flow"},
      {"pair lgwan nowhere", "lgwan", "10.211.3.9", "10.140.0.33", "tcp/443", "flow"},
      {"pair lgwan gateway", "lgwan", "10.211.3.9", "10.211.0.1", "tcp/22", "cut"},
      {"pair lgwan gateway", "gateway", "10.211.0.1", "10.210.0.14", "tcp/25", "cut"},
      {"pair mgmt gateway", "mgmt", "10.199.0.21", "10.199.0.1", "tcp/22", "cut"},
      {"pair mgmt lgwan", "mgmt", "10.199.0.21", "10.211.0.1", "tcp/22", "no-flow"},
      {"zone lgwan", "lgwan", "10.211.3.9", "10.140.0.33", "tcp/443", "cut"},
      {"zone lgwan", "lgwan", "10.211.3.9", "10.210.0.11", "tcp/80", "cut"},
      {"zone lgwan", "lgwan", "10.211.3.9", "10.99.0.1", "tcp/80", "cut"},
      {"zone lgwan", "internet", "10.140.0.33", "10.211.3.9", "tcp/443", "cut"},
      {"zone lgwan", "internet", "10.140.0.33", "10.110.0.11", "tcp/443", "no-flow"},
      {"zone lgwan", "gateway", "10.211.0.1", "10.210.0.14", "tcp/25", "cut"},
      {"zone mgmt", "mgmt", "10.199.0.21", "10.199.0.1", "tcp/22", "flow"},
      {"zone mgmt", "gateway", "10.199.0.1", "10.199.0.10", "tcp/6514", "flow"},
      {"zone mgmt", "mgmt", "10.199.0.21", "10.211.0.5", "tcp/22", "cut"},
      {"all", "mgmt", "10.199.0.21", "10.199.0.1", "tcp/22", "flow"},
      {"all", "gateway", "10.199.0.1", "10.199.0.10", "tcp/6514", "flow"},
      {"all", "seccloud", "203.0.113.25", "10.140.0.13", "tcp/25", "cut"},
      {"all", "lgwan", "127.0.0.1", "10.140.0.33", "tcp/443", "special-source"},
      {"all", "lgwan", "10.211.3.9", "10.140.0.33", "icmp/8", "cut"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct cut cut = cut_of(cases[i].cut);
    struct restrictions restrictions = {.cuts = &cut, .cut_count = 1};
    struct query query = {.packet = packet(cases[i].source, cases[i].destination, cases[i].service),
                          .in_zone = policy_find_zone(town, cases[i].in),
                          .out_zone = ZONE_NONE};
    struct decision decision = decide(&query, &restrictions, NOON);
    ck_assert_msg(strcmp(reason_name(decision.reason), cases[i].reason) == 0, "case %zu (%s, %s > %s): %s", i,
                  cases[i].cut, cases[i].source, cases[i].destination, reason_name(decision.reason));
    ck_assert(decision.cut == (decision.reason == REASON_CUT ? &cut : NULL));
  }
}
END_TEST

START_TEST(the_gateway_does_not_report_about_what_is_cut) {
  struct query query = {.packet = packet("10.211.0.1", "10.211.1.9", "icmp/11"),
                        .in_zone = ZONE_GATEWAY,
                        .out_zone = policy_find_zone(town, "lgwan"),
                        .role = ROLE_ERROR,
                        .opener = packet("10.211.1.9", "10.140.0.33", "tcp/443")};
  struct cut cut = cut_of("pair internet lgwan"), other = cut_of("pair internet relay");
  struct restrictions restrictions = {.cuts = &cut, .cut_count = 1}, others = {.cuts = &other, .cut_count = 1};
  ck_assert(decide(&query, &others, NOON).allow);
  ck_assert_str_eq(reason_name(decide(&query, &restrictions, NOON).reason), "icmp");
}
END_TEST

START_TEST(neighbours_stay_known_under_a_cut) {
  struct cut cut = cut_of("all");
  struct restrictions restrictions = {.cuts = &cut, .cut_count = 1};
  struct query query = {.packet = {.source = address("fe80::1"),
                                   .destination = address("ff02::1:ff00:1"),
                                   .protocol = PROTOCOL_ICMPV6,
                                   .icmp_type = 135},
                        .in_zone = policy_find_zone(town, "lgwan"),
                        .out_zone = ZONE_GATEWAY};
  ck_assert(decide(&query, &restrictions, NOON).allow);
}
END_TEST

/* ---- time ---- */

static const char *force(const char *flow, const struct restrictions *restrictions, const char *now,
                         const char **ret_until) {
  static const char *const names[] = {
      [FORCE_YES] = "in-force", [FORCE_EXPIRED] = "expired", [FORCE_OUTSIDE_WINDOW] = "outside"};
  struct instant until;
  char text[INSTANT_TEXT_SIZE];
  enum force_state state =
      restricted_flow_force(town, restrictions, policy_find_flow(town, flow), instant(now), &until);
  *ret_until = until.seconds == INSTANT_NEVER.seconds
                   ? "never"
                   : arena_strdup(arena, instant_format(town->header.timezone, until, text));
  return names[state];
}

START_TEST(windows_deadlines_and_doubtful_clocks_hold_back_what_they_concern) {
  struct closed_window closed = {.flow = "F-601", .until = instant("2026-11-25T21:00:00+09:00"), .by = "x", .why = "y"};
  struct instant *soon = ARENA_ARRAY(arena, town->flow_count, struct instant);
  for (size_t i = 0; i < town->flow_count; i++)
    soon[i] = instant("2026-11-25T19:30:00+09:00");
  const struct restrictions none = {0}, window = {.closed_windows = &closed, .closed_window_count = 1},
                            clock = {.clock_doubtful = true}, trial = {.flow_deadlines = soon};
  const struct {
    const struct restrictions *restrictions;
    const char *flow, *now, *state, *until;
  } cases[] = {
      {NULL, "F-601", EVENING, "in-force", "2026-11-25T21:00:00+09:00"},
      {&none, "F-601", EVENING, "in-force", "2026-11-25T21:00:00+09:00"},
      {&window, "F-601", EVENING, "outside", "2026-11-25T21:00:00+09:00"},
      {&window, "F-601", NOON, "outside", "2026-11-25T18:00:00+09:00"},
      {&window, "F-601", "2026-11-25T21:00:00+09:00", "expired", "never"},
      {&window, "F-301", EVENING, "in-force", "never"},
      {&clock, "F-601", EVENING, "outside", "never"},
      {&clock, "F-302", EVENING, "outside", "never"},
      {&clock, "F-301", EVENING, "in-force", "never"},
      {&trial, "F-301", EVENING, "in-force", "2026-11-25T19:30:00+09:00"},
      {&trial, "F-601", EVENING, "in-force", "2026-11-25T19:30:00+09:00"},
      {&trial, "F-601", NOON, "outside", "2026-11-25T18:00:00+09:00"},
      {&trial, "F-301", "2026-11-25T19:30:00+09:00", "expired", "never"},
      {&trial, "F-601", "2026-11-25T19:30:00+09:00", "expired", "never"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *until, *state = force(cases[i].flow, cases[i].restrictions, cases[i].now, &until);
    ck_assert_msg(strcmp(state, cases[i].state) == 0 && strcmp(until, cases[i].until) == 0, "case %zu: %s until %s", i,
                  state, until);
  }
}
END_TEST

START_TEST(a_trial_of_within_ends) {
  struct instant *soon = ARENA_ARRAY(arena, town->zone_count, struct instant), until;
  zone_index lgwan = policy_find_zone(town, "lgwan"), relay = policy_find_zone(town, "relay");
  for (size_t i = 0; i < town->zone_count; i++)
    soon[i] = instant(EVENING);
  const struct restrictions trial = {.within_deadlines = soon};
  ck_assert(restricted_within(town, NULL, lgwan, instant(NOON), &until));
  ck_assert_int_eq(until.seconds, INSTANT_NEVER.seconds);
  ck_assert(restricted_within(town, &trial, lgwan, instant(NOON), &until));
  ck_assert_int_eq(until.seconds, instant(EVENING).seconds);
  ck_assert(!restricted_within(town, &trial, lgwan, instant(EVENING), &until));
  ck_assert(!restricted_within(town, NULL, relay, instant(NOON), NULL));
}
END_TEST

/* ---- as JSON ---- */

static const char SAMPLE[] =
    "{\"cuts\":[{\"id\":1,\"kind\":\"host\",\"address\":\"10.0.0.1\",\"zone\":null,\"other_zone\":null,\"at\":5,"
    "\"by\":\"suzuki\",\"why\":\"\\u75c5\"},{\"id\":2,\"kind\":\"pair\",\"address\":null,\"zone\":\"a\",\"other_zone\":"
    "\"gateway\",\"at\":6,\"by\":\"x\",\"why\":\"\"},{\"id\":3,\"kind\":\"zone\",\"address\":null,\"zone\":\"a\","
    "\"other_zone\":null,\"at\":7,\"by\":\"x\",\"why\":\"y\"},{\"id\":4,\"kind\":\"all\",\"address\":null,\"zone\":"
    "null,"
    "\"other_zone\":null,\"at\":8,\"by\":\"x\",\"why\":\"y\"}],\"closed_windows\":[{\"flow\":\"F-1\",\"until\":9,"
    "\"at\":8,\"by\":\"x\",\"why\":\"z\"}],\"clock_doubtful\":true,\"flow_deadlines\":[null,100],"
    "\"within_deadlines\":[200]}";

static int parse(const char *text, size_t size, struct restrictions *ret_restrictions) {
  struct error error = {0};
  int result = restrictions_from_text(text, size, 2, 1, arena, ret_restrictions, &error);
  ck_assert((result < 0) == (error.message[0] != '\0'));
  return result;
}

START_TEST(restrictions_go_to_text_and_back) {
  struct restrictions restrictions, again;
  ck_assert_int_eq(parse(SAMPLE, strlen(SAMPLE), &restrictions), 0);
  ck_assert_uint_eq(restrictions.cut_count, 4);
  ck_assert_int_eq(restrictions.cuts[0].kind, CUT_HOST);
  ck_assert(restrictions_cut_address(&restrictions, &restrictions.cuts[0].address));
  ck_assert_str_eq(restrictions.cuts[1].other_zone, "gateway");
  ck_assert_str_eq(restrictions.closed_windows[0].flow, "F-1");
  ck_assert(restrictions.clock_doubtful);
  ck_assert_int_eq(restrictions.flow_deadlines[0].seconds, INSTANT_NEVER.seconds);
  ck_assert_int_eq(restrictions.within_deadlines[0].seconds, 200);
  char *text = restrictions_to_text(&restrictions, 2, 1);
  ck_assert_int_eq(parse(text, strlen(text), &again), 0);
  char *twice = restrictions_to_text(&again, 2, 1);
  ck_assert_str_eq(text, twice);
  free(text);
  free(twice);
}
END_TEST

/* Each replaces a part of the sample by what must not be taken. */
static const struct {
  const char *from, *to;
} spoilers[] = {
    {"\"id\":1", "\"id\":\"1\""},
    {"\"id\":1", "\"id\":-1"},
    {"\"id\":1", "\"id\":1.5"},
    {"\"id\":1,", ""},
    {"\"id\":1,", "\"id\":1,\"id\":1,"},
    {"\"id\":1,", "\"id\":1,\"more\":1,"},
    {"\"host\"", "\"hosts\""},
    {"\"host\"", "\"all\""},
    {"\"10.0.0.1\"", "\"10.0.0.0/24\""},
    {"\"10.0.0.1\"", "null"},
    {"\"zone\":null", "\"zone\":\"a\""},
    {"\"other_zone\":\"gateway\"", "\"other_zone\":null"},
    {"\"suzuki\"", "null"},
    {"suzuki", "suz\\u0000uki"},
    {"\"until\":9", "\"until\":null"},
    {"\"flow\":\"F-1\"", "\"flow\":null"},
    {"\"z\"", "\"z\",\"note\":\"\""},
    {"\"clock_doubtful\":true", "\"clock_doubtful\":1"},
    {"[null,100]", "[null]"},
    {"[null,100]", "[null,true]"},
    {"[null,100]", "{}"},
    {"[200]", "[200,200]"},
    {"[200]}", "[200],\"extra\":0}"},
    {"[200]}", "[200]} x"},
    {"[200]}", "[200]"},
    {"{\"cuts\":[", "{\"cuts\":[7,"},
};

START_TEST(what_is_not_as_it_should_be_is_refused) {
  struct restrictions restrictions;
  const char *at = strstr(SAMPLE, spoilers[_i].from);
  ck_assert_ptr_nonnull(at);
  char *text =
      arena_printf(arena, "%.*s%s%s", (int)(at - SAMPLE), SAMPLE, spoilers[_i].to, at + strlen(spoilers[_i].from));
  ck_assert_msg(parse(text, strlen(text), &restrictions) == -EBADMSG, "%s -> %s", spoilers[_i].from, spoilers[_i].to);
}
END_TEST

START_TEST(a_text_that_is_cut_off_is_refused) {
  struct restrictions restrictions;
  for (size_t size = 0; size < strlen(SAMPLE); size++)
    ck_assert_int_eq(parse(SAMPLE, size, &restrictions), -EBADMSG);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("restrictions");
  TCase *cases = tcase_create("all");
  tcase_add_checked_fixture(cases, read_town, free_town);
  tcase_add_test(cases, a_cut_takes_its_place_among_the_reasons);
  tcase_add_test(cases, the_gateway_does_not_report_about_what_is_cut);
  tcase_add_test(cases, neighbours_stay_known_under_a_cut);
  tcase_add_test(cases, windows_deadlines_and_doubtful_clocks_hold_back_what_they_concern);
  tcase_add_test(cases, a_trial_of_within_ends);
  tcase_add_test(cases, restrictions_go_to_text_and_back);
  tcase_add_loop_test(cases, what_is_not_as_it_should_be_is_refused, 0, (int)(sizeof spoilers / sizeof *spoilers));
  tcase_add_test(cases, a_text_that_is_cut_off_is_refused);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
