/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>

#include "kernel/surroundings_parts.h"

/*
 * Traffic control: every queueing discipline of every interface, its classes, and the filters of each. What a filter
 * does stands in a list of actions, in an attribute whose number depends on the kind of the filter. Those that can only
 * drop, count or sort are passed over; a redirect or a mirror is told with both interfaces; anything else may change or
 * move packets and is told as that. A list that runs on behind what we read, or a kind that we do not know, is told
 * too.
 */
enum { REQUEST_ROOM = 256, ACTION_LIMIT = 32, BACKLOG_LIMIT = 4096 };

/* Kinds of filters, and where their actions stand. */
static const struct classifier {
  const char *kind;
  unsigned actions;
} classifiers[] = {
    {"matchall", TCA_MATCHALL_ACT}, {"u32", TCA_U32_ACT},      {"flower", TCA_FLOWER_ACT},
    {"basic", TCA_BASIC_ACT},       {"fw", TCA_FW_ACT},        {"flow", TCA_FLOW_ACT},
    {"cgroup", TCA_CGROUP_ACT},     {"route", TCA_ROUTE4_ACT},
};

/* Actions that neither move nor change a packet. */
static const char *const harmless_actions[] = {"gact", "police", "sample", "simple"};

static bool is_harmless(const char *kind) {
  for (size_t i = 0; i < sizeof(harmless_actions) / sizeof(harmless_actions[0]); i++) {
    if (strcmp(kind, harmless_actions[i]) == 0) {
      return true;
    }
  }
  return false;
}

/* Where a filter hangs. */
struct filter_place {
  struct collection *collection;
  const char *link;
  const char *direction;
  const char *kind;
};

static const char *direction_of(uint32_t parent) {
  switch (parent) {
  case TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS):
  case TC_H_MAKE(TC_H_INGRESS, 0):
    return "ingress";
  case TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS):
  default:
    return "egress"; /* classes and other disciplines send */
  }
}

static int tell(const struct filter_place *place, const char *detail, const char *target,
                enum machine_fact_state state) {
  struct machine_fact fact = {
      .kind = "tc",
      .subject = arena_printf(place->collection->arena, "%s %s", place->link, place->direction),
      .detail = arena_printf(place->collection->arena, "%s: %s", place->kind, detail),
      .state = state,
      .links = {place->link, target},
  };
  for (size_t i = 0; i < place->collection->result->link_count; i++) {
    struct link *link = &place->collection->result->links[i];
    if (strcmp(link->name, place->link) == 0 && !link->tc_filters) {
      link->tc_filters = true;
      link->tc_detail = arena_printf(place->collection->arena, "%s %s", place->direction, fact.detail);
    }
  }
  return collection_add_fact(place->collection, &fact);
}

static int take_mirred(const struct filter_place *place, const struct nlattr *options) {
  static const char *const actions[] = {[TCA_EGRESS_REDIR] = "egress redirect",
                                        [TCA_EGRESS_MIRROR] = "egress mirror",
                                        [TCA_INGRESS_REDIR] = "ingress redirect",
                                        [TCA_INGRESS_MIRROR] = "ingress mirror"};
  const struct nlattr *parameters = nested_attribute(options, TCA_MIRRED_PARMS);
  struct tc_mirred mirred;
  if (parameters == NULL || mnl_attr_get_payload_len(parameters) < sizeof(mirred)) {
    return tell(place, "mirred", NULL, FACT_UNKNOWN);
  }
  memcpy(&mirred, mnl_attr_get_payload(parameters), sizeof(mirred));
  bool named = mirred.eaction > 0 && (size_t)mirred.eaction < sizeof(actions) / sizeof(actions[0]);
  if (mirred.ifindex == 0) { /* a block of interfaces, on newer kernels */
    return tell(place, "mirred to a block", NULL, FACT_UNKNOWN);
  }
  const char *target = collection_link_name(place->collection, mirred.ifindex);
  const char *action = named ? actions[mirred.eaction] : "?";
  return tell(place, arena_printf(place->collection->arena, "mirred %s to %s", action, target), target,
              named ? FACT_BAD : FACT_UNKNOWN);
}

static int take_action(const struct filter_place *place, const struct nlattr *action) {
  const char *kind = attribute_text(nested_attribute(action, TCA_ACT_KIND));
  if (kind == NULL) {
    return tell(place, "an action without a name", NULL, FACT_UNKNOWN);
  }
  if (is_harmless(kind)) {
    return 0;
  }
  if (strcmp(kind, "mirred") == 0) {
    return take_mirred(place, nested_attribute(action, TCA_ACT_OPTIONS));
  }
  return tell(place, arena_printf(place->collection->arena, "action %s", kind), NULL, FACT_UNKNOWN);
}

static int take_actions(const struct filter_place *place, const struct nlattr *actions) {
  struct attribute_walk walk;
  attribute_walk_start(&walk, actions);
  const struct nlattr *action;
  unsigned count = 0;
  int status = 0;
  while (status == 0 && count++ < ACTION_LIMIT && (action = attribute_walk_next(&walk)) != NULL) {
    status = take_action(place, action);
  }
  return status != 0 || !walk.malformed ? status : tell(place, "actions that do not add up", NULL, FACT_UNKNOWN);
}

static const struct classifier *find_classifier(const char *kind) {
  for (size_t i = 0; i < sizeof(classifiers) / sizeof(classifiers[0]); i++) {
    if (strcmp(classifiers[i].kind, kind) == 0) {
      return &classifiers[i];
    }
  }
  return NULL;
}

/* A program: its name tells people which. */
static int take_bpf(const struct filter_place *place, const struct nlattr *options) {
  const char *name = attribute_text(nested_attribute(options, TCA_BPF_NAME));
  return tell(place, arena_printf(place->collection->arena, "program %s", name != NULL ? name : "?"), NULL,
              FACT_UNKNOWN);
}

static int take_filter(void *context, const struct nlmsghdr *message) {
  struct collection *collection = context;
  const struct tcmsg *header = mnl_nlmsg_get_payload(message);
  enum { SIZE = sizeof(*header) };
  const char *kind = attribute_text(message_attribute(message, SIZE, TCA_KIND));
  const struct nlattr *options = message_attribute(message, SIZE, TCA_OPTIONS);
  bool block = (uint32_t)header->tcm_ifindex == TCM_IFINDEX_MAGIC_BLOCK;
  const struct filter_place place = {
      .collection = collection,
      .link = block ? "a shared block" : collection_link_name(collection, (unsigned)header->tcm_ifindex),
      .direction = block ? "filters" : direction_of(header->tcm_parent),
      .kind = kind != NULL ? arena_strdup(collection->arena, kind) : "?",
  };
  const struct classifier *classifier = find_classifier(place.kind);
  if (options == NULL) {
    return 0; /* the kernel names each priority once before its filters */
  }
  if (strcmp(place.kind, "bpf") == 0) {
    return take_bpf(&place, options);
  }
  if (classifier == NULL) {
    return tell(&place, "a filter that is not known", NULL, FACT_UNKNOWN);
  }
  const struct nlattr *actions = nested_attribute(options, classifier->actions);
  return actions != NULL ? take_actions(&place, actions) : 0;
}

int filters_take(struct collection *collection, const void *data, size_t length) {
  return messages_each(data, length, RTM_NEWTFILTER, sizeof(struct tcmsg), take_filter, collection);
}

/* ---- which disciplines and classes there are ---- */

struct parent {
  unsigned link;
  uint32_t handle;
};

/* Parents of filters that are still to be asked for. */
struct backlog {
  struct collection *collection;
  struct parent *items;
  size_t count, capacity;
};

static int remember(struct backlog *backlog, unsigned link, uint32_t handle) {
  if (arena_grow(backlog->collection->arena, (void **)&backlog->items, backlog->count, &backlog->capacity,
                 sizeof(*backlog->items)) < 0) {
    return -ENOMEM;
  }
  backlog->items[backlog->count++] = (struct parent){link, handle};
  return 0;
}

/* These have no filters. */
static bool is_plain(const char *kind) {
  static const char *const plain[] = {"noqueue", "noop", "pfifo_fast", "pfifo", "bfifo", "mq", "fq", "pfifo_head_drop"};
  for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
    if (strcmp(kind, plain[i]) == 0) {
      return true;
    }
  }
  return false;
}

static int take_discipline(void *context, const struct nlmsghdr *message) {
  struct backlog *backlog = context;
  const struct tcmsg *header = mnl_nlmsg_get_payload(message);
  const char *kind = attribute_text(message_attribute(message, sizeof(*header), TCA_KIND));
  if (kind == NULL || is_plain(kind)) {
    return 0;
  }
  unsigned link = (unsigned)header->tcm_ifindex;
  if (strcmp(kind, "clsact") == 0) {
    int status = remember(backlog, link, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS));
    return status < 0 ? status : remember(backlog, link, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS));
  }
  return remember(backlog, link, header->tcm_handle);
}

static int take_class(void *context, const struct nlmsghdr *message) {
  struct backlog *backlog = context;
  const struct tcmsg *header = mnl_nlmsg_get_payload(message);
  return remember(backlog, (unsigned)header->tcm_ifindex, header->tcm_handle);
}

static int ask(struct collection *collection, uint16_t type, const struct parent *parent,
               struct netlink_answer *ret_answer) {
  _Alignas(struct nlmsghdr) char buffer[REQUEST_ROOM] = {0};
  struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = type;
  request->nlmsg_flags = NLM_F_DUMP;
  struct tcmsg *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
  header->tcm_ifindex = (int)parent->link;
  header->tcm_parent = parent->handle;
  if (type == RTM_GETQDISC) {
    mnl_attr_put(request, TCA_DUMP_INVISIBLE, 0, NULL);
  }
  return collection_ask(collection, request, ret_answer);
}

/* Classes of everything on the list that can have some. */
static int add_classes(struct backlog *backlog) {
  size_t disciplines = backlog->count;
  unsigned asked = 0;
  int status = 0;
  for (size_t i = 0; status == 0 && i < disciplines; i++) {
    unsigned link = backlog->items[i].link;
    if (link == asked || TC_H_MAJ(backlog->items[i].handle) == TC_H_MAJ(TC_H_INGRESS)) {
      continue;
    }
    asked = link;
    struct netlink_answer answer = {0};
    status = ask(backlog->collection, RTM_GETTCLASS, &(struct parent){.link = link}, &answer);
    if (status == 0) {
      status = messages_each(answer.data, answer.length, RTM_NEWTCLASS, sizeof(struct tcmsg), take_class, backlog);
    }
    netlink_answer_free(&answer);
    status = status == -ENODEV || status == -EINVAL ? 0 : status; /* it has gone meanwhile */
  }
  return status;
}

static int ask_filters(struct collection *collection, const struct parent *parent) {
  struct netlink_answer answer = {0};
  int status = ask(collection, RTM_GETTFILTER, parent, &answer);
  if (status == 0) {
    status = filters_take(collection, answer.data, answer.length);
  }
  netlink_answer_free(&answer);
  return status == -ENODEV || status == -EINVAL ? 0 : status;
}

static int ask_disciplines(struct backlog *backlog) {
  struct netlink_answer answer = {0};
  int status = ask(backlog->collection, RTM_GETQDISC, &(struct parent){0}, &answer);
  if (status == 0) {
    status = messages_each(answer.data, answer.length, RTM_NEWQDISC, sizeof(struct tcmsg), take_discipline, backlog);
  }
  netlink_answer_free(&answer);
  return status == 0 ? add_classes(backlog) : status;
}

int collect_traffic_control(struct collection *collection) {
  struct backlog backlog = {.collection = collection};
  int status = ask_disciplines(&backlog);
  for (size_t i = 0; status == 0 && i < backlog.count && i < BACKLOG_LIMIT; i++) {
    status = ask_filters(collection, &backlog.items[i]);
  }
  if (status == 0 && backlog.count > BACKLOG_LIMIT) {
    return collection_add_failure(collection, "tc", "RTM_GETTFILTER", E2BIG);
  }
  return status == 0 || status == -ENOMEM ? status
                                          : collection_add_failure(collection, "tc", "RTM_GETTFILTER", -status);
}
