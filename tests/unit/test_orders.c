/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "control/keep.h"
#include "control/orders.h"

static char directory[64];
static struct error error;
static const struct instant now = {1775000000};

static bool directories_fail;

/* In the place of that of the C library. */
int fsync(int fd) {
  struct stat status;
  if (directories_fail && fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) {
    errno = EIO;
    return -1;
  }
  return (int)syscall(SYS_fsync, fd);
}

static void set_up(void) {
  directories_fail = false;
  strcpy(directory, "/tmp/kido-orders-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(directory));
  error = (struct error){0};
}

static void tear_down(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", directory);
  ck_assert_int_eq(system(command), 0);
}

static const struct cut host_cut = {.kind = CUT_HOST,
                                    .address = {.family = FAMILY_IPV4, .bytes = {10, 0, 0, 7}},
                                    .at = {5},
                                    .by = "hana",
                                    .why = "感染"};
static const struct cut pair_cut = {
    .kind = CUT_PAIR, .zone = "lgwan", .other_zone = "internet", .at = {6}, .by = "taro", .why = "疑い"};
static const struct closed_window closing = {
    .flow = "F-901", .until = {1775003600}, .at = {1775000000}, .by = "hana", .why = "作業終了"};

/* Replaces *orders by what the step makes of it. */
static void advance(struct orders **orders, struct orders *next) {
  orders_free(*orders);
  *orders = next;
}

static struct orders *none(void) {
  struct orders *orders;
  ck_assert_int_eq(orders_new(&orders, &error), 0);
  return orders;
}

static void cut(struct orders **orders, const struct cut *what) {
  struct orders *next;
  ck_assert_int_eq(orders_add_cut(*orders, what, &next, &error), 0);
  advance(orders, next);
}

static struct orders *two_cuts_and_a_window(void) {
  struct orders *orders = none(), *next;
  cut(&orders, &host_cut);
  cut(&orders, &pair_cut);
  ck_assert_int_eq(orders_close_window(orders, &closing, &next, &error), 0);
  advance(&orders, next);
  return orders;
}

static struct orders *load(int expected) {
  struct orders *orders;
  ck_assert_int_eq(orders_load(directory, now, &orders, &error), expected);
  return orders;
}

START_TEST(without_a_file_there_are_no_orders) {
  struct orders *orders = load(0);
  ck_assert_uint_eq(orders->restrictions.cut_count, 0);
  ck_assert_uint_eq(orders->restrictions.closed_window_count, 0);
  orders_free(orders);
}
END_TEST

START_TEST(what_was_saved_comes_back) {
  struct orders *orders = two_cuts_and_a_window();
  ck_assert_int_eq(orders_save(directory, orders, &error), 0);
  orders_free(orders);
  orders = load(0);
  ck_assert_uint_eq(orders->last_cut, 2);
  ck_assert_uint_eq(orders->restrictions.cut_count, 2);
  const struct cut *host = orders_find_cut(orders, 1), *pair = orders_find_cut(orders, 2);
  ck_assert(address_equal(&host->address, &host_cut.address));
  ck_assert_str_eq(host->why, "感染");
  ck_assert_str_eq(host->by, "hana");
  ck_assert_int_eq(host->at.seconds, 5);
  ck_assert_ptr_null(host->zone);
  ck_assert_str_eq(pair->zone, "lgwan");
  ck_assert_str_eq(pair->other_zone, "internet");
  const struct closed_window *closed = &orders->restrictions.closed_windows[0];
  ck_assert_str_eq(closed->flow, "F-901");
  ck_assert_int_eq(closed->until.seconds, closing.until.seconds);
  orders_free(orders);
}
END_TEST

START_TEST(an_id_is_never_given_twice) {
  struct orders *orders = two_cuts_and_a_window(), *next;
  ck_assert_int_eq(orders_remove_cut(orders, 2, &next, &error), 0);
  advance(&orders, next);
  ck_assert_int_eq(orders_save(directory, orders, &error), 0);
  orders_free(orders);
  orders = load(0);
  cut(&orders, &host_cut);
  ck_assert_uint_eq(orders_find_cut(orders, 0)->id, 3);
  orders_free(orders);
}
END_TEST

START_TEST(lifting_takes_one_or_all_and_leaves_the_old_ones_as_they_were) {
  struct orders *orders = two_cuts_and_a_window(), *next;
  ck_assert_int_eq(orders_remove_cut(orders, 1, &next, &error), 0);
  ck_assert_uint_eq(next->restrictions.cut_count, 1);
  ck_assert_ptr_null(orders_find_cut(next, 1));
  ck_assert_uint_eq(next->restrictions.closed_window_count, 1);
  orders_free(next);
  ck_assert_uint_eq(orders->restrictions.cut_count, 2);
  ck_assert_int_eq(orders_remove_cuts(orders, &next, &error), 0);
  ck_assert_uint_eq(next->restrictions.cut_count, 0);
  orders_free(next);
  ck_assert_int_eq(orders_remove_cut(orders, 9, &next, &error), -ENOENT);
  orders_free(orders);
}
END_TEST

START_TEST(a_window_is_closed_once_and_reopened_by_the_name_of_its_flow) {
  struct orders *orders = two_cuts_and_a_window(), *next;
  ck_assert_int_eq(orders_close_window(orders, &closing, &next, &error), 0);
  ck_assert_uint_eq(next->restrictions.closed_window_count, 1);
  advance(&orders, next);
  ck_assert_int_eq(orders_reopen_window(orders, "F-902", &next, &error), -ENOENT);
  ck_assert_int_eq(orders_reopen_window(orders, "F-901", &next, &error), 0);
  ck_assert_uint_eq(next->restrictions.closed_window_count, 0);
  ck_assert_uint_eq(next->restrictions.cut_count, 2);
  orders_free(next);
  orders_free(orders);
}
END_TEST

START_TEST(a_closing_is_forgotten_when_the_end_of_its_window_has_come) {
  static const struct {
    int64_t at;
    size_t left;
  } cases[] = {{1775003599, 1}, {1775003600, 0}, {1775009999, 0}};
  struct orders *orders = two_cuts_and_a_window();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct orders *next;
    bool changed = false;
    ck_assert_int_eq(orders_forget_past(orders, (struct instant){cases[i].at}, &changed, &next, &error), 0);
    ck_assert_uint_eq(next->restrictions.closed_window_count, cases[i].left);
    ck_assert_int_eq(changed, cases[i].left == 0);
    ck_assert_uint_eq(next->restrictions.cut_count, 2);
    orders_free(next);
  }
  orders_free(orders);
}
END_TEST

START_TEST(there_are_at_most_so_many_cuts) {
  struct orders *orders = none(), *next;
  for (int i = 0; i < ORDERS_CUT_LIMIT; i++) {
    cut(&orders, &pair_cut);
  }
  ck_assert_int_eq(orders_add_cut(orders, &pair_cut, &next, &error), -E2BIG);
  orders_free(orders);
}
END_TEST

/* ---- damage ---- */

static char *file_text(size_t *ret_size) {
  static char text[65536];
  char path[128];
  snprintf(path, sizeof path, "%s/" ORDERS_FILE, directory);
  FILE *file = fopen(path, "r");
  ck_assert_ptr_nonnull(file);
  *ret_size = fread(text, 1, sizeof text - 1, file);
  text[*ret_size] = '\0';
  fclose(file);
  return text;
}

static void expect_everything_cut(uint64_t least_id) {
  struct orders *orders = load(-EBADMSG);
  ck_assert_uint_eq(orders->restrictions.cut_count, 1);
  ck_assert_int_eq(orders->restrictions.cuts[0].kind, CUT_ALL);
  ck_assert_str_eq(orders->restrictions.cuts[0].by, "kidod");
  ck_assert_uint_ge(orders->restrictions.cuts[0].id, least_id);
  ck_assert_int_ne(error.message[0], '\0');
  orders_free(orders);
}

START_TEST(a_file_cut_short_anywhere_cuts_everything) {
  struct orders *orders = two_cuts_and_a_window();
  ck_assert_int_eq(orders_save(directory, orders, &error), 0);
  orders_free(orders);
  size_t size;
  char *text = file_text(&size);
  for (size_t length = 0; length < size - 1; length += length < 20 ? 1 : 37) {
    ck_assert_int_eq(keep_write(directory, ORDERS_FILE, text, length, &error), 0);
    expect_everything_cut(1);
  }
}
END_TEST

START_TEST(a_changed_file_cuts_everything_and_goes_on_with_the_ids) {
  static const struct {
    const char *from, *to;
  } changes[] = {
      {"\"id\": 2", "\"id\": 3"}, {"lgwan", "lgwam"}, {"\"pair\"", "\"host\""}, {"restrictions/1", "restrictions/9"}};
  struct orders *orders = two_cuts_and_a_window();
  for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
    ck_assert_int_eq(orders_save(directory, orders, &error), 0);
    size_t size;
    char *text = file_text(&size), *found = strstr(text, changes[i].from);
    ck_assert_msg(found, "%s", changes[i].from);
    memcpy(found, changes[i].to, strlen(changes[i].to));
    ck_assert_int_eq(keep_write(directory, ORDERS_FILE, text, size, &error), 0);
    expect_everything_cut(3);
  }
  orders_free(orders);
}
END_TEST

START_TEST(the_damaged_file_is_kept_beside) {
  ck_assert_int_eq(keep_write(directory, ORDERS_FILE, "rubbish", 7, &error), 0);
  expect_everything_cut(1);
  char path[128];
  snprintf(path, sizeof path, "%s/" ORDERS_FILE ".damaged", directory);
  ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(a_lift_that_could_not_be_kept_leaves_the_cut_on_the_disk) {
  struct orders *orders = none(), *next, *found;
  cut(&orders, &host_cut);
  ck_assert_int_eq(orders_save(directory, orders, &error), 0);
  ck_assert_int_eq(orders_remove_cuts(orders, &next, &error), 0);
  directories_fail = true;
  ck_assert_int_eq(orders_save(directory, next, &error), -EIO);
  directories_fail = false;
  ck_assert_int_eq(orders_load(directory, now, &found, &error), 0);
  ck_assert_uint_eq(found->restrictions.cut_count, 1);
  orders_free(found);
  orders_free(next);
  orders_free(orders);
}
END_TEST

START_TEST(a_link_in_place_of_the_file_is_not_followed) {
  char path[128];
  snprintf(path, sizeof path, "%s/" ORDERS_FILE, directory);
  ck_assert_int_eq(symlink("/dev/null", path), 0);
  expect_everything_cut(1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("orders");
  TCase *test_case = tcase_create("orders");
  tcase_add_checked_fixture(test_case, set_up, tear_down);
  tcase_add_test(test_case, without_a_file_there_are_no_orders);
  tcase_add_test(test_case, what_was_saved_comes_back);
  tcase_add_test(test_case, an_id_is_never_given_twice);
  tcase_add_test(test_case, lifting_takes_one_or_all_and_leaves_the_old_ones_as_they_were);
  tcase_add_test(test_case, a_window_is_closed_once_and_reopened_by_the_name_of_its_flow);
  tcase_add_test(test_case, a_closing_is_forgotten_when_the_end_of_its_window_has_come);
  tcase_add_test(test_case, there_are_at_most_so_many_cuts);
  tcase_add_test(test_case, a_file_cut_short_anywhere_cuts_everything);
  tcase_add_test(test_case, a_changed_file_cuts_everything_and_goes_on_with_the_ids);
  tcase_add_test(test_case, the_damaged_file_is_kept_beside);
  tcase_add_test(test_case, a_link_in_place_of_the_file_is_not_followed);
  tcase_add_test(test_case, a_lift_that_could_not_be_kept_leaves_the_cut_on_the_disk);
  suite_add_tcase(suite, test_case);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
