/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Expectations that test nothing: no flow could break them (W18). */
#include "policy/check_parts.h"

/* All addresses that could ever be one end of a communication: of zones that have a wire. */
static int reachable(const struct check *check, bool source, struct address_set *ret_set) {
  struct address_set special, sum = {0}, zone, next;
  int result = source ? policy_special_sources(check->policy, check->scratch, &special)
                      : policy_special_destinations(check->policy, check->scratch, &special);
  for (size_t i = 0; result == 0 && i < check->policy->zone_count; i++) {
    if (check->policy->zones[i].class == CLASS_UNROUTED)
      continue;
    result = policy_zone_addresses(check->policy, (zone_index)i, check->scratch, &zone);
    if (result == 0)
      result = address_set_union(check->scratch, &sum, &zone, &next);
    sum = next;
  }
  return result == 0 ? address_set_subtract(check->scratch, &sum, &special, ret_set) : result;
}

static bool end_never_seen(const struct check *check, const struct expectation_end *end,
                           const struct address_set *reach) {
  struct address_set set = {0};
  switch (end->kind) {
  case EXPECT_GATEWAY:
    return false;
  case EXPECT_ZONE: {
    const struct zone *zone = check_zone(check, end->zone);
    return zone != NULL && zone->class == CLASS_UNROUTED;
  }
  case EXPECT_RANGE:
    set = (struct address_set){(struct address_range[]){end->range}, 1};
    return !address_set_overlaps(&set, reach);
  case EXPECT_HOST: {
    struct endpoint host = {.kind = ENDPOINT_HOST, .host = end->host};
    return end->host != NULL && policy_end_addresses(check->policy, &host, 1, ZONE_NONE, check->scratch, &set) == 0 &&
           !address_set_overlaps(&set, reach);
  }
  }
  return false;
}

static void warn_worthless(struct check *check, const struct expectation *expectation, bool source) {
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_WARNING, "W18", check_at_name(check, expectation->place, expectation->name),
      expectation->name, "通信許可をどう書いても満たされ、何も確かめていません（%sのアドレスは決して通りません）",
      "it holds whatever the flows say and tests nothing (no packet with that %s ever passes)",
      source ? check_words(check, "送信元", "source") : check_words(check, "宛先", "destination"));
  diagnostic_hint(
      check->diagnostics, found,
      "領域に属するアドレスを書いてください。特殊用途・どの領域にもない・unrouted のアドレスは常に遮断されます",
      "use addresses of a zone; special-purpose, unclaimed and unrouted addresses are always denied");
}

void check_expectation_worth(struct check *check) {
  struct address_set sources, destinations;
  if (!check->whole || check->policy->expectation_count == 0 || reachable(check, true, &sources) < 0 ||
      reachable(check, false, &destinations) < 0)
    return;
  for (size_t i = 0; i < check->policy->expectation_count; i++) {
    const struct expectation *expectation = &check->policy->expectations[i];
    if (!expectation->valid || expectation->expect_allow)
      continue;
    if (end_never_seen(check, &expectation->from, &sources))
      warn_worthless(check, expectation, true);
    else if (end_never_seen(check, &expectation->to, &destinations))
      warn_worthless(check, expectation, false);
  }
}
