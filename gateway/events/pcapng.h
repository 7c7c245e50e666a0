/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_EVENTS_PCAPNG_H
#define KIDO_EVENTS_PCAPNG_H

#include <stddef.h>
#include <stdint.h>

/*
 * Blocks of a pcapng file (draft-ietf-opsawg-pcapng), written into memory; times in nanoseconds. Each returns the bytes
 * of the block, or 0 when there is no room for it.
 */
enum { PCAPNG_OVERHEAD = 512 }; /* more than any block needs beside its data */

size_t pcapng_section(uint8_t *target, size_t room, const char *program);
size_t pcapng_interface(uint8_t *target, size_t room, uint16_t link_type, const char *name);

struct pcapng_packet {
  uint32_t interface; /* in the order in which they were written in this section */
  int64_t time;
  uint32_t captured, length;
  const void *bytes;
  const char *comment;
};
size_t pcapng_packet(uint8_t *target, size_t room, const struct pcapng_packet *packet);

/* drops: of the kernel, for want of room. */
size_t pcapng_statistics(uint8_t *target, size_t room, uint32_t interface, int64_t time, uint64_t drops);

#endif
