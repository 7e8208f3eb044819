/* SPDX-License-Identifier: Apache-2.0 */
/* relay_mint_fixture.h - a relay that asks the test for sockets */
#ifndef TESTS_UNIT_RELAY_MINT_FIXTURE_H
#define TESTS_UNIT_RELAY_MINT_FIXTURE_H

#include "relay_fixture.h"

#define LISTENER_ID 7

/* Each request is for the one backend, in namespace "b".
 * @ret_port:	of that backend
 * Return: the number of the request that comes, or 0 when none does. */
static inline unsigned long long request_of(int wait_ms, unsigned int *ret_port)
{
	unsigned long long request, id;
	unsigned int to;
	char text[256];
	int end = 0;

	if (!berthd_hears(text, sizeof(text), wait_ms))
		return 0;
	assert_int_equal(sscanf(text,
				"{\"type\":\"socket\",\"request\":%llu,"
				"\"id\":%llu,\"to\":%u,"
				"\"backend\":\"127.0.0.1:%u\","
				"\"backend_namespace\":\"b\"}%n",
				&request, &id, &to, ret_port, &end),
			 4);
	assert_int_equal(end, strlen(text));
	assert_int_equal(id, LISTENER_ID);
	assert_int_equal(to, 0);
	return request;
}

/* The same, whatever it is for. */
static inline unsigned long long any_request(int wait_ms)
{
	unsigned long long request;
	char text[256];

	assert_true(berthd_hears(text, sizeof(text), wait_ms));
	assert_int_equal(sscanf(text, "{\"type\":\"socket\",\"request\":%llu,",
				&request),
			 1);
	return request;
}

static inline unsigned long long next_request(int wait_ms)
{
	unsigned int port;

	return request_of(wait_ms, &port);
}

/* Answers with @error. */
static inline void refuse_with(unsigned long long request, int error)
{
	char text[128];

	assert_true(request > 0);
	(void)snprintf(text, sizeof(text),
		       "{\"type\":\"socket\",\"request\":%llu,\"error\":%d}",
		       request, error);
	berthd_says(text, -1);
}

/* Answers with a socket in namespace 5. Return: berthd's copy of it. */
static inline int answer_with(unsigned long long request, int type)
{
	char text[128];
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	(void)snprintf(text, sizeof(text),
		       "{\"type\":\"socket\",\"request\":%llu,\"netns\":5}",
		       request);
	berthd_says(text, fd);
	return fd;
}

static inline void expect_closed(const char *netns_id)
{
	char text[128], expected[128];

	(void)snprintf(expected, sizeof(expected),
		       "{\"type\":\"netns_closed\",\"netns\":%s}", netns_id);
	assert_true(berthd_hears(text, sizeof(text), WAIT_S * 1000));
	assert_string_equal(text, expected);
}

#endif
