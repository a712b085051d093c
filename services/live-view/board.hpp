#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "contract/topics.hpp"
#include "live-view/model.hpp"
#include "messaging/message_bus.hpp"
#include "scheduling/scheduler.hpp"

namespace live_view {

/// Keeps the last of every state that arrives. Writes nothing.
class Board {
public:
    Board(const contract::Topics& topics, std::string broker);

    /// What to subscribe to; none overlaps another.
    std::vector<std::string> filters() const;

    /// A payload that breaks the contract changes nothing but `Model::problem`. A state that was waiting in the
    /// broker is as old as its own time stamp says; one that arrives live is new, whatever clocks say.
    void take(const messaging::Delivery& delivery, scheduling::Instant now, scheduling::WallTime wall_now);

    void set_connected(bool connected) { connected_ = connected; }

    Model model(scheduling::Instant now, scheduling::WallTime wall_now) const;

private:
    template <class Message>
    struct Kept {
        Message value;
        scheduling::Instant sent;
    };
    template <class Message>
    using Shelf = std::map<std::string, Kept<Message>>;  ///< By id; the one of a kind under "".

    struct Arrival {
        const messaging::Delivery& delivery;
        scheduling::Instant now;
        scheduling::WallTime wall_now;
    };
    struct Route {
        std::string filter;
        std::function<void(const std::string& id, const Arrival&)> take;
    };

    template <class Message>
    void keep_states(const std::string& filter, Shelf<Message>& shelf);
    void keep_words(const std::string& filter, std::map<std::string, bool>& online);

    std::string broker_;
    bool connected_ = false;
    Shelf<contract::SitePower> site_;
    Shelf<contract::BusState> bus_;
    Shelf<contract::PolicyState> policy_;
    Shelf<contract::OverrideState> override_;
    Shelf<contract::OverrideState> charger_overrides_;
    Shelf<contract::ChargerState> chargers_;
    Shelf<contract::PolicyChargerState> charger_policies_;
    Shelf<contract::VehicleState> vehicles_;
    Shelf<contract::SourceState> sources_;
    std::map<std::string, bool> chargers_online_;
    std::map<std::string, bool> services_online_;
    std::string problem_;
    std::vector<Route> routes_;
};

}  // namespace live_view
