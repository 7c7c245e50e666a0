/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_SUPPORT_NETLINK_BYTES_H
#define KIDO_TESTS_SUPPORT_NETLINK_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* Messages of nf_tables, attribute by attribute, for tests that say what no kernel here would say. */
enum { NETLINK_BYTES_ROOM = 65536, NETLINK_BYTES_DEPTH = 16 };

struct netlink_bytes {
  _Alignas(8) uint8_t data[NETLINK_BYTES_ROOM];
  size_t length;
  uint16_t generation; /* that each message bears */
  size_t message;      /* where the open one begins */
  size_t nests[NETLINK_BYTES_DEPTH];
  unsigned depth;
};

void bytes_message(struct netlink_bytes *bytes, unsigned type, unsigned family); /* NFT_MSG_*; ends the one before */
void bytes_end(struct netlink_bytes *bytes);                                     /* ends the last message */
void bytes_done(struct netlink_bytes *bytes, int code);                          /* NLMSG_DONE */
void bytes_put(struct netlink_bytes *bytes, unsigned type, const void *data, size_t length);
void bytes_u8(struct netlink_bytes *bytes, unsigned type, uint8_t value);
void bytes_u16(struct netlink_bytes *bytes, unsigned type, uint16_t value);
void bytes_u32(struct netlink_bytes *bytes, unsigned type, uint32_t value);
void bytes_u64(struct netlink_bytes *bytes, unsigned type, uint64_t value);
void bytes_text(struct netlink_bytes *bytes, unsigned type, const char *value);
void bytes_open(struct netlink_bytes *bytes, unsigned type); /* a nest */
void bytes_close(struct netlink_bytes *bytes);
void bytes_value(struct netlink_bytes *bytes, unsigned type, const void *data,
                 size_t length); /* with NFTA_DATA_VALUE */
/* A list element with the name of an expression, and its data open; bytes_close_expression() ends both. */
void bytes_expression(struct netlink_bytes *bytes, const char *name);
void bytes_close_expression(struct netlink_bytes *bytes);

#endif
