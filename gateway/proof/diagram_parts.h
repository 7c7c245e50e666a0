/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_DIAGRAM_PARTS_H
#define KIDO_PROOF_DIAGRAM_PARTS_H

#include "proof/diagram.h"

/* What the files of the diagram share among themselves; nobody else includes this. */

#define LEAF_VARIABLE UINT32_MAX /* greater than all variables, so that a leaf is asked last */

struct diagram_entry {
  diagram low, high; /* of a leaf: its value, and 0 */
  uint32_t next;     /* in its bucket; 0: the last */
  uint32_t variable;
};

/* What an operation once answered. `operation` is made by diagram_tag(), or the third operand of a choice. */
struct diagram_answer {
  diagram left, right;
  uint32_t operation;
  diagram result;
};

struct diagram_store {
  struct diagram_entry *nodes;
  uint32_t count, capacity, budget;
  uint32_t *buckets;
  size_t bucket_count;
  struct diagram_answer *answers;
  size_t answer_count;
  uint32_t *marks; /* of each node, when it was last visited; see diagram_visit() */
  size_t mark_count;
  uint32_t next_mark;
  unsigned operations;
  bool failed;
};

/* Those of two operands first. */
enum diagram_tag_kind { TAG_COMBINE, TAG_BOXES, TAG_MAP, TAG_QUANTIFY, TAG_GATHER, TAG_KINDS };
enum { TAG_AND, TAG_OR, TAG_DIFFERENCE, TAG_XOR, TAG_FIX, TAG_WHERE, TAG_SUPPORT, TAG_FIRST_FREE };
#define TAG_BIT 0x80000000u /* no diagram has it: a tag never looks like a third operand */

/* Tells the kernel that an array that has just been made will be walked at random: large pages, where it is large. */
void diagram_advise(void *array, size_t bytes);
/* Spends the store. Returns DIAGRAM_NONE. */
diagram diagram_fail(struct diagram_store *store);
/* The node, unchecked: the operands belong to the store and ask later variables, or are DIAGRAM_NONE. */
diagram diagram_make(struct diagram_store *store, uint32_t variable, diagram low, diagram high);
uint32_t diagram_tag(enum diagram_tag_kind kind, unsigned operation);

/* Of functions where 0 stands for "nothing here": it gives way, and `function` is asked where neither is 0. `tag` names
 * it. idempotent: of two equal leaves it makes the same again. */
diagram diagram_merge(struct diagram_store *store, uint32_t tag, diagram_combine_function function, void *context,
                      bool idempotent, diagram left, diagram right);

/* A number of up to 128 bits, its most significant bit first in `high`. */
struct diagram_number {
  uint64_t high, low;
};

/*
 * Bits `from` and on of a field lie from first to last: then inside, else outside; both ask only variables behind the
 * field.
 */
diagram diagram_make_range(struct diagram_store *store, const struct diagram_field *field, unsigned from,
                           struct diagram_number first, struct diagram_number last, diagram inside, diagram outside);
/* Left-aligned, filled up with zeros; bytes as in diagram_range(). */
struct diagram_number diagram_read_number(const struct diagram_field *field, const uint8_t *bytes);
bool diagram_number_bit(struct diagram_number number, unsigned bit);
struct diagram_number diagram_number_with(struct diagram_number number, unsigned bit, bool value);

/* The variables grow through all fields, and none is out of bounds. */
bool diagram_fields_grow(const struct diagram_field *fields, size_t field_count);

/*
 * All nodes reached from it, each once, children before parents; leaves too. Until the next visit, the place of a node
 * in the list is diagram_place(). false when memory is spent. The list is for free().
 */
bool diagram_visit(struct diagram_store *store, diagram of, diagram **ret_list, size_t *ret_count);
size_t diagram_place(const struct diagram_store *store, size_t count, diagram node);

#endif
