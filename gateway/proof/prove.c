/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proof/prove.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proof/prove_parts.h"

/*
 * Theory of operation. All pairs of zones are looked at, the gateway and "no zone" being two of them; pairs with the
 * gateway come last, since it reports about connections of all others. Each pair is proven with decision diagrams in a
 * store; a store serves one pair after another until it has grown, so that what the pairs have in common (the guard) is
 * drawn seldom; a store that still fits into the processor's cache is twice as fast as a large one. What comes out is a
 * list of findings; the worst of them is the result.
 */

enum {
  NODE_BUDGET = 64 * 1024 * 1024,
  NODES_BEFORE_A_NEW_BENCH = 128 * 1024,
  VARIABLES_FOR_A_PAIR = 1024,
  DOUBTED_BEFORE_ALL = 4,
};

const char *proof_claim_name(enum proof_claim claim) {
  static const char *const names[CLAIM_COUNT_] = {"new",   "mark",         "established", "time",
                                                  "guard", "no-way-round", "sound"};
  return (unsigned)claim < CLAIM_COUNT_ ? names[claim] : "-";
}

const char *proof_result_name(enum proof_result result) {
  static const char *const names[] = {"proven", "refuted", "undecided"};
  return (unsigned)result < sizeof(names) / sizeof(names[0]) ? names[result] : "-";
}

/* ---- outcomes ---- */

/* A refutation stands whatever else could not be decided. */
static enum proof_result worse(enum proof_result left, enum proof_result right) {
  static const int rank[] = {[PROOF_PROVEN] = 0, [PROOF_UNDECIDED] = 1, [PROOF_REFUTED] = 2};
  return rank[left] >= rank[right] ? left : right;
}

void prover_note_claim(struct prover *prover, enum proof_claim claim, enum proof_result result) {
  prover->proof->claims[claim] = worse(prover->proof->claims[claim], result);
  prover->proof->result = worse(prover->proof->result, result);
}

void prover_note_pair(struct prover *prover, zone_index from, zone_index to, enum proof_result result, size_t nodes) {
  struct proof *proof = prover->proof;
  proof->result = worse(proof->result, result);
  struct proof_pair *pair = NULL;
  for (size_t i = proof->pair_count; i-- > 0 && pair == NULL;)
    if (proof->pairs[i].from == from && proof->pairs[i].to == to)
      pair = &proof->pairs[i];
  if (pair == NULL) {
    if (arena_grow(prover->arena, (void **)&proof->pairs, proof->pair_count, &prover->pair_capacity,
                   sizeof(proof->pairs[0])) != 0)
      return;
    pair = &proof->pairs[proof->pair_count++];
    *pair = (struct proof_pair){from, to, PROOF_PROVEN, 0};
  }
  pair->result = worse(pair->result, result);
  pair->nodes = nodes > pair->nodes ? nodes : pair->nodes;
}

void prover_note_gap(struct prover *prover, const struct proof_gap *gap) {
  struct proof *proof = prover->proof;
  prover->proof->result = worse(proof->result, PROOF_UNDECIDED);
  for (size_t i = 0; i < proof->gap_count; i++)
    if (proof->gaps[i].rule == gap->rule && proof->gaps[i].chain == gap->chain && proof->gaps[i].from == gap->from &&
        proof->gaps[i].to == gap->to && strcmp(proof->gaps[i].why, gap->why) == 0)
      return;
  if (arena_grow(prover->arena, (void **)&proof->gaps, proof->gap_count, &prover->gap_capacity,
                 sizeof(proof->gaps[0])) != 0)
    return;
  struct proof_gap *kept = &proof->gaps[proof->gap_count++];
  *kept = *gap;
  kept->why = arena_strdup(prover->arena, gap->why);
}

void prover_note_undecided(struct prover *prover, enum proof_claim claim, const struct proof_gap *gap) {
  prover_note_gap(prover, gap);
  prover_note_claim(prover, claim, PROOF_UNDECIDED);
  prover_note_pair(prover, gap->from, gap->to, PROOF_UNDECIDED, 0);
}

static bool same_unknown(const struct unknown *left, const struct unknown *right) {
  return left->rule == right->rule && left->expression == right->expression && strcmp(left->what, right->what) == 0 &&
         strcmp(left->chain, right->chain) == 0 && strcmp(left->table, right->table) == 0;
}

void prover_note_condition(struct prover *prover, const struct proof_condition *condition) {
  struct proof *proof = prover->proof;
  for (size_t i = 0; i < proof->condition_count; i++)
    if (proof->conditions[i].from == condition->from && proof->conditions[i].to == condition->to &&
        same_unknown(proof->conditions[i].unknown, condition->unknown))
      return;
  if (arena_grow(prover->arena, (void **)&proof->conditions, proof->condition_count, &prover->condition_capacity,
                 sizeof(proof->conditions[0])) != 0)
    return;
  struct proof_condition *kept = &proof->conditions[proof->condition_count];
  struct unknown *unknown = arena_memdup(prover->arena, condition->unknown, sizeof(*unknown));
  if (unknown == NULL)
    return;
  unknown->table = arena_strdup(prover->arena, unknown->table);
  unknown->chain = arena_strdup(prover->arena, unknown->chain);
  unknown->what = arena_strdup(prover->arena, unknown->what);
  *kept = (struct proof_condition){unknown, condition->from, condition->to};
  proof->condition_count++;
}

/* ---- tools ---- */

struct bench *bench_free(struct bench *bench) {
  if (bench == NULL)
    return NULL;
  diagram_store_free(bench->store);
  arena_free(bench->arena);
  return NULL;
}

struct bench *bench_new(const struct prover *prover, enum bench_kind kind) {
  const struct proof_question *question = prover->question;
  struct arena *arena = arena_new(question->memory_limit);
  struct bench *bench = arena != NULL ? ARENA_NEW(arena, struct bench) : NULL;
  if (bench == NULL) {
    arena_free(arena);
    return NULL;
  }
  struct authorised_question authorised = {
      .policy = question->policy, .restrictions = question->restrictions, .own = prover->own, .now = prover->now};
  bench->arena = arena;
  bench->store = diagram_store_new(question->node_budget != 0 ? question->node_budget : NODE_BUDGET);
  bench->space = space_new(arena);
  if (bench->store == NULL || bench->space == NULL)
    return bench_free(bench);
  bench->machine = symbolic_new(question->ruleset, question->surroundings, bench->space, bench->store, arena);
  bench->authorised = authorised_new(&authorised, bench->space, bench->store, arena);
  if (bench->machine == NULL || bench->authorised == NULL)
    return bench_free(bench);
  if (kind == BENCH_BY_CLASSES) {
    bench->classes = classes_new(bench->space, bench->store, arena);
    symbolic_use_classes(bench->machine, bench->classes);
    authorised_use_classes(bench->authorised, bench->classes);
  }
  return bench;
}

static void note_use(struct prover *prover, const struct bench *bench) {
  size_t nodes = diagram_store_nodes(bench->store);
  size_t bytes = diagram_store_bytes(bench->store) + arena_used(bench->arena);
  prover->proof->nodes = nodes > prover->proof->nodes ? nodes : prover->proof->nodes;
  prover->proof->bytes = bytes > prover->proof->bytes ? bytes : prover->proof->bytes;
}

/* ---- all pairs ---- */

struct pair_walk {
  struct prover *prover;
  struct bench *by_classes, *in_full; /* NULL: none yet, or the last one has grown */
  zone_index first_left, first_right; /* the pair that came first */
  bool failed;
};

/* A bench has grown when it no longer fits into the processor's cache, or has few variables left. */
static bool has_grown(const struct bench *bench) {
  return diagram_store_nodes(bench->store) > NODES_BEFORE_A_NEW_BENCH || diagram_store_failed(bench->store) ||
         !space_has_classes(bench->space, VARIABLES_FOR_A_PAIR);
}

struct bench *bench_renew(const struct prover *prover, struct bench *bench, enum bench_kind kind) {
  if (bench != NULL && has_grown(bench))
    bench = bench_free(bench);
  return bench != NULL ? bench : bench_new(prover, kind);
}

/* Few rulesets are partly proven by classes: where many pairs are in doubt, there is something that concerns all. */
static bool is_hopeless(const struct prover *prover) {
  return prover->in_full || (prover->doubted >= DOUBTED_BEFORE_ALL && 2 * prover->doubted > prover->tried);
}

/* What was noted since is taken back; the lists keep their room. */
static void take_back(struct proof *proof, const struct proof *before) {
  struct proof now = *proof;
  *proof = *before;
  proof->pairs = now.pairs;
  proof->gaps = now.gaps;
  proof->conditions = now.conditions;
  proof->counterexamples = now.counterexamples;
  proof->nodes = now.nodes;
  proof->bytes = now.bytes;
}

/* False: nothing was noted. */
static bool walk_by_classes(struct pair_walk *walk, zone_index left, zone_index right) {
  struct prover *prover = walk->prover;
  struct proof before = *prover->proof;
  walk->by_classes = bench_renew(prover, walk->by_classes, BENCH_BY_CLASSES);
  if (walk->by_classes == NULL)
    return false;
  words_remember(&prover->words);
  prover->tried++;
  bool proven = prove_pair(prover, walk->by_classes, left, right);
  note_use(prover, walk->by_classes);
  if (proven) {
    words_forget(&prover->words);
    return true;
  }
  words_restore(&prover->words);
  prover->doubted++;
  take_back(prover->proof, &before);
  walk->by_classes = bench_free(walk->by_classes);
  return false;
}

static void walk_in_full(struct pair_walk *walk, zone_index left, zone_index right) {
  walk->in_full = bench_renew(walk->prover, walk->in_full, BENCH_IN_FULL);
  if (walk->in_full == NULL) {
    walk->failed = true;
    return;
  }
  prove_pair(walk->prover, walk->in_full, left, right);
  note_use(walk->prover, walk->in_full);
}

static void walk_pair(struct pair_walk *walk, zone_index left, zone_index right) {
  if (!is_hopeless(walk->prover) && walk_by_classes(walk, left, right))
    return;
  walk_in_full(walk, left, right);
}

static bool has_tcp(const struct flow *flow) {
  for (size_t i = 0; i < flow->service_count; i++)
    if (flow->services[i].protocol == PROTOCOL_TCP)
      return true;
  return false;
}

/*
 * What rules make of a mark that is borne already is learned in full only, and is the same for all pairs: so one pair
 * of few flows, but of TCP, whose handshakes take a bit away, comes first, and in full. False: there is none.
 */
static bool find_first(const struct prover *prover, zone_index *ret_left, zone_index *ret_right) {
  const struct policy *policy = prover->question->policy;
  size_t width = policy->zone_count, least = SIZE_MAX;
  struct first_count {
    size_t flows;
    bool tcp;
  } *counts = ARENA_ARRAY(prover->arena, width * width + 1, struct first_count);
  for (size_t i = 0; counts != NULL && i < policy->flow_count; i++) {
    const struct flow *flow = &policy->flows[i];
    if (flow->from_zone < 0 || flow->to_zone < 0 || flow->from_zone == flow->to_zone)
      continue;
    bool turned = flow->from_zone > flow->to_zone;
    size_t left = (size_t)(turned ? flow->to_zone : flow->from_zone),
           right = (size_t)(turned ? flow->from_zone : flow->to_zone);
    counts[left * width + right].flows++;
    counts[left * width + right].tcp = counts[left * width + right].tcp || (has_tcp(flow) && prover->in_force[i]);
  }
  for (size_t i = 0; counts != NULL && i < width * width; i++)
    if (counts[i].tcp && counts[i].flows < least) {
      least = counts[i].flows;
      *ret_left = (zone_index)(i / width);
      *ret_right = (zone_index)(i % width);
    }
  return least != SIZE_MAX;
}

static void walk_others(struct pair_walk *walk, zone_index left, zone_index right) {
  if (left != walk->first_left || right != walk->first_right)
    walk_pair(walk, left, right);
}

static int walk_pairs(struct prover *prover) {
  struct pair_walk walk = {.prover = prover, .first_left = ZONE_NONE, .first_right = ZONE_GATEWAY};
  bool first = !prover->in_full && find_first(prover, &walk.first_left, &walk.first_right);
  if (first)
    walk_in_full(&walk, walk.first_left, walk.first_right);
  else
    walk.first_left = walk.first_right = ZONE_GATEWAY; /* no pair */
  zone_index count = (zone_index)prover->question->policy->zone_count;
  for (zone_index left = ZONE_NONE; left < count && !walk.failed; left++)
    for (zone_index right = left; right < count && !walk.failed; right++)
      walk_others(&walk, left, right);
  for (zone_index zone = ZONE_NONE; zone < count && !walk.failed; zone++)
    walk_pair(&walk, zone, ZONE_GATEWAY);
  bench_free(walk.by_classes);
  bench_free(walk.in_full);
  return walk.failed ? -ENOMEM : 0;
}

/* ---- no way round ---- */

static int find_bypasses(struct prover *prover) {
  const struct proof_question *question = prover->question;
  struct proof *proof = prover->proof;
  int code = bypass_find(question->policy, question->ruleset, question->surroundings, prover->arena, &proof->bypasses,
                         &proof->bypass_count);
  for (size_t i = 0; code == 0 && i < proof->bypass_count; i++) {
    const struct bypass *bypass = &proof->bypasses[i];
    enum proof_result result = bypass->state == BYPASS_OPEN      ? PROOF_REFUTED
                               : bypass->state == BYPASS_UNKNOWN ? PROOF_UNDECIDED
                                                                 : PROOF_PROVEN;
    prover_note_claim(prover, CLAIM_NO_WAY_ROUND, result);
    if (result != PROOF_PROVEN && bypass->left != ZONE_NONE && bypass->right != ZONE_NONE) {
      prover_note_pair(prover, bypass->left, bypass->right, result, 0);
      prover_note_pair(prover, bypass->right, bypass->left, result, 0);
    }
  }
  return code;
}

/* ---- the proof ---- */

static int know_flows(struct prover *prover) {
  const struct proof_question *question = prover->question;
  const struct policy *policy = question->policy;
  bool *in_force = ARENA_ARRAY(prover->arena, policy->flow_count + 1, bool);
  if (in_force == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < policy->flow_count; i++)
    in_force[i] =
        restricted_flow_force(policy, question->restrictions, &policy->flows[i], prover->now, NULL) == FORCE_YES;
  prover->in_force = in_force;
  return 0;
}

static int prove_claims(struct prover *prover) {
  int code = walk_pairs(prover);
  if (code == 0)
    code = prove_fragments(prover);
  if (code == 0)
    code = find_bypasses(prover);
  if (code == 0) {
    prove_times(prover);
    prove_canary(prover);
  }
  return code;
}

/* One pair is asked before its turn: the list is in the order of the zones all the same, those of the gateway last. */
static int pair_order(const void *left_pair, const void *right_pair) {
  const struct proof_pair *pairs[] = {left_pair, right_pair};
  int keys[2][4];
  for (int i = 0; i < 2; i++) {
    zone_index from = pairs[i]->from, to = pairs[i]->to;
    bool turned = from == ZONE_GATEWAY || (to != ZONE_GATEWAY && from > to);
    keys[i][0] = from == ZONE_GATEWAY || to == ZONE_GATEWAY;
    keys[i][1] = turned ? to : from;
    keys[i][2] = turned ? from : to;
    keys[i][3] = turned;
  }
  for (int key = 0; key < 4; key++)
    if (keys[0][key] != keys[1][key])
      return keys[0][key] < keys[1][key] ? -1 : 1;
  return 0;
}

/* By classes more packets seem to be stamped than are, so that a word may stand for fewer flows than it does. Where
 * that may be why something is refuted, all is asked again in full. */
static bool may_be_wrong(const struct prover *prover) {
  const enum proof_result *claims = prover->proof->claims;
  bool by_words = claims[CLAIM_MARK] == PROOF_REFUTED || claims[CLAIM_ESTABLISHED] == PROOF_REFUTED ||
                  claims[CLAIM_TIME] == PROOF_REFUTED;
  return by_words && prover->tried > prover->doubted;
}

int prove(const struct proof_question *question, struct instant now, struct arena *arena, struct proof *ret_proof,
          struct error *error) {
  struct error own_error = {0};
  struct prover prover = {
      .question = question,
      .now = now,
      .arena = arena,
      .error = error != NULL ? error : &own_error,
      .proof = ret_proof,
      .own = question->own,
      .words = {.arena = arena},
      .in_full = question->in_full || question->identities == NULL,
  };
  prover.error->code = 0;
  *ret_proof = (struct proof){.generation = question->ruleset->generation};
  if (prover.own == NULL && question->surroundings != NULL && question->surroundings->known)
    prover.own = &question->surroundings->own;
  int code =
      proof_interfaces_list(question->policy, question->ruleset, question->surroundings, arena, &prover.interfaces);
  if (code == 0)
    code = know_flows(&prover);
  if (code == 0 && !identities_sort(&prover))
    code = -ENOMEM;
  struct prover again = prover;
  if (code == 0)
    code = prove_claims(&prover);
  if (code == 0 && may_be_wrong(&prover)) {
    again.in_full = true;
    again.error->code = 0;
    *ret_proof = (struct proof){.generation = question->ruleset->generation};
    code = prove_claims(&again);
  }
  if (code == 0 && arena_failed(arena))
    code = -ENOMEM;
  if (code != 0)
    return error_set(prover.error, -code, "out of memory");
  if (ret_proof->pair_count > 1)
    qsort(ret_proof->pairs, ret_proof->pair_count, sizeof(ret_proof->pairs[0]), pair_order);
  /* One packet that all judges agree upon is a refutation, whatever else went wrong. */
  return prover.error->code != 0 && ret_proof->counterexample_count == 0 ? -prover.error->code : 0;
}
