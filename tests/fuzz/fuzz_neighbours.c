/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <pcap/dlt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/control.h"

/*
 * What machines say of themselves, from any bytes: no read behind the end, and facts that stay within their bounds. An
 * input is one frame, its first byte says how many bytes the capture left out.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds) {
  if (!holds)
    abort();
}

static void check(const struct control_facts *facts) {
  require(memchr(facts->name, '\0', sizeof facts->name) != NULL);
  for (const char *at = facts->name; *at != '\0'; at++)
    require(*at > ' ' && *at < 0x7f);
  require(facts->identity_length <= CONTROL_IDENTITY_SIZE);
  require(facts->prefix_count <= CONTROL_PREFIXES && facts->address_count <= CONTROL_ADDRESSES);
  require(facts->kind == CONTROL_NONE || facts->protocol != NULL);
  for (unsigned i = 0; i < facts->prefix_count; i++)
    require(address_compare(&facts->prefixes[i].first, &facts->prefixes[i].last) <= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  uint8_t *exact = malloc(size);
  require(exact != NULL);
  memcpy(exact, data, size);
  struct captured_frame captured = {.data = exact + 1,
                                    .captured = (uint32_t)size - 1,
                                    .length = (uint32_t)size - 1 + exact[0],
                                    .link_type = DLT_EN10MB};
  struct frame frame;
  struct control_facts facts;
  frame_decode(&captured, &frame);
  bool found = control_decode(&captured, &frame, &facts);
  require(found == (facts.kind != CONTROL_NONE));
  check(&facts);
  free(exact);
  return 0;
}
