/**
 * bartizan_plugin.h - what a Bartizan collector plugin is, ABI major 1. C99 and C++, no dependencies.
 *
 * The same contract as src/abi.rs; tests/header.rs compares the two field by field.
 *
 * A plugin is a shared object with two exported symbols, both made by BZ_PLUGIN:
 *   bartizan_manifest_v1   its manifest, JSON, in the ELF section .bartizan_manifest; read without running anything
 *   bartizan_plugin_v1     a function that returns the entry: create, collect, destroy
 *
 * Rules
 *   - Within a major, a struct only grows, at its end; it says its size, and a reader looks no further.
 *   - Strings are UTF-8, not terminated, and borrowed for the length of one call. Nobody frees the other side's memory.
 *   - [instance] is the one thread that all calls of one instance come from; [any-thread] is what it says. Instances
 *     run at the same time unless the manifest says "threads":"single".
 *   - Nothing is thrown or unwound across a call. A plugin may start threads, and stops them in destroy.
 *   - The process is killed when a call takes too long: nothing may depend on destroy being called.
 */
#ifndef BARTIZAN_PLUGIN_H
#define BARTIZAN_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BZ_ABI_MAJOR 1
#define BZ_ABI_MINOR 0

/** The bytes BARTIZAN as they lie in memory. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define BZ_MAGIC UINT64_C(0x42415254495a414e)
#else
#define BZ_MAGIC UINT64_C(0x4e415a4954524142)
#endif

/** Handle of a series that the host refused; a sample given to it goes nowhere. */
#define BZ_NO_SERIES UINT32_MAX
/** A flag of bz_sample: the value of this counter is in f, because it has fractions. */
#define BZ_FLOAT 1u

#ifdef __cplusplus
#define BZ_EXTERN_C extern "C"
#define BZ_ASSERT(holds, name) static_assert(holds, #name)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define BZ_EXTERN_C extern
#define BZ_ASSERT(holds, name) _Static_assert(holds, #name)
#else
#define BZ_EXTERN_C extern
#define BZ_ASSERT(holds, name) typedef char bz_assert_##name[(holds) ? 1 : -1]
#endif

/** Borrowed text: UTF-8, not terminated. len 0 means empty, whatever ptr is. */
typedef struct bz_str {
    const char *ptr;
    size_t len;
} bz_str;

/** One label of a series; key is one of those that the manifest gives the metric. */
typedef struct bz_label {
    bz_str key, val;
} bz_label;

/** A measured value; the kind of the metric decides which member counts. */
typedef union bz_value {
    double f;   /**< of a gauge */
    uint64_t u; /**< of a counter: double loses counts above 2^53 */
    int64_t i;  /**< of kinds to come */
} bz_value;

/** One measured value of one series. Frozen: it never grows. */
typedef struct bz_sample {
    uint32_t series; /**< handle that series() returned */
    uint32_t flags;  /**< zero */
    bz_value v;
} bz_sample;

/** One call of collect: what the plugin is told, and the array it writes to. Owned by the host. */
typedef struct bz_collect {
    uint32_t size, _r0;
    int64_t now_unix_ns;                /**< timestamp given to every sample of this round */
    uint64_t deadline_mono_ns;          /**< CLOCK_MONOTONIC; be back before this */
    const volatile uint32_t *cancelled; /**< becomes 1 at the deadline or on shutdown; may be NULL */
    bz_sample *buf;                     /**< room for cap samples */
    uint32_t cap;
    uint32_t len;     /**< samples written */
    uint32_t dropped; /**< samples that found no room */
    uint32_t _r1;
} bz_collect;

/** What the host offers one instance. Owned by the host; valid until destroy has returned. */
typedef struct bz_host {
    uint32_t size, abi_minor;
    void *data; /**< the host's own; not for the plugin */
    /** Writes a line to the daemon's log; level is a BZ_LOG_ value. [any-thread] */
    void (*log)(const struct bz_host *host, uint32_t level, bz_str text);
    /** Gives the text for the status that this call will return. [instance] */
    void (*error)(const struct bz_host *host, bz_str text);
    /** Registers a series; the same labels bring the same handle, a refusal brings BZ_NO_SERIES. metric is a position
     *  in the manifest's metrics. Normally called once, in create. [instance] */
    uint32_t (*series)(const struct bz_host *host, uint32_t metric, const bz_label *labels, size_t n);
    /** Ends a series on purpose; its handle may be given out again. [instance] */
    void (*series_drop)(const struct bz_host *host, uint32_t series);
    /** Finds an extension by its id; NULL where the host has none of that name. [any-thread] */
    const void *(*ext)(const struct bz_host *host, bz_str id);
} bz_host;

/** What an instance is born with. Owned by the host; valid during create only. */
typedef struct bz_create_args {
    uint32_t size, _r0;
    bz_str config_json;   /**< a JSON object that fits the manifest's config_schema */
    bz_str instance;      /**< name of the instance, unique in the daemon */
    bz_str target;        /**< name of the server that it watches */
    uint64_t interval_ns; /**< time between two rounds */
} bz_create_args;

/** The table a plugin hands over. It lives as long as the library. */
typedef struct bz_entry {
    uint64_t magic; /**< BZ_MAGIC */
    uint32_t size, abi_minor;
    bz_str manifest; /**< the same bytes as the section; zero bytes at the section's end are not part of it */
    /** Makes an instance. On BZ_OK *self is set and belongs to the plugin until destroy; on any other status there is
     *  no instance, and destroy is not called. [instance] */
    int32_t (*create)(const bz_host *host, const bz_create_args *args, void **self);
    /** Reads one round. What it wrote counts only with BZ_OK. [instance] */
    int32_t (*collect)(void *self, bz_collect *round);
    /** Ends the instance. Called once, last. [instance] */
    void (*destroy)(void *self);
    /** Finds an extension of the plugin by its id; may be NULL. [any-thread] */
    const void *(*ext)(bz_str id);
} bz_entry;

/** What create and collect return. The code drives supervision; the text is for people. */
enum {
    BZ_OK = 0,
    BZ_UNAVAILABLE = 1, /**< the target is down: data, not a fault of the plugin */
    BZ_RETRY = 2,       /**< transient; counted, the schedule is unchanged */
    BZ_CONFIG = 3,      /**< stop until the configuration changes */
    BZ_PERM = 4,        /**< a permission is missing */
    BZ_UNSUPPORTED = 5, /**< this machine has no such thing; park silently */
    BZ_FATAL = 6,       /**< destroy and create again, with back-off */
    BZ_PANIC = 7        /**< a panic was caught; as BZ_FATAL, and counted apart */
};

/** How much a log line matters. */
enum { BZ_LOG_ERROR = 1, BZ_LOG_WARN = 2, BZ_LOG_INFO = 3, BZ_LOG_DEBUG = 4, BZ_LOG_TRACE = 5 };

BZ_ASSERT(sizeof(void *) == 8, pointer_size);
BZ_ASSERT(sizeof(bz_str) == 16, bz_str_size);
BZ_ASSERT(sizeof(bz_label) == 32, bz_label_size);
BZ_ASSERT(sizeof(bz_sample) == 16, bz_sample_size);
BZ_ASSERT(offsetof(bz_sample, v) == 8, bz_sample_v);
BZ_ASSERT(sizeof(bz_collect) == 56, bz_collect_size);
BZ_ASSERT(offsetof(bz_collect, buf) == 32, bz_collect_buf);
BZ_ASSERT(offsetof(bz_collect, dropped) == 48, bz_collect_dropped);
BZ_ASSERT(sizeof(bz_host) == 56, bz_host_size);
BZ_ASSERT(offsetof(bz_host, series) == 32, bz_host_series);
BZ_ASSERT(offsetof(bz_host, ext) == 48, bz_host_ext);
BZ_ASSERT(sizeof(bz_create_args) == 64, bz_create_args_size);
BZ_ASSERT(offsetof(bz_create_args, interval_ns) == 56, bz_create_args_interval_ns);
BZ_ASSERT(sizeof(bz_entry) == 64, bz_entry_size);
BZ_ASSERT(offsetof(bz_entry, manifest) == 16, bz_entry_manifest);
BZ_ASSERT(offsetof(bz_entry, ext) == 56, bz_entry_ext);

/** Lends a terminated string. */
static inline bz_str bz_text(const char *text) {
    bz_str lent;
    lent.ptr = text;
    lent.len = strlen(text);
    return lent;
}

/** Writes one sample: no call, no allocation. What finds no room is counted. */
static inline void bz_write(bz_collect *round, uint32_t series, uint32_t flags, bz_value value) {
    if (series == BZ_NO_SERIES) return;
    if (round->len >= round->cap) {
        if (round->dropped < UINT32_MAX) round->dropped++;
        return;
    }
    round->buf[round->len].series = series;
    round->buf[round->len].flags = flags;
    round->buf[round->len].v = value;
    round->len++;
}

/** Writes a value that goes up and down. */
static inline void bz_gauge(bz_collect *round, uint32_t series, double value) {
    bz_value v;
    v.f = value;
    bz_write(round, series, 0, v);
}

/** Writes a count as it stands, not its growth. */
static inline void bz_counter(bz_collect *round, uint32_t series, uint64_t count) {
    bz_value v;
    v.u = count;
    bz_write(round, series, 0, v);
}

/** Writes a count that has fractions, such as seconds spent. */
static inline void bz_counter_f64(bz_collect *round, uint32_t series, double count) {
    bz_value v;
    v.f = count;
    bz_write(round, series, BZ_FLOAT, v);
}

/** Whether the round is over. Ask in loops, and return when it is. */
static inline int bz_cancelled(const bz_collect *round) {
    return round->cancelled != NULL && *round->cancelled != 0;
}

/** Makes a plugin: once per shared object, at file scope, with a semicolon. json is a string literal. */
#define BZ_PLUGIN(json, create_fn, collect_fn, destroy_fn)                                                          \
    BZ_EXTERN_C __attribute__((section(".bartizan_manifest"), visibility("default")))                               \
    const char bartizan_manifest_v1[sizeof(json)];                                                                  \
    __attribute__((used)) const char bartizan_manifest_v1[sizeof(json)] = json;                                     \
    static const bz_entry bz_entry_v1 = {                                                                           \
        BZ_MAGIC, (uint32_t)sizeof(bz_entry), BZ_ABI_MINOR, {bartizan_manifest_v1, sizeof(json) - 1},               \
        create_fn, collect_fn, destroy_fn, NULL};                                                                   \
    BZ_EXTERN_C __attribute__((visibility("default"))) const bz_entry *bartizan_plugin_v1(void);                    \
    const bz_entry *bartizan_plugin_v1(void) { return &bz_entry_v1; }                                               \
    BZ_EXTERN_C const bz_entry *bartizan_plugin_v1(void)

#endif
