/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proof/witness.h"

#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <string.h>

#include <linux/netfilter/nf_conntrack_common.h>

/*
 * Theory of operation. An assignment gives a value to every variable that the proof ever asked about. Fields become
 * members of a `flat` packet first; the frame is written from it, header by header, with lengths and checksums right;
 * then the bits that belong to no field (a rule asked for the type of service, say) are put in their places.
 * Preferences work the other way round: a flat packet that reads well is written as a frame, and each variable
 * prefers the bit that stands there.
 */

enum {
  LINK_LENGTH = ETH_HLEN,
  EXTENSION_LENGTH = 8,
  DEFAULT_SOURCE_PORT = 50000,
  DEFAULT_DESTINATION_PORT = 443,
  HOP_LIMIT = 64,
  PLAIN_IPV4 = 0x45,
  OFFSET_MASK = 0x1fff,
  ICMP4_ECHO = 8,
  ICMP4_ECHO_REPLY = 0,
  ICMP6_ECHO = 128,
  ICMP6_ECHO_REPLY = 129,
};

struct flat_tuple {
  struct address source, destination;
  uint8_t protocol;
  uint16_t source_port, destination_port;
};

/* A packet as fields. */
struct flat {
  enum address_family family;
  struct flat_tuple tuple, original, quoted;
  bool quotes; /* an ICMP error, which quotes a packet of the original tuple */
  uint8_t tcp_flags, version_length, next_header, hop_limit, routing_type;
  uint16_t fragment;
  bool hop_by_hop, routing, fragment_header, transport_readable;
  struct mac source_mac;
  uint32_t mark, status;
};

/* Where the headers of a frame begin. */
struct layout {
  size_t begin[BASE_COUNT_];
  size_t length;
};

struct writer {
  uint8_t *bytes;
  size_t length, room;
};

static uint8_t *put(struct writer *writer, size_t length) {
  if (writer->length + length > writer->room)
    length = writer->room - writer->length;
  uint8_t *at = writer->bytes + writer->length;
  memset(at, 0, length);
  writer->length += length;
  return at;
}

static void put_number(uint8_t *at, uint16_t number) {
  at[0] = (uint8_t)(number >> 8);
  at[1] = (uint8_t)number;
}

static uint32_t add_words(const uint8_t *bytes, size_t length, uint32_t sum) {
  for (size_t i = 0; i < length; i++)
    sum += (uint32_t)bytes[i] << ((i & 1) != 0 ? 0 : 8);
  return sum;
}

static uint16_t fold(uint32_t sum) {
  while (sum >> 16 != 0)
    sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

static bool is_icmp(uint8_t protocol) {
  return protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMPV6;
}

/* ---- writing a frame ---- */

static void write_ipv4(struct writer *writer, const struct flat_tuple *tuple, uint8_t version_length, uint16_t fragment,
                       uint8_t hop_limit) {
  size_t length = (size_t)(version_length & 15) * 4;
  uint8_t *at = put(writer, length < 20 ? 20 : length);
  at[0] = version_length;
  put_number(at + 4, 1);
  put_number(at + 6, fragment);
  at[8] = hop_limit;
  at[9] = tuple->protocol;
  memcpy(at + 12, tuple->source.bytes, 4);
  memcpy(at + 16, tuple->destination.bytes, 4);
  for (size_t i = 20; i < length; i++)
    at[i] = IPOPT_NOP;
}

static void write_ipv6(struct writer *writer, const struct flat_tuple *tuple, uint8_t next_header, uint8_t hop_limit) {
  uint8_t *at = put(writer, 40);
  at[0] = 0x60;
  at[6] = next_header;
  at[7] = hop_limit;
  memcpy(at + 8, tuple->source.bytes, 16);
  memcpy(at + 24, tuple->destination.bytes, 16);
}

/* The extension headers in their order, each pointing to the next. */
static void write_extensions(struct writer *writer, const struct flat *flat) {
  const struct {
    bool present;
    uint8_t header;
  } extensions[] = {
      {flat->hop_by_hop, IPPROTO_HOPOPTS}, {flat->routing, IPPROTO_ROUTING}, {flat->fragment_header, IPPROTO_FRAGMENT}};
  uint8_t *previous = NULL;
  for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
    if (!extensions[i].present)
      continue;
    if (previous != NULL)
      previous[0] = extensions[i].header;
    previous = put(writer, EXTENSION_LENGTH);
    if (extensions[i].header == IPPROTO_HOPOPTS)
      previous[2] = 1, previous[3] = 4; /* PadN fills it up */
    if (extensions[i].header == IPPROTO_ROUTING)
      previous[2] = flat->routing_type;
    if (extensions[i].header == IPPROTO_FRAGMENT) /* offset above, MF lowest; IPv4 has MF above the offset */
      put_number(previous + 2, (uint16_t)((flat->fragment & OFFSET_MASK) << 3 | ((flat->fragment >> 13) & 1)));
  }
  if (previous != NULL)
    previous[0] = flat->tuple.protocol;
}

/* As long as a TCP header, whatever the protocol: rules that forgot to ask for the protocol read the same bytes of all.
 */
static void write_transport(struct writer *writer, const struct flat_tuple *tuple, uint8_t tcp_flags, bool quotes) {
  enum { LENGTH = 20, SHORT = 8 };
  uint8_t *at = put(writer, quotes ? SHORT : LENGTH);
  put_number(at, tuple->source_port);
  put_number(at + 2, tuple->destination_port);
  if (tuple->protocol == PROTOCOL_TCP) {
    at[12] = 5 << 4;
    put_number(at + 14, 1024);
  }
  if (!quotes)
    at[13] = tcp_flags;
  if (tuple->protocol == PROTOCOL_UDP)
    put_number(at + 4, LENGTH);
}

static void write_quotation(struct writer *writer, const struct flat *flat) {
  if (flat->family == FAMILY_IPV4)
    write_ipv4(writer, &flat->quoted, PLAIN_IPV4, 0, HOP_LIMIT);
  else
    write_ipv6(writer, &flat->quoted, flat->quoted.protocol, HOP_LIMIT);
  write_transport(writer, &flat->quoted, TCP_ACK, false);
}

/* Lengths and checksums of one IP packet that begins at `begin`. */
static void seal_ip(uint8_t *bytes, size_t begin, size_t transport, size_t end, enum address_family family,
                    uint8_t protocol, bool checksum) {
  uint8_t *ip = bytes + begin;
  if (family == FAMILY_IPV4) {
    put_number(ip + 2, (uint16_t)(end - begin));
    put_number(ip + 10, 0);
    put_number(ip + 10, fold(add_words(ip, transport - begin, 0)));
  } else {
    put_number(ip + 4, (uint16_t)(end - begin - 40));
  }
  static const struct {
    uint8_t protocol;
    size_t offset;
  } places[] = {{PROTOCOL_TCP, 16}, {PROTOCOL_UDP, 6}, {PROTOCOL_ICMP, 2}, {PROTOCOL_ICMPV6, 2}};
  for (size_t i = 0; checksum && i < sizeof(places) / sizeof(places[0]); i++) {
    if (places[i].protocol != protocol || transport + places[i].offset + 2 > end)
      continue;
    size_t addresses = family == FAMILY_IPV4 ? 12 : 8, width = family == FAMILY_IPV4 ? 8 : 32;
    uint32_t sum =
        protocol == PROTOCOL_ICMP ? 0 : add_words(ip + addresses, width, 0) + protocol + (uint32_t)(end - transport);
    put_number(bytes + transport + places[i].offset, 0);
    put_number(bytes + transport + places[i].offset, fold(add_words(bytes + transport, end - transport, sum)));
  }
}

static struct layout write_frame(const struct flat *flat, uint8_t *bytes, size_t room) {
  static const uint8_t gateway_mac[6] = {0x02, 0, 0, 0, 0, 0x01};
  struct writer writer = {bytes, 0, room};
  struct layout layout = {0};
  uint8_t *link = put(&writer, LINK_LENGTH);
  memcpy(link, gateway_mac, 6);
  memcpy(link + 6, flat->source_mac.bytes, 6);
  put_number(link + 12, flat->family == FAMILY_IPV4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
  layout.begin[BASE_NETWORK] = writer.length;
  if (flat->family == FAMILY_IPV4) {
    write_ipv4(&writer, &flat->tuple, flat->version_length, flat->fragment, flat->hop_limit);
  } else {
    write_ipv6(&writer, &flat->tuple, flat->next_header, flat->hop_limit);
    write_extensions(&writer, flat);
  }
  layout.begin[BASE_TRANSPORT] = writer.length;
  if (flat->transport_readable)
    write_transport(&writer, &flat->tuple, flat->tcp_flags, flat->quotes);
  if (flat->transport_readable && flat->quotes)
    write_quotation(&writer, flat);
  layout.length = writer.length;
  return layout;
}

static void seal_frame(const struct flat *flat, const struct layout *layout, uint8_t *bytes) {
  size_t transport = layout->begin[BASE_TRANSPORT];
  if (flat->transport_readable && flat->quotes) {
    size_t begin = transport + 8, header = flat->family == FAMILY_IPV4 ? 20 : 40;
    if (begin + header <= layout->length)
      seal_ip(bytes, begin, begin + header, layout->length, flat->family, flat->quoted.protocol, true);
  }
  bool whole = (flat->fragment & OFFSET_MASK) == 0 && flat->transport_readable;
  seal_ip(bytes, layout->begin[BASE_NETWORK], transport, layout->length, flat->family, flat->tuple.protocol, whole);
}

/* ---- between assignments and fields ---- */

static struct address read_address(const struct space *space, const uint8_t *bits, enum space_field field,
                                   enum address_family family) {
  struct address address = {.family = family};
  uint8_t bytes[16];
  space_read(space, bits, field, bytes);
  memcpy(address.bytes, bytes, address_length(family)); /* IPv4 has the first bits of the field */
  return address;
}

static struct flat_tuple read_tuple(const struct space *space, const uint8_t *bits, enum address_family family,
                                    bool original) {
  return (struct flat_tuple){
      .source = read_address(space, bits, original ? FIELD_ORIGINAL_SOURCE : FIELD_SOURCE, family),
      .destination = read_address(space, bits, original ? FIELD_ORIGINAL_DESTINATION : FIELD_DESTINATION, family),
      .protocol = (uint8_t)space_number(space, bits, original ? FIELD_ORIGINAL_PROTOCOL : FIELD_PROTOCOL),
      .source_port = (uint16_t)space_number(space, bits, original ? FIELD_ORIGINAL_SOURCE_PORT : FIELD_SOURCE_PORT),
      .destination_port =
          (uint16_t)space_number(space, bits, original ? FIELD_ORIGINAL_DESTINATION_PORT : FIELD_DESTINATION_PORT),
  };
}

static bool is_related(const struct situation *situation) {
  return situation->tracking == TRACKING_RELATED_ORIGINAL || situation->tracking == TRACKING_RELATED_REPLY;
}

static struct flat_tuple turn(struct flat_tuple tuple) {
  struct flat_tuple turned = {tuple.destination, tuple.source, tuple.protocol, tuple.destination_port,
                              tuple.source_port};
  if (is_icmp(tuple.protocol)) { /* the type is answered by its counterpart, the identifier stays */
    uint8_t type = (uint8_t)(tuple.source_port >> 8);
    uint8_t echo = tuple.protocol == PROTOCOL_ICMP ? ICMP4_ECHO : ICMP6_ECHO;
    uint8_t reply = tuple.protocol == PROTOCOL_ICMP ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY;
    turned.source_port = (uint16_t)((type == reply ? echo : type == echo ? reply : type) << 8);
    turned.destination_port = tuple.destination_port;
  }
  return turned;
}

static struct flat read_flat(const struct space *space, const uint8_t *bits, const struct situation *situation) {
  struct flat flat = {
      .family = situation->family,
      .tuple = read_tuple(space, bits, situation->family, false),
      .quotes = is_related(situation),
      .tcp_flags = (uint8_t)space_number(space, bits, FIELD_TCP_FLAGS),
      .version_length = (uint8_t)space_number(space, bits, FIELD_VERSION_LENGTH),
      .next_header = (uint8_t)space_number(space, bits, FIELD_NEXT_HEADER),
      .hop_limit = (uint8_t)space_number(space, bits, FIELD_HOP_LIMIT),
      .routing_type = (uint8_t)space_number(space, bits, FIELD_ROUTING_TYPE),
      .fragment = (uint16_t)space_number(space, bits, FIELD_FRAGMENT),
      .hop_by_hop = space_number(space, bits, FIELD_HAS_HOP_BY_HOP) != 0,
      .routing = space_number(space, bits, FIELD_HAS_ROUTING) != 0,
      .fragment_header = space_number(space, bits, FIELD_HAS_FRAGMENT) != 0,
      .transport_readable = space_number(space, bits, FIELD_TRANSPORT_READABLE) != 0,
      .mark = (uint32_t)space_number(space, bits, FIELD_MARK),
      .status = (uint32_t)space_number(space, bits, FIELD_STATUS),
  };
  space_read(space, bits, FIELD_SOURCE_MAC, flat.source_mac.bytes);
  flat.original = flat.quotes                             ? read_tuple(space, bits, situation->family, true)
                  : situation->tracking == TRACKING_REPLY ? turn(flat.tuple)
                                                          : flat.tuple;
  /* An error that travels with the opener is about an answer to it. */
  flat.quoted = situation->tracking == TRACKING_RELATED_ORIGINAL ? turn(flat.original) : flat.original;
  return flat;
}

/* ---- what reads well ---- */

static struct flat wished_flat(const struct situation *situation, const struct witness_wishes *wishes) {
  bool version4 = situation->family == FAMILY_IPV4, related = is_related(situation);
  bool opens = situation->tracking == TRACKING_OPENS || situation->tracking == TRACKING_OPENS_AGAIN;
  uint8_t protocol = wishes->protocol != 0 ? wishes->protocol : PROTOCOL_TCP;
  uint16_t port = wishes->destination_port != 0 ? wishes->destination_port : DEFAULT_DESTINATION_PORT;
  bool reply = situation->tracking == TRACKING_REPLY;
  struct flat_tuple tuple = {wishes->source, wishes->destination, protocol, reply ? port : DEFAULT_SOURCE_PORT,
                             reply ? DEFAULT_SOURCE_PORT : port};
  if (is_icmp(protocol))
    tuple.source_port =
        (uint16_t)((version4 ? (reply ? ICMP4_ECHO_REPLY : ICMP4_ECHO) : (reply ? ICMP6_ECHO_REPLY : ICMP6_ECHO)) << 8);
  struct flat flat = {
      .family = situation->family,
      .tuple = tuple,
      .original = tuple,
      .quotes = related,
      .tcp_flags = opens ? TCP_SYN : TCP_ACK,
      .version_length = version4 ? PLAIN_IPV4 : 0,
      .next_header = protocol,
      .hop_limit = HOP_LIMIT,
      .transport_readable = true,
      .source_mac = {{0x02, 0, 0, 0, 0, 0x0a}},
      .mark = wishes->mark,
      .status = situation->tracking == TRACKING_OPENS ? 0 : IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED,
  };
  if (related) { /* "port unreachable" */
    flat.tuple.protocol = version4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6;
    flat.tuple.source_port = version4 ? 3 << 8 | 3 : 1 << 8 | 4;
    flat.tuple.destination_port = 0;
    flat.next_header = flat.tuple.protocol;
  }
  return flat;
}

static void prefer_bytes(const struct space *space, enum space_field field, const uint8_t *bytes, unsigned width,
                         uint8_t *preferred) {
  for (unsigned bit = 0; bit < width; bit++)
    preferred[space_field_variable(space, field, bit)] = (bytes[bit / 8] >> (7 - bit % 8)) & 1;
}

static void prefer_number(const struct space *space, enum space_field field, uint64_t number, uint8_t *preferred) {
  unsigned width = space_field_width(field);
  for (unsigned bit = 0; bit < width; bit++)
    preferred[space_field_variable(space, field, bit)] = (number >> (width - 1 - bit)) & 1;
}

static void prefer_tuple(const struct space *space, const struct flat_tuple *tuple, bool original, uint8_t *preferred) {
  prefer_bytes(space, original ? FIELD_ORIGINAL_SOURCE : FIELD_SOURCE, tuple->source.bytes,
               (unsigned)address_length(tuple->source.family) * 8, preferred);
  prefer_bytes(space, original ? FIELD_ORIGINAL_DESTINATION : FIELD_DESTINATION, tuple->destination.bytes,
               (unsigned)address_length(tuple->destination.family) * 8, preferred);
  prefer_number(space, original ? FIELD_ORIGINAL_PROTOCOL : FIELD_PROTOCOL, tuple->protocol, preferred);
  prefer_number(space, original ? FIELD_ORIGINAL_SOURCE_PORT : FIELD_SOURCE_PORT, tuple->source_port, preferred);
  prefer_number(space, original ? FIELD_ORIGINAL_DESTINATION_PORT : FIELD_DESTINATION_PORT, tuple->destination_port,
                preferred);
}

static void prefer_fields(const struct space *space, const struct flat *flat, uint8_t *preferred) {
  prefer_tuple(space, &flat->tuple, false, preferred);
  prefer_tuple(space, &flat->original, true, preferred);
  const struct {
    enum space_field field;
    uint64_t number;
  } numbers[] = {
      {FIELD_MARK, flat->mark},
      {FIELD_TCP_FLAGS, flat->tcp_flags},
      {FIELD_VERSION_LENGTH, flat->version_length},
      {FIELD_FRAGMENT, 0},
      {FIELD_NEXT_HEADER, flat->next_header},
      {FIELD_HOP_LIMIT, flat->hop_limit},
      {FIELD_TRANSPORT_READABLE, 1},
      {FIELD_STATUS, flat->status},
  };
  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
    prefer_number(space, numbers[i].field, numbers[i].number, preferred);
  prefer_bytes(space, FIELD_SOURCE_MAC, flat->source_mac.bytes, 48, preferred);
}

/* Bits that belong to no field prefer to be what a frame without wishes has there. */
static void prefer_other_bits(const struct space *space, const struct flat *flat, unsigned count, uint8_t *preferred) {
  uint8_t bytes[256] = {0};
  struct layout layout = write_frame(flat, bytes, sizeof(bytes));
  seal_frame(flat, &layout, bytes);
  for (unsigned variable = 0; variable < count; variable++) {
    enum space_base base;
    unsigned byte, bit;
    if (space_packet_bit(space, flat->family, variable, &base, &byte, &bit) &&
        layout.begin[base] + byte < sizeof(bytes))
      preferred[variable] = (bytes[layout.begin[base] + byte] >> (7 - bit)) & 1;
  }
}

/*
 * An ICMP error goes to whoever sent what it quotes: conntrack takes no other (nf_conntrack_proto.c,
 * nf_conntrack_inet_error()). As a condition on all packets this would be a diagram without end; for one destination it
 * is small.
 */
static diagram quoting(const struct space *space, struct diagram_store *store, const struct situation *situation,
                       const uint8_t *bits) {
  bool reply = situation->tracking == TRACKING_RELATED_REPLY;
  enum space_field sender = reply ? FIELD_ORIGINAL_SOURCE : FIELD_ORIGINAL_DESTINATION;
  unsigned width = (unsigned)address_length(situation->family) * 8;
  diagram set = DIAGRAM_TRUE;
  for (unsigned bit = width; bit-- > 0;) {
    unsigned variable = space_field_variable(space, sender, bit);
    bool value = bits[space_field_variable(space, FIELD_DESTINATION, bit)] != 0;
    set = diagram_node(store, variable, value ? DIAGRAM_FALSE : set, value ? set : DIAGRAM_FALSE);
  }
  return set;
}

bool witness_choose(const struct space *space, struct diagram_store *store, diagram set,
                    const struct situation *situation, const struct witness_wishes *wishes, struct arena *arena,
                    uint8_t **ret_bits) {
  unsigned count = space_variable_count(space);
  uint8_t *preferred = ARENA_ARRAY(arena, count, uint8_t), *bits = ARENA_ARRAY(arena, count, uint8_t);
  if (preferred == NULL || bits == NULL || set == DIAGRAM_FALSE || set == DIAGRAM_NONE)
    return false;
  struct flat flat = wished_flat(situation, wishes);
  prefer_fields(space, &flat, preferred);
  prefer_other_bits(space, &flat, count, preferred);
  if (!diagram_witness(store, set, preferred, count, bits))
    return false;
  if (is_related(situation)) {
    diagram real = diagram_and(store, set, quoting(space, store, situation, bits));
    if (real != DIAGRAM_FALSE && real != DIAGRAM_NONE)
      diagram_witness(store, real, preferred, count, bits);
  }
  *ret_bits = bits;
  return true;
}

/* ---- the packet in the words of the judges ---- */

static void put_other_bits(const struct space *space, const uint8_t *bits, enum address_family family,
                           const struct layout *layout, uint8_t *bytes) {
  unsigned count = space_variable_count(space);
  for (unsigned variable = 0; variable < count; variable++) {
    enum space_base base;
    unsigned byte, bit;
    if (!space_packet_bit(space, family, variable, &base, &byte, &bit) || layout->begin[base] + byte >= layout->length)
      continue;
    uint8_t *at = bytes + layout->begin[base] + byte, mask = (uint8_t)(0x80 >> bit);
    *at = (uint8_t)(bits[variable] != 0 ? *at | mask : *at & ~mask);
  }
}

static unsigned traits_of(const struct flat *flat) {
  unsigned traits = 0;
  if (flat->family == FAMILY_IPV4 && (flat->version_length & 15) != 5)
    traits |= TRAIT_IP_OPTIONS;
  if (flat->family == FAMILY_IPV6 && flat->hop_by_hop)
    traits |= TRAIT_HOP_BY_HOP;
  if (flat->family == FAMILY_IPV6 && flat->routing && flat->routing_type == 0)
    traits |= TRAIT_ROUTING_HEADER;
  if ((flat->fragment & (OFFSET_MASK | 0x2000)) != 0 || (flat->family == FAMILY_IPV6 && flat->fragment_header))
    traits |= TRAIT_FRAGMENT;
  if (!flat->transport_readable)
    traits |= TRAIT_NO_PORTS;
  return traits;
}

static struct packet packet_of(const struct flat_tuple *tuple, uint8_t tcp_flags) {
  struct packet packet = {
      .source = tuple->source,
      .destination = tuple->destination,
      .protocol = tuple->protocol,
      .tcp_flags = tuple->protocol == PROTOCOL_TCP ? tcp_flags : 0,
  };
  if (is_icmp(tuple->protocol)) {
    packet.icmp_type = (uint8_t)(tuple->source_port >> 8);
    packet.icmp_code = (uint8_t)tuple->source_port;
  } else if (tuple->protocol == PROTOCOL_TCP || tuple->protocol == PROTOCOL_UDP) {
    packet.source_port = tuple->source_port;
    packet.destination_port = tuple->destination_port;
  }
  return packet;
}

static struct query query_of(const struct flat *flat, const struct situation *situation, const struct zone_pair *pair) {
  static const enum packet_role roles[TRACKING_COUNT_] = {
      [TRACKING_OPENS] = ROLE_OPENS,   [TRACKING_OPENS_AGAIN] = ROLE_OPENS,      [TRACKING_ORIGINAL] = ROLE_ORIGINAL,
      [TRACKING_REPLY] = ROLE_REPLY,   [TRACKING_RELATED_ORIGINAL] = ROLE_ERROR, [TRACKING_RELATED_REPLY] = ROLE_ERROR,
      [TRACKING_INVALID] = ROLE_OPENS, [TRACKING_UNTRACKED] = ROLE_OPENS,
  };
  struct query query = {
      .packet = packet_of(&flat->tuple, flat->tcp_flags),
      .in_zone = pair->from,
      .out_zone = pair->to,
      .same_interface = pair->same_interface,
      .role = roles[situation->tracking],
      .opener = packet_of(&flat->original, TCP_SYN),
  };
  query.packet.traits = traits_of(flat);
  query.packet.has_source_mac = situation->path != PATH_OUTPUT;
  query.packet.source_mac = flat->source_mac;
  return query;
}

void witness_build(const struct space *space, const uint8_t *bits, const struct situation *situation,
                   const struct zone_pair *pair, struct witness *ret_witness) {
  struct flat flat = read_flat(space, bits, situation);
  *ret_witness = (struct witness){.query = query_of(&flat, situation, pair)};
  struct layout layout = write_frame(&flat, ret_witness->frame, sizeof(ret_witness->frame));
  put_other_bits(space, bits, situation->family, &layout, ret_witness->frame);
  seal_frame(&flat, &layout, ret_witness->frame); /* last: a rule that reads a word next to a checksum has bits of it */
  ret_witness->frame_length = layout.length;
  ret_witness->probe = (struct probe){
      .situation = *situation,
      .frame = ret_witness->frame,
      .length = layout.length,
      .connection_mark = situation->tracking == TRACKING_OPENS ? 0 : flat.mark,
      .connection_status = flat.status,
      .original = {flat.original.source, flat.original.destination, flat.original.protocol, flat.original.source_port,
                   flat.original.destination_port},
  };
}
