/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rules/ruleset.h"

#include <stdlib.h>
#include <string.h>

/* Datatype numbers: TYPE_* of nftables' include/datatype.h; they travel in the set's key type and must never change. */
static const struct field_description {
  size_t size;
  const char *name;
  uint32_t type;
} fields[KEY_FIELD_COUNT_] = {
    [KEY_FIELD_IPV4] = {4, "ipv4_addr", 7},
    [KEY_FIELD_IPV6] = {16, "ipv6_addr", 8},
    [KEY_FIELD_ETHER] = {6, "ether_addr", 9},
    [KEY_FIELD_PORT] = {2, "inet_service", 13},
    [KEY_FIELD_PROTOCOL] = {1, "inet_proto", 12},
    [KEY_FIELD_INTERFACE] = {16, "ifname", 41},
    [KEY_FIELD_MARK] = {4, "mark", 19},
    [KEY_FIELD_ICMP_TYPE] = {1, "icmp_type", 14},
    [KEY_FIELD_ICMPV6_TYPE] = {1, "icmpv6_type", 29},
};

size_t field_size(enum field_type type) {
  return fields[type].size;
}

const char *field_nft_name(enum field_type type) {
  return fields[type].name;
}

uint32_t field_nft_type(enum field_type type) {
  return fields[type].type;
}

/* The name is the first member of sets, chains and counters alike. */
static int compare_name(const void *key, const void *item) {
  const char *const *name = item;
  return strcmp(key, *name);
}

_Static_assert(offsetof(struct set, name) == 0, "compare_name() reads the first member");
_Static_assert(offsetof(struct chain, name) == 0, "compare_name() reads the first member");
_Static_assert(offsetof(struct counter, name) == 0, "compare_name() reads the first member");

static const void *find_by_name(const void *items, size_t count, size_t size, const char *name) {
  return count == 0 ? NULL : bsearch(name, items, count, size, compare_name);
}

const struct set *ruleset_find_set(const struct ruleset *ruleset, const char *name) {
  return find_by_name(ruleset->sets, ruleset->set_count, sizeof *ruleset->sets, name);
}

const struct chain *ruleset_find_chain(const struct ruleset *ruleset, const char *name) {
  return find_by_name(ruleset->chains, ruleset->chain_count, sizeof *ruleset->chains, name);
}

const struct counter *ruleset_find_counter(const struct ruleset *ruleset, const char *name) {
  return find_by_name(ruleset->counters, ruleset->counter_count, sizeof *ruleset->counters, name);
}

/* NULL and "" are both "none". */
static bool text_equal(const char *left, const char *right) {
  return strcmp(left == NULL ? "" : left, right == NULL ? "" : right) == 0;
}

static bool verdict_equal(const struct verdict *left, const struct verdict *right) {
  return left->code == right->code && text_equal(left->chain, right->chain);
}

bool expression_equal(const struct expression *left, const struct expression *right) {
  if (left->kind != right->kind || left->kind == EXPRESSION_FOREIGN)
    return false;
  return left->key == right->key && left->direction == right->direction && left->source == right->source &&
         left->destination == right->destination && left->has_destination == right->has_destination &&
         left->to_verdict == right->to_verdict && left->invert == right->invert && left->present == right->present &&
         left->offset == right->offset && left->length == right->length &&
         memcmp(left->data, right->data, sizeof left->data) == 0 &&
         memcmp(left->mask, right->mask, sizeof left->mask) == 0 &&
         memcmp(left->xor, right->xor, sizeof left->xor) == 0 && left->rate == right->rate &&
         left->unit_seconds == right->unit_seconds && left->burst == right->burst &&
         text_equal(left->name, right->name) && verdict_equal(&left->verdict, &right->verdict);
}

bool rule_equal(const struct rule *left, const struct rule *right) {
  if (left->expression_count != right->expression_count || !text_equal(left->comment, right->comment))
    return false;
  for (size_t i = 0; i < left->expression_count; i++)
    if (!expression_equal(&left->expressions[i], &right->expressions[i]))
      return false;
  return true;
}

int element_compare_keys(const struct set *set, const struct element *left, const struct element *right) {
  int order = memcmp(left->key, right->key, set->key_size);
  if (order == 0 && set->interval)
    order = memcmp(left->key_end, right->key_end, set->key_size);
  return order;
}

const struct element *set_find(const struct set *set, const struct element *key) {
  size_t first = 0, end = set->element_count;
  while (first < end) {
    size_t middle = first + (end - first) / 2;
    int order = element_compare_keys(set, &set->elements[middle], key);
    if (order == 0)
      return &set->elements[middle];
    if (order < 0)
      first = middle + 1;
    else
      end = middle;
  }
  return NULL;
}

static bool instant_near(struct instant left, struct instant right, int64_t tolerance) {
  if (left.seconds == INT64_MAX || right.seconds == INT64_MAX)
    return left.seconds == right.seconds;
  int64_t apart = left.seconds < right.seconds ? right.seconds - left.seconds : left.seconds - right.seconds;
  return apart <= tolerance;
}

bool element_equal(const struct set *set, const struct element *left, const struct element *right,
                   int64_t tolerance_seconds) {
  if (element_compare_keys(set, left, right) != 0 || !text_equal(left->comment, right->comment))
    return false;
  if (set->timeouts && !instant_near(left->expires, right->expires, tolerance_seconds))
    return false;
  if (set->data == MAP_MARK)
    return left->mark == right->mark;
  return set->data != MAP_VERDICT || verdict_equal(&left->verdict, &right->verdict);
}

/* ---- whole rulesets ---- */

bool set_properties_equal(const struct set *left, const struct set *right) {
  if (left->foreign || right->foreign || left->field_count != right->field_count)
    return false;
  for (size_t i = 0; i < left->field_count; i++)
    if (left->fields[i] != right->fields[i])
      return false;
  return left->key_size == right->key_size && left->data == right->data && left->interval == right->interval &&
         left->timeouts == right->timeouts && left->counters == right->counters && left->size == right->size &&
         left->dynamic == right->dynamic && left->timeout_seconds == right->timeout_seconds &&
         left->sweep_milliseconds == right->sweep_milliseconds && text_equal(left->comment, right->comment);
}

bool set_surely_same(const struct set *left, const struct set *right) {
  return left->dynamic || (left->elements == right->elements && left->element_count == right->element_count) ||
         (left->sealed && right->sealed && left->element_count == right->element_count &&
          memcmp(left->digest, right->digest, sizeof left->digest) == 0);
}

bool chain_surely_same(const struct chain *left, const struct chain *right) {
  return (left->rules == right->rules && left->rule_count == right->rule_count) ||
         (left->sealed && right->sealed && left->rule_count == right->rule_count &&
          memcmp(left->digest, right->digest, sizeof left->digest) == 0);
}

bool chain_properties_equal(const struct chain *left, const struct chain *right) {
  return left->hook == right->hook && text_equal(left->comment, right->comment) &&
         (left->hook == HOOK_NONE || (left->priority == right->priority && left->policy_drop == right->policy_drop));
}

static bool set_equal(const struct set *left, const struct set *right, struct arena *arena, const char **ret_what) {
  if (!set_properties_equal(left, right)) {
    *ret_what = arena_printf(arena, "set '%s': properties differ", left->name);
    return false;
  }
  if (left->dynamic)
    return true;
  size_t common = left->element_count < right->element_count ? left->element_count : right->element_count;
  for (size_t i = 0; i < common; i++)
    if (!element_equal(left, &left->elements[i], &right->elements[i], RULESET_END_TOLERANCE)) {
      *ret_what = arena_printf(arena, "set '%s': element %zu differs", left->name, i + 1);
      return false;
    }
  if (left->element_count == right->element_count)
    return true;
  *ret_what =
      arena_printf(arena, "set '%s': %zu elements against %zu", left->name, left->element_count, right->element_count);
  return false;
}

static bool chain_equal(const struct chain *left, const struct chain *right, struct arena *arena,
                        const char **ret_what) {
  if (!chain_properties_equal(left, right)) {
    *ret_what = arena_printf(arena, "chain '%s': properties differ", left->name);
    return false;
  }
  size_t common = left->rule_count < right->rule_count ? left->rule_count : right->rule_count;
  for (size_t i = 0; i < common; i++)
    if (!rule_equal(&left->rules[i], &right->rules[i])) {
      *ret_what = arena_printf(arena, "chain '%s': rule %zu differs", left->name, i + 1);
      return false;
    }
  if (left->rule_count == right->rule_count)
    return true;
  *ret_what = arena_printf(arena, "chain '%s': %zu rules against %zu", left->name, left->rule_count, right->rule_count);
  return false;
}

static bool counters_equal(const struct ruleset *left, const struct ruleset *right, struct arena *arena,
                           const char **ret_what) {
  for (size_t i = 0; i < left->counter_count && i < right->counter_count; i++)
    if (strcmp(left->counters[i].name, right->counters[i].name) != 0 ||
        !text_equal(left->counters[i].comment, right->counters[i].comment)) {
      *ret_what = arena_printf(arena, "counter '%s' differs", left->counters[i].name);
      return false;
    }
  if (left->counter_count == right->counter_count)
    return true;
  *ret_what = arena_printf(arena, "%zu counters against %zu", left->counter_count, right->counter_count);
  return false;
}

static bool sets_equal(const struct ruleset *left, const struct ruleset *right, struct arena *arena,
                       const char **ret_what) {
  for (size_t i = 0; i < left->set_count && i < right->set_count; i++) {
    if (strcmp(left->sets[i].name, right->sets[i].name) != 0) {
      *ret_what = arena_printf(arena, "set '%s' against '%s'", left->sets[i].name, right->sets[i].name);
      return false;
    }
    if (!set_equal(&left->sets[i], &right->sets[i], arena, ret_what))
      return false;
  }
  if (left->set_count == right->set_count)
    return true;
  *ret_what = arena_printf(arena, "%zu sets against %zu", left->set_count, right->set_count);
  return false;
}

static bool chains_equal(const struct ruleset *left, const struct ruleset *right, struct arena *arena,
                         const char **ret_what) {
  for (size_t i = 0; i < left->chain_count && i < right->chain_count; i++) {
    if (strcmp(left->chains[i].name, right->chains[i].name) != 0) {
      *ret_what = arena_printf(arena, "chain '%s' against '%s'", left->chains[i].name, right->chains[i].name);
      return false;
    }
    if (!chain_equal(&left->chains[i], &right->chains[i], arena, ret_what))
      return false;
  }
  if (left->chain_count == right->chain_count)
    return true;
  *ret_what = arena_printf(arena, "%zu chains against %zu", left->chain_count, right->chain_count);
  return false;
}

bool ruleset_equal(const struct ruleset *left, const struct ruleset *right, struct arena *arena,
                   const char **ret_what) {
  const char *what = NULL;
  bool equal = true;
  if (left->present != right->present || left->dormant != right->dormant || strcmp(left->table, right->table) != 0) {
    what = "table: missing, dormant or of another name";
    equal = false;
  } else if (left->foreign_count != right->foreign_count) {
    what = "table: objects of other kinds";
    equal = false;
  }
  equal = equal && counters_equal(left, right, arena, &what) && sets_equal(left, right, arena, &what) &&
          chains_equal(left, right, arena, &what);
  if (!equal && ret_what != NULL)
    *ret_what = what;
  return equal;
}
