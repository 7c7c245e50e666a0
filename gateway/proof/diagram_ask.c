/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions to diagrams: nothing here makes a node. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proof/diagram_parts.h"

/* ---- visiting ---- */

enum { FIRST_ROOM = 64 };

struct visit {
  struct diagram_store *store;
  diagram *list;
  size_t count, room;
  uint32_t before; /* marks above are of this visit: mark - before - 1 is the place in the list */
};

static bool make_marks(struct diagram_store *store) {
  if (store->mark_count < store->count) {
    uint32_t *marks = realloc(store->marks, store->capacity * sizeof *marks);
    if (marks == NULL)
      return false;
    memset(marks + store->mark_count, 0, (store->capacity - store->mark_count) * sizeof *marks);
    store->marks = marks;
    store->mark_count = store->capacity;
  }
  if (store->next_mark > UINT32_MAX - store->count) {
    memset(store->marks, 0, store->mark_count * sizeof *store->marks);
    store->next_mark = 0;
  }
  return true;
}

static bool visit_node(struct visit *visit, diagram node) {
  if (visit->store->marks[node] > visit->before)
    return true;
  const struct diagram_entry *entry = &visit->store->nodes[node];
  if (entry->variable != LEAF_VARIABLE && (!visit_node(visit, entry->low) || !visit_node(visit, entry->high)))
    return false;
  if (visit->count == visit->room) {
    size_t room = visit->room == 0 ? FIRST_ROOM : visit->room * 2;
    diagram *list = realloc(visit->list, room * sizeof *list);
    if (list == NULL)
      return false;
    visit->list = list;
    visit->room = room;
  }
  visit->list[visit->count++] = node;
  visit->store->marks[node] = ++visit->store->next_mark;
  return true;
}

bool diagram_visit(struct diagram_store *store, diagram of, diagram **ret_list, size_t *ret_count) {
  if (of == DIAGRAM_NONE)
    return false;
  if (!make_marks(store)) {
    diagram_fail(store);
    return false;
  }
  struct visit visit = {.store = store, .before = store->next_mark};
  if (!visit_node(&visit, of)) {
    diagram_fail(store);
    free(visit.list);
    return false;
  }
  *ret_list = visit.list;
  *ret_count = visit.count;
  return true;
}

size_t diagram_place(const struct diagram_store *store, size_t count, diagram node) {
  return store->marks[node] - (store->next_mark - count) - 1;
}

/* ---- questions about all nodes ---- */

size_t diagram_size(struct diagram_store *store, diagram of) {
  diagram *list;
  size_t count, size = 0;
  if (!diagram_visit(store, of, &list, &count))
    return 0;
  for (size_t i = 0; i < count; i++)
    size += store->nodes[list[i]].variable != LEAF_VARIABLE;
  free(list);
  return size;
}

void diagram_leaves(struct diagram_store *store, diagram of, diagram_leaf_function function, void *context) {
  diagram *list;
  size_t count;
  if (!diagram_visit(store, of, &list, &count))
    return;
  for (size_t i = 0; i < count; i++)
    if (store->nodes[list[i]].variable == LEAF_VARIABLE && !function(context, store->nodes[list[i]].low))
      break;
  free(list);
}

/* The part of all assignments that is in the set, of 1. */
static double part(const struct diagram_store *store, const diagram *list, size_t count, double *parts) {
  for (size_t i = 0; i < count; i++) {
    const struct diagram_entry *entry = &store->nodes[list[i]];
    parts[i] =
        entry->variable == LEAF_VARIABLE
            ? entry->low != 0
            : (parts[diagram_place(store, count, entry->low)] + parts[diagram_place(store, count, entry->high)]) / 2;
  }
  return parts[count - 1];
}

double diagram_count(struct diagram_store *store, diagram set, unsigned variables) {
  diagram *list;
  size_t count;
  double result = 0;
  if (!diagram_visit(store, set, &list, &count))
    return 0;
  double *parts = count != 0 ? malloc(count * sizeof *parts) : NULL; /* never 0: the set itself is listed */
  if (parts != NULL)
    result = ldexp(part(store, list, count, parts), (int)variables);
  else
    diagram_fail(store);
  free(parts);
  free(list);
  return result;
}

/* ---- one path ---- */

bool diagram_value(const struct diagram_store *store, diagram of, const uint8_t *bits, uint32_t *ret_value) {
  if (of == DIAGRAM_NONE)
    return false;
  const struct diagram_entry *entry = &store->nodes[of];
  while (entry->variable != LEAF_VARIABLE)
    entry = &store->nodes[bits[entry->variable] != 0 ? entry->high : entry->low];
  *ret_value = entry->low;
  return true;
}

bool diagram_witness(const struct diagram_store *store, diagram set, const uint8_t *preferred, unsigned count,
                     uint8_t *ret_bits) {
  if (set == DIAGRAM_NONE || set == DIAGRAM_FALSE)
    return false;
  for (unsigned variable = 0; variable < count; variable++) {
    const struct diagram_entry *entry = &store->nodes[set];
    bool wanted = preferred != NULL && preferred[variable] != 0;
    if (entry->variable == variable) {
      if ((wanted ? entry->high : entry->low) == DIAGRAM_FALSE)
        wanted = !wanted;
      set = wanted ? entry->high : entry->low;
    }
    ret_bits[variable] = wanted;
  }
  return true;
}
