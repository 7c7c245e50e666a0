/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "acceptance.h"

#include <stdio.h>
#include <time.h>

#include "town.h"

static struct duel_field field;
static struct nftables *nftables;
static struct arena *arena;
static unsigned next_port = 30000;

struct lab *the_lab(void) {
  return field.lab;
}

const struct policy *the_policy(void) {
  return field.policy;
}

struct arena *the_arena(void) {
  return arena;
}

void open_town_with(const struct lab_options *options) {
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

void open_town(void) {
  open_town_with(NULL);
}

void close_town(void) {
  nftables_close(nftables);
  lab_free(field.lab);
  arena_free(arena);
}

struct address address_of(const char *text) {
  struct address address = {0};
  ck_assert_msg(address_parse(text, &address), "%s", text);
  return address;
}

struct address in_family(const char *ipv4, enum address_family family) {
  struct address address = address_of(ipv4);
  return family == FAMILY_IPV6 ? town_twin(&address) : address;
}

struct lab_probe probe_from(const char *wire, struct address source, struct address destination, uint8_t protocol,
                            uint16_t port) {
  struct duel duel = {0};
  int interface = lab_find_interface(field.lab, wire);
  ck_assert_int_ge(interface, 0);
  duel_set_packet(&field, &duel, interface, &source, &destination, protocol, port, next_port++);
  return duel.probe;
}

struct lab_probe lawful(enum address_family family, uint8_t protocol) {
  return probe_from("ens1f1.210", in_family("10.210.0.14", family), in_family("198.51.100.53", family), protocol, 53);
}

bool passes(struct lab_probe *probe) {
  ck_assert_int_eq(lab_run(field.lab, probe, 1), 0);
  return probe->outcome != LAB_NOWHERE;
}

uint64_t counter(const char *name) {
  struct arena *scratch = arena_new(0);
  struct lab_counters counters;
  ck_assert_int_eq(lab_read_counters(field.lab, scratch, &counters), 0);
  uint64_t value = lab_counter_value(&counters, name);
  arena_free(scratch);
  return value;
}

void assert_denied(struct lab_probe *probe, const char *name, const char *what) {
  uint64_t before = counter(name);
  bool passed = passes(probe);
  uint64_t moved = counter(name) - before;
  ck_assert_msg(!passed, "%s passed", what);
  ck_assert_msg(moved == 1, "%s: counter %s moved by %llu", what, name, (unsigned long long)moved);
}

struct lab_probe later(const struct lab_probe *opener, bool forward, uint8_t flags, uint32_t sequence,
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

struct lab_probe shake_hands(enum address_family family) {
  struct lab_probe opener = lawful(family, PROTOCOL_TCP);
  opener.recipe.tcp_sequence = OPENER_SEQUENCE;
  ck_assert(passes(&opener));
  struct lab_probe answer = later(&opener, false, TCP_SYN | TCP_ACK, ANSWER_SEQUENCE, OPENER_SEQUENCE + 17);
  ck_assert(passes(&answer));
  struct lab_probe third = later(&opener, true, TCP_ACK, OPENER_SEQUENCE + 17, ANSWER_SEQUENCE + 17);
  ck_assert(passes(&third));
  return opener;
}

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

void open_policy(const char *text, const struct lab_options *options, uint32_t half_open_seconds) {
  struct error error = {0};
  struct instant now = {time(NULL)};
  arena = arena_new(0);
  const struct policy *policy = town_policy("policy.conf", text, arena);
  ck_assert_ptr_nonnull(policy);
  field = (struct duel_field){.policy = policy, .scratch = arena, .half_open_seconds = half_open_seconds};
  ck_assert_msg(lab_new(policy, options, &field.lab, &error) == 0, "%s", error.message);
  field.circumstances = (struct circumstances){.now = now, .own = lab_own(field.lab)};
  ck_assert_msg(nftables_open(&nftables, &error) == 0, "%s", error.message);
  ck_assert_msg(duel_load(&field, nftables, &error) == 0, "%s", error.message);
}

void open_echo(const struct lab_options *options) {
  open_policy(echo_policy, options, 0);
}

struct lab_probe echo_probe(enum address_family family, uint8_t type) {
  bool ipv6 = family == FAMILY_IPV6;
  return probe_from("left0", address_of(ipv6 ? "2400:8500:0:1::9" : "10.1.0.9"),
                    address_of(ipv6 ? "2400:8500:0:2::9" : "10.2.0.9"), ipv6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP, type);
}

struct lab_probe error_about(const struct lab_probe *about, uint8_t type, uint8_t code) {
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

TCase *add_case(Suite *suite, const char *name) {
  TCase *test = tcase_create(name);
  tcase_set_timeout(test, 120);
  suite_add_tcase(suite, test);
  return test;
}
