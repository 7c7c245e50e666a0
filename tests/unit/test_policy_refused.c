/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/codes.h"
#include "policy/read.h"

/*
 * Every directory of tests/golden/refused is one way for a policy to be wrong: policy.conf, and what the operator is
 * told in both languages. With KIDO_UPDATE_GOLDEN=1 in the environment the expected texts are written anew; read the
 * difference before committing it.
 */

#define CASES KIDO_SOURCE_DIRECTORY "/tests/golden/refused"

struct language_case {
  enum language language;
  const char *file;
};

static const struct language_case languages[] = {
    {LANGUAGE_JAPANESE, "expected.ja.txt"},
    {LANGUAGE_ENGLISH, "expected.en.txt"},
};

static int is_case(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

static int list_cases(struct dirent ***ret_cases) {
  int count = scandir(CASES, ret_cases, is_case, alphasort);
  ck_assert_int_gt(count, 0);
  return count;
}

static void free_cases(struct dirent **cases, int count) {
  for (int i = 0; i < count; i++)
    free(cases[i]);
  free(cases);
}

/* Reads policy.conf of the working directory; what is printed is to be freed. */
static char *complaints(enum language language, struct arena *arena, struct diagnostic_list *list) {
  const struct policy *policy;
  struct error error = {0};
  char *text = NULL;
  size_t length;
  diagnostic_list_init(list, arena, language);
  ck_assert_int_eq(policy_read("policy.conf", arena, true, &policy, list, &error), 0);
  FILE *stream = open_memstream(&text, &length);
  diagnostic_print(stream, list, false);
  fclose(stream);
  return text;
}

static char *read_expected(const char *file) {
  FILE *stream = fopen(file, "r");
  char *text = calloc(1, 65536);
  if (stream) {
    size_t length = fread(text, 1, 65535, stream);
    text[length] = '\0';
    fclose(stream);
  }
  return text;
}

static void write_expected(const char *file, const char *text) {
  FILE *stream = fopen(file, "w");
  ck_assert_ptr_nonnull(stream);
  fputs(text, stream);
  fclose(stream);
}

static void judge_case(const char *name, const struct language_case *language) {
  struct arena *arena = arena_new(0);
  struct diagnostic_list list;
  char *found = complaints(language->language, arena, &list);
  if (getenv("KIDO_UPDATE_GOLDEN"))
    write_expected(language->file, found);
  char *expected = read_expected(language->file);
  ck_assert_msg(list.errors > 0, "%s is not refused", name);
  ck_assert_msg(strcmp(found, expected) == 0, "%s, %s:\nfound:\n%s\nexpected:\n%s", name, language->file, found,
                expected);
  free(expected);
  free(found);
  arena_free(arena);
}

START_TEST(every_case_is_refused_in_the_words_that_are_kept) {
  struct dirent **cases;
  int count = list_cases(&cases);
  for (int i = 0; i < count; i++) {
    char directory[512];
    snprintf(directory, sizeof(directory), "%s/%s", CASES, cases[i]->d_name);
    ck_assert_int_eq(chdir(directory), 0);
    judge_case(cases[i]->d_name, &languages[_i]);
  }
  free_cases(cases, count);
}
END_TEST

/* A case named after a code is about that code: it gives it, and no other. */
START_TEST(a_case_gives_the_code_in_its_name_and_no_other) {
  struct dirent **cases;
  int count = list_cases(&cases);
  for (int i = 0; i < count; i++) {
    char directory[512], code[4] = "";
    snprintf(directory, sizeof(directory), "%s/%s", CASES, cases[i]->d_name);
    memcpy(code, cases[i]->d_name, 3);
    if (!policy_code_find(code))
      continue;
    struct arena *arena = arena_new(0);
    struct diagnostic_list list;
    ck_assert_int_eq(chdir(directory), 0);
    free(complaints(LANGUAGE_ENGLISH, arena, &list));
    for (size_t k = 0; k < list.count; k++)
      ck_assert_msg(strcmp(list.items[k].code, code) == 0, "%s gives %s: %s", cases[i]->d_name, list.items[k].code,
                    list.items[k].message);
    arena_free(arena);
  }
  free_cases(cases, count);
}
END_TEST

START_TEST(every_code_of_reading_has_a_case) {
  struct dirent **cases;
  int count = list_cases(&cases);
  size_t codes;
  const struct policy_code *code = policy_codes(&codes);
  for (size_t i = 0; i < codes; i++) {
    bool found = code[i].code[0] != 'P';
    for (int k = 0; k < count; k++)
      found = found || strncmp(cases[k]->d_name, code[i].code, 3) == 0;
    ck_assert_msg(found, "no case for %s", code[i].code);
  }
  free_cases(cases, count);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("policy refused");
  TCase *cases = tcase_create("cases");
  tcase_set_timeout(cases, 60);
  tcase_add_loop_test(cases, every_case_is_refused_in_the_words_that_are_kept, 0, 2);
  tcase_add_test(cases, a_case_gives_the_code_in_its_name_and_no_other);
  tcase_add_test(cases, every_code_of_reading_has_a_case);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
