/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_LEARN_H
#define KIDO_WATCH_LEARN_H

#include "watch/watch.h"

/*
 * Which MAC on each wire is the gateway's, learned from capture files before they are judged.
 *
 * Evidence, in this order: the file itself says which frames its machine sent; most frames that the policy allows
 * between zones come from or go to that MAC (they are what the gateway forwards); else, the same packet was seen on two
 * wires with a hop less (something routes between them); else, most frames of the wire's own hosts for other zones go
 * to it (hosts send to their router); on a wire where none of this is seen, a MAC that is the gateway's on another one
 * and speaks as the policy's gateway may. A single MAC is taken per wire. A second path that carries lawful traffic
 * alone and alone carries it is therefore taken for the gateway: tell --gateway-mac where that matters.
 */
struct learning;

/* watch: with its policy; wires may be added until the end; it must outlive this. NULL without memory. */
struct learning *learning_new(struct watch *watch);
struct learning *learning_free(struct learning *learning);
void learning_frame(struct learning *learning, int wire, const struct captured_frame *captured);
/* Gives each wire that has no gateway MAC yet the one that was learned, if any. Returns how many got one. */
size_t learning_finish(struct learning *learning);

#endif
