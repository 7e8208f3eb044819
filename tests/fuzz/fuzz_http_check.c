// SPDX-License-Identifier: Apache-2.0
/* fuzz_http_check.c - answers of any bytes to a check, with http_parser as the
 * oracle
 *
 * A status that a check finds in the first line http_parser finds, too; and it
 * is the same however the bytes come.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* Both have an enum of this name. */
#define http_status oracle_status
#include <http_parser.h>
#undef http_status

#include "relay/core/check_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_oracle(const struct check_http *http, const char *data,
			 size_t size)
{
	http_parser_settings settings;
	http_parser parser;

	http_parser_settings_init(&settings);
	http_parser_init(&parser, HTTP_RESPONSE);
	/* What follows the line is not looked at by a check. */
	(void)http_parser_execute(
		&parser, &settings, data,
		size < sizeof("HTTP/1.1 200") ? size : sizeof("HTTP/1.1 200"));
	assert(HTTP_PARSER_ERRNO(&parser) == HPE_OK);
	assert(parser.status_code == http->status && parser.http_major == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum check_http_verdict verdict, slow_verdict = CHECK_HTTP_MORE;
	struct check_http http = { 0 }, slow = { 0 };
	const char *bytes = (const char *)data;

	verdict = check_http_read(&http, bytes, size);
	for (size_t i = 0; i < size && slow_verdict == CHECK_HTTP_MORE; i++)
		slow_verdict = check_http_read(&slow, bytes + i, 1);
	assert(slow_verdict == verdict && slow.status == http.status);
	assert(http.n_interim <= CHECK_HTTP_INTERIM_MAX + 1);
	if (verdict == CHECK_HTTP_STATUS && http.n_interim == 0)
		check_oracle(&http, bytes, size);
	return 0;
}
