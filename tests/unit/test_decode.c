/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <dirent.h>
#include <pcap/dlt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/capture.h"

/* Frames in hexadecimal, from behind the MAC addresses on; blanks mean nothing. */
#define IP4_UDP "4500001c 00070000 40110000 0a000001 0a000002 03e8 0035 0008 0000"
#define IP4_TCP "45000028 00070000 40060000 0a000001 0a000002 c350 01bb 00000001 00000000 5002 2000 0000 0000"
#define IP6_SOURCE "20010db8000000000000000000000001"
#define IP6_DESTINATION "20010db8000000000000000000000002"

enum { FRAME_MOST = 1024 };

static size_t parse_hex(const char *text, uint8_t *bytes) {
  size_t count = 0;
  for (; *text != '\0'; text++) {
    if (*text == ' ')
      continue;
    char pair[3] = {text[0], text[1], '\0'};
    bytes[count++] = (uint8_t)strtoul(pair, NULL, 16);
    text++;
  }
  return count;
}

static struct captured_frame build(const char *text, uint8_t *bytes) {
  size_t length = parse_hex("02ffffffffff 020000000001", bytes);
  length += parse_hex(text, bytes + length);
  return (struct captured_frame){
      .time = 1, .data = bytes, .captured = (uint32_t)length, .length = (uint32_t)length, .link_type = DLT_EN10MB};
}

static const struct {
  const char *name, *text;
  enum frame_content content;
  enum frame_fault fault;
  uint8_t protocol;
  uint16_t source_port, destination_port;
  unsigned traits;
  unsigned tags;
} frames[] = {
    {"udp", "0800" IP4_UDP, CONTENT_IP, FAULT_NONE, 17, 1000, 53, 0, 0},
    {"tcp", "0800" IP4_TCP, CONTENT_IP, FAULT_NONE, 6, 50000, 443, 0, 0},
    {"padding is not the packet", "0800" IP4_UDP "0000000000000000000000000000", CONTENT_IP, FAULT_NONE, 17, 1000, 53,
     0, 0},
    {"one tag", "8100 006f 0800" IP4_UDP, CONTENT_IP, FAULT_NONE, 17, 1000, 53, 0, 1},
    {"two tags", "88a8 0001 8100 0002 0800" IP4_UDP, CONTENT_IP, FAULT_NONE, 17, 1000, 53, 0, 2},
    {"five tags", "8100 0001 8100 0002 8100 0003 8100 0004 8100 0005 0800" IP4_UDP, CONTENT_OTHER, FAULT_VLAN_TAGS, 0,
     0, 0, 0, 4},
    {"options", "0800 46000020 00000000 40110000 0a000001 0a000002 94040000 03e8 0035 0008 0000", CONTENT_IP,
     FAULT_NONE, 17, 1000, 53, TRAIT_IP_OPTIONS, 0},
    {"first fragment", "0800 45000024 00072000 40110000 0a000001 0a000002 03e8 0035 0100 0000 0102030405060708",
     CONTENT_IP, FAULT_NONE, 17, 1000, 53, TRAIT_FRAGMENT, 0},
    {"later fragment", "0800 4500001c 00070010 40110000 0a000001 0a000002 0102030405060708", CONTENT_IP, FAULT_NONE, 17,
     0, 0, TRAIT_FRAGMENT | TRAIT_NO_PORTS, 0},
    {"fragment of 7 bytes", "0800 4500001b 00072010 40110000 0a000001 0a000002 01020304050607", CONTENT_IP,
     FAULT_FRAGMENT_LENGTH, 17, 0, 0, TRAIT_FRAGMENT | TRAIT_NO_PORTS, 0},
    {"echo request", "0800 4500001c 00000000 40010000 0a000001 0a000002 0800 0000 0001 0001", CONTENT_IP, FAULT_NONE, 1,
     0, 0, 0, 0},
    {"icmp error quotes", "0800 45000038 00000000 40010000 0a000002 0a000001 0303 0000 00000000" IP4_UDP, CONTENT_IP,
     FAULT_NONE, 1, 0, 0, 0, 0},
    {"snap", "0024 aaaa03 000000 0800" IP4_UDP, CONTENT_IP, FAULT_NONE, 17, 1000, 53, 0, 0},
    {"stp", "0026 424203 00000000", CONTENT_CONTROL, FAULT_NONE, 0, 0, 0, 0, 0},
    {"ipx", "0026 e0e003 00000000", CONTENT_OTHER, FAULT_NONE, 0, 0, 0, 0, 0},
    {"cdp", "0026 aaaa03 00000c 2000 01b4", CONTENT_CONTROL, FAULT_NONE, 0, 0, 0, 0, 0},
    {"lldp", "88cc 0207", CONTENT_CONTROL, FAULT_NONE, 0, 0, 0, 0, 0},
    {"mpls", "8847 00001140" IP4_UDP, CONTENT_OTHER, FAULT_NONE, 0, 0, 0, 0, 0},
    {"arp", "0806 0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002", CONTENT_ARP, FAULT_NONE, 0, 0, 0,
     0, 0},
    {"ipv6 udp", "86dd 60000000 0008 11 40" IP6_SOURCE IP6_DESTINATION "03e8 0035 0008 0000", CONTENT_IP, FAULT_NONE,
     17, 1000, 53, 0, 0},
    {"ipv6 hop-by-hop, destination options, udp",
     "86dd 60000000 0018 00 40" IP6_SOURCE IP6_DESTINATION "3c00010400000000 1100010400000000 03e8 0035 0008 0000",
     CONTENT_IP, FAULT_NONE, 17, 1000, 53, TRAIT_HOP_BY_HOP, 0},
    {"ipv6 routing header 0",
     "86dd 60000000 0010 2b 40" IP6_SOURCE IP6_DESTINATION "1100000000000000 03e8 0035 0008 0000", CONTENT_IP,
     FAULT_NONE, 17, 1000, 53, TRAIT_ROUTING_HEADER, 0},
    {"ipv6 later fragment", "86dd 60000000 0010 2c 40" IP6_SOURCE IP6_DESTINATION "1100001000000009 0102030405060708",
     CONTENT_IP, FAULT_NONE, 17, 0, 0, TRAIT_FRAGMENT | TRAIT_NO_PORTS, 0},
    {"ipv6 chain without end",
     "86dd 60000000 0048 3c 40" IP6_SOURCE IP6_DESTINATION "3c00000000000000 3c00000000000000 3c00000000000000 "
     "3c00000000000000 3c00000000000000 3c00000000000000 3c00000000000000 3c00000000000000 3c00000000000000",
     CONTENT_IP, FAULT_EXTENSION_HEADERS, 60, 0, 0, TRAIT_NO_PORTS, 0},
    {"neighbour solicitation",
     "86dd 60000000 0018 3a ff" IP6_SOURCE IP6_DESTINATION "8700 0000 00000000" IP6_DESTINATION, CONTENT_IP, FAULT_NONE,
     58, 0, 0, 0, 0},
    {"version 5", "0800 55000014 00000000 40110000 0a000001 0a000002", CONTENT_UNREADABLE, FAULT_IP_VERSION, 0, 0, 0, 0,
     0},
    {"header of 16 bytes", "0800 44000014 00000000 40110000 0a000001 0a000002", CONTENT_IP, FAULT_IP_HEADER_LENGTH, 17,
     0, 0, TRAIT_NO_PORTS, 0},
    {"longer than the frame", "0800 450000ff 00000000 40110000 0a000001 0a000002 03e8 0035 0008 0000", CONTENT_IP,
     FAULT_IP_LENGTH, 17, 1000, 53, 0, 0},
    {"tcp header of 4 bytes",
     "0800 45000028 00000000 40060000 0a000001 0a000002 c350 01bb 00000001 00000000 1002 2000 0000 0000", CONTENT_IP,
     FAULT_TCP_HEADER_LENGTH, 6, 50000, 443, 0, 0},
    {"udp length", "0800 4500001c 00070000 40110000 0a000001 0a000002 03e8 0035 0003 0000", CONTENT_IP,
     FAULT_UDP_LENGTH, 17, 1000, 53, 0, 0},
    {"sctp", "0800 45000020 00000000 40840000 0a000001 0a000002 03e8 0035 00000000 00000000", CONTENT_IP, FAULT_NONE,
     132, 1000, 53, 0, 0},
    {"gre", "0800 45000018 00000000 402f0000 0a000001 0a000002 00000800", CONTENT_IP, FAULT_NONE, 47, 0, 0, 0, 0},
};

enum { FRAME_COUNT = sizeof frames / sizeof frames[0] };

START_TEST(a_frame_says_what_it_is) {
  uint8_t bytes[FRAME_MOST];
  struct captured_frame captured = build(frames[_i].text, bytes);
  struct frame frame;
  frame_decode(&captured, &frame);
  const char *name = frames[_i].name;
  ck_assert_msg(frame.content == frames[_i].content, "%s: content %d", name, frame.content);
  ck_assert_msg(frame.fault == frames[_i].fault, "%s: fault %s", name, frame_fault_name(frame.fault));
  ck_assert_msg(frame.tag_count == frames[_i].tags, "%s: %u tags", name, frame.tag_count);
  if (frame.content != CONTENT_IP)
    return;
  ck_assert_msg(frame.packet.protocol == frames[_i].protocol, "%s: protocol %u", name, frame.packet.protocol);
  ck_assert_msg(frame.packet.source_port == frames[_i].source_port &&
                    frame.packet.destination_port == frames[_i].destination_port,
                "%s: ports %u %u", name, frame.packet.source_port, frame.packet.destination_port);
  ck_assert_msg(frame.packet.traits == frames[_i].traits, "%s: traits %x", name, frame.packet.traits);
}
END_TEST

/* Copied to the end of a block of exactly that size, so that the sanitizer sees every byte read too far. */
static void decode_cut(const uint8_t *data, uint32_t captured, uint32_t length, int link_type, struct frame *frame) {
  uint8_t *exact = malloc(captured > 0 ? captured : 1);
  ck_assert_ptr_nonnull(exact);
  memcpy(exact, data, captured);
  struct captured_frame cut = {
      .time = 1, .data = exact, .captured = captured, .length = length, .link_type = link_type};
  frame_decode(&cut, frame);
  free(exact);
}

START_TEST(a_frame_cut_anywhere_is_decoded_as_far_as_it_goes) {
  static const int link_types[] = {DLT_EN10MB, DLT_LINUX_SLL, DLT_LINUX_SLL2, DLT_RAW};
  uint8_t bytes[FRAME_MOST];
  struct captured_frame whole = build(frames[_i].text, bytes);
  for (uint32_t size = 0; size <= whole.captured; size++) {
    for (size_t i = 0; i < sizeof link_types / sizeof link_types[0]; i++) {
      struct frame frame;
      decode_cut(bytes, size, size, link_types[i], &frame);         /* the frame itself is short */
      decode_cut(bytes, size, whole.length, link_types[i], &frame); /* the capture is */
      if (link_types[i] == DLT_EN10MB && frames[_i].fault == FAULT_NONE)
        ck_assert_msg(frame.fault == FAULT_NONE, "%s cut to %u: a capture that was cut is no fault (%s)",
                      frames[_i].name, size, frame_fault_name(frame.fault));
    }
  }
}
END_TEST

START_TEST(a_frame_with_any_byte_changed_is_decoded) {
  uint8_t bytes[FRAME_MOST];
  struct captured_frame whole = build(frames[_i].text, bytes);
  static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0x45, 0x60};
  for (uint32_t at = 0; at < whole.captured; at++)
    for (size_t v = 0; v < sizeof values; v++) {
      uint8_t kept = bytes[at];
      struct frame frame;
      bytes[at] = values[v];
      decode_cut(bytes, whole.captured, whole.length, DLT_EN10MB, &frame);
      bytes[at] = kept;
    }
}
END_TEST

START_TEST(an_icmp_error_shows_the_packet_that_it_is_about) {
  uint8_t bytes[FRAME_MOST];
  struct captured_frame captured =
      build("0800 45000038 00000000 40010000 0a000002 0a000001 0303 0000 00000000" IP4_UDP, bytes);
  struct frame frame;
  frame_decode(&captured, &frame);
  ck_assert(frame.has_quoted);
  ck_assert_int_eq(frame.quoted.source.bytes[3], 1);
  ck_assert_uint_eq(frame.quoted.destination_port, 53);
  ck_assert_uint_eq(frame.packet.icmp_type, 3);
}
END_TEST

START_TEST(an_arp_frame_shows_both_claims) {
  uint8_t bytes[FRAME_MOST];
  struct captured_frame captured =
      build("0806 0001 0800 06 04 0002 020000000001 0a000001 020000000009 0a000002", bytes);
  struct frame frame;
  frame_decode(&captured, &frame);
  ck_assert_uint_eq(frame.arp.operation, 2);
  ck_assert_int_eq(frame.arp.sender.bytes[3], 1);
  ck_assert_int_eq(frame.arp.target.bytes[3], 2);
  ck_assert_int_eq(frame.arp.target_mac.bytes[5], 9);
}
END_TEST

/* Every frame of every capture of the tests, cut at every length up to the snap length. */
START_TEST(every_prefix_of_every_captured_frame_is_decoded) {
  DIR *directory = opendir(KIDO_SOURCE_DIRECTORY "/tests/pcap/lawful-day");
  ck_assert_ptr_nonnull(directory);
  struct dirent *entry;
  size_t seen = 0;
  while ((entry = readdir(directory)) != NULL) {
    char path[512];
    struct capture *capture = NULL;
    struct error error = {0};
    snprintf(path, sizeof path, KIDO_SOURCE_DIRECTORY "/tests/pcap/lawful-day/%s", entry->d_name);
    if (strstr(entry->d_name, ".pcap") == NULL)
      continue;
    ck_assert_msg(capture_open_file(path, &capture, &error) == 0, "%s", error.message);
    struct captured_frame captured;
    for (int i = 0; i < 60 && capture_next(capture, &captured, &error) == CAPTURE_FRAME; i++, seen++)
      for (uint32_t size = 0; size <= captured.captured && size < 200; size++) {
        struct frame frame;
        decode_cut(captured.data, size, captured.length, captured.link_type, &frame);
        ck_assert_msg(frame.fault == FAULT_NONE, "%s frame %d cut to %u: %s", path, i, size,
                      frame_fault_name(frame.fault));
      }
    capture_close(capture);
  }
  closedir(directory);
  ck_assert_uint_gt(seen, 200);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("decode");
  TCase *all = tcase_create("all");
  tcase_set_timeout(all, 60);
  tcase_add_loop_test(all, a_frame_says_what_it_is, 0, FRAME_COUNT);
  tcase_add_loop_test(all, a_frame_cut_anywhere_is_decoded_as_far_as_it_goes, 0, FRAME_COUNT);
  tcase_add_loop_test(all, a_frame_with_any_byte_changed_is_decoded, 0, FRAME_COUNT);
  tcase_add_test(all, an_icmp_error_shows_the_packet_that_it_is_about);
  tcase_add_test(all, an_arp_frame_shows_both_claims);
  tcase_add_test(all, every_prefix_of_every_captured_frame_is_decoded);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
