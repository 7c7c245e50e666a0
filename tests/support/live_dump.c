/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "live_dump.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void print_number(FILE *stream, const char *name, uint64_t number) {
  if (number != 0) {
    fprintf(stream, " %s=%" PRIu64, name, number);
  }
}

static void print_text(FILE *stream, const char *name, const char *text) {
  if (text != NULL && text[0] != '\0') {
    fprintf(stream, " %s='%s'", name, text);
  }
}

static void print_bytes(FILE *stream, const char *name, const uint8_t *data, size_t length) {
  if (data == NULL) {
    return;
  }
  fprintf(stream, " %s=", name);
  for (size_t i = 0; i < length; i++) {
    fprintf(stream, "%02x", data[i]);
  }
}

static void print_verdict(FILE *stream, const struct live_verdict *verdict) {
  static const char *const words[] = {"accept", "drop", "continue", "break", "jump", "goto", "return", "queue"};
  fprintf(stream, " %s", words[verdict->code]);
  print_text(stream, "chain", verdict->chain != NULL ? verdict->chain->name : NULL);
}

static const char *const kinds[LIVE_KIND_COUNT_] = {
    "IMMEDIATE", "COMPARE", "RANGE",  "BITWISE", "BYTEORDER", "PAYLOAD",          "PAYLOAD_SET", "META",
    "META_SET",  "CT",      "CT_SET", "LOOKUP",  "DYNSET",    "EXTHDR",           "EXTHDR_SET",  "COUNTER",
    "LOG",       "LAST",    "LIMIT",  "QUOTA",   "CONNLIMIT", "OBJECT_REFERENCE", "REJECT",      "NOTRACK",
    "NAT",       "ASK",     "OTHER",
};

static void print_expressions(FILE *stream, const struct live_expression *expressions, size_t count, int indent);

static void print_registers(FILE *stream, const struct live_expression *expression) {
  print_number(stream, "source", expression->source);
  print_number(stream, "has_source", expression->has_source);
  print_number(stream, "source_data", expression->source_data);
  print_number(stream, "has_source_data", expression->has_source_data);
  print_number(stream, "destination", expression->destination);
  print_number(stream, "has_destination", expression->has_destination);
  print_number(stream, "verdict_map", expression->verdict_map);
  print_number(stream, "length", expression->length);
}

static void print_rest(FILE *stream, const struct live_expression *expression) {
  print_number(stream, "key", expression->key);
  if (expression->direction != 0) {
    fprintf(stream, " direction=%d", expression->direction);
  }
  print_number(stream, "base", expression->base);
  print_number(stream, "offset", expression->offset);
  print_number(stream, "operation", expression->operation);
  print_number(stream, "size", expression->size);
  print_number(stream, "flags", expression->flags);
  print_bytes(stream, "data", expression->data, expression->data_length);
  print_bytes(stream, "data_to", expression->data_to, expression->data_to_length);
  print_text(stream, "set", expression->set != NULL ? expression->set->name : NULL);
  print_text(stream, "object", expression->object);
  print_number(stream, "rate", expression->rate);
  print_number(stream, "unit_seconds", expression->unit_seconds);
  print_number(stream, "timeout", expression->timeout);
  print_number(stream, "burst", expression->burst);
}

static void print_expressions(FILE *stream, const struct live_expression *expressions, size_t count, int indent) {
  for (size_t i = 0; i < count; i++) {
    const struct live_expression *expression = &expressions[i];
    fprintf(stream, "%*s%s %s", indent, "", kinds[expression->kind], expression->name);
    print_registers(stream, expression);
    print_rest(stream, expression);
    if (expression->is_verdict) {
      print_verdict(stream, &expression->verdict);
    }
    print_text(stream, "unmodelled", expression->unmodelled);
    fputc('\n', stream);
    print_expressions(stream, expression->nested, expression->nested_count, indent + 2);
  }
}

static void print_devices(FILE *stream, const char *const *devices, size_t count) {
  for (size_t i = 0; i < count; i++) {
    print_text(stream, "device", devices[i]);
  }
}

static void print_chain(FILE *stream, const struct live_chain *chain, struct arena *arena) {
  fprintf(stream, "  chain '%s'", chain->name);
  if (chain->base) {
    fprintf(stream, " base type=%s hook=%u priority=%d policy=%s", chain->type, chain->hook, chain->priority,
            chain->policy_accept ? "accept" : "drop");
  }
  print_number(stream, "flags", chain->flags);
  print_devices(stream, chain->devices, chain->device_count);
  print_text(stream, "unmodelled", chain->unmodelled);
  fputc('\n', stream);
  for (size_t i = 0; i < chain->rule_count; i++) {
    const struct live_rule *rule = &chain->rules[i];
    fprintf(stream, "    rule %s", live_rule_text(rule, arena));
    print_text(stream, "comment", rule->comment);
    print_text(stream, "unmodelled", rule->unmodelled);
    fputc('\n', stream);
    print_expressions(stream, rule->expressions, rule->expression_count, 6);
  }
}

static void print_element(FILE *stream, const struct live_set *set, const struct live_element *element) {
  fputs("    element", stream);
  print_bytes(stream, "first", element->first, set->key_length);
  print_bytes(stream, "last", element->last, set->key_length);
  print_bytes(stream, "data", element->data, set->data_length);
  if (set->data_kind == LIVE_VERDICTS) {
    print_verdict(stream, &element->verdict);
  }
  print_text(stream, "object", element->object);
  print_number(stream, "has_timeout", element->has_timeout);
  print_number(stream, "timeout", element->timeout);
  print_number(stream, "has_expiration", element->expiration != 0);
  print_text(stream, "unmodelled", element->unmodelled);
  fputc('\n', stream);
  print_expressions(stream, element->expressions, element->expression_count, 6);
}

static int compare_elements(const void *left, const void *right, void *context) {
  const struct live_element *const *a = left, *const *b = right;
  const struct live_set *set = context;
  if ((*a)->first == NULL || (*b)->first == NULL) {
    return ((*a)->first != NULL) - ((*b)->first != NULL);
  }
  int order = memcmp((*a)->first, (*b)->first, set->key_length);
  return order != 0 ? order : memcmp((*a)->last, (*b)->last, set->key_length);
}

/* By their keys: hash sets tell theirs in any order. */
static void print_elements(FILE *stream, const struct live_set *set) {
  const struct live_element **sorted = calloc(set->element_count + 1, sizeof(const struct live_element *));
  struct live_set copy = *set;
  if (sorted == NULL) {
    abort();
  }
  for (size_t i = 0; i < set->element_count; i++) {
    sorted[i] = &set->elements[i];
  }
  qsort_r(sorted, set->element_count, sizeof(*sorted), compare_elements, &copy);
  for (size_t i = 0; i < set->element_count; i++) {
    print_element(stream, set, sorted[i]);
  }
  free(sorted);
}

static void print_set(FILE *stream, const struct live_set *set) {
  static const char *const data_kinds[] = {"set", "map", "verdict map", "object map"};
  fprintf(stream, "  %s '%s'", data_kinds[set->data_kind], set->name);
  print_number(stream, "flags", set->flags);
  print_number(stream, "anonymous", set->anonymous);
  print_number(stream, "constant", set->constant);
  print_number(stream, "interval", set->interval);
  print_number(stream, "concatenation", set->concatenation);
  print_number(stream, "dynamic", set->dynamic);
  print_number(stream, "has_timeouts", set->has_timeouts);
  print_number(stream, "timeout", set->timeout);
  print_number(stream, "object_type", set->object_type);
  print_number(stream, "key_length", set->key_length);
  print_number(stream, "data_length", set->data_length);
  for (size_t i = 0; i < set->field_count; i++) {
    print_number(stream, "field", set->field_lengths[i]);
  }
  print_text(stream, "unmodelled", set->unmodelled);
  fputc('\n', stream);
  print_elements(stream, set);
  if (set->has_catch_all) {
    print_element(stream, set, &set->catch_all);
  }
}

static void print_table(FILE *stream, const struct live_table *table, struct arena *arena) {
  fprintf(stream, "table %s '%s'", live_family_name(table->family), table->name);
  print_number(stream, "flags", table->flags);
  print_number(stream, "dormant", table->dormant);
  print_number(stream, "owned", table->owner != 0);
  print_text(stream, "unmodelled", table->unmodelled);
  fputc('\n', stream);
  for (size_t i = 0; i < table->object_count; i++) {
    fprintf(stream, "  object '%s' type=%u", table->objects[i].name, table->objects[i].type);
    print_text(stream, "unmodelled", table->objects[i].unmodelled);
    fputc('\n', stream);
  }
  for (size_t i = 0; i < table->flowtable_count; i++) {
    const struct live_flowtable *flowtable = &table->flowtables[i];
    fprintf(stream, "  flowtable '%s' hook=%u priority=%d", flowtable->name, flowtable->hook, flowtable->priority);
    print_devices(stream, flowtable->devices, flowtable->device_count);
    print_text(stream, "unmodelled", flowtable->unmodelled);
    fputc('\n', stream);
  }
  for (size_t i = 0; i < table->set_count; i++) {
    print_set(stream, &table->sets[i]);
  }
  for (size_t i = 0; i < table->chain_count; i++) {
    print_chain(stream, &table->chains[i], arena);
  }
}

void live_dump(FILE *stream, const struct live_ruleset *ruleset, struct arena *arena) {
  for (size_t i = 0; i < ruleset->table_count; i++) {
    print_table(stream, &ruleset->tables[i], arena);
  }
}
