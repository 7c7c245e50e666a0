/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the watchman tells that it did not run, and when it is excused: not from the wires, which no interface here has.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/read.h"
#include "watch/live_parts.h"

static const int64_t SECOND = 1000000000, START = 1790000000 * INT64_C(1000000000);

static const char POLICY[] =
    "policy = { name = \"t\"; number = \"1\"; model = \"alpha\"; timezone = \"Asia/Tokyo\"; };\n"
    "zones = { lgwan = { class = \"lgwan\"; interfaces = [ \"kidonone0\" ]; networks = [ \"10.1.0.0/24\" ]; }; };\n";

static struct watch *watch;
static struct live *live;
static struct live_settings settings;
static unsigned stalled;

static void tell(void *context, struct event *event, const struct timezone *timezone) {
  (void)context, (void)timezone;
  strcpy(event->id, "x");
  stalled += event->reason != NULL && strcmp(event->reason, "stalled") == 0;
}

static void set_policy(void) {
  struct arena *arena = arena_new(0);
  struct diagnostic_list list;
  struct error error = {0};
  const struct policy *policy = NULL;
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("test", POLICY, sizeof POLICY - 1, arena, true, &policy, &list, &error), 0);
  ck_assert_ptr_nonnull(policy);
  ck_assert_int_eq(live_set_policy(live, policy, false, &error), 0);
  ck_assert_int_eq(watch_set_policy(watch, policy, arena, false, START), 0);
}

static void set_up(void) {
  struct watch_settings of_watch = {.connections = 1024, .tell = tell};
  struct error error = {0};
  stalled = 0;
  settings = live_settings_defaults();
  watch = watch_new(&of_watch);
  ck_assert_msg(live_new(watch, &settings, &live, &error) == 0, "%s", error.message);
  set_policy();
  live_look_after(live, START);
}

static void tear_down(void) {
  live = live_free(live);
  watch_free(watch);
}

/* As if it had last looked that long ago. */
static void stand_still(int64_t time) {
  live->looked_at -= time;
}

static void look(int64_t after) {
  live_look_after(live, START + after);
}

START_TEST(standing_still_is_told) {
  stand_still(SECOND);
  look(SECOND);
  ck_assert_uint_eq(stalled, 1);
  ck_assert_uint_eq(live->wires[0].intervals.count, 1);
}
END_TEST

START_TEST(a_little_is_not) {
  stand_still(SECOND / 2);
  look(SECOND / 2);
  ck_assert_uint_eq(stalled, 0);
}
END_TEST

START_TEST(reading_a_policy_is_excused) {
  stand_still(SECOND);
  live_excuse(live);
  look(SECOND);
  ck_assert_uint_eq(stalled, 0);
}
END_TEST

/* What came after it is not. */
START_TEST(an_excuse_is_for_what_was_before_it) {
  live_excuse(live);
  stand_still(3 * SECOND);
  live->excused_at -= SECOND;
  look(3 * SECOND);
  ck_assert_uint_eq(stalled, 1);
}
END_TEST

START_TEST(an_excuse_is_good_for_once) {
  stand_still(SECOND);
  live_excuse(live);
  look(SECOND);
  live->excused_at -= 2 * SECOND;
  stand_still(SECOND);
  look(2 * SECOND);
  ck_assert_uint_eq(stalled, 1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("live excuse");
  TCase *group = tcase_create("live excuse");
  tcase_add_checked_fixture(group, set_up, tear_down);
  tcase_set_timeout(group, 30);
  tcase_add_test(group, standing_still_is_told);
  tcase_add_test(group, a_little_is_not);
  tcase_add_test(group, reading_a_policy_is_excused);
  tcase_add_test(group, an_excuse_is_for_what_was_before_it);
  tcase_add_test(group, an_excuse_is_good_for_once);
  suite_add_tcase(suite, group);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
