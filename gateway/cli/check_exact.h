/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_CHECK_EXACT_H
#define KIDO_CLI_CHECK_EXACT_H

#include "cli/verb.h"
#include "policy/check.h"

/*
 * What only sets of packets can say of a policy, beside policy/check.h: flows that several others cover together (W05),
 * flows of which the guard refuses every packet (W21), and universal expectations, judged once more for all packets.
 * What policy_check() and policy_check_expectations() found is not told again. False, after a complaint, when it took
 * too much memory and something may be missing.
 */
bool check_exactly(const struct invocation *invocation, const struct policy *policy,
                   struct diagnostic_list *diagnostics, struct expectation_result *result);

#endif
