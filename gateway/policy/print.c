/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/print.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/names.h"
#include "policy/packet.h"
#include "policy/schema.h"

/*
 * The canonical form. Parts, sections and keys stand in the order of the schema, members in the order of the file.
 * What equals its default is left out, but for the head of the policy. Names of the catalogue become definitions, so
 * that the text, and with it the hash, says all that was approved; the policy's own names stay.
 */
struct printer {
  const struct policy *policy;
  struct name_table services; /* own names */
  char *text;
  size_t length, capacity;
  bool out_of_memory;
  const char *separator; /* between the keys of the section being printed */
};

static const void *field(const void *object, uint16_t offset) {
  return (const char *)object + offset;
}

/* ---- text ---- */

static bool reserve(struct printer *printer, size_t length) {
  size_t need = printer->length + length + 1;
  if (need <= printer->capacity)
    return true;
  char *larger = realloc(printer->text, need * 2);
  if (!larger) {
    printer->out_of_memory = true;
    return false;
  }
  printer->text = larger;
  printer->capacity = need * 2;
  return true;
}

static void put_bytes(struct printer *printer, const char *text, size_t length) {
  if (!reserve(printer, length))
    return;
  memcpy(printer->text + printer->length, text, length);
  printer->length += length;
  printer->text[printer->length] = '\0';
}

static void put(struct printer *printer, const char *text) {
  put_bytes(printer, text, strlen(text));
}

static void put_format(struct printer *printer, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put_format(struct printer *printer, const char *format, ...) {
  char text[160];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  if (length > 0 && (size_t)length < sizeof(text))
    put_bytes(printer, text, (size_t)length);
}

static void put_escaped(struct printer *printer, char byte) {
  switch (byte) {
  case '"':
    put(printer, "\\\"");
    break;
  case '\\':
    put(printer, "\\\\");
    break;
  case '\n':
    put(printer, "\\n");
    break;
  case '\t':
    put(printer, "\\t");
    break;
  default:
    put_format(printer, "\\x%02x", (unsigned)(unsigned char)byte);
  }
}

static bool is_plain(char byte) {
  return (unsigned char)byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7f;
}

static void put_string(struct printer *printer, const char *text) {
  put(printer, "\"");
  while (*text) {
    size_t plain = 0;
    while (text[plain] && is_plain(text[plain]))
      plain++;
    put_bytes(printer, text, plain);
    text += plain;
    if (*text)
      put_escaped(printer, *text++);
  }
  put(printer, "\"");
}

static void put_key(struct printer *printer, const char *name) {
  put(printer, printer->separator);
  put(printer, name);
  put(printer, " = ");
}

static void end_key(struct printer *printer) {
  put(printer, ";");
}

static void put_pair(struct printer *printer, const char *name, const char *value) {
  put_key(printer, name);
  put_string(printer, value);
  end_key(printer);
}

/* ---- lists: one item stands alone, several in [ ] ---- */

typedef void put_item(struct printer *printer, const void *items, size_t index);

static void put_list(struct printer *printer, const char *name, const void *items, size_t count, put_item *item) {
  if (count == 0)
    return;
  put_key(printer, name);
  put(printer, count > 1 ? "[ " : "");
  for (size_t i = 0; i < count; i++) {
    put(printer, i > 0 ? ", " : "");
    item(printer, items, i);
  }
  put(printer, count > 1 ? " ]" : "");
  end_key(printer);
}

static void put_text_item(struct printer *printer, const void *items, size_t index) {
  put_string(printer, ((const struct text *)items)[index].text);
}

static void put_range_item(struct printer *printer, const void *items, size_t index) {
  char text[RANGE_TEXT_SIZE];
  put_string(printer, range_format(&((const struct placed_range *)items)[index].range, text));
}

static void put_mac_item(struct printer *printer, const void *items, size_t index) {
  char text[MAC_TEXT_SIZE];
  put_string(printer, mac_format(&((const struct mac *)items)[index], text));
}

static void put_end_item(struct printer *printer, const void *items, size_t index) {
  const struct endpoint *end = &((const struct endpoint *)items)[index];
  if (end->kind == ENDPOINT_HOST)
    put_string(printer, end->host->name);
  else if (end->kind == ENDPOINT_ZONE)
    put_format(printer, "\"zone:%s\"", policy_zone_name(printer->policy, end->zone));
  else
    put_string(printer, "gateway");
}

static const void *array_of(const struct schema_key *key, const void *object, size_t *ret_count) {
  *ret_count = *(const size_t *)field(object, key->count_offset);
  return *(const void *const *)field(object, key->offset);
}

static void print_texts(struct printer *printer, const struct schema_key *key, const void *object) {
  size_t count;
  const void *items = array_of(key, object, &count);
  put_list(printer, key->name, items, count, put_text_item);
}

static void print_ranges(struct printer *printer, const struct schema_key *key, const void *object) {
  size_t count;
  const void *items = array_of(key, object, &count);
  put_list(printer, key->name, items, count, put_range_item);
}

static void print_macs(struct printer *printer, const struct schema_key *key, const void *object) {
  size_t count;
  const void *items = array_of(key, object, &count);
  put_list(printer, key->name, items, count, put_mac_item);
}

static void print_ends(struct printer *printer, const struct schema_key *key, const void *object) {
  size_t count;
  const void *items = array_of(key, object, &count);
  put_list(printer, key->name, items, count, put_end_item);
}

/* ---- services ---- */

static bool is_own_name(const struct printer *printer, const char *text) {
  size_t index;
  return name_table_find(&printer->services, text, strlen(text), &index);
}

static bool same_ports(const struct service *left, const struct service *right) {
  return left->first_port == right->first_port && left->last_port == right->last_port;
}

/* How many services, from the first of these, one word stands for. */
static size_t services_in_word(const struct printer *printer, const struct service *services, size_t count) {
  size_t words = 1;
  if (is_own_name(printer, services[0].text)) {
    while (words < count && strcmp(services[words].text, services[0].text) == 0)
      words++;
  } else if (count > 1 && services[0].protocol == PROTOCOL_TCP && services[1].protocol == PROTOCOL_UDP &&
             same_ports(&services[0], &services[1]) && !is_own_name(printer, services[1].text)) {
    words = 2;
  }
  return words;
}

static void put_ports(struct printer *printer, const char *protocol, const struct service *service) {
  if (service->first_port == service->last_port)
    put_format(printer, "\"%s/%u\"", protocol, (unsigned)service->first_port);
  else
    put_format(printer, "\"%s/%u-%u\"", protocol, (unsigned)service->first_port, (unsigned)service->last_port);
}

static void put_service(struct printer *printer, const struct service *service, size_t words) {
  if (is_own_name(printer, service->text))
    put_string(printer, service->text);
  else if (service->protocol == PROTOCOL_TCP)
    put_ports(printer, words == 2 ? "tcp+udp" : "tcp", service);
  else if (service->protocol == PROTOCOL_UDP)
    put_ports(printer, "udp", service);
  else if (service->protocol == PROTOCOL_ICMP)
    put_string(printer, "icmp/echo-request");
  else if (service->protocol == PROTOCOL_ICMPV6)
    put_string(printer, "icmpv6/echo-request");
  else
    put_format(printer, "\"proto/%u\"", (unsigned)service->protocol);
}

static void put_services(struct printer *printer, const char *name, const struct service *services, size_t count) {
  if (count == 0)
    return;
  bool several = services_in_word(printer, services, count) < count;
  put_key(printer, name);
  put(printer, several ? "[ " : "");
  for (size_t i = 0, words; i < count; i += words) {
    words = services_in_word(printer, services + i, count - i);
    put(printer, i > 0 ? ", " : "");
    put_service(printer, &services[i], words);
  }
  put(printer, several ? " ]" : "");
  end_key(printer);
}

static void print_services(struct printer *printer, const struct schema_key *key, const void *object) {
  size_t count;
  const void *services = array_of(key, object, &count);
  put_services(printer, key->name, services, count);
}

/* A case names one service: what takes several definitions stays the name that it was. */
static void print_case_service(struct printer *printer, const struct schema_key *key, const void *object) {
  size_t count;
  const struct service *services = array_of(key, object, &count);
  if (count > 0 && services_in_word(printer, services, count) < count)
    put_pair(printer, key->name, services[0].text);
  else
    put_services(printer, key->name, services, count);
}

/* ---- scalars ---- */

static bool is_set(const struct schema_key *key, const void *object) {
  return key->set_offset == 0 || *(const bool *)field(object, key->set_offset);
}

static void print_text(struct printer *printer, const struct schema_key *key, const void *object) {
  const struct text *text = field(object, key->offset);
  if (text->text)
    put_pair(printer, key->name, text->text);
}

static void print_string(struct printer *printer, const struct schema_key *key, const void *object) {
  const char *text = *(const char *const *)field(object, key->offset);
  if (text && text[0] != '\0')
    put_pair(printer, key->name, text);
}

static void print_choice(struct printer *printer, const struct schema_key *key, const void *object) {
  unsigned value;
  memcpy(&value, field(object, key->offset), sizeof(value));
  if (value >= key->choices->count || !key->choices->names[value] || !is_set(key, object))
    return;
  if (value > 0 || key->required || key->always)
    put_pair(printer, key->name, key->choices->names[value]);
}

static void print_verdict(struct printer *printer, const struct schema_key *key, const void *object) {
  if (is_set(key, object))
    put_pair(printer, key->name, key->choices->names[*(const bool *)field(object, key->offset)]);
}

static void print_flag(struct printer *printer, const struct schema_key *key, const void *object) {
  if (!*(const bool *)field(object, key->offset))
    return;
  put_key(printer, key->name);
  put(printer, "true;");
}

/* libconfig takes what goes beyond 32 bits with an L only. */
static void put_integer(struct printer *printer, const char *name, uint64_t value) {
  if (value == 0)
    return;
  put_key(printer, name);
  put_format(printer, "%llu%s;", (unsigned long long)value, value > INT32_MAX ? "L" : "");
}

static void print_number(struct printer *printer, const struct schema_key *key, const void *object) {
  put_integer(printer, key->name, *(const unsigned *)field(object, key->offset));
}

static void print_large(struct printer *printer, const struct schema_key *key, const void *object) {
  put_integer(printer, key->name, *(const uint64_t *)field(object, key->offset));
}

static void print_zone(struct printer *printer, const struct schema_key *key, const void *object) {
  zone_index zone = *(const zone_index *)field(object, key->offset);
  if (zone >= 0)
    put_pair(printer, key->name, policy_zone_name(printer->policy, zone));
}

static void print_note(struct printer *printer, const struct schema_key *key, const void *object) {
  const char *text = flow_note_text(object, key->name);
  if (text)
    put_pair(printer, key->name, text);
}

/* ---- dates ---- */

static void put_date(struct printer *printer, const char *name, int year, int month, int day) {
  put_key(printer, name);
  put_format(printer, "\"%04d-%02d-%02d\";", year, month, day);
}

static void print_date(struct printer *printer, const struct schema_key *key, const void *object) {
  const struct date *date = field(object, key->offset);
  if (date->set)
    put_date(printer, key->name, date->year, date->month, date->day);
}

/* A moment at midnight is written as the day that it begins or ends. */
static void print_moment(struct printer *printer, const struct schema_key *key, const void *object) {
  const struct timezone *timezone = printer->policy->header.timezone;
  struct instant instant = *(const struct instant *)field(object, key->offset), shown = instant;
  struct civil_time edge, day;
  char text[INSTANT_TEXT_SIZE];
  if (!is_set(key, object))
    return;
  timezone_civil(timezone, instant, &edge);
  if (key->kind == KIND_DAY_END || key->kind == KIND_END)
    shown.seconds--;
  timezone_civil(timezone, shown, &day);
  if (edge.hour == 0 && edge.minute == 0 && edge.second == 0)
    put_date(printer, key->name, day.year, day.month, day.day);
  else
    put_pair(printer, key->name, instant_format(timezone, instant, text));
}

static const char *const weekday_names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

static bool has_day(const struct hours *hours, int day) {
  return day < 7 && (hours->weekdays >> day & 1);
}

static void print_hours(struct printer *printer, const struct schema_key *key, const void *object) {
  const struct hours *hours = field(object, key->offset);
  const char *separator = "";
  if (!hours->set)
    return;
  put_key(printer, key->name);
  put(printer, "\"");
  for (int day = 0; day < 7; day++) {
    if (!has_day(hours, day))
      continue;
    int first = day;
    while (has_day(hours, day + 1))
      day++;
    put_format(printer, "%s%s", separator, weekday_names[first]);
    if (day > first)
      put_format(printer, "%s%s", day > first + 1 ? "-" : ",", weekday_names[day]);
    separator = ",";
  }
  put_format(printer, " %02u:%02u-%02u:%02u\";", hours->first_minute / 60, hours->first_minute % 60,
             hours->last_minute / 60, hours->last_minute % 60);
}

/* ---- cases ---- */

static void print_case_end(struct printer *printer, const struct schema_key *key, const void *object) {
  const struct expectation_end *end = field(object, key->offset);
  char text[RANGE_TEXT_SIZE];
  if (((const struct expectation *)object)->universal || end->kind == EXPECT_ZONE)
    return;
  if (end->kind == EXPECT_GATEWAY)
    put_pair(printer, key->name, "gateway");
  else if (end->kind == EXPECT_RANGE)
    put_pair(printer, key->name, range_format(&end->range, text));
  else if (end->host)
    put_pair(printer, key->name, end->host->name);
}

static void print_case_zone(struct printer *printer, const struct schema_key *key, const void *object) {
  const struct expectation_end *end = field(object, key->offset);
  if (end->kind == EXPECT_ZONE)
    put_pair(printer, key->name, policy_zone_name(printer->policy, end->zone));
}

/* ---- sections ---- */

static void print_section(struct printer *printer, const struct schema_section *section, const void *object,
                          const char *indent);

static void print_group(struct printer *printer, const struct schema_key *key, const void *object) {
  if (!is_set(key, object))
    return;
  put_key(printer, key->name);
  print_section(printer, key->section, field(object, key->offset), "");
  end_key(printer);
}

static void print_windows(struct printer *printer, const struct schema_key *key, const void *object) {
  size_t count;
  const struct window *windows = array_of(key, object, &count);
  if (count == 0)
    return;
  put_key(printer, key->name);
  put(printer, "( ");
  for (size_t i = 0; i < count; i++) {
    put(printer, i > 0 ? ", " : "");
    print_section(printer, key->section, &windows[i], "");
  }
  put(printer, " );");
}

typedef void print_value(struct printer *printer, const struct schema_key *key, const void *object);

static print_value *const printers[] = {
    [KIND_TEXT] = print_text,
    [KIND_WORD] = print_text,
    [KIND_STRING] = print_string,
    [KIND_TEXTS] = print_texts,
    [KIND_INTERFACES] = print_texts,
    [KIND_CHOICE] = print_choice,
    [KIND_FLAG] = print_flag,
    [KIND_VERDICT] = print_verdict,
    [KIND_NUMBER] = print_number,
    [KIND_LARGE] = print_large,
    [KIND_TIMEZONE] = print_string,
    [KIND_DATE] = print_date,
    [KIND_DAY_END] = print_moment,
    [KIND_START] = print_moment,
    [KIND_END] = print_moment,
    [KIND_AT] = print_moment,
    [KIND_PREFIXES] = print_ranges,
    [KIND_ADDRESSES] = print_ranges,
    [KIND_MACS] = print_macs,
    [KIND_ZONE] = print_zone,
    [KIND_ENDS] = print_ends,
    [KIND_SERVICES] = print_services,
    [KIND_HOURS] = print_hours,
    [KIND_NOTE] = print_note,
    [KIND_GROUP] = print_group,
    [KIND_WINDOWS] = print_windows,
    [KIND_CASE_END] = print_case_end,
    [KIND_CASE_ZONE] = print_case_zone,
    [KIND_CASE_SERVICE] = print_case_service,
};
static_assert(sizeof(printers) / sizeof(printers[0]) == KIND_COUNT_, "every kind can be printed");

static void print_free_keys(struct printer *printer, const struct flow *flow) {
  for (size_t i = 0; i < flow->note_count; i++)
    if (strncmp(flow->notes[i].key, "x_", 2) == 0)
      put_pair(printer, flow->notes[i].key, flow->notes[i].value.text);
}

/* indent: newline and blanks in front of each key, unless the section is printed on one line. */
static void print_section(struct printer *printer, const struct schema_section *section, const void *object,
                          const char *indent) {
  const char *outer = printer->separator;
  put(printer, "{");
  printer->separator = section->inline_form ? " " : indent;
  for (size_t i = 0; i < section->key_count; i++)
    printers[section->keys[i].kind](printer, &section->keys[i], object);
  if (section->free_keys)
    print_free_keys(printer, object);
  printer->separator = outer;
  if (section->inline_form)
    put(printer, " ");
  else
    put_bytes(printer, indent, strlen(indent) - 2);
  put(printer, "}");
}

/* ---- parts ---- */

static void print_members(struct printer *printer, size_t top, enum schema_section_id id, const void *items,
                          size_t count, size_t size, size_t name_offset) {
  if (count == 0 && !schema_top(top)->required)
    return;
  put_format(printer, "\n%s = {", schema_top(top)->name);
  for (size_t i = 0; i < count; i++) {
    const char *object = (const char *)items + i * size;
    put(printer, "\n  ");
    put(printer, *(const char *const *)(const void *)(object + name_offset));
    put(printer, " = ");
    print_section(printer, schema_section(id), object, "\n    ");
    end_key(printer);
  }
  put(printer, "\n};\n");
}

static void print_own_services(struct printer *printer) {
  const struct policy *policy = printer->policy;
  if (policy->named_service_count == 0)
    return;
  put_format(printer, "\n%s = {", schema_top(TOP_SERVICES)->name);
  printer->separator = "\n  ";
  for (size_t i = 0; i < policy->named_service_count; i++)
    put_services(printer, policy->services[i].name, policy->services[i].services, policy->services[i].service_count);
  put(printer, "\n};\n");
}

static void print_expectations(struct printer *printer) {
  const struct policy *policy = printer->policy;
  if (policy->expectation_count == 0)
    return;
  put_format(printer, "\n%s = (", schema_top(TOP_EXPECT)->name);
  for (size_t i = 0; i < policy->expectation_count; i++) {
    put(printer, i > 0 ? ",\n  " : "\n  ");
    print_section(printer, schema_section(SECTION_EXPECT), &policy->expectations[i], "");
  }
  put(printer, "\n);\n");
}

static void print_policy(struct printer *printer) {
  const struct policy *policy = printer->policy;
  put_format(printer, "%s = ", schema_top(TOP_POLICY)->name);
  print_section(printer, schema_section(SECTION_POLICY), &policy->header, "\n  ");
  put(printer, ";\n");
  print_members(printer, TOP_ZONES, SECTION_ZONE, policy->zones, policy->zone_count, sizeof(struct zone),
                offsetof(struct zone, name));
  print_members(printer, TOP_HOSTS, SECTION_HOST, policy->hosts, policy->host_count, sizeof(struct host),
                offsetof(struct host, name));
  print_own_services(printer);
  print_members(printer, TOP_FLOWS, SECTION_FLOW, policy->flows, policy->flow_count, sizeof(struct flow),
                offsetof(struct flow, name));
  print_expectations(printer);
}

static void index_own_services(struct printer *printer) {
  const struct policy *policy = printer->policy;
  size_t existing;
  for (size_t i = 0; i < policy->named_service_count; i++)
    if (name_table_add(&printer->services, policy->services[i].name, strlen(policy->services[i].name), i, &existing) ==
        -ENOMEM)
      printer->out_of_memory = true;
}

char *policy_print(const struct policy *policy, struct arena *arena, size_t *ret_length) {
  struct printer printer = {.policy = policy, .separator = ""};
  char *text = NULL;
  index_own_services(&printer);
  print_policy(&printer);
  if (!printer.out_of_memory)
    text = arena_strndup(arena, printer.text, printer.length);
  if (text)
    *ret_length = printer.length;
  free(printer.text);
  name_table_free(&printer.services);
  return text;
}
