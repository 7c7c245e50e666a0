/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Root where it was started as root, but of root's capabilities only CAP_NET_RAW: what root owns it can open, and kidod
 * lets it in.
 *
 * A call that the sandbox of another process caught is answered with a file descriptor that is put into that process.
 * The arguments are numbers, not pointers: nothing of the other process is read, and nothing can change under us.
 * Which family and types are made is decided here, whatever is asked for.
 */
#include "control/opener.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "control/child.h"

enum { PATIENCE_SECONDS = 1 };

/* ---- handing over descriptors ---- */

/* An answer bears the number of its wish: one that comes too late is not taken for that to the next. */
struct opener_word {
  uint32_t number; /* 0: no wish, the listener */
  int32_t value;   /* the wish; 0 or a negative errno */
};

/* A word, and the descriptor that belongs to it, if any. */
static int send_word(int link, const struct opener_word *word, int descriptor) {
  struct iovec vector = {(void *)(uintptr_t)word, sizeof *word};
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  memset(&control, 0, sizeof control);
  if (descriptor >= 0) {
    message.msg_control = &control;
    message.msg_controllen = sizeof control.bytes;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  return sendmsg(link, &message, MSG_NOSIGNAL) == (ssize_t)sizeof *word ? 0 : -errno;
}

/*
 * *ret_descriptor -1: none came with it. 0 or a negative errno; -EPIPE when the other end is closed. There is room for
 * one descriptor to the byte (CMSG_SPACE would hold two): the kernel gives no more than fit, and nobody closes others.
 */
static int receive_word(int link, int flags, struct opener_word *ret_word, int *ret_descriptor) {
  struct iovec vector = {ret_word, sizeof *ret_word};
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr message = {
      .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_LEN(sizeof(int))};
  int descriptor = -1;
  ssize_t size = recvmsg(link, &message, flags | MSG_CMSG_CLOEXEC);
  const struct cmsghdr *header = size >= 0 ? CMSG_FIRSTHDR(&message) : NULL;
  if (header != NULL && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int)))
    memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
  if (size == (ssize_t)sizeof *ret_word) {
    *ret_descriptor = descriptor;
    return 0;
  }
  int result = size < 0 ? -errno : -EPIPE;
  if (descriptor >= 0)
    close(descriptor);
  return result;
}

int opener_give(const struct opener *opener, int listener, struct error *error) {
  static const struct opener_word word;
  int result = send_word(opener->link, &word, listener);
  return result == 0 ? 0 : error_set(error, -result, "the opener of captures has ended: %s", strerror(-result));
}

static int64_t milliseconds_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* 0 when the link is readable, -ETIMEDOUT, or a negative errno. */
static int wait_for_word(int link, int64_t deadline) {
  struct pollfd wait = {.fd = link, .events = POLLIN};
  int64_t left = deadline - milliseconds_now();
  int ready = poll(&wait, 1, left > 0 ? (int)left : 0);
  return ready > 0 ? 0 : ready == 0 ? -ETIMEDOUT : errno == EINTR ? -EAGAIN : -errno;
}

static int receive_answer(int link, uint32_t number) {
  int64_t deadline = milliseconds_now() + PATIENCE_SECONDS * INT64_C(1000);
  for (;;) {
    struct opener_word word = {0};
    int descriptor = -1, result = wait_for_word(link, deadline);
    if (result == 0)
      result = receive_word(link, MSG_DONTWAIT, &word, &descriptor);
    if (result == -EAGAIN || result == -EINTR)
      continue;
    if (result < 0)
      return result;
    if (word.number == number)
      return descriptor >= 0 ? descriptor : word.value < 0 ? word.value : -EPROTO;
    if (descriptor >= 0)
      close(descriptor);
  }
}

int opener_ask(struct opener *opener, enum opener_wish wish) {
  opener->asked = opener->asked == UINT32_MAX ? 1 : opener->asked + 1;
  struct opener_word word = {opener->asked, (int32_t)wish};
  int result = send_word(opener->link, &word, -1);
  return result == 0 ? receive_answer(opener->link, word.number) : result;
}

bool opener_lives(const struct opener *opener) {
  struct opener_word late;
  int result, descriptor = -1;
  while ((result = receive_word(opener->link, MSG_DONTWAIT, &late, &descriptor)) == 0 || result == -EINTR) {
    if (descriptor >= 0)
      close(descriptor);
    descriptor = -1;
  }
  return result == -EAGAIN;
}

/* ---- the process ---- */

static bool may_be_opened(const struct seccomp_notif *request) {
  int type = (int)request->data.args[1] & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
  return request->data.nr == SCMP_SYS(socket) && request->data.args[0] == AF_PACKET &&
         (type == SOCK_RAW || type == SOCK_DGRAM);
}

/* The number of the descriptor in the other process, or a negative errno. */
static int hand_over(int listener, uint64_t id, int made, bool close_on_exec) {
  struct seccomp_notif_addfd addition = {
      .id = id, .srcfd = (uint32_t)made, .newfd_flags = close_on_exec ? O_CLOEXEC : 0};
  int number = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &addition);
  return number < 0 ? -errno : number;
}

static int open_for(int listener, const struct seccomp_notif *request) {
  int type = (int)request->data.args[1];
  if (!may_be_opened(request))
    return -EPERM;
  int made = socket(AF_PACKET, type | SOCK_CLOEXEC, (int)request->data.args[2]);
  if (made < 0)
    return -errno;
  int number = hand_over(listener, request->id, made, (type & SOCK_CLOEXEC) != 0);
  close(made);
  return number;
}

static bool answer(int listener, struct seccomp_notif *request, struct seccomp_notif_resp *response) {
  memset(request, 0, sizeof *request);
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, request) < 0)
    return errno == EINTR || errno == ENOENT; /* who asked was interrupted */
  int result = open_for(listener, request);
  *response =
      (struct seccomp_notif_resp){.id = request->id, .val = result >= 0 ? result : 0, .error = result < 0 ? result : 0};
  return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, response) == 0 || errno == ENOENT;
}

static int connect_to(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path)
    return -ENAMETOOLONG;
  memcpy(address.sun_path, path, strlen(path) + 1);
  int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor >= 0 && connect(descriptor, (const struct sockaddr *)&address, sizeof address) == 0)
    return descriptor;
  int code = errno;
  if (descriptor >= 0)
    close(descriptor);
  return -code;
}

static int open_policy(const char *path) {
  int descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  return descriptor >= 0 ? descriptor : -errno;
}

/* False when the other one has ended. */
static bool fulfil(int link, const struct opener_targets *targets) {
  static int (*const means[OPENER_WISHES_])(const char *) = {
      [OPENER_KIDOD] = connect_to, [OPENER_POLICY] = open_policy};
  struct opener_word word;
  int unwanted = -1;
  if (receive_word(link, 0, &word, &unwanted) < 0)
    return false;
  if (unwanted >= 0)
    close(unwanted);
  bool known = word.value >= 0 && word.value < OPENER_WISHES_ && targets->paths[word.value] != NULL;
  int result = known ? means[word.value](targets->paths[word.value]) : -EINVAL;
  word.value = result < 0 ? result : 0;
  bool sent = send_word(link, &word, result) == 0;
  if (result >= 0)
    close(result);
  return sent;
}

static void serve(int link, const struct opener_targets *targets) {
  struct seccomp_notif request;
  struct seccomp_notif_resp response;
  struct opener_word word;
  int listener = -1;
  if (receive_word(link, 0, &word, &listener) < 0 || listener < 0)
    return;
  struct pollfd waits[] = {{.fd = listener, .events = POLLIN}, {.fd = link, .events = POLLIN}};
  for (bool serving = true; serving;) {
    if (poll(waits, 2, -1) < 0 && errno != EINTR)
      return;
    serving = ((waits[0].revents | waits[1].revents) & (POLLHUP | POLLERR)) == 0;
    if (serving && (waits[0].revents & POLLIN) != 0)
      serving = answer(listener, &request, &response);
    if (serving && (waits[1].revents & POLLIN) != 0)
      serving = fulfil(link, targets);
  }
}

static int keep_raw(void) {
  capng_get_caps_process();
  bool raw = capng_have_capability(CAPNG_PERMITTED, CAP_NET_RAW) != 0;
  capng_clear(CAPNG_SELECT_CAPS);
  if (raw)
    capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_RAW);
  if (capng_apply(CAPNG_SELECT_CAPS) != 0)
    return -EPERM;
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

static int limit_calls(void) {
  static const int calls[] = {SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),    SCMP_SYS(connect),
                              SCMP_SYS(poll),    SCMP_SYS(ppoll),      SCMP_SYS(ioctl),
                              SCMP_SYS(close),   SCMP_SYS(exit_group), SCMP_SYS(restart_syscall),
                              SCMP_SYS(munmap),  SCMP_SYS(brk),        SCMP_SYS(rt_sigreturn),
                              SCMP_SYS(write),   SCMP_SYS(mmap),       SCMP_SYS(sigaltstack)};
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  int result = filter != NULL ? 0 : -ENOMEM;
  for (size_t i = 0; i < sizeof calls / sizeof calls[0] && result == 0; i++)
    result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
  if (result == 0)
    result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_PACKET, 0));
  if (result == 0)
    result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
  if (result == 0)
    result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
  if (result == 0)
    result = seccomp_load(filter);
  seccomp_release(filter);
  return result;
}

static _Noreturn void run(const struct opener_targets *targets, int link) {
  child_detach(&link, 1);
  prctl(PR_SET_NAME, "kidoban-opener", 0, 0, 0);
  if (keep_raw() == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && limit_calls() == 0)
    serve(link, targets);
  _exit(0);
}

int opener_start(const struct opener_targets *targets, struct opener *ret_opener, struct error *error) {
  static const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
    return error_set(error, errno, "socketpair: %s", strerror(errno));
  setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  pid_t pid = fork();
  if (pid == 0)
    run(targets, ends[1]);
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return error_set(error, errno, "fork: %s", strerror(errno));
  }
  *ret_opener = (struct opener){.pid = pid, .link = ends[0]};
  return 0;
}
