/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proof/bypass.h"

/* Machines and rulesets made by hand: each way round is found, and the same machine without it has none. */

enum { LEFT, RIGHT, OFFICE, ZONES };

static struct text left_names[] = {{.text = "left0"}}, right_names[] = {{.text = "right0"}, {.text = "right1"}},
                   office_names[] = {{.text = "br-office"}};
static struct address_range left_range = {{FAMILY_IPV4, {10, 1, 0, 0}}, {FAMILY_IPV4, {10, 1, 0, 255}}};
static struct address_range right_range = {{FAMILY_IPV4, {10, 2, 0, 0}}, {FAMILY_IPV4, {10, 2, 0, 255}}};
static struct address_range office_range = {{FAMILY_IPV4, {10, 3, 0, 0}}, {FAMILY_IPV4, {10, 3, 0, 255}}};
static struct zone zones[ZONES] = {
    [LEFT] = {.name = "left", .label = "", .interfaces = left_names, .interface_count = 1, .local = {&left_range, 1}},
    [RIGHT] =
        {.name = "right", .label = "", .interfaces = right_names, .interface_count = 2, .local = {&right_range, 1}},
    [OFFICE] =
        {.name = "office", .label = "", .interfaces = office_names, .interface_count = 1, .local = {&office_range, 1}},
};

static struct policy policy;
static struct arena *arena;
static struct surroundings machine;
static struct live_table tables[4];
static struct live_ruleset ruleset;
static struct bypass *found;
static size_t found_count;

enum { LO = 1, LEFT0, RIGHT0, BR_OFFICE, ETH9, SPARE, SPARE2, SPARE3, LINKS = SPARE3 };

static struct link links[LINKS + 1];
static struct machine_fact facts[4];
static struct listener listeners[4];
static struct other_namespace spaces[2];
static struct passage passages[4];

static struct link link_of(unsigned index, const char *name, const char *kind) {
  return (struct link){.name = name, .index = index, .kind = kind, .master_kind = "", .up = true};
}

static void set_up(void) {
  arena = arena_new(0);
  policy = (struct policy){.header.language = LANGUAGE_ENGLISH, .zones = zones, .zone_count = ZONES};
  memset(links, 0, sizeof(links));
  links[LO] = link_of(LO, "lo", "");
  links[LEFT0] = link_of(LEFT0, "left0", "");
  links[RIGHT0] = link_of(RIGHT0, "right0", "");
  links[BR_OFFICE] = link_of(BR_OFFICE, "br-office", "bridge");
  links[ETH9] = link_of(ETH9, "eth9", "");
  links[ETH9].master = BR_OFFICE;
  links[ETH9].master_kind = "bridge";
  machine = (struct surroundings){.known = true,
                                  .links = links + 1,
                                  .link_count = ETH9,
                                  .facts = facts,
                                  .listeners = listeners,
                                  .listeners_known = true,
                                  .forwarding4 = true,
                                  .namespaces = spaces,
                                  .passages = passages};
  memset(tables, 0, sizeof(tables));
  tables[0] = (struct live_table){.family = NFPROTO_INET, .name = "kido"};
  ruleset = (struct live_ruleset){.tables = tables, .table_count = 1};
}

static void tear_down(void) {
  arena = arena_free(arena);
}

static void search(void) {
  ck_assert_int_eq(bypass_find(&policy, &ruleset, &machine, arena, &found, &found_count), 0);
}

static const struct link *add_link(const struct link *link) {
  links[link->index] = *link;
  machine.link_count = link->index > machine.link_count ? link->index : machine.link_count;
  return &links[link->index];
}

static const char *all_found(void) {
  char *text = arena_strdup(arena, "");
  for (size_t i = 0; i < found_count; i++) {
    text = arena_printf(arena, "%s\n  %s %d: %s", text, found[i].kind, (int)found[i].state, found[i].detail);
  }
  return text;
}

static void expect_none(void) {
  search();
  ck_assert_msg(found_count == 0, "found:%s", all_found());
}

static const struct bypass *expect_one(const char *kind, enum bypass_state state, zone_index left, zone_index right) {
  search();
  ck_assert_msg(found_count == 1, "%zu found:%s", found_count, all_found());
  ck_assert_str_eq(found[0].kind, kind);
  ck_assert_msg(found[0].state == state, "state:%s", all_found());
  ck_assert_int_eq(found[0].left, left);
  ck_assert_int_eq(found[0].right, right);
  return &found[0];
}

static void mentions(const struct bypass *bypass, const char *word) {
  ck_assert_msg(strstr(bypass->detail, word) != NULL, "'%s' not in: %s", word, bypass->detail);
}

START_TEST(a_clean_machine_has_no_way_round) {
  expect_none();
}
END_TEST

START_TEST(a_bridge_that_is_a_zone_s_interface_may_have_ports_without_a_zone) {
  add_link(&(struct link){
      .name = "tap7", .index = SPARE, .kind = "", .master_kind = "bridge", .master = BR_OFFICE, .up = true});
  expect_none();
}
END_TEST

/* ---- wires ---- */

static void enslave(unsigned port, unsigned master, const char *kind) {
  links[port].master = master;
  links[port].master_kind = kind;
}

START_TEST(a_master_with_ports_of_two_zones_is_open) {
  static const struct {
    const char *kind, *found;
    enum bypass_state state;
  } cases[] = {{"bridge", "bridge", BYPASS_OPEN},
               {"bond", "bond", BYPASS_OPEN},
               {"team", "bond", BYPASS_OPEN},
               {"openvswitch", "bridge", BYPASS_UNKNOWN}};
  struct link master = link_of(SPARE, "m0", cases[_i].kind);
  add_link(&master);
  enslave(LEFT0, SPARE, cases[_i].kind);
  enslave(RIGHT0, SPARE, cases[_i].kind);
  const struct bypass *bypass = expect_one(cases[_i].found, cases[_i].state, LEFT, RIGHT);
  mentions(bypass, "left0");
  mentions(bypass, "right0");
  mentions(bypass, "m0");
}
END_TEST

START_TEST(a_port_of_one_zone_in_the_bridge_of_another_is_open) {
  enslave(LEFT0, BR_OFFICE, "bridge");
  expect_one("bridge", BYPASS_OPEN, OFFICE, LEFT);
}
END_TEST

START_TEST(a_bridge_that_is_down_or_keeps_frames_apart_is_not_certain) {
  add_link(&(struct link){
      .name = "br9", .index = SPARE, .kind = "bridge", .master_kind = "", .up = _i != 0, .bridge_vlans = _i == 1});
  enslave(LEFT0, SPARE, "bridge");
  enslave(RIGHT0, SPARE, "bridge");
  links[RIGHT0].bridge_isolated = _i == 2;
  links[LEFT0].up = _i != 3;
  expect_one("bridge", BYPASS_UNKNOWN, LEFT, RIGHT);
}
END_TEST

START_TEST(a_zone_s_port_in_a_bridge_without_a_zone_is_told) {
  struct link master = link_of(SPARE, "br9", "bridge"), other = link_of(SPARE2, "eth7", "");
  other.master = SPARE;
  add_link(&master);
  add_link(&other);
  enslave(LEFT0, SPARE, "bridge");
  mentions(expect_one("bridge", BYPASS_UNKNOWN, LEFT, ZONE_NONE), "eth7");
}
END_TEST

START_TEST(a_cable_between_two_zones_is_open_also_through_bridges) {
  struct link one = link_of(SPARE, "v0", "veth"), other = link_of(SPARE2, "v1", "veth"),
              bridge = link_of(SPARE3, "br9", "bridge");
  one.parent = SPARE2;
  one.master = BR_OFFICE;
  other.parent = SPARE;
  other.master = SPARE3;
  add_link(&one);
  add_link(&other);
  add_link(&bridge);
  expect_none();
  enslave(RIGHT0, SPARE3, "bridge");
  expect_one("veth", BYPASS_OPEN, RIGHT, OFFICE);
}
END_TEST

START_TEST(a_veth_that_leads_elsewhere_is_no_cable_here) {
  links[LEFT0].kind = "veth";
  links[LEFT0].parent = RIGHT0; /* a number of the other namespace */
  links[LEFT0].peer_elsewhere = true;
  expect_none();
  links[LEFT0].peer_elsewhere = false;
  expect_one("veth", BYPASS_OPEN, RIGHT, LEFT);
}
END_TEST

START_TEST(a_zone_on_top_of_another_zone_s_interface_is_open) {
  static const char *const kinds[] = {"macvlan", "macvtap", "ipvlan", "ipvtap"};
  struct link top = link_of(SPARE, "right1", kinds[_i]);
  top.parent = LEFT0;
  add_link(&top);
  expect_one("macvlan", BYPASS_OPEN, LEFT, RIGHT);
  links[SPARE].name = "mv0"; /* without a zone: what comes by it is denied */
  expect_none();
  links[SPARE].name = "right1";
  links[SPARE].kind = "vlan"; /* frames of its own tag */
  expect_none();
}
END_TEST

START_TEST(a_vrf_hides_the_interface) {
  struct link vrf = link_of(SPARE, "vrf1", "vrf");
  add_link(&vrf);
  expect_none();
  enslave(LEFT0, SPARE, "vrf");
  expect_one("vrf", BYPASS_UNKNOWN, LEFT, ZONE_NONE);
}
END_TEST

START_TEST(a_tunnel_on_a_zone_s_wire_or_over_another_s_is_told) {
  struct link tunnel = link_of(SPARE, "vx0", "vxlan");
  add_link(&tunnel);
  expect_none();
  links[SPARE].master = BR_OFFICE;
  expect_one("tunnel", BYPASS_UNKNOWN, OFFICE, ZONE_NONE);
  links[SPARE].master = 0;
  links[SPARE].name = "right1";
  expect_none();
  links[SPARE].parent = LEFT0;
  expect_one("tunnel", BYPASS_UNKNOWN, RIGHT, LEFT);
}
END_TEST

START_TEST(the_program_behind_a_tun_is_assumed_to_be_the_zone) {
  links[LEFT0].kind = "tun";
  mentions(expect_one("tun", BYPASS_ASSUMED, ZONE_NONE, ZONE_NONE), "left0");
}
END_TEST

START_TEST(two_zones_in_one_other_namespace_are_judged_by_what_it_does) {
  static const struct {
    struct other_namespace space;
    unsigned masters[2];
    enum bypass_state state;
  } cases[] = {
      {{"n", false, false}, {0, 0}, BYPASS_UNKNOWN}, {{"n", true, true}, {0, 0}, BYPASS_UNKNOWN},
      {{"n", true, false}, {0, 0}, BYPASS_ASSUMED},  {{"n", true, false}, {5, 6}, BYPASS_ASSUMED},
      {{"n", true, false}, {5, 5}, BYPASS_OPEN},
  };
  spaces[0] = spaces[1] = cases[_i].space;
  machine.namespace_count = 2;
  passages[0] = (struct passage){"left0", "a", "veth", 0, cases[_i].masters[0]};
  passages[1] = (struct passage){"right0", "b", "veth", 0, cases[_i].masters[1]};
  machine.passage_count = 2;
  expect_one("namespace", cases[_i].state, LEFT, RIGHT);
  passages[1].space = 1;
  expect_none();
  passages[1] = (struct passage){"lo", "b", "veth", 0, cases[_i].masters[1]};
  expect_none();
}
END_TEST

/* ---- facts ---- */

START_TEST(an_xdp_program_is_not_known) {
  links[LEFT0].xdp = true;
  expect_one("xdp", BYPASS_UNKNOWN, LEFT, ZONE_NONE);
}
END_TEST

START_TEST(a_redirect_is_open_between_zones_only) {
  static const struct {
    const char *from, *to;
    enum machine_fact_state fact;
    enum bypass_state state;
    zone_index left, right;
  } cases[] = {
      {"left0", "right0", FACT_BAD, BYPASS_OPEN, LEFT, RIGHT},
      {"eth9", "right0", FACT_BAD, BYPASS_OPEN, OFFICE, RIGHT},
      {"left0", "lo", FACT_BAD, BYPASS_UNKNOWN, LEFT, ZONE_NONE},
      {"left0", NULL, FACT_UNKNOWN, BYPASS_UNKNOWN, LEFT, ZONE_NONE},
      {"left0", "right0", FACT_UNKNOWN, BYPASS_UNKNOWN, LEFT, RIGHT},
  };
  facts[0] = (struct machine_fact){.kind = "tc",
                                   .subject = "ingress",
                                   .detail = "mirred",
                                   .state = cases[_i].fact,
                                   .links = {cases[_i].from, cases[_i].to}};
  machine.fact_count = 1;
  expect_one("tc", cases[_i].state, cases[_i].left, cases[_i].right);
}
END_TEST

START_TEST(a_detour_by_a_shaper_is_followed) {
  struct link shaper = link_of(SPARE, "ifb0", "ifb");
  add_link(&shaper);
  facts[0] = (struct machine_fact){
      .kind = "tc", .subject = "ingress", .detail = "mirred", .state = FACT_BAD, .links = {"left0", "ifb0"}};
  machine.fact_count = 1;
  expect_none();
  facts[1] = (struct machine_fact){
      .kind = "tc", .subject = "egress", .detail = "mirred", .state = FACT_BAD, .links = {"ifb0", "right0"}};
  machine.fact_count = 2;
  expect_one("tc", BYPASS_OPEN, LEFT, RIGHT);
}
END_TEST

START_TEST(a_fact_is_judged_by_its_state) {
  static const struct {
    enum machine_fact_state fact;
    enum bypass_state state;
  } cases[] = {{FACT_BAD, BYPASS_UNKNOWN}, {FACT_UNKNOWN, BYPASS_UNKNOWN}, {FACT_UNSEEN, BYPASS_ASSUMED}};
  static const char *const kinds[] = {"sysctl", "legacy", "ipvs", "routing", "xfrm", "mpls", "bpf", "macvlan"};
  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    facts[0] = (struct machine_fact){
        .kind = kinds[i], .subject = "the subject", .detail = "the detail", .state = cases[_i].fact};
    machine.fact_count = 1;
    const struct bypass *bypass = expect_one(kinds[i], cases[_i].state, ZONE_NONE, ZONE_NONE);
    mentions(bypass, "the subject");
    mentions(bypass, "the detail");
    facts[0].state = FACT_GOOD;
    expect_none();
  }
}
END_TEST

/* ---- tables ---- */

START_TEST(a_ruleset_without_our_table_is_open) {
  ruleset.table_count = 0;
  expect_one("forwarding", BYPASS_OPEN, ZONE_NONE, ZONE_NONE);
  machine.forwarding4 = false;
  expect_one("table", BYPASS_OPEN, ZONE_NONE, ZONE_NONE);
  machine.forwarding6 = true;
  expect_one("forwarding", BYPASS_OPEN, ZONE_NONE, ZONE_NONE);
}
END_TEST

START_TEST(a_dormant_table_is_open_and_another_kido_is_none) {
  tables[0].dormant = true;
  mentions(expect_one("forwarding", BYPASS_OPEN, ZONE_NONE, ZONE_NONE), "dormant");
  tables[0].dormant = false;
  tables[0].family = NFPROTO_IPV4;
  expect_one("forwarding", BYPASS_OPEN, ZONE_NONE, ZONE_NONE);
}
END_TEST

/* ---- rules of others ---- */

enum { CHAINS = 3, EXPRESSIONS = 8 };
static struct live_chain chains[CHAINS];
static struct live_rule rules[CHAINS];
static struct live_expression expressions[CHAINS][EXPRESSIONS];

/* A second table with one base chain with one rule, and two chains beside. */
static void add_table(unsigned family, const char *type) {
  memset(chains, 0, sizeof(chains));
  memset(rules, 0, sizeof(rules));
  memset(expressions, 0, sizeof(expressions));
  static const char *const names[] = {"base", "second", "third"};
  for (size_t i = 0; i < CHAINS; i++) {
    rules[i] = (struct live_rule){.handle = 40 + i, .comment = "", .expressions = expressions[i]};
    chains[i] = (struct live_chain){
        .table = &tables[1], .name = names[i], .rules = &rules[i], .rule_count = 1, .policy_accept = true};
  }
  chains[0].base = true;
  chains[0].type = type;
  tables[1] = (struct live_table){.family = family, .name = "foreign", .chains = chains, .chain_count = CHAINS};
  ruleset.table_count = 2;
}

static void add_expression(size_t chain, struct live_expression expression) {
  expressions[chain][rules[chain].expression_count++] = expression;
}

static void add_jump(size_t from, size_t to) {
  add_expression(
      from, (struct live_expression){
                .kind = LIVE_IMMEDIATE, .name = "immediate", .is_verdict = true, .verdict = {LIVE_JUMP, &chains[to]}});
}

static void add_named(size_t chain, enum live_kind kind, const char *name) {
  add_expression(chain, (struct live_expression){.kind = kind, .name = name, .unmodelled = "effects", .source = 16});
}

static void add_number(size_t chain, const uint32_t *number) {
  add_expression(chain, (struct live_expression){.kind = LIVE_IMMEDIATE,
                                                 .name = "immediate",
                                                 .destination = 16,
                                                 .has_destination = true,
                                                 .data = (const uint8_t *)number,
                                                 .data_length = sizeof(*number)});
}

static void add_interface_match(size_t chain, unsigned key, const char *name) {
  uint8_t *value = arena_alloc(arena, 16);
  memcpy(value, name, strlen(name));
  add_expression(chain, (struct live_expression){
                            .kind = LIVE_META, .name = "meta", .key = key, .destination = 16, .has_destination = true});
  add_expression(chain, (struct live_expression){.kind = LIVE_COMPARE,
                                                 .name = "cmp",
                                                 .operation = NFT_CMP_EQ,
                                                 .source = 16,
                                                 .data = value,
                                                 .data_length = 16});
}

static void add_source_match(size_t chain, const char *bytes) {
  add_expression(chain, (struct live_expression){.kind = LIVE_PAYLOAD,
                                                 .name = "payload",
                                                 .base = NFT_PAYLOAD_NETWORK_HEADER,
                                                 .offset = 12,
                                                 .length = 2,
                                                 .destination = 16,
                                                 .has_destination = true});
  add_expression(chain, (struct live_expression){.kind = LIVE_COMPARE,
                                                 .name = "cmp",
                                                 .operation = NFT_CMP_EQ,
                                                 .source = 16,
                                                 .data = (const uint8_t *)bytes,
                                                 .data_length = 2});
}

START_TEST(what_a_rule_of_another_table_does_is_judged) {
  static const struct {
    enum live_kind expression;
    const char *name, *kind;
    enum bypass_state state;
  } cases[] = {
      {LIVE_NAT, "nat", "nat", BYPASS_OPEN},
      {LIVE_NAT, "masq", "nat", BYPASS_OPEN},
      {LIVE_NAT, "redir", "nat", BYPASS_OPEN},
      {LIVE_OTHER, "flow_offload", "flowtable", BYPASS_OPEN},
      {LIVE_OTHER, "tproxy", "tproxy", BYPASS_UNKNOWN},
      {LIVE_OTHER, "queue", "queue", BYPASS_UNKNOWN},
      {LIVE_OTHER, "synproxy", "synproxy", BYPASS_UNKNOWN},
      {LIVE_OTHER, "dup", "dup", BYPASS_UNKNOWN},
  };
  add_table(NFPROTO_IPV4, "filter");
  expect_none();
  add_named(0, cases[_i].expression, cases[_i].name);
  const struct bypass *bypass = expect_one(cases[_i].kind, cases[_i].state, ZONE_NONE, ZONE_NONE);
  mentions(bypass, "foreign");
  mentions(bypass, "handle 40");
  ck_assert_ptr_eq(bypass->rule, &rules[0]);
  tables[1].dormant = true;
  expect_none();
}
END_TEST

START_TEST(a_rule_counts_only_where_packets_reach_it) {
  add_table(NFPROTO_IPV4, "nat");
  add_named(2, LIVE_NAT, "masq");
  expect_none();
  add_jump(1, 2);
  expect_none();
  add_jump(0, 1);
  const struct bypass *bypass = expect_one("nat", BYPASS_OPEN, ZONE_NONE, ZONE_NONE);
  ck_assert_ptr_eq(bypass->chain, &chains[2]);
}
END_TEST

START_TEST(a_verdict_map_leads_to_chains_too) {
  static struct live_element elements[1];
  static struct live_set map;
  elements[0] = (struct live_element){.verdict = {LIVE_GOTO, &chains[1]}};
  map = (struct live_set){.data_kind = LIVE_VERDICTS, .elements = elements, .element_count = _i == 0};
  map.catch_all.verdict = (struct live_verdict){LIVE_GOTO, _i == 0 ? NULL : &chains[1]};
  add_table(NFPROTO_IPV4, "nat");
  add_named(1, LIVE_NAT, "masq");
  add_expression(0, (struct live_expression){.kind = LIVE_LOOKUP, .name = "lookup", .verdict_map = true, .set = &map});
  expect_one("nat", BYPASS_OPEN, ZONE_NONE, ZONE_NONE);
}
END_TEST

START_TEST(translation_of_what_is_no_zone_s_is_no_finding) {
  add_table(NFPROTO_IPV4, "nat");
  switch (_i) {
  case 0:
    add_interface_match(0, NFT_META_IIFNAME, "docker0");
    break;
  case 1:
    add_interface_match(0, NFT_META_OIFNAME, "docker0");
    break;
  default:
    add_source_match(0, "\xac\x11");
    break;
  }
  add_named(0, LIVE_NAT, "masq");
  expect_none();
}
END_TEST

START_TEST(a_source_counts_only_in_rules_for_ipv4) {
  static const uint8_t ipv4 = NFPROTO_IPV4, ipv6 = NFPROTO_IPV6;
  add_table(_i == 0 ? NFPROTO_IPV6 : NFPROTO_INET, "nat");
  if (_i >= 2) {
    add_expression(
        0, (struct live_expression){
               .kind = LIVE_META, .name = "meta", .key = NFT_META_NFPROTO, .destination = 16, .has_destination = true});
    add_expression(0, (struct live_expression){.kind = LIVE_COMPARE,
                                               .name = "cmp",
                                               .operation = NFT_CMP_EQ,
                                               .source = 16,
                                               .data = _i == 2 ? &ipv6 : &ipv4,
                                               .data_length = 1});
  }
  add_source_match(0, "\xac\x11");
  add_named(0, LIVE_NAT, "masq");
  if (_i == 3) {
    expect_none();
  } else {
    expect_one("nat", BYPASS_OPEN, ZONE_NONE, ZONE_NONE);
  }
}
END_TEST

START_TEST(translation_that_may_be_a_zone_s_is_open) {
  add_table(NFPROTO_IPV4, "nat");
  switch (_i) {
  case 0:
    add_interface_match(0, NFT_META_IIFNAME, "left0");
    break;
  case 1:
    add_interface_match(0, NFT_META_OIFNAME, "right0");
    break;
  case 2:
    add_source_match(0, "\x0a\x01");
    break;
  case 3: /* not that interface */
    add_interface_match(0, NFT_META_IIFNAME, "docker0");
    expressions[0][1].operation = NFT_CMP_NEQ;
    break;
  default: /* a name that ends in '*' */
    add_interface_match(0, NFT_META_IIFNAME, "dock");
    expressions[0][1].data_length = 4;
    break;
  }
  add_named(0, LIVE_NAT, "masq");
  expect_one("nat", BYPASS_OPEN, ZONE_NONE, ZONE_NONE);
}
END_TEST

START_TEST(a_verdict_that_asks_a_program_is_told) {
  add_table(NFPROTO_INET, "filter");
  add_expression(0,
                 (struct live_expression){
                     .kind = LIVE_IMMEDIATE, .name = "immediate", .is_verdict = true, .verdict = {.code = LIVE_QUEUE}});
  expect_one("queue", BYPASS_UNKNOWN, ZONE_NONE, ZONE_NONE);
}
END_TEST

START_TEST(rewriting_is_open_where_the_rules_judge_by_it) {
  static const struct {
    unsigned family, base, offset, length;
    const char *kind; /* NULL: no finding */
    enum bypass_state state;
  } cases[] = {
      {NFPROTO_IPV4, NFT_PAYLOAD_NETWORK_HEADER, 12, 4, "rewrite", BYPASS_OPEN},
      {NFPROTO_IPV4, NFT_PAYLOAD_NETWORK_HEADER, 16, 4, "rewrite", BYPASS_OPEN},
      {NFPROTO_IPV4, NFT_PAYLOAD_NETWORK_HEADER, 1, 1, NULL, BYPASS_OPEN},
      {NFPROTO_IPV4, NFT_PAYLOAD_NETWORK_HEADER, 8, 2, NULL, BYPASS_OPEN},
      {NFPROTO_IPV6, NFT_PAYLOAD_NETWORK_HEADER, 7, 1, NULL, BYPASS_OPEN},
      {NFPROTO_IPV6, NFT_PAYLOAD_NETWORK_HEADER, 24, 16, "rewrite", BYPASS_OPEN},
      {NFPROTO_NETDEV, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, "rewrite", BYPASS_OPEN},
      {NFPROTO_INET, NFT_PAYLOAD_TRANSPORT_HEADER, 4, 2, NULL, BYPASS_OPEN},
      {NFPROTO_NETDEV, NFT_PAYLOAD_LL_HEADER, 0, 6, "rewrite", BYPASS_UNKNOWN},
  };
  add_table(cases[_i].family, "filter");
  add_expression(0, (struct live_expression){.kind = LIVE_PAYLOAD_SET,
                                             .name = "payload",
                                             .base = cases[_i].base,
                                             .offset = cases[_i].offset,
                                             .length = cases[_i].length});
  if (cases[_i].kind != NULL) {
    expect_one(cases[_i].kind, cases[_i].state, ZONE_NONE, ZONE_NONE);
  } else {
    expect_none();
  }
}
END_TEST

START_TEST(what_is_sent_to_a_device_is_open_between_zones) {
  static const uint32_t right = RIGHT0, left = LEFT0, nowhere = 77;
  static const struct {
    const char *name, *device;
    const uint32_t *target;
    enum bypass_state state;
    zone_index left, right;
  } cases[] = {
      {"fwd", "left0", &right, BYPASS_OPEN, LEFT, RIGHT},
      {"dup", "left0", &right, BYPASS_OPEN, LEFT, RIGHT},
      {"fwd", "eth9", &right, BYPASS_OPEN, OFFICE, RIGHT},
      {"fwd", "left0", &left, BYPASS_UNKNOWN, LEFT, LEFT},
      {"fwd", "left0", &nowhere, BYPASS_UNKNOWN, LEFT, ZONE_NONE},
      {"fwd", "lo", &right, BYPASS_UNKNOWN, ZONE_NONE, RIGHT},
      {"fwd", "left0", NULL, BYPASS_UNKNOWN, LEFT, ZONE_NONE},
  };
  const char *devices[] = {cases[_i].device};
  add_table(NFPROTO_NETDEV, "filter");
  chains[0].devices = devices;
  chains[0].device_count = 1;
  if (cases[_i].target != NULL) {
    add_number(0, cases[_i].target);
  }
  add_named(0, LIVE_OTHER, cases[_i].name);
  expect_one(cases[_i].name, cases[_i].state, cases[_i].left, cases[_i].right);
}
END_TEST

START_TEST(a_copy_from_an_ip_chain_is_not_certain) {
  static const uint32_t right = RIGHT0;
  static const struct {
    const char *in;
    zone_index left;
  } cases[] = {{NULL, ZONE_NONE}, {"left0", LEFT}, {"right1", RIGHT}};
  add_table(NFPROTO_IPV4, "filter");
  if (cases[_i].in != NULL) {
    add_interface_match(0, NFT_META_IIFNAME, cases[_i].in);
  }
  add_number(0, &right);
  add_named(0, LIVE_OTHER, "dup");
  expect_one("dup", BYPASS_UNKNOWN, cases[_i].left, RIGHT);
}
END_TEST

START_TEST(a_netdev_rule_that_is_not_understood_is_not_known) {
  add_table(NFPROTO_NETDEV, "filter");
  add_named(0, LIVE_OTHER, "inner");
  expect_one("netdev", BYPASS_UNKNOWN, ZONE_NONE, ZONE_NONE);
  tables[1].family = NFPROTO_IPV4; /* on the path of packets, where others judge it */
  expect_none();
}
END_TEST

START_TEST(a_flowtable_alone_is_not_known) {
  static struct live_flowtable flowtable = {.name = "fast"};
  add_table(NFPROTO_INET, "filter");
  tables[1].flowtables = &flowtable;
  tables[1].flowtable_count = 1;
  mentions(expect_one("flowtable", BYPASS_UNKNOWN, ZONE_NONE, ZONE_NONE), "fast");
}
END_TEST

START_TEST(a_bridge_table_counts_where_a_zone_has_a_bridge) {
  add_table(NFPROTO_BRIDGE, "filter");
  expect_one("bridge-table", BYPASS_UNKNOWN, ZONE_NONE, ZONE_NONE);
  chains[0].rule_count = 0;
  expect_none();
  chains[0].policy_accept = false;
  expect_one("bridge-table", BYPASS_UNKNOWN, ZONE_NONE, ZONE_NONE);
  links[BR_OFFICE].name = "br-other";
  expect_none();
}
END_TEST

/* ---- programs ---- */

static struct listener listener_of(uint8_t protocol, const char *address, uint16_t port) {
  struct listener listener = {.protocol = protocol, .port = port, .process = 700, .program = "relay"};
  ck_assert(address[0] == '\0' || address_parse(address, &listener.address));
  return listener;
}

static struct service service_of(uint8_t protocol, uint16_t first, uint16_t last) {
  return (struct service){.protocol = protocol, .first_port = first, .last_port = last};
}

START_TEST(a_program_that_listens_in_two_zones_is_told) {
  static const struct {
    const char *addresses[2]; /* "-": no second socket */
    bool told;
  } cases[] = {
      {{"", "-"}, true},
      {{"10.1.0.1", "10.2.0.1"}, true},
      {{"10.1.0.1", "-"}, false},
      {{"10.1.0.1", "10.1.0.1"}, false},
      {{"127.0.0.1", "10.1.0.1"}, false},
      {{"::1", "-"}, false},
      {{"192.0.2.7", "10.1.0.1"}, false}, /* no zone's */
  };
  for (size_t i = 0; i < 2 && strcmp(cases[_i].addresses[i], "-") != 0; i++) {
    listeners[machine.listener_count++] = listener_of(6, cases[_i].addresses[i], 8080);
  }
  if (!cases[_i].told) {
    expect_none();
    return;
  }
  search();
  ck_assert_msg(found_count == 1 && found[0].state == BYPASS_UNKNOWN, "%s", all_found());
  mentions(&found[0], "relay (700)");
  mentions(&found[0], "tcp/8080");
}
END_TEST

START_TEST(sockets_of_different_programs_do_not_count_together) {
  listeners[0] = listener_of(6, "10.1.0.1", 8080);
  listeners[1] = listener_of(6, "10.2.0.1", 8080);
  listeners[1].process = 701;
  machine.listener_count = 2;
  expect_none();
  listeners[0].process = listeners[1].process = 0; /* not seen: each by itself */
  expect_none();
}
END_TEST

START_TEST(a_socket_bound_to_an_interface_listens_there_alone) {
  listeners[0] = listener_of(17, "", 68);
  listeners[0].link = "left0";
  machine.listener_count = 1;
  expect_none();
  listeners[1] = listeners[0];
  listeners[1].link = "right1";
  machine.listener_count = 2;
  expect_one("listener", BYPASS_UNKNOWN, LEFT, RIGHT);
}
END_TEST

START_TEST(what_flows_name_is_assumed) {
  static struct service services[2];
  static struct flow flows[2];
  services[0] = service_of(6, 8000, 8999);
  services[1] = service_of(17, 53, 53);
  flows[0] = (struct flow){
      .name = "F-left", .from_zone = LEFT, .to_zone = ZONE_GATEWAY, .services = &services[0], .service_count = 1};
  flows[1] = (struct flow){
      .name = "F-right", .from_zone = RIGHT, .to_zone = ZONE_GATEWAY, .services = &services[0], .service_count = 1};
  policy.flows = flows;
  policy.flow_count = 1;
  listeners[0] = listener_of(6, "", 8080);
  machine.listener_count = 1;
  expect_none(); /* one zone only */
  policy.flow_count = 2;
  const struct bypass *bypass = expect_one("listener", BYPASS_ASSUMED, LEFT, RIGHT);
  mentions(bypass, "F-left");
  mentions(bypass, "F-right");
  listeners[0].port = 9000;
  search();
  ck_assert_msg(found_count == 1 && found[0].state == BYPASS_UNKNOWN, "%s", all_found());
  flows[0].services = flows[1].services = &services[1];
  listeners[0].port = 53; /* by another protocol */
  search();
  ck_assert_msg(found_count == 1 && found[0].state == BYPASS_UNKNOWN, "%s", all_found());
  listeners[0].protocol = 17;
  flows[0].to_zone = flows[1].to_zone = OFFICE; /* not to the gateway */
  search();
  ck_assert_msg(found_count == 1 && found[0].state == BYPASS_UNKNOWN, "%s", all_found());
}
END_TEST

START_TEST(a_client_s_port_is_assumed) {
  listeners[0] = listener_of(17, "", 40000);
  listeners[0].passing = true;
  machine.listener_count = 1;
  search();
  ck_assert_msg(found_count == 1 && found[0].state == BYPASS_ASSUMED, "%s", all_found());
}
END_TEST

START_TEST(packet_sockets_of_others_are_told) {
  listeners[0] = (struct listener){.packet = true, .process = 700, .program = "relay"};
  machine.listener_count = 1;
  search();
  ck_assert_msg(found_count == 1 && found[0].state == BYPASS_UNKNOWN, "%s", all_found());
  ck_assert_str_eq(found[0].kind, "packet-socket");
  listeners[0].program = "";
  listeners[0].process = 0;
  search();
  ck_assert_msg(found_count == 1 && found[0].state == BYPASS_ASSUMED, "%s", all_found());
  listeners[0].link = "left0";
  expect_none();
  listeners[0] = (struct listener){.packet = true, .process = 700, .program = "relay", .link = "left0"};
  listeners[1] = (struct listener){.packet = true, .process = 700, .program = "relay", .link = "eth9"};
  machine.listener_count = 2;
  expect_one("packet-socket", BYPASS_UNKNOWN, LEFT, OFFICE);
  listeners[0].program = listeners[1].program = "kidoban";
  expect_none();
}
END_TEST

/* ---- what was not looked at ---- */

START_TEST(without_a_machine_everything_about_it_is_assumed) {
  ck_assert_int_eq(bypass_find(&policy, &ruleset, NULL, arena, &found, &found_count), 0);
  ck_assert_uint_gt(found_count, 10);
  for (size_t i = 0; i < found_count; i++) {
    ck_assert_int_eq(found[i].state, BYPASS_ASSUMED);
  }
  size_t offline = found_count;
  machine.known = false;
  search();
  ck_assert_uint_eq(found_count, offline);
  add_table(NFPROTO_IPV4, "nat");
  add_named(0, LIVE_NAT, "masq");
  search();
  ck_assert_uint_eq(found_count, offline + 1);
}
END_TEST

START_TEST(it_is_said_in_the_policy_s_language) {
  struct link master = link_of(SPARE, "m0", "bridge");
  add_link(&master);
  enslave(LEFT0, SPARE, "bridge");
  enslave(RIGHT0, SPARE, "bridge");
  mentions(expect_one("bridge", BYPASS_OPEN, LEFT, RIGHT), "one of them out");
  policy.header.language = LANGUAGE_JAPANESE;
  const struct bypass *bypass = expect_one("bridge", BYPASS_OPEN, LEFT, RIGHT);
  mentions(bypass, "一本の線");
  mentions(bypass, "領域 left");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("bypass");
  TCase *tests = tcase_create("no way round");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_test(tests, a_clean_machine_has_no_way_round);
  tcase_add_test(tests, a_bridge_that_is_a_zone_s_interface_may_have_ports_without_a_zone);
  tcase_add_loop_test(tests, a_master_with_ports_of_two_zones_is_open, 0, 4);
  tcase_add_test(tests, a_port_of_one_zone_in_the_bridge_of_another_is_open);
  tcase_add_loop_test(tests, a_bridge_that_is_down_or_keeps_frames_apart_is_not_certain, 0, 4);
  tcase_add_test(tests, a_zone_s_port_in_a_bridge_without_a_zone_is_told);
  tcase_add_test(tests, a_cable_between_two_zones_is_open_also_through_bridges);
  tcase_add_test(tests, a_veth_that_leads_elsewhere_is_no_cable_here);
  tcase_add_loop_test(tests, a_zone_on_top_of_another_zone_s_interface_is_open, 0, 4);
  tcase_add_test(tests, a_vrf_hides_the_interface);
  tcase_add_test(tests, a_tunnel_on_a_zone_s_wire_or_over_another_s_is_told);
  tcase_add_test(tests, the_program_behind_a_tun_is_assumed_to_be_the_zone);
  tcase_add_loop_test(tests, two_zones_in_one_other_namespace_are_judged_by_what_it_does, 0, 5);
  tcase_add_test(tests, an_xdp_program_is_not_known);
  tcase_add_loop_test(tests, a_redirect_is_open_between_zones_only, 0, 5);
  tcase_add_test(tests, a_detour_by_a_shaper_is_followed);
  tcase_add_loop_test(tests, a_fact_is_judged_by_its_state, 0, 3);
  tcase_add_test(tests, a_ruleset_without_our_table_is_open);
  tcase_add_test(tests, a_dormant_table_is_open_and_another_kido_is_none);
  tcase_add_loop_test(tests, what_a_rule_of_another_table_does_is_judged, 0, 8);
  tcase_add_test(tests, a_rule_counts_only_where_packets_reach_it);
  tcase_add_loop_test(tests, a_verdict_map_leads_to_chains_too, 0, 2);
  tcase_add_loop_test(tests, translation_of_what_is_no_zone_s_is_no_finding, 0, 3);
  tcase_add_loop_test(tests, a_source_counts_only_in_rules_for_ipv4, 0, 4);
  tcase_add_loop_test(tests, translation_that_may_be_a_zone_s_is_open, 0, 5);
  tcase_add_test(tests, a_verdict_that_asks_a_program_is_told);
  tcase_add_loop_test(tests, rewriting_is_open_where_the_rules_judge_by_it, 0, 9);
  tcase_add_loop_test(tests, what_is_sent_to_a_device_is_open_between_zones, 0, 7);
  tcase_add_loop_test(tests, a_copy_from_an_ip_chain_is_not_certain, 0, 3);
  tcase_add_test(tests, a_netdev_rule_that_is_not_understood_is_not_known);
  tcase_add_test(tests, a_flowtable_alone_is_not_known);
  tcase_add_test(tests, a_bridge_table_counts_where_a_zone_has_a_bridge);
  tcase_add_loop_test(tests, a_program_that_listens_in_two_zones_is_told, 0, 7);
  tcase_add_test(tests, sockets_of_different_programs_do_not_count_together);
  tcase_add_test(tests, a_socket_bound_to_an_interface_listens_there_alone);
  tcase_add_test(tests, what_flows_name_is_assumed);
  tcase_add_test(tests, a_client_s_port_is_assumed);
  tcase_add_test(tests, packet_sockets_of_others_are_told);
  tcase_add_test(tests, without_a_machine_everything_about_it_is_assumed);
  tcase_add_test(tests, it_is_said_in_the_policy_s_language);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
