/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/essence.h"

#include "base/cursor.h"

enum { IPV4_LENGTH_AT = 2, IPV6_LENGTH_AT = 4, IPV6_HEADER = 40, TCP_HEADER = 20, PIECE_MOST = 64, PIECE_LEAST = 8 };

/* What is gathered of one packet. */
struct digest {
  uint64_t value;
  bool telling; /* something in it differs from packet to packet */
};

static void take(struct digest *digest, uint64_t value) {
  digest->value = (digest->value ^ value) * 0xff51afd7ed558ccd;
  digest->value ^= digest->value >> 32;
}

static void take_piece(struct digest *digest, struct cursor *cursor) {
  size_t size = cursor_left(cursor) < PIECE_MOST ? cursor_left(cursor) : PIECE_MOST;
  digest->telling = digest->telling || size >= PIECE_LEAST;
  for (; size >= 8; size -= 8)
    take(digest, cursor_be64(cursor));
  for (; size > 0; size--)
    take(digest, cursor_u8(cursor));
}

static void take_tcp(struct digest *digest, struct cursor *cursor) {
  cursor_skip(cursor, 4); /* ports */
  uint64_t numbers = cursor_be64(cursor);
  uint8_t words = cursor_u8(cursor) >> 4;
  take(digest, numbers);
  take(digest, cursor_u8(cursor));
  digest->telling = numbers >> 32 != 0;
  /* Options may be rewritten too (the segment size). */
  cursor_skip(cursor, 6 + (words > 5 ? (size_t)(words - 5) * 4 : 0));
  take_piece(digest, cursor);
}

static void take_udp(struct digest *digest, struct cursor *cursor) {
  cursor_skip(cursor, 4);
  take(digest, cursor_be16(cursor));
  cursor_skip(cursor, 2);
  take_piece(digest, cursor);
}

/* The identifier of a query is rewritten like a port. */
static void take_icmp(struct digest *digest, struct cursor *cursor) {
  take(digest, cursor_be16(cursor));
  cursor_skip(cursor, 4);
  take(digest, cursor_be16(cursor));
  take_piece(digest, cursor);
}

static void take_transport(struct digest *digest, uint8_t protocol, struct cursor *cursor) {
  if (protocol == PROTOCOL_TCP)
    take_tcp(digest, cursor);
  else if (protocol == PROTOCOL_UDP)
    take_udp(digest, cursor);
  else if (protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMPV6)
    take_icmp(digest, cursor);
  else
    take_piece(digest, cursor);
}

/* The length that the IP header says, and where the packet ends: Ethernet pads short frames. */
static uint32_t packet_length(const struct captured_frame *captured, const struct frame *frame) {
  bool ipv6 = frame->packet.source.family == FAMILY_IPV6;
  struct cursor cursor;
  cursor_init(&cursor, captured->data, captured->captured);
  cursor_skip(&cursor, (size_t)frame->network_offset + (ipv6 ? IPV6_LENGTH_AT : IPV4_LENGTH_AT));
  uint32_t length = cursor_be16(&cursor);
  if (length == 0)
    return frame->length - frame->network_offset; /* longer than the field can say */
  return length + (ipv6 ? IPV6_HEADER : 0);
}

uint64_t essence_of(const struct captured_frame *captured, const struct frame *frame) {
  if (frame->content != CONTENT_IP || frame->payload_offset == 0 || frame->has_quoted)
    return 0;
  uint32_t length = packet_length(captured, frame), end = frame->network_offset + length;
  uint32_t seen = captured->captured < ESSENCE_BYTES ? captured->captured : ESSENCE_BYTES;
  struct digest digest = {.value = 0x9e3779b97f4a7c15, .telling = frame->identification != 0};
  struct cursor cursor;
  cursor_init(&cursor, captured->data, end < seen ? end : seen);
  cursor_skip(&cursor, frame->payload_offset);
  take(&digest, (uint64_t)frame->packet.protocol << 32 | frame->identification);
  take(&digest, length);
  take_transport(&digest, frame->packet.protocol, &cursor);
  return !digest.telling ? 0 : digest.value != 0 ? digest.value : 1;
}
