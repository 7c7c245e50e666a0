/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_RULES_RULESET_H
#define KIDO_RULES_RULESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/diagnostic.h"
#include "base/instant.h"

/*
 * One nftables table as data: what the compiler makes of a policy, and what is read back from a kernel. The same
 * struct both ways, so that "what was compiled is what the kernel holds" is one comparison.
 *
 * Rules are sequences of nftables expressions, as the kernel's virtual machine runs them. Registers are numbered as
 * 32-bit words 0 to 15 (word 0 is NFT_REG_1, word 4 NFT_REG_2; the kernel dumps a word that is a multiple of four as
 * the old 16-byte register). Values in `data` are the bytes that the kernel compares: network order for payload and
 * tuple, host order for marks, interface indexes and ct state.
 *
 * Objects, sets and chains are sorted by name, elements by key bytes; rules keep their order.
 */

enum { SEAL_DIGEST_SIZE = 16 };
enum { RULESET_NAME_MAX = 128, RULESET_DATA_MAX = 64 }; /* bytes; a concatenated key of five fields fits */

/* Where a node comes from: the flow, zone or host of the policy. file NULL: from the product itself. */
struct origin {
  const char *subject; /* "F-301", "lgwan"; "" for none */
  struct place place;
};

enum expression_kind {
  EXPRESSION_META,     /* load a meta key */
  EXPRESSION_CT,       /* load a conntrack key */
  EXPRESSION_CT_SET,   /* write a conntrack key (only the mark, or which events are told) */
  EXPRESSION_META_SET, /* write the packet mark */
  EXPRESSION_PAYLOAD,  /* load bytes of the packet */
  EXPRESSION_EXTHDR,   /* load bytes of an IPv6 extension header, or whether it is there (see present) */
  EXPRESSION_BITWISE,  /* register = (register & mask) ^ xor */
  EXPRESSION_COMPARE,  /* go on only if it holds */
  EXPRESSION_RANGE,
  EXPRESSION_LOOKUP,    /* set: go on only if (not) found; map: load data or take the verdict */
  EXPRESSION_IMMEDIATE, /* load constant data into a register */
  EXPRESSION_VERDICT,
  EXPRESSION_COUNTER_OBJECT, /* counts into a named counter */
  EXPRESSION_COUNTER,        /* counts in the rule */
  EXPRESSION_LIMIT,
  EXPRESSION_CONNECTIONS, /* goes on while at most, or (key: NFT_CONNLIMIT_F_INV) over `burst` connections that came
                             here live */
  EXPRESSION_LOG,
  EXPRESSION_DYNSET, /* adds the key to a dynamic set, renews or deletes it; with a burst, new elements are token
                        buckets (rate, unit_seconds, burst in packets), and it goes on only while the element's has a
                        token */
  EXPRESSION_REJECT,
  EXPRESSION_BYTEORDER, /* turns numbers in a register to network order or back (`meta hour` needs it) */
  EXPRESSION_FOREIGN,   /* read back, and not among these: never equal to anything that was compiled */
};

enum verdict_code { VERDICT_NONE, VERDICT_ACCEPT, VERDICT_DROP, VERDICT_JUMP, VERDICT_GOTO, VERDICT_RETURN };

struct verdict {
  enum verdict_code code;
  const char *chain; /* for jump and goto */
};

/* Only the fields of its kind are used; the others are zero. */
struct expression {
  enum expression_kind kind;
  uint32_t key;         /* META, CT: NFT_META_*, NFT_CT_*; PAYLOAD: base; EXTHDR: header type; COMPARE, RANGE: operator
                           NFT_CMP_*, NFT_RANGE_*; LIMIT: flags; LOG: group; DYNSET: NFT_DYNSET_OP_*; REJECT: type << 8 | code;
                           BYTEORDER: NFT_BYTEORDER_* */
  uint8_t direction;    /* CT: IP_CT_DIR_*, 0xff when the key takes none */
  uint8_t source;       /* register read */
  uint8_t destination;  /* register written */
  bool has_destination; /* LOOKUP in a map with data (not for a verdict map, see to_verdict) */
  bool to_verdict;      /* LOOKUP in a verdict map */
  bool invert;          /* LOOKUP */
  bool present;         /* EXTHDR: 1 or 0 is loaded, as the header is there or not */
  uint32_t offset;      /* PAYLOAD, EXTHDR; BYTEORDER: bytes of each number */
  uint32_t length;      /* bytes of data, mask, payload, numbers in all */
  uint8_t data[16];     /* COMPARE, IMMEDIATE, RANGE from */
  uint8_t mask[16];     /* BITWISE, RANGE to */
  uint8_t xor [16];     /* BITWISE */
  uint64_t rate;        /* LIMIT, DYNSET: per unit */
  uint64_t unit_seconds;
  uint32_t burst;
  const char *name;       /* LOOKUP, DYNSET: set; COUNTER_OBJECT: object; LOG: prefix; FOREIGN: expression name */
  struct verdict verdict; /* VERDICT */
};

struct rule {
  struct expression *expressions;
  size_t expression_count;
  const char *comment; /* NULL for none */
  const char *text;    /* in nft syntax, without the comment; NULL when read back */
  uint64_t handle;     /* of the kernel; 0 when compiled */
  struct origin origin;
};

enum chain_hook { HOOK_NONE, HOOK_PREROUTING, HOOK_INPUT, HOOK_FORWARD, HOOK_OUTPUT, HOOK_POSTROUTING };

struct chain {
  const char *name;
  enum chain_hook hook; /* HOOK_NONE: not a base chain */
  int priority;
  bool policy_drop;
  const char *comment;
  struct rule *rules;
  size_t rule_count;
  bool sealed; /* as the compiler made it; digest tells its rules */
  uint8_t digest[SEAL_DIGEST_SIZE];
  struct origin origin;
};

enum field_type {
  KEY_FIELD_IPV4,
  KEY_FIELD_IPV6,
  KEY_FIELD_ETHER,
  KEY_FIELD_PORT,
  KEY_FIELD_PROTOCOL,
  KEY_FIELD_INTERFACE,
  KEY_FIELD_MARK,
  KEY_FIELD_ICMP_TYPE,
  KEY_FIELD_ICMPV6_TYPE,
  KEY_FIELD_COUNT_,
};

/* Bytes of the field itself; in a concatenation each field is padded to a multiple of four. */
size_t field_size(enum field_type type);
const char *field_nft_name(enum field_type type); /* "ipv4_addr" */
uint32_t field_nft_type(enum field_type type);    /* the datatype number that nft writes into the set */

enum map_data { MAP_NONE, MAP_MARK, MAP_VERDICT };

struct element {
  uint8_t key[RULESET_DATA_MAX];
  uint8_t key_end[RULESET_DATA_MAX]; /* interval sets: last key, included; equal to key otherwise */
  uint32_t mark;                     /* MAP_MARK */
  struct verdict verdict;            /* MAP_VERDICT */
  struct instant expires;            /* INSTANT_NEVER: no timeout */
  const char *comment;               /* NULL for none */
  uint64_t packets, bytes;           /* when read back from a set that counts */
  struct origin origin;
};

struct set {
  const char *name;
  enum field_type fields[5];
  size_t field_count;
  size_t key_size; /* bytes; of several fields each padded to a multiple of four, of one field field_size() */
  enum map_data data;
  bool interval;
  bool timeouts; /* elements may carry a timeout */
  bool counters; /* each element counts */
  bool dynamic;  /* packets add and delete the elements: state of the kernel's, never listed here nor compared */
  uint32_t timeout_seconds;    /* of elements that say none; 0: never */
  uint32_t sweep_milliseconds; /* how often the kernel gives dead elements back; 0: its own choice */
  uint32_t size;               /* declared room; 0: none */
  const char *comment;
  struct element *elements;
  size_t element_count;
  bool foreign; /* read back, and with properties that this struct cannot say */
  bool sealed;  /* as the compiler made it; digest tells its elements */
  uint8_t digest[SEAL_DIGEST_SIZE];
  struct origin origin;
};

struct counter {
  const char *name;
  const char *comment;
  uint64_t packets, bytes; /* when read back */
  struct origin origin;
};

struct ruleset {
  const char *table; /* family inet */
  bool present;      /* read back: the table exists */
  bool dormant;      /* read back: switched off by somebody */
  struct counter *counters;
  size_t counter_count;
  struct set *sets;
  size_t set_count;
  struct chain *chains;
  size_t chain_count;
  uint32_t generation;  /* read back: of the kernel; else 0 */
  size_t foreign_count; /* read back: objects of kinds that the struct cannot say (flowtables, other objects) */
};

const struct set *ruleset_find_set(const struct ruleset *ruleset, const char *name);
const struct chain *ruleset_find_chain(const struct ruleset *ruleset, const char *name);
const struct counter *ruleset_find_counter(const struct ruleset *ruleset, const char *name);

/* Copies that need nothing of their originals; places and texts of rules are left out. Return 0 or -ENOMEM. */
int set_copy(const struct set *from, struct arena *arena, struct set *ret_set);
int chain_copy(const struct chain *from, struct arena *arena, struct chain *ret_chain);
int counter_copy(const struct counter *from, struct arena *arena, struct counter *ret_counter);

/* Seconds by which the end of an element read back may differ from the one compiled and still be the same. */
enum { RULESET_END_TOLERANCE = 1 };

bool expression_equal(const struct expression *left, const struct expression *right);
bool rule_equal(const struct rule *left, const struct rule *right); /* expressions and comment */
int element_compare_keys(const struct set *set, const struct element *left, const struct element *right);
/* The element with the key of that one; NULL when there is none. */
const struct element *set_find(const struct set *set, const struct element *key);
/* Same key, data, comment and (within tolerance_seconds) end; counters apart. */
bool element_equal(const struct set *set, const struct element *left, const struct element *right,
                   int64_t tolerance_seconds);

/* All but elements, or rules. */
bool set_properties_equal(const struct set *left, const struct set *right);
/* True: the elements of both are the same, without a look at them. */
bool set_surely_same(const struct set *left, const struct set *right);
bool chain_surely_same(const struct chain *left, const struct chain *right); /* likewise their rules */
bool chain_properties_equal(const struct chain *left, const struct chain *right);

/*
 * Whether two rulesets mean and say the same: everything but handles, counters' values, places and text. On a
 * difference *ret_what names the first one ("chain 'forward': rule 2 differs") in the arena.
 */
bool ruleset_equal(const struct ruleset *left, const struct ruleset *right, struct arena *arena, const char **ret_what);

#endif
