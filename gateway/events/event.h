/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_EVENT_H
#define KIDO_EVENTS_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/address.h"
#include "base/instant.h"
#include "base/language.h"

/*
 * One record of something that happened: schema kido.event/1. Both daemons write it, every sink carries it unchanged.
 */
enum event_severity { EVENT_CRITICAL, EVENT_WARNING, EVENT_NOTICE, EVENT_INFO };

struct event_traffic;

/* A moment with microseconds, for sightings. */
struct event_time {
  int64_t seconds;
  int32_t microseconds;
};

struct event {
  uint64_t sequence; /* of this daemon, without gaps */
  char id[40];       /* unique per cause: daemon, start, sequence of the first record; updates of it keep the id */
  struct event_time time, first_seen, last_seen;
  uint64_t count;
  const char *kind; /* "crossing" */
  enum event_severity severity;
  const char *policy; /* number of the policy in force */
  const char *zone, *other_zone, *interface, *direction;
  struct address source, destination;                     /* family FAMILY_NONE: null in JSON */
  int protocol, source_port, destination_port, icmp_type; /* -1: null */
  bool has_source_mac, has_destination_mac;
  struct mac source_mac, destination_mac;
  int vlan; /* -1: null */
  const char *flow, *reason;
  const char *community_id;
  uint64_t bytes;
  bool still_going;
  const char *evidence, *clause, *what_to_do, *message; /* NULL: null */
  const char *by;                                       /* who did it; NULL: nobody, and then the key is not there */
  const char *about; /* id of the event that this one speaks of; NULL: none, and then the key is not there */
  const struct event_traffic *traffic; /* NULL: none, and then its keys are not there */
};

/* What a connection carried; sent: by who opened it. */
struct event_traffic {
  int64_t milliseconds; /* from its beginning to its end; -1: not known, null in JSON */
  uint64_t packets_sent, packets_received;
  uint64_t bytes_sent, bytes_received;
};

enum { EVENT_TIME_TEXT_SIZE = 48 };

/* "2026-11-25T18:00:00.123456+09:00" in that zone. */
const char *event_time_format(const struct event_time *time, const struct timezone *timezone,
                              char text[static EVENT_TIME_TEXT_SIZE]);

/* Microseconds since 1970 of such a text; 0 when it is none. */
int64_t event_time_parse(const char *text);

const char *event_severity_name(enum event_severity severity);
bool event_severity_parse(const char *name, enum event_severity *ret_severity);

/* A new reference with the keys in the order of the contract; times in the timezone given, with offset. */
json_t *event_to_json(const struct event *event, const struct timezone *timezone);

#endif
