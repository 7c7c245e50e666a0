/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "control/controller_parts.h"

/*
 * That somebody has seen an event, kido ack: a record of its own, in kidod's log, whichever daemon wrote the other.
 * Whether there is such an event the operator's program has looked up; kidod reads no log.
 */

enum { ID_SIZE = 40 };

static bool is_id(const char *id) {
  size_t length = strlen(id);
  return length < ID_SIZE && strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == length &&
         (strncmp(id, "kidod-", 6) == 0 || strncmp(id, "kidoban-", 8) == 0);
}

static void announce(const struct order *order, const char *id, const char *why) {
  char by[PERSON_TEXT_SIZE];
  struct announcement acknowledged = {
      .kind = "acknowledged", .severity = EVENT_INFO, .reason = why, .about = id, .by = &order->by};
  person_text(&order->by, by);
  controller_announce(order->controller, &acknowledged, "%s を %s が確認しました: %s", "%s was acknowledged by %s: %s",
                      id, by, why);
}

void controller_acknowledge(struct order *order, const struct order_text *text, struct arena *arena) {
  (void)arena;
  enum language language = controller_order_language(order);
  char by[PERSON_TEXT_SIZE];
  if (text->name_count != 1 || !is_id(text->names[0])) {
    controller_answer_order(order, 1,
                            language_choose(language, "事象の番号ではありません", "that is no id of an event"), NULL);
    return;
  }
  announce(order, text->names[0], text->why);
  controller_answer_order(
      order, 0, NULL,
      json_pack("{s:s, s:s, s:s}", "id", text->names[0], "by", person_text(&order->by, by), "why", text->why));
}
