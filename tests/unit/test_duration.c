/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>

#include "cli/applying.h"

START_TEST(a_time_is_a_number_and_a_unit) {
  static const struct {
    const char *text;
    uint64_t seconds;
  } cases[] = {{"1s", 1}, {"90s", 90}, {"10m", 600}, {"2h", 7200}, {"168h", 604800}, {"0010m", 600}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint64_t seconds = 0;
    ck_assert_msg(duration_parse(cases[i].text, &seconds), "%s", cases[i].text);
    ck_assert_uint_eq(seconds, cases[i].seconds);
  }
}
END_TEST

START_TEST(anything_else_is_refused) {
  static const char *const cases[] = {"",     "10",    "m",    "0m",      "-1m",
                                      "10 m", "10min", "1.5h", "169h",    "8d",
                                      "10mm", "+1m",   "m10",  "604801s", "99999999999999999999s"};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint64_t seconds = 0;
    ck_assert_msg(!duration_parse(cases[i], &seconds), "%s", cases[i]);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("duration");
  TCase *cases = tcase_create("duration");
  tcase_add_test(cases, a_time_is_a_number_and_a_unit);
  tcase_add_test(cases, anything_else_is_refused);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
