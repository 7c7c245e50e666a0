/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_LOG_H
#define KIDO_EVENTS_LOG_H

#include "base/error.h"
#include "events/event.h"
#include "events/files.h"

/*
 * Where a daemon's events go: its own files in the state directory (events/files.h), which also hold the sequence and
 * the head of the chain (events/chain.h), and further outputs. One JSON line each, written with one write() on a
 * descriptor opened for appending. What an output does not take waits in memory, up to a mebibyte, and is written in
 * order when it takes something again; what does not fit there is lost, and shows as a gap in the sequence, while the
 * chain goes on from the last record that is kept. An output that fails never stops the daemon.
 */
struct event_log;

/*
 * state_directory NULL: no file and no chain, the sequence starts at 1. An unfinished last line (power loss) is cut
 * off. Sequence and chain go on after the last record. 0 or a negative errno with *error.
 */
int event_log_open(const char *state_directory, const char *daemon, struct event_log **ret_log, struct error *error);
/* Adds an output, "-" for standard output. */
int event_log_add(struct event_log *log, const char *path, struct error *error);
struct event_log *event_log_close(struct event_log *log);
/* How large its own file grows before a new one is begun; the default is EVENT_FILE_SIZE. */
enum { EVENT_FILE_SIZE = 16 * 1024 * 1024 };
void event_log_set_file_size(struct event_log *log, uint64_t bytes);
/* Gives the event an id when it has none, as event_log_write() would if it came next. */
void event_log_name(const struct event_log *log, struct event *event);
uint64_t event_log_sequence(const struct event_log *log); /* of the last record */

/*
 * Gives the event its sequence, and an id when it has none, and writes it everywhere. Returns 0, or the error of the
 * last output that failed (the others have it).
 */
int event_log_write(struct event_log *log, struct event *event, const struct timezone *timezone);

/* Tries again what waits; false when something still does. */
bool event_log_flush(struct event_log *log);

uint64_t event_log_failures(const struct event_log *log); /* attempts that failed, of all outputs */
uint64_t event_log_lost(const struct event_log *log);     /* lines that no memory was left for */

#endif
