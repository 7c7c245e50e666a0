/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gate: time passes, and windows are closed. */
#include "change.h"

#include <string.h>
#include <time.h>

#include "control/gate.h"
#include "policy/read.h"
#include "town.h"

static const struct policy *town(void) {
  const char *text =
      town_text(KIDO_SOURCE_DIRECTORY "/config/examples/town.conf", TOWN_IN_FORCE, (struct instant){time(NULL)}, arena);
  const struct policy *policy = NULL;
  struct diagnostic_list diagnostics;
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("town", text, strlen(text), arena, true, &policy, &diagnostics, &trouble), 0);
  ck_assert_uint_eq(diagnostics.errors, 0);
  return policy;
}

static const struct flow *timed_flow(const struct policy *policy) {
  for (size_t i = 0; i < policy->flow_count; i++) {
    struct instant until;
    if (policy_flow_force(policy, &policy->flows[i], (struct instant){time(NULL)}, &until) == FORCE_YES &&
        until.seconds != INSTANT_NEVER.seconds) {
      return &policy->flows[i];
    }
  }
  ck_abort_msg("no flow of the town ends");
}

static size_t bring(struct gate *gate, const struct gate_aim *aim) {
  size_t changes = 0;
  memset(&seen, 0, sizeof seen);
  int status = gate_bring(gate, aim, (struct instant){time(NULL)}, arena, &changes, &refusal, &trouble);
  ck_assert_msg(status == 0, "%s", trouble.message);
  return changes;
}

static void check_compared(struct gate *gate, const struct gate_aim *aim) {
  const char *what = NULL;
  ck_assert_int_eq(gate_compare(gate, aim, (struct instant){time(NULL)}, arena, &what, &trouble), 0);
  ck_assert_msg(what == NULL, "%s", what);
}

START_TEST(a_window_that_closes_costs_one_element) {
  struct gate *gate = NULL;
  const struct policy *policy = town();
  struct closed_window closed = {
      .flow = timed_flow(policy)->name, .until = {time(NULL) + 600}, .by = "tester", .why = "test"};
  struct restrictions none = {0}, restrictions = {.closed_windows = &closed, .closed_window_count = 1};
  struct gate_aim open = {.policy = policy, .open = true, .restrictions = &none};
  struct gate_aim shut = {.policy = policy, .open = true, .restrictions = &restrictions};
  ck_assert_msg(gate_new(&gate, &trouble) == 0, "%s", trouble.message);
  bring(gate, &open);
  for (unsigned i = 0; i < 6; i++) {
    const struct gate_aim *aim = i % 2 == 0 ? &shut : &open;
    ck_assert_uint_eq(bring(gate, aim), 1);
    ck_assert_uint_eq(seen.batches, 1);
    ck_assert_uint_eq(seen.dumps, 0);
    ck_assert_uint_le(seen.bytes, 512);
    ck_assert_uint_eq(bring(gate, aim), 0);
    ck_assert_uint_eq(seen.batches, 0);
    ck_assert_uint_eq(seen.questions, 1);
    check_compared(gate, aim);
  }
  run("nft add table ip other"); /* the generation moves; once compared, it is ours again */
  check_compared(gate, &open);
  ck_assert_uint_eq(bring(gate, &shut), 1);
  ck_assert_uint_eq(seen.dumps, 0);
  run("nft flush ruleset");
  bring(gate, &shut);
  check_compared(gate, &shut);
  gate_free(gate);
}
END_TEST

START_TEST(after_a_policy_that_was_refused_the_old_one_is_followed_still) {
  struct gate *gate = NULL;
  struct gate_aim aim = {.policy = town(), .open = true};
  ck_assert_msg(gate_new(&gate, &trouble) == 0, "%s", trouble.message);
  bring(gate, &aim);
  char *other_text = town_text(KIDO_SOURCE_DIRECTORY "/config/examples/town.conf", TOWN_DUAL_STACK | TOWN_IN_FORCE,
                               (struct instant){time(NULL)}, arena);
  const struct policy *other = NULL;
  struct diagnostic_list diagnostics;
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(
      policy_read_text("town", other_text, strlen(other_text), arena, true, &other, &diagnostics, &trouble), 0);
  struct gate_aim next = {.policy = other, .open = true};
  plan.refused_batch = 2; /* the first transaction has gone through */
  plan.refusals = 2;      /* by memory, and by reading */
  ck_assert_int_lt(gate_bring(gate, &next, (struct instant){time(NULL)}, arena, NULL, &refusal, &trouble), 0);
  ck_assert_uint_eq(plan.refusals, 0);
  check_compared(gate, &aim);
  ck_assert_uint_eq(bring(gate, &aim), 0);
  bring(gate, &next);
  check_compared(gate, &next);
  gate_free(gate);
}
END_TEST

void add_gate(TCase *tests) {
  tcase_add_test(tests, a_window_that_closes_costs_one_element);
  tcase_add_test(tests, after_a_policy_that_was_refused_the_old_one_is_followed_still);
}
