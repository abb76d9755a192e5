/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -pthread */
/*
 * A small server without a network, made to be profiled: `make demo`.
 *
 * Four worker threads handle requests. Each request allocates and frees a few buffers (churn),
 * stores into a bounded cache that is full after two seconds and then replaces its entries (no
 * leak, although its blocks live long), and every eighth request forgets the session record that
 * session_open() made: that is the leak, about 1 MiB/s over all threads, at one site. It ends by
 * itself after 60 seconds (or the number given), having leaked 60 MiB at most.
 *
 * What memprobe should say: session_open <- handle_request <- worker grows; cache_store is flat.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define N_WORKERS 4
#define REQUESTS_PER_SECOND 128 /* per worker */
#define LEAK_EVERY 8
#define SESSION_BYTES 16384 /* 4 workers * 128 / 8 * 16384 = 1 MiB/s */
#define CACHE_ENTRIES 1024
#define CACHE_ENTRY_BYTES 4096
#define NOINLINE __attribute__((noinline))

struct session {
	uint32_t id;
	char state[SESSION_BYTES - sizeof(uint32_t)];
};

static struct {
	pthread_mutex_t lock;
	char *entry[CACHE_ENTRIES];
} cache = { .lock = PTHREAD_MUTEX_INITIALIZER };

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static NOINLINE void *need(void *p)
{
	if (!p) {
		perror("leaky_server");
		exit(1);
	}
	return p;
}

static NOINLINE struct session *session_open(uint32_t id)
{
	struct session *s = need(malloc(sizeof(*s)));

	memset(s, 0, sizeof(*s));
	s->id = id;
	return s;
}

static NOINLINE void session_close(struct session *s)
{
	free(s);
}

/* The new entry takes the place of an old one: bounded, whatever comes. */
static NOINLINE void cache_store(uint32_t key, const char *text)
{
	char *fresh = need(malloc(CACHE_ENTRY_BYTES)), *old;

	memset(fresh, 0, CACHE_ENTRY_BYTES);
	strncpy(fresh, text, CACHE_ENTRY_BYTES - 1);
	pthread_mutex_lock(&cache.lock);
	old = cache.entry[key % CACHE_ENTRIES];
	cache.entry[key % CACHE_ENTRIES] = fresh;
	pthread_mutex_unlock(&cache.lock);
	free(old);
}

static NOINLINE size_t parse_request(char *request)
{
	char *copy = need(strdup(request)), *rest = copy, *word;
	size_t n = 0;

	while ((word = strsep(&rest, " /"))) {
		char *token = need(strdup(word));

		n += strlen(token);
		free(token);
	}
	free(copy);
	return n;
}

static NOINLINE void render_response(size_t n)
{
	char *body = need(malloc(64 + n * 16));

	snprintf(body, 64 + n * 16, "HTTP/1.1 200 OK\r\n\r\n%zu\n", n);
	body = need(realloc(body, 128 + n * 16));
	free(body);
}

static NOINLINE void handle_request(uint32_t id)
{
	struct session *s = session_open(id);
	char request[96];

	snprintf(request, sizeof(request), "GET /user/%u/profile/photo/%u HTTP/1.1", id, id * 31);
	render_response(parse_request(request));
	cache_store(id * 2654435761u, request);
	if (id % LEAK_EVERY != 0) /* the bug: "the eighth one is kept for the log" */
		session_close(s);
}

struct worker {
	pthread_t thread;
	uint32_t first_id;
	double end;
};

static NOINLINE void *worker(void *arg)
{
	struct worker *w = arg;
	double begin = now();
	uint32_t n = 0;

	for (; now() < w->end; n++) {
		double ahead = begin + (double)n / REQUESTS_PER_SECOND - now();

		/* a sleep at a time for eight requests; after a stall no catching up beyond the
		 * rate */
		if (ahead > 0 && n % 8 == 0)
			usleep((useconds_t)(ahead * 1e6));
		handle_request(w->first_id + n);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 60;
	struct worker workers[N_WORKERS];

	if (seconds <= 0 || seconds > 600) {
		fprintf(stderr, "usage: leaky_server [SECONDS, at most 600]\n");
		return 2;
	}
	printf("leaky_server: pid %d, %g s, leaks 1 MiB/s in session_open()\n", getpid(), seconds);
	fflush(stdout);
	for (int i = 0; i < N_WORKERS; i++) {
		workers[i].first_id = (uint32_t)i * 1000000;
		workers[i].end = now() + seconds;
		if (pthread_create(&workers[i].thread, NULL, worker, &workers[i])) {
			perror("leaky_server: pthread_create");
			return 1;
		}
	}
	for (int i = 0; i < N_WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
	return 0;
}
