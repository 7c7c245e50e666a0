/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_CONTROLLER_PARTS_H
#define KIDO_CONTROL_CONTROLLER_PARTS_H

#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "control/clock.h"
#include "control/contest.h"
#include "control/controller.h"
#include "control/gate.h"
#include "control/generation.h"
#include "control/lockout.h"
#include "control/orders.h"
#include "control/person.h"
#include "control/plan.h"
#include "control/proof_worker.h"
#include "control/publisher.h"
#include "control/reader.h"
#include "control/sentry.h"
#include "control/server.h"
#include "events/log.h"
#include "events/scribe.h"
#include "kernel/nftables_watch.h"

/* Inside kidod, shared by controller_*.c. */

enum load_origin {
  LOAD_NONE,     /* no load is under way */
  LOAD_START,    /* the last confirmed policy, at start */
  LOAD_REOPEN,   /* the same once more, behind closed doors (controller_reopen.c) */
  LOAD_CLIENT,   /* `kido apply` */
  LOAD_RELOAD,   /* SIGHUP */
  LOAD_ROLLBACK, /* `kido rollback` */
};

/* One load on its way from bytes to the kernel; only one at a time. */
struct load {
  enum load_origin origin;
  uint64_t client; /* who waits for the answer; 0: nobody */
  struct person by;
  struct operator_way way;
  bool allow_lockout, allow_unproven;
  uint64_t seconds;                      /* on trial for so long; 0: confirmed once it was read back */
  uint64_t source;                       /* LOAD_ROLLBACK: number of the history */
  enum language language;                /* of the answer */
  const struct confirmed_policy *record; /* LOAD_START: in `arena` */
  struct arena *arena;                   /* goes with the load; NULL for none */

  enum control_step step;
  struct policy_reader reader;
  sd_event_source *child;

  /* From the read-back to the end of the proof: the new policy is in force already, and what was is kept here. */
  bool proving;
  struct generation *previous; /* NULL: the gate was closed, or a trial keeps it */
  bool previous_held;          /* and was held closed */
  struct instant applied_at;
  size_t changes;
  json_t *diagnostics;
};

/* The last trial that ended unconfirmed, for who confirms too late. at 0: none since the start. */
struct trial_end {
  struct instant at;
  char policy_number[64];
};

/* What others do to the ruleset. */
struct drift {
  int socket;
  sd_event_source *on_change, *settling, *looking;
  struct nftables_transaction transaction;
  struct nftables_change change; /* since the last look */
  uint64_t looked;               /* when, in milliseconds of the monotonic clock */
  struct contest contest;
  char *what;     /* NULL: our table is as it should be */
  uint64_t count; /* how often that was told */
  struct arena *arena;
  struct nftables_table_list tables; /* of others, as last seen; in the arena, which is NULL before the first look */
};

/* The clock, and the last time seen. */
struct clock_watch {
  int timer;
  sd_event_source *on_set, *looking;
  struct clock_reading reading;
  struct instant seen, kept; /* kept: as it stands on the disk */
  bool lost;                 /* the disk had none at the start */
};

enum proof_state { PROOF_STATE_NONE, PROOF_STATE_PROVEN, PROOF_STATE_REFUTED, PROOF_STATE_UNDECIDED };

/* The proof, again and again (controller_proof.c). */
struct proving {
  struct proof_worker worker;
  sd_event_source *child, *patience; /* while it runs */
  sd_event_source *soon, *interval;
  bool running;
  bool wanted;      /* once more, when this one is done */
  bool in_any_case; /* also when the kernel's generation did not move */
  unsigned again;   /* how often it was made again because the kernel's generation moved meanwhile */
  bool seen_twice;  /* a difference counts when a second look finds one too */
  json_t *last;     /* kido.verify/1; NULL: none yet */
  enum proof_state told;
};

/* When dates were last looked at, and of which policy. */
struct reminding {
  const struct generation *generation;
  struct instant at;
};

/* The scribe (controller_scribe.c). */
struct scribing {
  struct scribe *scribe; /* NULL: it could not be started */
  sd_event_source *on_note;
  uint64_t started; /* seconds of the monotonic clock */
};

struct controller {
  const struct controller_options *options;
  sd_event *loop;
  struct event_log *log;
  struct scribing scribing;
  struct gate *gate;
  struct server *server;
  struct publisher *publisher;
  struct load load;
  struct generation *in_force; /* NULL: the gate is closed */
  struct trial *trial;         /* NULL: what is in force is confirmed */
  struct trial_end last_trial;
  struct planning *planning; /* a plan whose policy is being read; NULL: none */
  /* What holds it back: cuts, closed windows, a doubtful clock; and the ends of a trial, which belong to in_force. */
  struct restrictions restrictions;
  struct orders *orders; /* cuts and closed windows as they are kept; NULL before the state directory was read */
  bool orders_unkept;    /* the disk does not have them yet */
  struct order *reading; /* orders whose text is being read */
  uint64_t confirmed;    /* number of the confirmed policy on the disk, in force or not; 0: none */
  uint64_t loads;        /* the highest number in the history */
  uint64_t publications;
  int lock; /* on the state directory */

  sd_event_source *change; /* the next instant at which a flow opens or ends */
  sd_event_source *retry;
  unsigned kernel_failures; /* attempts in a row to bring the kernel in line */
  bool held_closed;  /* the policy in force was refuted when it was loaded at the start: its `gateway` flows alone stand
                      */
  char *held_reason; /* the packet for which it is held closed; NULL when it is not */
  bool reopening;    /* its rules stand, and forwarding stays off until they are proven */
  sd_event_source *reopen_timer; /* the next attempt */
  struct sentry *sentry;         /* NULL: there is none, or repair is turned off */
  bool forwarding_stopped;       /* a cut could not be loaded: nothing is forwarded until the rules can be */

  struct kernel_watch *watch;
  struct drift drift;
  struct proving proving;
  struct clock_watch clock;
  struct reminding reminding;

  struct flow_sighting *seen; /* by mark; NULL before the first look */
  size_t seen_count;
  sd_event_source *looking;

  struct connection_records *records; /* NULL: none are kept */
};

/* When a flow last carried something, as far as looks at its counter tell. */
struct flow_sighting {
  uint32_t mark;
  uint64_t packets;
  struct instant at; /* INSTANT_NEVER: not known */
};

struct instant controller_now(void);
enum language controller_language(const struct controller *controller);
struct gate_aim controller_aim(struct controller *controller);

/* Answers one request, now or later. text_fd (-1 for none) stays the caller's. */
typedef void control_handler(struct controller *controller, uint64_t client, const struct control_request *request,
                             int text_fd);

/* ---- controller_announce.c ---- */

struct announcement {
  const char *kind;
  enum event_severity severity;
  const char *flow, *reason, *zone, *other_zone;      /* NULL for none */
  const char *about;                                  /* id of the event that this one speaks of */
  const char *advice_in_japanese, *advice_in_english; /* what to do; NULL for nothing */
  const struct person *by;                            /* NULL for nobody */
};
/* Writes an event; both formats take the same arguments. */
void controller_announce(struct controller *controller, const struct announcement *announcement, const char *japanese,
                         const char *english, ...) __attribute__((format(printf, 3, 5), format(printf, 4, 5)));

/* ---- controller_scribe.c: where else events go ---- */

/* Before anything is opened that a child should not have. A scribe that cannot be started is tried again. */
void controller_start_scribe(struct controller *controller);
/* Once the loop is there: what it says becomes events. */
void controller_hear_scribe(struct controller *controller);
/* Starts it again when it has died. */
void controller_look_after_scribe(struct controller *controller);
/* Lets it hand on the last events. */
void controller_stop_scribe(struct controller *controller);

/* ---- controller_load.c ---- */

/* Starts a load. -EBUSY when one is under way. policy_fd stays the caller's. */
int controller_load(struct controller *controller, const struct load *load, const struct reader_request *request,
                    struct error *error);
/* Why no policy can be loaded now: -EBUSY with *error in that language, else 0. */
int controller_check_free(const struct controller *controller, enum language language, struct error *error);
/* Reads the state directory: starts a load of the last confirmed policy, or closes the gate. */
int controller_load_confirmed(struct controller *controller, struct error *error);
void controller_reload(struct controller *controller);
int controller_publish(struct controller *controller, enum publication_phase phase, const struct generation *generation,
                       struct error *error);
int controller_close_gate(struct controller *controller, struct error *error);
/* Tells systemd what is in force. */
void controller_say_ready(const struct controller *controller);

/* Whether what should stand in the kernel is decided: no load is on its way to it. */
bool controller_is_decided(const struct controller *controller);
/* The proof of what was just loaded. */
void controller_load_proven(struct controller *controller, const json_t *proof);
/* kidod stops before the proof came: what was in force before is what it leaves behind. */
void controller_load_abandon(struct controller *controller);

/* ---- controller_reopen.c ---- */

/* What was loaded at the start leaks, as the proof says: the `gateway` flows stay, so that somebody can come and see.
 */
void controller_hold_closed(struct controller *controller, const json_t *proof);
/* Something changed that may have been the cause; nothing when the gate is not held closed. */
void controller_reopen_soon(struct controller *controller);
/* The proof of an attempt. */
void controller_reopen_proven(struct controller *controller, const json_t *proof);
void controller_stop_reopening(struct controller *controller);

/* ---- controller_proof.c ---- */

void controller_start_proving(struct controller *controller);
void controller_stop_proving(struct controller *controller);
/* Something changed that a proof is about; they come in bursts, which are waited for. */
void controller_prove_soon(struct controller *controller);
/* The same, unless the ruleset is still the one that was proven last. */
void controller_prove_if_moved(struct controller *controller);
/* At once, for a load that waits for controller_load_proven(). */
void controller_prove_now(struct controller *controller);
/* "proof" of kido.status/1. */
json_t *controller_proof_to_json(const struct controller *controller);

/* ---- controller_outcome.c ---- */

/* What a load ended in. */
struct outcome {
  int code; /* exit code of the client */
  const char *message;
  json_t *diagnostics;
  struct refusal refusal;
  enum lockout lockout;
  bool loses_cut;      /* refused: it does not have a zone that a cut names */
  bool refuted;        /* refused: the kernel did not do what it says */
  const json_t *proof; /* kido.verify/1; NULL: none was made */
  size_t changes;
  const struct generation *generation;
};

/* kido.apply/1, with a reference of its own to the diagnostics. */
json_t *controller_outcome_to_json(const struct controller *controller, const struct load *load,
                                   const struct outcome *outcome);
/* Answers a load that did not begin. */
void controller_refuse_load(struct controller *controller, const struct load *load, int code,
                            const struct error *error);
void controller_announce_outcome(struct controller *controller, const struct outcome *outcome);

/* ---- controller_trial.c: a policy that is not confirmed yet ---- */

/* Makes the deadlines of a policy that is about to be on trial for so many seconds, notes the trial in the state
 * directory. ret_trial goes to controller_trial_begin() or controller_trial_drop(). */
int controller_trial_prepare(struct controller *controller, const struct generation *pending, uint64_t seconds,
                             const struct confirmed_policy *record, struct trial **ret_trial, struct error *error);
/* The controller's restrictions with the deadlines of that trial. */
struct restrictions controller_trial_restrictions(const struct controller *controller, const struct trial *trial);
/* It was loaded: the trial goes on, and what was in force waits for its end. On an error nothing was taken. */
int controller_trial_begin(struct controller *controller, struct trial *trial, struct generation *pending,
                           struct error *error);
/* It was not loaded. */
void controller_trial_drop(struct controller *controller, struct trial *trial);
/* Deadlines follow the wall clock, so that a step of it moves no end. */
void controller_trial_follow_clock(struct controller *controller);
struct instant controller_trial_deadline(const struct controller *controller); /* there must be a trial */
struct person controller_trial_person(const struct controller *controller);
/* What is confirmed: what a trial returns to, or a load that is being proven; NULL: the gate is closed. */
const struct generation *controller_trial_confirmed(const struct controller *controller);
/* Ends a trial whose time is up; false when there is none, or it goes on. */
bool controller_trial_end_if_due(struct controller *controller);
/* Back to the confirmed policy. by: who wanted it, NULL: the time was up. A negative errno with *error: the trial is
 * over, but its rules still stand in the kernel; that is told, and tried again. */
int controller_trial_return(struct controller *controller, const struct person *by, struct error *error);
/* The same without a word: it was refused after all. */
void controller_trial_undo(struct controller *controller);
/* kidod stops: what was confirmed is what it leaves behind. The kernel is left alone. */
void controller_trial_abandon(struct controller *controller);
/* At start: tells when a trial was cut short. confirmed: NULL for none. */
void controller_trial_recover(struct controller *controller, const struct confirmed_policy *confirmed);
control_handler controller_handle_confirm;

/* ---- controller_history.c ---- */

/* Confirms what `generation` holds, as `record` says; its numbers are filled in. An equal policy keeps its number. */
int controller_confirm(struct controller *controller, struct generation *generation,
                       const struct confirmed_policy *record, struct error *error);
control_handler controller_handle_history, controller_handle_rollback;

/* ---- controller_plan.c, controller_plan_json.c ---- */

control_handler controller_handle_plan;
void controller_drop_plan(struct controller *controller);
json_t *controller_plan_to_json(const struct controller *controller, const struct plan_question *question,
                                const struct plan *plan, const struct plan_effect *effect, enum lockout lockout,
                                enum language language);

/* ---- controller_order.c: cuts and closed windows ---- */

/* One order on its way from its text to the kernel. */
struct order {
  struct controller *controller;
  struct order *next;
  uint64_t client;
  struct control_request request;
  struct person by;
  struct policy_reader reader;
  sd_event_source *child;
};

/* What the reader made of its text. */
struct order_text {
  const char *names[2];
  size_t name_count;
  const char *why;
};

/* Reads what is kept in the state directory. Damage cuts everything, is told, and is no failure. */
int controller_load_orders(struct controller *controller, struct error *error);
void controller_drop_orders(struct controller *controller);
/* A control_handler for CUT, LIFT and WINDOW_*: the text goes to a reader, the order is done when it is read. */
void controller_take_order(struct controller *controller, uint64_t client, const struct control_request *request,
                           int text_fd);

/* Replaces the orders, which are the controller's then; nothing else happens yet. */
void controller_adopt_orders(struct controller *controller, struct orders *orders);
/* Writes them to the disk. What fails is tried again with every controller_keep_orders_late(). */
int controller_keep_orders(struct controller *controller, struct error *error);
void controller_keep_orders_late(struct controller *controller);
/* Brings the kernel and the followers to the orders. 0 or a negative errno with *error. */
int controller_enforce_orders(struct controller *controller, struct error *error);
/* Forgets the closings of windows whose end has come. */
void controller_forget_past_orders(struct controller *controller);
/* Answers an order and ends it. extra (may be NULL) is released; its keys go into the answer. */
void controller_answer_order(struct order *order, int code, const char *message, json_t *extra);
enum language controller_order_language(const struct order *order);

/* ---- controller_cut.c, controller_window.c, controller_acknowledge.c ---- */

typedef void order_handler(struct order *order, const struct order_text *text, struct arena *arena);
void controller_cut(struct order *order, const struct order_text *text, struct arena *arena);
void controller_lift(struct order *order, const struct order_text *text, struct arena *arena);
void controller_close_window(struct order *order, const struct order_text *text, struct arena *arena);
void controller_reopen_window(struct order *order, const struct order_text *text, struct arena *arena);
void controller_acknowledge(struct order *order, const struct order_text *text, struct arena *arena);

/* "cuts", "closed_windows" and "clock" for people: kido.cut/1, kido.status/1. */
json_t *controller_cuts_to_json(const struct controller *controller);
json_t *controller_closed_windows_to_json(const struct controller *controller);
/* Adds both, and the clock, to an answer. */
void controller_add_restrictions(const struct controller *controller, json_t *answer);
/* An instant in the policy's timezone; that of Japan without a policy; null for INSTANT_NEVER. */
json_t *controller_instant_to_json(const struct controller *controller, struct instant instant);

/* ---- controller_time.c ---- */

/* Brings the kernel to what is in force now; tries again by itself when that fails. */
void controller_refresh(struct controller *controller);
/* The same for those who must know. 0 or a negative errno with *error. */
int controller_bring(struct controller *controller, struct error *error);
void controller_schedule_change(struct controller *controller);

/* What is in force changed with time, or the clock: the kernel, the events and the next change follow. */
void controller_follow_time(struct controller *controller);

/* ---- controller_clock.c ---- */

int controller_start_clock(struct controller *controller, struct error *error);
void controller_stop_clock(struct controller *controller);
/* Sets restrictions.clock_doubtful from what is kept, without a word. */
void controller_judge_clock(struct controller *controller);
/* Something happened then. Where the last time seen is lost (or damaged), that takes its place. */
void controller_note_past(struct controller *controller, struct instant past);
/* Keeps the last time seen now, unless it is doubtful. */
void controller_keep_time(struct controller *controller);
/* Somebody says that the clock is right. 0 or a negative errno with *error. */
int controller_accept_clock(struct controller *controller, const struct person *by, const char *why,
                            struct error *error);
/* "clock" of kido.status/1 and kido.cut/1. */
json_t *controller_clock_to_json(const struct controller *controller);

/* ---- controller_remind.c ---- */

/* Tells of dates that come near; often called, seldom looks. */
void controller_remind(struct controller *controller);

/* ---- controller_watch.c: what others do to the machine ---- */

int controller_watch_start(struct controller *controller, struct error *error);
void controller_watch_stop(struct controller *controller);

/* ---- controller_drift.c ---- */

int controller_start_drift(struct controller *controller, struct error *error);
void controller_stop_drift(struct controller *controller);
/* The sentry found our table gone and has turned forwarding off. */
void controller_note_closed(struct controller *controller);
/* "other_tables" of kido.status/1. */
json_t *controller_other_tables_to_json(const struct controller *controller);

/* ---- controller_answer.c ---- */

enum language controller_request_language(const struct controller *controller, const struct control_request *request);
json_t *controller_failure(const char *schema, const char *message);
/* {number, sha256, state, ...} of kido.status/1. */
json_t *controller_policy_to_json(const struct controller *controller);
void controller_handle(uint64_t client, const struct control_request *request, int policy_fd, void *context);
json_t *controller_status(const struct controller *controller, enum language language);
json_t *controller_flows(struct controller *controller, enum language language, struct error *error);

/* The element of `held` that stands for a flow in force; NULL when it is not. */
const struct element *controller_find_flow(const struct policy *policy, const struct flow *flow, uint32_t mark,
                                           const struct ruleset *held, struct arena *arena);

/* ---- controller_seen.c ---- */

/* Looks at the counters at an interval. */
void controller_start_looking(struct controller *controller);
void controller_stop_looking(struct controller *controller);
/* Takes in one look. marks: by index of the flow. */
void controller_note_seen(struct controller *controller, const struct policy *policy, const uint32_t *marks,
                          const struct ruleset *held, struct arena *arena);
struct instant controller_last_seen(const struct controller *controller, uint32_t mark);

/* ---- controller_connections.c: the record of connections ---- */

/* A kernel that tells nothing of connections is told of, and is no failure. */
void controller_start_records(struct controller *controller);
void controller_stop_records(struct controller *controller);

/* The name of an enum force_state in JSON: "in-force", "expired", "outside-window". */
const char *force_state_name(enum force_state state);

#endif
