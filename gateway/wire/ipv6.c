/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <netinet/in.h>
#include <string.h>

#include "wire/decode.h"

enum { IPV6_HEADER = 40, EXTENSION_HEADERS = 8, IP_LARGEST = 65535 };

static uint16_t load16(const uint8_t *bytes) {
  return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static uint32_t load32(const uint8_t *bytes) {
  return (uint32_t)load16(bytes) << 16 | load16(bytes + 2);
}

/* A walk along the extension headers; `next` is the protocol of what the cursor stands at. */
struct chain {
  uint8_t next;
  bool later_fragment; /* what follows is the middle of a payload */
};

/* Hop-by-hop, destination options and routing share one form: next header, length in units of 8 beyond the first 8. */
static bool walk_options(struct decoding *decoding, struct chain *chain) {
  const uint8_t *header = cursor_take(&decoding->cursor, 8);
  if (header == NULL)
    return false;
  if (chain->next == IPPROTO_HOPOPTS)
    decoding->packet->traits |= TRAIT_HOP_BY_HOP;
  else if (chain->next == IPPROTO_ROUTING && header[2] == 0)
    decoding->packet->traits |= TRAIT_ROUTING_HEADER;
  decoding->frame->hides |= !decoding->quoted && chain->next != IPPROTO_HOPOPTS;
  chain->next = header[0];
  cursor_skip(&decoding->cursor, (size_t)header[1] * 8);
  return !decoding->cursor.failed;
}

static bool walk_fragment(struct decoding *decoding, struct chain *chain) {
  struct frame *frame = decoding->frame;
  const uint8_t *header = cursor_take(&decoding->cursor, 8);
  if (header == NULL)
    return false;
  uint16_t word = load16(header + 2);
  uint32_t payload = (uint32_t)cursor_left(&decoding->cursor) + decoding->missing;
  chain->next = header[0];
  chain->later_fragment = (word & 0xfff8) != 0;
  if (decoding->quoted || ((word & 0xfff8) == 0 && (word & 1) == 0))
    return true; /* an "atomic fragment" is a whole packet */
  frame->fragment = true;
  frame->first_fragment = !chain->later_fragment;
  frame->last_fragment = (word & 1) == 0;
  frame->identification = load32(header + 4);
  frame->fragment_offset = word & 0xfff8;
  frame->fragment_length = (uint16_t)(payload < IP_LARGEST ? payload : IP_LARGEST);
  decoding->packet->traits |= TRAIT_FRAGMENT;
  if (frame->fragment_offset + payload > IP_LARGEST || (!frame->last_fragment && payload % 8 != 0))
    decoding_fault(decoding, FAULT_FRAGMENT_LENGTH);
  return true;
}

struct extension_header {
  uint8_t protocol;
  bool (*walk)(struct decoding *decoding, struct chain *chain);
};

static const struct extension_header EXTENSIONS[] = {
    {IPPROTO_HOPOPTS, walk_options},
    {IPPROTO_DSTOPTS, walk_options},
    {IPPROTO_ROUTING, walk_options},
    {IPPROTO_FRAGMENT, walk_fragment},
};

static const struct extension_header *find_extension(uint8_t protocol) {
  for (size_t i = 0; i < sizeof EXTENSIONS / sizeof EXTENSIONS[0]; i++)
    if (EXTENSIONS[i].protocol == protocol)
      return &EXTENSIONS[i];
  return NULL;
}

/* Walks to the transport header. False when it is not there or the chain does not end. */
static bool walk_chain(struct decoding *decoding, struct chain *chain) {
  for (unsigned step = 0; !chain->later_fragment; step++) {
    const struct extension_header *extension = find_extension(chain->next);
    if (extension == NULL)
      return true;
    if (step == EXTENSION_HEADERS) {
      decoding_fault(decoding, FAULT_EXTENSION_HEADERS);
      return false;
    }
    if (!extension->walk(decoding, chain)) {
      decoding_ended(decoding);
      return false;
    }
  }
  return true;
}

/* Narrows the cursor to the packet. */
static void narrow(struct decoding *decoding, uint32_t payload) {
  size_t left = cursor_left(&decoding->cursor);
  if (payload == 0 && !decoding->quoted)
    return; /* a jumbogram, or a segment that the card will cut later */
  if (!decoding->quoted && payload > left + decoding->missing)
    decoding_fault(decoding, FAULT_IP_LENGTH);
  if (payload < left)
    decoding->cursor.length = decoding->cursor.position + payload;
  else if (decoding->quoted)
    decoding->missing = payload - (uint32_t)left;
}

/* Addresses in which one of IPv4 may lie: any of ::/16 and 64:ff9b::/32, 6to4, Teredo, ISATAP. */
static bool embeds(const uint8_t *address) {
  return load16(address) == 0 || load32(address) == 0x0064ff9b || load16(address) == 0x2002 ||
         load32(address) == 0x20010000 || load16(address + 10) == 0x5efe;
}

static void note_frame(struct frame *frame, const uint8_t *header) {
  frame->content = CONTENT_IP;
  frame->hop_limit = header[7];
  frame->hides = embeds(header + 8) || embeds(header + 24);
}

void decode_ipv6(struct decoding *decoding) {
  const uint8_t *header = cursor_take(&decoding->cursor, IPV6_HEADER);
  if (header == NULL) {
    decoding_ended(decoding);
    return;
  }
  if (header[0] >> 4 != 6) {
    decoding_fault(decoding, FAULT_IP_VERSION);
    return;
  }
  struct packet *packet = decoding->packet;
  packet->source.family = packet->destination.family = FAMILY_IPV6;
  memcpy(packet->source.bytes, header + 8, 16);
  memcpy(packet->destination.bytes, header + 24, 16);
  packet->traits |= TRAIT_NO_PORTS;
  if (!decoding->quoted)
    note_frame(decoding->frame, header);
  narrow(decoding, load16(header + 4));
  struct chain chain = {.next = header[6]};
  bool arrived = walk_chain(decoding, &chain);
  packet->protocol = chain.next;
  if (arrived && !chain.later_fragment)
    decode_transport(decoding);
  else if (arrived)
    decode_tunnel_fragment(decoding, packet->protocol);
}
