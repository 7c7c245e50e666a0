/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_POLICY_CHECK_PARTS_H
#define KIDO_POLICY_CHECK_PARTS_H

#include "policy/check.h"

/* What the parts of the doctrine share; nobody else includes this. */
struct check {
  const struct policy *policy;
  const struct check_options *options;
  struct diagnostic_list *diagnostics;
  enum language language;
  const struct timezone *timezone;
  bool whole;               /* reading found no errors: what looks unused is not merely misspelt */
  struct arena *scratch;    /* freed when the checks are over */
  struct flow_state *flows; /* one per flow of the policy */
  unsigned columns_left;    /* how many carets may still be looked up: each reads the file */
};

/* What one part of the checks tells the later ones about a flow. */
struct flow_state {
  bool pair_refused;  /* its class pair was refused: nothing else is said of its method */
  bool ports_refused; /* they are no limit at all (D04): that they are many is not told as well */
  bool never;         /* ... by D01 or D10: no change of the flow could make it lawful */
  bool end_refused;   /* its `expires` was refused: nothing else is said of its end */
  bool over;          /* it has expired or its last window is past: history, authorises nothing */
};

/* The parts. check_dates() comes first, check_pairs() next. */
void check_pairs(struct check *check);             /* D01 D02 D10 D14 D17, who approved (D13) */
void check_relays(struct check *check);            /* D03 */
void check_mynumber(struct check *check);          /* D04 */
void check_widths(struct check *check);            /* D05 */
void check_papers(struct check *check);            /* D06, author and approver (D13) */
void check_dates(struct check *check);             /* D07 D15, dates that passed or come near */
void check_zones(struct check *check);             /* D08 D09, interfaces */
void check_hosts(struct check *check);             /* D08 */
void check_ports(struct check *check);             /* D12 D16 */
void check_overlaps(struct check *check);          /* flows that cover one another */
void check_use(struct check *check);               /* what is unused, unpinned, or joins what may not meet */
void check_expectation_worth(struct check *check); /* expectations that cannot fail */

/* ---- words ---- */

const char *check_class_label(const struct check *check, enum zone_class class); /* CLASS_COUNT_: the gateway */
/* "lg-term, lg-mail": at most three members, then how many more. */
const char *check_end_text(const struct check *check, const struct endpoint *ends, size_t count);
const char *check_endpoint_text(const struct check *check, const struct endpoint *end); /* as in the file */
const char *check_date_text(const struct check *check, struct instant instant);
/* A bare end of a day is said as that day: 2027-03-31T24:00 is 2027-03-31. */
const char *check_end_date_text(const struct check *check, struct instant end);
const char *check_words(const struct check *check, const char *japanese, const char *english);
bool check_text_present(const struct text *text); /* more than blanks, the wide blank included */

/* The place with the column of a token of its line: for the caret. Only the first hundred are looked up. */
struct place check_at(struct check *check, struct place place, const char *token);
struct place check_at_name(struct check *check, struct place place, const char *name); /* of a zone, host or flow */

/* ---- facts ---- */

/* The class of a zone index, CLASS_COUNT_ for the gateway; false for a hole in the model. */
bool check_class_of(const struct check *check, zone_index zone, enum zone_class *ret_class);
/* Both classes of a flow; false where one is not known. */
bool check_flow_classes(const struct check *check, const struct flow *flow, enum zone_class *ret_from,
                        enum zone_class *ret_to);
bool check_is_mynumber(enum zone_class class); /* mynumber or mynumber_cloud */
bool check_is_sanitising(enum flow_method method);
struct instant check_day_start(const struct check *check, const struct date *date);
struct instant check_day_end(const struct check *check, const struct date *date); /* 24:00 */
bool check_range_in(const struct address_range *range, const struct placed_range *outer, size_t count);
bool check_range_touches(const struct address_range *range, const struct placed_range *others, size_t count);
const struct zone *check_zone(const struct check *check, zone_index zone); /* NULL: no such zone, or the gateway */
size_t check_host_index(const struct check *check, const struct host *host);

/* The methods of a pair under any model: what D14 tells from D17. */
unsigned check_pair_methods_of_any_model(enum zone_class from, enum zone_class to);
bool check_pair_may_speak(const struct check *check, enum zone_class one, enum zone_class other); /* either way */

#endif
