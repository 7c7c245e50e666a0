/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.
 *
 * One point of what is not covered yet grows into a box, one field at a time: the values of the field with which all of
 * the box so far stays in the set are a set over this field alone, and the longest unbroken stretch of them around the
 * point becomes the box's range. When each field had its turn the box is maximal. The order of the turns decides which
 * maximal box it becomes; two orders are tried, and the box that covers more of what is left is told. It may overlap
 * boxes that were told before: that makes them fewer and their bounds those that people wrote.
 */
#include <stdlib.h>
#include <string.h>

#include "proof/diagram_parts.h"

struct range {
  struct diagram_number first, last;
};

struct cover {
  struct diagram_store *store;
  const struct diagram_field *fields;
  size_t field_count;
  diagram set, left;   /* all of it; what no box covers yet */
  struct range *boxes; /* two of field_count ranges each: what is tried */
  uint8_t *bits;       /* one point, by variable */
  unsigned variable_count;
  size_t growing; /* the field whose turn it is */
};

/* ---- a stretch of one field ---- */

static bool is_true(diagram node) {
  return node == DIAGRAM_TRUE;
}

/* The least (or greatest) value, its bits before `bit` given, that is not in the set; the set is not full. */
static struct diagram_number extreme_outside(const struct cover *cover, const struct diagram_field *field, diagram node,
                                             unsigned bit, struct diagram_number value, bool greatest) {
  for (; bit < field->width; bit++) {
    const struct diagram_entry *entry = &cover->store->nodes[node];
    bool chosen = greatest;
    if (entry->variable == field->variables[bit]) {
      if (is_true(chosen ? entry->high : entry->low))
        chosen = !chosen;
      node = chosen ? entry->high : entry->low;
    }
    value = diagram_number_with(value, bit, chosen);
  }
  return value;
}

/*
 * The value outside of the set that is nearest to a point in it, above or below; false: there is none. Along the
 * point's path, the deepest branch to that side that is not full holds it.
 */
static bool nearest_outside(const struct cover *cover, const struct diagram_field *field, diagram set,
                            struct diagram_number point, bool above, struct diagram_number *ret_value) {
  diagram node = set, branch = DIAGRAM_TRUE;
  unsigned branch_bit = 0;
  for (unsigned bit = 0; bit < field->width; bit++) {
    const struct diagram_entry *entry = &cover->store->nodes[node];
    bool one = diagram_number_bit(point, bit), asks = entry->variable == field->variables[bit];
    diagram other = !asks ? node : one ? entry->low : entry->high;
    if (one != above && !is_true(other)) {
      branch = other;
      branch_bit = bit;
    }
    if (asks)
      node = one ? entry->high : entry->low;
  }
  if (is_true(branch))
    return false;
  struct diagram_number start = diagram_number_with(point, branch_bit, above);
  *ret_value = extreme_outside(cover, field, branch, branch_bit + 1, start, !above);
  return true;
}

static struct diagram_number step(const struct diagram_field *field, struct diagram_number number, bool up) {
  struct diagram_number result = number;
  for (unsigned bit = field->width; bit-- > 0;) {
    bool one = diagram_number_bit(number, bit);
    result = diagram_number_with(result, bit, !one);
    if (one != up)
      break;
  }
  return result;
}

static struct diagram_number end_of(const struct diagram_field *field, bool up) {
  struct diagram_number number = {0, 0};
  for (unsigned bit = 0; up && bit < field->width; bit++)
    number = diagram_number_with(number, bit, true);
  return number;
}

static struct range stretch(const struct cover *cover, const struct diagram_field *field, diagram values,
                            struct diagram_number point) {
  struct range range = {end_of(field, false), end_of(field, true)};
  struct diagram_number outside;
  if (nearest_outside(cover, field, values, point, false, &outside))
    range.first = step(field, outside, true);
  if (nearest_outside(cover, field, values, point, true, &outside))
    range.last = step(field, outside, false);
  return range;
}

/* ---- a box ---- */

static diagram box_set(const struct cover *cover, const struct range *box, size_t but) {
  diagram result = DIAGRAM_TRUE;
  for (size_t i = cover->field_count; i-- > 0;)
    if (i != but)
      result = diagram_make_range(cover->store, &cover->fields[i], 0, box[i].first, box[i].last, result, DIAGRAM_FALSE);
  return result;
}

static bool is_of_another_field(void *context, unsigned variable) {
  const struct cover *cover = context;
  const struct diagram_field *field = &cover->fields[cover->growing];
  for (unsigned bit = 0; bit < field->width; bit++)
    if (field->variables[bit] == variable)
      return false;
  return true;
}

/* The values of one field with which all of the box is in the set. */
static diagram values_inside(struct cover *cover, const struct range *box, size_t field) {
  struct diagram_store *store = cover->store;
  cover->growing = field;
  diagram outside = diagram_difference(store, box_set(cover, box, field), cover->set);
  return diagram_not(store, diagram_exists(store, outside, is_of_another_field, cover));
}

static bool grow_box(struct cover *cover, struct range *box, bool backwards) {
  for (size_t i = 0; i < cover->field_count; i++) {
    size_t field = backwards ? cover->field_count - 1 - i : i;
    diagram values = values_inside(cover, box, field);
    if (values == DIAGRAM_NONE)
      return false;
    box[field] = stretch(cover, &cover->fields[field], values, box[field].first);
  }
  return true;
}

static void start_box(const struct cover *cover, struct range *box) {
  for (size_t i = 0; i < cover->field_count; i++) {
    struct diagram_number number = {0, 0};
    for (unsigned bit = 0; bit < cover->fields[i].width; bit++)
      number = diagram_number_with(number, bit, cover->bits[cover->fields[i].variables[bit]] != 0);
    box[i] = (struct range){number, number};
  }
}

/* The better one of two boxes around a point that is left, and what is left without it. NULL: the store is spent. */
static const struct range *next_box(struct cover *cover, diagram *ret_left) {
  const struct range *best = NULL;
  double least = 0;
  for (unsigned i = 0; i < 2; i++) {
    struct range *box = cover->boxes + i * cover->field_count;
    start_box(cover, box);
    if (!grow_box(cover, box, i == 0))
      return NULL;
    if (i == 1 && memcmp(box, cover->boxes, cover->field_count * sizeof *box) == 0)
      break;
    diagram left = diagram_difference(cover->store, cover->left, box_set(cover, box, SIZE_MAX));
    double size = diagram_count(cover->store, left, 0);
    if (left == DIAGRAM_NONE)
      return NULL;
    if (best == NULL || size < least) {
      best = box;
      least = size;
      *ret_left = left;
    }
  }
  return best;
}

/* ---- all of them ---- */

static void write_number(const struct diagram_field *field, struct diagram_number number, uint8_t *bytes) {
  size_t length = (field->width + 7) / 8, before = 8 * length - field->width;
  memset(bytes, 0, length);
  for (unsigned bit = 0; bit < field->width; bit++)
    if (diagram_number_bit(number, bit))
      bytes[(before + bit) / 8] |= (uint8_t)(0x80 >> (before + bit) % 8);
}

static void write_box(const struct cover *cover, const struct range *box, uint8_t *first, uint8_t *last) {
  for (size_t i = 0, at = 0; i < cover->field_count; i++) {
    write_number(&cover->fields[i], box[i].first, first + at);
    write_number(&cover->fields[i], box[i].last, last + at);
    at += (cover->fields[i].width + 7) / 8;
  }
}

static size_t bytes_of_box(const struct diagram_field *fields, size_t field_count) {
  size_t length = 0;
  for (size_t i = 0; i < field_count; i++)
    length += (fields[i].width + 7) / 8;
  return length;
}

static size_t tell_boxes(struct cover *cover, size_t limit, diagram_box_function function, void *context,
                         uint8_t *bytes) {
  size_t told = 0, length = bytes_of_box(cover->fields, cover->field_count);
  while (cover->left != DIAGRAM_FALSE && told < limit) {
    diagram left = DIAGRAM_NONE;
    if (!diagram_witness(cover->store, cover->left, NULL, cover->variable_count, cover->bits))
      break;
    const struct range *box = next_box(cover, &left);
    if (box == NULL || left == cover->left) /* spent; or variables outside of the fields matter */
      break;
    cover->left = left;
    write_box(cover, box, bytes, bytes + length);
    function(context, bytes, bytes + length);
    told++;
  }
  return told;
}

static bool is_outside_of_fields(void *context, unsigned variable) {
  struct cover *cover = context;
  for (cover->growing = 0; cover->growing < cover->field_count; cover->growing++)
    if (!is_of_another_field(cover, variable))
      return false;
  return true;
}

size_t diagram_cover(struct diagram_store *store, diagram set, const struct diagram_field *fields, size_t field_count,
                     size_t limit, diagram_box_function function, void *context, bool *ret_more) {
  struct cover cover = {.store = store, .fields = fields, .field_count = field_count};
  size_t told = 0;
  *ret_more = true;
  if (!diagram_fields_grow(fields, field_count)) {
    diagram_fail(store);
    return 0;
  }
  for (size_t i = 0; i < field_count; i++)
    if (fields[i].width > 0)
      cover.variable_count = fields[i].variables[fields[i].width - 1] + 1;
  cover.set = cover.left = diagram_for_all(store, set, is_outside_of_fields, &cover);
  cover.boxes = calloc(2 * field_count + 1, sizeof *cover.boxes);
  cover.bits = calloc(cover.variable_count + 1, 1);
  uint8_t *bytes = malloc(2 * bytes_of_box(fields, field_count) + 1);
  if (cover.boxes == NULL || cover.bits == NULL || bytes == NULL)
    diagram_fail(store);
  else if (!store->failed)
    told = tell_boxes(&cover, limit, function, context, bytes);
  *ret_more = store->failed || cover.left != DIAGRAM_FALSE || cover.set != set;
  free(cover.boxes);
  free(cover.bits);
  free(bytes);
  return told;
}
