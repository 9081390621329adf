/* A plugin that does what its configuration says: {"do": "…"}. In collect, unless the name begins with create_. */
#include "bartizan_plugin.h"

#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef ID
#define ID "org.example.hostile"
#endif
#ifndef NAME
#define NAME "hostile"
#endif
/* Generous: a busy machine is no plugin's fault. */
#ifndef TIMEOUT
#define TIMEOUT "20s"
#endif
#ifndef ABI
#define ABI "{\"major\":1,\"min_minor\":0}"
#endif

typedef struct {
    const bz_host *host;
    char act[32];
    uint32_t value, count;
    int rounds;
} instance;

/* Whether another instance of this file is in "cancel". */
static volatile int waiting;

static int acts(const instance *self, const char *act) { return strcmp(self->act, act) == 0; }

static void spin(void) {
    volatile int forever = 1;
    while (forever) {
    }
}

static uint32_t series(const instance *self, uint32_t metric, const char *key, bz_str val) {
    bz_label label;
    if (key == NULL) return self->host->series(self->host, metric, NULL, 0);
    label.key = bz_text(key);
    label.val = val;
    return self->host->series(self->host, metric, &label, 1);
}

static int32_t create(const bz_host *host, const bz_create_args *args, void **out) {
    instance *self = calloc(1, sizeof *self);
    char config[256] = {0};
    const char *found;
    self->host = host;
    if (args->config_json.len >= sizeof config) return BZ_CONFIG;
    memcpy(config, args->config_json.ptr, args->config_json.len);
    found = strstr(config, "\"do\":\"");
    if (found != NULL) sscanf(found + 6, "%31[a-z0-9_]", self->act);
    if (acts(self, "create_segv")) *(volatile int *)8 = 1;
    if (acts(self, "create_spin")) spin();
    if (acts(self, "create_unsupported")) {
        host->error(host, bz_text("no such thing here"));
        return BZ_UNSUPPORTED;
    }
    if (acts(self, "create_unavailable")) {
        host->error(host, bz_text("connection refused"));
        return BZ_UNAVAILABLE;
    }
    if (acts(self, "create_config")) {
        host->error(host, bz_text("url is wrong"));
        return BZ_CONFIG;
    }
    self->value = series(self, 0, NULL, bz_text(""));
    self->count = series(self, 1, NULL, bz_text(""));
    *out = self;
    return BZ_OK;
}

static int32_t collect(void *at, bz_collect *round) {
    instance *self = at;
    const bz_host *host = self->host;
    int first = self->rounds++ == 0;
    bz_gauge(round, self->value, self->rounds);
    bz_counter(round, self->count, 1000 + self->rounds);
    if (acts(self, "panic")) {
        host->error(host, bz_text("index out of bounds"));
        return BZ_PANIC;
    }
    if (acts(self, "fatal")) return BZ_FATAL;
    if (acts(self, "retry")) return BZ_RETRY;
    if (acts(self, "unavailable")) {
        host->error(host, bz_text("connection refused"));
        return BZ_UNAVAILABLE;
    }
    if (acts(self, "status_99")) return 99;
    if (acts(self, "abort")) abort();
    if (acts(self, "segv")) *(volatile int *)8 = 1;
    if (acts(self, "segv_in_company")) {
        while (!waiting) usleep(1000);
        *(volatile int *)8 = 1;
    }
    if (acts(self, "exit0")) exit(0);
    if (acts(self, "spin")) spin();
    if (acts(self, "fork")) {
        pid_t child = fork();
        if (child == 0) _exit(0);
        if (child < 0) self->host->error(self->host, bz_text("fork refused"));
        return child < 0 ? BZ_RETRY : BZ_OK;
    }
    if (acts(self, "signal_others")) {
        /* Signal 0 does no harm, and needs the same right as all others. */
        if (kill(getppid(), 0) == 0 || kill(0, 0) == 0 || kill(getpid(), 0) != 0) return BZ_OK;
        self->host->error(self->host, bz_text("signal refused"));
        return BZ_RETRY;
    }
    if (acts(self, "cancel")) {
        waiting = 1;
        while (!bz_cancelled(round)) usleep(1000);
        waiting = 0;
        return BZ_RETRY;
    }
    if (acts(self, "leak")) {
        for (;;) memset(malloc(1 << 20), 1, 1 << 20);
    }
    if (acts(self, "bad_handle")) bz_gauge(round, 7777, 1);
    if (acts(self, "overrun")) round->len = round->cap + 1;
    if (acts(self, "nan")) {
        bz_gauge(round, self->value, NAN);
        bz_gauge(round, self->value, INFINITY);
    }
    if (acts(self, "many") && first) {
        char text[32];
        int i;
        for (i = 0; i < 5000; i++) {
            snprintf(text, sizeof text, "%d", i);
            bz_gauge(round, series(self, 2, "name", bz_text(text)), i);
        }
    }
    if (acts(self, "labels") && first) {
        static char big[1 << 20];
        bz_str text = {big, sizeof big};
        memset(big, 'x', sizeof big);
        bz_gauge(round, series(self, 2, "name", text), 1);
        bz_gauge(round, series(self, 2, "name", bz_text("\xff\xfe")), 2);
        bz_gauge(round, series(self, 2, "no such key", bz_text("v")), 3);
        bz_gauge(round, series(self, 99, NULL, bz_text("")), 4);
    }
    if (acts(self, "log_flood")) {
        int i;
        for (i = 0; i < 100000; i++) host->log(host, BZ_LOG_INFO, bz_text("flood"));
    }
    return BZ_OK;
}

static void destroy(void *at) {
    instance *self = at;
    if (acts(self, "destroy_spin")) spin();
    free(self);
}

#ifdef CONSTRUCTOR_SPIN
__attribute__((constructor)) static void constructor(void) { spin(); }
#endif

#ifdef CONSTRUCTOR_SEGV
__attribute__((constructor)) static void constructor(void) { *(volatile int *)8 = 1; }
#endif

#ifdef UNRESOLVED
extern int nobody_has_this(void);
int (*use_it)(void) = nobody_has_this;
#endif

#define MANIFEST                                                                                                       \
    "{\"abi\":" ABI ",\"id\":\"" ID "\",\"name\":\"" NAME "\",\"version\":\"1\",\"timeout\":\"" TIMEOUT "\","                           \
    "\"config_schema\":{\"type\":\"object\",\"properties\":{\"do\":{\"type\":\"string\"}}},"                           \
    "\"metrics\":[{\"name\":\"value\",\"kind\":\"gauge\",\"unit\":\"things\"},"                                        \
    "{\"name\":\"count_total\",\"kind\":\"counter\"},"                                                                 \
    "{\"name\":\"labelled\",\"kind\":\"gauge\",\"labels\":[\"name\"]}]}"

#if defined NO_SYMBOL
__attribute__((section(".bartizan_manifest"), used)) const char only_manifest[] = MANIFEST;
void *keep[] = {create, collect, destroy};
#elif defined OTHER_MANIFEST
__attribute__((section(".bartizan_manifest"), used)) const char section_manifest[] = MANIFEST;
static const bz_entry entry = {BZ_MAGIC, sizeof(bz_entry), 0, {"{}", 2}, create, collect, destroy, NULL};
const bz_entry *bartizan_plugin_v1(void) { return &entry; }
#elif defined BAD_JSON
BZ_PLUGIN("{\"abi\":", create, collect, destroy);
#elif defined NO_PLUGIN
void *keep[] = {create, collect, destroy};
#else
BZ_PLUGIN(MANIFEST, create, collect, destroy);
#endif
