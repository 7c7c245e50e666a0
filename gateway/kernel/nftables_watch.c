/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/nftables_watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

enum { DATAGRAM_ROOM = 65536, DATAGRAM_LIMIT = 256, RECEIVE_BUFFER = 4 * 1024 * 1024 };

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

void nftables_watch_listen(int fd, bool on) {
  int group = NFNLGRP_NFTABLES;
  (void)setsockopt(fd, SOL_NETLINK, on ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP, &group, sizeof group);
}

static const struct nlattr *first_attribute(const struct nlmsghdr *header) {
  return mnl_nlmsg_get_payload_offset(header, sizeof(struct nfgenmsg));
}

static int left_behind(const struct nlmsghdr *header, const struct nlattr *attribute) {
  return (int)((const char *)header + header->nlmsg_len - (const char *)attribute);
}

static void take_author(const struct nlmsghdr *header, struct nftables_author *ret_author) {
  *ret_author = (struct nftables_author){.port = header->nlmsg_pid};
  const struct nlattr *attribute = first_attribute(header);
  for (; mnl_attr_ok(attribute, left_behind(header, attribute)); attribute = mnl_attr_next(attribute)) {
    uint16_t type = mnl_attr_get_type(attribute);
    if (type == NFTA_GEN_PROC_PID && mnl_attr_get_payload_len(attribute) == sizeof(uint32_t)) {
      ret_author->pid = ntohl(mnl_attr_get_u32(attribute));
    } else if (type == NFTA_GEN_PROC_NAME && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0) {
      snprintf(ret_author->name, sizeof ret_author->name, "%.16s", mnl_attr_get_str(attribute));
    }
  }
}

/* The first attribute of every object is the name of its table. */
static bool is_in_table(const struct nlmsghdr *header, const char *table) {
  const struct nfgenmsg *generic = mnl_nlmsg_get_payload(header);
  const struct nlattr *attribute = first_attribute(header);
  if (generic->nfgen_family != NFPROTO_INET) {
    return false;
  }
  for (; mnl_attr_ok(attribute, left_behind(header, attribute)); attribute = mnl_attr_next(attribute)) {
    if (mnl_attr_get_type(attribute) == NFTA_TABLE_NAME) {
      return mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0 && strcmp(mnl_attr_get_str(attribute), table) == 0;
    }
  }
  return false;
}

/* What may bring packets to rules of others, or keep them away. */
static bool is_of_weight(unsigned type) {
  return type == NFT_MSG_NEWTABLE || type == NFT_MSG_DELTABLE || type == NFT_MSG_NEWCHAIN || type == NFT_MSG_DELCHAIN ||
         type == NFT_MSG_NEWFLOWTABLE || type == NFT_MSG_DELFLOWTABLE;
}

bool nftables_watch_parse(const void *message, uint32_t length, const char *table,
                          struct nftables_transaction *transaction, struct nftables_author *ret_author) {
  const struct nlmsghdr *header = message;
  if (length < mnl_nlmsg_size(sizeof(struct nfgenmsg)) || header->nlmsg_len > length ||
      header->nlmsg_len < mnl_nlmsg_size(sizeof(struct nfgenmsg)) || header->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES) {
    return false;
  }
  unsigned type = header->nlmsg_type & 0xff;
  if (type == NFT_MSG_NEWGEN) {
    take_author(header, ret_author);
    return true;
  }
  if (is_in_table(header, table)) {
    transaction->ours = true;
    transaction->table = transaction->table || type == NFT_MSG_NEWTABLE || type == NFT_MSG_DELTABLE;
  } else if (is_of_weight(type)) {
    transaction->others = true;
  }
  return false;
}

static void end_transaction(const struct nftables_author *author, uint32_t own_port,
                            struct nftables_transaction *transaction, struct nftables_change *change) {
  bool foreign = own_port == 0 || author->port != own_port;
  if (foreign && transaction->ours) {
    change->ours++;
    change->table = change->table || transaction->table;
    change->by_ours = *author;
  }
  if (foreign && transaction->others) {
    change->others++;
    change->by_others = *author;
  }
  *transaction = (struct nftables_transaction){0};
}

static void take_datagram(const char *data, size_t length, uint32_t own_port, const char *table,
                          struct nftables_transaction *transaction, struct nftables_change *change) {
  const struct nlmsghdr *message = (const void *)data;
  int left = (int)length;
  for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
    struct nftables_author author;
    if (nftables_watch_parse(message, message->nlmsg_len, table, transaction, &author)) {
      end_transaction(&author, own_port, transaction, change);
    }
  }
}

void nftables_watch_drain(int fd, uint32_t own_port, const char *table, struct nftables_transaction *transaction,
                          struct nftables_change *change) {
  _Alignas(struct nlmsghdr) char data[DATAGRAM_ROOM];
  for (unsigned i = 0; i < DATAGRAM_LIMIT; i++) {
    struct sockaddr_nl sender = {0};
    socklen_t size = sizeof sender;
    ssize_t length = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&sender, &size);
    if (length < 0 && errno == ENOBUFS) {
      change->lost = true;
    } else if (length < 0 && errno != EINTR) {
      break;
    } else if (length > 0 && sender.nl_pid == 0) { /* only the kernel is believed */
      take_datagram(data, (size_t)length, own_port, table, transaction, change);
    }
  }
}
