/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file is a row of blocks: type, length, body, length again. A section header says in which order of bytes all that
 * follows is written, until the next one; interface blocks of a section are counted from 0, and packets name them by
 * that number. Blocks of other types are passed over.
 *
 * One block is held at a time. Nothing of it is believed before it was checked: the two lengths agree, a packet lies
 * within its block, its interface was described. A file that breaks this rule is given up at that place.
 */
#include "wire/pcapng.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"

enum {
  BLOCK_INTERFACE = 1,
  BLOCK_OLD_PACKET = 2,
  BLOCK_SIMPLE_PACKET = 3,
  BLOCK_STATISTICS = 5,
  BLOCK_PACKET = 6,
  BLOCK_SECTION = 0x0a0d0d0a,
};

enum {
  OPTION_END = 0,
  INTERFACE_NAME = 2,
  INTERFACE_RESOLUTION = 9,
  INTERFACE_OFFSET = 14,
  PACKET_FLAGS = 2,
  PACKET_LOST = 4,
  STATISTICS_LOST_BY_INTERFACE = 5,
  STATISTICS_LOST_BY_SYSTEM = 7,
};

enum {
  BYTE_ORDER_MAGIC = 0x1a2b3c4d,
  HEADER = 8, /* type and length */
  AROUND = 12,
  INTERFACES = PCAPNG_INTERFACES,
  NAME = 64,
  LOST_UNKNOWN = 0xffff,
};

static const size_t ROOM = 65536; /* at least, for a block */

/* The longest block that is read: a frame of 256 KiB, and options as nobody writes them. */
static const uint32_t LONGEST = 16 * 1024 * 1024;

static const uint64_t BILLION = 1000000000;
static const int64_t MOST_SECONDS = 9000000000; /* the year 2255; more does not fit in nanoseconds */

struct interface {
  char name[NAME]; /* empty: none */
  int link_type;
  uint32_t snap_length; /* 0: none */
  uint8_t resolution;   /* as in the file */
  int64_t offset;       /* seconds */
  uint64_t lost_total;  /* as last told by a statistics block */
  uint64_t lost;        /* not asked for yet */
};

struct pcapng {
  FILE *stream;
  char *name;
  uint8_t *block;
  size_t block_size;
  bool in_section, swapped;
  struct interface interfaces[INTERFACES]; /* of all sections */
  unsigned interface_count, section_first; /* those of this section begin here */
  bool any_lost;
  int64_t time; /* of the last packet, for packets without one */
};

bool pcapng_begins_with(const uint8_t *bytes) {
  static const uint8_t magic[4] = {0x0a, 0x0d, 0x0d, 0x0a};
  return memcmp(bytes, magic, sizeof magic) == 0;
}

struct pcapng *pcapng_new(FILE *stream, const char *name) {
  struct pcapng *pcapng = calloc(1, sizeof *pcapng);
  if (pcapng == NULL) {
    fclose(stream);
    return NULL;
  }
  pcapng->stream = stream;
  pcapng->name = strdup(name);
  return pcapng->name != NULL ? pcapng : pcapng_free(pcapng);
}

struct pcapng *pcapng_free(struct pcapng *pcapng) {
  if (pcapng == NULL)
    return NULL;
  fclose(pcapng->stream);
  free(pcapng->name);
  free(pcapng->block);
  free(pcapng);
  return NULL;
}

/* ---- bytes ---- */

static uint16_t read_16(const struct pcapng *pcapng, struct cursor *cursor) {
  uint16_t value = cursor_be16(cursor);
  return pcapng->swapped ? __builtin_bswap16(value) : value;
}

static uint32_t read_32(const struct pcapng *pcapng, struct cursor *cursor) {
  uint32_t value = cursor_be32(cursor);
  return pcapng->swapped ? __builtin_bswap32(value) : value;
}

static uint64_t read_64(const struct pcapng *pcapng, struct cursor *cursor) {
  uint64_t value = cursor_be64(cursor);
  return pcapng->swapped ? __builtin_bswap64(value) : value;
}

static int broken(const struct pcapng *pcapng, const char *what, struct error *error) {
  return error_set(error, EIO, "%s: %s", pcapng->name, what);
}

static int ends_early(const struct pcapng *pcapng, struct error *error) {
  if (ferror(pcapng->stream))
    return error_set(error, errno, "%s: %s", pcapng->name, strerror(errno));
  return broken(pcapng, "the file ends within a block: its end is missing", error);
}

static int fit_block(struct pcapng *pcapng, size_t size, struct error *error) {
  if (size <= pcapng->block_size)
    return 0;
  size_t wanted = size < ROOM ? ROOM : size;
  uint8_t *block = realloc(pcapng->block, wanted);
  if (block == NULL)
    return error_set(error, ENOMEM, "%s: no memory", pcapng->name);
  pcapng->block = block;
  pcapng->block_size = wanted;
  return 0;
}

/* ---- blocks ---- */

struct block {
  uint32_t type;
  struct cursor body;
};

static bool is_read(uint32_t type) {
  return type == BLOCK_SECTION || type == BLOCK_INTERFACE || type == BLOCK_PACKET || type == BLOCK_SIMPLE_PACKET ||
         type == BLOCK_OLD_PACKET || type == BLOCK_STATISTICS;
}

/* The order of bytes of a section stands behind the length, and must be known to read that. */
static int begin_section(struct pcapng *pcapng, uint8_t *header, struct error *error) {
  if (fread(header + HEADER, 4, 1, pcapng->stream) != 1)
    return ends_early(pcapng, error);
  struct cursor cursor;
  cursor_init(&cursor, header + HEADER, 4);
  uint32_t magic = cursor_be32(&cursor);
  if (magic != BYTE_ORDER_MAGIC && __builtin_bswap32(magic) != BYTE_ORDER_MAGIC)
    return broken(pcapng, "a section header does not say its order of bytes", error);
  pcapng->swapped = magic != BYTE_ORDER_MAGIC;
  pcapng->section_first = pcapng->interface_count;
  pcapng->in_section = true;
  return 0;
}

static int skip(struct pcapng *pcapng, size_t size, struct error *error) {
  uint8_t waste[4096];
  while (size > 0) {
    size_t part = size < sizeof waste ? size : sizeof waste;
    if (fread(waste, part, 1, pcapng->stream) != 1)
      return ends_early(pcapng, error);
    size -= part;
  }
  return 0;
}

/* Reads what is left of a block: `done` bytes of it are in `header` already. */
static int read_body(struct pcapng *pcapng, const uint8_t *header, size_t done, uint32_t length, struct block *block,
                     struct error *error) {
  int result = length <= LONGEST ? fit_block(pcapng, length, error) : broken(pcapng, "a block is too long", error);
  if (result < 0)
    return result;
  memcpy(pcapng->block, header, done);
  if (fread(pcapng->block + done, length - done, 1, pcapng->stream) != 1)
    return ends_early(pcapng, error);
  struct cursor end;
  cursor_init(&end, pcapng->block + length - 4, 4);
  if (read_32(pcapng, &end) != length)
    return broken(pcapng, "the two lengths of a block disagree", error);
  cursor_init(&block->body, pcapng->block + HEADER, length - AROUND);
  return 0;
}

/* 1 and a block, 0 at the end of the file, negative on failure. */
static int next_block(struct pcapng *pcapng, struct block *block, struct error *error) {
  uint8_t header[HEADER + 4];
  size_t done = HEADER, got = fread(header, 1, HEADER, pcapng->stream);
  if (got == 0 && !ferror(pcapng->stream))
    return pcapng->in_section ? 0 : broken(pcapng, "the file is empty", error);
  if (got < HEADER)
    return ends_early(pcapng, error);
  struct cursor cursor;
  cursor_init(&cursor, header, HEADER);
  block->type = read_32(pcapng, &cursor);
  if (block->type == BLOCK_SECTION) { /* the same in both orders of bytes */
    if (begin_section(pcapng, header, error) < 0)
      return -EIO;
    done += 4;
  }
  uint32_t length = read_32(pcapng, &cursor);
  if (!pcapng->in_section || length < AROUND + (done - HEADER) || length % 4 != 0)
    return broken(pcapng, "a block has an impossible length", error);
  int result =
      is_read(block->type) ? read_body(pcapng, header, done, length, block, error) : skip(pcapng, length - done, error);
  return result < 0 ? result : 1;
}

/* ---- options ---- */

struct option {
  uint16_t code;
  struct cursor value;
};

static bool next_option(const struct pcapng *pcapng, struct cursor *cursor, struct option *ret_option) {
  uint16_t code = read_16(pcapng, cursor);
  uint16_t length = read_16(pcapng, cursor);
  struct cursor value = cursor_sub(cursor, length);
  cursor_skip(cursor, (size_t)(-length & 3));
  if (cursor->failed || code == OPTION_END)
    return false;
  *ret_option = (struct option){code, value};
  return true;
}

/* ---- interfaces ---- */

static void read_interface_option(const struct pcapng *pcapng, struct option *option, struct interface *interface) {
  if (option->code == INTERFACE_RESOLUTION)
    interface->resolution = cursor_u8(&option->value);
  if (option->code == INTERFACE_OFFSET)
    interface->offset = (int64_t)read_64(pcapng, &option->value);
  if (option->code != INTERFACE_NAME)
    return;
  size_t length = cursor_left(&option->value);
  length = length < NAME ? length : NAME - 1;
  cursor_copy(&option->value, interface->name, length);
  interface->name[length] = '\0';
}

static int add_interface(struct pcapng *pcapng, struct block *block, struct error *error) {
  if (pcapng->interface_count == INTERFACES)
    return broken(pcapng, "too many interfaces", error);
  struct interface *interface = &pcapng->interfaces[pcapng->interface_count];
  *interface = (struct interface){.resolution = 6};
  interface->link_type = read_16(pcapng, &block->body);
  cursor_skip(&block->body, 2);
  interface->snap_length = read_32(pcapng, &block->body);
  if (block->body.failed)
    return broken(pcapng, "the description of an interface is too short", error);
  struct option option;
  while (next_option(pcapng, &block->body, &option))
    read_interface_option(pcapng, &option, interface);
  pcapng->interface_count++;
  return 0;
}

static struct interface *find_interface(struct pcapng *pcapng, uint32_t number) {
  return number < pcapng->interface_count - pcapng->section_first ? &pcapng->interfaces[pcapng->section_first + number]
                                                                  : NULL;
}

const char *pcapng_interface_name(const struct pcapng *pcapng, unsigned interface) {
  return interface < pcapng->interface_count && pcapng->interfaces[interface].name[0] != '\0'
             ? pcapng->interfaces[interface].name
             : NULL;
}

/* ---- losses ---- */

static void lose(struct pcapng *pcapng, struct interface *interface, uint64_t frames) {
  if (frames == 0)
    return;
  interface->lost = frames > UINT64_MAX - interface->lost ? UINT64_MAX : interface->lost + frames;
  pcapng->any_lost = true;
}

/* The counters grow from the beginning of the section on. */
static void read_statistics(struct pcapng *pcapng, struct block *block) {
  struct interface *interface = find_interface(pcapng, read_32(pcapng, &block->body));
  cursor_skip(&block->body, 8);
  if (block->body.failed || interface == NULL)
    return;
  uint64_t total = 0;
  struct option option;
  while (next_option(pcapng, &block->body, &option))
    if (option.code == STATISTICS_LOST_BY_INTERFACE || option.code == STATISTICS_LOST_BY_SYSTEM)
      total += read_64(pcapng, &option.value);
  if (total > interface->lost_total)
    lose(pcapng, interface, total - interface->lost_total);
  interface->lost_total = total;
}

bool pcapng_next_loss(struct pcapng *pcapng, struct pcapng_loss *ret_loss) {
  for (unsigned i = 0; pcapng->any_lost && i < pcapng->interface_count; i++) {
    if (pcapng->interfaces[i].lost == 0)
      continue;
    *ret_loss = (struct pcapng_loss){.interface = i, .frames = pcapng->interfaces[i].lost};
    pcapng->interfaces[i].lost = 0;
    return true;
  }
  pcapng->any_lost = false;
  return false;
}

/* ---- packets ---- */

/* Parts of a second, of which there are 10^n or 2^n, as nanoseconds. */
static bool to_nanoseconds(const struct interface *interface, uint64_t stamp, int64_t *ret_time) {
  unsigned power = interface->resolution & 0x7f;
  uint64_t seconds = 0, rest = 0;
  if ((interface->resolution & 0x80) != 0) {
    seconds = power < 64 ? stamp >> power : 0;
    rest = power < 64 ? stamp & ((UINT64_C(1) << power) - 1) : stamp;
    for (; power > 32; power--)
      rest >>= 1;
    rest = rest * BILLION >> power;
  } else {
    uint64_t parts = 1, scale = BILLION;
    for (unsigned i = 0; i < power && i < 19; i++)
      parts *= 10;
    seconds = power <= 19 ? stamp / parts : 0;
    rest = power <= 19 ? stamp % parts : 0;
    rest = parts <= scale ? rest * (scale / parts) : rest / (parts / scale);
  }
  if (seconds > (uint64_t)MOST_SECONDS || interface->offset > MOST_SECONDS || interface->offset < -MOST_SECONDS)
    return false;
  int64_t whole = (int64_t)seconds + interface->offset;
  if (whole > MOST_SECONDS || whole < -MOST_SECONDS)
    return false;
  *ret_time = whole * (int64_t)BILLION + (int64_t)rest;
  return true;
}

struct packet_parts {
  struct interface *interface;
  uint32_t captured, length;
  const uint8_t *data;
};

static int give(struct pcapng *pcapng, const struct packet_parts *parts, enum frame_sender sender,
                struct captured_frame *ret_frame, struct error *error) {
  if (!frame_link_type_known(parts->interface->link_type))
    return error_set(error, EPROTONOSUPPORT, "%s: captures of link type %d cannot be read", pcapng->name,
                     parts->interface->link_type);
  *ret_frame = (struct captured_frame){.time = pcapng->time,
                                       .data = parts->data,
                                       .captured = parts->captured,
                                       .length = parts->length > parts->captured ? parts->length : parts->captured,
                                       .link_type = parts->interface->link_type,
                                       .sender = sender,
                                       .interface = (uint16_t)(parts->interface - pcapng->interfaces)};
  return 1;
}

static enum frame_sender read_packet_options(struct pcapng *pcapng, struct cursor *cursor,
                                             struct interface *interface) {
  static const enum frame_sender senders[] = {SENDER_UNKNOWN, SENDER_OTHERS, SENDER_THIS_MACHINE, SENDER_UNKNOWN};
  enum frame_sender sender = SENDER_UNKNOWN;
  struct option option;
  while (next_option(pcapng, cursor, &option)) {
    if (option.code == PACKET_FLAGS)
      sender = senders[read_32(pcapng, &option.value) & 3];
    if (option.code == PACKET_LOST)
      lose(pcapng, interface, read_64(pcapng, &option.value));
  }
  return sender;
}

/* Both kinds with a time: they differ in how they name the interface. */
static int read_packet(struct pcapng *pcapng, struct block *block, struct captured_frame *ret_frame,
                       struct error *error) {
  struct cursor *body = &block->body;
  bool old = block->type == BLOCK_OLD_PACKET;
  uint32_t number = old ? read_16(pcapng, body) : read_32(pcapng, body);
  uint16_t lost = old ? read_16(pcapng, body) : 0;
  uint64_t high = read_32(pcapng, body), low = read_32(pcapng, body);
  struct packet_parts parts = {.interface = find_interface(pcapng, number)};
  parts.captured = read_32(pcapng, body);
  parts.length = read_32(pcapng, body);
  parts.data = cursor_take(body, parts.captured);
  if (parts.data == NULL)
    return broken(pcapng, "a packet is longer than its block", error);
  if (parts.interface == NULL)
    return broken(pcapng, "a packet names an interface that was not described", error);
  if (!to_nanoseconds(parts.interface, high << 32 | low, &pcapng->time))
    return broken(pcapng, "a packet has an impossible time", error);
  lose(pcapng, parts.interface, lost != LOST_UNKNOWN ? lost : 0);
  cursor_skip(body, (size_t)(-parts.captured & 3));
  return give(pcapng, &parts, read_packet_options(pcapng, body, parts.interface), ret_frame, error);
}

static int read_simple_packet(struct pcapng *pcapng, struct block *block, struct captured_frame *ret_frame,
                              struct error *error) {
  struct packet_parts parts = {.interface = find_interface(pcapng, 0), .length = read_32(pcapng, &block->body)};
  if (parts.interface == NULL)
    return broken(pcapng, "a packet names an interface that was not described", error);
  uint32_t most = parts.interface->snap_length > 0 ? parts.interface->snap_length : UINT32_MAX;
  parts.captured = parts.length < most ? parts.length : most;
  parts.data = cursor_take(&block->body, parts.captured);
  if (parts.data == NULL)
    return broken(pcapng, "a packet is longer than its block", error);
  return give(pcapng, &parts, SENDER_UNKNOWN, ret_frame, error);
}

/* 1: a frame; 0: none in this block; negative: *error. */
static int take_block(struct pcapng *pcapng, struct block *block, struct captured_frame *ret_frame,
                      struct error *error) {
  switch (block->type) {
  case BLOCK_INTERFACE:
    return add_interface(pcapng, block, error);
  case BLOCK_STATISTICS:
    read_statistics(pcapng, block);
    return 0;
  case BLOCK_PACKET:
  case BLOCK_OLD_PACKET:
    return read_packet(pcapng, block, ret_frame, error);
  case BLOCK_SIMPLE_PACKET:
    return read_simple_packet(pcapng, block, ret_frame, error);
  default:
    return 0;
  }
}

int pcapng_next(struct pcapng *pcapng, struct captured_frame *ret_frame, struct error *error) {
  struct block block;
  int result;
  while ((result = next_block(pcapng, &block, error)) > 0)
    if ((result = take_block(pcapng, &block, ret_frame, error)) != 0)
      return result;
  return result;
}
