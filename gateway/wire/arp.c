/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "wire/decode.h"

enum { ARP_HARDWARE_ETHERNET = 1, ARP_PROTOCOL_IPV4 = 0x0800, ARP_LENGTH = 28 };

static uint16_t load16(const uint8_t *bytes) {
  return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static struct address load_address(const uint8_t *bytes) {
  struct address address = {.family = FAMILY_IPV4};
  memcpy(address.bytes, bytes, 4);
  return address;
}

void decode_arp(struct decoding *decoding) {
  struct frame *frame = decoding->frame;
  const uint8_t *bytes = cursor_take(&decoding->cursor, ARP_LENGTH);
  if (bytes == NULL) {
    decoding_ended(decoding);
    return;
  }
  if (load16(bytes) != ARP_HARDWARE_ETHERNET || load16(bytes + 2) != ARP_PROTOCOL_IPV4 || bytes[4] != 6 ||
      bytes[5] != 4) {
    frame->content = CONTENT_OTHER;
    return;
  }
  frame->content = CONTENT_ARP;
  frame->arp.operation = load16(bytes + 6);
  memcpy(frame->arp.sender_mac.bytes, bytes + 8, 6);
  frame->arp.sender = load_address(bytes + 14);
  memcpy(frame->arp.target_mac.bytes, bytes + 18, 6);
  frame->arp.target = load_address(bytes + 24);
}
