/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "policy/reader.h"

/* ---- zones ---- */

static void build_local(struct reader *reader, struct zone *zone) {
  size_t count = zone->network_count + zone->remote_count;
  struct address_range *ranges = reader_array(reader, count, sizeof(*ranges));
  if (!ranges)
    return;
  for (size_t i = 0; i < zone->network_count; i++)
    ranges[i] = zone->networks[i].range;
  for (size_t i = 0; i < zone->remote_count; i++)
    ranges[zone->network_count + i] = zone->remote[i].range;
  if (address_set_build(reader->arena, ranges, count, &zone->local) < 0)
    reader->out_of_memory = true;
}

/* An unrouted neighbour is declared so that it is known, not so that anything is connected to it. */
static void check_unrouted(struct reader *reader, struct zone *zone) {
  if (zone->interface_count > 0)
    PROBLEM(reader, "P13", reader_point(reader, zone->interfaces[0].place, zone->interfaces[0].text),
            "unrouted の領域にインターフェース「%s」があります。本機につながない隣接領域には書けません",
            "an unrouted zone cannot have the interface '%s': it is a neighbour that is never connected",
            zone->interfaces[0].text);
}

void reader_zone(struct reader *reader, config_setting_t *setting, struct zone *zone) {
  size_t errors = reader->diagnostics->errors;
  zone->label = "";
  zone->place = reader_place(reader, setting);
  reader_section(reader, SECTION_ZONE, setting, zone);
  reader->zone_holes[zone - reader->policy->zones] = reader->diagnostics->errors > errors;
  if (!zone->class_known)
    zone->class = CLASS_UNROUTED;
  else if (zone->class == CLASS_UNROUTED)
    check_unrouted(reader, zone);
  build_local(reader, zone);
}

/* ---- hosts ---- */

static bool set_contains_range(const struct address_set *set, const struct address_range *range) {
  size_t low = 0, high = set->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (address_compare(&set->ranges[middle].last, &range->first) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low < set->count && range_contains_range(&set->ranges[low], range);
}

/* What the zone with the default route claims; worked out once, when a host asks for it. */
static const struct address_set *default_space(struct reader *reader, zone_index zone) {
  struct address_set *space;
  if (reader->default_space)
    return reader->default_space;
  space = reader_array(reader, 1, sizeof(*space));
  if (space && policy_zone_addresses(reader->policy, zone, reader->arena, space) < 0)
    reader->out_of_memory = true;
  reader->default_space = space;
  return space;
}

/* Only the first zone with default_route has that space; a second one is refused by the doctrine. */
static bool is_default_zone(const struct policy *policy, zone_index index) {
  for (zone_index i = 0; i < index; i++)
    if (policy->zones[i].default_route)
      return false;
  return policy->zones[index].default_route;
}

static bool zone_claims(struct reader *reader, zone_index index, const struct address_range *range) {
  const struct policy *policy = reader->policy;
  if (set_contains_range(&policy->zones[index].local, range))
    return true;
  if (!is_default_zone(policy, index))
    return false;
  const struct address_set *space = default_space(reader, index);
  return space && set_contains_range(space, range);
}

static void refuse_outside(struct reader *reader, const struct host *host, const struct placed_range *address) {
  const struct zone *zone = &reader->policy->zones[host->zone];
  char text[RANGE_TEXT_SIZE];
  range_format(&address->range, text);
  struct diagnostic *diagnostic =
      PROBLEM(reader, "P11", reader_point(reader, address->place, text),
              "アドレス %s は領域「%s」の networks にも remote にもありません",
              "the address %s is neither in networks nor in remote of the zone '%s'", text, zone->name);
  diagnostic_relate(reader->diagnostics, diagnostic, reader_point(reader, zone->place, zone->name), "領域「%s」",
                    "the zone '%s'", zone->name);
  if (zone->default_route)
    HINT(reader, diagnostic,
         "default_route に含まれるのは、どの領域にも属さないグローバルアドレスだけです（プライベートアドレスは "
         "networks か "
         "remote に書いてください）",
         "default_route claims global addresses only; a private one belongs into networks or remote");
  for (size_t i = 0; i < reader->policy->zone_count; i++)
    if (set_contains_range(&reader->policy->zones[i].local, &address->range))
      HINT(reader, diagnostic, "このアドレスは領域「%s」にあります", "the address lies in the zone '%s'",
           reader->policy->zones[i].name);
}

/* 0.0.0.0/0 and ::/0 are refused by the doctrine (D05). */
static bool is_everything(const struct address_range *range) {
  return range_prefix_length(range) == 0;
}

static void check_addresses(struct reader *reader, const struct host *host) {
  for (size_t i = 0; i < host->address_count; i++)
    if (!is_everything(&host->addresses[i].range) && !zone_claims(reader, host->zone, &host->addresses[i].range))
      refuse_outside(reader, host, &host->addresses[i]);
}

/* Whether the reason of via_router is there is asked by the doctrine. */
static void check_mac_scope(struct reader *reader, const struct host *host) {
  if (host->mac_scope == MAC_SCOPE_DIRECT && host->mac_reason.text)
    PROBLEM(reader, "P13", reader_point(reader, host->mac_reason.place, "mac_reason"),
            "mac_reason は mac_scope = \"via_router\" のときだけ書いてください",
            "mac_reason goes with mac_scope = \"via_router\" only");
}

void reader_host(struct reader *reader, config_setting_t *setting, struct host *host) {
  host->zone = ZONE_NONE;
  host->label = "";
  host->place = reader_place(reader, setting);
  if (!config_setting_is_group(setting)) {
    reader_section(reader, SECTION_HOST, setting, host);
    return;
  }
  reader_section(reader, SECTION_HOST, setting, host);
  if (host->zone >= 0 && !reader->zone_holes[host->zone])
    check_addresses(reader, host);
  check_mac_scope(reader, host);
}

/* ---- speakers ---- */

static bool is_speaker(const struct reader *reader, const char *text) {
  struct address address;
  struct mac mac;
  size_t index;
  return reader_find(&reader->hosts, text, &index) || address_parse(text, &address) || mac_parse(text, &mac);
}

static void check_speakers(struct reader *reader, const char *key, const struct text *texts, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (is_speaker(reader, texts[i].text))
      continue;
    struct diagnostic *diagnostic = PROBLEM(reader, "P06", reader_point(reader, texts[i].place, texts[i].text),
                                            "「%s」: 「%s」は hosts の機器でも、アドレスでも、MAC でもありません",
                                            "%s: '%s' is neither a host, an address nor a MAC", key, texts[i].text);
    reader_suggest_host(reader, diagnostic, texts[i].text);
  }
}

void reader_check_speakers(struct reader *reader) {
  for (size_t i = 0; i < reader->policy->zone_count; i++) {
    const struct zone *zone = &reader->policy->zones[i];
    reader->subject = zone->name;
    check_speakers(reader, "routers", zone->routers, zone->router_count);
    check_speakers(reader, "dhcp_servers", zone->dhcp_servers, zone->dhcp_server_count);
    check_speakers(reader, "switches", zone->switches, zone->switch_count);
  }
}
