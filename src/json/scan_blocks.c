/* Strings in blocks of 64 bytes.
 *
 * Program text, quotations and most languages but English hold an escape or a character outside ASCII every few bytes.
 * Looked at singly, each costs a branch that the processor cannot foresee, and a request of a megabyte spends more time
 * there than in all the rest. So the properties of a block are reckoned for all of its bytes at once: UTF-8 by what each
 * byte and the three before it are, escapes from the set of the backslashes. What is found wanting is not judged here: the
 * byte-by-byte scanner looks at the block again and says what is wrong and where.
 */
#include "json/impl.h"

#if defined(__SSE2__)

enum { PARTS = 4, BLOCK_BYTES = 16 * PARTS, FEW_BYTES = 6 };

static inline __m128i load(const char *at) {
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

static inline __m128i all(unsigned char byte) {
    return _mm_set1_epi8((char)byte);
}

/* The top bit of each byte that is not below `least`, which is above 0x7F. */
static inline __m128i at_least(__m128i bytes, unsigned char least) {
    return _mm_subs_epu8(bytes, all((unsigned char)(least - 0x80U)));
}

/* As signed bytes: those above 0x7F are negative, in their order, and below all of ASCII. */
static inline __m128i below(__m128i bytes, unsigned char byte) {
    return _mm_cmplt_epi8(bytes, all(byte));
}

/* The top bit of each byte that cannot stand behind the three before it in well-formed UTF-8. */
static inline __m128i bad_utf8(const char *at) {
    const __m128i bytes = load(at), before = load(at - 1);
    __m128i expected = _mm_or_si128(at_least(before, 0xC0), at_least(load(at - 2), 0xE0));
    expected = _mm_or_si128(expected, at_least(load(at - 3), 0xF0));
    __m128i bad = _mm_xor_si128(expected, below(bytes, 0xC0)); /* where a continuation byte is to be, and only there */
    bad = _mm_or_si128(bad, at_least(bytes, 0xF5));
    /* Overlong forms, surrogates, and what lies above U+10FFFF show in the first or second byte. */
    const __m128i below_a0 = below(bytes, 0xA0), below_90 = below(bytes, 0x90);
    bad = _mm_or_si128(bad, _mm_cmpeq_epi8(_mm_and_si128(bytes, all(0xFE)), all(0xC0)));
    bad = _mm_or_si128(bad, _mm_and_si128(_mm_cmpeq_epi8(before, all(0xE0)), below_a0));
    bad = _mm_or_si128(bad, _mm_andnot_si128(below_a0, _mm_cmpeq_epi8(before, all(0xED))));
    bad = _mm_or_si128(bad, _mm_and_si128(_mm_cmpeq_epi8(before, all(0xF0)), below_90));
    return _mm_or_si128(bad, _mm_andnot_si128(below_90, _mm_cmpeq_epi8(before, all(0xF4))));
}

/* The last character before `at` may not be whole: where it begins, if it is of several bytes. */
static inline const char *back_to_lead(const char *at) {
    for (int back = 1; back <= 3; back++) {
        unsigned char byte = (unsigned char)at[-back];
        if (byte >= 0xC0)
            return at - back;
        if (byte < 0x80)
            break;
    }
    return at;
}

/* Whether the block is well-formed UTF-8. *length shrinks to leave the last character to the next block, which may be cut. */
static inline bool is_utf8(const char *at, size_t *length) {
    __m128i bad = _mm_setzero_si128();
    for (size_t i = 0; i < PARTS; i++)
        bad = _mm_or_si128(bad, bad_utf8(at + 16 * i));
    *length = (size_t)(back_to_lead(at + BLOCK_BYTES) - at);
    return _mm_movemask_epi8(bad) == 0;
}

/* Without an instruction for it, which not every processor has, to count them all would cost more. */
static inline bool are_few(uint64_t set) {
    for (int i = 0; i < FEW_BYTES; i++)
        set &= set - 1; /* takes the lowest out, and leaves the empty set as it is */
    return set == 0;
}

/* The same for few bytes outside ASCII, whose set is given. *length grows by the part of a character that is beyond the
 * block. */
static inline bool are_few_utf8(const char *at, const char *end, uint64_t outside_ascii, size_t *length) {
    while (outside_ascii != 0) {
        unsigned i = (unsigned)__builtin_ctzll(outside_ascii);
        size_t bytes = json__utf8_length(at + i, end);
        if (bytes == 0)
            return false;
        if (i + bytes >= BLOCK_BYTES) {
            *length = i + bytes;
            return true;
        }
        outside_ascii &= UINT64_MAX << (i + bytes);
    }
    return true;
}

/* One bit for each byte of the block that is outside ASCII. */
static inline uint64_t tops_of(const char *at) {
    uint64_t places = 0;
    for (size_t i = 0; i < PARTS; i++)
        places |= (uint64_t)(unsigned)_mm_movemask_epi8(load(at + 16 * i)) << (16 * i);
    return places;
}

/* One bit for each byte of the block that is `byte`. */
static inline uint64_t places_of(const char *at, char byte) {
    uint64_t places = 0;
    for (size_t i = 0; i < PARTS; i++) {
        const __m128i same = _mm_cmpeq_epi8(load(at + 16 * i), _mm_set1_epi8(byte));
        places |= (uint64_t)(unsigned)_mm_movemask_epi8(same) << (16 * i);
    }
    return places;
}

/* Takes the quotes that are escaped out of the set; false where an escape is wrong. *length shrinks to leave out an escape
 * that the block cuts. */
static inline bool take_escapes(const char *at, const char *end, uint64_t backslashes, uint64_t *quotes,
                                size_t *length) {
    while (backslashes != 0) {
        unsigned i = (unsigned)__builtin_ctzll(backslashes);
        if (i == BLOCK_BYTES - 1) {
            *length = i;
            return true;
        }
        if (at[i + 1] != 'n' && json__escape_length(at + i, end) == 0)
            return false;
        uint64_t both = (uint64_t)3 << i;
        backslashes &= ~both;
        *quotes &= ~both;
    }
    return true;
}

static inline bool has_control(const char *at) {
    __m128i control = _mm_setzero_si128();
    for (size_t i = 0; i < PARTS; i++) {
        const __m128i bytes = load(at + 16 * i);
        control = _mm_or_si128(control, _mm_cmpeq_epi8(_mm_min_epu8(bytes, all(0x1F)), bytes));
    }
    return _mm_movemask_epi8(control) != 0;
}

const char *json__skip_blocks(const char *at, const char *end, bool *escaped) {
    while (end - at >= BLOCK_BYTES) {
        size_t length = BLOCK_BYTES;
        uint64_t outside_ascii = tops_of(at);
        if (outside_ascii != 0) {
            if (are_few(outside_ascii) ? !are_few_utf8(at, end, outside_ascii, &length) : !is_utf8(at, &length))
                break;
        }
        uint64_t quotes = places_of(at, '"'), backslashes = places_of(at, '\\');
        if (backslashes != 0 && !take_escapes(at, end, backslashes, &quotes, &length))
            break;
        if (quotes != 0 || has_control(at))
            break;
        *escaped = *escaped || backslashes != 0;
        at += length;
    }
    return at;
}

#else

const char *json__skip_blocks(const char *at, const char *end, bool *escaped) {
    (void)end;
    (void)escaped;
    return at;
}

#endif
