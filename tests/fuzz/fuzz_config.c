// SPDX-License-Identifier: Apache-2.0
/* fuzz_config.c - a berthd.yaml of any bytes, through the real entry point */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "daemon/config_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The databases of the system would be slow, and differ between machines. */
static int any_user(const char *text, struct account *ret_account)
{
	*ret_account = (struct account){ .known = text[0] != '0' };
	return text[0] == 'x' ? -ENOENT : 0;
}

static int any_group(const char *text, gid_t *ret_gid)
{
	*ret_gid = 1;
	return text[0] == 'x' ? -ERANGE : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct accounts accounts = { any_user, any_group };
	struct rules_errors errors = { 0 };
	struct config config = { 0 }, whole;
	int r = config_parse("fuzz.yaml", (const char *)data, size, &accounts,
			     &errors, &config);

	assert(r == 0 ? errors.n == 0 : errors.n > 0 && r == -EINVAL);
	assert(errors.n <= RULES_ERRORS_MAX);
	for (size_t i = 0; i < errors.n; i++)
		free(rules_error_fmt(&errors.list[i]));
	assert(config_init(&whole) == 0 &&
	       config_overlay(&whole, &config) == 0);
	assert((config_differences(&whole, &config) & config.given) == 0);
	rules_errors_done(&errors);
	config_done(&config);
	config_done(&whole);
	return 0;
}
