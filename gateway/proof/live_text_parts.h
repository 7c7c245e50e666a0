/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_LIVE_TEXT_PARTS_H
#define KIDO_PROOF_LIVE_TEXT_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "proof/live.h"

/* Values of registers as words for people, for live_rule_text(). */

enum value_format {
  VALUE_HEX,
  VALUE_NUMBER, /* in network order */
  VALUE_HOST,   /* a number as the machine has it */
  VALUE_MARK,   /* the same, in hexadecimal */
  VALUE_ADDRESS,
  VALUE_MAC,
  VALUE_NAME,
  VALUE_PROTOCOL,
  VALUE_FAMILY,
  VALUE_ICMP,
  VALUE_STATE,
  VALUE_STATUS,
  VALUE_DIRECTION,
  VALUE_FORMAT_COUNT_,
};

/* What a register holds. */
struct saying {
  const char *text; /* "ip saddr" */
  enum value_format format;
  const uint8_t *mask;     /* what it was masked with, `length` bytes; NULL */
  const uint8_t *constant; /* its value, where the rule itself put it there; NULL */
  unsigned start, length;
};

const char *value_text(enum value_format format, const uint8_t *data, unsigned length, struct arena *arena);
/* Names of the bits of a state or a status, "established,related"; NULL when the format has no bits or one has no name.
 */
const char *value_bits(enum value_format format, const uint8_t *data, unsigned length, struct arena *arena);
/* Length of the prefix when the mask is one, else -1. */
int mask_prefix(const uint8_t *mask, unsigned length);
bool all_zero(const uint8_t *data, unsigned length);

/* What a load puts into its register. protocol: of the transport as far as the rule has asked; -1: it has not. */
struct saying saying_of_meta(const struct live_expression *load, struct arena *arena);
struct saying saying_of_ct(const struct live_expression *load, struct arena *arena);
struct saying saying_of_payload(const struct live_expression *load, int protocol, struct arena *arena);
struct saying saying_of_exthdr(const struct live_expression *load, struct arena *arena);

#endif
