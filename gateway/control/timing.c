/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/timing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rules/compile.h"

/*
 * Theory of operation. The compiler looks at the instant in two places. The sets of flows in force hold the flows that
 * are in force then. And the maps from openers to flows leave out flows that have expired, and let a flow that lasts
 * for ever stand before those that it covers. So of each flow it is kept how it went into the maps:
 *
 *   LEFT_OUT  it must still have expired
 *   LASTING   it must still be in force, for ever
 *   TIMED     whatever becomes of it, the maps are right: what they lead to is in force or not
 *
 * Time alone never makes the first two untrue, unless it goes backwards; a trial, a window that was closed or a clock
 * that cannot be believed may. Cuts and forwarding within a zone are part of chains, and must be the same.
 *
 * Of the timed flows, those are looked at whose turn has come, and those whose windows were closed or are not any more;
 * all of them while a trial goes on.
 */
enum flow_timing { LEFT_OUT, LASTING, TIMED };

struct timed_flow {
  uint32_t flow;
  uint32_t mark;
  const char *set;
  bool closed; /* its window, by somebody */
};

struct timing {
  struct arena *arena;
  char sha256[sizeof((struct policy){0}.sha256)];
  struct instant at;
  struct address_set own;
  const uint64_t *cuts; /* ids */
  size_t cut_count;
  const struct instant *within; /* until when packets pass within a zone, by its index; 0: they do not */
  bool held_back;               /* by a trial or a doubtful clock */
  uint8_t *flows;               /* enum flow_timing, by index */
  struct timed_flow *timed;     /* by set */
  int64_t *turns;               /* like `timed`: when that may change, in seconds */
  size_t timed_count;
  struct known_flow *named; /* flows whose windows were closed, found once: a policy may have very many */
  size_t named_count, named_capacity;
};

struct known_flow {
  const char *name;
  size_t index; /* SIZE_MAX: the policy has none of that name */
};

static enum flow_timing flow_timing_of(const struct timing_source *source, const struct flow *flow) {
  struct instant until;
  enum force_state force = restricted_flow_force(source->policy, source->restrictions, flow, source->now, &until);
  if (force == FORCE_EXPIRED) {
    return LEFT_OUT;
  }
  return force == FORCE_YES && until.seconds == INSTANT_NEVER.seconds ? LASTING : TIMED;
}

static bool holds_back(const struct restrictions *restrictions) {
  return restrictions && (restrictions->flow_deadlines || restrictions->clock_doubtful);
}

/* ---- making ---- */

static int list_cuts(struct timing *timing, const struct restrictions *restrictions) {
  timing->cut_count = restrictions ? restrictions->cut_count : 0;
  uint64_t *cuts = ARENA_ARRAY(timing->arena, timing->cut_count + 1, uint64_t);
  for (size_t i = 0; cuts && i < timing->cut_count; i++) {
    cuts[i] = restrictions->cuts[i].id;
  }
  timing->cuts = cuts;
  return cuts ? 0 : -ENOMEM;
}

static struct instant within_until(const struct timing_source *source, size_t zone) {
  struct instant until;
  bool passes = restricted_within(source->policy, source->restrictions, (zone_index)zone, source->now, &until);
  return passes ? until : (struct instant){0};
}

static int list_within(struct timing *timing, const struct timing_source *source) {
  struct instant *within = ARENA_ARRAY(timing->arena, source->policy->zone_count + 1, struct instant);
  for (size_t i = 0; within && i < source->policy->zone_count; i++) {
    within[i] = within_until(source, i);
  }
  timing->within = within;
  return within ? 0 : -ENOMEM;
}

static int keep_own(struct timing *timing, const struct address_set *own) {
  if (!own || own->count == 0) {
    return 0;
  }
  timing->own.ranges = arena_memdup(timing->arena, own->ranges, own->count * sizeof *own->ranges);
  timing->own.count = own->count;
  return timing->own.ranges ? 0 : -ENOMEM;
}

/* Fills what time does to the flows; returns how many are TIMED. */
static size_t judge_flows(struct timing *timing, const struct timing_source *source) {
  size_t timed = 0;
  for (size_t i = 0; i < source->policy->flow_count; i++) {
    timing->flows[i] = (uint8_t)flow_timing_of(source, &source->policy->flows[i]);
    timed += timing->flows[i] == TIMED;
  }
  return timed;
}

static int list_timed(struct timing *timing, const struct policy *policy, const struct ruleset *ruleset,
                      const uint32_t *marks) {
  for (size_t i = 0; i < policy->flow_count; i++) {
    const struct flow *flow = &policy->flows[i];
    if (timing->flows[i] != TIMED) {
      continue;
    }
    const char *name = in_force_set_name(policy, flow->from_zone, flow->to_zone, timing->arena);
    if (!name) {
      return -ENOMEM;
    }
    if (ruleset_find_set(ruleset, name)) { /* else the flow takes no part */
      timing->timed[timing->timed_count++] = (struct timed_flow){.flow = (uint32_t)i, .mark = marks[i], .set = name};
    }
  }
  return 0;
}

static int find_timed(struct timing *timing, const struct timing_source *source, const struct ruleset *ruleset) {
  struct arena *scratch = arena_new(0);
  uint32_t *marks = NULL;
  int result = scratch ? flow_marks(source->policy, scratch, &marks) : -ENOMEM;
  if (result == 0) {
    result = list_timed(timing, source->policy, ruleset, marks);
  }
  arena_free(scratch);
  return result;
}

static int compare_timed(const void *left, const void *right) {
  const struct timed_flow *first = left, *second = right;
  int order = strcmp(first->set, second->set);
  return order != 0 ? order : (first->flow > second->flow) - (first->flow < second->flow);
}

static int fill_flows(struct timing *timing, const struct timing_source *source, const struct ruleset *ruleset) {
  timing->flows = ARENA_ARRAY(timing->arena, source->policy->flow_count + 1, uint8_t);
  size_t timed = timing->flows ? judge_flows(timing, source) : 0;
  timing->timed = ARENA_ARRAY(timing->arena, timed + 1, struct timed_flow);
  timing->turns = ARENA_ARRAY(timing->arena, timed + 1, int64_t);
  if (!timing->flows || !timing->timed || !timing->turns) {
    return -ENOMEM;
  }
  int result = timed > 0 ? find_timed(timing, source, ruleset) : 0;
  if (result == 0 && timing->timed_count > 0) {
    qsort(timing->timed, timing->timed_count, sizeof *timing->timed, compare_timed);
  }
  return result;
}

static int fill(struct timing *timing, const struct timing_source *source, const struct ruleset *ruleset) {
  memcpy(timing->sha256, source->policy->sha256, sizeof timing->sha256);
  timing->at = source->now;
  int result = list_cuts(timing, source->restrictions);
  if (result == 0) {
    result = list_within(timing, source);
  }
  if (result == 0) {
    result = keep_own(timing, source->own);
  }
  return result == 0 ? fill_flows(timing, source, ruleset) : result;
}

/* The compiler must have come to the same. No turn is known yet: all are looked at. */
static int check(struct timing *timing, const struct timing_source *source, const struct ruleset *ruleset) {
  struct arena *scratch = arena_new(0);
  const struct ruleset *same = NULL;
  int result = scratch ? timing_ruleset(timing, source, ruleset, scratch, &same) : -ENOMEM;
  if (result == 0 && same != ruleset) {
    result = -EINVAL;
  }
  if (result == 0) {
    timing_accept(timing, source);
  }
  arena_free(scratch);
  return result;
}

int timing_new(const struct timing_source *source, const struct ruleset *ruleset, struct timing **ret_timing) {
  struct arena *arena = arena_new(0);
  struct timing *timing = arena ? ARENA_NEW(arena, struct timing) : NULL;
  int result = -ENOMEM;
  if (timing) {
    timing->arena = arena;
    result = fill(timing, source, ruleset);
  }
  if (result == 0) {
    result = check(timing, source, ruleset);
  }
  if (result < 0) {
    arena_free(arena);
    return result;
  }
  *ret_timing = timing;
  return 0;
}

struct timing *timing_free(struct timing *timing) {
  if (timing) {
    arena_free(timing->arena);
  }
  return NULL;
}

/* ---- fitting ---- */

static bool own_fits(const struct timing *timing, const struct address_set *own) {
  if (timing->own.count != (own ? own->count : 0)) {
    return false;
  }
  for (size_t i = 0; i < timing->own.count; i++) {
    if (!range_equal(&timing->own.ranges[i], &own->ranges[i])) {
      return false;
    }
  }
  return true;
}

static bool cuts_fit(const struct timing *timing, const struct restrictions *restrictions) {
  if (timing->cut_count != (restrictions ? restrictions->cut_count : 0)) {
    return false;
  }
  for (size_t i = 0; i < timing->cut_count; i++) {
    if (timing->cuts[i] != restrictions->cuts[i].id) {
      return false;
    }
  }
  return true;
}

static bool within_fits(const struct timing *timing, const struct timing_source *source) {
  for (size_t i = 0; i < source->policy->zone_count; i++) {
    if (timing->within[i].seconds != within_until(source, i).seconds) {
      return false;
    }
  }
  return true;
}

static bool flow_fits(const struct timing *timing, const struct timing_source *source, size_t index) {
  return timing->flows[index] == TIMED ||
         flow_timing_of(source, &source->policy->flows[index]) == (enum flow_timing)timing->flows[index];
}

/* Index of the flow; SIZE_MAX when the policy has none of that name. */
static size_t find_named(struct timing *timing, const struct policy *policy, const char *name) {
  for (size_t i = 0; i < timing->named_count; i++) {
    if (strcmp(timing->named[i].name, name) == 0) {
      return timing->named[i].index;
    }
  }
  const struct flow *flow = policy_find_flow(policy, name);
  struct known_flow known = {arena_strdup(timing->arena, name), flow ? flow->index : SIZE_MAX};
  if (known.name && arena_grow(timing->arena, (void **)&timing->named, timing->named_count, &timing->named_capacity,
                               sizeof known) == 0) {
    timing->named[timing->named_count++] = known;
  }
  return known.index;
}

/* Windows are closed by name. */
static bool closed_flows_fit(struct timing *timing, const struct timing_source *source) {
  const struct restrictions *restrictions = source->restrictions;
  for (size_t i = 0; restrictions && i < restrictions->closed_window_count; i++) {
    size_t index = find_named(timing, source->policy, restrictions->closed_windows[i].flow);
    if (index != SIZE_MAX && !flow_fits(timing, source, index)) {
      return false;
    }
  }
  return true;
}

static bool flows_fit(struct timing *timing, const struct timing_source *source) {
  if (!timing->held_back && !holds_back(source->restrictions)) {
    return closed_flows_fit(timing, source);
  }
  for (size_t i = 0; i < source->policy->flow_count; i++) {
    if (!flow_fits(timing, source, i)) {
      return false;
    }
  }
  return true;
}

bool timing_fits(struct timing *timing, const struct timing_source *source) {
  return timing->sha256[0] && memcmp(timing->sha256, source->policy->sha256, sizeof timing->sha256) == 0 &&
         source->now.seconds >= timing->at.seconds && own_fits(timing, source->own) &&
         cuts_fit(timing, source->restrictions) && within_fits(timing, source) && flows_fit(timing, source);
}

/* ---- the ruleset of another instant ---- */

/* What must stand of a timed flow; *ret_element: what stands in the set. */
struct step {
  bool wanted;
  struct instant until;
  const struct element *held;
};

static struct step judge_timed(const struct timing_source *source, const struct timed_flow *timed,
                               const struct set *set) {
  struct step step = {0};
  const struct flow *flow = &source->policy->flows[timed->flow];
  step.wanted =
      restricted_flow_force(source->policy, source->restrictions, flow, source->now, &step.until) == FORCE_YES;
  struct element key = {0};
  memcpy(key.key, &timed->mark, sizeof timed->mark);
  step.held = set_find(set, &key);
  return step;
}

static bool stands(const struct step *step) {
  return step->wanted ? step->held && step->held->expires.seconds == step->until.seconds : !step->held;
}

static void write_element(const struct timing_source *source, const struct timed_flow *timed, const struct step *step,
                          struct element *ret_element) {
  const struct flow *flow = &source->policy->flows[timed->flow];
  *ret_element = (struct element){
      .expires = step->until, .comment = flow->name, .origin = {.subject = flow->name, .place = flow->place}};
  memcpy(ret_element->key, &timed->mark, sizeof timed->mark);
  memcpy(ret_element->key_end, &timed->mark, sizeof timed->mark);
}

static int compare_elements(const void *left, const void *right, void *set) {
  return element_compare_keys(set, left, right);
}

/* A set with some of its timed flows put right. */
static int put_right(const struct timing_source *source, const struct timed_flow *const *timed, size_t count,
                     struct arena *arena, struct set *set) {
  const struct set from = *set;
  struct element *elements = ARENA_ARRAY(arena, from.element_count + count, struct element);
  bool *gone = ARENA_ARRAY(arena, from.element_count + 1, bool);
  if (!elements || !gone) {
    return -ENOMEM;
  }
  size_t kept = 0, added = 0;
  for (size_t i = 0; i < count; i++) {
    struct step step = judge_timed(source, timed[i], &from);
    if (step.held) {
      gone[step.held - from.elements] = true;
    }
    if (step.wanted) {
      write_element(source, timed[i], &step, &elements[from.element_count + added++]);
    }
  }
  for (size_t i = 0; i < from.element_count; i++) {
    if (!gone[i]) {
      elements[kept++] = from.elements[i];
    }
  }
  memmove(&elements[kept], &elements[from.element_count], added * sizeof *elements);
  set->elements = elements;
  set->element_count = kept + added;
  set->sealed = false;
  if (set->element_count > 0) {
    qsort_r(elements, set->element_count, sizeof *elements, compare_elements, set);
  }
  return 0;
}

static bool all_stand(const struct timing_source *source, const struct timed_flow *const *timed, size_t count,
                      const struct set *set) {
  for (size_t i = 0; i < count; i++) {
    struct step step = judge_timed(source, timed[i], set);
    if (!stands(&step)) {
      return false;
    }
  }
  return true;
}

/* Copies the ruleset and its list of sets when the first one changes. */
static struct set *changeable_sets(const struct ruleset *from, struct arena *arena, struct ruleset **copy) {
  if (!*copy) {
    *copy = arena_memdup(arena, from, sizeof *from);
    struct set *sets = arena_memdup(arena, from->sets, from->set_count * sizeof *sets);
    if (!*copy || !sets) {
      return NULL;
    }
    (*copy)->sets = sets;
  }
  return (*copy)->sets;
}

/* ---- whose turn it is ---- */

static bool window_is_closed(struct timing *timing, const struct timing_source *source, uint32_t flow) {
  const struct restrictions *restrictions = source->restrictions;
  for (size_t i = 0; restrictions && i < restrictions->closed_window_count; i++) {
    if (find_named(timing, source->policy, restrictions->closed_windows[i].flow) == flow) {
      return true;
    }
  }
  return false;
}

static bool must_be_looked_at(struct timing *timing, const struct timing_source *source, size_t index) {
  const struct timed_flow *timed = &timing->timed[index];
  return timing->turns[index] <= source->now.seconds || timing->held_back || holds_back(source->restrictions) ||
         timed->closed || window_is_closed(timing, source, timed->flow);
}

/* Those that must be looked at, still by set. */
static int list_due(struct timing *timing, const struct timing_source *source, struct arena *arena,
                    const struct timed_flow ***ret_due, size_t *ret_count) {
  const struct timed_flow **due = ARENA_ARRAY(arena, timing->timed_count + 1, const struct timed_flow *);
  size_t count = 0;
  for (size_t i = 0; due && i < timing->timed_count; i++) {
    if (must_be_looked_at(timing, source, i)) {
      due[count++] = &timing->timed[i];
    }
  }
  *ret_due = due;
  *ret_count = count;
  return due ? 0 : -ENOMEM;
}

int timing_ruleset(struct timing *timing, const struct timing_source *source, const struct ruleset *from,
                   struct arena *arena, const struct ruleset **ret_ruleset) {
  struct ruleset *copy = NULL;
  const struct timed_flow **due = NULL;
  size_t count = 0;
  if (list_due(timing, source, arena, &due, &count) < 0) {
    return -ENOMEM;
  }
  for (size_t i = 0, next; i < count; i = next) {
    for (next = i + 1; next < count && strcmp(due[next]->set, due[i]->set) == 0;) {
      next++;
    }
    const struct set *set = ruleset_find_set(from, due[i]->set);
    if (!set || all_stand(source, &due[i], next - i, set)) {
      continue;
    }
    struct set *sets = changeable_sets(from, arena, &copy);
    if (!sets || put_right(source, &due[i], next - i, arena, &sets[set - from->sets]) < 0) {
      return -ENOMEM;
    }
  }
  *ret_ruleset = copy ? copy : from;
  return 0;
}

void timing_accept(struct timing *timing, const struct timing_source *source) {
  for (size_t i = 0; i < timing->timed_count; i++) {
    if (must_be_looked_at(timing, source, i)) {
      struct timed_flow *timed = &timing->timed[i];
      struct instant turn;
      restricted_flow_force(source->policy, source->restrictions, &source->policy->flows[timed->flow], source->now,
                            &turn);
      timing->turns[i] = turn.seconds;
      timed->closed = window_is_closed(timing, source, timed->flow);
    }
  }
  timing->held_back = holds_back(source->restrictions);
  timing->at = source->now;
}
