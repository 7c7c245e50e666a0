/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The layer between nftables*.c and netlink.c (--wrap), which counts and spoils. */
#include <errno.h>
#include <sys/socket.h>

#include "change.h"
#include "kernel/netlink.h"

struct change_seen seen;

struct change_plan plan;

static bool strikes(enum fault fault) {
  if (plan.fault != fault || plan.times == 0) {
    return false;
  }
  plan.times -= plan.times != UINT32_MAX;
  return true;
}

int __real_netlink_request(struct netlink *netlink, struct nlmsghdr *request, int marker, struct netlink_answer *answer,
                           struct error *error);
int __wrap_netlink_request(struct netlink *netlink, struct nlmsghdr *request, int marker, struct netlink_answer *answer,
                           struct error *error);
int __real_netlink_request_many(struct netlink *netlink, void *requests, size_t count, int marker, int *codes,
                                struct netlink_answer *answer, struct error *error);
int __wrap_netlink_request_many(struct netlink *netlink, void *requests, size_t count, int marker, int *codes,
                                struct netlink_answer *answer, struct error *error);
int __real_netlink_send_batch(struct netlink *netlink, const void *data, size_t length, uint32_t last_sequence,
                              struct netlink_complaint *complaint, bool *acknowledged, struct error *error);
int __wrap_netlink_send_batch(struct netlink *netlink, const void *data, size_t length, uint32_t last_sequence,
                              struct netlink_complaint *complaint, bool *acknowledged, struct error *error);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __real_set_copy(const struct set *from, struct arena *in, struct set *ret_set);
int __wrap_set_copy(const struct set *from, struct arena *in, struct set *ret_set);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size);

int __wrap_netlink_request(struct netlink *netlink, struct nlmsghdr *request, int marker, struct netlink_answer *answer,
                           struct error *error) {
  bool dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  seen.questions++;
  seen.dumps += dump;
  if (dump && strikes(FAULT_DUMP_INTERRUPTED)) {
    return error_set(error, EINTR, "interrupted");
  }
  return __real_netlink_request(netlink, request, marker, answer, error);
}

int __wrap_netlink_request_many(struct netlink *netlink, void *requests, size_t count, int marker, int *codes,
                                struct netlink_answer *answer, struct error *error) {
  seen.questions++;
  int status = __real_netlink_request_many(netlink, requests, count, marker, codes, answer, error);
  if (strikes(FAULT_READ_INTERRUPTED)) {
    return error_set(error, EINTR, "interrupted");
  }
  return strikes(FAULT_READ_OVERRUN) ? error_set(error, ENOBUFS, "too much at once") : status;
}

int __wrap_netlink_send_batch(struct netlink *netlink, const void *data, size_t length, uint32_t last_sequence,
                              struct netlink_complaint *complaint, bool *acknowledged, struct error *error) {
  seen.batches++;
  seen.bytes += length;
  if (plan.before_batch != NULL) {
    void (*hook)(void) = plan.before_batch;
    plan.before_batch = NULL;
    hook();
  }
  if (plan.refused_batch > 0 && --plan.refused_batch == 0) {
    plan.refused_batch = 1;
    if (plan.refusals > 0) {
      plan.refusals--;
      *complaint = (struct netlink_complaint){.code = EINVAL, .sequence = 1};
      *acknowledged = false;
      return 0;
    }
  }
  int status = __real_netlink_send_batch(netlink, data, length, last_sequence, complaint, acknowledged, error);
  if (strikes(FAULT_ANSWERS_LOST)) {
    *complaint = (struct netlink_complaint){0};
    *acknowledged = false;
  }
  return status;
}

int __wrap_set_copy(const struct set *from, struct arena *in, struct set *ret_set) {
  return plan.no_copies ? -ENOMEM : __real_set_copy(from, in, ret_set);
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
  static const int least = 1;
  bool force = level == SOL_SOCKET && (name == SO_RCVBUFFORCE || name == SO_SNDBUFFORCE);
  if (plan.fault == FAULT_SMALL_RECEIVE_BUFFER && level == SOL_SOCKET && name == SO_RCVBUFFORCE) {
    return __real_setsockopt(fd, level, SO_RCVBUF, &least, sizeof least);
  }
  if (plan.fault == FAULT_NO_FORCE && force) {
    errno = EPERM;
    return -1;
  }
  return __real_setsockopt(fd, level, name, value, size);
}
