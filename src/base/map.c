/* Open addressing with linear probing in a power of two of slots, at most three quarters full. Removal shifts the
 * following slots back, so that there are no graves to sweep and a look-up ends at the first empty slot. Whole
 * hashes are kept: growing hashes nothing anew and most unequal keys are told apart without reading them. */
#include "base/map.h"

#include "base/arithmetic.h"
#include "base/ids.h"

#include <stdlib.h>

struct slot {
    uint64_t hash; /* 0: empty */
    struct weir_span key;
    void *value;
};

struct weir_map {
    struct slot *slots;
    size_t mask; /* number of slots - 1 */
    size_t count;
    unsigned char seed[16];
};

enum { FIRST_SLOTS = 8 };

/* --- SipHash-1-3 --- */

struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate_left(uint64_t value, unsigned bits) {
    return (value << bits) | (value >> (64 - bits));
}

static void sip_round(struct sip *sip) {
    sip->v0 += sip->v1;
    sip->v1 = rotate_left(sip->v1, 13) ^ sip->v0;
    sip->v0 = rotate_left(sip->v0, 32);
    sip->v2 += sip->v3;
    sip->v3 = rotate_left(sip->v3, 16) ^ sip->v2;
    sip->v0 += sip->v3;
    sip->v3 = rotate_left(sip->v3, 21) ^ sip->v0;
    sip->v2 += sip->v1;
    sip->v1 = rotate_left(sip->v1, 17) ^ sip->v2;
    sip->v2 = rotate_left(sip->v2, 32);
}

/* Little-endian on every machine; compilers make one load of it. */
static uint64_t load_64(const unsigned char *at) {
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++) {
        value |= (uint64_t)at[i] << (8 * i);
    }
    return value;
}

uint64_t weir_siphash(const unsigned char key[16], struct weir_span span) {
    uint64_t k0 = load_64(key);
    uint64_t k1 = load_64(key + 8);
    struct sip sip = {
        .v0 = k0 ^ UINT64_C(0x736f6d6570736575),
        .v1 = k1 ^ UINT64_C(0x646f72616e646f6d),
        .v2 = k0 ^ UINT64_C(0x6c7967656e657261),
        .v3 = k1 ^ UINT64_C(0x7465646279746573),
    };
    const unsigned char *at = (const unsigned char *)span.at;
    size_t left = span.length;
    for (; left >= 8; left -= 8, at += 8) {
        uint64_t word = load_64(at);
        sip.v3 ^= word;
        sip_round(&sip);
        sip.v0 ^= word;
    }
    uint64_t last = (uint64_t)span.length << 56;
    for (size_t i = 0; i < left; i++) {
        last |= (uint64_t)at[i] << (8 * i);
    }
    sip.v3 ^= last;
    sip_round(&sip);
    sip.v0 ^= last;
    sip.v2 ^= 0xff;
    sip_round(&sip);
    sip_round(&sip);
    sip_round(&sip);
    return sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
}

/* --- the table --- */

static uint64_t hash_of(const struct weir_map *map, struct weir_span key) {
    uint64_t hash = weir_siphash(map->seed, key);
    return hash != 0 ? hash : 1;
}

/* Slots that hold `entries` at three quarters, or 0 where that many cannot be. */
static size_t slots_for(size_t entries) {
    size_t slots = FIRST_SLOTS;
    while (slots / 4 * 3 < entries) {
        if (!weir_multiply_size(slots, 2, &slots)) {
            return 0;
        }
    }
    return slots;
}

struct weir_map *weir_map_new(size_t expected) {
    size_t slots = slots_for(expected);
    struct weir_map *map = slots != 0 ? calloc(1, sizeof(*map)) : NULL;
    if (map == NULL) {
        return NULL;
    }
    map->slots = calloc(slots, sizeof(*map->slots));
    if (map->slots == NULL) {
        free(map);
        return NULL;
    }
    map->mask = slots - 1;
    struct weir_random random = {.left = 0};
    weir_random_fill(&random, map->seed, sizeof(map->seed));
    return map;
}

void weir_map_free(struct weir_map **map) {
    if (*map == NULL) {
        return;
    }
    free((*map)->slots);
    free(*map);
    *map = NULL;
}

/* The slot that holds `key`, or the empty one where it would go. */
static struct slot *slot_of(const struct weir_map *map, uint64_t hash, struct weir_span key) {
    size_t index = (size_t)hash & map->mask;
    for (;;) {
        struct slot *slot = &map->slots[index];
        if (slot->hash == 0 || (slot->hash == hash && weir_span_equal(slot->key, key))) {
            return slot;
        }
        index = (index + 1) & map->mask;
    }
}

static bool grow(struct weir_map *map) {
    size_t slots = 0;
    struct slot *grown = NULL;
    if (weir_multiply_size(map->mask + 1, 2, &slots)) {
        grown = calloc(slots, sizeof(*grown));
    }
    if (grown == NULL) {
        return false;
    }
    for (size_t i = 0; i <= map->mask; i++) {
        const struct slot *slot = &map->slots[i];
        if (slot->hash == 0) {
            continue;
        }
        size_t index = (size_t)slot->hash & (slots - 1);
        while (grown[index].hash != 0) {
            index = (index + 1) & (slots - 1);
        }
        grown[index] = *slot;
    }
    free(map->slots);
    map->slots = grown;
    map->mask = slots - 1;
    return true;
}

enum weir_status weir_map_put(struct weir_map *map, struct weir_span key, void *value, void **old) {
    uint64_t hash = hash_of(map, key);
    struct slot *slot = slot_of(map, hash, key);
    void *replaced = slot->hash != 0 ? slot->value : NULL;
    if (slot->hash == 0) {
        if (map->count + 1 > (map->mask + 1) / 4 * 3) {
            if (!grow(map)) {
                return WEIR_ENOMEM;
            }
            slot = slot_of(map, hash, key);
        }
        map->count++;
    }
    /* The key too: the old value's owner may take the old key's bytes along. */
    *slot = (struct slot){.hash = hash, .key = key, .value = value};
    if (old != NULL) {
        *old = replaced;
    }
    return WEIR_OK;
}

void *weir_map_find(const struct weir_map *map, struct weir_span key) {
    const struct slot *slot = slot_of(map, hash_of(map, key), key);
    return slot->hash != 0 ? slot->value : NULL;
}

void *weir_map_remove(struct weir_map *map, struct weir_span key) {
    struct slot *slot = slot_of(map, hash_of(map, key), key);
    if (slot->hash == 0) {
        return NULL;
    }
    void *value = slot->value;
    size_t hole = (size_t)(slot - map->slots);
    for (size_t index = (hole + 1) & map->mask; map->slots[index].hash != 0; index = (index + 1) & map->mask) {
        size_t home = (size_t)map->slots[index].hash & map->mask;
        /* It may move back unless its home lies behind the hole. */
        if (((index - home) & map->mask) >= ((index - hole) & map->mask)) {
            map->slots[hole] = map->slots[index];
            hole = index;
        }
    }
    map->slots[hole] = (struct slot){.hash = 0};
    map->count--;
    return value;
}

size_t weir_map_count(const struct weir_map *map) {
    return map->count;
}

bool weir_map_next(const struct weir_map *map, size_t *cursor, struct weir_span *key, void **value) {
    for (; *cursor <= map->mask; (*cursor)++) {
        const struct slot *slot = &map->slots[*cursor];
        if (slot->hash != 0) {
            *key = slot->key;
            *value = slot->value;
            (*cursor)++;
            return true;
        }
    }
    return false;
}
