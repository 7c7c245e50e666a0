/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "control/keep.h"

#define MARK "kido.clock/1 "

enum { FILE_LIMIT = 256 };

static int64_t read_one(clockid_t clock) {
  struct timespec now = {0};
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct clock_reading clock_read(void) {
  return (struct clock_reading){read_one(CLOCK_REALTIME), read_one(CLOCK_BOOTTIME), read_one(CLOCK_MONOTONIC)};
}

struct clock_change clock_compare(const struct clock_reading *before, const struct clock_reading *after) {
  int64_t wall = after->wall - before->wall, boot = after->boot - before->boot;
  return (struct clock_change){.step = wall - boot, .slept = boot - (after->monotonic - before->monotonic)};
}

static bool matters(int64_t milliseconds) {
  return milliseconds >= CLOCK_STEP_MILLISECONDS || milliseconds <= -CLOCK_STEP_MILLISECONDS;
}

bool clock_change_matters(const struct clock_change *change) {
  return matters(change->step) || matters(change->slept);
}

int clock_save(const char *directory, struct instant seen, struct error *error) {
  char text[FILE_LIMIT];
  int length = snprintf(text, sizeof text, MARK "%" PRId64 "\n", seen.seconds);
  return keep_write(directory, CLOCK_FILE, text, (size_t)length, error);
}

static int parse(const char *text, struct instant *ret_seen) {
  char *end;
  if (strncmp(text, MARK, strlen(MARK)) != 0) {
    return -EBADMSG;
  }
  const char *digits = text + strlen(MARK);
  size_t count = strspn(digits, "0123456789");
  long long seconds = strtoll(digits, &end, 10);
  if (count == 0 || count > 15 || strcmp(end, "\n") != 0) {
    return -EBADMSG;
  }
  ret_seen->seconds = seconds;
  return 0;
}

int clock_load(const char *directory, struct instant *ret_seen, struct error *error) {
  struct arena *arena = arena_new(0);
  char *text = NULL;
  size_t size;
  int result = arena ? keep_read(directory, CLOCK_FILE, FILE_LIMIT, arena, &text, &size, error)
                     : error_set(error, ENOMEM, "no memory");
  if (result == 0 && parse(text, ret_seen) < 0) {
    result = error_set(error, EBADMSG, "%s/" CLOCK_FILE ": not a file that we wrote", directory);
  }
  arena_free(arena);
  return result;
}

bool clock_is_doubtful(struct instant seen, struct instant now) {
  return now.seconds < seen.seconds - CLOCK_TOLERANCE_SECONDS;
}
