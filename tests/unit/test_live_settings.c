/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "watch/live_settings.h"

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

static int read_text(const char *text, struct live_settings *settings, struct error *error) {
  FILE *stream = fopen(path, "w");
  fputs(text, stream);
  fclose(stream);
  *settings = live_settings_defaults();
  return live_settings_read(path, arena, settings, error);
}

START_TEST(every_key_is_read) {
  struct live_settings settings;
  struct error error = {0};
  ck_assert_msg(
      read_text("policy = \"/p\"; state_directory = \"/s\"; run_directory = \"/r\"; user = \"u\"; buffer = 64;\n"
                "canary_interval = 100; prefilter = false; language = \"en\";\n"
                "wires = ( { interface = \"eth0\"; vantage = \"tap\"; presence = \"always\"; canary = false; },\n"
                "{ interface = \"eth9\"; zone = \"lgwan\"; vantage = \"mirror\"; canary = true;\n"
                "  gateway_macs = [ \"02:00:00:00:00:01\", \"02:00:00:00:00:02\" ]; } );",
                &settings, &error) == 0,
      "%s", error.message);
  ck_assert_str_eq(settings.policy, "/p");
  ck_assert_str_eq(settings.state_directory, "/s");
  ck_assert_str_eq(settings.run_directory, "/r");
  ck_assert_str_eq(settings.user, "u");
  ck_assert_uint_eq(settings.buffer, 64);
  ck_assert_int_eq(settings.canary_milliseconds, 100);
  ck_assert(settings.without_prefilter);
  ck_assert(settings.language_set && settings.language == LANGUAGE_ENGLISH);
  ck_assert_uint_eq(settings.wire_count, 2);
  const struct wire_settings *first = live_settings_wire(&settings, "eth0"),
                             *second = live_settings_wire(&settings, "eth9");
  ck_assert(first->vantage == VANTAGE_TAP && first->presence == PRESENCE_ALWAYS && first->canary == CANARY_NEVER);
  ck_assert(second->vantage == VANTAGE_MIRROR && second->presence == PRESENCE_SOMETIMES);
  ck_assert(second->canary == CANARY_ALWAYS && second->gateway_mac_count == 2);
  ck_assert_str_eq(second->zone, "lgwan");
  ck_assert_uint_eq(second->gateway_macs[1].bytes[5], 2);
  ck_assert_ptr_null(live_settings_wire(&settings, "eth1"));
}
END_TEST

START_TEST(an_empty_file_leaves_the_defaults) {
  struct live_settings settings;
  struct error error = {0};
  ck_assert_int_eq(read_text("", &settings, &error), 0);
  ck_assert_ptr_null(settings.policy);
  ck_assert_uint_eq(settings.wire_count, 0);
  ck_assert_int_eq(settings.canary_milliseconds, CANARY_MILLISECONDS_DEFAULT);
  ck_assert(!settings.without_prefilter);
}
END_TEST

static const struct {
  const char *text, *message;
} wrong[] = {
    {"bufer = 5;", ":1: unknown setting 'bufer'; did you mean 'buffer'?"},
    {"\nbuffer = 0;", ":2: 'buffer' is a number of megabytes from 1 to 2047"},
    {"buffer = \"5\";", ":1: 'buffer' is a number"},
    {"canary_interval = 99;", "'canary_interval' is a number of milliseconds from 100"},
    {"language = \"fr\";", "'language' is \"ja\" or \"en\""},
    {"policy = \"relative\";", "'policy' is an absolute path"},
    {"wires = { interface = \"a\"; };", "'wires' is a list"},
    {"wires = ( \"a\" );", "'wires' is a list of groups"},
    {"wires = (\n{ zone = \"a\"; } );", ":2: a wire without 'interface'"},
    {"wires = (\n{ interface = \"a\";\n vintage = \"tap\"; } );",
     ":3: unknown setting 'vintage'; did you mean 'vantage'?"},
    {"wires = ( { interface = \"a\"; vantage = \"hub\"; } );", "'vantage' is \"port\", \"mirror\" or \"tap\""},
    {"wires = ( { interface = \"a\"; presence = \"never\"; } );", "'presence' is \"always\" or \"sometimes\""},
    {"wires = ( { interface = \"a\"; canary = 1; } );", "'canary' is true or false"},
    {"wires = ( { interface = \"an-interface-name-too-long\"; } );", "'interface' is the name of an interface"},
    {"wires = ( { interface = \"a\"; gateway_macs = [ \"02:00\" ]; } );", "'gateway_macs' is at most 8 MAC addresses"},
    {"wires = ( { interface = \"a\"; },\n{ interface = \"a\"; } );", ":2: a second wire of interface a"},
    {"wires = (", ": syntax error"},
};

START_TEST(a_wrong_setting_is_refused_with_its_line) {
  struct live_settings settings;
  struct error error = {0};
  ck_assert_int_eq(read_text(wrong[_i].text, &settings, &error), -EINVAL);
  ck_assert_msg(strstr(error.message, wrong[_i].message) != NULL, "%s", error.message);
  ck_assert_uint_eq(settings.wire_count, 0);
}
END_TEST

START_TEST(a_missing_file_is_told_apart) {
  struct live_settings settings = live_settings_defaults();
  struct error error = {0};
  unlink(path);
  ck_assert_int_eq(live_settings_read(path, arena, &settings, &error), -ENOENT);
}
END_TEST

START_TEST(the_example_is_read) {
  struct live_settings settings = live_settings_defaults();
  struct error error = {0};
  ck_assert_msg(live_settings_read(KIDO_SOURCE_DIRECTORY "/config/kidoban.conf.example", arena, &settings, &error) == 0,
                "%s", error.message);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("live settings");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_test(all, every_key_is_read);
  tcase_add_test(all, an_empty_file_leaves_the_defaults);
  tcase_add_loop_test(all, a_wrong_setting_is_refused_with_its_line, 0, (int)(sizeof wrong / sizeof wrong[0]));
  tcase_add_test(all, a_missing_file_is_told_apart);
  tcase_add_test(all, the_example_is_read);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
