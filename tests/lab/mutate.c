/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "mutate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>

/* ---- a copy ---- */

struct ruleset *mutation_copy(const struct ruleset *ruleset, struct arena *arena) {
  struct ruleset *copy = arena_memdup(arena, ruleset, sizeof(*ruleset));
  if (copy == NULL)
    return NULL;
  copy->counters = ARENA_ARRAY(arena, ruleset->counter_count + 1, struct counter);
  copy->sets = ARENA_ARRAY(arena, ruleset->set_count + 1, struct set);
  copy->chains = ARENA_ARRAY(arena, ruleset->chain_count + 1, struct chain);
  if (copy->counters == NULL || copy->sets == NULL || copy->chains == NULL)
    return NULL;
  for (size_t i = 0; i < ruleset->counter_count; i++)
    counter_copy(&ruleset->counters[i], arena, &copy->counters[i]);
  for (size_t i = 0; i < ruleset->set_count; i++) {
    set_copy(&ruleset->sets[i], arena, &copy->sets[i]);
    copy->sets[i].sealed = false;
  }
  for (size_t i = 0; i < ruleset->chain_count; i++) {
    chain_copy(&ruleset->chains[i], arena, &copy->chains[i]);
    copy->chains[i].sealed = false;
  }
  return arena_failed(arena) ? NULL : copy;
}

/* ---- choosing a place ---- */

struct place_in_rule {
  struct chain *chain;
  struct rule *rule;
  size_t rule_index, index;
  struct expression *expression;
};

typedef bool wanted_function(const struct place_in_rule *place);

static bool next_place(struct ruleset *ruleset, wanted_function *wanted, size_t *left, struct place_in_rule *ret) {
  for (size_t i = 0; i < ruleset->chain_count; i++)
    for (size_t j = 0; j < ruleset->chains[i].rule_count; j++) {
      struct rule *rule = &ruleset->chains[i].rules[j];
      for (size_t k = 0; k < rule->expression_count; k++) {
        struct place_in_rule place = {&ruleset->chains[i], rule, j, k, &rule->expressions[k]};
        if (!wanted(&place))
          continue;
        *ret = place;
        if ((*left)-- == 0)
          return true;
      }
    }
  return false;
}

static bool choose(struct mutation *mutation, wanted_function *wanted, struct place_in_rule *ret) {
  size_t all = SIZE_MAX;
  struct place_in_rule place;
  next_place(mutation->ruleset, wanted, &all, &place);
  size_t count = SIZE_MAX - all;
  if (count == 0)
    return false;
  size_t left = dice_below(mutation->dice, (unsigned)count);
  return next_place(mutation->ruleset, wanted, &left, ret);
}

static void say(struct mutation *mutation, const struct place_in_rule *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void say(struct mutation *mutation, const struct place_in_rule *place, const char *format, ...) {
  int length = snprintf(mutation->what, sizeof(mutation->what),
                        "chain %s rule %zu expression %zu: ", place->chain->name, place->rule_index, place->index);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(mutation->what + length, sizeof(mutation->what) - (size_t)length, format, arguments);
  va_end(arguments);
}

static bool is_first(const struct place_in_rule *place) {
  return place->index == 0;
}

static bool is_kind(const struct place_in_rule *place, enum expression_kind kind) {
  return place->expression->kind == kind;
}

static bool is_compare(const struct place_in_rule *place) {
  return is_kind(place, EXPRESSION_COMPARE);
}

static bool is_range(const struct place_in_rule *place) {
  return is_kind(place, EXPRESSION_RANGE);
}

static bool is_bitwise(const struct place_in_rule *place) {
  return is_kind(place, EXPRESSION_BITWISE);
}

static bool is_lookup(const struct place_in_rule *place) {
  return is_kind(place, EXPRESSION_LOOKUP);
}

static bool is_payload(const struct place_in_rule *place) {
  return is_kind(place, EXPRESSION_PAYLOAD);
}

static bool is_verdict(const struct place_in_rule *place, enum verdict_code code) {
  return is_kind(place, EXPRESSION_VERDICT) && place->expression->verdict.code == code;
}

static bool is_accept(const struct place_in_rule *place) {
  return is_verdict(place, VERDICT_ACCEPT);
}

static bool is_drop(const struct place_in_rule *place) {
  return is_verdict(place, VERDICT_DROP);
}

static bool is_jump(const struct place_in_rule *place) {
  return is_verdict(place, VERDICT_JUMP);
}

static bool is_goto(const struct place_in_rule *place) {
  return is_verdict(place, VERDICT_GOTO);
}

static bool is_return(const struct place_in_rule *place) {
  return is_verdict(place, VERDICT_RETURN);
}

static bool is_mark_set(const struct place_in_rule *place) {
  return is_kind(place, EXPRESSION_CT_SET) && place->expression->key == NFT_CT_MARK;
}

static bool is_ct_of(const struct place_in_rule *place, uint32_t key) {
  return is_kind(place, EXPRESSION_CT) && place->expression->key == key;
}

static bool is_direction(const struct place_in_rule *place) {
  return is_ct_of(place, NFT_CT_DIRECTION) && place->index + 1 < place->rule->expression_count;
}

static bool is_state(const struct place_in_rule *place) {
  return is_ct_of(place, NFT_CT_STATE);
}

static bool is_tuple_address(const struct place_in_rule *place) {
  return is_kind(place, EXPRESSION_CT) &&
         (place->expression->key == NFT_CT_SRC_IP || place->expression->key == NFT_CT_DST_IP);
}

static bool is_interface(const struct place_in_rule *place) {
  return is_kind(place, EXPRESSION_META) &&
         (place->expression->key == NFT_META_IIFNAME || place->expression->key == NFT_META_OIFNAME);
}

static bool is_protocol_check(const struct place_in_rule *place) {
  return is_compare(place) && place->index > 0 && place->rule->expressions[place->index - 1].kind == EXPRESSION_META &&
         place->rule->expressions[place->index - 1].key == NFT_META_L4PROTO;
}

static bool is_family_check(const struct place_in_rule *place) {
  return is_compare(place) && place->index > 0 && place->rule->expressions[place->index - 1].kind == EXPRESSION_META &&
         place->rule->expressions[place->index - 1].key == NFT_META_NFPROTO;
}

static bool is_address_load(const struct place_in_rule *place) {
  return is_payload(place) && place->expression->key == NFT_PAYLOAD_NETWORK_HEADER &&
         (place->expression->offset == 12 || place->expression->offset == 16) && place->expression->length == 4;
}

static bool is_limit(const struct place_in_rule *place) {
  return is_kind(place, EXPRESSION_LIMIT);
}

/* ---- rules ---- */

static void remove_expression(struct rule *rule, size_t index) {
  memmove(&rule->expressions[index], &rule->expressions[index + 1],
          (rule->expression_count - index - 1) * sizeof(rule->expressions[0]));
  rule->expression_count--;
}

static void remove_rule(struct place_in_rule *place) {
  memmove(place->rule, place->rule + 1, (place->chain->rule_count - place->rule_index - 1) * sizeof(*place->rule));
  place->chain->rule_count--;
}

static bool delete_rule(struct mutation *mutation) {
  struct place_in_rule place;
  if (!choose(mutation, is_first, &place))
    return false;
  say(mutation, &place, "deleted");
  remove_rule(&place);
  return true;
}

static bool move_rule(struct mutation *mutation, bool to_end) {
  struct place_in_rule place;
  if (!choose(mutation, is_first, &place) || place.rule_index + 1 == place.chain->rule_count)
    return false;
  struct rule moved = *place.rule;
  size_t steps = to_end ? place.chain->rule_count - place.rule_index - 1 : 1;
  say(mutation, &place, "moved behind the next %zu", steps);
  memmove(place.rule, place.rule + 1, steps * sizeof(moved));
  place.rule[steps] = moved;
  return true;
}

static bool swap_rules(struct mutation *mutation) {
  return move_rule(mutation, false);
}

static bool sink_rule(struct mutation *mutation) {
  return move_rule(mutation, true);
}

static bool insert_rule(struct mutation *mutation, const struct place_in_rule *place, const struct expression *with,
                        size_t count) {
  struct chain *chain = place->chain;
  struct rule *rules = ARENA_ARRAY(mutation->arena, chain->rule_count + 1, struct rule);
  struct expression *expressions = arena_memdup(mutation->arena, with, count * sizeof(*with));
  if (rules == NULL || expressions == NULL)
    return false;
  memcpy(rules, chain->rules, place->rule_index * sizeof(*rules));
  rules[place->rule_index] =
      (struct rule){.expressions = expressions, .expression_count = count, .origin = {.subject = ""}};
  memcpy(rules + place->rule_index + 1, chain->rules + place->rule_index,
         (chain->rule_count - place->rule_index) * sizeof(*rules));
  chain->rules = rules;
  chain->rule_count++;
  return true;
}

static bool insert_verdict(struct mutation *mutation, enum verdict_code code, const char *what) {
  struct place_in_rule place;
  if (!choose(mutation, is_first, &place))
    return false;
  say(mutation, &place, "before it: %s", what);
  struct expression verdict = {.kind = EXPRESSION_VERDICT, .verdict = {.code = code}};
  return insert_rule(mutation, &place, &verdict, 1);
}

static bool insert_accept(struct mutation *mutation) {
  return insert_verdict(mutation, VERDICT_ACCEPT, "accept");
}

static bool insert_drop(struct mutation *mutation) {
  return insert_verdict(mutation, VERDICT_DROP, "drop");
}

static bool insert_return(struct mutation *mutation) {
  return insert_verdict(mutation, VERDICT_RETURN, "return");
}

/* What every guide to firewalls begins with. */
static bool insert_established(struct mutation *mutation) {
  struct place_in_rule place;
  if (!choose(mutation, is_first, &place))
    return false;
  uint32_t bits = 2 | 4, zero = 0; /* established, related */
  struct expression rule[] = {
      {.kind = EXPRESSION_CT, .key = NFT_CT_STATE, .direction = 0xff, .length = 4},
      {.kind = EXPRESSION_BITWISE, .length = 4},
      {.kind = EXPRESSION_COMPARE, .key = NFT_CMP_NEQ, .length = 4},
      {.kind = EXPRESSION_VERDICT, .verdict = {.code = VERDICT_ACCEPT}},
  };
  memcpy(rule[1].mask, &bits, 4);
  memcpy(rule[2].data, &zero, 4);
  say(mutation, &place, "before it: ct state established,related accept");
  return insert_rule(mutation, &place, rule, 4);
}

static bool insert_mark(struct mutation *mutation) {
  struct place_in_rule place;
  if (!choose(mutation, is_mark_set, &place))
    return false;
  uint32_t mark = dice_below(mutation->dice, 1000) + 1;
  struct expression rule[] = {
      {.kind = EXPRESSION_IMMEDIATE, .length = 4},
      {.kind = EXPRESSION_CT_SET, .key = NFT_CT_MARK, .direction = 0xff},
  };
  memcpy(rule[0].data, &mark, 4);
  say(mutation, &place, "before it: ct mark set %u", mark);
  return insert_rule(mutation, &place, rule, 2);
}

static bool empty_chain(struct mutation *mutation) {
  struct place_in_rule place;
  if (!choose(mutation, is_first, &place))
    return false;
  say(mutation, &place, "the chain is emptied");
  place.chain->rule_count = 0;
  return true;
}

/* ---- expressions ---- */

static bool remove_kind(struct mutation *mutation, wanted_function *wanted, const char *what) {
  struct place_in_rule place;
  if (!choose(mutation, wanted, &place))
    return false;
  say(mutation, &place, "%s removed", what);
  remove_expression(place.rule, place.index);
  return true;
}

static bool remove_compare(struct mutation *mutation) {
  return remove_kind(mutation, is_compare, "comparison");
}

static bool remove_protocol_check(struct mutation *mutation) {
  return remove_kind(mutation, is_protocol_check, "protocol check");
}

static bool remove_family_check(struct mutation *mutation) {
  return remove_kind(mutation, is_family_check, "family check");
}

static bool is_set_lookup(const struct place_in_rule *place) {
  return is_lookup(place) && !place->expression->has_destination && !place->expression->to_verdict;
}

static bool remove_lookup(struct mutation *mutation) {
  return remove_kind(mutation, is_set_lookup, "lookup");
}

static bool remove_mark_set(struct mutation *mutation) {
  return remove_kind(mutation, is_mark_set, "ct mark set");
}

static bool remove_limit(struct mutation *mutation) {
  return remove_kind(mutation, is_limit, "limit");
}

static bool negate_compare(struct mutation *mutation) {
  struct place_in_rule place;
  if (!choose(mutation, is_compare, &place) || place.expression->key > NFT_CMP_NEQ)
    return false;
  say(mutation, &place, "negated");
  place.expression->key ^= 1;
  return true;
}

static bool invert_lookup(struct mutation *mutation) {
  struct place_in_rule place;
  if (!choose(mutation, is_set_lookup, &place))
    return false;
  say(mutation, &place, "lookup in %s inverted", place.expression->name);
  place.expression->invert = !place.expression->invert;
  return true;
}

static bool flip_compared_bit(struct mutation *mutation) {
  struct place_in_rule place;
  if (!choose(mutation, is_compare, &place) || place.expression->length == 0)
    return false;
  unsigned bit = dice_below(mutation->dice, place.expression->length * 8);
  say(mutation, &place, "bit %u of the value flipped", bit);
  place.expression->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
  return true;
}

static bool flip_mask_bit(struct mutation *mutation) {
  struct place_in_rule place;
  if (!choose(mutation, is_bitwise, &place) || place.expression->length == 0)
    return false;
  unsigned bit = dice_below(mutation->dice, place.expression->length * 8);
  say(mutation, &place, "bit %u of the mask flipped", bit);
  place.expression->mask[bit / 8] ^= (uint8_t)(1u << bit % 8);
  return true;
}

static bool flip_xor_bit(struct mutation *mutation) {
  struct place_in_rule place;
  if (!choose(mutation, is_bitwise, &place) || place.expression->length == 0)
    return false;
  unsigned bit = dice_below(mutation->dice, place.expression->length * 8);
  say(mutation, &place, "bit %u of the xor flipped", bit);
  place.expression->xor [bit / 8] ^= (uint8_t)(1u << bit % 8);
  return true;
}

static bool add_one(uint8_t *bytes, size_t length) {
  for (size_t i = length; i-- > 0;)
    if (++bytes[i] != 0)
      return true;
  return false;
}

static bool subtract_one(uint8_t *bytes, size_t length) {
  for (size_t i = length; i-- > 0;)
    if (bytes[i]-- != 0)
      return true;
  return false;
}

static bool widen_range(struct mutation *mutation) {
  struct place_in_rule place;
  if (!choose(mutation, is_range, &place))
    return false;
  say(mutation, &place, "range widened by one");
  return add_one(place.expression->mask, place.expression->length);
}

static bool shift_payload(struct mutation *mutation) {
  struct place_in_rule place;
  if (!choose(mutation, is_payload, &place))
    return false;
  say(mutation, &place, "offset %u becomes %u", place.expression->offset, place.expression->offset + 1);
  place.expression->offset++;
  return true;
}

static bool swap_addresses(struct mutation *mutation) {
  struct place_in_rule place;
  if (!choose(mutation, is_address_load, &place))
    return false;
  say(mutation, &place, "source and destination exchanged");
  place.expression->offset = place.expression->offset == 12 ? 16 : 12;
  return true;
}

static bool swap_tuple(struct mutation *mutation) {
  struct place_in_rule place;
  if (!choose(mutation, is_tuple_address, &place))
    return false;
  say(mutation, &place, "tuple's source and destination exchanged");
  place.expression->key = place.expression->key == NFT_CT_SRC_IP ? NFT_CT_DST_IP : NFT_CT_SRC_IP;
  return true;
}

static bool swap_interfaces(struct mutation *mutation) {
  struct place_in_rule place;
  if (!choose(mutation, is_interface, &place))
    return false;
  if (place.chain->hook == HOOK_PREROUTING || place.chain->hook == HOOK_INPUT || place.chain->hook == HOOK_OUTPUT)
    return false;
  say(mutation, &place, "iifname and oifname exchanged");
  place.expression->key = place.expression->key == NFT_META_IIFNAME ? NFT_META_OIFNAME : NFT_META_IIFNAME;
  return true;
}

static bool turn_direction(struct mutation *mutation) {
  struct place_in_rule place;
  if (!choose(mutation, is_direction, &place))
    return false;
  struct expression *compare = place.expression + 1;
  if (compare->kind != EXPRESSION_COMPARE)
    return false;
  say(mutation, &place, "original and reply exchanged");
  compare->data[0] ^= 1;
  return true;
}

static bool change_state(struct mutation *mutation) {
  static const uint32_t bits[] = {1, 2, 4, 8, 64, 2 | 4, 2 | 4 | 8};
  struct place_in_rule place;
  if (!choose(mutation, is_state, &place) || place.expression[1].kind != EXPRESSION_BITWISE)
    return false;
  uint32_t chosen = bits[dice_below(mutation->dice, sizeof(bits) / sizeof(bits[0]))];
  say(mutation, &place, "state mask becomes %u", chosen);
  bool changed = memcmp(place.expression[1].mask, &chosen, 4) != 0;
  memcpy(place.expression[1].mask, &chosen, 4);
  return changed;
}

/* ---- verdicts ---- */

static bool change_verdict(struct mutation *mutation, wanted_function *wanted, enum verdict_code code,
                           const char *what) {
  struct place_in_rule place;
  if (!choose(mutation, wanted, &place))
    return false;
  say(mutation, &place, "%s", what);
  place.expression->verdict.code = code;
  return true;
}

static bool drop_to_accept(struct mutation *mutation) {
  return change_verdict(mutation, is_drop, VERDICT_ACCEPT, "drop becomes accept");
}

static bool drop_to_return(struct mutation *mutation) {
  return change_verdict(mutation, is_drop, VERDICT_RETURN, "drop becomes return");
}

static bool accept_to_drop(struct mutation *mutation) {
  return change_verdict(mutation, is_accept, VERDICT_DROP, "accept becomes drop");
}

static bool accept_to_return(struct mutation *mutation) {
  return change_verdict(mutation, is_accept, VERDICT_RETURN, "accept becomes return");
}

static bool goto_to_jump(struct mutation *mutation) {
  return change_verdict(mutation, is_goto, VERDICT_JUMP, "goto becomes jump");
}

static bool jump_to_goto(struct mutation *mutation) {
  return change_verdict(mutation, is_jump, VERDICT_GOTO, "jump becomes goto");
}

static bool return_to_accept(struct mutation *mutation) {
  return change_verdict(mutation, is_return, VERDICT_ACCEPT, "return becomes accept");
}

static bool return_to_drop(struct mutation *mutation) {
  return change_verdict(mutation, is_return, VERDICT_DROP, "return becomes drop");
}

/* Another chain, without rules that lead on: no loops come of it. */
static const char *some_leaf_chain(struct mutation *mutation) {
  const struct ruleset *ruleset = mutation->ruleset;
  for (int tries = 0; tries < 50; tries++) {
    const struct chain *chain = &ruleset->chains[dice_below(mutation->dice, (unsigned)ruleset->chain_count)];
    bool leads_on = chain->hook != HOOK_NONE;
    for (size_t i = 0; i < chain->rule_count; i++)
      for (size_t j = 0; j < chain->rules[i].expression_count; j++) {
        const struct expression *expression = &chain->rules[i].expressions[j];
        leads_on = leads_on || (expression->kind == EXPRESSION_VERDICT && expression->verdict.chain != NULL) ||
                   (expression->kind == EXPRESSION_LOOKUP && expression->to_verdict);
      }
    if (!leads_on)
      return chain->name;
  }
  return NULL;
}

static bool retarget_jump(struct mutation *mutation) {
  struct place_in_rule place;
  const char *target = some_leaf_chain(mutation);
  if (target == NULL || !choose(mutation, dice_percent(mutation->dice, 50) ? is_jump : is_goto, &place) ||
      strcmp(place.chain->name, target) == 0)
    return false;
  say(mutation, &place, "leads to %s", target);
  place.expression->verdict.chain = target;
  return true;
}

/* ---- sets ---- */

typedef bool wanted_set_function(const struct set *set);

static bool has_elements(const struct set *set) {
  return set->element_count != 0 && !set->dynamic;
}

static bool is_interval(const struct set *set) {
  return has_elements(set) && set->interval;
}

static bool is_plain(const struct set *set) {
  return has_elements(set) && !set->interval && set->data == MAP_NONE;
}

static bool is_mark_map(const struct set *set) {
  return has_elements(set) && set->data == MAP_MARK;
}

static bool is_verdict_map(const struct set *set) {
  return has_elements(set) && set->data == MAP_VERDICT;
}

static bool is_in_force(const struct set *set) {
  return has_elements(set) && strncmp(set->name, "in_force", 8) == 0;
}

static bool is_binding(const struct set *set) {
  return has_elements(set) && set->fields[set->field_count - 1] == KEY_FIELD_ETHER;
}

static struct set *choose_set(struct mutation *mutation, wanted_set_function *wanted) {
  struct ruleset *ruleset = mutation->ruleset;
  size_t count = 0;
  for (size_t i = 0; i < ruleset->set_count; i++)
    count += wanted(&ruleset->sets[i]) ? 1 : 0;
  size_t left = count == 0 ? 0 : dice_below(mutation->dice, (unsigned)count);
  for (size_t i = 0; count != 0 && i < ruleset->set_count; i++)
    if (wanted(&ruleset->sets[i]) && left-- == 0)
      return &ruleset->sets[i];
  return NULL;
}

static struct element *choose_element(struct mutation *mutation, wanted_set_function *wanted, struct set **ret_set,
                                      const char *what) {
  struct set *set = choose_set(mutation, wanted);
  if (set == NULL)
    return NULL;
  size_t index = dice_below(mutation->dice, (unsigned)set->element_count);
  snprintf(mutation->what, sizeof(mutation->what), "set %s element %zu: %s", set->name, index, what);
  *ret_set = set;
  return &set->elements[index];
}

static void remove_element_at(struct set *set, struct element *element) {
  size_t index = (size_t)(element - set->elements);
  memmove(element, element + 1, (set->element_count - index - 1) * sizeof(*element));
  set->element_count--;
}

static bool remove_from(struct mutation *mutation, wanted_set_function *wanted) {
  struct set *set;
  struct element *element = choose_element(mutation, wanted, &set, "removed");
  if (element == NULL)
    return false;
  remove_element_at(set, element);
  return true;
}

static bool remove_element(struct mutation *mutation) {
  return remove_from(mutation, has_elements);
}

static bool remove_opener(struct mutation *mutation) {
  return remove_from(mutation, is_mark_map);
}

static bool remove_dispatch(struct mutation *mutation) {
  return remove_from(mutation, is_verdict_map);
}

static bool remove_in_force(struct mutation *mutation) {
  return remove_from(mutation, is_in_force);
}

static bool empty_set(struct mutation *mutation) {
  struct set *set = choose_set(mutation, has_elements);
  if (set == NULL)
    return false;
  snprintf(mutation->what, sizeof(mutation->what), "set %s: emptied", set->name);
  set->element_count = 0;
  return true;
}

/* The last byte of the key's end one more (or of its beginning one less). */
static bool widen_element(struct mutation *mutation) {
  struct set *set;
  struct element *element = choose_element(mutation, is_interval, &set, "widened by one");
  if (element == NULL || set->field_count > 1)
    return false;
  if (!add_one(element->key_end, set->key_size))
    return false;
  const struct element *next = element + 1;
  return next == set->elements + set->element_count || memcmp(next->key, element->key_end, set->key_size) > 0;
}

static bool narrow_element(struct mutation *mutation) {
  struct set *set;
  struct element *element = choose_element(mutation, is_interval, &set, "narrowed by one");
  if (element == NULL || set->field_count > 1 || memcmp(element->key, element->key_end, set->key_size) == 0)
    return false;
  return subtract_one(element->key_end, set->key_size);
}

static int compare_elements(const struct set *set, const struct element *left, const struct element *right) {
  return element_compare_keys(set, left, right);
}

static void sort_in(struct set *set) {
  for (size_t i = 1; i < set->element_count; i++)
    for (size_t j = i; j > 0 && compare_elements(set, &set->elements[j - 1], &set->elements[j]) > 0; j--) {
      struct element moved = set->elements[j];
      set->elements[j] = set->elements[j - 1];
      set->elements[j - 1] = moved;
    }
}

static bool has_twins(const struct set *set) {
  for (size_t i = 1; i < set->element_count; i++)
    if (compare_elements(set, &set->elements[i - 1], &set->elements[i]) == 0)
      return true;
  return false;
}

static bool flip_key_bit(struct mutation *mutation, wanted_set_function *wanted) {
  struct set *set;
  struct element *element = choose_element(mutation, wanted, &set, "one bit of its key flipped");
  if (element == NULL || set->interval)
    return false;
  size_t field = dice_below(mutation->dice, (unsigned)set->field_count), offset = 0;
  for (size_t i = 0; i < field; i++)
    offset += (field_size(set->fields[i]) + 3) / 4 * 4;
  if (set->fields[field] == KEY_FIELD_INTERFACE)
    return false;
  unsigned bit = dice_below(mutation->dice, (unsigned)field_size(set->fields[field]) * 8);
  element->key[offset + bit / 8] ^= (uint8_t)(1u << bit % 8);
  memcpy(element->key_end, element->key, sizeof(element->key));
  sort_in(set);
  return !has_twins(set);
}

static bool flip_element_bit(struct mutation *mutation) {
  return flip_key_bit(mutation, has_elements);
}

static bool flip_opener_bit(struct mutation *mutation) {
  return flip_key_bit(mutation, is_mark_map);
}

static bool flip_binding_bit(struct mutation *mutation) {
  return flip_key_bit(mutation, is_binding);
}

static bool flip_plain_bit(struct mutation *mutation) {
  return flip_key_bit(mutation, is_plain);
}

static bool change_mark(struct mutation *mutation) {
  struct set *set, *other;
  struct element *element = choose_element(mutation, is_mark_map, &set, "leads to another mark"), *from;
  char what[sizeof(mutation->what)];
  memcpy(what, mutation->what, sizeof(what));
  from = choose_element(mutation, is_mark_map, &other, "");
  memcpy(mutation->what, what, sizeof(what));
  if (element == NULL || from == NULL || element->mark == from->mark)
    return false;
  element->mark = from->mark;
  return true;
}

static bool reverse_mark(struct mutation *mutation) {
  struct set *set;
  struct element *element = choose_element(mutation, is_mark_map, &set, "bytes of its mark in the other order");
  if (element == NULL)
    return false;
  element->mark = __builtin_bswap32(element->mark);
  return true;
}

static bool accept_in_map(struct mutation *mutation) {
  struct set *set;
  struct element *element = choose_element(mutation, is_verdict_map, &set, "its verdict becomes accept");
  if (element == NULL)
    return false;
  element->verdict = (struct verdict){.code = VERDICT_ACCEPT};
  return true;
}

static bool retarget_map(struct mutation *mutation) {
  struct set *set, *other;
  struct element *element = choose_element(mutation, is_verdict_map, &set, "leads where another one leads"), *from;
  char what[sizeof(mutation->what)];
  memcpy(what, mutation->what, sizeof(what));
  from = choose_element(mutation, is_verdict_map, &other, "");
  memcpy(mutation->what, what, sizeof(what));
  if (element == NULL || set != other || from->verdict.chain == NULL || element->verdict.chain == NULL ||
      strcmp(element->verdict.chain, from->verdict.chain) == 0)
    return false;
  element->verdict = from->verdict;
  return true;
}

static bool add_foreign_mark(struct mutation *mutation) {
  struct set *set = choose_set(mutation, is_in_force), *other = choose_set(mutation, is_in_force);
  if (set == NULL || set == other)
    return false;
  struct element *elements = ARENA_ARRAY(mutation->arena, set->element_count + 1, struct element);
  if (elements == NULL)
    return false;
  memcpy(elements, set->elements, set->element_count * sizeof(*elements));
  elements[set->element_count] = other->elements[dice_below(mutation->dice, (unsigned)other->element_count)];
  elements[set->element_count].expires = INSTANT_NEVER;
  set->elements = elements;
  set->element_count++;
  sort_in(set);
  snprintf(mutation->what, sizeof(mutation->what), "set %s: gets a mark of %s", set->name, other->name);
  return !has_twins(set);
}

/* ---- ends ---- */

static struct element *timed_element(struct mutation *mutation, const char *what) {
  struct set *set;
  for (int tries = 0; tries < 30; tries++) {
    struct element *element = choose_element(mutation, is_in_force, &set, what);
    if (element != NULL && element->expires.seconds != INSTANT_NEVER.seconds)
      return element;
  }
  return NULL;
}

static bool lengthen_timeout(struct mutation *mutation) {
  struct element *element = timed_element(mutation, "ends an hour later");
  if (element == NULL)
    return false;
  element->expires.seconds += 3600;
  return true;
}

static bool shorten_timeout(struct mutation *mutation) {
  struct element *element = timed_element(mutation, "ends two minutes earlier");
  if (element == NULL)
    return false;
  element->expires.seconds -= 120;
  return true;
}

static bool remove_timeout(struct mutation *mutation) {
  struct element *element = timed_element(mutation, "never ends");
  if (element == NULL)
    return false;
  element->expires = INSTANT_NEVER;
  return true;
}

/* ---- chains and the table ---- */

static struct chain *choose_base_chain(struct mutation *mutation) {
  struct ruleset *ruleset = mutation->ruleset;
  for (int tries = 0; tries < 200; tries++) {
    struct chain *chain = &ruleset->chains[dice_below(mutation->dice, (unsigned)ruleset->chain_count)];
    if (chain->hook != HOOK_NONE)
      return chain;
  }
  return NULL;
}

static bool open_policy(struct mutation *mutation) {
  struct chain *chain = choose_base_chain(mutation);
  if (chain == NULL)
    return false;
  snprintf(mutation->what, sizeof(mutation->what), "chain %s: policy accept, last rule gone", chain->name);
  chain->policy_drop = false;
  chain->rule_count -= chain->rule_count != 0 ? 1 : 0;
  return true;
}

static bool late_guard(struct mutation *mutation) {
  struct ruleset *ruleset = mutation->ruleset;
  for (size_t i = 0; i < ruleset->chain_count; i++)
    if (ruleset->chains[i].hook == HOOK_PREROUTING) {
      ruleset->chains[i].priority = -100;
      snprintf(mutation->what, sizeof(mutation->what), "chain %s: priority -100", ruleset->chains[i].name);
      return true;
    }
  return false;
}

/* A load of what says whether, or where, a packet is a fragment, in a rule that does not only count. */
static bool is_fragment_load(const struct place_in_rule *place) {
  enum { FRAGMENT_HEADER = 44 };
  const struct expression *load = place->expression;
  if (place->rule->expressions[place->rule->expression_count - 1].kind != EXPRESSION_VERDICT)
    return false;
  if (is_kind(place, EXPRESSION_EXTHDR))
    return load->key == FRAGMENT_HEADER;
  return is_payload(place) && load->key == NFT_PAYLOAD_NETWORK_HEADER &&
         ((load->offset == 6 && load->length == 2) || (load->offset == 4 && load->length == 4));
}

static bool lose_fragment_rule(struct mutation *mutation) {
  struct place_in_rule place;
  if (!choose(mutation, is_fragment_load, &place))
    return false;
  say(mutation, &place, "the rule that asks for fragments is deleted");
  remove_rule(&place);
  return true;
}

/* The question is still asked, and answered the other way round. */
static bool negate_fragment(struct mutation *mutation) {
  struct place_in_rule place;
  if (!choose(mutation, is_fragment_load, &place))
    return false;
  for (size_t i = place.index; i < place.rule->expression_count; i++) {
    struct expression *compare = &place.rule->expressions[i];
    if (compare->kind != EXPRESSION_COMPARE)
      continue;
    compare->key = compare->key == NFT_CMP_EQ ? NFT_CMP_NEQ : NFT_CMP_EQ;
    say(mutation, &place, "the question for fragments is answered the other way round");
    return true;
  }
  return false;
}

static bool lose_base_chain(struct mutation *mutation) {
  struct chain *chain = choose_base_chain(mutation);
  if (chain == NULL)
    return false;
  struct ruleset *ruleset = mutation->ruleset;
  snprintf(mutation->what, sizeof(mutation->what), "chain %s: deleted", chain->name);
  size_t index = (size_t)(chain - ruleset->chains);
  memmove(chain, chain + 1, (ruleset->chain_count - index - 1) * sizeof(*chain));
  ruleset->chain_count--;
  return true;
}

const struct mutation_operator mutation_operators[] = {
    {"delete-rule", delete_rule, false},
    {"swap-rules", swap_rules, false},
    {"sink-rule", sink_rule, false},
    {"insert-accept", insert_accept, false},
    {"insert-drop", insert_drop, false},
    {"insert-return", insert_return, false},
    {"insert-established", insert_established, false},
    {"insert-mark", insert_mark, false},
    {"empty-chain", empty_chain, false},
    {"remove-compare", remove_compare, false},
    {"remove-protocol-check", remove_protocol_check, false},
    {"remove-family-check", remove_family_check, false},
    {"remove-lookup", remove_lookup, false},
    {"remove-mark-set", remove_mark_set, false},
    {"remove-limit", remove_limit, false},
    {"negate-compare", negate_compare, false},
    {"invert-lookup", invert_lookup, false},
    {"flip-compared-bit", flip_compared_bit, false},
    {"flip-mask-bit", flip_mask_bit, false},
    {"flip-xor-bit", flip_xor_bit, false},
    {"widen-range", widen_range, false},
    {"shift-payload", shift_payload, false},
    {"swap-addresses", swap_addresses, false},
    {"swap-tuple", swap_tuple, false},
    {"swap-interfaces", swap_interfaces, false},
    {"turn-direction", turn_direction, false},
    {"change-state", change_state, false},
    {"drop-to-accept", drop_to_accept, false},
    {"drop-to-return", drop_to_return, false},
    {"accept-to-drop", accept_to_drop, false},
    {"accept-to-return", accept_to_return, false},
    {"goto-to-jump", goto_to_jump, false},
    {"jump-to-goto", jump_to_goto, false},
    {"return-to-accept", return_to_accept, false},
    {"return-to-drop", return_to_drop, false},
    {"retarget-jump", retarget_jump, false},
    {"remove-element", remove_element, false},
    {"remove-opener", remove_opener, false},
    {"remove-dispatch", remove_dispatch, false},
    {"remove-in-force", remove_in_force, false},
    {"empty-set", empty_set, false},
    {"widen-element", widen_element, false},
    {"narrow-element", narrow_element, false},
    {"flip-element-bit", flip_element_bit, false},
    {"flip-opener-bit", flip_opener_bit, false},
    {"flip-binding-bit", flip_binding_bit, false},
    {"flip-plain-bit", flip_plain_bit, false},
    {"change-mark", change_mark, false},
    {"reverse-mark", reverse_mark, false},
    {"accept-in-map", accept_in_map, false},
    {"retarget-map", retarget_map, false},
    {"add-foreign-mark", add_foreign_mark, false},
    {"lengthen-timeout", lengthen_timeout, false},
    {"shorten-timeout", shorten_timeout, false},
    {"remove-timeout", remove_timeout, false},
    {"open-policy", open_policy, false},
    {"late-guard", late_guard, true},
    {"lose-fragment-rule", lose_fragment_rule, false},
    {"negate-fragment", negate_fragment, false},
    {"lose-base-chain", lose_base_chain, false},
};
const size_t mutation_operator_count = sizeof(mutation_operators) / sizeof(mutation_operators[0]);
