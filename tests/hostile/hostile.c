/*
 * A plugin that commits the fault named in its configuration: {"fault": "segv", "after": 3} is a bad pointer in the
 * third round. Its twin, hostile.rs, is the same in Rust. Built with -DANOTHER_ABI it claims a contract from the future.
 */
#include "bartizan_plugin.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef ANOTHER_ABI
#define ABI_CLAIMED "99"
#define ID_CLAIMED "test.another-abi"
#else
#define ABI_CLAIMED "1"
#define ID_CLAIMED "test.hostile-c"
#endif

typedef struct {
    char fault[16];
    unsigned rounds, after;
    uint32_t series;
} instance;

/* The value after "key": as far as the next quote, comma or brace. The schema has judged the JSON before. */
static void look_up(bz_str json, const char *key, char *value, size_t room) {
    char text[512], *at, *end;
    size_t length = json.len < sizeof text ? json.len : sizeof text - 1;
    memcpy(text, json.ptr, length);
    text[length] = '\0';
    value[0] = '\0';
    if ((at = strstr(text, key)) == NULL) return;
    at += strlen(key) + 1;
    at += strspn(at, ": \"");
    end = at + strcspn(at, "\",}");
    if ((size_t)(end - at) >= room) return;
    memcpy(value, at, (size_t)(end - at));
    value[end - at] = '\0';
}

static int32_t create(const bz_host *host, const bz_create_args *args, void **self) {
    char after[16];
    instance *made = calloc(1, sizeof *made);
    if (made == NULL) return BZ_RETRY;
    look_up(args->config_json, "\"fault\"", made->fault, sizeof made->fault);
    look_up(args->config_json, "\"after\"", after, sizeof after);
    made->after = (unsigned)atoi(after);
    made->series = host->series(host, 0, NULL, 0);
    *self = made;
    return BZ_OK;
}

static void wait_ms(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

/* Every level keeps its page, so the stack ends long before the count does. */
static int descend(long levels, volatile char *above) {
    volatile char page[4096];
    page[0] = above[0];
    return levels == 0 ? 0 : descend(levels - 1, page) + page[0];
}

static void commit(const char *fault, bz_collect *round) {
    int *volatile nowhere = NULL;
    volatile char start = 1;
    if (strcmp(fault, "abort") == 0) abort();
    if (strcmp(fault, "segv") == 0) *nowhere = 1;
    if (strcmp(fault, "exit0") == 0) exit(0);
    if (strcmp(fault, "stack") == 0) descend(1L << 40, &start);
    if (strcmp(fault, "overrun") == 0) round->len = round->cap + 1;
    while (strcmp(fault, "spin") == 0) {}
}

static int32_t collect(void *self, bz_collect *round) {
    instance *me = self;
    me->rounds += 1;
    if (strcmp(me->fault, "slow") == 0) wait_ms(600);
    bz_gauge(round, me->series, me->rounds);
    if (me->rounds >= me->after) commit(me->fault, round);
    return BZ_OK;
}

static void destroy(void *self) { free(self); }

BZ_PLUGIN("{\"abi\":{\"major\":" ABI_CLAIMED ",\"min_minor\":0},\"id\":\"" ID_CLAIMED "\","
          "\"name\":\"hostile-c\",\"version\":\"1.0.0\",\"authors\":[\"The Bartizan authors\"],"
          "\"license\":\"Apache-2.0\",\"description\":\"Misbehaves on request\","
          "\"interval\":\"250ms\",\"timeout\":\"1s\","
          "\"config_schema\":{\"type\":\"object\",\"required\":[\"fault\",\"after\"],\"properties\":{"
          "\"fault\":{\"type\":\"string\"},\"after\":{\"type\":\"integer\"}}},"
          "\"metrics\":[{\"name\":\"hostile_rounds\",\"kind\":\"gauge\",\"unit\":\"rounds\",\"labels\":[],"
          "\"help\":\"Calls of collect so far\"}]}",
          create, collect, destroy);
