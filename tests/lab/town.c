/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "town.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/address.h"
#include "base/diagnostic.h"
#include "policy/read.h"

/*
 * The text is copied line by line; quoted values behind certain keys are replaced. That is enough for the sample, whose
 * layout we know, and leaves the rest of it (comments, order) as the town wrote it.
 */

/* 2400:8500::/96: global unicast, and of no special purpose. */
static const uint8_t twin_prefix[12] = {0x24, 0x00, 0x85, 0x00};

static char *read_file(const char *path, struct arena *arena) {
  FILE *file = fopen(path, "re");
  if (file == NULL)
    return NULL;
  char *text = arena_alloc(arena, 1 << 20);
  size_t length = text != NULL ? fread(text, 1, (1 << 20) - 1, file) : 0;
  fclose(file);
  return length > 0 ? text : NULL;
}

struct dates {
  char expires[40], review[16], approval[16], start[40], end[40];
};

enum date_form { DATE_ONLY, DATE_AND_TIME };

enum { TOKYO_OFFSET = 32400 };

static void format_local(char *text, size_t size, enum date_form form, int64_t seconds) {
  time_t moment = (time_t)(seconds + TOKYO_OFFSET); /* the sample lives in Asia/Tokyo */
  struct tm civil;
  gmtime_r(&moment, &civil);
  if (form == DATE_ONLY)
    strftime(text, size, "%Y-%m-%d", &civil);
  else
    strftime(text, size, "%Y-%m-%dT%H:%M:%S+09:00", &civil);
}

static void choose_dates(struct instant now, struct dates *dates) {
  static const int64_t hour = 3600, day = 86400;
  format_local(dates->approval, sizeof(dates->approval), DATE_ONLY, now.seconds - day);
  format_local(dates->expires, sizeof(dates->expires), DATE_AND_TIME, now.seconds + 2 * day);
  format_local(dates->review, sizeof(dates->review), DATE_ONLY, now.seconds + 60 * day);
  format_local(dates->start, sizeof(dates->start), DATE_AND_TIME, now.seconds - hour);
  format_local(dates->end, sizeof(dates->end), DATE_AND_TIME, now.seconds + day);
}

static const char *new_date(const struct dates *dates, const char *key, size_t length) {
  const struct {
    const char *key, *value;
  } table[] = {{"expires", dates->expires},
               {"review", dates->review},
               {"date", dates->approval},
               {"start", dates->start},
               {"end", dates->end}};
  for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
    if (strlen(table[i].key) == length && strncmp(table[i].key, key, length) == 0)
      return table[i].value;
  return NULL;
}

static bool is_key_character(char character) {
  return (character >= 'a' && character <= 'z') || character == '_';
}

/* The key in front of "= " or "= [ " that a quote at `quote` belongs to. */
static const char *key_before(const char *text, const char *quote, size_t *ret_length) {
  const char *end = quote;
  while (end > text && strchr(" [\"0123456789abcdef.:/,=-", end[-1]) != NULL && end[-1] != '=')
    end--;
  if (end == text || end[-1] != '=')
    return NULL;
  end--;
  while (end > text && end[-1] == ' ')
    end--;
  const char *start = end;
  while (start > text && is_key_character(start[-1]))
    start--;
  *ret_length = (size_t)(end - start);
  return *ret_length > 0 ? start : NULL;
}

static bool key_is(const char *key, size_t length, const char *name) {
  return strlen(name) == length && strncmp(key, name, length) == 0;
}

struct address town_twin(const struct address *address) {
  struct address twin = {.family = FAMILY_IPV6};
  memcpy(twin.bytes, twin_prefix, sizeof(twin_prefix));
  memcpy(twin.bytes + 12, address->bytes, 4);
  return twin;
}

/* `"10.0.0.0/8"` becomes `"10.0.0.0/8", "2400:...:a00:0/104"`. */
static bool write_twin(FILE *out, const char *value, bool in_list) {
  struct address_range range;
  const char *reason;
  char text[RANGE_TEXT_SIZE];
  if (!range_parse(value, &range, &reason) || range.first.family != FAMILY_IPV4)
    return false;
  struct address_range twin = {town_twin(&range.first), town_twin(&range.last)};
  fprintf(out, in_list ? "\"%s\", \"%s\"" : "[ \"%s\", \"%s\" ]", value, range_format(&twin, text));
  return true;
}

static bool replace_value(FILE *out, const char *text, const char *quote, const char *value, unsigned changes,
                          const struct dates *dates) {
  size_t length;
  const char *key = key_before(text, quote, &length);
  if (key == NULL)
    return false;
  const char *date = (changes & TOWN_IN_FORCE) != 0 ? new_date(dates, key, length) : NULL;
  if (date != NULL) {
    fprintf(out, "\"%s\"", date);
    return true;
  }
  if ((changes & TOWN_DUAL_STACK) == 0)
    return false;
  if (key_is(key, length, "networks") || key_is(key, length, "remote"))
    return write_twin(out, value, true);
  if (key_is(key, length, "address"))
    return write_twin(out, value, quote[-1] != ' ' || quote[-2] != '=');
  return false;
}

static void derive(FILE *out, const char *text, unsigned changes, const struct dates *dates) {
  const char *at = text;
  while (*at != '\0') {
    const char *end = *at == '"' ? strchr(at + 1, '"') : NULL;
    char value[256];
    if (end == NULL || (size_t)(end - at) > sizeof(value)) {
      fputc(*at++, out);
      continue;
    }
    snprintf(value, sizeof(value), "%.*s", (int)(end - at - 1), at + 1);
    if (!replace_value(out, text, at, value, changes, dates))
      fprintf(out, "\"%s\"", value);
    at = end + 1;
  }
}

char *town_text(const char *path, unsigned changes, struct instant now, struct arena *arena) {
  const char *text = read_file(path, arena);
  char *derived = NULL;
  size_t size = 0;
  FILE *out = text != NULL ? open_memstream(&derived, &size) : NULL;
  if (out == NULL)
    return NULL;
  struct dates dates;
  choose_dates(now, &dates);
  derive(out, text, changes, &dates);
  fclose(out);
  char *copy = arena_strndup(arena, derived, size);
  free(derived);
  return copy;
}

const struct policy *town_policy(const char *name, const char *text, struct arena *arena) {
  const struct policy *policy = NULL;
  struct diagnostic_list diagnostics;
  struct error error = {0};
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  int code = policy_read_text(name, text, strlen(text), arena, true, &policy, &diagnostics, &error);
  if (code < 0)
    fprintf(stderr, "%s: %s\n", name, error.message);
  if (diagnostics.errors > 0)
    diagnostic_print(stderr, &diagnostics, false);
  return code == 0 && diagnostics.errors == 0 ? policy : NULL;
}

const struct policy *town_load(unsigned changes, struct instant now, struct arena *arena) {
  char *text = town_text(KIDO_SOURCE_DIRECTORY "/config/examples/town.conf", changes, now, arena);
  return text != NULL ? town_policy("town.conf", text, arena) : NULL;
}
