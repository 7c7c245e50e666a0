/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/message.h"
#include "control/protocol.h"
#include "control/publication.h"
#include "policy/restrictions.h"

static int ends[2];

static void set_up(void) {
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
}

static void tear_down(void) {
  close(ends[0]);
  close(ends[1]);
}

struct request_case {
  struct control_request request;
  bool with_policy;
  int result;
};

#define ASKS(VERB, ...)                                                                                                \
  { .magic = CONTROL_MAGIC, .version = CONTROL_VERSION, .verb = CONTROL_##VERB, __VA_ARGS__ }

static const struct request_case request_cases[] = {
    {ASKS(STATUS, 0), false, 0},
    {ASKS(FLOWS, .language = 2), false, 0},
    {ASKS(APPLY, .language = 1), true, 0},
    {ASKS(APPLY, .seconds = 600, .flags = CONTROL_ALLOW_LOCKOUT), true, 0},
    {ASKS(APPLY, .seconds = CONTROL_TRIAL_SECONDS_MAX + 1), true, -EPROTO},
    {ASKS(APPLY, .flags = CONTROL_DRY_RUN), true, -EPROTO},
    {ASKS(APPLY, 0), false, -EPROTO},
    {ASKS(CONFIRM, 0), false, 0},
    {ASKS(CONFIRM, .number = 1), false, -EPROTO},
    {ASKS(ROLLBACK, .number = 7), false, 0},
    {ASKS(CUT, .kind = CUT_HOST, .address = {AF_INET, {10, 0, 0, 1}}), true, 0},
    {ASKS(CUT, .kind = CUT_HOST, .address = {AF_UNIX, {0}}), true, -EPROTO},
    {ASKS(CUT, .kind = CUT_KIND_COUNT_), true, -EPROTO},
    {ASKS(CUT, .kind = CUT_ALL), false, -EPROTO},
    {ASKS(STATUS, .operator_address = {AF_INET6, {0}}, .operator_port = 65535), false, 0},
    {ASKS(STATUS, .operator_port = 65536), false, -EPROTO},
    {ASKS(STATUS, .operator_address = {1, {0}}), false, -EPROTO},
    {ASKS(STATUS, 0), true, -EPROTO},
    {{.magic = CONTROL_MAGIC + 1, .version = CONTROL_VERSION, .verb = CONTROL_STATUS}, false, -EPROTO},
    {{.magic = CONTROL_MAGIC, .version = CONTROL_VERSION + 1, .verb = CONTROL_STATUS}, false, -EPROTO},
    {ASKS(VERB_END_, 0), false, -EPROTO},
    {{.magic = CONTROL_MAGIC, .version = CONTROL_VERSION, .verb = 0}, false, -EPROTO},
    {ASKS(STATUS, .language = 3), false, -EPROTO},
};

enum { REQUEST_CASES = sizeof request_cases / sizeof request_cases[0] };

START_TEST(a_request_is_taken_only_when_every_field_is_right) {
  const struct request_case *test = &request_cases[_i];
  int policy = sealed_memfd("policy", "x", 1);
  ck_assert_int_eq(control_request_send(ends[0], &test->request, test->with_policy ? policy : -1), 0);
  close(policy);
  struct control_request request;
  struct error error = {0};
  int fd = -1;
  ck_assert_int_eq(control_request_receive(ends[1], &request, &fd, &error), test->result);
  ck_assert_int_eq(fd >= 0, test->result == 0 && test->with_policy);
  if (fd >= 0) {
    close(fd);
  }
}
END_TEST

START_TEST(a_policy_over_the_limit_is_refused_before_it_is_read) {
  int fd = sealed_memfd("policy", "xyz", 3);
  struct error error = {0};
  uint64_t size;
  ck_assert_int_eq(sealed_check(fd, 3, &size, &error), 0);
  ck_assert_int_eq(sealed_check(fd, 2, &size, &error), -EPROTO);
  close(fd);
}
END_TEST

START_TEST(garbage_of_any_length_is_a_protocol_error) {
  char garbage[256];
  memset(garbage, 0xa5, sizeof garbage);
  for (size_t size = 1; size < sizeof garbage; size++) {
    ck_assert_int_eq(message_send(ends[0], garbage, size, -1), 0);
    struct control_request request;
    int fd = -1;
    struct error error = {0};
    ck_assert_int_eq(control_request_receive(ends[1], &request, &fd, &error), -EPROTO);
  }
}
END_TEST

START_TEST(more_than_one_descriptor_is_refused_and_none_leaks) {
  struct control_request request = ASKS(STATUS, 0);
  union {
    char bytes[CMSG_SPACE(2 * sizeof(int))];
    struct cmsghdr align;
  } ancillary = {{0}};
  struct iovec vector = {&request, sizeof request};
  struct msghdr message = {
      .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &ancillary, .msg_controllen = sizeof ancillary};
  int both[2] = {ends[0], ends[1]};
  *CMSG_FIRSTHDR(&message) = (struct cmsghdr){CMSG_LEN(sizeof both), SOL_SOCKET, SCM_RIGHTS};
  memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), both, sizeof both);
  int before = dup(0);
  close(before);
  ck_assert_int_eq(sendmsg(ends[0], &message, 0), sizeof request);
  int fd = -1;
  struct error error = {0};
  ck_assert_int_eq(control_request_receive(ends[1], &request, &fd, &error), -EPROTO);
  ck_assert_int_eq(fd, -1);
  int after = dup(0);
  close(after);
  ck_assert_int_eq(before, after);
}
END_TEST

START_TEST(a_final_reply_carries_its_body) {
  struct control_reply reply = {CONTROL_MAGIC, CONTROL_VERSION, 1, CONTROL_STEP_CONFIRM, 0, 0, 2}, received;
  int body = sealed_memfd("body", "{}", 2), fd = -1;
  struct error error = {0};
  ck_assert_int_eq(control_reply_send(ends[0], &reply, body), 0);
  ck_assert_int_eq(control_reply_receive(ends[1], &received, &fd, &error), 0);
  ck_assert_uint_eq(received.body_size, 2);
  close(fd);
  reply.body_size = 3;
  ck_assert_int_eq(control_reply_send(ends[0], &reply, body), 0);
  ck_assert_int_eq(control_reply_receive(ends[1], &received, &fd, &error), -EPROTO);
  ck_assert_int_eq(control_reply_send(ends[0], &reply, -1), 0);
  ck_assert_int_eq(control_reply_receive(ends[1], &received, &fd, &error), -EPROTO);
  close(body);
}
END_TEST

START_TEST(a_step_has_a_name) {
  ck_assert_str_eq(control_step_name(CONTROL_STEP_NONE), "");
  ck_assert_str_eq(control_step_name(CONTROL_STEP_CONFIRM), "confirm");
}
END_TEST

START_TEST(a_socket_path_that_is_too_long_is_an_error) {
  char directory[200];
  memset(directory, 'd', sizeof directory - 1);
  directory[sizeof directory - 1] = '\0';
  struct error error = {0};
  ck_assert_int_eq(message_connect(directory, CONTROL_SOCKET, &error), -ENAMETOOLONG);
  ck_assert_int_eq(message_listen(directory, CONTROL_SOCKET, &error), -ENAMETOOLONG);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("protocol");
  TCase *group = tcase_create("protocol");
  tcase_add_checked_fixture(group, set_up, tear_down);
  tcase_add_loop_test(group, a_request_is_taken_only_when_every_field_is_right, 0, REQUEST_CASES);
  tcase_add_test(group, a_policy_over_the_limit_is_refused_before_it_is_read);
  tcase_add_test(group, garbage_of_any_length_is_a_protocol_error);
  tcase_add_test(group, more_than_one_descriptor_is_refused_and_none_leaks);
  tcase_add_test(group, a_final_reply_carries_its_body);
  tcase_add_test(group, a_step_has_a_name);
  tcase_add_test(group, a_socket_path_that_is_too_long_is_an_error);
  suite_add_tcase(suite, group);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
