/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that runs out. Everything between a policy's text and its ruleset is done with arenas that may hold little,
 * then a little more, until it succeeds: each time the answer is the right one or "no memory", never a crash and never
 * another answer. The steps grow with the amount, or a long policy would take minutes. The linker puts arena_new() and
 * the allocators of the C library behind functions of this file.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "policy/check.h"
#include "policy/print.h"
#include "policy/read.h"
#include "proof/exact.h"
#include "rules/compile.h"
#include "rules/difference.h"
#include "rules/print.h"

enum { STEP = 4096 };

/* ---- what runs out ---- */

static size_t scratch_limit;  /* of arenas that the code makes for itself; 0: none */
static size_t fail_at, calls; /* the allocation of the C library that is refused; 0: none */

struct arena *__real_arena_new(size_t limit);
struct arena *__wrap_arena_new(size_t limit);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

struct arena *__wrap_arena_new(size_t limit) {
  return __real_arena_new(scratch_limit != 0 ? scratch_limit : limit);
}

static bool refuses(void) {
  return ++calls == fail_at;
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

/* ---- the whole way of a policy ---- */

struct outcome {
  bool refused; /* for want of memory */
  bool misled;  /* ... but with another reason */
  size_t errors, warnings, changes;
  char policy[SHA256_TEXT_SIZE], ruleset[SHA256_TEXT_SIZE];
};

static const struct instant now = {1795489200}; /* 2026-11-24T12:00:00+09:00 */

static bool print(const struct ruleset *ruleset, char ret_digest[static SHA256_TEXT_SIZE]) {
  char *text = NULL;
  size_t length = 0;
  FILE *stream = open_memstream(&text, &length);
  if (stream == NULL)
    return false;
  int status = ruleset_print_nft(stream, ruleset, now);
  status |= fclose(stream);
  sha256_text(text, length, ret_digest);
  free(text);
  return status == 0;
}

static bool compile(const struct policy *policy, struct arena *arena, struct outcome *outcome) {
  const struct compile_options options = {.now = now};
  struct ruleset *ruleset = NULL, *closed = NULL;
  struct delta *delta = NULL;
  struct error error = {0};
  if (ruleset_compile(policy, &options, arena, &ruleset, &error) < 0 ||
      ruleset_compile_closed(policy, &options, arena, &closed, &error) < 0) {
    outcome->misled = error.code != ENOMEM;
    return false;
  }
  if (ruleset_difference(closed, ruleset, arena, &delta) < 0)
    return false;
  outcome->changes = delta_count(delta);
  return print(ruleset, outcome->ruleset);
}

static bool judge(const struct policy *policy, struct arena *arena, struct diagnostic_list *diagnostics,
                  struct outcome *outcome) {
  const struct check_options options = {.now = now};
  policy_check(policy, &options, diagnostics);
  policy_check_expectations(policy, now, diagnostics);
  diagnostic_sort(diagnostics);
  outcome->errors = diagnostics->errors;
  outcome->warnings = diagnostics->warnings;
  if (diagnostics->out_of_memory)
    return false;
  size_t length = 0;
  const char *canonical = policy_print(policy, arena, &length);
  if (canonical == NULL)
    return false;
  sha256_text(canonical, length, outcome->policy);
  return diagnostics->errors > 0 || compile(policy, arena, outcome);
}

/* check's own functions allocate too: none of them is called in here. */
static struct outcome run(const char *text, size_t limit) {
  struct outcome outcome = {.refused = true};
  struct arena *arena = __real_arena_new(limit);
  struct diagnostic_list diagnostics;
  struct error error = {0};
  const struct policy *policy = NULL;
  if (arena == NULL)
    return outcome;
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  if (policy_read_text("p", text, strlen(text), arena, false, &policy, &diagnostics, &error) < 0)
    outcome.misled = error.code != ENOMEM;
  else if (!diagnostics.out_of_memory)
    outcome.refused = policy == NULL || !judge(policy, arena, &diagnostics, &outcome);
  arena_free(arena);
  return outcome;
}

static void expect_same(const struct outcome *wanted, const struct outcome *found, const char *what, size_t amount) {
  ck_assert_msg(wanted->errors == found->errors && wanted->warnings == found->warnings &&
                    wanted->changes == found->changes && strcmp(wanted->policy, found->policy) == 0 &&
                    strcmp(wanted->ruleset, found->ruleset) == 0,
                "%s %zu: another answer: %zu errors, %zu warnings, %zu changes instead of %zu, %zu, %zu", what, amount,
                found->errors, found->warnings, found->changes, wanted->errors, wanted->warnings, wanted->changes);
}

/* ---- the policies ---- */

static char *read_file(const char *path) {
  static char text[256 * 1024];
  FILE *file = fopen(path, "r");
  ck_assert_ptr_nonnull(file);
  text[fread(text, 1, sizeof text - 1, file)] = '\0';
  fclose(file);
  return text;
}

static const char *const paths[] = {
    KIDO_SOURCE_DIRECTORY "/config/examples/town.conf",
    KIDO_SOURCE_DIRECTORY "/tests/fuzz/corpus/policy/every-key",
    KIDO_SOURCE_DIRECTORY "/tests/fuzz/corpus/policy/minimal",
};
enum { PATHS = sizeof paths / sizeof *paths };

START_TEST(a_small_arena_is_refused_or_gives_the_same_answer) {
  const char *text = read_file(paths[_i]);
  struct outcome wanted = run(text, 0), found = {.refused = true};
  ck_assert(!wanted.refused);
  size_t limit = STEP;
  for (; found.refused; limit += STEP + limit / 64) {
    found = run(text, limit);
    ck_assert_msg(!found.misled, "arena of %zu bytes: another reason", limit);
    if (!found.refused)
      expect_same(&wanted, &found, "arena of bytes", limit);
  }
  ck_assert_uint_gt(limit, 2 * STEP); /* it did run out */
}
END_TEST

START_TEST(small_scratch_memory_is_refused_or_gives_the_same_answer) {
  const char *text = read_file(paths[_i]);
  struct outcome wanted = run(text, 0), found = {.refused = true};
  for (scratch_limit = STEP / 4; found.refused; scratch_limit += STEP / 4 + scratch_limit / 64) {
    found = run(text, 0);
    ck_assert_msg(!found.misled, "scratch arenas of %zu bytes: another reason", scratch_limit);
    if (!found.refused)
      expect_same(&wanted, &found, "scratch arenas of bytes", scratch_limit);
  }
  ck_assert_uint_gt(scratch_limit, STEP / 2);
  scratch_limit = 0;
}
END_TEST

START_TEST(a_refused_allocation_is_refused_or_gives_the_same_answer) {
  const char *text = read_file(paths[_i]);
  calls = 0;
  struct outcome wanted = run(text, 0);
  size_t refusals = 0, all = calls;
  for (size_t i = 1; i <= all; i += 1 + i / 256) {
    calls = 0;
    fail_at = i;
    struct outcome found = run(text, 0);
    fail_at = 0;
    ck_assert_msg(!found.misled, "refused allocation %zu: another reason", i);
    refusals += found.refused;
    if (!found.refused)
      expect_same(&wanted, &found, "refused allocation", i);
  }
  ck_assert_uint_gt(refusals, 0);
}
END_TEST

/* ---- exact answers about policies ---- */

/* The town against itself without its first flows, and which of its flows are for nothing. */
struct exact_outcome {
  bool refused, equal, same_equal;
  size_t opened, closed, needless;
};

static struct exact_outcome ask_exactly(const struct policy *policy, const struct policy *other, struct arena *arena) {
  struct exact_outcome outcome = {.refused = true};
  const struct exact_side one = {.policy = policy}, two = {.policy = other};
  struct exact_difference different = {0}, same = {0};
  struct flow_use *uses = NULL;
  bool complete = false;
  if (exact_compare(&one, &two, NULL, now, WHEN_FROM_NOW_ON, arena, &different) < 0 || !different.complete ||
      exact_compare(&one, &one, NULL, now, WHEN_FROM_NOW_ON, arena, &same) < 0 || !same.complete ||
      exact_flow_use(policy, now, NULL, arena, &uses, &complete) < 0 || !complete)
    return outcome;
  outcome = (struct exact_outcome){.equal = different.equal,
                                   .same_equal = same.equal,
                                   .opened = different.opened_count,
                                   .closed = different.closed_count};
  for (size_t i = 0; i < policy->flow_count; i++)
    outcome.needless += uses[i].worth != WORTH_USED;
  return outcome;
}

static void expect_same_exactly(const struct exact_outcome *wanted, const struct exact_outcome *found, const char *what,
                                size_t amount) {
  ck_assert_msg(found->refused || (wanted->equal == found->equal && wanted->same_equal == found->same_equal &&
                                   wanted->opened == found->opened && wanted->closed == found->closed &&
                                   wanted->needless == found->needless),
                "%s %zu: another answer", what, amount);
}

START_TEST(exact_answers_are_refused_or_the_same) {
  struct arena *arena = __real_arena_new(0);
  struct diagnostic_list diagnostics;
  struct error error = {0};
  const struct policy *policy = NULL;
  const char *text = read_file(paths[0]);
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("p", text, strlen(text), arena, false, &policy, &diagnostics, &error), 0);
  struct policy other = *policy;
  other.flow_count = policy->flow_count - 5;
  calls = 0;
  struct exact_outcome wanted = ask_exactly(policy, &other, arena);
  size_t all = calls, refusals = 0;
  ck_assert(!wanted.refused && !wanted.equal && wanted.same_equal && wanted.opened == 0 && wanted.closed > 0);
  for (size_t i = 1; i <= all; i += 1 + i / 32) {
    calls = 0;
    fail_at = i;
    struct exact_outcome found = ask_exactly(policy, &other, arena);
    fail_at = 0;
    refusals += found.refused;
    expect_same_exactly(&wanted, &found, "refused allocation", i);
  }
  ck_assert_uint_gt(refusals, 10);
  struct exact_outcome found = {.refused = true};
  for (scratch_limit = STEP; found.refused; scratch_limit += STEP + scratch_limit / 16) {
    found = ask_exactly(policy, &other, arena);
    expect_same_exactly(&wanted, &found, "scratch arenas of bytes", scratch_limit);
  }
  ck_assert_uint_gt(scratch_limit, 3 * STEP);
  scratch_limit = 0;
  arena_free(arena);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("exhaustion");
  TCase *tcase = tcase_create("exhaustion");
  tcase_set_timeout(tcase, 300);
  tcase_add_loop_test(tcase, a_small_arena_is_refused_or_gives_the_same_answer, 0, PATHS);
  tcase_add_loop_test(tcase, small_scratch_memory_is_refused_or_gives_the_same_answer, 0, PATHS);
  tcase_add_loop_test(tcase, a_refused_allocation_is_refused_or_gives_the_same_answer, 0, PATHS);
  tcase_add_test(tcase, exact_answers_are_refused_or_the_same);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
