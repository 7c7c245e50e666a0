/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may open a connection where: the sets of one policy, listed. */
#include <errno.h>

#include "proof/exact_parts.h"

struct inquiry {
  struct desk desk;
  const struct policy *policy;
  struct authorised *authorised;
  struct box_list found;
};

static int begin(struct inquiry *inquiry, const struct authorised_question *question, struct arena *arena) {
  *inquiry = (struct inquiry){.policy = question->policy};
  int result = desk_open(&inquiry->desk, arena);
  if (result < 0)
    return result;
  inquiry->authorised = authorised_new(question, inquiry->desk.space, inquiry->desk.store, inquiry->desk.scratch);
  return inquiry->authorised != NULL ? desk_add_policy(&inquiry->desk, question->policy) : -ENOMEM;
}

static int list_pair(struct inquiry *inquiry, zone_index from, zone_index to, enum address_family family,
                     const struct address_range *destination) {
  struct desk *desk = &inquiry->desk;
  struct zone_pair pair = {from, to, false};
  if (destination != NULL && destination->first.family != family)
    return 0;
  diagram set = desk_passes(desk, inquiry->authorised, &pair, family);
  if (destination != NULL) {
    struct diagram_field field = space_field(desk->space, FIELD_DESTINATION, (unsigned)address_length(family) * 8);
    set = diagram_and(desk->store, set,
                      diagram_range(desk->store, &field, destination->first.bytes, destination->last.bytes));
  }
  return desk_list_boxes(desk, inquiry->authorised, inquiry->policy, &pair, family, set, &inquiry->found);
}

static int list_both(struct inquiry *inquiry, zone_index from, zone_index to, const struct address_range *destination) {
  int result = list_pair(inquiry, from, to, FAMILY_IPV4, destination);
  return result == 0 ? list_pair(inquiry, from, to, FAMILY_IPV6, destination) : result;
}

int exact_who_can_reach(const struct policy *policy, const struct restrictions *restrictions, zone_index zone,
                        const struct address_range *destination, struct instant now, bool at_any_time,
                        struct arena *arena, struct exact_box **ret_boxes, size_t *ret_count, bool *ret_complete) {
  const struct authorised_question question = {
      .policy = policy, .restrictions = restrictions, .now = now, .when = at_any_time ? WHEN_FROM_NOW_ON : WHEN_NOW};
  struct inquiry inquiry;
  int result = begin(&inquiry, &question, arena);
  for (zone_index from = 0; result == 0 && (size_t)from < policy->zone_count; from++)
    result = list_both(&inquiry, from, zone, destination);
  if (result == 0 && zone != ZONE_GATEWAY)
    result = list_both(&inquiry, ZONE_GATEWAY, zone, destination);
  if (result == 0) {
    *ret_boxes = inquiry.found.boxes;
    *ret_count = inquiry.found.count;
    *ret_complete = !inquiry.found.more && !desk_overdrawn(&inquiry.desk);
  }
  desk_close(&inquiry.desk);
  return result;
}

int exact_any_packet(const struct policy *policy, struct instant now, struct arena *arena, struct exact_pair *pairs,
                     size_t pair_count) {
  const struct authorised_question question = {.policy = policy, .now = now, .when = WHEN_FROM_NOW_ON};
  struct inquiry inquiry;
  int result = begin(&inquiry, &question, arena);
  for (size_t i = 0; result == 0 && i < pair_count; i++) {
    inquiry.found = (struct box_list){0};
    result = list_both(&inquiry, pairs[i].from, pairs[i].to, NULL);
    pairs[i].any = inquiry.found.count != 0;
    if (pairs[i].any)
      pairs[i].example = inquiry.found.boxes[0];
  }
  if (result == 0 && desk_overdrawn(&inquiry.desk))
    result = -E2BIG;
  desk_close(&inquiry.desk);
  return result;
}
