/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/kidoban_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/verb.h"
#include "cli/watchman.h"

/* A command line of kidoban as far as it was given. */
struct kidoban_arguments {
  const char *policy, *events, *state_directory, *run_directory, *settings, *language, *colour, *buffer;
  bool print, help, version;
};

static const struct option_rule kidoban_rules[] = {
    {"policy", OPTION_VALUE, "FILE", "このポリシーで監視する(既定は kidod に従う)",
     "watch by this policy (default: follow kidod)"},
    {"events", OPTION_VALUE, "FILE|-", "事象をここにも書く", "write the events here too"},
    {"state-directory", OPTION_VALUE, "DIRECTORY", "状態ディレクトリ(既定は " DEFAULT_STATE_DIRECTORY ")",
     "state directory (default: " DEFAULT_STATE_DIRECTORY ")"},
    {"run-directory", OPTION_VALUE, "DIRECTORY", "実行時ディレクトリ(既定は " DEFAULT_RUN_DIRECTORY ")",
     "run directory (default: " DEFAULT_RUN_DIRECTORY ")"},
    {"settings", OPTION_VALUE, "FILE", "設定ファイル(既定は " DEFAULT_WATCH_SETTINGS_FILE ")",
     "settings file (default: " DEFAULT_WATCH_SETTINGS_FILE ")"},
    {"buffer", OPTION_VALUE, "MEGABYTES", "インターフェースごとの取り込みバッファ", "capture buffer per interface"},
    {"language", OPTION_VALUE, "ja|en", "表示の言語", "language of messages"},
    {"print", OPTION_FLAG, NULL, "警報を文章でも表示する(端末では既定)",
     "print alerts in words (default on a terminal)"},
    {"color", OPTION_VALUE, "auto|always|never", "色", "colour"},
    {"help", OPTION_FLAG, NULL, "この説明", "this help"},
    {"version", OPTION_FLAG, NULL, "版", "the version"},
};

static void take_option(struct kidoban_arguments *arguments, const char *name, const char *value) {
  const struct {
    const char *name;
    const char **text;
    bool *flag;
  } targets[] = {
      {"policy", &arguments->policy, NULL},
      {"events", &arguments->events, NULL},
      {"state-directory", &arguments->state_directory, NULL},
      {"run-directory", &arguments->run_directory, NULL},
      {"settings", &arguments->settings, NULL},
      {"buffer", &arguments->buffer, NULL},
      {"language", &arguments->language, NULL},
      {"print", NULL, &arguments->print},
      {"color", &arguments->colour, NULL},
      {"help", NULL, &arguments->help},
      {"version", NULL, &arguments->version},
  };
  for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
    if (strcmp(targets[i].name, name) != 0)
      continue;
    if (targets[i].text != NULL)
      *targets[i].text = value;
    else
      *targets[i].flag = true;
  }
}

static int parse(int count, char **words, struct kidoban_arguments *ret_arguments, struct error *error) {
  struct option_reader reader;
  struct option_table table = {kidoban_rules, sizeof kidoban_rules / sizeof kidoban_rules[0]};
  option_reader_init(&reader, words + 1, count > 0 ? (size_t)count - 1 : 0, table);
  for (;;) {
    const struct option_rule *rule = NULL;
    const char *value = NULL;
    enum option_step step = option_reader_next(&reader, &rule, &value, error);
    if (step == OPTION_STEP_END)
      return 0;
    if (step == OPTION_STEP_ARGUMENT)
      return error_set(error, EINVAL, "kidoban takes no arguments, only options: '%.60s'", value);
    if (step == OPTION_STEP_BAD)
      return -EINVAL;
    take_option(ret_arguments, rule->name, value);
  }
}

static int one_of(const char *option, const char *value, const char *const *choices, struct error *error) {
  for (size_t i = 0; value != NULL && choices[i] != NULL; i++)
    if (strcmp(choices[i], value) == 0)
      return 0;
  return value == NULL ? 0 : error_set(error, EINVAL, "--%s cannot be '%.20s'", option, value);
}

static int read_buffer(const char *text, unsigned *ret_buffer, struct error *error) {
  char *end;
  long buffer = strtol(text, &end, 10);
  if (*end != '\0' || buffer < 1 || buffer > LIVE_BUFFER_MOST)
    return error_set(error, EINVAL, "--buffer is a number of megabytes from 1 to %d, not '%.20s'", LIVE_BUFFER_MOST,
                     text);
  *ret_buffer = (unsigned)buffer;
  return 0;
}

static bool wants_colour(const struct kidoban_arguments *arguments) {
  if (arguments->colour != NULL && strcmp(arguments->colour, "auto") != 0)
    return strcmp(arguments->colour, "always") == 0;
  return isatty(STDOUT_FILENO) != 0 && getenv("NO_COLOR") == NULL;
}

/* The settings file is needed only when it was named. */
static int read_settings(const struct kidoban_arguments *arguments, struct arena *arena, struct live_settings *settings,
                         struct error *error) {
  const char *path = arguments->settings != NULL ? arguments->settings : DEFAULT_WATCH_SETTINGS_FILE;
  int result = live_settings_read(path, arena, settings, error);
  return result == -ENOENT && arguments->settings == NULL ? 0 : result;
}

static void replace(const char **text, const char *by) {
  if (by != NULL)
    *text = by;
}

/* Options go before settings, and settings before what is built in. */
static int settle(const struct kidoban_arguments *arguments, struct arena *arena, struct live_settings *settings,
                  struct error *error) {
  static const char *const languages[] = {"ja", "en", NULL}, *const colours[] = {"auto", "always", "never", NULL};
  *settings = live_settings_defaults();
  settings->state_directory = DEFAULT_STATE_DIRECTORY;
  settings->run_directory = DEFAULT_RUN_DIRECTORY;
  int result = one_of("language", arguments->language, languages, error);
  if (result == 0)
    result = one_of("color", arguments->colour, colours, error);
  if (result == 0)
    result = read_settings(arguments, arena, settings, error);
  if (result == 0 && arguments->buffer != NULL)
    result = read_buffer(arguments->buffer, &settings->buffer, error);
  replace(&settings->policy, arguments->policy);
  replace(&settings->state_directory, arguments->state_directory);
  replace(&settings->run_directory, arguments->run_directory);
  if (arguments->language != NULL) {
    settings->language = arguments->language[0] == 'e' ? LANGUAGE_ENGLISH : LANGUAGE_JAPANESE;
    settings->language_set = true;
  }
  return result;
}

static int run(const struct kidoban_arguments *arguments, struct arena *arena, struct error *error) {
  bool events_on_terminal = arguments->events != NULL && strcmp(arguments->events, "-") == 0;
  struct live_settings settings;
  if (settle(arguments, arena, &settings, error) < 0)
    return EXIT_CODE_USAGE;
  struct watchman_options options = {.policy_file = settings.policy,
                                     .events = arguments->events,
                                     .state_directory = settings.state_directory,
                                     .run_directory = settings.run_directory,
                                     .language = settings.language_set ? settings.language : LANGUAGE_JAPANESE,
                                     .language_forced = settings.language_set,
                                     .print = arguments->print || (isatty(STDOUT_FILENO) != 0 && !events_on_terminal),
                                     .colour = wants_colour(arguments),
                                     .settings = &settings};
  int result = watchman_run(&options, error);
  return result == 0 ? EXIT_CODE_YES : result == -EINVAL ? EXIT_CODE_NO : EXIT_CODE_NO_ANSWER;
}

static void print_usage(FILE *stream) {
  fprintf(stream, "usage: kidoban [OPTIONS]\n\nThe watchman; stays in the foreground.\n\n");
  for (size_t i = 0; i < sizeof kidoban_rules / sizeof kidoban_rules[0]; i++) {
    const struct option_rule *rule = &kidoban_rules[i];
    char left[80];
    snprintf(left, sizeof left, "--%s%s%s", rule->name, rule->value_name != NULL ? " " : "",
             rule->value_name != NULL ? rule->value_name : "");
    fprintf(stream, "  %-30s%s\n", left, rule->english);
  }
}

int kidoban_run(int argument_count, char **words) {
  struct kidoban_arguments arguments = {0};
  struct error error = {0};
  struct arena *arena = arena_new(0);
  int code = EXIT_CODE_YES;
  if (arena == NULL)
    code = error_set(&error, ENOMEM, "no memory") < 0 ? EXIT_CODE_NO_ANSWER : EXIT_CODE_YES;
  else if (parse(argument_count, words, &arguments, &error) < 0)
    code = EXIT_CODE_USAGE;
  else if (arguments.help)
    print_usage(stdout);
  else if (arguments.version)
    printf("kidoban %s\n", KIDO_VERSION);
  else
    code = run(&arguments, arena, &error);
  if (code != EXIT_CODE_YES)
    fprintf(stderr, "kidoban: %s\n", error.message);
  arena_free(arena);
  return code;
}
