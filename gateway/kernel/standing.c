/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/standing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

enum { ROOM = 4096 };

int standing_open(int *ret_fd, struct error *error) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  if (fd < 0 || connect(fd, (const struct sockaddr *)&kernel, sizeof kernel) < 0) {
    int result = error_set(error, errno, "netlink socket: %s", strerror(errno));
    if (fd >= 0) {
      close(fd);
    }
    return result;
  }
  *ret_fd = fd;
  return 0;
}

static bool ask(int fd, const char *table) {
  _Alignas(struct nlmsghdr) char buffer[ROOM];
  struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE;
  request->nlmsg_flags = NLM_F_REQUEST;
  struct nfgenmsg *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
  header->nfgen_family = NFPROTO_INET;
  header->version = NFNETLINK_V0;
  mnl_attr_put_strz(request, NFTA_TABLE_NAME, table);
  return send(fd, request, request->nlmsg_len, 0) == (ssize_t)request->nlmsg_len;
}

static bool is_dormant(const struct nlmsghdr *message) {
  const struct nlattr *attribute = mnl_nlmsg_get_payload_offset(message, sizeof(struct nfgenmsg));
  const char *end = (const char *)message + message->nlmsg_len;
  for (; mnl_attr_ok(attribute, (int)(end - (const char *)attribute)); attribute = mnl_attr_next(attribute)) {
    if (mnl_attr_get_type(attribute) == NFTA_TABLE_FLAGS && mnl_attr_get_payload_len(attribute) == sizeof(uint32_t)) {
      return (ntohl(mnl_attr_get_u32(attribute)) & NFT_TABLE_F_DORMANT) != 0;
    }
  }
  return false;
}

static bool says_no(const struct nlmsghdr *message) {
  if (message->nlmsg_type == NLMSG_ERROR && message->nlmsg_len >= mnl_nlmsg_size(sizeof(struct nlmsgerr))) {
    const struct nlmsgerr *answer = mnl_nlmsg_get_payload(message);
    return answer->error == -ENOENT;
  }
  return message->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE) &&
         message->nlmsg_len >= mnl_nlmsg_size(sizeof(struct nfgenmsg)) && is_dormant(message);
}

/* The kernel answers within the call that asks. */
bool standing_is(int fd, const char *table) {
  _Alignas(struct nlmsghdr) char buffer[ROOM];
  bool stands = true;
  if (!ask(fd, table)) {
    return true;
  }
  for (ssize_t length; (length = recv(fd, buffer, sizeof buffer, 0)) > 0;) {
    const struct nlmsghdr *message = (const void *)buffer;
    int left = (int)length;
    stands = stands && !(mnl_nlmsg_ok(message, left) && says_no(message));
  }
  return stands;
}
