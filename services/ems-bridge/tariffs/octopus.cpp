#include "ems-bridge/tariffs/octopus.hpp"

#include <fmt/format.h>

namespace ems_bridge {

namespace {

using namespace std::chrono_literals;
using nlohmann::json;

const char* const who = "Octopus";

struct Product {
    std::string product;
    std::string tariff;
};

// null is a tariff that was always, or that stays.
WallTime open_time_at(const json& item, const char* key, WallTime if_open, const std::string& what) {
    const auto found = item.find(key);
    return found == item.end() || found->is_null() ? if_open : time_at(item, key, what);
}

std::optional<Product> read_product(const config::Section& section, const std::string& key) {
    if (!section.has(key)) {
        return std::nullopt;
    }
    const auto sub = section.section(key);
    Product product{.product = read_url_part(sub, "product"), .tariff = read_url_part(sub, "tariff")};
    sub.reject_unknown_keys();
    return product;
}

Prices fetch_rates(http::HttpClient& client, const WebAccess& access, const Product& product, WallTime now) {
    constexpr int most_pages = 4;
    const auto today = std::chrono::floor<std::chrono::days>(now);
    const std::string place = fmt::format("{}/v1/products/{}/electricity-tariffs/{}/standard-unit-rates/", access.url,
                                          product.product, product.tariff);
    std::string url = fmt::format("{}?period_from={}&period_to={}&page_size=300", place, utc_text(today, true),
                                  utc_text(today + 72h, true));
    Prices prices{.currency = "GBP"};
    for (int page = 0; page < most_pages && !url.empty(); ++page) {
        const auto rates = parse_octopus(ask(client, {.url = url, .timeout = access.timeout}, place, now));
        prices.slots.insert(prices.slots.end(), rates.slots.begin(), rates.slots.end());
        url = rates.next.value_or("");
        if (!url.empty() && !url.starts_with(access.url + "/")) {
            refuse_answer(who, "next: expected a page of the same server");
        }
    }
    prices.slots = in_order(std::move(prices.slots));
    return prices;
}

}  // namespace

OctopusPage parse_octopus(std::string_view body) {
    constexpr double pence_a_pound = 100;
    constexpr std::size_t largest_page = 1500;
    const auto answer = parse_answer(body, who);
    const auto& results = list_at(answer, "results", who);
    if (results.size() > largest_page) {
        refuse_answer(who, fmt::format("results: {} rates, expected at most {}", results.size(), largest_page));
    }
    OctopusPage page;
    if (const auto next = answer.find("next"); next != answer.end() && next->is_string()) {
        page.next = next->get<std::string>();
    }
    for (std::size_t i = 0; i < results.size(); ++i) {
        const auto& item = results[i];
        const std::string what = fmt::format("{} results[{}]", who, i);
        if (!item.is_object()) {
            refuse_answer(what, "expected an object");
        }
        if (item.value("payment_method", json()) == "NON_DIRECT_DEBIT") {
            continue;
        }
        const PriceSlot slot{.start = open_time_at(item, "valid_from", WallTime::min(), what),
                             .end = open_time_at(item, "valid_to", WallTime::max(), what),
                             .price = number_at(item, "value_inc_vat", pence_a_pound * contract::any_price.min,
                                                pence_a_pound * contract::any_price.max, what) /
                                      pence_a_pound};
        if (slot.end <= slot.start) {
            refuse_answer(what, "valid_to: expected after valid_from");
        }
        page.slots.push_back(slot);
    }
    return page;
}

FetchTariff read_octopus(const config::Section& section, const WebAccess& access, const PriceFormula& formula) {
    const auto bought = read_product(section, "import");
    const auto sold = read_product(section, "export");
    return [=](http::HttpClient& client, WallTime now) {
        std::vector<Tariff> tariffs;
        if (bought) {
            tariffs.push_back(tariff_of(fetch_rates(client, access, *bought, now), formula));
        }
        if (sold) {
            tariffs.push_back(tariff_of(fetch_rates(client, access, *sold, now), {.direction = Direction::sold}));
        }
        return joined(tariffs);
    };
}

}  // namespace ems_bridge
