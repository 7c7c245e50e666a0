/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/read_lexer.h"

#include <string.h>
#include <strings.h>

static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool is_hexadecimal(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_name_part(char c) {
  return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '*';
}

/* Whatever a hand may have written as one word without quotes: addresses, services, dates. */
static bool is_word_part(char c) {
  return is_name_part(c) || c == '.' || c == '+' || c == '/' || c == ':';
}

/* The character at an offset from the position; NUL behind the end. */
static char lexer_peek(const struct lexer *lexer, size_t ahead) {
  return lexer->length - lexer->position > ahead ? lexer->text[lexer->position + ahead] : '\0';
}

static bool lexer_at_end(const struct lexer *lexer) {
  return lexer->position >= lexer->length;
}

static void lexer_advance(struct lexer *lexer) {
  if (lexer->text[lexer->position] == '\n')
    lexer->line++;
  lexer->position++;
}

static void lexer_skip_line(struct lexer *lexer) {
  const char *rest = lexer->text + lexer->position;
  const char *end = memchr(rest, '\n', lexer->length - lexer->position);
  lexer->position = end ? (size_t)(end - lexer->text) : lexer->length;
}

/* False when the comment has no end. */
static bool lexer_skip_block_comment(struct lexer *lexer) {
  lexer->position += 2;
  while (!lexer_at_end(lexer)) {
    if (lexer_peek(lexer, 0) == '*' && lexer_peek(lexer, 1) == '/') {
      lexer->position += 2;
      return true;
    }
    lexer_advance(lexer);
  }
  return false;
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool lexer_skip_blanks(struct lexer *lexer, struct token *token) {
  while (!lexer_at_end(lexer)) {
    char c = lexer_peek(lexer, 0);
    *token = (struct token){TOKEN_OPEN_COMMENT, lexer->position, 2, lexer->line};
    if (is_blank(c))
      lexer_advance(lexer);
    else if (c == '#' || (c == '/' && lexer_peek(lexer, 1) == '/'))
      lexer_skip_line(lexer);
    else if (c != '/' || lexer_peek(lexer, 1) != '*')
      return true;
    else if (!lexer_skip_block_comment(lexer))
      return false;
  }
  return true;
}

/* A string ends on its line: libconfig would let it run on, and one lost quote would swallow half the file. */
static enum token_kind lexer_string(struct lexer *lexer) {
  lexer->position++;
  while (!lexer_at_end(lexer) && lexer_peek(lexer, 0) != '\n') {
    char c = lexer_peek(lexer, 0);
    lexer->position++;
    if (c == '"')
      return TOKEN_STRING;
    if (c == '\\' && !lexer_at_end(lexer) && lexer_peek(lexer, 0) != '\n')
      lexer->position++;
  }
  return TOKEN_OPEN_STRING;
}

static size_t digits(const char *text, size_t length, bool hexadecimal) {
  size_t n = 0;
  while (n < length && (hexadecimal ? is_hexadecimal(text[n]) : is_digit(text[n])))
    n++;
  return n;
}

/* An integer ends in up to two L; text points behind its digits. */
static bool is_integer_end(const char *text, size_t length) {
  return length == 0 || (length == 1 && text[0] == 'L') || (length == 2 && text[0] == 'L' && text[1] == 'L');
}

static bool is_exponent(const char *text, size_t length) {
  if (length == 0)
    return true;
  if (text[0] != 'e' && text[0] != 'E')
    return false;
  size_t sign = length > 1 && (text[1] == '+' || text[1] == '-') ? 2 : 1;
  return length > sign && digits(text + sign, length - sign, false) == length - sign;
}

static bool is_number(const char *text, size_t length) {
  if (length > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
    size_t n = digits(text + 2, length - 2, true);
    return n > 0 && is_integer_end(text + 2 + n, length - 2 - n);
  }
  size_t sign = length > 0 && (text[0] == '+' || text[0] == '-') ? 1 : 0;
  size_t whole = sign + digits(text + sign, length - sign, false);
  if (whole > sign && is_integer_end(text + whole, length - whole))
    return true;
  size_t fraction = whole < length && text[whole] == '.' ? 1 + digits(text + whole + 1, length - whole - 1, false) : 0;
  return whole - sign + fraction > 1 && is_exponent(text + whole + fraction, length - whole - fraction);
}

static bool lexer_starts_comment(const struct lexer *lexer, size_t ahead) {
  char next = lexer_peek(lexer, ahead + 1);
  return lexer_peek(lexer, ahead) == '/' && (next == '/' || next == '*');
}

static enum token_kind lexer_word(struct lexer *lexer) {
  const char *start = lexer->text + lexer->position;
  size_t length = 0;
  while (is_word_part(lexer_peek(lexer, length)) && !lexer_starts_comment(lexer, length))
    length++;
  lexer->position += length;
  return is_number(start, length) ? TOKEN_NUMBER : TOKEN_STRANGE;
}

static enum token_kind lexer_name(struct lexer *lexer) {
  const char *start = lexer->text + lexer->position;
  size_t length = 0;
  while (length < lexer->length - lexer->position && is_name_part(start[length]))
    length++;
  lexer->position += length;
  if ((length == 4 && strncasecmp(start, "true", 4) == 0) || (length == 5 && strncasecmp(start, "false", 5) == 0))
    return TOKEN_BOOLEAN;
  return TOKEN_NAME;
}

static bool lexer_at_line_start(const struct lexer *lexer) {
  for (size_t i = lexer->position; i > 0 && lexer->text[i - 1] != '\n'; i--)
    if (lexer->text[i - 1] != ' ' && lexer->text[i - 1] != '\t')
      return false;
  return true;
}

static enum token_kind lexer_include(struct lexer *lexer) {
  static const char word[] = "@include";
  size_t length = sizeof(word) - 1;
  bool starts_line = lexer_at_line_start(lexer);
  if (lexer->length - lexer->position <= length || memcmp(lexer->text + lexer->position, word, length) != 0) {
    lexer->position++;
    return TOKEN_STRANGE;
  }
  lexer->position += length;
  while (lexer_peek(lexer, 0) == ' ' || lexer_peek(lexer, 0) == '\t')
    lexer->position++;
  if (!starts_line || lexer_peek(lexer, 0) != '"')
    return TOKEN_STRANGE;
  return lexer_string(lexer) == TOKEN_STRING ? TOKEN_INCLUDE : TOKEN_OPEN_STRING;
}

/* One character, all bytes of it. */
static enum token_kind lexer_strange(struct lexer *lexer) {
  lexer->position++;
  while (!lexer_at_end(lexer) && ((unsigned char)lexer_peek(lexer, 0) & 0xc0) == 0x80)
    lexer->position++;
  return TOKEN_STRANGE;
}

static enum token_kind lexer_dispatch(struct lexer *lexer) {
  char c = lexer_peek(lexer, 0);
  if (c != '\0' && strchr("=:;,{}[]()", c)) {
    lexer->position++;
    return TOKEN_MARK;
  }
  if (is_letter(c) || c == '*')
    return lexer_name(lexer);
  if (is_digit(c) || c == '+' || c == '-' || c == '.')
    return lexer_word(lexer);
  if (c == '"')
    return lexer_string(lexer);
  return c == '@' ? lexer_include(lexer) : lexer_strange(lexer);
}

void lexer_init(struct lexer *lexer, const char *text, size_t length) {
  *lexer = (struct lexer){.text = text, .length = length, .line = 1};
}

struct token lexer_next(struct lexer *lexer) {
  struct token token;
  if (!lexer_skip_blanks(lexer, &token))
    return token;
  token = (struct token){TOKEN_END, lexer->position, 0, lexer->line};
  if (lexer_at_end(lexer))
    return token;
  token.kind = lexer_dispatch(lexer);
  token.length = lexer->position - token.offset;
  return token;
}

bool token_is_mark(const struct lexer *lexer, const struct token *token, char mark) {
  return token->kind == TOKEN_MARK && lexer->text[token->offset] == mark;
}
