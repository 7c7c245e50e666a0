/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "policy/reader.h"

static void *field(void *object, uint16_t offset) {
  return (char *)object + offset;
}

/* ---- ends of a case ---- */

void read_case_end(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  struct expectation_end *end = field(object, key->offset);
  const char *text = reader_string(reader, setting), *why = NULL;
  size_t index;
  end->place = reader_place(reader, setting);
  if (!text)
    return;
  if (strcmp(text, "gateway") == 0) {
    end->kind = EXPECT_GATEWAY;
    end->zone = ZONE_GATEWAY;
  } else if (reader_find(&reader->hosts, text, &index)) {
    end->kind = EXPECT_HOST;
    end->host = &reader->policy->hosts[index];
  } else if (range_parse_prefix(text, &end->range, &why)) {
    end->kind = EXPECT_RANGE;
  } else {
    struct diagnostic *diagnostic =
        PROBLEM(reader, "P06", reader_place_of(reader, setting, text),
                "「%s」: 「%s」は hosts の機器でも、アドレスでも、CIDR でもありません",
                "%s: '%s' is neither a host, an address nor a CIDR prefix", key->name, text);
    reader_suggest_host(reader, diagnostic, text);
  }
}

void read_case_zone(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  struct expectation_end *end = field(object, key->offset);
  const char *text = reader_string(reader, setting);
  size_t index;
  end->place = reader_place(reader, setting);
  end->kind = EXPECT_ZONE;
  end->zone = ZONE_NONE;
  if (!text)
    return;
  if (strcmp(text, "gateway") == 0) {
    end->zone = ZONE_GATEWAY;
  } else if (reader_find(&reader->zones, text, &index)) {
    end->zone = (zone_index)index;
  } else {
    struct diagnostic *diagnostic =
        PROBLEM(reader, "P06", reader_place_of(reader, setting, text), "「%s」: 領域「%s」は zones にありません",
                "%s: there is no zone '%s' in zones", key->name, text);
    reader_suggest_zone(reader, diagnostic, text);
  }
}

/* ---- the case as a whole ---- */

static bool saw(key_set keys, const char *name) {
  return reader_saw(SECTION_EXPECT, keys, name);
}

static struct place place_of_key(struct reader *reader, const config_setting_t *group, const char *key) {
  const config_setting_t *setting = config_setting_get_member(group, key);
  return setting ? reader_place_of(reader, setting, key) : reader_place(reader, group);
}

static void refuse_together(struct reader *reader, const config_setting_t *setting, const char *one,
                            const char *other) {
  PROBLEM(reader, "P13", place_of_key(reader, setting, other), "「%s」と「%s」は一緒に書けません",
          "'%s' and '%s' do not go together", one, other);
}

/* Every packet of a pair of zones, at any time: there is nothing to narrow it by. */
static void check_universal(struct reader *reader, const config_setting_t *setting, key_set keys) {
  static const char *const others[] = {"from", "to", "service", "at", "flow"};
  const char *zone = saw(keys, "from_zone") ? "from_zone" : "to_zone";
  const char *missing = saw(keys, "from_zone") ? "to_zone" : "from_zone";
  bool refused = false;
  for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
    if (saw(keys, others[i])) {
      refuse_together(reader, setting, zone, others[i]);
      refused = true;
    }
  if (!refused && !saw(keys, missing))
    PROBLEM(reader, "P05", reader_place_of_name(reader, setting), "「%s」がありません", "'%s' is missing", missing);
}

static enum address_family end_family(const struct expectation_end *end) {
  if (end->kind == EXPECT_RANGE)
    return end->range.first.family;
  if (end->kind != EXPECT_HOST || !end->host || end->host->address_count == 0)
    return FAMILY_NONE;
  enum address_family family = end->host->addresses[0].range.first.family;
  for (size_t i = 1; i < end->host->address_count; i++)
    if (end->host->addresses[i].range.first.family != family)
      return FAMILY_NONE;
  return family;
}

static void check_families(struct reader *reader, const struct expectation *expectation) {
  enum address_family from = end_family(&expectation->from), to = end_family(&expectation->to);
  if (from != FAMILY_NONE && to != FAMILY_NONE && from != to)
    PROBLEM(reader, "P13", reader_point(reader, expectation->to.place, "to"),
            "from と to の一方が IPv4、他方が IPv6 です", "one of from and to is IPv4, the other IPv6");
}

static void check_particular(struct reader *reader, const config_setting_t *setting, key_set keys,
                             const struct expectation *expectation) {
  static const char *const needed[] = {"from", "to", "service"};
  for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
    if (!saw(keys, needed[i]))
      PROBLEM(reader, "P05", reader_place_of_name(reader, setting), "「%s」がありません", "'%s' is missing", needed[i]);
  check_families(reader, expectation);
}

static void check_flow(struct reader *reader, const config_setting_t *setting, const struct expectation *expectation) {
  const struct policy *policy = reader->policy;
  const char *name = expectation->flow.text;
  size_t index;
  if (!name)
    return;
  if (!expectation->expect_allow)
    refuse_together(reader, setting, "verdict = \"deny\"", "flow");
  if (reader_find(&reader->flows, name, &index))
    return;
  struct diagnostic *diagnostic = PROBLEM(reader, "P06", reader_point(reader, expectation->flow.place, name),
                                          "通信「%s」は flows にありません", "there is no flow '%s' in flows", name);
  const char **names = reader_array(reader, policy->flow_count, sizeof(*names));
  for (size_t i = 0; names && i < policy->flow_count; i++)
    names[i] = policy->flows[i].name;
  if (names && reader->suggestions_left > 0)
    reader_suggest(reader, diagnostic, name, names, policy->flow_count);
}

/* A case is known by its name, or by its number while it has none. */
static const char *case_subject(struct reader *reader, config_setting_t *setting, size_t index) {
  config_setting_t *name = config_setting_is_group(setting) ? config_setting_get_member(setting, "name") : NULL;
  const char *text = name ? config_setting_get_string(name) : NULL;
  if (text && text[0] != '\0')
    return reader_keep(reader, text, strlen(text));
  text = arena_printf(reader->arena, "expect[%zu]", index + 1);
  return text ? text : "expect";
}

void reader_expectation(struct reader *reader, config_setting_t *setting, struct expectation *expectation,
                        size_t index) {
  size_t errors = reader->diagnostics->errors;
  reader->subject = case_subject(reader, setting, index);
  expectation->name = "";
  expectation->place = reader_place(reader, setting);
  key_set keys = reader_section(reader, SECTION_EXPECT, setting, expectation);
  if (!config_setting_is_group(setting))
    return;
  expectation->universal = saw(keys, "from_zone") || saw(keys, "to_zone");
  if (expectation->universal)
    check_universal(reader, setting, keys);
  else
    check_particular(reader, setting, keys, expectation);
  check_flow(reader, setting, expectation);
  expectation->valid = reader->diagnostics->errors == errors;
}
