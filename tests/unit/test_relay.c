/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A relay that sends what it did not receive. */
#include <check.h>
#include <string.h>

#include "policy/read.h"
#include "watch/shape.h"

static const char POLICY[] =
    "policy = { name = \"t\"; number = \"1\"; model = \"alpha\"; timezone = \"Asia/Tokyo\"; };\n"
    "zones = {\n"
    " lgwan = { class = \"lgwan\"; interfaces = [ \"in0\" ]; networks = [ \"10.1.0.0/24\" ]; };\n"
    " relay = { class = \"relay\"; interfaces = [ \"dmz0\" ]; networks = [ \"10.3.0.0/24\" ]; };\n"
    " internet = { class = \"internet\"; interfaces = [ \"out0\" ]; networks = [ \"10.2.0.0/24\" ]; };\n"
    "};\n"
    "hosts = {\n"
    " a = { zone = \"lgwan\"; address = \"10.1.0.5\"; };\n"
    " r = { zone = \"relay\"; address = \"10.3.0.5\"; };\n"
    " b = { zone = \"internet\"; address = \"10.2.0.5\"; };\n"
    "};\n"
    "flows = {\n"
    " F-in = { from = \"b\"; to = \"r\"; services = \"tcp/25\"; method = \"mailtext\"; pair = \"mail\"; };\n"
    " F-on = { from = \"r\"; to = \"a\"; services = \"tcp/25\"; method = \"mailtext\"; pair = \"mail\"; };\n"
    " F-file = { from = \"a\"; to = \"r\"; services = \"tcp/443\"; method = \"cdr\"; pair = \"file\"; };\n"
    " F-fetch = { from = \"r\"; to = \"b\"; services = \"tcp/443\"; method = \"cdr\"; pair = \"file\"; };\n"
    " F-bare = { from = \"a\"; to = \"r\"; services = \"tcp/8443\"; method = \"cdr\"; };\n"
    "};\n";

enum { RECEIVES, FORWARDS, OFFERS, FETCHES, BARE };
static const int64_t SECOND = 1000000000, HOUR = 3600 * 1000000000LL, START = 1795482000LL * 1000000000;
static const uint64_t MEGABYTE = 1000000;

static struct arena *arena;
static const struct policy *policy;
static struct shapes *shapes;
static int64_t now;

static void set_up(void) {
  struct diagnostic_list list;
  struct error error = {0};
  arena = arena_new(0);
  now = START;
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("test", POLICY, sizeof POLICY - 1, arena, true, &policy, &list, &error), 0);
  shapes = shapes_new(16);
  ck_assert_int_eq(shapes_set_policy(shapes, policy), 0);
}

static void tear_down(void) {
  shapes = shapes_free(shapes);
  arena = arena_free(arena);
}

/* The reason that was given for any of the portions, or "". */
static const char *carry(int flow, enum shape_side side, uint64_t bytes) {
  const char *reason = "";
  for (uint64_t at = 0; at < bytes; at += SHAPE_PORTION) {
    struct shape_portion portion = {
        .flow = &policy->flows[flow], .side = side, .bytes = SHAPE_PORTION, .time = now += SECOND / 100};
    struct shape_verdict verdict;
    ck_assert(address_parse("10.1.0.5", &portion.opener));
    if (shapes_count(shapes, &portion, &verdict)) {
      ck_assert(verdict.of_flow);
      reason = verdict.reason;
    }
  }
  return reason;
}

/* The first portion says when the watch began. */
static void begin(void) {
  carry(RECEIVES, SHAPE_UP, SHAPE_PORTION);
  carry(OFFERS, SHAPE_UP, SHAPE_PORTION);
  now += 3 * HOUR;
}

START_TEST(mail_that_was_received_may_be_forwarded) {
  begin();
  ck_assert_str_eq(carry(RECEIVES, SHAPE_UP, 20 * MEGABYTE), "");
  ck_assert_str_eq(carry(FORWARDS, SHAPE_UP, 25 * MEGABYTE), "");
}
END_TEST

START_TEST(a_relay_that_forwards_what_nobody_sent_is_told) {
  begin();
  ck_assert_str_eq(carry(FORWARDS, SHAPE_UP, 7 * MEGABYTE), "");
  ck_assert_str_eq(carry(FORWARDS, SHAPE_UP, 10 * MEGABYTE), "relay-without-input");
}
END_TEST

START_TEST(what_another_pair_received_does_not_count) {
  begin();
  carry(RECEIVES, SHAPE_UP, 20 * MEGABYTE);
  ck_assert_str_eq(carry(OFFERS, SHAPE_DOWN, 30 * MEGABYTE), "relay-without-input");
}
END_TEST

START_TEST(what_was_fetched_may_be_handed_on) {
  begin();
  ck_assert_str_eq(carry(FETCHES, SHAPE_DOWN, 20 * MEGABYTE), "");
  ck_assert_str_eq(carry(OFFERS, SHAPE_DOWN, 30 * MEGABYTE), "");
}
END_TEST

START_TEST(a_relay_that_carries_out_what_nobody_gave_it_is_told) {
  begin();
  ck_assert_str_eq(carry(FETCHES, SHAPE_UP, 30 * MEGABYTE), "relay-without-input");
}
END_TEST

/* Questions that get as much of an answer carry nothing on. */
START_TEST(questions_and_answers_on_one_side_are_none) {
  begin();
  for (int i = 0; i < 100; i++) {
    ck_assert_str_eq(carry(FETCHES, SHAPE_UP, MEGABYTE), "");
    ck_assert_str_eq(carry(FETCHES, SHAPE_DOWN, MEGABYTE), "");
  }
}
END_TEST

START_TEST(what_was_received_days_ago_is_forgotten) {
  begin();
  carry(RECEIVES, SHAPE_UP, 2 * MEGABYTE);
  now += 10 * 24 * HOUR;
  ck_assert_str_eq(carry(FORWARDS, SHAPE_UP, 15 * MEGABYTE), "relay-without-input");
}
END_TEST

START_TEST(a_relay_may_hold_much_when_the_watch_begins) {
  ck_assert_str_eq(carry(FORWARDS, SHAPE_UP, 100 * MEGABYTE), "");
}
END_TEST

START_TEST(counting_goes_on_over_a_change_of_policy) {
  begin();
  carry(FORWARDS, SHAPE_UP, 7 * MEGABYTE);
  ck_assert_int_eq(shapes_set_policy(shapes, policy), 0);
  ck_assert_str_eq(carry(FORWARDS, SHAPE_UP, 2 * MEGABYTE), "relay-without-input");
}
END_TEST

START_TEST(a_flow_without_its_pair_is_not_judged) {
  begin();
  ck_assert_str_eq(carry(BARE, SHAPE_DOWN, 30 * MEGABYTE), "");
}
END_TEST

START_TEST(times_that_make_no_sense_do_no_harm) {
  static const int64_t times[] = {INT64_MIN, -1, 0, INT64_MAX, 1, INT64_MAX / 2, START};
  for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
    struct shape_portion portion = {.flow = &policy->flows[i % 5], .bytes = UINT32_MAX, .time = times[i]};
    struct shape_verdict verdict;
    (void)shapes_count(shapes, &portion, &verdict);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("relay");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_test(all, mail_that_was_received_may_be_forwarded);
  tcase_add_test(all, a_relay_that_forwards_what_nobody_sent_is_told);
  tcase_add_test(all, what_another_pair_received_does_not_count);
  tcase_add_test(all, what_was_fetched_may_be_handed_on);
  tcase_add_test(all, a_relay_that_carries_out_what_nobody_gave_it_is_told);
  tcase_add_test(all, questions_and_answers_on_one_side_are_none);
  tcase_add_test(all, what_was_received_days_ago_is_forgotten);
  tcase_add_test(all, a_relay_may_hold_much_when_the_watch_begins);
  tcase_add_test(all, counting_goes_on_over_a_change_of_policy);
  tcase_add_test(all, a_flow_without_its_pair_is_not_judged);
  tcase_add_test(all, times_that_make_no_sense_do_no_harm);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
