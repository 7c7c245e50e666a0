/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "proof/prove_parts.h"

/*
 * A set of packets on which policy and rules differ becomes one packet. Before it is kept it is asked of two judges
 * that had no part in finding it: policy/decide and the concrete meaning of the rules. If one of them sees it
 * otherwise, one of our judges is wrong, and nothing that this run says can be relied upon.
 */

enum { COUNTEREXAMPLE_LIMIT = 16 };

static const struct {
  const char *japanese[2], *english[2]; /* [kernel allows] */
} SENTENCES[CLAIM_COUNT_] = {
    [CLAIM_NEW] = {{"ポリシーが許す新しい接続を、カーネルの規則が落とします",
                    "ポリシーが許さない新しい接続を、カーネルの規則が通します"},
                   {"the policy allows this opening, and the kernel's rules drop it",
                    "the kernel's rules let this opening pass, and the policy does not allow it"}},
    [CLAIM_MARK] = {{"接続に付く印が、許している通信のものではありません",
                     "接続に付く印が、許している通信のものではありません"},
                    {"the connection does not get the mark of a flow that allows it",
                     "the connection does not get the mark of a flow that allows it"}},
    [CLAIM_ESTABLISHED] = {{"有効な許可のある接続の続きを、カーネルの規則が落とします",
                            "有効な許可のない接続の続きを、カーネルの規則が通します"},
                           {"the connection is authorised now, and the kernel's rules drop a later packet of it",
                            "the kernel's rules let the connection go on, and no flow in force covers it"}},
    [CLAIM_TIME] = {{"期限が来ても、カーネルの規則がこの通信を通し続けます",
                     "期限が来ても、カーネルの規則がこの通信を通し続けます"},
                    {"the kernel's rules let this pass after its flow has ended",
                     "the kernel's rules let this pass after its flow has ended"}},
    [CLAIM_GUARD] = {{"入口検査が落とさなければならないパケットです",
                      "入口検査が落とさなければならないパケットを、カーネルの規則が通します"},
                     {"the guard must drop this packet",
                      "the guard must drop this packet, and the kernel's rules let it pass"}},
};

/* An address that could be a host's: some way into the first network of that family. */
static struct address some_host(const struct policy *policy, zone_index zone, enum address_family family,
                                unsigned number) {
  struct address address = {0};
  for (size_t i = 0; zone >= 0 && i < policy->zones[zone].network_count; i++) {
    const struct address_range *range = &policy->zones[zone].networks[i].range;
    if (range->first.family != family)
      continue;
    struct address found = range->first;
    found.bytes[address_length(family) - 1] |= (uint8_t)number;
    return range_contains(range, &found) ? found : range->first;
  }
  return address;
}

static struct witness_wishes wishes_of(const struct prover *prover, const struct cell *cell) {
  enum { SENDER = 40, RECEIVER = 50 };
  const struct policy *policy = prover->question->policy;
  enum address_family family = cell->situation.family;
  struct witness_wishes wishes = {.source = some_host(policy, cell->pair.from, family, SENDER),
                                  .destination = some_host(policy, cell->pair.to, family, RECEIVER)};
  bool reply = cell->situation.tracking == TRACKING_REPLY || cell->situation.tracking == TRACKING_RELATED_REPLY;
  zone_index from = reply ? cell->pair.to : cell->pair.from, to = reply ? cell->pair.from : cell->pair.to;
  for (size_t i = 0; i < policy->flow_count; i++) {
    const struct flow *flow = &policy->flows[i];
    if (flow->from_zone != from || flow->to_zone != to || flow->service_count == 0)
      continue;
    const struct endpoint *ends[2] = {flow->from, flow->to};
    size_t counts[2] = {flow->from_count, flow->to_count};
    struct address *places[2] = {reply ? &wishes.destination : &wishes.source,
                                 reply ? &wishes.source : &wishes.destination};
    for (size_t j = 0; j < 2; j++)
      if (counts[j] != 0 && ends[j][0].kind == ENDPOINT_HOST && ends[j][0].host != NULL &&
          ends[j][0].host->address_count != 0 &&
          ends[j][0].host->addresses[0].range.first.family == cell->situation.family)
        *places[j] = ends[j][0].host->addresses[0].range.first;
    wishes.protocol = flow->services[0].protocol;
    wishes.destination_port = flow->services[0].first_port;
    return wishes;
  }
  return wishes;
}

static bool room_for_another(const struct prover *prover, const struct cell *cell, enum proof_claim claim,
                             bool kernel_allows) {
  const struct proof *proof = prover->proof;
  for (size_t i = 0; i < proof->counterexample_count; i++) {
    const struct counterexample *other = &proof->counterexamples[i];
    if (other->claim == claim && other->kernel_allows == kernel_allows && other->policy.from_zone == cell->pair.from &&
        other->policy.to_zone == cell->pair.to)
      return false;
  }
  return proof->counterexample_count < COUNTEREXAMPLE_LIMIT;
}

static struct decision ask_policy(const struct prover *prover, const struct query *query) {
  struct circumstances circumstances = {prover->now, prover->own, prover->question->restrictions};
  return policy_decide(prover->question->policy, &circumstances, query);
}

/* Whether both other judges see the packet as it was found. Claims about marks and ends concern what is allowed now. */
static bool judges_agree(struct prover *prover, const struct cell *cell, enum proof_claim claim, bool kernel_allows,
                         const struct witness *witness, const struct decision *decision,
                         const struct concrete_result *concrete) {
  bool policy_allows = claim == CLAIM_MARK || claim == CLAIM_TIME || !kernel_allows;
  bool rules = concrete->unmodelled != NULL || concrete->accepted == kernel_allows;
  bool closed = prover->question->gate_closed && cell->situation.path == PATH_FORWARD;
  if (rules && (decision->allow == policy_allows || closed || claim == CLAIM_MARK || claim == CLAIM_TIME))
    return true;
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE];
  error_set(
      prover->error, EPROTO,
      "the prover contradicts %s: claim %s, %s, in %s out %s, %s -> %s, protocol %u, ports %u %u (%s by the "
      "rules; %s by the policy: %s)",
      rules ? "policy/decide" : "the concrete meaning", proof_claim_name(claim),
      situation_tracking_name(cell->situation.tracking), cell->situation.in != NULL ? cell->situation.in : "-",
      cell->situation.out != NULL ? cell->situation.out : "-", address_format(&witness->query.packet.source, source),
      address_format(&witness->query.packet.destination, destination), witness->query.packet.protocol,
      witness->query.packet.source_port, witness->query.packet.destination_port,
      concrete->accepted ? "allowed" : "denied", decision->allow ? "allowed" : "denied", reason_name(decision->reason));
  return false;
}

static void keep(struct prover *prover, const struct cell *cell, enum proof_claim claim, bool kernel_allows,
                 const struct witness *witness, const struct decision *decision, const struct concrete_result *concrete,
                 const struct flow *subject) {
  struct proof *proof = prover->proof;
  if (arena_grow(prover->arena, (void **)&proof->counterexamples, proof->counterexample_count,
                 &prover->counterexample_capacity, sizeof(proof->counterexamples[0])) != 0)
    return;
  struct counterexample *example = &proof->counterexamples[proof->counterexample_count++];
  enum language language = prover->question->policy->header.language;
  *example = (struct counterexample){
      .claim = claim,
      .situation = cell->situation,
      .packet = witness->query.packet,
      .opener = witness->query.role == ROLE_OPENS ? witness->query.packet : witness->query.opener,
      .connection_mark = witness->probe.connection_mark,
      .connection_status = witness->probe.connection_status,
      .frame_length = witness->frame_length < sizeof(example->frame) ? witness->frame_length : sizeof(example->frame),
      .policy = *decision,
      .kernel_allows = kernel_allows,
      .chain = concrete->chain,
      .rule = concrete->rule,
      .flow = subject != NULL ? subject : decision->flow,
      .place = subject != NULL ? subject->place : decision->place,
      .message =
          language_choose(language, SENTENCES[claim].japanese[kernel_allows], SENTENCES[claim].english[kernel_allows]),
  };
  memcpy(example->frame, witness->frame, example->frame_length);
  example->policy.from_zone = cell->pair.from;
  example->policy.to_zone = cell->pair.to;
}

struct asked {
  struct witness witness;
  struct concrete_result concrete;
  struct decision decision;
};

/* Chooses a packet of the set and asks the other judges. */
static bool ask_judges(struct pair_work *work, const struct cell *cell, diagram set, bool kernel_allows,
                       struct asked *ret_asked) {
  struct prover *prover = work->prover;
  struct bench *bench = work->bench;
  struct witness_wishes wishes = wishes_of(prover, cell);
  uint8_t *bits;
  if (!witness_choose(bench->space, bench->store, set, &cell->situation, &wishes, bench->arena, &bits))
    return false;
  witness_build(bench->space, bits, &cell->situation, &cell->pair, &ret_asked->witness);
  ret_asked->witness.probe.unknown_passes = kernel_allows;
  ret_asked->decision = ask_policy(prover, &ret_asked->witness.query);
  return concrete_judge(prover->question->ruleset, prover->question->surroundings, &ret_asked->witness.probe,
                        prover->arena, &ret_asked->concrete) == 0;
}

/* The rule at which it was decided. */
static void name_rule(struct proof_gap *gap, const struct asked *asked) {
  if (asked->concrete.chain == NULL)
    return;
  gap->table = asked->concrete.chain->table;
  gap->chain = asked->concrete.chain;
  gap->rule = asked->concrete.rule;
}

/* They may differ, but it depends on what cannot be known. */
static void note_doubt(struct pair_work *work, const struct cell *cell, enum proof_claim claim, diagram set,
                       bool kernel_allows) {
  struct asked asked;
  struct proof_gap gap = {.why = kernel_allows
                                     ? "may let pass what is not authorised: it depends on what cannot be known"
                                     : "may drop what is authorised: it depends on what cannot be known",
                          .from = cell->pair.from,
                          .to = cell->pair.to};
  if (ask_judges(work, cell, set, kernel_allows, &asked))
    name_rule(&gap, &asked);
  prover_note_undecided(work->prover, claim, &gap);
}

/* It hangs on what marks stand for, and that was not learned of all pairs: no flow may be missed for want of room. */
static bool is_unlearned(struct pair_work *work, const struct cell *cell, enum proof_claim claim) {
  struct proof_gap gap = {.why = "what marks stand for is not known: another question was too large",
                          .from = cell->pair.from,
                          .to = cell->pair.to};
  bool by_words = claim == CLAIM_MARK || claim == CLAIM_ESTABLISHED || claim == CLAIM_TIME;
  if (!by_words || !work->prover->words_missing)
    return false;
  prover_note_undecided(work->prover, claim, &gap);
  return true;
}

/* It would pass when timers have run, and is dropped by one of them now: no packet can show it. */
static bool is_held_back(struct pair_work *work, const struct cell *cell, enum proof_claim claim, diagram set) {
  struct asked asked;
  if (claim != CLAIM_TIME || !ask_judges(work, cell, set, true, &asked) || asked.concrete.accepted ||
      asked.concrete.unmodelled != NULL)
    return false;
  struct proof_gap gap = {.why = "more may pass when timers have run: what is dropped by one of them now",
                          .from = cell->pair.from,
                          .to = cell->pair.to};
  name_rule(&gap, &asked);
  prover_note_undecided(work->prover, claim, &gap);
  return true;
}

void prover_refute(struct pair_work *work, const struct cell *cell, enum proof_claim claim, diagram set,
                   bool kernel_allows, const struct flow *subject) {
  struct prover *prover = work->prover;
  struct diagram_store *store = work->bench->store;
  if (set == DIAGRAM_FALSE)
    return;
  if (work->bench->classes != NULL) {
    work->doubtful = true;
    return;
  }
  diagram certain =
      kernel_allows ? diagram_and(store, set, cell->kernel.must) : diagram_difference(store, set, cell->kernel.may);
  struct asked asked;
  if (certain == DIAGRAM_NONE) {
    work->failed = true;
    return;
  }
  if (certain == DIAGRAM_FALSE) {
    note_doubt(work, cell, claim, set, kernel_allows);
    return;
  }
  if (is_unlearned(work, cell, claim) || is_held_back(work, cell, claim, certain))
    return;
  prover_note_claim(prover, claim, PROOF_REFUTED);
  prover_note_pair(prover, cell->pair.from, cell->pair.to, PROOF_REFUTED, 0);
  if (!room_for_another(prover, cell, claim, kernel_allows))
    return;
  if (!ask_judges(work, cell, certain, kernel_allows, &asked)) {
    work->failed = true;
    return;
  }
  if (judges_agree(prover, cell, claim, kernel_allows, &asked.witness, &asked.decision, &asked.concrete))
    keep(prover, cell, claim, kernel_allows, &asked.witness, &asked.decision, &asked.concrete, subject);
}

/* The opener that a flow was made for: the first address of each end and its first service. */
static struct packet typical_packet(const struct flow *flow) {
  struct packet packet = {.source_port = 50000, .tcp_flags = TCP_SYN};
  if (flow->from_count != 0 && flow->from[0].host != NULL && flow->from[0].host->address_count != 0)
    packet.source = flow->from[0].host->addresses[0].range.first;
  if (flow->to_count != 0 && flow->to[0].host != NULL && flow->to[0].host->address_count != 0)
    packet.destination = flow->to[0].host->addresses[0].range.first;
  if (flow->service_count != 0) {
    packet.protocol = flow->services[0].protocol;
    packet.destination_port = flow->services[0].first_port;
    packet.icmp_type = flow->services[0].icmp_type;
  }
  return packet;
}

void prover_refute_time(struct prover *prover, const struct flow *flow, const struct live_set *set,
                        const char *message) {
  struct proof *proof = prover->proof;
  prover_note_claim(prover, CLAIM_TIME, PROOF_REFUTED);
  prover_note_pair(prover, flow->from_zone, flow->to_zone, PROOF_REFUTED, 0);
  if (proof->counterexample_count >= COUNTEREXAMPLE_LIMIT ||
      arena_grow(prover->arena, (void **)&proof->counterexamples, proof->counterexample_count,
                 &prover->counterexample_capacity, sizeof(proof->counterexamples[0])) != 0)
    return;
  struct packet packet = typical_packet(flow);
  proof->counterexamples[proof->counterexample_count++] = (struct counterexample){
      .claim = CLAIM_TIME,
      .situation = {.family = packet.source.family},
      .packet = packet,
      .opener = packet,
      .policy =
          {.allow = true, .flow = flow, .from_zone = flow->from_zone, .to_zone = flow->to_zone, .place = flow->place},
      .kernel_allows = true,
      .flow = flow,
      .place = flow->place,
      .message = arena_printf(prover->arena, "%s (%s)", message, set->name),
  };
}
