/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_PREFILTER_H
#define KIDO_WATCH_PREFILTER_H

#include "watch/connections.h"
#include "wire/filter.h"
#include "wire/frame.h"

/*
 * Finds the heavy conversations among those that the fast way takes, for the kernel to withhold their frames. Fixed in
 * size; the theory stands in prefilter.c.
 */
struct prefilter;

/* One direction of a conversation. */
struct prefilter_entry {
  struct connection_key key;
  struct frame frame;     /* the last one seen coming in */
  int entry_wire;         /* WIRE_NONE: not seen coming in */
  int exit_wire;          /* WIRE_NONE: not seen leaving */
  uint32_t entered, left; /* frames noted since the last choice */
  uint32_t weight;        /* frames noted as leaving before it */
  bool chosen;            /* its entering frames may be withheld */
};

enum { PREFILTER_NOTED = 64 }; /* one frame in so many, on average, is worth a note */

/* NULL without memory. */
struct prefilter *prefilter_new(void);
struct prefilter *prefilter_free(struct prefilter *prefilter);

/* How many frames to let pass before the next note: random, so that no rhythm of the traffic can hide from it. */
unsigned prefilter_pause(struct prefilter *prefilter);

/* A frame that came in and that the fast way took, or one that leaves. */
void prefilter_note(struct prefilter *prefilter, const struct connection_key *key, const struct frame *frame, int wire,
                    bool entering);

/* Whether the entry may be withheld at all; asked of those that are heavy. */
typedef bool prefilter_approve(void *context, const struct prefilter_entry *entry);

/* Chooses anew by what was noted since the last time: to be called each second. */
void prefilter_choose(struct prefilter *prefilter, prefilter_approve *approve, void *context);
/* Chooses none. */
void prefilter_forget(struct prefilter *prefilter);

/* The chosen ones of a wire, the heaviest first. Returns how many. */
size_t prefilter_list(const struct prefilter *prefilter, int wire, struct filter_tuple *tuples, size_t most);
/* Whether this frame, coming in there, is one that the kernel withholds but for its sample. */
bool prefilter_holds(const struct prefilter *prefilter, const struct connection_key *key, const struct frame *frame,
                     int wire);

#endif
