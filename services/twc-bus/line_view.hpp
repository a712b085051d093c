#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "contract/messages.hpp"
#include "home_assistant/discovery.hpp"
#include "service/environment.hpp"
#include "service/service_host.hpp"
#include "service/state_publisher.hpp"
#include "twc-bus/bus_picture.hpp"
#include "twc-bus/byte_link.hpp"
#include "twc-bus/charger_desk.hpp"
#include "twc-bus/role.hpp"
#include "twc-bus/state_keeper.hpp"

namespace twc_bus {

/// What the roles `listen` and `slave` have in common: hears the line, publishes the units on it, counts their energy
/// and keeps the state file. Has no way to send. Refuses the commands of the role `master`.
class LineView {
public:
    /// `more_metrics` is called from the loop, never before the constructor has returned.
    LineView(const RoleConfig& config, const std::string& role, service::Environment& environment,
             service::ServiceHost::AddMetrics more_metrics = {});
    LineView(const LineView&) = delete;
    LineView& operator=(const LineView&) = delete;
    /// Everything that is shown goes offline; the counters are saved.
    ~LineView();

    void on_up();
    void on_down(const std::string& why);
    /// What the bytes said, already shown.
    std::vector<Message> on_bytes(std::span<const std::uint8_t> bytes);
    /// Every unit, and the bus: `state` with the time and who is there added.
    void publish(contract::BusState state);

    /// A unit that is not watched because it is ourselves: its owner publishes it at its desk, and its energy counts as
    /// told in `set_energy`.
    void leave_out(UnitId id);
    ChargerDesk& desk(UnitId id);
    /// A counter that is kept elsewhere and is saved with the others.
    void set_energy(UnitId id, double energy_kwh) { energy_kwh_[id] = energy_kwh; }
    void save() { keeper_.save(state_to_save()); }

    const BusPicture& picture() const { return picture_; }
    const SavedState& saved() const { return keeper_.saved(); }
    service::ServiceHost& host() { return host_; }
    bool link_up() const { return link_up_; }
    /// opening or down; of no meaning while the line is up.
    const char* link_word() const { return was_up_ || link_reason_ != opening ? "down" : "opening"; }
    /// Why it is not up.
    const std::string& link_reason() const { return link_reason_; }
    /// Bytes come, but no frame is among them.
    bool hears_only_noise() const;
    /// Who is there, by id.
    std::vector<UnitId> present_units() const;
    /// What they say they may draw, and what they draw; in hundredths of an amp.
    int limit_sum_ca() const;
    int drawn_sum_ca() const;

private:
    static constexpr const char* opening = "opening the port";

    void refuse_command(const std::string& topic, const std::string& role);
    void take_reading(UnitId id);
    void publish_unit(UnitId id, const HeardUnit* unit);
    Charger as_charger(UnitId id, const HeardUnit& unit) const;
    SavedState state_to_save() const;
    void add_metrics(nlohmann::json& metrics) const;
    void repeat_states();

    service::Environment& environment_;
    std::string port_;
    Mains mains_;
    service::ServiceHost::AddMetrics more_metrics_;
    FrameDecoder decoder_{AcceptedLengths::listening};
    BusPicture picture_;
    bool link_up_ = false;
    bool was_up_ = false;
    std::string link_reason_ = opening;
    std::uint64_t link_losses_ = 0;
    std::uint64_t unknown_frames_ = 0;
    std::optional<scheduling::Instant> bytes_at_;
    std::optional<scheduling::Instant> frameless_since_;  ///< Bytes have come since then, but no frame.
    std::set<UnitId> left_out_;

    service::ServiceHost host_;
    service::StatePublisher bus_state_;
    StateKeeper keeper_;
    std::map<UnitId, ChargerDesk> desks_;
    std::map<UnitId, double> energy_kwh_;
    home_assistant::Discovery discovery_;
    scheduling::TaskScope scope_;
};

}  // namespace twc_bus
