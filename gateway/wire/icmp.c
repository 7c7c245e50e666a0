/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include "wire/decode.h"

enum { ICMP_HEADER = 8 };

bool icmp_quotes(enum address_family family, uint8_t type) {
  if (family == FAMILY_IPV6)
    return type >= ICMP6_DST_UNREACH && type <= ICMP6_PARAM_PROB;
  return type == ICMP_DEST_UNREACH || type == ICMP_SOURCE_QUENCH || type == ICMP_REDIRECT ||
         type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
}

/* The packet that an error is about: at least its IP header and the ports, mostly no more. */
static void decode_quoted(struct decoding *decoding) {
  struct frame *frame = decoding->frame;
  memset(&frame->quoted, 0, sizeof frame->quoted);
  struct decoding inner = {
      .frame = frame, .cursor = decoding->cursor, .packet = &frame->quoted, .quoted = true, .missing = 1};
  bool cut = frame->cut;
  if (decoding->packet->source.family == FAMILY_IPV6)
    decode_ipv6(&inner);
  else
    decode_ipv4(&inner);
  frame->cut = cut;
  frame->has_quoted = frame->quoted.source.family != FAMILY_NONE;
}

static void note_type(struct decoding *decoding, const uint8_t *header) {
  decoding->packet->icmp_type = header[0];
  decoding->packet->icmp_code = header[1];
  decoding->packet->traits &= ~(unsigned)TRAIT_NO_PORTS;
}

static const uint8_t *take_header(struct decoding *decoding) {
  const uint8_t *header = cursor_take(&decoding->cursor, ICMP_HEADER);
  if (header == NULL)
    decoding_ended(decoding);
  else
    note_type(decoding, header);
  return header;
}

/* What an echo carries is nobody's business, unless it is a packet, or ptunnel's. */
static void decode_echo(struct decoding *decoding) {
  static const uint8_t PTUNNEL[] = {0xd5, 0x20, 0x08, 0x80};
  const struct cursor *cursor = &decoding->cursor;
  const uint8_t *bytes = cursor->data + cursor->position;
  size_t captured = cursor_left(cursor);
  if (is_ip_packet(bytes, captured, (uint32_t)captured + decoding->missing))
    decoding_carries_ip(decoding, ENCAPSULATION_IN_ICMP);
  else if (captured >= sizeof PTUNNEL && memcmp(bytes, PTUNNEL, sizeof PTUNNEL) == 0)
    decoding_carries(decoding, ENCAPSULATION_IN_ICMP, INNER_HIDDEN, 0);
}

/* ICMP of one family within the other is a protocol like any other. */
void decode_icmp(struct decoding *decoding) {
  struct packet *packet = decoding->packet;
  const uint8_t *header = take_header(decoding);
  if (header == NULL || packet->source.family != FAMILY_IPV4)
    return;
  if (decoding->quoted)
    return;
  if (icmp_quotes(FAMILY_IPV4, header[0]))
    decode_quoted(decoding);
  else if (header[0] == ICMP_ECHO || header[0] == ICMP_ECHOREPLY)
    decode_echo(decoding);
}

void decode_icmpv6(struct decoding *decoding) {
  struct frame *frame = decoding->frame;
  const uint8_t *header = take_header(decoding);
  if (header == NULL || decoding->packet->source.family != FAMILY_IPV6 || decoding->quoted)
    return;
  if (icmp_quotes(FAMILY_IPV6, header[0])) {
    decode_quoted(decoding);
  } else if (header[0] == ICMP6_ECHO_REQUEST || header[0] == ICMP6_ECHO_REPLY) {
    decode_echo(decoding);
  } else if (header[0] == ND_NEIGHBOR_SOLICIT || header[0] == ND_NEIGHBOR_ADVERT) {
    const uint8_t *target = cursor_take(&decoding->cursor, 16);
    if (target == NULL) {
      decoding_ended(decoding);
      return;
    }
    frame->has_neighbour = true;
    frame->neighbour.family = FAMILY_IPV6;
    memcpy(frame->neighbour.bytes, target, 16);
  }
}
