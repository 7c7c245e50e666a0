/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WIRE_FILTER_H
#define KIDO_WIRE_FILTER_H

#include <stddef.h>

#include <linux/filter.h>

#include "policy/packet.h"

/*
 * A classic BPF program for the socket of a capture. It gives every frame to the capture, cut to the snap length, but
 * those of a few conversations that came in canonical form, and of these a random one in FILTER_SAMPLE all the same.
 */
enum {
  FILTER_TUPLES = 64,
  FILTER_ROOM = 1024, /* instructions; the kernel's memory for options may hold fewer */
  FILTER_SAMPLE = 1024,
};

/* One direction of one conversation as it comes in: TCP or UDP, both addresses of one family. */
struct filter_tuple {
  struct mac source_mac, destination_mac;
  struct address source, destination;
  uint16_t source_port, destination_port;
  uint8_t protocol;
};

struct filter {
  struct sock_filter instructions[FILTER_ROOM];
  unsigned short count;
  size_t tuples; /* that it withholds */
};

/* room: instructions that it may have, at most FILTER_ROOM. Takes as many tuples as fit, the first ones first. */
void filter_build(const struct filter_tuple *tuples, size_t count, uint32_t snap_length, size_t room,
                  struct filter *ret_filter);

#endif
