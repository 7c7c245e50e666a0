/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Syslog over TCP has no acknowledgement of its own: what a server had not read yet when it died is gone, and nothing
 * says so. So a record counts as received only when the other machine acknowledged its bytes and the connection was
 * still there SETTLE_SECONDS later, or when the server answered the end of the connection with its own; all others are
 * sent again on the next connection.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "events/chain.h"
#include "events/channel.h"
#include "events/courier.h"
#include "events/syslog_line.h"

enum { HOST_SIZE = 256, SETTLE_SECONDS = 30 };

struct syslog_sink {
  const struct courier_job *job;
  char host[HOST_SIZE];
  struct syslog_origin origin;
  struct channel *channel;
  uint64_t sent, candidate, settled;
  int64_t candidate_at; /* when the candidate was the last that was sent */
  int64_t heartbeat_at; /* when the next is due */
};

static int64_t seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec;
}

static void *open_sink(const struct courier_job *job, struct error *error) {
  struct syslog_sink *sink = calloc(1, sizeof *sink);
  if (sink == NULL) {
    error_set(error, ENOMEM, "no memory");
    return NULL;
  }
  sink->job = job;
  if (gethostname(sink->host, sizeof sink->host - 1) < 0 || sink->host[0] == '\0')
    strcpy(sink->host, "-");
  sink->origin = (struct syslog_origin){.host = sink->host, .daemon = job->daemon, .pid = (int)job->pid};
  return sink;
}

static void close_sink(void *state) {
  struct syslog_sink *sink = state;
  channel_close(sink->channel);
  free(sink);
}

static int connect_sink(struct syslog_sink *sink, struct error *error) {
  if (sink->channel != NULL)
    return 0;
  sink->heartbeat_at = 0; /* the head goes out first thing on each connection */
  return channel_open(&sink->job->settings->syslog, &sink->channel, error);
}

static int send_text(struct syslog_sink *sink, char *text, size_t length, struct error *error) {
  int result = text != NULL ? channel_send(sink->channel, text, length, error) : error_set(error, ENOMEM, "no memory");
  free(text);
  if (result < 0)
    sink->channel = channel_close(sink->channel);
  return result;
}

static int deliver(void *state, const struct event_text *text, struct error *error) {
  struct syslog_sink *sink = state;
  int result = connect_sink(sink, error);
  if (result < 0)
    return result;
  size_t length = 0;
  char *line = syslog_format(&sink->origin, text->text, text->length, &length);
  result = send_text(sink, line, length, error);
  if (result == 0)
    sink->sent = text->sequence;
  return result;
}

/* Two records at a time are enough: the newest that may soon be settled, and the newest that was sent. */
static void settle(struct syslog_sink *sink) {
  if (sink->candidate > sink->settled && seconds() - sink->candidate_at >= SETTLE_SECONDS)
    sink->settled = sink->candidate;
  if (sink->candidate == sink->settled && sink->sent > sink->settled && channel_is_acknowledged(sink->channel)) {
    sink->candidate = sink->sent;
    sink->candidate_at = seconds();
  }
}

static int beat(struct syslog_sink *sink, const struct event_text *last, struct error *error) {
  struct chain_link link;
  if (seconds() < sink->heartbeat_at || last->text == NULL ||
      chain_check(last->text, last->length, &link) != CHAIN_WHOLE)
    return 0;
  size_t length = 0;
  char *line = syslog_format_heartbeat(&sink->origin, last->sequence, link.hash, sink->job->key->text, &length);
  int result = send_text(sink, line, length, error);
  sink->heartbeat_at = seconds() + sink->job->settings->syslog.heartbeat;
  return result;
}

static int idle(void *state, const struct event_text *last, struct error *error) {
  struct syslog_sink *sink = state;
  int result = connect_sink(sink, error);
  if (result < 0)
    return result;
  if (channel_is_lost(sink->channel)) {
    sink->channel = channel_close(sink->channel);
    sink->candidate = sink->sent = sink->settled;
    return error_set(error, ECONNRESET, "the log server closed the connection");
  }
  settle(sink);
  return beat(sink, last, error);
}

static void finish(void *state) {
  struct syslog_sink *sink = state;
  if (sink->channel != NULL && channel_finish(sink->channel))
    sink->settled = sink->sent;
}

static uint64_t settled(void *state) {
  return ((const struct syslog_sink *)state)->settled;
}

static int descriptor(void *state, short *ret_events) {
  const struct syslog_sink *sink = state;
  *ret_events = POLLRDHUP;
  return sink->channel != NULL && sink->job->settings->syslog.transport != SYSLOG_LOCAL
             ? channel_descriptor(sink->channel)
             : -1;
}

const struct sink SINK_SYSLOG = {.name = "syslog",
                                 .open = open_sink,
                                 .close = close_sink,
                                 .deliver = deliver,
                                 .idle = idle,
                                 .finish = finish,
                                 .settled = settled,
                                 .descriptor = descriptor};
