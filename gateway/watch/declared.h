/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_DECLARED_H
#define KIDO_WATCH_DECLARED_H

#include "base/arena.h"
#include "policy/policy.h"

/*
 * Whom the policy names as lawful speakers of a zone (`routers`, `dhcp_servers`, `switches`), and which hosts are legs
 * of one machine. A speaker is a host, an address or a MAC; a host whose MAC is known is recognised by that alone.
 */
struct declared;

enum speaker { SPEAKER_ROUTER, SPEAKER_DHCP_SERVER, SPEAKER_SWITCH, SPEAKER_COUNT_ };

/* Lives in the arena, as long as the policy. 0 or -ENOMEM. */
int declared_build(struct arena *arena, const struct policy *policy, struct declared **ret_declared);

bool declared_mac(const struct declared *declared, zone_index zone, enum speaker speaker, const struct mac *mac);
/* Whether an address by itself proves the speaker: no MAC of it is known. */
bool declared_address(const struct declared *declared, zone_index zone, enum speaker speaker,
                      const struct address *address);
/* Whether it is an address of a speaker, however that is recognised. */
bool declared_has_address(const struct declared *declared, zone_index zone, enum speaker speaker,
                          const struct address *address);
/* Calls back for each address that proves a speaker, as long as that returns false; true when it returned true. */
bool declared_any_address(const struct declared *declared, zone_index zone, enum speaker speaker,
                          bool (*ask)(void *context, const struct address *address), void *context);
/* Some speaker of the zone is known by its MAC only, so that its addresses are not known. */
bool declared_without_address(const struct declared *declared, zone_index zone, enum speaker speaker);

/* Another zone than `zone` whose switch that is; ZONE_NONE when it is no other's, or this zone's, too. */
zone_index declared_foreign_switch(const struct declared *declared, zone_index zone, const struct mac *mac);
zone_index declared_foreign_switch_address(const struct declared *declared, zone_index zone,
                                           const struct address *address);

/* Whether a machine with this MAC, this address or this name (of a host, or of the machine) may have legs in both
 * zones. Any may be NULL. */
bool declared_legs(const struct declared *declared, zone_index left, zone_index right, const struct mac *mac,
                   const struct address *address, const char *name);

#endif
