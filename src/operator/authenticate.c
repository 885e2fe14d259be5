/* Who asks: on the machine of a developer, whoever sits at it.
 *
 * In dev the plane takes a request from loopback, to a loopback Host and without an Origin for one of this machine's user: a page in a browser sends an Origin
 * with every change, and cannot leave it out.
 */
#include "operator/impl.h"

#include "http/url.h"

static struct weir_span host_of(struct weir_span authority) {
    if (authority.length > 0 && authority.at[0] == '[') {
        size_t end = weir_span_index(authority, ']');
        return end < authority.length ? weir_span_of(authority.at + 1, end - 1) : authority;
    }
    return weir_span_first(authority, weir_span_index(authority, ':'));
}

enum weir_reason operator__authenticate(struct weir_operation_call *call, char problem[200]) {
    problem[0] = '\0';
    call->actor = (struct weir_actor){.kind = WEIR_ACTOR_UNKNOWN, .address = weir_span_of_string(call->peer)};
    if (!call->settings->local_operator || !weir_url_host_is_loopback(weir_span_of_string(call->peer)) ||
        !weir_url_host_is_loopback(host_of(call->head.authority)) || weir_operation_header(call, "origin").length > 0)
        return WEIR_REASON_OPERATOR_UNKNOWN;
    call->actor.kind = WEIR_ACTOR_LOCAL;
    call->actor.role = WEIR_ROLE_OWNER;
    call->actor.name = WEIR_SPAN("local");
    return WEIR_REASON_NONE;
}
