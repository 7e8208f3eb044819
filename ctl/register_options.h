/* SPDX-License-Identifier: Apache-2.0 */
/* register_options.h - the options of register, unregister and wait */
#ifndef CTL_REGISTER_OPTIONS_H
#define CTL_REGISTER_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* What berthd allows. */
#define REGISTER_WAIT_MAX_MS 60000
#define WAIT_TIMEOUT_MAX_MS 3600000

/**
 * struct register_options - as on the command line
 * @netns, @name, @pod_namespace, @id, @runtime: NULL if they were not given
 * @labels:	an object, or NULL
 * @wait_ms:	of --wait or --timeout; -1 if it was not given
 * @last:	an option that was given; NULL: none was
 */
struct register_options {
	const char *netns;
	const char *name;
	const char *pod_namespace;
	const char *id;
	const char *runtime;
	json_t *labels;
	int64_t wait_ms;
	const char *last;
};

/**
 * register_options_take() - takes an option's value
 * @option:	its name without the dashes, one of these; static
 *
 * Return: 0; -EINVAL after a report; -ENOMEM.
 */
int register_options_take(struct register_options *options, const char *option,
			  const char *value);

/** register_options_done() - frees what it owns, not the struct */
void register_options_done(struct register_options *options);

/**
 * register_options_check() - do the options fit the command?
 * @command:	its name: register, unregister, wait or another
 * @argument:	what stands behind it, or NULL
 * @pid:	of --pid, or NULL
 *
 * Return: 0; -EINVAL after a report.
 */
int register_options_check(const struct register_options *options,
			   const char *command, const char *argument,
			   const char *pid);

/**
 * register_parameters() - the parameters of Register
 * @pid:	decimal digits, or NULL
 * @fd:		the namespace is that of the attached descriptor
 * Return: a new reference; NULL: no memory.
 */
json_t *register_parameters(const struct register_options *options,
			    const char *pid, bool fd);

/** unregister_parameters() - of Unregister, as above. @name: or NULL */
json_t *unregister_parameters(const struct register_options *options,
			      const char *name);

/** wait_parameters() - of Wait, as above. @name: as in a call's text */
json_t *wait_parameters(const struct register_options *options,
			const char *name);

#endif
