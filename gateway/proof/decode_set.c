/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets and their elements. The kernel tells elements one by one, and there are three ways of it:
 * - a set without intervals: each key is one element;
 * - concatenations with intervals: each has its first and its last key, both included, field by field;
 * - other intervals: elements are marks on the line of keys. A lookup takes the mark next below: if that is a
 * beginning, the key is in, if it is an end, it is not. An end is the first key that is out; what reaches the last key
 * of all has none; where nothing begins at the lowest key, an end stands there. They are sorted here, and paired.
 * Kernel: net/netfilter/nft_set_rbtree.c, nft_set_pipapo.c, nf_tables_fill_setelem().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "proof/decode_newer.h"
#include "proof/decode_parts.h"

/* ---- values ---- */

struct verdict_draft {
  unsigned code;
  const char *chain;
};

static const struct attribute_spec verdict_specs[] = {
    SPEC(NFTA_VERDICT_CODE, FORMAT_U32, true, "code", struct verdict_draft, code),
    SPEC(NFTA_VERDICT_CHAIN, FORMAT_TEXT, false, "chain", struct verdict_draft, chain),
};
static const struct attribute_table verdict_table = ATTRIBUTE_TABLE("verdict", verdict_specs);

/* Whole codes only: what has an errno or a queue in its upper bits is something else. */
static const struct {
  uint32_t number;
  enum live_verdict_code code;
  bool leads; /* to a chain */
} verdicts[] = {
    {NF_ACCEPT, LIVE_ACCEPT, false},
    {NF_DROP, LIVE_DROP, false},
    {(uint32_t)NFT_CONTINUE, LIVE_CONTINUE, false},
    {(uint32_t)NFT_BREAK, LIVE_BREAK, false},
    {(uint32_t)NFT_JUMP, LIVE_JUMP, true},
    {(uint32_t)NFT_GOTO, LIVE_GOTO, true},
    {(uint32_t)NFT_RETURN, LIVE_RETURN, false},
    {NF_QUEUE, LIVE_QUEUE, false},
};

static const char *resolve_chain(struct decoder *decoder, const struct live_table *table, const char *name,
                                 struct live_verdict *verdict) {
  verdict->chain = table != NULL && name != NULL ? name_index_find(decoder->names, NAME_CHAIN, table, 0, name) : NULL;
  return verdict->chain != NULL ? NULL
                                : decoder_reason(decoder, "verdict: there is no chain '%s'", name != NULL ? name : "");
}

static const char *decode_verdict(struct decoder *decoder, const struct live_table *table, struct bytes nest,
                                  struct live_verdict *verdict) {
  struct verdict_draft draft = {0};
  const char *reason = attributes_take(decoder, nest, &verdict_table, &draft, NULL);
  for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
    if (verdicts[i].number != draft.code) {
      continue;
    }
    verdict->code = verdicts[i].code;
    const char *chain = verdicts[i].leads ? resolve_chain(decoder, table, draft.chain, verdict) : NULL;
    return first_reason(reason, chain);
  }
  verdict->code = LIVE_DROP;
  return first_reason(reason, decoder_reason(decoder, "verdict: code 0x%x is not known", draft.code));
}

struct data_draft {
  struct bytes value, verdict;
};

static const struct attribute_spec data_specs[] = {
    SPEC(NFTA_DATA_VALUE, FORMAT_BYTES, false, "value", struct data_draft, value),
    SPEC(NFTA_DATA_VERDICT, FORMAT_BYTES, false, "verdict", struct data_draft, verdict),
};
static const struct attribute_table data_table = ATTRIBUTE_TABLE("data", data_specs);

const char *decode_data(struct decoder *decoder, const struct live_table *table, struct bytes nest,
                        struct decoded_data *ret_data) {
  struct data_draft draft = {0};
  uint64_t seen = 0;
  const char *reason = attributes_take(decoder, nest, &data_table, &draft, &seen);
  ret_data->has_value = SEEN(seen, NFTA_DATA_VALUE);
  ret_data->has_verdict = SEEN(seen, NFTA_DATA_VERDICT);
  ret_data->value = draft.value;
  if (ret_data->has_value == ret_data->has_verdict) {
    reason = first_reason(reason, "data: neither a value nor a verdict, or both");
  }
  if (ret_data->has_value && (draft.value.length == 0 || draft.value.length > NFT_DATA_VALUE_MAXLEN)) {
    const char *length = decoder_reason(decoder, "data: a value of %u bytes", draft.value.length);
    reason = first_reason(reason, length);
  }
  if (ret_data->has_verdict) {
    const char *verdict = decode_verdict(decoder, table, draft.verdict, &ret_data->verdict);
    reason = first_reason(reason, verdict);
  }
  return reason;
}

/* ---- sets ---- */

struct set_draft {
  const char *table, *name;
  uint64_t handle, timeout;
  unsigned flags, key_length, data_type, data_length, object_type;
  struct bytes description, expression, expressions;
};

static const struct attribute_spec set_specs[] = {
    SPEC(NFTA_SET_TABLE, FORMAT_TEXT, true, "table", struct set_draft, table),
    SPEC(NFTA_SET_NAME, FORMAT_TEXT, true, "name", struct set_draft, name),
    SPEC(NFTA_SET_HANDLE, FORMAT_U64, false, "handle", struct set_draft, handle),
    SPEC(NFTA_SET_FLAGS, FORMAT_U32, false, "flags", struct set_draft, flags),
    SPEC(NFTA_SET_KEY_LEN, FORMAT_U32, true, "key length", struct set_draft, key_length),
    SPEC(NFTA_SET_DATA_TYPE, FORMAT_U32, false, "data type", struct set_draft, data_type),
    SPEC(NFTA_SET_DATA_LEN, FORMAT_U32, false, "data length", struct set_draft, data_length),
    SPEC(NFTA_SET_OBJ_TYPE, FORMAT_U32, false, "object type", struct set_draft, object_type),
    SPEC(NFTA_SET_DESC, FORMAT_BYTES, false, "description", struct set_draft, description),
    SPEC(NFTA_SET_TIMEOUT, FORMAT_U64, false, "timeout", struct set_draft, timeout),
    SPEC(NFTA_SET_EXPR, FORMAT_BYTES, false, "expression", struct set_draft, expression),
    SPEC(NFTA_SET_EXPRESSIONS, FORMAT_BYTES, false, "expressions", struct set_draft, expressions),
    SPEC_IGNORED(NFTA_SET_KEY_TYPE, FORMAT_SKIP, "key type"),
    SPEC_IGNORED(NFTA_SET_POLICY, FORMAT_SKIP, "policy"),
    SPEC_IGNORED(NFTA_SET_GC_INTERVAL, FORMAT_SKIP, "gc interval"),
    SPEC_IGNORED(NFTA_SET_USERDATA, FORMAT_SKIP, "userdata"),
    SPEC_IGNORED(NEWER_SET_TYPE, FORMAT_SKIP, "type"),
    SPEC_IGNORED(NEWER_SET_COUNT, FORMAT_SKIP, "count"),
    SPEC_IGNORED(NFTA_SET_PAD, FORMAT_PAD, "pad"),
};
static const struct attribute_table set_table = ATTRIBUTE_TABLE("set", set_specs);

struct description {
  struct bytes fields;
};

static const struct attribute_spec description_specs[] = {
    SPEC(NFTA_SET_DESC_CONCAT, FORMAT_BYTES, false, "fields", struct description, fields),
    SPEC_IGNORED(NFTA_SET_DESC_SIZE, FORMAT_SKIP, "size"),
};
static const struct attribute_table description_table = ATTRIBUTE_TABLE("set description", description_specs);

struct field {
  unsigned length;
};

static const struct attribute_spec field_specs[] = {
    SPEC(NFTA_SET_FIELD_LEN, FORMAT_U32, true, "length", struct field, length),
};
static const struct attribute_table field_table = ATTRIBUTE_TABLE("set field", field_specs);

enum { WORD = NFT_REG32_SIZE, FIELDS_MOST = 16 };

static const char *decode_fields(struct decoder *decoder, struct bytes list, struct live_set *set) {
  const char *reason = NULL;
  unsigned total = 0;
  struct attribute attribute;
  while (attribute_next(decoder, &list, &attribute)) {
    struct field field = {0};
    const char *fault = attributes_take(decoder, attribute.value, &field_table, &field, NULL);
    if (attribute.type != NFTA_LIST_ELEM || set->field_count == FIELDS_MOST || field.length == 0 ||
        field.length > NFT_DATA_VALUE_MAXLEN) {
      return first_reason(fault, "set: fields that are not known");
    }
    reason = first_reason(reason, fault);
    set->field_lengths[set->field_count++] = field.length;
    total += (field.length + WORD - 1) / WORD * WORD;
  }
  return total == set->key_length ? reason : first_reason(reason, "set: its fields do not make its key");
}

static const char *decode_description(struct decoder *decoder, struct bytes nest, struct live_set *set) {
  struct description description = {0};
  const char *reason = attributes_take(decoder, nest, &description_table, &description, NULL);
  if (description.fields.length > 0) {
    const char *fields = decode_fields(decoder, description.fields, set);
    return first_reason(reason, fields);
  }
  set->field_lengths[0] = set->key_length;
  set->field_count = 1;
  return reason;
}

/* What the set gives to each element that packets add. */
static const char *judge_template(struct decoder *decoder, const struct live_table *table,
                                  const struct set_draft *draft) {
  const struct live_expression *expressions = NULL;
  size_t count = 0;
  struct live_expression alone = {0};
  decode_expressions(decoder, table, draft->expressions, &expressions, &count);
  if (draft->expression.length > 0) {
    decode_expression(decoder, table, draft->expression, &alone);
  }
  return first_reason(alone.unmodelled, expressions_reason(expressions, count));
}

static const char *decode_kind_of_data(struct decoder *decoder, const struct set_draft *draft, struct live_set *set) {
  bool map = (draft->flags & NFT_SET_MAP) != 0, objects = (draft->flags & NFT_SET_OBJECT) != 0;
  if (map && objects) {
    return "set: a map of values and of objects";
  }
  if (objects) {
    set->data_kind = LIVE_OBJECTS;
    set->object_type = draft->object_type;
    return draft->object_type != NFT_OBJECT_UNSPEC && draft->object_type <= NFT_OBJECT_MAX
               ? NULL
               : decoder_reason(decoder, "set: object type %u is not known", draft->object_type);
  }
  if (map && draft->data_type == NFT_DATA_VERDICT) {
    set->data_kind = LIVE_VERDICTS;
  } else if (map) {
    set->data_kind = LIVE_VALUES;
    set->data_length = draft->data_length;
    return draft->data_length > 0 && draft->data_length <= NFT_DATA_VALUE_MAXLEN
               ? NULL
               : decoder_reason(decoder, "set: values of %u bytes", draft->data_length);
  }
  return NULL;
}

static void keep_flags(struct live_set *set, const struct set_draft *draft) {
  set->flags = draft->flags;
  set->anonymous = (draft->flags & NFT_SET_ANONYMOUS) != 0;
  set->constant = (draft->flags & NFT_SET_CONSTANT) != 0;
  set->interval = (draft->flags & NFT_SET_INTERVAL) != 0;
  set->dynamic = (draft->flags & NFT_SET_EVAL) != 0;
  set->has_timeouts = (draft->flags & NFT_SET_TIMEOUT) != 0;
  set->concatenation = (draft->flags & NFT_SET_CONCAT) != 0 || set->field_count > 1;
}

static const char *judge_set(struct decoder *decoder, const struct set_draft *draft) {
  const uint32_t known = NFT_SET_ANONYMOUS | NFT_SET_CONSTANT | NFT_SET_INTERVAL | NFT_SET_MAP | NFT_SET_TIMEOUT |
                         NFT_SET_EVAL | NFT_SET_OBJECT | NFT_SET_CONCAT | NFT_SET_EXPR;
  if (draft->key_length == 0 || draft->key_length > NFT_DATA_VALUE_MAXLEN) {
    return decoder_reason(decoder, "set: keys of %u bytes", draft->key_length);
  }
  return judge_flags(decoder, "set", draft->flags, known);
}

void decode_set(struct decoder *decoder, const struct message *message, void *ret_node) {
  struct live_set *set = ret_node;
  struct set_draft draft = {0};
  const char *reason = attributes_take(decoder, message->attributes, &set_table, &draft, NULL);
  struct live_table *table = find_table(decoder, message->family, draft.table);
  set->table = table;
  set->name = draft.name;
  set->handle = draft.handle;
  set->key_length = draft.key_length <= NFT_DATA_VALUE_MAXLEN ? draft.key_length : 0;
  set->timeout = draft.timeout;
  reason = first_reason(reason, judge_set(decoder, &draft));
  reason = first_reason(reason, decode_description(decoder, draft.description, set));
  reason = first_reason(reason, decode_kind_of_data(decoder, &draft, set));
  reason = first_reason(reason, judge_template(decoder, table, &draft));
  keep_flags(set, &draft);
  set->unmodelled = reason;
  enter_name(decoder, NAME_SET, table, 0, set->name, set);
  if (table != NULL) {
    table->sets = table->set_count == 0 ? set : table->sets;
    check_order(decoder, table->sets + table->set_count++ == set, "sets of a table");
  }
}

/* ---- elements, one by one ---- */

struct element_draft {
  struct bytes key, key_end, data;
  unsigned flags;
  uint64_t timeout, expiration;
  const char *object;
  struct bytes expression, expressions;
};

static const struct attribute_spec element_specs[] = {
    SPEC(NFTA_SET_ELEM_KEY, FORMAT_VALUE, false, "key", struct element_draft, key),
    SPEC(NFTA_SET_ELEM_KEY_END, FORMAT_VALUE, false, "last key", struct element_draft, key_end),
    SPEC(NFTA_SET_ELEM_DATA, FORMAT_BYTES, false, "data", struct element_draft, data),
    SPEC(NFTA_SET_ELEM_FLAGS, FORMAT_U32, false, "flags", struct element_draft, flags),
    SPEC(NFTA_SET_ELEM_TIMEOUT, FORMAT_U64, false, "timeout", struct element_draft, timeout),
    SPEC(NFTA_SET_ELEM_EXPIRATION, FORMAT_U64, false, "expiration", struct element_draft, expiration),
    SPEC(NFTA_SET_ELEM_OBJREF, FORMAT_TEXT, false, "object", struct element_draft, object),
    SPEC(NFTA_SET_ELEM_EXPR, FORMAT_BYTES, false, "expression", struct element_draft, expression),
    SPEC(NFTA_SET_ELEM_EXPRESSIONS, FORMAT_BYTES, false, "expressions", struct element_draft, expressions),
    SPEC_IGNORED(NFTA_SET_ELEM_USERDATA, FORMAT_SKIP, "userdata"),
    SPEC_IGNORED(NFTA_SET_ELEM_PAD, FORMAT_PAD, "pad"),
};
static const struct attribute_table element_table = ATTRIBUTE_TABLE("element", element_specs);

/* An element as it was told, before ends are paired. */
struct told {
  struct live_element element;
  bool is_end, is_catch_all, has_end_key, has_data;
};

static const char *decode_element_data(struct decoder *decoder, const struct live_set *set,
                                       const struct element_draft *draft, struct told *told) {
  struct decoded_data data = {0};
  const char *reason = decode_data(decoder, set->table, draft->data, &data);
  if (data.has_verdict && set->data_kind == LIVE_VERDICTS) {
    told->element.verdict = data.verdict;
    return reason;
  }
  if (data.has_value && set->data_kind == LIVE_VALUES && data.value.length == set->data_length) {
    told->element.data = data.value.data;
    return reason;
  }
  return first_reason(reason, "element: data of another kind than its set has");
}

static void decode_element_expressions(struct decoder *decoder, const struct live_set *set,
                                       const struct element_draft *draft, struct live_element *element) {
  if (draft->expression.length == 0) {
    decode_expressions(decoder, set->table, draft->expressions, &element->expressions, &element->expression_count);
    return;
  }
  struct live_expression *alone = ARENA_NEW(decoder->arena, struct live_expression);
  if (alone != NULL) {
    decode_expression(decoder, set->table, draft->expression, alone);
    element->expressions = alone;
    element->expression_count = 1;
  }
}

/* Fields of a key begin at words; what is between is compared, too, and a rule's registers have 0 there. */
static bool is_padded(const struct live_set *set, const uint8_t *key) {
  size_t end = 0;
  for (size_t i = 0; i < set->field_count; i++) {
    size_t next = end + ((size_t)set->field_lengths[i] + WORD - 1) / WORD * WORD;
    for (end += set->field_lengths[i]; end < next && end < set->key_length; end++) {
      if (key[end] != 0) {
        return false;
      }
    }
  }
  return true;
}

/* Whether keys are there, and of the set's length. */
static const char *judge_keys(const struct live_set *set, const struct element_draft *draft, const struct told *told) {
  if (told->is_catch_all) {
    return draft->key.data == NULL && draft->key_end.data == NULL ? NULL : "element: a catch-all with a key";
  }
  if (draft->key.length != set->key_length || (told->has_end_key && draft->key_end.length != set->key_length)) {
    return "element: a key of another length than its set has";
  }
  if (set->field_count > 1 && !is_padded(set, draft->key.data)) {
    return "element: a key that no packet has, between its fields";
  }
  if (told->has_end_key && !(set->interval && set->field_count > 1)) {
    return "element: a last key in a set without concatenated intervals";
  }
  return told->is_end && (!set->interval || set->field_count > 1) ? "element: an end in a set without intervals" : NULL;
}

static const char *judge_element(struct decoder *decoder, const struct live_set *set, const struct element_draft *draft,
                                 const struct told *told) {
  const char *reason = judge_flags(decoder, "element", draft->flags, NFT_SET_ELEM_INTERVAL_END | NFT_SET_ELEM_CATCHALL);
  if (!told->is_end && (set->data_kind == LIVE_VALUES || set->data_kind == LIVE_VERDICTS) && !told->has_data) {
    reason = first_reason(reason, "element: of a map, without data");
  }
  if (!told->is_end && (set->data_kind == LIVE_OBJECTS) != (draft->object != NULL)) {
    reason = first_reason(reason, "element: an object, or none, where its set has it otherwise");
  }
  return first_reason(reason, expressions_reason(told->element.expressions, told->element.expression_count));
}

static void keep_time(const struct live_set *set, const struct element_draft *draft, uint64_t seen,
                      struct live_element *element) {
  element->timeout = SEEN(seen, NFTA_SET_ELEM_TIMEOUT)      ? draft->timeout
                     : SEEN(seen, NFTA_SET_ELEM_EXPIRATION) ? set->timeout
                                                            : 0;
  element->expiration = draft->expiration;
  element->has_timeout = element->timeout != 0 || SEEN(seen, NFTA_SET_ELEM_EXPIRATION);
}

static void decode_element(struct decoder *decoder, const struct live_set *set, const struct attribute *attribute,
                           struct told *told) {
  struct element_draft draft = {0};
  uint64_t seen;
  struct live_element *element = &told->element;
  element->unmodelled = attributes_take(decoder, attribute->value, &element_table, &draft, &seen);
  if (attribute->type != NFTA_LIST_ELEM) {
    element->unmodelled = "element: something else among the elements of a set";
  }
  told->is_end = (draft.flags & NFT_SET_ELEM_INTERVAL_END) != 0;
  told->is_catch_all = (draft.flags & NFT_SET_ELEM_CATCHALL) != 0;
  told->has_end_key = draft.key_end.data != NULL;
  told->has_data = SEEN(seen, NFTA_SET_ELEM_DATA);
  const char *keys = judge_keys(set, &draft, told);
  if (keys == NULL) {
    element->first = draft.key.data;
    element->last = told->has_end_key ? draft.key_end.data : draft.key.data;
  }
  element->object = draft.object;
  keep_time(set, &draft, seen, element);
  if (told->has_data) {
    const char *data = decode_element_data(decoder, set, &draft, told);
    element->unmodelled = first_reason(element->unmodelled, data);
  }
  decode_element_expressions(decoder, set, &draft, element);
  const char *fault = first_reason(keys, judge_element(decoder, set, &draft, told));
  element->unmodelled = first_reason(element->unmodelled, fault);
}

/* ---- intervals ---- */

struct mark {
  const struct told *told;
};

struct pairing {
  struct decoder *decoder;
  struct live_set *set;
  struct mark *marks; /* sorted */
  size_t count;
  uint8_t *keys; /* room for last keys, from here on */
  const uint8_t *highest;
};

static int compare_marks(const void *left, const void *right, void *context) {
  const struct told *a = ((const struct mark *)left)->told, *b = ((const struct mark *)right)->told;
  const struct live_set *set = context;
  int order = memcmp(a->element.first, b->element.first, set->key_length);
  return order != 0 ? order : (int)b->is_end - (int)a->is_end; /* one ends where the next begins */
}

/* The key before it; never asked for the lowest. */
static void key_before(uint8_t *target, const uint8_t *key, unsigned length) {
  memcpy(target, key, length);
  for (unsigned i = length; i-- > 0;) {
    if (target[i]-- != 0) {
      return;
    }
  }
}

static bool is_lowest(const uint8_t *key, unsigned length) {
  for (unsigned i = 0; i < length; i++) {
    if (key[i] != 0) {
      return false;
    }
  }
  return true;
}

/* An end that nothing begins before: at the lowest key it is how the kernel marks the gap; elsewhere what began there
 * has run out and is not told any more. */
static void take_lone_end(struct pairing *pairing, const struct told *end) {
  struct live_set *set = pairing->set;
  if (!set->has_timeouts && !is_lowest(end->element.first, set->key_length)) {
    set->unmodelled = first_reason(set->unmodelled, "set: an end of an interval without its beginning");
  }
}

/* What begins at marks[place]. Returns how many marks it takes. */
static size_t take_interval(struct pairing *pairing, size_t place) {
  struct live_set *set = pairing->set;
  const struct told *begin = pairing->marks[place].told;
  struct live_element *element = &set->elements[set->element_count++];
  *element = begin->element;
  if (place + 1 == pairing->count) {
    element->last = pairing->highest;
    return 1;
  }
  const struct told *next = pairing->marks[place + 1].told;
  if (memcmp(next->element.first, begin->element.first, set->key_length) == 0) {
    set->unmodelled = first_reason(set->unmodelled, "set: two intervals begin at the same key");
    return 1;
  }
  key_before(pairing->keys, next->element.first, set->key_length);
  element->last = pairing->keys;
  pairing->keys += set->key_length;
  if (!next->is_end) { /* what a lookup makes of it is not the same in all kernels */
    set->unmodelled = first_reason(set->unmodelled, "set: an interval without its end");
  }
  return next->is_end ? 2 : 1;
}

static void pair_ends(struct pairing *pairing) {
  for (size_t place = 0; place < pairing->count;) {
    if (pairing->marks[place].told->is_end) {
      take_lone_end(pairing, pairing->marks[place].told);
      place++;
    } else {
      place += take_interval(pairing, place);
    }
  }
}

/* Elements whose key cannot be placed on the line say why; they are kept as they are, so that nothing is lost. */
static bool has_place(const struct live_set *set, const struct told *told) {
  return told->element.unmodelled == NULL && told->element.first != NULL && set->key_length > 0;
}

static void pair_intervals(struct decoder *decoder, struct live_set *set, const struct told *told, size_t count) {
  struct mark *marks = ARENA_ARRAY(decoder->arena, count, struct mark);
  uint8_t *keys = arena_array(decoder->arena, count + 1, set->key_length);
  if (marks == NULL || keys == NULL) {
    return;
  }
  struct pairing pairing = {.decoder = decoder, .set = set, .marks = marks, .highest = keys};
  memset(keys, 0xff, set->key_length);
  pairing.keys = keys + set->key_length;
  for (size_t i = 0; i < count; i++) {
    if (has_place(set, &told[i])) {
      marks[pairing.count++].told = &told[i];
    } else if (!told[i].is_catch_all) {
      set->elements[set->element_count++] = told[i].element;
    }
  }
  qsort_r(marks, pairing.count, sizeof(*marks), compare_marks, set);
  pair_ends(&pairing);
}

/* ---- all elements of a set ---- */

static void take_catch_all(struct live_set *set, const struct told *told) {
  if (set->has_catch_all) {
    set->unmodelled = first_reason(set->unmodelled, "set: two catch-alls");
  }
  set->has_catch_all = true;
  set->catch_all = told->element;
}

static void keep_elements(struct decoder *decoder, struct live_set *set, const struct told *told, size_t count) {
  set->elements = ARENA_ARRAY(decoder->arena, count, struct live_element);
  if (set->elements == NULL) {
    return;
  }
  for (size_t i = 0; i < count; i++) {
    if (told[i].is_catch_all) {
      take_catch_all(set, &told[i]);
    } else if (!(set->interval && set->field_count == 1)) {
      set->elements[set->element_count++] = told[i].element;
    }
  }
  if (set->interval && set->field_count == 1) {
    pair_intervals(decoder, set, told, count);
  }
  for (size_t i = 0; i < set->element_count; i++) {
    set->unmodelled = first_reason(set->unmodelled, set->elements[i].unmodelled);
  }
  set->unmodelled = first_reason(set->unmodelled, set->catch_all.unmodelled);
}

struct list_draft {
  const char *table, *set;
  struct bytes elements;
};

static const struct attribute_spec list_specs[] = {
    SPEC(NFTA_SET_ELEM_LIST_TABLE, FORMAT_TEXT, true, "table", struct list_draft, table),
    SPEC(NFTA_SET_ELEM_LIST_SET, FORMAT_TEXT, true, "set", struct list_draft, set),
    SPEC(NFTA_SET_ELEM_LIST_ELEMENTS, FORMAT_BYTES, false, "elements", struct list_draft, elements),
};
static const struct attribute_table list_table = ATTRIBUTE_TABLE("elements", list_specs);

/* A message with elements: of which set. NULL, and the decoder fails, when there is none. */
static struct live_set *read_list(struct decoder *decoder, const struct message *message, struct bytes *ret_elements) {
  struct list_draft draft = {0};
  const char *reason = attributes_take(decoder, message->attributes, &list_table, &draft, NULL);
  struct live_table *table = find_table(decoder, message->family, draft.table);
  struct live_set *set =
      table != NULL && draft.set != NULL ? name_index_find(decoder->names, NAME_SET, table, 0, draft.set) : NULL;
  if (set == NULL) {
    decoder_fail(decoder, "elements of a set '%s', which is not there", draft.set != NULL ? draft.set : "");
    return NULL;
  }
  set->unmodelled = first_reason(set->unmodelled, reason);
  *ret_elements = draft.elements;
  return set;
}

/* The messages that belong to the set of the first; their elements are counted. Returns how many messages. */
static size_t gather(struct decoder *decoder, const struct message *messages, size_t count, struct live_set **ret_set,
                     size_t *ret_elements) {
  struct live_set *first = NULL;
  size_t taken = 0, elements = 0;
  while (taken < count && decoder->status == 0) {
    struct bytes list = {0};
    struct live_set *set = read_list(decoder, &messages[taken], &list);
    if (set == NULL || (first != NULL && set != first)) {
      break;
    }
    first = set;
    elements += attribute_count(decoder, list);
    taken++;
  }
  *ret_set = first;
  *ret_elements = elements;
  return taken;
}

static void decode_lists(struct decoder *decoder, const struct message *messages, size_t count, struct live_set *set,
                         struct told *told, size_t room) {
  size_t used = 0;
  for (size_t i = 0; i < count; i++) {
    struct bytes list = {0};
    struct attribute attribute;
    (void)read_list(decoder, &messages[i], &list);
    while (used < room && attribute_next(decoder, &list, &attribute)) {
      decode_element(decoder, set, &attribute, &told[used++]);
    }
  }
  keep_elements(decoder, set, told, used);
}

void decode_elements(struct decoder *decoder, const struct message *messages, size_t count) {
  for (size_t at = 0; at < count && decoder->status == 0;) {
    struct live_set *set = NULL;
    size_t elements = 0;
    size_t taken = gather(decoder, messages + at, count - at, &set, &elements);
    if (set == NULL || decoder->status != 0) {
      return;
    }
    check_order(decoder, set->elements == NULL, "elements of a set");
    struct told *told = calloc(elements + 1, sizeof(*told));
    if (told == NULL) {
      decoder->status = error_set(decoder->error, ENOMEM, "no memory for the elements of a set");
      return;
    }
    decode_lists(decoder, messages + at, taken, set, told, elements);
    free(told);
    at += taken;
  }
}
