/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "cli/verb.h"

static void complain(const struct invocation *invocation, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

static void complain(const struct invocation *invocation, const char *format, va_list arguments) {
  char *message = arena_vprintf(invocation->arena, format, arguments);
  char *escaped = message ? text_escape(invocation->arena, message) : NULL;
  fprintf(stderr, "kido: %s\n", escaped ? escaped : "no memory");
}

void invocation_complain(const struct invocation *invocation, const char *japanese, const char *english, ...) {
  va_list arguments;
  va_start(arguments, english);
  complain(invocation, invocation->language == LANGUAGE_JAPANESE ? japanese : english, arguments);
  va_end(arguments);
}

int invocation_usage(const struct invocation *invocation, const char *japanese, const char *english, ...) {
  va_list arguments;
  va_start(arguments, english);
  complain(invocation, invocation->language == LANGUAGE_JAPANESE ? japanese : english, arguments);
  va_end(arguments);
  invocation_complain(invocation, "使い方は kido %s --help", "see kido %s --help", invocation->verb->name);
  return EXIT_CODE_USAGE;
}

int invocation_finish(const struct invocation *invocation, int code) {
  if (fflush(stdout) == 0 && !ferror(stdout)) {
    return code;
  }
  invocation_complain(invocation, "標準出力に書けません: %s", "cannot write to standard output: %s", strerror(errno));
  return EXIT_CODE_NO_ANSWER;
}

static int print_json(const struct invocation *invocation, json_t *object, size_t flags, int code) {
  if (!object) {
    invocation_complain(invocation, "メモリが足りません", "no memory");
    return EXIT_CODE_NO_ANSWER;
  }
  int failed = json_dumpf(object, stdout, flags);
  json_decref(object);
  fputc('\n', stdout);
  return invocation_finish(invocation, failed ? EXIT_CODE_NO_ANSWER : code);
}

int invocation_print_json(const struct invocation *invocation, json_t *object, int code) {
  return print_json(invocation, object, JSON_INDENT(2), code);
}

int invocation_print_json_line(const struct invocation *invocation, json_t *object, int code) {
  return print_json(invocation, object, JSON_COMPACT, code);
}
