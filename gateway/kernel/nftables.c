/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Reading: a dump of nf_tables is not one moment. The kernel flags some interrupted dumps, not those of elements; but
 * every message carries the low half of the generation in nfgenmsg.res_id. So: ask the generation, dump everything on
 * a fresh socket, require the mark on each message, ask again. If anything moved, the bytes are thrown away and all is
 * asked anew. Only a consistent answer is parsed.
 *
 * Sending: one phase is one datagram and one transaction, with the generation that the difference was computed against
 * (the kernel refuses it when another has committed since). Each commit raises the generation by one, so the phases of
 * one apply follow each other without asking. Nothing is acknowledged but the last message; complaints come for each
 * message that fails, and lead back to the operation by sequence number and to the element by attribute offset.
 *
 * An acknowledgement is not a commit, and a lost one not a failure: nftables_apply() believes only what it reads back.
 */
#include "kernel/nftables.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "kernel/netlink.h"
#include "kernel/nftables_attributes.h"
#include "kernel/nftables_build.h"
#include "kernel/nftables_parse.h"

enum {
  READ_ATTEMPTS = 20,
  APPLY_ATTEMPTS = 5,
  REQUEST_ROOM = 1024,
  PAUSE_NANOSECONDS = 2 * 1000 * 1000, /* longer with every attempt */
  GENERATION_MARK = 0xffff,
};

struct nftables {
  char what[RULESET_NAME_MAX + 80]; /* text of the last refusal */
};

int nftables_open(struct nftables **ret_nftables, struct error *error) {
  struct nftables *nftables = calloc(1, sizeof(*nftables));
  if (nftables == NULL) {
    return error_set(error, ENOMEM, "no memory for a netlink socket");
  }
  struct netlink *netlink = NULL;
  int status = netlink_open(NETLINK_NETFILTER, &netlink, error);
  if (status < 0) {
    free(nftables);
    return status;
  }
  netlink_close(netlink);
  *ret_nftables = nftables;
  return 0;
}

struct nftables *nftables_close(struct nftables *nftables) {
  free(nftables);
  return NULL;
}

/* ---- time ---- */

static int64_t clock_milliseconds(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* The instant in milliseconds: when it is the present second, with the part of it that has passed. */
static int64_t instant_milliseconds(struct instant now) {
  int64_t real = clock_milliseconds(CLOCK_REALTIME);
  return real / 1000 == now.seconds ? real : now.seconds * 1000;
}

static void pause_after(unsigned attempt) {
  struct timespec time = {.tv_nsec = PAUSE_NANOSECONDS * (long)(attempt + 1)};
  nanosleep(&time, NULL);
}

/* ---- reading ---- */

/* A request on a buffer of REQUEST_ROOM bytes; names: attribute types and texts up to a zero type. */
struct request_name {
  uint16_t type;
  const char *text;
};

static struct nlmsghdr *build_request(char *buffer, enum nf_tables_msg_types type, uint16_t flags,
                                      const struct request_name names[static 2]) {
  struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
  request->nlmsg_flags = flags;
  struct nfgenmsg *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
  header->nfgen_family = type == NFT_MSG_GETGEN ? NFPROTO_UNSPEC : NFPROTO_INET;
  header->version = NFNETLINK_V0;
  for (size_t i = 0; i < 2 && names[i].type != 0; i++) {
    mnl_attr_put_strz(request, names[i].type, names[i].text);
  }
  return request;
}

static int ask(struct netlink *netlink, enum nf_tables_msg_types type, uint16_t flags,
               const struct request_name names[static 2], int marker, struct netlink_answer *answer,
               struct error *error) {
  _Alignas(struct nlmsghdr) char buffer[REQUEST_ROOM];
  return netlink_request(netlink, build_request(buffer, type, flags, names), marker, answer, error);
}

static const struct request_name no_names[2];

static int ask_generation(struct netlink *netlink, uint32_t *ret_generation, struct error *error) {
  struct netlink_answer answer = {0};
  int status = ask(netlink, NFT_MSG_GETGEN, 0, no_names, -1, &answer, error);
  if (status == 0) {
    struct attributes attributes = {0};
    if (answer.length >= NLMSG_HDRLEN) {
      attributes_split_message((const struct nlmsghdr *)(const void *)answer.data, sizeof(struct nfgenmsg), UINT32_MAX,
                               &attributes);
    }
    uint32_t generation = attributes_u32(&attributes, NFTA_GEN_ID, 0);
    if (generation == 0) {
      status = error_set(error, EBADMSG, "the kernel does not say its generation");
    } else {
      *ret_generation = generation;
    }
  }
  netlink_answer_free(&answer);
  return status;
}

int nftables_generation(struct nftables *nftables, uint32_t *ret_generation, struct error *error) {
  (void)nftables;
  struct netlink *netlink = NULL;
  int status = netlink_open(NETLINK_NETFILTER, &netlink, error);
  if (status == 0) {
    status = ask_generation(netlink, ret_generation, error);
  }
  netlink_close(netlink);
  return status;
}

/* The dumps besides the elements, in the order that the parser wants. */
struct dump {
  enum nf_tables_msg_types type;
  uint16_t table_attribute; /* 0: the kernel filters nothing, the parser does */
};

static const struct dump dumps[] = {
    {NFT_MSG_GETCHAIN, 0},
    {NFT_MSG_GETRULE, NFTA_RULE_TABLE},
    {NFT_MSG_GETOBJ, NFTA_OBJ_TABLE},
    {NFT_MSG_GETFLOWTABLE, NFTA_FLOWTABLE_TABLE},
    {NFT_MSG_GETSET, NFTA_SET_TABLE},
};

/* One attempt's conversation. */
struct reading {
  struct netlink *netlink;
  const char *table;
  int marker;
  struct netlink_answer answer;
  size_t sets_start; /* where the answer about sets begins */
};

static int dump_elements(struct reading *reading, const struct nlmsghdr *message, struct error *error) {
  struct attributes attributes;
  attributes_split_message(message, sizeof(struct nfgenmsg), UINT32_MAX, &attributes);
  const char *name = attributes_string(&attributes, NFTA_SET_NAME);
  if (name == NULL) {
    return 0;
  }
  char copy[NFT_NAME_MAXLEN];
  snprintf(copy, sizeof(copy), "%s", name); /* the answer moves while it grows */
  const struct request_name names[2] = {{NFTA_SET_ELEM_LIST_TABLE, reading->table}, {NFTA_SET_ELEM_LIST_SET, copy}};
  return ask(reading->netlink, NFT_MSG_GETSETELEM, NLM_F_DUMP, names, reading->marker, &reading->answer, error);
}

/* Asks for the elements of every set in the part of the answer that lists sets. */
static int dump_all_elements(struct reading *reading, struct error *error) {
  size_t end = reading->answer.length;
  size_t position = reading->sets_start;
  while (end - position >= NLMSG_HDRLEN) {
    const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)(reading->answer.data + position);
    size_t step = netlink_align(message->nlmsg_len);
    if (message->nlmsg_len < NLMSG_HDRLEN || step > end - position) {
      return error_set(error, EBADMSG, "the kernel's list of sets is garbled");
    }
    if (message->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSET)) {
      int status = dump_elements(reading, message, error);
      if (status < 0) {
        return status;
      }
    }
    position += step;
  }
  return 0;
}

static int dump_table(struct reading *reading, struct error *error) {
  for (size_t i = 0; i < sizeof(dumps) / sizeof(dumps[0]); i++) {
    const struct request_name names[2] = {{dumps[i].table_attribute, reading->table}};
    reading->sets_start = reading->answer.length;
    int status = ask(reading->netlink, dumps[i].type, NLM_F_DUMP, names, reading->marker, &reading->answer, error);
    if (status < 0) {
      return status;
    }
  }
  return dump_all_elements(reading, error);
}

/* Everything of the table at one generation; -EINTR when it moved meanwhile. */
static int record_table(struct reading *reading, uint32_t *ret_generation, struct error *error) {
  uint32_t before = 0;
  uint32_t after = 0;
  int status = ask_generation(reading->netlink, &before, error);
  if (status < 0) {
    return status;
  }
  reading->marker = (int)(before & GENERATION_MARK);
  const struct request_name names[2] = {{NFTA_TABLE_NAME, reading->table}};
  status = ask(reading->netlink, NFT_MSG_GETTABLE, 0, names, reading->marker, &reading->answer, error);
  if (status == -ENOENT) {
    status = 0;
  } else if (status == 0) {
    status = dump_table(reading, error);
    status = status == -ENOENT ? -EINTR : status; /* it was there a moment ago */
  }
  if (status == 0) {
    status = ask_generation(reading->netlink, &after, error);
  }
  if (status == 0 && before != after) {
    status = -EINTR;
  }
  if (status == 0) {
    *ret_generation = before;
  }
  return status;
}

/* Reads until it is consistent. Answer and generation are written on success. */
static int record_consistently(const char *table, struct netlink_answer *ret_answer, uint32_t *ret_generation,
                               struct error *error) {
  int status = -EINTR;
  for (unsigned attempt = 0; status == -EINTR && attempt < READ_ATTEMPTS; attempt++) {
    if (attempt > 0) {
      pause_after(attempt);
    }
    struct reading reading = {.table = table};
    status = netlink_open(NETLINK_NETFILTER, &reading.netlink, error);
    if (status == 0) {
      status = record_table(&reading, ret_generation, error);
    }
    netlink_close(reading.netlink);
    if (status == 0) {
      *ret_answer = reading.answer;
    } else {
      netlink_answer_free(&reading.answer);
    }
  }
  if (status == -EINTR) {
    return error_set(error, EAGAIN, "the kernel's ruleset kept changing while it was read");
  }
  return status;
}

static int read_at(const char *table, int64_t now, struct arena *arena, struct ruleset **ret_ruleset,
                   struct error *error) {
  struct netlink_answer answer = {0};
  uint32_t generation = 0;
  int status = record_consistently(table, &answer, &generation, error);
  if (status != 0) {
    error_wrap(error, "cannot read the table '%s'", table);
    return status;
  }
  struct nftables_parser *parser = nftables_parser_new(arena, table, now);
  if (parser == NULL) {
    error_set(error, ENOMEM, "no memory for the ruleset that was read");
    status = -ENOMEM;
  } else {
    status = nftables_parser_feed(parser, answer.data, answer.length, error);
  }
  if (status == 0) {
    status = nftables_parser_finish(parser, generation, ret_ruleset, error);
  }
  netlink_answer_free(&answer);
  return status;
}

int nftables_read(struct nftables *nftables, const char *table, struct instant now, struct arena *arena,
                  struct ruleset **ret_ruleset, struct error *error) {
  (void)nftables;
  return read_at(table, instant_milliseconds(now), arena, ret_ruleset, error);
}

/* ---- sending ---- */

static bool origin_known(const struct origin *origin) {
  return origin->subject != NULL && origin->subject[0] != '\0';
}

/* From the smallest part to the largest: the first that has an origin. */
static struct origin blamed_origin(const struct batch_blame *blame) {
  const struct operation *operation = blame->operation;
  const struct origin *origins[] = {
      blame->element != NULL ? &blame->element->origin : NULL,
      operation->rule != NULL ? &operation->rule->origin : NULL,
      operation->set != NULL ? &operation->set->origin : NULL,
      operation->chain != NULL ? &operation->chain->origin : NULL,
      operation->counter != NULL ? &operation->counter->origin : NULL,
  };
  for (size_t i = 0; i < sizeof(origins) / sizeof(origins[0]); i++) {
    if (origins[i] != NULL && origin_known(origins[i])) {
      return *origins[i];
    }
  }
  return (struct origin){.subject = ""};
}

static void describe_blame(struct nftables *nftables, const struct batch_blame *blame) {
  const struct operation *operation = blame->operation;
  const char *kind = "table";
  const char *name = "";
  if (operation->set != NULL) {
    kind = operation->elements == NULL ? "set" : blame->element != NULL ? "element of set" : "elements of set";
    name = operation->set->name;
  } else if (operation->chain != NULL) {
    kind = operation->rule != NULL ? "rule of chain" : "chain";
    name = operation->chain->name;
  } else if (operation->counter != NULL) {
    kind = "counter";
    name = operation->counter->name;
  }
  snprintf(nftables->what, sizeof(nftables->what), "%s '%s'", kind, name);
}

static void note_refusal(struct nftables *nftables, const struct nftables_batch *batch,
                         const struct netlink_complaint *complaint, struct refusal *refusal) {
  struct batch_blame blame;
  *refusal = (struct refusal){.origin = {.subject = ""}};
  if (nftables_batch_find(batch, complaint->sequence, complaint->attribute_offset, &blame)) {
    describe_blame(nftables, &blame);
    refusal->what = nftables->what;
    refusal->origin = blamed_origin(&blame);
    refusal->known = origin_known(&refusal->origin);
  }
}

static int report_complaint(struct nftables *nftables, const struct nftables_batch *batch,
                            const struct netlink_complaint *complaint, struct refusal *ret_refusal,
                            struct error *error) {
  if (complaint->code == ERESTART) {
    return error_set(error, ERESTART, "the kernel's ruleset changed in between");
  }
  struct refusal refusal;
  note_refusal(nftables, batch, complaint, &refusal);
  if (ret_refusal != NULL) {
    *ret_refusal = refusal;
  }
  return error_set(error, complaint->code, "the kernel refuses the %s%s%s%s: %s%s%s",
                   refusal.what != NULL ? refusal.what : "transaction", refusal.known ? " of " : "",
                   refusal.known ? refusal.origin.subject : "", "", strerror(complaint->code),
                   complaint->message[0] != '\0' ? ": " : "", complaint->message);
}

static int send_batch(struct nftables *nftables, const struct nftables_batch *batch, struct refusal *ret_refusal,
                      struct error *error) {
  struct netlink *netlink = NULL;
  int status = netlink_open(NETLINK_NETFILTER, &netlink, error);
  if (status != 0) {
    return status;
  }
  struct netlink_complaint complaint = {0};
  bool acknowledged = false;
  status = netlink_send_batch(netlink, batch->data, batch->length, nftables_batch_last_sequence(batch), &complaint,
                              &acknowledged, error);
  netlink_close(netlink);
  if (status == 0 && complaint.code != 0) {
    status = report_complaint(nftables, batch, &complaint, ret_refusal, error);
  }
  return status;
}

static int build_batch(struct nftables_batch *batch, const struct delta *delta, enum phase phase, int64_t now,
                       uint32_t generation, struct error *error) {
  const struct phase_operations *operations = &delta->phases[phase];
  int status = nftables_batch_begin(batch, delta->table, now, generation, 1, error);
  for (size_t i = 0; status == 0 && i < operations->count; i++) {
    status = nftables_batch_add(batch, &operations->items[i], error);
  }
  return status == 0 ? nftables_batch_end(batch, error) : status;
}

static int send_at(struct nftables *nftables, const struct delta *delta, enum phase phase, int64_t now,
                   uint32_t generation, struct refusal *ret_refusal, struct error *error) {
  if (delta->phases[phase].count == 0) {
    return 0;
  }
  struct nftables_batch batch;
  int status = build_batch(&batch, delta, phase, now, generation, error);
  if (status == 0) {
    status = send_batch(nftables, &batch, ret_refusal, error);
  }
  nftables_batch_free(&batch);
  return status;
}

int nftables_send(struct nftables *nftables, const struct delta *delta, enum phase phase, struct instant now,
                  uint32_t generation, struct refusal *ret_refusal, struct error *error) {
  return send_at(nftables, delta, phase, instant_milliseconds(now), generation, ret_refusal, error);
}

/* ---- applying ---- */

/* One apply, over its attempts. Time goes on from the caller's instant by the machine's steady clock. */
struct application {
  struct nftables *nftables;
  const struct ruleset *wanted;
  int64_t now;
  int64_t started;
  size_t changes;
  struct refusal *refusal;
  struct error *error;
};

static int64_t application_now(const struct application *application) {
  return application->now + clock_milliseconds(CLOCK_BOOTTIME) - application->started;
}

static bool element_ended(const struct element *element, int64_t now) {
  return element->expires.seconds <= now / 1000;
}

static int copy_living_elements(const struct set *from, int64_t now, struct arena *arena, struct set *set) {
  set->elements = ARENA_ARRAY(arena, from->element_count, struct element);
  if (set->elements == NULL) {
    return -ENOMEM;
  }
  set->element_count = 0;
  for (size_t i = 0; i < from->element_count; i++) {
    if (!element_ended(&from->elements[i], now)) {
      set->elements[set->element_count++] = from->elements[i];
    }
  }
  return 0;
}

static bool any_ended(const struct set *set, int64_t now) {
  for (size_t i = 0; set->timeouts && i < set->element_count; i++) {
    if (element_ended(&set->elements[i], now)) {
      return true;
    }
  }
  return false;
}

/* What is wanted at this moment: elements whose end has come would not stay in the kernel. */
static int living_ruleset(const struct ruleset *from, int64_t now, struct arena *arena,
                          const struct ruleset **ret_ruleset) {
  struct ruleset *copy = NULL;
  for (size_t i = 0; i < from->set_count; i++) {
    if (!any_ended(&from->sets[i], now)) {
      continue;
    }
    if (copy == NULL) {
      copy = arena_memdup(arena, from, sizeof(*from));
      struct set *sets = arena_memdup(arena, from->sets, from->set_count * sizeof(*from->sets));
      if (copy == NULL || sets == NULL) {
        return -ENOMEM;
      }
      copy->sets = sets;
    }
    if (copy_living_elements(&from->sets[i], now, arena, &copy->sets[i]) < 0) {
      return -ENOMEM;
    }
  }
  *ret_ruleset = copy != NULL ? copy : from;
  return 0;
}

static uint32_t next_generation(uint32_t generation) {
  return generation + 1 == 0 ? 1 : generation + 1;
}

static int send_phases(struct application *application, const struct delta *delta, uint32_t generation) {
  for (unsigned phase = 0; phase < PHASE_COUNT_; phase++) {
    if (delta->phases[phase].count == 0) {
      continue;
    }
    int status = send_at(application->nftables, delta, (enum phase)phase, application_now(application), generation,
                         application->refusal, application->error);
    if (status != 0) {
      return status;
    }
    application->changes += delta->phases[phase].count;
    generation = next_generation(generation);
  }
  return 0;
}

/* Reads back; -EAGAIN with the first difference when it is not what is wanted. */
static int confirm(struct application *application, struct arena *arena) {
  struct ruleset *found = NULL;
  const struct ruleset *wanted = NULL;
  const char *what = NULL;
  int status = read_at(application->wanted->table, application_now(application), arena, &found, application->error);
  if (status != 0) {
    return status;
  }
  if (living_ruleset(application->wanted, application_now(application), arena, &wanted) < 0) {
    return error_set(application->error, ENOMEM, "no memory to compare rulesets");
  }
  if (!found->present || !ruleset_equal(found, wanted, arena, &what)) {
    return error_set(application->error, EAGAIN, "the kernel does not hold what was sent: %s",
                     found->present && what != NULL ? what : "the table is gone");
  }
  return 0;
}

/* One attempt: 0 when equal; -EAGAIN, -ERESTART or -ENOENT when it may be tried again. */
static int apply_once(struct application *application, struct arena *arena) {
  struct ruleset *found = NULL;
  const struct ruleset *wanted = NULL;
  struct delta *delta = NULL;
  int64_t now = application_now(application);
  int status = read_at(application->wanted->table, now, arena, &found, application->error);
  if (status != 0) {
    return status;
  }
  if (living_ruleset(application->wanted, now, arena, &wanted) < 0 ||
      ruleset_difference(found, wanted, arena, &delta) < 0) {
    return error_set(application->error, ENOMEM, "no memory to compare rulesets");
  }
  if (delta_empty(delta)) {
    return 0;
  }
  status = send_phases(application, delta, found->generation);
  return status == 0 ? confirm(application, arena) : status;
}

static bool worth_another_attempt(int status) {
  return status == -EAGAIN || status == -ERESTART || status == -ENOENT;
}

int nftables_apply(struct nftables *nftables, const struct ruleset *wanted, struct instant now, size_t *ret_changes,
                   struct refusal *ret_refusal, struct error *error) {
  struct application application = {
      .nftables = nftables,
      .wanted = wanted,
      .now = instant_milliseconds(now),
      .started = clock_milliseconds(CLOCK_BOOTTIME),
      .refusal = ret_refusal,
      .error = error,
  };
  int status = -EAGAIN;
  for (unsigned attempt = 0; worth_another_attempt(status) && attempt < APPLY_ATTEMPTS; attempt++) {
    if (attempt > 0) {
      pause_after(attempt);
    }
    struct arena *arena = arena_new(0);
    if (arena == NULL) {
      return error_set(error, ENOMEM, "no memory to compare rulesets");
    }
    status = apply_once(&application, arena);
    arena_free(arena);
  }
  if (status == 0 && ret_changes != NULL) {
    *ret_changes = application.changes;
  }
  return status;
}
