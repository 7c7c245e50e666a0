/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of flows as leaves of diagrams. Two leaves must be the same number if and only if they are the same set, and
 * thousands of flows that overlap must not cost a list for each combination. So a set is a binary trie over the index
 * of the flow in which every branch stands but once (hash consing): sets that differ little share almost all of it, and
 * a union costs what the smaller one changes.
 *
 * Numbers: 0 is the empty set; index + 1 the set of one flow; then come the branches, in the order of their making. A
 * branch parts its members by the highest bit in which they differ, which makes the shape a function of the set.
 */
#include <string.h>

#include "proof/authorised_parts.h"

struct branch {
  uint32_t bit;    /* the one that parts the members; those without it are left */
  uint32_t prefix; /* bits above it, which all members have */
  uint32_t left, right;
  uint32_t count; /* members */
};

struct flow_lists {
  const struct policy *policy;
  struct arena *arena;
  struct branch *branches;
  size_t count, capacity;
  uint32_t *slots; /* open addressing: 0 free, else the number of a branch */
  size_t slot_count;
  const struct flow *const **members; /* by branch, once asked for */
  size_t member_room;
  bool failed;
};

enum { FIRST_SLOTS = 256 };

struct flow_lists *flow_lists_new(const struct policy *policy, struct arena *arena) {
  struct flow_lists *lists = ARENA_NEW(arena, struct flow_lists);
  if (lists == NULL)
    return NULL;
  *lists = (struct flow_lists){.policy = policy, .arena = arena, .slot_count = FIRST_SLOTS};
  lists->slots = ARENA_ARRAY(arena, FIRST_SLOTS, uint32_t);
  return lists->slots != NULL ? lists : NULL;
}

bool flow_lists_failed(const struct flow_lists *lists) {
  return lists->failed;
}

uint32_t flow_lists_single(const struct flow *flow) {
  return (uint32_t)flow->index + 1;
}

/* ---- branches ---- */

static uint32_t first_branch(const struct flow_lists *lists) {
  return (uint32_t)lists->policy->flow_count + 1;
}

static bool is_single(const struct flow_lists *lists, uint32_t list) {
  return list < first_branch(lists);
}

static const struct branch *branch_at(const struct flow_lists *lists, uint32_t list) {
  return &lists->branches[list - first_branch(lists)];
}

static uint32_t bit_of(const struct flow_lists *lists, uint32_t list) {
  return is_single(lists, list) ? 0 : branch_at(lists, list)->bit;
}

static uint32_t prefix_of(const struct flow_lists *lists, uint32_t list) {
  return is_single(lists, list) ? list - 1 : branch_at(lists, list)->prefix;
}

static uint32_t count_of(const struct flow_lists *lists, uint32_t list) {
  return is_single(lists, list) ? list != 0 : branch_at(lists, list)->count;
}

static uint32_t *find_slot(const struct flow_lists *lists, uint32_t left, uint32_t right) {
  size_t mask = lists->slot_count - 1;
  uint64_t hash = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;
  for (size_t at = (size_t)(hash >> 20) & mask;; at = (at + 1) & mask) {
    uint32_t *slot = &lists->slots[at];
    if (*slot == 0 || (branch_at(lists, *slot)->left == left && branch_at(lists, *slot)->right == right))
      return slot;
  }
}

static bool grow_slots(struct flow_lists *lists) {
  uint32_t *slots = ARENA_ARRAY(lists->arena, lists->slot_count * 2, uint32_t);
  if (slots == NULL)
    return false;
  lists->slots = slots;
  lists->slot_count *= 2;
  for (size_t i = 0; i < lists->count; i++)
    *find_slot(lists, lists->branches[i].left, lists->branches[i].right) = first_branch(lists) + (uint32_t)i;
  return true;
}

/* The branch with these two sides, neither empty; 0 without memory. */
static uint32_t make_branch(struct flow_lists *lists, uint32_t bit, uint32_t prefix, uint32_t left, uint32_t right) {
  if (lists->failed || left == 0 || right == 0)
    return 0;
  uint32_t *slot = find_slot(lists, left, right);
  if (*slot != 0)
    return *slot;
  if (arena_grow(lists->arena, (void **)&lists->branches, lists->count, &lists->capacity, sizeof *lists->branches) <
          0 ||
      first_branch(lists) + lists->count >= UINT32_MAX) {
    lists->failed = true;
    return 0;
  }
  uint32_t number = first_branch(lists) + (uint32_t)lists->count;
  lists->branches[lists->count++] =
      (struct branch){bit, prefix, left, right, count_of(lists, left) + count_of(lists, right)};
  *slot = number;
  if (2 * lists->count > lists->slot_count && !grow_slots(lists))
    lists->failed = true;
  return number;
}

/* Two sets of which all members of the one differ from all of the other in a bit above both. */
static uint32_t part(struct flow_lists *lists, uint32_t left, uint32_t right) {
  uint32_t one = prefix_of(lists, left), other = prefix_of(lists, right);
  uint32_t bit = 1u << (31 - __builtin_clz(one ^ other));
  uint32_t prefix = one & ~(2 * bit - 1);
  return (one & bit) == 0 ? make_branch(lists, bit, prefix, left, right) : make_branch(lists, bit, prefix, right, left);
}

static bool belongs_under(const struct flow_lists *lists, uint32_t list, const struct branch *branch) {
  return (prefix_of(lists, list) & ~(2 * branch->bit - 1)) == branch->prefix;
}

uint32_t flow_lists_join(void *context, uint32_t left, uint32_t right) {
  struct flow_lists *lists = context;
  if (left == right || right == 0)
    return left;
  if (left == 0)
    return right;
  if (bit_of(lists, left) < bit_of(lists, right))
    return flow_lists_join(lists, right, left);
  if (is_single(lists, left))
    return part(lists, left, right);
  const struct branch above = *branch_at(lists, left);
  if (!belongs_under(lists, right, &above))
    return part(lists, left, right);
  if (bit_of(lists, right) == above.bit) {
    const struct branch beside = *branch_at(lists, right);
    uint32_t low = flow_lists_join(lists, above.left, beside.left);
    return make_branch(lists, above.bit, above.prefix, low, flow_lists_join(lists, above.right, beside.right));
  }
  if ((prefix_of(lists, right) & above.bit) == 0)
    return make_branch(lists, above.bit, above.prefix, flow_lists_join(lists, above.left, right), above.right);
  return make_branch(lists, above.bit, above.prefix, above.left, flow_lists_join(lists, above.right, right));
}

/* ---- members ---- */

static size_t collect(const struct flow_lists *lists, uint32_t list, const struct flow **flows) {
  if (is_single(lists, list)) {
    flows[0] = &lists->policy->flows[list - 1];
    return 1;
  }
  size_t count = collect(lists, branch_at(lists, list)->left, flows);
  return count + collect(lists, branch_at(lists, list)->right, flows + count);
}

static bool make_room(struct flow_lists *lists) {
  if (lists->member_room >= lists->count)
    return true;
  const struct flow *const **members = ARENA_ARRAY(lists->arena, lists->capacity, const struct flow *const *);
  if (members == NULL)
    return false;
  if (lists->member_room != 0)
    memcpy(members, lists->members, lists->member_room * sizeof *members);
  lists->members = members;
  lists->member_room = lists->capacity;
  return true;
}

struct flow_list flow_lists_members(struct flow_lists *lists, uint32_t list) {
  uint32_t count = list < first_branch(lists) + lists->count ? count_of(lists, list) : 0;
  if (count == 0)
    return (struct flow_list){0};
  if (!is_single(lists, list) && !make_room(lists))
    return (struct flow_list){0};
  const struct flow *const **known = is_single(lists, list) ? NULL : &lists->members[list - first_branch(lists)];
  if (known != NULL && *known != NULL)
    return (struct flow_list){*known, count};
  const struct flow **flows = ARENA_ARRAY(lists->arena, count, const struct flow *);
  if (flows == NULL)
    return (struct flow_list){0};
  collect(lists, list, flows);
  if (known != NULL)
    *known = flows;
  return (struct flow_list){flows, count};
}
