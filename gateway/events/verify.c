/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "events/chain.h"

const char *chain_fault_name(enum chain_fault fault) {
  static const char *const names[CHAIN_FAULT_COUNT_] = {
      [CHAIN_FAULT_NONE] = "none",
      [CHAIN_FAULT_UNREADABLE] = "unreadable",
      [CHAIN_FAULT_ALTERED] = "altered",
      [CHAIN_FAULT_LINK] = "broken-link",
      [CHAIN_FAULT_ORDER] = "out-of-order",
      [CHAIN_FAULT_UNCHAINED] = "unchained",
      [CHAIN_FAULT_BEGINNING] = "beginning-missing",
      [CHAIN_FAULT_CHECKPOINT] = "false-checkpoint",
      [CHAIN_FAULT_ANCHOR] = "not-what-was-sent",
      [CHAIN_FAULT_CUT_OFF] = "cut-off",
  };
  return names[fault];
}

/* ---- anchors ---- */

struct anchor {
  char daemon[24];
  uint64_t sequence;
  char hash[SHA256_TEXT_SIZE], key[CHAIN_KEY_TEXT_SIZE];
};

struct chain_anchors {
  struct anchor *items;
  size_t count, capacity;
};

static int compare_anchors(const void *left, const void *right) {
  const struct anchor *a = left, *b = right;
  return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

static int add_anchor(struct chain_anchors *anchors, const struct anchor *anchor) {
  if (anchors->count == anchors->capacity) {
    size_t capacity = anchors->capacity > 0 ? 2 * anchors->capacity : 64;
    struct anchor *grown = realloc(anchors->items, capacity * sizeof *grown);
    if (grown == NULL)
      return -ENOMEM;
    anchors->items = grown;
    anchors->capacity = capacity;
  }
  anchors->items[anchors->count++] = *anchor;
  return 0;
}

#define HEARTBEAT_START "{\"schema\":\"kido.heartbeat/1\""

static bool read_heartbeat(const char *start, struct anchor *ret_anchor) {
  const char *schema, *daemon, *hash, *key;
  json_int_t sequence;
  json_t *object = json_loads(start, JSON_DISABLE_EOF_CHECK, NULL);
  bool good = object != NULL &&
              json_unpack(object, "{s:s, s:s, s:I, s:s, s:s}", "schema", &schema, "daemon", &daemon, "sequence",
                          &sequence, "hash", &hash, "key", &key) == 0 &&
              sequence > 0 && strlen(hash) == SHA256_TEXT_SIZE - 1 && strlen(key) == CHAIN_KEY_TEXT_SIZE - 1;
  if (good) {
    *ret_anchor = (struct anchor){.sequence = (uint64_t)sequence};
    snprintf(ret_anchor->daemon, sizeof ret_anchor->daemon, "%s", daemon);
    snprintf(ret_anchor->hash, sizeof ret_anchor->hash, "%s", hash);
    snprintf(ret_anchor->key, sizeof ret_anchor->key, "%s", key);
  }
  json_decref(object);
  return good;
}

static int read_anchor_lines(FILE *stream, struct chain_anchors *anchors) {
  char *line = NULL;
  size_t size = 0;
  int result = 0;
  struct anchor anchor;
  while (result == 0 && getline(&line, &size, stream) >= 0)
    for (const char *at = line; result == 0 && (at = strstr(at, HEARTBEAT_START)) != NULL; at++)
      if (read_heartbeat(at, &anchor))
        result = add_anchor(anchors, &anchor);
  free(line);
  return result < 0 ? result : ferror(stream) ? -EIO : 0;
}

int chain_anchors_read(const char *path, struct chain_anchors **ret_anchors, struct error *error) {
  FILE *stream = fopen(path, "re");
  if (stream == NULL)
    return error_set(error, errno, "%s: %s", path, strerror(errno));
  struct chain_anchors *anchors = calloc(1, sizeof *anchors);
  int result = anchors != NULL ? read_anchor_lines(stream, anchors) : -ENOMEM;
  fclose(stream);
  if (result == 0 && anchors->count == 0)
    result = -ENODATA;
  if (result < 0) {
    chain_anchors_free(anchors);
    return error_set(error, -result, "%s: %s", path, result == -ENODATA ? "no heartbeat in it" : strerror(-result));
  }
  qsort(anchors->items, anchors->count, sizeof *anchors->items, compare_anchors);
  *ret_anchors = anchors;
  return 0;
}

struct chain_anchors *chain_anchors_free(struct chain_anchors *anchors) {
  if (anchors != NULL)
    free(anchors->items);
  free(anchors);
  return NULL;
}

/* ---- the walk ---- */

struct walk {
  const char *daemon;
  const struct chain_anchors *anchors;
  size_t next_anchor;
  const char *key; /* the log's own, NULL: not known */
  struct checkpoint checkpoint;
  bool has_checkpoint;
  uint64_t sequence; /* of the record before, chained or not; 0: none */
  struct chain_report *report;
};

static void blame(struct walk *walk, enum chain_fault fault, const struct event_text *text) {
  struct chain_report *report = walk->report;
  if (report->fault != CHAIN_FAULT_NONE)
    return;
  report->fault = fault;
  report->line = text->line;
  report->sequence = text->sequence;
  snprintf(report->file, sizeof report->file, "%s", text->file);
}

static bool is_mine(const struct walk *walk, const struct anchor *anchor) {
  return strcmp(anchor->daemon, walk->daemon) == 0 && (walk->key == NULL || strcmp(anchor->key, walk->key) == 0);
}

/*
 * Only what stood in the file is sent, so each head before this record must have met its own, unless pruning removed
 * it: that takes the oldest, so nothing behind the first record that is still there.
 */
static void pass_anchor(struct walk *walk, const struct event_text *text, const struct anchor *anchor) {
  struct event_text missing = {.sequence = anchor->sequence, .file = text->file};
  if (anchor->sequence > walk->report->pruned || anchor->sequence > walk->report->first)
    blame(walk, CHAIN_FAULT_ANCHOR, &missing);
  else
    walk->report->anchors_before++;
}

static void pass_anchors(struct walk *walk, const struct event_text *text) {
  const struct chain_anchors *anchors = walk->anchors;
  for (; anchors != NULL && walk->next_anchor < anchors->count; walk->next_anchor++) {
    const struct anchor *anchor = &anchors->items[walk->next_anchor];
    if (anchor->sequence >= text->sequence)
      break;
    if (is_mine(walk, anchor))
      pass_anchor(walk, text, anchor);
  }
}

static void compare_anchor(struct walk *walk, const struct event_text *text, const char *hash) {
  const struct chain_anchors *anchors = walk->anchors;
  pass_anchors(walk, text);
  for (; anchors != NULL && walk->next_anchor < anchors->count; walk->next_anchor++) {
    const struct anchor *anchor = &anchors->items[walk->next_anchor];
    if (anchor->sequence != text->sequence)
      break;
    if (!is_mine(walk, anchor))
      continue;
    walk->report->anchors++;
    if (strcmp(anchor->hash, hash) != 0)
      blame(walk, CHAIN_FAULT_ANCHOR, text);
    else if (walk->report->fault == CHAIN_FAULT_NONE)
      walk->report->last_anchor = anchor->sequence;
  }
}

/* What the first chained record must follow. */
static enum chain_fault judge_first(const struct walk *walk, const struct event_text *text,
                                    const struct chain_link *link) {
  bool genesis = strcmp(link->previous, CHAIN_GENESIS) == 0;
  if (walk->has_checkpoint && text->sequence > walk->checkpoint.sequence)
    return strcmp(link->previous, walk->checkpoint.hash) == 0 ? CHAIN_FAULT_NONE : CHAIN_FAULT_BEGINNING;
  if (walk->has_checkpoint) /* pruning was interrupted before it removed the files */
    return CHAIN_FAULT_NONE;
  return genesis && (text->sequence == 1 || walk->report->unchained > 0) ? CHAIN_FAULT_NONE : CHAIN_FAULT_BEGINNING;
}

static enum chain_fault judge_record(const struct walk *walk, const struct event_text *text,
                                     const struct chain_link *link, enum chain_state state) {
  const struct chain_report *report = walk->report;
  if (state == CHAIN_BROKEN)
    return CHAIN_FAULT_ALTERED;
  if (walk->sequence > 0 && text->sequence <= walk->sequence)
    return CHAIN_FAULT_ORDER;
  if (report->records == 0)
    return judge_first(walk, text, link);
  if (strcmp(link->previous, report->head) != 0)
    return CHAIN_FAULT_LINK;
  bool pruned_here = walk->has_checkpoint && text->sequence == walk->checkpoint.sequence;
  return pruned_here && strcmp(link->hash, walk->checkpoint.hash) != 0 ? CHAIN_FAULT_CHECKPOINT : CHAIN_FAULT_NONE;
}

static void count_lost(struct walk *walk, uint64_t sequence) {
  uint64_t before = walk->sequence;
  if (before == 0 && walk->has_checkpoint)
    before = walk->checkpoint.sequence;
  if (before > 0 && sequence > before + 1)
    walk->report->lost += sequence - before - 1;
}

static void take_chained(struct walk *walk, const struct event_text *text, const struct chain_link *link,
                         enum chain_state state) {
  struct chain_report *report = walk->report;
  enum chain_fault fault = judge_record(walk, text, link, state);
  if (fault != CHAIN_FAULT_NONE)
    blame(walk, fault, text);
  if (report->records == 0)
    report->first = text->sequence;
  count_lost(walk, text->sequence);
  report->records++;
  report->last = walk->sequence = text->sequence;
  memcpy(report->head, link->hash, sizeof report->head);
  compare_anchor(walk, text, link->hash);
}

static void take_line(struct walk *walk, const struct event_text *text) {
  struct chain_link link;
  enum chain_state state = chain_check(text->text, text->length, &link);
  if (text->sequence == 0) {
    blame(walk, CHAIN_FAULT_UNREADABLE, text);
  } else if (state != CHAIN_NONE) {
    take_chained(walk, text, &link, state);
  } else if (walk->report->records > 0 || walk->has_checkpoint) {
    blame(walk, CHAIN_FAULT_UNCHAINED, text);
  } else {
    walk->report->unchained++;
    walk->sequence = text->sequence;
  }
}

/* ---- before and after ---- */

static void blame_name(struct walk *walk, enum chain_fault fault, const char *pattern, uint64_t sequence) {
  char name[EVENT_NAME_SIZE];
  struct event_text text = {.sequence = sequence, .file = name};
  snprintf(name, sizeof name, "%s-%s", walk->daemon, pattern);
  blame(walk, fault, &text);
}

/* The key may be read by the daemon alone; then the checkpoint names it. */
static void find_key(struct walk *walk, int directory, struct chain_key *key) {
  if (chain_key_read(directory, walk->daemon, key, NULL) == 0)
    walk->key = key->text;
  else if (walk->has_checkpoint)
    walk->key = walk->checkpoint.key;
}

static int take_checkpoint(struct walk *walk, const char *path, struct chain_key *key, struct error *error) {
  int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0)
    return error_set(error, errno, "%s: %s", path, strerror(errno));
  struct error why = {0};
  int result = checkpoint_read(directory, walk->daemon, &walk->checkpoint, &why);
  walk->has_checkpoint = result == 0;
  find_key(walk, directory, key);
  close(directory);
  if (result == -EBADMSG || (walk->has_checkpoint && !walk->checkpoint.genuine) ||
      (walk->has_checkpoint && walk->key != NULL && strcmp(walk->key, walk->checkpoint.key) != 0))
    blame_name(walk, CHAIN_FAULT_CHECKPOINT, "events.checkpoint", 0);
  walk->report->pruned = walk->has_checkpoint ? walk->checkpoint.sequence : 0;
  return result == 0 || result == -ENOENT || result == -EBADMSG ? 0 : error_set(error, -result, "%s", why.message);
}

static void finish_anchors(struct walk *walk) {
  const struct chain_anchors *anchors = walk->anchors;
  struct chain_report *report = walk->report;
  for (size_t i = 0; anchors != NULL && i < anchors->count; i++) {
    const struct anchor *anchor = &anchors->items[i];
    if (strcmp(anchor->daemon, walk->daemon) != 0)
      continue;
    if (!is_mine(walk, anchor))
      report->foreign++;
    else if (anchor->sequence > report->last && anchor->sequence > report->pruned)
      blame_name(walk, CHAIN_FAULT_CUT_OFF, "events.jsonl", anchor->sequence);
    else if (walk->has_checkpoint && anchor->sequence == walk->checkpoint.sequence &&
             strcmp(anchor->hash, walk->checkpoint.hash) != 0)
      blame_name(walk, CHAIN_FAULT_CHECKPOINT, "events.checkpoint", anchor->sequence);
  }
}

static int walk_all(struct walk *walk, struct event_reader *reader) {
  struct event_text text;
  int result;
  while ((result = event_reader_next(reader, &text)) > 0)
    take_line(walk, &text);
  walk->report->unfinished = event_reader_rest(reader);
  return result;
}

int chain_verify(const char *directory, const char *daemon, const struct chain_anchors *anchors,
                 struct chain_report *ret_report, struct error *error) {
  struct chain_report report = {.fault = CHAIN_FAULT_NONE};
  struct walk walk = {.daemon = daemon, .anchors = anchors, .report = &report};
  struct event_reader *reader = NULL;
  struct chain_key key;
  int result = take_checkpoint(&walk, directory, &key, error);
  if (result == 0)
    result = event_reader_open(directory, daemon, 0, &reader, error);
  if (result < 0)
    return result;
  result = walk_all(&walk, reader);
  event_reader_close(reader);
  if (result < 0)
    return error_set(error, -result, "the events of %s cannot be read: %s", daemon, strerror(-result));
  finish_anchors(&walk);
  if (report.records == 0 && report.unchained == 0 && report.foreign == 0 && report.fault == CHAIN_FAULT_NONE)
    return error_set(error, ENOENT, "%s has written no events", daemon);
  *ret_report = report;
  return 0;
}
