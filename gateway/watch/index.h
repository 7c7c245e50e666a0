/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_INDEX_H
#define KIDO_WATCH_INDEX_H

#include "base/arena.h"
#include "policy/decide.h"

/*
 * A policy laid out for judging frames: the same answers as policy_decide(), at a cost that does not grow with the
 * number of flows. Built once per generation (and again when the gateway's own addresses or
 * the restrictions change).
 *
 * Theory of operation. All addresses that the policy can tell apart are cut into segments: between two neighbouring
 * ends of any range of the policy every address means the same. One search finds the segment of an address, and the
 * segment knows the zone, whether the address is special, own, a broadcast address, pinned or cut off, and which flows
 * have it at their `from` and at their `to`. A packet's flow stands in the shorter of two such lists.
 */
struct index;

enum address_trait {
  ADDRESS_SPECIAL_SOURCE = 1 << 0,
  ADDRESS_SPECIAL_DESTINATION = 1 << 1,
  ADDRESS_OWN = 1 << 2,
  ADDRESS_BROADCAST = 1 << 3,
  ADDRESS_PINNED = 1 << 4,     /* of a host whose MAC the guard checks */
  ADDRESS_UNROUTED = 1 << 5,   /* of a declared neighbour that must never be seen */
  ADDRESS_LINK_LOCAL = 1 << 6, /* 169.254/16, fe80::/10, 0.0.0.0, ::: every machine speaks from them all day */
  ADDRESS_GROUP = 1 << 7,      /* multicast and limited broadcast */
  ADDRESS_CUT = 1 << 8,        /* of a host that an emergency cut cuts off */
};

struct address_facts {
  zone_index zone; /* ZONE_NONE when no zone claims the address */
  unsigned traits;
  uint32_t segment;
};

/* own: addresses of the gateway; restrictions: what holds the policy back; both may be NULL. All three must outlive the
 * index, which lives in the arena. 0 or -ENOMEM. */
int index_build(struct arena *arena, const struct policy *policy, const struct address_set *own,
                const struct restrictions *restrictions, struct index **ret_index);

struct address_facts index_find(const struct index *index, const struct address *address);
const struct policy *index_policy(const struct index *index);

/*
 * Which flows are in force. Cheap until the next instant at which that changes. The epoch grows with every change, so
 * that what was concluded from an older one can be recognised.
 */
void index_set_time(struct index *index, struct instant now);
uint64_t index_epoch(const struct index *index);
struct instant index_changes_at(const struct index *index);
bool index_flow_in_force(const struct index *index, const struct flow *flow);

/* The same answer as policy_decide() with the time, own addresses and restrictions of the index, once index_set_time()
 * was called; `place` is left empty. */
struct decision index_decide(const struct index *index, const struct query *query);

/* Whether any flow in force joins the two addresses with this protocol, whichever opens: for packets whose ports are
 * unknown. NULL when none does. */
const struct flow *index_flow_between(const struct index *index, const struct packet *packet, zone_index from_zone,
                                      zone_index to_zone);

/* Zone of the pinned host that has this MAC, ZONE_NONE when no host has. */
zone_index index_zone_of_mac(const struct index *index, const struct mac *mac, zone_index preferred);
/* Whether the address may come from this MAC in the zone: not pinned there, or pinned to it. */
bool index_mac_matches(const struct index *index, const struct address_facts *facts, zone_index zone,
                       const struct mac *mac);

#endif
