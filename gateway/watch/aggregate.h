/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_AGGREGATE_H
#define KIDO_WATCH_AGGREGATE_H

#include "watch/finding.h"

/*
 * From findings to alerts: one alert per cause, told at once, counted exactly, told again while it goes on, closed when
 * it stops.
 *
 * Theory of operation. A cause is kind, zones, addresses, protocol and port. Each kind may open a few alerts of its own
 * in any stretch of time, and all kinds together some more; beyond that what comes is counted to one alert per pair of
 * zones, and beyond a few of those to one alert of the kind. So a storm costs lines that are bounded, while the first
 * sign of another kind, or of another pair of zones, is told at once all the same, and nothing vanishes: every finding
 * is in the count of exactly one alert. Repetitions have a budget of their own, closing records need none.
 */
struct aggregate;

enum alert_scope {
  ALERT_CAUSE, /* one cause */
  ALERT_PAIR,  /* many causes of one kind between two zones: no addresses */
  ALERT_KIND,  /* many pairs of zones */
};

struct alert {
  struct finding finding; /* the first; count and bytes are those of all */
  enum alert_scope scope;
  int64_t first_seen, last_seen;
  bool still_going;
  char id[40];   /* empty until first told; the teller fills it in */
  unsigned kept; /* frames of it that were kept as evidence */
};

typedef void aggregate_tell(void *context, struct alert *alert, int64_t now);

struct aggregate *aggregate_new(aggregate_tell *tell, void *context);
struct aggregate *aggregate_free(struct aggregate *aggregate);

/* Returns the alert in whose count it is, until the next call. */
struct alert *aggregate_add(struct aggregate *aggregate, const struct finding *finding);

/* A condition that lasts (an interface that is down): told whatever the budgets say; open until aggregate_end(). To be
 * called again and again while it lasts: of more than 256 at one time, the others share the alert of their kind. */
void aggregate_hold(struct aggregate *aggregate, const struct finding *finding);
void aggregate_end(struct aggregate *aggregate, const struct finding *finding);

/* Tells what is due and closes what has been quiet. */
void aggregate_advance(struct aggregate *aggregate, int64_t now);
/* Closes everything: at the end, and before zones change their meaning. */
void aggregate_close(struct aggregate *aggregate, int64_t now);
/* The clock was set: closes everything by the time before, and opens anew what lasts. */
void aggregate_restart(struct aggregate *aggregate, int64_t before, int64_t now);

/* Alerts open now, by severity. */
size_t aggregate_open(const struct aggregate *aggregate, enum event_severity severity);

#endif
