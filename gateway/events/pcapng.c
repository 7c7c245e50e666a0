/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events/pcapng.h"

#include <stdbool.h>
#include <string.h>

enum {
  BLOCK_SECTION = 0x0a0d0d0a,
  BLOCK_INTERFACE = 1,
  BLOCK_STATISTICS = 5,
  BLOCK_PACKET = 6,
  BYTE_ORDER_MAGIC = 0x1a2b3c4d,
  OPTION_END = 0,
  OPTION_COMMENT = 1,
  OPTION_INTERFACE_NAME = 2,
  OPTION_INTERFACE_RESOLUTION = 9,
  OPTION_SECTION_PROGRAM = 4,
  OPTION_STATISTICS_DROPS = 5,
  NANOSECONDS = 9,
};

/* A block while it is written; `full` once it did not fit. The byte order is the machine's. */
struct block {
  uint8_t *data;
  size_t room, used;
  bool full;
};

static void put(struct block *block, const void *bytes, size_t size) {
  if (size > block->room - block->used) {
    block->full = true;
    return;
  }
  if (size > 0)
    memcpy(block->data + block->used, bytes, size);
  block->used += size;
}

static void put_u16(struct block *block, uint16_t value) {
  put(block, &value, sizeof value);
}

static void put_u32(struct block *block, uint32_t value) {
  put(block, &value, sizeof value);
}

/* The high half comes first, in either byte order. */
static void put_time(struct block *block, int64_t time) {
  put_u32(block, (uint32_t)((uint64_t)time >> 32));
  put_u32(block, (uint32_t)(uint64_t)time);
}

static void put_padded(struct block *block, const void *bytes, size_t size) {
  static const uint8_t zeros[4] = {0};
  put(block, bytes, size);
  put(block, zeros, (4 - size % 4) % 4);
}

static void put_option(struct block *block, uint16_t code, const void *bytes, size_t size) {
  put_u16(block, code);
  put_u16(block, (uint16_t)size);
  put_padded(block, bytes, size);
}

static struct block begin(uint8_t *target, size_t room, uint32_t type) {
  struct block block = {.data = target, .room = room};
  put_u32(&block, type);
  put_u32(&block, 0); /* its length, known at the end */
  return block;
}

static size_t end(struct block *block) {
  put_u32(block, OPTION_END); /* code and length */
  uint32_t length = (uint32_t)(block->used + sizeof length);
  put_u32(block, length);
  if (block->full)
    return 0;
  memcpy(block->data + sizeof length, &length, sizeof length);
  return block->used;
}

size_t pcapng_section(uint8_t *target, size_t room, const char *program) {
  static const uint8_t unknown_length[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  struct block block = begin(target, room, BLOCK_SECTION);
  put_u32(&block, BYTE_ORDER_MAGIC);
  put_u16(&block, 1);
  put_u16(&block, 0);
  put(&block, unknown_length, sizeof unknown_length);
  put_option(&block, OPTION_SECTION_PROGRAM, program, strlen(program));
  return end(&block);
}

size_t pcapng_interface(uint8_t *target, size_t room, uint16_t link_type, const char *name) {
  static const uint8_t resolution = NANOSECONDS;
  struct block block = begin(target, room, BLOCK_INTERFACE);
  put_u16(&block, link_type);
  put_u16(&block, 0);
  put_u32(&block, 0); /* no limit to the length of packets */
  put_option(&block, OPTION_INTERFACE_NAME, name, strlen(name));
  put_option(&block, OPTION_INTERFACE_RESOLUTION, &resolution, sizeof resolution);
  return end(&block);
}

size_t pcapng_packet(uint8_t *target, size_t room, const struct pcapng_packet *packet) {
  struct block block = begin(target, room, BLOCK_PACKET);
  put_u32(&block, packet->interface);
  put_time(&block, packet->time);
  put_u32(&block, packet->captured);
  put_u32(&block, packet->length);
  put_padded(&block, packet->bytes, packet->captured);
  put_option(&block, OPTION_COMMENT, packet->comment, strlen(packet->comment));
  return end(&block);
}

size_t pcapng_statistics(uint8_t *target, size_t room, uint32_t interface, int64_t time, uint64_t drops) {
  struct block block = begin(target, room, BLOCK_STATISTICS);
  put_u32(&block, interface);
  put_time(&block, time);
  put_option(&block, OPTION_STATISTICS_DROPS, &drops, sizeof drops);
  return end(&block);
}
