/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WIRE_DECODE_H
#define KIDO_WIRE_DECODE_H

#include "base/cursor.h"
#include "wire/frame.h"

/*
 * Between the decoders of this room. Each reads one header through the cursor, notes its facts in the frame and hands
 * the rest on. The first fault stays; after it the facts already noted remain and nothing further is read.
 */
struct decoding {
  struct frame *frame;
  struct cursor cursor;
  struct packet *packet; /* frame->packet, or frame->quoted within an ICMP error */
  bool quoted;           /* within an ICMP error: it may end anywhere, and lengths speak of the packet that was */
  uint32_t missing;      /* bytes of the frame that the capture does not hold */
};

/* Reports that the bytes ended: a fault of the frame, or of the capture that cut it. */
void decoding_ended(struct decoding *decoding);
void decoding_fault(struct decoding *decoding, enum frame_fault fault);

void decode_ethernet(struct decoding *decoding);
void decode_cooked(struct decoding *decoding);
void decode_cooked_v2(struct decoding *decoding);
void decode_raw_ip(struct decoding *decoding);
void decode_ethertype(struct decoding *decoding, uint16_t ethertype);
void decode_llc(struct decoding *decoding);
void decode_arp(struct decoding *decoding);
void decode_ipv4(struct decoding *decoding);
void decode_ipv6(struct decoding *decoding);
/* What an IP packet carries, by protocol number: ports, flags, ICMP types. */
void decode_transport(struct decoding *decoding);
void decode_icmp(struct decoding *decoding);
void decode_icmpv6(struct decoding *decoding);
/* Whether this ICMP type quotes the packet that caused it. */
bool icmp_quotes(enum address_family family, uint8_t type);

#endif
