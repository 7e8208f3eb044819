/* SPDX-License-Identifier: Apache-2.0 */
/* describe_provided.h - what namespaces are provided with, as JSON */
#ifndef DAEMON_CONTROL_DESCRIBE_PROVIDED_H
#define DAEMON_CONTROL_DESCRIBE_PROVIDED_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "binder/provide.h"
#include "common/provision.h"

/**
 * describe_provisions() - a list of the type Provision
 * @wanted:	what the rules want, in their order; what is leaving follows
 * @now_us:	monotonic
 *
 * Return: a new reference, or NULL: no memory.
 */
json_t *describe_provisions(const struct provider *provider, uint64_t netns_id,
			    const struct provision *wanted, size_t n,
			    uint64_t now_us);

/** describe_provided() - a list of texts: what berth has added to a namespace
 * and is there now. Return: as above. */
json_t *describe_provided(const struct provider *provider, uint64_t netns_id);

#endif
