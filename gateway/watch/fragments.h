/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_FRAGMENTS_H
#define KIDO_WATCH_FRAGMENTS_H

#include "wire/frame.h"

/*
 * What first fragments said, for the later ones, which carry no ports. Fixed in size; the oldest of four goes.
 * Nothing is reassembled: each fragment is judged on its own addresses.
 */
struct fragments;

enum fragment_answer {
  FRAGMENT_PORTS_KNOWN,   /* *packet has its ports now */
  FRAGMENT_PORTS_UNKNOWN, /* the first fragment was not seen */
  FRAGMENT_OVERLAPS,      /* two fragments claim the same bytes */
};

struct fragments *fragments_new(size_t count);
struct fragments *fragments_free(struct fragments *fragments);

/* frame: a fragment; packet: a copy of its packet, completed where possible. first_sight: not on its way out of the
 * gateway, which may have cut the packet anew. */
enum fragment_answer fragments_see(struct fragments *fragments, const struct frame *frame, bool first_sight,
                                   struct packet *packet);

/* Packets that were forgotten before their time. */
uint64_t fragments_lost(const struct fragments *fragments);

#endif
