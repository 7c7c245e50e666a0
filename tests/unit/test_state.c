/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/history.h"

enum { STRANGER = 4711, OWNER = 4712 };

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

START_TEST(who_and_what_and_when_are_kept) {
  struct confirmed_policy saved = {.text = "policy = {};\n",
                                   .size = 13,
                                   .applied_at = {1775000000},
                                   .confirmed_at = {1775000600},
                                   .generation = 9,
                                   .previous = 7,
                                   .source = 3,
                                   .origin = STATE_ROLLBACK,
                                   .by = "太郎 (root)",
                                   .confirmed_by = "hanako",
                                   .policy_number = "2026-\"03\"",
                                   .policy_name = "架空町"};
  struct confirmed_policy got;
  struct error error = {0};
  ck_assert_int_eq(state_save(directory, &saved, &error), 0);
  ck_assert_int_eq(load(&got), 0);
  ck_assert_int_eq(got.confirmed_at.seconds, 1775000600);
  ck_assert_uint_eq(got.previous, 7);
  ck_assert_uint_eq(got.source, 3);
  ck_assert_int_eq(got.origin, STATE_ROLLBACK);
  ck_assert_str_eq(got.by, saved.by);
  ck_assert_str_eq(got.confirmed_by, saved.confirmed_by);
  ck_assert_str_eq(got.policy_number, saved.policy_number);
  ck_assert_str_eq(got.policy_name, saved.policy_name);
}
END_TEST

START_TEST(a_file_of_the_first_version_is_read) {
  char path[128], digest[SHA256_TEXT_SIZE];
  struct confirmed_policy got;
  file_path(path);
  FILE *file = fopen(path, "we");
  sha256_text("policy = {};\n", 13, digest);
  fprintf(file, "# kido.confirmed/1 {\"sha256\":\"%s\",\"applied_at\":5,\"generation\":4}\npolicy = {};\n", digest);
  fclose(file);
  ck_assert_int_eq(load(&got), 0);
  ck_assert_uint_eq(got.generation, 4);
  ck_assert_int_eq(got.confirmed_at.seconds, 5);
  ck_assert_str_eq(got.by, "");
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

/* What somebody in the group could have put there. */
START_TEST(a_file_of_another_user_is_refused) {
  struct confirmed_policy confirmed;
  char path[128];
  if (geteuid() != 0)
    return;
  file_path(path);
  ck_assert_int_eq(save("policy = {};\n", 1), 0);
  if (chown(path, STRANGER, (gid_t)-1) < 0)
    return; /* a user namespace of root alone */
  struct error error = {0};
  ck_assert_int_eq(state_load(directory, arena, &confirmed, &error), -EPERM);
  ck_assert_ptr_nonnull(strstr(error.message, "belongs to another user"));
  ck_assert_int_eq(chown(directory, OWNER, (gid_t)-1), 0);
  ck_assert_int_eq(load(&confirmed), -EPERM);
  ck_assert_int_eq(chown(path, OWNER, (gid_t)-1), 0);
  ck_assert_int_eq(load(&confirmed), 0);
}
END_TEST

START_TEST(a_file_that_somebody_left_for_us_to_write_is_not_written_into) {
  char path[128], beside[136];
  struct stat left, status;
  struct confirmed_policy confirmed;
  file_path(path);
  snprintf(beside, sizeof beside, "%s.new", path);
  int file = open(beside, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  ck_assert_int_eq(fstat(file, &left), 0);
  ck_assert_int_eq(save("policy = {};\n", 1), 0);
  ck_assert_int_eq(load(&confirmed), 0);
  ck_assert_int_eq(stat(path, &status), 0);
  ck_assert_uint_ne(status.st_ino, left.st_ino);
  close(file);
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

/* ---- history ---- */

static void entry_path(uint64_t number, char path[static 128]) {
  snprintf(path, 128, "%s/" STATE_HISTORY "/%010llu.conf", directory, (unsigned long long)number);
}

static void confirm(uint64_t number, uint64_t previous, enum state_origin origin) {
  char text[64];
  snprintf(text, sizeof text, "policy = { number = \"%llu\"; };\n", (unsigned long long)number);
  struct confirmed_policy policy = {.text = text,
                                    .size = strlen(text),
                                    .applied_at = {1775000000},
                                    .generation = number,
                                    .previous = previous,
                                    .origin = origin,
                                    .by = "taro"};
  struct error error = {0};
  ck_assert_msg(state_save(directory, &policy, &error) == 0, "%s", error.message);
}

static struct history_list list(uint64_t confirmed) {
  struct history_list result = {0};
  struct error error = {0};
  ck_assert_msg(history_read(directory, confirmed, arena, &result, &error) == 0, "%s", error.message);
  return result;
}

static void expect_list(uint64_t confirmed, const char *expected) {
  char text[512] = "";
  struct history_list got = list(confirmed);
  for (size_t i = 0; i < got.count; i++) {
    size_t length = strlen(text);
    snprintf(text + length, sizeof text - length, "%llu %s, ", (unsigned long long)got.entries[i].policy.generation,
             history_state_name(got.entries[i].state));
  }
  ck_assert_str_eq(text, expected);
}

START_TEST(an_empty_directory_has_no_history) {
  expect_list(0, "");
  ck_assert_uint_eq(history_newest(directory), 0);
}
END_TEST

START_TEST(every_confirmed_policy_is_kept) {
  confirm(1, 0, STATE_APPLY);
  confirm(2, 1, STATE_RELOAD);
  confirm(3, 2, STATE_ROLLBACK);
  confirm(4, 3, STATE_APPLY);
  expect_list(4, "4 confirmed, 3 superseded, 2 rolled-back, 1 superseded, ");
  struct confirmed_policy got;
  struct error error = {0};
  ck_assert_int_eq(history_load(directory, 2, arena, &got, &error), 0);
  ck_assert_str_eq(got.text, "policy = { number = \"2\"; };\n");
  ck_assert_str_eq(got.by, "taro");
  ck_assert_int_eq(history_load(directory, 5, arena, &got, &error), -ENOENT);
  ck_assert_uint_eq(history_newest(directory), 4);
}
END_TEST

START_TEST(an_entry_that_was_never_confirmed_is_recognised) {
  struct confirmed_policy confirmed;
  char path[128], keep[160], command[512];
  confirm(1, 0, STATE_APPLY);
  file_path(path);
  snprintf(keep, sizeof keep, "%s.keep", path);
  snprintf(command, sizeof command, "cp %s %s", path, keep);
  ck_assert_int_eq(system(command), 0);
  confirm(2, 1, STATE_APPLY);
  ck_assert_int_eq(rename(keep, path), 0); /* killed between the two files */
  ck_assert_int_eq(load(&confirmed), 0);
  ck_assert_uint_eq(confirmed.generation, 1);
  expect_list(1, "2 unconfirmed, 1 confirmed, ");
  confirm(3, 1, STATE_APPLY);
  expect_list(3, "3 confirmed, 2 unconfirmed, 1 superseded, ");
}
END_TEST

START_TEST(a_damaged_entry_is_told_and_does_not_hide_others) {
  char path[128];
  struct confirmed_policy got;
  struct error error = {0};
  confirm(1, 0, STATE_APPLY);
  confirm(2, 1, STATE_APPLY);
  confirm(3, 2, STATE_APPLY);
  entry_path(2, path);
  ck_assert_int_eq(truncate(path, 150), 0);
  expect_list(3, "3 confirmed, 2 damaged, 1 superseded, ");
  ck_assert_int_eq(history_load(directory, 2, arena, &got, &error), -EBADMSG);
  ck_assert_ptr_nonnull(strstr(error.message, "0000000002.conf"));
  char other[128];
  entry_path(1, other);
  ck_assert_int_eq(rename(other, path), 0);
  ck_assert_msg(history_load(directory, 2, arena, &got, &error) == -EBADMSG, "an entry under another's name");
  expect_list(3, "3 confirmed, 2 damaged, ");
}
END_TEST

/* Each byte in turn becomes another one. */
START_TEST(no_damaged_byte_passes_or_does_harm) {
  char path[128], other[128];
  struct confirmed_policy got;
  struct error error = {0};
  confirm(1, 0, STATE_APPLY);
  entry_path(1, path);
  file_path(other);
  struct stat status;
  ck_assert_int_eq(stat(path, &status), 0);
  int fd = open(path, O_RDWR), confirmed = open(other, O_RDWR);
  for (off_t i = 0; i < status.st_size; i++) {
    char byte, damaged;
    ck_assert_int_eq(pread(fd, &byte, 1, i), 1);
    damaged = (char)(byte ^ (1 << (i % 7)));
    ck_assert_int_eq(pwrite(fd, &damaged, 1, i) + pwrite(confirmed, &damaged, 1, i), 2);
    struct arena *scratch = arena_new(0);
    struct history_list entries = {0};
    ck_assert_int_eq(history_read(directory, 1, scratch, &entries, &error), 0);
    ck_assert_uint_eq(entries.count, 1);
    int as_entry = history_load(directory, 1, scratch, &got, &error);
    int as_confirmed = state_load(directory, scratch, &got, &error);
    /* a name or a time may be another one; the policy never is */
    ck_assert(as_entry == -EBADMSG || strcmp(got.text, "policy = { number = \"1\"; };\n") == 0);
    ck_assert(as_confirmed == -EBADMSG || strcmp(got.text, "policy = { number = \"1\"; };\n") == 0);
    arena_free(scratch);
    ck_assert_int_eq(pwrite(fd, &byte, 1, i) + pwrite(confirmed, &byte, 1, i), 2);
  }
  close(fd);
  close(confirmed);
}
END_TEST

START_TEST(what_is_no_entry_is_left_alone) {
  static const char *const names[] = {"5.conf",           "0000000005.conf.new", "notes",
                                      "00000000005.conf", "-000000005.conf",     "0000000000.conf"};
  confirm(1, 0, STATE_APPLY);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    char path[128];
    snprintf(path, sizeof path, "%s/" STATE_HISTORY "/%s", directory, names[i]);
    close(open(path, O_CREAT | O_WRONLY, 0600));
  }
  expect_list(1, "1 confirmed, ");
}
END_TEST

static void state_path(const char *name, char path[static 128]) {
  snprintf(path, 128, "%s/%s", directory, name);
}

static unsigned count_foreign(void) {
  unsigned count = 0;
  DIR *stream = opendir(directory);
  for (const struct dirent *file; (file = readdir(stream)) != NULL;) {
    count += strstr(file->d_name, ".foreign-") != NULL;
  }
  closedir(stream);
  return count;
}

/* What others in the group can put where the history should be, before there is any. */
static void put_directory(const char *path) {
  char entry[160];
  ck_assert_int_eq(mkdir(path, 0700), 0);
  snprintf(entry, sizeof entry, "%s/0000000009.conf", path);
  close(open(entry, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (chown(path, STRANGER, (gid_t)-1) < 0) {
    unlink(entry);
    rmdir(path); /* no other user here: a link does as well */
    ck_assert_int_eq(symlink("/nonexistent", path), 0);
  }
}

static void put_file(const char *path) {
  close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
}

static void put_link(const char *path) {
  ck_assert_int_eq(symlink("/tmp", path), 0);
}

static void (*const obstacles[])(const char *path) = {put_directory, put_file, put_link};

START_TEST(what_another_put_in_the_place_of_the_history_gives_way) {
  char path[128];
  struct error error = {0};
  state_path(STATE_HISTORY, path);
  obstacles[_i](path);
  ck_assert_msg(history_prepare(directory, &error) == 1, "%s", error.message);
  ck_assert_int_eq(history_prepare(directory, &error), 0);
  ck_assert_uint_eq(count_foreign(), 1);
  confirm(1, 0, STATE_APPLY);
  expect_list(1, "1 confirmed, ");
}
END_TEST

START_TEST(it_gives_way_also_when_it_comes_later) {
  char path[128];
  state_path(STATE_HISTORY, path);
  obstacles[_i](path);
  confirm(1, 0, STATE_APPLY);
  expect_list(1, "1 confirmed, ");
}
END_TEST

START_TEST(entries_in_the_history_of_another_are_not_ours) {
  char path[128], entry[128];
  struct confirmed_policy policy;
  struct history_list got;
  struct error error = {0};
  if (geteuid() != 0) {
    return;
  }
  confirm(1, 0, STATE_APPLY);
  state_path(STATE_HISTORY, path);
  entry_path(1, entry);
  if (chown(path, STRANGER, (gid_t)-1) < 0) {
    return; /* a user namespace of root alone */
  }
  ck_assert_int_eq(chown(entry, STRANGER, (gid_t)-1), 0);
  ck_assert_int_eq(history_load(directory, 1, arena, &policy, &error), -EPERM);
  ck_assert_int_eq(history_read(directory, 1, arena, &got, &error), -EPERM);
}
END_TEST

static int run_as_owner(void) {
  struct error error = {0};
  if (setresuid(OWNER, OWNER, OWNER) < 0) {
    return 77;
  }
  struct confirmed_policy confirmed = {.text = "x", .size = 1, .generation = 1};
  if (history_prepare(directory, &error) != -EPERM || strstr(error.message, "remove it as root") == NULL) {
    return 1;
  }
  error = (struct error){0};
  return state_save(directory, &confirmed, &error) == -EPERM && strstr(error.message, STATE_HISTORY) != NULL &&
                 strstr(error.message, "remove it as root") != NULL
             ? 0
             : 2;
}

START_TEST(what_cannot_be_set_aside_is_told_with_what_to_do) {
  char path[128];
  int status = 0;
  if (geteuid() != 0 || chown(directory, STRANGER, (gid_t)-1) < 0) {
    return;
  }
  ck_assert_int_eq(chmod(directory, 01777), 0); /* sticky, and not ours */
  state_path(STATE_HISTORY, path);
  ck_assert_int_eq(mkdir(path, 0755), 0);
  ck_assert_int_eq(chown(path, STRANGER + 2, (gid_t)-1), 0);
  pid_t child = fork();
  if (child == 0) {
    _exit(run_as_owner());
  }
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_msg(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77), "%x", (unsigned)status);
}
END_TEST

/* A directory cannot be written over, and the names of ours are known. */
START_TEST(a_directory_in_the_place_of_a_file_gives_way) {
  static const char *const names[] = {STATE_CONFIRMED, STATE_CONFIRMED ".new", STATE_CONFIRMED, STATE_CONFIRMED ".new"};
  char path[128], inside[160];
  struct confirmed_policy confirmed;
  state_path(names[_i], path);
  snprintf(inside, sizeof inside, "%s/x", path);
  ck_assert_int_eq(mkdir(path, 0755), 0);
  if (_i >= 2) {
    put_file(inside);
  }
  ck_assert_int_eq(save("policy = {};\n", 1), 0);
  ck_assert_int_eq(save("policy = {};\n", 2), 0);
  ck_assert_int_eq(load(&confirmed), 0);
  ck_assert_uint_eq(confirmed.generation, 2);
}
END_TEST

START_TEST(pruning_keeps_the_last_and_what_a_rollback_needs) {
  struct confirmed_policy got;
  struct error error = {0};
  enum { EXTRA = 20 };
  for (uint64_t i = 1; i <= HISTORY_KEEP + EXTRA; i++) {
    confirm(i, i - 1, STATE_APPLY);
  }
  history_prune(directory, 3, 2);
  ck_assert_uint_eq(list(0).count, HISTORY_KEEP + 2);
  ck_assert_int_eq(history_load(directory, 3, arena, &got, &error), 0);
  ck_assert_int_eq(history_load(directory, 2, arena, &got, &error), 0);
  ck_assert_int_eq(history_load(directory, EXTRA, arena, &got, &error), -ENOENT);
  ck_assert_int_eq(history_load(directory, EXTRA + 1, arena, &got, &error), 0);
}
END_TEST

START_TEST(an_entry_that_is_missing_is_completed) {
  char path[128];
  struct confirmed_policy confirmed;
  struct error error = {0};
  confirm(6, 0, STATE_APPLY);
  entry_path(6, path);
  ck_assert_int_eq(unlink(path), 0);
  ck_assert_int_eq(load(&confirmed), 0);
  ck_assert_int_eq(history_complete(directory, &confirmed, &error), 0);
  expect_list(6, "6 confirmed, ");
}
END_TEST

static void confirm_for_ever(uint64_t previous) {
  for (uint64_t number = history_newest(directory) + 1;; previous = number++) {
    confirm(number, previous, STATE_APPLY);
  }
}

START_TEST(killed_at_any_instant_history_and_confirmed_agree) {
  struct confirmed_policy confirmed = {.generation = 1};
  confirm(1, 0, STATE_APPLY);
  for (useconds_t round = 0; round < 40; round++) {
    pid_t child = fork();
    if (child == 0) {
      confirm_for_ever(confirmed.generation);
    }
    usleep(1000 + round * 211);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    struct confirmed_policy entry;
    struct error error = {0};
    ck_assert_int_eq(load(&confirmed), 0);
    ck_assert_int_eq(history_load(directory, confirmed.generation, arena, &entry, &error), 0);
    ck_assert_str_eq(entry.sha256, confirmed.sha256);
    struct history_list got = list(confirmed.generation);
    size_t left_over = (size_t)(history_newest(directory) - confirmed.generation);
    ck_assert_int_eq(got.entries[left_over].state, HISTORY_CONFIRMED);
    for (size_t i = 0; i < left_over; i++) {
      ck_assert_int_eq(got.entries[i].state, HISTORY_UNCONFIRMED);
    }
  }
}
END_TEST

/* ---- a trial ---- */

static int begin_trial(uint64_t confirmed) {
  struct state_trial trial = {.confirmed = confirmed,
                              .policy_number = "2026-03",
                              .sha256 = "abc",
                              .by = "太郎",
                              .begun_at = {1775000000},
                              .deadline = {1775000600}};
  struct error error = {0};
  return state_trial_begin(directory, &trial, &error);
}

static int load_trial(struct state_trial *ret_trial) {
  struct error error = {0};
  return state_trial_load(directory, arena, ret_trial, &error);
}

START_TEST(a_trial_is_noted_until_it_ends) {
  struct state_trial trial;
  struct error error = {0};
  ck_assert_int_eq(load_trial(&trial), -ENOENT);
  ck_assert_int_eq(begin_trial(7), 0);
  ck_assert_int_eq(load_trial(&trial), 0);
  ck_assert_uint_eq(trial.confirmed, 7);
  ck_assert_str_eq(trial.by, "太郎");
  ck_assert_int_eq(trial.deadline.seconds, 1775000600);
  ck_assert_int_eq(state_trial_end(directory, &error), 0);
  ck_assert_int_eq(load_trial(&trial), -ENOENT);
  ck_assert_int_eq(state_trial_end(directory, &error), 0);
}
END_TEST

START_TEST(a_note_that_cannot_be_read_is_told_from_none) {
  char path[128];
  struct state_trial trial;
  ck_assert_int_eq(begin_trial(7), 0);
  snprintf(path, sizeof path, "%s/" STATE_TRIAL, directory);
  struct stat status;
  ck_assert_int_eq(stat(path, &status), 0);
  for (off_t size = status.st_size - 1; size >= 0; size--) {
    ck_assert_int_eq(truncate(path, size), 0);
    ck_assert_int_eq(load_trial(&trial), -EBADMSG);
  }
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
  tcase_add_test(group, a_file_of_another_user_is_refused);
  tcase_add_test(group, a_file_that_somebody_left_for_us_to_write_is_not_written_into);
  tcase_add_test(group, killed_at_any_instant_the_old_or_the_new_is_whole);
  tcase_add_test(group, a_directory_that_cannot_be_written_is_an_error_with_its_path);
  tcase_add_test(group, who_and_what_and_when_are_kept);
  tcase_add_test(group, a_file_of_the_first_version_is_read);
  tcase_add_test(group, an_empty_directory_has_no_history);
  tcase_add_test(group, every_confirmed_policy_is_kept);
  tcase_add_test(group, an_entry_that_was_never_confirmed_is_recognised);
  tcase_add_test(group, a_damaged_entry_is_told_and_does_not_hide_others);
  tcase_add_test(group, no_damaged_byte_passes_or_does_harm);
  tcase_add_test(group, what_is_no_entry_is_left_alone);
  tcase_add_loop_test(group, what_another_put_in_the_place_of_the_history_gives_way, 0, 3);
  tcase_add_loop_test(group, it_gives_way_also_when_it_comes_later, 0, 3);
  tcase_add_test(group, entries_in_the_history_of_another_are_not_ours);
  tcase_add_test(group, what_cannot_be_set_aside_is_told_with_what_to_do);
  tcase_add_loop_test(group, a_directory_in_the_place_of_a_file_gives_way, 0, 4);
  tcase_add_test(group, pruning_keeps_the_last_and_what_a_rollback_needs);
  tcase_add_test(group, an_entry_that_is_missing_is_completed);
  tcase_add_test(group, killed_at_any_instant_history_and_confirmed_agree);
  tcase_add_test(group, a_trial_is_noted_until_it_ends);
  tcase_add_test(group, a_note_that_cannot_be_read_is_told_from_none);
  suite_add_tcase(suite, group);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
