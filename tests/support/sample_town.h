/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_SUPPORT_SAMPLE_TOWN_H
#define KIDO_TESTS_SUPPORT_SAMPLE_TOWN_H

#include "base/arena.h"
#include "policy/policy.h"

/* The sample of the examples as it stands in its file (tests/lab/town.h changes it); NULL when it cannot be read. */
char *sample_town_text(struct arena *arena);
const struct policy *sample_town(struct arena *arena);

#endif
