/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/event_query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/answer.h"

static const char *const daemons[EVENT_SOURCES] = {"kidod", "kidoban"};

/* One daemon's part of an answer. */
struct gathering {
  struct event_hits *hits;
  const struct event_query *query;
  size_t source;
};

static int add(struct event_hits *hits, struct event_hit hit, const char *text, size_t length) {
  if (hits->count == hits->capacity) {
    size_t capacity = hits->capacity ? 2 * hits->capacity : 256;
    struct event_hit *items = realloc(hits->items, capacity * sizeof *items);
    if (!items) {
      return -ENOMEM;
    }
    hits->items = items;
    hits->capacity = capacity;
  }
  hit.text = strndup(text, length);
  if (!hit.text) {
    return -ENOMEM;
  }
  hits->items[hits->count++] = hit;
  return 0;
}

/* ---- from the store ---- */

static int take_row(void *context, uint64_t sequence, int64_t time, const char *line, size_t length) {
  const struct gathering *gathering = context;
  struct event_hit hit = {.microseconds = time, .sequence = sequence, .source = gathering->source};
  return add(gathering->hits, hit, line, length);
}

static void drop_from(struct event_hits *hits, size_t count) {
  while (hits->count > count) {
    free(hits->items[--hits->count].text);
  }
}

/* A store that cannot be read is no answer and no failure: the files have everything. */
static uint64_t ask_store(const char *state_directory, struct gathering *gathering) {
  struct event_store *store = NULL;
  struct error ignored = {0};
  size_t before = gathering->hits->count;
  uint64_t last = 0;
  if (event_store_open_to_read(state_directory, daemons[gathering->source], &store, &ignored) < 0) {
    return 0;
  }
  if (event_store_last(store, &last, &ignored) < 0 ||
      event_store_ask(store, gathering->query, take_row, gathering, &ignored) < 0) {
    drop_from(gathering->hits, before);
    last = 0;
  }
  event_store_close(store);
  return last;
}

/* ---- from the files ---- */

static int take_line(struct gathering *gathering, const struct event_text *text) {
  json_t *record = json_loadb(text->text, text->length, 0, NULL);
  int result = 0;
  if (json_is_object(record) && event_query_takes(gathering->query, record)) {
    struct event_hit hit = {.microseconds = event_time_parse(answer_text(record, "time")),
                            .sequence = text->sequence,
                            .source = gathering->source};
    result = add(gathering->hits, hit, text->text, text->length);
  }
  json_decref(record);
  return result;
}

static int ask_files(const char *state_directory, struct gathering *gathering, uint64_t after, struct error *error) {
  struct event_reader *reader = NULL;
  struct event_text text;
  const char *daemon = daemons[gathering->source];
  int result = event_reader_open(state_directory, daemon, after, &reader, error);
  if (result < 0) {
    return result;
  }
  uint64_t *last = &gathering->hits->last[gathering->source];
  *last = after;
  while ((result = event_reader_next(reader, &text)) > 0) {
    *last = text.sequence > *last ? text.sequence : *last;
    result = take_line(gathering, &text);
    if (result < 0) {
      break;
    }
  }
  event_reader_close(reader);
  return result < 0 ? error_set(error, -result, "%s: the events of %s: %s", state_directory, daemon, strerror(-result))
                    : 0;
}

/* ---- both ---- */

static int compare(const void *left, const void *right) {
  const struct event_hit *a = left, *b = right;
  if (a->microseconds != b->microseconds) {
    return a->microseconds < b->microseconds ? -1 : 1;
  }
  if (a->source != b->source) {
    return a->source < b->source ? -1 : 1;
  }
  return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

static void sort(struct event_hits *hits) {
  if (hits->count > 0) {
    qsort(hits->items, hits->count, sizeof *hits->items, compare);
  }
}

static int ask(const char *state_directory, const struct event_query *query, bool news, struct event_hits *hits,
               struct error *error) {
  struct stat status;
  int result = 0;
  if (stat(state_directory, &status) < 0) {
    return error_set(error, errno, "%s: %s", state_directory, strerror(errno));
  }
  for (size_t source = 0; source < EVENT_SOURCES && result == 0; source++) {
    struct gathering gathering = {hits, query, source};
    uint64_t after = news ? hits->last[source] : ask_store(state_directory, &gathering);
    result = ask_files(state_directory, &gathering, after, error);
  }
  sort(hits);
  return result;
}

int event_hits_ask(const char *state_directory, const struct event_query *query, struct event_hits *hits,
                   struct error *error) {
  return ask(state_directory, query, false, hits, error);
}

int event_hits_ask_news(const char *state_directory, const struct event_query *query, struct event_hits *hits,
                        struct error *error) {
  return ask(state_directory, query, true, hits, error);
}

void event_hits_forget(struct event_hits *hits) {
  drop_from(hits, 0);
}

void event_hits_free(struct event_hits *hits) {
  event_hits_forget(hits);
  free(hits->items);
  *hits = (struct event_hits){.items = NULL};
}

json_t *event_hit_object(const struct event_hit *hit) {
  json_t *object = json_loads(hit->text, 0, NULL);
  if (!json_is_object(object)) {
    json_decref(object);
    return NULL;
  }
  return object;
}

/* ---- open alerts ---- */

/* The ids of what was acknowledged, as keys. */
static int read_acknowledged(const char *state_directory, json_t *ids, struct error *error) {
  static const char *const kinds[] = {"acknowledged", NULL};
  const struct event_query query = {.least = EVENT_INFO, .kinds = kinds};
  struct event_hits hits = {.items = NULL};
  int result = event_hits_ask(state_directory, &query, &hits, error);
  for (size_t i = 0; result == 0 && i < hits.count; i++) {
    json_t *record = event_hit_object(&hits.items[i]);
    const char *about = answer_text(record, "about");
    if (about[0] != '\0') {
      json_object_set_new(ids, about, json_true());
    }
    json_decref(record);
  }
  event_hits_free(&hits);
  return result;
}

/* From the newest on: the first of each id is its last record. What is acknowledged counts as seen. */
static void keep_last_of_each(struct event_hits *hits, json_t *seen) {
  size_t kept = hits->count;
  for (size_t i = hits->count; i-- > 0;) {
    json_t *record = event_hit_object(&hits->items[i]);
    const char *id = answer_text(record, "id");
    if (record && !json_object_get(seen, id)) {
      json_object_set_new(seen, id, json_true());
      hits->items[--kept] = hits->items[i];
    } else {
      free(hits->items[i].text);
    }
    json_decref(record);
  }
  memmove(hits->items, hits->items + kept, (hits->count - kept) * sizeof *hits->items);
  hits->count -= kept;
}

int event_hits_ask_open(const char *state_directory, const struct event_query *query, struct event_hits *hits,
                        struct error *error) {
  struct event_query alerts = *query;
  json_t *seen = json_object();
  alerts.alerts = true;
  alerts.least = query->least < EVENT_WARNING ? query->least : EVENT_WARNING;
  int result = seen ? read_acknowledged(state_directory, seen, error) : error_set(error, ENOMEM, "no memory");
  if (result == 0) {
    result = event_hits_ask(state_directory, &alerts, hits, error);
  }
  if (result == 0 && hits->count > 0) {
    keep_last_of_each(hits, seen);
  }
  json_decref(seen);
  return result;
}
