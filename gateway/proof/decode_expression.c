/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Expressions. Each has a row in a table: its name, its kind, the table of its attributes, and what is to be said of
 * the values together (`finish`): which lengths follow, whether all lies within the registers, whether flags and
 * operations are known. Kernel: net/netfilter/nft_*.c, the functions *_init and *_dump.
 */
#include <string.h>

#include <linux/if.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>

#include "proof/decode_newer.h"
#include "proof/decode_parts.h"

/* What attributes are read into. */
struct draft {
  struct live_expression live;
  struct bytes data, data_to; /* values */
  struct bytes nest;          /* to be walked later */
  const char *set;
  unsigned most; /* second register of a range */
  uint64_t seen;
  const struct live_table *table;
};

#define FIELD(type_, format_, name_, member_) SPEC(type_, format_, false, name_, struct draft, member_)
#define NEEDED(type_, format_, name_, member_) SPEC(type_, format_, true, name_, struct draft, member_)

/* ---- checks ---- */

static const char *within(struct decoder *decoder, const char *what, unsigned start, unsigned length) {
  if (start >= NFT_REG_SIZE && start <= LIVE_REGISTER_BYTES && length <= LIVE_REGISTER_BYTES - start) {
    return NULL;
  }
  return decoder_reason(decoder, "%s: %u bytes at %u are not within the registers", what, length, start);
}

static const char *known_flags(struct decoder *decoder, const struct draft *draft, uint32_t known) {
  return judge_flags(decoder, draft->live.name, draft->live.flags, known);
}

static const char *known_operation(struct decoder *decoder, const struct draft *draft, unsigned most) {
  return draft->live.operation <= most
             ? NULL
             : decoder_reason(decoder, "%s: operation %u is not known", draft->live.name, draft->live.operation);
}

static const char *known_key(struct decoder *decoder, const struct draft *draft) {
  return draft->live.length > 0 ? NULL
                                : decoder_reason(decoder, "%s: key %u is not known", draft->live.name, draft->live.key);
}

static const char *same_length(struct decoder *decoder, const struct draft *draft, struct bytes value) {
  return value.length == draft->live.length ? NULL
                                            : decoder_reason(decoder, "%s: a value of %u bytes, where %u are worked on",
                                                             draft->live.name, value.length, draft->live.length);
}

static void keep_values(struct draft *draft) {
  draft->live.data = draft->data.data;
  draft->live.data_length = draft->data.length;
  draft->live.data_to = draft->data_to.data;
  draft->live.data_to_length = draft->data_to.length;
}

/* ---- immediate, cmp, range, bitwise, byteorder ---- */

static const struct attribute_spec immediate_specs[] = {
    NEEDED(NFTA_IMMEDIATE_DREG, FORMAT_REGISTER, "dreg", live.destination),
    NEEDED(NFTA_IMMEDIATE_DATA, FORMAT_BYTES, "data", nest),
};

static const char *finish_immediate(struct decoder *decoder, struct draft *draft) {
  struct decoded_data data = {0};
  const char *reason = decode_data(decoder, draft->table, draft->nest, &data);
  draft->live.is_verdict = draft->live.destination == 0;
  draft->live.has_destination = !draft->live.is_verdict;
  if (draft->live.is_verdict ? !data.has_verdict : !data.has_value) {
    return first_reason(reason, "immediate: a value where a verdict belongs, or the other way round");
  }
  draft->live.verdict = data.verdict;
  draft->data = data.value;
  keep_values(draft);
  return draft->live.is_verdict
             ? reason
             : first_reason(reason, within(decoder, "immediate", draft->live.destination, data.value.length));
}

static const struct attribute_spec compare_specs[] = {
    NEEDED(NFTA_CMP_SREG, FORMAT_REGISTER, "sreg", live.source),
    NEEDED(NFTA_CMP_OP, FORMAT_U32, "op", live.operation),
    NEEDED(NFTA_CMP_DATA, FORMAT_VALUE, "data", data),
};

static const char *finish_compare(struct decoder *decoder, struct draft *draft) {
  keep_values(draft);
  draft->live.length = draft->data.length;
  return first_reason(within(decoder, "cmp", draft->live.source, draft->data.length),
                      known_operation(decoder, draft, NFT_CMP_GTE));
}

static const struct attribute_spec range_specs[] = {
    NEEDED(NFTA_RANGE_SREG, FORMAT_REGISTER, "sreg", live.source),
    NEEDED(NFTA_RANGE_OP, FORMAT_U32, "op", live.operation),
    NEEDED(NFTA_RANGE_FROM_DATA, FORMAT_VALUE, "from", data),
    NEEDED(NFTA_RANGE_TO_DATA, FORMAT_VALUE, "to", data_to),
};

static const char *finish_range(struct decoder *decoder, struct draft *draft) {
  keep_values(draft);
  draft->live.length = draft->data.length;
  return first_reason(first_reason(within(decoder, "range", draft->live.source, draft->data.length),
                                   same_length(decoder, draft, draft->data_to)),
                      known_operation(decoder, draft, NFT_RANGE_NEQ));
}

static const struct attribute_spec bitwise_specs[] = {
    NEEDED(NFTA_BITWISE_SREG, FORMAT_REGISTER, "sreg", live.source),
    NEEDED(NFTA_BITWISE_DREG, FORMAT_REGISTER, "dreg", live.destination),
    NEEDED(NFTA_BITWISE_LEN, FORMAT_U32, "len", live.length),
    FIELD(NFTA_BITWISE_OP, FORMAT_U32, "op", live.operation),
    FIELD(NFTA_BITWISE_MASK, FORMAT_VALUE, "mask", data),
    FIELD(NFTA_BITWISE_XOR, FORMAT_VALUE, "xor", data_to),
    FIELD(NFTA_BITWISE_DATA, FORMAT_VALUE, "data", data),
    FIELD(NEWER_BITWISE_SREG2, FORMAT_REGISTER, "sreg2", live.source_data),
};

enum { BIT_MASK = 1 << NFTA_BITWISE_MASK, BIT_XOR = 1 << NFTA_BITWISE_XOR, BIT_DATA = 1 << NFTA_BITWISE_DATA };
enum { BIT_SREG2 = 1 << NEWER_BITWISE_SREG2, BIT_OPERANDS = BIT_MASK | BIT_XOR | BIT_DATA | BIT_SREG2 };

/* Operands that an operation may have, one of the sets; and how many bytes its value has: 0: as many as it works on. */
static const struct {
  uint32_t operands, or_operands;
  unsigned value_length;
} bitwise_operations[] = {
    [NFT_BITWISE_BOOL] = {BIT_MASK | BIT_XOR, BIT_MASK | BIT_XOR, 0},
    [NFT_BITWISE_LSHIFT] = {BIT_DATA, BIT_DATA, sizeof(uint32_t)},
    [NFT_BITWISE_RSHIFT] = {BIT_DATA, BIT_DATA, sizeof(uint32_t)},
    [NEWER_BITWISE_AND] = {BIT_DATA, BIT_SREG2, 0},
    [NEWER_BITWISE_OR] = {BIT_DATA, BIT_SREG2, 0},
    [NEWER_BITWISE_XOR] = {BIT_DATA, BIT_SREG2, 0},
};

static const char *judge_operands(struct decoder *decoder, const struct draft *draft) {
  const char *reason = known_operation(decoder, draft, NEWER_BITWISE_XOR);
  if (reason != NULL) {
    return reason;
  }
  uint32_t operands = (uint32_t)draft->seen & BIT_OPERANDS;
  if (operands != bitwise_operations[draft->live.operation].operands &&
      operands != bitwise_operations[draft->live.operation].or_operands) {
    return decoder_reason(decoder, "bitwise: operation %u with other operands than its own", draft->live.operation);
  }
  unsigned length = bitwise_operations[draft->live.operation].value_length;
  length = length != 0 ? length : draft->live.length;
  bool good = ((operands & (BIT_MASK | BIT_DATA)) == 0 || draft->data.length == length) &&
              ((operands & BIT_XOR) == 0 || draft->data_to.length == length);
  return good ? NULL : "bitwise: an operand of another length";
}

static const char *finish_bitwise(struct decoder *decoder, struct draft *draft) {
  keep_values(draft);
  draft->live.has_destination = true;
  draft->live.has_source_data = SEEN(draft->seen, NEWER_BITWISE_SREG2);
  const char *second =
      draft->live.has_source_data ? within(decoder, "bitwise", draft->live.source_data, draft->live.length) : NULL;
  const char *places = first_reason(within(decoder, "bitwise", draft->live.source, draft->live.length),
                                    within(decoder, "bitwise", draft->live.destination, draft->live.length));
  return first_reason(first_reason(places, second), judge_operands(decoder, draft));
}

static const struct attribute_spec byteorder_specs[] = {
    NEEDED(NFTA_BYTEORDER_SREG, FORMAT_REGISTER, "sreg", live.source),
    NEEDED(NFTA_BYTEORDER_DREG, FORMAT_REGISTER, "dreg", live.destination),
    NEEDED(NFTA_BYTEORDER_OP, FORMAT_U32, "op", live.operation),
    NEEDED(NFTA_BYTEORDER_LEN, FORMAT_U32, "len", live.length),
    NEEDED(NFTA_BYTEORDER_SIZE, FORMAT_U32, "size", live.size),
};

static const char *finish_byteorder(struct decoder *decoder, struct draft *draft) {
  const struct live_expression *live = &draft->live;
  draft->live.has_destination = true;
  const char *places = first_reason(within(decoder, "byteorder", live->source, live->length),
                                    within(decoder, "byteorder", live->destination, live->length));
  const char *size = NULL;
  if (live->size != 2 && live->size != 4 && live->size != 8) {
    size = decoder_reason(decoder, "byteorder: size %u is not known", live->size);
  } else if (live->length % live->size != 0 &&
             (live->length > live->size || live->source != live->destination)) { /* less than a piece: it stays */
    size = decoder_reason(decoder, "byteorder: %u bytes in pieces of %u", live->length, live->size);
  }
  return first_reason(places, first_reason(size, known_operation(decoder, draft, NFT_BYTEORDER_HTON)));
}

/* ---- payload, exthdr ---- */

static const struct attribute_spec payload_specs[] = {
    FIELD(NFTA_PAYLOAD_DREG, FORMAT_REGISTER, "dreg", live.destination),
    NEEDED(NFTA_PAYLOAD_BASE, FORMAT_U32, "base", live.base),
    NEEDED(NFTA_PAYLOAD_OFFSET, FORMAT_U32, "offset", live.offset),
    NEEDED(NFTA_PAYLOAD_LEN, FORMAT_U32, "len", live.length),
    FIELD(NFTA_PAYLOAD_SREG, FORMAT_REGISTER, "sreg", live.source),
    SPEC_IGNORED(NFTA_PAYLOAD_CSUM_TYPE, FORMAT_SKIP, "csum type"),
    SPEC_IGNORED(NFTA_PAYLOAD_CSUM_OFFSET, FORMAT_SKIP, "csum offset"),
    SPEC_IGNORED(NFTA_PAYLOAD_CSUM_FLAGS, FORMAT_SKIP, "csum flags"),
};

/* Reads or writes: one of the two registers is there. other: the kind of what writes to the packet. */
static const char *choose_direction(struct decoder *decoder, struct draft *draft, bool reads, bool writes,
                                    enum live_kind other) {
  draft->live.has_destination = reads;
  if (reads == writes) {
    return decoder_reason(decoder, "%s: it has %s register", draft->live.name, reads ? "more than one" : "no");
  }
  draft->live.kind = writes ? other : draft->live.kind;
  return within(decoder, draft->live.name, writes ? draft->live.source : draft->live.destination, draft->live.length);
}

static const char *finish_payload(struct decoder *decoder, struct draft *draft) {
  bool reads = SEEN(draft->seen, NFTA_PAYLOAD_DREG), writes = SEEN(draft->seen, NFTA_PAYLOAD_SREG);
  const char *reason = choose_direction(decoder, draft, reads, writes, LIVE_PAYLOAD_SET);
  if (draft->live.base > NEWER_PAYLOAD_TUNNEL || draft->live.length == 0) {
    const char *base = decoder_reason(decoder, "payload: base %u, %u bytes", draft->live.base, draft->live.length);
    reason = first_reason(reason, base);
  }
  return reason;
}

static const struct attribute_spec exthdr_specs[] = {
    FIELD(NFTA_EXTHDR_DREG, FORMAT_REGISTER, "dreg", live.destination),
    NEEDED(NFTA_EXTHDR_TYPE, FORMAT_U8, "type", live.key),
    NEEDED(NFTA_EXTHDR_OFFSET, FORMAT_U32, "offset", live.offset),
    NEEDED(NFTA_EXTHDR_LEN, FORMAT_U32, "len", live.length),
    FIELD(NFTA_EXTHDR_FLAGS, FORMAT_U32, "flags", live.flags),
    FIELD(NFTA_EXTHDR_OP, FORMAT_U32, "op", live.operation),
    FIELD(NFTA_EXTHDR_SREG, FORMAT_REGISTER, "sreg", live.source),
};

static const char *finish_exthdr(struct decoder *decoder, struct draft *draft) {
  bool reads = SEEN(draft->seen, NFTA_EXTHDR_DREG), writes = SEEN(draft->seen, NFTA_EXTHDR_SREG);
  const char *reason = first_reason(known_flags(decoder, draft, NFT_EXTHDR_F_PRESENT),
                                    known_operation(decoder, draft, NFT_EXTHDR_OP_DCCP));
  if (!reads && !writes) {
    draft->live.kind = LIVE_EXTHDR_SET;
    return first_reason(reason, "exthdr: it takes an option out of the packet");
  }
  if (reads && (draft->live.flags & NFT_EXTHDR_F_PRESENT) != 0) {
    draft->live.length = 1; /* whatever length is named */
  }
  return first_reason(reason, choose_direction(decoder, draft, reads, writes, LIVE_EXTHDR_SET));
}

/* ---- meta, ct ---- */

static const struct attribute_spec meta_specs[] = {
    FIELD(NFTA_META_DREG, FORMAT_REGISTER, "dreg", live.destination),
    NEEDED(NFTA_META_KEY, FORMAT_U32, "key", live.key),
    FIELD(NFTA_META_SREG, FORMAT_REGISTER, "sreg", live.source),
};

/* Bytes of each key's value; 0: not known. */
static const uint8_t meta_lengths[] = {
    [NFT_META_LEN] = 4,
    [NFT_META_PROTOCOL] = 2,
    [NFT_META_PRIORITY] = 4,
    [NFT_META_MARK] = 4,
    [NFT_META_IIF] = 4,
    [NFT_META_OIF] = 4,
    [NFT_META_IIFNAME] = IFNAMSIZ,
    [NFT_META_OIFNAME] = IFNAMSIZ,
    [NFT_META_IIFTYPE] = 2,
    [NFT_META_OIFTYPE] = 2,
    [NFT_META_SKUID] = 4,
    [NFT_META_SKGID] = 4,
    [NFT_META_NFTRACE] = 1,
    [NFT_META_RTCLASSID] = 4,
    [NFT_META_SECMARK] = 4,
    [NFT_META_NFPROTO] = 1,
    [NFT_META_L4PROTO] = 1,
    [NFT_META_BRI_IIFNAME] = IFNAMSIZ,
    [NFT_META_BRI_OIFNAME] = IFNAMSIZ,
    [NFT_META_PKTTYPE] = 1,
    [NFT_META_CPU] = 4,
    [NFT_META_IIFGROUP] = 4,
    [NFT_META_OIFGROUP] = 4,
    [NFT_META_CGROUP] = 4,
    [NFT_META_PRANDOM] = 4,
    [NFT_META_SECPATH] = 1,
    [NFT_META_IIFKIND] = IFNAMSIZ,
    [NFT_META_OIFKIND] = IFNAMSIZ,
    [NFT_META_BRI_IIFPVID] = 2,
    [NFT_META_BRI_IIFVPROTO] = 2,
    [NFT_META_TIME_NS] = 8,
    [NFT_META_TIME_DAY] = 1,
    [NFT_META_TIME_HOUR] = 4,
    [NFT_META_SDIF] = 4,
    [NFT_META_SDIFNAME] = IFNAMSIZ,
    [NEWER_META_BRI_BROUTE] = 1,
    [NEWER_META_BRI_IIFHWADDR] = 6,
};

static const char *finish_meta(struct decoder *decoder, struct draft *draft) {
  unsigned key = draft->live.key;
  draft->live.length = key < sizeof(meta_lengths) ? meta_lengths[key] : 0;
  bool reads = SEEN(draft->seen, NFTA_META_DREG), writes = SEEN(draft->seen, NFTA_META_SREG);
  return first_reason(choose_direction(decoder, draft, reads, writes, LIVE_META_SET), known_key(decoder, draft));
}

static const struct attribute_spec ct_specs[] = {
    FIELD(NFTA_CT_DREG, FORMAT_REGISTER, "dreg", live.destination),
    NEEDED(NFTA_CT_KEY, FORMAT_U32, "key", live.key),
    FIELD(NFTA_CT_DIRECTION, FORMAT_U8, "direction", live.direction),
    FIELD(NFTA_CT_SREG, FORMAT_REGISTER, "sreg", live.source),
};

static const uint8_t ct_lengths[] = {
    [NFT_CT_STATE] = 4,     [NFT_CT_DIRECTION] = 1,  [NFT_CT_STATUS] = 4,    [NFT_CT_MARK] = 4,
    [NFT_CT_SECMARK] = 4,   [NFT_CT_EXPIRATION] = 4, [NFT_CT_HELPER] = 16,   [NFT_CT_L3PROTOCOL] = 1,
    [NFT_CT_SRC] = 16,      [NFT_CT_DST] = 16,       [NFT_CT_PROTOCOL] = 1,  [NFT_CT_PROTO_SRC] = 2,
    [NFT_CT_PROTO_DST] = 2, [NFT_CT_LABELS] = 16,    [NFT_CT_PKTS] = 8,      [NFT_CT_BYTES] = 8,
    [NFT_CT_AVGPKT] = 8,    [NFT_CT_ZONE] = 2,       [NFT_CT_EVENTMASK] = 4, [NFT_CT_SRC_IP] = 4,
    [NFT_CT_DST_IP] = 4,    [NFT_CT_SRC_IP6] = 16,   [NFT_CT_DST_IP6] = 16,  [NFT_CT_ID] = 4,
};

/* The older keys of addresses are as long as the family of the table says. */
static unsigned ct_length(const struct draft *draft) {
  unsigned key = draft->live.key;
  if ((key == NFT_CT_SRC || key == NFT_CT_DST) && draft->table != NULL && draft->table->family == NFPROTO_IPV4) {
    return 4;
  }
  return key < sizeof(ct_lengths) ? ct_lengths[key] : 0;
}

static const char *finish_ct(struct decoder *decoder, struct draft *draft) {
  enum { DIRECTION_MAX = 1 };
  bool reads = SEEN(draft->seen, NFTA_CT_DREG), writes = SEEN(draft->seen, NFTA_CT_SREG);
  draft->live.length = ct_length(draft);
  if (!SEEN(draft->seen, NFTA_CT_DIRECTION)) {
    draft->live.direction = -1;
  } else if (draft->live.direction < 0 || draft->live.direction > DIRECTION_MAX) {
    return decoder_reason(decoder, "ct: direction %d is not known", draft->live.direction);
  }
  return first_reason(choose_direction(decoder, draft, reads, writes, LIVE_CT_SET), known_key(decoder, draft));
}

/* ---- sets ---- */

static const char *resolve_set(struct decoder *decoder, struct draft *draft) {
  if (draft->set == NULL) {
    return NULL; /* said already */
  }
  draft->live.set =
      draft->table != NULL ? name_index_find(decoder->names, NAME_SET, draft->table, 0, draft->set) : NULL;
  return draft->live.set != NULL ? NULL
                                 : decoder_reason(decoder, "%s: there is no set '%s'", draft->live.name, draft->set);
}

static const char *key_within(struct decoder *decoder, const struct draft *draft) {
  return draft->live.set != NULL ? within(decoder, draft->live.name, draft->live.source, draft->live.set->key_length)
                                 : NULL;
}

static const struct attribute_spec lookup_specs[] = {
    NEEDED(NFTA_LOOKUP_SET, FORMAT_TEXT, "set", set),
    NEEDED(NFTA_LOOKUP_SREG, FORMAT_REGISTER, "sreg", live.source),
    FIELD(NFTA_LOOKUP_DREG, FORMAT_REGISTER, "dreg", live.destination),
    FIELD(NFTA_LOOKUP_FLAGS, FORMAT_U32, "flags", live.flags),
};

/* What comes out of a map must fit to what the map has. */
static const char *judge_answer(struct decoder *decoder, struct draft *draft) {
  const struct live_set *set = draft->live.set;
  if (set == NULL) {
    return NULL;
  }
  enum live_data_kind wanted = draft->live.verdict_map ? LIVE_VERDICTS : LIVE_VALUES;
  if (set->data_kind != wanted || draft->live.flags != 0) {
    return "lookup: a map of other things than are asked for";
  }
  draft->live.length = draft->live.verdict_map ? 0 : set->data_length;
  return draft->live.verdict_map ? NULL : within(decoder, "lookup", draft->live.destination, set->data_length);
}

static const char *finish_lookup(struct decoder *decoder, struct draft *draft) {
  bool answers = SEEN(draft->seen, NFTA_LOOKUP_DREG);
  draft->live.verdict_map = answers && draft->live.destination == 0;
  draft->live.has_destination = answers && draft->live.destination != 0;
  const char *reason = resolve_set(decoder, draft);
  reason = first_reason(reason, key_within(decoder, draft));
  reason = first_reason(reason, answers ? judge_answer(decoder, draft) : NULL);
  return first_reason(reason, known_flags(decoder, draft, NFT_LOOKUP_F_INV));
}

static const struct attribute_spec dynset_specs[] = {
    NEEDED(NFTA_DYNSET_SET_NAME, FORMAT_TEXT, "set", set),
    NEEDED(NFTA_DYNSET_OP, FORMAT_U32, "op", live.operation),
    NEEDED(NFTA_DYNSET_SREG_KEY, FORMAT_REGISTER, "sreg key", live.source),
    FIELD(NFTA_DYNSET_SREG_DATA, FORMAT_REGISTER, "sreg data", live.source_data),
    FIELD(NFTA_DYNSET_TIMEOUT, FORMAT_U64, "timeout", live.timeout),
    FIELD(NFTA_DYNSET_EXPR, FORMAT_BYTES, "expression", data),
    FIELD(NFTA_DYNSET_EXPRESSIONS, FORMAT_BYTES, "expressions", nest),
    FIELD(NFTA_DYNSET_FLAGS, FORMAT_U32, "flags", live.flags),
    SPEC_IGNORED(NFTA_DYNSET_SET_ID, FORMAT_SKIP, "set id"),
    SPEC_IGNORED(NFTA_DYNSET_PAD, FORMAT_PAD, "pad"),
};

/* Expressions of each element: one alone, or a list. */
static const char *decode_nested(struct decoder *decoder, struct draft *draft) {
  if (SEEN(draft->seen, NFTA_DYNSET_EXPR)) {
    struct live_expression *nested = ARENA_NEW(decoder->arena, struct live_expression);
    if (nested != NULL) {
      decode_expression(decoder, draft->table, draft->data, nested);
      draft->live.nested = nested;
      draft->live.nested_count = 1;
    }
  } else {
    decode_expressions(decoder, draft->table, draft->nest, &draft->live.nested, &draft->live.nested_count);
  }
  bool both = SEEN(draft->seen, NFTA_DYNSET_EXPR) && SEEN(draft->seen, NFTA_DYNSET_EXPRESSIONS);
  return both ? "dynset: expressions are named in two ways"
              : expressions_reason(draft->live.nested, draft->live.nested_count);
}

static const char *finish_dynset(struct decoder *decoder, struct draft *draft) {
  draft->live.has_source_data = SEEN(draft->seen, NFTA_DYNSET_SREG_DATA);
  const char *reason = resolve_set(decoder, draft);
  reason = first_reason(reason, key_within(decoder, draft));
  if (draft->live.has_source_data && draft->live.set != NULL) {
    const char *data = within(decoder, "dynset", draft->live.source_data, draft->live.set->data_length);
    reason = first_reason(reason, data);
  }
  reason = first_reason(reason, decode_nested(decoder, draft));
  reason = first_reason(reason, known_operation(decoder, draft, NFT_DYNSET_OP_DELETE));
  return first_reason(reason, known_flags(decoder, draft, NFT_DYNSET_F_INV | NFT_DYNSET_F_EXPR));
}

static const struct attribute_spec reference_specs[] = {
    FIELD(NFTA_OBJREF_IMM_TYPE, FORMAT_U32, "type", live.operation),
    FIELD(NFTA_OBJREF_IMM_NAME, FORMAT_TEXT, "name", live.object),
    FIELD(NFTA_OBJREF_SET_SREG, FORMAT_REGISTER, "sreg", live.source),
    FIELD(NFTA_OBJREF_SET_NAME, FORMAT_TEXT, "set", set),
    SPEC_IGNORED(NFTA_OBJREF_SET_ID, FORMAT_SKIP, "set id"),
};

static const char *finish_reference(struct decoder *decoder, struct draft *draft) {
  const uint64_t named = UINT64_C(1) << NFTA_OBJREF_IMM_TYPE | UINT64_C(1) << NFTA_OBJREF_IMM_NAME;
  const uint64_t mapped = UINT64_C(1) << NFTA_OBJREF_SET_SREG | UINT64_C(1) << NFTA_OBJREF_SET_NAME;
  draft->live.has_source = (draft->seen & mapped) == mapped;
  if (((draft->seen & named) == named) == draft->live.has_source) {
    return "objref: it names no object, or two";
  }
  if (draft->live.has_source) {
    const char *reason = resolve_set(decoder, draft);
    if (draft->live.set != NULL && draft->live.set->data_kind != LIVE_OBJECTS) {
      reason = first_reason(reason, "objref: a map of other things");
    }
    draft->live.operation = draft->live.set != NULL ? draft->live.set->object_type : 0;
    return first_reason(reason, key_within(decoder, draft));
  }
  const void *object = draft->table == NULL ? NULL
                                            : name_index_find(decoder->names, NAME_OBJECT, draft->table,
                                                              draft->live.operation, draft->live.object);
  return object != NULL ? NULL : decoder_reason(decoder, "objref: there is no object '%s'", draft->live.object);
}

/* ---- what counts and limits ---- */

static const struct attribute_spec counter_specs[] = {
    SPEC_IGNORED(NFTA_COUNTER_BYTES, FORMAT_SKIP, "bytes"),
    SPEC_IGNORED(NFTA_COUNTER_PACKETS, FORMAT_SKIP, "packets"),
    SPEC_IGNORED(NFTA_COUNTER_PAD, FORMAT_PAD, "pad"),
};

static const struct attribute_spec last_specs[] = {
    SPEC_IGNORED(NFTA_LAST_SET, FORMAT_SKIP, "set"),
    SPEC_IGNORED(NFTA_LAST_MSECS, FORMAT_SKIP, "msecs"),
    SPEC_IGNORED(NFTA_LAST_PAD, FORMAT_PAD, "pad"),
};

static const struct attribute_spec log_specs[] = {
    FIELD(NFTA_LOG_PREFIX, FORMAT_TEXT, "prefix", live.object),
    SPEC_IGNORED(NFTA_LOG_GROUP, FORMAT_SKIP, "group"),
    SPEC_IGNORED(NFTA_LOG_SNAPLEN, FORMAT_SKIP, "snaplen"),
    SPEC_IGNORED(NFTA_LOG_QTHRESHOLD, FORMAT_SKIP, "queue threshold"),
    SPEC_IGNORED(NFTA_LOG_LEVEL, FORMAT_SKIP, "level"),
    SPEC_IGNORED(NFTA_LOG_FLAGS, FORMAT_SKIP, "flags"),
};

static const struct attribute_spec limit_specs[] = {
    NEEDED(NFTA_LIMIT_RATE, FORMAT_U64, "rate", live.rate),
    NEEDED(NFTA_LIMIT_UNIT, FORMAT_U64, "unit", live.unit_seconds),
    FIELD(NFTA_LIMIT_BURST, FORMAT_U32, "burst", live.burst),
    FIELD(NFTA_LIMIT_TYPE, FORMAT_U32, "type", live.key),
    FIELD(NFTA_LIMIT_FLAGS, FORMAT_U32, "flags", live.flags),
    SPEC_IGNORED(NFTA_LIMIT_PAD, FORMAT_PAD, "pad"),
};

static const char *finish_limit(struct decoder *decoder, struct draft *draft) {
  const char *type = draft->live.key <= NFT_LIMIT_PKT_BYTES
                         ? NULL
                         : decoder_reason(decoder, "limit: type %u is not known", draft->live.key);
  return first_reason(type, known_flags(decoder, draft, NFT_LIMIT_F_INV));
}

static const struct attribute_spec quota_specs[] = {
    NEEDED(NFTA_QUOTA_BYTES, FORMAT_U64, "bytes", live.rate),
    FIELD(NFTA_QUOTA_FLAGS, FORMAT_U32, "flags", live.flags),
    SPEC_IGNORED(NFTA_QUOTA_CONSUMED, FORMAT_SKIP, "consumed"),
    SPEC_IGNORED(NFTA_QUOTA_PAD, FORMAT_PAD, "pad"),
};

static const char *finish_quota(struct decoder *decoder, struct draft *draft) {
  return known_flags(decoder, draft, NFT_QUOTA_F_INV | NFT_QUOTA_F_DEPLETED);
}

static const struct attribute_spec connlimit_specs[] = {
    NEEDED(NFTA_CONNLIMIT_COUNT, FORMAT_U32, "count", live.burst),
    FIELD(NFTA_CONNLIMIT_FLAGS, FORMAT_U32, "flags", live.flags),
};

static const char *finish_connlimit(struct decoder *decoder, struct draft *draft) {
  return known_flags(decoder, draft, NFT_CONNLIMIT_F_INV);
}

/* ---- what ends or changes a packet's way ---- */

static const struct attribute_spec reject_specs[] = {
    NEEDED(NFTA_REJECT_TYPE, FORMAT_U32, "type", live.operation),
    FIELD(NFTA_REJECT_ICMP_CODE, FORMAT_U8, "code", live.burst),
};

static const char *finish_reject(struct decoder *decoder, struct draft *draft) {
  return known_operation(decoder, draft, NFT_REJECT_ICMPX_UNREACH);
}

static const struct attribute_spec nat_specs[] = {
    NEEDED(NFTA_NAT_TYPE, FORMAT_U32, "type", live.operation),
    NEEDED(NFTA_NAT_FAMILY, FORMAT_U32, "family", live.key),
    FIELD(NFTA_NAT_REG_ADDR_MIN, FORMAT_REGISTER, "address", live.source),
    FIELD(NFTA_NAT_REG_ADDR_MAX, FORMAT_REGISTER, "last address", most),
    FIELD(NFTA_NAT_REG_PROTO_MIN, FORMAT_REGISTER, "port", live.source_data),
    FIELD(NFTA_NAT_REG_PROTO_MAX, FORMAT_REGISTER, "last port", most),
    FIELD(NFTA_NAT_FLAGS, FORMAT_U32, "flags", live.flags),
};

static const char *judge_port(struct decoder *decoder, struct draft *draft, unsigned type) {
  draft->live.has_source_data = SEEN(draft->seen, type);
  return draft->live.has_source_data ? within(decoder, draft->live.name, draft->live.source_data, sizeof(uint16_t))
                                     : NULL;
}

static const char *finish_nat(struct decoder *decoder, struct draft *draft) {
  draft->live.has_source = SEEN(draft->seen, NFTA_NAT_REG_ADDR_MIN);
  const char *address = NULL;
  if (draft->live.has_source) {
    address = within(decoder, "nat", draft->live.source, draft->live.key == NFPROTO_IPV6 ? 16 : 4);
  }
  return first_reason(first_reason(address, judge_port(decoder, draft, NFTA_NAT_REG_PROTO_MIN)),
                      known_operation(decoder, draft, NFT_NAT_DNAT));
}

static const struct attribute_spec masquerade_specs[] = {
    FIELD(NFTA_MASQ_FLAGS, FORMAT_U32, "flags", live.flags),
    FIELD(NFTA_MASQ_REG_PROTO_MIN, FORMAT_REGISTER, "port", live.source_data),
    FIELD(NFTA_MASQ_REG_PROTO_MAX, FORMAT_REGISTER, "last port", most),
};

static const char *finish_masquerade(struct decoder *decoder, struct draft *draft) {
  draft->live.operation = NFT_NAT_SNAT;
  return judge_port(decoder, draft, NFTA_MASQ_REG_PROTO_MIN);
}

static const struct attribute_spec redirect_specs[] = {
    FIELD(NFTA_REDIR_FLAGS, FORMAT_U32, "flags", live.flags),
    FIELD(NFTA_REDIR_REG_PROTO_MIN, FORMAT_REGISTER, "port", live.source_data),
    FIELD(NFTA_REDIR_REG_PROTO_MAX, FORMAT_REGISTER, "last port", most),
};

static const char *finish_redirect(struct decoder *decoder, struct draft *draft) {
  draft->live.operation = NFT_NAT_DNAT;
  return judge_port(decoder, draft, NFTA_REDIR_REG_PROTO_MIN);
}

static const struct attribute_spec forward_specs[] = {
    NEEDED(NFTA_FWD_SREG_DEV, FORMAT_REGISTER, "device", live.source),
    FIELD(NFTA_FWD_SREG_ADDR, FORMAT_REGISTER, "address", live.source_data),
    FIELD(NFTA_FWD_NFPROTO, FORMAT_U32, "family", live.key),
};

static const char *finish_forward(struct decoder *decoder, struct draft *draft) {
  (void)decoder;
  draft->live.has_source = true;
  draft->live.has_source_data = SEEN(draft->seen, NFTA_FWD_SREG_ADDR);
  return "fwd: it sends the packet out of another interface";
}

static const struct attribute_spec duplicate_specs[] = {
    FIELD(NFTA_DUP_SREG_DEV, FORMAT_REGISTER, "device", live.source),
    FIELD(NFTA_DUP_SREG_ADDR, FORMAT_REGISTER, "address", live.source_data),
};

static const char *finish_duplicate(struct decoder *decoder, struct draft *draft) {
  (void)decoder;
  draft->live.has_source = SEEN(draft->seen, NFTA_DUP_SREG_DEV);
  draft->live.has_source_data = SEEN(draft->seen, NFTA_DUP_SREG_ADDR);
  return "dup: it sends a copy of the packet somewhere else";
}

static const struct attribute_spec offload_specs[] = {
    NEEDED(NFTA_FLOW_TABLE_NAME, FORMAT_TEXT, "flowtable", live.object),
};

static const char *finish_offload(struct decoder *decoder, struct draft *draft) {
  (void)decoder;
  (void)draft;
  return "flow_offload: later packets of the connection pass the rules by";
}

static const struct attribute_spec queue_specs[] = {
    FIELD(NFTA_QUEUE_NUM, FORMAT_U16, "number", live.key),
    FIELD(NFTA_QUEUE_TOTAL, FORMAT_U16, "total", live.size),
    FIELD(NFTA_QUEUE_FLAGS, FORMAT_U16, "flags", live.flags),
    FIELD(NFTA_QUEUE_SREG_QNUM, FORMAT_REGISTER, "sreg", live.source),
};

static const char *finish_queue(struct decoder *decoder, struct draft *draft) {
  (void)decoder;
  (void)draft;
  return "queue: a program decides";
}

static const struct attribute_spec tproxy_specs[] = {
    NEEDED(NFTA_TPROXY_FAMILY, FORMAT_U32, "family", live.key),
    FIELD(NFTA_TPROXY_REG_ADDR, FORMAT_REGISTER, "address", live.source),
    FIELD(NFTA_TPROXY_REG_PORT, FORMAT_REGISTER, "port", live.source_data),
};

static const char *finish_tproxy(struct decoder *decoder, struct draft *draft) {
  (void)decoder;
  draft->live.has_source = SEEN(draft->seen, NFTA_TPROXY_REG_ADDR);
  draft->live.has_source_data = SEEN(draft->seen, NFTA_TPROXY_REG_PORT);
  return "tproxy: it hands the packet to a program of this machine";
}

static const struct attribute_spec synproxy_specs[] = {
    FIELD(NFTA_SYNPROXY_MSS, FORMAT_U16, "mss", live.key),
    FIELD(NFTA_SYNPROXY_WSCALE, FORMAT_U8, "wscale", live.size),
    FIELD(NFTA_SYNPROXY_FLAGS, FORMAT_U32, "flags", live.flags),
};

static const char *finish_synproxy(struct decoder *decoder, struct draft *draft) {
  (void)decoder;
  (void)draft;
  return "synproxy: the kernel answers in the place of the destination";
}

static const struct attribute_spec target_specs[] = {
    NEEDED(NFTA_TARGET_NAME, FORMAT_TEXT, "name", live.object),
    SPEC_IGNORED(NFTA_TARGET_REV, FORMAT_SKIP, "revision"),
    SPEC_IGNORED(NFTA_TARGET_INFO, FORMAT_SKIP, "info"),
};

static const char *finish_target(struct decoder *decoder, struct draft *draft) {
  return decoder_reason(decoder, "target: what '%s' of xtables does is not known",
                        draft->live.object != NULL ? draft->live.object : "");
}

/* ---- what asks the machine ---- */

static const struct attribute_spec fib_specs[] = {
    NEEDED(NFTA_FIB_DREG, FORMAT_REGISTER, "dreg", live.destination),
    NEEDED(NFTA_FIB_RESULT, FORMAT_U32, "result", live.key),
    NEEDED(NFTA_FIB_FLAGS, FORMAT_U32, "flags", live.flags),
};
static const struct attribute_spec numgen_specs[] = {
    NEEDED(NFTA_NG_DREG, FORMAT_REGISTER, "dreg", live.destination),
    NEEDED(NFTA_NG_MODULUS, FORMAT_U32, "modulus", live.size),
    NEEDED(NFTA_NG_TYPE, FORMAT_U32, "type", live.key),
    FIELD(NFTA_NG_OFFSET, FORMAT_U32, "offset", live.offset),
};
static const struct attribute_spec hash_specs[] = {
    FIELD(NFTA_HASH_SREG, FORMAT_REGISTER, "sreg", live.source),
    NEEDED(NFTA_HASH_DREG, FORMAT_REGISTER, "dreg", live.destination),
    SPEC_IGNORED(NFTA_HASH_LEN, FORMAT_SKIP, "len"),
    NEEDED(NFTA_HASH_MODULUS, FORMAT_U32, "modulus", live.size),
    SPEC_IGNORED(NFTA_HASH_SEED, FORMAT_SKIP, "seed"),
    FIELD(NFTA_HASH_OFFSET, FORMAT_U32, "offset", live.offset),
    FIELD(NFTA_HASH_TYPE, FORMAT_U32, "type", live.key),
};
static const struct attribute_spec socket_specs[] = {
    NEEDED(NFTA_SOCKET_KEY, FORMAT_U32, "key", live.key),
    NEEDED(NFTA_SOCKET_DREG, FORMAT_REGISTER, "dreg", live.destination),
    FIELD(NFTA_SOCKET_LEVEL, FORMAT_U32, "level", live.offset),
};
static const struct attribute_spec osf_specs[] = {
    NEEDED(NFTA_OSF_DREG, FORMAT_REGISTER, "dreg", live.destination),
    FIELD(NFTA_OSF_TTL, FORMAT_U8, "ttl", live.size),
    FIELD(NFTA_OSF_FLAGS, FORMAT_U32, "flags", live.flags),
};
static const struct attribute_spec route_specs[] = {
    NEEDED(NFTA_RT_DREG, FORMAT_REGISTER, "dreg", live.destination),
    NEEDED(NFTA_RT_KEY, FORMAT_U32, "key", live.key),
};
static const struct attribute_spec xfrm_specs[] = {
    NEEDED(NFTA_XFRM_DREG, FORMAT_REGISTER, "dreg", live.destination),
    NEEDED(NFTA_XFRM_KEY, FORMAT_U32, "key", live.key),
    FIELD(NFTA_XFRM_DIR, FORMAT_U8, "direction", live.size),
    FIELD(NFTA_XFRM_SPNUM, FORMAT_U32, "spnum", live.offset),
};
static const struct attribute_spec tunnel_specs[] = {
    NEEDED(NFTA_TUNNEL_KEY, FORMAT_U32, "key", live.key),
    NEEDED(NFTA_TUNNEL_DREG, FORMAT_REGISTER, "dreg", live.destination),
    FIELD(NFTA_TUNNEL_MODE, FORMAT_U32, "mode", live.size),
};
static const struct attribute_spec match_specs[] = {
    NEEDED(NFTA_MATCH_NAME, FORMAT_TEXT, "name", live.object),
    SPEC_IGNORED(NFTA_MATCH_REV, FORMAT_SKIP, "revision"),
    SPEC_IGNORED(NFTA_MATCH_INFO, FORMAT_SKIP, "info"),
};

/* Most bytes that a key of these writes, whole words; by name, then by key. */
enum { ASK_KEYS = 8 };
static const struct {
  const char *name;
  uint8_t lengths[ASK_KEYS];
} asked[] = {
    {"fib", {[NFT_FIB_RESULT_OIF] = 4, [NFT_FIB_RESULT_OIFNAME] = IFNAMSIZ, [NFT_FIB_RESULT_ADDRTYPE] = 4}},
    {"numgen", {[NFT_NG_INCREMENTAL] = 4, [NFT_NG_RANDOM] = 4}},
    {"hash", {[NFT_HASH_JENKINS] = 4, [NFT_HASH_SYM] = 4}},
    {"socket",
     {[NFT_SOCKET_TRANSPARENT] = 4, [NFT_SOCKET_MARK] = 4, [NFT_SOCKET_WILDCARD] = 4, [NFT_SOCKET_CGROUPV2] = 8}},
    {"osf", {NFT_OSF_MAXGENRELEN}},
    {"rt",
     {[NFT_RT_CLASSID] = 4, [NFT_RT_NEXTHOP4] = 4, [NFT_RT_NEXTHOP6] = 16, [NFT_RT_TCPMSS] = 4, [NFT_RT_XFRM] = 4}},
    {"xfrm",
     {[NFT_XFRM_KEY_DADDR_IP4] = 4,
      [NFT_XFRM_KEY_DADDR_IP6] = 16,
      [NFT_XFRM_KEY_SADDR_IP4] = 4,
      [NFT_XFRM_KEY_SADDR_IP6] = 16,
      [NFT_XFRM_KEY_REQID] = 4,
      [NFT_XFRM_KEY_SPI] = 4}},
    {"tunnel", {[NFT_TUNNEL_PATH] = 4, [NFT_TUNNEL_ID] = 4}},
};

static const char *finish_asking(struct decoder *decoder, struct draft *draft) {
  draft->live.has_destination = true;
  for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
    if (strcmp(asked[i].name, draft->live.name) == 0 && draft->live.key < ASK_KEYS) {
      draft->live.length = asked[i].lengths[draft->live.key];
    }
  }
  return first_reason(known_key(decoder, draft),
                      within(decoder, draft->live.name, draft->live.destination, draft->live.length));
}

/* Matches of xtables look at the packet and leave it alone, but for one. */
static const char *finish_match(struct decoder *decoder, struct draft *draft) {
  (void)decoder;
  if (draft->live.object == NULL || strcmp(draft->live.object, "socket") == 0) {
    draft->live.kind = LIVE_OTHER;
    return "match: 'socket' of xtables may change the mark of the packet";
  }
  return NULL;
}

static const struct attribute_spec inner_specs[] = {
    SPEC_IGNORED(NEWER_INNER_NUM, FORMAT_SKIP, "number"),
    SPEC_IGNORED(NEWER_INNER_TYPE, FORMAT_SKIP, "type"),
    SPEC_IGNORED(NEWER_INNER_FLAGS, FORMAT_SKIP, "flags"),
    SPEC_IGNORED(NEWER_INNER_HDRSIZE, FORMAT_SKIP, "header size"),
    NEEDED(NEWER_INNER_EXPR, FORMAT_BYTES, "expression", nest),
};

/* A payload or meta expression of the packet inside of a tunnel's. */
static const char *finish_inner(struct decoder *decoder, struct draft *draft) {
  struct live_expression *inner = ARENA_NEW(decoder->arena, struct live_expression);
  if (inner == NULL) {
    return "inner: there is no memory for it";
  }
  decode_expression(decoder, NULL, draft->nest, inner);
  draft->live.nested = inner;
  draft->live.nested_count = 1;
  draft->live.destination = inner->destination;
  draft->live.length = inner->length;
  draft->live.has_destination = inner->has_destination;
  if (inner->kind != LIVE_PAYLOAD && inner->kind != LIVE_META) {
    return "inner: another expression than payload or meta";
  }
  return inner->unmodelled;
}

/* ---- the table of expressions ---- */

typedef const char *(*finish_function)(struct decoder *decoder, struct draft *draft);

#define ROW(name_, kind_, specs_, finish_)                                                                             \
  { {.what = (name_), .specs = (specs_), .count = sizeof(specs_) / sizeof((specs_)[0])}, (kind_), (finish_) }

static const struct row {
  struct attribute_table table;
  enum live_kind kind;
  finish_function finish;
} rows[] = {
    ROW("payload", LIVE_PAYLOAD, payload_specs, finish_payload),
    ROW("cmp", LIVE_COMPARE, compare_specs, finish_compare),
    ROW("meta", LIVE_META, meta_specs, finish_meta),
    ROW("immediate", LIVE_IMMEDIATE, immediate_specs, finish_immediate),
    ROW("lookup", LIVE_LOOKUP, lookup_specs, finish_lookup),
    ROW("ct", LIVE_CT, ct_specs, finish_ct),
    ROW("bitwise", LIVE_BITWISE, bitwise_specs, finish_bitwise),
    ROW("counter", LIVE_COUNTER, counter_specs, NULL),
    ROW("objref", LIVE_OBJECT_REFERENCE, reference_specs, finish_reference),
    ROW("range", LIVE_RANGE, range_specs, finish_range),
    ROW("byteorder", LIVE_BYTEORDER, byteorder_specs, finish_byteorder),
    ROW("dynset", LIVE_DYNSET, dynset_specs, finish_dynset),
    ROW("exthdr", LIVE_EXTHDR, exthdr_specs, finish_exthdr),
    ROW("log", LIVE_LOG, log_specs, NULL),
    ROW("last", LIVE_LAST, last_specs, NULL),
    ROW("limit", LIVE_LIMIT, limit_specs, finish_limit),
    ROW("quota", LIVE_QUOTA, quota_specs, finish_quota),
    ROW("connlimit", LIVE_CONNLIMIT, connlimit_specs, finish_connlimit),
    ROW("reject", LIVE_REJECT, reject_specs, finish_reject),
    {{.what = "notrack"}, LIVE_NOTRACK, NULL},
    ROW("nat", LIVE_NAT, nat_specs, finish_nat),
    ROW("masq", LIVE_NAT, masquerade_specs, finish_masquerade),
    ROW("redir", LIVE_NAT, redirect_specs, finish_redirect),
    ROW("fib", LIVE_ASK, fib_specs, finish_asking),
    ROW("numgen", LIVE_ASK, numgen_specs, finish_asking),
    ROW("hash", LIVE_ASK, hash_specs, finish_asking),
    ROW("socket", LIVE_ASK, socket_specs, finish_asking),
    ROW("osf", LIVE_ASK, osf_specs, finish_asking),
    ROW("rt", LIVE_ASK, route_specs, finish_asking),
    ROW("xfrm", LIVE_ASK, xfrm_specs, finish_asking),
    ROW("tunnel", LIVE_ASK, tunnel_specs, finish_asking),
    ROW("inner", LIVE_ASK, inner_specs, finish_inner),
    ROW("match", LIVE_ASK, match_specs, finish_match),
    ROW("target", LIVE_OTHER, target_specs, finish_target),
    ROW("queue", LIVE_OTHER, queue_specs, finish_queue),
    ROW("tproxy", LIVE_OTHER, tproxy_specs, finish_tproxy),
    ROW("fwd", LIVE_OTHER, forward_specs, finish_forward),
    ROW("dup", LIVE_OTHER, duplicate_specs, finish_duplicate),
    ROW("flow_offload", LIVE_OTHER, offload_specs, finish_offload),
    ROW("synproxy", LIVE_OTHER, synproxy_specs, finish_synproxy),
};

static const struct row *find_row(const char *name) {
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    if (strcmp(rows[i].table.what, name) == 0) {
      return &rows[i];
    }
  }
  return NULL;
}

enum { DEPTH_MOST = 4 }; /* the kernel's is 2 */

struct expression_draft {
  const char *name;
  struct bytes data;
};

static const struct attribute_spec expression_specs[] = {
    SPEC(NFTA_EXPR_NAME, FORMAT_TEXT, true, "name", struct expression_draft, name),
    SPEC(NFTA_EXPR_DATA, FORMAT_BYTES, false, "data", struct expression_draft, data),
};
static const struct attribute_table expression_table = ATTRIBUTE_TABLE("expression", expression_specs);

void decode_expression(struct decoder *decoder, const struct live_table *table, struct bytes nest,
                       struct live_expression *ret_expression) {
  struct expression_draft words = {.name = ""};
  const char *reason = attributes_take(decoder, nest, &expression_table, &words, NULL);
  const struct row *row = find_row(words.name);
  struct draft draft = {.live = {.kind = LIVE_OTHER, .name = words.name}, .table = table};
  if (decoder->depth >= DEPTH_MOST) {
    reason = "expressions within expressions within expressions";
  } else if (row == NULL) {
    const char *unknown = decoder_reason(decoder, "the expression '%s' is not known", words.name);
    reason = first_reason(reason, unknown);
  } else {
    draft.live.kind = row->kind;
    draft.live.name = row->table.what;
    const char *fault = attributes_take(decoder, words.data, &row->table, &draft, &draft.seen);
    reason = first_reason(reason, fault);
    decoder->depth++;
    fault = row->finish != NULL && decoder->status == 0 ? row->finish(decoder, &draft) : NULL;
    decoder->depth--;
    reason = first_reason(reason, fault);
  }
  *ret_expression = draft.live;
  ret_expression->unmodelled = reason;
}

void decode_expressions(struct decoder *decoder, const struct live_table *table, struct bytes list,
                        const struct live_expression **ret_expressions, size_t *ret_count) {
  size_t room = attribute_count(decoder, list), count = 0;
  struct live_expression *expressions = ARENA_ARRAY(decoder->arena, room, struct live_expression);
  struct attribute attribute;
  while (expressions != NULL && count < room && attribute_next(decoder, &list, &attribute)) {
    struct live_expression *expression = &expressions[count++];
    decode_expression(decoder, table, attribute.value, expression);
    if (attribute.type != NFTA_LIST_ELEM) {
      const char *reason = decoder_reason(decoder, "expressions: attribute %u is not known", attribute.type);
      expression->unmodelled = first_reason(expression->unmodelled, reason);
    }
  }
  *ret_expressions = expressions;
  *ret_count = count;
}

const char *expressions_reason(const struct live_expression *expressions, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (expressions[i].unmodelled != NULL) {
      return expressions[i].unmodelled;
    }
  }
  return NULL;
}
