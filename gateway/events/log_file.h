/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_LOG_FILE_H
#define KIDO_EVENTS_LOG_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"

/* The newest file of a daemon's events, while the daemon writes it (events/files.h). */
struct log_file {
  int directory, descriptor; /* -1: not open */
  char daemon[24];
  uint64_t size;
  uint64_t first;    /* sequence of its first record, or that of the next when it is empty */
  uint64_t sequence; /* of the last record when it was opened */
  char head[SHA256_TEXT_SIZE];
};

/* Opens or makes it, cuts off an unfinished line, and finds the last record, wherever that stands. */
int log_file_open(const char *directory, const char *daemon, struct log_file *ret_file, struct error *error);
void log_file_close(struct log_file *file);

/* A line was written, or will be when there is room. */
void log_file_grew(struct log_file *file, size_t length, const char head[static SHA256_TEXT_SIZE]);

/* Gives it its old name and begins a new one with the record `next`. On failure it is as before. */
int log_file_exchange(struct log_file *file, uint64_t next);

#endif
