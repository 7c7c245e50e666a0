/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "events/chain.h"
#include "events/log_file.h"

enum { OUTPUT_LIMIT = 4, NAME_SIZE = 24, LOG_MODE = 0640, WAITING_MAX = 1024 * 1024 };

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
  struct log_file file; /* the first of the outputs, when there is a state directory */
  uint64_t file_size;
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

static int open_own_file(struct event_log *log, const char *directory, struct error *error) {
  int result = log_file_open(directory, log->daemon, &log->file, error);
  log->sequence = log->file.sequence;
  return result < 0 ? result : add_output(log, log->file.descriptor, false, error);
}

int event_log_open(const char *state_directory, const char *daemon, struct event_log **ret_log, struct error *error) {
  struct event_log *log = calloc(1, sizeof *log);
  if (log == NULL)
    return error_set(error, ENOMEM, "no memory for the event log");
  log->file.directory = log->file.descriptor = -1;
  log->file_size = EVENT_FILE_SIZE;
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
  if (log != NULL)
    log_file_close(&log->file);
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

/* *ret_kept: it is written, or waits. */
static int deliver(struct event_log *log, struct output *output, const char *line, size_t length, bool *ret_kept) {
  size_t written = 0;
  int result = output->waiting != NULL ? write_waiting(output) : 0;
  if (result == 0)
    result = write_bytes(output->descriptor, line, length, &written);
  *ret_kept = result == 0 || let_wait(output, line + written, length - written);
  log->failures += result < 0;
  log->lost += !*ret_kept;
  return result;
}

static bool is_chained(const struct event_log *log) {
  return log->file.descriptor >= 0;
}

/* The record with its newline; NULL without memory. *ret_length counts the newline. */
static char *format_line(const struct event_log *log, const struct event *event, const struct timezone *clock,
                         size_t *ret_length, char head[static SHA256_TEXT_SIZE]) {
  json_t *record = event_to_json(event, clock);
  size_t size = record != NULL ? json_dumpb(record, NULL, 0, JSON_COMPACT) : 0;
  char *line = size > 0 ? malloc(size + CHAIN_SEAL_SIZE + 1) : NULL;
  if (line != NULL) {
    json_dumpb(record, line, size, JSON_COMPACT);
    if (is_chained(log))
      size = chain_seal(line, size, log->file.head, head);
    line[size] = '\n';
    *ret_length = size + 1;
  }
  json_decref(record);
  return line;
}

/* A file that cannot be exchanged goes on growing. */
static void exchange_file(struct event_log *log) {
  if (!is_chained(log) || log->file.size < log->file_size || log->outputs[0].waiting != NULL)
    return;
  if (log_file_exchange(&log->file, log->sequence + 1) < 0)
    log->failures++;
  log->outputs[0].descriptor = log->file.descriptor;
}

void event_log_name(const struct event_log *log, struct event *event) {
  if (event->id[0] == '\0')
    snprintf(event->id, sizeof event->id, "%.12s-%" PRIx64 "-%" PRIu64, log->daemon, log->started, log->sequence + 1);
}

static int deliver_to_all(struct event_log *log, const char *line, size_t length, const char *head) {
  int result = 0;
  for (size_t i = 0; i < log->output_count; i++) {
    bool kept, own = i == 0 && is_chained(log);
    int delivered = deliver(log, &log->outputs[i], line, length, &kept);
    if (delivered < 0)
      result = delivered;
    if (own && kept)
      log_file_grew(&log->file, length, head);
  }
  return result;
}

int event_log_write(struct event_log *log, struct event *event, const struct timezone *clock) {
  exchange_file(log);
  event_log_name(log, event);
  event->sequence = ++log->sequence;
  size_t length = 0;
  char head[SHA256_TEXT_SIZE];
  char *line = format_line(log, event, clock, &length, head);
  int result = line != NULL ? deliver_to_all(log, line, length, head) : -ENOMEM;
  free(line);
  return result;
}

void event_log_set_file_size(struct event_log *log, uint64_t bytes) {
  log->file_size = bytes;
}

uint64_t event_log_sequence(const struct event_log *log) {
  return log->sequence;
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
