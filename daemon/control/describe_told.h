/* SPDX-License-Identifier: Apache-2.0 */
/* describe_told.h - containers without a namespace, and files with problems, as
 * JSON; doc/io.berth.varlink is the key
 *
 * Functions that return JSON return a new reference, or NULL: no memory.
 */
#ifndef DAEMON_CONTROL_DESCRIBE_TOLD_H
#define DAEMON_CONTROL_DESCRIBE_TOLD_H

#include <jansson.h>

struct containers_dir;
struct watcher;

/** describe_pending_containers() - an array of PendingContainer, the first
 * thousand of them */
json_t *describe_pending_containers(const struct watcher *watcher);

/** describe_container_files() - an array of ContainerFile: those with problems,
 * the first thousand of them */
json_t *describe_container_files(const struct containers_dir *dir);

#endif
