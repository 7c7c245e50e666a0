/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Spanning tree: the root and the bridge that speaks. */
#include <string.h>

#include "wire/control_parts.h"

enum { TYPE_CHANGE = 0x80, PRIORITY = 2 };

static void take_mac(struct cursor *cursor, bool *ret_has, struct mac *ret_mac) {
  cursor_skip(cursor, PRIORITY);
  const uint8_t *bytes = cursor_take(cursor, 6);
  if (bytes == NULL)
    return;
  *ret_has = true;
  memcpy(ret_mac->bytes, bytes, 6);
}

void control_read_stp(struct cursor *cursor, struct control_facts *facts) {
  cursor_skip(cursor, 3); /* protocol, version */
  facts->message = cursor_u8(cursor);
  if (cursor->failed || facts->message == TYPE_CHANGE)
    return;               /* a change of topology names nobody */
  cursor_skip(cursor, 1); /* flags */
  take_mac(cursor, &facts->has_root, &facts->root);
  cursor_skip(cursor, 4); /* cost */
  take_mac(cursor, &facts->has_bridge, &facts->bridge);
  facts->port = cursor_be16(cursor);
}
