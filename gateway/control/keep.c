/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_directory(const char *directory, struct error *error) {
  int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd < 0 ? error_set(error, errno, "%s: %s", directory, strerror(errno)) : fd;
}

static int write_all(int fd, const char *data, size_t size) {
  while (size > 0) {
    ssize_t written = write(fd, data, size);
    if (written < 0 && errno != EINTR) {
      return -errno;
    }
    data += written > 0 ? written : 0;
    size -= written > 0 ? (size_t)written : 0;
  }
  return fsync(fd) < 0 ? -errno : 0;
}

static int write_beside(int directory, const char *name, const char *text, size_t size) {
  int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
  if (fd < 0) {
    return -errno;
  }
  int result = write_all(fd, text, size);
  if (close(fd) < 0 && result == 0) {
    result = -errno;
  }
  if (result < 0) {
    unlinkat(directory, name, 0); /* on a full disk even half a file is in the way */
  }
  return result;
}

static int replace_in(int directory, const char *name, const char *text, size_t size) {
  char beside[NAME_MAX + 1];
  int length = snprintf(beside, sizeof beside, "%s.new", name);
  if (length < 0 || (size_t)length >= sizeof beside) {
    return -ENAMETOOLONG;
  }
  int result = write_beside(directory, beside, text, size);
  if (result == 0 && renameat(directory, beside, directory, name) < 0) {
    result = -errno;
  }
  if (result == 0 && fsync(directory) < 0) {
    result = -errno;
  }
  return result;
}

int keep_write(const char *directory, const char *name, const char *text, size_t size, struct error *error) {
  int fd = open_directory(directory, error);
  if (fd < 0) {
    return fd;
  }
  int result = replace_in(fd, name, text, size);
  close(fd);
  return result < 0 ? error_set(error, -result, "%s/%s: %s", directory, name, strerror(-result)) : 0;
}

static int read_all(int fd, size_t limit, struct arena *arena, char **ret_text, size_t *ret_size) {
  struct stat status;
  if (fstat(fd, &status) < 0) {
    return -errno;
  }
  if (!S_ISREG(status.st_mode) || status.st_size < 0 || (size_t)status.st_size > limit) {
    return -EBADMSG;
  }
  size_t size = (size_t)status.st_size, position = 0;
  char *text = arena_alloc(arena, size + 1);
  while (text && position < size) {
    ssize_t got = read(fd, text + position, size - position);
    if (got == 0 || (got < 0 && errno != EINTR)) {
      return got == 0 ? -EBADMSG : -errno;
    }
    position += got > 0 ? (size_t)got : 0;
  }
  *ret_text = text;
  *ret_size = size;
  return text ? 0 : -ENOMEM;
}

static int read_in(int directory, const char *name, size_t limit, struct arena *arena, char **ret_text,
                   size_t *ret_size) {
  int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    return -errno;
  }
  int result = read_all(fd, limit, arena, ret_text, ret_size);
  close(fd);
  return result;
}

int keep_read(const char *directory, const char *name, size_t limit, struct arena *arena, char **ret_text,
              size_t *ret_size, struct error *error) {
  int fd = open_directory(directory, error);
  if (fd < 0) {
    return fd;
  }
  int result = read_in(fd, name, limit, arena, ret_text, ret_size);
  close(fd);
  if (result < 0) {
    error_set(error, -result, "%s/%s: %s", directory, name,
              result == -EBADMSG ? "not a file that we wrote" : strerror(-result));
  }
  return result;
}

void keep_copy_aside(const char *directory, const char *name) {
  char beside[NAME_MAX + 1];
  struct error ignored = {0};
  int fd = open_directory(directory, &ignored);
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

#define ROOM "room"

int keep_reserve(const char *directory, size_t size, struct error *error) {
  int within = open_directory(directory, error);
  if (within < 0) {
    return within;
  }
  int fd = openat(within, ROOM, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
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
  int within = open_directory(directory, &ignored);
  if (within >= 0) {
    unlinkat(within, ROOM, 0);
    close(within);
  }
}
