/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/snapshot.h"
#include "kernel/surroundings.h"
#include "policy/read.h"
#include "proof/bypass.h"
#include "proof/decode.h"

/* Prints, as JSON, the ways round the rules that are found in the network namespace that this process is in, for the
 * zones of a policy: `bypasses POLICY`. Beside them what was collected, for tests of the collecting itself. */

static const char *const states[] = {
    [BYPASS_OPEN] = "open", [BYPASS_UNKNOWN] = "unknown", [BYPASS_ASSUMED] = "assumed"};
static const char *const fact_states[] = {
    [FACT_GOOD] = "good", [FACT_BAD] = "bad", [FACT_UNKNOWN] = "unknown", [FACT_UNSEEN] = "unseen"};

static json_t *show_bypass(const struct policy *policy, const struct bypass *bypass) {
  return json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind", bypass->kind, "state", states[bypass->state], "detail",
                   bypass->detail, "left", policy_zone_name(policy, bypass->left), "right",
                   policy_zone_name(policy, bypass->right));
}

static json_t *show_fact(const struct machine_fact *fact) {
  return json_pack("{s:s, s:s, s:s?, s:s?, s:s}", "kind", fact->kind, "subject", fact->subject, "detail", fact->detail,
                   "expected", fact->expected, "state", fact_states[fact->state]);
}

static json_t *show_listener(const struct listener *listener) {
  char address[ADDRESS_TEXT_SIZE] = "*";
  if (listener->address.family != FAMILY_NONE) {
    address_format(&listener->address, address);
  }
  return json_pack("{s:b, s:s?, s:i, s:s, s:i, s:i, s:s}", "packet", listener->packet, "link", listener->link,
                   "protocol", listener->protocol, "address", address, "port", listener->port, "process",
                   (int)listener->process, "program", listener->program);
}

static json_t *show(const struct policy *policy, const struct surroundings *surroundings, const struct bypass *bypasses,
                    size_t count) {
  json_t *found = json_array(), *facts = json_array(), *listeners = json_array(), *links = json_array();
  for (size_t i = 0; i < count; i++) {
    json_array_append_new(found, show_bypass(policy, &bypasses[i]));
  }
  for (size_t i = 0; i < surroundings->fact_count; i++) {
    json_array_append_new(facts, show_fact(&surroundings->facts[i]));
  }
  for (size_t i = 0; i < surroundings->listener_count; i++) {
    json_array_append_new(listeners, show_listener(&surroundings->listeners[i]));
  }
  for (size_t i = 0; i < surroundings->link_count; i++) {
    json_array_append_new(links, json_string(surroundings->links[i].name));
  }
  return json_pack("{s:o, s:o, s:o, s:o, s:b, s:b}", "bypasses", found, "facts", facts, "listeners", listeners, "links",
                   links, "forwarding4", surroundings->forwarding4, "forwarding6", surroundings->forwarding6);
}

static const struct policy *read_policy(const char *path, struct arena *arena) {
  FILE *file = fopen(path, "re");
  char *text = arena_alloc(arena, 1 << 20);
  size_t length = file != NULL ? fread(text, 1, 1 << 20, file) : 0;
  struct diagnostic_list diagnostics;
  struct error error = {0};
  const struct policy *policy = NULL;
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  if (file != NULL) {
    fclose(file);
  }
  if (policy_read_text(path, text, length, arena, false, &policy, &diagnostics, &error) < 0 || policy == NULL) {
    fprintf(stderr, "%s: %s\n", path, error.message);
    return NULL;
  }
  return policy;
}

static int look(const struct policy *policy, struct arena *arena, struct error *error) {
  struct snapshot snapshot = {0};
  struct live_ruleset *ruleset = NULL;
  struct surroundings *surroundings = NULL;
  struct bypass *bypasses = NULL;
  size_t count = 0;
  int status = snapshot_take(arena, &snapshot, error);
  status = status == 0 ? decode_ruleset(&snapshot, arena, &ruleset, error) : status;
  status = status == 0 ? surroundings_read(arena, &surroundings, error) : status;
  status = status == 0 ? bypass_find(policy, ruleset, surroundings, arena, &bypasses, &count) : status;
  if (status == 0) {
    json_t *answer = show(policy, surroundings, bypasses, count);
    json_dumpf(answer, stdout, JSON_INDENT(1));
    puts("");
    json_decref(answer);
  }
  return status;
}

int main(int count, char **words) {
  struct arena *arena = arena_new(0);
  struct error error = {0};
  const struct policy *policy = count == 2 && arena != NULL ? read_policy(words[1], arena) : NULL;
  int status = policy != NULL ? look(policy, arena, &error) : -1;
  if (status < 0) {
    fprintf(stderr, "bypasses: %s\n", error.message);
  }
  arena_free(arena);
  return status == 0 ? EXIT_SUCCESS : 3;
}
