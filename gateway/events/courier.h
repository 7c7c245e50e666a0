/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_COURIER_H
#define KIDO_EVENTS_COURIER_H

#include "events/checkpoint.h"
#include "events/files.h"
#include "events/scribe.h"

/* Inside the scribe: what a courier needs to know, and what a sink is to it. */

struct courier_job {
  const char *state_directory, *daemon;
  const struct scribe_settings *settings;
  const struct chain_key *key;
  pid_t pid;         /* the daemon's */
  uint64_t sequence; /* where a new sink begins */
  int notes;         /* to the daemon; hung up: the daemon ended */
  int evidence;      /* frames from the daemon, for the store's courier; -1: none */
};

/* What a sink says of a record. */
enum { SINK_TOO_OLD = 1 }; /* it is passed over, and counted as lost */

struct sink {
  const char *name; /* at most 15 bytes */
  /* state of the sink, made by `open`; NULL with *error when there is no memory */
  void *(*open)(const struct courier_job *job, struct error *error);
  void (*close)(void *state);
  /* 0: it has it; SINK_TOO_OLD; a negative errno with *error: it must be tried again, from what it surely has */
  int (*deliver)(void *state, const struct event_text *text, struct error *error);
  /* All that is there was delivered; also called once a second. last: the newest record. A negative errno with *error:
   * it fails. NULL: nothing to do. */
  int (*idle)(void *state, const struct event_text *last, struct error *error);
  /* The daemon has ended, and nothing more comes. NULL: nothing to do. */
  void (*finish)(void *state);
  /* Sequence of the last record that it surely has; NULL: the last that was delivered. */
  uint64_t (*settled)(void *state);
  /* Where it would begin again; NULL: as it is written down. */
  int (*begin)(void *state, uint64_t *ret_sequence, struct error *error);
  /* A descriptor to be waited for too; -1: none. *events: of poll(). NULL: none. */
  int (*descriptor)(void *state, short *ret_events);
};

extern const struct sink SINK_STORE, SINK_SYSLOG, SINK_JOURNAL, SINK_HOOK;

/* Hands on until the daemon has ended and nothing is left; an exit code. */
int courier_run(const struct courier_job *job, const struct sink *sink);

void courier_note(const struct courier_job *job, const struct sink *sink, enum scribe_state state, uint64_t records,
                  const char *message);

#endif
