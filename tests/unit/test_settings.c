/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/settings.h"

static struct arena *arena;
static char path[64];

static void set_up(void) {
  arena = arena_new(0);
  strcpy(path, "/tmp/kido-settings-XXXXXX");
  close(mkstemp(path));
}

static void tear_down(void) {
  unlink(path);
  arena_free(arena);
}

static int read_text(const char *text, struct settings *settings, struct error *error) {
  FILE *stream = fopen(path, "w");
  fputs(text, stream);
  fclose(stream);
  *settings = settings_defaults();
  return settings_read(path, arena, settings, error);
}

START_TEST(every_key_is_read) {
  struct settings settings;
  struct error error = {0};
  ck_assert_msg(read_text("policy = \"/p\"; state_directory = \"/s\"; run_directory = \"/r\"; repair = false;\n"
                          "table_owner = true; denied_log_group = 65535; language = \"en\";",
                          &settings, &error) == 0,
                "%s", error.message);
  ck_assert_str_eq(settings.policy, "/p");
  ck_assert_str_eq(settings.state_directory, "/s");
  ck_assert_str_eq(settings.run_directory, "/r");
  ck_assert(settings.table_owner);
  ck_assert_uint_eq(settings.denied_log_group, 65535);
  ck_assert(!settings.repair && settings.language_set && settings.language == LANGUAGE_ENGLISH);
}
END_TEST

START_TEST(every_key_of_events_and_sinks_is_read) {
  struct settings settings;
  struct error error = {0};
  ck_assert_msg(read_text("events = { days = 30; megabytes = 5; };\n"
                          "sinks = { syslog = { transport = \"tls\"; server = \"log.example\"; port = 7000;\n"
                          "  authorities = \"/ca.pem\"; name = \"n.example\"; heartbeat = 5; };\n"
                          "  journal = true; metrics = \"/m\";\n"
                          "  hook = { program = \"/h\"; severity = \"critical\"; seconds = 7; }; };",
                          &settings, &error) == 0,
                "%s", error.message);
  const struct scribe_settings *scribe = &settings.scribe;
  ck_assert_uint_eq(scribe->log_days, 30);
  ck_assert_uint_eq(scribe->log_bytes, 5 * 1024 * 1024);
  ck_assert_int_eq(scribe->syslog.transport, SYSLOG_TLS);
  ck_assert_str_eq(scribe->syslog.server, "log.example");
  ck_assert_uint_eq(scribe->syslog.port, 7000);
  ck_assert_str_eq(scribe->syslog.authorities, "/ca.pem");
  ck_assert_str_eq(scribe->syslog.name, "n.example");
  ck_assert_uint_eq(scribe->syslog.heartbeat, 5);
  ck_assert(scribe->journal);
  ck_assert_str_eq(scribe->metrics, "/m");
  ck_assert_str_eq(scribe->hook.program, "/h");
  ck_assert_int_eq(scribe->hook.least, EVENT_CRITICAL);
  ck_assert_uint_eq(scribe->hook.seconds, 7);
}
END_TEST

START_TEST(an_empty_file_leaves_the_defaults) {
  struct settings settings;
  struct error error = {0};
  ck_assert_int_eq(read_text("", &settings, &error), 0);
  ck_assert_str_eq(settings.policy, "/etc/kido/policy.conf");
  ck_assert(settings.repair && !settings.table_owner && !settings.language_set);
  ck_assert_uint_eq(settings.denied_log_group, 0);
}
END_TEST

static const struct {
  const char *text, *message;
} wrong[] = {
    {"polcy = \"/p\";", ":1: unknown setting 'polcy'; did you mean 'policy'?"},
    {"\nrepair = 1;", ":2: 'repair' is true or false"},
    {"table_owner = \"yes\";", ":1: 'table_owner' is true or false"},
    {"denied_log_group = 65536;", ":1: 'denied_log_group' is a number from 0 to 65535"},
    {"denied_log_group = -1;", ":1: 'denied_log_group' is a number from 0 to 65535"},
    {"language = \"fr\";", "'language' is \"ja\" or \"en\""},
    {"policy = \"relative\";", "'policy' is an absolute path"},
    {"state_directory = 5;", "'state_directory' is an absolute path"},
    {"repair = ", ":1: syntax error"},
    {"events = 5;", ":1: 'events' is a group"},
    {"events = { days = 0; };", ":1: 'days' is a number of days"},
    {"sinks = {\n jurnal = true; };", ":2: unknown setting 'jurnal' in sinks; did you mean 'journal'?"},
    {"sinks = { syslog = \"tcp\"; };", "'syslog' is a group"},
    {"sinks = { syslog = { transport = \"udp\"; }; };", "'transport' is \"none\", \"local\", \"tcp\" or \"tls\""},
    {"sinks = { syslog = { transport = \"tcp\"; }; };", "needs a 'server'"},
    {"sinks = { syslog = { transport = \"tls\"; server = \"a\"; }; };", "needs 'authorities'"},
    {"sinks = { syslog = { port = 70000; }; };", "'port' is a number from 1 to 65535"},
    {"sinks = { hook = { program = \"x\"; }; };", "'program' is an absolute path"},
    {"sinks = { hook = { severity = \"bad\"; }; };", "'severity' is \"critical\""},
    {"evidence = { keep = \"headers\"; };", "unknown setting 'evidence'"},
};

START_TEST(a_wrong_setting_is_refused_with_its_line) {
  struct settings settings;
  struct error error = {0};
  ck_assert_int_eq(read_text(wrong[_i].text, &settings, &error), -EINVAL);
  ck_assert_msg(strstr(error.message, wrong[_i].message) != NULL, "%s", error.message);
  ck_assert_str_eq(settings.policy, "/etc/kido/policy.conf");
}
END_TEST

START_TEST(a_missing_file_says_so) {
  struct settings settings = settings_defaults();
  struct error error = {0};
  ck_assert_int_eq(settings_read("/nonexistent/kido.conf", arena, &settings, &error), -ENOENT);
}
END_TEST

/* The example, with its settings uncommented, is what holds without any. */
START_TEST(the_example_gives_the_defaults) {
  char *text = NULL;
  size_t size = 0;
  FILE *example = fopen(KIDO_SOURCE_DIRECTORY "/config/kido.conf.example", "r"), *copy = open_memstream(&text, &size);
  char line[512];
  while (fgets(line, sizeof line, example)) {
    fputs(strncmp(line, "# ", 2) == 0 && strchr(line, '=') ? line + 2 : line, copy);
  }
  fclose(example);
  fclose(copy);
  struct settings settings, defaults = settings_defaults();
  struct error error = {0};
  ck_assert_msg(read_text(text, &settings, &error) == 0, "%s", error.message);
  ck_assert_str_eq(settings.policy, defaults.policy);
  ck_assert_str_eq(settings.state_directory, defaults.state_directory);
  ck_assert_str_eq(settings.run_directory, defaults.run_directory);
  ck_assert(settings.repair == defaults.repair);
  ck_assert_uint_eq(settings.scribe.log_days, defaults.scribe.log_days);
  ck_assert_uint_eq(settings.scribe.log_bytes, defaults.scribe.log_bytes);
  ck_assert_int_eq(settings.scribe.syslog.transport, SYSLOG_NONE);
  free(text);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("settings");
  TCase *group = tcase_create("settings");
  tcase_add_checked_fixture(group, set_up, tear_down);
  tcase_add_test(group, every_key_is_read);
  tcase_add_test(group, every_key_of_events_and_sinks_is_read);
  tcase_add_test(group, an_empty_file_leaves_the_defaults);
  tcase_add_loop_test(group, a_wrong_setting_is_refused_with_its_line, 0, sizeof wrong / sizeof wrong[0]);
  tcase_add_test(group, a_missing_file_says_so);
  tcase_add_test(group, the_example_gives_the_defaults);
  suite_add_tcase(suite, group);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
