/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/foreign.h"
#include "events/chain.h"

enum { FIRST_DIGITS = 16, READ_SIZE = 128 * 1024 };

struct event_reader {
  int directory;
  char daemon[24];
  uint64_t after;
  int file;                /* -1: none yet */
  struct event_file where; /* which one that is */
  uint64_t line;
  char *buffer;
  size_t capacity, start, end; /* what was read and not yet given out */
  bool passing;                /* the rest of a line that is longer than any of ours */
};

int event_directory_open(const char *directory) {
  int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return descriptor < 0 ? -errno : descriptor;
}

bool event_file_is_foreign(int directory, int file) {
  return geteuid() != 0 && foreign_check(directory, file) == -EPERM;
}

/* ---- names ---- */

/* "kidod-events.0000000000000042.jsonl", the other names not. */
static bool is_old_file(const char *name, const char *daemon, uint64_t *ret_first) {
  char start[EVENT_NAME_SIZE], *end;
  int length = snprintf(start, sizeof start, "%s-events.", daemon);
  if (strncmp(name, start, (size_t)length) != 0 || strspn(name + length, "0123456789") != FIRST_DIGITS ||
      strcmp(name + length + FIRST_DIGITS, ".jsonl") != 0)
    return false;
  *ret_first = strtoull(name + length, &end, 10);
  return true;
}

static int compare_files(const void *left, const void *right) {
  const struct event_file *a = left, *b = right;
  return a->first < b->first ? -1 : a->first > b->first;
}

static int add_file(struct event_file **files, size_t *count, const char *name, uint64_t first) {
  struct event_file *grown = realloc(*files, (*count + 1) * sizeof **files);
  if (grown == NULL)
    return -ENOMEM;
  *files = grown;
  grown[*count] = (struct event_file){.first = first};
  snprintf(grown[*count].name, sizeof grown[*count].name, "%.79s", name);
  (*count)++;
  return 0;
}

/* The newest file says whose log it is: what another user, who writes in the same directory, calls a file of it is
 * none, and would be handed on, and signed for, as if it were. Without a newest one there is nothing to hold it
 * against. */
struct owners {
  bool known;
  uid_t log, directory;
};

static struct owners find_owners(int directory, const char *newest) {
  struct stat log, within;
  struct owners owners = {.known = fstatat(directory, newest, &log, AT_SYMLINK_NOFOLLOW) == 0 &&
                                   fstat(directory, &within) == 0};
  if (owners.known) {
    owners.log = log.st_uid;
    owners.directory = within.st_uid;
  }
  return owners;
}

static bool belongs(const struct owners *owners, int directory, const char *name) {
  struct stat status;
  return !owners->known || (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                            (status.st_uid == owners->log || status.st_uid == owners->directory || status.st_uid == 0));
}

static int collect(DIR *listing, const char *daemon, struct event_file **files, size_t *count) {
  char newest[EVENT_NAME_SIZE];
  snprintf(newest, sizeof newest, EVENT_LOG_NAME, daemon);
  struct owners owners = find_owners(dirfd(listing), newest);
  int result = 0;
  for (const struct dirent *entry; result == 0 && (entry = readdir(listing)) != NULL;) {
    uint64_t first = UINT64_MAX;
    if (strcmp(entry->d_name, newest) == 0 ||
        (is_old_file(entry->d_name, daemon, &first) && belongs(&owners, dirfd(listing), entry->d_name)))
      result = add_file(files, count, entry->d_name, first);
  }
  return result;
}

int event_files_list(int directory, const char *daemon, struct event_file **ret_files, size_t *ret_count,
                     struct error *error) {
  int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *listing = copy >= 0 ? fdopendir(copy) : NULL;
  if (listing == NULL) {
    int code = errno;
    if (copy >= 0)
      close(copy);
    return error_set(error, code, "the state directory cannot be listed: %s", strerror(code));
  }
  struct event_file *files = NULL;
  size_t count = 0;
  int result = collect(listing, daemon, &files, &count);
  closedir(listing);
  if (result < 0) {
    free(files);
    return error_set(error, -result, "no memory for the list of event files");
  }
  if (count > 0)
    qsort(files, count, sizeof *files, compare_files);
  *ret_files = files;
  *ret_count = count;
  return 0;
}

/* ---- reading ---- */

int event_reader_open(const char *directory, const char *daemon, uint64_t after, struct event_reader **ret_reader,
                      struct error *error) {
  struct event_reader *reader = calloc(1, sizeof *reader);
  if (reader == NULL)
    return error_set(error, ENOMEM, "no memory to read events");
  *reader = (struct event_reader){.after = after, .file = -1};
  snprintf(reader->daemon, sizeof reader->daemon, "%s", daemon);
  reader->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (reader->directory < 0) {
    int result = error_set(error, errno, "%s: %s", directory, strerror(errno));
    event_reader_close(reader);
    return result;
  }
  *ret_reader = reader;
  return 0;
}

struct event_reader *event_reader_close(struct event_reader *reader) {
  if (reader == NULL)
    return NULL;
  if (reader->file >= 0)
    close(reader->file);
  if (reader->directory >= 0)
    close(reader->directory);
  free(reader->buffer);
  free(reader);
  return NULL;
}

/* The newest file whose first record is not behind what is wanted. */
static size_t choose_first(const struct event_file *files, size_t count, uint64_t after) {
  size_t chosen = 0;
  for (size_t i = 1; i < count; i++)
    if (files[i].first != UINT64_MAX && files[i].first <= after + 1)
      chosen = i;
  return chosen;
}

/* The one behind `where`, or the first to be read when there is no such yet; count: none. */
static size_t choose(const struct event_reader *reader, const struct event_file *files, size_t count) {
  if (reader->where.name[0] == '\0')
    return choose_first(files, count, reader->after);
  size_t i = 0;
  while (i < count && files[i].first <= reader->where.first)
    i++;
  return i;
}

static int open_next(struct event_reader *reader) {
  struct event_file *files = NULL;
  size_t count = 0;
  int result = event_files_list(reader->directory, reader->daemon, &files, &count, NULL);
  if (result < 0)
    return result;
  size_t chosen = count > 0 ? choose(reader, files, count) : 0;
  int file = chosen < count ? openat(reader->directory, files[chosen].name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
  result = chosen < count && file < 0 && errno != ENOENT ? -errno : file >= 0;
  if (file >= 0) {
    if (reader->file >= 0)
      close(reader->file);
    reader->file = file;
    reader->where = files[chosen];
    reader->line = 0;
    reader->start = reader->end = 0;
    reader->passing = false;
  }
  free(files);
  return result;
}

/* The newest file got its old name: what it is called now stands in *ret_file. */
static bool was_renamed(const struct event_reader *reader, struct event_file *ret_file) {
  struct event_file *files = NULL;
  size_t count = 0;
  struct stat ours, theirs;
  bool found = false;
  if (fstat(reader->file, &ours) < 0 || event_files_list(reader->directory, reader->daemon, &files, &count, NULL) < 0)
    return false;
  for (size_t i = 0; i < count && !found; i++) {
    found = files[i].first != UINT64_MAX && fstatat(reader->directory, files[i].name, &theirs, 0) == 0 &&
            theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
    if (found)
      *ret_file = files[i];
  }
  free(files);
  return found;
}

/* Whether the newest file, of which all was read, is still the newest. */
static bool is_newest(const struct event_reader *reader) {
  struct stat ours, theirs;
  return fstat(reader->file, &ours) == 0 && fstatat(reader->directory, reader->where.name, &theirs, 0) == 0 &&
         ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
}

/* At the end of a file: 1 when there is a further one. */
static int leave_file(struct event_reader *reader) {
  if (reader->where.first == UINT64_MAX) {
    struct event_file renamed;
    if (is_newest(reader))
      return 0;
    if (was_renamed(reader, &renamed))
      reader->where = renamed;
    else
      reader->where = (struct event_file){.first = 0, .name = "?"}; /* it was removed: begin with what there is */
    return 2; /* what came between the last look and the renaming */
  }
  return open_next(reader);
}

static int grow(struct event_reader *reader) {
  size_t capacity = reader->capacity > 0 ? 2 * reader->capacity : READ_SIZE;
  char *grown = realloc(reader->buffer, capacity);
  if (grown == NULL)
    return -ENOMEM;
  reader->buffer = grown;
  reader->capacity = capacity;
  return 0;
}

/* Makes room behind what is held; a line that is too long is given up. */
static int make_room(struct event_reader *reader) {
  if (reader->start > 0) {
    memmove(reader->buffer, reader->buffer + reader->start, reader->end - reader->start);
    reader->end -= reader->start;
    reader->start = 0;
  }
  if (reader->end >= EVENT_LINE_MAX) {
    reader->passing = true;
    reader->end = 0;
  }
  return reader->end == reader->capacity ? grow(reader) : 0;
}

/* 1: more bytes are there; 0: not now. */
static int fill(struct event_reader *reader) {
  for (;;) {
    int result = reader->file < 0 ? open_next(reader) : 1;
    if (result <= 0)
      return result;
    result = make_room(reader);
    if (result < 0)
      return result;
    ssize_t got = read(reader->file, reader->buffer + reader->end, reader->capacity - reader->end);
    if (got < 0)
      return -errno;
    reader->end += (size_t)got;
    if (got > 0)
      return 1;
    result = leave_file(reader);
    if (result <= 0)
      return result;
  }
}

static bool take_line(struct event_reader *reader, struct event_text *ret_text) {
  char *from = reader->buffer != NULL ? reader->buffer + reader->start : NULL;
  char *end = from != NULL ? memchr(from, '\n', reader->end - reader->start) : NULL;
  if (end == NULL)
    return false;
  reader->line++;
  reader->start += (size_t)(end - from) + 1;
  *ret_text = (struct event_text){.text = from,
                                  .length = (size_t)(end - from),
                                  .file = reader->where.name,
                                  .line = reader->line,
                                  .sequence = reader->passing ? 0 : chain_sequence(from, (size_t)(end - from))};
  reader->passing = false;
  return true;
}

int event_reader_next(struct event_reader *reader, struct event_text *ret_text) {
  for (;;) {
    struct event_text text;
    if (take_line(reader, &text)) {
      if (reader->after > 0 && text.sequence > 0 && text.sequence <= reader->after)
        continue;
      *ret_text = text;
      return 1;
    }
    int result = fill(reader);
    if (result <= 0)
      return result;
  }
}

size_t event_reader_rest(const struct event_reader *reader) {
  return reader->end - reader->start;
}
