/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_BYPASS_PARTS_H
#define KIDO_PROOF_BYPASS_PARTS_H

#include "proof/bypass.h"

/* Parts that the files of bypass_find() share. */
struct search {
  const struct policy *policy;
  const struct live_ruleset *ruleset;
  const struct surroundings *surroundings; /* NULL: not looked at */
  struct arena *arena;
  struct wires *wires; /* NULL until search_for_wires() has run */
  struct bypass *items;
  size_t count, capacity;
};

/* One finding: what it is, and `found`, a clause in the policy's language. What to do about it is added by its kind.
 * `found` may be NULL for want of memory. 0 or -ENOMEM. */
int search_add(struct search *search, const struct bypass *finding, const char *found);

/* The text in the policy's language. */
const char *search_words(const struct search *search, const char *japanese, const char *english)
    __attribute__((format_arg(2), format_arg(3)));
const char *search_printf(const struct search *search, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- wires: which interfaces hear the same frames ---- */

/* Zone of the wire that an interface is on: its own, or that of a bridge, bond, cable or the like that joins it to
 * another. ZONE_NONE: none. */
zone_index search_zone_of(const struct search *search, const char *name);
zone_index search_zone_of_link(const struct search *search, const struct link *link);
const struct link *search_link(const struct search *search, unsigned index); /* NULL */
/* "left0 (zone 'left')" */
const char *search_describe(const struct search *search, const char *name);

/* ---- finders; 0 or -ENOMEM ---- */
int search_for_wires(struct search *search);
int search_for_strays(struct search *search);
int search_for_vrfs(struct search *search);
int search_for_tunnels(struct search *search);
int search_for_tuns(struct search *search);
int search_for_passages(struct search *search);
int search_for_programs(struct search *search);
int search_for_facts(struct search *search);
int search_for_table(struct search *search);
int search_for_rules(struct search *search);
int search_for_flowtables(struct search *search);
int search_for_bridge_tables(struct search *search);
int search_for_listeners(struct search *search);

#endif
