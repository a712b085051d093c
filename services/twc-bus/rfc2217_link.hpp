#pragma once

#include <optional>
#include <string>

#include "scheduling/event_loop.hpp"
#include "twc-bus/byte_link.hpp"
#include "twc-bus/rfc2217.hpp"
#include "twc-bus/tcp_link.hpp"

namespace twc_bus {

/// A serial port behind a Telnet server with COM-PORT-OPTION, such as ser2net, which it sets to 9600 8N1. Up once the
/// server agreed and confirmed; also when it agreed but confirms nothing for 3 s, with a warning in the log. A server
/// that cannot do it is asked again every second.
class Rfc2217Link final : public ByteLink {
public:
    Rfc2217Link(scheduling::EventLoop& loop, const std::string& host, const std::string& port);

    void open(Handlers handlers) override;
    void close() override;
    void write(Bytes bytes) override;

private:
    void connect();
    void on_connected();
    void on_bytes(std::span<const std::uint8_t> bytes);
    void on_lost(const std::string& reason);
    void on_time();
    /// Acts on what became of the negotiation since it was in state `before`.
    void follow(Rfc2217::State before);
    void reconnect_later();
    void report_up();
    void report_down(const std::string& reason);

    scheduling::EventLoop& loop_;
    std::string name_;
    Handlers handlers_;
    std::optional<Rfc2217> telnet_;  ///< While connected.
    std::string last_reason_;
    bool warned_ = false;
    scheduling::Timer timer_;  ///< For the server to answer, or for the next try.
    TcpLink tcp_;
};

}  // namespace twc_bus
