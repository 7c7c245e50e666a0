/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Elements that end by themselves, answers that are lost, refusals in the middle. */
#include "change.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/netfilter/nf_tables.h>

#include "sample_ruleset.h"

/* ---- elements that end by themselves ---- */

static void wait_until(int64_t seconds) {
  while (time(NULL) < seconds) {
    usleep(20000);
  }
}

START_TEST(what_ended_by_itself_is_neither_deleted_nor_missed) {
  struct ruleset *wanted = marks(100);
  int64_t end = time(NULL) + 2;
  for (size_t i = 20; i < 40; i++) {
    element_of(wanted, i)->expires.seconds = end;
  }
  apply(wanted);
  wait_until(end + 1);
  remove_element(wanted, 3);
  apply(wanted);
  ck_assert_uint_eq(seen.batches, 1);
  ck_assert_uint_eq(seen.dumps, 0);
  for (size_t i = 19; i < 39; i++) {
    remove_element(wanted, 19);
  }
  check_kernel_holds(wanted);
  ck_assert_uint_eq(apply(wanted), 0);
}
END_TEST

static int64_t hook_end;

static void sleep_past_the_end(void) {
  wait_until(hook_end + 1);
}

START_TEST(an_element_that_ends_before_it_is_taken_out_does_not_stop_the_others) {
  struct ruleset *first = marks(100), *second = marks(100);
  hook_end = time(NULL) + 2;
  element_of(first, 20)->expires.seconds = hook_end;
  remove_element(second, 60);
  remove_element(second, 20);
  apply(first);
  plan.before_batch = sleep_past_the_end;
  apply(second);
  ck_assert_uint_eq(seen.batches, 1);
  ck_assert_uint_eq(seen.dumps, 0);
  check_kernel_holds(second);
}
END_TEST

START_TEST(an_element_about_to_end_is_prolonged) {
  struct ruleset *wanted = marks(100);
  element_of(wanted, 20)->expires.seconds = time(NULL) + 3;
  apply(wanted);
  element_of(wanted, 20)->expires.seconds = time(NULL) + 1000;
  apply(wanted);
  ck_assert_uint_eq(seen.dumps, 0);
  check_kernel_holds(wanted);
}
END_TEST

START_TEST(an_element_that_ended_comes_back) {
  struct ruleset *wanted = marks(100);
  int64_t end = time(NULL) + 1;
  element_of(wanted, 20)->expires.seconds = end;
  apply(wanted);
  wait_until(end + 2);
  ck_assert_uint_eq(apply(wanted), 0);
  element_of(wanted, 20)->expires.seconds = time(NULL) + 1000;
  ck_assert_uint_eq(apply(wanted), 1);
  ck_assert_uint_eq(seen.dumps, 0);
  check_kernel_holds(wanted);
}
END_TEST

/* ---- answers that are lost, dumps that are interrupted ---- */

static const enum fault passing_faults[] = {FAULT_ANSWERS_LOST, FAULT_READ_INTERRUPTED, FAULT_READ_OVERRUN,
                                            FAULT_DUMP_INTERRUPTED, FAULT_SMALL_RECEIVE_BUFFER};

START_TEST(what_goes_wrong_once_ends_in_the_right_state) {
  struct ruleset *first = sample_ruleset(arena, now), *second = sample_ruleset(arena, now);
  sample_find_chain(second, "various")->rule_count--;
  sample_find_set(second, "in_force.a.b")->elements[0].comment = "renamed";
  plan.fault = passing_faults[_i];
  plan.times = 1;
  apply(first);
  check_kernel_holds(first);
  plan.times = 1;
  apply(second);
  check_kernel_holds(second);
  ck_assert_uint_eq(apply(second), 0);
}
END_TEST

START_TEST(a_refusal_whose_answer_is_lost_is_not_taken_for_success) {
  struct ruleset *first = marks(100), *second = marks(100);
  struct expression expression = {.kind = EXPRESSION_LOOKUP, .name = "no-such-set"};
  struct rule broken = {.expressions = &expression, .expression_count = 1, .origin.subject = "F-1"};
  apply(first);
  second->chains[0].rules = &broken;
  second->chains[0].rule_count = 1;
  plan.fault = FAULT_ANSWERS_LOST;
  plan.times = UINT32_MAX;
  ck_assert_int_lt(nftables_apply(nftables, second, now, NULL, &refusal, &trouble), 0);
  ck_assert(!refusal.known);
  plan.fault = FAULT_NONE;
  check_kernel_holds(first);
}
END_TEST

/* ---- refusals in the middle ---- */

enum { MANY = 40000, BAD = 16 };

/* Many rules in a chain of their own; the seventeenth looks into a set that is not there, or all of them do. */
static struct ruleset *many_rules(const char *set, bool all) {
  struct ruleset *ruleset = marks(100);
  struct chain *chains = ARENA_ARRAY(arena, 2, struct chain);
  struct rule *rules = ARENA_ARRAY(arena, MANY, struct rule);
  struct expression *good = ARENA_ARRAY(arena, 2, struct expression), *bad = ARENA_ARRAY(arena, 2, struct expression);
  good[0] = bad[0] = (struct expression){.kind = EXPRESSION_META, .key = NFT_META_MARK};
  good[1] = (struct expression){.kind = EXPRESSION_LOOKUP, .name = ruleset->sets[0].name};
  bad[1] = (struct expression){.kind = EXPRESSION_LOOKUP, .name = set};
  for (unsigned i = 0; i < MANY; i++) {
    rules[i] = (struct rule){
        .expressions = i == BAD || all ? bad : good,
        .expression_count = 2,
        .origin = {.subject = i == BAD || all ? "F-301" : "F-1", .place = {.file = "town.conf", .line = i + 1}}};
  }
  chains[0] = ruleset->chains[0];
  chains[1] = (struct chain){.name = "many", .rules = rules, .rule_count = MANY, .origin.subject = ""};
  ck_assert_str_lt(chains[0].name, chains[1].name);
  ruleset->chains = chains;
  ruleset->chain_count = 2;
  return ruleset;
}

static void check_refused_untouched(const struct ruleset *wanted, const struct ruleset *before, unsigned line) {
  static const char *const list = "nft -a list ruleset | sed -E 's/ expires [0-9dhms]+//g'";
  const char *listed = run("%s", list);
  uint32_t at = generation();
  ck_assert_int_lt(nftables_apply(nftables, wanted, now, NULL, &refusal, &trouble), 0);
  ck_assert(refusal.known);
  ck_assert_str_eq(refusal.origin.subject, "F-301");
  ck_assert_str_eq(refusal.origin.place.file, "town.conf");
  ck_assert_uint_eq(refusal.origin.place.line, line);
  ck_assert_ptr_nonnull(strstr(trouble.message, "F-301"));
  ck_assert_uint_eq(generation(), at);
  ck_assert(strcmp(run("%s", list), listed) == 0);
  check_kernel_holds(before);
}

START_TEST(of_forty_thousand_rules_the_seventeenth_is_named) {
  struct ruleset *before = marks(100);
  apply(before);
  check_refused_untouched(many_rules("no-such-set", false), before, BAD + 1);
  apply(many_rules(before->sets[0].name, false));
}
END_TEST

START_TEST(of_forty_thousand_refusals_the_first_is_named) {
  struct ruleset *before = marks(100);
  apply(before);
  plan.fault = _i == 0 ? FAULT_NONE : FAULT_SMALL_RECEIVE_BUFFER;
  check_refused_untouched(many_rules("no-such-set", true), before, 1);
}
END_TEST

START_TEST(of_two_elements_with_one_key_the_second_is_named) {
  struct ruleset *before = sample_ruleset(arena, now), *wanted = sample_ruleset(arena, now);
  struct set *map = sample_find_set(wanted, "receiving");
  apply(before);
  struct element *elements = ARENA_ARRAY(arena, map->element_count + 1, struct element);
  memcpy(elements, map->elements, map->element_count * sizeof *elements);
  elements[map->element_count] = elements[map->element_count - 1];
  elements[map->element_count].verdict = (struct verdict){VERDICT_DROP, NULL};
  elements[map->element_count].origin = (struct origin){"F-301", {.file = "town.conf", .line = 7}};
  map->elements = elements;
  map->element_count++;
  check_refused_untouched(wanted, before, 7);
}
END_TEST

START_TEST(a_set_that_is_too_small_is_named) {
  struct ruleset *before = marks(100), *wanted = marks(100);
  apply(before);
  struct set *sets = ARENA_ARRAY(arena, 2, struct set);
  sets[0] = wanted->sets[0];
  sets[1] = wanted->sets[0];
  sets[1].name = "small";
  sets[1].size = 10;
  sets[1].origin = (struct origin){"F-301", {.file = "town.conf", .line = 3}};
  wanted->sets = sets;
  wanted->set_count = 2;
  check_refused_untouched(wanted, before, 3);
}
END_TEST

START_TEST(a_batch_that_no_buffer_takes_changes_nothing) {
  struct ruleset *before = marks(100), *wanted = marks(200000);
  apply(before);
  plan.fault = FAULT_NO_FORCE;
  nftables_close(nftables);
  ck_assert_int_eq(nftables_open(&nftables, &trouble), 0);
  int status = nftables_apply(nftables, wanted, now, NULL, &refusal, &trouble);
  if (status == 0) { /* net.core.wmem_max is large enough here */
    return;
  }
  ck_assert_int_eq(status, -EMSGSIZE);
  ck_assert_ptr_nonnull(strstr(trouble.message, "wmem_max"));
  check_kernel_holds(before);
  plan.fault = FAULT_NONE;
  apply(wanted);
  check_kernel_holds(wanted);
}
END_TEST

void add_faults(TCase *tests, TCase *large) {
  tcase_add_test(tests, what_ended_by_itself_is_neither_deleted_nor_missed);
  tcase_add_test(tests, an_element_that_ends_before_it_is_taken_out_does_not_stop_the_others);
  tcase_add_test(tests, an_element_about_to_end_is_prolonged);
  tcase_add_test(tests, an_element_that_ended_comes_back);
  tcase_add_loop_test(tests, what_goes_wrong_once_ends_in_the_right_state, 0,
                      sizeof passing_faults / sizeof passing_faults[0]);
  tcase_add_test(tests, a_refusal_whose_answer_is_lost_is_not_taken_for_success);
  tcase_add_test(tests, of_two_elements_with_one_key_the_second_is_named);
  tcase_add_test(tests, a_set_that_is_too_small_is_named);
  tcase_add_test(large, of_forty_thousand_rules_the_seventeenth_is_named);
  tcase_add_loop_test(large, of_forty_thousand_refusals_the_first_is_named, 0, 2);
  tcase_add_test(large, a_batch_that_no_buffer_takes_changes_nothing);
}
