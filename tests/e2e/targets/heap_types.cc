/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * heap_types: 70 001 objects of class Session and 9001 of class shop::Order (each with a string of 200
 * bytes that has no vtable); then 10 007 Sessions are deleted. Prints "ready" and sleeps.
 */
#include <cstdio>
#include <string>
#include <unistd.h>
#include <vector>

class Session {
public:
	virtual ~Session() {}
	virtual int id() { return 1; }
	char state[192];
};

namespace shop
{
class Order : public Session {
public:
	~Order() override {}
	std::string text = std::string(200, 'x');
};
}

int main()
{
	std::vector<Session *> all;

	for (int i = 0; i < 70001; i++)
		all.push_back(new Session);
	for (int i = 0; i < 9001; i++)
		all.push_back(new shop::Order);
	for (int i = 0; i < 10007; i++)
		delete all[i * 3];
	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}
