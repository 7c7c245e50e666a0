/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/decode.h"

enum {
  SAP_SNAP = 0xaa,
  SAP_SPANNING_TREE = 0x42,
  SAP_IP = 0x06,
  SAP_NULL = 0x00,
  LLC_UNNUMBERED = 0x03,
  OUI_CISCO = 0x00000c,
  OUI_BRIDGED = 0x0080c2,
};

/* RFC 2684: Ethernet with its checksum kept (1) or left out (7). */
static void carry_bridged(struct decoding *decoding, uint16_t type) {
  decoding->frame->content = CONTENT_OTHER;
  if (type == 1 || type == 7)
    decoding_carries(decoding, ENCAPSULATION_BRIDGED, INNER_ETHERNET, 0);
}

static void decode_snap(struct decoding *decoding) {
  const uint8_t *bytes = cursor_take(&decoding->cursor, 5);
  if (bytes == NULL) {
    decoding_ended(decoding);
    return;
  }
  uint32_t organisation = (uint32_t)(bytes[0] << 16 | bytes[1] << 8 | bytes[2]);
  uint16_t type = (uint16_t)(bytes[3] << 8 | bytes[4]);
  if (organisation == OUI_CISCO) { /* CDP, VTP, DTP, UDLD, spanning tree per VLAN */
    decoding->frame->content = CONTENT_CONTROL;
    decoding->frame->stp = type == 0x010b;
  } else if (organisation == OUI_BRIDGED) {
    carry_bridged(decoding, type);
  } else if (type >= 0x600) {
    decode_ethertype(decoding, type);
  } else {
    decoding->frame->content = CONTENT_OTHER;
  }
}

void decode_llc(struct decoding *decoding) {
  struct frame *frame = decoding->frame;
  const uint8_t *bytes = cursor_take(&decoding->cursor, 3);
  if (bytes == NULL) {
    decoding_ended(decoding);
    return;
  }
  frame->llc = true;
  frame->ethertype = (uint16_t)(bytes[0] << 8 | bytes[1]);
  frame->stp = bytes[0] == SAP_SPANNING_TREE;
  if (bytes[0] == SAP_SNAP && bytes[1] == SAP_SNAP && bytes[2] == LLC_UNNUMBERED)
    decode_snap(decoding);
  else if (frame->stp || bytes[0] == SAP_NULL) /* the null SAP: stations that test a link */
    frame->content = CONTENT_CONTROL;
  else
    frame->content = CONTENT_OTHER;
  if (bytes[0] == SAP_IP && bytes[1] == SAP_IP)
    decoding_carries_ip(decoding, ENCAPSULATION_LLC_IP);
}
