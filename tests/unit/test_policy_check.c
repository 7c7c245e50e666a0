/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/check.h"
#include "policy/codes.h"
#include "policy/read.h"

#define TOWN KIDO_SOURCE_DIRECTORY "/config/examples/town.conf"
#define NOW "2026-11-24T12:00:00+09:00"

/* ---- the table of class pairs ---- */

/* The contract, row by row: "-" is either direction, ">" the left side opens. Models: all where none is named. */
static const struct contract_row {
  const char *left, *arrow, *right, *methods, *role, *models;
} contract[] = {
    {"mynumber mynumber_cloud", "-", "mynumber mynumber_cloud", "specific ops exception", "ciso", ""},
    {"mynumber mynumber_cloud", "-", "lgwan", "specific exception", "ciso", ""},
    {"lgwan", ">", "mynumber", "screen", "ciso", ""},
    {"mynumber mynumber_cloud", ">", "lgwan_line", "specific exception", "ciso", ""},
    {"mynumber mynumber_cloud", "-", "management ot", "ops exception", "ciso", ""},
    {"mynumber mynumber_cloud", "-", "maintenance", "maintenance", "ciso", ""},
    {"lgwan", "-", "lgwan", "specific ops exception", "manager", ""},
    {"ot", "-", "ot", "specific ops exception", "manager", ""},
    {"management", "-", "management", "specific ops exception", "manager", ""},
    {"internet", "-", "internet", "specific ops exception", "manager", ""},
    {"lgwan", "-", "lgwan_line", "lgwan_service ops exception", "chief", ""},
    {"lgwan", "-", "relay", "mailtext cdr exception", "chief", ""},
    {"relay", "-", "internet", "mailtext cdr exception", "chief", ""},
    {"relay", ">", "internet", "ops", "chief", ""},
    {"lgwan", ">", "internet", "screen", "chief", ""},
    {"internet", ">", "lgwan", "screen", "chief", "beta beta_prime"},
    {"lgwan", "-", "internet", "exception", "chief", ""},
    {"lgwan", ">", "breakout", "breakout", "ciso", "alpha_prime"},
    {"internet", ">", "breakout", "breakout", "chief", "alpha_prime beta beta_prime"},
    {"internet", "-", "cloud", "aggregate exception", "chief", ""},
    {"lgwan lgwan_line relay ot", "-", "management", "ops exception", "manager", ""},
    {"lgwan relay internet ot management", "-", "maintenance", "maintenance", "chief", ""},
    {"lgwan", "-", "ot", "specific ops exception", "chief", ""},
    {"management", ">", "gateway", "ops", "manager", ""},
    {"gateway", ">", "management lgwan relay ot", "ops", "manager", ""},
    {"maintenance", ">", "gateway", "maintenance", "chief", ""},
    {"gateway", ">", "cloud", "ops", "chief", ""},
    {"gateway", ">", "mynumber", "ops", "ciso", ""},
};

static const char *class_text(unsigned class) {
  return class == CLASS_COUNT_ ? "gateway" : zone_class_name((enum zone_class) class);
}

/* True when a list of words holds one. */
static bool lists(const char *words, const char *word) {
  size_t length = strlen(word);
  for (const char *at = words; (at = strstr(at, word)) != NULL; at += length)
    if ((at == words || at[-1] == ' ') && (at[length] == '\0' || at[length] == ' '))
      return true;
  return false;
}

static bool contract_allows(const struct contract_row *row, const char *from, const char *to, const char *model) {
  if (row->models[0] != '\0' && !lists(row->models, model))
    return false;
  return (lists(row->left, from) && lists(row->right, to)) ||
         (row->arrow[0] == '-' && lists(row->left, to) && lists(row->right, from));
}

START_TEST(classes_speak_as_the_contract_says) {
  enum connection_model model = (enum connection_model)_i;
  for (unsigned from = 0; from <= CLASS_COUNT_; from++) {
    for (unsigned to = 0; to <= CLASS_COUNT_; to++) {
      unsigned methods = 0;
      const char *role = NULL;
      for (size_t i = 0; i < sizeof(contract) / sizeof(contract[0]); i++) {
        const struct contract_row *row = &contract[i];
        if (!contract_allows(row, class_text(from), class_text(to), connection_model_name(model)))
          continue;
        for (unsigned method = 0; method < METHOD_COUNT_; method++)
          if (lists(row->methods, flow_method_name((enum flow_method)method)))
            methods |= 1U << method;
        role = row->role;
      }
      enum approval_role found_role;
      unsigned found = class_pair_methods((enum zone_class)from, (enum zone_class)to, model, &found_role);
      ck_assert_msg(found == methods, "%s to %s under %s: %#x, the contract says %#x", class_text(from), class_text(to),
                    connection_model_name(model), found, methods);
      if (role != NULL)
        ck_assert_msg(strcmp(approval_role_name(found_role), role) == 0, "%s to %s needs %s", class_text(from),
                      class_text(to), role);
    }
  }
}
END_TEST

/* ---- one change of the sample town ---- */

struct town_case {
  const char *name;          /* the claim */
  const char *find, *change; /* in the text of the town; the first place */
  const char *codes;         /* errors and, when asked for by name, warnings: "D04 D13"; "": no errors */
};

#define CISO_PAPERS                                                                                                    \
  "purpose = \"試験\"; owner = \"企画課\"; review = \"2027-03-31\"; "                                             \
  "approval = { by = \"副町長\"; role = \"ciso\"; document = \"1\"; date = \"2026-04-01\"; author = \"係長\"; };"
#define CHIEF_PAPERS                                                                                                   \
  "purpose = \"試験\"; owner = \"企画課\"; review = \"2027-03-31\"; "                                             \
  "approval = { by = \"課長\"; role = \"chief\"; document = \"1\"; date = \"2026-04-01\"; author = \"係長\"; };"
#define FLOW(text) "flows = {\n  F-1 = { " text " };\n"
#define EMERGENCY(end)                                                                                                   \
  FLOW("from = \"lg-mail\"; to = \"x-dns\"; services = \"tcp/9999\"; method = \"exception\"; compensation = \"記録\";" \
       "purpose = \"試験\"; owner = \"企画課\"; review = \"2026-12-31\"; expires = \"" end "\"; "                        \
       "approval = { by = \"課長\"; role = \"emergency\"; document = \"1\"; date = \"2026-11-24\"; author = "          \
       "\"係長\"; };")
#define EXCEPTION(date, end)                                                                                             \
  FLOW("from = \"lg-mail\"; to = \"x-dns\"; services = \"tcp/9999\"; method = \"exception\"; compensation = \"記録\";" \
       "purpose = \"試験\"; owner = \"企画課\"; review = \"2027-03-31\"; expires = \"" end "\"; "                        \
       "approval = { by = \"副町長\"; role = \"ciso\"; document = \"1\"; date = \"" date "\"; author = \"係長\"; };")

static const struct town_case town_cases[] = {
    {"the town itself has no errors", "policy = {", "policy = {", ""},

    {"a group of 32 behind the line is lawful with a reason",
     "from = \"mn-eltax\"; to = \"x-eltax\"; services = [ \"tcp/443\" ];",
     "from = \"mn-eltax\"; to = \"x-asp\"; services = [ \"tcp/443\" ]; reason = \"分散\";", ""},
    {"and not without", "from = \"mn-eltax\"; to = \"x-eltax\"", "from = \"mn-eltax\"; to = \"x-asp\"", "D04"},
    {"a blank reason is none", "from = \"mn-eltax\"; to = \"x-eltax\";",
     "from = \"mn-eltax\"; to = \"x-asp\"; reason = \"　\";", "D04"},
    {"via_router with its reason takes the place of a MAC address",
     "lg-zaimu = { zone = \"lgwan\"; address = \"10.210.0.12\"; mac = \"02:00:5e:10:02:12\";",
     "lg-zaimu = { zone = \"lgwan\"; address = \"10.210.0.12\"; mac_scope = \"via_router\"; mac_reason = \"L3\";", ""},
    {"without it, not", "lg-zaimu = { zone = \"lgwan\"; address = \"10.210.0.12\"; mac = \"02:00:5e:10:02:12\";",
     "lg-zaimu = { zone = \"lgwan\"; address = \"10.210.0.12\"; mac_scope = \"via_router\";", "D04"},
    {"ping into My Number is limited enough", "to = \"lg-ntp\"; services = [ \"udp/123\" ]",
     "to = \"lg-ntp\"; services = [ \"icmp/echo-request\" ]", ""},
    {"the gateway's own end needs no MAC address", "flows = {\n",
     FLOW("from = \"gateway\"; to = \"mn-kihon\"; services = \"udp/514\"; method = \"ops\"; " CISO_PAPERS), ""},
    {"host and list of single hosts are both hosts", "from = \"mn-eltax\"; to",
     "from = [ \"mn-eltax\", \"mn-av\" ]; to", ""},

    {"1,024 ports need no reason", "to = \"x-asp\"; services = [ \"tcp/443\" ]",
     "to = \"x-asp\"; services = [ \"tcp/5000-6023\" ]", ""},
    {"1,025 do", "to = \"x-asp\"; services = [ \"tcp/443\" ]", "to = \"x-asp\"; services = [ \"tcp/5000-6024\" ]",
     "D05"},
    {"ports named twice count once", "to = \"x-asp\"; services = [ \"tcp/443\" ]",
     "to = \"x-asp\"; services = [ \"tcp/5000-6000\", \"tcp/5100-6023\" ]", ""},
    {"TCP and UDP count each", "to = \"x-asp\"; services = [ \"tcp/443\" ]",
     "to = \"x-asp\"; services = [ \"tcp+udp/5000-5512\" ]", "D05"},
    {"a reason is heard", "to = \"x-asp\"; services = [ \"tcp/443\" ]",
     "to = \"x-asp\"; services = [ \"tcp/5000-9000\" ]; reason = \"仕様\"", ""},
    {"zone to zone with a reason", "from = \"w-scada\"; to = \"lg-file\";",
     "from = \"zone:water\"; to = \"zone:lgwan\"; reason = \"移行\";", ""},
    {"zone to zone without", "from = \"w-scada\"; to = \"lg-file\";", "from = \"zone:water\"; to = \"zone:lgwan\";",
     "D05"},
    {"zone to host needs none", "from = \"w-scada\"; to = \"lg-file\";", "from = \"zone:water\"; to = \"lg-file\";",
     ""},
    {"a /8 is not any", "s-waf = { zone = \"seccloud\"; address = \"203.0.113.80\";",
     "s-waf = { zone = \"seccloud\"; address = \"11.0.0.0/8\";", ""},
    {"a /7 is", "s-waf = { zone = \"seccloud\"; address = \"203.0.113.80\";",
     "s-waf = { zone = \"seccloud\"; address = \"16.0.0.0/7\";", "D05"},

    {"an end at 24:00 of 31 March is within the fiscal year", "flows = {\n", EXCEPTION("2026-04-01", "2027-03-31"), ""},
    {"said as the next midnight too", "flows = {\n", EXCEPTION("2026-04-01", "2027-04-01T00:00:00+09:00"), ""},
    {"a second later is not", "flows = {\n", EXCEPTION("2026-04-01", "2027-04-01T00:00:01+09:00"), "D07"},
    {"the fiscal year of January ends the same year", "flows = {\n", EXCEPTION("2027-01-31", "2027-04-01"), "D07"},
    {"it may end on the day of its approval", "flows = {\n", EXCEPTION("2027-03-31", "2027-03-31"), ""},
    {"and not on the day before", "flows = {\n", EXCEPTION("2027-03-31", "2027-03-30"), "D15"},
    {"72 hours of emergency", "flows = {\n", EMERGENCY("2026-11-26"), ""},
    {"and a second", "flows = {\n", EMERGENCY("2026-11-27T00:00:01+09:00"), "D13"},
    {"a review on the day of approval is lawful", "review = \"2027-02-28\"", "review = \"2026-04-01\"", ""},
    {"on the day before it is not", "review = \"2027-02-28\"", "review = \"2026-03-31\"", "D15"},

    {"legs of one machine may share a MAC address", "lg-gw = { zone = \"lgwan\"; address = \"10.210.0.11\";",
     "leg-1 = { zone = \"internet\"; address = \"10.140.0.99\"; mac = \"02:00:5e:00:00:01\"; machine = \"m\"; };\n"
     "lg-gw = { zone = \"lgwan\"; address = \"10.210.0.11\"; mac = \"02:00:5e:00:00:01\"; machine = \"m\";",
     ""},
    {"other machines may not", "lg-gw = { zone = \"lgwan\"; address = \"10.210.0.11\";",
     "leg-1 = { zone = \"internet\"; address = \"10.140.0.99\"; mac = \"02:00:5e:00:00:01\"; };\n"
     "lg-gw = { zone = \"lgwan\"; address = \"10.210.0.11\"; mac = \"02:00:5e:00:00:01\";",
     "D08"},
    {"two hosts of one zone may overlap", "lg-gw = { zone = \"lgwan\"; address = \"10.210.0.11\";",
     "lg-gw = { zone = \"lgwan\"; address = \"10.210.0.0/28\";", ""},
    {"networks that touch do not overlap", "networks = [ \"10.199.0.0/27\" ]",
     "networks = [ \"10.199.0.0/27\", \"10.162.0.64/26\" ]", ""},
    {"a VLAN is one though it runs over two NICs", "\"ens2f3.620\"", "\"ens2f3.990\"", "D08"},
    {"leading zeros make no other VLAN", "\"ens2f3.620\"", "\"ens2f3.0990\"", "D08"},
    {"My Number shares its trunk with nobody", "\"ens2f3.620\"", "\"ens1f0.620\"", "D08"},
    {"LGWAN and Internet share no trunk", "\"ens2f0.411\"", "\"ens1f1.411\"", "D08"},
    {"LGWAN and management may, with a warning", "\"eno1.990\"", "\"ens1f1.990\"", "W19"},

    {"a breakout is not the way out under alpha", "class = \"cloud\"; label = \"自治体情報セキュリティクラウド側\"",
     "class = \"breakout\"; label = \"x\"", "D09 D17"},
    {"a higher role will do", "by = \"企画課長\"; role = \"chief\"", "by = \"企画課長\"; role = \"ciso\"", ""},
    {"a lower one will not", "by = \"企画課長\"; role = \"chief\"", "by = \"企画課長\"; role = \"department\"", "D13"},
    {"several problems of one flow are all told", "method = \"screen\";\n    purpose = \"仮想ブラウザ画面転送\"; owner",
     "method = \"specific\";\n    owner", "D02 D06"},

    {"a screen into LGWAN waits for a beta model", "flows = {\n",
     FLOW("from = \"i-cms\"; to = \"lg-gw\"; services = \"tcp/443\"; method = \"screen\"; " CHIEF_PAPERS), "D14"},
    {"DNS may cross between LGWAN and its line, not to the relay",
     "from = \"lg-term\"; to = \"r-file\"; services = [ \"tcp/443\" ]",
     "from = \"lg-term\"; to = \"r-file\"; services = [ \"tcp/443\", \"udp/53\" ]", "D12"},
    {"a port of both lists is told as D12 alone", "to = \"i-vb\"; services = [ \"tcp/443\" ]",
     "to = \"i-vb\"; services = [ \"tcp/443\", \"tcp/445\" ]", "D12"},
    {"the relay may be maintained", "flows = {\n",
     FLOW("from = \"v-jump\"; to = \"r-mail\"; services = \"tcp/22\"; method = \"maintenance\"; expires = "
          "\"2027-03-31\"; "
          "window = { start = \"2026-12-01T18:00:00+09:00\"; end = \"2026-12-01T19:00:00+09:00\"; attended = true; "
          "}; " CHIEF_PAPERS),
     ""},
    {"it may open an exception to a place of its own pairs", "flows = {\n",
     FLOW("from = \"r-mail\"; to = \"lg-mail\"; services = \"tcp/587\"; method = \"exception\"; expires = "
          "\"2027-03-31\"; compensation = \"記録\"; " CISO_PAPERS),
     ""},
    {"but to no other", "flows = {\n",
     FLOW("from = \"r-mail\"; to = \"lg-gw\"; services = \"tcp/587\"; method = \"exception\"; expires = "
          "\"2027-03-31\"; compensation = \"記録\"; " CISO_PAPERS),
     "D03"},

    {"a flow within another is told", "flows = {\n",
     FLOW("from = \"lg-vdi\"; to = \"i-vb\"; services = \"tcp/443\"; method = \"screen\"; " CHIEF_PAPERS), "W05"},
    {"one that ends later is not shadowed by one that ends", "flows = {\n",
     FLOW("from = \"lg-term\"; to = \"i-vb\"; services = \"tcp/443\"; method = \"screen\"; expires = "
          "\"2027-03-31\"; " CHIEF_PAPERS),
     "W05"},
    {"two partly in common", "flows = {\n",
     FLOW("from = \"lg-vdi\"; to = \"i-vb\"; services = [ \"tcp/443\", \"tcp/8443\" ]; method = "
          "\"screen\"; " CHIEF_PAPERS),
     "W06"},
    {"an overlap with a limit", "flows = {\n",
     FLOW("from = \"lg-vdi\"; to = \"i-vb\"; services = \"tcp/443\"; limit = { connections = 5; }; method = "
          "\"screen\"; " CHIEF_PAPERS),
     "P13"},
    {"other ports do not overlap", "flows = {\n",
     FLOW("from = \"lg-term\"; to = \"i-vb\"; services = \"tcp/8443\"; limit = { connections = 5; }; method = "
          "\"screen\"; " CHIEF_PAPERS),
     ""},
};

static char *read_town(void) {
  FILE *stream = fopen(TOWN, "r");
  ck_assert_ptr_nonnull(stream);
  char *text = calloc(1, 1 << 20);
  ck_assert_uint_gt(fread(text, 1, (1 << 20) - 1, stream), 0);
  fclose(stream);
  return text;
}

static char *change_text(const char *text, const char *find, const char *change) {
  const char *at = strstr(text, find);
  ck_assert_msg(at != NULL, "the town does not say: %s", find);
  size_t size = strlen(text) + strlen(change) + 1;
  char *changed = malloc(size);
  snprintf(changed, size, "%.*s%s%s", (int)(at - text), text, change, at + strlen(find));
  return changed;
}

static const struct policy *check_text(struct arena *arena, const char *text, struct diagnostic_list *list,
                                       enum language language) {
  const struct policy *policy = NULL;
  struct error error = {0};
  struct check_options options;
  bool without_offset;
  ck_assert(instant_parse(NOW, &options.now, &without_offset));
  options.interfaces = NULL;
  diagnostic_list_init(list, arena, language);
  ck_assert_int_eq(policy_read_text("town.conf", text, strlen(text), arena, true, &policy, list, &error), 0);
  ck_assert_ptr_nonnull(policy);
  policy_check(policy, &options, list);
  return policy;
}

static bool list_has(const struct diagnostic_list *list, const char *code) {
  for (size_t i = 0; i < list->count; i++)
    if (strcmp(list->items[i].code, code) == 0)
      return true;
  return false;
}

START_TEST(one_change_of_the_town_gives_the_codes_that_fit) {
  const struct town_case *test = &town_cases[_i];
  struct arena *arena = arena_new(0);
  struct diagnostic_list list;
  char *town = read_town(), *text = change_text(town, test->find, test->change);
  check_text(arena, text, &list, LANGUAGE_ENGLISH);
  for (size_t i = 0; i < list.count; i++)
    if (list.items[i].severity == SEVERITY_ERROR)
      ck_assert_msg(lists(test->codes, list.items[i].code), "%s: %s: %s: %s", test->name, list.items[i].code,
                    list.items[i].subject, list.items[i].message);
  for (const char *code = test->codes; *code != '\0'; code += code[3] == ' ' ? 4 : 3) {
    char wanted[4] = {code[0], code[1], code[2], '\0'};
    ck_assert_msg(list_has(&list, wanted), "%s: %s is not given", test->name, wanted);
  }
  arena_free(arena);
  free(text);
  free(town);
}
END_TEST

START_TEST(both_languages_give_the_same_codes_at_the_same_places) {
  const struct town_case *test = &town_cases[_i];
  struct arena *arena = arena_new(0);
  struct diagnostic_list japanese, english;
  char *town = read_town(), *text = change_text(town, test->find, test->change);
  check_text(arena, text, &japanese, LANGUAGE_JAPANESE);
  check_text(arena, text, &english, LANGUAGE_ENGLISH);
  ck_assert_uint_eq(japanese.count, english.count);
  for (size_t i = 0; i < english.count; i++) {
    ck_assert_str_eq(japanese.items[i].code, english.items[i].code);
    ck_assert_str_eq(japanese.items[i].subject, english.items[i].subject);
    ck_assert_uint_eq(japanese.items[i].place.line, english.items[i].place.line);
    ck_assert_msg(policy_code_find(english.items[i].code) != NULL, "%s is in no table", english.items[i].code);
    ck_assert_msg(strcmp(japanese.items[i].message, english.items[i].message) != 0, "%s", english.items[i].message);
  }
  arena_free(arena);
  free(text);
  free(town);
}
END_TEST

START_TEST(the_warnings_of_the_town_are_few_and_known) {
  static const char *const known[] = {"W13 mn-term", "W15 i-proxy", "W01 F-302", "W10 F-302", "W10 F-601"};
  struct arena *arena = arena_new(0);
  struct diagnostic_list list;
  char *town = read_town();
  check_text(arena, town, &list, LANGUAGE_JAPANESE);
  diagnostic_sort(&list);
  ck_assert_uint_eq(list.errors, 0);
  ck_assert_uint_eq(list.count, sizeof(known) / sizeof(known[0]));
  for (size_t i = 0; i < list.count; i++) {
    char text[64];
    snprintf(text, sizeof(text), "%s %s", list.items[i].code, list.items[i].subject);
    ck_assert_str_eq(text, known[i]);
  }
  arena_free(arena);
  free(town);
}
END_TEST

START_TEST(interfaces_are_missed_only_when_the_machine_is_asked_about) {
  static const char *const present[] = {"lo", "ens1f0.110", "ens1f0.111", "ens1f1.210", NULL};
  struct arena *arena = arena_new(0);
  struct diagnostic_list list;
  struct check_options options = {.interfaces = present};
  bool without_offset;
  char *town = read_town();
  const struct policy *policy = check_text(arena, town, &list, LANGUAGE_ENGLISH);
  ck_assert(!list_has(&list, "W17"));
  ck_assert(instant_parse(NOW, &options.now, &without_offset));
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  policy_check(policy, &options, &list);
  size_t missed = 0;
  for (size_t i = 0; i < list.count; i++)
    missed += strcmp(list.items[i].code, "W17") == 0;
  ck_assert_uint_eq(missed, 9);
  arena_free(arena);
  free(town);
}
END_TEST

/* ---- many flows ---- */

/* Three ways for many flows to lie, each with the number of flows that another covers. */
enum layout { LAYOUT_APART, LAYOUT_ONE_DESTINATION, LAYOUT_ONE_WIDE, LAYOUT_ALL_EQUAL, LAYOUT_COUNT };

static void append_flow(FILE *stream, unsigned number, const char *from, unsigned to, unsigned port) {
  fprintf(stream,
          "F-%u = { from = \"%s\"; to = \"t-%u\"; services = \"tcp/%u\"; method = \"ops\"; purpose = \"試験\"; "
          "owner = \"課\"; review = \"2027-03-31\"; approval = { by = \"長\"; role = \"chief\"; document = \"1\"; "
          "date = \"2026-04-01\"; author = \"員\"; }; };\n",
          number, from, to, port);
}

static char *many_flows(enum layout layout, unsigned count) {
  char *text = NULL, from[32];
  size_t length;
  FILE *stream = open_memstream(&text, &length);
  fputs("policy = { name = \"n\"; number = \"1\"; basis = \"b\"; effective = \"2026-04-01\"; model = \"alpha\"; };\n"
        "zones = { a = { class = \"lgwan\"; interfaces = \"a0\"; networks = \"10.1.0.0/16\"; };\n"
        "b = { class = \"ot\"; interfaces = \"b0\"; networks = \"10.2.0.0/16\"; }; };\nhosts = {\n"
        "wide = { zone = \"a\"; address = \"10.1.0.0/16\"; };\n",
        stream);
  for (unsigned i = 0; i < count; i++) {
    fprintf(stream, "f-%u = { zone = \"a\"; address = \"10.1.%u.%u\"; };\n", i, i >> 8, i & 255);
    fprintf(stream, "t-%u = { zone = \"b\"; address = \"10.2.%u.%u\"; };\n", i, i >> 8, i & 255);
  }
  fputs("};\nflows = {\n", stream);
  if (layout == LAYOUT_ONE_WIDE)
    append_flow(stream, count, "wide", 0, 443);
  for (unsigned i = 0; i < count; i++) {
    snprintf(from, sizeof(from), "f-%u", layout == LAYOUT_ALL_EQUAL ? 0 : i);
    append_flow(stream, i, from, layout == LAYOUT_APART ? i : 0, layout == LAYOUT_ONE_DESTINATION ? 443 + i % 7 : 443);
  }
  fputs("};\n", stream);
  fclose(stream);
  return text;
}

START_TEST(ten_thousand_flows_are_compared_in_a_moment) {
  static const unsigned shadowed[LAYOUT_COUNT] = {0, 0, 1, 1};
  unsigned count = _i == LAYOUT_ALL_EQUAL ? 2000 : 10000;
  struct arena *arena = arena_new(0);
  struct diagnostic_list list;
  char *text = many_flows((enum layout)_i, count);
  check_text(arena, text, &list, LANGUAGE_ENGLISH);
  size_t found = 0;
  for (size_t i = 0; i < list.count; i++)
    found += strcmp(list.items[i].code, "W05") == 0;
  ck_assert_uint_eq(list.errors, 0);
  ck_assert_uint_eq(found, shadowed[_i] == 0 ? 0 : _i == LAYOUT_ALL_EQUAL ? count - 1 : count);
  arena_free(arena);
  free(text);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("policy check");
  TCase *pairs = tcase_create("pairs"), *town = tcase_create("town"), *many = tcase_create("many");
  int cases = (int)(sizeof(town_cases) / sizeof(town_cases[0]));
  tcase_add_loop_test(pairs, classes_speak_as_the_contract_says, 0, MODEL_COUNT_);
  tcase_add_loop_test(town, one_change_of_the_town_gives_the_codes_that_fit, 0, cases);
  tcase_add_loop_test(town, both_languages_give_the_same_codes_at_the_same_places, 0, cases);
  tcase_add_test(town, the_warnings_of_the_town_are_few_and_known);
  tcase_add_test(town, interfaces_are_missed_only_when_the_machine_is_asked_about);
  tcase_set_timeout(many, 60);
  tcase_add_loop_test(many, ten_thousand_flows_are_compared_in_a_moment, 0, LAYOUT_COUNT);
  suite_add_tcase(suite, pairs);
  suite_add_tcase(suite, town);
  suite_add_tcase(suite, many);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
