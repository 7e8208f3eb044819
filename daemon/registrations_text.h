/* SPDX-License-Identifier: Apache-2.0 */
/* registrations_text.h - one registration as JSON, for the next berthd */
#ifndef DAEMON_REGISTRATIONS_TEXT_H
#define DAEMON_REGISTRATIONS_TEXT_H

#include <jansson.h>

#include "watcher/registration.h"

/**
 * struct registration_kept - one that was read
 * @registration: has @container; its texts are borrowed from the JSON
 * @labels:	owned
 */
struct registration_kept {
	struct registration registration;
	struct container container;
	struct container_label *labels;
};

/** registrations_text_write() - Return: JSON in one line, the caller's; NULL:
 * out of memory. */
char *registrations_text_write(const struct registration *registration);

/**
 * registrations_text_read() - the opposite
 * @ret_kept:	on success, to be freed with registration_kept_done()
 *
 * What is read need not be true. Return: 0; -EINVAL; -ENOMEM.
 */
int registrations_text_read(const json_t *json,
			    struct registration_kept *ret_kept);

/** registration_kept_done() - frees what it owns, not the struct */
void registration_kept_done(struct registration_kept *kept);

#endif
