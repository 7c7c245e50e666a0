/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/proof_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "control/child.h"
#include "control/keep.h"
#include "control/message.h"
#include "control/privilege.h"
#include "control/proof_json.h"
#include "control/proof_material.h"
#include "rules/compile.h"

enum { REPORT_LIMIT = 16 * 1024 * 1024, GIVE_WAY = 10 };

static const size_t memory_limit = (size_t)2 << 30;

/* ---- in the child ---- */

static uint64_t milliseconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int make_proof(const struct proof_job *job, struct proof_material *material, struct arena *arena,
                      struct proof *ret_proof, struct error *error) {
  int result = proof_material_take(arena, material, error);
  if (result == 0) {
    result = privilege_drop_all(error);
  }
  if (result == 0) {
    result = proof_material_decode(material, arena, error);
  }
  if (result < 0) {
    return result;
  }
  uint32_t *identities;
  if (flow_marks(job->policy, arena, &identities) < 0) {
    return error_set(error, ENOMEM, "no memory for the proof");
  }
  struct proof_question question = {.policy = job->policy,
                                    .restrictions = job->restrictions,
                                    .ruleset = material->ruleset,
                                    .surroundings = material->surroundings,
                                    .identities = identities,
                                    .gate_closed = job->gate_closed};
  struct instant now = {material->snapshot.taken_at / 1000};
  return prove(&question, now, arena, ret_proof, error);
}

static int write_report(int fd, const struct proof_view *view, struct arena *arena) {
  json_t *answer = proof_to_json(view, arena);
  char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
  int result = text ? keep_write_all(fd, text, strlen(text)) : -ENOMEM;
  free(text);
  json_decref(answer);
  return result;
}

static int run_child(const struct proof_job *job, int report_fd) {
  uint64_t began = milliseconds_now();
  struct arena *arena = arena_new(memory_limit);
  struct proof_material material = {.ruleset = NULL};
  struct proof proof;
  struct error error = {0};
  if (!arena) {
    return EXIT_FAILURE;
  }
  int result = make_proof(job, &material, arena, &proof, &error);
  struct proof_view view = {.policy = job->policy,
                            .restrictions = job->restrictions,
                            .source = "published",
                            .snapshot = material.surroundings ? &material.snapshot : NULL,
                            .proof = result == 0 ? &proof : NULL,
                            .message = result == 0                ? NULL
                                       : error.message[0] != '\0' ? error.message
                                                                  : strerror(-result),
                            .now = {material.snapshot.taken_at / 1000},
                            .gate_closed = job->gate_closed,
                            .milliseconds = milliseconds_now() - began,
                            .language = job->language};
  return write_report(report_fd, &view, arena) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* When memory is short the prover goes, and not kidod, whose place in that order it has by the fork. */
static void offer_to_oom(void) {
  static const char first[] = "500";
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd >= 0) {
    (void)!write(fd, first, sizeof first - 1);
    close(fd);
  }
}

static void limit_child(const struct proof_job *job) {
  const struct rlimit report = {REPORT_LIMIT, REPORT_LIMIT};
  (void)setrlimit(RLIMIT_FSIZE, &report);
  offer_to_oom();
  if (!job->waited_for) {
    (void)setpriority(PRIO_PROCESS, 0, GIVE_WAY);
  }
}

/* ---- in kidod ---- */

static void close_worker(struct proof_worker *worker) {
  if (worker->report_fd >= 0) {
    close(worker->report_fd);
  }
  *worker = (struct proof_worker){.pid = -1, .report_fd = -1};
}

int proof_worker_start(const struct proof_job *job, struct proof_worker *ret_worker, struct error *error) {
  struct proof_worker worker = {.pid = -1, .report_fd = memfd_create("proof", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (worker.report_fd >= 0) {
    worker.pid = fork();
  }
  if (worker.pid < 0) {
    int code = errno;
    close_worker(&worker);
    return error_set(error, code, "the prover cannot be started: %s", strerror(code));
  }
  if (worker.pid == 0) {
    child_detach(&worker.report_fd, 1);
    limit_child(job);
    _exit(run_child(job, worker.report_fd));
  }
  *ret_worker = worker;
  return 0;
}

static json_t *load_report(const struct proof_worker *worker) {
  char *text;
  size_t size;
  struct arena *arena = arena_new(0);
  json_t *report = NULL;
  if (arena && memfd_seal(worker->report_fd) == 0 &&
      sealed_read(worker->report_fd, REPORT_LIMIT, arena, &text, &size, NULL) == 0) {
    report = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
  }
  arena_free(arena);
  return report;
}

/* It is believed in what it says of the proof, and in nothing else. */
static bool is_answer(const json_t *report) {
  const char *result = json_string_value(json_object_get(report, "result"));
  const char *schema = json_string_value(json_object_get(report, "schema"));
  return result && schema && strcmp(schema, "kido.verify/1") == 0 &&
         (strcmp(result, "proven") == 0 || strcmp(result, "refuted") == 0 || strcmp(result, "undecided") == 0);
}

static void describe_end(int wait_status, enum language language, char text[static 160]) {
  if (WIFSIGNALED(wait_status) &&
      (WTERMSIG(wait_status) == SIGALRM || WTERMSIG(wait_status) == SIGXCPU || WTERMSIG(wait_status) == SIGKILL)) {
    snprintf(text, 160, "%s", language_choose(language, "証明に時間がかかりすぎました", "the proof took too long"));
  } else if (WIFSIGNALED(wait_status)) {
    snprintf(
        text, 160,
        language_choose(language, "証明するプロセスがシグナル %d で終わりました", "the prover was ended by signal %d"),
        WTERMSIG(wait_status));
  } else {
    snprintf(text, 160, "%s",
             language_choose(language, "証明するプロセスが答えませんでした", "the prover gave no answer"));
  }
}

json_t *proof_worker_answer_for_none(const struct proof_job *job, const char *why) {
  struct arena *arena = arena_new(0);
  struct proof_view view = {.policy = job->policy,
                            .restrictions = job->restrictions,
                            .source = "published",
                            .message = why,
                            .now = {time(NULL)},
                            .gate_closed = job->gate_closed,
                            .language = job->language};
  json_t *answer = arena ? proof_to_json(&view, arena) : NULL;
  arena_free(arena);
  return answer;
}

json_t *proof_worker_finish(struct proof_worker *worker, int wait_status, const struct proof_job *job) {
  bool ended = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == EXIT_SUCCESS;
  json_t *report = ended ? load_report(worker) : NULL;
  char text[160];
  close_worker(worker);
  if (is_answer(report)) {
    return report;
  }
  json_decref(report);
  describe_end(wait_status, job->language, text);
  return proof_worker_answer_for_none(job, text);
}

void proof_worker_end(struct proof_worker *worker) {
  if (worker->pid > 0) {
    kill(worker->pid, SIGKILL);
    while (waitpid(worker->pid, NULL, 0) < 0 && errno == EINTR) {
    }
  }
  close_worker(worker);
}
