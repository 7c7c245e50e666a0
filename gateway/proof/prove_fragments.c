/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>

#include "proof/prove_parts.h"

/*
 * Theory of operation. All other claims are about packets that arrive whole. But the guard stands before the kernel
 * puts fragments together, so it meets each one alone, and knows of it only what that one says: the first has a
 * transport header, later ones have none, whatever their bytes look like. So the chains before reassembly are asked
 * about single fragments here, for each interface:
 *
 *   - against which the guard has a reason, it is dropped there, and takes no room in the queues behind;
 *   - which belongs to a packet that is authorised whole (as an opener or as an answer), it is not dropped there.
 *
 * The second part asks the policy only where something is dropped against which the guard has nothing: rarely, then.
 */

enum { COUNTEREXAMPLE_LIMIT = 16 };

enum { OFFSET = 0x1fff, MORE_FRAGMENTS = 0x2000, HOOK_INET_INGRESS = 5, HOOK_NETDEV_INGRESS = 0 };

/* One interface and version of IP. */
struct pieces {
  struct prover *prover;
  struct bench *bench;
  const struct live_ruleset *early; /* of which only the chains before reassembly are left */
  zone_index zone;
  struct situation situation;
  struct symbolic_result kernel;
  diagram first, later; /* all that there can be, less what cannot be followed */
  diagram refused_first, refused_later;
};

/* ---- the chains before reassembly, as a ruleset of their own ---- */

static bool comes_early(const struct live_table *table, const struct live_chain *chain) {
  if (table->family == NFPROTO_NETDEV)
    return chain->hook == HOOK_NETDEV_INGRESS;
  if (table->family == NFPROTO_INET && chain->hook == HOOK_INET_INGRESS)
    return true;
  bool ip = table->family == NFPROTO_INET || table->family == NFPROTO_IPV4 || table->family == NFPROTO_IPV6;
  return ip && chain->hook == NF_INET_PRE_ROUTING && chain->priority < NF_IP_PRI_CONNTRACK_DEFRAG;
}

static const struct live_ruleset *early_ruleset(const struct live_ruleset *ruleset, struct arena *arena) {
  struct live_ruleset *early = arena_memdup(arena, ruleset, sizeof(*ruleset));
  struct live_table *tables = ARENA_ARRAY(arena, ruleset->table_count + 1, struct live_table);
  if (early == NULL || tables == NULL)
    return NULL;
  for (size_t i = 0; i < ruleset->table_count; i++) {
    const struct live_table *table = &ruleset->tables[i];
    struct live_chain *chains = ARENA_ARRAY(arena, table->chain_count + 1, struct live_chain);
    if (chains == NULL)
      return NULL;
    for (size_t j = 0; j < table->chain_count; j++) {
      chains[j] = table->chains[j];
      chains[j].base = chains[j].base && comes_early(table, &chains[j]);
    }
    tables[i] = *table;
    tables[i].chains = chains;
  }
  early->tables = tables;
  return early;
}

/* ---- which fragments there are ---- */

static diagram number_in(struct bench *bench, enum space_field field, uint64_t first, uint64_t last) {
  uint8_t low[2] = {(uint8_t)(first >> 8), (uint8_t)first}, high[2] = {(uint8_t)(last >> 8), (uint8_t)last};
  struct diagram_field variables = space_field(bench->space, field, 0);
  size_t skipped = space_field_width(field) > 8 ? 0 : 1;
  return diagram_range(bench->store, &variables, low + skipped, high + skipped);
}

static diagram flag(struct bench *bench, enum space_field field) {
  return diagram_variable(bench->store, space_field_variable(bench->space, field, 0));
}

/* Any of the bits of FIELD_FRAGMENT under the mask. */
static diagram any_bit(struct bench *bench, uint16_t mask) {
  diagram set = DIAGRAM_FALSE;
  for (unsigned bit = 16; bit-- > 0;)
    if ((mask >> (15 - bit) & 1) != 0)
      set = diagram_or(bench->store, set,
                       diagram_variable(bench->store, space_field_variable(bench->space, FIELD_FRAGMENT, bit)));
  return set;
}

enum { HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, OPTIONS = 60 };

/* A header says what comes next: hop-by-hop options, routing, destination options, or the fragment header itself. */
static diagram sound_ipv6(struct bench *bench) {
  struct diagram_store *store = bench->store;
  diagram hop = number_in(bench, FIELD_NEXT_HEADER, HOP_BY_HOP, HOP_BY_HOP),
          routing = number_in(bench, FIELD_NEXT_HEADER, ROUTING, ROUTING);
  diagram next = diagram_or(store, number_in(bench, FIELD_NEXT_HEADER, FRAGMENT, FRAGMENT),
                            number_in(bench, FIELD_NEXT_HEADER, OPTIONS, OPTIONS));
  next = diagram_or(store, next, diagram_and(store, hop, flag(bench, FIELD_HAS_HOP_BY_HOP)));
  next = diagram_or(store, next, diagram_and(store, routing, flag(bench, FIELD_HAS_ROUTING)));
  diagram set = diagram_and(store, next, flag(bench, FIELD_HAS_FRAGMENT));
  return diagram_difference(store, set, any_bit(bench, (uint16_t) ~(OFFSET | MORE_FRAGMENTS)));
}

/* Headers that only stand behind the fragment header: of a later fragment nobody finds them (net/ipv6/exthdrs_core.c,
 * ipv6_find_hdr()). */
static diagram headers_behind(struct bench *bench) {
  struct diagram_store *store = bench->store;
  diagram found = diagram_or(store, flag(bench, FIELD_HAS_HOP_BY_HOP), flag(bench, FIELD_HAS_ROUTING));
  return diagram_and(store, number_in(bench, FIELD_NEXT_HEADER, FRAGMENT, FRAGMENT), found);
}

static void find_fragments(struct pieces *pieces) {
  struct bench *bench = pieces->bench;
  struct diagram_store *store = bench->store;
  bool version4 = pieces->situation.family == FAMILY_IPV4;
  diagram offset = any_bit(bench, OFFSET), more = any_bit(bench, MORE_FRAGMENTS);
  diagram sound = version4 ? number_in(bench, FIELD_VERSION_LENGTH, 0x45, 0x4f) : sound_ipv6(bench);
  pieces->later = diagram_and(store, sound, offset);
  if (!version4)
    pieces->later = diagram_difference(store, pieces->later, headers_behind(bench));
  /* In IPv6 a packet with the header alone is one, too: it is taken for the first and the last. */
  pieces->first = diagram_difference(store, version4 ? diagram_and(store, sound, more) : sound, offset);
}

static void leave_out_undecided(struct pieces *pieces) {
  struct diagram_store *store = pieces->bench->store;
  pieces->first = diagram_difference(store, pieces->first, pieces->kernel.undecided);
  pieces->later = diagram_difference(store, pieces->later, pieces->kernel.undecided);
}

/* ---- what the guard has against them ---- */

static diagram discovery(struct bench *bench) {
  diagram set = diagram_and(bench->store, number_in(bench, FIELD_PROTOCOL, PROTOCOL_ICMPV6, PROTOCOL_ICMPV6),
                            number_in(bench, FIELD_SOURCE_PORT, 135 << 8, 136 << 8 | UINT8_MAX));
  return diagram_and(bench->store, set, flag(bench, FIELD_TRANSPORT_READABLE));
}

static void ask_guard(struct pieces *pieces) {
  struct bench *bench = pieces->bench;
  struct diagram_store *store = bench->store;
  struct zone_pair pair = {pieces->zone, ZONE_NONE, false};
  diagram guard = diagram_support(store, authorised_guard(bench->authorised, &pair, pieces->situation.family));
  unsigned readable = space_field_variable(bench->space, FIELD_TRANSPORT_READABLE, 0);
  pieces->refused_first = guard;
  if (pieces->situation.family == FAMILY_IPV6) /* RFC 6980 */
    pieces->refused_first = diagram_or(store, guard, discovery(bench));
  pieces->refused_later = diagram_fix(store, guard, readable, false);
}

/* ---- findings ---- */

struct finding {
  diagram set; /* not empty */
  bool kernel_allows, later;
  struct situation situation;
  struct zone_pair pair;
};

struct asked {
  struct witness witness;
  struct concrete_result concrete;
  struct decision decision;
};

static bool ask_judges(const struct pieces *pieces, const struct finding *finding, struct asked *ret_asked) {
  struct prover *prover = pieces->prover;
  struct bench *bench = pieces->bench;
  struct witness_wishes wishes = {0};
  uint8_t *bits;
  if (!witness_choose(bench->space, bench->store, finding->set, &finding->situation, &wishes, bench->arena, &bits))
    return false;
  witness_build(bench->space, bits, &finding->situation, &finding->pair, &ret_asked->witness);
  ret_asked->witness.probe.unknown_passes = finding->kernel_allows;
  /* What the rules let by is judged by what it says itself; what they drop as the whole that it belongs to. */
  if (finding->kernel_allows && finding->later)
    ret_asked->witness.query.packet.traits |= TRAIT_NO_PORTS;
  struct circumstances circumstances = {prover->now, prover->own, prover->question->restrictions};
  ret_asked->decision = policy_decide(prover->question->policy, &circumstances, &ret_asked->witness.query);
  return concrete_judge(pieces->early, prover->question->surroundings, &ret_asked->witness.probe, prover->arena,
                        &ret_asked->concrete) == 0;
}

static bool judges_agree(const struct pieces *pieces, const struct finding *finding, const struct asked *asked) {
  bool rules = asked->concrete.unmodelled != NULL || asked->concrete.accepted == finding->kernel_allows;
  if (rules && asked->decision.allow != finding->kernel_allows)
    return true;
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE];
  const struct packet *packet = &asked->witness.query.packet;
  error_set(pieces->prover->error, EPROTO,
            "the prover contradicts %s: claim guard, a %s fragment, in %s, %s -> %s, protocol %u, ports %u %u (%s by "
            "the rules; %s by the policy: %s)",
            rules ? "policy/decide" : "the concrete meaning", finding->later ? "later" : "first",
            finding->situation.in != NULL ? finding->situation.in : "-", address_format(&packet->source, source),
            address_format(&packet->destination, destination), packet->protocol, packet->source_port,
            packet->destination_port, asked->concrete.accepted ? "allowed" : "denied",
            asked->decision.allow ? "allowed" : "denied", reason_name(asked->decision.reason));
  return false;
}

static void note(const struct pieces *pieces, const struct finding *finding, enum proof_result result) {
  prover_note_claim(pieces->prover, CLAIM_GUARD, result);
  prover_note_pair(pieces->prover, finding->pair.from, finding->pair.to, result, 0);
}

static void keep(const struct pieces *pieces, const struct finding *finding, const struct asked *asked) {
  enum language language = pieces->prover->question->policy->header.language;
  struct proof *proof = pieces->prover->proof;
  if (arena_grow(pieces->prover->arena, (void **)&proof->counterexamples, proof->counterexample_count,
                 &pieces->prover->counterexample_capacity, sizeof(proof->counterexamples[0])) != 0)
    return;
  struct counterexample *example = &proof->counterexamples[proof->counterexample_count++];
  const struct witness *witness = &asked->witness;
  *example = (struct counterexample){
      .claim = CLAIM_GUARD,
      .situation = finding->situation,
      .packet = witness->query.packet,
      .opener = witness->query.role == ROLE_OPENS ? witness->query.packet : witness->query.opener,
      .frame_length = witness->frame_length < sizeof(example->frame) ? witness->frame_length : sizeof(example->frame),
      .policy = asked->decision,
      .kernel_allows = finding->kernel_allows,
      .chain = asked->concrete.chain,
      .rule = asked->concrete.rule,
      .flow = asked->decision.flow,
      .place = asked->decision.place,
      .message = finding->kernel_allows
                     ? language_choose(language, "入口検査が落とさなければならない断片を、再構成の前の規則が通します",
                                       "the guard must drop this fragment, and the rules before reassembly let it by")
                     : language_choose(language, "許された通信の断片を、再構成の前の規則が落とします",
                                       "the rules before reassembly drop a fragment of a packet that is authorised"),
  };
  memcpy(example->frame, witness->frame, example->frame_length);
  example->policy.from_zone = finding->pair.from;
  example->policy.to_zone = finding->pair.to;
}

/* It may be so, depending on what cannot be known. */
static void doubt(struct pieces *pieces, const struct finding *finding) {
  struct asked asked;
  struct proof_gap gap = {.why = "what becomes of single fragments depends on what cannot be known",
                          .from = finding->pair.from,
                          .to = finding->pair.to};
  if (ask_judges(pieces, finding, &asked) && asked.concrete.chain != NULL) {
    gap.table = asked.concrete.chain->table;
    gap.chain = asked.concrete.chain;
    gap.rule = asked.concrete.rule;
  }
  prover_note_gap(pieces->prover, &gap);
  note(pieces, finding, PROOF_UNDECIDED);
}

/* One of each kind is enough: what is wrong here is mostly wrong for all interfaces. */
static bool is_shown(const struct pieces *pieces, const struct finding *finding) {
  const struct proof *proof = pieces->prover->proof;
  for (size_t i = 0; i < proof->counterexample_count; i++) {
    const struct counterexample *example = &proof->counterexamples[i];
    if (example->claim == CLAIM_GUARD && (example->packet.traits & TRAIT_FRAGMENT) != 0 &&
        example->kernel_allows == finding->kernel_allows)
      return true;
  }
  return proof->counterexample_count >= COUNTEREXAMPLE_LIMIT;
}

static void give_up(struct pieces *pieces) {
  struct proof_gap gap = {
      .why = "single fragments: out of the budget of nodes or memory", .from = pieces->zone, .to = ZONE_NONE};
  prover_note_gap(pieces->prover, &gap);
  prover_note_claim(pieces->prover, CLAIM_GUARD, PROOF_UNDECIDED);
}

static void refute(struct pieces *pieces, struct finding finding) {
  struct diagram_store *store = pieces->bench->store;
  struct asked asked;
  diagram certain = finding.kernel_allows ? diagram_and(store, finding.set, pieces->kernel.must)
                                          : diagram_difference(store, finding.set, pieces->kernel.may);
  if (certain == DIAGRAM_NONE) {
    give_up(pieces);
    return;
  }
  if (certain == DIAGRAM_FALSE) {
    doubt(pieces, &finding);
    return;
  }
  finding.set = certain;
  note(pieces, &finding, PROOF_REFUTED);
  if (!is_shown(pieces, &finding) && ask_judges(pieces, &finding, &asked) && judges_agree(pieces, &finding, &asked))
    keep(pieces, &finding, &asked);
}

/* ---- kept out ---- */

static void check_refused(struct pieces *pieces, bool later) {
  struct diagram_store *store = pieces->bench->store;
  diagram refused = later ? diagram_and(store, pieces->later, pieces->refused_later)
                          : diagram_and(store, pieces->first, pieces->refused_first);
  struct finding finding = {.set = diagram_and(store, refused, pieces->kernel.may),
                            .kernel_allows = true,
                            .later = later,
                            .situation = pieces->situation,
                            .pair = {pieces->zone, ZONE_NONE, false}};
  if (finding.set != DIAGRAM_FALSE)
    refute(pieces, finding);
}

/* ---- let in ---- */

static bool is_of_pieces(void *context, unsigned variable) {
  static const enum space_field fields[] = {FIELD_FRAGMENT, FIELD_HAS_FRAGMENT, FIELD_NEXT_HEADER};
  const struct space *space = context;
  for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
    unsigned first = space_field_variable(space, fields[i], 0);
    if (variable >= first && variable < first + space_field_width(fields[i]))
      return true;
  }
  return false;
}

/* Fragments, in any number of pieces, of what the policy authorises as an opener, or as an answer. */
static diagram pieces_of_authorised(struct pieces *pieces, const struct finding *finding) {
  struct bench *bench = pieces->bench;
  struct diagram_store *store = bench->store;
  diagram whole;
  if (finding->situation.tracking == TRACKING_OPENS) {
    struct authorised_parts parts; /* neighbour discovery is not lawful in pieces: RFC 6980 */
    authorised_packets_in_parts(bench->authorised, &finding->pair, &finding->situation, &parts);
    whole = diagram_difference(store, parts.wanted, parts.objections);
  } else {
    struct zone_pair opener = {finding->pair.to, finding->pair.from, finding->pair.same_interface};
    whole = diagram_support(store, authorised_connections(bench->authorised, &opener, &finding->situation, true));
  }
  whole = diagram_and(store, whole, flag(bench, FIELD_TRANSPORT_READABLE));
  return diagram_exists(store, whole, is_of_pieces, bench->space);
}

static bool check_lost_between(struct pieces *pieces, diagram lost, bool later, zone_index to,
                               enum situation_tracking tracking) {
  struct finding finding = {
      .kernel_allows = false, .later = later, .situation = pieces->situation, .pair = {pieces->zone, to, false}};
  finding.situation.tracking = tracking;
  finding.situation.path = to == ZONE_GATEWAY ? PATH_INPUT : PATH_FORWARD;
  finding.set = diagram_and(pieces->bench->store, lost, pieces_of_authorised(pieces, &finding));
  if (finding.set == DIAGRAM_FALSE)
    return false;
  refute(pieces, finding);
  return true;
}

static void check_lost(struct pieces *pieces, bool later) {
  struct diagram_store *store = pieces->bench->store;
  diagram wanted = later ? diagram_difference(store, pieces->later, pieces->refused_later)
                         : diagram_difference(store, pieces->first, pieces->refused_first);
  diagram lost = diagram_difference(store, wanted, pieces->kernel.must);
  zone_index count = (zone_index)pieces->prover->question->policy->zone_count;
  if (lost == DIAGRAM_FALSE || pieces->zone < 0 || pieces->prover->question->gate_closed)
    return;
  for (zone_index to = 0; to < count; to++)
    if (check_lost_between(pieces, lost, later, to, TRACKING_OPENS) ||
        check_lost_between(pieces, lost, later, to, TRACKING_REPLY))
      return;
  if (!check_lost_between(pieces, lost, later, ZONE_GATEWAY, TRACKING_OPENS))
    check_lost_between(pieces, lost, later, ZONE_GATEWAY, TRACKING_REPLY);
}

/* ---- all of them ---- */

static void note_gaps(struct pieces *pieces) {
  struct diagram_store *store = pieces->bench->store;
  diagram all = any_bit(pieces->bench, OFFSET | MORE_FRAGMENTS);
  for (size_t i = 0; i < pieces->kernel.unmodelled_count; i++) {
    const struct unmodelled *unmodelled = &pieces->kernel.unmodelled[i];
    if (diagram_and(store, unmodelled->where, all) == DIAGRAM_FALSE)
      continue;
    struct proof_gap gap = {unmodelled->chain != NULL ? unmodelled->chain->table : NULL,
                            unmodelled->chain,
                            unmodelled->rule,
                            unmodelled->why,
                            pieces->zone,
                            ZONE_NONE};
    prover_note_gap(pieces->prover, &gap);
    prover_note_claim(pieces->prover, CLAIM_GUARD, PROOF_UNDECIDED);
  }
}

static void check_interface(struct pieces *pieces) {
  find_fragments(pieces);
  if (symbolic_early(pieces->bench->machine, &pieces->situation,
                     diagram_or(pieces->bench->store, pieces->first, pieces->later), NF_IP_PRI_CONNTRACK_DEFRAG,
                     &pieces->kernel) != 0) {
    give_up(pieces);
    return;
  }
  note_gaps(pieces);
  leave_out_undecided(pieces);
  ask_guard(pieces);
  for (int later = 0; later < 2 && !diagram_store_failed(pieces->bench->store); later++) {
    check_refused(pieces, later);
    check_lost(pieces, later);
  }
  if (diagram_store_failed(pieces->bench->store))
    give_up(pieces);
}

static bool check_versions(struct prover *prover, const struct live_ruleset *early, struct bench **bench,
                           const struct proof_interface *interface) {
  static const enum address_family families[] = {FAMILY_IPV4, FAMILY_IPV6};
  for (size_t i = 0; i < 2; i++) {
    *bench = bench_renew(prover, *bench, BENCH_IN_FULL);
    if (*bench == NULL)
      return false;
    struct pieces pieces = {
        .prover = prover,
        .bench = *bench,
        .early = early,
        .zone = interface->zone,
        .situation = {.path = PATH_INPUT, .in = interface->name, .family = families[i], .tracking = TRACKING_OPENS}};
    check_interface(&pieces);
  }
  return true;
}

int prove_fragments(struct prover *prover) {
  const struct live_ruleset *early = early_ruleset(prover->question->ruleset, prover->arena);
  struct bench *bench = NULL;
  bool done = early != NULL;
  for (size_t i = 0; done && i < prover->interfaces.count; i++)
    if (!prover->interfaces.items[i].loopback)
      done = check_versions(prover, early, &bench, &prover->interfaces.items[i]);
  bench_free(bench);
  return done ? 0 : -ENOMEM;
}
