/* SPDX-License-Identifier: MIT */
#include "measure.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../sys.h"
#include "awake.h"
#include "cost.h"

enum {
    ALIAS_ROUNDS = 3,
    CACHE_ROUNDS = 8,
    BLOCK_ROUNDS = 8,
    WATCH_ROUNDS = 600,
    WATCH_SAMPLES = 150, /* enough to tell a share of a tenth from none */
    SECTOR = 512,
};

/* What the witnesses say of one leg. */
struct testimony {
    int says[8];    /* by the witness's bit: 1 copied, -1 not copied, 0 nothing */
    bool aliased;   /* all bytes changed after they had been moved: proof */
    bool invisible; /* the sink keeps nothing that could show it */
    bool shared;    /* extents are shared */
    bool dma;
};

struct trial {
    struct bench *bench;
    struct scene scene;
    const struct leg *leg;
    struct testimony testimony;
    struct watched watched;
    char *buffer;
    int row;
};

static int bit_of(enum sluice_witness witness)
{
    return __builtin_ctz((unsigned)witness);
}

#define TELL(trial, witness, what, ...)                                                            \
    do {                                                                                           \
        const int says_ = (what);                                                                  \
        if (says_)                                                                                 \
            (trial)->testimony.says[bit_of(witness)] = says_;                                      \
        probe_add_evidence((trial)->bench->probe, (trial)->row, (witness), says_, __VA_ARGS__);    \
    } while (0)

static size_t length_of(const struct trial *trial)
{
    return trial->leg->length ? trial->leg->length : trial->scene.length;
}

/* ---- alias, and what the kernel says by itself ---- */

static size_t count(const char *bytes, size_t length, char byte)
{
    size_t found = 0;
    for (size_t i = 0; i < length; i++)
        found += bytes[i] == byte;
    return found;
}

/* Returns how many bytes at the sink show what was stored after the call, or a negative errno. */
static ssize_t alias_round(struct trial *trial)
{
    struct scene *scene = &trial->scene;
    const size_t length = length_of(trial);

    ssize_t value = scene_fill(scene, 'A');
    if (value >= 0)
        value = scene_move(scene);
    if (value >= 0 && (size_t)value != length)
        value = -EIO;
    if (value >= 0)
        value = scene_store(scene, 'B');
    if (value >= 0)
        value = scene_collect(scene, trial->buffer);
    if (value < 0)
        return value;
    size_t changed = count(trial->buffer, (size_t)value, 'B');
    if ((size_t)value != length || changed + count(trial->buffer, (size_t)value, 'A') != length)
        return -EBADMSG; /* not the bytes that were sent */
    if (trial->leg->traits & LEG_BOTH) {
        value = sys_read(scene->in, trial->buffer, length);
        const size_t other = value > 0 ? count(trial->buffer, (size_t)value, 'B') : 0;
        changed = other < changed ? other : changed;
    }
    return (ssize_t)changed;
}

static int see_alias(struct trial *trial)
{
    const size_t length = length_of(trial);
    ssize_t changed = 0;

    for (int round = 0; round < ALIAS_ROUNDS; round++) {
        const ssize_t value = alias_round(trial);
        scene_reset(&trial->scene);
        if (value == -EOPNOTSUPP && trial->leg->sink == SCENE_NULL) {
            trial->testimony.invisible = true;
            return 0;
        }
        if (value < 0)
            return (int)value;
        changed += value;
    }
    trial->testimony.aliased = (size_t)changed == ALIAS_ROUNDS * length;
    TELL(trial, SLUICE_WITNESS_ALIAS, trial->testimony.aliased ? -1 : 0,
         "%zd of %zu bytes at the sink%s showed what was stored after the call%s", changed,
         ALIAS_ROUNDS * length, trial->leg->traits & LEG_BOTH ? ", and in the source pipe," : "",
         trial->testimony.aliased ? ": the same pages" : ", which alone proves nothing");
    if (trial->scene.word)
        TELL(trial, SLUICE_WITNESS_WORD, trial->scene.word, "%s", trial->scene.said);
    return 0;
}

/* ---- shared extents ---- */

/* 1: all extents are shared, 0: not, or a negative errno. */
static int extents_are_shared(int fd)
{
    union {
        struct fiemap map;
        char room[sizeof(struct fiemap) + 8 * sizeof(struct fiemap_extent)];
    } query = {
        .map = {.fm_length = UINT64_MAX, .fm_flags = FIEMAP_FLAG_SYNC, .fm_extent_count = 8}};

    const int error = sys_ioctl(fd, FS_IOC_FIEMAP, &query);
    if (error < 0)
        return error;
    unsigned shared = 0;
    for (unsigned i = 0; i < query.map.fm_mapped_extents; i++)
        shared += (query.map.fm_extents[i].fe_flags & FIEMAP_EXTENT_SHARED) != 0;
    return query.map.fm_mapped_extents > 0 && shared == query.map.fm_mapped_extents;
}

static void see_extents(struct trial *trial)
{
    if (!(trial->leg->traits & LEG_SHARES))
        return;
    if (scene_fill(&trial->scene, 'A') < 0 || scene_move(&trial->scene) < 0)
        return;
    const int shared = extents_are_shared(trial->scene.out);
    trial->testimony.shared = shared > 0;
    if (shared >= 0)
        TELL(trial, SLUICE_WITNESS_WORD, shared ? -1 : 0, "FIEMAP: the sink's extents are %s",
             shared ? "shared with the source's" : "its own");
}

/* ---- block bytes ---- */

/* Pages of the file that are in the page cache, or a negative errno. */
static int resident_pages(int fd, size_t length)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char flags[64];
    void *pages;

    const int error = sys_mmap(length, PROT_READ, MAP_SHARED, fd, 0, &pages);
    if (error < 0)
        return error;
    const size_t pages_in = (length + page - 1) / page;
    int resident = pages_in <= sizeof flags && mincore(pages, length, flags) == 0 ? 0 : -EIO;
    for (size_t i = 0; resident >= 0 && i < pages_in; i++)
        resident += flags[i] & 1;
    sys_munmap(pages, length);
    return resident;
}

static int direct_rounds(struct trial *trial, int file, int *ret_resident)
{
    *ret_resident = 0;
    for (int round = 0; round < BLOCK_ROUNDS; round++) {
        int error = scene_fill(&trial->scene, 'A');
        const ssize_t value = error < 0 ? error : scene_move(&trial->scene);
        const int resident = value < 0 ? (int)value : resident_pages(file, trial->scene.length);
        scene_reset(&trial->scene);
        if (resident < 0)
            return resident;
        *ret_resident += resident;
    }
    return 0;
}

static void see_blocks(struct trial *trial)
{
    const bool reads = trial->leg->source == SCENE_DIRECT;
    const struct place *place = trial->scene.place;
    const unsigned long long expected = BLOCK_ROUNDS * trial->scene.length / SECTOR;
    unsigned long long before[2], after[2];
    int resident = 0;

    if (!reads && trial->leg->sink != SCENE_DIRECT)
        return;
    if (!place->device) {
        TELL(trial, SLUICE_WITNESS_BLOCK, 0, "there is no block device behind it");
        return;
    }
    int error = place_sectors(place, before);
    if (error == 0)
        error = direct_rounds(trial, reads ? trial->scene.in : trial->scene.out, &resident);
    if (error == 0)
        error = place_sectors(place, after);
    if (error < 0) {
        TELL(trial, SLUICE_WITNESS_BLOCK, 0, "cannot be asked: %s", strerror(-error));
        return;
    }
    const unsigned long long seen = after[!reads] - before[!reads];
    trial->testimony.dma = seen >= expected && resident == 0 && !place->loop;
    TELL(trial, SLUICE_WITNESS_BLOCK, trial->testimony.dma ? -1 : 0,
         "the device %s %llu sectors for %llu moved, %d pages in the page cache%s",
         reads ? "read" : "wrote", seen, expected, resident,
         place->loop ? "; but a loop device is behind it, whose worker copies unseen" : "");
}

/* ---- the CPU's cache ---- */

/* Whether the pages that are looked at are those that the source hands on: what was fed into a
 * pipe or socket may have been copied on its way there. */
static bool pages_are_the_source(const struct trial *trial)
{
    const enum scene_end source = trial->leg->source;
    return source == SCENE_FILE || source == SCENE_MEMFD || source == SCENE_MEMORY ||
           (source == SCENE_PIPE && (trial->bench->by_reference || trial->scene.lent));
}

/* Behind FUSE and network file systems a process or a thread of its own moves the bytes, on whichever
 * processor it is. */
static bool is_moved_by_another(const struct place *place)
{
    return place && !place->device && strcmp(place->name, "tmpfs") != 0;
}

static int cache_rounds(struct trial *trial, const struct cache *cache, unsigned *ret_pages,
                        unsigned *ret_hot)
{
    struct scene *scene = &trial->scene;
    ssize_t value = 0;

    for (int round = 0; round < CACHE_ROUNDS && value >= 0; round++) {
        value = scene_fill(scene, 'A');
        if (value < 0)
            break;
        cache_flush(scene->pages, scene->length);
        value = scene_move(scene);
        if (value >= 0)
            *ret_pages += cache_look(cache, scene->pages, scene->length, 'A', ret_hot);
        scene_reset(scene);
    }
    return value < 0 ? (int)value : 0;
}

/* Where that cannot be told apart, what is near is still seen. */
static void calibrate_far(struct scene *scene, struct cache *cache)
{
    struct cache found = {.works = false};

    if (scene_fill(scene, 'A') == 0)
        cache_calibrate_far(&found, scene->pages, scene->length, 'A');
    scene_reset(scene);
    if (found.works)
        *cache = found;
}

static void see_cache(struct trial *trial)
{
    struct scene *scene = &trial->scene;
    struct cache cache = trial->bench->cache;
    struct awake awake = {.count = 0};
    unsigned pages = 0, hot = 0;
    const bool through_device =
        scene->place && scene->place->device &&
        (trial->leg->source == SCENE_DIRECT || trial->leg->sink == SCENE_DIRECT);
    const bool far = is_moved_by_another(scene->place);

    /* What a device reads or writes may pass the caches, too. */
    if (!cache.works || !scene->pages || through_device || trial->leg->length)
        return;
    if (far) {
        awake_begin(&awake);
        calibrate_far(scene, &cache);
    }
    const int error = cache_rounds(trial, &cache, &pages, &hot);
    awake_end(&awake);
    if (error < 0 || !pages)
        return;
    /* A daemon may have been anywhere. */
    const bool says_no = hot * 20 <= pages * 3 && pages_are_the_source(trial) && !far;
    TELL(trial, SLUICE_WITNESS_CACHE,
         hot * 10 >= pages * 6 ? 1
         : says_no             ? -1
                               : 0,
         "%s had read %u of %u flushed pages after the call (a load: %u cycles, flushed %u)",
         far ? "a CPU" : "the CPU", hot, pages, cache.hot, cache.cold);
}

/* ---- cost ---- */

static void see_cost(struct trial *trial)
{
    struct costs costs;
    const bool cold =
        trial->bench->cache.works && trial->scene.pages && pages_are_the_source(trial);

    if (trial->bench->quick || trial->leg->length || (trial->leg->traits & LEG_WORD))
        return;
    if (trial->leg->source == SCENE_DIRECT || trial->leg->sink == SCENE_DIRECT ||
        cost_measure(&trial->scene, cold, &costs) < 0)
        return;
    int says = cost_says(&costs, cold);
    if (!(trial->leg->traits & LEG_COST) && says > 0)
        says = 0; /* what a protocol costs hides the copy */
    TELL(trial, SLUICE_WITNESS_COST, says,
         "%.3f [%.3f %.3f] CPU s/GiB; memcpy %.3f [%.3f %.3f], write and read %.3f [%.3f %.3f]; %s",
         costs.leg.median, costs.leg.low, costs.leg.high, costs.memcpy.median, costs.memcpy.low,
         costs.memcpy.high, costs.read_write.median, costs.read_write.low, costs.read_write.high,
         cold ? "bytes not in the CPU's cache" : "bytes in the CPU's cache");
}

/* ---- tracepoints and samples ---- */

static void see_samples(struct trial *trial)
{
    const struct watched *seen = &trial->watched;
    const double control = trial->bench->copying_share;

    if (watch_sees(trial->bench->watch, SLUICE_WITNESS_SAMPLES) < 0 || seen->samples < 50)
        return;
    const double share = (double)seen->in_copy / (double)seen->samples;
    /* Where interrupts are off none is taken: a share is a lower bound, and a small one says
     * nothing. */
    TELL(trial, SLUICE_WITNESS_SAMPLES,
         control > 0.05 && seen->in_copy >= 20 && share > control / 2,
         "%.1f %% of %" PRIu64 " kernel samples in copy routines; write and read: %.1f %%",
         share * 100, seen->samples, control * 100);
}

static void see_traces(struct trial *trial, uint64_t moved)
{
    const struct watched *seen = &trial->watched;
    const bool from_socket =
        trial->leg->source >= SCENE_TCP && trial->leg->source <= SCENE_UNIX_SEQPACKET;

    if (watch_sees(trial->bench->watch, SLUICE_WITNESS_TRACE) < 0 || !moved)
        return;
    if (from_socket && seen->socket_copied >= 0) {
        const uint64_t copied = (uint64_t)seen->socket_copied;
        TELL(trial, SLUICE_WITNESS_TRACE,
             copied >= moved       ? 1
             : copied * 20 < moved ? -1
                                   : 0,
             "skb:skb_copy_datagram_iovec: %" PRIu64 " of %" PRIu64 " bytes", copied, moved);
    }
    if (seen->pages >= 0)
        TELL(trial, SLUICE_WITNESS_TRACE, 0,
             "kmem:mm_page_alloc: %" PRId64 " pages for %" PRIu64 " of data", seen->pages,
             moved / (uint64_t)sysconf(_SC_PAGESIZE));
}

static int watch_round(struct trial *trial, struct watched *ret)
{
    const int error = scene_fill(&trial->scene, 'A');
    if (error < 0)
        return error;
    watch_begin(trial->bench->watch);
    const ssize_t value = scene_move(&trial->scene);
    watch_end(trial->bench->watch, ret);
    scene_collect(&trial->scene, trial->buffer);
    scene_reset(&trial->scene);
    return value < 0 ? (int)value : 0;
}

static void see_inside(struct trial *trial)
{
    const bool on_disk = trial->leg->source == SCENE_DIRECT || trial->leg->sink == SCENE_DIRECT;
    const int rounds = on_disk ? BLOCK_ROUNDS : WATCH_ROUNDS;
    uint64_t moved = 0;

    if (!trial->bench->watch)
        return;
    for (int round = 0; round < rounds && trial->watched.samples < WATCH_SAMPLES; round++) {
        if (watch_round(trial, &trial->watched) < 0)
            return;
        moved += length_of(trial);
    }
    see_samples(trial);
    see_traces(trial, moved);
}

/* ---- the verdict ---- */

static unsigned those_who_say(const struct testimony *testimony, int what)
{
    unsigned witnesses = 0;
    for (unsigned bit = 0; bit < 8; bit++)
        if (testimony->says[bit] == what)
            witnesses |= 1u << bit;
    return witnesses;
}

/* An alias is proof. That a copy was made takes a witness who saw it, and none who saw the
 * opposite; that none was made where nothing can alias, likewise. */
static enum sluice_verdict judge(const struct trial *trial)
{
    const struct testimony *testimony = &trial->testimony;
    const unsigned copied = those_who_say(testimony, 1), not_copied = those_who_say(testimony, -1);
    const bool by_word = testimony->says[bit_of(SLUICE_WITNESS_WORD)] < 0;

    if (testimony->shared)
        return SLUICE_VERDICT_OFFLOAD;
    if (testimony->aliased)
        return SLUICE_VERDICT_REFERENCE;
    if (testimony->dma && !copied)
        return SLUICE_VERDICT_DMA;
    if (copied && !not_copied)
        return SLUICE_VERDICT_COPIED;
    if (!copied && (by_word || (testimony->invisible && not_copied)))
        return SLUICE_VERDICT_REFERENCE;
    return SLUICE_VERDICT_UNKNOWN;
}

/* What was seen in stacks replaces what was expected there. */
static void choose_path(const struct trial *trial, struct sluice_probe_leg *row, char *text,
                        size_t size)
{
    size_t at = 0;

    row->observed = trial->watched.functions > 0;
    if (row->observed)
        for (unsigned i = 0; i < trial->watched.functions && at < size; i++)
            at += (size_t)snprintf(text + at, size - at, "%s%s", i ? ", " : "",
                                   trial->watched.function[i]);
    else if (trial->scene.place && strcmp(trial->scene.place->name, "tmpfs") == 0 &&
             strncmp(trial->leg->path, "filemap_splice_read", 19) == 0)
        snprintf(text, size, "shmem_file_splice_read%s", trial->leg->path + 19);
    else
        snprintf(text, size, "%s", trial->leg->path);
    row->path = text;
}

/* A variant is there to be compared with the plain call. */
static void note_difference(struct trial *trial, struct sluice_probe_leg *row)
{
    const struct sluice_probe_leg *plain =
        probe_find(trial->bench->probe, row->from, row->to, row->call, "", row->place);

    if (strncmp(row->variant, "SPLICE_F_", 9) != 0 || !plain || plain->error || row->error)
        return;
    row->note = plain->verdict == row->verdict ? "no effect" : "not what the plain call does";
}

static void describe_place(const struct bench *bench, const struct leg *leg,
                           const struct place *place, int family, char text[PROBE_TEXT])
{
    const char *network = !scene_uses_network(leg) ? ""
                          : bench->through         ? bench->through
                          : family == AF_INET6     ? PLACE_IPV6
                                                   : PLACE_LOOPBACK;

    place_join(scene_uses_place(leg) ? place->text : "", network, text);
}

static void look(struct trial *trial, struct sluice_probe_leg *row)
{
    row->error = see_alias(trial);
    if (row->error == -EBADMSG)
        row->note = "other bytes arrived than were sent";
    if (row->error < 0)
        return;
    see_extents(trial);
    see_blocks(trial);
    see_cache(trial);
    see_cost(trial);
    see_inside(trial);
    row->verdict = judge(trial);
    row->witnesses =
        those_who_say(&trial->testimony, row->verdict == SLUICE_VERDICT_COPIED    ? 1
                                         : row->verdict == SLUICE_VERDICT_UNKNOWN ? 2
                                                                                  : -1);
}

int measure_leg(struct bench *bench, const struct leg *leg, const struct place *place, int family)
{
    struct trial trial = {.bench = bench, .leg = leg};
    char path[PROBE_TEXT], where[PROBE_TEXT];
    struct sluice_probe_leg row = {.from = scene_name(leg->source, place),
                                   .to = scene_name(leg->sink, place),
                                   .call = leg->call,
                                   .variant = leg->variant,
                                   .place = where,
                                   .path = leg->path,
                                   .at = bench->now};

    describe_place(bench, leg, place, family, where);
    trial.row = probe_add_leg(bench->probe, &row);
    if (trial.row < 0)
        return trial.row;
    row.error = scene_open(&trial.scene, leg, scene_uses_place(leg) ? place : NULL, family,
                           bench->pair, !bench->by_reference);
    if (row.error == 0) {
        trial.buffer = malloc(trial.scene.mapped);
        if (trial.buffer)
            look(&trial, &row);
        choose_path(&trial, &row, path, sizeof path);
        note_difference(&trial, &row);
        scene_close(&trial.scene);
        free(trial.buffer);
    }
    return probe_settle_leg(bench->probe, trial.row, &row);
}
