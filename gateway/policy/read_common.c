/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "policy/read_scan.h"
#include "policy/reader.h"

static unsigned source_line(const struct reader *reader, const config_setting_t *setting) {
  return reader->line_base + config_setting_source_line(setting);
}

struct place reader_place(const struct reader *reader, const config_setting_t *setting) {
  return source_place(reader->source, source_line(reader, setting));
}

struct place reader_place_behind(struct reader *reader, const config_setting_t *setting, struct place before,
                                 const char *token) {
  struct place place = reader_place(reader, setting);
  bool same_line = before.file == place.file && before.line == place.line;
  if (reader->columns_left == 0)
    return place;
  reader->columns_left--;
  return source_place_of(reader->source, source_line(reader, setting), same_line ? before.column + before.length : 0,
                         token);
}

struct place reader_place_of(struct reader *reader, const config_setting_t *setting, const char *token) {
  return reader_place_behind(reader, setting, (struct place){0}, token);
}

struct place reader_point(struct reader *reader, struct place place, const char *token) {
  if (reader->columns_left == 0)
    return place;
  reader->columns_left--;
  return source_point(reader->source, place, token);
}

void reader_twice(struct reader *reader, config_setting_t *setting, const char *text, struct place first) {
  first = reader_point(reader, first, text);
  struct diagnostic *diagnostic =
      PROBLEM(reader, "P07", reader_place_behind(reader, setting, first, text), "「%s」: 「%s」が重複しています",
              "%s: '%s' stands here twice", reader->key->name, text);
  diagnostic_relate(reader->diagnostics, diagnostic, first, "最初の「%s」", "the first '%s'", text);
  HINT(reader, diagnostic, "どちらかを消してください", "remove one of them");
}

struct place reader_place_of_name(struct reader *reader, const config_setting_t *setting) {
  const char *name = reader_setting_name(reader, setting);
  return name ? reader_place_of(reader, setting, name) : reader_place(reader, setting);
}

const char *reader_keep(struct reader *reader, const char *text, size_t length) {
  const char *kept = arena_strndup(reader->arena, text, length);
  if (kept)
    return kept;
  reader->out_of_memory = true;
  return "";
}

const char *reader_setting_name(struct reader *reader, const config_setting_t *setting) {
  const char *name = config_setting_name(setting);
  return scan_name_is_usable(name) ? reader_keep(reader, name, strlen(name)) : NULL;
}

void *reader_array(struct reader *reader, size_t count, size_t size) {
  void *items = arena_array(reader->arena, count > 0 ? count : 1, size);
  if (!items)
    reader->out_of_memory = true;
  return items;
}

bool reader_find(const struct name_table *table, const char *name, size_t *ret_index) {
  return name_table_find(table, name, strlen(name), ret_index);
}

void reader_index(struct reader *reader, struct name_table *table, const char *name, size_t index) {
  size_t existing;
  if (name_table_add(table, name, strlen(name), index, &existing) == -ENOMEM)
    reader->out_of_memory = true;
}

void reader_suggest(struct reader *reader, struct diagnostic *diagnostic, const char *word,
                    const char *const *candidates, size_t count) {
  if (reader->suggestions_left == 0)
    return;
  reader->suggestions_left--;
  const char *near = text_nearest(word, candidates, count);
  if (near)
    HINT(reader, diagnostic, "「%s」の書き間違いではありませんか", "did you mean '%s'?", near);
}

static const char **list_host_names(struct reader *reader) {
  const struct policy *policy = reader->policy;
  const char **names = reader_array(reader, policy->host_count, sizeof(*names));
  for (size_t i = 0; names && i < policy->host_count; i++)
    names[i] = policy->hosts[i].name;
  return names;
}

void reader_suggest_host(struct reader *reader, struct diagnostic *diagnostic, const char *word) {
  if (!reader->host_names)
    reader->host_names = list_host_names(reader);
  if (reader->host_names)
    reader_suggest(reader, diagnostic, word, reader->host_names, reader->policy->host_count);
}

void reader_suggest_zone(struct reader *reader, struct diagnostic *diagnostic, const char *word) {
  const struct policy *policy = reader->policy;
  const char **names = reader_array(reader, policy->zone_count, sizeof(*names));
  for (size_t i = 0; names && i < policy->zone_count; i++)
    names[i] = policy->zones[i].name;
  if (names)
    reader_suggest(reader, diagnostic, word, names, policy->zone_count);
}

bool reader_is_overwhelmed(struct reader *reader) {
  if (reader->overwhelmed || reader->diagnostics->errors < PROBLEM_LIMIT)
    return reader->overwhelmed;
  reader->overwhelmed = true;
  reader->subject = "";
  PROBLEM(reader, "P14", ((struct place){.file = reader->policy->file}),
          "誤りが %d 件を超えたので、ここで打ち切りました。まず、これまでの誤りを直してください",
          "more than %d errors: the rest is not looked at; put these right first", PROBLEM_LIMIT);
  return true;
}
