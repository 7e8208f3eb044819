/* SPDX-License-Identifier: Apache-2.0 */
/* unserved.h - what the rule language has and nothing serves yet */
#ifndef DAEMON_UNSERVED_H
#define DAEMON_UNSERVED_H

#include "common/listener_spec.h"

/**
 * unserved_init() - finds out what this process may do
 */
void unserved_init(void);

/**
 * unserved_reason() - may a listener for @spec be opened?
 * Return: NULL, or a static text: "not served: …", or what is missing.
 */
const char *unserved_reason(const struct listener_spec *spec);

#endif
