/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_SNAPSHOT_H
#define KIDO_PROOF_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

/* The kernel's own words about its ruleset at one generation: netlink messages (struct nlmsghdr first), whole, as they
 * came, one after another, aligned to four bytes. Taken by kernel/snapshot.h, or read from a file. */
struct snapshot {
  uint32_t generation;
  int64_t taken_at;           /* wall clock, milliseconds since 1970 */
  uint64_t network_namespace; /* inode number; 0: not known */
  char boot[40];              /* boot id; "" not known */
  const uint8_t *messages;
  size_t length;
};

/* A snapshot as a file, and back ("kido-ruleset/1", lengths checked). The bytes live in the arena. */
int snapshot_write(const struct snapshot *snapshot, struct arena *arena, const uint8_t **ret_bytes, size_t *ret_length);
int snapshot_parse(const uint8_t *bytes, size_t length, struct arena *arena, struct snapshot *ret_snapshot,
                   struct error *error);

#endif
