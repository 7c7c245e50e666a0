/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h> /* libnftnl uses FILE without it */
#include <string.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>

#include "kernel/nftables_build_parts.h"

static uint32_t register_number(uint8_t word) {
  return NFT_REG32_00 + (uint32_t)word;
}

uint32_t build_verdict_number(enum verdict_code code) {
  static const int numbers[] = {
      [VERDICT_NONE] = NFT_CONTINUE, [VERDICT_ACCEPT] = NF_ACCEPT, [VERDICT_DROP] = NF_DROP,
      [VERDICT_JUMP] = NFT_JUMP,     [VERDICT_GOTO] = NFT_GOTO,    [VERDICT_RETURN] = NFT_RETURN,
  };
  return (uint32_t)numbers[code];
}

static void fill_meta(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_META_KEY, from->key);
  if (from->kind == EXPRESSION_META) {
    nftnl_expr_set_u32(to, NFTNL_EXPR_META_DREG, register_number(from->destination));
  } else {
    nftnl_expr_set_u32(to, NFTNL_EXPR_META_SREG, register_number(from->source));
  }
}

static void fill_ct(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_CT_KEY, from->key);
  if (from->kind == EXPRESSION_CT_SET) {
    nftnl_expr_set_u32(to, NFTNL_EXPR_CT_SREG, register_number(from->source));
    return;
  }
  nftnl_expr_set_u32(to, NFTNL_EXPR_CT_DREG, register_number(from->destination));
  if (from->direction != UINT8_MAX) {
    nftnl_expr_set_u8(to, NFTNL_EXPR_CT_DIR, from->direction);
  }
}

static void fill_payload(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_PAYLOAD_BASE, from->key);
  nftnl_expr_set_u32(to, NFTNL_EXPR_PAYLOAD_OFFSET, from->offset);
  nftnl_expr_set_u32(to, NFTNL_EXPR_PAYLOAD_LEN, from->length);
  nftnl_expr_set_u32(to, NFTNL_EXPR_PAYLOAD_DREG, register_number(from->destination));
}

static void fill_extension_header(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u8(to, NFTNL_EXPR_EXTHDR_TYPE, (uint8_t)from->key);
  nftnl_expr_set_u32(to, NFTNL_EXPR_EXTHDR_OFFSET, from->offset);
  nftnl_expr_set_u32(to, NFTNL_EXPR_EXTHDR_LEN, from->length);
  if (from->present) {
    nftnl_expr_set_u32(to, NFTNL_EXPR_EXTHDR_FLAGS, NFT_EXTHDR_F_PRESENT);
  }
  nftnl_expr_set_u32(to, NFTNL_EXPR_EXTHDR_DREG, register_number(from->destination));
}

static void fill_bitwise(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_BITWISE_SREG, register_number(from->source));
  nftnl_expr_set_u32(to, NFTNL_EXPR_BITWISE_DREG, register_number(from->destination));
  nftnl_expr_set_u32(to, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
  nftnl_expr_set_u32(to, NFTNL_EXPR_BITWISE_LEN, from->length);
  nftnl_expr_set_data(to, NFTNL_EXPR_BITWISE_MASK, from->mask, from->length);
  nftnl_expr_set_data(to, NFTNL_EXPR_BITWISE_XOR, from->xor, from->length);
}

static void fill_compare(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_CMP_SREG, register_number(from->source));
  nftnl_expr_set_u32(to, NFTNL_EXPR_CMP_OP, from->key);
  nftnl_expr_set_data(to, NFTNL_EXPR_CMP_DATA, from->data, from->length);
}

static void fill_range(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_RANGE_SREG, register_number(from->source));
  nftnl_expr_set_u32(to, NFTNL_EXPR_RANGE_OP, from->key);
  nftnl_expr_set_data(to, NFTNL_EXPR_RANGE_FROM_DATA, from->data, from->length);
  nftnl_expr_set_data(to, NFTNL_EXPR_RANGE_TO_DATA, from->mask, from->length);
}

static void fill_lookup(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_LOOKUP_SREG, register_number(from->source));
  nftnl_expr_set_str(to, NFTNL_EXPR_LOOKUP_SET, from->name);
  if (from->to_verdict) {
    nftnl_expr_set_u32(to, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
  } else if (from->has_destination) {
    nftnl_expr_set_u32(to, NFTNL_EXPR_LOOKUP_DREG, register_number(from->destination));
  }
  if (from->invert) {
    nftnl_expr_set_u32(to, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
  }
}

static void fill_immediate(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_IMM_DREG, register_number(from->destination));
  nftnl_expr_set_data(to, NFTNL_EXPR_IMM_DATA, from->data, from->length);
}

static void fill_verdict(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(to, NFTNL_EXPR_IMM_VERDICT, build_verdict_number(from->verdict.code));
  if (from->verdict.chain != NULL) {
    nftnl_expr_set_str(to, NFTNL_EXPR_IMM_CHAIN, from->verdict.chain);
  }
}

static void fill_counter_object(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
  nftnl_expr_set_str(to, NFTNL_EXPR_OBJREF_IMM_NAME, from->name);
}

static void fill_counter(const struct expression *from, struct nftnl_expr *to) {
  (void)from;
  nftnl_expr_set_u64(to, NFTNL_EXPR_CTR_PACKETS, 0);
  nftnl_expr_set_u64(to, NFTNL_EXPR_CTR_BYTES, 0);
}

static void fill_limit(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u64(to, NFTNL_EXPR_LIMIT_RATE, from->rate);
  nftnl_expr_set_u64(to, NFTNL_EXPR_LIMIT_UNIT, from->unit_seconds);
  nftnl_expr_set_u32(to, NFTNL_EXPR_LIMIT_BURST, from->burst);
  nftnl_expr_set_u32(to, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
  nftnl_expr_set_u32(to, NFTNL_EXPR_LIMIT_FLAGS, from->key);
}

static void fill_connections(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_CONNLIMIT_COUNT, from->burst);
  nftnl_expr_set_u32(to, NFTNL_EXPR_CONNLIMIT_FLAGS, from->key);
}

static void fill_log(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u16(to, NFTNL_EXPR_LOG_GROUP, (uint16_t)from->key);
  if (from->name != NULL) {
    nftnl_expr_set_str(to, NFTNL_EXPR_LOG_PREFIX, from->name);
  }
}

static void fill_reject(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_REJECT_TYPE, from->key >> 8);
  nftnl_expr_set_u8(to, NFTNL_EXPR_REJECT_CODE, (uint8_t)from->key);
}

static void fill_byte_order(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_BYTEORDER_SREG, register_number(from->source));
  nftnl_expr_set_u32(to, NFTNL_EXPR_BYTEORDER_DREG, register_number(from->destination));
  nftnl_expr_set_u32(to, NFTNL_EXPR_BYTEORDER_OP, from->key);
  nftnl_expr_set_u32(to, NFTNL_EXPR_BYTEORDER_LEN, from->length);
  nftnl_expr_set_u32(to, NFTNL_EXPR_BYTEORDER_SIZE, from->offset);
}

static void fill_dynset(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_str(to, NFTNL_EXPR_DYNSET_SET_NAME, from->name);
  nftnl_expr_set_u32(to, NFTNL_EXPR_DYNSET_OP, from->key);
  nftnl_expr_set_u32(to, NFTNL_EXPR_DYNSET_SREG_KEY, register_number(from->source));
}

struct expression_writer {
  const char *name;
  void (*fill)(const struct expression *from, struct nftnl_expr *to);
};

static const struct expression_writer expression_writers[EXPRESSION_FOREIGN + 1] = {
    [EXPRESSION_META] = {"meta", fill_meta},
    [EXPRESSION_CT] = {"ct", fill_ct},
    [EXPRESSION_CT_SET] = {"ct", fill_ct},
    [EXPRESSION_META_SET] = {"meta", fill_meta},
    [EXPRESSION_PAYLOAD] = {"payload", fill_payload},
    [EXPRESSION_EXTHDR] = {"exthdr", fill_extension_header},
    [EXPRESSION_BITWISE] = {"bitwise", fill_bitwise},
    [EXPRESSION_COMPARE] = {"cmp", fill_compare},
    [EXPRESSION_RANGE] = {"range", fill_range},
    [EXPRESSION_LOOKUP] = {"lookup", fill_lookup},
    [EXPRESSION_IMMEDIATE] = {"immediate", fill_immediate},
    [EXPRESSION_VERDICT] = {"immediate", fill_verdict},
    [EXPRESSION_COUNTER_OBJECT] = {"objref", fill_counter_object},
    [EXPRESSION_COUNTER] = {"counter", fill_counter},
    [EXPRESSION_LIMIT] = {"limit", fill_limit},
    [EXPRESSION_CONNECTIONS] = {"connlimit", fill_connections},
    [EXPRESSION_LOG] = {"log", fill_log},
    [EXPRESSION_DYNSET] = {"dynset", fill_dynset},
    [EXPRESSION_REJECT] = {"reject", fill_reject},
    [EXPRESSION_BYTEORDER] = {"byteorder", fill_byte_order},
};

static bool expression_is_sound(const struct expression *expression) {
  bool has_data = expression->kind == EXPRESSION_COMPARE || expression->kind == EXPRESSION_IMMEDIATE ||
                  expression->kind == EXPRESSION_RANGE || expression->kind == EXPRESSION_BITWISE;
  bool needs_name = expression->kind == EXPRESSION_LOOKUP || expression->kind == EXPRESSION_COUNTER_OBJECT ||
                    expression->kind == EXPRESSION_DYNSET;
  return expression->kind < EXPRESSION_FOREIGN && expression_writers[expression->kind].name != NULL &&
         (!has_data || (expression->length > 0 && expression->length <= sizeof(expression->data))) &&
         (!needs_name || (expression->name != NULL && build_name_fits(expression->name))) &&
         (expression->name == NULL || strnlen(expression->name, RULESET_NAME_MAX) < RULESET_NAME_MAX) &&
         (expression->verdict.chain == NULL || build_name_fits(expression->verdict.chain));
}

/* The token bucket that new elements of a dynamic set carry. */
static int add_bucket(const struct expression *expression, struct nftnl_expr *item) {
  if (expression->kind != EXPRESSION_DYNSET || expression->burst == 0) {
    return 0;
  }
  struct nftnl_expr *bucket = nftnl_expr_alloc("limit");
  if (bucket == NULL) {
    return -ENOMEM;
  }
  const struct expression limit = {
      .rate = expression->rate, .unit_seconds = expression->unit_seconds, .burst = expression->burst};
  fill_limit(&limit, bucket);
  nftnl_expr_set(item, NFTNL_EXPR_DYNSET_EXPR, bucket, 0); /* likewise */
  return 0;
}

static int rule_add_expressions(const struct rule *rule, struct nftnl_rule *object) {
  for (size_t i = 0; i < rule->expression_count; i++) {
    const struct expression *expression = &rule->expressions[i];
    if (!expression_is_sound(expression)) {
      return -EINVAL;
    }
    const struct expression_writer *writer = &expression_writers[expression->kind];
    struct nftnl_expr *item = nftnl_expr_alloc(writer->name);
    if (item == NULL) {
      return -ENOMEM;
    }
    writer->fill(expression, item);
    nftnl_rule_add_expr(object, item); /* which frees it from now on */
    if (add_bucket(expression, item) < 0) {
      return -ENOMEM;
    }
  }
  return 0;
}

int build_rule(struct nftables_batch *batch, const struct operation *operation, struct nlmsghdr *message,
               struct error *error) {
  const struct rule *rule = operation->rule;
  struct user_data data = {0};
  user_data_put_comment(&data, NFTNL_UDATA_RULE_COMMENT, rule->comment);
  if (data.overflow) {
    return build_refuse_comment("a rule of", operation->chain->name, error);
  }
  struct nftnl_rule *object = nftnl_rule_alloc();
  if (object == NULL) {
    return build_refuse_memory(error);
  }
  nftnl_rule_set_str(object, NFTNL_RULE_TABLE, batch->table);
  nftnl_rule_set_str(object, NFTNL_RULE_CHAIN, operation->chain->name);
  if (data.length > 0) {
    nftnl_rule_set_data(object, NFTNL_RULE_USERDATA, data.bytes, data.length);
  }
  int status = rule_add_expressions(rule, object);
  if (status == 0) {
    nftnl_rule_nlmsg_build_payload(message, object);
  } else {
    error_set(error, -status, "a rule of chain '%s' cannot be written as netlink", operation->chain->name);
  }
  nftnl_rule_free(object);
  return status;
}
