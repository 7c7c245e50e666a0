/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <netinet/in.h>

#include "wire/decode.h"

enum { TCP_HEADER = 20, UDP_HEADER = 8, PORTS = 4 };

struct transport {
  uint8_t protocol;
  void (*decode)(struct decoding *decoding);
};

static uint16_t load16(const uint8_t *bytes) {
  return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void note_ports(struct decoding *decoding, const uint8_t *bytes) {
  decoding->packet->source_port = load16(bytes);
  decoding->packet->destination_port = load16(bytes + 2);
  decoding->packet->traits &= ~(unsigned)TRAIT_NO_PORTS;
}

/* Ports alone: protocols that have them in front, and what an ICMP error quotes of any. */
static void decode_ports(struct decoding *decoding) {
  const uint8_t *bytes = cursor_take(&decoding->cursor, PORTS);
  if (bytes == NULL)
    decoding_ended(decoding);
  else
    note_ports(decoding, bytes);
}

/* A quoted packet or a tiny first fragment still shows its ports; a whole packet must show its header. */
static void decode_short_tcp(struct decoding *decoding) {
  bool lawful = decoding->quoted || decoding->frame->fragment;
  decode_ports(decoding);
  if (!lawful)
    decoding_ended(decoding);
}

static void decode_tcp(struct decoding *decoding) {
  size_t there = cursor_left(&decoding->cursor);
  if (there < TCP_HEADER) {
    decode_short_tcp(decoding);
    return;
  }
  const uint8_t *header = cursor_take(&decoding->cursor, TCP_HEADER);
  note_ports(decoding, header);
  decoding->packet->tcp_flags = header[13] & 0x3f;
  uint32_t length = (uint32_t)(header[12] >> 4) * 4;
  bool fits = decoding->frame->fragment || length <= there + decoding->missing;
  if (length < TCP_HEADER || !fits)
    decoding_fault(decoding, FAULT_TCP_HEADER_LENGTH);
}

static void decode_udp(struct decoding *decoding) {
  size_t there = cursor_left(&decoding->cursor) + decoding->missing;
  if (decoding->quoted) {
    decode_ports(decoding);
    return;
  }
  const uint8_t *header = cursor_take(&decoding->cursor, UDP_HEADER);
  if (header == NULL) {
    decoding_ended(decoding);
    return;
  }
  note_ports(decoding, header);
  uint16_t length = load16(header + 4);
  if (!decoding->frame->fragment && length != 0 && (length < UDP_HEADER || length > there))
    decoding_fault(decoding, FAULT_UDP_LENGTH);
  else
    decode_udp_payload(decoding, length != 0 ? length - (uint32_t)UDP_HEADER : (uint32_t)(there - UDP_HEADER));
}

static const struct transport TRANSPORTS[] = {
    {IPPROTO_TCP, decode_tcp},       {IPPROTO_UDP, decode_udp},    {IPPROTO_ICMP, decode_icmp},
    {IPPROTO_ICMPV6, decode_icmpv6}, {IPPROTO_SCTP, decode_ports}, {IPPROTO_DCCP, decode_ports},
    {IPPROTO_UDPLITE, decode_ports},
};

void decode_transport(struct decoding *decoding) {
  if (!decoding->quoted)
    decoding->frame->payload_offset = (uint16_t)decoding->cursor.position;
  for (size_t i = 0; i < sizeof TRANSPORTS / sizeof TRANSPORTS[0]; i++) {
    if (TRANSPORTS[i].protocol == decoding->packet->protocol) {
      TRANSPORTS[i].decode(decoding);
      return;
    }
  }
  decoding->packet->traits &= ~(unsigned)TRAIT_NO_PORTS; /* there are none to be read */
  decode_tunnel(decoding, decoding->packet->protocol);
}
