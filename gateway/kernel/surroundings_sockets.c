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
enum { TABLE_LIMIT = 4 * 1024 * 1024, WORD_DIGITS = 8 };
enum { REQUEST_ROOM = 256, LINK_ROOM = 64, FIRST_PORT = 32768, LAST_PORT = 60999, PROGRAM_ROOM = 256 };

struct socket_survey {
  struct collection *collection;
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

struct seen_socket {
  struct address address;
  uint16_t port, peer_port;
  uint32_t interface;
  uint64_t inode;
};

static int keep_internet(const struct socket_survey *survey, const struct seen_socket *seen) {
  if (seen->port == 0 || seen->peer_port != 0) { /* speaks with one other only */
    return 0;
  }
  struct listener listener = {
      .protocol = survey->protocol,
      .address = seen->address,
      .port = seen->port,
      .link = seen->interface != 0 ? collection_link_name(survey->collection, seen->interface) : NULL,
      .passing = survey->protocol == IPPROTO_UDP && seen->port >= FIRST_PORT && seen->port <= LAST_PORT,
      .program = "",
  };
  if (is_any(&seen->address)) {
    listener.address = (struct address){0};
  }
  return keep(survey->collection, &listener, seen->inode);
}

static int keep_packet(struct collection *collection, uint32_t interface, uint64_t inode) {
  struct listener listener = {
      .packet = true,
      .link = interface != 0 ? collection_link_name(collection, interface) : NULL,
      .program = "",
  };
  return keep(collection, &listener, inode);
}

static int take_internet(void *context, const struct nlmsghdr *message) {
  const struct inet_diag_msg *found = mnl_nlmsg_get_payload(message);
  struct seen_socket seen = {
      .address.family = found->idiag_family == AF_INET ? FAMILY_IPV4 : FAMILY_IPV6,
      .port = ntohs(found->id.idiag_sport),
      .peer_port = ntohs(found->id.idiag_dport),
      .interface = found->id.idiag_if,
      .inode = found->idiag_inode,
  };
  memcpy(seen.address.bytes, found->id.idiag_src, address_length(seen.address.family));
  return keep_internet(context, &seen);
}

static int take_packet(void *context, const struct nlmsghdr *message) {
  const struct socket_survey *survey = context;
  const struct packet_diag_msg *found = mnl_nlmsg_get_payload(message);
  const struct nlattr *attribute = message_attribute(message, sizeof(*found), PACKET_DIAG_INFO);
  struct packet_diag_info information = {0};
  if (attribute != NULL && mnl_attr_get_payload_len(attribute) >= sizeof(information)) {
    memcpy(&information, mnl_attr_get_payload(attribute), sizeof(information));
  }
  return keep_packet(survey->collection, information.pdi_index, found->pdiag_ino);
}

int sockets_take(struct collection *collection, uint8_t protocol, const void *data, size_t length) {
  struct socket_survey survey = {collection, protocol};
  return protocol == 0
             ? messages_each(data, length, SOCK_DIAG_BY_FAMILY, sizeof(struct packet_diag_msg), take_packet, &survey)
             : messages_each(data, length, SOCK_DIAG_BY_FAMILY, sizeof(struct inet_diag_msg), take_internet, &survey);
}

/* ---- the same from /proc, where the kernel has no module for the question ---- */

/* "0100007F:1F90": words of the address as this machine writes numbers. */
static bool read_end(const char *text, struct address *ret_address, uint16_t *ret_port) {
  size_t digits = strcspn(text, ":");
  struct address address = {.family = digits == WORD_DIGITS ? FAMILY_IPV4 : FAMILY_IPV6};
  if (digits != 2 * address_length(address.family) || text[digits] != ':') {
    return false;
  }
  for (size_t i = 0; i < digits; i += WORD_DIGITS) {
    char word[WORD_DIGITS + 1] = "";
    memcpy(word, text + i, WORD_DIGITS);
    uint32_t number = (uint32_t)strtoul(word, NULL, 16);
    memcpy(&address.bytes[i / 2], &number, sizeof(number));
  }
  *ret_address = address;
  *ret_port = (uint16_t)strtoul(text + digits + 1, NULL, 16);
  return true;
}

static int take_internet_line(const struct socket_survey *survey, const char *line) {
  char local[LINK_ROOM], peer[LINK_ROOM];
  unsigned state;
  unsigned long inode;
  struct seen_socket seen = {0};
  struct address other;
  bool read = sscanf(line, " %*u: %63s %63s %x %*s %*s %*s %*u %*u %lu", local, peer, &state, &inode) == 4 &&
              read_end(local, &seen.address, &seen.port) && read_end(peer, &other, &seen.peer_port);
  seen.inode = read ? inode : 0;
  return read && state == (survey->protocol == IPPROTO_TCP ? TCP_LISTEN : TCP_CLOSE) ? keep_internet(survey, &seen) : 0;
}

static int take_packet_line(struct collection *collection, const char *line) {
  unsigned interface;
  unsigned long inode;
  bool read = sscanf(line, "%*s %*u %*u %*x %u %*u %*u %*u %lu", &interface, &inode) == 2;
  return read ? keep_packet(collection, interface, inode) : 0;
}

int socket_table_take(struct collection *collection, uint8_t protocol, char *text) {
  struct socket_survey survey = {collection, protocol};
  char *place = NULL;
  int status = 0;
  for (char *line = strtok_r(text, "\n", &place); status == 0 && line != NULL; line = strtok_r(NULL, "\n", &place)) {
    status = protocol == 0 ? take_packet_line(collection, line) : take_internet_line(&survey, line);
  }
  return status;
}

static int read_table(struct collection *collection, uint8_t protocol, const char *path) {
  int code;
  char *text = file_read(collection->arena, path, TABLE_LIMIT, &code);
  return text != NULL ? socket_table_take(collection, protocol, text) : -code;
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
    const char *table;
  } kinds[] = {{AF_INET, IPPROTO_TCP, "/proc/self/net/tcp"},         {AF_INET6, IPPROTO_TCP, "/proc/self/net/tcp6"},
               {AF_INET, IPPROTO_UDP, "/proc/self/net/udp"},         {AF_INET6, IPPROTO_UDP, "/proc/self/net/udp6"},
               {AF_INET, IPPROTO_UDPLITE, "/proc/self/net/udplite"}, {AF_PACKET, 0, "/proc/self/net/packet"}};
  collection->result->listeners_known = true;
  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    int status = ask(collection, kinds[i].family, kinds[i].protocol);
    if (status < 0 && status != -ENOMEM) {
      status = read_table(collection, kinds[i].protocol, kinds[i].table);
    }
    if (status < 0 && status != -ENOMEM && status != -ENOENT) { /* ENOENT: the kernel has no such sockets */
      collection->result->listeners_known = false;
      status = collection_add_failure(collection, "listener", kinds[i].table, -status);
    }
    if (status == -ENOMEM) {
      return status;
    }
  }
  find_programs(collection);
  return 0;
}
