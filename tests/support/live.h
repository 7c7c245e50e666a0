/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_SUPPORT_LIVE_H
#define KIDO_TESTS_SUPPORT_LIVE_H

#include "base/arena.h"
#include "policy/policy.h"
#include "proof/live.h"
#include "rules/compile.h"

/* Rulesets for tests of the proof. They end the test with words when it does not work. */

/* What a kernel makes of nft text, loaded in a network namespace that exists for it alone. */
struct live_ruleset *live_from_text(const char *text, struct arena *arena);
/* What the compiler makes of a policy, as nft text; the caller frees it. */
char *nft_text_of_policy(const struct policy *policy, const struct compile_options *options, struct arena *arena);
/* And what a kernel makes of that. */
struct live_ruleset *live_from_policy(const struct policy *policy, const struct compile_options *options,
                                      struct arena *arena);
/* What the kernel holds in the namespace of the test. */
struct live_ruleset *live_from_kernel(struct arena *arena);
/* A file: `kido-ruleset/1`, or nft text. */
struct live_ruleset *live_from_file(const char *path, struct arena *arena);

/* The rule at a place (0: the first) of a chain; it must be there. */
const struct live_rule *live_rule_at(const struct live_ruleset *ruleset, const char *table, const char *chain,
                                     size_t place);

/* Everything that is not understood, one line each, "" when all is; for messages of tests. */
const char *live_complaints(const struct live_ruleset *ruleset, struct arena *arena);

#endif
