/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two meanings of nftables against each other: random rulesets, and packets at the edges of what their rules ask.
 * KIDO_SYMBOLIC_RULESETS: how many (a long run); KIDO_SYMBOLIC_SEED: where to begin.
 */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>

#include "proof/concrete.h"
#include "proof/symbolic.h"

enum {
  CHAINS = 5,
  RULES_MOST = 5,
  EXPRESSIONS_MOST = 24,
  SETS = 9,
  ELEMENTS = 6,
  ASKED = 40,
  NODES = 1000000,
  R1 = 16
};

static struct arena *arena;
static uint64_t dice;

static void set_up(void) {
  arena = arena_new(0);
}

static void tear_down(void) {
  arena = arena_free(arena);
}

static uint32_t roll(uint32_t below) {
  dice = dice * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((dice >> 33) % below);
}

#define PICK(array) ((array)[roll(sizeof(array) / sizeof((array)[0]))])

/* ---- values: few, so that rules and packets meet; one beside each ---- */

static uint32_t some_address(void) {
  static const uint32_t base[] = {0x0a000000, 0x0a000010, 0x0a0000ff, 0x0a010203, 0xc0a80101, 0x0a000080};
  return PICK(base) + roll(3) - 1;
}

static uint16_t some_port(void) {
  static const uint16_t base[] = {1, 22, 80, 443, 1023, 8080, 0x0800, 0x0300, 65534};
  return (uint16_t)(PICK(base) + roll(3) - 1);
}

static uint8_t some_protocol(void) {
  static const uint8_t base[] = {6, 6, 6, 17, 17, 1, 58, 47, 50, 132, 255};
  return PICK(base);
}

static uint32_t some_mark(void) {
  static const uint32_t base[] = {0, 1, 2, 3, 0x100, 0x80000001, 0x80000002, 0xffffffff, 0x01000000};
  return PICK(base);
}

static const char *some_interface(void) {
  static const char *const names[] = {"lan0", "lan1", "wan0", "lo"};
  return PICK(names);
}

static void put_address(uint8_t *bytes, bool ipv6, uint32_t address) {
  uint32_t number = htonl(address);
  if (ipv6) {
    memcpy(bytes, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0", 12);
    bytes += 12;
  }
  memcpy(bytes, &number, 4);
}

static void put_port(uint8_t *bytes, uint16_t port) {
  bytes[0] = (uint8_t)(port >> 8);
  bytes[1] = (uint8_t)port;
}

/* ---- writing rules ---- */

struct world {
  struct live_ruleset ruleset;
  struct live_table tables[2];
  struct live_chain chains[2 * CHAINS];
  struct live_set sets[SETS];
  size_t set_count;
  bool ipv6;  /* what its rules mostly speak of */
  bool early; /* all of it comes before packets are put together: fragments are judged one by one */
  bool plain; /* nothing that cannot be known */
  uint64_t handle;
};

struct writer {
  struct world *world;
  struct live_chain *chain;
  struct live_expression expressions[EXPRESSIONS_MOST];
  size_t count;
};

static struct live_expression *add(struct writer *writer, enum live_kind kind, const char *name) {
  ck_assert_uint_lt(writer->count, EXPRESSIONS_MOST);
  struct live_expression *expression = &writer->expressions[writer->count++];
  *expression = (struct live_expression){.kind = kind, .name = name, .direction = -1};
  return expression;
}

static void add_load(struct writer *writer, enum live_kind kind, unsigned key, unsigned destination) {
  struct live_expression *expression = add(writer, kind, kind == LIVE_META ? "meta" : "ct");
  expression->key = key;
  expression->destination = destination;
  expression->has_destination = true;
}

static void add_payload(struct writer *writer, unsigned base, unsigned offset, unsigned length, unsigned destination) {
  struct live_expression *expression = add(writer, LIVE_PAYLOAD, "payload");
  expression->base = base;
  expression->offset = offset;
  expression->length = length;
  expression->destination = destination;
  expression->has_destination = true;
}

static void add_compare(struct writer *writer, unsigned source, unsigned operation, const void *data, unsigned length) {
  struct live_expression *expression = add(writer, LIVE_COMPARE, "cmp");
  expression->source = source;
  expression->operation = operation;
  expression->data = arena_memdup(arena, data, length);
  expression->data_length = length;
}

static void add_range(struct writer *writer, unsigned source, const void *from, const void *to, unsigned length) {
  struct live_expression *expression = add(writer, LIVE_RANGE, "range");
  bool turned = memcmp(from, to, length) > 0;
  expression->source = source;
  expression->operation = roll(3) == 0 ? NFT_RANGE_NEQ : NFT_RANGE_EQ;
  expression->data = arena_memdup(arena, turned ? to : from, length);
  expression->data_to = arena_memdup(arena, turned ? from : to, length);
  expression->data_length = expression->data_to_length = length;
}

static void add_bitwise(struct writer *writer, unsigned reg, const void *mask, const void *flip, unsigned length) {
  struct live_expression *expression = add(writer, LIVE_BITWISE, "bitwise");
  expression->source = expression->destination = reg;
  expression->has_destination = true;
  expression->operation = 0;
  expression->length = length;
  expression->data = arena_memdup(arena, mask, length);
  expression->data_to = arena_memdup(arena, flip, length);
  expression->data_length = expression->data_to_length = length;
}

static unsigned some_comparison(void) {
  static const unsigned operations[] = {NFT_CMP_EQ,  NFT_CMP_EQ, NFT_CMP_NEQ, NFT_CMP_LT,
                                        NFT_CMP_LTE, NFT_CMP_GT, NFT_CMP_GTE};
  return PICK(operations);
}

/* ---- matches ---- */

static unsigned address_offset(bool ipv6, bool source) {
  return ipv6 ? (source ? 8 : 24) : (source ? 12 : 16);
}

static void match_family(struct writer *writer) {
  uint8_t family = writer->world->ipv6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
  add_load(writer, LIVE_META, NFT_META_NFPROTO, R1);
  add_compare(writer, R1, roll(6) == 0 ? NFT_CMP_NEQ : NFT_CMP_EQ, &family, 1);
}

static void match_protocol(struct writer *writer) {
  uint8_t protocol = some_protocol();
  add_load(writer, LIVE_META, NFT_META_L4PROTO, R1);
  add_compare(writer, R1, some_comparison(), &protocol, 1);
}

static void match_address(struct writer *writer) {
  bool ipv6 = writer->world->ipv6;
  unsigned length = ipv6 ? 16 : 4, some = roll(3) == 0 ? 1 + roll(length) : length;
  uint8_t bytes[16], other[16], mask[16], flip[16] = {0};
  put_address(bytes, ipv6, some_address());
  put_address(other, ipv6, some_address());
  add_payload(writer, NFT_PAYLOAD_NETWORK_HEADER, address_offset(ipv6, roll(2)), some, R1);
  if (roll(2) == 0) {
    memset(mask, 0xff, sizeof(mask));
    mask[roll(some)] = (uint8_t)roll(256);
    flip[roll(some)] = roll(3) == 0 ? (uint8_t)roll(256) : 0;
    add_bitwise(writer, R1, mask, flip, some);
    for (unsigned i = 0; i < some; i++)
      bytes[i] = (bytes[i] & mask[i]) ^ flip[i];
  }
  if (roll(3) == 0)
    add_range(writer, R1, bytes, other, some);
  else
    add_compare(writer, R1, some_comparison(), bytes, some);
}

static void match_port(struct writer *writer) {
  uint8_t bytes[4], other[4];
  put_port(bytes, some_port());
  put_port(other, some_port());
  if (roll(2) == 0)
    match_protocol(writer);
  add_payload(writer, NFT_PAYLOAD_TRANSPORT_HEADER, roll(2) * 2, 2, R1);
  if (roll(3) == 0)
    add_range(writer, R1, bytes, other, 2);
  else
    add_compare(writer, R1, some_comparison(), bytes, 2);
}

static void match_both_ports(struct writer *writer) {
  uint8_t bytes[4], mask[4] = {0xff, 0xff, 0xff, 0xff}, flip[4] = {0};
  put_port(bytes, some_port());
  put_port(bytes + 2, some_port());
  mask[roll(4)] = 0;
  add_payload(writer, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 4, R1 + 4);
  add_bitwise(writer, R1 + 4, mask, flip, 4);
  for (unsigned i = 0; i < 4; i++)
    bytes[i] &= mask[i];
  add_compare(writer, R1 + 4, roll(2) == 0 ? NFT_CMP_EQ : NFT_CMP_NEQ, bytes, 4);
}

static void match_flags(struct writer *writer) {
  const uint8_t mask = (uint8_t)(1u << roll(5) | 2), flip = 0, value = roll(2) ? 2 : 0;
  add_payload(writer, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, R1);
  add_bitwise(writer, R1, &mask, &flip, 1);
  add_compare(writer, R1, roll(2) ? NFT_CMP_EQ : NFT_CMP_NEQ, &value, 1);
}

static void match_header(struct writer *writer) {
  static const uint8_t firsts[] = {0x45, 0x46, 0x60, 64, 255, 254, 6, 0x40, 0x20};
  uint8_t value = PICK(firsts);
  unsigned offset = writer->world->ipv6 ? (unsigned[]){0, 6, 7}[roll(3)] : (unsigned[]){0, 6, 7, 8, 9}[roll(5)];
  add_payload(writer, NFT_PAYLOAD_NETWORK_HEADER, offset, 1, R1);
  add_compare(writer, R1, some_comparison(), &value, 1);
}

static void match_raw_word(struct writer *writer) { /* as the fast form of guards does */
  static const uint32_t masks[] = {0x00003fff, 0xffff0000, 0x00600000, 0x0000ffff, 0xff00ff00};
  uint32_t mask = htonl(PICK(masks)), flip = 0, value = roll(2) ? 0 : mask & htonl(0x00060000);
  unsigned offset = 4 * (1 + roll(2));
  if (writer->world->ipv6 && offset == 4) { /* its length is what it is */
    mask &= htonl(0xffff);
    value &= mask;
  }
  add_payload(writer, NFT_PAYLOAD_NETWORK_HEADER, offset, 4, R1);
  add_bitwise(writer, R1, &mask, &flip, 4);
  add_compare(writer, R1, roll(2) ? NFT_CMP_EQ : NFT_CMP_NEQ, &value, 4);
}

static void match_mac(struct writer *writer) {
  static const uint8_t mac[6] = {2, 0, 0, 0, 0, 7};
  uint16_t type = 1;
  if (roll(2) == 0) {
    add_load(writer, LIVE_META, NFT_META_IFTYPE, R1);
    add_compare(writer, R1, NFT_CMP_EQ, &type, 2);
  }
  add_payload(writer, NFT_PAYLOAD_LL_HEADER, 6, 6, R1);
  add_compare(writer, R1, roll(3) ? NFT_CMP_EQ : NFT_CMP_NEQ, mac, 6);
}

static void match_state(struct writer *writer) {
  uint32_t mask = 1u << roll(7) | 1u << roll(4), flip = 0, zero = 0;
  add_load(writer, LIVE_CT, NFT_CT_STATE, R1);
  add_bitwise(writer, R1, &mask, &flip, 4);
  add_compare(writer, R1, roll(4) ? NFT_CMP_NEQ : NFT_CMP_EQ, &zero, 4);
}

static void match_direction(struct writer *writer) {
  uint8_t direction = (uint8_t)roll(2);
  add_load(writer, LIVE_CT, NFT_CT_DIRECTION, R1);
  add_compare(writer, R1, NFT_CMP_EQ, &direction, 1);
}

static void match_status(struct writer *writer) {
  uint32_t mask = 1u << (1 + roll(4)), flip = 0, zero = 0;
  add_load(writer, LIVE_CT, NFT_CT_STATUS, R1);
  add_bitwise(writer, R1, &mask, &flip, 4);
  add_compare(writer, R1, roll(2) ? NFT_CMP_NEQ : NFT_CMP_EQ, &zero, 4);
}

static void turn_word(struct writer *writer, unsigned reg) {
  struct live_expression *expression = add(writer, LIVE_BYTEORDER, "byteorder");
  expression->source = expression->destination = reg;
  expression->has_destination = true;
  expression->operation = NFT_BYTEORDER_HTON;
  expression->length = 4;
  expression->size = 4;
}

static void match_mark(struct writer *writer) {
  static const uint32_t masks[] = {0x7fffffff, 0xff, 0x80000000, 0xffffffff};
  uint32_t mask = PICK(masks), flip = roll(4) == 0 ? some_mark() : 0, value = some_mark();
  bool packet = roll(5) == 0;
  add_load(writer, packet ? LIVE_META : LIVE_CT, packet ? (unsigned)NFT_META_MARK : (unsigned)NFT_CT_MARK, R1);
  if (roll(2) == 0) {
    add_bitwise(writer, R1, &mask, &flip, 4);
    value = (value & mask) ^ flip;
  }
  if (roll(3) == 0) {
    uint32_t from = htonl(value), to = htonl(some_mark());
    turn_word(writer, R1);
    add_range(writer, R1, &from, &to, 4);
  } else {
    add_compare(writer, R1, some_comparison(), &value, 4);
  }
}

static void match_shifted_mark(struct writer *writer) {
  uint32_t shift = 1 + roll(31), value = some_mark() >> shift;
  add_load(writer, LIVE_CT, NFT_CT_MARK, R1);
  struct live_expression *expression = add(writer, LIVE_BITWISE, "bitwise");
  expression->source = R1;
  expression->destination = R1 + 8;
  expression->has_destination = true;
  expression->operation = 2;
  expression->length = 4;
  expression->data = arena_memdup(arena, &shift, 4);
  expression->data_length = 4;
  add_compare(writer, R1 + 8, roll(2) ? NFT_CMP_EQ : NFT_CMP_NEQ, &value, 4);
}

static void match_interface(struct writer *writer) {
  char name[16] = {0};
  const char *some = some_interface();
  unsigned length = roll(3) == 0 ? 1 + roll((unsigned)strlen(some)) : 16;
  memcpy(name, some, strlen(some));
  add_load(writer, LIVE_META, roll(2) ? NFT_META_IIFNAME : NFT_META_OIFNAME, R1);
  add_compare(writer, R1, roll(3) ? NFT_CMP_EQ : NFT_CMP_NEQ, name, length);
}

static void match_interface_facts(struct writer *writer) {
  static const uint32_t keys[] = {NFT_META_IIF, NFT_META_OIF, NFT_META_IIFGROUP, NFT_META_OIFGROUP};
  static const uint32_t values[] = {0, 2, 3, 5, 260};
  uint32_t value = PICK(values);
  add_load(writer, LIVE_META, PICK(keys), R1);
  add_compare(writer, R1, roll(3) ? NFT_CMP_EQ : NFT_CMP_NEQ, &value, 4);
}

static void add_tuple(struct writer *writer, unsigned key, unsigned destination) {
  add_load(writer, LIVE_CT, key, destination);
  writer->expressions[writer->count - 1].direction = roll(4) == 0;
}

static void match_tuple(struct writer *writer) {
  bool ipv6 = writer->world->ipv6;
  uint8_t bytes[16];
  switch (roll(3)) {
  case 0:
    add_tuple(writer, ipv6 ? NFT_CT_SRC_IP6 + roll(2) : NFT_CT_SRC_IP + roll(2), R1);
    put_address(bytes, ipv6, some_address());
    add_compare(writer, R1, some_comparison(), bytes, ipv6 ? 16 : 4);
    break;
  case 1:
    add_tuple(writer, NFT_CT_PROTO_SRC + roll(2), R1);
    put_port(bytes, some_port());
    add_compare(writer, R1, some_comparison(), bytes, 2);
    break;
  default:
    bytes[0] = some_protocol();
    add_tuple(writer, NFT_CT_PROTOCOL, R1);
    add_compare(writer, R1, NFT_CMP_EQ, bytes, 1);
  }
}

static void match_extension(struct writer *writer) {
  static const unsigned types[] = {IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_FRAGMENT};
  uint8_t value = (uint8_t)roll(2);
  bool type = roll(3) == 0;
  struct live_expression *expression = add(writer, LIVE_EXTHDR, "exthdr");
  expression->destination = R1;
  expression->has_destination = true;
  expression->operation = NFT_EXTHDR_OP_IPV6;
  expression->key = type ? (unsigned)IPPROTO_ROUTING : PICK(types);
  expression->offset = type ? 2 : 0;
  expression->length = 1;
  expression->flags = type ? 0 : NFT_EXTHDR_F_PRESENT;
  add_compare(writer, R1, NFT_CMP_EQ, &value, 1);
}

static void match_two_registers(struct writer *writer) {
  uint16_t value = 0;
  add_payload(writer, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, R1);
  add_payload(writer, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, R1 + 4);
  struct live_expression *expression = add(writer, LIVE_BITWISE, "bitwise");
  expression->source = R1;
  expression->source_data = R1 + 4;
  expression->has_source_data = true;
  expression->destination = R1;
  expression->has_destination = true;
  expression->operation = 3 + roll(3);
  expression->length = 2;
  add_compare(writer, R1, roll(2) ? NFT_CMP_EQ : NFT_CMP_NEQ, &value, 2);
}

static void match_unknown(struct writer *writer) {
  uint32_t value = 100;
  if (writer->world->plain)
    return;
  switch (roll(4)) {
  case 0:
    add(writer, LIVE_LIMIT, "limit")->flags = roll(2);
    break;
  case 1:
    add(writer, LIVE_CONNLIMIT, "connlimit");
    break;
  case 2:
    add(writer, LIVE_QUOTA, "quota");
    break;
  default:
    add_load(writer, LIVE_META, NFT_META_LEN, R1);
    add_compare(writer, R1, some_comparison(), &value, 4);
  }
}

/* ---- sets ---- */

enum set_use {
  SET_ADDRESS,
  SET_MASKED,
  SET_PROTOCOL,
  SET_MARK,
  SET_PORTS,
  SET_NAME,
  SET_CONCATENATION,
  SET_TUPLE,
  SET_INTERVAL_MARK
};

static void new_element(struct world *world, const struct live_set *set, enum set_use use,
                        struct live_element *element) {
  uint8_t first[64] = {0}, last[64] = {0};
  bool ipv6 = world->ipv6;
  unsigned width = ipv6 ? 16 : 4;
  uint32_t a = some_address(), b = set->interval ? a + roll(40) : a, mark = some_mark();
  uint16_t p = some_port(), q = set->interval ? (uint16_t)(p + roll(2) * roll(300)) : p;
  q = q < p ? p : q;
  switch (use) {
  case SET_ADDRESS:
  case SET_MASKED:
    put_address(first, ipv6, use == SET_MASKED ? a & 0xffffff00 : a);
    put_address(last, ipv6, use == SET_MASKED ? a & 0xffffff00 : b);
    break;
  case SET_PROTOCOL:
    first[0] = last[0] = some_protocol();
    break;
  case SET_MARK:
    memcpy(first, &mark, 4);
    memcpy(last, &mark, 4);
    break;
  case SET_INTERVAL_MARK:
    mark = htonl(mark);
    memcpy(first, &mark, 4);
    mark = htonl(ntohl(mark) > 0xffffffff - 3 ? 0xffffffff : ntohl(mark) + 3);
    memcpy(last, &mark, 4);
    break;
  case SET_PORTS:
    put_port(first, p);
    put_port(last, q);
    break;
  case SET_NAME:
    memcpy(first, "lan0", 4);
    first[3] = (uint8_t)('0' + roll(3));
    memcpy(last, first, 16);
    break;
  default: /* destination, port, source */
    put_address(first, ipv6, a);
    put_address(last, ipv6, b);
    put_port(first + width, p);
    put_port(last + width, q);
    put_address(first + width + 4, ipv6, some_address());
    memcpy(last + width + 4, first + width + 4, width);
  }
  element->first = arena_memdup(arena, first, sizeof(first));
  element->last = arena_memdup(arena, last, sizeof(last));
}

static bool fields_overlap(const struct live_set *set, const struct live_element *a, const struct live_element *b) {
  unsigned offset = 0;
  for (size_t i = 0; i < set->field_count; i++) {
    unsigned length = set->field_lengths[i];
    if (memcmp(a->last + offset, b->first + offset, length) < 0 ||
        memcmp(b->last + offset, a->first + offset, length) < 0)
      return false;
    offset += (length + 3) / 4 * 4;
  }
  return true;
}

static struct live_set *new_set(struct world *world, enum set_use use) {
  struct live_set *set = &world->sets[world->set_count++];
  unsigned width = world->ipv6 ? 16 : 4;
  static const unsigned lengths[] = {
      [SET_PROTOCOL] = 1, [SET_MARK] = 4, [SET_INTERVAL_MARK] = 4, [SET_PORTS] = 2, [SET_NAME] = 16};
  *set = (struct live_set){.table = &world->tables[0], .name = arena_printf(arena, "set%zu", world->set_count)};
  set->interval =
      use == SET_INTERVAL_MARK || ((use == SET_ADDRESS || use == SET_PORTS || use >= SET_CONCATENATION) && roll(2));
  set->field_lengths[0] = use < SET_CONCATENATION && use != SET_ADDRESS && use != SET_MASKED ? lengths[use] : width;
  set->field_lengths[0] = use == SET_INTERVAL_MARK ? 4 : set->field_lengths[0];
  set->field_count = 1;
  set->key_length = set->field_lengths[0];
  if (use == SET_CONCATENATION || use == SET_TUPLE) {
    set->concatenation = true;
    set->field_lengths[1] = 2;
    set->field_lengths[2] = width;
    set->field_count = 3;
    set->key_length = 2 * width + 4;
  }
  set->elements = arena_array(arena, ELEMENTS, sizeof(*set->elements));
  for (unsigned i = 0; i < ELEMENTS; i++) {
    struct live_element *element = &set->elements[set->element_count];
    bool overlaps = false;
    new_element(world, set, use, element);
    for (size_t k = 0; k < set->element_count; k++)
      overlaps = overlaps || fields_overlap(set, element, &set->elements[k]);
    set->element_count += !overlaps;
  }
  set->has_catch_all = roll(8) == 0;
  return set;
}

static void give_values(struct live_set *set) {
  set->data_kind = LIVE_VALUES;
  set->data_length = 4;
  for (size_t i = 0; i < set->element_count; i++) {
    uint32_t mark = some_mark();
    set->elements[i].data = arena_memdup(arena, &mark, 4);
  }
  uint32_t mark = some_mark();
  set->catch_all.data = arena_memdup(arena, &mark, 4);
}

static struct live_verdict some_verdict(struct writer *writer) {
  static const enum live_verdict_code codes[] = {LIVE_ACCEPT, LIVE_ACCEPT, LIVE_ACCEPT, LIVE_DROP, LIVE_CONTINUE,
                                                 LIVE_RETURN, LIVE_JUMP,   LIVE_JUMP,   LIVE_GOTO};
  struct live_verdict verdict = {.code = PICK(codes)};
  size_t own = (size_t)(writer->chain - writer->world->chains), first = own / CHAINS * CHAINS;
  if (verdict.code == LIVE_JUMP || verdict.code == LIVE_GOTO) {
    size_t next = own + 1 < first + 2 ? first + 2 : own + 1;
    if (next >= first + CHAINS)
      verdict.code = LIVE_ACCEPT;
    else
      verdict.chain = &writer->world->chains[next + roll((uint32_t)(first + CHAINS - next))];
  }
  return verdict;
}

static void give_verdicts(struct writer *writer, struct live_set *set) {
  set->data_kind = LIVE_VERDICTS;
  for (size_t i = 0; i < set->element_count; i++)
    set->elements[i].verdict = some_verdict(writer);
  set->catch_all.verdict = some_verdict(writer);
}

/* Loads of a key. */
static void load_key(struct writer *writer, enum set_use use) {
  bool ipv6 = writer->world->ipv6;
  unsigned width = ipv6 ? 16 : 4;
  uint8_t mask[16], flip[16] = {0};
  switch (use) {
  case SET_ADDRESS:
  case SET_MASKED:
    add_payload(writer, NFT_PAYLOAD_NETWORK_HEADER, address_offset(ipv6, roll(2)), width, R1);
    memset(mask, 0xff, sizeof(mask));
    mask[width - 1] = (uint8_t)(use == SET_MASKED ? 0 : ~(1u << roll(8)));
    if (use == SET_MASKED || roll(4) == 0)
      add_bitwise(writer, R1, mask, flip, width);
    break;
  case SET_PROTOCOL:
    add_load(writer, LIVE_META, NFT_META_L4PROTO, R1);
    break;
  case SET_MARK:
  case SET_INTERVAL_MARK:
    add_load(writer, LIVE_CT, NFT_CT_MARK, R1);
    memcpy(mask, "\xff\xff\xff\x7f", 4);
    if (roll(2))
      add_bitwise(writer, R1, mask, flip, 4);
    if (use == SET_INTERVAL_MARK)
      turn_word(writer, R1);
    break;
  case SET_PORTS:
    add_payload(writer, NFT_PAYLOAD_TRANSPORT_HEADER, roll(2) * 2, 2, R1);
    break;
  case SET_NAME:
    add_load(writer, LIVE_META, roll(2) ? NFT_META_IIFNAME : NFT_META_OIFNAME, R1);
    break;
  case SET_CONCATENATION:
    add_payload(writer, NFT_PAYLOAD_NETWORK_HEADER, address_offset(ipv6, false), width, R1);
    add_payload(writer, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, R1 + width);
    add_payload(writer, NFT_PAYLOAD_NETWORK_HEADER, address_offset(ipv6, true), width, R1 + width + 4);
    break;
  case SET_TUPLE:
    add_load(writer, LIVE_CT, ipv6 ? NFT_CT_DST_IP6 : NFT_CT_DST_IP, R1);
    writer->expressions[writer->count - 1].direction = 0;
    add_load(writer, LIVE_CT, NFT_CT_PROTO_DST, R1 + width);
    writer->expressions[writer->count - 1].direction = 0;
    add_load(writer, LIVE_CT, ipv6 ? NFT_CT_SRC_IP6 : NFT_CT_SRC_IP, R1 + width + 4);
    writer->expressions[writer->count - 1].direction = 0;
    break;
  }
}

static struct live_expression *add_lookup(struct writer *writer, const struct live_set *set) {
  struct live_expression *expression = add(writer, LIVE_LOOKUP, "lookup");
  expression->source = R1;
  expression->set = set;
  return expression;
}

static void set_mark(struct writer *writer, unsigned source) {
  bool packet = roll(4) == 0;
  struct live_expression *expression = add(writer, packet ? LIVE_META_SET : LIVE_CT_SET, packet ? "meta" : "ct");
  expression->key = packet ? (unsigned)NFT_META_MARK : (unsigned)NFT_CT_MARK;
  expression->source = source;
}

static void match_set(struct writer *writer) {
  enum set_use use = (enum set_use)roll(SET_INTERVAL_MARK + 1);
  if (writer->world->set_count == SETS)
    return;
  struct live_set *set = new_set(writer->world, use);
  if (use == SET_TUPLE || use == SET_CONCATENATION)
    match_protocol(writer);
  load_key(writer, use);
  switch (roll(3)) {
  case 0:
    add_lookup(writer, set)->flags = roll(3) == 0 ? NFT_LOOKUP_F_INV : 0;
    break;
  case 1: {
    struct live_expression *lookup = add_lookup(writer, set);
    give_values(set);
    lookup->has_destination = true;
    lookup->destination = R1;
    set_mark(writer, R1);
    break;
  }
  default:
    give_verdicts(writer, set);
    add_lookup(writer, set)->verdict_map = true;
  }
}

/* ---- statements ---- */

static void state_mark(struct writer *writer) {
  uint32_t mask = roll(2) ? 0x7fffffff : 0xff, flip = roll(2) ? 0x80000000 : 1, mark = some_mark();
  if (roll(2)) {
    struct live_expression *expression = add(writer, LIVE_IMMEDIATE, "immediate");
    expression->destination = R1;
    expression->has_destination = true;
    expression->data = arena_memdup(arena, &mark, 4);
    expression->data_length = 4;
  } else {
    add_load(writer, roll(4) ? LIVE_CT : LIVE_META, NFT_CT_MARK, R1);
    add_bitwise(writer, R1, &mask, &flip, 4);
  }
  set_mark(writer, R1);
}

static void state_verdict(struct writer *writer) {
  struct live_expression *expression = add(writer, LIVE_IMMEDIATE, "immediate");
  expression->is_verdict = true;
  expression->verdict = some_verdict(writer);
}

typedef void (*part)(struct writer *writer);

static void write_rule(struct world *world, struct live_chain *chain) {
  static const part matches[] = {match_family,
                                 match_protocol,
                                 match_address,
                                 match_address,
                                 match_port,
                                 match_port,
                                 match_both_ports,
                                 match_flags,
                                 match_header,
                                 match_raw_word,
                                 match_mac,
                                 match_state,
                                 match_direction,
                                 match_status,
                                 match_mark,
                                 match_mark,
                                 match_shifted_mark,
                                 match_interface,
                                 match_tuple,
                                 match_extension,
                                 match_two_registers,
                                 match_unknown,
                                 match_interface_facts,
                                 match_set,
                                 match_set,
                                 match_set};
  static struct writer writer;
  writer = (struct writer){.world = world, .chain = chain};
  for (uint32_t i = roll(3); i > 0; i--)
    PICK(matches)(&writer);
  if (roll(3) == 0)
    state_mark(&writer);
  if (roll(20) == 0)
    add(&writer, LIVE_NOTRACK, "notrack");
  if (roll(2) == 0)
    PICK(matches)(&writer);
  state_verdict(&writer); /* perhaps to go on: what has none is not even looked at by one of the two */
  struct live_rule *rule = &chain->rules[chain->rule_count++];
  *rule = (struct live_rule){.handle = ++world->handle, .comment = ""};
  rule->expressions = arena_memdup(arena, writer.expressions, writer.count * sizeof(writer.expressions[0]));
  rule->expression_count = writer.count;
}

static void write_chain(struct world *world, struct live_table *table, size_t place, bool base, unsigned hook,
                        int32_t priority) {
  struct live_chain *chain = &world->chains[place];
  *chain = (struct live_chain){.table = table,
                               .name = arena_printf(arena, "chain%zu", place),
                               .handle = ++world->handle,
                               .base = base,
                               .type = "filter",
                               .hook = hook,
                               .priority = priority,
                               .policy_accept = roll(2)};
  chain->rules = arena_array(arena, RULES_MOST, sizeof(*chain->rules));
}

/* Two tables; in each two base chains and three others, which lead only to later ones. */
static struct world *new_world(void) {
  static const int32_t early[] = {-450, -300, -150, 0, 10};
  struct world *world = ARENA_NEW(arena, struct world);
  world->ipv6 = roll(3) == 0;
  world->plain = roll(2);
  world->early = roll(4) == 0;
  world->ruleset = (struct live_ruleset){.tables = world->tables, .table_count = 1 + roll(2)};
  for (size_t t = 0; t < 2; t++) {
    struct live_table *table = &world->tables[t];
    *table = (struct live_table){.family = roll(3)       ? NFPROTO_INET
                                           : world->ipv6 ? NFPROTO_IPV6
                                                         : NFPROTO_IPV4,
                                 .name = t == 0 ? "one" : "two",
                                 .chains = &world->chains[t * CHAINS],
                                 .chain_count = CHAINS,
                                 .dormant = roll(16) == 0};
    for (size_t c = 0; c < CHAINS; c++) {
      static const unsigned hooks[] = {NF_INET_FORWARD, NF_INET_FORWARD, NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT,
                                       NF_INET_POST_ROUTING};
      unsigned hook = c == 0 || world->early ? NF_INET_PRE_ROUTING : PICK(hooks);
      int32_t late = c == 0 ? PICK(early) + (int32_t)t : (int32_t)t;
      write_chain(world, table, t * CHAINS + c, c < 2, hook, world->early ? -500 + (int32_t)(2 * c + t) : late);
    }
  }
  for (size_t c = 0; c < (size_t)2 * CHAINS; c++)
    for (uint32_t i = roll(RULES_MOST + 1); i > 0; i--)
      write_rule(world, &world->chains[c]);
  world->tables[0].sets = world->sets;
  world->tables[0].set_count = world->set_count;
  return world;
}

/* tun7 has no Ethernet header. */
static struct link links[] = {
    {.name = "lo", .index = 1, .type = 772},   {.name = "lan0", .index = 2, .type = 1, .group = 5},
    {.name = "lan1", .index = 3, .type = 1},   {.name = "lan2", .index = 4, .type = 1, .group = 5},
    {.name = "wan0", .index = 260, .type = 1}, {.name = "tun7", .index = 6, .type = 65534},
};
static const struct surroundings surroundings = {
    .known = true, .links = links, .link_count = sizeof(links) / sizeof(links[0])};

/* ---- packets ---- */

struct question {
  struct world *world;
  struct space *space;
  struct diagram_store *store;
  struct situation situation;
  struct symbolic *machine;
  struct symbolic_result result;
  bool exact; /* nothing unknown was met */
  size_t accepted, dropped, refused;
};

static void set_number(const struct space *space, uint8_t *bits, enum space_field field, uint64_t number) {
  unsigned width = space_field_width(field);
  for (unsigned i = 0; i < width; i++)
    bits[space_field_variable(space, field, i)] = (number >> (width - 1 - i)) & 1;
}

static void set_bytes(const struct space *space, uint8_t *bits, enum space_field field, const uint8_t *bytes,
                      unsigned count) {
  for (unsigned i = 0; i < count * 8; i++)
    bits[space_field_variable(space, field, i)] = (bytes[i / 8] >> (7 - i % 8)) & 1;
}

static void set_address(const struct space *space, uint8_t *bits, enum space_field field, bool ipv6) {
  uint8_t bytes[16] = {0};
  put_address(bytes, ipv6, some_address());
  set_bytes(space, bits, field, bytes, ipv6 ? 16 : 4);
}

/* What belongs together in a packet that is well formed. */
static void make_sound(const struct question *question, uint8_t *bits) {
  const struct space *space = question->space;
  const struct situation *situation = &question->situation;
  bool ipv6 = situation->family == FAMILY_IPV6;
  if (situation->tracking == TRACKING_RELATED_ORIGINAL || situation->tracking == TRACKING_RELATED_REPLY)
    set_number(space, bits, FIELD_PROTOCOL, ipv6 ? 58 : 1);
  uint64_t protocol = space_number(space, bits, FIELD_PROTOCOL), fragment = space_number(space, bits, FIELD_FRAGMENT);
  if (!question->world->early) {
    fragment &= 0xc000;
    set_number(space, bits, FIELD_FRAGMENT, fragment);
    set_number(space, bits, FIELD_HAS_FRAGMENT, 0);
  }
  bool hop = space_number(space, bits, FIELD_HAS_HOP_BY_HOP), routing = space_number(space, bits, FIELD_HAS_ROUTING);
  bool later = (fragment & 0x1fff) != 0;
  if (protocol == 0 || protocol == 43 || protocol == 44 || protocol == 51 || protocol == 59 || protocol == 60)
    set_number(space, bits, FIELD_PROTOCOL, protocol = 6);
  bool fragmented = space_number(space, bits, FIELD_HAS_FRAGMENT);
  if (ipv6 && !fragmented)
    set_number(space, bits, FIELD_FRAGMENT, 0);
  if (ipv6 && fragmented)
    set_number(space, bits, FIELD_FRAGMENT, fragment & 0x3fff);
  set_number(space, bits, FIELD_NEXT_HEADER, hop ? 0 : routing ? 43 : fragmented ? 44 : protocol);
  set_number(space, bits, FIELD_VERSION_LENGTH, ipv6 || roll(6) ? 0x45 : 0x46);
  if (later || situation->tracking < TRACKING_INVALID) /* what has a connection could be read */
    set_number(space, bits, FIELD_TRANSPORT_READABLE, 1);
  if (space_number(space, bits, FIELD_HOP_LIMIT) < 2) /* none that is routed */
    set_number(space, bits, FIELD_HOP_LIMIT, 2);
  uint64_t status = space_number(space, bits, FIELD_STATUS) & ~(uint64_t)IPS_CONFIRMED;
  if (situation->tracking != TRACKING_OPENS && situation->tracking < TRACKING_INVALID)
    status |= IPS_CONFIRMED;
  set_number(space, bits, FIELD_STATUS, status);
}

static void some_packet(const struct question *question, uint8_t *bits) {
  const struct space *space = question->space;
  const struct situation *situation = &question->situation;
  static const uint16_t fragments[] = {0, 0, 0, 0x4000, 0x2000, 0x2001, 0x0005, 0x8000};
  static const uint8_t hops[] = {64, 255, 254, 65, 2, 128}, mac[6] = {2, 0, 0, 0, 0, 7};
  bool ipv6 = situation->family == FAMILY_IPV6;
  set_number(space, bits, FIELD_MARK, some_mark());
  set_number(space, bits, FIELD_PROTOCOL, some_protocol());
  set_address(space, bits, FIELD_DESTINATION, ipv6);
  set_address(space, bits, FIELD_SOURCE, ipv6);
  set_number(space, bits, FIELD_DESTINATION_PORT, some_port());
  set_number(space, bits, FIELD_SOURCE_PORT, some_port());
  set_number(space, bits, FIELD_ORIGINAL_PROTOCOL, some_protocol());
  set_address(space, bits, FIELD_ORIGINAL_DESTINATION, ipv6);
  set_address(space, bits, FIELD_ORIGINAL_SOURCE, ipv6);
  set_number(space, bits, FIELD_ORIGINAL_DESTINATION_PORT, some_port());
  set_number(space, bits, FIELD_ORIGINAL_SOURCE_PORT, some_port());
  set_number(space, bits, FIELD_TCP_FLAGS, roll(2) ? 2 : roll(64));
  set_bytes(space, bits, FIELD_SOURCE_MAC, mac, 6);
  set_number(space, bits, FIELD_FRAGMENT, PICK(fragments));
  set_number(space, bits, FIELD_HOP_LIMIT, PICK(hops));
  set_number(space, bits, FIELD_HAS_HOP_BY_HOP, ipv6 && roll(4) == 0);
  set_number(space, bits, FIELD_HAS_ROUTING, ipv6 && roll(4) == 0);
  set_number(space, bits, FIELD_ROUTING_TYPE, roll(3));
  set_number(space, bits, FIELD_HAS_FRAGMENT, ipv6 && roll(4) == 0);
  set_number(space, bits, FIELD_TRANSPORT_READABLE, roll(8) != 0);
  set_number(space, bits, FIELD_STATUS, roll(16) << 1);
  for (uint32_t i = roll(4) == 0 ? roll(6) : 0; i > 0; i--) /* one bit beside */
    bits[roll(space_variable_count(space))] ^= 1;
}

struct frame {
  uint8_t bytes[256];
  size_t network, transport, length;
};

static size_t put_extensions(const struct space *space, const uint8_t *bits, uint8_t *at) {
  static const uint8_t headers[] = {0, 43, 44};
  bool present[] = {space_number(space, bits, FIELD_HAS_HOP_BY_HOP) != 0,
                    space_number(space, bits, FIELD_HAS_ROUTING) != 0,
                    space_number(space, bits, FIELD_HAS_FRAGMENT) != 0};
  uint16_t fragment = (uint16_t)space_number(space, bits, FIELD_FRAGMENT);
  uint8_t *previous = NULL;
  size_t length = 0;
  for (size_t i = 0; i < 3; i++) {
    if (!present[i])
      continue;
    if (previous != NULL)
      *previous = headers[i];
    previous = at + length;
    if (headers[i] == 0)
      memcpy(at + length + 2, "\1\4", 2);
    if (headers[i] == 43)
      at[length + 2] = (uint8_t)space_number(space, bits, FIELD_ROUTING_TYPE);
    if (headers[i] == 44)
      put_port(at + length + 2, (uint16_t)((fragment & 0x1fff) << 3 | ((fragment >> 13) & 1)));
    length += 8;
  }
  if (previous != NULL)
    *previous = (uint8_t)space_number(space, bits, FIELD_PROTOCOL);
  return length;
}

static void build_frame(const struct space *space, const uint8_t *bits, const struct situation *situation,
                        struct frame *frame) {
  bool ipv6 = situation->family == FAMILY_IPV6;
  uint8_t *ip = frame->bytes + 14;
  *frame = (struct frame){.network = 14};
  space_read(space, bits, FIELD_SOURCE_MAC, frame->bytes + 6);
  memcpy(frame->bytes + 12, ipv6 ? "\x86\xdd" : "\x08\x00", 2);
  uint8_t address[16];
  for (int source = 0; source < 2; source++) {
    space_read(space, bits, source ? FIELD_SOURCE : FIELD_DESTINATION, address);
    memcpy(ip + address_offset(ipv6, source), address, ipv6 ? 16 : 4);
  }
  if (ipv6) {
    ip[0] = 0x60;
    ip[6] = (uint8_t)space_number(space, bits, FIELD_NEXT_HEADER);
    ip[7] = (uint8_t)space_number(space, bits, FIELD_HOP_LIMIT);
    frame->transport = 14 + 40 + put_extensions(space, bits, ip + 40);
  } else {
    ip[0] = (uint8_t)space_number(space, bits, FIELD_VERSION_LENGTH);
    put_port(ip + 6, (uint16_t)space_number(space, bits, FIELD_FRAGMENT));
    ip[8] = (uint8_t)space_number(space, bits, FIELD_HOP_LIMIT);
    ip[9] = (uint8_t)space_number(space, bits, FIELD_PROTOCOL);
    frame->transport = 14 + (size_t)(ip[0] & 15) * 4;
  }
  frame->length = frame->transport + (space_number(space, bits, FIELD_TRANSPORT_READABLE) ? 40 : 0);
  uint8_t *transport = frame->bytes + frame->transport;
  put_port(transport, (uint16_t)space_number(space, bits, FIELD_SOURCE_PORT));
  put_port(transport + 2, (uint16_t)space_number(space, bits, FIELD_DESTINATION_PORT));
  transport[12] = 0x50;
  transport[13] = (uint8_t)space_number(space, bits, FIELD_TCP_FLAGS);
  for (unsigned variable = 0; variable < space_variable_count(space); variable++) {
    enum space_base base;
    unsigned byte, bit;
    size_t begins[] = {[BASE_LINK] = 0, [BASE_NETWORK] = frame->network, [BASE_TRANSPORT] = frame->transport};
    if (!space_packet_bit(space, situation->family, variable, &base, &byte, &bit) ||
        begins[base] + byte >= sizeof(frame->bytes))
      continue;
    uint8_t *at = &frame->bytes[begins[base] + byte], mask = (uint8_t)(0x80 >> bit);
    *at = (uint8_t)(bits[variable] ? *at | mask : *at & ~mask);
  }
  size_t total = frame->length - 14 - (ipv6 ? 40 : 0);
  put_port(ip + (ipv6 ? 4 : 2), (uint16_t)total);
}

static struct address address_at(const uint8_t *bytes, bool ipv6) {
  struct address address = {.family = ipv6 ? FAMILY_IPV6 : FAMILY_IPV4};
  memcpy(address.bytes, bytes, ipv6 ? 16 : 4);
  return address;
}

/* The tuple of the connection's first packet, as conntrack keeps it. */
static struct original_tuple build_tuple(const struct space *space, const uint8_t *bits,
                                         const struct situation *situation, const struct frame *frame) {
  bool ipv6 = situation->family == FAMILY_IPV6, reply = situation->tracking == TRACKING_REPLY;
  bool related = situation->tracking == TRACKING_RELATED_ORIGINAL || situation->tracking == TRACKING_RELATED_REPLY;
  uint8_t source[16], destination[16];
  space_read(space, bits, related ? FIELD_ORIGINAL_SOURCE : FIELD_SOURCE, source);
  space_read(space, bits, related ? FIELD_ORIGINAL_DESTINATION : FIELD_DESTINATION, destination);
  struct original_tuple tuple = {
      .source = address_at(reply ? destination : source, ipv6),
      .destination = address_at(reply ? source : destination, ipv6),
      .protocol = (uint8_t)space_number(space, bits, related ? FIELD_ORIGINAL_PROTOCOL : FIELD_PROTOCOL),
      .source_port = (uint16_t)space_number(space, bits,
                                            related ? FIELD_ORIGINAL_SOURCE_PORT
                                            : reply ? FIELD_DESTINATION_PORT
                                                    : FIELD_SOURCE_PORT),
      .destination_port = (uint16_t)space_number(space, bits,
                                                 related ? FIELD_ORIGINAL_DESTINATION_PORT
                                                 : reply ? FIELD_SOURCE_PORT
                                                         : FIELD_DESTINATION_PORT),
  };
  static const uint8_t ports[] = {6, 17, 33, 132, 136};
  bool has_ports = related || memchr(ports, tuple.protocol, sizeof(ports)) != NULL;
  const uint8_t *transport = frame->bytes + frame->transport;
  if (!related && tuple.protocol == (ipv6 ? 58 : 1)) {
    tuple.source_port = (uint16_t)(transport[4] << 8 | transport[5]);
    tuple.destination_port = (uint16_t)(reply ? 8 << 8 : transport[0] << 8 | transport[1]);
  } else if (!has_ports) {
    tuple.source_port = tuple.destination_port = 0;
  }
  return tuple;
}

/* ---- both judges ---- */

static bool holds(const struct question *question, diagram set, const uint8_t *bits) {
  uint32_t value = 0;
  ck_assert(diagram_value(question->store, set, bits, &value));
  return value != 0;
}

static char *describe(const struct live_rule *rule) {
  char *text = arena_strdup(arena, rule == NULL ? "policy" : "");
  for (size_t i = 0; rule != NULL && i < rule->expression_count; i++) {
    const struct live_expression *e = &rule->expressions[i];
    text = arena_printf(arena, "%s[%s key %u from %u+%u length %u, r%u to r%u, operation %u,", text, e->name, e->key,
                        e->base, e->offset, e->length, e->source, e->destination, e->operation);
    for (unsigned k = 0; k < e->data_length + e->data_to_length; k++)
      text = arena_printf(arena, "%s%s%02x", text, k == e->data_length ? " to " : " ",
                          k < e->data_length ? e->data[k] : e->data_to[k - e->data_length]);
    text = arena_printf(arena, "%s]", text);
  }
  return text;
}

static const char *explain(const struct question *question, const uint8_t *bits,
                           const struct concrete_result *concrete) {
  char *text = arena_printf(arena, "path %d in %s out %s family %d tracking %s:", question->situation.path,
                            question->situation.in, question->situation.out, question->situation.family,
                            situation_tracking_name(question->situation.tracking));
  for (unsigned field = 0; field < FIELD_COUNT_; field++) {
    uint8_t bytes[16];
    unsigned count = (space_field_width((enum space_field)field) + 7) / 8;
    space_read(question->space, bits, (enum space_field)field, bytes);
    text = arena_printf(arena, "%s %s=", text, space_field_name((enum space_field)field));
    for (unsigned i = 0; i < count; i++)
      text = arena_printf(arena, "%s%02x", text, bytes[i]);
  }
  for (size_t i = 0; i < concrete->step_count; i++) {
    const struct concrete_step *step = &concrete->steps[i];
    text = arena_printf(arena, "%s\n%s %llu: %s stopped at %u%s", text, step->chain->name,
                        step->rule != NULL ? (unsigned long long)step->rule->handle : 0, describe(step->rule),
                        step->stopped_at, step->has_verdict ? ", decided" : "");
  }
  text = arena_printf(arena, "%s\n-> %s mark %x, %s", text, concrete->accepted ? "accepted" : "dropped",
                      concrete->connection_mark, concrete->unmodelled ? concrete->unmodelled : "understood");
  fprintf(stderr, "%s\n", text); /* too long for a message of check */
  return "see above";
}

static bool mark_was_foreseen(const struct question *question, const uint8_t *bits, uint32_t before, uint32_t after) {
  for (size_t i = 0; i < question->result.write_count; i++) {
    uint32_t leaf = 0;
    diagram_value(question->store, question->result.writes[i].words, bits, &leaf);
    struct mark_word word = symbolic_mark(question->machine, leaf);
    if (leaf != 0 && (word.unknown || ((before & word.keep) ^ word.flip) == after))
      return true;
  }
  return false;
}

static void compare_marks(const struct question *question, const uint8_t *bits, const struct probe *probe,
                          const struct concrete_result *concrete) {
  uint32_t leaf = 0;
  if (concrete->mark_written)
    ck_assert_msg(mark_was_foreseen(question, bits, probe->connection_mark, concrete->connection_mark),
                  "a mark that no write foresaw: %s", explain(question, bits, concrete));
  if (!holds(question, question->result.must, bits) || !question->exact)
    return;
  ck_assert(diagram_value(question->store, question->result.mark, bits, &leaf));
  struct mark_word word = symbolic_mark(question->machine, leaf);
  ck_assert_msg(leaf != 0 &&
                    (word.unknown || ((probe->connection_mark & word.keep) ^ word.flip) == concrete->connection_mark),
                "mark %x&%x^%x%s: %s", probe->connection_mark, word.keep, word.flip, word.unknown ? " unknown" : "",
                explain(question, bits, concrete));
}

static void compare_packet(struct question *question, const uint8_t *bits) {
  struct frame frame;
  build_frame(question->space, bits, &question->situation, &frame);
  for (unsigned variant = 0; variant < (question->exact ? 1 : 4); variant++) {
    struct probe probe = {.situation = question->situation,
                          .frame = frame.bytes,
                          .length = frame.length,
                          .connection_status = (uint32_t)space_number(question->space, bits, FIELD_STATUS),
                          .original = build_tuple(question->space, bits, &question->situation, &frame),
                          .packet_mark = roll(3),
                          .throttles_strike = variant & 1,
                          .unknown_passes = variant & 2};
    if (question->situation.tracking != TRACKING_OPENS)
      probe.connection_mark = (uint32_t)space_number(question->space, bits, FIELD_MARK);
    struct concrete_result concrete;
    ck_assert_int_eq(concrete_judge(&question->world->ruleset, &surroundings, &probe, arena, &concrete), 0);
    bool may = holds(question, question->result.may, bits), must = holds(question, question->result.must, bits);
    if (holds(question, question->result.undecided, bits)) {
      question->refused++;
      continue;
    }
    ck_assert_msg(concrete.unmodelled == NULL, "not refused: %s", explain(question, bits, &concrete));
    ck_assert_msg(may || !concrete.accepted, "accepted, and it may not be: %s", explain(question, bits, &concrete));
    ck_assert_msg(may || !must, "must and may not: %s", explain(question, bits, &concrete));
    if (question->result.throttle_count == 0)
      ck_assert_msg(concrete.accepted || !must, "dropped, and it must pass: %s", explain(question, bits, &concrete));
    if (question->exact)
      ck_assert_msg(may == must && may == concrete.accepted, "may %d must %d: %s", may, must,
                    explain(question, bits, &concrete));
    compare_marks(question, bits, &probe, &concrete);
    question->accepted += concrete.accepted;
    question->dropped += !concrete.accepted;
  }
}

static struct situation some_situation(const struct world *world) {
  static const enum situation_path paths[] = {PATH_FORWARD, PATH_FORWARD, PATH_FORWARD, PATH_INPUT, PATH_OUTPUT};
  struct situation situation = {.path = PICK(paths), .tracking = (enum situation_tracking)roll(TRACKING_COUNT_)};
  static const char *const names[] = {"lan0", "lan1", "wan0", "lan2", "tun7"};
  if (world->early)
    situation.path = PATH_INPUT;
  situation.in = situation.path == PATH_OUTPUT ? NULL : PICK(names);
  situation.out = situation.path == PATH_INPUT ? NULL : PICK(names);
  bool other = roll(8) == 0;
  situation.family = world->ipv6 != other ? FAMILY_IPV6 : FAMILY_IPV4;
  return situation;
}

static void ask(struct question *question) {
  unsigned count = space_variable_count(question->space);
  uint8_t *bits = arena_alloc(arena, count + 1);
  for (unsigned i = 0; i < ASKED; i++) {
    memset(bits, 0, count);
    some_packet(question, bits);
    make_sound(question, bits);
    compare_packet(question, bits);
  }
  /* Packets of the answer: beside preferred ones that are random. */
  diagram sets[] = {question->result.may, diagram_not(question->store, question->result.may), question->result.must,
                    diagram_difference(question->store, question->result.may, question->result.must)};
  for (size_t i = 0; i < 4 * sizeof(sets) / sizeof(sets[0]); i++) {
    uint8_t *preferred = arena_alloc(arena, count + 1);
    some_packet(question, preferred);
    make_sound(question, preferred);
    if (!diagram_witness(question->store, sets[i % 4], preferred, count, bits))
      continue;
    make_sound(question, bits);
    compare_packet(question, bits);
  }
}

static bool anything_unknown(const struct space *space) {
  for (unsigned variable = 0; variable < space_variable_count(space); variable++)
    if (space_unknown(space, variable) != NULL)
      return true;
  return false;
}

struct tally {
  size_t accepted, dropped, refused, exact, spent;
};

static void compare_world(struct world *world, struct tally *tally) {
  struct question question = {.world = world, .space = space_new(arena), .store = diagram_store_new(NODES)};
  question.machine = symbolic_new(&world->ruleset, &surroundings, question.space, question.store, arena);
  for (unsigned i = 0; i < 6; i++) {
    question.situation = some_situation(world);
    int status = world->early
                     ? symbolic_early(question.machine, &question.situation, DIAGRAM_TRUE, -400, &question.result)
                     : symbolic_judge(question.machine, &question.situation, &question.result);
    if (status < 0) {
      tally->spent++;
      break;
    }
    question.exact = !anything_unknown(question.space);
    tally->exact += question.exact;
    ask(&question);
  }
  tally->accepted += question.accepted;
  tally->dropped += question.dropped;
  tally->refused += question.refused;
  diagram_store_free(question.store);
}

static unsigned number_of(const char *name, unsigned otherwise) {
  const char *text = getenv(name);
  return text != NULL ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

START_TEST(both_meanings_agree_on_random_rulesets) {
  unsigned count = number_of("KIDO_SYMBOLIC_RULESETS", 150), seed = number_of("KIDO_SYMBOLIC_SEED", 1);
  struct tally tally = {0};
  for (unsigned i = 0; i < count; i++) {
    arena = arena_free(arena);
    arena = arena_new(0);
    dice = (uint64_t)(seed + i) * 0x9e3779b97f4a7c15u;
    roll(2);
    if (getenv("KIDO_SYMBOLIC_LOUD") != NULL)
      fprintf(stderr, "seed %u\n", seed + i);
    compare_world(new_world(), &tally);
  }
  if (getenv("KIDO_SYMBOLIC_LOUD") != NULL)
    fprintf(stderr, "accepted %zu dropped %zu refused %zu exact %zu spent %zu\n", tally.accepted, tally.dropped,
            tally.refused, tally.exact, tally.spent);
  ck_assert_uint_gt(tally.accepted * 10, tally.dropped);
  ck_assert_uint_gt(tally.dropped * 10, tally.accepted);
  ck_assert_uint_gt(tally.exact, count);
  ck_assert_uint_lt(tally.spent * 5, count + 20);
  ck_assert_uint_lt(tally.refused * 3, tally.accepted + tally.dropped);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("symbolic_differential");
  TCase *tests = tcase_create("symbolic_differential");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_set_timeout(tests, 600);
  tcase_add_test(tests, both_meanings_agree_on_random_rulesets);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
