/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_BOOKMARK_H
#define KIDO_EVENTS_BOOKMARK_H

#include <stdint.h>

/* How far a sink came: a sequence in a small file of the state directory, replaced by renaming. */
#define BOOKMARK_NAME "%s-%s.cursor" /* the daemon's name, the sink's */

/* 0, -ENOENT when there is none, or another negative errno. */
int bookmark_read(const char *directory, const char *daemon, const char *sink, uint64_t *ret_sequence);
int bookmark_write(const char *directory, const char *daemon, const char *sink, uint64_t sequence);

#endif
