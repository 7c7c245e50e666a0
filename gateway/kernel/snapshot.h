/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_SNAPSHOT_H
#define KIDO_KERNEL_SNAPSHOT_H

#include "base/arena.h"
#include "base/error.h"
#include "proof/snapshot.h"

/*
 * Reads all of nftables, every family, in the network namespace of the caller, at one generation: generation before and
 * after, in the header of every message, a fresh socket per attempt, up to 20 attempts. -EAGAIN: the ruleset keeps
 * changing.
 */
int snapshot_take(struct arena *arena, struct snapshot *ret_snapshot, struct error *error);

/* Loads nft text (`kido compile`, `nft list ruleset`) into a network namespace of its own, in a child, and takes the
 * snapshot there. Nothing of the caller's namespace is touched. -EPERM: namespaces cannot be made here. */
int snapshot_of_text(const char *text, size_t length, struct arena *arena, struct snapshot *ret_snapshot,
                     struct error *error);

#endif
