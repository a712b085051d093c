#include "ems-bridge/source_error.hpp"

#include "http/http_client.hpp"

namespace ems_bridge {

const char* name_of(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::transport:
            return "transport";
        case ErrorKind::malformed:
            return "malformed";
        case ErrorKind::device:
            return "device";
        case ErrorKind::login:
            return "login";
        case ErrorKind::rate_limited:
            return "rate_limited";
    }
    return "unknown";
}

Failure describe(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const SourceError& source_error) {
        return {source_error.kind(), source_error.what(), source_error.not_before()};
    } catch (const http::TransportError& transport_error) {
        return {ErrorKind::transport, transport_error.what(), {}};
    } catch (const std::exception& other) {
        return {ErrorKind::malformed, other.what(), {}};
    } catch (...) {
        return {ErrorKind::malformed, "unknown error", {}};
    }
}

}  // namespace ems_bridge
