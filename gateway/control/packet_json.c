/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/packet_json.h"

json_t *zone_to_json(const struct policy *policy, zone_index zone) {
  return zone == ZONE_NONE ? json_null() : json_string(policy_zone_name(policy, zone));
}

json_t *place_to_json(const struct place *place) {
  return place->file ? json_pack("{s:s, s:I}", "file", place->file, "line", (json_int_t)place->line) : json_null();
}

static json_t *number_if(bool known, unsigned number) {
  return known ? json_integer((json_int_t)number) : json_null();
}

static json_t *mac_to_json(const struct packet *packet) {
  char text[MAC_TEXT_SIZE];
  return packet->has_source_mac ? json_string(mac_format(&packet->source_mac, text)) : json_null();
}

json_t *packet_to_json(const struct policy *policy, const struct packet_way *way, const struct packet *packet) {
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE];
  bool icmp = packet->protocol == PROTOCOL_ICMP || packet->protocol == PROTOCOL_ICMPV6;
  bool readable = (packet->traits & TRAIT_NO_PORTS) == 0;
  return json_pack("{s:o, s:o, s:s?, s:s?, s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:o}", "from_zone",
                   zone_to_json(policy, way->from), "to_zone", zone_to_json(policy, way->to), "in", way->in, "out",
                   way->out, "src", address_format(&packet->source, source), "dst",
                   address_format(&packet->destination, destination), "protocol", (int)packet->protocol, "sport",
                   number_if(!icmp && readable, packet->source_port), "dport",
                   number_if(!icmp && readable, packet->destination_port), "icmp_type",
                   number_if(icmp && readable, packet->icmp_type), "icmp_code",
                   number_if(icmp && readable, packet->icmp_code), "src_mac", mac_to_json(packet));
}
