/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "rules/compile_parts.h"

/* Sets of addresses that the compiler works out; a lack of memory shows at the end, as everywhere in the builder. */

static void keep(struct compilation *compilation, int status) {
  if (status < 0)
    compilation->builder.failed = true;
}

struct address_set addresses_without(struct compilation *compilation, struct address_set from,
                                     const struct address_set *what) {
  struct address_set rest = {0};
  keep(compilation, address_set_subtract(compilation->arena, &from, what, &rest));
  return rest;
}

struct address_set addresses_with(struct compilation *compilation, struct address_set left,
                                  const struct address_set *right) {
  struct address_set both = {0};
  keep(compilation, address_set_union(compilation->arena, &left, right, &both));
  return both;
}

struct address_set addresses_in_both(struct compilation *compilation, struct address_set left,
                                     const struct address_set *right) {
  struct address_set common = {0};
  keep(compilation, address_set_intersect(compilation->arena, &left, right, &common));
  return common;
}

struct address_set addresses_of(struct compilation *compilation, const struct address_range *ranges, size_t count) {
  struct address_set set = {0};
  keep(compilation, address_set_build(compilation->arena, ranges, count, &set));
  return set;
}

struct address_set every_address(struct compilation *compilation) {
  struct address_range ranges[] = {
      {{.family = FAMILY_IPV4}, {.family = FAMILY_IPV4}},
      {{.family = FAMILY_IPV6}, {.family = FAMILY_IPV6}},
  };
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
    memset(ranges[i].last.bytes, 0xff, address_length(ranges[i].last.family));
  return addresses_of(compilation, ranges, sizeof ranges / sizeof *ranges);
}

struct address_set all_claimed(struct compilation *compilation) {
  struct address_set all = compilation->own;
  for (size_t i = 0; compilation->policy != NULL && i < compilation->policy->zone_count; i++)
    all = addresses_with(compilation, all, &compilation->zones[i].addresses);
  return all;
}

bool has_version(const struct address_set *set, enum ip_version version) {
  for (size_t i = 0; i < set->count; i++)
    if (set->ranges[i].first.family == ip_words[version].family)
      return true;
  return false;
}

/* ---- emergency cuts ---- */

bool places_are_cut(const struct compilation *compilation, size_t left, size_t right) {
  return restrictions_cut_zones(compilation->options->restrictions, compilation->policy, zone_of(compilation, left),
                                zone_of(compilation, right));
}

struct address_set cut_hosts(struct compilation *compilation) {
  const struct restrictions *restrictions = compilation->options->restrictions;
  size_t count = 0, limit = restrictions == NULL ? 0 : restrictions->cut_count;
  struct address_range *ranges = ARENA_ARRAY(compilation->arena, limit, struct address_range);
  for (size_t i = 0; ranges != NULL && i < limit; i++)
    if (restrictions->cuts[i].kind == CUT_HOST)
      ranges[count++] = (struct address_range){restrictions->cuts[i].address, restrictions->cuts[i].address};
  return addresses_of(compilation, ranges, count);
}

struct address_set cut_sources(struct compilation *compilation, size_t place) {
  struct address_set hosts = cut_hosts(compilation);
  return addresses_in_both(compilation, hosts, &compilation->zones[place].addresses);
}

/* An address of the gateway counts as the gateway, whatever zone it lies in. */
struct address_set cut_destinations(struct compilation *compilation, size_t place) {
  struct address_set cut = {0};
  if (compilation->options->restrictions == NULL)
    return cut;
  if (places_are_cut(compilation, place, NO_PLACE)) {
    struct address_set claimed = all_claimed(compilation);
    cut = addresses_without(compilation, every_address(compilation), &claimed);
  }
  for (size_t i = 0; i < compilation->policy->zone_count; i++)
    if (places_are_cut(compilation, place, i))
      cut = addresses_with(compilation, cut, &compilation->zones[i].addresses);
  cut = addresses_without(compilation, cut, &compilation->own);
  if (places_are_cut(compilation, place, gateway_place(compilation)))
    cut = addresses_with(compilation, cut, &compilation->own);
  struct address_set hosts = cut_hosts(compilation);
  return addresses_with(compilation, cut, &hosts);
}
