/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WIRE_CONTROL_PARTS_H
#define KIDO_WIRE_CONTROL_PARTS_H

#include "base/cursor.h"
#include "wire/control.h"

/* Between the decoders of control.h. Each stands behind the headers that led to it, and notes what it can read. */

void control_read_dhcp(struct cursor *cursor, struct control_facts *facts);
void control_read_dhcpv6(struct cursor *cursor, struct control_facts *facts);
void control_read_router_advert(struct cursor *cursor, struct control_facts *facts);
void control_read_redirect(struct cursor *cursor, struct control_facts *facts);
void control_read_redirect_v6(struct cursor *cursor, struct control_facts *facts);
void control_read_irdp(struct cursor *cursor, struct control_facts *facts);
void control_read_rip(struct cursor *cursor, struct control_facts *facts);
void control_read_stp(struct cursor *cursor, struct control_facts *facts);
void control_read_lldp(struct cursor *cursor, struct control_facts *facts);
void control_read_cdp(struct cursor *cursor, struct control_facts *facts);

/* The next bytes as an address; FAMILY_NONE when they are not there. */
struct address control_take_ipv4(struct cursor *cursor);
struct address control_take_ipv6(struct cursor *cursor);
void control_note_address(struct control_facts *facts, const struct address *address);
/* A name as others wrote it: cut at what is not printable, letters made small. */
void control_note_name(struct control_facts *facts, const uint8_t *bytes, size_t length);

#endif
