/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a firewall between zones must do whatever its policy says: the acceptance list drawn from the standards, item by
 * item (AC-C state, AC-D default drops, AC-E spoofing, AC-H to AC-J ICMP). Expectations stand here as written in the
 * list; policy_decide() is not asked.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "duel.h"
#include "town.h"

static struct duel_field field;
static struct nftables *nftables;
static struct arena *arena;
static unsigned next_port = 30000;

static void open_town_with(const struct lab_options *options) {
  struct error error = {0};
  struct instant now = {time(NULL)};
  arena = arena_new(0);
  const struct policy *policy = town_load(TOWN_DUAL_STACK | TOWN_IN_FORCE, now, arena);
  ck_assert_ptr_nonnull(policy);
  field = (struct duel_field){.policy = policy, .scratch = arena};
  ck_assert_msg(lab_new(policy, options, &field.lab, &error) == 0, "%s", error.message);
  field.circumstances = (struct circumstances){.now = now, .own = lab_own(field.lab)};
  ck_assert_msg(nftables_open(&nftables, &error) == 0, "%s", error.message);
  ck_assert_msg(duel_load(&field, nftables, &error) == 0, "%s", error.message);
}

static void open_town(void) {
  open_town_with(NULL);
}

static void close_town(void) {
  nftables_close(nftables);
  lab_free(field.lab);
  arena_free(arena);
}

static struct address address_of(const char *text) {
  struct address address = {0};
  ck_assert_msg(address_parse(text, &address), "%s", text);
  return address;
}

/* "10.1.2.3" or its IPv6 twin. */
static struct address in_family(const char *ipv4, enum address_family family) {
  struct address address = address_of(ipv4);
  return family == FAMILY_IPV6 ? town_twin(&address) : address;
}

/* A probe from an address on a wire, lawful but for what the caller changes. */
static struct lab_probe probe_from(const char *wire, struct address source, struct address destination,
                                   uint8_t protocol, uint16_t port) {
  struct duel duel = {0};
  int interface = lab_find_interface(field.lab, wire);
  ck_assert_int_ge(interface, 0);
  duel_set_packet(&field, &duel, interface, &source, &destination, protocol, port, next_port++);
  return duel.probe;
}

/* LGWAN's DNS asks upstream: flow F-101, by UDP or TCP. */
static struct lab_probe lawful(enum address_family family, uint8_t protocol) {
  return probe_from("ens1f1.210", in_family("10.210.0.14", family), in_family("198.51.100.53", family), protocol, 53);
}

static void run_one(struct lab_probe *probe) {
  ck_assert_int_eq(lab_run(field.lab, probe, 1), 0);
}

static bool passes(struct lab_probe *probe) {
  run_one(probe);
  return probe->outcome != LAB_NOWHERE;
}

static uint64_t counter(const char *name) {
  struct arena *scratch = arena_new(0);
  struct lab_counters counters;
  ck_assert_int_eq(lab_read_counters(field.lab, scratch, &counters), 0);
  uint64_t value = lab_counter_value(&counters, name);
  arena_free(scratch);
  return value;
}

/* Dropped, and exactly that counter moved by one. */
static void assert_denied(struct lab_probe *probe, const char *name, const char *what) {
  uint64_t before = counter(name);
  run_one(probe);
  uint64_t moved = counter(name) - before;
  ck_assert_msg(probe->outcome == LAB_NOWHERE, "%s passed", what);
  ck_assert_msg(moved == 1, "%s: counter %s moved by %llu", what, name, (unsigned long long)moved);
}

START_TEST(the_lawful_packet_of_these_tests_passes) {
  open_town();
  static const enum address_family families[] = {FAMILY_IPV4, FAMILY_IPV6};
  for (size_t i = 0; i < 2; i++) {
    struct lab_probe udp = lawful(families[i], PROTOCOL_UDP), tcp = lawful(families[i], PROTOCOL_TCP);
    ck_assert(passes(&udp));
    ck_assert(passes(&tcp));
    ck_assert_str_eq(lab_interface(field.lab, (size_t)udp.out)->name, "ens1f2");
  }
  close_town();
}
END_TEST

/* ---- D, E: addresses that may not be there ---- */

struct bad_address {
  const char *id, *address, *reason;
  bool uncounted; /* the kernel drops it before any rule */
};

static const struct bad_address bad_sources[] = {
    {"AC-D3", "255.255.255.255", "special-source", false},
    {"AC-D3", "10.210.0.255", "broadcast-source", false},
    {"AC-D3", "10.140.0.255", "broadcast-source", false},
    {"AC-D4", "224.0.0.9", "special-source", false},
    {"AC-D4", "239.255.255.250", "special-source", false},
    {"AC-D4", "ff02::1", "special-source", true},
    {"AC-D4", "ff05::2", "special-source", true},
    {"AC-D5", "127.0.0.1", "special-source", false},
    {"AC-D5", "127.255.255.254", "special-source", false},
    {"AC-D5", "::1", "special-source", true},
    {"AC-D6", "0.0.0.0", "special-source", false},
    {"AC-D6", "0.255.255.255", "special-source", false},
    {"AC-D6", "240.0.0.1", "special-source", false},
    {"AC-D6", "255.255.255.254", "special-source", false},
    {"AC-D7", "::", "special-source", false},
    {"AC-D7", "4000::1", "special-source", false},
    {"AC-D7", "1fff:ffff::1", "special-source", false},
    {"AC-D7", "fc00::1", "special-source", false},
    {"AC-D7", "fdff::1", "special-source", false},
    {"AC-D14", "::ffff:10.210.0.14", "special-source", false},
    {"AC-D14", "::10.210.0.14", "special-source", false},
    {"AC-D14", "2001:db8::1", "special-source", false},
    {"AC-D14", "fec0::1", "special-source", false},
    {"AC-E3", "169.254.1.1", "special-source", false},
    {"AC-E3", "fe80::99", "special-source", false},
    {"AC-E9", "192.0.0.8", "special-source", false},
    {"AC-E9", "192.0.2.1", "special-source", false},
    {"AC-E9", "198.18.0.1", "special-source", false},
    {"AC-E9", "198.19.255.255", "special-source", false},
    {"AC-E4", "198.51.100.53", "spoofed-source", false}, /* exempt for this town, but not of this zone */
    {"AC-E4", "10.209.255.255", "spoofed-source", false},
    {"AC-E4", "10.210.1.0", "spoofed-source", false},
    {"AC-E4", "8.8.8.8", "spoofed-source", false},
    {"AC-E4", "100.64.0.1", "spoofed-source", false},
    {"AC-E4", "192.168.1.1", "spoofed-source", false},
    {"AC-E4", "2606:4700::1111", "spoofed-source", false},
};

static const struct bad_address bad_destinations[] = {
    {"AC-D5", "127.0.0.1", "special-destination", false},
    {"AC-D5", "::1", "special-destination", true},
    {"AC-D6", "0.0.0.0", "special-destination", false},
    {"AC-D6", "240.0.0.1", "special-destination", false},
    {"AC-D7", "::", "special-destination", false},
    {"AC-D7", "4000::1", "special-destination", false},
    {"AC-D7", "fd00::1", "special-destination", false},
    {"AC-D14", "::ffff:198.51.100.53", "special-destination", false},
    {"AC-D14", "2001:db8::53", "special-destination", false},
    {"AC-D14", "fec0::53", "special-destination", false},
    {"AC-E3", "169.254.169.254", "special-destination", false},
    {"AC-E3", "fe80::53", "special-destination", false},
    {"AC-E9", "192.0.0.8", "special-destination", false},
    {"AC-E9", "192.0.2.1", "special-destination", false},
    {"AC-E9", "198.18.0.1", "special-destination", false},
    {"AC-D12", "10.140.0.255", "directed-broadcast", false},
    {"AC-D12", "10.162.0.63", "directed-broadcast", false},
    {"AC-D12", "172.31.250.7", "directed-broadcast", false},
};

static void assert_bad_address(const struct bad_address *bad, bool as_source) {
  struct address address = address_of(bad->address);
  struct lab_probe probe = lawful(address.family, PROTOCOL_UDP);
  char name[96], what[128];
  *(as_source ? &probe.recipe.packet.source : &probe.recipe.packet.destination) = address;
  snprintf(name, sizeof(name), "guard.lgwan.%s", bad->reason);
  snprintf(what, sizeof(what), "%s %s %s", bad->id, as_source ? "source" : "destination", bad->address);
  if (bad->uncounted)
    ck_assert_msg(!passes(&probe), "%s passed", what);
  else
    assert_denied(&probe, name, what);
}

START_TEST(AC_D3_to_D7_D14_E3_E4_E9_sources_that_may_not_be_there_are_dropped_with_their_reason) {
  open_town();
  for (size_t i = 0; i < sizeof(bad_sources) / sizeof(bad_sources[0]); i++)
    assert_bad_address(&bad_sources[i], true);
  close_town();
}
END_TEST

START_TEST(AC_D5_to_D7_D12_D14_E3_E9_destinations_that_may_not_be_there_are_dropped_with_their_reason) {
  open_town();
  for (size_t i = 0; i < sizeof(bad_destinations) / sizeof(bad_destinations[0]); i++)
    assert_bad_address(&bad_destinations[i], false);
  close_town();
}
END_TEST

START_TEST(AC_D13_multicast_is_not_forwarded) {
  static const char *const groups[] = {"224.0.0.1", "239.1.2.3", "ff02::1", "ff05::2", "ff08::101", "ff0e::101"};
  open_town();
  for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
    struct address group = address_of(groups[i]);
    struct lab_probe probe = lawful(group.family, PROTOCOL_UDP);
    probe.recipe.packet.destination = group;
    ck_assert_msg(!passes(&probe), "%s passed", groups[i]);
  }
  close_town();
}
END_TEST

START_TEST(AC_E1_E2_every_gateway_address_is_refused_as_source_on_every_wire) {
  open_town();
  const struct address_set *own = lab_own(field.lab);
  for (size_t i = 0; i < own->count; i++)
    for (size_t j = 0; j < lab_interface_count(field.lab); j++) {
      struct lab_probe probe = lawful(own->ranges[i].first.family, PROTOCOL_UDP);
      char name[96];
      const struct lab_interface *wire = lab_interface(field.lab, j);
      probe.recipe.packet.source = own->ranges[i].first;
      probe.interface = (int)j;
      snprintf(name, sizeof(name), "guard.%s.own-source", policy_zone_name(field.policy, wire->zone));
      assert_denied(&probe, name, name);
    }
  close_town();
}
END_TEST

START_TEST(AC_E4_each_zones_addresses_are_refused_on_every_other_zones_wire) {
  open_town();
  for (size_t i = 0; i < field.policy->host_count; i++) {
    const struct host *host = &field.policy->hosts[i];
    for (size_t j = 0; j < lab_interface_count(field.lab); j++) {
      const struct lab_interface *wire = lab_interface(field.lab, j);
      struct address source = host->addresses[0].range.last, previous;
      if (lab_route(field.lab, &source).kind == LAB_ROUTE_BROADCAST && address_previous(&source, &previous))
        source = previous;
      struct lab_probe probe = lawful(FAMILY_IPV4, PROTOCOL_UDP);
      char name[96];
      if (wire->zone == host->zone)
        continue;
      probe.recipe.packet.source = source;
      probe.interface = (int)j;
      snprintf(name, sizeof(name), "guard.%s.spoofed-source", policy_zone_name(field.policy, wire->zone));
      assert_denied(&probe, name, host->name);
    }
  }
  close_town();
}
END_TEST

START_TEST(AC_E5_E6_the_zone_with_the_default_route_refuses_private_and_foreign_sources) {
  static const struct {
    const char *source, *counter;
  } cases[] = {
      {"10.140.0.20", "guard.seccloud.spoofed-source"},      {"10.120.0.3", "guard.seccloud.spoofed-source"},
      {"10.161.0.3", "guard.seccloud.spoofed-source"},       {"192.168.7.7", "guard.seccloud.spoofed-source"},
      {"172.16.3.4", "guard.seccloud.spoofed-source"},       {"100.64.1.1", "guard.seccloud.spoofed-source"},
      {"198.51.100.53", "guard.seccloud.spoofed-source"},    {"fd00::7", "guard.seccloud.special-source"},
      {"2400:8500::ad2:e", "guard.seccloud.spoofed-source"},
  };
  open_town();
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct address source = address_of(cases[i].source);
    struct lab_probe probe = probe_from("ens2f1", source, in_family("10.140.0.13", source.family), PROTOCOL_TCP, 25);
    assert_denied(&probe, cases[i].counter, cases[i].source);
  }
  struct lab_probe lawful_mail =
      probe_from("ens2f1", address_of("203.0.113.25"), address_of("10.140.0.13"), PROTOCOL_TCP, 25);
  ck_assert(passes(&lawful_mail));
  close_town();
}
END_TEST

/* ---- D: shapes of packets ---- */

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
  to_gateway.recipe.packet.destination = lab_interface(field.lab, (size_t)to_gateway.interface)->ipv6;
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
  recipe.destination_mac = lab_interface(field.lab, (size_t)probe->interface)->mac;
  ck_assert_int_eq(lab_frame_fragment(&recipe, id, offset, more, data, bytes, &frame), 0);
  ck_assert_int_eq(lab_send(field.lab, probe->interface, &frame), 0);
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
      (void)lab_collect(field.lab, 0, count_seen, &seen);
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

/* ---- C: state ---- */

/* A later packet of the connection that `opener` opened; forward: in its direction. */
static struct lab_probe later(const struct lab_probe *opener, bool forward, uint8_t flags, uint32_t sequence,
                              uint32_t acknowledgement) {
  struct lab_probe probe = *opener;
  if (!forward) {
    probe.recipe = lab_frame_answer(&opener->recipe);
    probe.interface = lab_interface_of(field.lab, &opener->recipe.packet.destination);
    probe.recipe.source_mac = lab_mac_of(field.policy, &opener->recipe.packet.destination);
  }
  probe.recipe.packet.tcp_flags = flags;
  probe.recipe.tcp_sequence = sequence;
  probe.recipe.tcp_acknowledgement = acknowledgement;
  probe.recipe.no_tail = false;
  return probe;
}

enum { OPENER_SEQUENCE = 1000, ANSWER_SEQUENCE = 9000 };

/* SYN, SYN+ACK, ACK over the gateway; returns the opener. Tails are data of 16 bytes, also in the SYN. */
static struct lab_probe shake_hands(enum address_family family) {
  struct lab_probe opener = lawful(family, PROTOCOL_TCP);
  opener.recipe.tcp_sequence = OPENER_SEQUENCE;
  ck_assert(passes(&opener));
  struct lab_probe answer = later(&opener, false, TCP_SYN | TCP_ACK, ANSWER_SEQUENCE, OPENER_SEQUENCE + 17);
  ck_assert(passes(&answer));
  struct lab_probe third = later(&opener, true, TCP_ACK, OPENER_SEQUENCE + 17, ANSWER_SEQUENCE + 17);
  ck_assert(passes(&third));
  return opener;
}

START_TEST(AC_C1_tcp_with_nonsense_flags_opens_nothing) {
  static const uint8_t flags[] = {TCP_SYN | TCP_FIN, 0,       TCP_FIN | TCP_PSH | TCP_URG, TCP_SYN | TCP_RST,
                                  TCP_FIN,           TCP_RST, TCP_SYN | TCP_ACK,           0x3f};
  static const enum address_family families[] = {FAMILY_IPV4, FAMILY_IPV6};
  open_town();
  for (size_t i = 0; i < 2; i++)
    for (size_t j = 0; j < sizeof(flags); j++) {
      struct lab_probe probe = lawful(families[i], PROTOCOL_TCP);
      char what[32];
      probe.recipe.packet.tcp_flags = flags[j];
      snprintf(what, sizeof(what), "TCP flags %02x", flags[j]);
      assert_denied(&probe, "denied.lgwan.lgwan_ext.invalid-state", what);
    }
  close_town();
}
END_TEST

START_TEST(AC_C2_an_established_connection_takes_no_packet_that_differs_in_one_attribute) {
  static const enum address_family families[] = {FAMILY_IPV4, FAMILY_IPV6};
  open_town();
  for (size_t i = 0; i < 2; i++) {
    struct lab_probe opener = shake_hands(families[i]);
    struct lab_probe good = later(&opener, true, TCP_ACK, OPENER_SEQUENCE + 33, ANSWER_SEQUENCE + 17);
    ck_assert(passes(&good));
    struct lab_probe source = good, destination = good, sport = good, dport = good, sequence = good, flags = good;
    source.recipe.packet.source = in_family("10.210.0.15", families[i]);
    destination.recipe.packet.destination = in_family("198.51.100.54", families[i]);
    sport.recipe.packet.source_port ^= 1;
    dport.recipe.packet.destination_port = 54;
    sequence.recipe.tcp_sequence += 0x40000000;
    flags.recipe.packet.tcp_flags = TCP_SYN | TCP_FIN;
    ck_assert_msg(!passes(&source), "another source");
    ck_assert_msg(!passes(&destination), "another destination");
    ck_assert_msg(!passes(&sport), "another source port");
    ck_assert_msg(!passes(&dport), "another destination port");
    ck_assert_msg(!passes(&sequence), "a sequence number out of the window");
    ck_assert_msg(!passes(&flags), "flags that contradict themselves");
    struct lab_probe still = later(&opener, true, TCP_ACK, OPENER_SEQUENCE + 49, ANSWER_SEQUENCE + 17);
    ck_assert_msg(passes(&still), "the connection itself goes on");
  }
  close_town();
}
END_TEST

START_TEST(AC_C4_after_its_timeout_a_tcp_connection_passes_no_more) {
  open_town();
  ck_assert_int_eq(lab_set("net/netfilter/nf_conntrack_tcp_timeout_established", "1"), 0);
  struct lab_probe opener = shake_hands(FAMILY_IPV4);
  sleep(3);
  struct lab_probe late = later(&opener, true, TCP_ACK, OPENER_SEQUENCE + 33, ANSWER_SEQUENCE + 17);
  struct lab_probe late_answer = later(&opener, false, TCP_ACK, ANSWER_SEQUENCE + 17, OPENER_SEQUENCE + 33);
  ck_assert(!passes(&late));
  ck_assert(!passes(&late_answer));
  close_town();
}
END_TEST

START_TEST(AC_C5_udp_answers_pass_only_to_the_question_and_only_for_a_time) {
  open_town();
  ck_assert_int_eq(lab_set("net/netfilter/nf_conntrack_udp_timeout", "1"), 0);
  ck_assert_int_eq(lab_set("net/netfilter/nf_conntrack_udp_timeout_stream", "1"), 0);
  struct lab_probe question = lawful(FAMILY_IPV4, PROTOCOL_UDP);
  ck_assert(passes(&question));
  struct lab_probe good = later(&question, false, 0, 0, 0), source = good, destination = good, sport = good,
                   dport = good;
  source.recipe.packet.source = address_of("198.51.100.54");
  destination.recipe.packet.destination = address_of("10.210.0.15");
  sport.recipe.packet.source_port = 54;
  dport.recipe.packet.destination_port ^= 1;
  ck_assert(!passes(&source));
  ck_assert(!passes(&destination));
  ck_assert(!passes(&sport));
  ck_assert(!passes(&dport));
  ck_assert(passes(&good));
  sleep(3);
  ck_assert(!passes(&good));
  close_town();
}
END_TEST

static const char echo_policy[] =
    "policy = { name = \"echo\"; number = \"1\"; basis = \"b\"; effective = \"2026-04-01\"; model = \"alpha\"; "
    "timezone = \"Asia/Tokyo\"; language = \"en\"; };\n"
    "zones = {\n"
    " left = { class = \"lgwan\"; interfaces = [ \"left0\" ]; networks = [ \"10.1.0.0/24\", \"2400:8500:0:1::/64\" ]; "
    "};\n"
    " right = { class = \"ot\"; interfaces = [ \"right0\" ]; networks = [ \"10.2.0.0/24\", \"2400:8500:0:2::/64\" ]; "
    "};\n"
    " away = { class = \"management\"; interfaces = [ \"away0\" ]; on_deny = \"reject\"; networks = [ \"10.3.0.0/24\", "
    "\"2400:8500:0:3::/64\" ]; };\n"
    "};\n"
    "hosts = { l = { zone = \"left\"; address = [ \"10.1.0.9\", \"2400:8500:0:1::9\" ]; }; "
    "r = { zone = \"right\"; address = [ \"10.2.0.9\", \"2400:8500:0:2::9\" ]; }; "
    "a = { zone = \"away\"; address = [ \"10.3.0.9\", \"2400:8500:0:3::9\" ]; }; };\n"
    "services = { };\n"
    "flows = { F-1 = { from = \"l\"; to = \"r\"; services = [ \"icmp/echo-request\", \"icmpv6/echo-request\", "
    "\"tcp/80\" ];"
    " method = \"ops\"; purpose = \"p\"; owner = \"o\"; approval = { by = \"b\"; role = \"chief\"; document = \"d\"; "
    "date = "
    "\"2026-04-01\"; author = \"a\"; }; review = \"2027-01-01\"; };\n"
    " F-2 = { from = \"a\"; to = \"r\"; services = [ \"tcp/81\" ];"
    " method = \"ops\"; purpose = \"p\"; owner = \"o\"; approval = { by = \"b\"; role = \"chief\"; document = \"d\"; "
    "date = "
    "\"2026-04-01\"; author = \"a\"; }; review = \"2027-01-01\"; };\n"
    " F-3 = { from = \"l\"; to = \"gateway\"; services = [ \"udp/514\", \"tcp/22\" ];"
    " method = \"ops\"; purpose = \"p\"; owner = \"o\"; approval = { by = \"b\"; role = \"chief\"; document = \"d\"; "
    "date = "
    "\"2026-04-01\"; author = \"a\"; }; review = \"2027-01-01\"; };\n"
    "};\n";

static void open_echo(const struct lab_options *options) {
  struct error error = {0};
  struct instant now = {time(NULL)};
  arena = arena_new(0);
  const struct policy *policy = town_policy("echo.conf", echo_policy, arena);
  ck_assert_ptr_nonnull(policy);
  field = (struct duel_field){.policy = policy, .scratch = arena};
  ck_assert_msg(lab_new(policy, options, &field.lab, &error) == 0, "%s", error.message);
  field.circumstances = (struct circumstances){.now = now, .own = lab_own(field.lab)};
  ck_assert_msg(nftables_open(&nftables, &error) == 0, "%s", error.message);
  ck_assert_msg(duel_load(&field, nftables, &error) == 0, "%s", error.message);
}

static struct lab_probe echo_probe(enum address_family family, uint8_t type) {
  bool ipv6 = family == FAMILY_IPV6;
  return probe_from("left0", address_of(ipv6 ? "2400:8500:0:1::9" : "10.1.0.9"),
                    address_of(ipv6 ? "2400:8500:0:2::9" : "10.2.0.9"), ipv6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP, type);
}

START_TEST(AC_C6_J4_H2_echo_passes_only_by_a_flow_and_a_reply_only_to_its_request) {
  static const enum address_family families[] = {FAMILY_IPV4, FAMILY_IPV6};
  open_echo(NULL);
  for (size_t i = 0; i < 2; i++) {
    bool ipv6 = families[i] == FAMILY_IPV6;
    struct lab_probe request = echo_probe(families[i], ipv6 ? 128 : 8);
    struct lab_probe reply = later(&request, false, 0, 0, 0);
    ck_assert_msg(!passes(&reply), "a reply without a request");
    ck_assert(passes(&request));
    struct lab_probe other_id = reply, other_type = reply;
    other_id.recipe.icmp_id ^= 1;
    other_type.recipe.packet.icmp_type = ipv6 ? 140 : 14;
    ck_assert_msg(!passes(&other_id), "another id");
    ck_assert_msg(!passes(&other_type), "another type");
    ck_assert(passes(&reply));
    struct lab_probe backwards = later(&request, false, 0, 0, 0);
    backwards.recipe.packet.icmp_type = ipv6 ? 128 : 8;
    backwards.recipe.icmp_id = 7;
    ck_assert_msg(!passes(&backwards), "a request against the flow");
  }
  close_town();
}
END_TEST

START_TEST(AC_C7_a_packet_from_the_middle_of_a_connection_opens_nothing) {
  static const enum address_family families[] = {FAMILY_IPV4, FAMILY_IPV6};
  open_town();
  for (size_t i = 0; i < 2; i++) {
    struct lab_probe probe = lawful(families[i], PROTOCOL_TCP);
    probe.recipe.packet.tcp_flags = TCP_ACK;
    probe.recipe.tcp_acknowledgement = 5;
    assert_denied(&probe, "denied.lgwan.lgwan_ext.invalid-state", "an ACK out of nowhere");
  }
  close_town();
}
END_TEST

/* An ICMP error from the destination of `about`, quoting it. */
static struct lab_probe error_about(const struct lab_probe *about, uint8_t type, uint8_t code) {
  struct lab_frame whole;
  size_t length;
  ck_assert_int_eq(lab_frame_build(&about->recipe, &whole), 0);
  const uint8_t *quoted = lab_frame_packet(&whole, &length);
  bool ipv6 = about->recipe.packet.source.family == FAMILY_IPV6;
  struct lab_probe probe = {.interface = lab_interface_of(field.lab, &about->recipe.packet.destination)};
  probe.recipe.packet = (struct packet){.source = about->recipe.packet.destination,
                                        .destination = about->recipe.packet.source,
                                        .protocol = ipv6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP,
                                        .icmp_type = type,
                                        .icmp_code = code};
  probe.recipe.source_mac = lab_mac_of(field.policy, &probe.recipe.packet.source);
  probe.recipe.payload = arena_memdup(arena, quoted, length);
  probe.recipe.payload_length = length;
  return probe;
}

START_TEST(AC_C8_H1_H3_J1_J2_errors_pass_only_about_a_connection_in_force) {
  static const struct {
    enum address_family family;
    uint8_t type, code;
  } errors[] = {
      {FAMILY_IPV4, 3, 0},  {FAMILY_IPV4, 3, 1}, {FAMILY_IPV4, 3, 3}, {FAMILY_IPV4, 3, 4}, {FAMILY_IPV4, 11, 0},
      {FAMILY_IPV4, 12, 0}, {FAMILY_IPV6, 1, 0}, {FAMILY_IPV6, 1, 4}, {FAMILY_IPV6, 2, 0}, {FAMILY_IPV6, 3, 0},
      {FAMILY_IPV6, 3, 1},  {FAMILY_IPV6, 4, 0}, {FAMILY_IPV6, 4, 1}, {FAMILY_IPV6, 4, 2},
  };
  static const uint8_t protocols[] = {PROTOCOL_UDP, PROTOCOL_TCP};
  open_town();
  for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
    for (size_t j = 0; j < 2; j++) {
      struct lab_probe opener = lawful(errors[i].family, protocols[j]);
      struct lab_probe early = error_about(&opener, errors[i].type, errors[i].code);
      ck_assert_msg(!passes(&early), "type %u without a connection", errors[i].type);
      ck_assert(passes(&opener));
      struct lab_probe error = error_about(&opener, errors[i].type, errors[i].code);
      ck_assert_msg(passes(&error), "type %u code %u about a live connection", errors[i].type, errors[i].code);
      struct lab_probe other = opener;
      other.recipe.packet.source_port ^= 1;
      struct lab_probe about_other = error_about(&other, errors[i].type, errors[i].code);
      ck_assert_msg(!passes(&about_other), "type %u about another connection", errors[i].type);
    }
  close_town();
}
END_TEST

static bool is_error_type(enum address_family family, unsigned type) {
  return family == FAMILY_IPV6 ? type >= 1 && type <= 4 : type == 3 || type == 11 || type == 12;
}

START_TEST(AC_H4_J3_no_other_icmp_type_passes_by_quoting_a_live_connection) {
  static const enum address_family families[] = {FAMILY_IPV4, FAMILY_IPV6};
  open_town();
  for (size_t i = 0; i < 2; i++) {
    struct lab_probe opener = lawful(families[i], PROTOCOL_UDP);
    ck_assert(passes(&opener));
    for (unsigned type = 0; type < 256; type++) {
      struct lab_probe quoting = error_about(&opener, (uint8_t)type, 0);
      if (is_error_type(families[i], type))
        continue;
      ck_assert_msg(!passes(&quoting), "ICMP type %u passed", type);
      quoting.recipe.hop_limit = 255;
      ck_assert_msg(!passes(&quoting), "ICMP type %u with hop limit 255 passed", type);
    }
  }
  close_town();
}
END_TEST

START_TEST(AC_C8_an_error_about_a_connection_passes_only_on_its_zone_pair) {
  open_town();
  struct lab_probe opener = lawful(FAMILY_IPV4, PROTOCOL_UDP);
  ck_assert(passes(&opener));
  struct lab_probe error = error_about(&opener, 3, 1);
  error.recipe.packet.source = address_of("10.140.0.14"); /* somebody in the internet zone claims it */
  error.interface = lab_find_interface(field.lab, "ens2f0.410");
  error.recipe.source_mac = lab_mac_of(field.policy, &error.recipe.packet.source);
  ck_assert(!passes(&error));
  close_town();
}
END_TEST

START_TEST(AC_C9_an_error_ends_no_connection) {
  static const enum address_family families[] = {FAMILY_IPV4, FAMILY_IPV6};
  open_town();
  for (size_t i = 0; i < 2; i++) {
    bool ipv6 = families[i] == FAMILY_IPV6;
    struct lab_probe opener = shake_hands(families[i]);
    struct lab_probe error = error_about(&opener, ipv6 ? 1 : 3, ipv6 ? 4 : 3);
    ck_assert(passes(&error));
    struct lab_probe more = later(&opener, true, TCP_ACK, OPENER_SEQUENCE + 33, ANSWER_SEQUENCE + 17);
    ck_assert(passes(&more));
  }
  close_town();
}
END_TEST

/* ---- H, J: ICMP types ---- */

START_TEST(AC_H4_to_H7_J3_no_icmp_type_passes_without_a_flow) {
  static const enum address_family families[] = {FAMILY_IPV4, FAMILY_IPV6};
  open_town();
  for (size_t i = 0; i < 2; i++)
    for (unsigned type = 0; type < 256; type++) {
      uint8_t protocol = families[i] == FAMILY_IPV6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP;
      struct lab_probe probe = lawful(families[i], protocol);
      probe.recipe.packet.icmp_type = (uint8_t)type;
      ck_assert_msg(!passes(&probe), "ICMP type %u passed", type);
      probe.recipe.hop_limit = 255;
      ck_assert_msg(!passes(&probe), "ICMP type %u with hop limit 255 passed", type);
    }
  close_town();
}
END_TEST

/* Connection tracking finds most of them invalid before they are looked at as ICMP: either reason is true. */
static void assert_never_forwarded(struct lab_probe *probe) {
  uint64_t before = counter("denied.left.right.icmp") + counter("denied.left.right.invalid-state");
  run_one(probe);
  uint64_t moved = counter("denied.left.right.icmp") + counter("denied.left.right.invalid-state") - before;
  ck_assert_msg(probe->outcome == LAB_NOWHERE, "ICMP type %u passed", probe->recipe.packet.icmp_type);
  ck_assert_msg(moved == 1, "ICMP type %u is not counted", probe->recipe.packet.icmp_type);
}

START_TEST(AC_H4_J3_types_that_are_never_forwarded_are_counted_between_zones_with_a_flow) {
  static const uint8_t types4[] = {4, 5, 9, 10, 13, 14, 15, 16, 17, 18};
  static const uint8_t types6[] = {130, 131, 132, 133, 134, 135, 136, 137, 141, 142, 143, 148, 149, 151, 152, 153};
  open_echo(NULL);
  for (size_t i = 0; i < sizeof(types4); i++) {
    struct lab_probe probe = echo_probe(FAMILY_IPV4, types4[i]);
    assert_never_forwarded(&probe);
  }
  for (size_t i = 0; i < sizeof(types6); i++) {
    struct lab_probe probe = echo_probe(FAMILY_IPV6, types6[i]);
    assert_never_forwarded(&probe);
  }
  close_town();
}
END_TEST

/* ---- I: neighbour discovery with the gateway ---- */

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
  recipe.source_mac = lab_mac_of(field.policy, source);
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
  ck_assert_int_eq(lab_send(field.lab, interface, frame), 0);
  (void)lab_collect(field.lab, 50, find_icmpv6, &search);
  return search.found;
}

START_TEST(AC_I1_E3_neighbour_discovery_with_the_gateway_works_in_every_zone) {
  struct lab_options options = {.neighbours = true};
  open_town_with(&options);
  for (size_t i = 0; i < lab_interface_count(field.lab); i++) {
    const struct lab_interface *wire = lab_interface(field.lab, i);
    uint8_t body[32];
    struct lab_frame frame;
    if (!wire->has_ipv6)
      continue;
    struct address link_local = address_of("fe80::99");
    struct lab_frame_recipe recipe = solicitation(wire, &link_local, body);
    struct mac mac = recipe.source_mac;
    ck_assert_int_eq(lab_neighbour(field.lab, (int)i, &link_local, &mac), 0);
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
  for (size_t i = 0; i < lab_interface_count(field.lab); i++) {
    const struct lab_interface *wire = lab_interface(field.lab, i);
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
    ck_assert_int_eq(lab_send(field.lab, (int)i, &frame), 0);
    (void)lab_collect(field.lab, 50, find_arp, &found);
    ck_assert_msg(found >= 1, "no ARP answer on %s", wire->name);
  }
  close_town();
}
END_TEST

START_TEST(AC_I4_fragmented_neighbour_discovery_is_not_answered) {
  struct lab_options options = {.neighbours = true};
  open_town_with(&options);
  int interface = lab_find_interface(field.lab, "ens1f1.210");
  const struct lab_interface *wire = lab_interface(field.lab, (size_t)interface);
  struct address source = in_family("10.210.0.14", FAMILY_IPV6);
  uint8_t body[32];
  struct lab_frame frame, parts[2];
  struct lab_frame_recipe recipe = solicitation(wire, &source, body);
  ck_assert_int_eq(lab_neighbour(field.lab, interface, &source, &recipe.source_mac), 0);
  ck_assert_int_eq(lab_frame_build(&recipe, &frame), 0);
  ck_assert_int_eq(lab_frame_split(&frame, 16, 7, parts), 0);
  ck_assert_uint_eq(count_advertisements(interface, &parts[0]), 0);
  ck_assert_uint_eq(count_advertisements(interface, &parts[1]), 0);
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
  for (size_t i = 0; i < lab_interface_count(field.lab); i++) {
    const struct lab_interface *wire = lab_interface(field.lab, i);
    struct address source;
    if (strcmp(policy_zone_name(field.policy, wire->zone), "mgmt") == 0 || !wire->has_ipv6)
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

START_TEST(icmp_of_the_other_family_is_invalid) {
  open_echo(NULL);
  struct lab_probe four = echo_probe(FAMILY_IPV4, 8), six = echo_probe(FAMILY_IPV6, 128);
  four.recipe.packet.protocol = PROTOCOL_ICMPV6;
  four.recipe.packet.icmp_type = 128;
  six.recipe.packet.protocol = PROTOCOL_ICMP;
  six.recipe.packet.icmp_type = 8;
  assert_denied(&four, "denied.left.right.invalid-state", "ICMPv6 over IPv4");
  assert_denied(&six, "denied.left.right.invalid-state", "ICMP over IPv6");
  close_town();
}
END_TEST

/* ---- J: what must not be hurt ---- */

struct bytes_search {
  const uint8_t *wanted;
  size_t length;
  unsigned found;
};

static void find_bytes(const struct lab_seen *seen, void *context) {
  struct bytes_search *search = context;
  if (seen->length > 54 + search->length && memcmp(seen->data + 54, search->wanted, search->length) == 0)
    search->found++;
}

START_TEST(AC_J5_tcp_options_and_ecn_pass_untouched) {
  static const uint8_t options[] = {2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7, 77, 4, 9, 9};
  open_town();
  struct lab_probe probe = lawful(FAMILY_IPV4, PROTOCOL_TCP);
  struct lab_frame frame;
  struct bytes_search search = {options, sizeof(options), 0};
  probe.recipe.tcp_options = options;
  probe.recipe.tcp_option_length = sizeof(options);
  probe.recipe.packet.tcp_flags = TCP_SYN | 0xc0; /* ECN-setup */
  probe.recipe.destination_mac = lab_interface(field.lab, (size_t)probe.interface)->mac;
  ck_assert_int_eq(lab_frame_build(&probe.recipe, &frame), 0);
  ck_assert_int_eq(lab_send(field.lab, probe.interface, &frame), 0);
  (void)lab_collect(field.lab, 0, find_bytes, &search);
  ck_assert_uint_eq(search.found, 1);
  close_town();
}
END_TEST

START_TEST(a_zone_that_is_told_so_gets_its_denials_answered_and_others_do_not) {
  static const enum address_family families[] = {FAMILY_IPV4, FAMILY_IPV6};
  struct lab_options options = {.loud = true};
  open_echo(&options);
  for (size_t i = 0; i < 2; i++) {
    bool ipv6 = families[i] == FAMILY_IPV6;
    struct address away = address_of(ipv6 ? "2400:8500:0:3::9" : "10.3.0.9");
    struct address left = address_of(ipv6 ? "2400:8500:0:1::9" : "10.1.0.9");
    struct address right = address_of(ipv6 ? "2400:8500:0:2::9" : "10.2.0.9");
    struct lab_probe tcp = probe_from("away0", away, right, PROTOCOL_TCP, 80);
    struct lab_probe udp = probe_from("away0", away, right, PROTOCOL_UDP, 80);
    struct lab_probe silent = probe_from("left0", left, right, PROTOCOL_TCP, 81);
    struct lab_probe spoofed = probe_from("away0", left, right, PROTOCOL_TCP, 80);
    ck_assert(!passes(&tcp));
    ck_assert_int_eq(tcp.answer, LAB_ANSWER_RESET);
    ck_assert(!passes(&udp));
    ck_assert_int_eq(udp.answer, LAB_ANSWER_PROHIBITED);
    ck_assert(!passes(&silent));
    ck_assert_int_eq(silent.answer, LAB_ANSWER_NONE);
    ck_assert(!passes(&spoofed));
    ck_assert_int_eq(spoofed.answer, LAB_ANSWER_NONE);
  }
  close_town();
}
END_TEST

static TCase *add_case(Suite *suite, const char *name) {
  TCase *test = tcase_create(name);
  tcase_set_timeout(test, 120);
  suite_add_tcase(suite, test);
  return test;
}

static Suite *acceptance_suite(void) {
  Suite *suite = suite_create("acceptance");
  TCase *state = add_case(suite, "C state");
  tcase_add_test(state, the_lawful_packet_of_these_tests_passes);
  tcase_add_test(state, AC_C1_tcp_with_nonsense_flags_opens_nothing);
  tcase_add_test(state, AC_C2_an_established_connection_takes_no_packet_that_differs_in_one_attribute);
  tcase_add_test(state, AC_C4_after_its_timeout_a_tcp_connection_passes_no_more);
  tcase_add_test(state, AC_C5_udp_answers_pass_only_to_the_question_and_only_for_a_time);
  tcase_add_test(state, AC_C6_J4_H2_echo_passes_only_by_a_flow_and_a_reply_only_to_its_request);
  tcase_add_test(state, AC_C7_a_packet_from_the_middle_of_a_connection_opens_nothing);
  tcase_add_test(state, AC_C8_H1_H3_J1_J2_errors_pass_only_about_a_connection_in_force);
  tcase_add_test(state, AC_C8_an_error_about_a_connection_passes_only_on_its_zone_pair);
  tcase_add_test(state, AC_C9_an_error_ends_no_connection);
  TCase *drops = add_case(suite, "B D E default drops");
  tcase_add_test(drops, AC_B8_a_pinned_address_from_another_mac_is_dropped_and_counted);
  tcase_add_test(drops, AC_D1_D2_fragments_that_make_no_packet_do_not_pass_and_are_counted);
  tcase_add_test(drops, AC_D1_a_lawful_packet_in_fragments_passes_and_a_denied_one_does_not);
  tcase_add_test(drops, AC_D3_to_D7_D14_E3_E4_E9_sources_that_may_not_be_there_are_dropped_with_their_reason);
  tcase_add_test(drops, AC_D5_to_D7_D12_D14_E3_E9_destinations_that_may_not_be_there_are_dropped_with_their_reason);
  tcase_add_test(drops, AC_D8_D9_every_ipv4_option_is_dropped_and_counted);
  tcase_add_test(drops, AC_D10_routing_header_zero_and_hop_by_hop_are_dropped_and_counted);
  tcase_add_test(drops, AC_D13_multicast_is_not_forwarded);
  tcase_add_test(drops, AC_D15_tunnels_are_dropped_and_counted);
  tcase_add_test(drops, AC_E1_E2_every_gateway_address_is_refused_as_source_on_every_wire);
  tcase_add_test(drops, AC_E4_each_zones_addresses_are_refused_on_every_other_zones_wire);
  tcase_add_test(drops, AC_E5_E6_the_zone_with_the_default_route_refuses_private_and_foreign_sources);
  TCase *icmp = add_case(suite, "H I J icmp");
  tcase_add_test(icmp, AC_H4_to_H7_J3_no_icmp_type_passes_without_a_flow);
  tcase_add_test(icmp, AC_H4_J3_no_other_icmp_type_passes_by_quoting_a_live_connection);
  tcase_add_test(icmp, AC_H4_J3_types_that_are_never_forwarded_are_counted_between_zones_with_a_flow);
  tcase_add_test(icmp, AC_I1_E3_neighbour_discovery_with_the_gateway_works_in_every_zone);
  tcase_add_test(icmp, AC_E3_arp_with_the_gateway_works_in_every_zone);
  tcase_add_test(icmp, AC_I4_fragmented_neighbour_discovery_is_not_answered);
  tcase_add_test(icmp, AC_I5_F6_the_gateway_takes_nothing_from_a_zone_that_no_flow_allows);
  tcase_add_test(icmp, a_flow_to_the_gateway_does_not_cover_the_broadcast_of_the_wire);
  tcase_add_test(icmp, icmp_of_the_other_family_is_invalid);
  tcase_add_test(icmp, AC_J5_tcp_options_and_ecn_pass_untouched);
  tcase_add_test(icmp, a_zone_that_is_told_so_gets_its_denials_answered_and_others_do_not);
  return suite;
}

int main(void) {
  lab_require();
  SRunner *runner = srunner_create(acceptance_suite());
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
