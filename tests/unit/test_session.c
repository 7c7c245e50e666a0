/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/session.h"

START_TEST(what_sshd_writes_is_understood) {
  static const struct {
    const char *text, *operator_address, *gateway_address;
    unsigned operator_port, gateway_port;
  } cases[] = {
      {"192.0.2.7 50022 10.0.0.1 22", "192.0.2.7", "10.0.0.1", 50022, 22},
      {"2001:db8::7 1 2001:db8::1 65535", "2001:db8::7", "2001:db8::1", 1, 65535},
      {"fe80::1%eth0 50022 fe80::2%eth0 22", "fe80::1", "fe80::2", 50022, 22},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct session session;
    struct address expected;
    ck_assert_msg(session_parse(cases[i].text, &session), "%s", cases[i].text);
    ck_assert(address_parse(cases[i].operator_address, &expected) &&
              address_equal(&expected, &session.operator_address));
    ck_assert(address_parse(cases[i].gateway_address, &expected) && address_equal(&expected, &session.gateway_address));
    ck_assert_uint_eq(session.operator_port, cases[i].operator_port);
    ck_assert_uint_eq(session.gateway_port, cases[i].gateway_port);
  }
}
END_TEST

START_TEST(anything_else_is_no_session) {
  static const char *const cases[] = {
      "",
      "192.0.2.7",
      "192.0.2.7 50022 10.0.0.1",
      "192.0.2.7 50022 10.0.0.1 22 more",
      "192.0.2.7 65536 10.0.0.1 22",
      "192.0.2.7 -1 10.0.0.1 22",
      "192.0.2.7 50022 2001:db8::1 22",
      "nonsense 50022 10.0.0.1 22",
      "1111111111111111111111111111111111111111111111111111111111111111111 1 10.0.0.1 22"};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct session session;
    ck_assert_msg(!session_parse(cases[i], &session), "%s", cases[i]);
  }
}
END_TEST

START_TEST(the_variable_is_found_only_by_its_whole_name_and_whole) {
  static const char with[] = "A=b\0XSSH_CONNECTION=no\0SSH_CONNECTION=yes\0Z=";
  static const char without[] = "A=b\0XSSH_CONNECTION=no\0";
  ck_assert_str_eq(session_find_variable(with, sizeof with), "yes");
  ck_assert_ptr_null(session_find_variable(without, sizeof without));
  ck_assert_ptr_null(session_find_variable(with, sizeof with - 5));
  ck_assert_ptr_null(session_find_variable(with, 0));
}
END_TEST

/* A shell with the variable starts us without it, as sudo does. */
START_TEST(an_ancestor_tells_when_our_own_environment_does_not) {
  struct session session, expected;
  if (getenv("KIDO_TEST_INNER")) {
    ck_assert(!getenv("SSH_CONNECTION"));
    ck_assert(session_find(&session));
    ck_assert(session_parse("192.0.2.7 50022 10.0.0.1 22", &expected));
    ck_assert(address_equal(&expected.operator_address, &session.operator_address));
    return;
  }
  char command[512], self[256];
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  ck_assert_int_gt(length, 0);
  self[length] = '\0';
  snprintf(command, sizeof command,
           "SSH_CONNECTION='192.0.2.7 50022 10.0.0.1 22' CK_VERBOSITY=silent CK_RUN_CASE=inner "
           "sh -c 'env -u SSH_CONNECTION KIDO_TEST_INNER=1 \"%s\"; code=$?; exit $code'",
           self);
  int status = system(command);
  ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

START_TEST(our_own_environment_comes_first) {
  struct session session;
  struct address expected;
  ck_assert_int_eq(setenv("SSH_CONNECTION", "198.51.100.9 40000 10.0.0.1 22", 1), 0);
  ck_assert(session_find(&session));
  ck_assert(address_parse("198.51.100.9", &expected) && address_equal(&expected, &session.operator_address));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("session");
  TCase *cases = tcase_create("session");
  TCase *inner = tcase_create("inner");
  tcase_add_test(cases, what_sshd_writes_is_understood);
  tcase_add_test(cases, anything_else_is_no_session);
  tcase_add_test(cases, the_variable_is_found_only_by_its_whole_name_and_whole);
  tcase_add_test(cases, our_own_environment_comes_first);
  tcase_add_test(inner, an_ancestor_tells_when_our_own_environment_does_not);
  suite_add_tcase(suite, cases);
  suite_add_tcase(suite, inner);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
