/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets and maps: what is found under a key, and what follows for the rule that asks.
 *
 * Elements are looked at one by one, in the kernel's order: of overlapping ones in a concatenation the first is the one
 * that the kernel finds. This is for single packets; nothing here is fast.
 */
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "proof/concrete_parts.h"

/* ---- finding ---- */

static bool between(const uint8_t *key, const struct live_element *element, size_t at, size_t length) {
  return memcmp(key + at, element->first + at, length) >= 0 && memcmp(key + at, element->last + at, length) <= 0;
}

/* Of a concatenation of ranges each field is asked by itself, without its padding. */
static bool matches(const struct live_set *set, const struct live_element *element, const uint8_t *key) {
  if (element->first == NULL || element->last == NULL)
    return false;
  if (!set->interval || set->field_count < 2)
    return between(key, element, 0, set->key_length);
  size_t at = 0;
  for (size_t i = 0; i < set->field_count; i++) {
    if (!between(key, element, at, set->field_lengths[i]))
      return false;
    at += ((size_t)set->field_lengths[i] + 3) / 4 * 4;
  }
  return true;
}

static bool fields_fit(const struct live_set *set) {
  size_t total = 0;
  if (!set->interval || set->field_count < 2)
    return true;
  for (size_t i = 0; i < set->field_count && i < 16; i++)
    total += ((size_t)set->field_lengths[i] + 3) / 4 * 4;
  return set->field_count <= 16 && total == set->key_length;
}

static const struct live_element *find(const struct live_set *set, const uint8_t *key) {
  for (size_t i = 0; i < set->element_count; i++)
    if (matches(set, &set->elements[i], key))
      return &set->elements[i];
  return NULL;
}

/* Why nothing can be said about this set; NULL when something can. */
static const char *doubtful(const struct concrete_machine *machine, const struct live_set *set, unsigned source) {
  if (set == NULL)
    return "a set that is not there";
  if (set->unmodelled != NULL)
    return set->unmodelled;
  if (set->dynamic)
    return "packets change this set";
  if (!fields_fit(set))
    return "a key whose fields do not fit";
  if (!concrete_readable(machine, source, set->key_length))
    return "a key that holds nothing known";
  return NULL;
}

/* ---- what an element does ---- */

static enum concrete_answer run_expressions(struct concrete_machine *machine, const struct live_expression *expressions,
                                            size_t count) {
  for (size_t i = 0; i < count; i++) {
    enum concrete_answer answer = concrete_evaluate(machine, &expressions[i]);
    if (answer == ANSWER_BREAK)
      return ANSWER_BREAK;
  }
  return ANSWER_CONTINUE;
}

static enum concrete_answer take_element(struct concrete_machine *machine, const struct live_expression *expression,
                                         const struct live_element *element) {
  const struct live_set *set = expression->set;
  if (element->unmodelled != NULL) {
    concrete_forget(machine, expression->destination, set->data_length);
    return concrete_unknown(machine, element->unmodelled);
  }
  if (expression->has_destination && set->data_kind == LIVE_VALUES && element->data != NULL)
    concrete_store(machine, expression->destination, element->data, set->data_length);
  if (run_expressions(machine, element->expressions, element->expression_count) == ANSWER_BREAK)
    return ANSWER_BREAK;
  if (!expression->verdict_map)
    return ANSWER_CONTINUE;
  machine->verdict = element->verdict;
  return ANSWER_VERDICT;
}

enum concrete_answer concrete_lookup(struct concrete_machine *machine, const struct live_expression *expression) {
  const struct live_set *set = expression->set;
  bool inverted = (expression->flags & NFT_LOOKUP_F_INV) != 0;
  const char *doubt = doubtful(machine, set, expression->source);
  if (doubt == NULL && inverted && set->has_catch_all)
    doubt = "\"not in\" a set with an element for everything else, which kernels answer differently";
  if (doubt != NULL) {
    if (expression->has_destination)
      concrete_forget(machine, expression->destination, expression->length);
    enum concrete_answer answer = concrete_unknown(machine, doubt);
    return expression->verdict_map ? ANSWER_BREAK : answer;
  }
  const struct live_element *element = find(set, machine->registers + expression->source);
  if (inverted)
    return element == NULL ? ANSWER_CONTINUE : ANSWER_BREAK;
  if (element == NULL && set->has_catch_all)
    element = &set->catch_all;
  return element != NULL ? take_element(machine, expression, element) : ANSWER_BREAK;
}

/* ---- sets that packets change ---- */

static bool only_counts(const struct live_expression *expression) {
  return expression->kind == LIVE_COUNTER || expression->kind == LIVE_LAST;
}

static bool understood(const struct live_expression *expressions, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (expressions[i].unmodelled != NULL ||
        (!only_counts(&expressions[i]) && expressions[i].kind != LIVE_LIMIT && expressions[i].kind != LIVE_QUOTA &&
         expressions[i].kind != LIVE_CONNLIMIT))
      return false;
  return true;
}

/* Deleting asks nothing. Else: is there room for the element, and what does the throttle say that it carries? Room is
 * what is missing when throttles strike, unless the element carries one that says "over" then. */
enum concrete_answer concrete_dynset(struct concrete_machine *machine, const struct live_expression *expression) {
  enum { DYNSET_DELETE = 2 };
  if (expression->operation == DYNSET_DELETE)
    return ANSWER_CONTINUE;
  bool inverted = (expression->flags & NFT_DYNSET_F_INV) != 0;
  if (!understood(expression->nested, expression->nested_count))
    return concrete_unknown(machine, "an element that carries something unknown");
  bool throttled = false;
  for (size_t i = 0; i < expression->nested_count; i++)
    throttled |= !only_counts(&expression->nested[i]);
  bool room = throttled || !machine->probe->throttles_strike;
  if (!room)
    return inverted ? ANSWER_CONTINUE : ANSWER_BREAK;
  enum concrete_answer answer = run_expressions(machine, expression->nested, expression->nested_count);
  return inverted ? ANSWER_BREAK : answer;
}

/* ---- objects ---- */

static const struct live_object *find_object(const struct live_table *table, const char *name) {
  for (size_t i = 0; table != NULL && name != NULL && i < table->object_count; i++)
    if (strcmp(table->objects[i].name, name) == 0)
      return &table->objects[i];
  return NULL;
}

static enum concrete_answer use_object(struct concrete_machine *machine, unsigned type) {
  switch (type) {
  case NFT_OBJECT_COUNTER:
  case NFT_OBJECT_CT_TIMEOUT:
  case NFT_OBJECT_SECMARK:
    return ANSWER_CONTINUE;
  default:
    return concrete_unknown(machine, "an object other than a counter");
  }
}

enum concrete_answer concrete_object(struct concrete_machine *machine, const struct live_expression *expression) {
  if (!expression->has_source)
    return use_object(machine, expression->operation);
  const char *doubt = doubtful(machine, expression->set, expression->source);
  if (doubt != NULL)
    return concrete_unknown(machine, doubt);
  const struct live_element *element = find(expression->set, machine->registers + expression->source);
  if (element == NULL && expression->set->has_catch_all)
    element = &expression->set->catch_all;
  if (element == NULL)
    return ANSWER_BREAK;
  const struct live_object *object = find_object(expression->set->table, element->object);
  return object != NULL && object->unmodelled == NULL ? use_object(machine, object->type)
                                                      : concrete_unknown(machine, "an object that is not known");
}
