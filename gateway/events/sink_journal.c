/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#include "base/text.h"
#include "events/courier.h"

/* libsystemd says "done" when there is no journal at all. */
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

enum { FIELDS = 24, FIELD_SIZE = 400 };

struct entry {
  struct arena *arena;
  struct iovec fields[FIELDS];
  int count;
};

static void *open_sink(const struct courier_job *job, struct error *error) {
  struct courier_job *copy = malloc(sizeof *copy);
  if (copy == NULL) {
    error_set(error, ENOMEM, "no memory");
    return NULL;
  }
  *copy = *job;
  return copy;
}

static void add(struct entry *entry, const char *name, const char *value) {
  char *field = arena_printf(entry->arena, "%s=%s", name, value);
  if (field == NULL || entry->count == FIELDS)
    return;
  entry->fields[entry->count++] = (struct iovec){field, strlen(field)};
}

static const char *text_of(const json_t *record, const char *key) {
  const char *text = json_string_value(json_object_get(record, key));
  return text != NULL ? text : "";
}

static const char *priority_of(const json_t *record) {
  static const char *const priorities[] = {
      [EVENT_CRITICAL] = "2", [EVENT_WARNING] = "4", [EVENT_NOTICE] = "5", [EVENT_INFO] = "6"};
  enum event_severity severity = EVENT_INFO;
  event_severity_parse(text_of(record, "severity"), &severity);
  return priorities[severity];
}

static void add_keys(struct entry *entry, const json_t *record) {
  static const struct {
    const char *field, *key;
  } keys[] = {{"KIDO_ID", "id"},           {"KIDO_KIND", "kind"},           {"KIDO_SEVERITY", "severity"},
              {"KIDO_POLICY", "policy"},   {"KIDO_ZONE", "zone"},           {"KIDO_OTHER_ZONE", "other_zone"},
              {"KIDO_FLOW", "flow"},       {"KIDO_INTERFACE", "interface"}, {"KIDO_SOURCE", "src"},
              {"KIDO_DESTINATION", "dst"}, {"KIDO_REASON", "reason"},       {"KIDO_BY", "by"},
              {"KIDO_ABOUT", "about"},     {"KIDO_TIME", "time"},           {"KIDO_HASH", "hash"}};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
    if (text_of(record, keys[i].key)[0] != '\0')
      add(entry, keys[i].field, text_of(record, keys[i].key));
}

static int send_entry(const struct courier_job *job, struct entry *entry, const json_t *record,
                      const struct event_text *text) {
  const char *message = text_escape(entry->arena, text_of(record, "message"));
  add(entry, "MESSAGE", message != NULL ? message : "");
  add(entry, "PRIORITY", priority_of(record));
  add(entry, "SYSLOG_IDENTIFIER", job->daemon);
  add(entry, "KIDO_SEQUENCE", arena_printf(entry->arena, "%llu", (unsigned long long)text->sequence));
  add_keys(entry, record);
  add(entry, "KIDO_RECORD", arena_printf(entry->arena, "%.*s", (int)text->length, text->text));
  return sd_journal_sendv(entry->fields, entry->count);
}

static int deliver(void *state, const struct event_text *text, struct error *error) {
  if (access(JOURNAL_SOCKET, W_OK) < 0)
    return error_set(error, errno, JOURNAL_SOCKET ": %s", strerror(errno));
  json_t *record = json_loadb(text->text, text->length, 0, NULL);
  struct entry entry = {.arena = record != NULL ? arena_new(0) : NULL};
  int result = entry.arena != NULL ? send_entry(state, &entry, record, text) : 0; /* what is no record is passed over */
  arena_free(entry.arena);
  json_decref(record);
  return result < 0 ? error_set(error, -result, "the journal: %s", strerror(-result)) : 0;
}

const struct sink SINK_JOURNAL = {.name = "journal", .open = open_sink, .close = free, .deliver = deliver};
