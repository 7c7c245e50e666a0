/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"

START_TEST(allocations_are_zeroed_aligned_and_apart) {
  struct arena *arena = arena_new(0);
  char *previous = NULL;
  for (size_t size = 0; size < 5000; size += 37) {
    char *memory = arena_alloc(arena, size);
    ck_assert_ptr_nonnull(memory);
    ck_assert_uint_eq((uintptr_t)memory % _Alignof(max_align_t), 0);
    for (size_t i = 0; i < size; i++)
      ck_assert_int_eq(memory[i], 0);
    memset(memory, 0x5a, size);
    ck_assert(previous == NULL || *previous == 0x5a || size <= 37);
    previous = memory;
  }
  ck_assert(!arena_failed(arena));
  arena_free(arena);
}
END_TEST

START_TEST(the_limit_holds_and_the_failure_stays) {
  struct arena *arena = arena_new(1000);
  ck_assert_ptr_nonnull(arena_alloc(arena, 900));
  ck_assert_ptr_null(arena_alloc(arena, 200));
  ck_assert(arena_failed(arena));
  ck_assert_uint_le(arena_used(arena), 1000);
  ck_assert_ptr_nonnull(arena_alloc(arena, 16));
  ck_assert(arena_failed(arena));
  arena_free(arena);
}
END_TEST

START_TEST(sizes_that_overflow_are_refused) {
  struct arena *arena = arena_new(0);
  ck_assert_ptr_null(arena_array(arena, SIZE_MAX / 2, 3));
  ck_assert_ptr_null(arena_alloc(arena, SIZE_MAX));
  ck_assert(arena_failed(arena));
  arena_free(arena);
}
END_TEST

START_TEST(large_blocks_do_not_disturb_small_ones) {
  struct arena *arena = arena_new(0);
  char *small = arena_strdup(arena, "small");
  char *large = arena_alloc(arena, 3000000);
  char *next = arena_strndup(arena, "nextone", 4);
  memset(large, 1, 3000000);
  ck_assert_str_eq(small, "small");
  ck_assert_str_eq(next, "next");
  arena_free(arena);
}
END_TEST

START_TEST(grow_keeps_items_and_doubles_room) {
  struct arena *arena = arena_new(0);
  size_t *items = NULL, capacity = 0;
  for (size_t count = 0; count < 1000; count++) {
    void *grown = items;
    ck_assert_int_eq(arena_grow(arena, &grown, count, &capacity, sizeof(*items)), 0);
    items = grown;
    items[count] = count * 3;
  }
  for (size_t i = 0; i < 1000; i++)
    ck_assert_uint_eq(items[i], i * 3);
  ck_assert_uint_eq(capacity, 1024);
  arena_free(arena);
}
END_TEST

START_TEST(grow_reports_a_full_arena) {
  struct arena *arena = arena_new(100);
  void *items = NULL;
  size_t capacity = 0;
  ck_assert_int_eq(arena_grow(arena, &items, 0, &capacity, 64), -ENOMEM);
  ck_assert_uint_eq(capacity, 0);
  arena_free(arena);
}
END_TEST

START_TEST(printf_gives_the_whole_text) {
  struct arena *arena = arena_new(0);
  ck_assert_str_eq(arena_printf(arena, "%s-%d", "F", 301), "F-301");
  ck_assert_uint_eq(strlen(arena_printf(arena, "%50000d", 1)), 50000);
  arena_free(arena);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("arena");
  TCase *cases = tcase_create("all");
  tcase_add_test(cases, allocations_are_zeroed_aligned_and_apart);
  tcase_add_test(cases, the_limit_holds_and_the_failure_stays);
  tcase_add_test(cases, sizes_that_overflow_are_refused);
  tcase_add_test(cases, large_blocks_do_not_disturb_small_ones);
  tcase_add_test(cases, grow_keeps_items_and_doubles_room);
  tcase_add_test(cases, grow_reports_a_full_arena);
  tcase_add_test(cases, printf_gives_the_whole_text);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
