/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A, C: the state of connections. */
#include "acceptance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nf_conntrack_common.h>

START_TEST(the_lawful_packet_of_these_tests_passes) {
  open_town();
  static const enum address_family families[] = {FAMILY_IPV4, FAMILY_IPV6};
  for (size_t i = 0; i < 2; i++) {
    struct lab_probe udp = lawful(families[i], PROTOCOL_UDP), tcp = lawful(families[i], PROTOCOL_TCP);
    ck_assert(passes(&udp));
    ck_assert(passes(&tcp));
    ck_assert_str_eq(lab_interface(the_lab(), (size_t)udp.out)->name, "ens1f2");
  }
  close_town();
}
END_TEST

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
  ck_assert_int_eq(lab_set("net/netfilter/nf_conntrack_udp_timeout", "3"), 0);
  ck_assert_int_eq(lab_set("net/netfilter/nf_conntrack_udp_timeout_stream", "3"), 0);
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
  sleep(5);
  ck_assert(!passes(&good));
  close_town();
}
END_TEST

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

START_TEST(AC_C8_an_error_about_a_connection_passes_only_on_its_zone_pair) {
  open_town();
  struct lab_probe opener = lawful(FAMILY_IPV4, PROTOCOL_UDP);
  ck_assert(passes(&opener));
  struct lab_probe error = error_about(&opener, 3, 1);
  error.recipe.packet.source = address_of("10.140.0.14"); /* somebody in the internet zone claims it */
  error.interface = lab_find_interface(the_lab(), "ens2f0.410");
  error.recipe.source_mac = lab_mac_of(the_policy(), &error.recipe.packet.source);
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

/* ---- A6: the connection table is full ---- */

enum { TABLE_MAX = 600000 };

static long table_size(void) {
  char text[32] = "";
  FILE *stream = fopen("/proc/sys/net/netfilter/nf_conntrack_max", "r");
  if (stream != NULL) {
    (void)!fgets(text, sizeof(text), stream);
    fclose(stream);
  }
  return strtol(text, NULL, 10);
}

/* An entry that the kernel does not give up for another. */
static int add_entry(struct nfct_handle *handle, uint32_t number) {
  struct nf_conntrack *entry = nfct_new();
  ck_assert_ptr_nonnull(entry);
  nfct_set_attr_u8(entry, ATTR_L3PROTO, AF_INET);
  nfct_set_attr_u32(entry, ATTR_IPV4_SRC, htonl(0x0b000000 + number));
  nfct_set_attr_u32(entry, ATTR_IPV4_DST, htonl(0x0c000001));
  nfct_set_attr_u8(entry, ATTR_L4PROTO, IPPROTO_UDP);
  nfct_set_attr_u16(entry, ATTR_PORT_SRC, htons(1000));
  nfct_set_attr_u16(entry, ATTR_PORT_DST, htons(53));
  nfct_setobjopt(entry, NFCT_SOPT_SETUP_REPLY);
  nfct_set_attr_u32(entry, ATTR_STATUS, IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED);
  nfct_set_attr_u32(entry, ATTR_TIMEOUT, 600);
  int result = nfct_query(handle, NFCT_Q_CREATE, entry) < 0 ? -errno : 0;
  nfct_destroy(entry);
  return result;
}

static void fill_table(long size) {
  struct nfct_handle *handle = nfct_open(CONNTRACK, 0);
  uint32_t number = 0;
  ck_assert_ptr_nonnull(handle);
  while (number < TABLE_MAX && add_entry(handle, number) == 0)
    number++;
  nfct_close(handle);
  ck_assert_msg(number > size / 2 && number < TABLE_MAX, "%u entries fit", number);
}

START_TEST(AC_A6_a_full_connection_table_opens_nothing_and_ends_nothing) {
  long size = table_size();
  if (size <= 0 || size >= TABLE_MAX) {
    printf("not tried: a connection table of %ld entries\n", size);
    return;
  }
  open_town();
  struct lab_probe live = lawful(FAMILY_IPV4, PROTOCOL_UDP), fresh = lawful(FAMILY_IPV4, PROTOCOL_UDP);
  struct lab_probe denied = lawful(FAMILY_IPV4, PROTOCOL_UDP), middle = lawful(FAMILY_IPV4, PROTOCOL_TCP);
  ck_assert(passes(&live));
  struct lab_probe answer = later(&live, false, 0, 0, 0);
  ck_assert(passes(&answer));
  struct lab_probe established = shake_hands(FAMILY_IPV4);
  denied.recipe.packet.destination_port = 54;
  middle.recipe.packet.tcp_flags = TCP_ACK;
  fill_table(size);
  ck_assert_msg(!passes(&fresh), "a new connection that nobody tracks");
  ck_assert_msg(!passes(&denied), "a packet that no flow covers");
  ck_assert_msg(!passes(&middle), "an ACK out of nowhere");
  struct lab_probe more = later(&established, true, TCP_ACK, OPENER_SEQUENCE + 17, ANSWER_SEQUENCE + 17);
  ck_assert_msg(passes(&more), "an established connection goes on");
  ck_assert_int_eq(lab_forget_connections(the_lab()), 0);
  ck_assert_msg(passes(&fresh), "with room again a new one opens");
  close_town();
}
END_TEST

void add_state(Suite *suite) {
  TCase *test = add_case(suite, "C state");
  tcase_add_test(test, AC_A6_a_full_connection_table_opens_nothing_and_ends_nothing);
  tcase_add_test(test, the_lawful_packet_of_these_tests_passes);
  tcase_add_test(test, AC_C1_tcp_with_nonsense_flags_opens_nothing);
  tcase_add_test(test, AC_C2_an_established_connection_takes_no_packet_that_differs_in_one_attribute);
  tcase_add_test(test, AC_C4_after_its_timeout_a_tcp_connection_passes_no_more);
  tcase_add_test(test, AC_C5_udp_answers_pass_only_to_the_question_and_only_for_a_time);
  tcase_add_test(test, AC_C6_J4_H2_echo_passes_only_by_a_flow_and_a_reply_only_to_its_request);
  tcase_add_test(test, AC_C7_a_packet_from_the_middle_of_a_connection_opens_nothing);
  tcase_add_test(test, AC_C8_H1_H3_J1_J2_errors_pass_only_about_a_connection_in_force);
  tcase_add_test(test, AC_C8_an_error_about_a_connection_passes_only_on_its_zone_pair);
  tcase_add_test(test, AC_C9_an_error_ends_no_connection);
}
