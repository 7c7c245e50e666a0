/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/controller_parts.h"
#include "control/reminders.h"

/* Tells of flows that end soon, and of reviews that are due or were missed. */
enum { LOOK_SECONDS = 3600 };

static struct instant end_of_day(const struct policy *policy, const struct date *date) {
  struct civil_time next;
  struct instant noon = timezone_instant(policy->header.timezone, date->year, date->month, date->day, 12, 0, 0);
  timezone_civil(policy->header.timezone, (struct instant){noon.seconds + 86400}, &next);
  return timezone_instant(policy->header.timezone, next.year, next.month, next.day, 0, 0, 0);
}

static void announce(struct controller *controller, const struct flow *flow, enum reminder_kind kind,
                     struct instant due) {
  static const struct {
    struct {
      const char *before, *behind; /* the number of days */
    } japanese, english;
    const char *japanese_advice, *english_advice;
  } words[REMINDER_KIND_COUNT_] = {
      [REMINDER_EXPIRING] = {{"あと ", " 日で期限が切れます"},
                             {"it expires in ", " days"},
                             "続けるなら、期限の前に承認を取り直して kido apply する",
                             "If it shall go on, get it approved again and apply before that day"},
      [REMINDER_REVIEW_DUE] = {{"あと ", " 日で見直し日です"},
                               {"its review is due in ", " days"},
                               "まだ必要か所管課に確かめ、見直し日を改める",
                               "Ask its owner whether it is still needed, and set the next date of review"},
      [REMINDER_REVIEW_OVERDUE] = {{"見直し日を ", " 日過ぎています"},
                                   {"its review is overdue by ", " days"},
                                   "まだ必要か所管課に確かめ、見直し日を改める",
                                   "Ask its owner whether it is still needed, and set the next date of review"},
  };
  int64_t days = reminder_days(due, controller_now());
  long long shown = days < 0 ? -days : days;
  bool japanese = controller_language(controller) == LANGUAGE_JAPANESE;
  bool soon = kind == REMINDER_REVIEW_OVERDUE || days <= 7;
  struct announcement reminder = {.kind = reminder_name(kind),
                                  .severity = soon ? EVENT_WARNING : EVENT_NOTICE,
                                  .flow = flow->name,
                                  .advice_in_japanese = words[kind].japanese_advice,
                                  .advice_in_english = words[kind].english_advice};
  controller_announce(controller, &reminder, "%s: %s%lld%s", "%s: %s%lld%s", flow->name,
                      japanese ? words[kind].japanese.before : words[kind].english.before, shown,
                      japanese ? words[kind].japanese.behind : words[kind].english.behind);
}

/* True when something was told. */
static bool remind_of(struct controller *controller, json_t *told, const struct flow *flow, enum reminder_kind kind,
                      struct instant due) {
  bool wanted = reminder_wanted(told, flow->name, kind, due, controller_now());
  if (wanted) {
    announce(controller, flow, kind, due);
  }
  return wanted;
}

static bool remind_of_flow(struct controller *controller, json_t *told, const struct flow *flow) {
  const struct policy *policy = controller->in_force->policy;
  bool any = false;
  if (policy_flow_force(policy, flow, controller_now(), NULL) == FORCE_EXPIRED) {
    return false;
  }
  if (flow->expires_set) {
    any = remind_of(controller, told, flow, REMINDER_EXPIRING, flow->expires);
  }
  if (flow->review.set) {
    struct instant due = end_of_day(policy, &flow->review);
    any = remind_of(controller, told, flow, REMINDER_REVIEW_DUE, due) || any;
    any = remind_of(controller, told, flow, REMINDER_REVIEW_OVERDUE, due) || any;
  }
  return any;
}

static void remind(struct controller *controller) {
  const char *directory = controller->options->state_directory;
  const struct policy *policy = controller->in_force->policy;
  json_t *told = reminders_load(directory);
  struct error ignored = {0};
  bool any = false;
  for (size_t i = 0; told && i < policy->flow_count; i++) {
    any = remind_of_flow(controller, told, &policy->flows[i]) || any;
  }
  if (any) {
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
  remind(controller);
}
