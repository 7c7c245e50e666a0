/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_INTERVALS_H
#define KIDO_WATCH_INTERVALS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How much of the time a wire was watched. Times are of a clock that is never set. Intervals may be added in any order
 * as long as none begins before the end of the last but one; what two of them share is counted once.
 */
struct intervals {
  int64_t since;     /* the watch of this wire began */
  int64_t unwatched; /* nanoseconds, of those that are over */
  uint64_t count;    /* of intervals */
  int64_t until;     /* end of the last one */
  int64_t open_at;   /* beginning of the one that lasts; 0: none */
};

void intervals_start(struct intervals *intervals, int64_t now);
void intervals_add(struct intervals *intervals, int64_t from, int64_t to);
/* The wire is not seen since `from`, until it is. */
void intervals_open(struct intervals *intervals, int64_t from);
void intervals_close(struct intervals *intervals, int64_t now);

/* Nanoseconds of the whole time, and of those that were not fully watched. */
void intervals_read(const struct intervals *intervals, int64_t now, int64_t *ret_whole, int64_t *ret_unwatched);

#endif
