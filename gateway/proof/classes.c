/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proof/classes.h"

#include <stdlib.h>
#include <string.h>

/*
 * Theory of operation. A block keeps its boxes in the order in which they came, a hash of them (equal boxes have one
 * number), and an order by one field, the one of most values, to find what may lie in a box without asking all.
 *
 * That boxes do not overlap makes covering a matter of counting: those parts of the block's boxes which lie in a box
 * have together as many points as the box if and only if they leave no gap in it. Points are counted exactly, in
 * numbers of 384 bits: two IPv6 addresses and two ports are 288.
 */

__extension__ typedef unsigned __int128 wide;

enum { LIMBS = 6, FIELD_BYTES = 16, WORK_FOR_EACH = 256, FIRST_ROOM = 16 };

struct class_block {
  struct class_block *next;
  struct classes *classes;
  const void *owner;
  int protocol;
  unsigned turn; /* of the classes, when it was last asked for */
  struct class_field fields[CLASS_FIELDS];
  size_t offsets[CLASS_FIELDS]; /* of their bytes in a box */
  size_t field_count, box_bytes;
  unsigned *variables; /* of the class, most significant first */
  unsigned bits;
  uint8_t *boxes; /* first and last corner of each */
  size_t count, capacity;
  uint32_t *slots; /* hash: number, 0 free */
  size_t slot_count;
  uint32_t *order; /* numbers, by the first corner in `pivot` */
  uint32_t *reach; /* of order[0..i]: the one that goes furthest */
  size_t pivot;
  bool broken; /* no memory: nothing is entered or matched any more */
};

struct classes {
  struct space *space;
  struct diagram_store *store;
  struct arena *arena;
  struct class_block *blocks;
  unsigned turn;
};

struct classes *classes_new(struct space *space, struct diagram_store *store, struct arena *arena) {
  struct classes *classes = ARENA_NEW(arena, struct classes);
  if (classes != NULL)
    *classes = (struct classes){.space = space, .store = store, .arena = arena};
  return classes;
}

void classes_begin(struct classes *classes) {
  classes->turn++;
}

/* ---- blocks ---- */

static size_t field_bytes(const struct class_field *field) {
  return (field->width + 7) / 8;
}

static bool same_fields(const struct class_block *block, const struct class_field *fields, size_t count) {
  if (block->field_count != count)
    return false;
  for (size_t i = 0; i < count; i++)
    if (block->fields[i].variable != fields[i].variable || block->fields[i].width != fields[i].width)
      return false;
  return true;
}

static bool make_variables(struct class_block *block, size_t numbers) {
  struct classes *classes = block->classes;
  while (block->bits < 31 && (size_t)1 << block->bits <= numbers)
    block->bits++;
  block->variables = ARENA_ARRAY(classes->arena, block->bits, unsigned);
  for (unsigned i = 0; block->variables != NULL && i < block->bits; i++) {
    block->variables[i] = space_class_variable(classes->space, block->owner == NULL);
    if (block->variables[i] >= DIAGRAM_VARIABLES)
      return false;
  }
  return block->variables != NULL;
}

static struct class_block *block_new(struct classes *classes, const void *owner, int protocol,
                                     const struct class_field *fields, size_t field_count, size_t expected) {
  struct class_block *block = ARENA_NEW(classes->arena, struct class_block);
  if (block == NULL || field_count > CLASS_FIELDS)
    return NULL;
  *block = (struct class_block){.classes = classes, .owner = owner, .protocol = protocol, .field_count = field_count};
  for (size_t i = 0; i < field_count; i++) {
    if (fields[i].width > FIELD_BYTES * 8 ||
        space_variables(classes->space, fields[i].variable, fields[i].width).width == 0)
      return NULL;
    block->fields[i] = fields[i];
    block->offsets[i] = block->box_bytes;
    block->box_bytes += field_bytes(&fields[i]);
  }
  if (!make_variables(block, 2 * expected + FIRST_ROOM))
    return NULL;
  block->next = classes->blocks;
  classes->blocks = block;
  return block;
}

struct class_block *classes_block(struct classes *classes, const void *owner, int protocol,
                                  const struct class_field *fields, size_t field_count, size_t expected) {
  struct class_block *block = classes->blocks;
  while (block != NULL &&
         !(block->owner == owner && block->protocol == protocol && same_fields(block, fields, field_count)))
    block = block->next;
  if (block == NULL)
    block = block_new(classes, owner, protocol, fields, field_count, expected);
  if (block != NULL)
    block->turn = classes->turn;
  return block;
}

size_t class_block_count(const struct class_block *block) {
  return block->count;
}

static const uint8_t *first_of(const struct class_block *block, uint32_t number) {
  return block->boxes + (size_t)(number - 1) * 2 * block->box_bytes;
}

static const uint8_t *last_of(const struct class_block *block, uint32_t number) {
  return first_of(block, number) + block->box_bytes;
}

struct diagram_box class_block_box(const struct class_block *block, uint32_t number) {
  return (struct diagram_box){first_of(block, number), last_of(block, number), 1};
}

static struct diagram_field drawn_field(const struct class_block *block, size_t at) {
  struct class_field field = block->fields[at];
  return space_variables(block->classes->space, field.variable, field.width);
}

size_t class_block_fields(const struct class_block *block, struct diagram_field ret_fields[static CLASS_FIELDS]) {
  for (size_t i = 0; i < block->field_count; i++)
    ret_fields[i] = drawn_field(block, i);
  return block->field_count;
}

/* ---- boxes ---- */

static uint64_t box_hash(const struct class_block *block, const uint8_t *first) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < 2 * block->box_bytes; i++)
    hash = (hash ^ first[i]) * 0x100000001b3u;
  return hash ^ hash >> 29;
}

/* The slot of the box, or the free one where it would stand. */
static uint32_t *slot_of(const struct class_block *block, const uint8_t *box) {
  size_t slot = (size_t)box_hash(block, box) & (block->slot_count - 1);
  while (block->slots[slot] != 0 && memcmp(first_of(block, block->slots[slot]), box, 2 * block->box_bytes) != 0)
    slot = (slot + 1) & (block->slot_count - 1);
  return &block->slots[slot];
}

static bool make_room(struct class_block *block, size_t more) {
  struct arena *arena = block->classes->arena;
  size_t wanted = block->count + more, slots = FIRST_ROOM;
  if (block->broken || wanted >= (size_t)1 << block->bits)
    return false;
  if (wanted > block->capacity) {
    size_t capacity = wanted > 2 * block->capacity ? wanted : 2 * block->capacity;
    uint8_t *boxes = arena_array(arena, capacity, 2 * block->box_bytes);
    if (boxes == NULL)
      return false;
    if (block->count > 0)
      memcpy(boxes, block->boxes, block->count * 2 * block->box_bytes);
    block->order = ARENA_ARRAY(arena, capacity, uint32_t);
    block->reach = ARENA_ARRAY(arena, capacity, uint32_t);
    if (block->order == NULL || block->reach == NULL) {
      block->broken = true;
      return false;
    }
    block->boxes = boxes;
    block->capacity = capacity;
  }
  while (slots < 2 * wanted)
    slots *= 2;
  if (slots <= block->slot_count)
    return true;
  block->slots = ARENA_ARRAY(arena, slots, uint32_t);
  block->slot_count = block->slots != NULL ? slots : 0;
  block->broken = block->slots == NULL;
  for (uint32_t number = 1; block->slots != NULL && number <= block->count; number++)
    *slot_of(block, first_of(block, number)) = number;
  return block->slots != NULL;
}

static bool overlap(const struct class_block *block, const uint8_t *first, const uint8_t *last, uint32_t number) {
  const uint8_t *other_first = first_of(block, number), *other_last = last_of(block, number);
  for (size_t i = 0; i < block->field_count; i++) {
    size_t at = block->offsets[i], bytes = field_bytes(&block->fields[i]);
    if (memcmp(first + at, other_last + at, bytes) > 0 || memcmp(other_first + at, last + at, bytes) > 0)
      return false;
  }
  return true;
}

/* ---- the order ---- */

struct sorting {
  const struct class_block *block;
  size_t offset, bytes;
};

static int by_first(const void *left, const void *right, void *context) {
  const struct sorting *sorting = context;
  uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
  int order = memcmp(first_of(sorting->block, a) + sorting->offset, first_of(sorting->block, b) + sorting->offset,
                     sorting->bytes);
  return order != 0 ? order : (a > b) - (a < b);
}

static struct sorting sorting_by(const struct class_block *block, size_t field) {
  return (struct sorting){block, block->offsets[field], field_bytes(&block->fields[field])};
}

static size_t sort_by(struct class_block *block, size_t field) {
  struct sorting sorting = sorting_by(block, field);
  size_t distinct = block->count > 0;
  qsort_r(block->order, block->count, sizeof(*block->order), by_first, &sorting);
  for (size_t i = 1; i < block->count; i++)
    distinct += memcmp(first_of(block, block->order[i - 1]) + sorting.offset,
                       first_of(block, block->order[i]) + sorting.offset, sorting.bytes) != 0;
  return distinct;
}

static void sort_boxes(struct class_block *block) {
  size_t most = 0, last = 0;
  for (uint32_t i = 0; i < block->count; i++)
    block->order[i] = i + 1;
  for (size_t field = 0; field < block->field_count; field++) {
    size_t distinct = sort_by(block, field);
    last = field;
    if (distinct > most) {
      most = distinct;
      block->pivot = field;
    }
  }
  if (last != block->pivot)
    sort_by(block, block->pivot);
  struct sorting sorting = sorting_by(block, block->pivot);
  for (size_t i = 0; i < block->count; i++) {
    uint32_t number = block->order[i], before = i > 0 ? block->reach[i - 1] : number;
    bool further =
        memcmp(last_of(block, number) + sorting.offset, last_of(block, before) + sorting.offset, sorting.bytes) > 0;
    block->reach[i] = further ? number : before;
  }
}

/* Where in the order those begin whose predecessors all end before `first`. */
static size_t search(const struct class_block *block, const uint8_t *first) {
  struct sorting sorting = sorting_by(block, block->pivot);
  size_t low = 0, high = block->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (memcmp(last_of(block, block->reach[middle]) + sorting.offset, first + sorting.offset, sorting.bytes) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static bool begins_behind(const struct class_block *block, uint32_t number, const uint8_t *last) {
  struct sorting sorting = sorting_by(block, block->pivot);
  return memcmp(first_of(block, number) + sorting.offset, last + sorting.offset, sorting.bytes) > 0;
}

/* ---- entering ---- */

static bool none_overlap(const struct class_block *block) {
  size_t work = block->count * WORK_FOR_EACH;
  for (size_t i = 0; i < block->count; i++) {
    uint32_t number = block->order[i];
    for (size_t k = i + 1; k < block->count && !begins_behind(block, block->order[k], last_of(block, number)); k++)
      if (work-- == 0 || overlap(block, first_of(block, number), last_of(block, number), block->order[k]))
        return false;
  }
  return true;
}

static void forget_from(struct class_block *block, size_t count) {
  block->count = count;
  memset(block->slots, 0, block->slot_count * sizeof(*block->slots));
  for (uint32_t number = 1; number <= count; number++)
    *slot_of(block, first_of(block, number)) = number;
}

bool class_block_enter(struct class_block *block, const struct diagram_box *boxes, size_t count,
                       uint32_t *ret_numbers) {
  size_t before = block->count;
  if (!make_room(block, count))
    return false;
  for (size_t i = 0; i < count; i++) {
    uint8_t *place = block->boxes + block->count * 2 * block->box_bytes;
    memcpy(place, boxes[i].first, block->box_bytes);
    memcpy(place + block->box_bytes, boxes[i].last, block->box_bytes);
    uint32_t *slot = slot_of(block, place);
    if (*slot == 0)
      *slot = (uint32_t)++block->count;
    ret_numbers[i] = *slot;
  }
  sort_boxes(block); /* also when all were known: the order may have moved to a larger place */
  if (block->count == before || none_overlap(block))
    return true;
  forget_from(block, before);
  sort_boxes(block);
  return false;
}

/* ---- drawing ---- */

static diagram draw(const struct class_block *block, unsigned level, uint32_t from, const uint32_t *leaves,
                    size_t count) {
  struct diagram_store *store = block->classes->store;
  if (from >= count)
    return diagram_leaf(store, leaves[0]);
  if (level == block->bits)
    return diagram_leaf(store, leaves[from]);
  uint32_t half = UINT32_C(1) << (block->bits - level - 1);
  diagram low = draw(block, level + 1, from, leaves, count);
  diagram high = draw(block, level + 1, from + half, leaves, count);
  return diagram_node(store, block->variables[level], low, high);
}

diagram class_block_draw(const struct class_block *block, const uint32_t *leaves, size_t count) {
  return draw(block, 0, 0, leaves, count);
}

/* ---- counting points ---- */

struct points {
  uint64_t limbs[LIMBS]; /* least first */
};

static void points_add(struct points *points, const struct points *more) {
  wide carry = 0;
  for (unsigned i = 0; i < LIMBS; i++) {
    carry += (wide)points->limbs[i] + more->limbs[i];
    points->limbs[i] = (uint64_t)carry;
    carry >>= 64;
  }
}

/* factor: of three limbs. */
static void points_multiply(struct points *points, const uint64_t factor[static 3]) {
  struct points product = {{0}};
  for (unsigned i = 0; i < 3; i++) {
    wide carry = 0;
    for (unsigned k = 0; i + k < LIMBS; k++) {
      carry += (wide)points->limbs[k] * factor[i] + product.limbs[i + k];
      product.limbs[i + k] = (uint64_t)carry;
      carry >>= 64;
    }
  }
  *points = product;
}

static wide number_of(const uint8_t *bytes, size_t count) {
  wide number = 0;
  for (size_t i = 0; i < count; i++)
    number = number << 8 | bytes[i];
  return number;
}

/* How many points the two boxes share; first and last may be the same as the other's. */
static struct points shared_points(const struct class_block *block, const struct diagram_box *left,
                                   const struct diagram_box *right) {
  struct points points = {{1}};
  for (size_t i = 0; i < block->field_count; i++) {
    size_t at = block->offsets[i], bytes = field_bytes(&block->fields[i]);
    const uint8_t *first = memcmp(left->first + at, right->first + at, bytes) > 0 ? left->first : right->first;
    const uint8_t *last = memcmp(left->last + at, right->last + at, bytes) < 0 ? left->last : right->last;
    if (memcmp(first + at, last + at, bytes) > 0)
      return (struct points){{0}};
    wide less = number_of(last + at, bytes) - number_of(first + at, bytes), more = less + 1;
    uint64_t factor[3] = {(uint64_t)more, (uint64_t)(more >> 64), more == 0};
    points_multiply(&points, factor);
  }
  return points;
}

/* ---- matching ---- */

bool class_block_has(const struct class_block *block, const struct diagram_field *field, size_t *ret_offset) {
  for (size_t i = 0; i < block->field_count; i++)
    if (field->width == block->fields[i].width && field->variables[0] == block->fields[i].variable) {
      *ret_offset = block->offsets[i];
      return true;
    }
  return false;
}

/* The box by the block's fields; false when it has one that is not among those given. */
static bool project(const struct class_block *block, const struct diagram_field *fields, size_t field_count,
                    const struct diagram_box *box, uint8_t *first, uint8_t *last) {
  size_t found = 0, offset = 0, place;
  for (size_t i = 0; i < field_count; i++) {
    size_t bytes = (fields[i].width + 7) / 8;
    if (class_block_has(block, &fields[i], &place)) {
      memcpy(first + place, box->first + offset, bytes);
      memcpy(last + place, box->last + offset, bytes);
      found++;
    }
    offset += bytes;
  }
  return found == block->field_count;
}

static bool lies_within(const struct class_block *block, uint32_t number, const struct diagram_box *box) {
  for (size_t i = 0; i < block->field_count; i++) {
    size_t at = block->offsets[i], bytes = field_bytes(&block->fields[i]);
    if (memcmp(first_of(block, number) + at, box->first + at, bytes) < 0 ||
        memcmp(last_of(block, number) + at, box->last + at, bytes) > 0)
      return false;
  }
  return true;
}

static bool block_match(struct class_block *block, const struct diagram_box *box, struct arena *scratch,
                        struct class_match *ret_match) {
  struct points covered = {{0}}, wanted = shared_points(block, box, box);
  uint32_t *inside = NULL, *across = NULL;
  size_t inside_count = 0, across_count = 0, inside_room = 0, across_room = 0;
  for (size_t i = search(block, box->first); i < block->count; i++) {
    uint32_t number = block->order[i];
    struct diagram_box other = class_block_box(block, number);
    if (begins_behind(block, number, box->last))
      break;
    if (!overlap(block, box->first, box->last, number))
      continue;
    bool whole = lies_within(block, number, box);
    size_t *count = whole ? &inside_count : &across_count;
    if (arena_grow(scratch, (void **)(whole ? &inside : &across), *count, whole ? &inside_room : &across_room,
                   sizeof(number)) < 0)
      return false;
    (whole ? inside : across)[(*count)++] = number;
    struct points points = shared_points(block, box, &other);
    points_add(&covered, &points);
  }
  *ret_match = (struct class_match){block, inside, across, inside_count, across_count};
  return memcmp(&covered, &wanted, sizeof(covered)) == 0;
}

static bool blocks_match(struct classes *classes, int protocol, const struct diagram_field *fields, size_t field_count,
                         const struct diagram_box *box, struct arena *scratch, struct class_match *ret_match) {
  for (struct class_block *block = classes->blocks; block != NULL; block = block->next) {
    uint8_t first[CLASS_FIELDS * FIELD_BYTES] = {0}, last[CLASS_FIELDS * FIELD_BYTES] = {0};
    struct diagram_box projected = {first, last, 1};
    if (block->owner != NULL && !block->broken && block->turn == classes->turn && block->protocol == protocol &&
        project(block, fields, field_count, box, first, last) && block_match(block, &projected, scratch, ret_match))
      return true;
  }
  return false;
}

/* Boxes of several protocols may be the same by accident: those that were looked up for this one are meant. */
bool classes_match(struct classes *classes, int protocol, const struct diagram_field *fields, size_t field_count,
                   const struct diagram_box *box, struct arena *scratch, struct class_match *ret_match) {
  return blocks_match(classes, protocol, fields, field_count, box, scratch, ret_match) ||
         blocks_match(classes, CLASS_ANY_PROTOCOL, fields, field_count, box, scratch, ret_match);
}

/* ---- of one field ---- */

static bool has_only(const struct class_block *block, const struct diagram_field *field) {
  unsigned first = field->variables[0], last = field->variables[field->width - 1];
  for (size_t i = 0; i < block->field_count; i++)
    if (block->fields[i].variable < first || block->fields[i].variable + block->fields[i].width - 1 > last)
      return false;
  return block->owner == NULL;
}

/* False: the box is more than a point. */
static bool spread(const struct class_block *block, uint32_t number, unsigned first_variable, uint8_t *bits) {
  const uint8_t *first = first_of(block, number);
  if (memcmp(first, last_of(block, number), block->box_bytes) != 0)
    return false;
  for (size_t i = 0; i < block->field_count; i++) {
    size_t end = 8 * (block->offsets[i] + field_bytes(&block->fields[i]));
    for (unsigned k = 0; k < block->fields[i].width; k++) {
      size_t at = end - block->fields[i].width + k;
      bits[block->fields[i].variable - first_variable + k] = (first[at / 8] >> (7 - at % 8)) & 1;
    }
  }
  return true;
}

diagram classes_within(struct classes *classes, const struct diagram_field *field, classes_within_function function,
                       void *context) {
  diagram set = DIAGRAM_FALSE;
  for (const struct class_block *block = classes->blocks; block != NULL; block = block->next) {
    if (!has_only(block, field))
      continue;
    uint32_t *leaves = calloc(block->count + 1, sizeof(*leaves));
    if (leaves == NULL)
      return DIAGRAM_NONE;
    for (uint32_t number = 1; number <= block->count; number++) {
      uint8_t bits[FIELD_BYTES * 8];
      memset(bits, CLASS_BIT_FREE, sizeof(bits));
      leaves[number] = spread(block, number, field->variables[0], bits) && function(context, bits);
    }
    set = diagram_or(classes->store, set, class_block_draw(block, leaves, block->count + 1));
    free(leaves);
  }
  return set;
}
