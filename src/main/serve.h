/* The running gateway, as main sees it. */
#ifndef WEIR_MAIN_SERVE_H
#define WEIR_MAIN_SERVE_H

#include "main/publish.h"
#include "main/simulator.h"
#include "net/listener.h"
#include "operator/operator.h"
#include "operator/trail.h"

#include <pthread.h>

/* Keys between the store, the table and the workers (serve_keys.c). */
struct main__key_watch {
    bool has_keys, has_objects; /* the store has said what there is */
    int64_t survey_at_ns, log_at_ns;
    uint64_t passed_on; /* the control thread's: the newest `wanted` that workers were told of */
    _Atomic size_t active, rotation_due, bytes;
    struct weir_message message; /* makes the control thread tell the workers */
    pthread_mutex_t mutex;
    pthread_cond_t done;
    /* under the mutex */
    uint64_t wanted;
    uint64_t *checked; /* by worker: it has seen to all changes up to this number */
    bool is_posted, is_over;
};

struct main__server {
    const char *config_path;
    bool demo;
    struct main__settings settings; /* as at boot: what needs a restart stays like this */
    struct weir_loop *loop;         /* the control thread's */
    struct weir_store *store;
    struct weir_board board;
    struct weir_gateway gateway;
    struct main__tls_cache *tls_cache;
    struct weir_tls *server_tls;
    struct main__published *live;
    struct main__published *first; /* holds the texts of `settings`: kept to the end */
    struct main__simulator simulator;
    unsigned worker_count, workers_left;
    _Atomic unsigned busy_workers; /* while draining */
    struct weir_worker **workers;
    int *sockets;
    int operator_socket;
    struct weir_operator *operator_plane;
    struct weir_trail *trail;
    struct weir_tls *plane_tls;
    struct weir_networks plane_networks; /* operator.allow, in `plane_arena` */
    struct weir_arena *plane_arena;
    struct weir_secret *owner_token; /* between the first start's making it and printing it */
    struct weir_timer watch;
    char data_address[80], operator_address[80], data_url[128], brand_upper[24];
    _Atomic int64_t control_cpu_ns;
    struct main__key_watch key_watch;
    bool stopping;
    int exit_code;
};

/* --- serve_keys.c --- */
/* Begins to watch the store for keys and workspaces. */
WEIR_MUST enum weir_status main__keys_open(struct main__server *server);
/* Now and then, on the control thread. */
void main__keys_turn(struct main__server *server);
/* For operations (struct weir_operator_hooks): returns when what is in the store now is in effect on all workers, within a second at most. */
void main__keys_changed(void *context);
/* Before the thread of operations is waited for: nobody is told any more. */
void main__keys_over(struct main__server *server);
/* Once that thread has ended. */
void main__keys_release(struct main__server *server);

/* --- serve_demo.c --- */
/* Makes sure that the demo key of <data>/demo-key (readable by its user alone) exists and works, and prints how to try the gateway. Dev only. */
WEIR_MUST enum weir_status main__demo_prepare(struct main__server *server, struct weir_error *error);
void main__demo_print(const struct main__server *server);

#endif
