/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { NEAREST_WORD_LIMIT = 64 };

struct code_range {
  uint32_t first, last;
};

/* Characters that show nothing of themselves or reorder their neighbours. */
static const struct code_range HIDDEN[] = {
    {0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},     {0x061c, 0x061c}, {0x180e, 0x180e},   {0x200b, 0x200f},
    {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f},
};

/* East Asian Width W and F (UAX 11), as blocks. */
static const struct code_range WIDE[] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x2329, 0x232a},   {0x23e9, 0x23ec},   {0x23f0, 0x23f0},
    {0x23f3, 0x23f3},   {0x25fd, 0x25fe},   {0x2614, 0x2615},   {0x2648, 0x2653},   {0x267f, 0x267f},
    {0x2693, 0x2693},   {0x26a1, 0x26a1},   {0x26aa, 0x26ab},   {0x26bd, 0x26be},   {0x26c4, 0x26c5},
    {0x26ce, 0x26ce},   {0x26d4, 0x26d4},   {0x26ea, 0x26ea},   {0x26f2, 0x26f3},   {0x26f5, 0x26f5},
    {0x26fa, 0x26fa},   {0x26fd, 0x26fd},   {0x2705, 0x2705},   {0x270a, 0x270b},   {0x2728, 0x2728},
    {0x274c, 0x274c},   {0x274e, 0x274e},   {0x2753, 0x2755},   {0x2757, 0x2757},   {0x2795, 0x2797},
    {0x27b0, 0x27b0},   {0x27bf, 0x27bf},   {0x2b1b, 0x2b1c},   {0x2b50, 0x2b50},   {0x2b55, 0x2b55},
    {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},   {0x4e00, 0xa4c6},   {0xa960, 0xa97c},
    {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe10, 0xfe19},   {0xfe30, 0xfe6b},   {0xff01, 0xff60},
    {0xffe0, 0xffe6},   {0x16fe0, 0x18cff}, {0x1aff0, 0x1b2ff}, {0x1f004, 0x1f004}, {0x1f0cf, 0x1f0cf},
    {0x1f18e, 0x1f18e}, {0x1f191, 0x1f19a}, {0x1f200, 0x1f265}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff},
    {0x1f7e0, 0x1f7eb}, {0x1f90c, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd},
};

static const struct code_range COMBINING[] = {
    {0x0300, 0x036f}, {0x3099, 0x309a}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xe0100, 0xe01ef},
};

#define IN_TABLE(table, code) in_table((table), sizeof(table) / sizeof((table)[0]), (code))

static bool in_table(const struct code_range *table, size_t count, uint32_t code) {
  for (size_t i = 0; i < count; i++)
    if (code >= table[i].first && code <= table[i].last)
      return true;
  return false;
}

/* Bytes of the sequence that the lead byte announces; 0 for a byte that leads nothing. */
static size_t sequence_length(uint8_t lead) {
  if (lead < 0x80)
    return 1;
  if (lead >= 0xc2 && lead <= 0xdf)
    return 2;
  if (lead >= 0xe0 && lead <= 0xef)
    return 3;
  return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

size_t text_decode(const char *text, size_t length, uint32_t *ret_code) {
  static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  static const uint8_t lead_mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  const uint8_t *bytes = (const uint8_t *)text;
  size_t size = length == 0 ? 0 : sequence_length(bytes[0]);
  if (size == 0 || size > length)
    return 0;
  uint32_t code = bytes[0] & lead_mask[size];
  for (size_t i = 1; i < size; i++) {
    if ((bytes[i] & 0xc0) != 0x80)
      return 0;
    code = code << 6 | (bytes[i] & 0x3f);
  }
  if (code < smallest[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
    return 0;
  *ret_code = code;
  return size;
}

bool text_is_utf8(const char *text, size_t length, size_t *ret_offset) {
  uint32_t code;
  for (size_t position = 0, size; position < length; position += size) {
    size = text_decode(text + position, length - position, &code);
    if (size == 0) {
      *ret_offset = position;
      return false;
    }
  }
  return true;
}

size_t text_escape_character(const char *text, size_t length, char target[static TEXT_ESCAPE_SIZE]) {
  uint32_t code = 0;
  size_t size = text_decode(text, length, &code);
  if (size == 0 || (size == 1 && (code < 0x20 || code == 0x7f))) {
    snprintf(target, TEXT_ESCAPE_SIZE, "\\x%02x", (unsigned)(uint8_t)text[0]);
    return 1;
  }
  if (IN_TABLE(HIDDEN, code)) {
    snprintf(target, TEXT_ESCAPE_SIZE, "\\u{%x}", code);
    return size;
  }
  memcpy(target, text, size);
  target[size] = '\0';
  return size;
}

char *text_escape(struct arena *arena, const char *text) {
  size_t length = strlen(text), room = 1;
  char piece[TEXT_ESCAPE_SIZE];
  for (size_t i = 0; i < length; room += strlen(piece))
    i += text_escape_character(text + i, length - i, piece);
  char *result = arena_alloc(arena, room);
  if (result == NULL)
    return NULL;
  char *end = result;
  for (size_t i = 0; i < length;) {
    i += text_escape_character(text + i, length - i, piece);
    end = stpcpy(end, piece);
  }
  return result;
}

size_t text_width(const char *text) {
  size_t length = strlen(text), width = 0;
  for (size_t i = 0, size; i < length; i += size) {
    uint32_t code = 0;
    size = text_decode(text + i, length - i, &code);
    if (size == 0)
      size = 1;
    if (!IN_TABLE(COMBINING, code))
      width += IN_TABLE(WIDE, code) ? 2 : 1;
  }
  return width;
}

static size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}

/* Edits of one letter or swaps of two neighbours that turn one word into the other. */
static size_t edit_distance(const char *left, size_t left_length, const char *right, size_t right_length) {
  size_t rows[3][NEAREST_WORD_LIMIT + 1] = {{0}};
  for (size_t j = 0; j <= right_length; j++)
    rows[0][j] = j;
  for (size_t i = 1; i <= left_length; i++) {
    size_t *row = rows[i % 3];
    const size_t *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
    row[0] = i;
    for (size_t j = 1; j <= right_length; j++) {
      size_t change = left[i - 1] != right[j - 1];
      row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + change);
      if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1])
        row[j] = least(row[j], two_above[j - 2] + 1);
    }
  }
  return rows[left_length % 3][right_length];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t count) {
  size_t length = strlen(word);
  if (length > NEAREST_WORD_LIMIT)
    return NULL;
  const char *nearest = NULL;
  size_t best = length / 3 + 1;
  for (size_t i = 0; i < count; i++) {
    size_t candidate_length = strlen(candidates[i]);
    if (candidate_length > NEAREST_WORD_LIMIT)
      continue;
    size_t distance = edit_distance(word, length, candidates[i], candidate_length);
    if (distance < best) {
      best = distance;
      nearest = candidates[i];
    }
  }
  return nearest;
}
