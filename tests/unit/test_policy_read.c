/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/read.h"
#include "policy/schema.h"

#define TOWN KIDO_SOURCE_DIRECTORY "/config/examples/town.conf"

static struct arena *arena;
static struct diagnostic_list list;
static struct error error;
static const struct policy *policy;
static char directory[] = "/tmp/kido-test-XXXXXX";

static void setup(void) {
  arena = arena_new(0);
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  error = (struct error){0};
  policy = NULL;
}

static void teardown(void) {
  arena_free(arena);
}

static int read_text(const char *text) {
  return policy_read_text("test.conf", text, strlen(text), arena, true, &policy, &list, &error);
}

static const char *first_code(void) {
  return list.count > 0 ? list.items[0].code : "none";
}

/* A policy with these flows, and zones a and b with the hosts one and two. */
static char *with_flows(const char *flows) {
  return arena_printf(arena,
                      "policy = { name = \"t\"; number = \"1\"; model = \"alpha\"; };\n"
                      "zones = { a = { class = \"lgwan\"; networks = \"10.2.0.0/24\"; };\n"
                      "b = { class = \"internet\"; networks = [ \"10.3.0.0/24\", \"2001:db8::/64\" ]; }; };\n"
                      "hosts = { one = { zone = \"a\"; address = \"10.2.0.1\"; };\n"
                      "two = { zone = \"b\"; address = \"10.3.0.2\"; }; };\n%s",
                      flows);
}

static const struct flow *read_flow(const char *keys) {
  ck_assert_int_eq(read_text(with_flows(arena_printf(
                       arena, "flows = { F = { from = \"one\"; to = \"two\"; method = \"screen\"; %s }; };", keys))),
                   0);
  ck_assert_msg(list.errors == 0, "%s", list.count ? list.items[0].message : "");
  return &policy->flows[0];
}

/* ---- the model ---- */

START_TEST(the_sample_town_is_read_whole) {
  ck_assert_int_eq(policy_read(TOWN, arena, false, &policy, &list, &error), 0);
  ck_assert_uint_eq(list.errors, 0);
  ck_assert_uint_eq(policy->zone_count, 11);
  ck_assert_uint_eq(policy->host_count, 44);
  ck_assert_uint_eq(policy->flow_count, 36);
  ck_assert_uint_eq(policy->expectation_count, 7);
  ck_assert_uint_eq(strlen(policy->sha256), 64);
  const struct flow *flow = policy_find_flow(policy, "F-101");
  ck_assert_str_eq(flow->from[0].host->name, "lg-dns");
  ck_assert_uint_eq(flow->service_count, 2);
  ck_assert_uint_eq(flow->approval.role, ROLE_CHIEF);
  ck_assert_str_eq(flow->place.file, TOWN);
  ck_assert_uint_eq(flow->place.line, 122);
  ck_assert_uint_eq(flow->approval.date.place.line, 126);
}
END_TEST

START_TEST(the_policy_names_the_language_of_its_diagnostics_unless_it_is_forced) {
  const char *text = "# language = \"en\"\npolicy = { x = \"language\"; language = \"ja\"; };";
  policy_read_text("t", text, strlen(text), arena, false, &policy, &list, &error);
  ck_assert_int_eq(list.language, LANGUAGE_JAPANESE);
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  policy_read_text("t", text, strlen(text), arena, true, &policy, &list, &error);
  ck_assert_int_eq(list.language, LANGUAGE_ENGLISH);
}
END_TEST

START_TEST(also_the_complaint_about_a_file_that_does_not_parse_is_in_its_language) {
  const char *text = "policy = { language = \"en\"; }; zones = {";
  diagnostic_list_init(&list, arena, LANGUAGE_JAPANESE);
  policy_read_text("t", text, strlen(text), arena, false, &policy, &list, &error);
  ck_assert_ptr_null(policy);
  ck_assert_str_eq(list.items[0].message, "'{' is never closed");
}
END_TEST

static const char *const list_forms[] = {"\"tcp/443\"", "[ \"tcp/443\" ]", "( \"tcp/443\" )"};

START_TEST(one_value_may_stand_alone_or_in_an_array_or_in_a_list) {
  const struct flow *flow = read_flow(arena_printf(arena, "services = %s;", list_forms[_i]));
  ck_assert_uint_eq(flow->service_count, 1);
  ck_assert_uint_eq(flow->services[0].first_port, 443);
}
END_TEST

struct service_case {
  const char *text;
  size_t count;
  uint8_t protocol;
  uint16_t first_port, last_port;
  uint8_t icmp_type;
};

static const struct service_case service_cases[] = {
    {"tcp/443", 1, 6, 443, 443, 0},     {"udp/5000-5010", 1, 17, 5000, 5010, 0},
    {"tcp/1-65535", 1, 6, 1, 65535, 0}, {"tcp+udp/53", 2, 6, 53, 53, 0},
    {"udp+tcp/53", 2, 6, 53, 53, 0},    {"icmp/echo-request", 1, 1, 0, 0, 8},
    {"icmp/8", 1, 1, 0, 0, 8},          {"icmpv6/echo-request", 1, 58, 0, 0, 128},
    {"icmpv6/128", 1, 58, 0, 0, 128},   {"proto/132", 1, 132, 0, 65535, 0},
    {"https", 1, 6, 443, 443, 0},       {"dns", 2, 6, 53, 53, 0},
    {"ica", 4, 6, 1494, 1494, 0},       {"ping", 1, 1, 0, 0, 8},
};

START_TEST(a_service_means_its_protocol_and_ports) {
  const struct service_case *c = &service_cases[_i];
  const struct flow *flow = read_flow(arena_printf(arena, "services = \"%s\";", c->text));
  const struct service *service = &flow->services[0];
  ck_assert_msg(flow->service_count == c->count, "%s: %zu", c->text, flow->service_count);
  ck_assert_msg(service->protocol == c->protocol && service->first_port == c->first_port &&
                    service->last_port == c->last_port && service->icmp_type == c->icmp_type,
                "%s", c->text);
  ck_assert_str_eq(service->text, c->text);
}
END_TEST

START_TEST(every_entry_of_the_catalogue_can_be_used) {
  size_t count;
  const struct catalogue_entry *entries = service_catalogue(&count);
  for (size_t i = 0; i < count; i++) {
    const struct flow *flow = read_flow(arena_printf(arena, "services = \"%s\";", entries[i].name));
    ck_assert_msg(flow->service_count > 0, "%s", entries[i].name);
  }
}
END_TEST

START_TEST(the_names_of_the_catalogue_differ) {
  size_t count;
  const struct catalogue_entry *entries = service_catalogue(&count);
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < i; k++)
      ck_assert_str_ne(entries[i].name, entries[k].name);
}
END_TEST

START_TEST(an_own_name_stands_for_its_definitions) {
  ck_assert_int_eq(read_text(with_flows("services = { web = [ \"tcp/80\", \"https\" ]; };\n"
                                        "flows = { F = { from = \"one\"; to = \"two\"; method = \"screen\";\n"
                                        "services = [ \"web\" ]; }; };")),
                   0);
  ck_assert_uint_eq(list.errors, 0);
  ck_assert_uint_eq(policy->flows[0].service_count, 2);
  ck_assert_uint_eq(policy->flows[0].services[1].first_port, 443);
  ck_assert_str_eq(policy->flows[0].services[1].text, "web");
}
END_TEST

/* ---- time ---- */

struct moment_case {
  const char *text;
  int64_t seconds;
};

static const struct moment_case moment_cases[] = {
    {"2027-03-31", 1806505200},                /* 2027-04-01T00:00:00+09:00 */
    {"2026-12-31", 1798729200},                /* 2027-01-01T00:00:00+09:00 */
    {"2028-02-28", 1835362800},                /* 2028-02-29T00:00:00+09:00 */
    {"2027-03-31T12:00:00+09:00", 1806462000}, /* as written */
    {"2027-03-31T03:00:00Z", 1806462000},
};

START_TEST(a_bare_expiry_lasts_until_the_end_of_its_day) {
  const struct moment_case *c = &moment_cases[_i];
  const struct flow *flow = read_flow(arena_printf(arena, "services = \"tcp/1\"; expires = \"%s\";", c->text));
  ck_assert(flow->expires_set);
  ck_assert_msg(flow->expires.seconds == c->seconds, "%s: %lld", c->text, (long long)flow->expires.seconds);
}
END_TEST

START_TEST(a_window_of_dates_takes_whole_days) {
  const struct flow *flow =
      read_flow("services = \"tcp/1\"; window = { start = \"2027-03-31\"; end = \"2027-03-31\"; };");
  ck_assert_uint_eq(flow->window_count, 1);
  ck_assert_int_eq(flow->windows[0].end.seconds - flow->windows[0].start.seconds, 86400);
  ck_assert(flow->windows[0].valid);
  ck_assert(!flow->windows[0].attended);
}
END_TEST

struct hours_case {
  const char *text;
  uint8_t weekdays;
  unsigned first_minute, last_minute;
};

static const struct hours_case hours_cases[] = {
    {"mon-fri 08:30-17:15", 0x1f, 510, 1035},    {"sat,sun 09:00-12:00", 0x60, 540, 720},
    {"mon 22:00-05:00", 0x01, 1320, 300},        {"fri-mon 00:00-24:00", 0x71, 0, 1440},
    {"tue,thu-sat 08:00-09:00", 0x3a, 480, 540},
};

START_TEST(hours_are_days_and_minutes) {
  const struct hours_case *c = &hours_cases[_i];
  const struct flow *flow = read_flow(arena_printf(arena, "services = \"tcp/1\"; hours = \"%s\";", c->text));
  ck_assert(flow->hours.set);
  ck_assert_msg(flow->hours.weekdays == c->weekdays && flow->hours.first_minute == c->first_minute &&
                    flow->hours.last_minute == c->last_minute,
                "%s", c->text);
}
END_TEST

START_TEST(dates_mean_the_timezone_of_the_policy) {
  char *text = with_flows("flows = { F = { from = \"one\"; to = \"two\"; method = \"screen\"; services = \"tcp/1\"; "
                          "expires = \"2027-03-31\"; }; };");
  char *utc = arena_printf(arena, "policy = { timezone = \"UTC\";%s", strchr(text, '{') + 1);
  ck_assert_int_eq(read_text(utc), 0);
  ck_assert_uint_eq(list.errors, 0);
  ck_assert_int_eq(policy->flows[0].expires.seconds, 1806537600);
}
END_TEST

/* ---- holes and many problems ---- */

START_TEST(a_model_with_errors_has_holes_and_can_be_walked) {
  ck_assert_int_eq(read_text("policy = 1; zones = { a = \"x\"; b = { class = 3; }; }; hosts = { h = { zone = \"c\"; }; "
                             "}; flows = { F = { from = [ \"h\", \"g\" ]; services = [ 1 ]; window = ( 1 ); }; G = 1; "
                             "}; expect = ( 1, { from = \"h\"; } );"),
                   0);
  ck_assert_ptr_nonnull(policy);
  ck_assert_uint_gt(list.errors, 10);
  ck_assert_uint_eq(policy->zone_count, 2);
  ck_assert_int_eq(policy->hosts[0].zone, ZONE_NONE);
  ck_assert_int_eq(policy->flows[0].from_zone, ZONE_NONE);
  ck_assert(!policy->flows[0].method_known);
  ck_assert_str_eq(policy->sha256, "");
}
END_TEST

START_TEST(parts_may_stand_in_any_order) {
  ck_assert_int_eq(
      read_text("flows = { F = { from = \"one\"; to = \"zone:b\"; method = \"screen\"; services = \"web\"; }; };\n"
                "services = { web = \"tcp/80\"; };\n"
                "hosts = { one = { zone = \"a\"; address = \"10.2.0.1\"; }; };\n"
                "zones = { a = { class = \"lgwan\"; networks = \"10.2.0.0/24\"; routers = \"one\"; };\n"
                "b = { class = \"internet\"; networks = \"10.3.0.0/24\"; }; };\n"
                "policy = { name = \"t\"; number = \"1\"; model = \"alpha\"; };\n"),
      0);
  ck_assert_msg(list.errors == 0, "%s", list.count ? list.items[0].message : "");
  ck_assert_int_eq(policy->flows[0].to_zone, 1);
}
END_TEST

START_TEST(a_large_group_is_read_as_one) {
  char *flows = NULL;
  size_t length;
  FILE *stream = open_memstream(&flows, &length);
  fputs("flows = {\n", stream);
  for (int i = 0; i < 1000; i++)
    fprintf(stream, "F-%d = { from = \"one\"; to = \"two\"; method = \"screen\"; services = \"tcp/%d\"; }%s\n", i,
            i + 1,
            i % 3 == 0   ? ""
            : i % 3 == 1 ? ";"
                         : ",");
  fputs("F-7 = { };\n};\n", stream);
  fclose(stream);
  ck_assert_int_eq(read_text(with_flows(flows)), 0);
  free(flows);
  ck_assert_uint_eq(list.errors, 1);
  ck_assert_str_eq(list.items[0].code, "P07");
  ck_assert_uint_eq(list.items[0].related[0].place.line, 7 + 7);
  ck_assert_uint_eq(policy->flow_count, 1000);
  for (size_t i = 0; i < 1000; i++) {
    ck_assert_uint_eq(policy->flows[i].index, i);
    ck_assert_uint_eq(policy->flows[i].place.line, 7 + i);
    ck_assert_uint_eq(policy->flows[i].services[0].first_port, i + 1);
  }
}
END_TEST

struct flood_case {
  const char *start, *before, *behind, *end; /* around a number that counts */
};

static const struct flood_case flood_cases[] = {
    {"flows = { ", "same = 1; f", " = 1;\n", "};"},                          /* duplicates */
    {"policy = 1; zones = { };\nflows = { ", "f", " = 1;\n", "};"},          /* wrong types */
    {"policy = 1; zones = { };\nhosts = { ", "h", " = { x = 1; };\n", "};"}, /* unknown and missing keys */
};

static char *flood(const struct flood_case *c, int count) {
  char *text = NULL;
  size_t length;
  FILE *stream = open_memstream(&text, &length);
  fputs(c->start, stream);
  for (int i = 0; i < count; i++)
    fprintf(stream, "%s%d%s", c->before, i, c->behind);
  fputs(c->end, stream);
  fclose(stream);
  return text;
}

START_TEST(there_is_an_end_to_complaints) {
  char *text = flood(&flood_cases[_i], 30000);
  ck_assert_int_eq(read_text(text), 0);
  ck_assert_uint_lt(list.count, 10100);
  ck_assert_uint_gt(list.count, 9999);
  free(text);
}
END_TEST

START_TEST(a_column_counts_characters_and_not_bytes) {
  ck_assert_int_eq(read_text("policy = { name = \"架空\"; numbr = \"1\"; };"), 0);
  for (size_t i = 0; i < list.count; i++)
    if (strcmp(list.items[i].code, "P02") == 0) {
      ck_assert_uint_eq(list.items[i].place.column, 25);
      ck_assert_uint_eq(list.items[i].place.length, 5);
      return;
    }
  ck_abort_msg("numbr was accepted");
}
END_TEST

/* ---- hostile text ---- */

static const char *const hostile[] = {
    "",
    "\xef\xbb\xbf",
    "@include",
    "@include \"",
    "\"",
    "/*",
    "//",
    "#",
    "{",
    "}",
    "a",
    "a=",
    "a=(",
    "a={",
    "a={b",
    "a={b=",
    "a={b=\"c",
    "a=\"\\",
    "a=-",
    "a=.",
    "a=0x",
    "a=1LLL",
    "a=1e",
    "a=;",
    "=1",
    "a=1;;",
    "a=[1,\"b\"]",
    "a=[[1]]",
    "*=1",
    "**1={}",
    "flows**1={}",
    "true=1",
    "a=true1",
    "a=1 2",
    "a=(1 2)",
    "a=\"b\" \"c\"",
    "policy={name=\"a\" \"b\";}",
    "flows=(1)",
    "expect=[]",
    "zones={a={class=\"lgwan\";networks=[];};}",
};

START_TEST(no_text_brings_the_reader_down) {
  ck_assert_int_eq(read_text(hostile[_i]), 0);
  ck_assert_msg(list.errors > 0, "accepted: %s", hostile[_i]);
}
END_TEST

START_TEST(no_beginning_of_a_policy_brings_the_reader_down) {
  static char text[65536];
  FILE *stream = fopen(KIDO_SOURCE_DIRECTORY "/config/examples/full.conf", "r");
  ck_assert_ptr_nonnull(stream);
  size_t length = fread(text, 1, sizeof(text), stream);
  fclose(stream);
  for (size_t cut = 0; cut < length; cut += 37) {
    diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
    ck_assert_int_eq(policy_read_text("cut", text, cut, arena, true, &policy, &list, &error), 0);
    ck_assert(policy || list.errors > 0);
  }
}
END_TEST

START_TEST(text_from_memory_includes_no_file) {
  ck_assert_int_eq(read_text("@include \"/etc/passwd\"\n"), 0);
  ck_assert_str_eq(first_code(), "P09");
  ck_assert_ptr_null(policy);
}
END_TEST

/* ---- files ---- */

static void enter_directory(void) {
  strcpy(directory, "/tmp/kido-test-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(directory));
  ck_assert_int_eq(chdir(directory), 0);
}

static void leave_directory(void) {
  char *command = NULL;
  ck_assert_int_gt(asprintf(&command, "rm -r '%s'", directory), 0);
  ck_assert_int_eq(chdir("/"), 0);
  ck_assert_int_eq(system(command), 0);
  free(command);
}

static void write_file(const char *name, const char *text) {
  FILE *stream = fopen(name, "w");
  ck_assert_ptr_nonnull(stream);
  fputs(text, stream);
  fclose(stream);
}

START_TEST(what_is_no_readable_file_is_an_error_and_not_a_diagnostic) {
  enter_directory();
  ck_assert_int_eq(mkfifo("pipe", 0600), 0);
  ck_assert_int_eq(symlink("circle", "circle"), 0);
  write_file("large", "");
  ck_assert_int_eq(truncate("large", (off_t)POLICY_FILE_LIMIT + 1), 0);
  static const struct {
    const char *name;
    int code;
  } cases[] = {{"nowhere", ENOENT}, {".", EISDIR},    {"pipe", EINVAL},    {"/dev/zero", EINVAL},
               {"circle", ELOOP},   {"large", EFBIG}, {"large/x", ENOTDIR}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    ck_assert_msg(policy_read(cases[i].name, arena, true, &policy, &list, &error) == -cases[i].code, "%s: %s",
                  cases[i].name, error.message);
    ck_assert_ptr_null(policy);
    ck_assert_ptr_nonnull(strstr(error.message, cases[i].name));
  }
  ck_assert_uint_eq(list.count, 0);
  leave_directory();
}
END_TEST

START_TEST(an_included_file_is_sought_beside_the_including_one) {
  enter_directory();
  ck_assert_int_eq(mkdir("parts", 0700), 0);
  write_file("policy.conf", "policy = { name = \"t\"; number = \"1\"; model = \"alpha\"; };\n"
                            "  @include \"parts/zones.inc\"\n"
                            "hosts = { h = { zone = \"a\"; address = \"10.2.0.1\"; }; };\n");
  write_file("parts/zones.inc", "zones = {\n@include \"a.inc\" # here\n};");
  write_file("parts/a.inc", "\n\na = { class = \"lgwan\"; networks = \"10.2.0.0/24\"; };");
  ck_assert_int_eq(policy_read("policy.conf", arena, true, &policy, &list, &error), 0);
  ck_assert_msg(list.errors == 0, "%s", list.count ? list.items[0].message : "");
  ck_assert_str_eq(policy->zones[0].place.file, "parts/a.inc");
  ck_assert_uint_eq(policy->zones[0].place.line, 3);
  ck_assert_str_eq(policy->hosts[0].place.file, "policy.conf");
  ck_assert_uint_eq(policy->hosts[0].place.line, 3);
  leave_directory();
}
END_TEST

START_TEST(a_last_line_without_its_end_that_mentions_include_is_kept) {
  enter_directory();
  write_file("head.inc", "policy = { name = \"t\"; number = \"1\"; model = \"alpha\"; };\n");
  write_file("policy.conf", "@include \"head.inc\"\n"
                            "zones = { a = { class = \"lgwan\"; networks = \"10.2.0.0/24\"; }; }; # no @include");
  ck_assert_int_eq(policy_read("policy.conf", arena, true, &policy, &list, &error), 0);
  ck_assert_msg(list.errors == 0, "%s", list.count ? list.items[0].message : "");
  ck_assert_uint_eq(policy->zone_count, 1);
  leave_directory();
}
END_TEST

START_TEST(an_include_mentioned_behind_an_include_is_none) {
  enter_directory();
  write_file("head.inc", "policy = { name = \"t\"; number = \"1\"; model = \"alpha\"; };\n");
  write_file("policy.conf", "@include \"head.inc\" # and no other @include");
  ck_assert_int_eq(policy_read("policy.conf", arena, true, &policy, &list, &error), 0);
  ck_assert_ptr_nonnull(policy);
  ck_assert_str_eq(policy->header.number.text, "1");
  leave_directory();
}
END_TEST

START_TEST(an_included_pipe_is_refused_and_not_waited_for) {
  enter_directory();
  ck_assert_int_eq(mkfifo("pipe", 0600), 0);
  write_file("policy.conf", "@include \"pipe\"\n");
  ck_assert_int_eq(policy_read("policy.conf", arena, true, &policy, &list, &error), 0);
  ck_assert_str_eq(first_code(), "P09");
  leave_directory();
}
END_TEST

START_TEST(an_include_in_a_comment_or_a_string_is_none) {
  enter_directory();
  write_file("policy.conf", "# @include \"x\"\n/*\n@include \"y\"\n*/\n"
                            "policy = { name = \"@include\"; number = \"1\"; model = \"alpha\"; };\n"
                            "zones = { };\n");
  ck_assert_int_eq(policy_read("policy.conf", arena, true, &policy, &list, &error), 0);
  ck_assert_uint_eq(list.errors, 0);
  leave_directory();
}
END_TEST

START_TEST(a_byte_order_mark_and_windows_line_ends_are_taken) {
  ck_assert_int_eq(read_text("\xef\xbb\xbfpolicy = {\r\n name = \"t\";\r\n number = \"1\";\r\n model = \"alpha\";\r\n"
                             "};\r\nzones = { };\r\n"),
                   0);
  ck_assert_msg(list.errors == 0, "%s", list.count ? list.items[0].message : "");
}
END_TEST

START_TEST(without_memory_there_is_an_error_and_no_policy) {
  for (size_t limit = 4096; limit < 200000; limit = limit * 3 / 2) {
    struct arena *small = arena_new(limit);
    struct diagnostic_list complaints;
    diagnostic_list_init(&complaints, small, LANGUAGE_ENGLISH);
    const struct policy *nothing = NULL;
    int result = policy_read(TOWN, small, true, &nothing, &complaints, &error);
    ck_assert(result == 0 ? nothing && complaints.errors == 0 : !nothing);
    arena_free(small);
  }
}
END_TEST

/* ---- the schema ---- */

START_TEST(every_key_of_the_schema_is_documented_in_both_languages) {
  for (int id = 0; id < SECTION_COUNT_; id++) {
    const struct schema_section *section = schema_section((enum schema_section_id)id);
    ck_assert(section->title_ja && section->title_en && section->key_count <= 64);
    for (size_t i = 0; i < section->key_count; i++) {
      const struct schema_key *key = &section->keys[i];
      ck_assert_msg(key->doc_ja && key->doc_en, "%s.%s", section->name, key->name);
      ck_assert_msg(schema_find_key(section, key->name) == key, "%s.%s stands there twice", section->name, key->name);
    }
  }
}
END_TEST

START_TEST(the_words_of_the_schema_are_those_of_the_model) {
  const struct schema_key *key = schema_find_key(schema_section(SECTION_ZONE), "class");
  for (unsigned i = 0; i < CLASS_COUNT_; i++)
    ck_assert_str_eq(key->choices->names[i], zone_class_name((enum zone_class)i));
  key = schema_find_key(schema_section(SECTION_FLOW), "method");
  for (unsigned i = 0; i < METHOD_COUNT_; i++)
    ck_assert_str_eq(key->choices->names[i], flow_method_name((enum flow_method)i));
  key = schema_find_key(schema_section(SECTION_POLICY), "model");
  for (unsigned i = 0; i < MODEL_COUNT_; i++)
    ck_assert_str_eq(key->choices->names[i], connection_model_name((enum connection_model)i));
  key = schema_find_key(schema_section(SECTION_APPROVAL), "role");
  for (unsigned i = ROLE_MANAGER; i < ROLE_COUNT_; i++)
    ck_assert_str_eq(key->choices->names[i], approval_role_name((enum approval_role)i));
}
END_TEST

#define ROWS(table) ((int)(sizeof(table) / sizeof((table)[0])))

static TCase *model_cases(void) {
  TCase *cases = tcase_create("model");
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_add_test(cases, the_sample_town_is_read_whole);
  tcase_add_test(cases, the_policy_names_the_language_of_its_diagnostics_unless_it_is_forced);
  tcase_add_test(cases, also_the_complaint_about_a_file_that_does_not_parse_is_in_its_language);
  tcase_add_loop_test(cases, one_value_may_stand_alone_or_in_an_array_or_in_a_list, 0, ROWS(list_forms));
  tcase_add_loop_test(cases, a_service_means_its_protocol_and_ports, 0, ROWS(service_cases));
  tcase_add_test(cases, every_entry_of_the_catalogue_can_be_used);
  tcase_add_test(cases, the_names_of_the_catalogue_differ);
  tcase_add_test(cases, an_own_name_stands_for_its_definitions);
  tcase_add_loop_test(cases, a_bare_expiry_lasts_until_the_end_of_its_day, 0, ROWS(moment_cases));
  tcase_add_test(cases, a_window_of_dates_takes_whole_days);
  tcase_add_loop_test(cases, hours_are_days_and_minutes, 0, ROWS(hours_cases));
  tcase_add_test(cases, dates_mean_the_timezone_of_the_policy);
  tcase_add_test(cases, every_key_of_the_schema_is_documented_in_both_languages);
  tcase_add_test(cases, the_words_of_the_schema_are_those_of_the_model);
  return cases;
}

static TCase *problem_cases(void) {
  TCase *cases = tcase_create("problems");
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_set_timeout(cases, 60);
  tcase_add_test(cases, a_model_with_errors_has_holes_and_can_be_walked);
  tcase_add_test(cases, parts_may_stand_in_any_order);
  tcase_add_test(cases, a_large_group_is_read_as_one);
  tcase_add_loop_test(cases, there_is_an_end_to_complaints, 0, ROWS(flood_cases));
  tcase_add_test(cases, a_column_counts_characters_and_not_bytes);
  tcase_add_loop_test(cases, no_text_brings_the_reader_down, 0, ROWS(hostile));
  tcase_add_test(cases, no_beginning_of_a_policy_brings_the_reader_down);
  tcase_add_test(cases, text_from_memory_includes_no_file);
  tcase_add_test(cases, what_is_no_readable_file_is_an_error_and_not_a_diagnostic);
  tcase_add_test(cases, an_included_file_is_sought_beside_the_including_one);
  tcase_add_test(cases, an_included_pipe_is_refused_and_not_waited_for);
  tcase_add_test(cases, a_last_line_without_its_end_that_mentions_include_is_kept);
  tcase_add_test(cases, an_include_mentioned_behind_an_include_is_none);
  tcase_add_test(cases, an_include_in_a_comment_or_a_string_is_none);
  tcase_add_test(cases, a_byte_order_mark_and_windows_line_ends_are_taken);
  tcase_add_test(cases, without_memory_there_is_an_error_and_no_policy);
  return cases;
}

int main(void) {
  Suite *suite = suite_create("policy read");
  suite_add_tcase(suite, model_cases());
  suite_add_tcase(suite, problem_cases());
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
