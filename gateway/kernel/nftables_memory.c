/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/nftables_parts.h"

/*
 * The ruleset that the kernel was last proven to hold, in memory, so that a change costs what it changes. It lives in
 * one arena: what a change touches is copied anew, the old copy stays behind, and when those have grown to as much as
 * the whole, all of it is copied into a fresh one.
 */
enum {
  CLOCK_TOLERANCE = 500,         /* milliseconds */
  GARBAGE_ALLOWED = 1024 * 1024, /* bytes, beside as much as the whole */
};

/* ---- what has ended ---- */

static bool element_ended(const struct element *element, int64_t now) {
  return element->expires.seconds <= now / 1000;
}

static int copy_living_elements(const struct set *from, int64_t now, struct arena *arena, struct set *set) {
  set->elements = ARENA_ARRAY(arena, from->element_count, struct element);
  if (set->elements == NULL) {
    return -ENOMEM;
  }
  set->element_count = 0;
  set->sealed = false;
  for (size_t i = 0; i < from->element_count; i++) {
    if (!element_ended(&from->elements[i], now)) {
      set->elements[set->element_count++] = from->elements[i];
    }
  }
  return 0;
}

static bool any_ended(const struct set *set, int64_t now) {
  for (size_t i = 0; set->timeouts && i < set->element_count; i++) {
    if (element_ended(&set->elements[i], now)) {
      return true;
    }
  }
  return false;
}

static bool shared(const struct ruleset *from, const struct ruleset *living, size_t set) {
  return living != NULL && set < living->set_count && living->sets[set].elements == from->sets[set].elements;
}

int ruleset_living(const struct ruleset *from, const struct ruleset *known, int64_t now, struct arena *arena,
                   const struct ruleset **ret_ruleset) {
  struct ruleset *copy = NULL;
  for (size_t i = 0; i < from->set_count; i++) {
    if (shared(from, known, i) || !any_ended(&from->sets[i], now)) {
      continue;
    }
    if (copy == NULL) {
      copy = arena_memdup(arena, from, sizeof(*from));
      struct set *sets = arena_memdup(arena, from->sets, from->set_count * sizeof(*from->sets));
      if (copy == NULL || sets == NULL) {
        return -ENOMEM;
      }
      copy->sets = sets;
    }
    if (copy_living_elements(&from->sets[i], now, arena, &copy->sets[i]) < 0) {
      return -ENOMEM;
    }
  }
  *ret_ruleset = copy != NULL ? copy : from;
  return 0;
}

/* The first end of an element, in seconds. touched: sets to look at; NULL: all. */
static int64_t first_end_of(const struct ruleset *ruleset, const bool *touched) {
  int64_t first = INT64_MAX;
  for (size_t i = 0; i < ruleset->set_count; i++) {
    const struct set *set = &ruleset->sets[i];
    for (size_t j = 0; set->timeouts && (touched == NULL || touched[i]) && j < set->element_count; j++) {
      if (set->elements[j].expires.seconds < first) {
        first = set->elements[j].expires.seconds;
      }
    }
  }
  return first;
}

/* ---- taking and forgetting ---- */

void memory_free(struct memory *memory) {
  arena_free(memory->arena);
  *memory = (struct memory){0};
}

int64_t memory_clock(int64_t now) {
  return now - clock_milliseconds(CLOCK_MONOTONIC);
}

bool memory_keeps_time(const struct memory *memory, int64_t now) {
  int64_t apart = memory_clock(now) - memory->clock;
  return apart <= CLOCK_TOLERANCE && apart >= -CLOCK_TOLERANCE;
}

/* What the delta touched, by index in the ruleset; all of it without a delta. */
struct touched {
  bool *sets, *chains, *counters;
};

static void mark_touched(struct touched *touched, const struct ruleset *ruleset, const struct operation *operation) {
  const struct set *set = operation->set != NULL ? ruleset_find_set(ruleset, operation->set->name) : NULL;
  const struct chain *chain = operation->chain != NULL ? ruleset_find_chain(ruleset, operation->chain->name) : NULL;
  const struct counter *counter =
      operation->counter != NULL ? ruleset_find_counter(ruleset, operation->counter->name) : NULL;
  if (set != NULL) {
    touched->sets[set - ruleset->sets] = true;
  }
  if (chain != NULL) {
    touched->chains[chain - ruleset->chains] = true;
  }
  if (counter != NULL) {
    touched->counters[counter - ruleset->counters] = true;
  }
}

static int find_touched(const struct delta *delta, const struct ruleset *ruleset, struct arena *arena,
                        struct touched *ret_touched) {
  ret_touched->sets = ARENA_ARRAY(arena, ruleset->set_count + 1, bool);
  ret_touched->chains = ARENA_ARRAY(arena, ruleset->chain_count + 1, bool);
  ret_touched->counters = ARENA_ARRAY(arena, ruleset->counter_count + 1, bool);
  if (arena_failed(arena)) {
    return -ENOMEM;
  }
  for (unsigned phase = 0; phase < PHASE_COUNT_; phase++) {
    for (size_t i = 0; i < delta->phases[phase].count; i++) {
      mark_touched(ret_touched, ruleset, &delta->phases[phase].items[i]);
    }
  }
  return 0;
}

/* old: what was not touched is taken from there; NULL: everything is copied. */
static int copy_parts(const struct ruleset *from, const struct ruleset *old, const struct touched *touched,
                      struct arena *arena, struct ruleset *copy) {
  for (size_t i = 0; i < from->set_count; i++) {
    const struct set *set = old != NULL && !touched->sets[i] ? ruleset_find_set(old, from->sets[i].name) : NULL;
    if (set != NULL) {
      copy->sets[i] = *set;
    } else if (set_copy(&from->sets[i], arena, &copy->sets[i]) < 0) {
      return -ENOMEM;
    }
  }
  for (size_t i = 0; i < from->chain_count; i++) {
    const struct chain *chain =
        old != NULL && !touched->chains[i] ? ruleset_find_chain(old, from->chains[i].name) : NULL;
    if (chain != NULL) {
      copy->chains[i] = *chain;
    } else if (chain_copy(&from->chains[i], arena, &copy->chains[i]) < 0) {
      return -ENOMEM;
    }
  }
  for (size_t i = 0; i < from->counter_count; i++) {
    const struct counter *counter =
        old != NULL && !touched->counters[i] ? ruleset_find_counter(old, from->counters[i].name) : NULL;
    if (counter != NULL) {
      copy->counters[i] = *counter;
    } else if (counter_copy(&from->counters[i], arena, &copy->counters[i]) < 0) {
      return -ENOMEM;
    }
  }
  return 0;
}

static struct ruleset *copy_ruleset(const struct ruleset *from, const struct ruleset *old,
                                    const struct touched *touched, struct arena *arena) {
  struct ruleset *copy = arena_memdup(arena, from, sizeof(*from));
  if (copy == NULL) {
    return NULL;
  }
  copy->table = arena_strdup(arena, from->table);
  copy->sets = ARENA_ARRAY(arena, from->set_count, struct set);
  copy->chains = ARENA_ARRAY(arena, from->chain_count, struct chain);
  copy->counters = ARENA_ARRAY(arena, from->counter_count, struct counter);
  if (arena_failed(arena) || copy_parts(from, old, touched, arena, copy) < 0) {
    return NULL;
  }
  return copy;
}

int memory_take(struct memory *memory, const struct ruleset *ruleset, uint32_t generation, int64_t now) {
  struct arena *arena = arena_new(0);
  struct arena *scratch = arena_new(0);
  const struct ruleset *living = NULL;
  struct ruleset *copy = NULL;
  if (arena != NULL && scratch != NULL && ruleset_living(ruleset, NULL, now, scratch, &living) == 0) {
    copy = copy_ruleset(living, NULL, NULL, arena);
  }
  arena_free(scratch);
  if (copy == NULL) {
    arena_free(arena);
    memory->proven = false;
    return -ENOMEM;
  }
  memory_free(memory);
  *memory = (struct memory){.arena = arena,
                            .proven = true,
                            .ruleset = copy,
                            .generation = generation,
                            .clock = memory_clock(now),
                            .first_end = first_end_of(copy, NULL),
                            .compact = arena_used(arena)};
  return 0;
}

int memory_update(struct memory *memory, const struct delta *delta, const struct ruleset *ruleset, uint32_t generation,
                  int64_t now) {
  if (arena_used(memory->arena) > memory->compact * 2 + GARBAGE_ALLOWED) {
    return memory_take(memory, ruleset, generation, now);
  }
  struct touched touched;
  struct ruleset *copy = NULL;
  if (find_touched(delta, ruleset, memory->arena, &touched) == 0) {
    copy = copy_ruleset(ruleset, memory->ruleset, &touched, memory->arena);
  }
  if (copy == NULL) {
    memory->proven = false;
    return -ENOMEM;
  }
  memory->ruleset = copy;
  memory->generation = generation;
  int64_t first_end = first_end_of(copy, touched.sets);
  memory->first_end = first_end < memory->first_end ? first_end : memory->first_end;
  return 0;
}

int memory_leave_out_ended(struct memory *memory, int64_t now) {
  const struct ruleset *living = NULL;
  if (memory->first_end > now / 1000) {
    return 0;
  }
  if (ruleset_living(memory->ruleset, NULL, now, memory->arena, &living) < 0) {
    memory->proven = false;
    return -ENOMEM;
  }
  memory->ruleset = living;
  memory->first_end = first_end_of(living, NULL);
  return 0;
}
