/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may open a connection to a zone, a host or an address: not one packet, but all of them. */
#include <string.h>

#include "base/text.h"
#include "cli/box_print.h"
#include "cli/explain.h"
#include "control/box_json.h"
#include "control/packet_json.h"
#include "proof/exact.h"

struct target {
  zone_index zone;
  const struct host *host;     /* NULL: the whole zone, or one address of it */
  struct address_range single; /* family NONE: none */
};

struct reach {
  const struct question *question;
  struct target target;
  struct exact_box *boxes;
  size_t count;
  bool complete;
};

static int find_target(const struct question *question, const char *text, struct target *ret_target) {
  struct target target = {.zone = policy_find_zone(question->policy, text)};
  struct end_argument end;
  struct error error = {0};
  if (target.zone == ZONE_NONE) {
    if (end_argument_parse(question->policy, text, question->language, question->invocation->arena, &end, &error) < 0)
      return invocation_usage(question->invocation,
                              "「%.60s」は領域でも機器でもアドレスでもなく、gateway でもありません",
                              "'%.60s' is neither a zone, nor a host, nor an address, nor 'gateway'", text);
    target.host = end.host;
    target.single = (struct address_range){end.address, end.address};
    target.zone = end.host != NULL ? end.host->zone : policy_zone_of_address(question->policy, NULL, &end.address);
  }
  *ret_target = target;
  return EXIT_CODE_YES;
}

static int ask_range(struct reach *reach, const struct address_range *range) {
  const struct question *question = reach->question;
  struct exact_box *boxes = NULL;
  size_t count = 0;
  bool complete = false;
  int result =
      exact_who_can_reach(question->policy, question->restrictions, reach->target.zone, range,
                          question->invocation->now, false, question->invocation->arena, &boxes, &count, &complete);
  if (result < 0)
    return result;
  reach->complete = reach->complete && complete;
  struct exact_box *all = ARENA_ARRAY(question->invocation->arena, reach->count + count + 1, struct exact_box);
  if (all == NULL)
    return -1;
  if (reach->count != 0)
    memcpy(all, reach->boxes, reach->count * sizeof *all);
  if (count != 0)
    memcpy(all + reach->count, boxes, count * sizeof *all);
  reach->boxes = all;
  reach->count += count;
  return 0;
}

static int ask_target(struct reach *reach) {
  const struct target *target = &reach->target;
  int result = 0;
  if (target->host == NULL && target->single.first.family == FAMILY_NONE)
    return ask_range(reach, NULL);
  if (target->host == NULL)
    return ask_range(reach, &target->single);
  for (size_t i = 0; result == 0 && i < target->host->address_count; i++)
    result = ask_range(reach, &target->host->addresses[i].range);
  return result;
}

static int answer(const struct reach *reach) {
  const struct question *question = reach->question;
  const struct invocation *invocation = question->invocation;
  int code = reach->count != 0 ? EXIT_CODE_YES : reach->complete ? EXIT_CODE_NO : EXIT_CODE_NO_ANSWER;
  const struct box_page page = {
      .invocation = invocation, .policy = question->policy, .language = question->language, .sign = "", .colour = ""};
  if (!reach->complete)
    invocation_complain(invocation, "多すぎるため、すべては示していません", "there is more than is shown here");
  if (invocation->json)
    return invocation_print_json(invocation,
                                 json_pack("{s:s, s:s, s:o, s:s?, s:o, s:b}", "schema", "kido.reach/1", "target",
                                           invocation_value(invocation, "who-can-reach"), "zone",
                                           zone_to_json(question->policy, reach->target.zone), "host",
                                           reach->target.host != NULL ? reach->target.host->name : NULL, "allowed",
                                           boxes_to_json(question->policy, reach->boxes, reach->count), "complete",
                                           reach->complete),
                                 code);
  if (reach->count == 0 && reach->complete)
    printf("%s\n", language_choose(question->language, "ここへ通信を始められるものはありません",
                                   "nobody may open a connection to it"));
  box_print_all(&page, reach->boxes, reach->count);
  return invocation_finish(invocation, code);
}

int explain_reach(const struct question *question) {
  struct reach reach = {.question = question, .complete = true};
  int code = find_target(question, invocation_value(question->invocation, "who-can-reach"), &reach.target);
  if (code != EXIT_CODE_YES)
    return code;
  if (reach.target.zone != ZONE_NONE && ask_target(&reach) < 0) {
    invocation_complain(question->invocation, "メモリが足りません", "out of memory");
    return EXIT_CODE_NO_ANSWER;
  }
  return answer(&reach);
}
