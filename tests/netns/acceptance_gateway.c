/* SPDX-License-Identifier: GPL-2.0-or-later */
/* F, I: what the gateway itself takes and answers. */
#include "acceptance.h"

#include <stdio.h>
#include <string.h>

struct answer_search {
  uint8_t type;
  unsigned found;
};

static void find_icmpv6(const struct lab_seen *seen, void *context) {
  struct answer_search *search = context;
  if (seen->interface != LAB_GATEWAY && seen->sight.packet.protocol == PROTOCOL_ICMPV6 &&
      seen->sight.packet.icmp_type == search->type)
    search->found++;
}

static void find_arp(const struct lab_seen *seen, void *context) {
  if (seen->sight.ethertype == 0x0806)
    (*(unsigned *)context)++;
}

/* A neighbour solicitation from a host of that zone for the gateway's address. */
static struct lab_frame_recipe solicitation(const struct lab_interface *wire, const struct address *source,
                                            uint8_t body[static 32]) {
  struct lab_frame_recipe recipe = {.hop_limit = 255, .no_tail = true, .destination_mac = wire->mac};
  recipe.packet =
      (struct packet){.source = *source, .destination = wire->ipv6, .protocol = PROTOCOL_ICMPV6, .icmp_type = 135};
  recipe.source_mac = lab_mac_of(the_policy(), source);
  memcpy(body, wire->ipv6.bytes, 16);
  body[16] = 1; /* source link-layer address */
  body[17] = 1;
  memcpy(body + 18, recipe.source_mac.bytes, 6);
  recipe.payload = body;
  recipe.payload_length = 24;
  return recipe;
}

static unsigned count_advertisements(int interface, const struct lab_frame *frame) {
  struct answer_search search = {.type = 136};
  ck_assert_int_eq(lab_send(the_lab(), interface, frame), 0);
  (void)lab_collect(the_lab(), 50, find_icmpv6, &search);
  return search.found;
}

START_TEST(AC_I1_E3_neighbour_discovery_with_the_gateway_works_in_every_zone) {
  struct lab_options options = {.neighbours = true};
  open_town_with(&options);
  for (size_t i = 0; i < lab_interface_count(the_lab()); i++) {
    const struct lab_interface *wire = lab_interface(the_lab(), i);
    uint8_t body[32];
    struct lab_frame frame;
    if (!wire->has_ipv6)
      continue;
    struct address link_local = address_of("fe80::99");
    struct lab_frame_recipe recipe = solicitation(wire, &link_local, body);
    struct mac mac = recipe.source_mac;
    ck_assert_int_eq(lab_neighbour(the_lab(), (int)i, &link_local, &mac), 0);
    ck_assert_int_eq(lab_frame_build(&recipe, &frame), 0);
    ck_assert_msg(count_advertisements((int)i, &frame) == 1, "no answer on %s", wire->name);
    recipe.hop_limit = 64;
    ck_assert_int_eq(lab_frame_build(&recipe, &frame), 0);
    ck_assert_msg(count_advertisements((int)i, &frame) == 0, "an answer to hop limit 64 on %s", wire->name);
  }
  close_town();
}
END_TEST

START_TEST(AC_E3_arp_with_the_gateway_works_in_every_zone) {
  struct lab_options options = {.neighbours = true};
  open_town_with(&options);
  for (size_t i = 0; i < lab_interface_count(the_lab()); i++) {
    const struct lab_interface *wire = lab_interface(the_lab(), i);
    struct lab_frame frame = {.length = 42};
    unsigned found = 0;
    if (!wire->has_ipv4)
      continue;
    static const uint8_t head[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 1, 2, 3, 4, 5, 8, 6,
                                   0,    1,    8,    0,    6,    4,    0, 1, 2, 1, 2, 3, 4, 5};
    memcpy(frame.data, head, sizeof(head));
    memcpy(frame.data + 28, wire->ipv4.bytes, 4);
    frame.data[31] ^= 2; /* a neighbour in the same network */
    memcpy(frame.data + 38, wire->ipv4.bytes, 4);
    ck_assert_int_eq(lab_send(the_lab(), (int)i, &frame), 0);
    (void)lab_collect(the_lab(), 50, find_arp, &found);
    ck_assert_msg(found >= 1, "no ARP answer on %s", wire->name);
  }
  close_town();
}
END_TEST

START_TEST(AC_I4_fragmented_neighbour_discovery_is_not_answered) {
  struct lab_options options = {.neighbours = true};
  open_town_with(&options);
  int interface = lab_find_interface(the_lab(), "ens1f1.210");
  const struct lab_interface *wire = lab_interface(the_lab(), (size_t)interface);
  struct address source = in_family("10.210.0.14", FAMILY_IPV6);
  uint8_t body[32];
  struct lab_frame frame, parts[2];
  struct lab_frame_recipe recipe = solicitation(wire, &source, body);
  ck_assert_int_eq(lab_neighbour(the_lab(), interface, &source, &recipe.source_mac), 0);
  ck_assert_int_eq(lab_frame_build(&recipe, &frame), 0);
  ck_assert_int_eq(lab_frame_split(&frame, 16, 7, parts), 0);
  ck_assert_uint_eq(count_advertisements(interface, &parts[0]), 0);
  ck_assert_uint_eq(count_advertisements(interface, &parts[1]), 0);
  close_town();
}
END_TEST

START_TEST(AC_I4_the_guard_stops_neighbour_discovery_in_fragments) {
  static const uint8_t types[] = {135, 136};
  open_town();
  int interface = lab_find_interface(the_lab(), "ens1f1.210");
  const struct lab_interface *wire = lab_interface(the_lab(), (size_t)interface);
  struct address source = in_family("10.210.0.14", FAMILY_IPV6);
  for (size_t i = 0; i < sizeof(types); i++) {
    uint8_t body[32];
    struct lab_probe whole = {.interface = interface, .recipe = solicitation(wire, &source, body)};
    whole.recipe.packet.icmp_type = types[i];
    whole.recipe.no_tail = false;
    struct lab_probe split = whole;
    split.split = 24;
    uint64_t before = counter("guard.lgwan.fragment");
    ck_assert_msg(passes(&whole), "whole, type %u", types[i]);
    ck_assert_msg(!passes(&split), "in fragments, type %u", types[i]);
    ck_assert_uint_eq(counter("guard.lgwan.fragment") - before, 2);
  }
  close_town();
}
END_TEST

START_TEST(AC_I5_F6_the_gateway_takes_nothing_from_a_zone_that_no_flow_allows) {
  static const uint8_t icmp6[] = {128, 138, 139, 140, 144, 145, 146, 147};
  static const struct {
    uint8_t protocol;
    uint16_t port;
  } kinds[] = {{PROTOCOL_TCP, 22}, {PROTOCOL_TCP, 443}, {PROTOCOL_UDP, 53}, {PROTOCOL_UDP, 123}, {200, 0}, {132, 22}};
  open_town();
  for (size_t i = 0; i < lab_interface_count(the_lab()); i++) {
    const struct lab_interface *wire = lab_interface(the_lab(), i);
    struct address source;
    if (strcmp(policy_zone_name(the_policy(), wire->zone), "mgmt") == 0 || !wire->has_ipv6)
      continue;
    ck_assert(address_next(&wire->ipv6, &source));
    for (size_t j = 0; j < sizeof(icmp6); j++) {
      struct lab_probe probe = probe_from(wire->name, source, wire->ipv6, PROTOCOL_ICMPV6, icmp6[j]);
      ck_assert_msg(!passes(&probe), "ICMPv6 %u to the gateway on %s", icmp6[j], wire->name);
    }
    for (size_t j = 0; j < sizeof(kinds) / sizeof(kinds[0]); j++) {
      struct lab_probe probe = probe_from(wire->name, source, wire->ipv6, kinds[j].protocol, kinds[j].port);
      ck_assert_msg(!passes(&probe), "protocol %u to the gateway on %s", kinds[j].protocol, wire->name);
    }
  }
  close_town();
}
END_TEST

START_TEST(a_flow_to_the_gateway_does_not_cover_the_broadcast_of_the_wire) {
  open_echo(NULL);
  struct lab_probe own = probe_from("left0", address_of("10.1.0.9"), address_of("10.1.0.1"), PROTOCOL_UDP, 514);
  struct lab_probe broadcast = probe_from("left0", address_of("10.1.0.9"), address_of("10.1.0.255"), PROTOCOL_UDP, 514);
  struct lab_probe other = probe_from("left0", address_of("10.1.0.9"), address_of("10.2.0.1"), PROTOCOL_UDP, 514);
  ck_assert(passes(&own));
  ck_assert(!passes(&broadcast));
  ck_assert_msg(!passes(&other), "the gateway's address on another zone's wire");
  close_town();
}
END_TEST

void add_gateway(Suite *suite) {
  TCase *test = add_case(suite, "F I gateway");
  tcase_add_test(test, AC_I1_E3_neighbour_discovery_with_the_gateway_works_in_every_zone);
  tcase_add_test(test, AC_E3_arp_with_the_gateway_works_in_every_zone);
  tcase_add_test(test, AC_I4_fragmented_neighbour_discovery_is_not_answered);
  tcase_add_test(test, AC_I4_the_guard_stops_neighbour_discovery_in_fragments);
  tcase_add_test(test, AC_I5_F6_the_gateway_takes_nothing_from_a_zone_that_no_flow_allows);
  tcase_add_test(test, a_flow_to_the_gateway_does_not_cover_the_broadcast_of_the_wire);
}
