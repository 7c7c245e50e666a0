/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/text.h"

START_TEST(malformed_utf8_is_found_where_it_begins) {
  static const struct {
    const char *bytes;
    size_t offset;
  } cases[] = {
      {"ab\x80", 2},           {"\xc0\xaf", 0}, {"a\xe0\x80\x80", 1}, {"\xed\xa0\x80", 0},
      {"\xf4\x90\x80\x80", 0}, {"\xe3\x81", 0}, {"町\xff", 3},        {"\xf5\x80\x80\x80", 0},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    size_t offset = 99;
    ck_assert(!text_is_utf8(cases[i].bytes, strlen(cases[i].bytes), &offset));
    ck_assert_uint_eq(offset, cases[i].offset);
  }
  size_t offset;
  ck_assert(text_is_utf8("架空町 😀 é", strlen("架空町 😀 é"), &offset));
}
END_TEST

START_TEST(what_could_fool_a_terminal_is_made_visible) {
  static const struct {
    const char *in, *out;
  } cases[] = {
      {"plain 町", "plain 町"},
      {"\033[31m", "\\x1b[31m"},
      {"a\nb\tc", "a\\x0ab\\x09c"},
      {"\x7f", "\\x7f"},
      {"\xc2\x9b"
       "x",
       "\\u{9b}x"},
      {"\xe2\x80\xae", "\\u{202e}"},
      {"\xff\xe3\x81", "\\xff\\xe3\\x81"},
      {"\xe2\x81\xa6", "\\u{2066}"},
      {"\xef\xbb\xbf", "\\u{feff}"},
  };
  struct arena *arena = arena_new(0);
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
    ck_assert_str_eq(text_escape(arena, cases[i].in), cases[i].out);
  arena_free(arena);
}
END_TEST

START_TEST(wide_characters_count_two_columns) {
  static const struct {
    const char *text;
    size_t width;
  } cases[] = {{"", 0},         {"abc", 3}, {"架空町", 6}, {"ｱｲｳ", 3}, {"ＡＢ", 4}, {"é", 1}, {"か\xe3\x82\x99", 2},
               {"「町」。", 8}, {"😀", 2},   {"①", 1}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
    ck_assert_msg(text_width(cases[i].text) == cases[i].width, "%s: %zu", cases[i].text, text_width(cases[i].text));
}
END_TEST

START_TEST(the_nearest_word_is_within_a_third) {
  static const char *const keys[] = {"expires", "services", "window", "from", "to", "purpose"};
  static const struct {
    const char *word, *nearest;
  } cases[] = {{"expire", "expires"}, {"servcies", "services"}, {"form", "from"},
               {"wind", NULL},        {"purpsoe", "purpose"},   {"x", NULL},
               {"ot", NULL},          {"frm", "from"}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    const char *found = text_nearest(cases[i].word, keys, sizeof(keys) / sizeof(keys[0]));
    ck_assert_msg((found == NULL) == (cases[i].nearest == NULL), "%s", cases[i].word);
    ck_assert(found == NULL || strcmp(found, cases[i].nearest) == 0);
  }
}
END_TEST

START_TEST(a_very_long_word_is_near_nothing) {
  char word[5000];
  memset(word, 'a', sizeof(word) - 1);
  word[sizeof(word) - 1] = '\0';
  const char *candidates[] = {word, "a"};
  ck_assert_ptr_null(text_nearest(word, candidates, 2));
  ck_assert_ptr_null(text_nearest("abc", candidates, 2));
}
END_TEST

START_TEST(random_bytes_are_escaped_without_harm) {
  srand(2);
  struct arena *arena = arena_new(0);
  for (int round = 0; round < 3000; round++) {
    char bytes[24] = {0};
    for (size_t i = 0; i + 1 < sizeof(bytes); i++)
      bytes[i] = (char)(rand() % 255 + 1);
    char *escaped = text_escape(arena, bytes);
    size_t offset;
    ck_assert(text_is_utf8(escaped, strlen(escaped), &offset));
    text_width(bytes);
  }
  arena_free(arena);
}
END_TEST

START_TEST(sha256_gives_the_known_answers) {
  char text[SHA256_TEXT_SIZE];
  sha256_text("abc", 3, text);
  ck_assert_str_eq(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  sha256_text("", 0, text);
  ck_assert_str_eq(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
END_TEST

START_TEST(errors_grow_from_the_inside_out) {
  struct error error;
  ck_assert_int_eq(error_set(&error, 2, "no file '%s'", "x"), -2);
  ck_assert_int_eq(error_wrap(&error, "reading %d", 7), -2);
  ck_assert_str_eq(error.message, "reading 7: no file 'x'");
  ck_assert_int_eq(error_set(NULL, 5, "lost"), -5);
  for (int i = 0; i < 100; i++)
    error_wrap(&error, "a long context that does not end");
  ck_assert_uint_eq(strlen(error.message), sizeof(error.message) - 1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("text");
  TCase *cases = tcase_create("all");
  tcase_add_test(cases, malformed_utf8_is_found_where_it_begins);
  tcase_add_test(cases, what_could_fool_a_terminal_is_made_visible);
  tcase_add_test(cases, wide_characters_count_two_columns);
  tcase_add_test(cases, the_nearest_word_is_within_a_third);
  tcase_add_test(cases, a_very_long_word_is_near_nothing);
  tcase_add_test(cases, random_bytes_are_escaped_without_harm);
  tcase_add_test(cases, sha256_gives_the_known_answers);
  tcase_add_test(cases, errors_grow_from_the_inside_out);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
