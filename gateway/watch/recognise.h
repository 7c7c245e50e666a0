/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_RECOGNISE_H
#define KIDO_WATCH_RECOGNISE_H

#include "watch/connections.h"
#include "wire/frame.h"

/*
 * What the first packets of a connection speak, by nDPI, against the `protocol` that its flow declares. The only place
 * that knows that library. It allocates within (a few kilobytes for a connection while it is looked at); the number of
 * connections that are looked at is fixed.
 */
struct recogniser;

/* So many packets with payload of each connection are looked at. */
enum { RECOGNISE_PACKETS = 12 };

/* connections: looked at at a time. NULL without memory. */
struct recogniser *recogniser_new(size_t connections);
struct recogniser *recogniser_free(struct recogniser *recogniser);

/* Only from then on does it cost memory, if a flow declares a protocol that is known. 0 or -ENOMEM. */
int recogniser_set_policy(struct recogniser *recogniser, const struct policy *policy);
bool recogniser_cares(const struct recogniser *recogniser, const struct flow *flow);

/* A connection is to be looked at: all bytes of its frames will be wanted for a while. */
void recogniser_expect(struct recogniser *recogniser, const struct connection_key *key, int64_t now);
bool recogniser_wants(const struct recogniser *recogniser, const struct connection_key *key);

enum recognition {
  RECOGNISE_NOTHING, /* no payload */
  RECOGNISE_MORE,    /* unknown so far */
  RECOGNISE_DONE,    /* it speaks what it should, or something that wraps it, or nobody knows */
  RECOGNISE_WRONG,   /* *ret_name: what it speaks; a constant */
};

/* left: packets that will still be looked at, this one included. */
enum recognition recogniser_see(struct recogniser *recogniser, const struct connection_key *key,
                                const struct flow *flow, const struct captured_frame *captured,
                                const struct frame *frame, unsigned left, const char **ret_name);

/* Connections that were given up because others took their place. */
uint64_t recogniser_overflows(const struct recogniser *recogniser);

#endif
