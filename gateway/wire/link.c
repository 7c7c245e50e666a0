/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Link layers, and what an ethertype stands for.
 *
 * A VLAN tag that the network card took off comes back as part of the frame: libpcap puts the tag of TPACKET's
 * auxiliary data where it was. Behind a VLAN interface of Linux the tag is gone, as it should be: the interface is the
 * segment.
 */
#include <net/ethernet.h>
#include <string.h>

#include "wire/decode.h"

enum {
  ETHERTYPE_MINIMUM = 0x600, /* below: the length of an IEEE 802.3 frame */
  TYPE_8021AD = 0x88a8,
  TYPE_QINQ_OLD = 0x9100,
  COOKED_OUTGOING = 4,
  COOKED_ETHERNET_LLC = 4,
};

struct ethertype {
  uint16_t number;
  void (*decode)(struct decoding *decoding);
};

static uint16_t load16(const uint8_t *bytes) {
  return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void decode_control(struct decoding *decoding) {
  decoding->frame->content = CONTENT_CONTROL;
}

static void decode_tag(struct decoding *decoding) {
  struct frame *frame = decoding->frame;
  const uint8_t *bytes = cursor_take(&decoding->cursor, 4);
  if (bytes == NULL) {
    decoding_ended(decoding);
    return;
  }
  if (frame->tag_count == FRAME_TAGS) {
    decoding_fault(decoding, FAULT_VLAN_TAGS);
    frame->content = CONTENT_OTHER;
    return;
  }
  frame->tags[frame->tag_count++] = load16(bytes) & 0x0fff;
  decode_ethertype(decoding, load16(bytes + 2));
}

static const struct ethertype ETHERTYPES[] = {
    {ETHERTYPE_IP, decode_ipv4},  {ETHERTYPE_IPV6, decode_ipv6}, {ETHERTYPE_ARP, decode_arp},
    {ETHERTYPE_VLAN, decode_tag}, {TYPE_8021AD, decode_tag},     {TYPE_QINQ_OLD, decode_tag},
    {0x88cc, decode_control}, /* LLDP */
    {0x888e, decode_control}, /* 802.1X */
    {0x8808, decode_control}, /* pause */
    {0x8809, decode_control}, /* LACP and other slow protocols */
    {0x8902, decode_control}, /* connectivity fault management */
    {0x88f7, decode_control}, /* PTP */
    {0x9000, decode_control}, /* loop test of switches */
    {0x0842, decode_control}, /* wake on LAN */
    {0x88d9, decode_control}, /* topology discovery of Windows (LLTD) */
    {0x886f, decode_control}, /* heartbeats of Windows server clusters */
    {0x8899, decode_control}, /* loop test of Realtek switches */
    {0x88e1, decode_control}, /* power line adapters look for each other */
    {0x8912, decode_control}, /* ... */
    {0x893a, decode_control}, /* ... and for wireless repeaters */
};

/* The cursor stands behind the ethertype; for a tag that is its TCI and the next ethertype. */
void decode_ethertype(struct decoding *decoding, uint16_t ethertype) {
  decoding->frame->network_offset = (uint16_t)decoding->cursor.position;
  if (ethertype < ETHERTYPE_MINIMUM) {
    decode_llc(decoding);
    return;
  }
  decoding->frame->ethertype = ethertype;
  for (size_t i = 0; i < sizeof ETHERTYPES / sizeof ETHERTYPES[0]; i++) {
    if (ETHERTYPES[i].number == ethertype) {
      ETHERTYPES[i].decode(decoding);
      return;
    }
  }
  decoding->frame->content = CONTENT_OTHER;
  decode_wrapping(decoding, ethertype);
}

void decode_ethernet(struct decoding *decoding) {
  struct frame *frame = decoding->frame;
  const uint8_t *bytes = cursor_take(&decoding->cursor, 14);
  if (bytes == NULL) {
    decoding_ended(decoding);
    return;
  }
  frame->has_macs = true;
  memcpy(frame->destination_mac.bytes, bytes, 6);
  memcpy(frame->source_mac.bytes, bytes + 6, 6);
  decode_ethertype(decoding, load16(bytes + 12));
}

/* What both cooked headers say: packet type, address of the sender, protocol. */
static void note_cooked(struct decoding *decoding, uint16_t packet_type, uint16_t address_length,
                        const uint8_t *address, uint16_t protocol) {
  struct frame *frame = decoding->frame;
  frame->sender = packet_type == COOKED_OUTGOING ? SENDER_THIS_MACHINE : SENDER_OTHERS;
  if (address_length == 6)
    memcpy(frame->source_mac.bytes, address, 6);
  if (protocol == COOKED_ETHERNET_LLC)
    decode_llc(decoding);
  else
    decode_ethertype(decoding, protocol);
}

void decode_cooked(struct decoding *decoding) {
  const uint8_t *bytes = cursor_take(&decoding->cursor, 16);
  if (bytes == NULL)
    decoding_ended(decoding);
  else
    note_cooked(decoding, load16(bytes), load16(bytes + 4), bytes + 6, load16(bytes + 14));
}

void decode_cooked_v2(struct decoding *decoding) {
  const uint8_t *bytes = cursor_take(&decoding->cursor, 20);
  if (bytes == NULL)
    decoding_ended(decoding);
  else
    note_cooked(decoding, bytes[10], bytes[11], bytes + 12, load16(bytes));
}

void decode_raw_ip(struct decoding *decoding) {
  struct cursor look = decoding->cursor;
  const uint8_t *bytes = cursor_take(&look, 1);
  if (bytes == NULL)
    decoding_ended(decoding);
  else
    decode_ethertype(decoding, bytes[0] >> 4 == 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
}
