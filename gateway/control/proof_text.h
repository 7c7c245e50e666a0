/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_PROOF_TEXT_H
#define KIDO_CONTROL_PROOF_TEXT_H

#include <jansson.h>

#include "base/arena.h"
#include "base/language.h"

/*
 * What a kido.verify/1 means, in a sentence: for events, and for who types `kido verify`. Texts are constants or made
 * in the arena, never NULL; what came from the kernel is in them as it stands in the JSON.
 */

/* "証明できました", "kernel and policy differ: …": without a line end. */
const char *proof_headline(const json_t *answer, enum language language);

/* "lgwan (lgwan0) 10.1.0.5:50000 → internet (inet0) 203.0.113.1:443, tcp": of a packet, or a counterexample. */
const char *proof_packet_text(const json_t *packet, enum language language, struct arena *arena);
/* "新しい接続の最初のパケット": of a counterexample. */
const char *proof_state_text(const json_t *example, enum language language);
/* "inet kido forward, handle 34: iifname …": of a rule; "" for null. */
const char *proof_rule_text(const json_t *rule, enum language language, struct arena *arena);

/* What to do first: numbered steps with a blank between them. */
const char *proof_advice(const json_t *answer, enum language language, struct arena *arena);

#endif
