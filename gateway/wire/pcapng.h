/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WIRE_PCAPNG_H
#define KIDO_WIRE_PCAPNG_H

#include <stdio.h>

#include "base/error.h"
#include "wire/frame.h"

/*
 * Capture files in the format pcapng, with what libpcap hides of them: the names of interfaces, several link layers in
 * one file, who sent a frame, and how many frames were lost.
 */
struct pcapng;

enum { PCAPNG_INTERFACES = 1024 }; /* at most, in one file */

struct pcapng_loss {
  unsigned interface;
  uint64_t frames;
};

/* Whether a file that begins with these four bytes is one. */
bool pcapng_begins_with(const uint8_t *bytes);

/*
 * Takes over the stream, also on failure. name: for messages; copied. Returns NULL without memory.
 */
struct pcapng *pcapng_new(FILE *stream, const char *name);
struct pcapng *pcapng_free(struct pcapng *pcapng);

/* 1 and a frame, valid until the next call; 0 at the end; a negative errno with *error. Every frame before the fault
 * was given then. */
int pcapng_next(struct pcapng *pcapng, struct captured_frame *ret_frame, struct error *error);

/* Interfaces are numbered through the whole file. NULL when it has no name, or when it does not exist (yet). */
const char *pcapng_interface_name(const struct pcapng *pcapng, unsigned interface);

/* Frames that the capture lost, as far as the file was read. False when there is nothing new. */
bool pcapng_next_loss(struct pcapng *pcapng, struct pcapng_loss *ret_loss);

#endif
