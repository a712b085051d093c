#include "twc-bus/state_file.hpp"

#include <cmath>

#include "contract/schema.hpp"

namespace twc_bus {

namespace {

struct MarkRecord {
    double unit_kwh = 0;
    double energy_kwh = 0;
    contract::WallTime at;
};

// The file's own form: currents in amps, and the id as key.
struct ChargerRecord {
    std::optional<int> protocol;
    double granted_a = 0;
    bool linked = false;
    std::optional<bool> silenced;
    std::optional<std::string> line;
    double energy_kwh = 0;
    std::optional<double> session_kwh;
    std::optional<contract::WallTime> session_start;
    bool in_session = false;
    std::optional<MarkRecord> mark;
};

struct StateRecord {
    bool estop = false;
    std::map<std::string, ChargerRecord> chargers;
};

}  // namespace

}  // namespace twc_bus

template <>
struct contract::Schema<twc_bus::MarkRecord> {
    static constexpr auto fields() {
        using M = twc_bus::MarkRecord;
        return std::tuple{Field{"unit_kwh", &M::unit_kwh}.in(any_energy_kwh),
                          Field{"energy_kwh", &M::energy_kwh}.in(any_energy_kwh).decimals(6), Field{"at", &M::at}};
    }
};

template <>
struct contract::Schema<twc_bus::ChargerRecord> {
    static constexpr auto fields() {
        using M = twc_bus::ChargerRecord;
        return std::tuple{Field{"protocol", &M::protocol}.in({1, 2}),
                          Field{"granted_a", &M::granted_a}.in(charge_current_a),
                          Field{"linked", &M::linked},
                          Field{"silenced", &M::silenced},
                          Field{"line", &M::line},
                          Field{"energy_kwh", &M::energy_kwh}.in(any_energy_kwh).decimals(6),
                          Field{"session_kwh", &M::session_kwh}.in(any_energy_kwh).decimals(6),
                          Field{"session_start", &M::session_start},
                          Field{"in_session", &M::in_session},
                          Field{"mark", &M::mark}};
    }
};

template <>
struct contract::Schema<twc_bus::StateRecord> {
    static constexpr auto fields() {
        using M = twc_bus::StateRecord;
        return std::tuple{Field{"estop", &M::estop}, Field{"chargers", &M::chargers}};
    }
};

namespace twc_bus {

std::string to_json_text(const SavedState& state) {
    StateRecord record{.estop = state.estop};
    for (const auto& [id, charger] : state.chargers) {
        record.chargers[to_text(id)] = {.protocol = charger.protocol,
                                        .granted_a = charger.granted_ca / 100.0,
                                        .linked = charger.linked,
                                        .silenced = charger.silenced,
                                        .line = charger.line,
                                        .energy_kwh = charger.totals.energy_kwh,
                                        .session_kwh = charger.totals.session_kwh,
                                        .session_start = charger.totals.session_start,
                                        .in_session = charger.totals.in_session,
                                        .mark = {}};
        if (const auto& mark = charger.totals.mark) {
            record.chargers[to_text(id)].mark = {mark->unit_kwh, mark->energy_kwh, mark->at};
        }
    }
    constexpr int indent = 2;
    return contract::to_json(record).dump(indent) + "\n";
}

SavedState saved_state_from_text(std::string_view text) {
    const auto record = contract::from_text<StateRecord>(text);
    SavedState state{.estop = record.estop};
    for (const auto& [name, charger] : record.chargers) {
        const auto id = unit_id_from_text(name);
        if (!id) {
            throw contract::Invalid("chargers." + name + ": expected four hexadecimal digits as the id");
        }
        state.chargers[*id] = {.protocol = charger.protocol,
                               .granted_ca = static_cast<int>(std::lround(charger.granted_a * 100)),
                               .linked = charger.linked,
                               .silenced = charger.silenced.value_or(false),
                               .line = charger.line.value_or(""),
                               .totals = {.energy_kwh = charger.energy_kwh,
                                          .session_kwh = charger.session_kwh,
                                          .session_start = charger.session_start,
                                          .in_session = charger.in_session,
                                          .mark = {}}};
        if (const auto& mark = charger.mark) {
            state.chargers[*id].totals.mark = {mark->unit_kwh, mark->energy_kwh, mark->at};
        }
    }
    return state;
}

}  // namespace twc_bus
