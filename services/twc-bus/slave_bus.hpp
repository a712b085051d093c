#pragma once

#include <string>

#include "service/environment.hpp"
#include "twc-bus/byte_link.hpp"
#include "twc-bus/line_view.hpp"
#include "twc-bus/role.hpp"
#include "twc-bus/slave_unit.hpp"
#include "twc-bus/transmit_filter.hpp"

namespace twc_bus {

/// Role `slave`: is one unit on the bus of another master, and publishes what that master grants to what stands behind.
/// Shows the other units on the line as well.
class SlaveBus {
public:
    /// `link` and `environment` outlive it.
    SlaveBus(const RoleConfig& config, service::Environment& environment, ByteLink& link);
    SlaveBus(const SlaveBus&) = delete;
    SlaveBus& operator=(const SlaveBus&) = delete;
    ~SlaveBus();

private:
    void open_link();
    void on_bytes(std::span<const std::uint8_t> bytes);
    void pump();
    void follow_id();
    void note_changes();
    void publish();
    void publish_own();
    std::string link_word() const;
    std::string reason() const;

    RoleConfig config_;
    service::Environment& environment_;
    AnswerTransmitter transmitter_;
    LineView view_;
    SlaveUnit unit_;
    UnitId shown_id_;
    int shown_granted_ca_ = 0;
    std::string shown_words_;
    Standing logged_standing_ = Standing::no_master;
    scheduling::Timer timer_;
    scheduling::TaskScope scope_;
};

}  // namespace twc_bus
