/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_SURROUNDINGS_H
#define KIDO_KERNEL_SURROUNDINGS_H

#include "base/arena.h"
#include "base/error.h"
#include "proof/surroundings.h"

/*
 * What of the machine beside nftables decides which way packets can go, as it is now in the network namespace of the
 * caller. Nothing is judged here and nothing of the machine is changed. What cannot be read for want of rights becomes
 * a fact of its own (FACT_UNSEEN); only the lack of memory, or of an answer about the interfaces, is a failure.
 */
int surroundings_read(struct arena *arena, struct surroundings **ret_surroundings, struct error *error);

#endif
