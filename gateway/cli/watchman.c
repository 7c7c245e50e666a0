/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One thread, one epoll: captures, a clock of 100 ms, signals, the status socket, and kidod's publication when it is
 * followed. Frames go first; everything else is looked at between bundles of them.
 *
 * The policy comes from a file (read again on SIGHUP), or from kidod: PENDING puts a second policy beside the first,
 * IN_FORCE makes it the only one. When kidod goes away the last policy stays, and the connection is tried again.
 */
#include "cli/watchman.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "base/digest.h"
#include "cli/alert_print.h"
#include "cli/watch_record.h"
#include "control/clock.h"
#include "control/publication.h"
#include "control/restrictions_json.h"
#include "control/sandbox.h"
#include "policy/check.h"
#include "policy/read.h"
#include "watch/live.h"

enum { LOOK_MILLISECONDS = 100, BUNDLE = 4096, EVENTS = 8 };

static const int64_t SECOND = 1000000000;

struct watchman {
  const struct watchman_options *options;
  struct watch *watch;
  struct live *live;
  struct watch_record *record;
  struct sandbox *sandbox;                                        /* NULL: not wanted */
  char publication[sizeof((struct sockaddr_un *)NULL)->sun_path]; /* kidod's socket */
  struct watch_status_desk *status;                               /* NULL: none */
  int epoll, clock, signals, follow;                              /* descriptors, -1: none */
  int64_t follow_at;                                              /* when to try kidod again */
  bool following, said_gone;
  bool differs; /* what kidod has in force could not be read */
  bool stop;
  int64_t started;
  struct clock_reading clocks;     /* at the last look */
  char in_force[SHA256_TEXT_SIZE]; /* of what kidod published last as in force; "" before */
};

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return (int64_t)time.tv_sec * SECOND + time.tv_nsec;
}

static void say(const struct watchman *watchman, const char *japanese, const char *english, const char *detail) {
  fprintf(stderr, "kidoban: %s%s\n", language_choose(watchman->options->language, japanese, english), detail);
}

static void tell(void *context, struct event *event, const struct timezone *clock) {
  struct watchman *watchman = context;
  const struct watchman_options *options = watchman->options;
  watch_record_write(watchman->record, event, clock);
  if (options->print)
    alert_print(stdout, event, clock, options->language, options->colour);
}

static void keep(void *context, const char *id, const char *interface, const struct captured_frame *captured) {
  const struct watchman *watchman = context;
  watch_record_keep(watchman->record, id, interface, captured, live_drops(watchman->live, interface));
}

/* ---- policies ---- */

static int take_policy(struct watchman *watchman, const struct policy *policy, const struct restrictions *restrictions,
                       struct arena *arena, bool pending, struct error *error) {
  int result = live_set_policy(watchman->live, policy, pending, error);
  if (result < 0) {
    arena_free(arena);
    return result;
  }
  result = watch_set_restricted_policy(watchman->watch, policy, restrictions, arena, pending, now());
  if (result < 0)
    return error_set(error, ENOMEM, "no memory for the policy");
  live_excuse(watchman->live);
  live_look_after(watchman->live, now());
  return 0;
}

static int refuse(const char *name, struct arena *arena, struct diagnostic_list *diagnostics, struct error *error) {
  if (diagnostics != NULL) {
    diagnostic_sort(diagnostics);
    diagnostic_print(stderr, diagnostics, false);
  }
  arena_free(arena);
  return error_set(error, EINVAL, "%s: the policy has errors", name);
}

/* A file that the unprivileged user may not open is opened by the opener; then it may include no other. */
static int read_opened_file(struct watchman *watchman, int file, struct arena *arena, const struct policy **ret_policy,
                            struct diagnostic_list *diagnostics, struct error *error) {
  struct stat status;
  if (fstat(file, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size > POLICY_FILE_LIMIT)
    return error_set(error, EFBIG, "%s: not a policy", watchman->options->policy_file);
  char *text = arena_alloc(arena, (size_t)status.st_size + 1);
  if (text == NULL)
    return error_set(error, ENOMEM, "no memory for the policy");
  ssize_t size = pread(file, text, (size_t)status.st_size, 0);
  if (size < 0)
    return error_set(error, errno, "%s: %s", watchman->options->policy_file, strerror(errno));
  return policy_read_text(watchman->options->policy_file, text, (size_t)size, arena, watchman->options->language_forced,
                          ret_policy, diagnostics, error);
}

static int read_forbidden_file(struct watchman *watchman, struct arena *arena, const struct policy **ret_policy,
                               struct diagnostic_list *diagnostics, struct error *error) {
  int file = sandbox_open_policy(watchman->sandbox);
  if (file < 0)
    return error_set(error, -file, "%s: %s", watchman->options->policy_file, strerror(-file));
  int result = read_opened_file(watchman, file, arena, ret_policy, diagnostics, error);
  close(file);
  return result;
}

static int read_policy_file(struct watchman *watchman, struct error *error) {
  const char *path = watchman->options->policy_file;
  struct arena *arena = arena_new(0);
  if (arena == NULL)
    return error_set(error, ENOMEM, "no memory for the policy");
  struct diagnostic_list diagnostics;
  diagnostic_list_init(&diagnostics, arena, watchman->options->language);
  const struct policy *policy = NULL;
  int result = policy_read(path, arena, watchman->options->language_forced, &policy, &diagnostics, error);
  if (result == -EACCES && watchman->sandbox != NULL)
    result = read_forbidden_file(watchman, arena, &policy, &diagnostics, error);
  if (result < 0) {
    arena_free(arena);
    return result;
  }
  if (policy != NULL) {
    struct check_options check = {.now = {now() / SECOND}};
    policy_check(policy, &check, &diagnostics);
  }
  if (policy == NULL || diagnostics.errors > 0 || diagnostics.out_of_memory)
    return refuse(path, arena, &diagnostics, error);
  return take_policy(watchman, policy, NULL, arena, false, error);
}

/* Which policy with which restrictions: what is the same need not be read again. */
static void digest_of(const struct publication *publication, const char *text, char digest[static SHA256_TEXT_SIZE]) {
  sha256_text(text, publication->policy_size + publication->restrictions_size, digest);
}

static int read_restrictions(const struct publication *publication, const char *text, const struct policy *policy,
                             struct arena *arena, struct restrictions **ret_restrictions, struct error *error) {
  *ret_restrictions = ARENA_NEW(arena, struct restrictions);
  if (*ret_restrictions == NULL)
    return error_set(error, ENOMEM, "no memory for the policy");
  if (publication->restrictions_size == 0)
    return 0;
  return restrictions_from_text(text + publication->policy_size, publication->restrictions_size, policy->flow_count,
                                policy->zone_count, arena, *ret_restrictions, error);
}

static int read_generation(struct watchman *watchman, const struct publication *publication, const char *text,
                           struct error *error) {
  struct arena *arena = arena_new(0);
  if (arena == NULL)
    return error_set(error, ENOMEM, "no memory for the policy");
  struct diagnostic_list diagnostics;
  struct restrictions *restrictions = NULL;
  const struct policy *policy = NULL;
  diagnostic_list_init(&diagnostics, arena, watchman->options->language);
  int result = policy_read_text("kidod", text, publication->policy_size, arena, watchman->options->language_forced,
                                &policy, &diagnostics, error);
  if (result < 0 || policy == NULL || diagnostics.errors > 0)
    return refuse("kidod", arena, &diagnostics, error);
  result = read_restrictions(publication, text, policy, arena, &restrictions, error);
  if (result < 0) {
    arena_free(arena);
    return result;
  }
  return take_policy(watchman, policy, restrictions, arena, publication->phase == PUBLICATION_PENDING, error);
}

static int read_published(struct watchman *watchman, const struct publication *publication, int descriptor,
                          struct error *error) {
  size_t size = publication->policy_size + publication->restrictions_size;
  const struct policy *current = watch_policy(watchman->watch);
  char digest[SHA256_TEXT_SIZE];
  char *text = mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (text == MAP_FAILED)
    return error_set(error, ENOMEM, "no memory for the policy");
  digest_of(publication, text, digest);
  int result;
  if (current != NULL && strcmp(digest, watchman->in_force) == 0) {
    watch_drop_pending(watchman->watch);
    result = live_set_policy(watchman->live, current, false, error);
  } else {
    result = read_generation(watchman, publication, text, error);
    if (result == 0 && publication->phase == PUBLICATION_IN_FORCE)
      memcpy(watchman->in_force, digest, sizeof watchman->in_force);
  }
  munmap(text, size);
  return result;
}

/* ---- following kidod ---- */

static int add_source(struct watchman *watchman, int descriptor) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
  return epoll_ctl(watchman->epoll, EPOLL_CTL_ADD, descriptor, &event);
}

static void lose_kidod(struct watchman *watchman) {
  if (watchman->follow >= 0)
    close(watchman->follow);
  watchman->follow = -1;
  watchman->follow_at = now() + SECOND / 5;
  if (!watchman->said_gone)
    say(watchman, "kidod につながりません。最後のポリシーで監視を続けます", "kidod is not there; the last policy stays",
        "");
  watchman->said_gone = true;
}

static int connect_directly(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  if (descriptor < 0 || connect(descriptor, (const struct sockaddr *)&address, sizeof address) == 0)
    return descriptor;
  close(descriptor);
  return -1;
}

static void connect_to_kidod(struct watchman *watchman) {
  watchman->follow =
      watchman->sandbox != NULL ? sandbox_connect_kidod(watchman->sandbox) : connect_directly(watchman->publication);
  if (watchman->follow < 0 || add_source(watchman, watchman->follow) < 0) {
    lose_kidod(watchman);
    return;
  }
  watchman->said_gone = false;
}

/* What is judged by is another policy than that in force: alarms and silence mean nothing. */
static void refuse_published(struct watchman *watchman, const struct publication *publication,
                             const struct error *error) {
  live_excuse(watchman->live);
  say(watchman, "kidod のポリシーを読めません: ", "the policy of kidod cannot be read: ", error->message);
  if (publication->phase != PUBLICATION_IN_FORCE)
    return;
  watchman->differs = true;
  watch_is_blind(watchman->watch, WIRE_NONE, "policy-differs", 1, true, now());
}

static void agree(struct watchman *watchman) {
  if (watchman->differs)
    watch_sees_again(watchman->watch, WIRE_NONE, "policy-differs", now());
  watchman->differs = false;
}

static void follow_kidod(struct watchman *watchman) {
  struct publication publication;
  int descriptor = -1;
  struct error error = {0};
  int result = publication_receive(watchman->follow, &publication, &descriptor, &error);
  if (result == -EAGAIN)
    return;
  if (result < 0) {
    lose_kidod(watchman);
    return;
  }
  if (publication.phase == PUBLICATION_CLOSED)
    say(watchman, "kidod に有効なポリシーがありません", "no policy is in force at kidod", "");
  else if (read_published(watchman, &publication, descriptor, &error) < 0)
    refuse_published(watchman, &publication, &error);
  else if (publication.phase == PUBLICATION_IN_FORCE)
    agree(watchman);
  if (descriptor >= 0)
    close(descriptor);
}

/* ---- the loop ---- */

static void answer_status(struct watchman *watchman) {
  struct watch_status status = {.magic = WATCH_STATUS_MAGIC,
                                .version = WATCH_STATUS_VERSION,
                                .taken_up = watch_taken_up(watchman->watch),
                                .event_failures = watch_record_failures(watchman->record),
                                .started = watchman->started / SECOND};
  live_status(watchman->live, &status);
  for (enum watch_table table = 0; table < WATCH_TABLE_COUNT_; table++)
    status.crowded_out[table] = watch_crowded_out(watchman->watch, table);
  if (watchman->differs && status.state == WATCH_WATCHING)
    status.state = WATCH_DEGRADED;
  status.follows = !watchman->following ? WATCH_BY_FILE : watchman->follow >= 0 ? WATCH_BY_KIDOD : WATCH_KIDOD_GONE;
  const struct policy *policy = watch_policy(watchman->watch);
  if (policy != NULL) {
    snprintf(status.policy_number, sizeof status.policy_number, "%.62s",
             policy->header.number.text != NULL ? policy->header.number.text : "");
    snprintf(status.policy_sha256, sizeof status.policy_sha256, "%s", policy->sha256);
  }
  for (unsigned severity = EVENT_CRITICAL; severity <= EVENT_INFO; severity++)
    status.open_alerts[severity] = (uint32_t)watch_open_alerts(watchman->watch, severity);
  watch_status_answer(watchman->status, &status);
}

static void read_again(struct watchman *watchman) {
  struct error error = {0};
  if (watchman->options->policy_file == NULL)
    return;
  bool failed = read_policy_file(watchman, &error) < 0;
  live_excuse(watchman->live);
  if (failed)
    say(watchman, "ポリシーを読み直せません。これまでのもので監視を続けます: ",
        "the policy could not be read again, the last one stays: ", error.message);
}

static void take_signal(struct watchman *watchman) {
  struct signalfd_siginfo signal;
  if (read(watchman->signals, &signal, sizeof signal) != (ssize_t)sizeof signal)
    return;
  if (signal.ssi_signo == SIGHUP)
    read_again(watchman);
  else
    watchman->stop = true;
}

/* ---- the clock of the day ---- */

static void tell_step(struct watchman *watchman, int64_t milliseconds) {
  const struct policy *policy = watch_policy(watchman->watch);
  enum language language = watchman->options->language;
  int64_t seconds = now() / SECOND;
  int32_t rest = (int32_t)(now() % SECOND / 1000);
  char message[256];
  snprintf(message, sizeof message,
           language_choose(
               language, "時計が動かされました: %+" PRId64 ".%03" PRId64 " 秒。これより前の記録の時刻は前の時計による",
               "the clock was set by %+" PRId64 ".%03" PRId64
               " seconds; the times of earlier records are by the clock before"),
           milliseconds / 1000, (milliseconds < 0 ? -milliseconds : milliseconds) % 1000);
  struct event event = {.time = {seconds, rest},
                        .first_seen = {seconds, rest},
                        .last_seen = {seconds, rest},
                        .count = 1,
                        .kind = "clock-step",
                        .severity = EVENT_WARNING,
                        .policy = policy->header.number.text,
                        .reason = milliseconds < 0 ? "back" : "forward",
                        .protocol = -1,
                        .source_port = -1,
                        .destination_port = -1,
                        .icmp_type = -1,
                        .vlan = -1,
                        .what_to_do = language_choose(language, "時刻同期によるものか、誰かが合わせたのかを確かめる",
                                                      "Find out whether the synchronisation of the clock did that, or "
                                                      "somebody set it"),
                        .message = message};
  tell(watchman, &event, policy->header.timezone);
}

static void look_at_clock(struct watchman *watchman) {
  struct clock_reading before = watchman->clocks;
  watchman->clocks = clock_read();
  struct clock_change change = clock_compare(&before, &watchman->clocks);
  if (before.boot == 0 || watch_policy(watchman->watch) == NULL ||
      (change.step < CLOCK_STEP_MILLISECONDS && change.step > -CLOCK_STEP_MILLISECONDS))
    return;
  watch_clock_stepped(watchman->watch, now());
  tell_step(watchman, change.step);
}

static void look(struct watchman *watchman) {
  look_at_clock(watchman);
  if (watch_policy(watchman->watch) != NULL)
    live_look_after(watchman->live, now());
}

static void take_clock(struct watchman *watchman) {
  uint64_t ticks;
  if (read(watchman->clock, &ticks, sizeof ticks) < 0)
    return;
  if (watchman->following && watchman->follow < 0 && now() >= watchman->follow_at)
    connect_to_kidod(watchman);
  look(watchman);
  watch_record_look(watchman->record, watch_policy(watchman->watch));
  sd_notify(0, "WATCHDOG=1");
}

static void look_at_opener(struct watchman *watchman) {
  if (sandbox_opener_lives(watchman->sandbox))
    return;
  epoll_ctl(watchman->epoll, EPOLL_CTL_DEL, sandbox_descriptor(watchman->sandbox), NULL);
  say(watchman, "取り込みを開くプロセスが終わりました。止まった取り込みは再起動まで開けません",
      "the process that opens captures has ended: a capture that is lost stays lost until a restart", "");
}

static void dispatch(struct watchman *watchman, int descriptor) {
  if (descriptor == live_descriptor(watchman->live))
    live_read(watchman->live, BUNDLE);
  else if (descriptor == live_interface_descriptor(watchman->live))
    look(watchman);
  else if (descriptor == sandbox_descriptor(watchman->sandbox))
    look_at_opener(watchman);
  else if (descriptor == watchman->clock)
    take_clock(watchman);
  else if (descriptor == watchman->signals)
    take_signal(watchman);
  else if (descriptor == watch_status_descriptor(watchman->status))
    answer_status(watchman);
  else if (descriptor == watchman->follow)
    follow_kidod(watchman);
}

static int loop(struct watchman *watchman, struct error *error) {
  while (!watchman->stop) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(watchman->epoll, events, EVENTS, -1);
    if (count < 0 && errno != EINTR)
      return error_set(error, errno, "epoll: %s", strerror(errno));
    for (int i = 0; i < count; i++)
      dispatch(watchman, events[i].data.fd);
  }
  sd_notify(0, "STOPPING=1");
  watch_finish(watchman->watch, now());
  return 0;
}

/* ---- start and end ---- */

static int open_clock(void) {
  int clock = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  struct timespec interval = {.tv_nsec = LOOK_MILLISECONDS * 1000000L};
  struct itimerspec timer = {.it_interval = interval, .it_value = interval};
  if (clock >= 0)
    timerfd_settime(clock, 0, &timer, NULL);
  return clock;
}

static int open_signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  sigprocmask(SIG_BLOCK, &set, NULL);
  return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static int open_outputs(struct watchman *watchman, struct error *error) {
  const struct watchman_options *options = watchman->options;
  return watch_record_open(options, tell, watchman, &watchman->record, error);
}

static int open_watch(struct watchman *watchman, struct error *error) {
  struct watch_settings settings = {.language = watchman->options->language,
                                    .language_forced = watchman->options->language_forced,
                                    .copy_wait = WATCH_LIVE_WAIT,
                                    .tell = tell,
                                    .keep = keep,
                                    .keep_frames = watch_record_frames(watchman->record),
                                    .context = watchman};
  watchman->watch = watch_new(&settings);
  if (watchman->watch == NULL)
    return error_set(error, ENOMEM, "not enough memory to watch");
  return live_new(watchman->watch, watchman->options->settings, &watchman->live, error);
}

static int open_sources(struct watchman *watchman, struct error *error) {
  watchman->epoll = epoll_create1(EPOLL_CLOEXEC);
  watchman->clock = open_clock();
  watchman->signals = open_signals();
  if (watchman->epoll < 0 || watchman->clock < 0 || watchman->signals < 0)
    return error_set(error, errno, "no descriptors: %s", strerror(errno));
  struct error why = {0};
  if (watch_status_open(watchman->options->run_directory, &watchman->status, &why) < 0)
    say(watchman, "状態を問い合わせる口を開けません: ", "the status cannot be asked for: ", why.message);
  int sources[] = {live_descriptor(watchman->live), live_interface_descriptor(watchman->live), watchman->clock,
                   watchman->signals, watch_status_descriptor(watchman->status)};
  for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
    if (sources[i] >= 0 && add_source(watchman, sources[i]) < 0)
      return error_set(error, errno, "epoll: %s", strerror(errno));
  return 0;
}

static int prepare_sandbox(struct watchman *watchman, struct error *error) {
  const struct watchman_options *options = watchman->options;
  const char *directories[] = {options->state_directory, options->run_directory};
  int length =
      snprintf(watchman->publication, sizeof watchman->publication, "%s/" PUBLICATION_SOCKET, options->run_directory);
  if (length < 0 || (size_t)length >= sizeof watchman->publication)
    return error_set(error, ENAMETOOLONG, "%s: too long for a socket", options->run_directory);
  mkdir(options->state_directory, 0750);
  mkdir(options->run_directory, 0755);
  struct sandbox_options sandbox = {.user = options->settings->user,
                                    .own_files = "kidoban",
                                    .kidod = watchman->publication,
                                    .policy = options->policy_file,
                                    .directories = directories,
                                    .directory_count = sizeof directories / sizeof directories[0]};
  if (!options->settings->sandbox)
    return 0;
  int result = sandbox_prepare(&sandbox, &watchman->sandbox, error);
  if (result < 0)
    return result;
  sandbox_user(watchman->sandbox, &options->settings->scribe.user, &options->settings->scribe.group);
  if (sandbox_is_nobody(watchman->sandbox))
    say(watchman,
        "利用者 kidoban がないため nobody で動きます。nobody で動く他のプログラムも記録に触れられます。"
        "利用者を作ってください: ",
        "there is no user kidoban: running as nobody, whose other programs can reach the records too. Make the user: ",
        "useradd --system --no-create-home --gid kido kidoban");
  return 0;
}

static int enter_sandbox(struct watchman *watchman, struct error *error) {
  if (watchman->sandbox == NULL)
    return 0;
  int result = sandbox_enter(watchman->sandbox, error);
  return result == 0 ? add_source(watchman, sandbox_descriptor(watchman->sandbox)) : result;
}

static int start(struct watchman *watchman, struct error *error) {
  /* Outputs early: what they fork has nothing of the rest. */
  int (*const steps[])(struct watchman *, struct error *) = {prepare_sandbox, open_outputs, open_watch, open_sources,
                                                             enter_sandbox};
  int result = 0;
  for (size_t i = 0; i < sizeof steps / sizeof steps[0] && result == 0; i++)
    result = steps[i](watchman, error);
  if (result < 0)
    return result;
  watchman->following = watchman->options->policy_file == NULL;
  if (watchman->following)
    connect_to_kidod(watchman);
  else
    result = read_policy_file(watchman, error);
  if (result == 0)
    sd_notify(0, watchman->following ? "READY=1\nSTATUS=waiting for kidod" : "READY=1");
  return result;
}

static void stop(struct watchman *watchman) {
  live_free(watchman->live);
  watch_free(watchman->watch);
  watch_record_close(watchman->record);
  sandbox_free(watchman->sandbox);
  watch_status_close(watchman->status);
  int descriptors[] = {watchman->epoll, watchman->clock, watchman->signals, watchman->follow};
  for (size_t i = 0; i < sizeof descriptors / sizeof descriptors[0]; i++)
    if (descriptors[i] >= 0)
      close(descriptors[i]);
}

int watchman_run(const struct watchman_options *options, struct error *error) {
  struct watchman watchman = {
      .options = options, .epoll = -1, .clock = -1, .signals = -1, .follow = -1, .started = now()};
  int result = start(&watchman, error);
  if (result == 0)
    result = loop(&watchman, error);
  stop(&watchman);
  return result;
}
