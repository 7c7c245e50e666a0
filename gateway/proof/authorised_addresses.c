/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose address it is, out of the keys of the policy: which addresses are special, which zone claims one, where the
 * gateway may bear one. Sets of addresses first, drawn as diagrams when they are asked for.
 */
#include <errno.h>
#include <string.h>

#include "proof/authorised_parts.h"

/* ---- special-purpose addresses ---- */

enum {
  AS_SOURCE = 1 << 0,      /* the guard refuses it as a source */
  AS_DESTINATION = 1 << 1, /* and as a destination */
  NO_UNICAST = 1 << 2,     /* no zone gets it by `default_route`, even where it is exempt */
  REFUSED = AS_SOURCE | AS_DESTINATION,
};

struct special {
  const char *first, *last; /* as text, so that each can be held against its RFC by reading */
  unsigned how;
};

static const struct special SPECIALS[] = {
    {"0.0.0.0", "0.255.255.255", REFUSED | NO_UNICAST},       /* RFC 1122 3.2.1.3: this network */
    {"10.0.0.0", "10.255.255.255", NO_UNICAST},               /* RFC 1918 */
    {"100.64.0.0", "100.127.255.255", NO_UNICAST},            /* RFC 6598: shared */
    {"127.0.0.0", "127.255.255.255", REFUSED | NO_UNICAST},   /* RFC 1122: loopback */
    {"169.254.0.0", "169.254.255.255", REFUSED | NO_UNICAST}, /* RFC 3927: link local */
    {"172.16.0.0", "172.31.255.255", NO_UNICAST},             /* RFC 1918 */
    {"192.0.0.0", "192.0.0.255", REFUSED},                    /* RFC 6890: protocol assignments */
    {"192.0.2.0", "192.0.2.255", REFUSED},                    /* RFC 5737: documentation */
    {"192.168.0.0", "192.168.255.255", NO_UNICAST},           /* RFC 1918 */
    {"198.18.0.0", "198.19.255.255", REFUSED},                /* RFC 2544: benchmarks */
    {"198.51.100.0", "198.51.100.255", REFUSED},              /* RFC 5737 */
    {"203.0.113.0", "203.0.113.255", REFUSED},                /* RFC 5737 */
    {"224.0.0.0", "239.255.255.255", AS_SOURCE | NO_UNICAST}, /* RFC 5771: multicast */
    {"240.0.0.0", "255.255.255.255", REFUSED | NO_UNICAST},   /* RFC 1112 4, RFC 919: reserved, limited broadcast */
    /* RFC 4291 2.4, RFC 3513: what IANA has given out as global unicast is 2000::/3; below it unspecified, loopback,
     * IPv4-mapped and IPv4-compatible addresses, above it ULA (RFC 4193), link local, site local (RFC 3879). */
    {"::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", REFUSED | NO_UNICAST},
    {"2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", REFUSED},        /* RFC 5180: benchmarks */
    {"2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", REFUSED},   /* RFC 4843: ORCHID */
    {"2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", REFUSED},   /* RFC 7343: ORCHIDv2 */
    {"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", REFUSED}, /* RFC 3849: documentation */
    {"3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", REFUSED},     /* RFC 9637: documentation */
    {"4000::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", REFUSED | NO_UNICAST},
    {"ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", AS_SOURCE | NO_UNICAST}, /* RFC 4291 2.7: multicast */
};
enum { SPECIAL_COUNT = sizeof SPECIALS / sizeof *SPECIALS };

static int special_addresses(struct authorised *authorised, unsigned how, struct address_set *ret_set) {
  struct address_range ranges[SPECIAL_COUNT];
  size_t count = 0;
  for (size_t i = 0; i < SPECIAL_COUNT; i++) {
    if ((SPECIALS[i].how & how) == 0)
      continue;
    if (!address_parse(SPECIALS[i].first, &ranges[count].first) ||
        !address_parse(SPECIALS[i].last, &ranges[count].last))
      return -EINVAL;
    count++;
  }
  return address_set_build(authorised->arena, ranges, count, ret_set);
}

static int placed_set(struct authorised *authorised, const struct placed_range *placed, size_t count,
                      struct address_set *ret_set) {
  struct address_range *ranges = ARENA_ARRAY(authorised->arena, count, struct address_range);
  if (ranges == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < count; i++)
    ranges[i] = placed[i].range;
  return address_set_build(authorised->arena, ranges, count, ret_set);
}

static int less(struct authorised *authorised, struct address_set *set, const struct address_set *taken) {
  return address_set_overlaps(set, taken) ? address_set_subtract(authorised->arena, set, taken, set) : 0;
}

static int learn_specials(struct authorised *authorised, const struct address_set *exempt) {
  int result = special_addresses(authorised, AS_SOURCE, &authorised->special_sources);
  if (result == 0)
    result = special_addresses(authorised, AS_DESTINATION, &authorised->special_destinations);
  if (result == 0)
    result = less(authorised, &authorised->special_sources, exempt);
  return result == 0 ? less(authorised, &authorised->special_destinations, exempt) : result;
}

/* ---- zones ---- */

static int learn_local(struct authorised *authorised, const struct zone *zone, struct address_set *ret_set) {
  struct address_set networks, remote;
  int result = placed_set(authorised, zone->networks, zone->network_count, &networks);
  if (result == 0)
    result = placed_set(authorised, zone->remote, zone->remote_count, &remote);
  return result == 0 ? address_set_union(authorised->arena, &networks, &remote, ret_set) : result;
}

/* Networks without their broadcast addresses. Where networks lie in each other the first of the list speaks. */
static int learn_gateway(struct authorised *authorised, const struct zone *zone, struct address_set *ret_set) {
  struct arena *arena = authorised->arena;
  struct address_set seen = {0}, found = {0};
  int result = 0;
  for (size_t i = 0; result == 0 && i < zone->network_count; i++) {
    struct address_range network = zone->networks[i].range;
    struct address broadcast;
    struct address_set usable, whole = {&network, 1};
    result = address_set_build(arena, &network, 1, &usable);
    if (result == 0 && range_broadcast(&network, &broadcast)) {
      struct address_range one = {broadcast, broadcast};
      result = address_set_subtract(arena, &usable, &(struct address_set){&one, 1}, &usable);
    }
    if (result == 0)
      result = less(authorised, &usable, &seen);
    if (result == 0)
      result = address_set_union(arena, &found, &usable, &found);
    if (result == 0)
      result = address_set_union(arena, &seen, &whole, &seen);
  }
  *ret_set = found;
  return result;
}

/* Where two zones name one address the first of the file has it. */
static int learn_claims(struct authorised *authorised) {
  int result = 0;
  for (size_t i = 0; result == 0 && i < authorised->policy->zone_count; i++) {
    struct zone_meaning *meaning = &authorised->zones[i];
    meaning->claims = meaning->local;
    for (size_t j = 0; result == 0 && j < i; j++)
      result = less(authorised, &meaning->claims, &authorised->zones[j].local);
  }
  return result;
}

static bool has_ipv6_network(const struct zone *zone) {
  for (size_t i = 0; i < zone->network_count; i++)
    if (zone->networks[i].range.first.family == FAMILY_IPV6)
      return true;
  return false;
}

/* Global unicast addresses of the families that the zone speaks. */
static int global_unicast(struct authorised *authorised, const struct zone *zone, const struct address_set *exempt,
                          struct address_set *ret_set) {
  struct address_range all[FAMILIES] = {{{.family = FAMILY_IPV4}, {.family = FAMILY_IPV4}},
                                        {{.family = FAMILY_IPV6}, {.family = FAMILY_IPV6}}};
  struct address_set refused, never;
  memset(all[0].last.bytes, 0xff, 4);
  memset(all[1].last.bytes, 0xff, 16);
  int result = address_set_build(authorised->arena, all, has_ipv6_network(zone) ? FAMILIES : 1, ret_set);
  if (result == 0)
    result = special_addresses(authorised, REFUSED, &refused);
  if (result == 0)
    result = less(authorised, &refused, exempt);
  if (result == 0)
    result = special_addresses(authorised, NO_UNICAST, &never);
  if (result == 0)
    result = less(authorised, ret_set, &refused);
  return result == 0 ? less(authorised, ret_set, &never) : result;
}

/* The first zone with `default_route` gets what no zone names and the gateway does not bear. */
static int learn_default(struct authorised *authorised, const struct address_set *exempt) {
  const struct policy *policy = authorised->policy;
  size_t zone = 0;
  while (zone < policy->zone_count && !policy->zones[zone].default_route)
    zone++;
  if (zone == policy->zone_count)
    return 0;
  struct address_set rest;
  int result = global_unicast(authorised, &policy->zones[zone], exempt, &rest);
  for (size_t i = 0; result == 0 && i < policy->zone_count; i++)
    result = less(authorised, &rest, &authorised->zones[i].local);
  if (result == 0 && authorised->question.own != NULL)
    result = less(authorised, &rest, authorised->question.own);
  struct address_set *claims = &authorised->zones[zone].claims;
  return result == 0 ? address_set_union(authorised->arena, claims, &rest, claims) : result;
}

/* ---- broadcast addresses ---- */

static int zone_broadcasts(struct authorised *authorised, const struct zone *zone, struct address_set *ret_set) {
  struct address_range *ranges = ARENA_ARRAY(authorised->arena, zone->network_count + 1, struct address_range);
  size_t count = 0;
  if (ranges == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < zone->network_count; i++)
    if (range_broadcast(&zone->networks[i].range, &ranges[count].first)) {
      ranges[count].last = ranges[count].first;
      count++;
    }
  return address_set_build(authorised->arena, ranges, count, ret_set);
}

/* Where two zones have one, the first of the file. */
static int learn_broadcasts(struct authorised *authorised) {
  struct address_set *all = &authorised->broadcasts;
  int result = 0;
  for (size_t i = 0; result == 0 && i < authorised->policy->zone_count; i++) {
    struct address_set *found = &authorised->zones[i].broadcasts;
    result = zone_broadcasts(authorised, &authorised->policy->zones[i], found);
    if (result == 0)
      result = less(authorised, found, all);
    if (result == 0 && found->count != 0)
      result = address_set_union(authorised->arena, all, found, all);
  }
  return result;
}

int authorised_learn_addresses(struct authorised *authorised) {
  const struct policy *policy = authorised->policy;
  struct address_set exempt;
  int result = placed_set(authorised, policy->header.special_exempt, policy->header.special_exempt_count, &exempt);
  for (size_t i = 0; result == 0 && i < policy->zone_count; i++) {
    result = learn_local(authorised, &policy->zones[i], &authorised->zones[i].local);
    if (result == 0)
      result = learn_gateway(authorised, &policy->zones[i], &authorised->zones[i].gateway);
  }
  if (result == 0)
    result = learn_specials(authorised, &exempt);
  if (result == 0)
    result = learn_claims(authorised);
  if (result == 0)
    result = learn_default(authorised, &exempt);
  return result == 0 ? learn_broadcasts(authorised) : result;
}

/* ---- drawn ---- */

diagram authorised_claims(struct authorised *authorised, zone_index zone, enum space_field field,
                          enum address_family family) {
  if (!authorised_is_zone(authorised, zone))
    return DIAGRAM_FALSE;
  struct drawing *drawing = &authorised->zones[zone].claimed[field][authorised_family_index(family)];
  if (!drawing->made)
    *drawing = (struct drawing){true, authorised_addresses(authorised, field, family, &authorised->zones[zone].claims)};
  return drawing->set;
}

diagram authorised_claimed_by_any(struct authorised *authorised, enum space_field field, enum address_family family) {
  diagram any = DIAGRAM_FALSE;
  for (size_t i = 0; i < authorised->policy->zone_count; i++)
    any = diagram_or(authorised->store, any, authorised_claims(authorised, (zone_index)i, field, family));
  return any;
}

diagram authorised_own(struct authorised *authorised, enum space_field field, enum address_family family) {
  const struct address_set *own = authorised->question.own;
  return own != NULL ? authorised_addresses(authorised, field, family, own) : DIAGRAM_FALSE;
}

/* ---- pinned hosts ---- */

static bool is_pinned_in(const struct host *host, zone_index zone) {
  return host->zone == zone && host->mac_count != 0 && host->mac_scope == MAC_SCOPE_DIRECT;
}

enum { PIN_SIZE = 16 + 6 };

/* A box for each MAC that may bear each range; returns their number. boxes NULL: only counts. */
static size_t bind(const struct host *host, enum address_family family, struct diagram_box *boxes, uint8_t *bytes) {
  size_t count = 0, length = address_length(family);
  for (size_t i = 0; i < host->address_count; i++) {
    const struct address_range *range = &host->addresses[i].range;
    if (range->first.family != family)
      continue;
    for (size_t j = 0; j < host->mac_count; j++, count++) {
      if (boxes == NULL)
        continue;
      uint8_t *first = bytes + 2 * count * PIN_SIZE, *last = first + PIN_SIZE;
      memcpy(first, range->first.bytes, length);
      memcpy(last, range->last.bytes, length);
      memcpy(first + length, host->macs[j].bytes, sizeof host->macs[j].bytes);
      memcpy(last + length, host->macs[j].bytes, sizeof host->macs[j].bytes);
      boxes[count] = (struct diagram_box){first, last, DIAGRAM_TRUE};
    }
  }
  return count;
}

static diagram draw_mismatched(struct authorised *authorised, zone_index zone, enum address_family family,
                               struct arena *scratch) {
  const struct policy *policy = authorised->policy;
  size_t count = 0, used = 0;
  for (size_t i = 0; i < policy->host_count; i++)
    if (is_pinned_in(&policy->hosts[i], zone))
      count += bind(&policy->hosts[i], family, NULL, NULL);
  struct diagram_box *boxes = ARENA_ARRAY(scratch, count + 1, struct diagram_box);
  uint8_t *bytes = arena_array(scratch, 2 * (count + 1), PIN_SIZE);
  if (boxes == NULL || bytes == NULL)
    return DIAGRAM_NONE;
  for (size_t i = 0; i < policy->host_count; i++)
    if (is_pinned_in(&policy->hosts[i], zone))
      used += bind(&policy->hosts[i], family, boxes + used, bytes + 2 * used * PIN_SIZE);
  struct diagram_field fields[] = {space_field(authorised->space, FIELD_SOURCE, (unsigned)address_length(family) * 8),
                                   space_field(authorised->space, FIELD_SOURCE_MAC, 0)};
  diagram pinned = diagram_boxes(authorised->store, fields, 1, boxes, used, 0, NULL, NULL);
  diagram bound = diagram_boxes(authorised->store, fields, 2, boxes, used, 0, NULL, NULL);
  return diagram_difference(authorised->store, pinned, bound);
}

diagram authorised_mismatched(struct authorised *authorised, zone_index zone, enum address_family family) {
  if (!authorised_is_zone(authorised, zone))
    return DIAGRAM_FALSE;
  struct drawing *drawing = &authorised->zones[zone].mismatched[authorised_family_index(family)];
  if (drawing->made)
    return drawing->set;
  struct arena *scratch = arena_new(0);
  diagram set = scratch != NULL ? draw_mismatched(authorised, zone, family, scratch) : DIAGRAM_NONE;
  authorised->failed = authorised->failed || set == DIAGRAM_NONE;
  arena_free(scratch);
  *drawing = (struct drawing){true, set};
  return set;
}
