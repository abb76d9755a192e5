/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -O2 -fomit-frame-pointer */
/* Work for the unwinder's oracle: templates, deep recursion, exceptions through many frames, threads, a signal handler that allocates. */
#include <csignal>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/time.h>
#include <thread>
#include <vector>

static volatile unsigned long sink;

static void on_alarm(int)
{
	/* the loop below does not allocate while this may run: see quiet */
	sink = sink + std::string(100, 'x').size();
}

template <int N> struct Deep {
	__attribute__((noinline)) static std::string go(int x)
	{
		auto p = std::make_unique<std::vector<int>>(N + 1, x);
		std::string s = Deep<N - 1>::go(x + 1);
		return s + std::to_string(p->size());
	}
};

template <> struct Deep<0> {
	__attribute__((noinline)) static std::string go(int x)
	{
		if (x % 5 == 0)
			throw std::runtime_error(std::string(64, 'e') + std::to_string(x));
		return std::to_string(x);
	}
};

static void containers(int x)
{
	std::map<std::string, std::vector<std::string>> m;
	for (int i = 0; i < 20; i++)
		m["key number " + std::to_string((i * 7 + x) % 13)].push_back(std::string(40, char('a' + i % 26)));
	std::function<size_t(int)> f = [&](int d) -> size_t {
		std::string s(30 + d, 'q');
		return d ? s.size() + f(d - 1) : m.size();
	};
	sink = sink + f(x % 16 ? 12 : 200);
}

static void quiet()
{
	for (volatile int i = 0; i < 200000; i = i + 1)
		;
}

static void work(bool with_signals)
{
	time_t end = time(nullptr) + 600;
	for (int i = 0; time(nullptr) < end; i++) {
		try {
			sink = sink + Deep<24>::go(i).size();
		} catch (const std::exception &e) {
			sink = sink + std::string(e.what()).size();
		}
		containers(i);
		if (with_signals && i % 10 == 0) {
			struct itimerval t = {{0, 0}, {0, 100}};
			setitimer(ITIMER_REAL, &t, nullptr);
			quiet();
		}
	}
}

int main()
{
	signal(SIGALRM, on_alarm);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, nullptr);
	std::thread a(work, false), b(work, false);
	pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
	work(true);
	a.join();
	b.join();
}
