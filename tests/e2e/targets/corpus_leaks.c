/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Programs that leak, each in its own way: what they lose is never freed, and grows for ever. tests/e2e/corpus/table.py
 * says which, how fast, and which of them no rule of the verdict was made on.
 */
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "corpus.h"

/* ---- one block after the other ---- */

SITE void s_forget(size_t size)
{
	void *p = filled(size);

	KEEP(p);
	NO_TAIL();
}

static void forget_at(double rate, size_t size)
{
	static double left;

	for (due(&left, rate); left >= (double)size; left -= (double)size)
		s_forget(size);
}

static void steady(long step)
{
	(void)step;
	forget_at(400e3, 1024);
}

static void slow(long step)
{
	(void)step;
	forget_at(26e3, 512);
}

static void crawling(long step)
{
	(void)step;
	forget_at(3e3, 256);
}

/* Twice as fast after a minute, three times after two. */
static void accelerating(long step)
{
	forget_at(60e3 * (1 + (double)step * STEP_S / 60), 700);
}

SITE void s_mostly_garbage(size_t size, bool is_kept)
{
	void *p = filled(size);

	if (!is_kept)
		free(p);
	NO_TAIL();
}

static void in_garbage(long step)
{
	static double left;
	static long n;

	(void)step;
	for (due(&left, 30e6); left >= 4096; left -= 4096)
		s_mostly_garbage(4096, ++n % 1000 == 0);
}

static void bursts(long step)
{
	static double left;

	due(&left, 60e3);
	if (step % 700 != 699)
		return;
	for (; left >= 2000; left -= 2000)
		s_forget(2000);
}

/* What is lost is pushed out to swap, so that the resident memory stands still. */
static void swapped(long step)
{
	static double left;
	uintptr_t from, to;
	char *p;

	(void)step;
	for (due(&left, 200e3); left >= 65536; left -= 65536) {
		p = filled(65536);
		from = ((uintptr_t)p + 4095) & ~4095UL;
		to = ((uintptr_t)p + 65536) & ~4095UL;
		madvise((void *)from, to - from, MADV_PAGEOUT);
	}
}

SITE void s_names(void)
{
	static double left;
	char name[128], *copy;
	int n;

	for (due(&left, 30e3); left > 0; left -= n + 1) {
		n = snprintf(name, sizeof(name), "/srv/%08x/%0*d", draw(), (int)(20 + draw() % 60), 7);
		copy = strdup(name);
		KEEP(copy);
	}
}

static void strings(long step)
{
	(void)step;
	s_names();
}

static void mappings(long step)
{
	static double left;
	char *p;

	(void)step;
	for (due(&left, 160e3); left >= 65536; left -= 65536) {
		p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(p != MAP_FAILED);
		memset(p, 1, 65536);
	}
}

/* ---- structures ---- */

struct node {
	struct node *next, *children;
	char payload[24];
};

static struct node *lists;

SITE struct node *s_node(struct node *next, struct node *children)
{
	struct node *n = filled(sizeof(*n));

	n->next = next;
	n->children = children;
	return n;
}

static void lists_in_lists(long step)
{
	static double left;

	(void)step;
	for (due(&left, 80e3); left > 0;) {
		struct node *children = NULL;
		uint32_t i, n = 3 + draw() % 15;

		for (i = 0; i < n; i++)
			children = s_node(children, NULL);
		lists = s_node(lists, children);
		left -= (n + 1) * sizeof(struct node);
	}
}

/* One text that grows by each line. */
SITE void s_append(size_t more)
{
	static char *text;
	static size_t size;

	text = realloc(text, size + more);
	CHECK(text);
	memset(text + size, '.', more);
	size += more;
}

static void one_text(long step)
{
	static double left;

	due(&left, 60e3);
	if (step % 25)
		return;
	s_append((size_t)left);
	left = 0;
}

/* A table of sessions of which none expires: chains, and an index that doubles. */
struct session {
	struct session *next;
	uint64_t key;
	char data[];
};

static struct {
	struct session **v;
	size_t size, n;
} sessions;

SITE void s_rehash(void)
{
	size_t i, size = sessions.size ? 2 * sessions.size : 256;
	struct session **v = calloc(size, sizeof(struct session *)), *s, *next;

	CHECK(v);
	for (i = 0; i < sessions.size; i++)
		for (s = sessions.v[i]; s; s = next) {
			next = s->next;
			s->next = v[s->key % size];
			v[s->key % size] = s;
		}
	free(sessions.v);
	sessions.v = v;
	sessions.size = size;
}

SITE size_t s_session(void)
{
	size_t size = sizeof(struct session) + 100 + draw() % 700;
	struct session *s = filled(size);

	if (sessions.n >= sessions.size)
		s_rehash();
	s->key = (uint64_t)draw() << 32 | draw();
	s->next = sessions.v[s->key % sessions.size];
	sessions.v[s->key % sessions.size] = s;
	sessions.n++;
	return size;
}

static void sessions_stay(long step)
{
	static double left;

	(void)step;
	for (due(&left, 60e3); left > 0;)
		left -= (double)s_session();
}

/* First in, first out, but more comes in than goes out. */
#define MOST_QUEUED 1000000
static void *queued[MOST_QUEUED];
static size_t first_queued, last_queued;

SITE void s_enqueue(size_t size)
{
	queued[last_queued++ % MOST_QUEUED] = filled(size);
}

static void backlog(long step)
{
	static double in, out;

	(void)step;
	for (due(&in, 150e3); in >= 600; in -= 600)
		s_enqueue(600);
	for (due(&out, 70e3); out >= 600 && first_queued < last_queued; out -= 600)
		free(queued[first_queued++ % MOST_QUEUED]);
}

/* ---- among what is freed ---- */

#define N_CONNECTIONS 400
static void *connections[N_CONNECTIONS];

SITE void s_connect(size_t at)
{
	bool is_lost = draw() % 40 == 0; /* an error on its way: closed, but its buffer is not freed */

	if (!is_lost)
		free(connections[at]);
	connections[at] = filled(16384);
}

static void lost_connections(long step)
{
	static double left;
	static size_t at;

	(void)step;
	for (due(&left, 3.3e6); left >= 16384; left -= 16384)
		s_connect(at++ % N_CONNECTIONS);
}

/* Below the teeth a leak. */
static void under_teeth(long step)
{
	s_tooth(step);
	forget_at(60e3, 900);
}

#define MANY_SITES(x) x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7)
#define DEFINE(n) SITE void s_many_##n(void) { void *p = filled(200 + 50 * n); KEEP(p); NO_TAIL(); }
MANY_SITES(DEFINE)
#define NAME(n) s_many_##n,

static void many_sites(long step)
{
	static void (*const sites[])(void) = { MANY_SITES(NAME) };
	static double left;

	(void)step;
	for (due(&left, 120e3); left >= 375; left -= 375)
		sites[draw() % 8]();
}

/* Listeners are registered with each request and never taken off: a list that grows by half, and a name each. */
SITE void s_listen(const char *name)
{
	static struct { char *name; void *callback; } *listeners;
	static size_t n, size;

	if (n == size) {
		size = size ? size + size / 2 : 16;
		listeners = realloc(listeners, size * sizeof(*listeners));
		CHECK(listeners);
	}
	listeners[n].name = strdup(name);
	listeners[n++].callback = NULL;
}

static void listeners(long step)
{
	static double left;
	char name[256];

	(void)step;
	for (due(&left, 50e3); left > 0;) {
		int n = snprintf(name, sizeof(name), "on-change-%08x-%0*d", draw(), (int)(50 + draw() % 100), 1);

		s_listen(name);
		left -= n + 33;
	}
}

/* Counted references: of ten pairs one refers to itself in a circle, and is not freed when it is let go. */
struct counted {
	struct counted *other;
	int references;
	char payload[500];
};

SITE struct counted *s_counted(struct counted *other)
{
	struct counted *c = filled(sizeof(*c));

	c->references = 1;
	c->other = other;
	if (other)
		other->references++;
	return c;
}

static void let_go(struct counted *c)
{
	if (--c->references)
		return;
	if (c->other)
		let_go(c->other);
	free(c);
}

static void circles(long step)
{
	static struct counted *held[50];
	static double left;
	static size_t at;

	(void)step;
	for (due(&left, 10 * 60e3); left > 0; left -= 2 * sizeof(struct counted)) {
		struct counted *child = s_counted(NULL), *parent = s_counted(child);

		let_go(child);
		if (draw() % 10 == 0) {
			child->other = parent;
			parent->references++;
		}
		if (held[at % 50])
			let_go(held[at % 50]);
		held[at++ % 50] = parent;
	}
}

/* Rare and large: 300 kB each four seconds. */
static void big_buffers(long step)
{
	if (step % 400 == 200)
		s_forget((size_t)(300e3 * rate_factor));
}

/* ---- threads ---- */

/* Ends at once; as nobody joins it, its stack stays. */
static void *soon_ended(void *arg)
{
	char work[20000], *p = work;

	memset(work, 1, sizeof(work));
	KEEP(p);
	return arg;
}

static void unjoined(long step)
{
	static double left;
	pthread_t t;

	(void)step;
	for (due(&left, 120e3); left >= 24576; left -= 24576)
		CHECK(!pthread_create(&t, NULL, soon_ended, NULL));
}

static pthread_mutex_t in_turn = PTHREAD_MUTEX_INITIALIZER;

static void *thread_main(void *is_leaking)
{
	static double left;
	void *held[20] = { 0 };
	long i;

	for (i = 0;; i++) {
		usleep(20000);
		pthread_mutex_lock(&in_turn);
		free(held[i % 20]);
		held[i % 20] = filled(100 + draw() % 2000);
		for (due(&left, is_leaking ? 100e3 : 0); is_leaking && left >= 800; left -= 800)
			s_forget(800);
		pthread_mutex_unlock(&in_turn);
	}
	return NULL;
}

static void start_threads(void)
{
	pthread_t t;
	uintptr_t i;

	for (i = 0; i < 8; i++)
		CHECK(!pthread_create(&t, NULL, thread_main, (void *)(uintptr_t)(i == 3)));
}

static void nothing(long step)
{
	(void)step;
}

static const struct shape shapes[] = {
	{ "steady", NULL, steady },
	{ "slow", NULL, slow },
	{ "crawling", NULL, crawling },
	{ "in-garbage", NULL, in_garbage },
	{ "bursts", NULL, bursts },
	{ "swapped", NULL, swapped },
	{ "one-thread", start_threads, nothing },
	{ "lists-in-lists", NULL, lists_in_lists },
	{ "one-text", NULL, one_text },
	{ "strings", NULL, strings },
	{ "mappings", NULL, mappings },
	{ "sessions", NULL, sessions_stay },
	{ "many-sites", NULL, many_sites },
	{ "accelerating", NULL, accelerating },
	{ "under-teeth", NULL, under_teeth },
	{ "lost-connections", NULL, lost_connections },
	{ "backlog", NULL, backlog },
	{ "listeners", NULL, listeners },
	{ "circles", NULL, circles },
	{ "big-buffers", NULL, big_buffers },
	{ "unjoined", NULL, unjoined },
};

int main(int argc, char **argv)
{
	return corpus_main(shapes, sizeof(shapes) / sizeof(shapes[0]), argc, argv);
}
