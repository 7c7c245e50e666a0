/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "control/controller_parts.h"
#include "kernel/neighbours.h"
#include "kernel/system.h"

enum { CHECK_SECONDS = 2, WHAT_SIZE = 256, SPACE_LOW = 10, SPACE_ENOUGH = 15 /* percent */ };

struct machine_watch {
  struct controller *controller;
  sd_event_source *timer;
  char what[WHAT_SIZE]; /* told already and not yet right; "" for nothing */
  bool waiting;         /* told: events wait for the disk */
  bool low;             /* told: the disk of the state directory is nearly full */
};

/* ---- settings of the kernel ---- */

static bool should_forward(const struct machine_watch *watch) {
  const struct controller *controller = watch->controller;
  return controller->in_force != NULL && !controller->held_closed && !controller->reopening &&
         !controller->forwarding_stopped;
}

/* What is not as it should be: "net/ipv4/conf/eth0/rp_filter = 0 ≠ 1", and how many more there are; "" for nothing.
 * Forwarding comes first: changing it resets others. */
static int look(const struct machine_watch *watch, struct arena *arena, char what[static WHAT_SIZE]) {
  bool open = should_forward(watch);
  struct system_report report = {0};
  struct error error = {0};
  what[0] = '\0';
  int result = system_check(arena, &report, &error);
  if (result < 0) {
    return result;
  }
  if (!system_forwarding_is(open)) {
    snprintf(what, WHAT_SIZE, "forwarding = %d ≠ %d", !open, open);
  } else if (report.count > 0) {
    const struct system_fault *fault = &report.faults[0];
    int length = snprintf(what, WHAT_SIZE, "%s = %s ≠ %s", fault->path, fault->found, fault->wanted);
    if (report.count > 1 && length < WHAT_SIZE) {
      snprintf(what + length, WHAT_SIZE - (size_t)length, " (+%zu)", report.count - 1);
    }
  }
  return 0;
}

static void tell_fault(const struct machine_watch *watch, const char *what) {
  bool repair = watch->controller->options->repair;
  struct announcement drift = {
      .kind = "drift",
      .severity = EVENT_CRITICAL,
      .reason = "sysctl",
      .advice_in_japanese =
          repair ? "1. 本機に誰が何をしに入ったかを確かめる（設定は自動で元に戻す）。2. /etc/sysctl.d や他の"
                   "プログラムがこの値を書いていないか確かめる"
                 : "1. この設定を元に戻す（自動では戻さない設定）。2. 本機に誰が何をしに入ったかを確かめる",
      .advice_in_english = repair
                               ? "1. Find out who was on this machine and why (the setting is put back by itself). 2. "
                                 "See whether /etc/sysctl.d or another program writes this value"
                               : "1. Put the setting back (it is not done by itself). 2. Find out who was on this "
                                 "machine and why"};
  controller_announce(watch->controller, &drift, "カーネルの設定が変えられました: %s",
                      "a kernel setting was changed: %s", what);
}

static void tell_repair(const struct machine_watch *watch, bool by_us) {
  struct announcement repaired = {.kind = "drift-repaired", .severity = EVENT_NOTICE, .reason = "sysctl"};
  const char *who =
      language_choose(controller_language(watch->controller), by_us ? "kidod が戻しました" : "戻っています",
                      by_us ? "kidod put them back" : "they are back");
  controller_announce(watch->controller, &repaired, "カーネルの設定: %s", "the kernel settings: %s", who);
}

/* Forwarding first: turning it on resets other settings. */
static void repair(struct machine_watch *watch, struct arena *arena) {
  struct error ignored = {0};
  bool open = should_forward(watch);
  char what[WHAT_SIZE];
  if (!system_forwarding_is(open)) {
    system_set_forwarding(open, &ignored);
  }
  system_harden(&ignored);
  if (look(watch, arena, what) == 0 && what[0] == '\0') {
    tell_repair(watch, true);
    watch->what[0] = '\0';
  }
}

static void check(struct machine_watch *watch, struct arena *arena) {
  char what[WHAT_SIZE];
  if (look(watch, arena, what) < 0) {
    return;
  }
  if (what[0] == '\0') {
    if (watch->what[0] != '\0') {
      tell_repair(watch, false);
    }
    watch->what[0] = '\0';
    return;
  }
  if (strcmp(what, watch->what) != 0) {
    tell_fault(watch, what);
  }
  memcpy(watch->what, what, sizeof(what));
  if (watch->controller->options->repair) {
    repair(watch, arena);
  }
}

/* ---- neighbours of pinned hosts ---- */

/* What cannot be done now (an interface that is just going) is tried again with the next look. */
static void pin_neighbours(const struct machine_watch *watch, struct arena *arena) {
  const struct generation *in_force = watch->controller->in_force;
  struct topology *topology = NULL;
  struct neighbour *neighbours = NULL;
  size_t count = 0;
  struct error ignored = {0};
  if (in_force && (topology_read(arena, &topology, &ignored) < 0 ||
                   neighbours_plan(in_force->policy, topology, arena, &neighbours, &count) < 0)) {
    return;
  }
  neighbours_bring(neighbours, count, &ignored);
}

/* ---- where the events go ---- */

static void check_log(struct machine_watch *watch) {
  struct controller *controller = watch->controller;
  bool waiting = !event_log_flush(controller->log);
  unsigned long long lost = event_log_lost(controller->log);
  if (waiting && !watch->waiting) {
    struct announcement degraded = {
        .kind = "log-degraded",
        .severity = EVENT_CRITICAL,
        .reason = "waiting",
        .advice_in_japanese = "状態ディレクトリのディスクに空きを作る。通信の制御は続いている",
        .advice_in_english = "Make room on the disk of the state directory. Filtering goes on"};
    controller_announce(controller, &degraded, "記録を書き込めません。メモリに保持しています（失われた件数 %llu）",
                        "events cannot be written; they wait in memory (%llu lost so far)", lost);
  } else if (!waiting && watch->waiting) {
    struct announcement written = {.kind = "log-degraded", .severity = EVENT_WARNING, .reason = "written-late"};
    controller_announce(controller, &written, "保持していた記録を書き込みました（失われた件数 %llu）",
                        "the events that waited are written (%llu were lost)", lost);
  }
  watch->waiting = waiting;
}

static void check_space(struct machine_watch *watch) {
  struct controller *controller = watch->controller;
  struct statvfs disk;
  if (statvfs(controller->options->state_directory, &disk) < 0 || disk.f_blocks == 0) {
    return;
  }
  unsigned free = (unsigned)((unsigned long long)disk.f_bavail * 100 / disk.f_blocks);
  if (free < SPACE_LOW && !watch->low) {
    watch->low = true;
    struct announcement low = {
        .kind = "log-degraded",
        .severity = EVENT_WARNING,
        .reason = "space",
        .advice_in_japanese = "ディスクに空きを作る。満杯になると記録はメモリで待ち、ポリシーは変えられなくなる",
        .advice_in_english = "Make room. On a full disk events wait in memory and no policy can be changed"};
    controller_announce(controller, &low, "状態ディレクトリのディスクの空きは %u %% です",
                        "%u %% of the disk of the state directory is free", free);
  }
  watch->low = watch->low && free < SPACE_ENOUGH;
}

static int on_check(sd_event_source *source, uint64_t time, void *context) {
  struct machine_watch *watch = context;
  struct arena *arena = arena_new(0);
  check_log(watch);
  controller_look_after_scribe(watch->controller);
  check_space(watch);
  controller_keep_orders_late(watch->controller);
  if (arena && controller_is_decided(watch->controller)) { /* else whether the gate opens is not decided yet */
    check(watch, arena);
    pin_neighbours(watch, arena);
  }
  arena_free(arena);
  sd_event_source_set_time(source, time + CHECK_SECONDS * UINT64_C(1000000));
  return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int machine_watch_start(struct controller *controller, struct machine_watch **ret_watch, struct error *error) {
  struct machine_watch *watch = calloc(1, sizeof *watch);
  if (!watch) {
    return error_set(error, ENOMEM, "no memory");
  }
  watch->controller = controller;
  int result = sd_event_add_time_relative(controller->loop, &watch->timer, CLOCK_MONOTONIC,
                                          CHECK_SECONDS * UINT64_C(1000000), 0, on_check, watch);
  if (result < 0) {
    free(watch);
    return error_set(error, -result, "the event loop: %s", strerror(-result));
  }
  *ret_watch = watch;
  return 0;
}

struct machine_watch *machine_watch_stop(struct machine_watch *watch) {
  if (watch) {
    struct error ignored = {0};
    sd_event_source_disable_unref(watch->timer);
    neighbours_bring(NULL, 0, &ignored);
    free(watch);
  }
  return NULL;
}
