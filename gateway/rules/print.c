/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rules/print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FIELD_TEXT_SIZE = RANGE_TEXT_SIZE, KEY_TEXT_SIZE = 5 * (RANGE_TEXT_SIZE + 3) };

/* ---- keys ---- */

static void print_address(const uint8_t *first, const uint8_t *last, enum address_family family,
                          char text[static FIELD_TEXT_SIZE]) {
  struct address_range range = {{.family = family}, {.family = family}};
  memcpy(range.first.bytes, first, address_length(family));
  memcpy(range.last.bytes, last, address_length(family));
  range_format(&range, text);
}

static void print_number(unsigned first, unsigned last, char text[static FIELD_TEXT_SIZE]) {
  if (first == last)
    snprintf(text, FIELD_TEXT_SIZE, "%u", first);
  else
    snprintf(text, FIELD_TEXT_SIZE, "%u-%u", first, last);
}

static void print_mac(const uint8_t *bytes, char text[static FIELD_TEXT_SIZE]) {
  struct mac mac;
  char short_text[MAC_TEXT_SIZE];
  memcpy(mac.bytes, bytes, sizeof mac.bytes);
  snprintf(text, FIELD_TEXT_SIZE, "%s", mac_format(&mac, short_text));
}

static void print_mark(const uint8_t *bytes, char text[static FIELD_TEXT_SIZE]) {
  uint32_t mark;
  memcpy(&mark, bytes, sizeof mark);
  snprintf(text, FIELD_TEXT_SIZE, "0x%08" PRIx32, mark);
}

static void print_field(enum field_type type, const uint8_t *first, const uint8_t *last,
                        char text[static FIELD_TEXT_SIZE]) {
  switch (type) {
  case KEY_FIELD_IPV4:
    print_address(first, last, FAMILY_IPV4, text);
    break;
  case KEY_FIELD_IPV6:
    print_address(first, last, FAMILY_IPV6, text);
    break;
  case KEY_FIELD_ETHER:
    print_mac(first, text);
    break;
  case KEY_FIELD_PORT:
    print_number((unsigned)first[0] << 8 | first[1], (unsigned)last[0] << 8 | last[1], text);
    break;
  case KEY_FIELD_INTERFACE:
    snprintf(text, FIELD_TEXT_SIZE, "\"%.15s\"", (const char *)first);
    break;
  case KEY_FIELD_MARK:
    print_mark(first, text);
    break;
  case KEY_FIELD_PROTOCOL:
  case KEY_FIELD_ICMP_TYPE:
  case KEY_FIELD_ICMPV6_TYPE:
  case KEY_FIELD_COUNT_:
    print_number(first[0], last[0], text);
    break;
  }
}

static void print_key(const struct set *set, const struct element *element, char text[static KEY_TEXT_SIZE]) {
  size_t at = 0, length = 0;
  text[0] = '\0';
  for (size_t i = 0; i < set->field_count; i++) {
    char field[FIELD_TEXT_SIZE];
    const uint8_t *last = set->interval ? element->key_end : element->key;
    print_field(set->fields[i], element->key + at, last + at, field);
    length += (size_t)snprintf(text + length, KEY_TEXT_SIZE - length, "%s%s", i == 0 ? "" : " . ", field);
    at += (field_size(set->fields[i]) + 3) & ~(size_t)3;
  }
}

const char *element_key_text(const struct set *set, const struct element *element, struct arena *arena) {
  char text[KEY_TEXT_SIZE];
  print_key(set, element, text);
  return arena_strdup(arena, text);
}

/* ---- nft ---- */

static const char *verdict_word(enum verdict_code code) {
  static const char *const words[] = {
      [VERDICT_NONE] = "continue", [VERDICT_ACCEPT] = "accept", [VERDICT_DROP] = "drop",
      [VERDICT_JUMP] = "jump",     [VERDICT_GOTO] = "goto",     [VERDICT_RETURN] = "return",
  };
  return words[code];
}

static const char *hook_word(enum chain_hook hook) {
  static const char *const words[] = {
      [HOOK_NONE] = "",           [HOOK_PREROUTING] = "prerouting", [HOOK_INPUT] = "input",
      [HOOK_FORWARD] = "forward", [HOOK_OUTPUT] = "output",         [HOOK_POSTROUTING] = "postrouting",
  };
  return words[hook];
}

static void print_comment(FILE *stream, const char *comment) {
  if (comment != NULL && *comment != '\0')
    fprintf(stream, " comment \"%s\"", comment);
}

static void print_comment_line(FILE *stream, const char *comment) {
  if (comment != NULL && *comment != '\0')
    fprintf(stream, "    comment \"%s\"\n", comment);
}

/* Seconds that an element has left; what ended just now still gets its last second. */
static int64_t seconds_left(struct instant end, struct instant now) {
  return end.seconds - now.seconds > 0 ? end.seconds - now.seconds : 1;
}

static void print_element(FILE *stream, const struct set *set, const struct element *element, struct instant now) {
  char key[KEY_TEXT_SIZE];
  print_key(set, element, key);
  fputs(key, stream);
  if (set->timeouts && element->expires.seconds != INT64_MAX)
    fprintf(stream, " timeout %" PRId64 "s", seconds_left(element->expires, now));
  print_comment(stream, element->comment);
  if (set->data == MAP_MARK)
    fprintf(stream, " : 0x%08" PRIx32, element->mark);
  if (set->data == MAP_VERDICT)
    fprintf(stream, " : %s%s%s", verdict_word(element->verdict.code), element->verdict.chain == NULL ? "" : " ",
            element->verdict.chain == NULL ? "" : element->verdict.chain);
}

static void print_flags(FILE *stream, const struct set *set) {
  if (set->interval || set->timeouts || set->dynamic)
    fprintf(stream, "    flags %s%s%s\n",
            set->interval  ? "interval"
            : set->dynamic ? "dynamic"
                           : "",
            (set->interval || set->dynamic) && set->timeouts ? "," : "", set->timeouts ? "timeout" : "");
  if (set->timeout_seconds != 0)
    fprintf(stream, "    timeout %" PRIu32 "s\n", set->timeout_seconds);
  if (set->sweep_milliseconds != 0)
    fprintf(stream, "    gc-interval %" PRIu32 "ms\n", set->sweep_milliseconds);
  if (set->counters)
    fputs("    counter\n", stream);
}

static void print_set(FILE *stream, const struct set *set, struct instant now) {
  fprintf(stream, "  %s %s {\n    type ", set->data == MAP_NONE ? "set" : "map", set->name);
  for (size_t i = 0; i < set->field_count; i++)
    fprintf(stream, "%s%s", i == 0 ? "" : " . ", field_nft_name(set->fields[i]));
  fputs(set->data == MAP_MARK ? " : mark\n" : set->data == MAP_VERDICT ? " : verdict\n" : "\n", stream);
  if (set->size != 0)
    fprintf(stream, "    size %" PRIu32 "\n", set->size);
  print_flags(stream, set);
  print_comment_line(stream, set->comment);
  for (size_t i = 0; i < set->element_count; i++) {
    fputs(i == 0 ? "    elements = {\n      " : ",\n      ", stream);
    print_element(stream, set, &set->elements[i], now);
  }
  fputs(set->element_count > 0 ? "\n    }\n  }\n" : "  }\n", stream);
}

static void print_chain(FILE *stream, const struct chain *chain) {
  fprintf(stream, "  chain %s {\n", chain->name);
  print_comment_line(stream, chain->comment);
  if (chain->hook != HOOK_NONE)
    fprintf(stream, "    type filter hook %s priority %d; policy %s;\n", hook_word(chain->hook), chain->priority,
            chain->policy_drop ? "drop" : "accept");
  for (size_t i = 0; i < chain->rule_count; i++) {
    const struct rule *rule = &chain->rules[i];
    fprintf(stream, "    %s", rule->text == NULL ? "# (read from the kernel)" : rule->text);
    print_comment(stream, rule->comment);
    fputc('\n', stream);
  }
  fputs("  }\n", stream);
}

int ruleset_print_nft(FILE *stream, const struct ruleset *ruleset, struct instant now) {
  fprintf(stream, "table inet %s\ndelete table inet %s\ntable inet %s {\n", ruleset->table, ruleset->table,
          ruleset->table);
  for (size_t i = 0; i < ruleset->counter_count; i++) {
    fprintf(stream, "  counter %s {", ruleset->counters[i].name);
    print_comment(stream, ruleset->counters[i].comment);
    fputs(" }\n", stream);
  }
  for (size_t i = 0; i < ruleset->set_count; i++)
    print_set(stream, &ruleset->sets[i], now);
  for (size_t i = 0; i < ruleset->chain_count; i++)
    print_chain(stream, &ruleset->chains[i]);
  fputs("}\n", stream);
  return fflush(stream) != 0 || ferror(stream) ? -EIO : 0;
}

/* ---- JSON ---- */

/* jansson's *_new functions take over the value and refuse NULL; the first refusal makes the whole answer NULL. */
static void set_member(json_t *object, const char *key, json_t *value, bool *failed) {
  if (json_object_set_new(object, key, value) < 0)
    *failed = true;
}

static void append_item(json_t *array, json_t *value, bool *failed) {
  if (json_array_append_new(array, value) < 0)
    *failed = true;
}

static json_t *text_or_null(const char *text) {
  return text == NULL ? json_null() : json_string(text);
}

static json_t *verdict_to_json(const struct verdict *verdict, bool *failed) {
  json_t *object = json_object();
  set_member(object, "verdict", json_string(verdict_word(verdict->code)), failed);
  if (verdict->chain != NULL)
    set_member(object, "chain", json_string(verdict->chain), failed);
  return object;
}

static json_t *element_to_json(const struct set *set, const struct element *element, struct instant now, bool *failed) {
  char key[KEY_TEXT_SIZE];
  json_t *object = json_object();
  print_key(set, element, key);
  set_member(object, "key", json_string(key), failed);
  if (element->comment != NULL)
    set_member(object, "comment", json_string(element->comment), failed);
  if (set->timeouts && element->expires.seconds != INT64_MAX)
    set_member(object, "timeout_seconds", json_integer(seconds_left(element->expires, now)), failed);
  if (set->data == MAP_MARK)
    set_member(object, "mark", json_integer(element->mark), failed);
  if (set->data == MAP_VERDICT)
    set_member(object, "verdict", verdict_to_json(&element->verdict, failed), failed);
  if (element->origin.subject != NULL)
    set_member(object, "subject", json_string(element->origin.subject), failed);
  if (element->origin.place.file != NULL)
    set_member(object, "line", json_integer(element->origin.place.line), failed);
  return object;
}

static json_t *set_to_json(const struct set *set, struct instant now, bool *failed) {
  static const char *const data_names[] = {[MAP_NONE] = "none", [MAP_MARK] = "mark", [MAP_VERDICT] = "verdict"};
  json_t *object = json_object(), *fields = json_array(), *elements = json_array();
  for (size_t i = 0; i < set->field_count; i++)
    append_item(fields, json_string(field_nft_name(set->fields[i])), failed);
  for (size_t i = 0; i < set->element_count; i++)
    append_item(elements, element_to_json(set, &set->elements[i], now, failed), failed);
  set_member(object, "name", json_string(set->name), failed);
  set_member(object, "type", fields, failed);
  set_member(object, "data", json_string(data_names[set->data]), failed);
  set_member(object, "interval", json_boolean(set->interval), failed);
  set_member(object, "timeouts", json_boolean(set->timeouts), failed);
  set_member(object, "counters", json_boolean(set->counters), failed);
  set_member(object, "dynamic", json_boolean(set->dynamic), failed);
  set_member(object, "size", json_integer(set->size), failed);
  set_member(object, "elements", elements, failed);
  return object;
}

static json_t *chain_to_json(const struct chain *chain, bool *failed) {
  json_t *object = json_object(), *rules = json_array();
  for (size_t i = 0; i < chain->rule_count; i++)
    append_item(rules, text_or_null(chain->rules[i].text), failed);
  set_member(object, "name", json_string(chain->name), failed);
  set_member(object, "comment", text_or_null(chain->comment), failed);
  if (chain->hook != HOOK_NONE) {
    set_member(object, "hook", json_string(hook_word(chain->hook)), failed);
    set_member(object, "priority", json_integer(chain->priority), failed);
    set_member(object, "policy", json_string(chain->policy_drop ? "drop" : "accept"), failed);
  }
  set_member(object, "rules", rules, failed);
  return object;
}

json_t *ruleset_to_json(const struct ruleset *ruleset, struct instant now) {
  bool failed = false;
  json_t *object = json_object(), *counters = json_array(), *sets = json_array(), *chains = json_array();
  for (size_t i = 0; i < ruleset->counter_count; i++)
    append_item(counters, json_string(ruleset->counters[i].name), &failed);
  for (size_t i = 0; i < ruleset->set_count; i++)
    append_item(sets, set_to_json(&ruleset->sets[i], now, &failed), &failed);
  for (size_t i = 0; i < ruleset->chain_count; i++)
    append_item(chains, chain_to_json(&ruleset->chains[i], &failed), &failed);
  set_member(object, "schema", json_string("kido.ruleset/1"), &failed);
  set_member(object, "family", json_string("inet"), &failed);
  set_member(object, "table", json_string(ruleset->table), &failed);
  set_member(object, "counters", counters, &failed);
  set_member(object, "sets", sets, &failed);
  set_member(object, "chains", chains, &failed);
  if (!failed)
    return object;
  json_decref(object);
  return NULL;
}
