/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_KEEP_H
#define KIDO_CONTROL_KEEP_H

#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"

/* Small files in the state directory, each written as a whole. */

/*
 * Writes beside, flushes to the disk, renames, flushes the directory: whoever is killed on the way leaves the old file
 * or the new one; an error leaves the old one. 0 or a negative errno with *error.
 */
int keep_write(const char *directory, const char *name, const char *text, size_t size, struct error *error);

/* Takes room on the disk for files of so many bytes, so that what is done before they are written is not done in vain;
 * keep_release() gives it back, just before they are written. What an earlier process has left is given back first. */
int keep_reserve(const char *directory, size_t size, struct error *error);
void keep_release(const char *directory);

/* The whole file with a NUL behind it. 0, -ENOENT, -EBADMSG when it is no regular file or larger than limit, or another
 * negative errno; *error says which file. */
int keep_read(const char *directory, const char *name, size_t limit, struct arena *arena, char **ret_text,
              size_t *ret_size, struct error *error);

/* A descriptor, or a negative errno with *error. */
int keep_open_directory(const char *directory, struct error *error);
/* To any descriptor, however often it takes only a part. 0 or a negative errno. */
int keep_write_all(int fd, const char *data, size_t size);

/* The same within a directory that is open; `head` stands before the text. 0 or a negative errno. */
int keep_replace(int directory, const char *name, const char *head, const char *text, size_t size);
int keep_slurp(int directory, const char *name, size_t limit, struct arena *arena, char **ret_text, size_t *ret_size);
/* A regular file of at most `limit` bytes; a descriptor, or a negative errno: -EPERM when it is neither ours nor root's
 * nor of the user whose directory it is. */
int keep_open(int directory, const char *name, size_t limit, size_t *ret_size);
/* What went wrong in reading; `damaged` for -EBADMSG. */
const char *keep_explain(int result, const char *damaged);
/* So many bytes of it, with a NUL behind them. */
int keep_fill(int fd, char *text, size_t size);

/* Gives a damaged file a second name, NAME.damaged, for those who want to know what happened to it. */
void keep_copy_aside(const char *directory, const char *name);

#endif
