/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "lender.h"
#include "wire/pcapng.h"

/*
 * Any bytes as a capture file of the newer format, with all that it says besides frames, and the whole watchman behind
 * it: times as hostile as they come.
 */

enum { FRAMES_MOST = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void tell_losses(struct pcapng *pcapng, struct watch *watch, int64_t now) {
  struct pcapng_loss loss;
  while (pcapng_next_loss(pcapng, &loss))
    watch_is_blind(watch, (int)(loss.interface % LENDER_WIRES), "kernel-drops", loss.frames, false, now);
}

static int64_t read_all(struct pcapng *pcapng, struct watch *watch) {
  struct captured_frame frame;
  struct error error = {0};
  int64_t last = 0;
  for (int i = 0; i < FRAMES_MOST && pcapng_next(pcapng, &frame, &error) > 0; i++) {
    if (frame.captured > frame.length || (pcapng_interface_name(pcapng, frame.interface) != NULL &&
                                          pcapng_interface_name(pcapng, frame.interface)[0] == '\0'))
      abort();
    lender_see(watch, frame.interface, &frame);
    last = frame.time > last ? frame.time : last;
    tell_losses(pcapng, watch, last);
  }
  return last;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  unsigned open = 0;
  FILE *stream = size > 0 ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;
  struct pcapng *pcapng = stream != NULL ? pcapng_new(stream, "input") : NULL;
  if (pcapng == NULL)
    return 0;
  struct watch *watch = lender_borrow(&open);
  watch_finish(watch, read_all(pcapng, watch));
  if (open != 0)
    abort(); /* an alert that was never closed */
  lender_give_back(watch);
  pcapng_free(pcapng);
  return 0;
}
