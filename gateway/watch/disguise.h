/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_DISGUISE_H
#define KIDO_WATCH_DISGUISE_H

#include "watch/connections.h"
#include "watch/finding.h"

/*
 * Ties a packet that left to the one that came in when its addresses or ports were rewritten between: both have the
 * same essence (watch/essence.h) and other tuples. A packet that came in by its own tuple too is no disguise, whatever
 * else looks like it; so what looks lawful is decided a moment after it left, when its own entry has had time to be
 * seen.
 *
 * Only frames of the slow way are noted: the first packets of conversations, and everything that is forbidden. Fixed in
 * size: when it is full, the oldest is decided early.
 */
struct disguise;

/* One sighting. */
struct disguise_mark {
  uint64_t essence; /* 0: cannot be tied */
  struct connection_key key;
  struct finding finding;
  bool forbidden; /* an entry: the policy denies it */
  bool told;      /* an exit: it was found to be something already */
};

/* A conversation that was found to be rewritten, for its later packets. */
struct disguise_case {
  struct connection_key entry, exit;
  struct finding finding;
  bool entry_forbidden;
  int64_t last_seen;
};

typedef void disguise_tell(void *context, const struct disguise_mark *entry, const struct disguise_mark *exit);

/* hold: nanoseconds in which an entry may leave. NULL without memory. */
struct disguise *disguise_new(size_t count, int64_t hold, disguise_tell *tell, void *context);
struct disguise *disguise_free(struct disguise *disguise);

void disguise_enter(struct disguise *disguise, const struct disguise_mark *entry);
/* Decided by disguise_advance(). */
void disguise_leave(struct disguise *disguise, const struct disguise_mark *exit);
/* The entry under another tuple that this exit shows, if its own was not seen; else NULL. */
const struct disguise_mark *disguise_find_entry(const struct disguise *disguise, const struct disguise_mark *exit);
/* Whether a forbidden packet of this essence came in within the hold. */
bool disguise_suspects(const struct disguise *disguise, uint64_t essence, int64_t now);

/* NULL: the conversation is not known to be rewritten, or has been silent for long. The caller may change it. */
struct disguise_case *disguise_recall(struct disguise *disguise, const struct connection_key *key, int64_t now);
void disguise_remember(struct disguise *disguise, const struct disguise_case *known);

/* Decides what left a moment before `now`; INT64_MAX: everything. */
void disguise_advance(struct disguise *disguise, int64_t now);
/* Decides everything and forgets it. */
void disguise_end(struct disguise *disguise);

/* Sightings that had to go before the other one could have been seen. */
uint64_t disguise_crowded_out(const struct disguise *disguise);

#endif
