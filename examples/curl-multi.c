/* SPDX-License-Identifier: MIT */

/*
 * Curl, woken
 *
 * curl_easy_perform() in a few lines of one's own: what curl does inside, with a wait that
 * another thread may end. A quit ends it whatever it is at: resolving a name, connecting,
 * TLS, the transfer.
 *
 * Not covered: a name's resolution by a curl before 7.87, which waits until its resolver
 * is done, or by one that was built with a synchronous resolver.
 */

#include "curl-trial.h"

/* In the thread that tells. */
static void wake(void *multi)
{
	curl_multi_wakeup(multi);
}

static CURLcode perform(vitals_thread *self, CURL *curl)
{
	CURLM *multi = curl_multi_init();
	CURLcode code = CURLE_ABORTED_BY_CALLBACK;
	const CURLMsg *message;
	int running, left;

#if LIBCURL_VERSION_NUM >= 0x075700
	curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* no wait for its resolver */
#endif
	curl_multi_add_handle(multi, curl);
	vitals_thread_on_quit(self, wake, multi);
	while (vitals_thread_go_on(self)) {
		if (curl_multi_perform(multi, &running) || !running ||
		    curl_multi_poll(multi, NULL, 0, 1000, NULL))
			break;
	}
	vitals_thread_on_quit(self, NULL, NULL); /* from here on nobody wakes it */
	message = curl_multi_info_read(multi, &left);
	if (message)
		code = message->data.result;
	curl_multi_remove_handle(multi, curl);
	curl_multi_cleanup(multi);
	return code;
}
