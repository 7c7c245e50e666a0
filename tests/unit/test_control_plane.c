/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What machines say about themselves: the decoders of wire/control.h. */
#include <check.h>
#include <pcap/dlt.h>
#include <stdlib.h>
#include <string.h>

#include "hex.h"
#include "wire/control.h"

enum { FRAME_MOST = 1024 };

/* Hexadecimal; (N) stands for N bytes of zero. */
#define LLDP_HEAD "0180c200000e 020000000011 88cc 0207 04020000000003 0409 0567652d302f302f31 0602 0078"

static const struct {
  const char *name, *text;
} frames[] = {
    {"discover",
     "ffffffffffff 020000000011 0800 4500013e 00000000 401179b0 00000000 ffffffff 00440043 012a0000 01 0106 00 00001234"
     "0000 0000 00000000 00000000 00000000 00000000 020000000011 (10) (192) 63825363 350101 32040a090807"
     "0c11 50432d3034322e746f776e2e6c6f63616c 3d13 ff00000001 000100016162636445464748494a ff"},
    {"request",
     "ffffffffffff 020000000011 0800 4500011c 00000000 401179d2 00000000 ffffffff 00440043 01080000 01 0106 00 00001234"
     "0000 0000 00000000 00000000 00000000 00000000 020000000011 (10) (192) 63825363 350103 32040a090807 36040a090801"
     "ff"},
    {"offer",
     "ffffffffffff 0200000000aa 0800 4500011c 00000000 40118e28 c0a82b01 ffffffff 00430044 01080000 02 0106 00 00001234"
     "0000 0000 00000000 c0a82b11 00000000 00000000 020000000011 (10) (192) 63825363 350102 3604c0a82b01 0304c0a82b01"
     "ff"},
    {"solicit", "333300010002 020000000011 86dd 60000000 002a1101 fe80 (13) 11 ff02 (11) 010002 02220223 002a0000"
                "01 000001 0001000e 000100016162636445464748494a 00270008 0006 50432d303432"},
    {"advertise",
     "333300010002 020000000011 86dd 60000000 000c1101 fe80 (13) aa fe80 (13) 11 02230222 000c0000 02000001"},
    {"router advertisement",
     "333300000001 020000000011 86dd 60000000 00303aff fe80 (13) aa ff02 (13) 01 8600 ad5e 40000708 (8)"
     "03043fc000000e100000070800000000 20010db8000100020000000000000000"},
    {"redirect", "020000000022 020000000011 0800 45000038 00000000 400166c3 0a000001 0a000002 0501f0ea 0a000009"
                 "4500001c 00000000 4011aece 0a000002 c0000201 0001000200080000"},
    {"redirect of IPv6", "020000000022 020000000011 86dd 60000000 00283a40 fe80 (13) 01 fe80 (13) 02 89004abb 00000000"
                         "fe80 (13) 09 20010db8 (11) 01"},
    {"irdp", "01005e000001 020000000011 0800 45000024 00000000 0101cfcf 0a000009 e0000001 0900e4ec 01020708 0a000009"
             "00000000 (10)"},
    {"vrrp", "01005e000012 00005e000107 0800 45000020 00000000 ff70d152 0a000009 e0000012 31076401 00640000 0a000009"},
    {"hsrp", "01005e000002 020000000011 0800 45000030 00000000 401190b2 0a000009 e0000002 07c107c1 001c0000 (20)"},
    {"ospf", "01005e000005 020000000011 0800 4500002c 00000000 0159cf6b 0a000009 e0000005 (24)"},
    {"rip answer",
     "01005e000009 020000000011 0800 45000020 00000000 401190bb 0a000009 e0000009 02080208 000c0000 02020000"},
    {"rip question",
     "01005e000009 020000000011 0800 45000020 00000000 401190bb 0a000009 e0000009 02080208 000c0000 01020000"},
    {"stp", "0180c2000000 020000000011 0027 424203 00000202 3c 8000020000000001 00000000 8000020000000002 8001"
            "0000140002000f0000"},
    {"stp of a vlan", "01000ccccccd 020000000011 002c aaaa03 00000c 010b 00000202 3c 8000020000000001 00000000"
                      "8000020000000002 8001 0000140002000f0000"},
    {"topology change", "0180c2000000 020000000011 0007 424203 00000080 (39)"},
    {"lldp", LLDP_HEAD "0a0b 636f72652e737769746368 0e04 0004 0004 100c 0501 0a010203 020000000100"
                       "1018 1102 fe80 (13) 03 020000000100 0000"},
    {"lldp of a host", LLDP_HEAD "0e04 0080 0080 0000"},
    {"cdp", "01000ccccccc 020000000011 0039 aaaa03 00000c 2000 02b40000 0001000b 73776974636831 0002001a 00000002"
            "0101cc 0004 0a010203 0101cc 0004 0a010204 00040008 00000028"},
    {"name service",
     "ffffffffffff 020000000011 0800 45000020 00000000 40110000 0a000001 0a0000ff 00890089 000c0000 (4)"},
    {"the DHCP port of something else",
     "ffffffffffff 020000000011 0800 45000020 00000000 40110000 0a000001 0a0000ff 00890043 000c0000 (4)"},
};

static bool decode_bytes(const uint8_t *bytes, size_t captured, size_t length, struct control_facts *facts) {
  struct captured_frame whole = {
      .time = 1, .data = bytes, .captured = (uint32_t)captured, .length = (uint32_t)length, .link_type = DLT_EN10MB};
  struct frame frame;
  frame_decode(&whole, &frame);
  return control_decode(&whole, &frame, facts);
}

static struct control_facts decode(const char *name) {
  struct control_facts facts;
  uint8_t bytes[FRAME_MOST];
  for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
    if (strcmp(frames[i].name, name) != 0)
      continue;
    size_t length = hex_read(frames[i].text, bytes, sizeof bytes);
    bool found = decode_bytes(bytes, length, length, &facts);
    ck_assert(found == (facts.kind != CONTROL_NONE));
    return facts;
  }
  ck_abort_msg("no frame %s", name);
  return facts;
}

static void assert_address(const struct address *address, const char *expected) {
  char text[ADDRESS_TEXT_SIZE];
  ck_assert_str_eq(address->family != FAMILY_NONE ? address_format(address, text) : "none", expected);
}

static void assert_mac(const struct mac *mac, const char *expected) {
  char text[MAC_TEXT_SIZE];
  ck_assert_str_eq(mac_format(mac, text), expected);
}

START_TEST(a_client_says_who_it_is_and_what_it_wants) {
  struct control_facts facts = decode("discover");
  ck_assert_int_eq(facts.kind, CONTROL_DHCP);
  ck_assert(!facts.speaks_for_many && facts.has_client);
  ck_assert_uint_eq(facts.message, 1);
  assert_mac(&facts.client, "02:00:00:00:00:11");
  assert_address(&facts.requested, "10.9.8.7");
  assert_address(&facts.server, "none");
  assert_address(&facts.offered, "none");
  ck_assert_str_eq(facts.name, "pc-042.town.local");
  ck_assert_uint_eq(facts.identity_length, 14);
  facts = decode("request");
  ck_assert_uint_eq(facts.message, 3);
  assert_address(&facts.server, "10.9.8.1");
}
END_TEST

START_TEST(a_server_says_what_it_gives) {
  struct control_facts facts = decode("offer");
  ck_assert(facts.kind == CONTROL_DHCP && facts.speaks_for_many);
  assert_address(&facts.offered, "192.168.43.17");
  assert_address(&facts.server, "192.168.43.1");
  assert_address(&facts.router, "192.168.43.1");
}
END_TEST

START_TEST(DHCP_of_IPv6_tells_clients_from_servers) {
  struct control_facts facts = decode("solicit");
  ck_assert(facts.kind == CONTROL_DHCPV6 && !facts.speaks_for_many);
  ck_assert_str_eq(facts.name, "pc-042");
  ck_assert_uint_eq(facts.identity_length, 14);
  ck_assert_mem_eq(facts.identity, decode("discover").identity, 14); /* the same machine */
  facts = decode("advertise");
  ck_assert(facts.kind == CONTROL_DHCPV6 && facts.speaks_for_many);
}
END_TEST

START_TEST(a_router_advertisement_names_its_prefixes) {
  struct control_facts facts = decode("router advertisement");
  ck_assert(facts.kind == CONTROL_ROUTER_ADVERT && facts.speaks_for_many);
  ck_assert_uint_eq(facts.lifetime, 1800);
  ck_assert_uint_eq(facts.prefix_count, 1);
  char text[RANGE_TEXT_SIZE];
  ck_assert_str_eq(range_format(&facts.prefixes[0], text), "2001:db8:1:2::/63");
}
END_TEST

START_TEST(routers_of_every_dialect_are_recognised) {
  static const struct {
    const char *name, *protocol;
    enum control_kind kind;
    bool speaks;
  } cases[] = {{"redirect", "redirect", CONTROL_REDIRECT, true},
               {"redirect of IPv6", "redirect", CONTROL_REDIRECT, true},
               {"irdp", "irdp", CONTROL_IRDP, true},
               {"vrrp", "vrrp", CONTROL_REDUNDANCY, true},
               {"hsrp", "hsrp", CONTROL_REDUNDANCY, true},
               {"ospf", "ospf", CONTROL_ROUTING, true},
               {"rip answer", "rip", CONTROL_ROUTING, true},
               {"rip question", "rip", CONTROL_ROUTING, false}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct control_facts facts = decode(cases[i].name);
    ck_assert_int_eq(facts.kind, cases[i].kind);
    ck_assert_str_eq(facts.protocol, cases[i].protocol);
    ck_assert(facts.speaks_for_many == cases[i].speaks);
  }
  struct control_facts facts = decode("redirect");
  assert_address(&facts.router, "10.0.0.9");
  facts = decode("redirect of IPv6");
  assert_address(&facts.router, "fe80::9");
}
END_TEST

START_TEST(spanning_tree_names_root_and_bridge) {
  static const char *const names[] = {"stp", "stp of a vlan"};
  struct control_facts facts = decode(names[_i]);
  ck_assert(facts.kind == CONTROL_STP && facts.has_root && facts.has_bridge);
  assert_mac(&facts.root, "02:00:00:00:00:01");
  assert_mac(&facts.bridge, "02:00:00:00:00:02");
  facts = decode("topology change");
  ck_assert(facts.kind == CONTROL_STP && !facts.has_root && !facts.has_bridge);
}
END_TEST

START_TEST(LLDP_and_CDP_name_a_system) {
  struct control_facts facts = decode("lldp");
  ck_assert(facts.kind == CONTROL_LLDP && facts.has_bridge && facts.has_capabilities && facts.forwards);
  assert_mac(&facts.bridge, "02:00:00:00:00:03");
  ck_assert_str_eq(facts.name, "core.switch");
  ck_assert_uint_eq(facts.address_count, 2);
  assert_address(&facts.addresses[0], "10.1.2.3");
  assert_address(&facts.addresses[1], "fe80::3");
  facts = decode("lldp of a host");
  ck_assert(facts.has_capabilities && !facts.forwards);
  facts = decode("cdp");
  ck_assert(facts.kind == CONTROL_CDP && facts.forwards);
  ck_assert_uint_eq(facts.address_count, 2);
  assert_address(&facts.addresses[1], "10.1.2.4");
  ck_assert_str_eq(facts.name, "switch1");
}
END_TEST

START_TEST(other_frames_say_nothing) {
  ck_assert_int_eq(decode("name service").kind, CONTROL_NONE);
  ck_assert_int_eq(decode("the DHCP port of something else").kind, CONTROL_NONE);
}
END_TEST

static void assert_sane(const struct control_facts *facts) {
  ck_assert_ptr_nonnull(memchr(facts->name, '\0', sizeof facts->name));
  for (const char *at = facts->name; *at != '\0'; at++)
    ck_assert(*at > ' ' && *at < 0x7f && !(*at >= 'A' && *at <= 'Z'));
  ck_assert_uint_le(facts->identity_length, CONTROL_IDENTITY_SIZE);
  ck_assert_uint_le(facts->prefix_count, CONTROL_PREFIXES);
  ck_assert_uint_le(facts->address_count, CONTROL_ADDRESSES);
  ck_assert(facts->kind == CONTROL_NONE || facts->protocol != NULL);
}

/* In memory of exactly that size, so that a byte too many is seen. */
static void decode_exactly(const uint8_t *bytes, size_t captured, size_t length) {
  uint8_t *exact = malloc(captured + 1);
  ck_assert_ptr_nonnull(exact);
  uint8_t *end = exact + 1; /* ends where the memory ends */
  memcpy(end, bytes, captured);
  struct control_facts facts;
  decode_bytes(end, captured, length, &facts);
  assert_sane(&facts);
  free(exact);
}

START_TEST(a_frame_may_end_anywhere_and_any_byte_may_lie) {
  uint8_t bytes[FRAME_MOST];
  size_t length = hex_read(frames[_i].text, bytes, sizeof bytes);
  for (size_t captured = 0; captured <= length; captured++) {
    decode_exactly(bytes, captured, length);
    decode_exactly(bytes, captured, captured);
  }
  for (size_t at = 0; at < length; at++) {
    static const uint8_t lies[] = {0x00, 0x01, 0x7f, 0xff};
    uint8_t truth = bytes[at];
    for (size_t i = 0; i < sizeof lies; i++) {
      bytes[at] = lies[i];
      decode_exactly(bytes, length, length);
    }
    bytes[at] = truth;
  }
}
END_TEST

START_TEST(what_was_cut_off_is_missing_and_not_wrong) {
  uint8_t bytes[FRAME_MOST];
  struct control_facts facts;
  size_t length = hex_read(frames[0].text, bytes, sizeof bytes);
  ck_assert(decode_bytes(bytes, 14 + 20 + 8 + 240 + 3, length, &facts));
  ck_assert_uint_eq(facts.message, 1);
  ck_assert_str_eq(facts.name, "");
  assert_address(&facts.requested, "none");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("control plane");
  TCase *all = tcase_create("all");
  tcase_add_test(all, a_client_says_who_it_is_and_what_it_wants);
  tcase_add_test(all, a_server_says_what_it_gives);
  tcase_add_test(all, DHCP_of_IPv6_tells_clients_from_servers);
  tcase_add_test(all, a_router_advertisement_names_its_prefixes);
  tcase_add_test(all, routers_of_every_dialect_are_recognised);
  tcase_add_loop_test(all, spanning_tree_names_root_and_bridge, 0, 2);
  tcase_add_test(all, LLDP_and_CDP_name_a_system);
  tcase_add_test(all, other_frames_say_nothing);
  tcase_add_loop_test(all, a_frame_may_end_anywhere_and_any_byte_may_lie, 0, sizeof frames / sizeof frames[0]);
  tcase_add_test(all, what_was_cut_off_is_missing_and_not_wrong);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
