/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_PROOF_MATERIAL_H
#define KIDO_CONTROL_PROOF_MATERIAL_H

#include "base/arena.h"
#include "base/error.h"
#include "proof/live.h"
#include "proof/snapshot.h"
#include "proof/surroundings.h"

/* What a proof is made from, beside the policy: the kernel at one moment. */
struct proof_material {
  struct snapshot snapshot;
  const struct surroundings *surroundings; /* never NULL; known false: not looked at */
  struct live_ruleset *ruleset;            /* NULL before proof_material_decode() */
};

/* Takes both from the machine; needs CAP_NET_ADMIN. 0, or a negative errno with *error. */
int proof_material_take(struct arena *arena, struct proof_material *ret_material, struct error *error);

/* Makes the ruleset from the snapshot; needs nothing. The same errors. */
int proof_material_decode(struct proof_material *material, struct arena *arena, struct error *error);

#endif
