/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Encapsulations that have an ethertype of their own. */
#include <net/ethernet.h>

#include "wire/decode.h"

enum {
  NSH_IPV4 = 1,
  NSH_IPV6 = 2,
  NSH_ETHERNET = 3,
  NSH_NSH = 4,
  NSH_MPLS = 5,
  TYPE_NSH = 0x894f,
  TYPE_MPLS = 0x8847,
  NSH_HEADER = 8,
  PPPOE_SESSION = 0x1100,
  PBB_TAG = 4,
  MACSEC_ENCRYPTED = 0x08,
  MACSEC_CHANGED = 0x04,
  MACSEC_CHANNEL = 0x20,
};

static void decode_labels(struct decoding *decoding) {
  decoding_carries_labels(decoding, ENCAPSULATION_MPLS);
}

static void carry_type(struct decoding *decoding, enum encapsulation encapsulation, unsigned type) {
  decoding_carries(decoding, encapsulation, type >= 0x600 ? INNER_ETHERTYPE : INNER_HIDDEN, (uint16_t)type);
}

/* Base header: version, flags, hops left; length in words of four bytes; kind of context; what comes next. */
void decode_nsh(struct decoding *decoding) {
  const uint8_t *header = cursor_take(&decoding->cursor, NSH_HEADER);
  unsigned length = header != NULL ? (header[1] & 0x3f) * 4u : 0;
  if (length >= NSH_HEADER)
    cursor_skip(&decoding->cursor, length - NSH_HEADER);
  unsigned next = length >= NSH_HEADER ? header[3] : 0;
  if (next == NSH_IPV4 || next == NSH_IPV6)
    decoding_carries_ip(decoding, ENCAPSULATION_NSH);
  else if (next == NSH_ETHERNET)
    decoding_carries(decoding, ENCAPSULATION_NSH, INNER_ETHERNET, 0);
  else
    carry_type(decoding, ENCAPSULATION_NSH, next == NSH_NSH ? TYPE_NSH : next == NSH_MPLS ? TYPE_MPLS : 0);
}

static void decode_pppoe(struct decoding *decoding) {
  unsigned kind = cursor_be16(&decoding->cursor);
  cursor_skip(&decoding->cursor, 4); /* session, length */
  if (kind == PPPOE_SESSION)
    decoding_carries_ppp(decoding, ENCAPSULATION_PPPOE);
  else
    decoding_carries(decoding, ENCAPSULATION_PPPOE, INNER_HIDDEN, 0);
}

static void decode_discovery(struct decoding *decoding) {
  decoding_carries(decoding, ENCAPSULATION_PPPOE, INNER_HIDDEN, 0);
}

static void decode_backbone(struct decoding *decoding) {
  cursor_skip(&decoding->cursor, PBB_TAG);
  decoding_carries(decoding, ENCAPSULATION_PBB, INNER_ETHERNET, 0);
}

static void decode_trill(struct decoding *decoding) {
  unsigned word = cursor_be16(&decoding->cursor);
  cursor_skip(&decoding->cursor, 4 + (size_t)(word >> 6 & 0x1f) * 4);
  decoding_carries(decoding, ENCAPSULATION_TRILL, INNER_ETHERNET, 0);
}

/* Readable where it is only signed. */
static void decode_macsec(struct decoding *decoding) {
  unsigned control = cursor_u8(&decoding->cursor);
  cursor_skip(&decoding->cursor, (control & MACSEC_CHANNEL) != 0 ? 13 : 5);
  if ((control & (MACSEC_ENCRYPTED | MACSEC_CHANGED)) != 0)
    decoding_carries(decoding, ENCAPSULATION_MACSEC, INNER_HIDDEN, 0);
  else
    carry_type(decoding, ENCAPSULATION_MACSEC, cursor_be16(&decoding->cursor));
}

static void decode_bridged(struct decoding *decoding) {
  decoding_carries(decoding, ENCAPSULATION_BRIDGED, INNER_ETHERNET, 0);
}

/* HSR: path, length and number, then the ethertype that was there before. */
static void decode_redundant(struct decoding *decoding) {
  cursor_skip(&decoding->cursor, 4);
  carry_type(decoding, ENCAPSULATION_BRIDGED, cursor_be16(&decoding->cursor));
}

static void decode_plain_ppp(struct decoding *decoding) {
  decoding_carries_ppp(decoding, ENCAPSULATION_PPPOE);
}

static const struct wrapping {
  uint16_t ethertype;
  void (*decode)(struct decoding *decoding);
} WRAPPINGS[] = {
    {0x8847, decode_labels},  {0x8848, decode_labels},    {0x8863, decode_discovery}, {0x8864, decode_pppoe},
    {TYPE_NSH, decode_nsh},   {0x88e7, decode_backbone},  {0x22f3, decode_trill},     {0x88e5, decode_macsec},
    {0x6558, decode_bridged}, {0x892f, decode_redundant}, {0x880b, decode_plain_ppp},
};

bool decode_wrapping(struct decoding *decoding, uint16_t ethertype) {
  for (size_t i = 0; i < sizeof WRAPPINGS / sizeof WRAPPINGS[0]; i++) {
    if (WRAPPINGS[i].ethertype == ethertype) {
      WRAPPINGS[i].decode(decoding);
      return true;
    }
  }
  return false;
}
