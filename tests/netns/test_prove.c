/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies compiled, loaded, read back and proven: the sample town in four forms, then random policies under random
 * restrictions. Each must be proven; anything else is a mistake of the compiler, of the prover, or of both.
 *
 *   test_prove [--policies N] [--seconds N] [--seed N] [--policy FILE]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "duel.h"
#include "kernel/snapshot.h"
#include "proof/decode.h"
#include "proof/prove.h"
#include "random_policy.h"
#include "random_restrictions.h"
#include "rules/compile.h"
#include "town.h"

struct settings {
  unsigned long policies, seconds;
  uint64_t seed;
  const char *policy;
};

struct totals {
  unsigned long proven, other;
  size_t flows, nodes;
  double seconds;
};

static double clock_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print_counterexample(const struct policy *policy, const struct counterexample *example) {
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE];
  printf("  %s, %s: %s -> %s: in %s out %s, %s -> %s, protocol %u, ports %u %u, type %u, flags %02x, traits %x, mark "
         "%08x\n    policy: %s (%s), kernel: %s in chain %s rule %llu\n    %s\n",
         proof_claim_name(example->claim), situation_tracking_name(example->situation.tracking),
         policy_zone_name(policy, example->policy.from_zone), policy_zone_name(policy, example->policy.to_zone),
         example->situation.in != NULL ? example->situation.in : "-",
         example->situation.out != NULL ? example->situation.out : "-", address_format(&example->packet.source, source),
         address_format(&example->packet.destination, destination), example->packet.protocol,
         example->packet.source_port, example->packet.destination_port, example->packet.icmp_type,
         example->packet.tcp_flags, example->packet.traits, example->connection_mark,
         example->policy.allow ? "allow" : "deny", reason_name(example->policy.reason),
         example->kernel_allows ? "allow" : "deny", example->chain != NULL ? example->chain->name : "-",
         example->rule != NULL ? (unsigned long long)example->rule->handle : 0, example->message);
}

static void print_proof(const struct policy *policy, const struct proof *proof) {
  printf("%s:", proof_result_name(proof->result));
  for (int i = 0; i < CLAIM_COUNT_; i++)
    printf(" %s %s", proof_claim_name((enum proof_claim)i), proof_result_name(proof->claims[i]));
  printf("\n");
  for (size_t i = 0; i < proof->counterexample_count; i++)
    print_counterexample(policy, &proof->counterexamples[i]);
  for (size_t i = 0; i < proof->gap_count; i++)
    printf("  undecided %s -> %s: chain %s rule %llu: %s\n", policy_zone_name(policy, proof->gaps[i].from),
           policy_zone_name(policy, proof->gaps[i].to), proof->gaps[i].chain != NULL ? proof->gaps[i].chain->name : "-",
           proof->gaps[i].rule != NULL ? (unsigned long long)proof->gaps[i].rule->handle : 0, proof->gaps[i].why);
  for (size_t i = 0; i < proof->bypass_count; i++)
    if (proof->bypasses[i].state != BYPASS_ASSUMED)
      printf("  way round: %s: %s\n", proof->bypasses[i].kind, proof->bypasses[i].detail);
}

/* 0 when it is proven. */
static int prove_loaded(const struct duel_field *field, struct arena *arena, struct totals *totals,
                        struct error *error) {
  static const struct surroundings nothing_known = {0};
  struct snapshot snapshot;
  struct live_ruleset *ruleset;
  uint32_t *identities = NULL;
  struct proof proof;
  int code = snapshot_take(arena, &snapshot, error);
  if (code == 0)
    code = decode_ruleset(&snapshot, arena, &ruleset, error);
  if (code == 0)
    code = flow_marks(field->policy, arena, &identities);
  if (code != 0)
    return code;
  struct proof_question question = {.policy = field->policy,
                                    .restrictions = field->circumstances.restrictions,
                                    .own = field->circumstances.own,
                                    .ruleset = ruleset,
                                    .identities = identities,
                                    .surroundings = &nothing_known};
  double begin = clock_seconds();
  code = prove(&question, field->circumstances.now, arena, &proof, error);
  totals->seconds += clock_seconds() - begin;
  if (code != 0)
    return code;
  totals->nodes = proof.nodes > totals->nodes ? proof.nodes : totals->nodes;
  totals->flows += field->policy->flow_count;
  totals->proven += proof.result == PROOF_PROVEN ? 1 : 0;
  if (proof.result == PROOF_PROVEN)
    return 0;
  print_proof(field->policy, &proof);
  return error_set(error, EPROTO, "not proven");
}

static void prove_policy(const char *title, struct duel_field *field, struct nftables *nftables, const char *text,
                         struct totals *totals) {
  struct arena *arena = arena_new(0);
  struct error error = {0};
  int code = field->policy == NULL ? error_set(&error, EINVAL, "the policy does not read")
                                   : duel_load(field, nftables, &error);
  if (code == 0)
    code = prove_loaded(field, arena, totals, &error);
  if (code != 0) {
    totals->other++;
    printf("FAILURE: %s: %s\n%s\n", title, error.message, text != NULL ? text : "");
  }
  arena_free(arena);
}

/* ---- the town ---- */

static void prove_town(struct duel_field *field, struct nftables *nftables, struct totals *totals) {
  static const struct {
    const char *title;
    unsigned changes;
  } forms[] = {{"the town", 0},
               {"the town, all in force", TOWN_IN_FORCE},
               {"the town, dual stack", TOWN_DUAL_STACK},
               {"the town, dual stack, all in force", TOWN_DUAL_STACK | TOWN_IN_FORCE}};
  for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
    struct arena *arena = arena_new(0);
    field->circumstances.now = (struct instant){time(NULL)};
    field->policy = town_load(forms[i].changes, field->circumstances.now, arena);
    double begin = totals->seconds;
    prove_policy(forms[i].title, field, nftables, NULL, totals);
    printf("%s: %.3f s\n", forms[i].title, totals->seconds - begin);
    arena_free(arena);
  }
}

/* ---- random policies ---- */

static unsigned below(void *context, unsigned limit) {
  return dice_below(context, limit);
}

static void prove_random(struct lab *lab, struct nftables *nftables, uint64_t seed, struct totals *totals) {
  struct arena *arena = arena_new(0);
  struct dice dice = {seed};
  const struct chance chance = {below, &dice};
  struct instant now = {time(NULL)};
  char title[40];
  struct restrictions restrictions;
  char *text = random_policy_text(&dice, now, arena);
  struct duel_field field = {.lab = lab,
                             .policy = text != NULL ? town_policy("random.conf", text, arena) : NULL,
                             .circumstances = {.now = now, .own = lab_own(lab)}};
  if (field.policy != NULL && dice_percent(&dice, 60)) {
    const struct address_set *own = lab_own(lab);
    restrictions = random_restrictions(&chance, field.policy, &own->ranges[0].first, own->count != 0, now, arena);
    field.circumstances.restrictions = &restrictions;
  }
  snprintf(title, sizeof(title), "seed %llu", (unsigned long long)seed);
  unsigned long other = totals->other;
  prove_policy(title, &field, nftables, text, totals);
  if (totals->other != other && field.circumstances.restrictions != NULL)
    printf("restricted: %s\n", restrictions_describe(field.circumstances.restrictions, field.policy, arena));
  arena_free(arena);
}

static void prove_file(const char *path, struct duel_field *field, struct nftables *nftables, struct totals *totals) {
  struct arena *arena = arena_new(0);
  field->circumstances.now = (struct instant){time(NULL)};
  char *text = town_text(path, 0, field->circumstances.now, arena);
  field->policy = text != NULL ? town_policy(path, text, arena) : NULL;
  prove_policy(path, field, nftables, NULL, totals);
  arena_free(arena);
}

/* What users begin with. */
static void prove_examples(struct duel_field *field, struct nftables *nftables, struct totals *totals) {
  prove_town(field, nftables, totals);
  prove_file(KIDO_SOURCE_DIRECTORY "/config/examples/full.conf", field, nftables, totals);
  prove_file(KIDO_SOURCE_DIRECTORY "/config/examples/minimal.conf", field, nftables, totals);
}

static bool take_options(int count, char **words, struct settings *settings) {
  for (int i = 1; i + 1 < count; i += 2) {
    if (strcmp(words[i], "--policies") == 0)
      settings->policies = strtoul(words[i + 1], NULL, 0);
    else if (strcmp(words[i], "--seconds") == 0)
      settings->seconds = strtoul(words[i + 1], NULL, 0);
    else if (strcmp(words[i], "--seed") == 0)
      settings->seed = strtoull(words[i + 1], NULL, 0);
    else if (strcmp(words[i], "--policy") == 0)
      settings->policy = words[i + 1];
    else
      return false;
  }
  return count % 2 == 1;
}

int main(int count, char **words) {
  struct settings settings = {.policies = 100, .seconds = 60, .seed = dice_seed()};
  if (!take_options(count, words, &settings)) {
    fprintf(stderr, "usage: %s [--policies N] [--seconds N] [--seed N] [--policy FILE]\n", words[0]);
    return 2;
  }
  lab_require();
  printf("seed %llu\n", (unsigned long long)settings.seed);
  struct error error = {0};
  struct arena *arena = arena_new(0);
  struct lab_options options = {.loud = true, .spare_interfaces = random_spare_interfaces};
  const struct policy *topology = town_policy("topology.conf", random_topology(), arena);
  struct lab *lab = NULL;
  struct nftables *nftables = NULL;
  if (topology == NULL || lab_new(topology, &options, &lab, &error) < 0 || nftables_open(&nftables, &error) < 0) {
    fprintf(stderr, "%s\n", error.message);
    return EXIT_FAILURE;
  }
  struct totals totals = {0};
  struct duel_field field = {.lab = lab, .circumstances = {.own = lab_own(lab)}};
  if (settings.policy != NULL)
    prove_file(settings.policy, &field, nftables, &totals);
  else
    prove_examples(&field, nftables, &totals);
  double end = clock_seconds() + (double)settings.seconds;
  for (unsigned long i = 0; settings.policy == NULL && i < settings.policies && clock_seconds() < end; i++)
    if (totals.other < 3)
      prove_random(lab, nftables, settings.seed + i, &totals);
  printf("%lu proven, %lu not, %zu flows, %.2f s in the prover, %zu nodes at most\n", totals.proven, totals.other,
         totals.flows, totals.seconds, totals.nodes);
  nftables_close(nftables);
  lab_free(lab);
  arena_free(arena);
  return totals.other == 0 && totals.proven > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
