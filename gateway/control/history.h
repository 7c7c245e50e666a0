/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_HISTORY_H
#define KIDO_CONTROL_HISTORY_H

#include "control/state.h"

/* Every policy that was ever confirmed: STATE_HISTORY in the state directory, one file each (state.h). */
enum { HISTORY_KEEP = 100, HISTORY_LIST_LIMIT = 1000 };

enum history_state {
  HISTORY_CONFIRMED,
  HISTORY_SUPERSEDED,  /* another policy was confirmed after it */
  HISTORY_ROLLED_BACK, /* a rollback took its place */
  HISTORY_UNCONFIRMED, /* kidod was killed while it confirmed it: it never counted */
  HISTORY_DAMAGED,     /* the file is not whole; only its number is known */
  HISTORY_STATE_COUNT_,
};
const char *history_state_name(enum history_state state); /* "confirmed", "rolled-back" */

struct history_entry {
  enum history_state state;
  struct confirmed_policy policy; /* without its text */
};

struct history_list {
  struct history_entry *entries; /* newest first */
  size_t count;
};

/*
 * The newest HISTORY_LIST_LIMIT entries. confirmed: the number of the confirmed policy, 0 when there is none: then no
 * entry is HISTORY_CONFIRMED, and none HISTORY_UNCONFIRMED.
 */
int history_read(const char *directory, uint64_t confirmed, struct arena *arena, struct history_list *ret_list,
                 struct error *error);

/* One entry with its text. Returns 0, -ENOENT, -EBADMSG with *error. */
int history_load(const char *directory, uint64_t number, struct arena *arena, struct confirmed_policy *ret_policy,
                 struct error *error);

/* Makes the directory of the history where it is not there; what another user put in its place is set aside. 0, 1
 * when something was, or a negative errno with *error. */
int history_prepare(const char *directory, struct error *error);

/* Writes the entry of the confirmed policy where there is none: the state directory is of an older version, or somebody
 * removed it. */
int history_complete(const char *directory, const struct confirmed_policy *confirmed, struct error *error);

/* The newest number there is, 0 for none. */
uint64_t history_newest(const char *directory);

/* Removes the oldest entries beyond HISTORY_KEEP, but never `confirmed` and `previous`. */
void history_prune(const char *directory, uint64_t confirmed, uint64_t previous);

#endif
