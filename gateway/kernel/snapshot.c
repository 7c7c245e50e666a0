/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel says of its ruleset, byte for byte: nothing here looks into the messages but for the names of sets,
 * whose elements must be asked for one set after another.
 *
 * Consistent: the kernel's generation is asked before and after, and every message between bears its lower sixteen bits
 * (element dumps are not marked as interrupted when they are). Packets that add elements, and elements that end, do not
 * raise it: the proof takes such sets as unknown.
 */
#include "kernel/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "kernel/netlink.h"
#include "kernel/nftables_attributes.h"

enum { ATTEMPTS = 20, REQUEST_ROOM = 1024, PAUSE_MILLISECONDS = 2, PAUSE_MOST = 32 };

struct taking {
  struct netlink *netlink;
  struct netlink_answer answer; /* all of the attempt */
  uint32_t generation;
  struct error *error;
};

/* ---- requests ---- */

static struct nlmsghdr *start_request(void *room, uint16_t type, uint16_t flags, uint8_t family) {
  struct nlmsghdr *header = mnl_nlmsg_put_header(room);
  header->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
  header->nlmsg_flags = flags;
  struct nfgenmsg *generic = mnl_nlmsg_put_extra_header(header, sizeof(*generic));
  *generic = (struct nfgenmsg){.nfgen_family = family, .version = NFNETLINK_V0};
  return header;
}

/* The generation as the last message of the answer tells it. */
static int read_generation(const struct taking *taking, size_t start, uint32_t *ret_generation) {
  const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)(taking->answer.data + start);
  struct attributes attributes;
  attributes_split_message(message, sizeof(struct nfgenmsg), UINT32_MAX, &attributes);
  if (!attributes_have(&attributes, NFTA_GEN_ID)) {
    return error_set(taking->error, EPROTO, "the kernel does not tell the generation of its ruleset");
  }
  *ret_generation = attributes_u32(&attributes, NFTA_GEN_ID, 0);
  return attributes.malformed ? error_set(taking->error, EPROTO, "the kernel's generation has no number") : 0;
}

static int ask_generation(struct taking *taking, int marker, uint32_t *ret_generation) {
  char room[REQUEST_ROOM] __attribute__((aligned(NLMSG_ALIGNTO)));
  struct nlmsghdr *request = start_request(room, NFT_MSG_GETGEN, 0, NFPROTO_UNSPEC);
  size_t start = taking->answer.length;
  int status = netlink_request(taking->netlink, request, marker, &taking->answer, taking->error);
  return status < 0 ? status : read_generation(taking, start, ret_generation);
}

static int dump(struct taking *taking, struct nlmsghdr *request) {
  return netlink_request(taking->netlink, request, (uint16_t)taking->generation, &taking->answer, taking->error);
}

static int dump_elements(struct taking *taking, const struct nlmsghdr *set) {
  const struct nfgenmsg *generic = mnl_nlmsg_get_payload(set);
  struct attributes attributes;
  attributes_split_message(set, sizeof(*generic), UINT32_MAX, &attributes);
  const char *table = attributes_string(&attributes, NFTA_SET_TABLE);
  const char *name = attributes_string(&attributes, NFTA_SET_NAME);
  if (table == NULL || name == NULL || strlen(table) + strlen(name) > REQUEST_ROOM / 2) {
    return error_set(taking->error, EPROTO, "the kernel tells of a set without a name");
  }
  char room[REQUEST_ROOM] __attribute__((aligned(NLMSG_ALIGNTO)));
  struct nlmsghdr *request = start_request(room, NFT_MSG_GETSETELEM, NLM_F_DUMP, generic->nfgen_family);
  mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_TABLE, table);
  mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_SET, name);
  return dump(taking, request);
}

/* The elements of all sets that were told between two places of the answer. A copy of each message: the answer moves as
 * it grows. */
static int dump_all_elements(struct taking *taking, size_t position, size_t end) {
  enum { SET_ROOM = 65536 };
  _Alignas(NLMSG_ALIGNTO) char copy[SET_ROOM];
  int status = 0;
  while (status == 0 && end - position >= NLMSG_HDRLEN) {
    struct nlmsghdr header;
    memcpy(&header, taking->answer.data + position, sizeof(header));
    if (header.nlmsg_len < NLMSG_HDRLEN + sizeof(struct nfgenmsg) && header.nlmsg_type != NLMSG_DONE) {
      return error_set(taking->error, EPROTO, "the kernel's message is too short");
    }
    if (header.nlmsg_len > sizeof(copy)) {
      return error_set(taking->error, EPROTO, "the kernel's message is too long");
    }
    if (header.nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSET)) {
      memcpy(copy, taking->answer.data + position, header.nlmsg_len);
      status = dump_elements(taking, (const struct nlmsghdr *)(const void *)copy);
    }
    size_t step = netlink_align(header.nlmsg_len);
    position += step < end - position ? step : end - position;
  }
  return status;
}

/* ---- one attempt ---- */

static int dump_everything(struct taking *taking) {
  static const uint16_t kinds[] = {NFT_MSG_GETTABLE, NFT_MSG_GETCHAIN,     NFT_MSG_GETRULE,
                                   NFT_MSG_GETOBJ,   NFT_MSG_GETFLOWTABLE, NFT_MSG_GETSET};
  size_t start = 0;
  int status = 0;
  for (size_t i = 0; status == 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    char room[REQUEST_ROOM] __attribute__((aligned(NLMSG_ALIGNTO)));
    start = taking->answer.length;
    status = dump(taking, start_request(room, kinds[i], NLM_F_DUMP, NFPROTO_UNSPEC));
  }
  return status < 0 ? status : dump_all_elements(taking, start, taking->answer.length);
}

/* -EINTR: the ruleset changed in between. What is gone when it is asked for has changed, too. */
static int take_once(struct taking *taking) {
  uint32_t after = 0;
  int status = ask_generation(taking, -1, &taking->generation);
  if (status < 0) {
    return status;
  }
  status = dump_everything(taking);
  status = status < 0 ? status : ask_generation(taking, (uint16_t)taking->generation, &after);
  bool changed = status == -ENOENT || status == -ENOBUFS || (status == 0 && after != taking->generation);
  return changed ? -EINTR : status;
}

static int attempt(struct taking *taking) {
  int status = netlink_open(NETLINK_NETFILTER, &taking->netlink, taking->error);
  if (status == 0) {
    taking->answer.length = 0;
    status = take_once(taking);
    taking->netlink = netlink_close(taking->netlink);
  }
  return status;
}

static void pause_before(unsigned attempts) {
  unsigned milliseconds = attempts * PAUSE_MILLISECONDS < PAUSE_MOST ? attempts * PAUSE_MILLISECONDS : PAUSE_MOST;
  struct timespec pause = {.tv_nsec = (long)milliseconds * 1000000};
  (void)nanosleep(&pause, NULL);
}

static int take_consistent(struct taking *taking, int64_t *ret_taken_at) {
  int status = -EINTR;
  for (unsigned i = 0; status == -EINTR && i < ATTEMPTS; i++) {
    if (i > 0) {
      pause_before(i);
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *ret_taken_at = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    status = attempt(taking);
  }
  return status != -EINTR
             ? status
             : error_set(taking->error, EAGAIN, "the ruleset changed each of %d times that it was read", ATTEMPTS);
}

/* ---- where and when ---- */

static uint64_t this_namespace(void) {
  struct stat status;
  return stat("/proc/thread-self/ns/net", &status) == 0 ? status.st_ino : 0;
}

static void read_boot(char *target, size_t size) {
  int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  ssize_t length = fd >= 0 ? read(fd, target, size - 1) : 0;
  target[length > 0 ? length : 0] = '\0';
  target[strspn(target, "0123456789abcdef-")] = '\0';
  if (fd >= 0) {
    close(fd);
  }
}

int snapshot_take(struct arena *arena, struct snapshot *ret_snapshot, struct error *error) {
  struct error unseen = {0};
  struct taking taking = {.error = error != NULL ? error : &unseen};
  struct snapshot snapshot = {0};
  int status = take_consistent(&taking, &snapshot.taken_at);
  if (status == 0) {
    snapshot.generation = taking.generation;
    snapshot.length = taking.answer.length;
    snapshot.messages = arena_memdup(arena, taking.answer.data, taking.answer.length);
    snapshot.network_namespace = this_namespace();
    read_boot(snapshot.boot, sizeof(snapshot.boot));
    status = snapshot.messages != NULL ? 0 : error_set(error, ENOMEM, "no memory for the kernel's ruleset");
  }
  netlink_answer_free(&taking.answer);
  if (status == 0) {
    *ret_snapshot = snapshot;
  }
  return status < 0 && status != -ENOMEM ? error_wrap(taking.error, "reading nftables") : status;
}
