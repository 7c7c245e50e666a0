/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_LAB_LIVE_MUTATE_H
#define KIDO_TESTS_LAB_LIVE_MUTATE_H

#include "base/arena.h"
#include "dice.h"
#include "proof/live.h"

/*
 * Single changes to a ruleset as it was decoded, made in place: to one that no kernel is asked about, so that also
 * those are tried that this kernel would refuse. Each operator changes one place that the dice choose.
 */
struct live_mutation {
  struct dice *dice;
  struct arena *arena;
  struct live_table *table; /* that is changed; what it points to may be changed, too */
  char what[256];           /* where and what, for people */
};

struct live_operator {
  const char *name;
  bool (*apply)(struct live_mutation *mutation); /* false: nothing here that it could change */
};

extern const struct live_operator live_operators[];
extern const size_t live_operator_count;

#endif
