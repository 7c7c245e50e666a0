/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_SCRIBE_H
#define KIDO_EVENTS_SCRIBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/language.h"
#include "events/event.h"

/*
 * What becomes of events once a daemon has written them. The scribe is a child of the daemon without any rights, and
 * has a child of its own for each sink: the courier. A courier follows the daemon's files, hands each record on, and
 * keeps in the state directory how far it came: so the files are the spool, a sink that fails costs neither the daemon
 * nor another sink anything, and gets everything in order when it works again. The store and pruning are the work of
 * one more courier, evidence too. All end when the daemon does.
 */
enum syslog_transport { SYSLOG_NONE, SYSLOG_LOCAL, SYSLOG_TCP, SYSLOG_TLS };

struct syslog_settings {
  enum syslog_transport transport;
  const char *server;      /* TCP, TLS: name or address */
  uint16_t port;           /* 0: 601 or 6514 */
  const char *authorities; /* TLS: file of the certificates that may sign the server's */
  const char *name;        /* TLS: the name in the server's certificate; NULL: `server` */
  unsigned heartbeat;      /* seconds between heads of the chain */
};

struct hook_settings {
  const char *program; /* NULL: none; an absolute path */
  enum event_severity least;
  unsigned seconds; /* how long it may run */
};

enum evidence_extent {
  EVIDENCE_NONE,
  EVIDENCE_HEADERS, /* what stands before the payload */
  EVIDENCE_FRAMES,  /* all that was captured */
};

struct evidence_settings {
  enum evidence_extent extent;
  uint64_t bytes;  /* of all files together */
  unsigned frames; /* of one event */
};

struct scribe_settings {
  uint64_t log_bytes; /* of the daemon's event files; what is more is pruned */
  unsigned log_days;
  struct syslog_settings syslog;
  bool journal;
  struct hook_settings hook;
  const char *metrics; /* directory for a Prometheus text file; NULL: none */
  struct evidence_settings evidence;
  uid_t user; /* to whom the scribe steps down when it may; (uid_t)-1: nobody else */
  gid_t group;
};

struct scribe_settings scribe_settings_defaults(void);

struct scribe;

/*
 * Starts it, before the daemon opens anything that a child should not have. sequence: of the last record that is
 * there; a sink that is new gets what comes after it. Texts of the settings need to live only until it returns. 0 or a
 * negative errno with *error.
 */
int scribe_start(const char *state_directory, const char *daemon, const struct scribe_settings *settings,
                 uint64_t sequence, struct scribe **ret_scribe, struct error *error);
/* Lets it hand on what is there, for a few seconds at most. NULL is allowed; returns NULL. */
struct scribe *scribe_stop(struct scribe *scribe);

/* ---- what it says ---- */

enum scribe_state {
  SCRIBE_FAILS, /* the sink takes nothing; what comes waits */
  SCRIBE_WORKS, /* again, and has everything that waited */
  SCRIBE_LOST,  /* records that the sink never got, because they were pruned or too old */
};

enum { SCRIBE_SINK_SIZE = 16, SCRIBE_MESSAGE_SIZE = 200 };

struct scribe_note {
  uint32_t magic;
  uint32_t state;   /* enum scribe_state */
  uint64_t records; /* FAILS: 0; WORKS: how many waited; LOST: how many */
  char sink[SCRIBE_SINK_SIZE];
  char message[SCRIBE_MESSAGE_SIZE];
};

/* Becomes readable when it says something. */
int scribe_descriptor(const struct scribe *scribe);
/* 1 with *ret_note, 0 when there is none now, a negative errno when it is gone. Never waits. */
int scribe_read(struct scribe *scribe, struct scribe_note *ret_note);

/* Where frames for evidence go (events/evidence.h); -1: none is kept. */
int scribe_evidence_descriptor(const struct scribe *scribe);

/* A note as an event, log-degraded: severity, what happened, what to do. */
struct scribe_words {
  enum event_severity severity;
  char message[2 * SCRIBE_MESSAGE_SIZE];
  const char *what_to_do; /* NULL: nothing */
};
void scribe_describe(const struct scribe_note *note, enum language language, struct scribe_words *ret_words);

#endif
