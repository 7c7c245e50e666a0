/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_PROVE_H
#define KIDO_PROOF_PROVE_H

#include "base/arena.h"
#include "base/error.h"
#include "policy/decide.h"
#include "policy/policy.h"
#include "policy/restrictions.h"
#include "proof/bypass.h"
#include "proof/live.h"
#include "proof/space.h"
#include "proof/surroundings.h"

/* The proof: the decoded ruleset against the policy, claim by claim, zone pair by zone pair. Pure: no socket, no clock.
 */

enum proof_claim {
  CLAIM_NEW,         /* accepted if and only if authorised */
  CLAIM_MARK,        /* an accepted connection bears the mark of a flow that authorises it; nothing else writes it */
  CLAIM_ESTABLISHED, /* accepted only if its mark is of a flow in force, or its original tuple authorised now */
  CLAIM_TIME,        /* each end in the kernel is the policy's */
  CLAIM_GUARD,       /* each guard reason drops what it must */
  CLAIM_NO_WAY_ROUND,
  CLAIM_SOUND, /* the proof itself: vacuity guards */
  CLAIM_COUNT_,
};
const char *proof_claim_name(enum proof_claim claim); /* "new", "mark", … */

enum proof_result { PROOF_PROVEN, PROOF_REFUTED, PROOF_UNDECIDED };
const char *proof_result_name(enum proof_result result); /* "proven" */

struct proof_question {
  const struct policy *policy;
  const struct restrictions *restrictions; /* NULL: none */
  const struct address_set *own;           /* NULL: those of the surroundings */
  const struct live_ruleset *ruleset;
  const struct surroundings *surroundings;
  /* By index of the flow: the mark that its connections bear by its documented identity. Asked only for marks that no
   * rule writes now: a flow that others cover whole may have connections from an earlier generation. NULL: none do. */
  const uint32_t *identities;
  bool gate_closed;      /* the policy is loaded as closed gate: only flows with the gateway count */
  bool in_full;          /* every pair drawn in full, without classes (classes.h): slower, and the same answer */
  size_t node_budget;    /* of decision diagrams, for one zone pair; 0: the default */
  uint64_t memory_limit; /* bytes; 0: the default */
};

/* A packet on which the two differ. */
struct counterexample {
  enum proof_claim claim;
  struct situation situation;
  struct packet packet;
  struct packet opener; /* of the connection; for TRACKING_OPENS the packet itself */
  uint32_t connection_mark;
  uint32_t connection_status;
  uint8_t frame[192]; /* to send it */
  size_t frame_length;
  struct decision policy;         /* of policy/decide */
  bool kernel_allows;             /* of the concrete meaning */
  const struct live_chain *chain; /* where the kernel decided */
  const struct live_rule *rule;   /* NULL: by the chain's policy */
  const struct flow *flow;        /* the flow that should, or should not, allow; or NULL */
  struct place place;             /* in the policy */
  const char *message;            /* one sentence, in the policy's language */
};

struct proof_pair {
  zone_index from, to;
  enum proof_result result;
  size_t nodes; /* of diagrams, the largest store */
};

struct proof_gap {
  const struct live_table *table;
  const struct live_chain *chain; /* NULL */
  const struct live_rule *rule;   /* NULL */
  const char *why;
  zone_index from, to;
};

struct proof_condition { /* proven, but these may drop more: limit, flood */
  const struct unknown *unknown;
  zone_index from, to;
};

struct proof {
  enum proof_result result;
  enum proof_result claims[CLAIM_COUNT_];
  struct proof_pair *pairs;
  size_t pair_count;
  struct counterexample
      *counterexamples; /* the first is the one to show; at most a few, of different claims and pairs */
  size_t counterexample_count;
  struct bypass *bypasses;
  size_t bypass_count;
  struct proof_gap *gaps;
  size_t gap_count;
  struct proof_condition *conditions;
  size_t condition_count;
  size_t nodes, bytes; /* most at one time */
  uint32_t generation;
};

/* 0, -ENOMEM, or -EPROTO: the two meanings of the ruleset disagree on a packet (an error of ours: error says which). */
int prove(const struct proof_question *question, struct instant now, struct arena *arena, struct proof *ret_proof,
          struct error *error);

#endif
