/* SPDX-License-Identifier: GPL-2.0-or-later */
/* D, E: addresses that may not be there. */
#include "acceptance.h"

#include <stdio.h>
#include <string.h>

struct bad_address {
  const char *id, *address, *reason;
  bool uncounted; /* the kernel drops it before any rule */
};

static const struct bad_address bad_sources[] = {
    {"AC-D3", "255.255.255.255", "special-source", false},
    {"AC-D3", "10.210.0.255", "broadcast-source", false},
    {"AC-D3", "10.140.0.255", "broadcast-source", false},
    {"AC-D4", "224.0.0.9", "special-source", false},
    {"AC-D4", "239.255.255.250", "special-source", false},
    {"AC-D4", "ff02::1", "special-source", true},
    {"AC-D4", "ff05::2", "special-source", true},
    {"AC-D5", "127.0.0.1", "special-source", false},
    {"AC-D5", "127.255.255.254", "special-source", false},
    {"AC-D5", "::1", "special-source", true},
    {"AC-D6", "0.0.0.0", "special-source", false},
    {"AC-D6", "0.255.255.255", "special-source", false},
    {"AC-D6", "240.0.0.1", "special-source", false},
    {"AC-D6", "255.255.255.254", "special-source", false},
    {"AC-D7", "::", "special-source", false},
    {"AC-D7", "4000::1", "special-source", false},
    {"AC-D7", "1fff:ffff::1", "special-source", false},
    {"AC-D7", "fc00::1", "special-source", false},
    {"AC-D7", "fdff::1", "special-source", false},
    {"AC-D14", "::ffff:10.210.0.14", "special-source", false},
    {"AC-D14", "::10.210.0.14", "special-source", false},
    {"AC-D14", "2001:db8::1", "special-source", false},
    {"AC-D14", "fec0::1", "special-source", false},
    {"AC-E3", "169.254.1.1", "special-source", false},
    {"AC-E3", "fe80::99", "special-source", false},
    {"AC-E9", "192.0.0.8", "special-source", false},
    {"AC-E9", "192.0.2.1", "special-source", false},
    {"AC-E9", "198.18.0.1", "special-source", false},
    {"AC-E9", "198.19.255.255", "special-source", false},
    {"AC-E4", "198.51.100.53", "spoofed-source", false}, /* exempt for this town, but not of this zone */
    {"AC-E4", "10.209.255.255", "spoofed-source", false},
    {"AC-E4", "10.210.1.0", "spoofed-source", false},
    {"AC-E4", "8.8.8.8", "spoofed-source", false},
    {"AC-E4", "100.64.0.1", "spoofed-source", false},
    {"AC-E4", "192.168.1.1", "spoofed-source", false},
    {"AC-E4", "2606:4700::1111", "spoofed-source", false},
};

static const struct bad_address bad_destinations[] = {
    {"AC-D5", "127.0.0.1", "special-destination", false},
    {"AC-D5", "::1", "special-destination", true},
    {"AC-D6", "0.0.0.0", "special-destination", false},
    {"AC-D6", "240.0.0.1", "special-destination", false},
    {"AC-D7", "::", "special-destination", false},
    {"AC-D7", "4000::1", "special-destination", false},
    {"AC-D7", "fd00::1", "special-destination", false},
    {"AC-D14", "::ffff:198.51.100.53", "special-destination", false},
    {"AC-D14", "2001:db8::53", "special-destination", false},
    {"AC-D14", "fec0::53", "special-destination", false},
    {"AC-E3", "169.254.169.254", "special-destination", false},
    {"AC-E3", "fe80::53", "special-destination", false},
    {"AC-E9", "192.0.0.8", "special-destination", false},
    {"AC-E9", "192.0.2.1", "special-destination", false},
    {"AC-E9", "198.18.0.1", "special-destination", false},
    {"AC-D12", "10.140.0.255", "directed-broadcast", false},
    {"AC-D12", "10.162.0.63", "directed-broadcast", false},
    {"AC-D12", "172.31.250.7", "directed-broadcast", false},
};

static void assert_bad_address(const struct bad_address *bad, bool as_source) {
  struct address address = address_of(bad->address);
  struct lab_probe probe = lawful(address.family, PROTOCOL_UDP);
  char name[96], what[128];
  *(as_source ? &probe.recipe.packet.source : &probe.recipe.packet.destination) = address;
  snprintf(name, sizeof(name), "guard.lgwan.%s", bad->reason);
  snprintf(what, sizeof(what), "%s %s %s", bad->id, as_source ? "source" : "destination", bad->address);
  if (bad->uncounted)
    ck_assert_msg(!passes(&probe), "%s passed", what);
  else
    assert_denied(&probe, name, what);
}

START_TEST(AC_D3_to_D7_D14_E3_E4_E9_sources_that_may_not_be_there_are_dropped_with_their_reason) {
  open_town();
  for (size_t i = 0; i < sizeof(bad_sources) / sizeof(bad_sources[0]); i++)
    assert_bad_address(&bad_sources[i], true);
  close_town();
}
END_TEST

START_TEST(AC_D5_to_D7_D12_D14_E3_E9_destinations_that_may_not_be_there_are_dropped_with_their_reason) {
  open_town();
  for (size_t i = 0; i < sizeof(bad_destinations) / sizeof(bad_destinations[0]); i++)
    assert_bad_address(&bad_destinations[i], false);
  close_town();
}
END_TEST

START_TEST(AC_D13_multicast_is_not_forwarded) {
  static const char *const groups[] = {"224.0.0.1", "239.1.2.3", "ff02::1", "ff05::2", "ff08::101", "ff0e::101"};
  open_town();
  for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
    struct address group = address_of(groups[i]);
    struct lab_probe probe = lawful(group.family, PROTOCOL_UDP);
    probe.recipe.packet.destination = group;
    ck_assert_msg(!passes(&probe), "%s passed", groups[i]);
  }
  close_town();
}
END_TEST

START_TEST(AC_E1_E2_every_gateway_address_is_refused_as_source_on_every_wire) {
  open_town();
  const struct address_set *own = lab_own(the_lab());
  for (size_t i = 0; i < own->count; i++)
    for (size_t j = 0; j < lab_interface_count(the_lab()); j++) {
      struct lab_probe probe = lawful(own->ranges[i].first.family, PROTOCOL_UDP);
      char name[96];
      const struct lab_interface *wire = lab_interface(the_lab(), j);
      probe.recipe.packet.source = own->ranges[i].first;
      probe.interface = (int)j;
      snprintf(name, sizeof(name), "guard.%s.own-source", policy_zone_name(the_policy(), wire->zone));
      assert_denied(&probe, name, name);
    }
  close_town();
}
END_TEST

START_TEST(AC_E4_each_zones_addresses_are_refused_on_every_other_zones_wire) {
  open_town();
  for (size_t i = 0; i < the_policy()->host_count; i++) {
    const struct host *host = &the_policy()->hosts[i];
    for (size_t j = 0; j < lab_interface_count(the_lab()); j++) {
      const struct lab_interface *wire = lab_interface(the_lab(), j);
      struct address source = host->addresses[0].range.last, previous;
      if (lab_route(the_lab(), &source).kind == LAB_ROUTE_BROADCAST && address_previous(&source, &previous))
        source = previous;
      struct lab_probe probe = lawful(FAMILY_IPV4, PROTOCOL_UDP);
      char name[96];
      if (wire->zone == host->zone)
        continue;
      probe.recipe.packet.source = source;
      probe.interface = (int)j;
      snprintf(name, sizeof(name), "guard.%s.spoofed-source", policy_zone_name(the_policy(), wire->zone));
      assert_denied(&probe, name, host->name);
    }
  }
  close_town();
}
END_TEST

START_TEST(AC_E5_E6_the_zone_with_the_default_route_refuses_private_and_foreign_sources) {
  static const struct {
    const char *source, *counter;
  } cases[] = {
      {"10.140.0.20", "guard.seccloud.spoofed-source"},      {"10.120.0.3", "guard.seccloud.spoofed-source"},
      {"10.161.0.3", "guard.seccloud.spoofed-source"},       {"192.168.7.7", "guard.seccloud.spoofed-source"},
      {"172.16.3.4", "guard.seccloud.spoofed-source"},       {"100.64.1.1", "guard.seccloud.spoofed-source"},
      {"198.51.100.53", "guard.seccloud.spoofed-source"},    {"fd00::7", "guard.seccloud.special-source"},
      {"2400:8500::ad2:e", "guard.seccloud.spoofed-source"},
  };
  open_town();
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct address source = address_of(cases[i].source);
    struct lab_probe probe = probe_from("ens2f1", source, in_family("10.140.0.13", source.family), PROTOCOL_TCP, 25);
    assert_denied(&probe, cases[i].counter, cases[i].source);
  }
  struct lab_probe lawful_mail =
      probe_from("ens2f1", address_of("203.0.113.25"), address_of("10.140.0.13"), PROTOCOL_TCP, 25);
  ck_assert(passes(&lawful_mail));
  close_town();
}
END_TEST

void add_addresses(Suite *suite) {
  TCase *test = add_case(suite, "D E addresses");
  tcase_add_test(test, AC_D3_to_D7_D14_E3_E4_E9_sources_that_may_not_be_there_are_dropped_with_their_reason);
  tcase_add_test(test, AC_D5_to_D7_D12_D14_E3_E9_destinations_that_may_not_be_there_are_dropped_with_their_reason);
  tcase_add_test(test, AC_D13_multicast_is_not_forwarded);
  tcase_add_test(test, AC_E1_E2_every_gateway_address_is_refused_as_source_on_every_wire);
  tcase_add_test(test, AC_E4_each_zones_addresses_are_refused_on_every_other_zones_wire);
  tcase_add_test(test, AC_E5_E6_the_zone_with_the_default_route_refuses_private_and_foreign_sources);
}
