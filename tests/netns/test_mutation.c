/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The prover kept honest. A policy is compiled and loaded; then one thing in the kernel is changed, and the prover is
 * asked. What it refutes must be so: the packet it shows is sent, and must pass or be dropped as predicted. What it
 * still calls proven must be equal in meaning: a storm of packets aimed at the policy's edges must agree with it.
 *
 *   test_mutation [--rounds N] [--seconds N] [--seed N] [--only OPERATOR]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "deliver.h"
#include "duel.h"
#include "kernel/snapshot.h"
#include "mutate.h"
#include "proof/decode.h"
#include "proof/prove.h"
#include "random_policy.h"
#include "rules/compile.h"
#include "town.h"

struct settings {
  unsigned long rounds, seconds;
  uint64_t seed;
  const char *only;
};

struct score {
  unsigned tried, refuted, undecided, equal, wrong;
  unsigned sent, as_predicted, not_sendable;
};

struct bout {
  struct lab *lab;
  struct nftables *nftables;
  struct duel_field field;
  struct ruleset *compiled;
  struct arena *arena; /* of the policy */
  const char *text;
  struct dice dice;
};

static double clock_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- asking the prover ---- */

/* By classes and in full the answer must be the same. */
static int ask(const struct bout *bout, struct arena *arena, struct proof *ret_proof, struct error *error) {
  static const struct surroundings nothing_known = {0};
  struct snapshot snapshot;
  struct live_ruleset *ruleset;
  uint32_t *identities = NULL;
  int code = snapshot_take(arena, &snapshot, error);
  if (code == 0)
    code = decode_ruleset(&snapshot, arena, &ruleset, error);
  if (code == 0)
    code = flow_marks(bout->field.policy, arena, &identities);
  if (code != 0)
    return code;
  struct proof_question question = {.policy = bout->field.policy,
                                    .own = bout->field.circumstances.own,
                                    .ruleset = ruleset,
                                    .identities = identities,
                                    .surroundings = &nothing_known};
  struct instant now = {time(NULL)};
  struct proof in_full;
  code = prove(&question, now, arena, ret_proof, error);
  question.in_full = true;
  if (code == 0)
    code = prove(&question, now, arena, &in_full, error);
  if (code == 0 &&
      (in_full.result != ret_proof->result || memcmp(in_full.claims, ret_proof->claims, sizeof(in_full.claims)) != 0))
    return error_set(error, EPROTO, "%s by classes, %s in full", proof_result_name(ret_proof->result),
                     proof_result_name(in_full.result));
  return code;
}

/* ---- judging the answer ---- */

static void print_example(const struct bout *bout, const struct counterexample *example) {
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE];
  printf("    %s, %s, %s -> %s, in %s out %s: %s -> %s protocol %u ports %u %u type %u flags %02x traits %x mark %08x "
         "status %x; the kernel %s it\n",
         proof_claim_name(example->claim), situation_tracking_name(example->situation.tracking),
         policy_zone_name(bout->field.policy, example->policy.from_zone),
         policy_zone_name(bout->field.policy, example->policy.to_zone),
         example->situation.in != NULL ? example->situation.in : "-",
         example->situation.out != NULL ? example->situation.out : "-", address_format(&example->packet.source, source),
         address_format(&example->packet.destination, destination), example->packet.protocol,
         example->packet.source_port, example->packet.destination_port, example->packet.icmp_type,
         example->packet.tcp_flags, example->packet.traits, example->connection_mark, example->connection_status,
         example->kernel_allows ? "passes" : "drops");
}

static bool send_examples(const struct bout *bout, const struct proof *proof, struct score *score) {
  bool good = true;
  for (size_t i = 0; i < proof->counterexample_count; i++) {
    const struct counterexample *example = &proof->counterexamples[i];
    const char *why;
    enum delivery delivery = deliver_counterexample(bout->lab, example, &why);
    if (delivery == DELIVERY_IMPOSSIBLE) {
      score->not_sendable++;
      continue;
    }
    score->sent++;
    if ((delivery == DELIVERY_PASSED) == example->kernel_allows) {
      score->as_predicted++;
      continue;
    }
    printf("    sent, and %s:\n", delivery == DELIVERY_PASSED ? "it passed" : "it was dropped");
    print_example(bout, example);
    good = false;
  }
  return good;
}

/* While packets are played the gateway keeps its own answers back; to the prover that would be somebody's table. */
static void silence(bool silent) {
  const char *line = silent ? "nft 'add table inet laboratory'" : "nft 'add table inet laboratory { flags dormant ; }'";
  if (system(line) != 0) // NOLINT(cert-env33-c): in a namespace of our own
    printf("    the laboratory's own table cannot be switched\n");
}

/* Whether packets at all edges of the policy meet the kernel as they should. */
static bool packets_agree(struct bout *bout) {
  struct duel_list list = {0};
  struct duel_field field = bout->field;
  unsigned lost = 0;
  field.verdicts_only = true;      /* the prover says nothing about reasons, */
  field.errors_may_be_lost = true; /* nor that errors about connections pass: only that nothing else does as one */
  field.log = stdout;
  field.log_limit = 2;
  random_duels(&bout->dice, &field, 400, &list);
  silence(true);
  long wrong = duel_run(&field, list.items, list.count);
  silence(false);
  for (size_t i = 0; i < list.count; i++)
    lost += duel_lost_error(&list.items[i]);
  duel_list_clear(&list);
  if (lost != 0)
    printf("    proven, and %u errors about connections are lost: no claim says that they pass\n", lost);
  return wrong == 0;
}

static bool judge(struct bout *bout, const struct mutation_operator *operator, const struct proof * proof,
                  struct score *score) {
  switch (proof->result) {
  case PROOF_REFUTED:
    score->refuted++;
    return send_examples(bout, proof, score);
  case PROOF_UNDECIDED:
    score->undecided++;
    for (size_t i = 0; i < proof->gap_count && i < 2; i++)
      printf("    undecided: %s\n", proof->gaps[i].why);
    return true;
  case PROOF_PROVEN:
    break;
  }
  score->equal++;
  return !operator->never_equal && packets_agree(bout);
}

/* ---- one mutant ---- */

static bool load(struct bout *bout, const struct ruleset *ruleset, struct error *error) {
  struct refusal refusal = {0};
  nftables_forget(bout->nftables);
  return nftables_apply(bout->nftables, ruleset, (struct instant){time(NULL)}, NULL, &refusal, error) == 0;
}

static bool run_mutant(struct bout *bout, const struct mutation_operator *operator, struct score * score) {
  struct arena *arena = arena_new(0);
  struct mutation mutation = {.dice = &bout->dice, .arena = arena, .ruleset = mutation_copy(bout->compiled, arena)};
  struct error error = {0};
  struct proof proof;
  bool good = true;
  bool applied = mutation.ruleset != NULL && operator->apply(&mutation);
  if (applied && load(bout, mutation.ruleset, &error)) { /* a kernel that refuses it needs no prover */
    score->tried++;
    int code = ask(bout, arena, &proof, &error);
    good = code == 0 && judge(bout, operator, & proof, score);
    if (code != 0)
      printf("    the prover failed: %s\n", error.message);
    if (!good) {
      score->wrong++;
      printf("FAILURE: %s: %s: %s\n", operator->name, mutation.what,
             code == 0 ? proof_result_name(proof.result) : "no answer");
      for (size_t i = 0; code == 0 && i < proof.counterexample_count && i < 3; i++)
        print_example(bout, &proof.counterexamples[i]);
    }
  }
  arena_free(arena);
  return good;
}

/* ---- a policy and all operators ---- */

static bool begin(struct bout *bout, uint64_t seed, struct error *error) {
  struct instant now = {time(NULL)};
  bout->arena = arena_new(0);
  bout->dice = (struct dice){seed};
  bout->text = random_policy_text(&bout->dice, now, bout->arena);
  const struct policy *policy = bout->text != NULL ? town_policy("random.conf", bout->text, bout->arena) : NULL;
  if (policy == NULL)
    return false;
  bout->field = (struct duel_field){.lab = bout->lab, .policy = policy, .scratch = bout->arena};
  bout->field.circumstances = (struct circumstances){.now = now, .own = lab_own(bout->lab)};
  struct compile_options options = {.now = now, .own = lab_own(bout->lab)};
  return ruleset_compile(policy, &options, bout->arena, &bout->compiled, error) == 0 &&
         load(bout, bout->compiled, error);
}

static bool is_proven(struct bout *bout, struct error *error) {
  struct arena *arena = arena_new(0);
  struct proof proof;
  int code = ask(bout, arena, &proof, error);
  bool proven = code == 0 && proof.result == PROOF_PROVEN;
  for (size_t i = 0; code == 0 && i < proof.counterexample_count; i++)
    print_example(bout, &proof.counterexamples[i]);
  arena_free(arena);
  return proven;
}

static unsigned run_round(struct bout *bout, uint64_t seed, const struct settings *settings, struct score *scores,
                          double end) {
  struct error error = {0};
  unsigned wrong = 0;
  if (!begin(bout, seed, &error) || !is_proven(bout, &error)) {
    printf("FAILURE: seed %llu: the unchanged policy is not proven: %s\n", (unsigned long long)seed, error.message);
    wrong++;
  }
  for (size_t i = 0; wrong == 0 && i < mutation_operator_count && clock_seconds() < end; i++) {
    if (settings->only != NULL && strcmp(settings->only, mutation_operators[i].name) != 0)
      continue;
    if (!run_mutant(bout, &mutation_operators[i], &scores[i]))
      wrong++;
  }
  if (wrong != 0)
    printf("policy of seed %llu:\n%s\n", (unsigned long long)seed, bout->text);
  arena_free(bout->arena);
  return wrong;
}

static unsigned print_scores(const struct score *scores) {
  struct score all = {0};
  printf("%-24s %6s %8s %10s %6s %6s %13s %13s\n", "operator", "tried", "refuted", "undecided", "equal", "wrong",
         "sent, so", "not sendable");
  for (size_t i = 0; i < mutation_operator_count; i++) {
    const struct score *score = &scores[i];
    printf("%-24s %6u %8u %10u %6u %6u %6u/%6u %13u\n", mutation_operators[i].name, score->tried, score->refuted,
           score->undecided, score->equal, score->wrong, score->as_predicted, score->sent, score->not_sendable);
    all.tried += score->tried;
    all.refuted += score->refuted;
    all.undecided += score->undecided;
    all.equal += score->equal;
    all.sent += score->sent;
    all.as_predicted += score->as_predicted;
  }
  printf("%u mutants: %u refuted, %u undecided, %u equal in meaning; %u of %u counterexamples sent went as predicted\n",
         all.tried, all.refuted, all.undecided, all.equal, all.as_predicted, all.sent);
  return all.refuted;
}

static bool take_options(int count, char **words, struct settings *settings) {
  for (int i = 1; i + 1 < count; i += 2) {
    if (strcmp(words[i], "--rounds") == 0)
      settings->rounds = strtoul(words[i + 1], NULL, 0);
    else if (strcmp(words[i], "--seconds") == 0)
      settings->seconds = strtoul(words[i + 1], NULL, 0);
    else if (strcmp(words[i], "--seed") == 0)
      settings->seed = strtoull(words[i + 1], NULL, 0);
    else if (strcmp(words[i], "--only") == 0)
      settings->only = words[i + 1];
    else
      return false;
  }
  return count % 2 == 1;
}

int main(int count, char **words) {
  struct settings settings = {.rounds = 1000, .seconds = 60, .seed = dice_seed()};
  if (!take_options(count, words, &settings)) {
    fprintf(stderr, "usage: %s [--rounds N] [--seconds N] [--seed N] [--only OPERATOR]\n", words[0]);
    return 2;
  }
  lab_require();
  printf("seed %llu\n", (unsigned long long)settings.seed);
  struct error error = {0};
  struct arena *arena = arena_new(0);
  struct lab_options options = {.spare_interfaces = random_spare_interfaces};
  const struct policy *topology = town_policy("topology.conf", random_topology(), arena);
  struct bout bout = {0};
  if (topology == NULL || lab_new(topology, &options, &bout.lab, &error) < 0 ||
      nftables_open(&bout.nftables, &error) < 0) {
    fprintf(stderr, "%s\n", error.message);
    return EXIT_FAILURE;
  }
  silence(false);
  struct score *scores = ARENA_ARRAY(arena, mutation_operator_count, struct score);
  unsigned wrong = scores == NULL ? 1 : 0;
  double end = clock_seconds() + (double)settings.seconds;
  for (unsigned long i = 0; wrong < 3 && i < settings.rounds && clock_seconds() < end; i++)
    wrong += run_round(&bout, settings.seed + i, &settings, scores, end);
  unsigned refuted = scores != NULL ? print_scores(scores) : 0;
  nftables_close(bout.nftables);
  lab_free(bout.lab);
  arena_free(arena);
  return wrong == 0 && refuted > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
