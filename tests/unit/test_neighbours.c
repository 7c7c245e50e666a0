/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Machines and their neighbours, judged by a policy that names its routers, servers and switches. */
#include <check.h>
#include <pcap/dlt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hex.h"
#include "policy/read.h"
#include "watch/watch.h"

enum { LGWAN, INTERNET, CORE, WIRES, TEXT_SIZE = 8192, FRAME_MOST = 1024 };
static const int64_t START = 1795482000LL * 1000000000, MILLISECOND = 1000000;

static struct watch *watch;
static int64_t clock_now;
static enum frame_sender sender; /* of the next frames, as the capture says */
static char told[TEXT_SIZE];     /* first records: "bridged lgwan>internet same-frame;" */

static void tell(void *context, struct event *event, const struct timezone *timezone) {
  (void)context, (void)timezone;
  ck_assert(strstr(event->message, "%") == NULL);
  if (event->id[0] != '\0')
    return;
  strcpy(event->id, "x");
  size_t length = strlen(told);
  snprintf(told + length, sizeof told - length, "%s %s>%s %s;", event->kind, event->zone != NULL ? event->zone : "-",
           event->other_zone != NULL ? event->other_zone : "-", event->reason != NULL ? event->reason : "-");
}

static struct mac kept; /* sender of the frame that was kept last */
static char kept_wire[16];

static void keep(void *context, const char *id, const char *interface, const struct captured_frame *captured) {
  (void)context, (void)id;
  ck_assert_uint_ge(captured->captured, 42);
  memcpy(kept.bytes, captured->data + 6, sizeof kept.bytes);
  snprintf(kept_wire, sizeof kept_wire, "%s", interface);
}

static const char POLICY[] =
    "policy = { name = \"t\"; number = \"1\"; model = \"alpha\"; timezone = \"Asia/Tokyo\"; language = \"en\"; };\n"
    "zones = {\n"
    " lgwan = { class = \"lgwan\"; interfaces = [ \"lg0\" ]; networks = [ \"10.1.0.0/24\", \"2409:1::/64\" ];\n"
    "  routers = [ \"r\", \"10.1.0.250\", \"02:00:00:00:09:02\" ]; dhcp_servers = [ \"d\", \"10.1.0.251\" ];\n"
    "  switches = [ \"02:00:5e:ff:01:01\", \"02:00:5e:ff:00:01\" ]; };\n"
    " internet = { class = \"internet\"; interfaces = [ \"in0\" ]; networks = [ \"10.2.0.0/24\" ];\n"
    "  routers = [ \"02:00:00:00:09:02\" ];%s\n"
    "  switches = [ \"02:00:5e:ff:02:01\", \"02:00:5e:ff:00:01\", \"10.2.0.240\" ]; };\n"
    " core = { class = \"mynumber\"; interfaces = [ \"my0\" ]; networks = [ \"10.3.0.0/24\", \"2409:3::/64\" ]; };\n"
    " mgmt = { class = \"management\"; networks = [ \"10.9.0.0/24\" ]; interfaces = [ \"mg0\" ]; };\n"
    "};\n"
    "hosts = {\n"
    " r = { zone = \"lgwan\"; address = \"10.1.0.254\"; mac = \"02:00:00:00:09:01\"; };\n"
    " d = { zone = \"lgwan\"; address = \"10.1.0.252\"; mac = \"02:00:00:00:09:03\"; };\n"
    " w1 = { zone = \"lgwan\"; address = \"10.1.0.60\"; mac = \"02:00:00:00:0a:01\"; machine = \"washer\"; };\n"
    " w2 = { zone = \"internet\"; address = \"10.2.0.60\"; machine = \"washer\"; };\n"
    " p = { zone = \"core\"; address = \"10.3.0.77\"; mac = \"02:00:00:00:0b:01\"; };\n"
    " p6 = { zone = \"lgwan\"; address = \"2409:1::77\"; mac = \"02:00:00:00:0b:02\"; };\n"
    "};\n"
    "flows = { };\n";

static void set_policy(const char *more, bool pending) {
  static char text[TEXT_SIZE];
  int length = snprintf(text, sizeof text, POLICY, more);
  struct arena *arena = arena_new(0);
  struct diagnostic_list list;
  struct error error = {0};
  const struct policy *policy = NULL;
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("test", text, (size_t)length, arena, true, &policy, &list, &error), 0);
  ck_assert_ptr_nonnull(policy);
  ck_assert_int_eq(watch_set_policy(watch, policy, arena, pending, clock_now), 0);
}

static void set_up(void) {
  static const char *const names[] = {"lg0", "in0", "my0"};
  struct watch_settings settings = {
      .connections = 64, .machines = 64, .copy_wait = WATCH_LIVE_WAIT, .tell = tell, .keep = keep, .keep_frames = 1};
  told[0] = '\0';
  clock_now = START;
  sender = SENDER_UNKNOWN;
  watch = watch_new(&settings);
  for (int i = 0; i < WIRES; i++) {
    struct mac mac = {{2, 0, 0, 0, 0, (uint8_t)(0xa1 + i)}};
    ck_assert_int_eq(watch_add_wire(watch, names[i], NULL), i);
    watch_add_gateway_mac(watch, i, &mac);
  }
  struct address_range own = {0};
  ck_assert(address_parse("10.1.0.1", &own.first));
  own.last = own.first;
  ck_assert_int_eq(watch_set_own(watch, &own, 1), 0);
  set_policy("", false);
}

static void tear_down(void) {
  watch = watch_free(watch);
}

/* ---- frames ---- */

static void pass(int64_t milliseconds) {
  clock_now += milliseconds * MILLISECOND;
  watch_advance(watch, clock_now);
}

/* text: from the destination MAC on. */
static void see(int wire, const char *text) {
  uint8_t bytes[FRAME_MOST] = {0};
  size_t length = hex_read(text, bytes, sizeof bytes);
  length = length < 60 ? 60 : length;
  struct captured_frame frame = {.time = clock_now,
                                 .data = bytes,
                                 .captured = (uint32_t)length,
                                 .length = (uint32_t)length,
                                 .link_type = DLT_EN10MB,
                                 .sender = sender};
  watch_frame(watch, wire, &frame);
  watch_flush(watch);
  clock_now += MILLISECOND;
}

static void expect(const char *events) {
  pass(300);
  ck_assert_str_eq(told, events);
  told[0] = '\0';
}

#define BROADCAST "ffffffffffff"
#define ARP(mac, sender, target) BROADCAST mac "0806 0001 0800 06 04 0001" mac sender "000000000000" target
#define IP(source, destination) "0800 45000024 00000000 4001 0000" source destination
#define UDP(length, source, destination, ports, udp_length)                                                            \
  "0800 4500" length " 00000000 4011 0000" source destination ports udp_length "0000"
#define NAME_OF_PC "0c06 70632d303432" /* pc-042 */

/* A DHCP message with options; client: its MAC. */
static void see_dhcp(int wire, const char *source_mac, const char *addresses, const char *ports, const char *operation,
                     const char *offered, const char *client, const char *options) {
  char text[FRAME_MOST];
  size_t options_length = strlen(options);
  for (const char *at = options; *at != '\0'; at++)
    options_length -= *at == ' ' ? 1 : 0;
  unsigned udp = 8 + 240 + (unsigned)options_length / 2;
  snprintf(text, sizeof text,
           BROADCAST "%s 0800 4500%04x 00000000 4011 0000 %s %s %04x 0000 %s010600 00000001 (8) %s (8) %s (10) (192)"
                     "63825363 %s",
           source_mac, udp + 20, addresses, ports, udp, operation, offered, client, options);
  see(wire, text);
}

static void ask_dhcp(int wire, const char *mac, const char *options) {
  see_dhcp(wire, mac, "00000000 ffffffff", "00440043", "01", "00000000", mac, options);
}

static void answer_dhcp(int wire, const char *mac, const char *address, const char *options) {
  char addresses[64], offered[32];
  snprintf(addresses, sizeof addresses, "%s ffffffff", address);
  snprintf(offered, sizeof offered, "0a0%d0099", wire + 1);
  see_dhcp(wire, mac, addresses, "00430044", "02", offered, "020000001111", options);
}

#define RA(mac, source) "333300000001" mac "86dd 60000000 00103aff" source "ff02 (13) 01 8600 0000 40000708 (8)"
#define NEIGHBOUR(mac, kind, target)                                                                                   \
  "333300000001" mac "86dd 60000000 00183aff fe80 (13) 66 ff02 (13) 01" kind "000000 60000000" target

static void see_tree_by(int wire, const char *root, const char *source, const char *bridge, const char *port) {
  char text[FRAME_MOST];
  snprintf(text, sizeof text, "0180c2000000 %s 0027 424203 00000202 3c 8000 %s (4) 8000 %s %s 0000140002000f0000",
           source, root, bridge, port);
  see(wire, text);
}

static void see_tree(int wire, const char *root, const char *bridge) {
  see_tree_by(wire, root, bridge, bridge, "8001");
}

static void see_lldp(int wire, const char *mac, const char *chassis, const char *more) {
  char text[FRAME_MOST];
  snprintf(text, sizeof text, "0180c200000e %s 88cc 020704 %s 0409 0567652d302f302f31 0602 0078 %s 0000", mac, chassis,
           more);
  see(wire, text);
}

/* ---- joined wires ---- */

START_TEST(the_first_copy_waits_for_the_second) {
  see(INTERNET, ARP("020000000501", "0a010005", "0a010001"));
  ck_assert_str_eq(told, "");
  see(LGWAN, ARP("020000000501", "0a010005", "0a010001"));
  ck_assert_str_eq(told, "bridged lgwan>internet same-frame;");
  expect("bridged lgwan>internet same-frame;");
  see(INTERNET, ARP("020000000502", "0a010006", "0a010001")); /* known by now */
  expect("");
}
END_TEST

START_TEST(what_has_no_second_copy_is_a_bypass_all_the_same) {
  see(INTERNET, ARP("020000000501", "0a010005", "0a010001"));
  ck_assert_int_eq(watch_waits_until(watch), START + WATCH_LIVE_WAIT);
  watch_tell_waiting(watch, START + WATCH_LIVE_WAIT);
  ck_assert_int_eq(watch_waits_until(watch), 0);
  ck_assert_str_eq(told, "bypass internet>lgwan arp-claim;");
}
END_TEST

START_TEST(what_waited_is_kept_with_its_own_bytes) {
  static const struct mac bearer = {{2, 0, 0, 0, 5, 1}};
  see(INTERNET, ARP("020000000501", "0a010005", "0a010001"));
  see(LGWAN, ARP("020000000502", "0a010006", "0a010001"));
  see(LGWAN, ARP("020000000503", "0a010007", "0a010001"));
  pass(5);
  ck_assert_str_eq(told, "bypass internet>lgwan arp-claim;");
  ck_assert(mac_equal(&kept, &bearer));
  ck_assert_str_eq(kept_wire, "in0");
}
END_TEST

START_TEST(padding_makes_no_difference_and_time_does) {
  see(LGWAN, ARP("020000000501", "0a010005", "0a010001"));
  see(INTERNET, ARP("020000000501", "0a010005", "0a010001") "(40)");
  expect("bridged internet>lgwan same-frame;");
  pass(120000);
  told[0] = '\0';
  see(LGWAN, ARP("020000000502", "0a010006", "0a010001"));
  pass(3000);
  see(INTERNET, ARP("020000000502", "0a010006", "0a010001")); /* the same words, three seconds later */
  expect("bypass internet>lgwan arp-claim;");
}
END_TEST

START_TEST(the_gateways_own_frames_on_the_wire_of_another_zone_are_a_joint) {
  see(INTERNET, ARP("0200000000a1", "0a010001", "0a010005"));
  expect("bridged internet>lgwan gateway-mac;");
}
END_TEST

START_TEST(what_the_gateway_sent_and_hears_again_is_a_loop) {
  sender = SENDER_OTHERS;
  see(LGWAN, ARP("0200000000a1", "0a010001", "0a010005")); /* a mirror port: nothing there is sent by this machine */
  expect("");
  sender = SENDER_THIS_MACHINE;
  see(LGWAN, ARP("0200000000a1", "0a010001", "0a010005"));
  expect("");
  sender = SENDER_OTHERS;
  see(LGWAN, ARP("0200000000a1", "0a010001", "0a010005"));
  expect("bridged lgwan>lgwan gateway-loop;");
}
END_TEST

START_TEST(one_wire_may_be_joined_with_two_others) {
  see(LGWAN, ARP("020000000501", "0a010005", "0a010001"));
  see(INTERNET, ARP("020000000501", "0a010005", "0a010001"));
  see(CORE, ARP("020000000501", "0a010005", "0a010001"));
  expect("bridged internet>lgwan same-frame;bridged core>internet same-frame;");
}
END_TEST

START_TEST(a_gateway_with_one_MAC_for_all_its_VLANs_is_seen_through_a_joint_all_the_same) {
  static const struct mac one = {{2, 0, 0, 0, 0, 0xa1}};
  watch_forget_gateway_macs(watch, INTERNET);
  watch_add_gateway_mac(watch, INTERNET, &one);
  see(LGWAN, "01005e0000fb 0200000000a1" IP("a9fe0101", "e00000fb"));
  see(INTERNET, "01005e0000fb 0200000000a1" IP("a9fe0101", "e00000fb")); /* it says so on every wire */
  see(LGWAN, ARP("0200000000a1", "00000000", "0a010001"));
  see(INTERNET, ARP("0200000000a1", "00000000", "0a010001"));
  expect("");
  see(LGWAN, ARP("0200000000a1", "0a010001", "0a010005"));
  see(INTERNET, ARP("0200000000a1", "0a010001", "0a010005"));
  expect("bridged internet>lgwan same-frame;");
  see(INTERNET, "0200000000a1 020000000501" IP("0a010005", "0a030005")); /* a host of the other wire, to the gateway */
  expect("");
}
END_TEST

START_TEST(a_router_that_is_heard_through_a_joint_is_no_rogue) {
  see(INTERNET, RA("020000000901", "fe80 (13) 01"));
  see(LGWAN, RA("020000000901", "fe80 (13) 01"));
  see(INTERNET, RA("020000000901", "fe80 (13) 01"));
  expect("bridged lgwan>internet same-frame;");
}
END_TEST

/* ---- machines in two zones ---- */

/* It may be on both wires; what it shows there may not. */
START_TEST(the_second_copy_from_a_machine_of_both_zones_takes_nothing_back) {
  see(INTERNET, ARP("020000000902", "0a010005", "0a020001"));
  see(LGWAN, ARP("020000000902", "0a010005", "0a020001"));
  pass(300);
  ck_assert_msg(strstr(told, "bypass internet>lgwan") != NULL, "%s", told);
}
END_TEST

START_TEST(a_machine_is_told_each_time_it_changes_the_zone_within_a_day) {
  see(LGWAN, ARP("020000000501", "0a010005", "0a010001"));
  pass(3600LL * 1000);
  see(INTERNET, ARP("020000000501", "0a020005", "0a020001"));
  see(INTERNET, ARP("020000000501", "0a020005", "0a020001"));
  expect("dual-homed internet>lgwan carried;");
  pass(3600LL * 1000);
  see(INTERNET, ARP("020000000501", "0a020005", "0a020001")); /* it stays where it is */
  expect("");
  see(LGWAN, ARP("020000000501", "0a010005", "0a010001"));
  expect("dual-homed lgwan>internet same-mac;");
  pass(25LL * 3600 * 1000);
  see(INTERNET, ARP("020000000501", "0a020005", "0a020001")); /* forgotten over night and day */
  expect("");
}
END_TEST

START_TEST(legs_of_one_machine_and_what_both_zones_name_are_lawful) {
  see(LGWAN, ARP("020000000a01", "0a01003c", "0a010001"));
  see(INTERNET, ARP("020000000a01", "0a02003c", "0a020001"));
  see(LGWAN, ARP("020000000902", "0a01000b", "0a010001")); /* a router of both */
  see(INTERNET, ARP("020000000902", "0a02000b", "0a020001"));
  expect("");
}
END_TEST

START_TEST(a_mac_that_routers_share_names_no_machine) {
  static const char *const macs[] = {"00005e000107", "00000c07ac01", "00000c9ff001", "0007b4000101"};
  char text[FRAME_MOST];
  for (int wire = LGWAN; wire <= INTERNET; wire++) {
    snprintf(text, sizeof text, BROADCAST "%s 0806 0001 0800 06 04 0001 %s 0a0%d0005 000000000000 0a0%d0001", macs[_i],
             macs[_i], wire + 1, wire + 1);
    see(wire, text);
  }
  expect("");
}
END_TEST

START_TEST(a_name_in_DHCP_that_many_machines_have_names_none) {
  ask_dhcp(LGWAN, "020000001101", "350101 " NAME_OF_PC " ff");
  ask_dhcp(INTERNET, "020000001102", "350101 " NAME_OF_PC " ff");
  expect("dual-homed internet>lgwan dhcp-name;");
  ask_dhcp(LGWAN, "020000001103", "350101 0c09 6c6f63616c686f7374 ff"); /* localhost */
  ask_dhcp(INTERNET, "020000001104", "350101 0c09 6c6f63616c686f7374 ff");
  expect("");
}
END_TEST

/* As a telephone or a computer is called that nobody named: what it is, and not which. */
START_TEST(a_name_in_DHCP_of_a_model_names_no_machine) {
  static const char *const names[] = {
      "350101 0c03 4d6163 ff",                 /* Mac */
      "350101 0c0b 4d6163426f6f6b2d50726f ff", /* MacBook-Pro */
      "350101 0c0a 47616c6178792d533231 ff",   /* Galaxy-S21 */
      "350101 0c07 506978656c2d37 ff",         /* Pixel-7 */
  };
  ask_dhcp(LGWAN, "020000001101", names[_i]);
  ask_dhcp(INTERNET, "020000001102", names[_i]);
  expect("");
}
END_TEST

START_TEST(a_name_in_DHCP_that_one_machine_has_names_it) {
  static const char *const names[] = {
      "350101 0c0f 4445534b544f502d41423132434433 ff", /* DESKTOP-AB12CD3 */
      "350101 0c0b 7461726f2d47616c617879 ff",         /* taro-Galaxy */
  };
  ask_dhcp(LGWAN, "020000001101", names[_i]);
  ask_dhcp(INTERNET, "020000001102", names[_i]);
  expect("dual-homed internet>lgwan dhcp-name;");
}
END_TEST

START_TEST(a_name_in_DHCP_of_a_machine_with_declared_legs_is_lawful) {
  ask_dhcp(LGWAN, "020000001101", "350101 0c06 776173686572 ff"); /* washer */
  ask_dhcp(INTERNET, "020000001102", "350101 0c06 776173686572 ff");
  expect("");
  ask_dhcp(CORE, "020000001104", "350101 0c06 776173686572 ff"); /* where it has none */
  expect("dual-homed core>internet dhcp-name;");
}
END_TEST

START_TEST(a_machine_says_by_LLDP_that_it_stands_in_two_zones) {
  see_lldp(INTERNET, "020000001101", "020000001101", "0e04 0080 0080 100c 0501 0a010007 020000000100");
  expect("dual-homed internet>lgwan lldp-address;");
  see_lldp(LGWAN, "020000001102", "020000001102", "0e04 0080 0080");
  see_lldp(INTERNET, "020000001103", "020000001102", "0e04 0080 0080"); /* another port of it */
  expect("dual-homed internet>lgwan lldp-system;");
}
END_TEST

/* ---- switches ---- */

START_TEST(an_undeclared_switch_may_be_managed_from_any_zone) {
  static const char ADDRESS[] = "100c 0501 0a010007 020000000100";
  static const char *const capabilities[] = {"0e04 0004 0004", "0e04 0014 0014", "0e04 0014 0010"};
  char more[96];
  for (size_t i = 0; i < sizeof capabilities / sizeof capabilities[0]; i++) {
    snprintf(more, sizeof more, "%s %s", capabilities[i], ADDRESS);
    see_lldp(INTERNET, "020000001101", "020000001101", more);
    snprintf(more, sizeof more, "%s %s", ADDRESS, capabilities[i]);
    see_lldp(INTERNET, "020000001101", "020000001101", more);
    expect("");
  }
  see_lldp(INTERNET, "020000001102", "020000001102", ADDRESS); /* does not say that it is a switch, */
  expect("dual-homed internet>lgwan lldp-address;");
  see_lldp(INTERNET, "020000001103", "020000001103",
           "0e04 0004 0000 100c 0501 0a010007 020000000100"); /* or could be */
  expect("dual-homed internet>lgwan lldp-address;");
}
END_TEST

START_TEST(a_switch_that_only_another_zone_declares_is_a_joint) {
  see_tree(LGWAN, "02005eff0101", "02005eff0101");
  see_tree(INTERNET, "02005eff0001", "02005eff0001"); /* declared by both */
  see_lldp(LGWAN, "02005eff010a", "02005eff0101", "0e04 0004 0004 100c 0501 0a090005 020000000100");
  expect("");
  see_tree(INTERNET, "02005eff0101", "02005eff0201");
  expect("bridged internet>lgwan stp-switch;");
  see_lldp(INTERNET, "02005eff010a", "02005eff0101", "0e04 0004 0004");
  expect(""); /* the same joint */
  see_lldp(CORE, "020000001101", "020000001101", "0e04 0004 0004 100c 0501 0a0200f0 020000000100");
  expect("bridged core>internet lldp-switch;");
}
END_TEST

START_TEST(an_undeclared_switch_may_serve_several_zones_and_its_tree_may_change) {
  for (int round = 0; round < 3; round++) {
    const char *root = round < 2 ? "02005eff0a01" : "02005eff0a02";
    for (int wire = 0; wire < WIRES; wire++)
      see_tree(wire, root, "02005eff0a01");
    pass(30000);
  }
  expect("");
}
END_TEST

START_TEST(a_tree_that_takes_another_zones_root_is_a_joint) {
  see_tree(LGWAN, "02005eff0a01", "02005eff0a01");
  see_tree(CORE, "02005eff0b01", "02005eff0b01");
  pass(2000);
  see_tree(CORE, "02005eff0a01", "02005eff0b01");
  expect("bridged core>lgwan stp-root;");
}
END_TEST

#define CORE_SWITCH "02005eff0c01" /* undeclared: of all zones, and of one each */
static const char *const ACCESS[WIRES] = {"02005eff0a01", "02005eff0a02", "02005eff0a03"};

static void begin_one_tree(void) {
  for (int wire = 0; wire < WIRES; wire++)
    see_tree(wire, CORE_SWITCH, ACCESS[wire]);
  pass(120000);
}

START_TEST(a_wire_may_go_back_to_the_root_that_it_had) {
  begin_one_tree();
  see_tree(LGWAN, ACCESS[LGWAN], ACCESS[LGWAN]); /* its uplink is gone */
  pass(600000);
  see_tree(LGWAN, CORE_SWITCH, ACCESS[LGWAN]);
  expect("");
}
END_TEST

START_TEST(after_a_power_cut_any_switch_of_the_site_may_be_the_root_for_a_while) {
  begin_one_tree();
  for (int wire = 0; wire < WIRES; wire++) {
    see_tree(wire, ACCESS[wire], ACCESS[wire]);
    pass(90000);
    see_tree(wire, ACCESS[0], ACCESS[wire]);
  }
  expect("");
  for (int wire = 0; wire < WIRES; wire++) {
    see_tree(wire, CORE_SWITCH, ACCESS[wire]);
    pass(90000);
  }
  expect("");
}
END_TEST

START_TEST(who_says_an_old_root_and_did_not_speak_before_is_told) {
  static const char *const others[][3] = {{"02005eff0e01", "02005eff0a03", "8001"},
                                          {"02005eff0a03", "02005eff0e01", "8001"},
                                          {"02005eff0a03", "02005eff0a03", "8002"}};
  const char *const *other = others[_i];
  begin_one_tree();
  see_tree(CORE, ACCESS[CORE], ACCESS[CORE]);
  pass(90000);
  see_tree_by(CORE, "02005eff0e09", other[0], other[1], other[2]); /* nobody's root: that makes him no old friend */
  pass(90000);
  expect("");
  see_tree_by(CORE, CORE_SWITCH, other[0], other[1], other[2]);
  expect("bridged core>lgwan stp-root;");
}
END_TEST

START_TEST(a_root_that_is_new_to_both_is_told_when_they_do_not_take_it_together) {
  begin_one_tree();
  see_tree(LGWAN, "02005eff0e01", ACCESS[LGWAN]);
  pass(90000);
  expect("");
  see_tree(CORE, "02005eff0e01", ACCESS[CORE]);
  expect("bridged core>lgwan stp-root;");
}
END_TEST

START_TEST(a_cable_that_is_plugged_in_again_is_told_again) {
  for (int round = 0; round < 3; round++) {
    see_tree(LGWAN, ACCESS[LGWAN], ACCESS[LGWAN]);
    see_tree(CORE, ACCESS[CORE], ACCESS[CORE]);
    pass(2000);
    see_tree(CORE, ACCESS[LGWAN], ACCESS[CORE]);
    expect("bridged core>lgwan stp-root;");
    pass(700000);
  }
}
END_TEST

START_TEST(a_wire_that_never_had_a_tree_gets_none_but_by_a_cable) {
  see(CORE, ARP("020000000b01", "0a03004d", "0a030001"));
  see_tree(LGWAN, ACCESS[LGWAN], ACCESS[LGWAN]);
  pass(90000);
  see_tree(CORE, ACCESS[LGWAN], ACCESS[LGWAN]);
  expect("bridged core>lgwan stp-root;");
}
END_TEST

START_TEST(wires_may_get_a_tree_together) {
  see(CORE, ARP("020000000b01", "0a03004d", "0a030001"));
  see(LGWAN, ARP("020000000503", "0a010005", "0a010001"));
  pass(90000);
  see_tree(LGWAN, CORE_SWITCH, ACCESS[LGWAN]);
  pass(2000);
  see_tree(CORE, CORE_SWITCH, ACCESS[CORE]);
  expect("");
}
END_TEST

/* ---- routers and servers ---- */

START_TEST(routers_that_the_zone_names_may_speak) {
  see(LGWAN, RA("020000000901", "fe80 (13) 01"));          /* a host with a MAC */
  see(LGWAN, RA("020000000902", "fe80 (13) 02"));          /* a MAC */
  see(LGWAN, ARP("020000000950", "0a0100fa", "0a010001")); /* an address: who has it, */
  see(LGWAN, RA("020000000950", "fe80 (13) 03"));          /* may speak */
  see(LGWAN, "01005e000012 00005e000101 0800 45000020 00000000 ff70 0000 0a0100fa e0000012 31010000 (12)");
  see(LGWAN, "01005e000012 00005e000101 0800 45000020 00000000 ff70 0000 0a0100fe e0000012 31010000 (12)");
  see(LGWAN, ARP("020000000902", "0a01000b", "0a010001")); /* the shared MAC of one that is known by its own */
  see(LGWAN, "01005e000012 00005e000101 0800 45000020 00000000 ff70 0000 0a01000b e0000012 31010000 (12)");
  expect("");
  see(LGWAN, RA("020000000951", "fe80 (13) 04"));
  expect("rogue-router lgwan>- router-advertisement;");
  see(INTERNET, RA("020000000952", "fe80 (13) 01"));
  expect("rogue-router internet>- router-advertisement;");
}
END_TEST

START_TEST(who_is_named_may_still_not_hand_out_what_another_zone_has) {
  static const char prefix[] = "03044040 00000e10 00000708 (4)";
  char text[FRAME_MOST];
  for (int zone = 1; zone <= 3; zone += 2) { /* its own network, and one of the core */
    snprintf(text, sizeof text,
             "333300000001 020000000901 86dd 60000000 00303aff fe80 (13) 01 ff02 (13) 01 8600 0000 40000708 (8) %s"
             "2409 000%d (12)",
             prefix, zone);
    see(LGWAN, text);
  }
  expect("bypass lgwan>core prefix-claim;");
  see_dhcp(LGWAN, "020000000903", "0a0100fc ffffffff", "00430044", "02", "0a020099", "020000001111", "350102 ff");
  expect("unknown-segment lgwan>internet dhcp-offer;");
}
END_TEST

START_TEST(servers_that_the_zone_names_may_answer) {
  answer_dhcp(LGWAN, "020000000903", "0a0100fc", "350102 3604 0a0100fc ff"); /* a host with a MAC */
  answer_dhcp(LGWAN, "020000000960", "0a0100fb", "350102 3604 0a0100fb ff"); /* an address */
  answer_dhcp(LGWAN, "020000000902", "0a01000b", "350102 3604 0a0100fc ff"); /* through a router of the zone */
  expect("");
  answer_dhcp(LGWAN, "020000000961", "0a0100fc", "350102 3604 0a0100fc ff"); /* its address from another MAC */
  expect("rogue-router lgwan>- dhcp;");
  answer_dhcp(INTERNET, "020000000962", "0a02000c", "350102 ff");
  expect("rogue-router internet>- dhcp;");
}
END_TEST

START_TEST(a_client_may_choose_a_server_that_the_zone_names) {
  ask_dhcp(LGWAN, "020000001101", "350103 3604 0a0100fc ff");
  ask_dhcp(LGWAN, "020000001101", "350103 3604 0a0100fb ff");
  ask_dhcp(LGWAN, "020000001101", "350103 3604 0a010001 ff"); /* the gateway itself */
  expect("");
  ask_dhcp(LGWAN, "020000001101", "350103 3604 0a0100fd ff");
  expect("rogue-router lgwan>- dhcp-choice;");
}
END_TEST

START_TEST(while_policies_are_exchanged_the_next_one_may_name_a_server) {
  set_policy(" dhcp_servers = [ \"10.2.0.53\" ];", true);
  answer_dhcp(INTERNET, "020000000960", "0a020035", "350102 3604 0a020035 ff");
  ask_dhcp(INTERNET, "020000001101", "350103 3604 0a020035 ff");
  expect("");
  set_policy("", false);
  pass(1000);
  answer_dhcp(INTERNET, "020000000960", "0a020035", "350102 3604 0a020035 ff");
  expect("rogue-router internet>- dhcp;");
}
END_TEST

START_TEST(what_is_for_elsewhere_goes_by_the_gateway_or_a_router_of_the_zone) {
  see(LGWAN, "020000000901 020000001101" IP("0a010005", "c0a80707"));
  see(LGWAN, "0200000000a1 020000001101" IP("0a010005", "c0a80707")); /* to the gateway: an attempt */
  expect("unknown-segment lgwan>- unknown-zone;attempt lgwan>- unknown-zone;");
  see(LGWAN, "020000000999 020000001101" IP("0a010005", "c0a80707"));
  expect("rogue-router lgwan>- second-gateway;");
  see(LGWAN, "020000000998 020000001101" IP("0a010005", "08080808"));
  expect("rogue-uplink lgwan>- internet-next-hop;");
  see(LGWAN, "020000001101 020000000998" IP("08080808", "0a010005"));
  see(LGWAN, "020000001101 020000000998" IP("09090909", "0a010005"));
  expect(""); /* the same machine */
}
END_TEST

START_TEST(where_the_gateways_MAC_is_not_known_nobody_is_a_second_gateway) {
  watch_forget_gateway_macs(watch, LGWAN);
  see(LGWAN, "020000000999 020000001101" IP("0a010005", "08080808"));
  see(LGWAN, "020000000999 020000001101" IP("0a010005", "c0a80707"));
  expect("unknown-segment lgwan>- unknown-zone;unknown-segment lgwan>- unknown-zone;");
}
END_TEST

START_TEST(what_telephones_hand_out_is_a_way_to_the_Internet) {
  answer_dhcp(LGWAN, "020000000961", "c0a82a81", "350102 3604 c0a82a81 ff");
  expect("rogue-uplink lgwan>- tethering;");
  see(INTERNET, ARP("020000001101", "ac140a0e", "ac140a01"));
  expect("rogue-uplink internet>- tethering;");
  see(INTERNET, ARP("020000001102", "ac140a10", "ac140a11")); /* beyond 172.20.10.0/28 */
  expect("unknown-segment internet>- unknown-zone;");
  see(CORE, "0200000000a3 020000001103" IP("c0a88905", "08080808")); /* Windows, through the gateway */
  expect("rogue-uplink core>- tethering;");
}
END_TEST

/* ---- stolen addresses ---- */

START_TEST(who_answers_for_the_address_of_another_is_told) {
  see(CORE, ARP("020000000b01", "0a03004d", "0a030001"));
  see(LGWAN, NEIGHBOUR("020000000b02", "88", "24090001 (10) 0077"));
  see(LGWAN, NEIGHBOUR("020000000b03", "87", "24090001 (10) 0077")); /* a question */
  expect("");
  see(CORE, ARP("020000000b09", "0a03004d", "0a030001"));
  expect("identity-theft core>- pinned-claim;");
  see(LGWAN, NEIGHBOUR("020000000b0a", "88", "24090001 (10) 0077"));
  expect("identity-theft lgwan>- pinned-claim;");
  see(LGWAN, ARP("020000000b08", "0a010001", "0a010005"));
  expect("identity-theft lgwan>- gateway-claim;");
  see(LGWAN, "020000001101 020000000b07" IP("0a010001", "0a010005"));
  expect("identity-theft lgwan>- gateway-claim;");
}
END_TEST

/* ---- bounds ---- */

START_TEST(a_flood_of_machines_costs_memory_already_taken) {
  char text[FRAME_MOST];
  for (unsigned i = 0; i < 5000; i++) {
    snprintf(text, sizeof text, BROADCAST "0277%08x 0806 0001 0800 06 04 0001 0277%08x 0a0100%02x (6) 0a010002", i, i,
             i % 40 + 10);
    see(LGWAN, text);
  }
  ck_assert_uint_gt(watch_crowded_out(watch, WATCH_TABLE_MACHINES), 4000);
  expect("blind ->- machines-full;");
  see(LGWAN, ARP("020000000501", "0a010005", "0a010001"));
  see(INTERNET, ARP("020000000501", "0a010005", "0a010001"));
  expect("bridged internet>lgwan same-frame;");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("neighbours");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_test(all, the_first_copy_waits_for_the_second);
  tcase_add_test(all, what_has_no_second_copy_is_a_bypass_all_the_same);
  tcase_add_test(all, what_waited_is_kept_with_its_own_bytes);
  tcase_add_test(all, padding_makes_no_difference_and_time_does);
  tcase_add_test(all, the_gateways_own_frames_on_the_wire_of_another_zone_are_a_joint);
  tcase_add_test(all, a_gateway_with_one_MAC_for_all_its_VLANs_is_seen_through_a_joint_all_the_same);
  tcase_add_test(all, a_router_that_is_heard_through_a_joint_is_no_rogue);
  tcase_add_test(all, what_the_gateway_sent_and_hears_again_is_a_loop);
  tcase_add_test(all, one_wire_may_be_joined_with_two_others);
  tcase_add_test(all, the_second_copy_from_a_machine_of_both_zones_takes_nothing_back);
  tcase_add_test(all, a_machine_is_told_each_time_it_changes_the_zone_within_a_day);
  tcase_add_test(all, legs_of_one_machine_and_what_both_zones_name_are_lawful);
  tcase_add_loop_test(all, a_mac_that_routers_share_names_no_machine, 0, 4);
  tcase_add_test(all, a_name_in_DHCP_that_many_machines_have_names_none);
  tcase_add_loop_test(all, a_name_in_DHCP_of_a_model_names_no_machine, 0, 4);
  tcase_add_loop_test(all, a_name_in_DHCP_that_one_machine_has_names_it, 0, 2);
  tcase_add_test(all, a_name_in_DHCP_of_a_machine_with_declared_legs_is_lawful);
  tcase_add_test(all, a_machine_says_by_LLDP_that_it_stands_in_two_zones);
  tcase_add_test(all, an_undeclared_switch_may_be_managed_from_any_zone);
  tcase_add_test(all, a_switch_that_only_another_zone_declares_is_a_joint);
  tcase_add_test(all, an_undeclared_switch_may_serve_several_zones_and_its_tree_may_change);
  tcase_add_test(all, a_tree_that_takes_another_zones_root_is_a_joint);
  tcase_add_test(all, a_wire_may_go_back_to_the_root_that_it_had);
  tcase_add_test(all, after_a_power_cut_any_switch_of_the_site_may_be_the_root_for_a_while);
  tcase_add_loop_test(all, who_says_an_old_root_and_did_not_speak_before_is_told, 0, 3);
  tcase_add_test(all, a_root_that_is_new_to_both_is_told_when_they_do_not_take_it_together);
  tcase_add_test(all, a_cable_that_is_plugged_in_again_is_told_again);
  tcase_add_test(all, a_wire_that_never_had_a_tree_gets_none_but_by_a_cable);
  tcase_add_test(all, wires_may_get_a_tree_together);
  tcase_add_test(all, routers_that_the_zone_names_may_speak);
  tcase_add_test(all, who_is_named_may_still_not_hand_out_what_another_zone_has);
  tcase_add_test(all, servers_that_the_zone_names_may_answer);
  tcase_add_test(all, a_client_may_choose_a_server_that_the_zone_names);
  tcase_add_test(all, while_policies_are_exchanged_the_next_one_may_name_a_server);
  tcase_add_test(all, what_is_for_elsewhere_goes_by_the_gateway_or_a_router_of_the_zone);
  tcase_add_test(all, where_the_gateways_MAC_is_not_known_nobody_is_a_second_gateway);
  tcase_add_test(all, what_telephones_hand_out_is_a_way_to_the_Internet);
  tcase_add_test(all, who_answers_for_the_address_of_another_is_told);
  tcase_add_test(all, a_flood_of_machines_costs_memory_already_taken);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
