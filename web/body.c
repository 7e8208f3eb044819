// SPDX-License-Identifier: Apache-2.0
/* body.c - a text that grows, with a limit */
#include "web/body.h"

#include <string.h>

#include "common/util.h"

#define BODY_MIN ((size_t)4096)

static int body_reserve(struct body *body, size_t len)
{
	size_t capacity = body->capacity ? body->capacity : BODY_MIN;
	char *text;

	if (len > BODY_MAX - body->len)
		return -EFBIG;
	while (capacity < body->len + len)
		capacity *= 2;
	if (capacity == body->capacity)
		return 0;
	text = realloc(body->text, capacity);
	if (!text)
		return -ENOMEM;
	body->text = text;
	body->capacity = capacity;
	return 0;
}

int body_add(struct body *body, const char *bytes, size_t len)
{
	if (body->error == 0)
		body->error = body_reserve(body, len);
	if (body->error < 0 || len == 0)
		return body->error;
	memcpy(body->text + body->len, bytes, len);
	body->len += len;
	return 0;
}

int body_add_text(struct body *body, const char *text)
{
	return body_add(body, text, strlen(text));
}

static int dump_handler(const char *bytes, size_t len, void *user_data)
{
	return body_add(user_data, bytes, len);
}

int body_add_json(struct body *body, const json_t *value)
{
	if (json_dump_callback(value, dump_handler, body,
			       JSON_COMPACT | JSON_ENCODE_ANY) < 0 &&
	    body->error == 0)
		body->error = -ENOMEM;
	return body->error;
}

void body_done(struct body *body)
{
	free(body->text);
	*body = (struct body){ .text = NULL };
}
