/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/status.h"

#include <check.h>
#include <dirent.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static char directory[32];
static struct watch_status_desk *desk;
static const struct watch_status status = {
    .magic = WATCH_STATUS_MAGIC, .version = WATCH_STATUS_VERSION, .state = WATCH_DEGRADED, .policy_number = "7"};
static const struct watch_status_request request = {WATCH_STATUS_MAGIC, WATCH_STATUS_VERSION};

static void set_up(void) {
  struct error error = {0};
  strcpy(directory, "/tmp/kido-status-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(directory));
  ck_assert_int_eq(watch_status_open(directory, &desk, &error), 0);
}

static void tear_down(void) {
  char path[80];
  desk = watch_status_close(desk);
  snprintf(path, sizeof path, "%s/" WATCH_STATUS_SOCKET, directory);
  unlink(path);
  ck_assert_int_eq(rmdir(directory), 0);
}

static int connect_client(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s/" WATCH_STATUS_SOCKET, directory);
  int client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  ck_assert_int_ge(client, 0);
  ck_assert_int_eq(connect(client, (const struct sockaddr *)&address, sizeof address), 0);
  return client;
}

static void ask(int client) {
  ck_assert_int_eq(send(client, &request, sizeof request, MSG_NOSIGNAL), sizeof request);
}

static bool is_answered(int client) {
  struct watch_status got;
  return recv(client, &got, sizeof got, MSG_DONTWAIT) == (ssize_t)sizeof got && memcmp(&got, &status, sizeof got) == 0;
}

static bool is_closed(int client) {
  char byte;
  return recv(client, &byte, 1, MSG_DONTWAIT) == 0;
}

static int64_t milliseconds_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* As the loop of the watchman does; how long it was away from its frames. */
static int64_t serve(void) {
  struct pollfd wait = {.fd = watch_status_descriptor(desk), .events = POLLIN};
  int64_t from = milliseconds_now();
  for (unsigned i = 0; i < 100 && poll(&wait, 1, 0) > 0; i++)
    watch_status_answer(desk, &status);
  ck_assert_int_eq(poll(&wait, 1, 0), 0);
  return milliseconds_now() - from;
}

static int count_descriptors(void) {
  DIR *list = opendir("/proc/self/fd");
  int count = 0;
  while (readdir(list) != NULL)
    count++;
  closedir(list);
  return count;
}

START_TEST(who_asks_is_answered) {
  int client = connect_client();
  ask(client);
  serve();
  ck_assert(is_answered(client));
  ck_assert(is_closed(client));
  close(client);
}
END_TEST

START_TEST(who_is_silent_holds_up_nobody) {
  int silent[4], client;
  for (int i = 0; i < 4; i++)
    silent[i] = connect_client();
  client = connect_client();
  ask(client);
  ck_assert_int_lt(serve(), 80);
  ck_assert(is_answered(client));
  close(client);
  for (int i = 0; i < 4; i++)
    close(silent[i]);
}
END_TEST

START_TEST(who_asks_late_is_answered_then) {
  int client = connect_client();
  serve();
  ck_assert(!is_answered(client));
  ask(client);
  serve();
  ck_assert(is_answered(client));
  ck_assert(is_closed(client));
  close(client);
}
END_TEST

START_TEST(many_silent_ones_take_no_more_than_their_places) {
  int before = count_descriptors(), silent[3 * WATCH_STATUS_CLIENTS];
  for (int i = 0; i < 3 * WATCH_STATUS_CLIENTS; i++) {
    silent[i] = connect_client();
    serve();
  }
  ck_assert_int_eq(count_descriptors(), before + 4 * WATCH_STATUS_CLIENTS);
  ck_assert(is_closed(silent[0])); /* the oldest goes */
  ask(silent[3 * WATCH_STATUS_CLIENTS - 1]);
  serve();
  ck_assert(is_answered(silent[3 * WATCH_STATUS_CLIENTS - 1]));
  for (int i = 0; i < 3 * WATCH_STATUS_CLIENTS; i++)
    close(silent[i]);
  serve();
  ck_assert_int_eq(count_descriptors(), before); /* who went without asking leaves nothing */
}
END_TEST

static const struct {
  const char *bytes;
  size_t size;
} nonsense[] = {{"x", 1}, {"", 0}, {"12345678", 8}, {"NABKxxxxx", 9}};

START_TEST(who_talks_nonsense_gets_nothing) {
  int client = connect_client();
  serve();
  ck_assert_int_eq(send(client, nonsense[_i].bytes, nonsense[_i].size, MSG_NOSIGNAL), (ssize_t)nonsense[_i].size);
  serve();
  ck_assert(is_closed(client));
  close(client);
}
END_TEST

/* Who asks again and again without taking the answers is not waited for. */
START_TEST(who_does_not_listen_holds_up_nobody) {
  int client = connect_client(), least = 1;
  setsockopt(client, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
  ask(client);
  close(client);
  ck_assert_int_lt(serve(), 80);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("watch status");
  TCase *group = tcase_create("watch status");
  tcase_add_checked_fixture(group, set_up, tear_down);
  tcase_set_timeout(group, 60);
  tcase_add_test(group, who_asks_is_answered);
  tcase_add_test(group, who_is_silent_holds_up_nobody);
  tcase_add_test(group, who_asks_late_is_answered_then);
  tcase_add_test(group, many_silent_ones_take_no_more_than_their_places);
  tcase_add_loop_test(group, who_talks_nonsense_gets_nothing, 0, sizeof nonsense / sizeof nonsense[0]);
  tcase_add_test(group, who_does_not_listen_holds_up_nobody);
  suite_add_tcase(suite, group);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
