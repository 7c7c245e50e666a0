/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rules/trial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rules/compile.h"

/* A flow of the confirmed policy under its mark. */
struct marked {
  uint32_t mark;
  uint32_t flow;
};

struct trial {
  const struct policy *pending, *confirmed;
  struct instant deadline, now;
  struct arena *arena;
  const uint32_t *pending_marks;
  struct marked *marked; /* sorted by mark */
  bool *changed;         /* zones of the pending policy that the confirmed one has not, or not so */
  int status;            /* of the first allocation that failed */
};

/* ---- zones ---- */

static struct address_set set_of(struct trial *trial, const struct placed_range *ranges, size_t count) {
  struct address_range *plain = ARENA_ARRAY(trial->arena, count, struct address_range);
  struct address_set set = {0};
  for (size_t i = 0; plain != NULL && i < count; i++)
    plain[i] = ranges[i].range;
  if (plain == NULL || address_set_build(trial->arena, plain, count, &set) < 0)
    trial->status = -ENOMEM;
  return set;
}

static bool same_set(const struct address_set *left, const struct address_set *right) {
  if (left->count != right->count)
    return false;
  for (size_t i = 0; i < left->count; i++)
    if (!range_equal(&left->ranges[i], &right->ranges[i]))
      return false;
  return true;
}

static bool same_ranges(struct trial *trial, const struct placed_range *left, size_t left_count,
                        const struct placed_range *right, size_t right_count) {
  struct address_set first = set_of(trial, left, left_count), second = set_of(trial, right, right_count);
  return same_set(&first, &second);
}

/* The default space of a zone is what the others leave of it. */
static bool claims_more(struct trial *trial, zone_index pending, zone_index confirmed) {
  struct address_set now = {0}, before = {0}, more = {0};
  if (policy_zone_addresses(trial->pending, pending, trial->arena, &now) < 0 ||
      policy_zone_addresses(trial->confirmed, confirmed, trial->arena, &before) < 0 ||
      address_set_subtract(trial->arena, &now, &before, &more) < 0)
    trial->status = -ENOMEM;
  return more.count > 0;
}

static bool has_interface(const struct zone *zone, const char *name) {
  for (size_t i = 0; i < zone->interface_count; i++)
    if (strcmp(zone->interfaces[i].text, name) == 0)
      return true;
  return false;
}

static bool same_interfaces(const struct zone *left, const struct zone *right) {
  for (size_t i = 0; i < left->interface_count; i++)
    if (!has_interface(right, left->interfaces[i].text))
      return false;
  return left->interface_count == right->interface_count;
}

/* ---- pinned hosts ---- */

struct pin {
  struct mac mac;
  struct address_range range;
};

struct pin_list {
  struct pin *items;
  size_t count, capacity;
  struct address_set addresses;
};

static int compare_pins(const void *left, const void *right) {
  const struct pin *first = left, *second = right;
  int order = memcmp(&first->mac, &second->mac, sizeof first->mac);
  if (order == 0)
    order = address_compare(&first->range.first, &second->range.first);
  return order != 0 ? order : address_compare(&first->range.last, &second->range.last);
}

static void add_pins(struct trial *trial, struct pin_list *list, const struct host *host) {
  for (size_t i = 0; i < host->mac_count * host->address_count; i++) {
    if (arena_grow(trial->arena, (void **)&list->items, list->count, &list->capacity, sizeof *list->items) < 0) {
      trial->status = -ENOMEM;
      return;
    }
    list->items[list->count++] =
        (struct pin){host->macs[i % host->mac_count], host->addresses[i / host->mac_count].range};
  }
}

static struct pin_list pins_of(struct trial *trial, const struct policy *policy, zone_index zone) {
  struct pin_list list = {0};
  for (size_t i = 0; i < policy->host_count; i++)
    if (policy->hosts[i].zone == zone && policy->hosts[i].mac_scope == MAC_SCOPE_DIRECT)
      add_pins(trial, &list, &policy->hosts[i]);
  struct address_range *ranges = ARENA_ARRAY(trial->arena, list.count, struct address_range);
  for (size_t i = 0; ranges != NULL && i < list.count; i++)
    ranges[i] = list.items[i].range;
  if (ranges == NULL || address_set_build(trial->arena, ranges, list.count, &list.addresses) < 0)
    trial->status = -ENOMEM;
  if (list.count > 0)
    qsort(list.items, list.count, sizeof *list.items, compare_pins);
  return list;
}

/* Whether an address that was pinned no longer is, or is pinned to one MAC more. */
static bool pins_are_looser(struct trial *trial, zone_index pending, zone_index confirmed) {
  struct pin_list now = pins_of(trial, trial->pending, pending), before = pins_of(trial, trial->confirmed, confirmed);
  struct address_set freed = {0};
  if (address_set_subtract(trial->arena, &before.addresses, &now.addresses, &freed) < 0)
    trial->status = -ENOMEM;
  for (size_t i = 0; i < now.count; i++) {
    const struct address_set range = {.ranges = &now.items[i].range, .count = 1};
    bool old = before.count > 0 &&
               bsearch(&now.items[i], before.items, before.count, sizeof *before.items, compare_pins) != NULL;
    if (!old && address_set_overlaps(&range, &before.addresses))
      return true;
  }
  return freed.count > 0;
}

static bool zone_changed(struct trial *trial, zone_index pending) {
  const struct zone *zone = &trial->pending->zones[pending];
  zone_index confirmed = policy_find_zone(trial->confirmed, zone->name);
  if (confirmed < 0)
    return true;
  const struct zone *before = &trial->confirmed->zones[confirmed];
  return zone->class != before->class || zone->within != before->within || zone->on_deny != before->on_deny ||
         zone->default_route != before->default_route || !same_interfaces(zone, before) ||
         !same_ranges(trial, zone->networks, zone->network_count, before->networks, before->network_count) ||
         !same_ranges(trial, zone->remote, zone->remote_count, before->remote, before->remote_count) ||
         claims_more(trial, pending, confirmed) || pins_are_looser(trial, pending, confirmed);
}

/* A special range that this policy exempts and the confirmed one did not. */
static bool exempts_more(struct trial *trial) {
  const struct policy_header *now = &trial->pending->header, *before = &trial->confirmed->header;
  struct address_set left = set_of(trial, now->special_exempt, now->special_exempt_count),
                     right = set_of(trial, before->special_exempt, before->special_exempt_count), more = {0};
  if (address_set_subtract(trial->arena, &left, &right, &more) < 0)
    trial->status = -ENOMEM;
  return more.count > 0;
}

static bool either_changed(const struct trial *trial, const struct flow *flow) {
  return (flow->from_zone >= 0 && trial->changed[flow->from_zone]) ||
         (flow->to_zone >= 0 && trial->changed[flow->to_zone]);
}

/* ---- flows ---- */

static int compare_marked(const void *left, const void *right) {
  uint32_t first = ((const struct marked *)left)->mark, second = ((const struct marked *)right)->mark;
  return (first > second) - (first < second);
}

static const struct flow *confirmed_flow(const struct trial *trial, const struct flow *flow) {
  struct marked wanted = {.mark = trial->pending_marks[flow->index]};
  const struct marked *found =
      trial->confirmed->flow_count == 0
          ? NULL
          : bsearch(&wanted, trial->marked, trial->confirmed->flow_count, sizeof *trial->marked, compare_marked);
  return found == NULL ? NULL : &trial->confirmed->flows[found->flow];
}

/* 0 is no limit. */
static bool limit_is_looser(uint64_t now, uint64_t before) {
  return before != 0 && (now == 0 || now > before);
}

static bool limits_are_looser(const struct flow *flow, const struct flow *before) {
  return limit_is_looser(flow->limit.new_per_second, before->limit.new_per_second) ||
         limit_is_looser(flow->limit.connections, before->limit.connections);
}

static bool is_recurring(const struct flow *flow) {
  return flow->window_count > 0 || flow->hours.set;
}

static bool same_windows(const struct flow *left, const struct flow *right) {
  for (size_t i = 0; i < left->window_count && i < right->window_count; i++)
    if (left->windows[i].start.seconds != right->windows[i].start.seconds ||
        left->windows[i].end.seconds != right->windows[i].end.seconds ||
        left->windows[i].valid != right->windows[i].valid)
      return false;
  return left->window_count == right->window_count;
}

static bool same_hours(const struct trial *trial, const struct flow *left, const struct flow *right) {
  if (!left->hours.set || !right->hours.set)
    return left->hours.set == right->hours.set;
  return left->hours.weekdays == right->hours.weekdays && left->hours.first_minute == right->hours.first_minute &&
         left->hours.last_minute == right->hours.last_minute &&
         strcmp(trial->pending->header.timezone_name, trial->confirmed->header.timezone_name) == 0;
}

static int64_t end_of(const struct flow *flow) {
  return flow->expires_set ? flow->expires.seconds : INSTANT_NEVER.seconds;
}

/* Whether whenever the one is in force, the other is. */
static bool times_are_covered(const struct trial *trial, const struct flow *flow, const struct flow *before) {
  if (end_of(flow) > end_of(before))
    return false;
  return !is_recurring(before) || (same_windows(flow, before) && same_hours(trial, flow, before));
}

static struct instant flow_deadline(const struct trial *trial, const struct flow *flow) {
  const struct flow *before = confirmed_flow(trial, flow);
  struct instant end;
  if (before == NULL || either_changed(trial, flow) || limits_are_looser(flow, before))
    return trial->deadline;
  if (times_are_covered(trial, flow, before))
    return INSTANT_NEVER;
  if (policy_flow_force(trial->confirmed, before, trial->now, &end) != FORCE_YES)
    return trial->deadline;
  return end.seconds > trial->deadline.seconds ? end : trial->deadline;
}

/* ---- the whole ---- */

static int prepare(struct trial *trial) {
  uint32_t *pending = NULL, *confirmed = NULL;
  int status = flow_marks(trial->pending, trial->arena, &pending);
  if (status == 0)
    status = flow_marks(trial->confirmed, trial->arena, &confirmed);
  trial->marked = ARENA_ARRAY(trial->arena, trial->confirmed->flow_count, struct marked);
  trial->changed = ARENA_ARRAY(trial->arena, trial->pending->zone_count, bool);
  if (status < 0 || pending == NULL || confirmed == NULL || trial->marked == NULL || trial->changed == NULL)
    return -ENOMEM;
  trial->pending_marks = pending;
  for (size_t i = 0; i < trial->confirmed->flow_count; i++)
    trial->marked[i] = (struct marked){confirmed[i], (uint32_t)i};
  if (trial->confirmed->flow_count > 0)
    qsort(trial->marked, trial->confirmed->flow_count, sizeof *trial->marked, compare_marked);
  bool everything = exempts_more(trial);
  for (size_t i = 0; i < trial->pending->zone_count; i++)
    trial->changed[i] = everything || zone_changed(trial, (zone_index)i);
  return trial->status;
}

int trial_deadlines(const struct policy *pending, const struct policy *confirmed, struct instant deadline,
                    struct instant now, struct arena *arena, struct restrictions *restrictions) {
  struct trial trial = {.pending = pending, .confirmed = confirmed, .deadline = deadline, .now = now, .arena = arena};
  struct instant *flows = ARENA_ARRAY(arena, pending->flow_count, struct instant);
  struct instant *within = ARENA_ARRAY(arena, pending->zone_count, struct instant);
  int status = flows == NULL || within == NULL ? -ENOMEM : confirmed == NULL ? 0 : prepare(&trial);
  if (status < 0)
    return status;
  for (size_t i = 0; i < pending->flow_count; i++)
    flows[i] = confirmed == NULL ? deadline : flow_deadline(&trial, &pending->flows[i]);
  for (size_t i = 0; i < pending->zone_count; i++)
    within[i] = confirmed == NULL || trial.changed[i] ? deadline : INSTANT_NEVER;
  restrictions->flow_deadlines = flows;
  restrictions->within_deadlines = within;
  return 0;
}
