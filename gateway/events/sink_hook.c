/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program of the operator's, for mail or a lamp: once when something begins and once when it ends, not for what is
 * said in between. It gets the record on standard input and the most important keys in its environment. One at a time;
 * one that does not end is killed. What failed is tried again until it is a day old.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "events/courier.h"

enum { AGE_SECONDS = 86400, VARIABLE_SIZE = 512 };

struct hook_sink {
  const struct hook_settings *settings;
};

static void *open_sink(const struct courier_job *job, struct error *error) {
  struct hook_sink *sink = calloc(1, sizeof *sink);
  if (sink == NULL) {
    error_set(error, ENOMEM, "no memory");
    return NULL;
  }
  sink->settings = &job->settings->hook;
  return sink;
}

static const char *text_of(const json_t *record, const char *key) {
  const char *text = json_string_value(json_object_get(record, key));
  return text != NULL ? text : "";
}

/* The id ends with the sequence of the first record of its cause. */
static bool is_first(const json_t *record) {
  const char *id = text_of(record, "id"), *dash = strrchr(id, '-');
  return dash != NULL &&
         strtoull(dash + 1, NULL, 10) == (uint64_t)json_integer_value(json_object_get(record, "sequence"));
}

static bool is_wanted(const struct hook_sink *sink, const json_t *record) {
  enum event_severity severity = EVENT_INFO;
  event_severity_parse(text_of(record, "severity"), &severity);
  return severity <= sink->settings->least &&
         (is_first(record) || !json_is_true(json_object_get(record, "still_going")));
}

static bool is_too_old(const json_t *record) {
  return event_time_parse(text_of(record, "time")) / 1000000 < (int64_t)time(NULL) - AGE_SECONDS;
}

/* ---- running it ---- */

struct environment {
  char kind[VARIABLE_SIZE], severity[VARIABLE_SIZE], id[VARIABLE_SIZE], going[VARIABLE_SIZE];
  char path[64], locale[32];
  char *variables[7]; /* ends with NULL */
};

static void fill(struct environment *environment, const json_t *record) {
  snprintf(environment->kind, VARIABLE_SIZE, "KIDO_KIND=%s", text_of(record, "kind"));
  snprintf(environment->severity, VARIABLE_SIZE, "KIDO_SEVERITY=%s", text_of(record, "severity"));
  snprintf(environment->id, VARIABLE_SIZE, "KIDO_ID=%s", text_of(record, "id"));
  snprintf(environment->going, VARIABLE_SIZE, "KIDO_STILL_GOING=%d",
           json_is_true(json_object_get(record, "still_going")));
  snprintf(environment->path, sizeof environment->path, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
  snprintf(environment->locale, sizeof environment->locale, "LC_ALL=C.UTF-8");
  char *variables[] = {environment->kind,  environment->severity, environment->id,
                       environment->going, environment->path,     environment->locale};
  memcpy(environment->variables, variables, sizeof variables);
}

/* The record with its newline, in a file that the program reads; a pipe could block us. */
static int input_of(const struct event_text *text) {
  int file = (int)syscall(SYS_memfd_create, "event", 1U /* MFD_CLOEXEC */);
  if (file < 0)
    return -errno;
  if (write(file, text->text, text->length) != (ssize_t)text->length || write(file, "\n", 1) != 1 ||
      lseek(file, 0, SEEK_SET) < 0) {
    close(file);
    return -EIO;
  }
  return file;
}

static void prepare_signals(posix_spawnattr_t *attributes) {
  sigset_t all, none;
  sigemptyset(&none);
  sigfillset(&all);
  sigdelset(&all, SIGKILL);
  sigdelset(&all, SIGSTOP);
  posix_spawnattr_setsigdefault(attributes, &all);
  posix_spawnattr_setsigmask(attributes, &none);
  posix_spawnattr_setpgroup(attributes, 0);
  posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
}

static int start(const char *program, struct environment *environment, int input, pid_t *ret_pid) {
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_init(&actions);
  prepare_signals(&attributes);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  char *arguments[] = {strdup(program), NULL};
  int result = arguments[0] != NULL
                   ? posix_spawn(ret_pid, program, &actions, &attributes, arguments, environment->variables)
                   : ENOMEM;
  free(arguments[0]);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return -result;
}

/* Kills it, with its children, when its time is up. */
static int wait_for(pid_t pid, unsigned seconds, bool *ret_late) {
  int handle = (int)syscall(SYS_pidfd_open, pid, 0U);
  struct pollfd wait = {.fd = handle, .events = POLLIN};
  int status = 0;
  *ret_late = handle >= 0 && poll(&wait, 1, (int)seconds * 1000) == 0;
  if (*ret_late)
    kill(-pid, SIGKILL);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (handle >= 0)
    close(handle);
  return status;
}

static int run(const struct hook_sink *sink, const json_t *record, const struct event_text *text, struct error *error) {
  const char *program = sink->settings->program;
  struct environment environment = {.variables = {NULL}};
  fill(&environment, record);
  pid_t pid = -1;
  int input = input_of(text);
  int result = input < 0 ? input : start(program, &environment, input, &pid);
  if (input >= 0)
    close(input);
  if (result < 0)
    return error_set(error, -result, "%s: %s", program, strerror(-result));
  bool late;
  int status = wait_for(pid, sink->settings->seconds, &late);
  if (late)
    return error_set(error, ETIMEDOUT, "%s: did not end within %u s and was killed", program, sink->settings->seconds);
  if (WIFSIGNALED(status))
    return error_set(error, EIO, "%s: ended by signal %d", program, WTERMSIG(status));
  return WEXITSTATUS(status) == 0 ? 0 : error_set(error, EIO, "%s: exit code %d", program, WEXITSTATUS(status));
}

static int deliver(void *state, const struct event_text *text, struct error *error) {
  const struct hook_sink *sink = state;
  json_t *record = json_loadb(text->text, text->length, 0, NULL);
  int result = 0;
  if (record != NULL && is_wanted(sink, record))
    result = is_too_old(record) ? SINK_TOO_OLD : run(sink, record, text, error);
  json_decref(record);
  return result;
}

const struct sink SINK_HOOK = {.name = "hook", .open = open_sink, .close = free, .deliver = deliver};
