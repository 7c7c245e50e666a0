/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "kernel/surroundings_parts.h"

/*
 * BPF programs that neither the list of interfaces nor traffic control shows: on interfaces by TCX and netkit (asked
 * for each interface; CAP_NET_ADMIN is enough), and on the hooks of netfilter, which only the list of all links of the
 * machine shows. That list takes CAP_SYS_ADMIN, and does not say of which network namespace a link is.
 *
 * Numbers of newer kernels are written out: the headers of the machine that builds need not have them.
 */
enum {
  ATTACH_TCX_INGRESS = 46,
  ATTACH_TCX_EGRESS = 47,
  ATTACH_NETKIT_PRIMARY = 54,
  ATTACH_NETKIT_PEER = 55,
  LINK_NETFILTER = 10,
  LINK_LIMIT = 4096,
  FIRST_MAJOR = 6,
  FIRST_MINOR_HOOKS = 4, /* kernel 6.4 is the first with programs on netfilter's hooks, 6.6 with TCX */
  FIRST_MINOR_TCX = 6,
};

/* What BPF_PROG_QUERY reads and writes: newer kernels write up to the end of this. */
struct program_query {
  uint32_t interface, attach_type, query_flags, attach_flags;
  uint64_t programs;
  uint32_t count, padding;
  uint64_t program_flags, links, link_flags, revision;
};

/* The beginning of what the kernel tells of a link; the rest depends on its type. */
struct link_information {
  uint32_t type, id, program, padding;
  uint32_t family, hook; /* LINK_NETFILTER */
  int32_t priority;
  uint32_t flags;
  uint8_t more[224];
};

static long bpf(int command, void *attributes, unsigned size) {
  return syscall(SYS_bpf, command, attributes, size);
}

/* ---- on interfaces ---- */

/* Older ones are not asked: a filter of system calls may stand before the answer. */
static bool kernel_is_from(long wanted_minor) {
  struct utsname name;
  if (uname(&name) < 0) {
    return true;
  }
  char *end;
  long major = strtol(name.release, &end, 10);
  long minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
  return major > FIRST_MAJOR || (major == FIRST_MAJOR && minor >= wanted_minor);
}

static int query(const struct link *link, uint32_t attach_type, uint32_t *ret_count) {
  struct program_query query = {.interface = link->index, .attach_type = attach_type};
  if (bpf(BPF_PROG_QUERY, &query, sizeof(query)) < 0) {
    return -errno;
  }
  *ret_count = query.count;
  return 0;
}

static int tell_interface(struct collection *collection, const struct link *link, const char *where, uint32_t count) {
  struct machine_fact fact = {
      .kind = "bpf",
      .subject = arena_printf(collection->arena, "%s %s", link->name, where),
      .detail = arena_printf(collection->arena, "programs: %u", count),
      .state = FACT_UNKNOWN,
      .links = {link->name, NULL},
  };
  return collection_add_fact(collection, &fact);
}

/* An attach type that this kernel, or this interface, does not have is no failure. */
static int collect_on_interfaces(struct collection *collection) {
  static const struct {
    uint32_t attach_type;
    const char *name;
  } places[] = {{ATTACH_TCX_INGRESS, "tcx ingress"},
                {ATTACH_TCX_EGRESS, "tcx egress"},
                {ATTACH_NETKIT_PRIMARY, "netkit primary"},
                {ATTACH_NETKIT_PEER, "netkit peer"}};
  if (!kernel_is_from(FIRST_MINOR_TCX)) {
    return 0;
  }
  for (size_t i = 0; i < collection->result->link_count * (sizeof(places) / sizeof(places[0])); i++) {
    const struct link *link = &collection->result->links[i / (sizeof(places) / sizeof(places[0]))];
    size_t place = i % (sizeof(places) / sizeof(places[0]));
    uint32_t count = 0;
    int status = query(link, places[place].attach_type, &count);
    if (status == -EPERM || status == -EACCES) {
      return collection_add_failure(collection, "bpf", "BPF_PROG_QUERY (TCX)", -status);
    }
    status = status == 0 && count > 0 ? tell_interface(collection, link, places[place].name, count) : 0;
    if (status < 0) {
      return status;
    }
  }
  return 0;
}

/* ---- on netfilter's hooks ---- */

/* 0, or a negative errno: -ENOENT for a link that has just gone. */
static int read_link(uint32_t id, struct link_information *ret_information) {
  union bpf_attr attributes = {0};
  attributes.link_id = id;
  int fd = (int)bpf(BPF_LINK_GET_FD_BY_ID, &attributes, sizeof(attributes));
  if (fd < 0) {
    return -errno;
  }
  struct link_information information = {0};
  memset(&attributes, 0, sizeof(attributes));
  attributes.info.bpf_fd = (uint32_t)fd;
  attributes.info.info_len = sizeof(information);
  attributes.info.info = (uint64_t)(uintptr_t)&information;
  int status = bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes, sizeof(attributes)) < 0 ? -errno : 0;
  close(fd);
  *ret_information = information;
  return status;
}

/* The kernel does not say in which network namespace a link hangs (struct bpf_link_info, netfilter): it may be any. */
static int tell_hook(struct collection *collection, const struct link_information *information) {
  struct machine_fact fact = {
      .kind = "bpf",
      .subject = "netfilter",
      .detail = arena_printf(
          collection->arena,
          "link %u of this or another network namespace: family %u, hook %u, priority %d, program %u", information->id,
          information->family, information->hook, information->priority, information->program),
      .state = FACT_UNKNOWN,
  };
  return collection_add_fact(collection, &fact);
}

static int collect_on_hooks(struct collection *collection) {
  uint32_t id = 0;
  for (unsigned count = 0; kernel_is_from(FIRST_MINOR_HOOKS) && count < LINK_LIMIT; count++) {
    union bpf_attr attributes = {0};
    attributes.start_id = id;
    if (bpf(BPF_LINK_GET_NEXT_ID, &attributes, sizeof(attributes)) < 0) {
      return errno == ENOENT ? 0 : collection_add_failure(collection, "bpf", "BPF_LINK_GET_NEXT_ID", errno);
    }
    id = attributes.next_id;
    struct link_information information = {0};
    int status = read_link(id, &information);
    if (status < 0 && status != -ENOENT) {
      return collection_add_failure(collection, "bpf", "BPF_LINK_GET_FD_BY_ID", -status);
    }
    status = status == 0 && information.type == LINK_NETFILTER ? tell_hook(collection, &information) : 0;
    if (status < 0) {
      return status;
    }
  }
  return 0;
}

int collect_programs(struct collection *collection) {
  int status = collect_on_interfaces(collection);
  return status == 0 ? collect_on_hooks(collection) : status;
}
