/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_PRUNE_H
#define KIDO_EVENTS_PRUNE_H

#include <stdint.h>

#include "base/error.h"
#include "events/checkpoint.h"

/* How much of a log is kept. The newest file always is. */
struct retention {
  uint64_t bytes;     /* of all files together */
  int64_t not_before; /* files whose last record is older go, in seconds since 1970 */
};

/*
 * Removes the oldest files that are too many or too old; before that, a signed checkpoint says which record was the
 * last of them. *ret_removed: the sequence of that record; 0: nothing was removed. 0 or a negative errno with *error.
 */
int event_prune(const char *directory, const char *daemon, const struct chain_key *key,
                const struct retention *retention, int64_t now, uint64_t *ret_removed, struct error *error);

#endif
