/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The proof checks itself by taking an element away. One that nobody would miss, since what it lets pass is cut, must
 * not make it doubt.
 */
#include <check.h>
#include <stdlib.h>
#include <time.h>

#include "live.h"
#include "policy/restrictions.h"
#include "policy_text.h"
#include "proof/prove.h"

/* The gateway has an address in each network of the zone; the maps hold each network as a destination. */
static const char text[] =
    "policy = { name = \"p\"; number = \"1\"; basis = \"b\"; effective = \"2026-04-01\"; model = \"alpha\"; "
    "timezone = \"Asia/Tokyo\"; language = \"en\"; };\n"
    "zones = { alpha = { class = \"lgwan\"; interfaces = [ \"a0\" ]; networks = [ \"10.0.0.0/24\", \"10.0.1.0/24\" ]; "
    "}; };\n"
    "hosts = { h = { zone = \"alpha\"; address = \"10.0.1.9\"; }; };\n"
    "flows = { F-1 = { from = \"h\"; to = \"gateway\"; services = [ \"udp/53\" ]; method = \"ops\"; }; };\n";

static struct address address_of(const char *written) {
  struct address address = {0};
  ck_assert(address_parse(written, &address));
  return address;
}

static void expect_proven_with(const char *cut_host) {
  static const struct surroundings nothing_known = {0};
  struct arena *arena = arena_new(0);
  const struct policy *policy = policy_of_text(arena, text);
  struct instant now = {time(NULL)};
  struct address_range ranges[] = {{address_of("10.0.0.1"), address_of("10.0.0.1")},
                                   {address_of("10.0.1.1"), address_of("10.0.1.1")}};
  const struct address_set own = {ranges, 2};
  const struct cut cut = {
      .id = 1, .kind = CUT_HOST, .address = address_of(cut_host), .at = now, .by = "root", .why = "test"};
  const struct restrictions restrictions = {.cuts = &cut, .cut_count = 1};
  const struct compile_options options = {.now = now, .own = &own, .restrictions = &restrictions};
  struct proof_question question = {.policy = policy,
                                    .restrictions = &restrictions,
                                    .own = &own,
                                    .ruleset = live_from_policy(policy, &options, arena),
                                    .surroundings = &nothing_known};
  struct proof proof;
  struct error error = {0};
  ck_assert_msg(prove(&question, now, arena, &proof, &error) == 0, "%s", error.message);
  ck_assert_msg(proof.result == PROOF_PROVEN, "%s with %s cut: %s", proof_result_name(proof.result), cut_host,
                proof.gap_count > 0 ? proof.gaps[0].why : "-");
  arena_free(arena);
}

START_TEST(an_element_that_a_cut_makes_useless_is_no_reason_for_doubt) {
  expect_proven_with("10.0.0.1");
  expect_proven_with("10.0.1.1");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("prove_canary");
  TCase *tests = tcase_create("prove_canary");
  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, an_element_that_a_cut_makes_useless_is_no_reason_for_doubt);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
