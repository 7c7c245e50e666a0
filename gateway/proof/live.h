/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_LIVE_H
#define KIDO_PROOF_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/*
 * What a kernel holds of nftables: every table, chain, rule, set, element, object and flowtable of every family,
 * whoever made it, as decoded from its messages. Not the struct that the compiler fills: a mistake in one must not
 * have its mirror in the other.
 *
 * Nothing is dropped in silence. What the decoder does not know (an attribute, a flag, an expression) leaves the node
 * in its place with `unmodelled` set: a few words why. Who gives nodes a meaning must treat such a node as "anything
 * may happen here".
 */

enum { LIVE_REGISTER_BYTES = 80 }; /* 0-15: the verdict register; from 16 on sixteen words of four bytes */

enum live_kind {
  LIVE_IMMEDIATE,
  LIVE_COMPARE,
  LIVE_RANGE,
  LIVE_BITWISE,
  LIVE_BYTEORDER,
  LIVE_PAYLOAD,
  LIVE_PAYLOAD_SET,
  LIVE_META,
  LIVE_META_SET,
  LIVE_CT,
  LIVE_CT_SET,
  LIVE_LOOKUP,
  LIVE_DYNSET,
  LIVE_EXTHDR,
  LIVE_EXTHDR_SET,
  LIVE_COUNTER,
  LIVE_LOG,
  LIVE_LAST,
  LIVE_LIMIT,
  LIVE_QUOTA,
  LIVE_CONNLIMIT,
  LIVE_OBJECT_REFERENCE,
  LIVE_REJECT,
  LIVE_NOTRACK,
  LIVE_NAT,   /* nat, masq, redir: name says which */
  LIVE_ASK,   /* fib, numgen, hash, socket, osf, rt, xfrm, tunnel, inner, match: writes at most the `length` bytes at
                 `destination`, with what cannot be known here, or stops the rule; has no other effect */
  LIVE_OTHER, /* known by name (name), with no meaning here; unmodelled says why */
  LIVE_KIND_COUNT_,
};

struct live_chain;
struct live_set;
struct live_table;

enum live_verdict_code {
  LIVE_ACCEPT,
  LIVE_DROP,
  LIVE_CONTINUE,
  LIVE_BREAK,
  LIVE_JUMP,
  LIVE_GOTO,
  LIVE_RETURN,
  LIVE_QUEUE
};
struct live_verdict {
  enum live_verdict_code code;
  const struct live_chain *chain; /* jump, goto; NULL in others */
};

/* One expression. Which members hold is said per kind; others are 0. Registers are byte offsets as the kernel counts
 * (NFT_REG32_00 and NFT_REG_1 are both byte 16). Where unmodelled is NULL, all that is read and written lies within the
 * registers, and the lengths of values are those that the kernel compares or writes. */
struct live_expression {
  enum live_kind kind;
  const char *name;       /* as the kernel says it: "payload" */
  const char *unmodelled; /* NULL: all of it was understood */
  unsigned source;        /* register read: compare, range, bitwise, byteorder, *_set, lookup, dynset (key), object
                             reference by map; nat: least address; fwd, dup: device */
  unsigned
      source_data; /* dynset: data; bitwise: the second register; nat, masq, redir: least port; fwd, dup: address */
  bool has_source_data;
  unsigned destination; /* register written */
  bool has_destination; /* lookup: false: a set, or a verdict map (verdict_map) */
  bool has_source;      /* nat, object reference */
  bool verdict_map;
  unsigned length;    /* bytes read or written; bitwise, byteorder, payload, exthdr, meta, ct, ask; lookup: of the map's
                         values */
  unsigned key;       /* meta: NFT_META_*; ct: NFT_CT_*; exthdr: header type; limit: 0 packets, 1 bytes; nat: family */
  int direction;      /* ct: 0 original, 1 reply, -1: none was named */
  unsigned base;      /* payload: NFT_PAYLOAD_*_HEADER */
  unsigned offset;    /* payload, exthdr */
  unsigned operation; /* compare, range: NFT_CMP_*, NFT_RANGE_*; bitwise: NFT_BITWISE_*; byteorder; exthdr:
                         NFT_EXTHDR_OP_*; dynset: NFT_DYNSET_OP_*; reject: type; object reference: object type;
                         nat: NFT_NAT_* */
  unsigned size;      /* byteorder: 2, 4, 8 */
  uint32_t flags;     /* exthdr: F_PRESENT; lookup, connlimit, limit, quota: F_INV; nat flags */
  const uint8_t *data; /* immediate, compare: value; range: from; bitwise: mask (or shift count, four bytes) */
  unsigned data_length;
  const uint8_t *data_to; /* range: to; bitwise: xor */
  unsigned data_to_length;
  bool is_verdict; /* immediate: verdict below instead of data */
  struct live_verdict verdict;
  const struct live_set *set; /* lookup, dynset, object reference by map; NULL when the kernel named none that exists */
  const char *object;         /* object reference: name; log: prefix; flow_offload: flowtable */
  uint64_t rate, unit_seconds;          /* limit; quota: rate: bytes */
  uint64_t timeout;                     /* dynset: milliseconds, 0: the set's */
  uint32_t burst;                       /* limit; connlimit: the count; reject: code */
  const struct live_expression *nested; /* dynset: what each element carries */
  size_t nested_count;
};

struct live_rule {
  uint64_t handle;
  const char *comment; /* what userdata says, for people only; "" when none */
  const struct live_expression *expressions;
  size_t expression_count;
  const char *unmodelled; /* an attribute of the rule itself */
};

struct live_chain {
  const struct live_table *table;
  const char *name;
  uint64_t handle;
  bool base;
  const char *type; /* "filter", "nat", "route"; base chains only */
  unsigned hook;    /* NF_INET_*, NF_NETDEV_*; meaning depends on the family */
  int32_t priority;
  bool policy_accept;   /* what happens at the end of a base chain */
  const char **devices; /* netdev, and ingress of inet */
  size_t device_count;
  uint32_t flags;
  struct live_rule *rules;
  size_t rule_count;
  const char *unmodelled;
};

/* Both ends included, each `key_length` bytes, fields as they lie in registers (padded to four bytes); NULL in a
 * catch-all and in elements whose key is not understood. Any element that is unmodelled makes its set unmodelled. */
struct live_element {
  const uint8_t *first, *last; /* equal for a single value */
  const uint8_t *data;         /* maps; NULL in sets and verdict maps */
  struct live_verdict verdict; /* verdict maps */
  const char *object;          /* object maps */
  bool has_timeout;
  uint64_t timeout, expiration;              /* milliseconds; expiration: what was left when it was read; 0 without */
  const struct live_expression *expressions; /* counter and the like */
  size_t expression_count;
  const char *unmodelled;
};

enum live_data_kind { LIVE_NO_DATA, LIVE_VALUES, LIVE_VERDICTS, LIVE_OBJECTS };

struct live_set {
  const struct live_table *table;
  const char *name;
  uint64_t handle;
  uint32_t flags; /* NFT_SET_* */
  bool anonymous, constant, interval, concatenation;
  bool dynamic;      /* packets may change it (NFT_SET_EVAL): its contents are not known */
  bool has_timeouts; /* elements may end (NFT_SET_TIMEOUT) */
  uint64_t timeout;  /* of elements that name none, milliseconds; 0: none */
  unsigned key_length, data_length;
  unsigned field_lengths[16]; /* concatenation: bytes of each field without padding; else one field. Without intervals
                                 the kernel may not tell them: then all is one field, too */
  size_t field_count;
  enum live_data_kind data_kind;
  unsigned object_type;          /* of a map of objects: NFT_OBJECT_* */
  struct live_element *elements; /* ends already paired; disjoint or, in concatenations, as the kernel gave them */
  size_t element_count;
  bool has_catch_all;
  struct live_element catch_all;
  const char *unmodelled;
};

struct live_object {
  const struct live_table *table;
  const char *name;
  uint64_t handle;
  unsigned type; /* NFT_OBJECT_* */
  const char *unmodelled;
};

struct live_flowtable {
  const struct live_table *table;
  const char *name;
  uint64_t handle;
  unsigned hook;
  int32_t priority;
  const char **devices;
  size_t device_count;
  uint32_t flags;
  const char *unmodelled;
};

struct live_table {
  unsigned family; /* NFPROTO_* */
  const char *name;
  uint64_t handle;
  uint32_t flags;
  bool dormant;
  uint32_t owner; /* netlink port of its owner; 0: none */
  struct live_chain *chains;
  size_t chain_count;
  struct live_set *sets;
  size_t set_count;
  struct live_object *objects;
  size_t object_count;
  struct live_flowtable *flowtables;
  size_t flowtable_count;
  const char *unmodelled;
};

struct live_ruleset {
  uint32_t generation;
  int64_t taken_at; /* wall clock in milliseconds since 1970, when the dump began: expirations count from there */
  struct live_table *tables;
  size_t table_count;
};

/* NULL when there is none. */
const struct live_table *live_find_table(const struct live_ruleset *ruleset, unsigned family, const char *name);
const struct live_chain *live_find_chain(const struct live_table *table, const char *name);
const struct live_set *live_find_set(const struct live_table *table, const char *name);

/* One line of a rule for people, close to nft's words: "iifname lan0 ct state established accept". Never exact. */
const char *live_rule_text(const struct live_rule *rule, struct arena *arena);
const char *live_family_name(unsigned family); /* "inet" */

#endif
