/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_CONNTRACK_H
#define KIDO_KERNEL_CONNTRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/error.h"

/* One direction of a connection, as its first packet (or the first answer) has it. */
struct connection_tuple {
  struct address source;
  struct address destination;
  uint16_t source_port; /* host order; ICMP: the echo's identifier */
  uint16_t destination_port;
  uint8_t icmp_type;
  uint8_t icmp_code;
};

struct connection {
  uint8_t protocol;
  struct connection_tuple original;
  struct connection_tuple reply;
  uint32_t mark;    /* of its flow; 0: of none */
  uint32_t id;      /* of the kernel, for as long as the connection lives */
  uint32_t timeout; /* seconds until it is forgotten */
  bool answered;    /* a packet of the other side was seen */
  bool assured;
  uint8_t tcp_state;   /* TCP_CONNTRACK_*; 0 for other protocols */
  uint64_t packets[2]; /* original, reply; 0 where the kernel does not count (nf_conntrack_acct) */
  uint64_t bytes[2];
  uint64_t started; /* nanoseconds since 1970; 0 where the kernel does not note it (nf_conntrack_timestamp) */
};

struct connection_list {
  struct connection *items;
  size_t count;
};

/* What of a connection's mark is its flow's; 0 when the gateway is refusing it. */
uint32_t connection_flow_mark(uint32_t mark);

/* All connections that the kernel tracks now, in its order. */
int conntrack_read(struct arena *arena, struct connection_list *ret_list, struct error *error);

/* Ends one: its next packet is judged as an opener. -ENOENT: it has ended by itself. */
int conntrack_end(const struct connection *connection, struct error *error);

/* Live connections by mark. */
struct connection_counts;

int connection_counts_read(struct arena *arena, const struct connection_counts **ret_counts, struct error *error);
/* 0 for a mark that no connection carries. */
uint64_t connection_counts_of(const struct connection_counts *counts, uint32_t mark);
/* Of a list that was read already. Returns 0 or -ENOMEM. */
int connection_counts_build(struct arena *arena, const struct connection_list *list,
                            const struct connection_counts **ret_counts);

#endif
