/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two sockets: one is asked and answers at once, the other only listens, so that a question never swallows a
 * notification. Neither needs a capability, nor anything opened anew while it runs.
 */
#include "wire/machine.h"

#include <errno.h>
#include <ifaddrs.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

enum { ANSWER_SIZE = 32 * 1024, ANSWER_SECONDS = 1 };

struct machine {
  struct mnl_socket *questions, *notifications;
  uint32_t sequence;
  char answer[ANSWER_SIZE];
};

/* ---- sockets ---- */

static struct mnl_socket *open_socket(unsigned groups, int flags) {
  struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags);
  if (socket == NULL || mnl_socket_bind(socket, groups, MNL_SOCKET_AUTOPID) == 0)
    return socket;
  int code = errno;
  mnl_socket_close(socket);
  errno = code;
  return NULL;
}

int machine_open(struct machine **ret_machine, struct error *error) {
  struct machine *machine = calloc(1, sizeof *machine);
  if (machine == NULL)
    return error_set(error, ENOMEM, "no memory");
  machine->questions = open_socket(0, 0);
  machine->notifications = open_socket(RTMGRP_LINK, SOCK_NONBLOCK);
  if (machine->questions == NULL || machine->notifications == NULL) {
    int result = error_set(error, errno, "the interfaces cannot be looked at: %s", strerror(errno));
    machine_close(machine);
    return result;
  }
  struct timeval patience = {.tv_sec = ANSWER_SECONDS};
  setsockopt(mnl_socket_get_fd(machine->questions), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  *ret_machine = machine;
  return 0;
}

struct machine *machine_close(struct machine *machine) {
  if (machine == NULL)
    return NULL;
  if (machine->questions != NULL)
    mnl_socket_close(machine->questions);
  if (machine->notifications != NULL)
    mnl_socket_close(machine->notifications);
  free(machine);
  return NULL;
}

int machine_descriptor(const struct machine *machine) {
  return mnl_socket_get_fd(machine->notifications);
}

/* What it says is not read: it only means that it is time to look. An overrun says the same. */
void machine_drain(struct machine *machine) {
  while (mnl_socket_recvfrom(machine->notifications, machine->answer, sizeof machine->answer) > 0 || errno == ENOBUFS)
    ;
}

/* ---- one interface ---- */

static int take_attribute(const struct nlattr *attribute, void *context) {
  const struct nlattr **attributes = context;
  if (mnl_attr_type_valid(attribute, IFLA_MAX) >= 0)
    attributes[mnl_attr_get_type(attribute)] = attribute;
  return MNL_CB_OK;
}

static int take_xdp(const struct nlattr *attribute, void *context) {
  bool *attached = context;
  if (mnl_attr_get_type(attribute) == IFLA_XDP_ATTACHED && mnl_attr_validate(attribute, MNL_TYPE_U8) >= 0)
    *attached = mnl_attr_get_u8(attribute) != XDP_ATTACHED_NONE;
  return MNL_CB_OK;
}

static int take_link(const struct nlmsghdr *message, void *context) {
  struct interface_facts *facts = context;
  const struct nlattr *attributes[IFLA_MAX + 1] = {0};
  if (message->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(message) < sizeof(struct ifinfomsg))
    return MNL_CB_OK;
  const struct ifinfomsg *link = mnl_nlmsg_get_payload(message);
  mnl_attr_parse(message, sizeof *link, take_attribute, attributes);
  facts->number = (unsigned)link->ifi_index;
  facts->state =
      (link->ifi_flags & IFF_UP) != 0 && (link->ifi_flags & IFF_RUNNING) != 0 ? INTERFACE_UP : INTERFACE_DOWN;
  const struct nlattr *mac = attributes[IFLA_ADDRESS], *statistics = attributes[IFLA_STATS64];
  if (mac != NULL && mnl_attr_get_payload_len(mac) == sizeof facts->mac.bytes)
    memcpy(facts->mac.bytes, mnl_attr_get_payload(mac), sizeof facts->mac.bytes);
  struct rtnl_link_stats64 counters = {0};
  if (statistics != NULL && mnl_attr_get_payload_len(statistics) >= offsetof(struct rtnl_link_stats64, rx_bytes))
    memcpy(&counters, mnl_attr_get_payload(statistics), offsetof(struct rtnl_link_stats64, rx_bytes));
  facts->packets = counters.rx_packets + counters.tx_packets;
  if (attributes[IFLA_XDP] != NULL)
    mnl_attr_parse_nested(attributes[IFLA_XDP], take_xdp, &facts->xdp);
  return MNL_CB_OK;
}

/* Answers to questions that were given up may still lie there. */
static int receive_answer(struct machine *machine, uint32_t sequence, struct interface_facts *facts) {
  unsigned port = mnl_socket_get_portid(machine->questions);
  int result = MNL_CB_OK;
  while (result > MNL_CB_STOP || (result < 0 && (errno == EPROTO || errno == ESRCH))) {
    ssize_t size = mnl_socket_recvfrom(machine->questions, machine->answer, sizeof machine->answer);
    if (size < 0)
      return -errno;
    result = mnl_cb_run(machine->answer, (size_t)size, sequence, port, take_link, facts);
  }
  return result < 0 ? -errno : 0;
}

int machine_interface(struct machine *machine, const char *name, struct interface_facts *ret_facts) {
  char request[256] = {0};
  struct interface_facts facts = {.state = INTERFACE_MISSING};
  struct nlmsghdr *header = mnl_nlmsg_put_header(request);
  header->nlmsg_type = RTM_GETLINK;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  header->nlmsg_seq = ++machine->sequence;
  mnl_nlmsg_put_extra_header(header, sizeof(struct ifinfomsg));
  if (!mnl_attr_put_strz_check(header, sizeof request, IFLA_IFNAME, name))
    return -ENAMETOOLONG;
  if (mnl_socket_sendto(machine->questions, header, header->nlmsg_len) < 0)
    return -errno;
  int result = receive_answer(machine, header->nlmsg_seq, &facts);
  if (result < 0 && result != -ENODEV && result != -EINVAL)
    return result;
  *ret_facts = facts;
  return 0;
}

/* ---- addresses ---- */

static bool read_address(const struct sockaddr *socket_address, struct address *ret_address) {
  if (socket_address == NULL)
    return false;
  if (socket_address->sa_family == AF_INET) {
    struct sockaddr_in version4;
    memcpy(&version4, socket_address, sizeof version4);
    *ret_address = (struct address){.family = FAMILY_IPV4};
    memcpy(ret_address->bytes, &version4.sin_addr, 4);
    return true;
  }
  if (socket_address->sa_family == AF_INET6) {
    struct sockaddr_in6 version6;
    memcpy(&version6, socket_address, sizeof version6);
    *ret_address = (struct address){.family = FAMILY_IPV6};
    memcpy(ret_address->bytes, &version6.sin6_addr, 16);
    return true;
  }
  return false;
}

int machine_addresses(struct address_range *ret_addresses, size_t most) {
  struct ifaddrs *list;
  if (getifaddrs(&list) < 0)
    return -errno;
  size_t count = 0;
  for (const struct ifaddrs *entry = list; entry != NULL && count < most; entry = entry->ifa_next)
    if (read_address(entry->ifa_addr, &ret_addresses[count].first)) {
      ret_addresses[count].last = ret_addresses[count].first;
      count++;
    }
  freeifaddrs(list);
  return (int)count;
}
