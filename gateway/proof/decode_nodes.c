/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables, chains, rules, objects and flowtables: what their messages say of themselves. */
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "base/text.h"
#include "proof/decode_newer.h"
#include "proof/decode_parts.h"

const char *judge_flags(struct decoder *decoder, const char *what, uint32_t flags, uint32_t known) {
  return (flags & ~known) == 0 ? NULL : decoder_reason(decoder, "%s: flag 0x%x is not known", what, flags & ~known);
}

struct live_table *find_table(struct decoder *decoder, unsigned family, const char *name) {
  struct live_table *table = name != NULL ? name_index_find(decoder->names, NAME_TABLE, NULL, family, name) : NULL;
  if (table == NULL) {
    decoder_fail(decoder, "something of the table %s %s, which is not there", live_family_name(family),
                 name != NULL ? name : "without a name");
  }
  return table;
}

void check_order(struct decoder *decoder, bool in_order, const char *what) {
  if (!in_order) {
    decoder_fail(decoder, "the %s do not come one after another", what);
  }
}

void enter_name(struct decoder *decoder, enum name_kind kind, const struct live_table *table, unsigned family,
                const char *name, void *node) {
  if (name == NULL) {
    decoder_fail(decoder, "a node of nftables has no name");
  } else if (!name_index_add(decoder->names, kind, table, family, name, node)) {
    decoder_fail(decoder, "there are two of the name '%s'", name);
  }
}

/* ---- tables ---- */

static const struct attribute_spec table_specs[] = {
    SPEC(NFTA_TABLE_NAME, FORMAT_TEXT, true, "name", struct live_table, name),
    SPEC(NFTA_TABLE_FLAGS, FORMAT_U32, true, "flags", struct live_table, flags),
    SPEC(NFTA_TABLE_HANDLE, FORMAT_U64, false, "handle", struct live_table, handle),
    SPEC(NFTA_TABLE_OWNER, FORMAT_U32, false, "owner", struct live_table, owner),
    SPEC_IGNORED(NFTA_TABLE_USE, FORMAT_SKIP, "use"),
    SPEC_IGNORED(NFTA_TABLE_USERDATA, FORMAT_SKIP, "userdata"),
    SPEC_IGNORED(NFTA_TABLE_PAD, FORMAT_PAD, "pad"),
};
static const struct attribute_table table_table = ATTRIBUTE_TABLE("table", table_specs);

void decode_table(struct decoder *decoder, const struct message *message, void *ret_node) {
  struct live_table *table = ret_node;
  table->family = message->family;
  table->unmodelled = attributes_take(decoder, message->attributes, &table_table, table, NULL);
  enter_name(decoder, NAME_TABLE, NULL, table->family, table->name, table);
  table->dormant = (table->flags & NFT_TABLE_F_DORMANT) != 0;
  const char *flags = judge_flags(decoder, "table", table->flags,
                                  NFT_TABLE_F_DORMANT | NFT_TABLE_F_OWNER | (uint32_t)NEWER_TABLE_PERSIST);
  table->unmodelled = first_reason(table->unmodelled, flags);
}

/* ---- devices ---- */

/* A name without its end stands for all that begin so (6.16). */
static const char *decode_device(struct decoder *decoder, const struct attribute *attribute, const char **ret_device) {
  struct bytes value = attribute->value;
  bool whole = attribute->type == NFTA_DEVICE_NAME && value.length > 0 && value.data[value.length - 1] == '\0';
  const char *name = arena_strndup(decoder->arena, (const char *)value.data, value.length);
  *ret_device = name != NULL ? name : "";
  if (whole) {
    return NULL;
  }
  if (attribute->type == NFTA_DEVICE_NAME || attribute->type == NEWER_DEVICE_PREFIX) {
    return decoder_reason(decoder, "hook: every device whose name begins with '%s'", *ret_device);
  }
  return decoder_reason(decoder, "hook: attribute %u of its devices is not known", attribute->type);
}

static const char *decode_devices(struct decoder *decoder, struct bytes list, const char ***ret_devices,
                                  size_t *ret_count) {
  size_t room = attribute_count(decoder, list), count = 0;
  const char **devices = ARENA_ARRAY(decoder->arena, room, const char *);
  const char *reason = NULL;
  struct attribute attribute;
  while (devices != NULL && count < room && attribute_next(decoder, &list, &attribute)) {
    const char *fault = decode_device(decoder, &attribute, &devices[count++]);
    reason = first_reason(reason, fault);
  }
  *ret_devices = devices;
  *ret_count = count;
  return reason;
}

/* ---- hooks, of chains and of flowtables ---- */

struct hook {
  unsigned number, priority;
  const char *device;
  struct bytes devices;
};

static const struct attribute_spec hook_specs[] = {
    SPEC(NFTA_HOOK_HOOKNUM, FORMAT_U32, true, "number", struct hook, number),
    SPEC(NFTA_HOOK_PRIORITY, FORMAT_U32, true, "priority", struct hook, priority),
    SPEC(NFTA_HOOK_DEV, FORMAT_TEXT, false, "device", struct hook, device),
    SPEC(NFTA_HOOK_DEVS, FORMAT_BYTES, false, "devices", struct hook, devices),
};
static const struct attribute_table hook_table = ATTRIBUTE_TABLE("hook", hook_specs);

static const struct attribute_spec flowtable_hook_specs[] = {
    SPEC(NFTA_FLOWTABLE_HOOK_NUM, FORMAT_U32, true, "number", struct hook, number),
    SPEC(NFTA_FLOWTABLE_HOOK_PRIORITY, FORMAT_U32, true, "priority", struct hook, priority),
    SPEC(NFTA_FLOWTABLE_HOOK_DEVS, FORMAT_BYTES, false, "devices", struct hook, devices),
};
static const struct attribute_table flowtable_hook_table = ATTRIBUTE_TABLE("hook", flowtable_hook_specs);

/* Devices: the list, which names the single one again, or that one. */
static const char *hook_devices(struct decoder *decoder, const struct hook *hook, const char ***ret_devices,
                                size_t *ret_count) {
  if (hook->devices.length > 0 || hook->device == NULL) {
    return decode_devices(decoder, hook->devices, ret_devices, ret_count);
  }
  const char **devices = ARENA_ARRAY(decoder->arena, 1, const char *);
  if (devices != NULL) {
    devices[0] = hook->device;
    *ret_devices = devices;
    *ret_count = 1;
  }
  return NULL;
}

/* ---- chains ---- */

struct chain_draft {
  const char *table, *name, *type;
  uint64_t handle;
  unsigned flags, policy;
  struct bytes hook;
};

static const struct attribute_spec chain_specs[] = {
    SPEC(NFTA_CHAIN_TABLE, FORMAT_TEXT, true, "table", struct chain_draft, table),
    SPEC(NFTA_CHAIN_NAME, FORMAT_TEXT, true, "name", struct chain_draft, name),
    SPEC(NFTA_CHAIN_HANDLE, FORMAT_U64, true, "handle", struct chain_draft, handle),
    SPEC(NFTA_CHAIN_TYPE, FORMAT_TEXT, false, "type", struct chain_draft, type),
    SPEC(NFTA_CHAIN_FLAGS, FORMAT_U32, false, "flags", struct chain_draft, flags),
    SPEC(NFTA_CHAIN_POLICY, FORMAT_U32, false, "policy", struct chain_draft, policy),
    SPEC(NFTA_CHAIN_HOOK, FORMAT_BYTES, false, "hook", struct chain_draft, hook),
    SPEC_IGNORED(NFTA_CHAIN_USE, FORMAT_SKIP, "use"),
    SPEC_IGNORED(NFTA_CHAIN_COUNTERS, FORMAT_SKIP, "counters"),
    SPEC_IGNORED(NFTA_CHAIN_USERDATA, FORMAT_SKIP, "userdata"),
    SPEC_IGNORED(NFTA_CHAIN_PAD, FORMAT_PAD, "pad"),
};
static const struct attribute_table chain_table = ATTRIBUTE_TABLE("chain", chain_specs);

static const char *judge_base(struct decoder *decoder, const struct chain_draft *draft, uint64_t seen) {
  if (!SEEN(seen, NFTA_CHAIN_POLICY) || draft->type == NULL) {
    return "chain: a hook without a policy or a type";
  }
  if (draft->policy != NF_ACCEPT && draft->policy != NF_DROP) {
    return decoder_reason(decoder, "chain: policy %u is not known", draft->policy);
  }
  if ((draft->flags & NFT_CHAIN_HW_OFFLOAD) != 0) {
    return "chain: its rules are run by the network card";
  }
  return NULL;
}

static const char *decode_base(struct decoder *decoder, const struct chain_draft *draft, uint64_t seen,
                               struct live_chain *chain) {
  struct hook hook = {0};
  const char *reason = attributes_take(decoder, draft->hook, &hook_table, &hook, NULL);
  const char *devices = hook_devices(decoder, &hook, &chain->devices, &chain->device_count);
  chain->base = true;
  chain->type = draft->type != NULL ? draft->type : "";
  chain->hook = hook.number;
  memcpy(&chain->priority, &hook.priority, sizeof(chain->priority));
  chain->policy_accept = draft->policy == NF_ACCEPT;
  return first_reason(first_reason(reason, devices), judge_base(decoder, draft, seen));
}

void decode_chain(struct decoder *decoder, const struct message *message, void *ret_node) {
  struct live_chain *chain = ret_node;
  struct chain_draft draft = {0};
  uint64_t seen;
  chain->unmodelled = attributes_take(decoder, message->attributes, &chain_table, &draft, &seen);
  struct live_table *table = find_table(decoder, message->family, draft.table);
  chain->table = table;
  chain->name = draft.name;
  chain->handle = draft.handle;
  chain->flags = draft.flags;
  enter_name(decoder, NAME_CHAIN, table, 0, chain->name, chain);
  const char *base = NULL;
  if (SEEN(seen, NFTA_CHAIN_HOOK)) {
    base = decode_base(decoder, &draft, seen, chain);
  } else if (SEEN(seen, NFTA_CHAIN_POLICY) || draft.type != NULL) {
    base = "chain: a policy or a type without a hook";
  }
  const char *flags =
      judge_flags(decoder, "chain", draft.flags, NFT_CHAIN_BASE | NFT_CHAIN_HW_OFFLOAD | NFT_CHAIN_BINDING);
  chain->unmodelled = first_reason(chain->unmodelled, first_reason(base, flags));
  if (table != NULL) {
    table->chains = table->chain_count == 0 ? chain : table->chains;
    check_order(decoder, table->chains + table->chain_count++ == chain, "chains of a table");
  }
}

/* ---- rules ---- */

struct rule_draft {
  const char *table, *chain;
  uint64_t handle;
  struct bytes expressions, user_data;
};

static const struct attribute_spec rule_specs[] = {
    SPEC(NFTA_RULE_TABLE, FORMAT_TEXT, true, "table", struct rule_draft, table),
    SPEC(NFTA_RULE_CHAIN, FORMAT_TEXT, true, "chain", struct rule_draft, chain),
    SPEC(NFTA_RULE_HANDLE, FORMAT_U64, true, "handle", struct rule_draft, handle),
    SPEC(NFTA_RULE_EXPRESSIONS, FORMAT_BYTES, true, "expressions", struct rule_draft, expressions),
    SPEC(NFTA_RULE_USERDATA, FORMAT_BYTES, false, "userdata", struct rule_draft, user_data),
    SPEC_IGNORED(NFTA_RULE_POSITION, FORMAT_SKIP, "position"),
    SPEC_IGNORED(NFTA_RULE_COMPAT, FORMAT_SKIP, "compat"),
    SPEC_IGNORED(NFTA_RULE_PAD, FORMAT_PAD, "pad"),
};
static const struct attribute_table rule_table = ATTRIBUTE_TABLE("rule", rule_specs);

/* nft's user data: tag, length, value, one after another; tag 0 is the comment. It was written by anybody. */
static const char *comment_of(struct decoder *decoder, struct bytes user_data) {
  for (unsigned at = 0; at + 2 <= user_data.length;) {
    unsigned tag = user_data.data[at], length = user_data.data[at + 1];
    if (length > user_data.length - at - 2) {
      break;
    }
    if (tag == 0) {
      const char *text = arena_strndup(decoder->arena, (const char *)user_data.data + at + 2, length);
      text = text != NULL ? text_escape(decoder->arena, text) : NULL;
      return text != NULL ? text : "";
    }
    at += 2 + length;
  }
  return "";
}

void decode_rule(struct decoder *decoder, const struct message *message, void *ret_node) {
  struct live_rule *rule = ret_node;
  struct rule_draft draft = {0};
  rule->unmodelled = attributes_take(decoder, message->attributes, &rule_table, &draft, NULL);
  rule->handle = draft.handle;
  rule->comment = comment_of(decoder, draft.user_data);
  struct live_table *table = find_table(decoder, message->family, draft.table);
  struct live_chain *chain = NULL;
  if (table != NULL && draft.chain != NULL) {
    chain = name_index_find(decoder->names, NAME_CHAIN, table, 0, draft.chain);
  }
  if (chain == NULL) {
    decoder_fail(decoder, "rule %llu is of no chain that is there", (unsigned long long)draft.handle);
    return;
  }
  decode_expressions(decoder, table, draft.expressions, &rule->expressions, &rule->expression_count);
  chain->rules = chain->rule_count == 0 ? rule : chain->rules;
  check_order(decoder, chain->rules + chain->rule_count++ == rule, "rules of a chain");
}

/* ---- objects ---- */

struct object_draft {
  const char *table, *name;
  uint64_t handle;
  unsigned type;
};

static const struct attribute_spec object_specs[] = {
    SPEC(NFTA_OBJ_TABLE, FORMAT_TEXT, true, "table", struct object_draft, table),
    SPEC(NFTA_OBJ_NAME, FORMAT_TEXT, true, "name", struct object_draft, name),
    SPEC(NFTA_OBJ_TYPE, FORMAT_U32, true, "type", struct object_draft, type),
    SPEC(NFTA_OBJ_HANDLE, FORMAT_U64, false, "handle", struct object_draft, handle),
    SPEC_IGNORED(NFTA_OBJ_DATA, FORMAT_SKIP, "data"),
    SPEC_IGNORED(NFTA_OBJ_USE, FORMAT_SKIP, "use"),
    SPEC_IGNORED(NFTA_OBJ_USERDATA, FORMAT_SKIP, "userdata"),
    SPEC_IGNORED(NFTA_OBJ_PAD, FORMAT_PAD, "pad"),
};
static const struct attribute_table object_table = ATTRIBUTE_TABLE("object", object_specs);

/* Names of objects are those of one type: a counter and a quota may have the same. */
void decode_object(struct decoder *decoder, const struct message *message, void *ret_node) {
  struct live_object *object = ret_node;
  struct object_draft draft = {0};
  object->unmodelled = attributes_take(decoder, message->attributes, &object_table, &draft, NULL);
  struct live_table *table = find_table(decoder, message->family, draft.table);
  object->table = table;
  object->name = draft.name;
  object->handle = draft.handle;
  object->type = draft.type;
  if (draft.type == NFT_OBJECT_UNSPEC || draft.type > NFT_OBJECT_MAX) {
    const char *type = decoder_reason(decoder, "object: type %u is not known", draft.type);
    object->unmodelled = first_reason(object->unmodelled, type);
  }
  enter_name(decoder, NAME_OBJECT, table, draft.type, object->name, object);
  if (table != NULL) {
    table->objects = table->object_count == 0 ? object : table->objects;
    check_order(decoder, table->objects + table->object_count++ == object, "objects of a table");
  }
}

/* ---- flowtables ---- */

struct flowtable_draft {
  const char *table, *name;
  uint64_t handle;
  unsigned flags;
  struct bytes hook;
};

static const struct attribute_spec flowtable_specs[] = {
    SPEC(NFTA_FLOWTABLE_TABLE, FORMAT_TEXT, true, "table", struct flowtable_draft, table),
    SPEC(NFTA_FLOWTABLE_NAME, FORMAT_TEXT, true, "name", struct flowtable_draft, name),
    SPEC(NFTA_FLOWTABLE_HANDLE, FORMAT_U64, false, "handle", struct flowtable_draft, handle),
    SPEC(NFTA_FLOWTABLE_FLAGS, FORMAT_U32, false, "flags", struct flowtable_draft, flags),
    SPEC(NFTA_FLOWTABLE_HOOK, FORMAT_BYTES, true, "hook", struct flowtable_draft, hook),
    SPEC_IGNORED(NFTA_FLOWTABLE_USE, FORMAT_SKIP, "use"),
    SPEC_IGNORED(NFTA_FLOWTABLE_PAD, FORMAT_PAD, "pad"),
};
static const struct attribute_table flowtable_table = ATTRIBUTE_TABLE("flowtable", flowtable_specs);

void decode_flowtable(struct decoder *decoder, const struct message *message, void *ret_node) {
  struct live_flowtable *flowtable = ret_node;
  struct flowtable_draft draft = {0};
  struct hook hook = {0};
  const char *reason = attributes_take(decoder, message->attributes, &flowtable_table, &draft, NULL);
  const char *place = attributes_take(decoder, draft.hook, &flowtable_hook_table, &hook, NULL);
  const char *devices = hook_devices(decoder, &hook, &flowtable->devices, &flowtable->device_count);
  const char *flags = judge_flags(decoder, "flowtable", draft.flags, NFT_FLOWTABLE_MASK);
  struct live_table *table = find_table(decoder, message->family, draft.table);
  flowtable->table = table;
  flowtable->name = draft.name;
  flowtable->handle = draft.handle;
  flowtable->flags = draft.flags;
  flowtable->hook = hook.number;
  memcpy(&flowtable->priority, &hook.priority, sizeof(flowtable->priority));
  flowtable->unmodelled = first_reason(first_reason(reason, place), first_reason(devices, flags));
  enter_name(decoder, NAME_FLOWTABLE, table, 0, flowtable->name, flowtable);
  if (table != NULL) {
    table->flowtables = table->flowtable_count == 0 ? flowtable : table->flowtables;
    check_order(decoder, table->flowtables + table->flowtable_count++ == flowtable, "flowtables of a table");
  }
}
