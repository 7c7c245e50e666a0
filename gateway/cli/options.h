/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_OPTIONS_H
#define KIDO_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/language.h"

/* Command lines, read by tables: `--name`, `--name VALUE`, `--name=VALUE`; `--` ends the options; `-h` is --help. */
enum option_kind {
  OPTION_FLAG,     /* takes no value */
  OPTION_VALUE,    /* needs one */
  OPTION_OPTIONAL, /* takes one only by `=` */
};

struct option_rule {
  const char *name; /* without the dashes */
  enum option_kind kind;
  const char *value_name; /* "FILE"; NULL for a flag */
  const char *japanese, *english;
};

struct option_table {
  const struct option_rule *rules;
  size_t count;
};

enum { OPTION_TABLE_LIMIT = 2 };

/* Reads a command line step by step; a table may be added on the way (the verb's own, once the verb is known). */
struct option_reader {
  char *const *arguments;
  size_t count;
  size_t position;
  bool only_arguments; /* behind `--` */
  struct option_table tables[OPTION_TABLE_LIMIT];
  size_t table_count;
  enum language language; /* of errors */
};

enum option_step {
  OPTION_STEP_END,
  OPTION_STEP_OPTION,   /* *ret_rule and *ret_value (NULL for none) */
  OPTION_STEP_ARGUMENT, /* *ret_value */
  OPTION_STEP_BAD,      /* *error says why, with the nearest option */
};

/* A usage error in the language of the operator; both formats take the same arguments. Returns -EINVAL. */
int usage_error_set(struct error *error, enum language language, const char *japanese, const char *english, ...)
    __attribute__((format(printf, 3, 5), format(printf, 4, 5)));

/* arguments: without the name of the program. Errors are English until another language is set. */
void option_reader_init(struct option_reader *reader, char *const *arguments, size_t count, struct option_table table);
void option_reader_add(struct option_reader *reader, struct option_table table);
enum option_step option_reader_next(struct option_reader *reader, const struct option_rule **ret_rule,
                                    const char **ret_value, struct error *error);

#endif
