/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_COMMUNITY_H
#define KIDO_EVENTS_COMMUNITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"

/* "1:" and a SHA-1 in base64 with a NUL. */
enum { COMMUNITY_ID_SIZE = 31 };

/*
 * Community ID, version 1, seed 0: one identity for a conversation that other sensors compute too, the same for both
 * directions. For ICMP the ports are type and code. has_ports: false for protocols without ports.
 */
const char *community_id(const struct address *source, const struct address *destination, uint8_t protocol,
                         bool has_ports, uint16_t source_port, uint16_t destination_port,
                         char ret_text[static COMMUNITY_ID_SIZE]);

#endif
