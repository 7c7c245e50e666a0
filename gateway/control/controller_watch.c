/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "control/controller_parts.h"
#include "control/machine.h"
#include "kernel/nftables_watch.h"
#include "kernel/topology.h"

/*
 * Theory of operation. Two netlink sockets tell when somebody else changed nf_tables, and when addresses or interfaces
 * changed. Both come in bursts; the first message of a burst starts a short wait, and then the whole is looked at once.
 * What counts is never the message but the state: the table is read and compared with what should stand there.
 */
enum { SETTLE_MILLISECONDS = 50, ADDRESS_MILLISECONDS = 200 };

struct kernel_watch {
  int nftables, topology;
  sd_event_source *on_nftables, *on_topology;
  struct nftables_change last; /* who changed the ruleset */
  struct machine_watch *machine;
};

/* Starts a wait unless one runs already. */
static void settle(struct controller *controller, sd_event_source **timer, unsigned milliseconds,
                   sd_event_time_handler_t handler) {
  if (!*timer) {
    sd_event_add_time_relative(controller->loop, timer, CLOCK_MONOTONIC, (uint64_t)milliseconds * 1000, 0, handler,
                               controller);
  }
}

/* ---- drift ---- */

static void announce_drift(struct controller *controller, const char *what) {
  const struct nftables_change *by = &controller->watch->last;
  bool repair = controller->options->repair;
  struct announcement drift = {
      .kind = "drift",
      .severity = EVENT_CRITICAL,
      .reason = by->name[0] ? by->name : NULL,
      .advice_in_japanese =
          repair ? "1. 本機に誰が何をしに入ったかを確かめる（自動で元に戻す）。2. kido events で crossing の"
                   "警報がないか確かめる。3. 統括情報セキュリティ責任者に連絡する"
                 : "1. kido apply でルールを入れ直す（自動では戻さない設定）。2. 本機に誰が何をしに入ったかを"
                   "確かめる。3. 統括情報セキュリティ責任者に連絡する",
      .advice_in_english =
          repair ? "1. Find out who was on this machine and why (the rules are put back by themselves). 2. "
                   "Look for a crossing in kido events. 3. Call the chief information security officer's "
                   "deputy"
                 : "1. Load the rules again with kido apply (they are not put back by themselves). 2. Find "
                   "out who was on this machine and why. 3. Call the chief information security officer's "
                   "deputy"};
  controller->drift_count++;
  controller_announce(controller, &drift, "ルールが木戸以外から変更されました: %s (プロセス %s、pid %u)",
                      "somebody else changed the rules: %s (program %s, pid %u)", what, by->name[0] ? by->name : "?",
                      by->pid);
}

static void announce_repair(struct controller *controller, bool by_us) {
  struct announcement repaired = {.kind = "drift-repaired", .severity = EVENT_NOTICE};
  const char *how = by_us ? language_choose(controller_language(controller), "元に戻しました", "was put back")
                          : language_choose(controller_language(controller), "変更がなくなりました", "is gone");
  controller_announce(controller, &repaired, "ルールの変更: %s", "the change of the rules %s", how);
}

/* A difference that stands is told once. */
static void note_drift(struct controller *controller, const char *what) {
  bool known = controller->drift_what && strcmp(controller->drift_what, what) == 0;
  if (!known) {
    announce_drift(controller, what);
  }
  free(controller->drift_what);
  controller->drift_what = strdup(what);
  if (controller->options->repair) {
    controller_refresh(controller);
    if (controller->kernel_failures == 0) {
      announce_repair(controller, true);
      free(controller->drift_what);
      controller->drift_what = NULL;
    }
  }
}

static void note_no_drift(struct controller *controller) {
  if (controller->drift_what) {
    announce_repair(controller, false);
  }
  free(controller->drift_what);
  controller->drift_what = NULL;
}

static int on_settled(sd_event_source *source, uint64_t time, void *context) {
  (void)source, (void)time;
  struct controller *controller = context;
  controller->drift = sd_event_source_disable_unref(controller->drift);
  if (controller->load.origin != LOAD_NONE) {
    settle(controller, &controller->drift, SETTLE_MILLISECONDS, on_settled); /* what should stand is not decided yet */
    return 0;
  }
  struct gate_aim aim = controller_aim(controller);
  struct arena *arena = arena_new(0);
  struct error error = {0};
  const char *what = NULL;
  int result = arena ? gate_compare(controller->gate, &aim, controller_now(), arena, &what, &error) : -ENOMEM;
  if (result < 0) {
    settle(controller, &controller->drift, 1000, on_settled); /* it could not be read: look again */
  } else if (what) {
    note_drift(controller, what);
  } else {
    note_no_drift(controller);
  }
  arena_free(arena);
  return 0;
}

static int on_nftables(sd_event_source *source, int fd, uint32_t events, void *context) {
  (void)source, (void)events;
  struct controller *controller = context;
  struct nftables_change change = nftables_watch_drain(fd, (uint32_t)getpid());
  if (change.foreign) {
    controller->watch->last = change;
    settle(controller, &controller->drift, SETTLE_MILLISECONDS, on_settled);
  }
  return 0;
}

/* ---- own addresses ---- */

static int on_addresses(sd_event_source *source, uint64_t time, void *context) {
  (void)source, (void)time;
  struct controller *controller = context;
  controller->addresses = sd_event_source_disable_unref(controller->addresses);
  struct error error = {0};
  bool changed = false;
  if (gate_learn_addresses(controller->gate, &changed, &error) < 0) {
    settle(controller, &controller->addresses, 1000, on_addresses);
  } else if (changed) {
    controller_refresh(controller);
  }
  return 0;
}

static int on_topology(sd_event_source *source, int fd, uint32_t events, void *context) {
  (void)source, (void)events;
  struct controller *controller = context;
  if (topology_watch_drain(fd)) {
    settle(controller, &controller->addresses, ADDRESS_MILLISECONDS, on_addresses);
  }
  return 0;
}

static int open_watch(struct controller *controller, struct kernel_watch *watch, struct error *error) {
  int result = nftables_watch_open(&watch->nftables, error);
  if (result == 0) {
    result = topology_watch_open(&watch->topology, error);
  }
  if (result == 0) {
    result = sd_event_add_io(controller->loop, &watch->on_nftables, watch->nftables, EPOLLIN, on_nftables, controller);
  }
  if (result >= 0) {
    result = sd_event_add_io(controller->loop, &watch->on_topology, watch->topology, EPOLLIN, on_topology, controller);
  }
  return result < 0 ? result : 0;
}

int controller_watch_start(struct controller *controller, struct error *error) {
  struct kernel_watch *watch = calloc(1, sizeof *watch);
  if (!watch) {
    return error_set(error, ENOMEM, "no memory");
  }
  *watch = (struct kernel_watch){.nftables = -1, .topology = -1};
  controller->watch = watch;
  int result = open_watch(controller, watch, error);
  return result < 0 ? result : machine_watch_start(controller, &watch->machine, error);
}

void controller_watch_stop(struct controller *controller) {
  controller->drift = sd_event_source_disable_unref(controller->drift);
  controller->addresses = sd_event_source_disable_unref(controller->addresses);
  struct kernel_watch *watch = controller->watch;
  if (!watch) {
    return;
  }
  machine_watch_stop(watch->machine);
  sd_event_source_disable_unref(watch->on_nftables);
  sd_event_source_disable_unref(watch->on_topology);
  if (watch->nftables >= 0) {
    close(watch->nftables);
  }
  if (watch->topology >= 0) {
    close(watch->topology);
  }
  free(watch);
  controller->watch = NULL;
}
