/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the kernel finds its way in a packet before it asks any rule: where the transport header is, which protocol it
 * says, whether there is one to be read at all.
 */
#include <errno.h>
#include <string.h>

#include "proof/concrete_parts.h"

enum {
  ETHERNET_SIZE = 14,
  IPV4_SIZE = 20,
  IPV6_SIZE = 40,
  HEADER_HOP_BY_HOP = 0,
  HEADER_ROUTING = 43,
  HEADER_FRAGMENT = 44,
  HEADER_AUTHENTICATION = 51,
  HEADER_NONE = 59,
  HEADER_DESTINATION = 60,
  TRANSPORT_FARTHEST = UINT16_MAX,
};

static unsigned word(const uint8_t *at) {
  return (unsigned)at[0] << 8 | at[1];
}

static bool is_extension(uint8_t header) {
  static const uint8_t extensions[] = {HEADER_HOP_BY_HOP,     HEADER_ROUTING, HEADER_FRAGMENT,
                                       HEADER_AUTHENTICATION, HEADER_NONE,    HEADER_DESTINATION};
  return memchr(extensions, header, sizeof(extensions)) != NULL;
}

/* ---- IPv4 ---- */

static void look_ipv4(struct concrete_view *view) {
  if (view->length < IPV4_SIZE || view->packet[0] >> 4 != 4 || (view->packet[0] & 15) < 5)
    return;
  view->transport_known = true;
  view->protocol = view->packet[9];
  view->transport = (size_t)(view->packet[0] & 15u) * 4;
  view->fragment_part = word(view->packet + 6) & 0x1fff;
}

/* ---- IPv6 ---- */

struct walk {
  uint8_t header; /* type of the header at `at` */
  size_t at;
  unsigned part; /* offset of a fragment header that was passed */
};

/* Steps over one extension header. False when the packet is too short to read it. */
static bool walk_on(const struct concrete_view *view, struct walk *walk) {
  size_t needed = walk->header == HEADER_ROUTING || walk->header == HEADER_FRAGMENT ? 4 : 2;
  if (walk->at > view->length || view->length - walk->at < needed)
    return false;
  const uint8_t *at = view->packet + walk->at;
  if (walk->header == HEADER_FRAGMENT)
    walk->part = word(at + 2) & 0xfff8;
  walk->at += walk->header == HEADER_FRAGMENT         ? 8
              : walk->header == HEADER_AUTHENTICATION ? (at[1] + 2u) * 4
                                                      : (at[1] + 1u) * 8;
  walk->header = at[0];
  return true;
}

/* An authentication header counts as the transport; behind a later fragment's header its name still counts, but more
 * extension headers there cannot be read. */
static void look_ipv6(struct concrete_view *view) {
  if (view->length < IPV6_SIZE || view->packet[0] >> 4 != 6)
    return;
  struct walk walk = {view->packet[6], IPV6_SIZE, 0};
  while (is_extension(walk.header) && walk.header != HEADER_NONE) {
    struct walk before = walk;
    if (!walk_on(view, &walk))
      return;
    if (before.header == HEADER_AUTHENTICATION) {
      walk = before;
      break;
    }
    if (walk.part != 0) {
      if (is_extension(walk.header) && walk.header != HEADER_NONE)
        return;
      break;
    }
  }
  if (walk.at > TRANSPORT_FARTHEST)
    return;
  view->transport_known = true;
  view->protocol = walk.header;
  view->transport = walk.part == 0 ? walk.at : 0;
  view->fragment_part = walk.part;
}

bool concrete_find_header(const struct concrete_view *view, unsigned type, size_t *ret_offset) {
  if (view->length < IPV6_SIZE || view->packet[0] >> 4 != 6)
    return false;
  struct walk walk = {view->packet[6], IPV6_SIZE, 0};
  for (;;) {
    struct walk before = walk;
    bool found = walk.header == type;
    if (is_extension(walk.header) && walk.header != HEADER_NONE) {
      if (!walk_on(view, &walk))
        return false;
      if (walk.part != 0 && !found)
        return false;
    } else if (!found)
      return false;
    if (found) {
      *ret_offset = before.at;
      return true;
    }
  }
}

/* ---- what each hook sees ---- */

/* The IP layer cuts off what the link layer added behind the packet. */
static size_t length_of_packet(const uint8_t *packet, size_t length) {
  size_t said = length;
  if (length >= IPV4_SIZE && packet[0] >> 4 == 4)
    said = word(packet + 2);
  else if (length >= IPV6_SIZE && packet[0] >> 4 == 6 && (word(packet + 4) != 0 || packet[6] != HEADER_HOP_BY_HOP))
    said = IPV6_SIZE + word(packet + 4);
  return said < length ? said : length;
}

static void find_transport(struct concrete_view *view, enum address_family family) {
  if (family == FAMILY_IPV6)
    look_ipv6(view);
  else
    look_ipv4(view);
}

/* One hop less, and the checksum made good for it, as the kernel does before the forward hook. */
static void take_a_hop(uint8_t *packet, size_t length, enum address_family family) {
  if (family == FAMILY_IPV6 && length >= IPV6_SIZE)
    packet[7]--;
  if (family != FAMILY_IPV4 || length < IPV4_SIZE)
    return;
  packet[8]--;
  uint32_t sum = word(packet + 10) + 0x0100;
  sum += sum >= 0xffff;
  packet[10] = (uint8_t)(sum >> 8);
  packet[11] = (uint8_t)sum;
}

static size_t link_length(const struct probe *probe) {
  return probe->length < ETHERNET_SIZE ? probe->length : ETHERNET_SIZE;
}

bool concrete_is_fragment(const struct probe *probe) {
  size_t at, link = link_length(probe);
  struct concrete_view view = {.packet = probe->frame + link, .length = probe->length - link};
  if (probe->situation.family == FAMILY_IPV6)
    return concrete_find_header(&view, HEADER_FRAGMENT, &at);
  return view.length >= IPV4_SIZE && (word(view.packet + 6) & 0x3fff) != 0;
}

/* Takes the fragment header out; the byte that names it is that before it, by type. */
static void drop_fragment_header(uint8_t *packet, struct concrete_view *view) {
  struct walk walk = {packet[6], IPV6_SIZE, 0};
  uint8_t *name = packet + 6;
  while (walk.header != HEADER_FRAGMENT) {
    name = packet + walk.at;
    if (!is_extension(walk.header) || walk.header == HEADER_NONE || !walk_on(view, &walk))
      return;
  }
  if (view->length < walk.at + 8)
    return;
  unsigned payload = word(packet + 4);
  *name = packet[walk.at];
  memmove(packet + walk.at, packet + walk.at + 8, view->length - walk.at - 8);
  packet[4] = (uint8_t)((payload - 8) >> 8);
  packet[5] = (uint8_t)(payload - 8);
  view->length -= 8;
}

/* A copy of a view, to be changed. */
static uint8_t *copy_view(struct concrete_machine *machine, const struct concrete_view *view,
                          struct concrete_view *ret_copy) {
  size_t link = view->frame != NULL ? ETHERNET_SIZE : 0;
  uint8_t *copy = arena_alloc(machine->arena, link + view->length + 1);
  if (copy == NULL)
    return NULL;
  memcpy(copy, view->frame != NULL ? view->frame : view->packet, link + view->length);
  *ret_copy = *view;
  ret_copy->frame = view->frame != NULL ? copy : NULL;
  ret_copy->packet = copy + link;
  return copy + link;
}

/* As this piece would look if the packet had come in one: conntrack puts fragments together. */
static int put_together(struct concrete_machine *machine, enum address_family family) {
  uint8_t *packet = copy_view(machine, &machine->arrived, &machine->whole);
  if (packet == NULL)
    return -ENOMEM;
  if (family == FAMILY_IPV6)
    drop_fragment_header(packet, &machine->whole);
  else if (machine->whole.length >= IPV4_SIZE) {
    packet[6] &= 0xc0;
    packet[7] = 0;
  }
  machine->whole.transport_known = false;
  machine->whole.fragment_part = 0;
  find_transport(&machine->whole, family);
  return 0;
}

int concrete_look(struct concrete_machine *machine, bool defragments) {
  const struct probe *probe = machine->probe;
  const struct situation *situation = &probe->situation;
  size_t link = link_length(probe);
  machine->early = (struct concrete_view){
      .frame = link == ETHERNET_SIZE && situation->path != PATH_OUTPUT ? probe->frame : NULL,
      .packet = probe->frame + link,
      .length = probe->length - link,
  };
  machine->arrived = machine->early;
  machine->arrived.length = length_of_packet(machine->early.packet, machine->early.length);
  find_transport(&machine->early, situation->family);
  find_transport(&machine->arrived, situation->family);
  machine->whole = machine->arrived;
  if (defragments && put_together(machine, situation->family) < 0)
    return -ENOMEM;
  machine->leaving = machine->whole;
  if (situation->path != PATH_FORWARD)
    return 0;
  uint8_t *packet = copy_view(machine, &machine->whole, &machine->leaving);
  if (packet == NULL)
    return -ENOMEM;
  take_a_hop(packet, machine->leaving.length, situation->family);
  return 0;
}

/* ---- tuples ---- */

static bool has_ports(uint8_t protocol) {
  static const uint8_t protocols[] = {6, 17, 33, 132, 136};
  return memchr(protocols, protocol, sizeof(protocols)) != NULL;
}

static bool is_icmp(uint8_t protocol, enum address_family family) {
  return family == FAMILY_IPV4 ? protocol == 1 : protocol == 58;
}

static struct address read_address(const uint8_t *at, enum address_family family) {
  struct address address = {.family = family};
  memcpy(address.bytes, at, address_length(family));
  return address;
}

/* Unlike nftables, conntrack looks behind an authentication header. */
static void pass_authentication(struct concrete_view *view) {
  struct walk walk = {view->protocol, view->transport, 0};
  while (is_extension(walk.header) && walk.header != HEADER_NONE && walk_on(view, &walk))
    ;
  view->protocol = walk.header;
  view->transport = walk.at;
}

struct original_tuple concrete_tuple(const struct concrete_view *given, enum address_family family) {
  struct concrete_view seen = *given, *view = &seen;
  struct original_tuple tuple = {0};
  if (view->transport_known && family == FAMILY_IPV6 && view->fragment_part == 0)
    pass_authentication(view);
  size_t size = family == FAMILY_IPV6 ? IPV6_SIZE : IPV4_SIZE;
  if (view->length < size || !view->transport_known)
    return tuple;
  tuple.source = read_address(view->packet + (family == FAMILY_IPV6 ? 8 : 12), family);
  tuple.destination = read_address(view->packet + (family == FAMILY_IPV6 ? 24 : 16), family);
  tuple.protocol = view->protocol;
  if (view->fragment_part != 0 || view->transport > view->length)
    return tuple;
  const uint8_t *transport = view->packet + view->transport;
  size_t left = view->length - view->transport;
  if (has_ports(view->protocol) && left >= 4) {
    tuple.source_port = (uint16_t)word(transport);
    tuple.destination_port = (uint16_t)word(transport + 2);
  } else if (is_icmp(view->protocol, family) && left >= 6) {
    tuple.source_port = (uint16_t)word(transport + 4);
    tuple.destination_port = (uint16_t)word(transport);
  }
  return tuple;
}

static uint8_t answering_type(uint8_t type, enum address_family family) {
  static const uint8_t pairs[][3] = {{FAMILY_IPV4, 8, 0},   {FAMILY_IPV4, 13, 14},   {FAMILY_IPV4, 15, 16},
                                     {FAMILY_IPV4, 17, 18}, {FAMILY_IPV6, 128, 129}, {FAMILY_IPV6, 139, 140}};
  for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
    if (pairs[i][0] == family && pairs[i][1] == type)
      return pairs[i][2];
    if (pairs[i][0] == family && pairs[i][2] == type)
      return pairs[i][1];
  }
  return type;
}

struct original_tuple concrete_turn_tuple(const struct original_tuple *tuple) {
  struct original_tuple turned = {
      .source = tuple->destination, .destination = tuple->source, .protocol = tuple->protocol};
  if (is_icmp(tuple->protocol, tuple->source.family)) {
    uint8_t type = answering_type((uint8_t)(tuple->destination_port >> 8), tuple->source.family);
    turned.source_port = tuple->source_port;
    turned.destination_port = (uint16_t)(type << 8 | (tuple->destination_port & 0xff));
  } else {
    turned.source_port = tuple->destination_port;
    turned.destination_port = tuple->source_port;
  }
  return turned;
}
