/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_STORE_H
#define KIDO_EVENTS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "events/event.h"

/*
 * The events of one daemon in an SQLite file of the state directory, so that `kido events` need not read years of
 * lines. The lines are the record; the store is made from them, and made anew when it is missing, damaged, or holds
 * something else than they do. One process writes it (the courier "store"), any number reads.
 */
struct event_store;

#define EVENT_STORE_NAME "%s-events.db" /* the daemon's name */

/* For writing; what is there but cannot be used is removed. 0 or a negative errno with *error. */
int event_store_open(const char *directory, const char *daemon, struct event_store **ret_store, struct error *error);
/* For reading: -ENOENT when there is none, -EBADMSG when it cannot be used. */
int event_store_open_to_read(const char *directory, const char *daemon, struct event_store **ret_store,
                             struct error *error);
/* Whether SQLite finds it sound; reads all of it. */
bool event_store_is_sound(struct event_store *store);
/* Removes the file; nobody may have it open to write. */
void event_store_remove(const char *directory, const char *daemon);
struct event_store *event_store_close(struct event_store *store); /* NULL is allowed; returns NULL */

/* Sequence of its last record; 0: it is empty. -errno with *error. */
int event_store_last(struct event_store *store, uint64_t *ret_sequence, struct error *error);
/* Whether it holds this line under its sequence. */
bool event_store_has(struct event_store *store, uint64_t sequence, const char *line, size_t length);

/* Records are added between begin and commit. A line that is no record is passed over. */
int event_store_begin(struct event_store *store, struct error *error);
int event_store_add(struct event_store *store, const char *line, size_t length, struct error *error);
int event_store_commit(struct event_store *store, struct error *error);

/* Removes all records up to that sequence. */
int event_store_prune(struct event_store *store, uint64_t sequence, struct error *error);

/* ---- asking ---- */

struct event_query {
  int64_t since, until; /* microseconds since 1970; until 0: no end */
  enum event_severity least;
  const char *const *kinds; /* NULL-terminated; NULL: all */
  const char *zone;         /* as zone or other_zone; NULL: all */
  bool alerts;              /* of each cause that is critical or a warning, only its last record */
  uint64_t sequence;        /* this record alone; 0: all */
  size_t last;              /* the newest so many will do, there may be more; 0: all */
};

/* Whether a record, as JSON, is one of those asked for; `alerts` and `last` are not looked at. */
bool event_query_takes(const struct event_query *query, const json_t *record);

/* Gets each record in order; a value below 0 ends it. */
typedef int event_store_take(void *context, uint64_t sequence, int64_t time, const char *line, size_t length);
int event_store_ask(struct event_store *store, const struct event_query *query, event_store_take *take, void *context,
                    struct error *error);

/* How many records of each kind and severity were ever added. */
typedef void event_store_count(void *context, const char *kind, enum event_severity severity, uint64_t records);
int event_store_tally(struct event_store *store, event_store_count *count, void *context, struct error *error);

#endif
