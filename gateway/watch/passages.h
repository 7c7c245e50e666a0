/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_PASSAGES_H
#define KIDO_WATCH_PASSAGES_H

#include "watch/connections.h"
#include "watch/finding.h"
#include "wire/frame.h"

/*
 * Joins the two sightings of one packet: where it came in, and where it came out. A frame that may not pass is held
 * here for a moment after it came in; when the same conversation leaves by another wire it is a crossing and no
 * attempt, and the crossing can name both wires. What nobody saw leaving is handed out as what it is.
 *
 * Fixed in size: when it is full, the oldest is handed out early.
 */
struct passages;

typedef void passages_expire(void *context, const struct finding *finding);

/* hold: nanoseconds. NULL without memory. */
struct passages *passages_new(size_t count, int64_t hold, passages_expire *expire, void *context);
struct passages *passages_free(struct passages *passages);

/* Room for the first bytes of a frame that is held, as evidence. */
enum { PASSAGE_BYTES = 160 };
struct passage_frame {
  struct captured_frame captured; /* data NULL: they were not kept */
  uint8_t bytes[PASSAGE_BYTES];
};

/*
 * A frame came in that may not pass. finding: what it is when it does not leave; reported: it was told already
 * (spoofed), so that it is kept only to be joined. Returns where its bytes may be kept; NULL: one of its conversation
 * is held already.
 */
struct passage_frame *passages_enter(struct passages *passages, const struct connection_key *key,
                                     const struct finding *finding, bool reported);
/* While a finding is handed out: its frame; NULL when that was not kept. */
const struct captured_frame *passages_frame(const struct passages *passages);

/* A frame left. Returns the wire by which its conversation came in within the hold, or WIRE_NONE. */
int passages_leave(struct passages *passages, const struct connection_key *key, int64_t now);

/* The wire by which this conversation was seen to come in forbidden within the hold, or WIRE_NONE; counts nothing. */
int passages_look(const struct passages *passages, const struct connection_key *key);

/* Whether anything is held of this conversation in this direction. */
bool passages_know(const struct passages *passages, const struct connection_key *key);

/* Hands out what has waited long enough; INT64_MAX hands out all. */
void passages_advance(struct passages *passages, int64_t now);
bool passages_empty(const struct passages *passages);

#endif
