#include "twc-bus/charger_view.hpp"

#include <fmt/format.h>

#include "twc-bus/describe.hpp"

namespace twc_bus {

namespace {

constexpr double amps(int ca) { return ca / 100.0; }

constexpr std::uint8_t fault_state = 0x02;

// The state alone is unreliable: whoever draws 1 A is charging.
const char* shown_state(const Charger& charger) {
    const char* word = state_word(charger.last->state);
    const bool contradicted = charger.drawing() && (charger.last->state == 0x00 || charger.last->state == 0x03 ||
                                                    charger.last->state == 0x04 || charger.last->state > 0x0A);
    return contradicted ? "charging" : word;
}

}  // namespace

std::array<int, 3> drawn_by_line(const std::vector<const Charger*>& chargers, const Limits& limits,
                                 const Mains& mains) {
    std::array<int, 3> drawn_ca{};
    for (const auto* charger : chargers) {
        const bool known = limits.lines.contains(charger->id) || mains.phases == 1;
        const Lines lines = limits.lines_of(charger->id);
        for (std::size_t line = 0; line < lines.size() && known && charger->last; ++line) {
            drawn_ca.at(line) += lines.at(line) ? charger->last->drawn_ca : 0;
        }
    }
    return drawn_ca;
}

double power_w(const Charger& charger, const Mains& mains) {
    // No unit carries more than 80 A: such a reading is none, and nothing is counted from it.
    constexpr int highest_believable_ca = 10000;
    if (!charger.drawing() || charger.last->drawn_ca > highest_believable_ca) {
        return 0;
    }
    const double drawn_a = amps(charger.last->drawn_ca);
    const int phases = charger.inquiry.phases().value_or(mains.phases);
    const auto& volts = charger.inquiry.volts();
    if (!volts || (*volts)[0] == 0) {
        return drawn_a * mains.voltage_v * phases;
    }
    double sum_v = 0;
    for (std::size_t phase = 0; phase < static_cast<std::size_t>(phases); ++phase) {
        sum_v += (*volts)[phase];
    }
    return drawn_a * sum_v;
}

std::optional<std::string> fault_of(const Charger& charger, const Limits& limits) {
    if (charger.silenced) {
        return std::nullopt;
    }
    if (!charger.linked) {
        return "does not answer";
    }
    if (charger.id_shared) {
        return "two units use this ID";
    }
    if (!charger.last) {
        return std::nullopt;
    }
    if (charger.last->state == fault_state) {
        return "the unit reports an error (state 02)";
    }
    if (charger.claim.certain_ca() > limits.charger_max_ca + meter_error_ca) {
        return fmt::format("works to {:.2f} A, more than it may", amps(charger.claim.certain_ca()));
    }
    return std::nullopt;
}

contract::ChargerState describe(const Charger& charger, const EnergyTotals& totals, const Mains& mains,
                                const Limits& limits) {
    contract::ChargerState state;
    state.energy_kwh = totals.energy_kwh;
    state.session_kwh = totals.session_kwh;
    state.session_start = totals.session_start;
    state.protocol = charger.protocol;
    state.fault = fault_of(charger, limits);
    if (charger.rating_ca) {
        state.max_a = amps(*charger.rating_ca);
    }
    const auto& inquiry = charger.inquiry;
    state.vin = inquiry.vin();
    state.serial = inquiry.serial();
    state.firmware = inquiry.firmware();
    if (inquiry.lifetime_kwh()) {
        state.lifetime_kwh = *inquiry.lifetime_kwh();
    }
    if (charger.silenced) {
        // Its car is there, as far as anyone knows, and may be charged again.
        state.state = "silenced";
        state.plugged = true;
        state.charging = false;
        state.granted_a = 0;
        state.limit_a = 0;
        state.current_a = 0;
        state.power_w = 0;
    }
    if (!charger.linked || !charger.last) {
        return state;
    }
    state.state = shown_state(charger);
    state.state_code = charger.last->state;
    state.plugged = inquiry.plugged();
    state.charging = charger.drawing();
    state.limit_a = amps(charger.last->limit_ca);
    state.granted_a = amps(charger.grant.ca);
    state.current_a = amps(charger.last->drawn_ca);
    state.power_w = power_w(charger, mains);
    state.phases = inquiry.phases();
    if (const auto& volts = inquiry.volts()) {
        const auto shown = [](std::uint16_t value) { return value > 0 ? std::optional<double>(value) : std::nullopt; };
        state.voltage_l1_v = shown((*volts)[0]);
        state.voltage_l2_v = shown((*volts)[1]);
        state.voltage_l3_v = shown((*volts)[2]);
    }
    return state;
}

}  // namespace twc_bus
