/* SPDX-License-Identifier: MIT */
#include "admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "http.h"
#include "lib/sys.h"
#include "log.h"
#include "metrics.h"
#include "net.h"

enum { CLIENTS_MOST = 64 };
/* For a request to come, for an answer to be taken, and for what is sent besides to be thrown away. */
#define PATIENCE  (5 * SECOND)
#define LINGERING (1 * SECOND)
/* How long "ready" is said after the start. */
#define READY_FOR (60 * SECOND)
/* How long a pipe that was not to be had lowers the weight: several checks of whoever asks. */
#define SHORT_FOR (10 * SECOND)

struct admin {
    struct relay *relay;
    struct listener http, agent;
    struct client *first, *last; /* in the order in which they came */
    unsigned clients;
    bool leaving;      /* it is going to drain */
    uint64_t wanting;  /* pipes that were not to be had as asked for, at the last look */
    uint64_t short_at; /* when there were more of them; 0: never */
    uint64_t started;  /* sys_now() */
    double start_time; /* since 1970 */
};

enum state { READING = 0, WRITING, LEAVING };

struct client {
    struct watch watch;
    struct timer timer;
    struct admin *admin;
    struct client *previous, *next;
    enum state state;
    char *answer;
    size_t length, done;
    size_t have;
    char head[HTTP_HEAD_MAX];
};

static struct loop *loop_of(const struct admin *admin)
{
    return relay_control(admin->relay);
}

/* ---- clients ---- */

static void client_free(struct client *client)
{
    struct admin *admin = client->admin;

    timer_clear(loop_of(admin), &client->timer);
    loop_close(loop_of(admin), &client->watch);
    *(client->previous ? &client->previous->next : &admin->first) = client->next;
    *(client->next ? &client->next->previous : &admin->last) = client->previous;
    admin->clients--;
    free(client->answer);
    free(client);
}

static bool wait_until(struct client *client, uint64_t patience)
{
    struct loop *loop = loop_of(client->admin);

    return timer_set(loop, &client->timer, loop_now(loop) + patience) == 0;
}

/* Everything was sent. To close now, with input unread, would turn into a reset, which may overtake the
 * answer: so the end is told, and the other's awaited. */
static void leave(struct client *client)
{
    client->state = LEAVING;
    if (net_shutdown(client->watch.fd, SHUT_WR) < 0 || !wait_until(client, LINGERING))
        client_free(client);
}

/* The answer, or what is left of it. False: the client is gone. */
static bool send_answer(struct client *client)
{
    while (client->done < client->length) {
        const ssize_t some = sys_send(client->watch.fd, client->answer + client->done,
                                      client->length - client->done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (some == -EAGAIN)
            return true;
        if (some < 0 && some != -EINTR) {
            client_free(client);
            return false;
        }
        client->done += some > 0 ? (size_t)some : 0;
    }
    leave(client);
    return false;
}

static bool answer(struct client *client, char *text, size_t length)
{
    if (!text || !wait_until(client, PATIENCE)) {
        free(text);
        client_free(client);
        return false;
    }
    client->state = WRITING;
    client->answer = text;
    client->length = length;
    return send_answer(client);
}

/* ---- pages ---- */

static bool is_leaving(const struct admin *admin)
{
    return admin->leaving || relay_draining(admin->relay);
}

struct page {
    unsigned status;
    const char *type;
    char *body;
    size_t length;
};

static double cpu_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void page_metrics(struct admin *admin, struct page *page)
{
    struct relay_totals totals = {0};
    const struct metrics_process process = {.start_time = admin->start_time,
                                            .cpu_seconds = cpu_seconds(),
                                            .log_lines_lost = log_lost()};
    FILE *out = open_memstream(&page->body, &page->length);

    if (!out)
        return;
    /* A loop that did not answer in time would make counters go backwards: rather none. */
    if (relay_read(admin->relay, &totals) < 0) {
        fclose(out);
        page->status = 503;
        return;
    }
    totals.draining = is_leaving(admin);
    struct target_list *targets = relay_targets(admin->relay);
    metrics_print(out, &totals, targets, &process);
    target_list_release(targets);
    if (fclose(out) == 0)
        page->status = 200;
    page->type = "text/plain; version=0.0.4; charset=utf-8";
}

static void page_text(struct page *page, unsigned status, const char *text)
{
    page->status = status;
    page->body = strdup(text);
    page->length = page->body ? strlen(text) : 0;
}

static void page_health(struct admin *admin, struct page *page)
{
    if (is_leaving(admin))
        page_text(page, 503, "draining\n");
    else
        page_text(page, 200, "ok\n");
}

static void page_index(struct admin *admin, struct page *page)
{
    (void)admin;
    page_text(page, 200, "/metrics\n/healthz\n");
}

static const struct {
    const char *path;
    void (*print)(struct admin *, struct page *);
} pages[] = {
    {"/", page_index},
    {"/healthz", page_health},
    {"/metrics", page_metrics},
};

/* status: 200, or what the request is refused with. */
static bool answer_page(struct client *client, unsigned status, const struct http_request *request)
{
    struct page page = {.status = status, .type = "text/plain; charset=utf-8"};
    size_t length = 0, i = 0;

    if (status == 200) {
        while (i < sizeof pages / sizeof *pages &&
               !(strlen(pages[i].path) == request->path_length &&
                 memcmp(pages[i].path, request->path, request->path_length) == 0))
            i++;
        page.status = i < sizeof pages / sizeof *pages ? 503 : 404;
        if (page.status != 404)
            pages[i].print(client->admin, &page);
    }
    if (!page.body || page.length == 0) {
        free(page.body);
        page.body = NULL;
        if (asprintf(&page.body, "%s\n", http_reason(page.status)) < 0)
            page.body = NULL;
        page.length = page.body ? strlen(page.body) : 0;
    }
    char *text =
        http_answer(page.status, page.type, page.body, page.length, request->head, &length);
    free(page.body);
    return answer(client, text, length);
}

/* ---- what happens ---- */

/* Takes what has come of a request. False: the client is gone. */
static bool read_request(struct client *client)
{
    struct http_request request = {0};

    for (;;) {
        const ssize_t some = sys_recv(client->watch.fd, client->head + client->have,
                                      sizeof client->head - client->have, MSG_DONTWAIT);
        if (some == -EINTR)
            continue;
        if (some == -EAGAIN)
            return true;
        if (some <= 0) {
            client_free(client);
            return false;
        }
        client->have += (size_t)some;
        const ssize_t result = http_parse(client->head, client->have, &request);
        if (result != 0)
            return answer_page(client, result < 0 ? (unsigned)-result : 200, &request);
    }
}

/* What is still sent is thrown away, until its end. */
static void read_and_forget(struct client *client)
{
    for (;;) {
        const ssize_t some =
            sys_recv(client->watch.fd, client->head, sizeof client->head, MSG_DONTWAIT);
        if (some == -EAGAIN)
            return;
        if (some <= 0 && some != -EINTR) {
            client_free(client);
            return;
        }
    }
}

static void client_ready(struct loop *loop, struct watch *watch, uint32_t events)
{
    struct client *client = OWNER_OF(watch, struct client, watch);

    (void)loop;
    if (client->state == WRITING && events & (EPOLLERR | EPOLLHUP)) {
        client_free(client);
        return;
    }
    switch (client->state) {
    case READING:
        read_request(client);
        break;
    case WRITING:
        send_answer(client);
        break;
    case LEAVING:
        read_and_forget(client);
        break;
    }
}

static void client_late(struct loop *loop, struct timer *timer)
{
    struct client *client = OWNER_OF(timer, struct client, timer);
    const struct http_request request = {0};

    (void)loop;
    if (client->state == READING && client->have > 0)
        answer_page(client, 408, &request);
    else
        client_free(client);
}

static struct client *client_new(struct admin *admin, int fd)
{
    struct client *client = calloc(1, sizeof *client);

    if (!client) {
        sys_close(fd);
        return NULL;
    }
    if (admin->clients == CLIENTS_MOST)
        client_free(admin->first);
    *client = (struct client){.watch = {.fd = fd, .ready = client_ready},
                              .timer = {.fire = client_late},
                              .admin = admin,
                              .previous = admin->last};
    *(admin->last ? &admin->last->next : &admin->first) = client;
    admin->last = client;
    admin->clients++;
    if (loop_add(loop_of(admin), &client->watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP, true) < 0 ||
        !wait_until(client, PATIENCE)) {
        client_free(client);
        return NULL;
    }
    return client;
}

static void http_accepted(struct listener *listener, int fd, const struct peer *peer)
{
    struct client *client = client_new(listener->data, fd);

    (void)peer;
    if (client)
        read_request(client);
}

const char *agent_line(const struct relay_totals *totals, uint64_t age, bool is_short,
                       char line[static AGENT_LINE])
{
    uint64_t percent = 100;

    if (totals->draining)
        return memcpy(line, "drain\n", sizeof "drain\n");
    if (totals->pipes_used >= totals->pipes_most)
        percent = totals->pipes_most ? 1 : 100;
    else
        percent = (totals->pipes_most - totals->pipes_used) * 100 / totals->pipes_most;
    percent /= is_short ? 2 : 1;
    snprintf(line, AGENT_LINE, "%s%u%%\n", age < READY_FOR ? "ready " : "",
             percent ? (unsigned)percent : 1);
    return line;
}

/* Whether a pipe was refused, or granted smaller than asked for, of late. */
static bool is_short_of_pipes(struct admin *admin, const struct relay_totals *totals, uint64_t now)
{
    const uint64_t wanting = totals->pipes_small + totals->pipes_refused;

    if (wanting > admin->wanting)
        admin->short_at = now;
    admin->wanting = wanting;
    return admin->short_at && now - admin->short_at < SHORT_FOR;
}

/* The line, and goodbye: whatever the other says. */
static void agent_accepted(struct listener *listener, int fd, const struct peer *peer)
{
    struct admin *admin = listener->data;
    struct relay_totals totals = {0};
    struct client *client = client_new(admin, fd);
    char line[AGENT_LINE];

    (void)peer;
    if (!client)
        return;
    if (is_leaving(admin))
        totals.draining = true;
    else
        relay_read(admin->relay, &totals);
    const uint64_t now = sys_now();
    agent_line(&totals, now - admin->started, is_short_of_pipes(admin, &totals, now), line);
    answer(client, strdup(line), strlen(line));
}

/* ---- the whole ---- */

int admin_new(struct relay *relay, struct admin **ret)
{
    struct admin *admin = calloc(1, sizeof *admin);
    struct timespec now;

    if (!admin)
        return -ENOMEM;
    clock_gettime(CLOCK_REALTIME, &now);
    admin->relay = relay;
    admin->http.watch.fd = admin->agent.watch.fd = -1;
    admin->started = sys_now();
    admin->start_time = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    *ret = admin;
    return 0;
}

static int serve(struct admin *admin, struct listener *listener, int fd,
                 accepted_function *accepted)
{
    *listener = (struct listener){.watch = {.fd = fd}, .accepted = accepted, .data = admin};
    const int error = listener_start(loop_of(admin), listener);
    if (error < 0 && listener->watch.fd >= 0) {
        sys_close(fd);
        listener->watch.fd = -1;
    }
    return error;
}

int admin_serve_http(struct admin *admin, int fd)
{
    return serve(admin, &admin->http, fd, http_accepted);
}

int admin_serve_agent(struct admin *admin, int fd)
{
    return serve(admin, &admin->agent, fd, agent_accepted);
}

void admin_announce_drain(struct admin *admin)
{
    admin->leaving = true;
}

void admin_free(struct admin *admin)
{
    if (!admin)
        return;
    while (admin->first)
        client_free(admin->first);
    if (admin->http.watch.fd >= 0)
        listener_stop(&admin->http);
    if (admin->agent.watch.fd >= 0)
        listener_stop(&admin->agent);
    free(admin);
}
