/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_EXACT_PARTS_H
#define KIDO_PROOF_EXACT_PARTS_H

#include "proof/authorised.h"
#include "proof/exact.h"

/* What the files of exact share. Nothing outside of them includes this. */

enum { EXACT_BUDGET = 1 << 25 }; /* nodes of one question */

/* One policy, or two in one space so that their sets can be compared. */
struct desk {
  struct arena *arena; /* of the answer */
  struct arena *scratch;
  struct space *space;
  struct diagram_store *store;
  diagram macs;       /* all to which a policy pins somebody, by FIELD_SOURCE_MAC; FALSE: none */
  struct mac strange; /* a MAC that is none of these */
  bool failed;        /* a set could not be drawn */
};

int desk_open(struct desk *desk, struct arena *arena); /* 0 or -ENOMEM; close it in any case */
void desk_close(struct desk *desk);
/* Its pinned MACs are known from now on. */
int desk_add_policy(struct desk *desk, const struct policy *policy);
bool desk_overdrawn(const struct desk *desk); /* the budget or memory is spent: no set can be trusted */
/* Notes a set that could not be drawn. */
diagram desk_trust(struct desk *desk, diagram set);

/* The situation of an opener between two zones. */
struct situation desk_situation(const struct zone_pair *pair, enum address_family family);
/* What passes from zone to zone, of ordinary openers: readable, without options, TCP with a SYN; neighbour discovery
 * left out. Over protocol, addresses, ports, ICMP type and MAC alone. */
diagram desk_ordinary(struct desk *desk, diagram set);
diagram desk_passes(struct desk *desk, struct authorised *authorised, const struct zone_pair *pair,
                    enum address_family family);

/* ---- exact_time.c ---- */

/* Whenever the inner flow is in force the outer one is. */
bool desk_outlasts(const struct flow *outer, const struct flow *inner);
/* Numbers for "when does a packet pass that these flows cover, and within which limit": the same for the same times,
 * from `now` on. timezone: of the policy, which its hours are in. */
struct time_words;
struct time_words *time_words_new(struct arena *arena, struct instant now); /* NULL: no memory */
uint32_t time_words_number(struct time_words *words, struct flow_list list, const char *timezone);
bool time_words_failed(const struct time_words *words);

/* ---- boxes ---- */

/* A growing list of boxes. */
struct box_list {
  struct exact_box *boxes;
  size_t count, capacity;
  bool more; /* there are more than EXACT_BOX_LIMIT */
};

/* Boxes that make up the set (out of desk_passes()), each with the flow that allows it. */
int desk_list_boxes(struct desk *desk, struct authorised *authorised, const struct policy *policy,
                    const struct zone_pair *pair, enum address_family family, diagram set, struct box_list *list);

#endif
