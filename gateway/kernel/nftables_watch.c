/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/nftables_watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

enum { DATAGRAM_ROOM = 65536, DATAGRAM_LIMIT = 4096, RECEIVE_BUFFER = 4 * 1024 * 1024 };

int nftables_watch_open(int *ret_fd, struct error *error) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
  if (fd < 0) {
    return error_set(error, errno, "netlink socket: %s", strerror(errno));
  }
  int group = NFNLGRP_NFTABLES, room = RECEIVE_BUFFER;
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
      setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0) {
    int result = error_set(error, errno, "nf_tables notifications: %s", strerror(errno));
    close(fd);
    return result;
  }
  *ret_fd = fd;
  return 0;
}

bool nftables_watch_parse(const void *message, uint32_t length, uint32_t *ret_pid, char ret_name[static 17]) {
  const struct nlmsghdr *header = message;
  if (length < mnl_nlmsg_size(sizeof(struct nfgenmsg)) || header->nlmsg_len > length ||
      header->nlmsg_len < mnl_nlmsg_size(sizeof(struct nfgenmsg)) ||
      header->nlmsg_type != ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWGEN)) {
    return false;
  }
  *ret_pid = 0;
  ret_name[0] = '\0';
  const char *end = (const char *)message + header->nlmsg_len;
  const struct nlattr *attribute = mnl_nlmsg_get_payload_offset(header, sizeof(struct nfgenmsg));
  for (; mnl_attr_ok(attribute, (int)(end - (const char *)attribute)); attribute = mnl_attr_next(attribute)) {
    uint16_t type = mnl_attr_get_type(attribute);
    if (type == NFTA_GEN_PROC_PID && mnl_attr_get_payload_len(attribute) == sizeof(uint32_t)) {
      *ret_pid = ntohl(mnl_attr_get_u32(attribute));
    } else if (type == NFTA_GEN_PROC_NAME && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0) {
      snprintf(ret_name, 17, "%.16s", mnl_attr_get_str(attribute));
    }
  }
  return true;
}

static void take_datagram(const char *data, size_t length, uint32_t own_pid, struct nftables_change *change) {
  const struct nlmsghdr *message = (const void *)data;
  int left = (int)length;
  for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
    uint32_t pid;
    char name[17];
    if (nftables_watch_parse(message, message->nlmsg_len, &pid, name) && pid != own_pid) {
      change->foreign = true;
      change->pid = pid;
      memcpy(change->name, name, sizeof change->name);
    }
  }
}

struct nftables_change nftables_watch_drain(int fd, uint32_t own_pid) {
  struct nftables_change change = {0};
  _Alignas(struct nlmsghdr) char data[DATAGRAM_ROOM];
  for (unsigned i = 0; i < DATAGRAM_LIMIT; i++) {
    struct sockaddr_nl sender = {0};
    socklen_t size = sizeof sender;
    ssize_t length = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&sender, &size);
    if (length < 0 && errno == ENOBUFS) {
      change.foreign = true;
    } else if (length < 0 && errno != EINTR) {
      break;
    } else if (length > 0 && sender.nl_pid == 0) { /* only the kernel is believed */
      take_datagram(data, (size_t)length, own_pid, &change);
    }
  }
  return change;
}
