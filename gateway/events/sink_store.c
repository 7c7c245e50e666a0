/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The courier that looks after what lies in the state directory: it adds records to the store, brings the lines to the
 * disk, prunes, keeps evidence and writes the metrics. It is the only one that does, so none of that waits for a
 * server.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "events/courier.h"
#include "events/evidence.h"
#include "events/metrics.h"
#include "events/note.h"
#include "events/prune.h"
#include "events/store.h"

enum { BUNDLE = 1000, PRUNE_SECONDS = 600, METRICS_SECONDS = 5, DAY = 86400 };

/* A task beside the store, whose failure is told once. */
struct task {
  const char *name;
  bool failing;
  int64_t due;
};

struct store_sink {
  const struct courier_job *job;
  struct event_store *store;
  bool damaged;
  size_t added; /* since the transaction began */
  uint64_t last_added, committed;
  bool unflushed;
  struct evidence *evidence;
  struct task prune, metrics, keep;
};

static int64_t now(void) {
  return (int64_t)time(NULL);
}

static void *open_sink(const struct courier_job *job, struct error *error) {
  struct store_sink *sink = calloc(1, sizeof *sink);
  if (sink == NULL) {
    error_set(error, ENOMEM, "no memory");
    return NULL;
  }
  *sink = (struct store_sink){.job = job,

                              .prune.name = "prune",
                              .metrics.name = "metrics",
                              .keep.name = "evidence"};
  if (job->evidence >= 0)
    sink->evidence = evidence_open(job->state_directory, job->daemon, &job->settings->evidence);
  return sink;
}

static void leave_store(struct store_sink *sink) {
  sink->store = event_store_close(sink->store);
  sink->added = 0;
}

static void close_sink(void *state) {
  struct store_sink *sink = state;
  leave_store(sink);
  evidence_close(sink->evidence);
  free(sink);
}

/* ---- where it begins ---- */

/* Whether the lines go on where the store ends: they still hold its last record, or had it removed by age. */
static bool agrees(const struct store_sink *sink, uint64_t last) {
  struct event_reader *reader = NULL;
  struct event_text text = {.sequence = 0};
  if (last == 0)
    return true;
  if (event_reader_open(sink->job->state_directory, sink->job->daemon, last - 1, &reader, NULL) < 0)
    return false;
  int result;
  while ((result = event_reader_next(reader, &text)) > 0 && text.sequence == 0) {
  }
  bool same = result > 0 && (text.sequence > last || event_store_has(sink->store, last, text.text, text.length));
  event_reader_close(reader);
  return same;
}

static int open_store(struct store_sink *sink, struct error *error) {
  leave_store(sink);
  if (sink->damaged)
    event_store_remove(sink->job->state_directory, sink->job->daemon);
  sink->damaged = false;
  return event_store_open(sink->job->state_directory, sink->job->daemon, &sink->store, error);
}

static int begin(void *state, uint64_t *ret_sequence, struct error *error) {
  struct store_sink *sink = state;
  uint64_t last = 0;
  int result = open_store(sink, error);
  if (result == 0)
    result = event_store_last(sink->store, &last, error);
  if (result == -EBADMSG || (result == 0 && (!event_store_is_sound(sink->store) || !agrees(sink, last)))) {
    sink->damaged = true;
    last = 0;
    result = open_store(sink, error);
  }
  sink->committed = sink->last_added = last;
  if (result == 0)
    *ret_sequence = last;
  return result;
}

/* ---- records ---- */

static int note_damage(struct store_sink *sink, int result) {
  sink->damaged = sink->damaged || result == -EBADMSG;
  return result;
}

static int commit(struct store_sink *sink, struct error *error) {
  if (sink->added == 0)
    return 0;
  int result = event_store_commit(sink->store, error);
  sink->added = 0;
  if (result == 0)
    sink->committed = sink->last_added;
  else
    leave_store(sink);
  return note_damage(sink, result);
}

static int deliver(void *state, const struct event_text *text, struct error *error) {
  struct store_sink *sink = state;
  int result = sink->added == 0 ? event_store_begin(sink->store, error) : 0;
  if (result == 0) {
    sink->added++;
    result = event_store_add(sink->store, text->text, text->length, error);
  }
  if (result < 0) {
    leave_store(sink); /* which ends the transaction */
    return note_damage(sink, result);
  }
  sink->last_added = text->sequence;
  sink->unflushed = true;
  return sink->added >= BUNDLE ? commit(sink, error) : 0;
}

static uint64_t settled(void *state) {
  return ((const struct store_sink *)state)->committed;
}

/* ---- beside it ---- */

static void say(struct store_sink *sink, struct task *task, int result, const struct error *error) {
  if (result < 0 && !task->failing)
    note_send(sink->job->notes, task->name, SCRIBE_FAILS, 0, error->message);
  else if (result == 0 && task->failing)
    note_send(sink->job->notes, task->name, SCRIBE_WORKS, 0, "");
  task->failing = result < 0;
}

/* What was written a moment ago survives a power cut. Of a file that was just exchanged the kernel takes care. */
static void flush_lines(struct store_sink *sink) {
  char name[EVENT_NAME_SIZE];
  if (!sink->unflushed)
    return;
  int directory = event_directory_open(sink->job->state_directory);
  snprintf(name, sizeof name, EVENT_LOG_NAME, sink->job->daemon);
  int file = directory >= 0 ? openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
  if (file >= 0) {
    fdatasync(file);
    close(file);
  }
  if (directory >= 0)
    close(directory);
  sink->unflushed = false;
}

static void prune(struct store_sink *sink) {
  const struct courier_job *job = sink->job;
  const struct scribe_settings *settings = job->settings;
  if (now() < sink->prune.due)
    return;
  struct retention retention = {.bytes = settings->log_bytes, .not_before = now() - (int64_t)settings->log_days * DAY};
  uint64_t removed = 0;
  struct error error = {0};
  int result = event_prune(job->state_directory, job->daemon, job->key, &retention, now(), &removed, &error);
  if (result == 0 && removed > 0 && sink->store != NULL)
    result = event_store_prune(sink->store, removed, &error);
  say(sink, &sink->prune, result, &error);
  sink->prune.due = now() + PRUNE_SECONDS;
}

static void write_metrics(struct store_sink *sink) {
  const struct courier_job *job = sink->job;
  struct error error = {0};
  if (job->settings->metrics == NULL || sink->store == NULL || now() < sink->metrics.due)
    return;
  int result = metrics_write(job, sink->store, &error);
  say(sink, &sink->metrics, result, &error);
  sink->metrics.due = now() + METRICS_SECONDS;
}

static void keep_evidence(struct store_sink *sink) {
  struct error error = {0};
  int result = sink->evidence != NULL ? evidence_take(sink->evidence, sink->job->evidence, &error) : 0;
  if (result != 0)
    say(sink, &sink->keep, result < 0 ? result : 0, &error);
}

static int idle(void *state, const struct event_text *last, struct error *error) {
  struct store_sink *sink = state;
  (void)last;
  keep_evidence(sink);
  int result = commit(sink, error);
  flush_lines(sink);
  prune(sink);
  write_metrics(sink);
  return result;
}

static int descriptor(void *state, short *ret_events) {
  *ret_events = POLLIN;
  return ((const struct store_sink *)state)->job->evidence;
}

const struct sink SINK_STORE = {.name = "store",
                                .open = open_sink,
                                .close = close_sink,
                                .deliver = deliver,
                                .idle = idle,
                                .settled = settled,
                                .begin = begin,
                                .descriptor = descriptor};
