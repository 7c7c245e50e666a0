/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_SPACE_H
#define KIDO_PROOF_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/arena.h"
#include "proof/diagram.h"

/*
 * What a packet is to the prover: bits. Both lines of it (what the policy authorises, what the kernel's rules do) speak
 * of the same bits and share nothing else but these names.
 *
 * What has few values is not bits: a question is asked for one `situation` at a time (where the packet comes in and
 * goes out, its IP version, how conntrack sees it), so that rules that look at these are answered, not branched upon.
 */

enum situation_path {
  PATH_FORWARD, /* prerouting, forward, postrouting */
  PATH_INPUT,   /* prerouting, input */
  PATH_OUTPUT,  /* output, postrouting */
};

/* How conntrack sees the packet when it is judged; the original tuple is the packet's own but for the last five. */
enum situation_tracking {
  TRACKING_OPENS,            /* ct state new, not confirmed, mark 0: the first packet of a connection */
  TRACKING_OPENS_AGAIN,      /* ct state new, confirmed: e.g. a repeated SYN; the mark is what was written before */
  TRACKING_ORIGINAL,         /* established, direction original */
  TRACKING_REPLY,            /* established, direction reply: the original tuple is the packet's, turned around */
  TRACKING_RELATED_ORIGINAL, /* an ICMP error about a connection; the original tuple is that of what it quotes */
  TRACKING_RELATED_REPLY,
  TRACKING_INVALID,   /* no connection: ct loads but for the state find nothing */
  TRACKING_UNTRACKED, /* likewise */
  TRACKING_COUNT_,
};
const char *situation_tracking_name(enum situation_tracking tracking); /* "opens", … */

struct situation {
  enum situation_path path;
  /* Interface names; NULL: an interface that neither the policy nor any rule names. For PATH_INPUT only `in`, for
   * PATH_OUTPUT only `out`. "lo" is one like others. */
  const char *in, *out;
  enum address_family family;
  enum situation_tracking tracking;
};

/* In the order of their variables, top to bottom; bits most significant first. What says of which kind a packet is
 * comes first: were it below the addresses, every set of addresses would be drawn once for each kind. */
enum space_field {
  FIELD_MARK,                 /* 32: the connection mark as the packet meets it, as a number */
  FIELD_PROTOCOL,             /* 8: transport protocol, behind all extension headers (nft: meta l4proto) */
  FIELD_NEXT_HEADER,          /* 8: byte 6 of the IPv6 header */
  FIELD_HAS_HOP_BY_HOP,       /* 1: IPv6 */
  FIELD_HAS_ROUTING,          /* 1 */
  FIELD_HAS_FRAGMENT,         /* 1: IPv6: there is a fragment header */
  FIELD_TRANSPORT_READABLE,   /* 1: the packet is long enough for what rules read of its transport header */
  FIELD_TCP_FLAGS,            /* 8: byte 13 of the transport header */
  FIELD_STATUS,               /* 32: ct status, as a number; CONFIRMED is fixed by the situation */
  FIELD_VERSION_LENGTH,       /* 8: first byte of the IPv4 header, 0x45 without options */
  FIELD_FRAGMENT,             /* 16: bytes 6 and 7 of the IPv4 header: reserved, DF, MF, 13 bits of offset. IPv6: the
                                 same bits, of the fragment header (offset and MF as in IPv4), 0 without one */
  FIELD_DESTINATION,          /* 128; IPv4 has the first 32 */
  FIELD_SOURCE,               /* 128 */
  FIELD_DESTINATION_PORT,     /* 16: transport header, bytes 2 and 3 */
  FIELD_SOURCE_PORT,          /* 16: bytes 0 and 1; for ICMP the type and the code */
  FIELD_ORIGINAL_PROTOCOL,    /* the connection's original tuple, where it is not the packet's own (RELATED) */
  FIELD_ORIGINAL_DESTINATION, /* 128 */
  FIELD_ORIGINAL_SOURCE,      /* 128 */
  FIELD_ORIGINAL_DESTINATION_PORT,
  FIELD_ORIGINAL_SOURCE_PORT,
  FIELD_SOURCE_MAC,   /* 48 */
  FIELD_HOP_LIMIT,    /* 8: byte 8 (IPv4), byte 7 (IPv6) */
  FIELD_ROUTING_TYPE, /* 8 */
  FIELD_COUNT_,
};

/* Bits without a field, found in rules as they come: more of the headers, and answers that cannot be known. They have
 * the variables behind all fields. */
enum space_base { BASE_LINK, BASE_NETWORK, BASE_TRANSPORT, BASE_COUNT_ };

/* What is unknown, and what follows for the proof. */
enum unknown_kind {
  UNKNOWN_THROTTLE, /* limit, connlimit, slots: may drop what is allowed; a condition, no refutation */
  UNKNOWN_ANSWER,   /* may go either way: counts as passing for safety, as dropped for availability */
};
struct unknown {
  enum unknown_kind kind;
  const char *table, *chain; /* of the rule that asks */
  uint64_t rule;             /* its handle */
  unsigned expression;       /* its place in the rule */
  const char *what;          /* "limit", "meta length" */
};

struct space;

struct space *space_new(struct arena *arena); /* NULL without memory; lives as long as the arena */

unsigned space_field_width(enum space_field field);
const char *space_field_name(enum space_field field);
/* Variables of the first `width` bits of a field (0: all). They lie side by side. */
struct diagram_field space_field(const struct space *space, enum space_field field, unsigned width);
unsigned space_field_variable(const struct space *space, enum space_field field, unsigned bit);

/* The variable of a bit of the packet as nftables reads it: that of a field where the bit belongs to one in this family
 * (byte 12 of the IPv4 header is the source), else one of its own. UINT_MAX when there is no memory. bit 0 is the most
 * significant of the byte. */
unsigned space_packet_variable(struct space *space, enum address_family family, enum space_base base, unsigned byte,
                               unsigned bit);
/* A variable for something unknown; the same `unknown` (rule, expression, what) gives the same variable. */
unsigned space_unknown_variable(struct space *space, const struct unknown *unknown);
const struct unknown *space_unknown(const struct space *space, unsigned variable); /* NULL: it is no such thing */
/* A variable that is neither: a bit of a number in place of boxes (classes.h). shared: of boxes that concern everybody,
 * asked before those of one owner. UINT_MAX when there are no more. */
unsigned space_class_variable(struct space *space, bool shared);
bool space_has_classes(const struct space *space, unsigned more); /* so many variables are left for them */
/* `width` variables of fields from this one on, as a field; of width 0 when they are not all of fields. */
struct diagram_field space_variables(const struct space *space, unsigned first, unsigned width);
/* What an own bit stands for in this family; false when the variable is not one, or when that bit is a field's here. */
bool space_packet_bit(const struct space *space, enum address_family family, unsigned variable,
                      enum space_base *ret_base, unsigned *ret_byte, unsigned *ret_bit);
unsigned space_variable_count(const struct space *space); /* all variables are below */

/* Value of a field in an assignment, right-aligned big-endian bytes; and as a number for fields up to 64 bits. */
void space_read(const struct space *space, const uint8_t *bits, enum space_field field, uint8_t *ret_bytes);
uint64_t space_number(const struct space *space, const uint8_t *bits, enum space_field field);

#endif
