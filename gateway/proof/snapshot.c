/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A recorded snapshot: lines of text that say what it is, an empty line, and the messages as the kernel gave them.
 *
 *   kido-ruleset/1
 *   byte-order little-endian       of the kernel: netlink's own headers are in it
 *   generation 4711
 *   taken-at 1795489200123         milliseconds since 1970
 *   namespace 4026531840           0: not known
 *   boot 9b0a2c5e-…                or -
 *   sha256 …                       of the messages
 *   length 8192                    of the messages, in bytes; nothing follows them
 *
 * Each line stands once, in this order, numbers without leading zeros. What was made by another machine is refused by
 * its byte order; what was cut or changed, by length and digest.
 */
#include "proof/snapshot.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"

static const char format_line[] = "kido-ruleset/1";
static const char order_line[] =
#if __BYTE_ORDER == __LITTLE_ENDIAN
    "byte-order little-endian";
#else
    "byte-order big-endian";
#endif

enum { LENGTH_MOST = 1 << 30, LINE_MOST = 128 };

/* ---- writing ---- */

int snapshot_write(const struct snapshot *snapshot, struct arena *arena, const uint8_t **ret_bytes,
                   size_t *ret_length) {
  char digest[SHA256_TEXT_SIZE];
  sha256_text(snapshot->messages, snapshot->length, digest);
  const char *head = arena_printf(
      arena,
      "%s\n%s\ngeneration %" PRIu32 "\ntaken-at %" PRId64 "\nnamespace %" PRIu64 "\nboot %s\nsha256 %s\nlength %zu\n\n",
      format_line, order_line, snapshot->generation, snapshot->taken_at, snapshot->network_namespace,
      snapshot->boot[0] != '\0' ? snapshot->boot : "-", digest, snapshot->length);
  size_t head_length = head != NULL ? strlen(head) : 0;
  uint8_t *bytes = head != NULL ? arena_alloc(arena, head_length + snapshot->length + 1) : NULL;
  if (bytes == NULL) {
    return -ENOMEM;
  }
  memcpy(bytes, head, head_length + 1);
  if (snapshot->length > 0) {
    memcpy(bytes + head_length, snapshot->messages, snapshot->length);
  }
  *ret_bytes = bytes;
  *ret_length = head_length + snapshot->length;
  return 0;
}

/* ---- reading ---- */

struct lines {
  const char *text;
  size_t left;
  const char *failed; /* the first line that is not as it should be */
};

/* The value of the next line, which must begin with `key`. "" after a failure. */
static void read_line(struct lines *lines, const char *key, char value[static LINE_MOST]) {
  const char *end = memchr(lines->text, '\n', lines->left < LINE_MOST ? lines->left : LINE_MOST);
  size_t key_length = strlen(key), length = end != NULL ? (size_t)(end - lines->text) : 0;
  value[0] = '\0';
  if (lines->failed != NULL || end == NULL || length < key_length || memcmp(lines->text, key, key_length) != 0 ||
      memchr(lines->text, '\0', length) != NULL) {
    lines->failed = lines->failed != NULL ? lines->failed : key;
    return;
  }
  memcpy(value, lines->text + key_length, length - key_length);
  value[length - key_length] = '\0';
  lines->text += length + 1;
  lines->left -= length + 1;
}

static void expect_line(struct lines *lines, const char *line) {
  char rest[LINE_MOST];
  read_line(lines, line, rest);
  if (rest[0] != '\0' && lines->failed == NULL) {
    lines->failed = line;
  }
}

/* As printed by us: digits, no zero in front. */
static uint64_t read_number(struct lines *lines, const char *key, uint64_t most) {
  char value[LINE_MOST], again[LINE_MOST];
  read_line(lines, key, value);
  uint64_t number = strtoull(value, NULL, 10);
  snprintf(again, sizeof(again), "%" PRIu64, number);
  if (lines->failed == NULL && (number > most || strcmp(value, again) != 0)) {
    lines->failed = key;
  }
  return number;
}

static void read_boot(struct lines *lines, struct snapshot *snapshot) {
  char value[LINE_MOST];
  read_line(lines, "boot ", value);
  size_t length = strspn(value, "0123456789abcdef-");
  if (lines->failed == NULL && (length == 0 || value[length] != '\0' || length >= sizeof(snapshot->boot))) {
    lines->failed = "boot ";
  } else if (lines->failed == NULL && strcmp(value, "-") != 0) {
    memcpy(snapshot->boot, value, length + 1);
  }
}

static const char *check_messages(const struct lines *lines, const struct snapshot *snapshot, const char *digest) {
  char found[SHA256_TEXT_SIZE];
  if (snapshot->length != lines->left) {
    return "its length is not what it says";
  }
  sha256_text(lines->text, lines->left, found);
  return strcmp(found, digest) == 0 ? NULL : "its digest is not that of its messages";
}

int snapshot_parse(const uint8_t *bytes, size_t length, struct arena *arena, struct snapshot *ret_snapshot,
                   struct error *error) {
  struct lines lines = {.text = (const char *)bytes, .left = length};
  struct snapshot snapshot = {0};
  char digest[LINE_MOST];
  expect_line(&lines, format_line);
  if (lines.failed != NULL) {
    return error_set(error, EBADMSG, "this is no recorded ruleset (%s)", format_line);
  }
  expect_line(&lines, order_line);
  snapshot.generation = (uint32_t)read_number(&lines, "generation ", UINT32_MAX);
  snapshot.taken_at = (int64_t)read_number(&lines, "taken-at ", INT64_MAX);
  snapshot.network_namespace = read_number(&lines, "namespace ", UINT64_MAX);
  read_boot(&lines, &snapshot);
  read_line(&lines, "sha256 ", digest);
  snapshot.length = (size_t)read_number(&lines, "length ", LENGTH_MOST);
  expect_line(&lines, "");
  if (lines.failed != NULL) {
    return error_set(error, EBADMSG, "recorded ruleset: its line '%s' is missing or not as it should be", lines.failed);
  }
  const char *fault = check_messages(&lines, &snapshot, digest);
  if (fault != NULL) {
    return error_set(error, EBADMSG, "recorded ruleset: %s", fault);
  }
  snapshot.messages = arena_memdup(arena, lines.text, lines.left);
  if (snapshot.messages == NULL) {
    return error_set(error, ENOMEM, "no memory for a recorded ruleset");
  }
  *ret_snapshot = snapshot;
  return 0;
}
