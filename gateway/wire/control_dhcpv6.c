/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DHCP for IPv6. What a relay sends on holds the message of the client or server; only who relays is told of it. */
#include <string.h>

#include "wire/control_parts.h"

enum {
  MESSAGE_ADVERTISE = 2,
  MESSAGE_REPLY = 7,
  MESSAGE_RECONFIGURE = 10,
  MESSAGE_RELAY_FORWARD = 12,
  MESSAGE_RELAY_REPLY = 13,
  OPTION_CLIENT = 1,
  OPTION_FQDN = 39,
};

static bool is_of_server(uint8_t message) {
  return message == MESSAGE_ADVERTISE || message == MESSAGE_REPLY || message == MESSAGE_RECONFIGURE ||
         message == MESSAGE_RELAY_REPLY;
}

static void note_option(struct control_facts *facts, uint16_t option, struct cursor value) {
  size_t length = cursor_left(&value);
  if (option == OPTION_CLIENT && length <= CONTROL_IDENTITY_SIZE) {
    facts->identity_length = (uint8_t)length;
    cursor_copy(&value, facts->identity, length);
  } else if (option == OPTION_FQDN && length > 2) {
    const uint8_t *bytes = cursor_take(&value, length); /* flags, then labels as in DNS */
    control_note_name(facts, bytes + 2, bytes[1] < length - 2 ? bytes[1] : length - 2);
  }
}

void control_read_dhcpv6(struct cursor *cursor, struct control_facts *facts) {
  facts->message = cursor_u8(cursor);
  facts->speaks_for_many = is_of_server(facts->message);
  if (facts->message >= MESSAGE_RELAY_FORWARD)
    return;
  cursor_skip(cursor, 3); /* transaction */
  while (cursor_left(cursor) > 0) {
    uint16_t option = cursor_be16(cursor), length = cursor_be16(cursor);
    struct cursor value = cursor_sub(cursor, length);
    if (!value.failed)
      note_option(facts, option, value);
  }
}
