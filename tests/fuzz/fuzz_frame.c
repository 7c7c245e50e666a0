/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <pcap/dlt.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "lender.h"

/*
 * Any frames on any wire: decoded and judged without a crash, and every finding told and closed. An input is a row of
 * records: wire (1 byte), link layer (1), length on the wire beyond what follows (1), length (2), bytes.
 */

enum { FRAMES_MOST = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void see(struct watch *watch, struct cursor *input, int64_t time) {
  static const int link_types[] = {DLT_EN10MB, DLT_EN10MB, DLT_LINUX_SLL, DLT_LINUX_SLL2, DLT_RAW};
  unsigned wire = cursor_u8(input), link_type = cursor_u8(input) % 5, missing = cursor_u8(input);
  size_t length = cursor_be16(input);
  length = length < cursor_left(input) ? length : cursor_left(input);
  const uint8_t *bytes = cursor_take(input, length);
  if (bytes == NULL)
    return;
  struct captured_frame frame = {.time = time,
                                 .data = bytes,
                                 .captured = (uint32_t)length,
                                 .length = (uint32_t)length + missing,
                                 .link_type = link_types[link_type]};
  lender_see(watch, wire, &frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const int64_t start = 1795482000LL * 1000000000, step = 30000000;
  unsigned open = 0;
  struct watch *watch = lender_borrow(&open);
  struct cursor input;
  cursor_init(&input, data, size);
  int64_t time = start;
  for (int i = 0; i < FRAMES_MOST && cursor_left(&input) > 0; i++, time += step)
    see(watch, &input, time);
  watch_finish(watch, time);
  if (open != 0)
    abort(); /* an alert that was never closed */
  lender_give_back(watch);
  return 0;
}
