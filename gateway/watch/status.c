/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 8, ANSWER_MILLISECONDS = 100, ASK_SECONDS = 2 };

const char *watch_state_name(enum watch_state state) {
  static const char *const names[] = {
      [WATCH_WATCHING] = "watching", [WATCH_DEGRADED] = "degraded", [WATCH_BLIND] = "blind"};
  return (unsigned)state <= WATCH_BLIND ? names[state] : "blind";
}

const char *wire_state_name(enum wire_state state) {
  static const char *const names[] = {[WIRE_WATCHED] = "watched",
                                      [WIRE_INTERFACE_MISSING] = "missing",
                                      [WIRE_INTERFACE_DOWN] = "down",
                                      [WIRE_CAPTURE_FAILED] = "failed",
                                      [WIRE_BLIND] = "blind"};
  return (unsigned)state <= WIRE_BLIND ? names[state] : "failed";
}

static int address_of(const char *run_directory, struct sockaddr_un *address, struct error *error) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  int length = snprintf(address->sun_path, sizeof address->sun_path, "%s/" WATCH_STATUS_SOCKET, run_directory);
  if (length < 0 || (size_t)length >= sizeof address->sun_path)
    return error_set(error, ENAMETOOLONG, "%s: too long for a socket", run_directory);
  return 0;
}

static void set_timeout(int descriptor, struct timeval timeout) {
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
}

static int exchange(int descriptor, struct watch_status *ret_status, struct error *error) {
  struct watch_status_request request = {WATCH_STATUS_MAGIC, WATCH_STATUS_VERSION};
  struct watch_status status;
  if (send(descriptor, &request, sizeof request, MSG_NOSIGNAL) < 0)
    return error_set(error, errno, "kidoban does not listen: %s", strerror(errno));
  ssize_t got = recv(descriptor, &status, sizeof status, 0);
  if (got < 0)
    return error_set(error, errno, "kidoban does not answer: %s", strerror(errno));
  if ((size_t)got != sizeof status || status.magic != WATCH_STATUS_MAGIC || status.version != WATCH_STATUS_VERSION)
    return error_set(error, EPROTO, "kidoban is of another version");
  *ret_status = status;
  return 0;
}

int watch_status_ask(const char *run_directory, struct watch_status *ret_status, struct error *error) {
  struct sockaddr_un address;
  int result = address_of(run_directory, &address, error);
  if (result < 0)
    return result;
  int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (descriptor < 0)
    return error_set(error, errno, "socket: %s", strerror(errno));
  set_timeout(descriptor, (struct timeval){.tv_sec = ASK_SECONDS});
  if (connect(descriptor, (const struct sockaddr *)&address, sizeof address) < 0)
    result = error_set(error, errno, "kidoban is not running (%s: %s)", address.sun_path, strerror(errno));
  else
    result = exchange(descriptor, ret_status, error);
  close(descriptor);
  return result;
}

int watch_status_listen(const char *run_directory, struct error *error) {
  struct sockaddr_un address;
  int result = address_of(run_directory, &address, error);
  if (result < 0)
    return result;
  int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0)
    return error_set(error, errno, "socket: %s", strerror(errno));
  unlink(address.sun_path);
  if (bind(descriptor, (const struct sockaddr *)&address, sizeof address) < 0 || chmod(address.sun_path, 0660) < 0 ||
      listen(descriptor, BACKLOG) < 0) {
    result = error_set(error, errno, "%s: %s", address.sun_path, strerror(errno));
    close(descriptor);
    return result;
  }
  return descriptor;
}

void watch_status_answer(int listener, const struct watch_status *status) {
  int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (client < 0)
    return;
  set_timeout(client, (struct timeval){.tv_usec = ANSWER_MILLISECONDS * 1000L});
  struct watch_status_request request = {0};
  if (recv(client, &request, sizeof request, 0) == (ssize_t)sizeof request && request.magic == WATCH_STATUS_MAGIC)
    (void)!send(client, status, sizeof *status, MSG_NOSIGNAL);
  close(client);
}
