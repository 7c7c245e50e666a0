/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_CLIENT_H
#define KIDO_CLI_CLIENT_H

#include <jansson.h>

#include "cli/verb.h"
#include "control/protocol.h"

/* Asking kidod. */
struct client_answer {
  int code;     /* exit code that kidod says */
  json_t *body; /* to be released */
};

typedef void client_progress(const struct invocation *invocation, enum control_step step);

/*
 * Sends one request and waits for the final answer. ask: verb and what it takes; who we are, our language and the
 * connection by which the operator came are filled in. text_fd -1 for none; progress (may be NULL) hears of the steps.
 * Returns 0, or a negative errno with *error when kidod does not run, does not let us in, or hung up.
 */
int client_ask(const struct invocation *invocation, const struct control_request *ask, int text_fd,
               client_progress *progress, struct client_answer *ret_answer, struct error *error);

/* The counters of kidod (kido.flows/1), to be released. EXIT_CODE_YES, or EXIT_CODE_NO_ANSWER after a complaint. */
int client_ask_flows(const struct invocation *invocation, json_t **ret_body);

/* --language, else the language that the answer names: that of the policy in force. */
enum language client_language(const struct invocation *invocation, const json_t *answer);

/* Says that kidod cannot be asked, why, and what to do. */
void client_complain(const struct invocation *invocation, const struct error *error);

#endif
