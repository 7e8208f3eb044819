/* SPDX-License-Identifier: Apache-2.0 */
/* register_parse.h - the parameters of Wait
 *
 * Pure functions: from JSON of any shape to what was told, or to the parameter
 * that is wrong.
 */
#ifndef DAEMON_CONTROL_REGISTER_PARSE_H
#define DAEMON_CONTROL_REGISTER_PARSE_H

#include <jansson.h>
#include <stdint.h>

/* An hour; a wait that says nothing takes half a minute. */
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
 * struct wait_told - parameters of Wait, borrowed from the JSON
 * @name:	which namespace, or whose
 */
struct wait_told {
	const char *name;
	uint64_t timeout_us;
};

/**
 * wait_parse() - the parameters of Wait
 * @parameters:	an object, or NULL
 *
 * Return: 0; -EINVAL with *@ret_problem filled in.
 */
int wait_parse(const json_t *parameters, struct wait_told *ret_told,
	       struct parameter_problem *ret_problem);

#endif
