/* links: base json net store */
/* Backups of any bytes, plain or sealed with a known key: read to the end or refused, never more memory than a chunk. The corpus' checksums are right
 * in their heads; here they are also made right, so that what lies behind them is reached. */
#include "base/ids.h"
#include "store/backup.h"

#include <stdlib.h>

enum { HEAD_BYTES = 512 };

/* The head's checksum, and that of the first chunk where it is whole. */
static void mend(char *bytes, size_t size) {
    uint32_t length, crc;
    if (size < HEAD_BYTES)
        return;
    crc = weir_crc32c(0, weir_span_of(bytes, HEAD_BYTES - 4));
    memcpy(bytes + HEAD_BYTES - 4, &crc, sizeof crc);
    if (size < HEAD_BYTES + 8)
        return;
    memcpy(&length, bytes + HEAD_BYTES, sizeof length);
    if (length > size - HEAD_BYTES - 8)
        return;
    crc = weir_crc32c(0, weir_span_of(bytes + HEAD_BYTES + 8, length));
    memcpy(bytes + HEAD_BYTES + 4, &crc, sizeof crc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct weir_span key = {"0123456789abcdef0123456789abcdef", 32};
    struct weir_backup_info info;
    struct weir_error error = {.text = ""};
    enum weir_status status = weir_backup_read(weir_span_of((const char *)data, size), key, &info, &error);
    weir_bug_on(status == WEIR_OK && info.file_bytes != size);
    weir_bug_on(status != WEIR_OK && error.text[0] == '\0');
    char *copy = malloc(size + 1);
    if (copy == NULL)
        return 0;
    memcpy(copy, data, size);
    mend(copy, size);
    status = weir_backup_read(weir_span_of(copy, size), key, &info, &error);
    weir_bug_on(status == WEIR_OK && info.file_bytes != size);
    free(copy);
    return 0;
}
