/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdlib.h>

#include "control/contest.h"

/* Notes repairs at a distance; returns how many contests began. */
static unsigned repair(struct contest *contest, uint64_t *now, unsigned count, uint64_t distance) {
  unsigned begun = 0;
  for (unsigned i = 0; i < count; i++) {
    *now += distance;
    begun += contest_note(contest, *now) ? 1 : 0;
  }
  return begun;
}

START_TEST(a_repair_now_and_then_is_no_contest) {
  struct contest contest = {0};
  uint64_t now = 1;
  ck_assert_uint_eq(repair(&contest, &now, 1000, 1000), 0);
  ck_assert_uint_eq(contest_wait(&contest, now), CONTEST_QUICK_MILLISECONDS);
}
END_TEST

START_TEST(repairs_thick_and_fast_are_one_contest_and_slow_us_down) {
  struct contest contest = {0};
  uint64_t now = 1;
  ck_assert_uint_eq(repair(&contest, &now, CONTEST_REPAIRS - 1, 60), 0);
  ck_assert_uint_eq(contest_wait(&contest, now), CONTEST_QUICK_MILLISECONDS);
  ck_assert_uint_eq(repair(&contest, &now, 1000, 300), 1);
  ck_assert_uint_eq(contest_wait(&contest, now), CONTEST_SLOW_MILLISECONDS);
}
END_TEST

START_TEST(calm_ends_it_and_another_one_is_told_again) {
  struct contest contest = {0};
  uint64_t now = 1;
  ck_assert_uint_eq(repair(&contest, &now, 50, 60), 1);
  now += CONTEST_CALM_MILLISECONDS;
  ck_assert_uint_eq(contest_wait(&contest, now), CONTEST_QUICK_MILLISECONDS);
  ck_assert_uint_eq(repair(&contest, &now, 50, 60), 1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("contest");
  TCase *group = tcase_create("contest");
  tcase_add_test(group, a_repair_now_and_then_is_no_contest);
  tcase_add_test(group, repairs_thick_and_fast_are_one_contest_and_slow_us_down);
  tcase_add_test(group, calm_ends_it_and_another_one_is_told_again);
  suite_add_tcase(suite, group);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
