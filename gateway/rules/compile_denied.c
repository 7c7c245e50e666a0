/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "rules/compile_parts.h"

/*
 * Theory of operation. Counters say exactly what is denied; the log shows some of it, packet by packet. A rule that
 * denies counts first, then leaves for the chain of its reason, whose first rule copies what the rate allows and whose
 * second one drops all. So whatever happens to the log, verdicts and counters stay. Each reason has a rate of its own:
 * a flood of one does not hide the others. Base chains are the same for every policy and every setting, and log
 * nothing.
 */
enum { LOGGED_PER_SECOND = 10, LOGGED_AT_ONCE = 50 };

struct denial_chain {
  struct denial_chain *next;
  const char *reason, *name;
};

static struct log_limit limit_of(const struct compilation *compilation) {
  return (struct log_limit){compilation->options->denied_log_group, LOGGED_PER_SECOND, LOGGED_AT_ONCE};
}

/* "kido no-flow: " */
static void write_log(struct compilation *compilation, struct rule_writer *rule, const char *reason) {
  const struct log_limit limit = limit_of(compilation);
  rule_log(rule, &limit, arena_printf(compilation->arena, "kido %s: ", reason));
  rule_end(rule, VERDICT_NONE, NULL);
}

static const char *make_chain(struct compilation *compilation, const char *reason) {
  struct chain_draft *chain =
      builder_chain(&compilation->builder, arena_printf(compilation->arena, "denied.%s", reason), NULL);
  struct rule_writer rule = rule_begin(&compilation->builder, chain);
  write_log(compilation, &rule, reason);
  rule = rule_begin(&compilation->builder, chain);
  rule_end(&rule, VERDICT_DROP, NULL);
  return builder_seal_chain(&compilation->builder, chain);
}

static const char *chain_of(struct compilation *compilation, const char *reason) {
  for (const struct denial_chain *chain = compilation->denial_chains; chain != NULL; chain = chain->next)
    if (strcmp(chain->reason, reason) == 0)
      return chain->name;
  struct denial_chain *chain = ARENA_NEW(compilation->arena, struct denial_chain);
  const char *name = make_chain(compilation, reason);
  if (chain == NULL)
    return name; /* the arena failed: all is thrown away */
  *chain = (struct denial_chain){.next = compilation->denial_chains, .reason = reason, .name = name};
  compilation->denial_chains = chain;
  return name;
}

void end_denial(struct compilation *compilation, struct rule_writer *rule, const char *reason) {
  if (compilation->options->denied_log_group == 0 || rule->chain->chain.hook != HOOK_NONE)
    rule_end(rule, VERDICT_DROP, NULL);
  else
    rule_end(rule, VERDICT_GOTO, chain_of(compilation, reason));
}

void log_denial(struct compilation *compilation, struct chain_draft *chain, const char *reason) {
  if (compilation->options->denied_log_group == 0)
    return;
  struct rule_writer rule = rule_begin(&compilation->builder, chain);
  rule.origin = chain->chain.origin;
  write_log(compilation, &rule, reason);
}
