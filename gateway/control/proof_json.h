/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_PROOF_JSON_H
#define KIDO_CONTROL_PROOF_JSON_H

#include <stdint.h>

#include <jansson.h>

#include "base/arena.h"
#include "proof/prove.h"
#include "proof/snapshot.h"

/* A proof as kido.verify/1, for `kido verify` and for what kidod's prover tells it. */

enum { PROOF_LIST_LIMIT = 500 }; /* of conditions, unmodelled rules, ways round; `more` says how many are left out */

struct proof_view {
  const struct policy *policy;
  const struct restrictions *restrictions; /* NULL: none */
  const char *source;                      /* "file", "published", "confirmed": where the policy comes from */
  const struct snapshot *snapshot;         /* NULL: the kernel could not be read */
  const struct proof *proof;               /* NULL: none could be made, `message` says why */
  const char *message;                     /* NULL for nothing */
  struct instant now;
  bool gate_closed;
  bool offline;
  uint64_t milliseconds;
  enum language language;
};

/* A new reference; NULL without memory. Texts are made in the arena. */
json_t *proof_to_json(const struct proof_view *view, struct arena *arena);

#endif
