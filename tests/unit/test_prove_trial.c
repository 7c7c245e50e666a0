/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A policy on trial: forwarding within a zone ends with it, by timers on the names of its interfaces, which are of no
 * flow. The prover must neither doubt those that run for as long as the policy lets packets pass, nor trust longer
 * ones.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "live.h"
#include "policy/restrictions.h"
#include "policy_text.h"
#include "proof/prove.h"

enum { ALPHA, BRAVO, ZONES, HOUR = 3600 };

static const char text[] =
    "policy = { name = \"p\"; number = \"1\"; basis = \"b\"; effective = \"2026-04-01\"; model = \"alpha\"; "
    "timezone = \"Asia/Tokyo\"; language = \"en\"; };\n"
    "zones = {\n"
    "  alpha = { class = \"lgwan\"; interfaces = [ \"a0\", \"a1\", \"a2\" ]; networks = [ \"10.0.0.0/24\" ]; "
    "within = \"allow\"; };\n"
    "  bravo = { class = \"internet\"; interfaces = [ \"b0\", \"b1\", \"b2\" ]; networks = [ \"10.1.0.0/24\" ]; "
    "within = \"allow\"; };\n"
    "};\n";

static struct arena *arena;
static const struct policy *policy;
static struct restrictions restrictions;
static struct instant now, deadlines[ZONES];
static struct live_ruleset *ruleset;

static void load(void) {
  struct compile_options options = {.now = now, .restrictions = &restrictions};
  ruleset = live_from_policy(policy, &options, arena);
}

static void set_up(void) {
  arena = arena_new(0);
  now = (struct instant){time(NULL)};
  policy = policy_of_text(arena, text);
  restrictions = (struct restrictions){.within_deadlines = deadlines};
  deadlines[ALPHA] = (struct instant){now.seconds + HOUR};
  deadlines[BRAVO] = (struct instant){now.seconds + 2 * HOUR};
  load();
}

static void tear_down(void) {
  arena = arena_free(arena);
}

static void expect(enum proof_result result) {
  static const struct surroundings nothing_known = {0};
  for (int in_full = 0; in_full < 2; in_full++) {
    struct proof_question question = {.policy = policy,
                                      .restrictions = &restrictions,
                                      .ruleset = ruleset,
                                      .surroundings = &nothing_known,
                                      .in_full = in_full == 1};
    struct proof proof;
    struct error error = {0};
    ck_assert_msg(prove(&question, now, arena, &proof, &error) == 0, "%s", error.message);
    ck_assert_msg(proof.result == result, "%s instead of %s (%d -> %d): %s", proof_result_name(proof.result),
                  proof_result_name(result), proof.gap_count > 0 ? (int)proof.gaps[0].from : 0,
                  proof.gap_count > 0 ? (int)proof.gaps[0].to : 0, proof.gap_count > 0 ? proof.gaps[0].why : "-");
  }
}

static void run_timers_until(const char *name, struct instant until) {
  const struct live_table *table = ruleset->tables;
  for (size_t i = 0; i < table->set_count; i++)
    for (size_t j = 0; j < table->sets[i].element_count && strcmp(table->sets[i].name, name) == 0; j++) {
      struct live_element *element = &table->sets[i].elements[j];
      ck_assert(element->has_timeout);
      element->timeout = element->expiration = (uint64_t)(until.seconds - now.seconds) * 1000;
      return; /* one is enough */
    }
  ck_abort_msg("there is no set %s", name);
}

START_TEST(each_zone_ends_at_its_own_time) {
  expect(PROOF_PROVEN);
}
END_TEST

START_TEST(what_lasts_beside_a_trial_is_not_doubted) {
  deadlines[BRAVO] = INSTANT_NEVER;
  load();
  expect(PROOF_PROVEN);
}
END_TEST

START_TEST(a_timer_that_outlives_its_trial_is_not_trusted) {
  run_timers_until("trial_within.alpha", deadlines[BRAVO]);
  expect(PROOF_UNDECIDED);
}
END_TEST

START_TEST(a_timer_that_outlives_every_trial_is_not_trusted) {
  run_timers_until("trial_within.bravo", (struct instant){now.seconds + 24 * HOUR});
  expect(PROOF_UNDECIDED);
}
END_TEST

/* More moments than are asked about one by one. */
START_TEST(many_moments_are_taken_for_one) {
  enum { STEP = 500, TIMERS = 6 };
  struct live_table *table = ruleset->tables;
  uint64_t end = 0;
  for (size_t i = 0; i < table->set_count; i++)
    for (size_t j = 0; j < table->sets[i].element_count; j++) {
      struct live_element *element = &table->sets[i].elements[j];
      if (element->has_timeout)
        element->timeout = element->expiration = (end += STEP) * 1000;
    }
  ck_assert_uint_eq(end, STEP * TIMERS);
  expect(PROOF_PROVEN);
  run_timers_until("trial_within.alpha", (struct instant){now.seconds + 3 * HOUR});
  expect(PROOF_UNDECIDED);
}
END_TEST

/* As a recording may say. */
START_TEST(a_timer_beyond_all_numbers_is_not_trusted) {
  static const uint64_t ends[] = {UINT64_MAX, INT64_MAX, (uint64_t)INT64_MAX + 1};
  struct live_table *table = ruleset->tables;
  for (size_t i = 0; i < table->set_count; i++)
    for (size_t j = 0; j < table->sets[i].element_count; j++)
      if (table->sets[i].elements[j].has_timeout)
        table->sets[i].elements[j].timeout = table->sets[i].elements[j].expiration = ends[_i];
  expect(PROOF_UNDECIDED);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("prove_trial");
  TCase *tests = tcase_create("prove_trial");
  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_test(tests, each_zone_ends_at_its_own_time);
  tcase_add_test(tests, what_lasts_beside_a_trial_is_not_doubted);
  tcase_add_test(tests, a_timer_that_outlives_its_trial_is_not_trusted);
  tcase_add_test(tests, a_timer_that_outlives_every_trial_is_not_trusted);
  tcase_add_test(tests, many_moments_are_taken_for_one);
  tcase_add_loop_test(tests, a_timer_beyond_all_numbers_is_not_trusted, 0, 3);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
