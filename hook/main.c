// SPDX-License-Identifier: Apache-2.0
/* main.c - berth-hook: tells berthd of a container before it starts
 *
 * Theory of operation. A runtime runs this program while a container waits for
 * it: with a state on standard input as an OCI hook, with CNI_COMMAND in the
 * environment as a plugin behind others. It registers the container and waits
 * until its listeners are open. Nothing here may keep the container from
 * starting. So everything has one deadline, from the first byte of input to the
 * last of berthd's answer, and whatever goes wrong is one line on stderr and
 * the exit status 0.
 *
 * The namespace goes to berthd as a descriptor: a path that the runtime sees
 * may lead elsewhere, or nowhere, in berthd's mount namespace.
 */
#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "hook/cni.h"
#include "hook/complain.h"
#include "hook/facts.h"
#include "hook/input.h"
#include "hook/oci.h"
#include "hook/settings.h"
#include "hook/tell.h"

static struct tell tell_for(const struct settings *settings, uint64_t begin_us)
{
	return (struct tell){
		.runtime_dir = settings->runtime_dir,
		.timeout_ms = settings->timeout_ms,
		.deadline_us = begin_us + settings->timeout_ms * USEC_PER_MSEC,
	};
}

static const char *input_problem(int error)
{
	switch (error) {
	case -EPROTO:
		return "it is no JSON object";
	case -EFBIG:
		return "it is too long";
	case -EINVAL:
		return "it is no regular file";
	case -ETIMEDOUT:
		return "it does not end in time";
	default:
		return strerror(-error);
	}
}

/* Return: -1 if it cannot be opened, after a complaint if no pid stands in for
 * it. */
static int open_netns(const char *path, pid_t pid)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 && pid == 0)
		complain("cannot open the network namespace '%s': %s; berthd "
			 "is not told of it",
			 path, strerror(errno));
	return fd;
}

/* Return: NULL after a complaint. */
static json_t *read_config(const struct oci_state *state,
			   const struct tell *tell)
{
	json_t *config = NULL;
	char *path = NULL;
	int r = -ENOMEM;

	if (asprintf(&path, "%s/config.json",
		     state->bundle ? state->bundle : "") < 0)
		path = NULL; /* asprintf(3) leaves it undefined */
	if (path)
		r = input_read_file(path, tell->deadline_us, &config);
	if (r < 0)
		complain("cannot read '%s': %s; berthd is not told of "
			 "container '%.*s'",
			 path ? path : "config.json", input_problem(r),
			 FACTS_SHORT_ID, state->id);
	free(path);
	return config;
}

static void oci_begin(const struct oci_state *state, const json_t *config,
		      const struct settings *settings, const struct tell *tell)
{
	struct place place = { .netns_fd = -1, .pid = state->pid };
	struct facts facts;
	const char *path = NULL;

	if (oci_network(config, &path) == OCI_NETWORK_SHARED)
		return; /* the host's own listeners are nobody's container */
	if (path)
		place.netns_fd = open_netns(path, state->pid);
	else if (state->pid == 0)
		complain("the state of container '%.*s' has no pid; berthd is "
			 "not told of it",
			 FACTS_SHORT_ID, state->id);
	if ((place.netns_fd >= 0 || place.pid > 0) &&
	    facts_init(&facts, state->id, "oci") == 0) {
		facts_add_annotations(&facts,
				      state->annotations
					      ? state->annotations
					      : json_object_get(config,
								"annotations"),
				      &settings->prefixes);
		tell_begin(tell, &place, &facts, /* wait= */ true);
		facts_done(&facts);
	}
	cleanup_close(&place.netns_fd);
}

static void run_oci(const struct settings *settings, uint64_t begin_us)
{
	struct tell tell = tell_for(settings, begin_us);
	json_t *json = NULL, *config = NULL;
	struct oci_state state;
	int r = input_read(STDIN_FILENO, tell.deadline_us, &json);

	if (r < 0) {
		complain("cannot read a container's state: %s; berthd is not "
			 "told of it",
			 input_problem(r));
		return;
	}
	if (oci_state_parse(json, &state) < 0)
		complain("a container's state has no id or status; berthd is "
			 "not told of it");
	else if (state.ended)
		tell_end(&tell, state.id);
	else
		config = read_config(&state, &tell);
	if (config)
		oci_begin(&state, config, settings, &tell);
	json_decref(config);
	json_decref(json);
}

/* CHECK registers again, because a container may have started without berthd;
 * it waits for nothing. */
static void cni_begin(const struct cni_env *env, const json_t *conf,
		      const struct settings *settings, const struct tell *tell)
{
	const char *path = env->netns ? env->netns : "";
	struct place place = { .netns_fd = open_netns(path, 0) };
	char *args = strdup(env->args ? env->args : "");
	struct facts facts;

	if (args && place.netns_fd >= 0 &&
	    cni_facts(env, conf, args, &settings->prefixes, &facts) == 0) {
		tell_begin(tell, &place, &facts,
			   /* wait= */ cni_command(env) == CNI_ADD);
		facts_done(&facts);
	}
	free(args);
	cleanup_close(&place.netns_fd);
}

/* Prints the answer. Return: the exit status. */
static int cni_print(json_t *answer, int status)
{
	int r = json_dumpf(answer, stdout, JSON_COMPACT);

	json_decref(answer);
	if (r < 0 || fflush(stdout) == EOF) {
		complain("cannot write the answer");
		return EXIT_FAILURE;
	}
	return status;
}

/* As the specification wants it. */
static bool is_container_id(const char *id)
{
	return id && isalnum((unsigned char)id[0]) &&
	       !id[strspn(id, "abcdefghijklmnopqrstuvwxyz"
			      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")];
}

/* What must be told with a command. Return: what is missing, or NULL. */
static const char *cni_missing(const struct cni_env *env)
{
	enum cni_command command = cni_command(env);
	bool one = command == CNI_ADD || command == CNI_CHECK;

	if (command == CNI_UNKNOWN)
		return "CNI_COMMAND is not ADD, DEL, CHECK, GC, STATUS or "
		       "VERSION";
	if ((one || command == CNI_DEL) && !is_container_id(env->container_id))
		return "CNI_CONTAINERID is not set, or no identifier of "
		       "letters, digits, '_', '.' and '-'";
	if (one && (!env->netns || !*env->netns))
		return "CNI_NETNS is not set";
	return NULL;
}

static int cni_act(const struct cni_env *env, const json_t *conf,
		   const struct settings *settings, const struct tell *tell)
{
	switch (cni_command(env)) {
	case CNI_ADD:
		cni_begin(env, conf, settings, tell);
		return cni_print(cni_result(conf), EXIT_SUCCESS);
	case CNI_CHECK:
		cni_begin(env, conf, settings, tell);
		return EXIT_SUCCESS;
	case CNI_DEL:
		tell_end(tell, env->container_id);
		return EXIT_SUCCESS;
	case CNI_GC:
		tell_gc(tell, conf);
		return EXIT_SUCCESS;
	case CNI_VERSION:
		return cni_print(cni_versions(conf), EXIT_SUCCESS);
	case CNI_STATUS: /* containers start without berthd, too */
	case CNI_UNKNOWN:
		break;
	}
	return EXIT_SUCCESS;
}

/* Only a call that nothing can be answered to fails: without a configuration
 * there is no result to be passed on. */
static int run_cni(const struct cni_env *env, struct settings *settings,
		   uint64_t begin_us)
{
	struct tell tell = tell_for(settings, begin_us);
	const char *missing = cni_missing(env);
	json_t *conf = NULL;
	int r, status;

	if (missing)
		return cni_print(cni_failure(NULL, CNI_ERROR_ENVIRONMENT,
					     missing),
				 EXIT_FAILURE);
	r = input_read(STDIN_FILENO, tell.deadline_us, &conf);
	if (r < 0 && cni_command(env) == CNI_ADD)
		return cni_print(cni_failure(NULL, CNI_ERROR_DECODE,
					     input_problem(r)),
				 EXIT_FAILURE);
	if (r < 0)
		complain("cannot read the CNI configuration: %s",
			 input_problem(r));
	settings_read(settings, conf);
	tell = tell_for(settings, begin_us);
	status = cni_act(env, conf, settings, &tell);
	json_decref(conf);
	return status;
}

/* A line that nobody reads must not end the program, and one that has no stderr
 * must not go to berthd instead, whose socket would have its number. */
static void prepare(void)
{
	(void)signal(SIGPIPE, SIG_IGN); /* fails for no signal that exists */
	log_open_standard();
}

int main(int argc, char **argv)
{
	const struct cni_env env = {
		.command = getenv("CNI_COMMAND"),
		.container_id = getenv("CNI_CONTAINERID"),
		.netns = getenv("CNI_NETNS"),
		.args = getenv("CNI_ARGS"),
	};
	uint64_t begin_us = monotonic_us();
	struct settings settings;
	int status = EXIT_SUCCESS;

	prepare();
	settings_init(&settings);
	switch (settings_parse(&settings, argc, argv)) {
	case SETTINGS_HELP:
		settings_usage(stdout);
		break;
	case SETTINGS_VERSION:
		(void)printf("berth-hook %s\n", BERTH_VERSION);
		break;
	case SETTINGS_RUN:
		if (env.command)
			status = run_cni(&env, &settings, begin_us);
		else
			run_oci(&settings, begin_us);
		break;
	}
	settings_done(&settings);
	return status;
}
