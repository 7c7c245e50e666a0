/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Encapsulations that have an IP protocol number of their own. */
#include <net/ethernet.h>

#include "wire/decode.h"

enum {
  PROTOCOL_IPV4 = 4,
  PROTOCOL_IPV6 = 41,
  GRE_CHECKSUM = 0x8000,
  GRE_ROUTING = 0x4000,
  GRE_KEY = 0x2000,
  GRE_SEQUENCE = 0x1000,
  GRE_ACKNOWLEDGEMENT = 0x0080,
  GRE_VERSION = 0x0007,
  GRE_ROUTES_MOST = 16,
  GRE_ETHERNET = 0x6558,
  GRE_ERSPAN = 0x88be,
  GRE_ERSPAN_III = 0x22eb,
  GRE_PPP = 0x880b,
  GRE_WCCP = 0x883e,
  ERSPAN_HEADER = 8,
  ERSPAN_III_HEADER = 12,
  ERSPAN_SUBHEADER = 8,
};

/* ---- GRE ---- */

/* RFC 1701: entries of family, offset, length, bytes; one of length 0 ends them. */
static void skip_routes(struct cursor *cursor) {
  for (int i = 0; i < GRE_ROUTES_MOST && !cursor->failed; i++) {
    unsigned family = cursor_be16(cursor);
    cursor_skip(cursor, 1);
    unsigned length = cursor_u8(cursor);
    cursor_skip(cursor, length);
    if (family == 0 && length == 0)
      return;
  }
}

static void skip_gre_fields(struct cursor *cursor, unsigned flags) {
  if ((flags & (GRE_CHECKSUM | GRE_ROUTING)) != 0)
    cursor_skip(cursor, 4);
  if ((flags & GRE_KEY) != 0)
    cursor_skip(cursor, 4);
  if ((flags & GRE_SEQUENCE) != 0)
    cursor_skip(cursor, 4);
  if ((flags & GRE_VERSION) == 1 && (flags & GRE_ACKNOWLEDGEMENT) != 0)
    cursor_skip(cursor, 4);
  if ((flags & GRE_ROUTING) != 0)
    skip_routes(cursor);
}

/* Type I has no header at all and no sequence; type II has both. */
static void carry_erspan(struct decoding *decoding, bool sequence) {
  if (sequence)
    cursor_skip(&decoding->cursor, ERSPAN_HEADER);
  decoding_carries(decoding, ENCAPSULATION_ERSPAN, INNER_ETHERNET, 0);
}

static void carry_erspan_iii(struct decoding *decoding) {
  const uint8_t *header = cursor_take(&decoding->cursor, ERSPAN_III_HEADER);
  if (header != NULL && (header[11] & 1) != 0)
    cursor_skip(&decoding->cursor, ERSPAN_SUBHEADER);
  decoding_carries(decoding, ENCAPSULATION_ERSPAN, INNER_ETHERNET, 0);
}

/* Version 1 has no header, version 2 four bytes. */
static void carry_wccp(struct decoding *decoding) {
  if (!looks_like_ip(decoding->cursor))
    cursor_skip(&decoding->cursor, 4);
  decoding_carries_ip(decoding, ENCAPSULATION_GRE);
}

void decode_gre(struct decoding *decoding) {
  struct cursor *cursor = &decoding->cursor;
  unsigned flags = cursor_be16(cursor), type = cursor_be16(cursor);
  skip_gre_fields(cursor, flags);
  if (type == GRE_ETHERNET)
    decoding_carries(decoding, ENCAPSULATION_GRETAP, INNER_ETHERNET, 0);
  else if (type == GRE_ERSPAN)
    carry_erspan(decoding, (flags & GRE_SEQUENCE) != 0);
  else if (type == GRE_ERSPAN_III)
    carry_erspan_iii(decoding);
  else if (type == GRE_PPP)
    decoding_carries_ppp(decoding, ENCAPSULATION_PPTP);
  else if (type == GRE_WCCP)
    carry_wccp(decoding);
  else
    decoding_carries(decoding, ENCAPSULATION_GRE, type >= 0x600 ? INNER_ETHERTYPE : INNER_HIDDEN, (uint16_t)type);
}

/* ---- others ---- */

static bool is_version6(const struct decoding *decoding) {
  return decoding->packet->source.family == FAMILY_IPV6;
}

static void decode_ipv4_inside(struct decoding *decoding) {
  decoding_carries_ip(decoding, is_version6(decoding) ? ENCAPSULATION_4IN6 : ENCAPSULATION_IP_IN_IP);
}

static void decode_ipv6_inside(struct decoding *decoding) {
  decoding_carries_ip(decoding, is_version6(decoding) ? ENCAPSULATION_6IN6 : ENCAPSULATION_6IN4);
}

static void decode_old_ip(struct decoding *decoding) {
  decoding_carries_ip(decoding, ENCAPSULATION_IP_IN_IP);
}

static void decode_etherip(struct decoding *decoding) {
  cursor_skip(&decoding->cursor, 2);
  decoding_carries(decoding, ENCAPSULATION_ETHERIP, INNER_ETHERNET, 0);
}

static void decode_plain_ethernet(struct decoding *decoding) {
  decoding_carries(decoding, ENCAPSULATION_BRIDGED, INNER_ETHERNET, 0);
}

static void decode_labels_inside(struct decoding *decoding) {
  decoding_carries_labels(decoding, ENCAPSULATION_MPLS);
}

static void decode_minimal(struct decoding *decoding) {
  decoding_carries(decoding, ENCAPSULATION_MINIMAL, INNER_HIDDEN, 0);
}

static void decode_esp(struct decoding *decoding) {
  decoding_carries(decoding, ENCAPSULATION_ESP, INNER_HIDDEN, 0);
}

static void decode_ipcomp(struct decoding *decoding) {
  decoding_carries(decoding, ENCAPSULATION_IPCOMP, INNER_HIDDEN, 0);
}

/* What is authenticated but not hidden; in transport mode it has no addresses of its own. */
static void decode_ah(struct decoding *decoding) {
  decoding_carries(decoding, ENCAPSULATION_AH, INNER_HIDDEN, 0);
  const uint8_t *header = cursor_take(&decoding->cursor, 12);
  if (header == NULL)
    return;
  cursor_skip(&decoding->cursor, (size_t)(header[1] + 2u) * 4 > 12 ? (size_t)(header[1] + 2u) * 4 - 12 : 0);
  if (header[0] != 51) /* one within the other: its place would be all that is new */
    decode_tunnel(decoding, header[0]);
}

/* The length of the cookie and of what stands behind it is agreed elsewhere: whichever shows something known. */
void decode_l2tpv3(struct decoding *decoding) {
  uint32_t session = cursor_be32(&decoding->cursor);
  struct cursor behind = decoding->cursor;
  for (int i = 0; session != 0 && i < 4; i++, cursor_skip(&behind, 4)) {
    if (looks_like_ethernet(behind)) {
      decoding->cursor = behind;
      decoding_carries(decoding, ENCAPSULATION_L2TP, INNER_ETHERNET, 0);
      return;
    }
    struct cursor ppp = behind;
    if (cursor_be16(&ppp) == 0xff03) {
      decoding->cursor = behind;
      decoding_carries_ppp(decoding, ENCAPSULATION_L2TP);
      return;
    }
  }
  decoding_carries(decoding, ENCAPSULATION_L2TP, INNER_HIDDEN, 0);
}

struct tunnel {
  uint8_t protocol;
  uint8_t encapsulation; /* its name where nothing more can be read */
  void (*decode)(struct decoding *decoding);
};

static const struct tunnel TUNNELS[] = {
    {PROTOCOL_IPV4, ENCAPSULATION_IP_IN_IP, decode_ipv4_inside},
    {PROTOCOL_IPV6, ENCAPSULATION_6IN4, decode_ipv6_inside},
    {47, ENCAPSULATION_GRE, decode_gre},
    {50, ENCAPSULATION_ESP, decode_esp},
    {51, ENCAPSULATION_AH, decode_ah},
    {55, ENCAPSULATION_MINIMAL, decode_minimal},
    {94, ENCAPSULATION_IP_IN_IP, decode_old_ip},
    {97, ENCAPSULATION_ETHERIP, decode_etherip},
    {98, ENCAPSULATION_MINIMAL, decode_minimal},
    {108, ENCAPSULATION_IPCOMP, decode_ipcomp},
    {115, ENCAPSULATION_L2TP, decode_l2tpv3},
    {137, ENCAPSULATION_MPLS, decode_labels_inside},
    {143, ENCAPSULATION_BRIDGED, decode_plain_ethernet},
    {145, ENCAPSULATION_NSH, decode_nsh},
};

static const struct tunnel *find(uint8_t protocol) {
  for (size_t i = 0; i < sizeof TUNNELS / sizeof TUNNELS[0]; i++)
    if (TUNNELS[i].protocol == protocol)
      return &TUNNELS[i];
  return NULL;
}

bool decode_tunnel(struct decoding *decoding, uint8_t protocol) {
  const struct tunnel *tunnel = decoding->quoted ? NULL : find(protocol);
  if (tunnel == NULL)
    return false;
  tunnel->decode(decoding);
  return true;
}

void decode_tunnel_fragment(struct decoding *decoding, uint8_t protocol) {
  const struct tunnel *tunnel = find(protocol);
  if (tunnel == NULL || decoding->quoted)
    return;
  enum encapsulation encapsulation = tunnel->encapsulation;
  if (is_version6(decoding) && protocol == PROTOCOL_IPV4)
    encapsulation = ENCAPSULATION_4IN6;
  if (is_version6(decoding) && protocol == PROTOCOL_IPV6)
    encapsulation = ENCAPSULATION_6IN6;
  decoding_carries(decoding, encapsulation, INNER_HIDDEN, 0);
}
