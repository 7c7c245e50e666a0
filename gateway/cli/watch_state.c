/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/watch_state.h"

#include <string.h>

#include "watch/status.h"

/* Texts of another process: not trusted to end, nor to be UTF-8. */
static json_t *text_of(const char *text, size_t size) {
  json_t *value = json_stringn(text, strnlen(text, size));
  return value != NULL ? value : json_string("");
}

static json_t *interface_of(const struct watch_status_interface *interface) {
  json_t *object = json_object();
  json_object_set_new(object, "name", text_of(interface->name, sizeof interface->name));
  json_object_set_new(object, "zone", text_of(interface->zone, sizeof interface->zone));
  json_object_set_new(object, "state", json_string(wire_state_name(interface->state)));
  json_object_set_new(object, "packets", json_integer((json_int_t)interface->frames));
  json_object_set_new(object, "bytes", json_integer((json_int_t)interface->bytes));
  json_object_set_new(object, "drops", json_integer((json_int_t)interface->drops));
  json_object_set_new(object, "findings", json_integer((json_int_t)interface->findings));
  return object;
}

static json_t *state_of(const struct watch_status *status) {
  json_t *object = json_object(), *interfaces = json_array();
  json_object_set_new(object, "state", json_string(watch_state_name(status->state)));
  for (uint32_t i = 0; i < status->interface_count && i < WATCH_STATUS_INTERFACES; i++)
    json_array_append_new(interfaces, interface_of(&status->interfaces[i]));
  json_object_set_new(object, "interfaces", interfaces);
  json_object_set_new(object, "running", json_true());
  json_object_set_new(object, "policy_sha256", text_of(status->policy_sha256, sizeof status->policy_sha256));
  json_object_set_new(
      object, "open",
      json_pack("{s:i, s:i}", "critical", (int)status->open_alerts[0], "warning", (int)status->open_alerts[1]));
  return object;
}

json_t *watch_state(const struct invocation *invocation) {
  struct watch_status status;
  struct error error = {0};
  const char *directory = invocation->run_directory != NULL ? invocation->run_directory : DEFAULT_RUN_DIRECTORY;
  if (watch_status_ask(directory, &status, &error) == 0)
    return state_of(&status);
  return json_pack("{s:s, s:[], s:b}", "state", "blind", "interfaces", "running", false);
}
