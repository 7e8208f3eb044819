// SPDX-License-Identifier: Apache-2.0
/* fuzz_fd_name.c - a name out of the service manager's store
 *
 * Whatever is taken is the one name of what it says.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/fd_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct adopt_claim claim;
	char *name = strndup((const char *)data, size);
	char again[FD_NAME_MAX];

	assert(name);
	if (fd_name_parse(name, &claim) == 0) {
		assert(strcmp(fd_name_fmt(&claim, again), name) == 0);
		assert(fd_name_is_valid(name));
	}
	free(name);
	return 0;
}
