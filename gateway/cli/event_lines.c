/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/event_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/instant.h"
#include "events/log.h"

static const char *const daemons[EVENT_SOURCES] = {"kidod", "kidoban"};

/* "2026-11-25T18:00:00.123456+09:00": the seconds, then the fraction. 0 when it is no time. */
static int64_t parse_time(const char *text) {
  char whole[INSTANT_TEXT_SIZE];
  struct instant instant;
  bool without_offset;
  const char *rest = strlen(text) > 19 ? text + 19 : "";
  int64_t fraction = 0, unit = 100000;
  if (*rest == '.') {
    for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10) {
      fraction += (*rest - '0') * unit;
    }
  }
  snprintf(whole, sizeof whole, "%.19s%s", text, rest);
  return instant_parse(whole, &instant, &without_offset) ? instant.seconds * 1000000 + fraction : 0;
}

static int add_line(struct event_lines *lines, size_t source, json_t *object) {
  if (lines->count == lines->capacity) {
    size_t capacity = lines->capacity ? 2 * lines->capacity : 256;
    struct event_line *items = realloc(lines->items, capacity * sizeof *items);
    if (!items) {
      json_decref(object);
      return -ENOMEM;
    }
    lines->items = items;
    lines->capacity = capacity;
  }
  const char *time = json_string_value(json_object_get(object, "time"));
  lines->items[lines->count] = (struct event_line){
      .object = object, .microseconds = time ? parse_time(time) : 0, .source = source, .position = lines->count};
  lines->count++;
  return 0;
}

/* Takes the complete lines of a block; *ret_used: their bytes. */
static int take_block(struct event_lines *lines, size_t source, const char *block, size_t size, size_t *ret_used) {
  size_t used = 0;
  int result = 0;
  for (const char *end; result == 0 && (end = memchr(block + used, '\n', size - used));) {
    size_t length = (size_t)(end - block) - used;
    json_t *object = json_loadb(block + used, length, 0, NULL);
    if (json_is_object(object)) {
      result = add_line(lines, source, object);
    } else {
      json_decref(object);
    }
    used += length + 1;
  }
  *ret_used = used;
  return result;
}

static int read_from(struct event_lines *lines, size_t source, int fd) {
  struct stat status;
  if (fstat(fd, &status) < 0) {
    return -errno;
  }
  off_t from = lines->read[source];
  if (from > status.st_size) {
    from = 0; /* it was begun anew */
  }
  if (status.st_size - from > EVENT_BYTES) {
    from = status.st_size - EVENT_BYTES;
  }
  size_t size = (size_t)(status.st_size - from), used = 0;
  char *block = malloc(size + 1);
  if (!block) {
    return -ENOMEM;
  }
  ssize_t got = pread(fd, block, size, from);
  int result = got < 0 ? -errno : take_block(lines, source, block, (size_t)got, &used);
  lines->read[source] = from + (off_t)used;
  free(block);
  return result;
}

static int read_source(struct event_lines *lines, size_t source, struct error *error) {
  char path[4096];
  snprintf(path, sizeof path, "%s/" EVENT_LOG_NAME, lines->state_directory, daemons[source]);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return errno == ENOENT ? 0 : error_set(error, errno, "%s: %s", path, strerror(errno));
  }
  int result = read_from(lines, source, fd);
  close(fd);
  return result < 0 ? error_set(error, -result, "%s: %s", path, strerror(-result)) : 0;
}

static int compare_lines(const void *left, const void *right) {
  const struct event_line *a = left, *b = right;
  if (a->microseconds != b->microseconds) {
    return a->microseconds < b->microseconds ? -1 : 1;
  }
  return a->position < b->position ? -1 : a->position > b->position;
}

static void forget(struct event_lines *lines) {
  for (size_t i = 0; i < lines->count; i++) {
    json_decref(lines->items[i].object);
  }
  lines->count = 0;
}

int event_lines_read(struct event_lines *lines, struct error *error) {
  forget(lines);
  struct stat status;
  if (stat(lines->state_directory, &status) < 0) {
    return error_set(error, errno, "%s: %s", lines->state_directory, strerror(errno));
  }
  for (size_t i = 0; i < EVENT_SOURCES; i++) {
    int result = read_source(lines, i, error);
    if (result < 0) {
      return result;
    }
  }
  if (lines->count > 0) {
    qsort(lines->items, lines->count, sizeof *lines->items, compare_lines);
  }
  return 0;
}

void event_lines_free(struct event_lines *lines) {
  forget(lines);
  free(lines->items);
  lines->items = NULL;
  lines->capacity = 0;
}
