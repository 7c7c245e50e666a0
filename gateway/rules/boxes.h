/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_RULES_BOXES_H
#define KIDO_RULES_BOXES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/arena.h"

/*
 * Flows as boxes in the space destination x service x source, and how they are made disjoint.
 */
__extension__ typedef unsigned __int128 number; /* an address of either family, a port, a protocol */

enum axis { AXIS_DESTINATION, AXIS_SERVICE, AXIS_SOURCE, AXIS_COUNT_ };

struct box {
  number first[AXIS_COUNT_], last[AXIS_COUNT_]; /* both included */
};

/* What one flow covers: some boxes of one owner are disjoint; owners are given in the order of the file. */
struct cover {
  struct box box;
  uint32_t owner;
  bool lasting; /* in force for ever: what it covers no later flow can ever decide */
};

/* A part of an owner's box that `layer` earlier owners cover, none of them lasting. */
struct piece {
  struct box box;
  uint32_t owner;
  uint32_t layer;
};

struct piece_list {
  struct piece *items;
  size_t count, capacity;
};

/*
 * Cuts every box by those of earlier owners. The pieces of one layer are disjoint. covers: sorted by owner.
 * Returns 0, -ENOMEM, or -E2BIG when there would be more than `limit` pieces (or work out of all proportion).
 */
int boxes_cut(const struct cover *covers, size_t count, size_t limit, struct arena *arena, struct piece_list *list);

number number_from_address(const struct address *address);
void number_to_bytes(number value, size_t length, uint8_t *bytes); /* big-endian */
bool box_is_point(const struct box *box);

#endif
