/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/answer.h"
#include "cli/event_query.h"
#include "cli/order.h"

/*
 * An alert is named by its whole id, or as `kido events` shows it: the daemon and the sequence of its first record,
 * which is how the id begins and ends.
 */
static bool names(const char *given, const char *id) {
  const char *first = strchr(id, '-'), *last = strrchr(id, '-');
  if (strcmp(given, id) == 0) {
    return true;
  }
  size_t head = first ? (size_t)(first - id) : 0;
  return first && strncmp(given, id, head) == 0 && strcmp(given + head, last) == 0;
}

/* The whole id; NULL when there is no such event, or it cannot be found out: then *ret_code says which. */
static const char *find_id(const struct invocation *invocation, const char *given, int *ret_code) {
  const char *dash = strrchr(given, '-');
  const struct event_query query = {.least = EVENT_INFO, .sequence = dash ? strtoull(dash + 1, NULL, 10) : 0};
  struct event_hits hits = {.items = NULL};
  struct error error = {0};
  const char *found = NULL;
  *ret_code = EXIT_CODE_NO;
  if (query.sequence == 0) {
    return NULL;
  }
  if (event_hits_ask(invocation->state_directory, &query, &hits, &error) < 0) {
    invocation_complain(invocation, "事象を読めません: %s", "cannot read the events: %s", error.message);
    *ret_code = EXIT_CODE_NO_ANSWER;
  }
  for (size_t i = hits.count; !found && i-- > 0;) {
    json_t *event = event_hit_object(&hits.items[i]);
    const char *id = answer_text(event, "id");
    found = event && names(given, id) ? arena_strdup(invocation->arena, id) : NULL;
    json_decref(event);
  }
  event_hits_free(&hits);
  return found;
}

static int print_answer(const struct invocation *invocation, struct client_answer *answer) {
  if (invocation->json) {
    return invocation_print_json(invocation, answer->body, answer->code);
  }
  int code = answer->code;
  if (code != EXIT_CODE_YES) {
    invocation_complain(invocation, "%s", "%s", order_text(invocation, answer->body, "message"));
  } else {
    printf(language_choose(invocation->language, "%s を確認済みにしました (%s)\n", "%s is acknowledged (%s)\n"),
           order_text(invocation, answer->body, "id"), order_text(invocation, answer->body, "by"));
  }
  json_decref(answer->body);
  return invocation_finish(invocation, code);
}

int verb_ack(const struct invocation *invocation) {
  int code;
  const char *why = order_reason(invocation);
  if (!why) {
    return EXIT_CODE_USAGE;
  }
  const char *id = find_id(invocation, invocation->arguments[0], &code);
  if (!id) {
    if (code == EXIT_CODE_NO) {
      invocation_complain(invocation, "「%s」という事象はありません", "there is no event '%s'",
                          invocation->arguments[0]);
    }
    return code;
  }
  struct client_answer answer = {0};
  const struct control_request request = {.verb = CONTROL_ACKNOWLEDGE};
  code = order_send(invocation, &request, id, why, &answer);
  if (code != 0) {
    return code;
  }
  struct invocation speaking = order_speaking(invocation, answer.body);
  return print_answer(&speaking, &answer);
}
