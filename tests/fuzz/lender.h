/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_FUZZ_LENDER_H
#define KIDO_TESTS_FUZZ_LENDER_H

#include "watch/watch.h"

/* A watch over three wires of a small town, for each input anew. */

enum { LENDER_WIRES = 3 };

/* *open: alerts that were told and not closed yet. */
struct watch *lender_borrow(unsigned *open);
void lender_give_back(struct watch *watch);
/* Gives it a frame in memory of exactly its length. */
void lender_see(struct watch *watch, unsigned wire, const struct captured_frame *captured);

#endif
