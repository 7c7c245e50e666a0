/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Problems are collected with their places and printed with the line that they speak of. Lines are read again from
 * the file when they are printed; a file that is gone by then costs only the quotation. Columns count characters;
 * where a caret goes is found by drawing the line up to that character, as a terminal shows it.
 */
#include "base/diagnostic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

enum {
  SOURCE_LIMIT = 64 * 1024 * 1024,
  QUOTE_WIDTH = 160,
  QUOTE_LEAD = 60,
  TAB_WIDTH = 4,
  LINE_LIMIT = 1024 * 1024,
  POINT_LIMIT = 32768, /* longer lines get no caret: nobody reads them, and each caret walks along its line */
  CHUNK_SIZE = 256 * 1024
};

/* ---- collecting ---- */

void diagnostic_list_init(struct diagnostic_list *list, struct arena *arena, enum language language) {
  *list = (struct diagnostic_list){.arena = arena, .language = language};
}

__attribute__((format(printf, 2, 0), format(printf, 3, 0))) static const char *
choose_printf(struct diagnostic_list *list, const char *japanese, const char *english, va_list arguments) {
  const char *text = list->language == LANGUAGE_JAPANESE ? arena_vprintf(list->arena, japanese, arguments)
                                                         : arena_vprintf(list->arena, english, arguments);
  if (text == NULL)
    list->out_of_memory = true;
  return text != NULL ? text : "";
}

static struct diagnostic *take_slot(struct diagnostic_list *list) {
  void *items = list->items;
  if (arena_grow(list->arena, &items, list->count, &list->capacity, sizeof(*list->items)) < 0) {
    list->out_of_memory = true;
    return &list->spare;
  }
  list->items = items;
  return &list->items[list->count++];
}

struct diagnostic *diagnostic_add(struct diagnostic_list *list, enum severity severity, const char *code,
                                  struct place place, const char *subject, const char *japanese, const char *english,
                                  ...) {
  va_list arguments;
  va_start(arguments, english);
  const char *message = choose_printf(list, japanese, english, arguments);
  va_end(arguments);
  const char *own_subject = subject != NULL ? arena_strdup(list->arena, subject) : NULL;
  struct diagnostic *diagnostic = take_slot(list);
  *diagnostic = (struct diagnostic){.code = code,
                                    .severity = severity,
                                    .place = place,
                                    .subject = own_subject != NULL ? own_subject : "",
                                    .message = message};
  list->errors += severity == SEVERITY_ERROR;
  list->warnings += severity == SEVERITY_WARNING;
  return diagnostic;
}

void diagnostic_hint(struct diagnostic_list *list, struct diagnostic *diagnostic, const char *japanese,
                     const char *english, ...) {
  va_list arguments;
  va_start(arguments, english);
  diagnostic->hint = choose_printf(list, japanese, english, arguments);
  va_end(arguments);
}

void diagnostic_relate(struct diagnostic_list *list, struct diagnostic *diagnostic, struct place place,
                       const char *japanese, const char *english, ...) {
  va_list arguments;
  va_start(arguments, english);
  const char *message = choose_printf(list, japanese, english, arguments);
  va_end(arguments);
  size_t capacity = diagnostic->related_count; /* full, or empty and to be begun */
  if (capacity == 0 || (capacity >= 8 && (capacity & (capacity - 1)) == 0)) {
    void *items = diagnostic->related;
    if (arena_grow(list->arena, &items, diagnostic->related_count, &capacity, sizeof(*diagnostic->related)) < 0) {
      list->out_of_memory = true;
      return;
    }
    diagnostic->related = items;
  }
  diagnostic->related[diagnostic->related_count++] = (struct diagnostic_related){place, message};
}

/* ---- sorting ---- */

struct sort_key {
  size_t file, index;
  const struct diagnostic *diagnostic;
};

static int compare_numbers(size_t left, size_t right) {
  return (left > right) - (left < right);
}

static int compare_keys(const void *left, const void *right) {
  const struct sort_key *a = left, *b = right;
  const struct place *p = &a->diagnostic->place, *q = &b->diagnostic->place;
  int order = compare_numbers(a->file, b->file);
  if (order == 0)
    order = compare_numbers(p->line, q->line);
  if (order == 0)
    order = compare_numbers(p->column, q->column);
  if (order == 0)
    order = strcmp(a->diagnostic->code, b->diagnostic->code);
  return order != 0 ? order : compare_numbers(a->index, b->index);
}

static bool same_file(const char *left, const char *right) {
  return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

/* Number of the file among those seen, in order of first appearance. */
static size_t file_number(const char **files, size_t *count, const char *file) {
  for (size_t i = *count; i-- > 0;)
    if (same_file(files[i], file))
      return i;
  files[*count] = file;
  return (*count)++;
}

void diagnostic_sort(struct diagnostic_list *list) {
  size_t file_count = 0;
  struct sort_key *keys = ARENA_ARRAY(list->arena, list->count, struct sort_key);
  const char **files = ARENA_ARRAY(list->arena, list->count, const char *);
  struct diagnostic *sorted = ARENA_ARRAY(list->arena, list->count, struct diagnostic);
  if (keys == NULL || files == NULL || sorted == NULL || list->count == 0)
    return;
  for (size_t i = 0; i < list->count; i++)
    keys[i] = (struct sort_key){file_number(files, &file_count, list->items[i].place.file), i, &list->items[i]};
  qsort(keys, list->count, sizeof(*keys), compare_keys);
  for (size_t i = 0; i < list->count; i++)
    sorted[i] = *keys[i].diagnostic;
  list->items = sorted;
  list->capacity = list->count;
}

/* ---- reading lines again ---- */

struct source {
  const char *file;
  char *data;
  size_t length;
  size_t *line_starts;
  size_t line_count;
};

struct source_cache {
  struct source *sources;
  size_t count;
};

static bool read_whole(int file, char *data, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t got = read(file, data + done, length - done);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return false;
    done += (size_t)got;
  }
  return true;
}

/* A descriptor of a regular file of bounded size, or -1. */
static int open_source(const char *path, size_t *ret_length) {
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  struct stat status;
  if (file < 0)
    return -1;
  if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= SOURCE_LIMIT) {
    *ret_length = (size_t)status.st_size;
    return file;
  }
  close(file);
  return -1;
}

/* NULL when the file cannot be read. */
static char *read_source(const char *path, size_t *ret_length) {
  size_t length;
  int file = open_source(path, &length);
  char *data = NULL;
  if (file >= 0) {
    data = malloc(length + 1);
    if (data != NULL && !read_whole(file, data, length)) {
      free(data);
      data = NULL;
    }
    *ret_length = length;
    close(file);
  }
  return data;
}

static void index_lines(struct source *source) {
  const char *end = source->data + source->length;
  size_t count = 1;
  for (const char *at = source->data; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
    count++;
  source->line_starts = calloc(count, sizeof(*source->line_starts));
  if (source->line_starts == NULL)
    return;
  source->line_count = 1;
  for (const char *at = source->data; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
    source->line_starts[source->line_count++] = (size_t)(at + 1 - source->data);
}

static const struct source *cached_source(struct source_cache *cache, const char *file) {
  for (size_t i = 0; i < cache->count; i++)
    if (strcmp(cache->sources[i].file, file) == 0)
      return &cache->sources[i];
  struct source *grown = reallocarray(cache->sources, cache->count + 1, sizeof(*grown));
  if (grown == NULL)
    return NULL;
  cache->sources = grown;
  struct source *source = &grown[cache->count++];
  *source = (struct source){.file = file};
  source->data = read_source(file, &source->length);
  if (source->data != NULL)
    index_lines(source);
  return source;
}

static void source_cache_clear(struct source_cache *cache) {
  for (size_t i = 0; i < cache->count; i++) {
    free(cache->sources[i].data);
    free(cache->sources[i].line_starts);
  }
  free(cache->sources);
}

/* Points at a line without its end; NULL when there is no such line. */
static const char *source_line(const struct source *source, unsigned number, size_t *ret_length) {
  if (source == NULL || number == 0 || number > source->line_count)
    return NULL;
  size_t start = source->line_starts[number - 1];
  size_t end = number < source->line_count ? source->line_starts[number] - 1 : source->length;
  if (end > start && source->data[end - 1] == '\r')
    end--;
  *ret_length = end - start;
  return source->data + start;
}

/* ---- finding a token ---- */

static bool is_word(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '_' ||
         byte == '-' || (byte & 0x80) != 0;
}

enum fit { FIT_QUOTED, FIT_WORD, FIT_ANYWHERE };

static bool fits(enum fit fit, const char *line, size_t length, size_t at, size_t size) {
  char before = at > 0 ? line[at - 1] : ' ', behind = at + size < length ? line[at + size] : ' ';
  if (fit == FIT_QUOTED)
    return before == '"' && behind == '"';
  return fit == FIT_ANYWHERE || (!is_word(before) && !is_word(behind));
}

/* Byte offset of the best fit from `from`; false when the token does not stand there. */
static bool find_token(const char *line, size_t length, size_t from, const char *token, size_t *ret_at,
                       bool *ret_quoted) {
  size_t size = strlen(token);
  for (int fit = FIT_QUOTED; fit <= FIT_ANYWHERE; fit++)
    for (size_t at = from; at <= length && size <= length - at; at++)
      if (memcmp(line + at, token, size) == 0 && fits((enum fit)fit, line, length, at, size)) {
        *ret_at = at;
        *ret_quoted = fit == FIT_QUOTED;
        return true;
      }
  return false;
}

static unsigned count_characters(const char *text, size_t length) {
  unsigned count = 0;
  for (size_t i = 0, size; i < length; i += size, count++) {
    uint32_t code;
    size = text_decode(text + i, length - i, &code);
    if (size == 0)
      size = 1;
  }
  return count;
}

static size_t byte_of_column(const char *line, size_t length, unsigned column) {
  size_t at = 0;
  for (unsigned i = 1; i < column && at < length; i++) {
    uint32_t code;
    size_t size = text_decode(line + at, length - at, &code);
    at += size != 0 ? size : 1;
  }
  return at;
}

struct place place_of_token_in(struct place line, const char *text, size_t length, const char *token) {
  struct place place = {line.file, line.line, 0, 0};
  size_t at;
  bool quoted;
  if (token == NULL || token[0] == '\0' || length > POINT_LIMIT ||
      !find_token(text, length, byte_of_column(text, length, line.column), token, &at, &quoted))
    return place;
  size_t size = strlen(token) + (quoted ? 2 : 0);
  at -= quoted;
  place.column = count_characters(text, at) + 1;
  place.length = count_characters(text + at, size);
  return place;
}

/* Looks for one line and keeps nothing else of the file: this is asked of large files, for many lines. */
struct line_search {
  char *line;
  size_t length;
  unsigned to_skip; /* line ends before it begins */
  bool done;
};

/* Takes the next part of the file. */
static void line_search_feed(struct line_search *search, const char *chunk, size_t length) {
  const char *end = chunk + length, *newline;
  for (; search->to_skip > 0; search->to_skip--, chunk = newline + 1)
    if ((newline = memchr(chunk, '\n', (size_t)(end - chunk))) == NULL)
      return;
  newline = memchr(chunk, '\n', (size_t)(end - chunk));
  size_t part = (size_t)((newline != NULL ? newline : end) - chunk);
  search->done = newline != NULL || part > (size_t)LINE_LIMIT - search->length;
  if (part > (size_t)LINE_LIMIT - search->length)
    part = (size_t)LINE_LIMIT - search->length;
  memcpy(search->line + search->length, chunk, part);
  search->length += part;
}

static bool find_line(const char *path, unsigned number, struct line_search *search) {
  size_t size;
  int file = number > 0 ? open_source(path, &size) : -1;
  if (file < 0)
    return false;
  char *chunk = malloc(CHUNK_SIZE);
  *search = (struct line_search){.line = malloc(LINE_LIMIT), .to_skip = number - 1};
  ssize_t got = chunk != NULL && search->line != NULL ? read(file, chunk, CHUNK_SIZE) : 0;
  for (; got > 0 && !search->done; got = read(file, chunk, CHUNK_SIZE))
    line_search_feed(search, chunk, (size_t)got);
  close(file);
  free(chunk);
  return true;
}

struct place place_of_token(struct place line, const char *token) {
  struct place place = {line.file, line.line, 0, 0};
  struct line_search search;
  if (line.file == NULL || !find_line(line.file, line.line, &search))
    return place;
  if (search.line != NULL)
    place = place_of_token_in(line, search.line, search.length, token);
  free(search.line);
  return place;
}

/* ---- printing ---- */

struct printer {
  FILE *stream;
  enum language language;
  bool colour;
  struct source_cache cache;
};

struct severity_style {
  const char *japanese, *english, *colour;
};

static const struct severity_style STYLES[] = {
    [SEVERITY_ERROR] = {"誤り", "error", "\033[1;31m"},
    [SEVERITY_WARNING] = {"警告", "warning", "\033[1;33m"},
    [SEVERITY_NOTE] = {"注記", "note", "\033[1;36m"},
};

static const char *paint(const struct printer *printer, const char *sequence) {
  return printer->colour ? sequence : "";
}

static void print_escaped(FILE *stream, const char *text) {
  char piece[TEXT_ESCAPE_SIZE];
  for (size_t length = strlen(text), i = 0; i < length;) {
    i += text_escape_character(text + i, length - i, piece);
    fputs(piece, stream);
  }
}

static size_t draw_character(const char *text, size_t length, char piece[static TEXT_ESCAPE_SIZE]) {
  if (text[0] != '\t')
    return text_escape_character(text, length, piece);
  memset(piece, ' ', TAB_WIDTH);
  piece[TAB_WIDTH] = '\0';
  return 1;
}

/* Columns that the first `characters` characters of a line take on the screen. */
static size_t drawn_width(const char *line, size_t length, unsigned characters) {
  char piece[TEXT_ESCAPE_SIZE];
  size_t width = 0;
  for (size_t i = 0; i < length && characters > 0; characters--) {
    if (line[i] >= ' ' && line[i] <= '~') {
      i++, width++;
      continue;
    }
    i += draw_character(line + i, length - i, piece);
    width += text_width(piece);
  }
  return width;
}

/* Draws the part of a line that begins at screen column `from`; returns the columns by which the drawing is shifted
 * to the left. A character that the edge cuts in two is left out. */
static size_t print_line(FILE *stream, const char *line, size_t length, size_t from) {
  char piece[TEXT_ESCAPE_SIZE];
  size_t width = 0, shift = from;
  bool begun = from == 0;
  for (size_t i = 0; i < length; width += text_width(piece)) {
    i += draw_character(line + i, length - i, piece);
    if (width < from)
      continue;
    if (!begun) {
      fputs("…", stream);
      shift = width - 1;
      begun = true;
    }
    if (width - shift >= QUOTE_WIDTH) {
      fputs("…", stream);
      break;
    }
    fputs(piece, stream);
  }
  return shift;
}

static void print_quote(struct printer *printer, const struct place *place, char marker) {
  size_t length;
  const char *line =
      place->file != NULL ? source_line(cached_source(&printer->cache, place->file), place->line, &length) : NULL;
  if (line == NULL)
    return;
  size_t before = place->column > 1 ? drawn_width(line, length, place->column - 1) : 0;
  fprintf(printer->stream, "%5u | ", place->line);
  size_t shift = print_line(printer->stream, line, length, before > QUOTE_WIDTH - QUOTE_LEAD ? before - QUOTE_LEAD : 0);
  fputc('\n', printer->stream);
  if (place->column == 0)
    return;
  unsigned behind = place->column - 1 + (place->length > 0 ? place->length : 1);
  size_t end = drawn_width(line, length, behind);
  fprintf(printer->stream, "      | %*s%s", (int)(before - shift), "", paint(printer, "\033[1;32m"));
  for (size_t i = before; i == before || (i < end && i - shift < QUOTE_WIDTH); i++)
    fputc(marker, printer->stream);
  fprintf(printer->stream, "%s\n", paint(printer, "\033[0m"));
}

static void print_head(struct printer *printer, const struct place *place, enum severity severity) {
  const struct severity_style *style = &STYLES[severity];
  if (place->file != NULL) {
    print_escaped(printer->stream, place->file);
    if (place->line != 0)
      fprintf(printer->stream, ":%u", place->line);
    fputs(": ", printer->stream);
  }
  fprintf(printer->stream, "%s%s%s: ", paint(printer, style->colour),
          language_choose(printer->language, style->japanese, style->english), paint(printer, "\033[0m"));
}

static void print_diagnostic(struct printer *printer, const struct diagnostic *diagnostic) {
  print_head(printer, &diagnostic->place, diagnostic->severity);
  if (diagnostic->subject[0] != '\0') {
    print_escaped(printer->stream, diagnostic->subject);
    fputs(": ", printer->stream);
  }
  print_escaped(printer->stream, diagnostic->message);
  fprintf(printer->stream, " [%s]\n", diagnostic->code);
  print_quote(printer, &diagnostic->place, '^');
  for (size_t i = 0; i < diagnostic->related_count; i++) {
    const struct diagnostic_related *related = &diagnostic->related[i];
    print_head(printer, &related->place, SEVERITY_NOTE);
    print_escaped(printer->stream, related->message);
    fputc('\n', printer->stream);
    print_quote(printer, &related->place, '~');
  }
  if (diagnostic->hint != NULL) {
    fputs("  → ", printer->stream);
    print_escaped(printer->stream, diagnostic->hint);
    fputc('\n', printer->stream);
  }
}

static void print_all(FILE *stream, const struct diagnostic_list *list, bool colour) {
  struct printer printer = {.stream = stream, .language = list->language, .colour = colour};
  for (size_t i = 0; i < list->count; i++)
    print_diagnostic(&printer, &list->items[i]);
  source_cache_clear(&printer.cache);
  if (list->out_of_memory)
    fprintf(stream, "%s\n",
            language_choose(list->language, "記憶が足りず、これ以外の診断は失われました",
                            "memory ran out: further diagnostics were lost"));
}

/* stderr has no buffer of its own: thousands of diagnostics are written together, not letter by letter. */
void diagnostic_print(FILE *stream, const struct diagnostic_list *list, bool colour) {
  char *text = NULL;
  size_t length = 0;
  FILE *memory = open_memstream(&text, &length);
  if (memory == NULL) {
    print_all(stream, list, colour);
    return;
  }
  print_all(memory, list, colour);
  if (fclose(memory) == 0)
    fwrite(text, 1, length, stream);
  free(text);
}

void place_print(FILE *stream, const struct place *place, char marker, bool colour) {
  struct printer printer = {.stream = stream, .colour = colour};
  print_quote(&printer, place, marker);
  source_cache_clear(&printer.cache);
}
