/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/verb.h"
#include "policy/print.h"

static json_t *printed_to_json(const struct policy *policy, const char *text, size_t length) {
  return json_pack("{s:s, s:s, s:s%}", "schema", "kido.print/1", "sha256", policy->sha256, "text", text, length);
}

int verb_print(const struct invocation *invocation) {
  struct policy_reading reading;
  int code =
      invocation_read_policy(invocation, invocation->argument_count > 0 ? invocation->arguments[0] : NULL, &reading);
  if (code != EXIT_CODE_YES)
    return code;
  if (reading.policy == NULL || reading.diagnostics.errors != 0) {
    invocation_print_diagnostics(invocation, &reading.diagnostics);
    return EXIT_CODE_NO;
  }
  size_t length = 0;
  const char *text = policy_print(reading.policy, invocation->arena, &length);
  if (text == NULL) {
    invocation_complain(invocation, "メモリが足りません", "no memory");
    return EXIT_CODE_NO_ANSWER;
  }
  if (invocation->json)
    return invocation_print_json(invocation, printed_to_json(reading.policy, text, length), EXIT_CODE_YES);
  fwrite(text, 1, length, stdout);
  return invocation_finish(invocation, EXIT_CODE_YES);
}
