/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scribe itself only starts couriers, and starts them again when they die. It and they end when the daemon's end of
 * the socket for notes is closed, which the kernel does whatever the daemon dies of; signals to the whole process group
 * are not for them. A lock in the state directory keeps the scribes of a daemon and of its successor apart.
 */
#include "events/scribe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/identity.h"
#include "events/courier.h"
#include "events/note.h"

enum { SINKS = 4, PATIENCE_SECONDS = 5, PATH_SIZE = 4096, LOCK_MODE = 0640, EVIDENCE_QUEUE = 1024 * 1024 };

#define MEBIBYTE (1024 * UINT64_C(1024))

struct scribe {
  pid_t pid;
  int notes, evidence; /* the daemon's ends; evidence -1: none is kept */
};

struct scribe_settings scribe_settings_defaults(void) {
  return (struct scribe_settings){.log_bytes = 1024 * MEBIBYTE,
                                  .log_days = 400,
                                  .syslog.heartbeat = 60,
                                  .hook.least = EVENT_WARNING,
                                  .hook.seconds = 30,
                                  .evidence = {EVIDENCE_HEADERS, 64 * MEBIBYTE, 20},
                                  .user = (uid_t)-1,
                                  .group = (gid_t)-1};
}

/* ---- the child ---- */

/* Nothing of the daemon is left in it but its two sockets and standard error. */
static void leave_descriptors(int notes, int evidence) {
  int least = notes < evidence || evidence < 0 ? notes : evidence, most = notes > evidence ? notes : evidence;
  int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing >= 0) {
    dup2(nothing, STDIN_FILENO);
    dup2(nothing, STDOUT_FILENO);
  }
  if (least > STDERR_FILENO + 1)
    close_range(STDERR_FILENO + 1, (unsigned)least - 1, 0);
  if (most > least + 1)
    close_range((unsigned)least + 1, (unsigned)most - 1, 0);
  close_range((unsigned)most + 1, ~0U, 0);
}

/* The files are those of the daemon's user: so must the scribe be. */
static void step_down(const struct scribe_settings *settings) {
  struct error ignored = {0};
  if (settings->user != (uid_t)-1 && identity_step_down(settings->user, settings->group, NULL, &ignored) < 0)
    _exit(EXIT_FAILURE);
}

static void leave_rights(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  syscall(SYS_capset, &header, none);
}

static void leave_signals(void) {
  static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2};
  sigset_t none;
  for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
    signal(ignored[i], SIG_IGN);
  signal(SIGCHLD, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Waits for the couriers of a daemon that was killed, but not for ever. */
static void wait_for_predecessor(const struct courier_job *job) {
  static const struct timespec pause = {.tv_nsec = 100000000};
  char path[PATH_SIZE];
  snprintf(path, sizeof path, "%s/.%s-scribe.lock", job->state_directory, job->daemon);
  int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, LOCK_MODE);
  for (unsigned i = 0; lock >= 0 && i < 20 * PATIENCE_SECONDS && flock(lock, LOCK_EX | LOCK_NB) < 0; i++)
    nanosleep(&pause, NULL);
}

static size_t choose_sinks(const struct scribe_settings *settings, const struct sink *sinks[static SINKS]) {
  size_t count = 0;
  sinks[count++] = &SINK_STORE;
  if (settings->syslog.transport != SYSLOG_NONE)
    sinks[count++] = &SINK_SYSLOG;
  if (settings->journal)
    sinks[count++] = &SINK_JOURNAL;
  if (settings->hook.program != NULL)
    sinks[count++] = &SINK_HOOK;
  return count;
}

static pid_t start_courier(const struct courier_job *job, const struct sink *sink) {
  pid_t pid = fork();
  if (pid != 0)
    return pid;
  char name[16];
  snprintf(name, sizeof name, "%.7s-%.7s", job->daemon, sink->name);
  prctl(PR_SET_NAME, name, 0, 0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  _exit(courier_run(job, sink));
}

static bool has_ended(int notes) {
  struct pollfd look = {.fd = notes};
  return poll(&look, 1, 0) > 0 && (look.revents & (POLLHUP | POLLERR)) != 0;
}

/* A courier that died although the daemon lives: told, and started again after a second. */
static pid_t replace(const struct courier_job *job, const struct sink *sink, int status) {
  static const struct timespec pause = {.tv_sec = 1};
  char message[80];
  if (has_ended(job->notes) || (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS))
    return -1;
  snprintf(message, sizeof message, "its courier died (%s %d)", WIFSIGNALED(status) ? "signal" : "exit code",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  courier_note(job, sink, SCRIBE_FAILS, 0, message);
  nanosleep(&pause, NULL);
  pid_t pid = start_courier(job, sink);
  if (pid > 0)
    courier_note(job, sink, SCRIBE_WORKS, 0, "");
  return pid;
}

static int look_after(const struct courier_job *job) {
  const struct sink *sinks[SINKS];
  pid_t couriers[SINKS];
  size_t count = choose_sinks(job->settings, sinks);
  for (size_t i = 0; i < count; i++)
    couriers[i] = start_courier(job, sinks[i]);
  for (;;) {
    int status;
    pid_t pid = waitpid(-1, &status, 0);
    if (pid < 0 && errno != EINTR)
      return EXIT_SUCCESS; /* all are done */
    for (size_t i = 0; i < count; i++)
      if (pid > 0 && couriers[i] == pid)
        couriers[i] = replace(job, sinks[i], status);
  }
}

static int run_scribe(const struct courier_job *given) {
  struct courier_job complete = *given, *job = &complete;
  char name[16];
  struct chain_key key;
  struct error error = {0};
  snprintf(name, sizeof name, "%.8s-scribe", job->daemon);
  prctl(PR_SET_NAME, name, 0, 0, 0);
  leave_signals();
  leave_descriptors(job->notes, job->evidence);
  step_down(job->settings);
  leave_rights();
  umask(0007);
  wait_for_predecessor(job);
  int directory = event_directory_open(job->state_directory);
  while (directory < 0 || chain_key_load(directory, job->daemon, &key, &error) < 0) {
    static const struct timespec pause = {.tv_sec = 1};
    if (has_ended(job->notes))
      return EXIT_FAILURE;
    note_send(job->notes, "store", SCRIBE_FAILS, 0, error.message);
    nanosleep(&pause, NULL);
  }
  close(directory);
  job->key = &key;
  return look_after(job);
}

/* ---- the daemon ---- */

static int open_pair(int type, int ret_pair[static 2]) {
  return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ret_pair) < 0 ? -errno : 0;
}

static void close_pair(const int pair[static 2]) {
  for (size_t i = 0; i < 2; i++)
    if (pair[i] >= 0)
      close(pair[i]);
}

static int open_pairs(const struct scribe_settings *settings, int notes[static 2], int evidence[static 2]) {
  static const int room = EVIDENCE_QUEUE;
  int result = open_pair(SOCK_SEQPACKET, notes);
  if (result == 0 && settings->evidence.extent != EVIDENCE_NONE)
    result = open_pair(SOCK_SEQPACKET, evidence);
  if (evidence[0] >= 0)
    setsockopt(evidence[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  return result;
}

static int fork_scribe(const struct courier_job *job, pid_t *ret_pid) {
  fflush(NULL);
  pid_t pid = fork();
  if (pid < 0)
    return -errno;
  if (pid == 0)
    _exit(run_scribe(job));
  *ret_pid = pid;
  return 0;
}

int scribe_start(const char *state_directory, const char *daemon, const struct scribe_settings *settings,
                 uint64_t sequence, struct scribe **ret_scribe, struct error *error) {
  int notes[2] = {-1, -1}, evidence[2] = {-1, -1};
  struct scribe *scribe = calloc(1, sizeof *scribe);
  int result = scribe != NULL ? open_pairs(settings, notes, evidence) : -ENOMEM;
  struct courier_job job = {.state_directory = state_directory,
                            .daemon = daemon,
                            .settings = settings,
                            .pid = getpid(),
                            .sequence = sequence,
                            .notes = notes[1],
                            .evidence = evidence[1]};
  if (result == 0)
    result = fork_scribe(&job, &scribe->pid);
  if (result < 0) {
    close_pair(notes);
    close_pair(evidence);
    free(scribe);
    return error_set(error, -result, "the scribe cannot be started: %s", strerror(-result));
  }
  close(notes[1]);
  if (evidence[1] >= 0)
    close(evidence[1]);
  scribe->notes = notes[0];
  scribe->evidence = evidence[0];
  *ret_scribe = scribe;
  return 0;
}

struct scribe *scribe_stop(struct scribe *scribe) {
  static const struct timespec pause = {.tv_nsec = 20000000};
  if (scribe == NULL)
    return NULL;
  close(scribe->notes);
  if (scribe->evidence >= 0)
    close(scribe->evidence);
  for (unsigned i = 0; i < 50 * PATIENCE_SECONDS && waitpid(scribe->pid, NULL, WNOHANG) == 0; i++)
    nanosleep(&pause, NULL);
  free(scribe);
  return NULL;
}

int scribe_descriptor(const struct scribe *scribe) {
  return scribe->notes;
}

int scribe_read(struct scribe *scribe, struct scribe_note *ret_note) {
  return note_receive(scribe->notes, ret_note);
}

int scribe_evidence_descriptor(const struct scribe *scribe) {
  return scribe->evidence;
}
