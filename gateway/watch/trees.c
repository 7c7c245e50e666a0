/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The spanning trees of wires. One switch may serve many zones, undeclared; but when the tree of a wire takes the root
 * of another zone's, a cable was plugged in.
 *
 * Theory of operation. Wires whose first word was of one root hang on the same switches: they are kin, and their tree
 * falls apart and grows together again with every power cut. So a wire may take the root that its kin has when it is
 * one of the site's: a root that both had before, or the switch that speaks on either. Only the speakers of a wire's
 * first minute, and switches that its zone declares, are believed in that; what anybody else says of an old root is
 * told like a new one, and teaches nothing. Neither does what was told: who plugs the cable in again is told again.
 */
#include <string.h>

#include "watch/watch_parts.h"
#include "wire/control.h"

static const int64_t SECOND = 1000000000;
#define TOGETHER (60 * SECOND)
#define REMEMBERED (INT64_C(7) * 24 * 3600 * SECOND)

/* ---- who speaks ---- */

static bool same_speaker(const struct tree_speaker *left, const struct tree_speaker *right) {
  return mac_equal(&left->source, &right->source) && mac_equal(&left->bridge, &right->bridge) &&
         left->port == right->port;
}

static bool is_believed(const struct watch *watch, const struct sighting *sighting,
                        const struct tree_speaker *speaker) {
  const struct tree *tree = &watch->wires[sighting->wire].tree;
  for (size_t i = 0; i < tree->speaker_count; i++)
    if (same_speaker(&tree->speakers[i], speaker))
      return true;
  return declared_mac(watch->current.declared, sighting->wire_zone, SPEAKER_SWITCH, &speaker->bridge);
}

/* A mirror port shows all switches of a wire, one after the other. */
static void learn_speaker(struct tree *tree, const struct tree_speaker *speaker, int64_t now) {
  if (now - tree->began >= TOGETHER || now < tree->began || tree->speaker_count == TREE_SPEAKERS)
    return;
  for (size_t i = 0; i < tree->speaker_count; i++)
    if (same_speaker(&tree->speakers[i], speaker))
      return;
  tree->speakers[tree->speaker_count++] = *speaker;
}

/* ---- what is known ---- */

static struct tree_root *find_root(struct tree *tree, const struct mac *root) {
  for (size_t i = 0; i < TREE_ROOTS; i++)
    if (tree->roots[i].last != 0 && mac_equal(&tree->roots[i].mac, root))
      return &tree->roots[i];
  return NULL;
}

static void learn_root(struct tree *tree, const struct mac *root, int64_t now) {
  struct tree_root *known = find_root(tree, root), *oldest = &tree->roots[0];
  for (size_t i = 1; i < TREE_ROOTS; i++)
    if (tree->roots[i].last < oldest->last)
      oldest = &tree->roots[i];
  *(known != NULL ? known : oldest) = (struct tree_root){*root, now};
}

static bool knows(struct tree *tree, const struct mac *root, int64_t now) {
  const struct tree_root *known = find_root(tree, root);
  if (known != NULL && now - known->last < REMEMBERED)
    return true;
  for (size_t i = 0; i < tree->speaker_count; i++)
    if (mac_equal(&tree->speakers[i].bridge, root))
      return true;
  return false;
}

static bool are_kin(const struct tree *tree, size_t other) {
  return (tree->kin[other / 8] >> other % 8 & 1) != 0;
}

static void make_kin(struct watch *watch, size_t left, size_t right) {
  watch->wires[left].tree.kin[right / 8] |= (uint8_t)(1u << right % 8);
  watch->wires[right].tree.kin[left / 8] |= (uint8_t)(1u << left % 8);
}

/* ---- judging ---- */

static bool within_a_minute(int64_t now, int64_t then) {
  return now - then < TOGETHER && then - now < TOGETHER;
}

/* Whether kin had one root before, and changed it together. */
static bool changed_together(const struct tree *tree, const struct tree *other, int64_t now) {
  return mac_equal(&other->old_root, &tree->root) && within_a_minute(now, other->changed);
}

/* A wire on which others spoke for long without a tree got one by a cable; unless both got it together. */
static bool begins_late(const struct tree *tree, const struct tree *other, int64_t now) {
  return tree->heard != 0 && now - tree->heard >= TOGETHER && now - other->began >= TOGETHER;
}

/* A switch that was replaced takes its wires along to a root that nobody had; what is old it must not bring. */
static bool may_take(struct tree *tree, struct tree *other, size_t other_wire, bool believed, const struct mac *root,
                     int64_t now) {
  if (!tree->has_root)
    return !begins_late(tree, other, now);
  if (!are_kin(tree, other_wire))
    return false;
  bool known = knows(tree, root, now) || knows(other, root, now), together = changed_together(tree, other, now);
  return believed ? known || together : together && !known;
}

/* False (and found) when another zone has that root, and may not share it. */
static bool judge_new_root(struct watch *watch, const struct sighting *sighting, bool believed,
                           const struct mac *root) {
  struct tree *tree = &watch->wires[sighting->wire].tree;
  bool lawful = true;
  for (size_t i = 0; i < watch->wire_count; i++) {
    struct tree *other = &watch->wires[i].tree;
    zone_index zone = watch->current.wire_zones[i];
    if (zone == ZONE_NONE || zone == sighting->wire_zone || !other->has_root || !mac_equal(&other->root, root) ||
        may_take(tree, other, i, believed, root, sighting->frame->time))
      continue;
    homes_bridged(watch, sighting, zone, (int)i, "stp-root");
    lawful = false;
  }
  return lawful;
}

/* What one wire alone had is nothing that the site is known by. */
static bool is_shared(const struct watch *watch, int wire) {
  const struct tree *tree = &watch->wires[wire].tree;
  for (size_t i = 0; i < watch->wire_count; i++) {
    const struct tree *other = &watch->wires[i].tree;
    if (are_kin(tree, i) && other->lawful && mac_equal(&other->root, &tree->root))
      return true;
  }
  return false;
}

static void find_kin(struct watch *watch, int wire, const struct mac *root) {
  for (size_t i = 0; i < watch->wire_count; i++) {
    const struct tree *other = &watch->wires[i].tree;
    if (i != (size_t)wire && other->has_root && other->lawful && mac_equal(&other->root, root))
      make_kin(watch, i, (size_t)wire);
  }
}

static void take_root(struct watch *watch, const struct sighting *sighting, bool believed, const struct mac *root) {
  struct tree *tree = &watch->wires[sighting->wire].tree;
  bool first = !tree->has_root;
  tree->lawful = judge_new_root(watch, sighting, believed, root);
  tree->old_root = tree->root;
  tree->root = *root;
  tree->has_root = true;
  tree->changed = sighting->frame->time;
  if (!first)
    return;
  tree->began = sighting->frame->time;
  if (tree->lawful)
    find_kin(watch, sighting->wire, root);
}

void trees_judge_root(struct watch *watch, const struct sighting *sighting, const struct control_facts *facts) {
  struct tree *tree = &watch->wires[sighting->wire].tree;
  struct tree_speaker speaker = {sighting->frame->source_mac, facts->bridge, facts->port};
  int64_t now = sighting->frame->time;
  if (!tree->has_root || !mac_equal(&tree->root, &facts->root))
    take_root(watch, sighting, is_believed(watch, sighting, &speaker), &facts->root);
  if (!tree->lawful)
    return;
  learn_speaker(tree, &speaker, now);
  if (is_believed(watch, sighting, &speaker) &&
      (find_root(tree, &facts->root) != NULL || is_shared(watch, sighting->wire) || tree->began == now))
    learn_root(tree, &facts->root, now);
}

void trees_hear(struct watch *watch, const struct sighting *sighting) {
  struct tree *tree = &watch->wires[sighting->wire].tree;
  if (tree->heard == 0 && sighting->direction != FRAME_LEAVING)
    tree->heard = sighting->frame->time;
}
