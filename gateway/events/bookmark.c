/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events/bookmark.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, TEXT_SIZE = 32, BOOKMARK_MODE = 0640 };

static int path_of(const char *directory, const char *daemon, const char *sink, char path[static PATH_SIZE]) {
  int length = snprintf(path, PATH_SIZE - 8, "%s/" BOOKMARK_NAME, directory, daemon, sink);
  return length < 0 || length >= PATH_SIZE - 8 ? -ENAMETOOLONG : 0;
}

int bookmark_read(const char *directory, const char *daemon, const char *sink, uint64_t *ret_sequence) {
  char path[PATH_SIZE], text[TEXT_SIZE] = "", *end;
  int result = path_of(directory, daemon, sink, path);
  int file = result == 0 ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
  if (file < 0)
    return result < 0 ? result : -errno;
  struct stat status; /* of another user: it would say what is handed on and what not */
  bool ours = fstat(file, &status) == 0 && (geteuid() == 0 || status.st_uid == geteuid() || status.st_uid == 0);
  ssize_t got = ours ? read(file, text, sizeof text - 1) : 0;
  close(file);
  uint64_t sequence = strtoull(text, &end, 10);
  if (got <= 0 || *end != '\n')
    return -EBADMSG;
  *ret_sequence = sequence;
  return 0;
}

/* Not flushed to the disk: after a power cut a sink may get some records twice, never too few. */
int bookmark_write(const char *directory, const char *daemon, const char *sink, uint64_t sequence) {
  char path[PATH_SIZE], beside[PATH_SIZE + 8], text[TEXT_SIZE];
  int result = path_of(directory, daemon, sink, path);
  if (result < 0)
    return result;
  snprintf(beside, sizeof beside, "%s.new", path);
  int length = snprintf(text, sizeof text, "%" PRIu64 "\n", sequence);
  unlink(beside); /* never into a file that somebody left there */
  int file = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, BOOKMARK_MODE);
  if (file < 0)
    return -errno;
  ssize_t written = write(file, text, (size_t)length);
  result = written == length ? 0 : written < 0 ? -errno : -ENOSPC;
  close(file);
  if (result == 0 && rename(beside, path) < 0)
    result = -errno;
  if (result < 0)
    unlink(beside);
  return result;
}
