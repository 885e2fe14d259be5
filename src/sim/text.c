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

static size_t length_of(const struct sim_text *text) {
    size_t length = 0;
    for (size_t i = 0; i < text->count; i++) {
        length += sim__text_token(text, i).length;
    }
    return length;
}

enum weir_status sim__text_join(struct weir_arena *arena, const struct sim_text *before, struct sim_text *text) {
    const struct sim_text *both[] = {before, text};
    size_t count = before->count + text->count;
    char *bytes = weir_arena_alloc_raw(arena, length_of(before) + length_of(text));
    size_t *ends = weir_arena_array(arena, count, sizeof *ends);
    if (bytes == NULL || ends == NULL) {
        return WEIR_ENOMEM;
    }
    size_t at = 0;
    size_t made = 0;
    for (size_t i = 0; i < 2; i++) {
        for (size_t token = 0; token < both[i]->count; token++) {
            struct weir_span piece = sim__text_token(both[i], token);
            memcpy(bytes + at, piece.at, piece.length);
            at += piece.length;
            ends[made++] = at;
        }
    }
    *text = (struct sim_text){.count = count, .bytes = weir_span_of(bytes, at), .ends = ends};
    return WEIR_OK;
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

enum weir_status sim__text_stop(struct weir_arena *arena, const struct weir_span *stops, size_t stop_count,
                                struct sim_text *text, bool *stopped) {
    size_t length = length_of(text);
    char *bytes = weir_arena_alloc_raw(arena, length);
    size_t *ends = weir_arena_array(arena, text->count, sizeof *ends);
    if (bytes == NULL || ends == NULL) {
        return WEIR_ENOMEM;
    }
    size_t at = 0;
    for (size_t i = 0; i < text->count; i++) {
        struct weir_span token = sim__text_token(text, i);
        memcpy(bytes + at, token.at, token.length);
        at += token.length;
        ends[i] = at;
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
