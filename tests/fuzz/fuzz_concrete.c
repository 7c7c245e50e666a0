/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proof/concrete.h"
#include "proof/decode.h"

/*
 * One packet through whatever rules the decoder makes of any bytes: the first byte says how the packet travels and how
 * long it is, the next 64 are the packet; then come four bytes of generation and netlink messages. Whatever they are:
 * it ends, and the same question has the same answer twice. What comes of it names a chain unless nothing hangs on the
 * way.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMORY_LIMIT = 64 * 1024 * 1024, PACKET_SIZE = 64, HEAD_SIZE = 2 + PACKET_SIZE + 4 };

static void must(bool holds) {
  if (!holds)
    abort();
}

static void check(const struct concrete_result *result) {
  must(result->step_count == 0 || result->steps != NULL);
  must(result->accepted || result->chain != NULL);
  for (size_t i = 0; i < result->step_count; i++)
    must(result->steps[i].chain != NULL &&
         (result->steps[i].rule == NULL || result->steps[i].stopped_at <= result->steps[i].rule->expression_count));
}

static void judge(const struct live_ruleset *ruleset, const struct probe *probe) {
  struct arena *arena = arena_new(MEMORY_LIMIT);
  struct concrete_result one = {0}, other = {0};
  if (concrete_judge(ruleset, NULL, probe, arena, &one) == 0) {
    check(&one);
    if (concrete_judge(ruleset, NULL, probe, arena, &other) == 0)
      must(one.accepted == other.accepted && one.connection_mark == other.connection_mark &&
           (one.unmodelled == NULL) == (other.unmodelled == NULL));
  }
  arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < HEAD_SIZE)
    return 0;
  struct arena *arena = arena_new(MEMORY_LIMIT);
  struct live_ruleset *ruleset;
  struct error error = {0};
  size_t length = size - HEAD_SIZE, packet_length = data[1] % (PACKET_SIZE + 1);
  uint8_t *messages = malloc(length + 1), *packet = malloc(packet_length + 1); /* with ends that are looked at */
  memcpy(messages, data + HEAD_SIZE, length);
  memcpy(packet, data + 2, packet_length);
  struct snapshot snapshot = {.messages = messages, .length = length};
  memcpy(&snapshot.generation, data + 2 + PACKET_SIZE, sizeof(snapshot.generation));
  struct probe probe = {.situation = {.path = (enum situation_path)(data[0] % 3),
                                      .in = "lan0",
                                      .out = (data[0] & 64) != 0 ? "wan0" : NULL,
                                      .family = (data[0] & 32) != 0 ? FAMILY_IPV6 : FAMILY_IPV4,
                                      .tracking = (enum situation_tracking)((data[0] >> 2) % TRACKING_COUNT_)},
                        .frame = packet,
                        .length = packet_length,
                        .throttles_strike = (data[0] & 128) != 0,
                        .unknown_passes = (data[1] & 128) != 0};
  if (decode_ruleset(&snapshot, arena, &ruleset, &error) == 0)
    judge(ruleset, &probe);
  free(messages);
  free(packet);
  arena_free(arena);
  return 0;
}
