/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/reminders.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "control/keep.h"

enum { DAY = 86400, FILE_LIMIT = 16 * 1024 * 1024, NOTHING_TO_TELL = -1 };

static const int64_t stages[] = {1, 2, 3, 7, 14, 30, REMINDER_FIRST_DAYS};

const char *reminder_name(enum reminder_kind kind) {
  static const char *const names[REMINDER_KIND_COUNT_] = {[REMINDER_EXPIRING] = "flow-expiring",
                                                          [REMINDER_REVIEW_DUE] = "review-due",
                                                          [REMINDER_REVIEW_OVERDUE] = "review-overdue"};
  return names[kind];
}

int64_t reminder_days(struct instant due, struct instant now) {
  int64_t seconds = due.seconds - now.seconds;
  return seconds >= 0 ? (seconds + DAY - 1) / DAY : -(-seconds / DAY);
}

/* What was told stands for all days of a stage. */
static int64_t stage_of(enum reminder_kind kind, struct instant due, struct instant now) {
  int64_t days = reminder_days(due, now);
  bool past = due.seconds <= now.seconds;
  if (kind == REMINDER_REVIEW_OVERDUE) {
    return past ? -days / 7 : NOTHING_TO_TELL;
  }
  for (size_t i = 0; !past && i < sizeof stages / sizeof stages[0]; i++) {
    if (days <= stages[i]) {
      return stages[i];
    }
  }
  return NOTHING_TO_TELL;
}

bool reminder_wanted(json_t *told, const char *flow, enum reminder_kind kind, struct instant due, struct instant now) {
  int64_t stage = stage_of(kind, due, now);
  if (stage == NOTHING_TO_TELL) {
    return false;
  }
  json_t *of_flow = json_object_get(told, flow);
  const json_t *last = json_object_get(of_flow, reminder_name(kind));
  if (json_integer_value(json_object_get(last, "due")) == due.seconds &&
      json_integer_value(json_object_get(last, "stage")) == stage && last) {
    return false;
  }
  if (!json_is_object(of_flow)) {
    of_flow = json_object();
    json_object_set_new(told, flow, of_flow);
  }
  json_object_set_new(of_flow, reminder_name(kind),
                      json_pack("{s:I, s:I}", "due", (json_int_t)due.seconds, "stage", (json_int_t)stage));
  return true;
}

json_t *reminders_load(const char *directory) {
  struct arena *arena = arena_new(0);
  char *text = NULL;
  size_t size = 0;
  struct error ignored = {0};
  json_t *told = NULL;
  if (arena && keep_read(directory, REMINDERS_FILE, FILE_LIMIT, arena, &text, &size, &ignored) == 0) {
    told = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
  }
  arena_free(arena);
  if (!json_is_object(told)) {
    json_decref(told);
    told = json_object();
  }
  return told;
}

int reminders_save(const char *directory, const json_t *told, struct error *error) {
  char *text = json_dumps(told, JSON_INDENT(1));
  if (!text) {
    return error_set(error, ENOMEM, "no memory for " REMINDERS_FILE);
  }
  int result = keep_write(directory, REMINDERS_FILE, text, strlen(text), error);
  free(text);
  return result;
}
