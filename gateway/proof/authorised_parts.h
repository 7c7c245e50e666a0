/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_AUTHORISED_PARTS_H
#define KIDO_PROOF_AUTHORISED_PARTS_H

#include "policy/decide.h"
#include "proof/authorised.h"

/* What the files of authorised share. Nothing outside of them includes this. */

enum { FAMILIES = 2 };

/* What the flows between two zones, whichever opens, have to do with the guard. */
struct join {
  bool joined;
  uint16_t tunnels; /* bit i: one of them names the tunnel i of authorised_guard.c */
};

/* Drawn when first asked for. */
struct drawing {
  bool made;
  diagram set;
};

/* For the guard every way to another zone is the same, since it stands before routing. */
enum guard_way { WAY_TO_A_ZONE, WAY_TO_THE_GATEWAY, WAY_TO_NO_ZONE, GUARD_WAYS };

/* One zone as the contract describes it, worked out from its keys. */
struct zone_meaning {
  struct address_set local;   /* networks and remote */
  struct address_set claims;  /* every address that belongs to it */
  struct address_set gateway; /* addresses that the gateway may bear in it */
  struct address_set broadcasts;
  struct drawing claimed[FIELD_SOURCE + 1][FAMILIES]; /* by field: destination, source */
  struct drawing mismatched[FAMILIES];
  struct drawing guards[GUARD_WAYS][FAMILIES]; /* of what comes in from it */
};

/* Flows of one ordered pair of zones, in the order of the file. */
struct pair_flows {
  zone_index from, to;
  const struct flow **flows;
  size_t count;
};

/* A set of flows is a number: see authorised_lists.c. */
struct flow_lists;
struct flow_lists *flow_lists_new(const struct policy *policy, struct arena *arena); /* NULL: no memory */
uint32_t flow_lists_single(const struct flow *flow);
/* For diagram_combine(); context is the lists. */
uint32_t flow_lists_join(void *context, uint32_t left, uint32_t right);
struct flow_list flow_lists_members(struct flow_lists *lists, uint32_t list);
bool flow_lists_failed(const struct flow_lists *lists);

/* A set of flows in a diagram over a tuple, kept for the next question. */
struct opener_drawing {
  struct zone_pair pair;
  enum address_family family;
  unsigned layout;
  bool in_force;
  diagram openers;
  struct opener_drawing *next;
  diagram care; /* what is true of every packet, as far as classes are concerned */
};

struct authorised {
  struct authorised_question question;
  const struct policy *policy;
  struct space *space;
  struct diagram_store *store;
  struct arena *arena;
  struct zone_meaning *zones;
  struct address_set special_sources, special_destinations;
  struct address_set broadcasts; /* of all attached networks */
  struct pair_flows *pairs;      /* sorted */
  size_t pair_count;
  struct join *joins; /* (zone_count + 1) squared; the last is the gateway */
  bool *in_force;     /* by index of the flow */
  struct flow_lists *lists;
  unsigned join_operation;
  struct opener_drawing *drawings;
  struct drawing possible[PATH_OUTPUT + 1][FAMILIES][TRACKING_COUNT_];
  struct classes *classes; /* NULL: not used */
  diagram care;            /* of what is being drawn */
  bool failed;             /* no memory: every answer is DIAGRAM_NONE */
};

bool authorised_is_zone(const struct authorised *authorised, zone_index zone);
unsigned authorised_family_index(enum address_family family); /* 0 or 1 */

/* ---- sets of packets by one field ---- */

diagram authorised_number(struct authorised *authorised, enum space_field field, uint64_t first, uint64_t last);
diagram authorised_flag(struct authorised *authorised, enum space_field field);
/* Of FIELD_VERSION_LENGTH, FIELD_TCP_FLAGS, ... : those whose bits under the mask have this value. */
diagram authorised_bits(struct authorised *authorised, enum space_field field, uint64_t mask, uint64_t value);
/* Values of the upper eight bits of a field of 16: the ICMP type. */
diagram authorised_type(struct authorised *authorised, uint8_t first, uint8_t last);
/* Readable ICMP of the family with a type in this range. */
diagram authorised_icmp(struct authorised *authorised, enum address_family family, uint8_t first, uint8_t last);
diagram authorised_addresses(struct authorised *authorised, enum space_field field, enum address_family family,
                             const struct address_set *set);
diagram authorised_one_address(struct authorised *authorised, enum space_field field, enum address_family family,
                               const struct address *address);

/* ---- authorised_addresses.c: whose address it is ---- */

int authorised_learn_addresses(struct authorised *authorised); /* 0 or -ENOMEM */
diagram authorised_claims(struct authorised *authorised, zone_index zone, enum space_field field,
                          enum address_family family);
diagram authorised_claimed_by_any(struct authorised *authorised, enum space_field field, enum address_family family);
/* Sources pinned in the zone, from another MAC. */
diagram authorised_mismatched(struct authorised *authorised, zone_index zone, enum address_family family);
diagram authorised_own(struct authorised *authorised, enum space_field field, enum address_family family);

/* ---- authorised_flows.c ---- */

int authorised_learn_flows(struct authorised *authorised);
struct join authorised_join(const struct authorised *authorised, zone_index left, zone_index right);

/* ---- authorised_classes.c ---- */

/* One end of a connection in a layout: which addresses its zone claims (NULL: not known), their drawing there, and
 * where the address stands in a box. */
struct class_end {
  const struct address_set *claims;
  diagram claimed;
  size_t offset;
};

/* The boxes of one drawing. */
struct class_draft {
  enum address_family family;
  const struct diagram_field *fields; /* of the boxes */
  size_t field_count, protocol_offset;
  struct class_end ends[2];
};

/* Draws those boxes that classes make up, and leaves the others: *count, compacted. authorised->care is narrowed. */
diagram authorised_draw_classes(struct authorised *authorised, const struct class_draft *draft,
                                struct diagram_box *boxes, size_t *count);

/* ---- authorised_guard.c ---- */

/* The tunnels of the guard table that a flow names by one of its services, as bits. */
uint16_t authorised_tunnels_of(const struct flow *flow);
/* Packets that are for the gateway: decided by the way out, or by the address where that is not known. */
diagram authorised_for_gateway(struct authorised *authorised, const struct zone_pair *pair, enum address_family family);

#endif
