/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/diagnostic_json.h"

static json_t *related_to_json(const struct diagnostic *diagnostic) {
  json_t *array = json_array();
  for (size_t i = 0; i < diagnostic->related_count; i++) {
    const struct diagnostic_related *related = &diagnostic->related[i];
    json_array_append_new(array, json_pack("{s:s?, s:I, s:s?}", "file", related->place.file, "line",
                                           (json_int_t)related->place.line, "message", related->message));
  }
  return array;
}

static json_t *diagnostic_to_json(const struct diagnostic *diagnostic) {
  static const char *const severities[] = {
      [SEVERITY_ERROR] = "error", [SEVERITY_WARNING] = "warning", [SEVERITY_NOTE] = "note"};
  return json_pack("{s:s, s:s, s:s?, s:I, s:I, s:s?, s:s?, s:s?, s:o}", "code", diagnostic->code, "severity",
                   severities[diagnostic->severity], "file", diagnostic->place.file, "line",
                   (json_int_t)diagnostic->place.line, "column", (json_int_t)diagnostic->place.column, "subject",
                   diagnostic->subject, "message", diagnostic->message, "hint", diagnostic->hint, "related",
                   related_to_json(diagnostic));
}

json_t *diagnostics_to_json(const struct diagnostic_list *list) {
  json_t *array = json_array();
  for (size_t i = 0; i < list->count; i++) {
    if (json_array_append_new(array, diagnostic_to_json(&list->items[i])) < 0) {
      json_decref(array);
      return NULL;
    }
  }
  return array;
}
