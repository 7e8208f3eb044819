// SPDX-License-Identifier: Apache-2.0
/* accounts.c - users and groups by name or number */
#include "daemon/accounts.h"

#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

/* The largest number is chown(2)'s "leave it as it is". */
#define ACCOUNT_NUMBER_MAX (UINT32_MAX - 1)

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

static int number_read(const char *text, unsigned long *ret_number)
{
	unsigned long number;

	errno = 0;
	number = strtoul(text, NULL, 10);
	if (errno || number > ACCOUNT_NUMBER_MAX)
		return -ERANGE;
	*ret_number = number;
	return 0;
}

/* What getpwnam(3) and its like say of an entry that is not there. */
static int lookup_error(int error)
{
	switch (error) {
	case 0:
	case ENOENT:
	case ESRCH:
		return -ENOENT;
	default:
		return -error;
	}
}

static int find_user(const char *text, struct account *ret_account)
{
	const struct passwd *entry;
	unsigned long number = 0;
	int r;

	if (is_number(text)) {
		r = number_read(text, &number);
		if (r < 0)
			return r;
		errno = 0;
		entry = getpwuid((uid_t)number);
	} else {
		errno = 0;
		entry = getpwnam(text);
	}
	r = lookup_error(errno);
	if (!entry && (r != -ENOENT || !is_number(text)))
		return r;
	*ret_account = (struct account){
		.uid = entry ? entry->pw_uid : (uid_t)number,
		.gid = entry ? entry->pw_gid : 0,
		.known = entry != NULL,
	};
	return 0;
}

static int find_group(const char *text, gid_t *ret_gid)
{
	const struct group *entry;
	unsigned long number;
	int r;

	if (is_number(text)) {
		r = number_read(text, &number);
		if (r == 0)
			*ret_gid = (gid_t)number;
		return r;
	}
	errno = 0;
	entry = getgrnam(text);
	if (!entry)
		return lookup_error(errno);
	*ret_gid = entry->gr_gid;
	return 0;
}

const struct accounts accounts_system = {
	.user = find_user,
	.group = find_group,
};
