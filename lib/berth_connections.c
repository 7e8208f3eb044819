// SPDX-License-Identifier: Apache-2.0
/* berth_connections.c - libberth: which connections a consumer has
 *
 * berthd asks for one part of the list after the other, and gets one datagram
 * for each. So nothing has to be kept between two parts, and neither side can
 * be flooded.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/berth_internal.h"

static json_t *number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

/* Return: the text, to be freed; NULL: @error says why. */
static char *connection_text(const struct berth_connection *connection,
			     json_error_t *error)
{
	json_t *object = json_pack_ex(
		error, 0,
		"{s:o, s:I, s:s, s:s*, s:s*, s:s*, s:o, s:o, s:o, s:o}", "id",
		number(connection->id), "listener",
		(json_int_t)connection->listener, "client",
		connection->client ? connection->client : "", "local",
		connection->local, "backend", connection->backend, "state",
		connection->state, "age_ms", number(connection->age_ms),
		"idle_ms", number(connection->idle_ms), "bytes_in",
		number(connection->bytes_in), "bytes_out",
		number(connection->bytes_out));
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

	json_decref(object);
	return text;
}

static bool is_asked(const struct berth *berth, uint64_t request)
{
	return berth->part_open && berth->part_request == request;
}

static void part_begin(struct berth *berth)
{
	if (berth->part_len > 0)
		return;
	berth->part_len = (size_t)snprintf(
		berth->part, sizeof(berth->part),
		"{\"type\":\"connections\",\"request\":%lld,\"connections\":[",
		(long long)berth->part_request); /* fits */
}

int berth_connections_add(struct berth *berth, uint64_t request,
			  const struct berth_connection *connection)
{
	json_error_t error = { .text = "" };
	size_t room;
	char *text;
	int len;

	if (!is_asked(berth, request))
		return 0;
	text = connection_text(connection, &error);
	if (!text)
		return json_error_code(&error) == json_error_invalid_utf8
			       ? -EINVAL
			       : -ENOMEM;
	part_begin(berth);
	room = sizeof(berth->part) - berth->part_len;
	if (strlen(text) + CONNECTION_BYTES > room) {
		free(text);
		return -ENOSPC;
	}
	len = snprintf(berth->part + berth->part_len, room, "%s%s",
		       berth->part[berth->part_len - 1] == '[' ? "" : ",",
		       text); /* fits */
	berth->part_len += (size_t)len;
	free(text);
	return 0;
}

int berth_connections_end(struct berth *berth, uint64_t request, uint64_t next)
{
	size_t len;
	int r;

	if (!is_asked(berth, request))
		return 0;
	part_begin(berth);
	len = berth->part_len;
	len += (size_t)snprintf(berth->part + len, sizeof(berth->part) - len,
				next ? "],\"next\":%lld}" : "]}",
				(long long)next); /* fits */
	r = berth_send_text(berth, berth->part, len, -1);
	if (r == 0)
		berth->part_open = false;
	return r;
}

int berth_connection_closed(struct berth *berth, uint64_t request,
			    uint64_t connection, bool closed)
{
	char text[128];
	int len;

	len = snprintf(text, sizeof(text),
		       "{\"type\":\"closed\",\"request\":%lld,"
		       "\"connection\":%lld,\"closed\":%s}",
		       (long long)request, (long long)connection,
		       closed ? "true" : "false"); /* fits */
	if (!berth_may_send(berth))
		return 0; /* whoever asked is not there any more */
	return berth_send_text(berth, text, (size_t)len, -1);
}
