/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/restrictions_json.h"

#include <errno.h>
#include <string.h>

/* ---- to JSON ---- */

static json_t *cut_to_json(const struct cut *cut) {
  char address[ADDRESS_TEXT_SIZE];
  const char *host = cut->kind == CUT_HOST ? address_format(&cut->address, address) : NULL;
  return json_pack("{s:I, s:s, s:s?, s:s?, s:s?, s:I, s:s, s:s}", "id", (json_int_t)cut->id, "kind",
                   cut_kind_name(cut->kind), "address", host, "zone", cut->zone, "other_zone", cut->other_zone, "at",
                   (json_int_t)cut->at.seconds, "by", cut->by, "why", cut->why);
}

static json_t *cuts_to_json(const struct restrictions *restrictions) {
  json_t *array = json_array();
  for (size_t i = 0; i < restrictions->cut_count; i++) {
    json_array_append_new(array, cut_to_json(&restrictions->cuts[i]));
  }
  return array;
}

static json_t *windows_to_json(const struct restrictions *restrictions) {
  json_t *array = json_array();
  for (size_t i = 0; i < restrictions->closed_window_count; i++) {
    const struct closed_window *closed = &restrictions->closed_windows[i];
    json_array_append_new(array, json_pack("{s:s, s:I, s:I, s:s, s:s}", "flow", closed->flow, "until",
                                           (json_int_t)closed->until.seconds, "at", (json_int_t)closed->at.seconds,
                                           "by", closed->by, "why", closed->why));
  }
  return array;
}

static json_t *deadlines_to_json(const struct instant *deadlines, size_t count) {
  if (!deadlines || count == 0) {
    return json_null();
  }
  json_t *array = json_array();
  for (size_t i = 0; i < count; i++) {
    bool never = deadlines[i].seconds == INSTANT_NEVER.seconds;
    json_array_append_new(array, never ? json_null() : json_integer((json_int_t)deadlines[i].seconds));
  }
  return array;
}

json_t *restrictions_to_json(const struct restrictions *restrictions, size_t flow_count, size_t zone_count) {
  json_t *object = json_pack("{s:o, s:o, s:b, s:o, s:o}", "cuts", cuts_to_json(restrictions), "closed_windows",
                             windows_to_json(restrictions), "clock_doubtful", restrictions->clock_doubtful,
                             "flow_deadlines", deadlines_to_json(restrictions->flow_deadlines, flow_count),
                             "within_deadlines", deadlines_to_json(restrictions->within_deadlines, zone_count));
  bool whole = json_array_size(json_object_get(object, "cuts")) == restrictions->cut_count &&
               json_array_size(json_object_get(object, "closed_windows")) == restrictions->closed_window_count;
  if (!whole) {
    json_decref(object);
    return NULL;
  }
  return object;
}

/* ---- from JSON ---- */

/* The first thing that is wrong makes the rest no-ops. */
struct restoring {
  struct arena *arena;
  const char *wrong; /* NULL so far */
};

static void fail(struct restoring *restoring, const char *key) {
  if (!restoring->wrong) {
    restoring->wrong = key;
  }
}

static int64_t take_seconds(struct restoring *restoring, const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  if (!json_is_integer(value)) {
    fail(restoring, key);
  }
  return json_integer_value(value);
}

/* NULL for null where that is allowed. */
static const char *take_text(struct restoring *restoring, const json_t *object, const char *key, bool may_be_null) {
  const json_t *value = json_object_get(object, key);
  if (may_be_null && json_is_null(value)) {
    return NULL;
  }
  if (!json_is_string(value) || json_string_length(value) > RESTRICTIONS_TEXT_LIMIT ||
      strlen(json_string_value(value)) != json_string_length(value)) {
    fail(restoring, key);
    return "";
  }
  return arena_strdup(restoring->arena, json_string_value(value));
}

static enum cut_kind take_kind(struct restoring *restoring, const json_t *object) {
  const char *name = json_string_value(json_object_get(object, "kind"));
  for (int kind = 0; name && kind < CUT_KIND_COUNT_; kind++) {
    if (strcmp(name, cut_kind_name((enum cut_kind)kind)) == 0) {
      return (enum cut_kind)kind;
    }
  }
  fail(restoring, "kind");
  return CUT_ALL;
}

static void check_cut(struct restoring *restoring, const struct cut *cut, const char *address) {
  bool zone = cut->kind == CUT_PAIR || cut->kind == CUT_ZONE, other_zone = cut->kind == CUT_PAIR;
  if ((cut->zone != NULL) != zone || (cut->other_zone != NULL) != other_zone) {
    fail(restoring, "zone");
  }
  if ((address != NULL) != (cut->kind == CUT_HOST)) {
    fail(restoring, "address");
  }
}

/* Every key is asked for, so one more would be one that nobody knows. */
static void check_keys(struct restoring *restoring, const json_t *object, size_t count) {
  if (json_object_size(object) != count) {
    fail(restoring, "keys");
  }
}

static void take_cut(struct restoring *restoring, const json_t *object, struct cut *cut) {
  enum { CUT_KEYS = 8 };
  check_keys(restoring, object, CUT_KEYS);
  const char *address = take_text(restoring, object, "address", true);
  *cut = (struct cut){.id = (uint64_t)take_seconds(restoring, object, "id"),
                      .kind = take_kind(restoring, object),
                      .zone = take_text(restoring, object, "zone", true),
                      .other_zone = take_text(restoring, object, "other_zone", true),
                      .at = {take_seconds(restoring, object, "at")},
                      .by = take_text(restoring, object, "by", false),
                      .why = take_text(restoring, object, "why", false)};
  if (cut->id > INT64_MAX) {
    fail(restoring, "id");
  }
  check_cut(restoring, cut, address);
  if (address && !address_parse(address, &cut->address)) {
    fail(restoring, "address");
  }
}

static void take_window(struct restoring *restoring, const json_t *object, struct closed_window *closed) {
  enum { WINDOW_KEYS = 5 };
  check_keys(restoring, object, WINDOW_KEYS);
  *closed = (struct closed_window){.flow = take_text(restoring, object, "flow", false),
                                   .until = {take_seconds(restoring, object, "until")},
                                   .at = {take_seconds(restoring, object, "at")},
                                   .by = take_text(restoring, object, "by", false),
                                   .why = take_text(restoring, object, "why", false)};
}

/* Number of items of a list, 0 after a failure. */
static size_t take_list(struct restoring *restoring, const json_t *object, const char *key) {
  const json_t *array = json_object_get(object, key);
  if (!json_is_array(array) || json_array_size(array) > RESTRICTIONS_LIMIT) {
    fail(restoring, key);
    return 0;
  }
  return json_array_size(array);
}

static void take_cuts(struct restoring *restoring, const json_t *object, struct restrictions *restrictions) {
  size_t count = take_list(restoring, object, "cuts");
  struct cut *cuts = ARENA_ARRAY(restoring->arena, count, struct cut);
  for (size_t i = 0; cuts && i < count; i++) {
    take_cut(restoring, json_array_get(json_object_get(object, "cuts"), i), &cuts[i]);
  }
  restrictions->cuts = cuts;
  restrictions->cut_count = count;
}

static void take_windows(struct restoring *restoring, const json_t *object, struct restrictions *restrictions) {
  size_t count = take_list(restoring, object, "closed_windows");
  struct closed_window *windows = ARENA_ARRAY(restoring->arena, count, struct closed_window);
  for (size_t i = 0; windows && i < count; i++) {
    take_window(restoring, json_array_get(json_object_get(object, "closed_windows"), i), &windows[i]);
  }
  restrictions->closed_windows = windows;
  restrictions->closed_window_count = count;
}

static const struct instant *take_deadlines(struct restoring *restoring, const json_t *object, const char *key,
                                            size_t count) {
  const json_t *array = json_object_get(object, key);
  if (json_is_null(array)) {
    return NULL;
  }
  if (!json_is_array(array) || json_array_size(array) != count) {
    fail(restoring, key);
    return NULL;
  }
  struct instant *deadlines = ARENA_ARRAY(restoring->arena, count, struct instant);
  for (size_t i = 0; deadlines && i < count; i++) {
    const json_t *value = json_array_get(array, i);
    if (!json_is_null(value) && !json_is_integer(value)) {
      fail(restoring, key);
    }
    deadlines[i].seconds = json_is_null(value) ? INSTANT_NEVER.seconds : json_integer_value(value);
  }
  return deadlines;
}

int restrictions_from_json(const json_t *object, size_t flow_count, size_t zone_count, struct arena *arena,
                           struct restrictions *ret_restrictions, struct error *error) {
  enum { ALL_KEYS = 5 };
  struct restoring restoring = {.arena = arena};
  struct restrictions restrictions = {.clock_doubtful = json_is_true(json_object_get(object, "clock_doubtful"))};
  if (!json_is_boolean(json_object_get(object, "clock_doubtful"))) {
    fail(&restoring, "clock_doubtful");
  }
  check_keys(&restoring, object, ALL_KEYS);
  take_cuts(&restoring, object, &restrictions);
  take_windows(&restoring, object, &restrictions);
  restrictions.flow_deadlines = take_deadlines(&restoring, object, "flow_deadlines", flow_count);
  restrictions.within_deadlines = take_deadlines(&restoring, object, "within_deadlines", zone_count);
  if (arena_failed(arena)) {
    return error_set(error, ENOMEM, "no memory for the restrictions");
  }
  if (restoring.wrong) {
    return error_set(error, EBADMSG, "restrictions: '%s' is not as it should be", restoring.wrong);
  }
  *ret_restrictions = restrictions;
  return 0;
}

/* ---- as text ---- */

char *restrictions_to_text(const struct restrictions *restrictions, size_t flow_count, size_t zone_count) {
  json_t *object = restrictions_to_json(restrictions, flow_count, zone_count);
  char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
  json_decref(object);
  return text;
}

int restrictions_from_text(const char *text, size_t size, size_t flow_count, size_t zone_count, struct arena *arena,
                           struct restrictions *ret_restrictions, struct error *error) {
  json_error_t wrong;
  json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, &wrong);
  if (!object) {
    return error_set(error, EBADMSG, "restrictions: %s", wrong.text);
  }
  int result = restrictions_from_json(object, flow_count, zone_count, arena, ret_restrictions, error);
  json_decref(object);
  return result;
}
