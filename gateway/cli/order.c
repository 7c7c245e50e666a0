/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/order.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "control/publication.h"

enum { REASON_LIMIT = 1000 };

static bool is_one_line(const char *text) {
  size_t bad;
  if (!text_is_utf8(text, strlen(text), &bad)) {
    return false;
  }
  for (; *text != '\0'; text++) {
    if ((unsigned char)*text < 0x20 || *text == 0x7f) {
      return false;
    }
  }
  return true;
}

const char *order_reason(const struct invocation *invocation) {
  const char *why = invocation_value(invocation, "why");
  if (!why || why[0] == '\0') {
    invocation_usage(invocation, "--why で理由を書いてください", "give the reason with --why TEXT");
    return NULL;
  }
  if (strlen(why) > REASON_LIMIT || !is_one_line(why)) {
    invocation_usage(invocation, "理由は一行の文字列(%d バイトまで)で書いてください",
                     "the reason is one line of text, at most %d bytes", REASON_LIMIT);
    return NULL;
  }
  return why;
}

int order_send(const struct invocation *invocation, const struct control_request *request, const char *names,
               const char *why, struct client_answer *ret_answer) {
  struct error error = {0};
  const char *text = arena_printf(invocation->arena, "%s\n%s\n", names, why);
  int fd = text ? sealed_memfd("order", text, strlen(text)) : -ENOMEM;
  if (fd < 0) {
    invocation_complain(invocation, "memfd: %s", "memfd: %s", strerror(-fd));
    return EXIT_CODE_NO_ANSWER;
  }
  int result = client_ask(invocation, request, fd, NULL, ret_answer, &error);
  close(fd);
  if (result < 0) {
    client_complain(invocation, &error);
    return EXIT_CODE_NO_ANSWER;
  }
  return 0;
}

struct invocation order_speaking(const struct invocation *invocation, const json_t *answer) {
  struct invocation speaking = *invocation;
  speaking.language = client_language(invocation, answer);
  return speaking;
}

const char *order_text(const struct invocation *invocation, const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  const char *escaped = text ? text_escape(invocation->arena, text) : NULL;
  return escaped ? escaped : "";
}

static const char *target(const struct invocation *invocation, const json_t *cut) {
  const char *kind = order_text(invocation, cut, "kind");
  const char *address = order_text(invocation, cut, "address"), *zone = order_text(invocation, cut, "zone");
  const char *other = order_text(invocation, cut, "other_zone");
  const char *text = other[0] != '\0' ? arena_printf(invocation->arena, "%s %s %s", kind, zone, other)
                     : zone[0] != '\0'
                         ? arena_printf(invocation->arena, "%s %s", kind, zone)
                         : arena_printf(invocation->arena, "%s%s%s", kind, address[0] != '\0' ? " " : "", address);
  return text ? text : kind;
}

void order_print_cut(const struct invocation *invocation, const json_t *cut) {
  bool colour = invocation->colour_output;
  printf("%s%" JSON_INTEGER_FORMAT "  %s%s  %s  %s: %s\n", colour ? "\033[1;31m" : "",
         json_integer_value(json_object_get(cut, "id")), target(invocation, cut), colour ? "\033[0m" : "",
         order_text(invocation, cut, "at"), order_text(invocation, cut, "by"), order_text(invocation, cut, "why"));
}

void order_print_clock(const struct invocation *invocation, const json_t *answer) {
  const json_t *clock = json_object_get(answer, "clock");
  if (!json_is_true(json_object_get(clock, "doubtful"))) {
    return;
  }
  bool colour = invocation->colour_output;
  printf(language_choose(
             invocation->language,
             "%s時計が戻っています%s: いま %s、最後に見た時刻 %s。時間に依る通信は閉じています (kido cut --lift "
             "clock)\n",
             "%sthe clock went back%s: now %s, last seen %s; flows that depend on time are closed (kido cut "
             "--lift clock)\n"),
         colour ? "\033[1;31m" : "", colour ? "\033[0m" : "", order_text(invocation, clock, "now"),
         order_text(invocation, clock, "last_seen"));
}
