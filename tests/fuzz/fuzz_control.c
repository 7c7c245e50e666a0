/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/message.h"
#include "control/protocol.h"
#include "control/publication.h"
#include "control/restrictions_json.h"

/*
 * What somebody may send to kidod, to kido or to a follower: any bytes as one message, with up to two descriptors:
 * none, a sealed memfd, one that is not sealed, or one that is no file. The first byte says to whom and with what.
 * What is taken must keep its promises, and every descriptor must be closed again. What begins with a brace is read as
 * restrictions instead.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 1 << 16 };

static int make_descriptor(unsigned kind, const uint8_t *data, size_t size) {
  int fd;
  switch (kind) {
  case 1:
    return sealed_memfd("fuzz", data, size);
  case 2:
    fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    (void)!write(fd, data, size);
    return fd;
  case 3:
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  default:
    return -1;
  }
}

static void send_all(int socket, const void *data, size_t size, const int *fds, size_t count) {
  union {
    char bytes[CMSG_SPACE(2 * sizeof(int))];
    struct cmsghdr align;
  } ancillary = {{0}};
  struct iovec vector = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  if (count > 0) {
    message.msg_control = &ancillary;
    message.msg_controllen = CMSG_SPACE(count * sizeof *fds);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header =
        (struct cmsghdr){.cmsg_len = CMSG_LEN(count * sizeof *fds), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(header), fds, count * sizeof *fds);
  }
  (void)!sendmsg(socket, &message, MSG_NOSIGNAL);
}

/* What came with a message that was taken is a sealed memfd, or nothing. */
static void take(int fd, uint64_t size) {
  struct arena *arena = arena_new(0);
  char *text = NULL;
  size_t length = 0;
  if (fd >= 0 &&
      (sealed_read(fd, CONTROL_BODY_LIMIT, arena, &text, &length, NULL) < 0 || (size != UINT64_MAX && length != size)))
    abort();
  if (fd >= 0)
    close(fd);
  arena_free(arena);
}

static void receive_request(int socket) {
  struct control_request request;
  int fd = -1;
  if (control_request_receive(socket, &request, &fd, NULL) < 0)
    return;
  if (request.verb < CONTROL_STATUS || request.verb >= CONTROL_VERB_END_ || (request.verb == CONTROL_APPLY && fd < 0))
    abort();
  take(fd, UINT64_MAX);
}

static void receive_reply(int socket) {
  struct control_reply reply;
  int fd = -1;
  if (control_reply_receive(socket, &reply, &fd, NULL) < 0)
    return;
  if (control_step_name((enum control_step)reply.step) == NULL || reply.code > 3)
    abort();
  take(fd, reply.body_size);
}

static void receive_publication(int socket) {
  struct publication publication;
  int fd = -1;
  if (publication_receive(socket, &publication, &fd, NULL) < 0)
    return;
  if (strnlen(publication.policy_number, sizeof publication.policy_number) == sizeof publication.policy_number ||
      strnlen(publication.policy_sha256, sizeof publication.policy_sha256) == sizeof publication.policy_sha256)
    abort();
  take(fd, publication.policy_size + publication.restrictions_size);
}

/* Restrictions that are taken go to text and back unchanged. */
static void read_restrictions(const char *text, size_t size) {
  enum { FLOWS = 2, ZONES = 1 };
  struct arena *arena = arena_new(0);
  struct restrictions restrictions, again;
  if (restrictions_from_text(text, size, FLOWS, ZONES, arena, &restrictions, NULL) == 0) {
    char *first = restrictions_to_text(&restrictions, FLOWS, ZONES);
    if (first == NULL || restrictions_from_text(first, strlen(first), FLOWS, ZONES, arena, &again, NULL) < 0)
      abort();
    char *second = restrictions_to_text(&again, FLOWS, ZONES);
    if (second == NULL || strcmp(first, second) != 0)
      abort();
    free(first);
    free(second);
  }
  arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static void (*const receivers[])(int) = {receive_request, receive_reply, receive_publication};
  static int ends[2] = {-1, -1};
  if (size < 1 || size > LIMIT)
    return 0;
  if (data[0] == '{') {
    read_restrictions((const char *)data, size);
    return 0;
  }
  if (ends[0] < 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
    abort();
  int fds[2], probe = dup(ends[0]);
  size_t count = 0;
  for (unsigned i = 0; i < 2; i++) {
    fds[count] = make_descriptor(data[0] >> (2 + 2 * i) & 3, data + 1, (size - 1) / 2);
    count += fds[count] >= 0;
  }
  send_all(ends[0], data + 1, size - 1, fds, count);
  for (size_t i = 0; i < count; i++)
    close(fds[i]);
  receivers[data[0] % 4 % 3](ends[1]);
  close(probe);
  int again = dup(ends[0]); /* the lowest that is free: the same as before, or something was left open */
  if (again != probe)
    abort();
  close(again);
  return 0;
}
