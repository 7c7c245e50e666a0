/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/declared.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

struct named {
  bool has_mac, has_address;
  bool proves; /* the address alone is enough */
  bool bare;   /* a MAC whose addresses nobody wrote down */
  struct mac mac;
  struct address_range range;
};

struct names {
  struct named *names;
  size_t count;
};

struct declared {
  const struct policy *policy;
  struct names (*zones)[SPEAKER_COUNT_]; /* by zone */
};

enum { ADDRESSES_OF_RANGE = 16 }; /* of a speaker that is written as a range */

/* ---- building ---- */

static struct names *count_names(struct names *names, const struct text *texts, size_t count,
                                 const struct policy *policy) {
  names->count = 0;
  for (size_t i = 0; i < count; i++) {
    const struct host *host = policy_find_host(policy, texts[i].text);
    names->count += host != NULL ? host->mac_count + host->address_count : 1;
  }
  return names;
}

static size_t add_host(struct named *names, const struct host *host) {
  size_t count = 0;
  bool by_mac = host->mac_count > 0 && host->mac_scope == MAC_SCOPE_DIRECT;
  for (size_t i = 0; by_mac && i < host->mac_count; i++)
    names[count++] = (struct named){.has_mac = true, .mac = host->macs[i]};
  for (size_t i = 0; i < host->address_count; i++)
    names[count++] = (struct named){.has_address = true, .proves = !by_mac, .range = host->addresses[i].range};
  return count;
}

static size_t add_text(struct named *names, const char *text) {
  struct mac mac;
  struct address_range range;
  const char *why;
  if (mac_parse(text, &mac))
    *names = (struct named){.has_mac = true, .bare = true, .mac = mac};
  else if (range_parse(text, &range, &why))
    *names = (struct named){.has_address = true, .proves = true, .range = range};
  else
    return 0;
  return 1;
}

static int build_names(struct arena *arena, const struct policy *policy, const struct text *texts, size_t count,
                       struct names *names) {
  count_names(names, texts, count, policy);
  names->names = ARENA_ARRAY(arena, names->count + 1, struct named);
  if (names->names == NULL)
    return -ENOMEM;
  size_t filled = 0;
  for (size_t i = 0; i < count; i++) {
    const struct host *host = policy_find_host(policy, texts[i].text);
    filled += host != NULL ? add_host(names->names + filled, host) : add_text(names->names + filled, texts[i].text);
  }
  names->count = filled;
  return 0;
}

int declared_build(struct arena *arena, const struct policy *policy, struct declared **ret_declared) {
  struct declared *declared = ARENA_NEW(arena, struct declared);
  if (declared == NULL)
    return -ENOMEM;
  declared->policy = policy;
  declared->zones = arena_alloc(arena, (policy->zone_count + 1) * sizeof *declared->zones);
  if (declared->zones == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < policy->zone_count; i++) {
    const struct zone *zone = &policy->zones[i];
    struct names *names = declared->zones[i];
    if (build_names(arena, policy, zone->routers, zone->router_count, &names[SPEAKER_ROUTER]) < 0 ||
        build_names(arena, policy, zone->dhcp_servers, zone->dhcp_server_count, &names[SPEAKER_DHCP_SERVER]) < 0 ||
        build_names(arena, policy, zone->switches, zone->switch_count, &names[SPEAKER_SWITCH]) < 0)
      return -ENOMEM;
  }
  *ret_declared = declared;
  return 0;
}

/* ---- asking ---- */

static struct names names_of(const struct declared *declared, zone_index zone, enum speaker speaker) {
  return zone >= 0 ? declared->zones[zone][speaker] : (struct names){.count = 0};
}

bool declared_mac(const struct declared *declared, zone_index zone, enum speaker speaker, const struct mac *mac) {
  struct names names = names_of(declared, zone, speaker);
  for (size_t i = 0; i < names.count; i++)
    if (names.names[i].has_mac && mac_equal(&names.names[i].mac, mac))
      return true;
  return false;
}

static bool has_address(struct names names, const struct address *address, bool proving) {
  for (size_t i = 0; i < names.count; i++)
    if (names.names[i].has_address && (names.names[i].proves || !proving) &&
        range_contains(&names.names[i].range, address))
      return true;
  return false;
}

bool declared_address(const struct declared *declared, zone_index zone, enum speaker speaker,
                      const struct address *address) {
  return has_address(names_of(declared, zone, speaker), address, true);
}

bool declared_has_address(const struct declared *declared, zone_index zone, enum speaker speaker,
                          const struct address *address) {
  return has_address(names_of(declared, zone, speaker), address, false);
}

static bool any_of_range(const struct address_range *range, bool (*ask)(void *context, const struct address *address),
                         void *context) {
  struct address address = range->first;
  for (unsigned i = 0; i < ADDRESSES_OF_RANGE; i++) {
    if (ask(context, &address))
      return true;
    if (address_equal(&address, &range->last) || !address_next(&address, &address))
      return false;
  }
  return false;
}

bool declared_any_address(const struct declared *declared, zone_index zone, enum speaker speaker,
                          bool (*ask)(void *context, const struct address *address), void *context) {
  struct names names = names_of(declared, zone, speaker);
  for (size_t i = 0; i < names.count; i++)
    if (names.names[i].has_address && names.names[i].proves && any_of_range(&names.names[i].range, ask, context))
      return true;
  return false;
}

bool declared_without_address(const struct declared *declared, zone_index zone, enum speaker speaker) {
  struct names names = names_of(declared, zone, speaker);
  for (size_t i = 0; i < names.count; i++)
    if (names.names[i].bare)
      return true;
  return false;
}

zone_index declared_foreign_switch(const struct declared *declared, zone_index zone, const struct mac *mac) {
  if (declared_mac(declared, zone, SPEAKER_SWITCH, mac))
    return ZONE_NONE;
  for (size_t i = 0; i < declared->policy->zone_count; i++)
    if (declared_mac(declared, (zone_index)i, SPEAKER_SWITCH, mac))
      return (zone_index)i;
  return ZONE_NONE;
}

zone_index declared_foreign_switch_address(const struct declared *declared, zone_index zone,
                                           const struct address *address) {
  if (declared_has_address(declared, zone, SPEAKER_SWITCH, address))
    return ZONE_NONE;
  for (size_t i = 0; i < declared->policy->zone_count; i++)
    if (declared_has_address(declared, (zone_index)i, SPEAKER_SWITCH, address))
      return (zone_index)i;
  return ZONE_NONE;
}

/* ---- legs of one machine ---- */

static bool is_host(const struct host *host, const struct mac *mac, const struct address *address, const char *name) {
  if (name != NULL && (strcasecmp(host->name, name) == 0 || strcasecmp(host->machine, name) == 0))
    return true;
  for (size_t i = 0; mac != NULL && i < host->mac_count; i++)
    if (mac_equal(&host->macs[i], mac))
      return true;
  for (size_t i = 0; address != NULL && i < host->address_count; i++)
    if (range_contains(&host->addresses[i].range, address))
      return true;
  return false;
}

static bool has_leg(const struct policy *policy, const char *machine, zone_index zone) {
  for (size_t i = 0; i < policy->host_count; i++)
    if (policy->hosts[i].zone == zone && policy->hosts[i].machine != NULL &&
        strcmp(policy->hosts[i].machine, machine) == 0)
      return true;
  return false;
}

bool declared_legs(const struct declared *declared, zone_index left, zone_index right, const struct mac *mac,
                   const struct address *address, const char *name) {
  const struct policy *policy = declared->policy;
  for (size_t i = 0; i < policy->host_count; i++) {
    const struct host *host = &policy->hosts[i];
    if (host->machine != NULL && is_host(host, mac, address, name) && has_leg(policy, host->machine, left) &&
        has_leg(policy, host->machine, right))
      return true;
  }
  return false;
}
