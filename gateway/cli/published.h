/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_PUBLISHED_H
#define KIDO_CLI_PUBLISHED_H

#include "cli/verb.h"
#include "policy/restrictions.h"

/*
 * What holds the policy back now, when kidod has this very policy in force and lets us hear it; else NULL: a file that
 * is not in force is judged as it stands. Never complains, and waits a second at most.
 */
const struct restrictions *published_restrictions(const struct invocation *invocation, const struct policy *policy);

#endif
