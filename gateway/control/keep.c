/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/foreign.h"

int keep_open_directory(const char *directory, struct error *error) {
  int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd < 0 ? error_set(error, errno, "%s: %s", directory, strerror(errno)) : fd;
}

/* ---- writing ---- */

int keep_write_all(int fd, const char *data, size_t size) {
  while (size > 0) {
    ssize_t written = write(fd, data, size);
    if (written < 0 && errno != EINTR) {
      return -errno;
    }
    data += written > 0 ? written : 0;
    size -= written > 0 ? (size_t)written : 0;
  }
  return 0;
}

static int write_file(int fd, const char *head, const char *text, size_t size) {
  int result = keep_write_all(fd, head, strlen(head));
  if (result == 0) {
    result = keep_write_all(fd, text, size);
  }
  if (result == 0 && fsync(fd) < 0) {
    result = -errno;
  }
  return result;
}

/* A directory that somebody made in the place of a file goes too, or must not stay under that name. */
static void free_name(int directory, const char *name) {
  if (unlinkat(directory, name, 0) < 0 && errno != ENOENT && unlinkat(directory, name, AT_REMOVEDIR) < 0) {
    (void)foreign_put_aside(directory, name);
  }
}

/* Never into a file that is there: somebody else may have made it. */
static int write_beside(int directory, const char *name, const char *head, const char *text, size_t size) {
  free_name(directory, name);
  int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
  if (fd < 0) {
    return -errno;
  }
  int result = write_file(fd, head, text, size);
  if (close(fd) < 0 && result == 0) {
    result = -errno;
  }
  return result;
}

enum placing { PLACED_FIRST, PLACED_IN_EXCHANGE, PLACED_OVER };

/* Where the file system can, the old file goes on under the temporary name, so that this can be undone. */
static int place(int directory, const char *temporary, const char *name, enum placing *ret_placing) {
  if (renameat2(directory, temporary, directory, name, RENAME_EXCHANGE) == 0) {
    *ret_placing = PLACED_IN_EXCHANGE;
    return 0;
  }
  *ret_placing = errno == ENOENT ? PLACED_FIRST : PLACED_OVER;
  return renameat(directory, temporary, directory, name) < 0 ? -errno : 0;
}

static void take_back(int directory, const char *temporary, const char *name, enum placing placing) {
  if (placing == PLACED_FIRST) {
    unlinkat(directory, name, 0);
  } else if (placing == PLACED_IN_EXCHANGE) {
    (void)renameat2(directory, temporary, directory, name, RENAME_EXCHANGE);
  }
}

/* What fails leaves the old file, also when it fails behind the rename. On a full disk what was written beside goes
 * again: the next try needs the room. */
int keep_replace(int directory, const char *name, const char *head, const char *text, size_t size) {
  char temporary[NAME_MAX + 1];
  enum placing placing = PLACED_OVER;
  int length = snprintf(temporary, sizeof temporary, "%s.new", name);
  if (length < 0 || (size_t)length >= sizeof temporary) {
    return -ENAMETOOLONG;
  }
  int result = write_beside(directory, temporary, head, text, size);
  if (result == 0) {
    result = place(directory, temporary, name, &placing);
  }
  if (result == 0 && fsync(directory) < 0) {
    result = -errno;
    take_back(directory, temporary, name, placing);
  }
  free_name(directory, temporary);
  return result;
}

int keep_write(const char *directory, const char *name, const char *text, size_t size, struct error *error) {
  int fd = keep_open_directory(directory, error);
  if (fd < 0) {
    return fd;
  }
  int result = keep_replace(fd, name, "", text, size);
  close(fd);
  return result < 0 ? error_set(error, -result, "%s/%s: %s", directory, name, strerror(-result)) : 0;
}

/* ---- reading ---- */

const char *keep_explain(int result, const char *damaged) {
  return result == -EBADMSG ? damaged : result == -EPERM ? "it belongs to another user" : strerror(-result);
}

int keep_open(int directory, const char *name, size_t limit, size_t *ret_size) {
  int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    return -errno;
  }
  struct stat status;
  int result = fstat(fd, &status) < 0 ? -errno : 0;
  if (result == 0 && (!S_ISREG(status.st_mode) || status.st_size < 0 || (uint64_t)status.st_size > limit)) {
    result = -EBADMSG;
  }
  if (result == 0) {
    result = foreign_check_owner(directory, status.st_uid);
  }
  if (result < 0) {
    close(fd);
    return result;
  }
  *ret_size = (size_t)status.st_size;
  return fd;
}

int keep_fill(int fd, char *text, size_t size) {
  for (size_t position = 0; position < size;) {
    ssize_t got = read(fd, text + position, size - position);
    if (got == 0 || (got < 0 && errno != EINTR)) {
      return got == 0 ? -EBADMSG : -errno;
    }
    position += got > 0 ? (size_t)got : 0;
  }
  text[size] = '\0';
  return 0;
}

int keep_slurp(int directory, const char *name, size_t limit, struct arena *arena, char **ret_text, size_t *ret_size) {
  size_t size = 0;
  int fd = keep_open(directory, name, limit, &size);
  if (fd < 0) {
    return fd;
  }
  char *text = arena_alloc(arena, size + 1);
  int result = text ? keep_fill(fd, text, size) : -ENOMEM;
  close(fd);
  if (result == 0) {
    *ret_text = text;
    *ret_size = size;
  }
  return result;
}

int keep_read(const char *directory, const char *name, size_t limit, struct arena *arena, char **ret_text,
              size_t *ret_size, struct error *error) {
  int fd = keep_open_directory(directory, error);
  if (fd < 0) {
    return fd;
  }
  int result = keep_slurp(fd, name, limit, arena, ret_text, ret_size);
  close(fd);
  if (result < 0) {
    error_set(error, -result, "%s/%s: %s", directory, name, keep_explain(result, "not a file that we wrote"));
  }
  return result;
}

void keep_copy_aside(const char *directory, const char *name) {
  char beside[NAME_MAX + 1];
  struct error ignored = {0};
  int fd = keep_open_directory(directory, &ignored);
  int length = snprintf(beside, sizeof beside, "%s.damaged", name);
  if (fd >= 0 && length > 0 && (size_t)length < sizeof beside) {
    unlinkat(fd, beside, 0);
    int linked = linkat(fd, name, fd, beside, 0);
    (void)linked; /* the copy only helps whoever looks for the cause */
  }
  if (fd >= 0) {
    close(fd);
  }
}

/* ---- room on the disk ---- */

#define ROOM "room"

int keep_reserve(const char *directory, size_t size, struct error *error) {
  int within = keep_open_directory(directory, error);
  if (within < 0) {
    return within;
  }
  free_name(within, ROOM);
  int fd = openat(within, ROOM, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
  int result = fd < 0 ? -errno : -posix_fallocate(fd, 0, (off_t)size);
  if (fd >= 0) {
    close(fd);
  }
  if (result < 0) {
    unlinkat(within, ROOM, 0);
  }
  close(within);
  return result < 0 ? error_set(error, -result, "%s: %s", directory, strerror(-result)) : 0;
}

void keep_release(const char *directory) {
  struct error ignored = {0};
  int within = keep_open_directory(directory, &ignored);
  if (within >= 0) {
    unlinkat(within, ROOM, 0);
    close(within);
  }
}
