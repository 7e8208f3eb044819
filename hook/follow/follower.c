// SPDX-License-Identifier: Apache-2.0
/* follower.c - engines on one side, berthd on the other */
#include "hook/follow/follower.h"

#include <stdbool.h>
#include <stddef.h>

#include "common/code_pages.h"
#include "common/loop.h"
#include "common/util.h"
#include "hook/follow/http.h"
#include "hook/follow/followed.h"
#include "hook/follow/registrar.h"
#include "hook/follow/runtime.h"

#define RUNTIMES_MAX 2

/* In a turn of the loop, of one engine: some milliseconds. */
#define TELLINGS_PER_TURN 16

struct follower {
	struct loop *loop;
	struct http *http;
	struct registrar *registrar;
	struct runtime *runtimes[RUNTIMES_MAX];
	size_t n_runtimes;
};

static void berthd_lost(void *user_data)
{
	struct follower *follower = user_data;

	for (size_t i = 0; i < follower->n_runtimes; i++)
		followed_forgotten(runtime_followed(follower->runtimes[i]));
}

/* Return: is there more to tell? */
static bool tell(struct follower *follower, struct runtime *runtime)
{
	struct followed *followed = runtime_followed(runtime);
	struct followed_telling telling;

	for (int i = 0; i < TELLINGS_PER_TURN; i++) {
		enum registrar_outcome outcome;

		if (!registrar_ready(follower->registrar) ||
		    !followed_tell(followed, &telling))
			return false;
		outcome = registrar_tell(follower->registrar,
					 runtime_name(runtime), &telling);
		if (outcome == REGISTRAR_AWAY)
			return false;
		followed_told(followed, outcome == REGISTRAR_REFUSED);
		if (outcome == REGISTRAR_REFUSED)
			runtime_refused(runtime);
	}
	return followed_tell(followed, &telling);
}

static bool follower_after(void *user_data)
{
	struct follower *follower = user_data;
	bool more = false;

	for (size_t i = 0; i < follower->n_runtimes; i++) {
		runtime_step(follower->runtimes[i]);
		more = tell(follower, follower->runtimes[i]) || more;
	}
	return more;
}

static int add_runtime(struct follower *follower,
		       const struct runtime_config *config)
{
	int r;

	if (!config->path)
		return 0;
	r = runtime_new(follower->loop, follower->http, config,
			&follower->runtimes[follower->n_runtimes]);
	if (r == 0)
		follower->n_runtimes++;
	return r;
}

static int follower_init(struct follower *follower,
			 const struct follower_config *config)
{
	const struct runtime_config runtimes[RUNTIMES_MAX] = {
		{ .name = "docker",
		  .path = config->docker_path,
		  .unless_path = config->podman_path,
		  .resync_us = config->resync_us },
		{ .name = "podman",
		  .path = config->podman_path,
		  .resync_us = config->resync_us },
	};
	int r = loop_new(&follower->loop);

	if (r == 0)
		r = http_new(follower->loop, &follower->http);
	if (r == 0)
		r = registrar_new(follower->loop, config->berthd_path,
				  berthd_lost, follower, &follower->registrar);
	for (size_t i = 0; r == 0 && i < RUNTIMES_MAX; i++)
		r = add_runtime(follower, &runtimes[i]);
	if (r == 0)
		loop_set_after(follower->loop, follower_after, follower);
	return r;
}

int follower_new(const struct follower_config *config,
		 struct follower **ret_follower)
{
	struct follower *follower = calloc(1, sizeof(*follower));
	int r;

	if (!follower)
		return -ENOMEM;
	r = follower_init(follower, config);
	if (r < 0) {
		follower_free(follower);
		return r;
	}
	*ret_follower = follower;
	return 0;
}

int follower_run(struct follower *follower)
{
	code_pages_release();
	return loop_run(follower->loop);
}

struct follower *follower_free(struct follower *follower)
{
	if (!follower)
		return NULL;
	for (size_t i = 0; i < follower->n_runtimes; i++)
		runtime_free(follower->runtimes[i]);
	registrar_free(follower->registrar);
	http_free(follower->http);
	loop_free(follower->loop);
	free(follower);
	return NULL;
}
