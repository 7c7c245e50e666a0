/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>

#include "kernel/nftables_attributes.h"
#include "kernel/nftables_parts.h"

/*
 * A dump of nf_tables is not one moment. The kernel flags some interrupted dumps, not those of elements; but every
 * message carries the low half of the generation in nfgenmsg.res_id. So: ask the generation, dump everything on a fresh
 * socket, require the mark on each message, ask again. If anything moved, the bytes are thrown away and all is asked
 * anew.
 */
enum {
  RECORD_ATTEMPTS = 20,
  RECENT_SECONDS = 60,
  REQUEST_ROOM = 1024,
  PAUSE_NANOSECONDS = 2 * 1000 * 1000,
};

int64_t clock_milliseconds(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

int64_t instant_milliseconds(struct instant now) {
  int64_t real = clock_milliseconds(CLOCK_REALTIME);
  bool recent = real / 1000 >= now.seconds && real / 1000 - now.seconds <= RECENT_SECONDS;
  return recent ? real : now.seconds * 1000;
}

void nftables_pause(unsigned attempt) {
  struct timespec time = {.tv_nsec = PAUSE_NANOSECONDS * (long)(attempt + 1)};
  nanosleep(&time, NULL);
}

int nftables_ask(struct netlink *netlink, enum nf_tables_msg_types type, uint16_t flags, uint8_t family,
                 const struct request_name names[static 2], int marker, struct netlink_answer *answer,
                 struct error *error) {
  _Alignas(struct nlmsghdr) char buffer[REQUEST_ROOM];
  struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
  request->nlmsg_flags = flags;
  struct nfgenmsg *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
  header->nfgen_family = family;
  header->version = NFNETLINK_V0;
  for (size_t i = 0; i < 2 && names[i].type != 0; i++) {
    mnl_attr_put_strz(request, names[i].type, names[i].text);
  }
  return netlink_request(netlink, request, marker, answer, error);
}

int nftables_ask_generation(struct netlink *netlink, uint32_t *ret_generation, struct error *error) {
  static const struct request_name no_names[2];
  struct netlink_answer answer = {0};
  int status = nftables_ask(netlink, NFT_MSG_GETGEN, 0, NFPROTO_UNSPEC, no_names, -1, &answer, error);
  if (status == 0) {
    struct attributes attributes = {0};
    if (answer.length >= NLMSG_HDRLEN) {
      attributes_split_message((const struct nlmsghdr *)(const void *)answer.data, sizeof(struct nfgenmsg), UINT32_MAX,
                               &attributes);
    }
    uint32_t generation = attributes_u32(&attributes, NFTA_GEN_ID, 0);
    if (generation == 0) {
      status = error_set(error, EBADMSG, "the kernel does not say its generation");
    } else {
      *ret_generation = generation;
    }
  }
  netlink_answer_free(&answer);
  return status;
}

/* Everything at one generation; -EINTR when it moved meanwhile. */
static int record_once(int (*record)(struct recording *recording, struct error *error), struct recording *recording,
                       uint32_t *ret_generation, struct error *error) {
  uint32_t before = 0;
  uint32_t after = 0;
  int status = nftables_ask_generation(recording->netlink, &before, error);
  if (status == 0) {
    recording->marker = (int)(before & GENERATION_MARK);
    status = record(recording, error);
  }
  if (status == 0) {
    status = nftables_ask_generation(recording->netlink, &after, error);
  }
  if (status == 0 && before != after) {
    status = -EINTR;
  }
  if (status == 0) {
    *ret_generation = before;
  }
  return status;
}

int nftables_record(int (*record)(struct recording *recording, struct error *error), const void *context,
                    struct netlink_answer *ret_answer, uint32_t *ret_generation, struct error *error) {
  int status = -EINTR;
  for (unsigned attempt = 0; status == -EINTR && attempt < RECORD_ATTEMPTS; attempt++) {
    if (attempt > 0) {
      nftables_pause(attempt);
    }
    struct recording recording = {.context = context};
    status = netlink_open(NETLINK_NETFILTER, &recording.netlink, error);
    if (status == 0) {
      status = record_once(record, &recording, ret_generation, error);
    }
    netlink_close(recording.netlink);
    if (status == 0) {
      *ret_answer = recording.answer;
    } else {
      netlink_answer_free(&recording.answer);
    }
  }
  if (status == -EINTR) {
    return error_set(error, EAGAIN, "the kernel's ruleset kept changing while it was read");
  }
  return status;
}
