/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/sentry.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernel/standing.h"
#include "kernel/system.h"

struct sentry {
  const char *table;
  int fd;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool busy, ended, closed; /* under the lock */
};

enum { LOOK_NANOSECONDS = 1000 * 1000, SECOND_NANOSECONDS = 1000 * 1000 * 1000 };

/* Waits until kidod was busy for so long; false when there is nothing more to watch. The lock is held. */
static bool wait_for_turn(struct sentry *sentry) {
  while (!sentry->busy && !sentry->ended) {
    pthread_cond_wait(&sentry->changed, &sentry->lock);
  }
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += LOOK_NANOSECONDS;
  if (until.tv_nsec >= SECOND_NANOSECONDS) {
    until.tv_sec++;
    until.tv_nsec -= SECOND_NANOSECONDS;
  }
  int result = 0;
  while (result == 0 && sentry->busy && !sentry->ended) {
    result = pthread_cond_timedwait(&sentry->changed, &sentry->lock, &until);
  }
  return !sentry->ended;
}

/* Without the lock: kidod never waits for this. */
static bool close_if_gone(const struct sentry *sentry) {
  struct error ignored = {0};
  if (standing_is(sentry->fd, sentry->table) || !system_forwards()) {
    return false;
  }
  system_set_forwarding(false, &ignored);
  return true;
}

static void *stand_by(void *context) {
  struct sentry *sentry = context;
  pthread_mutex_lock(&sentry->lock);
  while (wait_for_turn(sentry)) {
    if (!sentry->busy) {
      continue;
    }
    pthread_mutex_unlock(&sentry->lock);
    bool closed = close_if_gone(sentry);
    pthread_mutex_lock(&sentry->lock);
    sentry->closed = sentry->closed || closed;
  }
  pthread_mutex_unlock(&sentry->lock);
  return NULL;
}

static int make_signals(struct sentry *sentry) {
  pthread_condattr_t attributes;
  int code = pthread_mutex_init(&sentry->lock, NULL);
  if (code == 0) {
    code = pthread_condattr_init(&attributes);
  }
  if (code == 0) {
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    code = pthread_cond_init(&sentry->changed, &attributes);
    pthread_condattr_destroy(&attributes);
  }
  return -code;
}

/* All signals are for the main thread. */
static int make_thread(struct sentry *sentry) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int code = pthread_create(&sentry->thread, NULL, stand_by, sentry);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return -code;
}

int sentry_start(const char *table, struct sentry **ret_sentry, struct error *error) {
  struct sentry *sentry = calloc(1, sizeof *sentry);
  if (!sentry) {
    return error_set(error, ENOMEM, "no memory");
  }
  sentry->table = table;
  sentry->busy = true;
  int result = standing_open(&sentry->fd, error);
  if (result < 0) {
    free(sentry);
    return result;
  }
  result = make_signals(sentry);
  if (result == 0) {
    result = make_thread(sentry);
  }
  if (result < 0) {
    close(sentry->fd);
    free(sentry);
    return error_set(error, -result, "the thread that stands by: %s", strerror(-result));
  }
  *ret_sentry = sentry;
  return 0;
}

static void say(struct sentry *sentry, bool busy, bool ended) {
  pthread_mutex_lock(&sentry->lock);
  bool wakes = busy || ended;
  sentry->busy = busy;
  sentry->ended = ended;
  if (wakes) {
    pthread_cond_signal(&sentry->changed);
  }
  pthread_mutex_unlock(&sentry->lock);
}

void sentry_busy(struct sentry *sentry) {
  if (sentry) {
    say(sentry, true, false);
  }
}

void sentry_idle(struct sentry *sentry) {
  if (sentry) {
    say(sentry, false, false);
  }
}

bool sentry_has_closed(struct sentry *sentry) {
  bool closed = false;
  if (sentry) {
    pthread_mutex_lock(&sentry->lock);
    closed = sentry->closed;
    sentry->closed = false;
    pthread_mutex_unlock(&sentry->lock);
  }
  return closed;
}

struct sentry *sentry_stop(struct sentry *sentry) {
  if (sentry) {
    say(sentry, false, true);
    pthread_join(sentry->thread, NULL);
    pthread_cond_destroy(&sentry->changed);
    pthread_mutex_destroy(&sentry->lock);
    close(sentry->fd);
    free(sentry);
  }
  return NULL;
}
