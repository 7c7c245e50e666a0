/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_SWEEP_H
#define KIDO_PROOF_SWEEP_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/arena.h"
#include "policy/decide.h"
#include "policy/policy.h"
#include "policy/restrictions.h"

/*
 * Live connections that the policy would not create now. Who proves that only what is authorised opens a connection has
 * proven nothing about those that were opened before: they are looked at one by one, by what opened them.
 */
struct sweep_connection {
  uint8_t protocol;
  struct address source, destination;     /* of the original tuple */
  uint16_t source_port, destination_port; /* 0 for ICMP */
  uint8_t icmp_type, icmp_code;
  const struct flow *flow; /* of its mark; NULL: of none in the policy */
};

struct sweep_question {
  const struct policy *policy;
  const struct restrictions *restrictions; /* NULL: none */
  const struct address_set *own;
  struct instant now;
};

struct sweep_finding {
  size_t connection; /* its place in the array */
  zone_index from, to;
  const struct flow *flow;  /* of its mark; NULL */
  struct decision decision; /* why not */
  bool passes;              /* its mark is of a flow in force between these zones: the rules let it go on */
};

/* In the order of the connections. What the gateway says to itself is passed over. 0 or -ENOMEM. */
int sweep_find(const struct sweep_question *question, const struct sweep_connection *connections, size_t count,
               struct arena *arena, struct sweep_finding **ret_findings, size_t *ret_count);

#endif
