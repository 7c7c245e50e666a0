/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/alert_print.h"

#include <string.h>

#include "base/text.h"

static const struct {
  const char *japanese, *english, *colour;
} SEVERITIES[] = {
    [EVENT_CRITICAL] = {"緊急", "CRITICAL", "\033[1;31m"},
    [EVENT_WARNING] = {"警告", "WARNING", "\033[33m"},
    [EVENT_NOTICE] = {"注意", "NOTICE", "\033[36m"},
    [EVENT_INFO] = {"情報", "INFO", ""},
};

/* That it ended, the message says. */
static const char *state_of(const struct event *event, enum language language) {
  return event->still_going && event->count > 1 ? language_choose(language, " 継続中", " goes on") : "";
}

static void print_line(FILE *stream, struct arena *arena, const char *lead, const char *text) {
  const char *escaped = text != NULL ? text_escape(arena, text) : NULL;
  if (escaped != NULL)
    fprintf(stream, "%s%s\n", lead, escaped);
}

void alert_print(FILE *stream, const struct event *event, const struct timezone *timezone, enum language language,
                 bool colour) {
  char time[EVENT_TIME_TEXT_SIZE];
  event_time_format(&event->time, timezone, time);
  time[strlen("2026-11-24T10:00:00")] = '\0';
  const char *word =
      language_choose(language, SEVERITIES[event->severity].japanese, SEVERITIES[event->severity].english);
  struct arena *arena = arena_new(0);
  if (arena == NULL)
    return;
  fprintf(stream, "%s %s%s%s %s%s\n", time, colour ? SEVERITIES[event->severity].colour : "", word,
          colour ? "\033[0m" : "", event->kind, state_of(event, language));
  print_line(stream, arena, "  ", event->message);
  if (event->still_going && event->count <= 1)
    print_line(stream, arena, "  → ", event->what_to_do);
  fflush(stream);
  arena_free(arena);
}
