/* SPDX-License-Identifier: Apache-2.0 */
/* sctp_settings.h - a namespace's net.sctp sysctls, put on a socket */
#ifndef BINDER_SCTP_SETTINGS_H
#define BINDER_SCTP_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

enum sctp_setting {
	SCTP_SETTING_RTO_INITIAL,
	SCTP_SETTING_RTO_MIN,
	SCTP_SETTING_RTO_MAX,
	SCTP_SETTING_ASSOCIATION_MAX_RETRANS,
	SCTP_SETTING_VALID_COOKIE_LIFE,
	SCTP_SETTING_HB_INTERVAL,
	SCTP_SETTING_PATH_MAX_RETRANS,
	SCTP_SETTING_SACK_TIMEOUT,
	SCTP_SETTING_MAX_BURST,
	SCTP_SETTING_AUTH_ENABLE,
	SCTP_SETTING_ADDIP_ENABLE,
	SCTP_SETTING_PRSCTP_ENABLE,
	SCTP_SETTING_RECONF_ENABLE,
	SCTP_SETTING_ECN_ENABLE,
};
#define SCTP_SETTING_COUNT (SCTP_SETTING_ECN_ENABLE + 1)

/**
 * struct sctp_settings - what /proc/sys/net/sctp says in one namespace
 * @values:	by enum sctp_setting, times in ms; -1: this kernel has no such
 * file
 */
struct sctp_settings {
	int64_t values[SCTP_SETTING_COUNT];
};

/**
 * sctp_settings_read() - what holds in a namespace now
 * @netns_fd:	as for netns_sockets()
 *
 * Enters the namespace once.
 * Return: 0; -errno of setns(2).
 */
int sctp_settings_read(int netns_fd, struct sctp_settings *ret_settings);

/** sctp_settings_equal() - are all sysctls the same? */
bool sctp_settings_equal(const struct sctp_settings *a,
			 const struct sctp_settings *b);

/**
 * sctp_settings_apply() - gives them to the future associations of a socket
 * @fd:		a listening SCTP socket of either style; stays the caller's
 *
 * What the kernel has no option for keeps the values that the socket was born
 * with: net.sctp.cookie_hmac_alg, sndbuf_policy, rcvbuf_policy, intl_enable.
 * Return: 0; the -errno of the first option that was refused, after the others
 * were set.
 */
int sctp_settings_apply(int fd, const struct sctp_settings *settings);

#endif
