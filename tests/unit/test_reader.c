/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/privilege.h"
#include "control/publication.h"
#include "control/reader.h"
#include "policy/print.h"
#include "policy/read.h"

static struct arena *arena;

static void set_up(void) {
  arena = arena_new(0);
}

static void tear_down(void) {
  arena_free(arena);
}

/* Lets a child judge a text or a file; the answer's diagnostics are released by the caller. */
static struct reader_result judge_as(enum reader_matter matter, const char *text, size_t size, const char *path) {
  int fd = text ? sealed_memfd("policy", text, size) : -1;
  struct reader_request request = {.matter = matter,
                                   .policy_fd = fd,
                                   .path = path,
                                   .language = LANGUAGE_ENGLISH,
                                   .language_forced = true,
                                   .now = {1790000000}};
  struct policy_reader reader;
  struct error error = {0};
  ck_assert_msg(policy_reader_start(&request, &reader, &error) == 0, "%s", error.message);
  int status;
  ck_assert_int_eq(waitpid(reader.pid, &status, 0), reader.pid);
  struct reader_result result;
  policy_reader_finish(&reader, status, arena, &result);
  if (fd >= 0) {
    close(fd);
  }
  return result;
}

static struct reader_result judge(const char *text, const char *path) {
  return judge_as(READER_POLICY, text, text ? strlen(text) : 0, path);
}

START_TEST(an_order_comes_back_as_names_and_a_reason) {
  static const struct {
    const char *text, *canonical;
  } cases[] = {
      {"lgwan internet\n感染の疑い\n", "lgwan internet\n感染の疑い"},
      {"  lgwan   internet \nwhy", "lgwan internet\nwhy"},
      {"\nwhy\n", "\nwhy"},
      {"F-901\n", "F-901\n"},
      {"\n\n", "\n"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct reader_result result = judge_as(READER_ORDER, cases[i].text, strlen(cases[i].text), "order");
    ck_assert_msg(result.verdict == READER_GOOD, "%zu: %s", i, result.message ? result.message : "errors");
    ck_assert_str_eq(result.text, cases[i].canonical);
    json_decref(result.diagnostics);
  }
}
END_TEST

START_TEST(what_is_no_order_is_refused) {
  static char long_text[5000];
  memset(long_text, 'a', sizeof long_text);
  long_text[0] = '\n';
  static const struct {
    const char *text;
    size_t size;
  } cases[] = {{"", 0},
               {"lgwan", 5},
               {"lg;wan\nwhy\n", 11},
               {"lg\0wan\nwhy", 10},
               {"\nwhy\0", 5},
               {"\none\ntwo\n", 9},
               {"\n\033[31mred\n", 10},
               {"\n\xc2\x9b"
                "31m\n",
                7},
               {"\n\xff\xfe\n", 4},
               {"\n\xe6\x84", 3},
               {long_text, sizeof long_text}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct reader_result result = judge_as(READER_ORDER, cases[i].text, cases[i].size, "order");
    ck_assert_msg(result.verdict == READER_FAILED, "case %zu", i);
    ck_assert_ptr_nonnull(result.message);
    ck_assert_ptr_null(result.text);
    json_decref(result.diagnostics);
  }
}
END_TEST

START_TEST(a_good_policy_comes_back_in_canonical_form) {
  const char *path = KIDO_SOURCE_DIRECTORY "/config/examples/town.conf";
  struct reader_result result = judge(NULL, path);
  ck_assert_msg(result.verdict == READER_GOOD, "%s", result.message ? result.message : "errors");
  const struct policy *policy;
  struct diagnostic_list diagnostics;
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read(path, arena, true, &policy, &diagnostics, NULL), 0);
  size_t size;
  ck_assert_str_eq(policy_print(policy, arena, &size), result.text);
  ck_assert_uint_eq(size, result.size);
  json_decref(result.diagnostics);
}
END_TEST

START_TEST(a_policy_with_errors_comes_back_with_its_diagnostics) {
  struct reader_result result = judge("policy = { number = \"1\"; };\n", "bad");
  ck_assert_int_eq(result.verdict, READER_ERRORS);
  ck_assert_uint_gt(json_array_size(result.diagnostics), 0);
  ck_assert_ptr_null(result.text);
  json_decref(result.diagnostics);
}
END_TEST

START_TEST(a_file_that_is_not_there_fails_with_its_name) {
  struct reader_result result = judge(NULL, "/nonexistent/policy.conf");
  ck_assert_int_eq(result.verdict, READER_FAILED);
  ck_assert_ptr_nonnull(strstr(result.message, "/nonexistent/policy.conf"));
  json_decref(result.diagnostics);
}
END_TEST

START_TEST(a_reader_that_dies_refuses_the_policy) {
  static const int ends[] = {SIGSEGV, 7 << 8};
  int policy = sealed_memfd("policy", "x", 1), report = sealed_memfd("report", "{}", 2);
  struct policy_reader reader = {.pid = -1, .policy_fd = policy, .report_fd = report};
  struct reader_result result;
  policy_reader_finish(&reader, ends[_i], arena, &result);
  ck_assert_int_eq(result.verdict, READER_FAILED);
  ck_assert_ptr_nonnull(result.message);
  json_decref(result.diagnostics);
}
END_TEST

static const char *const bad_reports[] = {"", "{", "[]", "{\"diagnostics\":5}", "{\"message\":[1]}", "\xff\xff"};

START_TEST(a_report_that_is_not_one_refuses_the_policy) {
  const char *text = bad_reports[_i];
  struct policy_reader reader = {
      .pid = -1, .policy_fd = sealed_memfd("policy", "x", 1), .report_fd = sealed_memfd("report", text, strlen(text))};
  struct reader_result result;
  policy_reader_finish(&reader, 0, arena, &result);
  ck_assert_int_eq(result.verdict, READER_FAILED);
  json_decref(result.diagnostics);
}
END_TEST

/* Each is what code that took over the reader would try; exit code 0: it could not. */
static int try_to_write_a_file(void) {
  return open("/tmp/kido-reader-escaped", O_WRONLY | O_CREAT, 0600) < 0 ? 0 : 1;
}
static int try_to_open_a_socket(void) {
  return socket(AF_INET, SOCK_STREAM, 0) < 0 ? 0 : 1;
}
static int try_to_fork(void) {
  return fork() < 0 ? 0 : 1;
}
static int try_to_become_root(void) {
  return setresuid(0, 0, 0) < 0 ? 0 : 1;
}
static int try_to_run_a_program(void) {
  execl("/bin/true", "true", (char *)NULL);
  return 0;
}
static int try_to_change_a_mode(void) {
  return chmod("/tmp", 0777) < 0 ? 0 : 1;
}

START_TEST(a_reader_that_was_taken_over_can_do_nothing) {
  static int (*const attempts[])(void) = {try_to_write_a_file, try_to_open_a_socket, try_to_fork,
                                          try_to_become_root,  try_to_run_a_program, try_to_change_a_mode};
  pid_t child = fork();
  if (child == 0) {
    struct error error = {0};
    _exit(privilege_drop_all(&error) < 0 ? 2 : attempts[_i]());
  }
  int status;
  waitpid(child, &status, 0);
  ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "attempt %d: status %x", _i, (unsigned)status);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("reader");
  TCase *group = tcase_create("reader");
  tcase_add_checked_fixture(group, set_up, tear_down);
  tcase_set_timeout(group, 60);
  tcase_add_test(group, an_order_comes_back_as_names_and_a_reason);
  tcase_add_test(group, what_is_no_order_is_refused);
  tcase_add_test(group, a_good_policy_comes_back_in_canonical_form);
  tcase_add_test(group, a_policy_with_errors_comes_back_with_its_diagnostics);
  tcase_add_test(group, a_file_that_is_not_there_fails_with_its_name);
  tcase_add_loop_test(group, a_reader_that_dies_refuses_the_policy, 0, 2);
  tcase_add_loop_test(group, a_report_that_is_not_one_refuses_the_policy, 0,
                      sizeof bad_reports / sizeof bad_reports[0]);
  tcase_add_loop_test(group, a_reader_that_was_taken_over_can_do_nothing, 0, 6);
  suite_add_tcase(suite, group);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
