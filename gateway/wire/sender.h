/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WIRE_SENDER_H
#define KIDO_WIRE_SENDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Frames of our own out of any interface: what is sent here is seen by captures like any other. */

/* A socket that only sends, or a negative errno with *error. */
int sender_open(struct error *error);

/* Never waits. 0 or a negative errno. */
int sender_send(int sender, unsigned interface_number, const uint8_t *frame, size_t size);

#endif
