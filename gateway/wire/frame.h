/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WIRE_FRAME_H
#define KIDO_WIRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/packet.h"

/*
 * What one frame says about itself. A frame is decoded once, never changed, and judged from these facts alone; what
 * they mean on the wire where the frame lay is decided in watch/.
 */

/* Who sent it, where the capture itself says so (cooked captures, flags of pcapng); else by the MAC addresses. */
enum frame_sender { SENDER_UNKNOWN, SENDER_THIS_MACHINE, SENDER_OTHERS };

/* Bytes as they came from an interface or a file; they stay where the capture keeps them. */
struct captured_frame {
  int64_t time; /* nanoseconds since 1970-01-01T00:00:00Z */
  const uint8_t *data;
  uint32_t captured;        /* bytes that are there */
  uint32_t length;          /* bytes that were on the wire */
  int link_type;            /* DLT_... of libpcap */
  enum frame_sender sender; /* where the file says so */
  uint16_t interface;       /* of a file that has several, from 0 on */
};

enum frame_content {
  CONTENT_UNREADABLE, /* too short to say what it carries */
  CONTENT_IP,         /* packet is filled */
  CONTENT_ARP,        /* arp is filled */
  CONTENT_CONTROL,    /* talk between bridges and ports that no host reads: STP, LLDP, LACP, pause, 802.1X, CDP ... */
  CONTENT_OTHER,      /* a protocol that has no place on a wire of this gateway: IPX, NetBEUI, MPLS, PPPoE ... */
};

/* How a frame contradicts itself. A frame that the capture cut short is no fault: `cut` is set instead. */
enum frame_fault {
  FAULT_NONE,
  FAULT_SHORT,             /* ends within a header */
  FAULT_IP_VERSION,        /* the version disagrees with the ethertype */
  FAULT_IP_HEADER_LENGTH,  /* below 20 bytes or behind the end */
  FAULT_IP_LENGTH,         /* more bytes than the frame has, or fewer than the header */
  FAULT_EXTENSION_HEADERS, /* a chain without end */
  FAULT_TCP_HEADER_LENGTH,
  FAULT_UDP_LENGTH,
  FAULT_FRAGMENT_LENGTH, /* beyond 65,535 bytes, or not a multiple of 8 before the last */
  FAULT_FRAGMENT_OVERLAP,
  FAULT_VLAN_TAGS, /* more tags than any switch writes */
  FAULT_COUNT_,
};

enum { FRAME_TAGS = 4 };

/* What carries another packet, from the outside. */
enum encapsulation {
  ENCAPSULATION_NONE,
  ENCAPSULATION_IP_IN_IP, /* IPv4 in IPv4 */
  ENCAPSULATION_6IN4,
  ENCAPSULATION_4IN6,
  ENCAPSULATION_6IN6,
  ENCAPSULATION_MINIMAL, /* RFC 2004, RFC 1241: of other headers than IP */
  ENCAPSULATION_GRE,
  ENCAPSULATION_GRETAP,
  ENCAPSULATION_PPTP,
  ENCAPSULATION_ERSPAN,
  ENCAPSULATION_ETHERIP,
  ENCAPSULATION_AH,
  ENCAPSULATION_ESP,
  ENCAPSULATION_IPCOMP,
  ENCAPSULATION_IKE,
  ENCAPSULATION_L2TP,
  ENCAPSULATION_VXLAN,
  ENCAPSULATION_GENEVE,
  ENCAPSULATION_TEREDO,
  ENCAPSULATION_GTP,
  ENCAPSULATION_LISP,
  ENCAPSULATION_IP_IN_UDP, /* FOU, GUE, and whatever else sends IP packets as UDP payload */
  ENCAPSULATION_IN_ICMP,   /* within echo requests and replies */
  ENCAPSULATION_WIREGUARD,
  ENCAPSULATION_OPENVPN,
  ENCAPSULATION_MPLS,
  ENCAPSULATION_NSH,
  ENCAPSULATION_PPPOE,
  ENCAPSULATION_PBB,
  ENCAPSULATION_TRILL,
  ENCAPSULATION_MACSEC,
  ENCAPSULATION_BRIDGED, /* Ethernet in Ethernet by other ways: 0x6558, bridged SNAP, HSR */
  ENCAPSULATION_LLC_IP,  /* IP by its service access point */
  ENCAPSULATION_COUNT_,
};

/* How what is carried begins. */
enum inner_form {
  INNER_HIDDEN,    /* encrypted, not there, or of no known form */
  INNER_ETHERNET,  /* with an Ethernet header */
  INNER_ETHERTYPE, /* as what follows the ethertype `inner_type` */
};

struct frame_arp {
  uint16_t operation; /* 1 request, 2 reply */
  struct mac sender_mac, target_mac;
  struct address sender, target;
};

struct frame {
  int64_t time;
  uint32_t length;
  enum frame_content content;
  enum frame_fault fault;
  enum frame_sender sender;
  bool cut;      /* the capture holds less than the frame; facts behind its end are missing, not wrong */
  bool has_macs; /* false for captures without a link layer */
  bool llc;      /* IEEE 802.3 with LLC instead of an ethertype */
  bool stp;      /* CONTENT_CONTROL: a spanning tree frame */
  uint8_t tag_count;
  uint16_t tags[FRAME_TAGS]; /* VLAN ids from the outside in */
  uint16_t ethertype;        /* innermost; for LLC without SNAP: DSAP and SSAP */
  uint16_t network_offset;   /* of the captured bytes: what the innermost ethertype announces, or LLC */
  uint16_t payload_offset;   /* of the captured bytes: the header behind IP (UDP, ICMP ...); 0 when it is not there */
  struct mac source_mac, destination_mac;

  /* Any content: what this layer carries. frame_decode_inner() reads it. */
  uint8_t encapsulation; /* of enum encapsulation */
  uint8_t inner_form;    /* of enum inner_form */
  uint16_t inner_type;   /* INNER_ETHERTYPE */
  uint32_t inner_at;     /* where in the captured bytes it begins */
  uint32_t inner_end;    /* and where the layer that carries it ends */

  /* CONTENT_IP */
  bool hides;          /* it may name further machines in options, routing headers or within its addresses */
  bool fragment;       /* a part of a packet */
  bool first_fragment; /* ... that begins at offset 0 */
  bool last_fragment;
  bool has_quoted; /* an ICMP error with a readable packet in it */
  bool has_neighbour;
  uint8_t hop_limit;
  uint32_t identification;                   /* of the IPv4 packet, or of the IPv6 fragments */
  uint16_t fragment_offset, fragment_length; /* in bytes */
  struct packet packet;

  /* Valid only when the flag or content above says so; not initialised otherwise. */
  struct packet quoted;
  struct address neighbour; /* target of a neighbour solicitation or advertisement */
  struct frame_arp arp;
};

/* Never fails: what could not be read is said in content, fault and cut. */
void frame_decode(const struct captured_frame *captured, struct frame *ret_frame);

/*
 * Decodes what `outer` carries, as if it were a frame of its own. captured: that of which `outer` was decoded, itself
 * or layer by layer. False when there is nothing that could be read. The lengths of what is carried in a fragment, or
 * was cut by the capture, are no faults.
 */
bool frame_decode_inner(const struct captured_frame *captured, const struct frame *outer, struct frame *ret_inner);

/* "gre": the name in reports. */
const char *encapsulation_name(enum encapsulation encapsulation);
/* Whether UDP packets to this port belong to this encapsulation, by registration or custom. */
bool encapsulation_has_port(enum encapsulation encapsulation, uint16_t port);

/* Machines that an IP packet names beside its two addresses. */
enum hidden_way {
  HIDDEN_NAT64,
  HIDDEN_MAPPED, /* ::ffff:a.b.c.d, ::a.b.c.d and the translated form */
  HIDDEN_6TO4,
  HIDDEN_TEREDO,
  HIDDEN_ISATAP,
  HIDDEN_SOURCE_ROUTE,   /* IPv4 options LSRR, SSRR */
  HIDDEN_ROUTING_HEADER, /* IPv6, of any type that has addresses */
  HIDDEN_HOME_ADDRESS,   /* the option of mobile IPv6 */
  HIDDEN_WAY_COUNT_,
};

struct hidden_address {
  struct address address;
  enum hidden_way way;
  bool of_source; /* lies in the source address, or stands for it */
};

enum { HIDDEN_MOST = 24 };

/* How many there are, at most HIDDEN_MOST; 0 unless frame->hides. */
size_t frame_hidden(const struct captured_frame *captured, const struct frame *frame,
                    struct hidden_address ret_hidden[static HIDDEN_MOST]);
/* "nat64": the name in reports. */
const char *hidden_way_name(enum hidden_way way);

/* Whether frame_decode() knows the link layer of a capture. */
bool frame_link_type_known(int link_type);

/* "ip-length": the name in JSON and reports. */
const char *frame_fault_name(enum frame_fault fault);

#endif
