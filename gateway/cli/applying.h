/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_APPLYING_H
#define KIDO_CLI_APPLYING_H

#include "cli/client.h"

/* What `apply` and `rollback` have in common. */

/* "90s", "10m", "2h": seconds, 1 to CONTROL_TRIAL_SECONDS_MAX. */
bool duration_parse(const char *text, uint64_t *ret_seconds);

/* Takes --confirm-within and --allow-lockout into the request. EXIT_CODE_YES, or EXIT_CODE_USAGE after a complaint. */
int applying_take_options(const struct invocation *invocation, struct control_request *request);

/* The canonical form as a sealed memfd, or a negative errno with *error. */
int applying_seal_policy(const struct invocation *invocation, const struct policy *policy, struct error *error);

/* A client_progress: names the step on stderr. */
void applying_show_step(const struct invocation *invocation, enum control_step step);

/* Prints a kido.apply/1 and returns its exit code. */
int applying_print_answer(const struct invocation *invocation, const struct client_answer *answer);

#endif
