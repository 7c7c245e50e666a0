/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sample town with real packets: every pair of zones, every flow and its near misses, judged by policy_decide() and
 * by the kernel with the compiled ruleset. Both must agree on each packet and on the reason of each denial.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "duel.h"
#include "town.h"

static struct duel_field field;
static struct nftables *nftables;
static struct arena *arena;

static void open_field(unsigned lab_changes, unsigned policy_changes, unsigned lab_flags) {
  struct error error = {0};
  struct instant now = {time(NULL)};
  struct lab_options options = {.rp_filter = lab_flags != 0};
  arena = arena_new(0);
  const struct policy *wires = town_load(lab_changes | TOWN_IN_FORCE, now, arena);
  const struct policy *policy = town_load(policy_changes | TOWN_IN_FORCE, now, arena);
  ck_assert_ptr_nonnull(wires);
  ck_assert_ptr_nonnull(policy);
  field = (struct duel_field){.policy = policy, .scratch = arena, .log = stderr, .log_limit = 12};
  ck_assert_msg(lab_new(wires, &options, &field.lab, &error) == 0, "%s", error.message);
  field.circumstances = (struct circumstances){.now = now, .own = lab_own(field.lab)};
  ck_assert_msg(nftables_open(&nftables, &error) == 0, "%s", error.message);
  ck_assert_msg(duel_load(&field, nftables, &error) == 0, "%s", error.message);
}

static void close_field(void) {
  nftables_close(nftables);
  lab_free(field.lab);
  arena_free(arena);
}

static void run_and_compare(struct duel_list *list, const char *title) {
  ck_assert_uint_gt(list->count, 0);
  long wrong = duel_run(&field, list->items, list->count);
  duel_print_summary(stdout, &field, title);
  duel_list_clear(list);
  ck_assert_int_eq(wrong, 0);
  ck_assert_uint_gt(field.compared, 0);
}

START_TEST(every_cell_of_the_matrix_agrees_with_the_policy) {
  open_field(TOWN_DUAL_STACK, TOWN_DUAL_STACK, 0);
  struct duel_list list = {0};
  duel_add_matrix(&field, &list);
  run_and_compare(&list, "matrix of the dual-stack town");
  close_field();
}
END_TEST

START_TEST(every_flow_and_its_near_misses_agree_with_the_policy) {
  open_field(TOWN_DUAL_STACK, TOWN_DUAL_STACK, 0);
  struct duel_list list = {0};
  for (size_t i = 0; i < field.policy->flow_count; i++)
    duel_add_flow(&field, &field.policy->flows[i], &list);
  run_and_compare(&list, "flows of the dual-stack town");
  close_field();
}
END_TEST

START_TEST(every_flow_of_the_town_passes_in_both_families) {
  open_field(TOWN_DUAL_STACK, TOWN_DUAL_STACK, 0);
  for (size_t i = 0; i < field.policy->flow_count; i++) {
    struct duel_list list = {0};
    size_t passed4 = 0, passed6 = 0;
    duel_add_flow(&field, &field.policy->flows[i], &list);
    ck_assert_int_eq(duel_run(&field, list.items, list.count), 0);
    for (size_t j = 0; j < list.count; j++) {
      const struct lab_probe *probe = &list.items[j].probe;
      bool opener = list.items[j].starts_scene && probe->outcome != LAB_NOWHERE;
      passed4 += opener && probe->recipe.packet.source.family == FAMILY_IPV4;
      passed6 += opener && probe->recipe.packet.source.family == FAMILY_IPV6;
    }
    ck_assert_msg(passed4 > 0, "%s does not pass over IPv4", field.policy->flows[i].name);
    ck_assert_msg(passed6 > 0, "%s does not pass over IPv6", field.policy->flows[i].name);
    duel_list_clear(&list);
  }
  close_field();
}
END_TEST

START_TEST(a_town_without_ipv6_passes_none) {
  open_field(TOWN_DUAL_STACK, 0, 0);
  const struct policy *ipv4_only = field.policy;
  field.policy = town_load(TOWN_DUAL_STACK | TOWN_IN_FORCE, field.circumstances.now, arena);
  struct duel_list list = {0};
  duel_add_matrix(&field, &list);
  for (size_t i = 0; i < field.policy->flow_count; i++)
    duel_add_flow(&field, &field.policy->flows[i], &list);
  field.policy = ipv4_only;
  long wrong = duel_run(&field, list.items, list.count);
  size_t ipv6 = 0;
  for (size_t i = 0; i < list.count; i++) {
    const struct lab_probe *probe = &list.items[i].probe;
    if (probe->recipe.packet.source.family != FAMILY_IPV6)
      continue;
    ipv6++;
    ck_assert_msg(probe->outcome == LAB_NOWHERE, "IPv6 passed: %s", list.items[i].label);
  }
  duel_print_summary(stdout, &field, "the town without IPv6");
  duel_list_clear(&list);
  ck_assert_uint_gt(ipv6, 1000);
  ck_assert_int_eq(wrong, 0);
  close_field();
}
END_TEST

START_TEST(rp_filter_stops_nothing_that_the_town_needs) {
  open_field(TOWN_DUAL_STACK, TOWN_DUAL_STACK, 1);
  struct duel_list list = {0};
  for (size_t i = 0; i < field.policy->flow_count; i++) {
    size_t first = list.count;
    duel_add_flow(&field, &field.policy->flows[i], &list);
    size_t kept = first; /* lawful senders on their own wires only */
    for (size_t j = first; j < list.count; j++) {
      struct duel *duel = &list.items[j];
      if (duel->probe.interface == LAB_GATEWAY ||
          lab_interface_of(field.lab, &duel->probe.recipe.packet.source) == duel->probe.interface)
        list.items[kept++] = *duel;
    }
    list.count = kept;
  }
  run_and_compare(&list, "flows under rp_filter");
  close_field();
}
END_TEST

int main(void) {
  lab_require();
  Suite *suite = suite_create("town_matrix");
  TCase *test = tcase_create("town");
  tcase_set_timeout(test, 300);
  tcase_add_test(test, every_cell_of_the_matrix_agrees_with_the_policy);
  tcase_add_test(test, every_flow_and_its_near_misses_agree_with_the_policy);
  tcase_add_test(test, every_flow_of_the_town_passes_in_both_families);
  tcase_add_test(test, a_town_without_ipv6_passes_none);
  tcase_add_test(test, rp_filter_stops_nothing_that_the_town_needs);
  suite_add_tcase(suite, test);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
