/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation. Two policies are two functions over the same bits, drawn in one store, so that what one lets
 * pass and the other does not is a difference of sets, pair of zones by pair of zones, each pair by the names of its
 * zones. Where the sets are the same number nothing changed, however the text was rewritten.
 */
#include "proof/exact.h"

#include <errno.h>
#include <string.h>

#include "proof/exact_parts.h"

/* A zone by its name, in either policy. */
struct shared_zone {
  zone_index before, after; /* ZONE_NONE: it does not have it */
};

struct comparison {
  struct desk desk;
  const struct policy *before, *after;
  struct authorised *old, *new;
  struct shared_zone *zones;
  size_t zone_count;
  struct box_list opened, closed, retimed;
  bool unequal;
  struct time_words *times; /* NULL: time is not compared */
};

/* The flows that cover a packet, by when they are in force. */
struct timing {
  struct authorised *authorised;
  struct time_words *words;
  const char *timezone;
};

static zone_index zone_named(const struct policy *policy, const char *name) {
  for (size_t i = 0; policy != NULL && i < policy->zone_count; i++)
    if (strcmp(policy->zones[i].name, name) == 0)
      return (zone_index)i;
  return ZONE_NONE;
}

/* The gateway, the zones of the new policy, and those that only the old one has. */
static int share_zones(struct comparison *comparison) {
  const struct policy *before = comparison->before, *after = comparison->after;
  size_t room = 1 + (before != NULL ? before->zone_count : 0) + (after != NULL ? after->zone_count : 0);
  comparison->zones = ARENA_ARRAY(comparison->desk.scratch, room, struct shared_zone);
  if (comparison->zones == NULL)
    return -ENOMEM;
  comparison->zones[comparison->zone_count++] = (struct shared_zone){ZONE_GATEWAY, ZONE_GATEWAY};
  for (size_t i = 0; after != NULL && i < after->zone_count; i++)
    comparison->zones[comparison->zone_count++] =
        (struct shared_zone){zone_named(before, after->zones[i].name), (zone_index)i};
  for (size_t i = 0; before != NULL && i < before->zone_count; i++)
    if (zone_named(after, before->zones[i].name) == ZONE_NONE)
      comparison->zones[comparison->zone_count++] = (struct shared_zone){(zone_index)i, ZONE_NONE};
  return 0;
}

static diagram passes(struct comparison *comparison, struct authorised *side, zone_index from, zone_index to,
                      enum address_family family) {
  if (side == NULL || from == ZONE_NONE || to == ZONE_NONE)
    return DIAGRAM_FALSE;
  struct zone_pair pair = {from, to, false};
  return desk_passes(&comparison->desk, side, &pair, family);
}

static uint32_t times_of(void *context, uint32_t leaf) {
  const struct timing *timing = context;
  struct flow_list list = authorised_flows(timing->authorised, leaf);
  return list.count != 0 ? time_words_number(timing->words, list, timing->timezone) : 0;
}

static diagram draw_times(struct comparison *comparison, struct authorised *side, const struct zone_pair *pair,
                          enum address_family family, diagram set) {
  struct diagram_store *store = comparison->desk.store;
  const struct policy *policy = side == comparison->new ? comparison->after : comparison->before;
  struct timing timing = {side, comparison->times, policy->header.timezone_name};
  diagram openers = diagram_choose(store, set, authorised_openers(side, pair, family, true), DIAGRAM_FALSE);
  return diagram_map(store, diagram_operation(store), times_of, &timing, openers);
}

static uint32_t differ(void *context, uint32_t left, uint32_t right) {
  (void)context;
  return left != right;
}

/* What passes by both, yet not at the same times. */
static int compare_times(struct comparison *comparison, const struct zone_pair *before, const struct zone_pair *after,
                         enum address_family family, diagram both) {
  struct desk *desk = &comparison->desk;
  if (comparison->times == NULL || both == DIAGRAM_FALSE || before->from == before->to)
    return 0;
  diagram readable = diagram_variable(desk->store, space_field_variable(desk->space, FIELD_TRANSPORT_READABLE, 0));
  both = diagram_and(desk->store, both, readable);
  diagram old = draw_times(comparison, comparison->old, before, family, both);
  diagram new = draw_times(comparison, comparison->new, after, family, both);
  diagram other = diagram_combine(desk->store, diagram_operation(desk->store), differ, NULL, old, new);
  return desk_list_boxes(desk, comparison->new, comparison->after, after, family, desk_ordinary(desk, other),
                         &comparison->retimed);
}

static int compare_pair(struct comparison *comparison, const struct shared_zone *from, const struct shared_zone *to,
                        enum address_family family) {
  struct desk *desk = &comparison->desk;
  diagram old = passes(comparison, comparison->old, from->before, to->before, family);
  diagram new = passes(comparison, comparison->new, from->after, to->after, family);
  struct zone_pair before = {from->before, to->before, false}, after = {from->after, to->after, false};
  int result = compare_times(comparison, &before, &after, family, diagram_and(desk->store, old, new));
  if (old == new || result < 0)
    return result;
  comparison->unequal = true;
  result = desk_list_boxes(desk, comparison->new, comparison->after, &after, family,
                           diagram_difference(desk->store, new, old), &comparison->opened);
  return result < 0 ? result
                    : desk_list_boxes(desk, comparison->old, comparison->before, &before, family,
                                      diagram_difference(desk->store, old, new), &comparison->closed);
}

static int compare_all(struct comparison *comparison) {
  int result = share_zones(comparison);
  for (size_t i = 0; i < comparison->zone_count; i++)
    for (size_t j = 0; j < comparison->zone_count; j++)
      for (enum address_family family = FAMILY_IPV4; result == 0 && family <= FAMILY_IPV6; family++)
        if (i != 0 || j != 0) /* the gateway may speak with itself */
          result = compare_pair(comparison, &comparison->zones[i], &comparison->zones[j], family);
  return result;
}

static void conclude(const struct comparison *comparison, struct exact_difference *ret_difference) {
  bool overdrawn =
      desk_overdrawn(&comparison->desk) || (comparison->times != NULL && time_words_failed(comparison->times));
  *ret_difference = (struct exact_difference){
      .equal = !comparison->unequal && !overdrawn,
      .complete = !overdrawn && !comparison->opened.more && !comparison->closed.more && !comparison->retimed.more,
      .opened = comparison->opened.boxes,
      .closed = comparison->closed.boxes,
      .opened_count = comparison->opened.count,
      .closed_count = comparison->closed.count,
      .retimed = comparison->retimed.boxes,
      .retimed_count = comparison->retimed.count,
  };
}

static int enter(struct comparison *comparison, const struct authorised_question *question,
                 struct authorised **ret_side) {
  struct desk *desk = &comparison->desk;
  if (question->policy == NULL)
    return 0;
  *ret_side = authorised_new(question, desk->space, desk->store, desk->scratch);
  return *ret_side != NULL ? desk_add_policy(desk, question->policy) : -ENOMEM;
}

static int compare(const struct authorised_question *before, const struct authorised_question *after,
                   struct arena *arena, struct exact_difference *ret_difference) {
  struct comparison comparison = {.before = before->policy, .after = after->policy};
  int result = desk_open(&comparison.desk, arena);
  bool timed = after->when != WHEN_NOW && before->policy != NULL && after->policy != NULL;
  if (result == 0 && timed)
    comparison.times = time_words_new(comparison.desk.scratch, after->now);
  if (timed && comparison.times == NULL)
    result = -ENOMEM;
  if (result == 0)
    result = enter(&comparison, before, &comparison.old);
  if (result == 0)
    result = enter(&comparison, after, &comparison.new);
  if (result == 0)
    result = compare_all(&comparison);
  if (result == 0)
    conclude(&comparison, ret_difference);
  desk_close(&comparison.desk);
  return result;
}

int exact_compare(const struct exact_side *before, const struct exact_side *after, const struct address_set *own,
                  struct instant now, enum authorised_when when, struct arena *arena,
                  struct exact_difference *ret_difference) {
  const struct authorised_question old = {before->policy, before->restrictions, own, now, when, NULL};
  const struct authorised_question new = {after->policy, after->restrictions, own, now, when, NULL};
  return compare(&old, &new, arena, ret_difference);
}

static struct shared_zone shared(zone_index before, zone_index after) {
  return (struct shared_zone){before, after};
}

static bool same_zone(const struct policy *left, zone_index one, const struct policy *right, zone_index other) {
  if (one < 0 || other < 0)
    return one == other;
  return strcmp(left->zones[one].name, right->zones[other].name) == 0;
}

/* Between the zones of the new flow; one that joined others before covered nothing of it. */
static int compare_flows(struct comparison *comparison, const struct flow *old_flow, const struct flow *new_flow) {
  bool same = same_zone(comparison->before, old_flow->from_zone, comparison->after, new_flow->from_zone) &&
              same_zone(comparison->before, old_flow->to_zone, comparison->after, new_flow->to_zone);
  struct shared_zone from = shared(same ? old_flow->from_zone : ZONE_NONE, new_flow->from_zone);
  struct shared_zone to = shared(same ? old_flow->to_zone : ZONE_NONE, new_flow->to_zone);
  int result = compare_pair(comparison, &from, &to, FAMILY_IPV4);
  return result == 0 ? compare_pair(comparison, &from, &to, FAMILY_IPV6) : result;
}

/* Each as if it were the only flow of its policy. */
int exact_widening(const struct policy *before, const struct flow *old_flow, const struct policy *after,
                   const struct flow *new_flow, struct arena *arena, struct exact_difference *ret_difference) {
  struct comparison comparison = {.before = before, .after = after};
  const struct authorised_question old = {.policy = before, .when = WHEN_EVER, .only = old_flow};
  const struct authorised_question new = {.policy = after, .when = WHEN_EVER, .only = new_flow};
  int result = desk_open(&comparison.desk, arena);
  if (result == 0)
    result = enter(&comparison, &old, &comparison.old);
  if (result == 0)
    result = enter(&comparison, &new, &comparison.new);
  if (result == 0)
    result = compare_flows(&comparison, old_flow, new_flow);
  if (result == 0)
    conclude(&comparison, ret_difference);
  desk_close(&comparison.desk);
  return result;
}
