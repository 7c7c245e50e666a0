/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/control.h"

#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include "wire/control_parts.h"

enum {
  ETHERTYPE_LLDP = 0x88cc,
  SAPS_SNAP = 0xaaaa,
  SNAP_HEADER = 8,
  LLC_HEADER = 3,
  TYPE_CDP = 0x2000,
  UDP_HEADER = 8,
  ICMP_ROUTER_ADVERT = 9,
};

struct dialect {
  uint8_t protocol;
  uint16_t port; /* of the destination; 0: any */
  int icmp_type; /* -1: none */
  enum control_kind kind;
  const char *name;
  bool speaks_for_many; /* unless the reader says otherwise */
  void (*read)(struct cursor *cursor, struct control_facts *facts);
};

#define BY_PROTOCOL(number, kind, name)                                                                                \
  { number, 0, -1, kind, name, true, NULL }
#define BY_PORT(port, kind, name, read)                                                                                \
  { PROTOCOL_UDP, port, -1, kind, name, true, read }
#define BY_TYPE(protocol, type, kind, name, read)                                                                      \
  { protocol, 0, type, kind, name, true, read }

static const struct dialect DIALECTS[] = {
    BY_PORT(67, CONTROL_DHCP, "dhcp", control_read_dhcp),
    BY_PORT(68, CONTROL_DHCP, "dhcp", control_read_dhcp),
    BY_PORT(546, CONTROL_DHCPV6, "dhcpv6", control_read_dhcpv6),
    BY_PORT(547, CONTROL_DHCPV6, "dhcpv6", control_read_dhcpv6),
    BY_TYPE(PROTOCOL_ICMPV6, ND_ROUTER_ADVERT, CONTROL_ROUTER_ADVERT, "router-advertisement",
            control_read_router_advert),
    BY_TYPE(PROTOCOL_ICMPV6, ND_REDIRECT, CONTROL_REDIRECT, "redirect", control_read_redirect_v6),
    BY_TYPE(PROTOCOL_ICMP, ICMP_REDIRECT, CONTROL_REDIRECT, "redirect", control_read_redirect),
    BY_TYPE(PROTOCOL_ICMP, ICMP_ROUTER_ADVERT, CONTROL_IRDP, "irdp", control_read_irdp),
    BY_PROTOCOL(112, CONTROL_REDUNDANCY, "vrrp"), /* CARP has the same number */
    BY_PORT(1985, CONTROL_REDUNDANCY, "hsrp", NULL),
    BY_PORT(2029, CONTROL_REDUNDANCY, "hsrp", NULL),
    BY_PORT(3222, CONTROL_REDUNDANCY, "glbp", NULL),
    BY_PROTOCOL(89, CONTROL_ROUTING, "ospf"),
    BY_PROTOCOL(88, CONTROL_ROUTING, "eigrp"),
    BY_PROTOCOL(9, CONTROL_ROUTING, "igrp"),
    BY_PROTOCOL(103, CONTROL_ROUTING, "pim"),
    BY_PORT(520, CONTROL_ROUTING, "rip", control_read_rip),
    BY_PORT(521, CONTROL_ROUTING, "ripng", control_read_rip),
    BY_PORT(646, CONTROL_ROUTING, "ldp", NULL),
    BY_PORT(698, CONTROL_ROUTING, "olsr", NULL),
    BY_PORT(6696, CONTROL_ROUTING, "babel", NULL),
};

static bool speaks(const struct dialect *dialect, const struct packet *packet) {
  if (packet->protocol != dialect->protocol)
    return false;
  if (dialect->icmp_type >= 0)
    return packet->icmp_type == dialect->icmp_type;
  return dialect->port == 0 || packet->destination_port == dialect->port;
}

static const struct dialect *find_dialect(const struct frame *frame) {
  if ((frame->packet.traits & TRAIT_NO_PORTS) != 0)
    return NULL; /* what it says is in another fragment, or nowhere */
  for (size_t i = 0; i < sizeof DIALECTS / sizeof DIALECTS[0]; i++)
    if (speaks(&DIALECTS[i], &frame->packet))
      return &DIALECTS[i];
  return NULL;
}

static void read_packet(struct cursor *cursor, const struct frame *frame, struct control_facts *facts) {
  const struct dialect *dialect = find_dialect(frame);
  if (dialect == NULL || frame->payload_offset == 0)
    return;
  facts->kind = dialect->kind;
  facts->protocol = dialect->name;
  facts->speaks_for_many = dialect->speaks_for_many;
  cursor_skip(cursor, frame->payload_offset);
  if (dialect->protocol == PROTOCOL_UDP)
    cursor_skip(cursor, UDP_HEADER);
  if (dialect->read != NULL)
    dialect->read(cursor, facts);
}

static void begin(struct control_facts *facts, enum control_kind kind, const char *protocol) {
  facts->kind = kind;
  facts->protocol = protocol;
}

static void read_between_bridges(struct cursor *cursor, const struct frame *frame, struct control_facts *facts) {
  cursor_skip(cursor, frame->network_offset);
  if (frame->stp) {
    begin(facts, CONTROL_STP, "stp");
    cursor_skip(cursor, frame->ethertype == SAPS_SNAP ? SNAP_HEADER : LLC_HEADER);
    control_read_stp(cursor, facts);
  } else if (frame->ethertype == ETHERTYPE_LLDP) {
    begin(facts, CONTROL_LLDP, "lldp");
    control_read_lldp(cursor, facts);
  } else if (frame->llc && frame->ethertype == SAPS_SNAP) {
    cursor_skip(cursor, SNAP_HEADER - 2);
    if (cursor_be16(cursor) != TYPE_CDP)
      return;
    begin(facts, CONTROL_CDP, "cdp");
    control_read_cdp(cursor, facts);
  }
}

bool control_decode(const struct captured_frame *captured, const struct frame *frame, struct control_facts *ret_facts) {
  struct cursor cursor;
  memset(ret_facts, 0, sizeof *ret_facts);
  cursor_init(&cursor, captured->data, captured->captured);
  if (frame->content == CONTENT_IP)
    read_packet(&cursor, frame, ret_facts);
  else if (frame->content == CONTENT_CONTROL)
    read_between_bridges(&cursor, frame, ret_facts);
  return ret_facts->kind != CONTROL_NONE;
}

/* ---- parts ---- */

struct address control_take_ipv4(struct cursor *cursor) {
  struct address address = {.family = FAMILY_NONE};
  const uint8_t *bytes = cursor_take(cursor, 4);
  if (bytes == NULL)
    return address;
  address.family = FAMILY_IPV4;
  memcpy(address.bytes, bytes, 4);
  return address;
}

struct address control_take_ipv6(struct cursor *cursor) {
  struct address address = {.family = FAMILY_NONE};
  const uint8_t *bytes = cursor_take(cursor, 16);
  if (bytes == NULL)
    return address;
  address.family = FAMILY_IPV6;
  memcpy(address.bytes, bytes, 16);
  return address;
}

void control_note_address(struct control_facts *facts, const struct address *address) {
  if (address->family != FAMILY_NONE && facts->address_count < CONTROL_ADDRESSES)
    facts->addresses[facts->address_count++] = *address;
}

void control_note_name(struct control_facts *facts, const uint8_t *bytes, size_t length) {
  size_t most = length < CONTROL_NAME_SIZE - 1 ? length : CONTROL_NAME_SIZE - 1, count = 0;
  for (; count < most && bytes[count] > ' ' && bytes[count] < 0x7f; count++)
    facts->name[count] = (char)(bytes[count] >= 'A' && bytes[count] <= 'Z' ? bytes[count] + ('a' - 'A') : bytes[count]);
  facts->name[count] = '\0';
}
