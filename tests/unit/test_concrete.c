/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interpreter of decoded rules, expression by expression. A rule under test stands alone in a forward chain that
 * drops, with "accept" behind it: what is accepted has satisfied every expression.
 */
#include <arpa/inet.h>
#include <check.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proof/concrete.h"

enum { R = 16, EXPRESSIONS = 12, ETHERNET = 14, IPV4 = 20, IPV6 = 40, TCP = 20 };

static struct arena *arena;

static void set_up(void) {
  arena = arena_new(0);
}

static void tear_down(void) {
  arena = arena_free(arena);
}

/* ---- packets ---- */

struct sample {
  uint8_t bytes[512];
  size_t length;
};

static void append(struct sample *sample, const void *bytes, size_t length) {
  ck_assert_uint_le(sample->length + length, sizeof(sample->bytes));
  memcpy(sample->bytes + sample->length, bytes, length);
  sample->length += length;
}

static void append_ethernet(struct sample *sample, bool ipv6) {
  static const uint8_t macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
  append(sample, macs, sizeof(macs));
  append(sample, ipv6 ? "\x86\xdd" : "\x08\x00", 2);
}

static void append_ipv4(struct sample *sample, uint8_t protocol, unsigned options, size_t payload) {
  uint8_t header[IPV4] = {
      (uint8_t)(0x45 + options / 4), 0, 0, 0, 0, 7, 0x40, 0, 64, protocol, 0, 0, 10, 1, 2, 3, 10, 9, 8, 7};
  size_t total = IPV4 + options + payload;
  header[2] = (uint8_t)(total >> 8);
  header[3] = (uint8_t)total;
  append(sample, header, sizeof(header));
}

static void append_ipv6(struct sample *sample, uint8_t next, size_t payload) {
  uint8_t header[IPV6] = {0x60, 0, 0, 0, (uint8_t)(payload >> 8), (uint8_t)payload, next, 64, 0x20, 1, 0xd, 0xb8};
  header[23] = 1;
  header[24] = 0x20;
  header[39] = 2;
  append(sample, header, sizeof(header));
}

/* 1234 -> 443, SYN, options: nothing, MSS 1460, end. */
static const uint8_t tcp_syn[TCP + 8] = {0x04, 0xd2, 0x01, 0xbb, 0, 0, 0,    1,    0, 0, 0,    0, 0x70, 0x02,
                                         1,    0,    0,    0,    0, 0, 0x01, 0x02, 4, 5, 0xb4, 0, 0,    0};

static struct sample tcp4(void) {
  struct sample sample = {.length = 0};
  append_ethernet(&sample, false);
  append_ipv4(&sample, 6, 0, sizeof(tcp_syn));
  append(&sample, tcp_syn, sizeof(tcp_syn));
  return sample;
}

static struct sample tcp6(void) {
  struct sample sample = {.length = 0};
  append_ethernet(&sample, true);
  append_ipv6(&sample, 6, sizeof(tcp_syn));
  append(&sample, tcp_syn, sizeof(tcp_syn));
  return sample;
}

static struct sample echo4(void) {
  static const uint8_t echo[] = {8, 0, 0, 0, 0x12, 0x34, 0, 1};
  struct sample sample = {.length = 0};
  append_ethernet(&sample, false);
  append_ipv4(&sample, 1, 0, sizeof(echo));
  append(&sample, echo, sizeof(echo));
  return sample;
}

/* hop-by-hop, routing (type 0), fragment (of that offset), destination, then the TCP header. */
static struct sample extended6(unsigned fragment_offset) {
  static const uint8_t hop[8] = {43, 0, 1, 4}, routing[8] = {44, 0, 0, 0}, destination[8] = {6, 0, 1, 4};
  uint8_t fragment[8] = {60, 0, (uint8_t)(fragment_offset >> 8), (uint8_t)fragment_offset, 0, 0, 0, 9};
  struct sample sample = {.length = 0};
  append_ethernet(&sample, true);
  append_ipv6(&sample, 0, 32 + sizeof(tcp_syn));
  append(&sample, hop, sizeof(hop));
  append(&sample, routing, sizeof(routing));
  append(&sample, fragment, sizeof(fragment));
  append(&sample, destination, sizeof(destination));
  append(&sample, tcp_syn, sizeof(tcp_syn));
  return sample;
}

static struct probe probe_of(const struct sample *sample) {
  return (struct probe){
      .situation = {PATH_FORWARD, "lan0", "wan0", sample->bytes[12] == 8 ? FAMILY_IPV4 : FAMILY_IPV6, TRACKING_OPENS},
      .frame = sample->bytes,
      .length = sample->length};
}

/* ---- expressions ---- */

#define BYTES(...) ((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__})

static struct live_expression load(unsigned base, unsigned offset, unsigned length) {
  return (struct live_expression){.kind = LIVE_PAYLOAD,
                                  .destination = R,
                                  .has_destination = true,
                                  .base = base,
                                  .offset = offset,
                                  .length = length};
}

static struct live_expression meta(unsigned key) {
  return (struct live_expression){.kind = LIVE_META, .key = key, .destination = R, .has_destination = true};
}

static struct live_expression ct(unsigned key, int direction) {
  return (struct live_expression){
      .kind = LIVE_CT, .key = key, .direction = direction, .destination = R, .has_destination = true};
}

static struct live_expression compare(unsigned operation, const uint8_t *data, size_t length) {
  return (struct live_expression){
      .kind = LIVE_COMPARE, .source = R, .operation = operation, .data = data, .data_length = (unsigned)length};
}

static struct live_expression immediate(const uint8_t *data, size_t length) {
  return (struct live_expression){
      .kind = LIVE_IMMEDIATE, .destination = R, .has_destination = true, .data = data, .data_length = (unsigned)length};
}

static struct live_expression verdict(enum live_verdict_code code, const struct live_chain *chain) {
  return (struct live_expression){.kind = LIVE_IMMEDIATE, .is_verdict = true, .verdict = {code, chain}};
}

static struct live_expression plain(enum live_kind kind) {
  return (struct live_expression){.kind = kind, .name = "thing"};
}

static const uint8_t *number(uint32_t value) {
  return arena_memdup(arena, &value, sizeof(value));
}

/* ---- rulesets ---- */

struct rules {
  struct live_expression expressions[EXPRESSIONS];
  struct live_rule rule;
  struct live_chain chain;
  struct live_table table;
  struct live_ruleset ruleset;
};

static void rules_finish(struct rules *rules, size_t count) {
  rules->expressions[count] = verdict(LIVE_ACCEPT, NULL);
  rules->rule = (struct live_rule){.handle = 4, .expressions = rules->expressions, .expression_count = count + 1};
  rules->chain = (struct live_chain){.table = &rules->table,
                                     .name = "forward",
                                     .handle = 1,
                                     .base = true,
                                     .type = "filter",
                                     .hook = NF_INET_FORWARD,
                                     .rules = &rules->rule,
                                     .rule_count = 1};
  rules->table =
      (struct live_table){.family = NFPROTO_INET, .name = "t", .handle = 1, .chains = &rules->chain, .chain_count = 1};
  rules->ruleset = (struct live_ruleset){.tables = &rules->table, .table_count = 1};
}

static struct concrete_result judge(const struct live_ruleset *ruleset, const struct probe *probe) {
  struct concrete_result result = {0};
  ck_assert_int_eq(concrete_judge(ruleset, NULL, probe, arena, &result), 0);
  return result;
}

static struct concrete_result judge_rule(const struct probe *probe, const struct live_expression *expressions,
                                         size_t count) {
  struct rules *rules = ARENA_NEW(arena, struct rules);
  ck_assert_uint_lt(count, EXPRESSIONS);
  memcpy(rules->expressions, expressions, count * sizeof(*expressions));
  rules_finish(rules, count);
  return judge(&rules->ruleset, probe);
}

#define RULE(given, ...)                                                                                               \
  judge_rule(given, (const struct live_expression[]){__VA_ARGS__},                                                     \
             sizeof((const struct live_expression[]){__VA_ARGS__}) / sizeof(struct live_expression))

static void expect(const struct concrete_result *result, bool passes, const char *what) {
  ck_assert_msg(result->unmodelled == NULL, "%s: %s", what, result->unmodelled);
  ck_assert_msg(result->accepted == passes, "%s: %s", what, result->accepted ? "passes" : "stops");
}

#define PASSES(given, ...)                                                                                             \
  do {                                                                                                                 \
    struct concrete_result passes_result = RULE(given, __VA_ARGS__);                                                   \
    expect(&passes_result, true, #__VA_ARGS__);                                                                        \
  } while (0)
#define STOPS(given, ...)                                                                                              \
  do {                                                                                                                 \
    struct concrete_result stops_result = RULE(given, __VA_ARGS__);                                                    \
    expect(&stops_result, false, #__VA_ARGS__);                                                                        \
  } while (0)
/* Not understood: goes on or stops as the probe says, and says why. */
#define UNKNOWN(given, ...)                                                                                            \
  do {                                                                                                                 \
    struct probe either = *(given);                                                                                    \
    either.unknown_passes = true;                                                                                      \
    struct concrete_result unknown_result = RULE(&either, __VA_ARGS__);                                                \
    ck_assert_msg(unknown_result.unmodelled != NULL && unknown_result.accepted, #__VA_ARGS__);                         \
    either.unknown_passes = false;                                                                                     \
    unknown_result = RULE(&either, __VA_ARGS__);                                                                       \
    ck_assert_msg(unknown_result.unmodelled != NULL && !unknown_result.accepted, #__VA_ARGS__);                        \
  } while (0)

/* ---- registers ---- */

START_TEST(comparing_is_by_bytes_from_left_to_right) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  static const struct {
    unsigned operation;
    uint8_t value, than;
    bool holds;
  } cases[] = {{NFT_CMP_EQ, 5, 5, true},   {NFT_CMP_EQ, 5, 6, false},  {NFT_CMP_NEQ, 5, 6, true},
               {NFT_CMP_NEQ, 5, 5, false}, {NFT_CMP_LT, 5, 6, true},   {NFT_CMP_LT, 5, 5, false},
               {NFT_CMP_LTE, 5, 5, true},  {NFT_CMP_LTE, 6, 5, false}, {NFT_CMP_GT, 6, 5, true},
               {NFT_CMP_GT, 5, 5, false},  {NFT_CMP_GTE, 5, 5, true},  {NFT_CMP_GTE, 4, 5, false}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct concrete_result result =
        RULE(&probe, immediate(&cases[i].value, 1), compare(cases[i].operation, &cases[i].than, 1));
    expect(&result, cases[i].holds, "compare");
  }
  PASSES(&probe, immediate(BYTES(1, 0xff)), compare(NFT_CMP_LT, BYTES(2, 0)));
  PASSES(&probe, immediate(BYTES(1, 2, 3, 4, 5)), compare(NFT_CMP_EQ, BYTES(1, 2, 3, 4, 5, 0, 0, 0)));
}
END_TEST

START_TEST(a_range_holds_both_its_ends) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  struct live_expression range = {.kind = LIVE_RANGE, .source = R, .operation = NFT_RANGE_EQ};
  range.data = number(htonl(20));
  range.data_to = number(htonl(30));
  range.data_length = range.data_to_length = 4;
  static const struct {
    uint32_t value;
    bool inside;
  } cases[] = {{19, false}, {20, true}, {25, true}, {30, true}, {31, false}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    range.operation = NFT_RANGE_EQ;
    struct concrete_result result = RULE(&probe, immediate(number(htonl(cases[i].value)), 4), range);
    expect(&result, cases[i].inside, "in range");
    range.operation = NFT_RANGE_NEQ;
    result = RULE(&probe, immediate(number(htonl(cases[i].value)), 4), range);
    expect(&result, !cases[i].inside, "out of range");
  }
}
END_TEST

static struct live_expression bitwise(unsigned operation, unsigned length, const uint8_t *data, size_t data_length) {
  return (struct live_expression){.kind = LIVE_BITWISE,
                                  .source = R,
                                  .destination = R,
                                  .has_destination = true,
                                  .length = length,
                                  .operation = operation,
                                  .data = data,
                                  .data_length = (unsigned)data_length};
}

START_TEST(bits_are_masked_and_flipped) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  struct live_expression mask = bitwise(NFT_BITWISE_BOOL, 2, BYTES(0xf0, 0x0f));
  mask.data_to = (const uint8_t[]){0x01, 0x80};
  mask.data_to_length = 2;
  PASSES(&probe, immediate(BYTES(0xab, 0xcd)), mask, compare(NFT_CMP_EQ, BYTES(0xa1, 0x8d, 0, 0)));
}
END_TEST

START_TEST(shifts_carry_from_word_to_word) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  uint32_t words[2] = {0x80000001, 0xc0000003}, left[2] = {0x00000013, 0x00000030}, right[2] = {0x08000000, 0x1c000000};
  const uint8_t *from = arena_memdup(arena, words, sizeof(words));
  PASSES(&probe, immediate(from, 8), bitwise(NFT_BITWISE_LSHIFT, 8, number(4), 4), compare(NFT_CMP_NEQ, from, 8));
  left[0] = words[0] << 4 | words[1] >> 28;
  left[1] = words[1] << 4;
  right[0] = words[0] >> 4;
  right[1] = words[1] >> 4 | words[0] << 28;
  PASSES(&probe, immediate(from, 8), bitwise(NFT_BITWISE_LSHIFT, 8, number(4), 4),
         compare(NFT_CMP_EQ, arena_memdup(arena, left, 8), 8));
  PASSES(&probe, immediate(from, 8), bitwise(NFT_BITWISE_RSHIFT, 8, number(4), 4),
         compare(NFT_CMP_EQ, arena_memdup(arena, right, 8), 8));
  UNKNOWN(&probe, immediate(from, 8), bitwise(NFT_BITWISE_RSHIFT, 8, number(32), 4));
}
END_TEST

START_TEST(two_registers_are_combined) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  struct live_expression second = immediate(BYTES(0x0f, 0xf0, 0xff, 0x00));
  second.destination = R + 4;
  static const struct {
    unsigned operation;
    uint8_t result[4];
  } cases[] = {{3, {0x02, 0x30, 0x56, 0x00}}, {4, {0x1f, 0xf4, 0xff, 0x78}}, {5, {0x1d, 0xc4, 0xa9, 0x78}}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct live_expression combine = bitwise(cases[i].operation, 4, NULL, 0);
    combine.has_source_data = true;
    combine.source_data = R + 4;
    struct concrete_result result = RULE(&probe, immediate(BYTES(0x12, 0x34, 0x56, 0x78)), second, combine,
                                         compare(NFT_CMP_EQ, cases[i].result, 4));
    expect(&result, true, "two registers");
  }
  UNKNOWN(&probe, immediate(BYTES(1, 2, 3, 4)), bitwise(6, 4, BYTES(1, 1, 1, 1)));
}
END_TEST

START_TEST(the_order_of_bytes_is_turned_in_units) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  struct live_expression turn = {.kind = LIVE_BYTEORDER, .source = R, .destination = R, .has_destination = true};
  turn.length = 4;
  turn.size = 2;
  PASSES(&probe, immediate(BYTES(1, 2, 3, 4)), turn, compare(NFT_CMP_EQ, BYTES(2, 1, 4, 3)));
  turn.size = 4;
  PASSES(&probe, immediate(BYTES(1, 2, 3, 4)), turn, compare(NFT_CMP_EQ, BYTES(4, 3, 2, 1)));
  turn.size = turn.length = 8;
  PASSES(&probe, immediate(BYTES(1, 2, 3, 4, 5, 6, 7, 8)), turn, compare(NFT_CMP_EQ, BYTES(8, 7, 6, 5, 4, 3, 2, 1)));
  turn.length = 16;
  UNKNOWN(&probe, immediate(BYTES(1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8)), turn);
}
END_TEST

START_TEST(what_a_rule_has_not_written_has_no_value) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  UNKNOWN(&probe, compare(NFT_CMP_EQ, BYTES(0, 0, 0, 0)));
  UNKNOWN(&probe, immediate(BYTES(0, 0, 0, 0)), compare(NFT_CMP_EQ, BYTES(0, 0, 0, 0, 0)));
  struct live_expression masked = bitwise(NFT_BITWISE_BOOL, 4, BYTES(0, 0, 0, 0));
  PASSES(&probe, masked, compare(NFT_CMP_EQ, BYTES(0, 0, 0, 0)));
}
END_TEST

/* ---- the packet ---- */

START_TEST(bytes_are_read_from_each_header) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  PASSES(&probe, load(NFT_PAYLOAD_LL_HEADER, 6, 6), compare(NFT_CMP_EQ, BYTES(2, 0, 0, 0, 0, 2)));
  PASSES(&probe, load(NFT_PAYLOAD_NETWORK_HEADER, 12, 4), compare(NFT_CMP_EQ, BYTES(10, 1, 2, 3)));
  PASSES(&probe, load(NFT_PAYLOAD_NETWORK_HEADER, 16, 1), compare(NFT_CMP_EQ, BYTES(10, 0, 0, 0)));
  PASSES(&probe, load(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2), compare(NFT_CMP_EQ, BYTES(0x01, 0xbb)));
  PASSES(&probe, load(NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1), compare(NFT_CMP_EQ, BYTES(0x02)));
  PASSES(&probe, load(NFT_PAYLOAD_NETWORK_HEADER, 44, 4), compare(NFT_CMP_EQ, BYTES(0xb4, 0, 0, 0)));
  STOPS(&probe, load(NFT_PAYLOAD_NETWORK_HEADER, 45, 4));
  STOPS(&probe, load(NFT_PAYLOAD_INNER_HEADER, 0, 1));
  UNKNOWN(&probe, load(9, 0, 1));
}
END_TEST

START_TEST(what_the_link_layer_appended_is_not_of_the_packet) {
  struct sample sample = tcp4();
  append(&sample, "padding", 8);
  struct probe probe = probe_of(&sample);
  STOPS(&probe, load(NFT_PAYLOAD_NETWORK_HEADER, 48, 1));
  PASSES(&probe, meta(NFT_META_LEN), compare(NFT_CMP_EQ, number(48), 4));
}
END_TEST

START_TEST(a_packet_that_ends_early_stops_the_rule) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  for (size_t length = 0; length < sample.length; length++) {
    probe.length = length;
    bool ports = length >= ETHERNET + IPV4 + 4;
    struct concrete_result result = RULE(&probe, load(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2));
    expect(&result, ports, "ports");
    result = RULE(&probe, load(NFT_PAYLOAD_NETWORK_HEADER, 12, 8));
    expect(&result, length >= ETHERNET + IPV4, "addresses");
    result = RULE(&probe, meta(NFT_META_L4PROTO));
    expect(&result, length >= ETHERNET + IPV4, "protocol");
  }
}
END_TEST

/* But for small aligned loads, as the kernel has it. */
START_TEST(a_later_fragment_has_no_transport_header) {
  struct sample sample = tcp4();
  sample.bytes[ETHERNET + 7] = 3;
  struct probe probe = probe_of(&sample);
  STOPS(&probe, load(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 3));
  STOPS(&probe, load(NFT_PAYLOAD_TRANSPORT_HEADER, 1, 2));
  STOPS(&probe, load(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 8));
  PASSES(&probe, load(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2), compare(NFT_CMP_EQ, BYTES(0x01, 0xbb)));
  PASSES(&probe, meta(NFT_META_L4PROTO), compare(NFT_CMP_EQ, BYTES(6)));
  sample.bytes[ETHERNET + 7] = 0;
  sample.bytes[ETHERNET + 6] = 0x20;
  PASSES(&probe, load(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2));
}
END_TEST

START_TEST(a_hop_is_taken_before_the_forward_hook) {
  struct sample sample = tcp4(), sample6 = tcp6();
  struct probe probe = probe_of(&sample), probe6 = probe_of(&sample6);
  PASSES(&probe, load(NFT_PAYLOAD_NETWORK_HEADER, 8, 1), compare(NFT_CMP_EQ, BYTES(63)));
  PASSES(&probe6, load(NFT_PAYLOAD_NETWORK_HEADER, 7, 1), compare(NFT_CMP_EQ, BYTES(63)));
  ck_assert_uint_eq(sample.bytes[ETHERNET + 8], 64);
  sample.bytes[ETHERNET + 10] = 0xfe;
  sample.bytes[ETHERNET + 11] = 0xff;
  PASSES(&probe, load(NFT_PAYLOAD_NETWORK_HEADER, 10, 2), compare(NFT_CMP_EQ, BYTES(0, 0)));
}
END_TEST

START_TEST(extension_headers_are_walked) {
  struct sample sample = extended6(0);
  struct probe probe = probe_of(&sample);
  PASSES(&probe, meta(NFT_META_L4PROTO), compare(NFT_CMP_EQ, BYTES(6)));
  PASSES(&probe, load(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2), compare(NFT_CMP_EQ, BYTES(0x01, 0xbb)));
  sample = extended6(8 | 1);
  STOPS(&probe, meta(NFT_META_L4PROTO)); /* more extension headers behind a later fragment's */
  sample.bytes[ETHERNET + IPV6 + 16] = 17;
  PASSES(&probe, meta(NFT_META_L4PROTO), compare(NFT_CMP_EQ, BYTES(17)));
  STOPS(&probe, load(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 3));
  PASSES(&probe, load(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1), compare(NFT_CMP_EQ, BYTES(0x60)));
  sample = extended6(0);
  sample.bytes[ETHERNET + IPV6 + 24] = 51;
  PASSES(&probe, meta(NFT_META_L4PROTO), compare(NFT_CMP_EQ, BYTES(51)));
  sample.bytes[ETHERNET + IPV6 + 24] = 59;
  PASSES(&probe, meta(NFT_META_L4PROTO), compare(NFT_CMP_EQ, BYTES(59)));
  sample.bytes[ETHERNET + IPV6 + 1 + 8] = 200; /* a routing header longer than the packet */
  PASSES(&probe, meta(NFT_META_NFPROTO));
  STOPS(&probe, meta(NFT_META_L4PROTO));
}
END_TEST

static struct live_expression exthdr(unsigned operation, unsigned type, unsigned offset, unsigned length,
                                     uint32_t flags) {
  return (struct live_expression){.kind = LIVE_EXTHDR,
                                  .operation = operation,
                                  .key = type,
                                  .offset = offset,
                                  .length = length,
                                  .flags = flags,
                                  .destination = R,
                                  .has_destination = true};
}

START_TEST(extension_headers_are_found) {
  struct sample sample = extended6(0), bare = tcp6(), ipv4 = tcp4();
  struct probe probe = probe_of(&sample), without = probe_of(&bare), other = probe_of(&ipv4);
  static const unsigned types[] = {0, 43, 44, 60};
  for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
    struct live_expression find = exthdr(NFT_EXTHDR_OP_IPV6, types[i], 0, 1, NFT_EXTHDR_F_PRESENT);
    PASSES(&probe, find, compare(NFT_CMP_EQ, BYTES(1, 0, 0, 0)));
    PASSES(&without, find, compare(NFT_CMP_EQ, BYTES(0, 0, 0, 0)));
    PASSES(&other, find, compare(NFT_CMP_EQ, BYTES(0, 0, 0, 0)));
  }
  PASSES(&probe, exthdr(NFT_EXTHDR_OP_IPV6, 43, 2, 1, 0), compare(NFT_CMP_EQ, BYTES(0)));
  PASSES(&probe, exthdr(NFT_EXTHDR_OP_IPV6, 44, 4, 4, 0), compare(NFT_CMP_EQ, BYTES(0, 0, 0, 9)));
  STOPS(&without, exthdr(NFT_EXTHDR_OP_IPV6, 43, 2, 1, 0));
  sample = extended6(8);
  PASSES(&probe, exthdr(NFT_EXTHDR_OP_IPV6, 44, 0, 1, NFT_EXTHDR_F_PRESENT), compare(NFT_CMP_EQ, BYTES(1)));
  PASSES(&probe, exthdr(NFT_EXTHDR_OP_IPV6, 60, 0, 1, NFT_EXTHDR_F_PRESENT), compare(NFT_CMP_EQ, BYTES(0)));
}
END_TEST

START_TEST(options_are_found) {
  static const uint8_t options[] = {1, 0x94, 4, 0, 0, 0, 0, 0}; /* router alert */
  struct sample sample = {.length = 0}, bare = tcp4();
  append_ethernet(&sample, false);
  append_ipv4(&sample, 6, sizeof(options), sizeof(tcp_syn));
  append(&sample, options, sizeof(options));
  append(&sample, tcp_syn, sizeof(tcp_syn));
  struct probe probe = probe_of(&sample), without = probe_of(&bare);
  struct live_expression alert = exthdr(NFT_EXTHDR_OP_IPV4, 0x94, 0, 1, NFT_EXTHDR_F_PRESENT);
  PASSES(&probe, alert, compare(NFT_CMP_EQ, BYTES(1)));
  PASSES(&without, alert, compare(NFT_CMP_EQ, BYTES(0)));
  PASSES(&probe, exthdr(NFT_EXTHDR_OP_IPV4, 7, 0, 1, NFT_EXTHDR_F_PRESENT), compare(NFT_CMP_EQ, BYTES(0)));
  UNKNOWN(&probe, exthdr(NFT_EXTHDR_OP_IPV4, 0x94, 0, 1, 0), compare(NFT_CMP_EQ, BYTES(0x94)));
  PASSES(&probe, load(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2), compare(NFT_CMP_EQ, BYTES(0x01, 0xbb)));
  PASSES(&probe, exthdr(NFT_EXTHDR_OP_TCPOPT, 2, 2, 2, 0), compare(NFT_CMP_EQ, BYTES(5, 0xb4)));
  PASSES(&probe, exthdr(NFT_EXTHDR_OP_TCPOPT, 2, 0, 1, NFT_EXTHDR_F_PRESENT), compare(NFT_CMP_EQ, BYTES(1)));
  STOPS(&probe, exthdr(NFT_EXTHDR_OP_TCPOPT, 3, 2, 1, 0));
  STOPS(&probe, exthdr(NFT_EXTHDR_OP_TCPOPT, 2, 2, 3, 0));
  UNKNOWN(&probe, exthdr(NFT_EXTHDR_OP_SCTP, 2, 2, 3, 0));
  sample.bytes[ETHERNET + IPV4 + 2] = 99;
  UNKNOWN(&probe, alert);
}
END_TEST

START_TEST(interfaces_are_read_where_the_hook_has_them) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  uint8_t in[16] = "lan0", out[16] = "wan0", none[16] = "";
  PASSES(&probe, meta(NFT_META_IIFNAME), compare(NFT_CMP_EQ, in, 16));
  PASSES(&probe, meta(NFT_META_OIFNAME), compare(NFT_CMP_EQ, out, 16));
  PASSES(&probe, meta(NFT_META_IIFNAME), compare(NFT_CMP_EQ, BYTES('l', 'a')));
  probe.situation.in = NULL;
  STOPS(&probe, meta(NFT_META_IIFNAME), compare(NFT_CMP_EQ, in, 16));
  STOPS(&probe, meta(NFT_META_IIFNAME), compare(NFT_CMP_EQ, none, 16));
  UNKNOWN(&probe, meta(NFT_META_OIF), compare(NFT_CMP_EQ, number(3), 4));
  STOPS(&probe, meta(NFT_META_IIF), compare(NFT_CMP_EQ, number(3), 4));
  UNKNOWN(&probe, meta(NFT_META_IIFGROUP), compare(NFT_CMP_EQ, number(0), 4));
}
END_TEST

START_TEST(links_tell_numbers_types_and_groups) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  struct link links[] = {{.name = "lan0", .index = 3, .type = 1, .group = 7},
                         {.name = "wan0", .index = 4, .type = 65534}};
  struct surroundings surroundings = {.known = true, .links = links, .link_count = 2};
  struct rules rules = {0};
  rules.expressions[0] = meta(NFT_META_IIF);
  rules.expressions[1] = compare(NFT_CMP_EQ, number(3), 4);
  rules.expressions[2] = meta(NFT_META_OIFTYPE);
  rules.expressions[3] = compare(NFT_CMP_EQ, BYTES(0xfe, 0xff));
  rules.expressions[4] = meta(NFT_META_IIFGROUP);
  rules.expressions[5] = compare(NFT_CMP_EQ, number(7), 4);
  rules_finish(&rules, 6);
  struct concrete_result result;
  ck_assert_int_eq(concrete_judge(&rules.ruleset, &surroundings, &probe, arena, &result), 0);
  expect(&result, true, "links");
}
END_TEST

START_TEST(facts_of_the_packet_are_read) {
  struct sample sample = tcp4(), sample6 = tcp6();
  struct probe probe = probe_of(&sample), probe6 = probe_of(&sample6);
  PASSES(&probe, meta(NFT_META_NFPROTO), compare(NFT_CMP_EQ, BYTES(2)));
  PASSES(&probe6, meta(NFT_META_NFPROTO), compare(NFT_CMP_EQ, BYTES(10)));
  PASSES(&probe, meta(NFT_META_PROTOCOL), compare(NFT_CMP_EQ, BYTES(8, 0)));
  PASSES(&probe6, meta(NFT_META_PROTOCOL), compare(NFT_CMP_EQ, BYTES(0x86, 0xdd)));
  PASSES(&probe, meta(NFT_META_PKTTYPE), compare(NFT_CMP_EQ, BYTES(0)));
  STOPS(&probe, meta(NFT_META_SKUID));
  UNKNOWN(&probe, meta(NFT_META_CPU), compare(NFT_CMP_EQ, number(0), 4));
  probe.packet_mark = 77;
  PASSES(&probe, meta(NFT_META_MARK), compare(NFT_CMP_EQ, number(77), 4));
}
END_TEST

START_TEST(the_packet_mark_is_kept) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  struct live_expression set = {.kind = LIVE_META_SET, .key = NFT_META_MARK, .source = R};
  PASSES(&probe, immediate(number(9), 4), set, immediate(number(0), 4), meta(NFT_META_MARK),
         compare(NFT_CMP_EQ, number(9), 4));
  set.key = NFT_META_PKTTYPE;
  struct concrete_result result = RULE(&probe, immediate(number(0), 4), set);
  ck_assert_ptr_nonnull(result.unmodelled);
}
END_TEST

/* ---- connections ---- */

START_TEST(the_state_of_a_connection_is_one_bit) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  static const uint32_t states[TRACKING_COUNT_] = {8, 8, 2, 2, 4, 4, 1, 64};
  static const uint8_t directions[TRACKING_COUNT_] = {0, 0, 0, 1, 0, 1};
  for (unsigned i = 0; i < TRACKING_COUNT_; i++) {
    probe.situation.tracking = (enum situation_tracking)i;
    struct concrete_result result = RULE(&probe, ct(NFT_CT_STATE, -1), compare(NFT_CMP_EQ, number(states[i]), 4));
    expect(&result, true, situation_tracking_name(probe.situation.tracking));
    result = RULE(&probe, ct(NFT_CT_DIRECTION, -1), compare(NFT_CMP_EQ, &directions[i], 1));
    expect(&result, i != TRACKING_INVALID && i != TRACKING_UNTRACKED, "direction");
    result = RULE(&probe, ct(NFT_CT_MARK, -1));
    expect(&result, i != TRACKING_INVALID && i != TRACKING_UNTRACKED, "mark");
  }
}
END_TEST

START_TEST(only_what_opens_is_not_confirmed) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  probe.connection_status = 0x2;
  PASSES(&probe, ct(NFT_CT_STATUS, -1), compare(NFT_CMP_EQ, number(0x2), 4));
  probe.situation.tracking = TRACKING_ORIGINAL;
  PASSES(&probe, ct(NFT_CT_STATUS, -1), compare(NFT_CMP_EQ, number(0xa), 4));
}
END_TEST

START_TEST(the_tuple_is_the_openers) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  PASSES(&probe, ct(NFT_CT_SRC_IP, 0), compare(NFT_CMP_EQ, BYTES(10, 1, 2, 3)));
  PASSES(&probe, ct(NFT_CT_DST, 0), compare(NFT_CMP_EQ, BYTES(10, 9, 8, 7)));
  PASSES(&probe, ct(NFT_CT_SRC_IP, 1), compare(NFT_CMP_EQ, BYTES(10, 9, 8, 7)));
  PASSES(&probe, ct(NFT_CT_PROTO_DST, 0), compare(NFT_CMP_EQ, BYTES(0x01, 0xbb, 0, 0)));
  PASSES(&probe, ct(NFT_CT_PROTO_DST, 1), compare(NFT_CMP_EQ, BYTES(0x04, 0xd2)));
  PASSES(&probe, ct(NFT_CT_PROTOCOL, -1), compare(NFT_CMP_EQ, BYTES(6)));
  PASSES(&probe, ct(NFT_CT_L3PROTOCOL, -1), compare(NFT_CMP_EQ, BYTES(2)));
  STOPS(&probe, ct(NFT_CT_SRC_IP6, 0));
  probe.situation.tracking = TRACKING_REPLY;
  PASSES(&probe, ct(NFT_CT_SRC_IP, 0), compare(NFT_CMP_EQ, BYTES(10, 9, 8, 7)));
  probe.situation.tracking = TRACKING_RELATED_ORIGINAL;
  UNKNOWN(&probe, ct(NFT_CT_SRC_IP, 0), compare(NFT_CMP_EQ, BYTES(10, 9, 8, 7)));
  probe.original = (struct original_tuple){{FAMILY_IPV4, {1, 2, 3, 4}}, {FAMILY_IPV4, {5, 6, 7, 8}}, 17, 53, 54};
  PASSES(&probe, ct(NFT_CT_SRC_IP, 0), compare(NFT_CMP_EQ, BYTES(1, 2, 3, 4)));
  PASSES(&probe, ct(NFT_CT_PROTO_SRC, 1), compare(NFT_CMP_EQ, BYTES(0, 54)));
  PASSES(&probe, ct(NFT_CT_PROTOCOL, -1), compare(NFT_CMP_EQ, BYTES(17)));
}
END_TEST

START_TEST(an_echo_has_an_identifier_and_a_type_for_ports) {
  struct sample sample = echo4();
  struct probe probe = probe_of(&sample);
  PASSES(&probe, ct(NFT_CT_PROTO_SRC, 0), compare(NFT_CMP_EQ, BYTES(0x12, 0x34)));
  PASSES(&probe, ct(NFT_CT_PROTO_DST, 0), compare(NFT_CMP_EQ, BYTES(8, 0)));
  PASSES(&probe, ct(NFT_CT_PROTO_SRC, 1), compare(NFT_CMP_EQ, BYTES(0x12, 0x34)));
  PASSES(&probe, ct(NFT_CT_PROTO_DST, 1), compare(NFT_CMP_EQ, BYTES(0, 0)));
}
END_TEST

START_TEST(the_connection_mark_is_written_where_there_is_a_connection) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  struct live_expression set = {.kind = LIVE_CT_SET, .key = NFT_CT_MARK, .source = R};
  probe.connection_mark = 5;
  struct concrete_result result =
      RULE(&probe, ct(NFT_CT_MARK, -1), compare(NFT_CMP_EQ, number(0), 4), immediate(number(9), 4), set);
  expect(&result, true, "what opens has no mark yet");
  ck_assert_uint_eq(result.connection_mark, 9);
  ck_assert(result.mark_written);
  probe.situation.tracking = TRACKING_ORIGINAL;
  result = RULE(&probe, ct(NFT_CT_MARK, -1), compare(NFT_CMP_EQ, number(5), 4));
  expect(&result, true, "mark");
  ck_assert(!result.mark_written);
  probe.situation.tracking = TRACKING_UNTRACKED;
  result = RULE(&probe, immediate(number(9), 4), set);
  expect(&result, true, "nothing to write to");
  ck_assert(!result.mark_written);
}
END_TEST

/* ---- sets ---- */

static struct live_expression lookup(const struct live_set *set, uint32_t flags) {
  return (struct live_expression){.kind = LIVE_LOOKUP, .source = R, .set = set, .flags = flags};
}

START_TEST(a_set_holds_what_it_holds) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  struct live_element elements[] = {{.first = (const uint8_t[]){10, 0, 0, 0}},
                                    {.first = (const uint8_t[]){10, 1, 2, 3}}};
  for (size_t i = 0; i < 2; i++)
    elements[i].last = elements[i].first;
  struct live_set set = {.name = "s", .key_length = 4, .field_count = 1, .field_lengths = {4}};
  set.elements = elements;
  set.element_count = 2;
  struct live_expression source = load(NFT_PAYLOAD_NETWORK_HEADER, 12, 4),
                         destination = load(NFT_PAYLOAD_NETWORK_HEADER, 16, 4);
  PASSES(&probe, source, lookup(&set, 0));
  STOPS(&probe, destination, lookup(&set, 0));
  STOPS(&probe, source, lookup(&set, NFT_LOOKUP_F_INV));
  PASSES(&probe, destination, lookup(&set, NFT_LOOKUP_F_INV));
  set.has_catch_all = true;
  PASSES(&probe, destination, lookup(&set, 0));
  UNKNOWN(&probe, destination, lookup(&set, NFT_LOOKUP_F_INV));
  set.has_catch_all = false;
  set.dynamic = true;
  UNKNOWN(&probe, source, lookup(&set, 0));
  UNKNOWN(&probe, source, lookup(NULL, 0));
}
END_TEST

START_TEST(of_a_concatenation_each_field_lies_in_its_range) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  struct live_element element = {.first = (const uint8_t[]){10, 1, 0, 0, 0x01, 0x00, 0, 0}};
  element.last = (const uint8_t[]){10, 2, 0, 0, 0x02, 0x00, 0, 0};
  struct live_set set = {.name = "s", .key_length = 8, .interval = true, .concatenation = true, .elements = &element};
  set.field_count = 2;
  set.field_lengths[0] = 4;
  set.field_lengths[1] = 2;
  set.element_count = 1;
  struct live_expression second = load(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
  second.destination = R + 4;
  PASSES(&probe, load(NFT_PAYLOAD_NETWORK_HEADER, 12, 4), second, lookup(&set, 0));
  second.offset = 0;
  STOPS(&probe, load(NFT_PAYLOAD_NETWORK_HEADER, 12, 4), second, lookup(&set, 0));
  second.offset = 2;
  STOPS(&probe, load(NFT_PAYLOAD_NETWORK_HEADER, 16, 4), second, lookup(&set, 0));
  set.field_lengths[1] = 6;
  UNKNOWN(&probe, load(NFT_PAYLOAD_NETWORK_HEADER, 12, 4), second, lookup(&set, 0));
}
END_TEST

START_TEST(a_map_gives_data_or_a_verdict) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  struct live_element element = {.first = (const uint8_t[]){6, 0, 0, 0}};
  element.last = element.first;
  element.data = number(0xabcd);
  element.verdict.code = LIVE_DROP;
  struct live_set set = {.name = "m", .key_length = 1, .data_length = 4, .data_kind = LIVE_VALUES};
  set.elements = &element;
  set.element_count = 1;
  struct live_expression find = lookup(&set, 0);
  find.has_destination = true;
  find.destination = R + 4;
  struct live_expression held = compare(NFT_CMP_EQ, number(0xabcd), 4);
  held.source = R + 4;
  PASSES(&probe, meta(NFT_META_L4PROTO), find, held);
  set.data_kind = LIVE_VERDICTS;
  find.has_destination = false;
  find.verdict_map = true;
  STOPS(&probe, meta(NFT_META_L4PROTO), find);
  element.verdict.code = LIVE_CONTINUE;
  PASSES(&probe, meta(NFT_META_L4PROTO), find);
  element.verdict.code = LIVE_ACCEPT;
  PASSES(&probe, meta(NFT_META_L4PROTO), find);
  element.first = element.last = (const uint8_t[]){17};
  STOPS(&probe, meta(NFT_META_L4PROTO), find);
  set.has_catch_all = true;
  set.catch_all.verdict.code = LIVE_ACCEPT;
  PASSES(&probe, meta(NFT_META_L4PROTO), find);
}
END_TEST

/* ---- throttles, effects, what is not understood ---- */

START_TEST(throttles_answer_as_the_probe_says) {
  struct sample sample = tcp4();
  struct probe calm = probe_of(&sample), struck = calm;
  struck.throttles_strike = true;
  static const enum live_kind kinds[] = {LIVE_LIMIT, LIVE_QUOTA, LIVE_CONNLIMIT};
  for (size_t i = 0; i < 3; i++) {
    struct live_expression until = plain(kinds[i]), over = until;
    over.flags = 1;
    PASSES(&calm, until);
    STOPS(&struck, until);
    STOPS(&calm, over);
    PASSES(&struck, over);
    struct live_expression update = plain(LIVE_DYNSET);
    update.nested = &over;
    update.nested_count = 1;
    STOPS(&calm, update);
    PASSES(&struck, update);
    update.nested = &until;
    PASSES(&calm, update);
    STOPS(&struck, update);
  }
  struct live_expression add = plain(LIVE_DYNSET), delete = add;
  delete.operation = 2;
  PASSES(&calm, add);
  STOPS(&struck, add);
  PASSES(&calm, delete);
  PASSES(&struck, delete);
  add.flags = NFT_DYNSET_F_INV;
  STOPS(&calm, add);
  PASSES(&struck, add);
}
END_TEST

START_TEST(counting_changes_nothing_and_rejecting_drops) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  PASSES(&probe, plain(LIVE_COUNTER), plain(LIVE_LOG), plain(LIVE_LAST));
  STOPS(&probe, plain(LIVE_REJECT));
  struct live_expression object = plain(LIVE_OBJECT_REFERENCE);
  object.operation = NFT_OBJECT_COUNTER;
  PASSES(&probe, object);
  object.operation = NFT_OBJECT_CT_HELPER;
  UNKNOWN(&probe, object);
}
END_TEST

START_TEST(what_is_not_understood_is_said) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  struct live_expression strange = load(NFT_PAYLOAD_NETWORK_HEADER, 0, 1);
  strange.unmodelled = "attribute 9";
  UNKNOWN(&probe, strange);
  UNKNOWN(&probe, plain(LIVE_OTHER));
  struct live_expression ask = plain(LIVE_ASK);
  ask.destination = R;
  ask.length = 4;
  UNKNOWN(&probe, immediate(BYTES(1, 2, 3, 4)), ask, compare(NFT_CMP_EQ, BYTES(1, 2, 3, 4)));
  struct concrete_result result = RULE(&probe, plain(LIVE_NAT));
  ck_assert_str_eq(result.unmodelled, "inet t forward handle 4: changes addresses (nat)");
  ck_assert(result.accepted);
}
END_TEST

/* ---- chains ---- */

enum { CHAINS = 20, RULES = 24 };

/* A ruleset that is written down step by step. */
struct town {
  struct live_table tables[3];
  struct live_chain chains[3][CHAINS];
  struct live_rule rules[3][CHAINS][RULES];
  struct live_ruleset ruleset;
};

static struct town *town_new(size_t tables) {
  struct town *town = ARENA_NEW(arena, struct town);
  town->ruleset = (struct live_ruleset){.tables = town->tables, .table_count = tables};
  for (size_t i = 0; i < tables; i++)
    town->tables[i] = (struct live_table){
        .family = NFPROTO_INET, .name = arena_printf(arena, "t%zu", i), .handle = i + 1, .chains = town->chains[i]};
  return town;
}

static struct live_chain *town_chain(struct town *town, size_t table, const char *name) {
  struct live_table *at = &town->tables[table];
  struct live_chain *chain = &town->chains[table][at->chain_count];
  *chain = (struct live_chain){.table = at, .name = name, .handle = at->chain_count};
  chain->rules = town->rules[table][at->chain_count++];
  return chain;
}

static struct live_chain *town_base(struct town *town, size_t table, unsigned hook, int priority, bool accept) {
  struct live_chain *chain = town_chain(town, table, "base");
  chain->base = true;
  chain->type = "filter";
  chain->hook = hook;
  chain->priority = priority;
  chain->policy_accept = accept;
  return chain;
}

/* Values are copied: those of the caller end with its block. */
static void town_rule(struct live_chain *chain, const struct live_expression *expressions, size_t count) {
  struct live_expression *copies = arena_memdup(arena, expressions, count * sizeof(*expressions));
  for (size_t i = 0; i < count; i++)
    if (copies[i].data != NULL)
      copies[i].data = arena_memdup(arena, copies[i].data, copies[i].data_length);
  chain->rules[chain->rule_count] =
      (struct live_rule){.handle = chain->rule_count + 2, .expressions = copies, .expression_count = count};
  chain->rule_count++;
}
#define ADD(chain, ...)                                                                                                \
  town_rule(chain, (const struct live_expression[]){__VA_ARGS__},                                                      \
            sizeof((const struct live_expression[]){__VA_ARGS__}) / sizeof(struct live_expression))

static void town_expect(const struct town *town, bool accepted, const char *what) {
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  struct concrete_result result = judge(&town->ruleset, &probe);
  expect(&result, accepted, what);
}

START_TEST(without_chains_everything_passes) {
  town_expect(town_new(0), true, "no table");
  town_expect(town_new(2), true, "empty tables");
}
END_TEST

START_TEST(the_policy_decides_where_no_rule_does) {
  for (int accept = 0; accept < 2; accept++) {
    struct town *town = town_new(1);
    struct live_chain *base = town_base(town, 0, NF_INET_FORWARD, 0, accept != 0);
    town_expect(town, accept != 0, "policy");
    ADD(base, verdict(LIVE_RETURN, NULL));
    ADD(base, verdict(accept != 0 ? LIVE_DROP : LIVE_ACCEPT, NULL));
    town_expect(town, accept != 0, "return from a base chain");
  }
}
END_TEST

START_TEST(a_jump_comes_back_and_a_goto_does_not) {
  struct town *town = town_new(1);
  struct live_chain *base = town_base(town, 0, NF_INET_FORWARD, 0, false), *one = town_chain(town, 0, "one");
  struct live_chain *two = town_chain(town, 0, "two");
  ADD(base, verdict(LIVE_JUMP, one));
  ADD(base, verdict(LIVE_ACCEPT, NULL));
  town_expect(town, true, "jump to an empty chain comes back");
  ADD(one, verdict(LIVE_GOTO, two));
  ADD(one, verdict(LIVE_DROP, NULL));
  town_expect(town, true, "goto ends behind the last jump");
  ADD(two, verdict(LIVE_RETURN, NULL));
  ADD(two, verdict(LIVE_DROP, NULL));
  town_expect(town, true, "return behind the last jump");
  base->rules[0].expressions =
      arena_memdup(arena, &(struct live_expression[]){verdict(LIVE_GOTO, one)}[0], sizeof(struct live_expression));
  town_expect(town, false, "no jump to come back to: the policy");
}
END_TEST

START_TEST(sixteen_jumps_fit_within_each_other) {
  for (unsigned depth = 16; depth <= 17; depth++) {
    struct town *town = town_new(1);
    struct live_chain *chain = town_base(town, 0, NF_INET_FORWARD, 0, false);
    for (unsigned i = 0; i < depth; i++) {
      struct live_chain *next = town_chain(town, 0, "next");
      ADD(chain, verdict(LIVE_JUMP, next));
      chain = next;
    }
    ADD(chain, verdict(LIVE_ACCEPT, NULL));
    struct sample sample = tcp4();
    struct probe probe = probe_of(&sample);
    struct concrete_result result = judge(&town->ruleset, &probe);
    ck_assert(result.accepted == (depth == 16));
    ck_assert((result.unmodelled == NULL) == (depth == 16));
  }
}
END_TEST

START_TEST(going_in_circles_ends) {
  struct town *town = town_new(1);
  struct live_chain *base = town_base(town, 0, NF_INET_FORWARD, 0, true), *one = town_chain(town, 0, "one");
  ADD(base, verdict(LIVE_GOTO, one));
  ADD(one, verdict(LIVE_GOTO, one));
  town_base(town, 0, NF_INET_FORWARD, 5, true);
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  struct concrete_result result = judge(&town->ruleset, &probe);
  ck_assert_ptr_nonnull(result.unmodelled);
  ck_assert(!result.accepted);
}
END_TEST

START_TEST(accept_ends_its_own_chain_and_drop_all) {
  struct town *town = town_new(2);
  struct live_chain *first = town_base(town, 0, NF_INET_FORWARD, -10, false);
  struct live_chain *second = town_base(town, 1, NF_INET_FORWARD, 10, true);
  ADD(first, verdict(LIVE_ACCEPT, NULL));
  town_expect(town, true, "both accept");
  ADD(second, verdict(LIVE_DROP, NULL));
  town_expect(town, false, "the second drops");
  town->tables[1].dormant = true;
  town_expect(town, true, "a dormant table does nothing");
  town->tables[1].dormant = false;
  town->tables[1].family = NFPROTO_IPV6;
  town_expect(town, true, "a table of the other family does nothing");
  town->tables[1].family = NFPROTO_BRIDGE;
  town_expect(town, true, "a bridge's table does nothing");
  town->tables[1].family = NFPROTO_IPV4;
  town_expect(town, false, "a table of the family counts");
  second->hook = NF_INET_LOCAL_IN;
  town_expect(town, true, "the input hook is not on the way");
  second->hook = NF_INET_POST_ROUTING;
  town_expect(town, false, "postrouting is");
}
END_TEST

START_TEST(each_way_has_its_hooks) {
  static const bool on_way[3][5] = {[PATH_FORWARD] = {true, false, true, false, true},
                                    [PATH_INPUT] = {true, true, false, false, false},
                                    [PATH_OUTPUT] = {false, false, false, true, true}};
  struct sample sample = tcp4();
  for (unsigned path = 0; path < 3; path++)
    for (unsigned hook = 0; hook < 5; hook++) {
      struct town *town = town_new(1);
      town_base(town, 0, hook, 0, false);
      struct probe probe = probe_of(&sample);
      probe.situation.path = (enum situation_path)path;
      struct concrete_result result = judge(&town->ruleset, &probe);
      expect(&result, !on_way[path][hook], "hooks of a way");
    }
}
END_TEST

START_TEST(the_first_in_order_of_priority_goes_first) {
  struct town *town = town_new(2);
  struct live_chain *late = town_base(town, 0, NF_INET_FORWARD, 10, true);
  struct live_chain *early = town_base(town, 1, NF_INET_FORWARD, -10, true);
  struct live_expression set = {.kind = LIVE_META_SET, .key = NFT_META_MARK, .source = R};
  ADD(late, meta(NFT_META_MARK), compare(NFT_CMP_EQ, number(3), 4), verdict(LIVE_DROP, NULL));
  ADD(early, immediate(number(3), 4), set);
  town_expect(town, false, "marked before it is asked");
  early->priority = 20;
  town_expect(town, true, "asked before it is marked");
  early->priority = 10;
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  struct concrete_result result = judge(&town->ruleset, &probe);
  ck_assert_ptr_nonnull(result.unmodelled);
  late->rules[0].expression_count = 2;
  town_expect(town, true, "equal priorities that do not meddle");
}
END_TEST

START_TEST(before_conntrack_there_is_no_connection) {
  struct town *town = town_new(1);
  struct live_chain *base = town_base(town, 0, NF_INET_PRE_ROUTING, -300, false);
  ADD(base, ct(NFT_CT_MARK, -1), verdict(LIVE_ACCEPT, NULL));
  town_expect(town, false, "no mark before conntrack");
  base->rule_count = 0;
  ADD(base, ct(NFT_CT_STATE, -1), compare(NFT_CMP_EQ, number(1), 4), verdict(LIVE_ACCEPT, NULL));
  town_expect(town, true, "invalid before conntrack");
  base->priority = -150;
  town_expect(town, false, "new behind conntrack");
}
END_TEST

START_TEST(notrack_counts_before_conntrack_only) {
  struct town *town = town_new(2);
  struct live_chain *raw = town_base(town, 0, NF_INET_PRE_ROUTING, -300, true);
  struct live_chain *filter = town_base(town, 1, NF_INET_FORWARD, 0, false);
  ADD(raw, plain(LIVE_NOTRACK));
  ADD(filter, ct(NFT_CT_STATE, -1), compare(NFT_CMP_EQ, number(64), 4), verdict(LIVE_ACCEPT, NULL));
  town_expect(town, true, "untracked");
  raw->priority = -100;
  town_expect(town, false, "too late");
}
END_TEST

START_TEST(chains_of_type_nat_see_openers_only) {
  struct town *town = town_new(1);
  struct live_chain *base = town_base(town, 0, NF_INET_PRE_ROUTING, -100, true);
  base->type = "nat";
  ADD(base, verdict(LIVE_DROP, NULL));
  town_expect(town, false, "an opener");
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  static const enum situation_tracking others[] = {TRACKING_ORIGINAL, TRACKING_REPLY, TRACKING_INVALID,
                                                   TRACKING_UNTRACKED};
  for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
    probe.situation.tracking = others[i];
    struct concrete_result result = judge(&town->ruleset, &probe);
    expect(&result, true, "later packets");
  }
}
END_TEST

START_TEST(fragments_are_put_together_where_connections_matter) {
  struct town *town = town_new(1);
  struct live_chain *before = town_base(town, 0, NF_INET_PRE_ROUTING, -450, false);
  struct live_chain *behind = town_base(town, 0, NF_INET_PRE_ROUTING, -350, true);
  struct live_expression exists = exthdr(NFT_EXTHDR_OP_IPV6, 44, 0, 1, NFT_EXTHDR_F_PRESENT);
  struct sample samples[2] = {tcp4(), extended6(8 | 1)};
  samples[0].bytes[ETHERNET + 7] = 3;
  for (size_t ipv6 = 0; ipv6 < 2; ipv6++) {
    struct probe probe = probe_of(&samples[ipv6]);
    before->rule_count = behind->rule_count = 0;
    if (ipv6 != 0) {
      ADD(before, exists, compare(NFT_CMP_EQ, BYTES(1)), verdict(LIVE_ACCEPT, NULL));
      ADD(behind, exists, compare(NFT_CMP_EQ, BYTES(0)), load(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 8),
          load(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2), compare(NFT_CMP_EQ, BYTES(0x01, 0xbb)), verdict(LIVE_DROP, NULL));
    } else {
      ADD(before, load(NFT_PAYLOAD_NETWORK_HEADER, 6, 2), compare(NFT_CMP_EQ, BYTES(0x40, 3)),
          verdict(LIVE_ACCEPT, NULL));
      ADD(behind, load(NFT_PAYLOAD_NETWORK_HEADER, 6, 2), compare(NFT_CMP_EQ, BYTES(0x40, 0)),
          load(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 8), verdict(LIVE_DROP, NULL));
    }
    struct concrete_result result = judge(&town->ruleset, &probe);
    expect(&result, true, "nobody asks about connections");
    ADD(behind, (struct live_expression){.kind = LIVE_OBJECT_REFERENCE, .operation = NFT_OBJECT_COUNTER});
    result = judge(&town->ruleset, &probe);
    expect(&result, true, "a counter does not");
    ADD(behind, ct(NFT_CT_STATE, -1));
    result = judge(&town->ruleset, &probe);
    expect(&result, false, "whole");
  }
}
END_TEST

START_TEST(netdev_chains_belong_to_their_devices) {
  const char *devices[] = {"lan0", "lan1"};
  struct town *town = town_new(1);
  struct live_chain *base = town_base(town, 0, 0, 0, false);
  town->tables[0].family = NFPROTO_NETDEV;
  base->devices = devices;
  base->device_count = 2;
  town_expect(town, false, "ingress of lan0");
  ADD(base, meta(NFT_META_NFPROTO), compare(NFT_CMP_EQ, BYTES(5)), load(NFT_PAYLOAD_NETWORK_HEADER, 8, 1),
      compare(NFT_CMP_EQ, BYTES(64)), verdict(LIVE_ACCEPT, NULL));
  town_expect(town, true, "the frame as it came");
  base->rule_count = 0;
  devices[0] = "lan2";
  town_expect(town, true, "another device");
  base->hook = 1;
  devices[0] = "wan0";
  town_expect(town, false, "egress of wan0");
  town->tables[0].family = NFPROTO_INET;
  base->hook = 5;
  town_expect(town, true, "inet ingress of another device");
  devices[0] = "lan0";
  town_expect(town, false, "inet ingress of lan0");
}
END_TEST

START_TEST(every_rule_that_was_looked_at_is_told) {
  struct town *town = town_new(1);
  struct live_chain *base = town_base(town, 0, NF_INET_FORWARD, 0, false), *one = town_chain(town, 0, "one");
  ADD(base, meta(NFT_META_L4PROTO), compare(NFT_CMP_EQ, BYTES(17)), verdict(LIVE_ACCEPT, NULL));
  ADD(base, verdict(LIVE_JUMP, one));
  ADD(one, plain(LIVE_COUNTER));
  struct sample sample = tcp4();
  struct probe probe = probe_of(&sample);
  struct concrete_result result = judge(&town->ruleset, &probe);
  expect(&result, false, "steps");
  ck_assert_uint_eq(result.step_count, 4);
  ck_assert(!result.steps[0].has_verdict && result.steps[0].stopped_at == 1);
  ck_assert(result.steps[1].has_verdict && result.steps[1].verdict.code == LIVE_JUMP);
  ck_assert(!result.steps[2].has_verdict && result.steps[2].stopped_at == 1 && result.steps[2].chain == one);
  ck_assert(result.steps[3].rule == NULL && result.steps[3].verdict.code == LIVE_DROP);
  ck_assert(result.chain == base && result.rule == NULL);
}
END_TEST

int main(void) {
  const struct {
    const char *name;
    const TTest *tests[16];
  } cases[] = {
      {"registers",
       {comparing_is_by_bytes_from_left_to_right, a_range_holds_both_its_ends, bits_are_masked_and_flipped,
        shifts_carry_from_word_to_word, two_registers_are_combined, the_order_of_bytes_is_turned_in_units,
        what_a_rule_has_not_written_has_no_value}},
      {"packet",
       {bytes_are_read_from_each_header, what_the_link_layer_appended_is_not_of_the_packet,
        a_packet_that_ends_early_stops_the_rule, a_later_fragment_has_no_transport_header,
        a_hop_is_taken_before_the_forward_hook, extension_headers_are_walked, extension_headers_are_found,
        options_are_found, interfaces_are_read_where_the_hook_has_them, links_tell_numbers_types_and_groups,
        facts_of_the_packet_are_read, the_packet_mark_is_kept}},
      {"connection",
       {the_state_of_a_connection_is_one_bit, only_what_opens_is_not_confirmed, the_tuple_is_the_openers,
        an_echo_has_an_identifier_and_a_type_for_ports, the_connection_mark_is_written_where_there_is_a_connection}},
      {"sets",
       {a_set_holds_what_it_holds, of_a_concatenation_each_field_lies_in_its_range, a_map_gives_data_or_a_verdict}},
      {"effects",
       {throttles_answer_as_the_probe_says, counting_changes_nothing_and_rejecting_drops,
        what_is_not_understood_is_said}},
      {"chains",
       {without_chains_everything_passes, the_policy_decides_where_no_rule_does, a_jump_comes_back_and_a_goto_does_not,
        sixteen_jumps_fit_within_each_other, going_in_circles_ends, accept_ends_its_own_chain_and_drop_all,
        each_way_has_its_hooks, the_first_in_order_of_priority_goes_first, before_conntrack_there_is_no_connection,
        notrack_counts_before_conntrack_only, chains_of_type_nat_see_openers_only,
        fragments_are_put_together_where_connections_matter, netdev_chains_belong_to_their_devices,
        every_rule_that_was_looked_at_is_told}},
  };
  Suite *suite = suite_create("concrete");
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    TCase *group = tcase_create(cases[i].name);
    tcase_add_checked_fixture(group, set_up, tear_down);
    for (size_t j = 0; cases[i].tests[j] != NULL; j++)
      tcase_add_test(group, cases[i].tests[j]);
    suite_add_tcase(suite, group);
  }
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
