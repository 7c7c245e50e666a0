/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policy as tables. Each table is built once, as rows of JSON values under the keys of its columns; for a terminal
 * every value is written as a cell. So the two forms cannot tell different stories.
 */
#include <string.h>

#include "cli/verb.h"
#include "policy/read.h"

struct column {
  const char *key, *japanese, *english;
  bool json_only; /* too much for a terminal */
};

struct view {
  const char *name;
  const struct column *columns;
  size_t column_count;
  json_t *(*rows)(const struct invocation *invocation, const struct policy *policy);
};

enum { COLUMN_LIMIT = 16 };

/* ---- values ---- */

static json_t *text_or_null(const char *text) {
  return text != NULL && text[0] != '\0' ? json_string(text) : json_null();
}

static json_t *ranges_to_json(const struct placed_range *ranges, size_t count) {
  json_t *array = json_array();
  char text[RANGE_TEXT_SIZE];
  for (size_t i = 0; i < count; i++)
    json_array_append_new(array, json_string(range_format(&ranges[i].range, text)));
  return array;
}

static json_t *texts_to_json(const struct text *texts, size_t count) {
  json_t *array = json_array();
  for (size_t i = 0; i < count; i++)
    json_array_append_new(array, json_string(texts[i].text));
  return array;
}

static json_t *macs_to_json(const struct host *host) {
  json_t *array = json_array();
  char text[MAC_TEXT_SIZE];
  for (size_t i = 0; i < host->mac_count; i++)
    json_array_append_new(array, json_string(mac_format(&host->macs[i], text)));
  return array;
}

static json_t *ends_to_json(const struct invocation *invocation, const struct policy *policy,
                            const struct endpoint *ends, size_t count) {
  json_t *array = json_array();
  for (size_t i = 0; i < count; i++) {
    const char *name = ends[i].kind == ENDPOINT_HOST ? ends[i].host->name : policy_zone_name(policy, ends[i].zone);
    if (ends[i].kind == ENDPOINT_ZONE)
      name = arena_printf(invocation->arena, "zone:%s", name);
    json_array_append_new(array, json_string(name != NULL ? name : ""));
  }
  return array;
}

/* What the file says, each once: "tcp+udp/53" makes two services. */
static json_t *services_to_json(const struct service *services, size_t count) {
  json_t *array = json_array();
  for (size_t i = 0; i < count; i++)
    if (i == 0 || strcmp(services[i].text, services[i - 1].text) != 0)
      json_array_append_new(array, json_string(services[i].text));
  return array;
}

static const char *force_name(enum force_state state) {
  static const char *const names[] = {
      [FORCE_YES] = "in-force", [FORCE_EXPIRED] = "expired", [FORCE_OUTSIDE_WINDOW] = "outside-window"};
  return names[state];
}

static json_t *instant_or_null(const struct policy *policy, struct instant instant) {
  char text[INSTANT_TEXT_SIZE];
  return instant.seconds == INT64_MAX ? json_null()
                                      : json_string(instant_format(policy->header.timezone, instant, text));
}

/* ---- the views ---- */

static const struct column ZONE_COLUMNS[] = {
    {"name", "領域", "zone", false},
    {"class", "区分", "class", false},
    {"interfaces", "インターフェース", "interfaces", false},
    {"networks", "接続ネットワーク", "networks", false},
    {"remote", "ルータの先", "remote", false},
    {"default_route", "既定経路", "default route", false},
    {"within", "領域内転送", "within", false},
    {"on_deny", "拒否時", "on deny", false},
    {"label", "名称", "label", false},
};

static json_t *zone_rows(const struct invocation *invocation, const struct policy *policy) {
  (void)invocation;
  json_t *rows = json_array();
  for (size_t i = 0; i < policy->zone_count; i++) {
    const struct zone *zone = &policy->zones[i];
    json_array_append_new(rows, json_pack("{s:s, s:s, s:o, s:o, s:o, s:b, s:s, s:s, s:o}", "name", zone->name, "class",
                                          zone_class_name(zone->class), "interfaces",
                                          texts_to_json(zone->interfaces, zone->interface_count), "networks",
                                          ranges_to_json(zone->networks, zone->network_count), "remote",
                                          ranges_to_json(zone->remote, zone->remote_count), "default_route",
                                          (int)zone->default_route, "within", zone->within ? "allow" : "deny",
                                          "on_deny", zone->on_deny == ON_DENY_REJECT ? "reject" : "drop", "label",
                                          text_or_null(zone->label)));
  }
  return rows;
}

static const struct column HOST_COLUMNS[] = {
    {"name", "端末", "host", false},
    {"zone", "領域", "zone", false},
    {"addresses", "アドレス", "addresses", false},
    {"macs", "MACアドレス", "MAC addresses", false},
    {"mac_scope", "MAC照合", "MAC scope", true},
    {"machine", "筐体", "machine", false},
    {"label", "名称", "label", false},
};

static json_t *host_rows(const struct invocation *invocation, const struct policy *policy) {
  (void)invocation;
  json_t *rows = json_array();
  for (size_t i = 0; i < policy->host_count; i++) {
    const struct host *host = &policy->hosts[i];
    json_array_append_new(rows,
                          json_pack("{s:s, s:s, s:o, s:o, s:s, s:o, s:o}", "name", host->name, "zone",
                                    policy_zone_name(policy, host->zone), "addresses",
                                    ranges_to_json(host->addresses, host->address_count), "macs", macs_to_json(host),
                                    "mac_scope", host->mac_scope == MAC_SCOPE_DIRECT ? "direct" : "via_router",
                                    "machine", text_or_null(host->machine), "label", text_or_null(host->label)));
  }
  return rows;
}

static const struct column FLOW_COLUMNS[] = {
    {"name", "通信", "flow", false},       {"from_zone", "送信元領域", "from zone", true},
    {"from", "送信元", "from", false},     {"to_zone", "宛先領域", "to zone", true},
    {"to", "宛先", "to", false},           {"services", "サービス", "services", false},
    {"method", "方式", "method", false},   {"state", "状態", "state", false},
    {"until", "次の変化", "until", false}, {"owner", "所管", "owner", false},
    {"purpose", "目的", "purpose", false},
};

static json_t *flow_rows(const struct invocation *invocation, const struct policy *policy) {
  json_t *rows = json_array();
  for (size_t i = 0; i < policy->flow_count; i++) {
    const struct flow *flow = &policy->flows[i];
    struct instant until;
    enum force_state state = policy_flow_force(policy, flow, invocation->now, &until);
    json_array_append_new(rows, json_pack("{s:s, s:s, s:o, s:s, s:o, s:o, s:s, s:s, s:o, s:o, s:o}", "name", flow->name,
                                          "from_zone", policy_zone_name(policy, flow->from_zone), "from",
                                          ends_to_json(invocation, policy, flow->from, flow->from_count), "to_zone",
                                          policy_zone_name(policy, flow->to_zone), "to",
                                          ends_to_json(invocation, policy, flow->to, flow->to_count), "services",
                                          services_to_json(flow->services, flow->service_count), "method",
                                          flow_method_name(flow->method), "state", force_name(state), "until",
                                          instant_or_null(policy, until), "owner", text_or_null(flow->owner.text),
                                          "purpose", text_or_null(flow->purpose.text)));
  }
  return rows;
}

static const struct column SERVICE_COLUMNS[] = {
    {"name", "サービス", "service", false},
    {"definitions", "定義", "definitions", false},
    {"origin", "由来", "origin", false},
};

/* Blank-separated definitions as an array. */
static json_t *definitions_to_json(const char *text) {
  json_t *array = json_array();
  while (*text != '\0') {
    size_t length = strcspn(text, " ");
    json_array_append_new(array, json_stringn(text, length));
    text += length + strspn(text + length, " ");
  }
  return array;
}

static json_t *service_rows(const struct invocation *invocation, const struct policy *policy) {
  (void)invocation;
  json_t *rows = json_array();
  for (size_t i = 0; i < policy->named_service_count; i++)
    json_array_append_new(rows,
                          json_pack("{s:s, s:o, s:s}", "name", policy->services[i].name, "definitions",
                                    services_to_json(policy->services[i].services, policy->services[i].service_count),
                                    "origin", "policy"));
  size_t count;
  const struct catalogue_entry *catalogue = service_catalogue(&count);
  for (size_t i = 0; i < count; i++)
    json_array_append_new(rows, json_pack("{s:s, s:o, s:s}", "name", catalogue[i].name, "definitions",
                                          definitions_to_json(catalogue[i].definition), "origin", "catalogue"));
  return rows;
}

static const struct column MATRIX_COLUMNS[] = {
    {"from_zone", "送信元", "from", false},
    {"to_zone", "宛先", "to", false},
    {"within", "領域内転送", "within", false},
    {"flows", "通信", "flows", false},
};

static json_t *flows_of_pair(const struct policy *policy, zone_index from, zone_index to) {
  json_t *array = json_array();
  for (size_t i = 0; i < policy->flow_count; i++)
    if (policy->flows[i].from_zone == from && policy->flows[i].to_zone == to)
      json_array_append_new(array, json_string(policy->flows[i].name));
  return array;
}

/* Zones in the order of the file, the gateway last. */
static zone_index matrix_zone(const struct policy *policy, size_t index) {
  return index < policy->zone_count ? (zone_index)index : ZONE_GATEWAY;
}

static json_t *matrix_rows(const struct invocation *invocation, const struct policy *policy) {
  (void)invocation;
  json_t *rows = json_array();
  for (size_t i = 0; i <= policy->zone_count; i++)
    for (size_t j = 0; j <= policy->zone_count; j++) {
      zone_index from = matrix_zone(policy, i), to = matrix_zone(policy, j);
      bool within = from == to && from >= 0 && policy->zones[from].within;
      json_array_append_new(rows, json_pack("{s:s, s:s, s:b, s:o}", "from_zone", policy_zone_name(policy, from),
                                            "to_zone", policy_zone_name(policy, to), "within", (int)within, "flows",
                                            flows_of_pair(policy, from, to)));
    }
  return rows;
}

#define VIEW(name, columns, rows)                                                                                      \
  { (name), (columns), sizeof(columns) / sizeof((columns)[0]), (rows) }

static const struct view VIEWS[] = {
    VIEW("zones", ZONE_COLUMNS, zone_rows),          VIEW("hosts", HOST_COLUMNS, host_rows),
    VIEW("flows", FLOW_COLUMNS, flow_rows),          VIEW("matrix", MATRIX_COLUMNS, matrix_rows),
    VIEW("services", SERVICE_COLUMNS, service_rows),
};
enum { VIEW_COUNT = sizeof(VIEWS) / sizeof(VIEWS[0]) };

/* ---- for a terminal ---- */

static const char *join_array(struct arena *arena, const json_t *array) {
  const char *text = "";
  for (size_t i = 0; i < json_array_size(array) && text != NULL; i++)
    text = arena_printf(arena, "%s%s%s", text, i > 0 ? ", " : "", json_string_value(json_array_get(array, i)));
  return text;
}

static const char *cell_text(struct arena *arena, enum language language, const json_t *value) {
  if (json_is_array(value))
    return json_array_size(value) > 0 ? join_array(arena, value) : "-";
  if (json_is_boolean(value))
    return json_is_true(value) ? language_choose(language, "あり", "yes") : "-";
  return json_is_string(value) ? json_string_value(value) : "-";
}

static struct table *table_of_rows(const struct invocation *invocation, enum language language, const struct view *view,
                                   const json_t *rows) {
  const char *cells[COLUMN_LIMIT];
  size_t used = 0;
  for (size_t i = 0; i < view->column_count; i++)
    if (!view->columns[i].json_only)
      cells[used++] = language_choose(language, view->columns[i].japanese, view->columns[i].english);
  struct table *table = table_new(invocation->arena, cells, used);
  for (size_t row = 0; table != NULL && row < json_array_size(rows); row++) {
    used = 0;
    for (size_t i = 0; i < view->column_count; i++)
      if (!view->columns[i].json_only)
        cells[used++] =
            cell_text(invocation->arena, language, json_object_get(json_array_get(rows, row), view->columns[i].key));
    table_add(table, cells);
  }
  return table;
}

/* One line of a row of the matrix: the line-th flow of every cell. False when no cell has so many. */
static bool matrix_line(const struct policy *policy, const json_t *rows, size_t from, size_t line, const char **cells) {
  size_t width = policy->zone_count + 1;
  bool any = line == 0;
  cells[0] = line == 0 ? policy_zone_name(policy, matrix_zone(policy, from)) : "";
  for (size_t to = 0; to < width; to++) {
    const json_t *cell = json_array_get(rows, from * width + to), *flows = json_object_get(cell, "flows");
    const char *name = json_string_value(json_array_get(flows, line));
    any = any || name != NULL;
    if (line == 0 && name == NULL)
      name = json_is_true(json_object_get(cell, "within")) ? "within" : "·";
    cells[to + 1] = name != NULL ? name : "";
  }
  return any;
}

static struct table *table_of_matrix(const struct invocation *invocation, enum language language,
                                     const struct policy *policy, const json_t *rows) {
  size_t width = policy->zone_count + 1;
  const char **cells = ARENA_ARRAY(invocation->arena, width + 1, const char *);
  if (cells == NULL)
    return NULL;
  cells[0] = language_choose(language, "送信元＼宛先", "from \\ to");
  for (size_t to = 0; to < width; to++)
    cells[to + 1] = policy_zone_name(policy, matrix_zone(policy, to));
  struct table *table = table_new(invocation->arena, cells, width + 1);
  for (size_t from = 0; table != NULL && from < width; from++)
    for (size_t line = 0; matrix_line(policy, rows, from, line, cells); line++)
      table_add(table, cells);
  return table;
}

static int print_table(const struct invocation *invocation, const struct table *table) {
  if (table == NULL || arena_failed(invocation->arena)) {
    invocation_complain(invocation, "メモリが足りません", "no memory");
    return EXIT_CODE_NO_ANSWER;
  }
  table_print(stdout, table, invocation->colour_output);
  return invocation_finish(invocation, EXIT_CODE_YES);
}

/* ---- the verb ---- */

static const struct view *find_view(const char *name) {
  for (size_t i = 0; i < VIEW_COUNT; i++)
    if (strcmp(VIEWS[i].name, name) == 0)
      return &VIEWS[i];
  return NULL;
}

static int show(const struct invocation *invocation, const struct policy_reading *reading, const struct view *view) {
  json_t *rows = view->rows(invocation, reading->policy);
  if (invocation->json)
    return invocation_print_json(
        invocation, json_pack("{s:s, s:s, s:o}", "schema", "kido.show/1", "view", view->name, view->name, rows),
        EXIT_CODE_YES);
  enum language language = reading->diagnostics.language;
  const struct table *table = strcmp(view->name, "matrix") == 0
                                  ? table_of_matrix(invocation, language, reading->policy, rows)
                                  : table_of_rows(invocation, language, view, rows);
  int code = print_table(invocation, table);
  json_decref(rows);
  return code;
}

int verb_show(const struct invocation *invocation) {
  const struct view *view = find_view(invocation->arguments[0]);
  struct policy_reading reading;
  if (view == NULL)
    return invocation_usage(invocation,
                            "show は zones, hosts, flows, matrix, services のいずれかで、「%s」ではありません",
                            "show takes zones, hosts, flows, matrix or services, not '%s'", invocation->arguments[0]);
  int code =
      invocation_read_policy(invocation, invocation->argument_count > 1 ? invocation->arguments[1] : NULL, &reading);
  if (code != EXIT_CODE_YES)
    return code;
  if (reading.policy == NULL || reading.diagnostics.errors != 0) {
    invocation_print_diagnostics(invocation, &reading.diagnostics);
    return EXIT_CODE_NO;
  }
  return show(invocation, &reading, view);
}
