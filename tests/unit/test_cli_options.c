/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/verb.h"

static struct arena *arena;

static void set_up(void) {
  arena = arena_new(0);
  unsetenv("NO_COLOR");
  setenv("LC_ALL", "C", 1);
}

static void tear_down(void) {
  arena_free(arena);
}

enum { WORD_LIMIT = 16 };

/* Parses words separated by blanks. */
static int parse(const char *line, struct invocation *ret_invocation, struct error *error) {
  char *words[WORD_LIMIT];
  size_t count = 0;
  char *copy = arena_strdup(arena, line), *rest = NULL;
  for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
    words[count++] = word;
  }
  char **kept = arena_memdup(arena, words, sizeof words);
  return invocation_parse(arena, kept, count, ret_invocation, error);
}

static const struct {
  const char *line, *verb;
  size_t arguments;
} good_lines[] = {
    {"", "status", 0},
    {"--json", "status", 0},
    {"check town.conf", "check", 1},
    {"che town.conf", "check", 1},
    {"--json check town.conf", "check", 1},
    {"check --policy town.conf --json", "check", 0},
    {"check --policy=town.conf", "check", 0},
    {"explain 10.0.0.1 10.0.0.2 tcp/443 --reply", "explain", 3},
    {"check -- --strange", "check", 1},
    {"check -", "check", 1},
    {"ev --follow", "events", 0},
    {"--language ja status", "status", 0},
    {"status --color=never", "status", 0},
    {"replay a=b c=d e=f", "replay", 3},
};

START_TEST(a_right_command_line_finds_its_verb_and_arguments) {
  struct invocation invocation;
  struct error error = {0};
  ck_assert_msg(parse(good_lines[_i].line, &invocation, &error) == 0, "%s: %s", good_lines[_i].line, error.message);
  ck_assert_str_eq(invocation.verb->name, good_lines[_i].verb);
  ck_assert_uint_eq(invocation.argument_count, good_lines[_i].arguments);
}
END_TEST

static const struct {
  const char *line, *message;
} bad_lines[] = {
    {"chekc", "did you mean 'check'"},
    {"xyzzy", "unknown verb 'xyzzy'"},
    {"s", "'s' may mean 'show' or 'status'"},
    {"check --jsn", "did you mean --json"},
    {"check --follow", "unknown option --follow"},
    {"check --json=yes", "takes no value"},
    {"check --policy", "needs a value"},
    {"check --policy --json", "needs a value"},
    {"check -j", "two dashes"},
    {"check a b", "usage: kido check"},
    {"diff", "usage: kido diff"},
    {"status --language fr", "ja or en"},
    {"status --color=blue", "auto, always or never"},
    {"status --now 2026-04-01", "--now is a time"},
    {"status --now 2026-04-01T08:30:00", "offset is missing"},
    {"--help=pdf", "mdoc"},
};

START_TEST(a_wrong_command_line_says_what_is_wrong) {
  struct invocation invocation;
  struct error error = {0};
  ck_assert_int_lt(parse(bad_lines[_i].line, &invocation, &error), 0);
  ck_assert_msg(strstr(error.message, bad_lines[_i].message) != NULL, "%s: %s", bad_lines[_i].line, error.message);
}
END_TEST

START_TEST(options_reach_the_invocation) {
  struct invocation invocation;
  struct error error = {0};
  ck_assert_int_eq(parse("replay a=b --gateway-mac x=1 --language ja --now 2026-04-01T09:00:00+09:00 --gateway-mac y=2 "
                         "--state-directory /s --run-directory /r --policy p",
                         &invocation, &error),
                   0);
  ck_assert(invocation.language_forced && invocation.language == LANGUAGE_JAPANESE);
  ck_assert(invocation.now_given && invocation.now.seconds == 1775001600);
  ck_assert_str_eq(invocation.policy_file, "p");
  ck_assert_str_eq(invocation.state_directory, "/s");
  ck_assert_str_eq(invocation.run_directory, "/r");
  ck_assert_str_eq(invocation_value_at(&invocation, "gateway-mac", 0), "x=1");
  ck_assert_str_eq(invocation_value_at(&invocation, "gateway-mac", 1), "y=2");
  ck_assert_ptr_null(invocation_value_at(&invocation, "gateway-mac", 2));
  ck_assert_str_eq(invocation_value(&invocation, "gateway-mac"), "y=2");
  ck_assert(!invocation_has(&invocation, "follow"));
}
END_TEST

START_TEST(colour_follows_the_option_and_no_color) {
  struct invocation invocation;
  struct error error = {0};
  ck_assert_int_eq(parse("status --color=always", &invocation, &error), 0);
  ck_assert(invocation.colour_output && invocation.colour_diagnostics);
  setenv("NO_COLOR", "1", 1);
  ck_assert_int_eq(parse("status", &invocation, &error), 0);
  ck_assert(!invocation.colour_output && !invocation.colour_diagnostics);
}
END_TEST

START_TEST(the_language_of_the_locale_holds_until_one_is_named) {
  struct invocation invocation;
  struct error error = {0};
  setenv("LC_ALL", "ja_JP.UTF-8", 1);
  ck_assert_int_eq(parse("status", &invocation, &error), 0);
  ck_assert(!invocation.language_forced && invocation.language == LANGUAGE_JAPANESE);
  ck_assert_int_eq(parse("status --language en", &invocation, &error), 0);
  ck_assert(invocation.language_forced && invocation.language == LANGUAGE_ENGLISH);
}
END_TEST

static const char *const bad_lines_in_japanese[] = {"chek --language ja",
                                                    "--language ja s",
                                                    "check --bogus --language=ja",
                                                    "show --language ja",
                                                    "check --now x --language ja",
                                                    "--color pink --language ja",
                                                    "-x --language ja"};

START_TEST(usage_errors_speak_the_language_asked_for) {
  struct invocation invocation;
  struct error error = {0};
  ck_assert_int_lt(parse(bad_lines_in_japanese[_i], &invocation, &error), 0);
  bool foreign = false;
  for (const char *at = error.message; *at != '\0'; at++)
    foreign = foreign || (unsigned char)*at >= 0xe3;
  ck_assert_msg(foreign, "%s: %s", bad_lines_in_japanese[_i], error.message);
}
END_TEST

START_TEST(every_verb_is_complete_and_named_once) {
  size_t count;
  const struct verb *verbs = verb_table(&count);
  for (size_t i = 0; i < count; i++) {
    struct error error = {0};
    ck_assert_ptr_eq(verb_find(verbs[i].name, LANGUAGE_ENGLISH, &error), &verbs[i]);
    ck_assert(verbs[i].run && verbs[i].japanese && verbs[i].english && verbs[i].synopsis);
    ck_assert_uint_le(verbs[i].least_arguments, verbs[i].most_arguments);
  }
}
END_TEST

static char *print_to_text(void (*print)(FILE *)) {
  char *text = NULL;
  size_t size = 0;
  FILE *stream = open_memstream(&text, &size);
  print(stream);
  fclose(stream);
  return text;
}

START_TEST(the_manual_text_names_every_verb) {
  char *text = print_to_text(help_print_mdoc);
  size_t count;
  const struct verb *verbs = verb_table(&count);
  for (size_t i = 0; i < count; i++) {
    char item[64];
    snprintf(item, sizeof item, ".It Cm %s", verbs[i].name);
    ck_assert_msg(strstr(text, item) != NULL, "%s", item);
  }
  free(text);
}
END_TEST

static void print_sample_table(FILE *stream) {
  static const char *const headers[] = {"ZONE", ">N", "LABEL"};
  struct table *table = table_new(arena, headers, 3);
  table_add(table, (const char *const[]){"基幹系", "7", "a\033b"});
  table_add(table, (const char *const[]){"x", "123", NULL});
  table_print(stream, table, false);
}

START_TEST(a_table_is_aligned_by_width_and_escaped) {
  char *text = print_to_text(print_sample_table);
  ck_assert_ptr_null(strchr(text, '\033'));
  ck_assert_ptr_nonnull(strstr(text, "ZONE      N  LABEL\n"));
  ck_assert_ptr_nonnull(strstr(text, "基幹系    7  a\\x1b"));
  ck_assert_ptr_nonnull(strstr(text, "x       123  \n"));
  free(text);
}
END_TEST

START_TEST(diagnostics_in_json_keep_the_order_of_the_contract) {
  struct diagnostic_list list;
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  struct diagnostic *diagnostic =
      diagnostic_add(&list, SEVERITY_ERROR, "D07", (struct place){"f.conf", 3, 5, 2}, "F-1", "あ %d", "found %d", 4);
  diagnostic_hint(&list, diagnostic, "次", "next");
  json_t *array = diagnostics_to_json(&list);
  char *text = json_dumps(array, JSON_COMPACT);
  ck_assert_str_eq(text, "[{\"code\":\"D07\",\"severity\":\"error\",\"file\":\"f.conf\",\"line\":3,\"column\":5,"
                         "\"subject\":\"F-1\",\"message\":\"found 4\",\"hint\":\"next\",\"related\":[]}]");
  free(text);
  json_decref(array);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("cli_options");
  TCase *group = tcase_create("cli_options");
  tcase_add_checked_fixture(group, set_up, tear_down);
  tcase_add_loop_test(group, a_right_command_line_finds_its_verb_and_arguments, 0,
                      sizeof good_lines / sizeof good_lines[0]);
  tcase_add_loop_test(group, a_wrong_command_line_says_what_is_wrong, 0, sizeof bad_lines / sizeof bad_lines[0]);
  tcase_add_test(group, options_reach_the_invocation);
  tcase_add_test(group, colour_follows_the_option_and_no_color);
  tcase_add_test(group, the_language_of_the_locale_holds_until_one_is_named);
  tcase_add_loop_test(group, usage_errors_speak_the_language_asked_for, 0,
                      sizeof bad_lines_in_japanese / sizeof bad_lines_in_japanese[0]);
  tcase_add_test(group, every_verb_is_complete_and_named_once);
  tcase_add_test(group, the_manual_text_names_every_verb);
  tcase_add_test(group, a_table_is_aligned_by_width_and_escaped);
  tcase_add_test(group, diagnostics_in_json_keep_the_order_of_the_contract);
  suite_add_tcase(suite, group);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
