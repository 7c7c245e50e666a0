/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/clock.h"
#include "control/keep.h"
#include "control/reminders.h"

static char directory[64];
static struct error error;

static void set_up(void) {
  strcpy(directory, "/tmp/kido-clock-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(directory));
  error = (struct error){0};
}

static void tear_down(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", directory);
  ck_assert_int_eq(system(command), 0);
}

/* ---- steps and sleep ---- */

START_TEST(a_step_is_what_the_wall_clock_did_and_the_boot_clock_did_not) {
  static const struct {
    struct clock_reading after; /* beginning at 1000000, 5000, 5000 */
    int64_t step, slept;
    bool matters;
  } cases[] = {
      {{1010000, 15000, 15000}, 0, 0, false},            /* ten seconds went by */
      {{4610000, 15000, 15000}, 3600000, 0, true},       /* and somebody set it an hour forward */
      {{-2590000, 15000, 15000}, -3600000, 0, true},     /* or back */
      {{1610000, 615000, 15000}, 0, 600000, true},       /* or it slept for ten minutes */
      {{5210000, 615000, 15000}, 3600000, 600000, true}, /* or both */
      {{1010100, 15000, 15000}, 100, 0, false},          /* a tenth of a second is no step */
      {{1009751, 15000, 15001}, -249, -1, false},
      {{1009750, 15000, 15000}, -250, 0, true},
  };
  static const struct clock_reading before = {1000000, 5000, 5000};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct clock_change change = clock_compare(&before, &cases[i].after);
    ck_assert_int_eq(change.step, cases[i].step);
    ck_assert_int_eq(change.slept, cases[i].slept);
    ck_assert_msg(clock_change_matters(&change) == cases[i].matters, "case %zu", i);
  }
}
END_TEST

START_TEST(the_clocks_of_this_machine_go_forward_together) {
  struct clock_reading first = clock_read(), second = clock_read();
  struct clock_change change = clock_compare(&first, &second);
  ck_assert(!clock_change_matters(&change));
  ck_assert_int_ge(second.monotonic, first.monotonic);
}
END_TEST

/* ---- the last time seen ---- */

START_TEST(the_last_time_seen_comes_back) {
  struct instant seen = {0};
  ck_assert_int_eq(clock_load(directory, &seen, &error), -ENOENT);
  ck_assert_int_eq(clock_save(directory, (struct instant){1795000000}, &error), 0);
  ck_assert_int_eq(clock_load(directory, &seen, &error), 0);
  ck_assert_int_eq(seen.seconds, 1795000000);
}
END_TEST

START_TEST(a_file_that_is_not_ours_tells_no_time) {
  static const char *const texts[] = {
      "",           "1795000000\n",       "kido.clock/1 \n", "kido.clock/1 -5\n",
      "kido.clock", "kido.clock/1 12x\n", "kido.clock/1 12", "kido.clock/1 99999999999999999999\n"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct instant seen = {7};
    ck_assert_int_eq(keep_write(directory, CLOCK_FILE, texts[i], strlen(texts[i]), &error), 0);
    ck_assert_msg(clock_load(directory, &seen, &error) == -EBADMSG, "case %zu", i);
    ck_assert_int_eq(seen.seconds, 7);
  }
}
END_TEST

START_TEST(an_earlier_clock_is_doubtful_but_for_a_second_or_two) {
  static const struct {
    int64_t seen, now;
    bool doubtful;
  } cases[] = {{1000, 1000, false}, {1000, 5000, false}, {1000, 998, false}, {1000, 997, true}, {1000, 0, true}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    ck_assert_msg(clock_is_doubtful((struct instant){cases[i].seen}, (struct instant){cases[i].now}) ==
                      cases[i].doubtful,
                  "case %zu", i);
  }
}
END_TEST

/* ---- reminders ---- */

static const int64_t DAY = 86400;

/* How often in so many days, with a look every hour. */
static unsigned count_told(json_t *told, enum reminder_kind kind, int64_t due, int64_t from, int64_t to) {
  unsigned count = 0;
  for (int64_t now = from; now < to; now += 3600) {
    count += reminder_wanted(told, "F-1", kind, (struct instant){due}, (struct instant){now}) ? 1 : 0;
  }
  return count;
}

START_TEST(an_end_is_told_at_seven_distances_and_never_twice_a_day) {
  const int64_t due = 1000 * DAY;
  json_t *told = json_object();
  ck_assert_uint_eq(count_told(told, REMINDER_EXPIRING, due, due - 100 * DAY, due - 60 * DAY), 0);
  ck_assert_uint_eq(count_told(told, REMINDER_EXPIRING, due, due - 60 * DAY, due), 7);
  ck_assert_uint_eq(count_told(told, REMINDER_EXPIRING, due, due, due + 100 * DAY), 0);
  json_decref(told);
  for (int64_t day = due - 60 * DAY; day < due; day += DAY) {
    told = json_object();
    ck_assert_uint_eq(count_told(told, REMINDER_EXPIRING, due, day, day + DAY), 1);
    json_decref(told);
  }
}
END_TEST

START_TEST(a_missed_review_is_told_every_week) {
  const int64_t due = 1000 * DAY;
  json_t *told = json_object();
  ck_assert_uint_eq(count_told(told, REMINDER_REVIEW_OVERDUE, due, due - 10 * DAY, due), 0);
  ck_assert_uint_eq(count_told(told, REMINDER_REVIEW_OVERDUE, due, due, due + 28 * DAY), 4);
  ck_assert_uint_eq(count_told(told, REMINDER_REVIEW_DUE, due, due, due + 28 * DAY), 0);
  json_decref(told);
}
END_TEST

START_TEST(another_date_begins_anew) {
  json_t *told = json_object();
  ck_assert(reminder_wanted(told, "F-1", REMINDER_EXPIRING, (struct instant){30 * DAY}, (struct instant){DAY}));
  ck_assert(!reminder_wanted(told, "F-1", REMINDER_EXPIRING, (struct instant){30 * DAY}, (struct instant){DAY}));
  ck_assert(reminder_wanted(told, "F-1", REMINDER_EXPIRING, (struct instant){31 * DAY}, (struct instant){DAY}));
  ck_assert(reminder_wanted(told, "F-2", REMINDER_EXPIRING, (struct instant){31 * DAY}, (struct instant){DAY}));
  ck_assert(reminder_wanted(told, "F-1", REMINDER_REVIEW_DUE, (struct instant){31 * DAY}, (struct instant){DAY}));
  json_decref(told);
}
END_TEST

START_TEST(what_was_told_outlives_a_restart) {
  json_t *told = reminders_load(directory);
  ck_assert(reminder_wanted(told, "F-1", REMINDER_EXPIRING, (struct instant){30 * DAY}, (struct instant){DAY}));
  ck_assert_int_eq(reminders_save(directory, told, &error), 0);
  json_decref(told);
  told = reminders_load(directory);
  ck_assert(!reminder_wanted(told, "F-1", REMINDER_EXPIRING, (struct instant){30 * DAY}, (struct instant){DAY}));
  json_decref(told);
  ck_assert_int_eq(keep_write(directory, REMINDERS_FILE, "[1", 2, &error), 0);
  told = reminders_load(directory);
  ck_assert(json_is_object(told));
  json_decref(told);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("clock");
  TCase *group = tcase_create("clock");
  tcase_add_checked_fixture(group, set_up, tear_down);
  tcase_add_test(group, a_step_is_what_the_wall_clock_did_and_the_boot_clock_did_not);
  tcase_add_test(group, the_clocks_of_this_machine_go_forward_together);
  tcase_add_test(group, the_last_time_seen_comes_back);
  tcase_add_test(group, a_file_that_is_not_ours_tells_no_time);
  tcase_add_test(group, an_earlier_clock_is_doubtful_but_for_a_second_or_two);
  tcase_add_test(group, an_end_is_told_at_seven_distances_and_never_twice_a_day);
  tcase_add_test(group, a_missed_review_is_told_every_week);
  tcase_add_test(group, another_date_begins_anew);
  tcase_add_test(group, what_was_told_outlives_a_restart);
  suite_add_tcase(suite, group);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
