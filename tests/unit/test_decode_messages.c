/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The decoder of the kernel's ruleset, on messages that are written here: what no kernel of today says, and what none
 * should. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netlink.h>

#include "live.h"
#include "netlink_bytes.h"
#include "proof/decode.h"

enum { GENERATION = 4711, UNKNOWN = 60 };

static struct arena *arena;
static struct netlink_bytes bytes;
static struct error error;

static void begin(void) {
  arena = arena_new(64 << 20);
  memset(&bytes, 0, sizeof(bytes));
  bytes.generation = GENERATION;
}

static void end(void) {
  arena_free(arena);
}

static int try_decode(struct live_ruleset **ret_ruleset) {
  bytes_end(&bytes);
  struct snapshot snapshot = {.generation = GENERATION, .messages = bytes.data, .length = bytes.length};
  return decode_ruleset(&snapshot, arena, ret_ruleset, &error);
}

static struct live_table *decode(void) {
  struct live_ruleset *ruleset = NULL;
  ck_assert_msg(try_decode(&ruleset) == 0, "%s", error.message);
  ck_assert_uint_ge(ruleset->table_count, 1);
  return &ruleset->tables[0];
}

static void check_error(const char *words) {
  struct live_ruleset *ruleset = NULL;
  ck_assert_int_eq(try_decode(&ruleset), -EBADMSG);
  ck_assert_msg(strstr(error.message, words) != NULL, "'%s' does not say '%s'", error.message, words);
}

static void check_reason(const char *reason, const char *words) {
  ck_assert_msg(reason != NULL, "nothing was said about '%s'", words);
  ck_assert_msg(strstr(reason, words) != NULL, "'%s' does not say '%s'", reason, words);
}

/* ---- what a ruleset is made of ---- */

static void put_table(void) {
  bytes_message(&bytes, NFT_MSG_NEWTABLE, NFPROTO_INET);
  bytes_text(&bytes, NFTA_TABLE_NAME, "t");
  bytes_u32(&bytes, NFTA_TABLE_FLAGS, 0);
  bytes_u64(&bytes, NFTA_TABLE_HANDLE, 1);
}

static void put_chain(const char *name) {
  bytes_message(&bytes, NFT_MSG_NEWCHAIN, NFPROTO_INET);
  bytes_text(&bytes, NFTA_CHAIN_TABLE, "t");
  bytes_text(&bytes, NFTA_CHAIN_NAME, name);
  bytes_u64(&bytes, NFTA_CHAIN_HANDLE, 2);
}

static void put_hook(void) {
  bytes_open(&bytes, NFTA_CHAIN_HOOK);
  bytes_u32(&bytes, NFTA_HOOK_HOOKNUM, NF_INET_FORWARD);
  bytes_u32(&bytes, NFTA_HOOK_PRIORITY, (uint32_t)-5);
  bytes_close(&bytes);
  bytes_u32(&bytes, NFTA_CHAIN_POLICY, NF_DROP);
  bytes_text(&bytes, NFTA_CHAIN_TYPE, "filter");
}

static void put_set(const char *name, uint32_t flags, uint32_t key_length) {
  bytes_message(&bytes, NFT_MSG_NEWSET, NFPROTO_INET);
  bytes_text(&bytes, NFTA_SET_TABLE, "t");
  bytes_text(&bytes, NFTA_SET_NAME, name);
  bytes_u32(&bytes, NFTA_SET_FLAGS, flags);
  bytes_u32(&bytes, NFTA_SET_KEY_LEN, key_length);
}

static void open_elements(const char *set) {
  bytes_message(&bytes, NFT_MSG_NEWSETELEM, NFPROTO_INET);
  bytes_text(&bytes, NFTA_SET_ELEM_LIST_TABLE, "t");
  bytes_text(&bytes, NFTA_SET_ELEM_LIST_SET, set);
  bytes_open(&bytes, NFTA_SET_ELEM_LIST_ELEMENTS);
}

static void open_element(uint16_t port, uint32_t flags) {
  uint8_t key[2] = {(uint8_t)(port >> 8), (uint8_t)port};
  bytes_open(&bytes, NFTA_LIST_ELEM);
  bytes_value(&bytes, NFTA_SET_ELEM_KEY, key, sizeof(key));
  bytes_u32(&bytes, NFTA_SET_ELEM_FLAGS, flags);
}

static void put_element(uint16_t port, uint32_t flags) {
  open_element(port, flags);
  bytes_close(&bytes);
}

static void open_rule(const char *chain) {
  bytes_message(&bytes, NFT_MSG_NEWRULE, NFPROTO_INET);
  bytes_text(&bytes, NFTA_RULE_TABLE, "t");
  bytes_text(&bytes, NFTA_RULE_CHAIN, chain);
  bytes_u64(&bytes, NFTA_RULE_HANDLE, 9);
  bytes_open(&bytes, NFTA_RULE_EXPRESSIONS);
}

static void put_verdict(uint32_t code, const char *chain) {
  bytes_expression(&bytes, "immediate");
  bytes_u32(&bytes, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
  bytes_open(&bytes, NFTA_IMMEDIATE_DATA);
  bytes_open(&bytes, NFTA_DATA_VERDICT);
  bytes_u32(&bytes, NFTA_VERDICT_CODE, code);
  if (chain != NULL) {
    bytes_text(&bytes, NFTA_VERDICT_CHAIN, chain);
  }
  bytes_close(&bytes);
  bytes_close(&bytes);
  bytes_close_expression(&bytes);
}

static void put_base(void) {
  put_table();
  put_chain("c");
  put_hook();
  put_set("s", 0, 2);
}

/* ---- what is not understood is said where it is ---- */

static void unknown_in_table(void) {
  put_table();
  bytes_u32(&bytes, UNKNOWN, 1);
}
static void twice_in_table(void) {
  put_table();
  bytes_u32(&bytes, NFTA_TABLE_FLAGS, 0);
}
static void short_value(void) {
  put_table();
  bytes_u16(&bytes, NFTA_TABLE_OWNER, 7);
}
static void flag_of_table(void) {
  bytes_message(&bytes, NFT_MSG_NEWTABLE, NFPROTO_INET);
  bytes_text(&bytes, NFTA_TABLE_NAME, "t");
  bytes_u32(&bytes, NFTA_TABLE_FLAGS, 0x40);
}

static const struct {
  void (*put)(void);
  const char *reason;
} tables[] = {
    {unknown_in_table, "table: attribute 60 is not known"},
    {twice_in_table, "'flags' is there twice"},
    {short_value, "'owner' has no value"},
    {flag_of_table, "flag 0x40"},
};

START_TEST(what_a_table_says_beyond_our_knowledge_is_said_of_the_table) {
  tables[_i].put();
  check_reason(decode()->unmodelled, tables[_i].reason);
}
END_TEST

static void unknown_in_chain(void) {
  put_chain("c");
  bytes_u32(&bytes, UNKNOWN, 1);
}
static void flag_of_chain(void) {
  put_chain("c");
  bytes_u32(&bytes, NFTA_CHAIN_FLAGS, 0x80);
}
static void offloaded_chain(void) {
  put_chain("c");
  put_hook();
  bytes_u32(&bytes, NFTA_CHAIN_FLAGS, NFT_CHAIN_BASE | NFT_CHAIN_HW_OFFLOAD);
}
static void chain_without_policy(void) {
  put_chain("c");
  bytes_open(&bytes, NFTA_CHAIN_HOOK);
  bytes_u32(&bytes, NFTA_HOOK_HOOKNUM, NF_INET_FORWARD);
  bytes_u32(&bytes, NFTA_HOOK_PRIORITY, 0);
  bytes_close(&bytes);
  bytes_text(&bytes, NFTA_CHAIN_TYPE, "filter");
}
static void chain_with_another_policy(void) {
  put_chain("c");
  put_hook();
  bytes.length -= 8 + 12; /* policy and type, put anew */
  bytes_u32(&bytes, NFTA_CHAIN_POLICY, NF_QUEUE);
  bytes_text(&bytes, NFTA_CHAIN_TYPE, "filter");
}
static void chain_of_a_prefix(void) {
  put_chain("c");
  bytes_open(&bytes, NFTA_CHAIN_HOOK);
  bytes_u32(&bytes, NFTA_HOOK_HOOKNUM, NF_NETDEV_INGRESS);
  bytes_u32(&bytes, NFTA_HOOK_PRIORITY, 0);
  bytes_open(&bytes, NFTA_HOOK_DEVS);
  bytes_put(&bytes, NFTA_DEVICE_NAME, "eth", 3);
  bytes_close(&bytes);
  bytes_close(&bytes);
  bytes_u32(&bytes, NFTA_CHAIN_POLICY, NF_DROP);
  bytes_text(&bytes, NFTA_CHAIN_TYPE, "filter");
}

static const struct {
  void (*put)(void);
  const char *reason;
} chains[] = {
    {unknown_in_chain, "chain: attribute 60 is not known"},
    {flag_of_chain, "flag 0x80"},
    {offloaded_chain, "network card"},
    {chain_without_policy, "without a policy"},
    {chain_with_another_policy, "policy 3 is not known"},
    {chain_of_a_prefix, "begins with 'eth'"},
};

START_TEST(what_a_chain_says_beyond_our_knowledge_is_said_of_the_chain) {
  put_table();
  chains[_i].put();
  struct live_table *table = decode();
  ck_assert_uint_eq(table->chain_count, 1);
  check_reason(table->chains[0].unmodelled, chains[_i].reason);
}
END_TEST

static void unknown_in_set(void) {
  put_set("s", 0, 2);
  bytes_u32(&bytes, UNKNOWN, 1);
}
static void flag_of_set(void) {
  put_set("s", 0x4000, 2);
}
static void long_key(void) {
  put_set("s", 0, 65);
}
static void fields_that_do_not_fit(void) {
  put_set("s", NFT_SET_CONCAT, 8);
  bytes_open(&bytes, NFTA_SET_DESC);
  bytes_open(&bytes, NFTA_SET_DESC_CONCAT);
  bytes_open(&bytes, NFTA_LIST_ELEM);
  bytes_u32(&bytes, NFTA_SET_FIELD_LEN, 4);
  bytes_close(&bytes);
  bytes_close(&bytes);
  bytes_close(&bytes);
}
static void unknown_in_description(void) {
  put_set("s", 0, 2);
  bytes_open(&bytes, NFTA_SET_DESC);
  bytes_u32(&bytes, UNKNOWN, 1);
  bytes_close(&bytes);
}
static void map_of_nothing(void) {
  put_set("s", NFT_SET_MAP, 2);
}
static void unknown_template(void) {
  put_set("s", NFT_SET_EVAL, 2);
  bytes_open(&bytes, NFTA_SET_EXPRESSIONS);
  bytes_expression(&bytes, "futuristic");
  bytes_close_expression(&bytes);
  bytes_close(&bytes);
}
static void lone_end(void) {
  put_set("s", NFT_SET_INTERVAL, 2);
  open_elements("s");
  put_element(5, NFT_SET_ELEM_INTERVAL_END);
  bytes_close(&bytes);
}
static void two_beginnings(void) {
  put_set("s", NFT_SET_INTERVAL, 2);
  open_elements("s");
  put_element(5, 0);
  put_element(5, 0);
  bytes_close(&bytes);
}
static void two_without_an_end_between(void) {
  put_set("s", NFT_SET_INTERVAL, 2);
  open_elements("s");
  put_element(5, 0);
  put_element(9, 0);
  bytes_close(&bytes);
}
static void end_in_a_plain_set(void) {
  put_set("s", 0, 2);
  open_elements("s");
  put_element(5, NFT_SET_ELEM_INTERVAL_END);
  bytes_close(&bytes);
}
static void flag_of_element(void) {
  put_set("s", 0, 2);
  open_elements("s");
  put_element(5, 0x10);
  bytes_close(&bytes);
}
static void unknown_in_element(void) {
  put_set("s", 0, 2);
  open_elements("s");
  open_element(5, 0);
  bytes_u32(&bytes, UNKNOWN, 1);
  bytes_close(&bytes);
  bytes_close(&bytes);
}
static void key_of_another_length(void) {
  put_set("s", 0, 4);
  open_elements("s");
  put_element(5, 0);
  bytes_close(&bytes);
}
/* Two fields, the first of which ends in the middle of a word. */
static void something_between_fields(void) {
  static const uint8_t key[8] = {0, 80, 0, 1, 10, 0, 0, 1};
  put_set("s", NFT_SET_CONCAT, sizeof(key));
  bytes_open(&bytes, NFTA_SET_DESC);
  bytes_open(&bytes, NFTA_SET_DESC_CONCAT);
  for (uint32_t length = 2; length <= 4; length += 2) {
    bytes_open(&bytes, NFTA_LIST_ELEM);
    bytes_u32(&bytes, NFTA_SET_FIELD_LEN, length);
    bytes_close(&bytes);
  }
  bytes_close(&bytes);
  bytes_close(&bytes);
  open_elements("s");
  bytes_open(&bytes, NFTA_LIST_ELEM);
  bytes_value(&bytes, NFTA_SET_ELEM_KEY, key, sizeof(key));
  bytes_close(&bytes);
  bytes_close(&bytes);
}
static void data_in_a_set(void) {
  put_set("s", 0, 2);
  open_elements("s");
  open_element(5, 0);
  bytes_value(&bytes, NFTA_SET_ELEM_DATA, "abcd", 4);
  bytes_close(&bytes);
  bytes_close(&bytes);
}
static void two_catch_alls(void) {
  put_set("s", 0, 2);
  open_elements("s");
  for (int i = 0; i < 2; i++) {
    bytes_open(&bytes, NFTA_LIST_ELEM);
    bytes_u32(&bytes, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_CATCHALL);
    bytes_close(&bytes);
  }
  bytes_close(&bytes);
}
static void unknown_among_elements(void) {
  put_set("s", 0, 2);
  open_elements("s");
  bytes_open(&bytes, UNKNOWN);
  bytes_close(&bytes);
  bytes_close(&bytes);
}

static const struct {
  void (*put)(void);
  const char *reason;
} sets[] = {
    {unknown_in_set, "set: attribute 60 is not known"},
    {flag_of_set, "flag 0x4000"},
    {long_key, "keys of 65 bytes"},
    {fields_that_do_not_fit, "do not make its key"},
    {unknown_in_description, "set description: attribute 60"},
    {map_of_nothing, "values of 0 bytes"},
    {unknown_template, "'futuristic' is not known"},
    {lone_end, "without its beginning"},
    {two_beginnings, "two intervals begin"},
    {two_without_an_end_between, "interval without its end"},
    {end_in_a_plain_set, "without intervals"},
    {flag_of_element, "flag 0x10"},
    {unknown_in_element, "element: attribute 60"},
    {key_of_another_length, "key of another length"},
    {something_between_fields, "between its fields"},
    {data_in_a_set, "data of another kind"},
    {two_catch_alls, "two catch-alls"},
    {unknown_among_elements, "something else among the elements"},
};

START_TEST(what_a_set_or_an_element_says_beyond_our_knowledge_is_said_of_the_set) {
  put_table();
  sets[_i].put();
  struct live_table *table = decode();
  ck_assert_uint_eq(table->set_count, 1);
  check_reason(table->sets[0].unmodelled, sets[_i].reason);
}
END_TEST

/* ---- expressions ---- */

static void put_bitwise(uint32_t operation) {
  bytes_expression(&bytes, "bitwise");
  bytes_u32(&bytes, NFTA_BITWISE_SREG, NFT_REG_1);
  bytes_u32(&bytes, NFTA_BITWISE_DREG, NFT_REG32_01);
  bytes_u32(&bytes, NFTA_BITWISE_LEN, 4);
  bytes_u32(&bytes, NFTA_BITWISE_OP, operation);
}
static void bitwise_without_operands(void) {
  put_bitwise(NFT_BITWISE_BOOL);
  bytes_close_expression(&bytes);
}
static void bitwise_of_a_later_kernel(void) {
  put_bitwise(6);
  bytes_close_expression(&bytes);
}
static void bitwise_with_a_short_mask(void) {
  put_bitwise(NFT_BITWISE_BOOL);
  bytes_value(&bytes, NFTA_BITWISE_MASK, "ab", 2);
  bytes_value(&bytes, NFTA_BITWISE_XOR, "abcd", 4);
  bytes_close_expression(&bytes);
}
static void shift_with_a_second_register(void) {
  put_bitwise(NFT_BITWISE_LSHIFT);
  bytes_u32(&bytes, 8, NFT_REG32_02);
  bytes_close_expression(&bytes);
}
static void unknown_expression(void) {
  bytes_expression(&bytes, "futuristic");
  bytes_close_expression(&bytes);
}
static void unknown_in_expression(void) {
  bytes_expression(&bytes, "counter");
  bytes_u64(&bytes, UNKNOWN, 1);
  bytes_close_expression(&bytes);
}
static void no_such_register(void) {
  bytes_expression(&bytes, "meta");
  bytes_u32(&bytes, NFTA_META_KEY, NFT_META_MARK);
  bytes_u32(&bytes, NFTA_META_DREG, 7);
  bytes_close_expression(&bytes);
}
static void beyond_the_registers(void) {
  bytes_expression(&bytes, "meta");
  bytes_u32(&bytes, NFTA_META_KEY, NFT_META_IIFNAME);
  bytes_u32(&bytes, NFTA_META_DREG, NFT_REG32_15);
  bytes_close_expression(&bytes);
}
static void into_the_verdict(void) {
  bytes_expression(&bytes, "meta");
  bytes_u32(&bytes, NFTA_META_KEY, NFT_META_MARK);
  bytes_u32(&bytes, NFTA_META_DREG, NFT_REG_VERDICT);
  bytes_close_expression(&bytes);
}
static void unknown_key(void) {
  bytes_expression(&bytes, "ct");
  bytes_u32(&bytes, NFTA_CT_KEY, 99);
  bytes_u32(&bytes, NFTA_CT_DREG, NFT_REG_1);
  bytes_close_expression(&bytes);
}
static void both_ways(void) {
  bytes_expression(&bytes, "ct");
  bytes_u32(&bytes, NFTA_CT_KEY, NFT_CT_MARK);
  bytes_u32(&bytes, NFTA_CT_DREG, NFT_REG_1);
  bytes_u32(&bytes, NFTA_CT_SREG, NFT_REG_1);
  bytes_close_expression(&bytes);
}
static void huge_payload(void) {
  bytes_expression(&bytes, "payload");
  bytes_u32(&bytes, NFTA_PAYLOAD_DREG, NFT_REG_1);
  bytes_u32(&bytes, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
  bytes_u32(&bytes, NFTA_PAYLOAD_OFFSET, 0);
  bytes_u32(&bytes, NFTA_PAYLOAD_LEN, UINT32_MAX);
  bytes_close_expression(&bytes);
}
static void accept_with_an_errno(void) {
  put_verdict(NF_DROP | 0x10000, NULL);
}
static void jump_to_nowhere(void) {
  put_verdict((uint32_t)NFT_JUMP, "elsewhere");
}
static void verdict_in_a_value(void) {
  bytes_expression(&bytes, "immediate");
  bytes_u32(&bytes, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
  bytes_value(&bytes, NFTA_IMMEDIATE_DATA, "abcd", 4);
  bytes_close_expression(&bytes);
}
static void absent_set(void) {
  bytes_expression(&bytes, "lookup");
  bytes_text(&bytes, NFTA_LOOKUP_SET, "elsewhere");
  bytes_u32(&bytes, NFTA_LOOKUP_SREG, NFT_REG_1);
  bytes_close_expression(&bytes);
}
static void map_that_is_a_set(void) {
  bytes_expression(&bytes, "lookup");
  bytes_text(&bytes, NFTA_LOOKUP_SET, "s");
  bytes_u32(&bytes, NFTA_LOOKUP_SREG, NFT_REG_1);
  bytes_u32(&bytes, NFTA_LOOKUP_DREG, NFT_REG_2);
  bytes_close_expression(&bytes);
}
static void flag_of_lookup(void) {
  bytes_expression(&bytes, "lookup");
  bytes_text(&bytes, NFTA_LOOKUP_SET, "s");
  bytes_u32(&bytes, NFTA_LOOKUP_SREG, NFT_REG_1);
  bytes_u32(&bytes, NFTA_LOOKUP_FLAGS, 2);
  bytes_close_expression(&bytes);
}
static void absent_object(void) {
  bytes_expression(&bytes, "objref");
  bytes_u32(&bytes, NFTA_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
  bytes_text(&bytes, NFTA_OBJREF_IMM_NAME, "elsewhere");
  bytes_close_expression(&bytes);
}
static void put_byteorder(uint32_t destination, uint32_t length, uint32_t size) {
  bytes_expression(&bytes, "byteorder");
  bytes_u32(&bytes, NFTA_BYTEORDER_SREG, NFT_REG_1);
  bytes_u32(&bytes, NFTA_BYTEORDER_DREG, destination);
  bytes_u32(&bytes, NFTA_BYTEORDER_OP, NFT_BYTEORDER_HTON);
  bytes_u32(&bytes, NFTA_BYTEORDER_LEN, length);
  bytes_u32(&bytes, NFTA_BYTEORDER_SIZE, size);
  bytes_close_expression(&bytes);
}
static void odd_byteorder(void) {
  put_byteorder(NFT_REG_1, 3, 2);
}
static void byteorder_that_writes_nothing(void) {
  put_byteorder(NFT_REG_2, 1, 2);
}
static void uneven_range(void) {
  bytes_expression(&bytes, "range");
  bytes_u32(&bytes, NFTA_RANGE_SREG, NFT_REG_1);
  bytes_u32(&bytes, NFTA_RANGE_OP, NFT_RANGE_EQ);
  bytes_value(&bytes, NFTA_RANGE_FROM_DATA, "ab", 2);
  bytes_value(&bytes, NFTA_RANGE_TO_DATA, "abcd", 4);
  bytes_close_expression(&bytes);
}
static void nested_too_deep(void) {
  for (int i = 0; i < 5; i++) {
    bytes_open(&bytes, i == 0 ? NFTA_LIST_ELEM : 5);
    bytes_text(&bytes, NFTA_EXPR_NAME, "inner");
    bytes_open(&bytes, NFTA_EXPR_DATA);
  }
  for (int i = 0; i < 5; i++) {
    bytes_close(&bytes);
    bytes_close(&bytes);
  }
}
static void match_that_marks(void) {
  bytes_expression(&bytes, "match");
  bytes_text(&bytes, NFTA_MATCH_NAME, "socket");
  bytes_close_expression(&bytes);
}
static void xtables_target(void) {
  bytes_expression(&bytes, "target");
  bytes_text(&bytes, NFTA_TARGET_NAME, "TEE");
  bytes_close_expression(&bytes);
}
static void queue(void) {
  bytes_expression(&bytes, "queue");
  bytes_u16(&bytes, NFTA_QUEUE_NUM, 3);
  bytes_u16(&bytes, NFTA_QUEUE_TOTAL, 1);
  bytes_u16(&bytes, NFTA_QUEUE_FLAGS, NFT_QUEUE_FLAG_BYPASS);
  bytes_close_expression(&bytes);
}
static void offload(void) {
  bytes_expression(&bytes, "flow_offload");
  bytes_text(&bytes, NFTA_FLOW_TABLE_NAME, "f");
  bytes_close_expression(&bytes);
}
static void unknown_around_expression(void) {
  bytes_open(&bytes, NFTA_LIST_ELEM);
  bytes_text(&bytes, NFTA_EXPR_NAME, "notrack");
  bytes_u32(&bytes, UNKNOWN, 1);
  bytes_close(&bytes);
}
static void another_list(void) {
  bytes_open(&bytes, 2);
  bytes_text(&bytes, NFTA_EXPR_NAME, "notrack");
  bytes_close(&bytes);
}

static const struct {
  void (*put)(void);
  const char *reason;
} expressions[] = {
    {bitwise_without_operands, "other operands"},
    {bitwise_of_a_later_kernel, "operation 6 is not known"},
    {bitwise_with_a_short_mask, "operand of another length"},
    {shift_with_a_second_register, "other operands"},
    {unknown_expression, "expression 'futuristic' is not known"},
    {unknown_in_expression, "counter: attribute 60"},
    {no_such_register, "'dreg' has no value that is known"},
    {beyond_the_registers, "16 bytes at 76"},
    {into_the_verdict, "4 bytes at 0"},
    {unknown_key, "key 99 is not known"},
    {both_ways, "more than one register"},
    {huge_payload, "not within the registers"},
    {accept_with_an_errno, "code 0x10000 is not known"},
    {jump_to_nowhere, "no chain 'elsewhere'"},
    {verdict_in_a_value, "where a verdict belongs"},
    {absent_set, "no set 'elsewhere'"},
    {map_that_is_a_set, "map of other things"},
    {flag_of_lookup, "flag 0x2"},
    {absent_object, "no object 'elsewhere'"},
    {odd_byteorder, "3 bytes in pieces of 2"},
    {byteorder_that_writes_nothing, "1 bytes in pieces of 2"},
    {uneven_range, "value of 4 bytes, where 2"},
    {nested_too_deep, "another expression than payload"},
    {match_that_marks, "may change the mark"},
    {xtables_target, "'TEE'"},
    {queue, "a program decides"},
    {offload, "pass the rules by"},
    {unknown_around_expression, "expression: attribute 60"},
    {another_list, "expressions: attribute 2"},
};

START_TEST(what_an_expression_says_beyond_our_knowledge_is_said_of_the_expression) {
  put_base();
  open_rule("c");
  put_verdict(NF_ACCEPT, NULL);
  expressions[_i].put();
  put_verdict(NF_DROP, NULL);
  bytes_close(&bytes);
  struct live_table *table = decode();
  const struct live_rule *rule = &table->chains[0].rules[0];
  ck_assert_uint_eq(rule->expression_count, 3);
  ck_assert_ptr_null(rule->expressions[0].unmodelled);
  check_reason(rule->expressions[1].unmodelled, expressions[_i].reason);
  ck_assert_ptr_null(rule->expressions[2].unmodelled);
  ck_assert_ptr_null(rule->unmodelled);
  ck_assert(live_rule_text(rule, arena)[0] != '\0');
}
END_TEST

START_TEST(what_a_rule_says_beyond_our_knowledge_is_said_of_the_rule) {
  put_base();
  open_rule("c");
  bytes_close(&bytes);
  bytes_u32(&bytes, NFTA_RULE_ID, 5);
  check_reason(decode()->chains[0].rules[0].unmodelled, "rule: attribute 9 is not known");
}
END_TEST

START_TEST(two_registers_of_bitwise_are_both_told) {
  put_base();
  open_rule("c");
  put_bitwise(3);
  bytes_u32(&bytes, 8, NFT_REG32_15);
  bytes_close_expression(&bytes);
  bytes_close(&bytes);
  const struct live_expression *bitwise = &decode()->chains[0].rules[0].expressions[0];
  ck_assert_msg(bitwise->unmodelled == NULL, "%s", bitwise->unmodelled);
  ck_assert_uint_eq(bitwise->operation, 3);
  ck_assert_uint_eq(bitwise->source, 16);
  ck_assert_uint_eq(bitwise->destination, 20);
  ck_assert_uint_eq(bitwise->source_data, 76);
  ck_assert(bitwise->has_source_data);
}
END_TEST

/* nft writes such for `meta l4proto` and the like: the kernel turns no piece, the value stays. */
START_TEST(a_byteorder_of_less_than_one_piece_is_understood) {
  put_base();
  open_rule("c");
  put_byteorder(NFT_REG_1, 1, 2);
  bytes_close(&bytes);
  ck_assert_ptr_null(decode()->chains[0].rules[0].expressions[0].unmodelled);
}
END_TEST

/* ---- what is understood, and no kernel here makes ---- */

START_TEST(a_flowtable_is_told_with_its_devices) {
  put_table();
  bytes_message(&bytes, NFT_MSG_NEWFLOWTABLE, NFPROTO_INET);
  bytes_text(&bytes, NFTA_FLOWTABLE_TABLE, "t");
  bytes_text(&bytes, NFTA_FLOWTABLE_NAME, "f");
  bytes_u32(&bytes, NFTA_FLOWTABLE_FLAGS, NFT_FLOWTABLE_HW_OFFLOAD);
  bytes_open(&bytes, NFTA_FLOWTABLE_HOOK);
  bytes_u32(&bytes, NFTA_FLOWTABLE_HOOK_NUM, 0);
  bytes_u32(&bytes, NFTA_FLOWTABLE_HOOK_PRIORITY, (uint32_t)-100);
  bytes_open(&bytes, NFTA_FLOWTABLE_HOOK_DEVS);
  bytes_text(&bytes, NFTA_DEVICE_NAME, "lan0");
  bytes_text(&bytes, NFTA_DEVICE_NAME, "lan1");
  bytes_close(&bytes);
  bytes_close(&bytes);
  struct live_table *table = decode();
  ck_assert_uint_eq(table->flowtable_count, 1);
  const struct live_flowtable *flowtable = &table->flowtables[0];
  ck_assert_ptr_null(flowtable->unmodelled);
  ck_assert_uint_eq(flowtable->device_count, 2);
  ck_assert_str_eq(flowtable->devices[1], "lan1");
  ck_assert_int_eq(flowtable->priority, -100);
}
END_TEST

START_TEST(intervals_are_paired_whatever_their_order) {
  put_table();
  put_set("s", NFT_SET_INTERVAL, 2);
  open_elements("s");
  put_element(100, 0); /* to the last key */
  put_element(20, 0);  /* up to 29, where the next one begins */
  put_element(30, NFT_SET_ELEM_INTERVAL_END);
  put_element(0, NFT_SET_ELEM_INTERVAL_END);
  put_element(40, NFT_SET_ELEM_INTERVAL_END);
  put_element(30, 0);
  put_element(7, 0);
  put_element(8, NFT_SET_ELEM_INTERVAL_END);
  bytes_close(&bytes);
  static const uint16_t pairs[][2] = {{7, 7}, {20, 29}, {30, 39}, {100, 65535}};
  const struct live_set *set = &decode()->sets[0];
  ck_assert_msg(set->unmodelled == NULL, "%s", set->unmodelled);
  ck_assert_uint_eq(set->element_count, 4);
  for (size_t i = 0; i < 4; i++) {
    const struct live_element *element = &set->elements[i];
    ck_assert_uint_eq(element->first[0] << 8 | element->first[1], pairs[i][0]);
    ck_assert_uint_eq(element->last[0] << 8 | element->last[1], pairs[i][1]);
  }
}
END_TEST

START_TEST(an_end_whose_beginning_ran_out_is_no_riddle_in_a_set_with_timeouts) {
  put_table();
  put_set("s", NFT_SET_INTERVAL | NFT_SET_TIMEOUT, 2);
  open_elements("s");
  put_element(5, NFT_SET_ELEM_INTERVAL_END);
  bytes_close(&bytes);
  const struct live_set *set = &decode()->sets[0];
  ck_assert_ptr_null(set->unmodelled);
  ck_assert_uint_eq(set->element_count, 0);
}
END_TEST

START_TEST(an_element_that_names_no_timeout_has_that_of_its_set) {
  put_table();
  put_set("s", NFT_SET_TIMEOUT, 2);
  bytes_u64(&bytes, NFTA_SET_TIMEOUT, 60000);
  open_elements("s");
  open_element(5, 0);
  bytes_u64(&bytes, NFTA_SET_ELEM_EXPIRATION, 1234);
  bytes_close(&bytes);
  open_element(6, 0);
  bytes_u64(&bytes, NFTA_SET_ELEM_TIMEOUT, 0); /* 6.12: for ever */
  bytes_close(&bytes);
  bytes_close(&bytes);
  const struct live_set *set = &decode()->sets[0];
  ck_assert_ptr_null(set->unmodelled);
  ck_assert(set->elements[0].has_timeout);
  ck_assert_uint_eq(set->elements[0].timeout, 60000);
  ck_assert_uint_eq(set->elements[0].expiration, 1234);
  ck_assert(!set->elements[1].has_timeout);
}
END_TEST

START_TEST(a_table_tells_who_owns_it) {
  bytes_message(&bytes, NFT_MSG_NEWTABLE, NFPROTO_NETDEV);
  bytes_text(&bytes, NFTA_TABLE_NAME, "t");
  bytes_u32(&bytes, NFTA_TABLE_FLAGS, NFT_TABLE_F_DORMANT | NFT_TABLE_F_OWNER | 4);
  bytes_u32(&bytes, NFTA_TABLE_OWNER, 77);
  const struct live_table *table = decode();
  ck_assert_ptr_null(table->unmodelled);
  ck_assert(table->dormant);
  ck_assert_uint_eq(table->owner, 77);
  ck_assert_str_eq(live_family_name(table->family), "netdev");
}
END_TEST

START_TEST(elements_of_one_set_may_come_in_several_messages) {
  put_base();
  for (uint16_t i = 0; i < 3; i++) {
    open_elements("s");
    put_element(i, 0);
    bytes_close(&bytes);
  }
  bytes_done(&bytes, 0);
  ck_assert_uint_eq(decode()->sets[0].element_count, 3);
}
END_TEST

/* ---- what is no ruleset ---- */

static void other_generation(void) {
  bytes.generation++;
  put_table();
}
static void generation_that_moved(void) {
  bytes_message(&bytes, NFT_MSG_NEWGEN, NFPROTO_UNSPEC);
  bytes_u32(&bytes, NFTA_GEN_ID, GENERATION + 65536);
}
static void interrupted(void) {
  put_table();
  bytes_end(&bytes);
  struct nlmsghdr header;
  memcpy(&header, bytes.data, sizeof(header));
  header.nlmsg_flags |= NLM_F_DUMP_INTR;
  memcpy(bytes.data, &header, sizeof(header));
}
static void broken_off(void) {
  put_table();
  bytes_done(&bytes, -ENOMEM);
}
static void deletion(void) {
  bytes_message(&bytes, NFT_MSG_DELTABLE, NFPROTO_INET);
}
static void rule_of_no_chain(void) {
  put_base();
  open_rule("elsewhere");
  bytes_close(&bytes);
}
static void chain_of_no_table(void) {
  put_chain("c");
}
static void set_of_another_family(void) {
  put_table();
  bytes_message(&bytes, NFT_MSG_NEWSET, NFPROTO_IPV4);
  bytes_text(&bytes, NFTA_SET_TABLE, "t");
  bytes_text(&bytes, NFTA_SET_NAME, "s");
  bytes_u32(&bytes, NFTA_SET_KEY_LEN, 2);
}
static void elements_of_no_set(void) {
  put_base();
  open_elements("elsewhere");
  bytes_close(&bytes);
}
static void two_of_a_name(void) {
  put_base();
  put_chain("c");
}
static void rules_in_disorder(void) {
  put_base();
  put_chain("d");
  for (int i = 0; i < 3; i++) {
    open_rule(i == 1 ? "d" : "c");
    bytes_close(&bytes);
  }
}
static void elements_in_disorder(void) {
  put_base();
  put_set("r", 0, 2);
  for (int i = 0; i < 3; i++) {
    open_elements(i == 1 ? "r" : "s");
    put_element(5, 0);
    bytes_close(&bytes);
  }
}
static void without_a_name(void) {
  bytes_message(&bytes, NFT_MSG_NEWTABLE, NFPROTO_INET);
  bytes_u32(&bytes, NFTA_TABLE_FLAGS, 0);
}
static void long_attribute(void) {
  static const uint8_t header[4] = {200, 0, 1, 0};
  put_table();
  bytes_put(&bytes, NFTA_TABLE_OWNER, header, sizeof(header));
  bytes.length -= 8;
  memcpy(bytes.data + bytes.length, header, sizeof(header));
  bytes.length += 4;
}

static const struct {
  void (*put)(void);
  const char *message;
} errors[] = {
    {other_generation, "another generation"},
    {generation_that_moved, "generation 70247"},
    {interrupted, "changed while it was read"},
    {broken_off, "ended early"},
    {deletion, "none of nftables"},
    {rule_of_no_chain, "of no chain that is there"},
    {chain_of_no_table, "table inet t, which is not there"},
    {set_of_another_family, "table ip t, which is not there"},
    {elements_of_no_set, "a set 'elsewhere', which is not there"},
    {two_of_a_name, "two of the name 'c'"},
    {rules_in_disorder, "rules of a chain do not come"},
    {elements_in_disorder, "elements of a set do not come"},
    {without_a_name, "has no name"},
    {long_attribute, "attribute of 200 bytes"},
};

START_TEST(what_cannot_be_a_ruleset_is_refused) {
  errors[_i].put();
  check_error(errors[_i].message);
}
END_TEST

/* Each prefix of a good ruleset is either refused or whole messages; nothing is read behind its end. */
START_TEST(a_ruleset_that_was_cut_off_is_refused) {
  put_base();
  open_elements("s");
  put_element(5, 0);
  bytes_close(&bytes);
  bytes_end(&bytes);
  for (size_t length = 0; length < bytes.length; length++) {
    uint8_t *copy = malloc(length + 1);
    memcpy(copy, bytes.data, length);
    struct snapshot snapshot = {.generation = GENERATION, .messages = copy, .length = length};
    struct live_ruleset *ruleset = NULL;
    int status = decode_ruleset(&snapshot, arena, &ruleset, &error);
    ck_assert(status == -EBADMSG || (status == 0 && ruleset->table_count <= 1));
    free(copy);
  }
}
END_TEST

START_TEST(no_memory_is_said) {
  struct arena *small = arena_new(600);
  put_base();
  bytes_end(&bytes);
  struct snapshot snapshot = {.generation = GENERATION, .messages = bytes.data, .length = bytes.length};
  struct live_ruleset *ruleset = NULL;
  ck_assert_int_eq(decode_ruleset(&snapshot, small, &ruleset, &error), -ENOMEM);
  arena_free(small);
}
END_TEST

#define COUNT_OF(array_) ((int)(sizeof(array_) / sizeof((array_)[0])))

int main(void) {
  Suite *suite = suite_create("decode_messages");
  TCase *tests = tcase_create("all");
  tcase_add_checked_fixture(tests, begin, end);
  tcase_add_loop_test(tests, what_a_table_says_beyond_our_knowledge_is_said_of_the_table, 0, COUNT_OF(tables));
  tcase_add_loop_test(tests, what_a_chain_says_beyond_our_knowledge_is_said_of_the_chain, 0, COUNT_OF(chains));
  tcase_add_loop_test(tests, what_a_set_or_an_element_says_beyond_our_knowledge_is_said_of_the_set, 0, COUNT_OF(sets));
  tcase_add_loop_test(tests, what_an_expression_says_beyond_our_knowledge_is_said_of_the_expression, 0,
                      COUNT_OF(expressions));
  tcase_add_test(tests, what_a_rule_says_beyond_our_knowledge_is_said_of_the_rule);
  tcase_add_test(tests, two_registers_of_bitwise_are_both_told);
  tcase_add_test(tests, a_byteorder_of_less_than_one_piece_is_understood);
  tcase_add_test(tests, a_flowtable_is_told_with_its_devices);
  tcase_add_test(tests, intervals_are_paired_whatever_their_order);
  tcase_add_test(tests, an_end_whose_beginning_ran_out_is_no_riddle_in_a_set_with_timeouts);
  tcase_add_test(tests, an_element_that_names_no_timeout_has_that_of_its_set);
  tcase_add_test(tests, a_table_tells_who_owns_it);
  tcase_add_test(tests, elements_of_one_set_may_come_in_several_messages);
  tcase_add_loop_test(tests, what_cannot_be_a_ruleset_is_refused, 0, COUNT_OF(errors));
  tcase_add_test(tests, a_ruleset_that_was_cut_off_is_refused);
  tcase_add_test(tests, no_memory_is_said);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
