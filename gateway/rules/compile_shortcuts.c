/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "rules/compile_parts.h"

/*
 * Theory of operation.
 *
 * The guard's sets of intervals say exactly who may speak to whom, but each costs the kernel a binary search. Most
 * packets need none: their addresses lie in blocks (a network and a mask) all of whose addresses have one answer, and a
 * comparison under a mask costs next to nothing, a hash lookup of four bytes little. So the sets of the guard are cut
 * into blocks here, and rules made of them stand in front of the guard's own. What they miss goes on to those.
 *
 * A few single addresses (the gateway's own, broadcast addresses, pinned hosts) would break up most blocks. They are
 * filled in when the blocks are made, and kept out again by the rules. Blocks of one mask make a set or map; a zone has
 * up to two masks: one near, for the networks that the policy names, and one far, for the rest of the Internet.
 *
 * All of it is IPv4. Whatever is made here has the hash of its content in its name.
 */
enum {
  NEAR_BLOCKS_MAX = 1024,
  FAR_BLOCKS_MAX = 256,    /* as many as there are first bytes */
  PIECES_MAX = 4096,       /* of a set, before blocks are made of them */
  FILLED_MAX = 1024,       /* single addresses */
  COMPARED_MAX = 6,        /* single addresses that a rule keeps out one by one */
  PATTERNS_MAX = 4,        /* last bytes that a rule keeps out */
  COMPARED_BLOCKS_MAX = 2, /* that have rules of their own */
  BLOCKS_FOR_A_PIECE = 64  /* that one more piece may cost */
};

struct block {
  uint32_t first;
  unsigned length; /* of the prefix */
  bool lawful;     /* of destinations: else nothing joins them */
};

struct block_list {
  struct block *items;
  size_t count, capacity;
};

/* Blocks of one mask, and the addresses in them for which they do not hold. */
struct scale {
  unsigned length;
  struct block_list blocks;
  struct address_set except;
  const char *map; /* or set */
};

struct shortcuts {
  struct compilation *compilation;
  size_t place;
  const struct guard_view *view;
  struct address_set filling; /* single addresses that may be filled in */
  struct scale to[2];         /* destinations: near, far */
  struct scale from[2];       /* sources */
  const char *unjoined;       /* the chain */
};

static uint32_t number_of(const struct address *address) {
  uint32_t bits;
  memcpy(&bits, address->bytes, sizeof bits);
  return ntohl(bits);
}

static uint32_t mask_of(unsigned length) {
  return length == 0 ? 0 : UINT32_MAX << (32 - length);
}

static struct address_range range_of(const struct block *block) {
  return (struct address_range){address_from_ipv4(block->first),
                                address_from_ipv4(block->first | ~mask_of(block->length))};
}

/* ---- blocks ---- */

static void add_block(struct compilation *compilation, struct block_list *list, struct block block) {
  if (list->count >= PIECES_MAX)
    return; /* what has no block goes the longer way */
  if (arena_grow(compilation->arena, (void **)&list->items, list->count, &list->capacity, sizeof *list->items) < 0)
    compilation->builder.failed = true;
  else
    list->items[list->count++] = block;
}

/* The largest prefixes that make up the range. */
static void add_prefixes(struct compilation *compilation, struct block_list *list, const struct address_range *range,
                         bool lawful) {
  uint64_t at = number_of(&range->first), end = (uint64_t)number_of(&range->last) + 1;
  while (at < end) {
    unsigned length = 32;
    while (length > 1 && (at & ~(uint64_t)mask_of(length - 1)) == 0 && at + (UINT64_C(1) << (33 - length)) <= end)
      length--;
    add_block(compilation, list, (struct block){(uint32_t)at, length, lawful});
    at += UINT64_C(1) << (32 - length);
  }
}

static void add_set(struct compilation *compilation, struct block_list *list, const struct address_set *set,
                    bool lawful) {
  for (size_t i = 0; i < set->count; i++)
    if (set->ranges[i].first.family == FAMILY_IPV4)
      add_prefixes(compilation, list, &set->ranges[i], lawful);
}

static int compare_lengths(const void *left, const void *right) {
  const struct block *first = left, *second = right;
  if (first->length != second->length)
    return first->length > second->length ? -1 : 1;
  return (first->first > second->first) - (first->first < second->first);
}

struct worth {
  uint64_t gain;
  size_t taken, blocks;
};

/* What the mask is worth: the longest pieces first, for as long as their blocks are few. far: addresses count, else
 * pieces, less what many blocks cost. */
static struct worth weigh(const struct block_list *pieces, unsigned length, bool far) {
  struct worth worth = {0};
  for (size_t i = 0; i < pieces->count; i++) {
    unsigned own = pieces->items[i].length;
    if (own > length)
      continue;
    uint64_t blocks = UINT64_C(1) << (length - own);
    if (worth.blocks + blocks > (far ? FAR_BLOCKS_MAX : NEAR_BLOCKS_MAX))
      break;
    worth.blocks += blocks;
    worth.taken++;
    worth.gain += far ? UINT64_C(1) << (32 - own) : BLOCKS_FOR_A_PIECE;
  }
  if (!far)
    worth.gain -= worth.blocks < worth.gain ? worth.blocks : worth.gain;
  return worth;
}

static void make_scale(struct compilation *compilation, struct block_list *pieces, bool far, struct scale *scale) {
  struct worth best = {0};
  if (pieces->count > 0)
    qsort(pieces->items, pieces->count, sizeof *pieces->items, compare_lengths);
  for (unsigned length = 8; length <= 32; length++) {
    struct worth worth = weigh(pieces, length, far);
    if (worth.gain > best.gain || (worth.gain == best.gain && worth.blocks < best.blocks)) {
      best = worth;
      scale->length = length;
    }
  }
  size_t taken = 0;
  for (size_t i = 0; i < pieces->count && taken < best.taken; i++) {
    struct block piece = pieces->items[i];
    if (piece.length > scale->length)
      continue;
    taken++;
    for (uint64_t j = 0; j < UINT64_C(1) << (scale->length - piece.length); j++)
      add_block(compilation, &scale->blocks,
                (struct block){piece.first + (uint32_t)(j << (32 - scale->length)), scale->length, piece.lawful});
  }
}

static struct address_set set_of(struct compilation *compilation, const struct block_list *list, bool lawful) {
  struct address_range *ranges = ARENA_ARRAY(compilation->arena, list->count, struct address_range);
  size_t count = 0;
  for (size_t i = 0; ranges != NULL && i < list->count; i++)
    if (list->items[i].lawful == lawful)
      ranges[count++] = range_of(&list->items[i]);
  return addresses_of(compilation, ranges, count);
}

/* Those of the policy's networks that are not as large as the Internet. */
static struct address_set named_networks(struct compilation *compilation) {
  const struct policy *policy = compilation->policy;
  struct address_set named = {0};
  for (size_t i = 0; i < policy->zone_count; i++)
    for (size_t j = 0; j < policy->zones[i].local.count; j++) {
      const struct address_range *range = &policy->zones[i].local.ranges[j];
      if (range->first.family == FAMILY_IPV4 && number_of(&range->last) - number_of(&range->first) < UINT32_C(1)
                                                                                                         << 24) {
        struct address_set one = addresses_of(compilation, range, 1);
        named = addresses_with(compilation, named, &one);
      }
    }
  return named;
}

/* The set with single addresses filled in. */
static struct address_set filled(const struct shortcuts *shortcuts, const struct address_set *set) {
  return set->count == 0 ? *set : addresses_with(shortcuts->compilation, *set, &shortcuts->filling);
}

/* Blocks that hold nothing but what was filled in are of no use. */
static void drop_hollow(struct block_list *list, const struct address_set *lawful, const struct address_set *other) {
  size_t kept = 0;
  for (size_t i = 0; i < list->count; i++) {
    struct address_range range = range_of(&list->items[i]);
    struct address_set one = {.ranges = &range, .count = 1};
    if (address_set_overlaps(list->items[i].lawful ? lawful : other, &one))
      list->items[kept++] = list->items[i];
  }
  list->count = kept;
}

/* Near and far blocks of up to two sets that have nothing in common. */
static void make_scales(const struct shortcuts *shortcuts, const struct address_set *lawful,
                        const struct address_set *other, struct scale scales[2]) {
  struct compilation *compilation = shortcuts->compilation;
  struct address_set named = named_networks(compilation);
  struct address_set whole[2] = {filled(shortcuts, other), filled(shortcuts, lawful)}; /* by `lawful` */
  for (size_t far = 0; far < 2; far++) {
    struct block_list pieces = {0};
    for (size_t i = 0; i < 2; i++) {
      struct address_set part = addresses_in_both(compilation, whole[i], &named);
      part = far ? addresses_without(compilation, whole[i], &named) : part;
      add_set(compilation, &pieces, &part, i == 1);
    }
    drop_hollow(&pieces, lawful, other);
    make_scale(compilation, &pieces, far == 1, &scales[far]);
    drop_hollow(&scales[far].blocks, lawful, other);
    for (size_t i = 0; i < 2; i++) {
      struct address_set covered = set_of(compilation, &scales[far].blocks, i == 1);
      covered = addresses_without(compilation, covered, i == 1 ? lawful : other);
      scales[far].except = addresses_with(compilation, scales[far].except, &covered);
    }
  }
}

/* ---- sets and maps of blocks ---- */

static struct set_draft *begin_set(const struct shortcuts *shortcuts, const char *name, enum map_data data) {
  struct set_draft *draft = builder_set(&shortcuts->compilation->builder, name, data,
                                        (const enum field_type[]){KEY_FIELD_IPV4, KEY_FIELD_COUNT_});
  draft->fixed = true;
  draft->set.origin = zone_origin_at(shortcuts->compilation, shortcuts->place);
  return draft;
}

static struct element *add_key(const struct shortcuts *shortcuts, struct set_draft *draft, uint32_t address) {
  struct element *element = builder_element(&shortcuts->compilation->builder, draft);
  struct address key = address_from_ipv4(address);
  key_write(&draft->set, element->key, 0, key.bytes);
  return element;
}

static const char *end_set(const struct shortcuts *shortcuts, struct set_draft *draft) {
  draft->set.size = builder_room(draft->set.element_count);
  return builder_seal_set(&shortcuts->compilation->builder, draft);
}

/* Zones for which the same blocks hold share the set. */
static const char *block_set(const struct shortcuts *shortcuts, const struct scale *scale) {
  const char *name = arena_printf(shortcuts->compilation->arena, "blocks4.%u", scale->length);
  struct set_draft *draft = begin_set(shortcuts, name, MAP_NONE);
  for (size_t i = 0; i < scale->blocks.count; i++)
    add_key(shortcuts, draft, scale->blocks.items[i].first);
  return end_set(shortcuts, draft);
}

static struct verdict verdict_of(const struct shortcuts *shortcuts, const struct block *block) {
  if (block->lawful)
    return (struct verdict){.code = VERDICT_ACCEPT};
  return (struct verdict){.code = VERDICT_GOTO, .chain = shortcuts->unjoined};
}

static bool one_verdict(const struct block_list *blocks) {
  for (size_t i = 1; i < blocks->count; i++)
    if (blocks->items[i].lawful != blocks->items[0].lawful)
      return false;
  return true;
}

static const char *destination_map(const struct shortcuts *shortcuts, const struct scale *scale) {
  const char *name = arena_printf(shortcuts->compilation->arena, "towards4.%s.%u",
                                  zone_name_at(shortcuts->compilation, shortcuts->place), scale->length);
  struct set_draft *draft = begin_set(shortcuts, name, MAP_VERDICT);
  for (size_t i = 0; i < scale->blocks.count; i++)
    add_key(shortcuts, draft, scale->blocks.items[i].first)->verdict = verdict_of(shortcuts, &scale->blocks.items[i]);
  return end_set(shortcuts, draft);
}

/* ---- rules ---- */

static struct rule_writer begin(const struct shortcuts *shortcuts) {
  struct rule_writer rule = rule_begin(&shortcuts->compilation->builder, shortcuts->view->chain);
  rule.origin = zone_origin_at(shortcuts->compilation, shortcuts->place);
  return rule;
}

/* Each single address of a set, up to a limit. */
static size_t list_singles(const struct address_set *set, uint32_t *singles, size_t limit) {
  size_t count = 0;
  for (size_t i = 0; i < set->count; i++)
    for (uint64_t at = number_of(&set->ranges[i].first); at <= number_of(&set->ranges[i].last); at++) {
      if (count < limit)
        singles[count] = (uint32_t)at;
      count++;
    }
  return count;
}

static size_t list_last_bytes(const uint32_t *singles, size_t count, uint8_t bytes[PATTERNS_MAX]) {
  size_t found = 0;
  for (size_t i = 0; i < count; i++) {
    size_t j = 0;
    while (j < found && bytes[j] != (singles[i] & 0xff))
      j++;
    if (j < found)
      continue;
    if (found == PATTERNS_MAX)
      return PATTERNS_MAX + 1;
    bytes[found++] = (uint8_t)singles[i];
  }
  return found;
}

static void keep_out_set(const struct shortcuts *shortcuts, struct rule_writer *rule, enum match field,
                         const uint32_t *singles, size_t count) {
  struct set_draft *draft = begin_set(shortcuts, "except4", MAP_NONE);
  for (size_t i = 0; i < count; i++)
    add_key(shortcuts, draft, singles[i]);
  rule_not_in(rule, FIELDS(field), end_set(shortcuts, draft));
}

/* The rule does not hold for these addresses, and perhaps for others that end like them. */
static void keep_out(const struct shortcuts *shortcuts, struct rule_writer *rule, enum match field,
                     const struct address_set *except) {
  uint32_t singles[FILLED_MAX];
  uint8_t bytes[PATTERNS_MAX];
  size_t count = list_singles(except, singles, FILLED_MAX);
  if (count > FILLED_MAX) /* never: no more were filled in */
    shortcuts->compilation->builder.failed = true;
  else if (count <= COMPARED_MAX)
    for (size_t i = 0; i < count; i++)
      rule_differs_ipv4(rule, field, UINT32_MAX, singles[i]);
  else if ((count = list_last_bytes(singles, count, bytes)) <= PATTERNS_MAX)
    for (size_t i = 0; i < count; i++)
      rule_differs_ipv4(rule, field, 0xff, bytes[i]);
  else
    keep_out_set(shortcuts, rule, field, singles, list_singles(except, singles, FILLED_MAX));
}

/* No options, whole, neither a tunnel (their protocols have one of two bits, or are 4) nor perhaps Teredo. */
static void check_plain(struct rule_writer *rule) {
  uint16_t teredo = htons(TEREDO_PORT);
  rule_equals(rule, MATCH_IP_FIRST_BYTE, (const uint8_t[]){0x45}, "0x45");
  rule_equals(rule, MATCH_IP_FRAGMENT_WORD, (const uint8_t[4]){0}, "== 0x0");
  rule_equals(rule, MATCH_IP_TUNNEL_BITS, (const uint8_t[4]){0}, "== 0x0");
  rule_differs(rule, MATCH_IP_PROTOCOL_BYTE, (const uint8_t[]){4}, "0x4");
  rule_differs(rule, MATCH_DESTINATION_PORT, &teredo, "0xdd8");
}

static void end_towards(const struct shortcuts *shortcuts, struct rule_writer *rule, const struct scale *to) {
  keep_out(shortcuts, rule, MATCH_IP4_DESTINATION, &to->except);
  if (!one_verdict(&to->blocks)) {
    rule_verdict_map_ipv4(rule, MATCH_IP4_DESTINATION, mask_of(to->length), to->map);
    rule_end(rule, VERDICT_NONE, NULL);
    return;
  }
  struct verdict verdict = verdict_of(shortcuts, &to->blocks.items[0]);
  rule_in_ipv4(rule, MATCH_IP4_DESTINATION, mask_of(to->length), to->map);
  rule_end(rule, verdict.code, verdict.chain);
}

/* Of a set of exceptions, those that lie in the block. */
static struct address_set in_block(const struct shortcuts *shortcuts, const struct address_set *set,
                                   const struct block *block) {
  struct address_range range = range_of(block);
  struct address_set one = addresses_of(shortcuts->compilation, &range, 1);
  return addresses_in_both(shortcuts->compilation, one, set);
}

static void match_from(struct rule_writer *rule, const struct scale *from, const struct block *block) {
  if (block == NULL)
    rule_in_ipv4(rule, MATCH_IP4_SOURCE, mask_of(from->length), from->map);
  else
    rule_equals_ipv4(rule, MATCH_IP4_SOURCE, mask_of(block->length), block->first);
}

/* Packets from the scale's blocks, or from one of them. */
static void send_from(const struct shortcuts *shortcuts, const struct scale *from, const struct block *block,
                      const struct scale *to) {
  struct rule_writer rule = begin(shortcuts);
  struct address_set except = block == NULL ? from->except : in_block(shortcuts, &from->except, block);
  match_from(&rule, from, block);
  check_plain(&rule);
  keep_out(shortcuts, &rule, MATCH_IP4_SOURCE, &except);
  end_towards(shortcuts, &rule, to);
}

/* From the pinned hosts among them; most others are kept from the costly look at the MAC. */
static void send_bound(const struct shortcuts *shortcuts, const struct scale *from, const struct block *block,
                       const struct scale *to) {
  struct rule_writer rule = begin(shortcuts);
  match_from(&rule, from, block);
  guard_narrow_to_pinned(shortcuts->compilation, shortcuts->place, IP4, &rule);
  check_plain(&rule);
  rule_in(&rule, FIELDS(MATCH_IP4_SOURCE, MATCH_ETHER_SOURCE), shortcuts->view->binding);
  end_towards(shortcuts, &rule, to);
}

static void send_scale(const struct shortcuts *shortcuts, const struct scale *from, const struct scale *to,
                       void (*send)(const struct shortcuts *shortcuts, const struct scale *from,
                                    const struct block *block, const struct scale *to)) {
  if (to->map == NULL || from->blocks.count == 0)
    return;
  if (from->map != NULL)
    send(shortcuts, from, NULL, to);
  for (size_t i = 0; from->map == NULL && i < from->blocks.count; i++)
    send(shortcuts, from, &from->blocks.items[i], to);
}

/* ---- what they need ---- */

/* Pinned, own and broadcast addresses, up to a limit. */
static struct address_set list_filling(struct compilation *compilation, size_t place) {
  const struct address_set sources[] = {compilation->broadcasts, compilation->own, compilation->zones[place].pinned};
  struct address_range ranges[FILLED_MAX];
  size_t count = 0, singles = 0;
  for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
    for (size_t j = 0; j < sources[i].count; j++) {
      const struct address_range *range = &sources[i].ranges[j];
      uint64_t size = range->first.family == FAMILY_IPV4 ? range_size(range) : UINT64_MAX;
      if (size > FILLED_MAX - singles)
        continue;
      singles += size;
      ranges[count++] = *range;
    }
  return addresses_of(compilation, ranges, count);
}

static void end_refused(const struct shortcuts *shortcuts, struct rule_writer *rule, const char *reason) {
  struct compilation *compilation = shortcuts->compilation;
  rule_count(rule,
             builder_counter(&compilation->builder, arena_printf(compilation->arena, "guard.%s.%s",
                                                                 zone_name_at(compilation, shortcuts->place), reason)));
  end_denial(compilation, rule, reason);
}

/* Denied for want of a flow; but ICMP errors are judged later. */
static const char *compile_unjoined_chain(const struct shortcuts *shortcuts) {
  struct compilation *compilation = shortcuts->compilation;
  const char *zone = zone_name_at(compilation, shortcuts->place);
  struct chain_draft *chain =
      builder_chain(&compilation->builder, arena_printf(compilation->arena, "unjoined4.%s", zone),
                    zone_label_at(compilation, shortcuts->place));
  struct rule_writer rule = rule_begin(&compilation->builder, chain);
  rule.origin = zone_origin_at(compilation, shortcuts->place);
  rule_transport(&rule, IPPROTO_ICMP);
  rule_end(&rule, VERDICT_GOTO, shortcuts->view->refusals);
  rule = rule_begin(&compilation->builder, chain);
  rule.origin = zone_origin_at(compilation, shortcuts->place);
  end_refused(shortcuts, &rule, "no-flow");
  return builder_seal_chain(&compilation->builder, chain);
}

struct shortcuts *shortcuts_new(struct compilation *compilation, size_t place, const struct guard_view *view) {
  static const struct address_set none = {0};
  struct shortcuts *shortcuts = ARENA_NEW(compilation->arena, struct shortcuts);
  if (shortcuts == NULL)
    return NULL;
  *shortcuts = (struct shortcuts){.compilation = compilation, .place = place, .view = view};
  shortcuts->filling = list_filling(compilation, place);
  make_scales(shortcuts, &view->destinations, &view->unjoined, shortcuts->to);
  make_scales(shortcuts, &view->sources, &none, shortcuts->from);
  shortcuts->unjoined = compile_unjoined_chain(shortcuts);
  for (size_t i = 0; i < 2; i++) {
    struct scale *to = &shortcuts->to[i], *from = &shortcuts->from[i];
    if (to->blocks.count > 0)
      to->map = one_verdict(&to->blocks) ? block_set(shortcuts, to) : destination_map(shortcuts, to);
    if (from->blocks.count > COMPARED_BLOCKS_MAX)
      from->map = block_set(shortcuts, from);
  }
  return shortcuts;
}

void shortcuts_send(const struct shortcuts *shortcuts, bool far) {
  if (shortcuts == NULL)
    return;
  for (size_t i = 0; i < 2; i++)
    send_scale(shortcuts, &shortcuts->from[i], &shortcuts->to[far ? 1 : 0], send_from);
  for (size_t i = 0; i < 2 && shortcuts->view->binding != NULL; i++)
    send_scale(shortcuts, &shortcuts->from[i], &shortcuts->to[far ? 1 : 0], send_bound);
}

/* ---- forged sources ---- */

void shortcuts_refuse_strangers(const struct shortcuts *shortcuts) {
  static const struct address_set none = {0};
  struct scale from[2] = {0};
  if (shortcuts == NULL)
    return;
  struct compilation *compilation = shortcuts->compilation;
  const struct shortcuts plain = {.compilation = compilation, .place = shortcuts->place, .view = shortcuts->view};
  make_scales(&plain, &shortcuts->view->foreign, &none, from);
  const struct scale *to = &shortcuts->to[0];
  if (from[1].blocks.count == 0 || to->blocks.count == 0)
    return;
  struct rule_writer rule = begin(shortcuts);
  rule_in_ipv4(&rule, MATCH_IP4_SOURCE, mask_of(from[1].length), block_set(shortcuts, &from[1]));
  keep_out(shortcuts, &rule, MATCH_IP4_DESTINATION, &to->except);
  rule_in_ipv4(&rule, MATCH_IP4_DESTINATION, mask_of(to->length), block_set(shortcuts, to));
  end_refused(shortcuts, &rule, "spoofed-source");
}
