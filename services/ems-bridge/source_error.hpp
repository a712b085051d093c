#pragma once

#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>

namespace ems_bridge {

/// What went wrong, as counted in the metrics.
enum class ErrorKind {
    transport,     ///< No connection, no answer in time, broken connection, untrusted certificate.
    malformed,     ///< An answer that cannot be understood.
    device,        ///< The device answered with an error of its own.
    login,         ///< Wrong or missing credentials.
    rate_limited,  ///< We asked too often.
};

const char* name_of(ErrorKind kind);

/// Why a read failed. what() says who answered what, where; never a secret.
class SourceError : public std::runtime_error {
public:
    SourceError(ErrorKind kind, const std::string& what, std::optional<std::chrono::milliseconds> not_before = {})
        : std::runtime_error(what), kind_(kind), not_before_(not_before) {}

    ErrorKind kind() const { return kind_; }
    /// The next try is useless or harmful before this much time has passed.
    std::optional<std::chrono::milliseconds> not_before() const { return not_before_; }

private:
    ErrorKind kind_;
    std::optional<std::chrono::milliseconds> not_before_;
};

/// A failure as it is counted, shown and waited for.
struct Failure {
    ErrorKind kind{};
    std::string what;
    std::optional<std::chrono::milliseconds> not_before;
};

/// Any exception: a SourceError as it says itself, a TransportError as `transport`, all others as `malformed`.
Failure describe(const std::exception_ptr& error);

}  // namespace ems_bridge
