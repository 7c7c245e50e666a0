/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_WITNESS_H
#define KIDO_PROOF_WITNESS_H

#include "policy/decide.h"
#include "proof/authorised.h"
#include "proof/concrete.h"
#include "proof/diagram.h"
#include "proof/space.h"

/*
 * From a set of packets to one packet: chosen to be readable, built as a frame that can be sent, and in the words of
 * policy/decide and of proof/concrete, so that both can be asked about it.
 */
struct witness {
  uint8_t frame[256];
  size_t frame_length;
  struct query query; /* for policy_decide() */
  struct probe probe; /* for concrete_judge(); its frame points into this struct */
};

/* What a readable packet would be: addresses that the policy names rather than any. */
struct witness_wishes {
  struct address source, destination; /* family NONE: none */
  uint8_t protocol;                   /* 0: TCP */
  uint16_t destination_port;          /* 0: none */
  uint32_t mark;                      /* of the connection */
};

/* False when the set is empty. *ret_bits (of space_variable_count() bytes, from the arena) is the assignment. */
bool witness_choose(const struct space *space, struct diagram_store *store, diagram set,
                    const struct situation *situation, const struct witness_wishes *wishes, struct arena *arena,
                    uint8_t **ret_bits);

/* The packet of an assignment. ret_witness must stay where it is as long as its probe is used. */
void witness_build(const struct space *space, const uint8_t *bits, const struct situation *situation,
                   const struct zone_pair *pair, struct witness *ret_witness);

#endif
