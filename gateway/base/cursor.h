/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_BASE_CURSOR_H
#define KIDO_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The only way to read bytes that came from outside. After the first read past the end, `failed` is set and every
 * further read is a no-op that returns zero: a decoder reads a whole header and checks once.
 */
struct cursor {
  const uint8_t *data;
  size_t length;   /* bytes that may be read */
  size_t position; /* <= length */
  bool failed;
};

void cursor_init(struct cursor *cursor, const void *data, size_t length);
size_t cursor_left(const struct cursor *cursor); /* 0 after a failure */
uint8_t cursor_u8(struct cursor *cursor);
uint16_t cursor_be16(struct cursor *cursor);
uint32_t cursor_be32(struct cursor *cursor);
uint64_t cursor_be64(struct cursor *cursor);
/* Points at `size` bytes and moves behind them; NULL when they are not all there. */
const uint8_t *cursor_take(struct cursor *cursor, size_t size);
void cursor_copy(struct cursor *cursor, void *target, size_t size); /* zeroes target on failure */
void cursor_skip(struct cursor *cursor, size_t size);
/* A cursor over the next `size` bytes, which are skipped here; failed when they are not all there. */
struct cursor cursor_sub(struct cursor *cursor, size_t size);

#endif
