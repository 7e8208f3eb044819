// SPDX-License-Identifier: Apache-2.0
/* json_text.c - names from outside as JSON strings */
#include "daemon/json_text.h"

#include "common/utf8.h"
#include "common/util.h"

json_t *json_text(const char *bytes)
{
	json_t *text = json_string(bytes); /* NULL also for bad UTF-8 */
	_cleanup_free_ char *escaped = NULL;

	if (text)
		return text;
	escaped = utf8_escape(bytes);
	return escaped ? json_string(escaped) : NULL;
}
