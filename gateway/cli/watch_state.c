/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/watch_state.h"

#include <string.h>
#include <time.h>

#include "watch/status.h"
#include "watch/vantage.h"

/* Texts of another process: not trusted to end, nor to be UTF-8. */
static json_t *text_of(const char *text, size_t size) {
  json_t *value = json_stringn(text, strnlen(text, size));
  return value != NULL ? value : json_string("");
}

static double part_of(uint64_t whole, uint64_t unwatched) {
  return whole == 0 || unwatched >= whole ? 0 : (double)(whole - unwatched) / (double)whole;
}

/* Which kinds of finding can be seen there: in full, or only where it is broadcast or touches the gateway. */
static json_t *kinds_seen(enum vantage vantage, enum vantage_sight sight) {
  json_t *kinds = json_array();
  for (enum finding_kind kind = 0; kind < FINDING_KIND_COUNT_; kind++)
    if (vantage_sees(vantage, kind) == sight)
      json_array_append_new(kinds, json_string(finding_rule(kind)->name));
  return kinds;
}

static void put_vantage(const struct watch_status_interface *interface, json_t *object) {
  json_object_set_new(object, "vantage", json_string(vantage_name(interface->vantage)));
  json_object_set_new(object, "presence", json_string(presence_name(interface->presence)));
  json_object_set_new(object, "listens_only", json_boolean(interface->listens != 0));
  json_object_set_new(object, "sees", kinds_seen(interface->vantage, SIGHT_FULL));
  json_object_set_new(object, "sees_in_part", kinds_seen(interface->vantage, SIGHT_PARTIAL));
}

static void put_watched(const struct watch_status_interface *interface, json_t *object) {
  const double second = 1e9;
  json_object_set_new(object, "reason",
                      interface->reason[0] != '\0' ? text_of(interface->reason, sizeof interface->reason)
                                                   : json_null());
  json_object_set_new(object, "watched", json_real(part_of(interface->whole, interface->unwatched)));
  json_object_set_new(object, "unwatched_seconds", json_real((double)interface->unwatched / second));
  json_object_set_new(object, "unwatched_intervals", json_integer((json_int_t)interface->intervals));
  json_object_set_new(object, "canary",
                      json_pack("{s:b, s:I, s:I}", "sent_there", interface->canary != 0, "sent",
                                (json_int_t)interface->canaries_sent, "missed",
                                (json_int_t)interface->canaries_missed));
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
  put_watched(interface, object);
  put_vantage(interface, object);
  return object;
}

static json_t *started_of(const struct watch_status *status) {
  time_t seconds = (time_t)status->started;
  struct tm utc;
  char text[32];
  if (gmtime_r(&seconds, &utc) == NULL || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
    return json_null();
  return json_string(text);
}

/* Of all the time of all the wires. */
static double watched_part(const struct watch_status *status) {
  uint64_t whole = 0, unwatched = 0;
  for (uint32_t i = 0; i < status->interface_count && i < WATCH_STATUS_INTERFACES; i++) {
    whole += status->interfaces[i].whole;
    unwatched += status->interfaces[i].unwatched;
  }
  return part_of(whole, unwatched);
}

static const char *follows_of(const struct watch_status *status) {
  static const char *const names[] = {
      [WATCH_BY_FILE] = "file", [WATCH_BY_KIDOD] = "kidod", [WATCH_KIDOD_GONE] = "kidod-gone"};
  return status->follows <= WATCH_KIDOD_GONE ? names[status->follows] : "file";
}

/* What each table had no room for. */
static json_t *crowded_out_of(const struct watch_status *status) {
  json_t *object = json_object();
  for (enum watch_table table = 0; table < WATCH_TABLE_COUNT_; table++)
    json_object_set_new(object, watch_table_name(table), json_integer((json_int_t)status->crowded_out[table]));
  return object;
}

static json_t *state_of(const struct watch_status *status) {
  json_t *object = json_object(), *interfaces = json_array();
  json_object_set_new(object, "state", json_string(watch_state_name(status->state)));
  for (uint32_t i = 0; i < status->interface_count && i < WATCH_STATUS_INTERFACES; i++)
    json_array_append_new(interfaces, interface_of(&status->interfaces[i]));
  json_object_set_new(object, "interfaces", interfaces);
  json_object_set_new(object, "running", json_true());
  json_object_set_new(object, "watched", json_real(watched_part(status)));
  json_object_set_new(object, "follows", json_string(follows_of(status)));
  json_object_set_new(object, "started", started_of(status));
  json_object_set_new(object, "policy_sha256", text_of(status->policy_sha256, sizeof status->policy_sha256));
  json_object_set_new(object, "conversations",
                      json_pack("{s:I, s:I}", "taken_up", (json_int_t)status->taken_up, "evicted",
                                (json_int_t)status->crowded_out[WATCH_TABLE_CONVERSATIONS]));
  json_object_set_new(object, "crowded_out", crowded_out_of(status));
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
