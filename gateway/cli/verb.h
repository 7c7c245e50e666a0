/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_VERB_H
#define KIDO_CLI_VERB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/diagnostic.h"
#include "base/instant.h"
#include "base/language.h"
#include "cli/options.h"
#include "control/diagnostic_json.h"
#include "policy/policy.h"

/*
 * The verbs of `kido`. One table (verbs.c) drives parsing, --help and the manual. A verb is a function that gets a
 * parsed command line, writes its answer to stdout and everything else to stderr, and returns an exit code.
 */

/* The same for every verb. "Could not answer" never looks like an answer. */
enum exit_code {
  EXIT_CODE_YES = 0,       /* yes, clean, done */
  EXIT_CODE_NO = 1,        /* a negative answer */
  EXIT_CODE_USAGE = 2,     /* the command line is wrong */
  EXIT_CODE_NO_ANSWER = 3, /* could not answer */
};

struct invocation;

struct verb {
  const char *name;
  const char *synopsis;           /* what follows the name: "[FILE]"; "" for nothing */
  const char *japanese, *english; /* one line: what it does */
  struct option_table options;    /* its own, beside the global ones */
  size_t least_arguments, most_arguments;
  int (*run)(const struct invocation *invocation);
};

/* An option of the verb's own, as given. */
struct given_option {
  const struct option_rule *rule;
  const char *value; /* NULL for a flag */
};

/* A parsed command line. Everything in it lives as long as its arena. */
struct invocation {
  const struct verb *verb;
  struct arena *arena;
  const char *const *arguments; /* behind the verb */
  size_t argument_count;
  struct given_option *given;
  size_t given_count;
  enum language language; /* --language, else that of the locale */
  bool language_forced;   /* --language was given: it goes before that of the policy */
  bool json;
  bool colour_output, colour_diagnostics; /* decided by --color, NO_COLOR and whether it is a terminal */
  struct instant now;                     /* --now, else the clock */
  bool now_given;
  const char *policy_file; /* --policy; NULL when not given */
  const char *settings_file;
  const char *state_directory, *run_directory;
  bool help;
  const char *help_format; /* NULL, "mdoc", "bash", "zsh", "fish" */
  bool version;
};

#define DEFAULT_POLICY_FILE "/etc/kido/policy.conf"
#define DEFAULT_SETTINGS_FILE "/etc/kido/kido.conf"
#define DEFAULT_WATCH_SETTINGS_FILE "/etc/kido/kidoban.conf"
#define DEFAULT_STATE_DIRECTORY "/var/lib/kido"
#define DEFAULT_RUN_DIRECTORY "/run/kido"

/* ---- the table and the way from a command line to a verb (verbs.c, command.c, help.c) ---- */

const struct verb *verb_table(size_t *ret_count);
struct option_table global_option_table(void);

/*
 * Finds a verb by its name or an unambiguous prefix of it. NULL with *error ("did you mean", or what a prefix may
 * mean).
 */
const struct verb *verb_find(const char *name, enum language language, struct error *error);

/* Parses a command line (without the name of the program). Returns 0, or -EINVAL with *error: exit code 2. */
int invocation_parse(struct arena *arena, char *const *arguments, size_t count, struct invocation *ret_invocation,
                     struct error *error);

/* The whole of `kido`: parses, runs, returns the exit code. */
int kido_run(int argument_count, char **arguments);

void help_print(FILE *stream, enum language language);
void help_print_verb(FILE *stream, const struct verb *verb, enum language language);
/* The list of verbs and options as mdoc(7), for the manual. */
void help_print_mdoc(FILE *stream);
/* Completion for "bash", "zsh" or "fish"; false for any other shell. */
bool help_print_completion(FILE *stream, const char *shell);

/* ---- options of a verb ---- */

bool invocation_has(const struct invocation *invocation, const char *option);
/* The last value given; NULL when it was not. */
const char *invocation_value(const struct invocation *invocation, const char *option);
/* The n-th value of an option that may be repeated; NULL behind the last. */
const char *invocation_value_at(const struct invocation *invocation, const char *option, size_t n);

/* ---- output ---- */

/* "kido: ..." on stderr; the message in the invocation's language. Both formats take the same arguments. */
void invocation_complain(const struct invocation *invocation, const char *japanese, const char *english, ...)
    __attribute__((format(printf, 2, 4), format(printf, 3, 4)));
/* A usage error of a verb: complains, points at --help, returns EXIT_CODE_USAGE. */
int invocation_usage(const struct invocation *invocation, const char *japanese, const char *english, ...)
    __attribute__((format(printf, 2, 4), format(printf, 3, 4)));

/*
 * Prints one object on stdout and releases it: keys in the order in which they were set. Returns `code`, or
 * EXIT_CODE_NO_ANSWER when it could not be written or object is NULL (no memory).
 */
int invocation_print_json(const struct invocation *invocation, json_t *object, int code);
/* The same in one line, for streams. */
int invocation_print_json_line(const struct invocation *invocation, json_t *object, int code);
/* Flushes stdout. Returns `code`, or EXIT_CODE_NO_ANSWER with a complaint when the answer could not be written. */
int invocation_finish(const struct invocation *invocation, int code);

/* A table for a terminal: columns aligned by the width of East Asian characters, cells escaped. */
struct table;
/* headers: column_count texts; one that starts with '>' is a column aligned to the right. NULL without memory. */
struct table *table_new(struct arena *arena, const char *const *headers, size_t column_count);
/* cells: column_count texts, NULL for an empty one; copied. */
void table_add(struct table *table, const char *const *cells);
void table_print(FILE *stream, const struct table *table, bool colour);

/* ---- the policy of an offline verb ---- */

struct policy_reading {
  const char *file;
  const struct policy *policy; /* NULL when it does not parse */
  struct diagnostic_list diagnostics;
};

/*
 * Reads --policy, else `positional` (may be NULL), else DEFAULT_POLICY_FILE; only the form is checked, no doctrine.
 * Returns EXIT_CODE_YES when it could be read, right or wrong, else EXIT_CODE_NO_ANSWER after a complaint, or
 * EXIT_CODE_USAGE when both were given.
 */
int invocation_read_policy(const struct invocation *invocation, const char *positional,
                           struct policy_reading *ret_reading);
/* Sorts the diagnostics and prints them on stderr, in colour if asked for. */
void invocation_print_diagnostics(const struct invocation *invocation, struct diagnostic_list *diagnostics);
/*
 * For verbs that need a policy free of errors: reads as above, runs the doctrine at invocation->now, prints the errors
 * (not the warnings). Returns EXIT_CODE_YES with a policy, EXIT_CODE_NO when it has errors, else as above.
 */
int invocation_read_valid_policy(const struct invocation *invocation, const char *positional,
                                 struct policy_reading *ret_reading);

/* ---- the verbs, one file each: verb_NAME.c; their option tables ---- */

int verb_check(const struct invocation *invocation);
int verb_show(const struct invocation *invocation);
int verb_print(const struct invocation *invocation);
int verb_explain(const struct invocation *invocation);
int verb_diff(const struct invocation *invocation);
int verb_compile(const struct invocation *invocation);
int verb_replay(const struct invocation *invocation);
int verb_plan(const struct invocation *invocation);
int verb_apply(const struct invocation *invocation);
int verb_confirm(const struct invocation *invocation);
int verb_rollback(const struct invocation *invocation);
int verb_history(const struct invocation *invocation);
int verb_cut(const struct invocation *invocation);
int verb_window(const struct invocation *invocation);
int verb_status(const struct invocation *invocation);
int verb_flows(const struct invocation *invocation);
int verb_top(const struct invocation *invocation);
int verb_verify(const struct invocation *invocation);
int verb_events(const struct invocation *invocation);
int verb_ack(const struct invocation *invocation);

#endif
