/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_DECODE_H
#define KIDO_PROOF_DECODE_H

#include "base/arena.h"
#include "base/error.h"
#include "proof/live.h"
#include "proof/snapshot.h"

/*
 * Strict decoder of nftables netlink: walks the attributes itself (no library between), bounded, total. A message that
 * cannot be a message (lengths) is an error; what is merely not known is kept as `unmodelled` at its node.
 * The ruleset points into the snapshot's messages, which must live as long. Returns 0, -ENOMEM or -EBADMSG.
 */
int decode_ruleset(const struct snapshot *snapshot, struct arena *arena, struct live_ruleset **ret_ruleset,
                   struct error *error);

#endif
