/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/protocol.h"

#include <errno.h>
#include <unistd.h>

#include "control/message.h"

static int check_request(const struct control_request *request, int policy_fd, struct error *error) {
  if (request->magic != CONTROL_MAGIC || request->version != CONTROL_VERSION) {
    return error_set(error, EPROTO, "magic %08x, version %u: not a request", request->magic, request->version);
  }
  if (request->verb < CONTROL_STATUS || request->verb > CONTROL_APPLY || request->language > 2 ||
      request->reserved != 0) {
    return error_set(error, EPROTO, "verb %u, language %u: no such request", request->verb, request->language);
  }
  uint64_t size = 0;
  if (request->verb == CONTROL_APPLY) {
    return policy_fd < 0 ? error_set(error, EPROTO, "no policy came with the request")
                         : sealed_check(policy_fd, CONTROL_POLICY_LIMIT, &size, error);
  }
  return policy_fd < 0 ? 0 : error_set(error, EPROTO, "verb %u takes no descriptor", request->verb);
}

static int check_reply(const struct control_reply *reply, int body_fd, struct error *error) {
  if (reply->magic != CONTROL_MAGIC || reply->version != CONTROL_VERSION || reply->final > 1 ||
      reply->step > CONTROL_STEP_CONFIRM || reply->code > 3) {
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
  static const char *const names[] = {[CONTROL_STEP_NONE] = "",
                                      [CONTROL_STEP_CHECK] = "check",
                                      [CONTROL_STEP_COMPILE] = "compile",
                                      [CONTROL_STEP_LOAD] = "load",
                                      [CONTROL_STEP_CONFIRM] = "confirm"};
  return names[step];
}
