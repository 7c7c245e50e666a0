/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/read_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "policy/read.h"
#include "policy/read_lexer.h"

/*
 * libconfig reads included files by itself, but relative to the working directory, without a look at what kind of
 * file it opens, and its places then name no file for an error. So the files are spliced together here, @include by
 * @include, and libconfig is handed one text. Segments lead back: each says which line of which file begins where.
 */

enum { INCLUDE_DEPTH_LIMIT = 10, INCLUDE_COUNT_LIMIT = 1000, READ_STEP = 256 * 1024 };

struct file_text {
  char *data;
  size_t length;
  dev_t device;
  ino_t inode;
};

/* A file that is being spliced in, and where it was asked for. */
struct open_file {
  const char *name;
  const struct file_text *text;
  struct place included_at; /* file NULL for the policy file itself */
  const struct open_file *parent;
  unsigned depth;
};

struct loader {
  struct source *source;
  struct diagnostic_list *diagnostics;
  unsigned include_count;
  unsigned line; /* at which the whole text ends */
  bool files_allowed;
  bool out_of_memory;
};

/* ---- reading one file ---- */

static const char *kind_refusal(enum language language, mode_t mode) {
  if (S_ISDIR(mode))
    return language_choose(language, "ファイルではなくディレクトリです", "is a directory, not a file");
  return language_choose(language, "通常のファイルではありません（装置、パイプなど）",
                         "is not a regular file (a device or a pipe)");
}

/* For people; the common ones in their language. */
static const char *errno_text(enum language language, int code) {
  switch (code) {
  case ENOENT:
    return language_choose(language, "ファイルがありません", "no such file");
  case EACCES:
  case EPERM:
    return language_choose(language, "読む権限がありません", "permission denied");
  case ELOOP:
    return language_choose(language, "シンボリックリンクが循環しています", "symbolic links form a loop");
  default:
    return strerror(code);
  }
}

static int check_regular(const struct stat *status, enum language language, struct error *error) {
  if (!S_ISREG(status->st_mode))
    return error_set(error, S_ISDIR(status->st_mode) ? EISDIR : EINVAL, "%s", kind_refusal(language, status->st_mode));
  if (status->st_size > POLICY_FILE_LIMIT)
    return error_set(error, EFBIG, "%s",
                     language_choose(language, "大きすぎます（上限は 64 MiB）", "is too large (the limit is 64 MiB)"));
  return 0;
}

/* A file may grow while it is read: the bound holds all the same. */
static int read_all(int file, struct file_text *text, enum language language, struct error *error) {
  for (;;) {
    char *larger = realloc(text->data, text->length + READ_STEP);
    if (!larger)
      return error_set(error, ENOMEM, "%s", strerror(ENOMEM));
    text->data = larger;
    ssize_t got = read(file, text->data + text->length, READ_STEP);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return error_set(error, errno, "%s", errno_text(language, errno));
    text->length += (size_t)got;
    if (got == 0)
      return 0;
    if (text->length > POLICY_FILE_LIMIT)
      return error_set(
          error, EFBIG, "%s",
          language_choose(language, "大きすぎます（上限は 64 MiB）", "is too large (the limit is 64 MiB)"));
  }
}

static int read_open_file(int file, struct file_text *text, enum language language, struct error *error) {
  struct stat status;
  if (fstat(file, &status) < 0)
    return error_set(error, errno, "%s", errno_text(language, errno));
  int result = check_regular(&status, language, error);
  if (result < 0)
    return result;
  text->device = status.st_dev;
  text->inode = status.st_ino;
  return read_all(file, text, language, error);
}

/* O_NONBLOCK: opening a pipe must not wait for a writer. text->data is to be freed in any case. */
static int read_file(const char *path, struct file_text *text, enum language language, struct error *error) {
  int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (file < 0)
    return error_set(error, errno, "%s", errno_text(language, errno));
  int result = read_open_file(file, text, language, error);
  close(file);
  return result;
}

/* ---- the encoding ---- */

static unsigned count_characters(const char *text, size_t length) {
  unsigned count = 0;
  for (size_t i = 0; i < length; i++)
    count += ((unsigned char)text[i] & 0xc0) != 0x80;
  return count;
}

static struct place place_in_file(const char *name, const struct file_text *text, size_t offset) {
  struct place place = {.file = name, .line = 1, .column = 1, .length = 1};
  for (size_t i = 0; i < offset; i++) {
    if (text->data[i] == '\n') {
      place.line++;
      place.column = 1;
    } else if (((unsigned char)text->data[i] & 0xc0) != 0x80) {
      place.column++;
    }
  }
  return place;
}

static bool is_utf16(const struct file_text *text) {
  return text->length >= 2 && (memcmp(text->data, "\xff\xfe", 2) == 0 || memcmp(text->data, "\xfe\xff", 2) == 0);
}

static void report_bad_byte(struct loader *loader, const char *name, const struct file_text *text, size_t offset) {
  struct place place = place_in_file(name, text, offset);
  struct diagnostic *diagnostic = diagnostic_add(loader->diagnostics, SEVERITY_ERROR, "P08", place, "",
                                                 "UTF-8 として読めません（%u 行 %u 文字目、バイト 0x%02x）",
                                                 "is not UTF-8 (line %u, character %u, byte 0x%02x)", place.line,
                                                 place.column, (unsigned)(unsigned char)text->data[offset]);
  diagnostic_hint(loader->diagnostics, diagnostic,
                  "文字コードを UTF-8 にして保存し直してください（Shift_JIS や UTF-16 で保存していませんか）",
                  "save the file as UTF-8 (it may be Shift_JIS or UTF-16)");
}

static void report_control(struct loader *loader, const char *name, const struct file_text *text, size_t offset) {
  struct diagnostic *diagnostic =
      diagnostic_add(loader->diagnostics, SEVERITY_ERROR, "P08", place_in_file(name, text, offset), "",
                     "制御文字 0x%02x があります。テキストファイルではありません",
                     "control character 0x%02x: not a text file", (unsigned)(unsigned char)text->data[offset]);
  diagnostic_hint(loader->diagnostics, diagnostic, "ファイル名を確かめ、その文字を除いてください",
                  "check the file name and remove the character");
}

static bool is_control(char c) {
  return ((unsigned char)c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f') || c == 0x7f;
}

static bool check_encoding(struct loader *loader, const char *name, const struct file_text *text) {
  size_t bad = text->length;
  bool well_formed = text_is_utf8(text->data, text->length, &bad);
  if (is_utf16(text))
    well_formed = false, bad = 0;
  for (size_t i = 0; i < text->length && i < (well_formed ? text->length : bad); i++)
    if (is_control(text->data[i])) {
      report_control(loader, name, text, i);
      return false;
    }
  if (!well_formed)
    report_bad_byte(loader, name, text, bad);
  return well_formed;
}

/* Editors of Windows put a byte order mark in front; it says nothing, and libconfig would stumble over it. */
static void drop_byte_order_mark(struct file_text *text) {
  if (text->length >= 3 && memcmp(text->data, "\xef\xbb\xbf", 3) == 0) {
    text->length -= 3;
    memmove(text->data, text->data + 3, text->length);
  }
}

/* ---- splicing ---- */

static bool grow_text(struct source *source, size_t length) {
  size_t need = source->length + length + 1;
  if (need <= source->capacity)
    return true;
  size_t capacity = need + source->capacity;
  char *larger = realloc(source->text, capacity);
  if (!larger)
    return false;
  source->text = larger;
  source->capacity = capacity;
  return true;
}

static unsigned count_lines(const char *text, size_t length) {
  unsigned lines = 0;
  for (const char *at = text; (at = memchr(at, '\n', length - (size_t)(at - text))) != NULL; at++)
    lines++;
  return lines;
}

static void append(struct loader *loader, const char *text, size_t length) {
  struct source *source = loader->source;
  if (!grow_text(source, length)) {
    loader->out_of_memory = true;
    return;
  }
  memcpy(source->text + source->length, text, length);
  source->length += length;
  source->text[source->length] = '\0';
  loader->line += count_lines(text, length);
}

/* From here on the text comes from `line` of that file. The whole text stands at the start of a line. */
static void begin_segment(struct loader *loader, const char *file, unsigned line) {
  struct source *source = loader->source;
  void *segments = source->segments;
  if (arena_grow(source->arena, &segments, source->segment_count, &source->segment_capacity,
                 sizeof(*source->segments)) < 0) {
    loader->out_of_memory = true;
    return;
  }
  source->segments = segments;
  source->segments[source->segment_count++] = (struct source_segment){loader->line, file, line};
}

static size_t line_start(const char *text, size_t offset) {
  while (offset > 0 && text[offset - 1] != '\n')
    offset--;
  return offset;
}

static struct place place_of_include(const struct open_file *file, const struct token *token) {
  size_t start = line_start(file->text->data, token->offset);
  return (struct place){.file = file->name,
                        .line = token->line,
                        .column = count_characters(file->text->data + start, token->offset - start) + 1,
                        .length = count_characters(file->text->data + token->offset, token->length)};
}

static struct diagnostic *report_include(struct loader *loader, const struct open_file *file, const struct token *token,
                                         const char *path, const char *why) {
  return diagnostic_add(loader->diagnostics, SEVERITY_ERROR, "P09", place_of_include(file, token), "",
                        "@include \"%s\": %s", "@include \"%s\": %s", path, why);
}

/* The path between the quotes, beside the including file unless absolute. */
static const char *include_path(struct loader *loader, const struct open_file *file, const struct token *token) {
  struct arena *arena = loader->source->arena;
  const char *end = file->text->data + token->offset + token->length - 1;
  const char *start = (const char *)memchr(file->text->data + token->offset, '"', token->length) + 1;
  char *path = arena_strndup(arena, start, (size_t)(end - start));
  const char *slash = strrchr(file->name, '/');
  if (path && path[0] != '/' && slash)
    path = arena_printf(arena, "%.*s/%s", (int)(slash - file->name), file->name, path);
  if (!path)
    loader->out_of_memory = true;
  return path;
}

static const struct open_file *find_open(const struct open_file *file, const struct file_text *text) {
  for (; file; file = file->parent)
    if (file->text->device == text->device && file->text->inode == text->inode)
      return file;
  return NULL;
}

static void report_loop(struct loader *loader, const struct open_file *file, const struct token *token,
                        const char *path, const struct open_file *again) {
  enum language language = loader->diagnostics->language;
  struct diagnostic *diagnostic =
      report_include(loader, file, token, path,
                     language_choose(language, "自分自身を取り込んでいます（循環）", "includes itself (a loop)"));
  if (again->included_at.file)
    diagnostic_relate(loader->diagnostics, diagnostic, again->included_at, "最初の取り込みはここです",
                      "first included here");
  diagnostic_hint(loader->diagnostics, diagnostic, "どちらかの @include を消してください",
                  "remove one of the @include lines");
}

static void splice_file(struct loader *loader, const struct open_file *file);

static void splice_read(struct loader *loader, const struct open_file *parent, const struct token *token,
                        const char *path, struct file_text *text) {
  struct error error = {0};
  if (read_file(path, text, loader->diagnostics->language, &error) < 0) {
    struct diagnostic *diagnostic = report_include(loader, parent, token, path, error.message);
    diagnostic_hint(loader->diagnostics, diagnostic, "相対パスは、取り込む側のファイルのある場所から数えます",
                    "a relative path starts beside the including file");
    return;
  }
  drop_byte_order_mark(text);
  const struct open_file *again = find_open(parent, text);
  if (again) {
    report_loop(loader, parent, token, path, again);
  } else if (loader->source->length + text->length > POLICY_FILE_LIMIT) {
    report_include(loader, parent, token, path,
                   language_choose(loader->diagnostics->language, "合計が大きすぎます（上限は 64 MiB）",
                                   "all files together are too large (the limit is 64 MiB)"));
  } else if (check_encoding(loader, path, text)) {
    struct open_file file = {path, text, place_of_include(parent, token), parent, parent->depth + 1};
    splice_file(loader, &file);
  }
}

static const char *include_refusal(struct loader *loader, const struct open_file *parent) {
  enum language language = loader->diagnostics->language;
  if (!loader->files_allowed)
    return language_choose(language, "ここでは取り込みを使えません", "cannot include files here");
  if (parent->depth + 1 >= INCLUDE_DEPTH_LIMIT)
    return language_choose(language, "取り込みの段数が上限（10）を超えています",
                           "included files are nested more than 10 deep");
  if (++loader->include_count > INCLUDE_COUNT_LIMIT)
    return language_choose(language, "取り込みの数が上限（1,000）を超えています", "more than 1,000 included files");
  return NULL;
}

static void splice_include(struct loader *loader, const struct open_file *parent, const struct token *token) {
  const char *path = include_path(loader, parent, token);
  if (!path)
    return;
  const char *refusal = include_refusal(loader, parent);
  if (refusal) {
    report_include(loader, parent, token, path, refusal);
    return;
  }
  struct file_text text = {0};
  splice_read(loader, parent, token, path, &text);
  free(text.data);
}

/* The next @include of the file, or its end. */
static struct token next_include(struct lexer *lexer) {
  struct token token;
  do
    token = lexer_next(lexer);
  while (token.kind != TOKEN_INCLUDE && token.kind != TOKEN_END);
  return token;
}

/* The blanks before an @include are left out, so that the included text starts at the start of a line. */
static void splice_file(struct loader *loader, const struct open_file *file) {
  struct lexer lexer;
  struct token token = {.line = 1};
  size_t done = 0, length = file->text->length;
  lexer_init(&lexer, file->text->data, length);
  while (!loader->out_of_memory) {
    begin_segment(loader, file->name, token.line);
    if (done == length || !memmem(file->text->data + done, length - done, "@include", 8)) {
      append(loader, file->text->data + done, length - done);
      return;
    }
    token = next_include(&lexer);
    size_t start = token.kind == TOKEN_END ? length : line_start(file->text->data, token.offset);
    if (start > done)
      append(loader, file->text->data + done, start - done);
    if (token.kind == TOKEN_END)
      return;
    splice_include(loader, file, &token);
    append(loader, "\n", 1);
    done = token.offset + token.length;
  }
}

/* ---- the whole ---- */

/*
 * The language that the text asks for, before anything else is known about it, so that also the first complaint is
 * made in it: the value of a key `language` of the outermost group `policy`.
 */
static enum language guess_language(const struct file_text *text, enum language otherwise) {
  struct lexer lexer;
  struct token token, before = {0}, name = {0};
  unsigned depth = 0;
  bool in_policy = false;
  lexer_init(&lexer, text->data, text->length);
  for (token = lexer_next(&lexer); token.kind != TOKEN_END; before = token, token = lexer_next(&lexer)) {
    const char *at = text->data + token.offset;
    if (token.kind == TOKEN_NAME && (before.kind != TOKEN_MARK || !strchr("=:", text->data[before.offset])))
      name = token;
    bool named_policy = name.length == 6 && memcmp(text->data + name.offset, "policy", 6) == 0;
    if (token_is_mark(&lexer, &token, '{') && depth++ == 0)
      in_policy = named_policy;
    else if (token_is_mark(&lexer, &token, '}') && depth > 0 && --depth == 0 && in_policy)
      return LANGUAGE_JAPANESE; /* the default of the key */
    else if (token.kind == TOKEN_STRING && depth == 1 && in_policy && name.length == 8 && token.length == 4 &&
             memcmp(text->data + name.offset, "language", 8) == 0)
      return memcmp(at, "\"en\"", 4) == 0 ? LANGUAGE_ENGLISH : LANGUAGE_JAPANESE;
  }
  return otherwise;
}

static int index_lines(struct source *source) {
  size_t count = count_lines(source->text, source->length) + (size_t)1;
  source->line_starts = calloc(count, sizeof(*source->line_starts));
  if (!source->line_starts)
    return -ENOMEM;
  source->line_count = 1;
  for (const char *at = source->text; (at = memchr(at, '\n', source->length - (size_t)(at - source->text))) != NULL;)
    source->line_starts[source->line_count++] = (size_t)(++at - source->text);
  return 0;
}

static int load_root(struct loader *loader, const char *name, struct file_text *text, bool language_forced,
                     struct error *error) {
  struct source *source = loader->source;
  const char *kept = arena_strdup(source->arena, name);
  struct open_file file = {.name = kept, .text = text};
  drop_byte_order_mark(text);
  if (!language_forced)
    loader->diagnostics->language = guess_language(text, loader->diagnostics->language);
  append(loader, "", 0);
  if (kept && check_encoding(loader, kept, text))
    splice_file(loader, &file);
  if (source->length > 0 && source->text[source->length - 1] != '\n')
    append(loader, "\n", 1); /* libconfig knows a comment by the end of its line */
  if (!kept || loader->out_of_memory || index_lines(source) < 0)
    return error_set(error, ENOMEM, "%s: %s", name, strerror(ENOMEM));
  return 0;
}

int source_load(struct source *source, const char *path, bool language_forced, struct diagnostic_list *diagnostics,
                struct error *error) {
  struct loader loader = {.source = source, .diagnostics = diagnostics, .line = 1, .files_allowed = true};
  struct file_text text = {0};
  *source = (struct source){.arena = diagnostics->arena};
  int result = read_file(path, &text, diagnostics->language, error);
  if (result < 0)
    result = error_wrap(error, "%s", path);
  else
    result = load_root(&loader, path, &text, language_forced, error);
  free(text.data);
  return result;
}

int source_load_text(struct source *source, const char *name, const char *text, size_t length, bool language_forced,
                     struct diagnostic_list *diagnostics, struct error *error) {
  struct loader loader = {.source = source, .diagnostics = diagnostics, .line = 1};
  *source = (struct source){.arena = diagnostics->arena};
  if (length > POLICY_FILE_LIMIT)
    return error_set(
        error, EFBIG, "%s: %s", name,
        language_choose(diagnostics->language, "大きすぎます（上限は 64 MiB）", "is too large (the limit is 64 MiB)"));
  struct file_text copy = {.data = malloc(length + 1), .length = length};
  if (!copy.data)
    return error_set(error, ENOMEM, "%s: %s", name, strerror(ENOMEM));
  memcpy(copy.data, text, length);
  int result = load_root(&loader, name, &copy, language_forced, error);
  free(copy.data);
  return result;
}

void source_free(struct source *source) {
  free(source->text);
  free(source->line_starts);
  *source = (struct source){0};
}

/* ---- places ---- */

struct place source_place(const struct source *source, unsigned line) {
  size_t low = 0, high = source->segment_count;
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (source->segments[middle].first_line <= line)
      low = middle;
    else
      high = middle;
  }
  if (high == 0)
    return (struct place){0};
  const struct source_segment *segment = &source->segments[low];
  return (struct place){.file = segment->file, .line = segment->line + (line - segment->first_line)};
}

struct place source_place_at(const struct source *source, size_t offset, size_t length) {
  size_t low = 0, high = source->line_count;
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (source->line_starts[middle] <= offset)
      low = middle;
    else
      high = middle;
  }
  struct place place = source_place(source, (unsigned)low + 1);
  size_t start = source->line_starts[low];
  place.column = count_characters(source->text + start, offset - start) + 1;
  place.length = count_characters(source->text + offset, length);
  return place;
}

struct place source_place_of(const struct source *source, unsigned line, unsigned from_column, const char *token) {
  struct place place = source_place(source, line);
  place.column = from_column;
  if (line == 0 || line > source->line_count)
    return place;
  size_t start = source->line_starts[line - 1];
  size_t end = line < source->line_count ? source->line_starts[line] - 1 : source->length;
  return place_of_token_in(place, source->text + start, end - start, token);
}

/* Lines of the whole text that a segment covers. */
static unsigned segment_lines(const struct source *source, size_t index) {
  unsigned end =
      index + 1 < source->segment_count ? source->segments[index + 1].first_line : (unsigned)source->line_count + 1;
  return end - source->segments[index].first_line;
}

struct place source_point(const struct source *source, struct place place, const char *token) {
  for (size_t i = 0; i < source->segment_count; i++) {
    const struct source_segment *segment = &source->segments[i];
    if (segment->file == place.file && place.line >= segment->line &&
        place.line - segment->line < segment_lines(source, i))
      return source_place_of(source, segment->first_line + (place.line - segment->line), 0, token);
  }
  return place;
}
