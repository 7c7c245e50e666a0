/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/read_scan.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/names.h"
#include "policy/read_lexer.h"

/*
 * A check of libconfig's grammar, token by token: in a group a key, '=', a value and perhaps a ';'; in ( ) and [ ]
 * values with commas between them. It is stricter than libconfig where libconfig hides a slip: strings that stand
 * side by side in a list (a lost comma) and strings over several lines (a lost quote) are refused.
 */

enum { NESTING_LIMIT = 16, MEMBERS_PER_PIECE = 32, NAME_LIMIT = 64, SHOWN_LIMIT = 100 };

enum expected {
  EXPECT_KEY,
  EXPECT_ASSIGNMENT,
  EXPECT_VALUE,
  EXPECT_VALUE_OR_CLOSE, /* just behind [ or ( */
  EXPECT_AFTER_VALUE,
  EXPECT_AFTER_STRING, /* in a group a string goes on with the next one */
};

/* An open bracket. Level 0 is the file. */
struct level {
  char closing; /* '}', ']' or ')'; '\0' for the file */
  struct token opening;
  struct token key;        /* that the value of this level belongs to */
  enum token_kind element; /* of an array: kind of its first element */
  size_t members;
  struct name_table names; /* kept from group to group */
};

struct scan {
  const struct source *source;
  struct diagnostic_list *diagnostics;
  struct lexer lexer;
  enum expected expected;
  unsigned depth;
  struct level levels[NESTING_LIMIT + 1];
  struct token key;      /* the last one */
  struct token previous; /* the token before this one */
  char *output;
  size_t output_length, output_capacity;
  size_t copied; /* bytes of the source that are in the output */
  struct piece *pieces;
  size_t piece_count, piece_capacity;
  unsigned duplicates;
  bool failed, out_of_memory;
};

/* ---- the output ---- */

static void output_bytes(struct scan *scan, const char *bytes, size_t length) {
  size_t need = scan->output_length + length + 1;
  if (need > scan->output_capacity) {
    size_t capacity = need * 2;
    char *larger = realloc(scan->output, capacity);
    if (!larger) {
      scan->out_of_memory = true;
      return;
    }
    scan->output = larger;
    scan->output_capacity = capacity;
  }
  memcpy(scan->output + scan->output_length, bytes, length);
  scan->output_length += length;
  scan->output[scan->output_length] = '\0';
}

static void output_until(struct scan *scan, size_t offset) {
  output_bytes(scan, scan->source->text + scan->copied, offset - scan->copied);
  scan->copied = offset;
}

static void output_insert(struct scan *scan, size_t offset, const char *text, size_t length) {
  output_until(scan, offset);
  output_bytes(scan, text, length);
}

/* Ends the piece before and begins one; the source goes on at the token. */
static struct piece *begin_piece(struct scan *scan, const struct token *name, const struct token *token) {
  if (scan->piece_count == scan->piece_capacity) {
    size_t capacity = scan->piece_capacity ? scan->piece_capacity * 2 : 64;
    struct piece *larger = reallocarray(scan->pieces, capacity, sizeof(*larger));
    if (!larger) {
      scan->out_of_memory = true;
      return NULL;
    }
    scan->pieces = larger;
    scan->piece_capacity = capacity;
  }
  output_insert(scan, token->offset, "", 1);
  struct piece *piece = &scan->pieces[scan->piece_count++];
  *piece = (struct piece){.name = scan->source->text + name->offset,
                          .name_length = name->length,
                          .offset = scan->output_length,
                          .line = token->line,
                          .at = name->offset};
  return piece;
}

/* ---- complaints ---- */

static struct place place_of(const struct scan *scan, const struct token *token) {
  return source_place_at(scan->source, token->offset, token->length);
}

static const char *token_text(const struct scan *scan, const struct token *token) {
  size_t length = token->length < SHOWN_LIMIT ? token->length : SHOWN_LIMIT;
  while (length > 0 && ((unsigned char)scan->source->text[token->offset + length] & 0xc0) == 0x80)
    length--;
  const char *text = arena_strndup(scan->diagnostics->arena, scan->source->text + token->offset, length);
  return text ? text : "";
}

#define SYNTAX(scan, token, ...)                                                                                       \
  ((scan)->failed = true,                                                                                              \
   diagnostic_add((scan)->diagnostics, SEVERITY_ERROR, "P01", place_of((scan), (token)), "", __VA_ARGS__))
#define HINT(scan, diagnostic, ...) diagnostic_hint((scan)->diagnostics, (diagnostic), __VA_ARGS__)

static bool is_full_width(const char *text) {
  /* U+3000 to U+303F and U+FF00 to U+FFEF: what an input method leaves behind. */
  return memcmp(text, "\xe3\x80", 2) == 0 || memcmp(text, "\xef\xbc", 2) == 0 || memcmp(text, "\xef\xbd", 2) == 0;
}

/* A lost quote turns what is inside and outside of strings around, and shows only behind the next string. */
static void suspect_string(struct scan *scan, struct diagnostic *diagnostic) {
  const struct token *string = &scan->previous;
  const char *text = token_text(scan, string);
  if (string->kind == TOKEN_STRING && (strchr(text, ';') || strchr(text, '=')))
    diagnostic_relate(scan->diagnostics, diagnostic, place_of(scan, string),
                      "この文字列は、閉じる引用符が抜けていませんか", "does this string lack its closing quote?");
}

static void refuse_strange(struct scan *scan, const struct token *token) {
  const char *text = token_text(scan, token);
  struct diagnostic *diagnostic;
  if (strlen(text) > 2 && is_full_width(text)) {
    diagnostic = SYNTAX(scan, token, "全角文字「%s」があります", "full-width character '%s'", text);
    HINT(scan, diagnostic, "記号と空白は半角で書いてください。全角は引用符の中だけで使えます",
         "write marks and blanks in ASCII; other characters only between quotes");
  } else if (text[0] == '@') {
    diagnostic = SYNTAX(scan, token, "「%s」は読めません", "'%s' cannot be read", text);
    HINT(scan, diagnostic, "取り込みは行の先頭に @include \"ファイル名\" と書いてください",
         "to include a file write @include \"FILE\" at the start of a line");
  } else {
    diagnostic = SYNTAX(scan, token, "ここに「%s」は書けません", "'%s' cannot stand here", text);
    HINT(scan, diagnostic, "文字列なら引用符で囲んでください", "put quotes around a string");
    suspect_string(scan, diagnostic);
  }
}

static void refuse_bad_token(struct scan *scan, const struct token *token) {
  struct diagnostic *diagnostic;
  if (token->kind == TOKEN_OPEN_STRING) {
    diagnostic =
        SYNTAX(scan, token, "文字列が閉じていません: %s", "the string is not closed: %s", token_text(scan, token));
    HINT(scan, diagnostic, "行の終わりまでに引用符 \" で閉じてください", "close it with \" before the end of the line");
  } else if (token->kind == TOKEN_OPEN_COMMENT) {
    diagnostic = SYNTAX(scan, token, "注釈 /* が閉じていません", "the comment /* is not closed");
    HINT(scan, diagnostic, "*/ で閉じてください", "close it with */");
  } else {
    refuse_strange(scan, token);
  }
}

static bool is_mark(const struct scan *scan, const struct token *token, char mark) {
  return token_is_mark(&scan->lexer, token, mark);
}

static bool is_closing(const struct scan *scan, const struct token *token) {
  return is_mark(scan, token, '}') || is_mark(scan, token, ']') || is_mark(scan, token, ')');
}

static void refuse_end(struct scan *scan) {
  struct level *level = &scan->levels[scan->depth];
  struct diagnostic *diagnostic = SYNTAX(scan, &level->opening, "「%s」が閉じられないままファイルが終わっています",
                                         "'%s' is never closed", token_text(scan, &level->opening));
  HINT(scan, diagnostic, "「%c」を補ってください（途中で一つ抜けていませんか）", "add the missing '%c'",
       level->closing);
}

static void refuse_closing(struct scan *scan, const struct token *token) {
  const struct level *level = &scan->levels[scan->depth];
  const char *found = token_text(scan, token);
  if (scan->depth == 0) {
    SYNTAX(scan, token, "余分な「%s」があります", "'%s' closes nothing", found);
    return;
  }
  struct diagnostic *diagnostic = SYNTAX(scan, token, "「%c」で閉じるべきところに「%s」があります",
                                         "expected '%c' but found '%s'", level->closing, found);
  diagnostic_relate(scan->diagnostics, diagnostic, place_of(scan, &level->opening), "開いたのはここです",
                    "opened here");
}

/* A word where a value or a mark should be. */
static void refuse_value(struct scan *scan, const struct token *token) {
  const char *text = token_text(scan, token);
  struct diagnostic *diagnostic;
  if (token->kind == TOKEN_NAME) {
    diagnostic = SYNTAX(scan, token, "「%s」が引用符で囲まれていません", "'%s' has no quotes", text);
    HINT(scan, diagnostic, "\"%s\" と書いてください", "write \"%s\"", text);
  } else if (token->kind == TOKEN_END) {
    SYNTAX(scan, token, "値がないままファイルが終わっています", "the file ends where a value should be");
  } else {
    SYNTAX(scan, token, "値があるはずのところに「%s」があります", "expected a value but found '%s'", text);
  }
}

/* ---- brackets ---- */

static void open_level(struct scan *scan, const struct token *token) {
  static const char brackets[][2] = {{'{', '}'}, {'[', ']'}, {'(', ')'}};
  if (scan->depth == NESTING_LIMIT) {
    scan->failed = true;
    diagnostic_add(scan->diagnostics, SEVERITY_ERROR, "P14", place_of(scan, token), "",
                   "括弧の入れ子が深すぎます（上限は %d 段）", "brackets are nested more than %d deep", NESTING_LIMIT);
    return;
  }
  struct level *level = &scan->levels[++scan->depth];
  for (size_t i = 0; i < 3; i++)
    if (is_mark(scan, token, brackets[i][0]))
      level->closing = brackets[i][1];
  level->opening = *token;
  level->key = scan->key;
  level->element = TOKEN_END;
  level->members = 0;
  name_table_clear(&level->names);
  scan->expected = level->closing == '}' ? EXPECT_KEY : EXPECT_VALUE_OR_CLOSE;
}

static void close_level(struct scan *scan, const struct token *token) {
  if (scan->depth == 0 || !is_mark(scan, token, scan->levels[scan->depth].closing)) {
    refuse_closing(scan, token);
    return;
  }
  scan->depth--;
  scan->expected = EXPECT_AFTER_VALUE;
}

static bool in_group(const struct scan *scan) {
  return scan->levels[scan->depth].closing == '}' || scan->depth == 0;
}

/* ---- keys ---- */

static void report_duplicate(struct scan *scan, const struct token *token, size_t first) {
  const char *name = token_text(scan, token);
  struct diagnostic *diagnostic = diagnostic_add(scan->diagnostics, SEVERITY_ERROR, "P07", place_of(scan, token), "",
                                                 "「%s」が重複しています", "'%s' stands here a second time", name);
  diagnostic_relate(scan->diagnostics, diagnostic, source_place_at(scan->source, first, token->length), "最初の「%s」",
                    "the first '%s'", name);
  diagnostic_hint(scan->diagnostics, diagnostic, "どちらかを消すか、名前を変えてください",
                  "remove or rename one of them");
  char mark[24];
  int length = snprintf(mark, sizeof(mark), "*%u", ++scan->duplicates);
  output_insert(scan, token->offset + token->length, mark, (size_t)length);
  if (scan->depth == 0 && scan->piece_count > 0)
    scan->pieces[scan->piece_count - 1].duplicate = true;
}

static void check_name(struct scan *scan, const struct token *token) {
  const char *name = scan->source->text + token->offset;
  if (memchr(name, '*', token->length))
    diagnostic_add(scan->diagnostics, SEVERITY_ERROR, "P04", place_of(scan, token), "",
                   "名前「%s」に「*」は使えません。英数字と「-」「_」で書いてください",
                   "'%s': a name consists of letters, digits, '-' and '_'", token_text(scan, token));
  if (token->length > NAME_LIMIT)
    diagnostic_add(scan->diagnostics, SEVERITY_ERROR, "P14", place_of(scan, token), "",
                   "名前が長すぎます（%zu 文字、上限は %d 文字）", "the name is too long (%zu characters; at most %d)",
                   token->length, NAME_LIMIT);
}

/* The key is that of an outermost setting, or of a member of one. */
static void cut_piece(struct scan *scan, const struct token *token) {
  struct level *level = &scan->levels[scan->depth];
  if (scan->depth == 0) {
    begin_piece(scan, token, token);
  } else if (scan->depth == 1 && level->members > 0 && level->members % MEMBERS_PER_PIECE == 0) {
    bool duplicate = scan->pieces[scan->piece_count - 1].duplicate;
    output_insert(scan, token->offset, "}", 1);
    struct piece *piece = begin_piece(scan, &level->key, token);
    if (!piece)
      return;
    piece->duplicate = duplicate;
    piece->continues = true;
    output_bytes(scan, piece->name, piece->name_length);
    output_bytes(scan, "={", 2);
  }
  level->members++;
  if (scan->depth == 1)
    scan->pieces[scan->piece_count - 1].members++;
}

static void take_key(struct scan *scan, const struct token *token) {
  struct level *level = &scan->levels[scan->depth];
  size_t first;
  check_name(scan, token);
  cut_piece(scan, token);
  if (scan->out_of_memory)
    return;
  int result = name_table_add(&level->names, scan->source->text + token->offset, token->length, token->offset, &first);
  if (result == -EEXIST)
    report_duplicate(scan, token, first);
  else if (result < 0)
    scan->out_of_memory = true;
  scan->key = *token;
  scan->expected = EXPECT_ASSIGNMENT;
}

/* ---- values ---- */

/* libconfig turns "\x00" into the end of the string. */
static void check_string(struct scan *scan, const struct token *token) {
  const char *text = scan->source->text + token->offset;
  for (size_t i = 0; i + 1 < token->length; i++) {
    if (text[i] != '\\')
      continue;
    i++;
    if (token->length - i > 3 && memcmp(text + i, "x00", 3) == 0)
      diagnostic_add(scan->diagnostics, SEVERITY_ERROR, "P08", place_of(scan, token), "",
                     "文字列に NUL（\\x00）は書けません", "a string cannot hold NUL (\\x00)");
  }
}

/* All digits of the number are meant: without an L libconfig would cut it to 32 bits without a word. */
static void check_number(struct scan *scan, const struct token *token) {
  const char *text = token_text(scan, token);
  bool hexadecimal = strpbrk(text, "xX") != NULL;
  if (!hexadecimal && strpbrk(text, ".eE"))
    return;
  errno = 0;
  long long value = strtoll(text, NULL, hexadecimal ? 16 : 10);
  if (errno == ERANGE) {
    scan->failed = true;
    diagnostic_add(scan->diagnostics, SEVERITY_ERROR, "P04", place_of(scan, token), "", "数が大きすぎます: %s",
                   "the number is out of range: %s", text);
  } else if ((value > INT32_MAX || value < INT32_MIN) && !strchr(text, 'L')) {
    output_insert(scan, token->offset + token->length, "L", 1);
  }
}

static void check_element(struct scan *scan, const struct token *token) {
  struct level *level = &scan->levels[scan->depth];
  if (level->closing != ']')
    return;
  if (level->element == TOKEN_END)
    level->element = token->kind;
  if (level->element == token->kind)
    return;
  struct diagnostic *diagnostic = SYNTAX(scan, token, "[ ] の中の値の型がそろっていません: %s",
                                         "the values in [ ] differ in type: %s", token_text(scan, token));
  HINT(scan, diagnostic, "文字列ならすべて引用符で囲んでください", "put quotes around every string");
}

static void take_scalar(struct scan *scan, const struct token *token) {
  if (token->kind == TOKEN_STRING)
    check_string(scan, token);
  if (token->kind == TOKEN_NUMBER)
    check_number(scan, token);
  check_element(scan, token);
  scan->expected = token->kind == TOKEN_STRING ? EXPECT_AFTER_STRING : EXPECT_AFTER_VALUE;
}

static void take_value(struct scan *scan, const struct token *token) {
  bool opening = is_mark(scan, token, '{') || is_mark(scan, token, '[') || is_mark(scan, token, '(');
  if (opening && scan->levels[scan->depth].closing == ']') {
    struct diagnostic *diagnostic =
        SYNTAX(scan, token, "[ ] の中に「%s」は書けません", "'%s' cannot stand in [ ]", token_text(scan, token));
    HINT(scan, diagnostic, "( ) で書いてください", "use ( ) instead");
  } else if (opening) {
    open_level(scan, token);
  } else if (token->kind == TOKEN_STRING || token->kind == TOKEN_NUMBER || token->kind == TOKEN_BOOLEAN) {
    take_scalar(scan, token);
  } else {
    refuse_value(scan, token);
  }
}

/* ---- one token ---- */

static void expect_key(struct scan *scan, const struct token *token) {
  if (token->kind == TOKEN_NAME)
    take_key(scan, token);
  else if (is_closing(scan, token))
    close_level(scan, token);
  else if (token->kind == TOKEN_END && scan->depth > 0)
    refuse_end(scan);
  else if (token->kind != TOKEN_END)
    SYNTAX(scan, token, "キーがあるはずのところに「%s」があります", "expected a key but found '%s'",
           token_text(scan, token));
}

static void expect_assignment(struct scan *scan, const struct token *token) {
  const char *key = token_text(scan, &scan->key);
  if (is_mark(scan, token, '=') || is_mark(scan, token, ':'))
    scan->expected = EXPECT_VALUE;
  else if (token->kind == TOKEN_END)
    SYNTAX(scan, &scan->key, "「%s」に値がないままファイルが終わっています", "the file ends behind '%s'", key);
  else
    suspect_string(scan, SYNTAX(scan, token, "キー「%s」の後に「=」がありません", "no '=' behind the key '%s'", key));
}

static void expect_comma(struct scan *scan, const struct token *token) {
  if (is_mark(scan, token, ',')) {
    scan->expected = EXPECT_VALUE;
  } else if (is_closing(scan, token)) {
    close_level(scan, token);
  } else if (token->kind == TOKEN_END) {
    refuse_end(scan);
  } else {
    struct diagnostic *diagnostic =
        SYNTAX(scan, token, "「%s」の前に「,」がありません", "no ',' before %s", token_text(scan, token));
    HINT(scan, diagnostic, "値と値の間に「,」を書いてください", "write ',' between two values");
  }
}

static void expect_after_value(struct scan *scan, const struct token *token) {
  if (!in_group(scan)) {
    expect_comma(scan, token);
  } else if (scan->expected == EXPECT_AFTER_STRING && token->kind == TOKEN_STRING) {
    check_string(scan, token);
  } else if (is_mark(scan, token, ';') || is_mark(scan, token, ',')) {
    scan->expected = EXPECT_KEY;
  } else {
    expect_key(scan, token);
  }
}

static void scan_token(struct scan *scan, const struct token *token) {
  if (token->kind >= TOKEN_OPEN_STRING || token->kind == TOKEN_INCLUDE) {
    refuse_bad_token(scan, token);
    return;
  }
  switch (scan->expected) {
  case EXPECT_KEY:
    expect_key(scan, token);
    break;
  case EXPECT_ASSIGNMENT:
    expect_assignment(scan, token);
    break;
  case EXPECT_VALUE_OR_CLOSE:
    if (is_closing(scan, token))
      close_level(scan, token);
    else
      take_value(scan, token);
    break;
  case EXPECT_VALUE:
    if (is_closing(scan, token) && !in_group(scan))
      SYNTAX(scan, token, "最後の「,」の後に値がありません", "no value behind the last ','");
    else
      take_value(scan, token);
    break;
  case EXPECT_AFTER_VALUE:
  case EXPECT_AFTER_STRING:
    expect_after_value(scan, token);
    break;
  }
}

static void check_patience(struct scan *scan, const struct token *token) {
  if (scan->failed || scan->diagnostics->errors < PROBLEM_LIMIT)
    return;
  scan->failed = true;
  diagnostic_add(scan->diagnostics, SEVERITY_ERROR, "P14", place_of(scan, token), "",
                 "誤りが %d 件を超えたので、ここで打ち切りました。まず、これまでの誤りを直してください",
                 "more than %d errors: the rest is not looked at; put these right first", PROBLEM_LIMIT);
}

static void scan_free(struct scan *scan) {
  for (size_t i = 0; i <= NESTING_LIMIT; i++)
    name_table_free(&scan->levels[i].names);
  free(scan->output);
  free(scan->pieces);
}

void pieces_free(struct pieces *pieces) {
  free(pieces->text);
  free(pieces->items);
  *pieces = (struct pieces){0};
}

int scan_source(const struct source *source, struct diagnostic_list *diagnostics, struct pieces *ret_pieces,
                bool *ret_well_formed, struct error *error) {
  struct scan scan = {.source = source, .diagnostics = diagnostics, .expected = EXPECT_KEY};
  struct token token;
  lexer_init(&scan.lexer, source->text, source->length);
  do {
    token = lexer_next(&scan.lexer);
    scan_token(&scan, &token);
    scan.previous = token;
    check_patience(&scan, &token);
  } while (token.kind != TOKEN_END && !scan.failed && !scan.out_of_memory);
  output_until(&scan, source->length);
  if (!scan.out_of_memory) {
    *ret_pieces = (struct pieces){scan.output, scan.pieces, scan.piece_count};
    *ret_well_formed = !scan.failed;
    scan.output = NULL;
    scan.pieces = NULL;
  }
  scan_free(&scan);
  return scan.out_of_memory ? error_set(error, ENOMEM, "%s", strerror(ENOMEM)) : 0;
}

bool scan_name_is_usable(const char *name) {
  return name && !strchr(name, '*');
}
