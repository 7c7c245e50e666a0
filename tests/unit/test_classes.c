/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "proof/classes.h"

/* Classes over two small fields against all their points, and over addresses where points cannot be listed. */
enum { WIDTH = 4, SIDE = 1 << WIDTH, MOST = 64 };

static struct arena *arena;
static struct diagram_store *store;
static struct space *space;
static struct classes *classes;
static uint64_t seed;
static const char owners[512];

static void set_up(void) {
  seed = 20261123;
  arena = arena_new(0);
  store = diagram_store_new(0);
  space = space_new(arena);
  classes = classes_new(space, store, arena);
  ck_assert_ptr_nonnull(classes);
}

static void tear_down(void) {
  store = diagram_store_free(store);
  arena = arena_free(arena);
}

static uint32_t random_below(uint32_t limit) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 33) % limit;
}

/* The upper bits of two ports, as fields of four bits. */
static struct class_block *small_block(const void *owner, int protocol) {
  struct class_field fields[] = {{space_field_variable(space, FIELD_DESTINATION_PORT, 0), WIDTH},
                                 {space_field_variable(space, FIELD_SOURCE_PORT, 0), WIDTH}};
  return classes_block(classes, owner, protocol, fields, 2, MOST);
}

static void small_fields(struct diagram_field fields[static 2]) {
  fields[0] = space_field(space, FIELD_DESTINATION_PORT, WIDTH);
  fields[1] = space_field(space, FIELD_SOURCE_PORT, WIDTH);
}

struct small_box {
  uint8_t first[2], last[2];
};

static struct diagram_box box_of(const struct small_box *box) {
  return (struct diagram_box){box->first, box->last, 1};
}

static bool holds(const struct small_box *box, unsigned x, unsigned y) {
  return box->first[0] <= x && x <= box->last[0] && box->first[1] <= y && y <= box->last[1];
}

static bool boxes_overlap(const struct small_box *one, const struct small_box *other) {
  for (unsigned x = 0; x < SIDE; x++)
    for (unsigned y = 0; y < SIDE; y++)
      if (holds(one, x, y) && holds(other, x, y))
        return true;
  return false;
}

static struct small_box random_box(unsigned most) {
  struct small_box box;
  for (unsigned i = 0; i < 2; i++) {
    box.first[i] = (uint8_t)random_below(SIDE);
    unsigned last = box.first[i] + random_below(most);
    box.last[i] = (uint8_t)(last < SIDE ? last : SIDE - 1);
  }
  return box;
}

START_TEST(boxes_are_taken_if_and_only_if_they_are_apart_or_the_same) {
  for (unsigned round = 0; round < 300; round++) {
    struct class_block *block = small_block(&owners[round], CLASS_ANY_PROTOCOL);
    struct small_box kept[MOST];
    size_t count = 0;
    ck_assert_ptr_nonnull(block);
    for (unsigned i = 0; i < 20 && count < MOST; i++) {
      struct small_box box = random_box(4);
      struct diagram_box entered = box_of(&box);
      uint32_t number, before = (uint32_t)class_block_count(block), same = 0;
      bool apart = true;
      for (size_t k = 0; k < count; k++) {
        if (memcmp(&kept[k], &box, sizeof box) == 0)
          same = (uint32_t)k + 1;
        else
          apart = apart && !boxes_overlap(&kept[k], &box);
      }
      ck_assert_int_eq(class_block_enter(block, &entered, 1, &number), apart);
      ck_assert_uint_eq(class_block_count(block), before + (apart && same == 0));
      if (apart)
        ck_assert_uint_eq(number, same != 0 ? same : count + 1);
      if (apart && same == 0)
        kept[count++] = box;
    }
  }
}
END_TEST

/* The points of a match: those of the classes inside, and those of the classes across that lie in the box. */
static bool match_holds(const struct class_match *match, const struct small_box *box, unsigned x, unsigned y) {
  for (size_t i = 0; i < match->inside_count + match->across_count; i++) {
    bool inside = i < match->inside_count;
    struct diagram_box class =
        class_block_box(match->block, inside ? match->inside[i] : match->across[i - match->inside_count]);
    struct small_box own;
    memcpy(own.first, class.first, 2);
    memcpy(own.last, class.last, 2);
    if (holds(&own, x, y) && (inside || holds(box, x, y)))
      return true;
  }
  return false;
}

START_TEST(a_box_is_matched_if_and_only_if_its_points_are_all_there) {
  unsigned matched = 0, missed = 0;
  for (unsigned round = 0; round < 60; round++) {
    struct diagram_field fields[2];
    struct class_block *block = small_block(&owners[round], CLASS_ANY_PROTOCOL);
    bool filled[SIDE][SIDE] = {{false}};
    ck_assert_ptr_nonnull(block);
    small_fields(fields);
    for (unsigned i = 0; i < 400; i++) {
      struct small_box box = random_box(i < 100 ? 5 : 1);
      struct diagram_box entered = box_of(&box);
      uint32_t number;
      if (class_block_enter(block, &entered, 1, &number))
        for (unsigned x = 0; x < SIDE; x++)
          for (unsigned y = 0; y < SIDE; y++)
            filled[x][y] = filled[x][y] || holds(&box, x, y);
    }
    classes_begin(classes);
    ck_assert_ptr_eq(small_block(&owners[round], CLASS_ANY_PROTOCOL), block);
    for (unsigned i = 0; i < 100; i++) {
      struct small_box box = random_box(5);
      struct diagram_box asked = box_of(&box);
      struct class_match match;
      bool full = true, found = classes_match(classes, 6, fields, 2, &asked, arena, &match);
      for (unsigned x = box.first[0]; x <= box.last[0]; x++)
        for (unsigned y = box.first[1]; y <= box.last[1]; y++)
          full = full && filled[x][y];
      ck_assert_int_eq(found, full);
      for (unsigned x = 0; found && x < SIDE; x++)
        for (unsigned y = 0; y < SIDE; y++)
          ck_assert_int_eq(match_holds(&match, &box, x, y), holds(&box, x, y));
      matched += found;
      missed += !found;
    }
  }
  ck_assert_uint_gt(matched, 100);
  ck_assert_uint_gt(missed, 100);
}
END_TEST

START_TEST(what_is_entered_again_is_still_found) {
  struct small_box boxes[MOST];
  struct diagram_box entered[MOST];
  struct diagram_field fields[2];
  uint32_t numbers[MOST];
  struct class_match match;
  struct class_block *block = small_block("chain", 6);
  small_fields(fields);
  for (unsigned i = 0; i < MOST; i++) {
    boxes[i] =
        (struct small_box){{(uint8_t)(i % SIDE), (uint8_t)(i / SIDE)}, {(uint8_t)(i % SIDE), (uint8_t)(i / SIDE)}};
    entered[i] = box_of(&boxes[i]);
  }
  for (unsigned round = 0; round < 5; round++) {
    ck_assert(class_block_enter(block, entered, MOST, numbers));
    ck_assert_uint_eq(class_block_count(block), MOST);
    for (unsigned i = 0; i < MOST; i++) {
      ck_assert(classes_match(classes, 6, fields, 2, &entered[i], arena, &match));
      ck_assert_uint_eq(match.inside_count, 1);
      ck_assert_uint_eq(match.inside[0], numbers[i]);
    }
  }
}
END_TEST

START_TEST(a_gap_of_one_address_in_the_whole_of_version_6_is_seen) {
  struct class_field fields[] = {{space_field_variable(space, FIELD_DESTINATION, 0), 128},
                                 {space_field_variable(space, FIELD_SOURCE, 0), 128}};
  struct diagram_field drawn[] = {space_field(space, FIELD_DESTINATION, 0), space_field(space, FIELD_SOURCE, 0)};
  struct class_block *block = classes_block(classes, classes, 6, fields, 2, 8);
  uint8_t corners[2][2][32] = {{{0}}}, all[2][32] = {{0}};
  memset(all[1], 255, 32);
  memcpy(corners[0][1], all[1], 32);
  memcpy(corners[1][1], all[1], 32);
  corners[0][1][15] = 99; /* destinations up to ...:ff63, the first from 0 */
  corners[1][0][15] = 100;
  memset(corners[1][0], 255, 15);
  struct diagram_box boxes[] = {{corners[0][0], corners[0][1], 1}, {corners[1][0], corners[1][1], 1}};
  struct diagram_box everything = {all[0], all[1], 1};
  uint32_t numbers[2];
  struct class_match match;
  ck_assert(class_block_enter(block, boxes, 2, numbers));
  ck_assert(classes_match(classes, 6, drawn, 2, &everything, arena, &match));
  ck_assert_uint_eq(match.inside_count, 2);

  corners[1][0][15] = 101;
  struct class_block *other = classes_block(classes, "other", 17, fields, 2, 8);
  ck_assert(class_block_enter(other, boxes, 2, numbers));
  ck_assert(!classes_match(classes, 17, drawn, 2, &everything, arena, &match));
}
END_TEST

START_TEST(blocks_of_the_protocol_come_before_those_of_any) {
  struct small_box box = {{1, 1}, {2, 2}};
  struct diagram_box entered = box_of(&box);
  struct diagram_field fields[2];
  struct class_match match;
  uint32_t number;
  struct class_block *tcp = small_block("chain", 6), *any = small_block("chain", CLASS_ANY_PROTOCOL);
  small_fields(fields);
  ck_assert(class_block_enter(tcp, &entered, 1, &number) && class_block_enter(any, &entered, 1, &number));
  ck_assert(classes_match(classes, 6, fields, 2, &entered, arena, &match));
  ck_assert_ptr_eq(match.block, tcp);
  ck_assert(classes_match(classes, 17, fields, 2, &entered, arena, &match));
  ck_assert_ptr_eq(match.block, any);
  classes_begin(classes); /* nobody has asked for them since */
  ck_assert(!classes_match(classes, 6, fields, 2, &entered, arena, &match));
}
END_TEST

START_TEST(a_drawing_has_each_leaf_where_its_class_is) {
  enum { DIGITS = 8, SHARED = 256 }; /* 2 * MOST + 16 numbers; behind the variables that are shared */
  static uint8_t bits[DIAGRAM_VARIABLES];
  struct class_block *block = small_block("chain", 6);
  unsigned first = space_field_variable(space, FIELD_ROUTING_TYPE, 7) + 1 + SHARED;
  uint32_t leaves[MOST];
  for (uint32_t i = 0; i < MOST; i++)
    leaves[i] = i * 7 + 3;
  for (uint32_t count = 1; count < MOST; count++) {
    diagram drawn = class_block_draw(block, leaves, count);
    for (uint32_t number = 0; number < 1 << DIGITS; number++) {
      uint32_t value;
      for (unsigned i = 0; i < DIGITS; i++)
        bits[first + i] = (number >> (DIGITS - 1 - i)) & 1;
      ck_assert(diagram_value(store, drawn, bits, &value));
      ck_assert_uint_eq(value, number < count ? leaves[number] : leaves[0]);
    }
  }
}
END_TEST

struct wanted {
  uint32_t value;
};

static bool is_value(void *context, const uint8_t *bits) {
  const struct wanted *wanted = context;
  for (unsigned i = 0; i < 32; i++)
    if (bits[i] != CLASS_BIT_FREE && bits[i] != ((wanted->value >> (31 - i)) & 1))
      return false;
  return true;
}

START_TEST(points_of_a_field_are_asked_bit_by_bit) {
  struct class_field whole[] = {{space_field_variable(space, FIELD_MARK, 0), 8},
                                {space_field_variable(space, FIELD_MARK, 8), 24}},
                     masked[] = {{space_field_variable(space, FIELD_MARK, 1), 31}};
  struct diagram_field mark = space_field(space, FIELD_MARK, 0);
  struct class_block *all = classes_block(classes, NULL, CLASS_ANY_PROTOCOL, whole, 2, 8),
                     *loose = classes_block(classes, NULL, CLASS_ANY_PROTOCOL, masked, 1, 8);
  uint8_t value[] = {0x12, 0x34, 0x56, 0x78}, other[] = {0x12, 0x34, 0x56, 0x79};
  struct diagram_box boxes[] = {{value, value, 1}, {other, other, 1}}, more[] = {{value, other, 1}};
  uint32_t numbers[2], leaves[3] = {0};
  struct wanted wanted = {0x12345678};
  ck_assert(class_block_enter(all, boxes, 2, numbers));
  leaves[numbers[0]] = 1;
  diagram expected = class_block_draw(all, leaves, 3);
  ck_assert_uint_eq(classes_within(classes, &mark, is_value, &wanted), expected);
  ck_assert(class_block_enter(loose, more, 1, numbers)); /* more than a point: never said to be within */
  ck_assert_uint_eq(classes_within(classes, &mark, is_value, &wanted), expected);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("classes");
  TCase *all = tcase_create("all");
  tcase_set_timeout(all, 60);
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_test(all, boxes_are_taken_if_and_only_if_they_are_apart_or_the_same);
  tcase_add_test(all, a_box_is_matched_if_and_only_if_its_points_are_all_there);
  tcase_add_test(all, what_is_entered_again_is_still_found);
  tcase_add_test(all, a_gap_of_one_address_in_the_whole_of_version_6_is_seen);
  tcase_add_test(all, blocks_of_the_protocol_come_before_those_of_any);
  tcase_add_test(all, a_drawing_has_each_leaf_where_its_class_is);
  tcase_add_test(all, points_of_a_field_are_asked_bit_by_bit);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
