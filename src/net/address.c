/* Socket addresses from and to text. */
#include "net/impl.h"

#include <arpa/inet.h>

bool net__address_parse(const char *host, uint16_t port, struct net_address *address) {
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, host, &address->socket.v4.sin_addr) == 1) {
        address->socket.v4.sin_family = AF_INET;
        address->socket.v4.sin_port = htons(port);
        address->length = sizeof address->socket.v4;
        return true;
    }
    if (inet_pton(AF_INET6, host, &address->socket.v6.sin6_addr) == 1) {
        address->socket.v6.sin6_family = AF_INET6;
        address->socket.v6.sin6_port = htons(port);
        address->length = sizeof address->socket.v6;
        return true;
    }
    return false;
}

void net__address_format(const struct sockaddr *address, char out[NET_ADDRESS_TEXT_SIZE]) {
    struct net_address copy;
    out[0] = '\0';
    if (address->sa_family == AF_INET) {
        memcpy(&copy.socket.v4, address, sizeof copy.socket.v4);
        (void)inet_ntop(AF_INET, &copy.socket.v4.sin_addr, out, NET_ADDRESS_TEXT_SIZE);
    } else if (address->sa_family == AF_INET6) {
        memcpy(&copy.socket.v6, address, sizeof copy.socket.v6);
        const struct in6_addr *v6 = &copy.socket.v6.sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(v6)) {
            (void)inet_ntop(AF_INET, &v6->s6_addr[12], out, NET_ADDRESS_TEXT_SIZE);
        } else {
            (void)inet_ntop(AF_INET6, v6, out, NET_ADDRESS_TEXT_SIZE);
        }
    }
}
