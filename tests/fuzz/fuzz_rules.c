// SPDX-License-Identifier: Apache-2.0
/* fuzz_rules.c - any text is a rule file, or has errors that say where */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util.h"
#include "rules/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rules_errors errors = { 0 };
	struct rule_file *file = NULL;
	int r;

	r = parse_rules("fuzz.yaml", (const char *)data, size, &errors, &file);
	assert(r == 0 || (r == -EINVAL && errors.n > 0));
	for (size_t i = 0; i < errors.n; i++)
		assert(errors.list[i].message[0]);
	rules_errors_done(&errors);
	rule_file_free(file);
	return 0;
}
