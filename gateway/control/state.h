/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_STATE_H
#define KIDO_CONTROL_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/instant.h"

/*
 * The last confirmed policy, across restarts, crashes and power cuts: one file, STATE_CONFIRMED, so that the policy
 * and what is known about it change in one rename. Its first line is a comment with the metadata as JSON, among them
 * the SHA-256 of all that follows; what follows is the policy in canonical form.
 */
#define STATE_CONFIRMED "confirmed.conf"

enum { STATE_POLICY_LIMIT = 64 * 1024 * 1024 };

struct confirmed_policy {
  const char *text; /* canonical, NUL-terminated */
  size_t size;
  char sha256[SHA256_TEXT_SIZE]; /* of text */
  struct instant applied_at;
  uint64_t generation; /* count of confirmed loads over the life of the state directory */
};

/* Makes the directory (0750) when it is not there. 0 or a negative errno with *error. */
int state_prepare(const char *directory, struct error *error);

/*
 * Writes beside, flushes to the disk, renames, flushes the directory: whoever is killed on the way leaves the old file
 * or the new one. sha256 is computed here and returned in *confirmed.
 */
int state_save(const char *directory, struct confirmed_policy *confirmed, struct error *error);

/* Returns 0, -ENOENT when nothing was ever confirmed, -EBADMSG with *error when the file is not whole. */
int state_load(const char *directory, struct arena *arena, struct confirmed_policy *ret_confirmed, struct error *error);

#endif
