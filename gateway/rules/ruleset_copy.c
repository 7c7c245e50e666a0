/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "rules/ruleset.h"

/* One after another often has the same text: it is kept once. */
struct text_copier {
  struct arena *arena;
  const char *from, *to;
};

static const char *copy_text(struct text_copier *copier, const char *text) {
  if (text == NULL)
    return NULL;
  if (copier->from != NULL && (text == copier->from || strcmp(text, copier->from) == 0))
    return copier->to;
  copier->from = text;
  return copier->to = arena_strdup(copier->arena, text);
}

static const struct origin nowhere = {.subject = ""};

static void copy_elements(struct text_copier *texts, const struct set *from, struct set *set) {
  struct text_copier chains = {.arena = texts->arena};
  set->elements = from->element_count == 0
                      ? NULL
                      : arena_memdup(texts->arena, from->elements, from->element_count * sizeof(struct element));
  for (size_t i = 0; set->elements != NULL && i < set->element_count; i++) {
    struct element *element = &set->elements[i];
    element->comment = copy_text(texts, element->comment);
    element->verdict.chain = copy_text(&chains, element->verdict.chain);
    element->origin = nowhere;
  }
}

int set_copy(const struct set *from, struct arena *arena, struct set *ret_set) {
  struct text_copier texts = {.arena = arena};
  struct set set = *from;
  set.name = copy_text(&texts, from->name);
  set.comment = copy_text(&texts, from->comment);
  set.origin = nowhere;
  copy_elements(&texts, from, &set);
  *ret_set = set;
  return arena_failed(arena) ? -ENOMEM : 0;
}

static void copy_expressions(struct text_copier *texts, const struct rule *from, struct rule *rule) {
  if (from->expression_count == 0)
    return;
  rule->expressions = arena_memdup(texts->arena, from->expressions, from->expression_count * sizeof *from->expressions);
  for (size_t i = 0; rule->expressions != NULL && i < rule->expression_count; i++) {
    rule->expressions[i].name = copy_text(texts, rule->expressions[i].name);
    rule->expressions[i].verdict.chain = copy_text(texts, rule->expressions[i].verdict.chain);
  }
}

int chain_copy(const struct chain *from, struct arena *arena, struct chain *ret_chain) {
  struct text_copier texts = {.arena = arena};
  struct chain chain = *from;
  chain.name = copy_text(&texts, from->name);
  chain.comment = copy_text(&texts, from->comment);
  chain.origin = nowhere;
  chain.rules = from->rule_count == 0 ? NULL : arena_memdup(arena, from->rules, from->rule_count * sizeof(struct rule));
  for (size_t i = 0; chain.rules != NULL && i < chain.rule_count; i++) {
    struct rule *rule = &chain.rules[i];
    rule->comment = copy_text(&texts, rule->comment);
    rule->text = NULL;
    rule->origin = nowhere;
    copy_expressions(&texts, &from->rules[i], rule);
  }
  *ret_chain = chain;
  return arena_failed(arena) ? -ENOMEM : 0;
}

int counter_copy(const struct counter *from, struct arena *arena, struct counter *ret_counter) {
  struct text_copier texts = {.arena = arena};
  struct counter counter = *from;
  counter.name = copy_text(&texts, from->name);
  counter.comment = copy_text(&texts, from->comment);
  counter.origin = nowhere;
  *ret_counter = counter;
  return arena_failed(arena) ? -ENOMEM : 0;
}
