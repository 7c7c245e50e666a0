/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <string.h>

#include "base/instant.h"

START_TEST(tokyo_is_nine_hours_ahead) {
  struct arena *arena = arena_new(0);
  const struct timezone *tokyo = timezone_load(arena, "Asia/Tokyo");
  struct instant instant;
  bool without_offset;
  char text[INSTANT_TEXT_SIZE];
  ck_assert_ptr_nonnull(tokyo);
  ck_assert(instant_parse("2026-11-25T18:00:00+09:00", &instant, &without_offset));
  ck_assert_int_eq(instant.seconds, 1795597200);
  ck_assert_str_eq(instant_format(tokyo, instant, text), "2026-11-25T18:00:00+09:00");
  ck_assert_str_eq(instant_format(timezone_load(arena, "UTC"), instant, text), "2026-11-25T09:00:00+00:00");
  ck_assert_int_eq(timezone_instant(tokyo, 2026, 11, 25, 18, 0, 0).seconds, instant.seconds);
  ck_assert_int_eq(timezone_instant(tokyo, 2026, 11, 27, 24, 0, 0).seconds,
                   timezone_instant(tokyo, 2026, 11, 28, 0, 0, 0).seconds);
  arena_free(arena);
}
END_TEST

START_TEST(names_that_leave_the_database_are_refused) {
  static const char *const names[] = {"", "/etc/passwd", "../../../etc/passwd", "Asia/../../x", "Mars/Phobos", "Asia"};
  struct arena *arena = arena_new(0);
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    ck_assert_msg(timezone_load(arena, names[i]) == NULL, "%s", names[i]);
  arena_free(arena);
}
END_TEST

START_TEST(weekdays_begin_on_monday) {
  struct arena *arena = arena_new(0);
  const struct timezone *utc = timezone_load(arena, "UTC");
  struct civil_time civil;
  timezone_civil(utc, (struct instant){0}, &civil);
  ck_assert_int_eq(civil.weekday, 3);
  timezone_civil(utc, (struct instant){-86400 * 4}, &civil);
  ck_assert_int_eq(civil.weekday, 6);
  timezone_civil(utc, timezone_instant(utc, 2026, 11, 23, 0, 0, 0), &civil);
  ck_assert_int_eq(civil.weekday, 0);
  arena_free(arena);
}
END_TEST

START_TEST(days_survive_the_way_to_seconds_and_back) {
  struct arena *arena = arena_new(0);
  const struct timezone *utc = timezone_load(arena, "UTC");
  struct civil_time previous = {0}, civil;
  enum { FIRST = -75000, LAST = 75000 }; /* 1764 to 2175: more than the 400 years after which the calendar repeats */
  for (int64_t day = FIRST; day <= LAST; day++, previous = civil) {
    timezone_civil(utc, (struct instant){day * 86400 + 86399}, &civil);
    ck_assert(date_exists(civil.year, civil.month, civil.day));
    ck_assert_int_eq(timezone_instant(utc, civil.year, civil.month, civil.day, 23, 59, 59).seconds,
                     day * 86400 + 86399);
    ck_assert(day == FIRST || civil.day == previous.day + 1 || civil.day == 1);
  }
  arena_free(arena);
}
END_TEST

START_TEST(dates_that_do_not_exist_are_refused) {
  static const char *const bad[] = {"2026-02-29", "2026-13-01",  "2026-00-01", "2026-04-31", "2100-02-29",
                                    "2026-4-1",   "2026-04-01 ", "20260401",   "0000-01-01", "2026-04-0x"};
  int year, month, day;
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    ck_assert_msg(!date_parse(bad[i], &year, &month, &day), "%s", bad[i]);
  ck_assert(date_parse("2028-02-29", &year, &month, &day));
  ck_assert(year == 2028 && month == 2 && day == 29);
}
END_TEST

START_TEST(instants_need_an_offset) {
  static const struct {
    const char *text;
    bool good, without_offset;
  } cases[] = {
      {"2026-11-25T18:00:00+09:00", true, false},
      {"2026-11-25T09:00Z", true, false},
      {"2026-11-25T18:00:00", false, true},
      {"2026-11-25T18:00", false, true},
      {"2026-11-25", false, false},
      {"2026-11-25T24:00Z", false, false},
      {"2026-11-25T18:60Z", false, false},
      {"2026-11-25T18:00:00+0900", false, false},
      {"2026-11-25 18:00:00Z", false, false},
      {"2026-11-31T18:00Z", false, false},
      {"2026-11-25T18:00:00Zx", false, false},
      {"2026-11-25T1", false, false},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct instant instant;
    bool without_offset;
    ck_assert_msg(instant_parse(cases[i].text, &instant, &without_offset) == cases[i].good, "%s", cases[i].text);
    ck_assert_msg(without_offset == cases[i].without_offset, "%s", cases[i].text);
  }
}
END_TEST

START_TEST(summer_time_has_a_gap_and_a_double_hour) {
  struct arena *arena = arena_new(0);
  const struct timezone *berlin = timezone_load(arena, "Europe/Berlin");
  char text[INSTANT_TEXT_SIZE];
  if (berlin != NULL) {
    ck_assert_str_eq(instant_format(berlin, timezone_instant(berlin, 2026, 7, 1, 12, 0, 0), text),
                     "2026-07-01T12:00:00+02:00");
    ck_assert_str_eq(instant_format(berlin, timezone_instant(berlin, 2026, 1, 1, 12, 0, 0), text),
                     "2026-01-01T12:00:00+01:00");
    ck_assert_str_eq(instant_format(berlin, timezone_instant(berlin, 2026, 3, 29, 2, 30, 0), text),
                     "2026-03-29T03:00:00+02:00");
    ck_assert_str_eq(instant_format(berlin, timezone_instant(berlin, 2026, 10, 25, 2, 30, 0), text),
                     "2026-10-25T02:30:00+02:00");
  }
  arena_free(arena);
}
END_TEST

START_TEST(never_is_not_a_date) {
  struct arena *arena = arena_new(0);
  char text[INSTANT_TEXT_SIZE];
  ck_assert_str_eq(instant_format(timezone_load(arena, "Asia/Tokyo"), INSTANT_NEVER, text), "-");
  arena_free(arena);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("instant");
  TCase *cases = tcase_create("all");
  tcase_add_test(cases, tokyo_is_nine_hours_ahead);
  tcase_add_test(cases, names_that_leave_the_database_are_refused);
  tcase_add_test(cases, weekdays_begin_on_monday);
  tcase_add_test(cases, days_survive_the_way_to_seconds_and_back);
  tcase_add_test(cases, dates_that_do_not_exist_are_refused);
  tcase_add_test(cases, instants_need_an_offset);
  tcase_add_test(cases, summer_time_has_a_gap_and_a_double_hour);
  tcase_add_test(cases, never_is_not_a_date);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
