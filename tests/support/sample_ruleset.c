/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sample_ruleset.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>

enum { ROOM = 32, DIRECTION_NONE = 0xff };

/* ---- sets ---- */

struct sample_element {
  const char *first; /* fields' bytes as hexadecimal, without the padding between them */
  const char *last;  /* NULL: the same */
  const char *comment;
  uint32_t mark;
  struct verdict verdict;
  int64_t lasts; /* seconds; 0: for ever */
};

struct sample_set {
  const char *name;
  enum field_type fields[5];
  size_t field_count;
  enum map_data data;
  bool interval, timeouts, counters;
  uint32_t size;
  bool dynamic;
  uint32_t timeout_seconds, sweep_milliseconds;
  const char *comment;
  struct sample_element elements[8];
};

#define LOOPBACK "6c6f0000000000000000000000000000"
#define ETHERNET0 "65746830000000000000000000000000"
#define ETHERNET1 "65746831000000000000000000000000"
#define ZEROS16 "00000000000000000000000000000000"
#define ONES16 "ffffffffffffffffffffffffffffffff"

static const struct sample_set sample_sets[] = {
    {.name = "in_force.a.b",
     .fields = {KEY_FIELD_MARK},
     .field_count = 1,
     .timeouts = true,
     .counters = true,
     .size = 64,
     .elements = {{.first = "01000000", .comment = "F-1"},
                  {.first = "78563412", .comment = "F-2", .lasts = 3600},
                  {.first = "ffffffff", .lasts = 86400 * 400}}},
    {.name = "source4.a",
     .fields = {KEY_FIELD_IPV4},
     .field_count = 1,
     .interval = true,
     .comment = "networks of a",
     .elements = {{.first = "0a000000", .last = "0affffff", .comment = "ten"},
                  {.first = "0b000000", .last = "0b000005"}, /* touches the one before */
                  {.first = "c0a80005"},
                  {.first = "e0000000", .last = "ffffffff", .comment = "to the top"}}},
    {.name = "from_zero",
     .fields = {KEY_FIELD_IPV4},
     .field_count = 1,
     .interval = true,
     .elements = {{.first = "00000000", .last = "00ffffff"}, {.first = "7f000000", .last = "7fffffff"}}},
    {.name = "everything",
     .fields = {KEY_FIELD_IPV4},
     .field_count = 1,
     .interval = true,
     .elements = {{.first = "00000000", .last = "ffffffff"}}},
    {.name = "nothing", .fields = {KEY_FIELD_IPV4}, .field_count = 1, .interval = true},
    {.name = "source6.a",
     .fields = {KEY_FIELD_IPV6},
     .field_count = 1,
     .interval = true,
     .elements = {{.first = "20010db8000000000000000000000001"},
                  {.first = "fe800000000000000000000000000000", .last = "febfffffffffffffffffffffffffffff"}}},
    {.name = "ports",
     .fields = {KEY_FIELD_PORT},
     .field_count = 1,
     .interval = true,
     .elements = {{.first = "0050"}, {.first = "0064", .last = "00c8"}, {.first = "fde8", .last = "ffff"}}},
    {.name = "ending_networks",
     .fields = {KEY_FIELD_IPV4},
     .field_count = 1,
     .interval = true,
     .timeouts = true,
     .elements = {{.first = "0a000000", .last = "0affffff", .lasts = 7200, .comment = "for two hours"},
                  {.first = "0c000000", .last = "0c0000ff"}}},
    {.name = "binding4.a",
     .fields = {KEY_FIELD_IPV4, KEY_FIELD_ETHER},
     .field_count = 2,
     .elements = {{.first = "0a000001"
                            "001122334455",
                   .comment = "host h"}}},
    {.name = "hardware",
     .fields = {KEY_FIELD_ETHER},
     .field_count = 1,
     .elements = {{.first = "001122334455"}, {.first = "ffeeddccbbaa"}}},
    {.name = "tunnel_protocols",
     .fields = {KEY_FIELD_PROTOCOL},
     .field_count = 1,
     .elements = {{.first = "04"}, {.first = "29"}, {.first = "2f"}}},
    {.name = "icmp_passing",
     .fields = {KEY_FIELD_ICMP_TYPE},
     .field_count = 1,
     .elements = {{.first = "00"}, {.first = "08"}}},
    {.name = "icmpv6_passing",
     .fields = {KEY_FIELD_ICMPV6_TYPE},
     .field_count = 1,
     .elements = {{.first = "80"}, {.first = "81"}}},
    {.name = "receiving",
     .fields = {KEY_FIELD_INTERFACE},
     .field_count = 1,
     .data = MAP_VERDICT,
     .elements = {{.first = LOOPBACK, .verdict = {VERDICT_ACCEPT, NULL}},
                  {.first = ETHERNET0, .verdict = {VERDICT_GOTO, "pair.a.b"}, .comment = "zone a"},
                  {.first = ETHERNET1, .verdict = {VERDICT_DROP, NULL}}}},
    {.name = "forwarding",
     .fields = {KEY_FIELD_INTERFACE, KEY_FIELD_INTERFACE},
     .field_count = 2,
     .data = MAP_VERDICT,
     .comment = "pairs",
     .elements = {{.first = ETHERNET0 ETHERNET1, .verdict = {VERDICT_JUMP, "pair.a.b"}, .comment = "a to b"},
                  {.first = ETHERNET1 ETHERNET0, .verdict = {VERDICT_RETURN, NULL}}}},
    {.name = "exact4",
     .fields = {KEY_FIELD_IPV4, KEY_FIELD_PORT, KEY_FIELD_IPV4},
     .field_count = 3,
     .data = MAP_MARK,
     .size = 16,
     .elements = {{.first = "0a000001"
                            "0050"
                            "0a000002",
                   .mark = 1,
                   .comment = "F-1"},
                  {.first = "0a000001"
                            "0051"
                            "0a000002",
                   .mark = 0x12345678}}},
    {.name = "half_open4",
     .fields = {KEY_FIELD_IPV4, KEY_FIELD_PORT},
     .field_count = 2,
     .timeouts = true,
     .size = 4096,
     .dynamic = true,
     .timeout_seconds = 120,
     .sweep_milliseconds = 100},
    {.name = "range4",
     .fields = {KEY_FIELD_IPV4, KEY_FIELD_PORT, KEY_FIELD_IPV4},
     .field_count = 3,
     .data = MAP_MARK,
     .interval = true,
     .elements = {{.first = "01010101"
                            "0005"
                            "00000000",
                   .last = "01010101"
                           "0005"
                           "ffffffff",
                   .mark = 2},
                  {.first = "0a000000"
                            "0050"
                            "0a010000",
                   .last = "0a0000ff"
                           "005a"
                           "0a010006",
                   .mark = 1,
                   .comment = "F-1"}}},
    {.name = "range6",
     .fields = {KEY_FIELD_IPV6, KEY_FIELD_PORT, KEY_FIELD_IPV6, KEY_FIELD_PORT},
     .field_count = 4,
     .data = MAP_MARK,
     .interval = true,
     .timeouts = true,
     .size = 8,
     .comment = "with ends",
     .elements = {{.first = "20010db8000000000000000000000000"
                            "0050" ZEROS16 "0000",
                   .last = "20010db800000000ffffffffffffffff"
                           "005a" ONES16 "ffff",
                   .mark = 7,
                   .lasts = 600,
                   .comment = "F-6"}}},
};

static unsigned char nibble(char digit) {
  return (unsigned char)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

/* Hexadecimal without padding becomes the key as the kernel lays it out. */
static void fill_key(const struct set *set, const char *text, uint8_t *key) {
  size_t place = 0;
  for (size_t field = 0; field < set->field_count; field++) {
    size_t size = field_size(set->fields[field]);
    for (size_t i = 0; i < size; i++, text += 2) {
      key[place + i] = (uint8_t)(nibble(text[0]) << 4 | nibble(text[1]));
    }
    place += set->field_count > 1 ? (size + 3) / 4 * 4 : size;
  }
  assert(*text == '\0' && place == set->key_size);
}

static size_t key_size_of(const struct sample_set *from) {
  size_t size = 0;
  for (size_t i = 0; i < from->field_count; i++) {
    size += (field_size(from->fields[i]) + 3) / 4 * 4;
  }
  return from->field_count == 1 ? field_size(from->fields[0]) : size;
}

struct element *sample_element(struct set *set, const void *first, const void *last) {
  struct element *element = &set->elements[set->element_count++];
  *element = (struct element){.expires = INSTANT_NEVER};
  memcpy(element->key, first, set->key_size);
  memcpy(element->key_end, last != NULL ? last : first, set->key_size);
  return element;
}

static void copy_element(struct set *set, const struct sample_element *from, struct instant now) {
  uint8_t first[RULESET_DATA_MAX] = {0};
  uint8_t last[RULESET_DATA_MAX] = {0};
  fill_key(set, from->first, first);
  fill_key(set, from->last != NULL ? from->last : from->first, last);
  struct element *element = sample_element(set, first, last);
  element->comment = from->comment;
  element->mark = from->mark;
  element->verdict = from->verdict;
  element->origin.subject = from->comment;
  if (from->lasts > 0) {
    element->expires.seconds = now.seconds + from->lasts;
  }
}

static int compare_elements(const void *left, const void *right) {
  const struct element *first = left;
  const struct element *second = right;
  return memcmp(first->key, second->key, sizeof(first->key));
}

void sample_sort(struct set *set) {
  qsort(set->elements, set->element_count, sizeof(*set->elements), compare_elements);
}

static void copy_set(struct arena *arena, const struct sample_set *from, struct instant now, struct set *set) {
  *set = (struct set){.name = from->name,
                      .field_count = from->field_count,
                      .key_size = key_size_of(from),
                      .data = from->data,
                      .interval = from->interval,
                      .timeouts = from->timeouts,
                      .counters = from->counters,
                      .size = from->size,
                      .dynamic = from->dynamic,
                      .timeout_seconds = from->timeout_seconds,
                      .sweep_milliseconds = from->sweep_milliseconds,
                      .comment = from->comment,
                      .origin = {.subject = "set-of-the-sample"}};
  memcpy(set->fields, from->fields, sizeof(set->fields));
  set->elements = ARENA_ARRAY(arena, ROOM, struct element);
  for (size_t i = 0; i < sizeof(from->elements) / sizeof(from->elements[0]) && from->elements[i].first != NULL; i++) {
    copy_element(set, &from->elements[i], now);
  }
  sample_sort(set);
}

/* ---- rules ---- */

#define META(k, to)                                                                                                    \
  { .kind = EXPRESSION_META, .key = (k), .destination = (to) }
#define CT(k, dir, to)                                                                                                 \
  { .kind = EXPRESSION_CT, .key = (k), .direction = (dir), .destination = (to) }
#define PAYLOAD(base, from, size, to)                                                                                  \
  { .kind = EXPRESSION_PAYLOAD, .key = (base), .offset = (from), .length = (size), .destination = (to) }
#define COMPARE(operator, size, ...)                                                                                   \
  {                                                                                                                    \
    .kind = EXPRESSION_COMPARE, .key = (operator), .length = (size), .data = { __VA_ARGS__ }                           \
  }
#define BITWISE(size, ...)                                                                                             \
  {                                                                                                                    \
    .kind = EXPRESSION_BITWISE, .length = (size), .mask = { __VA_ARGS__ }                                              \
  }
#define LOOKUP(set)                                                                                                    \
  { .kind = EXPRESSION_LOOKUP, .name = (set) }
#define LOOKUP_NOT(set)                                                                                                \
  { .kind = EXPRESSION_LOOKUP, .name = (set), .invert = true }
#define LOOKUP_VERDICT(set)                                                                                            \
  { .kind = EXPRESSION_LOOKUP, .name = (set), .to_verdict = true }
#define LOOKUP_DATA(set)                                                                                               \
  { .kind = EXPRESSION_LOOKUP, .name = (set), .has_destination = true }
#define VERDICT(c, to)                                                                                                 \
  {                                                                                                                    \
    .kind = EXPRESSION_VERDICT, .verdict = {(c), (to) }                                                                \
  }
#define COUNTER_OBJECT(object)                                                                                         \
  { .kind = EXPRESSION_COUNTER_OBJECT, .name = (object) }
#define IS_IPV4 META(NFT_META_NFPROTO, 0), COMPARE(NFT_CMP_EQ, 1, NFPROTO_IPV4)
#define IS_IPV6 META(NFT_META_NFPROTO, 0), COMPARE(NFT_CMP_EQ, 1, NFPROTO_IPV6)
#define IS_PROTOCOL(p) META(NFT_META_L4PROTO, 0), COMPARE(NFT_CMP_EQ, 1, (p))
#define NETWORK NFT_PAYLOAD_NETWORK_HEADER
#define TRANSPORT NFT_PAYLOAD_TRANSPORT_HEADER
#define EXTENSION(type, from, size, there)                                                                             \
  { .kind = EXPRESSION_EXTHDR, .key = (type), .offset = (from), .length = (size), .present = (there) }

struct sample_rule {
  const char *chain;
  const char *text;
  const char *comment;
  struct expression expressions[12]; /* up to the first zero one that is not META with key 0 … see count */
  size_t count;
};

#define RULE(in, words, note, ...)                                                                                     \
  {                                                                                                                    \
    .chain = (in), .text = (words), .comment = (note), .expressions = {__VA_ARGS__},                                   \
    .count = sizeof((struct expression[]){__VA_ARGS__}) / sizeof(struct expression)                                    \
  }

static const struct sample_rule sample_rules[] = {
    RULE("prerouting", "iifname vmap @receiving", NULL, META(NFT_META_IIFNAME, 0), LOOKUP_VERDICT("receiving")),
    RULE("prerouting", "counter name \"guard.-.unknown-zone\" drop", "the end", COUNTER_OBJECT("guard.-.unknown-zone"),
         VERDICT(VERDICT_DROP, NULL)),
    RULE("forward", "iifname . oifname vmap @forwarding", NULL, META(NFT_META_IIFNAME, 0), META(NFT_META_OIFNAME, 4),
         LOOKUP_VERDICT("forwarding")),
    RULE("forward", "drop", NULL, VERDICT(VERDICT_DROP, NULL)),
    RULE("open.a.b",
         "meta l4proto tcp ct mark set ct original ip daddr . ct original proto-dst . ct original ip saddr "
         "map @exact4",
         "exact", IS_PROTOCOL(6), CT(NFT_CT_DST_IP, 0, 0), CT(NFT_CT_PROTO_DST, 0, 1), CT(NFT_CT_SRC_IP, 0, 2),
         LOOKUP_DATA("exact4"), {.kind = EXPRESSION_CT_SET, .key = NFT_CT_MARK}),
    RULE("open.a.b",
         "meta l4proto tcp ct mark set ct original ip daddr . ct original proto-dst . ct original ip saddr "
         "map @range4",
         NULL, IS_PROTOCOL(6), CT(NFT_CT_DST_IP, 0, 0), CT(NFT_CT_PROTO_DST, 0, 1), CT(NFT_CT_SRC_IP, 0, 2),
         LOOKUP_DATA("range4"), {.kind = EXPRESSION_CT_SET, .key = NFT_CT_MARK}),
    RULE("open.a.b",
         "meta l4proto tcp ct mark set ct original ip6 daddr . ct original proto-dst . ct original ip6 "
         "saddr . ct original proto-src map @range6",
         NULL, IS_PROTOCOL(6), CT(NFT_CT_DST_IP6, 0, 0), CT(NFT_CT_PROTO_DST, 0, 4), CT(NFT_CT_SRC_IP6, 0, 5),
         CT(NFT_CT_PROTO_SRC, 0, 9), LOOKUP_DATA("range6"), {.kind = EXPRESSION_CT_SET, .key = NFT_CT_MARK}),
    RULE("pair.a.b", "ct mark @in_force.a.b accept", NULL, CT(NFT_CT_MARK, DIRECTION_NONE, 0), LOOKUP("in_force.a.b"),
         VERDICT(VERDICT_ACCEPT, NULL)),
    RULE("pair.a.b", "ct state invalid counter name \"denied.a.b.invalid-state\" drop", NULL,
         CT(NFT_CT_STATE, DIRECTION_NONE, 0), BITWISE(4, 1), COMPARE(NFT_CMP_NEQ, 4, 0),
         COUNTER_OBJECT("denied.a.b.invalid-state"), VERDICT(VERDICT_DROP, NULL)),
    RULE("pair.a.b", "ct state new tcp flags & (fin | syn | rst | ack) != syn drop", NULL,
         CT(NFT_CT_STATE, DIRECTION_NONE, 0), BITWISE(4, 8), COMPARE(NFT_CMP_NEQ, 4, 0), IS_PROTOCOL(6),
         PAYLOAD(TRANSPORT, 13, 1, 0), BITWISE(1, 0x17), COMPARE(NFT_CMP_NEQ, 1, 2), VERDICT(VERDICT_DROP, NULL)),
    RULE("pair.a.b", "ct direction original jump open.a.b", NULL, CT(NFT_CT_DIRECTION, DIRECTION_NONE, 0),
         COMPARE(NFT_CMP_EQ, 1, 0), VERDICT(VERDICT_JUMP, "open.a.b")),
    RULE("pair.a.b", "ip saddr != @source4.a goto various", NULL, IS_IPV4, PAYLOAD(NETWORK, 12, 4, 0),
         LOOKUP_NOT("source4.a"), VERDICT(VERDICT_GOTO, "various")),
    RULE("pair.a.b", "ip saddr . ether saddr != @binding4.a drop", NULL, IS_IPV4, META(NFT_META_IIFTYPE, 0),
         COMPARE(NFT_CMP_EQ, 2, 1), PAYLOAD(NETWORK, 12, 4, 0), PAYLOAD(NFT_PAYLOAD_LL_HEADER, 6, 6, 1),
         LOOKUP_NOT("binding4.a"), VERDICT(VERDICT_DROP, NULL)),
    RULE("various", "ip hdrlength > 5 drop", NULL, IS_IPV4, PAYLOAD(NETWORK, 0, 1, 0), BITWISE(1, 0x0f),
         COMPARE(NFT_CMP_GT, 1, 5), VERDICT(VERDICT_DROP, NULL)),
    RULE("various", "udp dport 3544 drop", NULL, IS_PROTOCOL(17), PAYLOAD(TRANSPORT, 2, 2, 0),
         COMPARE(NFT_CMP_EQ, 2, 0x0d, 0xd8), VERDICT(VERDICT_DROP, NULL)),
    RULE("various", "tcp dport != 80-90 drop", NULL, IS_PROTOCOL(6), PAYLOAD(TRANSPORT, 2, 2, 0),
         {.kind = EXPRESSION_RANGE, .key = NFT_RANGE_NEQ, .length = 2, .data = {0, 80}, .mask = {0, 90}},
         VERDICT(VERDICT_DROP, NULL)),
    RULE("various", "exthdr rt exists drop", NULL, IS_IPV6, EXTENSION(43, 0, 1, true), COMPARE(NFT_CMP_EQ, 1, 1),
         VERDICT(VERDICT_DROP, NULL)),
    RULE("various", "rt type 0 drop", NULL, IS_IPV6, EXTENSION(43, 2, 1, false), COMPARE(NFT_CMP_EQ, 1, 0),
         VERDICT(VERDICT_DROP, NULL)),
    RULE("various", "meta hour >= 32400 drop", NULL, META(NFT_META_TIME_HOUR, 0),
         {.kind = EXPRESSION_BYTEORDER, .key = NFT_BYTEORDER_HTON, .length = 4, .offset = 4},
         COMPARE(NFT_CMP_GTE, 4, 0, 0, 0x7e, 0x90), VERDICT(VERDICT_DROP, NULL)),
    RULE("various", "ip frag-off & 0x3fff != 0 counter", "fragments", IS_IPV4, PAYLOAD(NETWORK, 6, 2, 0),
         BITWISE(2, 0x3f, 0xff), COMPARE(NFT_CMP_NEQ, 2, 0), {.kind = EXPRESSION_COUNTER}),
    RULE("various", "meta mark set 0x00000077", NULL, {.kind = EXPRESSION_IMMEDIATE, .length = 4, .data = {0x77}},
         {.kind = EXPRESSION_META_SET, .key = NFT_META_MARK}),
    RULE("various", "ct mark set 0x00000000", NULL, {.kind = EXPRESSION_IMMEDIATE, .length = 4},
         {.kind = EXPRESSION_CT_SET, .key = NFT_CT_MARK}),
    RULE("various", "ct event set new,destroy", NULL,
         {.kind = EXPRESSION_IMMEDIATE, .length = 4, .data = {1U << IPCT_NEW | 1U << IPCT_DESTROY}},
         {.kind = EXPRESSION_CT_SET, .key = NFT_CT_EVENTMASK}),
    RULE("various", "limit rate 10/second burst 20 packets log prefix \"kido \" group 3", NULL,
         {.kind = EXPRESSION_LIMIT, .rate = 10, .unit_seconds = 1, .burst = 20},
         {.kind = EXPRESSION_LOG, .key = 3, .name = "kido "}),
    RULE("various", "limit rate over 10/minute drop", NULL,
         {.kind = EXPRESSION_LIMIT, .key = NFT_LIMIT_F_INV, .rate = 10, .unit_seconds = 60, .burst = 5},
         VERDICT(VERDICT_DROP, NULL)),
    RULE("various", "meta l4proto tcp reject with tcp reset", NULL, IS_PROTOCOL(6),
         {.kind = EXPRESSION_REJECT, .key = NFT_REJECT_TCP_RST << 8}),
    RULE("various", "reject with icmpx admin-prohibited", NULL,
         {.kind = EXPRESSION_REJECT, .key = NFT_REJECT_ICMPX_UNREACH << 8 | NFT_REJECT_ICMPX_ADMIN_PROHIBITED}),
    RULE("various", "add @half_open4 { ip daddr . tcp sport & 0x1fe limit rate 1/day burst 1 packets } accept", NULL,
         IS_IPV4, IS_PROTOCOL(6), PAYLOAD(NETWORK, 16, 4, 0), PAYLOAD(TRANSPORT, 0, 2, 1),
         {.kind = EXPRESSION_BITWISE, .source = 1, .destination = 1, .length = 2, .mask = {0x01, 0xfe}},
         {.kind = EXPRESSION_DYNSET,
          .key = NFT_DYNSET_OP_ADD,
          .name = "half_open4",
          .rate = 1,
          .unit_seconds = 86400,
          .burst = 1},
         VERDICT(VERDICT_ACCEPT, NULL)),
    RULE("various", "meta l4proto tcp delete @half_open4 { ct original ip daddr . ct original proto-src }", NULL,
         IS_PROTOCOL(6), CT(NFT_CT_DST_IP, 0, 0), CT(NFT_CT_PROTO_SRC, 0, 1),
         {.kind = EXPRESSION_DYNSET, .key = NFT_DYNSET_OP_DELETE, .name = "half_open4"}),
    RULE("various", "return", NULL, VERDICT(VERDICT_RETURN, NULL)),
};

static const struct chain sample_chains[] = {
    {.name = "forward", .hook = HOOK_FORWARD, .priority = 0, .policy_drop = true, .comment = "zone to zone"},
    {.name = "input", .hook = HOOK_INPUT, .priority = 0, .policy_drop = true},
    {.name = "open.a.b"},
    {.name = "output", .hook = HOOK_OUTPUT, .priority = 10, .policy_drop = false},
    {.name = "pair.a.b", .comment = "a to b"},
    {.name = "postrouting", .hook = HOOK_POSTROUTING, .priority = -150, .policy_drop = true},
    {.name = "prerouting", .hook = HOOK_PREROUTING, .priority = -300, .policy_drop = true},
    {.name = "various"},
};

static const struct counter sample_counters[] = {
    {.name = "denied.a.b.invalid-state", .comment = "a to b"},
    {.name = "guard.-.unknown-zone"},
};

static void copy_rules(struct arena *arena, struct chain *chain) {
  chain->rules = ARENA_ARRAY(arena, ROOM, struct rule);
  for (size_t i = 0; i < sizeof(sample_rules) / sizeof(sample_rules[0]); i++) {
    const struct sample_rule *from = &sample_rules[i];
    if (strcmp(from->chain, chain->name) == 0) {
      chain->rules[chain->rule_count++] = (struct rule){
          .expressions = arena_memdup(arena, from->expressions, from->count * sizeof(from->expressions[0])),
          .expression_count = from->count,
          .comment = from->comment,
          .text = from->text,
      };
    }
  }
}

static int compare_names(const void *left, const void *right) {
  const char *const *first = left;
  const char *const *second = right;
  return strcmp(*first, *second);
}

struct ruleset *sample_ruleset(struct arena *arena, struct instant now) {
  enum { SETS = sizeof(sample_sets) / sizeof(sample_sets[0]) };
  struct ruleset *ruleset = ARENA_NEW(arena, struct ruleset);
  ruleset->table = "kido";
  ruleset->present = true;
  ruleset->counters = arena_memdup(arena, sample_counters, sizeof(sample_counters));
  ruleset->counter_count = sizeof(sample_counters) / sizeof(sample_counters[0]);
  ruleset->sets = ARENA_ARRAY(arena, SETS, struct set);
  for (size_t i = 0; i < SETS; i++) {
    copy_set(arena, &sample_sets[i], now, &ruleset->sets[ruleset->set_count++]);
  }
  qsort(ruleset->sets, ruleset->set_count, sizeof(struct set), compare_names);
  ruleset->chains = arena_memdup(arena, sample_chains, sizeof(sample_chains));
  ruleset->chain_count = sizeof(sample_chains) / sizeof(sample_chains[0]);
  for (size_t i = 0; i < ruleset->chain_count; i++) {
    copy_rules(arena, &ruleset->chains[i]);
  }
  return arena_failed(arena) ? NULL : ruleset;
}

struct ruleset *sample_large_ruleset(struct arena *arena, size_t count) {
  static const struct chain forward = {.name = "forward", .hook = HOOK_FORWARD, .policy_drop = true};
  struct ruleset *ruleset = ARENA_NEW(arena, struct ruleset);
  ruleset->table = "kido";
  ruleset->present = true;
  ruleset->chains = arena_memdup(arena, &forward, sizeof(forward));
  ruleset->chain_count = 1;
  copy_rules(arena, &ruleset->chains[0]);
  ruleset->chains[0].rules++; /* without the dispatch */
  ruleset->chains[0].rule_count--;
  ruleset->sets = ARENA_NEW(arena, struct set);
  ruleset->set_count = 1;
  struct set *set = ruleset->sets;
  *set = (struct set){.name = "in_force.a.b",
                      .fields = {KEY_FIELD_MARK},
                      .field_count = 1,
                      .key_size = 4,
                      .timeouts = true,
                      .counters = true,
                      .size = (uint32_t)count * 2};
  set->elements = ARENA_ARRAY(arena, count, struct element);
  for (uint32_t i = 0; i < count && set->elements != NULL; i++) {
    uint32_t mark = i + 1;
    sample_element(set, &mark, NULL)->comment = arena_printf(arena, "F-%u", i);
  }
  sample_sort(set);
  return arena_failed(arena) ? NULL : ruleset;
}

struct set *sample_find_set(struct ruleset *ruleset, const char *name) {
  struct set *set = bsearch(&name, ruleset->sets, ruleset->set_count, sizeof(struct set), compare_names);
  assert(set != NULL);
  return set;
}

struct chain *sample_find_chain(struct ruleset *ruleset, const char *name) {
  struct chain *chain = bsearch(&name, ruleset->chains, ruleset->chain_count, sizeof(struct chain), compare_names);
  assert(chain != NULL);
  return chain;
}
