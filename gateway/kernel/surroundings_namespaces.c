/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>

#include "kernel/surroundings_parts.h"

/*
 * Other network namespaces. From here only their numbers show, at devices whose other end lies there; macvlans and
 * VLANs of others on our devices do not show at all. So they are entered one after the other (by a thread of its own:
 * the network namespace belongs to the thread, and it ends there), as far as there are rights, and asked which of their
 * devices lead to ours. Namespaces are found by /run/netns and by the processes in them.
 */
enum { REQUEST_ROOM = 256, SPACE_LIMIT = 512, PATH_ROOM = 300, NO_NUMBER = -1 };

struct visit {
  struct collection *collection;
  int own;        /* descriptor of our namespace */
  uint64_t inode; /* of it */
  uint64_t *seen; /* inodes of those visited */
  size_t seen_count, seen_capacity;
  uint32_t *looked; /* our numbers of those that were entered */
  size_t looked_count, looked_capacity;
  bool denied; /* some could not be entered, or not be found */
  int status;
};

/* ---- one namespace, from within ---- */

/* Number of the namespace behind a descriptor, as the namespace of this socket counts; NO_NUMBER: it has none. */
static int number_of(struct netlink *netlink, int fd) {
  _Alignas(struct nlmsghdr) char buffer[REQUEST_ROOM] = {0};
  struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = RTM_GETNSID;
  mnl_nlmsg_put_extra_header(request, sizeof(struct rtgenmsg));
  mnl_attr_put_u32(request, NETNSA_FD, (uint32_t)fd);
  struct netlink_answer answer = {0};
  struct error ignored = {0};
  int number = NO_NUMBER;
  if (netlink_request(netlink, request, -1, &answer, &ignored) == 0 && answer.length >= NLMSG_HDRLEN) {
    const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)answer.data;
    const struct nlattr *attribute = message->nlmsg_type == RTM_NEWNSID && message->nlmsg_len <= answer.length
                                         ? message_attribute(message, sizeof(struct rtgenmsg), NETNSA_NSID)
                                         : NULL;
    number = (int)attribute_host_u32(attribute, (uint32_t)NO_NUMBER);
  }
  netlink_answer_free(&answer);
  return number;
}

static int ask_links(struct netlink *netlink, struct netlink_answer *answer) {
  _Alignas(struct nlmsghdr) char buffer[REQUEST_ROOM] = {0};
  struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = RTM_GETLINK;
  request->nlmsg_flags = NLM_F_DUMP;
  mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
  struct error ignored = {0};
  return netlink_request(netlink, request, -1, answer, &ignored);
}

struct far_links {
  struct collection *collection;
  size_t space;
  int own_number; /* of our namespace, there */
};

static int take_far_link(void *context, const struct nlmsghdr *message) {
  const struct far_links *far = context;
  struct collection *collection = far->collection;
  enum { SIZE = sizeof(struct ifinfomsg) };
  const struct nlattr *number = message_attribute(message, SIZE, IFLA_LINK_NETNSID);
  const char *name = attribute_text(message_attribute(message, SIZE, IFLA_IFNAME));
  const struct link *ours =
      collection_link(collection, attribute_host_u32(message_attribute(message, SIZE, IFLA_LINK), 0));
  if (number == NULL || (int)attribute_host_u32(number, 0) != far->own_number || ours == NULL || name == NULL) {
    return 0;
  }
  const char *kind = attribute_text(nested_attribute(message_attribute(message, SIZE, IFLA_LINKINFO), IFLA_INFO_KIND));
  const struct passage passage = {
      .link = ours->name,
      .far = arena_strdup(collection->arena, name),
      .kind = kind != NULL ? arena_strdup(collection->arena, kind) : "",
      .space = far->space,
      .master = attribute_host_u32(message_attribute(message, SIZE, IFLA_MASTER), 0),
  };
  return collection_add_passage(collection, &passage);
}

int far_links_take(struct collection *collection, size_t space, int own_number, const void *data, size_t length) {
  struct far_links far = {collection, space, own_number};
  return messages_each(data, length, RTM_NEWLINK, sizeof(struct ifinfomsg), take_far_link, &far);
}

static int look_around(struct visit *visit, const char *name) {
  struct netlink *netlink = NULL;
  struct netlink_answer answer = {0};
  struct error ignored = {0};
  int status = netlink_open(NETLINK_ROUTE, &netlink, &ignored);
  if (status == 0) {
    status = ask_links(netlink, &answer); /* which gives our namespace a number there, if a device leads to it */
  }
  int number = status == 0 ? number_of(netlink, visit->own) : NO_NUMBER;
  netlink_close(netlink);
  struct collection *collection = visit->collection;
  if (status == 0 && number != NO_NUMBER) {
    const struct other_namespace space = {
        .name = arena_strdup(collection->arena, name),
        .looked = true,
        .forwards = settings_forward4(collection) || settings_forward6(collection),
    };
    status = collection_add_namespace(collection, &space);
    status = status == 0 ? far_links_take(collection, collection->result->namespace_count - 1, number, answer.data,
                                          answer.length)
                         : status;
  }
  netlink_answer_free(&answer);
  return status;
}

/* ---- all of them ---- */

static bool seen_before(const struct visit *visit, uint64_t inode) {
  for (size_t i = 0; i < visit->seen_count; i++) {
    if (visit->seen[i] == inode) {
      return true;
    }
  }
  return inode == visit->inode;
}

static int note_seen(struct visit *visit, uint64_t inode) {
  if (arena_grow(visit->collection->arena, (void **)&visit->seen, visit->seen_count, &visit->seen_capacity,
                 sizeof(*visit->seen)) < 0) {
    return -ENOMEM;
  }
  visit->seen[visit->seen_count++] = inode;
  return 0;
}

static int note_looked(struct visit *visit, int fd) {
  struct netlink *netlink = NULL;
  struct error ignored = {0};
  int number = netlink_open(NETLINK_ROUTE, &netlink, &ignored) == 0 ? number_of(netlink, fd) : NO_NUMBER;
  netlink_close(netlink);
  if (number == NO_NUMBER) {
    return 0;
  }
  if (arena_grow(visit->collection->arena, (void **)&visit->looked, visit->looked_count, &visit->looked_capacity,
                 sizeof(*visit->looked)) < 0) {
    return -ENOMEM;
  }
  visit->looked[visit->looked_count++] = (uint32_t)number;
  return 0;
}

/* In there and back; a thread that cannot come back must not go on. */
static int enter(struct visit *visit, int fd, const char *name) {
  if (setns(fd, CLONE_NEWNET) < 0) {
    visit->denied = true;
    return 0;
  }
  int status = look_around(visit, name);
  if (setns(visit->own, CLONE_NEWNET) < 0) {
    return -errno;
  }
  return status == 0 ? note_looked(visit, fd) : status;
}

static int visit_path(struct visit *visit, const char *path) {
  struct stat about;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &about) < 0) {
    visit->denied = visit->denied || (fd < 0 && errno != ENOENT && errno != ESRCH);
    if (fd >= 0) {
      close(fd);
    }
    return 0;
  }
  int status = 0;
  if (!seen_before(visit, about.st_ino)) {
    visit->denied = visit->denied || visit->seen_count >= SPACE_LIMIT;
    status = note_seen(visit, about.st_ino);
    status = status == 0 && visit->seen_count <= SPACE_LIMIT ? enter(visit, fd, path) : status;
  }
  close(fd);
  return status;
}

/* Each entry of a directory as "before/entry/after". */
static int visit_directory(struct visit *visit, const char *before, const char *after, bool numbers) {
  DIR *listing = opendir(before);
  int status = 0;
  const struct dirent *entry;
  while (listing != NULL && status == 0 && (entry = readdir(listing)) != NULL) {
    char path[PATH_ROOM];
    int length = snprintf(path, sizeof(path), "%s/%s%s", before, entry->d_name, after);
    bool wanted = numbers ? isdigit((unsigned char)entry->d_name[0]) != 0 : entry->d_name[0] != '.';
    if (wanted && length > 0 && (size_t)length < sizeof(path)) {
      status = visit_path(visit, path);
    }
  }
  if (listing != NULL) {
    closedir(listing);
  }
  return status;
}

static void *visit_all(void *context) {
  struct visit *visit = context;
  visit->status = visit_directory(visit, "/run/netns", "", false);
  if (visit->status == 0) {
    visit->status = visit_directory(visit, "/proc", "/ns/net", true);
  }
  return NULL;
}

/* ---- from without ---- */

static bool was_looked(const struct visit *visit, uint32_t number) {
  for (size_t i = 0; i < visit->looked_count; i++) {
    if (visit->looked[i] == number) {
      return true;
    }
  }
  return false;
}

/* Devices that lead where nobody could look: by the number that our kernel gave to that namespace. */
static int add_unseen(struct visit *visit) {
  struct collection *collection = visit->collection;
  size_t first = collection->result->namespace_count;
  int status = 0;
  for (size_t i = 0; status == 0 && i < collection->result->link_count; i++) {
    const struct link *link = &collection->result->links[i];
    if (!link->peer_elsewhere || was_looked(visit, link->peer_space)) {
      continue;
    }
    const char *name = arena_printf(collection->arena, "nsid %u", link->peer_space);
    size_t space = first;
    while (name != NULL && space < collection->result->namespace_count &&
           strcmp(collection->result->namespaces[space].name, name) != 0) {
      space++;
    }
    if (space == collection->result->namespace_count) {
      status = collection_add_namespace(collection, &(struct other_namespace){.name = name});
    }
    const struct passage passage = {.link = link->name, .far = "", .kind = link->kind, .space = space};
    status = status == 0 ? collection_add_passage(collection, &passage) : status;
  }
  return status;
}

int collect_namespaces(struct collection *collection) {
  struct stat about = {0};
  struct visit visit = {.collection = collection, .own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)};
  if (visit.own < 0 || fstat(visit.own, &about) < 0) {
    visit.denied = true;
  } else {
    pthread_t thread;
    visit.inode = about.st_ino;
    int code = pthread_create(&thread, NULL, visit_all, &visit);
    visit.status = code == 0 ? pthread_join(thread, NULL) == 0 ? visit.status : -ESRCH : -code;
  }
  if (visit.own >= 0) {
    close(visit.own);
  }
  int status = visit.status == -ENOMEM ? -ENOMEM : add_unseen(&visit);
  if (status == 0 && (visit.denied || visit.status < 0)) {
    status =
        collection_add_failure(collection, "namespace", "/proc/PID/ns/net", visit.status < 0 ? -visit.status : EPERM);
  }
  return status;
}
