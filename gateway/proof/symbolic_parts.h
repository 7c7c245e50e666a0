/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_SYMBOLIC_PARTS_H
#define KIDO_PROOF_SYMBOLIC_PARTS_H

#include "proof/symbolic.h"

/*
 * Theory of operation. A rule is run once for all packets that reach it: `condition` is the set of those that are still
 * in it, and each expression narrows it. A register holds bits; each is a constant, a variable, a function of the
 * packet, or cannot be known. What is numbered rather than made of bits (marks: of maps of many elements, or of what an
 * earlier rule wrote) is a word: a diagram whose leaves are indices of mark_word.
 *
 * What a rule does to the packet (marks, notrack) is a diagram over all packets, changed where the condition holds:
 * each packet goes one way only, so one diagram serves all ways at once.
 */

enum { REGISTER_BITS = LIVE_REGISTER_BYTES * 8, REGISTER_WORDS = LIVE_REGISTER_BYTES / 4 };

/* ---- values ---- */

enum bit_kind {
  BIT_UNSET, /* no expression of this rule wrote it */
  BIT_CONSTANT,
  BIT_VARIABLE,
  BIT_FUNCTION, /* a set: 1 inside */
  BIT_UNKNOWN,
  BIT_WORD, /* of the word at this place */
};
struct bit { /* no padding: it is hashed and compared as bytes */
  uint32_t kind;
  uint32_t number; /* constant: 0 or 1; variable; set */
};

/* Four bytes of registers, a number in the order of this machine. Leaves: words_intern(). */
struct word {
  diagram leaves;
  uint32_t zero; /* leaf for which 0 stands; 0: nothing, where the rule's condition cannot be */
  bool swapped;  /* the bytes lie in the other order */
};

struct registers {
  struct bit bits[REGISTER_BITS];
  struct word words[REGISTER_WORDS]; /* where the bits are BIT_WORD */
};

/* ---- where a packet is on its way ---- */

struct stage {    /* no padding: compared as bytes */
  uint8_t family; /* NFPROTO_* of the table: inet, ip, ip6, netdev */
  uint8_t hook;
  uint8_t has_in, has_out; /* the kernel has that device at hand here */
  uint8_t whole;           /* behind defragmentation */
  uint8_t connection;      /* behind conntrack */
  uint8_t ambiguous;       /* at the priority of defragmentation or conntrack: before or behind it */
  uint8_t route;           /* a mark that is written here changes the way out */
  uint8_t hopped;          /* on its way through: the hop limit is one less than on the wire */
  uint8_t link_header;     /* an Ethernet header may be read, where the device has one */
};

struct interface {
  const char *name; /* NULL: cannot be told */
  bool named;       /* by the situation; else it stands for all that nobody names */
  const struct link *link;
};

enum { DEEPEST_JUMP = 32 }; /* the kernel allows 16 */

/* What a run of a chain consulted; what it did not, does not change its result. */
enum { SAW_IN = 1, SAW_OUT = 2, SAW_FAMILY = 4, SAW_TRACKING = 8, SAW_STAGE = 16, SAW_ALL = 31 };

struct view {
  const struct situation *situation;
  struct interface in, out;
  struct stage stage;
};

/* ---- chains ---- */

struct effects {                          /* of the packets that passed: functions over all packets */
  diagram mark, packet_mark;              /* leaves: words; 0: what it was at the start */
  diagram untracked;                      /* set: notrack was met */
  uint32_t mark_start, packet_mark_start; /* leaves */
};

struct outcome {
  diagram accepted, undecided;
  diagram returned; /* by return, or at the chain's end */
};

enum journal_kind { JOURNAL_UNMODELLED, JOURNAL_WRITE, JOURNAL_THROTTLE };
struct journal_entry {
  enum journal_kind kind;
  const struct live_chain *chain;
  const struct live_rule *rule;
  const char *why;
  diagram where; /* write: words */
  unsigned variable;
};

struct remembered; /* run of a chain */

/* ---- sets ---- */

enum { LEAF_CONFLICT = 0x7fffffff }; /* elements overlap and say different things */

struct set_index; /* what is known of one set */

/* What a lookup finds. */
struct found {
  diagram leaf;     /* 0: nothing; sets: 1; values: word; verdicts: index + 1 for found_verdict() */
  diagram doubtful; /* an element with expressions that may say no: set of keys */
  diagram doubt;    /* the answer cannot be known here */
};

/* ---- the machine ---- */

struct symbolic {
  const struct live_ruleset *ruleset;
  const struct surroundings *surroundings;
  struct space *space;
  struct diagram_store *store;
  struct arena *arena;
  bool failed; /* memory */
  const char *other_interface;
  symbolic_absent_function absent;
  void *absent_context;
  struct classes *classes; /* NULL: not used */

  struct word_table {
    struct mark_word *words;
    size_t count, capacity;
    uint32_t *slots; /* index, 0: free */
    size_t slot_count;
  } words;
  struct operation_table {
    struct operation_key {
      const void *subject;
      uint32_t kind, a, b, operation;
    } * keys;
    size_t count, capacity;
  } operations;

  struct set_index **sets; /* hash by address */
  size_t set_slots;
  const struct live_chain *entered[DEEPEST_JUMP + 1]; /* by depth: the chains that led here */
  struct remembered **runs;
  size_t run_slots, run_count;
  uint32_t saw_ever; /* bit n: a run is kept that saw SAW_* n */
  struct journal_entry *journal;
  size_t journal_count, journal_capacity;
  diagram universe; /* all packets that the question is about */
  unsigned saw;
  unsigned merge_words, merge_leaves; /* operations */
  bool met_unknown, met_answer;       /* variables of any kind; of unknown answers */
  struct settled *settled; /* what became of a diagram without its unknown variables: one of each slot is kept */
};

/* The run of one rule. */
struct run {
  struct symbolic *machine;
  const struct view *view;
  const struct live_chain *chain;
  const struct live_rule *rule;
  unsigned expression; /* its place */
  unsigned depth;
  diagram condition;
  diagram remaining; /* of the chain: what no verdict took so far */
  struct effects *effects;
  struct outcome *outcome;
  struct registers registers;
};

/* symbolic_values.c */
uint32_t word_intern(struct symbolic *machine, struct mark_word word); /* leaf */
uint32_t word_constant(struct symbolic *machine, uint32_t value);
uint32_t word_unknown(struct symbolic *machine);
/* Number of a diagram_operation() for a function whose context is (kind, subject, a, b). */
unsigned operation_number(struct symbolic *machine, uint32_t kind, const void *subject, uint32_t a, uint32_t b);
enum { OPERATION_MASK = 1, OPERATION_SHIFT, OPERATION_COMPARE, OPERATION_LOOKUP, OPERATION_DOUBTFUL, OPERATION_CATCH };

struct bit bit_constant(bool value);
struct bit bit_variable(unsigned variable);
struct bit bit_function(diagram set);
struct bit bit_unknown(void);
diagram bit_set(struct symbolic *machine, struct bit bit); /* where it is 1; not for unknown ones */
struct bit bit_not(struct symbolic *machine, struct bit bit);
bool host_is_little(void);
/* Bit (most significant first) of a number, as it lies in memory: place in a field of that many bytes. */
unsigned host_bit(unsigned bytes, unsigned bit);

void registers_clear(struct registers *registers);
/* Bits of this register onwards; what remains of its last word becomes 0. NULL: no room, an error of the ruleset. */
struct bit *registers_write(struct registers *registers, unsigned byte, unsigned bytes);
void registers_write_bytes(struct registers *registers, unsigned byte, const uint8_t *bytes, unsigned count);
void registers_write_number(struct registers *registers, unsigned byte, unsigned bytes, uint32_t number);
void registers_write_unknown(struct registers *registers, unsigned byte, unsigned bytes);
void registers_write_word(struct registers *registers, unsigned byte, struct word word);
/* The word that these bytes are exactly, else NULL. */
const struct word *registers_word(const struct registers *registers, unsigned byte, unsigned bytes);
/* Bits to read; false when one of them was never written, or when a word among them is too rich to be made bits. */
bool registers_read(struct symbolic *machine, const struct registers *registers, unsigned byte, unsigned bytes,
                    struct bit *ret_bits);
/* Bits of one leaf of a word, as they lie in memory. */
void word_bits(struct symbolic *machine, struct mark_word word, bool swapped, struct bit ret_bits[static 32]);
/* Leaves of a word that are no constants: they depend on the mark before, or are not known. */
struct open_leaves {
  const struct symbolic *machine;
  uint32_t zero; /* what leaf 0 stands for */
  uint32_t leaves[256];
  size_t count;
  bool more; /* there are others */
};
void word_open_leaves(struct symbolic *machine, const struct word *word, struct open_leaves *ret_leaves);
void word_bytes(uint32_t value, bool swapped, uint8_t ret_bytes[static 4]);
/* Leaves of the set, none of them 0 inside; 0 outside. */
diagram words_resolve(struct symbolic *machine, diagram set, diagram leaves, uint32_t zero);

enum comparison { COMPARE_EQUAL, COMPARE_LEAST, COMPARE_MOST }; /* as memcmp() does */
/* Where the bits compare so with the bytes; *ret_doubt: where that cannot be known. */
diagram bits_compare(struct symbolic *machine, const struct bit *bits, unsigned count, enum comparison comparison,
                     const uint8_t *bytes, bool *ret_doubt);

/* symbolic_sets.c */
void sets_prepare(struct symbolic *machine);
bool set_is_changing(struct symbolic *machine, const struct live_set *set); /* packets change it */
/* What is wrong with the set; NULL: nothing. */
const char *set_unmodelled(struct symbolic *machine, const struct live_set *set);
struct found set_lookup(struct run *run, const struct live_set *set, unsigned source, const char **ret_unmodelled);
const struct live_verdict *found_verdict(struct symbolic *machine, const struct live_set *set, uint32_t leaf);

/* symbolic_chains.c */
struct outcome chain_run(struct symbolic *machine, const struct view *view, const struct live_chain *chain,
                         diagram packets, struct effects *effects, unsigned depth);
void run_settle(struct run *run, diagram packets, const struct live_verdict *verdict);
void run_unmodelled(struct run *run, diagram packets, const char *why);
void journal_add(struct symbolic *machine, struct journal_entry entry);
/* Set of an unknown answer; `what` keeps several of one expression apart. */
diagram run_unknown(struct run *run, enum unknown_kind kind, const char *what);
void run_narrow(struct run *run, diagram set);

/* symbolic_expressions.c */
void expression_run(struct run *run, const struct live_expression *expression);
/* Whether it does more than to narrow and to calculate: decides, writes, or cannot be followed. */
bool expression_matters(const struct live_expression *expression);

/* symbolic_loads.c */
void payload_run(struct run *run, const struct live_expression *expression);
void exthdr_run(struct run *run, const struct live_expression *expression);
void meta_run(struct run *run, const struct live_expression *expression);
void meta_set_run(struct run *run, const struct live_expression *expression);

/* symbolic_connections.c */
void ct_run(struct run *run, const struct live_expression *expression);
void ct_set_run(struct run *run, const struct live_expression *expression);
void notrack_run(struct run *run, const struct live_expression *expression);
/* Value of a register as a word for a mark; false: it was never written. */
bool run_mark_value(struct run *run, unsigned source, struct word *ret_word);
/* The mark where `here` holds is that word from now on. */
diagram mark_written(struct symbolic *machine, diagram mark, uint32_t start, diagram here, const struct word *word);

/* symbolic_order.c: base chains of a path, in the order in which a packet meets them. */
struct stop {
  const struct live_chain *chain;
  struct stage stage;
  bool nat;               /* asked for the first packet of a connection only */
  int32_t place;          /* the priority at which it is asked */
  const char *unmodelled; /* why it cannot be followed; NULL */
};
/* early: before routing only, and only what comes before that priority. */
int order_make(struct symbolic *machine, const struct situation *situation, bool early, int32_t before_priority,
               struct stop **ret_stops, size_t *ret_count);

/* symbolic_names.c */
/* A name that no rule can tell from others that nobody names; NULL: there is none. */
const char *names_other(struct symbolic *machine);

#endif
