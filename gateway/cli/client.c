/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/client.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "cli/session.h"
#include "control/message.h"

enum { ANSWER_SECONDS = 20, APPLY_SECONDS = 300 };

static int read_body(const struct invocation *invocation, int fd, json_t **ret_body, struct error *error) {
  char *text;
  size_t size;
  int result = sealed_read(fd, CONTROL_BODY_LIMIT, invocation->arena, &text, &size, error);
  close(fd);
  if (result < 0) {
    return result;
  }
  json_t *body = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
  if (!json_is_object(body)) {
    json_decref(body);
    return error_set(error, EPROTO, "the answer of kidod is not JSON");
  }
  *ret_body = body;
  return 0;
}

static int wait_for_answer(const struct invocation *invocation, int socket, client_progress *progress,
                           struct client_answer *ret_answer, struct error *error) {
  for (;;) {
    struct control_reply reply;
    int fd = -1;
    int result = control_reply_receive(socket, &reply, &fd, error);
    if (result < 0) {
      return result == -EPROTO   ? result
             : result == -EAGAIN ? error_set(error, ETIMEDOUT, "kidod does not answer")
                                 : error_set(error, -result, "kidod hung up: %s", strerror(-result));
    }
    if (reply.final == 0) {
      if (progress) {
        progress(invocation, reply.step);
      }
      continue;
    }
    ret_answer->code = (int)reply.code;
    return read_body(invocation, fd, &ret_answer->body, error);
  }
}

/* kidod answers at once, but for what loads a policy; whoever does not is not waited for. */
static void limit_patience(int socket, uint32_t verb) {
  bool quick = verb == CONTROL_STATUS || verb == CONTROL_FLOWS || verb == CONTROL_HISTORY;
  struct timeval patience = {.tv_sec = quick ? ANSWER_SECONDS : APPLY_SECONDS};
  (void)setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  (void)setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

static struct control_address numbers_of(const struct address *address) {
  struct control_address numbers = {.family = address->family == FAMILY_IPV6 ? AF_INET6 : AF_INET};
  memcpy(numbers.bytes, address->bytes, address_length(address->family));
  return numbers;
}

static void tell_session(struct control_request *request) {
  struct session session;
  if (session_find(&session)) {
    request->operator_address = numbers_of(&session.operator_address);
    request->gateway_address = numbers_of(&session.gateway_address);
    request->operator_port = session.operator_port;
    request->gateway_port = session.gateway_port;
  }
}

int client_ask(const struct invocation *invocation, const struct control_request *ask, int text_fd,
               client_progress *progress, struct client_answer *ret_answer, struct error *error) {
  struct control_request request = *ask;
  request.magic = CONTROL_MAGIC;
  request.version = CONTROL_VERSION;
  request.language = invocation->language_forced ? (uint32_t)invocation->language + 1 : 0;
  tell_session(&request);
  int socket = message_connect(invocation->run_directory, CONTROL_SOCKET, error);
  if (socket < 0) {
    return socket;
  }
  limit_patience(socket, request.verb);
  int result = control_request_send(socket, &request, text_fd);
  if (result < 0) {
    error_set(error, -result, "kidod hung up: %s", strerror(-result));
  } else {
    result = wait_for_answer(invocation, socket, progress, ret_answer, error);
  }
  close(socket);
  return result;
}

void client_complain(const struct invocation *invocation, const struct error *error) {
  if (error->code == EACCES || error->code == EPERM || error->code == ECONNRESET || error->code == EPIPE) {
    invocation_complain(invocation,
                        "kidod に問い合わせられません (%s)。root か kido グループの利用者で実行してください",
                        "cannot ask kidod (%s): run this as root or as a member of the group kido", error->message);
    return;
  }
  invocation_complain(invocation, "kidod が動いていません (%s)。systemctl start kidod で開始してください",
                      "kidod is not running (%s): start it with systemctl start kidod", error->message);
}

int client_ask_flows(const struct invocation *invocation, json_t **ret_body) {
  struct client_answer answer = {0};
  struct error error = {0};
  if (client_ask(invocation, &(struct control_request){.verb = CONTROL_FLOWS}, -1, NULL, &answer, &error) < 0) {
    client_complain(invocation, &error);
    return EXIT_CODE_NO_ANSWER;
  }
  if (answer.code != EXIT_CODE_YES) {
    const char *message = json_string_value(json_object_get(answer.body, "message"));
    invocation_complain(invocation, "%s", "%s", message ? message : "?");
    json_decref(answer.body);
    return EXIT_CODE_NO_ANSWER;
  }
  *ret_body = answer.body;
  return EXIT_CODE_YES;
}

enum language client_language(const struct invocation *invocation, const json_t *answer) {
  const char *name = json_string_value(json_object_get(answer, "language"));
  if (invocation->language_forced || !name) {
    return invocation->language;
  }
  return strcmp(name, "ja") == 0 ? LANGUAGE_JAPANESE : LANGUAGE_ENGLISH;
}
