// SPDX-License-Identifier: Apache-2.0
/* http.c - GET requests to servers on UNIX sockets, by the event loop
 *
 * libcurl does the protocol. It says which descriptors it waits for, and until
 * when; the loop tells it what came. libcurl must not be called from its own
 * callbacks: a request that is freed in one is only marked, and taken away when
 * libcurl has returned.
 */
#include "hook/follow/http.h"

#include <curl/curl.h>
#include <string.h>
#include <sys/epoll.h>
#include <utlist.h>

#include "common/loop.h"
#include "common/util.h"

#define STATUS_OK 200

/* Of all headers of an answer. Docker and podman send some hundreds. */
#define HEADERS_MAX (64u * 1024)

#define BODY_MIN 4096u

/**
 * struct http - all requests
 * @depth:	libcurl is at work, and must not be called
 */
struct http {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer *timer;
	struct http_request *requests;
	unsigned int depth;
};

/** struct http_socket - a descriptor of libcurl's that the loop waits for */
struct http_socket {
	struct http *http;
	struct loop_source *source;
	curl_socket_t fd;
};

/**
 * struct http_request - one request
 * @dead:	freed by its owner; taken away when libcurl has returned
 * @opened:	the handler of that name was called
 * @over:	done was called
 * @r:		why this file ended the request; 0: it did not
 */
struct http_request {
	struct http *http;
	const struct http_handlers *handlers;
	void *user_data;
	CURL *easy;
	char *url;
	char *body;
	size_t body_len;
	size_t body_capacity;
	size_t body_max;
	size_t headers_len;
	bool dead;
	bool opened;
	bool over;
	int r;
	struct http_request *prev, *next;
};

static void request_destroy(struct http_request *request)
{
	struct http *http = request->http;

	DL_DELETE(http->requests, request);
	if (request->easy) {
		/* Fails only for a handle that was not added. */
		(void)curl_multi_remove_handle(http->multi, request->easy);
		curl_easy_cleanup(request->easy);
	}
	free(request->url);
	free(request->body);
	free(request);
}

static int error_of(const struct http_request *request, CURLcode code)
{
	long error = 0;

	if (request->r < 0)
		return request->r;
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return -ECONNRESET;
	case CURLE_COULDNT_CONNECT:
		if (curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO,
				      &error) == CURLE_OK &&
		    error > 0)
			return -(int)error;
		return -ECONNREFUSED;
	default:
		return -EPROTO;
	}
}

static long status_of(const struct http_request *request)
{
	long status = 0;

	/* Leaves 0 on failure, which is no status. */
	(void)curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static void request_done(struct http_request *request, CURLcode code)
{
	int r = error_of(request, code);

	if (request->dead || request->over)
		return;
	request->over = true;
	request->handlers->done(r, status_of(request),
				request->body ? request->body : "",
				request->body_len, request->user_data);
}

/* Tells of requests that are over, and takes away those that were freed. */
static void http_collect(struct http *http)
{
	struct http_request *request, *next;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(http->multi, &left))) {
		char *private = NULL;

		if (message->msg == CURLMSG_DONE &&
		    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
				      &private) == CURLE_OK)
			request_done((struct http_request *)(void *)private,
				     message->data.result);
	}
	DL_FOREACH_SAFE (http->requests, request, next) {
		if (request->dead)
			request_destroy(request);
	}
}

static void http_act(struct http *http, curl_socket_t fd, int what)
{
	int running;

	http->depth++;
	/* Fails for no reason that another call would not meet again; requests
	 * then end by their time. */
	(void)curl_multi_socket_action(http->multi, fd, what, &running);
	/* A handler may free requests: only marked, as @depth says. */
	http_collect(http);
	http->depth--;
}

static void socket_handler(uint32_t events, void *user_data)
{
	struct http_socket *sock = user_data;
	int what = ((events & EPOLLIN) ? CURL_CSELECT_IN : 0) |
		   ((events & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
		   ((events & (EPOLLERR | EPOLLHUP)) ? CURL_CSELECT_ERR : 0);

	http_act(sock->http, sock->fd, what);
}

static void timer_handler(void *user_data)
{
	http_act(user_data, CURL_SOCKET_TIMEOUT, 0);
}

static int socket_add(struct http *http, curl_socket_t fd, uint32_t events)
{
	struct http_socket *sock = calloc(1, sizeof(*sock));

	if (!sock)
		return -1;
	sock->http = http;
	sock->fd = fd;
	if (loop_add(http->loop, fd, events, socket_handler, sock,
		     &sock->source) < 0 ||
	    curl_multi_assign(http->multi, fd, sock) != CURLM_OK) {
		loop_source_free(sock->source);
		free(sock);
		return -1;
	}
	return 0;
}

/* libcurl says what it waits for. */
static int socket_wanted(CURL *easy, curl_socket_t fd, int what,
			 void *user_data, void *socket_data)
{
	struct http_socket *sock = socket_data;
	uint32_t events = ((what & CURL_POLL_IN) ? EPOLLIN : 0u) |
			  ((what & CURL_POLL_OUT) ? EPOLLOUT : 0u);

	(void)easy; /* the descriptor says it all */
	if (what == CURL_POLL_REMOVE) {
		if (sock)
			loop_source_free(sock->source);
		free(sock);
		return 0;
	}
	if (!sock)
		return socket_add(user_data, fd, events);
	return loop_source_set_events(sock->source, events) < 0 ? -1 : 0;
}

static int timer_wanted(CURLM *multi, long timeout_ms, void *user_data)
{
	struct http *http = user_data;

	(void)multi; /* there is one */
	if (timeout_ms < 0)
		loop_timer_unset(http->timer);
	else
		loop_timer_set(http->timer,
			       monotonic_us() +
				       (uint64_t)timeout_ms * USEC_PER_MSEC);
	return 0;
}

int http_new(struct loop *loop, struct http **ret_http)
{
	struct http *http = calloc(1, sizeof(*http));

	if (!http)
		return -ENOMEM;
	http->loop = loop;
	/* No TLS: it would be set up and never used. */
	if (curl_global_init(CURL_GLOBAL_NOTHING) == CURLE_OK)
		http->multi = curl_multi_init();
	if (!http->multi ||
	    loop_timer_new(loop, timer_handler, http, &http->timer) < 0 ||
	    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION,
			      socket_wanted) != CURLM_OK ||
	    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http) !=
		    CURLM_OK ||
	    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION,
			      timer_wanted) != CURLM_OK ||
	    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http) !=
		    CURLM_OK) {
		http_free(http);
		return -ENOMEM;
	}
	*ret_http = http;
	return 0;
}

struct http *http_free(struct http *http)
{
	if (!http)
		return NULL;
	while (http->requests)
		request_destroy(http->requests);
	/* Its last words, to close connections, free the loop's sources. */
	if (http->multi)
		(void)curl_multi_cleanup(http->multi);
	loop_timer_free(http->timer);
	free(http);
	curl_global_cleanup();
	return NULL;
}

/* libcurl also takes a handler that does not write. */
static size_t header_handler(const char *data, size_t size, size_t n,
			     void *user_data)
{
	struct http_request *request = user_data;
	size_t len = size * n;
	long status = status_of(request);

	request->headers_len += len;
	if (request->headers_len > HEADERS_MAX)
		request->r = -EMSGSIZE;
	if (request->dead || request->r < 0)
		return 0;
	/* The empty line behind the headers. */
	if (len > 0 && (*data == '\r' || *data == '\n') &&
	    status == STATUS_OK && request->handlers->opened &&
	    !request->opened) {
		request->opened = true;
		request->handlers->opened(request->user_data);
	}
	return request->dead ? 0 : len;
}

static int body_add(struct http_request *request, const char *data, size_t len)
{
	size_t need = request->body_len + len;
	size_t capacity = request->body_capacity ? request->body_capacity
						 : BODY_MIN;
	char *body;

	if (need > request->body_max)
		return -EMSGSIZE;
	while (capacity < need)
		capacity *= 2;
	if (capacity > request->body_capacity) {
		body = realloc(request->body, capacity);
		if (!body)
			return -ENOMEM;
		request->body = body;
		request->body_capacity = capacity;
	}
	memcpy(request->body + request->body_len, data, len);
	request->body_len = need;
	return 0;
}

static size_t body_handler(char *data, size_t size, size_t n, void *user_data)
{
	struct http_request *request = user_data;
	size_t len = size * n;

	if (request->dead)
		return 0;
	/* What a failure says in its body is as well said by its status. */
	if (status_of(request) != STATUS_OK)
		return len;
	if (request->handlers->data) {
		if (!request->handlers->data(data, len, request->user_data))
			request->r = -EMSGSIZE;
		return request->dead || request->r < 0 ? 0 : len;
	}
	request->r = body_add(request, data, len);
	return request->r < 0 ? 0 : len;
}

static CURLcode request_set(struct http_request *request,
			    const struct http_get *get)
{
	CURL *easy = request->easy;
	CURLcode codes[] = {
		curl_easy_setopt(easy, CURLOPT_URL, request->url),
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH,
				 get->socket_path),
		curl_easy_setopt(easy, CURLOPT_PRIVATE, request),
		/* Nothing from the environment, no other protocol, no signal.
		 */
		curl_easy_setopt(easy, CURLOPT_PROXY, ""),
		curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http"),
		curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L),
		curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, get->timeout_ms),
		curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header_handler),
		curl_easy_setopt(easy, CURLOPT_HEADERDATA, request),
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_handler),
		curl_easy_setopt(easy, CURLOPT_WRITEDATA, request),
		curl_easy_setopt(easy, CURLOPT_USERAGENT,
				 "berth-follow/" BERTH_VERSION),
	};

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		if (codes[i] != CURLE_OK)
			return codes[i];
	}
	return CURLE_OK;
}

int http_get(struct http *http, const struct http_get *get,
	     struct http_request **ret_request)
{
	struct http_request *request = calloc(1, sizeof(*request));

	if (!request)
		return -ENOMEM;
	request->http = http;
	request->handlers = get->handlers;
	request->user_data = get->user_data;
	request->body_max = get->body_max;
	DL_APPEND(http->requests, request);
	request->easy = curl_easy_init();
	/* The host's name is a formality of HTTP. */
	if (asprintf(&request->url, "http://localhost%s", get->target) < 0)
		request->url = NULL; /* as asprintf(3) leaves it open */
	if (!request->easy || !request->url ||
	    request_set(request, get) != CURLE_OK ||
	    curl_multi_add_handle(http->multi, request->easy) != CURLM_OK) {
		request_destroy(request);
		return -ENOMEM;
	}
	*ret_request = request;
	return 0;
}

struct http_request *http_request_free(struct http_request *request)
{
	if (!request)
		return NULL;
	request->dead = true;
	if (request->http->depth == 0)
		request_destroy(request);
	return NULL;
}
