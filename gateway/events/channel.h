/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_CHANNEL_H
#define KIDO_EVENTS_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "events/scribe.h"

/*
 * A connection to a syslog server, or to the one of this machine: /dev/log in datagrams, or TCP with a length before
 * each message (RFC 6587), plain or in TLS 1.2 and later (RFC 5425) with a certificate that the given authorities
 * signed for the server's name. Everything waits, but never longer than a few seconds.
 */
struct channel;

int channel_open(const struct syslog_settings *settings, struct channel **ret_channel, struct error *error);
struct channel *channel_close(struct channel *channel); /* NULL is allowed; returns NULL */

int channel_send(struct channel *channel, const char *message, size_t length, struct error *error);
/* The other side has closed it, or it broke. */
bool channel_is_lost(const struct channel *channel);
/* Whether the other machine has acknowledged all bytes. */
bool channel_is_acknowledged(const struct channel *channel);
/* Says that nothing more comes, and waits a moment for the other side to say the same: then it has read everything. */
bool channel_finish(struct channel *channel);
int channel_descriptor(const struct channel *channel);

#endif
