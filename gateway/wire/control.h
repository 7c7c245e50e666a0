/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WIRE_CONTROL_H
#define KIDO_WIRE_CONTROL_H

#include "wire/frame.h"

/*
 * What a frame says about the machines of its wire: who hands out addresses, who calls itself a router, which switch
 * stands there. Read on demand, only from frames that are judged with their bytes at hand; facts behind the end of what
 * was captured are missing, and nothing is believed that the bytes do not hold.
 */

enum control_kind {
  CONTROL_NONE,
  CONTROL_DHCP,
  CONTROL_DHCPV6,
  CONTROL_ROUTER_ADVERT, /* of IPv6 */
  CONTROL_REDIRECT,      /* ICMP and ICMPv6 */
  CONTROL_IRDP,          /* router advertisement of ICMP */
  CONTROL_REDUNDANCY,    /* VRRP, CARP, HSRP, GLBP: several routers that share an address */
  CONTROL_ROUTING,       /* OSPF, RIP, EIGRP ... */
  CONTROL_STP,           /* spanning tree of any kind */
  CONTROL_LLDP,
  CONTROL_CDP,
};

enum { CONTROL_NAME_SIZE = 64, CONTROL_IDENTITY_SIZE = 32, CONTROL_PREFIXES = 4, CONTROL_ADDRESSES = 4 };

struct control_facts {
  enum control_kind kind;
  const char *protocol; /* "vrrp": a constant */
  bool speaks_for_many; /* acts as a router or as a DHCP server; a client's question does not */
  uint8_t message;      /* DHCP and DHCPv6: type of message */

  /* DHCP, DHCPv6; addresses are of FAMILY_NONE where nothing is said */
  bool has_client;
  struct mac client;
  struct address offered, requested, server, router;
  uint8_t identity[CONTROL_IDENTITY_SIZE]; /* DUID: the same on every interface of a machine */
  uint8_t identity_length;
  char name[CONTROL_NAME_SIZE]; /* of the client, or of an LLDP or CDP system; only printable ASCII, "" for none */

  /* Router advertisements; `router` is that of a redirect, too */
  struct address_range prefixes[CONTROL_PREFIXES];
  uint8_t prefix_count;
  uint16_t lifetime; /* seconds as a default router; 0: not one */

  /* STP, LLDP, CDP */
  bool has_root, has_bridge; /* root of the tree; the bridge or chassis that speaks */
  struct mac root, bridge;
  uint16_t port;                   /* STP: of the bridge that speaks */
  bool has_capabilities, forwards; /* LLDP, CDP: what it says it is; a switch or a router forwards */
  struct address addresses[CONTROL_ADDRESSES];
  uint8_t address_count;
};

/* False when the frame carries none of it; *ret_facts is written then, too, with kind CONTROL_NONE. */
bool control_decode(const struct captured_frame *captured, const struct frame *frame, struct control_facts *ret_facts);

#endif
