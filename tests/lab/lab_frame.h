/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_LAB_FRAME_H
#define KIDO_TESTS_LAB_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "policy/packet.h"

/*
 * Ethernet frames for tests: built from a recipe with right lengths and checksums, and recognised again when they come
 * out of a gateway. Every frame ends in a tail with the number of its probe, so that what comes out is matched to what
 * was sent whatever the protocol.
 */
enum { LAB_FRAME_SIZE_MAX = 2048, LAB_FRAME_TAIL_SIZE = 16, LAB_FRAME_EXTENSION_MAX = 4 };

struct lab_frame {
  uint8_t data[LAB_FRAME_SIZE_MAX];
  size_t length;
};

/* One IPv6 extension header, built without its next-header byte: that is filled in. */
struct lab_frame_extension {
  uint8_t type;
  uint8_t body[40]; /* from the second byte on: length byte and content */
  uint8_t length;   /* bytes of body; 1 + length is a multiple of eight */
};

struct lab_frame_recipe {
  struct packet packet; /* addresses, protocol, ports, ICMP type and code, TCP flags */
  struct mac source_mac, destination_mac;
  uint64_t probe;
  uint8_t hop_limit; /* 0: 64 */
  uint32_t tcp_sequence, tcp_acknowledgement;
  const uint8_t *tcp_options; /* a multiple of four bytes */
  size_t tcp_option_length;
  uint16_t icmp_id, icmp_sequence;
  uint16_t ip_id;
  const uint8_t *ip_options; /* IPv4; padded to a multiple of four */
  size_t ip_option_length;
  struct lab_frame_extension extensions[LAB_FRAME_EXTENSION_MAX]; /* IPv6, in order */
  size_t extension_count;
  const uint8_t *payload; /* in front of the tail: the quoted packet of an ICMP error, data */
  size_t payload_length;
  bool no_tail;         /* for packets whose end has a meaning */
  bool bad_ip_checksum; /* IPv4 */
};

/* Returns 0, or -EMSGSIZE when it does not fit. */
int lab_frame_build(const struct lab_frame_recipe *recipe, struct lab_frame *ret_frame);

/* Cuts an unfragmented frame in two behind `first_bytes` (a multiple of eight) of its IP payload. */
int lab_frame_split(const struct lab_frame *whole, size_t first_bytes, uint32_t id,
                    struct lab_frame ret_parts[static 2]);

/* One fragment with any offset (bytes, a multiple of eight): `bytes` of `data` as the payload of the IP header that the
 * recipe describes. */
int lab_frame_fragment(const struct lab_frame_recipe *recipe, uint32_t id, size_t offset, bool more,
                       const uint8_t *data, size_t bytes, struct lab_frame *ret_frame);

/* The IP packet within a frame. */
const uint8_t *lab_frame_packet(const struct lab_frame *frame, size_t *ret_length);

/* The same communication seen from the other side: addresses and ports swapped, an echo request becomes a reply, a SYN
 * becomes SYN+ACK, sequence numbers follow. MACs are cleared. */
struct lab_frame_recipe lab_frame_answer(const struct lab_frame_recipe *recipe);

/* What came out. */
struct lab_frame_sight {
  struct packet packet; /* ports and types only in unfragmented packets and first fragments */
  struct mac source_mac, destination_mac;
  bool has_probe;
  uint64_t probe;
  bool is_ip;
  uint16_t ethertype;
};

/* Reads a frame that a gateway emitted, or (ethernet false) an IP packet. Never fails: what cannot be read is zero. */
struct lab_frame_sight lab_frame_look(const uint8_t *data, size_t length, bool ethernet);

/* The probe number in the last bytes of a payload; false when there is none. */
bool lab_frame_tail_read(const uint8_t *data, size_t length, uint64_t *ret_probe);

uint16_t lab_frame_checksum(const void *data, size_t length, uint32_t sum);

#endif
