/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_STATUS_H
#define KIDO_WATCH_STATUS_H

#include <stdint.h>

#include "base/error.h"
#include "watch/tables.h"

/*
 * How kidoban says how it is: a SOCK_SEQPACKET socket WATCH_STATUS_SOCKET in the run directory. Who connects sends a
 * struct watch_status_request and gets one struct watch_status; both of fixed size.
 */
#define WATCH_STATUS_SOCKET "kidoban.sock"

enum { WATCH_STATUS_MAGIC = 0x4b42414e, WATCH_STATUS_VERSION = 4, WATCH_STATUS_INTERFACES = 64 };

enum watch_state {
  WATCH_WATCHING, /* every wire is seen, nothing was dropped in the last minute */
  WATCH_DEGRADED, /* some wires are not seen, or frames were dropped */
  WATCH_BLIND,    /* no wire is seen, or there is no policy */
};

enum wire_state {
  WIRE_WATCHED,
  WIRE_INTERFACE_MISSING,
  WIRE_INTERFACE_DOWN,
  WIRE_CAPTURE_FAILED,
  WIRE_BLIND, /* it is captured, but something shows that not everything is seen: `reason` says what */
};

/* Whence the policy comes. */
enum watch_follows { WATCH_BY_FILE, WATCH_BY_KIDOD, WATCH_KIDOD_GONE /* its last one stays */ };

struct watch_status_request {
  uint32_t magic, version;
};

struct watch_status_interface {
  char name[32], zone[64];
  char reason[32];           /* of a blind state, as in its events; else "" */
  uint32_t state;            /* enum wire_state */
  uint8_t vantage, presence; /* enums of vantage.h */
  uint8_t listens;           /* a port of the settings, not of the policy */
  uint8_t canary;            /* canaries are sent there */
  uint64_t frames, bytes, drops, everyday, findings;
  uint64_t whole, unwatched; /* nanoseconds since it is to be watched, and those in which it was not, or not fully */
  uint64_t intervals;        /* in which it was not */
  uint64_t canaries_sent, canaries_missed;
};

struct watch_status {
  uint32_t magic, version;
  uint32_t state;           /* enum watch_state */
  uint32_t interface_count; /* of all; at most WATCH_STATUS_INTERFACES are listed */
  uint32_t follows;         /* enum watch_follows */
  uint32_t reserved;
  uint32_t open_alerts[4];                  /* by enum event_severity */
  uint64_t taken_up;                        /* conversations that were taken up in their middle */
  uint64_t crowded_out[WATCH_TABLE_COUNT_]; /* by enum watch_table: what it had no room for */
  uint64_t event_failures;                  /* records that an output did not take */
  int64_t started;                          /* seconds since 1970 */
  char policy_number[63];
  char policy_sha256[65];
  struct watch_status_interface interfaces[WATCH_STATUS_INTERFACES];
};

const char *watch_state_name(enum watch_state state); /* "watching" */
const char *wire_state_name(enum wire_state state);   /* "watched" */

/* Asks the kidoban of that run directory. 0 or a negative errno with *error. */
int watch_status_ask(const char *run_directory, struct watch_status *ret_status, struct error *error);

/* The end of a kidoban: never waits for who asks. */
struct watch_status_desk;

/* At most so many that have connected and not yet asked are kept; then the oldest of them goes. */
enum { WATCH_STATUS_CLIENTS = 16 };

/* 0 or a negative errno with *error. */
int watch_status_open(const char *run_directory, struct watch_status_desk **ret_desk, struct error *error);
/* NULL is allowed; returns NULL. */
struct watch_status_desk *watch_status_close(struct watch_status_desk *desk);
/* Readable when watch_status_answer() has something to do; -1 of NULL. */
int watch_status_descriptor(const struct watch_status_desk *desk);
/* Takes who connects, answers who asks and closes that connection; a bounded piece of work. */
void watch_status_answer(struct watch_status_desk *desk, const struct watch_status *status);

#endif
