/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/answer.h"

#include "base/text.h"

const char *answer_text(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

int64_t answer_number(const json_t *object, const char *key) {
  return json_integer_value(json_object_get(object, key));
}

const char *answer_escape(struct arena *arena, const char *text) {
  const char *escaped = text_escape(arena, text);
  return escaped ? escaped : "";
}
