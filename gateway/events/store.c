/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The journal is a write-ahead log, so that who reads never waits for who writes. synchronous is NORMAL: after a power
 * cut the last transactions may be missing, the file is whole; what is missing is added again from the lines.
 */
#include "events/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

enum { PATH_SIZE = 4096, STORE_VERSION = 1, PATIENCE_MILLISECONDS = 3000, STORE_MODE = 0660, QUERY_SIZE = 1024 };

struct event_store {
  sqlite3 *database;
  sqlite3_stmt *insert, *count;
};

static const char SCHEMA[] =
    "CREATE TABLE event (sequence INTEGER PRIMARY KEY, id TEXT, time INTEGER, kind TEXT, severity INTEGER, zone TEXT,"
    " other_zone TEXT, record TEXT);"
    "CREATE INDEX event_time ON event (time);"
    "CREATE INDEX event_kind ON event (kind, time);"
    "CREATE INDEX event_alert ON event (id, sequence) WHERE severity <= 1;"
    "CREATE TABLE tally (kind TEXT, severity INTEGER, records INTEGER, PRIMARY KEY (kind, severity)) WITHOUT ROWID;";

/* ---- errors ---- */

static int code_of(int result) {
  switch (result & 0xff) {
  case SQLITE_OK:
  case SQLITE_ROW:
  case SQLITE_DONE:
    return 0;
  case SQLITE_NOMEM:
    return ENOMEM;
  case SQLITE_FULL:
    return ENOSPC;
  case SQLITE_BUSY:
    return EBUSY;
  case SQLITE_READONLY:
    return EROFS;
  case SQLITE_PERM:
    return EACCES;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
  case SQLITE_SCHEMA:
  case SQLITE_ERROR:
    return EBADMSG;
  default:
    return EIO;
  }
}

static int fail(const struct event_store *store, int result, struct error *error) {
  return error_set(error, code_of(result), "the store of events: %s", sqlite3_errmsg(store->database));
}

static int run(struct event_store *store, const char *text, struct error *error) {
  int result = sqlite3_exec(store->database, text, NULL, NULL, NULL);
  return result == SQLITE_OK ? 0 : fail(store, result, error);
}

static int prepare(struct event_store *store, const char *text, sqlite3_stmt **ret_statement, struct error *error) {
  int result = sqlite3_prepare_v2(store->database, text, -1, ret_statement, NULL);
  return result == SQLITE_OK ? 0 : fail(store, result, error);
}

/* The number that a query answers; 0 for none. */
static int ask_number(struct event_store *store, const char *text, int64_t *ret_number, struct error *error) {
  sqlite3_stmt *statement = NULL;
  int result = prepare(store, text, &statement, error);
  if (result < 0)
    return result;
  int step = sqlite3_step(statement);
  int64_t number = step == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
  if (step != SQLITE_ROW && step != SQLITE_DONE)
    result = fail(store, step, error);
  sqlite3_finalize(statement);
  if (result == 0)
    *ret_number = number;
  return result;
}

/* ---- opening ---- */

static int path_of(const char *directory, const char *daemon, char path[static PATH_SIZE], struct error *error) {
  int length = snprintf(path, PATH_SIZE - 8, "%s/" EVENT_STORE_NAME, directory, daemon);
  return length < 0 || length >= PATH_SIZE - 8 ? error_set(error, ENAMETOOLONG, "%s", directory) : 0;
}

struct event_store *event_store_close(struct event_store *store) {
  if (store == NULL)
    return NULL;
  sqlite3_finalize(store->insert);
  sqlite3_finalize(store->count);
  sqlite3_close(store->database);
  free(store);
  return NULL;
}

static int check_version(struct event_store *store, struct error *error) {
  int64_t version = 0;
  int result = ask_number(store, "PRAGMA user_version", &version, error);
  if (result == 0 && version != STORE_VERSION)
    result = error_set(error, EBADMSG, "the store of events is of another version");
  return result;
}

static int open_database(const char *path, int flags, struct event_store **ret_store, struct error *error) {
  struct event_store *store = calloc(1, sizeof *store);
  if (store == NULL)
    return error_set(error, ENOMEM, "no memory for the store of events");
  int opened = sqlite3_open_v2(path, &store->database, flags | SQLITE_OPEN_NOMUTEX, NULL);
  if (opened != SQLITE_OK) {
    int result = error_set(error, code_of(opened), "%s: %s", path, sqlite3_errstr(opened));
    event_store_close(store);
    return result;
  }
  sqlite3_busy_timeout(store->database, PATIENCE_MILLISECONDS);
  *ret_store = store;
  return 0;
}

int event_store_open_to_read(const char *directory, const char *daemon, struct event_store **ret_store,
                             struct error *error) {
  char path[PATH_SIZE];
  struct event_store *store = NULL;
  int result = path_of(directory, daemon, path, error);
  if (result == 0 && access(path, F_OK) < 0)
    result = error_set(error, errno, "%s: %s", path, strerror(errno));
  if (result == 0)
    result = open_database(path, SQLITE_OPEN_READONLY, &store, error);
  if (result == 0)
    result = check_version(store, error);
  if (result < 0) {
    event_store_close(store);
    return result;
  }
  *ret_store = store;
  return 0;
}

static int create(struct event_store *store, struct error *error) {
  char version[40];
  snprintf(version, sizeof version, "PRAGMA user_version = %d", STORE_VERSION);
  int result = run(store, "BEGIN IMMEDIATE", error);
  if (result == 0)
    result = run(store, SCHEMA, error);
  if (result == 0)
    result = run(store, version, error);
  return result == 0 ? run(store, "COMMIT", error) : result;
}

static int make_ready(struct event_store *store, struct error *error) {
  int64_t version = 0;
  int result = run(store, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", error);
  if (result == 0)
    result = ask_number(store, "PRAGMA user_version", &version, error);
  if (result == 0 && version == 0)
    result = create(store, error);
  else if (result == 0)
    result = check_version(store, error);
  if (result == 0)
    result = prepare(store, "INSERT OR REPLACE INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)", &store->insert, error);
  if (result == 0)
    result = prepare(store,
                     "INSERT INTO tally VALUES (?, ?, 1) ON CONFLICT (kind, severity) DO UPDATE SET records = records "
                     "+ 1",
                     &store->count, error);
  return result;
}

/* Made beforehand with rights for the group: who may read events opens the file beside the daemon. */
static int try_open(const char *path, struct event_store **ret_store, struct error *error) {
  struct event_store *store = NULL;
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, STORE_MODE);
  if (file < 0)
    return error_set(error, errno, "%s: %s", path, strerror(errno));
  close(file);
  int result = open_database(path, SQLITE_OPEN_READWRITE, &store, error);
  if (result == 0)
    result = make_ready(store, error);
  if (result < 0) {
    event_store_close(store);
    return result;
  }
  *ret_store = store;
  return 0;
}

static void remove_store(const char *path) {
  static const char *const ends[] = {"", "-wal", "-shm"};
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    char each[PATH_SIZE];
    snprintf(each, sizeof each, "%.*s%s", PATH_SIZE - 8, path, ends[i]);
    unlink(each);
  }
}

int event_store_open(const char *directory, const char *daemon, struct event_store **ret_store, struct error *error) {
  char path[PATH_SIZE];
  int result = path_of(directory, daemon, path, error);
  if (result < 0)
    return result;
  result = try_open(path, ret_store, error);
  if (result != -EBADMSG)
    return result;
  remove_store(path);
  return try_open(path, ret_store, error);
}

void event_store_remove(const char *directory, const char *daemon) {
  char path[PATH_SIZE];
  if (path_of(directory, daemon, path, NULL) == 0)
    remove_store(path);
}

bool event_store_is_sound(struct event_store *store) {
  sqlite3_stmt *statement = NULL;
  if (prepare(store, "PRAGMA quick_check(1)", &statement, NULL) < 0)
    return false;
  bool sound =
      sqlite3_step(statement) == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0;
  sqlite3_finalize(statement);
  return sound;
}

/* ---- what it holds ---- */

int event_store_last(struct event_store *store, uint64_t *ret_sequence, struct error *error) {
  int64_t last = 0;
  int result = ask_number(store, "SELECT max(sequence) FROM event", &last, error);
  if (result == 0)
    *ret_sequence = (uint64_t)last;
  return result;
}

bool event_store_has(struct event_store *store, uint64_t sequence, const char *line, size_t length) {
  sqlite3_stmt *statement = NULL;
  if (prepare(store, "SELECT record FROM event WHERE sequence = ?", &statement, NULL) < 0)
    return false;
  sqlite3_bind_int64(statement, 1, (int64_t)sequence);
  bool same = sqlite3_step(statement) == SQLITE_ROW && (size_t)sqlite3_column_bytes(statement, 0) == length &&
              memcmp(sqlite3_column_text(statement, 0), line, length) == 0;
  sqlite3_finalize(statement);
  return same;
}

/* ---- adding ---- */

int event_store_begin(struct event_store *store, struct error *error) {
  return run(store, "BEGIN IMMEDIATE", error);
}

int event_store_commit(struct event_store *store, struct error *error) {
  int result = run(store, "COMMIT", error);
  if (result < 0)
    sqlite3_exec(store->database, "ROLLBACK", NULL, NULL, NULL);
  return result;
}

static void bind_text(sqlite3_stmt *statement, int place, const json_t *record, const char *key) {
  const char *text = json_string_value(json_object_get(record, key));
  if (text != NULL)
    sqlite3_bind_text(statement, place, text, -1, SQLITE_TRANSIENT);
  else
    sqlite3_bind_null(statement, place);
}

static int finish(struct event_store *store, sqlite3_stmt *statement, struct error *error) {
  int step = sqlite3_step(statement);
  int result = step == SQLITE_DONE ? 0 : fail(store, step, error);
  sqlite3_reset(statement);
  return result;
}

static enum event_severity severity_of(const json_t *record) {
  const char *name = json_string_value(json_object_get(record, "severity"));
  enum event_severity severity = EVENT_INFO;
  if (name != NULL)
    event_severity_parse(name, &severity);
  return severity;
}

static int64_t time_of(const json_t *record) {
  const char *text = json_string_value(json_object_get(record, "time"));
  return text != NULL ? event_time_parse(text) : 0;
}

static int add_record(struct event_store *store, const json_t *record, const char *line, size_t length,
                      struct error *error) {
  sqlite3_bind_int64(store->insert, 1, json_integer_value(json_object_get(record, "sequence")));
  bind_text(store->insert, 2, record, "id");
  sqlite3_bind_int64(store->insert, 3, time_of(record));
  bind_text(store->insert, 4, record, "kind");
  sqlite3_bind_int(store->insert, 5, (int)severity_of(record));
  bind_text(store->insert, 6, record, "zone");
  bind_text(store->insert, 7, record, "other_zone");
  sqlite3_bind_text(store->insert, 8, line, (int)length, SQLITE_STATIC);
  int result = finish(store, store->insert, error);
  if (result < 0)
    return result;
  bind_text(store->count, 1, record, "kind");
  sqlite3_bind_int(store->count, 2, (int)severity_of(record));
  return finish(store, store->count, error);
}

int event_store_add(struct event_store *store, const char *line, size_t length, struct error *error) {
  json_t *record = json_loadb(line, length, 0, NULL);
  bool good =
      json_integer_value(json_object_get(record, "sequence")) > 0 && json_is_string(json_object_get(record, "kind"));
  int result = good ? add_record(store, record, line, length, error) : 0;
  json_decref(record);
  return result;
}

int event_store_prune(struct event_store *store, uint64_t sequence, struct error *error) {
  sqlite3_stmt *statement = NULL;
  int result = prepare(store, "DELETE FROM event WHERE sequence <= ?", &statement, error);
  if (result < 0)
    return result;
  sqlite3_bind_int64(statement, 1, (int64_t)sequence);
  result = finish(store, statement, error);
  sqlite3_finalize(statement);
  return result;
}

/* ---- asking ---- */

static bool is_one_of(const char *const *names, const char *name) {
  for (size_t i = 0; names[i] != NULL; i++)
    if (strcmp(names[i], name) == 0)
      return true;
  return false;
}

static bool is(const json_t *record, const char *key, const char *wanted) {
  const char *text = json_string_value(json_object_get(record, key));
  return text != NULL && strcmp(text, wanted) == 0;
}

bool event_query_takes(const struct event_query *query, const json_t *record) {
  const char *kind = json_string_value(json_object_get(record, "kind"));
  int64_t time = time_of(record);
  uint64_t sequence = (uint64_t)json_integer_value(json_object_get(record, "sequence"));
  if (query->sequence > 0 && sequence != query->sequence)
    return false;
  if (time < query->since || (query->until > 0 && time >= query->until) || severity_of(record) > query->least)
    return false;
  if (query->kinds != NULL && (kind == NULL || !is_one_of(query->kinds, kind)))
    return false;
  return query->zone == NULL || is(record, "zone", query->zone) || is(record, "other_zone", query->zone);
}

/* Kinds are looked at here, because their number is not fixed. */
static int take_rows(struct event_store *store, sqlite3_stmt *statement, const struct event_query *query,
                     event_store_take *take, void *context, struct error *error) {
  int step, result = 0;
  while (result >= 0 && (step = sqlite3_step(statement)) == SQLITE_ROW) {
    const char *kind = (const char *)sqlite3_column_text(statement, 2);
    const char *line = (const char *)sqlite3_column_text(statement, 3);
    if (line == NULL || (query->kinds != NULL && (kind == NULL || !is_one_of(query->kinds, kind))))
      continue;
    result = take(context, (uint64_t)sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1), line,
                  (size_t)sqlite3_column_bytes(statement, 3));
  }
  if (result < 0)
    return error_set(error, -result, "%s", strerror(-result));
  return step == SQLITE_DONE ? 0 : fail(store, step, error);
}

static void format_query(const struct event_query *query, char text[static QUERY_SIZE]) {
  static const char alerts[] = " AND sequence IN (SELECT max(sequence) FROM event WHERE severity <= 1 GROUP BY id)";
  char limit[40] = "";
  if (query->last > 0 && query->kinds == NULL) /* kinds are looked at by take_rows() */
    snprintf(limit, sizeof limit, " DESC LIMIT %zu", query->last);
  snprintf(
      text, QUERY_SIZE,
      "SELECT * FROM (SELECT sequence, time, kind, record FROM event WHERE time >= ?1 AND time < ?2 AND severity <= "
      "?3%s%s%s ORDER BY sequence%s) ORDER BY sequence",
      query->zone != NULL ? " AND (zone = ?4 OR other_zone = ?4)" : "", query->sequence > 0 ? " AND sequence = ?5" : "",
      query->alerts ? alerts : "", limit);
}

static void bind_query(const struct event_query *query, sqlite3_stmt *statement) {
  sqlite3_bind_int64(statement, 1, query->since);
  sqlite3_bind_int64(statement, 2, query->until > 0 ? query->until : INT64_MAX);
  sqlite3_bind_int(statement, 3, (int)query->least);
  if (query->zone != NULL)
    sqlite3_bind_text(statement, 4, query->zone, -1, SQLITE_STATIC);
  if (query->sequence > 0)
    sqlite3_bind_int64(statement, 5, (int64_t)query->sequence);
}

int event_store_ask(struct event_store *store, const struct event_query *query, event_store_take *take, void *context,
                    struct error *error) {
  char text[QUERY_SIZE];
  sqlite3_stmt *statement = NULL;
  format_query(query, text);
  int result = prepare(store, text, &statement, error);
  if (result < 0)
    return result;
  bind_query(query, statement);
  result = take_rows(store, statement, query, take, context, error);
  sqlite3_finalize(statement);
  return result;
}

int event_store_tally(struct event_store *store, event_store_count *count, void *context, struct error *error) {
  sqlite3_stmt *statement = NULL;
  int result = prepare(store, "SELECT kind, severity, records FROM tally", &statement, error), step;
  if (result < 0)
    return result;
  while ((step = sqlite3_step(statement)) == SQLITE_ROW)
    count(context, (const char *)sqlite3_column_text(statement, 0),
          (enum event_severity)sqlite3_column_int(statement, 1), (uint64_t)sqlite3_column_int64(statement, 2));
  result = step == SQLITE_DONE ? 0 : fail(store, step, error);
  sqlite3_finalize(statement);
  return result;
}
