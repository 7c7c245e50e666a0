/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "watch/index_parts.h"

/* A flow end that covers more segments than this is kept apart: lists stay linear in the size of the policy. */
enum { WIDE_SEGMENTS = 256 };

/* Everything that is needed only while building. */
struct build {
  struct arena *arena;   /* of the index */
  struct arena *scratch; /* freed at the end */
  struct index *index;
  struct address *bounds; /* where segments begin */
  size_t bound_count, bound_capacity;
  struct address_set *zone_sets;
  struct address_set special_sources, special_destinations, broadcasts, link_local, groups, cut_hosts;
  struct candidate *services; /* of all flows */
  size_t service_count;
  struct entry *entries[2];
  size_t entry_count[2], entry_capacity[2];
};

/* "This item stands in the list of this segment." */
struct entry {
  uint32_t segment, item;
};

struct fixed_prefix {
  enum address_family family;
  uint8_t first[16];
  unsigned length;
};

static const struct fixed_prefix LINK_LOCAL_PREFIXES[] = {
    {FAMILY_IPV4, {169, 254}, 16}, {FAMILY_IPV4, {0}, 32}, {FAMILY_IPV6, {0xfe, 0x80}, 10}, {FAMILY_IPV6, {0}, 128}};
static const struct fixed_prefix GROUP_PREFIXES[] = {
    {FAMILY_IPV4, {224}, 4}, {FAMILY_IPV4, {255, 255, 255, 255}, 32}, {FAMILY_IPV6, {0xff}, 8}};

size_t index_zone_slot(const struct index *index, zone_index zone) {
  return zone >= 0 ? (size_t)zone : index->policy->zone_count;
}

static struct address_range prefix_range(const struct fixed_prefix *prefix) {
  struct address_range range = {.first.family = prefix->family, .last.family = prefix->family};
  size_t length = address_length(prefix->family);
  memcpy(range.first.bytes, prefix->first, length);
  memcpy(range.last.bytes, prefix->first, length);
  for (unsigned bit = prefix->length; bit < length * 8; bit++)
    range.last.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
  return range;
}

/* ---- where segments begin ---- */

static int add_bound(struct build *build, const struct address *address) {
  if (arena_grow(build->scratch, (void **)&build->bounds, build->bound_count, &build->bound_capacity,
                 sizeof *build->bounds) < 0)
    return -ENOMEM;
  build->bounds[build->bound_count++] = *address;
  return 0;
}

static int add_bounds(struct build *build, const struct address_set *set) {
  for (size_t i = 0; set != NULL && i < set->count; i++) {
    struct address next;
    if (add_bound(build, &set->ranges[i].first) < 0)
      return -ENOMEM;
    if (address_next(&set->ranges[i].last, &next) && add_bound(build, &next) < 0)
      return -ENOMEM;
  }
  return 0;
}

static int set_of_host(struct build *build, const struct host *host, struct address_set *ret_set) {
  struct address_range *ranges = ARENA_ARRAY(build->scratch, host->address_count + 1, struct address_range);
  if (ranges == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < host->address_count; i++)
    ranges[i] = host->addresses[i].range;
  return address_set_build(build->scratch, ranges, host->address_count, ret_set);
}

static bool is_pinned(const struct host *host) {
  return host->mac_count > 0 && host->mac_scope == MAC_SCOPE_DIRECT;
}

static int collect_broadcasts(struct build *build) {
  const struct policy *policy = build->index->policy;
  size_t most = 0, count = 0;
  for (size_t i = 0; i < policy->zone_count; i++)
    most += policy->zones[i].network_count;
  struct address_range *ranges = ARENA_ARRAY(build->scratch, most + 1, struct address_range);
  if (ranges == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < policy->zone_count; i++) {
    const struct zone *zone = &policy->zones[i];
    for (size_t n = 0; n < zone->network_count; n++)
      if (range_broadcast(&zone->networks[n].range, &ranges[count].first)) {
        ranges[count].last = ranges[count].first;
        count++;
      }
  }
  return address_set_build(build->scratch, ranges, count, &build->broadcasts);
}

static int collect_prefixes(struct build *build, const struct fixed_prefix *prefixes, size_t count,
                            struct address_set *ret_set) {
  struct address_range *ranges = ARENA_ARRAY(build->scratch, count, struct address_range);
  if (ranges == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < count; i++)
    ranges[i] = prefix_range(&prefixes[i]);
  return address_set_build(build->scratch, ranges, count, ret_set);
}

static int collect_named(struct build *build) {
  return collect_prefixes(build, LINK_LOCAL_PREFIXES, sizeof LINK_LOCAL_PREFIXES / sizeof LINK_LOCAL_PREFIXES[0],
                          &build->link_local) < 0 ||
                 collect_prefixes(build, GROUP_PREFIXES, sizeof GROUP_PREFIXES / sizeof GROUP_PREFIXES[0],
                                  &build->groups) < 0
             ? -ENOMEM
             : 0;
}

static int collect_zones(struct build *build) {
  const struct policy *policy = build->index->policy;
  build->zone_sets = ARENA_ARRAY(build->scratch, policy->zone_count + 1, struct address_set);
  if (build->zone_sets == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < policy->zone_count; i++)
    if (policy_zone_addresses(policy, (zone_index)i, build->scratch, &build->zone_sets[i]) < 0 ||
        add_bounds(build, &build->zone_sets[i]) < 0)
      return -ENOMEM;
  return 0;
}

static int collect_flows(struct build *build) {
  struct index *index = build->index;
  const struct policy *policy = index->policy;
  index->flow_count = policy->flow_count;
  index->flows = ARENA_ARRAY(build->arena, policy->flow_count + 1, struct index_flow);
  if (index->flows == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < policy->flow_count; i++) {
    const struct flow *flow = &policy->flows[i];
    struct index_flow *entry = &index->flows[i];
    entry->flow = flow;
    if (policy_end_addresses(policy, flow->from, flow->from_count, flow->to_zone, build->arena, &entry->from) < 0 ||
        policy_end_addresses(policy, flow->to, flow->to_count, flow->from_zone, build->arena, &entry->to) < 0 ||
        add_bounds(build, &entry->from) < 0 || add_bounds(build, &entry->to) < 0)
      return -ENOMEM;
  }
  return 0;
}

static int collect_pins(struct build *build) {
  const struct policy *policy = build->index->policy;
  for (size_t i = 0; i < policy->host_count; i++) {
    struct address_set set = {0};
    if (is_pinned(&policy->hosts[i]) &&
        (set_of_host(build, &policy->hosts[i], &set) < 0 || add_bounds(build, &set) < 0))
      return -ENOMEM;
  }
  return 0;
}

static int collect_cut_hosts(struct build *build) {
  const struct restrictions *restrictions = build->index->restrictions;
  size_t limit = restrictions == NULL ? 0 : restrictions->cut_count, count = 0;
  struct address_range *ranges = ARENA_ARRAY(build->scratch, limit, struct address_range);
  if (ranges == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < limit; i++)
    if (restrictions->cuts[i].kind == CUT_HOST)
      ranges[count++] = (struct address_range){restrictions->cuts[i].address, restrictions->cuts[i].address};
  return address_set_build(build->scratch, ranges, count, &build->cut_hosts);
}

static int collect_fixed(struct build *build) {
  const struct policy *policy = build->index->policy;
  if (policy_special_sources(policy, build->scratch, &build->special_sources) < 0 ||
      policy_special_destinations(policy, build->scratch, &build->special_destinations) < 0 ||
      collect_broadcasts(build) < 0 || collect_named(build) < 0 || collect_cut_hosts(build) < 0)
    return -ENOMEM;
  const struct address_set *sets[] = {&build->special_sources, &build->special_destinations,
                                      &build->broadcasts,      &build->link_local,
                                      &build->groups,          &build->cut_hosts,
                                      build->index->own};
  for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
    if (add_bounds(build, sets[i]) < 0)
      return -ENOMEM;
  struct address zero4 = {.family = FAMILY_IPV4}, zero6 = {.family = FAMILY_IPV6};
  return add_bound(build, &zero4) < 0 || add_bound(build, &zero6) < 0 ? -ENOMEM : 0;
}

/* ---- the segments ---- */

static int compare_bounds(const void *left, const void *right) {
  return address_compare(left, right);
}

static uint32_t to_number(const struct address *address) {
  return (uint32_t)address->bytes[0] << 24 | (uint32_t)address->bytes[1] << 16 | (uint32_t)address->bytes[2] << 8 |
         address->bytes[3];
}

static void drop_doubles(struct build *build) {
  size_t kept = 0;
  for (size_t i = 0; i < build->bound_count; i++)
    if (kept == 0 || !address_equal(&build->bounds[kept - 1], &build->bounds[i]))
      build->bounds[kept++] = build->bounds[i];
  build->bound_count = kept;
}

static void fill_first_level(struct index *index) {
  uint32_t at = 0;
  for (uint32_t block = 0; block < FIRST_LEVEL; block++) {
    while (at + 1 < index->count4 && index->starts4[at + 1] <= block << 16)
      at++;
    index->first_level[block] = at;
  }
  index->first_level[FIRST_LEVEL] = index->count4 - 1;
}

static int cut_segments(struct build *build) {
  struct index *index = build->index;
  qsort(build->bounds, build->bound_count, sizeof *build->bounds, compare_bounds);
  drop_doubles(build);
  while (index->count4 < build->bound_count && build->bounds[index->count4].family == FAMILY_IPV4)
    index->count4++;
  index->count6 = (uint32_t)build->bound_count - index->count4;
  index->starts4 = ARENA_ARRAY(build->arena, index->count4, uint32_t);
  index->starts6 = ARENA_ARRAY(build->arena, index->count6, struct address);
  index->first_level = ARENA_ARRAY(build->arena, FIRST_LEVEL + 1, uint32_t);
  index->segments = ARENA_ARRAY(build->arena, build->bound_count, struct segment);
  if (index->starts4 == NULL || index->starts6 == NULL || index->first_level == NULL || index->segments == NULL)
    return -ENOMEM;
  for (uint32_t i = 0; i < index->count4; i++)
    index->starts4[i] = to_number(&build->bounds[i]);
  memcpy(index->starts6, build->bounds + index->count4, index->count6 * sizeof *index->starts6);
  for (size_t i = 0; i < build->bound_count; i++)
    index->segments[i].zone = ZONE_NONE;
  fill_first_level(index);
  return 0;
}

/* First and last segment of a range; its ends are bounds, so the segments lie wholly inside. */
static struct span segments_of(const struct index *index, const struct address_range *range) {
  uint32_t first = index_find(index, &range->first).segment, last = index_find(index, &range->last).segment;
  return (struct span){first, last - first + 1};
}

static void mark(struct index *index, const struct address_set *set, unsigned traits) {
  for (size_t i = 0; set != NULL && i < set->count; i++) {
    struct span span = segments_of(index, &set->ranges[i]);
    for (uint32_t s = span.first; s < span.first + span.count; s++)
      index->segments[s].traits |= traits;
  }
}

static void mark_zone(struct index *index, const struct address_set *set, zone_index zone, unsigned traits) {
  for (size_t i = 0; i < set->count; i++) {
    struct span span = segments_of(index, &set->ranges[i]);
    for (uint32_t s = span.first; s < span.first + span.count; s++) {
      index->segments[s].zone = zone;
      index->segments[s].traits |= traits;
    }
  }
}

/* The default space of a zone never includes an address of the gateway. */
static void unmark_own(struct index *index) {
  for (size_t i = 0; index->own != NULL && i < index->own->count; i++) {
    struct span span = segments_of(index, &index->own->ranges[i]);
    for (uint32_t s = span.first; s < span.first + span.count; s++) {
      struct segment *segment = &index->segments[s];
      const struct address *address = &index->own->ranges[i].first;
      if (segment->zone != ZONE_NONE && !address_set_contains(&index->policy->zones[segment->zone].local, address))
        segment->zone = ZONE_NONE;
    }
  }
}

static void mark_all(struct build *build) {
  struct index *index = build->index;
  for (size_t i = index->policy->zone_count; i > 0; i--) /* the first in the file has the last word */
    mark_zone(index, &build->zone_sets[i - 1], (zone_index)(i - 1),
              index->policy->zones[i - 1].class == CLASS_UNROUTED ? ADDRESS_UNROUTED : 0);
  mark(index, &build->special_sources, ADDRESS_SPECIAL_SOURCE);
  mark(index, &build->special_destinations, ADDRESS_SPECIAL_DESTINATION);
  mark(index, &build->broadcasts, ADDRESS_BROADCAST);
  mark(index, &build->link_local, ADDRESS_LINK_LOCAL);
  mark(index, &build->groups, ADDRESS_GROUP);
  mark(index, &build->cut_hosts, ADDRESS_CUT);
  mark(index, index->own, ADDRESS_OWN);
  unmark_own(index);
}

/* ---- lists by segment ---- */

static int add_entry(struct build *build, unsigned list, uint32_t segment, uint32_t item) {
  if (arena_grow(build->scratch, (void **)&build->entries[list], build->entry_count[list], &build->entry_capacity[list],
                 sizeof **build->entries) < 0)
    return -ENOMEM;
  build->entries[list][build->entry_count[list]++] = (struct entry){segment, item};
  return 0;
}

static uint32_t count_segments(const struct index *index, const struct address_set *set) {
  uint32_t count = 0;
  for (size_t i = 0; i < set->count; i++)
    count += segments_of(index, &set->ranges[i]).count;
  return count;
}

/* list 0: from, 1: to. */
static int add_end(struct build *build, unsigned list, const struct address_set *set, uint32_t item, bool *ret_wide) {
  if (count_segments(build->index, set) > WIDE_SEGMENTS) {
    *ret_wide = true;
    return 0;
  }
  for (size_t i = 0; i < set->count; i++) {
    struct span span = segments_of(build->index, &set->ranges[i]);
    for (uint32_t s = span.first; s < span.first + span.count; s++)
      if (add_entry(build, list, s, item) < 0)
        return -ENOMEM;
  }
  return 0;
}

static struct span *span_of(struct segment *segment, unsigned list) {
  return list == 0 ? &segment->from : &segment->to;
}

/* Entries come in ascending order of their item, so a stable distribution keeps each list sorted. */
static int distribute(struct build *build, unsigned list, uint32_t base) {
  struct index *index = build->index;
  for (size_t i = 0; i < build->entry_count[list]; i++)
    span_of(&index->segments[build->entries[list][i].segment], list)->count++;
  uint32_t at = base;
  for (size_t s = 0; s < build->bound_count; s++) {
    struct span *span = span_of(&index->segments[s], list);
    span->first = at;
    at += span->count;
    span->count = 0;
  }
  for (size_t i = 0; i < build->entry_count[list]; i++) {
    struct span *span = span_of(&index->segments[build->entries[list][i].segment], list);
    index->candidates[span->first + span->count++] = build->services[build->entries[list][i].item];
  }
  return 0;
}

/* A zone that must never be seen here has no flows, whatever the file says. */
static bool flow_is_sound(const struct policy *policy, const struct flow *flow) {
  zone_index ends[] = {flow->from_zone, flow->to_zone};
  for (size_t i = 0; i < 2; i++)
    if (ends[i] == ZONE_NONE || (ends[i] >= 0 && policy->zones[ends[i]].class == CLASS_UNROUTED))
      return false;
  return true;
}

static struct candidate candidate_of(const struct flow *flow, const struct service *service) {
  struct candidate candidate = {.flow = (uint32_t)flow->index,
                                .from_zone = (int16_t)flow->from_zone,
                                .to_zone = (int16_t)flow->to_zone,
                                .last = UINT16_MAX,
                                .protocol = service->protocol};
  if (service->protocol == PROTOCOL_ICMP || service->protocol == PROTOCOL_ICMPV6) {
    candidate.first = candidate.last = service->icmp_type;
  } else if (service->protocol == PROTOCOL_TCP || service->protocol == PROTOCOL_UDP) {
    candidate.first = service->first_port;
    candidate.last = service->last_port;
  }
  return candidate;
}

static int list_services(struct build *build) {
  const struct policy *policy = build->index->policy;
  size_t most = 0;
  for (size_t i = 0; i < policy->flow_count; i++)
    most += policy->flows[i].service_count;
  build->services = ARENA_ARRAY(build->scratch, most + 1, struct candidate);
  build->index->wide_from = ARENA_ARRAY(build->arena, most + 1, struct candidate);
  build->index->wide_to = ARENA_ARRAY(build->arena, most + 1, struct candidate);
  return build->services != NULL && build->index->wide_from != NULL && build->index->wide_to != NULL ? 0 : -ENOMEM;
}

static int list_service(struct build *build, const struct index_flow *flow, const struct service *service) {
  struct index *index = build->index;
  uint32_t item = (uint32_t)build->service_count;
  bool from_wide = false, to_wide = false;
  build->services[build->service_count++] = candidate_of(flow->flow, service);
  if (add_end(build, 0, &flow->from, item, &from_wide) < 0 || add_end(build, 1, &flow->to, item, &to_wide) < 0)
    return -ENOMEM;
  if (from_wide)
    index->wide_from[index->wide_from_count++] = build->services[item];
  if (to_wide)
    index->wide_to[index->wide_to_count++] = build->services[item];
  return 0;
}

static int list_flows(struct build *build) {
  struct index *index = build->index;
  if (list_services(build) < 0)
    return -ENOMEM;
  for (size_t i = 0; i < index->flow_count; i++) {
    const struct index_flow *flow = &index->flows[i];
    for (size_t s = 0; flow_is_sound(index->policy, flow->flow) && s < flow->flow->service_count; s++)
      if (list_service(build, flow, &flow->flow->services[s]) < 0)
        return -ENOMEM;
  }
  index->candidates = ARENA_ARRAY(build->arena, build->entry_count[0] + build->entry_count[1] + 1, struct candidate);
  if (index->candidates == NULL)
    return -ENOMEM;
  distribute(build, 0, 0);
  return distribute(build, 1, (uint32_t)build->entry_count[0]);
}

/* ---- pinned hosts ---- */

static int compare_entries(const void *left, const void *right) {
  const struct entry *a = left, *b = right;
  return a->segment != b->segment ? (a->segment < b->segment ? -1 : 1) : (a->item > b->item) - (a->item < b->item);
}

static int list_pinned_host(struct build *build, uint32_t item) {
  struct address_set set = {0};
  if (set_of_host(build, &build->index->policy->hosts[item], &set) < 0)
    return -ENOMEM;
  for (size_t i = 0; i < set.count; i++) {
    struct span span = segments_of(build->index, &set.ranges[i]);
    for (uint32_t s = span.first; s < span.first + span.count; s++)
      if (add_entry(build, 0, s, item) < 0)
        return -ENOMEM;
  }
  return 0;
}

static int list_pins(struct build *build) {
  struct index *index = build->index;
  build->entry_count[0] = 0;
  for (uint32_t i = 0; i < index->policy->host_count; i++)
    if (is_pinned(&index->policy->hosts[i]) && list_pinned_host(build, i) < 0)
      return -ENOMEM;
  index->pins = ARENA_ARRAY(build->arena, build->entry_count[0] + 1, const struct host *);
  if (index->pins == NULL)
    return -ENOMEM;
  if (build->entry_count[0] > 0)
    qsort(build->entries[0], build->entry_count[0], sizeof(struct entry), compare_entries);
  for (uint32_t i = 0; i < build->entry_count[0]; i++) {
    const struct entry *entry = &build->entries[0][i];
    struct segment *segment = &index->segments[entry->segment];
    segment->traits |= ADDRESS_PINNED;
    if (segment->pins.count++ == 0)
      segment->pins.first = i;
    index->pins[i] = &index->policy->hosts[entry->item];
  }
  return 0;
}

static int compare_macs(const void *left, const void *right) {
  const struct mac_zone *a = left, *b = right;
  return memcmp(a->mac.bytes, b->mac.bytes, sizeof a->mac.bytes);
}

static int list_macs(struct build *build) {
  struct index *index = build->index;
  const struct policy *policy = index->policy;
  size_t most = 0;
  for (size_t i = 0; i < policy->host_count; i++)
    most += policy->hosts[i].mac_count;
  index->macs = ARENA_ARRAY(build->arena, most + 1, struct mac_zone);
  if (index->macs == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < policy->host_count; i++)
    for (size_t m = 0; is_pinned(&policy->hosts[i]) && m < policy->hosts[i].mac_count; m++)
      index->macs[index->mac_count++] = (struct mac_zone){policy->hosts[i].macs[m], policy->hosts[i].zone};
  qsort(index->macs, index->mac_count, sizeof *index->macs, compare_macs);
  return 0;
}

static int join_zones(struct build *build) {
  struct index *index = build->index;
  size_t slots = index->policy->zone_count + 1;
  index->joined = ARENA_ARRAY(build->arena, slots * slots, uint8_t);
  if (index->joined == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < index->flow_count; i++) {
    const struct flow *flow = index->flows[i].flow;
    if (flow_is_sound(index->policy, flow))
      index->joined[index_zone_slot(index, flow->from_zone) * slots + index_zone_slot(index, flow->to_zone)] = 1;
  }
  return 0;
}

static zone_index zone_of_slot(const struct index *index, size_t slot) {
  size_t count = index->policy->zone_count;
  return slot < count ? (zone_index)slot : slot == count ? ZONE_GATEWAY : ZONE_NONE;
}

static int cut_zones(struct build *build) {
  struct index *index = build->index;
  const struct policy *policy = index->policy;
  size_t slots = policy->zone_count + 2;
  index->cut = ARENA_ARRAY(build->arena, slots * slots, bool);
  index->within = ARENA_ARRAY(build->arena, policy->zone_count, bool);
  if (index->cut == NULL || index->within == NULL)
    return -ENOMEM;
  for (size_t i = 0; index->restrictions != NULL && i < slots * slots; i++)
    index->cut[i] = restrictions_cut_zones(index->restrictions, policy, zone_of_slot(index, i / slots),
                                           zone_of_slot(index, i % slots));
  return 0;
}

static int run(struct build *build) {
  if (collect_fixed(build) < 0 || collect_zones(build) < 0 || collect_flows(build) < 0 || collect_pins(build) < 0 ||
      cut_segments(build) < 0)
    return -ENOMEM;
  mark_all(build);
  return list_flows(build) < 0 || list_pins(build) < 0 || list_macs(build) < 0 || join_zones(build) < 0 ||
                 cut_zones(build) < 0
             ? -ENOMEM
             : 0;
}

int index_build(struct arena *arena, const struct policy *policy, const struct address_set *own,
                const struct restrictions *restrictions, struct index **ret_index) {
  struct build build = {.arena = arena, .scratch = arena_new(0), .index = ARENA_NEW(arena, struct index)};
  int result = -ENOMEM;
  if (build.scratch != NULL && build.index != NULL) {
    build.index->policy = policy;
    build.index->own = own;
    build.index->restrictions = restrictions;
    result = run(&build);
  }
  arena_free(build.scratch);
  if (result == 0)
    *ret_index = build.index;
  return result;
}
