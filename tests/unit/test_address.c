/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"

static struct address_range range(const char *text) {
  struct address_range result;
  const char *reason = NULL;
  ck_assert_msg(range_parse(text, &result, &reason), "%s: %s", text, reason);
  return result;
}

static struct address address(const char *text) {
  struct address result;
  ck_assert_msg(address_parse(text, &result), "%s", text);
  return result;
}

START_TEST(addresses_print_as_they_were_read) {
  static const char *const texts[] = {"0.0.0.0", "255.255.255.255", "10.1.2.3", "::", "::1", "2001:db8::1", "fe80::"};
  char text[ADDRESS_TEXT_SIZE];
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    struct address parsed = address(texts[i]);
    ck_assert_str_eq(address_format(&parsed, text), texts[i]);
  }
}
END_TEST

START_TEST(loose_addresses_are_refused) {
  static const char *const texts[] = {"",      "10.1.2",    "10.1.2.3.4", "010.1.2.3", "10.1.2.256", " 10.1.2.3",
                                      "[::1]", "fe80::1%e", "10.1.2.3 ",  "::1::",     "0x0a.1.2.3", "12345::"};
  struct address parsed;
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
    ck_assert_msg(!address_parse(texts[i], &parsed), "%s", texts[i]);
}
END_TEST

START_TEST(ranges_print_in_their_shortest_form) {
  static const struct {
    const char *in, *out;
    int prefix, covering;
    uint64_t size;
  } cases[] = {
      {"10.0.0.1", "10.0.0.1", 32, 32, 1},
      {"10.0.0.1/32", "10.0.0.1", 32, 32, 1},
      {"10.0.0.0/24", "10.0.0.0/24", 24, 24, 256},
      {"10.0.0.0-10.0.0.255", "10.0.0.0/24", 24, 24, 256},
      {"10.0.0.1-10.0.0.2", "10.0.0.1-10.0.0.2", -1, 30, 2},
      {"0.0.0.0/0", "0.0.0.0/0", 0, 0, (uint64_t)1 << 32},
      {"::/0", "::/0", 0, 0, UINT64_MAX},
      {"2001:db8::/32", "2001:db8::/32", 32, 32, UINT64_MAX},
      {"2001:db8::/65", "2001:db8::/65", 65, 65, (uint64_t)1 << 63},
      {"2001:db8::/64", "2001:db8::/64", 64, 64, UINT64_MAX},
      {"2001:db8::ffff-2001:db8::1:0", "2001:db8::ffff-2001:db8::1:0", -1, 111, 2},
  };
  char text[RANGE_TEXT_SIZE];
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct address_range parsed = range(cases[i].in);
    ck_assert_str_eq(range_format(&parsed, text), cases[i].out);
    ck_assert_int_eq(range_prefix_length(&parsed), cases[i].prefix);
    ck_assert_int_eq(range_covering_prefix_length(&parsed), cases[i].covering);
    ck_assert_uint_eq(range_size(&parsed), cases[i].size);
  }
}
END_TEST

START_TEST(bad_ranges_say_why) {
  static const struct {
    const char *text, *reason;
  } cases[] = {
      {"10.0.0.1/24", "host bits are set behind the prefix"},
      {"10.0.0.0/33", "the prefix length is not a number in range"},
      {"10.0.0.0/", "the prefix length is not a number in range"},
      {"10.0.0.0/08", "the prefix length is not a number in range"},
      {"10.0.0.0/+8", "the prefix length is not a number in range"},
      {"10.0.0.9-10.0.0.1", "the range ends before it begins"},
      {"10.0.0.9-::1", "the range mixes IPv4 and IPv6"},
      {"10.0.0.0/8/8", "the prefix length is not a number in range"},
      {"town", "not an IP address"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct address_range parsed;
    const char *reason = "";
    ck_assert_msg(!range_parse(cases[i].text, &parsed, &reason), "%s", cases[i].text);
    ck_assert_str_eq(reason, cases[i].reason);
  }
  struct address_range parsed;
  const char *reason = NULL;
  ck_assert(!range_parse_prefix("10.0.0.1-10.0.0.2", &parsed, &reason));
}
END_TEST

START_TEST(neighbours_end_at_the_edge_of_the_family) {
  struct address low = address("0.0.0.0"), high = address("255.255.255.255"), next;
  struct address carry = address("10.0.0.255"), last6 = address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  char text[ADDRESS_TEXT_SIZE];
  ck_assert(!address_previous(&low, &next));
  ck_assert(!address_next(&high, &next));
  ck_assert(!address_next(&last6, &next));
  ck_assert(address_next(&carry, &next));
  ck_assert_str_eq(address_format(&next, text), "10.0.1.0");
}
END_TEST

START_TEST(broadcast_is_that_of_prefixes_up_to_30) {
  struct address_range with = range("10.0.0.0/30"), without = range("10.0.0.0/31"), span = range("10.0.0.1-10.0.0.9");
  struct address_range six = range("2001:db8::/64");
  struct address broadcast;
  char text[ADDRESS_TEXT_SIZE];
  ck_assert(range_broadcast(&with, &broadcast));
  ck_assert_str_eq(address_format(&broadcast, text), "10.0.0.3");
  ck_assert(!range_broadcast(&without, &broadcast));
  ck_assert(!range_broadcast(&span, &broadcast));
  ck_assert(!range_broadcast(&six, &broadcast));
}
END_TEST

START_TEST(sets_join_what_touches_and_keep_families_apart) {
  struct arena *arena = arena_new(0);
  struct address_range input[] = {range("::/127"),    range("10.0.1.0/24"), range("10.0.0.0/24"),
                                  range("10.0.0.7"),  range("10.0.3.0/24"), range("255.255.255.255"),
                                  range("0.0.0.0/32")};
  struct address_set set;
  char text[RANGE_TEXT_SIZE];
  ck_assert_int_eq(address_set_build(arena, input, 7, &set), 0);
  ck_assert_uint_eq(set.count, 5);
  ck_assert_str_eq(range_format(&set.ranges[1], text), "10.0.0.0/23");
  ck_assert_str_eq(range_format(&set.ranges[4], text), "::/127");
  arena_free(arena);
}
END_TEST

/* Sets over 10.0.0.0 to 10.0.0.63 as bit masks: what the operations must agree with. */
static uint64_t random_set(struct arena *arena, struct address_set *ret_set) {
  struct address_range ranges[4];
  uint64_t mask = 0;
  size_t count = (size_t)rand() % 5;
  for (size_t i = 0; i < count; i++) {
    uint32_t first = (uint32_t)rand() % 64, last = first + (uint32_t)rand() % (64 - first);
    ranges[i] = (struct address_range){address_from_ipv4(0x0a000000 + first), address_from_ipv4(0x0a000000 + last)};
    for (uint32_t j = first; j <= last; j++)
      mask |= (uint64_t)1 << j;
  }
  ck_assert_int_eq(address_set_build(arena, ranges, count, ret_set), 0);
  return mask;
}

static void assert_set_is(const struct address_set *set, uint64_t mask) {
  for (uint32_t i = 0; i < 64; i++) {
    struct address one = address_from_ipv4(0x0a000000 + i);
    ck_assert_int_eq(address_set_contains(set, &one), (mask >> i & 1) != 0);
  }
  for (size_t i = 1; i < set->count; i++) {
    struct address behind;
    ck_assert(address_next(&set->ranges[i - 1].last, &behind));
    ck_assert_int_lt(address_compare(&behind, &set->ranges[i].first), 0);
  }
}

START_TEST(set_operations_agree_with_bit_masks) {
  srand(1);
  for (int round = 0; round < 2000; round++) {
    struct arena *arena = arena_new(0);
    struct address_set left, right, result;
    uint64_t left_mask = random_set(arena, &left), right_mask = random_set(arena, &right);
    assert_set_is(&left, left_mask);
    ck_assert_int_eq(address_set_union(arena, &left, &right, &result), 0);
    assert_set_is(&result, left_mask | right_mask);
    ck_assert_int_eq(address_set_intersect(arena, &left, &right, &result), 0);
    assert_set_is(&result, left_mask & right_mask);
    ck_assert_int_eq(address_set_overlaps(&left, &right), (left_mask & right_mask) != 0);
    ck_assert_int_eq(address_set_subtract(arena, &left, &right, &result), 0);
    assert_set_is(&result, left_mask & ~right_mask);
    arena_free(arena);
  }
}
END_TEST

START_TEST(subtraction_reaches_the_ends_of_a_family) {
  struct arena *arena = arena_new(0);
  struct address_range everything[] = {range("0.0.0.0/0"), range("::/0")};
  struct address_range holes[] = {range("0.0.0.0/8"), range("255.255.255.255"), range("2000::/3")};
  struct address_set left, right, rest;
  char text[RANGE_TEXT_SIZE];
  address_set_build(arena, everything, 2, &left);
  address_set_build(arena, holes, 3, &right);
  ck_assert_int_eq(address_set_subtract(arena, &left, &right, &rest), 0);
  ck_assert_uint_eq(rest.count, 3);
  ck_assert_str_eq(range_format(&rest.ranges[0], text), "1.0.0.0-255.255.255.254");
  ck_assert_str_eq(range_format(&rest.ranges[1], text), "::/3");
  ck_assert_str_eq(range_format(&rest.ranges[2], text), "4000::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  ck_assert_int_eq(address_set_subtract(arena, &left, &left, &rest), 0);
  ck_assert_uint_eq(rest.count, 0);
  arena_free(arena);
}
END_TEST

START_TEST(macs_are_six_pairs_of_hexadecimal_digits) {
  static const char *const bad[] = {
      "", "02:00:5e:10:01:1", "02:00:5e:10:01:1g", "02-00-5e-10-01-11", "02:00:5e:10:01:11 ", "0200:5e:10:01:111"};
  struct mac mac;
  char text[MAC_TEXT_SIZE];
  ck_assert(mac_parse("02:00:5E:10:0a:ff", &mac));
  ck_assert_str_eq(mac_format(&mac, text), "02:00:5e:10:0a:ff");
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    ck_assert_msg(!mac_parse(bad[i], &mac), "%s", bad[i]);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("address");
  TCase *cases = tcase_create("all");
  tcase_add_test(cases, addresses_print_as_they_were_read);
  tcase_add_test(cases, loose_addresses_are_refused);
  tcase_add_test(cases, ranges_print_in_their_shortest_form);
  tcase_add_test(cases, bad_ranges_say_why);
  tcase_add_test(cases, neighbours_end_at_the_edge_of_the_family);
  tcase_add_test(cases, broadcast_is_that_of_prefixes_up_to_30);
  tcase_add_test(cases, sets_join_what_touches_and_keep_families_apart);
  tcase_add_test(cases, set_operations_agree_with_bit_masks);
  tcase_add_test(cases, subtraction_reaches_the_ends_of_a_family);
  tcase_add_test(cases, macs_are_six_pairs_of_hexadecimal_digits);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
