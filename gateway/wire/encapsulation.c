/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one layer carries. Decoders note its name and its place; the next layer is decoded as a frame of its own, from
 * there, when somebody asks. So a frame is decoded once and only as deep as it must be.
 */
#include <net/ethernet.h>
#include <netinet/in.h>
#include <pcap/dlt.h>
#include <string.h>

#include "wire/decode.h"

enum {
  ETHERNET_HEADER = 14,
  LABEL = 4,
  LABELS_MOST = 16,
  PPP_IPV4 = 0x21,
  PPP_BRIDGED = 0x31,
  PPP_IPV6 = 0x57,
  PPP_MPLS = 0x281,
  CONTROL_WORD = 4,
  IPV4_HEADER = 20,
  IPV6_HEADER = 40,
};

static const char *const NAMES[ENCAPSULATION_COUNT_] = {
    [ENCAPSULATION_NONE] = "none",
    [ENCAPSULATION_IP_IN_IP] = "ip-in-ip",
    [ENCAPSULATION_6IN4] = "6in4",
    [ENCAPSULATION_4IN6] = "4in6",
    [ENCAPSULATION_6IN6] = "6in6",
    [ENCAPSULATION_MINIMAL] = "minimal-encapsulation",
    [ENCAPSULATION_GRE] = "gre",
    [ENCAPSULATION_GRETAP] = "gretap",
    [ENCAPSULATION_PPTP] = "pptp",
    [ENCAPSULATION_ERSPAN] = "erspan",
    [ENCAPSULATION_ETHERIP] = "etherip",
    [ENCAPSULATION_AH] = "ah",
    [ENCAPSULATION_ESP] = "esp",
    [ENCAPSULATION_IPCOMP] = "ipcomp",
    [ENCAPSULATION_IKE] = "ike",
    [ENCAPSULATION_L2TP] = "l2tp",
    [ENCAPSULATION_VXLAN] = "vxlan",
    [ENCAPSULATION_GENEVE] = "geneve",
    [ENCAPSULATION_TEREDO] = "teredo",
    [ENCAPSULATION_GTP] = "gtp",
    [ENCAPSULATION_LISP] = "lisp",
    [ENCAPSULATION_IP_IN_UDP] = "ip-in-udp",
    [ENCAPSULATION_IN_ICMP] = "icmp-tunnel",
    [ENCAPSULATION_WIREGUARD] = "wireguard",
    [ENCAPSULATION_OPENVPN] = "openvpn",
    [ENCAPSULATION_MPLS] = "mpls",
    [ENCAPSULATION_NSH] = "nsh",
    [ENCAPSULATION_PPPOE] = "pppoe",
    [ENCAPSULATION_PBB] = "pbb",
    [ENCAPSULATION_TRILL] = "trill",
    [ENCAPSULATION_MACSEC] = "macsec",
    [ENCAPSULATION_BRIDGED] = "bridged-ethernet",
    [ENCAPSULATION_LLC_IP] = "llc-ip",
};

const char *encapsulation_name(enum encapsulation encapsulation) {
  return NAMES[encapsulation];
}

static uint16_t load16(const uint8_t *bytes) {
  return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* ---- noting ---- */

void decoding_carries(struct decoding *decoding, enum encapsulation encapsulation, enum inner_form form,
                      uint16_t type) {
  struct frame *frame = decoding->frame;
  if (decoding->quoted)
    return;
  if (frame->encapsulation == ENCAPSULATION_NONE)
    frame->encapsulation = (uint8_t)encapsulation;
  frame->inner_form = (uint8_t)(decoding->cursor.failed ? INNER_HIDDEN : form);
  frame->inner_type = type;
  frame->inner_at = (uint32_t)decoding->cursor.position;
  frame->inner_end = (uint32_t)decoding->cursor.length;
}

static uint32_t load32(const uint8_t *bytes) {
  return (uint32_t)load16(bytes) << 16 | load16(bytes + 2);
}

/* ---- whole IP packets, where nothing announces them ---- */

static bool checksum_fits(const uint8_t *header, size_t length) {
  uint32_t sum = 0;
  for (size_t i = 0; i < length; i += 2)
    sum += load16(header + i);
  sum = (sum & 0xffff) + (sum >> 16);
  return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

static bool is_ipv4(const uint8_t *bytes, size_t captured, uint32_t length) {
  size_t header = captured >= IPV4_HEADER && bytes[0] >> 4 == 4 ? (bytes[0] & 0x0fu) * 4u : 0;
  return header >= IPV4_HEADER && header <= captured && load16(bytes + 2) == length && checksum_fits(bytes, header);
}

static bool transport_fits(uint8_t protocol, const uint8_t *bytes, size_t captured, uint32_t length) {
  switch (protocol) {
  case IPPROTO_UDP:
    return captured >= 8 && load16(bytes + 4) == length;
  case IPPROTO_TCP:
    return captured >= 14 && bytes[12] >> 4 >= 5 && (bytes[12] & 0x0e) == 0;
  case IPPROTO_ICMPV6:
    return captured >= 4 && (bytes[0] <= 4 || (bytes[0] >= 128 && bytes[0] <= 161));
  case IPPROTO_NONE:
    return length == 0;
  default:
    return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_FRAGMENT ||
           protocol == IPPROTO_DSTOPTS || protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6 ||
           protocol == IPPROTO_GRE || protocol == IPPROTO_ESP || protocol == IPPROTO_AH;
  }
}

/* Assigned for use: global, local, link-local, group, or one of those that embed IPv4. */
static bool is_common_address(const uint8_t *address) {
  return (address[0] & 0xe0) == 0x20 || address[0] >= 0xfc || load16(address) == 0x0064 || load32(address) == 0;
}

static bool is_ipv6(const uint8_t *bytes, size_t captured, uint32_t length) {
  return captured >= IPV6_HEADER && bytes[0] >> 4 == 6 && load16(bytes + 4) + (uint32_t)IPV6_HEADER == length &&
         is_common_address(bytes + 8) && is_common_address(bytes + 24) &&
         transport_fits(bytes[6], bytes + IPV6_HEADER, captured - IPV6_HEADER, length - IPV6_HEADER);
}

bool is_ip_packet(const uint8_t *bytes, size_t captured, uint32_t length) {
  return is_ipv4(bytes, captured, length) || is_ipv6(bytes, captured, length);
}

/* ---- IP at the cursor ---- */

/* The version of an IP packet at the cursor; 0: it is none. */
static unsigned ip_version(struct cursor look) {
  const uint8_t *bytes = cursor_take(&look, 1);
  unsigned version = bytes != NULL ? bytes[0] >> 4 : 0;
  if (version == 4)
    return (bytes[0] & 0x0f) >= 5 ? 4 : 0;
  return version == 6 ? 6 : 0;
}

bool looks_like_ip(struct cursor look) {
  return ip_version(look) != 0;
}

void decoding_carries_ip(struct decoding *decoding, enum encapsulation encapsulation) {
  unsigned version = ip_version(decoding->cursor);
  decoding_carries(decoding, encapsulation, version != 0 ? INNER_ETHERTYPE : INNER_HIDDEN,
                   version == 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
}

/* ---- what is inside ---- */

static bool type_fits(uint16_t type, struct cursor look) {
  if (type == ETHERTYPE_IP)
    return ip_version(look) == 4;
  if (type == ETHERTYPE_IPV6)
    return ip_version(look) == 6;
  if (type == ETHERTYPE_ARP)
    return cursor_be16(&look) == 1 && cursor_be16(&look) == ETHERTYPE_IP;
  return type == ETHERTYPE_VLAN || type == 0x88a8 || type == 0x8847 || type == 0x8848 || type == 0x8863 ||
         type == 0x8864 || type == 0x88cc;
}

bool looks_like_ethernet(struct cursor look) {
  const uint8_t *header = cursor_take(&look, ETHERNET_HEADER);
  if (header == NULL)
    return false;
  uint16_t type = load16(header + 12);
  if (type >= 0x600)
    return type_fits(type, look);
  const uint8_t *llc = cursor_take(&look, 3);
  return llc != NULL && llc[0] == llc[1] && (llc[0] == 0x42 || llc[0] == 0xaa) && llc[2] == 3;
}

/* PPP: the address and control field may be left out, and so may the first byte of the protocol. */
static unsigned take_ppp_protocol(struct cursor *cursor) {
  struct cursor look = *cursor;
  if (cursor_be16(&look) == 0xff03 && !look.failed)
    *cursor = look;
  unsigned protocol = cursor_u8(cursor);
  return (protocol & 1) != 0 ? protocol : protocol << 8 | cursor_u8(cursor);
}

void decoding_carries_ppp(struct decoding *decoding, enum encapsulation encapsulation) {
  unsigned protocol = take_ppp_protocol(&decoding->cursor);
  if (protocol == PPP_IPV4 || protocol == PPP_IPV6) {
    decoding_carries_ip(decoding, encapsulation);
  } else if (protocol == PPP_MPLS) {
    decoding_carries_labels(decoding, encapsulation);
  } else if (protocol == PPP_BRIDGED && cursor_be16(&decoding->cursor) % 256 == 1) {
    decoding_carries(decoding, encapsulation, INNER_ETHERNET, 0);
  } else {
    decoding_carries(decoding, encapsulation, INNER_HIDDEN, 0);
  }
}

/* What a label stands for is agreed elsewhere: IP shows itself, and a pseudo wire has a control word or none. */
void decoding_carries_labels(struct decoding *decoding, enum encapsulation encapsulation) {
  bool last = false;
  for (int i = 0; i < LABELS_MOST && !last; i++) {
    const uint8_t *label = cursor_take(&decoding->cursor, LABEL);
    last = label == NULL || (label[2] & 1) != 0;
  }
  struct cursor behind = decoding->cursor;
  cursor_skip(&behind, CONTROL_WORD);
  if (looks_like_ip(decoding->cursor)) {
    decoding_carries_ip(decoding, encapsulation);
  } else if (looks_like_ethernet(decoding->cursor)) {
    decoding_carries(decoding, encapsulation, INNER_ETHERNET, 0);
  } else if (looks_like_ethernet(behind)) {
    decoding->cursor = behind;
    decoding_carries(decoding, encapsulation, INNER_ETHERNET, 0);
  } else {
    decoding_carries(decoding, encapsulation, INNER_HIDDEN, 0);
  }
}

/* ---- the next layer ---- */

/* The rest of a packet in fragments lies in other frames. */
static uint32_t missing_of(const struct captured_frame *captured, const struct frame *outer) {
  enum { REST_OF_PACKET = 65535 };
  uint32_t missing = captured->length > captured->captured ? captured->length - captured->captured : 0;
  bool incomplete = (outer->content == CONTENT_IP && outer->fragment) || outer->cut;
  return incomplete && missing < REST_OF_PACKET ? REST_OF_PACKET : missing;
}

bool frame_decode_inner(const struct captured_frame *captured, const struct frame *outer, struct frame *ret_inner) {
  if (outer->encapsulation == ENCAPSULATION_NONE || outer->inner_form == INNER_HIDDEN ||
      outer->inner_end > captured->captured)
    return false;
  struct frame *inner = ret_inner;
  memset(inner, 0, offsetof(struct frame, quoted));
  inner->time = outer->time;
  struct decoding decoding = {.frame = inner, .packet = &inner->packet, .missing = missing_of(captured, outer)};
  cursor_init(&decoding.cursor, captured->data, outer->inner_end);
  cursor_skip(&decoding.cursor, outer->inner_at);
  inner->length = (uint32_t)cursor_left(&decoding.cursor) + decoding.missing;
  if (outer->inner_form == INNER_ETHERNET)
    decode_ethernet(&decoding);
  else
    decode_ethertype(&decoding, outer->inner_type);
  return true;
}
