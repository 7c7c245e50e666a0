/* SPDX-License-Identifier: GPL-2.0-or-later */
/* B, D: shapes of packets that do not pass. */
#include "acceptance.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

START_TEST(AC_D8_D9_every_ipv4_option_is_dropped_and_counted) {
  static const struct {
    const char *name;
    uint8_t bytes[12];
    size_t length;
  } options[] = {
      {"loose source route", {131, 7, 4, 198, 51, 100, 53, 0}, 8},
      {"strict source route", {137, 7, 4, 198, 51, 100, 53, 0}, 8},
      {"record route", {7, 7, 4, 0, 0, 0, 0, 0}, 8},
      {"router alert", {148, 4, 0, 0}, 4},
      {"timestamp", {68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 12},
      {"no operation", {1, 1, 1, 0}, 4},
      {"security", {130, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 12},
  };
  open_town();
  for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
    struct lab_probe probe = lawful(FAMILY_IPV4, PROTOCOL_UDP);
    probe.recipe.ip_options = options[i].bytes;
    probe.recipe.ip_option_length = options[i].length;
    assert_denied(&probe, "guard.lgwan.ip-options", options[i].name);
  }
  close_town();
}
END_TEST

static struct lab_frame_extension extension_of(uint8_t type, uint8_t second, uint8_t third) {
  struct lab_frame_extension extension = {.type = type, .length = 7};
  extension.body[1] = second;
  extension.body[2] = third;
  return extension;
}

START_TEST(AC_D10_routing_header_zero_and_hop_by_hop_are_dropped_and_counted) {
  static const struct {
    const char *name;
    uint8_t type, second, third;
  } headers[] = {
      {"routing header 0, none left", 43, 0, 0},
      {"hop-by-hop with padding", 0, 1, 4},
      {"hop-by-hop with router alert", 0, 5, 2},
  };
  open_town();
  for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
    struct lab_probe probe = lawful(FAMILY_IPV6, PROTOCOL_UDP);
    probe.recipe.extensions[0] = extension_of(headers[i].type, headers[i].second, headers[i].third);
    probe.recipe.extension_count = 1;
    assert_denied(&probe, "guard.lgwan.ip-options", headers[i].name);
  }
  struct lab_probe hidden = lawful(FAMILY_IPV6, PROTOCOL_UDP); /* behind a destination options header */
  hidden.recipe.extensions[0] = extension_of(60, 1, 4);
  hidden.recipe.extensions[1] = extension_of(43, 0, 0);
  hidden.recipe.extension_count = 2;
  assert_denied(&hidden, "guard.lgwan.ip-options", "routing header 0 behind destination options");
  struct lab_probe to_gateway = lawful(FAMILY_IPV6, PROTOCOL_UDP); /* a hop left: names the gateway */
  to_gateway.recipe.packet.destination = lab_interface(the_lab(), (size_t)to_gateway.interface)->ipv6;
  to_gateway.recipe.extensions[0] = (struct lab_frame_extension){.type = 43, .length = 23};
  to_gateway.recipe.extensions[0].body[0] = 2;
  to_gateway.recipe.extensions[0].body[2] = 1;
  struct address next = in_family("198.51.100.53", FAMILY_IPV6);
  memcpy(to_gateway.recipe.extensions[0].body + 7, next.bytes, 16);
  to_gateway.recipe.extension_count = 1;
  assert_denied(&to_gateway, "guard.lgwan.ip-options", "routing header 0 with a hop left");
  close_town();
}
END_TEST

START_TEST(AC_D15_tunnels_are_dropped_and_counted) {
  static const uint8_t protocols[] = {4, 41, 47, 50, 51, 94, 97, 98, 115};
  static const enum address_family families[] = {FAMILY_IPV4, FAMILY_IPV6};
  open_town();
  for (size_t i = 0; i < 2; i++) {
    for (size_t j = 0; j < sizeof(protocols); j++) {
      struct lab_probe probe = lawful(families[i], protocols[j]);
      char what[32];
      if (families[i] == FAMILY_IPV6 && protocols[j] == 51)
        continue; /* an authentication header is an extension header there; what it carries is judged */
      snprintf(what, sizeof(what), "protocol %u", protocols[j]);
      assert_denied(&probe, "guard.lgwan.tunnel", what);
    }
    struct lab_probe teredo = lawful(families[i], PROTOCOL_UDP);
    teredo.recipe.packet.destination_port = 3544;
    assert_denied(&teredo, "guard.lgwan.tunnel", "Teredo");
  }
  close_town();
}
END_TEST

/* Counts what comes out of any wire. */
static void count_seen(const struct lab_seen *seen, void *context) {
  if (seen->sight.is_ip && seen->sight.packet.protocol == PROTOCOL_UDP)
    (*(unsigned *)context)++;
}

static void send_fragment(const struct lab_probe *probe, size_t offset, bool more, size_t bytes, uint32_t id) {
  static const uint8_t data[64] = {0x9c, 0x40, 0x00, 0x35, 0x00, 0x40};
  struct lab_frame frame;
  struct lab_frame_recipe recipe = probe->recipe;
  recipe.destination_mac = lab_interface(the_lab(), (size_t)probe->interface)->mac;
  ck_assert_int_eq(lab_frame_fragment(&recipe, id, offset, more, data, bytes, &frame), 0);
  ck_assert_int_eq(lab_send(the_lab(), probe->interface, &frame), 0);
}

START_TEST(AC_D1_D2_fragments_that_make_no_packet_do_not_pass_and_are_counted) {
  static const struct {
    const char *name;
    size_t offset[2], bytes[2];
    bool more[2];
    unsigned count;
  } shapes[] = {
      {"overlapping", {0, 8}, {32, 32}, {true, false}, 2},
      {"the same place twice with other length", {0, 0}, {16, 32}, {true, true}, 2},
      {"beyond 65535", {65528, 0}, {32, 0}, {false, false}, 1},
      {"without data", {0, 0}, {0, 0}, {true, true}, 1},
      {"never completed", {0, 0}, {32, 0}, {true, false}, 1},
      {"tail only", {32, 0}, {32, 0}, {false, false}, 1},
      {"first without a whole header", {0, 0}, {8, 0}, {true, false}, 1},
  };
  static const enum address_family families[] = {FAMILY_IPV4, FAMILY_IPV6};
  open_town();
  for (size_t i = 0; i < 2; i++)
    for (size_t j = 0; j < sizeof(shapes) / sizeof(shapes[0]); j++) {
      struct lab_probe probe = lawful(families[i], PROTOCOL_UDP);
      uint64_t before = counter("guard.lgwan.fragment");
      unsigned seen = 0;
      for (unsigned k = 0; k < shapes[j].count; k++)
        send_fragment(&probe, shapes[j].offset[k], shapes[j].more[k], shapes[j].bytes[k], (uint32_t)(100 * i + j + 1));
      (void)lab_collect(the_lab(), 0, count_seen, &seen);
      ck_assert_msg(seen == 0, "fragments %s came out", shapes[j].name);
      ck_assert_msg(counter("guard.lgwan.fragment") > before, "fragments %s are not counted", shapes[j].name);
    }
  close_town();
}
END_TEST

START_TEST(AC_D1_a_lawful_packet_in_fragments_passes_and_a_denied_one_does_not) {
  static const enum address_family families[] = {FAMILY_IPV4, FAMILY_IPV6};
  open_town();
  for (size_t i = 0; i < 2; i++) {
    struct lab_probe good = lawful(families[i], PROTOCOL_UDP), bad = lawful(families[i], PROTOCOL_UDP);
    good.split = bad.split = 8;
    bad.recipe.packet.destination_port = 54;
    ck_assert_msg(passes(&good), "a lawful packet of family %d is lost", (int)families[i]);
    ck_assert(!passes(&bad));
  }
  close_town();
}
END_TEST

/* In two fragments, of which the later one has Teredo's port where a UDP header would have it: IPv4: in its data; IPv6:
 * in the flow label, since the kernel then takes the IP header for the transport's. */
static unsigned come_out_with_port_in_later_fragment(enum address_family family, uint16_t port) {
  const uint8_t like_a_port[] = {(uint8_t)(port >> 8), (uint8_t)port}, data[] = {1, 2, like_a_port[0], like_a_port[1]};
  struct lab_probe probe = lawful(family, PROTOCOL_UDP);
  struct lab_frame whole, parts[2];
  unsigned seen = 0;
  probe.recipe.destination_mac = lab_interface(the_lab(), (size_t)probe.interface)->mac;
  probe.recipe.payload = data;
  probe.recipe.payload_length = sizeof(data);
  ck_assert_int_eq(lab_frame_build(&probe.recipe, &whole), 0);
  if (family == FAMILY_IPV6)
    memcpy(whole.data + 16, like_a_port, sizeof(like_a_port)); /* behind 14 bytes of Ethernet and the version */
  ck_assert_int_eq(lab_frame_split(&whole, 8, port, parts), 0);
  for (size_t i = 0; i < 2; i++)
    ck_assert_int_eq(lab_send(the_lab(), probe.interface, &parts[i]), 0);
  (void)lab_collect(the_lab(), 0, count_seen, &seen);
  return seen;
}

START_TEST(AC_D15_a_later_fragment_is_no_tunnel_because_of_bytes_that_look_like_a_port) {
  static const enum address_family families[] = {FAMILY_IPV4, FAMILY_IPV6};
  enum { TEREDO = 3544 };
  open_town();
  for (size_t i = 0; i < 2; i++) {
    uint64_t before = counter("guard.lgwan.tunnel");
    ck_assert_uint_ne(come_out_with_port_in_later_fragment(families[i], TEREDO - 1), 0);
    ck_assert_msg(come_out_with_port_in_later_fragment(families[i], TEREDO) != 0, "family %d", (int)families[i]);
    ck_assert_uint_eq(counter("guard.lgwan.tunnel"), before);
  }
  close_town();
}
END_TEST

/* What is left of a message whose first fragment nobody has seen: its bytes say nothing about its type. */
START_TEST(AC_D1_a_later_fragment_of_icmp_is_denied_whatever_byte_it_begins_with) {
  static const uint8_t first_bytes[] = {0, 3, 8, 11, 12, 77};
  open_town();
  for (size_t i = 0; i < sizeof(first_bytes); i++) {
    struct lab_probe probe =
        probe_from("ens1f1.210", address_of("10.210.0.14"), address_of("10.120.0.3"), PROTOCOL_ICMP, 0);
    const uint8_t data[16] = {first_bytes[i]};
    struct lab_frame frame;
    uint64_t before = counter("guard.lgwan.no-flow");
    probe.recipe.destination_mac = lab_interface(the_lab(), (size_t)probe.interface)->mac;
    ck_assert_int_eq(lab_frame_fragment(&probe.recipe, (uint32_t)i, 8, false, data, sizeof(data), &frame), 0);
    ck_assert_int_eq(lab_send(the_lab(), probe.interface, &frame), 0);
    ck_assert_msg(counter("guard.lgwan.no-flow") == before + 1, "beginning with %u", first_bytes[i]);
  }
  close_town();
}
END_TEST

START_TEST(AC_B8_a_pinned_address_from_another_mac_is_dropped_and_counted) {
  open_town();
  struct lab_probe probe =
      probe_from("ens1f0.110", address_of("10.110.0.22"), address_of("198.51.100.130"), PROTOCOL_TCP, 443);
  ck_assert(passes(&probe));
  probe.recipe.packet.source_port++;
  probe.recipe.source_mac.bytes[5] ^= 0x40;
  assert_denied(&probe, "guard.mynumber.mac-mismatch", "eLTAX from another MAC");
  close_town();
}
END_TEST

/* ---- D11: each reason has a counter of its own ---- */

static struct lab_probe town_probe(const char *source, const char *destination, uint8_t protocol, uint16_t port) {
  return probe_from("ens1f1.210", address_of(source), address_of(destination), protocol, port);
}

static struct lab_probe with_options(void) {
  static const uint8_t router_alert[] = {148, 4, 0, 0};
  struct lab_probe probe = lawful(FAMILY_IPV4, PROTOCOL_UDP);
  probe.recipe.ip_options = router_alert;
  probe.recipe.ip_option_length = sizeof(router_alert);
  return probe;
}

static struct lab_probe from_another_mac(void) {
  struct lab_probe probe =
      probe_from("ens1f0.110", address_of("10.110.0.22"), address_of("198.51.100.130"), PROTOCOL_TCP, 443);
  probe.recipe.source_mac.bytes[5] ^= 0x40;
  return probe;
}

static struct lab_probe without_syn(void) {
  struct lab_probe probe = lawful(FAMILY_IPV4, PROTOCOL_TCP);
  probe.recipe.packet.tcp_flags = TCP_ACK;
  return probe;
}

static struct lab_probe redirect(void) {
  struct lab_probe opener = lawful(FAMILY_IPV4, PROTOCOL_UDP);
  ck_assert(passes(&opener));
  return error_about(&opener, 5, 1);
}

static struct lab_probe probe_for(const char *reason) {
  static const struct {
    const char *reason, *source, *destination;
    uint8_t protocol;
    uint16_t port;
  } plain[] = {
      {"special-source", "240.0.0.1", "198.51.100.53", PROTOCOL_UDP, 53},
      {"special-destination", "10.210.0.14", "240.0.0.1", PROTOCOL_UDP, 53},
      {"broadcast-source", "10.210.0.255", "198.51.100.53", PROTOCOL_UDP, 53},
      {"directed-broadcast", "10.210.0.14", "10.140.0.255", PROTOCOL_UDP, 53},
      {"spoofed-source", "8.8.8.8", "198.51.100.53", PROTOCOL_UDP, 53},
      {"tunnel", "10.210.0.14", "198.51.100.53", 47, 0},
      {"no-flow", "10.210.0.14", "10.120.0.3", PROTOCOL_UDP, 53},
  };
  for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
    if (strcmp(plain[i].reason, reason) == 0)
      return town_probe(plain[i].source, plain[i].destination, plain[i].protocol, plain[i].port);
  struct lab_probe own = lawful(FAMILY_IPV4, PROTOCOL_UDP);
  own.recipe.packet.source = lab_interface(the_lab(), (size_t)own.interface)->ipv4;
  return strcmp(reason, "ip-options") == 0      ? with_options()
         : strcmp(reason, "mac-mismatch") == 0  ? from_another_mac()
         : strcmp(reason, "invalid-state") == 0 ? without_syn()
         : strcmp(reason, "icmp") == 0          ? redirect()
                                                : own;
}

/* The reasons of the counters of denials that moved, one after the other. */
static void moved_reasons(const struct lab_counters *before, const struct lab_counters *after, size_t size,
                          char *text) {
  text[0] = '\0';
  for (size_t i = 0; i < after->count; i++) {
    const char *name = after->items[i].name;
    bool denial = strncmp(name, "guard.", 6) == 0 || strncmp(name, "denied.", 7) == 0;
    if (denial && after->items[i].packets != lab_counter_value(before, name))
      snprintf(text + strlen(text), size - strlen(text), "%s ", strrchr(name, '.') + 1);
  }
}

/* The gateway's own kernel reports its IPv6 groups in the first seconds of an interface, and those reports are denied
 * and counted too: waits until nothing has been for longer than the reports lie apart. */
static void await_quiet(void) {
  enum { STEP_MILLISECONDS = 100, QUIET_STEPS = 25, STEPS_MAX = 300 };
  struct arena *scratch = arena_new(0);
  struct lab_counters before, after;
  ck_assert_int_eq(lab_read_counters(the_lab(), scratch, &before), 0);
  unsigned quiet = 0;
  for (unsigned i = 0; i < STEPS_MAX && quiet < QUIET_STEPS; i++) {
    char moved[4096];
    usleep(STEP_MILLISECONDS * 1000);
    ck_assert_int_eq(lab_read_counters(the_lab(), scratch, &after), 0);
    moved_reasons(&before, &after, sizeof(moved), moved);
    quiet = moved[0] == '\0' ? quiet + 1 : 0;
    before = after;
  }
  ck_assert_uint_eq(quiet, QUIET_STEPS);
  arena_free(scratch);
}

START_TEST(AC_D11_each_denial_moves_one_counter_that_names_its_reason_and_no_other) {
  static const char *const reasons[] = {
      "special-source", "special-destination", "own-source", "broadcast-source", "directed-broadcast", "spoofed-source",
      "mac-mismatch",   "ip-options",          "tunnel",     "no-flow",          "invalid-state",      "icmp"};
  open_town();
  await_quiet();
  for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
    struct arena *scratch = arena_new(0);
    struct lab_probe probe = probe_for(reasons[i]);
    struct lab_counters before, after;
    char moved[256], wanted[64];
    ck_assert_int_eq(lab_read_counters(the_lab(), scratch, &before), 0);
    ck_assert_msg(!passes(&probe), "%s passed", reasons[i]);
    ck_assert_int_eq(lab_read_counters(the_lab(), scratch, &after), 0);
    moved_reasons(&before, &after, sizeof(moved), moved);
    snprintf(wanted, sizeof(wanted), "%s ", reasons[i]);
    ck_assert_str_eq(moved, wanted);
    arena_free(scratch);
  }
  close_town();
}
END_TEST

void add_shapes(Suite *suite) {
  TCase *test = add_case(suite, "B D shapes");
  tcase_add_test(test, AC_D8_D9_every_ipv4_option_is_dropped_and_counted);
  tcase_add_test(test, AC_D10_routing_header_zero_and_hop_by_hop_are_dropped_and_counted);
  tcase_add_test(test, AC_D15_tunnels_are_dropped_and_counted);
  tcase_add_test(test, AC_D1_D2_fragments_that_make_no_packet_do_not_pass_and_are_counted);
  tcase_add_test(test, AC_D1_a_lawful_packet_in_fragments_passes_and_a_denied_one_does_not);
  tcase_add_test(test, AC_D15_a_later_fragment_is_no_tunnel_because_of_bytes_that_look_like_a_port);
  tcase_add_test(test, AC_D1_a_later_fragment_of_icmp_is_denied_whatever_byte_it_begins_with);
  tcase_add_test(test, AC_B8_a_pinned_address_from_another_mac_is_dropped_and_counted);
  tcase_add_test(test, AC_D11_each_denial_moves_one_counter_that_names_its_reason_and_no_other);
}
