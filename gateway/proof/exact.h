/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_EXACT_H
#define KIDO_PROOF_EXACT_H

#include "base/arena.h"
#include "base/instant.h"
#include "policy/packet.h"
#include "policy/policy.h"
#include "policy/restrictions.h"
#include "proof/authorised.h"

/*
 * Exact answers about policies, from the sets of proof/authorised.h: what a new policy opens and closes, which flows
 * are for nothing, who can reach whom. No sampling, no approximation; where the budget does not suffice they say so.
 */

/* A product of ranges, all of it in the set. */
struct exact_box {
  zone_index from, to; /* of the policy of the side that allows it */
  struct address_range source, destination;
  uint8_t first_protocol, last_protocol;
  uint16_t first_port, last_port; /* destination port; ICMP: the type, in both; 0-65535: any */
  bool has_mac;                   /* only frames of this MAC */
  bool other_macs;                /* only frames of other MACs than those to which either policy pins the sender */
  struct mac mac;
  const struct flow *flow; /* first flow that allows it, on the side that does; NULL: within a zone */
  struct packet example;   /* one packet of it */
};

struct exact_side {
  const struct policy *policy; /* NULL: nothing passes */
  const struct restrictions *restrictions;
};

enum { EXACT_BOX_LIMIT = 1000 };

struct exact_difference {
  bool equal;
  bool complete; /* false: budget or EXACT_BOX_LIMIT reached: there is more than is listed */
  struct exact_box *opened, *closed;
  size_t opened_count, closed_count;
  /* By both, but at other times or within other limits; with the flow of `after`. Not part of `equal`, and empty where
   * only the instant counts. */
  struct exact_box *retimed;
  size_t retimed_count;
};

/*
 * What passes by the one and not by the other, of openers; `when` says which flows count: those in force at the instant
 * (what happens to packets now), from it on (what a new policy brings), or all, whatever their expiry and window (what
 * an approval means). Zones are the same when they have the same name. 0 or -ENOMEM.
 */
int exact_compare(const struct exact_side *before, const struct exact_side *after, const struct address_set *own,
                  struct instant now, enum authorised_when when, struct arena *arena,
                  struct exact_difference *ret_difference);

/* Flow by flow: what one flow of `after` covers more than the flow of the same name in `before` (for approvals: D18).
 */
int exact_widening(const struct policy *before, const struct flow *old_flow, const struct policy *after,
                   const struct flow *new_flow, struct arena *arena, struct exact_difference *ret_difference);

enum flow_worth {
  WORTH_USED,
  WORTH_NEVER_MATCHES, /* covers no packet that the guard lets pass */
  WORTH_SHADOWED,      /* all that it covers is covered by earlier flows: it never decides */
  WORTH_REDUNDANT,     /* all that it covers is covered by other flows: taking it out changes no verdict */
};
struct flow_use {
  enum flow_worth worth;
  const struct flow *const *by; /* few flows that cover it, one if one does; NULL when none */
  size_t by_count;
};
/* One for each flow of the policy, in its order. Flows that are over, and those with a limit, are WORTH_USED; only
 * flows that are in force whenever the covered one is, and have no limit, cover it. All flows that are called shadowed
 * or redundant may be taken out together. gone: by index, flows that are to be taken out already: they cover nothing
 * and are not judged; NULL: none. *ret_complete: false when the budget did not suffice for some. 0 or -ENOMEM. */
int exact_flow_use(const struct policy *policy, struct instant now, const bool *gone, struct arena *arena,
                   struct flow_use **ret_uses, bool *ret_complete);

/* Everything that may open a connection to a zone (destination NULL) or a host of it, from anywhere. */
int exact_who_can_reach(const struct policy *policy, const struct restrictions *restrictions, zone_index zone,
                        const struct address_range *destination, struct instant now, bool at_any_time,
                        struct arena *arena, struct exact_box **ret_boxes, size_t *ret_count, bool *ret_complete);

/* Universal `expect`: for each pair of zones whether any packet passes from the one to the other, now or at any instant
 * after it, and a box that does. 0, -ENOMEM, or -E2BIG when the budget did not suffice. */
struct exact_pair {
  zone_index from, to;
  bool any; /* this and the rest: the answer */
  struct exact_box example;
};
int exact_any_packet(const struct policy *policy, struct instant now, struct arena *arena, struct exact_pair *pairs,
                     size_t pair_count);

#endif
