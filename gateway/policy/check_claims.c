/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Networks of two zones that overlap, and hosts in two zones (D08).
 *
 * Theory of operation: all ranges are sorted and walked once. The walk keeps, of the ranges begun so far, the one that
 * reaches furthest and the one of another zone that does; a range meets another zone if and only if it meets one of
 * these two, so every overlapping range is told once, in n log n.
 */
#include "policy/check_parts.h"

#include <stdlib.h>
#include <string.h>

/* A range that a zone or a host of a zone claims. */
struct claim {
  const struct placed_range *range;
  zone_index zone;
  const struct host *host; /* NULL: the zone itself */
};

static int compare_claims(const void *left, const void *right) {
  const struct claim *one = left, *other = right;
  int first = address_compare(&one->range->range.first, &other->range->range.first);
  if (first != 0)
    return first;
  int last = address_compare(&other->range->range.last, &one->range->range.last); /* the wider first */
  if (last != 0)
    return last;
  if (one->zone != other->zone)
    return one->zone < other->zone ? -1 : 1;
  return one->host < other->host ? -1 : one->host > other->host;
}

static void refuse_networks(struct check *check, const struct claim *late, const struct claim *early) {
  char text[RANGE_TEXT_SIZE], early_text[RANGE_TEXT_SIZE];
  const char *early_name = policy_zone_name(check->policy, early->zone);
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_ERROR, "D08",
      check_at(check, late->range->place, range_format(&late->range->range, text)),
      policy_zone_name(check->policy, late->zone), "ネットワーク %s が、領域 %s の %s と重なっています（2(9)）",
      "network %s overlaps that of zone '%s', %s (2(9))", range_format(&late->range->range, text), early_name,
      range_format(&early->range->range, early_text));
  diagnostic_hint(check->diagnostics, found, "一つのアドレスは一つの領域だけに属します。どちらかの範囲を直してください",
                  "an address belongs to one zone only; correct one of the two");
  diagnostic_relate(check->diagnostics, found, check_at(check, early->range->place, early_text),
                    "領域 %s の %s はここに書かれています", "zone '%s' claims %s here", early_name, early_text);
}

static void refuse_hosts(struct check *check, const struct host *late, struct place place, const struct host *early,
                         const char *what) {
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_ERROR, "D08", check_at(check, place, what), late->name,
                     "%s が、領域 %s の機器 %s と領域 %s の機器 %s の両方にあります（2(9)）",
                     "%s belongs both to zone '%s' (host '%s') and to zone '%s' (host '%s') (2(9))", what,
                     policy_zone_name(check->policy, early->zone), early->name,
                     policy_zone_name(check->policy, late->zone), late->name);
  diagnostic_hint(check->diagnostics, found,
                  "一台の機器は一つの領域だけに属します。二つの足を持つ無害化装置などであれば、両方に同じ machine "
                  "の名前を書いてください",
                  "a host belongs to one zone; if it is one machine with two legs (such as a sanitiser), give both the "
                  "same 'machine'");
  diagnostic_relate(check->diagnostics, found, check_at_name(check, early->place, early->name), "機器 %s の定義",
                    "host '%s' is declared here", early->name);
}

static void refuse_claims(struct check *check, const struct claim *one, const struct claim *other) {
  bool in_order = other->host != NULL ? other->host < one->host : other->zone < one->zone;
  const struct claim *late = in_order ? one : other, *early = in_order ? other : one;
  char text[RANGE_TEXT_SIZE];
  if (late->host == NULL || early->host == NULL)
    refuse_networks(check, late, early);
  else
    refuse_hosts(check, late->host, late->range->place, early->host,
                 range_format(range_size(&late->range->range) < range_size(&early->range->range) ? &late->range->range
                                                                                                 : &early->range->range,
                              text));
}

static bool claim_reaches(const struct claim *claim, const struct claim *next) {
  return claim->range != NULL && claim->zone != next->zone && range_overlaps(&claim->range->range, &next->range->range);
}

static bool claim_is_longer(const struct claim *claim, const struct claim *than) {
  return than->range == NULL || address_compare(&claim->range->range.last, &than->range->range.last) > 0;
}

static void sweep_claims(struct check *check, struct claim *claims, size_t count) {
  struct claim furthest = {0}, second = {0}; /* of two zones */
  if (count > 1)
    qsort(claims, count, sizeof(claims[0]), compare_claims);
  for (size_t i = 0; i < count; i++) {
    const struct claim *claim = &claims[i];
    if (claim_reaches(&furthest, claim))
      refuse_claims(check, claim, &furthest);
    else if (claim_reaches(&second, claim))
      refuse_claims(check, claim, &second);
    if (claim_is_longer(claim, &furthest)) {
      if (furthest.range != NULL && furthest.zone != claim->zone)
        second = furthest;
      furthest = *claim;
    } else if (claim->zone != furthest.zone && claim_is_longer(claim, &second)) {
      second = *claim;
    }
  }
}

/* What D05 refuses lies in every zone, which need not be told zone by zone. */
static bool is_everything(const struct address_range *range) {
  return range_prefix_length(range) == 0;
}

static bool is_any_host(const struct address_range *range) {
  return range->first.family == FAMILY_IPV4 ? range_size(range) > 1U << 24 : range_covering_prefix_length(range) < 32;
}

static size_t add_claims(struct claim *claims, size_t count, zone_index zone, const struct host *host,
                         const struct placed_range *ranges, size_t range_count) {
  for (size_t i = 0; i < range_count; i++)
    if (host == NULL ? !is_everything(&ranges[i].range) : !is_any_host(&ranges[i].range))
      claims[count++] = (struct claim){&ranges[i], zone, host};
  return count;
}

static void check_networks(struct check *check) {
  const struct policy *policy = check->policy;
  size_t room = 1, count = 0;
  for (size_t i = 0; i < policy->zone_count; i++)
    room += policy->zones[i].network_count + policy->zones[i].remote_count;
  struct claim *claims = ARENA_ARRAY(check->scratch, room, struct claim);
  for (size_t i = 0; claims != NULL && i < policy->zone_count; i++) {
    const struct zone *zone = &policy->zones[i];
    count = add_claims(claims, count, (zone_index)i, NULL, zone->networks, zone->network_count);
    count = add_claims(claims, count, (zone_index)i, NULL, zone->remote, zone->remote_count);
  }
  sweep_claims(check, claims, count);
}

static void check_addresses(struct check *check) {
  const struct policy *policy = check->policy;
  size_t room = 1, count = 0;
  for (size_t i = 0; i < policy->host_count; i++)
    room += policy->hosts[i].address_count;
  struct claim *claims = ARENA_ARRAY(check->scratch, room, struct claim);
  for (size_t i = 0; claims != NULL && i < policy->host_count; i++) {
    const struct host *host = &policy->hosts[i];
    if (host->zone >= 0)
      count = add_claims(claims, count, host->zone, host, host->addresses, host->address_count);
  }
  sweep_claims(check, claims, count);
}

/* ---- one MAC address in two zones ---- */

struct owner {
  const struct mac *mac;
  const struct host *host;
};

static int compare_owners(const void *left, const void *right) {
  const struct owner *one = left, *other = right;
  int macs = memcmp(one->mac->bytes, other->mac->bytes, sizeof(one->mac->bytes));
  if (macs != 0)
    return macs;
  return one->host < other->host ? -1 : one->host > other->host;
}

static bool are_legs(const struct host *one, const struct host *other) {
  return one->machine != NULL && other->machine != NULL && strcmp(one->machine, other->machine) == 0;
}

static void check_macs(struct check *check) {
  const struct policy *policy = check->policy;
  size_t room = 1, count = 0;
  for (size_t i = 0; i < policy->host_count; i++)
    room += policy->hosts[i].mac_count;
  struct owner *owners = ARENA_ARRAY(check->scratch, room, struct owner);
  for (size_t i = 0; owners != NULL && i < policy->host_count; i++)
    for (size_t j = 0; j < policy->hosts[i].mac_count; j++)
      if (policy->hosts[i].mac_scope == MAC_SCOPE_DIRECT && policy->hosts[i].zone >= 0)
        owners[count++] = (struct owner){&policy->hosts[i].macs[j], &policy->hosts[i]};
  if (count > 1)
    qsort(owners, count, sizeof(owners[0]), compare_owners);
  for (size_t i = 1; i < count; i++) {
    const struct owner *late = &owners[i], *early = &owners[i - 1];
    char text[MAC_TEXT_SIZE];
    if (mac_equal(late->mac, early->mac) && late->host->zone != early->host->zone && !are_legs(late->host, early->host))
      refuse_hosts(check, late->host, late->host->place, early->host, mac_format(late->mac, text));
  }
}

void check_hosts(struct check *check) {
  check_networks(check);
  check_addresses(check);
  check_macs(check);
}
