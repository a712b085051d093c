#include "ems-bridge/tariffs/tariff_config.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "clocks/civil_time.hpp"
#include "contract/topics.hpp"
#include "ems-bridge/tariffs/awattar.hpp"
#include "ems-bridge/tariffs/entsoe.hpp"
#include "ems-bridge/tariffs/octopus.hpp"
#include "ems-bridge/tariffs/tibber.hpp"

namespace ems_bridge {

namespace {

constexpr std::size_t most_windows = 50;

struct WebKind {
    const char* name;
    const char* public_url;
    const char* announced_at;  ///< Local time where the service is at home.
    FetchTariff (*read)(const config::Section&, const WebAccess&, const PriceFormula&);
};

constexpr std::array web_kinds{WebKind{"awattar", "https://api.awattar.de", "14:00", &read_awattar},
                               WebKind{"tibber", "https://api.tibber.com", "13:00", &read_tibber},
                               WebKind{"octopus", "https://api.octopus.energy", "16:00", &read_octopus},
                               WebKind{"entsoe", "https://web-api.tp.entsoe.eu", "13:00", &read_entsoe}};

std::optional<double> read_price(const config::Section& section, const char* key) {
    return section.optional_number(key, contract::any_price.min, contract::any_price.max);
}

std::optional<double> read_co2(const config::Section& section) {
    return section.optional_number("co2_g_kwh", contract::any_co2_g_kwh.min, contract::any_co2_g_kwh.max);
}

std::optional<std::string> read_currency(const config::Section& section) {
    constexpr std::size_t iso_length = 3;
    if (!section.has("currency")) {
        return std::nullopt;
    }
    std::string currency = section.text("currency");
    const bool is_upper = std::ranges::all_of(currency, [](char c) { return c >= 'A' && c <= 'Z'; });
    if (currency.size() != iso_length || !is_upper) {
        section.report("currency", fmt::format("expected three letters like EUR, got \"{}\"", currency));
    }
    return currency;
}

int read_minute(const config::Section& section, const char* key, const std::string& fallback) {
    const std::string text = section.text_or(key, fallback);
    const auto minute = clocks::parse_time_of_day(text);
    if (!minute) {
        section.report(key, fmt::format(R"(expected a time of day like "22:00", got "{}")", text));
    }
    return minute.value_or(0);
}

// "mon" to "sun", "weekdays" or "weekend"; none: every day.
unsigned read_days(const config::Section& section) {
    constexpr unsigned weekdays = 0b0011111;
    constexpr unsigned weekend = 0b1100000;
    constexpr std::array names{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    if (!section.has("days")) {
        return weekdays | weekend;
    }
    unsigned days = 0;
    for (const auto& name : section.texts_or_none("days")) {
        const auto* const found = std::ranges::find(names, name);
        if (name == "weekdays") {
            days |= weekdays;
        } else if (name == "weekend") {
            days |= weekend;
        } else if (found != names.end()) {
            days |= 1U << static_cast<unsigned>(found - names.begin());
        } else {
            section.report("days", fmt::format("\"{}\" is not one of mon … sun, weekdays, weekend", name));
        }
    }
    return days;
}

FixedWindow read_window(const config::Section& section) {
    for (const char* key : {"from", "to"}) {
        if (!section.has(key)) {
            section.report(key, "missing");
        }
    }
    FixedWindow window{.days = read_days(section),
                       .from_min = read_minute(section, "from", "00:00") % clocks::minutes_per_day,
                       .to_min = read_minute(section, "to", "24:00"),
                       .import_price = read_price(section, "import_price"),
                       .export_price = read_price(section, "export_price"),
                       .co2_g_kwh = read_co2(section)};
    if (window.from_min == window.to_min) {
        section.report("to", "is the same as from; a whole day is from 00:00 to 24:00");
    }
    if (!window.import_price && !window.export_price && !window.co2_g_kwh) {
        section.report("from", "the window says nothing: give import_price, export_price or co2_g_kwh");
    }
    section.reject_unknown_keys();
    return window;
}

void read_fixed(const config::Section& section, TariffConfig& config) {
    FixedTariff tariff{.currency = read_currency(section),
                       .import_price = read_price(section, "import_price"),
                       .export_price = read_price(section, "export_price"),
                       .co2_g_kwh = read_co2(section)};
    config.gives_import = tariff.import_price.has_value();
    config.gives_export = tariff.export_price.has_value();
    config.gives_co2 = tariff.co2_g_kwh.has_value();
    for (const auto& sub : section.sections("windows")) {
        const auto& window = tariff.windows.emplace_back(read_window(sub));
        config.gives_import = config.gives_import || window.import_price;
        config.gives_export = config.gives_export || window.export_price;
        config.gives_co2 = config.gives_co2 || window.co2_g_kwh;
    }
    if (tariff.windows.size() > most_windows) {
        section.report("windows", fmt::format("{} windows, expected at most {}", tariff.windows.size(), most_windows));
    }
    if (!config.gives_import && !config.gives_export && !config.gives_co2) {
        section.report("kind", "the tariff says nothing: give import_price, export_price, co2_g_kwh or windows");
    }
    config.source = std::move(tariff);
}

PriceFormula read_formula(const config::Section& section) {
    constexpr double largest_surcharge = 100;
    constexpr double largest_factor = 10;
    return {.surcharge = section.number_or("surcharge", 0, -largest_surcharge, largest_surcharge),
            .factor = section.number_or("factor", 1, 0, largest_factor),
            .export_price = read_price(section, "export_price")};
}

// Which of its prices the entry is for. Octopus has a product for each.
void read_direction(const config::Section& section, bool is_octopus, TariffConfig& config, PriceFormula& formula) {
    if (is_octopus) {
        config.gives_import = section.has("import");
        config.gives_export = section.has("export");
        if (!config.gives_import && !config.gives_export) {
            section.report("import", "missing: give import, export or both, each with product and tariff");
        }
        if (config.gives_export && formula.export_price) {
            section.report("export_price", "give either export_price or export");
        }
    } else if (section.choice_or("price_of", "import", {"import", "export"}) == "export") {
        formula.direction = Direction::sold;
        config.gives_export = true;
        if (formula.export_price) {
            section.report("export_price", "the service's price is the export price already (price_of)");
        }
    } else {
        config.gives_import = true;
    }
    config.gives_export = config.gives_export || formula.export_price;
}

void read_web(const config::Section& section, const WebKind& kind, TariffConfig& config) {
    constexpr double an_hour_s = 3600;
    constexpr double quarter_s = 900;
    constexpr double day_s = 86400;
    const auto access = read_web_access(section, kind.public_url);
    PriceFormula formula = read_formula(section);
    read_direction(section, std::string_view(kind.name) == "octopus", config, formula);
    config.source = WebTariff{.fetch = kind.read(section, access, formula),
                              .trust = access.trust,
                              .interval = section.seconds_or("interval_s", an_hour_s, quarter_s, day_s),
                              .announced_min = read_minute(section, "announced_at", kind.announced_at)};
}

TariffConfig read_tariff(const config::Section& section, const std::string& name) {
    std::vector<std::string> kinds{"fixed"};
    for (const auto& kind : web_kinds) {
        kinds.emplace_back(kind.name);
    }
    TariffConfig config{.name = name};
    const std::string wanted = section.choice("kind", kinds);
    const auto* const web = std::ranges::find(web_kinds, wanted, &WebKind::name);
    if (web == web_kinds.end()) {
        read_fixed(section, config);
    } else {
        read_web(section, *web, config);
    }
    section.reject_unknown_keys();
    return config;
}

}  // namespace

std::vector<TariffConfig> read_tariffs(const config::Section& section) {
    std::vector<TariffConfig> tariffs;
    const auto check_alone = [&](bool TariffConfig::*gives, const char* what) {
        const TariffConfig& last = tariffs.back();
        const auto other =
            std::find_if(tariffs.begin(), tariffs.end() - 1, [&](const TariffConfig& tariff) { return tariff.*gives; });
        if (last.*gives && other != tariffs.end() - 1) {
            section.report(last.name, fmt::format("gives {}, as {} does already", what, other->name));
        }
    };
    for (const auto& name : section.keys()) {
        if (!contract::is_valid_id(name)) {
            section.report(name, "a name is made of a-z, 0-9, _ and -");
        }
        tariffs.push_back(read_tariff(section.section(name), name));
        check_alone(&TariffConfig::gives_import, "the import price");
        check_alone(&TariffConfig::gives_export, "the export price");
        check_alone(&TariffConfig::gives_co2, "co2_g_kwh");
    }
    section.reject_unknown_keys();  // the same name twice
    return tariffs;
}

}  // namespace ems_bridge
