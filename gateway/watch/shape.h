/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_SHAPE_H
#define KIDO_WATCH_SHAPE_H

#include "policy/policy.h"

/*
 * Holds allowed flows to their shape: how much each direction of a flow, and each machine that opens it, carries within
 * a minute; whether a relay sends what it did not receive; and whether a flow carries far more than it ever did. Fed
 * with portions of bytes (enum shape_portion), not with packets. Fixed in size once the policy is set.
 */
struct shapes;

/* A conversation hands over what it carried when that much has come together. */
enum { SHAPE_PORTION = 32768 };

enum shape_side { SHAPE_UP, SHAPE_DOWN }; /* from the side that opens, and towards it */

struct shape_portion {
  const struct flow *flow;
  struct address opener;
  enum shape_side side;
  uint64_t bytes;
  int64_t time; /* nanoseconds since 1970 */
};

/* talkers: opening machines that are counted at a time. NULL without memory. */
struct shapes *shapes_new(size_t talkers);
struct shapes *shapes_free(struct shapes *shapes);

/* History goes on for flows that keep their names. The policy must live until the next call. 0 or -ENOMEM, and then
 * nothing changed. */
int shapes_set_policy(struct shapes *shapes, const struct policy *policy);

struct shape_verdict {
  const char *reason; /* a constant */
  bool of_flow;       /* of the flow as a whole, not of the machine that opens */
  uint64_t bytes;     /* that were carried within the time that counts */
};

/* True when the portion does not suit its flow. */
bool shapes_count(struct shapes *shapes, const struct shape_portion *portion, struct shape_verdict *ret_verdict);

/* Most bytes a minute of one opening machine (declared ones: of the whole flow); 0: no limit. */
uint64_t shape_limit(const struct flow *flow, enum shape_side side);
/* Whether frames of this flow must all be seen, because something is counted of it or looked for in it. */
bool shape_needs_all(const struct flow *flow);

/* Machines that were forgotten within a minute of what they carried. */
uint64_t shapes_crowded_out(const struct shapes *shapes);

#endif
