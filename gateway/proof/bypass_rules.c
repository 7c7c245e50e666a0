/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "proof/bypass_parts.h"

/*
 * Rules, of whosever table, that send packets past the rules that are proven, or change what these have judged. Most
 * rulesets have none, so each chain is looked through for such expressions first; only where there is one are its
 * chains walked from the hooks, to pass over what no packet reaches.
 */
enum { IPV4_ADDRESSES = 12, IPV4_END = 20, IPV6_ADDRESSES = 8, IPV6_END = 40, PORTS_END = 4 };

/* ---- what a rule asks for, as far as it is plain to see ---- */

struct circumstance {
  const struct live_chain *base;  /* by which the packet came to the rule */
  const struct live_chain *chain; /* that the rule stands in */
  const struct live_rule *rule;
  const struct live_expression *expression;
};

/* The expression that wrote a register last, before this one; NULL. */
static const struct live_expression *writer_of(const struct circumstance *at, const struct live_expression *before,
                                               unsigned destination) {
  for (const struct live_expression *one = before; one-- > at->rule->expressions;) {
    if (one->has_destination && one->destination == destination) {
      return one;
    }
  }
  return NULL;
}

/* "iifname == X" of the rule, X whole or up to a '*'; "" where it asks for nothing of the kind. */
static const char *interface_asked(const struct search *search, const struct circumstance *at, unsigned key) {
  for (size_t i = 0; i < at->rule->expression_count; i++) {
    const struct live_expression *compare = &at->rule->expressions[i];
    const struct live_expression *load = compare->kind == LIVE_COMPARE && compare->operation == NFT_CMP_EQ
                                             ? writer_of(at, compare, compare->source)
                                             : NULL;
    if (load != NULL && load->kind == LIVE_META && load->key == key && compare->data_length == 16) {
      return arena_strndup(search->arena, (const char *)compare->data, compare->data_length);
    }
  }
  return "";
}

/* An interface that the rule wants and that is no zone's: what it does concerns no zone's packet. */
static bool wants_stranger(const struct search *search, const struct circumstance *at) {
  const char *in = interface_asked(search, at, NFT_META_IIFNAME);
  const char *out = interface_asked(search, at, NFT_META_OIFNAME);
  return (in != NULL && in[0] != '\0' && search_zone_of(search, in) == ZONE_NONE) ||
         (out != NULL && out[0] != '\0' && search_zone_of(search, out) == ZONE_NONE);
}

/* Whether only IPv4 packets get through the rule, so that a place in the header means what it means there. */
static bool is_ipv4_only(const struct circumstance *at) {
  bool only = at->chain->table->family == NFPROTO_IPV4;
  for (size_t i = 0; !only && i < at->rule->expression_count; i++) {
    const struct live_expression *compare = &at->rule->expressions[i];
    const struct live_expression *load = compare->kind == LIVE_COMPARE && compare->operation == NFT_CMP_EQ
                                             ? writer_of(at, compare, compare->source)
                                             : NULL;
    only = load != NULL && load->kind == LIVE_META && load->key == NFT_META_NFPROTO && compare->data_length == 1 &&
           compare->data[0] == NFPROTO_IPV4;
  }
  return only;
}

/* "ip saddr 172.17.0.0/16", as a range; false for anything else, and for less than eight bits of prefix. */
static bool source_asked(const struct circumstance *at, const struct live_expression *compare,
                         struct address_range *ret_range) {
  const struct live_expression *load = compare->kind == LIVE_COMPARE && compare->operation == NFT_CMP_EQ
                                           ? writer_of(at, compare, compare->source)
                                           : NULL;
  const struct live_expression *mask = NULL;
  if (load != NULL && load->kind == LIVE_BITWISE) {
    mask = load;
    load = writer_of(at, mask, mask->source);
  }
  if (load == NULL || load->kind != LIVE_PAYLOAD || load->base != NFT_PAYLOAD_NETWORK_HEADER ||
      load->offset != IPV4_ADDRESSES || load->length == 0 || load->length > 4 || compare->data_length != load->length) {
    return false;
  }
  struct address_range range = {{.family = FAMILY_IPV4}, {.family = FAMILY_IPV4, .bytes = {255, 255, 255, 255}}};
  for (size_t i = 0; i < load->length; i++) {
    uint8_t kept = mask == NULL ? 0xff : mask->data != NULL && i < mask->data_length ? mask->data[i] : 0;
    range.first.bytes[i] = compare->data[i];
    range.last.bytes[i] = (uint8_t)(compare->data[i] | (uint8_t)~kept);
  }
  *ret_range = range;
  return range.first.bytes[0] == range.last.bytes[0];
}

static bool is_claimed(const struct search *search, const struct address_range *range) {
  for (size_t i = 0; i < search->policy->zone_count; i++) {
    const struct address_set *local = &search->policy->zones[i].local;
    for (size_t j = 0; j < local->count; j++) {
      if (range_overlaps(&local->ranges[j], range)) {
        return true;
      }
    }
  }
  return policy_zone_of_address(search->policy, NULL, &range->first) != ZONE_NONE ||
         policy_zone_of_address(search->policy, NULL, &range->last) != ZONE_NONE;
}

/* A source that no zone claims: our rules drop such packets before anything is done with them. */
static bool wants_strange_source(const struct search *search, const struct circumstance *at) {
  for (size_t i = 0; is_ipv4_only(at) && i < at->rule->expression_count; i++) {
    struct address_range range;
    if (source_asked(at, &at->rule->expressions[i], &range) && !is_claimed(search, &range)) {
      return true;
    }
  }
  return false;
}

/* ---- findings ---- */

static int tell(struct search *search, const struct circumstance *at, struct bypass *finding, const char *found) {
  finding->chain = at->chain;
  finding->rule = at->rule;
  const struct live_table *table = at->chain->table;
  return search_add(search, finding,
                    search_printf(search,
                                  search_words(search, "%s（表 %s %s のチェイン %s、handle %llu）",
                                               "%s (table %s %s, chain %s, handle %llu)"),
                                  found, live_family_name(table->family), table->name, at->chain->name,
                                  (unsigned long long)at->rule->handle));
}

static struct bypass finding_of(const char *kind, enum bypass_state state) {
  return (struct bypass){.kind = kind, .state = state, .left = ZONE_NONE, .right = ZONE_NONE};
}

/* The device that fwd or dup names, by the number in its register. */
static const char *target_of(const struct search *search, const struct circumstance *at) {
  const struct live_expression *writer = writer_of(at, at->expression, at->expression->source);
  uint32_t index = 0;
  if (writer == NULL || writer->kind != LIVE_IMMEDIATE || writer->data_length != sizeof(index)) {
    return NULL;
  }
  memcpy(&index, writer->data, sizeof(index));
  const struct link *link = search_link(search, index);
  return link != NULL ? link->name : search_printf(search, "#%u", index);
}

/* To a device, out of a chain that stands at others. */
static int judge_sent(struct search *search, const struct circumstance *at) {
  const char *target = target_of(search, at);
  struct bypass finding = finding_of(at->expression->name, BYPASS_UNKNOWN);
  finding.right = search_zone_of(search, target);
  const char *asked = interface_asked(search, at, NFT_META_IIFNAME);
  const char *from = asked != NULL && asked[0] != '\0' ? asked : NULL;
  for (size_t i = 0; i < at->base->device_count && finding.state == BYPASS_UNKNOWN; i++) {
    finding.left = search_zone_of(search, at->base->devices[i]);
    from = at->base->devices[i];
    bool joins = finding.left != ZONE_NONE && finding.right != ZONE_NONE && finding.left != finding.right;
    finding.state = joins ? BYPASS_OPEN : BYPASS_UNKNOWN;
  }
  if (at->base->device_count == 0) { /* a copy goes by the output hook, where our rules see it */
    finding.left = search_zone_of(search, from);
  }
  return tell(
      search, at, &finding,
      search_printf(search,
                    search_words(search, "%s のパケットを %s へ %s で送り出す規則があります",
                                 "a rule sends packets of %s to %s by %s"),
                    from != NULL ? search_describe(search, from)
                                 : search_words(search, "すべてのインターフェース", "every interface"),
                    target != NULL ? search_describe(search, target) : search_words(search, "ある機器", "some device"),
                    at->expression->name));
}

static int judge_translation(struct search *search, const struct circumstance *at) {
  if (wants_stranger(search, at) || wants_strange_source(search, at)) {
    return 0;
  }
  struct bypass finding = finding_of("nat", BYPASS_OPEN);
  return tell(search, at, &finding,
              search_words(search, "領域のアドレスを書き換える規則があります", "a rule rewrites addresses of zones"));
}

/* Addresses and ports are what the rules judge by. */
static int judge_payload(struct search *search, const struct circumstance *at) {
  const struct live_expression *one = at->expression;
  unsigned end = one->offset + one->length;
  bool ipv6 = at->chain->table->family != NFPROTO_IPV4, ipv4 = at->chain->table->family != NFPROTO_IPV6;
  bool addresses =
      one->base == NFT_PAYLOAD_NETWORK_HEADER && ((ipv4 && end > IPV4_ADDRESSES && one->offset < IPV4_END) ||
                                                  (ipv6 && end > IPV6_ADDRESSES && one->offset < IPV6_END));
  bool ports = one->base == NFT_PAYLOAD_TRANSPORT_HEADER && one->offset < PORTS_END;
  bool link = one->base == NFT_PAYLOAD_LL_HEADER;
  if ((!addresses && !ports && !link) || wants_stranger(search, at) || wants_strange_source(search, at)) {
    return 0;
  }
  struct bypass finding = finding_of("rewrite", link ? BYPASS_UNKNOWN : BYPASS_OPEN);
  return tell(
      search, at, &finding,
      link ? search_words(search, "MAC アドレスを書き換える規則があります", "a rule rewrites MAC addresses")
           : search_words(search, "アドレスかポートを書き換える規則があります", "a rule rewrites addresses or ports"));
}

static int judge_offload(struct search *search, const struct circumstance *at) {
  struct bypass finding = finding_of("flowtable", BYPASS_OPEN);
  return tell(search, at, &finding,
              search_words(search, "通信を flowtable に載せる規則があります。載った通信は方針が変わっても続きます",
                           "a rule puts connections into a flowtable, where they go on whatever the policy says"));
}

static int judge_proxy(struct search *search, const struct circumstance *at) {
  struct bypass finding = finding_of("tproxy", BYPASS_UNKNOWN);
  return wants_stranger(search, at) ? 0
                                    : tell(search, at, &finding,
                                           search_words(search, "パケットをこの装置のプログラムに渡す規則があります",
                                                        "a rule hands packets of others to a program of this machine"));
}

static int judge_queue(struct search *search, const struct circumstance *at) {
  struct bypass finding = finding_of("queue", BYPASS_UNKNOWN);
  return tell(search, at, &finding,
              search_words(search, "パケットの判断をプログラムに任せる規則があります",
                           "a rule lets a program decide about packets, and change them"));
}

static int judge_synproxy(struct search *search, const struct circumstance *at) {
  struct bypass finding = finding_of("synproxy", BYPASS_UNKNOWN);
  return tell(search, at, &finding,
              search_words(search, "この装置が TCP の相手に代わって応える規則があります",
                           "a rule has this machine answer TCP in the place of others"));
}

/* Netdev and bridge chains stand outside of the path on which packets are judged: what they do there must be known. */
static int judge_unknown(struct search *search, const struct circumstance *at) {
  struct bypass finding = finding_of("netdev", BYPASS_UNKNOWN);
  return tell(search, at, &finding,
              search_printf(search,
                            search_words(search, "何をするか分からない規則があります（%s：%s）",
                                         "a rule does what cannot be known (%s: %s)"),
                            at->expression->name, at->expression->unmodelled));
}

/* ---- which expressions matter ---- */

typedef int (*judge_function)(struct search *search, const struct circumstance *at);

static const struct {
  const char *name;
  judge_function judge;
} by_name[] = {
    {"fwd", judge_sent},         {"dup", judge_sent},          {"nat", judge_translation},
    {"masq", judge_translation}, {"redir", judge_translation}, {"tproxy", judge_proxy},
    {"queue", judge_queue},      {"synproxy", judge_synproxy}, {"flow_offload", judge_offload},
};

static judge_function judge_for(const struct live_chain *chain, const struct live_expression *expression) {
  if (expression->kind == LIVE_PAYLOAD_SET) {
    return judge_payload;
  }
  if (expression->kind == LIVE_IMMEDIATE && expression->is_verdict && expression->verdict.code == LIVE_QUEUE) {
    return judge_queue;
  }
  if (expression->kind == LIVE_OBJECT_REFERENCE && expression->operation == NFT_OBJECT_SYNPROXY) {
    return judge_synproxy;
  }
  if (expression->kind == LIVE_NAT) {
    return judge_translation;
  }
  for (size_t i = 0; expression->kind == LIVE_OTHER && i < sizeof(by_name) / sizeof(by_name[0]); i++) {
    if (strcmp(by_name[i].name, expression->name) == 0) {
      return by_name[i].judge;
    }
  }
  unsigned family = chain->table->family;
  bool outside = family == NFPROTO_NETDEV || family == NFPROTO_BRIDGE;
  return outside && expression->unmodelled != NULL ? judge_unknown : NULL;
}

static bool chain_matters(const struct live_chain *chain) {
  for (size_t i = 0; i < chain->rule_count; i++) {
    for (size_t j = 0; j < chain->rules[i].expression_count; j++) {
      if (judge_for(chain, &chain->rules[i].expressions[j]) != NULL) {
        return true;
      }
    }
  }
  return false;
}

/* ---- the walk ---- */

struct walk {
  struct search *search;
  const struct live_table *table;
  const struct live_chain *base;
  const struct live_chain **waiting; /* room for all chains of the table */
  size_t waiting_count;
  bool *reached, *told; /* by chain; told: over all base chains */
};

static void reach(struct walk *walk, const struct live_verdict *verdict) {
  const struct live_chain *chain = verdict->chain;
  if (chain == NULL || chain->table != walk->table) {
    return;
  }
  size_t index = (size_t)(chain - walk->table->chains);
  if (!walk->reached[index]) {
    walk->reached[index] = true;
    walk->waiting[walk->waiting_count++] = chain;
  }
}

static void reach_from(struct walk *walk, const struct live_expression *expression) {
  if (expression->kind == LIVE_IMMEDIATE && expression->is_verdict) {
    reach(walk, &expression->verdict);
  }
  if (expression->kind == LIVE_LOOKUP && expression->set != NULL && expression->set->data_kind == LIVE_VERDICTS) {
    for (size_t i = 0; i < expression->set->element_count; i++) {
      reach(walk, &expression->set->elements[i].verdict);
    }
    reach(walk, &expression->set->catch_all.verdict);
  }
}

static int walk_rule(struct walk *walk, const struct live_chain *chain, const struct live_rule *rule, bool tell_of_it) {
  int status = 0;
  for (size_t i = 0; status == 0 && i < rule->expression_count; i++) {
    const struct live_expression *expression = &rule->expressions[i];
    judge_function judge = tell_of_it ? judge_for(chain, expression) : NULL;
    reach_from(walk, expression);
    if (judge != NULL) {
      struct circumstance at = {walk->base, chain, rule, expression};
      status = judge(walk->search, &at);
    }
  }
  return status;
}

static int walk_from(struct walk *walk, const struct live_chain *base) {
  int status = 0;
  walk->base = base;
  memset(walk->reached, 0, walk->table->chain_count * sizeof(*walk->reached));
  reach(walk, &(struct live_verdict){.chain = base});
  while (status == 0 && walk->waiting_count > 0) {
    const struct live_chain *chain = walk->waiting[--walk->waiting_count];
    bool *told = &walk->told[chain - walk->table->chains];
    for (size_t i = 0; status == 0 && i < chain->rule_count; i++) {
      status = walk_rule(walk, chain, &chain->rules[i], !*told);
    }
    *told = true;
  }
  return status;
}

static int walk_table(struct search *search, const struct live_table *table) {
  struct walk walk = {
      .search = search,
      .table = table,
      .waiting = (const struct live_chain **)arena_array(search->arena, table->chain_count, sizeof(void *)),
      .reached = ARENA_ARRAY(search->arena, table->chain_count, bool),
      .told = ARENA_ARRAY(search->arena, table->chain_count, bool),
  };
  if (walk.waiting == NULL || walk.reached == NULL || walk.told == NULL) {
    return -ENOMEM;
  }
  int status = 0;
  for (size_t i = 0; status == 0 && i < table->chain_count; i++) {
    status = table->chains[i].base ? walk_from(&walk, &table->chains[i]) : 0;
  }
  return status;
}

int search_for_rules(struct search *search) {
  int status = 0;
  for (size_t i = 0; status == 0 && i < search->ruleset->table_count; i++) {
    const struct live_table *table = &search->ruleset->tables[i];
    bool matters = false;
    for (size_t j = 0; !matters && !table->dormant && j < table->chain_count; j++) {
      matters = chain_matters(&table->chains[j]);
    }
    status = matters ? walk_table(search, table) : 0;
  }
  return status;
}

/* ---- tables and flowtables as such ---- */

int search_for_flowtables(struct search *search) {
  int status = 0;
  for (size_t i = 0; status == 0 && i < search->ruleset->table_count; i++) {
    const struct live_table *table = &search->ruleset->tables[i];
    for (size_t j = 0; status == 0 && j < table->flowtable_count; j++) {
      struct bypass finding = finding_of("flowtable", BYPASS_UNKNOWN);
      status = search_add(search, &finding,
                          search_printf(search,
                                        search_words(search, "表 %s %s に flowtable %s があります",
                                                     "there is a flowtable in table %s %s, %s"),
                                        live_family_name(table->family), table->name, table->flowtables[j].name));
    }
  }
  return status;
}

/* Frames of a zone go through bridge chains only where there is a bridge on its wire. */
static bool has_zone_bridge(const struct search *search) {
  const struct surroundings *surroundings = search->surroundings;
  for (size_t i = 0; surroundings != NULL && i < surroundings->link_count; i++) {
    const struct link *link = &surroundings->links[i];
    if (strcmp(link->kind, "bridge") == 0 && search_zone_of_link(search, link) != ZONE_NONE) {
      return true;
    }
  }
  return surroundings == NULL;
}

static bool does_something(const struct live_table *table) {
  bool something = false;
  for (size_t i = 0; i < table->chain_count; i++) {
    const struct live_chain *chain = &table->chains[i];
    something = something || (chain->base && (chain->rule_count > 0 || !chain->policy_accept));
  }
  return something && !table->dormant;
}

int search_for_bridge_tables(struct search *search) {
  bool concerned = has_zone_bridge(search);
  int status = 0;
  for (size_t i = 0; concerned && status == 0 && i < search->ruleset->table_count; i++) {
    const struct live_table *table = &search->ruleset->tables[i];
    if (table->family != NFPROTO_BRIDGE || !does_something(table)) {
      continue;
    }
    struct bypass finding = finding_of("bridge-table", search->surroundings != NULL ? BYPASS_UNKNOWN : BYPASS_ASSUMED);
    status = search_add(search, &finding,
                        search_printf(search,
                                      search_words(search, "表 bridge %s がフレームを選り分けています",
                                                   "table bridge %s sorts frames before the rules see them"),
                                      table->name));
  }
  return status;
}
