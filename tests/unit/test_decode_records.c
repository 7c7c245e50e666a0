/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rulesets as kernels told them (tests/rulesets/NAME.ruleset, recorded by tests/netns/test_snapshot_kernel.c) against
 * what is to be understood of them (NAME.txt). With KIDO_UPDATE_GOLDEN=1 in the environment the texts are written anew.
 */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "live.h"
#include "live_dump.h"

#define DIRECTORY KIDO_SOURCE_DIRECTORY "/tests/rulesets"

static struct arena *arena;

static char *read_text(const char *path) {
  FILE *stream = fopen(path, "r");
  ck_assert_msg(stream != NULL, "there is no %s: run this with KIDO_UPDATE_GOLDEN=1", path);
  char *text = NULL;
  size_t room = 0;
  ck_assert_int_ge(getdelim(&text, &room, '\0', stream), 0);
  fclose(stream);
  return text;
}

static char *dump_text(const struct live_ruleset *ruleset) {
  char *text = NULL;
  size_t length = 0;
  FILE *stream = open_memstream(&text, &length);
  live_dump(stream, ruleset, arena);
  fclose(stream);
  return text;
}

static void write_text(const char *path, const char *text) {
  FILE *stream = fopen(path, "w");
  ck_assert_ptr_nonnull(stream);
  fputs(text, stream);
  ck_assert_int_eq(fclose(stream), 0);
}

/* The first line that differs, for the message. */
static const char *first_difference(const char *left, const char *right) {
  const char *line = left;
  for (; *left != '\0' && *left == *right; left++, right++) {
    line = *left == '\n' ? left + 1 : line;
  }
  return arena_strndup(arena, line, strcspn(line, "\n"));
}

static void check_record(const char *name) {
  const char *stem = arena_strndup(arena, name, strlen(name) - strlen(".ruleset"));
  const char *wanted_path = arena_printf(arena, "%s/%s.txt", DIRECTORY, stem);
  char *found = dump_text(live_from_file(arena_printf(arena, "%s/%s", DIRECTORY, name), arena));
  if (getenv("KIDO_UPDATE_GOLDEN") != NULL) {
    write_text(wanted_path, found);
  }
  char *wanted = read_text(wanted_path);
  ck_assert_msg(strcmp(found, wanted) == 0, "%s: first at '%s'", name, first_difference(found, wanted));
  free(wanted);
  free(found);
}

START_TEST(recorded_rulesets_are_understood_to_the_last_member) {
  arena = arena_new(0);
  DIR *directory = opendir(DIRECTORY);
  ck_assert_ptr_nonnull(directory);
  unsigned count = 0;
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    const char *end = strrchr(entry->d_name, '.');
    if (end != NULL && strcmp(end, ".ruleset") == 0) {
      check_record(entry->d_name);
      count++;
    }
  }
  closedir(directory);
  ck_assert_uint_ge(count, 7);
  arena_free(arena);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("decode_records");
  TCase *tests = tcase_create("all");
  tcase_add_test(tests, recorded_rulesets_are_understood_to_the_last_member);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
