/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_RULES_BUILDER_H
#define KIDO_RULES_BUILDER_H

#include "base/address.h"
#include "base/arena.h"
#include "rules/ruleset.h"

/*
 * A ruleset that is being made. Sets and chains are drafts until they are sealed: then their elements are in order, and
 * those whose content cannot change in place get the hash of it behind their name. A failed allocation is remembered by
 * the arena; drafts are then thrown away by builder_finish(), and no function here needs a check.
 */
struct set_draft {
  struct set set;
  size_t capacity;
  bool fixed; /* a hash set or map that is exchanged as a whole when its content changes, like an interval set */
};

struct chain_draft {
  struct chain chain;
  size_t capacity;
};

struct builder {
  struct arena *arena;
  struct set_draft **sets;
  size_t set_count, set_capacity;
  struct chain_draft **chains;
  size_t chain_count, chain_capacity;
  struct counter *counters;
  size_t counter_count, counter_capacity;
  bool failed;
  struct set_draft lost_set; /* written to when memory ran out, never read */
  struct chain_draft lost_chain;
  struct element lost_element;
};

void builder_init(struct builder *builder, struct arena *arena);

/* A string of the policy as it may stand in an nft comment: no quotes, no control bytes, at most 120 bytes. */
const char *builder_comment(struct builder *builder, const char *text);

/* Never NULL. fields end with KEY_FIELD_COUNT_. */
struct set_draft *builder_set(struct builder *builder, const char *name, enum map_data data,
                              const enum field_type *fields);
/* A new element, zero but for its end; never NULL. */
struct element *builder_element(struct builder *builder, struct set_draft *draft);
/* Sorts the elements. Interval sets and fixed ones: the hash of the content becomes part of the name. Returns the name.
 */
const char *builder_seal_set(struct builder *builder, struct set_draft *draft);
/* Smallest declared room out of a coarse scale that holds `count` elements twice. */
uint32_t builder_room(size_t count);

/* Writes an address, port ... at the place of field `index` of the key; returns nothing that can fail. */
void key_write(const struct set *set, uint8_t key[static RULESET_DATA_MAX], size_t index, const void *bytes);

/* All ranges of one family of a set of addresses become elements. */
void builder_add_ranges(struct builder *builder, struct set_draft *draft, const struct address_set *addresses,
                        enum address_family family, const char *comment);

/* Never NULL. */
struct chain_draft *builder_chain(struct builder *builder, const char *name, const char *comment);
/* The hash of the rules becomes part of the name. Returns it. Base chains are not sealed. */
const char *builder_seal_chain(struct builder *builder, struct chain_draft *draft);

/* Makes the counter if it is not there yet, and returns its name. */
const char *builder_counter(struct builder *builder, const char *name);

/* NULL when memory ran out. */
struct ruleset *builder_finish(struct builder *builder);

#endif
