// SPDX-License-Identifier: Apache-2.0
/* fuzz_text.c - addresses, prefixes and backends in what people write */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/backend.h"
#include "common/ip.h"
#include "common/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	char buffer[IP_TEXT_MAX];
	struct ip_prefix prefix;
	struct backend backend;
	const char *problem = NULL;
	struct ip_addr again;

	if (!text)
		return 0;
	if (ip_prefix_parse(text, &prefix) == 0) {
		assert(ip_prefix_contains(&prefix, &prefix.addr));
		ip_addr_fmt(&prefix.addr, buffer);
		assert(ip_addr_parse(buffer, &again) == 0);
		assert(ip_addr_equal(&again, &prefix.addr));
	}
	if (backend_parse(text, &backend, &problem) == 0)
		assert(backend.address_len <= sizeof(backend.address));
	else
		assert(problem);
	return 0;
}
