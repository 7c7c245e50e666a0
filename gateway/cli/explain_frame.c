/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet that was asked about as a frame, for the rules of the kernel to look into: plain headers, a hop limit of
 * 64, no payload. Checksums are left out but for that of the IP header; rules do not know right ones from wrong.
 */
#include <string.h>

#include "cli/explain.h"

enum { ETHERNET_SIZE = 14, IPV4_SIZE = 20, IPV6_SIZE = 40, TCP_SIZE = 20, OTHER_SIZE = 8, HOP_LIMIT = 64 };

static void put16(uint8_t *at, unsigned value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

static void write_link(const struct packet *packet, uint8_t *at) {
  static const uint8_t receiver[6] = {0x02, 0, 0, 0, 0, 1}, sender[6] = {0x02, 0, 0, 0, 0, 2};
  memcpy(at, receiver, sizeof(receiver));
  memcpy(at + 6, packet->has_source_mac ? packet->source_mac.bytes : sender, 6);
  put16(at + 12, packet->source.family == FAMILY_IPV6 ? 0x86dd : 0x0800);
}

static void write_ipv4(const struct packet *packet, size_t payload, uint8_t *at) {
  uint32_t sum = 0;
  at[0] = 0x45;
  put16(at + 2, (unsigned)(IPV4_SIZE + payload));
  put16(at + 4, 1);
  at[6] = 0x40; /* do not fragment */
  at[8] = HOP_LIMIT;
  at[9] = packet->protocol;
  memcpy(at + 12, packet->source.bytes, 4);
  memcpy(at + 16, packet->destination.bytes, 4);
  for (size_t i = 0; i < IPV4_SIZE; i += 2)
    sum += (uint32_t)at[i] << 8 | at[i + 1];
  sum = (sum & 0xffff) + (sum >> 16);
  put16(at + 10, ~(sum + (sum >> 16)) & 0xffff);
}

static void write_ipv6(const struct packet *packet, size_t payload, uint8_t *at) {
  at[0] = 0x60;
  put16(at + 4, (unsigned)payload);
  at[6] = packet->protocol;
  at[7] = HOP_LIMIT;
  memcpy(at + 8, packet->source.bytes, 16);
  memcpy(at + 24, packet->destination.bytes, 16);
}

static void write_transport(const struct packet *packet, uint8_t *at) {
  if (packet->protocol == PROTOCOL_ICMP || packet->protocol == PROTOCOL_ICMPV6) {
    at[0] = packet->icmp_type;
    at[1] = packet->icmp_code;
    return;
  }
  put16(at, packet->source_port);
  put16(at + 2, packet->destination_port);
  if (packet->protocol == PROTOCOL_UDP)
    put16(at + 4, OTHER_SIZE);
  if (packet->protocol == PROTOCOL_TCP) {
    at[12] = (TCP_SIZE / 4) << 4;
    at[13] = packet->tcp_flags;
    put16(at + 14, 0xffff);
  }
}

size_t explain_frame(const struct packet *packet, uint8_t frame[static EXPLAIN_FRAME_SIZE]) {
  bool ipv6 = packet->source.family == FAMILY_IPV6;
  size_t payload = packet->protocol == PROTOCOL_TCP ? TCP_SIZE : OTHER_SIZE;
  uint8_t *network = frame + ETHERNET_SIZE, *transport = network + (ipv6 ? IPV6_SIZE : IPV4_SIZE);
  memset(frame, 0, EXPLAIN_FRAME_SIZE);
  write_link(packet, frame);
  (ipv6 ? write_ipv6 : write_ipv4)(packet, payload, network);
  write_transport(packet, transport);
  return (size_t)(transport - frame) + payload;
}
