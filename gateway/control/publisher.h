/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_PUBLISHER_H
#define KIDO_CONTROL_PUBLISHER_H

#include <stddef.h>

#include <systemd/sd-event.h>

#include "base/error.h"
#include "control/publication.h"

/*
 * The sending side of publication.h: keeps the last publication and gives it to whoever connects, and each new one to
 * all who are connected. A follower that does not read is put out and may connect again.
 */
struct publisher;

enum { PUBLISHER_FOLLOWER_LIMIT = 16 };

/* Begins with PUBLICATION_CLOSED. */
int publisher_open(sd_event *loop, const char *run_directory, struct publisher **ret_publisher, struct error *error);
struct publisher *publisher_close(struct publisher *publisher); /* NULL is allowed; returns NULL */

/* policy: the canonical form, NULL for PUBLICATION_CLOSED; restrictions: as restrictions_to_text() gives them, NULL for
 * none. magic and sizes are filled in here. */
int publisher_publish(struct publisher *publisher, const struct publication *publication, const char *policy,
                      size_t size, const char *restrictions, struct error *error);

#endif
