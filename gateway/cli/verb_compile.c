/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "cli/verb.h"
#include "rules/compile.h"
#include "rules/print.h"

/* --json is the same as --format json. */
static int choose_format(const struct invocation *invocation, bool *ret_json) {
  const char *format = invocation_value(invocation, "format");
  if (format != NULL && strcmp(format, "nft") != 0 && strcmp(format, "json") != 0)
    return invocation_usage(invocation, "--format は nft か json で、「%s」ではありません",
                            "--format is nft or json, not '%s'", format);
  if (format != NULL && strcmp(format, "nft") == 0 && invocation->json)
    return invocation_usage(invocation, "--json と --format nft は一緒に使えません",
                            "--json and --format nft contradict each other");
  *ret_json = invocation->json || (format != NULL && strcmp(format, "json") == 0);
  return EXIT_CODE_YES;
}

static int print_ruleset(const struct invocation *invocation, const struct ruleset *ruleset, bool json) {
  if (json)
    return invocation_print_json(invocation, ruleset_to_json(ruleset, invocation->now), EXIT_CODE_YES);
  int result = ruleset_print_nft(stdout, ruleset, invocation->now);
  if (result < 0) {
    invocation_complain(invocation, "標準出力に書けません: %s", "cannot write to standard output: %s",
                        strerror(-result));
    return EXIT_CODE_NO_ANSWER;
  }
  return invocation_finish(invocation, EXIT_CODE_YES);
}

int verb_compile(const struct invocation *invocation) {
  bool json = false;
  struct policy_reading reading;
  struct ruleset *ruleset;
  struct error error = {0};
  int code = choose_format(invocation, &json);
  if (code == EXIT_CODE_YES)
    code = invocation_read_valid_policy(invocation, invocation->argument_count > 0 ? invocation->arguments[0] : NULL,
                                        &reading);
  if (code != EXIT_CODE_YES)
    return code;
  struct compile_options options = {.now = invocation->now};
  if (ruleset_compile(reading.policy, &options, invocation->arena, &ruleset, &error) < 0) {
    invocation_complain(invocation, "ルールを作れません: %s", "cannot make the ruleset: %s",
                        error.message[0] != '\0' ? error.message : "no memory");
    return EXIT_CODE_NO_ANSWER;
  }
  return print_ruleset(invocation, ruleset, json);
}
