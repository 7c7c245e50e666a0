/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_CONNECTIONS_H
#define KIDO_WATCH_CONNECTIONS_H

#include "policy/decide.h"

/*
 * The conversations that the watchman has seen, each with the verdict on its opener: what follows is judged by that,
 * in both directions. A fixed table of sets of four; when a set is full, a denied or else the longest silent
 * conversation goes and is counted. Nothing is allocated after connections_new(). A row of small tags says which of the
 * four it may be, so that a look costs one line of memory that is not in the cache.
 */
struct connections;

/* The identity of a conversation, the same for both directions. */
struct connection_key {
  uint64_t hash;
  uint8_t ends[2][16]; /* addresses in an order that does not depend on the direction */
  uint16_t ports[2];
  uint8_t family, protocol;
  uint8_t source_end; /* which end sent this packet: 0 or 1 */
};

enum { CONNECTION_TICK = 4 };

struct connection {
  uint8_t ends[2][16];
  uint16_t ports[2];
  uint8_t family; /* FAMILY_NONE: free */
  uint8_t protocol;
  uint8_t opener_end : 1; /* which end opened it */
  uint8_t allowed : 1;
  uint8_t disguised : 1;    /* its packets were seen to be rewritten: never on the fast way */
  uint8_t unasked : 1;      /* it began with an answer, although whoever should have asked was watched all the time */
  uint8_t unrecognised : 4; /* packets with payload whose protocol is still to be recognised; until then no fast way */
  uint8_t reason;           /* enum reason of the opener's verdict */
  int16_t from_zone, to_zone;
  uint32_t flow;       /* index of the flow, UINT32_MAX for none */
  uint16_t epoch;      /* of the verdict */
  uint16_t last_seen;  /* CONNECTION_TICK seconds; wraps */
  uint16_t carried[2]; /* by each end: bytes of a portion that is not full yet */
  uint32_t macs[2];    /* digests of the MACs from which the ends were seen to send lawfully; 0: not seen */
};

/* count: rounded up to a power of two. NULL without memory. */
struct connections *connections_new(size_t count);
struct connections *connections_free(struct connections *connections);

/* ICMP queries are one conversation per pair of addresses and kind of query: request and reply share it. */
void connections_key(const struct connections *connections, const struct packet *packet,
                     struct connection_key *ret_key);
/* Ask the memory for what says where the conversation is, then, a little later, for the conversation. */
void connections_announce(const struct connections *connections, const struct connection_key *key);
void connections_prefetch(const struct connections *connections, const struct connection_key *key);
/* Never 0; nobody outside can make two MACs look alike on purpose. */
uint32_t connections_mac_digest(const struct connections *connections, const struct mac *mac);
struct connection *connections_find(struct connections *connections, const struct connection_key *key);
/* The entry of that key, made if there is none; never NULL. The caller fills in the verdict. What it carried begins at
 * a random part of a portion, so that many small conversations count as much as one large one. */
struct connection *connections_add(struct connections *connections, const struct connection_key *key);
/* The opener of a conversation as a packet. */
void connection_opener(const struct connection *connection, struct packet *ret_opener);

/* Forgets all verdicts: the epochs begin anew. */
void connections_forget_verdicts(struct connections *connections);

/* What time it is, in seconds: an allowed conversation that was seen CONNECTION_LIVES before is alive. */
enum { CONNECTION_LIVES = 180 };
void connections_set_time(struct connections *connections, int64_t seconds);

uint64_t connections_evicted(const struct connections *connections);
/* Those that were alive. */
uint64_t connections_lost(const struct connections *connections);

#endif
