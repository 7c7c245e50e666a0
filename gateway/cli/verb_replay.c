/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The watchman over capture files. Where --gateway-mac does not name the gateway on every wire, the files are read
 * twice: first to learn which MAC is the gateway's, then to judge.
 *
 * "Not judged" never looks like "nothing found": files that end badly give exit code 3 after what they hold was judged,
 * and a file of whose interfaces none is the policy's is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/replay_wires.h"
#include "cli/verb.h"
#include "events/log.h"
#include "watch/learn.h"
#include "watch/merge.h"

enum { OWN_ADDRESSES = 256, FRAMES_BETWEEN_LOOKS = 4096 };

struct replay {
  const struct invocation *invocation;
  const struct policy *policy;
  struct watch *watch;
  struct event_log *log;
  struct replay_source *sources;
  struct replay_wires *wires;
  struct merge merge;
  uint64_t alerts, frames;
  time_t shown;       /* when progress was told last */
  struct error fault; /* the first file that ended badly */
  bool faulty;
  bool found; /* something of severity warning or critical */
  bool write_failed;
};

static void tell(void *context, struct event *event, const struct timezone *local) {
  struct replay *replay = context;
  if (event->id[0] == '\0')
    snprintf(event->id, sizeof event->id, "replay-%llu", (unsigned long long)++replay->alerts);
  replay->found = replay->found || event->severity <= EVENT_WARNING;
  if (event_log_write(replay->log, event, local) < 0)
    replay->write_failed = true;
}

/* ---- the command line ---- */

static bool knows_place(const struct replay *replay, const char *name) {
  return replay_wires_knows_zone(replay->policy, name) || replay_wires_knows_interface(replay->policy, name);
}

/* Splits "PLACE=REST"; NULL when there is no such zone or interface. */
static const char *split(const struct replay *replay, const char *argument, char **ret_place) {
  const char *equals = strchr(argument, '=');
  if (equals == NULL || equals[1] == '\0')
    return NULL;
  char *place = arena_strndup(replay->invocation->arena, argument, (size_t)(equals - argument));
  if (place == NULL || !knows_place(replay, place))
    return NULL;
  *ret_place = place;
  return equals + 1;
}

static bool read_source(const struct replay *replay, const char *argument, struct replay_source *ret_source) {
  char *place = NULL;
  if (strchr(argument, '=') == NULL) {
    *ret_source = (struct replay_source){.path = argument, .by_name = true};
    return true;
  }
  const char *path = split(replay, argument, &place);
  if (path == NULL)
    return false;
  bool is_zone = replay_wires_knows_zone(replay->policy, place);
  *ret_source =
      (struct replay_source){.path = path, .zone = is_zone ? place : NULL, .interface = is_zone ? NULL : place};
  return true;
}

static int add_sources(struct replay *replay) {
  const struct invocation *invocation = replay->invocation;
  size_t count = invocation->argument_count;
  if (count > WATCH_WIRES)
    return invocation_usage(invocation, "ファイルは %d 個までです", "at most %d files", WATCH_WIRES);
  replay->merge.count = count;
  replay->merge.sources = ARENA_ARRAY(invocation->arena, count, struct merge_source);
  replay->sources = ARENA_ARRAY(invocation->arena, count, struct replay_source);
  if (replay->merge.sources == NULL || replay->sources == NULL)
    return EXIT_CODE_NO_ANSWER;
  for (size_t i = 0; i < count; i++)
    if (!read_source(replay, invocation->arguments[i], &replay->sources[i]))
      return invocation_usage(invocation, "「%s」は 領域=ファイル の形でないか、その領域がポリシーにありません",
                              "'%s' is not ZONE=FILE, or the policy has no such zone", invocation->arguments[i]);
  replay->wires = replay_wires_new(invocation->arena, replay->policy, replay->watch, replay->sources, count);
  return replay->wires != NULL ? EXIT_CODE_YES : EXIT_CODE_NO_ANSWER;
}

static int add_gateway_macs(struct replay *replay) {
  const char *argument;
  for (size_t n = 0; (argument = invocation_value_at(replay->invocation, "gateway-mac", n)) != NULL; n++) {
    char *place;
    struct mac mac;
    const char *text = split(replay, argument, &place);
    if (text == NULL || !mac_parse(text, &mac) || replay_wires_add_mac(replay->wires, place, &mac) < 0)
      return invocation_usage(replay->invocation, "--gateway-mac は 領域=MAC で、「%s」ではありません",
                              "--gateway-mac is ZONE=MAC, not '%s'", argument);
  }
  return EXIT_CODE_YES;
}

static int add_gateway_addresses(struct replay *replay) {
  struct address_range own[OWN_ADDRESSES];
  const char *argument;
  size_t count = 0;
  for (; (argument = invocation_value_at(replay->invocation, "gateway-address", count)) != NULL; count++) {
    char *zone;
    const char *text = split(replay, argument, &zone);
    if (text == NULL || count == OWN_ADDRESSES || !address_parse(text, &own[count].first))
      return invocation_usage(replay->invocation, "--gateway-address は 領域=アドレス で、「%s」ではありません",
                              "--gateway-address is ZONE=ADDRESS, not '%s'", argument);
    own[count].last = own[count].first;
  }
  return watch_set_own(replay->watch, own, count) < 0 ? EXIT_CODE_NO_ANSWER : EXIT_CODE_YES;
}

/* ---- running ---- */

static int complain(const struct replay *replay, const struct error *error) {
  invocation_complain(replay->invocation, "%s", "%s", error->message);
  return EXIT_CODE_NO_ANSWER;
}

static void close_files(struct replay *replay) {
  for (size_t i = 0; i < replay->merge.count; i++) {
    struct merge_source *source = &replay->merge.sources[i];
    *source = (struct merge_source){.capture = capture_close(source->capture)};
  }
}

static int open_files(struct replay *replay) {
  close_files(replay);
  for (size_t i = 0; i < replay->merge.count; i++) {
    struct error error = {0};
    if (capture_open_file(replay->sources[i].path, &replay->merge.sources[i].capture, &error) < 0)
      return complain(replay, &error);
  }
  return EXIT_CODE_YES;
}

/* On a terminal, how far it is; reading takes long where there is much. */
static void show_progress(struct replay *replay, bool last) {
  uint64_t done = 0, size = 0;
  time_t now = time(NULL);
  if (!isatty(STDERR_FILENO) || (!last && now == replay->shown) || (last && replay->shown == 0))
    return;
  replay->shown = now;
  for (size_t i = 0; i < replay->merge.count; i++) {
    uint64_t part, whole;
    capture_progress(replay->merge.sources[i].capture, &part, &whole);
    done += part;
    size += whole;
  }
  if (last)
    fprintf(stderr, "\r\033[K");
  else if (size > 0)
    fprintf(stderr, "\r%3llu %%", (unsigned long long)(done * 100 / size));
}

static const char *interface_name(const struct replay *replay, size_t source, unsigned interface) {
  return capture_interface_name(replay->merge.sources[source].capture, interface);
}

/*
 * The next frame with its wire. A file that ends badly does not end the others: what is there is judged, and the fault
 * is told at the end. False after the last frame.
 */
static bool next_frame(struct replay *replay, int *ret_wire, size_t *ret_source, struct captured_frame *ret_frame) {
  struct error error = {0};
  for (;;) {
    enum capture_step step = merge_next(&replay->merge, ret_source, ret_frame, &error);
    if (step == CAPTURE_FAILED && !replay->faulty) {
      replay->faulty = true;
      replay->fault = error;
    }
    if (step == CAPTURE_END)
      return false;
    if (++replay->frames % FRAMES_BETWEEN_LOOKS == 0)
      show_progress(replay, false);
    if (step != CAPTURE_FRAME)
      continue;
    const char *name = interface_name(replay, *ret_source, ret_frame->interface);
    *ret_wire = replay_wires_find(replay->wires, *ret_source, name, ret_frame);
    return true;
  }
}

static int learn(struct replay *replay) {
  struct learning *learning = learning_new(replay->watch);
  struct captured_frame frame;
  size_t source;
  int wire = REPLAY_NO_WIRE;
  while (learning != NULL && wire != REPLAY_NO_MEMORY && next_frame(replay, &wire, &source, &frame))
    if (wire >= 0)
      learning_frame(learning, wire, &frame);
  if (learning != NULL)
    learning_finish(learning);
  learning_free(learning);
  return open_files(replay);
}

/* What the files say that the capture lost. */
static void tell_losses(struct replay *replay, size_t source, int64_t now) {
  unsigned interface;
  uint64_t frames;
  while (capture_next_loss(replay->merge.sources[source].capture, &interface, &frames)) {
    const char *name = interface_name(replay, source, interface);
    int wire = replay_wires_find_interface(replay->wires, source, name, interface);
    if (wire >= 0)
      watch_is_blind(replay->watch, wire, "kernel-drops", frames, false, now);
  }
}

static int judge_frames(struct replay *replay) {
  struct captured_frame frame;
  size_t source;
  int wire;
  int64_t last = 0;
  while (next_frame(replay, &wire, &source, &frame)) {
    if (wire == REPLAY_NO_MEMORY)
      return EXIT_CODE_NO_ANSWER;
    last = frame.time > last ? frame.time : last;
    tell_losses(replay, source, last);
    if (wire >= 0)
      watch_frame(replay->watch, wire, &frame);
  }
  for (source = 0; source < replay->merge.count; source++)
    tell_losses(replay, source, last);
  watch_finish(replay->watch, last);
  show_progress(replay, true);
  return EXIT_CODE_YES;
}

/* What was not judged must not look judged. False when nothing of a file was. */
static bool tell_what_was_passed_over(const struct replay *replay) {
  bool some = true;
  for (size_t i = 0; i < replay->merge.count; i++) {
    if (replay_wires_knows_none(replay->wires, i)) {
      invocation_complain(replay->invocation,
                          "%s: ポリシーのインタフェース名がありません。領域=ファイル の形で指定してください",
                          "%s: names no interface of the policy; say ZONE=FILE", replay->sources[i].path);
      some = false;
      continue;
    }
    unsigned long long frames = replay_wires_passed_over(replay->wires, i);
    if (frames > 0)
      invocation_complain(replay->invocation, "%s: ポリシーにないインタフェースのフレーム %llu 個は判定していません",
                          "%s: %llu frames of interfaces that the policy does not have were not judged",
                          replay->sources[i].path, frames);
  }
  return some;
}

static int judge(struct replay *replay) {
  int code = judge_frames(replay);
  if (!tell_what_was_passed_over(replay) || code != EXIT_CODE_YES)
    return EXIT_CODE_NO_ANSWER;
  if (replay->faulty)
    return complain(replay, &replay->fault);
  if (replay->write_failed) {
    invocation_complain(replay->invocation, "事象を書き出せません", "the events could not be written");
    return EXIT_CODE_NO_ANSWER;
  }
  return replay->found ? EXIT_CODE_NO : EXIT_CODE_YES;
}

static int run(struct replay *replay) {
  int code = add_sources(replay);
  if (code == EXIT_CODE_YES)
    code = add_gateway_macs(replay);
  if (code == EXIT_CODE_YES)
    code = add_gateway_addresses(replay);
  if (code == EXIT_CODE_YES)
    code = open_files(replay);
  if (code == EXIT_CODE_YES && !replay_wires_all_have_macs(replay->wires))
    code = learn(replay);
  return code == EXIT_CODE_YES ? judge(replay) : code;
}

static int start(struct replay *replay) {
  const struct invocation *invocation = replay->invocation;
  struct watch_settings settings = {.language = invocation->language,
                                    .language_forced = invocation->language_forced,
                                    .now_fixed = invocation->now_given,
                                    .now = invocation->now,
                                    .tell = tell,
                                    .context = replay};
  struct error error = {0};
  if (event_log_open(NULL, "replay", &replay->log, &error) < 0 || event_log_add(replay->log, "-", &error) < 0)
    return complain(replay, &error);
  replay->watch = watch_new(&settings);
  if (replay->watch == NULL || watch_set_policy(replay->watch, replay->policy, NULL, false, 0) < 0) {
    invocation_complain(invocation, "メモリが足りません", "not enough memory");
    return EXIT_CODE_NO_ANSWER;
  }
  return run(replay);
}

int verb_replay(const struct invocation *invocation) {
  struct policy_reading reading;
  int code = invocation_read_valid_policy(invocation, NULL, &reading);
  if (code != EXIT_CODE_YES)
    return code == EXIT_CODE_NO ? EXIT_CODE_NO_ANSWER : code; /* 1 says that a leak was found */
  struct replay replay = {.invocation = invocation, .policy = reading.policy};
  code = start(&replay);
  close_files(&replay);
  watch_free(replay.watch);
  event_log_close(replay.log);
  return code;
}
