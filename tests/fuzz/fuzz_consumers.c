// SPDX-License-Identifier: Apache-2.0
/* fuzz_consumers.c - a consumer that says anything at any time
 *
 * The input is a script: a byte opens, changes or closes a listener, ends a
 * namespace or the connection, asks for counts, or has the consumer send the
 * bytes up to the next newline as a datagram; those after a '~' with a
 * descriptor. What berthd counts must be right all the time.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/netns.h"
#include "common/util.h"
#include "daemon/consumers/consumer_message.h"
#include "daemon/consumers/consumers.h"
#include "daemon/consumers/questions.h"

#define LISTENERS 8
#define NETNS_ID 5

/* Listeners that are handed back have smaller ids than those that are opened.
 */
#define FIRST_ID 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct state {
	struct loop *loop;
	struct consumers *consumers;
	struct listener listeners[LISTENERS];
	uint64_t last_id;
	uint64_t last_request;
	size_t n_open;
	int peer_fd;
	uint64_t party;
	struct consumer_question questions[2];
};

static const struct netns *find_netns(uint64_t netns_id, void *user_data)
{
	static const struct netns netns = { .id = NETNS_ID };

	(void)user_data;
	return netns_id == NETNS_ID ? &netns : NULL;
}

static struct listener *find_listener(uint64_t id, void *user_data)
{
	struct state *state = user_data;

	for (size_t i = 0; i < LISTENERS; i++) {
		if (state->listeners[i].fd >= 0 && state->listeners[i].id == id)
			return &state->listeners[i];
	}
	return NULL;
}

static void released(uint64_t netns_id, void *user_data)
{
	/* The consumer may have said any. */
	(void)netns_id;
	(void)user_data;
}

/* Some find no memory. */
static int counted(const struct consumer_count *count, void *user_data)
{
	(void)user_data;
	assert(count->service && count->connection);
	return count->counts->accepted % 8 == 7 && !count->final ? -ENOMEM : 0;
}

static void ended(uint64_t connection, void *user_data)
{
	(void)connection;
	(void)user_data;
}

static void stats_changed(void *user_data)
{
	(void)user_data;
}

/* Adopts whatever there is room for: the binder has its own tests. */
static int hand_back(struct handed_back *handed_back, int fd,
		     const char **ret_reason, void *user_data)
{
	struct state *state = user_data;
	const struct adopt_claim *claim = &handed_back->claim;
	struct listener *listener =
		&state->listeners[claim->endpoint.port % LISTENERS];

	if (find_listener(claim->id, state)) {
		(void)close(fd);
		return 1;
	}
	if (listener->fd >= 0 || claim->id >= FIRST_ID) {
		(void)close(fd);
		*ret_reason = "not wanted";
		return -ENOENT;
	}
	listener->id = claim->id;
	listener->fd = fd;
	consumers_listener_opened(state->consumers, listener);
	state->n_open++;
	return 0;
}

static void not_awaited(void *user_data)
{
	(void)user_data;
}

static void came(const char *consumer, pid_t pid, void *user_data)
{
	(void)pid;
	(void)user_data;
	assert(strcmp(consumer, SERVICE_RELAY) == 0);
}

static void lost(const char *consumer, pid_t pid, const char *what,
		 void *user_data)
{
	(void)pid;
	(void)what;
	(void)user_data;
	assert(strcmp(consumer, SERVICE_RELAY) == 0);
}

static const char *refusal(const char *consumer, pid_t pid, void *user_data)
{
	(void)consumer;
	(void)pid;
	(void)user_data;
	return NULL;
}

static void attach(struct state *state)
{
	static const char hello[] = "{\"type\":\"hello\",\"version\":1,"
				    "\"held\":3}";
	int fds[2];

	cleanup_close(&state->peer_fd);
	assert(socketpair(AF_UNIX,
			  SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
			  fds) == 0);
	state->peer_fd = fds[1];
	assert(consumers_attach(state->consumers, SERVICE_RELAY, fds[0], 1) ==
	       0);
	assert(send(state->peer_fd, hello, strlen(hello), 0) > 0);
}

/* One that is closed without a process, see close_safely.h. */
static int new_descriptor(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert(fd >= 0);
	return fd;
}

static void send_with_descriptor(int socket_fd, const char *text, size_t len)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (char *)text, .iov_len = len };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
	_cleanup_close_ int fd = new_descriptor();

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	(void)sendmsg(socket_fd, &message,
		      MSG_DONTWAIT | MSG_NOSIGNAL); /* or not */
}

static void say(const struct state *state, const uint8_t *data, size_t len)
{
	if (state->peer_fd < 0)
		return;
	if (data[0] == '~')
		send_with_descriptor(state->peer_fd, (const char *)data + 1,
				     len - 1);
	else
		(void)send(state->peer_fd, data, len,
			   MSG_DONTWAIT | MSG_NOSIGNAL); /* or not */
}

static void open_or_close(struct state *state, uint8_t which)
{
	struct listener *listener = &state->listeners[which % LISTENERS];

	if (listener->fd >= 0) {
		consumers_listener_closing(state->consumers, listener);
		cleanup_close(&listener->fd);
		listener->fd = -1;
		state->n_open--;
		return;
	}
	listener->id = FIRST_ID + state->last_id++;
	listener->fd = new_descriptor();
	consumers_listener_opened(state->consumers, listener);
	state->n_open++;
}

static void answered(const struct consumer_answer *answer, void *user_data)
{
	struct consumer_question *question = user_data;
	struct berth_connection client;
	json_t *object;
	size_t i;

	json_array_foreach (answer->connections, i, object)
		assert(consumer_client_parse(object, &client) == 0);
	assert(question->user_data);
	question->user_data = NULL;
}

static int ask_party(const struct consumer_party *party, void *user_data)
{
	struct state *state = user_data;
	struct consumer_held_listener held;

	(void)consumers_find_held(state->consumers, party->number,
				  state->last_id, &held); /* or not */
	state->party = party->number;
	return 0;
}

/* Two bytes of the script ask a question each, or cancel it. */
static void ask_or_cancel(struct state *state,
			  struct consumer_question *question)
{
	if (question->user_data) {
		consumers_cancel(question);
		question->user_data = NULL;
		return;
	}
	state->party = 0;
	(void)consumers_each_connection(state->consumers, ask_party,
					state); /* 0 */
	*question = (struct consumer_question){
		.closes = question == &state->questions[1],
		.number = 1,
		.answered = answered,
		.user_data = question,
	};
	if (consumers_ask(state->consumers, state->party, question) < 0)
		question->user_data = NULL;
}

static void check(const struct state *state)
{
	struct consumer_info info;
	size_t delivered = 0;

	if (consumers_count(state->consumers) == 0)
		return;
	consumers_get_info(state->consumers, 0, &info);
	for (size_t i = 0; i < LISTENERS; i++)
		delivered += state->listeners[i].fd >= 0 &&
			     consumers_delivered(&state->listeners[i]);
	assert(info.delivered == delivered);
	assert(info.delivered + info.undelivered == state->n_open);
	assert(info.connected || info.withdrawn == 0);
}

static bool quit_after(void *user_data)
{
	struct state *state = user_data;

	if (consumers_step(state->consumers))
		return true;
	loop_quit(state->loop, 0);
	return false;
}

/* Return: the bytes of the script that were used. */
static size_t do_one(struct state *state, const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	size_t len = end ? (size_t)(end - data) : size;
	struct listener *listener = &state->listeners[data[0] % LISTENERS];

	if (data[0] < 0x10) {
		open_or_close(state, data[0]);
	} else if (data[0] < 0x18) {
		if (listener->fd >= 0)
			consumers_listener_changed(state->consumers, listener);
	} else if (data[0] < 0x1b) {
		consumers_netns_gone(state->consumers, NETNS_ID + data[0] % 2);
	} else if (data[0] < 0x1d) {
		ask_or_cancel(state, &state->questions[data[0] - 0x1b]);
	} else if (data[0] == 0x1d) {
		consumers_ask_stats(state->consumers, ++state->last_request);
	} else if (data[0] == 0x1e) {
		attach(state);
	} else if (data[0] == 0x1f) {
		cleanup_close(&state->peer_fd);
		state->peer_fd = -1;
	} else {
		say(state, data, len);
		return end ? len + 1 : len;
	}
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct consumers_ops ops = {
		.find_netns = find_netns,
		.find_listener = find_listener,
		.released = released,
		.counted = counted,
		.ended = ended,
		.stats_changed = stats_changed,
		.hand_back = hand_back,
		.not_awaited = not_awaited,
		.came = came,
		.lost = lost,
		.refusal = refusal,
	};
	struct state state = { .peer_fd = -1 };
	struct service *service = service_new();

	log_init("fuzz_consumers", LOG_LEVEL_ERROR);
	assert(service);
	service->rule = strdup("r");
	service->consumer = strdup(SERVICE_RELAY);
	service->action = SERVICE_ECHO;
	for (size_t i = 0; i < LISTENERS; i++)
		state.listeners[i] = (struct listener){
			.netns_id = NETNS_ID + i % 2,
			.service = service,
			.endpoint = { .port = 80 },
			.fd = -1,
		};
	assert(loop_new(&state.loop) == 0);
	assert(consumers_new(state.loop, &ops, &state, &state.consumers) == 0);
	loop_set_after(state.loop, quit_after, &state);
	attach(&state);
	for (size_t used = 0; used < size;) {
		used += do_one(&state, data + used, size - used);
		assert(loop_run(state.loop) == 0);
		check(&state);
	}
	for (size_t i = 0; i < LISTENERS; i++) {
		if (state.listeners[i].fd >= 0)
			open_or_close(&state, (uint8_t)i);
	}
	for (size_t i = 0; i < ARRAY_SIZE(state.questions); i++) {
		if (state.questions[i].user_data)
			ask_or_cancel(&state, &state.questions[i]);
	}
	state.consumers = consumers_free(state.consumers);
	cleanup_close(&state.peer_fd);
	state.loop = loop_free(state.loop);
	service_unref(service);
	return 0;
}
