/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The acceptance list with real packets; see acceptance.h. */
#include <stdlib.h>

#include "acceptance.h"

int main(void) {
  lab_require();
  Suite *suite = suite_create("acceptance");
  add_state(suite);
  add_addresses(suite);
  add_shapes(suite);
  add_icmp(suite);
  add_gateway(suite);
  add_flood(suite);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
