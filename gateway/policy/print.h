/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_POLICY_PRINT_H
#define KIDO_POLICY_PRINT_H

#include <stddef.h>

#include "base/arena.h"
#include "policy/policy.h"

/* The canonical form: reading and printing it again gives the same bytes. NUL-terminated, in the arena; NULL when
 * there is no memory. Its SHA-256 is the policy's identity (policy->sha256). */
char *policy_print(const struct policy *policy, struct arena *arena, size_t *ret_length);

#endif
