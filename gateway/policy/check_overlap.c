/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flows that cover one another: shadowed (W05), overlapping (W06, a note), overlapping with a limit (P13).
 *
 * Theory of operation: a flow opens boxes in three dimensions: destination, service, source. Each (flow, service) is
 * one box, its address sets taken by their hulls. Flows of one zone pair are split again and again into runs that do
 * not touch in one dimension, the dimensions in turn; what no dimension splits further is swept along the dimension in
 * which the fewest boxes meet. Real files fall apart into tiny runs, so the cost is n log n; the worst is the number of
 * boxes that meet in every single dimension. Boxes that meet are then compared exactly, by the sets.
 *
 * Each flow is told at most once, of the worst that was found; so the answer grows with the flows, not with the pairs.
 */
#include "policy/check_parts.h"

#include <stdlib.h>

enum dimension { DIMENSION_TO, DIMENSION_SERVICE, DIMENSION_FROM, DIMENSION_COUNT_ };

/* In order of gravity. */
enum relation { RELATION_NONE, RELATION_OVERLAP, RELATION_SHADOWED, RELATION_LIMIT };

struct extent {
  const struct flow *flow;
  struct address_set from, to;
  enum relation relation;
  const struct flow *other; /* with which; the first of the file */
};

struct box {
  struct extent *extent;
  struct address low[DIMENSION_COUNT_], high[DIMENSION_COUNT_];
};

/* A service as a point or span of one line, in the form of addresses so that one comparison serves all dimensions. */
static struct address service_point(uint8_t protocol, uint16_t port) {
  return address_from_ipv4((uint32_t)protocol << 16 | port);
}

static uint16_t service_first(const struct service *service) {
  return service->protocol == 1 || service->protocol == 58 ? service->icmp_type : service->first_port;
}

static uint16_t service_last(const struct service *service) {
  return service->protocol == 1 || service->protocol == 58 ? service->icmp_type : service->last_port;
}

/* ---- exact comparison of two flows ---- */

static bool services_cover(const struct flow *outer, const struct service *inner) {
  unsigned at = service_first(inner), last = service_last(inner);
  for (bool moved = true; moved && at <= last;) {
    moved = false;
    for (size_t i = 0; i < outer->service_count && at <= last; i++) {
      const struct service *service = &outer->services[i];
      if (service->protocol == inner->protocol && service_first(service) <= at && service_last(service) >= at) {
        at = service_last(service) + 1U;
        moved = true;
      }
    }
  }
  return at > last;
}

static bool set_covers(const struct address_set *outer, const struct address_set *inner) {
  size_t at = 0;
  for (size_t i = 0; i < inner->count; i++) {
    while (at < outer->count && address_compare(&outer->ranges[at].last, &inner->ranges[i].first) < 0)
      at++;
    if (at == outer->count || !range_contains_range(&outer->ranges[at], &inner->ranges[i]))
      return false;
  }
  return true;
}

/* Whenever `inner` is in force, so is `outer`. */
static bool time_covers(const struct flow *outer, const struct flow *inner) {
  if (outer->window_count > 0 || outer->hours.set)
    return false;
  return !outer->expires_set || (inner->expires_set && inner->expires.seconds <= outer->expires.seconds);
}

static bool covers(const struct extent *outer, const struct extent *inner) {
  if (!time_covers(outer->flow, inner->flow) || !set_covers(&outer->to, &inner->to) ||
      !set_covers(&outer->from, &inner->from))
    return false;
  for (size_t i = 0; i < inner->flow->service_count; i++)
    if (!services_cover(outer->flow, &inner->flow->services[i]))
      return false;
  return true;
}

static bool windows_meet(const struct flow *one, const struct flow *other) {
  if (one->window_count == 0)
    return true;
  for (size_t i = 0; i < one->window_count; i++) {
    if (other->expires_set && one->windows[i].start.seconds >= other->expires.seconds)
      continue;
    if (other->window_count == 0)
      return true;
    for (size_t j = 0; j < other->window_count; j++)
      if (one->windows[i].start.seconds < other->windows[j].end.seconds &&
          other->windows[j].start.seconds < one->windows[i].end.seconds)
        return true;
  }
  return false;
}

static void remember(struct extent *extent, enum relation relation, const struct flow *other) {
  if (relation < extent->relation ||
      (relation == extent->relation && extent->other != NULL && extent->other->index <= other->index))
    return;
  extent->relation = relation;
  extent->other = other;
}

/* Nothing graver is known of the flow than that it overlaps, or the other flow would be named in place of a later one.
 */
static bool may_be_shadowed_by(const struct extent *extent, const struct extent *other) {
  return extent->relation < RELATION_SHADOWED ||
         (extent->relation == RELATION_SHADOWED && other->flow->index < extent->other->index);
}

static bool extents_meet(const struct extent *one, const struct extent *other) {
  return address_set_overlaps(&one->to, &other->to) && address_set_overlaps(&one->from, &other->from) &&
         windows_meet(one->flow, other->flow) && windows_meet(other->flow, one->flow);
}

static void compare_flows(struct extent *one, struct extent *other) {
  struct extent *early = one->flow->index < other->flow->index ? one : other;
  struct extent *late = early == one ? other : one;
  bool limited = early->flow->limit.set || late->flow->limit.set;
  if (early == late || (!limited && !may_be_shadowed_by(late, early) && !may_be_shadowed_by(early, late)) ||
      !extents_meet(early, late))
    return;
  if (limited)
    remember(late, RELATION_LIMIT, early->flow);
  else if (covers(early, late))
    remember(late, RELATION_SHADOWED, early->flow);
  else if (covers(late, early))
    remember(early, RELATION_SHADOWED, late->flow);
  else
    remember(late, RELATION_OVERLAP, early->flow);
}

/* ---- finding boxes that meet ---- */

static int order_along(const struct box *one, const struct box *other, enum dimension dimension) {
  int low = address_compare(&one->low[dimension], &other->low[dimension]);
  if (low != 0)
    return low;
  return one->extent < other->extent ? -1 : one->extent > other->extent;
}

static int compare_along(const void *left, const void *right, void *dimension) {
  return order_along(left, right, *(const enum dimension *)dimension);
}

static void sort_along(struct box *boxes, size_t count, enum dimension dimension) {
  qsort_r(boxes, count, sizeof(boxes[0]), compare_along, &dimension);
}

static bool boxes_meet(const struct box *one, const struct box *other) {
  for (int i = 0; i < DIMENSION_COUNT_; i++)
    if (address_compare(&one->low[i], &other->high[i]) > 0 || address_compare(&other->low[i], &one->high[i]) > 0)
      return false;
  return true;
}

static int compare_addresses(const void *left, const void *right) {
  return address_compare(left, right);
}

/* How many pairs meet along one dimension; the boxes are left sorted along it. */
static uint64_t count_meetings(struct check *check, struct box *boxes, size_t count, enum dimension dimension) {
  struct address *ends = ARENA_ARRAY(check->scratch, count, struct address);
  uint64_t meetings = 0;
  if (ends == NULL)
    return UINT64_MAX;
  sort_along(boxes, count, dimension);
  for (size_t i = 0; i < count; i++)
    ends[i] = boxes[i].high[dimension];
  qsort(ends, count, sizeof(ends[0]), compare_addresses);
  for (size_t i = 0, ended = 0; i < count; i++) {
    while (address_compare(&ends[ended], &boxes[i].low[dimension]) < 0)
      ended++;
    meetings += i - ended;
  }
  return meetings;
}

static void sweep(struct check *check, struct box *boxes, size_t count) {
  enum dimension best = DIMENSION_TO;
  uint64_t fewest = UINT64_MAX;
  for (int i = 0; i < DIMENSION_COUNT_; i++) {
    uint64_t meetings = count_meetings(check, boxes, count, (enum dimension)i);
    if (meetings < fewest) {
      fewest = meetings;
      best = (enum dimension)i;
    }
  }
  const struct box **active = ARENA_ARRAY(check->scratch, count, const struct box *);
  if (active == NULL)
    return;
  sort_along(boxes, count, best);
  for (size_t i = 0, live = 0; i < count; i++) {
    size_t kept = 0;
    for (size_t j = 0; j < live; j++) {
      if (address_compare(&active[j]->high[best], &boxes[i].low[best]) < 0)
        continue;
      active[kept++] = active[j];
      if (active[j]->extent != boxes[i].extent && boxes_meet(active[j], &boxes[i]))
        compare_flows(active[j]->extent, boxes[i].extent);
    }
    live = kept;
    active[live++] = &boxes[i];
  }
}

/* tried: dimensions in a row that took less than an eighth off. */
static void split(struct check *check, struct box *boxes, size_t count, enum dimension dimension, int tried) {
  enum { SMALL = 8 };
  if (count < 2)
    return;
  if (count <= SMALL || tried == DIMENSION_COUNT_) {
    sweep(check, boxes, count);
    return;
  }
  enum dimension following = (enum dimension)((dimension + 1) % DIMENSION_COUNT_);
  sort_along(boxes, count, dimension);
  for (size_t first = 0, next; first < count; first = next) {
    struct address reach = boxes[first].high[dimension];
    for (next = first + 1; next < count && address_compare(&boxes[next].low[dimension], &reach) <= 0; next++)
      if (address_compare(&boxes[next].high[dimension], &reach) > 0)
        reach = boxes[next].high[dimension];
    bool stuck = next - first > count - count / 8;
    split(check, &boxes[first], next - first, following, stuck ? tried + 1 : 0);
  }
}

/* ---- what is compared with what ---- */

static bool is_compared(const struct check *check, const struct flow *flow) {
  const struct flow_state *state = &check->flows[flow->index];
  return !state->over && !state->never && flow->from_zone != ZONE_NONE && flow->to_zone != ZONE_NONE &&
         flow->from_zone != flow->to_zone && flow->service_count > 0;
}

static size_t add_boxes(struct box *boxes, size_t count, struct extent *extent) {
  for (size_t i = 0; i < extent->flow->service_count; i++) {
    const struct service *service = &extent->flow->services[i];
    struct box *box = &boxes[count++];
    box->extent = extent;
    box->low[DIMENSION_TO] = extent->to.ranges[0].first;
    box->high[DIMENSION_TO] = extent->to.ranges[extent->to.count - 1].last;
    box->low[DIMENSION_FROM] = extent->from.ranges[0].first;
    box->high[DIMENSION_FROM] = extent->from.ranges[extent->from.count - 1].last;
    box->low[DIMENSION_SERVICE] = service_point(service->protocol, service_first(service));
    box->high[DIMENSION_SERVICE] = service_point(service->protocol, service_last(service));
  }
  return count;
}

static int compare_pairs(const void *left, const void *right) {
  const struct extent *one = left, *other = right;
  if (one->flow->from_zone != other->flow->from_zone)
    return one->flow->from_zone < other->flow->from_zone ? -1 : 1;
  if (one->flow->to_zone != other->flow->to_zone)
    return one->flow->to_zone < other->flow->to_zone ? -1 : 1;
  return one->flow->index < other->flow->index ? -1 : one->flow->index > other->flow->index;
}

static bool same_pair(const struct extent *one, const struct extent *other) {
  return one->flow->from_zone == other->flow->from_zone && one->flow->to_zone == other->flow->to_zone;
}

static size_t collect_extents(struct check *check, struct extent *extents, size_t *ret_boxes) {
  const struct policy *policy = check->policy;
  size_t count = 0, boxes = 0;
  for (size_t i = 0; i < policy->flow_count; i++) {
    const struct flow *flow = &policy->flows[i];
    struct extent extent = {.flow = flow};
    if (!is_compared(check, flow) ||
        policy_end_addresses(policy, flow->from, flow->from_count, flow->to_zone, check->scratch, &extent.from) < 0 ||
        policy_end_addresses(policy, flow->to, flow->to_count, flow->from_zone, check->scratch, &extent.to) < 0 ||
        extent.from.count == 0 || extent.to.count == 0)
      continue;
    extents[count++] = extent;
    boxes += flow->service_count;
  }
  *ret_boxes = boxes;
  return count;
}

/* ---- what is told ---- */

static void report_limit(struct check *check, const struct flow *flow, const struct flow *other) {
  const struct flow *limited = flow->limit.set ? flow : other;
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_ERROR, "P13",
      flow->limit.set ? check_at(check, flow->limit.place, "limit") : check_at_name(check, flow->place, flow->name),
      flow->name,
      "通信 %s と重なっていますが、%s には limit があります。同じパケットがどちらの上限で数えられるか決まりません",
      "it overlaps flow '%s', and '%s' has a limit: which limit counts a packet of both is not clear", other->name,
      limited->name);
  diagnostic_hint(check->diagnostics, found,
                  "limit のある通信は、ほかの通信と機器・ポートが重ならないように分けてください",
                  "keep the hosts and ports of a flow with a limit apart from those of other flows");
  diagnostic_relate(check->diagnostics, found, check_at_name(check, other->place, other->name), "重なっている通信 %s",
                    "the flow that it overlaps, '%s'", other->name);
}

static void report_shadow(struct check *check, const struct flow *flow, const struct flow *other) {
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_WARNING, "W05", check_at_name(check, flow->place, flow->name),
                     flow->name, "この通信はすべて通信 %s に含まれています。削除しても何も遮断されません",
                     "it lies wholly within flow '%s'; removing it would stop nothing", other->name);
  diagnostic_hint(check->diagnostics, found,
                  "どちらか一方を残してください。この通信だけを認めるつもりなら、広いほうを絞ります",
                  "keep one of the two; if only this one is meant, narrow the wider one");
  diagnostic_relate(check->diagnostics, found, check_at_name(check, other->place, other->name), "この通信を含む %s",
                    "'%s' contains it", other->name);
}

static void report_overlap(struct check *check, const struct flow *flow, const struct flow *other) {
  const struct flow *first = flow->index < other->index ? flow : other;
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_NOTE, "W06", check_at_name(check, flow->place, flow->name), flow->name,
      "通信 %s と一部が重なっています。両方に当たるパケットは、先に書かれた %s として数えられます",
      "it overlaps flow '%s' in part; packets of both are counted for '%s', the first of the file", other->name,
      first->name);
  diagnostic_relate(check->diagnostics, found, check_at_name(check, other->place, other->name), "重なっている通信 %s",
                    "the flow that it overlaps, '%s'", other->name);
}

static void report(struct check *check, const struct extent *extent) {
  static void (*const reports[])(struct check *, const struct flow *, const struct flow *) = {
      [RELATION_OVERLAP] = report_overlap,
      [RELATION_SHADOWED] = report_shadow,
      [RELATION_LIMIT] = report_limit,
  };
  if (extent->relation != RELATION_NONE)
    reports[extent->relation](check, extent->flow, extent->other);
}

void check_overlaps(struct check *check) {
  struct extent *extents = ARENA_ARRAY(check->scratch, check->policy->flow_count + 1, struct extent);
  size_t box_room = 0, count = extents != NULL ? collect_extents(check, extents, &box_room) : 0;
  struct box *boxes = ARENA_ARRAY(check->scratch, box_room + 1, struct box);
  if (count < 2 || boxes == NULL)
    return;
  qsort(extents, count, sizeof(extents[0]), compare_pairs);
  for (size_t first = 0, next; first < count; first = next) {
    size_t box_count = 0;
    for (next = first; next < count && same_pair(&extents[next], &extents[first]); next++)
      box_count = add_boxes(boxes, box_count, &extents[next]);
    split(check, boxes, box_count, DIMENSION_TO, 0);
  }
  for (size_t i = 0; i < count; i++)
    report(check, &extents[i]);
}
