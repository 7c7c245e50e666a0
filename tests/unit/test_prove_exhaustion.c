/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that runs out within a proof. Whichever allocation is refused, however few nodes a diagram may have, and
 * however little an arena may hold: rules that differ from the policy are never proven, and rules that do not are never
 * refuted. The linker puts the allocators behind functions of this file.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "live.h"
#include "policy_text.h"
#include "proof/prove.h"
#include "rules/compile.h"

static const char text[] =
    "policy = { name = \"p\"; number = \"1\"; basis = \"b\"; effective = \"2026-04-01\"; model = \"alpha\"; "
    "timezone = \"Asia/Tokyo\"; language = \"en\"; };\n"
    "zones = {\n"
    "  alpha = { class = \"lgwan\"; interfaces = [ \"a0\" ]; networks = [ \"10.0.0.0/24\" ]; };\n"
    "  bravo = { class = \"internet\"; interfaces = [ \"b0\" ]; networks = [ \"10.1.0.0/24\" ]; };\n"
    "};\n"
    "hosts = {\n"
    "  ha = { zone = \"alpha\"; address = \"10.0.0.10\"; };\n"
    "  hb = { zone = \"bravo\"; address = \"10.1.0.20\"; };\n"
    "};\n"
    "flows = {\n"
    "  F-1 = { from = \"ha\"; to = \"hb\"; services = [ \"tcp/80\", \"udp/53\" ]; method = \"exception\"; purpose = "
    "\"p\"; owner = \"o\"; reason = \"r\"; log = \"none\"; approval = { by = \"b\"; role = \"ciso\"; document = \"d\"; "
    "date = \"2026-04-01\"; author = \"a\"; }; review = \"2027-01-01\"; };\n"
    "};\n";

/* ---- what runs out ---- */

static size_t fail_from, fail_to, calls; /* allocations that are refused, counted from 1; none: 0 */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool refuses(void) {
  calls++;
  return fail_from != 0 && calls >= fail_from && calls <= fail_to;
}

void *__wrap_malloc(size_t size) {
  return refuses() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
  return refuses() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size) {
  return refuses() ? NULL : __real_realloc(old, size);
}

/* ---- the question ---- */

enum change { CHANGE_NOTHING, CHANGE_MARK, CHANGE_OPENER, CHANGE_WRITTEN, CHANGES };

static struct arena *arena;
static const struct policy *policy;
static uint32_t *identities;
static struct live_ruleset *ruleset;
static const struct instant now = {1795489200}; /* 2026-11-24T12:00:00+09:00 */

static struct live_set *find_set(const char *prefix) {
  for (size_t i = 0; i < ruleset->tables[0].set_count; i++)
    if (strncmp(ruleset->tables[0].sets[i].name, prefix, strlen(prefix)) == 0)
      return &ruleset->tables[0].sets[i];
  ck_abort_msg("no set %s", prefix);
  return NULL;
}

/* Another mark is in force; an opener is not known; one bears a mark of nobody. */
static void change(enum change what) {
  static const uint8_t junk[] = {1, 2, 3, 4};
  struct live_set *openers = find_set("exact4.tcp.alpha.bravo"), *in_force = find_set("in_force.alpha.bravo");
  if (what == CHANGE_MARK)
    in_force->elements[0].first = in_force->elements[0].last = junk;
  if (what == CHANGE_OPENER)
    openers->element_count--;
  if (what == CHANGE_WRITTEN)
    openers->elements[0].data = junk;
}

static void set_up(void) {
  const struct compile_options options = {.now = now};
  fail_from = fail_to = 0;
  arena = arena_new(0);
  policy = policy_of_text(arena, text);
  ck_assert_int_eq(flow_marks(policy, arena, &identities), 0);
  ruleset = live_from_policy(policy, &options, arena);
}

static void tear_down(void) {
  fail_from = fail_to = 0;
  arena = arena_free(arena);
}

enum answer { ANSWER_NONE, ANSWER_PROVEN, ANSWER_REFUTED, ANSWER_UNDECIDED, ANSWERS };

static enum answer ask(size_t node_budget, uint64_t memory_limit, bool in_full) {
  static const struct surroundings nothing_known = {0};
  const struct proof_question question = {.policy = policy,
                                          .ruleset = ruleset,
                                          .identities = identities,
                                          .surroundings = &nothing_known,
                                          .in_full = in_full,
                                          .node_budget = node_budget,
                                          .memory_limit = memory_limit};
  struct proof proof;
  struct error error = {0};
  size_t from = fail_from;
  fail_from = 0;
  struct arena *own = arena_new(0);
  fail_from = from;
  calls = 0;
  int code = prove(&question, now, own, &proof, &error);
  fail_from = 0;
  enum answer answer = code != 0                         ? ANSWER_NONE
                       : proof.result == PROOF_PROVEN    ? ANSWER_PROVEN
                       : proof.result == PROOF_UNDECIDED ? ANSWER_UNDECIDED
                                                         : ANSWER_REFUTED;
  arena_free(own);
  return answer;
}

/* Where nothing runs out. */
static enum answer right_answer(enum change what) {
  return what == CHANGE_NOTHING ? ANSWER_PROVEN : ANSWER_REFUTED;
}

static enum answer wrong_answer(enum change what) {
  return what == CHANGE_NOTHING ? ANSWER_REFUTED : ANSWER_PROVEN;
}

START_TEST(a_refused_allocation_proves_nothing) {
  enum change what = (enum change)(_i / 2);
  bool in_full = _i % 2 != 0;
  enum { TRIES = 10 };
  size_t counts[ANSWERS] = {0};
  change(what);
  ck_assert_int_eq(ask(0, 0, in_full), right_answer(what));
  size_t all = calls;
  for (size_t i = 0; i < TRIES; i++) {
    fail_from = 1 + all * i / TRIES + i * 7 % (all / TRIES + 1);
    fail_to = i % 3 == 0 ? SIZE_MAX : fail_from + i % 3 * 4; /* for good, or for a moment */
    enum answer answer = ask(0, 0, in_full);
    ck_assert_msg(answer != wrong_answer(what), "allocation %zu of %zu refused: answer %d", fail_from, all, answer);
    counts[answer]++;
  }
  ck_assert_uint_gt(counts[ANSWER_NONE] + counts[ANSWER_UNDECIDED], 0);
}
END_TEST

START_TEST(few_nodes_prove_nothing) {
  enum change what = (enum change)(_i / 2);
  bool in_full = _i % 2 != 0;
  size_t counts[ANSWERS] = {0};
  change(what);
  for (size_t budget = 1000; budget < 1 << 18; budget += 2 * budget / 3) {
    enum answer answer = ask(budget, 0, in_full);
    ck_assert_msg(answer != wrong_answer(what), "%zu nodes: answer %d", budget, answer);
    counts[answer]++;
  }
  ck_assert_uint_gt(counts[ANSWER_NONE] + counts[ANSWER_UNDECIDED], 3);
  ck_assert_uint_gt(counts[right_answer(what)], 0);
}
END_TEST

START_TEST(little_memory_proves_nothing) {
  enum change what = (enum change)(_i / 2);
  bool in_full = _i % 2 != 0;
  size_t counts[ANSWERS] = {0};
  change(what);
  for (uint64_t limit = 16384; limit < UINT64_C(1) << 26; limit *= 2) {
    enum answer answer = ask(0, limit, in_full);
    ck_assert_msg(answer != wrong_answer(what), "arenas of %zu bytes: answer %d", (size_t)limit, answer);
    counts[answer]++;
  }
  ck_assert_uint_gt(counts[ANSWER_NONE] + counts[ANSWER_UNDECIDED], 3);
  ck_assert_uint_gt(counts[right_answer(what)], 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("prove_exhaustion");
  TCase *tests = tcase_create("prove_exhaustion");
  tcase_set_timeout(tests, 120);
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_loop_test(tests, a_refused_allocation_proves_nothing, 0, 2 * CHANGES);
  tcase_add_loop_test(tests, few_nodes_prove_nothing, 0, 2 * CHANGES);
  tcase_add_loop_test(tests, little_memory_proves_nothing, 0, 2 * CHANGES);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
