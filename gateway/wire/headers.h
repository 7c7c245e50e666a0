/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WIRE_HEADERS_H
#define KIDO_WIRE_HEADERS_H

#include "wire/frame.h"

/* No more than this is ever taken for headers. */
enum { FRAME_HEADERS_MOST = 160 };

/*
 * How many of the first bytes of a frame are headers: of the link, of IP, of TCP, UDP or ICMP, also of packets within
 * packets and of those that ICMP errors quote; and no byte of what they carry. Of ARP and of what bridges say to each
 * other that is all of it; of other protocols, whose headers are not known, the link's alone.
 */
uint32_t frame_headers_size(const struct captured_frame *captured);

#endif
