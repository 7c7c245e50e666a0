/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_BASE_DIAGNOSTIC_H
#define KIDO_BASE_DIAGNOSTIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/language.h"

/* A place in an input file. line 0: the file as a whole. column: in characters from 1, 0 when unknown. */
struct place {
  const char *file; /* as the operator named it; NULL when there is none */
  unsigned line;
  unsigned column;
  unsigned length; /* of the token at column, in characters; 0 when unknown */
};

enum severity {
  SEVERITY_ERROR,
  SEVERITY_WARNING,
  SEVERITY_NOTE,
};

struct diagnostic_related {
  struct place place;
  const char *message;
};

struct diagnostic {
  const char *code; /* "D07", "W03", "P01": the same in every language */
  enum severity severity;
  struct place place;
  const char *subject; /* the entity by its own name: "F-301", "lgwan"; "" for the file */
  const char *message; /* what was found and what was expected, one sentence */
  const char *hint;    /* the next step; NULL when there is none */
  struct diagnostic_related *related;
  size_t related_count;
};

/* What is wrong in an input, collected over a whole run. All text lives in the arena of the list. */
struct diagnostic_list {
  struct arena *arena;
  enum language language;
  struct diagnostic *items;
  size_t count;
  size_t capacity;
  size_t errors;
  size_t warnings;
  struct diagnostic spare; /* what diagnostic_add() hands out without memory */
  bool out_of_memory;      /* a diagnostic was lost: the answer is not to be trusted */
};

void diagnostic_list_init(struct diagnostic_list *list, struct arena *arena, enum language language);

/*
 * Adds one problem. japanese and english are formats that take the same arguments in the same order.
 * The result may be given to diagnostic_hint() and diagnostic_relate() before the next diagnostic is added; it is
 * never NULL (when memory ran out, a spare one is handed out and out_of_memory is set).
 */
struct diagnostic *diagnostic_add(struct diagnostic_list *list, enum severity severity, const char *code,
                                  struct place place, const char *subject, const char *japanese, const char *english,
                                  ...) __attribute__((format(printf, 6, 8), format(printf, 7, 8)));
void diagnostic_hint(struct diagnostic_list *list, struct diagnostic *diagnostic, const char *japanese,
                     const char *english, ...) __attribute__((format(printf, 3, 5), format(printf, 4, 5)));
void diagnostic_relate(struct diagnostic_list *list, struct diagnostic *diagnostic, struct place place,
                       const char *japanese, const char *english, ...)
    __attribute__((format(printf, 4, 6), format(printf, 5, 6)));

/* By file (in order of first appearance), line, column, code. */
void diagnostic_sort(struct diagnostic_list *list);

/*
 * Finds the token in the line of the place and fills column and length; the whole value when quoted. Reads the file
 * again (bounded); leaves the column 0 when the token does not stand there. from_column: search from there (0: start).
 */
struct place place_of_token(struct place line, const char *token);
/* The same when the caller has the bytes of the line at hand (without its end). */
struct place place_of_token_in(struct place line, const char *text, size_t length, const char *token);

/* For people: message, quoted line with caret, related places, hint. Everything from the file is escaped. */
void diagnostic_print(FILE *stream, const struct diagnostic_list *list, bool colour);

/* The line of one place alone, quoted in the same way; nothing when it cannot be read. marker: '^' or '~'. */
void place_print(FILE *stream, const struct place *place, char marker, bool colour);

#endif
