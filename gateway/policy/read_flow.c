/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "policy/reader.h"

static void *field(void *object, uint16_t offset) {
  return (char *)object + offset;
}

/* ---- ends ---- */

static bool find_zone_end(struct reader *reader, config_setting_t *setting, const char *name,
                          struct endpoint *endpoint) {
  size_t index;
  if (reader_find(&reader->zones, name, &index)) {
    endpoint->kind = ENDPOINT_ZONE;
    endpoint->zone = (zone_index)index;
    return true;
  }
  struct diagnostic *diagnostic =
      PROBLEM(reader, "P06", reader_place_of(reader, setting, name), "「%s」: 領域「%s」は zones にありません",
              "%s: there is no zone '%s' in zones", reader->key->name, name);
  if (strcmp(name, "gateway") == 0)
    HINT(reader, diagnostic, "本機なら「gateway」とだけ書いてください", "for this appliance write 'gateway' alone");
  else
    reader_suggest_zone(reader, diagnostic, name);
  return false;
}

static void refuse_host(struct reader *reader, config_setting_t *setting, const char *name) {
  const char *why = NULL;
  struct address_range range;
  size_t index;
  struct diagnostic *diagnostic =
      PROBLEM(reader, "P06", reader_place_of(reader, setting, name), "「%s」: 機器「%s」は hosts にありません",
              "%s: there is no host '%s' in hosts", reader->key->name, name);
  if (reader_find(&reader->zones, name, &index))
    HINT(reader, diagnostic, "領域なら「zone:%s」と書いてください", "for the zone write 'zone:%s'", name);
  else if (range_parse(name, &range, &why))
    HINT(reader, diagnostic, "アドレスは hosts に名前を付けて書き、その名前を使ってください",
         "give the address a name in hosts and use that");
  else
    reader_suggest_host(reader, diagnostic, name);
}

static bool find_host_end(struct reader *reader, config_setting_t *setting, const char *name,
                          struct endpoint *endpoint) {
  size_t index;
  if (!reader_find(&reader->hosts, name, &index)) {
    refuse_host(reader, setting, name);
    return false;
  }
  endpoint->kind = ENDPOINT_HOST;
  endpoint->host = &reader->policy->hosts[index];
  endpoint->zone = endpoint->host->zone;
  return true;
}

static bool find_end(struct reader *reader, config_setting_t *setting, const char *text, struct endpoint *endpoint) {
  endpoint->place = reader_place(reader, setting);
  if (strncmp(text, "zone:", 5) == 0)
    return find_zone_end(reader, setting, text + 5, endpoint);
  if (strcmp(text, "gateway") != 0)
    return find_host_end(reader, setting, text, endpoint);
  endpoint->kind = ENDPOINT_GATEWAY;
  endpoint->zone = ZONE_GATEWAY;
  return true;
}

static bool same_end(const struct endpoint *left, const struct endpoint *right) {
  return left->kind == right->kind && left->host == right->host && left->zone == right->zone;
}

/* A member that stands there twice is said so; the search stays short for long lists. */
static bool is_new_end(struct reader *reader, config_setting_t *setting, const char *text, const struct endpoint *ends,
                       size_t count) {
  for (size_t i = 0; i < count && i < 256; i++)
    if (same_end(&ends[i], &ends[count])) {
      reader_twice(reader, setting, text, ends[i].place);
      return false;
    }
  return true;
}

void read_ends(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  size_t *count = field(object, key->count_offset);
  int length = reader_list_length(reader, setting);
  if (length == 0)
    PROBLEM(reader, "P05", reader_place_of(reader, setting, key->name), "「%s」が空です", "'%s' is empty", key->name);
  struct endpoint *ends = length > 0 ? reader_array(reader, (size_t)length, sizeof(*ends)) : NULL;
  for (int i = 0; ends && i < length; i++) {
    config_setting_t *item = reader_list_item(setting, i);
    const char *text = reader_string(reader, item);
    struct endpoint end = {0};
    if (!text || !find_end(reader, item, text, &end))
      continue;
    ends[*count] = end;
    if (is_new_end(reader, item, text, ends, *count))
      (*count)++;
  }
  *(struct endpoint **)field(object, key->offset) = ends;
}

/* ---- windows and notes ---- */

static void read_window(struct reader *reader, config_setting_t *setting, struct window *window) {
  size_t errors = reader->diagnostics->errors;
  window->place = reader_place(reader, setting);
  reader_section(reader, SECTION_WINDOW, setting, window);
  window->valid = reader->diagnostics->errors == errors;
}

void read_windows(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  struct flow *flow = object;
  int length = reader_list_length(reader, setting);
  if (length == 0)
    PROBLEM(reader, "P05", reader_place_of(reader, setting, key->name), "「%s」が空です", "'%s' is empty", key->name);
  if (length <= 0 || !(flow->windows = reader_array(reader, (size_t)length, sizeof(*flow->windows))))
    return;
  for (int i = 0; i < length; i++) {
    config_setting_t *item = reader_list_item(setting, i);
    if (config_setting_is_group(item))
      read_window(reader, item, &flow->windows[flow->window_count++]);
    else
      reader_wrong_type(reader, item);
  }
}

/* No flow has more notes than settings. */
void read_note(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  struct flow *flow = object;
  const char *text = reader_string(reader, setting);
  const char *name = reader_setting_name(reader, setting);
  (void)key;
  if (!text || !name || text[strspn(text, " \t\n")] == '\0')
    return;
  if (!flow->notes)
    flow->notes =
        reader_array(reader, (size_t)config_setting_length(config_setting_parent(setting)), sizeof(*flow->notes));
  if (flow->notes)
    flow->notes[flow->note_count++] =
        (struct flow_note){name, {reader_keep(reader, text, strlen(text)), reader_place(reader, setting)}};
}

/* ---- the flow as a whole ---- */

static const char *end_text(struct reader *reader, const struct endpoint *end) {
  return end->kind == ENDPOINT_HOST ? end->host->name : policy_zone_name(reader->policy, end->zone);
}

static void refuse_mixture(struct reader *reader, const char *key, const struct endpoint *first,
                           const struct endpoint *other) {
  const struct policy *policy = reader->policy;
  struct diagnostic *diagnostic =
      PROBLEM(reader, "P12", reader_point(reader, other->place, end_text(reader, other)),
              "「%s」が複数の領域にまたがっています（%s と %s）", "%s lies in several zones (%s and %s)", key,
              policy_zone_name(policy, first->zone), policy_zone_name(policy, other->zone));
  if (first->place.line != other->place.line)
    diagnostic_relate(reader->diagnostics, diagnostic, first->place, "最初の領域「%s」", "the first zone '%s'",
                      policy_zone_name(policy, first->zone));
  HINT(reader, diagnostic, "領域ごとに別の通信に分けてください", "write one flow for each zone");
}

/* The zone of the first member that has one; the others must agree. */
static zone_index zone_of_ends(struct reader *reader, const char *key, const struct endpoint *ends, size_t count) {
  const struct endpoint *first = NULL;
  for (size_t i = 0; i < count; i++) {
    if (ends[i].zone == ZONE_NONE)
      continue;
    if (!first)
      first = &ends[i];
    if (ends[i].zone != first->zone) {
      refuse_mixture(reader, key, first, &ends[i]);
      break;
    }
  }
  return first ? first->zone : ZONE_NONE;
}

static void check_both_ends(struct reader *reader, const struct flow *flow) {
  if (flow->from_zone == ZONE_NONE || flow->from_zone != flow->to_zone)
    return;
  struct diagnostic *diagnostic =
      PROBLEM(reader, "P10", reader_point(reader, flow->to_place, "to"), "from と to が同じ領域「%s」にあります",
              "from and to lie in the same zone '%s'", policy_zone_name(reader->policy, flow->from_zone));
  HINT(reader, diagnostic, "領域の中の通信はここには書きません（インターフェース間の転送は zones の within で決める）",
       "a flow joins two zones; forwarding inside one is decided by 'within' of the zone");
}

void reader_flow(struct reader *reader, config_setting_t *setting, struct flow *flow) {
  flow->from_zone = flow->to_zone = ZONE_NONE;
  flow->method = METHOD_EXCEPTION;
  flow->place = reader_place(reader, setting);
  reader_section(reader, SECTION_FLOW, setting, flow);
  flow->from_zone = zone_of_ends(reader, "from", flow->from, flow->from_count);
  flow->to_zone = zone_of_ends(reader, "to", flow->to, flow->to_count);
  check_both_ends(reader, flow);
}
