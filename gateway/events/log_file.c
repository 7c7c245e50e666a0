/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events/log_file.h"

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
#include "events/checkpoint.h"
#include "events/files.h"

enum { TAIL_SIZE = 256 * 1024, HEAD_SIZE = 512, FILE_MODE = 0640 };

/* ---- the last record ---- */

/* Reads the end of a file. The caller frees *ret_tail. */
static int read_tail(int descriptor, char **ret_tail, size_t *ret_size, off_t *ret_start) {
  off_t size = lseek(descriptor, 0, SEEK_END);
  off_t start = size > TAIL_SIZE ? size - TAIL_SIZE : 0;
  char *tail = size >= 0 ? malloc(TAIL_SIZE) : NULL;
  ssize_t got = tail != NULL ? pread(descriptor, tail, (size_t)(size - start), start) : -1;
  if (got < 0) {
    int result = tail == NULL && size >= 0 ? -ENOMEM : -errno;
    free(tail);
    return result;
  }
  *ret_tail = tail;
  *ret_size = (size_t)got;
  *ret_start = start;
  return 0;
}

/* The last line that is a record; false when there is none. `size` ends behind a newline. */
static bool find_last(const char *tail, size_t size, uint64_t *ret_sequence, char *head) {
  for (size_t end = size; end > 0;) {
    const char *before = end > 1 ? memrchr(tail, '\n', end - 1) : NULL;
    size_t start = before != NULL ? (size_t)(before - tail) + 1 : 0;
    uint64_t sequence = chain_sequence(tail + start, end - 1 - start);
    struct chain_link link;
    if (sequence > 0) {
      bool chained = chain_check(tail + start, end - 1 - start, &link) != CHAIN_NONE;
      memcpy(head, chained ? link.hash : CHAIN_GENESIS, SHA256_TEXT_SIZE);
      *ret_sequence = sequence;
      return true;
    }
    end = start;
  }
  return false;
}

/* Takes sequence and head from the newest file, and cuts off what stands behind its last whole line. */
static int resume(struct log_file *file) {
  char *tail = NULL;
  size_t size = 0;
  off_t start = 0;
  int result = read_tail(file->descriptor, &tail, &size, &start);
  if (result < 0)
    return result;
  const char *last = size > 0 ? memrchr(tail, '\n', size) : NULL;
  size_t whole = last != NULL ? (size_t)(last - tail) + 1 : 0;
  bool found = find_last(tail, whole, &file->sequence, file->head);
  free(tail);
  file->size = (uint64_t)start + whole;
  if (whole < size && ftruncate(file->descriptor, start + (off_t)whole) < 0)
    return -errno;
  return found;
}

/* The same of the file before it, for who was ended just when the newest was begun. */
static bool resume_from_older(struct log_file *file) {
  struct event_file *files = NULL;
  size_t count = 0;
  bool found = false;
  if (event_files_list(file->directory, file->daemon, &files, &count, NULL) < 0)
    return false;
  while (!found && count-- > 0) {
    int older =
        files[count].first != UINT64_MAX ? openat(file->directory, files[count].name, O_RDONLY | O_CLOEXEC) : -1;
    char *tail = NULL;
    size_t size = 0;
    off_t start;
    if (older >= 0 && read_tail(older, &tail, &size, &start) == 0)
      found = find_last(tail, size, &file->sequence, file->head);
    free(tail);
    if (older >= 0)
      close(older);
  }
  free(files);
  return found;
}

static void resume_from_checkpoint(struct log_file *file) {
  struct checkpoint checkpoint;
  if (checkpoint_read(file->directory, file->daemon, &checkpoint, NULL) < 0)
    return;
  file->sequence = checkpoint.sequence;
  memcpy(file->head, checkpoint.hash, sizeof file->head);
}

static uint64_t first_sequence(int descriptor) {
  char head[HEAD_SIZE];
  ssize_t got = pread(descriptor, head, sizeof head, 0);
  return got > 0 ? chain_sequence(head, (size_t)got) : 0;
}

static int resume_all(struct log_file *file, struct error *error) {
  memcpy(file->head, CHAIN_GENESIS, sizeof file->head);
  int result = resume(file);
  if (result < 0)
    return error_set(error, -result, "the event log cannot be read: %s", strerror(-result));
  if (result == 0 && !resume_from_older(file))
    resume_from_checkpoint(file);
  uint64_t first = file->size > 0 ? first_sequence(file->descriptor) : 0;
  file->first = first > 0 ? first : file->sequence + 1;
  return 0;
}

/* ---- opening ---- */

/* Whether what stands under our name hinders us, or is another user's, who could write it anew. Root opens the log
 * before it steps down, and may find that of the user whom it will be. */
static bool is_obstacle(int directory, int descriptor) {
  if (descriptor < 0)
    return errno == EACCES || errno == EISDIR || errno == ELOOP;
  return event_file_is_foreign(directory, descriptor);
}

/* O_CREAT only for a file that is not there: in a sticky directory the kernel may refuse it for another's file, even to
 * root (fs.protected_regular), who opens the log before it steps down. */
static int open_newest(int directory, const char *daemon, int flags) {
  enum { OPENING = O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW };
  char name[EVENT_NAME_SIZE];
  snprintf(name, sizeof name, EVENT_LOG_NAME, daemon);
  bool may_exist = (flags & O_EXCL) == 0;
  int descriptor = may_exist ? openat(directory, name, OPENING) : -1;
  if (may_exist && is_obstacle(directory, descriptor)) {
    if (descriptor >= 0)
      close(descriptor);
    int result = foreign_put_aside(directory, name);
    if (result < 0)
      return result;
    descriptor = -1;
    errno = ENOENT;
  }
  if (!may_exist || (descriptor < 0 && errno == ENOENT))
    descriptor = openat(directory, name, OPENING | O_CREAT | flags, FILE_MODE);
  return descriptor < 0 ? -errno : descriptor;
}

int log_file_open(const char *directory, const char *daemon, struct log_file *ret_file, struct error *error) {
  struct log_file file = {.descriptor = -1};
  snprintf(file.daemon, sizeof file.daemon, "%s", daemon);
  file.directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file.directory < 0)
    return error_set(error, errno, "%s: %s", directory, strerror(errno));
  file.descriptor = open_newest(file.directory, daemon, 0);
  int result = file.descriptor < 0 ? error_set(error, -file.descriptor, "%s/" EVENT_LOG_NAME ": %s", directory, daemon,
                                               strerror(-file.descriptor))
                                   : resume_all(&file, error);
  if (result < 0) {
    log_file_close(&file);
    return result;
  }
  *ret_file = file;
  return 0;
}

void log_file_close(struct log_file *file) {
  if (file->descriptor >= 0)
    close(file->descriptor);
  if (file->directory >= 0)
    close(file->directory);
  file->descriptor = file->directory = -1;
}

void log_file_grew(struct log_file *file, size_t length, const char head[static SHA256_TEXT_SIZE]) {
  file->size += length;
  memcpy(file->head, head, sizeof file->head);
}

int log_file_exchange(struct log_file *file, uint64_t next) {
  char newest[EVENT_NAME_SIZE], old[EVENT_NAME_SIZE];
  snprintf(newest, sizeof newest, EVENT_LOG_NAME, file->daemon);
  snprintf(old, sizeof old, EVENT_OLD_NAME, file->daemon, file->first);
  if (renameat2(file->directory, newest, file->directory, old, RENAME_NOREPLACE) < 0)
    return -errno;
  int descriptor = open_newest(file->directory, file->daemon, O_EXCL);
  if (descriptor < 0) {
    renameat2(file->directory, old, file->directory, newest, RENAME_NOREPLACE);
    return descriptor;
  }
  close(file->descriptor);
  file->descriptor = descriptor;
  file->size = 0;
  file->first = next;
  return 0;
}
