/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "cli/answer.h"
#include "cli/event_query.h"
#include "cli/events_verify.h"
#include "cli/verb.h"

/* What is shown of the answer. */
struct filter {
  struct event_query query;
  size_t last; /* 0: all */
};

/* ---- options ---- */

/* "90s", "30m", "2h", "7d": so long ago. */
static bool parse_ago(const char *text, struct instant now, int64_t *ret_microseconds) {
  static const char units[] = "smhd";
  static const int64_t seconds[] = {1, 60, 3600, 86400};
  size_t digits = strspn(text, "0123456789");
  const char *unit = digits > 0 && digits < 8 && text[digits] != '\0' ? strchr(units, text[digits]) : NULL;
  if (!unit || text[digits + 1] != '\0') {
    return false;
  }
  *ret_microseconds = (now.seconds - (int64_t)strtoull(text, NULL, 10) * seconds[unit - units]) * 1000000;
  return true;
}

/* A date is its first moment in Japan, as dates of a policy are. */
static bool parse_date(const struct invocation *invocation, const char *text, int64_t *ret_microseconds) {
  int year, month, day;
  const struct timezone *tokyo = timezone_load(invocation->arena, "Asia/Tokyo");
  if (!tokyo || !date_parse(text, &year, &month, &day)) {
    return false;
  }
  *ret_microseconds = timezone_instant(tokyo, year, month, day, 0, 0, 0).seconds * 1000000;
  return true;
}

static int read_time(const struct invocation *invocation, const char *option, int64_t *ret_microseconds) {
  const char *text = invocation_value(invocation, option);
  struct instant instant;
  bool without_offset;
  if (!text || parse_ago(text, invocation->now, ret_microseconds) || parse_date(invocation, text, ret_microseconds)) {
    return EXIT_CODE_YES;
  }
  if (instant_parse(text, &instant, &without_offset)) {
    *ret_microseconds = instant.seconds * 1000000;
    return EXIT_CODE_YES;
  }
  return invocation_usage(invocation, "--%s は 2h、7d、2026-11-24、2026-11-24T10:00:00+09:00 のように書きます: %s",
                          "--%s is written like 2h, 7d, 2026-11-24 or 2026-11-24T10:00:00+09:00, not %s", option, text);
}

static int read_last(const struct invocation *invocation, size_t *ret_last) {
  const char *last = invocation_value(invocation, "last");
  char *end = NULL;
  *ret_last = last ? strtoul(last, &end, 10) : 0;
  if (last && (*end != '\0' || last[0] < '1' || last[0] > '9')) {
    return invocation_usage(invocation, "--last は件数です: %s", "--last is a number, not %s", last);
  }
  return EXIT_CODE_YES;
}

static int read_severity(const struct invocation *invocation, enum event_severity *ret_least) {
  const char *severity = invocation_value(invocation, "severity");
  *ret_least = EVENT_INFO;
  if (severity && !event_severity_parse(severity, ret_least)) {
    return invocation_usage(invocation, "--severity は critical, warning, notice, info のいずれかです: %s",
                            "--severity is critical, warning, notice or info, not %s", severity);
  }
  return EXIT_CODE_YES;
}

static const char *const *read_kinds(const struct invocation *invocation) {
  size_t count = 0;
  while (invocation_value_at(invocation, "kind", count)) {
    count++;
  }
  const char **kinds = count > 0 ? ARENA_ARRAY(invocation->arena, count + 1, const char *) : NULL;
  for (size_t i = 0; kinds && i < count; i++) {
    kinds[i] = invocation_value_at(invocation, "kind", i);
  }
  return kinds;
}

static int read_filter(const struct invocation *invocation, struct filter *ret_filter) {
  struct filter filter = {.query = {.kinds = read_kinds(invocation), .zone = invocation_value(invocation, "zone")}};
  int code = read_severity(invocation, &filter.query.least);
  if (code == EXIT_CODE_YES) {
    code = read_last(invocation, &filter.last);
  }
  if (code == EXIT_CODE_YES) {
    code = read_time(invocation, "since", &filter.query.since);
  }
  if (code == EXIT_CODE_YES) {
    code = read_time(invocation, "until", &filter.query.until);
  }
  if (code == EXIT_CODE_YES && invocation_has(invocation, "open") && invocation_has(invocation, "follow")) {
    code = invocation_usage(invocation, "--open と --follow は共に使えません", "--open does not go with --follow");
  }
  *ret_filter = filter;
  return code;
}

/* ---- printing ---- */

static const char *colour_of(const char *severity) {
  static const char *const colours[] = {
      [EVENT_CRITICAL] = "\033[1;31m", [EVENT_WARNING] = "\033[33m", [EVENT_NOTICE] = "\033[36m", [EVENT_INFO] = ""};
  enum event_severity known = EVENT_INFO;
  event_severity_parse(severity, &known);
  return colours[known];
}

/* "kidoban-42", as kido ack takes it: the daemon and the sequence of the first record. Only of what wants an answer. */
static const char *handle_of(struct arena *arena, const json_t *event) {
  const char *id = answer_text(event, "id"), *first = strchr(id, '-'), *last = strrchr(id, '-');
  enum event_severity severity = EVENT_INFO;
  event_severity_parse(answer_text(event, "severity"), &severity);
  if (severity > EVENT_WARNING || !first) {
    return "";
  }
  const char *handle = arena_printf(arena, "  [%.*s%s]", (int)(first - id), id, last);
  return handle ? handle : "";
}

/* Everything in an event may come from a wire. */
static void print_line(const struct invocation *invocation, const json_t *event) {
  struct arena *arena = arena_new(0);
  if (!arena) {
    return;
  }
  const char *severity = answer_text(event, "severity"), *zone = answer_text(event, "zone");
  const char *other = answer_text(event, "other_zone");
  const char *kind = answer_text(event, "kind");
  bool moves = strcmp(kind, "crossing") == 0 || strcmp(kind, "attempt") == 0; /* from one to the other */
  const char *line = arena_printf(arena, "%.19s %-8s %s%s%s%s%s  %s%s", answer_text(event, "time"), severity, kind,
                                  zone[0] ? " " : "", zone, other[0] ? (moves ? "→" : "/") : "", other,
                                  answer_text(event, "message"), handle_of(arena, event));
  const char *escaped = line ? text_escape(arena, line) : NULL;
  printf("%s%s%s\n", invocation->colour_output ? colour_of(severity) : "", escaped ? escaped : "",
         invocation->colour_output ? "\033[0m" : "");
  arena_free(arena);
}

static int print_event(const struct invocation *invocation, json_t *event) {
  if (invocation->json) {
    return invocation_print_json_line(invocation, json_incref(event), EXIT_CODE_YES);
  }
  print_line(invocation, event);
  return EXIT_CODE_YES;
}

static int print_hits(const struct invocation *invocation, const struct event_hits *hits, size_t last) {
  size_t first = last > 0 && hits->count > last ? hits->count - last : 0;
  int code = EXIT_CODE_YES;
  for (size_t i = first; i < hits->count && code == EXIT_CODE_YES; i++) {
    json_t *event = event_hit_object(&hits->items[i]);
    code = event ? print_event(invocation, event) : code;
    json_decref(event);
  }
  return code == EXIT_CODE_YES ? invocation_finish(invocation, code) : code;
}

/* ---- asking ---- */

static int complain(const struct invocation *invocation, const struct error *error) {
  invocation_complain(invocation, "事象を読めません: %s", "cannot read the events: %s", error->message);
  return EXIT_CODE_NO_ANSWER;
}

static int show(const struct invocation *invocation, const struct filter *filter, struct event_hits *hits) {
  struct error error = {0};
  struct event_query query = filter->query;
  query.last = filter->last;
  int result = invocation_has(invocation, "open")
                   ? event_hits_ask_open(invocation->state_directory, &filter->query, hits, &error)
                   : event_hits_ask(invocation->state_directory, &query, hits, &error);
  return result < 0 ? complain(invocation, &error) : print_hits(invocation, hits, filter->last);
}

static int follow(const struct invocation *invocation, const struct filter *filter, struct event_hits *hits) {
  static const struct timespec pause = {.tv_nsec = 200000000L};
  int code = EXIT_CODE_YES;
  while (code == EXIT_CODE_YES) {
    struct error error = {0};
    nanosleep(&pause, NULL);
    event_hits_forget(hits);
    code = event_hits_ask_news(invocation->state_directory, &filter->query, hits, &error) < 0
               ? complain(invocation, &error)
               : print_hits(invocation, hits, 0);
  }
  return code;
}

int verb_events(const struct invocation *invocation) {
  if (invocation_has(invocation, "verify-chain")) {
    return events_verify(invocation);
  }
  if (invocation_has(invocation, "anchor")) {
    return invocation_usage(invocation, "--anchor は --verify-chain と共に使います",
                            "--anchor goes with --verify-chain");
  }
  struct filter filter = {0};
  int code = read_filter(invocation, &filter);
  if (code != EXIT_CODE_YES) {
    return code;
  }
  struct event_hits hits = {.items = NULL};
  code = show(invocation, &filter, &hits);
  if (code == EXIT_CODE_YES && invocation_has(invocation, "follow")) {
    code = follow(invocation, &filter, &hits);
  }
  event_hits_free(&hits);
  return code;
}
