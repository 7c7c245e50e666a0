/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small files in a directory in which others write too. */
#include "control/keep.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OWNER = 4712, STRANGER = 4711, LIMIT = 64, NOT_HERE = 77 };

static char directory[40], path[80];
static struct arena *arena;
static struct error error;

static void set_up(void) {
  strcpy(directory, "/tmp/kido-keep-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(directory));
  snprintf(path, sizeof path, "%s/file", directory);
  arena = arena_new(0);
}

static void tear_down(void) {
  char command[60];
  snprintf(command, sizeof command, "rm -rf %s", directory);
  ck_assert_int_eq(system(command), 0);
  arena = arena_free(arena);
}

static int write_text(const char *text) {
  return keep_write(directory, "file", text, strlen(text), &error);
}

static int read_text(char **ret_text) {
  size_t size;
  return keep_read(directory, "file", LIMIT, arena, ret_text, &size, &error);
}

static void expect_text(const char *expected) {
  char *text = NULL;
  ck_assert_msg(read_text(&text) == 0, "%s", error.message);
  ck_assert_str_eq(text, expected);
}

START_TEST(what_is_written_is_read_and_nobody_else_may) {
  struct stat status;
  ck_assert_int_eq(write_text("first"), 0);
  expect_text("first");
  ck_assert_int_eq(write_text("second"), 0);
  expect_text("second");
  ck_assert_int_eq(stat(path, &status), 0);
  ck_assert_uint_eq(status.st_mode & 0137, 0);
}
END_TEST

/* What stands there when it is read, and what comes of it. */
static void nothing(void) {
}
static void make_link(void) {
  ck_assert_int_eq(symlink("/etc/hostname", path), 0);
}
static void make_directory(void) {
  ck_assert_int_eq(mkdir(path, 0755), 0);
}
static void make_pipe(void) {
  ck_assert_int_eq(mkfifo(path, 0644), 0);
}
static void make_large(void) {
  close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  ck_assert_int_eq(truncate(path, LIMIT + 1), 0);
}

static const struct {
  void (*make)(void);
  int result;
} obstacles[] = {
    {nothing, -ENOENT}, {make_link, -ELOOP}, {make_directory, -EBADMSG}, {make_pipe, -EBADMSG}, {make_large, -EBADMSG},
};

START_TEST(what_is_no_file_of_ours_is_not_read_and_does_not_hang) {
  char *text = NULL;
  obstacles[_i].make();
  ck_assert_int_eq(read_text(&text), obstacles[_i].result);
  ck_assert_ptr_nonnull(strstr(error.message, "/file: "));
  ck_assert_int_eq(write_text("mine"), 0); /* and is replaced */
  expect_text("mine");
}
END_TEST

/* Who has the name of the file beside it open must not read what is written, nor write into it. */
START_TEST(it_never_writes_into_a_file_that_is_there) {
  char beside[90], seen[8] = "";
  snprintf(beside, sizeof beside, "%s.new", path);
  int left = open(beside, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  ck_assert_int_eq(write_text("secret"), 0);
  ck_assert_int_eq(pread(left, seen, sizeof seen, 0), 0);
  ck_assert_int_eq(pwrite(left, "false!", 6, 0), 6);
  expect_text("secret");
  close(left);
}
END_TEST

/* In a child as another user; what it ends with. */
static int as_user(uid_t user, int (*attempt)(void)) {
  int status = 0;
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0)
    _exit(setresuid(user, user, user) < 0 ? NOT_HERE : attempt());
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert(WIFEXITED(status));
  return WEXITSTATUS(status) == NOT_HERE ? 0 : WEXITSTATUS(status);
}

static bool give(const char *what, uid_t user) {
  return geteuid() == 0 && chown(what, user, (gid_t)-1) == 0; /* not in a user namespace of root alone */
}

static int read_it(void) {
  char *text = NULL;
  return -read_text(&text);
}

START_TEST(it_reads_what_is_ours_or_roots_or_of_the_owner_of_the_directory) {
  ck_assert_int_eq(write_text("text"), 0);
  ck_assert_int_eq(chmod(path, 0644) + chmod(directory, 0755), 0);
  if (!give(directory, OWNER))
    return;
  ck_assert_int_eq(as_user(OWNER, read_it), 0); /* root's */
  ck_assert(give(path, OWNER));
  ck_assert_int_eq(as_user(OWNER, read_it), 0); /* ours */
  ck_assert_int_eq(read_it(), 0);               /* of the owner of the directory */
  ck_assert(give(path, STRANGER));
  ck_assert_int_eq(as_user(OWNER, read_it), EPERM);
  ck_assert_int_eq(read_it(), EPERM);
}
END_TEST

static int replace_it(void) {
  return write_text("false") < 0 && unlink(path) < 0 ? 0 : 1;
}

static int replace_that_of_another(void) {
  return -write_text("ours");
}

/* As the daemons share it: of the user kido, for a group that writes, and sticky. */
START_TEST(in_a_sticky_directory_only_its_owner_replaces_files_of_others) {
  if (!give(directory, OWNER))
    return;
  ck_assert_int_eq(chmod(directory, 01777), 0);
  ck_assert_int_eq(as_user(OWNER, replace_that_of_another), 0);
  ck_assert_int_eq(as_user(STRANGER, replace_it), 0);
  expect_text("ours");
  ck_assert(give(path, STRANGER));
  ck_assert_int_eq(as_user(OWNER, replace_that_of_another), 0);
  expect_text("ours");
}
END_TEST

START_TEST(room_is_taken_and_given_back) {
  struct stat status;
  snprintf(path, sizeof path, "%s/room", directory);
  for (int i = 0; i < 2; i++) { /* the second time over what a killed process has left */
    ck_assert_int_eq(keep_reserve(directory, 100000, &error), 0);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_size, 100000);
  }
  keep_release(directory);
  ck_assert_int_lt(stat(path, &status), 0);
}
END_TEST

/* A link in the place of the room would have another file cut to nothing. */
START_TEST(room_is_not_taken_in_a_file_of_another) {
  struct stat status;
  char room[60];
  ck_assert_int_eq(write_text("dear"), 0);
  snprintf(room, sizeof room, "%s/room", directory);
  ck_assert_int_eq(link(path, room), 0);
  ck_assert_int_eq(keep_reserve(directory, 100000, &error), 0);
  ck_assert_int_eq(stat(path, &status), 0);
  ck_assert_int_eq(status.st_size, 4);
  expect_text("dear");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("keep");
  TCase *group = tcase_create("keep");
  tcase_add_checked_fixture(group, set_up, tear_down);
  tcase_add_test(group, what_is_written_is_read_and_nobody_else_may);
  tcase_add_loop_test(group, what_is_no_file_of_ours_is_not_read_and_does_not_hang, 0,
                      sizeof obstacles / sizeof obstacles[0]);
  tcase_add_test(group, it_never_writes_into_a_file_that_is_there);
  tcase_add_test(group, it_reads_what_is_ours_or_roots_or_of_the_owner_of_the_directory);
  tcase_add_test(group, in_a_sticky_directory_only_its_owner_replaces_files_of_others);
  tcase_add_test(group, room_is_taken_and_given_back);
  tcase_add_test(group, room_is_not_taken_in_a_file_of_another);
  suite_add_tcase(suite, group);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
