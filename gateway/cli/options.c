/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/options.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { CANDIDATE_LIMIT = 64 };

int usage_error_set(struct error *error, enum language language, const char *japanese, const char *english, ...) {
  char text[sizeof error->message];
  va_list arguments;
  va_start(arguments, english);
  vsnprintf(text, sizeof text, language == LANGUAGE_JAPANESE ? japanese : english, arguments);
  va_end(arguments);
  return error_set(error, EINVAL, "%s", text);
}

void option_reader_init(struct option_reader *reader, char *const *arguments, size_t count, struct option_table table) {
  *reader = (struct option_reader){.arguments = arguments, .count = count, .language = LANGUAGE_ENGLISH};
  option_reader_add(reader, table);
}

void option_reader_add(struct option_reader *reader, struct option_table table) {
  assert(reader->table_count < OPTION_TABLE_LIMIT);
  reader->tables[reader->table_count++] = table;
}

static const struct option_rule *find_rule(const struct option_reader *reader, const char *name, size_t length) {
  for (size_t table = 0; table < reader->table_count; table++) {
    for (size_t i = 0; i < reader->tables[table].count; i++) {
      const struct option_rule *rule = &reader->tables[table].rules[i];
      if (strlen(rule->name) == length && memcmp(rule->name, name, length) == 0) {
        return rule;
      }
    }
  }
  return NULL;
}

static const char *nearest_name(const struct option_reader *reader, const char *name) {
  const char *candidates[CANDIDATE_LIMIT];
  size_t count = 0;
  for (size_t table = 0; table < reader->table_count; table++) {
    for (size_t i = 0; i < reader->tables[table].count && count < CANDIDATE_LIMIT; i++) {
      candidates[count++] = reader->tables[table].rules[i].name;
    }
  }
  return text_nearest(name, candidates, count);
}

static enum option_step unknown_option(const struct option_reader *reader, const char *name, size_t length,
                                       struct error *error) {
  char word[64] = "";
  memcpy(word, name, length < sizeof word ? length : sizeof word - 1);
  const char *nearest = nearest_name(reader, word);
  if (nearest) {
    usage_error_set(error, reader->language, "オプション --%s はありません。--%s の誤りではありませんか",
                    "unknown option --%s; did you mean --%s?", word, nearest);
  } else {
    usage_error_set(error, reader->language, "オプション --%s はありません", "unknown option --%s", word);
  }
  return OPTION_STEP_BAD;
}

/* The value of an option that needs one: behind `=`, else the next argument. */
static enum option_step take_value(struct option_reader *reader, const struct option_rule *rule,
                                   const char *inline_value, const char **ret_value, struct error *error) {
  if (inline_value) {
    *ret_value = inline_value;
    return OPTION_STEP_OPTION;
  }
  if (reader->position == reader->count || strncmp(reader->arguments[reader->position], "--", 2) == 0) {
    usage_error_set(error, reader->language, "オプション --%s には値（%s）が必要です", "option --%s needs a value (%s)",
                    rule->name, rule->value_name);
    return OPTION_STEP_BAD;
  }
  *ret_value = reader->arguments[reader->position++];
  return OPTION_STEP_OPTION;
}

static enum option_step read_option(struct option_reader *reader, const char *text, const struct option_rule **ret_rule,
                                    const char **ret_value, struct error *error) {
  const char *equals = strchr(text, '=');
  size_t length = equals ? (size_t)(equals - text) : strlen(text);
  const struct option_rule *rule = find_rule(reader, text, length);
  if (!rule) {
    return unknown_option(reader, text, length, error);
  }
  if (rule->kind == OPTION_FLAG && equals) {
    usage_error_set(error, reader->language, "オプション --%s に値は付けられません", "option --%s takes no value",
                    rule->name);
    return OPTION_STEP_BAD;
  }
  *ret_rule = rule;
  *ret_value = equals ? equals + 1 : NULL;
  return rule->kind == OPTION_VALUE ? take_value(reader, rule, *ret_value, ret_value, error) : OPTION_STEP_OPTION;
}

enum option_step option_reader_next(struct option_reader *reader, const struct option_rule **ret_rule,
                                    const char **ret_value, struct error *error) {
  if (reader->position == reader->count) {
    return OPTION_STEP_END;
  }
  const char *text = reader->arguments[reader->position++];
  if (reader->only_arguments || text[0] != '-' || text[1] == '\0') {
    *ret_value = text;
    return OPTION_STEP_ARGUMENT;
  }
  if (strcmp(text, "--") == 0) {
    reader->only_arguments = true;
    return option_reader_next(reader, ret_rule, ret_value, error);
  }
  if (strcmp(text, "-h") == 0) {
    return read_option(reader, "help", ret_rule, ret_value, error);
  }
  if (text[1] != '-') {
    usage_error_set(error, reader->language,
                    "オプション %.32s はありません。オプションは -- で始まり、--help で一覧できます",
                    "unknown option %.32s; options have two dashes, --help lists them", text);
    return OPTION_STEP_BAD;
  }
  return read_option(reader, text + 2, ret_rule, ret_value, error);
}
