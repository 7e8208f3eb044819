/* SPDX-License-Identifier: Apache-2.0 */
/* describe_config.h - the configuration as JSON; doc/io.berth.varlink is the
 * key
 */
#ifndef DAEMON_CONTROL_DESCRIBE_CONFIG_H
#define DAEMON_CONTROL_DESCRIBE_CONFIG_H

#include <jansson.h>
#include <stdint.h>

struct config_store;

/** describe_config() - the type Config. Return: a new reference, or NULL: no
 * memory. */
json_t *describe_config(const struct config_store *store);

/** describe_settings() - an array of the keys of @set. Return: as above. */
json_t *describe_settings(uint32_t set);

#endif
