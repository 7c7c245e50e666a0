/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Proofs by classes, and rulesets made by hand so that a prover which trusts classes too much would call them proven.
 * A small policy is compiled and decoded; then rules and elements are put into what was decoded.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/netfilter/nf_tables.h>

#include "live.h"
#include "policy_text.h"
#include "proof/prove.h"
#include "proof/symbolic.h"
#include "rules/compile.h"

enum { CLIENT = 10, SERVER = 20, REGISTER = 16, SECOND = 48, JUNK = 0x12345678 };

static const char text[] =
    "policy = { name = \"p\"; number = \"1\"; basis = \"b\"; effective = \"2026-04-01\"; model = \"alpha\"; "
    "timezone = \"Asia/Tokyo\"; language = \"en\"; };\n"
    "zones = {\n"
    "  alpha = { class = \"lgwan\"; interfaces = [ \"a0\" ]; networks = [ \"10.0.0.0/24\" ]; };\n"
    "  bravo = { class = \"internet\"; interfaces = [ \"b0\" ]; networks = [ \"10.1.0.0/24\" ]; };\n"
    "  charly = { class = \"cloud\"; interfaces = [ \"c0\" ]; networks = [ \"10.2.0.0/24\" ]; };\n"
    "};\n"
    "hosts = {\n"
    "  ha = { zone = \"alpha\"; address = \"10.0.0.10\"; };\n"
    "  hb = { zone = \"bravo\"; address = \"10.1.0.20\"; };\n"
    "  hc = { zone = \"charly\"; address = \"10.2.0.20\"; };\n"
    "};\n"
    "flows = {\n"
    "  F-1 = { from = \"ha\"; to = \"hb\"; services = [ \"udp/53\" ]; %s };\n"
    "  F-2 = { from = \"ha\"; to = \"hc\"; services = [ \"udp/54\", \"udp/60-70\" ]; %s };\n"
    "  F-3 = { from = \"hb\"; to = \"hc\"; services = [ \"tcp/80\" ]; %s };\n"
    "  F-4 = { from = \"ha\"; to = \"hb\"; services = [ \"udp/99\" ]; expires = \"%s\"; %s };\n"
    "};\n";
static const char papers[] =
    "method = \"exception\"; purpose = \"p\"; owner = \"o\"; reason = \"r\"; log = \"none\"; approval = { by = \"b\"; "
    "role = \"ciso\"; document = \"d\"; date = \"2026-04-01\"; author = \"a\"; }; review = \"2027-01-01\"";

static struct arena *arena;
static const struct policy *policy;
static uint32_t *identities;
static struct live_ruleset *ruleset;
static struct instant now;

/* ---- blindness, for the vacuity guard ---- */

static const struct symbolic *by_classes; /* the last machine that uses them */
static bool blind;                        /* by classes nothing is ever taken for absent */

struct symbolic *__real_symbolic_new(const struct live_ruleset *live, const struct surroundings *surroundings,
                                     struct space *space, struct diagram_store *store, struct arena *memory);
struct symbolic *__wrap_symbolic_new(const struct live_ruleset *live, const struct surroundings *surroundings,
                                     struct space *space, struct diagram_store *store, struct arena *memory);
void __real_symbolic_use_classes(struct symbolic *machine, struct classes *classes);
void __wrap_symbolic_use_classes(struct symbolic *machine, struct classes *classes);
void __real_symbolic_leave_out(struct symbolic *machine, symbolic_absent_function absent, void *context);
void __wrap_symbolic_leave_out(struct symbolic *machine, symbolic_absent_function absent, void *context);

struct symbolic *__wrap_symbolic_new(const struct live_ruleset *live, const struct surroundings *surroundings,
                                     struct space *space, struct diagram_store *store, struct arena *memory) {
  struct symbolic *machine = __real_symbolic_new(live, surroundings, space, store, memory);
  by_classes = machine == by_classes ? NULL : by_classes; /* the old one is gone */
  return machine;
}

void __wrap_symbolic_use_classes(struct symbolic *machine, struct classes *classes) {
  by_classes = machine;
  __real_symbolic_use_classes(machine, classes);
}

void __wrap_symbolic_leave_out(struct symbolic *machine, symbolic_absent_function absent, void *context) {
  if (!blind || machine != by_classes)
    __real_symbolic_leave_out(machine, absent, context);
}

/* ---- the policy and its rules ---- */

static void read_policy(void) {
  char end[32];
  time_t moment = (time_t)now.seconds + 30 * 86400;
  struct tm civil;
  gmtime_r(&moment, &civil);
  strftime(end, sizeof(end), "%Y-%m-%dT%H:%M:%SZ", &civil);
  const char *whole = arena_printf(arena, text, papers, papers, papers, end, papers);
  policy = policy_of_text(arena, whole);
  ck_assert_int_eq(flow_marks(policy, arena, &identities), 0);
}

static void set_up(void) {
  arena = arena_new(0);
  now = (struct instant){time(NULL)};
  blind = false;
  read_policy();
  struct compile_options options = {.now = now};
  ruleset = live_from_policy(policy, &options, arena);
  ck_assert_uint_eq(ruleset->table_count, 1);
}

static void tear_down(void) {
  arena = arena_free(arena);
}

/* ---- asking ---- */

static struct proof ask(bool in_full) {
  static const struct surroundings nothing_known = {0};
  struct proof_question question = {.policy = policy,
                                    .ruleset = ruleset,
                                    .identities = identities,
                                    .surroundings = &nothing_known,
                                    .in_full = in_full};
  struct proof proof;
  struct error error = {0};
  int code = prove(&question, now, arena, &proof, &error);
  ck_assert_msg(code == 0, "%s", error.message);
  return proof;
}

static void expect_of(bool in_full, enum proof_result result) {
  struct proof proof = ask(in_full);
  const struct counterexample *example = proof.counterexample_count > 0 ? &proof.counterexamples[0] : NULL;
  ck_assert_msg(proof.result == result, "%s: %s instead of %s (%s; %s, %s, mark %08x)",
                in_full ? "in full" : "by classes", proof_result_name(proof.result), proof_result_name(result),
                proof.gap_count > 0 ? proof.gaps[0].why : "-", example != NULL ? example->message : "-",
                example != NULL ? situation_tracking_name(example->situation.tracking) : "-",
                example != NULL ? example->connection_mark : 0);
}

static void expect(enum proof_result result) {
  expect_of(true, result);
  expect_of(false, result);
}

/* ---- changing what was decoded ---- */

static struct live_chain *chain_of(const char *prefix) {
  struct live_table *table = ruleset->tables;
  for (size_t i = 0; i < table->chain_count; i++)
    if (strncmp(table->chains[i].name, prefix, strlen(prefix)) == 0)
      return &table->chains[i];
  ck_abort_msg("no chain %s", prefix);
  return NULL;
}

static struct live_set *set_of(const char *name) {
  struct live_table *table = ruleset->tables;
  for (size_t i = 0; i < table->set_count; i++)
    if (strcmp(table->sets[i].name, name) == 0)
      return &table->sets[i];
  ck_abort_msg("no set %s", name);
  return NULL;
}

static const uint8_t *mark_bytes(uint32_t value) {
  return arena_memdup(arena, &value, sizeof(value));
}

static void put_rule(struct live_chain *chain, size_t at, const struct live_expression *expressions, size_t count) {
  struct live_rule *rules = ARENA_ARRAY(arena, chain->rule_count + 1, struct live_rule);
  memcpy(rules, chain->rules, at * sizeof(*rules));
  memcpy(rules + at + 1, chain->rules + at, (chain->rule_count - at) * sizeof(*rules));
  rules[at] = (struct live_rule){.handle = 4711,
                                 .comment = "",
                                 .expressions = arena_memdup(arena, expressions, count * sizeof(*expressions)),
                                 .expression_count = count};
  chain->rules = rules;
  chain->rule_count++;
}

static struct live_element *put_element(struct live_set *set, const uint8_t *key) {
  struct live_element *elements = ARENA_ARRAY(arena, set->element_count + 1, struct live_element);
  if (set->element_count > 0)
    memcpy(elements, set->elements, set->element_count * sizeof(*elements));
  set->elements = elements;
  struct live_element *element = &elements[set->element_count++];
  *element = (struct live_element){.first = key, .last = key};
  return element;
}

static struct live_element *element_of(struct live_set *set, uint32_t mark) {
  for (size_t i = 0; i < set->element_count; i++)
    if (memcmp(set->elements[i].first, &mark, sizeof(mark)) == 0)
      return &set->elements[i];
  ck_abort_msg("no mark %08x in %s", mark, set->name);
  return NULL;
}

static struct live_expression load_ct(unsigned key, int direction, unsigned destination, unsigned length) {
  return (struct live_expression){.kind = LIVE_CT,
                                  .name = "ct",
                                  .key = key,
                                  .direction = direction,
                                  .destination = destination,
                                  .has_destination = true,
                                  .length = length};
}

static struct live_expression load_protocol(void) {
  return (struct live_expression){.kind = LIVE_META,
                                  .name = "meta",
                                  .key = NFT_META_L4PROTO,
                                  .destination = SECOND,
                                  .has_destination = true,
                                  .length = 1};
}

static struct live_expression write_mark(unsigned source) {
  return (struct live_expression){
      .kind = LIVE_CT_SET, .name = "ct", .key = NFT_CT_MARK, .direction = -1, .source = source};
}

static struct live_expression constant(uint32_t value) {
  return (struct live_expression){.kind = LIVE_IMMEDIATE,
                                  .name = "immediate",
                                  .destination = REGISTER,
                                  .has_destination = true,
                                  .length = 4,
                                  .data = mark_bytes(value),
                                  .data_length = 4};
}

static struct live_expression bitwise(uint32_t mask, uint32_t flip) {
  return (struct live_expression){.kind = LIVE_BITWISE,
                                  .name = "bitwise",
                                  .source = REGISTER,
                                  .destination = REGISTER,
                                  .has_destination = true,
                                  .length = 4,
                                  .data = mark_bytes(mask),
                                  .data_length = 4,
                                  .data_to = mark_bytes(flip),
                                  .data_to_length = 4};
}

static struct live_expression equals(unsigned source, const void *value, unsigned length) {
  return (struct live_expression){.kind = LIVE_COMPARE,
                                  .name = "cmp",
                                  .source = source,
                                  .length = length,
                                  .operation = NFT_CMP_EQ,
                                  .data = arena_memdup(arena, value, length),
                                  .data_length = length};
}

static struct live_expression lookup(const struct live_set *set, unsigned source) {
  return (struct live_expression){.kind = LIVE_LOOKUP, .name = "lookup", .source = source, .set = set};
}

static struct live_expression decide(enum live_verdict_code code) {
  return (struct live_expression){
      .kind = LIVE_IMMEDIATE, .name = "immediate", .is_verdict = true, .verdict = {.code = code}};
}

/* A map of (ct original daddr . proto-dst), perhaps with saddr, with one element: towards this port of 10.1.0.20. */
static struct live_set *map_of_port(uint16_t port, bool with_source) {
  struct live_set *set = ARENA_NEW(arena, struct live_set);
  *set = (struct live_set){.table = ruleset->tables,
                           .name = "by hand",
                           .concatenation = true,
                           .key_length = with_source ? 12 : 8,
                           .data_length = 4,
                           .field_lengths = {4, 2, 4},
                           .field_count = with_source ? 3 : 2,
                           .data_kind = LIVE_VALUES};
  uint8_t *key = arena_alloc(arena, 12);
  memcpy(key, (const uint8_t[]){10, 1, 0, SERVER, (uint8_t)(port >> 8), (uint8_t)port, 0, 0, 10, 0, 0, CLIENT}, 12);
  put_element(set, key)->data = mark_bytes(1);
  return set;
}

enum { QUESTIONS = 10 };

/*
 * Questions that no packet answers with yes: its tuple would have to be the element of one map and of another. By
 * classes that is not seen, since the maps have other fields.
 */
static size_t ask_the_impossible(struct live_expression rule[static QUESTIONS]) {
  size_t count = 0;
  const uint8_t udp = 17;
  const struct live_set *maps[] = {map_of_port(5000, true), map_of_port(5001, false)};
  rule[count++] = load_protocol();
  rule[count++] = equals(SECOND, &udp, 1);
  rule[count++] = load_ct(NFT_CT_DST_IP, 0, REGISTER, 4);
  rule[count++] = load_ct(NFT_CT_PROTO_DST, 0, REGISTER + 4, 2);
  rule[count++] = load_ct(NFT_CT_SRC_IP, 0, REGISTER + 8, 4);
  for (size_t i = 0; i < 2; i++) {
    struct live_expression found = lookup(maps[i], REGISTER);
    found.has_destination = true;
    found.destination = SECOND;
    found.length = 4;
    rule[count++] = found;
  }
  return count;
}

/* Rules point to sets: where these have moved, so must they. */
static void point_to(struct live_table *table, const struct live_set *old, struct live_set *sets) {
  for (size_t i = 0; i < table->chain_count; i++)
    for (size_t j = 0; j < table->chains[i].rule_count; j++) {
      struct live_rule *rule = &table->chains[i].rules[j];
      struct live_expression *own =
          arena_memdup(arena, rule->expressions, rule->expression_count * sizeof(struct live_expression));
      for (size_t k = 0; k < rule->expression_count; k++)
        if (own[k].set >= old && own[k].set < old + table->set_count)
          own[k].set = sets + (own[k].set - old);
      rule->expressions = own;
    }
}

static struct live_set *put_set(const char *like, const char *name) {
  struct live_table *table = ruleset->tables;
  struct live_set *sets = ARENA_ARRAY(arena, table->set_count + 1, struct live_set), *set = &sets[table->set_count];
  memcpy(sets, table->sets, table->set_count * sizeof(*sets));
  *set = *set_of(like);
  set->name = name;
  set->elements = NULL;
  set->element_count = 0;
  point_to(table, table->sets, sets);
  table->sets = sets;
  table->set_count++;
  return set;
}

/* ---- the tests ---- */

START_TEST(as_compiled_it_is_proven) {
  expect(PROOF_PROVEN);
}
END_TEST

START_TEST(a_rewriting_that_is_met_by_classes_alone_is_not_credited) {
  const uint32_t established = 2, loose = ~identities[0] & (identities[0] + 1); /* a bit that the flow's mark has not */
  struct live_expression rule[QUESTIONS + 3];
  size_t count = ask_the_impossible(rule);
  rule[count++] = load_ct(NFT_CT_MARK, -1, REGISTER, 4);
  rule[count++] = bitwise(~loose, 0);
  rule[count++] = write_mark(REGISTER);
  struct live_chain *chain = chain_of("pair.alpha.bravo");
  put_rule(chain, chain->rule_count - 1, rule, count);
  expect(PROOF_PROVEN); /* nobody meets it */
  struct live_set *extra = put_set("in_force.alpha.bravo", "extra");
  put_element(extra, mark_bytes(identities[0] | loose));
  const struct live_expression go_on[] = {load_ct(NFT_CT_STATE, -1, REGISTER, 4), equals(REGISTER, &established, 4),
                                          load_ct(NFT_CT_MARK, -1, REGISTER, 4), lookup(extra, REGISTER),
                                          decide(LIVE_ACCEPT)};
  put_rule(chain, 0, go_on, 5);
  expect(PROOF_REFUTED); /* and so that mark is no flow's */
}
END_TEST

START_TEST(a_mark_that_is_written_by_classes_alone_is_asked_about_again_in_full) {
  struct live_expression rule[QUESTIONS + 3];
  size_t count = ask_the_impossible(rule);
  rule[count++] = constant(identities[1]);
  rule[count++] = write_mark(REGISTER);
  struct live_chain *chain = chain_of("pair.alpha.bravo");
  put_rule(chain, chain->rule_count - 1, rule, count);
  expect(PROOF_PROVEN);
}
END_TEST

/* Connections of any tuple may get JUNK. Its TCP may go on, but for an hour it is dropped before that is asked. */
START_TEST(a_timer_on_a_mark_that_is_no_identity_is_asked_about) {
  static const char *const chains[] = {"pair.alpha.charly", "pair.charly.alpha"};
  const uint32_t junk = JUNK;
  const uint8_t tcp = 6;
  struct live_set *stopped = put_set("in_force.alpha.bravo", "stopped");
  struct live_element *element = put_element(stopped, mark_bytes(JUNK));
  stopped->has_timeouts = element->has_timeout = true;
  element->timeout = element->expiration = 3600000;
  const struct live_expression stop[] = {load_protocol(), equals(SECOND, &tcp, 1),
                                         load_ct(NFT_CT_MARK, -1, REGISTER, 4), lookup(stopped, REGISTER),
                                         decide(LIVE_DROP)},
                               go_on[] = {load_protocol(), equals(SECOND, &tcp, 1),
                                          load_ct(NFT_CT_MARK, -1, REGISTER, 4), equals(REGISTER, &junk, 4),
                                          decide(LIVE_ACCEPT)},
                               stamp[] = {constant(JUNK), write_mark(REGISTER)};
  for (size_t i = 0; i < 2; i++) {
    struct live_chain *chain = chain_of(chains[i]);
    put_rule(chain, 0, stop, 5);
    put_rule(chain, 1, go_on, 5);
    put_rule(chain, chain->rule_count - 1, stamp, 2);
  }
  expect(PROOF_UNDECIDED);
}
END_TEST

START_TEST(the_vacuity_guard_asks_by_classes_too) {
  blind = true;
  expect_of(true, PROOF_PROVEN);
  struct proof proof = ask(false);
  ck_assert_int_eq(proof.claims[CLAIM_SOUND], PROOF_UNDECIDED);
  ck_assert_int_eq(proof.result, PROOF_UNDECIDED);
}
END_TEST

START_TEST(very_many_writes_change_nothing) {
  enum { WRITES = 300 };
  struct live_chain *chain = chain_of("pair.alpha.bravo");
  struct live_expression rule[QUESTIONS + 3];
  size_t count = ask_the_impossible(rule);
  rule[count++] = constant(identities[0]);
  rule[count++] = write_mark(REGISTER);
  for (unsigned i = 0; i < WRITES; i++)
    put_rule(chain, chain->rule_count - 1, rule, count);
  expect(PROOF_PROVEN);
  put_element(set_of("in_force.alpha.bravo"), mark_bytes(JUNK));
  expect(PROOF_REFUTED);
}
END_TEST

/* Connections from before these rules have no mark: turned over, nothing becomes a flow's. */
START_TEST(no_mark_at_all_may_not_be_made_that_of_a_flow) {
  const uint32_t nothing = 0;
  const struct live_expression turn[] = {load_ct(NFT_CT_MARK, -1, REGISTER, 4), equals(REGISTER, &nothing, 4),
                                         bitwise(UINT32_MAX, identities[0]), write_mark(REGISTER)},
                               join[] = {load_ct(NFT_CT_MARK, -1, REGISTER, 4), bitwise(~identities[0], identities[0]),
                                         write_mark(REGISTER)},
                               cut[] = {load_ct(NFT_CT_MARK, -1, REGISTER, 4), bitwise(identities[0], 0),
                                        write_mark(REGISTER)};
  const struct live_expression *const rules[] = {turn, join, cut};
  const size_t counts[] = {4, 3, 3};
  struct live_chain *chain = chain_of("pair.alpha.bravo");
  put_rule(chain, chain->rule_count - 1, rules[_i], counts[_i]);
  struct proof in_full = ask(true), shorter = ask(false);
  ck_assert_int_ne(in_full.result, PROOF_PROVEN);
  ck_assert_int_eq(shorter.result, in_full.result);
}
END_TEST

/* The flow ends in a month, the element in a year, and somebody asks the set about something else beside. */
START_TEST(a_late_timer_is_seen_whoever_else_asks_its_set) {
  struct live_set *set = set_of("in_force.alpha.bravo");
  struct live_element *element = element_of(set, identities[3]);
  struct live_chain *chain = chain_of("forward");
  ck_assert(element->has_timeout);
  element->timeout = element->expiration = UINT64_C(365) * 86400000;
  if (_i == 1) {
    const struct live_expression rule[] = {load_ct(NFT_CT_SRC_IP, 0, REGISTER, 4), lookup(set, REGISTER),
                                           decide(LIVE_DROP)};
    put_rule(chain, chain->rule_count, rule, 3);
  } else if (_i == 2) {
    struct live_chain *pair = chain_of("pair.alpha.bravo");
    const struct live_expression rule[] = {load_ct(NFT_CT_MARK, -1, REGISTER, 4), load_protocol(),
                                           lookup(set, REGISTER), decide(LIVE_ACCEPT)};
    put_rule(pair, 1, rule, 4);
  }
  struct proof in_full = ask(true), shorter = ask(false);
  ck_assert_int_ne(in_full.result, PROOF_PROVEN);
  ck_assert_int_eq(shorter.result, in_full.result);
}
END_TEST

/* The flow ends in a month; beside its own element, one by another address lets it go on for a year. */
START_TEST(a_late_timer_on_another_key_is_seen) {
  const uint8_t client[] = {10, 0, 0, CLIENT};
  const uint32_t established = 2;
  struct live_set *set = put_set("in_force.alpha.bravo", "late");
  struct live_element *element = put_element(set, arena_memdup(arena, client, sizeof(client)));
  set->has_timeouts = element->has_timeout = true;
  element->timeout = element->expiration = UINT64_C(365) * 86400000;
  const struct live_expression rule[] = {load_ct(NFT_CT_STATE, -1, REGISTER, 4),
                                         equals(REGISTER, &established, 4),
                                         load_ct(NFT_CT_MARK, -1, REGISTER, 4),
                                         equals(REGISTER, &identities[3], 4),
                                         load_ct(NFT_CT_SRC_IP, 0, REGISTER, 4),
                                         lookup(set, REGISTER),
                                         decide(LIVE_ACCEPT)};
  put_rule(chain_of("pair.alpha.bravo"), 1, rule, 7);
  expect(PROOF_UNDECIDED);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("prove_classes");
  TCase *tests = tcase_create("prove_classes");
  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_test(tests, as_compiled_it_is_proven);
  tcase_add_test(tests, a_rewriting_that_is_met_by_classes_alone_is_not_credited);
  tcase_add_test(tests, a_mark_that_is_written_by_classes_alone_is_asked_about_again_in_full);
  tcase_add_test(tests, a_timer_on_a_mark_that_is_no_identity_is_asked_about);
  tcase_add_test(tests, the_vacuity_guard_asks_by_classes_too);
  tcase_add_test(tests, very_many_writes_change_nothing);
  tcase_add_loop_test(tests, no_mark_at_all_may_not_be_made_that_of_a_flow, 0, 3);
  tcase_add_loop_test(tests, a_late_timer_is_seen_whoever_else_asks_its_set, 0, 3);
  tcase_add_test(tests, a_late_timer_on_another_key_is_seen);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
