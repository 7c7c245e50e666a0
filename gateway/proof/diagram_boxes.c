/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * The boxes are sorted field by field, so that those with the same range in the first field stand together, among them
 * those with the same range in the second, and so on. Of each such class what the later fields say is drawn once. The
 * ranges of a field with what lies behind them ("pieces") are then divided along the bits of the field. A piece that
 * covers all that is left of the field divides no more: it is merged into what holds everywhere here, once for all
 * below. Thus boxes that do not overlap are drawn without a single node too many, and those that do meet in as few
 * merges as the field has places where their company changes.
 *
 * All this merges in no certain order. For "the earlier box wins" it is tried under the hope that no two boxes with
 * different values overlap; where they do, it is drawn once more with the ranks of the boxes for leaves, the lowest
 * wins, and each rank is replaced by its value at the end. Boxes in a row with one value have one rank.
 */
#include <stdlib.h>
#include <string.h>

#include "proof/diagram_parts.h"

enum { NUMBER_BITS = 128, FIRST_PIECES = 64 };

/* ---- numbers ---- */

struct diagram_number diagram_read_number(const struct diagram_field *field, const uint8_t *bytes) {
  struct diagram_number number = {0, 0};
  unsigned length = (field->width + 7) / 8, shift = NUMBER_BITS - field->width;
  for (unsigned i = 0; i < length; i++)
    number = (struct diagram_number){number.high << 8 | number.low >> 56, number.low << 8 | bytes[i]};
  if (shift >= 64)
    return (struct diagram_number){shift == NUMBER_BITS ? 0 : number.low << (shift - 64), 0};
  if (shift == 0)
    return number;
  return (struct diagram_number){number.high << shift | number.low >> (64 - shift), number.low << shift};
}

bool diagram_number_bit(struct diagram_number number, unsigned bit) {
  return ((bit < 64 ? number.high >> (63 - bit) : number.low >> (127 - bit)) & 1) != 0;
}

struct diagram_number diagram_number_with(struct diagram_number number, unsigned bit, bool value) {
  uint64_t *word = bit < 64 ? &number.high : &number.low, mask = (uint64_t)1 << (63 - bit % 64);
  *word = value ? *word | mask : *word & ~mask;
  return number;
}

/* All bits from `bit` on. */
static struct diagram_number ones_from(unsigned bit) {
  if (bit >= 64)
    return (struct diagram_number){0, bit >= NUMBER_BITS ? 0 : UINT64_MAX >> (bit - 64)};
  return (struct diagram_number){UINT64_MAX >> bit, UINT64_MAX};
}

static struct diagram_number number_or(struct diagram_number left, struct diagram_number right) {
  return (struct diagram_number){left.high | right.high, left.low | right.low};
}

static struct diagram_number number_without(struct diagram_number left, struct diagram_number right) {
  return (struct diagram_number){left.high & ~right.high, left.low & ~right.low};
}

static bool has_any(struct diagram_number number, struct diagram_number of) {
  return ((number.high & of.high) | (number.low & of.low)) != 0;
}

static bool has_all(struct diagram_number number, struct diagram_number of) {
  return (number.high & of.high) == of.high && (number.low & of.low) == of.low;
}

static bool number_less(struct diagram_number left, struct diagram_number right) {
  return left.high != right.high ? left.high < right.high : left.low < right.low;
}

/* Of the bits from `from` on, the first in which they differ; NUMBER_BITS: none. */
static unsigned first_difference(struct diagram_number left, struct diagram_number right, unsigned from) {
  struct diagram_number rest = ones_from(from);
  uint64_t high = (left.high ^ right.high) & rest.high, low = (left.low ^ right.low) & rest.low;
  if (high != 0)
    return (unsigned)__builtin_clzll(high);
  return low != 0 ? 64 + (unsigned)__builtin_clzll(low) : NUMBER_BITS;
}

/* ---- one range ---- */

static diagram make_bit(struct diagram_store *store, const struct diagram_field *field, unsigned bit, bool value,
                        diagram same, diagram other) {
  return value ? diagram_make(store, field->variables[bit], other, same)
               : diagram_make(store, field->variables[bit], same, other);
}

/* The bits from `from` on are `bound`, or lie on the side of it where a bit is `side` instead. */
static diagram make_half(struct diagram_store *store, const struct diagram_field *field, unsigned from,
                         struct diagram_number bound, bool side, diagram inside, diagram outside) {
  diagram result = inside;
  for (unsigned bit = field->width; bit-- > from;) {
    bool value = diagram_number_bit(bound, bit);
    result = make_bit(store, field, bit, value, result, value == side ? outside : inside);
  }
  return result;
}

diagram diagram_make_range(struct diagram_store *store, const struct diagram_field *field, unsigned from,
                           struct diagram_number first, struct diagram_number last, diagram inside, diagram outside) {
  unsigned parting = first_difference(first, last, from);
  diagram result = inside;
  if (parting < field->width)
    result = diagram_make(store, field->variables[parting],
                          make_half(store, field, parting + 1, first, true, inside, outside),
                          make_half(store, field, parting + 1, last, false, inside, outside));
  else
    parting = field->width;
  for (unsigned bit = parting; bit-- > from;)
    result = make_bit(store, field, bit, diagram_number_bit(first, bit), result, outside);
  return result;
}

/* ---- drawing a list of boxes ---- */

/* A range of one field with what the later fields say in it. `last` is filled up with ones. */
struct piece {
  struct diagram_number first, last;
  diagram inside;
};

/* A box in sorted order. Its key: first and last of each field in turn. */
struct place {
  uint64_t start; /* the first eight bytes of the key, as a number */
  uint32_t box;
};

struct drawing {
  struct diagram_store *store;
  const struct diagram_field *fields;
  size_t field_count;
  const struct diagram_box *boxes;
  size_t box_count;
  const uint32_t *leaves; /* of each box, instead of its value; or NULL */
  uint32_t tag;
  diagram_combine_function overlap;
  void *context;
  bool idempotent; /* what overlaps itself stays as it is */
  bool *conflict;  /* or NULL: drawing goes on in any case */
  uint8_t *keys;
  size_t key_length;
  struct place *places;
  size_t place_count;
  struct piece *pieces; /* a stack: those of the fields that are being drawn, and halves that wait for their turn */
  size_t piece_count, piece_room;
};

static bool given_up(const struct drawing *drawing) {
  return drawing->store->failed || (drawing->conflict != NULL && *drawing->conflict);
}

static diagram merge(struct drawing *drawing, diagram left, diagram right) {
  if (left == right && drawing->idempotent)
    return left;
  return diagram_merge(drawing->store, drawing->tag, drawing->overlap, drawing->context, drawing->idempotent, left,
                       right);
}

static bool push(struct drawing *drawing, const struct piece *piece) {
  if (drawing->piece_count == drawing->piece_room) {
    size_t room = drawing->piece_room == 0 ? FIRST_PIECES : drawing->piece_room * 2;
    struct piece *pieces = realloc(drawing->pieces, room * sizeof *pieces);
    if (pieces == NULL) {
      diagram_fail(drawing->store);
      return false;
    }
    drawing->pieces = pieces;
    drawing->piece_room = room;
  }
  drawing->pieces[drawing->piece_count++] = *piece;
  return true;
}

/* Takes those out that cover all that the bits from `bit` on can say; returns them merged into `here`. */
static diagram absorb(struct drawing *drawing, unsigned bit, size_t at, size_t *count, diagram here) {
  struct diagram_number rest = ones_from(bit);
  struct piece *pieces = drawing->pieces + at;
  for (size_t i = 0; i < *count;) {
    if (!has_any(pieces[i].first, rest) && has_all(pieces[i].last, rest)) {
      here = merge(drawing, here, pieces[i].inside);
      pieces[i] = pieces[--*count];
    } else {
      i++;
    }
  }
  return here;
}

/* The first bit, from `bit` on, in which not all bounds of the pieces agree. */
static unsigned parting_bit(const struct piece *pieces, size_t count, unsigned bit) {
  unsigned parting = NUMBER_BITS;
  for (size_t i = 0; i < count; i++) {
    unsigned first = first_difference(pieces[0].first, pieces[i].first, bit);
    unsigned last = first_difference(pieces[0].first, pieces[i].last, bit);
    first = first < last ? first : last;
    parting = parting < first ? parting : first;
  }
  return parting;
}

static void swap(struct piece *left, struct piece *right) {
  struct piece kept = *left;
  *left = *right;
  *right = kept;
}

/* Orders them: those where the bit is 0, those that reach from 0 to 1, those where it is 1. */
static void partition(struct piece *pieces, size_t count, unsigned bit, size_t *ret_low, size_t *ret_both) {
  size_t low = 0, i = 0, high = count;
  while (i < high) {
    if (diagram_number_bit(pieces[i].first, bit))
      swap(&pieces[i], &pieces[--high]);
    else if (!diagram_number_bit(pieces[i].last, bit))
      swap(&pieces[i++], &pieces[low++]);
    else
      i++;
  }
  *ret_low = low;
  *ret_both = high - low;
}

static diagram divide(struct drawing *drawing, const struct diagram_field *field, unsigned bit, size_t at, size_t count,
                      diagram here);

/* Both halves at a bit where the pieces part. What reaches over the middle is cut in two; its upper half waits on top
 * of the stack while the lower is drawn. */
static diagram divide_at(struct drawing *drawing, const struct diagram_field *field, unsigned bit, size_t at,
                         size_t count, diagram here) {
  size_t low_count, both, waiting = drawing->piece_count;
  struct diagram_number rest = ones_from(bit + 1);
  partition(drawing->pieces + at, count, bit, &low_count, &both);
  for (size_t i = at + low_count; i < at + low_count + both; i++) {
    struct piece kept = drawing->pieces[i];
    if (!push(drawing, &kept))
      return DIAGRAM_NONE;
    drawing->pieces[i].last = number_or(diagram_number_with(drawing->pieces[i].last, bit, false), rest);
  }
  diagram low = divide(drawing, field, bit + 1, at, low_count + both, here);
  drawing->piece_count = waiting;
  for (size_t i = 0; i < both; i++) {
    struct piece *piece = &drawing->pieces[at + low_count + i];
    *piece = drawing->pieces[waiting + i];
    piece->first = number_without(diagram_number_with(piece->first, bit, true), rest);
  }
  diagram high = divide(drawing, field, bit + 1, at + low_count, count - low_count, here);
  return diagram_make(drawing->store, field->variables[bit], low, high);
}

/* The pieces, which agree in the bits before `bit`, over `here`, which holds where none of them is. */
static diagram divide(struct drawing *drawing, const struct diagram_field *field, unsigned bit, size_t at, size_t count,
                      diagram here) {
  here = absorb(drawing, bit, at, &count, here);
  if (count == 0 || given_up(drawing))
    return here;
  struct piece one = drawing->pieces[at];
  if (count == 1)
    return diagram_make_range(drawing->store, field, bit, one.first, one.last, merge(drawing, here, one.inside), here);
  unsigned parting = parting_bit(drawing->pieces + at, count, bit);
  diagram result;
  if (parting < field->width)
    result = divide_at(drawing, field, parting, at, count, here);
  else
    result = divide(drawing, field, parting = field->width, at, count, here);
  while (parting-- > bit)
    result = make_bit(drawing->store, field, parting, diagram_number_bit(one.first, parting), result, here);
  return result;
}

static size_t field_length(const struct diagram_field *field) {
  return (field->width + 7) / 8;
}

static const uint8_t *key_of(const struct drawing *drawing, size_t place) {
  return drawing->keys + drawing->places[place].box * drawing->key_length;
}

static struct piece read_piece(const struct drawing *drawing, size_t field, size_t place, size_t offset) {
  const struct diagram_field *one = &drawing->fields[field];
  const uint8_t *key = key_of(drawing, place) + offset;
  return (struct piece){.first = diagram_read_number(one, key),
                        .last = number_or(diagram_read_number(one, key + field_length(one)), ones_from(one->width))};
}

static uint32_t leaf_value(const struct drawing *drawing, size_t place) {
  uint32_t box = drawing->places[place].box;
  return drawing->leaves != NULL ? drawing->leaves[box] : drawing->boxes[box].value;
}

/* All boxes at these places are the same. */
static diagram draw_leaf(struct drawing *drawing, size_t from, size_t to) {
  uint32_t value = leaf_value(drawing, from);
  for (size_t i = from + 1; i < to; i++)
    value = drawing->overlap(drawing->context, value, leaf_value(drawing, i));
  return diagram_leaf(drawing->store, value);
}

/* One box from this field on; offset: where the field begins in the key. */
static diagram draw_one(struct drawing *drawing, size_t field, size_t offset, size_t place) {
  diagram result = draw_leaf(drawing, place, place + 1);
  size_t end = drawing->key_length;
  for (size_t i = drawing->field_count; i-- > field && end > offset;) {
    end -= 2 * field_length(&drawing->fields[i]);
    struct piece piece = read_piece(drawing, i, place, end);
    result = diagram_make_range(drawing->store, &drawing->fields[i], 0, piece.first, piece.last, result, DIAGRAM_FALSE);
  }
  return result;
}

/* Where those end that have the same range in this field as the one at `from`. */
static size_t class_end(const struct drawing *drawing, size_t offset, size_t length, size_t from, size_t to) {
  const uint8_t *key = key_of(drawing, from) + offset;
  size_t end = from + 1;
  while (end < to && memcmp(key, key_of(drawing, end) + offset, length) == 0)
    end++;
  return end;
}

/* The boxes at these places, which are the same in all fields before. */
static diagram draw(struct drawing *drawing, size_t field, size_t offset, size_t from, size_t to) {
  if (given_up(drawing))
    return DIAGRAM_FALSE;
  if (field == drawing->field_count)
    return draw_leaf(drawing, from, to);
  if (to - from == 1)
    return draw_one(drawing, field, offset, from);
  size_t base = drawing->piece_count, length = 2 * field_length(&drawing->fields[field]);
  for (size_t next; from < to; from = next) {
    next = class_end(drawing, offset, length, from, to);
    struct piece piece = read_piece(drawing, field, from, offset);
    piece.inside = draw(drawing, field + 1, offset + length, from, next);
    if (!push(drawing, &piece))
      return DIAGRAM_NONE;
  }
  diagram result = divide(drawing, &drawing->fields[field], 0, base, drawing->piece_count - base, DIAGRAM_FALSE);
  drawing->piece_count = base;
  return result;
}

/* ---- sorting ---- */

static int compare_places(const void *left, const void *right, void *context) {
  const struct place *l = left, *r = right;
  const struct drawing *drawing = context;
  if (l->start != r->start)
    return l->start < r->start ? -1 : 1;
  return memcmp(drawing->keys + l->box * drawing->key_length, drawing->keys + r->box * drawing->key_length,
                drawing->key_length);
}

/* false: the box is empty. */
static bool write_key(const struct drawing *drawing, const struct diagram_box *box, uint8_t *key) {
  size_t from = 0, to = 0;
  for (size_t i = 0; i < drawing->field_count; i++) {
    size_t length = field_length(&drawing->fields[i]);
    if (memcmp(box->first + from, box->last + from, length) > 0)
      return false;
    memcpy(key + to, box->first + from, length);
    memcpy(key + to + length, box->last + from, length);
    from += length;
    to += 2 * length;
  }
  return box->value != 0;
}

static uint64_t key_start(const uint8_t *key, size_t length) {
  uint64_t start = 0;
  for (size_t i = 0; i < 8; i++)
    start = start << 8 | (i < length ? key[i] : 0);
  return start;
}

static bool sort(struct drawing *drawing) {
  drawing->key_length = drawing->place_count = 0;
  for (size_t i = 0; i < drawing->field_count; i++)
    drawing->key_length += 2 * field_length(&drawing->fields[i]);
  drawing->keys = malloc(drawing->box_count * drawing->key_length + 1);
  drawing->places = malloc(drawing->box_count * sizeof *drawing->places);
  if (drawing->keys == NULL || drawing->places == NULL)
    return false;
  for (size_t i = 0; i < drawing->box_count; i++) {
    uint8_t *key = drawing->keys + i * drawing->key_length;
    if (write_key(drawing, &drawing->boxes[i], key))
      drawing->places[drawing->place_count++] = (struct place){key_start(key, drawing->key_length), (uint32_t)i};
  }
  qsort_r(drawing->places, drawing->place_count, sizeof *drawing->places, compare_places, drawing);
  return true;
}

static diagram draw_all(struct drawing *drawing) {
  diagram result = DIAGRAM_FALSE;
  drawing->piece_count = drawing->piece_room = 0;
  drawing->pieces = NULL;
  if (!sort(drawing))
    result = diagram_fail(drawing->store);
  else if (drawing->place_count > 0)
    result = draw(drawing, 0, 0, 0, drawing->place_count);
  free(drawing->keys);
  free(drawing->places);
  free(drawing->pieces);
  return result;
}

/* ---- the earlier box wins ---- */

static uint32_t same_value(void *context, uint32_t left, uint32_t right) {
  if (left != right)
    *(bool *)context = true;
  return left;
}

static uint32_t lower_rank(void *context, uint32_t left, uint32_t right) {
  (void)context;
  return left < right ? left : right;
}

static uint32_t value_of_rank(void *context, uint32_t rank) {
  const uint32_t *values = context;
  return values[rank];
}

/* Both have room for all boxes; rank 0 is for what is in no box. */
static void rank(const struct diagram_box *boxes, size_t box_count, uint32_t *ranks, uint32_t *values) {
  uint32_t last = 0;
  values[0] = 0;
  for (size_t i = 0; i < box_count; i++) {
    if (boxes[i].value != values[last] || last == 0)
      values[++last] = boxes[i].value;
    ranks[i] = last;
  }
}

static diagram draw_ranked(struct drawing *drawing) {
  struct diagram_store *store = drawing->store;
  uint32_t *ranks = malloc(drawing->box_count * sizeof *ranks);
  uint32_t *values = malloc((drawing->box_count + 1) * sizeof *values);
  diagram result;
  if (ranks != NULL && values != NULL) {
    unsigned operation = diagram_operation(store);
    rank(drawing->boxes, drawing->box_count, ranks, values);
    drawing->leaves = ranks;
    drawing->tag = diagram_tag(TAG_BOXES, operation);
    drawing->overlap = lower_rank;
    drawing->conflict = NULL;
    result = diagram_map(store, operation, value_of_rank, values, draw_all(drawing));
  } else {
    result = diagram_fail(store);
  }
  free(ranks);
  free(values);
  return result;
}

static diagram draw_earliest(struct drawing *drawing) {
  bool conflict = false;
  drawing->tag = diagram_tag(TAG_BOXES, diagram_operation(drawing->store)); /* an old answer tells of no conflict */
  drawing->overlap = same_value;
  drawing->context = drawing->conflict = &conflict;
  drawing->idempotent = true;
  diagram result = draw_all(drawing);
  drawing->context = drawing->conflict = NULL;
  return conflict && !drawing->store->failed ? draw_ranked(drawing) : result;
}

/* ---- lists ---- */

bool diagram_fields_grow(const struct diagram_field *fields, size_t field_count) {
  unsigned least = 0;
  for (size_t i = 0; i < field_count; i++) {
    if (fields[i].width > NUMBER_BITS)
      return false;
    for (unsigned bit = 0; bit < fields[i].width; bit++) {
      if (fields[i].variables[bit] < least || fields[i].variables[bit] >= DIAGRAM_VARIABLES)
        return false;
      least = fields[i].variables[bit] + 1;
    }
  }
  return true;
}

diagram diagram_range(struct diagram_store *store, const struct diagram_field *field, const uint8_t *first,
                      const uint8_t *last) {
  if (store->failed)
    return DIAGRAM_NONE;
  if (!diagram_fields_grow(field, 1))
    return diagram_fail(store);
  struct diagram_number low = diagram_read_number(field, first), high = diagram_read_number(field, last);
  if (number_less(high, low))
    return DIAGRAM_FALSE;
  return diagram_make_range(store, field, 0, low, high, DIAGRAM_TRUE, DIAGRAM_FALSE);
}

diagram diagram_boxes(struct diagram_store *store, const struct diagram_field *fields, size_t field_count,
                      const struct diagram_box *boxes, size_t box_count, unsigned operation,
                      diagram_combine_function overlap, void *context) {
  if (store->failed)
    return DIAGRAM_NONE;
  if (box_count == 0)
    return DIAGRAM_FALSE;
  if (!diagram_fields_grow(fields, field_count) || box_count >= UINT32_MAX)
    return diagram_fail(store);
  struct drawing drawing = {.store = store,
                            .fields = fields,
                            .field_count = field_count,
                            .boxes = boxes,
                            .box_count = box_count,
                            .tag = diagram_tag(TAG_BOXES, operation),
                            .overlap = overlap,
                            .context = context};
  return overlap != NULL ? draw_all(&drawing) : draw_earliest(&drawing);
}
