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
 *
 * An element of any other kind may have a timer, too: one by which the guard drops, or an opener's. When there is such
 * a one, what passes and what does not is asked of all pairs again, as it is without what has a timer; and whether
 * something still passes that has ended, as long as these timers run and those on marks have: for each moment at which
 * some of them run out, just before it. No packet shows it now, so a difference is told as something undecided.
 */

static bool is_timed(void *context, const struct live_set *set, const struct live_element *element) {
  (void)context;
  (void)set;
  return element->has_timeout;
}

/* ---- when every timer has run ---- */

/* False: doubtful by classes; nothing was noted. */
static bool check_lasting(struct prover *prover, struct bench *bench, zone_index left, zone_index right) {
  struct pair_work work = {.prover = prover, .bench = bench, .left = left, .right = right};
  symbolic_leave_out(bench->machine, is_timed, NULL);
  pair_work_fill(&work);
  for (size_t i = 0; i < work.cell_count && !work.failed && !work.doubtful; i++)
    prover_refute(&work, &work.cells[i], CLAIM_TIME, pair_work_excess(&work, &work.cells[i]), true, NULL);
  if (bench->classes != NULL)
    return !work.failed && !work.doubtful;
  if (work.failed) {
    struct proof_gap gap = {.why = "ends: out of the budget of nodes or memory", .from = left, .to = right};
    prover_note_undecided(prover, CLAIM_TIME, &gap);
  }
  return true;
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

struct lasting_walk {
  struct prover *prover;
  struct bench *by_classes, *in_full; /* NULL: none yet */
};

static bool check_pair_with_ends(struct lasting_walk *walk, zone_index left, zone_index right) {
  struct prover *prover = walk->prover;
  if (!prover->in_full) {
    walk->by_classes = bench_renew(prover, walk->by_classes, BENCH_BY_CLASSES);
    if (walk->by_classes != NULL && check_lasting(prover, walk->by_classes, left, right))
      return true;
    walk->by_classes = bench_free(walk->by_classes);
  }
  walk->in_full = bench_renew(prover, walk->in_full, BENCH_IN_FULL);
  return walk->in_full != NULL && check_lasting(prover, walk->in_full, left, right);
}

static void check_pairs_with_ends(struct prover *prover) {
  zone_index count = (zone_index)prover->question->policy->zone_count;
  struct lasting_walk walk = {.prover = prover};
  bool asked = true;
  for (zone_index left = 0; left < count && asked; left++)
    for (zone_index right = left; right <= count && asked; right++) {
      zone_index other = right == count ? ZONE_GATEWAY : right;
      asked = !pair_has_ends(prover, left, other) || check_pair_with_ends(&walk, left, other);
    }
  if (!asked)
    prover_note_claim(prover, CLAIM_TIME, PROOF_UNDECIDED);
  bench_free(walk.by_classes);
  bench_free(walk.in_full);
}

/* ---- each timer ---- */

/* Rules that look into a set: with a connection mark, and with anything else. */
struct uses {
  bool mark, other;
};

/* Where a rule has the connection mark, perhaps under a mask: a register, or nowhere. */
enum { NOWHERE = -1 };

static int mark_register(const struct live_expression *expression, int before) {
  enum { MARK_BYTES = 4 };
  int destination = (int)expression->destination,
      length = expression->length != 0 ? (int)expression->length : LIVE_REGISTER_BYTES;
  if (!expression->has_destination)
    return before;
  if (expression->kind == LIVE_CT && expression->key == NFT_CT_MARK)
    return destination;
  if (expression->kind == LIVE_BITWISE && before == (int)expression->source)
    return destination;
  bool overwritten = before != NOWHERE && destination < before + MARK_BYTES && before < destination + length;
  return overwritten ? NOWHERE : before;
}

static void note_uses(const struct live_rule *rule, const struct live_set *set, struct uses *uses) {
  int mark = NOWHERE;
  for (size_t i = 0; i < rule->expression_count; i++) {
    const struct live_expression *expression = &rule->expressions[i];
    bool by_mark = expression->kind == LIVE_LOOKUP && mark == (int)expression->source;
    uses->mark = uses->mark || (expression->set == set && by_mark);
    uses->other = uses->other || (expression->set == set && !by_mark);
    mark = mark_register(expression, mark);
  }
}

static struct uses uses_of(const struct live_set *set) {
  struct uses uses = {false, false};
  for (size_t i = 0; i < set->table->chain_count; i++)
    for (size_t j = 0; j < set->table->chains[i].rule_count; j++)
      note_uses(&set->table->chains[i].rules[j], set, &uses);
  return uses;
}

static bool may_hold_marks(const struct live_set *set) {
  return set->key_length == sizeof(uint32_t) && !set->dynamic;
}

static bool is_mark_set(const struct live_set *set) {
  struct uses uses = uses_of(set);
  return may_hold_marks(set) && uses.mark && !uses.other;
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

/* In milliseconds, and never beyond half of what the number holds: a recording may say anything. */
static int64_t end_of(const struct prover *prover, const struct live_element *element) {
  static const int64_t MOST = INT64_MAX / 2;
  int64_t taken_at = prover->question->ruleset->taken_at;
  bool far = taken_at >= MOST || element->expiration >= (uint64_t)(MOST - taken_at);
  return far ? MOST : taken_at + (int64_t)element->expiration;
}

static void check_timer(struct prover *prover, const struct live_set *set, const struct live_element *element) {
  uint32_t value;
  memcpy(&value, element->first, sizeof(value));
  const struct word *word = words_find(&prover->words, value);
  struct instant first = {0}, last = {0};
  const struct flow *flow = NULL;
  if (word == NULL || !span_of(prover, word, &first, &last, &flow))
    return; /* leads nowhere: the claims about packets have seen to it */
  int64_t end = end_of(prover, element);
  enum language language = prover->question->policy->header.language;
  if (end > milliseconds(last) + TIMER_TOLERANCE_MILLISECONDS)
    prover_refute_time(prover, flow, set,
                       language_choose(language, "カーネルの期限が、ポリシーの期限より遅れています",
                                       "the kernel lets the flow go on longer than the policy"));
  else if (end < milliseconds(first) - TIMER_TOLERANCE_MILLISECONDS)
    prover_refute_time(prover, flow, set,
                       language_choose(language, "カーネルの期限が、ポリシーの期限より早く来ます",
                                       "the kernel ends the flow before the policy does"));
}

static void check_timers(struct prover *prover) {
  const struct live_ruleset *ruleset = prover->question->ruleset;
  for (size_t i = 0; i < ruleset->table_count; i++)
    for (size_t j = 0; j < ruleset->tables[i].set_count; j++) {
      const struct live_set *set = &ruleset->tables[i].sets[j];
      if (!set->has_timeouts || !may_hold_marks(set) || !uses_of(set).mark)
        continue;
      for (size_t k = 0; k < set->element_count; k++)
        if (set->elements[k].has_timeout)
          check_timer(prover, set, &set->elements[k]);
    }
}

/* ---- timers of other kinds ---- */

/* Whether it is the documented identity of a flow, as it is or with the bits that a rule takes away. */
static bool is_of_a_flow(const struct prover *prover, uint32_t value) {
  if (prover->question->identities == NULL)
    return words_find(&prover->words, value) != NULL;
  bool found = identities_have(prover, value);
  for (size_t i = 0; i < prover->words.rewrite_count && !found; i++)
    found = prover->words.rewrites[i].flip == 0 && identities_have(prover, value & prover->words.rewrites[i].keep);
  return found;
}

/* Not of a flow that there is: nor about to go, as that of a flow that has just ended. */
static bool is_stray(const struct prover *prover, const struct live_element *element, bool mark) {
  uint32_t value;
  if (!element->has_timeout || element->expiration <= TIMER_TOLERANCE_MILLISECONDS)
    return false;
  if (!mark || element->first == NULL)
    return true;
  memcpy(&value, element->first, sizeof(value));
  return !is_of_a_flow(prover, value);
}

/* Timers that run out together: as near to each other as a clock may be wrong. In milliseconds. */
struct moment {
  int64_t first, last;
};

enum { MOMENTS_MOST = 4 };

struct strays {
  const struct live_set *set; /* the first that holds one; NULL: there are none */
  struct moment moments[MOMENTS_MOST];
  size_t moment_count;
  bool many; /* too many moments: all are taken for one, at whose end none has run out */
};

static bool runs_out_with(const struct moment *moment, int64_t until) {
  return until >= moment->last - TIMER_TOLERANCE_MILLISECONDS && until <= moment->first + TIMER_TOLERANCE_MILLISECONDS;
}

static void widen(struct moment *moment, int64_t first, int64_t last) {
  moment->first = first < moment->first ? first : moment->first;
  moment->last = last > moment->last ? last : moment->last;
}

static void note_moment(struct strays *strays, int64_t until) {
  size_t at = 0;
  while (at < strays->moment_count && !strays->many && !runs_out_with(&strays->moments[at], until))
    at++;
  if (at < strays->moment_count) {
    widen(&strays->moments[at], until, until);
  } else if (strays->moment_count < MOMENTS_MOST) {
    strays->moments[strays->moment_count++] = (struct moment){until, until};
  } else {
    for (size_t i = 1; i < strays->moment_count; i++)
      widen(&strays->moments[0], strays->moments[i].first, strays->moments[i].last);
    widen(&strays->moments[0], until, until);
    strays->moment_count = 1;
    strays->many = true;
  }
}

static void note_if_stray(const struct prover *prover, const struct live_set *set, const struct live_element *element,
                          bool mark, struct strays *strays) {
  if (!is_stray(prover, element, mark))
    return;
  strays->set = strays->set != NULL ? strays->set : set;
  note_moment(strays, end_of(prover, element));
}

static void find_strays_of(const struct prover *prover, const struct live_set *set, struct strays *strays) {
  bool mark = is_mark_set(set);
  if (set->has_catch_all)
    note_if_stray(prover, set, &set->catch_all, false, strays);
  for (size_t i = 0; i < set->element_count; i++)
    note_if_stray(prover, set, &set->elements[i], mark, strays);
}

static struct strays find_strays(const struct prover *prover) {
  const struct live_ruleset *ruleset = prover->question->ruleset;
  struct strays strays = {.set = NULL};
  for (size_t i = 0; i < ruleset->table_count; i++) {
    const struct live_table *table = &ruleset->tables[i];
    for (size_t j = 0; j < table->set_count && !table->dormant; j++)
      if (table->sets[j].has_timeouts && !table->sets[j].dynamic)
        find_strays_of(prover, &table->sets[j], &strays);
  }
  return strays;
}

static void note_stray(struct prover *prover, const struct live_set *set, const struct pair_work *work,
                       const char *what) {
  struct proof_gap gap = {.table = set->table,
                          .why = arena_printf(prover->arena, "%s the timers in the set %s have run", what, set->name),
                          .from = work->left,
                          .to = work->right};
  gap.why = gap.why != NULL ? gap.why : what;
  prover_note_undecided(prover, CLAIM_TIME, &gap);
}

static void check_without_timed(struct prover *prover, struct bench *bench, const struct live_set *set, zone_index left,
                                zone_index right) {
  struct pair_work work = {.prover = prover, .bench = bench, .left = left, .right = right};
  symbolic_leave_out(bench->machine, is_timed, NULL);
  pair_work_fill(&work);
  bool more = work.failed, less = false;
  for (size_t i = 0; i < work.cell_count && !work.failed && !(more && less); i++) {
    more = more || pair_work_breach(&work, &work.cells[i]) != DIAGRAM_FALSE;
    less = less || pair_work_loss(&work, &work.cells[i]) != DIAGRAM_FALSE;
  }
  if (more)
    note_stray(prover, set, &work, "more may pass when");
  if (less)
    note_stray(prover, set, &work, "less may pass when");
}

/* Whether check_timer() has looked at it: a timer on the mark of a flow. Set by set, for to tell takes a while. */
struct accounting {
  const struct prover *prover;
  const struct live_set *set;
  bool mark;
  int64_t from; /* milliseconds: what ends before that is over as well */
};

static bool is_accounted(void *context, const struct live_set *set, const struct live_element *element) {
  struct accounting *accounting = context;
  if (accounting->set != set)
    *accounting = (struct accounting){accounting->prover, set, set->has_timeouts && is_mark_set(set), accounting->from};
  return element->has_timeout && (!is_stray(accounting->prover, element, accounting->mark) ||
                                  end_of(accounting->prover, element) < accounting->from);
}

static void check_without_accounted(struct prover *prover, struct bench *bench, struct accounting *accounting,
                                    const struct live_set *set, zone_index left, zone_index right) {
  struct pair_work work = {.prover = prover, .bench = bench, .left = left, .right = right};
  symbolic_leave_out(bench->machine, is_accounted, accounting);
  pair_work_fill(&work);
  bool more = work.failed;
  for (size_t i = 0; i < work.cell_count && !work.failed && !more; i++)
    more = pair_work_excess(&work, &work.cells[i]) != DIAGRAM_FALSE;
  if (more)
    note_stray(prover, set, &work, "what has ended may pass until");
}

/* A bench of its own for each question, for it remembers what was left out; NULL: none yet. */
struct stray_walk {
  struct prover *prover;
  struct bench *without_timed, *until[MOMENTS_MOST];
  struct accounting accountings[MOMENTS_MOST];
};

/* Until a moment comes its timers stand, those of all later ones, and nothing that ended before. False: no memory. */
static bool check_until(struct stray_walk *walk, const struct strays *strays, size_t moment, zone_index left,
                        zone_index right) {
  struct prover *prover = walk->prover;
  struct bench *bench = walk->until[moment] = bench_renew(prover, walk->until[moment], BENCH_IN_FULL);
  if (bench == NULL)
    return false;
  walk->accountings[moment].prover = prover;
  walk->accountings[moment].from = strays->moments[moment].first;
  prover->timers_left_until = strays->moments[moment].last;
  check_without_accounted(prover, bench, &walk->accountings[moment], strays->set, left, right);
  prover->timers_left_until = 0;
  return true;
}

static bool check_stray_between(struct stray_walk *walk, const struct strays *strays, zone_index left,
                                zone_index right) {
  walk->without_timed = bench_renew(walk->prover, walk->without_timed, BENCH_IN_FULL);
  bool asked = walk->without_timed != NULL;
  if (asked)
    check_without_timed(walk->prover, walk->without_timed, strays->set, left, right);
  for (size_t i = 0; i < strays->moment_count && asked; i++)
    asked = check_until(walk, strays, i, left, right);
  return asked;
}

static void check_strays(struct prover *prover) {
  struct strays strays = find_strays(prover);
  zone_index count = (zone_index)prover->question->policy->zone_count;
  struct stray_walk walk = {.prover = prover};
  bool asked = true;
  for (zone_index left = ZONE_NONE; strays.set != NULL && left < count && asked; left++)
    for (zone_index right = left; right <= count && asked; right++)
      asked = check_stray_between(&walk, &strays, left, right == count ? ZONE_GATEWAY : right);
  if (!asked)
    prover_note_claim(prover, CLAIM_TIME, PROOF_UNDECIDED);
  bench_free(walk.without_timed);
  for (size_t i = 0; i < MOMENTS_MOST; i++)
    bench_free(walk.until[i]);
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
  check_strays(prover);
  prover->in_force = in_force;
  prover->timers_have_run = false;
}
