/* SPDX-License-Identifier: MIT */

/* C++'s locks, for tests written in C. */

#include <chrono>
#include <mutex>
#include <new>
#include <shared_mutex>

extern "C" {
struct cxx_lock {
	const char *name;
	bool timed;
	bool rwlock;
	void (*make)(void *lock);
	void (*lock)(void *lock);
};
extern const cxx_lock cxx_locks[];
}

template <class T> static void make(void *lock)
{
	new (lock) T;
}

template <class T> static void take(void *lock)
{
	static_cast<T *>(lock)->lock();
}

template <class T> static void take_timed(void *lock)
{
	(void)static_cast<T *>(lock)->try_lock_for(std::chrono::seconds(1000));
}

const cxx_lock cxx_locks[] = {
	{ "std::mutex", false, false, make<std::mutex>, take<std::mutex> },
	{ "std::recursive_mutex", false, false, make<std::recursive_mutex>,
	  take<std::recursive_mutex> },
	{ "std::timed_mutex", false, false, make<std::timed_mutex>, take<std::timed_mutex> },
	{ "std::timed_mutex timed", true, false, make<std::timed_mutex>,
	  take_timed<std::timed_mutex> },
	{ "std::recursive_timed_mutex timed", true, false, make<std::recursive_timed_mutex>,
	  take_timed<std::recursive_timed_mutex> },
	{ "std::shared_mutex", false, true, make<std::shared_mutex>,
	  take<std::shared_mutex> },
	{ "std::shared_timed_mutex timed", true, true, make<std::shared_timed_mutex>,
	  take_timed<std::shared_timed_mutex> },
	{ nullptr, false, false, nullptr, nullptr },
};
