/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the gateway keeps: connections and counters. */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnftnl/object.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

static void put_set_flush(struct mnl_nlmsg_batch *batch, const char *set) {
  struct nlmsghdr *header =
      nftnl_nlmsg_build_hdr(mnl_nlmsg_batch_current(batch), NFT_MSG_DELSETELEM, NFPROTO_INET, 0, 2);
  mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, "kido");
  mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, set);
  mnl_nlmsg_batch_next(batch);
}

/* The slots of half-open connections go with the connections. Without such a set the kernel refuses, and all is well.
 */
static int forget_openings(const char *set) {
  char buffer[1024];
  struct mnl_socket *netlink = mnl_socket_open(NETLINK_NETFILTER);
  if (netlink == NULL)
    return -errno;
  struct mnl_nlmsg_batch *batch = mnl_nlmsg_batch_start(buffer, sizeof(buffer));
  if (batch == NULL) {
    mnl_socket_close(netlink);
    return -ENOMEM;
  }
  nftnl_batch_begin(mnl_nlmsg_batch_current(batch), 1);
  mnl_nlmsg_batch_next(batch);
  put_set_flush(batch, set);
  nftnl_batch_end(mnl_nlmsg_batch_current(batch), 3);
  mnl_nlmsg_batch_next(batch);
  ssize_t sent = mnl_socket_sendto(netlink, mnl_nlmsg_batch_head(batch), mnl_nlmsg_batch_size(batch));
  mnl_nlmsg_batch_stop(batch);
  mnl_socket_close(netlink);
  return sent < 0 ? -errno : 0;
}

int lab_forget_connections(struct lab *lab) {
  (void)lab;
  struct nfct_handle *handle = nfct_open(CONNTRACK, 0);
  if (handle == NULL)
    return -errno;
  uint8_t family = AF_UNSPEC;
  int code = nfct_query(handle, NFCT_Q_FLUSH, &family) < 0 ? -errno : 0;
  nfct_close(handle);
  if (code == 0)
    code = forget_openings("half_open4");
  return code == 0 ? forget_openings("half_open6") : code;
}

long lab_count_connections(struct lab *lab) {
  (void)lab;
  char text[32] = "";
  int descriptor = open("/proc/sys/net/netfilter/nf_conntrack_count", O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return -errno;
  ssize_t length = read(descriptor, text, sizeof(text) - 1);
  close(descriptor);
  return length > 0 ? strtol(text, NULL, 10) : -EIO;
}

struct counter_dump {
  struct arena *arena;
  struct lab_counter *items;
  size_t count, capacity;
};

static int take_counter(const struct nlmsghdr *header, void *context) {
  struct counter_dump *dump = context;
  struct nftnl_obj *object = nftnl_obj_alloc();
  if (object == NULL)
    return MNL_CB_ERROR;
  if (nftnl_obj_nlmsg_parse(header, object) == 0 && nftnl_obj_is_set(object, NFTNL_OBJ_NAME) &&
      arena_grow(dump->arena, (void **)&dump->items, dump->count, &dump->capacity, sizeof(*dump->items)) == 0) {
    struct lab_counter *counter = &dump->items[dump->count++];
    counter->name = arena_strdup(dump->arena, nftnl_obj_get_str(object, NFTNL_OBJ_NAME));
    counter->packets = nftnl_obj_get_u64(object, NFTNL_OBJ_CTR_PKTS);
  }
  nftnl_obj_free(object);
  return MNL_CB_OK;
}

static int dump_counters(struct mnl_socket *netlink, struct counter_dump *dump) {
  char buffer[65536];
  struct nlmsghdr *header = nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETOBJ, NFPROTO_INET, NLM_F_DUMP | NLM_F_REQUEST, 1);
  struct nftnl_obj *filter = nftnl_obj_alloc();
  if (filter == NULL)
    return -ENOMEM;
  nftnl_obj_set_str(filter, NFTNL_OBJ_TABLE, "kido");
  nftnl_obj_set_u32(filter, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
  nftnl_obj_nlmsg_build_payload(header, filter);
  nftnl_obj_free(filter);
  if (mnl_socket_sendto(netlink, header, header->nlmsg_len) < 0)
    return -errno;
  unsigned port = mnl_socket_get_portid(netlink);
  for (;;) {
    ssize_t length = mnl_socket_recvfrom(netlink, buffer, sizeof(buffer));
    if (length < 0)
      return -errno;
    int step = mnl_cb_run(buffer, (size_t)length, 1, port, take_counter, dump);
    if (step <= 0)
      return step < 0 ? -errno : 0;
  }
}

static int compare_counters(const void *left, const void *right) {
  const struct lab_counter *a = left, *b = right;
  return strcmp(a->name, b->name);
}

int lab_read_counters(struct lab *lab, struct arena *arena, struct lab_counters *ret_counters) {
  (void)lab;
  struct mnl_socket *netlink = mnl_socket_open(NETLINK_NETFILTER);
  if (netlink == NULL)
    return -errno;
  struct counter_dump dump = {.arena = arena};
  int code = mnl_socket_bind(netlink, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : dump_counters(netlink, &dump);
  mnl_socket_close(netlink);
  if (code < 0)
    return code;
  if (dump.count > 0)
    qsort(dump.items, dump.count, sizeof(*dump.items), compare_counters);
  *ret_counters = (struct lab_counters){dump.items, dump.count};
  return 0;
}

uint64_t lab_counter_value(const struct lab_counters *counters, const char *name) {
  struct lab_counter key = {.name = name};
  if (counters->count == 0)
    return 0;
  const struct lab_counter *found = bsearch(&key, counters->items, counters->count, sizeof(key), compare_counters);
  return found != NULL ? found->packets : 0;
}
