/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/proof_print.h"
#include "cli/proof_subject.h"
#include "cli/ruleset_input.h"
#include "control/keep.h"
#include "control/proof_json.h"
#include "control/proof_material.h"
#include "control/sweeping.h"
#include "kernel/snapshot.h"
#include "rules/compile.h"

/*
 * Theory of operation. The policy and the kernel are read by this process itself, so that it answers also when kidod is
 * dead or lies. While it reads, kidod may load another policy, or time may end a flow: a difference counts only when
 * neither kidod nor the kernel's generation moved meanwhile, else everything is read again. "Proven" needs no second
 * look: it is about the generation that was read.
 */
enum { ROUND_LIMIT = 6, PAUSE_NANOSECONDS = 200000000 };

static const size_t memory_limit = (size_t)4 << 30;

struct verification {
  const struct invocation *invocation;
  struct proof_subject subject;
  struct proof_material material;
  struct arena *arena;    /* of the material and the proof */
  const char *file;       /* --ruleset; NULL: the kernel */
  struct address_set own; /* offline: what the recording takes for the gateway's addresses */
  bool offline, closed;
  struct instant now;
  struct proof proof;
  bool proven_once; /* proof holds something */
  struct error error;
  struct timespec began;
};

/* ---- patience ---- */

static void say_in_japanese(int number) {
  static const char text[] = "証明しています ...\n";
  (void)number;
  (void)!write(STDERR_FILENO, text, sizeof text - 1);
}

static void say_in_english(int number) {
  static const char text[] = "proving ...\n";
  (void)number;
  (void)!write(STDERR_FILENO, text, sizeof text - 1);
}

/* One word on a terminal when it takes longer than a second. */
static void promise_progress(const struct invocation *invocation) {
  if (!invocation->json && isatty(STDERR_FILENO) == 1) {
    signal(SIGALRM, invocation->language == LANGUAGE_JAPANESE ? say_in_japanese : say_in_english);
    alarm(1);
  }
}

static uint64_t milliseconds_since(const struct timespec *began) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)((now.tv_sec - began->tv_sec) * 1000 + (now.tv_nsec - began->tv_nsec) / 1000000);
}

static int record(struct verification *verification, const char *path) {
  const uint8_t *bytes;
  size_t length;
  if (snapshot_write(&verification->material.snapshot, verification->arena, &bytes, &length) < 0) {
    return error_set(&verification->error, ENOMEM, "no memory");
  }
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  int result = fd < 0 ? -errno : keep_write_all(fd, (const char *)bytes, length);
  if (fd >= 0 && close(fd) < 0 && result == 0) {
    result = -errno;
  }
  return result < 0 ? error_set(&verification->error, -result, "%s: %s", path, strerror(-result)) : 0;
}

/* ---- one round ---- */

/* A recording does not say which addresses the gateway had. What its rules take for such is assumed: the sets own4 and
 * own6, empty in what `kido compile` prints. */
static int assume_own(struct verification *verification) {
  static const struct {
    const char *name;
    enum address_family family;
  } sets[] = {{"own4", FAMILY_IPV4}, {"own6", FAMILY_IPV6}};
  const struct live_table *table = live_find_table(verification->material.ruleset, NFPROTO_INET, "kido");
  struct address_range *ranges = NULL;
  void *items = NULL;
  size_t count = 0, capacity = 0;
  for (size_t i = 0; table && i < sizeof sets / sizeof sets[0]; i++) {
    const struct live_set *set = live_find_set(table, sets[i].name);
    for (size_t j = 0; set && set->key_length == address_length(sets[i].family) && j < set->element_count; j++) {
      if (arena_grow(verification->arena, &items, count, &capacity, sizeof *ranges) < 0) {
        return -ENOMEM;
      }
      ranges = items;
      ranges[count] = (struct address_range){.first.family = sets[i].family, .last.family = sets[i].family};
      memcpy(ranges[count].first.bytes, set->elements[j].first, set->key_length);
      memcpy(ranges[count++].last.bytes, set->elements[j].last, set->key_length);
    }
  }
  return address_set_build(verification->arena, ranges, count, &verification->own);
}

static int take(struct verification *verification) {
  static const struct surroundings unknown = {.known = false};
  verification->arena = arena_free(verification->arena);
  verification->arena = arena_new(memory_limit);
  verification->material = (struct proof_material){.surroundings = &unknown};
  if (!verification->arena) {
    return error_set(&verification->error, ENOMEM, "no memory");
  }
  int result = verification->offline
                   ? ruleset_input_take(verification->file,
                                        verification->invocation->now_given ? &verification->invocation->now : NULL,
                                        verification->arena, &verification->material.snapshot, &verification->error)
                   : proof_material_take(verification->arena, &verification->material, &verification->error);
  if (result == 0) {
    result = proof_material_decode(&verification->material, verification->arena, &verification->error);
  }
  if (result == 0 && verification->offline) {
    result = assume_own(verification);
  }
  verification->now = verification->invocation->now_given
                          ? verification->invocation->now
                          : (struct instant){verification->material.snapshot.taken_at / 1000};
  return result;
}

static int judge_as(struct verification *verification, bool closed) {
  uint32_t *identities;
  if (flow_marks(verification->subject.policy, verification->arena, &identities) < 0) {
    return error_set(&verification->error, ENOMEM, "no memory for the proof");
  }
  struct proof_question question = {.policy = verification->subject.policy,
                                    .restrictions = verification->subject.restrictions,
                                    .own = verification->offline ? &verification->own : NULL,
                                    .ruleset = verification->material.ruleset,
                                    .identities = identities,
                                    .surroundings = verification->material.surroundings,
                                    .gate_closed = closed};
  verification->closed = closed;
  int result = prove(&question, verification->now, verification->arena, &verification->proof, &verification->error);
  verification->proven_once = result == 0;
  return result == -ENOMEM ? error_set(&verification->error, ENOMEM, "no memory for the proof") : result;
}

static bool forwards(const struct surroundings *surroundings) {
  return surroundings->known && (surroundings->forwarding4 || surroundings->forwarding6);
}

/* Without kidod nobody says whether it closed the gate when it ended. A gate that it closed does not forward. */
static int judge(struct verification *verification) {
  int result = judge_as(verification, verification->subject.gate_closed);
  if (result < 0 || verification->proof.result != PROOF_REFUTED || !verification->subject.may_be_closed ||
      forwards(verification->material.surroundings)) {
    return result;
  }
  struct proof open = verification->proof;
  result = judge_as(verification, true);
  if (result == 0 && verification->proof.result != PROOF_PROVEN) {
    verification->proof = open;
    verification->closed = false;
  }
  return result;
}

static bool kernel_moved(const struct verification *verification) {
  struct arena *arena = arena_new(memory_limit);
  struct snapshot again = {.generation = 0};
  struct error error = {0};
  bool moved = !arena || snapshot_take(arena, &again, &error) < 0 ||
               again.generation != verification->material.snapshot.generation;
  arena_free(arena);
  return moved;
}

static bool must_look_again(const struct verification *verification) {
  return !verification->offline && verification->proof.result != PROOF_PROVEN &&
         (!proof_subject_stands(verification->invocation, &verification->subject) || kernel_moved(verification));
}

static int look(struct verification *verification, int *ret_code) {
  static const struct timespec pause = {.tv_nsec = PAUSE_NANOSECONDS};
  for (int round = 0; round < ROUND_LIMIT; round++) {
    if (round > 0) {
      nanosleep(&pause, NULL);
    }
    proof_subject_release(&verification->subject);
    *ret_code = proof_subject_find(verification->invocation, &verification->subject);
    if (*ret_code != EXIT_CODE_YES) {
      return 0;
    }
    int result = take(verification);
    if (result == 0) {
      result = judge(verification);
    }
    if (result < 0 || !must_look_again(verification)) {
      return result;
    }
  }
  verification->proven_once = false;
  return error_set(
      &verification->error, EAGAIN, "%s",
      language_choose(verification->invocation->language, "ルールが変わり続けています", "the rules keep changing"));
}

/* ---- the answer ---- */

static const char *explain(const struct verification *verification) {
  enum language language = verification->invocation->language;
  if (!verification->proven_once) {
    return verification->error.message;
  }
  if (verification->proof.result == PROOF_REFUTED && verification->subject.was_on_trial) {
    return language_choose(
        language,
        "kidod は試行中に終わりました。試したポリシーの分は、期限にカーネルが終わらせます。"
        "試したファイルを --policy で指定すると、それと比べます",
        "kidod ended during a trial; the kernel ends by itself what only the trial allowed. Name the "
        "file that was tried with --policy to compare with it");
  }
  return NULL;
}

/* Live connections that the policy would not create now: told beside the proof, which is about what may open one. */
static void add_connections(const struct verification *verification, json_t *object) {
  const struct sweep_question question = {.policy = verification->subject.policy,
                                          .restrictions = verification->subject.restrictions,
                                          .own = &verification->material.surroundings->own,
                                          .now = verification->now};
  struct sweeping sweeping;
  struct error error = {0};
  bool looked = object && !verification->offline && verification->proven_once &&
                sweeping_take(&question, verification->arena, &sweeping, &error) == 0;
  json_object_set_new(object, "connections",
                      looked ? sweeping_to_json(&sweeping, verification->subject.policy) : json_null());
}

static int answer(const struct verification *verification) {
  const struct invocation *invocation = verification->invocation;
  bool read = verification->material.ruleset != NULL;
  struct proof_view view = {.policy = verification->subject.policy,
                            .restrictions = verification->subject.restrictions,
                            .source = verification->subject.source,
                            .snapshot = read ? &verification->material.snapshot : NULL,
                            .proof = verification->proven_once ? &verification->proof : NULL,
                            .message = explain(verification),
                            .now = verification->now,
                            .gate_closed = verification->closed,
                            .offline = verification->offline,
                            .milliseconds = milliseconds_since(&verification->began),
                            .language = invocation->language_forced ? invocation->language
                                                                    : verification->subject.policy->header.language};
  json_t *object = verification->arena ? proof_to_json(&view, verification->arena) : NULL;
  int code = proof_exit_code(object);
  add_connections(verification, object);
  if (!invocation->json && object) {
    proof_print(stdout, invocation, object, invocation->colour_output);
    json_decref(object);
    return invocation_finish(invocation, code);
  }
  return invocation_print_json(invocation, object, code);
}

static int verify(struct verification *verification) {
  const struct invocation *invocation = verification->invocation;
  const char *path = invocation_value(invocation, "record");
  int code = EXIT_CODE_NO_ANSWER;
  int result = look(verification, &code);
  if (code != EXIT_CODE_YES) {
    return code;
  }
  if (result < 0 && !invocation->json) {
    invocation_complain(invocation, "証明できません: %s", "could not prove: %s", verification->error.message);
    return EXIT_CODE_NO_ANSWER;
  }
  if (result == 0 && path && record(verification, path) < 0) {
    invocation_complain(invocation, "記録できません: %s", "cannot record: %s", verification->error.message);
    return EXIT_CODE_NO_ANSWER;
  }
  return answer(verification);
}

int verb_verify(const struct invocation *invocation) {
  struct verification verification = {.invocation = invocation, .file = invocation_value(invocation, "ruleset")};
  verification.offline = verification.file != NULL;
  clock_gettime(CLOCK_MONOTONIC, &verification.began);
  promise_progress(invocation);
  int code = verify(&verification);
  arena_free(verification.arena);
  proof_subject_release(&verification.subject);
  return code;
}
