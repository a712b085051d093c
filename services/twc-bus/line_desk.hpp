#pragma once

#include <string>

#include "contract/messages.hpp"
#include "twc-bus/bus_master.hpp"
#include "twc-bus/config.hpp"
#include "twc-bus/health.hpp"
#include "twc-bus/transmit_filter.hpp"

namespace twc_bus {

/// One line in role `master`: its bytes on the one side, how it stands on the other.
class LineDesk {
public:
    LineDesk(LineConfig config, ByteLink& link, TransmitRules rules)
        : config_(std::move(config)), transmitter_(link, std::move(rules)) {}

    const LineConfig& config() const { return config_; }
    Transmitter& transmitter() { return transmitter_; }

    void on_up();
    void on_down(const std::string& why, bool was_up);
    /// The frames in these bytes that verify.
    std::vector<Bytes> on_bytes(std::span<const std::uint8_t> bytes);

    /// Why it is down; empty while it is up.
    const std::string& down_because() const { return down_because_; }
    /// To be called about once a second.
    void sample(const BusMaster& master, scheduling::Instant now);
    /// Chargers by their own rule of who is there.
    contract::BusLine state(const BusMaster& master, std::vector<std::string> chargers, scheduling::Instant now) const;
    nlohmann::json metrics(const BusMaster& master, scheduling::Instant now) const;

private:
    std::string link_word(const BusMaster& master, scheduling::Instant now) const;
    LineFacts facts(const BusMaster& master, scheduling::Instant now) const;

    LineConfig config_;
    FrameDecoder decoder_{AcceptedLengths::listening};
    Transmitter transmitter_;
    std::string down_because_ = "opening the port";
    bool was_tried_ = false;
    std::uint64_t losses_ = 0;
    std::uint64_t bytes_ = 0;
    Health health_;
};

}  // namespace twc_bus
