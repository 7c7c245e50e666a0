/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_INDEX_PARTS_H
#define KIDO_WATCH_INDEX_PARTS_H

#include "watch/index.h"

/* Between index.c (answers) and index_build.c. */

/* Some items of one long array. */
struct span {
  uint32_t first, count;
};

/* One service of a flow, with all that most packets fail on: looked through in a row, without following pointers. */
struct candidate {
  uint32_t flow;
  int16_t from_zone, to_zone;
  uint16_t first, last; /* destination ports, or the ICMP type; 0 to 65535 where ports mean nothing */
  uint8_t protocol;
};

struct segment {
  zone_index zone;
  unsigned traits;
  struct span from, to; /* of index->candidates, in the order of the file */
  struct span pins;     /* of index->pins */
};

struct index_flow {
  const struct flow *flow;
  struct address_set from, to;
  enum force_state force;
};

struct mac_zone {
  struct mac mac;
  zone_index zone;
};

enum { FIRST_LEVEL = 65536 };

struct index {
  const struct policy *policy;
  const struct address_set *own;
  const struct restrictions *restrictions; /* NULL: none */

  /* Segment i of IPv4 begins at starts4[i]; of IPv6, segment count4 + i at starts6[i]. Both begin at zero. */
  uint32_t *starts4;
  uint32_t count4;
  uint32_t *first_level; /* by the upper 16 bits: the segment in which such a block begins; FIRST_LEVEL + 1 of them */
  struct address *starts6;
  uint32_t count6;
  struct segment *segments;

  struct candidate *candidates;
  const struct host **pins;
  struct candidate *wide_from, *wide_to; /* of flows with an end that covers very many segments */
  uint32_t wide_from_count, wide_to_count;
  struct index_flow *flows;
  size_t flow_count;

  uint8_t
      *joined;  /* zone pair: 1 when a flow of the policy opens from the first to the second; zones + 1, gateway last */
  bool *cut;    /* zone pair: cut from each other; zones + 2, the gateway and no zone last */
  bool *within; /* by zone: its packets may pass between its interfaces now */
  struct mac_zone *macs; /* sorted by MAC */
  size_t mac_count;

  bool time_set;
  struct instant judged_at, changes_at;
  uint64_t epoch;
};

size_t index_zone_slot(const struct index *index, zone_index zone);

#endif
