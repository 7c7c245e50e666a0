/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/diagnostic.h"
#include "policy/check.h"
#include "policy/read.h"
#include "rules/compile.h"

void bench_fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("kido-bench: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(EXIT_FAILURE);
}

static double read_clock(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

double bench_milliseconds(void) {
  return read_clock(CLOCK_MONOTONIC);
}

double bench_processor_milliseconds(void) {
  return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

const struct policy *bench_policy(const char *path, struct arena *arena) {
  struct diagnostic_list diagnostics;
  const struct policy *policy = NULL;
  struct error error = {0};
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  if (policy_read(path, arena, true, &policy, &diagnostics, &error) < 0) {
    bench_fail("%s", error.message);
  }
  if (diagnostics.errors > 0 || policy == NULL) {
    diagnostic_print(stderr, &diagnostics, false);
    bench_fail("%s has errors", path);
  }
  return policy;
}

struct ruleset *bench_compile(const struct policy *policy, struct arena *arena) {
  struct compile_options options = {.now = {time(NULL)}};
  struct ruleset *ruleset = NULL;
  struct error error = {0};
  if (ruleset_compile(policy, &options, arena, &ruleset, &error) < 0) {
    bench_fail("%s", error.message);
  }
  return ruleset;
}

static const struct verb {
  const char *name;
  int (*run)(int count, char **arguments);
} verbs[] = {
    {"measure", bench_measure}, {"text", bench_text},     {"load", bench_load},       {"change", bench_change},
    {"prove", bench_prove},     {"window", bench_window}, {"forward", bench_forward}, {"exchange", bench_exchange},
};

int main(int count, char **arguments) {
  for (size_t i = 0; count > 2 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
    if (strcmp(arguments[1], verbs[i].name) == 0) {
      return verbs[i].run(count - 2, arguments + 2);
    }
  }
  fprintf(
      stderr,
      "usage: kido-bench measure COMMAND… | text POLICY | load POLICY | change POLICY | window POLICY | forward POLICY "
      "[ROUNDS [FILE]] | exchange POLICY DIRECTORY RELOADS RATE\n");
  return 2;
}
