/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LLDP: which system stands at the other end of the cable. */
#include <string.h>

#include "wire/control_parts.h"

enum {
  TLV_END = 0,
  TLV_CHASSIS = 1,
  TLV_SYSTEM_NAME = 5,
  TLV_CAPABILITIES = 7,
  TLV_MANAGEMENT = 8,
  CHASSIS_MAC = 4,
  CHASSIS_ADDRESS = 5,
  FAMILY_4 = 1,
  FAMILY_6 = 2,
  FORWARDS = 0x04 | 0x10, /* bridge, router */
};

/* A family of IANA, and an address behind it. */
static struct address take_address(struct cursor *value) {
  uint8_t family = cursor_u8(value);
  if (family == FAMILY_4)
    return control_take_ipv4(value);
  if (family == FAMILY_6)
    return control_take_ipv6(value);
  return (struct address){.family = FAMILY_NONE};
}

static void note_chassis(struct control_facts *facts, struct cursor *value) {
  uint8_t subtype = cursor_u8(value);
  if (subtype == CHASSIS_MAC && cursor_left(value) == 6) {
    facts->has_bridge = true;
    cursor_copy(value, facts->bridge.bytes, 6);
  } else if (subtype == CHASSIS_ADDRESS) {
    struct address address = take_address(value);
    control_note_address(facts, &address);
  }
}

static void note_management(struct control_facts *facts, struct cursor *value) {
  struct cursor address_bytes = cursor_sub(value, cursor_u8(value));
  struct address address = take_address(&address_bytes);
  control_note_address(facts, &address);
}

static void note(struct control_facts *facts, unsigned type, struct cursor value) {
  size_t length = cursor_left(&value);
  if (type == TLV_CHASSIS) {
    note_chassis(facts, &value);
  } else if (type == TLV_SYSTEM_NAME) {
    control_note_name(facts, cursor_take(&value, length), length);
  } else if (type == TLV_CAPABILITIES) {
    cursor_skip(&value, 2); /* what it could do; what it does follows */
    facts->has_capabilities = cursor_left(&value) >= 2;
    facts->forwards = (cursor_be16(&value) & FORWARDS) != 0;
  } else if (type == TLV_MANAGEMENT) {
    note_management(facts, &value);
  }
}

void control_read_lldp(struct cursor *cursor, struct control_facts *facts) {
  while (cursor_left(cursor) > 0) {
    uint16_t head = cursor_be16(cursor);
    struct cursor value = cursor_sub(cursor, head & 0x1ff);
    if (value.failed || head >> 9 == TLV_END)
      return;
    note(facts, head >> 9, value);
  }
}
