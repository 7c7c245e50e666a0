/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_EVENT_QUERY_H
#define KIDO_CLI_EVENT_QUERY_H

#include <jansson.h>

#include "base/error.h"
#include "events/files.h"
#include "events/store.h"

/* The events of both daemons, in order of time: from their stores, and what those do not have yet from the files. */
enum { EVENT_SOURCES = 2 };

struct event_hit {
  int64_t microseconds;
  uint64_t sequence;
  size_t source;
  char *text; /* the record, as it was written */
};

struct event_hits {
  struct event_hit *items;
  size_t count, capacity;
  uint64_t last[EVENT_SOURCES]; /* the newest record that was looked at, of each daemon */
};

/* Adds what is asked for and sorts. 0 or a negative errno with *error. query->alerts: of each cause the last record. */
int event_hits_ask(const char *state_directory, const struct event_query *query, struct event_hits *hits,
                   struct error *error);
/* The same of what came since the last call. */
int event_hits_ask_news(const char *state_directory, const struct event_query *query, struct event_hits *hits,
                        struct error *error);
void event_hits_forget(struct event_hits *hits); /* the items; what was looked at is remembered */
void event_hits_free(struct event_hits *hits);

/* Alerts (critical or warning) that nobody has acknowledged, each once: what query takes of them. */
int event_hits_ask_open(const char *state_directory, const struct event_query *query, struct event_hits *hits,
                        struct error *error);

/* A new reference; NULL when it is no object. */
json_t *event_hit_object(const struct event_hit *hit);

#endif
