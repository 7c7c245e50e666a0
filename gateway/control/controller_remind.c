/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "control/controller_parts.h"
#include "control/reminders.h"

/* Tells of flows that end soon, and of reviews that are due or were missed. */
enum {
  LOOK_SECONDS = 3600,
  SINGLY = 3,       /* so many of one day are told one by one */
  NAMES_SHOWN = 10, /* of more of them */
};

static struct instant end_of_day(const struct policy *policy, const struct date *date) {
  struct civil_time next;
  struct instant noon = timezone_instant(policy->header.timezone, date->year, date->month, date->day, 12, 0, 0);
  timezone_civil(policy->header.timezone, (struct instant){noon.seconds + 86400}, &next);
  return timezone_instant(policy->header.timezone, next.year, next.month, next.day, 0, 0, 0);
}

struct due {
  const struct flow *flow;
  enum reminder_kind kind;
  struct instant at;
};

struct due_list {
  struct arena *arena;
  struct due *items;
  size_t count, capacity;
};

/* ---- what is told ---- */

/* "F-1, F-2, F-3", and how many more. */
static const char *name_flows(const struct due *first, size_t count, enum language language, struct arena *arena) {
  const char *names = first->flow->name;
  for (size_t i = 1; names && i < count && i < NAMES_SHOWN; i++) {
    names = arena_printf(arena, "%s, %s", names, first[i].flow->name);
  }
  if (names && count > NAMES_SHOWN) {
    names =
        arena_printf(arena, language_choose(language, "%s ほか %zu 件", "%s and %zu more"), names, count - NAMES_SHOWN);
  }
  return names ? names : first->flow->name;
}

/* One or more of one kind on one day. */
static void announce(struct controller *controller, const struct due *first, size_t count, struct arena *arena) {
  static const struct {
    struct {
      const char *before, *behind; /* the number of days */
    } japanese, english;
    const char *japanese_advice, *english_advice;
  } words[REMINDER_KIND_COUNT_] = {
      [REMINDER_EXPIRING] = {{"あと ", " 日で期限が切れます"},
                             {"expires in ", " days"},
                             "続けるなら、期限の前に承認を取り直して kido apply する",
                             "If it shall go on, get it approved again and apply before that day"},
      [REMINDER_REVIEW_DUE] = {{"あと ", " 日で見直し日です"},
                               {"review due in ", " days"},
                               "まだ必要か所管課に確かめ、見直し日を改める",
                               "Ask its owner whether it is still needed, and set the next date of review"},
      [REMINDER_REVIEW_OVERDUE] = {{"見直し日を ", " 日過ぎています"},
                                   {"review overdue by ", " days"},
                                   "まだ必要か所管課に確かめ、見直し日を改める",
                                   "Ask its owner whether it is still needed, and set the next date of review"},
  };
  enum reminder_kind kind = first->kind;
  enum language language = controller_language(controller);
  int64_t days = reminder_days(first->at, controller_now());
  bool japanese = language == LANGUAGE_JAPANESE, soon = kind == REMINDER_REVIEW_OVERDUE || days <= 7;
  struct announcement reminder = {.kind = reminder_name(kind),
                                  .severity = soon ? EVENT_WARNING : EVENT_NOTICE,
                                  .flow = count == 1 ? first->flow->name : NULL,
                                  .advice_in_japanese = words[kind].japanese_advice,
                                  .advice_in_english = words[kind].english_advice};
  controller_announce(controller, &reminder, "%s: %s%lld%s", "%s: %s%lld%s", name_flows(first, count, language, arena),
                      japanese ? words[kind].japanese.before : words[kind].english.before,
                      (long long)(days < 0 ? -days : days),
                      japanese ? words[kind].japanese.behind : words[kind].english.behind);
}

static bool same_occasion(const struct due *left, const struct due *right) {
  return left->kind == right->kind && left->at.seconds == right->at.seconds;
}

/* At the end of a fiscal year everything ends on one day: that is one event, not thirty. */
static void announce_all(struct controller *controller, const struct due_list *list) {
  for (size_t first = 0, next; first < list->count; first = next) {
    for (next = first + 1; next < list->count && same_occasion(&list->items[first], &list->items[next]); next++) {
    }
    size_t each = next - first > SINGLY ? next - first : 1;
    for (size_t i = first; i < next; i += each) {
      announce(controller, &list->items[i], each, list->arena);
    }
  }
}

/* ---- what is due ---- */

static void add(struct due_list *list, json_t *told, const struct flow *flow, enum reminder_kind kind,
                struct instant at) {
  if (reminder_wanted(told, flow->name, kind, at, controller_now()) &&
      arena_grow(list->arena, (void **)&list->items, list->count, &list->capacity, sizeof *list->items) == 0) {
    list->items[list->count++] = (struct due){flow, kind, at};
  }
}

static void add_flow(struct due_list *list, json_t *told, const struct policy *policy, const struct flow *flow) {
  if (policy_flow_force(policy, flow, controller_now(), NULL) == FORCE_EXPIRED) {
    return;
  }
  if (flow->expires_set) {
    add(list, told, flow, REMINDER_EXPIRING, flow->expires);
  }
  if (flow->review.set) {
    struct instant due = end_of_day(policy, &flow->review);
    add(list, told, flow, REMINDER_REVIEW_DUE, due);
    add(list, told, flow, REMINDER_REVIEW_OVERDUE, due);
  }
}

static int compare_due(const void *left, const void *right) {
  const struct due *a = left, *b = right;
  if (a->kind != b->kind) {
    return a->kind < b->kind ? -1 : 1;
  }
  if (a->at.seconds != b->at.seconds) {
    return a->at.seconds < b->at.seconds ? -1 : 1;
  }
  return a->flow->index < b->flow->index ? -1 : 1;
}

static void remind(struct controller *controller, struct arena *arena) {
  const char *directory = controller->options->state_directory;
  const struct policy *policy = controller->in_force->policy;
  struct due_list list = {.arena = arena};
  json_t *told = reminders_load(directory);
  struct error ignored = {0};
  for (size_t i = 0; told && i < policy->flow_count; i++) {
    add_flow(&list, told, policy, &policy->flows[i]);
  }
  if (list.count > 0) {
    qsort(list.items, list.count, sizeof *list.items, compare_due);
    announce_all(controller, &list);
    reminders_save(directory, told, &ignored);
  }
  json_decref(told);
}

/* A policy on trial is not reminded of: nobody knows whether it stays. */
void controller_remind(struct controller *controller) {
  struct reminding *reminding = &controller->reminding;
  struct instant now = controller_now();
  bool same = reminding->generation == controller->in_force && now.seconds >= reminding->at.seconds &&
              now.seconds - reminding->at.seconds < LOOK_SECONDS;
  if (!controller->in_force || controller->trial || controller->restrictions.clock_doubtful || same) {
    return;
  }
  *reminding = (struct reminding){.generation = controller->in_force, .at = now};
  struct arena *arena = arena_new(0);
  if (arena) {
    remind(controller, arena);
  }
  arena_free(arena);
}
