// SPDX-License-Identifier: Apache-2.0
/* test_berth.c - libberth: which messages it takes, and full tables */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "common/util.h"
#include "lib/berth.h"
#include "tests/send_fds.h"

#define FDS_MAX 3
#define NETNS "\"netns\":{\"id\":-2,\"host\":true,\"names\":[\"a\",\"b\"]}"
#define LISTENER "\"type\":\"listener\",\"id\":7," NETNS

static void test_messages(void **state)
{
	static const struct {
		const char *text;
		int result;
		enum berth_message_type type;
	} cases[] = {
		{ "{" LISTENER ",\"port\":80}", 0, BERTH_LISTENER },
		{ "{" LISTENER ",\"port\":80,\"new\":[]}", 0, BERTH_LISTENER },
		{ "{\"type\":\"withdraw\",\"id\":7}", 0, BERTH_WITHDRAW },
		{ "{\"type\":\"withdraw\",\"id\":7,\"abort\":true}", 0,
		  BERTH_WITHDRAW },
		{ "{\"type\":\"withdraw\",\"id\":7,\"drain_timeout_ms\":-1}",
		  -EBADMSG, 0 },
		{ "{\"type\":\"stats\",\"request\":7}", 0, BERTH_STATS },
		{ "{\"type\":\"stats\",\"request\":-1}", 0, BERTH_STATS },
		{ "{\"type\":\"stats\"}", -EBADMSG, 0 },
		{ "{\"type\":\"stats\",\"request\":\"7\"}", -EBADMSG, 0 },
		{ "{\"type\":\"socket\",\"request\":7,\"netns\":-2}", 0,
		  BERTH_SOCKET },
		{ "{\"type\":\"socket\",\"request\":7,\"error\":2}", 0,
		  BERTH_SOCKET },
		{ "{\"type\":\"netns_gone\",\"netns\":-2}", 0,
		  BERTH_NETNS_GONE },
		{ "{\"type\":\"socket\",\"netns\":2}", -EBADMSG, 0 },
		{ "{\"type\":\"socket\",\"request\":7,\"error\":-2}", -EBADMSG,
		  0 },
		{ "{\"type\":\"netns_gone\"}", -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":80,\"transparent\":1}", -EBADMSG, 0 },
		{ "{\"type\":\"later\"}", 0, BERTH_UNKNOWN },
		{ "{}", 0, BERTH_UNKNOWN },
		{ "", -EBADMSG, 0 },
		{ "[]", -EBADMSG, 0 },
		{ "{\"type\":7}", -EBADMSG, 0 },
		{ "{\"type\":\"withdraw\"}", -EBADMSG, 0 },
		{ "{\"type\":\"withdraw\",\"id\":\"7\"}", -EBADMSG, 0 },
		{ "{\"type\":\"withdraw\",\"id\":7,\"abort\":1}", -EBADMSG, 0 },
		{ "{\"type\":\"withdraw\",\"id\":7,\"id\":8}", -EBADMSG, 0 },
		{ "{" LISTENER "}", -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":0}", -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":65536}", -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":80,\"to\":\"x\"}", -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":80,\"to\":[1]}", -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":80,\"to\":[\"a\"],\"weights\":[1]}",
		  0, BERTH_LISTENER },
		{ "{" LISTENER ",\"port\":80,\"to\":[\"a\"],\"weights\":[1,1]}",
		  -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":80,\"to\":[\"a\"],\"weights\":[257]}",
		  -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":80,\"to\":[\"a\"],\"weights\":[0]}",
		  -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":80,\"to\":[\"a\"],\"weights\":1}",
		  -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":80,\"balance\":1}", -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":80,\"from\":[1]}", -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":80,\"clients\":[1]}", -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":80,\"check\":{\"http\":1}}", -EBADMSG,
		  0 },
		{ "{" LISTENER ",\"port\":80,\"check\":{\"http\":{}}}",
		  -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":80,\"check\":{\"http\":{\"path\":\"/"
		  "\",\"status_max\":1000}}}",
		  -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":80,\"rate_limit\":[1]}", -EBADMSG,
		  0 },
		{ "{" LISTENER ",\"port\":80,\"rate_limit\":{}}", -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":80,\"rate_limit\":[{\"ipv6_prefix\":"
		  "129}]}",
		  -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":80,\"clients\":\"::1\"}", -EBADMSG,
		  0 },
		{ "{" LISTENER ",\"port\":80,\"from\":\"::1\"}", -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":80,\"text\":null}", -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":80,\"idle_timeout_ms\":-1}", -EBADMSG,
		  0 },
		{ "{" LISTENER ",\"port\":80,\"idle_timeout_ms\":4294967296}",
		  -EBADMSG, 0 },
		{ "{\"type\":\"listener\",\"id\":7,\"port\":80}", -EBADMSG, 0 },
		{ "{" LISTENER ",\"port\":80,\"text\":\"\\u0000\"}", -EBADMSG,
		  0 },
		{ "{" LISTENER ",\"port\":80} ", 0, BERTH_LISTENER },
		{ "{" LISTENER ",\"port\":80}x", -EBADMSG, 0 },
	};
	struct berth_message *message;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		message = NULL;
		if (berth_message_parse(cases[i].text, strlen(cases[i].text),
					&message) != cases[i].result)
			fail_msg("%s", cases[i].text);
		if (cases[i].result == 0)
			assert_int_equal(message->type, cases[i].type);
		else
			assert_null(message);
		message = berth_message_free(message);
	}
}

static void test_withdraw_members(void **state)
{
	static const struct {
		const char *text;
		bool abort;
		uint32_t drain_timeout_ms;
	} cases[] = {
		{ "{\"type\":\"withdraw\",\"id\":7}", false, 0 },
		{ "{\"type\":\"withdraw\",\"id\":7,\"abort\":true}", true, 0 },
		{ "{\"type\":\"withdraw\",\"id\":7,\"abort\":false,"
		  "\"drain_timeout_ms\":86400000}",
		  false, 86400000 },
	};
	struct berth_message *message;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(berth_message_parse(cases[i].text,
						     strlen(cases[i].text),
						     &message),
				 0);
		assert_int_equal(message->abort, cases[i].abort);
		assert_int_equal(message->drain_timeout_ms,
				 cases[i].drain_timeout_ms);
		berth_message_free(message);
	}
}

static void test_listener_members(void **state)
{
	static const char text[] =
		"{" LISTENER
		",\"protocol\":\"tcp\",\"address\":\"fe80::1%3\",\"port\":80,"
		"\"interface\":\"eth0\",\"rule\":\"r\",\"action\":\"forward\","
		"\"to\":[\"unix:/x\",\"unix:/y\"],\"weights\":[256,0],"
		"\"balance\":\"hash\",\"connect_timeout_ms\":1,"
		"\"idle_timeout_ms\":4294967295,\"max_connections\":3,"
		"\"max_lifetime_ms\":5000,"
		"\"proxy_protocol\":\"v2\",\"backend_namespace\":\"b\","
		"\"proxy_tlvs\":[{\"type\":224,\"value\":\"x\"},"
		"{\"type\":239,\"value\":\"\",\"more\":1}],"
		"\"transparent\":true,\"from\":[\"10.0.0.1\",\"::1\"],"
		"\"clients\":[\"10.0.0.0/8\",\"!::1\"],\"rate_limit\":["
		"{\"connections\":20,\"per_ms\":1000},{\"connections\":1,"
		"\"per_ms\":9,\"ipv6_prefix\":64}],\"check\":{\"every_ms\":"
		"5000,\"http\":{\"path\":\"/a\",\"status_min\":200,"
		"\"status_max\":399}}}";
	struct berth_message *message;
	const struct berth_listener *listener;

	(void)state;
	assert_int_equal(berth_message_parse(text, strlen(text), &message), 0);
	listener = &message->listener;
	assert_int_equal(message->id, 7);
	assert_int_equal(message->fd, -1);
	assert_true(listener->netns_id == UINT64_MAX - 1);
	assert_true(listener->netns_host);
	assert_int_equal(listener->n_names, 2);
	assert_string_equal(listener->names[1], "b");
	assert_string_equal(listener->protocol, "tcp");
	assert_string_equal(listener->address, "fe80::1%3");
	assert_int_equal(listener->port, 80);
	assert_string_equal(listener->interface, "eth0");
	assert_string_equal(listener->to[0], "unix:/x");
	assert_int_equal(listener->weights[0], 256);
	assert_int_equal(listener->weights[1], 0);
	assert_string_equal(listener->balance, "hash");
	assert_int_equal(listener->connect_timeout_ms, 1);
	assert_true(listener->idle_timeout_ms == UINT32_MAX);
	assert_int_equal(listener->max_lifetime_ms, 5000);
	assert_int_equal(listener->max_connections, 3);
	assert_string_equal(listener->proxy_protocol, "v2");
	assert_int_equal(listener->n_proxy_tlvs, 2);
	assert_int_equal(listener->proxy_tlvs[0].type, 224);
	assert_string_equal(listener->proxy_tlvs[0].value, "x");
	assert_int_equal(listener->proxy_tlvs[1].type, 239);
	assert_string_equal(listener->proxy_tlvs[1].value, "");
	assert_string_equal(listener->backend_netns, "b");
	assert_true(listener->transparent);
	assert_int_equal(listener->n_from, 2);
	assert_string_equal(listener->from[1], "::1");
	assert_int_equal(listener->n_clients, 2);
	assert_string_equal(listener->clients[1], "!::1");
	assert_int_equal(listener->n_rates, 2);
	assert_int_equal(listener->rates[0].count, 20);
	assert_int_equal(listener->rates[0].per_ms, 1000);
	assert_int_equal(listener->rates[0].ipv6_prefix, 128);
	assert_int_equal(listener->rates[1].ipv6_prefix, 64);
	assert_int_equal(listener->check_every_ms, 5000);
	assert_string_equal(listener->check_http_path, "/a");
	assert_string_equal(listener->check_http_host, "");
	assert_int_equal(listener->check_status_min, 200);
	assert_int_equal(listener->check_status_max, 399);
	assert_string_equal(listener->check_send, "");
	assert_string_equal(listener->text, "");
	message = berth_message_free(message);
}

static void test_http(void **state)
{
	static const char text[] =
		"{\"type\":\"listener\",\"id\":7,\"netns\":{\"id\":1},\"port\":"
		"80,"
		"\"action\":\"http\",\"to\":[\"unix:/x\"],\"http\":{"
		"\"set_headers\":[{\"name\":\"A\",\"value\":\"${client}\"}],"
		"\"remove_headers\":[\"B\",\"C\"],\"path\":[\"/"
		"a\"],\"host\":[],"
		"\"request_timeout_ms\":1,\"response_timeout_ms\":2,"
		"\"max_request\":4096,\"rate_limit\":["
		"{\"requests\":6,\"per_ms\":60000}],"
		"\"more\":1}}";
	static const char *const bad[] = {
		"[]",
		"{\"set_headers\":{}}",
		"{\"set_headers\":[1]}",
		"{\"set_headers\":[{\"name\":1}]}",
		"{\"remove_headers\":\"a\"}",
		"{\"path\":[1]}",
		"{\"max_request\":-1}",
		"{\"rate_limit\":{}}",
		"{\"rate_limit\":[{\"requests\":-1}]}",
	};
	struct berth_message *message;
	const struct berth_http *http;
	char wrong[256];

	(void)state;
	assert_int_equal(berth_message_parse(text, strlen(text), &message), 0);
	http = message->listener.http;
	assert_non_null(http);
	assert_int_equal(http->n_set_headers, 1);
	assert_string_equal(http->set_headers[0].name, "A");
	assert_string_equal(http->set_headers[0].value, "${client}");
	assert_int_equal(http->n_remove_headers, 2);
	assert_string_equal(http->remove_headers[1], "C");
	assert_int_equal(http->n_paths, 1);
	assert_string_equal(http->paths[0], "/a");
	assert_int_equal(http->n_hosts, 0);
	assert_int_equal(http->request_timeout_ms, 1);
	assert_int_equal(http->response_timeout_ms, 2);
	assert_int_equal(http->max_request, 4096);
	assert_int_equal(http->n_rates, 1);
	assert_int_equal(http->rates[0].count, 6);
	assert_int_equal(http->rates[0].per_ms, 60000);
	message = berth_message_free(message);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(wrong, sizeof(wrong),
			       "{\"type\":\"listener\",\"id\":7,\"netns\":"
			       "{\"id\":1},\"port\":80,\"http\":%s}",
			       bad[i]);
		assert_int_equal(berth_message_parse(wrong, strlen(wrong),
						     &message),
				 -EBADMSG);
	}
}

static void send_with_fds(int socket_fd, const char *text, int fd, size_t n)
{
	const int fds[FDS_MAX] = { fd, fd, fd };

	assert_true(send_fds(socket_fd, text, strlen(text), fds, n, 0) > 0);
}

static void send_with_fd(int socket_fd, const char *text, int fd)
{
	send_with_fds(socket_fd, text, fd, 1);
}

static struct berth *open_pair(int *ret_peer_fd)
{
	struct berth *berth;
	char hello[256];
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	assert_int_equal(berth_new(fds[0], "a \"b\"", &berth), 0);
	memset(hello, 0, sizeof(hello));
	assert_true(recv(fds[1], hello, sizeof(hello) - 1, 0) > 0);
	assert_non_null(strstr(hello, "\"hello\""));
	assert_non_null(strstr(hello, "a \\\"b\\\""));
	*ret_peer_fd = fds[1];
	return berth;
}

/* The limit is a bound on numbers, so it stands just above what is open. */
static void fill_table(int highest_fd, struct rlimit *ret_old)
{
	struct rlimit full;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, ret_old), 0);
	full = *ret_old;
	full.rlim_cur = (rlim_t)highest_fd + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &full), 0);
}

static void test_full_table_loses_nothing(void **state)
{
	struct berth_message *message = NULL;
	struct rlimit old;
	struct berth *berth;
	char answer[64] = "";
	int peer_fd, r;

	(void)state;
	berth = open_pair(&peer_fd);
	send_with_fd(peer_fd, "{" LISTENER ",\"port\":80}", peer_fd);
	send_with_fd(peer_fd,
		     "{\"type\":\"listener\",\"id\":6," NETNS ",\"port\":81}",
		     peer_fd);
	fill_table(peer_fd, &old);
	r = berth_receive(berth, &message);
	if (r == 1) /* a lower number was free: nothing to test here */
		r = berth_receive(berth, &message);
	assert_int_equal(r, -EMFILE);
	assert_int_equal(berth_receive(berth, &message), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(berth_receive(berth, &message), 1);
	assert_true(message->fd > peer_fd);
	assert_int_equal(message->listener.port, 80);
	message = berth_message_free(message);
	fill_table(peer_fd, &old);
	assert_int_equal(berth_receive(berth, &message), -EMFILE);
	assert_int_equal(berth_refuse(berth), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_true(recv(peer_fd, answer, sizeof(answer) - 1, 0) > 0);
	assert_string_equal(answer, "{\"type\":\"refused\",\"id\":6}");
	assert_int_equal(berth_refuse_listener(berth, 8), 0);
	assert_true(recv(peer_fd, answer, sizeof(answer) - 1, 0) > 0);
	assert_string_equal(answer, "{\"type\":\"refused\",\"id\":8}");
	assert_int_equal(berth_repeat(berth, 9), 0);
	assert_true(recv(peer_fd, answer, sizeof(answer) - 1, 0) > 0);
	assert_string_equal(answer, "{\"type\":\"repeat\",\"id\":9}}");
	assert_int_equal(berth_receive(berth, &message), 0);
	(void)berth_free(berth);
	(void)close(peer_fd);
}

/* What happens to the descriptors of the messages that are received. */
static struct {
	const struct rlimit *comes_free; /* once one did not arrive */
	bool lost; /* none arrives, though there is room */
	unsigned int n;
} received;

ssize_t recvmsg(int fd, struct msghdr *header, int flags)
{
	ssize_t n;

	if (received.lost)
		header->msg_controllen = 0;
	n = syscall(SYS_recvmsg, fd, header, flags);
	received.n++;
	if (n > 0 && received.comes_free && (header->msg_flags & MSG_CTRUNC))
		assert_int_equal(setrlimit(RLIMIT_NOFILE, received.comes_free),
				 0);
	return n;
}

/* Another thread closes something between the look at a message whose
 * descriptor had no room, and the request whether there is room. */
static void test_descriptor_comes_free(void **state)
{
	static const char *const texts[] = {
		"{" LISTENER ",\"port\":80}",
		"{\"type\":\"socket\",\"request\":1,\"netns\":2}",
	};
	struct berth_message *message = NULL;
	struct berth *berth;
	struct rlimit old;
	int peer_fd, last_fd;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		berth = open_pair(&peer_fd);
		send_with_fd(peer_fd, texts[i], peer_fd);
		/* All numbers below are taken. */
		last_fd = dup(peer_fd);
		fill_table(last_fd, &old);
		received.comes_free = &old;
		received.n = 0;
		assert_int_equal(berth_receive(berth, &message), 1);
		received.comes_free = NULL;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		assert_true(received.n > 1);
		assert_true(message->fd >= 0);
		assert_int_equal(message->error, 0);
		message = berth_message_free(message);
		assert_int_equal(berth_receive(berth, &message), 0);
		(void)berth_free(berth);
		(void)close(last_fd);
		(void)close(peer_fd);
	}
}

/* A security module may keep it back, for one. */
static void test_descriptor_never_arrives(void **state)
{
	struct berth_message *message = NULL;
	char answer[64] = "";
	struct berth *berth;
	int peer_fd;

	(void)state;
	berth = open_pair(&peer_fd);
	send_with_fd(peer_fd, "{" LISTENER ",\"port\":80}", peer_fd);
	received.lost = true;
	assert_int_equal(berth_receive(berth, &message), -EPROTO);
	assert_true(recv(peer_fd, answer, sizeof(answer) - 1, 0) > 0);
	assert_string_equal(answer, "{\"type\":\"refused\",\"id\":7}");
	send_with_fd(peer_fd, "{\"type\":\"socket\",\"request\":1}", peer_fd);
	assert_int_equal(berth_receive(berth, &message), 1);
	assert_int_equal(message->error, EPROTO);
	message = berth_message_free(message);
	assert_int_equal(berth_receive(berth, &message), 0);
	received.lost = false;
	(void)berth_free(berth);
	(void)close(peer_fd);
}

static void test_asks_for_a_socket(void **state)
{
	static const struct {
		struct berth_backend backend;
		int result;
		const char *text;
	} cases[] = {
		{ { .id = 7, .to = 2 }, 0, "" },
		{ { .id = 7, .to = 2, .text = "10.0.0.1:1", .netns = "" },
		  0,
		  ",\"backend\":\"10.0.0.1:1\",\"backend_namespace\":\"\"" },
		{ { .id = 7, .to = 2, .netns = "a\"b" },
		  0,
		  ",\"backend_namespace\":\"a\\\"b\"" },
		{ { .id = 7, .to = 2, .netns = "\xff" }, -EINVAL, NULL },
		{ { .id = 7, .to = 2, .from = "10.0.0.1" },
		  0,
		  ",\"from\":\"10.0.0.1\"" },
		{ { .id = 7, .to = 2, .client = "fd00::1" },
		  0,
		  ",\"client\":\"fd00::1\"" },
		{ { .id = 7, .to = 2, .client = "10.0.0.1", .client_port = 53 },
		  0,
		  ",\"client\":\"10.0.0.1\",\"client_port\":53" },
	};
	char text[256], expected[256];
	struct berth *berth;
	int peer_fd;
	ssize_t n;

	(void)state;
	berth = open_pair(&peer_fd);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(berth_ask_socket(berth, UINT64_MAX,
						  &cases[i].backend),
				 cases[i].result);
		if (cases[i].result < 0)
			continue;
		n = recv(peer_fd, text, sizeof(text) - 1, 0);
		assert_true(n > 0);
		text[n] = '\0';
		(void)snprintf(expected, sizeof(expected),
			       "{\"type\":\"socket\",\"request\":-1,\"id\":7,"
			       "\"to\":2%s}",
			       cases[i].text);
		assert_string_equal(text, expected);
	}
	(void)berth_free(berth);
	(void)close(peer_fd);
}

static void test_several_descriptors_are_none(void **state)
{
	static const char refused[] = "{\"type\":\"refused\",\"id\":7}";
	struct berth_message *message = NULL;
	char answer[64];
	struct berth *berth;
	int peer_fd, free_fd, r;

	(void)state;
	berth = open_pair(&peer_fd);
	free_fd = dup(peer_fd);
	(void)close(free_fd);
	for (size_t n = 2; n <= FDS_MAX; n++) {
		send_with_fds(peer_fd, "{" LISTENER ",\"port\":80}", peer_fd,
			      n);
		r = berth_receive(berth, &message);
		assert_true(r == 0 || r == -EPROTO);
		assert_true(recv(peer_fd, answer, sizeof(answer), 0) > 0);
		assert_memory_equal(answer, refused, strlen(refused));
		r = dup(peer_fd);
		assert_int_equal(r, free_fd); /* none of them stayed open */
		(void)close(r);
		assert_int_equal(berth_receive(berth, &message), 0);
	}
	(void)berth_free(berth);
	(void)close(peer_fd);
}

static void test_end_and_garbage(void **state)
{
	struct berth_message *message = NULL;
	struct berth *berth;
	char answer[64] = "";
	int peer_fd;

	(void)state;
	berth = open_pair(&peer_fd);
	assert_int_equal(berth_receive(berth, &message), 0);
	assert_int_equal(send(peer_fd, "nonsense", 8, 0), 8);
	assert_int_equal(berth_receive(berth, &message), -EBADMSG);
	assert_int_equal(berth_receive(berth, &message), 0);
	assert_int_equal(berth_released(berth, UINT64_MAX), 0);
	assert_true(recv(peer_fd, answer, sizeof(answer) - 1, 0) > 0);
	assert_string_equal(answer, "{\"type\":\"released\",\"id\":-1}");
	(void)close(peer_fd);
	assert_int_equal(berth_receive(berth, &message), -EPIPE);
	(void)berth_free(berth);
}

static const struct berth_counts some_counts = {
	.accepted = 5,
	.active = 2,
	.limited = 1,
	.bytes_in = UINT64_MAX, /* more than JSON has */
	.messages_out = 9,
	.dropped = 4,
	.looped = 3,
	.not_admitted = 6,
	.ended = { [BERTH_ENDING_IDLE] = 2, [BERTH_ENDING_CLIENT_END] = 1 },
	.dropped_by = { [BERTH_DROP_CIRCLE] = 3, [BERTH_DROP_OTHER] = 1 },
	.limited_by = { [BERTH_LIMIT_PORTS] = 1 },
	.n_errors = 2,
	.errors = { { 111, 3 }, { 0, 1 } },
};

#define SOME_COUNTS                                                          \
	"\"accepted\":5,\"active\":2,\"limited\":1,"                         \
	"\"bytes_in\":9223372036854775807,\"messages_out\":9,\"dropped\":4," \
	"\"looped\":3,\"not_admitted\":6,"                                   \
	"\"ended\":{\"client-end\":1,\"idle\":2},"                           \
	"\"dropped_by\":{\"other\":1,\"circle\":3},"                         \
	"\"limited_by\":{\"ports\":1},"                                      \
	"\"errors\":{\"111\":3,\"0\":1}"

static void receive_text(int fd, char *buffer, size_t size)
{
	ssize_t n = recv(fd, buffer, size - 1, MSG_DONTWAIT);

	assert_true(n > 0);
	buffer[n] = '\0';
}

static void test_released_with_counts(void **state)
{
	char answer[1024];
	struct berth *berth;
	int peer_fd;

	(void)state;
	berth = open_pair(&peer_fd);
	assert_int_equal(berth_released_counts(berth, 7, &some_counts), 0);
	receive_text(peer_fd, answer, sizeof(answer));
	assert_string_equal(answer,
			    "{\"type\":\"released\",\"id\":7," SOME_COUNTS "}");
	assert_int_equal(berth_released_counts(berth, 8, NULL), 0);
	receive_text(peer_fd, answer, sizeof(answer));
	assert_string_equal(answer, "{\"type\":\"released\",\"id\":8}");
	(void)berth_free(berth);
	(void)close(peer_fd);
}

static void test_stats_answer(void **state)
{
	static const struct berth_counts one = { .accepted = 1 };
	char answer[1024];
	struct berth *berth;
	int peer_fd;

	(void)state;
	berth = open_pair(&peer_fd);
	assert_int_equal(berth_stats_end(berth, 4), 0);
	receive_text(peer_fd, answer, sizeof(answer));
	assert_string_equal(
		answer, "{\"type\":\"stats\",\"request\":4,\"listeners\":[]}");
	/* What was begun for another request is forgotten. */
	assert_int_equal(berth_stats_add(berth, 5, 1, &one), 0);
	assert_int_equal(berth_stats_add(berth, 6, 7, &some_counts), 0);
	assert_int_equal(berth_stats_add(berth, 6, 8, &one), 0);
	assert_int_equal(berth_stats_end(berth, 6), 0);
	receive_text(peer_fd, answer, sizeof(answer));
	assert_string_equal(answer,
			    "{\"type\":\"stats\",\"request\":6,\"listeners\":["
			    "{\"id\":7," SOME_COUNTS "},"
			    "{\"id\":8,\"accepted\":1}]}");
	assert_true(recv(peer_fd, answer, 1, MSG_DONTWAIT) < 0);
	(void)berth_free(berth);
	(void)close(peer_fd);
}

/* Every number as long as it can be: no datagram is too long, and what a full
 * connection does not take is in the answer once, later. */
static void test_stats_answer_fills_the_connection(void **state)
{
	static char answer[BERTH_MESSAGE_MAX];
	struct berth_counts longest;
	struct berth *berth;
	uint64_t n = 0, seen = 0;
	bool more = true, ended = false;
	int peer_fd, r;

	(void)state;
	memset(&longest, 0xff, sizeof(longest));
	longest.n_errors = BERTH_ERRORS_MAX;
	for (int i = 0; i < BERTH_ERRORS_MAX; i++)
		longest.errors[i].error = INT32_MIN + i;
	berth = open_pair(&peer_fd);
	while ((r = berth_stats_add(berth, UINT64_MAX / 2, INT64_MAX - n,
				    &longest)) == 0)
		n++;
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(berth_stats_add(berth, UINT64_MAX / 2, INT64_MAX - n,
					 &longest),
			 -EAGAIN);
	while (more) {
		const char *place = answer;

		receive_text(peer_fd, answer, sizeof(answer));
		while ((place = strstr(place, "\"id\":"))) {
			place += strlen("\"id\":");
			assert_int_equal(strtoull(place, NULL, 10),
					 INT64_MAX - seen++);
		}
		more = strstr(answer, "\"more\":true") != NULL;
		if (!ended)
			ended = berth_stats_end(berth, UINT64_MAX / 2) == 0;
	}
	assert_true(n > 50);
	assert_int_equal(seen, n);
	(void)berth_free(berth);
	(void)close(peer_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_withdraw_members),
		cmocka_unit_test(test_listener_members),
		cmocka_unit_test(test_full_table_loses_nothing),
		cmocka_unit_test(test_descriptor_comes_free),
		cmocka_unit_test(test_descriptor_never_arrives),
		cmocka_unit_test(test_asks_for_a_socket),
		cmocka_unit_test(test_several_descriptors_are_none),
		cmocka_unit_test(test_end_and_garbage),
		cmocka_unit_test(test_released_with_counts),
		cmocka_unit_test(test_stats_answer),
		cmocka_unit_test(test_stats_answer_fills_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
