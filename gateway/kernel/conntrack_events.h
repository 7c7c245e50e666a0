/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_CONNTRACK_EVENTS_H
#define KIDO_KERNEL_CONNTRACK_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "kernel/conntrack.h"

/*
 * The beginning and the end of connections, as the kernel tells them: of those that the ruleset names (`ct event set`),
 * and of all others too unless nf_conntrack_events is 0.
 */
struct conntrack_event {
  bool ended;
  struct connection connection;
  uint64_t stopped; /* nanoseconds since 1970; 0: the kernel does not know */
};

/* A non-blocking socket that becomes readable when a connection begins or ends. */
int conntrack_events_open(int *ret_fd, struct error *error);

typedef void conntrack_event_handler(const struct conntrack_event *event, void *context);
/* Takes at most `limit` events of what has come. True when the kernel had more than its queue holds: some were lost. */
bool conntrack_events_drain(int fd, size_t limit, conntrack_event_handler *handler, void *context);

/* One message of the kernel; pure. False when it is no such event. */
bool conntrack_event_parse(const void *message, size_t length, struct conntrack_event *ret_event);

#endif
