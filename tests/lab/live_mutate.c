/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "live_mutate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/netfilter/nf_tables.h>

enum { KEY_MOST = 64, COPIED_MOST = 12 };

static void say(struct live_mutation *mutation, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct live_mutation *mutation, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(mutation->what, sizeof(mutation->what), format, arguments);
  va_end(arguments);
}

/* ---- sets and their elements ---- */

typedef bool wanted_set(const struct live_set *set);

static bool has_elements(const struct live_set *set) {
  return set->element_count > 0;
}

static bool has_several(const struct live_set *set) {
  return set->element_count > 1;
}

static bool is_mark_map(const struct live_set *set) {
  return set->element_count > 0 && set->data_kind == LIVE_VALUES && set->data_length == 4;
}

static bool is_map(const struct live_set *set) {
  return set->element_count > 1 && (set->data_kind == LIVE_VALUES || set->data_kind == LIVE_VERDICTS);
}

static bool is_verdict_map(const struct live_set *set) {
  return set->element_count > 0 && set->data_kind == LIVE_VERDICTS;
}

static bool is_of_marks(const struct live_set *set) {
  return set->element_count > 0 && set->data_kind == LIVE_NO_DATA && set->key_length == 4 &&
         strncmp(set->name, "in_force", strlen("in_force")) == 0;
}

static bool is_plain(const struct live_set *set) {
  return set->element_count > 0 && set->data_kind == LIVE_NO_DATA && !is_of_marks(set);
}

static bool has_timeouts(const struct live_set *set) {
  return set->element_count > 0 && set->has_timeouts;
}

static struct live_set *choose_set(struct live_mutation *mutation, wanted_set *wanted) {
  struct live_table *table = mutation->table;
  unsigned count = 0;
  for (size_t i = 0; i < table->set_count; i++)
    count += wanted(&table->sets[i]);
  unsigned left = dice_below(mutation->dice, count);
  for (size_t i = 0; i < table->set_count; i++)
    if (wanted(&table->sets[i]) && left-- == 0)
      return &table->sets[i];
  return NULL;
}

static struct live_element *choose_element(struct live_mutation *mutation, struct live_set *set) {
  return &set->elements[dice_below(mutation->dice, (unsigned)set->element_count)];
}

static void swap_elements(struct live_element *left, struct live_element *right) {
  struct live_element kept = *left;
  *left = *right;
  *right = kept;
}

static void remove_element(struct live_set *set, size_t index) {
  memmove(&set->elements[index], &set->elements[index + 1],
          (set->element_count - index - 1) * sizeof(set->elements[0]));
  set->element_count--;
}

static bool add_element(struct live_mutation *mutation, struct live_set *set, const struct live_element *element) {
  struct live_element *elements = ARENA_ARRAY(mutation->arena, set->element_count + 1, struct live_element);
  if (elements == NULL)
    return false;
  if (set->element_count > 0)
    memcpy(elements, set->elements, set->element_count * sizeof(*elements));
  elements[set->element_count++] = *element;
  set->elements = elements;
  return true;
}

static uint8_t *copy_key(struct live_mutation *mutation, const struct live_set *set, const uint8_t *key) {
  return arena_memdup(mutation->arena, key, set->key_length);
}

/* One field of a key; without fields the whole of it. */
static void choose_field(struct live_mutation *mutation, const struct live_set *set, unsigned *ret_offset,
                         unsigned *ret_length) {
  unsigned chosen = dice_below(mutation->dice, (unsigned)set->field_count), offset = 0;
  for (unsigned i = 0; i < chosen; i++)
    offset += (set->field_lengths[i] + 3) / 4 * 4;
  *ret_offset = offset;
  *ret_length = set->field_count > 0 ? set->field_lengths[chosen] : set->key_length;
}

static bool step(uint8_t *bytes, unsigned length, bool up) {
  for (unsigned i = length; i-- > 0;) {
    if (up ? ++bytes[i] != 0 : bytes[i]-- != 0)
      return true;
  }
  return false;
}

static bool holds(const struct live_set *set, const struct live_element *element, const struct live_element *other) {
  unsigned offset = 0, count = set->field_count > 0 ? (unsigned)set->field_count : 1;
  for (unsigned i = 0; i < count; i++) {
    unsigned length = set->field_count > 0 ? set->field_lengths[i] : set->key_length;
    if (memcmp(element->first + offset, other->last + offset, length) > 0 ||
        memcmp(other->first + offset, element->last + offset, length) > 0)
      return false;
    offset += (length + 3) / 4 * 4;
  }
  return true;
}

/* Elements of a set are apart, but for those of concatenated ranges, which the kernel does not always look at. */
static bool is_apart(const struct live_set *set, const struct live_element *element) {
  for (size_t i = 0; i < set->element_count; i++)
    if (&set->elements[i] != element && holds(set, element, &set->elements[i]))
      return set->field_count > 1;
  return true;
}

/* ---- operators on elements ---- */

static bool swap_data(struct live_mutation *mutation) {
  struct live_set *set = choose_set(mutation, is_map);
  if (set == NULL)
    return false;
  struct live_element *one = choose_element(mutation, set), *other = choose_element(mutation, set);
  const uint8_t *data = one->data;
  struct live_verdict verdict = one->verdict;
  one->data = other->data;
  one->verdict = other->verdict;
  other->data = data;
  other->verdict = verdict;
  say(mutation, "%s: two elements exchange their data", set->name);
  return one != other;
}

static bool copy_data(struct live_mutation *mutation) {
  struct live_set *set = choose_set(mutation, is_mark_map), *from = choose_set(mutation, is_mark_map);
  if (set == NULL || from->data_length != set->data_length)
    return false;
  choose_element(mutation, set)->data = choose_element(mutation, from)->data;
  say(mutation, "%s: one element leads where one of %s leads", set->name, from->name);
  return true;
}

static bool copy_verdict(struct live_mutation *mutation) {
  struct live_set *set = choose_set(mutation, is_verdict_map), *from = choose_set(mutation, is_verdict_map);
  if (set == NULL)
    return false;
  choose_element(mutation, set)->verdict = choose_element(mutation, from)->verdict;
  say(mutation, "%s: one element leads where one of %s leads", set->name, from->name);
  return true;
}

static bool decide_in_map(struct live_mutation *mutation) {
  static const enum live_verdict_code codes[] = {LIVE_ACCEPT, LIVE_DROP, LIVE_RETURN, LIVE_CONTINUE};
  struct live_set *set = choose_set(mutation, is_verdict_map);
  if (set == NULL)
    return false;
  enum live_verdict_code code = codes[dice_below(mutation->dice, 4)];
  choose_element(mutation, set)->verdict = (struct live_verdict){.code = code};
  say(mutation, "%s: one element becomes verdict %u", set->name, code);
  return true;
}

static bool move_end(struct live_mutation *mutation, bool last, bool up, const char *what) {
  struct live_set *set = choose_set(mutation, has_elements);
  if (set == NULL)
    return false;
  struct live_element *element = choose_element(mutation, set);
  unsigned offset, length;
  choose_field(mutation, set, &offset, &length);
  uint8_t *key = copy_key(mutation, set, last ? element->last : element->first);
  if (key == NULL || !step(key + offset, length, up))
    return false;
  if (last)
    element->last = key;
  else
    element->first = key;
  say(mutation, "%s: one element %s at byte %u", set->name, what, offset);
  return memcmp(element->first + offset, element->last + offset, length) <= 0 && is_apart(set, element);
}

static bool widen_upwards(struct live_mutation *mutation) {
  return move_end(mutation, true, true, "goes on by one");
}

static bool widen_downwards(struct live_mutation *mutation) {
  return move_end(mutation, false, false, "begins by one earlier");
}

static bool narrow_upwards(struct live_mutation *mutation) {
  return move_end(mutation, true, false, "ends by one earlier");
}

static bool narrow_downwards(struct live_mutation *mutation) {
  return move_end(mutation, false, true, "begins by one later");
}

static bool shift_element(struct live_mutation *mutation) {
  struct live_set *set = choose_set(mutation, has_elements);
  if (set == NULL)
    return false;
  struct live_element *element = choose_element(mutation, set);
  unsigned offset, length;
  choose_field(mutation, set, &offset, &length);
  uint8_t *first = copy_key(mutation, set, element->first), *last = copy_key(mutation, set, element->last);
  if (first == NULL || last == NULL || !step(first + offset, length, true) || !step(last + offset, length, true))
    return false;
  element->first = first;
  element->last = last;
  say(mutation, "%s: one element shifted by one at byte %u", set->name, offset);
  return is_apart(set, element);
}

static bool flip_key_bit(struct live_mutation *mutation) {
  struct live_set *set = choose_set(mutation, has_elements);
  if (set == NULL)
    return false;
  struct live_element *element = choose_element(mutation, set);
  unsigned offset, length;
  choose_field(mutation, set, &offset, &length);
  uint8_t *key = copy_key(mutation, set, element->first);
  unsigned bit = dice_below(mutation->dice, length * 8);
  if (key == NULL || memcmp(element->first, element->last, set->key_length) != 0)
    return false;
  key[offset + bit / 8] ^= (uint8_t)(1u << bit % 8);
  element->first = element->last = key;
  say(mutation, "%s: one bit of a key flipped at byte %u", set->name, offset + bit / 8);
  return is_apart(set, element);
}

/* Two become the smallest element that holds both. */
static bool merge_elements(struct live_mutation *mutation) {
  struct live_set *set = choose_set(mutation, has_several);
  if (set == NULL)
    return false;
  size_t gone = dice_below(mutation->dice, (unsigned)set->element_count);
  struct live_element *other = &set->elements[gone], *element = choose_element(mutation, set);
  uint8_t *first = copy_key(mutation, set, element->first), *last = copy_key(mutation, set, element->last);
  if (element == other || first == NULL || last == NULL)
    return false;
  unsigned offset = 0, count = set->field_count > 0 ? (unsigned)set->field_count : 1;
  for (unsigned i = 0; i < count; i++) {
    unsigned length = set->field_count > 0 ? set->field_lengths[i] : set->key_length;
    if (memcmp(first + offset, other->first + offset, length) > 0)
      memcpy(first + offset, other->first + offset, length);
    if (memcmp(last + offset, other->last + offset, length) < 0)
      memcpy(last + offset, other->last + offset, length);
    offset += (length + 3) / 4 * 4;
  }
  element->first = first;
  element->last = last;
  say(mutation, "%s: two elements become one around both", set->name);
  if (element > other)
    element--;
  remove_element(set, gone);
  return is_apart(set, element);
}

/* One becomes two that are the same points; perhaps the second with other data. */
static bool split_element(struct live_mutation *mutation, bool alike) {
  struct live_set *set = choose_set(mutation, is_mark_map);
  if (set == NULL)
    return false;
  struct live_element *element = choose_element(mutation, set), rest = *element;
  unsigned offset, length;
  choose_field(mutation, set, &offset, &length);
  uint8_t *last = copy_key(mutation, set, element->last), *first = copy_key(mutation, set, element->first);
  if (last == NULL || first == NULL || memcmp(element->first + offset, element->last + offset, length) == 0)
    return false;
  memcpy(last + offset, element->first + offset, length);
  memcpy(first + offset, element->first + offset, length);
  unsigned half = dice_below(mutation->dice, length);
  for (unsigned i = half; i < length; i++) /* somewhere above the first */
    last[offset + i] |= (uint8_t)dice_throw(mutation->dice);
  memcpy(first + offset, last + offset, length);
  if (!step(first + offset, length, true) || memcmp(first + offset, element->last + offset, length) > 0)
    return false;
  element->last = last;
  rest.first = first;
  if (!alike)
    rest.data = choose_element(mutation, set)->data;
  say(mutation, "%s: one element becomes two at byte %u%s", set->name, offset, alike ? "" : ", with other data");
  return add_element(mutation, set, &rest);
}

static bool split_alike(struct live_mutation *mutation) {
  return split_element(mutation, true);
}

static bool split_apart(struct live_mutation *mutation) {
  return split_element(mutation, false);
}

static bool is_alike(const struct live_set *left, const struct live_set *right) {
  return left != right && left->key_length == right->key_length && left->field_count == right->field_count &&
         left->data_kind == right->data_kind && left->data_length == right->data_length;
}

static struct live_set *choose_alike(struct live_mutation *mutation, const struct live_set *like) {
  struct live_table *table = mutation->table;
  unsigned start = dice_below(mutation->dice, (unsigned)table->set_count);
  for (size_t i = 0; i < table->set_count; i++) {
    struct live_set *set = &table->sets[(start + i) % table->set_count];
    if (is_alike(set, like))
      return set;
  }
  return NULL;
}

static bool carry_element(struct live_mutation *mutation, bool keep) {
  struct live_set *from = choose_set(mutation, has_elements);
  struct live_set *to = from != NULL ? choose_alike(mutation, from) : NULL;
  if (to == NULL)
    return false;
  struct live_element *element = choose_element(mutation, from);
  if (!add_element(mutation, to, element) || !is_apart(to, &to->elements[to->element_count - 1]))
    return false;
  if (!keep)
    remove_element(from, (size_t)(element - from->elements));
  say(mutation, "%s: one element %s to %s", from->name, keep ? "copied" : "moved", to->name);
  return true;
}

static bool move_element(struct live_mutation *mutation) {
  return carry_element(mutation, false);
}

static bool copy_element(struct live_mutation *mutation) {
  return carry_element(mutation, true);
}

static bool exchange_elements(struct live_mutation *mutation) {
  struct live_set *from = choose_set(mutation, has_elements);
  struct live_set *to = from != NULL ? choose_alike(mutation, from) : NULL;
  if (to == NULL || to->element_count == 0)
    return false;
  struct live_element *one = choose_element(mutation, from), *other = choose_element(mutation, to);
  swap_elements(one, other);
  say(mutation, "%s and %s exchange an element", from->name, to->name);
  return is_apart(from, one) && is_apart(to, other);
}

static bool remove_from(struct live_mutation *mutation, wanted_set *wanted) {
  struct live_set *set = choose_set(mutation, wanted);
  if (set == NULL)
    return false;
  say(mutation, "%s: one element removed", set->name);
  remove_element(set, dice_below(mutation->dice, (unsigned)set->element_count));
  return true;
}

static bool remove_any(struct live_mutation *mutation) {
  return remove_from(mutation, has_elements);
}

static bool remove_opener(struct live_mutation *mutation) {
  return remove_from(mutation, is_mark_map);
}

static bool remove_of_guard(struct live_mutation *mutation) {
  return remove_from(mutation, is_plain);
}

static bool remove_mark(struct live_mutation *mutation) {
  return remove_from(mutation, is_of_marks);
}

/* A mark that openers get, where it is not in force. */
static bool add_mark(struct live_mutation *mutation) {
  struct live_set *set = choose_set(mutation, is_of_marks), *from = choose_set(mutation, is_mark_map);
  if (set == NULL || from == NULL)
    return false;
  struct live_element element = set->elements[0];
  uint8_t *mark = arena_memdup(mutation->arena, choose_element(mutation, from)->data, 4);
  if (mark == NULL)
    return false;
  element.first = element.last = mark;
  element.has_timeout = false;
  say(mutation, "%s: a mark of %s added", set->name, from->name);
  return add_element(mutation, set, &element) && is_apart(set, &set->elements[set->element_count - 1]);
}

static bool add_catch_all(struct live_mutation *mutation) {
  struct live_set *set = choose_set(mutation, has_elements);
  if (set == NULL || set->has_catch_all)
    return false;
  set->has_catch_all = true;
  set->catch_all = *choose_element(mutation, set);
  set->catch_all.first = set->catch_all.last = NULL;
  say(mutation, "%s: what is in no element is what one of them is", set->name);
  return true;
}

static bool change_timeout(struct live_mutation *mutation) {
  struct live_set *set = choose_set(mutation, has_timeouts);
  if (set == NULL)
    return false;
  struct live_element *element = choose_element(mutation, set);
  switch (dice_below(mutation->dice, 3)) {
  case 0:
    element->has_timeout = !element->has_timeout;
    break;
  case 1:
    element->expiration += 1000 + dice_below(mutation->dice, 100000);
    break;
  default:
    element->expiration /= 2;
  }
  element->timeout = element->expiration = element->expiration != 0 ? element->expiration : 60000;
  say(mutation, "%s: another timeout", set->name);
  return true;
}

/* A timer where the set has none. */
static bool add_timer(struct live_mutation *mutation) {
  struct live_set *set = choose_set(mutation, has_elements);
  if (set == NULL || set->has_timeouts)
    return false;
  struct live_element *element = choose_element(mutation, set);
  set->has_timeouts = element->has_timeout = true;
  element->timeout = element->expiration = 3600000;
  say(mutation, "%s: one element has a timeout", set->name);
  return true;
}

/* ---- rules ---- */

struct spot {
  struct live_chain *chain;
  size_t rule, expression;
};

typedef bool wanted_expression(const struct live_expression *expression);

static bool is_any(const struct live_expression *expression) {
  (void)expression;
  return true;
}

static bool is_lookup(const struct live_expression *expression) {
  return expression->kind == LIVE_LOOKUP && expression->set != NULL;
}

static bool is_set_lookup(const struct live_expression *expression) {
  return is_lookup(expression) && !expression->has_destination && !expression->verdict_map;
}

static bool is_verdict(const struct live_expression *expression) {
  return expression->kind == LIVE_IMMEDIATE && expression->is_verdict;
}

static bool is_jump(const struct live_expression *expression) {
  return is_verdict(expression) && expression->verdict.chain != NULL;
}

static bool is_compare(const struct live_expression *expression) {
  return expression->kind == LIVE_COMPARE && expression->operation <= NFT_CMP_NEQ;
}

static bool has_value(const struct live_expression *expression) {
  return (expression->kind == LIVE_COMPARE || expression->kind == LIVE_BITWISE) && expression->data != NULL &&
         expression->data_length > 0;
}

static bool writes_mark(const struct live_expression *expression) {
  return expression->kind == LIVE_CT_SET && expression->key == NFT_CT_MARK;
}

static bool asks_connection(const struct live_expression *expression) {
  return expression->kind == LIVE_CT;
}

static bool next_spot(struct live_table *table, wanted_expression *wanted, size_t *left, struct spot *ret_spot) {
  for (size_t i = 0; i < table->chain_count; i++)
    for (size_t j = 0; j < table->chains[i].rule_count; j++)
      for (size_t k = 0; k < table->chains[i].rules[j].expression_count; k++) {
        if (!wanted(&table->chains[i].rules[j].expressions[k]))
          continue;
        *ret_spot = (struct spot){&table->chains[i], j, k};
        if ((*left)-- == 0)
          return true;
      }
  return false;
}

static bool choose_spot(struct live_mutation *mutation, wanted_expression *wanted, struct spot *ret_spot) {
  size_t all = SIZE_MAX;
  next_spot(mutation->table, wanted, &all, ret_spot);
  size_t count = SIZE_MAX - all, left = dice_below(mutation->dice, (unsigned)count);
  return count > 0 && next_spot(mutation->table, wanted, &left, ret_spot);
}

/* The rule's own copy of its expressions. */
static struct live_expression *own(struct live_mutation *mutation, struct live_rule *rule) {
  struct live_expression *copy =
      arena_memdup(mutation->arena, rule->expressions, rule->expression_count * sizeof(*copy));
  if (copy != NULL)
    rule->expressions = copy;
  return copy;
}

static struct live_expression *own_at(struct live_mutation *mutation, const struct spot *spot) {
  struct live_expression *expressions = own(mutation, &spot->chain->rules[spot->rule]);
  return expressions != NULL ? &expressions[spot->expression] : NULL;
}

static void say_spot(struct live_mutation *mutation, const struct spot *spot, const char *what) {
  const struct live_rule *rule = &spot->chain->rules[spot->rule];
  say(mutation, "chain %s rule %zu (%s) expression %zu: %s", spot->chain->name, spot->rule,
      live_rule_text(rule, mutation->arena), spot->expression, what);
}

static bool insert_rule(struct live_mutation *mutation, const struct spot *spot,
                        const struct live_expression *expressions, size_t count) {
  struct live_chain *chain = spot->chain;
  struct live_rule *rules = ARENA_ARRAY(mutation->arena, chain->rule_count + 1, struct live_rule);
  struct live_expression *copy = arena_memdup(mutation->arena, expressions, count * sizeof(*copy));
  if (rules == NULL || copy == NULL)
    return false;
  memcpy(rules, chain->rules, spot->rule * sizeof(*rules));
  memcpy(rules + spot->rule + 1, chain->rules + spot->rule, (chain->rule_count - spot->rule) * sizeof(*rules));
  rules[spot->rule] =
      (struct live_rule){.handle = 100000, .comment = "", .expressions = copy, .expression_count = count};
  chain->rules = rules;
  chain->rule_count++;
  return true;
}

/* ---- operators on rules ---- */

static bool delete_rule(struct live_mutation *mutation) {
  struct spot spot;
  if (!choose_spot(mutation, is_any, &spot))
    return false;
  say_spot(mutation, &spot, "deleted");
  struct live_chain *chain = spot.chain;
  memmove(&chain->rules[spot.rule], &chain->rules[spot.rule + 1],
          (chain->rule_count - spot.rule - 1) * sizeof(chain->rules[0]));
  chain->rule_count--;
  return true;
}

static bool exchange_rules(struct live_mutation *mutation) {
  struct spot spot;
  if (!choose_spot(mutation, is_any, &spot))
    return false;
  size_t other = dice_below(mutation->dice, (unsigned)spot.chain->rule_count);
  struct live_rule kept = spot.chain->rules[spot.rule];
  say_spot(mutation, &spot, "exchanged with another of its chain");
  spot.chain->rules[spot.rule] = spot.chain->rules[other];
  spot.chain->rules[other] = kept;
  return other != spot.rule;
}

/* A rule of another chain, here. */
static bool copy_rule(struct live_mutation *mutation) {
  struct spot from, to;
  if (!choose_spot(mutation, is_any, &from) || !choose_spot(mutation, is_any, &to))
    return false;
  const struct live_rule rule = from.chain->rules[from.rule];
  for (size_t i = 0; i < rule.expression_count; i++)
    if (is_jump(&rule.expressions[i]) || rule.expressions[i].verdict_map)
      return false; /* it could lead back */
  say_spot(mutation, &from, to.chain->name);
  return insert_rule(mutation, &to, rule.expressions, rule.expression_count);
}

/* The questions of a rule, as far as they are narrow, and then accept. */
static bool insert_verdict(struct live_mutation *mutation, enum live_verdict_code code) {
  struct live_expression rule[COPIED_MOST + 1];
  struct spot from, to;
  size_t count = 0;
  if (!choose_spot(mutation, is_any, &from) || !choose_spot(mutation, is_any, &to))
    return false;
  const struct live_rule *model = &from.chain->rules[from.rule];
  size_t most = dice_below(mutation->dice, (unsigned)model->expression_count + 1);
  for (size_t i = 0; i < most && count < COPIED_MOST; i++) {
    const struct live_expression *expression = &model->expressions[i];
    if (is_verdict(expression) || expression->verdict_map || expression->kind == LIVE_COUNTER ||
        expression->kind == LIVE_OBJECT_REFERENCE)
      break;
    rule[count++] = *expression;
  }
  rule[count++] = (struct live_expression){
      .kind = LIVE_IMMEDIATE, .name = "immediate", .is_verdict = true, .verdict = {.code = code}};
  say_spot(mutation, &to, code == LIVE_ACCEPT ? "before it: accept" : "before it: drop");
  return insert_rule(mutation, &to, rule, count);
}

static bool insert_accept(struct live_mutation *mutation) {
  return insert_verdict(mutation, LIVE_ACCEPT);
}

static bool insert_drop(struct live_mutation *mutation) {
  return insert_verdict(mutation, LIVE_DROP);
}

static struct live_expression ct_mark(void) {
  return (struct live_expression){.kind = LIVE_CT,
                                  .name = "ct",
                                  .key = NFT_CT_MARK,
                                  .direction = -1,
                                  .destination = 16,
                                  .has_destination = true,
                                  .length = 4};
}

static struct live_expression set_ct_mark(void) {
  return (struct live_expression){.kind = LIVE_CT_SET, .name = "ct", .key = NFT_CT_MARK, .direction = -1, .source = 16};
}

/* ct mark set ct mark & mask ^ flip */
static bool insert_rewrite(struct live_mutation *mutation) {
  struct spot to;
  struct live_set *from = choose_set(mutation, is_mark_map);
  uint8_t *mask = arena_alloc(mutation->arena, 4), *flip = arena_alloc(mutation->arena, 4);
  if (from == NULL || mask == NULL || flip == NULL || !choose_spot(mutation, is_any, &to))
    return false;
  memset(mask, 255, 4);
  unsigned kind = dice_below(mutation->dice, 4), bit = dice_below(mutation->dice, 32);
  if (kind != 1)
    mask[bit / 8] &= (uint8_t) ~(1u << bit % 8);
  if (kind == 1 || kind == 2)
    flip[bit / 8] |= (uint8_t)(1u << bit % 8);
  if (kind == 3) {
    const uint8_t *one = choose_element(mutation, from)->data, *other = choose_element(mutation, from)->data;
    for (unsigned i = 0; i < 4; i++) { /* turns one flow's into another's */
      mask[i] = 255;
      flip[i] = one[i] ^ other[i];
    }
  }
  struct live_expression rule[] = {ct_mark(),
                                   {.kind = LIVE_BITWISE,
                                    .name = "bitwise",
                                    .source = 16,
                                    .destination = 16,
                                    .has_destination = true,
                                    .length = 4,
                                    .data = mask,
                                    .data_length = 4,
                                    .data_to = flip,
                                    .data_to_length = 4},
                                   set_ct_mark()};
  say_spot(mutation, &to, "before it: the mark is rewritten");
  return insert_rule(mutation, &to, rule, sizeof(rule) / sizeof(rule[0]));
}

/* ct mark set (a mark of some flow) */
static bool insert_mark(struct live_mutation *mutation) {
  struct spot to;
  struct live_set *from = choose_set(mutation, is_mark_map);
  if (from == NULL || !choose_spot(mutation, writes_mark, &to))
    return false;
  struct live_expression rule[] = {{.kind = LIVE_IMMEDIATE,
                                    .name = "immediate",
                                    .destination = 16,
                                    .has_destination = true,
                                    .data = choose_element(mutation, from)->data,
                                    .data_length = 4,
                                    .length = 4},
                                   set_ct_mark()};
  to.rule += dice_below(mutation->dice, 2);
  say(mutation, "chain %s rule %zu: before it: the mark of a flow is written", to.chain->name, to.rule);
  return insert_rule(mutation, &to, rule, sizeof(rule) / sizeof(rule[0]));
}

static bool remove_expression(struct live_mutation *mutation) {
  struct spot spot;
  if (!choose_spot(mutation, is_any, &spot))
    return false;
  struct live_rule *rule = &spot.chain->rules[spot.rule];
  say_spot(mutation, &spot, "removed");
  struct live_expression *expressions = own(mutation, rule);
  if (expressions == NULL)
    return false;
  memmove(&expressions[spot.expression], &expressions[spot.expression + 1],
          (rule->expression_count - spot.expression - 1) * sizeof(*expressions));
  rule->expression_count--;
  return true;
}

static bool negate_compare(struct live_mutation *mutation) {
  struct spot spot;
  struct live_expression *expression = choose_spot(mutation, is_compare, &spot) ? own_at(mutation, &spot) : NULL;
  if (expression == NULL)
    return false;
  say_spot(mutation, &spot, "negated");
  expression->operation ^= 1;
  return true;
}

static bool invert_lookup(struct live_mutation *mutation) {
  struct spot spot;
  struct live_expression *expression = choose_spot(mutation, is_set_lookup, &spot) ? own_at(mutation, &spot) : NULL;
  if (expression == NULL)
    return false;
  say_spot(mutation, &spot, "inverted");
  expression->flags ^= NFT_LOOKUP_F_INV;
  return true;
}

static bool change_set(struct live_mutation *mutation) {
  struct spot spot;
  struct live_expression *expression = choose_spot(mutation, is_lookup, &spot) ? own_at(mutation, &spot) : NULL;
  const struct live_set *other = expression != NULL ? choose_alike(mutation, expression->set) : NULL;
  if (other == NULL)
    return false;
  say_spot(mutation, &spot, other->name);
  expression->set = other;
  return !expression->verdict_map; /* chains could lead back */
}

static bool flip_value_bit(struct live_mutation *mutation) {
  struct spot spot;
  struct live_expression *expression = choose_spot(mutation, has_value, &spot) ? own_at(mutation, &spot) : NULL;
  uint8_t *data = expression != NULL ? arena_memdup(mutation->arena, expression->data, expression->data_length) : NULL;
  if (data == NULL)
    return false;
  unsigned bit = dice_below(mutation->dice, expression->data_length * 8);
  say_spot(mutation, &spot, "one bit flipped");
  data[bit / 8] ^= (uint8_t)(1u << bit % 8);
  expression->data = data;
  return true;
}

static bool turn_direction(struct live_mutation *mutation) {
  struct spot spot;
  struct live_expression *expression = choose_spot(mutation, asks_connection, &spot) ? own_at(mutation, &spot) : NULL;
  if (expression == NULL || expression->direction < 0)
    return false;
  say_spot(mutation, &spot, "the other direction");
  expression->direction ^= 1;
  return true;
}

static bool change_verdict(struct live_mutation *mutation) {
  static const enum live_verdict_code codes[] = {LIVE_ACCEPT, LIVE_DROP, LIVE_RETURN, LIVE_CONTINUE};
  struct spot spot;
  struct live_expression *expression = choose_spot(mutation, is_verdict, &spot) ? own_at(mutation, &spot) : NULL;
  if (expression == NULL)
    return false;
  say_spot(mutation, &spot, "another verdict");
  expression->verdict = (struct live_verdict){.code = codes[dice_below(mutation->dice, 4)]};
  return true;
}

static bool jump_or_goto(struct live_mutation *mutation) {
  struct spot spot;
  struct live_expression *expression = choose_spot(mutation, is_jump, &spot) ? own_at(mutation, &spot) : NULL;
  if (expression == NULL)
    return false;
  say_spot(mutation, &spot, "jump becomes goto, or goto jump");
  expression->verdict.code = expression->verdict.code == LIVE_JUMP ? LIVE_GOTO : LIVE_JUMP;
  return true;
}

/* Anywhere: also back to where it came from. */
static bool change_target(struct live_mutation *mutation) {
  struct spot spot, other;
  struct live_expression *expression = choose_spot(mutation, is_jump, &spot) ? own_at(mutation, &spot) : NULL;
  if (expression == NULL || !choose_spot(mutation, is_any, &other) || other.chain->base)
    return false;
  say_spot(mutation, &spot, other.chain->name);
  expression->verdict.chain = other.chain;
  return true;
}

static bool open_policy(struct live_mutation *mutation) {
  struct live_chain *chain =
      &mutation->table->chains[dice_below(mutation->dice, (unsigned)mutation->table->chain_count)];
  say(mutation, "chain %s: another policy", chain->name);
  chain->policy_accept = !chain->policy_accept;
  return chain->base;
}

/* ---- a map beside another ---- */

/* A lookup of a mark map gets a twin before it: a set, or a map of verdicts, whose elements lie across the others. */
static bool insert_overlapping(struct live_mutation *mutation) {
  struct live_mutation *m = mutation;
  struct spot spot;
  struct live_expression rule[COPIED_MOST];
  if (!choose_spot(m, is_lookup, &spot))
    return false;
  const struct live_rule *model = &spot.chain->rules[spot.rule];
  const struct live_set *like = model->expressions[spot.expression].set;
  struct live_set *set = arena_memdup(m->arena, like, sizeof(*like));
  if (set == NULL || spot.expression + 1 > COPIED_MOST || like->element_count == 0)
    return false;
  set->elements = ARENA_ARRAY(m->arena, 3, struct live_element);
  set->element_count = 0;
  set->has_catch_all = false;
  set->interval = true;
  set->name = "across";
  set->data_kind = LIVE_VERDICTS;
  struct live_element element = like->elements[dice_below(m->dice, (unsigned)like->element_count)];
  unsigned offset, length;
  choose_field(m, set, &offset, &length);
  uint8_t *first = copy_key(m, set, element.first), *last = copy_key(m, set, element.last);
  if (set->elements == NULL || first == NULL || last == NULL)
    return false;
  for (unsigned i = dice_below(m->dice, length); i < length; i++) {
    first[offset + i] &= (uint8_t)dice_throw(m->dice);
    last[offset + i] |= (uint8_t)dice_throw(m->dice);
  }
  element.first = first;
  element.last = last;
  element.data = NULL;
  element.verdict = (struct live_verdict){.code = dice_percent(m->dice, 50) ? LIVE_ACCEPT : LIVE_DROP};
  set->elements[set->element_count++] = element;
  memcpy(rule, model->expressions, (spot.expression + 1) * sizeof(rule[0]));
  struct live_expression *lookup = &rule[spot.expression];
  lookup->set = set;
  lookup->flags = 0;
  lookup->has_destination = false;
  lookup->verdict_map = true;
  say_spot(m, &spot, "before it: a map of verdicts across its elements");
  return insert_rule(m, &spot, rule, spot.expression + 1);
}

const struct live_operator live_operators[] = {
    {"swap-data", swap_data},
    {"copy-data", copy_data},
    {"copy-verdict", copy_verdict},
    {"decide-in-map", decide_in_map},
    {"widen-upwards", widen_upwards},
    {"widen-downwards", widen_downwards},
    {"narrow-upwards", narrow_upwards},
    {"narrow-downwards", narrow_downwards},
    {"shift-element", shift_element},
    {"flip-key-bit", flip_key_bit},
    {"merge-elements", merge_elements},
    {"split-alike", split_alike},
    {"split-apart", split_apart},
    {"move-element", move_element},
    {"copy-element", copy_element},
    {"exchange-elements", exchange_elements},
    {"remove-element", remove_any},
    {"remove-opener", remove_opener},
    {"remove-of-guard", remove_of_guard},
    {"remove-mark", remove_mark},
    {"add-mark", add_mark},
    {"add-catch-all", add_catch_all},
    {"change-timeout", change_timeout},
    {"add-timer", add_timer},
    {"delete-rule", delete_rule},
    {"exchange-rules", exchange_rules},
    {"copy-rule", copy_rule},
    {"insert-accept", insert_accept},
    {"insert-drop", insert_drop},
    {"insert-rewrite", insert_rewrite},
    {"insert-mark", insert_mark},
    {"remove-expression", remove_expression},
    {"negate-compare", negate_compare},
    {"invert-lookup", invert_lookup},
    {"change-set", change_set},
    {"flip-value-bit", flip_value_bit},
    {"turn-direction", turn_direction},
    {"change-verdict", change_verdict},
    {"jump-or-goto", jump_or_goto},
    {"change-target", change_target},
    {"open-policy", open_policy},
    {"insert-overlapping", insert_overlapping},
};
const size_t live_operator_count = sizeof(live_operators) / sizeof(live_operators[0]);
