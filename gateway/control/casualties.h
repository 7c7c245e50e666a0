/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_CASUALTIES_H
#define KIDO_CONTROL_CASUALTIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/arena.h"
#include "kernel/conntrack.h"
#include "policy/policy.h"
#include "policy/restrictions.h"

/* What an emergency cut stops, or what lifting it gives back: counted by flow and by pair of zones. */
struct casualty {
  const struct flow *flow; /* NULL: what passes without one, within a zone */
  zone_index from, to;
  bool whole; /* all of the flow, not only one host of it */
  uint64_t connections, bytes;
};

struct casualty_list {
  struct casualty *items; /* flows in the order of the file, then pairs of zones */
  size_t count;
  uint64_t connections;
};

struct casualty_question {
  const struct policy *policy;
  const struct address_set *own;
  const struct restrictions *cuts;   /* looked at alone */
  const struct restrictions *beside; /* what holds the policy back anyway */
  struct instant now;
};

/*
 * Flows in force that the cuts touch and nothing beside them cuts off already, also those that nobody uses now.
 * connections: NULL for none to be counted. Costs no more than a look at each connection. 0 or -ENOMEM.
 */
int casualties_find(const struct casualty_question *question, const struct connection_list *connections,
                    struct arena *arena, struct casualty_list *ret_list);

#endif
