/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_MACHINES_H
#define KIDO_WATCH_MACHINES_H

#include "policy/policy.h"

/*
 * What the watchman remembers of the machines on his wires: by which wire a machine was heard last, which MAC had an
 * address last, and which frames he heard a moment ago.
 *
 * Tables of fixed size, in sets of four; when a set is full, the longest silent entry goes. Wires are
 * remembered, not zones, so that the memory outlives a policy; what is one zone is told with each question.
 */
struct machines;

/* Machines, addresses and frames: rounded up to a power of two; 0: 16,384, 16,384 and 8,192. NULL without memory. */
struct machines *machines_new(size_t machines, size_t addresses, size_t frames);
struct machines *machines_free(struct machines *machines);

/* How long a machine belongs where it was, in nanoseconds. */
#define MACHINE_REMEMBERED (24LL * 3600 * 1000000000)

/* What names a machine. The same bytes of another kind are another name. */
enum machine_name { MACHINE_BY_MAC, MACHINE_BY_HOST_NAME, MACHINE_BY_DUID };

struct machine_sight {
  bool first;         /* nothing was known of it */
  bool moved;         /* when it was last heard, it was on the wire of another zone */
  int other_wire;     /* where it was heard in another zone; WIRE_NONE */
  int64_t other_last; /* and when */
  uint64_t key;       /* the same for the same name, as long as this process runs */
};

/* A machine is heard on a wire. wire_zones: the zone of each wire. */
void machines_hear(struct machines *machines, enum machine_name kind, const void *name, size_t length, int wire,
                   const zone_index *wire_zones, int64_t now, struct machine_sight *ret_sight);

/* An address of the wire's own zone was used by that MAC. */
void machines_note_address(struct machines *machines, const struct address *address, const struct mac *mac,
                           int64_t now);
/* False when nobody was seen to use it. */
bool machines_find_address(const struct machines *machines, const struct address *address, struct mac *ret_mac);

/*
 * A frame was heard, by its identity (machines_digest). Returns the wire of another zone on which the very same was
 * heard within `within` nanoseconds, or WIRE_NONE.
 */
int machines_echo(struct machines *machines, uint64_t digest, int wire, const zone_index *wire_zones, int64_t now,
                  int64_t within);
/* Of two pieces, as of one. Zeros at the end do not count: they may be padding. */
uint64_t machines_digest(const struct machines *machines, const void *head, size_t head_length, const void *body,
                         size_t body_length);

/* Entries that were heard of within a day and had to go all the same. */
uint64_t machines_evicted(const struct machines *machines);

#endif
