/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/state.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_TEMPORARY STATE_CONFIRMED ".new"
#define STATE_MARK "# kido.confirmed/1 "

enum { HEADER_LIMIT = 1024 };

int state_prepare(const char *directory, struct error *error) {
  if (mkdir(directory, 0750) < 0 && errno != EEXIST) {
    return error_set(error, errno, "%s: %s", directory, strerror(errno));
  }
  return 0;
}

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
  return 0;
}

static int make_header(const struct confirmed_policy *confirmed, char header[static HEADER_LIMIT]) {
  json_t *object =
      json_pack("{s:s, s:I, s:I}", "sha256", confirmed->sha256, "applied_at", (json_int_t)confirmed->applied_at.seconds,
                "generation", (json_int_t)confirmed->generation);
  char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
  json_decref(object);
  if (!text) {
    return -ENOMEM;
  }
  snprintf(header, HEADER_LIMIT, STATE_MARK "%s\n", text);
  free(text);
  return 0;
}

static int write_file(int fd, const struct confirmed_policy *confirmed) {
  char header[HEADER_LIMIT];
  int result = make_header(confirmed, header);
  if (result == 0) {
    result = write_all(fd, header, strlen(header));
  }
  if (result == 0) {
    result = write_all(fd, confirmed->text, confirmed->size);
  }
  if (result == 0 && fsync(fd) < 0) {
    result = -errno;
  }
  return result;
}

static int save_in(int directory, const struct confirmed_policy *confirmed) {
  int fd = openat(directory, STATE_TEMPORARY, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
  if (fd < 0) {
    return -errno;
  }
  int result = write_file(fd, confirmed);
  if (close(fd) < 0 && result == 0) {
    result = -errno;
  }
  if (result == 0 && renameat(directory, STATE_TEMPORARY, directory, STATE_CONFIRMED) < 0) {
    result = -errno;
  }
  if (result == 0 && fsync(directory) < 0) {
    result = -errno;
  }
  return result;
}

int state_save(const char *directory, struct confirmed_policy *confirmed, struct error *error) {
  sha256_text(confirmed->text, confirmed->size, confirmed->sha256);
  int fd = open_directory(directory, error);
  if (fd < 0) {
    return fd;
  }
  int result = save_in(fd, confirmed);
  close(fd);
  return result < 0 ? error_set(error, -result, "%s/" STATE_CONFIRMED ": %s", directory, strerror(-result)) : 0;
}

static int read_whole(int fd, struct arena *arena, char **ret_text, size_t *ret_size) {
  struct stat status;
  if (fstat(fd, &status) < 0) {
    return -errno;
  }
  if (!S_ISREG(status.st_mode) || status.st_size > STATE_POLICY_LIMIT + HEADER_LIMIT) {
    return -EBADMSG;
  }
  size_t size = (size_t)status.st_size;
  char *text = arena_alloc(arena, size + 1);
  if (!text) {
    return -ENOMEM;
  }
  for (size_t position = 0; position < size;) {
    ssize_t got = read(fd, text + position, size - position);
    if (got == 0 || (got < 0 && errno != EINTR)) {
      return got == 0 ? -EBADMSG : -errno;
    }
    position += got > 0 ? (size_t)got : 0;
  }
  *ret_text = text;
  *ret_size = size;
  return 0;
}

static int parse_header(const char *line, size_t length, struct confirmed_policy *ret_confirmed) {
  json_t *object = json_loadb(line, length, 0, NULL);
  const char *digest = NULL;
  json_int_t applied_at = 0, generation = 0;
  int failed = !object || json_unpack(object, "{s:s, s:I, s:I}", "sha256", &digest, "applied_at", &applied_at,
                                      "generation", &generation) < 0;
  if (!failed && strlen(digest) == SHA256_TEXT_SIZE - 1 && generation >= 0) {
    memcpy(ret_confirmed->sha256, digest, SHA256_TEXT_SIZE);
    ret_confirmed->applied_at.seconds = applied_at;
    ret_confirmed->generation = (uint64_t)generation;
  } else {
    failed = 1;
  }
  json_decref(object);
  return failed ? -EBADMSG : 0;
}

static int parse_file(const char *text, size_t size, struct confirmed_policy *ret_confirmed) {
  size_t mark = strlen(STATE_MARK);
  const char *end = !text ? NULL : memchr(text, '\n', size < HEADER_LIMIT ? size : HEADER_LIMIT);
  if (!end || (size_t)(end - text) < mark || memcmp(text, STATE_MARK, mark) != 0) {
    return -EBADMSG;
  }
  struct confirmed_policy confirmed = {.text = end + 1, .size = size - (size_t)(end + 1 - text)};
  int result = parse_header(text + mark, (size_t)(end - text) - mark, &confirmed);
  if (result < 0) {
    return result;
  }
  char digest[SHA256_TEXT_SIZE];
  sha256_text(confirmed.text, confirmed.size, digest);
  if (strcmp(digest, confirmed.sha256) != 0) {
    return -EBADMSG;
  }
  *ret_confirmed = confirmed;
  return 0;
}

int state_load(const char *directory, struct arena *arena, struct confirmed_policy *ret_confirmed,
               struct error *error) {
  int directory_fd = open_directory(directory, error);
  if (directory_fd < 0) {
    return directory_fd;
  }
  int fd = openat(directory_fd, STATE_CONFIRMED, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  int result = fd < 0 ? -errno : 0;
  close(directory_fd);
  char *text = NULL;
  size_t size = 0;
  if (fd >= 0) {
    result = read_whole(fd, arena, &text, &size);
    close(fd);
  }
  if (result == 0) {
    result = parse_file(text, size, ret_confirmed);
  }
  if (result < 0) {
    error_set(error, -result, "%s/" STATE_CONFIRMED ": %s", directory,
              result == -EBADMSG ? "not whole, or changed by hand" : strerror(-result));
  }
  return result;
}
