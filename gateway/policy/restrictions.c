/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/restrictions.h"

#include <string.h>

const char *cut_kind_name(enum cut_kind kind) {
  static const char *const names[CUT_KIND_COUNT_] = {
      [CUT_HOST] = "host", [CUT_PAIR] = "pair", [CUT_ZONE] = "zone", [CUT_ALL] = "all"};
  return names[kind];
}

/* ---- cuts ---- */

const struct cut *restrictions_find_address_cut(const struct restrictions *restrictions,
                                                const struct address *address) {
  for (size_t i = 0; restrictions != NULL && i < restrictions->cut_count; i++) {
    const struct cut *cut = &restrictions->cuts[i];
    if (cut->kind == CUT_HOST && address_equal(&cut->address, address))
      return cut;
  }
  return NULL;
}

bool restrictions_cut_address(const struct restrictions *restrictions, const struct address *address) {
  return restrictions_find_address_cut(restrictions, address) != NULL;
}

static bool is_management(const struct policy *policy, zone_index zone) {
  return zone >= 0 && policy->zones[zone].class_known && policy->zones[zone].class == CLASS_MANAGEMENT;
}

/* The way by which a cut is lifted. */
static bool is_way_in(const struct policy *policy, zone_index left, zone_index right) {
  return (left == ZONE_GATEWAY && is_management(policy, right)) ||
         (right == ZONE_GATEWAY && is_management(policy, left));
}

static bool has_name(const struct policy *policy, zone_index zone, const char *name) {
  return zone != ZONE_NONE && strcmp(policy_zone_name(policy, zone), name) == 0;
}

static bool pair_is_cut(const struct policy *policy, const struct cut *cut, zone_index left, zone_index right) {
  return (has_name(policy, left, cut->zone) && has_name(policy, right, cut->other_zone)) ||
         (has_name(policy, left, cut->other_zone) && has_name(policy, right, cut->zone));
}

static bool zone_is_cut(const struct policy *policy, const struct cut *cut, zone_index left, zone_index right) {
  bool touched = has_name(policy, left, cut->zone) || has_name(policy, right, cut->zone);
  return touched && !is_way_in(policy, left, right);
}

const struct cut *restrictions_find_zone_cut(const struct restrictions *restrictions, const struct policy *policy,
                                             zone_index left, zone_index right) {
  for (size_t i = 0; restrictions != NULL && i < restrictions->cut_count; i++) {
    const struct cut *cut = &restrictions->cuts[i];
    if ((cut->kind == CUT_PAIR && pair_is_cut(policy, cut, left, right)) ||
        (cut->kind == CUT_ZONE && zone_is_cut(policy, cut, left, right)) ||
        (cut->kind == CUT_ALL && !is_way_in(policy, left, right)))
      return cut;
  }
  return NULL;
}

bool restrictions_cut_zones(const struct restrictions *restrictions, const struct policy *policy, zone_index left,
                            zone_index right) {
  return restrictions_find_zone_cut(restrictions, policy, left, right) != NULL;
}

/* ---- time ---- */

static bool depends_on_time(const struct flow *flow) {
  return flow->expires_set || flow->window_count > 0 || flow->hours.set;
}

/* The end of a closing that holds the flow back now; INSTANT_NEVER when none does. */
static struct instant closed_until(const struct restrictions *restrictions, const struct flow *flow,
                                   struct instant now) {
  struct instant until = INSTANT_NEVER;
  for (size_t i = 0; i < restrictions->closed_window_count; i++) {
    const struct closed_window *closed = &restrictions->closed_windows[i];
    bool holds = strcmp(closed->flow, flow->name) == 0 && closed->until.seconds > now.seconds;
    if (holds && (until.seconds == INSTANT_NEVER.seconds || closed->until.seconds > until.seconds))
      until = closed->until;
  }
  return until;
}

enum force_state restricted_flow_force(const struct policy *policy, const struct restrictions *restrictions,
                                       const struct flow *flow, struct instant now, struct instant *ret_until) {
  struct instant until = INSTANT_NEVER;
  enum force_state state = policy_flow_force(policy, flow, now, &until);
  if (restrictions != NULL && state != FORCE_EXPIRED) {
    struct instant closed = closed_until(restrictions, flow, now);
    struct instant deadline =
        restrictions->flow_deadlines != NULL ? restrictions->flow_deadlines[flow->index] : INSTANT_NEVER;
    if (deadline.seconds <= now.seconds) {
      state = FORCE_EXPIRED;
      until = INSTANT_NEVER;
    } else if (restrictions->clock_doubtful && depends_on_time(flow)) {
      state = FORCE_OUTSIDE_WINDOW;
      until = INSTANT_NEVER;
    } else if (closed.seconds != INSTANT_NEVER.seconds && state == FORCE_YES) {
      state = FORCE_OUTSIDE_WINDOW;
      until = instant_earlier(closed, deadline);
    } else {
      until = instant_earlier(until, deadline);
    }
  }
  if (ret_until != NULL)
    *ret_until = until;
  return state;
}

bool restricted_within(const struct policy *policy, const struct restrictions *restrictions, zone_index zone,
                       struct instant now, struct instant *ret_until) {
  struct instant deadline = restrictions != NULL && restrictions->within_deadlines != NULL
                                ? restrictions->within_deadlines[zone]
                                : INSTANT_NEVER;
  if (ret_until != NULL)
    *ret_until = deadline.seconds > now.seconds ? deadline : INSTANT_NEVER;
  return policy->zones[zone].within && deadline.seconds > now.seconds;
}
