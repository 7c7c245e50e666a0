/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_APPROVAL_H
#define KIDO_CONTROL_APPROVAL_H

#include "base/diagnostic.h"
#include "base/instant.h"
#include "policy/policy.h"

/*
 * D18: approval follows meaning. An approval is of what a flow meant when it was given, not of its name: whoever lets a
 * flow cover more, or longer, or without its limit, needs another document or another date. And a policy that means
 * something else is another policy: it needs another number.
 *
 * A flow is the same as that of its name in the confirmed policy. One whose name is new stands on its own approval; but
 * when its document and date are those of flows between the same zones that are gone, it is one of these under another
 * name, and must be covered by one of them. Nothing of that is asked where the two policies let the same packets pass.
 *
 * Covering less is never an error. Nor is what cannot be shown within the budget: that is a warning.
 *
 * 0 or -ENOMEM.
 */
int approval_check(const struct policy *confirmed, const struct policy *policy, struct instant now,
                   struct diagnostic_list *diagnostics);

/* Whether the flow is in force at some time at which the old one is not, or without a limit that the old one has:
 * what, in that language; NULL when it is not. */
const char *approval_times_widened(const struct flow *old_flow, const struct flow *new_flow, enum language language);

#endif
