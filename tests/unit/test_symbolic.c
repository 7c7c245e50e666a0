/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The symbolic machine: what it refuses, and for whom; what it calls unknown; how chains lead on. What single
 * expressions mean is compared with the other meaning in test_symbolic_differential.c.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "proof/symbolic.h"

enum { R1 = 16, TCP = 6, UDP = 17, RULES = 8 };

static struct arena *arena;
static struct space *space;
static struct diagram_store *store;

static void set_up(void) {
  arena = arena_new(0);
  space = space_new(arena);
  store = diagram_store_new(0);
}

static void tear_down(void) {
  store = diagram_store_free(store);
  arena = arena_free(arena);
}

/* ---- a ruleset: one table, two base chains, two others ---- */

static struct live_ruleset ruleset;
static struct live_table tables[2];
static struct live_chain chains[4];
enum { FORWARD, EARLIER, OTHER, FURTHER };

static void new_ruleset(void) {
  static const char *const names[] = {"forward", "earlier", "other", "further"};
  ruleset = (struct live_ruleset){.tables = tables, .table_count = 1};
  tables[0] = (struct live_table){.family = NFPROTO_INET, .name = "one", .chains = chains, .chain_count = 4};
  tables[1] = (struct live_table){.family = NFPROTO_INET, .name = "two"};
  for (size_t i = 0; i < 4; i++) {
    chains[i] = (struct live_chain){.table = &tables[0], .name = names[i], .type = "filter", .hook = NF_INET_FORWARD};
    chains[i].rules = arena_array(arena, RULES, sizeof(struct live_rule));
  }
  chains[FORWARD].base = chains[EARLIER].base = true;
  chains[EARLIER].priority = -10;
  chains[EARLIER].policy_accept = true;
}

/* Takes up to six expressions; one of an impossible kind ends them. */
static struct live_rule *add_rule(int chain, const struct live_expression *expressions, size_t count) {
  struct live_rule *rule = &chains[chain].rules[chains[chain].rule_count++];
  *rule = (struct live_rule){.handle = 100 + (uint64_t)chain * 10 + chains[chain].rule_count, .comment = ""};
  rule->expressions = arena_memdup(arena, expressions, count * sizeof(*expressions));
  rule->expression_count = count;
  return rule;
}

#define RULE(chain, ...)                                                                                               \
  add_rule((chain), (const struct live_expression[]){__VA_ARGS__},                                                     \
           sizeof((const struct live_expression[]){__VA_ARGS__}) / sizeof(struct live_expression))
#define BYTES(...)                                                                                                     \
  (const uint8_t[]) {                                                                                                  \
    __VA_ARGS__                                                                                                        \
  }

static struct live_expression meta(unsigned key) {
  return (struct live_expression){
      .kind = LIVE_META, .name = "meta", .key = key, .destination = R1, .has_destination = true};
}

static struct live_expression ct(unsigned key) {
  return (struct live_expression){
      .kind = LIVE_CT, .name = "ct", .key = key, .destination = R1, .has_destination = true, .direction = -1};
}

static struct live_expression is(const uint8_t *data, unsigned length) {
  return (struct live_expression){
      .kind = LIVE_COMPARE, .name = "cmp", .source = R1, .operation = NFT_CMP_EQ, .data = data, .data_length = length};
}

static struct live_expression load(unsigned base, unsigned offset, unsigned length) {
  return (struct live_expression){.kind = LIVE_PAYLOAD,
                                  .name = "payload",
                                  .base = base,
                                  .offset = offset,
                                  .length = length,
                                  .destination = R1,
                                  .has_destination = true};
}

static struct live_expression verdict(enum live_verdict_code code, int chain) {
  return (struct live_expression){.kind = LIVE_IMMEDIATE,
                                  .name = "immediate",
                                  .is_verdict = true,
                                  .verdict = {.code = code, .chain = chain >= 0 ? &chains[chain] : NULL}};
}

static struct live_expression value(const void *data, unsigned length) {
  return (struct live_expression){.kind = LIVE_IMMEDIATE,
                                  .name = "immediate",
                                  .destination = R1,
                                  .has_destination = true,
                                  .data = arena_memdup(arena, data, length),
                                  .data_length = length};
}

static struct live_expression mark_set(void) {
  return (struct live_expression){.kind = LIVE_CT_SET, .name = "ct", .key = NFT_CT_MARK, .source = R1};
}

static struct live_expression named(enum live_kind kind, const char *name) {
  return (struct live_expression){.kind = kind, .name = name};
}

#define ACCEPT verdict(LIVE_ACCEPT, -1)
#define PROTOCOL(number) meta(NFT_META_L4PROTO), is(BYTES(number), 1)

/* ---- asking ---- */

static struct symbolic *machine;

static struct symbolic_result judge_at(enum situation_tracking tracking, const char *in) {
  struct situation situation = {PATH_FORWARD, in, "wan0", FAMILY_IPV4, tracking};
  struct symbolic_result result;
  machine = symbolic_new(&ruleset, NULL, space, store, arena);
  ck_assert_int_eq(symbolic_judge(machine, &situation, &result), 0);
  return result;
}

static struct symbolic_result judge(void) {
  return judge_at(TRACKING_OPENS, "lan0");
}

static diagram of_number(enum space_field field, unsigned number) {
  uint8_t bytes[2] = {(uint8_t)(number >> 8), (uint8_t)number};
  unsigned width = space_field_width(field);
  struct diagram_field bits = space_field(space, field, 0);
  return diagram_range(store, &bits, width == 16 ? bytes : bytes + 1, width == 16 ? bytes : bytes + 1);
}

static diagram protocol(unsigned number) {
  return of_number(FIELD_PROTOCOL, number);
}

static bool within(diagram inner, diagram outer) {
  return diagram_difference(store, inner, outer) == DIAGRAM_FALSE;
}

static bool meets(diagram left, diagram right) {
  return diagram_and(store, left, right) != DIAGRAM_FALSE;
}

/* Packets that these results are about: those that arrive whole. */
static diagram all_packets(void) {
  struct live_chain kept = chains[FORWARD], kept_earlier = chains[EARLIER];
  chains[FORWARD].base = chains[EARLIER].base = false;
  struct symbolic_result result = judge();
  chains[FORWARD] = kept;
  chains[EARLIER] = kept_earlier;
  return result.may;
}

static diagram whole(diagram set) {
  return diagram_and(store, all_packets(), set);
}

/* ---- what cannot be followed ---- */

static struct live_set *new_set(unsigned key_length, size_t elements) {
  struct live_set *set = ARENA_NEW(arena, struct live_set);
  *set = (struct live_set){.table = &tables[0], .name = "set", .key_length = key_length, .element_count = elements};
  set->elements = arena_array(arena, elements + 1, sizeof(*set->elements));
  tables[0].sets = set;
  tables[0].set_count = 1;
  return set;
}

static struct live_expression look_up(const struct live_set *set) {
  return (struct live_expression){.kind = LIVE_LOOKUP, .name = "lookup", .source = R1, .set = set};
}

static struct live_expression refused(unsigned which) {
  struct live_expression expression = {.kind = LIVE_OTHER, .name = "tproxy", .unmodelled = "expression tproxy"};
  static const struct {
    enum live_kind kind;
    const char *name;
    unsigned key, operation, size, length;
  } rows[] = {
      {LIVE_OTHER, "queue", 0, 0, 0, 0},
      {LIVE_OTHER, "dup", 0, 0, 0, 0},
      {LIVE_OTHER, "fwd", 0, 0, 0, 0},
      {LIVE_OTHER, "flow_offload", 0, 0, 0, 0},
      {LIVE_OTHER, "synproxy", 0, 0, 0, 0},
      {LIVE_OTHER, "target", 0, 0, 0, 0},
      {LIVE_OTHER, "tproxy", 0, 0, 0, 0},
      {LIVE_OTHER, "something of a later kernel", 0, 0, 0, 0},
      {LIVE_PAYLOAD_SET, "payload", 0, 0, 0, 4},
      {LIVE_EXTHDR_SET, "exthdr", 0, 0, 0, 4},
      {LIVE_NAT, "nat", 0, 0, 0, 0},
      {LIVE_NAT, "masq", 0, 0, 0, 0},
      {LIVE_NAT, "redir", 0, 0, 0, 0},
      {LIVE_CT_SET, "ct", NFT_CT_ZONE, 0, 0, 0},
      {LIVE_CT_SET, "ct", NFT_CT_HELPER, 0, 0, 0},
      {LIVE_CT_SET, "ct", NFT_CT_SECMARK, 0, 0, 0},
      {LIVE_META_SET, "meta", NFT_META_PRIORITY, 0, 0, 0},
      {LIVE_META_SET, "meta", NFT_META_PKTTYPE, 0, 0, 0},
      {LIVE_META, "meta", 200, 0, 0, 0},
      {LIVE_CT, "ct", 200, 0, 0, 0},
      {LIVE_BITWISE, "bitwise", 0, 9, 0, 1},
      {LIVE_BITWISE, "bitwise", 0, 0, 0, 1}, /* without a mask */
      {LIVE_BITWISE, "bitwise", 0, 3, 0, 1}, /* without its second register */
      {LIVE_BYTEORDER, "byteorder", 0, 0, 8, 8},
      {LIVE_COMPARE, "cmp", 0, 77, 0, 0},
      {LIVE_RANGE, "range", 0, 0, 0, 0},   /* without an end */
      {LIVE_LOOKUP, "lookup", 0, 0, 0, 0}, /* without a set */
      {LIVE_OBJECT_REFERENCE, "objref", 0, 3, 0, 0},
      {LIVE_IMMEDIATE, "immediate", 0, 0, 0, 0}, /* without data */
  };
  if (which >= sizeof(rows) / sizeof(rows[0]))
    return (struct live_expression){.kind = LIVE_KIND_COUNT_};
  expression.kind = rows[which].kind;
  expression.name = rows[which].name;
  expression.unmodelled = rows[which].kind == LIVE_OTHER ? rows[which].name : NULL;
  expression.key = rows[which].key;
  expression.operation = rows[which].operation;
  expression.size = rows[which].size;
  expression.length = rows[which].length;
  expression.source = expression.destination = R1;
  expression.object = rows[which].kind == LIVE_OBJECT_REFERENCE ? "helper" : NULL;
  return expression;
}

/* A rule about TCP that nobody can follow, then one that accepts all. */
static void assert_refused(const struct live_rule *rule, const char *what) {
  RULE(FORWARD, ACCEPT);
  struct symbolic_result result = judge();
  ck_assert_msg(result.undecided == whole(protocol(TCP)), "%s: undecided is not just TCP", what);
  ck_assert_msg(!meets(result.may, protocol(TCP)) && within(whole(protocol(UDP)), result.must), "%s: others", what);
  ck_assert_uint_eq(result.unmodelled_count, 1);
  ck_assert_ptr_eq(result.unmodelled[0].chain, &chains[FORWARD]);
  ck_assert_ptr_eq(result.unmodelled[0].rule, rule);
  ck_assert_ptr_nonnull(result.unmodelled[0].why);
  ck_assert_uint_eq(result.unmodelled[0].where, result.undecided);
}

START_TEST(what_cannot_be_followed_is_refused_for_those_that_meet_it) {
  struct live_expression expression = refused((unsigned)_i);
  ck_assert_int_ne(expression.kind, LIVE_KIND_COUNT_);
  new_ruleset();
  assert_refused(RULE(FORWARD, PROTOCOL(TCP), expression, ACCEPT), expression.name);
}
END_TEST

START_TEST(every_row_of_the_refused_is_run) {
  ck_assert_int_ne(refused(28).kind, LIVE_KIND_COUNT_);
  ck_assert_int_eq(refused(29).kind, LIVE_KIND_COUNT_);
}
END_TEST

START_TEST(an_attribute_that_nobody_knows_is_refused_wherever_it_stands) {
  new_ruleset();
  struct live_expression counter = named(LIVE_COUNTER, "counter");
  counter.unmodelled = "attribute 9";
  assert_refused(RULE(FORWARD, PROTOCOL(TCP), counter), "expression");

  new_ruleset();
  RULE(FORWARD, PROTOCOL(TCP), verdict(LIVE_GOTO, OTHER));
  struct live_rule *rule = RULE(OTHER, ACCEPT);
  rule->unmodelled = "attribute of the rule";
  RULE(FORWARD, ACCEPT);
  struct symbolic_result result = judge();
  ck_assert_uint_eq(result.undecided, whole(protocol(TCP)));
  ck_assert_ptr_eq(result.unmodelled[0].rule, rule);

  new_ruleset();
  RULE(FORWARD, PROTOCOL(TCP), verdict(LIVE_JUMP, OTHER));
  RULE(FORWARD, ACCEPT);
  chains[OTHER].unmodelled = "attribute of the chain";
  result = judge();
  ck_assert_uint_eq(result.undecided, whole(protocol(TCP)));
  ck_assert_ptr_eq(result.unmodelled[0].chain, &chains[OTHER]);
  ck_assert_ptr_null(result.unmodelled[0].rule);

  new_ruleset();
  RULE(FORWARD, ACCEPT);
  tables[0].unmodelled = "attribute of the table";
  ck_assert_uint_eq(judge().undecided, all_packets());
}
END_TEST

START_TEST(a_register_that_the_rule_did_not_write_is_refused) {
  new_ruleset();
  struct live_expression odd = is(BYTES(1), 1);
  odd.source = R1 + 20;
  assert_refused(RULE(FORWARD, PROTOCOL(TCP), odd, ACCEPT), "cmp");
}
END_TEST

START_TEST(sets_and_elements_that_are_not_understood_are_refused) {
  new_ruleset();
  struct live_set *set = new_set(1, 1);
  set->elements[0] = (struct live_element){.first = BYTES(TCP), .last = BYTES(TCP)};
  set->unmodelled = "flag 0x1000";
  assert_refused(RULE(FORWARD, PROTOCOL(TCP), look_up(set), ACCEPT), "set");

  new_ruleset();
  set = new_set(1, 1);
  set->elements[0] = (struct live_element){.first = BYTES(TCP), .last = BYTES(TCP), .unmodelled = "attribute 20"};
  assert_refused(RULE(FORWARD, PROTOCOL(TCP), look_up(set), ACCEPT), "element");
}
END_TEST

START_TEST(not_in_a_set_with_a_catch_all_is_refused) {
  new_ruleset();
  struct live_set *set = new_set(1, 0);
  set->has_catch_all = true;
  struct live_expression lookup = look_up(set);
  lookup.flags = NFT_LOOKUP_F_INV;
  assert_refused(RULE(FORWARD, PROTOCOL(TCP), lookup, ACCEPT), "not in");
}
END_TEST

START_TEST(verdicts_that_lead_away_are_refused) {
  new_ruleset();
  assert_refused(RULE(FORWARD, PROTOCOL(TCP), verdict(LIVE_QUEUE, -1)), "queue");
  new_ruleset();
  assert_refused(RULE(FORWARD, PROTOCOL(TCP), verdict(LIVE_JUMP, -1)), "jump to nowhere");
}
END_TEST

START_TEST(chains_that_lead_in_circles_end) {
  new_ruleset();
  RULE(FORWARD, PROTOCOL(TCP), verdict(LIVE_JUMP, OTHER));
  RULE(FORWARD, ACCEPT);
  RULE(OTHER, verdict(LIVE_JUMP, FURTHER));
  RULE(FURTHER, verdict(LIVE_GOTO, OTHER));
  ck_assert_uint_eq(judge().undecided, whole(protocol(TCP)));
}
END_TEST

START_TEST(overlapping_elements_are_refused_where_they_disagree) {
  new_ruleset();
  struct live_set *set = new_set(8, 2);
  set->interval = set->concatenation = true;
  set->field_count = 2;
  set->field_lengths[0] = set->field_lengths[1] = 2;
  set->data_kind = LIVE_VERDICTS;
  set->elements[0] = (struct live_element){.first = BYTES(0, 10, 0, 0, 0, 0, 0, 0),
                                           .last = BYTES(0, 20, 0, 0, 255, 255, 0, 0),
                                           .verdict = {.code = LIVE_ACCEPT}};
  set->elements[1] = (struct live_element){
      .first = BYTES(0, 15, 0, 0, 0, 5, 0, 0), .last = BYTES(0, 30, 0, 0, 0, 9, 0, 0), .verdict = {.code = LIVE_DROP}};
  struct live_expression lookup = look_up(set), second = load(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2);
  lookup.verdict_map = true;
  second.destination = R1 + 4;
  RULE(FORWARD, PROTOCOL(TCP), load(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2), second, lookup);
  struct symbolic_result result = judge();
  diagram readable = diagram_and(store, whole(protocol(TCP)), of_number(FIELD_TRANSPORT_READABLE, 1));
  diagram both = DIAGRAM_FALSE;
  for (unsigned port = 15; port <= 20; port++)
    for (unsigned other = 5; other <= 9; other++)
      both =
          diagram_or(store, both,
                     diagram_and(store, of_number(FIELD_DESTINATION_PORT, port), of_number(FIELD_SOURCE_PORT, other)));
  ck_assert_uint_eq(result.undecided, diagram_and(store, both, readable));
  ck_assert(meets(result.must, of_number(FIELD_DESTINATION_PORT, 15)));
}
END_TEST

START_TEST(chains_of_one_priority_are_refused_only_when_their_order_matters) {
  const uint32_t mark = 5;
  for (int matters = 0; matters < 2; matters++) {
    new_ruleset();
    chains[EARLIER].priority = 0;
    RULE(EARLIER, value(&mark, 4), mark_set());
    RULE(FORWARD, ct(matters ? NFT_CT_MARK : NFT_CT_STATE), ACCEPT);
    struct symbolic_result result = judge();
    ck_assert_uint_eq(result.undecided, matters ? all_packets() : DIAGRAM_FALSE);
  }
}
END_TEST

/* ---- what cannot be known ---- */

static struct live_expression throttle(enum live_kind kind, const char *name) {
  struct live_expression expression = named(kind, name);
  expression.source = R1;
  return expression;
}

START_TEST(throttles_are_conditions) {
  static const enum live_kind kinds[] = {LIVE_LIMIT, LIVE_CONNLIMIT, LIVE_DYNSET, LIVE_OBJECT_REFERENCE};
  new_ruleset();
  struct live_expression expression = throttle(kinds[_i], "limit");
  expression.set = new_set(1, 0);
  expression.object = "limit";
  expression.operation = kinds[_i] == LIVE_OBJECT_REFERENCE ? 4 : NFT_DYNSET_OP_UPDATE;
  RULE(FORWARD, PROTOCOL(TCP), expression, ACCEPT);
  struct symbolic_result result = judge();
  ck_assert_uint_eq(result.may, whole(protocol(TCP)));
  ck_assert_uint_eq(result.must, result.may);
  ck_assert_uint_eq(result.throttled, result.may);
  ck_assert_uint_eq(result.throttle_count, 1);
  const struct unknown *unknown = space_unknown(space, result.throttles[0]);
  ck_assert_ptr_nonnull(unknown);
  ck_assert_int_eq(unknown->kind, UNKNOWN_THROTTLE);
  ck_assert_uint_eq(unknown->rule, 101);
}
END_TEST

START_TEST(what_only_counts_is_no_condition) {
  new_ruleset();
  struct live_expression slots = throttle(LIVE_DYNSET, "dynset");
  slots.set = new_set(1, 0);
  RULE(FORWARD, PROTOCOL(TCP), slots, named(LIVE_COUNTER, "counter"));
  RULE(FORWARD, PROTOCOL(TCP), throttle(LIVE_LIMIT, "limit"), named(LIVE_LOG, "log"));
  RULE(FORWARD, ACCEPT);
  struct symbolic_result result = judge();
  ck_assert_uint_eq(result.must, all_packets());
  ck_assert_uint_eq(result.throttled, DIAGRAM_FALSE);
  ck_assert_uint_eq(result.throttle_count, 0);
}
END_TEST

START_TEST(a_throttle_that_drops_is_a_condition_too) {
  new_ruleset();
  RULE(FORWARD, PROTOCOL(TCP), throttle(LIVE_LIMIT, "limit"), verdict(LIVE_DROP, -1));
  RULE(FORWARD, ACCEPT);
  struct symbolic_result result = judge();
  ck_assert_uint_eq(result.must, all_packets());
  ck_assert_uint_eq(result.throttled, whole(protocol(TCP)));
}
END_TEST

START_TEST(unknown_answers_let_pass_and_do_not_promise) {
  const struct live_expression rows[] = {named(LIVE_QUOTA, "quota"), meta(NFT_META_LEN), meta(NFT_META_SKUID),
                                         ct(NFT_CT_LABELS),          load(3, 0, 4),      named(LIVE_ASK, "fib")};
  new_ruleset();
  RULE(FORWARD, PROTOCOL(TCP), rows[_i], ACCEPT);
  struct symbolic_result result = judge();
  ck_assert_uint_eq(result.may, whole(protocol(TCP)));
  ck_assert_uint_eq(result.must, DIAGRAM_FALSE);
  ck_assert_uint_eq(result.undecided, DIAGRAM_FALSE);
  ck_assert_uint_eq(result.throttle_count, 0);
}
END_TEST

/* A rule that reads behind what a packet must have ends there; so what it would drop may pass. */
START_TEST(loads_behind_the_headers_may_find_nothing) {
  static const struct {
    unsigned base, offset, length;
    bool sure;
  } rows[] = {
      {NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, true},  {NFT_PAYLOAD_TRANSPORT_HEADER, 16, 4, true},
      {NFT_PAYLOAD_TRANSPORT_HEADER, 20, 1, false}, {NFT_PAYLOAD_TRANSPORT_HEADER, 100, 1, false},
      {NFT_PAYLOAD_NETWORK_HEADER, 200, 1, false},  {NFT_PAYLOAD_LL_HEADER, 6, 6, true},
      {NFT_PAYLOAD_LL_HEADER, 200, 1, false},
  };
  static const uint8_t nothing[6];
  new_ruleset();
  struct live_expression mask = {.kind = LIVE_BITWISE,
                                 .name = "bitwise",
                                 .source = R1,
                                 .destination = R1,
                                 .has_destination = true,
                                 .length = rows[_i].length,
                                 .data = nothing,
                                 .data_length = rows[_i].length,
                                 .data_to = nothing,
                                 .data_to_length = rows[_i].length};
  RULE(FORWARD, PROTOCOL(TCP), load(rows[_i].base, rows[_i].offset, rows[_i].length), mask,
       is(nothing, rows[_i].length), verdict(LIVE_DROP, -1));
  RULE(FORWARD, ACCEPT);
  struct symbolic_result result = judge();
  diagram readable = diagram_variable(store, space_field_variable(space, FIELD_TRANSPORT_READABLE, 0));
  diagram tcp = diagram_and(store, whole(protocol(TCP)), readable);
  ck_assert_int_eq(!meets(result.may, tcp), rows[_i].sure);
  ck_assert(!meets(result.must, tcp));
  ck_assert(within(whole(protocol(UDP)), result.must));
}
END_TEST

/* Ports are read of all that is readable; more only of what has so long a header. */
START_TEST(of_protocols_without_a_header_only_ports_are_sure) {
  new_ruleset();
  RULE(FORWARD, PROTOCOL(99), load(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 4), load(NFT_PAYLOAD_TRANSPORT_HEADER, 6, 2),
       verdict(LIVE_DROP, -1));
  RULE(FORWARD, ACCEPT);
  struct symbolic_result result = judge();
  ck_assert(within(whole(protocol(99)), result.may));
}
END_TEST

START_TEST(chains_that_rewrite_addresses_have_a_place_of_their_own) {
  static const uint32_t five = 5;
  new_ruleset();
  chains[EARLIER].type = "nat";
  chains[EARLIER].hook = chains[FORWARD].hook = NF_INET_POST_ROUTING;
  chains[EARLIER].priority = 300; /* and yet it is asked at 100 */
  chains[FORWARD].priority = 200;
  RULE(EARLIER, value(&five, 4), mark_set());
  RULE(FORWARD, ct(NFT_CT_MARK), is((const uint8_t *)&five, 4), ACCEPT);
  ck_assert_uint_eq(judge().must, all_packets());
}
END_TEST

START_TEST(what_is_taken_away_from_conntrack_meets_no_chain_that_rewrites_addresses) {
  new_ruleset();
  chains[EARLIER].type = "nat";
  chains[EARLIER].hook = NF_INET_POST_ROUTING;
  chains[EARLIER].policy_accept = false;
  chains[OTHER].base = chains[OTHER].policy_accept = true;
  chains[OTHER].hook = NF_INET_PRE_ROUTING;
  chains[OTHER].priority = -300;
  RULE(OTHER, PROTOCOL(TCP), named(LIVE_NOTRACK, "notrack"));
  RULE(FORWARD, ACCEPT);
  struct symbolic_result result = judge();
  chains[OTHER].base = false;
  ck_assert_uint_eq(result.must, whole(protocol(TCP)));
}
END_TEST

/* No packet has a length of its own choice, so nothing is promised where a rule asks for it. */
START_TEST(the_length_in_a_header_is_unknown) {
  new_ruleset();
  RULE(FORWARD, PROTOCOL(TCP), load(NFT_PAYLOAD_NETWORK_HEADER, 2, 2), is(BYTES(0, 40), 2), ACCEPT);
  struct symbolic_result result = judge();
  ck_assert_uint_eq(result.may, whole(protocol(TCP)));
  ck_assert_uint_eq(result.must, DIAGRAM_FALSE);
}
END_TEST

START_TEST(what_packets_change_is_unknown) {
  for (int by_rule = 0; by_rule < 2; by_rule++) {
    new_ruleset();
    struct live_set *set = new_set(1, 1);
    set->elements[0] = (struct live_element){.first = BYTES(TCP), .last = BYTES(TCP)};
    set->dynamic = !by_rule;
    if (by_rule) {
      struct live_expression add = named(LIVE_DYNSET, "dynset");
      add.set = set;
      add.source = R1;
      RULE(OTHER, PROTOCOL(UDP), add);
    }
    RULE(FORWARD, meta(NFT_META_L4PROTO), look_up(set), ACCEPT);
    struct symbolic_result result = judge();
    ck_assert_uint_eq(result.may, all_packets());
    ck_assert_uint_eq(result.must, DIAGRAM_FALSE);
  }
}
END_TEST

START_TEST(elements_with_limits_are_unknown_and_with_counters_are_not) {
  static const struct live_expression counter = {.kind = LIVE_COUNTER}, limit = {.kind = LIVE_LIMIT};
  new_ruleset();
  struct live_set *set = new_set(1, 2);
  set->elements[0] =
      (struct live_element){.first = BYTES(TCP), .last = BYTES(TCP), .expressions = &limit, .expression_count = 1};
  set->elements[1] =
      (struct live_element){.first = BYTES(UDP), .last = BYTES(UDP), .expressions = &counter, .expression_count = 1};
  RULE(FORWARD, meta(NFT_META_L4PROTO), look_up(set), ACCEPT);
  struct symbolic_result result = judge();
  ck_assert_uint_eq(result.may, whole(diagram_or(store, protocol(TCP), protocol(UDP))));
  ck_assert_uint_eq(result.must, whole(protocol(UDP)));
}
END_TEST

/* ---- chains ---- */

START_TEST(jump_goto_and_return_lead_where_the_kernel_goes) {
  new_ruleset();
  RULE(FORWARD, PROTOCOL(TCP), verdict(LIVE_JUMP, OTHER));
  RULE(FORWARD, PROTOCOL(TCP), ACCEPT);
  RULE(FORWARD, PROTOCOL(UDP), verdict(LIVE_GOTO, FURTHER));
  RULE(FORWARD, PROTOCOL(UDP), ACCEPT); /* nobody comes back from there */
  RULE(OTHER, verdict(LIVE_GOTO, FURTHER));
  RULE(OTHER, verdict(LIVE_DROP, -1));
  RULE(FURTHER, PROTOCOL(1), ACCEPT);
  RULE(FURTHER, PROTOCOL(UDP), verdict(LIVE_RETURN, -1));
  ck_assert_uint_eq(judge().must, whole(protocol(TCP)));
}
END_TEST

/* No kernel holds such chains, but a record may. */
START_TEST(chains_that_go_in_circles_are_not_gone_round_for_ever) {
  new_ruleset();
  RULE(FORWARD, PROTOCOL(TCP), verdict(LIVE_JUMP, OTHER));
  RULE(FORWARD, ACCEPT);
  for (int i = 0; i < 4; i++) {
    RULE(OTHER, verdict(LIVE_JUMP, FURTHER));
    RULE(FURTHER, verdict(LIVE_JUMP, OTHER));
    RULE(FURTHER, verdict(LIVE_GOTO, FURTHER));
  }
  struct symbolic_result result = judge();
  ck_assert_uint_eq(result.undecided, whole(protocol(TCP)));
  ck_assert(!meets(result.may, protocol(TCP)) && within(whole(protocol(UDP)), result.must));
  ck_assert_str_eq(result.unmodelled[0].why, "chain that leads to itself");
}
END_TEST

START_TEST(accept_ends_its_own_base_chain_only_and_drop_ends_all) {
  new_ruleset();
  RULE(EARLIER, PROTOCOL(TCP), ACCEPT);
  RULE(EARLIER, PROTOCOL(UDP), verdict(LIVE_DROP, -1));
  RULE(FORWARD, PROTOCOL(UDP), ACCEPT);
  RULE(FORWARD, PROTOCOL(1), ACCEPT);
  ck_assert_uint_eq(judge().must, whole(protocol(1)));
  tables[0].dormant = true;
  ck_assert_uint_eq(judge().must, all_packets());
}
END_TEST

START_TEST(what_a_rule_did_before_it_ended_stays) {
  const uint32_t mark = 7;
  new_ruleset();
  RULE(FORWARD, value(&mark, 4), mark_set(), PROTOCOL(TCP), verdict(LIVE_DROP, -1));
  RULE(FORWARD, ct(NFT_CT_MARK), is((const uint8_t *)&mark, 4), ACCEPT);
  struct symbolic_result result = judge();
  ck_assert_uint_eq(result.must, diagram_difference(store, all_packets(), protocol(TCP)));
  ck_assert_uint_eq(result.write_count, 1);
  ck_assert_uint_eq(diagram_support(store, result.writes[0].words), all_packets());
  ck_assert_uint_eq(diagram_support(store, result.mark), result.must);
}
END_TEST

START_TEST(a_mark_that_is_kept_in_part_says_so) {
  new_ruleset();
  uint32_t mask = 0x7fffffff, flip = 0x80000000;
  struct live_expression turn = {.kind = LIVE_BITWISE,
                                 .name = "bitwise",
                                 .source = R1,
                                 .destination = R1,
                                 .length = 4,
                                 .data = arena_memdup(arena, &mask, 4),
                                 .data_length = 4,
                                 .data_to = arena_memdup(arena, &flip, 4),
                                 .data_to_length = 4};
  RULE(FORWARD, ct(NFT_CT_MARK), turn, mark_set(), ACCEPT);
  struct symbolic_result result = judge_at(TRACKING_ORIGINAL, "lan0");
  uint8_t *bits = arena_alloc(arena, space_variable_count(space));
  uint32_t leaf = 0;
  ck_assert(diagram_value(store, result.mark, bits, &leaf));
  struct mark_word word = symbolic_mark(machine, leaf);
  ck_assert_uint_eq(word.keep, mask);
  ck_assert_uint_eq(word.flip, flip);
  ck_assert(!word.unknown);
}
END_TEST

START_TEST(a_mark_that_cannot_be_known_may_be_in_any_set) {
  new_ruleset();
  struct live_set *set = new_set(4, 1);
  set->elements[0] = (struct live_element){.first = BYTES(1, 2, 3, 4), .last = BYTES(1, 2, 3, 4)};
  RULE(FORWARD, meta(NFT_META_MARK), mark_set(), look_up(set), ACCEPT);
  struct symbolic_result result = judge();
  ck_assert_uint_eq(result.may, all_packets());
  ck_assert_uint_eq(result.must, DIAGRAM_FALSE);
}
END_TEST

START_TEST(what_is_remembered_of_a_chain_is_not_taken_for_another_interface) {
  new_ruleset();
  static const uint8_t lan[16] = "lan0";
  RULE(FORWARD, meta(NFT_META_IIFNAME), is(lan, 16), verdict(LIVE_JUMP, OTHER));
  RULE(OTHER, PROTOCOL(TCP), ACCEPT);
  machine = symbolic_new(&ruleset, NULL, space, store, arena);
  static const char *const names[] = {"lan0", "lan1", NULL, "lan0"};
  for (size_t i = 0; i < 4; i++) {
    struct situation situation = {PATH_FORWARD, names[i], "wan0", FAMILY_IPV4, TRACKING_OPENS};
    struct symbolic_result result;
    ck_assert_int_eq(symbolic_judge(machine, &situation, &result), 0);
    ck_assert_int_eq(result.must != DIAGRAM_FALSE, i == 0 || i == 3);
  }
}
END_TEST

START_TEST(interfaces_are_named_by_name_prefix_and_range) {
  new_ruleset();
  static const uint8_t lan[16] = "lan0";
  RULE(FORWARD, meta(NFT_META_IIFNAME), is(lan, 16), ACCEPT);
  RULE(FORWARD, meta(NFT_META_OIFNAME), is(BYTES('t', 'u', 'n'), 3), ACCEPT);
  struct live_set *set = new_set(16, 1);
  static const uint8_t first[16] = "eth", last[16] = "eti";
  set->elements[0] = (struct live_element){.first = first, .last = last};
  RULE(OTHER, meta(NFT_META_OIFNAME), look_up(set), ACCEPT);
  RULE(OTHER, load(NFT_PAYLOAD_NETWORK_HEADER, 12, 4), is(BYTES('w', 'a', 'n', '0'), 4), ACCEPT);
  machine = symbolic_new(&ruleset, NULL, space, store, arena);
  ck_assert(symbolic_names_interface(machine, "lan0"));
  ck_assert(symbolic_names_interface(machine, "tun5"));
  ck_assert(symbolic_names_interface(machine, "eth3"));
  ck_assert(!symbolic_names_interface(machine, "lan1"));
  ck_assert(!symbolic_names_interface(machine, "wan0"));
}
END_TEST

static bool leave_first_out(void *context, const struct live_set *set, const struct live_element *element) {
  (void)context;
  return element == &set->elements[0];
}

START_TEST(elements_that_are_left_out_are_not_there) {
  new_ruleset();
  struct live_set *set = new_set(1, 2);
  set->elements[0] = (struct live_element){.first = BYTES(TCP), .last = BYTES(TCP)};
  set->elements[1] = (struct live_element){.first = BYTES(UDP), .last = BYTES(UDP)};
  RULE(FORWARD, meta(NFT_META_L4PROTO), look_up(set), ACCEPT);
  struct situation situation = {PATH_FORWARD, "lan0", "wan0", FAMILY_IPV4, TRACKING_OPENS};
  struct symbolic_result result;
  machine = symbolic_new(&ruleset, NULL, space, store, arena);
  symbolic_leave_out(machine, leave_first_out, NULL);
  ck_assert_int_eq(symbolic_judge(machine, &situation, &result), 0);
  ck_assert_uint_eq(result.must, whole(protocol(UDP)));
}
END_TEST

START_TEST(a_spent_store_is_told) {
  new_ruleset();
  RULE(FORWARD, load(NFT_PAYLOAD_NETWORK_HEADER, 12, 4), is(BYTES(10, 0, 0, 1), 4), ACCEPT);
  struct diagram_store *small = diagram_store_new(10);
  struct situation situation = {PATH_FORWARD, "lan0", "wan0", FAMILY_IPV4, TRACKING_OPENS};
  struct symbolic_result result;
  machine = symbolic_new(&ruleset, NULL, space, small, arena);
  ck_assert_int_lt(symbolic_judge(machine, &situation, &result), 0);
  diagram_store_free(small);
}
END_TEST

/* A field of a key under a mask, in a set of ranges: 10.0.x.7, x free, between 10.0.4.0 and 10.0.9.3. */
START_TEST(ranges_are_met_by_keys_with_fixed_bits_among_free_ones) {
  new_ruleset();
  struct live_set *set = new_set(4, 1);
  set->interval = true;
  set->elements[0] = (struct live_element){.first = BYTES(10, 0, 4, 0), .last = BYTES(10, 0, 9, 3)};
  struct live_expression fix = {.kind = LIVE_BITWISE,
                                .name = "bitwise",
                                .source = R1,
                                .destination = R1,
                                .length = 4,
                                .data = BYTES(0, 0, 255, 0),
                                .data_length = 4,
                                .data_to = BYTES(10, 0, 0, 7),
                                .data_to_length = 4};
  RULE(FORWARD, load(NFT_PAYLOAD_NETWORK_HEADER, 12, 4), fix, look_up(set), ACCEPT);
  struct symbolic_result result = judge();
  struct diagram_field third = space_field(space, FIELD_SOURCE, 24);
  third.variables += 16;
  third.width = 8;
  ck_assert_uint_eq(result.must, whole(diagram_range(store, &third, BYTES(4), BYTES(8))));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("symbolic");
  TCase *tests = tcase_create("symbolic");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_loop_test(tests, what_cannot_be_followed_is_refused_for_those_that_meet_it, 0, 29);
  tcase_add_test(tests, every_row_of_the_refused_is_run);
  tcase_add_test(tests, an_attribute_that_nobody_knows_is_refused_wherever_it_stands);
  tcase_add_test(tests, a_register_that_the_rule_did_not_write_is_refused);
  tcase_add_test(tests, sets_and_elements_that_are_not_understood_are_refused);
  tcase_add_test(tests, not_in_a_set_with_a_catch_all_is_refused);
  tcase_add_test(tests, verdicts_that_lead_away_are_refused);
  tcase_add_test(tests, chains_that_lead_in_circles_end);
  tcase_add_test(tests, overlapping_elements_are_refused_where_they_disagree);
  tcase_add_test(tests, chains_of_one_priority_are_refused_only_when_their_order_matters);
  tcase_add_loop_test(tests, throttles_are_conditions, 0, 4);
  tcase_add_test(tests, what_only_counts_is_no_condition);
  tcase_add_test(tests, a_throttle_that_drops_is_a_condition_too);
  tcase_add_loop_test(tests, unknown_answers_let_pass_and_do_not_promise, 0, 6);
  tcase_add_loop_test(tests, loads_behind_the_headers_may_find_nothing, 0, 7);
  tcase_add_test(tests, of_protocols_without_a_header_only_ports_are_sure);
  tcase_add_test(tests, chains_that_rewrite_addresses_have_a_place_of_their_own);
  tcase_add_test(tests, what_is_taken_away_from_conntrack_meets_no_chain_that_rewrites_addresses);
  tcase_add_test(tests, the_length_in_a_header_is_unknown);
  tcase_add_test(tests, what_packets_change_is_unknown);
  tcase_add_test(tests, elements_with_limits_are_unknown_and_with_counters_are_not);
  tcase_add_test(tests, jump_goto_and_return_lead_where_the_kernel_goes);
  tcase_add_test(tests, chains_that_go_in_circles_are_not_gone_round_for_ever);
  tcase_add_test(tests, accept_ends_its_own_base_chain_only_and_drop_ends_all);
  tcase_add_test(tests, what_a_rule_did_before_it_ended_stays);
  tcase_add_test(tests, a_mark_that_is_kept_in_part_says_so);
  tcase_add_test(tests, a_mark_that_cannot_be_known_may_be_in_any_set);
  tcase_add_test(tests, what_is_remembered_of_a_chain_is_not_taken_for_another_interface);
  tcase_add_test(tests, interfaces_are_named_by_name_prefix_and_range);
  tcase_add_test(tests, elements_that_are_left_out_are_not_there);
  tcase_add_test(tests, a_spent_store_is_told);
  tcase_add_test(tests, ranges_are_met_by_keys_with_fixed_bits_among_free_ones);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
