/* SPDX-License-Identifier: MIT */

/*
 * Thread pool
 *
 * A pool of std::threads that adopt themselves: each is a member of a quitter and has a
 * heartbeat while it lives in its guard, however it leaves. The pool waits on standard
 * mutexes and conditions, and a quit ends that wait. What is still queued then is dropped.
 */

#include <condition_variable>
#include <cstdio>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>
#include <vitals.h>

/* The calling thread is in a quitter from here to the end of the block. */
struct Member {
	Member(vitals_quitter *quitter, const std::string &name)
	{
		int r = vitals_thread_adopt(quitter, name.c_str(), VITALS_S(1), nullptr,
					    &self);

		if (r)
			throw std::system_error(-r, std::generic_category(), name);
	}
	~Member()
	{
		vitals_thread_leave(self, 0);
	}
	Member &operator=(Member &&) = delete; /* nor any other way to copy or move it */

	vitals_thread *self = nullptr;
};

class Pool
{
public:
	Pool(vitals_quitter *quitter, int n)
	{
		for (int i = 1; i <= n; i++)
			threads.emplace_back([=] { run(quitter, i); });
	}
	~Pool() /* after a quit */
	{
		for (auto &thread : threads)
			thread.join();
	}
	void submit(std::function<void()> job)
	{
		std::lock_guard<std::mutex> guard(mutex);
		jobs.push_back(std::move(job));
		changed.notify_one();
	}

private:
	void run(vitals_quitter *quitter, int i)
	try {
		Member member(quitter, "worker-" + std::to_string(i));

		while (vitals_thread_go_on(member.self))
			if (auto job = next(member.self))
				job();
	} catch (const std::exception &e) { /* a job's; or refused, after a quit */
		vitals_quitter_send_quit(quitter, 1, e.what());
	}

	/* Empty if there is none: told to leave, or woken for nothing. */
	std::function<void()> next(vitals_thread *self)
	{
		std::unique_lock<std::mutex> guard(mutex);

		if (jobs.empty())
			vitals_thread_cond_wait(self, changed.native_handle(),
						mutex.native_handle(), VITALS_FOREVER);
		if (jobs.empty())
			return nullptr;
		auto job = std::move(jobs.front());
		jobs.pop_front();
		return job;
	}

	std::mutex mutex;
	std::condition_variable changed;
	std::deque<std::function<void()>> jobs;
	std::vector<std::thread> threads;
};

int main()
{
	vitals_quitter *main_quitter;
	vitals_result result;

	VITALS_INIT(&result);
	if (vitals_quitter_new_main(nullptr, VITALS_S(2), nullptr, &main_quitter) ||
	    vitals_start(nullptr))
		return 2;
	{
		Pool pool(main_quitter, 4);
		for (int i = 1; i <= 100; i++)
			pool.submit([=] {
				std::printf("job %d\n", i);
				if (i == 100)
					vitals_quitter_send_quit(main_quitter, 0, "done");
			});
		vitals_quitter_finish(main_quitter, &result, nullptr);
		std::printf("%s: %u late\n", result.text, result.late);
		std::fflush(stdout);
		if (result.late)
			_exit(result.status); /* no destructors under threads that still run */
	}
	vitals_quitter_free(main_quitter); /* after the last who could adopt itself */
	return result.status;
}
