/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/verb.h"

enum { COMMAND_MEMORY_LIMIT = 2 * 1000 * 1000 * 1000 };

enum colour_mode { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER };

/* An invocation while it is being read. */
struct building {
  struct invocation *invocation;
  enum colour_mode colour;
  size_t argument_capacity, given_capacity;
};

typedef int set_function(struct building *building, const char *value, struct error *error);

static int set_json(struct building *building, const char *value, struct error *error) {
  (void)value, (void)error;
  building->invocation->json = true;
  return 0;
}

static int set_language(struct building *building, const char *value, struct error *error) {
  bool japanese = strcmp(value, "ja") == 0;
  if (!japanese && strcmp(value, "en") != 0) {
    return usage_error_set(error, building->invocation->language, "--language は ja か en で、「%.20s」ではありません",
                           "--language is ja or en, not '%.20s'", value);
  }
  building->invocation->language = japanese ? LANGUAGE_JAPANESE : LANGUAGE_ENGLISH;
  building->invocation->language_forced = true;
  return 0;
}

static int set_colour(struct building *building, const char *value, struct error *error) {
  static const char *const names[] = {"auto", "always", "never"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (strcmp(value, names[i]) == 0) {
      building->colour = (enum colour_mode)i;
      return 0;
    }
  }
  return usage_error_set(error, building->invocation->language,
                         "--color は auto、always、never のどれかで、「%.20s」ではありません",
                         "--color is auto, always or never, not '%.20s'", value);
}

static int set_now(struct building *building, const char *value, struct error *error) {
  bool without_offset = false;
  if (!instant_parse(value, &building->invocation->now, &without_offset)) {
    enum language language = building->invocation->language;
    const char *why =
        without_offset ? language_choose(language, "（時差の指定がありません）", " (the offset is missing)") : "";
    return usage_error_set(error, language, "--now は 2026-04-01T08:30:00+09:00 の形の時刻です%s: %.40s",
                           "--now is a time such as 2026-04-01T08:30:00+09:00%s, not '%.40s'", why, value);
  }
  building->invocation->now_given = true;
  return 0;
}

static int set_policy(struct building *building, const char *value, struct error *error) {
  (void)error;
  building->invocation->policy_file = value;
  return 0;
}

static int set_settings(struct building *building, const char *value, struct error *error) {
  (void)error;
  building->invocation->settings_file = value;
  return 0;
}

static int set_state_directory(struct building *building, const char *value, struct error *error) {
  (void)error;
  building->invocation->state_directory = value;
  return 0;
}

static int set_run_directory(struct building *building, const char *value, struct error *error) {
  (void)error;
  building->invocation->run_directory = value;
  return 0;
}

static int set_help(struct building *building, const char *value, struct error *error) {
  static const char *const formats[] = {"mdoc", "bash", "zsh", "fish"};
  bool known = !value;
  for (size_t i = 0; !known && i < sizeof formats / sizeof formats[0]; i++) {
    known = strcmp(value, formats[i]) == 0;
  }
  if (!known) {
    return usage_error_set(error, building->invocation->language,
                           "--help に付けられる値は mdoc、bash、zsh、fish だけです",
                           "--help takes no value but mdoc, bash, zsh or fish");
  }
  building->invocation->help = true;
  building->invocation->help_format = value;
  return 0;
}

static int set_version(struct building *building, const char *value, struct error *error) {
  (void)value, (void)error;
  building->invocation->version = true;
  return 0;
}

static const struct option_rule global_rules[] = {
    {"json", OPTION_FLAG, NULL, "JSON で出力する", "answer in JSON"},
    {"language", OPTION_VALUE, "ja|en", "表示の言語", "language of messages"},
    {"color", OPTION_VALUE, "auto|always|never", "色を付けるか", "whether to use colour"},
    {"now", OPTION_VALUE, "TIME", "この時刻のものとして判定する", "judge as of this time"},
    {"policy", OPTION_VALUE, "FILE", "ポリシーファイル(既定は " DEFAULT_POLICY_FILE ")",
     "policy file (default: " DEFAULT_POLICY_FILE ")"},
    {"settings", OPTION_VALUE, "FILE", "設定ファイル(既定は " DEFAULT_SETTINGS_FILE ")",
     "settings file (default: " DEFAULT_SETTINGS_FILE ")"},
    {"state-directory", OPTION_VALUE, "DIRECTORY", "状態ディレクトリ(既定は " DEFAULT_STATE_DIRECTORY ")",
     "state directory (default: " DEFAULT_STATE_DIRECTORY ")"},
    {"run-directory", OPTION_VALUE, "DIRECTORY", "実行時ディレクトリ(既定は " DEFAULT_RUN_DIRECTORY ")",
     "run directory (default: " DEFAULT_RUN_DIRECTORY ")"},
    {"help", OPTION_OPTIONAL, NULL, "この説明", "this help"},
    {"version", OPTION_FLAG, NULL, "版", "the version"},
};

/* In the order of global_rules. */
static set_function *const global_setters[] = {
    set_json,     set_language,        set_colour,        set_now,  set_policy,
    set_settings, set_state_directory, set_run_directory, set_help, set_version,
};

enum { GLOBAL_COUNT = sizeof global_rules / sizeof global_rules[0] };
_Static_assert(sizeof global_setters / sizeof global_setters[0] == GLOBAL_COUNT, "one setter per global option");

struct option_table global_option_table(void) {
  return (struct option_table){global_rules, GLOBAL_COUNT};
}

static int add_argument(struct building *building, const char *value, struct error *error) {
  struct invocation *invocation = building->invocation;
  void *items = (void *)(uintptr_t)invocation->arguments;
  if (arena_grow(invocation->arena, &items, invocation->argument_count, &building->argument_capacity,
                 sizeof(const char *)) < 0) {
    return error_set(error, ENOMEM, "no memory");
  }
  ((const char **)items)[invocation->argument_count++] = value;
  invocation->arguments = items;
  return 0;
}

static int add_given(struct building *building, const struct option_rule *rule, const char *value,
                     struct error *error) {
  struct invocation *invocation = building->invocation;
  void *items = invocation->given;
  if (arena_grow(invocation->arena, &items, invocation->given_count, &building->given_capacity,
                 sizeof *invocation->given) < 0) {
    return error_set(error, ENOMEM, "no memory");
  }
  invocation->given = items;
  invocation->given[invocation->given_count++] = (struct given_option){rule, value};
  return 0;
}

static int take_option(struct building *building, const struct option_rule *rule, const char *value,
                       struct error *error) {
  for (size_t i = 0; i < GLOBAL_COUNT; i++) {
    if (rule == &global_rules[i]) {
      return global_setters[i](building, value, error);
    }
  }
  return add_given(building, rule, value, error);
}

/* The first argument is the verb; it brings its own options. */
static int take_argument(struct building *building, struct option_reader *reader, const char *value,
                         struct error *error) {
  struct invocation *invocation = building->invocation;
  if (invocation->verb) {
    return add_argument(building, value, error);
  }
  invocation->verb = verb_find(value, invocation->language, error);
  if (!invocation->verb) {
    return -EINVAL;
  }
  option_reader_add(reader, invocation->verb->options);
  return 0;
}

static int read_command_line(struct building *building, struct option_reader *reader, struct error *error) {
  for (;;) {
    const struct option_rule *rule = NULL;
    const char *value = NULL;
    int result = 0;
    switch (option_reader_next(reader, &rule, &value, error)) {
    case OPTION_STEP_END:
      return 0;
    case OPTION_STEP_BAD:
      return -EINVAL;
    case OPTION_STEP_OPTION:
      result = take_option(building, rule, value, error);
      break;
    case OPTION_STEP_ARGUMENT:
      result = take_argument(building, reader, value, error);
      break;
    }
    if (result < 0) {
      return result;
    }
  }
}

static enum language language_of_locale(void) {
  static const char *const variables[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
  for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
    const char *value = getenv(variables[i]);
    if (value && value[0] != '\0') {
      return strncmp(value, "ja", 2) == 0 ? LANGUAGE_JAPANESE : LANGUAGE_ENGLISH;
    }
  }
  return LANGUAGE_ENGLISH;
}

/* The value of --language if that is what the argument is; "" when it is none, or stands in the next argument. */
static const char *language_value(const char *argument, bool *ret_next) {
  static const char option[] = "--language";
  size_t length = sizeof option - 1;
  bool named = strncmp(argument, option, length) == 0;
  *ret_next = named && argument[length] == '\0';
  return named && argument[length] == '=' ? argument + length + 1 : "";
}

/* Looked for ahead of everything else, so that every usage error is in the language asked for. */
static enum language language_asked_for(char *const *arguments, size_t count) {
  enum language language = language_of_locale();
  bool is_value = false, next = false;
  for (size_t i = 0; i < count && strcmp(arguments[i], "--") != 0; i++, is_value = next) {
    const char *named = language_value(arguments[i], &next), *value = is_value ? arguments[i] : named;
    if (strcmp(value, "ja") == 0 || strcmp(value, "en") == 0) {
      language = strcmp(value, "ja") == 0 ? LANGUAGE_JAPANESE : LANGUAGE_ENGLISH;
    }
  }
  return language;
}

static bool wants_colour(enum colour_mode mode, int descriptor) {
  const char *no_colour = getenv("NO_COLOR");
  if (mode == COLOUR_AUTO) {
    return !(no_colour && no_colour[0] != '\0') && isatty(descriptor) == 1;
  }
  return mode == COLOUR_ALWAYS;
}

static int check_arguments(const struct invocation *invocation, struct error *error) {
  const struct verb *verb = invocation->verb;
  if (invocation->help || invocation->version) {
    return 0;
  }
  if (invocation->argument_count < verb->least_arguments || invocation->argument_count > verb->most_arguments) {
    return usage_error_set(error, invocation->language, "使い方: kido %s %s", "usage: kido %s %s", verb->name,
                           verb->synopsis);
  }
  return 0;
}

int invocation_parse(struct arena *arena, char *const *arguments, size_t count, struct invocation *ret_invocation,
                     struct error *error) {
  struct invocation invocation = {.arena = arena,
                                  .language = language_asked_for(arguments, count),
                                  .now = {(int64_t)time(NULL)},
                                  .settings_file = DEFAULT_SETTINGS_FILE,
                                  .state_directory = DEFAULT_STATE_DIRECTORY,
                                  .run_directory = DEFAULT_RUN_DIRECTORY};
  struct building building = {.invocation = &invocation};
  struct option_reader reader;
  option_reader_init(&reader, arguments, count, global_option_table());
  reader.language = invocation.language;
  int result = read_command_line(&building, &reader, error);
  if (result < 0) {
    return result;
  }
  bool verb_named = invocation.verb != NULL;
  if (!verb_named && !invocation.help && !invocation.version) {
    invocation.verb = verb_find("status", invocation.language, error);
  }
  if (invocation.verb && (result = check_arguments(&invocation, error)) < 0) {
    return result;
  }
  invocation.colour_output = wants_colour(building.colour, STDOUT_FILENO);
  invocation.colour_diagnostics = wants_colour(building.colour, STDERR_FILENO);
  *ret_invocation = invocation;
  return 0;
}

static const struct given_option *find_given(const struct invocation *invocation, const char *option, size_t n) {
  for (size_t i = 0; i < invocation->given_count; i++) {
    if (strcmp(invocation->given[i].rule->name, option) == 0 && n-- == 0) {
      return &invocation->given[i];
    }
  }
  return NULL;
}

bool invocation_has(const struct invocation *invocation, const char *option) {
  return find_given(invocation, option, 0) != NULL;
}

const char *invocation_value_at(const struct invocation *invocation, const char *option, size_t n) {
  const struct given_option *given = find_given(invocation, option, n);
  return given ? given->value : NULL;
}

const char *invocation_value(const struct invocation *invocation, const char *option) {
  const char *last = NULL;
  for (size_t n = 0; find_given(invocation, option, n); n++) {
    last = invocation_value_at(invocation, option, n);
  }
  return last;
}

static int print_help(const struct invocation *invocation) {
  if (invocation->help_format) {
    if (!help_print_completion(stdout, invocation->help_format)) {
      help_print_mdoc(stdout);
    }
  } else if (invocation->verb) {
    help_print_verb(stdout, invocation->verb, invocation->language);
  } else {
    help_print(stdout, invocation->language);
  }
  return invocation_finish(invocation, EXIT_CODE_YES);
}

static int run_invocation(const struct invocation *invocation) {
  if (invocation->help) {
    return print_help(invocation);
  }
  if (invocation->version) {
    printf("kido %s\n", KIDO_VERSION);
    return invocation_finish(invocation, EXIT_CODE_YES);
  }
  return invocation->verb->run(invocation);
}

int kido_run(int argument_count, char **arguments) {
  struct arena *arena = arena_new(COMMAND_MEMORY_LIMIT);
  if (!arena) {
    fprintf(stderr, "kido: no memory\n");
    return EXIT_CODE_NO_ANSWER;
  }
  struct invocation invocation;
  struct error error = {0};
  size_t count = argument_count > 0 ? (size_t)argument_count - 1 : 0;
  int code = EXIT_CODE_USAGE;
  if (invocation_parse(arena, arguments + 1, count, &invocation, &error) < 0) {
    const char *escaped = text_escape(arena, error.message);
    fprintf(stderr, "kido: %s\n", escaped ? escaped : "");
  } else {
    code = run_invocation(&invocation);
  }
  arena_free(arena);
  return code;
}
