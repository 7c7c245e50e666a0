/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/state.h"

static char directory[64];
static struct arena *arena;

static void set_up(void) {
  strcpy(directory, "/tmp/kido-state-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(directory));
  arena = arena_new(0);
}

static void tear_down(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", directory);
  ck_assert_int_eq(system(command), 0);
  arena_free(arena);
}

static void file_path(char path[static 128]) {
  snprintf(path, 128, "%s/" STATE_CONFIRMED, directory);
}

static int save(const char *text, uint64_t generation) {
  struct confirmed_policy confirmed = {
      .text = text, .size = strlen(text), .applied_at = {1775000000}, .generation = generation};
  struct error error = {0};
  return state_save(directory, &confirmed, &error);
}

static int load(struct confirmed_policy *ret_confirmed) {
  struct error error = {0};
  return state_load(directory, arena, ret_confirmed, &error);
}

START_TEST(what_was_saved_is_loaded) {
  struct confirmed_policy confirmed;
  ck_assert_int_eq(save("policy = { number = \"1\"; };\n", 7), 0);
  ck_assert_int_eq(load(&confirmed), 0);
  ck_assert_str_eq(confirmed.text, "policy = { number = \"1\"; };\n");
  ck_assert_uint_eq(confirmed.generation, 7);
  ck_assert_int_eq(confirmed.applied_at.seconds, 1775000000);
  char digest[SHA256_TEXT_SIZE];
  sha256_text(confirmed.text, confirmed.size, digest);
  ck_assert_str_eq(digest, confirmed.sha256);
}
END_TEST

START_TEST(an_empty_directory_has_nothing_confirmed) {
  struct confirmed_policy confirmed;
  ck_assert_int_eq(load(&confirmed), -ENOENT);
}
END_TEST

START_TEST(a_file_cut_short_at_any_byte_is_refused) {
  struct confirmed_policy confirmed;
  struct stat status;
  char path[128];
  file_path(path);
  ck_assert_int_eq(save("policy = {};\n", 1), 0);
  ck_assert_int_eq(stat(path, &status), 0);
  for (off_t size = status.st_size - 1; size >= 0; size--) {
    ck_assert_int_eq(truncate(path, size), 0);
    ck_assert_int_eq(load(&confirmed), -EBADMSG);
  }
}
END_TEST

START_TEST(a_byte_changed_by_hand_is_refused) {
  struct confirmed_policy confirmed;
  char path[128];
  file_path(path);
  ck_assert_int_eq(save("policy = { number = \"1\"; };\n", 1), 0);
  int fd = open(path, O_RDWR);
  ck_assert_int_eq(lseek(fd, -6, SEEK_END) > 0, 1);
  ck_assert_int_eq(write(fd, "2", 1), 1);
  close(fd);
  ck_assert_int_eq(load(&confirmed), -EBADMSG);
}
END_TEST

START_TEST(a_symbolic_link_in_its_place_is_not_followed) {
  struct confirmed_policy confirmed;
  char path[128];
  file_path(path);
  ck_assert_int_eq(symlink("/etc/passwd", path), 0);
  ck_assert_int_lt(load(&confirmed), 0);
}
END_TEST

static void save_for_ever(const char *first, const char *second) {
  for (uint64_t generation = 1;; generation++) {
    save(generation % 2 == 0 ? first : second, generation);
  }
}

START_TEST(killed_at_any_instant_the_old_or_the_new_is_whole) {
  static char first[200000], second[100];
  memset(first, '#', sizeof first - 1);
  memset(second, '-', sizeof second - 1);
  ck_assert_int_eq(save(first, 0), 0);
  for (useconds_t round = 0; round < 40; round++) {
    pid_t child = fork();
    if (child == 0) {
      save_for_ever(first, second);
    }
    usleep(1000 + round * 137);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    struct arena *scratch = arena_new(0);
    struct confirmed_policy confirmed;
    struct error error = {0};
    ck_assert_msg(state_load(directory, scratch, &confirmed, &error) == 0, "%s", error.message);
    ck_assert(strcmp(confirmed.text, first) == 0 || strcmp(confirmed.text, second) == 0);
    arena_free(scratch);
  }
}
END_TEST

START_TEST(a_directory_that_cannot_be_written_is_an_error_with_its_path) {
  struct confirmed_policy confirmed = {.text = "x", .size = 1};
  struct error error = {0};
  ck_assert_int_lt(state_save("/nonexistent/kido", &confirmed, &error), 0);
  ck_assert_ptr_nonnull(strstr(error.message, "/nonexistent/kido"));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("state");
  TCase *group = tcase_create("state");
  tcase_add_checked_fixture(group, set_up, tear_down);
  tcase_set_timeout(group, 60);
  tcase_add_test(group, what_was_saved_is_loaded);
  tcase_add_test(group, an_empty_directory_has_nothing_confirmed);
  tcase_add_test(group, a_file_cut_short_at_any_byte_is_refused);
  tcase_add_test(group, a_byte_changed_by_hand_is_refused);
  tcase_add_test(group, a_symbolic_link_in_its_place_is_not_followed);
  tcase_add_test(group, killed_at_any_instant_the_old_or_the_new_is_whole);
  tcase_add_test(group, a_directory_that_cannot_be_written_is_an_error_with_its_path);
  suite_add_tcase(suite, group);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
