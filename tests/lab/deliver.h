/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_LAB_DELIVER_H
#define KIDO_TESTS_LAB_DELIVER_H

#include "lab.h"
#include "proof/prove.h"

/*
 * Sends the packet of a counterexample through the gateway of the lab, under the circumstances that it names: the
 * connection that it belongs to is put into the kernel's table, with its mark; where the packet would leave, its
 * destination is routed.
 */
enum delivery {
  DELIVERY_PASSED,
  DELIVERY_DROPPED,
  DELIVERY_IMPOSSIBLE, /* the kernel would not have routed it, or this lab has no such wire */
};

/* ret_why: a few words; static. */
enum delivery deliver_counterexample(struct lab *lab, const struct counterexample *example, const char **ret_why);

#endif
