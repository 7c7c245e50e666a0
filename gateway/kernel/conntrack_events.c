/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/conntrack_events.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "kernel/nftables_attributes.h"

/* An event takes some 400 bytes, and the kernel counts more than twice of that against the buffer. */
enum { DATAGRAM_ROOM = 8192, RECEIVE_BUFFER = 8 * 1024 * 1024 };

static int join(int fd) {
  static const int groups[] = {NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_DESTROY};
  const struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  int room = RECEIVE_BUFFER;
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
  int status = bind(fd, (const struct sockaddr *)&address, sizeof(address));
  for (size_t i = 0; status == 0 && i < sizeof(groups) / sizeof(groups[0]); i++) {
    status = setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i]));
  }
  return status < 0 ? -errno : 0;
}

int conntrack_events_open(int *ret_fd, struct error *error) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
  int status = fd < 0 ? -errno : join(fd);
  if (status < 0) {
    if (fd >= 0) {
      close(fd);
    }
    return error_set(error, -status, "the kernel's record of connections: %s", strerror(-status));
  }
  *ret_fd = fd;
  return 0;
}

static bool is_event(const struct nlmsghdr *message, size_t length) {
  if (length < mnl_nlmsg_size(sizeof(struct nfgenmsg)) || message->nlmsg_len > length ||
      message->nlmsg_len < mnl_nlmsg_size(sizeof(struct nfgenmsg)) ||
      message->nlmsg_type >> 8 != NFNL_SUBSYS_CTNETLINK) {
    return false;
  }
  unsigned type = message->nlmsg_type & 0xff;
  return type == IPCTNL_MSG_CT_NEW || type == IPCTNL_MSG_CT_DELETE;
}

/* ---- parsing: the library's own parser ends the program at an attribute that it does not expect ---- */

static struct attributes split(const struct attributes *attributes, unsigned type) {
  struct attributes nested = {0};
  if (attributes_have(attributes, type)) {
    attributes_split_nested(attributes->items[type], UINT32_MAX, &nested);
  }
  return nested;
}

static void take_address(const struct attributes *attributes, unsigned type, enum address_family family,
                         struct address *address) {
  const void *data = NULL;
  size_t length = 0;
  if (attributes_bytes(attributes, type, &data, &length) && length == address_length(family)) {
    address->family = family;
    memcpy(address->bytes, data, length);
  }
}

static void take_ports(struct attributes *protocol, struct connection_tuple *tuple) {
  tuple->source_port = attributes_u16(protocol, CTA_PROTO_SRC_PORT, 0);
  tuple->destination_port = attributes_u16(protocol, CTA_PROTO_DST_PORT, 0);
  tuple->source_port = attributes_u16(protocol, CTA_PROTO_ICMP_ID, tuple->source_port);
  tuple->source_port = attributes_u16(protocol, CTA_PROTO_ICMPV6_ID, tuple->source_port);
  tuple->icmp_type = attributes_u8(protocol, CTA_PROTO_ICMP_TYPE, attributes_u8(protocol, CTA_PROTO_ICMPV6_TYPE, 0));
  tuple->icmp_code = attributes_u8(protocol, CTA_PROTO_ICMP_CODE, attributes_u8(protocol, CTA_PROTO_ICMPV6_CODE, 0));
}

/* False when it has no two addresses of one version. */
static bool take_tuple(const struct attributes *attributes, unsigned type, uint8_t *protocol,
                       struct connection_tuple *tuple) {
  struct attributes parts = split(attributes, type), addresses = split(&parts, CTA_TUPLE_IP),
                    transport = split(&parts, CTA_TUPLE_PROTO);
  take_address(&addresses, CTA_IP_V4_SRC, FAMILY_IPV4, &tuple->source);
  take_address(&addresses, CTA_IP_V6_SRC, FAMILY_IPV6, &tuple->source);
  take_address(&addresses, CTA_IP_V4_DST, FAMILY_IPV4, &tuple->destination);
  take_address(&addresses, CTA_IP_V6_DST, FAMILY_IPV6, &tuple->destination);
  *protocol = attributes_u8(&transport, CTA_PROTO_NUM, 0);
  take_ports(&transport, tuple);
  return tuple->source.family != FAMILY_NONE && tuple->source.family == tuple->destination.family &&
         !transport.malformed;
}

static void take_counters(const struct attributes *attributes, struct connection *connection) {
  static const unsigned types[2] = {CTA_COUNTERS_ORIG, CTA_COUNTERS_REPLY};
  for (size_t i = 0; i < 2; i++) {
    struct attributes counters = split(attributes, types[i]);
    connection->packets[i] = attributes_u64(&counters, CTA_COUNTERS_PACKETS, 0);
    connection->bytes[i] = attributes_u64(&counters, CTA_COUNTERS_BYTES, 0);
  }
}

bool conntrack_event_parse(const void *data, size_t length, struct conntrack_event *ret_event) {
  const struct nlmsghdr *message = data;
  if (!is_event(message, length)) {
    return false;
  }
  struct attributes attributes;
  attributes_split_message(message, sizeof(struct nfgenmsg), UINT32_MAX, &attributes);
  struct attributes times = split(&attributes, CTA_TIMESTAMP);
  struct conntrack_event event = {.ended = (message->nlmsg_type & 0xff) == IPCTNL_MSG_CT_DELETE,
                                  .stopped = attributes_u64(&times, CTA_TIMESTAMP_STOP, 0)};
  struct connection *connection = &event.connection;
  uint8_t reply_protocol;
  connection->started = attributes_u64(&times, CTA_TIMESTAMP_START, 0);
  connection->mark = connection_flow_mark(attributes_u32(&attributes, CTA_MARK, 0));
  connection->id = attributes_u32(&attributes, CTA_ID, 0);
  take_counters(&attributes, connection);
  bool sound = take_tuple(&attributes, CTA_TUPLE_ORIG, &connection->protocol, &connection->original) &&
               take_tuple(&attributes, CTA_TUPLE_REPLY, &reply_protocol, &connection->reply);
  if (sound && !attributes.malformed) {
    *ret_event = event;
  }
  return sound && !attributes.malformed;
}

/* One datagram holds one event; the loop is for a kernel that would put more into it. */
static void take_datagram(const char *data, size_t length, conntrack_event_handler *handler, void *context) {
  while (length >= NLMSG_HDRLEN) {
    const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)data;
    size_t size = NLMSG_ALIGN(message->nlmsg_len);
    struct conntrack_event event;
    if (conntrack_event_parse(data, length, &event)) {
      handler(&event, context);
    }
    if (message->nlmsg_len < NLMSG_HDRLEN || size > length) {
      return;
    }
    data += size;
    length -= size;
  }
}

bool conntrack_events_drain(int fd, size_t limit, conntrack_event_handler *handler, void *context) {
  _Alignas(struct nlmsghdr) char buffer[DATAGRAM_ROOM];
  bool lost = false;
  for (size_t taken = 0; taken < limit; taken++) {
    struct sockaddr_nl sender = {0};
    socklen_t size = sizeof(sender);
    ssize_t length = recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&sender, &size);
    if (length < 0 && errno == ENOBUFS) {
      lost = true;
    } else if (length < 0) {
      break;
    } else if (sender.nl_pid == 0) { /* the kernel's own number */
      take_datagram(buffer, (size_t)length, handler, context);
    }
  }
  return lost;
}
