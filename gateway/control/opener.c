/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A call that the sandbox of another process caught is answered with a file descriptor that is put into that process.
 * The arguments are numbers, not pointers: nothing of the other process is read, and nothing can change under us.
 * Which family and types are made is decided here, whatever is asked for.
 */
#include "control/opener.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/child.h"

/* ---- handing over a descriptor ---- */

union descriptor_message {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int))];
};

static struct msghdr message_of(struct iovec *word, union descriptor_message *control) {
  return (struct msghdr){
      .msg_iov = word, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control->bytes};
}

int opener_give(const struct opener *opener, int listener, struct error *error) {
  char byte = 0;
  struct iovec word = {&byte, 1};
  union descriptor_message control;
  memset(&control, 0, sizeof control);
  struct msghdr message = message_of(&word, &control);
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof listener);
  memcpy(CMSG_DATA(header), &listener, sizeof listener);
  return sendmsg(opener->link, &message, MSG_NOSIGNAL) == 1
             ? 0
             : error_set(error, errno, "the opener of captures has ended: %s", strerror(errno));
}

static int receive_listener(int link) {
  char byte;
  struct iovec word = {&byte, 1};
  union descriptor_message control;
  struct msghdr message = message_of(&word, &control);
  if (recvmsg(link, &message, MSG_CMSG_CLOEXEC) != 1)
    return -1;
  const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  int listener;
  if (header == NULL || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof listener))
    return -1;
  memcpy(&listener, CMSG_DATA(header), sizeof listener);
  return listener;
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

static void serve(int link) {
  struct seccomp_notif request;
  struct seccomp_notif_resp response;
  int listener = receive_listener(link);
  struct pollfd waits[] = {{.fd = listener, .events = POLLIN}, {.fd = link, .events = POLLIN}};
  while (listener >= 0) {
    if (poll(waits, 2, -1) < 0 && errno != EINTR)
      return;
    if (waits[1].revents != 0 || (waits[0].revents & (POLLHUP | POLLERR)) != 0)
      return; /* the other one has ended */
    if ((waits[0].revents & POLLIN) != 0 && !answer(listener, &request, &response))
      return;
  }
}

/* CAP_NET_RAW stays, through the change of user. A user namespace may know root alone (EINVAL). */
static int keep_raw(uid_t uid, gid_t gid) {
  bool root = geteuid() == 0;
  capng_get_caps_process();
  bool raw = capng_have_capability(CAPNG_PERMITTED, CAP_NET_RAW) != 0;
  prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
  if (root && ((setgroups(0, NULL) < 0 && errno != EPERM) ||
               ((setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) && errno != EINVAL)))
    return -errno;
  capng_clear(CAPNG_SELECT_CAPS);
  if (raw)
    capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_RAW);
  if (capng_apply(CAPNG_SELECT_CAPS) != 0)
    return -EPERM;
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

static int limit_calls(void) {
  static const int calls[] = {SCMP_SYS(recvmsg),    SCMP_SYS(poll),         SCMP_SYS(ppoll),           SCMP_SYS(ioctl),
                              SCMP_SYS(close),      SCMP_SYS(exit_group),   SCMP_SYS(restart_syscall), SCMP_SYS(munmap),
                              SCMP_SYS(brk),        SCMP_SYS(rt_sigreturn), SCMP_SYS(write),           SCMP_SYS(mmap),
                              SCMP_SYS(sigaltstack)};
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  int result = filter != NULL ? 0 : -ENOMEM;
  for (size_t i = 0; i < sizeof calls / sizeof calls[0] && result == 0; i++)
    result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
  if (result == 0)
    result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_PACKET));
  if (result == 0)
    result = seccomp_load(filter);
  seccomp_release(filter);
  return result;
}

static _Noreturn void run(uid_t uid, gid_t gid, int link) {
  child_detach(&link, 1);
  prctl(PR_SET_NAME, "kidoban-opener", 0, 0, 0);
  if (keep_raw(uid, gid) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && limit_calls() == 0)
    serve(link);
  _exit(0);
}

int opener_start(uid_t uid, gid_t gid, struct opener *ret_opener, struct error *error) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
    return error_set(error, errno, "socketpair: %s", strerror(errno));
  pid_t pid = fork();
  if (pid == 0)
    run(uid, gid, ends[1]);
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return error_set(error, errno, "fork: %s", strerror(errno));
  }
  *ret_opener = (struct opener){pid, ends[0]};
  return 0;
}
