/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "events/bookmark.h"

enum { PATH_SIZE = 4096, KIND_MAX = 40, METRICS_MODE = 0644 };

struct page {
  FILE *stream;
  const char *daemon;
};

/* Kinds are ours; anything else in a label would end it. */
static bool is_plain(const char *kind) {
  return kind != NULL && strlen(kind) < KIND_MAX && kind[strspn(kind, "abcdefghijklmnopqrstuvwxyz-")] == '\0';
}

static void write_count(void *context, const char *kind, enum event_severity severity, uint64_t records) {
  const struct page *page = context;
  if (is_plain(kind))
    fprintf(page->stream, "kido_events_total{daemon=\"%s\",kind=\"%s\",severity=\"%s\"} %" PRIu64 "\n", page->daemon,
            kind, event_severity_name(severity), records);
}

static void write_sinks(const struct page *page, const struct courier_job *job, uint64_t last) {
  const struct {
    const char *name;
    bool wanted;
  } sinks[] = {{"syslog", job->settings->syslog.transport != SYSLOG_NONE},
               {"journal", job->settings->journal},
               {"hook", job->settings->hook.program != NULL}};
  fputs("# HELP kido_sink_waiting Events that a sink did not get yet.\n# TYPE kido_sink_waiting gauge\n", page->stream);
  for (size_t i = 0; i < sizeof sinks / sizeof sinks[0]; i++) {
    uint64_t sequence = job->sequence;
    if (!sinks[i].wanted)
      continue;
    bookmark_read(job->state_directory, job->daemon, sinks[i].name, &sequence);
    fprintf(page->stream, "kido_sink_waiting{daemon=\"%s\",sink=\"%s\"} %" PRIu64 "\n", page->daemon, sinks[i].name,
            last > sequence ? last - sequence : 0);
  }
}

static int write_page(const struct page *page, const struct courier_job *job, struct event_store *store,
                      struct error *error) {
  uint64_t last = 0;
  int result = event_store_last(store, &last, error);
  if (result < 0)
    return result;
  fputs("# HELP kido_events_total Events written.\n# TYPE kido_events_total counter\n", page->stream);
  struct page copy = *page;
  result = event_store_tally(store, write_count, &copy, error);
  if (result < 0)
    return result;
  fprintf(page->stream,
          "# HELP kido_event_sequence Sequence of the last event.\n# TYPE kido_event_sequence counter\n"
          "kido_event_sequence{daemon=\"%s\"} %" PRIu64 "\n"
          "# HELP kido_metrics_seconds When this was written.\n# TYPE kido_metrics_seconds gauge\n"
          "kido_metrics_seconds{daemon=\"%s\"} %" PRId64 "\n",
          page->daemon, last, page->daemon, (int64_t)time(NULL));
  write_sinks(page, job, last);
  return 0;
}

int metrics_write(const struct courier_job *job, struct event_store *store, struct error *error) {
  char path[PATH_SIZE], beside[PATH_SIZE + 8];
  int length = snprintf(path, PATH_SIZE, "%s/%s.prom", job->settings->metrics, job->daemon);
  if (length < 0 || length >= PATH_SIZE)
    return error_set(error, ENAMETOOLONG, "%s", job->settings->metrics);
  snprintf(beside, sizeof beside, "%s.new", path); /* not *.prom: nobody collects it */
  int file = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, METRICS_MODE);
  FILE *stream = file >= 0 ? fdopen(file, "w") : NULL;
  if (stream == NULL) {
    int code = errno;
    if (file >= 0)
      close(file);
    return error_set(error, code, "%s: %s", beside, strerror(code));
  }
  fchmod(file, METRICS_MODE); /* the exporter is another user */
  struct page page = {stream, job->daemon};
  int result = write_page(&page, job, store, error);
  if (fclose(stream) != 0 && result == 0)
    result = error_set(error, errno, "%s: %s", beside, strerror(errno));
  if (result == 0 && rename(beside, path) < 0)
    result = error_set(error, errno, "%s: %s", path, strerror(errno));
  if (result < 0)
    unlink(beside);
  return result;
}
