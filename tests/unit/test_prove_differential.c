/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * By classes and in full, the answers of the prover must be the same. Random policies are compiled and decoded once
 * more and once more, each time with one or two places of the decoded rules changed, and asked about both ways. A few
 * seconds of it here; more with
 *
 *   KIDO_PROVE_SECONDS=1200 KIDO_SEED=1 KIDO_PROVE_ONLY=insert-rewrite KIDO_PROVE_LOUD=1 test_prove_differential
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dice.h"
#include "kernel/snapshot.h"
#include "live_mutate.h"
#include "proof/decode.h"
#include "proof/prove.h"
#include "random_policy_text.h"
#include "random_restrictions.h"
#include "rules/compile.h"
#include "rules/print.h"
#include "town.h"

enum { MUTANTS_OF_EACH = 40, OWN_MOST = 64 };

struct tally {
  unsigned policies, tried, proven, refuted, undecided, wrong;
};

/* A policy, and what a kernel makes of its rules. */
struct field {
  struct arena *arena;
  const struct policy *policy;
  struct restrictions restrictions;
  bool restricted, gate_closed;
  struct address_range own_ranges[OWN_MOST];
  struct address_set own;
  uint32_t *identities;
  struct snapshot snapshot;
  struct instant now;
  char *text;
};

static double clock_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static unsigned below(void *context, unsigned limit) {
  return dice_below(context, limit);
}

static unsigned long number_of(const char *name, unsigned long otherwise) {
  const char *text = getenv(name);
  return text != NULL ? strtoul(text, NULL, 10) : otherwise;
}

/* ---- a policy ---- */

static void write_host(FILE *out, struct dice *dice, unsigned zone, unsigned number) {
  unsigned first = 4 + 4 * dice_below(dice, 4), last = first + 1 + dice_below(dice, 8);
  fprintf(out, "  h%u-%u = { zone = \"%s\"; address = \"", zone, number, zone == 0 ? "alpha" : "bravo");
  switch (dice_below(dice, 5)) {
  case 0:
    fprintf(out, "10.%u.0.%u-10.%u.0.%u", zone, first, zone, last);
    break;
  case 1:
    fprintf(out, "10.%u.0.%u/30", zone, first);
    break;
  case 2:
    fprintf(out, "2400:8500:0:%u::%x", zone, first);
    break;
  default:
    fprintf(out, "10.%u.0.%u", zone, first + dice_below(dice, 3));
  }
  fprintf(out, "\"; %s};\n", zone == 0 && dice_percent(dice, 15) ? "mac = [ \"02:00:00:00:00:01\" ]; " : "");
}

static void write_end(FILE *out, struct dice *dice, const char *key, unsigned zone, unsigned hosts) {
  unsigned station = dice_below(dice, hosts);
  if (dice_percent(dice, 10))
    fprintf(out, " %s = \"zone:%s\";", key, zone == 0 ? "alpha" : "bravo");
  else if (dice_percent(dice, 30))
    fprintf(out, " %s = [ \"h%u-%u\", \"h%u-%u\" ];", key, zone, station, zone, (station + 1) % hosts);
  else
    fprintf(out, " %s = \"h%u-%u\";", key, zone, station);
}

static void write_flow(FILE *out, struct dice *dice, unsigned number, unsigned hosts, struct instant now) {
  static const char *const services[] = {"tcp/80",    "tcp/80-90", "tcp/85-100", "udp/53",           "udp/50-60",
                                         "proto/132", "tcp/443",   "tcp+udp/53", "icmp/echo-request"};
  enum { SERVICES = sizeof(services) / sizeof(services[0]), MONTH = 30 * 86400 };
  unsigned from = dice_below(dice, 2), one = dice_below(dice, SERVICES), other = dice_below(dice, SERVICES);
  bool own = dice_percent(dice, 10);
  char expires[32];
  time_t moment = (time_t)(now.seconds + MONTH);
  struct tm civil;
  gmtime_r(&moment, &civil);
  strftime(expires, sizeof(expires), "%Y-%m-%dT%H:%M:%SZ", &civil);
  fprintf(out, "  F-%u = {", number);
  write_end(out, dice, "from", from, hosts);
  if (own)
    fprintf(out, " to = \"gateway\";");
  else
    write_end(out, dice, "to", 1 - from, hosts);
  fprintf(out, " services = [ \"%s\"", services[one]);
  if (other != one && dice_percent(dice, 40))
    fprintf(out, ", \"%s\"", services[other]);
  fprintf(out,
          " ];\n    method = \"exception\"; purpose = \"p\"; owner = \"o\"; reason = \"r\"; log = \"none\"; approval = "
          "{ by = \"b\"; role = \"ciso\"; document = \"d\"; date = \"2026-04-01\"; author = \"a\"; }; review = "
          "\"2027-01-01\";%s%s%s };\n",
          dice_percent(dice, 20) ? "\n    expires = \"" : "\n    # \"", expires, "\";\n ");
}

/* Two zones, few hosts near each other, and flows that overlap: as little as possible around what is changed. */
static char *small_policy_text(struct dice *dice, struct instant now, struct arena *arena) {
  char *text = NULL, *copy;
  size_t length = 0;
  FILE *out = open_memstream(&text, &length);
  ck_assert_ptr_nonnull(out);
  unsigned hosts = 3 + dice_below(dice, 3), flows = 2 + dice_below(dice, 5);
  fprintf(out, "policy = { name = \"small\"; number = \"1\"; basis = \"test\"; effective = \"2026-04-01\"; model = "
               "\"alpha\"; timezone = \"Asia/Tokyo\"; language = \"en\"; special_exempt = [ ]; };\n");
  fprintf(out, "zones = {\n");
  fprintf(out,
          "  alpha = { class = \"lgwan\"; interfaces = [ \"a0\"%s ]; networks = [ \"10.0.0.0/24\", "
          "\"2400:8500:0:0::/64\" ];%s%s };\n",
          dice_percent(dice, 30) ? ", \"a1\"" : "", dice_percent(dice, 30) ? " within = \"allow\";" : "",
          dice_percent(dice, 20) ? " on_deny = \"reject\";" : "");
  fprintf(out,
          "  bravo = { class = \"internet\"; interfaces = [ \"b0\" ]; networks = [ \"10.1.0.0/24\", "
          "\"2400:8500:0:1::/64\" ];%s };\n};\n",
          dice_percent(dice, 30) ? " default_route = true;" : "");
  fprintf(out, "hosts = {\n");
  for (unsigned i = 0; i < 2 * hosts; i++)
    write_host(out, dice, i % 2, i / 2);
  fprintf(out, "};\nflows = {\n");
  for (unsigned i = 0; i < flows; i++)
    write_flow(out, dice, i, hosts, now);
  fprintf(out, "};\n");
  fclose(out);
  copy = arena_strdup(arena, text);
  free(text);
  return copy;
}

/* In each network the gateway has an address. */
static void choose_own(struct field *field) {
  size_t count = 0;
  for (size_t i = 0; i < field->policy->zone_count; i++)
    for (size_t j = 0; j < field->policy->zones[i].network_count && count < OWN_MOST; j++) {
      struct address own = field->policy->zones[i].networks[j].range.first;
      own.bytes[own.family == FAMILY_IPV4 ? 3 : 15] |= 1;
      field->own_ranges[count++] = (struct address_range){own, own};
    }
  ck_assert_int_eq(address_set_build(field->arena, field->own_ranges, count, &field->own), 0);
}

static void compile(struct field *field) {
  struct compile_options options = {
      .now = field->now, .own = &field->own, .restrictions = field->restricted ? &field->restrictions : NULL};
  struct ruleset *ruleset;
  struct error error = {0};
  char *text = NULL;
  size_t length = 0;
  ck_assert_int_eq(ruleset_compile(field->policy, &options, field->arena, &ruleset, &error), 0);
  FILE *stream = open_memstream(&text, &length);
  ck_assert_int_eq(ruleset_print_nft(stream, ruleset, field->now), 0);
  fclose(stream);
  ck_assert_msg(snapshot_of_text(text, length, field->arena, &field->snapshot, &error) == 0, "%s", error.message);
  free(text);
}

static void field_open(struct field *field, struct dice *dice) {
  const struct chance chance = {below, dice};
  *field = (struct field){.arena = arena_new(0), .now = {time(NULL)}};
  field->text = dice_percent(dice, 5) ? random_policy_text(dice, field->now, field->arena)
                                      : small_policy_text(dice, field->now, field->arena);
  field->policy = town_policy("random.conf", field->text, field->arena);
  ck_assert_ptr_nonnull(field->policy);
  choose_own(field);
  field->restricted = dice_percent(dice, 40);
  if (field->restricted)
    field->restrictions = random_restrictions(&chance, field->policy, &field->own.ranges[0].first,
                                              field->own.count != 0, field->now, field->arena);
  ck_assert_int_eq(flow_marks(field->policy, field->arena, &field->identities), 0);
  compile(field);
}

static struct live_ruleset *decode(const struct field *field, struct arena *arena) {
  struct live_ruleset *ruleset = NULL;
  struct error error = {0};
  ck_assert_msg(decode_ruleset(&field->snapshot, arena, &ruleset, &error) == 0, "%s", error.message);
  ck_assert_uint_eq(ruleset->table_count, 1);
  return ruleset;
}

/* ---- asking ---- */

static int ask(const struct field *field, const struct live_ruleset *ruleset, bool in_full, struct arena *arena,
               struct proof *ret_proof, struct error *error) {
  static const struct surroundings nothing_known = {0};
  struct proof_question question = {.policy = field->policy,
                                    .restrictions = field->restricted ? &field->restrictions : NULL,
                                    .own = &field->own,
                                    .ruleset = ruleset,
                                    .identities = field->identities,
                                    .surroundings = &nothing_known,
                                    .in_full = in_full};
  return prove(&question, field->now, arena, ret_proof, error);
}

static const char *claims_text(const struct proof *proof, struct arena *arena) {
  const char *text = proof_result_name(proof->result);
  for (int i = 0; i < CLAIM_COUNT_; i++)
    if (proof->claims[i] != PROOF_PROVEN)
      text = arena_printf(arena, "%s, %s %s", text, proof_claim_name((enum proof_claim)i),
                          proof_result_name(proof->claims[i]));
  return text;
}

/* NULL: both ways say the same. */
static const char *disagreement(const struct field *field, const struct live_ruleset *ruleset, struct arena *arena,
                                enum proof_result *ret_result) {
  struct proof by_classes, in_full;
  struct error one = {0}, other = {0};
  int first = ask(field, ruleset, false, arena, &by_classes, &one);
  int second = ask(field, ruleset, true, arena, &in_full, &other);
  if (first != 0 || second != 0)
    return arena_printf(arena, "no answer: by classes '%s', in full '%s'", one.message, other.message);
  *ret_result = in_full.result;
  if (by_classes.result == in_full.result && memcmp(by_classes.claims, in_full.claims, sizeof(in_full.claims)) == 0)
    return NULL;
  return arena_printf(arena, "by classes: %s; in full: %s", claims_text(&by_classes, arena),
                      claims_text(&in_full, arena));
}

/* ---- mutants ---- */

static const struct live_operator *choose_operator(struct dice *dice) {
  const char *only = getenv("KIDO_PROVE_ONLY");
  for (size_t i = 0; only != NULL && i < live_operator_count; i++)
    if (strcmp(live_operators[i].name, only) == 0)
      return &live_operators[i];
  return &live_operators[dice_below(dice, (unsigned)live_operator_count)];
}

static void count(enum proof_result result, struct tally *tally) {
  tally->tried++;
  tally->proven += result == PROOF_PROVEN;
  tally->refuted += result == PROOF_REFUTED;
  tally->undecided += result == PROOF_UNDECIDED;
}

static void try_mutant(const struct field *field, uint64_t seed, struct tally *tally, struct tally *scores) {
  struct arena *arena = arena_new(0);
  struct dice dice = {seed};
  struct live_ruleset *ruleset = decode(field, arena);
  struct live_mutation mutation = {.dice = &dice, .arena = arena, .table = ruleset->tables};
  unsigned wanted = dice_percent(&dice, 75) ? 1 : 2;
  const char *what = "", *names = "";
  size_t last = 0;
  bool changed = true;
  for (unsigned i = 0; i < wanted && changed; i++) {
    const struct live_operator *operator= choose_operator(&dice);
    changed = operator->apply(&mutation);
    what = arena_printf(arena, "%s %s;", what, mutation.what);
    names = arena_printf(arena, "%s %s", names, operator->name);
    last = (size_t)(operator- live_operators);
  }
  enum proof_result result = PROOF_UNDECIDED;
  const char *wrong = changed ? disagreement(field, ruleset, arena, &result) : NULL;
  if (changed) {
    count(result, tally);
    count(result, &scores[last]);
  }
  if (wrong != NULL) {
    tally->wrong++;
    printf("FAILURE: mutant %llu:%s:%s %s\n", (unsigned long long)seed, names, what, wrong);
  }
  arena_free(arena);
}

static void try_policy(uint64_t seed, double end, struct tally *tally, struct tally *scores) {
  struct field field;
  struct dice dice = {seed};
  unsigned wrong = tally->wrong;
  field_open(&field, &dice);
  struct arena *arena = arena_new(0);
  enum proof_result result = PROOF_UNDECIDED;
  const char *why = disagreement(&field, decode(&field, arena), arena, &result);
  if (why != NULL || result != PROOF_PROVEN) {
    tally->wrong++;
    printf("FAILURE: unchanged: %s\n", why != NULL ? why : proof_result_name(result));
  }
  arena_free(arena);
  tally->policies++;
  for (unsigned i = 0; i < MUTANTS_OF_EACH && (tally->tried == 0 || clock_seconds() < end); i++)
    try_mutant(&field, dice_throw(&dice), tally, scores);
  if (wrong != tally->wrong)
    printf("policy of seed %llu%s:\n%s\n", (unsigned long long)seed, field.restricted ? ", restricted" : "",
           getenv("KIDO_PROVE_LOUD") != NULL ? field.text : "");
  arena_free(field.arena);
}

static void print_scores(const struct tally *tally, const struct tally *scores) {
  for (size_t i = 0; i < live_operator_count; i++)
    printf("%-20s %6u tried: %6u proven %6u refuted %6u undecided\n", live_operators[i].name, scores[i].tried,
           scores[i].proven, scores[i].refuted, scores[i].undecided);
  printf("%u policies, %u mutants: %u proven, %u refuted, %u undecided, %u wrong\n", tally->policies, tally->tried,
         tally->proven, tally->refuted, tally->undecided, tally->wrong);
}

START_TEST(by_classes_and_in_full_random_changes_are_judged_alike) {
  uint64_t seed = dice_seed();
  double end = clock_seconds() + (double)number_of("KIDO_PROVE_SECONDS", 8);
  struct tally tally = {0}, scores[64] = {{0}};
  ck_assert_uint_le(live_operator_count, sizeof(scores) / sizeof(scores[0]));
  for (uint64_t i = 0; clock_seconds() < end && tally.wrong < 5; i++)
    try_policy(seed + i, end, &tally, scores);
  if (tally.wrong != 0 || getenv("KIDO_PROVE_LOUD") != NULL)
    print_scores(&tally, scores);
  ck_assert_msg(tally.wrong == 0, "%u disagreements, seed %llu", tally.wrong, (unsigned long long)seed);
  ck_assert_uint_gt(tally.tried, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("prove_differential");
  TCase *tests = tcase_create("prove_differential");
  tcase_set_timeout(tests, 60 + (double)number_of("KIDO_PROVE_SECONDS", 0));
  tcase_add_test(tests, by_classes_and_in_full_random_changes_are_judged_alike);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
