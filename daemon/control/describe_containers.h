/* SPDX-License-Identifier: Apache-2.0 */
/* describe_containers.h - containers as JSON; doc/io.berth.varlink is the key
 *
 * Functions that return JSON return a new reference, or NULL: no memory.
 */
#ifndef DAEMON_CONTROL_DESCRIBE_CONTAINERS_H
#define DAEMON_CONTROL_DESCRIBE_CONTAINERS_H

#include <jansson.h>

struct container;
struct netns;

/** describe_container() - the type Container, to be added to */
json_t *describe_container(const struct container *container);

/** describe_containers() - an array of Container: those of one namespace */
json_t *describe_containers(const struct netns *netns);

#endif
