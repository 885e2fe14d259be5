/* See text.h. The words need no escaping in JSON, which the builders of answers rely on. */
#include "sim/text.h"

#include "base/map.h"
#include "json/write.h"

/* With their leading space: a token of a running text. The first token of an answer is the same without it. */
static const char *const words[] = {
    " the",   " water",   " runs",    " over",  " a",       " low",   " dam",    " and",    " every",   " drop",
    " is",    " counted", " before",  " it",    " moves",   " on",    " river",  " stone",  " gate",    " opens",
    " slow",  " quick",   " light",   " falls", " between", " banks", " where",  " people", " wait",    " for",
    " boats", " to",      " pass",    " below", " morning", " wind",  " bends",  " tall",   " grass",   " near",
    " an",    " old",     " mill",    " wheel", " turns",   " with",  " steady", " sound",  " while",   " clouds",
    " drift", " toward",  " far",     " hills", " rain",    " fills", " each",   " pool",   " until",   " evening",
    " comes", " back",    " along",   " same",  " path",    " as",    " two",    " herons", " stand",   " still",
    " under", " bridge",  " made",    " of",    " oak",     " iron",  " some",   " leaves", " float",   " past",
    " like",  " small",   " letters", " sent",  " without", " names", " by",     " hand",   " measure", " twice",
    " then",  " write",   " down",    " what",  " was",     " seen",  " at",     " noon",   " when",    " level",
    " rose",  " one",     " inch",    " more",  " than",    " we",    " had",    " hoped",  " in",      " spring",
    " fish",  " climb",   " steps",   " cut",   " into",    " side",  " clear",  " cold",   " bright",  " deep",
    " long",  " years",   " after",   " first", " keeper",  " left",  " his",    " lamp",
};
enum { WORD_COUNT = sizeof words / sizeof words[0] };
_Static_assert(WORD_COUNT == 128, "a word is drawn by seven bits");

enum { PIECE_BYTES = 4 };

uint64_t sim__mix(uint64_t value) {
    value += 0x9e3779b97f4a7c15U;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
    return value ^ (value >> 31);
}

uint64_t sim__hash(uint64_t hash, struct weir_span bytes) {
    /* A fixed key: the same request must give the same answer tomorrow. */
    static const unsigned char key[16] = "weir sim, a text";
    return sim__mix(hash ^ weir_siphash(key, bytes));
}

struct sim_text sim__text_words(uint64_t seed, size_t count) {
    return (struct sim_text){.seed = seed, .count = count};
}

enum weir_status sim__text_pieces(struct weir_arena *arena, struct weir_span bytes, struct sim_text *text) {
    size_t *ends = weir_arena_array(arena, bytes.length / PIECE_BYTES + 1, sizeof *ends);
    if (ends == NULL) {
        return WEIR_ENOMEM;
    }
    size_t count = 0;
    for (size_t at = 0; at < bytes.length;) {
        size_t end = at + PIECE_BYTES < bytes.length ? at + PIECE_BYTES : bytes.length;
        while (end < bytes.length && ((unsigned char)bytes.at[end] & 0xc0U) == 0x80U) {
            end++; /* within a character of several bytes */
        }
        ends[count++] = end;
        at = end;
    }
    *text = (struct sim_text){.count = count, .bytes = bytes, .ends = ends};
    return WEIR_OK;
}

enum weir_status sim__text_filler(struct weir_arena *arena, size_t bytes, struct sim_text *text) {
    char *filler = weir_arena_alloc_raw(arena, bytes);
    size_t *ends = weir_arena_array(arena, 1, sizeof *ends);
    if (filler == NULL || ends == NULL) {
        return WEIR_ENOMEM;
    }
    memset(filler, 'a', bytes);
    ends[0] = bytes;
    *text = (struct sim_text){.count = 1, .bytes = weir_span_of(filler, bytes), .ends = ends};
    return WEIR_OK;
}

struct weir_span sim__text_token(const struct sim_text *text, size_t index) {
    weir_bug_on(index >= text->count);
    if (text->ends != NULL) {
        size_t from = index == 0 ? 0 : text->ends[index - 1];
        return weir_span_of(text->bytes.at + from, text->ends[index] - from);
    }
    const char *word = words[sim__mix(text->seed + index) % WORD_COUNT];
    return weir_span_of_string(index == 0 ? word + 1 : word);
}

void sim__text_write_token(const struct sim_text *text, size_t index, struct weir_buffer *out) {
    struct weir_span token = sim__text_token(text, index);
    if (text->ends != NULL) {
        weir_json_append_string(out, token);
        return;
    }
    weir_buffer_append_byte(out, '"');
    weir_buffer_append(out, token);
    weir_buffer_append_byte(out, '"');
}

void sim__text_write(const struct sim_text *text, struct weir_buffer *out) {
    if (text->ends != NULL) {
        size_t length = text->count == 0 ? 0 : text->ends[text->count - 1];
        weir_json_append_string(out, weir_span_of(text->bytes.at, length));
        return;
    }
    weir_buffer_append_byte(out, '"');
    for (size_t i = 0; i < text->count; i++) {
        weir_buffer_append(out, sim__text_token(text, i));
    }
    weir_buffer_append_byte(out, '"');
}

/* Where the first of the stop sequences begins, or the text's length. */
static size_t find_stop(struct weir_span text, const struct weir_span *stops, size_t stop_count) {
    size_t first = text.length;
    for (size_t i = 0; i < stop_count; i++) {
        if (stops[i].length == 0) {
            continue;
        }
        const char *at = memmem(text.at, first, stops[i].at, stops[i].length);
        if (at != NULL) {
            first = (size_t)(at - text.at);
        }
    }
    return first;
}

/* All tokens as bytes with the places where they end: those of `before`, which may be NULL, and those of `text`. */
static enum weir_status write_down(struct weir_arena *arena, const struct sim_text *before, const struct sim_text *text,
                                   char **bytes, size_t **ends, size_t *length) {
    const struct sim_text *texts[] = {before, text};
    size_t all = 0;
    size_t count = 0;
    for (size_t which = 0; which < 2; which++) {
        for (size_t i = 0; texts[which] != NULL && i < texts[which]->count; i++, count++) {
            all += sim__text_token(texts[which], i).length;
        }
    }
    *bytes = weir_arena_alloc_raw(arena, all);
    *ends = weir_arena_array(arena, count, sizeof **ends);
    if (*bytes == NULL || *ends == NULL) {
        return WEIR_ENOMEM;
    }
    *length = 0;
    count = 0;
    for (size_t which = 0; which < 2; which++) {
        for (size_t i = 0; texts[which] != NULL && i < texts[which]->count; i++) {
            struct weir_span token = sim__text_token(texts[which], i);
            memcpy(*bytes + *length, token.at, token.length);
            *length += token.length;
            (*ends)[count++] = *length;
        }
    }
    return WEIR_OK;
}

enum weir_status sim__text_after(struct weir_arena *arena, struct weir_span before, struct sim_text *text) {
    struct sim_text first;
    char *bytes = NULL;
    size_t *ends = NULL;
    size_t length = 0;
    if (weir_span_is_empty(before)) {
        return WEIR_OK;
    }
    if (sim__text_pieces(arena, before, &first) != WEIR_OK ||
        write_down(arena, &first, text, &bytes, &ends, &length) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    *text = (struct sim_text){.count = first.count + text->count, .bytes = weir_span_of(bytes, length), .ends = ends};
    return WEIR_OK;
}

enum weir_status sim__text_stop(struct weir_arena *arena, const struct weir_span *stops, size_t stop_count,
                                struct sim_text *text, bool *stopped) {
    char *bytes = NULL;
    size_t *ends = NULL;
    size_t length = 0;
    if (write_down(arena, NULL, text, &bytes, &ends, &length) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    size_t cut = find_stop(weir_span_of(bytes, length), stops, stop_count);
    *stopped = cut < length;
    size_t count = 0;
    while (count < text->count && ends[count] < cut) {
        count++;
    }
    if (cut > 0 && count < text->count) {
        ends[count++] = cut; /* the token that the stop sequence begins in, as far as it goes */
    }
    *text = (struct sim_text){.count = count, .bytes = weir_span_of(bytes, cut), .ends = ends};
    return WEIR_OK;
}
