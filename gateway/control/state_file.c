/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/keep.h"

#define STATE_MARK "# kido.confirmed/1 "

enum { HEADER_LIMIT = 4096 };

/* ---- writing ---- */

static const char *text_or_nothing(const char *text) {
  return text ? text : "";
}

static json_t *metadata_to_json(const struct confirmed_policy *policy) {
  return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:s, s:s}", "sha256", policy->sha256,
                   "applied_at", (json_int_t)policy->applied_at.seconds, "confirmed_at",
                   (json_int_t)policy->confirmed_at.seconds, "generation", (json_int_t)policy->generation, "previous",
                   (json_int_t)policy->previous, "source", (json_int_t)policy->source, "size", (json_int_t)policy->size,
                   "origin", state_origin_name(policy->origin), "by", text_or_nothing(policy->by), "confirmed_by",
                   text_or_nothing(policy->confirmed_by), "policy_number", text_or_nothing(policy->policy_number),
                   "policy_name", text_or_nothing(policy->policy_name));
}

int state_file_write(int directory, const char *name, const struct confirmed_policy *policy) {
  json_t *object = metadata_to_json(policy);
  char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
  json_decref(object);
  if (!text) {
    return -ENOMEM;
  }
  char header[HEADER_LIMIT];
  int length = snprintf(header, sizeof header, STATE_MARK "%s\n", text);
  free(text);
  return length >= (int)sizeof header ? -E2BIG : keep_replace(directory, name, header, policy->text, policy->size);
}

/* ---- reading ---- */

static int origin_of(const char *name, enum state_origin *ret_origin) {
  for (int i = 0; i < STATE_ORIGIN_COUNT_; i++) {
    if (strcmp(state_origin_name((enum state_origin)i), name) == 0) {
      *ret_origin = (enum state_origin)i;
      return 0;
    }
  }
  return -EBADMSG;
}

/* What only later versions write may be missing. */
static int take_metadata(const json_t *object, struct arena *arena, struct confirmed_policy *policy) {
  const char *digest = NULL, *origin = "apply", *by = "", *confirmed_by = "", *number = "", *name = "";
  json_int_t applied_at = 0, confirmed_at = 0, generation = 0, previous = 0, source = 0, size = -1;
  if (json_unpack((json_t *)(uintptr_t)object, "{s:s, s:I, s:I, s?:I, s?:I, s?:I, s?:I, s?:s, s?:s, s?:s, s?:s, s?:s}",
                  "sha256", &digest, "applied_at", &applied_at, "generation", &generation, "confirmed_at",
                  &confirmed_at, "previous", &previous, "source", &source, "size", &size, "origin", &origin, "by", &by,
                  "confirmed_by", &confirmed_by, "policy_number", &number, "policy_name", &name) < 0 ||
      strlen(digest) != SHA256_TEXT_SIZE - 1 || generation < 0 || previous < 0 || source < 0 ||
      (size >= 0 && (size_t)size != policy->size) || origin_of(origin, &policy->origin) < 0) {
    return -EBADMSG;
  }
  memcpy(policy->sha256, digest, SHA256_TEXT_SIZE);
  policy->applied_at.seconds = applied_at;
  policy->confirmed_at.seconds = confirmed_at == 0 ? applied_at : confirmed_at;
  policy->generation = (uint64_t)generation;
  policy->previous = (uint64_t)previous;
  policy->source = (uint64_t)source;
  policy->by = arena_strdup(arena, by);
  policy->confirmed_by = arena_strdup(arena, confirmed_by);
  policy->policy_number = arena_strdup(arena, number);
  policy->policy_name = arena_strdup(arena, name);
  return policy->by && policy->confirmed_by && policy->policy_number && policy->policy_name ? 0 : -ENOMEM;
}

/* text: the beginning of the file, file_size: all of it. */
static int parse_head(const char *text, size_t size, size_t file_size, struct arena *arena,
                      struct confirmed_policy *ret_policy, size_t *ret_length) {
  size_t mark = strlen(STATE_MARK);
  const char *end = memchr(text, '\n', size < HEADER_LIMIT ? size : HEADER_LIMIT);
  if (!end || (size_t)(end - text) < mark || memcmp(text, STATE_MARK, mark) != 0) {
    return -EBADMSG;
  }
  size_t length = (size_t)(end - text) + 1;
  ret_policy->size = file_size - length;
  json_t *object = json_loadb(text + mark, length - 1 - mark, 0, NULL);
  int result = object ? take_metadata(object, arena, ret_policy) : -EBADMSG;
  json_decref(object);
  *ret_length = length;
  return result;
}

int state_file_read(int directory, const char *name, struct arena *arena, struct confirmed_policy *ret_policy) {
  char *text = NULL;
  size_t size = 0, head = 0;
  struct confirmed_policy policy = {0};
  int result = keep_slurp(directory, name, (size_t)STATE_POLICY_LIMIT + HEADER_LIMIT, arena, &text, &size);
  if (result == 0) {
    result = parse_head(text, size, size, arena, &policy, &head);
  }
  if (result < 0) {
    return result;
  }
  char digest[SHA256_TEXT_SIZE];
  policy.text = text + head;
  sha256_text(policy.text, policy.size, digest);
  if (strcmp(digest, policy.sha256) != 0) {
    return -EBADMSG;
  }
  *ret_policy = policy;
  return 0;
}

int state_file_read_metadata(int directory, const char *name, struct arena *arena,
                             struct confirmed_policy *ret_policy) {
  size_t file_size = 0, head = 0;
  int fd = keep_open(directory, name, (size_t)STATE_POLICY_LIMIT + HEADER_LIMIT, &file_size);
  if (fd < 0) {
    return fd;
  }
  char text[HEADER_LIMIT + 1];
  size_t size = file_size < HEADER_LIMIT ? file_size : HEADER_LIMIT;
  struct confirmed_policy policy = {0};
  int result = keep_fill(fd, text, size);
  close(fd);
  if (result == 0) {
    result = parse_head(text, size, file_size, arena, &policy, &head);
  }
  if (result == 0) {
    *ret_policy = policy;
  }
  return result;
}
