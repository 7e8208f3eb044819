/* SPDX-License-Identifier: Apache-2.0 */
/* register_parse.h - the parameters of Register, Unregister and Wait
 *
 * Pure functions: from JSON of any shape to what was told, or to the parameter
 * that is wrong.
 */
#ifndef DAEMON_CONTROL_REGISTER_PARSE_H
#define DAEMON_CONTROL_REGISTER_PARSE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/container.h"
#include "watcher/registration.h"

/* Of Register: longer than anybody waits who starts a container. Of Wait: an
 * hour. A wait that says nothing takes half a minute. */
#define REGISTER_MS_MAX 60000
#define WAIT_MS_MAX 3600000
#define WAIT_MS_DEFAULT 30000

#define PARAMETER_EXPECTED_MAX 128

/**
 * struct parameter_problem - what is wrong
 * @parameter:	its name, borrowed from the parameters; of any bytes
 * @expected:	what was expected instead, for people
 */
struct parameter_problem {
	const char *parameter;
	char expected[PARAMETER_EXPECTED_MAX];
};

/**
 * struct register_told - parameters of Register; its texts are borrowed from
 * the JSON
 * @path:	absolute, owned; NULL: none was told
 * @fd:		the namespace is that of the attached descriptor
 * @wait_us:	how long the caller waits; 0: it does not
 */
struct register_told {
	struct container container;
	char *path;
	bool fd;
	bool end_with_connection;
	enum registration_source source;
	uint64_t wait_us;
};

/**
 * struct unregister_told - parameters of Unregister, borrowed from the JSON
 * @registration: a registration's id, or 0
 * @id, @name, @pod_namespace: the container's key, or ""
 */
struct unregister_told {
	uint64_t registration;
	const char *id;
	const char *name;
	const char *pod_namespace;
};

/**
 * struct wait_told - parameters of Wait, borrowed from the JSON
 * @name:	which namespace, or whose
 */
struct wait_told {
	const char *name;
	uint64_t timeout_us;
};

/**
 * register_parse() - the parameters of Register
 * @parameters:	an object, or NULL
 * @has_fd:	did a descriptor come with the call?
 * @ret_told:	to be freed with register_told_done()
 *
 * Return: 0; -EINVAL with *@ret_problem filled in; -ENOMEM.
 */
int register_parse(const json_t *parameters, bool has_fd,
		   struct register_told *ret_told,
		   struct parameter_problem *ret_problem);

/** register_told_done() - frees what it owns, not the struct */
void register_told_done(struct register_told *told);

/** unregister_parse() - of Unregister. Return: 0; -EINVAL, as above. */
int unregister_parse(const json_t *parameters, struct unregister_told *ret_told,
		     struct parameter_problem *ret_problem);

/** wait_parse() - of Wait. Return: 0; -EINVAL, as above. */
int wait_parse(const json_t *parameters, struct wait_told *ret_told,
	       struct parameter_problem *ret_problem);

/** registration_parse() - the number that a registration has in calls
 * Return: false: @text is none. */
bool registration_parse(const char *text, uint64_t *ret_id);

#endif
