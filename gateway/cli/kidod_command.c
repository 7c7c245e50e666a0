/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/kidod_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/verb.h"
#include "control/controller.h"
#include "control/settings.h"

/* A command line of kidod as far as it was given. */
struct kidod_arguments {
  const char *policy, *state_directory, *run_directory, *settings, *language;
  bool no_repair, close, help, version;
};

static const struct option_rule kidod_rules[] = {
    {"policy", OPTION_VALUE, "FILE", "SIGHUP で読み直すポリシー(既定は " DEFAULT_POLICY_FILE ")",
     "the policy that SIGHUP reads (default: " DEFAULT_POLICY_FILE ")"},
    {"state-directory", OPTION_VALUE, "DIRECTORY", "状態ディレクトリ(既定は " DEFAULT_STATE_DIRECTORY ")",
     "state directory (default: " DEFAULT_STATE_DIRECTORY ")"},
    {"run-directory", OPTION_VALUE, "DIRECTORY", "実行時ディレクトリ(既定は " DEFAULT_RUN_DIRECTORY ")",
     "run directory (default: " DEFAULT_RUN_DIRECTORY ")"},
    {"settings", OPTION_VALUE, "FILE", "設定ファイル(既定は " DEFAULT_SETTINGS_FILE ")",
     "settings file (default: " DEFAULT_SETTINGS_FILE ")"},
    {"language", OPTION_VALUE, "ja|en", "表示の言語", "language of messages"},
    {"no-repair", OPTION_FLAG, NULL, "他者による変更を元に戻さない", "do not put back what others change"},
    {"close", OPTION_FLAG, NULL, "関門を閉じて終わる", "close the gate and exit"},
    {"help", OPTION_FLAG, NULL, "この説明", "this help"},
    {"version", OPTION_FLAG, NULL, "版", "the version"},
};

static void take_option(struct kidod_arguments *arguments, const char *name, const char *value) {
  const struct {
    const char *name;
    const char **text;
    bool *flag;
  } targets[] = {
      {"policy", &arguments->policy, NULL},
      {"state-directory", &arguments->state_directory, NULL},
      {"run-directory", &arguments->run_directory, NULL},
      {"settings", &arguments->settings, NULL},
      {"language", &arguments->language, NULL},
      {"no-repair", NULL, &arguments->no_repair},
      {"close", NULL, &arguments->close},
      {"help", NULL, &arguments->help},
      {"version", NULL, &arguments->version},
  };
  for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
    if (strcmp(targets[i].name, name) != 0) {
      continue;
    }
    if (targets[i].text) {
      *targets[i].text = value;
    } else {
      *targets[i].flag = true;
    }
  }
}

static int parse(int count, char **words, struct kidod_arguments *ret_arguments, struct error *error) {
  struct option_reader reader;
  struct option_table table = {kidod_rules, sizeof kidod_rules / sizeof kidod_rules[0]};
  option_reader_init(&reader, words + 1, count > 0 ? (size_t)count - 1 : 0, table);
  for (;;) {
    const struct option_rule *rule = NULL;
    const char *value = NULL;
    enum option_step step = option_reader_next(&reader, &rule, &value, error);
    if (step == OPTION_STEP_END) {
      return 0;
    }
    if (step == OPTION_STEP_ARGUMENT) {
      return error_set(error, EINVAL, "kidod takes no arguments, only options: '%.60s'", value);
    }
    if (step == OPTION_STEP_BAD) {
      return -EINVAL;
    }
    take_option(ret_arguments, rule->name, value);
  }
}

/* The settings file is needed only when it was named. */
static int read_settings(const struct kidod_arguments *arguments, struct arena *arena, struct settings *settings,
                         struct error *error) {
  const char *path = arguments->settings ? arguments->settings : DEFAULT_SETTINGS_FILE;
  int result = settings_read(path, arena, settings, error);
  return result == -ENOENT && !arguments->settings ? 0 : result;
}

static int take_language(const struct kidod_arguments *arguments, struct settings *settings, struct error *error) {
  if (!arguments->language) {
    return 0;
  }
  if (strcmp(arguments->language, "ja") != 0 && strcmp(arguments->language, "en") != 0) {
    return error_set(error, EINVAL, "--language is ja or en, not '%.20s'", arguments->language);
  }
  settings->language = arguments->language[0] == 'j' ? LANGUAGE_JAPANESE : LANGUAGE_ENGLISH;
  settings->language_set = true;
  return 0;
}

/* "<4>kind: message": the journal takes the level from the prefix. */
static void say(enum event_severity severity, const char *kind, const char *message, void *context) {
  static const int levels[] = {[EVENT_CRITICAL] = 2, [EVENT_WARNING] = 4, [EVENT_NOTICE] = 5, [EVENT_INFO] = 6};
  struct arena *arena = arena_new(0);
  const char *escaped = arena ? text_escape(arena, message) : NULL;
  bool journal = *(const bool *)context;
  if (journal) {
    fprintf(stderr, "<%d>", levels[severity]);
  }
  fprintf(stderr, "kidod: %s: %s\n", kind, escaped ? escaped : "");
  arena_free(arena);
}

static int run(const struct kidod_arguments *arguments, struct arena *arena, struct error *error) {
  struct settings settings = settings_defaults();
  int result = read_settings(arguments, arena, &settings, error);
  if (result == 0) {
    result = take_language(arguments, &settings, error);
  }
  if (result < 0) {
    return EXIT_CODE_USAGE;
  }
  bool journal = getenv("JOURNAL_STREAM") != NULL;
  struct controller_options options = {
      .policy_file = arguments->policy ? arguments->policy : settings.policy,
      .state_directory = arguments->state_directory ? arguments->state_directory : settings.state_directory,
      .run_directory = arguments->run_directory ? arguments->run_directory : settings.run_directory,
      .repair = settings.repair && !arguments->no_repair,
      .table_owner = settings.table_owner,
      .denied_log_group = settings.denied_log_group,
      .prove_interval = settings.prove_interval,
      .scribe = &settings.scribe,
      .language = settings.language_set ? settings.language : LANGUAGE_JAPANESE,
      .language_forced = settings.language_set,
      .say = say,
      .context = &journal};
  result = arguments->close ? controller_close(&options, error) : controller_run(&options, error);
  return result < 0 ? EXIT_CODE_NO_ANSWER : EXIT_CODE_YES;
}

static void print_usage(FILE *stream) {
  fprintf(stream, "usage: kidod [OPTIONS]\n\nThe controller of the gate; stays in the foreground.\n\n");
  for (size_t i = 0; i < sizeof kidod_rules / sizeof kidod_rules[0]; i++) {
    const struct option_rule *rule = &kidod_rules[i];
    char left[80];
    snprintf(left, sizeof left, "--%s%s%s", rule->name, rule->value_name ? " " : "",
             rule->value_name ? rule->value_name : "");
    fprintf(stream, "  %-28s%s\n", left, rule->english);
  }
}

int kidod_run(int argument_count, char **words) {
  struct arena *arena = arena_new(0);
  struct kidod_arguments arguments = {0};
  struct error error = {0};
  int code = EXIT_CODE_USAGE;
  if (!arena || parse(argument_count, words, &arguments, &error) < 0) {
    fprintf(stderr, "kidod: %s\n", arena ? error.message : "no memory");
  } else if (arguments.help) {
    print_usage(stdout);
    code = EXIT_CODE_YES;
  } else if (arguments.version) {
    printf("kidod %s\n", KIDO_VERSION);
    code = EXIT_CODE_YES;
  } else if ((code = run(&arguments, arena, &error)) != EXIT_CODE_YES) {
    fprintf(stderr, "kidod: %s\n", error.message);
  }
  arena_free(arena);
  return code;
}
