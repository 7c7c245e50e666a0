/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may come in, and what is left to whom. What the reader can still do: test_reader.c. */
#include "control/privilege.h"

#include <cap-ng.h>
#include <check.h>
#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STRANGER = 4711, NOT_HERE = 77 };

static int skip_or(int code, const char *what) {
  if (code == NOT_HERE)
    fprintf(stderr, "skipped: %s needs root with all its rights\n", what);
  return code == NOT_HERE ? 0 : code;
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
  return skip_or(WEXITSTATUS(status), "who gives up rights");
}

static bool has(capng_type_t set, unsigned capability) {
  return capng_have_capability(set, capability) != 0;
}

static int keep_network(void) {
  struct error error = {0};
  if (geteuid() != 0 || privilege_keep_network(&error) < 0)
    return NOT_HERE;
  capng_get_caps_process();
  for (unsigned capability = 0; capability <= CAP_LAST_CAP; capability++) {
    bool kept = capability == CAP_NET_ADMIN || capability == CAP_SETUID || capability == CAP_SETGID;
    if (has(CAPNG_PERMITTED, capability) != kept || has(CAPNG_EFFECTIVE, capability) != kept)
      return 1 + (int)capability;
  }
  return 0;
}

START_TEST(of_root_kidod_keeps_the_network_and_stepping_down) {
  ck_assert_int_eq(in_child(keep_network), 0);
}
END_TEST

static int keep_network_without_any(void) {
  struct error error = {0};
  capng_clear(CAPNG_SELECT_CAPS);
  capng_apply(CAPNG_SELECT_CAPS);
  return privilege_keep_network(&error) == -EPERM && strstr(error.message, "CAP_NET_ADMIN") != NULL ? 0 : 1;
}

START_TEST(without_the_right_to_the_network_it_says_which_is_missing) {
  ck_assert_int_eq(in_child(keep_network_without_any), 0);
}
END_TEST

/* Where root is alone in its user namespace it stays, without rights. getuid() is not among its calls. */
static int drop_all(void) {
  struct error error = {0};
  return privilege_drop_all(&error) == 0 && setuid(0) < 0 && setgid(0) < 0 ? 0 : 1;
}

START_TEST(who_dropped_all_has_dropped_it_for_good) {
  ck_assert_int_eq(in_child(drop_all), 0);
}
END_TEST

/* ---- peers ---- */

static int listening;
static struct sockaddr_un address;

static void set_up(void) {
  address = (struct sockaddr_un){.sun_family = AF_UNIX};
  int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "kido-privilege-%d", getpid());
  ck_assert_int_gt(length, 0);
  listening = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  ck_assert_int_eq(bind(listening, (const struct sockaddr *)&address, sizeof address), 0);
  ck_assert_int_eq(listen(listening, 4), 0);
}

static void tear_down(void) {
  close(listening);
}

/* Somebody's connection; -1 where nobody else can be had. */
static int accept_from(uid_t user) {
  int ready[2], status = 0;
  ck_assert_int_eq(pipe(ready), 0);
  pid_t child = fork();
  if (child == 0) {
    char byte;
    close(ready[1]);
    if (user != geteuid() && setresuid(user, user, user) < 0)
      _exit(NOT_HERE);
    int peer = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connect(peer, (const struct sockaddr *)&address, sizeof address) < 0)
      _exit(1);
    _exit(read(ready[0], &byte, 1) == 0 ? 0 : 2);
  }
  close(ready[0]);
  struct timeval patience = {.tv_sec = 5};
  setsockopt(listening, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  int peer = geteuid() == 0 || user == geteuid() ? accept4(listening, NULL, NULL, SOCK_CLOEXEC) : -1;
  close(ready[1]);
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  return peer;
}

static void expect_peer(uid_t user, uid_t watchman, bool allowed, bool may_command) {
  int peer = accept_from(user);
  if (peer < 0)
    return;
  ck_assert_int_eq(privilege_peer_allowed(peer), allowed);
  ck_assert_int_eq(privilege_peer_may_command(peer, watchman), may_command);
  close(peer);
}

START_TEST(root_and_our_own_user_command) {
  expect_peer(geteuid(), STRANGER, true, true);
  expect_peer(geteuid(), geteuid(), true, true); /* without step-down the two are one */
}
END_TEST

START_TEST(a_stranger_does_not_even_come_in) {
  if (geteuid() == 0)
    expect_peer(STRANGER, STRANGER + 1, false, false);
}
END_TEST

START_TEST(the_watchman_does_not_command) {
  if (geteuid() == 0)
    expect_peer(STRANGER, STRANGER, false, false);
}
END_TEST

START_TEST(what_is_no_connection_is_nobodys) {
  ck_assert(!privilege_peer_allowed(-1));
  ck_assert(!privilege_peer_may_command(-1, STRANGER));
}
END_TEST

START_TEST(the_watchman_is_the_user_kidoban_else_nobody) {
  const struct passwd *user = getpwnam(PRIVILEGE_WATCHMAN_USER);
  ck_assert_uint_eq(privilege_find_watchman(), user ? user->pw_uid : PRIVILEGE_NOBODY);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("privilege");
  TCase *group = tcase_create("privilege");
  tcase_add_checked_fixture(group, set_up, tear_down);
  tcase_set_timeout(group, 30);
  tcase_add_test(group, of_root_kidod_keeps_the_network_and_stepping_down);
  tcase_add_test(group, without_the_right_to_the_network_it_says_which_is_missing);
  tcase_add_test(group, who_dropped_all_has_dropped_it_for_good);
  tcase_add_test(group, root_and_our_own_user_command);
  tcase_add_test(group, a_stranger_does_not_even_come_in);
  tcase_add_test(group, the_watchman_does_not_command);
  tcase_add_test(group, what_is_no_connection_is_nobodys);
  tcase_add_test(group, the_watchman_is_the_user_kidoban_else_nobody);
  suite_add_tcase(suite, group);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
