/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_RULES_TRIAL_H
#define KIDO_RULES_TRIAL_H

#include "base/arena.h"
#include "policy/restrictions.h"

/*
 * The ends of a policy on trial: what only the pending policy allows ends at the deadline, with nobody alive to end it.
 * A flow goes on where the confirmed policy has one of the same meaning (the same mark), in force for as long, with no
 * smaller limit, between zones of the same definition: interfaces, networks, `within`, `on_deny`, class, no greater
 * default space and no host less pinned. Where that flow ends earlier, this one ends with it, or at the deadline if
 * that is later. Forwarding within a zone goes on where its definition is the same. confirmed NULL: everything ends.
 *
 * `half_open_limit`, names, papers, `log` and who speaks for a wire are not looked at: none of them lets a packet pass.
 * What stops (a flow that is gone) is not a matter of deadlines: it comes back when the confirmed policy is loaded.
 *
 * Fills in flow_deadlines and within_deadlines, which live in the arena, and leaves the rest of *restrictions alone.
 * Returns 0 or -ENOMEM.
 */
int trial_deadlines(const struct policy *pending, const struct policy *confirmed, struct instant deadline,
                    struct instant now, struct arena *arena, struct restrictions *restrictions);

#endif
