/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rules/difference.h"

#include <errno.h>
#include <string.h>

/*
 * Theory of operation.
 *
 * Sets and chains whose content cannot change in place carry its hash in their names, so a changed one is a new one
 * beside the old. What is new therefore goes in first and touches nothing that is in use (PHASE_ADD). Then, in one
 * transaction, the few things change by which packets find their way: elements of maps, and rules of chains that
 * somebody else has changed (PHASE_SWAP). Now nothing leads to what is old, and it goes (PHASE_REMOVE); with it go the
 * marks of flows that are no longer in force, which is the moment of revocation.
 *
 *                                 new            changed           gone
 *   counters, sets, chains        ADD            (see below)       REMOVE
 *   elements of plain hash sets   ADD            SWAP              REMOVE
 *   elements of hash maps         SWAP           SWAP              REMOVE
 *   elements of interval sets     SWAP           SWAP              SWAP      (nobody but a stranger changes these)
 *   rules of a chain that stays   SWAP: all of its rules are taken out and put in again
 *
 * A set, chain or counter that has the same name and other properties, a table that sleeps, and objects of kinds that
 * we do not know leave one way: the table is deleted and made anew, in one transaction.
 */
struct planner {
  const struct ruleset *from, *to;
  struct arena *arena;
  struct delta *delta;
  size_t carried_capacity;
  int status;
};

static void add(struct planner *planner, enum phase phase, struct operation operation) {
  struct phase_operations *operations = &planner->delta->phases[phase];
  if (arena_grow(planner->arena, (void **)&operations->items, operations->count, &operations->capacity,
                 sizeof *operations->items) < 0)
    planner->status = -ENOMEM;
  else
    operations->items[operations->count++] = operation;
}

/* ---- lists of elements ---- */

struct element_list {
  const struct element **items;
  size_t count, capacity;
};

static void append(struct planner *planner, struct element_list *list, const struct element *element) {
  if (element == NULL || arena_grow(planner->arena, (void **)&list->items, list->count, &list->capacity,
                                    sizeof(const struct element *)) < 0)
    planner->status = -ENOMEM;
  else
    list->items[list->count++] = element;
}

static void add_elements(struct planner *planner, enum phase phase, enum operation_kind kind, const struct set *set,
                         const struct element_list *list) {
  if (list->count > 0)
    add(planner, phase,
        (struct operation){.kind = kind, .set = set, .elements = list->items, .element_count = list->count});
}

static void add_all_elements(struct planner *planner, const struct set *set) {
  struct element_list list = {0};
  for (size_t i = 0; i < set->element_count; i++)
    append(planner, &list, &set->elements[i]);
  add_elements(planner, PHASE_ADD, OPERATION_ADD_ELEMENTS, set, &list);
}

/* ---- what is new ---- */

static bool is_new_set(const struct planner *planner, const struct set *set) {
  return !planner->from->present || ruleset_find_set(planner->from, set->name) == NULL;
}

static bool is_new_chain(const struct planner *planner, const struct chain *chain) {
  return !planner->from->present || ruleset_find_chain(planner->from, chain->name) == NULL;
}

static void add_new_counters(struct planner *planner) {
  for (size_t i = 0; i < planner->to->counter_count; i++) {
    const struct counter *counter = &planner->to->counters[i];
    if (!planner->from->present || ruleset_find_counter(planner->from, counter->name) == NULL)
      add(planner, PHASE_ADD, (struct operation){.kind = OPERATION_ADD_COUNTER, .counter = counter});
  }
}

static void add_new_sets(struct planner *planner) {
  for (size_t i = 0; i < planner->to->set_count; i++)
    if (is_new_set(planner, &planner->to->sets[i]))
      add(planner, PHASE_ADD, (struct operation){.kind = OPERATION_ADD_SET, .set = &planner->to->sets[i]});
}

/* Verdicts name chains: those must be there by then. */
static void add_new_elements(struct planner *planner, bool verdicts) {
  for (size_t i = 0; i < planner->to->set_count; i++) {
    const struct set *set = &planner->to->sets[i];
    if (is_new_set(planner, set) && (set->data == MAP_VERDICT) == verdicts)
      add_all_elements(planner, set);
  }
}

static void add_new_chains(struct planner *planner) {
  for (size_t i = 0; i < planner->to->chain_count; i++)
    if (is_new_chain(planner, &planner->to->chains[i]))
      add(planner, PHASE_ADD, (struct operation){.kind = OPERATION_ADD_CHAIN, .chain = &planner->to->chains[i]});
}

static void add_rules(struct planner *planner, enum phase phase, const struct chain *chain) {
  for (size_t i = 0; i < chain->rule_count; i++)
    add(planner, phase, (struct operation){.kind = OPERATION_ADD_RULE, .chain = chain, .rule = &chain->rules[i]});
}

/* Base chains come last, so that what they lead to is whole. */
static void add_new_rules(struct planner *planner, bool base) {
  for (size_t i = 0; i < planner->to->chain_count; i++) {
    const struct chain *chain = &planner->to->chains[i];
    if (is_new_chain(planner, chain) && (chain->hook != HOOK_NONE) == base)
      add_rules(planner, PHASE_ADD, chain);
  }
}

static void add_new(struct planner *planner) {
  add_new_counters(planner);
  add_new_sets(planner);
  add_new_elements(planner, false);
  add_new_chains(planner);
  add_new_elements(planner, true);
  add_new_rules(planner, false);
  add_new_rules(planner, true);
}

/* ---- what stays, with changes ---- */

struct set_changes {
  struct element_list added, outdated, updated, gone;
};

/* The new element with the old one's counter, which must survive. */
static const struct element *carry_counter(struct planner *planner, const struct set *set, const struct element *old,
                                           const struct element *element) {
  struct delta *delta = planner->delta;
  struct element *copy = arena_memdup(planner->arena, element, sizeof *element);
  if (copy == NULL || !set->counters)
    return copy;
  copy->packets = old->packets;
  copy->bytes = old->bytes;
  if (arena_grow(planner->arena, (void **)&delta->carried, delta->carried_count, &planner->carried_capacity,
                 sizeof *delta->carried) < 0)
    return NULL;
  delta->carried[delta->carried_count++] = (struct carried_counter){.set = set, .element = copy};
  return copy;
}

static void compare_elements(struct planner *planner, const struct set *old, const struct set *set,
                             struct set_changes *changes) {
  size_t i = 0, j = 0;
  while (i < old->element_count || j < set->element_count) {
    int order = i == old->element_count   ? 1
                : j == set->element_count ? -1
                                          : element_compare_keys(set, &old->elements[i], &set->elements[j]);
    if (order < 0) {
      append(planner, &changes->gone, &old->elements[i++]);
    } else if (order > 0) {
      append(planner, &changes->added, &set->elements[j++]);
    } else {
      if (!element_equal(set, &old->elements[i], &set->elements[j], RULESET_END_TOLERANCE)) {
        append(planner, &changes->outdated, &old->elements[i]);
        append(planner, &changes->updated, carry_counter(planner, set, &old->elements[i], &set->elements[j]));
      }
      i++;
      j++;
    }
  }
}

static void change_sets(struct planner *planner) {
  for (size_t i = 0; i < planner->to->set_count; i++) {
    const struct set *set = &planner->to->sets[i], *old = ruleset_find_set(planner->from, set->name);
    if (old == NULL || set_surely_same(old, set))
      continue;
    struct set_changes changes = {0};
    compare_elements(planner, old, set, &changes);
    bool plain = set->data == MAP_NONE && !set->interval;
    add_elements(planner, set->interval ? PHASE_SWAP : PHASE_REMOVE, OPERATION_DELETE_ELEMENTS, set, &changes.gone);
    add_elements(planner, PHASE_SWAP, OPERATION_DELETE_ELEMENTS, set, &changes.outdated);
    add_elements(planner, PHASE_SWAP, OPERATION_ADD_ELEMENTS, set, &changes.updated);
    add_elements(planner, plain ? PHASE_ADD : PHASE_SWAP, OPERATION_ADD_ELEMENTS, set, &changes.added);
  }
}

static bool rules_equal(const struct chain *left, const struct chain *right) {
  if (left->rule_count != right->rule_count)
    return false;
  for (size_t i = 0; i < left->rule_count; i++)
    if (!rule_equal(&left->rules[i], &right->rules[i]))
      return false;
  return true;
}

static void change_chains(struct planner *planner) {
  for (size_t i = 0; i < planner->to->chain_count; i++) {
    const struct chain *chain = &planner->to->chains[i], *old = ruleset_find_chain(planner->from, chain->name);
    if (old == NULL || chain_surely_same(old, chain) || rules_equal(old, chain))
      continue;
    add(planner, PHASE_SWAP, (struct operation){.kind = OPERATION_FLUSH_CHAIN, .chain = chain});
    add_rules(planner, PHASE_SWAP, chain);
  }
}

/* ---- what goes ---- */

static void remove_chains(struct planner *planner, enum operation_kind kind) {
  for (size_t i = 0; i < planner->from->chain_count; i++) {
    const struct chain *chain = &planner->from->chains[i];
    if (ruleset_find_chain(planner->to, chain->name) == NULL &&
        (kind == OPERATION_DELETE_CHAIN || chain->rule_count > 0))
      add(planner, PHASE_REMOVE, (struct operation){.kind = kind, .chain = chain});
  }
}

/* Rules hold sets, chains and counters; maps hold chains. */
static void remove_old(struct planner *planner) {
  remove_chains(planner, OPERATION_FLUSH_CHAIN);
  for (size_t i = 0; i < planner->from->set_count; i++)
    if (ruleset_find_set(planner->to, planner->from->sets[i].name) == NULL)
      add(planner, PHASE_REMOVE, (struct operation){.kind = OPERATION_DELETE_SET, .set = &planner->from->sets[i]});
  remove_chains(planner, OPERATION_DELETE_CHAIN);
  for (size_t i = 0; i < planner->from->counter_count; i++)
    if (ruleset_find_counter(planner->to, planner->from->counters[i].name) == NULL)
      add(planner, PHASE_REMOVE,
          (struct operation){.kind = OPERATION_DELETE_COUNTER, .counter = &planner->from->counters[i]});
}

/* ---- the whole ---- */

static bool counters_fit(const struct ruleset *from, const struct ruleset *to) {
  for (size_t i = 0; i < to->counter_count; i++) {
    const struct counter *old = ruleset_find_counter(from, to->counters[i].name);
    const char *comment = to->counters[i].comment == NULL ? "" : to->counters[i].comment;
    if (old != NULL && strcmp(old->comment == NULL ? "" : old->comment, comment) != 0)
      return false;
  }
  return true;
}

/* False when something has to change that the kernel cannot change in place. */
static bool can_change_in_place(const struct ruleset *from, const struct ruleset *to) {
  if (from->dormant || from->foreign_count > 0 || !counters_fit(from, to))
    return false;
  for (size_t i = 0; i < to->set_count; i++) {
    const struct set *old = ruleset_find_set(from, to->sets[i].name);
    if (old != NULL && !set_properties_equal(old, &to->sets[i]))
      return false;
  }
  for (size_t i = 0; i < to->chain_count; i++) {
    const struct chain *old = ruleset_find_chain(from, to->chains[i].name);
    if (old != NULL && !chain_properties_equal(old, &to->chains[i]))
      return false;
  }
  return true;
}

static void start_anew(struct planner *planner) {
  static const struct ruleset nothing = {.table = "", .present = false};
  if (planner->from->present)
    add(planner, PHASE_ADD, (struct operation){.kind = OPERATION_DELETE_TABLE});
  add(planner, PHASE_ADD, (struct operation){.kind = OPERATION_ADD_TABLE});
  planner->from = &nothing;
  add_new(planner);
}

int ruleset_difference(const struct ruleset *from, const struct ruleset *to, struct arena *arena,
                       struct delta **ret_delta) {
  struct planner planner = {.from = from, .to = to, .arena = arena, .delta = ARENA_NEW(arena, struct delta)};
  if (planner.delta == NULL)
    return -ENOMEM;
  planner.delta->table = to->table;
  if (from->present && can_change_in_place(from, to)) {
    add_new(&planner);
    change_chains(&planner);
    change_sets(&planner);
    remove_old(&planner);
  } else {
    start_anew(&planner);
  }
  if (planner.status == 0)
    *ret_delta = planner.delta;
  return planner.status;
}

size_t delta_count(const struct delta *delta) {
  size_t count = 0;
  for (enum phase phase = PHASE_ADD; phase < PHASE_COUNT_; phase++)
    count += delta->phases[phase].count;
  return count;
}

bool delta_starts_anew(const struct delta *delta) {
  const struct phase_operations *first = &delta->phases[PHASE_ADD];
  return first->count > 0 &&
         (first->items[0].kind == OPERATION_ADD_TABLE || first->items[0].kind == OPERATION_DELETE_TABLE);
}

bool delta_empty(const struct delta *delta) {
  return delta_count(delta) == 0;
}
