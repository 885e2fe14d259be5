/* Reading one entry of the price map: its prices, its mode, the call that it is for.
 *
 * Where the map has both a price per token and one per picture or second, the second is its estimate of the first, and
 * charging both would charge twice: the tokens are taken. What cannot be used says why, in words for the report.
 */
#include "meter/import.h"

/* One USD per token is 10^9 milli-CU per token, 10^15 per million tokens. */
enum { USD_PER_TOKEN_SCALE = 15 };

static const struct {
    const char *theirs;
    const char *ours;
} price_names[METER__PRICE_KINDS] = {
    [METER__PRICE_INPUT] = {"input_cost_per_token", "input"},
    [METER__PRICE_CACHED] = {"cache_read_input_token_cost", "cached"},
    [METER__PRICE_CACHE_WRITE] = {"cache_creation_input_token_cost", "cache_write"},
    [METER__PRICE_CACHE_WRITE_LONG] = {"cache_creation_input_token_cost_above_1hr", "cache_write_long"},
    [METER__PRICE_INPUT_AUDIO] = {"input_cost_per_audio_token", "input_audio"},
    [METER__PRICE_INPUT_IMAGE] = {"input_cost_per_image_token", "input_image"},
    [METER__PRICE_OUTPUT] = {"output_cost_per_token", "output"},
    [METER__PRICE_REASONING] = {"output_cost_per_reasoning_token", "reasoning"},
    [METER__PRICE_OUTPUT_AUDIO] = {"output_cost_per_audio_token", "output_audio"},
    [METER__PRICE_OUTPUT_IMAGE] = {"output_cost_per_image_token", "output_image"},
};

static const struct {
    const char *theirs;
    const char *ours;
} unit_names[METER__UNIT_KINDS] = {
    [METER__UNIT_IMAGE_IN] = {"input_cost_per_image", "image"},
    [METER__UNIT_IMAGE_OUT] = {"output_cost_per_image", "image"},
    [METER__UNIT_CHARACTER_IN] = {"input_cost_per_character", "character"},
    [METER__UNIT_CHARACTER_OUT] = {"output_cost_per_character", "character"},
    [METER__UNIT_SECOND_IN] = {"input_cost_per_second", "second"},
    [METER__UNIT_SECOND_OUT] = {"output_cost_per_second", "second"},
    [METER__UNIT_QUERY_IN] = {"input_cost_per_query", "search"},
};

static const struct meter__mode modes[] = {
    {.name = "chat"},
    {.name = "completion"},
    {.name = "responses"},
    {.name = "embedding", .may_lack_output = true},
    {.name = "moderation", .may_lack_output = true},
    {.name = "rerank", .may_lack_output = true, .unit_count = 1, .units = {METER__UNIT_QUERY_IN}},
    {.name = "image_generation",
     .has_variants = true,
     .unit_count = 2,
     .units = {METER__UNIT_IMAGE_OUT, METER__UNIT_IMAGE_IN}},
    {.name = "image_edit",
     .has_variants = true,
     .unit_count = 2,
     .units = {METER__UNIT_IMAGE_OUT, METER__UNIT_IMAGE_IN}},
    {.name = "audio_transcription", .unit_count = 2, .units = {METER__UNIT_SECOND_IN, METER__UNIT_SECOND_OUT}},
    {.name = "audio_speech",
     .unit_count = 4,
     .units = {METER__UNIT_CHARACTER_IN, METER__UNIT_CHARACTER_OUT, METER__UNIT_SECOND_OUT, METER__UNIT_SECOND_IN}},
};

const char *meter__price_name(enum meter__price_kind kind) {
    return price_names[kind].ours;
}

const char *meter__unit_name(enum meter__unit_kind kind) {
    return unit_names[kind].ours;
}

/* The tier from that many input tokens on, made where there is none yet; NULL when there are too many. They stay in
 * order. */
static struct meter__tier *tier_above(struct meter__entry *entry, int64_t above) {
    size_t place = 0;
    while (place < entry->tier_count && entry->tiers[place].above < above)
        place++;
    if (place < entry->tier_count && entry->tiers[place].above == above)
        return &entry->tiers[place];
    if (entry->tier_count == WEIR_PRICE_MAX_TIERS)
        return NULL;
    memmove(&entry->tiers[place + 1], &entry->tiers[place], (entry->tier_count - place) * sizeof(struct meter__tier));
    entry->tier_count++;
    struct meter__tier *tier = &entry->tiers[place];
    *tier = (struct meter__tier){.above = above};
    for (size_t kind = 0; kind < METER__PRICE_KINDS; kind++)
        tier->prices[kind] = -1;
    return tier;
}

/* "_above_200k_tokens" after a price's name gives 200000; nothing gives 0; anything else is another kind of price. */
static bool read_threshold(struct weir_span ending, int64_t *above) {
    const struct weir_span before = WEIR_SPAN("_above_");
    const struct weir_span after = WEIR_SPAN("k_tokens");
    *above = 0;
    if (ending.length == 0)
        return true;
    if (ending.length <= before.length + after.length || !weir_span_starts_with(ending, before) ||
        !weir_span_ends_with(ending, after))
        return false;
    struct weir_span digits = weir_span_of(ending.at + before.length, ending.length - before.length - after.length);
    uint64_t thousands;
    if (weir_span_to_uint64(digits, &thousands) != WEIR_OK || thousands == 0 || thousands > 1000000000)
        return false;
    *above = (int64_t)thousands * 1000;
    return true;
}

/* Sets the entry's `why` where it cannot be used. `rounded_from` gets the map's text where the price had to be rounded. */
static void read_amount(struct meter__entry *entry, const struct weir_json_found *value, int64_t *price,
                        struct weir_span *rounded_from) {
    int64_t amount = -1;
    bool rounded = false;
    if (*price >= 0) {
        entry->why = "a price stands twice";
    } else if (value->kind != WEIR_JSON_NUMBER ||
               weir_json_scaled_int64(value->value, USD_PER_TOKEN_SCALE, &amount, &rounded) != WEIR_OK || amount < 0) {
        entry->why = "a price is no number, below 0, or too large";
    } else {
        *price = amount;
        *rounded_from = rounded ? value->value : weir_span_of("", 0);
    }
}

static void read_price(struct meter__entry *entry, struct weir_span name, const struct weir_json_found *value) {
    for (size_t kind = 0; kind < METER__UNIT_KINDS; kind++) {
        if (!weir_span_equal(name, weir_span_of_string(unit_names[kind].theirs)))
            continue;
        if (value->kind != WEIR_JSON_NULL)
            read_amount(entry, value, &entry->units[kind], &entry->unit_rounded_from[kind]);
        return;
    }
    for (size_t kind = 0; kind < METER__PRICE_KINDS; kind++) {
        struct weir_span theirs = weir_span_of_string(price_names[kind].theirs);
        int64_t above;
        if (!weir_span_starts_with(name, theirs) || !read_threshold(weir_span_from(name, theirs.length), &above))
            continue;
        if (value->kind == WEIR_JSON_NULL)
            return;
        struct meter__tier *tier = tier_above(entry, above);
        if (tier == NULL)
            entry->why = "it has more than three further tiers";
        else
            read_amount(entry, value, &tier->prices[kind], &tier->rounded_from[kind]);
        return;
    }
}

/* Token counts are a help, not money: an odd one counts as unknown. */
static int64_t read_count(const struct weir_json_found *value) {
    int64_t count;
    if (value->kind != WEIR_JSON_NUMBER || weir_json_int64(value->value, &count) != WEIR_OK || count < 0)
        return 0;
    return count;
}

static void read_text(struct meter__entry *entry, const struct weir_json_found *value, char *out, size_t most,
                      size_t *length) {
    size_t used;
    if (value->kind == WEIR_JSON_NULL)
        return;
    if (value->kind != WEIR_JSON_STRING || weir_json_decode(value->value, out, most, &used) != WEIR_OK ||
        (used > 0 && !meter__is_name(weir_span_of(out, used), most)))
        entry->why = "its provider or source is no text, too long, or holds control bytes";
    else
        *length = used;
}

static void read_mode(struct meter__entry *entry, const struct weir_json_found *value) {
    entry->has_mode = true;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (weir_json_string_equals(value->value, weir_span_of_string(modes[i].name)))
            entry->mode = &modes[i];
}

static void read_member(struct meter__entry *entry, struct weir_span name, const struct weir_json_found *value) {
    if (weir_span_equal(name, WEIR_SPAN("litellm_provider")))
        read_text(entry, value, entry->provider, sizeof(entry->provider), &entry->provider_length);
    else if (weir_span_equal(name, WEIR_SPAN("source")))
        read_text(entry, value, entry->source, sizeof(entry->source), &entry->source_length);
    else if (weir_span_equal(name, WEIR_SPAN("mode")))
        read_mode(entry, value);
    else if (weir_span_equal(name, WEIR_SPAN("max_input_tokens")))
        entry->max_input = read_count(value);
    else if (weir_span_equal(name, WEIR_SPAN("max_output_tokens")))
        entry->max_output = read_count(value);
    else if (weir_span_equal(name, WEIR_SPAN("max_tokens")))
        entry->max_tokens = read_count(value);
    else
        read_price(entry, name, value);
}

bool meter__entry_is_charged_by_the_token(const struct meter__entry *entry) {
    for (size_t kind = 0; kind < METER__PRICE_KINDS; kind++)
        if (entry->tiers[0].prices[kind] > 0)
            return true;
    return false;
}

/* The price by the unit that counts, if any does. */
static void choose_unit(struct meter__entry *entry) {
    for (size_t i = 0; entry->mode != NULL && i < entry->mode->unit_count; i++) {
        int kind = (int)entry->mode->units[i];
        if (entry->units[kind] >= 0 && (entry->unit < 0 || entry->units[entry->unit] == 0))
            entry->unit = kind;
    }
    if (entry->unit >= 0 && meter__entry_is_charged_by_the_token(entry))
        entry->unit = -1;
}

/* An output of which only one modality has a price is of that modality, also where the answer does not say so. */
static void complete_output(struct meter__entry *entry) {
    int64_t *prices = entry->tiers[0].prices;
    if (prices[METER__PRICE_OUTPUT] >= 0)
        return;
    if (prices[METER__PRICE_OUTPUT_AUDIO] >= 0 && prices[METER__PRICE_OUTPUT_IMAGE] < 0)
        prices[METER__PRICE_OUTPUT] = prices[METER__PRICE_OUTPUT_AUDIO];
    else if (prices[METER__PRICE_OUTPUT_IMAGE] >= 0 && prices[METER__PRICE_OUTPUT_AUDIO] < 0)
        prices[METER__PRICE_OUTPUT] = prices[METER__PRICE_OUTPUT_IMAGE];
    else if (prices[METER__PRICE_INPUT] >= 0 && entry->mode != NULL && entry->mode->may_lack_output)
        prices[METER__PRICE_OUTPUT] = 0;
}

/* A tier's missing price is that of the row; but a price that the row lacks too follows the tier's input or output. */
static void complete(struct meter__entry *entry) {
    struct meter__tier *base = &entry->tiers[0];
    if (entry->why != NULL)
        return;
    complete_output(entry);
    choose_unit(entry);
    if (entry->has_mode && entry->mode == NULL)
        entry->why = "its mode is none that is known here";
    else if (entry->unit < 0 && (base->prices[METER__PRICE_INPUT] < 0 || base->prices[METER__PRICE_OUTPUT] < 0))
        entry->why = "it has no price per token for both input and output, and none by a unit that its mode is "
                     "charged by";
    for (size_t i = 1; i < entry->tier_count; i++)
        for (size_t kind = 0; kind < METER__PRICE_KINDS; kind++)
            if (entry->tiers[i].prices[kind] < 0)
                entry->tiers[i].prices[kind] = base->prices[kind];
    /* The map writes 0 where nothing is added for writing to a cache; the tokens themselves still cost as input. */
    for (size_t i = 0; i < entry->tier_count; i++)
        for (size_t kind = METER__PRICE_CACHE_WRITE; kind <= METER__PRICE_CACHE_WRITE_LONG; kind++)
            if (entry->tiers[i].prices[kind] == 0)
                entry->tiers[i].prices[kind] = -1;
    if (entry->unit >= 0)
        entry->tier_count = 1; /* all its prices per token are 0 */
}

void meter__entry_read(struct weir_span key, const struct weir_json_found *value, struct meter__entry *entry) {
    *entry = (struct meter__entry){.why = NULL, .unit = -1};
    for (size_t kind = 0; kind < METER__UNIT_KINDS; kind++)
        entry->units[kind] = -1;
    (void)tier_above(entry, 0);
    if (weir_json_decode(key, entry->key, sizeof(entry->key) - 1, &entry->key_length) != WEIR_OK ||
        !meter__is_name(weir_span_of(entry->key, entry->key_length), METER_MAX_NAME_BYTES)) {
        entry->why = "its name is empty, too long, or holds control bytes";
        entry->key_length = 0;
        return;
    }
    if (value->kind != WEIR_JSON_OBJECT) {
        entry->why = "it is no object";
        return;
    }
    size_t cursor = 0;
    struct weir_span name;
    struct weir_json_found member;
    while (entry->why == NULL && weir_json_next(value->value, &cursor, &name, &member) == WEIR_OK) {
        struct weir_span plain;
        if (weir_json_plain_string(name, &plain))
            read_member(entry, plain, &member);
    }
    complete(entry);
}

/* The end of "1024-x-1792/…" and its size as "1024x1792"; 0: it does not begin so. */
enum { MAX_SIZE_BYTES = 24 };
static size_t read_size(struct weir_span text, char size[MAX_SIZE_BYTES], size_t *size_length) {
    size_t at = 0, used = 0, digits = 0;
    for (int side = 0; side < 2; side++) {
        for (digits = 0; at < text.length && text.at[at] >= '0' && text.at[at] <= '9' && digits < 8; digits++)
            size[used++] = text.at[at++];
        if (digits == 0)
            return 0;
        if (side == 0) {
            if (!weir_span_starts_with(weir_span_from(text, at), WEIR_SPAN("-x-")))
                return 0;
            size[used++] = 'x';
            at += 3;
        }
    }
    *size_length = used;
    return at + 1 < text.length && text.at[at] == '/' ? at + 1 : 0;
}

bool meter__entry_split(struct meter__entry *entry, struct weir_span *model, struct weir_span *variant) {
    char size[MAX_SIZE_BYTES];
    size_t size_length = 0, quality_length = 0;
    *variant = weir_span_of("", 0);
    if (entry->mode == NULL || !entry->mode->has_variants)
        return true;
    struct weir_span rest = *model;
    size_t end = read_size(rest, size, &size_length);
    if (end == 0) {
        quality_length = weir_span_index(rest, '/');
        if (quality_length == 0 || quality_length == rest.length)
            return true;
        rest = weir_span_from(rest, quality_length + 1);
        end = read_size(rest, size, &size_length);
        if (end == 0)
            return true;
    }
    rest = weir_span_from(rest, end);
    struct weir_span next = weir_span_first(rest, weir_span_index(rest, '/'));
    if (weir_span_ends_with(next, WEIR_SPAN("-steps"))) {
        entry->why = "it is for a number of steps, which no call here tells";
        return false;
    }
    char *at = entry->variant;
    if (quality_length > 0) {
        memcpy(at, model->at, quality_length);
        at += quality_length;
        *at++ = '/';
    }
    memcpy(at, size, size_length);
    *variant = weir_span_of(entry->variant, (size_t)(at - entry->variant) + size_length);
    *model = rest;
    return true;
}
