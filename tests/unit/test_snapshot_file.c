/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proof/snapshot.h"

static struct arena *arena;
static struct error error;
static uint8_t messages[] = {1, 2, 3, 4, 0, '\n', 255, 8};
static const struct snapshot sample = {
    .generation = 4711,
    .taken_at = 1795489200123,
    .network_namespace = 4026531840,
    .boot = "9b0a2c5e-0000-4000-8000-123456789abc",
    .messages = messages,
    .length = sizeof(messages),
};

static void begin(void) {
  arena = arena_new(0);
}

static void end(void) {
  arena_free(arena);
}

static char *write_sample(const struct snapshot *snapshot, size_t *ret_length) {
  const uint8_t *bytes = NULL;
  ck_assert_int_eq(snapshot_write(snapshot, arena, &bytes, ret_length), 0);
  char *copy = arena_alloc(arena, *ret_length + 1);
  memcpy(copy, bytes, *ret_length);
  return copy;
}

static int parse(const char *bytes, size_t length, struct snapshot *ret_snapshot) {
  uint8_t *exact = malloc(length + 1); /* so that a read behind the end is seen */
  memcpy(exact, bytes, length);
  int status = snapshot_parse(exact, length, arena, ret_snapshot, &error);
  free(exact);
  return status;
}

static void check_same(const struct snapshot *wanted) {
  size_t length;
  const char *bytes = write_sample(wanted, &length);
  struct snapshot found = {0};
  ck_assert_msg(parse(bytes, length, &found) == 0, "%s", error.message);
  ck_assert_uint_eq(found.generation, wanted->generation);
  ck_assert_int_eq(found.taken_at, wanted->taken_at);
  ck_assert_uint_eq(found.network_namespace, wanted->network_namespace);
  ck_assert_str_eq(found.boot, wanted->boot);
  ck_assert_uint_eq(found.length, wanted->length);
  ck_assert_int_eq(memcmp(found.messages, messages, wanted->length), 0);
}

START_TEST(what_is_written_is_read_again) {
  check_same(&sample);
  struct snapshot empty = {.generation = UINT32_MAX, .network_namespace = UINT64_MAX};
  check_same(&empty);
}
END_TEST

START_TEST(a_file_that_was_cut_is_refused_at_every_length) {
  size_t length;
  const char *bytes = write_sample(&sample, &length);
  struct snapshot found;
  for (size_t cut = 0; cut < length; cut++) {
    ck_assert_int_eq(parse(bytes, cut, &found), -EBADMSG);
  }
  char *longer = arena_alloc(arena, length + 1);
  memcpy(longer, bytes, length);
  ck_assert_int_eq(parse(longer, length + 1, &found), -EBADMSG);
}
END_TEST

/* Every byte counts: digits of times may be others, all else may not. */
START_TEST(a_file_that_was_changed_is_refused_at_every_byte_but_those_of_its_numbers) {
  size_t length;
  char *bytes = write_sample(&sample, &length);
  struct snapshot found = {0};
  const char *numbers = strstr(bytes, "generation "), *digest = strstr(bytes, "sha256 ");
  for (size_t i = 0; i < length; i++) {
    if (bytes + i >= numbers && bytes + i < digest) {
      continue;
    }
    bytes[i] ^= 1;
    ck_assert_msg(parse(bytes, length, &found) == -EBADMSG, "byte %zu", i);
    bytes[i] ^= 1;
  }
  ck_assert_int_eq(parse(bytes, length, &found), 0);
}
END_TEST

static const struct {
  const char *from, *to, *message;
} changes[] = {
    {"kido-ruleset/1", "kido-ruleset/2", "no recorded ruleset"},
    {"byte-order ", "byte-order x", "'byte-order"},
    {"generation 4711", "generation 04711", "'generation '"},
    {"generation 4711", "generation 4294967296", "'generation '"},
    {"generation 4711", "generation -1", "'generation '"},
    {"generation 4711\n", "", "'generation '"},
    {"taken-at 1795489200123", "taken-at 9223372036854775808", "'taken-at '"},
    {"boot 9b0a2c5e", "boot 9B0A2C5E", "'boot '"},
    {"boot 9b0a2c5e", "boot 9b0a2c5e-9b0a2c5e", "'boot '"},
    {"length 8\n", "length 7\n", "length is not"},
    {"length 8\n", "length 18446744073709551615\n", "'length '"},
    {"length 8\n\n", "length 8\nmore\n", "''"},
};

START_TEST(a_line_that_is_not_as_it_should_be_is_named) {
  size_t length;
  const char *bytes = write_sample(&sample, &length);
  const char *place = memmem(bytes, length, changes[_i].from, strlen(changes[_i].from));
  ck_assert_ptr_nonnull(place);
  size_t before = (size_t)(place - bytes), skip = before + strlen(changes[_i].from);
  char *changed = arena_alloc(arena, length + 64);
  memcpy(changed, bytes, before);
  memcpy(changed + before, changes[_i].to, strlen(changes[_i].to));
  size_t behind = before + strlen(changes[_i].to);
  memcpy(changed + behind, bytes + skip, length - skip);
  struct snapshot found;
  ck_assert_int_eq(parse(changed, behind + length - skip, &found), -EBADMSG);
  ck_assert_msg(strstr(error.message, changes[_i].message) != NULL, "%s", error.message);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("snapshot_file");
  TCase *tests = tcase_create("all");
  tcase_add_checked_fixture(tests, begin, end);
  tcase_add_test(tests, what_is_written_is_read_again);
  tcase_add_test(tests, a_file_that_was_cut_is_refused_at_every_length);
  tcase_add_test(tests, a_file_that_was_changed_is_refused_at_every_byte_but_those_of_its_numbers);
  tcase_add_loop_test(tests, a_line_that_is_not_as_it_should_be_is_named, 0,
                      (int)(sizeof(changes) / sizeof(changes[0])));
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
