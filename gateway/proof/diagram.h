/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_DIAGRAM_H
#define KIDO_PROOF_DIAGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Ordered decision diagrams with many kinds of leaves (MTBDD): functions from bits to a 32-bit value. With the leaves 0
 * and 1 alone they are sets of packets. Canonical: within one store, two functions are equal if and only if their nodes
 * are the same number.
 *
 * Variables are numbers from 0 (asked first) upwards. A store has a budget of nodes. When it is spent, or memory is,
 * every function answers DIAGRAM_NONE from then on, and what is given DIAGRAM_NONE answers DIAGRAM_NONE: check once, at
 * the end. Nothing here fails otherwise, and nothing is freed alone: one store is one question, freed as a whole.
 */
struct diagram_store;
typedef uint32_t diagram;

enum { DIAGRAM_FALSE = 0, DIAGRAM_TRUE = 1 };
#define DIAGRAM_NONE UINT32_MAX

/* All variables are below; a greater one spends the store. It bounds how deep diagrams are. */
enum { DIAGRAM_VARIABLES = 16384 };

/* budget: most nodes that it may hold; 0: what fits into 2^31. NULL when there is no memory. */
struct diagram_store *diagram_store_new(size_t budget);
struct diagram_store *diagram_store_free(struct diagram_store *store); /* NULL is allowed; returns NULL */
bool diagram_store_failed(const struct diagram_store *store);          /* budget or memory is spent */
size_t diagram_store_nodes(const struct diagram_store *store);         /* made so far */
size_t diagram_store_bytes(const struct diagram_store *store);

/* ---- making ---- */

/* The constant function. value 0 is DIAGRAM_FALSE, 1 is DIAGRAM_TRUE. */
diagram diagram_leaf(struct diagram_store *store, uint32_t value);
diagram diagram_variable(struct diagram_store *store, unsigned variable); /* 1 where it is 1 */
/* if variable then high else low; both may only ask later variables. */
diagram diagram_node(struct diagram_store *store, unsigned variable, diagram low, diagram high);

/* Of sets. */
diagram diagram_and(struct diagram_store *store, diagram left, diagram right);
diagram diagram_or(struct diagram_store *store, diagram left, diagram right);
diagram diagram_difference(struct diagram_store *store, diagram left, diagram right); /* left and not right */
diagram diagram_xor(struct diagram_store *store, diagram left, diagram right);
diagram diagram_not(struct diagram_store *store, diagram set);

/* Where the set holds, `then`, elsewhere `otherwise`; these two may have any leaves. */
diagram diagram_choose(struct diagram_store *store, diagram set, diagram then, diagram otherwise);

/* Leaf by leaf. The function must be pure; `operation` names it in the cache (give each function with each context a
 * number of its own by diagram_operation()). */
typedef uint32_t (*diagram_combine_function)(void *context, uint32_t left, uint32_t right);
typedef uint32_t (*diagram_map_function)(void *context, uint32_t value);
unsigned diagram_operation(struct diagram_store *store);
diagram diagram_combine(struct diagram_store *store, unsigned operation, diagram_combine_function function,
                        void *context, diagram left, diagram right);
diagram diagram_map(struct diagram_store *store, unsigned operation, diagram_map_function function, void *context,
                    diagram of);

/* The set on which the function has this value; on which it is not 0. */
diagram diagram_where(struct diagram_store *store, diagram of, uint32_t value);
diagram diagram_support(struct diagram_store *store, diagram of);

/* Quantifying a set over those variables of which `chosen` says yes. */
typedef bool (*diagram_chosen_function)(void *context, unsigned variable);
diagram diagram_exists(struct diagram_store *store, diagram set, diagram_chosen_function chosen, void *context);
diagram diagram_for_all(struct diagram_store *store, diagram set, diagram_chosen_function chosen, void *context);
/* The same for any leaves: what is on the two sides of each chosen variable is combined. Order and grouping must not
 * matter to the function, and of two equal values it must make the same; the number is for the function, its context
 * and what is chosen together. */
diagram diagram_gather(struct diagram_store *store, unsigned operation, diagram_combine_function function,
                       void *context, diagram of, diagram_chosen_function chosen, void *chosen_context);
/* With one variable fixed. */
diagram diagram_fix(struct diagram_store *store, diagram of, unsigned variable, bool value);

/* ---- boxes ---- */

/* A field is `width` variables, most significant first; they need not be adjacent, but must grow within the field. */
struct diagram_field {
  const unsigned *variables;
  unsigned width; /* at most 128 */
};

/* The set in which the field, as a number, lies from first to last, both included; big-endian, (width + 7) / 8 bytes,
 * right-aligned. */
diagram diagram_range(struct diagram_store *store, const struct diagram_field *field, const uint8_t *first,
                      const uint8_t *last);

/* One box: for each field a range; value: the leaf inside. first and last: all fields' bytes one after another. */
struct diagram_box {
  const uint8_t *first, *last;
  uint32_t value; /* not 0 */
};

/* The function that has each box's value in it and 0 outside of all. Where boxes overlap, `overlap` says which leaf
 * results, asked in any order of them (a function where order matters gives nothing certain); NULL: the earlier box
 * wins. Fields must stand in the order of their variables and not interleave. */
diagram diagram_boxes(struct diagram_store *store, const struct diagram_field *fields, size_t field_count,
                      const struct diagram_box *boxes, size_t box_count, unsigned operation,
                      diagram_combine_function overlap, void *context);

/* ---- asking ---- */

size_t diagram_size(struct diagram_store *store, diagram of); /* nodes reached from it, leaves not counted */
double diagram_count(struct diagram_store *store, diagram set, unsigned variables); /* of 2^variables assignments */
bool diagram_value(const struct diagram_store *store, diagram of, const uint8_t *bits,
                   uint32_t *ret_value); /* bits[v] is 0 or 1 */

/*
 * One assignment in the set; false when it is empty. ret_bits[v] is 0 or 1 for v < count. preferred[v]: the value to
 * take where both are possible (NULL: 0); the earlier variable is served first.
 */
bool diagram_witness(const struct diagram_store *store, diagram set, const uint8_t *preferred, unsigned count,
                     uint8_t *ret_bits);

/* Every distinct leaf reached from it, each once; stops when the function says false. */
typedef bool (*diagram_leaf_function)(void *context, uint32_t value);
void diagram_leaves(struct diagram_store *store, diagram of, diagram_leaf_function function, void *context);

/* Maximal boxes that together are exactly the set, few rather than fewest; first and last as in diagram_box. Variables
 * outside of the fields must not matter. Returns how many were made; *ret_more: limit was reached. */
typedef void (*diagram_box_function)(void *context, const uint8_t *first, const uint8_t *last);
size_t diagram_cover(struct diagram_store *store, diagram set, const struct diagram_field *fields, size_t field_count,
                     size_t limit, diagram_box_function function, void *context, bool *ret_more);

#endif
