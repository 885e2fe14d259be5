/* See found_models.h. A lock guards it: it is looked at where models are listed, never where one is used. */
#include "gateway/found_models.h"

#include "base/memory.h"

#include <pthread.h>
#include <yyjson.h>

struct found {
    struct found *next;
    char *provider;
    yyjson_doc *document; /* {"models":["…",…]} */
};
struct weir_found_models {
    pthread_mutex_t mutex;
    struct found *first;
};

enum weir_status weir_found_models_new(struct weir_found_models **found) {
    struct weir_found_models *made = weir_memory_new(1, sizeof *made);
    if (made == NULL)
        return WEIR_ENOMEM;
    (void)pthread_mutex_init(&made->mutex, NULL);
    *found = made;
    return WEIR_OK;
}

void weir_found_models_free(struct weir_found_models **found) {
    struct weir_found_models *ending = *found;
    if (ending == NULL)
        return;
    *found = NULL;
    while (ending->first != NULL) {
        struct found *row = ending->first;
        ending->first = row->next;
        yyjson_doc_free(row->document);
        weir_memory_free(row->provider);
        weir_memory_free(row);
    }
    (void)pthread_mutex_destroy(&ending->mutex);
    weir_memory_free(ending);
}

static struct found *find(struct weir_found_models *found, struct weir_span provider) {
    struct found *row = found->first;
    while (row != NULL && !weir_span_equal(weir_span_of_string(row->provider), provider))
        row = row->next;
    return row;
}

enum weir_status weir_found_models_set(struct weir_found_models *found, struct weir_span provider,
                                       struct weir_span text) {
    yyjson_doc *document = yyjson_read(text.at, text.length, 0), *old = NULL;
    if (!yyjson_is_arr(yyjson_obj_get(yyjson_doc_get_root(document), "models"))) {
        yyjson_doc_free(document);
        return WEIR_EINVAL;
    }
    enum weir_status status = WEIR_OK;
    (void)pthread_mutex_lock(&found->mutex);
    struct found *row = find(found, provider);
    if (row == NULL) {
        row = weir_memory_new(1, sizeof *row);
        char *name = weir_memory_string(provider);
        if (row == NULL || name == NULL) {
            weir_memory_free(row);
            weir_memory_free(name);
            row = NULL;
            status = WEIR_ENOMEM;
        } else {
            *row = (struct found){.next = found->first, .provider = name};
            found->first = row;
        }
    }
    if (row != NULL) {
        old = row->document;
        row->document = document;
        document = NULL;
    }
    (void)pthread_mutex_unlock(&found->mutex);
    yyjson_doc_free(old);
    yyjson_doc_free(document);
    return status;
}

void weir_found_models_each(struct weir_found_models *found, struct weir_span provider,
                            void (*visit)(void *context, struct weir_span name), void *context) {
    size_t index, count;
    yyjson_val *name;
    (void)pthread_mutex_lock(&found->mutex);
    const struct found *row = find(found, provider);
    if (row != NULL) {
        yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(row->document), "models"), index, count, name) {
            if (yyjson_is_str(name))
                visit(context, weir_span_of(yyjson_get_str(name), yyjson_get_len(name)));
        }
    }
    (void)pthread_mutex_unlock(&found->mutex);
}

struct search {
    struct weir_span name;
    bool found;
};

static void compare(void *context, struct weir_span name) {
    struct search *search = context;
    search->found = search->found || weir_span_equal(search->name, name);
}

bool weir_found_models_has(struct weir_found_models *found, struct weir_span provider, struct weir_span name) {
    struct search search = {.name = name};
    weir_found_models_each(found, provider, compare, &search);
    return search.found;
}
