/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <endian.h>
#include <string.h>

#include "proof/symbolic_parts.h"

/* What registers hold: bits, and words whose values are leaves of a diagram. */

enum { FEW_LEAVES = 32 };

/* ---- words ---- */

static size_t word_slot(const struct word_table *table, const struct mark_word *word) {
  uint32_t hash = (word->keep * 0x9e3779b1u) ^ (word->flip * 0x85ebca77u) ^ (word->unknown ? 0xc2b2ae3du : 0);
  size_t slot = (hash ^ (hash >> 15)) & (table->slot_count - 1);
  while (table->slots[slot] != 0) {
    const struct mark_word *there = &table->words[table->slots[slot]];
    if (there->keep == word->keep && there->flip == word->flip && there->unknown == word->unknown)
      break;
    slot = (slot + 1) & (table->slot_count - 1);
  }
  return slot;
}

static bool word_table_widen(struct symbolic *machine) {
  struct word_table *table = &machine->words;
  size_t wider = table->slot_count == 0 ? 256 : table->slot_count * 2;
  uint32_t *slots = ARENA_ARRAY(machine->arena, wider, uint32_t);
  if (slots == NULL)
    return false;
  table->slots = slots;
  table->slot_count = wider;
  for (size_t i = 1; i < table->count; i++)
    slots[word_slot(table, &table->words[i])] = (uint32_t)i;
  return true;
}

static bool word_table_open(struct symbolic *machine) {
  enum { FIRST_WORDS = 64 };
  struct word_table *table = &machine->words;
  table->words = ARENA_ARRAY(machine->arena, FIRST_WORDS, struct mark_word);
  table->capacity = FIRST_WORDS;
  table->count = 1;
  return table->words != NULL;
}

uint32_t word_intern(struct symbolic *machine, struct mark_word word) {
  struct word_table *table = &machine->words;
  if (word.unknown)
    word = (struct mark_word){.unknown = true};
  if (table->count == 0 && !word_table_open(machine)) /* leaf 0 is none */
    goto failed;
  if (table->count * 2 >= table->slot_count && !word_table_widen(machine))
    goto failed;
  size_t slot = word_slot(table, &word);
  if (table->slots[slot] != 0)
    return table->slots[slot];
  void *items = table->words;
  if (arena_grow(machine->arena, &items, table->count, &table->capacity, sizeof(*table->words)) < 0)
    goto failed;
  table->words = items;
  table->words[table->count] = word;
  table->slots[slot] = (uint32_t)table->count;
  return (uint32_t)table->count++;
failed:
  machine->failed = true;
  return 0;
}

uint32_t word_constant(struct symbolic *machine, uint32_t value) {
  return word_intern(machine, (struct mark_word){.flip = value});
}

uint32_t word_unknown(struct symbolic *machine) {
  return word_intern(machine, (struct mark_word){.unknown = true});
}

unsigned operation_number(struct symbolic *machine, uint32_t kind, const void *subject, uint32_t a, uint32_t b) {
  struct operation_table *table = &machine->operations;
  for (size_t i = 0; i < table->count; i++) {
    const struct operation_key *key = &table->keys[i];
    if (key->kind == kind && key->subject == subject && key->a == a && key->b == b)
      return key->operation;
  }
  unsigned operation = diagram_operation(machine->store);
  void *items = table->keys;
  if (arena_grow(machine->arena, &items, table->count, &table->capacity, sizeof(*table->keys)) < 0) {
    machine->failed = true;
    return operation;
  }
  table->keys = items;
  table->keys[table->count++] = (struct operation_key){subject, kind, a, b, operation};
  return operation;
}

/* ---- bits ---- */

struct bit bit_constant(bool value) {
  return (struct bit){BIT_CONSTANT, value};
}

struct bit bit_variable(unsigned variable) {
  return (struct bit){BIT_VARIABLE, variable};
}

struct bit bit_function(diagram set) {
  if (set == DIAGRAM_FALSE || set == DIAGRAM_TRUE)
    return bit_constant(set == DIAGRAM_TRUE);
  return (struct bit){BIT_FUNCTION, set};
}

struct bit bit_unknown(void) {
  return (struct bit){BIT_UNKNOWN, 0};
}

diagram bit_set(struct symbolic *machine, struct bit bit) {
  if (bit.kind == BIT_VARIABLE)
    return diagram_variable(machine->store, bit.number);
  if (bit.kind == BIT_FUNCTION)
    return bit.number;
  return bit.number != 0 ? DIAGRAM_TRUE : DIAGRAM_FALSE;
}

struct bit bit_not(struct symbolic *machine, struct bit bit) {
  if (bit.kind == BIT_CONSTANT)
    return bit_constant(bit.number == 0);
  if (bit.kind == BIT_UNKNOWN)
    return bit;
  return bit_function(diagram_not(machine->store, bit_set(machine, bit)));
}

bool host_is_little(void) {
  return htobe16(1) != 1;
}

unsigned host_bit(unsigned bytes, unsigned bit) {
  return host_is_little() ? (bytes - 1 - bit / 8) * 8 + bit % 8 : bit;
}

/* ---- registers ---- */

void registers_clear(struct registers *registers) {
  memset(registers->bits, 0, sizeof(registers->bits));
}

struct bit *registers_write(struct registers *registers, unsigned byte, unsigned bytes) {
  if (bytes > LIVE_REGISTER_BYTES)
    return NULL;
  unsigned whole = (bytes + 3) / 4 * 4;
  if (byte > LIVE_REGISTER_BYTES || whole > LIVE_REGISTER_BYTES - byte)
    return NULL;
  struct bit *bits = &registers->bits[(size_t)byte * 8];
  /* What stays of a word that is written over in part is no word any more. */
  for (unsigned i = byte / 4; i < REGISTER_WORDS && i * 4 < byte + whole; i++)
    if (registers->bits[(size_t)i * 32].kind == BIT_WORD)
      memset(&registers->bits[(size_t)i * 32], 0, 32 * sizeof(*bits));
  for (unsigned i = bytes * 8; i < whole * 8; i++)
    bits[i] = bit_constant(false);
  return bits;
}

void registers_write_bytes(struct registers *registers, unsigned byte, const uint8_t *bytes, unsigned count) {
  struct bit *bits = registers_write(registers, byte, count);
  for (unsigned i = 0; bits != NULL && i < count * 8; i++)
    bits[i] = bit_constant((bytes[i / 8] >> (7 - i % 8)) & 1);
}

void registers_write_number(struct registers *registers, unsigned byte, unsigned bytes, uint32_t number) {
  struct bit *bits = registers_write(registers, byte, bytes);
  for (unsigned i = 0; bits != NULL && i < bytes * 8; i++)
    bits[host_bit(bytes, i)] = bit_constant((number >> (bytes * 8 - 1 - i)) & 1);
}

void registers_write_unknown(struct registers *registers, unsigned byte, unsigned bytes) {
  struct bit *bits = registers_write(registers, byte, bytes);
  for (unsigned i = 0; bits != NULL && i < bytes * 8; i++)
    bits[i] = bit_unknown();
}

void registers_write_word(struct registers *registers, unsigned byte, struct word word) {
  struct bit *bits = byte % 4 == 0 ? registers_write(registers, byte, 4) : NULL;
  for (unsigned i = 0; bits != NULL && i < 32; i++)
    bits[i] = (struct bit){BIT_WORD, 0};
  if (bits != NULL)
    registers->words[byte / 4] = word;
}

const struct word *registers_word(const struct registers *registers, unsigned byte, unsigned bytes) {
  if (bytes != 4 || byte % 4 != 0 || byte > LIVE_REGISTER_BYTES - 4)
    return NULL;
  return registers->bits[(size_t)byte * 8].kind == BIT_WORD ? &registers->words[byte / 4] : NULL;
}

static bool note_open_leaf(void *context, uint32_t leaf) {
  struct open_leaves *open = context;
  uint32_t meant = leaf != 0 ? leaf : open->zero;
  struct mark_word word = symbolic_mark(open->machine, meant);
  if (meant == 0 || (!word.unknown && word.keep == 0))
    return true;
  open->more = open->count == sizeof(open->leaves) / sizeof(open->leaves[0]);
  if (!open->more)
    open->leaves[open->count++] = leaf;
  return !open->more;
}

void word_open_leaves(struct symbolic *machine, const struct word *word, struct open_leaves *ret_leaves) {
  *ret_leaves = (struct open_leaves){.machine = machine, .zero = word->zero};
  diagram_leaves(machine->store, word->leaves, note_open_leaf, ret_leaves);
}

void word_bytes(uint32_t value, bool swapped, uint8_t ret_bytes[static 4]) {
  bool little = host_is_little() != swapped;
  for (unsigned i = 0; i < 4; i++)
    ret_bytes[little ? i : 3 - i] = (uint8_t)(value >> (8 * i));
}

void word_bits(struct symbolic *machine, struct mark_word word, bool swapped, struct bit ret_bits[static 32]) {
  bool little = host_is_little() != swapped;
  for (unsigned i = 0; i < 32; i++) {
    struct bit bit = bit_constant((word.flip >> (31 - i)) & 1);
    if (word.unknown)
      bit = bit_unknown();
    else if ((word.keep >> (31 - i)) & 1) {
      bool flipped = bit.number != 0;
      bit = bit_variable(space_field_variable(machine->space, FIELD_MARK, i));
      if (flipped)
        bit = bit_not(machine, bit);
    }
    ret_bits[little ? (3 - i / 8) * 8 + i % 8 : i] = bit;
  }
}

diagram words_resolve(struct symbolic *machine, diagram set, diagram leaves, uint32_t zero) {
  diagram words = diagram_choose(machine->store, set, leaves, DIAGRAM_FALSE);
  diagram holes = diagram_difference(machine->store, set, diagram_support(machine->store, words));
  if (holes == DIAGRAM_FALSE)
    return words;
  return diagram_choose(machine->store, holes, diagram_leaf(machine->store, zero), words);
}

struct few {
  uint32_t leaves[FEW_LEAVES];
  size_t count;
  bool more;
};

static bool few_note(void *context, uint32_t leaf) {
  struct few *few = context;
  few->more = few->count == FEW_LEAVES;
  if (!few->more)
    few->leaves[few->count++] = leaf;
  return !few->more;
}

/* A word of few values as bits. */
static bool word_spread(struct symbolic *machine, const struct word *word, struct bit *ret_bits) {
  struct few few = {.count = 0};
  diagram sets[32] = {DIAGRAM_FALSE};
  bool unknown[32] = {false};
  diagram_leaves(machine->store, word->leaves, few_note, &few);
  for (size_t k = 0; k < few.count && !few.more; k++) {
    struct bit bits[32];
    uint32_t leaf = few.leaves[k] != 0 ? few.leaves[k] : word->zero;
    if (leaf == 0)
      continue;
    diagram region = diagram_where(machine->store, word->leaves, few.leaves[k]);
    word_bits(machine, symbolic_mark(machine, leaf), word->swapped, bits);
    for (unsigned i = 0; i < 32; i++) {
      unknown[i] = unknown[i] || bits[i].kind == BIT_UNKNOWN;
      if (bits[i].kind != BIT_UNKNOWN)
        sets[i] = diagram_or(machine->store, sets[i], diagram_and(machine->store, region, bit_set(machine, bits[i])));
    }
  }
  for (unsigned i = 0; i < 32; i++)
    ret_bits[i] = unknown[i] ? bit_unknown() : bit_function(sets[i]);
  return !few.more;
}

bool registers_read(struct symbolic *machine, const struct registers *registers, unsigned byte, unsigned bytes,
                    struct bit *ret_bits) {
  if (byte > LIVE_REGISTER_BYTES || bytes > LIVE_REGISTER_BYTES - byte)
    return false;
  memcpy(ret_bits, &registers->bits[(size_t)byte * 8], (size_t)bytes * 8 * sizeof(*ret_bits));
  for (unsigned i = 0; i < bytes; i++) {
    uint32_t kind = ret_bits[(size_t)i * 8].kind;
    struct bit spread[32];
    if (kind == BIT_UNSET)
      return false;
    if (kind != BIT_WORD)
      continue;
    if (!word_spread(machine, &registers->words[(byte + i) / 4], spread))
      return false;
    unsigned inside = (byte + i) % 4, count = 4 - inside < bytes - i ? 4 - inside : bytes - i;
    memcpy(&ret_bits[(size_t)i * 8], &spread[(size_t)inside * 8], (size_t)count * 8 * sizeof(*ret_bits));
    i += count - 1;
  }
  return true;
}

/* ---- comparing ---- */

static diagram compare_step(struct symbolic *machine, enum comparison comparison, diagram bit, bool wanted,
                            diagram rest) {
  struct diagram_store *store = machine->store;
  if (comparison == COMPARE_EQUAL)
    return wanted ? diagram_and(store, bit, rest) : diagram_difference(store, rest, bit);
  if (comparison == COMPARE_LEAST)
    return wanted ? diagram_and(store, bit, rest) : diagram_or(store, bit, rest);
  return wanted ? diagram_or(store, diagram_not(store, bit), rest) : diagram_difference(store, rest, bit);
}

diagram bits_compare(struct symbolic *machine, const struct bit *bits, unsigned count, enum comparison comparison,
                     const uint8_t *bytes, bool *ret_doubt) {
  diagram result = DIAGRAM_TRUE;
  bool doubt = false;
  /* The last bit first: what is asked first is put on top of what was made. */
  for (unsigned i = count; i-- > 0;) {
    bool wanted = (bytes[i / 8] >> (7 - i % 8)) & 1;
    if (bits[i].kind == BIT_UNKNOWN) {
      doubt = true;
      continue; /* equality: as far as is known */
    }
    result = compare_step(machine, comparison, bit_set(machine, bits[i]), wanted, result);
  }
  if (doubt && comparison != COMPARE_EQUAL)
    result = DIAGRAM_TRUE;
  *ret_doubt = doubt;
  return result;
}
