/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_SUPPORT_SAMPLE_RULESET_H
#define KIDO_TESTS_SUPPORT_SAMPLE_RULESET_H

#include "base/arena.h"
#include "rules/ruleset.h"

/*
 * A ruleset by hand with every shape of set and every kind of expression that the product uses, each rule with its text
 * for nft. It makes no sense as a policy. now: timeouts end after it. NULL: no memory.
 */
struct ruleset *sample_ruleset(struct arena *arena, struct instant now);

/* A table with one base chain that drops, and one hash set of `count` marks whose comments name them. */
struct ruleset *sample_large_ruleset(struct arena *arena, size_t count);

/* Adds an element with that key (key_size bytes, last NULL: the same) behind the others; sort with sample_sort(). The
 * set must have room in its array. */
struct element *sample_element(struct set *set, const void *first, const void *last);
void sample_sort(struct set *set);

/* The set by name; it must be there. Not const: tests change it. */
struct set *sample_find_set(struct ruleset *ruleset, const char *name);
struct chain *sample_find_chain(struct ruleset *ruleset, const char *name);

#endif
