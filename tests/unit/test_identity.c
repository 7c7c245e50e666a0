/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/identity.h"

#include <check.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "events/scribe.h"

enum { NOBODY = 65534, NOT_ROOT = 77, NO_NAMESPACE = 78 };

static int write_text(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  ssize_t written = file >= 0 ? write(file, text, strlen(text)) : -1;
  if (file >= 0)
    close(file);
  return written < 0 ? -1 : 0;
}

/* A user namespace with root in it and nobody else. */
static void be_root_alone(void) {
  char user[32], group[32];
  snprintf(user, sizeof user, "0 %u 1", geteuid());
  snprintf(group, sizeof group, "0 %u 1", getegid());
  if (unshare(CLONE_NEWUSER) < 0 || write_text("/proc/self/setgroups", "deny") < 0 ||
      write_text("/proc/self/uid_map", user) < 0 || write_text("/proc/self/gid_map", group) < 0)
    _exit(NO_NAMESPACE);
}

/* In a child; what it ends with. */
static int in_child(int (*attempt)(void)) {
  int status = 0;
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0)
    _exit(attempt());
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_msg(WIFEXITED(status), "status %x", (unsigned)status);
  return WEXITSTATUS(status);
}

static void check_child(int (*attempt)(void)) {
  int code = in_child(attempt);
  if (code == NOT_ROOT || code == NO_NAMESPACE)
    fprintf(stderr, "skipped: %s\n", code == NOT_ROOT ? "not root" : "no user namespace may be made");
  else
    ck_assert_int_eq(code, 0);
}

static int step_down_as_root(void) {
  static const gid_t further[] = {12, 34};
  struct error error = {0};
  uid_t users[3];
  gid_t groups[3];
  if (geteuid() != 0)
    return NOT_ROOT;
  if (setgroups(2, further) < 0 || identity_step_down(NOBODY, NOBODY, NULL, &error) < 0)
    return 1;
  if (getresuid(&users[0], &users[1], &users[2]) < 0 || getresgid(&groups[0], &groups[1], &groups[2]) < 0)
    return 2;
  for (int i = 0; i < 3; i++)
    if (users[i] != NOBODY || groups[i] != NOBODY)
      return 3;
  return getgroups(0, NULL) == 0 && setuid(0) < 0 ? 0 : 4;
}

START_TEST(root_becomes_the_other_for_good_and_keeps_no_group) {
  check_child(step_down_as_root);
}
END_TEST

static int step_down_as_another(void) {
  struct error error = {0};
  if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
    return NOT_ROOT;
  uid_t before = geteuid();
  return identity_step_down(1, 1, NULL, &error) == 0 && geteuid() == before ? 0 : 1;
}

START_TEST(who_is_not_root_stays_who_he_is) {
  check_child(step_down_as_another);
}
END_TEST

static int step_down_alone(void) {
  struct error error = {0};
  be_root_alone();
  return identity_step_down(NOBODY, NOBODY, NULL, &error) == 0 &&
                 identity_step_down(NOBODY, NOBODY, "root", &error) == 0
             ? 0
             : 1;
}

START_TEST(where_root_is_alone_it_stays) {
  check_child(step_down_alone);
}
END_TEST

/* The scribe follows the same rule as the daemon that started it: else the daemon runs and nothing of its events goes
 * on. */
static int run_scribe_alone(void) {
  char directory[] = "/tmp/kido-identity-XXXXXX", command[64];
  struct scribe_settings settings = scribe_settings_defaults();
  struct scribe *scribe = NULL;
  struct scribe_note note;
  struct error error = {0};
  settings.user = settings.group = NOBODY;
  be_root_alone();
  if (mkdtemp(directory) == NULL || scribe_start(directory, "kidoban", &settings, 0, &scribe, &error) < 0)
    return 1;
  int result = 0;
  bool wrote = false;
  snprintf(command, sizeof command, "test -e %s/kidoban-events.db", directory);
  for (int i = 0; i < 50 && result >= 0 && !wrote; i++) {
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    result = scribe_read(scribe, &note);
    wrote = system(command) == 0;
  }
  scribe_stop(scribe);
  snprintf(command, sizeof command, "rm -rf %s", directory);
  return system(command) == 0 && result >= 0 && wrote ? 0 : 2;
}

START_TEST(the_scribe_works_where_root_is_alone) {
  check_child(run_scribe_alone);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("identity");
  TCase *group = tcase_create("identity");
  tcase_set_timeout(group, 60);
  tcase_add_test(group, root_becomes_the_other_for_good_and_keeps_no_group);
  tcase_add_test(group, who_is_not_root_stays_who_he_is);
  tcase_add_test(group, where_root_is_alone_it_stays);
  tcase_add_test(group, the_scribe_works_where_root_is_alone);
  suite_add_tcase(suite, group);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
