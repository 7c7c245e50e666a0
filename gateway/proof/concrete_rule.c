/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One rule: its registers, the expressions that only work on registers, and the table of all expressions.
 *
 * Registers are bytes. Each byte knows whether this rule has written it: what an expression of unknown meaning wrote,
 * or nobody, has no value that could be compared, and who reads it asks concrete_unknown().
 */
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "proof/concrete_parts.h"

enum { VERDICT_BYTES = 16, WORD = 4 };

/* ---- registers ---- */

static bool within(unsigned at, size_t length) {
  return at >= VERDICT_BYTES && at <= LIVE_REGISTER_BYTES && length <= LIVE_REGISTER_BYTES - at;
}

bool concrete_readable(const struct concrete_machine *machine, unsigned source, size_t length) {
  return within(source, length) && memchr(machine->known + source, 0, length) == NULL;
}

static size_t whole_words(size_t length) {
  return (length + WORD - 1) / WORD * WORD;
}

void concrete_store(struct concrete_machine *machine, unsigned destination, const void *bytes, size_t length) {
  size_t whole = whole_words(length);
  if (!within(destination, whole))
    return;
  memset(machine->registers + destination, 0, whole);
  memcpy(machine->registers + destination, bytes, length);
  memset(machine->known + destination, true, whole);
}

void concrete_store_word(struct concrete_machine *machine, unsigned destination, uint32_t host_order) {
  concrete_store(machine, destination, &host_order, sizeof(host_order));
}

void concrete_forget(struct concrete_machine *machine, unsigned destination, size_t length) {
  if (destination < VERDICT_BYTES || destination >= LIVE_REGISTER_BYTES)
    return;
  size_t room = LIVE_REGISTER_BYTES - destination;
  memset(machine->known + destination, false, length == 0 || length > room ? room : length);
}

/* ---- what is not known ---- */

static const char *place_text(struct concrete_machine *machine, const char *why) {
  const struct live_chain *chain = machine->chain;
  if (chain == NULL || chain->table == NULL)
    return why;
  const char *text =
      machine->rule != NULL
          ? arena_printf(machine->arena, "%s %s %s handle %llu: %s", live_family_name(chain->table->family),
                         chain->table->name, chain->name, (unsigned long long)machine->rule->handle, why)
          : arena_printf(machine->arena, "%s %s %s: %s", live_family_name(chain->table->family), chain->table->name,
                         chain->name, why);
  return text != NULL ? text : why;
}

enum concrete_answer concrete_unknown(struct concrete_machine *machine, const char *why) {
  if (machine->result.unmodelled == NULL)
    machine->result.unmodelled = place_text(machine, why);
  return machine->probe->unknown_passes ? ANSWER_CONTINUE : ANSWER_BREAK;
}

static enum concrete_answer unreadable(struct concrete_machine *machine) {
  return concrete_unknown(machine, "a register that holds nothing known");
}

/* ---- comparing ---- */

static bool compares(unsigned operation, int order, bool *ret_holds) {
  switch (operation) {
  case NFT_CMP_EQ:
    return *ret_holds = order == 0, true;
  case NFT_CMP_NEQ:
    return *ret_holds = order != 0, true;
  case NFT_CMP_LT:
    return *ret_holds = order < 0, true;
  case NFT_CMP_LTE:
    return *ret_holds = order <= 0, true;
  case NFT_CMP_GT:
    return *ret_holds = order > 0, true;
  case NFT_CMP_GTE:
    return *ret_holds = order >= 0, true;
  default:
    return false;
  }
}

static enum concrete_answer compare(struct concrete_machine *machine, const struct live_expression *expression) {
  bool holds;
  if (!concrete_readable(machine, expression->source, expression->data_length))
    return unreadable(machine);
  int order = memcmp(machine->registers + expression->source, expression->data, expression->data_length);
  if (!compares(expression->operation, order, &holds))
    return concrete_unknown(machine, "unknown comparison");
  return holds ? ANSWER_CONTINUE : ANSWER_BREAK;
}

static enum concrete_answer range(struct concrete_machine *machine, const struct live_expression *expression) {
  if (expression->data_length != expression->data_to_length)
    return concrete_unknown(machine, "range with ends of different lengths");
  if (!concrete_readable(machine, expression->source, expression->data_length))
    return unreadable(machine);
  const uint8_t *value = machine->registers + expression->source;
  bool inside = memcmp(value, expression->data, expression->data_length) >= 0 &&
                memcmp(value, expression->data_to, expression->data_length) <= 0;
  if (expression->operation != NFT_RANGE_EQ && expression->operation != NFT_RANGE_NEQ)
    return concrete_unknown(machine, "unknown comparison with a range");
  return inside == (expression->operation == NFT_RANGE_EQ) ? ANSWER_CONTINUE : ANSWER_BREAK;
}

/* ---- reckoning; all of it in whole words, as the kernel does ---- */

enum { BITWISE_AND = 3, BITWISE_OR = 4, BITWISE_XOR = 5 }; /* since Linux 6.13 */

static uint8_t byte_of(const uint8_t *data, unsigned length, size_t index) {
  return data != NULL && index < length ? data[index] : 0;
}

static void mask_and_flip(struct concrete_machine *machine, const struct live_expression *expression) {
  const uint8_t *from = machine->registers + expression->source;
  const bool *known = machine->known + expression->source;
  uint8_t bytes[LIVE_REGISTER_BYTES] = {0};
  bool sure[LIVE_REGISTER_BYTES] = {0};
  size_t whole = whole_words(expression->length);
  for (size_t i = 0; i < whole; i++) {
    uint8_t mask = byte_of(expression->data, expression->data_length, i);
    bytes[i] = (uint8_t)((from[i] & mask) ^ byte_of(expression->data_to, expression->data_to_length, i));
    sure[i] = known[i] || mask == 0;
  }
  memcpy(machine->registers + expression->destination, bytes, whole);
  memcpy(machine->known + expression->destination, sure, whole);
}

/* Words are shifted as numbers of this machine; what leaves one enters the next. */
static void shift(const struct live_expression *expression, const uint32_t *from, uint32_t *to, size_t words,
                  uint32_t count) {
  uint32_t carry = 0;
  for (size_t i = 0; i < words; i++) {
    size_t at = expression->operation == NFT_BITWISE_LSHIFT ? words - 1 - i : i;
    if (expression->operation == NFT_BITWISE_LSHIFT) {
      to[at] = from[at] << count | carry;
      carry = from[at] >> (32 - count);
    } else {
      to[at] = carry | from[at] >> count;
      carry = from[at] << (32 - count);
    }
  }
}

static void combine(const struct live_expression *expression, const uint32_t *left, const uint32_t *right, uint32_t *to,
                    size_t words) {
  for (size_t i = 0; i < words; i++)
    to[i] = expression->operation == BITWISE_AND  ? left[i] & right[i]
            : expression->operation == BITWISE_OR ? left[i] | right[i]
                                                  : left[i] ^ right[i];
}

static bool second_operand(const struct concrete_machine *machine, const struct live_expression *expression,
                           uint32_t *ret_words) {
  size_t whole = whole_words(expression->length);
  memset(ret_words, 0, LIVE_REGISTER_BYTES);
  if (expression->has_source_data) {
    if (!concrete_readable(machine, expression->source_data, whole))
      return false;
    memcpy(ret_words, machine->registers + expression->source_data, whole);
    return true;
  }
  if (expression->data == NULL || expression->data_length > whole)
    return false;
  memcpy(ret_words, expression->data, expression->data_length);
  return true;
}

static enum concrete_answer bitwise(struct concrete_machine *machine, const struct live_expression *expression) {
  size_t whole = whole_words(expression->length);
  uint32_t left[LIVE_REGISTER_BYTES / WORD], right[LIVE_REGISTER_BYTES / WORD], to[LIVE_REGISTER_BYTES / WORD];
  if (!within(expression->source, whole) || !within(expression->destination, whole))
    return concrete_unknown(machine, "bitwise outside of the registers");
  if (expression->operation == NFT_BITWISE_BOOL) {
    mask_and_flip(machine, expression);
    return ANSWER_CONTINUE;
  }
  if (!concrete_readable(machine, expression->source, whole) || !second_operand(machine, expression, right)) {
    concrete_forget(machine, expression->destination, whole);
    return ANSWER_CONTINUE;
  }
  memcpy(left, machine->registers + expression->source, whole);
  if (expression->operation >= BITWISE_AND && expression->operation <= BITWISE_XOR)
    combine(expression, left, right, to, whole / WORD);
  else if (expression->operation <= NFT_BITWISE_RSHIFT && right[0] > 0 && right[0] < 32)
    shift(expression, left, to, whole / WORD, right[0]);
  else {
    concrete_forget(machine, expression->destination, whole);
    return concrete_unknown(machine, "unknown bitwise operation");
  }
  concrete_store(machine, expression->destination, to, whole);
  return ANSWER_CONTINUE;
}

/* Swaps whole units; what is left over at the end stays as it is. */
static enum concrete_answer byteorder(struct concrete_machine *machine, const struct live_expression *expression) {
  size_t unit = expression->size, length = expression->length - (unit != 0 ? expression->length % unit : 0);
  if (unit != 2 && unit != 4 && (unit != 8 || expression->length != 8))
    return concrete_unknown(machine, "byteorder of an unknown size");
  if (!within(expression->source, length) || !within(expression->destination, length))
    return concrete_unknown(machine, "byteorder outside of the registers");
  uint8_t bytes[LIVE_REGISTER_BYTES] = {0};
  bool sure[LIVE_REGISTER_BYTES] = {0};
  for (size_t i = 0; i < length; i++) {
    size_t from =
        expression->source + (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? i / unit * unit + (unit - 1 - i % unit) : i);
    bytes[i] = machine->registers[from];
    sure[i] = machine->known[from];
  }
  memcpy(machine->registers + expression->destination, bytes, length);
  memcpy(machine->known + expression->destination, sure, length);
  return ANSWER_CONTINUE;
}

static enum concrete_answer immediate(struct concrete_machine *machine, const struct live_expression *expression) {
  if (!expression->is_verdict) {
    concrete_store(machine, expression->destination, expression->data, expression->data_length);
    return ANSWER_CONTINUE;
  }
  machine->verdict = expression->verdict;
  return ANSWER_VERDICT;
}

/* ---- the rest ---- */

static enum concrete_answer nothing(struct concrete_machine *machine, const struct live_expression *expression) {
  (void)machine;
  (void)expression;
  return ANSWER_CONTINUE;
}

/* Limit, quota and connlimit share the value of "over", which is all that is asked of their flags. */
static enum concrete_answer throttle(struct concrete_machine *machine, const struct live_expression *expression) {
  bool over = (expression->flags & NFT_LIMIT_F_INV) != 0;
  return over == machine->probe->throttles_strike ? ANSWER_CONTINUE : ANSWER_BREAK;
}

static enum concrete_answer reject(struct concrete_machine *machine, const struct live_expression *expression) {
  (void)expression;
  machine->verdict = (struct live_verdict){.code = LIVE_DROP};
  return ANSWER_VERDICT;
}

static enum concrete_answer notrack(struct concrete_machine *machine, const struct live_expression *expression) {
  (void)expression;
  if (!machine->connection)
    machine->untracked = true;
  return ANSWER_CONTINUE;
}

static enum concrete_answer nat(struct concrete_machine *machine, const struct live_expression *expression) {
  (void)expression;
  concrete_unknown(machine, "changes addresses (nat)");
  machine->verdict = (struct live_verdict){.code = LIVE_ACCEPT};
  return ANSWER_VERDICT;
}

static enum concrete_answer ask(struct concrete_machine *machine, const struct live_expression *expression) {
  concrete_forget(machine, expression->destination, expression->length);
  return concrete_unknown(machine, expression->name != NULL ? expression->name : "unknown expression");
}

static enum concrete_answer rewrite(struct concrete_machine *machine, const struct live_expression *expression) {
  (void)expression;
  concrete_unknown(machine, "changes the packet");
  return ANSWER_CONTINUE;
}

static enum concrete_answer other(struct concrete_machine *machine, const struct live_expression *expression) {
  concrete_forget(machine, VERDICT_BYTES, 0);
  return concrete_unknown(machine, expression->name != NULL ? expression->name : "unknown expression");
}

typedef enum concrete_answer evaluator(struct concrete_machine *, const struct live_expression *);
static evaluator *const evaluators[LIVE_KIND_COUNT_] = {
    [LIVE_IMMEDIATE] = immediate,
    [LIVE_COMPARE] = compare,
    [LIVE_RANGE] = range,
    [LIVE_BITWISE] = bitwise,
    [LIVE_BYTEORDER] = byteorder,
    [LIVE_PAYLOAD] = concrete_payload,
    [LIVE_PAYLOAD_SET] = rewrite,
    [LIVE_META] = concrete_meta,
    [LIVE_META_SET] = concrete_meta_set,
    [LIVE_CT] = concrete_ct,
    [LIVE_CT_SET] = concrete_ct_set,
    [LIVE_LOOKUP] = concrete_lookup,
    [LIVE_DYNSET] = concrete_dynset,
    [LIVE_EXTHDR] = concrete_exthdr,
    [LIVE_EXTHDR_SET] = rewrite,
    [LIVE_COUNTER] = nothing,
    [LIVE_LOG] = nothing,
    [LIVE_LAST] = nothing,
    [LIVE_LIMIT] = throttle,
    [LIVE_QUOTA] = throttle,
    [LIVE_CONNLIMIT] = throttle,
    [LIVE_OBJECT_REFERENCE] = concrete_object,
    [LIVE_REJECT] = reject,
    [LIVE_NOTRACK] = notrack,
    [LIVE_NAT] = nat,
    [LIVE_ASK] = ask,
    [LIVE_OTHER] = other,
};

enum concrete_answer concrete_evaluate(struct concrete_machine *machine, const struct live_expression *expression) {
  evaluator *evaluate = (unsigned)expression->kind < LIVE_KIND_COUNT_ ? evaluators[expression->kind] : NULL;
  if (expression->unmodelled == NULL && evaluate != NULL)
    return evaluate(machine, expression);
  concrete_forget(machine, VERDICT_BYTES, 0);
  return concrete_unknown(machine, expression->unmodelled != NULL ? expression->unmodelled : "unknown expression");
}

enum concrete_answer concrete_rule(struct concrete_machine *machine, const struct live_rule *rule,
                                   unsigned *ret_stopped_at) {
  machine->rule = rule;
  memset(machine->known, false, sizeof(machine->known));
  if (rule->unmodelled != NULL)
    concrete_unknown(machine, rule->unmodelled);
  enum concrete_answer answer = ANSWER_CONTINUE;
  unsigned i = 0;
  while (i < rule->expression_count) {
    answer = concrete_evaluate(machine, &rule->expressions[i]);
    if (answer == ANSWER_VERDICT && machine->verdict.code == LIVE_CONTINUE)
      answer = ANSWER_CONTINUE;
    if (answer == ANSWER_VERDICT && machine->verdict.code == LIVE_BREAK)
      answer = ANSWER_BREAK;
    if (answer == ANSWER_BREAK)
      break;
    i++;
    if (answer == ANSWER_VERDICT)
      break;
  }
  *ret_stopped_at = answer == ANSWER_BREAK ? i : (unsigned)rule->expression_count;
  return answer;
}
