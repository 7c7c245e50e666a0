/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who calls itself a router: router advertisements of IPv6 and of ICMP, redirects, RIP. */
#include <string.h>

#include "wire/control_parts.h"

enum {
  ICMP_HEADER = 4,
  OPTION_PREFIX = 3,
  PREFIX_SIZE = 32, /* the whole option */
  ADDRESS_BITS = 128,
  RIP_RESPONSE = 2,
};

static void note_prefix(struct control_facts *facts, const uint8_t *prefix, unsigned length) {
  if (facts->prefix_count == CONTROL_PREFIXES || length > ADDRESS_BITS)
    return;
  struct address_range *range = &facts->prefixes[facts->prefix_count++];
  range->first.family = range->last.family = FAMILY_IPV6;
  for (unsigned i = 0; i < 16; i++) {
    unsigned bits = length > i * 8 ? length - i * 8 : 0;
    uint8_t mask = (uint8_t)(bits >= 8 ? 0xff : 0xff00u >> bits);
    range->first.bytes[i] = (uint8_t)(prefix[i] & mask);
    range->last.bytes[i] = (uint8_t)(range->first.bytes[i] | (uint8_t)~mask);
  }
}

void control_read_router_advert(struct cursor *cursor, struct control_facts *facts) {
  cursor_skip(cursor, ICMP_HEADER + 2); /* hop limit, flags */
  facts->lifetime = cursor_be16(cursor);
  cursor_skip(cursor, 8); /* two timers */
  while (cursor_left(cursor) > 0) {
    const uint8_t *head = cursor_take(cursor, 2);
    if (head == NULL || head[1] == 0)
      return;
    const uint8_t *body = cursor_take(cursor, (size_t)head[1] * 8 - 2);
    if (body != NULL && head[0] == OPTION_PREFIX && head[1] * 8 == PREFIX_SIZE)
      note_prefix(facts, body + 14, body[0]);
  }
}

void control_read_redirect(struct cursor *cursor, struct control_facts *facts) {
  cursor_skip(cursor, ICMP_HEADER);
  facts->router = control_take_ipv4(cursor);
}

void control_read_redirect_v6(struct cursor *cursor, struct control_facts *facts) {
  cursor_skip(cursor, ICMP_HEADER + 4);
  facts->router = control_take_ipv6(cursor);
}

void control_read_irdp(struct cursor *cursor, struct control_facts *facts) {
  cursor_skip(cursor, ICMP_HEADER + 2);
  facts->lifetime = cursor_be16(cursor);
  facts->router = control_take_ipv4(cursor);
}

/* A question may come from anybody; an answer tells routes. */
void control_read_rip(struct cursor *cursor, struct control_facts *facts) {
  facts->message = cursor_u8(cursor);
  facts->speaks_for_many = facts->message == RIP_RESPONSE;
}
