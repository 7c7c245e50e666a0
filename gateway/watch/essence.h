/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_ESSENCE_H
#define KIDO_WATCH_ESSENCE_H

#include "wire/frame.h"

/*
 * What stays the same of a packet whose addresses and ports are rewritten on its way through the gateway: IP
 * identification and length, sequence and acknowledgement numbers of TCP, type and sequence of ICMP queries, and the
 * first bytes of what it carries. Only the first ESSENCE_BYTES of a frame are looked at.
 */
enum { ESSENCE_BYTES = 128 };

/* Never 0; 0 when there is too little to tell this packet from another: no digest then ties it to anything. */
uint64_t essence_of(const struct captured_frame *captured, const struct frame *frame);

#endif
