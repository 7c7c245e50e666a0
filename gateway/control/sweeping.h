/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_SWEEPING_H
#define KIDO_CONTROL_SWEEPING_H

#include <jansson.h>

#include "base/error.h"
#include "kernel/conntrack.h"
#include "proof/sweep.h"

/* The kernel's live connections held against the policy. */
enum { SWEEPING_EXAMPLE_LIMIT = 500 };

struct sweeping {
  const struct sweep_finding *findings;
  size_t count, passing;      /* passing: of these, those that the rules let go on */
  struct connection_list all; /* findings name their places in it */
};

/* Reads the connections and judges them. 0, or a negative errno with *error. */
int sweeping_take(const struct sweep_question *question, struct arena *arena, struct sweeping *ret_sweeping,
                  struct error *error);
/* The same with connections that were read already; pure. 0 or -ENOMEM. */
int sweeping_judge(const struct sweep_question *question, const struct connection_list *connections,
                   struct arena *arena, struct sweeping *ret_sweeping);

/* {looked, found, passing, examples:[{from_zone, to_zone, protocol, src, sport, dst, dport, flow, reason, passes}]}. A
 * new reference; NULL without memory. */
json_t *sweeping_to_json(const struct sweeping *sweeping, const struct policy *policy);

#endif
