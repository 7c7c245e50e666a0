/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_NETLINK_H
#define KIDO_KERNEL_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/netlink.h>

#include "base/error.h"

/* One netlink socket for one conversation. Requests are answered within the system call that sends them, so nothing
 * here waits for anybody but the kernel. */
struct netlink;

/* protocol: NETLINK_NETFILTER or NETLINK_ROUTE. */
int netlink_open(int protocol, struct netlink **ret_netlink, struct error *error);
struct netlink *netlink_close(struct netlink *netlink); /* NULL is allowed; returns NULL */
/* The address of the socket, by which the kernel says whose request it was. */
uint32_t netlink_port(const struct netlink *netlink);

/* What a dump answered: whole messages one after another, as they came. */
struct netlink_answer {
  char *data; /* aligned as messages are */
  size_t length;
  size_t capacity;
};

void netlink_answer_free(struct netlink_answer *answer);

/*
 * Sends one request and adds all messages of its answer to ret_answer. marker: the nfgenmsg.res_id that every message
 * must carry, -1 for any. Returns 0, the kernel's error (-ENOENT…), or -EINTR when the answer is not of one moment:
 * then the socket is spent.
 */
int netlink_request(struct netlink *netlink, struct nlmsghdr *request, int marker, struct netlink_answer *ret_answer,
                    struct error *error);

/*
 * Sends `count` requests, whole messages one after another, in one go, and adds the messages that answer them. Each is
 * answered by one message or by an error: codes, one for each, are 0 or a negative errno. Returns 0 when all were
 * answered; -EINTR when an answer is not of the marked moment. After a failure the socket is spent.
 */
int netlink_request_many(struct netlink *netlink, void *requests, size_t count, int marker, int *codes,
                         struct netlink_answer *ret_answer, struct error *error);

/* The first complaint of the kernel about a batch. */
struct netlink_complaint {
  int code; /* positive errno, 0: none */
  uint32_t sequence;
  uint32_t attribute_offset; /* 0: not said */
  char message[160];         /* "" when the kernel said none */
};

/* Sends bytes as one datagram, the buffers sized for it, and collects what the kernel says. Sequence numbers count from
 * 1. ret_acknowledged: whether the message with last_sequence was acknowledged; it may be lost where the batch was
 * taken. */
int netlink_send_batch(struct netlink *netlink, const void *data, size_t length, uint32_t last_sequence,
                       struct netlink_complaint *ret_complaint, bool *ret_acknowledged, struct error *error);

#endif
