// SPDX-License-Identifier: Apache-2.0
/* test_consumer_message.c - berthd's side of the consumer protocol, as text */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "binder/binder.h"
#include "common/netns.h"
#include "common/address_pattern.h"
#include "common/backend_source.h"
#include "common/service_http.h"
#include "common/rate_limit.h"
#include "common/util.h"
#include "daemon/consumers/consumer_message.h"

static void test_reply_parse(void **state)
{
	static const struct {
		const char *text;
		int result;
		enum consumer_reply_type type;
		uint64_t id;
	} cases[] = {
		{ "{\"type\":\"released\",\"id\":7}", 0,
		  CONSUMER_REPLY_RELEASED, 7 },
		{ "{\"type\":\"repeat\",\"id\":7}", 0, CONSUMER_REPLY_REPEAT,
		  7 },
		{ "{\"type\":\"held\",\"id\":7,\"netns\":5}", 0,
		  CONSUMER_REPLY_HELD, 7 },
		{ "{\"type\":\"hello\",\"version\":1,\"name\":\"x\"}", 0,
		  CONSUMER_REPLY_HELLO, 0 },
		{ "{\"type\":\"hello\"}", 0, CONSUMER_REPLY_HELLO, 0 },
		{ "{\"type\":\"hello\",\"version\":\"1\"}", -EPROTO, 0, 0 },
		{ "{\"type\":\"hello\",\"name\":1}", -EPROTO, 0, 0 },
		{ "{\"type\":\"later\",\"more\":[]}", 0, CONSUMER_REPLY_OTHER,
		  0 },
		{ "{\"type\":\"socket\",\"request\":-1,\"id\":7,\"to\":63}", 0,
		  CONSUMER_REPLY_SOCKET, 7 },
		{ "{\"type\":\"socket\",\"request\":-1,\"id\":7,\"to\":63,"
		  "\"backend\":7}",
		  -EPROTO, 0, 0 },
		{ "{\"type\":\"socket\",\"request\":-1,\"id\":7,\"to\":63,"
		  "\"backend_namespace\":null}",
		  -EPROTO, 0, 0 },
		{ "{\"type\":\"netns_closed\",\"netns\":-1}", 0,
		  CONSUMER_REPLY_NETNS_CLOSED, 0 },
		{ "{\"type\":\"socket\",\"request\":1,\"id\":7,\"to\":64}",
		  -EPROTO, 0, 0 },
		{ "{\"type\":\"socket\",\"request\":1,\"id\":7,\"to\":-1}",
		  -EPROTO, 0, 0 },
		{ "{\"type\":\"socket\",\"request\":1,\"id\":7}", -EPROTO, 0,
		  0 },
		{ "{\"type\":\"socket\",\"request\":1,\"to\":0}", -EPROTO, 0,
		  0 },
		{ "{\"type\":\"netns_closed\"}", -EPROTO, 0, 0 },
		{ "{\"type\":7}", -EPROTO, 0, 0 },
		{ "{\"type\":\"released\",\"id\":\"7\"}", -EPROTO, 0, 0 },
		{ "{\"id\":7}", -EPROTO, 0, 0 },
		{ "[]", -EPROTO, 0, 0 },
		{ "", -EPROTO, 0, 0 },
		{ "{\"type\":\"released\",\"id\":7", -EPROTO, 0, 0 },
	};
	struct consumer_reply reply;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(consumer_reply_parse(cases[i].text,
						      strlen(cases[i].text),
						      &reply),
				 cases[i].result);
		if (cases[i].result < 0)
			continue;
		assert_int_equal(reply.type, cases[i].type);
		assert_int_equal(reply.id, cases[i].id);
		consumer_reply_done(&reply);
	}
}

static void test_connections(void **state)
{
	static const struct {
		const char *text;
		int result;
		enum consumer_reply_type type;
	} cases[] = {
		{ "{\"type\":\"connections\",\"request\":1,\"connections\":[]}",
		  0, CONSUMER_REPLY_CONNECTIONS },
		{ "{\"type\":\"connections\",\"request\":1,\"connections\":[],"
		  "\"next\":7}",
		  0, CONSUMER_REPLY_CONNECTIONS },
		{ "{\"type\":\"connections\",\"request\":1,\"connections\":[{"
		  "\"id\":1,\"listener\":1,\"client\":\"c\"}]}",
		  0, CONSUMER_REPLY_CONNECTIONS },
		{ "{\"type\":\"connections\",\"request\":1,\"connections\":[{"
		  "\"id\":-1,\"listener\":1,\"client\":\"c\"}]}",
		  -EPROTO, 0 },
		{ "{\"type\":\"connections\",\"request\":1,\"connections\":[{"
		  "\"id\":\"1\",\"listener\":1,\"client\":\"c\"}]}",
		  -EPROTO, 0 },
		{ "{\"type\":\"connections\",\"request\":1,\"connections\":[{"
		  "\"id\":1,\"listener\":1,\"client\":\"c\",\"state\":7}]}",
		  -EPROTO, 0 },
		{ "{\"type\":\"connections\",\"request\":1,\"connections\":[{"
		  "\"id\":1,\"listener\":1,\"client\":\"c\",\"idle_ms\":-1}]}",
		  -EPROTO, 0 },
		{ "{\"type\":\"connections\",\"request\":1,\"connections\":[{"
		  "\"id\":1,\"listener\":1,\"client\":\"c\",\"age_ms\":"
		  "9223372036854775807}]}",
		  -EPROTO, 0 },
		{ "{\"type\":\"connections\",\"request\":1,\"connections\":[{"
		  "\"id\":1,\"listener\":1}]}",
		  -EPROTO, 0 },
		{ "{\"type\":\"connections\",\"request\":1,\"connections\":[{"
		  "\"id\":1,\"client\":\"c\"}]}",
		  -EPROTO, 0 },
		{ "{\"type\":\"connections\",\"request\":1,\"connections\":[7]"
		  "}",
		  -EPROTO, 0 },
		{ "{\"type\":\"connections\",\"request\":1,\"connections\":{}}",
		  -EPROTO, 0 },
		{ "{\"type\":\"connections\",\"request\":1,\"connections\":[],"
		  "\"next\":-1}",
		  -EPROTO, 0 },
		{ "{\"type\":\"connections\",\"connections\":[]}", -EPROTO, 0 },
		{ "{\"type\":\"closed\",\"request\":1,\"connection\":2,"
		  "\"closed\":true}",
		  0, CONSUMER_REPLY_CLOSED },
		{ "{\"type\":\"closed\",\"request\":1,\"connection\":2,"
		  "\"closed\":1}",
		  -EPROTO, 0 },
		{ "{\"type\":\"closed\",\"request\":1,\"closed\":true}",
		  -EPROTO, 0 },
	};
	struct consumer_reply reply;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (consumer_reply_parse(cases[i].text, strlen(cases[i].text),
					 &reply) != cases[i].result)
			fail_msg("%s", cases[i].text);
		if (cases[i].result < 0)
			continue;
		assert_int_equal(reply.type, cases[i].type);
		consumer_reply_done(&reply);
	}
}

static void test_backend(void **state)
{
	static const struct {
		const char *members;
		int result;
		bool gone;
		enum backend_state state;
	} cases[] = {
		{ "\"protocol\":\"tcp\",\"state\":\"up\"", 0, false,
		  BACKEND_UP },
		{ "\"protocol\":\"sctp\",\"state\":\"gone\"", 0, true,
		  BACKEND_UP },
		{ "\"protocol\":\"udp\",\"state\":\"down\",\"failures\":7,"
		  "\"error\":111,\"failed_ms\":3000,\"since_ms\":9000,"
		  "\"checked\":true,\"backend_namespace\":\"blue\","
		  "\"http_status\":503,\"connections\":5",
		  0, false, BACKEND_DOWN },
		{ "\"state\":\"up\"", -EPROTO, false, 0 },
		{ "\"protocol\":\"icmp\",\"state\":\"up\"", -EPROTO, false, 0 },
		{ "\"protocol\":\"tcp\"", -EPROTO, false, 0 },
		{ "\"protocol\":\"tcp\",\"state\":\"ill\"", -EPROTO, false, 0 },
		{ "\"protocol\":\"tcp\",\"state\":\"up\",\"failures\":-1",
		  -EPROTO, false, 0 },
		{ "\"protocol\":\"tcp\",\"state\":\"up\",\"error\":-1", -EPROTO,
		  false, 0 },
		{ "\"protocol\":\"tcp\",\"state\":\"up\",\"error\":4096",
		  -EPROTO, false, 0 },
		{ "\"protocol\":\"tcp\",\"state\":\"up\",\"failed_ms\":-2",
		  -EPROTO, false, 0 },
		{ "\"protocol\":\"tcp\",\"state\":\"up\",\"since_ms\":"
		  "9223372036854775807",
		  -EPROTO, false, 0 },
		{ "\"protocol\":\"tcp\",\"state\":\"up\",\"http_status\":1000",
		  -EPROTO, false, 0 },
		{ "\"protocol\":\"tcp\",\"state\":\"up\",\"checked\":1",
		  -EPROTO, false, 0 },
		{ "\"protocol\":\"tcp\",\"state\":\"up\",\"connections\":-1",
		  -EPROTO, false, 0 },
	};
	struct consumer_reply reply;
	char text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)snprintf(text, sizeof(text),
			       "{\"type\":\"backend\",\"rule\":\"web\","
			       "\"backend\":\"unix:/x\",%s}",
			       cases[i].members);
		if (consumer_reply_parse(text, strlen(text), &reply) !=
		    cases[i].result)
			fail_msg("%s", text);
		if (cases[i].result < 0)
			continue;
		assert_int_equal(reply.type, CONSUMER_REPLY_BACKEND);
		assert_string_equal(reply.backend.status.rule, "web");
		assert_string_equal(reply.backend.status.backend, "unix:/x");
		assert_int_equal(reply.backend.gone, cases[i].gone);
		assert_int_equal(reply.backend.status.state, cases[i].state);
		if (cases[i].state == BACKEND_DOWN) {
			assert_int_equal(reply.backend.status.failures, 7);
			assert_string_equal(reply.backend.status.netns, "blue");
			assert_int_equal(reply.backend.status.connections, 5);
			assert_true(reply.backend.status.checked);
			assert_int_equal(reply.backend.status.http_status, 503);
			assert_true(reply.backend.status.failed_us >
				    reply.backend.status.since_us);
		}
		consumer_reply_done(&reply);
	}
}

/* No text is longer than a table can show. */
static void test_client_texts(void **state)
{
	static const struct {
		const char *member;
		int max;
	} cases[] = {
		{ "client", 127 },
		{ "local", 127 },
		{ "backend", 1023 },
		{ "state", 31 },
	};
	struct berth_connection client;
	char text[1100];
	json_t *object;

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		object = json_pack("{s:i, s:i, s:s}", "id", 1, "listener", -1,
				   "client", "");
		assert_int_equal(consumer_client_parse(object, &client), 0);
		assert_true(client.listener == UINT64_MAX);
		json_object_set_new(object, cases[i].member,
				    json_stringn(text, (size_t)cases[i].max));
		assert_int_equal(consumer_client_parse(object, &client), 0);
		json_object_set_new(object, cases[i].member,
				    json_stringn(text,
						 (size_t)cases[i].max + 1));
		assert_int_equal(consumer_client_parse(object, &client),
				 -EPROTO);
		json_decref(object);
	}
}

static void test_socket(void **state)
{
	static const char text[] = "{\"type\":\"socket\",\"request\":-1,"
				   "\"id\":7,\"to\":2%s}";
	static const struct {
		const char *more;
		const char *backend;
		const char *netns;
		const char *client;
		uint16_t port;
	} cases[] = {
		{ "", NULL, NULL, NULL, 0 },
		{ ",\"backend\":\"10.0.0.1:1\"", "10.0.0.1:1", NULL, NULL, 0 },
		{ ",\"backend\":\"x\",\"backend_namespace\":\"\"", "x", "",
		  NULL, 0 },
		{ ",\"client\":\"fd00::1\"", NULL, NULL, "fd00::1", 0 },
		{ ",\"client\":\"10.0.0.1\",\"client_port\":65535", NULL, NULL,
		  "10.0.0.1", 65535 },
	};
	static const char *const refused[] = {
		",\"from\":\"\"",
		",\"from\":\"0.0.0.0\"",
		",\"from\":[\"10.0.0.1\"]",
		",\"client\":\"\"",
		",\"client\":\"eth0\"",
		",\"client\":1",
		",\"client\":\"10.0.0.1\",\"client_port\":65536",
		",\"client\":\"10.0.0.1\",\"client_port\":-1",
		",\"client\":\"10.0.0.1\",\"client_port\":\"53\"",
	};
	char client[IP_TEXT_MAX];
	struct consumer_reply reply;
	char buffer[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)snprintf(buffer, sizeof(buffer), text, cases[i].more);
		assert_int_equal(consumer_reply_parse(buffer, strlen(buffer),
						      &reply),
				 0);
		memset(buffer, 0, sizeof(buffer)); /* it needs it no more */
		assert_true(reply.socket.number == UINT64_MAX);
		assert_int_equal(reply.socket.id, 7);
		assert_int_equal(reply.socket.to, 2);
		assert_int_equal(!reply.socket.backend, !cases[i].backend);
		if (cases[i].backend)
			assert_string_equal(reply.socket.backend,
					    cases[i].backend);
		assert_int_equal(!reply.socket.netns, !cases[i].netns);
		if (cases[i].netns)
			assert_string_equal(reply.socket.netns, cases[i].netns);
		assert_int_equal(reply.socket.client.family != AF_UNSPEC,
				 cases[i].client != NULL);
		if (cases[i].client)
			assert_string_equal(ip_addr_fmt(&reply.socket.client,
							client),
					    cases[i].client);
		assert_int_equal(reply.socket.client_port, cases[i].port);
		consumer_reply_done(&reply);
	}
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		(void)snprintf(buffer, sizeof(buffer), text, refused[i]);
		assert_int_equal(consumer_reply_parse(buffer, strlen(buffer),
						      &reply),
				 -EPROTO);
	}
}

/* However it is written. */
static void test_held_is_read(void **state)
{
	static const char *const texts[] = {
		"{\"type\":\"held\",\"id\":7,\"netns\":5,\"protocol\":\"udp\","
		"\"address\":\"10.0.0.1\",\"port\":53,\"rule\":\"dns\"}",
		"{\"type\":\"held\",\"id\":7,\"netns\":5,\"protocol\":\"udp\","
		"\"address\":\"10.0.0.1\",\"port\":53,\"rule\":\"d\\u006es\"}",
		"{\"type\":\"held\",\"id\":7,\"netns\":5,\"protocol\":\"udp\","
		"\"address\":\"10.0.0.1\",\"port\":53,\"rule\":\"dns\","
		"\"later\":{}}",
	};
	static const char *const refused[] = {
		"{\"type\":\"held\",\"id\":7,\"netns\":5,\"port\":0}",
		"{\"type\":\"held\",\"id\":7,\"netns\":5,\"protocol\":\"x\"}",
		"{\"type\":\"held\",\"id\":7,\"netns\":5,\"address\":\"x\"}",
		"{\"type\":\"held\",\"id\":7,\"netns\":5,\"id\":7}",
		"{\"type\":\"held\",\"id\":7}",
	};
	struct consumer_reply reply;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const struct adopt_claim *claim = &reply.held.claim;
		char address[IP_TEXT_MAX];

		assert_int_equal(consumer_reply_parse(texts[i],
						      strlen(texts[i]), &reply),
				 0);
		assert_int_equal(reply.type, CONSUMER_REPLY_HELD);
		assert_int_equal(reply.id, 7);
		assert_int_equal(claim->id, 7);
		assert_int_equal(claim->netns_id, 5);
		assert_int_equal(claim->endpoint.protocol, PROTOCOL_UDP);
		assert_int_equal(claim->endpoint.port, 53);
		assert_string_equal(endpoint_addr_fmt(&claim->endpoint,
						      address),
				    "10.0.0.1");
		assert_string_equal(reply.held.rule, "dns");
		consumer_reply_done(&reply);
	}
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		assert_int_equal(consumer_reply_parse(refused[i],
						      strlen(refused[i]),
						      &reply),
				 -EPROTO);
}

static void test_long_name_is_cut(void **state)
{
	char text[256], name[200];
	struct consumer_reply reply;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	(void)snprintf(text, sizeof(text),
		       "{\"type\":\"hello\",\"name\":\"%s\"}", name);
	assert_int_equal(consumer_reply_parse(text, strlen(text), &reply), 0);
	assert_int_equal(strlen(reply.hello.name), CONSUMER_NAME_MAX - 1);
}

/* A container names its interface in bytes that are not UTF-8. */
static void test_hostile_names(void **state)
{
	struct netns_name names[] = { { .dir = (char *)"/d",
					.name = (char *)"a\xff\xfe" } };
	struct netns netns = { .id = 9, .names = names, .n_names = 1 };
	struct service *service = service_new();
	struct listener listener = {
		.id = 3,
		.netns_id = 9,
		.endpoint = { .protocol = PROTOCOL_TCP, .port = 80 },
		.ifname = "e\xff",
	};
	_cleanup_free_ char *text = NULL;
	const char *name, *ifname, *action, *body, *address;
	json_int_t id;
	json_t *json;

	(void)state;
	service->rule = strdup("r");
	service->action = SERVICE_RESPOND;
	service->text = strdup("ack");
	listener.service = service;
	text = consumer_listener_text(&listener, &netns);
	assert_non_null(text);
	json = json_loads(text, 0, NULL);
	assert_non_null(json);
	assert_int_equal(json_unpack(json,
				     "{s:I, s:s, s:s, s:s, s:s, s:{s:[s]}}",
				     "id", &id, "interface", &ifname, "action",
				     &action, "text", &body, "address",
				     &address, "netns", "names", &name),
			 0);
	assert_int_equal(id, 3);
	assert_string_equal(name, "a\\xff\\xfe");
	assert_string_equal(ifname, "e\\xff");
	assert_string_equal(action, "respond");
	assert_string_equal(body, "ack");
	assert_string_equal(address, "*");
	json_decref(json);
	service_unref(service);
}

static void test_check(void **state)
{
	struct service *service = service_new(), *copy;
	struct listener listener = { .id = 3,
				     .endpoint = { .port = 80 },
				     .service = service };
	_cleanup_free_ char *without = NULL, *with = NULL;

	(void)state;
	service->rule = strdup("r");
	service->check = (struct service_check){
		.every_ms = 5000, .timeout_ms = 1000, .rise = 2, .fall = 3
	};
	without = consumer_listener_text(&listener, NULL);
	assert_non_null(strstr(without, "\"check\":{\"every_ms\":5000,"
					"\"timeout_ms\":1000,\"rise\":2,"
					"\"fall\":3}"));
	copy = service_copy(service);
	assert_true(service_equal(service, copy));
	service->check.http_path = strdup("/a?b");
	service->check.status_min = 200;
	service->check.status_max = 399;
	assert_false(service_equal(service, copy));
	(void)service_unref(copy);
	copy = service_copy(service);
	assert_true(service_equal(service, copy));
	service->check.http_host = strdup("a.example");
	service->check.send = strdup("b");
	assert_false(service_equal(service, copy));
	(void)service_unref(copy);
	with = consumer_listener_text(&listener, NULL);
	assert_non_null(strstr(with,
			       "\"fall\":3,\"http\":{\"path\":\"/a?b\","
			       "\"host\":\"a.example\",\"status_min\":"
			       "200,\"status_max\":399},\"send\":\"b\"}"));
	(void)service_unref(service);
}

static void test_forward(void **state)
{
	struct service *service = service_new();
	struct listener listener = { .id = 3,
				     .endpoint = { .port = 80 },
				     .service = service };
	_cleanup_free_ char *without = NULL, *with = NULL;
	const char *proxy, *to, *netns, *from6, *from4, *value;
	const char *client, *excluded, *balance;
	int weight = 0, transparent = 0, type = 0, count = 0, per_ms = 0,
	    prefix = 0;
	json_t *json;

	(void)state;
	service->rule = strdup("r");
	service->to = calloc(1, sizeof(*service->to));
	service->to[service->n_to++] = strdup("unix:/x");
	without = consumer_listener_text(&listener, NULL);
	assert_non_null(without);
	assert_null(strstr(without, "proxy_protocol"));
	assert_null(strstr(without, "transparent"));
	assert_null(strstr(without, "backend_namespace"));
	assert_null(strstr(without, "from"));
	assert_null(strstr(without, "clients"));
	assert_null(strstr(without, "rate_limit"));
	assert_null(strstr(without, "max_lifetime_ms"));
	assert_null(strstr(without, "proxy_tlvs"));
	assert_null(strstr(without, "balance"));
	assert_null(strstr(without, "weights"));
	service->balance = SERVICE_BALANCE_LEAST_CONNECTIONS;
	service->weights = calloc(1, sizeof(*service->weights));
	service->weights[0] = 7;
	service->from = calloc(2, sizeof(*service->from));
	service->n_from = 2;
	assert_int_equal(backend_source_parse("[fd00::1]:80", &service->from[0],
					      NULL),
			 0);
	assert_int_equal(
		backend_source_parse("10.0.0.1", &service->from[1], NULL), 0);
	service->clients = calloc(2, sizeof(*service->clients));
	service->n_clients = 2;
	assert_int_equal(
		address_pattern_parse("10.0.0.0/8", &service->clients[0]), 0);
	assert_int_equal(
		address_pattern_parse("!fd00::1", &service->clients[1]), 0);
	service->rates = calloc(1, sizeof(*service->rates));
	service->rates[service->n_rates++] =
		(struct rate_limit){ 20, 1000, 64 };
	service->max_lifetime_ms = 3600000;
	service->transparent = true;
	service->netns = strdup("blue");
	service->proxy = SERVICE_PROXY_V2_CRC32C;
	service->tlvs = calloc(1, sizeof(*service->tlvs));
	service->tlvs[service->n_tlvs++] =
		(struct service_tlv){ 0xe3, strdup("web-1") };
	with = consumer_listener_text(&listener, NULL);
	assert_non_null(with);
	json = json_loads(with, 0, NULL);
	assert_int_equal(
		json_unpack(
			json,
			"{s:s, s:[s], s:b, s:s, s:[s, s!], "
			"s:[{s:i, s:s!}!], s:[s, s!], s:[{s:i, s:i, s:i!}!], "
			"s:s, s:[i!]}",
			"proxy_protocol", &proxy, "to", &to, "transparent",
			&transparent, "backend_namespace", &netns, "from",
			&from6, &from4, "proxy_tlvs", "type", &type, "value",
			&value, "clients", &client, &excluded, "rate_limit",
			"connections", &count, "per_ms", &per_ms, "ipv6_prefix",
			&prefix, "balance", &balance, "weights", &weight),
		0);
	assert_int_equal(
		json_integer_value(json_object_get(json, "max_lifetime_ms")),
		3600000);
	assert_string_equal(balance, "least-connections");
	assert_int_equal(weight, 7);
	assert_int_equal(count, 20);
	assert_int_equal(per_ms, 1000);
	assert_int_equal(prefix, 64);
	assert_string_equal(client, "10.0.0.0/8");
	assert_string_equal(excluded, "!fd00::1");
	assert_int_equal(type, 0xe3);
	assert_string_equal(value, "web-1");
	assert_string_equal(from6, "[fd00::1]:80");
	assert_string_equal(from4, "10.0.0.1");
	assert_true(transparent);
	assert_string_equal(netns, "blue");
	assert_string_equal(proxy, "v2+crc32c");
	assert_string_equal(to, "unix:/x");
	json_decref(json);
	service_unref(service);
}

static void test_http(void **state)
{
	struct service *service = service_new();
	struct listener listener = { .id = 1,
				     .service = service,
				     .endpoint.port = 80 };
	_cleanup_free_ char *text = NULL;
	const char *action, *name, *value, *removed, *path, *host;
	int request_ms, response_ms, max;
	json_t *json;

	(void)state;
	service->rule = strdup("r");
	service->http = service_http_new();
	service->http->set = calloc(1, sizeof(*service->http->set));
	service->http->set[service->http->n_set++] =
		(struct service_header){ strdup("A"), strdup("${client}$$") };
	service->http->remove = calloc(1, sizeof(char *));
	service->http->remove[service->http->n_remove++] = strdup("B");
	service->http->paths = calloc(1, sizeof(char *));
	service->http->paths[service->http->n_paths++] = strdup("/a");
	service->http->hosts = calloc(1, sizeof(char *));
	service->http->hosts[service->http->n_hosts++] = strdup("h");
	service->http->request_timeout_ms = 1;
	service->http->response_timeout_ms = 2;
	service->http->max_request = 256;
	text = consumer_listener_text(&listener, NULL);
	assert_non_null(text);
	json = json_loads(text, 0, NULL);
	assert_int_equal(
		json_unpack(json,
			    "{s:s, s:{s:[{s:s, s:s!}!], s:[s!], s:[s!], "
			    "s:[s!], s:i, s:i, s:i!}}",
			    "action", &action, "http", "set_headers", "name",
			    &name, "value", &value, "remove_headers", &removed,
			    "path", &path, "host", &host, "request_timeout_ms",
			    &request_ms, "response_timeout_ms", &response_ms,
			    "max_request", &max),
		0);
	assert_string_equal(action, "http");
	assert_string_equal(name, "A");
	assert_string_equal(value, "${client}$$");
	assert_string_equal(removed, "B");
	assert_string_equal(path, "/a");
	assert_string_equal(host, "h");
	assert_int_equal(request_ms, 1);
	assert_int_equal(response_ms, 2);
	assert_int_equal(max, 256);
	json_decref(json);
	service_unref(service);
}

static void assert_withdraw(uint64_t drain_ms, enum berth_ending ending,
			    const char *reason, const char *expected)
{
	_cleanup_free_ char *text =
		consumer_withdraw_text(7, drain_ms, ending, reason);

	assert_string_equal(text, expected);
}

static void test_withdraw(void **state)
{
	(void)state;
	assert_withdraw(300, BERTH_ENDING_DRAINED, NULL,
			"{\"type\":\"withdraw\",\"id\":7,\"abort\":false,"
			"\"drain_timeout_ms\":300}");
	assert_withdraw(0, BERTH_ENDING_NETNS_GONE, NULL,
			"{\"type\":\"withdraw\",\"id\":7,\"abort\":true}");
	assert_withdraw(0, BERTH_ENDING_DRAINED, "no rule wants \"it\"",
			"{\"type\":\"withdraw\",\"id\":7,\"abort\":true,"
			"\"ending\":\"drained\","
			"\"reason\":\"no rule wants \\\"it\\\"\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http),
		cmocka_unit_test(test_reply_parse),
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_backend),
		cmocka_unit_test(test_client_texts),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_held_is_read),
		cmocka_unit_test(test_long_name_is_cut),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_forward),
		cmocka_unit_test(test_withdraw),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
