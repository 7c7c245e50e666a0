/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_ORDERS_H
#define KIDO_CONTROL_ORDERS_H

#include "base/arena.h"
#include "base/error.h"
#include "policy/restrictions.h"

/*
 * What operators ordered beside the policy, and what must outlive reload, restart and reboot: emergency cuts and closed
 * windows. Constant once made: a change is a new one, so that it can be judged before it replaces the old.
 */
struct orders {
  struct arena *arena;
  struct restrictions restrictions; /* only cuts and closed windows */
  struct cut *cuts;                 /* room for them while it is being made */
  struct closed_window *closed_windows;
  uint64_t last_cut; /* the highest id ever given */
};

/* The file in the state directory: JSON with a digest. */
#define ORDERS_FILE "restrictions.json"

enum { ORDERS_CUT_LIMIT = 1000, ORDERS_WINDOW_LIMIT = 1000 };

int orders_new(struct orders **ret_orders, struct error *error);
struct orders *orders_free(struct orders *orders); /* NULL is allowed; returns NULL */

/* Copies with one change, none of them touches `orders`. 0, -ENOMEM, -E2BIG beyond the limits, -ENOENT when there is
 * nothing of that id or name; *error says so. The cut's id is given here. */
int orders_add_cut(const struct orders *orders, const struct cut *cut, struct orders **ret_orders, struct error *error);
int orders_remove_cut(const struct orders *orders, uint64_t id, struct orders **ret_orders, struct error *error);
int orders_remove_cuts(const struct orders *orders, struct orders **ret_orders, struct error *error);
int orders_close_window(const struct orders *orders, const struct closed_window *closed, struct orders **ret_orders,
                        struct error *error);
int orders_reopen_window(const struct orders *orders, const char *flow, struct orders **ret_orders,
                         struct error *error);
/* Leaves out the windows whose end has come. *ret_changed: there were some. */
int orders_forget_past(const struct orders *orders, struct instant now, bool *ret_changed, struct orders **ret_orders,
                       struct error *error);

/* 0 or a negative errno with *error. */
int orders_save(const char *directory, const struct orders *orders, struct error *error);

/*
 * 0, also when there is no file: then no orders. -EBADMSG with *error when the file is not whole: then *ret_orders is
 * one cut of everything, ordered by kidod itself, since nobody knows what was cut; the caller saves it. The file stays
 * under a second name.
 */
int orders_load(const char *directory, struct instant now, struct orders **ret_orders, struct error *error);

/* The cut with that id, the newest for 0; NULL when there is none. */
const struct cut *orders_find_cut(const struct orders *orders, uint64_t id);

#endif
