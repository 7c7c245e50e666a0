/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const char *const SEVERITY_NAMES[] = {
    [EVENT_CRITICAL] = "critical",
    [EVENT_WARNING] = "warning",
    [EVENT_NOTICE] = "notice",
    [EVENT_INFO] = "info",
};

const char *event_severity_name(enum event_severity severity) {
  return SEVERITY_NAMES[severity];
}

bool event_severity_parse(const char *name, enum event_severity *ret_severity) {
  for (enum event_severity severity = EVENT_CRITICAL; severity <= EVENT_INFO; severity++) {
    if (strcmp(SEVERITY_NAMES[severity], name) == 0) {
      *ret_severity = severity;
      return true;
    }
  }
  return false;
}

/* The seconds, then the fraction. */
int64_t event_time_parse(const char *text) {
  char whole[INSTANT_TEXT_SIZE];
  struct instant instant;
  bool without_offset;
  size_t head = strlen("2026-11-25T18:00:00");
  const char *rest = strlen(text) > head ? text + head : "";
  int64_t fraction = 0, unit = 100000;
  if (*rest == '.')
    for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
      fraction += (*rest - '0') * unit;
  snprintf(whole, sizeof whole, "%.19s%s", text, rest);
  return instant_parse(whole, &instant, &without_offset) ? instant.seconds * 1000000 + fraction : 0;
}

const char *event_time_format(const struct event_time *time, const struct timezone *timezone,
                              char text[static EVENT_TIME_TEXT_SIZE]) {
  char whole[INSTANT_TEXT_SIZE];
  instant_format(timezone, (struct instant){time->seconds}, whole);
  size_t head = strlen("2026-11-25T18:00:00");
  if (strlen(whole) < head)
    head = strlen(whole);
  snprintf(text, EVENT_TIME_TEXT_SIZE, "%.*s.%06d%s", (int)head, whole, (int)time->microseconds, whole + head);
  return text;
}

/* A string of what is not UTF-8, with U+FFFD for each bad byte; NULL without memory. */
static json_t *string_with_replacements(const char *text) {
  static const char replacement[] = "\xef\xbf\xbd";
  size_t length = strlen(text), at = 0;
  char *clean = malloc(length * (sizeof(replacement) - 1) + 1), *end = clean;
  while (clean != NULL && at < length) {
    uint32_t code;
    size_t size = text_decode(text + at, length - at, &code);
    memcpy(end, size > 0 ? text + at : replacement, size > 0 ? size : sizeof(replacement) - 1);
    end += size > 0 ? size : sizeof(replacement) - 1;
    at += size > 0 ? size : 1;
  }
  json_t *value = clean != NULL ? json_stringn(clean, (size_t)(end - clean)) : NULL;
  free(clean);
  return value;
}

static json_t *text_or_null(const char *text) {
  json_t *value = text != NULL ? json_string(text) : json_null();
  if (value == NULL && text != NULL) {
    value = string_with_replacements(text);
  }
  return value != NULL ? value : json_null(); /* no memory: a record with a hole is better than none */
}

static json_t *number_or_null(int number) {
  return number >= 0 ? json_integer(number) : json_null();
}

static json_t *address_or_null(const struct address *address) {
  char text[ADDRESS_TEXT_SIZE];
  return address->family != FAMILY_NONE ? json_string(address_format(address, text)) : json_null();
}

static json_t *mac_or_null(bool known, const struct mac *mac) {
  char text[MAC_TEXT_SIZE];
  return known ? json_string(mac_format(mac, text)) : json_null();
}

static json_t *moment(const struct event_time *time, const struct timezone *timezone) {
  char text[EVENT_TIME_TEXT_SIZE];
  return json_string(event_time_format(time, timezone, text));
}

static void put_identity(json_t *object, const struct event *event, const struct timezone *timezone) {
  json_object_set_new(object, "schema", json_string("kido.event/1"));
  json_object_set_new(object, "id", json_string(event->id));
  json_object_set_new(object, "sequence", json_integer((json_int_t)event->sequence));
  json_object_set_new(object, "time", moment(&event->time, timezone));
  json_object_set_new(object, "first_seen", moment(&event->first_seen, timezone));
  json_object_set_new(object, "last_seen", moment(&event->last_seen, timezone));
  json_object_set_new(object, "count", json_integer((json_int_t)event->count));
  json_object_set_new(object, "kind", text_or_null(event->kind));
  json_object_set_new(object, "severity", json_string(event_severity_name(event->severity)));
  json_object_set_new(object, "policy", text_or_null(event->policy));
}

static void put_place(json_t *object, const struct event *event) {
  json_object_set_new(object, "zone", text_or_null(event->zone));
  json_object_set_new(object, "other_zone", text_or_null(event->other_zone));
  json_object_set_new(object, "interface", text_or_null(event->interface));
  json_object_set_new(object, "direction", text_or_null(event->direction));
}

static void put_packet(json_t *object, const struct event *event) {
  json_object_set_new(object, "src", address_or_null(&event->source));
  json_object_set_new(object, "dst", address_or_null(&event->destination));
  json_object_set_new(object, "protocol", number_or_null(event->protocol));
  json_object_set_new(object, "sport", number_or_null(event->source_port));
  json_object_set_new(object, "dport", number_or_null(event->destination_port));
  json_object_set_new(object, "icmp_type", number_or_null(event->icmp_type));
  json_object_set_new(object, "src_mac", mac_or_null(event->has_source_mac, &event->source_mac));
  json_object_set_new(object, "dst_mac", mac_or_null(event->has_destination_mac, &event->destination_mac));
  json_object_set_new(object, "vlan", number_or_null(event->vlan));
}

static void put_judgement(json_t *object, const struct event *event) {
  json_object_set_new(object, "flow", text_or_null(event->flow));
  json_object_set_new(object, "reason", text_or_null(event->reason));
  json_object_set_new(object, "community_id", text_or_null(event->community_id));
  json_object_set_new(object, "bytes", json_integer((json_int_t)event->bytes));
  json_object_set_new(object, "still_going", json_boolean(event->still_going));
  json_object_set_new(object, "evidence", text_or_null(event->evidence));
  json_object_set_new(object, "clause", text_or_null(event->clause));
  json_object_set_new(object, "what_to_do", text_or_null(event->what_to_do));
  json_object_set_new(object, "message", text_or_null(event->message));
  if (event->by != NULL)
    json_object_set_new(object, "by", text_or_null(event->by));
  if (event->about != NULL)
    json_object_set_new(object, "about", text_or_null(event->about));
}

static void put_traffic(json_t *object, const struct event_traffic *traffic) {
  json_object_set_new(object, "duration_ms",
                      traffic->milliseconds >= 0 ? json_integer(traffic->milliseconds) : json_null());
  json_object_set_new(object, "packets_sent", json_integer((json_int_t)traffic->packets_sent));
  json_object_set_new(object, "packets_received", json_integer((json_int_t)traffic->packets_received));
  json_object_set_new(object, "bytes_sent", json_integer((json_int_t)traffic->bytes_sent));
  json_object_set_new(object, "bytes_received", json_integer((json_int_t)traffic->bytes_received));
}

json_t *event_to_json(const struct event *event, const struct timezone *timezone) {
  json_t *object = json_object();
  if (object == NULL)
    return NULL;
  put_identity(object, event, timezone);
  put_place(object, event);
  put_packet(object, event);
  put_judgement(object, event);
  if (event->traffic != NULL)
    put_traffic(object, event->traffic);
  return object;
}
