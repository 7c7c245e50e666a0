/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "control/controller_parts.h"
#include "control/machine.h"
#include "kernel/topology.h"

/*
 * What others do to the machine: the ruleset (controller_drift.c), the settings of the kernel (machine.c), and here
 * interfaces and addresses. An interface needs nothing done: the rules match by name, and one that no zone names is
 * met by the drop at the end. Addresses go into the guard; they come in bursts, which are waited for.
 */
enum { ADDRESS_MILLISECONDS = 200, UNREADABLE_MILLISECONDS = 1000 };

struct kernel_watch {
  int topology;
  sd_event_source *on_topology, *settling;
  struct machine_watch *machine;
};

static int on_addresses(sd_event_source *source, uint64_t time, void *context);

/* Starts a wait unless one runs already. */
static void settle(struct controller *controller, unsigned milliseconds) {
  struct kernel_watch *watch = controller->watch;
  if (!watch->settling) {
    sd_event_add_time_relative(controller->loop, &watch->settling, CLOCK_MONOTONIC, (uint64_t)milliseconds * 1000, 0,
                               on_addresses, controller);
  }
}

static int on_addresses(sd_event_source *source, uint64_t time, void *context) {
  (void)source, (void)time;
  struct controller *controller = context;
  controller->watch->settling = sd_event_source_disable_unref(controller->watch->settling);
  struct error error = {0};
  bool changed = false;
  if (gate_learn_addresses(controller->gate, &changed, &error) < 0) {
    settle(controller, UNREADABLE_MILLISECONDS);
  } else if (changed) {
    controller_refresh(controller);
  }
  return 0;
}

static int on_topology(sd_event_source *source, int fd, uint32_t events, void *context) {
  (void)source, (void)events;
  if (topology_watch_drain(fd)) {
    settle(context, ADDRESS_MILLISECONDS);
    controller_prove_soon(context);
    controller_reopen_soon(context);
  }
  return 0;
}

static int open_watch(struct controller *controller, struct kernel_watch *watch, struct error *error) {
  int result = topology_watch_open(&watch->topology, error);
  if (result == 0) {
    result = sd_event_add_io(controller->loop, &watch->on_topology, watch->topology, EPOLLIN, on_topology, controller);
  }
  return result < 0 ? result : machine_watch_start(controller, &watch->machine, error);
}

int controller_watch_start(struct controller *controller, struct error *error) {
  struct kernel_watch *watch = calloc(1, sizeof *watch);
  if (!watch) {
    return error_set(error, ENOMEM, "no memory");
  }
  watch->topology = -1;
  controller->watch = watch;
  int result = open_watch(controller, watch, error);
  return result < 0 ? result : controller_start_drift(controller, error);
}

void controller_watch_stop(struct controller *controller) {
  struct kernel_watch *watch = controller->watch;
  if (!watch) {
    return;
  }
  controller_stop_drift(controller);
  machine_watch_stop(watch->machine);
  sd_event_source_disable_unref(watch->settling);
  sd_event_source_disable_unref(watch->on_topology);
  if (watch->topology >= 0) {
    close(watch->topology);
  }
  free(watch);
  controller->watch = NULL;
}
