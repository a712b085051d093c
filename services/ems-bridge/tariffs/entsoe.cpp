#include "ems-bridge/tariffs/entsoe.hpp"

#include <charconv>
#include <map>
#include <pugixml.hpp>

#include <fmt/format.h>

namespace ems_bridge {

namespace {

using namespace std::chrono_literals;
using std::chrono::minutes;

const char* const who = "ENTSO-E";
constexpr std::size_t max_answer_bytes = 1024UL * 1024;
constexpr int max_points = 2000;  // of all series together

std::string_view text_of(const pugi::xml_node& parent, const char* name) { return parent.child_value(name); }

// Whatever stands there, as it may be shown.
std::string in_quotes(std::string_view text) { return text.empty() ? "nothing" : fmt::format("\"{}\"", shown(text)); }

WallTime time_of(const pugi::xml_node& interval, const char* name) {
    std::string text(text_of(interval, name));
    constexpr std::string_view without_seconds = "2026-06-01T22:00Z";
    if (text.size() == without_seconds.size()) {
        text.insert(text.size() - 1, ":00");
    }
    const auto time = contract::parse_timestamp(text);
    if (!time) {
        refuse_answer(who, fmt::format("timeInterval/{}: expected a time like {}, got {}", name, without_seconds,
                                       in_quotes(text)));
    }
    return *time;
}

minutes resolution_of(const pugi::xml_node& period) {
    const auto text = text_of(period, "resolution");
    if (text == "PT15M") {
        return 15min;
    }
    if (text == "PT30M") {
        return 30min;
    }
    if (text == "PT60M" || text == "PT1H") {
        return 60min;
    }
    refuse_answer(who, fmt::format("resolution: expected PT15M, PT30M or PT60M, got {}", in_quotes(text)));
}

template <class Number>
Number number_of(const pugi::xml_node& point, const char* name, Number min, Number max) {
    const auto text = text_of(point, name);
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size() || !(value >= min && value <= max)) {
        refuse_answer(who, fmt::format("{}: expected a number from {} to {}, got {}", name, min, max, in_quotes(text)));
    }
    return value;
}

// Prices by position; a position without one is a gap.
std::vector<std::optional<double>> points_of(const pugi::xml_node& period, std::size_t count, bool repeats) {
    constexpr double kwh_a_mwh = 1000;
    std::vector<std::optional<double>> prices(count);
    for (const auto& point : period.children("Point")) {
        const auto position = number_of<std::size_t>(point, "position", 1, count);
        prices[position - 1] = number_of<double>(point, "price.amount", kwh_a_mwh * contract::any_price.min,
                                                 kwh_a_mwh * contract::any_price.max) /
                               kwh_a_mwh;
    }
    for (std::size_t i = 1; repeats && i < count; ++i) {
        prices[i] = prices[i] ? prices[i] : prices[i - 1];
    }
    return prices;
}

std::vector<PriceSlot> slots_of_period(const pugi::xml_node& period, bool repeats) {
    const auto interval = period.child("timeInterval");
    const WallTime start = time_of(interval, "start");
    const WallTime end = time_of(interval, "end");
    const auto step = resolution_of(period);
    if (end <= start || (end - start) % step != 0s || (end - start) / step > max_points) {
        refuse_answer(
            who, fmt::format("timeInterval: expected 1 to {} steps of {} min from {} to {}", max_points, step.count(),
                             in_quotes(text_of(interval, "start")), in_quotes(text_of(interval, "end"))));
    }
    const auto prices = points_of(period, static_cast<std::size_t>((end - start) / step), repeats);
    std::vector<PriceSlot> slots;
    WallTime at = start;
    for (const auto& price : prices) {
        if (price) {
            slots.push_back({.start = at, .end = at + step, .price = *price});
        }
        at += step;
    }
    return slots;
}

// Intraday auctions come as the same document type, and some zones have a second day-ahead auction.
bool is_wanted(const pugi::xml_node& series) {
    const auto contract_type = text_of(series, "contract_MarketAgreement.type");
    const auto sequence = text_of(series, "classificationSequence_AttributeInstanceComponent.position");
    return (contract_type.empty() || contract_type == "A01") && (sequence.empty() || sequence == "1");
}

void check_units(const pugi::xml_node& series, std::optional<std::string>& currency) {
    const auto unit = text_of(series, "price_Measure_Unit.name");
    if (unit != "MWH") {
        refuse_answer(who, fmt::format("price_Measure_Unit.name: expected MWH, got {}", in_quotes(unit)));
    }
    const std::string said = contract::valid_utf8(text_of(series, "currency_Unit.name"));
    if (said.empty() || (currency && *currency != said)) {
        refuse_answer(who, fmt::format("currency_Unit.name: expected {}, got {}", currency.value_or("a currency"),
                                       in_quotes(said)));
    }
    currency = said;
}

const char* const refusal = "Acknowledgement_MarketDocument";

std::string_view reason_of(const pugi::xml_node& acknowledgement) {
    return text_of(acknowledgement.child("Reason"), "text");
}

// Some refusals come with 400, others with 200.
std::optional<std::string> refusal_in(std::string_view body) {
    pugi::xml_document document;
    if (body.size() > max_answer_bytes || !document.load_buffer(body.data(), body.size())) {
        return std::nullopt;
    }
    const auto reason = reason_of(document.child(refusal));
    return reason.empty() ? std::nullopt : std::optional(shown(reason));
}

}  // namespace

Prices parse_entsoe(std::string_view body) {
    if (body.size() > max_answer_bytes) {
        refuse_answer(who, fmt::format("{} bytes, expected at most {}", body.size(), max_answer_bytes));
    }
    pugi::xml_document document;
    if (const auto result = document.load_buffer(body.data(), body.size()); !result) {
        refuse_answer(who, fmt::format("not XML at byte {}: {}", result.offset, result.description()));
    }
    const auto root = document.document_element();
    if (std::string_view(root.name()) == refusal) {
        throw SourceError(ErrorKind::device, fmt::format("{} says {}", who, in_quotes(reason_of(root))));
    }
    if (std::string_view(root.name()) != "Publication_MarketDocument") {
        refuse_answer(who, fmt::format("expected a Publication_MarketDocument, got {}", in_quotes(root.name())));
    }
    Prices prices;
    std::multimap<minutes, std::vector<PriceSlot>, std::greater<>> periods;  // the coarsest first
    std::size_t points = 0;
    for (const auto& series : root.children("TimeSeries")) {
        if (!is_wanted(series)) {
            continue;
        }
        check_units(series, prices.currency);
        const bool repeats = text_of(series, "curveType") == "A03";
        for (const auto& period : series.children("Period")) {
            auto slots = slots_of_period(period, repeats);
            points += slots.size();
            if (points > static_cast<std::size_t>(max_points)) {
                refuse_answer(who, fmt::format("more than {} prices", max_points));
            }
            periods.emplace(resolution_of(period), std::move(slots));
        }
    }
    for (const auto& [resolution, slots] : periods) {
        prices.slots = overlaid(prices.slots, slots);
    }
    return prices;
}

FetchTariff read_entsoe(const config::Section& section, const WebAccess& access, const PriceFormula& formula) {
    const std::string domain = read_url_part(section, "domain");
    const std::string token = read_url_secret(section, "token", true);
    return [=](http::HttpClient& client, WallTime now) {
        const auto today = std::chrono::floor<std::chrono::days>(now);
        const std::string place = access.url + "/api";
        http::Request request{
            .url =
                fmt::format("{}?documentType=A44&in_Domain={}&out_Domain={}&periodStart={}&periodEnd={}"
                            "&securityToken={}",
                            place, domain, domain, utc_text(today - 24h, false), utc_text(today + 72h, false), token),
            .timeout = access.timeout};
        return tariff_of(parse_entsoe(ask(client, std::move(request), place, now, &refusal_in)), formula);
    };
}

}  // namespace ems_bridge
