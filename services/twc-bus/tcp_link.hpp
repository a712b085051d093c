#pragma once

#include <memory>
#include <string>

#include "scheduling/event_loop.hpp"
#include "twc-bus/byte_link.hpp"

namespace twc_bus {

/// A serial-to-network bridge in raw TCP mode, or a simulator. Reconnects at least every second; a peer that stops
/// acknowledging counts as lost after 5 s.
class TcpLink final : public ByteLink {
public:
    /// `scheme` is what reasons call the link by, before "://host:port".
    TcpLink(scheduling::EventLoop& loop, std::string host, std::string port, std::string scheme = "tcp");
    TcpLink(const TcpLink&) = delete;
    TcpLink& operator=(const TcpLink&) = delete;
    ~TcpLink() override;  // NOLINT(bugprone-exception-escape)

    void open(Handlers handlers) override;
    void close() override;
    void write(Bytes bytes) override;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace twc_bus
