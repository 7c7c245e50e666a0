/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_ORDER_H
#define KIDO_CLI_ORDER_H

#include "cli/client.h"

/* What the verbs that give orders to kidod have in common: cut and window. */

/* --why; NULL after a complaint when it is missing, too long, or no line of text. */
const char *order_reason(const struct invocation *invocation);

/*
 * Sends an order. names: "" for none. Returns 0 with an answer to be released, or EXIT_CODE_NO_ANSWER after a
 * complaint.
 */
int order_send(const struct invocation *invocation, const struct control_request *request, const char *names,
               const char *why, struct client_answer *ret_answer);

/* The invocation in the language of the answer. */
struct invocation order_speaking(const struct invocation *invocation, const json_t *answer);

/* A text of the answer, escaped; "" where there is none. */
const char *order_text(const struct invocation *invocation, const json_t *object, const char *key);

/* Prints the cuts of an answer (kido.cut/1, kido.status/1), one line each. */
void order_print_cut(const struct invocation *invocation, const json_t *cut);
/* Prints what a doubtful clock holds back, when it does. */
void order_print_clock(const struct invocation *invocation, const json_t *answer);

#endif
