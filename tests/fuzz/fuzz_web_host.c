// SPDX-License-Identifier: Apache-2.0
/* fuzz_web_host.c - a Host header of any bytes: what is taken is localhost or
 * an address; and where to listen, of any bytes
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "web/host.h"
#include "web/listen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char localhost[] = "localhost";
	struct listen_address address;
	char *text = strndup((const char *)data, size);

	assert(text);
	if (host_allowed(text, NULL, 0) &&
	    strncasecmp(text, localhost, strlen(localhost)) != 0)
		assert(strspn(text, "0123456789abcdefABCDEF.:[]") ==
		       strlen(text));
	if (listen_address_parse(text, &address) == 0) {
		assert(address.len <= sizeof(address.storage));
		assert(!listen_is_unix(&address) || listen_is_local(&address));
	}
	free(text);
	return 0;
}
