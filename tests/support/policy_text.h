/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_SUPPORT_POLICY_TEXT_H
#define KIDO_TESTS_SUPPORT_POLICY_TEXT_H

#include "base/arena.h"
#include "policy/policy.h"

/* A policy that must be free of errors; a time that must be one. The test fails else. */
const struct policy *policy_of_text(struct arena *arena, const char *text);
struct instant instant_of_text(const char *text);

#endif
