/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tunnels within UDP.
 *
 * They may run on any port, so what counts is how the payload looks. A signature must be so improbable that no lawful
 * datagram shows it by chance: lengths that agree, reserved bits, a plausible packet inside. At the port of a tunnel
 * less is asked. Most datagrams are dismissed by their first bits.
 */
#include <net/ethernet.h>

#include "wire/decode.h"

enum {
  PORTS_MOST = 4,
  PORT_ESP = 4500,
  UDP_HEADER_LENGTH = 8,
  IPV6_HEADER = 40,
  IKE_HEADER = 28,
  WIREGUARD_INITIATION = 148,
  WIREGUARD_RESPONSE = 92,
  WIREGUARD_COOKIE = 64,
  WIREGUARD_DATA = 32,
};

static uint16_t load16(const uint8_t *bytes) {
  return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static uint32_t load32(const uint8_t *bytes) {
  return (uint32_t)load16(bytes) << 16 | load16(bytes + 2);
}

/* A datagram while it is looked at. */
struct datagram {
  struct decoding *decoding;
  const uint8_t *bytes;
  size_t captured; /* bytes of the payload that are there */
  uint32_t length; /* bytes of the payload that were sent */
  bool at_port;    /* to or from a port of the tunnel that is being tried */
};

static bool carry(const struct datagram *datagram, size_t header, enum encapsulation encapsulation,
                  enum inner_form form, uint16_t type) {
  struct decoding *decoding = datagram->decoding;
  cursor_skip(&decoding->cursor, header);
  decoding_carries(decoding, encapsulation, form, type);
  return true;
}

static bool carry_ip(const struct datagram *datagram, size_t header, enum encapsulation encapsulation) {
  cursor_skip(&datagram->decoding->cursor, header);
  decoding_carries_ip(datagram->decoding, encapsulation);
  return true;
}

static struct cursor behind(const struct datagram *datagram, size_t header) {
  struct cursor look = datagram->decoding->cursor;
  cursor_skip(&look, header);
  return look;
}

/* ---- bare IP ---- */

static bool is_teredo_address(const uint8_t *address) {
  return load32(address) == 0x20010000;
}

static bool try_ip(struct datagram *datagram) {
  const uint8_t *bytes = datagram->bytes;
  if (bytes[0] >> 4 == 4)
    return is_ip_packet(bytes, datagram->captured, datagram->length) && carry_ip(datagram, 0, ENCAPSULATION_IP_IN_UDP);
  if (!is_ip_packet(bytes, datagram->captured, datagram->length))
    return false;
  bool teredo = is_teredo_address(bytes + 8) || is_teredo_address(bytes + 24);
  return carry_ip(datagram, 0, teredo ? ENCAPSULATION_TEREDO : ENCAPSULATION_IP_IN_UDP);
}

/* Indications in front: authentication, then where the packet came from. */
static bool try_teredo(struct datagram *datagram) {
  struct cursor look = datagram->decoding->cursor;
  size_t skipped = 0;
  if (datagram->captured >= 4 && load16(datagram->bytes) == 1)
    skipped = 13u + datagram->bytes[2] + datagram->bytes[3];
  cursor_skip(&look, skipped);
  struct cursor origin = look;
  if (cursor_be16(&origin) == 0 && !origin.failed)
    skipped += 8;
  look = behind(datagram, skipped);
  const uint8_t *bytes = cursor_take(&look, IPV6_HEADER);
  return bytes != NULL && bytes[0] >> 4 == 6 && skipped + IPV6_HEADER + load16(bytes + 4) == datagram->length &&
         carry_ip(datagram, skipped, ENCAPSULATION_TEREDO);
}

/* ---- with a header ---- */

static bool is_plain_vxlan(const uint8_t *bytes) {
  return load32(bytes) == 0x08000000 && bytes[7] == 0;
}

/* The generic protocol extension says what follows; else it is Ethernet. */
static bool try_vxlan(struct datagram *datagram) {
  static const uint16_t TYPES[] = {0, ETHERTYPE_IP, ETHERTYPE_IPV6, 0, 0x894f, 0x8847};
  const uint8_t *bytes = datagram->bytes;
  if (datagram->captured < 8 || (bytes[0] & 0x08) == 0)
    return false;
  bool generic = (bytes[0] & 0x04) != 0;
  if (generic && datagram->at_port && bytes[3] < sizeof TYPES / sizeof TYPES[0] && TYPES[bytes[3]] != 0)
    return carry(datagram, 8, ENCAPSULATION_VXLAN, INNER_ETHERTYPE, TYPES[bytes[3]]);
  if (!datagram->at_port && !is_plain_vxlan(bytes))
    return false;
  return looks_like_ethernet(behind(datagram, 8)) && carry(datagram, 8, ENCAPSULATION_VXLAN, INNER_ETHERNET, 0);
}

static bool try_geneve(struct datagram *datagram) {
  enum { BRIDGED = 0x6558 };
  const uint8_t *bytes = datagram->bytes;
  if (datagram->captured < 8 || (bytes[0] & 0xc0) != 0 || (bytes[1] & 0x3f) != 0 || bytes[7] != 0)
    return false;
  uint16_t type = load16(bytes + 2);
  size_t header = 8 + (bytes[0] & 0x3fu) * 4;
  if (type == BRIDGED && looks_like_ethernet(behind(datagram, header)))
    return carry(datagram, header, ENCAPSULATION_GENEVE, INNER_ETHERNET, 0);
  bool ip = type == ETHERTYPE_IP || type == ETHERTYPE_IPV6;
  return ip && looks_like_ip(behind(datagram, header)) && carry_ip(datagram, header, ENCAPSULATION_GENEVE);
}

/* A user's packet: version 1, type 255, a length that fits; extensions follow as a chain. */
static bool try_gtp(struct datagram *datagram) {
  enum { CHAIN_MOST = 8, HEADER = 8, HAS_EXTENSION = 0x04 };
  const uint8_t *bytes = datagram->bytes;
  if (datagram->captured < HEADER || (bytes[0] & 0xf0) != 0x30 || bytes[1] != 0xff ||
      load16(bytes + 2) + (uint32_t)HEADER != datagram->length)
    return false;
  struct cursor look = behind(datagram, (bytes[0] & 7) != 0 ? HEADER + 3 : HEADER);
  unsigned next = (bytes[0] & 7) != 0 ? cursor_u8(&look) : 0;
  next = (bytes[0] & HAS_EXTENSION) != 0 ? next : 0;
  for (int i = 0; next != 0 && i < CHAIN_MOST && !look.failed; i++) {
    unsigned words = cursor_u8(&look);
    cursor_skip(&look, words > 0 ? words * 4 - 2 : 0);
    next = cursor_u8(&look);
  }
  if (look.failed || !looks_like_ip(look))
    return false;
  return carry_ip(datagram, look.position - datagram->decoding->cursor.position, ENCAPSULATION_GTP);
}

/* PPP for a session within an address and control field, or of a protocol that is common there. */
static bool looks_like_ppp(struct cursor look) {
  static const uint16_t COMMON[] = {0x0021, 0x0057, 0x0281, 0x0031, 0x8021, 0x8057, 0xc021, 0xc023, 0xc223, 0xc227};
  unsigned protocol = cursor_be16(&look);
  if (protocol == 0xff03)
    return true;
  for (size_t i = 0; i < sizeof COMMON / sizeof COMMON[0]; i++)
    if (COMMON[i] == protocol)
      return true;
  return false;
}

/* Behind an optional length, tunnel, session, numbers and padding stands PPP. */
static bool carry_l2tp_data(const struct datagram *datagram, unsigned flags) {
  struct cursor look = behind(datagram, (flags & 0x4000) != 0 ? 8 : 6);
  if ((flags & 0x0800) != 0)
    cursor_skip(&look, 4);
  if ((flags & 0x0200) != 0)
    cursor_skip(&look, cursor_be16(&look));
  if (!looks_like_ppp(look))
    return false;
  datagram->decoding->cursor = look;
  decoding_carries_ppp(datagram->decoding, ENCAPSULATION_L2TP);
  return true;
}

static bool try_l2tp(struct datagram *datagram) {
  enum { RESERVED_2 = 0x34f0, RESERVED_3 = 0x7ff0 };
  unsigned flags = datagram->captured >= 4 ? load16(datagram->bytes) : 0, version = flags & 0x0f;
  if (version != 2 && version != 3)
    return false;
  if ((flags & 0x8000) != 0) /* control: its length is always there */
    return (flags & 0x4000) != 0 && load16(datagram->bytes + 2) == datagram->length && datagram->length >= 12 &&
           carry(datagram, 0, ENCAPSULATION_L2TP, INNER_HIDDEN, 0);
  if (!datagram->at_port || (flags & (version == 2 ? RESERVED_2 : RESERVED_3)) != 0)
    return false;
  if (version == 2)
    return carry_l2tp_data(datagram, flags);
  if (load16(datagram->bytes + 2) != 0)
    return false;
  cursor_skip(&datagram->decoding->cursor, 4);
  decode_l2tpv3(datagram->decoding);
  return true;
}

/* A whole IP packet, and nothing more, behind a header of that size. */
static bool is_ip_behind(const struct datagram *datagram, size_t header) {
  if (header >= datagram->captured)
    return false;
  return is_ip_packet(datagram->bytes + header, datagram->captured - header, datagram->length - (uint32_t)header);
}

static bool try_lisp(struct datagram *datagram) {
  return is_ip_behind(datagram, 8) && carry_ip(datagram, 8, ENCAPSULATION_LISP);
}

static bool try_gue(struct datagram *datagram) {
  size_t header = 4 + (datagram->bytes[0] & 0x1fu) * 4;
  return (datagram->bytes[0] & 0xe0) == 0 && is_ip_behind(datagram, header) &&
         carry_ip(datagram, header, ENCAPSULATION_IP_IN_UDP);
}

static bool try_labels(struct datagram *datagram) {
  struct cursor behind_one = behind(datagram, 4);
  bool one = datagram->captured >= 4 && (datagram->bytes[2] & 1) != 0;
  if (one && !looks_like_ip(behind_one) && !looks_like_ethernet(behind_one))
    return false;
  decoding_carries_labels(datagram->decoding, ENCAPSULATION_MPLS);
  return true;
}

/* ---- encrypted ---- */

/*
 * The head of DNS: one question, few of everything else. Its number may be any, and so the first bytes of any tunnel,
 * but where this looks others have random bytes.
 */
static bool is_dns(const uint8_t *bytes, size_t captured) {
  return captured >= 12 && load16(bytes + 4) == 1 && bytes[6] == 0 && bytes[8] == 0 && bytes[10] == 0;
}

/* The counter of a data message never reaches its last three bytes within the life of a key. */
static bool try_wireguard(struct datagram *datagram) {
  const uint8_t *bytes = datagram->bytes;
  uint32_t length = datagram->length;
  if (datagram->captured < 16 || (load32(bytes) & 0x00ffffff) != 0)
    return false;
  bool shakes_hands = (bytes[0] == 1 && length == WIREGUARD_INITIATION) ||
                      (bytes[0] == 2 && length == WIREGUARD_RESPONSE) || (bytes[0] == 3 && length == WIREGUARD_COOKIE);
  bool fits = (shakes_hands && !is_dns(bytes, datagram->captured)) ||
              (bytes[0] == 4 && length >= WIREGUARD_DATA && length % 16 == 0 && (load32(bytes + 12) & 0xffffff) == 0);
  return fits && carry(datagram, 0, ENCAPSULATION_WIREGUARD, INNER_HIDDEN, 0);
}

/*
 * The first message of either side: operation, session, then plain, or signed by a shared key (digest, number, time),
 * or encrypted (number, time, digest).
 */
static bool is_openvpn_reset(const uint8_t *bytes, size_t captured, uint32_t length) {
  static const uint32_t DIGESTS[] = {16, 20, 28, 32, 48, 64};
  bool from_server = bytes[0] == 0x40;
  if (bytes[0] != 0x38 && bytes[0] != 0x40 && bytes[0] != 0x50)
    return false;
  if (captured >= 14 && length == (from_server ? 26 : 14))
    return from_server ? bytes[9] == 1 && load32(bytes + 10) == 0 : bytes[9] == 0 && load32(bytes + 10) == 0;
  if (is_dns(bytes, captured))
    return false;
  for (size_t i = 0; i < sizeof DIGESTS / sizeof DIGESTS[0]; i++)
    if (length == (from_server ? 34u : 22u) + DIGESTS[i] && captured >= 13 + DIGESTS[i] + 4)
      return load32(bytes + 9 + DIGESTS[i]) == 1 || load32(bytes + 9) == 1;
  return bytes[0] == 0x50 && length > 54 && captured >= 13 && load32(bytes + 9) == 0x0f000001;
}

static bool is_openvpn_operation(unsigned byte) {
  unsigned operation = byte >> 3;
  return operation >= 3 && operation <= 11;
}

static bool try_openvpn(struct datagram *datagram) {
  bool known = datagram->at_port && is_openvpn_operation(datagram->bytes[0]) && datagram->length >= 14;
  return (known || is_openvpn_reset(datagram->bytes, datagram->captured, datagram->length)) &&
         carry(datagram, 0, ENCAPSULATION_OPENVPN, INNER_HIDDEN, 0);
}

/* header: at the first cookie. Version, a length that fits, an exchange that exists. */
static bool is_ike(const uint8_t *header, size_t captured, uint32_t length) {
  if (captured < IKE_HEADER || (header[17] != 0x10 && header[17] != 0x20) || load32(header + 24) != length)
    return false;
  unsigned exchange = header[18];
  return load32(header) != 0 && ((exchange >= 1 && exchange <= 6) || (exchange >= 32 && exchange <= 44));
}

static bool try_ike(struct datagram *datagram) {
  return is_ike(datagram->bytes, datagram->captured, datagram->length) &&
         carry(datagram, 0, ENCAPSULATION_IKE, INNER_HIDDEN, 0);
}

/* Four zero bytes: IKE; one byte 0xff: keeps an address translation alive; else ESP by its index. */
static bool try_esp(struct datagram *datagram) {
  const uint8_t *bytes = datagram->bytes;
  if (datagram->length == 1 && bytes[0] == 0xff)
    return carry(datagram, 0, ENCAPSULATION_ESP, INNER_HIDDEN, 0);
  if (datagram->captured < 8)
    return false;
  if (load32(bytes) == 0)
    return is_ike(bytes + 4, datagram->captured - 4, datagram->length - 4) &&
           carry(datagram, 0, ENCAPSULATION_IKE, INNER_HIDDEN, 0);
  return load32(bytes) >= 256 && datagram->length >= 24 && carry(datagram, 0, ENCAPSULATION_ESP, INNER_HIDDEN, 0);
}

/* ---- which to try ---- */

struct signature {
  bool (*try)(struct datagram *datagram); /* notes what it found */
  bool anywhere;                          /* may be recognised at any port */
  uint8_t encapsulation;
  uint16_t ports[PORTS_MOST]; /* 0: none */
};

enum {
  TRY_TEREDO = 1 << 0,
  TRY_VXLAN = 1 << 1,
  TRY_GENEVE = 1 << 2,
  TRY_WIREGUARD = 1 << 3,
  TRY_IP = 1 << 4,
  TRY_GTP = 1 << 5,
  TRY_L2TP = 1 << 6,
  TRY_OPENVPN = 1 << 7,
  TRY_IKE = 1 << 8,
  TRY_ESP = 1 << 9,
  TRY_LISP = 1 << 10,
  TRY_GUE = 1 << 11,
  TRY_LABELS = 1 << 12,
  SIGNATURES = 13,
};

/* By the number of their bit. */
static const struct signature SIGNATURE[SIGNATURES] = {
    {try_teredo, false, ENCAPSULATION_TEREDO, {3544}},     {try_vxlan, true, ENCAPSULATION_VXLAN, {4789, 4790, 8472}},
    {try_geneve, true, ENCAPSULATION_GENEVE, {6081}},      {try_wireguard, true, ENCAPSULATION_WIREGUARD, {51820}},
    {try_ip, true, ENCAPSULATION_IP_IN_UDP, {5555, 6080}}, {try_gtp, true, ENCAPSULATION_GTP, {2152}},
    {try_l2tp, true, ENCAPSULATION_L2TP, {1701}},          {try_openvpn, true, ENCAPSULATION_OPENVPN, {1194}},
    {try_ike, true, ENCAPSULATION_IKE, {500, 4500}},       {try_esp, false, ENCAPSULATION_ESP, {4500}},
    {try_lisp, false, ENCAPSULATION_LISP, {4341}},         {try_gue, false, ENCAPSULATION_IP_IN_UDP, {6080}},
    {try_labels, false, ENCAPSULATION_MPLS, {6635}},
};

/* What may begin with the first four bits, whatever the port. IKE begins with any: its version tells. */
static const uint16_t FIRST_BITS[16] = {
    [0x0] = TRY_GENEVE | TRY_VXLAN | TRY_WIREGUARD,
    [0x1] = TRY_GENEVE,
    [0x2] = TRY_GENEVE,
    [0x3] = TRY_GENEVE | TRY_GTP | TRY_OPENVPN,
    [0x4] = TRY_IP | TRY_OPENVPN,
    [0x5] = TRY_OPENVPN,
    [0x6] = TRY_IP,
    [0xc] = TRY_L2TP,
};

/* The ports of the signatures, each in its place by remainder: one look instead of a search. */
enum { PORT_PLACES = 128 };

static const struct {
  uint16_t port, tries;
} PORTS[PORT_PLACES] = {
    [4789 % PORT_PLACES] = {4789, TRY_VXLAN},       [4790 % PORT_PLACES] = {4790, TRY_VXLAN},
    [8472 % PORT_PLACES] = {8472, TRY_VXLAN},       [6081 % PORT_PLACES] = {6081, TRY_GENEVE},
    [51820 % PORT_PLACES] = {51820, TRY_WIREGUARD}, [5555 % PORT_PLACES] = {5555, TRY_IP},
    [6080 % PORT_PLACES] = {6080, TRY_GUE},         [2152 % PORT_PLACES] = {2152, TRY_GTP},
    [1701 % PORT_PLACES] = {1701, TRY_L2TP},        [1194 % PORT_PLACES] = {1194, TRY_OPENVPN},
    [500 % PORT_PLACES] = {500, TRY_IKE},           [4500 % PORT_PLACES] = {4500, TRY_ESP},
    [3544 % PORT_PLACES] = {3544, TRY_TEREDO},      [4341 % PORT_PLACES] = {4341, TRY_LISP},
    [6635 % PORT_PLACES] = {6635, TRY_LABELS},
};

static unsigned tries_of_port(uint16_t port) {
  return PORTS[port % PORT_PLACES].port == port ? PORTS[port % PORT_PLACES].tries : 0;
}

bool encapsulation_has_port(enum encapsulation encapsulation, uint16_t port) {
  for (unsigned i = 0; i < SIGNATURES; i++)
    for (unsigned p = 0; p < PORTS_MOST && SIGNATURE[i].encapsulation == encapsulation; p++)
      if (SIGNATURE[i].ports[p] == port && port != 0)
        return true;
  return false;
}

/* A client's own port may be that of a tunnel by chance; towards a well-known port it is. */
static unsigned tries_of_ports(const struct packet *packet) {
  enum { WELL_KNOWN = 1024 };
  unsigned tries = tries_of_port(packet->destination_port);
  return tries == 0 && packet->destination_port >= WELL_KNOWN ? tries_of_port(packet->source_port) : tries;
}

static bool may_be_ike(const struct datagram *datagram) {
  return datagram->captured >= IKE_HEADER && (datagram->bytes[17] == 0x20 || datagram->bytes[17] == 0x10);
}

void decode_udp_payload(struct decoding *decoding, uint32_t payload) {
  const struct cursor *cursor = &decoding->cursor;
  struct datagram datagram = {.decoding = decoding,
                              .bytes = cursor->data + cursor->position,
                              .captured = cursor_left(cursor),
                              .length = payload};
  if (datagram.captured == 0)
    return;
  unsigned at_port = tries_of_ports(decoding->packet);
  unsigned tries = FIRST_BITS[datagram.bytes[0] >> 4] | at_port | (may_be_ike(&datagram) ? TRY_IKE : 0);
  for (unsigned i = 0; tries != 0; i++, tries >>= 1) {
    datagram.at_port = (at_port >> i & 1) != 0;
    if ((tries & 1) != 0 && (datagram.at_port || SIGNATURE[i].anywhere) && SIGNATURE[i].try(&datagram))
      return;
  }
}
