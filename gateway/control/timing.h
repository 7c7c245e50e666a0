/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_TIMING_H
#define KIDO_CONTROL_TIMING_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/instant.h"
#include "policy/policy.h"
#include "policy/restrictions.h"
#include "rules/ruleset.h"

/*
 * What of a compiled ruleset stays as it is while time goes by, and what time changes of it: elements of the sets of
 * flows in force, and nothing else. As long as a timing fits, the ruleset of another instant is the same one with those
 * elements put right, without compiling.
 */
struct timing;

/* What a ruleset is compiled from. */
struct timing_source {
  const struct policy *policy;
  const struct restrictions *restrictions; /* NULL: none */
  const struct address_set *own;           /* the gateway's addresses; NULL: none */
  struct instant now;
};

/* Of a ruleset that was compiled from the source just now. Needs neither afterwards. Returns 0 or -ENOMEM, or -EINVAL
 * when the ruleset is not as this file takes it to be. */
int timing_new(const struct timing_source *source, const struct ruleset *ruleset, struct timing **ret_timing);
struct timing *timing_free(struct timing *timing); /* NULL is allowed; returns NULL */

/* Whether the ruleset for that source has this timing. */
bool timing_fits(struct timing *timing, const struct timing_source *source);

/* The ruleset for a source that fits, made from the one that was accepted last, whose parts it shares. Returns 0 or
 * -ENOMEM. */
int timing_ruleset(struct timing *timing, const struct timing_source *source, const struct ruleset *from,
                   struct arena *arena, const struct ruleset **ret_ruleset);
/* That ruleset stands now. The one that a timing was made of is accepted. */
void timing_accept(struct timing *timing, const struct timing_source *source);

#endif
