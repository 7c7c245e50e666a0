/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_SYSLOG_LINE_H
#define KIDO_EVENTS_SYSLOG_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "events/event.h"

/*
 * Messages of RFC 5424: the facility is "log audit", the MSGID the kind of the event, the message the record itself, as
 * it stands in the file. The caller frees what is returned; NULL without memory.
 */
struct syslog_origin {
  const char *host, *daemon;
  int pid;
};

char *syslog_format(const struct syslog_origin *origin, const char *line, size_t length, size_t *ret_length);

/* The head of the chain: a JSON object of schema kido.heartbeat/1. */
char *syslog_format_heartbeat(const struct syslog_origin *origin, uint64_t sequence, const char *hash, const char *key,
                              size_t *ret_length);

#endif
