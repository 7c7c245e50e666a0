/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <string.h>

#include "cli/client.h"

static const char *text_of(const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

static const char *number_of(struct arena *arena, const json_t *object, const char *key) {
  return arena_printf(arena, "%" PRId64, (int64_t)json_integer_value(json_object_get(object, key)));
}

static bool is_zero(const json_t *object, const char *key) {
  return json_integer_value(json_object_get(object, key)) == 0;
}

static const char *state_label(enum language language, const json_t *flow) {
  static const struct {
    const char *name, *japanese, *english;
  } labels[] = {{"in-force", "有効", "in force"},
                {"expired", "期限切れ", "expired"},
                {"outside-window", "時間外", "outside window"}};
  const char *state = text_of(flow, "state");
  for (size_t i = 0; state && i < sizeof labels / sizeof labels[0]; i++) {
    if (strcmp(labels[i].name, state) == 0) {
      return language_choose(language, labels[i].japanese, labels[i].english);
    }
  }
  return "";
}

static void print_flows(const struct invocation *invocation, enum language language, const json_t *flows) {
  static const char *const japanese[] = {"通信", "送信元", "宛先", "状態", ">パケット", ">バイト", ">接続", "目的"};
  static const char *const english[] = {"FLOW", "FROM", "TO", "STATE", ">PACKETS", ">BYTES", ">CONN", "PURPOSE"};
  struct table *table = table_new(invocation->arena, language == LANGUAGE_JAPANESE ? japanese : english, 8);
  size_t index;
  json_t *flow;
  json_array_foreach(flows, index, flow) {
    const char *cells[] = {text_of(flow, "flow"),
                           text_of(flow, "from_zone"),
                           text_of(flow, "to_zone"),
                           state_label(language, flow),
                           number_of(invocation->arena, flow, "packets"),
                           number_of(invocation->arena, flow, "bytes"),
                           number_of(invocation->arena, flow, "connections"),
                           text_of(flow, "purpose")};
    table_add(table, cells);
  }
  table_print(stdout, table, invocation->colour_output);
}

static const char *zone_of(const json_t *object, const char *key) {
  const char *name = text_of(object, key);
  return name ? name : "-";
}

static void print_denied(const struct invocation *invocation, enum language language, const json_t *denied) {
  static const char *const japanese[] = {"送信元", "宛先", "理由", ">パケット", ">バイト"};
  static const char *const english[] = {"FROM", "TO", "REASON", ">PACKETS", ">BYTES"};
  struct table *table = table_new(invocation->arena, language == LANGUAGE_JAPANESE ? japanese : english, 5);
  size_t index, shown = 0;
  json_t *line;
  json_array_foreach(denied, index, line) {
    if (is_zero(line, "packets") && !invocation_has(invocation, "all")) {
      continue;
    }
    const char *cells[] = {zone_of(line, "from_zone"), zone_of(line, "to_zone"), text_of(line, "reason"),
                           number_of(invocation->arena, line, "packets"), number_of(invocation->arena, line, "bytes")};
    table_add(table, cells);
    shown++;
  }
  printf("\n%s\n", language_choose(language, "拒否した通信", "Denied"));
  if (shown > 0) {
    table_print(stdout, table, invocation->colour_output);
  } else {
    printf("%s\n", language_choose(language, "(なし)", "(none)"));
  }
}

int verb_flows(const struct invocation *invocation) {
  json_t *body = NULL;
  int code = client_ask_flows(invocation, &body);
  if (code != EXIT_CODE_YES) {
    return code;
  }
  if (invocation->json) {
    return invocation_print_json(invocation, body, EXIT_CODE_YES);
  }
  enum language language = client_language(invocation, body);
  if (!invocation_has(invocation, "denied")) {
    print_flows(invocation, language, json_object_get(body, "flows"));
  }
  print_denied(invocation, language, json_object_get(body, "denied"));
  json_decref(body);
  return invocation_finish(invocation, EXIT_CODE_YES);
}
