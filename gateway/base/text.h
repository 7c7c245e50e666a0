/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_BASE_TEXT_H
#define KIDO_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* True when the bytes are well-formed UTF-8 (RFC 3629); else *ret_offset is the first bad byte. */
bool text_is_utf8(const char *text, size_t length, size_t *ret_offset);

/* Reads one character; returns its bytes, 0 when they are not well-formed. */
size_t text_decode(const char *text, size_t length, uint32_t *ret_code);

enum { TEXT_ESCAPE_SIZE = 16 };
/* One character as text_escape() shows it; returns the bytes read (1 for a bad one). length must not be 0. */
size_t text_escape_character(const char *text, size_t length, char target[static TEXT_ESCAPE_SIZE]);

/* Control bytes, DEL, C1, bidirectional overrides and bad UTF-8 become visible \xNN or \u{N}; for terminals and logs.
 */
char *text_escape(struct arena *arena, const char *text);

/* Columns on a terminal: wide East Asian characters count two. */
size_t text_width(const char *text);

/* The candidate nearest to the word (Damerau-Levenshtein, at most a third of its length off), NULL when none is near.
 */
const char *text_nearest(const char *word, const char *const *candidates, size_t count);

#endif
