/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_EVENT_LINES_H
#define KIDO_CLI_EVENT_LINES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/error.h"

/* The events of both daemons, from their files in the state directory, in order of time. */
struct event_line {
  json_t *object;       /* owned by the list */
  int64_t microseconds; /* its time */
  size_t source, position;
};

enum { EVENT_SOURCES = 2 };

struct event_lines {
  const char *state_directory;
  off_t read[EVENT_SOURCES]; /* how far each file was read */
  struct event_line *items;
  size_t count, capacity;
};

/*
 * Reads what came since the last call (at first: at most the last EVENT_BYTES of each file) in place of what was there.
 * A file that is not there is empty. Lines that are not JSON objects are skipped. 0 or a negative errno with *error.
 */
enum { EVENT_BYTES = 64 * 1024 * 1024 };
int event_lines_read(struct event_lines *lines, struct error *error);
void event_lines_free(struct event_lines *lines);

#endif
