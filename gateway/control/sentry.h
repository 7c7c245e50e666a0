/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_SENTRY_H
#define KIDO_CONTROL_SENTRY_H

#include <stdbool.h>

#include "base/error.h"

/*
 * Without our table the kernel forwards whatever comes, and kidod is busy while it compiles and loads a large policy:
 * it would hear of somebody's `nft flush ruleset` only behind that. A thread stands by. While kidod waits for something
 * to do it sleeps; while kidod is busy for longer than a moment it looks every millisecond whether the table stands,
 * and turns forwarding off when it does not. Turning it on again is kidod's own affair.
 */
struct sentry;

/* To be called behind the giving up of rights, which the thread shares from then on. */
int sentry_start(const char *table, struct sentry **ret_sentry, struct error *error);
struct sentry *sentry_stop(struct sentry *sentry); /* NULL is allowed; returns NULL */

/* From the main thread: something is being done; there is nothing to do. */
void sentry_busy(struct sentry *sentry);
void sentry_idle(struct sentry *sentry);
/* Whether it has turned forwarding off since it was last asked. */
bool sentry_has_closed(struct sentry *sentry);

#endif
