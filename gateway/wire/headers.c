/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cursor stands behind what is known to be a header; `taken` is how far that was, and what cannot be read to its
 * end is not taken. Nothing here judges: a header that lies about its length costs bytes of evidence, never more than
 * there are.
 */
#include "wire/headers.h"

#include <netinet/in.h>
#include <pcap/dlt.h>

#include "base/cursor.h"

enum {
  TYPE_IPV4 = 0x0800,
  TYPE_ARP = 0x0806,
  TYPE_VLAN = 0x8100,
  TYPE_IPV6 = 0x86dd,
  TYPE_QINQ = 0x88a8,
  TYPE_LLDP = 0x88cc,
  LARGEST_LENGTH = 1500,
  LLC_STP = 0x42,
  PROTOCOL_IPV4 = 4,
  PROTOCOL_IPV6 = 41,
  DEPTH = 4,
  EXTENSIONS = 8,
};

struct headers {
  struct cursor cursor;
  size_t taken;
  unsigned depth;
};

static bool take(struct headers *headers, size_t size) {
  cursor_skip(&headers->cursor, size);
  if (headers->cursor.failed)
    return false;
  headers->taken = headers->cursor.position;
  return true;
}

static void take_all(struct headers *headers) {
  headers->taken = headers->cursor.length;
}

static uint8_t look_u8(const struct headers *headers, size_t offset) {
  struct cursor copy = headers->cursor;
  cursor_skip(&copy, offset);
  return cursor_u8(&copy);
}

static uint16_t look_be16(const struct headers *headers, size_t offset) {
  struct cursor copy = headers->cursor;
  cursor_skip(&copy, offset);
  return cursor_be16(&copy);
}

static void take_ip(struct headers *headers);
static void take_type(struct headers *headers, uint16_t type);

/* ---- behind IP ---- */

static void take_tcp(struct headers *headers) {
  size_t size = (size_t)(look_u8(headers, 12) >> 4) * 4;
  take(headers, size >= 20 ? size : 20);
}

/* An error quotes the packet that it is about. */
static void take_icmp(struct headers *headers, bool error) {
  if (take(headers, 8) && error)
    take_ip(headers);
}

static bool is_icmp_error(uint8_t type) {
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static void take_gre(struct headers *headers) {
  uint8_t flags = look_u8(headers, 0);
  uint16_t type = look_be16(headers, 2);
  size_t words = 1U + (flags >> 7 & 1U) + (flags >> 5 & 1U) + (flags >> 4 & 1U); /* checksum, key, sequence */
  if (take(headers, 4 * words) && (type == TYPE_IPV4 || type == TYPE_IPV6))
    take_ip(headers);
}

static void take_transport(struct headers *headers, uint8_t protocol) {
  uint8_t type = look_u8(headers, 0);
  switch (protocol) {
  case IPPROTO_TCP:
    take_tcp(headers);
    break;
  case IPPROTO_UDP:
    take(headers, 8);
    break;
  case IPPROTO_ICMP:
    take_icmp(headers, is_icmp_error(type));
    break;
  case IPPROTO_ICMPV6:
    if (type >= 133 && type <= 137) /* neighbours and routers: headers all of it */
      take_all(headers);
    else
      take_icmp(headers, type < 128);
    break;
  case IPPROTO_GRE:
    take_gre(headers);
    break;
  case PROTOCOL_IPV4:
  case PROTOCOL_IPV6:
    take_ip(headers);
    break;
  default:
    break;
  }
}

/* ---- IP ---- */

/* Padding and trailers are no headers. */
static void end_at(struct headers *headers, size_t start, size_t length) {
  if (length < headers->cursor.length - start)
    headers->cursor.length = start + length;
}

static void take_ipv4(struct headers *headers) {
  size_t start = headers->cursor.position, size = (size_t)(look_u8(headers, 0) & 15) * 4;
  size_t length = look_be16(headers, 2);
  bool later = (look_be16(headers, 6) & 0x1fff) != 0;
  uint8_t protocol = look_u8(headers, 9);
  if (!take(headers, size >= 20 ? size : 20))
    return;
  if (length >= size)
    end_at(headers, start, length);
  if (!later)
    take_transport(headers, protocol);
}

/* The size of an extension header; 0: it is none. */
static size_t extension_size(const struct headers *headers, uint8_t next) {
  switch (next) {
  case IPPROTO_HOPOPTS:
  case IPPROTO_ROUTING:
  case IPPROTO_DSTOPTS:
    return 8 + 8 * (size_t)look_u8(headers, 1);
  case IPPROTO_FRAGMENT:
    return 8;
  case IPPROTO_AH:
    return 8 + 4 * (size_t)look_u8(headers, 1);
  default:
    return 0;
  }
}

static void take_ipv6(struct headers *headers) {
  size_t start = headers->cursor.position, length = 40 + (size_t)look_be16(headers, 4);
  uint8_t next = look_u8(headers, 6);
  bool later = false;
  if (!take(headers, 40))
    return;
  end_at(headers, start, length);
  for (unsigned i = 0; i < EXTENSIONS; i++) {
    size_t size = extension_size(headers, next);
    if (size == 0)
      break;
    later = later || (next == IPPROTO_FRAGMENT && (look_be16(headers, 2) & 0xfff8) != 0);
    next = look_u8(headers, 0);
    if (!take(headers, size))
      return;
  }
  if (!later)
    take_transport(headers, next);
}

static void take_ip(struct headers *headers) {
  if (headers->depth++ >= DEPTH)
    return;
  uint8_t version = look_u8(headers, 0) >> 4;
  if (version == 4)
    take_ipv4(headers);
  else if (version == 6)
    take_ipv6(headers);
}

/* ---- the link ---- */

/* Only spanning tree is known to carry nothing but itself. */
static void take_llc(struct headers *headers, size_t length) {
  end_at(headers, headers->cursor.position, length);
  if (look_u8(headers, 0) == LLC_STP)
    take_all(headers);
  else
    take(headers, 3);
}

static void take_type(struct headers *headers, uint16_t type) {
  for (unsigned tags = 0; tags < 4 && (type == TYPE_VLAN || type == TYPE_QINQ); tags++) {
    type = look_be16(headers, 2);
    if (!take(headers, 4))
      return;
  }
  if (type == TYPE_IPV4 || type == TYPE_IPV6)
    take_ip(headers);
  else if (type == TYPE_ARP)
    take(headers, 28);
  else if (type == TYPE_LLDP)
    take_all(headers);
  else if (type <= LARGEST_LENGTH)
    take_llc(headers, type);
}

static void take_link(struct headers *headers, int link_type) {
  uint16_t type;
  switch (link_type) {
  case DLT_EN10MB:
    type = look_be16(headers, 12);
    if (take(headers, 14))
      take_type(headers, type);
    break;
  case DLT_LINUX_SLL:
    type = look_be16(headers, 14);
    if (take(headers, 16))
      take_type(headers, type);
    break;
  case DLT_LINUX_SLL2:
    type = look_be16(headers, 0);
    if (take(headers, 20))
      take_type(headers, type);
    break;
  case DLT_RAW:
  case DLT_IPV4:
  case DLT_IPV6:
    take_ip(headers);
    break;
  default:
    break;
  }
}

uint32_t frame_headers_size(const struct captured_frame *captured) {
  struct headers headers = {.taken = 0};
  cursor_init(&headers.cursor, captured->data,
              captured->captured < FRAME_HEADERS_MOST ? captured->captured : FRAME_HEADERS_MOST);
  take_link(&headers, captured->link_type);
  return (uint32_t)headers.taken;
}
