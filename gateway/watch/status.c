/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/status.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 8, ASK_SECONDS = 2 };

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

/* ---- the end of kidoban ---- */

struct watch_status_desk {
  int listener, epoll;
  int clients[WATCH_STATUS_CLIENTS]; /* that have not asked, oldest first */
  size_t count;
};

static int listen_at(const char *run_directory, struct error *error) {
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

static int add_source(const struct watch_status_desk *desk, int descriptor) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
  return epoll_ctl(desk->epoll, EPOLL_CTL_ADD, descriptor, &event) < 0 ? -errno : 0;
}

int watch_status_open(const char *run_directory, struct watch_status_desk **ret_desk, struct error *error) {
  struct watch_status_desk *desk = calloc(1, sizeof *desk);
  if (desk == NULL)
    return error_set(error, ENOMEM, "no memory");
  desk->epoll = epoll_create1(EPOLL_CLOEXEC);
  int code = errno;
  desk->listener = listen_at(run_directory, error);
  int result = desk->listener < 0 ? desk->listener : 0;
  if (result == 0)
    result = desk->epoll < 0 ? -code : add_source(desk, desk->listener);
  if (result < 0 && desk->listener >= 0)
    error_set(error, -result, "epoll: %s", strerror(-result));
  if (result < 0)
    watch_status_close(desk);
  else
    *ret_desk = desk;
  return result;
}

struct watch_status_desk *watch_status_close(struct watch_status_desk *desk) {
  if (desk == NULL)
    return NULL;
  for (size_t i = 0; i < desk->count; i++)
    close(desk->clients[i]);
  if (desk->listener >= 0)
    close(desk->listener);
  if (desk->epoll >= 0)
    close(desk->epoll);
  free(desk);
  return NULL;
}

int watch_status_descriptor(const struct watch_status_desk *desk) {
  return desk != NULL ? desk->epoll : -1;
}

/* False when it has not asked yet; else it has what it gets. */
static bool answer_client(int client, const struct watch_status *status) {
  struct watch_status_request request = {0};
  ssize_t got = recv(client, &request, sizeof request, MSG_DONTWAIT | MSG_TRUNC);
  if (got < 0 && (errno == EAGAIN || errno == EINTR))
    return false;
  if (got == (ssize_t)sizeof request && request.magic == WATCH_STATUS_MAGIC)
    (void)!send(client, status, sizeof *status, MSG_NOSIGNAL | MSG_DONTWAIT);
  return true;
}

static void drop_client(struct watch_status_desk *desk, size_t at) {
  close(desk->clients[at]);
  desk->count--;
  memmove(&desk->clients[at], &desk->clients[at + 1], (desk->count - at) * sizeof desk->clients[0]);
}

/* Who asks at once needs no place. */
static void take_client(struct watch_status_desk *desk, int client, const struct watch_status *status) {
  if (answer_client(client, status)) {
    close(client);
    return;
  }
  if (desk->count == WATCH_STATUS_CLIENTS)
    drop_client(desk, 0);
  desk->clients[desk->count++] = client;
  if (add_source(desk, client) < 0)
    drop_client(desk, desk->count - 1);
}

void watch_status_answer(struct watch_status_desk *desk, const struct watch_status *status) {
  for (size_t i = desk->count; i-- > 0;)
    if (answer_client(desk->clients[i], status))
      drop_client(desk, i);
  for (unsigned i = 0; i < BACKLOG; i++) {
    int client = accept4(desk->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0)
      return;
    take_client(desk, client, status);
  }
}
