/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/decode.h"

#include <pcap/dlt.h>
#include <stddef.h>
#include <string.h>

struct link_type {
  int number;
  void (*decode)(struct decoding *decoding);
};

static const struct link_type LINK_TYPES[] = {
    {DLT_EN10MB, decode_ethernet}, {DLT_LINUX_SLL, decode_cooked}, {DLT_LINUX_SLL2, decode_cooked_v2},
    {DLT_RAW, decode_raw_ip},      {101, decode_raw_ip}, /* LINKTYPE_RAW, as some files say it */
};

static const char *const FAULT_NAMES[FAULT_COUNT_] = {
    [FAULT_NONE] = "none",
    [FAULT_SHORT] = "short",
    [FAULT_IP_VERSION] = "ip-version",
    [FAULT_IP_HEADER_LENGTH] = "ip-header-length",
    [FAULT_IP_LENGTH] = "ip-length",
    [FAULT_EXTENSION_HEADERS] = "extension-headers",
    [FAULT_TCP_HEADER_LENGTH] = "tcp-header-length",
    [FAULT_UDP_LENGTH] = "udp-length",
    [FAULT_FRAGMENT_LENGTH] = "fragment-length",
    [FAULT_FRAGMENT_OVERLAP] = "fragment-overlap",
    [FAULT_VLAN_TAGS] = "vlan-tags",
};

const char *frame_fault_name(enum frame_fault fault) {
  return FAULT_NAMES[fault];
}

void decoding_fault(struct decoding *decoding, enum frame_fault fault) {
  if (!decoding->quoted && decoding->frame->fault == FAULT_NONE)
    decoding->frame->fault = fault;
}

void decoding_ended(struct decoding *decoding) {
  if (decoding->missing > 0)
    decoding->frame->cut = true;
  else
    decoding_fault(decoding, FAULT_SHORT);
}

static const struct link_type *find_link_type(int number) {
  for (size_t i = 0; i < sizeof LINK_TYPES / sizeof LINK_TYPES[0]; i++)
    if (LINK_TYPES[i].number == number)
      return &LINK_TYPES[i];
  return NULL;
}

bool frame_link_type_known(int link_type) {
  return find_link_type(link_type) != NULL;
}

/* In pieces that a compiler makes a few stores of: one of this size becomes a string instruction, which is slow to
 * start. */
static void clear(struct frame *frame) {
  enum { VALID = offsetof(struct frame, quoted), PIECE = 64 };
  uint8_t *bytes = (uint8_t *)frame;
  memset(bytes, 0, PIECE);
  memset(bytes + PIECE, 0, PIECE);
  memset(bytes + PIECE + PIECE, 0, VALID - 2 * PIECE);
  _Static_assert(VALID > 2 * PIECE && VALID <= 3 * PIECE, "three pieces");
}

void frame_decode(const struct captured_frame *captured, struct frame *ret_frame) {
  clear(ret_frame);
  ret_frame->time = captured->time;
  ret_frame->length = captured->length;
  ret_frame->sender = captured->sender;
  struct decoding decoding = {.frame = ret_frame,
                              .packet = &ret_frame->packet,
                              .missing =
                                  captured->length > captured->captured ? captured->length - captured->captured : 0};
  cursor_init(&decoding.cursor, captured->data, captured->captured);
  const struct link_type *link_type = find_link_type(captured->link_type);
  if (link_type != NULL)
    link_type->decode(&decoding);
}
