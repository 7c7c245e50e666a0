/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much of the time was watched, and when a silence is too long. */
#include <check.h>

#include "watch/intervals.h"
#include "watch/silence.h"
#include "watch/vantage.h"

static const int64_t SECOND = 1000000000;

static void expect(const struct intervals *intervals, int64_t now, int64_t whole, int64_t unwatched, uint64_t count) {
  int64_t got_whole, got_unwatched;
  intervals_read(intervals, now * SECOND, &got_whole, &got_unwatched);
  ck_assert_int_eq(got_whole, whole * SECOND);
  ck_assert_int_eq(got_unwatched, unwatched * SECOND);
  ck_assert_uint_eq(intervals->count, count);
}

START_TEST(intervals_add_up) {
  struct intervals intervals;
  intervals_start(&intervals, 100 * SECOND);
  intervals_add(&intervals, 110 * SECOND, 112 * SECOND);
  intervals_open(&intervals, 120 * SECOND);
  expect(&intervals, 125, 25, 2 + 5, 2); /* while it lasts */
  intervals_open(&intervals, 124 * SECOND);
  intervals_close(&intervals, 130 * SECOND);
  intervals_close(&intervals, 140 * SECOND);
  expect(&intervals, 200, 100, 2 + 10, 2);
}
END_TEST

START_TEST(what_two_intervals_share_is_counted_once) {
  struct intervals intervals;
  intervals_start(&intervals, 100 * SECOND);
  intervals_add(&intervals, 110 * SECOND, 115 * SECOND);
  intervals_add(&intervals, 112 * SECOND, 116 * SECOND); /* goes on from the one before: one and the same */
  expect(&intervals, 120, 20, 6, 1);
  intervals_open(&intervals, 115 * SECOND);
  intervals_add(&intervals, 118 * SECOND, 119 * SECOND); /* within one that lasts */
  intervals_close(&intervals, 120 * SECOND);
  expect(&intervals, 120, 20, 10, 1);
}
END_TEST

START_TEST(a_wire_that_was_never_seen_was_watched_for_no_time) {
  struct intervals intervals;
  intervals_start(&intervals, 100 * SECOND);
  intervals_open(&intervals, 90 * SECOND);
  expect(&intervals, 160, 60, 60, 1);
}
END_TEST

/* One frame each `gap` seconds from `from` until `until`; true when any look called it silent. */
static bool hear(struct silence *silence, uint64_t *frames, int64_t from, int64_t until, int64_t gap) {
  bool silent = false;
  for (int64_t now = from; now < until; now++) {
    *frames += gap != 0 && (now - from) % gap == 0 ? 1 : 0;
    silent = silence_look(silence, *frames, now * SECOND) || silent;
  }
  return silent;
}

START_TEST(longer_than_ever_is_too_long) {
  struct silence silence = {0};
  uint64_t frames = 0;
  ck_assert(!hear(&silence, &frames, 1000, 1300, 5));
  ck_assert(!hear(&silence, &frames, 1300, 1304, 0)); /* the last one came at 1295 */
  ck_assert(hear(&silence, &frames, 1304, 1306, 0));
  ck_assert(!silence_look(&silence, ++frames, 1307 * SECOND));
  ck_assert(!hear(&silence, &frames, 1308, 1322, 0)); /* it has been silent for 12 seconds once */
}
END_TEST

START_TEST(habits_are_learned_for_a_minute) {
  struct silence silence = {0};
  uint64_t frames = 0;
  ck_assert(!hear(&silence, &frames, 1000, 1030, 1));
  ck_assert(!hear(&silence, &frames, 1030, 1050, 0));
  ck_assert(!silence_look(&silence, ++frames, 1050 * SECOND));
  ck_assert(!hear(&silence, &frames, 1051, 1090, 0)); /* twice the twenty seconds of before */
  ck_assert(hear(&silence, &frames, 1090, 1094, 0));
}
END_TEST

START_TEST(a_wire_that_is_dead_from_the_start_is_told_after_a_minute) {
  struct silence silence = {0};
  uint64_t frames = 0;
  ck_assert(!hear(&silence, &frames, 1000, 1060, 0));
  ck_assert(hear(&silence, &frames, 1060, 1061, 0));
}
END_TEST

START_TEST(a_time_that_could_not_be_heard_is_no_silence) {
  struct silence silence = {0};
  uint64_t frames = 0;
  ck_assert(!hear(&silence, &frames, 1000, 1100, 1));
  silence_forget(&silence);
  ck_assert(!hear(&silence, &frames, 1500, 1502, 0));
}
END_TEST

START_TEST(a_port_sees_in_part_what_hosts_say_to_each_other) {
  ck_assert_int_eq(vantage_sees(VANTAGE_PORT, FINDING_BYPASS), SIGHT_PARTIAL);
  ck_assert_int_eq(vantage_sees(VANTAGE_PORT, FINDING_ROGUE_UPLINK), SIGHT_PARTIAL);
  ck_assert_int_eq(vantage_sees(VANTAGE_PORT, FINDING_CROSSING), SIGHT_FULL);
  for (enum finding_kind kind = 0; kind < FINDING_KIND_COUNT_; kind++) {
    ck_assert_int_eq(vantage_sees(VANTAGE_TAP, kind), SIGHT_FULL);
    ck_assert_int_eq(vantage_sees(VANTAGE_MIRROR, kind), SIGHT_FULL);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("watched time");
  TCase *all = tcase_create("all");
  tcase_add_test(all, intervals_add_up);
  tcase_add_test(all, what_two_intervals_share_is_counted_once);
  tcase_add_test(all, a_wire_that_was_never_seen_was_watched_for_no_time);
  tcase_add_test(all, longer_than_ever_is_too_long);
  tcase_add_test(all, habits_are_learned_for_a_minute);
  tcase_add_test(all, a_wire_that_is_dead_from_the_start_is_told_after_a_minute);
  tcase_add_test(all, a_time_that_could_not_be_heard_is_no_silence);
  tcase_add_test(all, a_port_sees_in_part_what_hosts_say_to_each_other);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
