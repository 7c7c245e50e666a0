/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the watch and the prefilter: what may be withheld now, how long that stands, and whether it was right. */
#include "watch/watch_parts.h"

static const int64_t SECOND = 1000000000;
#define MARGIN (3 * SECOND) /* before what is in force changes by the clock */

void withhold_note(struct watch *watch, const struct waiting *waiting) {
  watch->until_noted = prefilter_pause(watch->prefilter);
  prefilter_note(watch->prefilter, &waiting->key, &waiting->frame, waiting->wire, waiting->direction == FRAME_ENTERING);
}

/* ---- choosing ---- */

static bool is_possible(const struct watch *watch, int64_t now) {
  return watch->current.policy != NULL && watch->pending.policy == NULL && !watch->prefilter_distrusted &&
         !watch->settings.now_fixed && (now + MARGIN) / SECOND < index_changes_at(watch->current.index).seconds;
}

/* The fast way would take its next frame. */
static bool approve(void *context, const struct prefilter_entry *entry) {
  struct watch *watch = context;
  zone_index zone = watch->current.wire_zones[entry->entry_wire];
  return conversation_is_plain(watch, &entry->frame, &entry->key, NULL, zone, FRAME_ENTERING);
}

void watch_choose_withheld(struct watch *watch, int64_t now) {
  watch_flush(watch);
  watch->withheld_epoch = watch->epoch;
  if (is_possible(watch, now))
    prefilter_choose(watch->prefilter, approve, watch);
  else
    prefilter_forget(watch->prefilter);
}

size_t watch_list_withheld(const struct watch *watch, int wire, struct filter_tuple *tuples, size_t most) {
  return prefilter_list(watch->prefilter, wire, tuples, most);
}

bool watch_withholding_stands(const struct watch *watch, int64_t now) {
  return watch->withheld_epoch == watch->epoch && is_possible(watch, now);
}

/* ---- the sample ---- */

bool withhold_samples(const struct watch *watch, const struct waiting *waiting) {
  return waiting->direction == FRAME_ENTERING && watch->withheld_epoch == watch->epoch &&
         watch->pending.policy == NULL &&
         prefilter_holds(watch->prefilter, &waiting->key, &waiting->frame, waiting->wire);
}

/* What was lawful and is not plain even after it was judged is denied; but a conversation that the table dropped was
 * just a stranger, and one that is known to be rewritten takes the slow way for what happens to it elsewhere. */
static bool may_be_denied(struct watch *watch, const struct waiting *waiting) {
  const struct connection *connection = connections_find(watch->connections, &waiting->key);
  return connection != NULL && !connection->disguised;
}

void withhold_check_sample(struct watch *watch, const struct waiting *waiting) {
  zone_index zone = watch->current.wire_zones[waiting->wire];
  if (watch->withheld_epoch != watch->epoch || !may_be_denied(watch, waiting) ||
      conversation_is_plain(watch, &waiting->frame, &waiting->key, &waiting->captured, zone, FRAME_ENTERING))
    return;
  watch->prefilter_distrusted = true;
  prefilter_forget(watch->prefilter);
  watch_is_blind(watch, waiting->wire, "prefilter-mismatch", FILTER_SAMPLE, false, watch->now);
}
