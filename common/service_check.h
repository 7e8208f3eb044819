/* SPDX-License-Identifier: Apache-2.0 */
/* service_check.h - how the backends of a rule are checked */
#ifndef COMMON_SERVICE_CHECK_H
#define COMMON_SERVICE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

/** The longest path, host or text of a check: with all of them the message to
 * the relay still has room for everything else. */
#define SERVICE_CHECK_TEXT_MAX 255u

/** The statuses of answers that a rule may expect: those below are no answers
 * yet. */
#define SERVICE_STATUS_MIN 200u
#define SERVICE_STATUS_MAX 599u

/**
 * struct service_check - active checks of backends
 * @every_ms:	0: there are none
 * @timeout_ms:	at most @every_ms
 * @rise:	so many successes in a row bring a backend back
 * @fall:	so many failures in a row leave it out
 * @http_path:	what is asked for by HTTP; NULL: a connection is enough
 * @http_host:	of that request; NULL: the backend's address
 * @status_min, @status_max: with @http_path: which statuses are a success
 * @send:	what a backend at an address gets by UDP; NULL: there is none
 */
struct service_check {
	uint32_t every_ms;
	uint32_t timeout_ms;
	uint32_t rise;
	uint32_t fall;
	char *http_path;
	char *http_host;
	uint16_t status_min;
	uint16_t status_max;
	char *send;
};

/** service_check_done() - frees the texts */
void service_check_done(struct service_check *check);

/** service_check_copy() - a deep copy, for service_check_done() even on
 * failure. Return: 0 or -ENOMEM. */
int service_check_copy(const struct service_check *check,
		       struct service_check *ret_copy);

/** service_checks_equal() - would both check alike? */
bool service_checks_equal(const struct service_check *a,
			  const struct service_check *b);

/** service_check_path_good() - may that be asked for? It begins with a slash,
 * has visible ASCII only, no fragment, and maybe a query. */
bool service_check_path_good(const char *path);

#endif
