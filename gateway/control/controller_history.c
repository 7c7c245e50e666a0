/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/history.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "control/controller_parts.h"

/* ---- confirming ---- */

/* Where the confirmed policy was lost, the newest entry is taken for the one before. */
static struct confirmed_policy number_record(const struct controller *controller, const struct generation *generation,
                                             const struct confirmed_policy *record) {
  const struct policy_header *header = &generation->policy->header;
  struct confirmed_policy numbered = *record;
  numbered.text = generation->text;
  numbered.size = generation->size;
  numbered.confirmed_at = controller_now();
  numbered.confirmed_by = record->confirmed_by ? record->confirmed_by : record->by;
  numbered.generation = controller->loads + 1;
  numbered.previous = controller->confirmed > 0 ? controller->confirmed : controller->loads;
  numbered.policy_number = header->number.text;
  numbered.policy_name = header->name.text;
  return numbered;
}

/* The same text is the same policy: it is written again, in case that somebody damaged the file, as what it is. */
int controller_confirm(struct controller *controller, struct generation *generation,
                       const struct confirmed_policy *record, struct error *error) {
  const struct generation *before = controller_trial_confirmed(controller);
  struct confirmed_policy numbered = number_record(controller, generation, record);
  if (before && strcmp(before->policy->sha256, generation->policy->sha256) == 0) {
    numbered = before->record;
    numbered.text = generation->text;
    numbered.size = generation->size;
  }
  const struct confirmed_policy kept = generation->record;
  if (generation_set_record(generation, &numbered) < 0) {
    return error_set(error, ENOMEM, "no memory");
  }
  int result = state_save(controller->options->state_directory, &numbered, error);
  if (result < 0) {
    generation->record = kept;
  } else {
    controller->confirmed = numbered.generation;
    controller->loads = numbered.generation > controller->loads ? numbered.generation : controller->loads;
    history_prune(controller->options->state_directory, numbered.generation, numbered.previous);
    controller_keep_time(controller);
  }
  return result;
}

/* ---- history ---- */

static json_t *text_to_json(const char *text) {
  return text[0] == '\0' ? json_null() : json_string(text);
}

static json_t *number_to_json(uint64_t number) {
  return number == 0 ? json_null() : json_integer((json_int_t)number);
}

static json_t *entry_to_json(const struct controller *controller, const struct confirmed_policy *policy,
                             const char *state) {
  bool known = policy->sha256[0] != '\0';
  struct instant never = INSTANT_NEVER;
  bool confirmed = known && policy->confirmed_at.seconds != 0;
  return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s?, s:o, s:s}", "number",
                   number_to_json(policy->generation), "policy_number", text_to_json(policy->policy_number),
                   "policy_name", text_to_json(policy->policy_name), "sha256", text_to_json(policy->sha256),
                   "applied_at", controller_instant_to_json(controller, known ? policy->applied_at : never),
                   "confirmed_at", controller_instant_to_json(controller, confirmed ? policy->confirmed_at : never),
                   "by", text_to_json(policy->by), "confirmed_by", text_to_json(policy->confirmed_by), "origin",
                   known ? state_origin_name(policy->origin) : NULL, "source", number_to_json(policy->source), "state",
                   state);
}

static json_t *entries_to_json(const struct controller *controller, const struct history_list *list) {
  json_t *array = json_array();
  if (controller->trial) {
    json_array_append_new(array, entry_to_json(controller, &controller->in_force->record, "pending"));
  }
  for (size_t i = 0; i < list->count; i++) {
    const struct history_entry *entry = &list->entries[i];
    json_array_append_new(array, entry_to_json(controller, &entry->policy, history_state_name(entry->state)));
  }
  return array;
}

static json_t *deadline_to_json(const struct controller *controller) {
  return controller->trial ? controller_instant_to_json(controller, controller_trial_deadline(controller))
                           : json_null();
}

void controller_handle_history(struct controller *controller, uint64_t client, const struct control_request *request,
                               int text_fd) {
  (void)text_fd;
  enum language language = controller_request_language(controller, request);
  struct error error = {0};
  struct history_list list = {0};
  struct arena *arena = arena_new(0);
  int result = arena ? history_read(controller->options->state_directory, controller->confirmed, arena, &list, &error)
                     : error_set(&error, ENOMEM, "no memory");
  json_t *body = result < 0 ? controller_failure("kido.history/1", error.message)
                            : json_pack("{s:s, s:o, s:o, s:s}", "schema", "kido.history/1", "entries",
                                        entries_to_json(controller, &list), "deadline", deadline_to_json(controller),
                                        "language", language == LANGUAGE_JAPANESE ? "ja" : "en");
  server_reply(controller->server, client, CONTROL_STEP_NONE, result < 0 ? 3 : 0, body);
  arena_free(arena);
}

/* ---- rollback ---- */

static bool ever_counted(enum history_state state) {
  return state == HISTORY_SUPERSEDED || state == HISTORY_ROLLED_BACK || state == HISTORY_CONFIRMED;
}

static int explain_no_entry(uint64_t number, enum history_state state, enum language language, struct error *error) {
  if (number == 0) {
    return error_set(error, ENOENT, "%s",
                     language_choose(language, "戻る先の、以前に確定したポリシーがありません",
                                     "there is no policy that was confirmed before this one"));
  }
  if (state == HISTORY_UNCONFIRMED) {
    return error_set(error, ENOENT,
                     language_choose(language, "履歴 %llu は確定されていません。kido history で番号を確かめてください",
                                     "number %llu of the history was never confirmed: see kido history"),
                     (unsigned long long)number);
  }
  return error_set(error, ENOENT,
                   language_choose(language, "履歴に %llu はありません。kido history で番号を確かめてください",
                                   "there is no number %llu in the history: see kido history"),
                   (unsigned long long)number);
}

/* number 0: what was confirmed before the confirmed policy. *ret_number: the entry to go to. -ENOENT with *error. */
static int choose_entry(const struct controller *controller, uint64_t number, enum language language,
                        struct arena *arena, uint64_t *ret_number, struct error *error) {
  struct history_list list = {0};
  uint64_t confirmed = controller->confirmed;
  enum history_state state = HISTORY_DAMAGED;
  int result = history_read(controller->options->state_directory, confirmed, arena, &list, error);
  for (size_t i = 0; i < list.count && result == 0; i++) {
    const struct history_entry *entry = &list.entries[i];
    bool is_it = number == 0 ? entry->policy.generation != confirmed && ever_counted(entry->state)
                             : entry->policy.generation == number;
    if (is_it && entry->state != HISTORY_UNCONFIRMED) {
      *ret_number = entry->policy.generation;
      return 0;
    }
    state = is_it ? entry->state : state;
  }
  return result < 0 ? result : explain_no_entry(number, state, language, error);
}

static int start_rollback(struct controller *controller, const struct load *load, struct arena *arena,
                          struct error *error) {
  struct confirmed_policy policy;
  int result = history_load(controller->options->state_directory, load->source, arena, &policy, error);
  int fd = result < 0 ? result : sealed_memfd("history", policy.text, policy.size);
  if (fd < 0) {
    return result < 0 ? result : error_set(error, -fd, "memfd: %s", strerror(-fd));
  }
  struct reader_request reading = {
      .policy_fd = fd, .path = STATE_HISTORY, .language = load->language, .now = controller_now()};
  result = controller_load(controller, load, &reading, error);
  close(fd);
  return result;
}

/* The way back out of a trial is open at any time; any other rollback waits for its end. */
static bool withdraw_trial(struct controller *controller, const struct control_request *request,
                           const struct load *load) {
  if (!controller->trial || request->number != 0 || request->seconds != 0) {
    return false;
  }
  struct error error = {0};
  int result = controller_trial_return(controller, &load->by, &error);
  struct outcome outcome = {.code = result < 0 ? 3 : 0, .generation = controller->in_force};
  outcome.message = result < 0 ? error.message : NULL;
  server_reply(controller->server, load->client, CONTROL_STEP_LOAD, outcome.code,
               controller_outcome_to_json(controller, load, &outcome));
  return true;
}

void controller_handle_rollback(struct controller *controller, uint64_t client, const struct control_request *request,
                                int text_fd) {
  (void)text_fd;
  struct error error = {0};
  struct load load = {.origin = LOAD_ROLLBACK,
                      .client = client,
                      .by = server_person(controller->server, client),
                      .way = operator_way_of(request),
                      .allow_lockout = (request->flags & CONTROL_ALLOW_LOCKOUT) != 0,
                      .allow_unproven = (request->flags & CONTROL_ALLOW_UNPROVEN) != 0,
                      .seconds = request->seconds,
                      .language = controller_request_language(controller, request)};
  if (withdraw_trial(controller, request, &load)) {
    return;
  }
  struct arena *arena = arena_new(0);
  int result =
      arena ? controller_check_free(controller, load.language, &error) : error_set(&error, ENOMEM, "no memory");
  if (result == 0) {
    result = choose_entry(controller, request->number, load.language, arena, &load.source, &error);
  }
  if (result == 0) {
    result = start_rollback(controller, &load, arena, &error);
  }
  if (result < 0) {
    controller_refuse_load(controller, &load, result == -EBUSY || result == -ENOENT ? 1 : 3, &error);
  }
  arena_free(arena);
}
