/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a change costs, what others change in between, counters. */
#include "change.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>

#include "sample_ruleset.h"

/* ---- what a change costs ---- */

static const size_t sizes[] = {10, 1000, 100000}; /* the last one is large */

START_TEST(a_change_sends_and_reads_back_no_more_than_itself) {
  struct ruleset *first = marks(sizes[_i]), *second = marks(sizes[_i]);
  remove_element(second, sizes[_i] / 2);
  element_of(second, 1)->comment = "another";
  apply(first);
  uint32_t before = generation();
  ck_assert_uint_eq(apply(second), 3); /* one goes; one is taken out and put in again */
  ck_assert_uint_eq(seen.batches, 2);
  ck_assert_uint_eq(seen.dumps, 0);
  ck_assert_uint_le(seen.questions, 4); /* generation, the counter that goes on, what was touched, generation */
  ck_assert_uint_le(seen.bytes, 1024);
  ck_assert_uint_eq(generation(), before + 2);
  check_kernel_holds(second);
}
END_TEST

START_TEST(a_change_of_everything_at_once_is_right) {
  struct ruleset *first = sample_ruleset(arena, now), *second = sample_ruleset(arena, now);
  for (size_t i = 0; i < second->set_count; i++) {
    if (second->sets[i].element_count > 0) {
      second->sets[i].elements[0].comment = "another";
    }
  }
  for (size_t i = 0; i < second->chain_count; i++) {
    if (second->chains[i].rule_count > 0) {
      second->chains[i].rules[0].comment = "another";
    }
  }
  apply(first);
  for (unsigned i = 0; i < 4; i++) {
    apply(i % 2 == 0 ? second : first);
    ck_assert_uint_eq(seen.batches, 1); /* all of it is swapped at once */
    check_kernel_holds(i % 2 == 0 ? second : first);
  }
}
END_TEST

START_TEST(a_thousand_elements_at_once_are_read_back_with_their_set) {
  struct ruleset *all = marks(2000), *half = marks(2000);
  half->sets[0].element_count = 1000;
  apply(all);
  apply(half);
  ck_assert_uint_eq(seen.dumps, 1);
  check_kernel_holds(half);
  apply(all);
  check_kernel_holds(all);
}
END_TEST

START_TEST(rules_of_a_changed_chain_are_read_back) {
  struct ruleset *first = sample_ruleset(arena, now), *second = sample_ruleset(arena, now);
  sample_find_chain(second, "various")->rule_count--;
  apply(first);
  apply(second);
  ck_assert_uint_eq(seen.dumps, 1);
  check_kernel_holds(second);
}
END_TEST

START_TEST(a_no_op_asks_for_the_generation_and_nothing_else) {
  struct ruleset *wanted = sample_ruleset(arena, now);
  apply(wanted);
  uint32_t before = generation();
  ck_assert_uint_eq(apply(wanted), 0);
  ck_assert_uint_eq(seen.questions, 1);
  ck_assert_uint_eq(seen.batches, 0);
  ck_assert_uint_eq(generation(), before);
}
END_TEST

START_TEST(a_hundred_changes_in_a_row_are_all_made_by_memory) {
  struct ruleset *wanted = marks(5000);
  apply(wanted);
  for (unsigned i = 0; i < 100; i++) {
    element_of(wanted, i * 7)->comment = "another";
    ck_assert_uint_eq(apply(wanted), 2);
    ck_assert_uint_eq(seen.dumps, 0);
  }
  check_kernel_holds(wanted);
}
END_TEST

/* ---- others change something ---- */

START_TEST(after_a_change_by_others_all_is_read_once) {
  struct ruleset *first = marks(100), *second = marks(100);
  remove_element(second, 5);
  apply(first);
  run("nft delete element inet kido in_force.a.b '{ 0x7, 0x8 }'; nft add table ip other");
  apply(second);
  ck_assert_uint_gt(seen.dumps, 0);
  check_kernel_holds(second);
  apply(first);
  ck_assert_uint_eq(seen.dumps, 0);
  check_kernel_holds(first);
}
END_TEST

static void meddle(void) {
  run("nft delete element inet kido in_force.a.b '{ 0x7 }'");
}

START_TEST(a_change_by_others_in_between_is_not_written_over_blindly) {
  struct ruleset *first = marks(100), *second = marks(100);
  remove_element(second, 50);
  apply(first);
  plan.before_batch = meddle;
  apply(second);
  check_kernel_holds(second);
}
END_TEST

START_TEST(what_was_forgotten_is_read) {
  struct ruleset *first = marks(100);
  apply(first);
  nftables_forget(nftables);
  ck_assert_ptr_null(nftables_known(nftables, now));
  ck_assert_uint_eq(apply(first), 0);
  ck_assert_uint_gt(seen.dumps, 0);
  ck_assert_ptr_nonnull(nftables_known(nftables, (struct instant){time(NULL)}));
}
END_TEST

START_TEST(what_cannot_be_remembered_is_not_taken_for_what_was_there_before) {
  struct ruleset *first = marks(100), *second = marks(100);
  remove_element(second, 50);
  apply(first);
  plan.no_copies = true;
  apply(second);
  ck_assert_ptr_null(nftables_known(nftables, (struct instant){time(NULL)}));
  plan.no_copies = false;
  apply(second);
  ck_assert_ptr_nonnull(nftables_known(nftables, (struct instant){time(NULL)}));
}
END_TEST

START_TEST(after_a_step_of_the_clock_ends_are_put_right) {
  struct ruleset *wanted = marks(10);
  element_of(wanted, 3)->expires.seconds = now.seconds + 1000;
  apply(wanted);
  struct instant later = {time(NULL) + 100}; /* as if it had been set forward */
  size_t changes = 0;
  ck_assert_int_eq(nftables_apply(nftables, wanted, later, &changes, NULL, &trouble), 0);
  ck_assert_uint_eq(changes, 2); /* the end comes 100 seconds earlier on the kernel's clock */
}
END_TEST

/* ---- counters ---- */

static void send_marked(uint32_t mark, unsigned count) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark), 0);
  for (unsigned i = 0; i < count; i++) {
    (void)!sendto(fd, "x", 1, MSG_DONTWAIT, (const struct sockaddr *)&address, sizeof address);
  }
  close(fd);
}

/* A chain that counts packets by their mark, and lets all pass. */
static struct ruleset *counting(void) {
  struct ruleset *ruleset = marks(10);
  struct expression *expressions = ARENA_ARRAY(arena, 2, struct expression);
  struct rule *rule = ARENA_NEW(arena, struct rule);
  expressions[0] = (struct expression){.kind = EXPRESSION_META, .key = NFT_META_MARK};
  expressions[1] = (struct expression){.kind = EXPRESSION_LOOKUP, .name = ruleset->sets[0].name};
  *rule = (struct rule){.expressions = expressions, .expression_count = 2, .origin.subject = ""};
  ruleset->chains[0].hook = HOOK_OUTPUT;
  ruleset->chains[0].policy_drop = false;
  ruleset->chains[0].rules = rule;
  ruleset->chains[0].rule_count = 1;
  return ruleset;
}

static const struct element *held(size_t index) {
  struct ruleset *found = NULL;
  ck_assert_int_eq(nftables_read(nftables, "kido", (struct instant){time(NULL)}, arena, &found, &trouble), 0);
  return &found->sets[0].elements[index];
}

START_TEST(a_counter_survives_a_change_of_the_end_and_of_the_comment) {
  struct ruleset *wanted = counting();
  uint32_t mark;
  memcpy(&mark, element_of(wanted, 4)->key, sizeof mark);
  run("ip link set lo up");
  apply(wanted);
  send_marked(mark, 5);
  ck_assert_uint_eq(held(4)->packets, 5);
  element_of(wanted, 4)->expires.seconds = now.seconds + 1000;
  apply(wanted);
  ck_assert_uint_eq(seen.dumps, 0);
  ck_assert_uint_eq(held(4)->packets, 5);
  send_marked(mark, 2);
  element_of(wanted, 4)->comment = "renamed";
  apply(wanted);
  ck_assert_uint_eq(seen.dumps, 0);
  ck_assert_uint_eq(held(4)->packets, 7);
  ck_assert_uint_eq(held(4)->bytes, 7 * 29);
  send_marked(mark, 1);
  run("nft add table ip other"); /* now by reading all */
  element_of(wanted, 4)->expires.seconds = now.seconds + 2000;
  apply(wanted);
  ck_assert_uint_gt(seen.dumps, 0);
  ck_assert_uint_eq(held(4)->packets, 8);
  check_kernel_holds(wanted);
}
END_TEST

void add_costs(TCase *tests, TCase *large) {
  tcase_add_loop_test(tests, a_change_sends_and_reads_back_no_more_than_itself, 0, 2);
  tcase_add_test(tests, a_change_of_everything_at_once_is_right);
  tcase_add_test(tests, a_thousand_elements_at_once_are_read_back_with_their_set);
  tcase_add_test(tests, rules_of_a_changed_chain_are_read_back);
  tcase_add_test(tests, a_no_op_asks_for_the_generation_and_nothing_else);
  tcase_add_test(tests, a_hundred_changes_in_a_row_are_all_made_by_memory);
  tcase_add_test(tests, after_a_change_by_others_all_is_read_once);
  tcase_add_test(tests, a_change_by_others_in_between_is_not_written_over_blindly);
  tcase_add_test(tests, what_was_forgotten_is_read);
  tcase_add_test(tests, what_cannot_be_remembered_is_not_taken_for_what_was_there_before);
  tcase_add_test(tests, after_a_step_of_the_clock_ends_are_put_right);
  tcase_add_test(tests, a_counter_survives_a_change_of_the_end_and_of_the_comment);
  tcase_add_loop_test(large, a_change_sends_and_reads_back_no_more_than_itself, 2, 3);
}
