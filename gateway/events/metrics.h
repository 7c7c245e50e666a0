/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_METRICS_H
#define KIDO_EVENTS_METRICS_H

#include "events/courier.h"
#include "events/store.h"

/*
 * Replaces DAEMON.prom in the directory for metrics: events by kind and severity, the last sequence, how far each sink
 * is behind. For the textfile collector of a Prometheus node exporter. 0 or a negative errno with *error.
 */
int metrics_write(const struct courier_job *job, struct event_store *store, struct error *error);

#endif
