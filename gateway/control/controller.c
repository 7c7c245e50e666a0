/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/controller.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "control/controller_parts.h"
#include "control/history.h"
#include "control/privilege.h"
#include "control/state.h"

enum language controller_language(const struct controller *controller) {
  if (!controller->options->language_forced && controller->in_force) {
    return controller->in_force->policy->header.language;
  }
  return controller->options->language;
}

struct gate_aim controller_aim(struct controller *controller) {
  const struct generation *generation = controller->in_force;
  controller_trial_follow_clock(controller);
  return (struct gate_aim){.policy = generation ? generation->policy : NULL,
                           .open = generation != NULL && !controller->held_closed,
                           .still = controller->reopening,
                           .restrictions = &controller->restrictions};
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *context) {
  (void)info, (void)context;
  return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *context) {
  (void)source, (void)info;
  controller_reload(context);
  return 0;
}

static int block_signals(struct error *error) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  sigaddset(&set, SIGCHLD);
  if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) {
    return error_set(error, errno, "sigprocmask: %s", strerror(errno));
  }
  signal(SIGPIPE, SIG_IGN);
  return 0;
}

static int add_signals(struct controller *controller, struct error *error) {
  int result = sd_event_add_signal(controller->loop, NULL, SIGTERM, on_stop, controller);
  if (result >= 0) {
    result = sd_event_add_signal(controller->loop, NULL, SIGINT, on_stop, controller);
  }
  if (result >= 0) {
    result = sd_event_add_signal(controller->loop, NULL, SIGHUP, on_reload, controller);
  }
  if (result >= 0) {
    result = sd_event_set_watchdog(controller->loop, true);
  }
  return result < 0 ? error_set(error, -result, "the event loop: %s", strerror(-result)) : 0;
}

static int make_loop(struct controller *controller, struct error *error) {
  int result = sd_event_new(&controller->loop);
  if (result < 0) {
    return error_set(error, -result, "the event loop: %s", strerror(-result));
  }
  return add_signals(controller, error);
}

static int prepare_directories(const struct controller_options *options, struct error *error) {
  int result = state_prepare(options->state_directory, error);
  if (result == 0 && mkdir(options->run_directory, 0755) < 0 && errno != EEXIST) {
    result = error_set(error, errno, "%s: %s", options->run_directory, strerror(errno));
  }
  return result;
}

/* A kidod that was killed leaves its lock to its children until these have ended too, which they do at once. */
static int wait_for_lock(int fd) {
  enum { ATTEMPTS = 200, STEP_NANOSECONDS = 10 * 1000 * 1000 };
  int result = flock(fd, LOCK_EX | LOCK_NB);
  for (unsigned i = 0; result < 0 && errno == EWOULDBLOCK && i < ATTEMPTS; i++) {
    nanosleep(&(struct timespec){.tv_nsec = STEP_NANOSECONDS}, NULL);
    result = flock(fd, LOCK_EX | LOCK_NB);
  }
  return result;
}

/* Two of us on one state directory would each repair what the other did. Held until the end of the process. */
static int lock_state(struct controller *controller, struct error *error) {
  const char *directory = controller->options->state_directory;
  controller->lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (controller->lock < 0) {
    return error_set(error, errno, "%s: %s", directory, strerror(errno));
  }
  if (wait_for_lock(controller->lock) < 0) {
    return error_set(error, errno, "%s: another kidod uses this state directory", directory);
  }
  return 0;
}

static int open_sockets(struct controller *controller, struct error *error) {
  const char *directory = controller->options->run_directory;
  int result = publisher_open(controller->loop, directory, &controller->publisher, error);
  return result < 0
             ? result
             : server_open(controller->loop, directory, controller_handle, controller, &controller->server, error);
}

/* A kernel that cannot is told of, and no reason to stay away. */
static int own_table(struct controller *controller, struct error *error) {
  enum ownership ownership = OWNERSHIP_OFF;
  int result = controller->options->table_owner ? gate_own_table(controller->gate, &ownership, error) : 0;
  if (result == 0 && ownership == OWNERSHIP_UNSUPPORTED) {
    struct announcement unsupported = {.kind = "table-owner-unsupported",
                                       .severity = EVENT_WARNING,
                                       .advice_in_japanese = "カーネルを 6.9 以降にするか、設定 table_owner を外す",
                                       .advice_in_english =
                                           "Run a kernel of 6.9 or later, or take out the setting table_owner"};
    controller_announce(
        controller, &unsupported,
        "このカーネルには、持ち主が終わっても残る表がありません（6.9 以降）。table_owner なしで動きます。"
        "他者による変更は、拒まれずに警報となります",
        "this kernel knows no table that outlives its owner (6.9 and later do): going on without table_owner, what "
        "others "
        "change is alarmed, not refused");
  }
  return result;
}

/* Now, while root may still set aside what it could not later. What fails here stops no gate: only that no policy can
 * be confirmed until it is mended. */
static void prepare_history(struct controller *controller) {
  const char *directory = controller->options->state_directory;
  struct error error = {0};
  struct announcement foreign = {.kind = "state-foreign",
                                 .severity = EVENT_WARNING,
                                 .advice_in_japanese = "状態ディレクトリの history.foreign-* の持ち主を調べる",
                                 .advice_in_english = "Find out whose history.foreign-* in the state directory is"};
  struct announcement unusable = {.kind = "state-unusable",
                                  .severity = EVENT_WARNING,
                                  .advice_in_japanese = "root で取り除く。それまでポリシーは確定できない",
                                  .advice_in_english = "Remove it as root; until then no policy can be confirmed"};
  int result = history_prepare(directory, &error);
  if (result > 0) {
    controller_announce(controller, &foreign, "%s/history は他の利用者のものでした。別名にして作り直しました",
                        "%s/history was another user's: it has another name now, and a new one was made", directory);
  } else if (result < 0) {
    controller_announce(controller, &unusable, "履歴を書けません: %s", "the history cannot be written: %s",
                        error.message);
  }
}

/*
 * What needs more than CAP_NET_ADMIN comes first: directories and sockets for the group. A gate without a table of ours
 * must not forward while the policy is still being read.
 */
static int start(struct controller *controller, struct error *error) {
  const struct controller_options *options = controller->options;
  bool changed = false;
  int result = prepare_directories(options, error);
  if (result == 0) {
    result = lock_state(controller, error);
  }
  if (result == 0) {
    result = event_log_open(options->state_directory, "kidod", &controller->log, error);
  }
  if (result == 0) {
    controller_start_scribe(controller);
    prepare_history(controller);
  }
  if (result == 0) {
    result = make_loop(controller, error);
  }
  if (result == 0) {
    controller_hear_scribe(controller);
  }
  if (result == 0) {
    result = open_sockets(controller, error);
  }
  if (result == 0) {
    result = privilege_keep_network(error);
  }
  if (result == 0) {
    result = gate_new(&controller->gate, error);
  }
  if (result == 0) {
    result = own_table(controller, error);
  }
  if (result == 0) {
    gate_log_denials(controller->gate, options->denied_log_group);
    result = gate_learn_addresses(controller->gate, &changed, error);
  }
  if (result == 0) {
    result = controller_load_orders(controller, error);
  }
  return result < 0 ? result : controller_start_clock(controller, error);
}

/* After a crash or a restart the rules stand and go on standing; after a boot there are none yet. */
static int secure_empty_kernel(struct controller *controller, struct error *error) {
  struct arena *arena = arena_new(0);
  struct ruleset *held = NULL;
  int result = arena ? gate_read(controller->gate, controller_now(), arena, &held, error)
                     : error_set(error, ENOMEM, "no memory");
  if (result == 0 && held && !held->present) {
    result = controller_close_gate(controller, error);
  }
  arena_free(arena);
  return result;
}

static int bring_up(struct controller *controller, struct error *error) {
  int result = secure_empty_kernel(controller, error);
  if (result == 0) {
    struct announcement started = {.kind = "controller-started", .severity = EVENT_INFO};
    controller_announce(controller, &started, "kidod %s を開始しました", "kidod %s has started", KIDO_VERSION);
    result = controller_watch_start(controller, error);
  }
  return result < 0 ? result : controller_load_confirmed(controller, error);
}

static void announce_stop(struct controller *controller, const struct error *reason) {
  struct announcement stopped = {.kind = "controller-stopped", .severity = reason ? EVENT_CRITICAL : EVENT_NOTICE};
  if (!reason) {
    controller_announce(controller, &stopped, "kidod を停止し、関門を閉じました",
                        "kidod has stopped and closed the gate");
    return;
  }
  stopped.reason = "not-closed";
  stopped.advice_in_japanese = "kidod --close で閉じ直す。閉じられなければ、つなぐケーブルを抜き、保守業者に連絡する";
  stopped.advice_in_english =
      "Close it with kidod --close; if that fails, pull the cables between the networks, and call support";
  controller_announce(controller, &stopped, "kidod を停止しましたが、関門をすべては閉じられませんでした: %s",
                      "kidod has stopped, and could not close all of the gate: %s", reason->message);
}

static int shut_down(struct controller *controller, struct error *error) {
  sd_notify(0, "STOPPING=1");
  controller_stop_proving(controller);
  controller_stop_reopening(controller);
  controller_watch_stop(controller);
  controller_load_abandon(controller);
  controller_trial_abandon(controller);
  struct error reason = {0}, ignored = {0};
  int result = controller_close_gate(controller, &reason);
  controller_publish(controller, PUBLICATION_CLOSED, NULL, &ignored);
  announce_stop(controller, result < 0 ? &reason : NULL);
  return result < 0 ? error_set(error, -result, "%s", reason.message) : 0;
}

static void release(struct controller *controller) {
  controller_watch_stop(controller);
  controller_stop_looking(controller);
  controller_stop_proving(controller);
  controller_stop_reopening(controller);
  controller_stop_records(controller);
  sd_event_source_disable_unref(controller->change);
  sd_event_source_disable_unref(controller->retry);
  sd_event_source_disable_unref(controller->load.child);
  if (controller->load.origin != LOAD_NONE) {
    policy_reader_close(&controller->load.reader);
    arena_free(controller->load.arena);
    json_decref(controller->load.diagnostics);
    generation_free(controller->load.previous);
  }
  controller_trial_abandon(controller);
  server_close(controller->server);
  publisher_close(controller->publisher);
  gate_free(controller->gate);
  generation_free(controller->in_force);
  controller_drop_orders(controller);
  controller_stop_clock(controller);
  controller_drop_plan(controller);
  controller_stop_scribe(controller);
  event_log_close(controller->log);
  sd_event_unref(controller->loop);
  if (controller->lock >= 0) {
    close(controller->lock);
  }
}

/* Like sd_event_loop(), with the sentry standing by whenever there is something to do. */
static int run_loop(struct controller *controller) {
  int result = 0;
  while (result >= 0 && sd_event_get_state(controller->loop) != SD_EVENT_FINISHED) {
    result = sd_event_prepare(controller->loop);
    if (result == 0) {
      sentry_idle(controller->sentry);
      result = sd_event_wait(controller->loop, UINT64_MAX);
      sentry_busy(controller->sentry);
    }
    if (result > 0) {
      result = sd_event_dispatch(controller->loop);
    }
    if (sentry_has_closed(controller->sentry)) {
      controller_note_closed(controller);
    }
  }
  return result;
}

/* Without it kidod would only be slower to notice. Whoever wants no repair wants the machine left as it is. */
static void post_sentry(struct controller *controller) {
  struct error ignored = {0};
  if (controller->options->repair) {
    (void)sentry_start(GATE_TABLE, &controller->sentry, &ignored);
  }
}

int controller_run(const struct controller_options *options, struct error *error) {
  struct controller controller = {.options = options, .lock = -1, .proving.worker = {-1, -1}};
  int result = block_signals(error);
  if (result == 0) {
    result = start(&controller, error);
  }
  if (result == 0) {
    result = bring_up(&controller, error);
  }
  if (result == 0) {
    controller_start_looking(&controller);
    controller_start_proving(&controller);
    controller_start_records(&controller);
    post_sentry(&controller);
    int ended = run_loop(&controller);
    controller.sentry = sentry_stop(controller.sentry);
    result = shut_down(&controller, error);
    if (ended < 0 && result == 0) {
      result = error_set(error, -ended, "the event loop: %s", strerror(-ended));
    }
  }
  release(&controller);
  return result;
}

/* The confirmed policy keeps its `gateway` flows even now; without one, or a damaged one, nothing stays. */
static struct generation *read_confirmed(const char *state_directory) {
  struct arena *arena = arena_new(0);
  struct generation *generation = NULL;
  struct confirmed_policy confirmed;
  struct error error = {0};
  if (arena && state_load(state_directory, arena, &confirmed, &error) == 0) {
    generation_new(confirmed.text, confirmed.size, &generation, &error);
  }
  arena_free(arena);
  return generation;
}

/* Quietly: whoever closes the gate at boot has no log. A damaged record cuts everything here too. */
static void read_orders(struct controller *controller) {
  struct orders *orders = NULL;
  struct error ignored = {0};
  orders_load(controller->options->state_directory, controller_now(), &orders, &ignored);
  if (orders) {
    controller_adopt_orders(controller, orders);
  }
}

int controller_close(const struct controller_options *options, struct error *error) {
  struct controller controller = {
      .options = options, .lock = -1, .load.reader = {-1, -1, -1}, .proving.worker = {-1, -1}};
  bool changed = false;
  bool with_state = access(options->state_directory, F_OK) == 0;
  int result = with_state ? lock_state(&controller, error) : 0;
  if (result == 0) {
    result = privilege_keep_network(error);
  }
  if (result == 0) {
    result = gate_new(&controller.gate, error);
  }
  if (result == 0 && options->table_owner) {
    enum ownership ownership;
    result = gate_own_table(controller.gate, &ownership, error); /* so that kidod can take the table over */
  }
  if (result == 0) {
    gate_log_denials(controller.gate, options->denied_log_group);
    result = gate_learn_addresses(controller.gate, &changed, error);
  }
  if (result == 0) {
    controller.in_force = read_confirmed(options->state_directory);
    read_orders(&controller);
    controller_judge_clock(&controller);
    result = controller_close_gate(&controller, error);
  }
  release(&controller);
  return result;
}
