/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events/syslog_line.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FACILITY_AUDIT = 13, LEVEL_INFO = 6, TIME_SIZE = 48, WORD_SIZE = 33 };

static int level_of(const json_t *record) {
  static const int levels[] = {
      [EVENT_CRITICAL] = 2, [EVENT_WARNING] = 4, [EVENT_NOTICE] = 5, [EVENT_INFO] = LEVEL_INFO};
  const char *name = json_string_value(json_object_get(record, "severity"));
  enum event_severity severity = EVENT_INFO;
  if (name != NULL)
    event_severity_parse(name, &severity);
  return levels[severity];
}

/* A word of the header: printable ASCII, or "-". */
static const char *word_of(const json_t *record, const char *key, char word[static WORD_SIZE]) {
  const char *text = json_string_value(json_object_get(record, key));
  size_t length = 0;
  for (; text != NULL && text[length] > ' ' && text[length] < 0x7f && length < WORD_SIZE - 1; length++)
    word[length] = text[length];
  word[length] = '\0';
  return length > 0 ? word : "-";
}

static char *print(size_t *ret_length, const char *format, ...) __attribute__((format(printf, 2, 3)));

static char *print(size_t *ret_length, const char *format, ...) {
  char *text = NULL;
  va_list arguments;
  va_start(arguments, format);
  int length = vasprintf(&text, format, arguments);
  va_end(arguments);
  if (length < 0)
    return NULL;
  *ret_length = (size_t)length;
  return text;
}

char *syslog_format(const struct syslog_origin *origin, const char *line, size_t length, size_t *ret_length) {
  char kind[WORD_SIZE], time[WORD_SIZE];
  json_t *record = json_loadb(line, length, 0, NULL);
  char *text = print(ret_length, "<%d>1 %s %s %s %d %s [meta sequenceId=\"%" JSON_INTEGER_FORMAT "\"] %.*s",
                     FACILITY_AUDIT * 8 + level_of(record), word_of(record, "time", time), origin->host, origin->daemon,
                     origin->pid, word_of(record, "kind", kind),
                     json_integer_value(json_object_get(record, "sequence")) % 2147483647, (int)length, line);
  json_decref(record);
  return text;
}

char *syslog_format_heartbeat(const struct syslog_origin *origin, uint64_t sequence, const char *hash, const char *key,
                              size_t *ret_length) {
  char stamp[TIME_SIZE];
  time_t now = time(NULL);
  struct tm broken;
  gmtime_r(&now, &broken);
  strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &broken);
  return print(ret_length,
               "<%d>1 %s %s %s %d heartbeat - {\"schema\":\"kido.heartbeat/1\",\"daemon\":\"%s\",\"time\":\"%s\","
               "\"sequence\":%" PRIu64 ",\"hash\":\"%s\",\"key\":\"%s\"}",
               FACILITY_AUDIT * 8 + LEVEL_INFO, stamp, origin->host, origin->daemon, origin->pid, origin->daemon, stamp,
               sequence, hash, key);
}
