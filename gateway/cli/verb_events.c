/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "cli/answer.h"
#include "cli/event_lines.h"
#include "cli/events_verify.h"
#include "cli/verb.h"

static const char *const severities[] = {"critical", "warning", "notice", "info"};

enum { SEVERITY_COUNT = sizeof severities / sizeof severities[0] };

struct filter {
  size_t least; /* index into severities: this one and those before it */
  size_t last;  /* 0: all */
};

static size_t severity_index(const char *name) {
  size_t i = 0;
  while (i < SEVERITY_COUNT && strcmp(severities[i], name) != 0) {
    i++;
  }
  return i;
}

static int read_filter(const struct invocation *invocation, struct filter *ret_filter) {
  const char *severity = invocation_value(invocation, "severity"), *last = invocation_value(invocation, "last");
  struct filter filter = {.least = SEVERITY_COUNT - 1};
  if (severity && (filter.least = severity_index(severity)) == SEVERITY_COUNT) {
    return invocation_usage(invocation, "--severity は critical, warning, notice, info のいずれかです: %s",
                            "--severity is critical, warning, notice or info, not %s", severity);
  }
  char *end = NULL;
  filter.last = last ? strtoul(last, &end, 10) : 0;
  if (last && (*end != '\0' || last[0] < '1' || last[0] > '9')) {
    return invocation_usage(invocation, "--last は件数です: %s", "--last is a number, not %s", last);
  }
  *ret_filter = filter;
  return EXIT_CODE_YES;
}

static bool kind_wanted(const struct invocation *invocation, const char *kind) {
  const char *wanted;
  for (size_t n = 0; (wanted = invocation_value_at(invocation, "kind", n)); n++) {
    if (strcmp(wanted, kind) == 0) {
      return true;
    }
  }
  return !invocation_has(invocation, "kind");
}

static bool passes(const struct invocation *invocation, const struct filter *filter, const json_t *event) {
  size_t severity = severity_index(answer_text(event, "severity"));
  return (severity == SEVERITY_COUNT || severity <= filter->least) &&
         kind_wanted(invocation, answer_text(event, "kind"));
}

static const char *colour_of(const char *severity) {
  static const char *const colours[] = {"\033[1;31m", "\033[33m", "\033[36m", "", ""};
  return colours[severity_index(severity)];
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
  const char *line =
      arena_printf(arena, "%.19s %-8s %s%s%s%s%s  %s", answer_text(event, "time"), severity, kind, zone[0] ? " " : "",
                   zone, other[0] ? (moves ? "→" : "/") : "", other, answer_text(event, "message"));
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

static int print_lines(const struct invocation *invocation, const struct filter *filter,
                       const struct event_lines *lines) {
  size_t wanted = 0;
  for (size_t i = 0; i < lines->count; i++) {
    wanted += passes(invocation, filter, lines->items[i].object);
  }
  size_t skip = filter->last > 0 && wanted > filter->last ? wanted - filter->last : 0;
  int code = EXIT_CODE_YES;
  for (size_t i = 0; i < lines->count && code == EXIT_CODE_YES; i++) {
    if (passes(invocation, filter, lines->items[i].object) && (skip == 0 || skip-- == 0)) {
      code = print_event(invocation, lines->items[i].object);
    }
  }
  return code == EXIT_CODE_YES ? invocation_finish(invocation, code) : code;
}

static int run(const struct invocation *invocation, struct filter *filter, struct event_lines *lines) {
  static const struct timespec pause = {.tv_nsec = 200000000L};
  int code = EXIT_CODE_YES;
  for (bool again = true; again && code == EXIT_CODE_YES;) {
    struct error error = {0};
    if (event_lines_read(lines, &error) < 0) {
      invocation_complain(invocation, "事象を読めません: %s", "cannot read the events: %s", error.message);
      return EXIT_CODE_NO_ANSWER;
    }
    code = print_lines(invocation, filter, lines);
    filter->last = 0;
    again = invocation_has(invocation, "follow");
    if (again) {
      nanosleep(&pause, NULL);
    }
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
  struct event_lines lines = {.state_directory = invocation->state_directory};
  code = run(invocation, &filter, &lines);
  event_lines_free(&lines);
  return code;
}
