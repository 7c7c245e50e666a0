/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file is read in pieces into a window; frames are given out of it. What is left of a piece moves to the front
 * before the next is read behind it, so that every frame lies in one part.
 */
#include "wire/pcapfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cursor.h"

enum {
  FILE_HEADER = 24,
  RECORD_HEADER = 16,
  PIECE = 128 * 1024,    /* stays within the processor's own cache */
  LONGEST = 256 * 1024,  /* frame: what libpcap allows */
  LINK_TYPE = 0x03ffffff /* behind it: how long the checksum is that some captures show */
};

static const uint32_t MICROSECONDS = 0xa1b2c3d4, NANOSECONDS = 0xa1b23c4d;
static const int64_t BILLION = 1000000000;

struct pcapfile {
  int descriptor, link_type;
  bool swapped;
  uint32_t fraction; /* nanoseconds that the second part of a time counts */
  char *name;
  uint64_t offset;     /* of the file: behind the window */
  size_t first, after; /* what of the window is still to be given */
  uint8_t window[RECORD_HEADER + LONGEST];
};

static uint32_t read_32(const struct pcapfile *file, struct cursor *cursor) {
  uint32_t value = cursor_be32(cursor);
  return file->swapped ? __builtin_bswap32(value) : value;
}

static uint16_t read_16(const struct pcapfile *file, struct cursor *cursor) {
  uint16_t value = cursor_be16(cursor);
  return file->swapped ? __builtin_bswap16(value) : value;
}

/* False: a format that libpcap may know. */
static bool read_header(struct pcapfile *file, const uint8_t *header) {
  struct cursor cursor;
  cursor_init(&cursor, header, FILE_HEADER);
  uint32_t magic = cursor_be32(&cursor);
  file->swapped = magic == __builtin_bswap32(MICROSECONDS) || magic == __builtin_bswap32(NANOSECONDS);
  magic = file->swapped ? __builtin_bswap32(magic) : magic;
  if (magic != MICROSECONDS && magic != NANOSECONDS)
    return false;
  file->fraction = magic == MICROSECONDS ? 1000 : 1;
  uint16_t major = read_16(file, &cursor), minor = read_16(file, &cursor);
  cursor_skip(&cursor, 12); /* time zone, precision, snap length */
  file->link_type = (int)(read_32(file, &cursor) & LINK_TYPE);
  return major == 2 && minor == 4 && frame_link_type_known(file->link_type);
}

static bool is_ours(int descriptor, struct pcapfile *file) {
  uint8_t header[FILE_HEADER];
  struct stat status;
  return fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) &&
         pread(descriptor, header, sizeof header, 0) == (ssize_t)sizeof header && read_header(file, header);
}

struct pcapfile *pcapfile_new(int descriptor, const char *name) {
  struct pcapfile *file = malloc(sizeof *file);
  if (file == NULL)
    return NULL;
  file->descriptor = descriptor;
  file->name = strdup(name);
  file->offset = FILE_HEADER;
  file->first = file->after = 0;
  return file->name != NULL && is_ours(descriptor, file) ? file : pcapfile_free(file);
}

struct pcapfile *pcapfile_free(struct pcapfile *file) {
  if (file != NULL)
    free(file->name);
  free(file);
  return NULL;
}

int pcapfile_link_type(const struct pcapfile *file) {
  return file->link_type;
}

uint64_t pcapfile_progress(const struct pcapfile *file) {
  return file->offset - (file->after - file->first);
}

/* ---- frames ---- */

/* One piece more, at most as much as the window holds: 1; 0 at the end of the file; a negative errno with *error. */
static int read_piece(struct pcapfile *file, struct error *error) {
  size_t left = file->after - file->first, room = sizeof file->window - left;
  memmove(file->window, file->window + file->first, left);
  file->first = 0;
  file->after = left;
  ssize_t got;
  do
    got = pread(file->descriptor, file->window + left, room < PIECE ? room : PIECE, (off_t)file->offset);
  while (got < 0 && errno == EINTR);
  if (got < 0)
    return error_set(error, errno, "%s: %s", file->name, strerror(errno));
  file->offset += (uint64_t)got;
  file->after += (size_t)got;
  return got > 0;
}

/* The same until so many bytes are in the window, at most as many as it holds. */
static int fill(struct pcapfile *file, size_t size, struct error *error) {
  int result = 1;
  while (result > 0 && file->after - file->first < size)
    result = read_piece(file, error);
  return result;
}

static int ends_early(const struct pcapfile *file, struct error *error) {
  return error_set(error, EIO, "%s: the file ends within a frame: its end is missing", file->name);
}

static int64_t read_time(const struct pcapfile *file, struct cursor *cursor) {
  int64_t seconds = read_32(file, cursor);
  return seconds * BILLION + (int64_t)read_32(file, cursor) * file->fraction;
}

int pcapfile_next(struct pcapfile *file, struct captured_frame *ret_frame, struct error *error) {
  int result = fill(file, RECORD_HEADER, error);
  if (result <= 0)
    return result < 0 || file->first == file->after ? result : ends_early(file, error);
  struct cursor cursor;
  cursor_init(&cursor, file->window + file->first, RECORD_HEADER);
  int64_t time = read_time(file, &cursor);
  uint32_t captured = read_32(file, &cursor), length = read_32(file, &cursor);
  if (captured > LONGEST)
    return error_set(error, EIO, "%s: a frame of %u bytes: not a capture, or a damaged one", file->name, captured);
  result = fill(file, RECORD_HEADER + captured, error);
  if (result <= 0)
    return result < 0 ? result : ends_early(file, error);
  *ret_frame = (struct captured_frame){.time = time,
                                       .data = file->window + file->first + RECORD_HEADER,
                                       .captured = captured,
                                       .length = length > captured ? length : captured,
                                       .link_type = file->link_type};
  file->first += RECORD_HEADER + captured;
  return 1;
}
