/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the reference and the laboratory's routing expect of a packet. */
#include "duel_parts.h"

static unsigned traits_of(const struct duel *duel) {
  const struct lab_frame_recipe *recipe = &duel->probe.recipe;
  unsigned traits = recipe->packet.traits;
  if (recipe->ip_option_length > 0)
    traits |= TRAIT_IP_OPTIONS;
  if (duel->probe.split > 0)
    traits |= TRAIT_FRAGMENT;
  for (size_t i = 0; i < recipe->extension_count; i++) {
    if (recipe->extensions[i].type == 0)
      traits |= TRAIT_HOP_BY_HOP;
    if (recipe->extensions[i].type == 43 && recipe->extensions[i].body[1] == 0)
      traits |= TRAIT_ROUTING_HEADER;
  }
  return traits;
}

static struct packet packet_of(const struct duel *duel) {
  struct packet packet = duel->probe.recipe.packet;
  packet.traits = traits_of(duel);
  packet.has_source_mac = duel->probe.interface != LAB_GATEWAY;
  packet.source_mac = duel->probe.recipe.source_mac;
  return packet;
}

zone_index duel_zone_of_interface(const struct duel_field *field, int interface) {
  if (interface == LAB_GATEWAY)
    return ZONE_GATEWAY;
  return policy_zone_of_interface(field->policy, lab_interface(field->lab, (size_t)interface)->name);
}

int duel_zone_interface(const struct duel_field *field, zone_index zone) {
  for (size_t i = 0; i < lab_interface_count(field->lab); i++)
    if (duel_zone_of_interface(field, (int)i) == zone)
      return (int)i;
  return -1;
}

static bool is_neighbour_discovery(const struct packet *packet) {
  return packet->protocol == PROTOCOL_ICMPV6 && (packet->icmp_type == 135 || packet->icmp_type == 136);
}

static enum packet_role role_beside(const struct packet *packet, const struct packet *opener) {
  return address_equal(&packet->source, &opener->source) ? ROLE_ORIGINAL : ROLE_REPLY;
}

static void expect_role(struct duel *duel) {
  duel->query.role = ROLE_OPENS;
  if (duel->carried != NULL) {
    duel->query.opener = duel->carried->recipe.packet; /* its MAC is not kept with the connection */
    duel->query.role = role_beside(&duel->query.packet, &duel->query.opener);
  }
  if (duel->back == 0)
    return;
  const struct duel *opener = duel - duel->back;
  if (opener->expected == LAB_NOWHERE || is_neighbour_discovery(&opener->query.packet)) /* no connection */
    return;
  duel->query.opener = opener->query.packet;
  duel->query.role = duel->about ? ROLE_ERROR : role_beside(&duel->query.packet, &opener->query.packet);
}

static bool is_own_host(const struct address *address) {
  static const struct address zero4 = {.family = FAMILY_IPV4}, zero6 = {.family = FAMILY_IPV6},
                              loopback6 = {.family = FAMILY_IPV6, .bytes = {[15] = 1}};
  return (address->family == FAMILY_IPV4 && address->bytes[0] == 127) || address_equal(address, &zero4) ||
         address_equal(address, &zero6) || address_equal(address, &loopback6);
}

/* Multicast router discovery: some kernels track it, some do not, and so find it invalid or merely unwanted. */
static bool is_router_discovery(const struct packet *packet) {
  return packet->protocol == PROTOCOL_ICMPV6 && packet->icmp_type >= 151 && packet->icmp_type <= 153;
}

/* A query cannot say "out of an interface without a zone", nor "to all stations of a wire": it then speaks of the zone
 * of the destination. Such packets go nowhere, and any late reason is a true one. */
static bool loosely(const struct duel_field *field, const struct duel *duel, struct lab_route route) {
  bool early = duel->probe.interface != LAB_GATEWAY || duel->decision.reason != REASON_CUT;
  if (early && duel->decision.reason >= REASON_SPECIAL_SOURCE && duel->decision.reason <= REASON_TUNNEL)
    return false;
  return is_router_discovery(&duel->query.packet) || route.kind == LAB_ROUTE_NONE ||
         route.kind == LAB_ROUTE_BROADCAST ||
         (route.kind == LAB_ROUTE_INTERFACE && duel_zone_of_interface(field, route.interface) == ZONE_NONE);
}

/* Packets that the kernel drops of itself, before any rule can count them. */
static bool is_uncounted(const struct packet *packet) {
  static const struct address loopback = {.family = FAMILY_IPV6, .bytes = {[15] = 1}};
  if (packet->source.family != FAMILY_IPV6)
    return false;
  return packet->source.bytes[0] == 0xff || address_equal(&packet->source, &loopback) ||
         address_equal(&packet->destination, &loopback);
}

/* Neighbour discovery with the gateway is only what was sent on this very wire. */
static void set_hop_limit(struct duel *duel, struct lab_route route) {
  if (is_neighbour_discovery(&duel->probe.recipe.packet))
    duel->probe.recipe.hop_limit = route.kind == LAB_ROUTE_LOCAL || duel->probe.interface == LAB_GATEWAY ? 255 : 64;
}

static void expect_one(const struct duel_field *field, struct duel *duel) {
  struct lab_route route = lab_route(field->lab, &duel->probe.recipe.packet.destination);
  set_hop_limit(duel, route);
  duel->route = route.kind;
  duel->query =
      (struct query){.packet = packet_of(duel), .in_zone = duel_zone_of_interface(field, duel->probe.interface)};
  duel->query.out_zone = route.kind == LAB_ROUTE_LOCAL       ? ZONE_GATEWAY
                         : route.kind == LAB_ROUTE_INTERFACE ? duel_zone_of_interface(field, route.interface)
                                                             : ZONE_NONE;
  duel->query.same_interface = duel->probe.interface != LAB_GATEWAY && route.kind == LAB_ROUTE_INTERFACE &&
                               route.interface == duel->probe.interface;
  expect_role(duel);
  duel->decision = policy_decide(field->policy, &field->circumstances, &duel->query);
  bool passes = duel->decision.allow && (route.kind == LAB_ROUTE_LOCAL || route.kind == LAB_ROUTE_INTERFACE);
  duel->expected = !passes ? LAB_NOWHERE : route.kind == LAB_ROUTE_LOCAL ? LAB_DELIVERED : LAB_FORWARDED;
  duel->expected_out = duel->expected == LAB_FORWARDED ? route.interface : LAB_GATEWAY;
  duel->uncounted = is_uncounted(&duel->query.packet);
  duel->unseen = duel->probe.interface == LAB_GATEWAY &&
                 (route.kind == LAB_ROUTE_LOCAL || is_own_host(&duel->query.packet.destination) ||
                  is_neighbour_discovery(&duel->query.packet)); /* which also leaves interfaces without a zone */
  duel->loose = loosely(field, duel, route);
  if (duel->loose || duel->uncounted)
    duel->expected = LAB_NOWHERE;
}

void duel_expect(const struct duel_field *field, struct duel *duels, size_t count) {
  for (size_t i = 0; i < count; i++)
    expect_one(field, &duels[i]);
}
