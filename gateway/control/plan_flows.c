/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/plan_parts.h"
#include "rules/compile.h"

const char *plan_flow_kind_name(enum plan_flow_kind kind) {
  static const char *const names[PLAN_FLOW_KIND_COUNT_] = {
      [PLAN_ADDED] = "added", [PLAN_REMOVED] = "removed",   [PLAN_WIDENED] = "widened", [PLAN_NARROWED] = "narrowed",
      [PLAN_MOVED] = "moved", [PLAN_REPINNED] = "repinned", [PLAN_RETIMED] = "retimed", [PLAN_RENAMED] = "renamed"};
  return names[kind];
}

/* ---- finding the other side ---- */

/* A flow by its name and by its mark. */
struct key {
  const char *name;
  uint32_t mark;
  const struct flow *flow;
};

struct side {
  const struct policy *policy;
  const struct restrictions *restrictions;
  size_t count;
  uint32_t *marks;             /* by index of the flow */
  struct key *names, *by_mark; /* sorted */
  bool *taken;                 /* by index: the other side has it */
};

static int compare_names(const void *left, const void *right) {
  return strcmp(((const struct key *)left)->name, ((const struct key *)right)->name);
}

static int compare_marks(const void *left, const void *right) {
  const struct key *a = left, *b = right;
  if (a->mark != b->mark) {
    return a->mark < b->mark ? -1 : 1;
  }
  return a->flow->index < b->flow->index ? -1 : a->flow->index > b->flow->index;
}

static int make_side(const struct plan_side *given, struct arena *arena, struct side *side) {
  *side = (struct side){.policy = given->policy, .restrictions = given->restrictions};
  side->count = given->policy ? given->policy->flow_count : 0;
  side->names = ARENA_ARRAY(arena, side->count + 1, struct key);
  side->by_mark = ARENA_ARRAY(arena, side->count + 1, struct key);
  side->taken = ARENA_ARRAY(arena, side->count + 1, bool);
  if (!side->names || !side->by_mark || !side->taken ||
      (side->policy && flow_marks(side->policy, arena, &side->marks) < 0)) {
    return -ENOMEM;
  }
  for (size_t i = 0; i < side->count; i++) {
    const struct flow *flow = &side->policy->flows[i];
    side->names[i] = side->by_mark[i] = (struct key){flow->name, side->marks[i], flow};
  }
  qsort(side->names, side->count, sizeof *side->names, compare_names);
  qsort(side->by_mark, side->count, sizeof *side->by_mark, compare_marks);
  return 0;
}

static const struct flow *find_name(const struct side *side, const char *name) {
  struct key wanted = {.name = name};
  const struct key *found = bsearch(&wanted, side->names, side->count, sizeof wanted, compare_names);
  return found ? found->flow : NULL;
}

/* The first flow of that meaning whose name the other side does not know and that stands for no other yet. */
static const struct flow *find_renamed(const struct side *side, const struct side *other, uint32_t mark) {
  size_t low = 0, high = side->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (side->by_mark[middle].mark < mark) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  for (; low < side->count && side->by_mark[low].mark == mark; low++) {
    const struct flow *flow = side->by_mark[low].flow;
    if (!side->taken[flow->index] && !find_name(other, flow->name)) {
      return flow;
    }
  }
  return NULL;
}

/* ---- comparing two flows ---- */

static bool same_windows(const struct flow *left, const struct flow *right) {
  if (left->window_count != right->window_count) {
    return false;
  }
  for (size_t i = 0; i < left->window_count; i++) {
    if (left->windows[i].start.seconds != right->windows[i].start.seconds ||
        left->windows[i].end.seconds != right->windows[i].end.seconds) {
      return false;
    }
  }
  return true;
}

static bool same_hours(const struct hours *left, const struct hours *right) {
  return left->set == right->set &&
         (!left->set || (left->weekdays == right->weekdays && left->first_minute == right->first_minute &&
                         left->last_minute == right->last_minute));
}

static bool same_times(const struct flow *left, const struct flow *right) {
  return left->expires_set == right->expires_set &&
         (!left->expires_set || left->expires.seconds == right->expires.seconds) && same_windows(left, right) &&
         same_hours(&left->hours, &right->hours);
}

static bool same_limit(const struct limit *left, const struct limit *right) {
  return left->set == right->set &&
         (!left->set || (left->new_per_second == right->new_per_second && left->connections == right->connections));
}

static enum plan_flow_kind kind_of(const struct plan_flow *change) {
  bool more = change->opened_count > 0, less = change->closed_count > 0;
  return more && less ? PLAN_MOVED : more ? PLAN_WIDENED : less ? PLAN_NARROWED : PLAN_REPINNED;
}

static void set_force(const struct side *side, const struct flow *flow, struct instant now, enum force_state *state,
                      struct instant *until) {
  *state = FORCE_EXPIRED;
  *until = INSTANT_NEVER;
  if (flow) {
    *state = restricted_flow_force(side->policy, side->restrictions, flow, now, until);
  }
}

static int set_boxes(const struct side *before, const struct side *after, struct arena *arena,
                     struct plan_flow *change) {
  int result = 0;
  if (change->after) {
    result = plan_flow_subtract(after->policy, change->after, before->policy, change->before, arena, change->opened,
                                &change->opened_count);
  }
  if (result == 0 && change->before) {
    result = plan_flow_subtract(before->policy, change->before, after->policy, change->after, arena, change->closed,
                                &change->closed_count);
  }
  return result;
}

/* ---- the list ---- */

struct comparison {
  const struct plan_question *question;
  struct side before, after;
  struct arena *arena;
  struct plan *plan;
};

/* A flow that has expired on both sides, or on the one where it stands, lets nothing pass and never will. */
static bool matters(const struct plan_flow *change) {
  return (change->force_before != FORCE_EXPIRED || change->force_after != FORCE_EXPIRED) &&
         (change->kind != PLAN_RENAMED || change->retimed || change->relimited);
}

static void add_change(struct comparison *comparison, struct plan_flow *change) {
  struct instant now = comparison->question->now;
  set_force(&comparison->before, change->before, now, &change->force_before, &change->until_before);
  set_force(&comparison->after, change->after, now, &change->force_after, &change->until_after);
  comparison->plan->flows[comparison->plan->flow_count++] = *change;
  comparison->plan->equal = comparison->plan->equal && !matters(change);
}

static bool is_change(const struct comparison *comparison, struct plan_flow *change) {
  if (!change->before || !change->after) {
    change->kind = change->after ? PLAN_ADDED : PLAN_REMOVED;
    return true;
  }
  change->retimed = !same_times(change->before, change->after);
  change->relimited = !same_limit(&change->before->limit, &change->after->limit);
  bool same_meaning = comparison->before.marks[change->before->index] == comparison->after.marks[change->after->index];
  if (!same_meaning) {
    change->kind = PLAN_MOVED; /* until the boxes tell */
    return true;
  }
  bool renamed = strcmp(change->before->name, change->after->name) != 0;
  change->kind = renamed ? PLAN_RENAMED : PLAN_RETIMED;
  return renamed || change->retimed || change->relimited;
}

static int compare_pair(struct comparison *comparison, const struct flow *before, const struct flow *after) {
  struct plan_flow change = {.before = before, .after = after};
  if (!is_change(comparison, &change)) {
    return 0;
  }
  bool covers_other = change.kind == PLAN_ADDED || change.kind == PLAN_REMOVED || change.kind == PLAN_MOVED;
  int result = covers_other ? set_boxes(&comparison->before, &comparison->after, comparison->arena, &change) : 0;
  if (change.kind == PLAN_MOVED) {
    change.kind = kind_of(&change);
  }
  if (result == 0) {
    add_change(comparison, &change);
  }
  return result;
}

static const struct flow *find_before(const struct comparison *comparison, const struct flow *after) {
  const struct flow *same_name = find_name(&comparison->before, after->name);
  return same_name ? same_name
                   : find_renamed(&comparison->before, &comparison->after, comparison->after.marks[after->index]);
}

static int compare_all(struct comparison *comparison) {
  int result = 0;
  for (size_t i = 0; i < comparison->after.count && result == 0; i++) {
    const struct flow *after = &comparison->after.policy->flows[i];
    const struct flow *before = find_before(comparison, after);
    if (before) {
      comparison->before.taken[before->index] = true;
    }
    result = compare_pair(comparison, before, after);
  }
  for (size_t i = 0; i < comparison->before.count && result == 0; i++) {
    if (!comparison->before.taken[i]) {
      result = compare_pair(comparison, &comparison->before.policy->flows[i], NULL);
    }
  }
  return result;
}

int plan_compare_flows(const struct plan_question *question, struct arena *arena, struct plan *plan) {
  struct comparison comparison = {.question = question, .arena = arena, .plan = plan};
  if (make_side(&question->before, arena, &comparison.before) < 0 ||
      make_side(&question->after, arena, &comparison.after) < 0) {
    return -ENOMEM;
  }
  plan->flows = ARENA_ARRAY(arena, comparison.before.count + comparison.after.count + 1, struct plan_flow);
  return plan->flows ? compare_all(&comparison) : -ENOMEM;
}
