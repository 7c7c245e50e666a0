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

#include "control/history_parts.h"
#include "control/keep.h"
#include "control/state_file.h"

#define TRIAL_SCHEMA "kido.trial/1"

enum { TRIAL_LIMIT = 4096 };

const char *state_origin_name(enum state_origin origin) {
  static const char *const names[STATE_ORIGIN_COUNT_] = {
      [STATE_APPLY] = "apply", [STATE_RELOAD] = "reload", [STATE_ROLLBACK] = "rollback"};
  return names[origin];
}

int state_prepare(const char *directory, struct error *error) {
  if (mkdir(directory, 0750) < 0 && errno != EEXIST) {
    return error_set(error, errno, "%s: %s", directory, strerror(errno));
  }
  return 0;
}

static const char *explain(int result) {
  return keep_explain(result, "not whole, or changed by hand");
}

/* ---- the confirmed policy ---- */

/* An entry whose policy was not confirmed after all is taken back. */
static int save_in(int directory, const char *path, const struct confirmed_policy *confirmed, struct error *error) {
  int result = history_add(directory, confirmed);
  if (result < 0) {
    return error_set(error, -result, "%s/" STATE_HISTORY ": %s", path, history_explain(result));
  }
  result = state_file_write(directory, STATE_CONFIRMED, confirmed);
  if (result == 0) {
    return 0;
  }
  history_take_back(directory, confirmed->generation);
  return error_set(error, -result, "%s/" STATE_CONFIRMED ": %s", path, strerror(-result));
}

int state_save(const char *directory, struct confirmed_policy *confirmed, struct error *error) {
  sha256_text(confirmed->text, confirmed->size, confirmed->sha256);
  int fd = keep_open_directory(directory, error);
  if (fd < 0) {
    return fd;
  }
  int result = save_in(fd, directory, confirmed, error);
  close(fd);
  return result;
}

int state_load(const char *directory, struct arena *arena, struct confirmed_policy *ret_confirmed,
               struct error *error) {
  int fd = keep_open_directory(directory, error);
  if (fd < 0) {
    return fd;
  }
  int result = state_file_read(fd, STATE_CONFIRMED, arena, ret_confirmed);
  close(fd);
  return result < 0 ? error_set(error, -result, "%s/" STATE_CONFIRMED ": %s", directory, explain(result)) : 0;
}

/* ---- the note of a trial ---- */

static json_t *trial_to_json(const struct state_trial *trial) {
  return json_pack("{s:s, s:I, s:s, s:s, s:s, s:I, s:I}", "schema", TRIAL_SCHEMA, "confirmed",
                   (json_int_t)trial->confirmed, "policy_number", trial->policy_number, "sha256", trial->sha256, "by",
                   trial->by, "begun_at", (json_int_t)trial->begun_at.seconds, "deadline",
                   (json_int_t)trial->deadline.seconds);
}

int state_trial_begin(const char *directory, const struct state_trial *trial, struct error *error) {
  json_t *object = trial_to_json(trial);
  char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
  json_decref(object);
  int fd = text ? keep_open_directory(directory, error) : error_set(error, ENOMEM, "no memory");
  if (fd < 0) {
    free(text);
    return fd;
  }
  int result = keep_replace(fd, STATE_TRIAL, "", text, strlen(text));
  free(text);
  close(fd);
  return result < 0 ? error_set(error, -result, "%s/" STATE_TRIAL ": %s", directory, strerror(-result)) : 0;
}

int state_trial_end(const char *directory, struct error *error) {
  int fd = keep_open_directory(directory, error);
  if (fd < 0) {
    return fd;
  }
  int result = unlinkat(fd, STATE_TRIAL, 0) < 0 && errno != ENOENT ? -errno : 0;
  if (result == 0 && fsync(fd) < 0) {
    result = -errno;
  }
  close(fd);
  return result < 0 ? error_set(error, -result, "%s/" STATE_TRIAL ": %s", directory, strerror(-result)) : 0;
}

static int parse_trial(const char *text, size_t size, struct arena *arena, struct state_trial *ret_trial) {
  const char *schema, *number, *sha256, *by;
  json_int_t confirmed, begun_at, deadline;
  json_t *object = json_loadb(text, size, 0, NULL);
  int result = 0;
  if (!object ||
      json_unpack(object, "{s:s, s:I, s:s, s:s, s:s, s:I, s:I}", "schema", &schema, "confirmed", &confirmed,
                  "policy_number", &number, "sha256", &sha256, "by", &by, "begun_at", &begun_at, "deadline",
                  &deadline) < 0 ||
      strcmp(schema, TRIAL_SCHEMA) != 0 || confirmed < 0) {
    result = -EBADMSG;
  } else {
    *ret_trial = (struct state_trial){.confirmed = (uint64_t)confirmed,
                                      .policy_number = arena_strdup(arena, number),
                                      .sha256 = arena_strdup(arena, sha256),
                                      .by = arena_strdup(arena, by),
                                      .begun_at = {begun_at},
                                      .deadline = {deadline}};
    result = ret_trial->policy_number && ret_trial->sha256 && ret_trial->by ? 0 : -ENOMEM;
  }
  json_decref(object);
  return result;
}

int state_trial_load(const char *directory, struct arena *arena, struct state_trial *ret_trial, struct error *error) {
  int fd = keep_open_directory(directory, error);
  if (fd < 0) {
    return fd;
  }
  char *text;
  size_t size;
  int result = keep_slurp(fd, STATE_TRIAL, TRIAL_LIMIT, arena, &text, &size);
  close(fd);
  if (result == 0) {
    result = parse_trial(text, size, arena, ret_trial);
  }
  return result < 0 ? error_set(error, -result, "%s/" STATE_TRIAL ": %s", directory, explain(result)) : 0;
}
