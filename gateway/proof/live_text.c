/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A rule as a line for people. The expressions are gone through once; for each register it is remembered in words what
 * was put there, and a comparison or a lookup says these words. What a word cannot say exactly is said roughly: nothing
 * is decided by this text.
 */
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "base/text.h"
#include "proof/live_text_parts.h"

enum { SAYINGS_MOST = 32, ELEMENTS_SHOWN = 4 };

struct telling {
  struct arena *arena;
  const char *line;
  struct saying sayings[SAYINGS_MOST];
  unsigned saying_count;
  int protocol; /* of the transport, as far as was asked; -1 */
};

static const char *or_empty(const char *text) {
  return text != NULL ? text : "";
}

static enum value_format mask_format(enum value_format format) {
  return format == VALUE_ADDRESS || format == VALUE_MARK ? format : VALUE_HEX;
}

static void say(struct telling *telling, const char *text) {
  telling->line =
      or_empty(arena_printf(telling->arena, "%s%s%s", telling->line, telling->line[0] != '\0' ? " " : "", text));
}

/* ---- registers ---- */

static void forget(struct telling *telling, unsigned start, unsigned length) {
  unsigned kept = 0;
  for (unsigned i = 0; i < telling->saying_count; i++) {
    const struct saying *saying = &telling->sayings[i];
    if (saying->start + saying->length <= start || start + length <= saying->start) {
      telling->sayings[kept++] = *saying;
    }
  }
  telling->saying_count = kept;
}

static void remember(struct telling *telling, struct saying saying) {
  forget(telling, saying.start, saying.length);
  if (telling->saying_count < SAYINGS_MOST) {
    telling->sayings[telling->saying_count++] = saying;
  }
}

/* What begins at this byte. */
static struct saying recall(const struct telling *telling, unsigned start) {
  for (unsigned i = 0; i < telling->saying_count; i++) {
    if (telling->sayings[i].start == start) {
      return telling->sayings[i];
    }
  }
  return (struct saying){.text = or_empty(arena_printf(telling->arena, "register-%u", start)), .start = start};
}

static const char *masked(const struct telling *telling, const struct saying *saying, unsigned length) {
  return saying->mask == NULL || saying->length != length
             ? or_empty(saying->text)
             : or_empty(arena_printf(telling->arena, "%s & %s", or_empty(saying->text),
                                     value_text(mask_format(saying->format), saying->mask, length, telling->arena)));
}

/* Everything from here to there, as a concatenation. */
static const char *recall_key(const struct telling *telling, unsigned start, unsigned length) {
  enum { WORD = 4 };
  const char *text = "";
  for (unsigned at = start; at < start + length;) {
    struct saying part = recall(telling, at);
    text = or_empty(arena_printf(telling->arena, "%s%s%s", text, text[0] != '\0' ? " . " : "",
                                 masked(telling, &part, part.length)));
    if (part.length == 0) {
      break;
    }
    at += (part.length + WORD - 1) / WORD * WORD;
  }
  return text;
}

/* ---- loads ---- */

static void tell_meta(struct telling *telling, const struct live_expression *expression) {
  remember(telling, saying_of_meta(expression, telling->arena));
}

static void tell_ct(struct telling *telling, const struct live_expression *expression) {
  remember(telling, saying_of_ct(expression, telling->arena));
}

static void tell_payload(struct telling *telling, const struct live_expression *expression) {
  remember(telling, saying_of_payload(expression, telling->protocol, telling->arena));
}

static void tell_exthdr(struct telling *telling, const struct live_expression *expression) {
  remember(telling, saying_of_exthdr(expression, telling->arena));
}

static void tell_ask(struct telling *telling, const struct live_expression *expression) {
  if (!expression->has_destination) { /* match of xtables */
    say(telling, or_empty(arena_printf(telling->arena, "%s %s", expression->name, or_empty(expression->object))));
    return;
  }
  remember(telling,
           (struct saying){.text = or_empty(arena_printf(telling->arena, "%s(%u)", expression->name, expression->key)),
                           .start = expression->destination,
                           .length = expression->length});
}

static void tell_bitwise(struct telling *telling, const struct live_expression *expression) {
  struct saying saying = recall(telling, expression->source);
  const char *what = or_empty(saying.text);
  bool mask = expression->operation == NFT_BITWISE_BOOL && expression->data_length == expression->length &&
              expression->data_to_length == expression->length;
  if (mask && all_zero(expression->data_to, expression->length) && saying.mask == NULL) {
    saying.mask = expression->data;
  } else if (mask) {
    saying.text = arena_printf(telling->arena, "(%s & %s ^ %s)", what,
                               value_text(VALUE_HEX, expression->data, expression->length, telling->arena),
                               value_text(VALUE_HEX, expression->data_to, expression->length, telling->arena));
  } else {
    saying.text = arena_printf(telling->arena, "(%s op-%u %s)", what, expression->operation,
                               value_text(VALUE_HEX, expression->data, expression->data_length, telling->arena));
  }
  saying.constant = NULL;
  saying.start = expression->destination;
  saying.length = expression->length;
  remember(telling, saying);
}

static void tell_byteorder(struct telling *telling, const struct live_expression *expression) {
  struct saying saying = recall(telling, expression->source);
  bool host = saying.format == VALUE_HOST || saying.format == VALUE_MARK;
  saying.format = host ? VALUE_NUMBER : saying.format;
  saying.constant = NULL;
  saying.start = expression->destination;
  saying.length = expression->length;
  remember(telling, saying);
}

/* ---- comparisons ---- */

/* "ct state established,related": a bit of them is set. */
static const char *tell_bits(const struct telling *telling, const struct saying *saying,
                             const struct live_expression *expression) {
  if (saying->mask == NULL || saying->length != expression->data_length || expression->operation > NFT_CMP_NEQ ||
      !all_zero(expression->data, expression->data_length)) {
    return NULL;
  }
  const char *bits = value_bits(saying->format, saying->mask, saying->length, telling->arena);
  return bits == NULL ? NULL
                      : arena_printf(telling->arena, "%s %s%s", or_empty(saying->text),
                                     expression->operation == NFT_CMP_EQ ? "! " : "", bits);
}

/* "ip saddr 10.0.0.0/8": by a mask, or by reading less than the whole. */
static const char *tell_prefix(const struct telling *telling, const struct saying *saying,
                               const struct live_expression *expression, const char *sign) {
  int bits = saying->mask != NULL && saying->length == expression->data_length
                 ? mask_prefix(saying->mask, saying->length)
                 : -1;
  if (bits < 0 || saying->format != VALUE_ADDRESS) {
    return NULL;
  }
  return arena_printf(telling->arena, "%s %s%s/%d", or_empty(saying->text), sign,
                      value_text(VALUE_ADDRESS, expression->data, expression->data_length, telling->arena), bits);
}

static void tell_compare(struct telling *telling, const struct live_expression *expression) {
  static const char *const signs[] = {"", "!= ", "< ", "<= ", "> ", ">= "};
  struct saying saying = recall(telling, expression->source);
  const char *sign = expression->operation <= NFT_CMP_GTE ? signs[expression->operation] : "? ";
  const char *text = tell_bits(telling, &saying, expression);
  text = text != NULL ? text : tell_prefix(telling, &saying, expression, sign);
  if (text == NULL) {
    enum value_format format = saying.mask == NULL ? saying.format : mask_format(saying.format);
    text = arena_printf(telling->arena, "%s %s%s", masked(telling, &saying, expression->data_length), sign,
                        value_text(format, expression->data, expression->data_length, telling->arena));
  }
  if (saying.format == VALUE_PROTOCOL && expression->operation == NFT_CMP_EQ && expression->data_length == 1) {
    telling->protocol = expression->data[0];
  }
  say(telling, or_empty(text));
}

static void tell_range(struct telling *telling, const struct live_expression *expression) {
  struct saying saying = recall(telling, expression->source);
  say(telling, or_empty(arena_printf(
                   telling->arena, "%s %s%s-%s", masked(telling, &saying, expression->data_length),
                   expression->operation == NFT_RANGE_NEQ ? "!= " : "",
                   value_text(saying.format, expression->data, expression->data_length, telling->arena),
                   value_text(saying.format, expression->data_to, expression->data_to_length, telling->arena))));
}

/* ---- sets ---- */

static const char *element_text(const struct telling *telling, const struct live_set *set,
                                const struct live_element *element, enum value_format format) {
  const char *first = value_text(format, element->first, set->key_length, telling->arena);
  return memcmp(element->first, element->last, set->key_length) == 0
             ? first
             : or_empty(arena_printf(telling->arena, "%s-%s", first,
                                     value_text(format, element->last, set->key_length, telling->arena)));
}

/* "@name"; of an anonymous one its few elements, or how many. */
static const char *set_text(const struct telling *telling, const struct live_set *set, enum value_format format) {
  if (set == NULL) {
    return "@?";
  }
  if (!set->anonymous) {
    return or_empty(arena_printf(telling->arena, "@%s", set->name));
  }
  if (set->element_count > ELEMENTS_SHOWN || set->field_count != 1 || set->unmodelled != NULL ||
      set->data_kind != LIVE_NO_DATA) {
    return or_empty(arena_printf(telling->arena, "{ %zu elements }", set->element_count));
  }
  const char *text = "";
  for (size_t i = 0; i < set->element_count; i++) {
    text = or_empty(arena_printf(telling->arena, "%s%s%s", text, i > 0 ? ", " : "",
                                 element_text(telling, set, &set->elements[i], format)));
  }
  return or_empty(arena_printf(telling->arena, "{ %s }", text));
}

static void tell_lookup(struct telling *telling, const struct live_expression *expression) {
  const struct live_set *set = expression->set;
  struct saying single = recall(telling, expression->source);
  const char *key = recall_key(telling, expression->source, set != NULL ? set->key_length : 1);
  const char *name = set_text(telling, set, single.format);
  if (expression->verdict_map) {
    say(telling, or_empty(arena_printf(telling->arena, "%s vmap %s", key, name)));
  } else if (expression->has_destination) {
    remember(telling, (struct saying){.text = arena_printf(telling->arena, "%s map %s", key, name),
                                      .start = expression->destination,
                                      .length = expression->length});
  } else {
    bool inverted = (expression->flags & NFT_LOOKUP_F_INV) != 0;
    say(telling, or_empty(arena_printf(telling->arena, "%s %s%s", key, inverted ? "!= " : "", name)));
  }
}

static void tell_one(struct telling *telling, const struct live_expression *expression);

static void tell_dynset(struct telling *telling, const struct live_expression *expression) {
  static const char *const operations[] = {"add", "update", "delete"};
  const char *name = set_text(telling, expression->set, VALUE_HEX);
  const char *key = recall_key(telling, expression->source, expression->set != NULL ? expression->set->key_length : 1);
  const char *operation = expression->operation <= NFT_DYNSET_OP_DELETE ? operations[expression->operation] : "?";
  say(telling, or_empty(arena_printf(telling->arena, "%s %s { %s", operation, name, key)));
  for (size_t i = 0; i < expression->nested_count; i++) {
    tell_one(telling, &expression->nested[i]);
  }
  say(telling, "}");
}

/* ---- statements ---- */

static const char *verdict_text(const struct telling *telling, const struct live_verdict *verdict) {
  static const char *const words[] = {
      [LIVE_ACCEPT] = "accept", [LIVE_DROP] = "drop", [LIVE_CONTINUE] = "continue", [LIVE_BREAK] = "break",
      [LIVE_JUMP] = "jump",     [LIVE_GOTO] = "goto", [LIVE_RETURN] = "return",     [LIVE_QUEUE] = "queue",
  };
  return verdict->chain == NULL
             ? words[verdict->code]
             : or_empty(arena_printf(telling->arena, "%s %s", words[verdict->code], verdict->chain->name));
}

static void tell_immediate(struct telling *telling, const struct live_expression *expression) {
  if (expression->is_verdict) {
    say(telling, verdict_text(telling, &expression->verdict));
    return;
  }
  enum value_format format = expression->data_length == 4 ? VALUE_MARK : VALUE_HEX;
  remember(telling,
           (struct saying){.text = value_text(format, expression->data, expression->data_length, telling->arena),
                           .constant = expression->data,
                           .start = expression->destination,
                           .length = expression->data_length});
}

/* "ct mark set 0x5": the words of the load, and what is put there. */
static void tell_set(struct telling *telling, const struct live_expression *expression) {
  struct saying target = expression->kind == LIVE_META_SET ? saying_of_meta(expression, telling->arena)
                         : expression->kind == LIVE_CT_SET ? saying_of_ct(expression, telling->arena)
                         : expression->kind == LIVE_PAYLOAD_SET
                             ? saying_of_payload(expression, telling->protocol, telling->arena)
                             : saying_of_exthdr(expression, telling->arena);
  struct saying source = recall(telling, expression->source);
  say(telling, or_empty(arena_printf(telling->arena, "%s set %s", or_empty(target.text),
                                     masked(telling, &source, source.length))));
}

static void tell_limit(struct telling *telling, const struct live_expression *expression) {
  const char *over = (expression->flags & NFT_LIMIT_F_INV) != 0 ? "over " : "";
  const char *unit = expression->key == NFT_LIMIT_PKT_BYTES ? " bytes" : "";
  say(telling, or_empty(arena_printf(telling->arena, "limit rate %s%llu%s/%llus burst %u", over,
                                     (unsigned long long)expression->rate, unit,
                                     (unsigned long long)expression->unit_seconds, expression->burst)));
}

static void tell_quota(struct telling *telling, const struct live_expression *expression) {
  const char *over = (expression->flags & NFT_QUOTA_F_INV) != 0 ? "over " : "";
  say(telling,
      or_empty(arena_printf(telling->arena, "quota %s%llu bytes", over, (unsigned long long)expression->rate)));
}

static void tell_connlimit(struct telling *telling, const struct live_expression *expression) {
  const char *over = (expression->flags & NFT_CONNLIMIT_F_INV) != 0 ? "over " : "";
  say(telling, or_empty(arena_printf(telling->arena, "ct count %s%u", over, expression->burst)));
}

static void tell_reference(struct telling *telling, const struct live_expression *expression) {
  static const char *const types[] = {
      [NFT_OBJECT_COUNTER] = "counter",          [NFT_OBJECT_QUOTA] = "quota",
      [NFT_OBJECT_CT_HELPER] = "ct helper",      [NFT_OBJECT_LIMIT] = "limit",
      [NFT_OBJECT_CONNLIMIT] = "ct count",       [NFT_OBJECT_TUNNEL] = "tunnel",
      [NFT_OBJECT_CT_TIMEOUT] = "ct timeout",    [NFT_OBJECT_SECMARK] = "secmark",
      [NFT_OBJECT_CT_EXPECT] = "ct expectation", [NFT_OBJECT_SYNPROXY] = "synproxy",
  };
  bool known = expression->operation <= NFT_OBJECT_SYNPROXY && types[expression->operation] != NULL;
  const char *type = known ? types[expression->operation] : "object";
  const char *name = or_empty(expression->object);
  if (expression->has_source) {
    const char *key =
        recall_key(telling, expression->source, expression->set != NULL ? expression->set->key_length : 1);
    name = or_empty(arena_printf(telling->arena, "%s map %s", key, set_text(telling, expression->set, VALUE_HEX)));
  }
  say(telling, or_empty(arena_printf(telling->arena, "%s name %s", type, name)));
}

static void tell_log(struct telling *telling, const struct live_expression *expression) {
  say(telling, expression->object == NULL
                   ? "log"
                   : or_empty(arena_printf(telling->arena, "log prefix \"%s\"", expression->object)));
}

/* What is told of a register where the statement knows what it is. */
static const char *known_text(const struct telling *telling, unsigned start, enum value_format format) {
  struct saying saying = recall(telling, start);
  return saying.constant != NULL ? value_text(format, saying.constant, saying.length, telling->arena)
                                 : or_empty(saying.text);
}

static void tell_nat(struct telling *telling, const struct live_expression *expression) {
  bool named = strcmp(expression->name, "nat") == 0;
  say(telling, !named ? expression->name : expression->operation == NFT_NAT_SNAT ? "snat" : "dnat");
  if (expression->has_source) {
    say(telling, "to");
    say(telling, known_text(telling, expression->source, VALUE_ADDRESS));
  }
  if (expression->has_source_data) {
    say(telling, "port");
    say(telling, known_text(telling, expression->source_data, VALUE_NUMBER));
  }
}

static void tell_reject(struct telling *telling, const struct live_expression *expression) {
  static const char *const types[] = {"icmp", "tcp reset", "icmpx"};
  const char *type = expression->operation <= NFT_REJECT_ICMPX_UNREACH ? types[expression->operation] : "?";
  say(telling, expression->operation == NFT_REJECT_TCP_RST
                   ? "reject with tcp reset"
                   : or_empty(arena_printf(telling->arena, "reject with %s %u", type, expression->burst)));
}

static void tell_name(struct telling *telling, const struct live_expression *expression) {
  say(telling, expression->object == NULL
                   ? expression->name
                   : or_empty(arena_printf(telling->arena, "%s %s", expression->name, expression->object)));
}

static void tell_forward(struct telling *telling, const struct live_expression *expression) {
  tell_name(telling, expression);
  if (expression->has_source) {
    say(telling, "to");
    say(telling, known_text(telling, expression->source, VALUE_HOST));
  }
}

static void (*const tellers[LIVE_KIND_COUNT_])(struct telling *telling, const struct live_expression *expression) = {
    [LIVE_IMMEDIATE] = tell_immediate,
    [LIVE_COMPARE] = tell_compare,
    [LIVE_RANGE] = tell_range,
    [LIVE_BITWISE] = tell_bitwise,
    [LIVE_BYTEORDER] = tell_byteorder,
    [LIVE_PAYLOAD] = tell_payload,
    [LIVE_PAYLOAD_SET] = tell_set,
    [LIVE_META] = tell_meta,
    [LIVE_META_SET] = tell_set,
    [LIVE_CT] = tell_ct,
    [LIVE_CT_SET] = tell_set,
    [LIVE_LOOKUP] = tell_lookup,
    [LIVE_DYNSET] = tell_dynset,
    [LIVE_EXTHDR] = tell_exthdr,
    [LIVE_EXTHDR_SET] = tell_set,
    [LIVE_COUNTER] = tell_name,
    [LIVE_LOG] = tell_log,
    [LIVE_LAST] = tell_name,
    [LIVE_LIMIT] = tell_limit,
    [LIVE_QUOTA] = tell_quota,
    [LIVE_CONNLIMIT] = tell_connlimit,
    [LIVE_OBJECT_REFERENCE] = tell_reference,
    [LIVE_REJECT] = tell_reject,
    [LIVE_NOTRACK] = tell_name,
    [LIVE_NAT] = tell_nat,
    [LIVE_ASK] = tell_ask,
    [LIVE_OTHER] = tell_forward,
};

/* What is not understood is named, and nothing is said about it. */
static void tell_one(struct telling *telling, const struct live_expression *expression) {
  if (expression->unmodelled != NULL && expression->kind != LIVE_OTHER) {
    say(telling, or_empty(arena_printf(telling->arena, "%s(not understood)", expression->name)));
    if (expression->has_destination) {
      forget(telling, expression->destination, LIVE_REGISTER_BYTES);
    }
    return;
  }
  tellers[expression->kind](telling, expression);
}

const char *live_rule_text(const struct live_rule *rule, struct arena *arena) {
  struct telling telling = {.arena = arena, .line = "", .protocol = -1};
  for (size_t i = 0; i < rule->expression_count; i++) {
    tell_one(&telling, &rule->expressions[i]);
  }
  return or_empty(text_escape(arena, telling.line)); /* names and prefixes are anybody's */
}
