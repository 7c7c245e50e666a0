/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/orders.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "control/keep.h"
#include "control/restrictions_json.h"

#define SCHEMA "kido.restrictions/1"

enum { FILE_LIMIT = 16 * 1024 * 1024 };

/* ---- making ---- */

static struct orders *make(size_t cuts, size_t windows) {
  struct arena *arena = arena_new(0);
  struct orders *orders = arena ? ARENA_NEW(arena, struct orders) : NULL;
  if (!orders) {
    arena_free(arena);
    return NULL;
  }
  orders->arena = arena;
  orders->restrictions.cuts = orders->cuts = ARENA_ARRAY(arena, cuts, struct cut);
  orders->restrictions.closed_windows = orders->closed_windows = ARENA_ARRAY(arena, windows, struct closed_window);
  return orders;
}

static const char *copy_text(struct orders *orders, const char *text) {
  return text ? arena_strdup(orders->arena, text) : NULL;
}

static struct cut *append_cut(struct orders *orders, const struct cut *cut) {
  struct cut *copy = &orders->cuts[orders->restrictions.cut_count++];
  *copy = *cut;
  copy->zone = copy_text(orders, cut->zone);
  copy->other_zone = copy_text(orders, cut->other_zone);
  copy->by = copy_text(orders, cut->by);
  copy->why = copy_text(orders, cut->why);
  return copy;
}

static void append_window(struct orders *orders, const struct closed_window *closed) {
  struct restrictions *restrictions = &orders->restrictions;
  struct closed_window *copy = &orders->closed_windows[restrictions->closed_window_count];
  restrictions->closed_window_count++;
  *copy = *closed;
  copy->flow = copy_text(orders, closed->flow);
  copy->by = copy_text(orders, closed->by);
  copy->why = copy_text(orders, closed->why);
}

/* What of the old ones stays. */
typedef bool keep_cut(const struct cut *cut, const void *context);
typedef bool keep_window(const struct closed_window *closed, const void *context);

static struct orders *copy(const struct orders *from, keep_cut *wants_cut, keep_window *wants_window,
                           const void *context) {
  const struct restrictions *old = &from->restrictions;
  struct orders *orders = make(old->cut_count + 1, old->closed_window_count + 1);
  if (!orders || arena_failed(orders->arena)) {
    return orders_free(orders);
  }
  orders->last_cut = from->last_cut;
  for (size_t i = 0; i < old->cut_count; i++) {
    if (!wants_cut || wants_cut(&old->cuts[i], context)) {
      append_cut(orders, &old->cuts[i]);
    }
  }
  for (size_t i = 0; i < old->closed_window_count; i++) {
    if (!wants_window || wants_window(&old->closed_windows[i], context)) {
      append_window(orders, &old->closed_windows[i]);
    }
  }
  return orders;
}

static int finish(struct orders *orders, struct orders **ret_orders, struct error *error) {
  if (!orders || arena_failed(orders->arena)) {
    orders_free(orders);
    return error_set(error, ENOMEM, "no memory for the order");
  }
  *ret_orders = orders;
  return 0;
}

int orders_new(struct orders **ret_orders, struct error *error) {
  return finish(make(1, 1), ret_orders, error);
}

struct orders *orders_free(struct orders *orders) {
  if (orders) {
    arena_free(orders->arena);
  }
  return NULL;
}

/* ---- cuts ---- */

int orders_add_cut(const struct orders *orders, const struct cut *cut, struct orders **ret_orders,
                   struct error *error) {
  if (orders->restrictions.cut_count >= ORDERS_CUT_LIMIT) {
    return error_set(error, E2BIG, "there are %d cuts in force already", ORDERS_CUT_LIMIT);
  }
  struct orders *next = copy(orders, NULL, NULL, NULL);
  if (next) {
    append_cut(next, cut)->id = ++next->last_cut;
  }
  return finish(next, ret_orders, error);
}

static bool is_other_cut(const struct cut *cut, const void *id) {
  return cut->id != *(const uint64_t *)id;
}

static bool is_no_cut(const struct cut *cut, const void *context) {
  (void)cut, (void)context;
  return false;
}

int orders_remove_cut(const struct orders *orders, uint64_t id, struct orders **ret_orders, struct error *error) {
  struct orders *next = copy(orders, is_other_cut, NULL, &id);
  if (next && next->restrictions.cut_count == orders->restrictions.cut_count) {
    orders_free(next);
    return error_set(error, ENOENT, "there is no cut %llu in force", (unsigned long long)id);
  }
  return finish(next, ret_orders, error);
}

int orders_remove_cuts(const struct orders *orders, struct orders **ret_orders, struct error *error) {
  if (orders->restrictions.cut_count == 0) {
    return error_set(error, ENOENT, "there is no cut in force");
  }
  return finish(copy(orders, is_no_cut, NULL, NULL), ret_orders, error);
}

const struct cut *orders_find_cut(const struct orders *orders, uint64_t id) {
  const struct restrictions *restrictions = &orders->restrictions;
  for (size_t i = restrictions->cut_count; i-- > 0;) {
    if (id == 0 || restrictions->cuts[i].id == id) {
      return &restrictions->cuts[i];
    }
  }
  return NULL;
}

/* ---- windows ---- */

static bool is_other_window(const struct closed_window *closed, const void *flow) {
  return strcmp(closed->flow, flow) != 0;
}

static bool is_not_past(const struct closed_window *closed, const void *now) {
  return closed->until.seconds > ((const struct instant *)now)->seconds;
}

int orders_close_window(const struct orders *orders, const struct closed_window *closed, struct orders **ret_orders,
                        struct error *error) {
  struct orders *next = copy(orders, NULL, is_other_window, closed->flow);
  if (next && next->restrictions.closed_window_count >= ORDERS_WINDOW_LIMIT) {
    orders_free(next);
    return error_set(error, E2BIG, "%d windows are closed already", ORDERS_WINDOW_LIMIT);
  }
  if (next) {
    append_window(next, closed);
  }
  return finish(next, ret_orders, error);
}

int orders_reopen_window(const struct orders *orders, const char *flow, struct orders **ret_orders,
                         struct error *error) {
  struct orders *next = copy(orders, NULL, is_other_window, flow);
  if (next && next->restrictions.closed_window_count == orders->restrictions.closed_window_count) {
    orders_free(next);
    return error_set(error, ENOENT, "nobody closed a window of %s", flow);
  }
  return finish(next, ret_orders, error);
}

int orders_forget_past(const struct orders *orders, struct instant now, bool *ret_changed, struct orders **ret_orders,
                       struct error *error) {
  struct orders *next = copy(orders, NULL, is_not_past, &now);
  bool changed = next && next->restrictions.closed_window_count != orders->restrictions.closed_window_count;
  int result = finish(next, ret_orders, error);
  if (result == 0) {
    *ret_changed = changed;
  }
  return result;
}

/* ---- on the disk ---- */

static int digest_of(const json_t *kept, char ret_digest[static SHA256_TEXT_SIZE]) {
  char *text = json_dumps(kept, JSON_COMPACT);
  if (!text) {
    return -ENOMEM;
  }
  sha256_text(text, strlen(text), ret_digest);
  free(text);
  return 0;
}

static char *print(const struct orders *orders) {
  char digest[SHA256_TEXT_SIZE];
  json_t *kept = json_pack("{s:I, s:o}", "last_cut", (json_int_t)orders->last_cut, "restrictions",
                           restrictions_to_json(&orders->restrictions, 0, 0));
  char *text = NULL;
  if (kept && digest_of(kept, digest) == 0) {
    json_t *file = json_pack("{s:s, s:s, s:O}", "schema", SCHEMA, "sha256", digest, "kept", kept);
    text = json_dumps(file, JSON_INDENT(1));
    json_decref(file);
  }
  json_decref(kept);
  return text;
}

int orders_save(const char *directory, const struct orders *orders, struct error *error) {
  char *text = print(orders);
  if (!text) {
    return error_set(error, ENOMEM, "no memory for " ORDERS_FILE);
  }
  int result = keep_write(directory, ORDERS_FILE, text, strlen(text), error);
  free(text);
  return result;
}

static int restore(const json_t *file, struct orders *orders, struct error *error) {
  const json_t *kept = json_object_get(file, "kept");
  const char *schema = json_string_value(json_object_get(file, "schema"));
  const char *digest = json_string_value(json_object_get(file, "sha256"));
  char found[SHA256_TEXT_SIZE];
  if (!schema || strcmp(schema, SCHEMA) != 0 || !digest || !json_is_object(kept)) {
    return error_set(error, EBADMSG, "not in the form of " SCHEMA);
  }
  if (digest_of(kept, found) < 0 || strcmp(digest, found) != 0) {
    return error_set(error, EBADMSG, "it does not have the digest that it names");
  }
  json_int_t last = json_integer_value(json_object_get(kept, "last_cut"));
  orders->last_cut = last > 0 ? (uint64_t)last : 0;
  return restrictions_from_json(json_object_get(kept, "restrictions"), 0, 0, orders->arena, &orders->restrictions,
                                error);
}

static int parse(const char *text, size_t size, struct orders *orders, struct error *error) {
  json_t *file = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
  int result = file ? restore(file, orders, error) : error_set(error, EBADMSG, "not JSON");
  json_decref(file);
  return result;
}

/* Ids grow over the life of the directory; a damaged file most often still says how far they came. */
static uint64_t guess_last_cut(const char *text) {
  static const char key[] = "\"last_cut\":";
  const char *found = text ? strstr(text, key) : NULL;
  for (found = found ? found + strlen(key) : NULL; found && isspace((unsigned char)*found); found++) {
  }
  uint64_t last = found && isdigit((unsigned char)*found) ? strtoull(found, NULL, 10) : 0;
  return last < UINT32_MAX ? last : 0;
}

static int cut_everything(uint64_t last_cut, struct instant now, struct orders **ret_orders) {
  struct orders *orders = make(1, 1);
  const struct cut cut = {.id = last_cut + 1,
                          .kind = CUT_ALL,
                          .at = now,
                          .by = "kidod",
                          .why = ORDERS_FILE " is damaged: what was cut is not known"};
  if (orders && !arena_failed(orders->arena)) {
    append_cut(orders, &cut);
    orders->last_cut = cut.id;
  }
  return finish(orders, ret_orders, NULL);
}

int orders_load(const char *directory, struct instant now, struct orders **ret_orders, struct error *error) {
  struct orders *orders = NULL;
  int result = orders_new(&orders, error);
  if (result < 0) {
    return result;
  }
  char *text = NULL;
  size_t size = 0;
  result = keep_read(directory, ORDERS_FILE, FILE_LIMIT, orders->arena, &text, &size, error);
  if (result == 0) {
    result = parse(text, size, orders, error);
  }
  if (result == 0 || result == -ENOENT) {
    *ret_orders = orders;
    return 0;
  }
  keep_copy_aside(directory, ORDERS_FILE);
  int made = cut_everything(guess_last_cut(text), now, ret_orders);
  orders_free(orders);
  return made < 0 ? made : -EBADMSG;
}
