#pragma once

#include <map>
#include <optional>
#include <string>

#include "contract/messages.hpp"

/// What the terminal view knows at one instant. Plain data: made by Board, drawn by render.
namespace live_view {

/// A message and how old what it says is.
template <class Message>
struct Seen {
    Message value;
    double age_s = 0;  ///< Since its writer sent it.
};

struct Charger {
    std::optional<Seen<contract::ChargerState>> state;
    std::optional<Seen<contract::PolicyChargerState>> policy;
    std::optional<Seen<contract::OverrideState>> override_state;  ///< Of this charger alone.
    std::optional<bool> online;                                   ///< From `charger/<id>/availability`.
};

struct Model {
    std::string broker;  ///< "127.0.0.1:1883"
    bool connected = false;
    contract::WallTime now;
    std::optional<Seen<contract::SitePower>> site;
    std::optional<Seen<contract::BusState>> bus;
    std::optional<Seen<contract::PolicyState>> policy;
    std::optional<Seen<contract::OverrideState>> override_state;
    std::map<std::string, Charger> chargers;                       ///< By id.
    std::map<std::string, Seen<contract::VehicleState>> vehicles;  ///< By alias.
    std::map<std::string, bool> services;                          ///< By name; online?
    std::map<std::string, Seen<contract::SourceState>> sources;    ///< By name.
    std::string problem;                                           ///< The last payload that broke the contract.
};

/// A state is repeated every 60 s at the latest (topics.md rule 7); half as much again is a writer in trouble.
inline constexpr double stale_after_s = 90;

}  // namespace live_view
