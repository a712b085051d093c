#pragma once

#include <functional>
#include <span>
#include <string>

#include "twc-bus/frame.hpp"

namespace twc_bus {

/// The receiving half of a line to the RS-485 bus: whoever has only this cannot send a byte. Loop thread only;
/// handlers run on the loop, never inside a call to the link. Repairs itself: after `down` it tries again until closed.
class ByteSource {
public:
    struct Handlers {
        std::function<void(std::span<const std::uint8_t>)> bytes;
        std::function<void()> up;
        /// Once per outage and again when the reason changes; in words a user can act on.
        std::function<void(const std::string& reason)> down;
    };

    ByteSource() = default;
    ByteSource(const ByteSource&) = delete;
    ByteSource& operator=(const ByteSource&) = delete;
    virtual ~ByteSource() = default;

    virtual void open(Handlers handlers) = 0;
    /// No handler is called after this; the device is free for others.
    virtual void close() = 0;
};

/// A line that carries bytes to and from the RS-485 bus.
class ByteLink : public ByteSource {
public:
    /// Never blocks. What does not fit into the device because it hangs is dropped; while down, everything is.
    virtual void write(Bytes bytes) = 0;
};

}  // namespace twc_bus
