/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machines that a packet names beside its two addresses: by an IPv4 address within one of IPv6, by a source route, a
 * routing header or a home address. Read only where the decoder saw that there may be some.
 */
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#include "wire/decode.h"

enum {
  IPV4_HEADER = 20,
  IPV6_HEADER = 40,
  OPTION_END = 0,
  OPTION_NOTHING = 1,
  OPTION_LSRR = 131,
  OPTION_SSRR = 137,
  OPTION6_PAD1 = 0,
  OPTION6_HOME_ADDRESS = 0xc9,
  ROUTING_0 = 0,
  ROUTING_MOBILE = 2,
  ROUTING_SEGMENTS = 4,
  EXTENSIONS_MOST = 8,
  HOPS_MOST = 8,
};

static const char *const NAMES[HIDDEN_WAY_COUNT_] = {
    [HIDDEN_NAT64] = "nat64",
    [HIDDEN_MAPPED] = "ipv4-mapped",
    [HIDDEN_6TO4] = "6to4",
    [HIDDEN_TEREDO] = "teredo-address",
    [HIDDEN_ISATAP] = "isatap",
    [HIDDEN_SOURCE_ROUTE] = "source-route",
    [HIDDEN_ROUTING_HEADER] = "routing-header",
    [HIDDEN_HOME_ADDRESS] = "home-address",
};

const char *hidden_way_name(enum hidden_way way) {
  return NAMES[way];
}

struct list {
  struct hidden_address *items;
  size_t count;
};

static void add(struct list *list, enum hidden_way way, bool of_source, enum address_family family,
                const uint8_t *bytes) {
  if (list->count == HIDDEN_MOST)
    return;
  struct hidden_address *item = &list->items[list->count++];
  *item = (struct hidden_address){.address = {.family = family}, .way = way, .of_source = of_source};
  memcpy(item->address.bytes, bytes, family == FAMILY_IPV6 ? 16 : 4);
}

/* ---- within an address ---- */

/* Where the IPv4 address stands, by the bytes before it. */
static const struct embedding {
  enum hidden_way way;
  uint8_t prefix[12];
  uint8_t prefix_length, at; /* in bytes */
} EMBEDDINGS[] = {
    {HIDDEN_NAT64, {0x00, 0x64, 0xff, 0x9b}, 12, 12},
    {HIDDEN_NAT64, {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 6, 12},
    {HIDDEN_MAPPED, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 12, 12},
    {HIDDEN_MAPPED, {0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0}, 12, 12},
    {HIDDEN_MAPPED, {0}, 12, 12},
    {HIDDEN_6TO4, {0x20, 0x02}, 2, 2},
    {HIDDEN_TEREDO, {0x20, 0x01, 0x00, 0x00}, 4, 4},
};

static void add_turned(struct list *list, bool of_source, const uint8_t *bytes) {
  uint8_t turned[4];
  for (int i = 0; i < 4; i++)
    turned[i] = bytes[i] ^ 0xff;
  add(list, HIDDEN_TEREDO, of_source, FAMILY_IPV4, turned);
}

static void look_into_address(struct list *list, const struct address *address, bool of_source) {
  const uint8_t *bytes = address->bytes;
  for (size_t i = 0; i < sizeof EMBEDDINGS / sizeof EMBEDDINGS[0]; i++)
    if (memcmp(bytes, EMBEDDINGS[i].prefix, EMBEDDINGS[i].prefix_length) == 0)
      add(list, EMBEDDINGS[i].way, of_source, FAMILY_IPV4, bytes + EMBEDDINGS[i].at);
  if (bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] == 0 && bytes[3] == 0)
    add_turned(list, of_source, bytes + 12); /* the client stands there with every bit turned */
  if ((bytes[8] & 0xfc) == 0 && bytes[9] == 0 && bytes[10] == 0x5e && bytes[11] == 0xfe)
    add(list, HIDDEN_ISATAP, of_source, FAMILY_IPV4, bytes + 12);
}

/* ---- IPv4 options ---- */

static void read_route(struct list *list, struct cursor *option) {
  cursor_skip(option, 1); /* the pointer: hops that were passed are named as well */
  for (int i = 0; i < HOPS_MOST && cursor_left(option) >= 4; i++)
    add(list, HIDDEN_SOURCE_ROUTE, false, FAMILY_IPV4, cursor_take(option, 4));
}

static void read_options(struct list *list, struct cursor cursor) {
  unsigned words = cursor_u8(&cursor) & 0x0f;
  cursor_skip(&cursor, IPV4_HEADER - 1);
  struct cursor options = cursor_sub(&cursor, words > 5 ? words * 4 - IPV4_HEADER : 0);
  while (cursor_left(&options) > 0) {
    unsigned kind = cursor_u8(&options);
    if (kind == OPTION_END)
      return;
    if (kind == OPTION_NOTHING)
      continue;
    unsigned length = cursor_u8(&options);
    struct cursor option = cursor_sub(&options, length >= 2 ? length - 2 : SIZE_MAX);
    if ((kind == OPTION_LSRR || kind == OPTION_SSRR) && !option.failed)
      read_route(list, &option);
  }
}

/* ---- IPv6 headers ---- */

/* Behind next header, length, type and segments left. */
static void read_routing(struct list *list, struct cursor *header) {
  unsigned type = cursor_u8(header);
  cursor_skip(header, 5); /* segments left and four bytes that each type uses as it likes */
  if (type != ROUTING_0 && type != ROUTING_MOBILE && type != ROUTING_SEGMENTS)
    return;
  for (int i = 0; i < HOPS_MOST && cursor_left(header) >= 16; i++)
    add(list, HIDDEN_ROUTING_HEADER, false, FAMILY_IPV6, cursor_take(header, 16));
}

static void read_destination_options(struct list *list, struct cursor *header) {
  while (cursor_left(header) > 0) {
    unsigned kind = cursor_u8(header);
    if (kind == OPTION6_PAD1)
      continue;
    unsigned length = cursor_u8(header);
    const uint8_t *bytes = cursor_take(header, length);
    if (bytes != NULL && kind == OPTION6_HOME_ADDRESS && length == 16)
      add(list, HIDDEN_HOME_ADDRESS, true, FAMILY_IPV6, bytes);
  }
}

static void read_extensions(struct list *list, struct cursor cursor) {
  const uint8_t *fixed = cursor_take(&cursor, IPV6_HEADER);
  unsigned kind = fixed != NULL ? fixed[6] : IPPROTO_NONE;
  for (int i = 0; i < EXTENSIONS_MOST && !cursor.failed; i++) {
    if (kind != IPPROTO_HOPOPTS && kind != IPPROTO_DSTOPTS && kind != IPPROTO_ROUTING && kind != IPPROTO_FRAGMENT)
      return;
    unsigned next = cursor_u8(&cursor), length = cursor_u8(&cursor);
    struct cursor header = cursor_sub(&cursor, kind == IPPROTO_FRAGMENT ? 6 : 6 + length * 8u);
    if (kind == IPPROTO_ROUTING && !header.failed)
      read_routing(list, &header);
    else if (kind == IPPROTO_DSTOPTS && !header.failed)
      read_destination_options(list, &header);
    kind = next;
  }
}

/* ---- all ---- */

size_t frame_hidden(const struct captured_frame *captured, const struct frame *frame,
                    struct hidden_address ret_hidden[static HIDDEN_MOST]) {
  struct list list = {ret_hidden, 0};
  if (frame->content != CONTENT_IP || !frame->hides)
    return 0;
  struct cursor cursor;
  cursor_init(&cursor, captured->data, captured->captured);
  cursor_skip(&cursor, frame->network_offset);
  if (frame->packet.source.family == FAMILY_IPV4) {
    read_options(&list, cursor);
    return list.count;
  }
  look_into_address(&list, &frame->packet.source, true);
  look_into_address(&list, &frame->packet.destination, false);
  read_extensions(&list, cursor);
  return list.count;
}
