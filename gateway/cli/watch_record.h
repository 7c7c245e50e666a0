/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_WATCH_RECORD_H
#define KIDO_CLI_WATCH_RECORD_H

#include "cli/watchman.h"
#include "events/log.h"
#include "policy/policy.h"
#include "watch/watch.h"
#include "wire/frame.h"

/* Where the findings of a running kidoban go: its log, the scribe, and frames as evidence. */
struct watch_record;

/*
 * tell gets what the record itself has to say (log-degraded), and gives it to watch_record_write(). Forks: to be called
 * before captures are open and rights are left. Without a log that can be written events go to the further output
 * alone.
 */
int watch_record_open(const struct watchman_options *options, watch_tell *tell, void *context,
                      struct watch_record **ret_record, struct error *error);
struct watch_record *watch_record_close(struct watch_record *record); /* NULL is allowed; returns NULL */

void watch_record_write(struct watch_record *record, struct event *event, const struct timezone *clock);
/* Keeps a frame as evidence; never waits. drops: of the kernel on that interface, so far. */
void watch_record_keep(struct watch_record *record, const char *id, const char *interface,
                       const struct captured_frame *captured, uint64_t drops);
/* Whether frames are kept, and how many of each event. */
unsigned watch_record_frames(const struct watch_record *record);

/* To be called every 100 ms or so. policy: in force, NULL for none. */
void watch_record_look(struct watch_record *record, const struct policy *policy);

uint64_t watch_record_failures(const struct watch_record *record);

#endif
