/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_RULES_COMPILE_H
#define KIDO_RULES_COMPILE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/instant.h"
#include "policy/policy.h"
#include "policy/restrictions.h"
#include "rules/ruleset.h"

struct compile_options {
  struct instant now;
  const struct address_set *own;           /* the gateway's addresses; NULL offline */
  const struct restrictions *restrictions; /* NULL: none */
  uint16_t denied_log_group;               /* NFLOG group that is told of some of what is denied; 0: nobody is */
  uint32_t half_open_seconds;              /* an unanswered opening is counted for so long; 0: HALF_OPEN_SECONDS */
};

/*
 * Makes the ruleset of a policy that has no errors (docs/ruleset.md says how it looks and why). Deterministic: the same
 * policy, instant and own addresses give the same ruleset. Returns 0, -ENOMEM, or -E2BIG with *error when overlapping
 * flows would need more elements than RULESET_ELEMENT_LIMIT.
 */
enum { RULESET_ELEMENT_LIMIT = 4 * 1024 * 1024 };

int ruleset_compile(const struct policy *policy, const struct compile_options *options, struct arena *arena,
                    struct ruleset **ret_ruleset, struct error *error);

/* The ruleset of a closed gate: base chains that drop, loopback, neighbour discovery, and what a policy's `gateway`
 * flows need (policy NULL: none). */
int ruleset_compile_closed(const struct policy *policy, const struct compile_options *options, struct arena *arena,
                           struct ruleset **ret_ruleset, struct error *error);

/*
 * A TCP connection whose handshake is not complete carries HALF_OPEN_MARK beside its flow's mark. The kernel counts it
 * until the handshake is complete, or nothing more was heard of the opening for HALF_OPEN_SECONDS.
 */
#define HALF_OPEN_MARK UINT32_C(0x80000000)
#define FLOW_MARK_MASK UINT32_C(0x7fffffff)
enum { HALF_OPEN_SECONDS = 120 };

/* Mark of connections that the gateway is refusing aloud; no flow has it. */
#define REFUSAL_MARK UINT32_MAX

/* The identity that connections of a flow carry in their conntrack mark: a hash of the flow's meaning (who, to whom,
 * what), so that renaming or rewriting a flow keeps it and narrowing it changes it. marks: one per flow, file order. */
int flow_marks(const struct policy *policy, struct arena *arena, uint32_t **ret_marks);

/* Name of the set of flows in force between two zones, whichever of them opens. */
const char *in_force_set_name(const struct policy *policy, zone_index left, zone_index right, struct arena *arena);

/* "denied.lgwan.internet.no-flow", "guard.lgwan.mac-mismatch": splits a counter's name; false when it is neither.
 * ret_to is "" for the guard's. */
bool denied_counter_parse(const char *name, struct arena *arena, const char **ret_from, const char **ret_to,
                          const char **ret_reason);

#endif
