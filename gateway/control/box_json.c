/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/box_json.h"

#include <stdio.h>

#include "control/packet_json.h"

static const char *span_text(const char *name, unsigned first, unsigned last, char text[static BOX_SERVICE_SIZE]) {
  if (first == last)
    snprintf(text, BOX_SERVICE_SIZE, "%s/%u", name, first);
  else
    snprintf(text, BOX_SERVICE_SIZE, "%s/%u-%u", name, first, last);
  return text;
}

const char *box_service_text(const struct exact_box *box, char text[static BOX_SERVICE_SIZE]) {
  static const struct {
    uint8_t protocol;
    const char *name;
    int echo; /* type of an echo request; -1: ports */
  } named[] = {{PROTOCOL_TCP, "tcp", -1},
               {PROTOCOL_UDP, "udp", -1},
               {PROTOCOL_ICMP, "icmp", 8},
               {PROTOCOL_ICMPV6, "icmpv6", 128}};
  for (size_t i = 0; box->first_protocol == box->last_protocol && i < sizeof named / sizeof *named; i++) {
    if (named[i].protocol != box->first_protocol)
      continue;
    if (named[i].echo != box->first_port || box->first_port != box->last_port)
      return span_text(named[i].name, box->first_port, box->last_port, text);
    snprintf(text, BOX_SERVICE_SIZE, "%s/echo-request", named[i].name);
    return text;
  }
  return span_text("proto", box->first_protocol, box->last_protocol, text);
}

static json_t *mac_to_json(const struct exact_box *box) {
  char text[MAC_TEXT_SIZE];
  if (box->has_mac)
    return json_string(mac_format(&box->mac, text));
  return box->other_macs ? json_string("other") : json_null();
}

json_t *box_to_json(const struct policy *policy, const struct exact_box *box) {
  char source[RANGE_TEXT_SIZE], destination[RANGE_TEXT_SIZE], service[BOX_SERVICE_SIZE];
  const struct packet_way way = {.from = box->from, .to = box->to};
  return json_pack("{s:o, s:o, s:s, s:s, s:s, s:o, s:s?, s:o}", "from_zone", zone_to_json(policy, box->from), "to_zone",
                   zone_to_json(policy, box->to), "source", range_format(&box->source, source), "destination",
                   range_format(&box->destination, destination), "service", box_service_text(box, service), "mac",
                   mac_to_json(box), "flow", box->flow != NULL ? box->flow->name : NULL, "example",
                   packet_to_json(policy, &way, &box->example));
}

json_t *boxes_to_json(const struct policy *policy, const struct exact_box *boxes, size_t count) {
  json_t *array = json_array();
  for (size_t i = 0; i < count; i++)
    if (json_array_append_new(array, box_to_json(policy, &boxes[i])) < 0) {
      json_decref(array);
      return NULL;
    }
  return array;
}
