/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/cursor.h"

#include <string.h>

void cursor_init(struct cursor *cursor, const void *data, size_t length) {
  *cursor = (struct cursor){.data = data, .length = data != NULL ? length : 0};
}

size_t cursor_left(const struct cursor *cursor) {
  return cursor->failed ? 0 : cursor->length - cursor->position;
}

const uint8_t *cursor_take(struct cursor *cursor, size_t size) {
  if (cursor->failed || size > cursor->length - cursor->position) {
    cursor->failed = true;
    return NULL;
  }
  /* An empty take of an empty cursor must not look like a failure. */
  const uint8_t *taken = cursor->data != NULL ? cursor->data + cursor->position : (const uint8_t *)"";
  cursor->position += size;
  return taken;
}

static uint64_t read_big_endian(struct cursor *cursor, size_t size) {
  const uint8_t *bytes = cursor_take(cursor, size);
  uint64_t value = 0;
  for (size_t i = 0; bytes != NULL && i < size; i++)
    value = value << 8 | bytes[i];
  return value;
}

uint8_t cursor_u8(struct cursor *cursor) {
  return (uint8_t)read_big_endian(cursor, 1);
}

uint16_t cursor_be16(struct cursor *cursor) {
  return (uint16_t)read_big_endian(cursor, 2);
}

uint32_t cursor_be32(struct cursor *cursor) {
  return (uint32_t)read_big_endian(cursor, 4);
}

uint64_t cursor_be64(struct cursor *cursor) {
  return read_big_endian(cursor, 8);
}

void cursor_copy(struct cursor *cursor, void *target, size_t size) {
  const uint8_t *bytes = cursor_take(cursor, size);
  if (size == 0)
    return;
  if (bytes != NULL)
    memcpy(target, bytes, size);
  else
    memset(target, 0, size);
}

void cursor_skip(struct cursor *cursor, size_t size) {
  (void)cursor_take(cursor, size);
}

struct cursor cursor_sub(struct cursor *cursor, size_t size) {
  struct cursor sub;
  const uint8_t *bytes = cursor_take(cursor, size);
  cursor_init(&sub, bytes, size);
  sub.failed = bytes == NULL;
  return sub;
}
