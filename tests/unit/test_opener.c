/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The opener as its master and as a stranger in its master's place sees it. */
#include "control/opener.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[32], policy[64], publication[64];
static int listening, caught[2];
static struct opener opener;

static void write_policy(void) {
  FILE *file = fopen(policy, "we");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_ge(fputs("the policy", file), 0);
  ck_assert_int_eq(fclose(file), 0);
}

static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  ck_assert_int_ge(descriptor, 0);
  ck_assert_int_eq(bind(descriptor, (const struct sockaddr *)&address, sizeof address), 0);
  ck_assert_int_eq(listen(descriptor, 8), 0);
  return descriptor;
}

/* In place of what the sandbox catches stands a pipe into which nobody writes. */
static void set_up(void) {
  struct error error = {0};
  strcpy(directory, "/tmp/kido-opener-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(directory));
  snprintf(policy, sizeof policy, "%s/policy.conf", directory);
  snprintf(publication, sizeof publication, "%s/kidod.sock", directory);
  write_policy();
  listening = listen_at(publication);
  struct opener_targets targets = {{[OPENER_KIDOD] = publication, [OPENER_POLICY] = policy}};
  ck_assert_int_eq(opener_start(&targets, &opener, &error), 0);
  ck_assert_int_eq(pipe2(caught, O_CLOEXEC), 0);
  ck_assert_int_eq(opener_give(&opener, caught[0], &error), 0);
}

static void tear_down(void) {
  close(opener.link);
  ck_assert_int_eq(waitpid(opener.pid, NULL, 0), opener.pid);
  close(listening);
  close(caught[0]);
  close(caught[1]);
  unlink(policy);
  unlink(publication);
  ck_assert_int_eq(rmdir(directory), 0);
}

static bool is_policy(int descriptor) {
  char text[32] = "";
  return read(descriptor, text, sizeof text - 1) > 0 && strcmp(text, "the policy") == 0;
}

static bool is_connection(int descriptor) {
  int domain = 0;
  socklen_t size = sizeof domain;
  return getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

static int count_descriptors(pid_t pid) {
  char path[40];
  int count = 0;
  snprintf(path, sizeof path, "/proc/%d/fd", pid);
  DIR *list = opendir(path);
  while (list != NULL && readdir(list) != NULL)
    count++;
  if (list != NULL)
    closedir(list);
  return count;
}

START_TEST(each_wish_brings_what_was_wished) {
  for (unsigned i = 0; i < 3; i++) {
    int file = opener_ask(&opener, OPENER_POLICY), connection = opener_ask(&opener, OPENER_KIDOD);
    ck_assert_int_ge(file, 0);
    ck_assert_int_ge(connection, 0);
    ck_assert(is_policy(file));
    ck_assert(is_connection(connection));
    close(file);
    close(connection);
  }
}
END_TEST

START_TEST(what_cannot_be_opened_says_why) {
  ck_assert_int_eq(unlink(policy), 0);
  ck_assert_int_eq(opener_ask(&opener, OPENER_POLICY), -ENOENT);
  ck_assert_int_eq(opener_ask(&opener, OPENER_WISHES_), -EINVAL);
}
END_TEST

/* An opener that stands still, as on a disk that does not answer: its answer comes when nobody waits for it. */
START_TEST(a_late_answer_is_not_that_to_the_next_wish) {
  ck_assert_int_eq(kill(opener.pid, SIGSTOP), 0);
  ck_assert_int_eq(opener_ask(&opener, OPENER_POLICY), -ETIMEDOUT);
  ck_assert_int_eq(opener_ask(&opener, OPENER_POLICY), -ETIMEDOUT);
  int before = count_descriptors(getpid());
  ck_assert_int_eq(kill(opener.pid, SIGCONT), 0);
  int connection = opener_ask(&opener, OPENER_KIDOD);
  ck_assert_int_ge(connection, 0);
  ck_assert_msg(is_connection(connection), "got the answer to another wish");
  ck_assert_int_eq(count_descriptors(getpid()), before + 1);
  close(connection);
}
END_TEST

/* Its end and a late answer both make the link readable. */
START_TEST(a_late_answer_is_not_its_end) {
  struct pollfd late = {.fd = opener.link, .events = POLLIN};
  int before = count_descriptors(getpid());
  ck_assert(opener_lives(&opener));
  ck_assert_int_eq(kill(opener.pid, SIGSTOP), 0);
  ck_assert_int_eq(opener_ask(&opener, OPENER_POLICY), -ETIMEDOUT);
  ck_assert_int_eq(kill(opener.pid, SIGCONT), 0);
  ck_assert_int_eq(poll(&late, 1, 10000), 1);
  ck_assert(opener_lives(&opener));
  ck_assert_int_eq(count_descriptors(getpid()), before);
  ck_assert_int_eq(poll(&late, 1, 0), 0);
  ck_assert_int_eq(kill(opener.pid, SIGKILL), 0);
  ck_assert_int_eq(poll(&late, 1, 10000), 1);
  ck_assert(!opener_lives(&opener));
  ck_assert_int_lt(opener_ask(&opener, OPENER_POLICY), 0);
}
END_TEST

/* Who took over the one that it serves can only stop its service, not fill it with descriptors. */
START_TEST(descriptors_that_nobody_wants_do_not_stay_in_it) {
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(4 * sizeof(int))];
  } control;
  uint32_t words[2] = {UINT32_MAX, OPENER_POLICY};
  int before = count_descriptors(opener.pid);
  for (unsigned i = 0; i < 100; i++) {
    struct iovec vector = {words, sizeof words};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.bytes};
    memset(&control, 0, sizeof control);
    control.header = (struct cmsghdr){CMSG_LEN(4 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    for (size_t at = 0; at < 4; at++)
      memcpy(CMSG_DATA(&control.header) + at * sizeof(int), &caught[0], sizeof(int));
    ck_assert_int_eq(sendmsg(opener.link, &message, MSG_NOSIGNAL), sizeof words);
  }
  int file = opener_ask(&opener, OPENER_POLICY);
  ck_assert_int_ge(file, 0);
  ck_assert_int_lt(count_descriptors(opener.pid), before + 10);
  close(file);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("opener");
  TCase *group = tcase_create("opener");
  tcase_add_checked_fixture(group, set_up, tear_down);
  tcase_set_timeout(group, 60);
  tcase_add_test(group, each_wish_brings_what_was_wished);
  tcase_add_test(group, what_cannot_be_opened_says_why);
  tcase_add_test(group, a_late_answer_is_not_that_to_the_next_wish);
  tcase_add_test(group, a_late_answer_is_not_its_end);
  tcase_add_test(group, descriptors_that_nobody_wants_do_not_stay_in_it);
  suite_add_tcase(suite, group);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
