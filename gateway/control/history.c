/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/history.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/foreign.h"
#include "control/history_parts.h"
#include "control/keep.h"
#include "control/state_file.h"

/*
 * Theory of operation. Each entry says which number was confirmed before it. From the confirmed policy backwards these
 * links lead through everything that ever counted; an entry that they pass over was written by a kidod that was killed
 * before it could confirm it. Where a link leads to an entry that is gone or damaged, the next older one is taken to
 * have counted.
 */
enum { ENTRY_NAME_SIZE = 32 };

#define ENTRY_SUFFIX ".conf"

const char *history_state_name(enum history_state state) {
  static const char *const names[HISTORY_STATE_COUNT_] = {[HISTORY_CONFIRMED] = "confirmed",
                                                          [HISTORY_SUPERSEDED] = "superseded",
                                                          [HISTORY_ROLLED_BACK] = "rolled-back",
                                                          [HISTORY_UNCONFIRMED] = "unconfirmed",
                                                          [HISTORY_DAMAGED] = "damaged"};
  return names[state];
}

/* ---- files ---- */

static const char *entry_name(uint64_t number, char name[static ENTRY_NAME_SIZE]) {
  snprintf(name, ENTRY_NAME_SIZE, "%010" PRIu64 ENTRY_SUFFIX, number);
  return name;
}

/* 0 for a file that is no entry. */
static uint64_t entry_number(const char *file) {
  char *end, expected[ENTRY_NAME_SIZE];
  if (file[0] < '0' || file[0] > '9') {
    return 0;
  }
  errno = 0;
  uint64_t number = strtoull(file, &end, 10);
  return errno == 0 && strcmp(entry_name(number, expected), file) == 0 ? number : 0;
}

/* A descriptor; -EPERM when it is another user's, whose entries are not ours, -ENOTDIR when it is none. */
static int open_within(int directory) {
  int fd = openat(directory, STATE_HISTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    return errno == ELOOP ? -ENOTDIR : -errno;
  }
  int result = foreign_check(directory, fd);
  if (result < 0) {
    close(fd);
    return result;
  }
  return fd;
}

static int open_history(const char *directory) {
  int state = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (state < 0) {
    return -errno;
  }
  int fd = open_within(state);
  close(state);
  return fd;
}

/* The directory as new as the entry is flushed too: it would not be there after a power cut. */
static int make_within(int directory) {
  if (mkdirat(directory, STATE_HISTORY, 0750) < 0) {
    if (errno != EEXIST) {
      return -errno;
    }
  } else if (fsync(directory) < 0) {
    return -errno;
  }
  return open_within(directory);
}

/* Others write in the state directory too. What one of them put in the place of ours would keep every policy from being
 * confirmed: it gives way. EACCES: it may not even be opened. */
static int make_history(int directory, bool *ret_foreign) {
  int fd = make_within(directory);
  *ret_foreign = fd == -EPERM || fd == -ENOTDIR || fd == -EACCES;
  if (!*ret_foreign) {
    return fd;
  }
  return foreign_put_aside(directory, STATE_HISTORY) < 0 ? -EPERM : make_within(directory);
}

int history_prepare(const char *directory, struct error *error) {
  bool foreign = false;
  int state = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int fd = state < 0 ? -errno : make_history(state, &foreign);
  if (fd >= 0) {
    close(fd);
  }
  if (state >= 0) {
    close(state);
  }
  return fd < 0 ? error_set(error, -fd, "%s/" STATE_HISTORY ": %s", directory, history_explain(fd)) : foreign;
}

const char *history_explain(int result) {
  return result == -EPERM ? "it belongs to another user and cannot be set aside: remove it as root" : strerror(-result);
}

int history_add(int directory, const struct confirmed_policy *policy) {
  char name[ENTRY_NAME_SIZE];
  bool foreign;
  int fd = make_history(directory, &foreign);
  if (fd < 0) {
    return fd;
  }
  int result = state_file_write(fd, entry_name(policy->generation, name), policy);
  close(fd);
  return result;
}

void history_take_back(int directory, uint64_t number) {
  char name[ENTRY_NAME_SIZE];
  int fd = open_within(directory);
  if (fd >= 0) {
    unlinkat(fd, entry_name(number, name), 0);
    close(fd);
  }
}

int history_complete(const char *directory, const struct confirmed_policy *confirmed, struct error *error) {
  char name[ENTRY_NAME_SIZE];
  bool foreign;
  int state = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int fd = state < 0 ? -errno : make_history(state, &foreign);
  int result = fd < 0 ? fd : 0;
  if (fd >= 0 && faccessat(fd, entry_name(confirmed->generation, name), F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
    result = errno == ENOENT ? state_file_write(fd, name, confirmed) : -errno;
  }
  if (fd >= 0) {
    close(fd);
  }
  if (state >= 0) {
    close(state);
  }
  return result < 0 ? error_set(error, -result, "%s/" STATE_HISTORY ": %s", directory, history_explain(result)) : 0;
}

/* ---- numbers ---- */

struct numbers {
  uint64_t *items;
  size_t count, capacity;
};

static int add_number(struct numbers *numbers, uint64_t number) {
  if (numbers->count == numbers->capacity) {
    size_t capacity = numbers->capacity == 0 ? 128 : numbers->capacity * 2;
    uint64_t *items = reallocarray(numbers->items, capacity, sizeof *items);
    if (!items) {
      return -ENOMEM;
    }
    numbers->items = items;
    numbers->capacity = capacity;
  }
  numbers->items[numbers->count++] = number;
  return 0;
}

static int newest_first(const void *left, const void *right) {
  uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return (a < b) - (a > b);
}

/* fd: of the history, closed here. */
static int read_numbers(int fd, struct numbers *numbers) {
  DIR *stream = fdopendir(fd);
  if (!stream) {
    close(fd);
    return -ENOMEM;
  }
  int result = 0;
  for (const struct dirent *file = readdir(stream); file && result == 0; file = readdir(stream)) {
    uint64_t number = entry_number(file->d_name);
    result = number > 0 ? add_number(numbers, number) : 0;
  }
  closedir(stream);
  if (numbers->count > 0) {
    qsort(numbers->items, numbers->count, sizeof *numbers->items, newest_first);
  }
  return result;
}

uint64_t history_newest(const char *directory) {
  struct numbers numbers = {0};
  int fd = open_history(directory);
  uint64_t newest = fd >= 0 && read_numbers(fd, &numbers) == 0 && numbers.count > 0 ? numbers.items[0] : 0;
  free(numbers.items);
  return newest;
}

static void remove_old(int fd, const struct numbers *numbers, uint64_t confirmed, uint64_t previous) {
  char name[ENTRY_NAME_SIZE];
  for (size_t i = HISTORY_KEEP; i < numbers->count; i++) {
    if (numbers->items[i] != confirmed && numbers->items[i] != previous) {
      unlinkat(fd, entry_name(numbers->items[i], name), 0);
    }
  }
}

void history_prune(const char *directory, uint64_t confirmed, uint64_t previous) {
  struct numbers numbers = {0};
  int fd = open_history(directory);
  int again = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
  if (fd >= 0 && read_numbers(fd, &numbers) == 0 && again >= 0) {
    remove_old(again, &numbers, confirmed, previous);
  }
  if (again >= 0) {
    close(again);
  }
  free(numbers.items);
}

/* ---- the list ---- */

/* The confirmed policy, as the walk backwards knows it before it begins. */
struct walk {
  uint64_t expected; /* number that the link names; UINT64_MAX: whatever comes */
  bool is_confirmed; /* it is the confirmed one */
  bool by_rollback;  /* what came after it was a rollback */
};

static enum history_state place_in_walk(struct walk *walk, uint64_t number, const struct confirmed_policy *policy) {
  if (number > walk->expected) {
    return HISTORY_UNCONFIRMED;
  }
  enum history_state state = walk->is_confirmed && number == walk->expected ? HISTORY_CONFIRMED
                             : walk->by_rollback                            ? HISTORY_ROLLED_BACK
                                                                            : HISTORY_SUPERSEDED;
  walk->is_confirmed = false;
  walk->expected = policy ? policy->previous : number - 1;
  walk->by_rollback = policy && policy->origin == STATE_ROLLBACK;
  return policy ? state : HISTORY_DAMAGED;
}

static void read_entries(int fd, const struct numbers *numbers, uint64_t confirmed, struct arena *arena,
                         struct history_list *list) {
  struct walk walk = {.expected = confirmed > 0 ? confirmed : UINT64_MAX, .is_confirmed = confirmed > 0};
  for (size_t i = 0; i < numbers->count && i < HISTORY_LIST_LIMIT; i++) {
    char name[ENTRY_NAME_SIZE];
    struct history_entry *entry = &list->entries[list->count++];
    int result = state_file_read_metadata(fd, entry_name(numbers->items[i], name), arena, &entry->policy);
    bool whole = result == 0 && entry->policy.generation == numbers->items[i];
    if (!whole) {
      entry->policy = (struct confirmed_policy){.by = "", .confirmed_by = "", .policy_number = "", .policy_name = ""};
      entry->policy.generation = numbers->items[i];
    }
    entry->state = place_in_walk(&walk, numbers->items[i], whole ? &entry->policy : NULL);
  }
}

int history_read(const char *directory, uint64_t confirmed, struct arena *arena, struct history_list *ret_list,
                 struct error *error) {
  struct numbers numbers = {0};
  struct history_list list = {0};
  int fd = open_history(directory);
  if (fd == -ENOENT) {
    *ret_list = list;
    return 0;
  }
  int again = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : fd;
  int result = fd < 0 ? fd : read_numbers(fd, &numbers);
  if (result == 0 && again < 0) {
    result = -EMFILE;
  }
  list.entries = ARENA_ARRAY(arena, numbers.count + 1, struct history_entry);
  if (result == 0 && list.entries) {
    read_entries(again, &numbers, confirmed, arena, &list);
    *ret_list = list;
  }
  if (again >= 0) {
    close(again);
  }
  free(numbers.items);
  result = result == 0 && !list.entries ? -ENOMEM : result;
  return result < 0 ? error_set(error, -result, "%s/" STATE_HISTORY ": %s", directory, history_explain(result)) : 0;
}

int history_load(const char *directory, uint64_t number, struct arena *arena, struct confirmed_policy *ret_policy,
                 struct error *error) {
  char name[ENTRY_NAME_SIZE];
  struct confirmed_policy policy;
  int fd = open_history(directory);
  int result = fd < 0 ? fd : state_file_read(fd, entry_name(number, name), arena, &policy);
  if (fd >= 0) {
    close(fd);
  }
  if (result == 0 && policy.generation != number) {
    result = -EBADMSG;
  }
  if (result < 0) {
    return error_set(error, -result, "%s/" STATE_HISTORY "/%s: %s", directory, entry_name(number, name),
                     keep_explain(result, "not whole, or changed by hand"));
  }
  *ret_policy = policy;
  return 0;
}
