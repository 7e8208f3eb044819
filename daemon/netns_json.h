/* SPDX-License-Identifier: Apache-2.0 */
/* netns_json.h - a namespace from what ListNamespaces says of it */
#ifndef DAEMON_NETNS_JSON_H
#define DAEMON_NETNS_JSON_H

#include <jansson.h>

#include "common/netns.h"

/**
 * netns_from_json() - makes a namespace from a Namespace of io.berth
 * @json:	what is missing in it, or of another type, is taken as nothing
 * @ret_netns:	the caller calls netns_json_done()
 *
 * Return: 0 or -ENOMEM.
 */
int netns_from_json(const json_t *json, struct netns *ret_netns);

/** netns_json_done() - frees what netns_from_json() allocated, not the struct
 */
void netns_json_done(struct netns *netns);

#endif
