/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/intervals.h"

static int64_t later(int64_t left, int64_t right) {
  return left > right ? left : right;
}

void intervals_start(struct intervals *intervals, int64_t now) {
  *intervals = (struct intervals){.since = now, .until = now};
}

/* Takes what was counted already from the front. */
static int64_t fresh(const struct intervals *intervals, int64_t from, int64_t to) {
  return later(to - later(from, intervals->until), 0);
}

void intervals_add(struct intervals *intervals, int64_t from, int64_t to) {
  if (intervals->open_at != 0)
    return; /* it lasts, and will be counted as a whole */
  intervals->count += from > intervals->until || intervals->count == 0 ? 1 : 0;
  intervals->unwatched += fresh(intervals, from, to);
  intervals->until = later(intervals->until, to);
}

void intervals_open(struct intervals *intervals, int64_t from) {
  if (intervals->open_at != 0)
    return;
  intervals->count += from > intervals->until || intervals->count == 0 ? 1 : 0;
  intervals->open_at = later(from, intervals->until);
}

void intervals_close(struct intervals *intervals, int64_t now) {
  if (intervals->open_at == 0)
    return;
  intervals->unwatched += fresh(intervals, intervals->open_at, now);
  intervals->until = later(intervals->until, now);
  intervals->open_at = 0;
}

void intervals_read(const struct intervals *intervals, int64_t now, int64_t *ret_whole, int64_t *ret_unwatched) {
  *ret_whole = later(now - intervals->since, 0);
  *ret_unwatched = intervals->unwatched + (intervals->open_at != 0 ? later(now - intervals->open_at, 0) : 0);
}
