/* SPDX-License-Identifier: Apache-2.0 */
/* berthd_events.h - what berthd's layers tell, as events for whoever listens
 *
 * Each function does nothing while nobody wants such an event.
 */
#ifndef DAEMON_BERTHD_EVENTS_H
#define DAEMON_BERTHD_EVENTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "watcher/news.h"

struct berthd;
struct listener;

/** berthd_news_wanted() - for struct news_teller; @user_data is the struct
 * berthd */
bool berthd_news_wanted(enum news_kind kind, void *user_data);

/** berthd_news_tell() - the same */
void berthd_news_tell(const struct news *news, void *user_data);

/** berthd_event_gone() - the namespace has lost its last name */
void berthd_event_gone(struct berthd *berthd, const struct netns *netns);

/** berthd_event_freed() - the kernel freed the namespace */
void berthd_event_freed(struct berthd *berthd, uint64_t netns_id);

/** berthd_event_opened() - the listener accepts */
void berthd_event_opened(struct berthd *berthd,
			 const struct listener *listener);

/** berthd_event_waiting() - the listener waits; @user_data as above */
void berthd_event_waiting(const struct listener *listener, void *user_data);

/** berthd_event_closed() - the listener is closed, @by_hand or for another
 * reason */
void berthd_event_closed(struct berthd *berthd, const struct listener *listener,
			 bool by_hand);

/** berthd_event_rules() - another outcome of the rule files is in force */
void berthd_event_rules(struct berthd *berthd);

/** berthd_event_consumer_came() - process @pid is connected as the consumer */
void berthd_event_consumer_came(const char *consumer, pid_t pid,
				void *user_data);

/** berthd_event_consumer_lost() - its connection is over; @what happened */
void berthd_event_consumer_lost(struct berthd *berthd, const char *consumer,
				pid_t pid, const char *what);

/** berthd_event_full() - as many listeners are open as may be */
void berthd_event_full(void *user_data);

/** berthd_event_limited() - the namespace has @omitted listeners too many */
void berthd_event_limited(const struct netns *netns, size_t omitted,
			  void *user_data);

#endif
