#include "ems-bridge/tariffs/awattar.hpp"

#include <fmt/format.h>

namespace ems_bridge {

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

WallTime moment_at(const nlohmann::json& item, const char* key, const std::string& what) {
    constexpr double last_ms = 9e12;  // in the year 2255: nanoseconds in 64 bits still hold it
    return WallTime(milliseconds(static_cast<std::int64_t>(number_at(item, key, 0, last_ms, what))));
}

}  // namespace

Prices parse_awattar(std::string_view body) {
    constexpr double kwh_a_mwh = 1000;
    const std::string who = "aWATTar";
    const auto answer = parse_answer(body, who);
    const auto& data = list_at(answer, "data", who);
    if (data.size() > max_slots) {
        refuse_answer(who, fmt::format("data: {} prices, expected at most {}", data.size(), max_slots));
    }
    Prices prices{.currency = "EUR"};
    for (std::size_t i = 0; i < data.size(); ++i) {
        const auto& item = data[i];
        const std::string what = fmt::format("{} data[{}]", who, i);
        if (!item.is_object() || item.value("unit", nlohmann::json()) != "Eur/MWh") {
            refuse_answer(what, "unit: expected Eur/MWh");
        }
        const PriceSlot slot{.start = moment_at(item, "start_timestamp", what),
                             .end = moment_at(item, "end_timestamp", what),
                             .price = number_at(item, "marketprice", kwh_a_mwh * contract::any_price.min,
                                                kwh_a_mwh * contract::any_price.max, what) /
                                      kwh_a_mwh};
        if (slot.end <= slot.start) {
            refuse_answer(what, "end_timestamp: expected after start_timestamp");
        }
        prices.slots.push_back(slot);
    }
    prices.slots = in_order(std::move(prices.slots));
    return prices;
}

FetchTariff read_awattar(const config::Section& /*section*/, const WebAccess& access, const PriceFormula& formula) {
    return [access, formula](http::HttpClient& client, WallTime now) {
        const auto ms_of = [](WallTime time) {
            return std::chrono::duration_cast<milliseconds>(time.time_since_epoch()).count();
        };
        const auto from = std::chrono::floor<std::chrono::hours>(now);
        const std::string url = access.url + "/v1/marketdata";
        const auto body = ask(
            client,
            {.url = fmt::format("{}?start={}&end={}", url, ms_of(from), ms_of(from + 48h)), .timeout = access.timeout},
            url, now);
        return tariff_of(parse_awattar(body), formula);
    };
}

}  // namespace ems_bridge
