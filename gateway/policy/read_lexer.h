/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_POLICY_READ_LEXER_H
#define KIDO_POLICY_READ_LEXER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Cuts libconfig text into tokens. libconfig itself builds the tree (read.c); these tokens serve what it does not do:
 * @include beside the including file, a bound on nesting, names of duplicates, and messages that say what stands there.
 */
enum token_kind {
  TOKEN_END,
  TOKEN_NAME,    /* a key, or a word without quotes */
  TOKEN_BOOLEAN, /* true, false in any case */
  TOKEN_STRING,  /* with its quotes */
  TOKEN_NUMBER,
  TOKEN_MARK,         /* one of = : ; , { } [ ] ( ) */
  TOKEN_INCLUDE,      /* @include "..." at the start of a line, to the end of the string */
  TOKEN_OPEN_STRING,  /* bad: a string without its closing quote on the line */
  TOKEN_OPEN_COMMENT, /* bad: a comment without its end */
  TOKEN_STRANGE,      /* bad: a character, or a run that looks like a number and is none */
};

struct token {
  enum token_kind kind;
  size_t offset, length; /* bytes of the text */
  unsigned line;         /* from 1 */
};

struct lexer {
  const char *text;
  size_t length;
  size_t position;
  unsigned line;
};

void lexer_init(struct lexer *lexer, const char *text, size_t length);
/* After a bad token the lexer stands behind it. */
struct token lexer_next(struct lexer *lexer);
bool token_is_mark(const struct lexer *lexer, const struct token *token, char mark);

#endif
