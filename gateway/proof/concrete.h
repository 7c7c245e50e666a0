/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_CONCRETE_H
#define KIDO_PROOF_CONCRETE_H

#include "base/arena.h"
#include "base/error.h"
#include "proof/live.h"
#include "proof/space.h"
#include "proof/surroundings.h"

/*
 * What the decoded rules do with one packet: an interpreter of nftables expressions, as the kernel's own runs them.
 * Written apart from symbolic.h on purpose.
 */

/* The tuple as conntrack keeps it of the packet that opened the connection. */
struct original_tuple {
  struct address source, destination;
  uint8_t protocol;
  uint16_t source_port, destination_port; /* ICMP: as conntrack lays them: identifier; type and code */
};

struct probe {
  struct situation situation;
  const uint8_t *frame; /* Ethernet header first, whole packet */
  size_t length;
  uint32_t connection_mark;
  uint32_t connection_status;     /* IPS_* bits */
  struct original_tuple original; /* ignored for TRACKING_OPENS, INVALID, UNTRACKED */
  uint32_t packet_mark;
  bool throttles_strike; /* what limit, connlimit and slots answer: false: there is room */
  bool unknown_passes;   /* what cannot be known: whether such an expression lets the rule go on */
};

/* One rule that was looked at, in order. */
struct concrete_step {
  const struct live_chain *chain;
  const struct live_rule *rule; /* NULL: the chain's policy */
  unsigned stopped_at;          /* expression that was not satisfied; expression_count when all were */
  bool has_verdict;
  struct live_verdict verdict; /* what it decided, a verdict map's included */
};

struct concrete_result {
  bool accepted;
  const struct live_chain *chain; /* where it was dropped, or last accepted */
  const struct live_rule *rule;   /* NULL: by the chain's policy */
  uint32_t connection_mark;       /* afterwards */
  bool mark_written;
  const char *unmodelled; /* NULL: every expression on the way is understood; else the first that is not, and why */
  struct concrete_step *steps;
  size_t step_count;
};

/* 0 or -ENOMEM. All hooks of the path, in order. */
int concrete_judge(const struct live_ruleset *ruleset, const struct surroundings *surroundings,
                   const struct probe *probe, struct arena *arena, struct concrete_result *ret_result);

#endif
