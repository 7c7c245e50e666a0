/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_PLAN_EXACT_H
#define KIDO_CLI_PLAN_EXACT_H

#include "cli/verb.h"
#include "proof/exact.h"

/*
 * What a plan cannot say flow by flow: exactly the packets that the whole policy allows more, and less, than the one
 * that kidod publishes; and whether its approvals would be refused (D18). Worked out here, not in kidod.
 */
struct plan_exact {
  const struct policy *before, *after;
  struct exact_difference difference;
  struct diagnostic_list approvals; /* D18, in the lines of the operator's file; empty during a trial */
};

/* False when kidod publishes no policy, or there is no memory for it. */
bool plan_exact_find(const struct invocation *invocation, const struct policy *policy, struct plan_exact *ret_exact);

/* Adds opened, closed, complete and approvals to a kido.plan/1; exact NULL: null. */
void plan_exact_to_json(const struct plan_exact *exact, json_t *plan);
void plan_exact_print(const struct invocation *invocation, const struct plan_exact *exact, enum language language);

#endif
