/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DHCP for IPv4: a BOOTP message with options behind it. */
#include <string.h>

#include "wire/control_parts.h"

enum {
  BOOT_REPLY = 2,
  MAGIC = 0x63825363,
  HARDWARE_ETHERNET = 1,
  OPTION_PAD = 0,
  OPTION_ROUTER = 3,
  OPTION_HOST_NAME = 12,
  OPTION_REQUESTED = 50,
  OPTION_TYPE = 53,
  OPTION_SERVER = 54,
  OPTION_CLIENT = 61,
  OPTION_FQDN = 81,
  OPTION_END = 255,
  FQDN_HEADER = 3,
  CLIENT_IS_DUID = 255, /* then 4 bytes for the interface, and the DUID of the machine */
  CLIENT_HEADER = 5,
};

static void note_fqdn(struct control_facts *facts, const uint8_t *bytes, size_t length) {
  bool labels = length > FQDN_HEADER && (bytes[0] & 4) != 0; /* as in DNS: the first label is the name */
  size_t skip = FQDN_HEADER + (labels ? 1 : 0);
  if (length <= skip || facts->name[0] != '\0')
    return;
  size_t left = length - skip;
  control_note_name(facts, bytes + skip, labels && bytes[FQDN_HEADER] < left ? bytes[FQDN_HEADER] : left);
}

static void note_identity(struct control_facts *facts, const uint8_t *bytes, size_t length) {
  if (length <= CLIENT_HEADER || bytes[0] != CLIENT_IS_DUID || length - CLIENT_HEADER > CONTROL_IDENTITY_SIZE)
    return;
  facts->identity_length = (uint8_t)(length - CLIENT_HEADER);
  memcpy(facts->identity, bytes + CLIENT_HEADER, facts->identity_length);
}

static void note_option(struct control_facts *facts, uint8_t option, struct cursor value) {
  size_t length = cursor_left(&value);
  if (option == OPTION_TYPE)
    facts->message = cursor_u8(&value);
  else if (option == OPTION_REQUESTED)
    facts->requested = control_take_ipv4(&value);
  else if (option == OPTION_SERVER)
    facts->server = control_take_ipv4(&value);
  else if (option == OPTION_ROUTER)
    facts->router = control_take_ipv4(&value);
  else if (option == OPTION_HOST_NAME)
    control_note_name(facts, cursor_take(&value, length), length);
  else if (option == OPTION_FQDN)
    note_fqdn(facts, cursor_take(&value, length), length);
  else if (option == OPTION_CLIENT)
    note_identity(facts, cursor_take(&value, length), length);
}

static void read_options(struct cursor *cursor, struct control_facts *facts) {
  while (cursor_left(cursor) > 0) {
    uint8_t option = cursor_u8(cursor);
    if (option == OPTION_PAD)
      continue;
    if (option == OPTION_END)
      return;
    uint8_t length = cursor_u8(cursor);
    struct cursor value = cursor_sub(cursor, length);
    if (!value.failed && length > 0)
      note_option(facts, option, value);
  }
}

void control_read_dhcp(struct cursor *cursor, struct control_facts *facts) {
  uint8_t operation = cursor_u8(cursor), hardware = cursor_u8(cursor), length = cursor_u8(cursor);
  cursor_skip(cursor, 13); /* hops, transaction, seconds, flags, the client's own address */
  struct address offered = control_take_ipv4(cursor);
  cursor_skip(cursor, 8); /* next server, relay */
  const uint8_t *client = cursor_take(cursor, 16);
  if (client == NULL) {
    facts->kind = CONTROL_NONE; /* some other protocol on this port, or nothing that can be read */
    return;
  }
  facts->speaks_for_many = operation == BOOT_REPLY;
  if (facts->speaks_for_many)
    facts->offered = offered;
  facts->has_client = hardware == HARDWARE_ETHERNET && length == 6;
  if (facts->has_client)
    memcpy(facts->client.bytes, client, 6);
  cursor_skip(cursor, 192); /* names of server and boot file */
  if (cursor_be32(cursor) == MAGIC)
    read_options(cursor, facts);
}
