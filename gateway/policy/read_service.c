/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "policy/packet.h"
#include "policy/read.h"
#include "policy/reader.h"

/*
 * A service is a definition ("tcp/443", "tcp+udp/53", "icmp/echo-request", "proto/132") or a name: one of the policy's
 * own, else one of the catalogue. A definition has a '/', a name never does.
 */

enum { ICMP_ECHO_REQUEST = 8, ICMPV6_ECHO_REQUEST = 128, LAST_PORT = 65535 };

struct definition {
  struct reader *reader;
  config_setting_t *setting;
  const char *text; /* the whole of it, for messages */
};

static void *field(void *object, uint16_t offset) {
  return (char *)object + offset;
}

/* What one key names, while it is read: lies in the reader's scratch. */
struct service_list {
  struct service *items;
  size_t count;
};

static bool add_service(struct reader *reader, struct service_list *list, const struct service *service) {
  if (list->count == reader->scratch_capacity) {
    size_t capacity = list->count ? list->count * 2 : 16;
    struct service *larger = reallocarray(reader->scratch, capacity, sizeof(*larger));
    if (!larger) {
      reader->out_of_memory = true;
      return false;
    }
    reader->scratch = larger;
    reader->scratch_capacity = capacity;
  }
  list->items = reader->scratch;
  list->items[list->count++] = *service;
  return true;
}

static void keep_services(struct reader *reader, const struct service_list *list, struct service **ret_services,
                          size_t *ret_count) {
  struct service *kept = reader_array(reader, list->count, sizeof(*kept));
  if (!kept)
    return;
  if (list->count > 0)
    memcpy(kept, list->items, list->count * sizeof(*kept));
  *ret_services = kept;
  *ret_count = list->count;
}

static struct diagnostic *refuse(const struct definition *definition, const char *japanese, const char *english) {
  struct reader *reader = definition->reader;
  struct diagnostic *diagnostic =
      PROBLEM(reader, "P04", reader_place_of(reader, definition->setting, definition->text),
              "サービス「%s」は使えません", "'%s' cannot be used as a service", definition->text);
  HINT(reader, diagnostic, "%s", "%s", language_choose(reader->diagnostics->language, japanese, english));
  return diagnostic;
}

/* ---- definitions ---- */

/* Decimal digits alone, at most five of them. */
static bool parse_number(const char *text, size_t length, unsigned maximum, unsigned *ret_number) {
  unsigned number = 0;
  if (length == 0 || length > 5)
    return false;
  for (size_t i = 0; i < length; i++) {
    if (text[i] < '0' || text[i] > '9')
      return false;
    number = number * 10 + (unsigned)(text[i] - '0');
  }
  *ret_number = number;
  return number <= maximum;
}

static bool parse_ports(const char *text, struct service *service) {
  const char *dash = strchr(text, '-');
  const char *last = dash ? dash + 1 : text;
  unsigned first_port, last_port;
  if (!parse_number(text, dash ? (size_t)(dash - text) : strlen(text), LAST_PORT, &first_port) ||
      !parse_number(last, strlen(last), LAST_PORT, &last_port) || first_port == 0 || first_port > last_port)
    return false;
  service->first_port = (uint16_t)first_port;
  service->last_port = (uint16_t)last_port;
  return true;
}

static bool read_ports(const struct definition *definition, const uint8_t *protocols, size_t count, const char *value,
                       struct service_list *list) {
  struct service service = {.text = definition->text, .place = reader_place(definition->reader, definition->setting)};
  if (!parse_ports(value, &service)) {
    refuse(definition, "ポート番号は 1 から 65535 まで、範囲は「5000-5010」の形で書いてください",
           "ports go from 1 to 65535; write a range as 5000-5010");
    return false;
  }
  bool added = true;
  for (size_t i = 0; i < count; i++) {
    service.protocol = protocols[i];
    added = add_service(definition->reader, list, &service) && added;
  }
  return added;
}

/* The kernel tracks echo and no other type: anything else would be let through or lost without a connection. */
static bool read_icmp(const struct definition *definition, uint8_t protocol, uint8_t echo, const char *value,
                      struct service_list *list) {
  struct service service = {.protocol = protocol,
                            .icmp_type = echo,
                            .text = definition->text,
                            .place = reader_place(definition->reader, definition->setting)};
  unsigned type;
  if (strcmp(value, "echo-request") == 0 || (parse_number(value, strlen(value), 255, &type) && type == echo))
    return add_service(definition->reader, list, &service);
  refuse(definition,
         "ICMP は echo-request（ping）だけを書けます。ほかの種類はカーネルが通信として追跡できず、"
         "通信に関するエラー通知は書かなくても通ります",
         "only echo-request (ping) can be named: the kernel cannot track other types, and errors about a connection "
         "pass by themselves");
  return false;
}

struct protocol_advice {
  unsigned protocol;
  const char *japanese, *english;
};

static const struct protocol_advice advice[] = {
    {0, "0 は IPv6 の拡張ヘッダであり、通信のプロトコルではありません",
     "0 is an IPv6 extension header, not a protocol"},
    {PROTOCOL_ICMP, "「icmp/echo-request」と書いてください", "write icmp/echo-request"},
    {PROTOCOL_TCP, "「tcp/443」のようにポート番号まで書いてください", "write it with a port, as tcp/443"},
    {PROTOCOL_UDP, "「udp/53」のようにポート番号まで書いてください", "write it with a port, as udp/53"},
    {43, "43 は IPv6 の拡張ヘッダであり、通信のプロトコルではありません",
     "43 is an IPv6 extension header, not a protocol"},
    {44, "44 は IPv6 の拡張ヘッダであり、通信のプロトコルではありません",
     "44 is an IPv6 extension header, not a protocol"},
    {PROTOCOL_ICMPV6, "「icmpv6/echo-request」と書いてください", "write icmpv6/echo-request"},
    {59, "59 は IPv6 の拡張ヘッダであり、通信のプロトコルではありません",
     "59 is an IPv6 extension header, not a protocol"},
    {60, "60 は IPv6 の拡張ヘッダであり、通信のプロトコルではありません",
     "60 is an IPv6 extension header, not a protocol"},
};

static bool read_protocol(const struct definition *definition, const char *value, struct service_list *list) {
  struct service service = {
      .last_port = LAST_PORT, .text = definition->text, .place = reader_place(definition->reader, definition->setting)};
  unsigned number;
  if (!parse_number(value, strlen(value), 255, &number)) {
    refuse(definition, "プロトコル番号は 1 から 255 までの数で書いてください",
           "write the protocol as a number from 1 to 255");
    return false;
  }
  for (size_t i = 0; i < sizeof(advice) / sizeof(advice[0]); i++)
    if (advice[i].protocol == number) {
      refuse(definition, advice[i].japanese, advice[i].english);
      return false;
    }
  service.protocol = (uint8_t)number;
  return add_service(definition->reader, list, &service);
}

static bool is_prefix(const char *text, size_t length, const char *word) {
  return strlen(word) == length && strncmp(text, word, length) == 0;
}

static bool read_definition(const struct definition *definition, struct service_list *list) {
  static const uint8_t both[] = {PROTOCOL_TCP, PROTOCOL_UDP};
  const char *text = definition->text, *slash = strchr(text, '/'), *value = slash + 1;
  size_t length = (size_t)(slash - text);
  if (is_prefix(text, length, "tcp"))
    return read_ports(definition, both, 1, value, list);
  if (is_prefix(text, length, "udp"))
    return read_ports(definition, both + 1, 1, value, list);
  if (is_prefix(text, length, "tcp+udp") || is_prefix(text, length, "udp+tcp"))
    return read_ports(definition, both, 2, value, list);
  if (is_prefix(text, length, "icmp"))
    return read_icmp(definition, PROTOCOL_ICMP, ICMP_ECHO_REQUEST, value, list);
  if (is_prefix(text, length, "icmpv6"))
    return read_icmp(definition, PROTOCOL_ICMPV6, ICMPV6_ECHO_REQUEST, value, list);
  if (is_prefix(text, length, "proto"))
    return read_protocol(definition, value, list);
  refuse(definition, "「tcp/443」「udp/5000-5010」「tcp+udp/53」「icmp/echo-request」「proto/132」の形で書いてください",
         "write it as tcp/443, udp/5000-5010, tcp+udp/53, icmp/echo-request or proto/132");
  return false;
}

/* ---- names ---- */

static bool add_named(struct reader *reader, config_setting_t *setting, const struct named_service *named,
                      struct service_list *list) {
  struct place place = reader_place(reader, setting);
  bool added = true;
  for (size_t i = 0; i < named->service_count; i++) {
    struct service service = named->services[i];
    service.text = named->name;
    service.place = place;
    added = add_service(reader, list, &service) && added;
  }
  return added;
}

/* The definitions of a catalogue entry are known to be right. */
static bool add_catalogued(struct reader *reader, config_setting_t *setting, const struct catalogue_entry *entry,
                           struct service_list *list) {
  const char *at = entry->definition;
  bool added = true;
  while (*at) {
    size_t length = strcspn(at, " "), first = list->count;
    struct definition definition = {reader, setting, reader_keep(reader, at, length)};
    added = read_definition(&definition, list) && added;
    for (size_t i = first; i < list->count; i++)
      list->items[i].text = entry->name;
    at += length + (at[length] == ' ');
  }
  return added;
}

static void refuse_name(struct reader *reader, config_setting_t *setting, const char *name) {
  const struct policy *policy = reader->policy;
  size_t known, count = 0;
  const struct catalogue_entry *catalogue = service_catalogue(&known);
  size_t own;
  if (reader_find(&reader->services, name, &own)) {
    PROBLEM(reader, "P06", reader_place_of(reader, setting, name),
            "services の中では「%s」のような独自の名前を使えません。「tcp/443」の形で書いてください",
            "an own name ('%s') cannot be used within services: write it as tcp/443", name);
    return;
  }
  const char **names = reader_array(reader, known + policy->named_service_count, sizeof(*names));
  struct diagnostic *diagnostic = PROBLEM(reader, "P06", reader_place_of(reader, setting, name),
                                          "「%s」というサービスはありません", "there is no service '%s'", name);
  HINT(reader, diagnostic, "「tcp/443」の形で書くか、services に名前を加えてください（一覧: kido show services）",
       "write it as tcp/443, or add the name to services (kido show services lists them)");
  for (size_t i = 0; names && i < policy->named_service_count; i++)
    names[count++] = policy->services[i].name;
  for (size_t i = 0; names && i < known; i++)
    names[count++] = catalogue[i].name;
  if (names)
    reader_suggest(reader, diagnostic, name, names, count);
}

static bool read_service(struct reader *reader, config_setting_t *setting, bool own, struct service_list *list) {
  const char *text = reader_string(reader, setting);
  size_t index, count;
  if (!text)
    return false;
  if (strchr(text, '/')) {
    struct definition definition = {reader, setting, reader_keep(reader, text, strlen(text))};
    return read_definition(&definition, list);
  }
  if (own && reader_find(&reader->services, text, &index))
    return add_named(reader, setting, &reader->policy->services[index], list);
  if (reader_find(&reader->catalogue, text, &index))
    return add_catalogued(reader, setting, &service_catalogue(&count)[index], list);
  refuse_name(reader, setting, text);
  return false;
}

static bool read_service_list(struct reader *reader, config_setting_t *setting, bool own, struct service_list *list) {
  int length = reader_list_length(reader, setting);
  bool right = length > 0;
  if (length == 0)
    PROBLEM(reader, "P05", reader_place_of(reader, setting, reader->key->name), "「%s」が空です", "'%s' is empty",
            reader->key->name);
  for (int i = 0; i < length; i++)
    right = read_service(reader, reader_list_item(setting, i), own, list) && right;
  return right;
}

/* A case of `expect` asks about one service; the schema gives both kinds the same shape. */
void read_services(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  struct service_list list = {0};
  if (key->kind == KIND_CASE_SERVICE)
    read_service(reader, setting, true, &list);
  else
    read_service_list(reader, setting, true, &list);
  keep_services(reader, &list, field(object, key->offset), field(object, key->count_offset));
}

void reader_named_service(struct reader *reader, config_setting_t *setting, struct named_service *service) {
  const struct schema_key key = {.name = service->name, .kind = KIND_SERVICES};
  struct service_list list = {0};
  size_t index;
  service->place = reader_place(reader, setting);
  if (reader_find(&reader->catalogue, service->name, &index)) {
    struct diagnostic *diagnostic =
        PROBLEM(reader, "P07", reader_place_of(reader, setting, service->name),
                "「%s」は組み込みのサービス名と重なっています", "'%s' is a built-in service name", service->name);
    HINT(reader, diagnostic, "別の名前にしてください（一覧: kido show services）",
         "choose another name (kido show services lists the built-in ones)");
  }
  reader->key = &key;
  read_service_list(reader, setting, false, &list);
  reader->key = NULL;
  keep_services(reader, &list, &service->services, &service->service_count);
}

void reader_index_catalogue(struct reader *reader) {
  size_t count;
  const struct catalogue_entry *catalogue = service_catalogue(&count);
  for (size_t i = 0; i < count; i++)
    reader_index(reader, &reader->catalogue, catalogue[i].name, i);
}
