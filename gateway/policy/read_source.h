/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_POLICY_READ_SOURCE_H
#define KIDO_POLICY_READ_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/diagnostic.h"
#include "base/error.h"

/*
 * The text of a policy with its included files spliced in, and the way back from a line of that text to a line of a
 * file. Every file was checked before it became part of it: a regular file, of bounded size, UTF-8, no control bytes.
 */
struct source_segment {
  unsigned first_line; /* of the whole text */
  const char *file;
  unsigned line; /* of the file */
};

struct source {
  struct arena *arena; /* holds file names and segments; the text itself is freed by source_free() */
  char *text;
  size_t length, capacity;
  struct source_segment *segments;
  size_t segment_count, segment_capacity;
  size_t *line_starts;
  size_t line_count;
};

/* Negative errno with *error when the file itself cannot be read. What is wrong inside becomes a diagnostic. Unless
 * language_forced, the language that the policy names is put into the diagnostics as soon as the file is read. */
int source_load(struct source *source, const char *path, bool language_forced, struct diagnostic_list *diagnostics,
                struct error *error);
int source_load_text(struct source *source, const char *name, const char *text, size_t length, bool language_forced,
                     struct diagnostic_list *diagnostics, struct error *error);
void source_free(struct source *source);

/* The place of a line of the whole text, without a column. */
struct place source_place(const struct source *source, unsigned line);
/* The place of `length` bytes at an offset of the whole text. */
struct place source_place_at(const struct source *source, size_t offset, size_t length);
/* The place of a token on a line of the whole text, at from_column (0: anywhere) or behind it. */
struct place source_place_of(const struct source *source, unsigned line, unsigned from_column, const char *token);
/* A place that source_place() gave, with the column of a token on its line. */
struct place source_point(const struct source *source, struct place place, const char *token);
#endif
