/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/protocol.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/message.h"
#include "policy/restrictions.h"

/* What each verb takes beside its language. */
struct verb_form {
  uint64_t text_limit; /* 0: no text */
  uint32_t flags;
  bool number, seconds, kind;
};

static const struct verb_form verb_forms[CONTROL_VERB_END_] = {
    [CONTROL_STATUS] = {0},
    [CONTROL_FLOWS] = {0},
    [CONTROL_APPLY] = {.text_limit = CONTROL_POLICY_LIMIT,
                       .flags = CONTROL_ALLOW_LOCKOUT | CONTROL_ALLOW_UNPROVEN,
                       .seconds = true},
    [CONTROL_CONFIRM] = {0},
    [CONTROL_ROLLBACK] = {.flags = CONTROL_ALLOW_LOCKOUT | CONTROL_ALLOW_UNPROVEN, .number = true, .seconds = true},
    [CONTROL_HISTORY] = {0},
    [CONTROL_PLAN] = {.text_limit = CONTROL_POLICY_LIMIT},
    [CONTROL_CUT] = {.text_limit = CONTROL_ORDER_LIMIT, .flags = CONTROL_ALLOW_LOCKOUT | CONTROL_DRY_RUN, .kind = true},
    [CONTROL_LIFT] = {.text_limit = CONTROL_ORDER_LIMIT, .flags = CONTROL_DRY_RUN, .number = true},
    [CONTROL_WINDOW_CLOSE] = {.text_limit = CONTROL_ORDER_LIMIT},
    [CONTROL_WINDOW_REOPEN] = {.text_limit = CONTROL_ORDER_LIMIT},
    [CONTROL_ACKNOWLEDGE] = {.text_limit = CONTROL_ORDER_LIMIT},
};

static bool address_is_sound(const struct control_address *address) {
  return address->family == 0 || address->family == AF_INET || address->family == AF_INET6;
}

static bool numbers_are_sound(const struct control_request *request) {
  return address_is_sound(&request->address) && address_is_sound(&request->operator_address) &&
         address_is_sound(&request->gateway_address) && request->operator_port <= UINT16_MAX &&
         request->gateway_port <= UINT16_MAX && request->seconds <= CONTROL_TRIAL_SECONDS_MAX &&
         request->kind < CUT_KIND_COUNT_;
}

static bool fits_form(const struct control_request *request, const struct verb_form *form) {
  return (request->flags & ~form->flags) == 0 && (form->number || request->number == 0) &&
         (form->seconds || request->seconds == 0) && (form->kind || request->kind == 0) &&
         (form->kind || request->address.family == 0);
}

static int check_request(const struct control_request *request, int policy_fd, struct error *error) {
  if (request->magic != CONTROL_MAGIC || request->version != CONTROL_VERSION) {
    return error_set(error, EPROTO, "magic %08x, version %u: not a request", request->magic, request->version);
  }
  if (request->verb < CONTROL_STATUS || request->verb >= CONTROL_VERB_END_ || request->language > 2 ||
      !numbers_are_sound(request) || !fits_form(request, &verb_forms[request->verb])) {
    return error_set(error, EPROTO, "verb %u, language %u: no such request", request->verb, request->language);
  }
  uint64_t size = 0, limit = verb_forms[request->verb].text_limit;
  if (limit > 0) {
    return policy_fd < 0 ? error_set(error, EPROTO, "verb %u needs a text", request->verb)
                         : sealed_check(policy_fd, limit, &size, error);
  }
  return policy_fd < 0 ? 0 : error_set(error, EPROTO, "verb %u takes no descriptor", request->verb);
}

static int check_reply(const struct control_reply *reply, int body_fd, struct error *error) {
  if (reply->magic != CONTROL_MAGIC || reply->version != CONTROL_VERSION || reply->final > 1 ||
      reply->step >= CONTROL_STEP_END_ || reply->code > 3) {
    return error_set(error, EPROTO, "not a reply of this version of kidod");
  }
  if (reply->final == 0) {
    return body_fd < 0 ? 0 : error_set(error, EPROTO, "a step comes without a body");
  }
  uint64_t size = 0;
  int result = sealed_check(body_fd, CONTROL_BODY_LIMIT, &size, error);
  return result < 0                 ? result
         : size == reply->body_size ? 0
                                    : error_set(error, EPROTO, "the body has another size than announced");
}

static int finish(int result, int fd, int *ret_fd) {
  if (result < 0 && fd >= 0) {
    close(fd);
  }
  if (result == 0) {
    *ret_fd = fd;
  }
  return result;
}

int control_request_send(int socket, const struct control_request *request, int policy_fd) {
  return message_send(socket, request, sizeof *request, policy_fd);
}

int control_request_receive(int socket, struct control_request *ret_request, int *ret_policy_fd, struct error *error) {
  int fd = -1;
  int result = message_receive(socket, ret_request, sizeof *ret_request, &fd, error);
  return result < 0 ? result : finish(check_request(ret_request, fd, error), fd, ret_policy_fd);
}

int control_reply_send(int socket, const struct control_reply *reply, int body_fd) {
  return message_send(socket, reply, sizeof *reply, body_fd);
}

int control_reply_receive(int socket, struct control_reply *ret_reply, int *ret_body_fd, struct error *error) {
  int fd = -1;
  int result = message_receive(socket, ret_reply, sizeof *ret_reply, &fd, error);
  return result < 0 ? result : finish(check_reply(ret_reply, fd, error), fd, ret_body_fd);
}

const char *control_step_name(enum control_step step) {
  static const char *const names[] = {
      [CONTROL_STEP_NONE] = "",     [CONTROL_STEP_CHECK] = "check",     [CONTROL_STEP_COMPILE] = "compile",
      [CONTROL_STEP_LOAD] = "load", [CONTROL_STEP_CONFIRM] = "confirm", [CONTROL_STEP_PROVE] = "prove"};
  return names[step];
}
