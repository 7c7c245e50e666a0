/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rules/boxes.h"

#include <errno.h>
#include <string.h>

/*
 * Theory of operation.
 *
 * "The first in the file counts" means: a point of a box belongs to the first owner that is in force there. Whether an
 * owner is in force may change with time, so a point goes into layer n of its owner when n earlier owners cover it,
 * all of which may end; below a lasting one it never matters and is dropped. A layer is asked when the one before it
 * gave no owner in force, so the lookups visit the owners of a point in the order of the file.
 *
 * Who covers what is a question about the uncut boxes alone, so the search tree over them is built once: a balanced
 * tree of bounding boxes, halved at the median of one axis after the other. Each node knows its earliest owner, so that
 * the search for earlier owners skips what is later.
 */
enum { LEAF_SIZE = 4, WORK_PER_PIECE = 64 };

struct node {
  struct box bounds;
  uint32_t earliest;
  uint32_t left, right; /* children, or first and end of the leaf's covers */
  bool leaf;
};

struct tree {
  const struct cover *covers;
  uint32_t *order; /* indexes of covers */
  struct node *nodes;
  uint32_t node_count;
};

struct cutting {
  const struct tree *tree;
  const struct cover *cover; /* being cut */
  struct arena *arena;
  struct piece_list *list;
  struct piece_list now, next; /* parts of the cover so far, and after the next cut */
  size_t limit, work;
};

number number_from_address(const struct address *address) {
  number value = 0;
  for (size_t i = 0; i < address_length(address->family); i++)
    value = value << 8 | address->bytes[i];
  return value;
}

void number_to_bytes(number value, size_t length, uint8_t *bytes) {
  for (size_t i = length; i-- > 0; value >>= 8)
    bytes[i] = (uint8_t)value;
}

bool box_is_point(const struct box *box) {
  return memcmp(box->first, box->last, sizeof box->first) == 0;
}

static bool boxes_overlap(const struct box *left, const struct box *right) {
  for (size_t axis = 0; axis < AXIS_COUNT_; axis++)
    if (left->first[axis] > right->last[axis] || right->first[axis] > left->last[axis])
      return false;
  return true;
}

/* ---- the tree ---- */

static void grow_bounds(struct box *bounds, const struct box *box) {
  for (size_t axis = 0; axis < AXIS_COUNT_; axis++) {
    if (box->first[axis] < bounds->first[axis])
      bounds->first[axis] = box->first[axis];
    if (box->last[axis] > bounds->last[axis])
      bounds->last[axis] = box->last[axis];
  }
}

/* Orders [first, end) so that the middle one stands where sorting by the axis would put it (Hoare). */
static void select_median(const struct tree *tree, uint32_t first, uint32_t end, size_t axis) {
  uint32_t middle = first + (end - first) / 2, low = first, high = end - 1;
  while (low < high) {
    number pivot = tree->covers[tree->order[low + (high - low) / 2]].box.first[axis];
    uint32_t up = low, down = high;
    while (up <= down) {
      while (tree->covers[tree->order[up]].box.first[axis] < pivot)
        up++;
      while (tree->covers[tree->order[down]].box.first[axis] > pivot)
        down--;
      if (up > down)
        break;
      uint32_t swap = tree->order[up];
      tree->order[up++] = tree->order[down];
      tree->order[down] = swap;
      if (down == first)
        break;
      down--;
    }
    if (middle <= down)
      high = down;
    else if (middle >= up)
      low = up;
    else
      return;
  }
}

/* The next axis on which the covers differ at all, beginning with the one whose turn it is. */
static size_t choose_axis(const struct tree *tree, uint32_t first, uint32_t end, size_t turn) {
  for (size_t i = 0; i < AXIS_COUNT_; i++) {
    size_t axis = (turn + i) % AXIS_COUNT_;
    number value = tree->covers[tree->order[first]].box.first[axis];
    for (uint32_t at = first + 1; at < end; at++)
      if (tree->covers[tree->order[at]].box.first[axis] != value)
        return axis;
  }
  return turn % AXIS_COUNT_;
}

static uint32_t build_node(struct tree *tree, uint32_t first, uint32_t end, size_t depth) {
  uint32_t index = tree->node_count++;
  struct node *node = &tree->nodes[index];
  node->bounds = tree->covers[tree->order[first]].box;
  node->earliest = UINT32_MAX;
  for (uint32_t at = first; at < end; at++) {
    const struct cover *cover = &tree->covers[tree->order[at]];
    grow_bounds(&node->bounds, &cover->box);
    if (cover->owner < node->earliest)
      node->earliest = cover->owner;
  }
  node->leaf = end - first <= LEAF_SIZE;
  if (node->leaf) {
    node->left = first;
    node->right = end;
    return index;
  }
  select_median(tree, first, end, choose_axis(tree, first, end, depth));
  uint32_t middle = first + (end - first) / 2;
  node->left = build_node(tree, first, middle, depth + 1);
  node->right = build_node(tree, middle, end, depth + 1);
  return index;
}

static int build_tree(struct tree *tree, const struct cover *covers, size_t count, struct arena *arena) {
  *tree = (struct tree){.covers = covers};
  tree->order = ARENA_ARRAY(arena, count, uint32_t);
  tree->nodes = ARENA_ARRAY(arena, count + 1, struct node); /* at least two covers stand in every leaf but one */
  if (tree->order == NULL || tree->nodes == NULL)
    return -ENOMEM;
  for (uint32_t i = 0; i < count; i++)
    tree->order[i] = i;
  build_node(tree, 0, (uint32_t)count, 0);
  return 0;
}

/* ---- cutting ---- */

static int add_piece(struct cutting *cutting, struct piece_list *list, const struct box *box, uint32_t layer) {
  if (list->count >= cutting->limit)
    return -E2BIG;
  int status = arena_grow(cutting->arena, (void **)&list->items, list->count, &list->capacity, sizeof *list->items);
  if (status == 0)
    list->items[list->count++] = (struct piece){.box = *box, .owner = cutting->cover->owner, .layer = layer};
  return status;
}

/* What of the piece lies outside the knife stays in its layer; what lies inside falls to the next one. */
static int cut_piece(struct cutting *cutting, const struct piece *piece, const struct cover *knife) {
  struct box rest = piece->box;
  if (!boxes_overlap(&rest, &knife->box))
    return add_piece(cutting, &cutting->next, &rest, piece->layer);
  int status = 0;
  for (size_t axis = 0; axis < AXIS_COUNT_ && status == 0; axis++) {
    struct box outside = rest;
    if (rest.first[axis] < knife->box.first[axis]) {
      outside.last[axis] = knife->box.first[axis] - 1;
      rest.first[axis] = knife->box.first[axis];
      status = add_piece(cutting, &cutting->next, &outside, piece->layer);
    }
    outside = rest;
    if (status == 0 && rest.last[axis] > knife->box.last[axis]) {
      outside.first[axis] = knife->box.last[axis] + 1;
      rest.last[axis] = knife->box.last[axis];
      status = add_piece(cutting, &cutting->next, &outside, piece->layer);
    }
  }
  if (status < 0 || knife->lasting)
    return status;
  return add_piece(cutting, &cutting->next, &rest, piece->layer + 1);
}

static int cut_by(struct cutting *cutting, const struct cover *knife) {
  cutting->next.count = 0;
  cutting->work += cutting->now.count;
  if (cutting->work / WORK_PER_PIECE > cutting->limit)
    return -E2BIG;
  for (size_t i = 0; i < cutting->now.count; i++) {
    int status = cut_piece(cutting, &cutting->now.items[i], knife);
    if (status < 0)
      return status;
  }
  struct piece_list swap = cutting->now;
  cutting->now = cutting->next;
  cutting->next = swap;
  return 0;
}

static int cut_by_earlier(struct cutting *cutting, uint32_t index) {
  const struct node *node = &cutting->tree->nodes[index];
  if (node->earliest >= cutting->cover->owner || !boxes_overlap(&node->bounds, &cutting->cover->box))
    return 0;
  if (!node->leaf) {
    int status = cut_by_earlier(cutting, node->left);
    return status < 0 ? status : cut_by_earlier(cutting, node->right);
  }
  for (uint32_t at = node->left; at < node->right; at++) {
    const struct cover *knife = &cutting->tree->covers[cutting->tree->order[at]];
    if (knife->owner >= cutting->cover->owner || !boxes_overlap(&knife->box, &cutting->cover->box))
      continue;
    int status = cut_by(cutting, knife);
    if (status < 0)
      return status;
  }
  return 0;
}

static int cut_cover(struct cutting *cutting, const struct cover *cover) {
  cutting->cover = cover;
  cutting->now.count = 0;
  int status = add_piece(cutting, &cutting->now, &cover->box, 0);
  if (status == 0)
    status = cut_by_earlier(cutting, 0);
  for (size_t i = 0; i < cutting->now.count && status == 0; i++)
    status = add_piece(cutting, cutting->list, &cutting->now.items[i].box, cutting->now.items[i].layer);
  return status;
}

int boxes_cut(const struct cover *covers, size_t count, size_t limit, struct arena *arena, struct piece_list *list) {
  struct tree tree;
  if (count == 0)
    return 0;
  if (count > limit)
    return -E2BIG;
  int status = build_tree(&tree, covers, count, arena);
  struct cutting cutting = {.tree = &tree, .arena = arena, .list = list, .limit = limit};
  for (size_t i = 0; i < count && status == 0; i++)
    status = cut_cover(&cutting, &covers[i]);
  return status;
}
