/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include <linux/netfilter/nf_tables.h>

#include "base/language.h"
#include "proof/prove_parts.h"

/*
 * Ends are in the kernel: an element that has a timeout goes when its time has come, whoever is alive. Two things
 * together say that each flow ends when it must:
 *
 *   - Once every timer has run, nothing passes any more but by flows that have no end: the claims about packets are
 *     asked again, with all elements that have a timeout left out and only lasting flows in force. So nothing that has
 *     an end rests on an element that has none.
 *   - Each timer that has to do with connection marks runs out when the policy says, to the second.
 */

enum { TOLERANCE_MILLISECONDS = 2000 };

static bool is_timed(void *context, const struct live_set *set, const struct live_element *element) {
  (void)context;
  (void)set;
  return element->has_timeout;
}

/* ---- when every timer has run ---- */

static void check_lasting(struct prover *prover, struct bench *bench, zone_index left, zone_index right) {
  struct pair_work work = {.prover = prover, .bench = bench, .left = left, .right = right};
  pair_work_fill(&work);
  for (size_t i = 0; i < work.cell_count && !work.failed; i++)
    prover_refute(&work, &work.cells[i], CLAIM_TIME, pair_work_excess(&work, &work.cells[i]), true, NULL);
  if (work.failed) {
    struct proof_gap gap = {.why = "ends: out of the budget of nodes or memory", .from = left, .to = right};
    prover_note_gap(prover, &gap);
    prover_note_claim(prover, CLAIM_TIME, PROOF_UNDECIDED);
    prover_note_pair(prover, left, right, PROOF_UNDECIDED, 0);
  }
}

static bool ends(const struct prover *prover, const struct flow *flow, struct instant *ret_until) {
  const struct proof_question *question = prover->question;
  return restricted_flow_force(question->policy, question->restrictions, flow, prover->now, ret_until) == FORCE_YES &&
         ret_until->seconds != INSTANT_NEVER.seconds;
}

static bool pair_has_ends(const struct prover *prover, zone_index left, zone_index right) {
  const struct policy *policy = prover->question->policy;
  struct instant until;
  for (size_t i = 0; i < policy->flow_count; i++) {
    const struct flow *flow = &policy->flows[i];
    bool joins =
        (flow->from_zone == left && flow->to_zone == right) || (flow->from_zone == right && flow->to_zone == left);
    if (joins && ends(prover, flow, &until))
      return true;
  }
  return left == right && left >= 0 && prover->question->restrictions != NULL &&
         prover->question->restrictions->within_deadlines != NULL;
}

static void check_pairs_with_ends(struct prover *prover) {
  zone_index count = (zone_index)prover->question->policy->zone_count;
  struct bench *bench = NULL;
  for (zone_index left = 0; left < count; left++)
    for (zone_index right = left; right <= count; right++) {
      zone_index other = right == count ? ZONE_GATEWAY : right;
      if (!pair_has_ends(prover, left, other))
        continue;
      bench = bench_renew(prover, bench);
      if (bench == NULL) {
        prover_note_claim(prover, CLAIM_TIME, PROOF_UNDECIDED);
        return;
      }
      symbolic_leave_out(bench->machine, is_timed, NULL);
      check_lasting(prover, bench, left, other);
    }
  bench_free(bench);
}

/* ---- each timer ---- */

/* Whether some rule looks into the set with a connection mark. */
static bool rule_looks_up_mark(const struct live_rule *rule, const struct live_set *set) {
  bool mark = false;
  for (size_t i = 0; i < rule->expression_count; i++) {
    const struct live_expression *expression = &rule->expressions[i];
    if (expression->kind == LIVE_CT)
      mark = expression->key == NFT_CT_MARK;
    if (expression->kind == LIVE_LOOKUP && expression->set == set && mark)
      return true;
  }
  return false;
}

static bool is_mark_set(const struct live_set *set) {
  if (set->key_length != sizeof(uint32_t) || set->dynamic)
    return false;
  for (size_t i = 0; i < set->table->chain_count; i++)
    for (size_t j = 0; j < set->table->chains[i].rule_count; j++)
      if (rule_looks_up_mark(&set->table->chains[i].rules[j], set))
        return true;
  return false;
}

/* Between which ends of its flows the timer of a word may run out. False: it stands for no flow that has one now. */
static bool span_of(const struct prover *prover, const struct word *word, struct instant *ret_first,
                    struct instant *ret_last, const struct flow **ret_flow) {
  bool found = false;
  for (size_t i = 0; i < word->flow_count; i++) {
    struct instant until;
    const struct proof_question *question = prover->question;
    if (restricted_flow_force(question->policy, question->restrictions, word->flows[i], prover->now, &until) !=
        FORCE_YES)
      continue;
    if (!found || until.seconds < ret_first->seconds)
      *ret_first = until;
    if (!found || until.seconds > ret_last->seconds)
      *ret_last = until;
    *ret_flow = word->flows[i];
    found = true;
  }
  return found;
}

static int64_t milliseconds(struct instant instant) {
  return instant.seconds > INT64_MAX / 2000 ? INT64_MAX / 2 : instant.seconds * 1000;
}

static void check_timer(struct prover *prover, const struct live_set *set, const struct live_element *element) {
  uint32_t value;
  memcpy(&value, element->first, sizeof(value));
  const struct word *word = words_find(&prover->words, value);
  struct instant first = {0}, last = {0};
  const struct flow *flow = NULL;
  if (word == NULL || !span_of(prover, word, &first, &last, &flow))
    return; /* leads nowhere: the claims about packets have seen to it */
  int64_t end = prover->question->ruleset->taken_at + (int64_t)element->expiration;
  enum language language = prover->question->policy->header.language;
  if (end > milliseconds(last) + TOLERANCE_MILLISECONDS)
    prover_refute_time(prover, flow, set,
                       language_choose(language, "カーネルの期限が、ポリシーの期限より遅れています",
                                       "the kernel lets the flow go on longer than the policy"));
  else if (end < milliseconds(first) - TOLERANCE_MILLISECONDS)
    prover_refute_time(prover, flow, set,
                       language_choose(language, "カーネルの期限が、ポリシーの期限より早く来ます",
                                       "the kernel ends the flow before the policy does"));
}

static void check_timers(struct prover *prover) {
  const struct live_ruleset *ruleset = prover->question->ruleset;
  for (size_t i = 0; i < ruleset->table_count; i++)
    for (size_t j = 0; j < ruleset->tables[i].set_count; j++) {
      const struct live_set *set = &ruleset->tables[i].sets[j];
      if (!set->has_timeouts || !is_mark_set(set))
        continue;
      for (size_t k = 0; k < set->element_count; k++)
        if (set->elements[k].has_timeout)
          check_timer(prover, set, &set->elements[k]);
    }
}

void prove_times(struct prover *prover) {
  const struct policy *policy = prover->question->policy;
  const bool *in_force = prover->in_force;
  bool *lasting = ARENA_ARRAY(prover->arena, policy->flow_count + 1, bool);
  if (lasting == NULL || !words_add_identities(prover)) {
    prover_note_claim(prover, CLAIM_TIME, PROOF_UNDECIDED);
    return;
  }
  struct instant until;
  for (size_t i = 0; i < policy->flow_count; i++)
    lasting[i] = in_force[i] && !ends(prover, &policy->flows[i], &until);
  check_timers(prover);
  prover->in_force = lasting;
  prover->timers_have_run = true;
  check_pairs_with_ends(prover);
  prover->in_force = in_force;
  prover->timers_have_run = false;
}
