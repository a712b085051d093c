#pragma once

#include <memory>
#include <string>

#include "scheduling/event_loop.hpp"
#include "twc-bus/byte_link.hpp"

namespace twc_bus {

/// A serial device with an RS-485 adapter: 9600 8N1, raw, no modem control, so that a pseudo-terminal works too.
/// Locked against a second user (flock and TIOCEXCL). An unplugged adapter is looked for again at least every second.
class SerialLink final : public ByteLink {
public:
    SerialLink(scheduling::EventLoop& loop, std::string device);
    SerialLink(const SerialLink&) = delete;
    SerialLink& operator=(const SerialLink&) = delete;
    ~SerialLink() override;  // NOLINT(bugprone-exception-escape)

    void open(Handlers handlers) override;
    void close() override;
    void write(Bytes bytes) override;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace twc_bus
