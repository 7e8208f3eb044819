// SPDX-License-Identifier: Apache-2.0
/* json_text.c - names from outside as JSON strings */
#include "daemon/json_text.h"

#include <string.h>

#include "common/util.h"

json_t *json_text(const char *bytes)
{
	_cleanup_free_ char *ascii = NULL;
	json_t *text = json_string(bytes);

	if (text)
		return text;
	ascii = strdup(bytes);
	if (!ascii)
		return NULL;
	for (char *p = ascii; *p; p++) {
		if ((unsigned char)*p > '~')
			*p = '?';
	}
	return json_string(ascii);
}
