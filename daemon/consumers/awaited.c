// SPDX-License-Identifier: Apache-2.0
/* awaited.c - consumers that may hand back what they have */
#include "daemon/consumers/awaited.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <utlist.h>

#include "common/log.h"
#include "common/util.h"

/**
 * struct absent - one that is awaited
 * @known:	who it is; of one that was not awaited before it was connected
 *		only the name
 * @pid_fd:	of the process; -1: it is connected
 */
struct absent {
	struct awaited *all;
	struct known_consumer known;
	int pid_fd;
	struct loop_source *source;
	uint64_t deadline_us;
	struct absent *prev, *next;
};

struct awaited {
	struct loop *loop;
	struct loop_timer *timer;
	struct absent *list;
	void (*ended)(const char *name, bool late, void *user_data);
	void *user_data;
};

static struct absent *absent_find(const struct awaited *awaited,
				  const char *name)
{
	struct absent *absent;

	DL_FOREACH (awaited->list, absent) {
		if (strcmp(absent->known.name, name) == 0)
			return absent;
	}
	return NULL;
}

static void absent_forget_process(struct absent *absent)
{
	absent->source = loop_source_free(absent->source);
	if (absent->pid_fd >= 0)
		(void)close(TAKE_FD(absent->pid_fd)); /* holds no data */
}

static void absent_free(struct absent *absent)
{
	DL_DELETE(absent->all->list, absent);
	absent_forget_process(absent);
	free(absent);
}

static void absent_end(struct absent *absent, bool late)
{
	struct awaited *awaited = absent->all;
	const struct known_consumer known = absent->known;

	absent_free(absent);
	awaited->ended(known.name, late, awaited->user_data);
}

static void awaited_timeout(void *user_data)
{
	struct awaited *awaited = user_data;
	uint64_t now_us = loop_now_us(awaited->loop);
	struct absent *absent, *next;

	DL_FOREACH_SAFE (awaited->list, absent, next) {
		if (absent->deadline_us <= now_us)
			absent_end(absent, /* late= */ true);
		else
			loop_timer_set_earlier(awaited->timer,
					       absent->deadline_us);
	}
}

static void process_ended(uint32_t events, void *user_data)
{
	struct absent *absent = user_data;

	(void)events;
	log_debug("consumer '%s' has ended; waiting no longer",
		  absent->known.name);
	absent_end(absent, /* late= */ false);
}

static struct absent *absent_new(struct awaited *awaited,
				 const struct known_consumer *known,
				 uint64_t wait_us)
{
	struct absent *absent = calloc(1, sizeof(*absent));

	if (!absent)
		return NULL;
	absent->all = awaited;
	absent->pid_fd = -1;
	absent->deadline_us = loop_now_us(awaited->loop) + wait_us;
	absent->known = *known;
	DL_APPEND(awaited->list, absent);
	loop_timer_set_earlier(awaited->timer, absent->deadline_us);
	return absent;
}

void awaited_process(struct awaited *awaited,
		     const struct known_consumer *known)
{
	struct absent *absent;
	int fd;

	if (absent_find(awaited, known->name))
		return;
	fd = (int)syscall(SYS_pidfd_open, known->pid, 0);
	/* Looked at again: the descriptor may be of another process, which got
	 * the number meanwhile. */
	if (fd < 0 || known_started(known->pid) != known->started) {
		if (fd >= 0)
			(void)close(fd); /* holds no data */
		return;
	}
	absent = absent_new(awaited, known, AWAITED_HELLO_US);
	if (!absent) {
		(void)close(fd); /* holds no data */
		return;
	}
	absent->pid_fd = fd;
	if (loop_add(awaited->loop, fd, EPOLLIN, process_ended, absent,
		     &absent->source) < 0)
		absent_free(absent);
}

int awaited_extend(struct awaited *awaited, const char *name)
{
	struct absent *absent = absent_find(awaited, name);
	struct known_consumer known = { .pid = 0 };

	if (!absent) {
		(void)snprintf(known.name, sizeof(known.name), "%s",
			       name); /* a file has that name: it fits */
		absent = absent_new(awaited, &known, AWAITED_HANDING_US);
	}
	if (!absent)
		return -ENOMEM;
	absent_forget_process(absent);
	absent->deadline_us = loop_now_us(awaited->loop) + AWAITED_HANDING_US;
	loop_timer_set_earlier(awaited->timer, absent->deadline_us);
	return 0;
}

bool awaited_has(const struct awaited *awaited, const char *name)
{
	return absent_find(awaited, name) != NULL;
}

size_t awaited_processes(const struct awaited *awaited,
			 struct known_consumer *ret_list, size_t max)
{
	const struct absent *absent;
	size_t n = 0;

	DL_FOREACH (awaited->list, absent) {
		if (absent->pid_fd >= 0 && n < max)
			ret_list[n++] = absent->known;
	}
	return n;
}

pid_t awaited_pid(const struct awaited *awaited, const char *name)
{
	const struct absent *absent = absent_find(awaited, name);

	return absent && absent->pid_fd >= 0 ? absent->known.pid : 0;
}

bool awaited_any(const struct awaited *awaited)
{
	return awaited->list != NULL;
}

void awaited_end(struct awaited *awaited, const char *name)
{
	struct absent *absent = absent_find(awaited, name);

	if (absent)
		absent_end(absent, /* late= */ false);
}

int awaited_new(struct loop *loop,
		void (*ended)(const char *name, bool late, void *user_data),
		void *user_data, struct awaited **ret_awaited)
{
	struct awaited *awaited = calloc(1, sizeof(*awaited));
	int r;

	if (!awaited)
		return -ENOMEM;
	awaited->loop = loop;
	awaited->ended = ended;
	awaited->user_data = user_data;
	r = loop_timer_new(loop, awaited_timeout, awaited, &awaited->timer);
	if (r < 0) {
		free(awaited);
		return r;
	}
	*ret_awaited = awaited;
	return 0;
}

struct awaited *awaited_free(struct awaited *awaited)
{
	if (!awaited)
		return NULL;
	while (awaited->list)
		absent_free(awaited->list);
	loop_timer_free(awaited->timer);
	free(awaited);
	return NULL;
}
