/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "proof/authorised_parts.h"

/*
 * Boxes of flows, said by the classes of a lookup (classes.h) where those make up the box without a gap. What a box
 * says beside (protocol, ICMP type) is drawn. Boxes that no block makes up stay for whoever draws boxes.
 *
 * Beside goes what is true of every packet and what the bits of a class do not know: whose class it is has addresses of
 * the two zones, and whoever is of a class that lies across a box lies in the box of that class.
 */

/* One block with one choice of what is beside; leaves by class. */
struct sheet {
  struct sheet *next;
  struct class_block *block;
  const uint8_t *beside; /* bytes of the fields that the block has not, first corner and last */
  uint32_t *leaves;
  bool *hulled; /* by class: both addresses are claimed by the zones */
  size_t count;
};

struct drafting {
  struct authorised *authorised;
  const struct class_draft *draft;
  struct arena *scratch;
  size_t box_bytes;
  struct sheet *sheets;
  diagram drawn, care;
};

static diagram join(const struct drafting *drafting, diagram left, diagram right) {
  struct authorised *authorised = drafting->authorised;
  return diagram_combine(authorised->store, authorised->join_operation, flow_lists_join, authorised->lists, left,
                         right);
}

static size_t bytes_of(const struct diagram_field *field) {
  return (field->width + 7) / 8;
}

/* ---- what is beside ---- */

static bool is_protocol(const struct drafting *drafting, size_t offset) {
  return offset == drafting->draft->protocol_offset;
}

/* What the block has not; and the protocol in any case, since rules ask for it before they look up. */
static bool is_beside(const struct drafting *drafting, const struct class_block *block,
                      const struct diagram_field *field, size_t offset) {
  size_t unused;
  return is_protocol(drafting, offset) || !class_block_has(block, field, &unused);
}

static void copy_beside(const struct drafting *drafting, const struct class_block *block, const uint8_t *corner,
                        uint8_t *beside) {
  size_t offset = 0;
  for (size_t i = 0; i < drafting->draft->field_count; i++) {
    const struct diagram_field *field = &drafting->draft->fields[i];
    if (is_beside(drafting, block, field, offset))
      memcpy(beside + offset, corner + offset, bytes_of(field));
    offset += bytes_of(field);
  }
}

static diagram draw_beside(const struct drafting *drafting, const struct sheet *sheet, bool protocol_only) {
  const struct class_draft *draft = drafting->draft;
  struct diagram_store *store = drafting->authorised->store;
  size_t offset = drafting->box_bytes;
  diagram set = DIAGRAM_TRUE;
  for (size_t i = draft->field_count; i-- > 0;) {
    const struct diagram_field *field = &draft->fields[i];
    offset -= bytes_of(field);
    if (protocol_only ? is_protocol(drafting, offset) : is_beside(drafting, sheet->block, field, offset))
      set = diagram_and(
          store, set,
          diagram_range(store, field, sheet->beside + offset, sheet->beside + drafting->box_bytes + offset));
  }
  return set;
}

static struct sheet *sheet_of(struct drafting *drafting, struct class_block *block, const struct diagram_box *box) {
  uint8_t *beside = arena_alloc(drafting->scratch, 2 * drafting->box_bytes);
  if (beside == NULL)
    return NULL;
  copy_beside(drafting, block, box->first, beside);
  copy_beside(drafting, block, box->last, beside + drafting->box_bytes);
  for (struct sheet *sheet = drafting->sheets; sheet != NULL; sheet = sheet->next)
    if (sheet->block == block && memcmp(sheet->beside, beside, 2 * drafting->box_bytes) == 0)
      return sheet;
  struct sheet *sheet = ARENA_NEW(drafting->scratch, struct sheet);
  size_t count = class_block_count(block) + 1;
  if (sheet == NULL)
    return NULL;
  *sheet = (struct sheet){.next = drafting->sheets, .block = block, .beside = beside, .count = count};
  sheet->leaves = ARENA_ARRAY(drafting->scratch, count, uint32_t);
  sheet->hulled = ARENA_ARRAY(drafting->scratch, count, bool);
  if (sheet->leaves == NULL || sheet->hulled == NULL)
    return NULL;
  drafting->sheets = sheet;
  return sheet;
}

/* ---- what is true of every packet ---- */

static bool claims_range(const struct address_set *claims, enum address_family family, const uint8_t *first,
                         const uint8_t *last) {
  struct address_range range = {{.family = family}, {.family = family}};
  memcpy(range.first.bytes, first, address_length(family));
  memcpy(range.last.bytes, last, address_length(family));
  for (size_t i = 0; i < claims->count; i++)
    if (range_contains_range(&claims->ranges[i], &range))
      return true;
  return false;
}

/* Whether the classes say anything about the field that stands there. */
static bool block_knows(const struct drafting *drafting, const struct class_block *block, size_t offset) {
  const struct class_draft *draft = drafting->draft;
  size_t unused;
  for (size_t i = 0, at = 0; i < draft->field_count; at += bytes_of(&draft->fields[i++]))
    if (at == offset)
      return class_block_has(block, &draft->fields[i], &unused);
  return false;
}

static bool is_hulled(const struct drafting *drafting, const struct class_block *block, const struct diagram_box *box) {
  const struct class_draft *draft = drafting->draft;
  for (size_t end = 0; end < 2; end++) {
    const struct class_end *side = &draft->ends[end];
    if (side->claims == NULL || !block_knows(drafting, block, side->offset) ||
        !claims_range(side->claims, draft->family, box->first + side->offset, box->last + side->offset))
      return false;
  }
  return true;
}

static diagram draw_classes(const struct drafting *drafting, const struct sheet *sheet, bool hulled_only) {
  uint32_t *leaves = ARENA_ARRAY(drafting->scratch, sheet->count, uint32_t);
  if (leaves == NULL)
    return DIAGRAM_NONE;
  for (size_t i = 0; i < sheet->count; i++)
    leaves[i] = hulled_only ? sheet->hulled[i] : sheet->leaves[i] != 0;
  return class_block_draw(sheet->block, leaves, sheet->count);
}

static void care_for(struct drafting *drafting, diagram classes, diagram therefore) {
  struct diagram_store *store = drafting->authorised->store;
  drafting->care = diagram_and(store, drafting->care, diagram_choose(store, classes, therefore, DIAGRAM_TRUE));
}

/* Whoever is of a hulled class has addresses that the two zones claim; of a class that has a protocol, has that. */
static void care_for_sheet(struct drafting *drafting, const struct sheet *sheet) {
  struct authorised *authorised = drafting->authorised;
  const struct class_draft *draft = drafting->draft;
  size_t unused;
  diagram claimed = diagram_and(authorised->store, draft->ends[0].claimed, draft->ends[1].claimed);
  care_for(drafting, draw_classes(drafting, sheet, true), claimed);
  for (size_t i = 0, offset = 0; i < draft->field_count; offset += bytes_of(&draft->fields[i++]))
    if (is_protocol(drafting, offset) && class_block_has(sheet->block, &draft->fields[i], &unused))
      care_for(drafting, draw_classes(drafting, sheet, false), draw_beside(drafting, sheet, true));
}

static diagram one_class(const struct drafting *drafting, struct class_block *block, uint32_t number) {
  size_t count = class_block_count(block) + 1;
  uint32_t *leaves = ARENA_ARRAY(drafting->scratch, count, uint32_t);
  if (leaves == NULL)
    return DIAGRAM_NONE;
  leaves[number] = 1;
  return class_block_draw(block, leaves, count);
}

static diagram block_box(const struct drafting *drafting, const struct class_block *block,
                         const struct diagram_box *box) {
  struct diagram_field fields[CLASS_FIELDS];
  size_t count = class_block_fields(block, fields);
  return diagram_boxes(drafting->authorised->store, fields, count, box, 1, 0, NULL, NULL);
}

/* ---- boxes ---- */

static diagram draw_whole(const struct drafting *drafting, const struct diagram_box *box) {
  return diagram_boxes(drafting->authorised->store, drafting->draft->fields, drafting->draft->field_count, box, 1, 0,
                       NULL, NULL);
}

static void add_across(struct drafting *drafting, const struct class_match *match, const struct diagram_box *box) {
  struct diagram_store *store = drafting->authorised->store;
  diagram classes = DIAGRAM_FALSE;
  for (size_t i = 0; i < match->across_count; i++) {
    struct diagram_box own = class_block_box(match->block, match->across[i]);
    diagram of_class = one_class(drafting, match->block, match->across[i]);
    classes = diagram_or(store, classes, of_class);
    care_for(drafting, of_class, block_box(drafting, match->block, &own));
  }
  if (classes != DIAGRAM_FALSE)
    drafting->drawn =
        join(drafting, drafting->drawn, diagram_choose(store, classes, draw_whole(drafting, box), DIAGRAM_FALSE));
}

/* False: no block makes up the box. */
static bool add_box(struct drafting *drafting, const struct diagram_box *box) {
  const struct class_draft *draft = drafting->draft;
  struct class_match match;
  if (!classes_match(drafting->authorised->classes, box->first[draft->protocol_offset], draft->fields,
                     draft->field_count, box, drafting->scratch, &match))
    return false;
  struct sheet *sheet = sheet_of(drafting, match.block, box);
  if (sheet == NULL)
    return false;
  bool hulled = is_hulled(drafting, match.block, box);
  for (size_t i = 0; i < match.inside_count; i++) {
    uint32_t number = match.inside[i];
    sheet->leaves[number] = sheet->leaves[number] == 0
                                ? box->value
                                : flow_lists_join(drafting->authorised->lists, sheet->leaves[number], box->value);
    sheet->hulled[number] = sheet->hulled[number] || hulled;
  }
  add_across(drafting, &match, box);
  return true;
}

static void add_sheet(struct drafting *drafting, const struct sheet *sheet) {
  diagram by_class = class_block_draw(sheet->block, sheet->leaves, sheet->count);
  drafting->drawn =
      join(drafting, drafting->drawn,
           diagram_choose(drafting->authorised->store, draw_beside(drafting, sheet, false), by_class, DIAGRAM_FALSE));
  care_for_sheet(drafting, sheet);
}

diagram authorised_draw_classes(struct authorised *authorised, const struct class_draft *draft,
                                struct diagram_box *boxes, size_t *count) {
  struct drafting drafting = {.authorised = authorised,
                              .draft = draft,
                              .scratch = arena_new(0),
                              .drawn = DIAGRAM_FALSE,
                              .care = authorised->care};
  size_t kept = 0;
  for (size_t i = 0; i < draft->field_count; i++)
    drafting.box_bytes += bytes_of(&draft->fields[i]);
  if (drafting.scratch == NULL)
    return DIAGRAM_NONE;
  for (size_t i = 0; i < *count; i++)
    if (!add_box(&drafting, &boxes[i]))
      boxes[kept++] = boxes[i];
  for (const struct sheet *sheet = drafting.sheets; sheet != NULL; sheet = sheet->next)
    add_sheet(&drafting, sheet);
  *count = kept;
  authorised->care = drafting.care;
  bool failed = arena_failed(drafting.scratch);
  arena_free(drafting.scratch);
  return failed ? DIAGRAM_NONE : drafting.drawn;
}
