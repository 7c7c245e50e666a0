/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdint.h>

#include "base/cursor.h"

static const uint8_t BYTES[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
                                0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f};

START_TEST(numbers_are_read_in_network_order) {
  struct cursor cursor;
  cursor_init(&cursor, BYTES, sizeof(BYTES));
  ck_assert_uint_eq(cursor_u8(&cursor), 0x01);
  ck_assert_uint_eq(cursor_be16(&cursor), 0x0203);
  ck_assert_uint_eq(cursor_be32(&cursor), 0x04050607);
  ck_assert_uint_eq(cursor_be64(&cursor), 0x08090a0b0c0d0e0fULL);
  ck_assert_uint_eq(cursor_left(&cursor), 0);
  ck_assert(!cursor.failed);
}
END_TEST

START_TEST(every_short_length_fails_once_and_for_good) {
  for (size_t length = 0; length < sizeof(BYTES); length++) {
    struct cursor cursor;
    cursor_init(&cursor, BYTES, length);
    cursor_u8(&cursor);
    cursor_be16(&cursor);
    cursor_be32(&cursor);
    cursor_be64(&cursor);
    ck_assert_msg(cursor.failed, "length %zu", length);
    ck_assert_uint_eq(cursor_u8(&cursor), 0);
    ck_assert_uint_eq(cursor_left(&cursor), 0);
  }
}
END_TEST

START_TEST(a_size_near_the_largest_number_does_not_wrap) {
  struct cursor cursor;
  cursor_init(&cursor, BYTES, sizeof(BYTES));
  cursor_u8(&cursor);
  ck_assert_ptr_null(cursor_take(&cursor, SIZE_MAX));
  ck_assert(cursor.failed);
}
END_TEST

START_TEST(a_failed_copy_zeroes_its_target) {
  struct cursor cursor;
  uint8_t target[4] = {9, 9, 9, 9};
  cursor_init(&cursor, BYTES, 3);
  cursor_copy(&cursor, target, sizeof(target));
  ck_assert(cursor.failed);
  ck_assert_uint_eq(target[0] | target[1] | target[2] | target[3], 0);
}
END_TEST

START_TEST(a_sub_cursor_is_bounded_and_skipped) {
  struct cursor cursor;
  cursor_init(&cursor, BYTES, sizeof(BYTES));
  struct cursor sub = cursor_sub(&cursor, 3);
  ck_assert_uint_eq(cursor_be16(&sub), 0x0102);
  ck_assert_uint_eq(cursor_be16(&sub), 0);
  ck_assert(sub.failed);
  ck_assert_uint_eq(cursor_u8(&cursor), 0x04);
  sub = cursor_sub(&cursor, 100);
  ck_assert(sub.failed && cursor.failed);
}
END_TEST

START_TEST(an_empty_cursor_gives_an_empty_take) {
  struct cursor cursor;
  cursor_init(&cursor, NULL, 0);
  ck_assert_ptr_nonnull(cursor_take(&cursor, 0));
  ck_assert(!cursor.failed);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("cursor");
  TCase *cases = tcase_create("all");
  tcase_add_test(cases, numbers_are_read_in_network_order);
  tcase_add_test(cases, every_short_length_fails_once_and_for_good);
  tcase_add_test(cases, a_size_near_the_largest_number_does_not_wrap);
  tcase_add_test(cases, a_failed_copy_zeroes_its_target);
  tcase_add_test(cases, a_sub_cursor_is_bounded_and_skipped);
  tcase_add_test(cases, an_empty_cursor_gives_an_empty_take);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
