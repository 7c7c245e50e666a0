/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/box_print.h"

#include <string.h>

#include "base/text.h"
#include "control/box_json.h"

static const char *escape(const struct box_page *page, const char *text) {
  const char *escaped = text_escape(page->invocation->arena, text);
  return escaped != NULL ? escaped : "";
}

/* "lgwan (LGWAN接続系)" */
static const char *zone_text(const struct box_page *page, zone_index zone) {
  const char *name = policy_zone_name(page->policy, zone);
  const char *label = zone >= 0 && page->language == LANGUAGE_JAPANESE ? page->policy->zones[zone].label : "";
  const char *text =
      label[0] != '\0' ? arena_printf(page->invocation->arena, "%s (%s)", name, escape(page, label)) : name;
  return text != NULL ? text : name;
}

static void print_head(const struct box_page *page, const struct exact_box *box) {
  printf("  %s → %s\n", zone_text(page, box->from), zone_text(page, box->to));
}

static const char *mac_text(const struct box_page *page, const struct exact_box *box, char text[static MAC_TEXT_SIZE]) {
  if (box->has_mac)
    return mac_format(&box->mac, text);
  return box->other_macs ? language_choose(page->language, "登録以外のMAC", "other MACs") : NULL;
}

static const char *flow_text(const struct box_page *page, const struct exact_box *box) {
  if (box->flow == NULL)
    return language_choose(page->language, "領域内", "within the zone");
  return escape(page, box->flow->name);
}

/* "10.0.0.5:50000 → 10.1.0.1:443" */
static void print_example(const struct box_page *page, const struct exact_box *box) {
  const struct packet *packet = &box->example;
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE];
  bool ports = packet->protocol == PROTOCOL_TCP || packet->protocol == PROTOCOL_UDP;
  const char *before = packet->source.family == FAMILY_IPV6 && ports ? "[" : "";
  const char *behind = packet->source.family == FAMILY_IPV6 && ports ? "]" : "";
  printf(language_choose(page->language, "  例 ", "  e.g. "));
  printf("%s%s%s", before, address_format(&packet->source, source), behind);
  if (ports)
    printf(":%u", packet->source_port);
  printf(" → %s%s%s", before, address_format(&packet->destination, destination), behind);
  if (ports)
    printf(":%u", packet->destination_port);
  putchar('\n');
}

/* Boxes that differ in the service alone stand in one line. */
static bool same_line(const struct exact_box *one, const struct exact_box *other) {
  return one->from == other->from && one->to == other->to && one->flow == other->flow &&
         range_equal(&one->source, &other->source) && range_equal(&one->destination, &other->destination) &&
         one->has_mac == other->has_mac && one->other_macs == other->other_macs && mac_equal(&one->mac, &other->mac);
}

static bool stands_before(const struct exact_box *boxes, size_t box) {
  for (size_t i = box; i-- > 0 && boxes[i].from == boxes[box].from && boxes[i].to == boxes[box].to;)
    if (same_line(&boxes[i], &boxes[box]))
      return true;
  return false;
}

/* "tcp/443, udp/0-3543,3545-65535": the name of the protocol is not said again. */
static void print_services(const struct exact_box *boxes, size_t box, size_t count) {
  char texts[2][BOX_SERVICE_SIZE] = {{0}};
  unsigned now = 0;
  for (size_t i = box; i < count && boxes[i].from == boxes[box].from && boxes[i].to == boxes[box].to; i++) {
    if (!same_line(&boxes[i], &boxes[box]))
      continue;
    char *text = texts[now], *before = texts[1 - now];
    size_t name = strcspn(box_service_text(&boxes[i], text), "/") + 1;
    bool again = i != box && strncmp(text, before, name) == 0;
    printf("%s%s", i == box ? "  " : again ? "," : ", ", again ? text + name : text);
    now = 1 - now;
  }
}

static void print_line(const struct box_page *page, const struct exact_box *boxes, size_t at, size_t count) {
  const struct exact_box *box = &boxes[at];
  char source[RANGE_TEXT_SIZE], destination[RANGE_TEXT_SIZE], mac_room[MAC_TEXT_SIZE];
  const char *mac = mac_text(page, box, mac_room), *colour = page->invocation->colour_output ? page->colour : "";
  printf("    %s%s%s%s", colour, page->sign, page->sign[0] != '\0' ? " " : "", range_format(&box->source, source));
  if (mac != NULL)
    printf(" (%s)", mac);
  printf(" → %s", range_format(&box->destination, destination));
  print_services(boxes, at, count);
  printf("%s  %s", colour[0] != '\0' ? "\033[0m" : "", flow_text(page, box));
  print_example(page, box);
}

void box_print_all(const struct box_page *page, const struct exact_box *boxes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (i == 0 || boxes[i].from != boxes[i - 1].from || boxes[i].to != boxes[i - 1].to)
      print_head(page, &boxes[i]);
    if (!stands_before(boxes, i))
      print_line(page, boxes, i, count);
  }
}
