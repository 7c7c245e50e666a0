/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation. Counters of kidod are looked at twice; what lies between is what flows now. One look gives the
 * object kido.top/1: the busiest flows, the same by zone pair, flows in force that nobody has used, what is being
 * denied, and from the watchman's events who keeps trying. The screen is that object, printed.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/event_query.h"

enum { SHOWN = 15, LISTED = 1000, TALKER_LIMIT = 4096 };

static const char *text_of(const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

/* ---- rates ---- */

/* Counters may have begun anew in between. */
static double rate(const json_t *before, const json_t *after, const char *key, double seconds) {
  int64_t grown = answer_number(after, key) - (before ? answer_number(before, key) : answer_number(after, key));
  return grown > 0 ? (double)grown / seconds : 0;
}

/* Where a line of the first look is found again: by its names. */
static const char *line_name(struct arena *arena, const json_t *line) {
  const char *parts[] = {text_of(line, "flow"), text_of(line, "from_zone"), text_of(line, "to_zone"),
                         text_of(line, "reason")};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    parts[i] = parts[i] ? parts[i] : "";
  }
  const char *name = arena_printf(arena, "%s %s %s %s", parts[0], parts[1], parts[2], parts[3]);
  return name ? name : "";
}

/* Lines by name; a new reference. */
static json_t *index_lines(struct arena *arena, const json_t *lines) {
  json_t *index = json_object();
  size_t i;
  json_t *line;
  json_array_foreach(lines, i, line) {
    json_object_set(index, line_name(arena, line), line);
  }
  return index;
}

/* Adds packets_per_second and bytes_per_second to each line of `after`. */
static void add_rates(struct arena *arena, const json_t *before, const json_t *after, double seconds) {
  json_t *index = index_lines(arena, before);
  size_t i;
  json_t *line;
  json_array_foreach(after, i, line) {
    const json_t *old = json_object_get(index, line_name(arena, line));
    json_object_set_new(line, "packets_per_second", json_real(rate(old, line, "packets", seconds)));
    json_object_set_new(line, "bytes_per_second", json_real(rate(old, line, "bytes", seconds)));
  }
  json_decref(index);
}

/* ---- lists ---- */

static double rate_of(const json_t *line, const char *key) {
  return json_real_value(json_object_get(line, key));
}

static int busier(const void *left, const void *right) {
  const json_t *a = *(json_t *const *)left, *b = *(json_t *const *)right;
  double x = rate_of(a, "bytes_per_second"), y = rate_of(b, "bytes_per_second");
  if (x != y) {
    return x > y ? -1 : 1;
  }
  int64_t m = answer_number(a, "count") + answer_number(a, "packets"),
          n = answer_number(b, "count") + answer_number(b, "packets");
  return m == n ? 0 : (m > n ? -1 : 1);
}

/* The lines that `wanted` likes, the busiest first, at most LISTED; a new reference. */
static json_t *sorted(struct arena *arena, const json_t *lines, bool (*wanted)(const json_t *line)) {
  json_t **items = ARENA_ARRAY(arena, json_array_size(lines) + 1, json_t *);
  json_t *result = json_array();
  size_t i, count = 0;
  json_t *line;
  json_array_foreach(lines, i, line) {
    if (items && (!wanted || wanted(line))) {
      items[count++] = line;
    }
  }
  if (items) {
    qsort(items, count, sizeof(json_t *), busier);
  }
  for (i = 0; i < count && i < LISTED; i++) {
    json_array_append(result, items[i]);
  }
  return result;
}

static bool is_moving(const json_t *line) {
  return rate_of(line, "packets_per_second") > 0;
}

static bool is_dead(const json_t *flow) {
  return json_is_true(json_object_get(flow, "in_force")) && answer_number(flow, "packets") == 0 &&
         json_is_null(json_object_get(flow, "last_seen"));
}

/* Flows added up by zone pair. */
static json_t *pairs_of(struct arena *arena, const json_t *flows) {
  json_t *pairs = json_array(), *index = json_object();
  size_t i;
  json_t *flow;
  json_array_foreach(flows, i, flow) {
    const char *from = text_of(flow, "from_zone"), *to = text_of(flow, "to_zone");
    const char *name = arena_printf(arena, "%s %s", from ? from : "-", to ? to : "-");
    json_t *pair = name ? json_object_get(index, name) : NULL;
    if (!pair && name) {
      pair = json_pack("{s:s?, s:s?, s:I, s:f, s:f}", "from_zone", from, "to_zone", to, "connections", (json_int_t)0,
                       "packets_per_second", 0.0, "bytes_per_second", 0.0);
      json_object_set(index, name, pair);
      json_array_append_new(pairs, pair);
    }
    json_object_set_new(pair, "connections",
                        json_integer(answer_number(pair, "connections") + answer_number(flow, "connections")));
    for (size_t k = 0; k < 2; k++) {
      const char *key = k == 0 ? "packets_per_second" : "bytes_per_second";
      json_object_set_new(pair, key, json_real(rate_of(pair, key) + rate_of(flow, key)));
    }
  }
  json_decref(index);
  return pairs;
}

/* ---- who keeps trying ---- */

static const char *const TRYING[] = {"attempt", "spoofed", "crossing", "disguised-crossing", "bypass", NULL};

/* An event is told again under the same id while it goes on: only its last record counts. */
static json_t *last_records(const struct event_hits *hits) {
  json_t *records = json_object();
  for (size_t i = 0; i < hits->count; i++) {
    json_t *event = event_hit_object(&hits->items[i]);
    const char *id = text_of(event, "id");
    if (id && text_of(event, "src") && (json_object_size(records) < TALKER_LIMIT || json_object_get(records, id))) {
      json_object_set(records, id, event);
    }
    json_decref(event);
  }
  return records;
}

static json_t *talkers_of(const json_t *records) {
  json_t *talkers = json_array(), *index = json_object();
  const char *id;
  json_t *event;
  json_object_foreach((json_t *)(uintptr_t)records, id, event) {
    const char *source = text_of(event, "src");
    json_t *talker = json_object_get(index, source);
    if (!talker) {
      talker = json_pack("{s:s, s:s?, s:I, s:I, s:s?}", "src", source, "zone", text_of(event, "zone"), "causes",
                         (json_int_t)0, "count", (json_int_t)0, "last_seen", text_of(event, "last_seen"));
      json_object_set(index, source, talker);
      json_array_append_new(talkers, talker);
    }
    const char *seen = text_of(event, "last_seen"), *latest = text_of(talker, "last_seen");
    json_object_set_new(talker, "causes", json_integer(answer_number(talker, "causes") + 1));
    json_object_set_new(talker, "count", json_integer(answer_number(talker, "count") + answer_number(event, "count")));
    if (seen && (!latest || strcmp(seen, latest) > 0)) {
      json_object_set_new(talker, "last_seen", json_string(seen));
    }
  }
  json_decref(index);
  return talkers;
}

static json_t *read_talkers(const struct invocation *invocation) {
  const struct event_query query = {.least = EVENT_INFO, .kinds = TRYING};
  struct event_hits hits = {.items = NULL};
  struct error error = {0};
  json_t *talkers = json_array();
  if (event_hits_ask(invocation->state_directory, &query, &hits, &error) == 0) {
    json_t *records = last_records(&hits);
    json_decref(talkers);
    talkers = talkers_of(records);
    json_decref(records);
  }
  event_hits_free(&hits);
  return talkers;
}

/* ---- the object ---- */

static json_t *measure(const struct invocation *invocation, const json_t *before, const json_t *after, double seconds) {
  struct arena *arena = invocation->arena;
  json_t *flows = json_object_get(after, "flows"), *denied = json_object_get(after, "denied");
  add_rates(arena, json_object_get(before, "flows"), flows, seconds);
  add_rates(arena, json_object_get(before, "denied"), denied, seconds);
  json_t *pairs = pairs_of(arena, flows), *talkers = read_talkers(invocation);
  json_t *top = json_pack("{s:s, s:f, s:o, s:o, s:o, s:o, s:o, s:O?}", "schema", "kido.top/1", "seconds", seconds,
                          "pairs", sorted(arena, pairs, is_moving), "flows", sorted(arena, flows, is_moving), "dead",
                          sorted(arena, flows, is_dead), "denied", sorted(arena, denied, is_moving), "talkers",
                          sorted(arena, talkers, NULL), "language", json_object_get(after, "language"));
  json_decref(pairs);
  json_decref(talkers);
  return top;
}

/* ---- the screen ---- */

enum cell { CELL_TEXT, CELL_RATE, CELL_NUMBER };

struct column {
  const char *key;
  enum cell cell;
  const char *japanese, *english;
};

struct section {
  const char *key, *japanese, *english;
  struct column columns[6];
};

static const struct section sections[] = {
    {"pairs",
     "領域の間",
     "Between zones",
     {{"from_zone", CELL_TEXT, "送信元", "FROM"},
      {"to_zone", CELL_TEXT, "宛先", "TO"},
      {"packets_per_second", CELL_RATE, ">パケット/秒", ">PACKETS/S"},
      {"bytes_per_second", CELL_RATE, ">バイト/秒", ">BYTES/S"},
      {"connections", CELL_NUMBER, ">接続", ">CONN"}}},
    {"flows",
     "通信",
     "Flows",
     {{"flow", CELL_TEXT, "通信", "FLOW"},
      {"packets_per_second", CELL_RATE, ">パケット/秒", ">PACKETS/S"},
      {"bytes_per_second", CELL_RATE, ">バイト/秒", ">BYTES/S"},
      {"connections", CELL_NUMBER, ">接続", ">CONN"},
      {"purpose", CELL_TEXT, "目的", "PURPOSE"}}},
    {"denied",
     "いま拒否している通信",
     "Being denied",
     {{"from_zone", CELL_TEXT, "送信元", "FROM"},
      {"to_zone", CELL_TEXT, "宛先", "TO"},
      {"reason", CELL_TEXT, "理由", "REASON"},
      {"packets_per_second", CELL_RATE, ">パケット/秒", ">PACKETS/S"},
      {"packets", CELL_NUMBER, ">累計", ">IN ALL"}}},
    {"talkers",
     "許可のない通信を試みている機器",
     "Who keeps trying",
     {{"src", CELL_TEXT, "送信元", "SOURCE"},
      {"zone", CELL_TEXT, "領域", "ZONE"},
      {"causes", CELL_NUMBER, ">件", ">EVENTS"},
      {"count", CELL_NUMBER, ">回", ">TIMES"},
      {"last_seen", CELL_TEXT, "最後", "LAST"}}},
    {"dead",
     "有効なのに使われていない通信",
     "In force and never used",
     {{"flow", CELL_TEXT, "通信", "FLOW"},
      {"from_zone", CELL_TEXT, "送信元", "FROM"},
      {"to_zone", CELL_TEXT, "宛先", "TO"},
      {"purpose", CELL_TEXT, "目的", "PURPOSE"}}},
};

static const char *cell_text(struct arena *arena, const json_t *line, const struct column *column) {
  switch (column->cell) {
  case CELL_RATE:
    return arena_printf(arena, "%.1f", rate_of(line, column->key));
  case CELL_NUMBER:
    return arena_printf(arena, "%" PRId64, answer_number(line, column->key));
  case CELL_TEXT:
    break;
  }
  const char *text = text_of(line, column->key);
  return text ? text : "-";
}

static void print_section(const struct invocation *invocation, const struct section *section, const json_t *lines,
                          enum language language) {
  enum { COLUMNS = sizeof section->columns / sizeof section->columns[0] };
  const char *cells[COLUMNS];
  size_t columns = 0, i;
  for (; columns < COLUMNS && section->columns[columns].key; columns++) {
    cells[columns] = language_choose(language, section->columns[columns].japanese, section->columns[columns].english);
  }
  struct table *table = table_new(invocation->arena, cells, columns);
  json_t *line;
  json_array_foreach(lines, i, line) {
    for (size_t k = 0; i < SHOWN && k < columns; k++) {
      cells[k] = cell_text(invocation->arena, line, &section->columns[k]);
    }
    if (i < SHOWN) {
      table_add(table, cells);
    }
  }
  size_t count = json_array_size(lines);
  printf("%s (%zu)\n", language_choose(language, section->japanese, section->english), count);
  if (count > 0) {
    table_print(stdout, table, invocation->colour_output);
  }
  putchar('\n');
}

static int show(const struct invocation *invocation, json_t *top) {
  if (invocation->json) {
    return invocation_print_json_line(invocation, top, EXIT_CODE_YES);
  }
  enum language language = client_language(invocation, top);
  if (isatty(STDOUT_FILENO) == 1 && !invocation_has(invocation, "once")) {
    fputs("\033[H\033[2J", stdout);
  }
  for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
    print_section(invocation, &sections[i], json_object_get(top, sections[i].key), language);
  }
  json_decref(top);
  return invocation_finish(invocation, EXIT_CODE_YES);
}

/* ---- looking ---- */

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int look(const struct invocation *invocation, json_t **ret_body, double *ret_at) {
  int code = client_ask_flows(invocation, ret_body);
  *ret_at = now();
  return code;
}

int verb_top(const struct invocation *invocation) {
  static const struct timespec pauses[] = {{.tv_sec = 2}, {.tv_sec = 1}};
  bool once = invocation_has(invocation, "once");
  json_t *before = NULL;
  double before_at = 0;
  int code = look(invocation, &before, &before_at);
  while (code == EXIT_CODE_YES) {
    struct invocation each = *invocation;
    json_t *after = NULL;
    double after_at = 0;
    nanosleep(&pauses[once], NULL);
    each.arena = arena_new(0);
    code = each.arena ? look(&each, &after, &after_at) : EXIT_CODE_NO_ANSWER;
    if (code == EXIT_CODE_YES) {
      code = show(&each, measure(&each, before, after, after_at - before_at));
    }
    arena_free(each.arena);
    json_decref(before);
    before = after;
    before_at = after_at;
    if (once) {
      break;
    }
  }
  json_decref(before);
  return code;
}
