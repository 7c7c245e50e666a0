/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_POLICY_PACKET_H
#define KIDO_POLICY_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"

/* Facts beside the addresses that the guard looks at. */
enum packet_trait {
  TRAIT_IP_OPTIONS = 1 << 0,     /* any IPv4 option */
  TRAIT_ROUTING_HEADER = 1 << 1, /* an IPv6 routing header of type 0, segments left or not */
  TRAIT_HOP_BY_HOP = 1 << 2,     /* an IPv6 hop-by-hop options header */
  TRAIT_FRAGMENT = 1 << 3,       /* arrived in fragments; judged as a whole */
  TRAIT_NO_PORTS = 1 << 4,       /* the transport header could not be read: ports and ICMP type are unknown */
};

enum { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_PSH = 0x08, TCP_ACK = 0x10, TCP_URG = 0x20 };

enum { PROTOCOL_ICMP = 1, PROTOCOL_TCP = 6, PROTOCOL_UDP = 17, PROTOCOL_ICMPV6 = 58 };

/* One packet as far as a policy can speak of it. */
struct packet {
  struct address source, destination;
  uint8_t protocol;                       /* behind all IPv6 extension headers */
  uint16_t source_port, destination_port; /* TCP, UDP and other protocols with ports there; else 0 */
  uint8_t icmp_type, icmp_code;
  uint8_t tcp_flags;
  unsigned traits; /* of enum packet_trait */
  bool has_source_mac;
  struct mac source_mac;
};

#endif
