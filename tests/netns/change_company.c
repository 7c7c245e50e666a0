/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who listens, and a table with an owner. */
#include "change.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/nftables_watch.h"

/* ---- who listens ---- */

static unsigned missed;

static void count_missed(void *context) {
  (void)context;
  missed++;
}

static struct nftables_change heard(int fd) {
  struct nftables_transaction transaction = {0};
  struct nftables_change change = {0};
  nftables_watch_drain(fd, 0, "kido", &transaction, &change);
  return change;
}

START_TEST(who_listens_is_spared_our_large_changes_and_hears_the_others) {
  int fd = -1;
  ck_assert_int_eq(nftables_watch_open(&fd, &trouble), 0);
  nftables_spare(nftables, fd, count_missed, NULL);
  struct ruleset *wanted = marks(20000);
  apply(wanted);
  ck_assert_uint_eq(heard(fd).ours, 0);
  ck_assert_uint_eq(missed, 0);
  remove_element(wanted, 7);
  apply(wanted);
  ck_assert_uint_eq(heard(fd).ours, 1); /* small */
  run("nft add chain inet kido stranger");
  ck_assert_uint_eq(heard(fd).ours, 1);
  ck_assert_uint_eq(missed, 0);
  close(fd);
}
END_TEST

static void add_table_of_others(void) {
  run("nft add table ip other");
}

START_TEST(what_others_change_meanwhile_is_told_as_missed) {
  int fd = -1;
  ck_assert_int_eq(nftables_watch_open(&fd, &trouble), 0);
  nftables_spare(nftables, fd, count_missed, NULL);
  plan.before_batch = add_table_of_others;
  apply(marks(20000));
  ck_assert_uint_eq(missed, 1);
  ck_assert_uint_eq(apply(marks(20000)), 0);
  ck_assert_uint_eq(missed, 1);
  close(fd);
}
END_TEST

/* ---- a table with an owner ---- */

static bool succeeds(const char *command) {
  return WEXITSTATUS(system(arena_printf(arena, "%s 2>/dev/null", command))) == 0;
}

static bool own(void) {
  enum ownership ownership = OWNERSHIP_OFF;
  ck_assert_msg(nftables_own(nftables, &ownership, &trouble) == 0, "%s", trouble.message);
  if (ownership == OWNERSHIP_UNSUPPORTED) {
    puts("this kernel knows no table that outlives its owner");
  }
  return ownership == OWNERSHIP_HELD;
}

static const char *const tampering[] = {
    "nft add chain inet kido stranger",
    "nft delete table inet kido",
    "nft flush table inet kido",
    "nft add element inet kido in_force.a.b '{ 0xdeadbeef }'",
    "nft delete element inet kido in_force.a.b '{ 0x7 }'",
    "nft 'table inet kido { flags dormant; }'",
};

START_TEST(what_others_do_to_an_owned_table_is_refused) {
  struct ruleset *wanted = marks(100);
  if (!own()) {
    return;
  }
  apply(wanted);
  for (size_t i = 0; i < sizeof tampering / sizeof tampering[0]; i++) {
    ck_assert_msg(!succeeds(tampering[i]), "'%s' is not refused", tampering[i]);
  }
  run("nft flush ruleset"); /* of what it may */
  check_kernel_holds(wanted);
  remove_element(wanted, 5);
  ck_assert_uint_eq(apply(wanted), 1);
  ck_assert_uint_eq(seen.batches, 1);
}
END_TEST

START_TEST(without_an_owner_it_is_undone) {
  struct ruleset *wanted = marks(100);
  apply(wanted);
  ck_assert(succeeds(tampering[_i]));
  ck_assert_uint_gt(apply(wanted), 0);
  check_kernel_holds(wanted);
}
END_TEST

START_TEST(a_table_outlives_its_owner_and_the_next_one_takes_it_over) {
  struct ruleset *wanted = marks(100);
  if (!own()) {
    return;
  }
  apply(wanted);
  nftables_close(nftables);
  ck_assert_int_eq(nftables_open(&nftables, &trouble), 0);
  check_kernel_holds(wanted);
  ck_assert(succeeds("nft add chain inet kido stranger")); /* nobody is there */
  ck_assert(own());
  ck_assert_uint_eq(apply(wanted), 1); /* the chain goes, the rest stands */
  ck_assert(!succeeds("nft add chain inet kido stranger"));
  check_kernel_holds(wanted);
  nftables_close(nftables);
  ck_assert_int_eq(nftables_open(&nftables, &trouble), 0);
  ck_assert_uint_eq(apply(wanted), 0); /* the setting was turned off: flags are no state */
}
END_TEST

START_TEST(a_table_without_an_owner_is_made_anew_to_be_owned) {
  struct ruleset *wanted = marks(100);
  apply(wanted);
  if (!own()) {
    return;
  }
  nftables_forget(nftables);
  ck_assert_uint_gt(apply(wanted), 2);
  ck_assert(!succeeds("nft delete table inet kido"));
  check_kernel_holds(wanted);
  ck_assert_uint_eq(apply(wanted), 0);
}
END_TEST

START_TEST(asking_for_ownership_leaves_nothing_behind) {
  own();
  ck_assert_str_eq(run("nft list tables"), "");
}
END_TEST

void add_company(TCase *tests) {
  tcase_add_test(tests, who_listens_is_spared_our_large_changes_and_hears_the_others);
  tcase_add_test(tests, what_others_change_meanwhile_is_told_as_missed);
  tcase_add_test(tests, asking_for_ownership_leaves_nothing_behind);
  tcase_add_test(tests, what_others_do_to_an_owned_table_is_refused);
  tcase_add_loop_test(tests, without_an_owner_it_is_undone, 0, sizeof tampering / sizeof tampering[0]);
  tcase_add_test(tests, a_table_outlives_its_owner_and_the_next_one_takes_it_over);
  tcase_add_test(tests, a_table_without_an_owner_is_made_anew_to_be_owned);
}
