/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_NFTABLES_ATTRIBUTES_H
#define KIDO_KERNEL_NFTABLES_ATTRIBUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/netlink.h>

#include "base/arena.h"

enum { ATTRIBUTE_TYPE_COUNT = 32 };

/*
 * The netlink attributes of one message or nest, by type. Reading is lenient and remembers: whatever is missing, of the
 * wrong size or not known sets a flag, and the reader decides once at the end. A value points into the message.
 */
struct attributes {
  const struct nlattr *items[ATTRIBUTE_TYPE_COUNT];
  bool foreign;   /* a type that the reader does not know, or one twice */
  bool malformed; /* lengths that do not add up, or a value of the wrong size */
};

#define ATTRIBUTE(type) (UINT32_C(1) << (type))

/* Length with the padding that netlink puts behind messages and attributes. */
size_t netlink_align(size_t length);

/* The attributes inside a nest one after another, for lists. */
struct attribute_walk {
  const char *data; /* aligned as messages are */
  size_t length;
  size_t position;
  bool malformed; /* it ended early, at a length that does not fit */
};

void attribute_walk_start(struct attribute_walk *walk, const struct nlattr *nest);
const struct nlattr *attribute_walk_next(struct attribute_walk *walk); /* NULL at the end */

/* known: the types that are understood, as bits. */
void attributes_split_nested(const struct nlattr *nest, uint32_t known, struct attributes *ret_attributes);
void attributes_split_message(const struct nlmsghdr *message, size_t header_size, uint32_t known,
                              struct attributes *ret_attributes);

bool attributes_have(const struct attributes *attributes, unsigned type);
/* Numbers are in network byte order. fallback: when there is none. */
uint8_t attributes_u8(struct attributes *attributes, unsigned type, uint8_t fallback);
uint16_t attributes_u16(struct attributes *attributes, unsigned type, uint16_t fallback);
uint32_t attributes_u32(struct attributes *attributes, unsigned type, uint32_t fallback);
uint64_t attributes_u64(struct attributes *attributes, unsigned type, uint64_t fallback);
/* NULL when there is none or it is not terminated. */
const char *attributes_string(struct attributes *attributes, unsigned type);
bool attributes_bytes(const struct attributes *attributes, unsigned type, const void **ret_data, size_t *ret_length);

/* The text of a tag in nft's user data (tag, length, value…); NULL when there is none. A copy in the arena. */
const char *user_data_text(const struct attributes *attributes, unsigned type, uint8_t tag, struct arena *arena);

#endif
