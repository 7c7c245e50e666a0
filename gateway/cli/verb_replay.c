/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The watchman over capture files. Where --gateway-mac does not name the gateway on every wire, the files are read
 * twice: first to learn which MAC is the gateway's, then to judge.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/verb.h"
#include "events/log.h"
#include "watch/learn.h"
#include "watch/merge.h"

enum { OWN_ADDRESSES = 256 };

struct replay {
  const struct invocation *invocation;
  const struct policy *policy;
  struct watch *watch;
  struct event_log *log;
  const char **paths; /* by wire */
  struct merge merge;
  uint64_t alerts;
  bool found; /* something of severity warning or critical */
  bool write_failed;
};

static void tell(void *context, struct event *event, const struct timezone *timezone) {
  struct replay *replay = context;
  if (event->id[0] == '\0')
    snprintf(event->id, sizeof event->id, "replay-%llu", (unsigned long long)++replay->alerts);
  replay->found = replay->found || event->severity <= EVENT_WARNING;
  if (event_log_write(replay->log, event, timezone) < 0)
    replay->write_failed = true;
}

/* ---- the command line ---- */

/* Splits "ZONE=REST"; NULL when there is no such zone. */
static const char *split(const struct replay *replay, const char *argument, char **ret_zone) {
  const char *equals = strchr(argument, '=');
  if (equals == NULL || equals[1] == '\0')
    return NULL;
  char *zone = arena_strndup(replay->invocation->arena, argument, (size_t)(equals - argument));
  if (zone == NULL || policy_find_zone(replay->policy, zone) < 0)
    return NULL;
  *ret_zone = zone;
  return equals + 1;
}

static int add_wires(struct replay *replay) {
  const struct invocation *invocation = replay->invocation;
  if (invocation->argument_count > WATCH_WIRES)
    return invocation_usage(invocation, "ファイルは %d 個までです", "at most %d files", WATCH_WIRES);
  replay->merge.count = invocation->argument_count;
  replay->merge.sources = ARENA_ARRAY(invocation->arena, invocation->argument_count, struct merge_source);
  replay->paths = ARENA_ARRAY(invocation->arena, invocation->argument_count, const char *);
  if (replay->merge.sources == NULL || replay->paths == NULL)
    return EXIT_CODE_NO_ANSWER;
  for (size_t i = 0; i < invocation->argument_count; i++) {
    char *zone = NULL;
    replay->paths[i] = split(replay, invocation->arguments[i], &zone);
    if (replay->paths[i] == NULL)
      return invocation_usage(invocation, "「%s」は 領域=ファイル の形でないか、その領域がポリシーにありません",
                              "'%s' is not ZONE=FILE, or the policy has no such zone", invocation->arguments[i]);
    const char *slash = strrchr(replay->paths[i], '/');
    if (watch_add_wire(replay->watch, slash != NULL ? slash + 1 : replay->paths[i], zone) < 0)
      return EXIT_CODE_NO_ANSWER;
  }
  return EXIT_CODE_YES;
}

static bool is_of_zone(const struct replay *replay, size_t wire, const char *zone) {
  size_t length = strlen(zone);
  return strncmp(replay->invocation->arguments[wire], zone, length) == 0 &&
         replay->invocation->arguments[wire][length] == '=';
}

static int add_gateway_macs(struct replay *replay) {
  const char *argument;
  for (size_t n = 0; (argument = invocation_value_at(replay->invocation, "gateway-mac", n)) != NULL; n++) {
    char *zone;
    struct mac mac;
    const char *text = split(replay, argument, &zone);
    if (text == NULL || !mac_parse(text, &mac))
      return invocation_usage(replay->invocation, "--gateway-mac は 領域=MAC で、「%s」ではありません",
                              "--gateway-mac is ZONE=MAC, not '%s'", argument);
    for (size_t wire = 0; wire < replay->merge.count; wire++)
      if (is_of_zone(replay, wire, zone))
        watch_add_gateway_mac(replay->watch, (int)wire, &mac);
  }
  return EXIT_CODE_YES;
}

/* Whether somebody said which MAC is the gateway's on every wire. */
static bool knows_gateway(const struct replay *replay) {
  const char *argument;
  for (size_t wire = 0; wire < replay->merge.count; wire++) {
    bool known = false;
    for (size_t n = 0; (argument = invocation_value_at(replay->invocation, "gateway-mac", n)) != NULL; n++) {
      char *zone;
      known = known || (split(replay, argument, &zone) != NULL && is_of_zone(replay, wire, zone));
    }
    if (!known)
      return false;
  }
  return true;
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
    if (capture_open_file(replay->paths[i], &replay->merge.sources[i].capture, &error) < 0)
      return complain(replay, &error);
  }
  return EXIT_CODE_YES;
}

static int learn(struct replay *replay) {
  struct learning *learning = learning_new(replay->watch);
  struct captured_frame frame;
  struct error error = {0};
  size_t wire;
  enum capture_step step = CAPTURE_FAILED;
  while (learning != NULL && (step = merge_next(&replay->merge, &wire, &frame, &error)) == CAPTURE_FRAME)
    learning_frame(learning, (int)wire, &frame);
  if (learning != NULL)
    learning_finish(learning);
  learning_free(learning);
  return step == CAPTURE_FAILED ? complain(replay, &error) : open_files(replay);
}

static int judge(struct replay *replay) {
  struct captured_frame frame;
  struct error error = {0};
  size_t wire;
  enum capture_step step;
  int64_t last = 0;
  while ((step = merge_next(&replay->merge, &wire, &frame, &error)) == CAPTURE_FRAME) {
    watch_frame(replay->watch, (int)wire, &frame);
    last = frame.time > last ? frame.time : last;
  }
  watch_finish(replay->watch, last);
  if (step == CAPTURE_FAILED)
    return complain(replay, &error);
  if (replay->write_failed) {
    invocation_complain(replay->invocation, "事象を書き出せません", "the events could not be written");
    return EXIT_CODE_NO_ANSWER;
  }
  return replay->found ? EXIT_CODE_NO : EXIT_CODE_YES;
}

static int run(struct replay *replay) {
  int code = add_wires(replay);
  if (code == EXIT_CODE_YES)
    code = add_gateway_macs(replay);
  if (code == EXIT_CODE_YES)
    code = add_gateway_addresses(replay);
  if (code == EXIT_CODE_YES)
    code = open_files(replay);
  if (code == EXIT_CODE_YES && !knows_gateway(replay))
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
