/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Messages arrive in the order of the dumps and are kept in arrays that grow in the arena. Sets and chains are found
 * by name for the elements and rules that follow them: the last one found is tried first, since dumps go set by set and
 * chain by chain; otherwise the array is sorted once and searched.
 *
 * Elements are only noted where they stand in their messages, and read when all are known: an array of the right size
 * costs half the memory of one that grew.
 *
 * A one-field interval set arrives as starts and (exclusive) ends, paired in nftables_parser_finish(): sorted, a start
 * opens an interval that the next end closes; the last may stay open to the top of the space; an end at the bottom with
 * nothing open is nft's own and means nothing. Anything else makes the set foreign.
 */
#include "kernel/nftables_parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "kernel/nftables_attributes.h"
#include "kernel/nftables_expression.h"

enum {
  KEY_TYPE_BITS = 6,
  SET_ATTRIBUTE_TYPE = 19,  /* newer kernels: address of the set's operations; says nothing about its meaning */
  SET_ATTRIBUTE_COUNT = 20, /* newer kernels: number of elements */
};

struct parsed_element {
  struct element element;
  bool end; /* of an interval: the key is the first one behind it */
};

struct parsed_set {
  struct set set;              /* first member: its name is what the array is sorted by */
  const struct nlattr **items; /* elements, still in their messages */
  size_t count;
  size_t capacity;
};

struct parsed_chain {
  struct chain chain; /* likewise */
  size_t capacity;
};

struct nftables_parser {
  struct arena *arena;
  const char *table;
  int64_t now;
  struct ruleset *ruleset;
  struct parsed_set *sets;
  size_t set_count, set_capacity, last_set;
  bool sets_sorted;
  struct parsed_chain *chains;
  size_t chain_count, chain_capacity, last_chain;
  bool chains_sorted;
  size_t counter_capacity;
};

struct nftables_parser *nftables_parser_new(struct arena *arena, const char *table, int64_t now) {
  struct nftables_parser *parser = ARENA_NEW(arena, struct nftables_parser);
  struct ruleset *ruleset = ARENA_NEW(arena, struct ruleset);
  char *name = arena_strdup(arena, table);
  if (parser == NULL || ruleset == NULL || name == NULL) {
    return NULL;
  }
  ruleset->table = name;
  *parser = (struct nftables_parser){.arena = arena, .table = name, .now = now, .ruleset = ruleset};
  return parser;
}

/* ---- finding by name ---- */

/* Works for sets, chains and counters alike: the name is their first member. */
static int compare_names(const void *left, const void *right) {
  const char *const *first = left;
  const char *const *second = right;
  return strcmp(*first, *second);
}

static struct parsed_set *find_set(struct nftables_parser *parser, const char *name) {
  if (parser->last_set < parser->set_count && strcmp(parser->sets[parser->last_set].set.name, name) == 0) {
    return &parser->sets[parser->last_set];
  }
  if (parser->set_count == 0) {
    return NULL;
  }
  if (!parser->sets_sorted) {
    qsort(parser->sets, parser->set_count, sizeof(*parser->sets), compare_names);
    parser->sets_sorted = true;
  }
  struct parsed_set *found = bsearch(&name, parser->sets, parser->set_count, sizeof(*parser->sets), compare_names);
  if (found != NULL) {
    parser->last_set = (size_t)(found - parser->sets);
  }
  return found;
}

static struct parsed_chain *find_chain(struct nftables_parser *parser, const char *name) {
  if (parser->last_chain < parser->chain_count && strcmp(parser->chains[parser->last_chain].chain.name, name) == 0) {
    return &parser->chains[parser->last_chain];
  }
  if (parser->chain_count == 0) {
    return NULL;
  }
  if (!parser->chains_sorted) {
    qsort(parser->chains, parser->chain_count, sizeof(*parser->chains), compare_names);
    parser->chains_sorted = true;
  }
  struct parsed_chain *found =
      bsearch(&name, parser->chains, parser->chain_count, sizeof(*parser->chains), compare_names);
  if (found != NULL) {
    parser->last_chain = (size_t)(found - parser->chains);
  }
  return found;
}

/* ---- table ---- */

static int parse_table(struct nftables_parser *parser, const struct nlmsghdr *message) {
  struct attributes attributes;
  attributes_split_message(message, sizeof(struct nfgenmsg), UINT32_MAX, &attributes);
  const char *name = attributes_string(&attributes, NFTA_TABLE_NAME);
  if (attributes.malformed || name == NULL) {
    return -EBADMSG;
  }
  if (strcmp(name, parser->table) == 0) {
    parser->ruleset->present = true;
    parser->ruleset->dormant = (attributes_u32(&attributes, NFTA_TABLE_FLAGS, 0) & NFT_TABLE_F_DORMANT) != 0;
  }
  return attributes.malformed ? -EBADMSG : 0;
}

/* ---- chains ---- */

static const enum chain_hook hooks[] = {
    [NF_INET_PRE_ROUTING] = HOOK_PREROUTING,   [NF_INET_LOCAL_IN] = HOOK_INPUT,
    [NF_INET_FORWARD] = HOOK_FORWARD,          [NF_INET_LOCAL_OUT] = HOOK_OUTPUT,
    [NF_INET_POST_ROUTING] = HOOK_POSTROUTING,
};

/* False when it is a base chain of a kind that our struct cannot say. */
static bool parse_hook(struct attributes *attributes, struct chain *chain) {
  struct attributes hook;
  attributes_split_nested(attributes->items[NFTA_CHAIN_HOOK],
                          ATTRIBUTE(NFTA_HOOK_HOOKNUM) | ATTRIBUTE(NFTA_HOOK_PRIORITY), &hook);
  uint32_t number = attributes_u32(&hook, NFTA_HOOK_HOOKNUM, UINT32_MAX);
  const char *type = attributes_string(attributes, NFTA_CHAIN_TYPE);
  if (hook.foreign || hook.malformed || number >= sizeof(hooks) / sizeof(hooks[0]) || type == NULL ||
      strcmp(type, "filter") != 0) {
    return false;
  }
  chain->hook = hooks[number];
  chain->priority = (int)attributes_u32(&hook, NFTA_HOOK_PRIORITY, 0);
  chain->policy_drop = attributes_u32(attributes, NFTA_CHAIN_POLICY, NF_ACCEPT) == NF_DROP;
  return true;
}

static int parse_chain(struct nftables_parser *parser, const struct nlmsghdr *message) {
  static const uint32_t known = ATTRIBUTE(NFTA_CHAIN_TABLE) | ATTRIBUTE(NFTA_CHAIN_NAME) |
                                ATTRIBUTE(NFTA_CHAIN_HANDLE) | ATTRIBUTE(NFTA_CHAIN_HOOK) |
                                ATTRIBUTE(NFTA_CHAIN_POLICY) | ATTRIBUTE(NFTA_CHAIN_TYPE) | ATTRIBUTE(NFTA_CHAIN_USE) |
                                ATTRIBUTE(NFTA_CHAIN_FLAGS) | ATTRIBUTE(NFTA_CHAIN_USERDATA) |
                                ATTRIBUTE(NFTA_CHAIN_PAD);
  struct attributes attributes;
  attributes_split_message(message, sizeof(struct nfgenmsg), known, &attributes);
  const char *table = attributes_string(&attributes, NFTA_CHAIN_TABLE);
  const char *name = attributes_string(&attributes, NFTA_CHAIN_NAME);
  if (attributes.malformed || table == NULL || name == NULL) {
    return -EBADMSG;
  }
  if (strcmp(table, parser->table) != 0) {
    return 0;
  }
  struct chain chain = {.name = arena_strdup(parser->arena, name)};
  chain.comment = user_data_text(&attributes, NFTA_CHAIN_USERDATA, NFTNL_UDATA_CHAIN_COMMENT, parser->arena);
  bool sound =
      !attributes.foreign && (attributes_u32(&attributes, NFTA_CHAIN_FLAGS, 0) & ~(uint32_t)NFT_CHAIN_BASE) == 0;
  if (attributes_have(&attributes, NFTA_CHAIN_HOOK)) {
    sound = parse_hook(&attributes, &chain) && sound;
  }
  parser->ruleset->foreign_count += sound ? 0 : 1;
  if (arena_grow(parser->arena, (void **)&parser->chains, parser->chain_count, &parser->chain_capacity,
                 sizeof(*parser->chains)) < 0) {
    return -ENOMEM;
  }
  parser->chains[parser->chain_count++] = (struct parsed_chain){.chain = chain};
  parser->chains_sorted = false;
  return 0;
}

/* ---- rules ---- */

static int parse_expressions(struct nftables_parser *parser, const struct nlattr *list, struct rule *rule) {
  struct attribute_walk walk;
  size_t capacity = 0;
  const struct nlattr *item;
  attribute_walk_start(&walk, list);
  while ((item = attribute_walk_next(&walk)) != NULL) {
    if (arena_grow(parser->arena, (void **)&rule->expressions, rule->expression_count, &capacity,
                   sizeof(*rule->expressions)) < 0) {
      return -ENOMEM;
    }
    int status = nftables_expression_parse(item, parser->arena, &rule->expressions[rule->expression_count]);
    if (status < 0) {
      return status;
    }
    rule->expression_count++;
  }
  return walk.malformed ? -EBADMSG : 0;
}

/* A rule with something that no expression says (compatibility with iptables) cannot be equal to one of ours. */
static int add_foreign_expression(struct nftables_parser *parser, struct rule *rule) {
  struct expression *expressions = ARENA_ARRAY(parser->arena, rule->expression_count + 1, struct expression);
  if (expressions == NULL) {
    return -ENOMEM;
  }
  if (rule->expression_count > 0) {
    memcpy(expressions, rule->expressions, rule->expression_count * sizeof(*expressions));
  }
  expressions[rule->expression_count] = (struct expression){.kind = EXPRESSION_FOREIGN, .name = "?"};
  rule->expressions = expressions;
  rule->expression_count++;
  return 0;
}

static int parse_rule_body(struct nftables_parser *parser, struct attributes *attributes, struct rule *rule) {
  *rule = (struct rule){
      .handle = attributes_u64(attributes, NFTA_RULE_HANDLE, 0),
      .comment = user_data_text(attributes, NFTA_RULE_USERDATA, NFTNL_UDATA_RULE_COMMENT, parser->arena),
  };
  int status = 0;
  if (attributes_have(attributes, NFTA_RULE_EXPRESSIONS)) {
    status = parse_expressions(parser, attributes->items[NFTA_RULE_EXPRESSIONS], rule);
  }
  if (status == 0 && attributes->foreign) {
    status = add_foreign_expression(parser, rule);
  }
  return status;
}

static int parse_rule(struct nftables_parser *parser, const struct nlmsghdr *message) {
  static const uint32_t known = ATTRIBUTE(NFTA_RULE_TABLE) | ATTRIBUTE(NFTA_RULE_CHAIN) | ATTRIBUTE(NFTA_RULE_HANDLE) |
                                ATTRIBUTE(NFTA_RULE_EXPRESSIONS) | ATTRIBUTE(NFTA_RULE_POSITION) |
                                ATTRIBUTE(NFTA_RULE_USERDATA) | ATTRIBUTE(NFTA_RULE_PAD);
  struct attributes attributes;
  attributes_split_message(message, sizeof(struct nfgenmsg), known, &attributes);
  const char *table = attributes_string(&attributes, NFTA_RULE_TABLE);
  const char *chain_name = attributes_string(&attributes, NFTA_RULE_CHAIN);
  if (attributes.malformed || table == NULL || chain_name == NULL) {
    return -EBADMSG;
  }
  if (strcmp(table, parser->table) != 0) {
    return 0;
  }
  struct parsed_chain *chain = find_chain(parser, chain_name);
  if (chain == NULL) {
    parser->ruleset->foreign_count++;
    return 0;
  }
  if (arena_grow(parser->arena, (void **)&chain->chain.rules, chain->chain.rule_count, &chain->capacity,
                 sizeof(*chain->chain.rules)) < 0) {
    return -ENOMEM;
  }
  int status = parse_rule_body(parser, &attributes, &chain->chain.rules[chain->chain.rule_count]);
  if (status == 0) {
    chain->chain.rule_count++;
  }
  return status;
}

/* ---- sets ---- */

static bool field_of_type(uint32_t type, enum field_type *ret_field) {
  for (unsigned field = 0; field < KEY_FIELD_COUNT_; field++) {
    if (field_nft_type((enum field_type)field) == type) {
      *ret_field = (enum field_type)field;
      return true;
    }
  }
  return false;
}

/* Key type: six bits for each field, the first one highest. */
static bool parse_fields(uint32_t type, uint32_t length, struct set *set) {
  size_t count = 0;
  for (uint32_t rest = type; rest != 0; rest >>= KEY_TYPE_BITS) {
    count++;
  }
  if (count == 0 || count > sizeof(set->fields) / sizeof(set->fields[0])) {
    return false;
  }
  size_t padded = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t shift = (uint32_t)(count - 1 - i) * KEY_TYPE_BITS;
    if (!field_of_type(type >> shift & ((1U << KEY_TYPE_BITS) - 1), &set->fields[i])) {
      return false;
    }
    padded += netlink_align(field_size(set->fields[i]));
  }
  set->field_count = count;
  set->key_size = count == 1 ? field_size(set->fields[0]) : padded;
  return length == set->key_size && length <= RULESET_DATA_MAX;
}

static bool parse_map_data(struct attributes *attributes, bool map, struct set *set) {
  if (!map) {
    return !attributes_have(attributes, NFTA_SET_DATA_TYPE) && !attributes_have(attributes, NFTA_SET_OBJ_TYPE);
  }
  uint32_t type = attributes_u32(attributes, NFTA_SET_DATA_TYPE, 0);
  if (type == NFT_DATA_VERDICT) {
    set->data = MAP_VERDICT;
    return true;
  }
  set->data = MAP_MARK;
  return type == field_nft_type(KEY_FIELD_MARK) && attributes_u32(attributes, NFTA_SET_DATA_LEN, 0) == sizeof(uint32_t);
}

/* The lengths of a concatenation's fields, which the kernel splits the key by. */
static bool parse_field_lengths(const struct nlattr *list, const struct set *set) {
  struct attribute_walk walk;
  const struct nlattr *item;
  size_t count = 0;
  attribute_walk_start(&walk, list);
  while ((item = attribute_walk_next(&walk)) != NULL) {
    struct attributes field;
    attributes_split_nested(item, ATTRIBUTE(NFTA_SET_FIELD_LEN), &field);
    uint32_t length = attributes_u32(&field, NFTA_SET_FIELD_LEN, 0);
    if (field.foreign || field.malformed || count >= set->field_count || length != field_size(set->fields[count])) {
      return false;
    }
    count++;
  }
  return !walk.malformed && count == set->field_count;
}

static bool parse_description(struct attributes *attributes, bool needs_lengths, struct set *set) {
  struct attributes description = {0};
  if (attributes_have(attributes, NFTA_SET_DESC)) {
    attributes_split_nested(attributes->items[NFTA_SET_DESC],
                            ATTRIBUTE(NFTA_SET_DESC_SIZE) | ATTRIBUTE(NFTA_SET_DESC_CONCAT), &description);
  }
  set->size = attributes_u32(&description, NFTA_SET_DESC_SIZE, 0);
  bool has_lengths = attributes_have(&description, NFTA_SET_DESC_CONCAT);
  return !description.foreign && !description.malformed && has_lengths == needs_lengths &&
         (!has_lengths || parse_field_lengths(description.items[NFTA_SET_DESC_CONCAT], set));
}

static bool parse_set_expression(struct nftables_parser *parser, struct attributes *attributes, struct set *set) {
  if (!attributes_have(attributes, NFTA_SET_EXPR)) {
    return true;
  }
  struct expression expression;
  if (nftables_expression_parse(attributes->items[NFTA_SET_EXPR], parser->arena, &expression) < 0) {
    return false;
  }
  set->counters = expression.kind == EXPRESSION_COUNTER;
  return set->counters;
}

static bool parse_times(struct attributes *attributes, struct set *set) {
  uint64_t timeout = attributes_u64(attributes, NFTA_SET_TIMEOUT, 0);
  set->timeout_seconds = (uint32_t)(timeout / 1000);
  set->sweep_milliseconds = attributes_u32(attributes, NFTA_SET_GC_INTERVAL, 0);
  return timeout % 1000 == 0 && timeout / 1000 <= UINT32_MAX;
}

/* False: with properties that our struct cannot say. */
static bool parse_set_properties(struct nftables_parser *parser, struct attributes *attributes, struct set *set) {
  static const uint32_t known =
      NFT_SET_INTERVAL | NFT_SET_MAP | NFT_SET_TIMEOUT | NFT_SET_CONCAT | NFT_SET_EXPR | NFT_SET_EVAL;
  uint32_t flags = attributes_u32(attributes, NFTA_SET_FLAGS, 0);
  set->interval = (flags & NFT_SET_INTERVAL) != 0;
  set->timeouts = (flags & NFT_SET_TIMEOUT) != 0;
  set->dynamic = (flags & NFT_SET_EVAL) != 0;
  bool sound = parse_fields(attributes_u32(attributes, NFTA_SET_KEY_TYPE, 0),
                            attributes_u32(attributes, NFTA_SET_KEY_LEN, 0), set);
  bool needs_lengths = set->interval && set->field_count > 1;
  sound = parse_times(attributes, set) && sound;
  return sound && (flags & ~known) == 0 && ((flags & NFT_SET_CONCAT) != 0) == needs_lengths &&
         parse_map_data(attributes, (flags & NFT_SET_MAP) != 0, set) &&
         parse_description(attributes, needs_lengths, set) && parse_set_expression(parser, attributes, set) &&
         !attributes->foreign && !attributes->malformed;
}

static int parse_set(struct nftables_parser *parser, const struct nlmsghdr *message) {
  static const uint32_t known =
      ATTRIBUTE(NFTA_SET_TABLE) | ATTRIBUTE(NFTA_SET_NAME) | ATTRIBUTE(NFTA_SET_FLAGS) | ATTRIBUTE(NFTA_SET_KEY_TYPE) |
      ATTRIBUTE(NFTA_SET_KEY_LEN) | ATTRIBUTE(NFTA_SET_DATA_TYPE) | ATTRIBUTE(NFTA_SET_DATA_LEN) |
      ATTRIBUTE(NFTA_SET_DESC) | ATTRIBUTE(NFTA_SET_USERDATA) | ATTRIBUTE(NFTA_SET_HANDLE) | ATTRIBUTE(NFTA_SET_ID) |
      ATTRIBUTE(NFTA_SET_EXPR) | ATTRIBUTE(NFTA_SET_PAD) | ATTRIBUTE(NFTA_SET_TIMEOUT) |
      ATTRIBUTE(NFTA_SET_GC_INTERVAL) | ATTRIBUTE(SET_ATTRIBUTE_TYPE) | ATTRIBUTE(SET_ATTRIBUTE_COUNT);
  struct attributes attributes;
  attributes_split_message(message, sizeof(struct nfgenmsg), known, &attributes);
  const char *table = attributes_string(&attributes, NFTA_SET_TABLE);
  const char *name = attributes_string(&attributes, NFTA_SET_NAME);
  if (attributes.malformed || table == NULL || name == NULL) {
    return -EBADMSG;
  }
  if (strcmp(table, parser->table) != 0) {
    return 0;
  }
  struct set set = {.name = arena_strdup(parser->arena, name)};
  set.comment = user_data_text(&attributes, NFTA_SET_USERDATA, NFTNL_UDATA_SET_COMMENT, parser->arena);
  set.foreign = !parse_set_properties(parser, &attributes, &set);
  if (arena_grow(parser->arena, (void **)&parser->sets, parser->set_count, &parser->set_capacity,
                 sizeof(*parser->sets)) < 0) {
    return -ENOMEM;
  }
  parser->sets[parser->set_count++] = (struct parsed_set){.set = set};
  parser->sets_sorted = false;
  return 0;
}

/* ---- elements ---- */

static bool parse_key(const struct attributes *attributes, unsigned type, size_t size, uint8_t *key) {
  const void *data = NULL;
  size_t length = 0;
  if (!attributes_have(attributes, type) ||
      !nftables_value_parse(attributes->items[type], RULESET_DATA_MAX, &data, &length) || length != size) {
    return false;
  }
  memcpy(key, data, length);
  return true;
}

static bool parse_keys(struct attributes *attributes, const struct set *set, struct element *element) {
  bool wants_end = set->interval && set->field_count > 1;
  if (wants_end != attributes_have(attributes, NFTA_SET_ELEM_KEY_END) ||
      !parse_key(attributes, NFTA_SET_ELEM_KEY, set->key_size, element->key)) {
    return false;
  }
  if (wants_end) {
    return parse_key(attributes, NFTA_SET_ELEM_KEY_END, set->key_size, element->key_end);
  }
  memcpy(element->key_end, element->key, sizeof(element->key_end));
  return true;
}

static bool parse_element_data(struct nftables_parser *parser, struct attributes *attributes, const struct set *set,
                               bool end, struct element *element) {
  bool wants_data = set->data != MAP_NONE && !end;
  const struct nlattr *nest = attributes->items[NFTA_SET_ELEM_DATA];
  if (wants_data != (nest != NULL) || attributes_have(attributes, NFTA_SET_ELEM_OBJREF)) {
    return false;
  }
  if (!wants_data) {
    return true;
  }
  if (set->data == MAP_VERDICT) {
    return nftables_verdict_parse(nest, parser->arena, &element->verdict);
  }
  const void *data = NULL;
  size_t length = 0;
  if (!nftables_value_parse(nest, sizeof(element->mark), &data, &length) || length != sizeof(element->mark)) {
    return false;
  }
  memcpy(&element->mark, data, length);
  return true;
}

/* Remaining time becomes an instant, rounded to the nearest second. */
static bool parse_element_end(const struct nftables_parser *parser, struct attributes *attributes,
                              const struct set *set, struct element *element) {
  element->expires = INSTANT_NEVER;
  uint64_t timeout = attributes_u64(attributes, NFTA_SET_ELEM_TIMEOUT, 0);
  if (timeout == 0) {
    return true;
  }
  uint64_t left = attributes_u64(attributes, NFTA_SET_ELEM_EXPIRATION, timeout);
  int64_t end = 0;
  if (left > INT64_MAX / 2 || __builtin_add_overflow(parser->now, (int64_t)left + 500, &end)) {
    end = INT64_MAX - 1;
  }
  element->expires.seconds = end / 1000;
  return set->timeouts;
}

static bool parse_element_counter(struct attributes *attributes, const struct set *set, struct element *element) {
  const struct nlattr *nest = attributes->items[NFTA_SET_ELEM_EXPR];
  if (nest == NULL) {
    return true;
  }
  struct attributes expression;
  attributes_split_nested(nest, ATTRIBUTE(NFTA_EXPR_NAME) | ATTRIBUTE(NFTA_EXPR_DATA), &expression);
  const char *name = attributes_string(&expression, NFTA_EXPR_NAME);
  if (!set->counters || name == NULL || strcmp(name, "counter") != 0 || !attributes_have(&expression, NFTA_EXPR_DATA)) {
    return false;
  }
  struct attributes counter;
  attributes_split_nested(expression.items[NFTA_EXPR_DATA],
                          ATTRIBUTE(NFTA_COUNTER_BYTES) | ATTRIBUTE(NFTA_COUNTER_PACKETS) | ATTRIBUTE(NFTA_COUNTER_PAD),
                          &counter);
  element->packets = attributes_u64(&counter, NFTA_COUNTER_PACKETS, 0);
  element->bytes = attributes_u64(&counter, NFTA_COUNTER_BYTES, 0);
  return !expression.foreign && !expression.malformed && !counter.foreign && !counter.malformed;
}

/* False: an element that our struct cannot say. */
static bool parse_element_parts(struct nftables_parser *parser, struct attributes *attributes, const struct set *set,
                                struct parsed_element *to) {
  uint32_t flags = attributes_u32(attributes, NFTA_SET_ELEM_FLAGS, 0);
  bool tree = set->interval && set->field_count == 1;
  to->end = (flags & NFT_SET_ELEM_INTERVAL_END) != 0;
  struct element *element = &to->element;
  element->comment = user_data_text(attributes, NFTA_SET_ELEM_USERDATA, NFTNL_UDATA_SET_ELEM_COMMENT, parser->arena);
  return !attributes->foreign && (flags & ~(uint32_t)NFT_SET_ELEM_INTERVAL_END) == 0 && (!to->end || tree) &&
         parse_keys(attributes, set, element) && parse_element_data(parser, attributes, set, to->end, element) &&
         parse_element_end(parser, attributes, set, element) && parse_element_counter(attributes, set, element) &&
         !attributes->malformed;
}

/* Returns 0, or -EBADMSG; *ret_sound false: an element that our struct cannot say. */
static int parse_element(struct nftables_parser *parser, const struct set *set, const struct nlattr *nest,
                         struct parsed_element *ret_element, bool *ret_sound) {
  static const uint32_t known =
      ATTRIBUTE(NFTA_SET_ELEM_KEY) | ATTRIBUTE(NFTA_SET_ELEM_DATA) | ATTRIBUTE(NFTA_SET_ELEM_FLAGS) |
      ATTRIBUTE(NFTA_SET_ELEM_TIMEOUT) | ATTRIBUTE(NFTA_SET_ELEM_EXPIRATION) | ATTRIBUTE(NFTA_SET_ELEM_USERDATA) |
      ATTRIBUTE(NFTA_SET_ELEM_EXPR) | ATTRIBUTE(NFTA_SET_ELEM_PAD) | ATTRIBUTE(NFTA_SET_ELEM_KEY_END);
  struct attributes attributes;
  attributes_split_nested(nest, known, &attributes);
  if (attributes.malformed) {
    return -EBADMSG;
  }
  *ret_element = (struct parsed_element){0};
  *ret_sound = parse_element_parts(parser, &attributes, set, ret_element);
  return 0;
}

static int keep_element(struct nftables_parser *parser, struct parsed_set *set, const struct nlattr *nest) {
  if (arena_grow(parser->arena, (void **)&set->items, set->count, &set->capacity, sizeof(const struct nlattr *)) < 0) {
    return -ENOMEM;
  }
  set->items[set->count++] = nest;
  return 0;
}

static int parse_elements(struct nftables_parser *parser, const struct nlmsghdr *message) {
  static const uint32_t known =
      ATTRIBUTE(NFTA_SET_ELEM_LIST_TABLE) | ATTRIBUTE(NFTA_SET_ELEM_LIST_SET) | ATTRIBUTE(NFTA_SET_ELEM_LIST_ELEMENTS);
  struct attributes attributes;
  attributes_split_message(message, sizeof(struct nfgenmsg), known, &attributes);
  const char *table = attributes_string(&attributes, NFTA_SET_ELEM_LIST_TABLE);
  const char *name = attributes_string(&attributes, NFTA_SET_ELEM_LIST_SET);
  if (attributes.malformed || table == NULL || name == NULL) {
    return -EBADMSG;
  }
  if (strcmp(table, parser->table) != 0 || !attributes_have(&attributes, NFTA_SET_ELEM_LIST_ELEMENTS)) {
    return 0;
  }
  struct parsed_set *set = find_set(parser, name);
  if (set == NULL) {
    parser->ruleset->foreign_count++;
    return 0;
  }
  if (set->set.dynamic) {
    return 0;
  }
  struct attribute_walk walk;
  const struct nlattr *item;
  attribute_walk_start(&walk, attributes.items[NFTA_SET_ELEM_LIST_ELEMENTS]);
  int status = 0;
  while (status == 0 && (item = attribute_walk_next(&walk)) != NULL) {
    status = keep_element(parser, set, item);
  }
  return status == 0 && walk.malformed ? -EBADMSG : status;
}

/* ---- objects and flowtables ---- */

static void parse_counter_values(struct attributes *attributes, struct counter *counter) {
  if (!attributes_have(attributes, NFTA_OBJ_DATA)) {
    return;
  }
  struct attributes values;
  attributes_split_nested(attributes->items[NFTA_OBJ_DATA], UINT32_MAX, &values);
  counter->packets = attributes_u64(&values, NFTA_COUNTER_PACKETS, 0);
  counter->bytes = attributes_u64(&values, NFTA_COUNTER_BYTES, 0);
}

static int parse_object(struct nftables_parser *parser, const struct nlmsghdr *message) {
  struct attributes attributes;
  attributes_split_message(message, sizeof(struct nfgenmsg), UINT32_MAX, &attributes);
  const char *table = attributes_string(&attributes, NFTA_OBJ_TABLE);
  const char *name = attributes_string(&attributes, NFTA_OBJ_NAME);
  if (attributes.malformed || table == NULL || name == NULL) {
    return -EBADMSG;
  }
  struct ruleset *ruleset = parser->ruleset;
  if (strcmp(table, parser->table) != 0) {
    return 0;
  }
  if (attributes_u32(&attributes, NFTA_OBJ_TYPE, NFT_OBJECT_UNSPEC) != NFT_OBJECT_COUNTER) {
    ruleset->foreign_count++;
    return 0;
  }
  if (arena_grow(parser->arena, (void **)&ruleset->counters, ruleset->counter_count, &parser->counter_capacity,
                 sizeof(*ruleset->counters)) < 0) {
    return -ENOMEM;
  }
  struct counter *counter = &ruleset->counters[ruleset->counter_count++];
  *counter = (struct counter){
      .name = arena_strdup(parser->arena, name),
      .comment = user_data_text(&attributes, NFTA_OBJ_USERDATA, NFTNL_UDATA_OBJ_COMMENT, parser->arena),
  };
  parse_counter_values(&attributes, counter);
  return 0;
}

static int parse_flowtable(struct nftables_parser *parser, const struct nlmsghdr *message) {
  struct attributes attributes;
  attributes_split_message(message, sizeof(struct nfgenmsg), UINT32_MAX, &attributes);
  const char *table = attributes_string(&attributes, NFTA_FLOWTABLE_TABLE);
  if (attributes.malformed || table == NULL) {
    return -EBADMSG;
  }
  parser->ruleset->foreign_count += strcmp(table, parser->table) == 0 ? 1 : 0;
  return 0;
}

/* ---- feeding ---- */

struct message_kind {
  enum nf_tables_msg_types type;
  int (*parse)(struct nftables_parser *parser, const struct nlmsghdr *message);
};

static const struct message_kind message_kinds[] = {
    {NFT_MSG_NEWTABLE, parse_table},         {NFT_MSG_NEWCHAIN, parse_chain},
    {NFT_MSG_NEWRULE, parse_rule},           {NFT_MSG_NEWSET, parse_set},
    {NFT_MSG_NEWSETELEM, parse_elements},    {NFT_MSG_NEWOBJ, parse_object},
    {NFT_MSG_NEWFLOWTABLE, parse_flowtable},
};

static int parse_message(struct nftables_parser *parser, const struct nlmsghdr *message) {
  if (message->nlmsg_len < NLMSG_HDRLEN + sizeof(struct nfgenmsg) || message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES) {
    return 0;
  }
  const struct nfgenmsg *header = mnl_nlmsg_get_payload(message);
  if (header->nfgen_family != NFPROTO_INET) {
    return 0;
  }
  for (size_t i = 0; i < sizeof(message_kinds) / sizeof(message_kinds[0]); i++) {
    if ((message->nlmsg_type & 0xff) == message_kinds[i].type) {
      return message_kinds[i].parse(parser, message);
    }
  }
  return 0;
}

int nftables_parser_feed(struct nftables_parser *parser, const void *data, size_t length, struct error *error) {
  size_t position = 0;
  while (length - position >= NLMSG_HDRLEN) {
    const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)((const char *)data + position);
    size_t left = length - position;
    if (message->nlmsg_len < NLMSG_HDRLEN || message->nlmsg_len > left) {
      return error_set(error, EBADMSG, "a netlink message of %u bytes where %zu are left", message->nlmsg_len, left);
    }
    int status = parse_message(parser, message);
    if (status == 0 && arena_failed(parser->arena)) {
      status = -ENOMEM;
    }
    if (status < 0) {
      return error_set(error, -status, "a netlink message of type %u cannot be read", message->nlmsg_type & 0xffU);
    }
    size_t step = netlink_align(message->nlmsg_len);
    position += step < left ? step : left;
  }
  return 0;
}

/* ---- finishing ---- */

static int compare_elements(const void *left, const void *right) {
  const struct element *first = left;
  const struct element *second = right;
  int order = memcmp(first->key, second->key, sizeof(first->key));
  return order != 0 ? order : memcmp(first->key_end, second->key_end, sizeof(first->key_end));
}

/* Sorted by key; at one key an end before a start, for intervals may touch. */
static int compare_parsed_elements(const void *left, const void *right) {
  const struct parsed_element *first = left;
  const struct parsed_element *second = right;
  int order = memcmp(first->element.key, second->element.key, sizeof(first->element.key));
  return order != 0 ? order : (int)second->end - (int)first->end;
}

static void key_decrement(uint8_t *key, size_t size) {
  for (size_t i = size; i-- > 0;) {
    if (key[i]-- != 0) {
      return;
    }
  }
}

static bool key_is_zero(const uint8_t *key, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (key[i] != 0) {
      return false;
    }
  }
  return true;
}

/* False when starts and ends do not alternate. set->elements has room for all. */
static bool pair_intervals(const struct parsed_element *items, size_t count, struct set *set) {
  struct element *open = NULL;
  for (size_t i = 0; i < count; i++) {
    const struct parsed_element *item = &items[i];
    if (!item->end) {
      if (open != NULL) {
        return false;
      }
      open = &set->elements[set->element_count++];
      *open = item->element;
      continue;
    }
    if (open == NULL) {
      if (!key_is_zero(item->element.key, set->key_size)) {
        return false;
      }
      continue;
    }
    memcpy(open->key_end, item->element.key, set->key_size);
    key_decrement(open->key_end, set->key_size);
    open = NULL;
  }
  if (open != NULL) {
    memset(open->key_end, 0xff, set->key_size);
  }
  return true;
}

/* Starts and ends; returns 0, -ENOMEM or -EBADMSG. */
static int finish_intervals(struct nftables_parser *parser, const struct parsed_set *from, struct set *set) {
  struct parsed_element *items = ARENA_ARRAY(parser->arena, from->count, struct parsed_element);
  int status = items != NULL ? 0 : -ENOMEM;
  for (size_t i = 0; status == 0 && !set->foreign && i < from->count; i++) {
    bool sound = false;
    status = parse_element(parser, set, from->items[i], &items[i], &sound);
    set->foreign = !sound;
  }
  if (status < 0 || set->foreign) {
    return status;
  }
  qsort(items, from->count, sizeof(*items), compare_parsed_elements);
  set->foreign = !pair_intervals(items, from->count, set);
  return 0;
}

/* A hash table that grows while the kernel lists it may show an element twice. A set holds a key once; intervals of the
 * other kind of set are never listed so. */
static void drop_repeated(struct set *set) {
  size_t kept = 0;
  for (size_t i = 0; i < set->element_count; i++) {
    if (kept == 0 || compare_elements(&set->elements[kept - 1], &set->elements[i]) != 0) {
      set->elements[kept++] = set->elements[i];
    }
  }
  set->element_count = kept;
}

static int finish_keys(struct nftables_parser *parser, const struct parsed_set *from, struct set *set) {
  for (size_t i = 0; i < from->count && !set->foreign; i++) {
    bool sound = false;
    struct parsed_element item;
    int status = parse_element(parser, set, from->items[i], &item, &sound);
    if (status < 0) {
      return status;
    }
    set->elements[set->element_count++] = item.element;
    set->foreign = !sound;
  }
  qsort(set->elements, set->element_count, sizeof(*set->elements), compare_elements);
  drop_repeated(set);
  return 0;
}

static int finish_set(struct nftables_parser *parser, const struct parsed_set *from, struct set *set) {
  *set = from->set;
  if (set->foreign || from->count == 0) {
    return 0;
  }
  set->elements = ARENA_ARRAY(parser->arena, from->count, struct element);
  if (set->elements == NULL) {
    return -ENOMEM;
  }
  bool tree = set->interval && set->field_count == 1;
  int status = tree ? finish_intervals(parser, from, set) : finish_keys(parser, from, set);
  if (set->foreign) {
    set->element_count = 0;
  }
  return status;
}

static int finish_sets(struct nftables_parser *parser) {
  struct ruleset *ruleset = parser->ruleset;
  if (parser->set_count == 0) {
    return 0;
  }
  qsort(parser->sets, parser->set_count, sizeof(*parser->sets), compare_names);
  ruleset->sets = ARENA_ARRAY(parser->arena, parser->set_count, struct set);
  if (ruleset->sets == NULL) {
    return -ENOMEM;
  }
  for (size_t i = 0; i < parser->set_count; i++) {
    int status = finish_set(parser, &parser->sets[i], &ruleset->sets[i]);
    if (status < 0) {
      return status;
    }
  }
  ruleset->set_count = parser->set_count;
  return 0;
}

static int finish_chains(struct nftables_parser *parser) {
  struct ruleset *ruleset = parser->ruleset;
  if (parser->chain_count == 0) {
    return 0;
  }
  qsort(parser->chains, parser->chain_count, sizeof(*parser->chains), compare_names);
  ruleset->chains = ARENA_ARRAY(parser->arena, parser->chain_count, struct chain);
  if (ruleset->chains == NULL) {
    return -ENOMEM;
  }
  for (size_t i = 0; i < parser->chain_count; i++) {
    ruleset->chains[i] = parser->chains[i].chain;
  }
  ruleset->chain_count = parser->chain_count;
  return 0;
}

int nftables_parser_finish(struct nftables_parser *parser, uint32_t generation, struct ruleset **ret_ruleset,
                           struct error *error) {
  struct ruleset *ruleset = parser->ruleset;
  ruleset->generation = generation;
  if (ruleset->counter_count > 0) {
    qsort(ruleset->counters, ruleset->counter_count, sizeof(*ruleset->counters), compare_names);
  }
  int status = finish_chains(parser);
  if (status == 0) {
    status = finish_sets(parser);
  }
  if (status == -ENOMEM || arena_failed(parser->arena)) {
    return error_set(error, ENOMEM, "no memory for the ruleset that was read");
  }
  if (status < 0) {
    return error_set(error, -status, "an element of a set cannot be read");
  }
  *ret_ruleset = ruleset;
  return 0;
}
