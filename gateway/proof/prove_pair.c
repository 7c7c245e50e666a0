/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include <linux/netfilter/nf_conntrack_common.h>

#include "proof/prove_parts.h"

/*
 * Theory of operation. Two zones are looked at together, since a connection has two directions. For every interface,
 * IP version and way that conntrack may see a packet (a cell) the symbolic machine says what the rules do; then, in
 * this order, since each step stands on the one before:
 *
 *   1. Which words may be written into marks, and which flows cover all connections that bear them (prove_words.c). Of
 *      openers only accepted ones count: conntrack forgets a connection whose first packet is dropped.
 *   2. Openers: accepted if and only if authorised; those accepted bear a word of a flow in force that authorises them.
 *   3. Later packets: accepted only with a word of a flow in force between these two zones, or when the original tuple
 *      is authorised now; what is authorised now is accepted; nothing that the guard has a reason against is accepted.
 *   4. Without a connection (invalid, untracked) nothing passes but neighbour discovery with the gateway.
 *
 * By induction over packets no connection outlives its flow: its first packet was authorised when it was accepted (2),
 * its word always stands for flows that cover it (1), and later packets pass only while one of them is in force (3).
 */

enum { FIRST_CELLS = 64 };

static bool is_opener(const struct situation *situation) {
  return situation->tracking == TRACKING_OPENS;
}

static bool is_related(const struct situation *situation) {
  return situation->tracking == TRACKING_RELATED_ORIGINAL || situation->tracking == TRACKING_RELATED_REPLY;
}

static bool has_connection(const struct situation *situation) {
  return situation->tracking != TRACKING_INVALID && situation->tracking != TRACKING_UNTRACKED;
}

/* The pair of the connection's opener. */
static struct zone_pair opener_pair(const struct cell *cell) {
  bool reply = cell->situation.tracking == TRACKING_REPLY || cell->situation.tracking == TRACKING_RELATED_REPLY;
  return reply ? (struct zone_pair){cell->pair.to, cell->pair.from, cell->pair.same_interface} : cell->pair;
}

/* ---- cells ---- */

static bool in_zone(const struct proof_interface *interface, zone_index zone, enum situation_path path) {
  return interface->zone == zone && !(interface->loopback && path != PATH_FORWARD);
}

static enum situation_path path_of(zone_index from, zone_index to) {
  return from == ZONE_GATEWAY ? PATH_OUTPUT : to == ZONE_GATEWAY ? PATH_INPUT : PATH_FORWARD;
}

static void note_gaps(struct pair_work *work, const struct cell *cell, diagram possible) {
  for (size_t i = 0; i < cell->kernel.unmodelled_count; i++) {
    const struct unmodelled *unmodelled = &cell->kernel.unmodelled[i];
    if (diagram_and(work->bench->store, unmodelled->where, possible) == DIAGRAM_FALSE)
      continue;
    if (work->bench->classes != NULL) {
      work->doubtful = true;
      return;
    }
    struct proof_gap gap = {unmodelled->chain != NULL ? unmodelled->chain->table : NULL,
                            unmodelled->chain,
                            unmodelled->rule,
                            unmodelled->why,
                            cell->pair.from,
                            cell->pair.to};
    prover_note_gap(work->prover, &gap);
    prover_note_pair(work->prover, cell->pair.from, cell->pair.to, PROOF_UNDECIDED, 0);
  }
}

static void add_cell(struct pair_work *work, const struct situation *situation, const struct zone_pair *pair) {
  struct bench *bench = work->bench;
  if (arena_grow(bench->arena, (void **)&work->cells, work->cell_count, &work->cell_capacity, sizeof(work->cells[0])) !=
      0) {
    work->failed = true;
    return;
  }
  struct cell *cell = &work->cells[work->cell_count];
  *cell = (struct cell){.situation = *situation, .pair = *pair};
  diagram possible = authorised_possible(bench->authorised, situation);
  if (possible == DIAGRAM_FALSE)
    return; /* cannot happen: an IPv4 packet that is tracked as only IPv6 can be */
  if (symbolic_judge(bench->machine, situation, &cell->kernel) != 0 || diagram_store_failed(bench->store)) {
    work->failed = true;
    return;
  }
  note_gaps(work, cell, possible);
  cell->possible = diagram_difference(bench->store, possible, cell->kernel.undecided);
  work->cell_count++;
}

static void add_trackings(struct pair_work *work, struct situation situation, const struct zone_pair *pair) {
  static const enum address_family families[] = {FAMILY_IPV4, FAMILY_IPV6};
  for (size_t i = 0; i < 2; i++)
    for (int tracking = 0; tracking < TRACKING_COUNT_ && !work->failed; tracking++) {
      if (work->openers_only && tracking != TRACKING_OPENS)
        continue;
      situation.family = families[i];
      situation.tracking = (enum situation_tracking)tracking;
      add_cell(work, &situation, pair);
    }
}

static void add_direction(struct pair_work *work, zone_index from, zone_index to) {
  const struct proof_interfaces *interfaces = &work->prover->interfaces;
  struct situation situation = {.path = path_of(from, to)};
  for (size_t i = 0; i < interfaces->count; i++) {
    const struct proof_interface *first = &interfaces->items[i];
    if (!in_zone(first, situation.path == PATH_OUTPUT ? to : from, situation.path))
      continue;
    if (situation.path != PATH_FORWARD) {
      situation.in = situation.path == PATH_INPUT ? first->name : NULL;
      situation.out = situation.path == PATH_OUTPUT ? first->name : NULL;
      add_trackings(work, situation, &(struct zone_pair){from, to, false});
      continue;
    }
    for (size_t j = 0; j < interfaces->count; j++)
      if (in_zone(&interfaces->items[j], to, situation.path)) {
        situation.in = first->name;
        situation.out = interfaces->items[j].name;
        add_trackings(work, situation, &(struct zone_pair){from, to, i == j && first->name != NULL});
      }
  }
}

static diagram less(struct pair_work *work, diagram set, diagram other) {
  return set == DIAGRAM_FALSE ? set : diagram_difference(work->bench->store, set, other);
}

static diagram meet(struct pair_work *work, diagram set, diagram other) {
  return set == DIAGRAM_FALSE ? set : diagram_and(work->bench->store, set, other);
}

/* Packets that the base chains before the last one let pass. */
static diagram entered(struct pair_work *work, const struct cell *cell) {
  return diagram_and(work->bench->store, cell->possible, cell->kernel.early);
}

/* Packets whose field, as a number, lies between these. */
static diagram number_in(struct bench *bench, enum space_field field, uint64_t first, uint64_t last) {
  uint8_t low[16] = {0}, high[16] = {0};
  unsigned width = space_field_width(field), bytes = (width + 7) / 8;
  for (unsigned i = 0; i < bytes && i < 8; i++) {
    low[bytes - 1 - i] = (uint8_t)(first >> (8 * i));
    high[bytes - 1 - i] = (uint8_t)(last >> (8 * i));
  }
  struct diagram_field variables = space_field(bench->space, field, 0);
  return diagram_range(bench->store, &variables, low, high);
}

/* ---- 1: words ---- */

struct stamping {
  struct pair_work *work;
  const struct cell *cell;
  uint32_t emptied; /* a word that stood for something and was accepted, and stands for nothing now; 0: none */
};

static uint32_t word_of(const struct pair_work *work, const struct cell *cell, uint32_t leaf, bool *ret_known) {
  struct mark_word word = symbolic_mark(work->bench->machine, leaf);
  *ret_known = !word.unknown && (word.keep == 0 || is_opener(&cell->situation));
  return word.flip; /* an opener's mark before is 0 */
}

static uint32_t stamp(void *context, uint32_t leaf, uint32_t flows_leaf) {
  struct stamping *stamping = context;
  struct prover *prover = stamping->work->prover;
  bool known, emptied;
  uint32_t value = leaf == 0 ? 0 : word_of(stamping->work, stamping->cell, leaf, &known);
  if (leaf == 0 || value == 0 || !known)
    return 0;
  const struct word *before = words_find(&prover->words, value);
  bool accepted = before != NULL && before->accepted;
  struct flow_list flows = authorised_flows(stamping->work->bench->authorised, flows_leaf);
  if (flows_leaf == 0)
    flows = (struct flow_list){0};
  if (!words_narrow(&prover->words, value, flows, &emptied))
    stamping->work->failed = true;
  if (emptied && accepted)
    stamping->emptied = value;
  return 0;
}

static diagram openers_of(struct pair_work *work, const struct cell *cell, bool in_force) {
  struct zone_pair pair = opener_pair(cell);
  if (is_opener(&cell->situation))
    return authorised_openers(work->bench->authorised, &pair, cell->situation.family, in_force);
  return authorised_connections(work->bench->authorised, &pair, &cell->situation, in_force);
}

static uint32_t has_flow_in_force(void *context, uint32_t leaf) {
  const struct pair_work *work = context;
  struct flow_list flows = authorised_flows(work->bench->authorised, leaf);
  for (size_t i = 0; leaf != 0 && i < flows.count; i++)
    if (work->prover->in_force[flows.flows[i]->index])
      return 1;
  return 0;
}

/* Connections that some flow in force covers. */
static diagram covered(struct pair_work *work, const struct cell *cell) {
  struct diagram_store *store = work->bench->store;
  if (work->covering == 0)
    work->covering = diagram_operation(store);
  return diagram_map(store, work->covering, has_flow_in_force, work, openers_of(work, cell, true));
}

struct word_search {
  struct pair_work *work;
  const struct cell *cell;
  uint32_t value;
};

static uint32_t has_value(void *context, uint32_t leaf) {
  const struct word_search *search = context;
  bool known;
  return leaf != 0 && word_of(search->work, search->cell, leaf, &known) == search->value && known;
}

/* What a connection may be stamped for. By classes the guard has not been asked yet, so the sender's MAC, which it asks
 * for, must not be asked here either: that openers come from the right one is another claim. */
static diagram stamped_openers(struct pair_work *work, const struct cell *cell) {
  struct zone_pair pair = opener_pair(cell);
  if (work->bench->classes == NULL)
    return openers_of(work, cell, false);
  return authorised_connections(work->bench->authorised, &pair, &cell->situation, false);
}

static void stamp_words(struct pair_work *work, const struct cell *cell, diagram words) {
  struct diagram_store *store = work->bench->store;
  if (words == DIAGRAM_FALSE)
    return;
  struct stamping stamping = {work, cell, 0};
  diagram openers = stamped_openers(work, cell);
  work->failed = work->failed || openers == DIAGRAM_NONE; /* else nothing would be learned, and nobody notice */
  diagram_combine(store, diagram_operation(store), stamp, &stamping, words, openers);
  if (stamping.emptied == 0)
    return;
  struct word_search search = {work, cell, stamping.emptied};
  diagram where = diagram_map(store, diagram_operation(store), has_value, &search, words);
  prover_refute(work, cell, CLAIM_MARK, diagram_and(store, where, cell->kernel.may), true, NULL);
}

static uint32_t is_unknown_word(void *context, uint32_t leaf) {
  const struct word_search *search = context;
  return leaf != 0 && symbolic_mark(search->work->bench->machine, leaf).unknown;
}

/* A rule that may write anything: what bears it cannot be said. */
static void note_unknown_words(struct pair_work *work, const struct cell *cell, const struct mark_write *write,
                               diagram words) {
  struct diagram_store *store = work->bench->store;
  struct word_search search = {work, cell, 0};
  if (diagram_map(store, diagram_operation(store), is_unknown_word, &search, words) == DIAGRAM_FALSE)
    return;
  if (work->bench->classes != NULL) {
    work->doubtful = true;
    return;
  }
  struct proof_gap gap = {write->chain->table, write->chain, write->rule, "writes an unknown connection mark",
                          cell->pair.from,     cell->pair.to};
  prover_note_undecided(work->prover, CLAIM_MARK, &gap);
}

static void find_words(struct pair_work *work, const struct cell *cell) {
  struct diagram_store *store = work->bench->store;
  const struct symbolic_result *kernel = &cell->kernel;
  if (!has_connection(&cell->situation))
    return;
  bool opens = is_opener(&cell->situation);
  if (opens)
    stamp_words(work, cell,
                diagram_choose(store, diagram_and(store, cell->possible, kernel->must), kernel->mark, DIAGRAM_FALSE));
  /* Of an opener that is surely accepted the final word was just looked at; what else may be accepted bears any word
   * that was written on the way. */
  diagram where = cell->possible;
  if (opens)
    where = diagram_and(store, where, diagram_difference(store, kernel->may, kernel->must));
  for (size_t i = 0; i < kernel->write_count && where != DIAGRAM_FALSE; i++) {
    diagram words = diagram_choose(store, where, kernel->writes[i].words, DIAGRAM_FALSE);
    note_unknown_words(work, cell, &kernel->writes[i], words);
    stamp_words(work, cell, words);
  }
}

/* What a rule makes of the word that a connection bears already (a handshake is complete) must stand for the same. */
struct rewriting {
  struct pair_work *work;
  const struct cell *cell;
  const struct mark_write *write;
  size_t known; /* words that there were before */
};

/* A new way of rewriting counts only where packets come by: it makes more words stand for a flow. By classes that
 * cannot be told for certain. */
static bool is_reached(const struct rewriting *rewriting, uint32_t leaf) {
  struct pair_work *work = rewriting->work;
  diagram written = diagram_where(work->bench->store, rewriting->write->words, leaf);
  bool reached = meet(work, entered(work, rewriting->cell), written) != DIAGRAM_FALSE;
  work->doubtful = work->doubtful || (reached && work->bench->classes != NULL);
  return reached && !work->doubtful;
}

/* ---- 1: words that come from no word ---- */

/* Marks of which the rule makes this word, but for itself and for words that stand for something: of these is known
 * what they make of it. */
static diagram strange_origins(struct pair_work *work, struct mark_word rule, uint32_t value) {
  struct diagram_store *store = work->bench->store;
  const struct words *words = &work->prover->words;
  uint32_t wanted = value ^ rule.flip;
  diagram set = (wanted & ~rule.keep) == 0 ? DIAGRAM_TRUE : DIAGRAM_FALSE;
  for (unsigned bit = 32; bit-- > 0 && set != DIAGRAM_FALSE;) {
    uint32_t mask = UINT32_C(1) << (31 - bit);
    unsigned variable = space_field_variable(work->bench->space, FIELD_MARK, bit);
    bool one = (wanted & mask) != 0;
    if ((rule.keep & mask) != 0)
      set = diagram_node(store, variable, one ? DIAGRAM_FALSE : set, one ? set : DIAGRAM_FALSE);
  }
  for (size_t i = 0; i < words->count && set != DIAGRAM_FALSE; i++)
    if (words->items[i].value == value || words->items[i].flow_count != 0)
      set = less(work, set, number_in(work->bench, FIELD_MARK, words->items[i].value, words->items[i].value));
  return less(work, set, number_in(work->bench, FIELD_MARK, value, value));
}

struct narrowing {
  struct pair_work *work;
  uint32_t value;
};

static uint32_t narrow(void *context, uint32_t inside, uint32_t flows_leaf) {
  const struct narrowing *narrowing = context;
  struct pair_work *work = narrowing->work;
  struct flow_list flows =
      flows_leaf != 0 ? authorised_flows(work->bench->authorised, flows_leaf) : (struct flow_list){0};
  bool emptied;
  if (inside != 0 && !words_narrow(&work->prover->words, narrowing->value, flows, &emptied))
    work->failed = true;
  return 0;
}

static void narrow_by_strangers(struct pair_work *work, const struct cell *cell, diagram where, struct mark_word rule,
                                uint32_t value) {
  struct narrowing narrowing = {work, value};
  diagram strangers = meet(work, where, strange_origins(work, rule, value));
  if (strangers != DIAGRAM_FALSE)
    diagram_combine(work->bench->store, diagram_operation(work->bench->store), narrow, &narrowing, strangers,
                    openers_of(work, cell, false));
}

/*
 * Connections from before these rules bear no mark, or any. A rule that does more than to take a few bits away may make
 * a flow's mark of that: then it stands for their tuples, too.
 */
static void rewrite_strangers(const struct rewriting *rewriting, uint32_t leaf, struct mark_word rule) {
  struct pair_work *work = rewriting->work;
  const struct proof_question *question = work->prover->question;
  if (words_only_loosens(rule) || !is_reached(rewriting, leaf))
    return;
  diagram where =
      meet(work, entered(work, rewriting->cell), diagram_where(work->bench->store, rewriting->write->words, leaf));
  for (size_t i = 0; i < rewriting->known; i++)
    if (work->prover->words.items[i].flow_count != 0)
      narrow_by_strangers(work, rewriting->cell, where, rule, work->prover->words.items[i].value);
  for (size_t i = 0; question->identities != NULL && i < question->policy->flow_count; i++)
    if (words_find(&work->prover->words, question->identities[i]) == NULL)
      narrow_by_strangers(work, rewriting->cell, where, rule, question->identities[i]);
}

static bool rewrite(void *context, uint32_t leaf) {
  struct rewriting *rewriting = context;
  struct words *words = &rewriting->work->prover->words;
  struct mark_word rule = symbolic_mark(rewriting->work->bench->machine, leaf);
  if (leaf == 0 || rule.unknown || rule.keep == 0 || (rule.keep == UINT32_MAX && rule.flip == 0))
    return true;
  if (!words_know_rewrite(words, rule) && !is_reached(rewriting, leaf))
    return true;
  words_note_rewrite(words, rule);
  for (size_t i = 0; i < rewriting->known; i++) {
    bool emptied;
    uint32_t value = (words->items[i].value & rule.keep) ^ rule.flip;
    struct flow_list flows = {words->items[i].flows, words->items[i].flow_count};
    if (value != words->items[i].value && value != 0 && flows.count != 0 &&
        !words_narrow(words, value, flows, &emptied))
      rewriting->work->failed = true;
  }
  rewrite_strangers(rewriting, leaf, rule);
  return !rewriting->work->failed;
}

static void rewrite_words(struct pair_work *work, const struct cell *cell) {
  struct rewriting rewriting = {.work = work, .cell = cell, .known = work->prover->words.count};
  if (!has_connection(&cell->situation) || is_opener(&cell->situation))
    return;
  for (size_t i = 0; i < cell->kernel.write_count; i++) {
    rewriting.write = &cell->kernel.writes[i];
    diagram_leaves(work->bench->store, rewriting.write->words, rewrite, &rewriting);
  }
}

/* ---- 2: openers ---- */

static void note_conditions(struct pair_work *work, const struct cell *cell, diagram concerned) {
  if (diagram_and(work->bench->store, cell->kernel.throttled, concerned) == DIAGRAM_FALSE)
    return;
  for (size_t i = 0; i < cell->kernel.throttle_count; i++) {
    const struct unknown *unknown = space_unknown(work->bench->space, cell->kernel.throttles[i]);
    struct proof_condition condition = {unknown, cell->pair.from, cell->pair.to};
    if (unknown != NULL)
      prover_note_condition(work->prover, &condition);
  }
}

static bool same_word_flow(const struct prover *prover, const struct word *word, struct flow_list flows) {
  for (size_t i = 0; word != NULL && i < word->flow_count; i++)
    for (size_t j = 0; j < flows.count; j++)
      if (word->flows[i] == flows.flows[j] && prover->in_force[word->flows[i]->index])
        return true;
  return false;
}

/* 1 where an accepted opener bears a word that is none of a flow in force which authorises it. */
static uint32_t is_badly_stamped(void *context, uint32_t leaf, uint32_t flows_leaf) {
  struct stamping *stamping = context;
  struct prover *prover = stamping->work->prover;
  if (leaf == 0 || flows_leaf == 0)
    return 0; /* not accepted, or accepted without a right: another claim */
  bool known;
  uint32_t value = word_of(stamping->work, stamping->cell, leaf, &known);
  struct word *word = value != 0 && known ? words_find(&prover->words, value) : NULL;
  if (word != NULL)
    words_accept(&prover->words, word);
  return !same_word_flow(prover, word, authorised_flows(stamping->work->bench->authorised, flows_leaf));
}

static void check_stamps(struct pair_work *work, const struct cell *cell) {
  struct diagram_store *store = work->bench->store;
  struct stamping stamping = {work, cell, 0};
  diagram accepted = diagram_and(store, cell->possible, cell->kernel.must);
  diagram words = diagram_choose(store, accepted, cell->kernel.mark, DIAGRAM_FALSE);
  diagram bad = diagram_combine(store, diagram_operation(store), is_badly_stamped, &stamping, words,
                                openers_of(work, cell, true));
  if (cell->pair.from != cell->pair.to)
    prover_refute(work, cell, CLAIM_MARK, meet(work, bad, cell->kernel.early), true, NULL);
}

/* What shall pass; nothing between zones while the gate is closed. */
static struct authorised_parts authorised_here(struct pair_work *work, const struct cell *cell) {
  struct authorised_parts parts = {DIAGRAM_FALSE, DIAGRAM_FALSE, DIAGRAM_FALSE};
  if (!work->prover->question->gate_closed || cell->situation.path != PATH_FORWARD)
    authorised_packets_in_parts(work->bench->authorised, &cell->pair, &cell->situation, &parts);
  return parts;
}

/*
 * In the functions below what is nearly always empty is made smaller step by step, by what is cheap first: the guards
 * of both lines are large, and to multiply them with all flows of a pair is most of the work of a proof.
 */

/* Openers that pass and are not authorised. */
static diagram openers_over(struct pair_work *work, const struct cell *cell, const struct authorised_parts *parts) {
  diagram accepted = less(work, meet(work, cell->possible, cell->kernel.may), parts->neighbours);
  diagram unwanted = meet(work, less(work, accepted, parts->wanted), cell->kernel.early);
  diagram objected = meet(work, meet(work, entered(work, cell), parts->objections), accepted);
  return diagram_or(work->bench->store, unwanted, objected);
}

/* Openers that are authorised and do not pass. */
static diagram openers_under(struct pair_work *work, const struct cell *cell, const struct authorised_parts *parts) {
  struct diagram_store *store = work->bench->store;
  const struct symbolic_result *kernel = &cell->kernel;
  diagram neighbours = meet(work, cell->possible, parts->neighbours),
          wanted = meet(work, cell->possible, parts->wanted);
  diagram stopped = less(work, less(work, wanted, kernel->must), parts->objections);
  if (wanted != DIAGRAM_FALSE)
    wanted = meet(work, less(work, less(work, cell->possible, parts->objections), kernel->early), wanted);
  return diagram_or(store,
                    diagram_or(store, less(work, neighbours, kernel->must), less(work, neighbours, kernel->early)),
                    diagram_or(store, stopped, wanted));
}

static void check_openers(struct pair_work *work, const struct cell *cell) {
  struct authorised_parts parts = authorised_here(work, cell);
  prover_refute(work, cell, CLAIM_NEW, openers_over(work, cell, &parts), true, NULL);
  prover_refute(work, cell, CLAIM_NEW, openers_under(work, cell, &parts), false, NULL);
  note_conditions(work, cell, meet(work, cell->possible, parts.wanted));
  if (!work->failed)
    check_stamps(work, cell);
}

/* ---- 3 and 4: later packets, and those without a connection ---- */

/* ICMP of these types: the type is the upper byte of what lies at the place of the source port. */
static diagram icmp_types(struct bench *bench, enum address_family family, const uint8_t (*types)[2], size_t count) {
  diagram set = DIAGRAM_FALSE;
  for (size_t i = 0; i < count; i++)
    set = diagram_or(bench->store, set,
                     number_in(bench, FIELD_SOURCE_PORT, (uint64_t)types[i][0] << 8, (uint64_t)types[i][1] << 8 | 255));
  uint8_t protocol = family == FAMILY_IPV4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6;
  return diagram_and(bench->store, set, number_in(bench, FIELD_PROTOCOL, protocol, protocol));
}

static diagram icmp_errors(struct bench *bench, enum address_family family) {
  static const uint8_t version4[][2] = {{3, 3}, {11, 12}}, version6[][2] = {{1, 4}};
  return family == FAMILY_IPV4 ? icmp_types(bench, family, version4, 2) : icmp_types(bench, family, version6, 1);
}

static diagram neighbour_discovery(struct bench *bench, const struct situation *situation) {
  static const uint8_t types[][2] = {{135, 136}};
  if (situation->family != FAMILY_IPV6 || situation->path == PATH_FORWARD)
    return DIAGRAM_FALSE;
  diagram near = number_in(bench, FIELD_HOP_LIMIT, 255, 255); /* RFC 4861, 7.1: it was sent on this wire */
  return diagram_and(bench->store, near, icmp_types(bench, FAMILY_IPV6, types, 1));
}

/* A zone that is told of refusals hears resets and errors from the gateway, whatever they are about. */
static diagram refusals(struct pair_work *work, const struct cell *cell) {
  const struct policy *policy = work->prover->question->policy;
  struct bench *bench = work->bench;
  bool told = cell->situation.path == PATH_OUTPUT && cell->pair.to >= 0 &&
              policy->zones[cell->pair.to].on_deny == ON_DENY_REJECT;
  if (!told)
    return DIAGRAM_FALSE;
  diagram reset = diagram_variable(bench->store, space_field_variable(bench->space, FIELD_TCP_FLAGS, 5));
  diagram tcp = diagram_and(bench->store, reset, number_in(bench, FIELD_PROTOCOL, PROTOCOL_TCP, PROTOCOL_TCP));
  return diagram_or(bench->store, tcp, icmp_errors(bench, cell->situation.family));
}

/* Whether forwarding within the zone lasts: for ever, or as long as any timer that has not run. */
static bool lasts(const struct prover *prover, struct instant until) {
  if (until.seconds == INSTANT_NEVER.seconds)
    return true;
  return prover->timers_left_until != 0 &&
         until.seconds >= prover->timers_left_until / 1000 - TIMER_TOLERANCE_MILLISECONDS / 1000;
}

/* Whether both interfaces belong to a zone within which all may pass; while ends are looked at: lastingly. */
static bool passes_within(const struct prover *prover, const struct cell *cell) {
  const struct proof_question *question = prover->question;
  struct instant until = {0};
  bool within = cell->pair.from == cell->pair.to && cell->pair.from >= 0 && !cell->pair.same_interface &&
                restricted_within(question->policy, question->restrictions, cell->pair.from, prover->now, &until);
  return within && (!prover->timers_have_run || lasts(prover, until));
}

static diagram words_between(struct pair_work *work) {
  if (!work->has_words)
    work->words = words_in_force(work->prover, work->bench, work->left, work->right);
  work->has_words = true;
  return work->words;
}

/* The gateway is one end of the pair, `zone` the other. */
static diagram words_reported_to(struct pair_work *work, zone_index zone) {
  if (!work->has_reported_words)
    work->reported_words = words_in_force(work->prover, work->bench, zone, ZONE_NONE);
  work->has_reported_words = true;
  return work->reported_words;
}

/* Of what was accepted, what may not pass: neither by its word, nor because both interfaces belong to one zone, nor by
 * its tuple. Tuples are asked last, for little is left then. */
static diagram beyond(struct pair_work *work, const struct cell *cell, diagram accepted) {
  struct diagram_store *store = work->bench->store;
  const struct proof_question *question = work->prover->question;
  if (question->gate_closed && cell->situation.path == PATH_FORWARD)
    return accepted;
  if (passes_within(work->prover, cell))
    return DIAGRAM_FALSE;
  diagram rest = diagram_difference(store, accepted, words_between(work));
  if (cell->situation.path == PATH_OUTPUT && is_related(&cell->situation)) /* it reports about any of this zone */
    rest = diagram_difference(store, rest, words_reported_to(work, cell->pair.to));
  rest = diagram_difference(store, rest, refusals(work, cell));
  return rest == DIAGRAM_FALSE ? rest : diagram_difference(store, rest, covered(work, cell));
}

/* What must pass, and does not: its connection is authorised now, and the guard has nothing against this packet. */
static diagram later_under(struct pair_work *work, const struct cell *cell, diagram guard) {
  const struct symbolic_result *kernel = &cell->kernel;
  bool ordinary = cell->situation.tracking == TRACKING_ORIGINAL || cell->situation.tracking == TRACKING_REPLY;
  bool closed = work->prover->question->gate_closed && cell->situation.path == PATH_FORWARD;
  diagram wanted = ordinary && !closed ? meet(work, cell->possible, covered(work, cell)) : DIAGRAM_FALSE;
  if (wanted == DIAGRAM_FALSE)
    return wanted;
  diagram stopped = less(work, less(work, wanted, kernel->must), guard);
  diagram shut_out = meet(work, less(work, less(work, cell->possible, guard), kernel->early), wanted);
  return diagram_or(work->bench->store, stopped, shut_out);
}

/* What the guard has against packets of a connection that was let through. What the gateway itself sends bears its
 * connection's addresses: of the reasons only a cut can come later. */
static diagram standing_reasons(struct pair_work *work, const struct cell *cell, diagram reasons) {
  struct diagram_store *store = work->bench->store;
  bool sent = cell->situation.path == PATH_OUTPUT;
  return sent ? diagram_where(store, reasons, REASON_CUT) : diagram_support(store, reasons);
}

static void check_later(struct pair_work *work, const struct cell *cell) {
  diagram accepted = meet(work, cell->possible, cell->kernel.may);
  diagram reasons = authorised_guard(work->bench->authorised, &cell->pair, cell->situation.family);
  diagram guard = diagram_support(work->bench->store, reasons);
  prover_refute(work, cell, CLAIM_ESTABLISHED, meet(work, beyond(work, cell, accepted), cell->kernel.early), true,
                NULL);
  diagram against = meet(work, entered(work, cell), standing_reasons(work, cell, reasons));
  prover_refute(work, cell, CLAIM_GUARD, meet(work, against, accepted), true, NULL);
  if (is_related(&cell->situation)) {
    diagram no_error = less(work, accepted, icmp_errors(work->bench, cell->situation.family));
    prover_refute(work, cell, CLAIM_GUARD, meet(work, no_error, cell->kernel.early), true, NULL);
  }
  prover_refute(work, cell, CLAIM_ESTABLISHED, later_under(work, cell, guard), false, NULL);
}

static void check_untracked(struct pair_work *work, const struct cell *cell) {
  diagram over =
      less(work, meet(work, cell->possible, cell->kernel.may), neighbour_discovery(work->bench, &cell->situation));
  prover_refute(work, cell, CLAIM_GUARD, meet(work, over, cell->kernel.early), true, NULL);
}

static void check_cell(struct pair_work *work, const struct cell *cell) {
  if (is_opener(&cell->situation))
    check_openers(work, cell);
  else if (has_connection(&cell->situation))
    check_later(work, cell);
  else
    check_untracked(work, cell);
  if (diagram_store_failed(work->bench->store))
    work->failed = true;
}

/* ---- a pair ---- */

static void give_up(struct pair_work *work) {
  struct proof_gap gap = {
      .why = "the question is too large: out of its budget of nodes or memory", .from = work->left, .to = work->right};
  work->prover->words_missing = true;
  prover_note_gap(work->prover, &gap);
  prover_note_pair(work->prover, work->left, work->right, PROOF_UNDECIDED, 0);
  prover_note_pair(work->prover, work->right, work->left, PROOF_UNDECIDED, 0);
}

/* Lookups that concern the pair have been made: what is known of their classes counts from now on. */
static void take_care(struct pair_work *work) {
  for (size_t i = 0; i < work->cell_count && !work->failed; i++) {
    struct cell *cell = &work->cells[i];
    struct zone_pair pair = opener_pair(cell);
    cell->possible = diagram_and(work->bench->store, cell->possible,
                                 authorised_care(work->bench->authorised, &pair, &cell->situation));
  }
}

bool pair_work_fill(struct pair_work *work) {
  if (work->bench->classes != NULL)
    classes_begin(work->bench->classes);
  add_direction(work, work->left, work->right);
  if (work->left != work->right && !work->openers_only)
    add_direction(work, work->right, work->left);
  if (work->bench->classes != NULL)
    take_care(work);
  return !work->failed;
}

diagram pair_work_excess(struct pair_work *work, const struct cell *cell) {
  diagram accepted = meet(work, cell->possible, cell->kernel.may);
  if (!has_connection(&cell->situation))
    return DIAGRAM_FALSE;
  if (!is_opener(&cell->situation))
    return meet(work, beyond(work, cell, accepted), cell->kernel.early);
  if (accepted == DIAGRAM_FALSE || passes_within(work->prover, cell))
    return DIAGRAM_FALSE;
  return meet(work, less(work, accepted, covered(work, cell)), cell->kernel.early);
}

diagram pair_work_breach(struct pair_work *work, const struct cell *cell) {
  struct diagram_store *store = work->bench->store;
  diagram accepted = meet(work, meet(work, cell->possible, cell->kernel.may), cell->kernel.early);
  if (is_opener(&cell->situation)) {
    struct authorised_parts parts = authorised_here(work, cell);
    return openers_over(work, cell, &parts);
  }
  if (!has_connection(&cell->situation))
    return less(work, accepted, neighbour_discovery(work->bench, &cell->situation));
  diagram reasons = authorised_guard(work->bench->authorised, &cell->pair, cell->situation.family);
  diagram against = meet(work, accepted, standing_reasons(work, cell, reasons));
  return diagram_or(store, against, pair_work_excess(work, cell));
}

diagram pair_work_loss(struct pair_work *work, const struct cell *cell) {
  return meet(work, pair_work_lack(work, cell), is_opener(&cell->situation) ? covered(work, cell) : DIAGRAM_FALSE);
}

diagram pair_work_lack(struct pair_work *work, const struct cell *cell) {
  if (!is_opener(&cell->situation))
    return DIAGRAM_FALSE;
  struct authorised_parts parts = authorised_here(work, cell);
  return openers_under(work, cell, &parts);
}

bool prove_pair(struct prover *prover, struct bench *bench, zone_index left, zone_index right) {
  struct pair_work work = {.prover = prover, .bench = bench, .left = left, .right = right};
  pair_work_fill(&work);
  for (size_t i = 0; i < work.cell_count && !work.failed && !work.doubtful; i++)
    find_words(&work, &work.cells[i]);
  for (size_t i = 0; i < work.cell_count && !work.failed && !work.doubtful; i++)
    rewrite_words(&work, &work.cells[i]);
  for (size_t i = 0; i < work.cell_count && !work.failed && !work.doubtful; i++)
    check_cell(&work, &work.cells[i]);
  if (bench->classes != NULL && (work.failed || work.doubtful))
    return false;
  if (work.failed)
    give_up(&work);
  size_t nodes = diagram_store_nodes(bench->store);
  prover_note_pair(prover, left, right, PROOF_PROVEN, nodes);
  prover_note_pair(prover, right, left, PROOF_PROVEN, nodes);
  return true;
}
