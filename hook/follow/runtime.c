// SPDX-License-Identifier: Apache-2.0
/* runtime.c - follows one container engine by its API
 *
 * Theory of operation: four states.
 *
 *   away       not connected; the timer says when to try.
 *   opening    the stream of events is asked for; the timer says until when.
 *   listing    events arrive. The list of containers was asked for after that,
 *              so what it lacks comes as an event.
 *   following  the list was read; the timer says when it is read again,
 *              because an engine may lose events.
 *
 * In the last two the engine is asked about each container that an event or the
 * list names, some at a time. One that gets no answer of use stays as it was,
 * and the list is read again before long. The engine counts as away when the
 * stream ends, the list fails, or it answers nothing in time: all that is under
 * way is given up then. What berthd knows it keeps: it ends with the processes.
 *
 * Handlers of libcurl only take notes. runtime_step() acts.
 */
#include "hook/follow/runtime.h"

#include <string.h>
#include <sys/stat.h>

#include "common/holdoff.h"
#include "common/log.h"
#include "common/log_teller.h"
#include "common/loop.h"
#include "common/util.h"
#include "hook/follow/engine.h"
#include "hook/follow/http.h"
#include "hook/follow/followed.h"
#include "hook/follow/lines.h"
#include "hook/follow/own_netns.h"

#define STATUS_OK 200
#define STATUS_NOT_FOUND 404

/* At the same time, of one engine: podman takes some milliseconds for each, and
 * has other work. */
#define QUESTIONS_MAX 4

/* In a row without an answer in time: the engine hangs. */
#define TIMEOUTS_MAX 3

/* An engine that is busy with a container answers when it is done. */
#define OPEN_US (10 * USEC_PER_SEC)
#define QUESTION_MS 10000
#define LIST_MS 30000

/* 16,384 containers with labels; one with a lot of mounts and health logs. */
#define LIST_BYTES_MAX (64u * 1024 * 1024)
#define ANSWER_BYTES_MAX (4u * 1024 * 1024)

/* Events of this time before the connection are asked for, too: Docker and
 * podman begin to answer before they listen. */
#define SINCE_S 2

/* After something went wrong with one container; doubled each time. */
#define RETRY_MIN_US USEC_PER_SEC

/* To look at one container again in each round. */
#define RESYNC_EACH_US (60 * USEC_PER_MSEC)

#define LOG_INTERVAL_US (60 * USEC_PER_SEC)
#define LOG_BURST 3
#define REASON_BYTES 128
#define WHY_BYTES (2 * REASON_BYTES) /* what failed, and the reason */
#define TARGET_BYTES 256

/* {"type":["container"]} and {"status":["running","paused"]}: podman leaves
 * paused ones out otherwise. */
#define EVENTS_TARGET                                                          \
	"/events?since=%lld&filters=%%7B%%22type%%22%%3A%%5B%%22container%%22" \
	"%%5D%%7D"
#define LIST_TARGET                                                          \
	"/containers/json?all=1&filters=%7B%22status%22%3A%5B%22running%22%" \
	"2C%22paused%22%5D%7D"

enum runtime_state {
	RUNTIME_AWAY,
	RUNTIME_OPENING,
	RUNTIME_LISTING,
	RUNTIME_FOLLOWING,
};

/** struct question - about one container; @request NULL: none */
struct question {
	struct runtime *runtime;
	struct http_request *request;
	bool done;
	char id[ENGINE_ID_MAX + 1];
};

/**
 * struct runtime - one engine
 * @due:	the timer has fired
 * @opened:	the stream of events has begun
 * @announced:	it was said that it is followed
 * @lost:	the engine is away, because of @why
 * @wrong:	something went wrong with a container since the list was read
 * @retry_us:	how soon the list is read again then
 * @said:	why it is away, as was said last; "": it is followed
 */
struct runtime {
	struct runtime_config config;
	struct http *http;
	struct followed *followed;
	struct loop_timer *timer;
	struct log_teller *teller;
	struct holdoff holdoff;
	enum runtime_state state;
	bool due;
	bool opened;
	bool announced;
	bool lost;
	bool wrong;
	uint64_t retry_us;
	unsigned int timeouts;
	struct http_request *events;
	struct http_request *list;
	bool list_done;
	struct lines lines;
	struct question questions[QUESTIONS_MAX];
	char why[WHY_BYTES];
	char said[WHY_BYTES];
};

static void timer_handler(void *user_data)
{
	struct runtime *runtime = user_data;

	runtime->due = true;
}

int runtime_new(struct loop *loop, struct http *http,
		const struct runtime_config *config,
		struct runtime **ret_runtime)
{
	struct runtime *runtime = calloc(1, sizeof(*runtime));

	if (!runtime)
		return -ENOMEM;
	runtime->config = *config;
	runtime->http = http;
	runtime->due = true;
	runtime->retry_us = RETRY_MIN_US;
	for (size_t i = 0; i < QUESTIONS_MAX; i++)
		runtime->questions[i].runtime = runtime;
	if (followed_new(&runtime->followed) < 0 ||
	    loop_timer_new(loop, timer_handler, runtime, &runtime->timer) < 0 ||
	    log_teller_new(loop, LOG_INTERVAL_US, LOG_BURST, &runtime->teller) <
		    0) {
		runtime_free(runtime);
		return -ENOMEM;
	}
	*ret_runtime = runtime;
	return 0;
}

static void requests_end(struct runtime *runtime)
{
	runtime->events = http_request_free(runtime->events);
	runtime->list = http_request_free(runtime->list);
	runtime->list_done = false;
	for (size_t i = 0; i < QUESTIONS_MAX; i++) {
		struct question *question = &runtime->questions[i];

		question->request = http_request_free(question->request);
		question->done = false;
	}
	lines_done(&runtime->lines);
}

struct runtime *runtime_free(struct runtime *runtime)
{
	if (!runtime)
		return NULL;
	requests_end(runtime);
	log_teller_free(runtime->teller);
	loop_timer_free(runtime->timer);
	followed_free(runtime->followed);
	free(runtime);
	return NULL;
}

struct followed *runtime_followed(struct runtime *runtime)
{
	return runtime->followed;
}

const char *runtime_name(const struct runtime *runtime)
{
	return runtime->config.name;
}

/* Notes that the engine is away; the first reason counts. */
static void set_lost(struct runtime *runtime, const char *what,
		     const char *reason)
{
	if (runtime->lost)
		return;
	runtime->lost = true;
	(void)snprintf(runtime->why, sizeof(runtime->why), "%s: %s", what,
		       reason);
}

/* Why a request is over. Return: @reason. */
static const char *reason_fmt(int r, long status, char reason[REASON_BYTES])
{
	if (r < 0)
		(void)snprintf(reason, REASON_BYTES, "%s", strerror(-r));
	else if (status != STATUS_OK)
		(void)snprintf(reason, REASON_BYTES, "HTTP status %ld", status);
	else
		(void)snprintf(reason, REASON_BYTES, "the answer has ended");
	return reason;
}

static void set_lost_by(struct runtime *runtime, const char *what, int r,
			long status)
{
	char reason[REASON_BYTES];

	set_lost(runtime, what, reason_fmt(r, status, reason));
}

/* Has the list read again before long, later each time in a row. */
static void set_wrong(struct runtime *runtime)
{
	if (runtime->state == RUNTIME_FOLLOWING)
		loop_timer_set_earlier(runtime->timer,
				       monotonic_us() + runtime->retry_us);
	runtime->wrong = true;
}

void runtime_refused(struct runtime *runtime)
{
	set_wrong(runtime);
}

static void event_handler(const char *text, size_t len, void *user_data)
{
	struct runtime *runtime = user_data;
	char id[ENGINE_ID_MAX + 1];
	int r = text ? engine_event_parse(text, len, id) : -EMSGSIZE;

	if (r > 0)
		r = followed_changed(runtime->followed, id);
	if (r == 0)
		return;
	/* Which container changed is not known: all are looked at. */
	set_wrong(runtime);
	if (log_teller_ok(runtime->teller, "event"))
		log_warning_errno(r, "%s: ignoring an event",
				  runtime->config.name);
}

static void events_opened(void *user_data)
{
	struct runtime *runtime = user_data;

	runtime->opened = true;
}

static bool events_data(const char *data, size_t len, void *user_data)
{
	struct runtime *runtime = user_data;

	return lines_add(&runtime->lines, data, len, event_handler, runtime) ==
	       0;
}

static void events_done(int r, long status, const char *body, size_t len,
			void *user_data)
{
	(void)body; /* it came in pieces */
	(void)len;
	set_lost_by(user_data, "events", r, status);
}

/* Everything again later; what is under way has no answer. */
static void runtime_away(struct runtime *runtime)
{
	requests_end(runtime);
	followed_ask_again(runtime->followed);
	runtime->state = RUNTIME_AWAY;
	runtime->announced = false;
	runtime->lost = false;
	runtime->due = false;
	loop_timer_set(runtime->timer,
		       holdoff_next(&runtime->holdoff, monotonic_us()));
	if (strcmp(runtime->said, runtime->why) == 0)
		return;
	memcpy(runtime->said, runtime->why, sizeof(runtime->said));
	log_info("%s is not followed by '%s': %s; trying again",
		 runtime->config.name, runtime->config.path, runtime->why);
}

/* Is the socket that of the other engine? So it is with podman's stand-in for
 * Docker, whose socket is a link. */
static bool is_other(const struct runtime *runtime)
{
	const char *other_path = runtime->config.unless_path;
	struct stat own, other;

	return other_path && stat(runtime->config.path, &own) == 0 &&
	       stat(other_path, &other) == 0 && own.st_dev == other.st_dev &&
	       own.st_ino == other.st_ino;
}

static void runtime_open(struct runtime *runtime)
{
	static const struct http_handlers handlers = {
		.opened = events_opened,
		.data = events_data,
		.done = events_done,
	};
	char target[TARGET_BYTES];
	const struct http_get get = {
		.socket_path = runtime->config.path,
		.target = target,
		.handlers = &handlers,
		.user_data = runtime,
	};
	int r;

	if (is_other(runtime)) {
		set_lost(runtime, "the same socket as",
			 runtime->config.unless_path);
		return;
	}
	(void)snprintf(target, sizeof(target), EVENTS_TARGET,
		       (long long)time(NULL) - SINCE_S);
	runtime->opened = false;
	runtime->timeouts = 0;
	r = http_get(runtime->http, &get, &runtime->events);
	if (r < 0) {
		set_lost(runtime, "events", strerror(-r));
		return;
	}
	runtime->state = RUNTIME_OPENING;
	loop_timer_set(runtime->timer, monotonic_us() + OPEN_US);
}

static void list_done(int r, long status, const char *body, size_t len,
		      void *user_data)
{
	struct runtime *runtime = user_data;
	struct engine_ids ids;

	runtime->list_done = true;
	if (r == 0 && status == STATUS_OK)
		r = engine_list_parse(body, len, &ids);
	if (r < 0 || status != STATUS_OK) {
		set_lost_by(runtime, "list of containers", r, status);
		return;
	}
	r = followed_listed(runtime->followed, &ids);
	engine_ids_done(&ids);
	if (r < 0) {
		runtime->wrong = true;
		log_warning_errno(r, "%s: ignoring some containers",
				  runtime->config.name);
	}
}

static void runtime_list(struct runtime *runtime)
{
	static const struct http_handlers handlers = { .done = list_done };
	const struct http_get get = {
		.socket_path = runtime->config.path,
		.target = LIST_TARGET,
		.body_max = LIST_BYTES_MAX,
		.timeout_ms = LIST_MS,
		.handlers = &handlers,
		.user_data = runtime,
	};
	int r;

	runtime->retry_us = runtime->wrong ? runtime->retry_us * 2
					   : RETRY_MIN_US;
	if (runtime->retry_us > runtime->config.resync_us)
		runtime->retry_us = runtime->config.resync_us;
	runtime->wrong = false;
	runtime->state = RUNTIME_LISTING;
	loop_timer_unset(
		runtime->timer); /* the request has a time of its own */
	r = http_get(runtime->http, &get, &runtime->list);
	if (r < 0)
		set_lost(runtime, "list of containers", strerror(-r));
}

/* The list was read: it is read again when all may have been looked at. */
static void runtime_follow(struct runtime *runtime)
{
	uint64_t pause_us = runtime->config.resync_us +
			    RESYNC_EACH_US * followed_count(runtime->followed);

	if (runtime->wrong && runtime->retry_us < pause_us)
		pause_us = runtime->retry_us;
	runtime->list = http_request_free(runtime->list);
	runtime->list_done = false;
	runtime->state = RUNTIME_FOLLOWING;
	loop_timer_set(runtime->timer, monotonic_us() + pause_us);
	if (runtime->announced)
		return;
	runtime->announced = true;
	runtime->said[0] = '\0';
	log_info("%s is followed by '%s'", runtime->config.name,
		 runtime->config.path);
}

/* What berthd is to know of a container, to be released; NULL: nothing. */
static int container_wanted(const struct runtime *runtime,
			    struct engine_container *container,
			    json_t **ret_wanted)
{
	json_t *wanted = container->parameters;
	int own;

	*ret_wanted = NULL;
	if (!container->running || container->network == ENGINE_NETWORK_HOST)
		return 0;
	/* The engine does not say it of a container that has the network of one
	 * that has the host's. */
	own = own_netns_has(container->pid);
	if (own > 0)
		return 0;
	if (own < 0 && !*container->path) {
		log_debug("%s: process %d is not to be seen",
			  runtime->config.name, container->pid);
		return 0;
	}
	if (*container->path &&
	    json_object_set_new(wanted, "path", json_string(container->path)) <
		    0)
		return -ENOMEM;
	*ret_wanted = json_incref(wanted);
	return 0;
}

static int question_read(const struct runtime *runtime,
			 const struct question *question, const char *body,
			 size_t len)
{
	struct engine_container container;
	json_t *wanted;
	int r = engine_container_parse(body, len, runtime->config.name,
				       question->id, &container);

	if (r < 0)
		return r;
	r = container_wanted(runtime, &container, &wanted);
	engine_container_done(&container);
	if (r == 0)
		/* Under way it is, or the request would not be. */
		(void)followed_answered(runtime->followed, question->id,
					wanted);
	return r;
}

static void question_done(int r, long status, const char *body, size_t len,
			  void *user_data)
{
	struct question *question = user_data;
	struct runtime *runtime = question->runtime;
	char reason[REASON_BYTES];

	question->done = true;
	runtime->timeouts = r == -ETIMEDOUT ? runtime->timeouts + 1 : 0;
	if (runtime->timeouts >= TIMEOUTS_MAX)
		set_lost(runtime, "containers", strerror(ETIMEDOUT));
	if (r == 0 && status == STATUS_NOT_FOUND) {
		(void)followed_answered(runtime->followed, question->id, NULL);
		return;
	}
	if (r == 0)
		r = status == STATUS_OK
			    ? question_read(runtime, question, body, len)
			    : 0;
	if (r == 0 && status == STATUS_OK)
		return;
	followed_unanswered(runtime->followed, question->id);
	set_wrong(runtime);
	if (log_teller_ok(runtime->teller, "%s", question->id))
		log_warning("%s: no answer of use about container '%s': %s; "
			    "ignoring it until it is looked at again",
			    runtime->config.name, question->id,
			    reason_fmt(r, status, reason));
}

static int question_ask(struct question *question, const char *id)
{
	static const struct http_handlers handlers = { .done = question_done };
	struct runtime *runtime = question->runtime;
	char target[TARGET_BYTES];
	const struct http_get get = {
		.socket_path = runtime->config.path,
		.target = target,
		.body_max = ANSWER_BYTES_MAX,
		.timeout_ms = QUESTION_MS,
		.handlers = &handlers,
		.user_data = question,
	};

	(void)snprintf(question->id, sizeof(question->id), "%s", id);
	(void)snprintf(target, sizeof(target), "/containers/%s/json", id);
	return http_get(runtime->http, &get, &question->request);
}

static void runtime_ask(struct runtime *runtime)
{
	for (size_t i = 0; i < QUESTIONS_MAX; i++) {
		struct question *question = &runtime->questions[i];
		const char *id;

		if (question->done) {
			question->request =
				http_request_free(question->request);
			question->done = false;
		}
		if (question->request)
			continue;
		id = followed_ask(runtime->followed);
		if (!id)
			continue;
		if (question_ask(question, id) < 0) {
			followed_unanswered(runtime->followed, question->id);
			set_wrong(runtime);
		}
	}
}

/* The timer means something else in each state. */
static void runtime_due(struct runtime *runtime)
{
	runtime->due = false;
	switch (runtime->state) {
	case RUNTIME_AWAY:
		runtime_open(runtime);
		break;
	case RUNTIME_OPENING:
		set_lost(runtime, "events", strerror(ETIMEDOUT));
		break;
	case RUNTIME_LISTING:
		break;
	case RUNTIME_FOLLOWING:
		runtime_list(runtime);
		break;
	}
}

void runtime_step(struct runtime *runtime)
{
	if (runtime->due)
		runtime_due(runtime);
	if (runtime->state == RUNTIME_OPENING && runtime->opened)
		runtime_list(runtime);
	if (runtime->list_done && !runtime->lost)
		runtime_follow(runtime);
	if (runtime->lost)
		runtime_away(runtime);
	if (runtime->state >= RUNTIME_LISTING)
		runtime_ask(runtime);
}
