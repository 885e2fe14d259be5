/* The running gateway, as main sees it. */
#ifndef WEIR_MAIN_SERVE_H
#define WEIR_MAIN_SERVE_H

#include "main/backup_schedule.h"
#include "main/meter_alerts.h"
#include "main/publish.h"
#include "main/sealing.h"
#include "main/simulator.h"
#include "net/listener.h"
#include "operator/operator.h"
#include "operator/trail.h"

#include <pthread.h>

/* Keys between the store, the table and the workers (serve_keys.c). */
struct main__key_watch {
    bool has_keys, has_objects; /* the store has said what there is */
    bool capture_told;          /* that what is to be captured is not */
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

/* Billing's periodic work (serve_billing.c). */
struct main__billing {
    struct weir_secret *secret; /* that payments are signed with; NULL: none */
    bool is_running;
    int64_t next_ns, cursor;
    size_t changes;
};

struct main__publisher;

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
    struct main__publisher *publisher;
    struct main__published *live;
    struct main__published *first; /* holds the texts of `settings`: kept to the end */
    struct main__simulator simulator;
    unsigned worker_count, workers_left;
    _Atomic unsigned busy_workers; /* while draining */
    struct weir_worker **workers;
    int *sockets;
    int operator_socket;
    struct weir_operator *operator_plane;
    struct weir_sealing *sealing;
    struct weir_receipt_signer *receipts;
    struct main__backup_schedule *backups; /* NULL: none are configured */
    struct main__alerts *alerts;
    struct weir_trail *trail;
    struct weir_tls *plane_tls;
    struct weir_networks plane_networks; /* operator.allow, in `plane_arena` */
    struct weir_arena *plane_arena;
    struct weir_secret *owner_token; /* between the first start's making it and printing it */
    struct weir_timer watch;
    char data_address[80], operator_address[80], data_url[128], brand_upper[24];
    _Atomic int64_t control_cpu_ns;
    struct main__key_watch key_watch;
    bool meter_has_objects; /* the store has said what limits and budgets there are */
    struct main__billing billing;
    bool stopping;
    int exit_code;
};

/* --- serve_publish.c --- */
/* The first revision, of the settings as they were read and the plans in the store. Takes over `arena`. */
WEIR_MUST enum weir_status main__publish_first(struct main__server *server, struct weir_arena *arena,
                                               struct weir_error *error);
/* From now on a change of a plan, whoever makes it, becomes a new revision. */
void main__publish_watch(struct main__server *server);
/* Reads the file again and publishes it; the log says what came of it. */
void main__publish_file(struct main__server *server);
/* From another thread than the control thread, which it waits for: see weir_operator_hooks. */
WEIR_MUST enum weir_status main__publish_wish(void *context, bool read_file, uint64_t *number,
                                              struct weir_buffer *problems);
/* Who waits gives up; nothing is published any more. */
void main__publish_close(struct main__server *server);
void main__publish_free(struct main__server *server);
/* A worker has let go of a state; the last one sends it to be freed. Any thread. */
void main__on_released(void *context, const struct weir_published *base);

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

/* --- serve_billing.c --- */
/* Fetches the secret that payments are signed with, where one is named. */
WEIR_MUST enum weir_status main__billing_open(struct main__server *server, struct weir_error *error);
/* Now and then, on the control thread: a step of what is due. */
void main__billing_turn(struct main__server *server);
/* After the workers. */
void main__billing_release(struct main__server *server);

/* --- serve_demo.c --- */
/* Makes sure that the demo key of <data>/demo-key (readable by its user alone) exists and works, and prints how to try the gateway. Dev only. */
WEIR_MUST enum weir_status main__demo_prepare(struct main__server *server, struct weir_error *error);
void main__demo_print(const struct main__server *server);

#endif
