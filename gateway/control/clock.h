/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_CLOCK_H
#define KIDO_CONTROL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/instant.h"

/* The clocks of the machine at one moment, and what is kept of them. */
struct clock_reading {
  int64_t wall, boot, monotonic; /* milliseconds; boot goes on while the machine sleeps, monotonic does not */
};

struct clock_reading clock_read(void);

/* What became of the wall clock between two readings. */
struct clock_change {
  int64_t step;  /* milliseconds by which somebody set it forward or back */
  int64_t slept; /* milliseconds that the machine was suspended */
};

struct clock_change clock_compare(const struct clock_reading *before, const struct clock_reading *after);

/* Too small to matter: ends are kept to the second. */
enum { CLOCK_STEP_MILLISECONDS = 250 };
bool clock_change_matters(const struct clock_change *change);

/*
 * The last time seen, in the state directory: a line with seconds. A clock that is earlier than that at start was set
 * back, or its battery is dead.
 */
#define CLOCK_FILE "clock"

enum { CLOCK_TOLERANCE_SECONDS = 2 };

int clock_save(const char *directory, struct instant seen, struct error *error);
/* 0, -ENOENT, -EBADMSG with *error when it is no file of ours. */
int clock_load(const char *directory, struct instant *ret_seen, struct error *error);

/* Whether a clock that shows now can be believed after `seen`. */
bool clock_is_doubtful(struct instant seen, struct instant now);

#endif
