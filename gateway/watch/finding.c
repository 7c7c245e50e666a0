/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/finding.h"

static const struct finding_rule RULES[FINDING_KIND_COUNT_] = {
    [FINDING_CROSSING] = {"crossing", EVENT_CRITICAL},
    [FINDING_DISGUISED_CROSSING] = {"disguised-crossing", EVENT_CRITICAL},
    [FINDING_BRIDGED] = {"bridged", EVENT_CRITICAL},
    [FINDING_BYPASS] = {"bypass", EVENT_CRITICAL},
    [FINDING_DUAL_HOMED] = {"dual-homed", EVENT_CRITICAL},
    [FINDING_IDENTITY_THEFT] = {"identity-theft", EVENT_CRITICAL},
    [FINDING_ROGUE_ROUTER] = {"rogue-router", EVENT_CRITICAL},
    [FINDING_ROGUE_UPLINK] = {"rogue-uplink", EVENT_CRITICAL},
    [FINDING_TUNNEL] = {"tunnel", EVENT_CRITICAL},
    [FINDING_SPOOFED] = {"spoofed", EVENT_WARNING},
    [FINDING_PROTOCOL_MISMATCH] = {"protocol-mismatch", EVENT_WARNING},
    [FINDING_WRONG_SHAPE] = {"wrong-shape", EVENT_WARNING},
    [FINDING_UNKNOWN_SEGMENT] = {"unknown-segment", EVENT_WARNING},
    [FINDING_BLIND] = {"blind", EVENT_CRITICAL},
    [FINDING_ATTEMPT] = {"attempt", EVENT_NOTICE},
    [FINDING_MALFORMED] = {"malformed", EVENT_NOTICE},
};

static const char *const DIRECTION_NAMES[] = {
    [FRAME_ENTERING] = "in",
    [FRAME_LEAVING] = "out",
    [FRAME_PASSING] = "on-wire",
    [FRAME_DIRECTION_NONE] = NULL,
};

const struct finding_rule *finding_rule(enum finding_kind kind) {
  return &RULES[kind];
}

const char *frame_direction_name(enum frame_direction direction) {
  return DIRECTION_NAMES[direction];
}
