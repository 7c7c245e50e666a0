/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_LAYERS_H
#define KIDO_TESTS_LAYERS_H

#include <stddef.h>
#include <stdint.h>

enum { LAYERS_MOST = 2048 };

/*
 * Builds a frame from a recipe: layers from the outside in, with a blank between them. Lengths, checksums of IPv4
 * headers and the field that says what follows are filled in.
 *
 *   eth vlan:7 ip4:10.0.0.1>10.0.0.2 gre ip4:10.1.0.1>10.1.0.2 tcp:50000>443
 *
 * Arguments follow a colon: addresses and ports as SOURCE>DESTINATION, numbers, or bytes in hexadecimal (raw:, and the
 * MACs of eth:DESTINATION>SOURCE). "ip4:A>B/94" says the protocol itself,
 * "tcp:A>B/16" the flags. What there is stands in the table at the end
 * of layers.c. An unknown recipe aborts.
 */
size_t layers_build(const char *recipe, uint8_t ret_bytes[static LAYERS_MOST]);

#endif
