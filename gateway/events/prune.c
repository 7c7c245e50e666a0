/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events/prune.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "events/chain.h"
#include "events/files.h"

enum { TAIL_SIZE = 64 * 1024 };

/* The last line of a file, which ends with a newline. */
static bool read_last(int file, struct chain_link *ret_link, uint64_t *ret_sequence) {
  off_t size = lseek(file, 0, SEEK_END), start = size > TAIL_SIZE ? size - TAIL_SIZE : 0;
  char *tail = malloc(TAIL_SIZE);
  ssize_t got = tail != NULL ? pread(file, tail, TAIL_SIZE, start) : -1;
  const char *before = got > 1 ? memrchr(tail, '\n', (size_t)got - 1) : NULL;
  const char *line = before != NULL ? before + 1 : tail;
  size_t length = got > 1 ? (size_t)(tail + got - line) - 1 : 0;
  *ret_sequence = length > 0 ? chain_sequence(line, length) : 0;
  if (length == 0 || chain_check(line, length, ret_link) == CHAIN_NONE)
    memcpy(ret_link->hash, CHAIN_GENESIS, sizeof ret_link->hash);
  free(tail);
  return *ret_sequence > 0;
}

struct log_files {
  int directory;
  struct event_file *files;
  struct stat *states;
  size_t count;
};

static int look(struct log_files *log, const char *daemon, struct error *error) {
  int result = event_files_list(log->directory, daemon, &log->files, &log->count, error);
  if (result < 0)
    return result;
  log->states = calloc(log->count + 1, sizeof *log->states);
  if (log->states == NULL)
    return error_set(error, ENOMEM, "no memory to prune events");
  for (size_t i = 0; i < log->count; i++)
    fstatat(log->directory, log->files[i].name, &log->states[i], AT_SYMLINK_NOFOLLOW);
  return 0;
}

/* How many of the oldest go. A file was written last when its last record came. */
static size_t count_surplus(const struct log_files *log, const struct retention *retention) {
  uint64_t bytes = 0;
  size_t surplus = 0;
  for (size_t i = 0; i < log->count; i++)
    bytes += (uint64_t)log->states[i].st_size;
  while (surplus < log->count && log->files[surplus].first != UINT64_MAX &&
         (bytes > retention->bytes || log->states[surplus].st_mtim.tv_sec < retention->not_before))
    bytes -= (uint64_t)log->states[surplus++].st_size;
  return surplus;
}

static int leave_checkpoint(const struct log_files *log, const char *daemon, const struct chain_key *key, size_t last,
                            int64_t now, uint64_t *ret_sequence, struct error *error) {
  struct checkpoint checkpoint = {.time = now};
  struct chain_link link;
  int file = openat(log->directory, log->files[last].name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0)
    return error_set(error, errno, "%s: %s", log->files[last].name, strerror(errno));
  bool found = read_last(file, &link, &checkpoint.sequence);
  close(file);
  if (!found)
    return error_set(error, EBADMSG, "%s: its last line is no record, so it stays", log->files[last].name);
  memcpy(checkpoint.hash, link.hash, sizeof checkpoint.hash);
  *ret_sequence = checkpoint.sequence;
  return checkpoint_write(log->directory, daemon, key, &checkpoint, error);
}

static int prune(struct log_files *log, const char *daemon, const struct chain_key *key,
                 const struct retention *retention, int64_t now, uint64_t *ret_removed, struct error *error) {
  uint64_t removed = 0;
  int result = look(log, daemon, error);
  size_t surplus = result == 0 ? count_surplus(log, retention) : 0;
  if (surplus > 0)
    result = leave_checkpoint(log, daemon, key, surplus - 1, now, &removed, error);
  for (size_t i = 0; result == 0 && i < surplus; i++)
    if (unlinkat(log->directory, log->files[i].name, 0) < 0 && errno != ENOENT)
      result = error_set(error, errno, "%s: %s", log->files[i].name, strerror(errno));
  if (result == 0)
    *ret_removed = removed;
  return result;
}

int event_prune(const char *directory, const char *daemon, const struct chain_key *key,
                const struct retention *retention, int64_t now, uint64_t *ret_removed, struct error *error) {
  struct log_files log = {.directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (log.directory < 0)
    return error_set(error, errno, "%s: %s", directory, strerror(errno));
  int result = prune(&log, daemon, key, retention, now, ret_removed, error);
  close(log.directory);
  free(log.states);
  free(log.files);
  return result;
}
