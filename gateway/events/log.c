/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
  OUTPUT_LIMIT = 4,
  TAIL_SIZE = 64 * 1024,
  NAME_SIZE = 24,
  LOG_MODE = 0640,
  LOG_PATH_SIZE = 4096,
  WAITING_MAX = 1024 * 1024
};

/* What could not be written waits, in order: the rest of a line first, if part of it was written. */
struct output {
  int descriptor;
  bool owned;
  char *waiting; /* NULL when waiting_size is 0 */
  size_t waiting_size;
};

struct event_log {
  char daemon[NAME_SIZE];
  uint64_t started; /* makes ids unique without the file */
  uint64_t sequence;
  uint64_t failures, lost;
  struct output outputs[OUTPUT_LIMIT];
  size_t output_count;
};

static int add_output(struct event_log *log, int descriptor, bool owned, struct error *error) {
  if (log->output_count == OUTPUT_LIMIT) {
    if (owned)
      close(descriptor);
    return error_set(error, ENOSPC, "too many outputs for events");
  }
  log->outputs[log->output_count++] = (struct output){.descriptor = descriptor, .owned = owned};
  return 0;
}

static uint64_t sequence_of(const char *line, size_t length) {
  json_t *record = json_loadb(line, length, 0, NULL);
  json_int_t sequence = json_integer_value(json_object_get(record, "sequence"));
  json_decref(record);
  return sequence > 0 ? (uint64_t)sequence : 0;
}

/* The last newline before `end`, or NULL. */
static char *line_end_before(char *text, char *end) {
  return end > text ? memrchr(text, '\n', (size_t)(end - text)) : NULL;
}

/* Takes the sequence from the last whole line and cuts off what stands behind it. */
static int resume(struct event_log *log, int descriptor, struct error *error) {
  off_t size = lseek(descriptor, 0, SEEK_END);
  off_t start = size > TAIL_SIZE ? size - TAIL_SIZE : 0;
  char *tail = malloc(TAIL_SIZE);
  if (size < 0 || tail == NULL) {
    free(tail);
    return error_set(error, size < 0 ? errno : ENOMEM, "the event log cannot be read");
  }
  ssize_t got = pread(descriptor, tail, (size_t)(size - start), start);
  char *last = got > 0 ? line_end_before(tail, tail + got) : NULL;
  if (last != NULL) {
    char *before = line_end_before(tail, last);
    char *line = before != NULL ? before + 1 : tail;
    log->sequence = sequence_of(line, (size_t)(last - line));
  }
  off_t whole = last != NULL ? start + (last - tail) + 1 : start;
  free(tail);
  if (got < 0 || (whole < size && ftruncate(descriptor, whole) < 0))
    return error_set(error, errno, "the event log cannot be read");
  return 0;
}

static int open_own_file(struct event_log *log, const char *directory, struct error *error) {
  char path[LOG_PATH_SIZE];
  int length = snprintf(path, sizeof path, "%s/" EVENT_LOG_NAME, directory, log->daemon);
  if (length < 0 || (size_t)length >= sizeof path)
    return error_set(error, ENAMETOOLONG, "%s", directory);
  int descriptor = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, LOG_MODE);
  if (descriptor < 0)
    return error_set(error, errno, "%s: %s", path, strerror(errno));
  int result = resume(log, descriptor, error);
  if (result < 0) {
    close(descriptor);
    return result;
  }
  return add_output(log, descriptor, true, error);
}

int event_log_open(const char *state_directory, const char *daemon, struct event_log **ret_log, struct error *error) {
  struct event_log *log = calloc(1, sizeof *log);
  if (log == NULL)
    return error_set(error, ENOMEM, "no memory for the event log");
  struct timespec now = {0};
  clock_gettime(CLOCK_REALTIME, &now);
  log->started = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
  snprintf(log->daemon, sizeof log->daemon, "%s", daemon);
  int result = state_directory != NULL ? open_own_file(log, state_directory, error) : 0;
  if (result < 0) {
    event_log_close(log);
    return result;
  }
  *ret_log = log;
  return 0;
}

int event_log_add(struct event_log *log, const char *path, struct error *error) {
  if (strcmp(path, "-") == 0)
    return add_output(log, STDOUT_FILENO, false, error);
  int descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, LOG_MODE);
  if (descriptor < 0)
    return error_set(error, errno, "%s: %s", path, strerror(errno));
  return add_output(log, descriptor, true, error);
}

struct event_log *event_log_close(struct event_log *log) {
  for (size_t i = 0; log != NULL && i < log->output_count; i++) {
    if (log->outputs[i].owned)
      close(log->outputs[i].descriptor);
    free(log->outputs[i].waiting);
  }
  free(log);
  return NULL;
}

/* *ret_written is set on failure too. */
static int write_bytes(int descriptor, const char *data, size_t length, size_t *ret_written) {
  *ret_written = 0;
  while (*ret_written < length) {
    ssize_t written = write(descriptor, data + *ret_written, length - *ret_written);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return written < 0 ? -errno : -EIO;
    *ret_written += (size_t)written;
  }
  return 0;
}

static int write_waiting(struct output *output) {
  size_t written = 0;
  int result = write_bytes(output->descriptor, output->waiting, output->waiting_size, &written);
  output->waiting_size -= written;
  memmove(output->waiting, output->waiting + written, output->waiting_size);
  if (output->waiting_size == 0) {
    free(output->waiting);
    output->waiting = NULL;
  }
  return result;
}

static bool let_wait(struct output *output, const char *data, size_t length) {
  char *grown =
      length <= WAITING_MAX - output->waiting_size ? realloc(output->waiting, output->waiting_size + length) : NULL;
  if (grown == NULL)
    return false;
  memcpy(grown + output->waiting_size, data, length);
  output->waiting = grown;
  output->waiting_size += length;
  return true;
}

static int deliver(struct event_log *log, struct output *output, const char *line, size_t length) {
  size_t written = 0;
  int result = output->waiting != NULL ? write_waiting(output) : 0;
  if (result == 0)
    result = write_bytes(output->descriptor, line, length, &written);
  if (result < 0) {
    log->failures++;
    log->lost += !let_wait(output, line + written, length - written);
  }
  return result;
}

/* The record with its newline; NULL without memory. *ret_length counts the newline. */
static char *format_line(const struct event *event, const struct timezone *clock, size_t *ret_length) {
  json_t *record = event_to_json(event, clock);
  size_t size = record != NULL ? json_dumpb(record, NULL, 0, JSON_COMPACT) : 0;
  char *line = size > 0 ? malloc(size + 1) : NULL;
  if (line != NULL) {
    json_dumpb(record, line, size, JSON_COMPACT);
    line[size] = '\n';
    *ret_length = size + 1;
  }
  json_decref(record);
  return line;
}

int event_log_write(struct event_log *log, struct event *event, const struct timezone *clock) {
  event->sequence = ++log->sequence;
  if (event->id[0] == '\0')
    snprintf(event->id, sizeof event->id, "%.12s-%" PRIx64 "-%" PRIu64, log->daemon, log->started, event->sequence);
  size_t length = 0;
  char *line = format_line(event, clock, &length);
  int result = line != NULL ? 0 : -ENOMEM;
  for (size_t i = 0; line != NULL && i < log->output_count; i++) {
    int delivered = deliver(log, &log->outputs[i], line, length);
    if (delivered < 0)
      result = delivered;
  }
  free(line);
  return result;
}

uint64_t event_log_failures(const struct event_log *log) {
  return log->failures;
}

bool event_log_flush(struct event_log *log) {
  bool empty = true;
  for (size_t i = 0; i < log->output_count; i++)
    if (log->outputs[i].waiting != NULL && write_waiting(&log->outputs[i]) < 0)
      empty = false;
  return empty;
}

uint64_t event_log_lost(const struct event_log *log) {
  return log->lost;
}
