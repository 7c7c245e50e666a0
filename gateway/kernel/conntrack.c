/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nf_conntrack_common.h>

#include "rules/compile.h"

/* ---- reading ---- */

/* Where each part of a direction stands among the library's attributes. */
struct direction_attributes {
  enum nf_conntrack_attr source4, destination4, source6, destination6, source_port, destination_port, packets, bytes;
};

static const struct direction_attributes directions[2] = {
    {ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_SRC, ATTR_ORIG_IPV6_DST, ATTR_ORIG_PORT_SRC,
     ATTR_ORIG_PORT_DST, ATTR_ORIG_COUNTER_PACKETS, ATTR_ORIG_COUNTER_BYTES},
    {ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_SRC, ATTR_REPL_IPV6_DST, ATTR_REPL_PORT_SRC,
     ATTR_REPL_PORT_DST, ATTR_REPL_COUNTER_PACKETS, ATTR_REPL_COUNTER_BYTES},
};

struct address_attributes {
  enum nf_conntrack_attr ipv4, ipv6;
};

static struct address address_of(const struct nf_conntrack *entry, struct address_attributes attributes) {
  struct address address = {0};
  const void *bytes = nfct_get_attr(entry, attributes.ipv4);
  address.family = FAMILY_IPV4;
  if (bytes == NULL) {
    bytes = nfct_get_attr(entry, attributes.ipv6);
    address.family = FAMILY_IPV6;
  }
  if (bytes == NULL) {
    return (struct address){0};
  }
  memcpy(address.bytes, bytes, address_length(address.family));
  return address;
}

/* Getters of the library return 0 for what is not there. */
static struct connection_tuple tuple_of(const struct nf_conntrack *entry, const struct direction_attributes *from) {
  return (struct connection_tuple){
      .source = address_of(entry, (struct address_attributes){from->source4, from->source6}),
      .destination = address_of(entry, (struct address_attributes){from->destination4, from->destination6}),
      .source_port = ntohs(nfct_get_attr_u16(entry, from->source_port)),
      .destination_port = ntohs(nfct_get_attr_u16(entry, from->destination_port)),
  };
}

static void read_icmp(const struct nf_conntrack *entry, struct connection *connection) {
  if (nfct_attr_is_set(entry, ATTR_ICMP_TYPE) <= 0) {
    return;
  }
  connection->original.icmp_type = nfct_get_attr_u8(entry, ATTR_ICMP_TYPE);
  connection->original.icmp_code = nfct_get_attr_u8(entry, ATTR_ICMP_CODE);
  connection->original.source_port = ntohs(nfct_get_attr_u16(entry, ATTR_ICMP_ID));
}

uint32_t connection_flow_mark(uint32_t mark) {
  return mark == REFUSAL_MARK ? 0 : mark & FLOW_MARK_MASK;
}

static uint32_t mark_of(const struct nf_conntrack *entry) {
  return connection_flow_mark(nfct_get_attr_u32(entry, ATTR_MARK));
}

static void read_entry(const struct nf_conntrack *entry, struct connection *connection) {
  uint32_t status = nfct_get_attr_u32(entry, ATTR_STATUS);
  *connection = (struct connection){
      .protocol = nfct_get_attr_u8(entry, ATTR_L4PROTO),
      .original = tuple_of(entry, &directions[0]),
      .reply = tuple_of(entry, &directions[1]),
      .mark = mark_of(entry),
      .id = nfct_get_attr_u32(entry, ATTR_ID),
      .timeout = nfct_get_attr_u32(entry, ATTR_TIMEOUT),
      .answered = (status & IPS_SEEN_REPLY) != 0,
      .assured = (status & IPS_ASSURED) != 0,
      .tcp_state = nfct_get_attr_u8(entry, ATTR_TCP_STATE),
      .started = nfct_get_attr_u64(entry, ATTR_TIMESTAMP_START),
  };
  for (size_t i = 0; i < 2; i++) {
    connection->packets[i] = nfct_get_attr_u64(entry, directions[i].packets);
    connection->bytes[i] = nfct_get_attr_u64(entry, directions[i].bytes);
  }
  read_icmp(entry, connection);
}

/* What the library's callback carries: for each entry, one call. */
struct dump {
  struct arena *arena;
  struct connection_list list;
  size_t capacity;
  bool out_of_memory;
};

static int take_entry(enum nf_conntrack_msg_type type, struct nf_conntrack *entry, void *context) {
  (void)type;
  struct dump *dump = context;
  if (arena_grow(dump->arena, (void **)&dump->list.items, dump->list.count, &dump->capacity,
                 sizeof(*dump->list.items)) < 0) {
    dump->out_of_memory = true;
    return NFCT_CB_STOP;
  }
  read_entry(entry, &dump->list.items[dump->list.count++]);
  return NFCT_CB_CONTINUE;
}

typedef int (*entry_callback)(enum nf_conntrack_msg_type type, struct nf_conntrack *entry, void *context);

static int query_all(entry_callback callback, void *context, struct error *error) {
  struct nfct_handle *handle = nfct_open(CONNTRACK, 0);
  if (handle == NULL) {
    int code = errno;
    return error_set(error, code, "cannot read the live connections: %s", strerror(code));
  }
  uint32_t family = AF_UNSPEC;
  int status = nfct_callback_register(handle, NFCT_T_ALL, callback, context);
  if (status == 0) {
    status = nfct_query(handle, NFCT_Q_DUMP, &family);
  }
  int code = errno;
  nfct_close(handle);
  return status < 0 ? error_set(error, code, "cannot read the live connections: %s", strerror(code)) : 0;
}

int conntrack_read(struct arena *arena, struct connection_list *ret_list, struct error *error) {
  struct dump dump = {.arena = arena};
  int status = query_all(take_entry, &dump, error);
  if (dump.out_of_memory) {
    return error_set(error, ENOMEM, "no memory for %zu live connections", dump.list.count);
  }
  if (status == 0) {
    *ret_list = dump.list;
  }
  return status;
}

/* ---- ending ---- */

static void write_entry(struct nf_conntrack *entry, const struct connection *connection) {
  const struct connection_tuple *tuple = &connection->original;
  bool version4 = tuple->source.family == FAMILY_IPV4;
  nfct_set_attr_u8(entry, ATTR_ORIG_L3PROTO, version4 ? AF_INET : AF_INET6);
  nfct_set_attr(entry, version4 ? ATTR_ORIG_IPV4_SRC : ATTR_ORIG_IPV6_SRC, tuple->source.bytes);
  nfct_set_attr(entry, version4 ? ATTR_ORIG_IPV4_DST : ATTR_ORIG_IPV6_DST, tuple->destination.bytes);
  nfct_set_attr_u8(entry, ATTR_ORIG_L4PROTO, connection->protocol);
  if (connection->protocol == IPPROTO_ICMP || connection->protocol == IPPROTO_ICMPV6) {
    nfct_set_attr_u8(entry, ATTR_ICMP_TYPE, tuple->icmp_type);
    nfct_set_attr_u8(entry, ATTR_ICMP_CODE, tuple->icmp_code);
    nfct_set_attr_u16(entry, ATTR_ICMP_ID, htons(tuple->source_port));
  } else {
    nfct_set_attr_u16(entry, ATTR_ORIG_PORT_SRC, htons(tuple->source_port));
    nfct_set_attr_u16(entry, ATTR_ORIG_PORT_DST, htons(tuple->destination_port));
  }
  nfct_set_attr_u32(entry, ATTR_ID, connection->id); /* and none that has taken its place */
}

int conntrack_end(const struct connection *connection, struct error *error) {
  struct nfct_handle *handle = nfct_open(CONNTRACK, 0);
  struct nf_conntrack *entry = nfct_new();
  int status = -1, code = errno;
  if (handle != NULL && entry != NULL) {
    write_entry(entry, connection);
    status = nfct_query(handle, NFCT_Q_DESTROY, entry);
    code = errno;
  }
  if (entry != NULL) {
    nfct_destroy(entry);
  }
  if (handle != NULL) {
    nfct_close(handle);
  }
  return status < 0 ? error_set(error, code, "cannot end a live connection: %s", strerror(code)) : 0;
}

/* ---- counting ---- */

struct mark_count {
  uint32_t mark;
  uint64_t count;
};

struct connection_counts {
  struct mark_count *items; /* by mark */
  size_t count;
};

static int compare_marks(const void *left, const void *right) {
  uint32_t first = *(const uint32_t *)left;
  uint32_t second = *(const uint32_t *)right;
  return first < second ? -1 : first > second;
}

static int counts_of_marks(struct arena *arena, uint32_t *marks, size_t count,
                           const struct connection_counts **ret_counts) {
  struct connection_counts *counts = ARENA_NEW(arena, struct connection_counts);
  struct mark_count *items = ARENA_ARRAY(arena, count + 1, struct mark_count);
  if (counts == NULL || items == NULL) {
    return -ENOMEM;
  }
  counts->items = items;
  if (count > 0) {
    qsort(marks, count, sizeof(*marks), compare_marks);
  }
  for (size_t i = 0; i < count; i++) {
    if (i == 0 || marks[i] != marks[i - 1]) {
      items[counts->count++] = (struct mark_count){.mark = marks[i]};
    }
    items[counts->count - 1].count++;
  }
  *ret_counts = counts;
  return 0;
}

int connection_counts_build(struct arena *arena, const struct connection_list *list,
                            const struct connection_counts **ret_counts) {
  uint32_t *marks = ARENA_ARRAY(arena, list->count + 1, uint32_t);
  if (marks == NULL) {
    return -ENOMEM;
  }
  for (size_t i = 0; i < list->count; i++) {
    marks[i] = list->items[i].mark;
  }
  return counts_of_marks(arena, marks, list->count, ret_counts);
}

struct mark_dump {
  struct arena *arena;
  uint32_t *marks;
  size_t count, capacity;
  bool out_of_memory;
};

static int take_mark(enum nf_conntrack_msg_type type, struct nf_conntrack *entry, void *context) {
  (void)type;
  struct mark_dump *dump = context;
  if (arena_grow(dump->arena, (void **)&dump->marks, dump->count, &dump->capacity, sizeof(*dump->marks)) < 0) {
    dump->out_of_memory = true;
    return NFCT_CB_STOP;
  }
  dump->marks[dump->count++] = mark_of(entry);
  return NFCT_CB_CONTINUE;
}

int connection_counts_read(struct arena *arena, const struct connection_counts **ret_counts, struct error *error) {
  struct mark_dump dump = {.arena = arena};
  int status = query_all(take_mark, &dump, error);
  if (status == 0 && !dump.out_of_memory) {
    status = counts_of_marks(arena, dump.marks, dump.count, ret_counts);
  }
  return dump.out_of_memory || status == -ENOMEM ? error_set(error, ENOMEM, "no memory to count live connections")
                                                 : status;
}

uint64_t connection_counts_of(const struct connection_counts *counts, uint32_t mark) {
  const struct mark_count *found =
      counts->count == 0 ? NULL : bsearch(&mark, counts->items, counts->count, sizeof(*counts->items), compare_marks);
  return found != NULL ? found->count : 0;
}
