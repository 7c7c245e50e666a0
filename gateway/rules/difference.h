/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_RULES_DIFFERENCE_H
#define KIDO_RULES_DIFFERENCE_H

#include "base/arena.h"
#include "rules/ruleset.h"

/*
 * What must be sent to turn one ruleset into another without a gap: three transactions. The first adds what is new
 * beside what is old, the second swaps what decides (base-chain rules, verdict-map elements, map data), the third
 * removes what nobody uses any more. On the way every packet meets the old meaning, the new one, or what both allow.
 */
enum operation_kind {
  OPERATION_ADD_TABLE,
  OPERATION_DELETE_TABLE,
  OPERATION_ADD_COUNTER,
  OPERATION_DELETE_COUNTER,
  OPERATION_ADD_SET, /* without elements */
  OPERATION_DELETE_SET,
  OPERATION_ADD_ELEMENTS,
  OPERATION_DELETE_ELEMENTS,
  OPERATION_ADD_CHAIN, /* without rules */
  OPERATION_DELETE_CHAIN,
  OPERATION_ADD_RULE,    /* at the end of its chain */
  OPERATION_FLUSH_CHAIN, /* all rules of the chain */
};

enum phase { PHASE_ADD, PHASE_SWAP, PHASE_REMOVE, PHASE_COUNT_ };

struct operation {
  enum operation_kind kind;
  const struct set *set;                 /* *_SET, *_ELEMENTS */
  const struct element *const *elements; /* *_ELEMENTS */
  size_t element_count;
  const struct chain *chain;     /* *_CHAIN, ADD_RULE, FLUSH_CHAIN */
  const struct rule *rule;       /* ADD_RULE */
  const struct counter *counter; /* *_COUNTER */
};

struct phase_operations {
  struct operation *items;
  size_t count;
  size_t capacity;
};

/* An element that takes the place of another with the same key, and goes on with its counter. */
struct carried_counter {
  const struct set *set;
  struct element *element; /* in the delta: its counter may still be brought up to date */
};

struct delta {
  const char *table;
  struct carried_counter *carried;
  size_t carried_count;
  struct phase_operations phases[PHASE_COUNT_];
};

bool delta_starts_anew(const struct delta *delta); /* the table is made as a whole */

/* from may have `present` false: then everything is one first transaction (PHASE_ADD). The inputs must outlive the
 * delta. Returns 0 or -ENOMEM. An empty delta (delta_empty) means: equal. */
int ruleset_difference(const struct ruleset *from, const struct ruleset *to, struct arena *arena,
                       struct delta **ret_delta);
bool delta_empty(const struct delta *delta);
size_t delta_count(const struct delta *delta);

#endif
