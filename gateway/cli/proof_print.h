/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_PROOF_PRINT_H
#define KIDO_CLI_PROOF_PRINT_H

#include <stdio.h>

#include "cli/verb.h"

/* A kido.verify/1 for people, escaped: the result first, then what to do, then the details. */
void proof_print(FILE *stream, const struct invocation *invocation, const json_t *answer, bool colour);

/* The line of the status screen: "証明できました  2026-…", from kido.status/1's `proof`. */
void proof_print_status(const struct invocation *invocation, const json_t *proof, enum language language);

/* The exit code that goes with the result. */
int proof_exit_code(const json_t *answer);

#endif
