/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "control/controller_parts.h"
#include "kernel/system.h"

/*
 * Theory of operation. The kernel tells each transaction of others, with the process that made it. The first is looked
 * at once; those that follow wait until some time has passed since the last look, and are looked at together. What
 * counts is never the message but the state: the table is read and compared with what should stand there. Somebody who
 * changed the table and changed it back is told all the same, for in between it was not ours. Should messages be lost,
 * or none come for a change, the table is looked at anyway, at once or after a minute.
 *
 * Without our table the kernel would forward whatever comes, and a large policy takes time to be loaded: until it
 * stands again forwarding is off.
 *
 * Everything here stands behind the control socket in priority: a storm of changes does not keep `kido` waiting.
 */
enum { UNREADABLE_MILLISECONDS = 1000, PRIORITY = SD_EVENT_PRIORITY_NORMAL + 10 };

static const uint64_t milliseconds = 1000; /* in microseconds */
static const uint64_t look_interval = UINT64_C(60000000);

static uint64_t monotonic_milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- what is told ---- */

/* "nft (pid 4711)", and how many more changes came with it. */
static const char *describe(const struct nftables_author *author, unsigned count, enum language language,
                            char text[static 80]) {
  const char *name = author->name[0] ? author->name : "?";
  if (count > 1) {
    snprintf(text, 80, language_choose(language, "%s、pid %u、ほか %u 回", "%s, pid %u, and %u more"), name,
             author->pid, count - 1);
  } else {
    snprintf(text, 80, "%s, pid %u", name, author->pid);
  }
  return text;
}

static void announce_drift(struct controller *controller, const char *what, const struct nftables_change *change) {
  bool repair = controller->options->repair;
  const char *name = change->by_ours.name;
  char by[80];
  struct announcement drift = {
      .kind = "drift",
      .severity = EVENT_CRITICAL,
      .reason = name[0] ? name : NULL,
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
  controller->drift.count++;
  describe(&change->by_ours, change->ours, controller_language(controller), by);
  controller_announce(controller, &drift, "ルールが木戸以外から変更されました: %s (プロセス %s)",
                      "somebody else changed the rules: %s (program %s)", what, by);
}

static void announce_repair(struct controller *controller, bool by_us) {
  struct announcement repaired = {.kind = "drift-repaired", .severity = EVENT_NOTICE};
  const char *how = by_us ? language_choose(controller_language(controller), "元に戻しました", "was put back")
                          : language_choose(controller_language(controller), "変更がなくなりました", "is gone");
  controller_announce(controller, &repaired, "ルールの変更: %s", "the change of the rules %s", how);
}

static void announce_contest(struct controller *controller) {
  const char *name = controller->drift.change.by_ours.name;
  struct announcement contest = {
      .kind = "drift",
      .severity = EVENT_CRITICAL,
      .reason = "contested",
      .advice_in_japanese = "この名前のプログラムを止める。木戸と同じテーブルを書くプログラムを同じ装置で動かさない",
      .advice_in_english =
          "Stop the program of that name; nothing else on this machine may write to the table of Kido"};
  controller_announce(controller, &contest,
                      "ルールの取り合いになっています。元に戻すたびに %s が変更します。以後は間を置いて戻します",
                      "the rules are fought over: whenever they are put back, %s changes them again; they are put back "
                      "at a slower pace from now on",
                      name[0] ? name : "?");
}

/* ---- our table ---- */

static void forget_difference(struct controller *controller) {
  free(controller->drift.what);
  controller->drift.what = NULL;
}

/* Whoever wants no repair wants the machine left as it is. */
static void stop_forwarding(struct controller *controller) {
  struct error ignored = {0};
  if (controller->options->repair && controller->in_force) {
    controller->forwarding_stopped = true;
    system_set_forwarding(false, &ignored);
  }
}

static void repair(struct controller *controller) {
  controller_refresh(controller);
  if (controller->kernel_failures > 0) {
    return;
  }
  announce_repair(controller, true);
  forget_difference(controller);
  if (contest_note(&controller->drift.contest, monotonic_milliseconds())) {
    announce_contest(controller);
  }
}

/* A difference that stands is told once, unless somebody goes on changing the table. */
static void note_drift(struct controller *controller, const char *what, const struct nftables_change *change) {
  struct drift *drift = &controller->drift;
  bool known = drift->what && strcmp(drift->what, what) == 0 && change->ours == 0;
  if (!known) {
    announce_drift(controller, what, change);
  }
  free(drift->what);
  drift->what = strdup(what);
  if (controller->options->repair) {
    repair(controller);
  }
}

static void note_no_drift(struct controller *controller, const struct nftables_change *change) {
  if (controller->forwarding_stopped) {
    controller_refresh(controller);
  }
  if (!controller->drift.what && change->ours == 0) {
    return;
  }
  if (!controller->drift.what) {
    announce_drift(controller,
                   language_choose(controller_language(controller), "変更され、すぐ元に戻されました",
                                   "it was changed, and changed back at once"),
                   change);
  }
  announce_repair(controller, false);
  forget_difference(controller);
}

/* ---- tables of others ---- */

static bool table_equal(const struct nftables_table *left, const struct nftables_table *right) {
  return strcmp(left->name, right->name) == 0 && strcmp(left->family, right->family) == 0;
}

static const struct nftables_table *find_table(const struct nftables_table_list *list,
                                               const struct nftables_table *table) {
  for (size_t i = 0; i < list->count; i++) {
    if (table_equal(&list->items[i], table)) {
      return &list->items[i];
    }
  }
  return NULL;
}

static void announce_table(struct controller *controller, const struct nftables_table *table,
                           const struct nftables_change *change) {
  char by[80];
  struct announcement drift = {
      .kind = "drift",
      .severity = EVENT_WARNING,
      .reason = "other-table",
      .advice_in_japanese = "この装置に必要なプログラムのものか確かめる。木戸は他のテーブルには手を付けない",
      .advice_in_english =
          "Find out whether a program that this machine needs made it; Kido leaves the tables of others alone"};
  describe(&change->by_others, change->others, controller_language(controller), by);
  controller_announce(
      controller, &drift,
      "他のテーブル %s %s がパケットに触れます (基本チェーン %zu 個、プロセス %s)。通信を落とし、印を"
      "付け、書き換えるおそれがあります",
      "another table, %s %s, sees the packets (%zu base chains, program %s): it may drop, mark or rewrite "
      "them",
      table->family, table->name, table->chain_count, by);
}

static void announce_table_gone(struct controller *controller, const struct nftables_table *table) {
  struct announcement gone = {.kind = "drift-repaired", .severity = EVENT_NOTICE, .reason = "other-table"};
  controller_announce(controller, &gone, "他のテーブル %s %s はパケットに触れなくなりました",
                      "the other table, %s %s, does not see the packets any more", table->family, table->name);
}

static void compare_tables(struct controller *controller, const struct nftables_table_list *now,
                           const struct nftables_change *change) {
  const struct nftables_table_list *before = &controller->drift.tables;
  for (size_t i = 0; i < now->count; i++) {
    const struct nftables_table *old = find_table(before, &now->items[i]);
    bool mattered = old && nftables_table_matters(old) && old->chain_count >= now->items[i].chain_count;
    if (nftables_table_matters(&now->items[i]) && !mattered) {
      announce_table(controller, &now->items[i], change);
    }
  }
  for (size_t i = 0; i < before->count; i++) {
    const struct nftables_table *after = find_table(now, &before->items[i]);
    if (nftables_table_matters(&before->items[i]) && !(after && nftables_table_matters(after))) {
      announce_table_gone(controller, &before->items[i]);
    }
  }
}

static int look_at_tables(struct controller *controller, const struct nftables_change *change) {
  struct arena *arena = arena_new(0);
  struct nftables_table_list list = {0};
  struct error error = {0};
  int result = arena ? gate_other_tables(controller->gate, arena, &list, &error) : -ENOMEM;
  if (result < 0) {
    arena_free(arena);
    return result;
  }
  compare_tables(controller, &list, change);
  arena_free(controller->drift.arena);
  controller->drift.arena = arena;
  controller->drift.tables = list;
  return 0;
}

json_t *controller_other_tables_to_json(const struct controller *controller) {
  json_t *array = json_array();
  for (size_t i = 0; i < controller->drift.tables.count; i++) {
    const struct nftables_table *table = &controller->drift.tables.items[i];
    json_array_append_new(array,
                          json_pack("{s:s, s:s, s:I, s:b, s:b, s:b}", "family", table->family, "name", table->name,
                                    "chains", (json_int_t)table->chain_count, "dormant", table->dormant, "owned",
                                    table->owned, "matters", nftables_table_matters(table)));
  }
  return array;
}

/* ---- looking ---- */

static int on_settled(sd_event_source *source, uint64_t time, void *context);

static void settle(struct controller *controller, uint64_t wait) {
  struct drift *drift = &controller->drift;
  if (!drift->settling && sd_event_add_time_relative(controller->loop, &drift->settling, CLOCK_MONOTONIC,
                                                     wait * milliseconds, milliseconds, on_settled, controller) >= 0) {
    sd_event_source_set_priority(drift->settling, PRIORITY);
  }
}

static int look_at_ours(struct controller *controller, const struct nftables_change *change) {
  struct gate_aim aim = controller_aim(controller);
  struct arena *arena = arena_new(0);
  struct error error = {0};
  const char *what = NULL;
  int result = arena ? gate_compare(controller->gate, &aim, controller_now(), arena, &what, &error) : -ENOMEM;
  if (result == 0 && what) {
    note_drift(controller, what, change);
  } else if (result == 0) {
    note_no_drift(controller, change);
  }
  arena_free(arena);
  return result;
}

/* Until the last confirmed policy stands, what should stand is not decided; it brings the table in order itself. */
static int on_settled(sd_event_source *source, uint64_t time, void *context) {
  (void)source, (void)time;
  struct controller *controller = context;
  struct drift *drift = &controller->drift;
  drift->settling = sd_event_source_disable_unref(drift->settling);
  drift->looked = monotonic_milliseconds();
  if (controller->load.origin == LOAD_START && !controller_is_decided(controller)) {
    settle(controller, CONTEST_QUICK_MILLISECONDS);
    return 0;
  }
  struct nftables_change change = drift->change;
  int result = look_at_ours(controller, &change);
  if (result == 0 && (change.others > 0 || change.lost || !drift->arena)) {
    result = look_at_tables(controller, &change);
  }
  if (result < 0) {
    settle(controller, UNREADABLE_MILLISECONDS); /* it could not be read: look again, with the same in mind */
  } else {
    drift->change = (struct nftables_change){0};
  }
  return 0;
}

static int on_change(sd_event_source *source, int fd, uint32_t events, void *context) {
  (void)source, (void)events;
  struct controller *controller = context;
  struct drift *drift = &controller->drift;
  nftables_watch_drain(fd, gate_port(controller->gate), GATE_TABLE, &drift->transaction, &drift->change);
  controller_prove_if_moved(controller);
  if (drift->change.others > 0) {
    controller_reopen_soon(controller);
  }
  if (drift->change.table) {
    stop_forwarding(controller);
  }
  if (drift->change.ours > 0 || drift->change.others > 0 || drift->change.lost || drift->what) {
    uint64_t now = monotonic_milliseconds(), wait = contest_wait(&drift->contest, now);
    settle(controller, now - drift->looked >= wait ? 0 : wait - (now - drift->looked));
  }
  return 0;
}

void controller_note_closed(struct controller *controller) {
  controller->forwarding_stopped = true;
  settle(controller, 0);
}

/* A large load of ours was not told, and somebody else's change with it. */
static void on_missed(void *context) {
  struct controller *controller = context;
  controller->drift.change.lost = true;
  settle(controller, CONTEST_QUICK_MILLISECONDS);
}

static int on_look(sd_event_source *source, uint64_t time, void *context) {
  settle(context, CONTEST_QUICK_MILLISECONDS);
  sd_event_source_set_time(source, time + look_interval);
  return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- begin and end ---- */

int controller_start_drift(struct controller *controller, struct error *error) {
  struct drift *drift = &controller->drift;
  drift->socket = -1;
  int result = nftables_watch_open(&drift->socket, error);
  if (result < 0) {
    return result;
  }
  result = sd_event_add_io(controller->loop, &drift->on_change, drift->socket, EPOLLIN, on_change, controller);
  if (result >= 0) {
    result = sd_event_source_set_priority(drift->on_change, PRIORITY);
  }
  if (result >= 0) {
    result = sd_event_add_time_relative(controller->loop, &drift->looking, CLOCK_MONOTONIC, look_interval, 0, on_look,
                                        controller);
  }
  gate_spare(controller->gate, drift->socket, on_missed, controller);
  settle(controller, CONTEST_QUICK_MILLISECONDS); /* the tables that others have already */
  return result < 0 ? error_set(error, -result, "the event loop: %s", strerror(-result)) : 0;
}

void controller_stop_drift(struct controller *controller) {
  struct drift *drift = &controller->drift;
  drift->settling = sd_event_source_disable_unref(drift->settling);
  drift->looking = sd_event_source_disable_unref(drift->looking);
  if (drift->on_change) {
    gate_spare(controller->gate, -1, NULL, NULL);
    drift->on_change = sd_event_source_disable_unref(drift->on_change);
    close(drift->socket);
  }
  drift->arena = arena_free(drift->arena);
  drift->tables = (struct nftables_table_list){0};
  forget_difference(controller);
}
