/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_BASE_ARENA_H
#define KIDO_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

/*
 * A region of memory that is filled piece by piece and freed as a whole. One arena holds one generation of the
 * policy, one ruleset or one answer; nothing in it is freed alone.
 *
 * Every allocation is zeroed and aligned for any type. Beyond `limit` bytes, or when the machine has no memory left,
 * allocation functions return NULL and arena_failed() stays true, so that a long build may check once at its end.
 */
struct arena;

/* Returns NULL when there is no memory. limit: most bytes that the arena may hold; 0 means 1 GiB. */
struct arena *arena_new(size_t limit);

/* Frees the arena and all that was allocated from it. NULL is allowed. Returns NULL. */
struct arena *arena_free(struct arena *arena);

/* True once any allocation was refused. */
int arena_failed(const struct arena *arena);

/* Bytes handed out so far. */
size_t arena_used(const struct arena *arena);

void *arena_alloc(struct arena *arena, size_t size);
void *arena_array(struct arena *arena, size_t count, size_t size); /* overflow of count * size is refused */
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t length);
void *arena_memdup(struct arena *arena, const void *data, size_t size);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *arena, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));

/*
 * Grows an array that lives in the arena to hold one more item, doubling its room (the old copy stays behind).
 * items: address of the array pointer; count: items in use; capacity: room, updated. Returns 0 or -ENOMEM.
 */
int arena_grow(struct arena *arena, void **items, size_t count, size_t *capacity, size_t item_size);

#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, count, type) ((type *)arena_array((arena), (count), sizeof(type)))

#endif
