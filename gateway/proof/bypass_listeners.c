/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "proof/bypass_parts.h"

/*
 * A program that takes what comes in from two zones can carry from one to the other. What a flow to the gateway names
 * is what the town approved, and is listed as assumed; what no flow names stands behind our rules, and is told all the
 * same: nothing of it is meant to be there. Sockets of one process count together; those of a process that cannot be
 * seen count by themselves.
 */
struct zone_marks {
  zone_index first, second; /* two different zones, or ZONE_NONE */
};

static void mark_zone(struct zone_marks *marks, zone_index zone) {
  if (zone == ZONE_NONE || zone == marks->first) {
    return;
  }
  if (marks->first == ZONE_NONE) {
    marks->first = zone;
  } else if (marks->second == ZONE_NONE) {
    marks->second = zone;
  }
}

static void mark_all(const struct search *search, struct zone_marks *marks) {
  for (size_t i = 0; i < search->policy->zone_count; i++) {
    if (search->policy->zones[i].interface_count > 0) {
      mark_zone(marks, (zone_index)i);
    }
  }
}

static bool is_loopback(const struct address *address) {
  static const uint8_t loopback6[16] = {[15] = 1};
  return address->family == FAMILY_IPV4 ? address->bytes[0] == 127
                                        : memcmp(address->bytes, loopback6, sizeof(loopback6)) == 0;
}

static void mark_listener(const struct search *search, const struct listener *listener, struct zone_marks *marks) {
  if (listener->link != NULL) {
    mark_zone(marks, search_zone_of(search, listener->link));
  } else if (listener->packet || listener->address.family == FAMILY_NONE) {
    mark_all(search, marks);
  } else if (!is_loopback(&listener->address)) {
    mark_zone(marks, policy_zone_of_address(search->policy, NULL, &listener->address));
  }
}

/* kido's own: what the watchman hears is what it is there for. */
static bool is_own(const struct listener *listener) {
  static const char *const own[] = {"kidod", "kidoban", "kido"};
  bool found = false;
  for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
    found = found || strcmp(listener->program, own[i]) == 0;
  }
  return found;
}

static bool together(const struct listener *left, const struct listener *right) {
  return left == right || (left->packet == right->packet && left->process != 0 && left->process == right->process);
}

/* ---- flows that name it ---- */

static bool flow_names(const struct flow *flow, const struct listener *listener) {
  bool covered = false;
  for (size_t i = 0; flow->to_zone == ZONE_GATEWAY && i < flow->service_count; i++) {
    const struct service *service = &flow->services[i];
    covered = covered || (service->protocol == listener->protocol && listener->port >= service->first_port &&
                          listener->port <= service->last_port);
  }
  return covered;
}

static const struct flow *naming_flow(const struct search *search, const struct listener *listener) {
  for (size_t i = 0; i < search->policy->flow_count; i++) {
    if (flow_names(&search->policy->flows[i], listener)) {
      return &search->policy->flows[i];
    }
  }
  return NULL;
}

/* ---- one program ---- */

struct program {
  const struct listener *first;
  struct zone_marks unnamed, named;
  const char *sockets; /* of those that no flow names; of all, where there are none */
  const char *flows;
};

static const char *socket_text(const struct search *search, const struct listener *listener) {
  const char *protocol = listener->protocol == IPPROTO_TCP ? "tcp" : "udp";
  char address[ADDRESS_TEXT_SIZE] = "*";
  if (listener->packet) {
    return listener->link != NULL ? listener->link : "*";
  }
  if (listener->address.family != FAMILY_NONE) {
    address_format(&listener->address, address);
  }
  return search_printf(search, "%s/%u (%s)", protocol, listener->port, listener->link ? listener->link : address);
}

static const char *append(const struct search *search, const char *list, const char *word) {
  return list == NULL || word == NULL ? NULL : search_printf(search, "%s%s%s", list, list[0] != '\0' ? ", " : "", word);
}

static void add_socket(const struct search *search, struct program *program, const struct listener *listener) {
  const struct flow *flow = listener->packet ? NULL : naming_flow(search, listener);
  if (flow != NULL) {
    for (size_t i = 0; i < search->policy->flow_count; i++) {
      const struct flow *one = &search->policy->flows[i];
      if (flow_names(one, listener)) {
        mark_zone(&program->named, one->from_zone);
        program->flows = append(search, program->flows, one->name);
      }
    }
    return;
  }
  struct zone_marks marks = {ZONE_NONE, ZONE_NONE};
  mark_listener(search, listener, &marks);
  mark_zone(&program->unnamed, marks.first);
  mark_zone(&program->unnamed, marks.second);
  if (marks.first != ZONE_NONE) {
    program->sockets = append(search, program->sockets, socket_text(search, listener));
  }
}

static const char *name_of(const struct search *search, const struct listener *listener) {
  if (listener->program[0] == '\0') {
    return search_words(search, "あるプログラム（見る権限がありません）", "a program that cannot be seen from here");
  }
  return search_printf(search, "%s (%u)", listener->program, listener->process);
}

static int tell_packet(struct search *search, const struct program *program) {
  bool seen = program->first->program[0] != '\0';
  const struct bypass finding = {
      .kind = "packet-socket",
      .state = seen ? BYPASS_UNKNOWN : BYPASS_ASSUMED,
      .left = program->unnamed.first,
      .right = program->unnamed.second,
  };
  return search_add(
      search, &finding,
      search_printf(search,
                    search_words(search, "%s がパケットソケットを開いています（%s）", "%s has packet sockets (%s)"),
                    name_of(search, program->first), program->sockets));
}

static int tell_unnamed(struct search *search, const struct program *program) {
  const struct bypass finding = {
      .kind = "listener",
      .state = program->first->passing ? BYPASS_ASSUMED : BYPASS_UNKNOWN,
      .left = program->unnamed.first,
      .right = program->unnamed.second,
  };
  return search_add(search, &finding,
                    search_printf(search,
                                  search_words(search, "%s が二つ以上の領域で待ち受けています（%s）。方針にありません",
                                               "%s listens in more than one zone (%s), and no flow names it"),
                                  name_of(search, program->first), program->sockets));
}

static int tell_named(struct search *search, const struct program *program) {
  const struct bypass finding = {
      .kind = "listener", .state = BYPASS_ASSUMED, .left = program->named.first, .right = program->named.second};
  return search_add(
      search, &finding,
      search_printf(search,
                    search_words(search, "%s は %s により二つ以上の領域から通信を受けます。間を中継しないとみなします",
                                 "%s takes connections from more than one zone by %s: that it does not "
                                 "carry between them is taken for granted"),
                    name_of(search, program->first), program->flows));
}

static int judge_program(struct search *search, size_t index) {
  const struct surroundings *surroundings = search->surroundings;
  const struct listener *first = &surroundings->listeners[index];
  struct program program = {
      .first = first, .unnamed = {ZONE_NONE, ZONE_NONE}, .named = {ZONE_NONE, ZONE_NONE}, .sockets = "", .flows = ""};
  for (size_t i = 0; i < surroundings->listener_count; i++) {
    const struct listener *other = &surroundings->listeners[i];
    if (together(first, other) && i < index) {
      return 0; /* told with the first of them */
    }
    if (together(first, other)) {
      add_socket(search, &program, other);
    }
  }
  if (program.sockets == NULL || program.flows == NULL) {
    return -ENOMEM;
  }
  int status = program.named.second == ZONE_NONE ? 0 : tell_named(search, &program);
  if (status != 0 || program.unnamed.second == ZONE_NONE) {
    return status;
  }
  return first->packet ? tell_packet(search, &program) : tell_unnamed(search, &program);
}

int search_for_listeners(struct search *search) {
  int status = 0;
  for (size_t i = 0; status == 0 && i < search->surroundings->listener_count; i++) {
    status = is_own(&search->surroundings->listeners[i]) ? 0 : judge_program(search, i);
  }
  return status;
}
