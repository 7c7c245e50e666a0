/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Single fragments before the guard (claim 5): what a rule there drops too much of is shown by a fragment that the
 * rule can see, on the wire.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "live.h"
#include "policy_text.h"
#include "proof/prove.h"

static const char text[] =
    "policy = { name = \"p\"; number = \"1\"; basis = \"b\"; effective = \"2026-04-01\"; model = \"alpha\"; "
    "timezone = \"Asia/Tokyo\"; language = \"en\"; };\n"
    "zones = {\n"
    "  alpha = { class = \"lgwan\"; interfaces = [ \"a0\" ]; networks = [ \"2001:500::/64\" ]; within = \"deny\"; };\n"
    "  bravo = { class = \"relay\"; interfaces = [ \"b0\" ]; networks = [ \"2001:501::/64\" ]; within = \"deny\"; };\n"
    "};\n"
    "hosts = { a = { zone = \"alpha\"; address = \"2001:500::9\"; }; b = { zone = \"bravo\"; address = "
    "\"2001:501::9\"; }; };\n"
    "flows = { F-1 = { from = \"a\"; to = \"b\"; services = [ \"udp/53\", \"tcp/443\" ]; method = \"ops\"; }; };\n";

static struct arena *arena;
static const struct policy *policy;
static struct instant now;

static void set_up(void) {
  arena = arena_new(0);
  now = (struct instant){time(NULL)};
  policy = policy_of_text(arena, text);
}

static void tear_down(void) {
  arena = arena_free(arena);
}

/* The compiled rules, with every `before` in their nft text turned into `after`. */
static struct live_ruleset *load_changed(const char *before, const char *after) {
  struct compile_options options = {.now = now};
  char *printed = nft_text_of_policy(policy, &options, arena), *changed = NULL;
  const char *at = printed;
  size_t size = 0;
  unsigned places = 0;
  FILE *out = open_memstream(&changed, &size);
  for (const char *found = strstr(at, before); found != NULL; found = strstr(at, before), places++) {
    fprintf(out, "%.*s%s", (int)(found - at), at, after);
    at = found + strlen(before);
  }
  fputs(at, out);
  fclose(out);
  ck_assert_uint_gt(places, 0);
  struct live_ruleset *ruleset = live_from_text(changed, arena);
  free(printed);
  free(changed);
  return ruleset;
}

static struct proof ask(const struct live_ruleset *ruleset) {
  static const struct surroundings nothing_known = {0};
  struct proof_question question = {.policy = policy, .ruleset = ruleset, .surroundings = &nothing_known};
  struct proof proof;
  struct error error = {0};
  ck_assert_msg(prove(&question, now, arena, &proof, &error) == 0, "%s", error.message);
  return proof;
}

/* A fragment that is dropped and should not be; NULL: none is shown. */
static const struct counterexample *lost_fragment(const struct proof *proof) {
  for (size_t i = 0; i < proof->counterexample_count; i++) {
    const struct counterexample *example = &proof->counterexamples[i];
    if (example->claim == CLAIM_GUARD && (example->packet.traits & TRAIT_FRAGMENT) != 0 && !example->kernel_allows)
      return example;
  }
  return NULL;
}

START_TEST(rules_as_compiled_drop_no_fragment) {
  ck_assert_int_eq(ask(load_changed("rt type 0", "rt type 0")).result, PROOF_PROVEN);
}
END_TEST

/* In a later fragment a header counts only where it stands in front of the fragment header (ipv6_find_hdr()). */
START_TEST(a_routing_header_that_costs_a_fragment_stands_where_the_rule_sees_it) {
  enum { NEXT_HEADER = 14 + 6, FRAGMENT = 44 };
  struct proof proof = ask(load_changed("rt type 0", "exthdr rt exists"));
  ck_assert_int_eq(proof.result, PROOF_REFUTED);
  const struct counterexample *example = lost_fragment(&proof);
  ck_assert_ptr_nonnull(example);
  ck_assert_uint_gt(example->frame_length, NEXT_HEADER);
  ck_assert_uint_ne(example->frame[NEXT_HEADER], FRAGMENT);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("prove_fragments");
  TCase *tests = tcase_create("prove_fragments");
  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_test(tests, rules_as_compiled_drop_no_fragment);
  tcase_add_test(tests, a_routing_header_that_costs_a_fragment_stands_where_the_rule_sees_it);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
