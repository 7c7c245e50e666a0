/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decoder goes over the messages once to sort them by what they tell of, then kind by kind: tables, what is in
 * them, and last what refers to it (rules, elements). The kernel tells the nodes of a table one after another, so that
 * each kind is one array, and a table holds a part of it; pointers to nodes never move.
 */
#include "proof/decode.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "proof/decode_parts.h"

enum { SUBSYSTEM = NFNL_SUBSYS_NFTABLES << 8, HEADER_BYTES = NLMSG_HDRLEN + sizeof(struct nfgenmsg) };

/* ---- sorting messages ---- */

enum bucket_kind {
  BUCKET_TABLES,
  BUCKET_CHAINS,
  BUCKET_RULES,
  BUCKET_SETS,
  BUCKET_ELEMENTS,
  BUCKET_OBJECTS,
  BUCKET_FLOWTABLES,
  BUCKET_GENERATIONS,
  BUCKET_COUNT_,
};

static const uint16_t bucket_types[BUCKET_COUNT_] = {
    [BUCKET_TABLES] = SUBSYSTEM | NFT_MSG_NEWTABLE,         [BUCKET_CHAINS] = SUBSYSTEM | NFT_MSG_NEWCHAIN,
    [BUCKET_RULES] = SUBSYSTEM | NFT_MSG_NEWRULE,           [BUCKET_SETS] = SUBSYSTEM | NFT_MSG_NEWSET,
    [BUCKET_ELEMENTS] = SUBSYSTEM | NFT_MSG_NEWSETELEM,     [BUCKET_OBJECTS] = SUBSYSTEM | NFT_MSG_NEWOBJ,
    [BUCKET_FLOWTABLES] = SUBSYSTEM | NFT_MSG_NEWFLOWTABLE, [BUCKET_GENERATIONS] = SUBSYSTEM | NFT_MSG_NEWGEN,
};

struct bucket {
  struct message *messages;
  size_t count, capacity;
};

struct sorting {
  struct decoder *decoder;
  uint32_t generation;
  struct bucket buckets[BUCKET_COUNT_];
};

static struct bucket *bucket_of(struct sorting *sorting, uint16_t type) {
  for (unsigned i = 0; i < BUCKET_COUNT_; i++) {
    if (bucket_types[i] == type) {
      return &sorting->buckets[i];
    }
  }
  return NULL;
}

static void add_message(struct sorting *sorting, struct bucket *bucket, struct message message) {
  void *items = bucket->messages;
  if (arena_grow(sorting->decoder->arena, &items, bucket->count, &bucket->capacity, sizeof(message)) == 0) {
    bucket->messages = items;
    bucket->messages[bucket->count++] = message;
  }
}

/* The end of a dump: 0, or why the kernel broke it off. */
static void judge_end(struct decoder *decoder, struct bytes body) {
  int code = -1;
  if (body.length >= sizeof(code)) {
    memcpy(&code, body.data, sizeof(code));
  }
  if (code != 0) {
    decoder_fail(decoder, "a dump of the kernel ended early");
  }
}

/* body: behind the netlink header. */
static void sort_message(struct sorting *sorting, const struct nlmsghdr *header, struct bytes body) {
  struct decoder *decoder = sorting->decoder;
  if ((header->nlmsg_flags & NLM_F_DUMP_INTR) != 0) {
    decoder_fail(decoder, "the ruleset changed while it was read");
    return;
  }
  if (header->nlmsg_type == NLMSG_DONE) {
    judge_end(decoder, body);
    return;
  }
  struct bucket *bucket = bucket_of(sorting, header->nlmsg_type);
  struct nfgenmsg generic;
  if (bucket == NULL || body.length < sizeof(generic)) {
    decoder_fail(decoder, "a message of type %u and %u bytes is none of nftables", header->nlmsg_type, body.length);
    return;
  }
  memcpy(&generic, body.data, sizeof(generic));
  if (generic.version != NFNETLINK_V0 || ntohs(generic.res_id) != (uint16_t)sorting->generation) {
    decoder_fail(decoder, "a message is of another generation of the ruleset");
    return;
  }
  unsigned skip = NLMSG_ALIGN(sizeof(generic));
  add_message(sorting, bucket, (struct message){generic.nfgen_family, {body.data + skip, body.length - skip}});
}

static void sort_messages(struct sorting *sorting, const struct snapshot *snapshot) {
  size_t position = 0;
  while (position < snapshot->length && sorting->decoder->status == 0) {
    size_t left = snapshot->length - position;
    struct nlmsghdr header = {0};
    if (left >= sizeof(header)) {
      memcpy(&header, snapshot->messages + position, sizeof(header));
    }
    if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > left) {
      decoder_fail(sorting->decoder, "a message of %u bytes stands where %zu are left", header.nlmsg_len, left);
      return;
    }
    struct bytes body = {snapshot->messages + position + NLMSG_HDRLEN, header.nlmsg_len - (unsigned)NLMSG_HDRLEN};
    sort_message(sorting, &header, body);
    size_t step = NLMSG_ALIGN((size_t)header.nlmsg_len);
    position += step < left ? step : left;
  }
}

/* ---- the generation ---- */

struct generation {
  unsigned number;
};

static const struct attribute_spec generation_specs[] = {
    SPEC(NFTA_GEN_ID, FORMAT_U32, true, "number", struct generation, number),
    SPEC_IGNORED(NFTA_GEN_PROC_PID, FORMAT_SKIP, "process"),
    SPEC_IGNORED(NFTA_GEN_PROC_NAME, FORMAT_SKIP, "program"),
};
static const struct attribute_table generation_table = ATTRIBUTE_TABLE("generation", generation_specs);

static void judge_generations(struct sorting *sorting) {
  const struct bucket *bucket = &sorting->buckets[BUCKET_GENERATIONS];
  for (size_t i = 0; i < bucket->count && sorting->decoder->status == 0; i++) {
    struct generation generation = {0};
    const char *fault =
        attributes_take(sorting->decoder, bucket->messages[i].attributes, &generation_table, &generation, NULL);
    if (fault != NULL || generation.number != sorting->generation) {
      decoder_fail(sorting->decoder, "the messages are of generation %u, not %u", generation.number,
                   sorting->generation);
    }
  }
}

/* ---- kind by kind ---- */

/* One array of a kind, a node for each message. */
typedef void (*decode_function)(struct decoder *decoder, const struct message *message, void *ret_node);

static void *decode_kind(struct sorting *sorting, enum bucket_kind kind, size_t size, decode_function decode) {
  const struct bucket *bucket = &sorting->buckets[kind];
  char *nodes = arena_array(sorting->decoder->arena, bucket->count, size);
  for (size_t i = 0; nodes != NULL && i < bucket->count && sorting->decoder->status == 0; i++) {
    decode(sorting->decoder, &bucket->messages[i], nodes + i * size);
  }
  return nodes;
}

static const struct {
  enum bucket_kind kind;
  size_t size;
  decode_function decode;
} kinds[] = {
    {BUCKET_CHAINS, sizeof(struct live_chain), decode_chain},
    {BUCKET_SETS, sizeof(struct live_set), decode_set},
    {BUCKET_OBJECTS, sizeof(struct live_object), decode_object},
    {BUCKET_FLOWTABLES, sizeof(struct live_flowtable), decode_flowtable},
    {BUCKET_RULES, sizeof(struct live_rule), decode_rule}, /* which refer to what is above */
};

static void decode_kinds(struct sorting *sorting) {
  struct live_ruleset *ruleset = sorting->decoder->ruleset;
  ruleset->tables = decode_kind(sorting, BUCKET_TABLES, sizeof(struct live_table), decode_table);
  ruleset->table_count = sorting->buckets[BUCKET_TABLES].count;
  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    (void)decode_kind(sorting, kinds[i].kind, kinds[i].size, kinds[i].decode);
  }
  decode_elements(sorting->decoder, sorting->buckets[BUCKET_ELEMENTS].messages,
                  sorting->buckets[BUCKET_ELEMENTS].count);
}

static void decode_all(struct sorting *sorting, const struct snapshot *snapshot) {
  struct decoder *decoder = sorting->decoder;
  sort_messages(sorting, snapshot);
  judge_generations(sorting);
  size_t names = 0;
  for (unsigned i = 0; i < BUCKET_COUNT_; i++) {
    names += i != BUCKET_RULES && i != BUCKET_ELEMENTS ? sorting->buckets[i].count : 0;
  }
  decoder->names = name_index_new(decoder->arena, names);
  if (decoder->names != NULL) {
    decode_kinds(sorting);
  }
}

int decode_ruleset(const struct snapshot *snapshot, struct arena *arena, struct live_ruleset **ret_ruleset,
                   struct error *error) {
  struct error unseen = {0};
  struct live_ruleset *ruleset = ARENA_NEW(arena, struct live_ruleset);
  struct decoder decoder = {.arena = arena, .error = error != NULL ? error : &unseen, .ruleset = ruleset};
  struct sorting sorting = {.decoder = &decoder, .generation = snapshot->generation};
  if (ruleset != NULL) {
    ruleset->generation = snapshot->generation;
    ruleset->taken_at = snapshot->taken_at;
    decode_all(&sorting, snapshot);
  }
  if (arena_failed(arena)) {
    return error_set(error, ENOMEM, "no memory for the kernel's ruleset");
  }
  if (decoder.status == 0) {
    *ret_ruleset = ruleset;
  }
  return decoder.status;
}
