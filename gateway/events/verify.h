/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_VERIFY_H
#define KIDO_EVENTS_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "events/checkpoint.h"
#include "events/files.h"

/*
 * Whether the records of a daemon are as they were written: each hash is that of its line, each record follows the one
 * before it, the first follows the checkpoint, and what left the box (heads in heartbeats, kept by the log server) is
 * still there.
 */
enum chain_fault {
  CHAIN_FAULT_NONE,
  CHAIN_FAULT_UNREADABLE, /* a line that is no record */
  CHAIN_FAULT_ALTERED,    /* its hash is not that of the line */
  CHAIN_FAULT_LINK,       /* it does not follow the record before it: one was removed, added, moved or altered */
  CHAIN_FAULT_ORDER,      /* its sequence is not above the one before it */
  CHAIN_FAULT_UNCHAINED,  /* without a hash, after records that have one */
  CHAIN_FAULT_BEGINNING,  /* what should stand before it is gone, and no checkpoint says so */
  CHAIN_FAULT_CHECKPOINT, /* the checkpoint's signature is wrong, or it is of another key than the anchors name */
  CHAIN_FAULT_ANCHOR,     /* another record than the one that left the box, or none where it stood */
  CHAIN_FAULT_CUT_OFF,    /* the log ends before a record that left the box */
  CHAIN_FAULT_COUNT_,
};

/* "altered": the name in JSON. */
const char *chain_fault_name(enum chain_fault fault);

struct chain_report {
  uint64_t records;     /* with a hash */
  uint64_t unchained;   /* before the first that has one */
  uint64_t first, last; /* sequences of the chained ones; 0: none */
  char head[SHA256_TEXT_SIZE];
  uint64_t lost;           /* records that the daemon had no room for: the chain goes on over them */
  uint64_t pruned;         /* sequence up to which records were removed; 0: none were */
  uint64_t anchors;        /* heads that were compared */
  uint64_t anchors_before; /* heads of records that were pruned since */
  uint64_t foreign;        /* heads of this daemon with another key: another box, or this one's key was exchanged */
  uint64_t last_anchor;    /* the highest one, when all agrees up to there */
  size_t unfinished;       /* bytes of a line that was not finished */
  enum chain_fault fault;  /* the first */
  char file[EVENT_NAME_SIZE];
  uint64_t line, sequence;
};

/* Heads that left the box, as the log server has them. */
struct chain_anchors;

/*
 * Reads a file in which each line may hold a heartbeat (a JSON object of schema kido.heartbeat/1, with anything before
 * it), in any order. 0, or a negative errno with *error: -ENODATA when there is none.
 */
int chain_anchors_read(const char *path, struct chain_anchors **ret_anchors, struct error *error);
struct chain_anchors *chain_anchors_free(struct chain_anchors *anchors);

/*
 * Reads all that a daemon has written. anchors may be NULL. 0 with *ret_report whatever was found; a negative errno
 * with *error when it could not be read; -ENOENT when the daemon has no files at all, and no anchor speaks of any.
 */
int chain_verify(const char *directory, const char *daemon, const struct chain_anchors *anchors,
                 struct chain_report *ret_report, struct error *error);

#endif
