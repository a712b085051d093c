#include "ems-bridge/tariffs/tibber.hpp"

#include <fmt/format.h>

namespace ems_bridge {

namespace {

using namespace std::chrono_literals;
using nlohmann::json;

const char* const who = "Tibber";

const json& object_at(const json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_object()) {
        refuse_answer(who, fmt::format("{}: expected an object", key));
    }
    return *found;
}

// The subscription of the wanted home.
const json& subscription_of(const json& homes, const std::string& home_id) {
    const json* chosen = nullptr;
    for (const auto& home : homes) {
        if (!home.is_object() || !home.contains("currentSubscription") || !home["currentSubscription"].is_object()) {
            continue;  // a home without a contract
        }
        if (!home_id.empty() && home.value("id", json()) != home_id) {
            continue;
        }
        if (chosen != nullptr) {
            refuse_answer(who, "homes: more than one has a subscription, give home_id");
        }
        chosen = &home["currentSubscription"];
    }
    if (chosen == nullptr) {
        refuse_answer(who, fmt::format("homes: none{} has a subscription",
                                       home_id.empty() ? "" : fmt::format(" with the id {}", home_id)));
    }
    return *chosen;
}

std::vector<PriceSlot> day_of(const json& price_info, const char* day, std::optional<std::string>& currency) {
    const auto& entries = list_at(price_info, day, who);
    if (entries.size() > max_slots) {
        refuse_answer(who, fmt::format("{}: {} prices, expected at most {}", day, entries.size(), max_slots));
    }
    std::vector<PriceSlot> slots;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const std::string what = fmt::format("{} {}[{}]", who, day, i);
        const WallTime start = time_at(entries[i], "startsAt", what);
        slots.push_back(
            {.start = start,
             .end = start + 1h,
             .price = number_at(entries[i], "total", contract::any_price.min, contract::any_price.max, what)});
        const auto said = entries[i].find("currency");
        if (!currency && said != entries[i].end() && said->is_string()) {
            currency = contract::valid_utf8(said->get_ref<const std::string&>());
        }
    }
    slots = in_order(std::move(slots));
    auto length = std::chrono::duration_cast<WallTime::duration>(1h);
    for (std::size_t i = 1; i < slots.size(); ++i) {
        length = std::min(length, slots[i].start - slots[i - 1].start);
    }
    for (auto& slot : slots) {
        slot.end = slot.start + length;
    }
    return slots;
}

}  // namespace

Prices parse_tibber(std::string_view body, const std::string& home_id) {
    const auto answer = parse_answer(body, who);
    if (answer.contains("errors")) {
        throw SourceError(ErrorKind::device, fmt::format("{}: {}", who, said_by(body).value_or("unknown error")));
    }
    const auto& homes = list_at(object_at(object_at(answer, "data"), "viewer"), "homes", who);
    const auto& price_info = object_at(subscription_of(homes, home_id), "priceInfo");
    Prices prices;
    prices.slots = day_of(price_info, "today", prices.currency);
    prices.slots = overlaid(prices.slots, day_of(price_info, "tomorrow", prices.currency));
    return prices;
}

FetchTariff read_tibber(const config::Section& section, const WebAccess& access, const PriceFormula& formula) {
    if (!section.has("token_file")) {
        section.report("token_file", "missing");
    }
    const std::string token = section.secret_file("token");
    const std::string home_id = section.text_or("home_id", "");
    const std::string query =
        "{viewer{homes{id currentSubscription{priceInfo(resolution:QUARTER_HOURLY)"
        "{today{total startsAt currency}tomorrow{total startsAt currency}}}}}}";
    return [=](http::HttpClient& client, WallTime now) {
        const std::string url = access.url + "/v1-beta/gql";
        const auto body = ask(client,
                              {.method = "POST",
                               .url = url,
                               .headers = {{"Authorization", "Bearer " + token}, {"Content-Type", "application/json"}},
                               .body = json{{"query", query}}.dump(),
                               .timeout = access.timeout},
                              url, now);
        return tariff_of(parse_tibber(body, home_id), formula);
    };
}

}  // namespace ems_bridge
