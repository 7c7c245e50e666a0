/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_BYPASS_H
#define KIDO_PROOF_BYPASS_H

#include "base/arena.h"
#include "policy/policy.h"
#include "proof/live.h"
#include "proof/surroundings.h"

/*
 * Claim 6, no way round: what joins two zones without passing the rules that are proven. From facts of the machine and
 * from the ruleset's other tables (netdev fwd and dup, flowtables, NAT, tproxy, bridge tables).
 */
enum bypass_state {
  BYPASS_OPEN,    /* a way is there: refuted */
  BYPASS_UNKNOWN, /* may be one; it cannot be seen from here: undecided */
  BYPASS_ASSUMED, /* not looked at (offline), or cannot be looked at on any kernel: printed, no effect on the result */
};
struct bypass {
  const char *kind;   /* "bridge", "fwd", "dup", "flowtable", "nat", "tc", "xdp", "macvlan", "sysctl", "routing", … */
  const char *detail; /* which, what was found, what to do: for people, in the policy's language */
  enum bypass_state state;
  zone_index left, right;         /* zones concerned; ZONE_NONE: any */
  const struct live_chain *chain; /* or NULL */
  const struct live_rule *rule;
};

/* 0 or -ENOMEM. */
int bypass_find(const struct policy *policy, const struct live_ruleset *ruleset,
                const struct surroundings *surroundings, struct arena *arena, struct bypass **ret_bypasses,
                size_t *ret_count);

#endif
