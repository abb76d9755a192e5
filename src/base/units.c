/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Sizes and durations; see units.h. Locale-independent: the point is always '.'. */
#include "base/units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{ "", 1 },	   { "B", 1 },
	{ "k", 1ULL << 10 }, { "K", 1ULL << 10 }, { "KB", 1ULL << 10 }, { "KiB", 1ULL << 10 },
	{ "M", 1ULL << 20 }, { "m", 1ULL << 20 }, { "MB", 1ULL << 20 }, { "MiB", 1ULL << 20 },
	{ "G", 1ULL << 30 }, { "g", 1ULL << 30 }, { "GB", 1ULL << 30 }, { "GiB", 1ULL << 30 },
	{ "T", 1ULL << 40 }, { "TB", 1ULL << 40 }, { "TiB", 1ULL << 40 },
	{ NULL, 0 },
};

static const struct unit time_units[] = {
	{ "", NS_PER_S },    { "ns", 1 },	     { "us", NS_PER_US },
	{ "ms", NS_PER_MS }, { "s", NS_PER_S },	     { "m", 60 * NS_PER_S },
	{ "min", 60 * NS_PER_S }, { "h", 3600 * NS_PER_S }, { NULL, 0 },
};

static const struct unit *find_unit(const struct unit *units, const char *name)
{
	for (; units->name; units++)
		if (!strcmp(units->name, name))
			return units;
	return NULL;
}

/* DIGITS[.DIGITS]UNIT. At most nine digits of the fraction count; the rest is below a unit's thousandth. */
static int parse(const char *s, const struct unit *units, uint64_t *out)
{
	uint64_t whole = 0, frac = 0, frac_div = 1, total;
	const struct unit *u;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(whole, 10ULL, &whole) ||
		    __builtin_add_overflow(whole, (uint64_t)(*s - '0'), &whole))
			return -ERANGE;
	if (*s == '.') {
		if (s[1] < '0' || s[1] > '9')
			return -EINVAL;
		for (s++; *s >= '0' && *s <= '9'; s++) {
			if (frac_div < 1000000000ULL) {
				frac = frac * 10 + (uint64_t)(*s - '0');
				frac_div *= 10;
			}
		}
	}
	u = find_unit(units, s);
	if (!u)
		return -EINVAL;
	if (__builtin_mul_overflow(whole, u->factor, &total))
		return -ERANGE;
	frac = (uint64_t)((unsigned __int128)frac * u->factor / frac_div);
	if (__builtin_add_overflow(total, frac, &total))
		return -ERANGE;
	*out = total;
	return 0;
}

int units_parse_size(const char *s, uint64_t *size_bytes)
{
	return parse(s, size_units, size_bytes);
}

int units_parse_duration(const char *s, uint64_t *duration_ns)
{
	return parse(s, time_units, duration_ns);
}

char *units_format_size(char out[16], uint64_t n)
{
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)n;
	unsigned int i = 0;

	/* 1023.95 and more would round to "1024.0" of this unit */
	while (i < 6 && v >= (i ? 1023.95 : 1024.0)) {
		v /= 1024;
		i++;
	}
	if (i == 0)
		snprintf(out, 16, "%llu B", (unsigned long long)n);
	else
		snprintf(out, 16, i >= 3 ? "%.2f %s" : "%.1f %s", v, names[i]);
	return out;
}

char *units_format_duration(char out[24], uint64_t ns)
{
	uint64_t s = (ns + NS_PER_S / 2) / NS_PER_S;

	if (ns < 9950 * NS_PER_MS)
		snprintf(out, 24, "%.1f s", (double)ns / 1e9);
	else if (s < 120)
		snprintf(out, 24, "%llu s", (unsigned long long)s);
	else if (s < 3600)
		snprintf(out, 24, "%llu min", (unsigned long long)((s + 30) / 60));
	else
		snprintf(out, 24, "%llu h %02llu min", (unsigned long long)(s / 3600),
			 (unsigned long long)(s % 3600 / 60));
	return out;
}

char *units_format_count(char out[32], uint64_t n)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	int i, o = 0;

	for (i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			out[o++] = ' ';
		out[o++] = digits[i];
	}
	out[o] = '\0';
	return out;
}
