/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "cli/order.h"

/* Ends a declared window early, or takes that back. */

static int print_answer(const struct invocation *invocation, struct client_answer *answer) {
  if (invocation->json) {
    return invocation_print_json(invocation, answer->body, answer->code);
  }
  int code = answer->code;
  if (code != EXIT_CODE_YES) {
    invocation_complain(invocation, "%s", "%s", order_text(invocation, answer->body, "message"));
  } else if (strcmp(order_text(invocation, answer->body, "state"), "in-force") == 0) {
    printf(language_choose(invocation->language, "%s は %s まで開いています\n", "%s is open until %s\n"),
           order_text(invocation, answer->body, "flow"), order_text(invocation, answer->body, "until"));
  } else {
    printf(language_choose(invocation->language, "%s は閉じています\n", "%s is closed\n"),
           order_text(invocation, answer->body, "flow"));
  }
  json_decref(answer->body);
  return invocation_finish(invocation, code);
}

int verb_window(const struct invocation *invocation) {
  bool close = strcmp(invocation->arguments[0], "close") == 0;
  if (!close && strcmp(invocation->arguments[0], "reopen") != 0) {
    return invocation_usage(invocation, "使い方: kido window close|reopen 通信 --why 理由",
                            "usage: kido window close|reopen FLOW --why TEXT");
  }
  const char *why = order_reason(invocation);
  if (!why) {
    return EXIT_CODE_USAGE;
  }
  struct client_answer answer = {0};
  const struct control_request request = {.verb = close ? CONTROL_WINDOW_CLOSE : CONTROL_WINDOW_REOPEN};
  int code = order_send(invocation, &request, invocation->arguments[1], why, &answer);
  if (code != 0) {
    return code;
  }
  struct invocation speaking = order_speaking(invocation, answer.body);
  return print_answer(&speaking, &answer);
}
