/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "base/text.h"
#include "cli/verb.h"

struct table {
  struct arena *arena;
  size_t column_count;
  const char **headers;
  bool *right;
  size_t *widths;
  const char **cells; /* row by row */
  size_t cell_count, cell_capacity;
};

static void widen(struct table *table, size_t column, const char *text) {
  size_t width = text_width(text);
  if (width > table->widths[column]) {
    table->widths[column] = width;
  }
}

struct table *table_new(struct arena *arena, const char *const *headers, size_t column_count) {
  struct table *table = ARENA_NEW(arena, struct table);
  if (!table) {
    return NULL;
  }
  *table = (struct table){.arena = arena,
                          .column_count = column_count,
                          .headers = ARENA_ARRAY(arena, column_count, const char *),
                          .right = ARENA_ARRAY(arena, column_count, bool),
                          .widths = ARENA_ARRAY(arena, column_count, size_t)};
  if (arena_failed(arena)) {
    return NULL;
  }
  for (size_t i = 0; i < column_count; i++) {
    table->right[i] = headers[i][0] == '>';
    table->headers[i] = headers[i] + (table->right[i] ? 1 : 0);
    widen(table, i, table->headers[i]);
  }
  return table;
}

void table_add(struct table *table, const char *const *cells) {
  for (size_t i = 0; i < table->column_count; i++) {
    void *items = table->cells;
    if (arena_grow(table->arena, &items, table->cell_count, &table->cell_capacity, sizeof *table->cells) < 0) {
      return;
    }
    table->cells = items;
    const char *escaped = text_escape(table->arena, cells[i] ? cells[i] : "");
    table->cells[table->cell_count++] = escaped ? escaped : "";
    widen(table, i, table->cells[table->cell_count - 1]);
  }
}

static void pad(FILE *stream, size_t count) {
  fprintf(stream, "%*s", (int)count, "");
}

static void print_row(FILE *stream, const struct table *table, const char *const *cells) {
  for (size_t i = 0; i < table->column_count; i++) {
    size_t space = table->widths[i] - text_width(cells[i]);
    bool last = i + 1 == table->column_count;
    pad(stream, table->right[i] ? space : 0);
    fputs(cells[i], stream);
    pad(stream, last ? 0 : (table->right[i] ? 0 : space) + 2);
  }
  fputc('\n', stream);
}

void table_print(FILE *stream, const struct table *table, bool colour) {
  fputs(colour ? "\033[1m" : "", stream);
  print_row(stream, table, table->headers);
  fputs(colour ? "\033[0m" : "", stream);
  for (size_t i = 0; i + table->column_count <= table->cell_count; i += table->column_count) {
    print_row(stream, table, table->cells + i);
  }
}
