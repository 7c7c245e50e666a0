/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_POLICY_READ_SCAN_H
#define KIDO_POLICY_READ_SCAN_H

#include "base/diagnostic.h"
#include "base/error.h"
#include <stdbool.h>

#include "policy/read_source.h"

/*
 * Looks over the text before libconfig sees it: reports what is wrong with its form, and cuts it into pieces that are
 * parsed one by one. A piece is one outermost setting, or 32 members of a large outermost group wrapped in its name
 * again: libconfig compares each new name with all before it in its group, and a tree of a large policy is large.
 *
 * A key that stands twice in one group was reported and has a '*' in its name, to be skipped.
 */
struct piece {
  const char *name; /* of the outermost setting, in the source; not terminated */
  size_t name_length;
  size_t offset;  /* into pieces.text; NUL-terminated there */
  unsigned line;  /* of the source, at which the piece starts */
  size_t members; /* at most so many; 0 for anything but a group */
  size_t at;      /* offset of the name in the source */
  bool duplicate; /* the outermost setting stands there a second time */
  bool continues; /* it goes on with the group of the piece before */
};

/* So many errors are enough. */
enum { PROBLEM_LIMIT = 10000 };

struct pieces {
  char *text;
  struct piece *items;
  size_t count;
};

/* 0 with *ret_pieces, to be freed with pieces_free(); *ret_well_formed false after a syntax error; -ENOMEM. */
int scan_source(const struct source *source, struct diagnostic_list *diagnostics, struct pieces *ret_pieces,
                bool *ret_well_formed, struct error *error);
void pieces_free(struct pieces *pieces);

/* For names in a piece: false when the setting is to be skipped. */
bool scan_name_is_usable(const char *name);

#endif
