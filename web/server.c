// SPDX-License-Identifier: Apache-2.0
/* server.c - viewers on one side, berthd on the other
 *
 * Theory of operation: libmicrohttpd runs in the loop, by its epoll
 * descriptor. A request is answered from the cache at once, or its connection
 * is suspended, and resumed with the answer. The question goes to the asker, of
 * which there is one: whatever viewers do, berthd has one question at a time.
 *
 * A viewer that waits keeps the answer (viewer->document) until libmicrohttpd
 * asks again, so that it gets one even if that is a second old by then.
 */
#include "web/server.h"

#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/log.h"
#include "common/code_pages.h"
#include "common/loop.h"
#include "common/utf8.h"
#include "common/util.h"
#include "web/asker.h"
#include "web/cache.h"
#include "web/document.h"
#include "web/host.h"
#include "web/page.h"
#include "web/question.h"
#include "web/route.h"
#include "web/viewer.h"

/* A browser has up to six connections, a scraper one. */
#define VIEWERS_MAX 64

/* Of a connection: a request's head, with the cookies that a browser has for
 * this host's other servers, and the head of the answer. */
#define VIEWER_BYTES ((size_t)16 * 1024)

/* Of documents that are read more slowly than new ones are made. */
#define DOCUMENTS_MAX ((size_t)64 * 1024 * 1024)

/* Of a parameter: a path, or a name in berthd's words. */
#define VALUE_MAX 4096

#define LOG_BYTES 256

/**
 * struct server - all of it
 * @page:	what is at /
 * @viewers:	all connections
 * @documents:	bytes of all that were made of berthd's answers
 * @closed:	connections were closed: libmicrohttpd is to run once more,
 *which only then accepts others if it had as many as it takes
 * @away:	berthd did not answer the last question
 */
struct server {
	const struct server_config *config;
	struct loop *loop;
	struct loop_source *source;
	struct loop_timer *timer;
	struct MHD_Daemon *daemon;
	struct asker *asker;
	struct cache *cache;
	struct document *page;
	struct viewer_list viewers;
	size_t documents;
	bool closed;
	bool away;
};

/**
 * struct query - the parameters of a request
 * @error:	out of memory
 * @refused:	why they are none of the route's; "" when they are
 */
struct query {
	struct question question;
	bool error;
	char refused[LOG_BYTES];
};

static struct viewer *viewer_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection,
				       MHD_CONNECTION_INFO_SOCKET_CONTEXT)
		->socket_context;
}

/* Sending */

static void sent_handler(void *user_data)
{
	document_unref(user_data);
}

static bool add_headers(struct MHD_Response *response,
			const struct document *document)
{
	const struct {
		const char *name;
		const char *value;
	} headers[] = {
		{ "Content-Type", document_type_name(document->type) },
		{ "Content-Security-Policy",
		  document->type == DOCUMENT_HTML
			  ? page_policy
			  : "default-src 'none'; frame-ancestors 'none'" },
		{ "X-Frame-Options", "DENY" },
		{ "X-Content-Type-Options", "nosniff" },
		{ "Cross-Origin-Resource-Policy", "same-origin" },
		{ "Cross-Origin-Opener-Policy", "same-origin" },
		{ "Referrer-Policy", "no-referrer" },
		{ "Cache-Control", "no-store" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		if (MHD_add_response_header(response, headers[i].name,
					    headers[i].value) != MHD_YES)
			return false;
	}
	return (document->status != MHD_HTTP_METHOD_NOT_ALLOWED ||
		MHD_add_response_header(response, "Allow", "GET, HEAD") ==
			MHD_YES) &&
	       (document->status != MHD_HTTP_SERVICE_UNAVAILABLE ||
		MHD_add_response_header(response, "Retry-After", "1") ==
			MHD_YES);
}

/* Sends what the viewer was given. */
static enum MHD_Result viewer_send(struct server *server, struct viewer *viewer)
{
	struct document *document = viewer->document;
	enum MHD_Result queued = MHD_NO;
	struct MHD_Response *response =
		MHD_create_response_from_buffer_with_free_callback_cls(
			document->len, (void *)document->text, sent_handler,
			document);

	if (!response)
		return MHD_NO;
	document_ref(document);
	viewer->deadline_us =
		loop_now_us(server->loop) + 2 * server->config->timeout_us;
	if (add_headers(response, document))
		queued = MHD_queue_response(viewer->connection,
					    document->status, response);
	MHD_destroy_response(response);
	return queued;
}

/* Return: MHD_NO without memory: the connection ends. */
static enum MHD_Result viewer_refuse(struct server *server,
				     struct viewer *viewer, unsigned int status,
				     enum document_type type,
				     const char *message)
{
	viewer_take(viewer, document_error(status, type, "refused", message));
	return viewer->document ? viewer_send(server, viewer) : MHD_NO;
}

/* Requests */

static bool has_body(struct MHD_Connection *connection)
{
	const char *length = MHD_lookup_connection_value(
		connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return (length && strcmp(length, "0") != 0) ||
	       MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
					   MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

static bool utf8_valid(const char *text)
{
	size_t len;

	for (; *text; text += len) {
		len = utf8_char_len(text);
		if (len == 0)
			return false;
	}
	return true;
}

static const char *why_not(const struct query *query, int i, const char *value,
			   size_t len)
{
	if (i < 0)
		return "there is no such parameter here";
	if (query->question.values[i])
		return "it is given twice";
	if (!value || len == 0)
		return "it has no value";
	if (len > VALUE_MAX)
		return "it is too long";
	return strlen(value) != len || !utf8_valid(value) ? "it is no UTF-8"
							  : NULL;
}

static enum MHD_Result query_handler(void *user_data, enum MHD_ValueKind kind,
				     const char *key, size_t key_len,
				     const char *value, size_t value_len)
{
	struct query *query = user_data;
	int i = route_parameter(query->question.route, key);
	const char *reason = why_not(query, i, value, value_len);

	(void)kind;
	(void)key_len;
	if (reason) {
		(void)snprintf(query->refused, sizeof(query->refused),
			       "parameter '%.64s': %s",
			       utf8_valid(key) ? key : "?", reason);
		return MHD_NO;
	}
	query->question.values[i] = strdup(value);
	query->error = !query->question.values[i];
	return query->error ? MHD_NO : MHD_YES;
}

static void query_read(struct query *query, struct MHD_Connection *connection)
{
	const struct route_parameter *parameters =
		query->question.route->parameters;

	(void)MHD_get_connection_values_n(connection, MHD_GET_ARGUMENT_KIND,
					  query_handler, query); /* as @query
								  * says */
	for (int i = 0; parameters[i].name && !query->refused[0]; i++) {
		if (parameters[i].required && !query->question.values[i])
			(void)snprintf(query->refused, sizeof(query->refused),
				       "parameter '%s' is missing",
				       parameters[i].name);
	}
}

/* Has the viewer get the answer, now or later. */
static enum MHD_Result viewer_ask(struct server *server, struct viewer *viewer,
				  const struct question *question)
{
	struct cache_entry *entry;
	struct document *document;
	int r = cache_find(server->cache, question, loop_now_us(server->loop),
			   &entry);

	if (r == -EAGAIN)
		return viewer_refuse(server, viewer,
				     MHD_HTTP_SERVICE_UNAVAILABLE,
				     question->route->type,
				     "too many other questions wait");
	if (r < 0)
		return MHD_NO;
	document = cache_document(entry);
	if (document) {
		viewer_take(viewer, document_ref(document));
		return viewer_send(server, viewer);
	}
	viewer->entry = entry;
	viewer->deadline_us = UINT64_MAX;
	MHD_suspend_connection(viewer->connection);
	return MHD_YES;
}

static enum MHD_Result viewer_route(struct server *server,
				    struct viewer *viewer, const char *url)
{
	struct query query = { .question = { .route = route_find(url) } };
	const struct route *route = query.question.route;
	enum MHD_Result result;

	if (!route)
		return viewer_refuse(server, viewer, MHD_HTTP_NOT_FOUND,
				     route_type_of(url),
				     "there is nothing of this name");
	query_read(&query, viewer->connection);
	if (query.refused[0]) {
		result = viewer_refuse(server, viewer, MHD_HTTP_BAD_REQUEST,
				       route_type_of(url), query.refused);
	} else if (query.error) {
		result = MHD_NO;
	} else if (route->kind == ROUTE_PAGE) {
		viewer_take(viewer, document_ref(server->page));
		result = viewer_send(server, viewer);
	} else {
		result = viewer_ask(server, viewer, &query.question);
	}
	question_done(&query.question);
	return result;
}

/* The head was read. Return: MHD_YES; else what to return to libmicrohttpd, in
 * *@ret_result. */
static bool head_refused(struct server *server, struct viewer *viewer,
			 const char *url, const char *method,
			 enum MHD_Result *ret_result)
{
	const struct server_config *config = server->config;
	enum document_type type = route_type_of(url);
	const char *host = MHD_lookup_connection_value(
		viewer->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);

	if (!config->any_host &&
	    !host_allowed(host, config->hosts, config->n_hosts))
		*ret_result = viewer_refuse(
			server, viewer, MHD_HTTP_MISDIRECTED_REQUEST, type,
			"this server is not called so: it answers to "
			"localhost, IP addresses and names given by --host");
	else if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
		 strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		*ret_result = viewer_refuse(server, viewer,
					    MHD_HTTP_METHOD_NOT_ALLOWED, type,
					    "only GET and HEAD are answered");
	else if (has_body(viewer->connection))
		*ret_result = viewer_refuse(server, viewer,
					    MHD_HTTP_CONTENT_TOO_LARGE, type,
					    "no request has a body here");
	else
		return false;
	return true;
}

/* libmicrohttpd calls it when it has the head, and again when it has the body,
 * or after a suspension. */
static enum MHD_Result
request_handler(void *user_data, struct MHD_Connection *connection,
		const char *url, const char *method, const char *version,
		const char *upload_data, size_t *upload_data_size,
		void **request_data)
{
	struct server *server = user_data;
	struct viewer *viewer = viewer_of(connection);
	enum MHD_Result result = MHD_YES;

	(void)version;
	(void)upload_data;
	if (!viewer)
		return MHD_NO;
	if (*upload_data_size > 0) {
		*upload_data_size = 0; /* of a body: it is thrown away */
		return MHD_YES;
	}
	if (!*request_data) {
		*request_data = viewer;
		(void)head_refused(server, viewer, url, method, &result);
		return result;
	}
	return viewer->document ? viewer_send(server, viewer)
				: viewer_route(server, viewer, url);
}

static void request_end_handler(void *user_data,
				struct MHD_Connection *connection,
				void **request_data,
				enum MHD_RequestTerminationCode code)
{
	struct server *server = user_data;
	struct viewer *viewer = viewer_of(connection);

	(void)request_data;
	(void)code;
	if (!viewer)
		return;
	viewer_take(viewer, NULL);
	viewer->deadline_us =
		loop_now_us(server->loop) + server->config->timeout_us;
}

static void connection_handler(void *user_data,
			       struct MHD_Connection *connection,
			       void **connection_data,
			       enum MHD_ConnectionNotificationCode code)
{
	struct server *server = user_data;
	struct viewer *viewer;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		*connection_data = viewer_free(*connection_data);
		server->closed = true;
		return;
	}
	viewer = viewer_new(
		&server->viewers, connection,
		MHD_get_connection_info(connection,
					MHD_CONNECTION_INFO_CONNECTION_FD)
			->connect_fd);
	if (viewer)
		viewer->deadline_us =
			loop_now_us(server->loop) + server->config->timeout_us;
	*connection_data = viewer;
}

/* Answers */

/* Gives the entry's answer to all that wait for it; NULL: there is none. */
static void entry_answer(struct server *server, struct cache_entry *entry,
			 struct document *document)
{
	struct viewer *viewer;

	LIST_FOREACH(viewer, &server->viewers, link)
	{
		if (viewer->entry != entry)
			continue;
		viewer->entry = NULL;
		if (document)
			viewer_take(viewer, document_ref(document));
		else
			viewer->deadline_us = 0;
		MHD_resume_connection(viewer->connection);
	}
	cache_answer(server->cache, entry, document, loop_now_us(server->loop));
}

static void tell_of_berthd(struct server *server, int away)
{
	const char *path = server->config->berthd_path;

	if (away && !server->away)
		log_warning_errno(away,
				  "cannot ask berthd by '%s'; trying "
				  "again when somebody asks",
				  path);
	else if (!away && server->away)
		log_info("berthd answers again by '%s'", path);
	server->away = away != 0;
}

static void answer_handler(struct document *document, void *user_data)
{
	struct server *server = user_data;
	struct cache_entry *entry = cache_next(server->cache);

	if (!document) {
		entry_answer(server, entry, NULL);
		return;
	}
	document_count(document, &server->documents);
	tell_of_berthd(server, document->away);
	entry_answer(server, entry, document);
	/* Nobody waits for one time limit after the other. */
	while (document->away && (entry = cache_next(server->cache)))
		entry_answer(server, entry, document);
	document_unref(document);
	if (server->documents > DOCUMENTS_MAX)
		viewers_shed(&server->viewers,
			     server->documents - DOCUMENTS_MAX);
}

/* The loop */

/* Asks what is wanted. A question that there is no memory for gets no answer.
 */
static void server_ask(struct server *server)
{
	struct cache_entry *entry;

	while (!asker_busy(server->asker) &&
	       (entry = cache_next(server->cache)) &&
	       asker_ask(server->asker, cache_question(entry)) < 0)
		entry_answer(server, entry, NULL);
}

/* Return: when libmicrohttpd wants to run again; UINT64_MAX: it does not. */
static uint64_t daemon_deadline_us(const struct server *server)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	if (MHD_get_timeout(server->daemon, &timeout_ms) != MHD_YES)
		return UINT64_MAX;
	return loop_now_us(server->loop) + timeout_ms * USEC_PER_MSEC;
}

static bool server_after(void *user_data)
{
	struct server *server = user_data;
	uint64_t now_us = loop_now_us(server->loop), next_us, expire_us;

	server->closed = false;
	(void)MHD_run(server->daemon); /* fails only if it is not run so */
	server_ask(server);
	next_us = viewers_expire(&server->viewers, now_us);
	expire_us = cache_expire(server->cache, now_us);
	if (expire_us != 0 && expire_us < next_us)
		next_us = expire_us;
	expire_us = daemon_deadline_us(server);
	if (expire_us < next_us)
		next_us = expire_us;
	if (next_us == UINT64_MAX)
		loop_timer_unset(server->timer);
	else
		loop_timer_set(server->timer, next_us);
	return next_us <= now_us || server->closed;
}

/* Nothing to be done: the loop calls server_after() after each batch. */
static void timer_handler(void *user_data)
{
	(void)user_data;
}

static void daemon_handler(uint32_t events, void *user_data)
{
	(void)events;
	(void)user_data;
}

static void daemon_log(void *user_data, const char *fmt, va_list arguments)
{
	char line[LOG_BYTES];

	(void)user_data;
	(void)vsnprintf(line, sizeof(line), fmt, arguments);
	log_debug("libmicrohttpd: %.*s", (int)strcspn(line, "\n"), line);
}

static int daemon_start(struct server *server)
{
	server->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
		NULL, NULL, request_handler, server, MHD_OPTION_EXTERNAL_LOGGER,
		daemon_log, NULL, MHD_OPTION_LISTEN_SOCKET,
		server->config->listen_fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)VIEWERS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		VIEWER_BYTES, MHD_OPTION_NOTIFY_COMPLETED, request_end_handler,
		server, MHD_OPTION_NOTIFY_CONNECTION, connection_handler,
		server, MHD_OPTION_END);
	if (!server->daemon)
		return -EIO;
	return loop_add(server->loop,
			MHD_get_daemon_info(server->daemon,
					    MHD_DAEMON_INFO_EPOLL_FD)
				->epoll_fd,
			EPOLLIN, daemon_handler, server, &server->source);
}

static int server_init(struct server *server)
{
	int r = loop_new(&server->loop);

	if (r == 0)
		r = loop_timer_new(server->loop, timer_handler, server,
				   &server->timer);
	if (r == 0)
		r = cache_new(&server->cache);
	if (r == 0)
		r = daemon_start(server);
	if (r == 0)
		r = asker_new(server->loop, server->config->berthd_path,
			      answer_handler, server, &server->asker);
	if (r == 0)
		loop_set_after(server->loop, server_after, server);
	return r;
}

int server_new(const struct server_config *config, struct server **ret_server)
{
	struct server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return -ENOMEM;
	server->config = config;
	LIST_INIT(&server->viewers);
	server->page =
		document_static(DOCUMENT_HTML, page_html, strlen(page_html));
	r = server->page ? server_init(server) : -ENOMEM;
	if (r < 0)
		return r; /* and the program ends */
	*ret_server = server;
	return 0;
}

int server_run(struct server *server)
{
	code_pages_release();
	return loop_run(server->loop);
}
