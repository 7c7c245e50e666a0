/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_REMINDERS_H
#define KIDO_CONTROL_REMINDERS_H

#include <stdbool.h>

#include <jansson.h>

#include "base/error.h"
#include "base/instant.h"

/*
 * Dates that come near, told neither too often nor twice: at certain numbers of days before, once each, and every week
 * after a review that nobody made. What was told is kept in the state directory.
 */
enum reminder_kind {
  REMINDER_EXPIRING,       /* the flow ends */
  REMINDER_REVIEW_DUE,     /* its review is to be made */
  REMINDER_REVIEW_OVERDUE, /* it was to be made */
  REMINDER_KIND_COUNT_,
};

enum { REMINDER_FIRST_DAYS = 60 };

#define REMINDERS_FILE "reminders.json"

/* "flow-expiring", "review-due", "review-overdue": the kind of the event. */
const char *reminder_name(enum reminder_kind kind);

/* Days until then, begun ones count; negative: days since. */
int64_t reminder_days(struct instant due, struct instant now);

/*
 * Whether a flow is to be reminded of now, and notes that it was. told: an object, as loaded or new. A date that was
 * changed begins anew.
 */
bool reminder_wanted(json_t *told, const char *flow, enum reminder_kind kind, struct instant due, struct instant now);

/* What was told so far; an empty object when there is nothing, or nothing that can be read. NULL without memory. */
json_t *reminders_load(const char *directory);
int reminders_save(const char *directory, const json_t *told, struct error *error);

#endif
