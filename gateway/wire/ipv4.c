/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "wire/decode.h"

enum { IPV4_HEADER = 20, IPV4_MORE_FRAGMENTS = 0x2000, IPV4_OFFSET = 0x1fff, IP_LARGEST = 65535 };

static uint16_t load16(const uint8_t *bytes) {
  return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void note_addresses(struct packet *packet, const uint8_t *header) {
  packet->source.family = packet->destination.family = FAMILY_IPV4;
  memcpy(packet->source.bytes, header + 12, 4);
  memcpy(packet->destination.bytes, header + 16, 4);
  packet->protocol = header[9];
}

static void note_fragment(struct decoding *decoding, const uint8_t *header, uint32_t payload) {
  struct frame *frame = decoding->frame;
  uint16_t word = load16(header + 6);
  bool more = (word & IPV4_MORE_FRAGMENTS) != 0;
  uint32_t offset = (uint32_t)(word & IPV4_OFFSET) * 8;
  if (decoding->quoted || (!more && offset == 0))
    return;
  frame->fragment = true;
  frame->first_fragment = offset == 0;
  frame->last_fragment = !more;
  frame->fragment_offset = (uint16_t)offset;
  frame->fragment_length = (uint16_t)payload;
  decoding->packet->traits |= TRAIT_FRAGMENT;
  if (offset + payload > IP_LARGEST || (more && payload % 8 != 0))
    decoding_fault(decoding, FAULT_FRAGMENT_LENGTH);
}

static void note_frame(struct frame *frame, const uint8_t *header) {
  frame->content = CONTENT_IP;
  frame->hop_limit = header[8];
  frame->identification = load16(header + 4);
}

/* Narrows the cursor to the packet: Ethernet pads short frames. False when the lengths contradict each other. */
static bool narrow(struct decoding *decoding, uint32_t header_length, uint32_t total) {
  size_t left = cursor_left(&decoding->cursor); /* behind the fixed header */
  if (total == 0 && !decoding->quoted && left + decoding->missing + IPV4_HEADER > IP_LARGEST)
    return true; /* a segment that the card will cut later: longer than the field can say */
  if (header_length < IPV4_HEADER || (total < header_length && !decoding->quoted)) {
    decoding_fault(decoding, header_length < IPV4_HEADER ? FAULT_IP_HEADER_LENGTH : FAULT_IP_LENGTH);
    return false;
  }
  if (!decoding->quoted && total - IPV4_HEADER > left + decoding->missing) {
    decoding_fault(decoding, FAULT_IP_LENGTH);
    return true;
  }
  if (total >= IPV4_HEADER && total - IPV4_HEADER < left)
    decoding->cursor.length = decoding->cursor.position + (total - IPV4_HEADER);
  return true;
}

void decode_ipv4(struct decoding *decoding) {
  const uint8_t *header = cursor_take(&decoding->cursor, IPV4_HEADER);
  if (header == NULL) {
    decoding_ended(decoding);
    return;
  }
  if (header[0] >> 4 != 4) {
    decoding_fault(decoding, FAULT_IP_VERSION);
    return;
  }
  struct packet *packet = decoding->packet;
  note_addresses(packet, header);
  packet->traits |= TRAIT_NO_PORTS;
  if (!decoding->quoted)
    note_frame(decoding->frame, header);
  uint32_t header_length = (uint32_t)(header[0] & 0x0f) * 4, total = load16(header + 2);
  if (!narrow(decoding, header_length, total))
    return;
  note_fragment(decoding, header, total > header_length ? total - header_length : 0);
  if (header_length > IPV4_HEADER) {
    packet->traits |= TRAIT_IP_OPTIONS;
    decoding->frame->hides |= !decoding->quoted;
    cursor_skip(&decoding->cursor, header_length - IPV4_HEADER);
  }
  if ((load16(header + 6) & IPV4_OFFSET) == 0)
    decode_transport(decoding);
  else
    decode_tunnel_fragment(decoding, packet->protocol);
}
