/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/ruleset_input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kernel/snapshot.h"

enum { RULESET_LIMIT = 512 * 1024 * 1024 };

static const char magic[] = "kido-ruleset/1";

static int read_descriptor(int descriptor, struct arena *arena, uint8_t **ret_bytes, size_t *ret_length,
                           struct error *error) {
  void *bytes = NULL;
  size_t length = 0, capacity = 0;
  for (;;) {
    if (length == capacity && arena_grow(arena, &bytes, length, &capacity, 1) < 0)
      return error_set(error, ENOMEM, "no memory");
    ssize_t got = read(descriptor, (uint8_t *)bytes + length, capacity - length);
    if (got < 0 && errno != EINTR)
      return error_set(error, errno, "%s", strerror(errno));
    length += got > 0 ? (size_t)got : 0;
    if (got == 0) {
      *ret_bytes = bytes;
      *ret_length = length;
      return 0;
    }
    if (length > RULESET_LIMIT)
      return error_set(error, EFBIG, "more than %d bytes", RULESET_LIMIT);
  }
}

static int read_file(const char *path, struct arena *arena, uint8_t **ret_bytes, size_t *ret_length,
                     struct error *error) {
  int descriptor = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
  int result = descriptor < 0 ? error_set(error, errno, "%s", strerror(errno))
                              : read_descriptor(descriptor, arena, ret_bytes, ret_length, error);
  if (descriptor > STDIN_FILENO)
    close(descriptor);
  return result < 0 ? error_wrap(error, "%s", path) : 0;
}

int ruleset_input_take(const char *path, const struct instant *now, struct arena *arena, struct snapshot *ret_snapshot,
                       struct error *error) {
  uint8_t *bytes = NULL;
  size_t length = 0;
  int result = read_file(path, arena, &bytes, &length, error);
  if (result < 0)
    return result;
  if (length >= sizeof(magic) - 1 && memcmp(bytes, magic, sizeof(magic) - 1) == 0)
    return snapshot_parse(bytes, length, arena, ret_snapshot, error);
  result = snapshot_of_text((const char *)bytes, length, arena, ret_snapshot, error);
  if (result == 0 && now != NULL)
    ret_snapshot->taken_at = now->seconds * 1000;
  return result;
}
