/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "policy/print.h"
#include "policy/read_scan.h"
#include "policy/reader.h"

/*
 * From text to model in three steps. source_load() reads the files and splices them together. scan_source() looks
 * over the text as a whole, refuses what libconfig would misread, and cuts it into pieces. libconfig makes a tree of
 * each piece, and the reader of the part walks it by the schema, collecting every problem; what is wrong leaves a hole
 * in the model.
 */

enum { SUGGESTION_LIMIT = 100, COLUMN_LIMIT = 10000, DEFAULT_HALF_OPEN_LIMIT = 256 };

/* ---- one section by its schema ---- */

static const struct schema_section *find_section_of_key(const char *name) {
  for (int id = 0; id < SECTION_COUNT_; id++)
    if (schema_find_key(schema_section((enum schema_section_id)id), name))
      return schema_section((enum schema_section_id)id);
  return NULL;
}

static void suggest_key(struct reader *reader, const struct schema_section *section, struct diagnostic *diagnostic,
                        const char *name) {
  const char *names[64];
  size_t count = 0;
  const struct schema_section *other = find_section_of_key(name);
  for (size_t i = 0; i < section->key_count && count < 64; i++)
    names[count++] = section->keys[i].name;
  if (other)
    HINT(reader, diagnostic, "「%s」は %s のキーです", "'%s' is a key of %s", name, other->name);
  reader_suggest(reader, diagnostic, name, names, count);
}

static void refuse_translation(struct reader *reader, struct place place, const char *name) {
  struct diagnostic *diagnostic = PROBLEM(reader, "D11", place, "アドレス変換「%s」は使えません",
                                          "address translation ('%s') does not exist here", name);
  HINT(reader, diagnostic, "変換を必要としない経路とアドレスにしてください", "use routes and addresses that need none");
}

static void refuse_key(struct reader *reader, const struct schema_section *section, config_setting_t *setting,
                       const char *name) {
  if (schema_is_translation_key(name)) {
    refuse_translation(reader, reader_place_of(reader, setting, name), name);
    return;
  }
  struct diagnostic *diagnostic =
      PROBLEM(reader, "P02", reader_place_of(reader, setting, name), "「%s」は %s のキーにありません",
              "'%s' is not a key of %s", name, section->name);
  suggest_key(reader, section, diagnostic, name);
}

static void require_keys(struct reader *reader, const struct schema_section *section, const config_setting_t *group,
                         key_set seen) {
  for (size_t i = 0; i < section->key_count; i++) {
    const struct schema_key *key = &section->keys[i];
    if (!key->required || (seen & (key_set)1 << i))
      continue;
    struct diagnostic *diagnostic =
        PROBLEM(reader, "P05", reader_place_of_name(reader, group), "「%s」がありません", "'%s' is missing", key->name);
    if (key->choices)
      HINT(reader, diagnostic, "次のいずれかを書いてください: %s", "write one of %s",
           reader_list_choices(reader, key->choices));
    else
      HINT(reader, diagnostic, "%sを書いてください", "write %s",
           language_choose(reader->diagnostics->language, schema_kind_label_ja(key->kind),
                           schema_kind_label_en(key->kind)));
  }
}

static key_set read_key(struct reader *reader, const struct schema_section *section, config_setting_t *setting,
                        void *object) {
  const char *name = reader_setting_name(reader, setting);
  const struct schema_key free_key = {.name = name, .kind = KIND_NOTE};
  const struct schema_key *key = name ? schema_find_key(section, name) : NULL;
  if (!name)
    return 0;
  if (!key && section->free_keys && strncmp(name, "x_", 2) == 0)
    reader_value(reader, &free_key, setting, object);
  else if (!key)
    refuse_key(reader, section, setting, name);
  else
    reader_value(reader, key, setting, object);
  return key ? (key_set)1 << (key - section->keys) : 0;
}

key_set reader_section(struct reader *reader, enum schema_section_id id, config_setting_t *group, void *object) {
  const struct schema_section *section = schema_section(id);
  key_set seen = 0;
  if (!config_setting_is_group(group)) {
    struct diagnostic *diagnostic = PROBLEM(reader, "P03", reader_place_of_name(reader, group),
                                            "%s は { … } で書いてください", "%s: write a group { ... }", section->name);
    HINT(reader, diagnostic, "{ キー = 値; … } の形にしてください", "give it the form { KEY = VALUE; ... }");
    return 0;
  }
  int count = config_setting_length(group);
  for (int i = 0; i < count; i++)
    seen |= read_key(reader, section, config_setting_get_elem(group, (unsigned)i), object);
  require_keys(reader, section, group, seen);
  return seen;
}

bool reader_saw(enum schema_section_id id, key_set keys, const char *name) {
  const struct schema_section *section = schema_section(id);
  const struct schema_key *key = schema_find_key(section, name);
  return key && (keys & (key_set)1 << (key - section->keys));
}

/* ---- the parts of the file ---- */

static const char *piece_name(struct reader *reader, const struct piece *piece) {
  return reader_keep(reader, piece->name, piece->name_length);
}

static bool is_top(const struct piece *piece, size_t top) {
  const char *name = schema_top(top)->name;
  return strlen(name) == piece->name_length && memcmp(name, piece->name, piece->name_length) == 0;
}

static bool is_known_top(const struct piece *piece) {
  for (size_t top = 0; top < TOP_COUNT_; top++)
    if (is_top(piece, top))
      return true;
  return false;
}

static void refuse_top(struct reader *reader, const struct piece *piece) {
  const char *name = piece_name(reader, piece), *names[TOP_COUNT_];
  struct place place = source_place_at(reader->source, piece->at, piece->name_length);
  if (schema_is_translation_key(name)) {
    refuse_translation(reader, place, name);
    return;
  }
  struct diagnostic *diagnostic = PROBLEM(
      reader, "P02", place, "「%s」という部はありません（policy, zones, hosts, services, flows, expect のいずれか）",
      "'%s' is not a part of a policy (policy, zones, hosts, services, flows, expect)", name);
  for (size_t i = 0; i < TOP_COUNT_; i++)
    names[i] = schema_top(i)->name;
  reader_suggest(reader, diagnostic, name, names, TOP_COUNT_);
}

static void check_parts(struct reader *reader, const struct pieces *pieces) {
  bool present[TOP_COUNT_] = {false};
  for (size_t i = 0; i < pieces->count; i++) {
    const struct piece *piece = &pieces->items[i];
    for (size_t top = 0; top < TOP_COUNT_; top++)
      present[top] = present[top] || is_top(piece, top);
    if (!is_known_top(piece) && !piece->continues && !memchr(piece->name, '*', piece->name_length))
      refuse_top(reader, piece);
  }
  for (size_t top = 0; top < TOP_COUNT_; top++)
    if (schema_top(top)->required && !present[top])
      PROBLEM(reader, "P05", ((struct place){.file = reader->policy->file}), "「%s」の部がありません",
              "the part '%s' is missing", schema_top(top)->name);
}

static bool has_right_shape(const config_setting_t *setting, size_t top) {
  if (!schema_top(top)->is_list)
    return config_setting_is_group(setting);
  /* "expect = [ ]" is an array to libconfig, and as good as an empty list. */
  return config_setting_is_list(setting) || (config_setting_is_array(setting) && config_setting_length(setting) == 0);
}

static void refuse_shape(struct reader *reader, const struct piece *piece, size_t top) {
  const char *name = schema_top(top)->name;
  struct place place = source_place_at(reader->source, piece->at, piece->name_length);
  if (schema_top(top)->is_list)
    PROBLEM(reader, "P03", place, "%s は ( { … }, { … } ) の形で書いてください", "write %s = ( { ... }, { ... } )",
            name);
  else
    PROBLEM(reader, "P03", place, "%s は { … } の形で書いてください", "write %s = { ... }", name);
}

/* What scan_source() let pass and libconfig refuses all the same. */
static void report_parse_error(struct reader *reader, const config_t *tree) {
  int line = config_error_line(tree);
  reader->unreadable = true;
  diagnostic_add(reader->diagnostics, SEVERITY_ERROR, "P01",
                 source_place(reader->source, reader->line_base + (line > 0 ? (unsigned)line : 1)), "",
                 "書式が正しくありません（libconfig: %s）", "the syntax is wrong (libconfig: %s)",
                 config_error_text(tree));
}

typedef void read_part(struct reader *reader, config_setting_t *part);

static void read_piece(struct reader *reader, const struct pieces *pieces, const struct piece *piece, size_t top,
                       read_part *read) {
  config_t tree;
  config_init(&tree);
  reader->subject = "";
  reader->line_base = piece->line - 1;
  if (!config_read_string(&tree, pieces->text + piece->offset)) {
    report_parse_error(reader, &tree);
  } else {
    config_setting_t *part = config_setting_get_elem(config_root_setting(&tree), 0);
    if (has_right_shape(part, top))
      read(reader, part);
    else
      refuse_shape(reader, piece, top);
  }
  config_destroy(&tree);
}

static void read_top(struct reader *reader, const struct pieces *pieces, size_t top, read_part *read) {
  for (size_t i = 0; i < pieces->count && !reader->out_of_memory; i++)
    if (is_top(&pieces->items[i], top) && !pieces->items[i].duplicate)
      read_piece(reader, pieces, &pieces->items[i], top, read);
}

static void read_header(struct reader *reader, config_setting_t *part) {
  reader->policy->header.place = reader_place(reader, part);
  reader->subject = "policy";
  reader_section(reader, SECTION_POLICY, part, &reader->policy->header);
}

static void ensure_timezone(struct reader *reader) {
  struct policy_header *header = &reader->policy->header;
  if (!header->timezone)
    header->timezone = timezone_load(reader->arena, header->timezone_name);
  if (!header->timezone)
    reader->out_of_memory = true;
}

/* "gateway" is this appliance, wherever a zone or a host may be named. */
static void check_reserved(struct reader *reader, config_setting_t *setting, const char *name) {
  if (strcmp(name, "gateway") == 0)
    PROBLEM(reader, "P04", reader_place_of(reader, setting, name),
            "「gateway」は本機を指す名前であり、ほかに使えません", "'gateway' names this appliance and nothing else");
}

static config_setting_t *next_setting(struct reader *reader, config_setting_t *part, unsigned index) {
  return reader_is_overwhelmed(reader) ? NULL : config_setting_get_elem(part, index);
}

static void read_zones(struct reader *reader, config_setting_t *part) {
  struct policy *policy = reader->policy;
  config_setting_t *setting;
  for (unsigned i = 0; (setting = next_setting(reader, part, i)); i++) {
    const char *name = reader_setting_name(reader, setting);
    if (!name)
      continue;
    struct zone *zone = &policy->zones[policy->zone_count];
    zone->name = reader->subject = name;
    check_reserved(reader, setting, name);
    reader_index(reader, &reader->zones, name, policy->zone_count++);
    reader_zone(reader, setting, zone);
  }
}

static void read_hosts(struct reader *reader, config_setting_t *part) {
  struct policy *policy = reader->policy;
  config_setting_t *setting;
  for (unsigned i = 0; (setting = next_setting(reader, part, i)); i++) {
    const char *name = reader_setting_name(reader, setting);
    if (!name)
      continue;
    struct host *host = &policy->hosts[policy->host_count];
    host->name = reader->subject = name;
    check_reserved(reader, setting, name);
    reader_index(reader, &reader->hosts, name, policy->host_count++);
    reader_host(reader, setting, host);
  }
}

static void read_own_services(struct reader *reader, config_setting_t *part) {
  struct policy *policy = reader->policy;
  config_setting_t *setting;
  for (unsigned i = 0; (setting = next_setting(reader, part, i)); i++) {
    const char *name = reader_setting_name(reader, setting);
    if (!name)
      continue;
    struct named_service *service = &policy->services[policy->named_service_count];
    service->name = reader->subject = name;
    reader_named_service(reader, setting, service);
    reader_index(reader, &reader->services, name, policy->named_service_count++);
  }
}

static void read_flows(struct reader *reader, config_setting_t *part) {
  struct policy *policy = reader->policy;
  config_setting_t *setting;
  for (unsigned i = 0; (setting = next_setting(reader, part, i)); i++) {
    const char *name = reader_setting_name(reader, setting);
    if (!name)
      continue;
    struct flow *flow = &policy->flows[policy->flow_count];
    flow->name = reader->subject = name;
    flow->index = policy->flow_count++;
    reader_index(reader, &reader->flows, name, flow->index);
    reader_flow(reader, setting, flow);
  }
}

static void read_expectations(struct reader *reader, config_setting_t *part) {
  struct policy *policy = reader->policy;
  config_setting_t *setting;
  policy->expectations = reader_array(reader, (size_t)config_setting_length(part), sizeof(*policy->expectations));
  for (unsigned i = 0; policy->expectations && (setting = next_setting(reader, part, i)); i++)
    reader_expectation(reader, setting, &policy->expectations[policy->expectation_count++], i);
}

static size_t count_members(const struct pieces *pieces, size_t top) {
  size_t count = 0;
  for (size_t i = 0; i < pieces->count; i++)
    if (is_top(&pieces->items[i], top) && !pieces->items[i].duplicate)
      count += pieces->items[i].members;
  return count;
}

/* Hosts are pointed at by flows: the arrays never move. */
static bool make_room(struct reader *reader, const struct pieces *pieces) {
  struct policy *policy = reader->policy;
  policy->zones = reader_array(reader, count_members(pieces, TOP_ZONES), sizeof(*policy->zones));
  reader->zone_holes = reader_array(reader, count_members(pieces, TOP_ZONES), sizeof(*reader->zone_holes));
  policy->hosts = reader_array(reader, count_members(pieces, TOP_HOSTS), sizeof(*policy->hosts));
  policy->services = reader_array(reader, count_members(pieces, TOP_SERVICES), sizeof(*policy->services));
  policy->flows = reader_array(reader, count_members(pieces, TOP_FLOWS), sizeof(*policy->flows));
  return !reader->out_of_memory;
}

static void read_parts(struct reader *reader, const struct pieces *pieces) {
  if (!make_room(reader, pieces))
    return;
  check_parts(reader, pieces);
  read_top(reader, pieces, TOP_POLICY, read_header);
  ensure_timezone(reader);
  read_top(reader, pieces, TOP_ZONES, read_zones);
  read_top(reader, pieces, TOP_HOSTS, read_hosts);
  reader_check_speakers(reader);
  reader_index_catalogue(reader);
  read_top(reader, pieces, TOP_SERVICES, read_own_services);
  read_top(reader, pieces, TOP_FLOWS, read_flows);
  read_top(reader, pieces, TOP_EXPECT, read_expectations);
}

/* ---- the whole ---- */

static struct policy *policy_new(struct arena *arena, const char *file) {
  struct policy *policy = ARENA_NEW(arena, struct policy);
  if (!policy)
    return NULL;
  policy->file = file;
  policy->header.timezone_name = "Asia/Tokyo";
  policy->header.half_open_limit = DEFAULT_HALF_OPEN_LIMIT;
  return policy;
}

static int hash_policy(struct policy *policy, struct arena *arena) {
  size_t length;
  const char *text = policy_print(policy, arena, &length);
  if (!text)
    return -ENOMEM;
  sha256_text(text, length, policy->sha256);
  return 0;
}

static void reader_free(struct reader *reader) {
  name_table_free(&reader->zones);
  name_table_free(&reader->hosts);
  name_table_free(&reader->services);
  name_table_free(&reader->flows);
  name_table_free(&reader->catalogue);
  free(reader->scratch);
}

static int read_pieces(const struct source *source, const struct pieces *pieces, struct arena *arena, const char *file,
                       const struct policy **ret_policy, struct diagnostic_list *diagnostics, struct error *error) {
  struct reader reader = {.arena = arena,
                          .diagnostics = diagnostics,
                          .source = source,
                          .policy = policy_new(arena, file),
                          .subject = "",
                          .suggestions_left = SUGGESTION_LIMIT,
                          .columns_left = COLUMN_LIMIT};
  if (reader.policy)
    read_parts(&reader, pieces);
  reader_free(&reader);
  if (!reader.policy || reader.out_of_memory || arena_failed(arena) || diagnostics->out_of_memory ||
      (diagnostics->errors == 0 && hash_policy(reader.policy, arena) < 0))
    return error_set(error, ENOMEM, "%s: %s", file, strerror(ENOMEM));
  if (!reader.unreadable)
    *ret_policy = reader.policy;
  return 0;
}

static int read_source(const struct source *source, const char *name, struct arena *arena,
                       const struct policy **ret_policy, struct diagnostic_list *diagnostics, struct error *error) {
  struct pieces pieces = {0};
  bool well_formed = false;
  int result = 0;
  const char *file = arena_strdup(arena, name);
  if (!file)
    return error_set(error, ENOMEM, "%s: %s", name, strerror(ENOMEM));
  if (diagnostics->errors == 0)
    result = scan_source(source, diagnostics, &pieces, &well_formed, error);
  if (result == 0 && well_formed)
    result = read_pieces(source, &pieces, arena, file, ret_policy, diagnostics, error);
  pieces_free(&pieces);
  diagnostic_sort(diagnostics);
  return result;
}

int policy_read(const char *path, struct arena *arena, bool language_forced, const struct policy **ret_policy,
                struct diagnostic_list *diagnostics, struct error *error) {
  struct source source;
  *ret_policy = NULL;
  int result = source_load(&source, path, language_forced, diagnostics, error);
  if (result == 0)
    result = read_source(&source, path, arena, ret_policy, diagnostics, error);
  source_free(&source);
  return result;
}

int policy_read_text(const char *name, const char *text, size_t length, struct arena *arena, bool language_forced,
                     const struct policy **ret_policy, struct diagnostic_list *diagnostics, struct error *error) {
  struct source source;
  *ret_policy = NULL;
  int result = source_load_text(&source, name, text, length, language_forced, diagnostics, error);
  if (result == 0)
    result = read_source(&source, name, arena, ret_policy, diagnostics, error);
  source_free(&source);
  return result;
}
