/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * A node says: if variable then high else low. Every node is made by diagram_make(), which looks it up in a table of
 * chains first, and never makes one whose branches are equal; so the same function always is the same node. A leaf is a
 * node behind all variables, its value in `low`. Nodes 0 and 1 are the leaves 0 and 1.
 *
 * Operations walk down both operands at once and remember what they answered in a table of one place per hash: what is
 * lost there is only computed again. Both tables and the nodes double when the nodes are full, so memory is linear in
 * the nodes. Nothing is ever freed alone.
 *
 * Most nodes have the leaf 0 on one side and, on the other, the node made just before them: they are paths of exact
 * bits. Their hash keeps neighbours together, so that the table is walked nearly in order instead of at random.
 */
#include "proof/diagram.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "proof/diagram_parts.h"

enum { FIRST_CAPACITY = 256, CONSTANTS = 2, GROUP = 255 };
static const size_t LARGE_PAGE = (size_t)1 << 21;
static const uint32_t MOST_NODES = 0x7fffffff;

static const struct diagram_entry FALSE_LEAF = {.variable = LEAF_VARIABLE};
static const struct diagram_entry TRUE_LEAF = {.low = 1, .variable = LEAF_VARIABLE};

struct diagram_store *diagram_store_new(size_t budget) {
  struct diagram_store *store = calloc(1, sizeof *store);
  if (store == NULL)
    return NULL;
  store->budget = budget == 0 || budget > MOST_NODES ? MOST_NODES : (uint32_t)budget;
  store->capacity = FIRST_CAPACITY;
  store->bucket_count = FIRST_CAPACITY;
  store->nodes = malloc(store->capacity * sizeof *store->nodes);
  store->buckets = calloc(store->bucket_count, sizeof *store->buckets);
  if (store->nodes == NULL || store->buckets == NULL)
    return diagram_store_free(store);
  store->nodes[DIAGRAM_FALSE] = FALSE_LEAF;
  store->nodes[DIAGRAM_TRUE] = TRUE_LEAF;
  store->count = CONSTANTS;
  return store;
}

struct diagram_store *diagram_store_free(struct diagram_store *store) {
  if (store == NULL)
    return NULL;
  free(store->nodes);
  free(store->buckets);
  free(store->answers);
  free(store->marks);
  free(store);
  return NULL;
}

bool diagram_store_failed(const struct diagram_store *store) {
  return store->failed;
}

size_t diagram_store_nodes(const struct diagram_store *store) {
  return store->count;
}

size_t diagram_store_bytes(const struct diagram_store *store) {
  return sizeof *store + store->capacity * sizeof *store->nodes + store->bucket_count * sizeof *store->buckets +
         store->answer_count * sizeof *store->answers + store->mark_count * sizeof *store->marks;
}

diagram diagram_fail(struct diagram_store *store) {
  store->failed = true;
  return DIAGRAM_NONE;
}

/* Only whole large pages inside of it: the rest belongs to the allocator. That it is refused is no failure. */
void diagram_advise(void *array, size_t bytes) {
  if (bytes < 2 * LARGE_PAGE)
    return;
  size_t before = LARGE_PAGE - (uintptr_t)array % LARGE_PAGE;
  (void)madvise((char *)array + before, (bytes - before) / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
}

/* ---- nodes ---- */

/* The younger branch goes into the low bits, the older one scatters groups of them. */
static size_t hash(uint32_t variable, diagram low, diagram high) {
  diagram older = low < high ? low : high, younger = low < high ? high : low;
  uint64_t scattered = (uint64_t)older * 0x9e3779b97f4a7c15u >> 24 & ~(uint64_t)GROUP;
  return (size_t)(((uint64_t)younger * 2 + variable) ^ scattered ^ (low < high ? 0 : 0x55555500));
}

static void link_node(struct diagram_store *store, uint32_t node) {
  struct diagram_entry *entry = &store->nodes[node];
  uint32_t *bucket = &store->buckets[hash(entry->variable, entry->low, entry->high) & (store->bucket_count - 1)];
  entry->next = *bucket;
  *bucket = node;
}

static bool grow_buckets(struct diagram_store *store, size_t count) {
  free(store->buckets);
  store->buckets = calloc(count, sizeof *store->buckets);
  store->bucket_count = store->buckets != NULL ? count : 0;
  if (store->buckets == NULL)
    return false;
  diagram_advise(store->buckets, count * sizeof *store->buckets);
  for (uint32_t node = CONSTANTS; node < store->count; node++)
    link_node(store, node);
  return true;
}

static bool grow(struct diagram_store *store) {
  size_t capacity = (size_t)store->capacity * 2;
  if (capacity > store->budget)
    capacity = store->budget;
  struct diagram_entry *nodes = realloc(store->nodes, capacity * sizeof *nodes);
  if (nodes == NULL)
    return false;
  diagram_advise(nodes, capacity * sizeof *nodes);
  store->nodes = nodes;
  store->capacity = (uint32_t)capacity;
  return store->bucket_count >= capacity || grow_buckets(store, store->bucket_count * 2);
}

static diagram add_node(struct diagram_store *store, uint32_t variable, diagram low, diagram high) {
  if (store->failed || store->count >= store->budget || (store->count == store->capacity && !grow(store)))
    return diagram_fail(store);
  uint32_t node = store->count++;
  store->nodes[node] = (struct diagram_entry){.low = low, .high = high, .variable = variable};
  link_node(store, node);
  return node;
}

static diagram find_or_add(struct diagram_store *store, uint32_t variable, diagram low, diagram high) {
  if (store->failed)
    return DIAGRAM_NONE;
  const struct diagram_entry *nodes = store->nodes;
  uint32_t node = store->buckets[hash(variable, low, high) & (store->bucket_count - 1)];
  for (; node != 0; node = nodes[node].next)
    if (nodes[node].low == low && nodes[node].high == high && nodes[node].variable == variable)
      return node;
  return add_node(store, variable, low, high);
}

diagram diagram_make(struct diagram_store *store, uint32_t variable, diagram low, diagram high) {
  return low == high ? low : find_or_add(store, variable, low, high);
}

diagram diagram_leaf(struct diagram_store *store, uint32_t value) {
  if (store->failed)
    return DIAGRAM_NONE;
  return value <= 1 ? value : find_or_add(store, LEAF_VARIABLE, value, 0);
}

diagram diagram_node(struct diagram_store *store, unsigned variable, diagram low, diagram high) {
  if (store->failed || low == DIAGRAM_NONE || high == DIAGRAM_NONE)
    return DIAGRAM_NONE;
  if (variable >= DIAGRAM_VARIABLES || store->nodes[low].variable <= variable ||
      store->nodes[high].variable <= variable)
    return diagram_fail(store);
  return diagram_make(store, variable, low, high);
}

diagram diagram_variable(struct diagram_store *store, unsigned variable) {
  return diagram_node(store, variable, DIAGRAM_FALSE, DIAGRAM_TRUE);
}
