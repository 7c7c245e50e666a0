/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "base/text.h"
#include "cli/check_exact.h"
#include "cli/verb.h"
#include "policy/check.h"

/* NULL-terminated, in the arena; NULL when this machine does not say. */
static const char *const *machine_interfaces(struct arena *arena) {
  struct if_nameindex *found = if_nameindex();
  if (found == NULL)
    return NULL;
  size_t count = 0;
  while (found[count].if_name != NULL)
    count++;
  const char **names = ARENA_ARRAY(arena, count + 1, const char *);
  for (size_t i = 0; names != NULL && i < count; i++)
    names[i] = arena_strdup(arena, found[i].if_name);
  if_freenameindex(found);
  return names;
}

static json_t *result_to_json(const struct diagnostic_list *diagnostics, struct expectation_result result) {
  return json_pack("{s:s, s:b, s:I, s:I, s:o, s:{s:I, s:I}}", "schema", "kido.check/1", "ok", diagnostics->errors == 0,
                   "errors", (json_int_t)diagnostics->errors, "warnings", (json_int_t)diagnostics->warnings,
                   "diagnostics", diagnostics_to_json(diagnostics), "expectations", "passed", (json_int_t)result.passed,
                   "failed", (json_int_t)result.failed);
}

static void print_summary(const struct invocation *invocation, const struct policy_reading *reading,
                          struct expectation_result result) {
  const struct diagnostic_list *diagnostics = &reading->diagnostics;
  const char *file = text_escape(invocation->arena, reading->file);
  printf(language_choose(diagnostics->language, "%s: 誤り %zu 件、警告 %zu 件、期待 %zu 件中 %zu 件が成立\n",
                         "%s: %zu errors, %zu warnings, of %zu expectations %zu hold\n"),
         file != NULL ? file : "", diagnostics->errors, diagnostics->warnings, result.passed + result.failed,
         result.passed);
}

/* Expectations are run whenever the file has a model without holes, whatever the doctrine says of it. *ret_complete:
 * false when something could not be looked at. */
static int check_policy(const struct invocation *invocation, struct policy_reading *reading,
                        struct expectation_result *ret_result, bool *ret_complete) {
  struct check_options options = {.now = invocation->now};
  bool whole = reading->diagnostics.errors == 0;
  if (invocation_has(invocation, "this-machine")) {
    options.interfaces = machine_interfaces(invocation->arena);
    if (options.interfaces == NULL) {
      invocation_complain(invocation, "この装置のインターフェースが分かりません: %s",
                          "cannot list the interfaces of this machine: %s", strerror(errno));
      return EXIT_CODE_NO_ANSWER;
    }
  }
  policy_check(reading->policy, &options, &reading->diagnostics);
  if (!whole)
    return EXIT_CODE_YES;
  *ret_result = policy_check_expectations(reading->policy, invocation->now, &reading->diagnostics);
  *ret_complete = check_exactly(invocation, reading->policy, &reading->diagnostics, ret_result);
  return EXIT_CODE_YES;
}

int verb_check(const struct invocation *invocation) {
  struct policy_reading reading;
  struct expectation_result result = {0};
  bool complete = true;
  int code =
      invocation_read_policy(invocation, invocation->argument_count > 0 ? invocation->arguments[0] : NULL, &reading);
  if (code == EXIT_CODE_YES && reading.policy != NULL)
    code = check_policy(invocation, &reading, &result, &complete);
  if (code != EXIT_CODE_YES)
    return code;
  code = reading.diagnostics.out_of_memory ? EXIT_CODE_NO_ANSWER
         : reading.diagnostics.errors != 0 ? EXIT_CODE_NO
         : complete                        ? EXIT_CODE_YES
                                           : EXIT_CODE_NO_ANSWER;
  diagnostic_sort(&reading.diagnostics);
  if (invocation->json)
    return invocation_print_json(invocation, result_to_json(&reading.diagnostics, result), code);
  invocation_print_diagnostics(invocation, &reading.diagnostics);
  print_summary(invocation, &reading, result);
  return invocation_finish(invocation, code);
}
