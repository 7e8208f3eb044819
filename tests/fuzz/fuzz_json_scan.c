// SPDX-License-Identifier: Apache-2.0
/* fuzz_json_scan.c - what jansson reads, berthctl's scanner reads as well */
#include <assert.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/json_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct thing {
	const char *name;
	int64_t n;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct json_member members[] = {
		{ "name", JSON_KIND_TEXT, offsetof(struct thing, name), NULL },
		{ "n", JSON_KIND_NUMBER, offsetof(struct thing, n), NULL },
		{ .name = NULL },
	};
	json_t *json = json_loadb((const char *)data, size, 0, NULL);
	char *text = malloc(size + 1);
	struct json_span at = { text, size }, element;
	size_t n = 0;
	int r;

	memcpy(text, data, size);
	text[size] = '\0'; /* as berthd's replies end */
	while ((r = json_scan_next(&at, &element)) > 0) {
		struct thing thing = { .name = "" };

		if (*element.text == '{' &&
		    json_scan_read(element, members, &thing) == 0)
			n += strlen(thing.name) + 1;
	}
	(void)json_scan_find((struct json_span){ text, size }, "a", &element);
	/* Blanks around the whole are berthd's not to send, nor a byte of 0,
	 * which jansson overlooks behind a number. */
	if (json_is_array(json) && *data == '[' && data[size - 1] == ']' &&
	    !memchr(data, '\0', size))
		assert(r == 0);
	assert(n <= size);
	json_decref(json);
	free(text);
	return 0;
}
