/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_GENERATION_H
#define KIDO_CONTROL_GENERATION_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/instant.h"
#include "control/state.h"
#include "policy/policy.h"
#include "policy/restrictions.h"

/* One policy as kidod holds it, with its arena: what is in force, or is about to be. */
struct generation {
  struct arena *arena;
  const struct policy *policy;
  const char *text; /* canonical */
  size_t size;
  struct confirmed_policy record; /* how it came here, without its text; generation 0: not confirmed yet */
  enum force_state *forces;       /* per flow, as of the last generation_update_forces() */
};

/* From a canonical text that the reader found good. 0, or a negative errno with *error. */
int generation_new(const char *text, size_t size, struct generation **ret_generation, struct error *error);
struct generation *generation_free(struct generation *generation); /* NULL is allowed; returns NULL */

/* Keeps a copy of the record, without its text. 0 or -ENOMEM. */
int generation_set_record(struct generation *generation, const struct confirmed_policy *record);

/* The next instant after now at which any flow opens or ends; INSTANT_NEVER when none does. restrictions: what holds
 * it back, here and below. */
struct instant generation_next_change(const struct generation *generation, const struct restrictions *restrictions,
                                      struct instant now);

typedef void force_changed(const struct flow *flow, enum force_state before, enum force_state after, void *context);
/* Brings `forces` to now; calls back (may be NULL) for each flow whose state changed. */
void generation_update_forces(struct generation *generation, const struct restrictions *restrictions,
                              struct instant now, force_changed *changed, void *context);

#endif
