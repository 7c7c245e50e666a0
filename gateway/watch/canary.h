/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_CANARY_H
#define KIDO_WATCH_CANARY_H

#include "base/error.h"
#include "wire/frame.h"

/*
 * A frame that the watchman sends out of a watched interface and must see again in his own capture. It is signed with a
 * key that lives as long as the process, so that nobody else can send one; its number makes an old one worthless. It
 * goes to an address that bridges do not forward, with an ethertype reserved for experiments. It proves the capture and
 * the driver, never the cable.
 */
enum { CANARY_KEY_SIZE = 32, CANARY_SIZE = 60, CANARY_ETHERTYPE = 0x88b5 };

struct canary_key {
  uint8_t bytes[CANARY_KEY_SIZE];
};

struct canary {
  uint32_t wire;
  uint64_t number;
  bool tagged; /* it lay under a VLAN tag */
};

enum canary_sight {
  CANARY_NONE,   /* another frame */
  CANARY_OWN,    /* *ret_canary is what it says */
  CANARY_FORGED, /* made like one of ours, but not by us */
};

/* 0 or a negative errno with *error. */
int canary_make_key(struct canary_key *ret_key, struct error *error);

void canary_write(const struct canary_key *key, const struct canary *canary, const struct mac *source,
                  uint8_t ret_frame[static CANARY_SIZE]);

/* Frames of that ethertype that others use for their own experiments are CANARY_NONE. */
enum canary_sight canary_read(const struct canary_key *key, const struct captured_frame *captured,
                              struct canary *ret_canary);

#endif
