/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/verb.h"
#include "policy/check.h"
#include "policy/read.h"

int invocation_read_policy(const struct invocation *invocation, const char *positional,
                           struct policy_reading *ret_reading) {
  if (positional && invocation->policy_file) {
    return invocation_usage(invocation, "ポリシーが二つ指定されています: %s と --policy %s",
                            "two policies are named: %s and --policy %s", positional, invocation->policy_file);
  }
  struct policy_reading reading = {.file = positional ? positional : invocation->policy_file};
  if (!reading.file) {
    reading.file = DEFAULT_POLICY_FILE;
  }
  struct error error = {0};
  diagnostic_list_init(&reading.diagnostics, invocation->arena, invocation->language);
  if (policy_read(reading.file, invocation->arena, invocation->language_forced, &reading.policy, &reading.diagnostics,
                  &error) < 0) {
    invocation_complain(invocation, "%s", "%s", error.message);
    return EXIT_CODE_NO_ANSWER;
  }
  *ret_reading = reading;
  return EXIT_CODE_YES;
}

void invocation_print_diagnostics(const struct invocation *invocation, struct diagnostic_list *diagnostics) {
  diagnostic_sort(diagnostics);
  diagnostic_print(stderr, diagnostics, invocation->colour_diagnostics);
}

/* The errors alone, for verbs whose subject is not the policy's quality. */
static void print_errors(const struct invocation *invocation, const struct diagnostic_list *diagnostics) {
  struct diagnostic_list errors;
  diagnostic_list_init(&errors, invocation->arena, diagnostics->language);
  errors.items = ARENA_ARRAY(invocation->arena, diagnostics->count, struct diagnostic);
  for (size_t i = 0; errors.items && i < diagnostics->count; i++) {
    if (diagnostics->items[i].severity == SEVERITY_ERROR) {
      errors.items[errors.count++] = diagnostics->items[i];
    }
  }
  errors.errors = errors.capacity = errors.count;
  invocation_print_diagnostics(invocation, &errors);
}

int invocation_read_valid_policy(const struct invocation *invocation, const char *positional,
                                 struct policy_reading *ret_reading) {
  struct policy_reading reading = {0};
  int code = invocation_read_policy(invocation, positional, &reading);
  if (code != EXIT_CODE_YES) {
    return code;
  }
  if (reading.policy) {
    struct check_options options = {.now = invocation->now};
    policy_check(reading.policy, &options, &reading.diagnostics);
  }
  if (!reading.policy || reading.diagnostics.errors > 0 || reading.diagnostics.out_of_memory) {
    print_errors(invocation, &reading.diagnostics);
    return EXIT_CODE_NO;
  }
  *ret_reading = reading;
  return EXIT_CODE_YES;
}
