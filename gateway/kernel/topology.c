/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/topology.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "kernel/netlink.h"
#include "kernel/nftables_attributes.h"

enum { REQUEST_ROOM = 256, READ_ATTEMPTS = 10, WATCH_ROOM = 32768 };

/* What the three dumps fill. */
struct survey {
  struct arena *arena;
  struct topology *topology;
  size_t interface_capacity, address_capacity;
  struct address_range *local;
  size_t local_count, local_capacity;
};

static int keep_local(struct survey *survey, const struct address_range *range) {
  if (arena_grow(survey->arena, (void **)&survey->local, survey->local_count, &survey->local_capacity,
                 sizeof(*survey->local)) < 0) {
    return -ENOMEM;
  }
  survey->local[survey->local_count++] = *range;
  return 0;
}

static bool read_address(const struct attributes *attributes, unsigned type, uint8_t family,
                         struct address *ret_address) {
  struct address address = {.family = family == AF_INET ? FAMILY_IPV4 : family == AF_INET6 ? FAMILY_IPV6 : FAMILY_NONE};
  const void *data = NULL;
  size_t length = 0;
  if (!attributes_bytes(attributes, type, &data, &length) || length == 0 || length != address_length(address.family)) {
    return false;
  }
  memcpy(address.bytes, data, length);
  *ret_address = address;
  return true;
}

/* Numbers in rtnetlink are in host order. */
static uint32_t read_host_u32(const struct attributes *attributes, unsigned type) {
  uint32_t number = 0;
  const void *data = NULL;
  size_t length = 0;
  if (attributes_bytes(attributes, type, &data, &length) && length == sizeof(number)) {
    memcpy(&number, data, length);
  }
  return number;
}

static const char *read_kind(struct survey *survey, const struct attributes *attributes) {
  if (!attributes_have(attributes, IFLA_LINKINFO)) {
    return "";
  }
  struct attributes info;
  attributes_split_nested(attributes->items[IFLA_LINKINFO], UINT32_MAX, &info);
  const char *kind = attributes_string(&info, IFLA_INFO_KIND);
  return kind != NULL ? arena_strdup(survey->arena, kind) : "";
}

static int add_interface(struct survey *survey, const struct nlmsghdr *message) {
  const struct ifinfomsg *header = mnl_nlmsg_get_payload(message);
  struct attributes attributes;
  attributes_split_message(message, sizeof(*header), UINT32_MAX, &attributes);
  const char *name = attributes_string(&attributes, IFLA_IFNAME);
  struct topology *topology = survey->topology;
  if (name == NULL || header->ifi_index <= 0) {
    return 0;
  }
  if (arena_grow(survey->arena, (void **)&topology->interfaces, topology->interface_count, &survey->interface_capacity,
                 sizeof(*topology->interfaces)) < 0) {
    return -ENOMEM;
  }
  struct topology_interface *interface = &topology->interfaces[topology->interface_count++];
  *interface = (struct topology_interface){
      .name = arena_strdup(survey->arena, name),
      .index = (unsigned)header->ifi_index,
      .master = read_host_u32(&attributes, IFLA_MASTER),
      .parent = read_host_u32(&attributes, IFLA_LINK),
      .kind = read_kind(survey, &attributes),
      .up = (header->ifi_flags & IFF_UP) != 0,
  };
  const void *mac = NULL;
  size_t length = 0;
  if (attributes_bytes(&attributes, IFLA_ADDRESS, &mac, &length) && length == sizeof(interface->mac.bytes)) {
    memcpy(interface->mac.bytes, mac, length);
  }
  return 0;
}

static int add_address(struct survey *survey, const struct nlmsghdr *message) {
  const struct ifaddrmsg *header = mnl_nlmsg_get_payload(message);
  struct attributes attributes;
  attributes_split_message(message, sizeof(*header), UINT32_MAX, &attributes);
  struct address address;
  if (!read_address(&attributes, IFA_LOCAL, header->ifa_family, &address) &&
      !read_address(&attributes, IFA_ADDRESS, header->ifa_family, &address)) {
    return 0;
  }
  struct topology *topology = survey->topology;
  if (arena_grow(survey->arena, (void **)&topology->addresses, topology->address_count, &survey->address_capacity,
                 sizeof(*topology->addresses)) < 0) {
    return -ENOMEM;
  }
  topology->addresses[topology->address_count++] = (struct topology_address){
      .interface = header->ifa_index, .address = address, .prefix_length = header->ifa_prefixlen};
  struct address_range range = {address, address};
  return keep_local(survey, &range);
}

/* First and last address of a prefix. */
static void prefix_range(const struct address *address, unsigned length, struct address_range *ret_range) {
  struct address_range range = {*address, *address};
  for (size_t bit = length; bit < address_length(address->family) * 8; bit++) {
    uint8_t mask = (uint8_t)(0x80U >> bit % 8);
    range.first.bytes[bit / 8] &= (uint8_t)~mask;
    range.last.bytes[bit / 8] |= mask;
  }
  *ret_range = range;
}

static int add_route(struct survey *survey, const struct nlmsghdr *message) {
  const struct rtmsg *header = mnl_nlmsg_get_payload(message);
  struct attributes attributes;
  attributes_split_message(message, sizeof(*header), UINT32_MAX, &attributes);
  struct address address;
  if (header->rtm_type != RTN_LOCAL || !read_address(&attributes, RTA_DST, header->rtm_family, &address)) {
    return 0;
  }
  struct address_range range;
  prefix_range(&address, header->rtm_dst_len, &range);
  return keep_local(survey, &range);
}

struct dump {
  uint16_t request;
  uint16_t answer;
  size_t header_size;
  int (*add)(struct survey *survey, const struct nlmsghdr *message);
};

static const struct dump dumps[] = {
    {RTM_GETLINK, RTM_NEWLINK, sizeof(struct ifinfomsg), add_interface},
    {RTM_GETADDR, RTM_NEWADDR, sizeof(struct ifaddrmsg), add_address},
    {RTM_GETROUTE, RTM_NEWROUTE, sizeof(struct rtmsg), add_route},
};

static int ask(struct netlink *netlink, const struct dump *dump, struct netlink_answer *answer, struct error *error) {
  _Alignas(struct nlmsghdr) char buffer[REQUEST_ROOM] = {0};
  struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = dump->request;
  request->nlmsg_flags = NLM_F_DUMP;
  mnl_nlmsg_put_extra_header(request, dump->header_size); /* family unspecified: all */
  return netlink_request(netlink, request, -1, answer, error);
}

/* Asks again while something changes during the answer. */
static int ask_until_whole(const struct dump *dump, struct netlink_answer *ret_answer, struct error *error) {
  int status = -EINTR;
  for (unsigned attempt = 0; status == -EINTR && attempt < READ_ATTEMPTS; attempt++) {
    struct netlink *netlink = NULL;
    struct netlink_answer answer = {0};
    status = netlink_open(NETLINK_ROUTE, &netlink, error);
    if (status == 0) {
      status = ask(netlink, dump, &answer, error);
    }
    netlink_close(netlink);
    if (status == 0) {
      *ret_answer = answer;
    } else {
      netlink_answer_free(&answer);
    }
  }
  return status;
}

static int add_answer(struct survey *survey, const struct dump *dump, const struct netlink_answer *answer) {
  size_t position = 0;
  while (answer->length - position >= NLMSG_HDRLEN) {
    const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)(answer->data + position);
    size_t step = netlink_align(message->nlmsg_len);
    if (message->nlmsg_len < NLMSG_HDRLEN || step > answer->length - position) {
      return -EBADMSG;
    }
    if (message->nlmsg_type == dump->answer && message->nlmsg_len >= NLMSG_HDRLEN + dump->header_size) {
      int status = dump->add(survey, message);
      if (status < 0) {
        return status;
      }
    }
    position += step;
  }
  return 0;
}

static int survey_all(struct survey *survey, struct error *error) {
  for (size_t i = 0; i < sizeof(dumps) / sizeof(dumps[0]); i++) {
    struct netlink_answer answer = {0};
    int status = ask_until_whole(&dumps[i], &answer, error);
    if (status < 0) {
      error_wrap(error, "cannot read the interfaces and addresses of this machine");
      return status;
    }
    status = add_answer(survey, &dumps[i], &answer);
    netlink_answer_free(&answer);
    if (status < 0) {
      return error_set(error, -status, "cannot read the interfaces and addresses of this machine");
    }
  }
  return 0;
}

int topology_read(struct arena *arena, struct topology **ret_topology, struct error *error) {
  struct survey survey = {.arena = arena, .topology = ARENA_NEW(arena, struct topology)};
  if (survey.topology == NULL) {
    error_set(error, ENOMEM, "no memory for the interfaces of this machine");
    return -ENOMEM;
  }
  int status = survey_all(&survey, error);
  if (status != 0) {
    return status;
  }
  if (address_set_build(arena, survey.local, survey.local_count, &survey.topology->own) < 0 || arena_failed(arena)) {
    error_set(error, ENOMEM, "no memory for the addresses of this machine");
    return -ENOMEM;
  }
  *ret_topology = survey.topology;
  return 0;
}

int topology_own_addresses(struct arena *arena, struct address_set *ret_own, struct error *error) {
  struct topology *topology = NULL;
  int status = topology_read(arena, &topology, error);
  if (status == 0) {
    *ret_own = topology->own;
  }
  return status;
}

const struct topology_interface *topology_find(const struct topology *topology, const char *name) {
  for (size_t i = 0; i < topology->interface_count; i++) {
    if (strcmp(topology->interfaces[i].name, name) == 0) {
      return &topology->interfaces[i];
    }
  }
  return NULL;
}

/* ---- watching ---- */

int topology_watch_open(int *ret_fd, struct error *error) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK,
                                .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
  if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
    int code = errno;
    if (fd >= 0) {
      close(fd);
    }
    return error_set(error, code, "cannot watch interfaces: %s", strerror(code));
  }
  *ret_fd = fd;
  return 0;
}

bool topology_watch_drain(int fd) {
  bool changed = false;
  char buffer[WATCH_ROOM];
  for (;;) {
    ssize_t length = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (length < 0 && errno != ENOBUFS && errno != EINTR) {
      return changed;
    }
    changed = true;
  }
}
