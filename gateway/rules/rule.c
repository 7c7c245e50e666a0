/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rules/rule.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <linux/if_arp.h>
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>

#include "rules/compile.h"

/* How nft 1.0.6 turns each field into expressions (nft --debug=netlink). */
static const struct field {
  const char *text;
  enum expression_kind kind;
  uint32_t key;
  uint8_t direction;
  uint32_t offset, length;
  uint8_t mask[4];
  bool masked, present;
  bool slot;          /* masked by the writer's slot_mask */
  uint32_t host_mask; /* of numbers in host order; 0: none */
  int ip_version;     /* must be checked first; 0: any */
  int transport;      /* must be checked first; 0: any */
  bool ethernet;
} fields[MATCH_COUNT_] = {
    [MATCH_IIFNAME] = {"iifname", EXPRESSION_META, NFT_META_IIFNAME, .length = 16},
    [MATCH_OIFNAME] = {"oifname", EXPRESSION_META, NFT_META_OIFNAME, .length = 16},
    [MATCH_NFPROTO] = {"meta nfproto", EXPRESSION_META, NFT_META_NFPROTO, .length = 1},
    [MATCH_L4PROTO] = {"meta l4proto", EXPRESSION_META, NFT_META_L4PROTO, .length = 1},
    [MATCH_ETHER_SOURCE] = {"ether saddr", EXPRESSION_PAYLOAD, NFT_PAYLOAD_LL_HEADER, .offset = 6, .length = 6,
                            .ethernet = true},
    [MATCH_IP_FIRST_BYTE] = {"@nh,0,8", EXPRESSION_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, .offset = 0, .length = 1},
    [MATCH_IP_FRAGMENT_WORD] = {"@nh,32,32 & 0x3fff", EXPRESSION_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, .offset = 4,
                                .length = 4, .mask = {0, 0, 0x3f, 0xff}, .masked = true},
    [MATCH_IP_TUNNEL_BITS] = {"@nh,64,32 & 0x600000", EXPRESSION_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, .offset = 8,
                              .length = 4, .mask = {0, 0x60}, .masked = true},
    [MATCH_IP_PROTOCOL_BYTE] = {"@nh,72,8", EXPRESSION_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, .offset = 9, .length = 1},
    [MATCH_DESTINATION_PORT] = {"@th,16,16", EXPRESSION_PAYLOAD, NFT_PAYLOAD_TRANSPORT_HEADER, .offset = 2,
                                .length = 2},
    [MATCH_IP4_SOURCE] = {"ip saddr", EXPRESSION_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, .offset = 12, .length = 4,
                          .ip_version = NFPROTO_IPV4},
    [MATCH_IP4_DESTINATION] = {"ip daddr", EXPRESSION_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, .offset = 16, .length = 4,
                               .ip_version = NFPROTO_IPV4},
    [MATCH_IP4_HEADER_LENGTH] = {"ip hdrlength", EXPRESSION_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, .offset = 0,
                                 .length = 1, .mask = {0x0f}, .masked = true, .ip_version = NFPROTO_IPV4},
    [MATCH_IP4_FRAGMENT] = {"ip frag-off & 0x3fff", EXPRESSION_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, .offset = 6,
                            .length = 2, .mask = {0x3f, 0xff}, .masked = true, .ip_version = NFPROTO_IPV4},
    [MATCH_IP4_FRAGMENT_OFFSET] = {"ip frag-off & 0x1fff", EXPRESSION_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, .offset = 6,
                                   .length = 2, .mask = {0x1f, 0xff}, .masked = true, .ip_version = NFPROTO_IPV4},
    [MATCH_IP6_SOURCE] = {"ip6 saddr", EXPRESSION_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, .offset = 8, .length = 16,
                          .ip_version = NFPROTO_IPV6},
    [MATCH_IP6_DESTINATION] = {"ip6 daddr", EXPRESSION_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, .offset = 24, .length = 16,
                               .ip_version = NFPROTO_IPV6},
    [MATCH_IP6_NEXT_HEADER] = {"ip6 nexthdr", EXPRESSION_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, .offset = 6, .length = 1,
                               .ip_version = NFPROTO_IPV6},
    [MATCH_IP6_HOP_LIMIT] = {"ip6 hoplimit", EXPRESSION_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, .offset = 7, .length = 1,
                             .ip_version = NFPROTO_IPV6},
    [MATCH_IP6_HOP_BY_HOP] = {"exthdr hbh", EXPRESSION_EXTHDR, IPPROTO_HOPOPTS, .length = 1, .present = true,
                              .ip_version = NFPROTO_IPV6},
    [MATCH_IP6_FRAGMENT] = {"exthdr frag", EXPRESSION_EXTHDR, IPPROTO_FRAGMENT, .length = 1, .present = true,
                            .ip_version = NFPROTO_IPV6},
    [MATCH_IP6_FRAGMENT_OFFSET] = {"frag frag-off", EXPRESSION_EXTHDR, IPPROTO_FRAGMENT, .offset = 2, .length = 2,
                                   .mask = {0xff, 0xf8}, .masked = true, .ip_version = NFPROTO_IPV6},
    [MATCH_IP6_ROUTING_TYPE] = {"rt type", EXPRESSION_EXTHDR, IPPROTO_ROUTING, .offset = 2, .length = 1,
                                .ip_version = NFPROTO_IPV6},
    [MATCH_ICMP_TYPE] = {"icmp type", EXPRESSION_PAYLOAD, NFT_PAYLOAD_TRANSPORT_HEADER, .offset = 0, .length = 1,
                         .ip_version = NFPROTO_IPV4, .transport = IPPROTO_ICMP},
    [MATCH_ICMPV6_TYPE] = {"icmpv6 type", EXPRESSION_PAYLOAD, NFT_PAYLOAD_TRANSPORT_HEADER, .offset = 0, .length = 1,
                           .ip_version = NFPROTO_IPV6, .transport = IPPROTO_ICMPV6},
    [MATCH_TCP_OPENING] = {"tcp flags & (fin | syn | rst | ack)", EXPRESSION_PAYLOAD, NFT_PAYLOAD_TRANSPORT_HEADER,
                           .offset = 13, .length = 1, .mask = {0x17}, .masked = true, .transport = IPPROTO_TCP},
    [MATCH_TCP_RESET] = {"tcp flags & rst", EXPRESSION_PAYLOAD, NFT_PAYLOAD_TRANSPORT_HEADER, .offset = 13, .length = 1,
                         .mask = {0x04}, .masked = true, .transport = IPPROTO_TCP},
    [MATCH_TCP_SLOT] = {"tcp sport", EXPRESSION_PAYLOAD, NFT_PAYLOAD_TRANSPORT_HEADER, .offset = 0, .length = 2,
                        .slot = true, .transport = IPPROTO_TCP},
    [MATCH_UDP_DESTINATION] = {"udp dport", EXPRESSION_PAYLOAD, NFT_PAYLOAD_TRANSPORT_HEADER, .offset = 2, .length = 2,
                               .transport = IPPROTO_UDP},
    [MATCH_CT_MARK] = {"ct mark", EXPRESSION_CT, NFT_CT_MARK, .direction = 0xff, .length = 4},
    [MATCH_CT_FLOW] = {"ct mark & 0x7fffffff", EXPRESSION_CT, NFT_CT_MARK, .direction = 0xff, .length = 4,
                       .host_mask = FLOW_MARK_MASK},
    [MATCH_CT_DIRECTION] = {"ct direction", EXPRESSION_CT, NFT_CT_DIRECTION, .direction = 0xff, .length = 1},
    [MATCH_ORIGINAL_IP4_SOURCE] = {"ct original ip saddr", EXPRESSION_CT, NFT_CT_SRC_IP, .length = 4},
    [MATCH_ORIGINAL_IP4_DESTINATION] = {"ct original ip daddr", EXPRESSION_CT, NFT_CT_DST_IP, .length = 4},
    [MATCH_ORIGINAL_IP6_SOURCE] = {"ct original ip6 saddr", EXPRESSION_CT, NFT_CT_SRC_IP6, .length = 16},
    [MATCH_ORIGINAL_IP6_DESTINATION] = {"ct original ip6 daddr", EXPRESSION_CT, NFT_CT_DST_IP6, .length = 16},
    [MATCH_ORIGINAL_PORT] = {"ct original proto-dst", EXPRESSION_CT, NFT_CT_PROTO_DST, .length = 2},
    [MATCH_ORIGINAL_SLOT] = {"ct original proto-src", EXPRESSION_CT, NFT_CT_PROTO_SRC, .length = 2, .slot = true},
    [MATCH_CT_PROTOCOL] = {"ct protocol", EXPRESSION_CT, NFT_CT_PROTOCOL, .direction = 0xff, .length = 1},
};

struct rule_writer rule_begin(struct builder *builder, struct chain_draft *chain) {
  return (struct rule_writer){.builder = builder, .chain = chain, .transport = -1};
}

__attribute__((format(printf, 2, 3))) static void say(struct rule_writer *writer, const char *format, ...) {
  size_t room = sizeof writer->text - writer->length;
  va_list arguments;
  va_start(arguments, format);
  int written = vsnprintf(writer->text + writer->length, room, format, arguments);
  va_end(arguments);
  if (written < 0 || (size_t)written >= room)
    writer->failed = true;
  else
    writer->length += (size_t)written;
}

/* Words of the text stand apart by one blank. */
static void say_blank(struct rule_writer *writer) {
  if (writer->length > 0)
    say(writer, " ");
}

static struct expression *append(struct rule_writer *writer, enum expression_kind kind) {
  if (writer->count == RULE_EXPRESSIONS_MAX) {
    writer->failed = true;
    writer->count--;
  }
  struct expression *expression = &writer->expressions[writer->count++];
  *expression = (struct expression){.kind = kind};
  return expression;
}

static void append_mask(struct rule_writer *writer, uint8_t word, const void *bits, uint32_t length) {
  struct expression *mask = append(writer, EXPRESSION_BITWISE);
  mask->source = mask->destination = word;
  mask->length = length;
  memcpy(mask->mask, bits, length);
}

/* Whether only some bits of the port matter. */
static bool is_slot(const struct rule_writer *writer, const struct field *field) {
  return field->slot && writer->slot_mask != UINT16_MAX;
}

static void append_load(struct rule_writer *writer, const struct field *field, uint8_t word) {
  struct expression *load = append(writer, field->kind);
  load->key = field->key;
  load->destination = word;
  load->direction = field->direction;
  load->present = field->present;
  load->offset = field->offset;
  if (field->kind == EXPRESSION_PAYLOAD || field->kind == EXPRESSION_EXTHDR)
    load->length = field->length;
  uint16_t slot_mask = htons(writer->slot_mask);
  if (field->masked)
    append_mask(writer, word, field->mask, field->length);
  if (field->host_mask != 0)
    append_mask(writer, word, &field->host_mask, field->length);
  if (is_slot(writer, field))
    append_mask(writer, word, &slot_mask, field->length);
}

static void append_compare(struct rule_writer *writer, uint32_t relation, const void *value, uint32_t length) {
  struct expression *compare = append(writer, EXPRESSION_COMPARE);
  compare->key = relation;
  compare->length = length;
  memcpy(compare->data, value, length);
}

static void check_meta(struct rule_writer *writer, uint32_t key, const void *value, uint32_t length) {
  append(writer, EXPRESSION_META)->key = key;
  append_compare(writer, NFT_CMP_EQ, value, length);
}

static void check_ip_version(struct rule_writer *writer, const struct field *field) {
  uint8_t wanted = (uint8_t)field->ip_version;
  if (wanted != 0 && writer->ip_version != wanted)
    check_meta(writer, NFT_META_NFPROTO, &wanted, sizeof wanted);
  if (wanted != 0)
    writer->ip_version = wanted;
}

static void check_transport(struct rule_writer *writer, const struct field *field) {
  uint8_t wanted = (uint8_t)field->transport;
  if (wanted != 0 && writer->transport != wanted)
    check_meta(writer, NFT_META_L4PROTO, &wanted, sizeof wanted);
  if (wanted != 0)
    writer->transport = wanted;
}

static void check_ethernet(struct rule_writer *writer, const struct field *field) {
  uint16_t wanted = ARPHRD_ETHER;
  if (field->ethernet && !writer->ethernet)
    check_meta(writer, NFT_META_IIFTYPE, &wanted, sizeof wanted);
  writer->ethernet = writer->ethernet || field->ethernet;
}

/* All checks of a concatenation stand before its first load: they need the registers, too. */
static void check_needs(struct rule_writer *writer, const enum match *list) {
  for (size_t i = 0; list[i] != MATCH_COUNT_; i++) {
    check_ip_version(writer, &fields[list[i]]);
    check_transport(writer, &fields[list[i]]);
    check_ethernet(writer, &fields[list[i]]);
  }
}

/* What the comparison itself tells about the packet. */
static void learn(struct rule_writer *writer, enum match match, const uint8_t *value) {
  if (match == MATCH_NFPROTO)
    writer->ip_version = value[0];
  if (match == MATCH_L4PROTO || match == MATCH_IP6_NEXT_HEADER)
    writer->transport = value[0];
}

static void compare(struct rule_writer *writer, enum match match, uint32_t relation, const void *value,
                    const char *text) {
  const struct field *field = &fields[match];
  check_needs(writer, (const enum match[]){match, MATCH_COUNT_});
  append_load(writer, field, 0);
  append_compare(writer, relation, value, field->length);
  say_blank(writer);
  say(writer, "%s %s%s", field->text, relation == NFT_CMP_NEQ ? "!= " : "", text);
}

void rule_equals(struct rule_writer *writer, enum match field, const void *value, const char *text) {
  compare(writer, field, NFT_CMP_EQ, value, text);
  learn(writer, field, value);
}

void rule_differs(struct rule_writer *writer, enum match field, const void *value, const char *text) {
  compare(writer, field, NFT_CMP_NEQ, value, text);
}

void rule_between(struct rule_writer *writer, enum match field, const void *first, const char *first_text,
                  const void *last, const char *last_text) {
  check_needs(writer, (const enum match[]){field, MATCH_COUNT_});
  append_load(writer, &fields[field], 0);
  append_compare(writer, NFT_CMP_GTE, first, fields[field].length);
  append_compare(writer, NFT_CMP_LTE, last, fields[field].length);
  say_blank(writer);
  say(writer, "%s %s-%s", fields[field].text, first_text, last_text);
}

/* ---- IPv4 addresses under a mask ---- */

static const char *ipv4_text(uint32_t number, char text[static ADDRESS_TEXT_SIZE]) {
  struct address address = address_from_ipv4(number);
  return address_format(&address, text);
}

static void load_ipv4(struct rule_writer *writer, enum match match, uint32_t mask) {
  uint8_t bits[4] = {(uint8_t)(mask >> 24), (uint8_t)(mask >> 16), (uint8_t)(mask >> 8), (uint8_t)mask};
  char text[ADDRESS_TEXT_SIZE];
  check_needs(writer, (const enum match[]){match, MATCH_COUNT_});
  append_load(writer, &fields[match], 0);
  say_blank(writer);
  say(writer, "%s ", fields[match].text);
  if (mask == UINT32_MAX)
    return;
  struct expression *bitwise = append(writer, EXPRESSION_BITWISE);
  bitwise->length = sizeof bits;
  memcpy(bitwise->mask, bits, sizeof bits);
  say(writer, "& %s ", ipv4_text(mask, text));
}

static void compare_ipv4(struct rule_writer *writer, enum match field, uint32_t mask, uint32_t relation,
                         uint32_t value) {
  uint32_t bits = htonl(value);
  char text[ADDRESS_TEXT_SIZE];
  load_ipv4(writer, field, mask);
  append_compare(writer, relation, &bits, sizeof bits);
  say(writer, "%s %s", relation == NFT_CMP_NEQ ? "!=" : "==", ipv4_text(value, text));
}

void rule_equals_ipv4(struct rule_writer *writer, enum match field, uint32_t mask, uint32_t value) {
  compare_ipv4(writer, field, mask, NFT_CMP_EQ, value);
}

void rule_differs_ipv4(struct rule_writer *writer, enum match field, uint32_t mask, uint32_t value) {
  compare_ipv4(writer, field, mask, NFT_CMP_NEQ, value);
}

static struct expression *look_up_ipv4(struct rule_writer *writer, enum match field, uint32_t mask, const char *set) {
  load_ipv4(writer, field, mask);
  struct expression *lookup = append(writer, EXPRESSION_LOOKUP);
  lookup->name = set;
  return lookup;
}

void rule_in_ipv4(struct rule_writer *writer, enum match field, uint32_t mask, const char *set) {
  look_up_ipv4(writer, field, mask, set);
  say(writer, "@%s", set);
}

void rule_verdict_map_ipv4(struct rule_writer *writer, enum match field, uint32_t mask, const char *map) {
  look_up_ipv4(writer, field, mask, map)->to_verdict = true;
  say(writer, "vmap @%s", map);
}

void rule_transport(struct rule_writer *writer, uint8_t protocol) {
  char number[4];
  snprintf(number, sizeof number, "%u", protocol);
  const char *text = protocol == IPPROTO_TCP      ? "tcp"
                     : protocol == IPPROTO_UDP    ? "udp"
                     : protocol == IPPROTO_ICMP   ? "icmp"
                     : protocol == IPPROTO_ICMPV6 ? "ipv6-icmp"
                                                  : number;
  rule_equals(writer, MATCH_L4PROTO, &protocol, text);
}

static void append_load_ct(struct rule_writer *writer, uint32_t key) {
  struct expression *load = append(writer, EXPRESSION_CT);
  load->key = key;
  load->direction = 0xff;
}

static void check_bit(struct rule_writer *writer, uint32_t key, uint32_t bit, bool wanted) {
  uint32_t zero = 0;
  append_load_ct(writer, key);
  append_mask(writer, 0, &bit, sizeof bit);
  append_compare(writer, wanted ? NFT_CMP_NEQ : NFT_CMP_EQ, &zero, sizeof zero);
  say_blank(writer);
}

void rule_state(struct rule_writer *writer, enum conntrack_state state) {
  check_bit(writer, NFT_CT_STATE, state, true);
  say(writer, "ct state %s",
      state == STATE_INVALID       ? "invalid"
      : state == STATE_ESTABLISHED ? "established"
      : state == STATE_RELATED     ? "related"
                                   : "new");
}

void rule_status(struct rule_writer *writer, enum conntrack_status status, bool wanted) {
  check_bit(writer, NFT_CT_STATUS, status, wanted);
  say(writer, "ct status %s%s", wanted ? "" : "! ", status == STATUS_ASSURED ? "assured" : "confirmed");
}

/* Loads the fields into consecutive registers, and says them. */
static void load_fields(struct rule_writer *writer, const enum match *list) {
  uint8_t word = 0;
  check_needs(writer, list);
  for (size_t i = 0; list[i] != MATCH_COUNT_; i++) {
    const struct field *field = &fields[list[i]];
    append_load(writer, field, word);
    word = (uint8_t)(word + (field->length + 3) / 4);
    say(writer, "%s%s ", i == 0 ? "" : ". ", field->text);
    if (is_slot(writer, field))
      say(writer, "& 0x%x ", writer->slot_mask);
  }
}

static struct expression *look_up(struct rule_writer *writer, const enum match *list, const char *set) {
  load_fields(writer, list);
  struct expression *lookup = append(writer, EXPRESSION_LOOKUP);
  lookup->name = set;
  return lookup;
}

void rule_in(struct rule_writer *writer, const enum match *list, const char *set) {
  say_blank(writer);
  look_up(writer, list, set);
  say(writer, "@%s", set);
}

void rule_not_in(struct rule_writer *writer, const enum match *list, const char *set) {
  say_blank(writer);
  look_up(writer, list, set)->invert = true;
  say(writer, "!= @%s", set);
}

void rule_verdict_map(struct rule_writer *writer, const enum match *list, const char *map) {
  say_blank(writer);
  look_up(writer, list, map)->to_verdict = true;
  say(writer, "vmap @%s", map);
}

void rule_mark_map(struct rule_writer *writer, const enum match *list, const char *map) {
  say_blank(writer);
  say(writer, "ct mark set ");
  look_up(writer, list, map)->has_destination = true;
  append(writer, EXPRESSION_CT_SET)->key = NFT_CT_MARK;
  say(writer, "map @%s", map);
}

void rule_mark_half_open(struct rule_writer *writer, bool half_open) {
  uint32_t keep = FLOW_MARK_MASK, set = half_open ? HALF_OPEN_MARK : 0;
  append_load_ct(writer, NFT_CT_MARK);
  append_mask(writer, 0, &keep, sizeof keep);
  memcpy(writer->expressions[writer->count - 1].xor, &set, sizeof set);
  append(writer, EXPRESSION_CT_SET)->key = NFT_CT_MARK;
  say_blank(writer);
  if (half_open)
    say(writer, "ct mark set ct mark | 0x%08" PRIx32, HALF_OPEN_MARK);
  else
    say(writer, "ct mark set ct mark & 0x%08" PRIx32, FLOW_MARK_MASK);
}

/*
 * Each element is a bucket with one token, which its first packet takes: so to ask whether the slot is free and to take
 * it is one step, and of two packets on two processors only one finds it free.
 */
void rule_slot(struct rule_writer *writer, enum slot_action action, const enum match *list, const char *set) {
  static const struct {
    const char *word;
    uint32_t operation;
  } actions[] = {[SLOT_TAKE] = {"add", NFT_DYNSET_OP_ADD},
                 [SLOT_RENEW] = {"update", NFT_DYNSET_OP_UPDATE},
                 [SLOT_FREE] = {"delete", NFT_DYNSET_OP_DELETE}};
  enum { SECONDS_A_DAY = 86400 };
  check_needs(writer, list);
  say_blank(writer);
  say(writer, "%s @%s { ", actions[action].word, set);
  load_fields(writer, list);
  struct expression *slot = append(writer, EXPRESSION_DYNSET);
  slot->key = actions[action].operation;
  slot->name = set;
  if (action != SLOT_FREE) {
    slot->rate = slot->burst = 1;
    slot->unit_seconds = SECONDS_A_DAY;
    say(writer, "limit rate 1/day burst 1 packets ");
  }
  say(writer, "}");
}

void rule_tell_events(struct rule_writer *writer) {
  uint32_t events = 1U << IPCT_NEW | 1U << IPCT_DESTROY;
  struct expression *immediate = append(writer, EXPRESSION_IMMEDIATE);
  immediate->length = sizeof events;
  memcpy(immediate->data, &events, sizeof events);
  append(writer, EXPRESSION_CT_SET)->key = NFT_CT_EVENTMASK;
  say_blank(writer);
  say(writer, "ct event set new,destroy");
}

void rule_count(struct rule_writer *writer, const char *counter) {
  append(writer, EXPRESSION_COUNTER_OBJECT)->name = counter;
  say_blank(writer);
  say(writer, "counter name \"%s\"", counter);
}

void rule_log(struct rule_writer *writer, const struct log_limit *limit, const char *prefix) {
  struct expression *within = append(writer, EXPRESSION_LIMIT);
  within->rate = limit->per_second;
  within->unit_seconds = 1;
  within->burst = limit->at_once;
  struct expression *copy = append(writer, EXPRESSION_LOG);
  copy->key = limit->group;
  copy->name = prefix;
  say_blank(writer);
  say(writer, "limit rate %" PRIu32 "/second burst %" PRIu32 " packets log prefix \"%s\" group %" PRIu16,
      limit->per_second, limit->at_once, prefix, limit->group);
}

void rule_over(struct rule_writer *writer, uint64_t per_second) {
  struct expression *limit = append(writer, EXPRESSION_LIMIT);
  limit->key = NFT_LIMIT_F_INV;
  limit->rate = per_second;
  limit->unit_seconds = 1;
  limit->burst = per_second > UINT32_MAX ? UINT32_MAX : (uint32_t)per_second;
  say_blank(writer);
  say(writer, "limit rate over %" PRIu64 "/second burst %" PRIu32 " packets", limit->rate, limit->burst);
}

void rule_over_connections(struct rule_writer *writer, uint64_t connections) {
  struct expression *count = append(writer, EXPRESSION_CONNECTIONS);
  count->key = NFT_CONNLIMIT_F_INV;
  count->burst = connections > UINT32_MAX ? UINT32_MAX : (uint32_t)connections;
  say_blank(writer);
  say(writer, "ct count over %" PRIu32, count->burst);
}

void rule_refuse(struct rule_writer *writer, bool reset) {
  uint32_t mark = REFUSAL_MARK;
  struct expression *immediate = append(writer, EXPRESSION_IMMEDIATE);
  immediate->length = sizeof mark;
  memcpy(immediate->data, &mark, sizeof mark);
  append(writer, EXPRESSION_CT_SET)->key = NFT_CT_MARK;
  append(writer, EXPRESSION_REJECT)->key =
      reset ? (uint32_t)NFT_REJECT_TCP_RST << 8
            : (uint32_t)NFT_REJECT_ICMPX_UNREACH << 8 | NFT_REJECT_ICMPX_ADMIN_PROHIBITED;
  say_blank(writer);
  say(writer, "ct mark set 0x%08x reject with %s", mark, reset ? "tcp reset" : "icmpx type admin-prohibited");
}

static void say_verdict(struct rule_writer *writer, enum verdict_code code, const char *chain) {
  static const char *const words[] = {
      [VERDICT_ACCEPT] = "accept", [VERDICT_DROP] = "drop",     [VERDICT_JUMP] = "jump",
      [VERDICT_GOTO] = "goto",     [VERDICT_RETURN] = "return",
  };
  say_blank(writer);
  say(writer, "%s", words[code]);
  if (chain != NULL)
    say(writer, " %s", chain);
}

void rule_end(struct rule_writer *writer, enum verdict_code code, const char *chain) {
  struct builder *builder = writer->builder;
  struct chain_draft *draft = writer->chain;
  if (code != VERDICT_NONE) {
    append(writer, EXPRESSION_VERDICT)->verdict = (struct verdict){.code = code, .chain = chain};
    say_verdict(writer, code, chain);
  }
  if (writer->failed || builder->failed ||
      arena_grow(builder->arena, (void **)&draft->chain.rules, draft->chain.rule_count, &draft->capacity,
                 sizeof *draft->chain.rules) < 0) {
    builder->failed = true;
    return;
  }
  draft->chain.rules[draft->chain.rule_count++] = (struct rule){
      .expressions = arena_memdup(builder->arena, writer->expressions, writer->count * sizeof *writer->expressions),
      .expression_count = writer->count,
      .comment = writer->comment,
      .text = arena_strndup(builder->arena, writer->text, writer->length),
      .origin = writer->origin,
  };
  if (arena_failed(builder->arena))
    builder->failed = true;
}
