/* SPDX-License-Identifier: GPL-2.0-or-later */
/* H, J: ICMP between zones, and what must not be hurt. */
#include "acceptance.h"

#include <stdio.h>
#include <string.h>

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

/* Connection tracking finds most of them invalid before they are looked at as ICMP: either reason is true. */
static void assert_never_forwarded(struct lab_probe *probe) {
  uint64_t before = counter("denied.left.right.icmp") + counter("denied.left.right.invalid-state");
  bool passed = passes(probe);
  uint64_t moved = counter("denied.left.right.icmp") + counter("denied.left.right.invalid-state") - before;
  ck_assert_msg(!passed, "ICMP type %u passed", probe->recipe.packet.icmp_type);
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
  probe.recipe.destination_mac = lab_interface(the_lab(), (size_t)probe.interface)->mac;
  ck_assert_int_eq(lab_frame_build(&probe.recipe, &frame), 0);
  ck_assert_int_eq(lab_send(the_lab(), probe.interface, &frame), 0);
  (void)lab_collect(the_lab(), 0, find_bytes, &search);
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

void add_icmp(Suite *suite) {
  TCase *test = add_case(suite, "H J icmp");
  tcase_add_test(test, AC_H4_to_H7_J3_no_icmp_type_passes_without_a_flow);
  tcase_add_test(test, AC_H4_J3_no_other_icmp_type_passes_by_quoting_a_live_connection);
  tcase_add_test(test, AC_H4_J3_types_that_are_never_forwarded_are_counted_between_zones_with_a_flow);
  tcase_add_test(test, icmp_of_the_other_family_is_invalid);
  tcase_add_test(test, AC_J5_tcp_options_and_ecn_pass_untouched);
  tcase_add_test(test, a_zone_that_is_told_so_gets_its_denials_answered_and_others_do_not);
}
