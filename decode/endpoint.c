/* endpoint.c - addresses to text and back. */
#include "decode/endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool endpoint_is_ipv4(const struct endpoint *endpoint) {
    return memcmp(endpoint->ip, v4_prefix, sizeof v4_prefix) == 0;
}

bool endpoint_parse(struct bytes text, uint16_t port, struct endpoint *ret_endpoint) {
    char literal[INET6_ADDRSTRLEN];
    size_t len = text.len ? strnlen((const char *)text.data, text.len) : 0;
    if (len == 0 || len >= sizeof literal)
        return false;
    memcpy(literal, text.data, len);
    literal[len] = '\0';
    struct endpoint parsed = {.port = port};
    uint8_t v4[4];
    if (inet_pton(AF_INET, literal, v4) == 1)
        endpoint_set_ipv4(&parsed, v4);
    else if (inet_pton(AF_INET6, literal, parsed.ip) != 1)
        return false;
    *ret_endpoint = parsed;
    return true;
}

void endpoint_ip_text(const struct endpoint *endpoint, char text[ENDPOINT_TEXT]) {
    bool v4 = endpoint_is_ipv4(endpoint);
    const uint8_t *ip = v4 ? endpoint->ip + sizeof v4_prefix : endpoint->ip;
    if (!inet_ntop(v4 ? AF_INET : AF_INET6, ip, text, ENDPOINT_TEXT))
        text[0] = '\0';
}

void endpoint_text(const struct endpoint *endpoint, char text[ENDPOINT_TEXT]) {
    char ip[ENDPOINT_TEXT];
    endpoint_ip_text(endpoint, ip);
    bool v4 = endpoint_is_ipv4(endpoint);
    (void)snprintf(text, ENDPOINT_TEXT, v4 ? "%.45s:%u" : "[%.45s]:%u", ip, endpoint->port);
}

void endpoint_known_text(const struct endpoint *endpoint, char text[ENDPOINT_TEXT]) {
    (endpoint->port ? endpoint_text : endpoint_ip_text)(endpoint, text);
}
