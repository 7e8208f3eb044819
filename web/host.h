/* SPDX-License-Identifier: Apache-2.0 */
/* host.h - which names requests may call this server by */
#ifndef WEB_HOST_H
#define WEB_HOST_H

#include <stdbool.h>
#include <stddef.h>

/**
 * host_allowed() - may a request with this Host header be answered?
 * @host:	the header's value, or NULL: there is none
 * @names:	names that are allowed besides localhost and all IP addresses
 * @n_names:	how many
 *
 * Against DNS rebinding: a web page from somewhere may have its own name lead
 * to this server, and the browser then lets the page read the answers. The
 * browser sends that name. No such page has the name localhost, or comes from
 * an address at which this server answers. The port does not count, because a
 * tunnel may have another.
 */
bool host_allowed(const char *host, const char *const *names, size_t n_names);

/** host_name_valid() - is it a name that host_allowed() can be given? */
bool host_name_valid(const char *name);

#endif
