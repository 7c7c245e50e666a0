/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "proof/prove_parts.h"

/*
 * A proof that cannot fail proves nothing. So in every run one element of the kernel's maps, by which an opener gets
 * its mark, is taken for absent, and the same machinery must find a packet that is now missing. An element may be there
 * twice over (two layers of one flow), or stand for addresses that are cut while its flow is used by others: a few are
 * tried, of each map the first, then of each the second, and so on.
 */

enum { TRIES = 12 };

struct absence {
  const struct live_set *set;
  const struct live_element *element;
};

static bool is_absent(void *context, const struct live_set *set, const struct live_element *element) {
  const struct absence *absence = context;
  return set == absence->set && element == absence->element;
}

static const struct word *word_of_element(const struct prover *prover, const struct live_set *set,
                                          const struct live_element *element) {
  uint32_t value;
  if (set->data_kind != LIVE_VALUES || set->data_length != sizeof(value) || element->data == NULL)
    return NULL;
  memcpy(&value, element->data, sizeof(value));
  const struct word *word = words_find(&prover->words, value);
  return word != NULL && word->accepted && word->flow_count != 0 && prover->in_force[word->flows[0]->index] ? word
                                                                                                            : NULL;
}

struct flow_search {
  const struct authorised *authorised;
  const struct flow *flow;
};

static uint32_t has_flow(void *context, uint32_t leaf) {
  const struct flow_search *search = context;
  struct flow_list flows = authorised_flows(search->authorised, leaf);
  for (size_t i = 0; leaf != 0 && i < flows.count; i++)
    if (flows.flows[i] == search->flow)
      return 1;
  return 0;
}

/* Whether the flow lets any packet pass there: a cut, say, may have taken them all. */
static bool is_used(const struct pair_work *work, const struct cell *cell, const struct flow *flow) {
  struct bench *bench = work->bench;
  struct flow_search search = {bench->authorised, flow};
  if (cell->situation.tracking != TRACKING_OPENS)
    return false;
  diagram openers = authorised_openers(bench->authorised, &cell->pair, cell->situation.family, true);
  diagram of_flow = diagram_map(bench->store, diagram_operation(bench->store), has_flow, &search, openers);
  diagram passing =
      diagram_and(bench->store, cell->possible, authorised_packets(bench->authorised, &cell->pair, &cell->situation));
  return diagram_and(bench->store, of_flow, passing) != DIAGRAM_FALSE;
}

enum notice { NOTICE_NONE_TO_MISS, NOTICE_MISSED, NOTICE_OVERLOOKED };

/* Whether the absence of the element is noticed between the two zones of its flow. */
static enum notice notice(struct prover *prover, const struct flow *flow, struct absence *absence) {
  struct bench *bench = bench_new(prover, BENCH_IN_FULL);
  enum notice result = NOTICE_NONE_TO_MISS;
  if (bench == NULL)
    return NOTICE_OVERLOOKED;
  symbolic_leave_out(bench->machine, is_absent, absence);
  struct pair_work work = {
      .prover = prover, .bench = bench, .left = flow->from_zone, .right = flow->to_zone, .openers_only = true};
  pair_work_fill(&work);
  for (size_t i = 0; i < work.cell_count && !work.failed && result != NOTICE_MISSED; i++) {
    if (result == NOTICE_NONE_TO_MISS && is_used(&work, &work.cells[i], flow))
      result = NOTICE_OVERLOOKED;
    if (pair_work_lack(&work, &work.cells[i]) != DIAGRAM_FALSE && !diagram_store_failed(bench->store))
      result = NOTICE_MISSED;
  }
  if (work.failed)
    result = NOTICE_OVERLOOKED;
  bench_free(bench);
  return result;
}

/* By classes nothing may look proven that is not: there the absence must leave a difference, or a doubt. */
static bool is_doubted_by_classes(struct prover *prover, const struct flow *flow, struct absence *absence) {
  struct bench *bench = bench_new(prover, BENCH_BY_CLASSES);
  if (bench == NULL)
    return true; /* as for every pair: without memory it is asked in full */
  symbolic_leave_out(bench->machine, is_absent, absence);
  struct pair_work work = {
      .prover = prover, .bench = bench, .left = flow->from_zone, .right = flow->to_zone, .openers_only = true};
  pair_work_fill(&work);
  bool doubted = work.failed || work.doubtful;
  for (size_t i = 0; i < work.cell_count && !doubted; i++)
    doubted = pair_work_lack(&work, &work.cells[i]) != DIAGRAM_FALSE;
  bench_free(bench);
  return doubted;
}

static enum notice notice_both_ways(struct prover *prover, const struct flow *flow, struct absence *absence) {
  enum notice result = notice(prover, flow, absence);
  bool by_classes = result != NOTICE_MISSED || prover->in_full || is_doubted_by_classes(prover, flow, absence);
  return by_classes ? result : NOTICE_OVERLOOKED;
}

/* The element at this place among those of the set that give openers a mark in force; NULL: there are fewer. */
static const struct live_element *marking_element(const struct prover *prover, const struct live_set *set, size_t place,
                                                  const struct word **ret_word) {
  for (size_t i = 0; i < set->element_count; i++) {
    *ret_word = word_of_element(prover, set, &set->elements[i]);
    if (*ret_word != NULL && place-- == 0)
      return &set->elements[i];
  }
  return NULL;
}

struct absences {
  unsigned tried, overlooked;
  bool missed, more; /* more: a map has an element at this place */
};

static void try_maps(struct prover *prover, const struct live_table *table, size_t place, struct absences *absences) {
  for (size_t i = 0; i < table->set_count && absences->tried < TRIES && !absences->missed; i++) {
    const struct word *word;
    struct absence absence = {&table->sets[i], marking_element(prover, &table->sets[i], place, &word)};
    if (absence.element == NULL)
      continue;
    enum notice result = notice_both_ways(prover, word->flows[0], &absence);
    absences->more = true;
    absences->missed = result == NOTICE_MISSED;
    absences->overlooked += result == NOTICE_OVERLOOKED;
    absences->tried++;
  }
}

void prove_canary(struct prover *prover) {
  const struct live_ruleset *ruleset = prover->question->ruleset;
  struct absences absences = {.more = true};
  for (size_t place = 0; absences.more && absences.tried < TRIES && !absences.missed; place++) {
    absences.more = false;
    for (size_t i = 0; i < ruleset->table_count; i++)
      try_maps(prover, &ruleset->tables[i], place, &absences);
  }
  if (absences.missed || absences.overlooked == 0)
    return; /* 0: no opener that passes gets a mark from a map, so there is nothing to forget */
  struct proof_gap gap = {
      .why = "vacuity guard: an element taken out of the rules was not missed", .from = ZONE_NONE, .to = ZONE_NONE};
  prover_note_gap(prover, &gap);
  prover_note_claim(prover, CLAIM_SOUND, PROOF_UNDECIDED);
}
