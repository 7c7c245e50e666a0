/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "proof/space.h"

static struct arena *arena;
static struct space *space;

static void set_up(void) {
  arena = arena_new(0);
  space = space_new(arena);
  ck_assert_ptr_nonnull(space);
}

static void tear_down(void) {
  arena = arena_free(arena);
}

START_TEST(fields_lie_one_after_another_in_their_order) {
  unsigned next = 0;
  for (unsigned field = 0; field < FIELD_COUNT_; field++) {
    unsigned width = space_field_width(field);
    struct diagram_field all = space_field(space, field, 0);
    ck_assert_uint_gt(width, 0);
    ck_assert_uint_eq(all.width, width);
    ck_assert_str_ne(space_field_name(field), "");
    for (unsigned bit = 0; bit < width; bit++, next++) {
      ck_assert_uint_eq(all.variables[bit], next);
      ck_assert_uint_eq(space_field_variable(space, field, bit), next);
    }
  }
  /* then those of classes, the shared ones first; whatever is found in rules comes behind all of them */
  ck_assert_uint_eq(space_class_variable(space, true), next);
  ck_assert_uint_gt(space_class_variable(space, false), next);
  while (space_has_classes(space, 1)) {
    next = space_class_variable(space, false);
    ck_assert_uint_lt(next, space_variable_count(space));
  }
  ck_assert_uint_eq(space_class_variable(space, false), UINT_MAX);
  ck_assert_uint_eq(space_variable_count(space), next + 1);
}
END_TEST

START_TEST(an_ipv4_address_is_the_first_bits_of_its_field) {
  struct diagram_field address = space_field(space, FIELD_SOURCE, 32);
  ck_assert_uint_eq(address.width, 32);
  ck_assert_uint_eq(address.variables[0], space_field_variable(space, FIELD_SOURCE, 0));
}
END_TEST

/* Header bytes as the standards lay them, counted from the start of each header. */
static const struct header_case {
  enum address_family family;
  enum space_base base;
  unsigned byte, bit;
  enum space_field field;
  unsigned field_bit;
} HEADER_CASES[] = {
    {FAMILY_IPV4, BASE_LINK, 6, 0, FIELD_SOURCE_MAC, 0},
    {FAMILY_IPV6, BASE_LINK, 11, 7, FIELD_SOURCE_MAC, 47},
    {FAMILY_IPV4, BASE_NETWORK, 0, 4, FIELD_VERSION_LENGTH, 4},
    {FAMILY_IPV4, BASE_NETWORK, 6, 2, FIELD_FRAGMENT, 2},
    {FAMILY_IPV4, BASE_NETWORK, 7, 7, FIELD_FRAGMENT, 15},
    {FAMILY_IPV4, BASE_NETWORK, 8, 0, FIELD_HOP_LIMIT, 0},
    {FAMILY_IPV4, BASE_NETWORK, 9, 7, FIELD_PROTOCOL, 7},
    {FAMILY_IPV4, BASE_NETWORK, 12, 0, FIELD_SOURCE, 0},
    {FAMILY_IPV4, BASE_NETWORK, 15, 7, FIELD_SOURCE, 31},
    {FAMILY_IPV4, BASE_NETWORK, 16, 0, FIELD_DESTINATION, 0},
    {FAMILY_IPV4, BASE_NETWORK, 19, 7, FIELD_DESTINATION, 31},
    {FAMILY_IPV6, BASE_NETWORK, 6, 0, FIELD_NEXT_HEADER, 0},
    {FAMILY_IPV6, BASE_NETWORK, 7, 3, FIELD_HOP_LIMIT, 3},
    {FAMILY_IPV6, BASE_NETWORK, 8, 0, FIELD_SOURCE, 0},
    {FAMILY_IPV6, BASE_NETWORK, 23, 7, FIELD_SOURCE, 127},
    {FAMILY_IPV6, BASE_NETWORK, 24, 0, FIELD_DESTINATION, 0},
    {FAMILY_IPV6, BASE_NETWORK, 39, 7, FIELD_DESTINATION, 127},
    {FAMILY_IPV4, BASE_TRANSPORT, 0, 0, FIELD_SOURCE_PORT, 0},
    {FAMILY_IPV6, BASE_TRANSPORT, 1, 7, FIELD_SOURCE_PORT, 15},
    {FAMILY_IPV4, BASE_TRANSPORT, 2, 0, FIELD_DESTINATION_PORT, 0},
    {FAMILY_IPV4, BASE_TRANSPORT, 3, 7, FIELD_DESTINATION_PORT, 15},
    {FAMILY_IPV4, BASE_TRANSPORT, 13, 6, FIELD_TCP_FLAGS, 6},
};

START_TEST(header_bytes_are_the_fields_that_lie_there) {
  const struct header_case *one = &HEADER_CASES[_i];
  ck_assert_uint_eq(space_packet_variable(space, one->family, one->base, one->byte, one->bit),
                    space_field_variable(space, one->field, one->field_bit));
}
END_TEST

START_TEST(other_bytes_have_bits_of_their_own) {
  enum space_base base;
  unsigned byte, bit, fields = space_variable_count(space);
  unsigned first = space_packet_variable(space, FAMILY_IPV4, BASE_NETWORK, 1, 3);
  unsigned second = space_packet_variable(space, FAMILY_IPV4, BASE_TRANSPORT, 70000, 3);
  ck_assert_uint_eq(first, fields);
  ck_assert_uint_eq(second, fields + 1);
  ck_assert_uint_eq(space_packet_variable(space, FAMILY_IPV4, BASE_NETWORK, 1, 3), first);
  ck_assert_uint_eq(space_variable_count(space), fields + 2);
  ck_assert(space_packet_bit(space, FAMILY_IPV4, second, &base, &byte, &bit));
  ck_assert_int_eq(base, BASE_TRANSPORT);
  ck_assert_uint_eq(byte, 70000);
  ck_assert_uint_eq(bit, 3);
  ck_assert(!space_packet_bit(space, FAMILY_IPV4, 5, &base, &byte, &bit));
  ck_assert(!space_packet_bit(space, FAMILY_IPV4, fields + 2, &base, &byte, &bit));
  ck_assert_ptr_null(space_unknown(space, first));
}
END_TEST

START_TEST(a_bit_of_one_family_may_be_a_field_of_the_other) {
  enum space_base base;
  unsigned byte, bit, own = space_packet_variable(space, FAMILY_IPV4, BASE_NETWORK, 30, 0);
  ck_assert(space_packet_bit(space, FAMILY_IPV4, own, &base, &byte, &bit));
  ck_assert(!space_packet_bit(space, FAMILY_IPV6, own, &base, &byte, &bit)); /* there it is of the destination */
}
END_TEST

START_TEST(what_is_unknown_is_one_variable_for_each_question) {
  char chain[] = "forward";
  enum space_base base;
  unsigned byte, bit;
  struct unknown one = {UNKNOWN_THROTTLE, "kido", chain, 7, 2, "limit"}, other = one;
  unsigned first = space_unknown_variable(space, &one);
  other.expression = 3;
  unsigned second = space_unknown_variable(space, &other);
  ck_assert_uint_ne(first, second);
  ck_assert_uint_eq(space_unknown_variable(space, &one), first);
  other = one;
  other.what = "quota";
  ck_assert_uint_ne(space_unknown_variable(space, &other), first);
  other = one;
  other.table = "other";
  ck_assert_uint_ne(space_unknown_variable(space, &other), first);
  memset(chain, 'x', 7); /* the caller's text may go */
  ck_assert_str_eq(space_unknown(space, first)->chain, "forward");
  ck_assert_uint_eq(space_unknown(space, second)->expression, 3);
  ck_assert(!space_packet_bit(space, FAMILY_IPV4, first, &base, &byte, &bit));
  ck_assert_ptr_null(space_unknown(space, 0));
}
END_TEST

START_TEST(there_is_an_end_to_variables) {
  unsigned fields = space_variable_count(space), last = 0;
  for (unsigned i = 0; i < DIAGRAM_VARIABLES - fields; i++) {
    last = space_packet_variable(space, FAMILY_IPV4, BASE_NETWORK, 100 + i / 8, i % 8);
    ck_assert_uint_eq(last, fields + i);
  }
  ck_assert_uint_eq(last, DIAGRAM_VARIABLES - 1);
  ck_assert_uint_eq(space_packet_variable(space, FAMILY_IPV4, BASE_NETWORK, 90, 0), UINT_MAX);
  ck_assert_uint_eq(space_packet_variable(space, FAMILY_IPV4, BASE_NETWORK, 100, 1), fields + 1);
}
END_TEST

START_TEST(without_memory_there_is_no_variable) {
  struct arena *small = arena_new(6000);
  struct space *crowded = space_new(small);
  unsigned i = 0, variable = 0;
  ck_assert_ptr_nonnull(crowded);
  while (i < DIAGRAM_VARIABLES && variable != UINT_MAX)
    variable = space_packet_variable(crowded, FAMILY_IPV4, BASE_NETWORK, 100 + i++, 0);
  ck_assert_uint_eq(variable, UINT_MAX);
  ck_assert(arena_failed(small));
  arena_free(small);
}
END_TEST

START_TEST(values_of_an_assignment_can_be_read) {
  uint8_t *bits = calloc(space_variable_count(space), 1), bytes[16];
  for (unsigned field = 0; field < FIELD_COUNT_; field++) /* each ends in ...01, or is 1 */
    bits[space_field_variable(space, field, space_field_width(field) - 1)] = 1;
  for (unsigned field = 0; field < FIELD_COUNT_; field++)
    if (space_field_width(field) <= 64)
      ck_assert_uint_eq(space_number(space, bits, field), 1);
  bits[space_field_variable(space, FIELD_SOURCE, 0)] = 1;
  space_read(space, bits, FIELD_SOURCE, bytes);
  ck_assert_mem_eq(bytes, "\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
  bits[space_field_variable(space, FIELD_SOURCE_MAC, 7)] = 1;
  ck_assert_uint_eq(space_number(space, bits, FIELD_SOURCE_MAC), 0x010000000001);
  free(bits);
}
END_TEST

START_TEST(all_trackings_have_names) {
  for (unsigned tracking = 0; tracking < TRACKING_COUNT_; tracking++)
    ck_assert_str_ne(situation_tracking_name(tracking), "");
  ck_assert_str_eq(situation_tracking_name(TRACKING_OPENS), "opens");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("space");
  TCase *tests = tcase_create("space");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_test(tests, fields_lie_one_after_another_in_their_order);
  tcase_add_test(tests, an_ipv4_address_is_the_first_bits_of_its_field);
  tcase_add_loop_test(tests, header_bytes_are_the_fields_that_lie_there, 0, sizeof HEADER_CASES / sizeof *HEADER_CASES);
  tcase_add_test(tests, other_bytes_have_bits_of_their_own);
  tcase_add_test(tests, a_bit_of_one_family_may_be_a_field_of_the_other);
  tcase_add_test(tests, what_is_unknown_is_one_variable_for_each_question);
  tcase_add_test(tests, there_is_an_end_to_variables);
  tcase_add_test(tests, without_memory_there_is_no_variable);
  tcase_add_test(tests, values_of_an_assignment_can_be_read);
  tcase_add_test(tests, all_trackings_have_names);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
