/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_CLASSES_H
#define KIDO_PROOF_CLASSES_H

#include "base/arena.h"
#include "proof/diagram.h"
#include "proof/space.h"

/*
 * Numbers in place of boxes. Where the boxes of a lookup do not overlap, a packet's tuple lies in one of them or in
 * none: that is its class. "The class is k" takes as many bits as there are digits in the number of boxes, and no
 * address at all; so both lines of the proof may say it instead of drawing box k, each after it has seen for itself
 * that the boxes are the same points.
 *
 * The bits of a class are variables of their own. For every packet they have one value, which diagrams do not know:
 * what holds for all packets and all classes holds for each packet with the class that it has. What fails so may fail
 * only with a class that no such packet has, and must be asked again in full.
 */
struct classes;
struct class_block; /* boxes that do not overlap, and the variables of their class */

/* Adjacent variables, most significant first; one key of a lookup. */
struct class_field {
  unsigned variable, width;
};
enum { CLASS_FIELDS = 6, CLASS_ANY_PROTOCOL = -1 };

struct classes *classes_new(struct space *space, struct diagram_store *store, struct arena *arena);

/* From now on classes_match() looks at blocks that classes_block() answers with from now on. */
void classes_begin(struct classes *classes);

/*
 * The block of those lookups that `owner` (NULL: anybody) makes over these fields, in the order of their variables, for
 * packets of that protocol. Made when first asked for, with numbers for `expected` boxes and some more. NULL: no room.
 */
struct class_block *classes_block(struct classes *classes, const void *owner, int protocol,
                                  const struct class_field *fields, size_t field_count, size_t expected);

/* A number, from 1, for each box (its value is not looked at); the same for the same box. False: there are too many, or
 * one overlaps another without being the same, or that would take too long to tell; nothing is changed. */
bool class_block_enter(struct class_block *block, const struct diagram_box *boxes, size_t count, uint32_t *ret_numbers);
size_t class_block_count(const struct class_block *block); /* numbers are 1 to this */

/* The function that is leaves[k] where the class is k, for k below count; leaves[0] where the tuple is in none of
 * those, and beyond count. */
diagram class_block_draw(const struct class_block *block, const uint32_t *leaves, size_t count);

/* What of a block makes up one box. */
struct class_match {
  struct class_block *block;
  const uint32_t *inside, *across; /* classes that lie wholly within the box, and partly */
  size_t inside_count, across_count;
};

/*
 * A block (of that protocol, or of any) whose boxes cover the given box without a gap, by those of its fields that the
 * block has; fields beside are not looked at. The answer is exact: the box is the classes inside, and of those across
 * that part which lies in it. Memory from `scratch`.
 */
bool classes_match(struct classes *classes, int protocol, const struct diagram_field *fields, size_t field_count,
                   const struct diagram_box *box, struct arena *scratch, struct class_match *ret_match);

/* Those classes of all blocks without an owner, whose fields lie in this one, of which the function says that all their
 * points are in a set: a part of the set, if not all of it. bits: of the field, 0, 1, or CLASS_BIT_FREE. */
enum { CLASS_BIT_FREE = 2 };
typedef bool (*classes_within_function)(void *context, const uint8_t *bits);
diagram classes_within(struct classes *classes, const struct diagram_field *field, classes_within_function function,
                       void *context);

/* Whether the block has this field; where its bytes stand in its boxes. */
bool class_block_has(const struct class_block *block, const struct diagram_field *field, size_t *ret_offset);
/* Box number k (value 1), and the fields that it is made of. */
struct diagram_box class_block_box(const struct class_block *block, uint32_t number);
size_t class_block_fields(const struct class_block *block, struct diagram_field ret_fields[static CLASS_FIELDS]);

#endif
