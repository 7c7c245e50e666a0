/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of a frame may be kept as evidence: headers, and no byte of what they carry. */
#include <check.h>
#include <pcap/dlt.h>
#include <stdlib.h>
#include <string.h>

#include "wire/headers.h"

enum { ROOM = 512, TAIL = 64 };

/* Frames as hexadecimal; '|' stands where headers end and what they carry begins. */
#define MACS "0200000000a1 020000000009 "
#define IPV4(length, fragment, protocol) "45 00 " length " 0001 " fragment " 40 " protocol " 0000 0a010009 0a020009 "
#define IPV6(length, next)                                                                                             \
  "60000000 " length " " next " 40 fd000000000000000000000000000001 fd000000000000000000000000000002 "
#define TCP20 "9c40 01bb 00000001 00000000 5018 ffff 0000 0000 "
#define TCP24 "9c40 01bb 00000001 00000000 6018 ffff 0000 0000 01010101 "
#define UDP "9c40 0035 0014 0000 "

static const struct example {
  const char *what;
  int link_type;
  const char *bytes;
} EXAMPLES[] = {
    {"TCP", DLT_EN10MB, MACS "0800 " IPV4("0040", "0000", "06") TCP20 "| 73656372657473656372657473656372"},
    {"TCP with options", DLT_EN10MB, MACS "0800 " IPV4("0040", "0000", "06") TCP24 "| 736563726574"},
    {"UDP", DLT_EN10MB, MACS "0800 " IPV4("0028", "0000", "11") UDP "| 736563726574736563726574"},
    {"in a VLAN", DLT_EN10MB, MACS "8100 000a 0800 " IPV4("0028", "0000", "11") UDP "| 7365637265747365"},
    {"in two VLANs", DLT_EN10MB, MACS "88a8 000a 8100 000b 0800 " IPV4("0028", "0000", "11") UDP "| 73656372"},
    {"an echo", DLT_EN10MB, MACS "0800 " IPV4("0028", "0000", "01") "0800 0000 0001 0001 | 736563726574736563726574"},
    {"an ICMP error, with the headers that it quotes", DLT_EN10MB,
     MACS "0800 " IPV4("0060", "0000", "01") "0301 0000 00000000 " IPV4("0028", "0000", "11") UDP "| 736563726574"},
    {"a later fragment", DLT_EN10MB, MACS "0800 " IPV4("0040", "0010", "11") "| 736563726574736563726574736563"},
    {"padding is none", DLT_EN10MB, MACS "0800 " IPV4("001c", "0000", "11") UDP "| 000000000000"},
    {"IPv6", DLT_EN10MB, MACS "86dd " IPV6("0018", "06") TCP20 "| 73656372"},
    {"IPv6 with an extension", DLT_EN10MB, MACS "86dd " IPV6("0020", "00") "11000502 00000100 " UDP "| 73656372"},
    {"a later fragment of IPv6", DLT_EN10MB, MACS "86dd " IPV6("0020", "2c") "11000010 00000001 | 736563726574"},
    {"a neighbour", DLT_EN10MB,
     MACS "86dd " IPV6("0018", "3a") "8700 0000 00000000 fd000000000000000000000000000002 |"},
    {"IP in IP", DLT_EN10MB, MACS "0800 " IPV4("0050", "0000", "04") IPV4("0028", "0000", "11") UDP "| 736563726574"},
    {"GRE with a key", DLT_EN10MB,
     MACS "0800 " IPV4("0060", "0000", "2f") "2000 0800 00000007 " IPV4("0028", "0000", "11") UDP "| 736563726574"},
    {"an unknown protocol of IP", DLT_EN10MB, MACS "0800 " IPV4("0040", "0000", "63") "| 736563726574"},
    {"ARP", DLT_EN10MB, MACS "0806 0001 0800 06 04 0001 020000000009 0a010009 000000000000 0a010001 | 000000000000"},
    {"LLDP", DLT_EN10MB, MACS "88cc 0207040200000000090403 |"},
    {"spanning tree", DLT_EN10MB, MACS "0007 42 42 03 00000000 | 736563"},
    {"NetBEUI", DLT_EN10MB, MACS "0010 f0 f0 03 | 736563726574736563726574"},
    {"IPX", DLT_EN10MB, MACS "8137 | 736563726574736563726574"},
    {"raw IP", DLT_RAW, IPV4("0028", "0000", "11") UDP "| 736563726574"},
    {"cooked", DLT_LINUX_SLL, "0000 0001 0006 020000000009 0000 0800 " IPV4("0028", "0000", "11") UDP "| 7365"},
    {"cooked, newer", DLT_LINUX_SLL2,
     "0800 0000 00000002 0001 00 06 020000000009 0000 " IPV4("0028", "0000", "11") UDP "| 7365"},
    {"a link that is not known", DLT_PPP, "| ff030021736563726574"},
};

static unsigned digit(char text) {
  return text <= '9' ? (unsigned)(text - '0') : (unsigned)(text - 'a' + 10);
}

/* *ret_headers: where the bar stood. */
static size_t read_bytes(const char *text, uint8_t bytes[static ROOM], size_t *ret_headers) {
  size_t size = 0;
  while (*text != '\0') {
    if (*text == '|')
      *ret_headers = size;
    if (*text == '|' || *text == ' ') {
      text++;
      continue;
    }
    bytes[size++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
    text += 2;
  }
  return size;
}

static uint32_t headers_of(const uint8_t *bytes, size_t size, int link_type) {
  struct captured_frame captured = {
      .data = bytes, .captured = (uint32_t)size, .length = (uint32_t)size, .link_type = link_type};
  return frame_headers_size(&captured);
}

START_TEST(headers_are_taken_and_nothing_that_they_carry) {
  uint8_t bytes[ROOM];
  size_t headers = 0, size = read_bytes(EXAMPLES[_i].bytes, bytes, &headers);
  ck_assert_msg(headers_of(bytes, size, EXAMPLES[_i].link_type) == headers, "%s: %u instead of %zu", EXAMPLES[_i].what,
                headers_of(bytes, size, EXAMPLES[_i].link_type), headers);
}
END_TEST

/* A copy of exactly that size: an instrumented build sees each byte that is read behind it. */
START_TEST(a_frame_that_was_cut_short_gives_no_more_than_it_has) {
  uint8_t bytes[ROOM];
  size_t headers = 0, size = read_bytes(EXAMPLES[_i].bytes, bytes, &headers);
  for (size_t cut = 0; cut < size; cut++) {
    uint8_t *exact = malloc(cut + 1);
    memcpy(exact, bytes, cut);
    exact = realloc(exact, cut > 0 ? cut : 1);
    uint32_t taken = headers_of(exact, cut, EXAMPLES[_i].link_type);
    ck_assert_msg(taken <= cut && taken <= headers, "%s, %zu bytes of it", EXAMPLES[_i].what, cut);
    free(exact);
  }
}
END_TEST

START_TEST(headers_without_end_have_one) {
  uint8_t bytes[ROOM];
  size_t headers;
  size_t size = read_bytes(MACS "0800 ", bytes, &headers);
  for (; size + 20 <= ROOM; size += 20)
    read_bytes(IPV4("0200", "0000", "04"), bytes + size, &headers);
  ck_assert_uint_le(headers_of(bytes, size, DLT_EN10MB), FRAME_HEADERS_MOST);
  memset(bytes, 0xff, sizeof bytes);
  ck_assert_uint_le(headers_of(bytes, sizeof bytes, DLT_RAW), FRAME_HEADERS_MOST);
}
END_TEST

int main(void) {
  enum { COUNT = sizeof EXAMPLES / sizeof EXAMPLES[0] };
  Suite *suite = suite_create("headers");
  TCase *all = tcase_create("headers");
  tcase_add_loop_test(all, headers_are_taken_and_nothing_that_they_carry, 0, COUNT);
  tcase_add_loop_test(all, a_frame_that_was_cut_short_gives_no_more_than_it_has, 0, COUNT);
  tcase_add_test(all, headers_without_end_have_one);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
