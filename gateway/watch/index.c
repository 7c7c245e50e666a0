/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "watch/index_parts.h"

/* ---- addresses ---- */

static uint32_t to_number(const struct address *address) {
  return (uint32_t)address->bytes[0] << 24 | (uint32_t)address->bytes[1] << 16 | (uint32_t)address->bytes[2] << 8 |
         address->bytes[3];
}

static uint32_t find4(const struct index *index, uint32_t number) {
  uint32_t low = index->first_level[number >> 16], count = index->first_level[(number >> 16) + 1] - low + 1;
  while (count > 1) { /* without a branch that nobody could foretell */
    uint32_t half = count / 2;
    low += index->starts4[low + half] <= number ? half : 0;
    count -= half;
  }
  return low;
}

static uint32_t find6(const struct index *index, const struct address *address) {
  uint32_t low = 0, high = index->count6 - 1;
  while (low < high) {
    uint32_t middle = (low + high + 1) / 2;
    if (memcmp(index->starts6[middle].bytes, address->bytes, sizeof address->bytes) <= 0)
      low = middle;
    else
      high = middle - 1;
  }
  return index->count4 + low;
}

struct address_facts index_find(const struct index *index, const struct address *address) {
  uint32_t segment = address->family == FAMILY_IPV6 ? find6(index, address) : find4(index, to_number(address));
  return (struct address_facts){index->segments[segment].zone, index->segments[segment].traits, segment};
}

const struct policy *index_policy(const struct index *index) {
  return index->policy;
}

/* ---- MACs ---- */

static bool host_knows_mac(const struct host *host, const struct mac *mac) {
  for (size_t i = 0; i < host->mac_count; i++)
    if (mac_equal(&host->macs[i], mac))
      return true;
  return false;
}

bool index_mac_matches(const struct index *index, const struct address_facts *facts, zone_index zone,
                       const struct mac *mac) {
  const struct span *pins = &index->segments[facts->segment].pins;
  bool pinned = false;
  for (uint32_t i = pins->first; i < pins->first + pins->count; i++) {
    if (index->pins[i]->zone != zone)
      continue;
    if (host_knows_mac(index->pins[i], mac))
      return true;
    pinned = true;
  }
  return !pinned;
}

zone_index index_zone_of_mac(const struct index *index, const struct mac *mac, zone_index preferred) {
  size_t low = 0, high = index->mac_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (memcmp(index->macs[middle].mac.bytes, mac->bytes, sizeof mac->bytes) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  zone_index found = ZONE_NONE;
  for (; low < index->mac_count && mac_equal(&index->macs[low].mac, mac); low++)
    if (found == ZONE_NONE || index->macs[low].zone == preferred)
      found = index->macs[low].zone;
  return found;
}

/* ---- time ---- */

static void recompute(struct index *index, struct instant now) {
  bool changed = !index->time_set;
  index->changes_at = INSTANT_NEVER;
  for (size_t i = 0; i < index->flow_count; i++) {
    struct instant until;
    enum force_state force =
        restricted_flow_force(index->policy, index->restrictions, index->flows[i].flow, now, &until);
    changed = changed || force != index->flows[i].force;
    index->flows[i].force = force;
    if (until.seconds < index->changes_at.seconds)
      index->changes_at = until;
  }
  for (size_t i = 0; i < index->policy->zone_count; i++) {
    struct instant until;
    bool within = restricted_within(index->policy, index->restrictions, (zone_index)i, now, &until);
    changed = changed || within != index->within[i];
    index->within[i] = within;
    if (until.seconds < index->changes_at.seconds)
      index->changes_at = until;
  }
  index->time_set = true;
  index->judged_at = now;
  index->epoch += changed ? 1 : 0;
}

void index_set_time(struct index *index, struct instant now) {
  if (!index->time_set || now.seconds < index->judged_at.seconds || now.seconds >= index->changes_at.seconds)
    recompute(index, now);
}

uint64_t index_epoch(const struct index *index) {
  return index->epoch;
}

struct instant index_changes_at(const struct index *index) {
  return index->changes_at;
}

bool index_flow_in_force(const struct index *index, const struct flow *flow) {
  return index->flows[flow->index].force == FORCE_YES;
}
