/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_RULESET_INPUT_H
#define KIDO_CLI_RULESET_INPUT_H

#include "base/arena.h"
#include "base/error.h"
#include "base/instant.h"
#include "proof/snapshot.h"

/*
 * --ruleset FILE ("-": standard input): a recording (kido-ruleset/1), which speaks of its own moment, or nft text,
 * which is loaded into a namespace of its own, now; `now` not NULL: at that moment.
 */
int ruleset_input_take(const char *path, const struct instant *now, struct arena *arena, struct snapshot *ret_snapshot,
                       struct error *error);

#endif
