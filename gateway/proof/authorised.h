/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_AUTHORISED_H
#define KIDO_PROOF_AUTHORISED_H

#include "base/arena.h"
#include "base/instant.h"
#include "policy/policy.h"
#include "policy/restrictions.h"
#include "proof/classes.h"
#include "proof/diagram.h"
#include "proof/space.h"

/*
 * What the policy authorises, as sets of packets: the second reading of the language beside policy/decide, for all
 * packets at once. From the fields of the model alone; nothing of the compiler, nor of rules, nor the helpers in
 * policy/ that the compiler uses (policy_zone_addresses and the like), so that a mistake there shows.
 */
struct authorised;

/* Which flows count as in force. */
enum authorised_when {
  WHEN_NOW,         /* those in force at `now` */
  WHEN_FROM_NOW_ON, /* those that are in force at some instant from `now` on */
  WHEN_EVER,        /* all of them */
};

struct authorised_question {
  const struct policy *policy;
  const struct restrictions *restrictions; /* NULL: none */
  const struct address_set *own;           /* NULL: nothing is own */
  struct instant now;
  enum authorised_when when;
  const struct flow *only; /* NULL: all flows, else as if it were the only one */
};

struct authorised *authorised_new(const struct authorised_question *question, struct space *space,
                                  struct diagram_store *store, struct arena *arena);

/* Flows are drawn over the classes of lookups, where these make them up; to be said before the first question. What is
 * drawn for a pair stays as it is: the lookups that concern it must have been made. */
void authorised_use_classes(struct authorised *authorised, struct classes *classes);

/* Ends of a question: zones, ZONE_GATEWAY, ZONE_NONE for an interface without a zone. */
struct zone_pair {
  zone_index from, to;
  bool same_interface; /* it would leave by the interface by which it came */
};

/*
 * Openers that a flow in force authorises from one zone to the other, by addresses, protocol, ports, ICMP type and
 * pinned MAC alone (the guard not asked). Leaf: index for authorised_flows(), 0: none. `late` false: flows that are not
 * in force count too (what a connection may carry as its mark).
 */
diagram authorised_openers(struct authorised *authorised, const struct zone_pair *pair, enum address_family family,
                           bool in_force);
/* The same over the bits of a connection's original tuple in this situation (see space.h: for RELATED they are fields
 * of their own, for REPLY the packet's, turned around). The pair is that of the connection's opener. MACs are not
 * asked: a connection does not keep one. */
diagram authorised_connections(struct authorised *authorised, const struct zone_pair *pair,
                               const struct situation *situation, bool in_force);

/* What is true of every packet of the situation, and not to be seen from the bits of its classes: all that is found to
 * hold need hold only here. */
diagram authorised_care(struct authorised *authorised, const struct zone_pair *pair, const struct situation *situation);

/* The flows of a leaf of the above, in the order of the file. */
struct flow_list {
  const struct flow *const *flows;
  size_t count;
};
struct flow_list authorised_flows(const struct authorised *authorised, uint32_t leaf);

/* Whether a flow counts as in force. */
bool authorised_counts(const struct authorised *authorised, const struct flow *flow);

/*
 * What the guard's stateless reasons have against a packet that comes in from a zone: leaf 0: nothing, else the first
 * enum reason in the order of the guard table. to: zone of the way out (needed by cuts, and for ZONE_GATEWAY).
 */
diagram authorised_guard(struct authorised *authorised, const struct zone_pair *pair, enum address_family family);

/*
 * All packets that shall pass in a situation of tracking OPENS (claim 1): guard, flows, `within`, neighbour discovery,
 * destination's zone; policy/decide for all packets at once.
 */
diagram authorised_packets(struct authorised *authorised, const struct zone_pair *pair,
                           const struct situation *situation);

/* The same in parts: neighbours, and what is wanted without what something speaks against. */
struct authorised_parts {
  diagram neighbours, wanted, objections;
};
void authorised_packets_in_parts(struct authorised *authorised, const struct zone_pair *pair,
                                 const struct situation *situation, struct authorised_parts *ret_parts);

/* Which packets can be in that situation at all: well-formed headers, what conntrack lets open a connection (kernel
 * facts, cited at each). */
diagram authorised_possible(struct authorised *authorised, const struct situation *situation);

#endif
