/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chunks are taken from calloc and never resized, so a pointer stays good until the arena goes. A request that is
 * larger than the usual chunk gets one of its own; chunks grow with the arena, so that their number stays small.
 */
#include "base/arena.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t FIRST_CHUNK = (size_t)16 * 1024;
static const size_t LARGEST_CHUNK = (size_t)1024 * 1024;
static const size_t DEFAULT_LIMIT = (size_t)1024 * 1024 * 1024;

struct chunk {
  struct chunk *next;
  size_t size, used;
  max_align_t data[];
};

struct arena {
  struct chunk *chunks; /* the one in use first */
  size_t limit, used, next_chunk;
  bool failed;
};

struct arena *arena_new(size_t limit) {
  struct arena *arena = calloc(1, sizeof(*arena));
  if (arena == NULL)
    return NULL;
  arena->limit = limit != 0 ? limit : DEFAULT_LIMIT;
  arena->next_chunk = FIRST_CHUNK;
  return arena;
}

struct arena *arena_free(struct arena *arena) {
  if (arena == NULL)
    return NULL;
  for (struct chunk *chunk = arena->chunks, *next; chunk != NULL; chunk = next) {
    next = chunk->next;
    free(chunk);
  }
  free(arena);
  return NULL;
}

int arena_failed(const struct arena *arena) {
  return arena->failed;
}

size_t arena_used(const struct arena *arena) {
  return arena->used;
}

static void *fail(struct arena *arena) {
  arena->failed = true;
  return NULL;
}

static struct chunk *chunk_new(struct arena *arena, size_t size) {
  size_t room = size > arena->next_chunk / 4 ? size : arena->next_chunk;
  struct chunk *chunk = calloc(1, sizeof(*chunk) + room);
  if (chunk == NULL)
    return NULL;
  chunk->size = room;
  if (room == size && arena->chunks != NULL) {
    chunk->next = arena->chunks->next; /* full at birth: the chunk in use stays in front */
    arena->chunks->next = chunk;
    return chunk;
  }
  chunk->next = arena->chunks;
  arena->chunks = chunk;
  if (arena->next_chunk < LARGEST_CHUNK)
    arena->next_chunk *= 2;
  return chunk;
}

void *arena_alloc(struct arena *arena, size_t size) {
  const size_t align = _Alignof(max_align_t);
  if (size > arena->limit)
    return fail(arena);
  size_t rounded = (size + align - 1) / align * align;
  if (rounded == 0)
    rounded = align;
  if (rounded > arena->limit - arena->used)
    return fail(arena);
  struct chunk *chunk = arena->chunks;
  if (chunk == NULL || chunk->size - chunk->used < rounded)
    chunk = chunk_new(arena, rounded);
  if (chunk == NULL)
    return fail(arena);
  void *result = (char *)chunk->data + chunk->used;
  chunk->used += rounded;
  arena->used += rounded;
  return result;
}

void *arena_array(struct arena *arena, size_t count, size_t size) {
  size_t total;
  if (__builtin_mul_overflow(count, size, &total))
    return fail(arena);
  return arena_alloc(arena, total);
}

char *arena_strndup(struct arena *arena, const char *text, size_t length) {
  size_t real = strnlen(text, length);
  char *copy = arena_alloc(arena, real + 1);
  if (copy != NULL)
    memcpy(copy, text, real);
  return copy;
}

char *arena_strdup(struct arena *arena, const char *text) {
  return arena_memdup(arena, text, strlen(text) + 1);
}

void *arena_memdup(struct arena *arena, const void *data, size_t size) {
  void *copy = arena_alloc(arena, size);
  if (copy != NULL && size != 0)
    memcpy(copy, data, size);
  return copy;
}

char *arena_vprintf(struct arena *arena, const char *format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, again);
  va_end(again);
  if (length < 0)
    return fail(arena);
  char *text = arena_alloc(arena, (size_t)length + 1);
  if (text != NULL)
    vsnprintf(text, (size_t)length + 1, format, arguments);
  return text;
}

char *arena_printf(struct arena *arena, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *text = arena_vprintf(arena, format, arguments);
  va_end(arguments);
  return text;
}

int arena_grow(struct arena *arena, void **items, size_t count, size_t *capacity, size_t item_size) {
  if (count < *capacity)
    return 0;
  size_t room;
  if (__builtin_mul_overflow(*capacity, (size_t)2, &room))
    return -ENOMEM;
  if (room < 8)
    room = 8;
  void *grown = arena_array(arena, room, item_size);
  if (grown == NULL)
    return -ENOMEM;
  if (count != 0)
    memcpy(grown, *items, count * item_size);
  *items = grown;
  *capacity = room;
  return 0;
}
