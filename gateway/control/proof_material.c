/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/proof_material.h"

#include "kernel/snapshot.h"
#include "kernel/surroundings.h"
#include "proof/decode.h"

int proof_material_take(struct arena *arena, struct proof_material *ret_material, struct error *error) {
  struct proof_material material = {.ruleset = NULL};
  struct surroundings *surroundings = NULL;
  int result = snapshot_take(arena, &material.snapshot, error);
  if (result == 0) {
    result = surroundings_read(arena, &surroundings, error);
  }
  material.surroundings = surroundings;
  if (result == 0) {
    *ret_material = material;
  }
  return result;
}

int proof_material_decode(struct proof_material *material, struct arena *arena, struct error *error) {
  return decode_ruleset(&material->snapshot, arena, &material->ruleset, error);
}
