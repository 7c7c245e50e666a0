/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What machines of a wire say about themselves: routers, DHCP servers, switches. Who is not named by the policy and
 * speaks for others is a rogue router; a switch that only another zone has is on a joined wire. A client that asks is
 * nobody's enemy, but what it says of itself (its name, the server that it chose) is noted.
 *
 * A frame whose source lies in another zone is left to those who judge addresses: that it is there at all is worse.
 */
#include <string.h>

#include "watch/watch_parts.h"
#include "wire/control.h"

enum { DHCP_REQUEST = 3, NAME_SHORTEST = 3 };

/* ---- telling ---- */

static void tell(struct watch *watch, const struct sighting *sighting, enum finding_kind kind, zone_index other_zone,
                 const char *reason, const struct mac *subject) {
  struct finding finding;
  sighting_describe(sighting, &finding);
  finding.kind = kind;
  finding.zone = sighting->wire_zone;
  finding.other_zone = other_zone;
  finding.reason = reason;
  finding.subject = machines_digest(homes_machines(watch->homes), subject->bytes, sizeof subject->bytes, NULL, 0);
  homes_neighbour(watch, &finding);
}

/* ---- who may speak ---- */

struct ownership {
  const struct machines *machines;
  const struct mac *mac;
};

/* Whether the MAC was seen to have that address. */
static bool owns(void *context, const struct address *address) {
  const struct ownership *ownership = context;
  struct mac mac;
  return machines_find_address(ownership->machines, address, &mac) && mac_equal(&mac, ownership->mac);
}

static bool is_named_mac_by(const struct watch *watch, const struct generation *generation, int wire,
                            enum speaker speaker, const struct mac *mac) {
  zone_index zone = generation->wire_zones[wire];
  struct ownership ownership = {homes_machines(watch->homes), mac};
  return declared_mac(generation->declared, zone, speaker, mac) ||
         declared_any_address(generation->declared, zone, speaker, owns, &ownership);
}

static bool is_named_mac(const struct watch *watch, const struct sighting *sighting, enum speaker speaker,
                         const struct mac *mac) {
  return is_named_mac_by(watch, &watch->current, sighting->wire, speaker, mac) ||
         (watch->pending.policy != NULL && is_named_mac_by(watch, &watch->pending, sighting->wire, speaker, mac));
}

/* From a MAC that routers share: known by the address of the one that speaks. */
static bool is_named_through_virtual(const struct watch *watch, const struct generation *generation,
                                     const struct sighting *sighting, enum speaker speaker) {
  const struct address *source = &sighting->packet.source;
  zone_index zone = generation->wire_zones[sighting->wire];
  struct mac owner;
  return declared_has_address(generation->declared, zone, speaker, source) ||
         (machines_find_address(homes_machines(watch->homes), source, &owner) &&
          declared_mac(generation->declared, zone, speaker, &owner));
}

static bool is_named_by(const struct watch *watch, const struct generation *generation, const struct sighting *sighting,
                        enum speaker speaker) {
  const struct frame *frame = sighting->frame;
  if (is_named_mac_by(watch, generation, sighting->wire, speaker, &frame->source_mac))
    return true;
  if (frame->content != CONTENT_IP)
    return false;
  zone_index zone = generation->wire_zones[sighting->wire];
  return declared_address(generation->declared, zone, speaker, &sighting->packet.source) ||
         (mac_is_virtual(&frame->source_mac) && is_named_through_virtual(watch, generation, sighting, speaker));
}

static bool is_named(const struct watch *watch, const struct sighting *sighting, enum speaker speaker) {
  return is_named_by(watch, &watch->current, sighting, speaker) ||
         (watch->pending.policy != NULL && is_named_by(watch, &watch->pending, sighting, speaker));
}

static bool is_of_another_zone(const struct sighting *sighting) {
  return sighting->source.zone != ZONE_NONE && sighting->source.zone != sighting->wire_zone;
}

/* ---- routers ---- */

/* Routers speak to their own wire, and those that use UDP from the port to which they speak. */
static bool is_local_talk(const struct sighting *sighting) {
  const struct packet *packet = &sighting->packet;
  if ((sighting->destination.traits & (ADDRESS_LINK_LOCAL | ADDRESS_GROUP)) != 0)
    return true;
  return sighting->destination.zone == sighting->wire_zone &&
         (packet->protocol != PROTOCOL_UDP || packet->source_port == packet->destination_port);
}

/* A router that the zone names may still say that another zone's network is here. */
static bool judge_prefixes(struct watch *watch, const struct sighting *sighting, const struct control_facts *facts) {
  for (unsigned i = 0; i < facts->prefix_count; i++)
    if (judge_foreign_claim(watch, sighting, &facts->prefixes[i].first, FINDING_BYPASS, "prefix-claim"))
      return true;
  return false;
}

static bool judge_router(struct watch *watch, const struct sighting *sighting, const struct control_facts *facts) {
  if (!facts->speaks_for_many || !is_local_talk(sighting))
    return false;
  if (is_named(watch, sighting, SPEAKER_ROUTER))
    return judge_prefixes(watch, sighting, facts);
  tell(watch, sighting, FINDING_ROGUE_ROUTER, ZONE_NONE, facts->protocol, &sighting->frame->source_mac);
  return true;
}

/* Somebody of this wire to whom others send what is for a network that nobody has here. */
bool judge_second_gateway(struct watch *watch, const struct sighting *sighting) {
  const struct mac *next_hop = &sighting->frame->destination_mac;
  struct ownership ownership = {homes_machines(watch->homes), next_hop};
  if (!wire_knows_gateway(watch, sighting->wire) || sighting->destination.zone != ZONE_NONE ||
      (sighting->destination.traits & ADDRESS_SPECIAL_DESTINATION) != 0 || !sighting->frame->has_macs ||
      (next_hop->bytes[0] & 1) != 0 || owns(&ownership, &sighting->packet.destination) ||
      is_named_mac(watch, sighting, SPEAKER_ROUTER, next_hop))
    return false;
  tell(watch, sighting, FINDING_ROGUE_ROUTER, ZONE_NONE, "second-gateway", next_hop);
  return true;
}

/* ---- DHCP ---- */

/* Names that many machines have by birth. */
static bool is_common(const char *name, size_t length) {
  static const char *const common[] = {"localhost", "android", "iphone",      "ipad",       "espressif", "raspberrypi",
                                       "debian",    "ubuntu",  "raspberry",   "windows",    "desktop",   "laptop",
                                       "unknown",   "printer", "localhost-1", "macbook",    "host",      "none",
                                       "mac",       "watch",   "macbook-pro", "macbook-air"};
  static const char *const models[] = {"galaxy-", "pixel-"}; /* and which */
  for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
    if (strlen(common[i]) == length && memcmp(common[i], name, length) == 0)
      return true;
  for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
    if (strncmp(name, models[i], strlen(models[i])) == 0)
      return true;
  return length < NAME_SHORTEST;
}

static void hear_client(struct watch *watch, const struct sighting *sighting, const struct control_facts *facts) {
  char name[CONTROL_NAME_SIZE]; /* without the domain */
  size_t length = strcspn(facts->name, ".");
  memcpy(name, facts->name, length);
  name[length] = '\0';
  if (facts->kind == CONTROL_DHCP && !(facts->has_client && mac_equal(&facts->client, &sighting->frame->source_mac)))
    return; /* a relay speaks for somebody else */
  if (facts->identity_length > 0)
    homes_hear_name(watch, sighting, MACHINE_BY_DUID, facts->identity, facts->identity_length, name, "dhcp-identity");
  if (!is_common(name, length))
    homes_hear_name(watch, sighting, MACHINE_BY_HOST_NAME, name, length, name, "dhcp-name");
}

static bool knows_server(const struct watch *watch, const struct generation *generation,
                         const struct sighting *sighting, const struct address *server) {
  zone_index zone = generation->wire_zones[sighting->wire];
  struct mac mac;
  if ((index_find(generation->index, server).traits & ADDRESS_OWN) != 0 ||
      declared_has_address(generation->declared, zone, SPEAKER_DHCP_SERVER, server))
    return true;
  if (!declared_without_address(generation->declared, zone, SPEAKER_DHCP_SERVER))
    return false;
  return !machines_find_address(homes_machines(watch->homes), server, &mac) ||
         declared_mac(generation->declared, zone, SPEAKER_DHCP_SERVER, &mac);
}

/* Whose offer a client takes is said to all, even where the offer itself was not. */
static bool judge_choice(struct watch *watch, const struct sighting *sighting, const struct control_facts *facts) {
  if (facts->message != DHCP_REQUEST || facts->server.family == FAMILY_NONE ||
      knows_server(watch, &watch->current, sighting, &facts->server) ||
      (watch->pending.policy != NULL && knows_server(watch, &watch->pending, sighting, &facts->server)))
    return false;
  struct mac server = {{0}};
  if (!machines_find_address(homes_machines(watch->homes), &facts->server, &server))
    memcpy(server.bytes, facts->server.bytes, 4);
  tell(watch, sighting, FINDING_ROGUE_ROUTER, ZONE_NONE, "dhcp-choice", &server);
  return true;
}

static bool is_tethered(const struct watch *watch, const struct control_facts *facts) {
  const struct address *const addresses[] = {&facts->offered, &facts->server, &facts->router};
  for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
    if (address_is_of_tethering(addresses[i]) && index_find(watch->current.index, addresses[i]).zone == ZONE_NONE)
      return true;
  return false;
}

/* A server behind a router of the zone speaks through it. */
static bool is_relayed(const struct watch *watch, const struct sighting *sighting, const struct control_facts *facts) {
  return is_named(watch, sighting, SPEAKER_ROUTER) && facts->server.family != FAMILY_NONE &&
         declared_has_address(watch->current.declared, sighting->wire_zone, SPEAKER_DHCP_SERVER, &facts->server);
}

static bool judge_server(struct watch *watch, const struct sighting *sighting, const struct control_facts *facts) {
  if (is_named(watch, sighting, SPEAKER_DHCP_SERVER) || is_relayed(watch, sighting, facts))
    return facts->offered.family != FAMILY_NONE &&
           judge_foreign_claim(watch, sighting, &facts->offered, FINDING_UNKNOWN_SEGMENT, "dhcp-offer");
  bool tethered = is_tethered(watch, facts);
  tell(watch, sighting, tethered ? FINDING_ROGUE_UPLINK : FINDING_ROGUE_ROUTER, ZONE_NONE,
       tethered ? "tethering" : facts->protocol, &sighting->frame->source_mac);
  return true;
}

static bool judge_dhcp(struct watch *watch, const struct sighting *sighting, const struct control_facts *facts) {
  if (facts->speaks_for_many)
    return judge_server(watch, sighting, facts);
  hear_client(watch, sighting, facts);
  if (judge_choice(watch, sighting, facts))
    return true;
  return facts->requested.family != FAMILY_NONE && !homes_is_strange(watch) &&
         judge_foreign_claim(watch, sighting, &facts->requested, FINDING_UNKNOWN_SEGMENT, "dhcp-search");
}

/* ---- switches ---- */

static int wire_of_zone(const struct watch *watch, zone_index zone) {
  for (size_t i = 0; i < watch->wire_count; i++)
    if (watch->current.wire_zones[i] == zone)
      return (int)i;
  return WIRE_NONE;
}

/* A switch that by both policies is another zone's. */
static bool judge_switch(struct watch *watch, const struct sighting *sighting, bool has_mac, const struct mac *mac,
                         const char *reason) {
  if (!has_mac)
    return false;
  zone_index zone = declared_foreign_switch(watch->current.declared, sighting->wire_zone, mac);
  bool lawful = watch->pending.policy != NULL &&
                declared_mac(watch->pending.declared, watch->pending.wire_zones[sighting->wire], SPEAKER_SWITCH, mac);
  if (zone == ZONE_NONE || lawful)
    return false;
  homes_bridged(watch, sighting, zone, wire_of_zone(watch, zone), reason);
  return true;
}

static bool is_own_switch(const struct watch *watch, const struct sighting *sighting, const struct mac *mac) {
  return declared_mac(watch->current.declared, sighting->wire_zone, SPEAKER_SWITCH, mac);
}

static bool judge_tree(struct watch *watch, const struct sighting *sighting, const struct control_facts *facts) {
  if (judge_switch(watch, sighting, facts->has_bridge, &facts->bridge, "stp-switch") ||
      judge_switch(watch, sighting, facts->has_root, &facts->root, "stp-switch"))
    return true;
  if (facts->has_root)
    trees_judge_root(watch, sighting, facts);
  return false;
}

/*
 * Switches are managed from another zone than they serve, and need not be declared; who else has an address of another
 * zone stands in both.
 */
static bool judge_system_address(struct watch *watch, const struct sighting *sighting,
                                 const struct control_facts *facts, const struct address *address) {
  zone_index zone = declared_foreign_switch_address(watch->current.declared, sighting->wire_zone, address);
  if (zone != ZONE_NONE) {
    homes_bridged(watch, sighting, zone, wire_of_zone(watch, zone), "lldp-switch");
    return true;
  }
  zone = index_find(watch->current.index, address).zone;
  if (zone < 0 || zone == sighting->wire_zone || (facts->has_capabilities && facts->forwards) ||
      is_named(watch, sighting, SPEAKER_SWITCH) || watch->current.policy->zones[zone].class == CLASS_MANAGEMENT ||
      policy_is_global(watch->current.policy, address))
    return false;
  tell(watch, sighting, FINDING_DUAL_HOMED, zone, "lldp-address", &sighting->frame->source_mac);
  return true;
}

static bool judge_system(struct watch *watch, const struct sighting *sighting, const struct control_facts *facts) {
  if (judge_switch(watch, sighting, facts->has_bridge, &facts->bridge, "lldp-switch") ||
      judge_switch(watch, sighting, true, &sighting->frame->source_mac, "lldp-switch"))
    return true;
  if (facts->has_bridge && is_own_switch(watch, sighting, &facts->bridge))
    return false;
  for (unsigned i = 0; i < facts->address_count; i++)
    if (judge_system_address(watch, sighting, facts, &facts->addresses[i]))
      return true;
  if (facts->has_bridge && facts->has_capabilities && !facts->forwards)
    homes_hear_name(watch, sighting, MACHINE_BY_MAC, facts->bridge.bytes, sizeof facts->bridge.bytes, facts->name,
                    "lldp-system");
  return false;
}

/* ---- all ---- */

bool judge_control(struct watch *watch, const struct sighting *sighting) {
  static bool (*const judges[])(struct watch *, const struct sighting *, const struct control_facts *) = {
      [CONTROL_DHCP] = judge_dhcp,       [CONTROL_DHCPV6] = judge_dhcp, [CONTROL_ROUTER_ADVERT] = judge_router,
      [CONTROL_REDIRECT] = judge_router, [CONTROL_IRDP] = judge_router, [CONTROL_REDUNDANCY] = judge_router,
      [CONTROL_ROUTING] = judge_router,  [CONTROL_STP] = judge_tree,    [CONTROL_LLDP] = judge_system,
      [CONTROL_CDP] = judge_system,
  };
  const struct frame *frame = sighting->frame;
  struct control_facts facts;
  if (sighting->direction == FRAME_LEAVING || !frame->has_macs ||
      (frame->content == CONTENT_IP && (frame->packet.protocol == PROTOCOL_TCP || is_of_another_zone(sighting))) ||
      !control_decode(sighting->captured, frame, &facts))
    return false;
  return judges[facts.kind](watch, sighting, &facts);
}
