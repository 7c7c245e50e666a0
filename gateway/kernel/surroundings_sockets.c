/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>

#include "kernel/surroundings_parts.h"

/*
 * Sockets of this machine by which a program could carry from one zone to another: TCP that listens, UDP that is bound
 * and waits for anybody, packet sockets. The kernel knows a socket's inode; whose it is stands in /proc/PID/fd, for
 * those who may look there.
 */
enum { REQUEST_ROOM = 256, LINK_ROOM = 64, FIRST_PORT = 32768, LAST_PORT = 60999, PROGRAM_ROOM = 256 };

struct port_range {
  long first, last;
};

struct socket_survey {
  struct collection *collection;
  struct port_range passing; /* that the kernel gives to those who name no port */
  uint8_t protocol;
};

static int keep(struct collection *collection, const struct listener *listener, uint64_t inode) {
  size_t position = collection->result->listener_count;
  if (arena_grow(collection->arena, (void **)&collection->inodes, position, &collection->inode_capacity,
                 sizeof(*collection->inodes)) < 0) {
    return -ENOMEM;
  }
  collection->inodes[position] = inode;
  return collection_add_listener(collection, listener);
}

static bool is_any(const struct address *address) {
  static const uint8_t zero[16];
  return memcmp(address->bytes, zero, address_length(address->family)) == 0;
}

static int take_internet(void *context, const struct nlmsghdr *message) {
  const struct socket_survey *survey = context;
  const struct inet_diag_msg *found = mnl_nlmsg_get_payload(message);
  struct address address = {.family = found->idiag_family == AF_INET ? FAMILY_IPV4 : FAMILY_IPV6};
  memcpy(address.bytes, found->id.idiag_src, address_length(address.family));
  uint16_t port = ntohs(found->id.idiag_sport);
  if (port == 0 || found->id.idiag_dport != 0) { /* speaks with one other only */
    return 0;
  }
  struct listener listener = {
      .protocol = survey->protocol,
      .address = is_any(&address) ? (struct address){0} : address,
      .port = port,
      .link = found->id.idiag_if != 0 ? collection_link_name(survey->collection, found->id.idiag_if) : NULL,
      .passing = survey->protocol == IPPROTO_UDP && port >= survey->passing.first && port <= survey->passing.last,
      .program = "",
  };
  return keep(survey->collection, &listener, found->idiag_inode);
}

static int take_packet(void *context, const struct nlmsghdr *message) {
  const struct socket_survey *survey = context;
  const struct packet_diag_msg *found = mnl_nlmsg_get_payload(message);
  const struct nlattr *attribute = message_attribute(message, sizeof(*found), PACKET_DIAG_INFO);
  struct packet_diag_info information = {0};
  if (attribute != NULL && mnl_attr_get_payload_len(attribute) >= sizeof(information)) {
    memcpy(&information, mnl_attr_get_payload(attribute), sizeof(information));
  }
  struct listener listener = {
      .packet = true,
      .link = information.pdi_index != 0 ? collection_link_name(survey->collection, information.pdi_index) : NULL,
      .program = "",
  };
  return keep(survey->collection, &listener, found->pdiag_ino);
}

int sockets_take(struct collection *collection, uint8_t protocol, const void *data, size_t length) {
  struct socket_survey survey = {collection, {FIRST_PORT, LAST_PORT}, protocol};
  return protocol == 0
             ? messages_each(data, length, SOCK_DIAG_BY_FAMILY, sizeof(struct packet_diag_msg), take_packet, &survey)
             : messages_each(data, length, SOCK_DIAG_BY_FAMILY, sizeof(struct inet_diag_msg), take_internet, &survey);
}

/* ---- asking ---- */

static void put_internet(struct nlmsghdr *request, uint8_t family, uint8_t protocol) {
  struct inet_diag_req_v2 *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
  header->sdiag_family = family;
  header->sdiag_protocol = protocol;
  header->idiag_states = protocol == IPPROTO_TCP ? 1U << TCP_LISTEN : 1U << TCP_CLOSE; /* UDP that is not connected */
}

static void put_packet(struct nlmsghdr *request) {
  struct packet_diag_req *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
  header->sdiag_family = AF_PACKET;
  header->pdiag_show = PACKET_SHOW_INFO;
}

static int ask(struct collection *collection, uint8_t family, uint8_t protocol) {
  _Alignas(struct nlmsghdr) char buffer[REQUEST_ROOM] = {0};
  struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request->nlmsg_flags = NLM_F_DUMP;
  if (family == AF_PACKET) {
    put_packet(request);
  } else {
    put_internet(request, family, protocol);
  }
  struct netlink *netlink = NULL;
  struct netlink_answer answer = {0};
  struct error ignored = {0};
  int status = netlink_open(NETLINK_SOCK_DIAG, &netlink, &ignored);
  if (status == 0) {
    status = netlink_request(netlink, request, -1, &answer, &ignored);
  }
  if (status == 0) {
    status = sockets_take(collection, protocol, answer.data, answer.length);
  }
  netlink_answer_free(&answer);
  netlink_close(netlink);
  return status;
}

/* ---- whose they are ---- */

/* The name of the program's file, else what the process calls itself. */
static const char *program_of(struct collection *collection, const char *process) {
  char path[PROGRAM_ROOM], target[PATH_MAX];
  snprintf(path, sizeof(path), "/proc/%s/exe", process);
  ssize_t length = readlink(path, target, sizeof(target) - 1);
  if (length > 0) {
    target[length] = '\0';
    const char *name = strrchr(target, '/');
    return arena_strdup(collection->arena, name != NULL ? name + 1 : target);
  }
  int code;
  snprintf(path, sizeof(path), "/proc/%s/comm", process);
  char *text = file_read(collection->arena, path, LINK_ROOM, &code);
  if (text != NULL) {
    text[strcspn(text, "\n")] = '\0';
  }
  return text != NULL ? text : "";
}

static void give(struct collection *collection, uint64_t inode, const char *process) {
  const char *program = NULL;
  for (size_t i = 0; i < collection->result->listener_count; i++) {
    struct listener *listener = &collection->result->listeners[i];
    if (collection->inodes[i] != inode || listener->process != 0) {
      continue;
    }
    program = program != NULL ? program : program_of(collection, process);
    listener->program = program != NULL ? program : "";
    listener->process = (unsigned)strtoul(process, NULL, 10);
  }
}

static void look_through(struct collection *collection, const char *process) {
  char directory[LINK_ROOM];
  snprintf(directory, sizeof(directory), "/proc/%.20s/fd", process);
  DIR *listing = opendir(directory);
  const struct dirent *entry;
  while (listing != NULL && (entry = readdir(listing)) != NULL) {
    char target[LINK_ROOM];
    ssize_t length = readlinkat(dirfd(listing), entry->d_name, target, sizeof(target) - 1);
    if (length <= 0) {
      continue;
    }
    target[length] = '\0';
    if (strncmp(target, "socket:[", strlen("socket:[")) == 0) {
      give(collection, strtoull(target + strlen("socket:["), NULL, 10), process);
    }
  }
  if (listing != NULL) {
    closedir(listing);
  }
}

static void find_programs(struct collection *collection) {
  DIR *listing = collection->result->listener_count > 0 ? opendir("/proc") : NULL;
  const struct dirent *entry;
  while (listing != NULL && (entry = readdir(listing)) != NULL) {
    if (isdigit((unsigned char)entry->d_name[0])) {
      look_through(collection, entry->d_name);
    }
  }
  if (listing != NULL) {
    closedir(listing);
  }
}

int collect_sockets(struct collection *collection) {
  static const struct {
    uint8_t family, protocol;
    const char *name;
  } kinds[] = {{AF_INET, IPPROTO_TCP, "SOCK_DIAG (TCP)"},          {AF_INET6, IPPROTO_TCP, "SOCK_DIAG (TCP, IPv6)"},
               {AF_INET, IPPROTO_UDP, "SOCK_DIAG (UDP)"},          {AF_INET6, IPPROTO_UDP, "SOCK_DIAG (UDP, IPv6)"},
               {AF_INET, IPPROTO_UDPLITE, "SOCK_DIAG (UDP-Lite)"}, {AF_PACKET, 0, "SOCK_DIAG (packet)"}};
  collection->result->listeners_known = true;
  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    int status = ask(collection, kinds[i].family, kinds[i].protocol);
    bool absent = status == -ENOENT && kinds[i].protocol == IPPROTO_UDPLITE;
    if (status == 0 || absent) {
      continue;
    }
    collection->result->listeners_known = false;
    status = status == -ENOMEM ? status : collection_add_failure(collection, "listener", kinds[i].name, -status);
    if (status < 0) {
      return status;
    }
  }
  find_programs(collection);
  return 0;
}
