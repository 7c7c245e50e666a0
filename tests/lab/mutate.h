/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_LAB_MUTATE_H
#define KIDO_TESTS_LAB_MUTATE_H

#include "base/arena.h"
#include "dice.h"
#include "rules/ruleset.h"

/*
 * Single changes to a ruleset, as a slip of the compiler, a fault of memory or somebody with `nft` would make them.
 * Each operator changes one place that the dice choose.
 */
struct mutation {
  struct dice *dice;
  struct arena *arena;
  struct ruleset *ruleset; /* a copy that may be changed, see mutation_begin() */
  char what[256];          /* where and what: "chain 'forward' rule 3: drop becomes accept" */
};

struct mutation_operator {
  const char *name;
  bool (*apply)(struct mutation *mutation); /* false: nothing here that it could change */
  bool never_equal;                         /* whatever the policy, it changes what becomes of some packet */
};

extern const struct mutation_operator mutation_operators[];
extern const size_t mutation_operator_count;

/* A copy of the ruleset of which every part may be changed; NULL without memory. */
struct ruleset *mutation_copy(const struct ruleset *ruleset, struct arena *arena);

#endif
