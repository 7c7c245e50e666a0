/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/casualties.h"

#include <errno.h>
#include <stdlib.h>

#include "rules/compile.h"

/* A flow by the mark that its connections carry. */
struct marked {
  uint32_t mark;
  uint32_t flow;
};

struct search {
  const struct casualty_question *question;
  struct arena *arena;
  struct casualty_list list;
  size_t capacity;
  struct marked *marked; /* by mark, then by place in the file */
  size_t marked_count;
  size_t *item_of; /* by index of the flow: index of its item + 1; 0: not touched */
};

/* ---- flows ---- */

static bool end_has(const struct casualty_question *question, const struct endpoint *end,
                    const struct address *address) {
  if (end->kind == ENDPOINT_GATEWAY) {
    return question->own && address_set_contains(question->own, address);
  }
  if (end->kind == ENDPOINT_ZONE) {
    return policy_zone_of_address(question->policy, question->own, address) == end->zone;
  }
  for (size_t i = 0; i < end->host->address_count; i++) {
    if (range_contains(&end->host->addresses[i].range, address)) {
      return true;
    }
  }
  return false;
}

static bool ends_have(const struct casualty_question *question, const struct endpoint *ends, size_t count,
                      const struct address *address) {
  for (size_t i = 0; i < count; i++) {
    if (end_has(question, &ends[i], address)) {
      return true;
    }
  }
  return false;
}

static bool host_touches(const struct casualty_question *question, const struct flow *flow) {
  for (size_t i = 0; i < question->cuts->cut_count; i++) {
    const struct cut *cut = &question->cuts->cuts[i];
    if (cut->kind == CUT_HOST && (ends_have(question, flow->from, flow->from_count, &cut->address) ||
                                  ends_have(question, flow->to, flow->to_count, &cut->address))) {
      return true;
    }
  }
  return false;
}

static bool stands_anyway(const struct casualty_question *question, const struct flow *flow) {
  return restricted_flow_force(question->policy, question->beside, flow, question->now, NULL) == FORCE_YES &&
         !restrictions_cut_zones(question->beside, question->policy, flow->from_zone, flow->to_zone);
}

/* NULL without memory. Earlier items may move. */
static struct casualty *add(struct search *search, const struct casualty *casualty) {
  struct casualty_list *list = &search->list;
  if (arena_grow(search->arena, (void **)&list->items, list->count, &search->capacity, sizeof *list->items) < 0 ||
      !list->items) {
    return NULL;
  }
  struct casualty *item = &list->items[list->count++];
  *item = *casualty;
  return item;
}

static int find_flows(struct search *search) {
  const struct casualty_question *question = search->question;
  const struct policy *policy = question->policy;
  for (size_t i = 0; i < policy->flow_count; i++) {
    const struct flow *flow = &policy->flows[i];
    bool whole = restrictions_cut_zones(question->cuts, policy, flow->from_zone, flow->to_zone);
    if (!stands_anyway(question, flow) || !(whole || host_touches(question, flow))) {
      continue;
    }
    const struct casualty casualty = {.flow = flow, .from = flow->from_zone, .to = flow->to_zone, .whole = whole};
    if (!add(search, &casualty)) {
      return -ENOMEM;
    }
    search->item_of[i] = search->list.count;
  }
  return 0;
}

/* ---- connections ---- */

static int compare_marked(const void *left, const void *right) {
  const struct marked *a = left, *b = right;
  if (a->mark != b->mark) {
    return a->mark < b->mark ? -1 : 1;
  }
  return a->flow < b->flow ? -1 : a->flow > b->flow;
}

/* Flows of one meaning share a mark: the first of them in the file is counted, as in the kernel. */
static int sort_marks(struct search *search) {
  const struct policy *policy = search->question->policy;
  uint32_t *marks;
  if (flow_marks(policy, search->arena, &marks) < 0) {
    return -ENOMEM;
  }
  search->marked_count = policy->flow_count;
  search->marked = ARENA_ARRAY(search->arena, policy->flow_count, struct marked);
  if (!search->marked && policy->flow_count > 0) {
    return -ENOMEM;
  }
  for (size_t i = 0; i < policy->flow_count; i++) {
    search->marked[i] = (struct marked){marks[i], (uint32_t)i};
  }
  if (policy->flow_count > 0) {
    qsort(search->marked, policy->flow_count, sizeof *search->marked, compare_marked);
  }
  return 0;
}

static struct casualty *find_item(const struct search *search, uint32_t mark) {
  size_t low = 0, high = search->marked_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (search->marked[middle].mark < mark) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  for (; low < search->marked_count && search->marked[low].mark == mark; low++) {
    size_t item = search->item_of[search->marked[low].flow];
    if (item > 0) {
      return &search->list.items[item - 1];
    }
  }
  return NULL;
}

/* What passes within a zone carries no flow. */
static struct casualty *find_within(struct search *search, zone_index zone) {
  if (zone < 0 ||
      !restricted_within(search->question->policy, search->question->beside, zone, search->question->now, NULL)) {
    return NULL;
  }
  for (size_t i = 0; i < search->list.count; i++) {
    if (!search->list.items[i].flow && search->list.items[i].from == zone) {
      return &search->list.items[i];
    }
  }
  const struct casualty casualty = {.from = zone, .to = zone};
  return add(search, &casualty);
}

static void count_connection(struct search *search, const struct connection *connection) {
  const struct casualty_question *question = search->question;
  const struct address *source = &connection->original.source, *destination = &connection->original.destination;
  zone_index from = policy_zone_of_address(question->policy, question->own, source);
  zone_index to = policy_zone_of_address(question->policy, question->own, destination);
  bool cut = restrictions_cut_address(question->cuts, source) ||
             restrictions_cut_address(question->cuts, destination) ||
             restrictions_cut_zones(question->cuts, question->policy, from, to);
  if (!cut || restrictions_cut_address(question->beside, source) ||
      restrictions_cut_address(question->beside, destination)) {
    return;
  }
  struct casualty *casualty = find_item(search, connection->mark);
  if (!casualty && from == to) {
    casualty = find_within(search, from);
  }
  if (casualty) {
    casualty->connections++;
    casualty->bytes += connection->bytes[0] + connection->bytes[1];
    search->list.connections++;
  }
}

int casualties_find(const struct casualty_question *question, const struct connection_list *connections,
                    struct arena *arena, struct casualty_list *ret_list) {
  struct search search = {
      .question = question, .arena = arena, .item_of = ARENA_ARRAY(arena, question->policy->flow_count, size_t)};
  if (arena_failed(arena) || sort_marks(&search) < 0 || find_flows(&search) < 0) {
    return -ENOMEM;
  }
  for (size_t i = 0; connections && i < connections->count; i++) {
    count_connection(&search, &connections->items[i]);
  }
  if (arena_failed(arena)) {
    return -ENOMEM;
  }
  *ret_list = search.list;
  return 0;
}
