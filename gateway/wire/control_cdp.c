/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cisco's discovery protocol: which system stands at the other end of the cable. */
#include <string.h>

#include "wire/control_parts.h"

enum {
  TLV_DEVICE = 1,
  TLV_ADDRESSES = 2,
  TLV_CAPABILITIES = 4,
  TLV_MANAGEMENT = 0x16,
  TLV_HEADER = 4,
  FORWARDS = 0x01 | 0x02 | 0x04 | 0x08, /* router, two kinds of bridge, switch */
};

static void note_addresses(struct control_facts *facts, struct cursor *value) {
  uint32_t count = cursor_be32(value);
  for (uint32_t i = 0; i < count && cursor_left(value) > 0; i++) {
    cursor_skip(value, 1); /* kind of protocol number */
    cursor_skip(value, cursor_u8(value));
    uint16_t length = cursor_be16(value);
    struct cursor bytes = cursor_sub(value, length);
    if (length != 4 && length != 16)
      continue;
    struct address address = length == 4 ? control_take_ipv4(&bytes) : control_take_ipv6(&bytes);
    control_note_address(facts, &address);
  }
}

static void note(struct control_facts *facts, uint16_t type, struct cursor value) {
  size_t length = cursor_left(&value);
  if (type == TLV_DEVICE)
    control_note_name(facts, cursor_take(&value, length), length);
  else if (type == TLV_ADDRESSES || type == TLV_MANAGEMENT)
    note_addresses(facts, &value);
  else if (type == TLV_CAPABILITIES && length >= 4) {
    facts->has_capabilities = true;
    facts->forwards = (cursor_be32(&value) & FORWARDS) != 0;
  }
}

void control_read_cdp(struct cursor *cursor, struct control_facts *facts) {
  cursor_skip(cursor, 4); /* version, time to live, checksum */
  while (cursor_left(cursor) > 0) {
    uint16_t type = cursor_be16(cursor), length = cursor_be16(cursor);
    struct cursor value = cursor_sub(cursor, length >= TLV_HEADER ? length - TLV_HEADER : 0);
    if (value.failed || length < TLV_HEADER)
      return;
    note(facts, type, value);
  }
}
