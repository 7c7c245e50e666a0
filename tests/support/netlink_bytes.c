/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "netlink_bytes.h"

#include <arpa/inet.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

static void add(struct netlink_bytes *bytes, const void *data, size_t length) {
  size_t padded = (length + 3) / 4 * 4;
  if (bytes->length + padded > NETLINK_BYTES_ROOM) {
    abort();
  }
  memset(bytes->data + bytes->length, 0, padded);
  if (length > 0) {
    memcpy(bytes->data + bytes->length, data, length);
  }
  bytes->length += padded;
}

void bytes_end(struct netlink_bytes *bytes) {
  if (bytes->length > bytes->message) {
    uint32_t length = (uint32_t)(bytes->length - bytes->message);
    memcpy(bytes->data + bytes->message, &length, sizeof(length));
  }
  bytes->message = bytes->length;
}

void bytes_message(struct netlink_bytes *bytes, unsigned type, unsigned family) {
  struct nlmsghdr header = {.nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), .nlmsg_flags = NLM_F_MULTI};
  struct nfgenmsg generic = {.nfgen_family = (uint8_t)family, .res_id = htons(bytes->generation)};
  bytes_end(bytes);
  add(bytes, &header, sizeof(header));
  add(bytes, &generic, sizeof(generic));
}

void bytes_done(struct netlink_bytes *bytes, int code) {
  struct nlmsghdr header = {.nlmsg_type = NLMSG_DONE, .nlmsg_flags = NLM_F_MULTI};
  bytes_end(bytes);
  add(bytes, &header, sizeof(header));
  add(bytes, &code, sizeof(code));
  bytes_end(bytes);
}

void bytes_put(struct netlink_bytes *bytes, unsigned type, const void *data, size_t length) {
  struct nlattr header = {.nla_len = (uint16_t)(sizeof(header) + length), .nla_type = (uint16_t)type};
  add(bytes, &header, sizeof(header));
  add(bytes, data, length);
}

void bytes_u8(struct netlink_bytes *bytes, unsigned type, uint8_t value) {
  bytes_put(bytes, type, &value, sizeof(value));
}

void bytes_u16(struct netlink_bytes *bytes, unsigned type, uint16_t value) {
  uint16_t number = htons(value);
  bytes_put(bytes, type, &number, sizeof(number));
}

void bytes_u32(struct netlink_bytes *bytes, unsigned type, uint32_t value) {
  uint32_t number = htonl(value);
  bytes_put(bytes, type, &number, sizeof(number));
}

void bytes_u64(struct netlink_bytes *bytes, unsigned type, uint64_t value) {
  uint64_t number = htobe64(value);
  bytes_put(bytes, type, &number, sizeof(number));
}

void bytes_text(struct netlink_bytes *bytes, unsigned type, const char *value) {
  bytes_put(bytes, type, value, strlen(value) + 1);
}

void bytes_open(struct netlink_bytes *bytes, unsigned type) {
  if (bytes->depth == NETLINK_BYTES_DEPTH) {
    abort();
  }
  bytes->nests[bytes->depth++] = bytes->length;
  bytes_put(bytes, type, NULL, 0);
}

void bytes_close(struct netlink_bytes *bytes) {
  size_t start = bytes->nests[--bytes->depth];
  uint16_t length = (uint16_t)(bytes->length - start);
  memcpy(bytes->data + start, &length, sizeof(length));
}

void bytes_value(struct netlink_bytes *bytes, unsigned type, const void *data, size_t length) {
  bytes_open(bytes, type);
  bytes_put(bytes, NFTA_DATA_VALUE, data, length);
  bytes_close(bytes);
}

void bytes_expression(struct netlink_bytes *bytes, const char *name) {
  bytes_open(bytes, NFTA_LIST_ELEM);
  bytes_text(bytes, NFTA_EXPR_NAME, name);
  bytes_open(bytes, NFTA_EXPR_DATA);
}

void bytes_close_expression(struct netlink_bytes *bytes) {
  bytes_close(bytes);
  bytes_close(bytes);
}
