/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_RULES_PRINT_H
#define KIDO_RULES_PRINT_H

#include <stdio.h>

#include <jansson.h>

#include "base/instant.h"
#include "rules/ruleset.h"

/* The ruleset as text for `nft -f`: an empty table of that name is made, emptied and filled in one transaction.
 * now: timeouts are printed relative to it. Returns 0 or a negative errno of the stream. */
int ruleset_print_nft(FILE *stream, const struct ruleset *ruleset, struct instant now);

/* Schema kido.ruleset/1; a new reference, NULL when there is no memory. */
json_t *ruleset_to_json(const struct ruleset *ruleset, struct instant now);

/* One element's key in nft syntax ("10.210.0.12 . 443 . 10.211.0.0/22"), in the arena. */
const char *element_key_text(const struct set *set, const struct element *element, struct arena *arena);

#endif
