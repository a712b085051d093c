#include "policy-engine/simulation/chart.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>
#include <set>

#include <fmt/format.h>

#include "contract/schema.hpp"
#include "policy-engine/explain.hpp"
#include "policy-engine/schedule.hpp"
#include "policy-engine/simulation/report.hpp"

namespace policy_engine::simulation {

namespace {

using namespace std::chrono_literals;

constexpr double width = 1200;
constexpr double left = 76;
constexpr double right = width - 28;
constexpr double line_height = 22;
constexpr double panel_gap = 44;
constexpr double band_height = 22;
constexpr std::size_t most_points = 1440;
constexpr std::size_t car_colours = 6;

// Colours of things, in light and in dark. Cars are car0 to car5 in turn.
struct Colour {
    const char* name;
    const char* light;
    const char* dark;
};

constexpr std::array<Colour, 14> colours{{{"sun", "#f5b301", "#f5b301"},
                                          {"house", "#94a3b8", "#64748b"},
                                          {"battery", "#10b981", "#34d399"},
                                          {"import", "#dc2626", "#f87171"},
                                          {"export", "#f5b301", "#f5b301"},
                                          {"buy", "#dc2626", "#f87171"},
                                          {"sell", "#b45309", "#fbbf24"},
                                          {"car0", "#2563eb", "#60a5fa"},
                                          {"car1", "#9333ea", "#c084fc"},
                                          {"car2", "#0891b2", "#22d3ee"},
                                          {"car3", "#db2777", "#f472b6"},
                                          {"car4", "#65a30d", "#a3e635"},
                                          {"car5", "#57534e", "#d6d3d1"},
                                          {"none", "#eef1f4", "#232a33"}}};

// Reasons, by what they mean to the owner (one without a colour of its own is slate): amber takes sun, orange holds on,
// blue obeys, grey waits, red is trouble.
constexpr std::array<Colour, 27> reason_colours{{{"mode_off", "#cbd5e1", "#475569"},
                                                 {"disabled", "#cbd5e1", "#475569"},
                                                 {"offline", "#b91c1c", "#ef4444"},
                                                 {"other_master", "#7f1d1d", "#991b1b"},
                                                 {"fault", "#dc2626", "#f87171"},
                                                 {"not_plugged", "#eef1f4", "#232a33"},
                                                 {"override_off", "#64748b", "#94a3b8"},
                                                 {"override_amps", "#1d4ed8", "#3b82f6"},
                                                 {"override_max", "#1e3a8a", "#1d4ed8"},
                                                 {"fast", "#3b82f6", "#60a5fa"},
                                                 {"scheduled", "#7c3aed", "#a78bfa"},
                                                 {"outside_schedule", "#ddd6fe", "#4c1d95"},
                                                 {"surplus", "#f5b301", "#f5b301"},
                                                 {"minimum", "#fde68a", "#a16207"},
                                                 {"no_surplus", "#b6c2d1", "#475569"},
                                                 {"starting_soon", "#86efac", "#22c55e"},
                                                 {"riding_out", "#ea580c", "#ea580c"},
                                                 {"minimum_on_time", "#9a3412", "#9a3412"},
                                                 {"minimum_off_time", "#5eead4", "#14b8a6"},
                                                 {"start_budget", "#f0abfc", "#a21caf"},
                                                 {"waits_for_turn", "#67e8f9", "#0e7490"},
                                                 {"no_room", "#be185d", "#ec4899"},
                                                 {"stale_hold", "#ef4444", "#f87171"},
                                                 {"stale_minimum", "#ef4444", "#f87171"},
                                                 {"stale_stop", "#ef4444", "#f87171"},
                                                 {"stopping_by_vehicle", "#78350f", "#b45309"},
                                                 {"stop_without_vehicle", "#57534e", "#a8a29e"}}};

std::string style() {
    std::string light;
    std::string dark;
    const auto add = [&](const char* prefix, const Colour& colour) {
        constexpr const char* rule = ".{0}{1}{{fill:{2}}}.{0}{1}-line{{stroke:{2}}}";
        fmt::format_to(std::back_inserter(light), rule, prefix, colour.name, colour.light);
        fmt::format_to(std::back_inserter(dark), rule, prefix, colour.name, colour.dark);
    };
    for (const auto& colour : colours) {
        add("", colour);
    }
    for (const auto& colour : reason_colours) {
        add("r-", colour);
    }
    return fmt::format(
        "<style>"
        "text{{font:13px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:#1f2933}}"
        ".title{{font-size:22px;font-weight:600}}.head{{font-weight:600}}.soft{{fill:#66727f}}"
        ".end{{text-anchor:end}}.mid{{text-anchor:middle}}"
        ".ground{{fill:#ffffff}}.grid{{stroke:#e3e8ed;stroke-width:1}}.zero{{stroke:#9aa5b1;stroke-width:1}}"
        ".r{{fill:#8b8fa3}}.area{{fill-opacity:.85}}.pale{{fill-opacity:.28}}"
        ".line{{fill:none;stroke-width:2;stroke-linejoin:round}}{}"
        "@media(prefers-color-scheme:dark){{text{{fill:#e4e9ee}}.soft{{fill:#9aa7b4}}.ground{{fill:#14191f}}"
        ".grid{{stroke:#2a323b}}.zero{{stroke:#66727f}}{}}}"
        "</style>\n",
        light, dark);
}

/// A value per point of the chart: the run's steps, or means of several.
Series coarser(const Series& series, std::size_t together) {
    Series means;
    for (std::size_t begin = 0; begin < series.size(); begin += together) {
        const std::size_t end = std::min(series.size(), begin + together);
        double sum = 0;
        for (std::size_t i = begin; i < end; ++i) {
            sum += series[i];
        }
        means.push_back(sum / static_cast<double>(end - begin));
    }
    return means;
}

OptionalSeries coarser(const OptionalSeries& series, std::size_t together) {
    OptionalSeries firsts;
    for (std::size_t begin = 0; begin < series.size(); begin += together) {
        firsts.push_back(series[begin]);
    }
    return firsts;
}

bool any_known(const OptionalSeries& series) {
    return std::ranges::any_of(series, [](const auto& value) { return value.has_value(); });
}

double highest_of(const Series& series) { return series.empty() ? 0 : *std::ranges::max_element(series); }
double lowest_of(const Series& series) { return series.empty() ? 0 : *std::ranges::min_element(series); }

/// Where a panel lies, and what its heights mean.
struct Panel {
    double top = 0;
    double height = 0;
    Scale scale;

    double y(double value) const { return top + height * (scale.high - value) / (scale.high - scale.low); }
    double bottom() const { return top + height; }
};

/// Draws downwards, one panel after the other.
class Chart {
public:
    explicit Chart(const SiteRun& run)
        : run_(run),
          together_((run.pv_w.size() + most_points - 1) / most_points),
          ticks_(time_ticks(run.start, run.length_s)) {}

    std::string draw();

private:
    struct Key {
        std::string colour;
        std::string text;
        bool is_line = false;
    };

    double x_at(std::size_t second) const {
        return left + (right - left) * static_cast<double>(std::min(second, run_.length_s)) /
                          static_cast<double>(run_.length_s);
    }
    double x_of_point(std::size_t index) const { return x_at(index * together_ * run_.step_s); }

    void add(const std::string& element) { body_ += element + "\n"; }
    void text(double x, double y, const std::string& words, const std::string& classes = "");
    void title();
    void keys(const std::string& head, const std::vector<Key>& entries);
    Panel panel(double height, const Scale& scale, const std::string& unit, double factor, int decimals);
    void time_axis(const Panel& panel, bool labelled);
    std::string outline(const Panel& panel, const Series& series) const;
    void area(const Panel& panel, const Series& from, const Series& to, const std::string& classes);
    void line(const Panel& panel, const Series& series, const std::string& classes);
    void steps(const Panel& panel, const OptionalSeries& series, const std::string& classes);
    void curve(const Panel& panel, const OptionalSeries& series, const std::string& classes);
    void power();
    void grid();
    void prices();
    void charges();
    void reasons();
    void band(const ChargerRun& charger, std::set<Reason>& used);
    void reason_keys(const std::set<Reason>& used);
    std::string car_name(std::size_t index) const;

    const SiteRun& run_;
    std::size_t together_;
    std::vector<TimeTick> ticks_;
    std::string body_;
    double y_ = 0;
};

std::string colour_of_car(std::size_t index) { return fmt::format("car{}", index % car_colours); }

void Chart::text(double x, double y, const std::string& words, const std::string& classes) {
    add(fmt::format(R"(<text x="{:.1f}" y="{:.1f}"{}>{}</text>)", x, y,
                    classes.empty() ? "" : fmt::format(" class=\"{}\"", classes), xml_text(words)));
}

std::string Chart::car_name(std::size_t index) const {
    const auto& charger = run_.chargers[index];
    return charger.car.empty() || charger.car == charger.id ? charger.id
                                                            : fmt::format("{} at {}", charger.car, charger.id);
}

void Chart::title() {
    y_ = 38;
    text(left, y_, period_text(run_), "title");
    y_ += line_height + 2;
    const auto cars = run_.cars();
    std::string figures = fmt::format("Sun {:.1f} kWh", run_.pv_kwh);
    if (const auto used = run_.self_consumption()) {
        figures += fmt::format(" ({:.0f} % used here)", 100 * *used);
    }
    figures += fmt::format("  ·  cars {:.1f} kWh", cars.kwh());
    if (cars.kwh() > 0) {
        figures += fmt::format(" ({:.0f} % from the grid)", 100 * cars.grid_kwh / cars.kwh());
    }
    figures += fmt::format("  ·  house {:.1f} kWh  ·  imported {:.1f} kWh  ·  exported {:.1f} kWh", run_.house_kwh,
                           run_.import_kwh, run_.export_kwh);
    if (const auto cost = cars.cost.value(); cost && cars.cost.known_kwh > 0) {
        figures += fmt::format("  ·  charging cost {:.2f}{}{}", *cost, run_.currency.empty() ? "" : " ", run_.currency);
    }
    text(left, y_, figures, "soft");
}

// Wraps where the line is full; a character is taken to be as wide as most are.
void Chart::keys(const std::string& head, const std::vector<Key>& entries) {
    constexpr double character = 6.9;
    constexpr double swatch = 14;
    constexpr double space = 26;
    y_ += panel_gap;
    text(left, y_, head, "head");
    double x = left + static_cast<double>(head.size()) * 7.6 + space;
    const double begin = x;
    for (const auto& key : entries) {
        const double wide = swatch + 6 + static_cast<double>(key.text.size()) * character;
        if (x + wide > right && x > begin) {
            x = begin;
            y_ += line_height;
        }
        add(key.is_line
                ? fmt::format(R"(<path class="line {}-line" d="M{:.1f} {:.1f}h{}"/>)", key.colour, x, y_ - 4.5, swatch)
                : fmt::format(R"(<rect class="{}" x="{:.1f}" y="{:.1f}" width="{}" height="11" rx="2"/>)", key.colour,
                              x, y_ - 10, swatch));
        text(x + swatch + 6, y_, key.text);
        x += wide + space;
    }
    y_ += 14;
}

Panel Chart::panel(double height, const Scale& scale, const std::string& unit, double factor, int decimals) {
    const Panel panel{.top = y_, .height = height, .scale = scale};
    const auto lines = std::lround((scale.high - scale.low) / scale.step);
    for (long line = 0; line <= lines; ++line) {
        const double value = scale.low + static_cast<double>(line) * scale.step;
        const double shown = std::abs(value) < scale.step / 2 ? 0.0 : value;
        const double y = panel.y(shown);
        add(fmt::format(R"(<path class="{}" d="M{} {:.1f}H{}"/>)", shown == 0 ? "zero" : "grid", left, y, right));
        text(left - 8, y + 4.5, fmt::format("{:.{}f}", shown * factor, decimals), "soft end");
    }
    text(left - 66, panel.top - 13, unit, "soft");
    y_ = panel.bottom();
    return panel;
}

void Chart::time_axis(const Panel& panel, bool labelled) {
    for (const auto& tick : ticks_) {
        const double x = left + (right - left) * tick.part;
        add(fmt::format(R"(<path class="grid" d="M{:.1f} {:.1f}V{:.1f}"/>)", x, panel.top, panel.bottom()));
        if (labelled) {
            text(x, panel.bottom() + 18, tick.label, "soft mid");
        }
    }
    y_ = panel.bottom() + (labelled ? 12 : 0);
}

// Its points from left to right; those in the middle of a level stretch are left out.
std::string Chart::outline(const Panel& panel, const Series& series) const {
    std::string path;
    const auto y_of = [&](std::size_t i) { return std::round(panel.y(series[i]) * 10) / 10; };
    for (std::size_t i = 0; i < series.size(); ++i) {
        const bool inner = i > 0 && i + 1 < series.size();
        if (!inner || y_of(i) != y_of(i - 1) || y_of(i) != y_of(i + 1)) {
            fmt::format_to(std::back_inserter(path), "{}{:.1f} {:.1f}", path.empty() ? "" : "L", x_of_point(i),
                           y_of(i));
        }
    }
    if (!series.empty()) {
        fmt::format_to(std::back_inserter(path), "H{:.1f}", right);
    }
    return path;
}

void Chart::area(const Panel& panel, const Series& from, const Series& to, const std::string& classes) {
    if (from == to) {
        return;
    }
    // The lower edge backwards, so that both enclose the area.
    std::string lower = fmt::format("L{:.1f} {:.1f}", right, panel.y(from.back()));
    for (std::size_t i = from.size(); i-- > 0;) {
        const bool inner = i > 0 && i + 1 < from.size();
        if (!inner || from[i] != from[i - 1] || from[i] != from[i + 1]) {
            fmt::format_to(std::back_inserter(lower), "L{:.1f} {:.1f}", x_of_point(i), panel.y(from[i]));
        }
    }
    add(fmt::format(R"(<path class="{}" d="M{}{}Z"/>)", classes, outline(panel, to), lower));
}

void Chart::line(const Panel& panel, const Series& series, const std::string& classes) {
    add(fmt::format(R"(<path class="line {}" d="M{}"/>)", classes, outline(panel, series)));
}

// Prices hold until the next one; where none is known there is no line.
void Chart::steps(const Panel& panel, const OptionalSeries& series, const std::string& classes) {
    std::string path;
    for (std::size_t i = 0; i < series.size(); ++i) {
        const bool begins = series[i] && (i == 0 || !series[i - 1]);
        if (begins) {
            fmt::format_to(std::back_inserter(path), "M{:.1f} {:.1f}", x_of_point(i), panel.y(*series[i]));
        } else if (series[i] && series[i] != series[i - 1]) {
            fmt::format_to(std::back_inserter(path), "H{:.1f}V{:.1f}", x_of_point(i), panel.y(*series[i]));
        }
        if (series[i] && (i + 1 == series.size() || !series[i + 1])) {
            fmt::format_to(std::back_inserter(path), "H{:.1f}", x_of_point(i + 1));
        }
    }
    add(fmt::format(R"(<path class="line {}" d="{}"/>)", classes, path));
}

void Chart::curve(const Panel& panel, const OptionalSeries& series, const std::string& classes) {
    std::string path;
    for (std::size_t i = 0; i < series.size(); ++i) {
        if (series[i]) {
            const bool begins = i == 0 || !series[i - 1];
            fmt::format_to(std::back_inserter(path), "{}{:.1f} {:.1f}", begins ? "M" : "L", x_of_point(i),
                           panel.y(*series[i]));
        }
    }
    if (!series.empty() && series.back()) {
        fmt::format_to(std::back_inserter(path), "H{:.1f}", right);
    }
    add(fmt::format(R"(<path class="line {}" d="{}"/>)", classes, path));
}

void Chart::power() {
    const Series sun = coarser(run_.pv_w, together_);
    std::vector<Series> edges{Series(sun.size(), 0.0)};
    std::vector<Key> entries{{"sun", "sun", true}, {"house", "house"}};
    std::vector<std::string> classes{"house"};
    const auto stack = [&](const Series& series) {
        Series edge = edges.back();
        for (std::size_t i = 0; i < edge.size(); ++i) {
            edge[i] += std::max(0.0, series[i]);
        }
        edges.push_back(std::move(edge));
    };
    stack(coarser(run_.house_w, together_));
    for (std::size_t i = 0; i < run_.chargers.size(); ++i) {
        stack(coarser(run_.chargers[i].power_w, together_));
        classes.push_back(colour_of_car(i));
        entries.push_back({classes.back(), car_name(i)});
    }
    if (run_.has_battery) {
        Series taken = coarser(run_.battery_w, together_);
        std::ranges::transform(taken, taken.begin(), [](double watts) { return -watts; });
        stack(taken);
        classes.emplace_back("battery");
        entries.push_back({"battery", "into the home battery"});
    }
    keys("Where the power goes", entries);
    const auto drawn = panel(280, scale_for(0, std::max(highest_of(sun), highest_of(edges.back())), 6), "kW", 1e-3, 1);
    time_axis(drawn, true);
    area(drawn, edges.front(), sun, "sun pale");
    for (std::size_t i = 0; i < classes.size(); ++i) {
        area(drawn, edges[i], edges[i + 1], classes[i] + " area");
    }
    line(drawn, sun, "sun-line");
}

void Chart::grid() {
    const Series grid = coarser(run_.grid_w, together_);
    Series imported = grid;
    Series exported = grid;
    std::ranges::transform(grid, imported.begin(), [](double watts) { return std::max(0.0, watts); });
    std::ranges::transform(grid, exported.begin(), [](double watts) { return std::min(0.0, watts); });
    std::vector<Key> entries{{"import", "import"}, {"export", "export"}};
    const Series battery = coarser(run_.battery_w, together_);
    if (run_.has_battery) {
        entries.push_back({"battery", "battery: gives (+), takes (-)", true});
    }
    keys(run_.has_battery ? "Grid and home battery" : "Grid", entries);
    const auto drawn = panel(
        130,
        scale_for(std::min(lowest_of(grid), lowest_of(battery)), std::max(highest_of(grid), highest_of(battery)), 5),
        "kW", 1e-3, 1);
    time_axis(drawn, false);
    const Series zero(grid.size(), 0.0);
    area(drawn, zero, imported, "import area");
    area(drawn, zero, exported, "export area");
    if (run_.has_battery) {
        line(drawn, battery, "battery-line");
    }
}

void Chart::prices() {
    const auto buy = coarser(run_.import_price, together_);
    const auto sell = coarser(run_.export_price, together_);
    if (!any_known(buy) && !any_known(sell)) {
        return;
    }
    double lowest = 0;
    double highest = 0;
    for (const auto* series : {&buy, &sell}) {
        for (const auto& price : *series) {
            lowest = std::min(lowest, price.value_or(0));
            highest = std::max(highest, price.value_or(0));
        }
    }
    keys("Price of a kWh", {{"buy", "import", true}, {"sell", "feed-in", true}});
    const auto scale = scale_for(lowest, highest, 4);
    const auto drawn = panel(90, scale, run_.currency, 1, scale.step < 1 ? 2 : 0);
    time_axis(drawn, false);
    steps(drawn, sell, "sell-line");
    steps(drawn, buy, "buy-line");
}

void Chart::charges() {
    std::vector<Key> entries;
    if (any_known(run_.soc_pct)) {
        entries.push_back({"battery", "home battery", true});
    }
    for (std::size_t i = 0; i < run_.chargers.size(); ++i) {
        if (any_known(run_.chargers[i].soc_pct)) {
            entries.push_back({colour_of_car(i), run_.chargers[i].car, true});
        }
    }
    if (entries.empty()) {
        return;
    }
    keys("State of charge", entries);
    const auto drawn = panel(100, {.low = 0, .high = 100, .step = 50}, "%", 1, 0);
    time_axis(drawn, false);
    if (any_known(run_.soc_pct)) {
        curve(drawn, coarser(run_.soc_pct, together_), "battery-line");
    }
    for (std::size_t i = 0; i < run_.chargers.size(); ++i) {
        if (any_known(run_.chargers[i].soc_pct)) {
            curve(drawn, coarser(run_.chargers[i].soc_pct, together_), colour_of_car(i) + "-line");
        }
    }
}

// One reason a pixel, the one that held longest in it; neighbours of the same are one piece.
void Chart::band(const ChargerRun& charger, std::set<Reason>& used) {
    const auto pixels = static_cast<std::size_t>(right - left);
    const auto second_of = [&](std::size_t pixel) { return pixel * run_.length_s / pixels; };
    std::size_t next = 0;
    const auto reason_at = [&](std::size_t pixel) {
        const std::size_t begin = second_of(pixel);
        const std::size_t end = std::max(begin + 1, second_of(pixel + 1));
        while (next + 1 < charger.reasons.size() && charger.reasons[next].span.end <= begin) {
            ++next;
        }
        std::map<Reason, std::size_t> lengths;
        for (std::size_t i = next; i < charger.reasons.size() && charger.reasons[i].span.begin < end; ++i) {
            const auto& [span, reason] = charger.reasons[i];
            lengths[reason] += std::min(end, span.end) - std::max(begin, span.begin);
        }
        return std::ranges::max_element(lengths, {}, [](const auto& item) { return item.second; })->first;
    };
    for (std::size_t begin = 0; begin < pixels;) {
        const Reason reason = reason_at(begin);
        std::size_t end = begin + 1;
        while (end < pixels && reason_at(end) == reason) {
            ++end;
        }
        const auto clock = [&](std::size_t pixel) {
            return clock_text(run_.start + std::chrono::seconds(second_of(pixel)));
        };
        used.insert(reason);
        add(fmt::format(
            R"(<rect class="r r-{}" x="{}" y="{:.1f}" width="{}" height="{}"><title>{} to {}: {}</title></rect>)",
            name_of(reason), left + static_cast<double>(begin), y_, end - begin, band_height, clock(begin), clock(end),
            xml_text(words_for(reason))));
        begin = end;
    }
}

void Chart::reasons() {
    y_ += panel_gap;
    text(left, y_, "Why", "head");
    y_ += 12;
    const double top = y_;
    std::set<Reason> used;
    for (const auto& charger : run_.chargers) {
        constexpr std::size_t longest_name = 9;
        const bool fits = charger.id.size() <= longest_name;
        text(left - 8, y_ + 15.5, fits ? charger.id : charger.id.substr(0, longest_name - 1) + "…", "soft end");
        band(charger, used);
        y_ += band_height + 4;
    }
    time_axis({.top = top, .height = y_ - top, .scale = {}}, true);
    y_ += line_height;
    reason_keys(used);
}

void Chart::reason_keys(const std::set<Reason>& used) {
    y_ -= panel_gap - 20;
    std::vector<Key> entries;
    std::set<std::string> said;
    for (const Reason reason : used) {
        if (said.insert(words_for(reason)).second) {
            entries.push_back({fmt::format("r r-{}", name_of(reason)), words_for(reason)});
        }
    }
    keys("", entries);
}

std::string Chart::draw() {
    title();
    power();
    y_ += 8;
    grid();
    prices();
    charges();
    reasons();
    const double height = std::ceil(y_ + 14);
    return fmt::format(
               "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
               "height=\"{1:.0f}\" role=\"img\">\n<title>{2}</title>\n",
               width, height, xml_text("Charging on " + period_text(run_))) +
           style() + fmt::format("<rect class=\"ground\" width=\"{:.0f}\" height=\"{:.0f}\"/>\n", width, height) +
           body_ + "</svg>\n";
}

}  // namespace

std::vector<TimeTick> time_ticks(WallTime start, std::size_t length_s) {
    constexpr std::size_t most_ticks = 13;
    constexpr std::array<std::size_t, 10> steps_min{1, 5, 10, 15, 30, 60, 120, 180, 360, 720};
    auto step_min = static_cast<std::size_t>(clocks::minutes_per_day);
    for (const std::size_t candidate : steps_min) {
        if (length_s / 60 / candidate < most_ticks) {
            step_min = candidate;
            break;
        }
    }
    // The last minute may be cut short.
    const WallTime end = std::chrono::ceil<std::chrono::minutes>(start + std::chrono::seconds(length_s));
    const bool one_day = civil_time(start).day == civil_time(end - 1s).day;
    std::vector<TimeTick> ticks;
    for (WallTime moment = std::chrono::ceil<std::chrono::minutes>(start); moment <= end; moment += 1min) {
        const auto clock = civil_time(moment);
        if (static_cast<std::size_t>(clock.minute) % step_min != 0) {
            continue;
        }
        std::string label = clock_text(moment);
        if (clock.minute == 0 && one_day && moment != start) {
            label = "24:00";
        } else if (clock.minute == 0 && !one_day) {
            const std::string date = date_text(moment);
            label = date.substr(0, 3) + date.substr(date.find(' '), date.rfind(' ') - date.find(' '));
        }
        const double part = policy_engine::seconds(moment - start) / static_cast<double>(length_s);
        ticks.push_back({std::min(part, 1.0), std::move(label)});
    }
    return ticks;
}

Scale scale_for(double lowest, double highest, int most_steps) {
    lowest = std::min(0.0, lowest);
    highest = std::max(0.0, highest);
    const double range = highest > lowest ? highest - lowest : 1;
    const double magnitude = std::pow(10, std::floor(std::log10(range / most_steps)));
    double step = magnitude * 10;
    for (const double factor : {1.0, 2.0, 5.0}) {
        if (range / (magnitude * factor) <= most_steps) {
            step = magnitude * factor;
            break;
        }
    }
    const double high = std::ceil(highest / step - 1e-9) * step;
    return {.low = std::floor(lowest / step + 1e-9) * step, .high = highest > lowest ? high : step, .step = step};
}

std::string xml_text(const std::string& text) {
    std::string escaped;
    for (const char c : contract::valid_utf8(text)) {
        switch (c) {
            case '&':
                escaped += "&amp;";
                break;
            case '<':
                escaped += "&lt;";
                break;
            case '>':
                escaped += "&gt;";
                break;
            case '"':
                escaped += "&quot;";
                break;
            case '\'':
                escaped += "&#39;";
                break;
            default:
                // XML 1.0 has no way to write control characters.
                escaped += static_cast<unsigned char>(c) < ' ' ? '?' : c;
        }
    }
    return escaped;
}

std::string svg_chart(const SiteRun& run) { return Chart(run).draw(); }

}  // namespace policy_engine::simulation
