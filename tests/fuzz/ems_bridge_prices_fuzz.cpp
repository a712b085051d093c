// What price and forecast services send must never do more than be refused; what is taken is in order and finite.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "ems-bridge/forecasts/forecast_solar.hpp"
#include "ems-bridge/forecasts/open_meteo.hpp"
#include "ems-bridge/tariffs/awattar.hpp"
#include "ems-bridge/tariffs/entsoe.hpp"
#include "ems-bridge/tariffs/octopus.hpp"
#include "ems-bridge/tariffs/tibber.hpp"

namespace {

using namespace ems_bridge;

void demand(bool is_true) {
    if (!is_true) {
        std::abort();
    }
}

template <class Slot>
void check_order(const std::vector<Slot>& slots) {
    for (std::size_t i = 0; i < slots.size(); ++i) {
        demand(slots[i].start < slots[i].end);
        demand(i == 0 || slots[i - 1].end <= slots[i].start);
    }
}

// All the way to what is published.
void check(const Prices& prices) {
    check_order(prices.slots);
    if (prices.slots.empty()) {
        return;
    }
    const auto tariff = tariff_of(prices, {.surcharge = 0.1, .factor = 1.2});
    const auto now = prices.slots.front().start == WallTime::min() ? WallTime() : prices.slots.front().start;
    const auto state =
        combine_tariffs({{.name = "fuzz", .currency = prices.currency, .slots = tariff.slots, .is_fresh = true}}, now);
    check_order(state.slots);
    demand(state.slots.size() <= max_slots);
    for (const auto& slot : state.slots) {
        demand(slot.import_price && std::isfinite(*slot.import_price));
    }
    static_cast<void>(contract::to_text(contract::to_json(state)));
}

void check(const Forecast& forecast) {
    check_order(forecast.slots);
    for (const auto& slot : forecast.slots) {
        demand(std::isfinite(slot.pv_w) && slot.pv_w >= 0);
    }
    if (!forecast.slots.empty()) {
        const auto state = combine_forecasts({{.name = "fuzz", .slots = forecast.slots, .is_fresh = true}},
                                             forecast.slots.front().start);
        check_order(state.slots);
        static_cast<void>(contract::to_text(contract::to_json(state)));
    }
}

template <class Attempt>
void attempt(Attempt run) {
    try {
        run();
    } catch (const SourceError&) {  // being refused is the expected outcome
    }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    attempt([&] { check(parse_awattar(text)); });
    attempt([&] { check(parse_tibber(text, "")); });
    attempt([&] { check(Prices{.currency = "GBP", .slots = in_order(parse_octopus(text).slots)}); });
    attempt([&] { check(parse_entsoe(text)); });
    attempt([&] { check(parse_forecast_solar(text)); });
    attempt([&] { check(parse_open_meteo(text, 10, 0.85)); });
    static_cast<void>(said_by(text));
    static_cast<void>(pause_after_429({.status = 429, .headers = {}, .body = std::string(text)}, {}));
    return 0;
}
