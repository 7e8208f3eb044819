// SPDX-License-Identifier: Apache-2.0
/* fuzz_rules.c - a rule file of any bytes, through the real entry point */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "rules/parse_rule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rules_errors errors = { 0 };
	struct rule_file *file = NULL;
	int r = parse_rules("fuzz.yaml", (const char *)data, size, &errors,
			    &file);

	assert(r == 0 ? errors.n == 0 : errors.n > 0 && r == -EINVAL);
	assert(errors.n <= RULES_ERRORS_MAX);
	for (size_t i = 0; i < errors.n; i++)
		free(rules_error_fmt(&errors.list[i]));
	rules_errors_done(&errors);
	rule_file_unref(file);
	return 0;
}
