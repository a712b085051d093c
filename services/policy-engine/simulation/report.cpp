#include "policy-engine/simulation/report.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>

#include <fmt/format.h>

#include "contract/schema.hpp"
#include "contract/timestamp.hpp"
#include "policy-engine/explain.hpp"
#include "policy-engine/schedule.hpp"

namespace policy_engine::simulation {

namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::size_t columns = 100;
constexpr std::size_t name_width = 28;
constexpr std::size_t value_width = 14;
// More chargers than fit side by side are shown below each other.
constexpr std::size_t chargers_per_table = 4;

struct Words {
    Reason reason;
    const char* words;
};

constexpr std::array<Words, 37> reason_words{{{Reason::mode_off, "switched off"},
                                              {Reason::disabled, "disabled by settings"},
                                              {Reason::offline, "charger does not answer"},
                                              {Reason::other_master, "another master decides"},
                                              {Reason::fault, "charger reports a fault"},
                                              {Reason::not_plugged, "no car"},
                                              {Reason::override_off, "override: off"},
                                              {Reason::override_amps, "override: amps"},
                                              {Reason::override_max, "override: maximum"},
                                              {Reason::fast, "fast charging"},
                                              {Reason::scheduled, "inside the schedule"},
                                              {Reason::outside_schedule, "outside the schedule"},
                                              {Reason::rule_off, "not now, by a rule"},
                                              {Reason::rule_amps, "amps by a rule"},
                                              {Reason::rule_max, "maximum by a rule"},
                                              {Reason::no_rule, "no rule matches"},
                                              {Reason::plan, "as planned"},
                                              {Reason::plan_late, "plan cannot wait any longer"},
                                              {Reason::cheap, "the price is low"},
                                              {Reason::minimum_charge, "car below its least charge"},
                                              {Reason::not_allowed, "may not charge here"},
                                              {Reason::not_taken, "the car takes nothing"},
                                              {Reason::surplus, "follows the sun"},
                                              {Reason::minimum, "at the minimum"},
                                              {Reason::no_surplus, "waits for sun"},
                                              {Reason::starting_soon, "about to start"},
                                              {Reason::riding_out, "rides out a cloud"},
                                              {Reason::minimum_on_time, "shortest charge"},
                                              {Reason::minimum_off_time, "shortest pause"},
                                              {Reason::start_budget, "starts used up"},
                                              {Reason::waits_for_turn, "waits for its turn"},
                                              {Reason::no_room, "a limit leaves too little"},
                                              {Reason::stale_hold, "old measurements"},
                                              {Reason::stale_minimum, "old measurements"},
                                              {Reason::stale_stop, "old measurements"},
                                              {Reason::stopping_by_vehicle, "stopped through the car"},
                                              {Reason::stop_without_vehicle, "stopped at the charger"}}};

double rounded(double value, double digits = 1000) { return std::round(value * digits) / digits; }

json rounded_or_null(const std::optional<double>& value, double digits = 1000) {
    return value ? json(rounded(*value, digits)) : json(nullptr);
}

std::string kwh_text(double kwh) { return fmt::format("{:.2f} kWh", rounded(kwh, 100) + 0.0); }

std::string share_text(const std::optional<double>& share) {
    return share ? fmt::format("{:.0f} %", *share * 100) : "-";
}

std::string soc_text(const std::optional<double>& begin_pct, const std::optional<double>& end_pct) {
    return begin_pct && end_pct ? fmt::format("{:.0f} -> {:.0f} %", *begin_pct, *end_pct) : "-";
}

std::string money_text(const Tally& tally, const std::string& currency) {
    const auto value = tally.value();
    const std::string unit = currency.empty() ? "" : " " + currency;
    return value ? fmt::format("{:.2f}{}", rounded(*value, 100) + 0.0, unit) : "-";
}

std::string co2_text(const Tally& co2_g) {
    const auto value = co2_g.value();
    return value && co2_g.known_kwh > 0 ? fmt::format("{:.2f} kg", *value / 1000) : "-";
}

std::string length_text(double length_s) { return length_s > 0 ? duration_text(length_s) : "-"; }

std::string heading(const std::string& text) { return fmt::format("\n{}\n{:-<{}}\n", text, "", columns); }

std::string line(const std::string& name, const std::string& value, const std::string& more = "") {
    return fmt::format("  {:<{}}{:>{}}{}{}\n", name, name_width, value, value_width, more.empty() ? "" : "   ", more);
}

std::string site_table(const SiteRun& run) {
    std::string text = heading("The site");
    text += line("sun", kwh_text(run.pv_kwh), fmt::format("{} of it used here", share_text(run.self_consumption())));
    text += line("house, without cars", kwh_text(run.house_kwh));
    text += line("cars", kwh_text(run.cars().kwh()));
    text += line("imported", kwh_text(run.import_kwh),
                 fmt::format("house and cars got {} from here", share_text(run.self_sufficiency())));
    text += line("exported", kwh_text(run.export_kwh));
    if (run.has_battery) {
        text += line("battery charged", kwh_text(run.charged_kwh),
                     fmt::format("state of charge {}", soc_text(run.soc_begin_pct, run.soc_end_pct)));
        text += line("battery discharged", kwh_text(run.discharged_kwh));
    }
    text += line("peak quarter hour", power_text(run.peak_quarter_hour_w), "highest mean import");
    text += line("bill", money_text(run.bill, run.currency),
                 run.bill.unknown_kwh > 0 ? fmt::format("{} have no price", kwh_text(run.bill.unknown_kwh))
                                          : "import less feed-in");
    text += line("over a limit", run.seconds_over_limit == 0 ? "never" : duration_text(run.seconds_over_limit));
    return text;
}

/// A row of the table of chargers: what it is called, and a cell for each.
struct Row {
    std::string name;
    std::function<std::string(const ChargeMetrics&)> cell;
};

std::vector<Row> metric_rows(const SiteRun& run) {
    const auto part = [](double kwh, const ChargeMetrics& m) {
        return m.kwh() > 0 ? fmt::format("{:.2f} ({:.0f} %)", kwh, 100 * kwh / m.kwh()) : "-";
    };
    std::vector<Row> rows{
        {"plugged in", [](const auto& m) { return length_text(m.plugged_s); }},
        {"charging", [](const auto& m) { return length_text(m.charging_s); }},
        {"energy", [](const auto& m) { return kwh_text(m.kwh()); }},
        {"  from the sun", [part](const auto& m) { return part(m.sun_kwh, m); }},
        {"  from the home battery", [part](const auto& m) { return part(m.battery_kwh, m); }},
        {"  from the grid", [part](const auto& m) { return part(m.grid_kwh, m); }},
        {"cost with lost feed-in", [&run](const auto& m) { return money_text(m.cost, run.currency); }},
        {"CO2 of the grid", [](const auto& m) { return co2_text(m.co2_g); }},
        {"starts / stops", [](const auto& m) { return fmt::format("{} / {}", m.starts, m.stops); }},
        {"set-point changes", [](const auto& m) { return fmt::format("{}", m.set_point_changes); }},
    };
    for (const auto& [limit, limited_s] : run.cars().limited_s) {
        rows.push_back({fmt::format("held by {}", name_of(limit)), [limit = limit](const auto& m) {
                            const auto found = m.limited_s.find(limit);
                            return length_text(found == m.limited_s.end() ? 0 : found->second);
                        }});
    }
    return rows;
}

std::string cell_text(const std::string& text) {
    const std::string cut = text.size() < value_width ? text : text.substr(0, value_width - 1);
    return fmt::format("{:>{}}", cut, value_width);
}

std::string charger_table(const SiteRun& run, std::size_t first, std::size_t last, bool with_sum) {
    std::string names = fmt::format("  {:<{}}", "", name_width);
    std::string cars = fmt::format("  {:<{}}", "car", name_width);
    std::string charges = fmt::format("  {:<{}}", "state of charge", name_width);
    for (std::size_t i = first; i < last; ++i) {
        const auto& charger = run.chargers[i];
        names += cell_text(charger.id);
        cars += cell_text(charger.car);
        charges += cell_text(soc_text(charger.soc_begin_pct, charger.soc_end_pct));
    }
    std::string text = names + (with_sum ? cell_text("together") : "") + "\n" + cars + "\n" + charges + "\n";
    for (const auto& row : metric_rows(run)) {
        text += fmt::format("  {:<{}}", row.name, name_width);
        for (std::size_t i = first; i < last; ++i) {
            text += cell_text(row.cell(run.chargers[i].metrics));
        }
        text += (with_sum ? cell_text(row.cell(run.cars())) : "") + "\n";
    }
    return text;
}

std::string charger_tables(const SiteRun& run) {
    std::string text = heading("Chargers");
    const std::size_t count = run.chargers.size();
    for (std::size_t first = 0; first < count; first += chargers_per_table) {
        const std::size_t last = std::min(count, first + chargers_per_table);
        text += (first > 0 ? "\n" : "") + charger_table(run, first, last, last == count && count > 1);
    }
    return text;
}

std::string reasons_table(const SiteRun& run) {
    std::string text = heading("Why");
    for (const auto& charger : run.chargers) {
        struct Share {
            double length_s = 0;
            int times = 0;
        };
        std::map<Reason, Share> shares;
        for (const auto& [span, reason] : charger.reasons) {
            shares[reason].length_s += static_cast<double>(span.end - span.begin);
            ++shares[reason].times;
        }
        std::vector<std::pair<Reason, Share>> longest(shares.begin(), shares.end());
        std::ranges::stable_sort(longest, std::greater{}, [](const auto& item) { return item.second.length_s; });
        std::string name = charger.id;
        for (const auto& [reason, share] : longest) {
            text += fmt::format("  {:<{}}{:<34}{:>12}   {}\n", name, name_width, words_for(reason),
                                duration_text(share.length_s),
                                share.times == 1 ? "" : fmt::format("{} times", share.times));
            name.clear();
        }
    }
    return text;
}

// At blanks where there are any; what follows stands a little further in.
std::string wrapped(std::string_view words) {
    std::string text;
    std::string indent = "  ";
    while (!words.empty()) {
        const std::size_t room = columns - indent.size();
        std::size_t length = words.size();
        if (length > room) {
            const auto blank = words.rfind(' ', room);
            length = blank == std::string_view::npos || blank == 0 ? room : blank;
        }
        text += indent + std::string(words.substr(0, length)) + "\n";
        words.remove_prefix(std::min(words.size(), length + (words.substr(length).starts_with(' ') ? 1 : 0)));
        indent = "    ";
    }
    return text;
}

std::string remarks(const SiteRun& run) {
    if (run.remarks.empty()) {
        return "";
    }
    std::string text = heading("Good to know");
    for (const auto& remark : run.remarks) {
        text += wrapped(remark);
    }
    return text;
}

json tally_json(const Tally& tally, double digits = 1000) {
    return {{"sum", rounded_or_null(tally.value(), digits)}, {"unknown_kwh", rounded(tally.unknown_kwh)}};
}

json metrics_json(const ChargeMetrics& metrics) {
    json limited_s = json::object();
    for (const auto& [limit, length_s] : metrics.limited_s) {
        limited_s[name_of(limit)] = length_s;
    }
    return {{"ev_kwh", rounded(metrics.kwh())},
            {"sun_kwh", rounded(metrics.sun_kwh)},
            {"battery_kwh", rounded(metrics.battery_kwh)},
            {"grid_kwh", rounded(metrics.grid_kwh)},
            {"cost", tally_json(metrics.cost)},
            {"co2_g", tally_json(metrics.co2_g)},
            {"starts", metrics.starts},
            {"stops", metrics.stops},
            {"set_point_changes", metrics.set_point_changes},
            {"plugged_s", metrics.plugged_s},
            {"charging_s", metrics.charging_s},
            {"limited_s", limited_s}};
}

json series_json(const Series& series) {
    auto list = json::array();
    for (const double value : series) {
        list.push_back(rounded(value, 10));
    }
    return list;
}

json series_json(const OptionalSeries& series, double digits) {
    auto list = json::array();
    for (const auto& value : series) {
        list.push_back(rounded_or_null(value, digits));
    }
    return list;
}

json reasons_json(const SiteRun& run, const ChargerRun& charger) {
    auto list = json::array();
    for (const auto& [span, reason] : charger.reasons) {
        list.push_back({{"start", contract::format_timestamp(run.start + std::chrono::seconds(span.begin))},
                        {"length_s", span.end - span.begin},
                        {"reason_code", name_of(reason)}});
    }
    return list;
}

}  // namespace

std::string clock_text(WallTime time) {
    const int minute = civil_time(time).minute;
    return fmt::format("{:02}:{:02}", minute / 60, minute % 60);
}

// In English whatever the locale, like every other word here.
std::string date_text(WallTime time) {
    constexpr std::array<const char*, 7> days{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                              "Thursday", "Friday", "Saturday"};
    constexpr std::array<const char*, 12> months{"January", "February", "March",     "April",   "May",      "June",
                                                 "July",    "August",   "September", "October", "November", "December"};
    const std::chrono::local_days day{std::chrono::days(civil_time(time).day)};
    const std::chrono::year_month_day date{day};
    return fmt::format("{}, {} {} {}", days.at(std::chrono::weekday(day).c_encoding()),
                       static_cast<unsigned>(date.day()), months.at(static_cast<unsigned>(date.month()) - 1),
                       static_cast<int>(date.year()));
}

std::string period_text(const SiteRun& run) {
    // The last minute may be cut short.
    const WallTime end = std::chrono::ceil<std::chrono::minutes>(run.start + std::chrono::seconds(run.length_s));
    const bool to_midnight = civil_time(end).minute % clocks::minutes_per_day == 0;
    const WallTime last = end - 1s;
    const std::string end_clock = to_midnight ? "24:00" : clock_text(end);
    if (civil_time(run.start).day == civil_time(last).day) {
        return fmt::format("{}, {} to {}", date_text(run.start), clock_text(run.start), end_clock);
    }
    return fmt::format("{}, {} to {}, {}", date_text(run.start), clock_text(run.start), date_text(last), end_clock);
}

const char* words_for(Reason reason) {
    const auto* const found = std::ranges::find(reason_words, reason, &Words::reason);
    return found == reason_words.end() ? name_of(reason) : found->words;
}

std::string text_report(const SiteRun& run) {
    return period_text(run) + "\n" + site_table(run) + charger_tables(run) + reasons_table(run) + remarks(run);
}

json json_report(const SiteRun& run) {
    auto chargers = json::object();
    auto series = json{{"pv_w", series_json(run.pv_w)},
                       {"home_w", series_json(run.house_w)},
                       {"grid_w", series_json(run.grid_w)},
                       {"battery_w", run.has_battery ? series_json(run.battery_w) : json(nullptr)},
                       {"battery_soc_pct", series_json(run.soc_pct, 10)},
                       {"import_price", series_json(run.import_price, 1e5)},
                       {"export_price", series_json(run.export_price, 1e5)}};
    for (const auto& charger : run.chargers) {
        json part = metrics_json(charger.metrics);
        part["car"] = charger.car;
        part["soc_begin_pct"] = rounded_or_null(charger.soc_begin_pct, 10);
        part["soc_end_pct"] = rounded_or_null(charger.soc_end_pct, 10);
        part["reasons"] = reasons_json(run, charger);
        part["series"] = {{"power_w", series_json(charger.power_w)},
                          {"offered_a", series_json(charger.offered_a)},
                          {"soc_pct", series_json(charger.soc_pct, 10)}};
        chargers[charger.id] = std::move(part);
    }
    return {{"start", contract::format_timestamp(run.start)},
            {"length_s", run.length_s},
            {"step_s", run.step_s},
            {"currency", run.currency.empty() ? json(nullptr) : json(contract::valid_utf8(run.currency))},
            {"site",
             {{"pv_kwh", rounded(run.pv_kwh)},
              {"home_kwh", rounded(run.house_kwh)},
              {"import_kwh", rounded(run.import_kwh)},
              {"export_kwh", rounded(run.export_kwh)},
              {"battery_charged_kwh", run.has_battery ? json(rounded(run.charged_kwh)) : json(nullptr)},
              {"battery_discharged_kwh", run.has_battery ? json(rounded(run.discharged_kwh)) : json(nullptr)},
              {"battery_soc_begin_pct", rounded_or_null(run.soc_begin_pct, 10)},
              {"battery_soc_end_pct", rounded_or_null(run.soc_end_pct, 10)},
              {"self_consumption", rounded_or_null(run.self_consumption())},
              {"self_sufficiency", rounded_or_null(run.self_sufficiency())},
              {"peak_quarter_hour_w", std::round(run.peak_quarter_hour_w)},
              {"bill", tally_json(run.bill)},
              {"seconds_over_limit", run.seconds_over_limit}}},
            {"together", metrics_json(run.cars())},
            {"chargers", chargers},
            {"series", series},
            {"remarks", run.remarks}};
}

}  // namespace policy_engine::simulation
