/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/compile.h"
#include "rules/print.h"
#include "sample_ruleset.h"
#include "sample_town.h"

static struct arena *arena;

static void setup(void) {
  arena = arena_new(0);
}

static void teardown(void) {
  arena = arena_free(arena);
}

static char *print(const struct ruleset *ruleset, struct instant now) {
  char *text = NULL;
  size_t length = 0;
  FILE *stream = open_memstream(&text, &length);
  ck_assert_ptr_nonnull(stream);
  ck_assert_int_eq(ruleset_print_nft(stream, ruleset, now), 0);
  ck_assert_int_eq(fclose(stream), 0);
  return text;
}

static struct ruleset *compile_town(struct instant *ret_now) {
  struct error error;
  const struct policy *policy = sample_town(arena);
  struct ruleset *ruleset;
  bool without_offset;
  struct compile_options options = {0};
  ck_assert_ptr_nonnull(policy);
  ck_assert(instant_parse("2026-11-24T12:00:00+09:00", &options.now, &without_offset));
  ck_assert_int_eq(ruleset_compile(policy, &options, arena, &ruleset, &error), 0);
  *ret_now = options.now;
  return ruleset;
}

static char *read_whole(const char *path) {
  FILE *file = fopen(path, "r");
  if (file == NULL)
    return calloc(1, 1);
  enum { MOST = 4 * 1024 * 1024 };
  char *text = calloc(1, MOST);
  ck_assert_uint_lt(fread(text, 1, MOST - 1, file), MOST - 1);
  fclose(file);
  return text;
}

/* KIDO_UPDATE_GOLDEN=1 writes the file anew; look at what changed before committing it. */
START_TEST(the_sample_reads_as_the_golden_file_says) {
  static const char path[] = KIDO_SOURCE_DIRECTORY "/tests/golden/compile/town.nft";
  struct instant now;
  struct ruleset *ruleset = compile_town(&now);
  char *text = print(ruleset, now);
  if (getenv("KIDO_UPDATE_GOLDEN") != NULL) {
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
  }
  char *golden = read_whole(path);
  size_t at = 0;
  while (text[at] != '\0' && text[at] == golden[at])
    at++;
  ck_assert_msg(strcmp(text, golden) == 0, "differs from %s at byte %zu: %.80s", path, at, text + at);
  free(golden);
  free(text);
}
END_TEST

START_TEST(timeouts_count_from_now_and_never_reach_zero) {
  struct instant now;
  struct ruleset *ruleset = compile_town(&now);
  char *text = print(ruleset, now);
  ck_assert_ptr_nonnull(strstr(text, " timeout 3240000s comment \"F-302\""));
  free(text);
  text = print(ruleset, (struct instant){now.seconds + 1000000000});
  ck_assert_ptr_nonnull(strstr(text, " timeout 1s comment \"F-302\""));
  free(text);
}
END_TEST

START_TEST(the_table_is_replaced_in_one_transaction) {
  struct instant now;
  char *text = print(compile_town(&now), now);
  ck_assert_int_eq(strncmp(text, "table inet kido\ndelete table inet kido\ntable inet kido {\n", 57), 0);
  free(text);
}
END_TEST

static const struct {
  enum field_type fields[5];
  size_t count;
  bool interval;
  uint8_t first[RULESET_DATA_MAX], last[RULESET_DATA_MAX];
  const char *text;
} keys[] = {
    {{KEY_FIELD_IPV4}, 1, false, {10, 0, 0, 1}, {0}, "10.0.0.1"},
    {{KEY_FIELD_IPV4}, 1, true, {10, 0, 0, 0}, {10, 0, 0, 255}, "10.0.0.0/24"},
    {{KEY_FIELD_IPV4}, 1, true, {10, 0, 0, 1}, {10, 0, 0, 9}, "10.0.0.1-10.0.0.9"},
    {{KEY_FIELD_IPV4, KEY_FIELD_PORT, KEY_FIELD_IPV4},
     3,
     true,
     {10, 0, 0, 1, 1, 187, 0, 0, 10, 1, 0, 0},
     {10, 0, 0, 1, 1, 189, 0, 0, 10, 1, 255, 255},
     "10.0.0.1 . 443-445 . 10.1.0.0/16"},
    {{KEY_FIELD_IPV4, KEY_FIELD_ETHER},
     2,
     false,
     {10, 0, 0, 1, 2, 0, 94, 0, 0, 1},
     {0},
     "10.0.0.1 . 02:00:5e:00:00:01"},
    {{KEY_FIELD_INTERFACE, KEY_FIELD_INTERFACE}, 2, false, "eth0\0\0\0\0\0\0\0\0\0\0\0\0lo", {0}, "\"eth0\" . \"lo\""},
    {{KEY_FIELD_ICMPV6_TYPE}, 1, false, {135}, {0}, "135"},
    {{KEY_FIELD_IPV6},
     1,
     true,
     {0x24},
     {0x24, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255},
     "2400::/16"},
};

START_TEST(keys_are_written_as_nft_does) {
  struct set set = {.field_count = keys[_i].count, .interval = keys[_i].interval};
  struct element element = {0};
  memcpy(set.fields, keys[_i].fields, sizeof set.fields);
  memcpy(element.key, keys[_i].first, sizeof element.key);
  memcpy(element.key_end, keys[_i].last, sizeof element.key_end);
  ck_assert_str_eq(element_key_text(&set, &element, arena), keys[_i].text);
}
END_TEST

START_TEST(json_says_what_there_is) {
  struct instant now;
  struct ruleset *ruleset = compile_town(&now);
  json_t *object = ruleset_to_json(ruleset, now);
  ck_assert_ptr_nonnull(object);
  ck_assert_str_eq(json_string_value(json_object_get(object, "schema")), "kido.ruleset/1");
  ck_assert_uint_eq(json_array_size(json_object_get(object, "sets")), ruleset->set_count);
  ck_assert_uint_eq(json_array_size(json_object_get(object, "chains")), ruleset->chain_count);
  ck_assert_uint_eq(json_array_size(json_object_get(object, "counters")), ruleset->counter_count);
  json_decref(object);
}
END_TEST

START_TEST(a_stream_that_fails_is_reported) {
  struct instant now;
  struct ruleset *ruleset = compile_town(&now);
  FILE *full = fopen("/dev/full", "w");
  ck_assert_ptr_nonnull(full);
  ck_assert_int_lt(ruleset_print_nft(full, ruleset, now), 0);
  fclose(full);
}
END_TEST

START_TEST(what_was_read_back_can_be_printed_too) {
  struct instant now = {1800000000};
  char *text = print(sample_ruleset(arena, now), now);
  ck_assert_ptr_nonnull(strstr(text, "table inet"));
  free(text);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ruleset_print");
  TCase *tests = tcase_create("print");
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_test(tests, the_sample_reads_as_the_golden_file_says);
  tcase_add_test(tests, timeouts_count_from_now_and_never_reach_zero);
  tcase_add_test(tests, the_table_is_replaced_in_one_transaction);
  tcase_add_loop_test(tests, keys_are_written_as_nft_does, 0, sizeof keys / sizeof *keys);
  tcase_add_test(tests, json_says_what_there_is);
  tcase_add_test(tests, a_stream_that_fails_is_reported);
  tcase_add_test(tests, what_was_read_back_can_be_printed_too);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
