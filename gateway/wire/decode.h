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

/*
 * Notes that what stands at the cursor is carried by this encapsulation. Of several in one layer the first gives the
 * name, the last the place.
 */
void decoding_carries(struct decoding *decoding, enum encapsulation encapsulation, enum inner_form form, uint16_t type);
/* The same with an IP packet at the cursor, of the version that it says itself; hidden when it is none. */
void decoding_carries_ip(struct decoding *decoding, enum encapsulation encapsulation);
/* The same with PPP at the cursor, or a stack of MPLS labels. */
void decoding_carries_ppp(struct decoding *decoding, enum encapsulation encapsulation);
void decoding_carries_labels(struct decoding *decoding, enum encapsulation encapsulation);
/* Whether the bytes at the cursor look like an Ethernet frame with something known in it. */
bool looks_like_ethernet(struct cursor look);
bool looks_like_ip(struct cursor look);
/* Whether these are a whole IP packet and nothing else, by its lengths, checksum and what it carries: so improbable
 * that chance does not make one. captured: bytes that are there; length: bytes that were sent. */
bool is_ip_packet(const uint8_t *bytes, size_t captured, uint32_t length);

/* Encapsulations by ethertype, IP protocol and UDP payload. False, and nothing noted: it is none. */
bool decode_wrapping(struct decoding *decoding, uint16_t ethertype);
bool decode_tunnel(struct decoding *decoding, uint8_t protocol);
/* The protocol of a later fragment: only its name is known. */
void decode_tunnel_fragment(struct decoding *decoding, uint8_t protocol);
/* Behind the UDP header; payload: bytes that the datagram has. */
void decode_udp_payload(struct decoding *decoding, uint32_t payload);
void decode_gre(struct decoding *decoding);
void decode_l2tpv3(struct decoding *decoding);
void decode_nsh(struct decoding *decoding);

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
