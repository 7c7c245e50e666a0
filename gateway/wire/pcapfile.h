/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WIRE_PCAPFILE_H
#define KIDO_WIRE_PCAPFILE_H

#include "base/error.h"
#include "wire/frame.h"

/*
 * Capture files in the older format, as nearly all programs write it: version 2.4, in any byte order, with times in
 * microseconds or nanoseconds. Frames are judged where the file was read to, so that reading costs one copy; libpcap
 * makes two, and asks for each frame twice. What is older or stranger is left to libpcap.
 */
struct pcapfile;

/*
 * Reads the descriptor by offset: its position stays as it was, and it stays open. NULL: not such a file, not a
 * regular one, of a link layer that frame_decode() does not know, or no memory. name: for messages; copied.
 */
struct pcapfile *pcapfile_new(int descriptor, const char *name);
struct pcapfile *pcapfile_free(struct pcapfile *file);

int pcapfile_link_type(const struct pcapfile *file);

/* 1 and a frame, valid until the next call; 0 at the end; a negative errno with *error. Every frame before the fault
 * was given then. */
int pcapfile_next(struct pcapfile *file, struct captured_frame *ret_frame, struct error *error);

/* Bytes that were read. */
uint64_t pcapfile_progress(const struct pcapfile *file);

#endif
