/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/diagnostic.h"

static const char SOURCE[] = "policy = { };\n"
                             "  F-1 = { label = \"住民情報\"; to = \"cropx\"; };\n"
                             "\tF-2 = { to = \"corp\"; };\n"
                             "evil \033[31m = \"x\";\n";

static char source_path[] = "/tmp/kido-diagnostic-XXXXXX";

static void write_source(void) {
  strcpy(source_path + sizeof(source_path) - 7, "XXXXXX");
  int file = mkstemp(source_path);
  ck_assert_int_ge(file, 0);
  ck_assert_int_eq(write(file, SOURCE, sizeof(SOURCE) - 1), (ssize_t)sizeof(SOURCE) - 1);
  close(file);
}

static void remove_source(void) {
  unlink(source_path);
}

static struct place at(unsigned line) {
  return (struct place){.file = source_path, .line = line};
}

/* The printed list without the path of the source. */
static char *printed(struct arena *arena, const struct diagnostic_list *list) {
  char *buffer = NULL;
  size_t length = 0;
  FILE *stream = open_memstream(&buffer, &length);
  diagnostic_print(stream, list, false);
  fclose(stream);
  char *copy = arena_alloc(arena, length + 1), *end = copy;
  for (const char *from = buffer; *from != '\0';) {
    if (strncmp(from, source_path, strlen(source_path)) == 0) {
      end = stpcpy(end, "T");
      from += strlen(source_path);
    } else {
      *end++ = *from++;
    }
  }
  free(buffer);
  return copy;
}

START_TEST(the_caret_stands_under_its_token_behind_wide_characters) {
  struct arena *arena = arena_new(0);
  struct diagnostic_list list;
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  struct diagnostic *diagnostic =
      diagnostic_add(&list, SEVERITY_ERROR, "P07", place_of_token(at(2), "cropx"), "F-1",
                     "宛先 '%s' は宣言されていません", "names an unknown host '%s'", "cropx");
  diagnostic_relate(&list, diagnostic, place_of_token(at(3), "corp"), "%s はこちら", "%s is here", "corp");
  diagnostic_hint(&list, diagnostic, "'%s' のことですか", "did you mean '%s'?", "corp");
  ck_assert_str_eq(printed(arena, &list), "T:2: error: F-1: names an unknown host 'cropx' [P07]\n"
                                          "    2 |   F-1 = { label = \"住民情報\"; to = \"cropx\"; };\n"
                                          "      |                                    ^^^^^^^\n"
                                          "T:3: note: corp is here\n"
                                          "    3 |     F-2 = { to = \"corp\"; };\n"
                                          "      |                  ~~~~~~\n"
                                          "  → did you mean 'corp'?\n");
  arena_free(arena);
}
END_TEST

START_TEST(japanese_is_spoken_when_asked_for) {
  struct arena *arena = arena_new(0);
  struct diagnostic_list list;
  diagnostic_list_init(&list, arena, LANGUAGE_JAPANESE);
  diagnostic_add(&list, SEVERITY_WARNING, "W01", (struct place){0}, "", "%d件", "%d things", 3);
  diagnostic_add(&list, SEVERITY_ERROR, "P01", (struct place){.file = "a"}, "", "ない", "none");
  diagnostic_add(&list, SEVERITY_NOTE, "N01", (struct place){.file = "a", .line = 2}, "", "注", "note");
  ck_assert_str_eq(printed(arena, &list), "警告: 3件 [W01]\na: 誤り: ない [P01]\na:2: 注記: 注 [N01]\n");
  ck_assert_uint_eq(list.errors, 1);
  ck_assert_uint_eq(list.warnings, 1);
  arena_free(arena);
}
END_TEST

START_TEST(what_stands_in_the_file_cannot_steer_the_terminal) {
  struct arena *arena = arena_new(0);
  struct diagnostic_list list;
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  diagnostic_add(&list, SEVERITY_ERROR, "P01", place_of_token(at(4), "x"), "e\033", "%s", "%s", "\033[2J");
  ck_assert_str_eq(printed(arena, &list), "T:4: error: e\\x1b: \\x1b[2J [P01]\n"
                                          "    4 | evil \\x1b[31m = \"x\";\n"
                                          "      |                 ^^^\n");
  arena_free(arena);
}
END_TEST

START_TEST(tokens_are_found_quoted_first_then_as_words) {
  static const struct {
    unsigned line, from;
    const char *token;
    unsigned column, length;
  } cases[] = {
      {2, 0, "cropx", 32, 7}, {2, 0, "to", 27, 2},  {2, 0, "住民情報", 19, 6}, {2, 0, "absent", 0, 0},
      {2, 0, "F-1", 3, 3},    {2, 10, "F-1", 0, 0}, {9, 0, "F-1", 0, 0},       {0, 0, "policy", 0, 0},
      {1, 0, "lic", 3, 3},    {1, 0, "", 0, 0},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct place line = at(cases[i].line);
    line.column = cases[i].from;
    struct place place = place_of_token(line, cases[i].token);
    ck_assert_msg(place.column == cases[i].column && place.length == cases[i].length, "case %zu: %u %u", i,
                  place.column, place.length);
    ck_assert_uint_eq(place.line, cases[i].line);
  }
}
END_TEST

START_TEST(sorting_is_by_place_then_code_and_stable) {
  static const struct {
    const char *file;
    unsigned line, column;
    const char *code, *message;
  } cases[] = {
      {"b", 9, 1, "D01", "7"}, {"b", 2, 5, "W02", "5"}, {"a", 1, 1, "D01", "9"},
      {"b", 2, 5, "D02", "3"}, {"b", 2, 1, "Z99", "2"}, {"b", 2, 5, "D02", "4"},
      {"b", 0, 0, "D05", "1"}, {"b", 2, 5, "W02", "6"}, {"b", 9, 1, "D02", "8"},
  };
  struct arena *arena = arena_new(0);
  struct diagnostic_list list;
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
    diagnostic_add(&list, SEVERITY_ERROR, cases[i].code,
                   (struct place){.file = cases[i].file, .line = cases[i].line, .column = cases[i].column}, "", "%s",
                   "%s", cases[i].message);
  diagnostic_sort(&list);
  for (size_t i = 0; i < list.count; i++)
    ck_assert_int_eq(list.items[i].message[0], (int)('1' + i));
  arena_free(arena);
}
END_TEST

START_TEST(many_related_places_are_kept) {
  struct arena *arena = arena_new(0);
  struct diagnostic_list list;
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  struct diagnostic *diagnostic = diagnostic_add(&list, SEVERITY_ERROR, "D01", (struct place){0}, "", "m", "m");
  for (int i = 0; i < 100; i++)
    diagnostic_relate(&list, diagnostic, (struct place){.line = (unsigned)i}, "%d", "%d", i);
  ck_assert_uint_eq(diagnostic->related_count, 100);
  for (unsigned i = 0; i < 100; i++)
    ck_assert_uint_eq(diagnostic->related[i].place.line, i);
  arena_free(arena);
}
END_TEST

START_TEST(without_memory_a_diagnostic_is_lost_loudly) {
  struct arena *arena = arena_new(64);
  struct diagnostic_list list;
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  struct diagnostic *diagnostic =
      diagnostic_add(&list, SEVERITY_ERROR, "D01", (struct place){0}, "s", "%90d", "%90d", 1);
  ck_assert_ptr_nonnull(diagnostic);
  diagnostic_hint(&list, diagnostic, "%90d", "%90d", 1);
  diagnostic_relate(&list, diagnostic, (struct place){0}, "m", "m");
  ck_assert(list.out_of_memory);
  ck_assert_uint_eq(list.errors, 1);
  arena_free(arena);
}
END_TEST

START_TEST(a_very_long_line_is_shown_around_its_caret) {
  struct arena *arena = arena_new(0);
  struct diagnostic_list list;
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  char path[] = "/tmp/kido-diagnostic-long-XXXXXX";
  int descriptor = mkstemp(path);
  FILE *file = fdopen(descriptor, "w");
  for (int i = 0; i < 5000; i++)
    fputs("町", file);
  fputs("\"needle\"", file);
  for (int i = 0; i < 5000; i++)
    fputs("町", file);
  fclose(file);
  struct place place = place_of_token((struct place){.file = path, .line = 1}, "needle");
  ck_assert_uint_eq(place.column, 5001);
  diagnostic_add(&list, SEVERITY_ERROR, "D01", place, "", "m", "m");
  char *text = printed(arena, &list);
  unlink(path);
  ck_assert_uint_lt(strlen(text), 1000);
  ck_assert_ptr_nonnull(strstr(text, "\"needle\""));
  ck_assert_ptr_nonnull(
      strstr(text, "\n      |                                                              ^^^^^^^^\n"));
  arena_free(arena);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("diagnostic");
  TCase *cases = tcase_create("all");
  tcase_add_checked_fixture(cases, write_source, remove_source);
  tcase_add_test(cases, the_caret_stands_under_its_token_behind_wide_characters);
  tcase_add_test(cases, japanese_is_spoken_when_asked_for);
  tcase_add_test(cases, what_stands_in_the_file_cannot_steer_the_terminal);
  tcase_add_test(cases, tokens_are_found_quoted_first_then_as_words);
  tcase_add_test(cases, sorting_is_by_place_then_code_and_stable);
  tcase_add_test(cases, many_related_places_are_kept);
  tcase_add_test(cases, without_memory_a_diagnostic_is_lost_loudly);
  tcase_add_test(cases, a_very_long_line_is_shown_around_its_caret);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
