/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_NETNS_CHANGE_H
#define KIDO_TESTS_NETNS_CHANGE_H

#include <check.h>
#include <stdbool.h>

#include "kernel/nftables.h"

/* What the parts of test_change share. */

/* ---- the layer (change_layer.c) ---- */

struct change_seen {
  unsigned batches, questions, dumps;
  size_t bytes; /* in batches */
};

enum fault {
  FAULT_NONE,
  FAULT_ANSWERS_LOST,     /* to a batch: ENOBUFS */
  FAULT_READ_INTERRUPTED, /* the reading back of single things */
  FAULT_READ_OVERRUN,
  FAULT_DUMP_INTERRUPTED,
  FAULT_SMALL_RECEIVE_BUFFER,
  FAULT_NO_FORCE, /* buffers cannot be made larger than net.core allows */
};

struct change_plan {
  enum fault fault;
  unsigned times;             /* left; UINT_MAX: always */
  void (*before_batch)(void); /* once */
  unsigned refused_batch;     /* so many batches, and the next `refusals` are refused */
  unsigned refusals;
  bool no_copies; /* no memory to keep what is proven */
};

extern struct change_seen seen;
extern struct change_plan plan;

/* ---- common (test_change.c) ---- */

extern struct arena *arena;
extern struct nftables *nftables;
extern struct instant now;
extern struct error trouble;
extern struct refusal refusal;

/* What the command printed; it must succeed. */
char *run(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint32_t generation(void);
void check_kernel_holds(const struct ruleset *wanted);
/* Applies, and counts from zero. */
size_t apply(const struct ruleset *wanted);
struct ruleset *marks(size_t count);
struct element *element_of(struct ruleset *ruleset, size_t index);
void remove_element(struct ruleset *ruleset, size_t index);

/* ---- the parts ---- */

void add_costs(TCase *tests, TCase *large);
void add_faults(TCase *tests, TCase *large);
void add_company(TCase *tests);
void add_gate(TCase *tests);

#endif
