/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_SUPPORT_LIVE_DUMP_H
#define KIDO_TESTS_SUPPORT_LIVE_DUMP_H

#include <stdio.h>

#include "base/arena.h"
#include "proof/live.h"

/* Prints every member of every node that is not zero, one node a line, for comparing with a file. Expirations are told
 * as there or not, as they run. */
void live_dump(FILE *stream, const struct live_ruleset *ruleset, struct arena *arena);

#endif
