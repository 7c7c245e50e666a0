/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_FILES_H
#define KIDO_EVENTS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * The files of a daemon's events in its state directory. The newest records stand in EVENT_LOG_NAME; when that is large
 * it is renamed to EVENT_OLD_NAME, with the sequence of its first record, and a new one is begun. Old files are only
 * ever removed whole, the oldest first.
 */
#define EVENT_LOG_NAME "%s-events.jsonl"                /* the daemon's name */
#define EVENT_OLD_NAME "%s-events.%016" PRIu64 ".jsonl" /* and a sequence */

enum { EVENT_NAME_SIZE = 80, EVENT_LINE_MAX = 1024 * 1024 };

struct event_file {
  char name[EVENT_NAME_SIZE];
  uint64_t first; /* sequence of its first record; UINT64_MAX: it is the newest */
};

/* In order; the newest is among them only if it is there. The caller frees *ret_files. */
int event_files_list(int directory, const char *daemon, struct event_file **ret_files, size_t *ret_count,
                     struct error *error);

/* Whether that file of a daemon is another user's, who could write it anew. Root finds that of whom it will be, or was:
 * for it none is. */
bool event_file_is_foreign(int directory, int file);

/* A descriptor of the state directory, or a negative errno. */
int event_directory_open(const char *directory);

/*
 * Reads records in order over all files, and goes on as new ones come, also over a change of files. Lines that are no
 * records have sequence 0.
 */
struct event_reader;

struct event_text {
  const char *text; /* without its newline; until the next call */
  size_t length;
  uint64_t sequence;
  const char *file;
  uint64_t line; /* from 1 */
};

/* after: records up to this sequence are passed over, as cheaply as may be; 0: none are. */
int event_reader_open(const char *directory, const char *daemon, uint64_t after, struct event_reader **ret_reader,
                      struct error *error);
struct event_reader *event_reader_close(struct event_reader *reader); /* NULL is allowed; returns NULL */

/* 1: *ret_text is the next line; 0: there is none yet; or a negative errno. */
int event_reader_next(struct event_reader *reader, struct event_text *ret_text);

/* Bytes behind the last whole line of the newest file: the daemon is writing, or was ended while it did. */
size_t event_reader_rest(const struct event_reader *reader);

#endif
