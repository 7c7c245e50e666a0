/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <netinet/in.h>

#include "control/controller_parts.h"
#include "events/community.h"
#include "kernel/conntrack_events.h"
#include "policy/decide.h"
#include "rules/compile.h"

/*
 * Theory of operation. The record of connections, for flows with log = "new".
 *
 * The kernel tells the beginning and the end of a connection (conntrack_events.h), of just those that the ruleset
 * names; the mark says the flow, the end brings bytes and times. So no connection is remembered here, and a kidod that
 * was started again records the end of what began before.
 *
 * Flows that are no longer in the policy are remembered for a while, for the ends of their connections: conntrack
 * forgets a revoked connection only when its timeout is over, hours later. Therefore, when flows left the policy, the
 * living connections are looked at once, and what no flow covers any more is recorded as ended (reason `revoked`).
 * Their real ends are passed over.
 *
 * Records are limited in number a second; what is left out, by us or by a kernel whose queue was full, is told once a
 * minute. Only so many events are taken at a time, and after everything else, so that a flood of connections never
 * keeps kidod from its work.
 */
enum {
  RECORDS_PER_SECOND = 200,
  RECORDS_AT_ONCE = 1000,
  EVENTS_AT_ONCE = 256,
  RETIRED_FLOWS = 4096,
  TOLD_ROOM = 16384,
  FOLLOW_SECONDS = 1,
  REPORT_SECONDS = 60,
  MESSAGE_SIZE = 512,
};

static const uint64_t MICROSECONDS = 1000000;
static const uint64_t NANOSECONDS = 1000000000;

struct recorded_flow {
  uint32_t mark;
  const char *name, *from, *to;
  const struct flow *flow; /* NULL: it has left the policy */
};

struct connection_records {
  struct controller *controller;
  int events;
  sd_event_source *on_event, *following;
  struct arena *arena; /* of the flows */
  struct recorded_flow *flows;
  size_t flow_count;
  const struct generation *generation; /* that the flows are of, */
  uint64_t publications;               /* and when */
  uint64_t started;                    /* nanoseconds, as conntrack's times */
  uint64_t tokens, refilled;
  uint64_t left_out, overruns, reported;
  uint32_t told[TOLD_ROOM]; /* by number of the connection: whose end was recorded when its flow left */
};

static uint64_t clock_nanoseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * NANOSECONDS + (uint64_t)now.tv_nsec;
}

/* ---- which flows ---- */

static int compare_flows(const void *left, const void *right) {
  uint32_t a = ((const struct recorded_flow *)left)->mark, b = ((const struct recorded_flow *)right)->mark;
  return (a > b) - (a < b);
}

static const struct recorded_flow *find_among(const struct recorded_flow *flows, size_t count, uint32_t mark) {
  struct recorded_flow wanted = {.mark = mark};
  return count == 0 ? NULL : bsearch(&wanted, flows, count, sizeof *flows, compare_flows);
}

static const struct recorded_flow *find_flow(const struct connection_records *records, uint32_t mark) {
  return find_among(records->flows, records->flow_count, mark);
}

struct flow_list {
  struct arena *arena;
  struct recorded_flow *items;
  size_t count, capacity;
};

static int add_flow(struct flow_list *list, const struct recorded_flow *flow) {
  const struct recorded_flow copy = {.mark = flow->mark,
                                     .name = arena_strdup(list->arena, flow->name),
                                     .from = arena_strdup(list->arena, flow->from),
                                     .to = arena_strdup(list->arena, flow->to),
                                     .flow = flow->flow};
  if (arena_grow(list->arena, (void **)&list->items, list->count, &list->capacity, sizeof *list->items) < 0) {
    return -ENOMEM;
  }
  list->items[list->count++] = copy;
  return 0;
}

static bool any_recorded(const struct policy *policy) {
  for (size_t i = 0; policy && i < policy->flow_count; i++) {
    if (flow_logs_new(policy, &policy->flows[i])) {
      return true;
    }
  }
  return false;
}

static int list_current(struct flow_list *list, const struct policy *policy) {
  uint32_t *marks = NULL;
  if (!any_recorded(policy)) {
    return 0;
  }
  int result = flow_marks(policy, list->arena, &marks);
  for (size_t i = 0; result == 0 && i < policy->flow_count; i++) {
    const struct flow *flow = &policy->flows[i];
    if (flow_logs_new(policy, flow)) {
      result = add_flow(list, &(struct recorded_flow){.mark = marks[i],
                                                      .name = flow->name,
                                                      .from = policy_zone_name(policy, flow->from_zone),
                                                      .to = policy_zone_name(policy, flow->to_zone),
                                                      .flow = flow});
    }
  }
  return result;
}

/* What was there before and is no more. *ret_left: something has left now. */
static int list_retired(struct flow_list *list, const struct connection_records *records, bool *ret_left) {
  size_t current = list->count, retired = 0;
  int result = 0;
  *ret_left = false;
  for (size_t i = 0; result == 0 && i < records->flow_count; i++) {
    struct recorded_flow flow = records->flows[i];
    if (find_among(list->items, current, flow.mark)) {
      continue;
    }
    *ret_left = *ret_left || flow.flow;
    if (flow.flow || retired < RETIRED_FLOWS) { /* what has just left is worth more than what left long ago */
      retired += !flow.flow;
      flow.flow = NULL;
      result = add_flow(list, &flow);
    }
  }
  return result;
}

static void sort_flows(struct flow_list *list) {
  if (list->count > 0) {
    qsort(list->items, list->count, sizeof *list->items, compare_flows);
  }
}

static void replace_flows(struct connection_records *records, const struct flow_list *list) {
  arena_free(records->arena);
  records->arena = list->arena;
  records->flows = list->items;
  records->flow_count = list->count;
  records->generation = records->controller->in_force;
  records->publications = records->controller->publications;
}

/* The policy that they point into may be gone. */
static void forget_policy(struct connection_records *records) {
  for (size_t i = 0; i < records->flow_count; i++) {
    records->flows[i].flow = NULL;
  }
}

/* True when flows have left the policy since the last look. */
static bool learn_flows(struct connection_records *records) {
  const struct generation *generation = records->controller->in_force;
  struct flow_list list = {.arena = arena_new(0)};
  bool left = false;
  int result = list.arena ? list_current(&list, generation ? generation->policy : NULL) : -ENOMEM;
  sort_flows(&list);
  if (result == 0) {
    result = list_retired(&list, records, &left);
  }
  if (result < 0 || arena_failed(list.arena)) {
    arena_free(list.arena);
    forget_policy(records); /* and try again */
    return false;
  }
  sort_flows(&list);
  replace_flows(records, &list);
  return left;
}

/* ---- how many ---- */

static bool may_record(struct connection_records *records) {
  uint64_t now = clock_nanoseconds(CLOCK_MONOTONIC),
           earned = (now - records->refilled) * RECORDS_PER_SECOND / NANOSECONDS;
  if (earned > 0) {
    records->tokens = records->tokens + earned < RECORDS_AT_ONCE ? records->tokens + earned : RECORDS_AT_ONCE;
    records->refilled = now;
  }
  if (records->tokens == 0) {
    records->left_out++;
    return false;
  }
  records->tokens--;
  return true;
}

static void report_losses(struct connection_records *records) {
  uint64_t now = clock_nanoseconds(CLOCK_MONOTONIC);
  if ((records->left_out == 0 && records->overruns == 0) ||
      (records->reported > 0 && now - records->reported < REPORT_SECONDS * NANOSECONDS)) {
    return;
  }
  struct announcement degraded = {
      .kind = "log-degraded",
      .severity = EVENT_WARNING,
      .reason = "connections",
      .advice_in_japanese = "接続の多い通信の log を \"none\" にするか、接続が急に増えた原因を調べてください",
      .advice_in_english =
          "give log = \"none\" to flows with very many connections, or find out why there are so many"};
  controller_announce(records->controller, &degraded,
                      "接続の記録を %" PRIu64 " 件省きました（毎秒 %d 件まで）。カーネルからの通知が %" PRIu64
                      " 回あふれました",
                      "%" PRIu64 " records of connections were left out (at most %d a second); the kernel's queue "
                      "overflowed %" PRIu64 " times",
                      records->left_out, RECORDS_PER_SECOND, records->overruns);
  records->left_out = records->overruns = 0;
  records->reported = now;
}

/* ---- why it ended ---- */

static struct packet opener_of(const struct connection *connection) {
  return (struct packet){.source = connection->original.source,
                         .destination = connection->original.destination,
                         .protocol = connection->protocol,
                         .source_port = connection->original.source_port,
                         .destination_port = connection->original.destination_port,
                         .icmp_type = connection->original.icmp_type,
                         .icmp_code = connection->original.icmp_code,
                         .tcp_flags = connection->protocol == IPPROTO_TCP ? TCP_SYN : 0};
}

/* Whether any flow in force would let it open now. */
static enum reason judge(const struct controller *controller, const struct connection *connection) {
  const struct policy *policy = controller->in_force->policy;
  const struct address_set *own = gate_own_addresses(controller->gate);
  const struct circumstances circumstances = {
      .now = controller_now(), .own = own, .restrictions = &controller->restrictions};
  const struct query query = {.packet = opener_of(connection),
                              .in_zone = policy_zone_of_address(policy, own, &connection->original.source),
                              .out_zone = policy_zone_of_address(policy, own, &connection->original.destination),
                              .role = ROLE_OPENS};
  return policy_decide(policy, &circumstances, &query).reason;
}

static bool is_cut(const struct controller *controller, const struct flow *flow, const struct connection *connection) {
  const struct restrictions *restrictions = &controller->restrictions;
  return restrictions_cut_address(restrictions, &connection->original.source) ||
         restrictions_cut_address(restrictions, &connection->original.destination) ||
         restrictions_cut_zones(restrictions, controller->in_force->policy, flow->from_zone, flow->to_zone);
}

/* NULL: by itself. */
static const char *why_ended(const struct controller *controller, const struct recorded_flow *flow,
                             const struct connection *connection) {
  if (!controller->in_force || (!flow->flow && judge(controller, connection) != REASON_FLOW)) {
    return "revoked";
  }
  if (!flow->flow) {
    return NULL;
  }
  if (is_cut(controller, flow->flow, connection)) {
    return reason_name(REASON_CUT);
  }
  enum force_state force = restricted_flow_force(controller->in_force->policy, &controller->restrictions, flow->flow,
                                                 controller_now(), NULL);
  return force == FORCE_EXPIRED          ? reason_name(REASON_EXPIRED)
         : force == FORCE_OUTSIDE_WINDOW ? reason_name(REASON_OUTSIDE_WINDOW)
                                         : NULL;
}

/* ---- one record ---- */

static bool has_ports(uint8_t protocol) {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

static bool is_icmp(uint8_t protocol) {
  return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

static struct event_time time_of(uint64_t nanoseconds) {
  return (struct event_time){.seconds = (int64_t)(nanoseconds / NANOSECONDS),
                             .microseconds = (int32_t)(nanoseconds % NANOSECONDS / 1000)};
}

/* "10.1.0.9:4000 → 10.2.0.9:80" */
static void write_ends(const struct connection *connection, char text[static MESSAGE_SIZE]) {
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE];
  address_format(&connection->original.source, source);
  address_format(&connection->original.destination, destination);
  if (has_ports(connection->protocol)) {
    snprintf(text, MESSAGE_SIZE, "%s port %u → %s port %u", source, connection->original.source_port, destination,
             connection->original.destination_port);
  } else {
    snprintf(text, MESSAGE_SIZE, "%s → %s", source, destination);
  }
}

static void write_message(const struct controller *controller, const struct event *event,
                          const struct connection *connection, char text[static MESSAGE_SIZE]) {
  bool japanese = controller_language(controller) == LANGUAGE_JAPANESE;
  char ends[MESSAGE_SIZE];
  write_ends(connection, ends);
  if (!event->traffic) {
    snprintf(text, MESSAGE_SIZE, japanese ? "%.100s: 接続が開きました（%.200s）" : "%.100s: connection opened (%.200s)",
             event->flow, ends);
    return;
  }
  snprintf(text, MESSAGE_SIZE,
           japanese ? "%.100s: 接続が終わりました（%.200s、送信 %" PRIu64 " バイト、受信 %" PRIu64 " バイト）"
                    : "%.100s: connection closed (%.200s, %" PRIu64 " bytes sent, %" PRIu64 " received)",
           event->flow, ends, event->traffic->bytes_sent, event->traffic->bytes_received);
}

static struct event event_of(const struct controller *controller, const struct recorded_flow *flow,
                             const struct connection *connection, uint64_t now) {
  const struct connection_tuple *tuple = &connection->original;
  bool ports = has_ports(connection->protocol);
  return (struct event){.time = time_of(now),
                        .first_seen = time_of(now),
                        .last_seen = time_of(now),
                        .count = 1,
                        .kind = "connection-opened",
                        .severity = EVENT_INFO,
                        .policy = controller->in_force ? controller->in_force->policy->header.number.text : NULL,
                        .zone = flow->from,
                        .other_zone = flow->to,
                        .source = tuple->source,
                        .destination = tuple->destination,
                        .protocol = connection->protocol,
                        .source_port = ports ? tuple->source_port : -1,
                        .destination_port = ports ? tuple->destination_port : -1,
                        .icmp_type = is_icmp(connection->protocol) ? tuple->icmp_type : -1,
                        .vlan = -1,
                        .flow = flow->name,
                        .bytes = connection->bytes[0] + connection->bytes[1],
                        .still_going = true};
}

static void write_record(const struct connection_records *records, const struct event *record,
                         const struct connection *connection) {
  const struct controller *controller = records->controller;
  struct event event = *record;
  const struct connection_tuple *tuple = &connection->original;
  char message[MESSAGE_SIZE], community[COMMUNITY_ID_SIZE];
  bool icmp = is_icmp(connection->protocol);
  event.community_id = community_id(
      &tuple->source, &tuple->destination, connection->protocol, icmp || has_ports(connection->protocol),
      icmp ? tuple->icmp_type : tuple->source_port, icmp ? tuple->icmp_code : tuple->destination_port, community);
  write_message(controller, &event, connection, message);
  event.message = message;
  struct arena *scratch = controller->in_force ? NULL : arena_new(0);
  const struct timezone *clock = controller->in_force ? controller->in_force->policy->header.timezone
                                 : scratch            ? timezone_load(scratch, "Asia/Tokyo")
                                                      : NULL;
  if (clock) {
    event_log_write(controller->log, &event, clock); /* a failure is counted there */
  }
  arena_free(scratch);
}

static void record_opened(struct connection_records *records, const struct recorded_flow *flow,
                          const struct connection *connection) {
  uint64_t now = connection->started > 0 ? connection->started : clock_nanoseconds(CLOCK_REALTIME);
  struct event event = event_of(records->controller, flow, connection, now);
  write_record(records, &event, connection);
}

static void record_closed(struct connection_records *records, const struct recorded_flow *flow,
                          const struct conntrack_event *ended, const char *reason) {
  const struct connection *connection = &ended->connection;
  uint64_t now = clock_nanoseconds(CLOCK_REALTIME), stopped = ended->stopped > 0 ? ended->stopped : now;
  struct event event = event_of(records->controller, flow, connection, now);
  bool known = connection->started > 0 && connection->started <= stopped;
  struct event_traffic traffic = {.milliseconds = known ? (int64_t)((stopped - connection->started) / 1000000) : -1,
                                  .packets_sent = connection->packets[0],
                                  .packets_received = connection->packets[1],
                                  .bytes_sent = connection->bytes[0],
                                  .bytes_received = connection->bytes[1]};
  event.kind = "connection-closed";
  event.first_seen = known ? time_of(connection->started) : event.time;
  event.last_seen = time_of(stopped);
  event.still_going = false;
  event.traffic = &traffic;
  event.reason = reason ? reason : connection->started < records->started ? "opened-before-start" : NULL;
  write_record(records, &event, connection);
}

/* ---- what happens ---- */

static bool was_told(struct connection_records *records, uint32_t id) {
  uint32_t *slot = &records->told[id % TOLD_ROOM];
  bool told = id != 0 && *slot == id;
  if (told) {
    *slot = 0;
  }
  return told;
}

/* The kernel kept them, but nothing passes on them any more. */
static void record_revoked(struct connection_records *records) {
  struct arena *arena = arena_new(0);
  struct connection_list list = {0};
  struct error ignored = {0};
  int result = arena ? conntrack_read(arena, &list, &ignored) : -ENOMEM;
  for (size_t i = 0; result == 0 && i < list.count; i++) {
    const struct connection *connection = &list.items[i];
    const struct recorded_flow *flow = connection->mark != 0 ? find_flow(records, connection->mark) : NULL;
    const char *reason = flow && !flow->flow ? why_ended(records->controller, flow, connection) : NULL;
    if (!reason || records->told[connection->id % TOLD_ROOM] == connection->id || !may_record(records)) {
      continue;
    }
    records->told[connection->id % TOLD_ROOM] = connection->id;
    record_closed(records, flow, &(struct conntrack_event){.connection = *connection}, reason);
  }
  arena_free(arena);
}

static void follow_policy(struct connection_records *records) {
  const struct controller *controller = records->controller;
  bool changed = records->publications != controller->publications || records->generation != controller->in_force;
  if (changed && learn_flows(records)) {
    record_revoked(records);
  }
}

static void take_event(const struct conntrack_event *event, void *context) {
  struct connection_records *records = context;
  const struct recorded_flow *flow = find_flow(records, event->connection.mark);
  if (!flow || (event->ended && !flow->flow && was_told(records, event->connection.id)) || !may_record(records)) {
    return;
  }
  if (event->ended) {
    record_closed(records, flow, event, why_ended(records->controller, flow, &event->connection));
  } else {
    record_opened(records, flow, &event->connection);
  }
}

static int on_event(sd_event_source *source, int fd, uint32_t events, void *context) {
  (void)source, (void)events;
  struct connection_records *records = context;
  follow_policy(records);
  records->overruns += conntrack_events_drain(fd, EVENTS_AT_ONCE, take_event, records);
  return 0;
}

static int on_follow(sd_event_source *source, uint64_t time, void *context) {
  (void)time;
  struct connection_records *records = context;
  follow_policy(records);
  report_losses(records);
  sd_event_source_set_time_relative(source, FOLLOW_SECONDS * MICROSECONDS);
  sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
  return 0;
}

static int start(struct connection_records *records, struct error *error) {
  sd_event *loop = records->controller->loop;
  int result = conntrack_events_open(&records->events, error);
  if (result == 0) {
    result = sd_event_add_io(loop, &records->on_event, records->events, EPOLLIN, on_event, records);
  }
  if (result >= 0) {
    result = sd_event_source_set_priority(records->on_event, SD_EVENT_PRIORITY_IDLE);
  }
  if (result >= 0) {
    result = sd_event_add_time_relative(loop, &records->following, CLOCK_MONOTONIC, FOLLOW_SECONDS * MICROSECONDS, 0,
                                        on_follow, records);
  }
  return result;
}

void controller_start_records(struct controller *controller) {
  struct connection_records *records = calloc(1, sizeof *records);
  struct error error = {0};
  int result = -ENOMEM;
  if (records) {
    controller->records = records;
    *records = (struct connection_records){.controller = controller,
                                           .events = -1,
                                           .started = clock_nanoseconds(CLOCK_REALTIME),
                                           .tokens = RECORDS_AT_ONCE,
                                           .refilled = clock_nanoseconds(CLOCK_MONOTONIC)};
    result = start(records, &error);
  }
  if (result < 0) {
    struct announcement degraded = {.kind = "log-degraded", .severity = EVENT_WARNING, .reason = "connections"};
    controller_announce(controller, &degraded, "接続を記録できません: %s", "connections cannot be recorded: %s",
                        error.message[0] != '\0' ? error.message : strerror(-result));
    controller_stop_records(controller);
  }
}

void controller_stop_records(struct controller *controller) {
  struct connection_records *records = controller->records;
  if (!records) {
    return;
  }
  sd_event_source_disable_unref(records->on_event);
  sd_event_source_disable_unref(records->following);
  if (records->events >= 0) {
    close(records->events);
  }
  arena_free(records->arena);
  free(records);
  controller->records = NULL;
}
