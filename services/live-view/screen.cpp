#include "live-view/screen.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "clocks/civil_time.hpp"

namespace live_view {

namespace {

constexpr std::array<const char*, 4> core_services{"twc-bus", "ems-bridge", "tesla-bridge", "policy-engine"};

// ---- words ----------------------------------------------------------------------------------------------------

std::string clock_text(contract::WallTime time) {
    constexpr int minutes_an_hour = 60;
    const auto clock = clocks::civil_time(time);
    return fmt::format("{:02}:{:02}:{:02}", clock.minute / minutes_an_hour, clock.minute % minutes_an_hour,
                       clock.second);
}

std::string duration_text(double seconds) {
    constexpr int minute = 60;
    constexpr int hour = 3600;
    const auto whole = static_cast<long>(std::lround(std::max(0.0, seconds)));
    if (whole < 2L * minute) {
        return fmt::format("{} s", whole);
    }
    if (whole < 2L * hour) {
        return fmt::format("{} min", whole / minute);
    }
    return fmt::format("{} h {:02} min", whole / hour, whole % hour / minute);
}

std::string amps_text(std::optional<double> amps) { return amps ? fmt::format("{:.1f} A", *amps) : "? A"; }

std::string kilowatts_text(std::optional<double> watts) {
    constexpr double watts_a_step = 10;
    constexpr double steps_a_kilowatt = 100;
    // Rounded first, and + 0.0: never "-0.00".
    return watts ? fmt::format("{:.2f} kW", std::round(*watts / watts_a_step) / steps_a_kilowatt + 0.0) : "? kW";
}

std::string percent_text(std::optional<double> percent) { return percent ? fmt::format("{:.0f} %", *percent) : "? %"; }

bool is_down(const Model& model, const std::string& service) {
    const auto found = model.services.find(service);
    return found != model.services.end() && !found->second;
}

template <class Message>
bool is_stale(const Model& model, const Seen<Message>& seen, const std::string& writer) {
    return !model.connected || seen.age_s > stale_after_s || is_down(model, writer);
}

// ---- the page: rows from top to bottom ------------------------------------------------------------------------

struct Page {
    Canvas canvas;
    int row = 0;

    int rows_left() const { return canvas.height() - row; }
};

void draw_title(Page& page, const Model& model) {
    page.canvas.fill(page.row, Style::title);
    const std::string left = " twc-mqtt  " + model.broker + (model.connected ? "" : "  NOT CONNECTED");
    page.canvas.put(page.row, 0, left, Style::title);
    const std::string right = clock_text(model.now) + "  q quits ";
    page.canvas.put(page.row, std::max(columns(left) + 2, page.canvas.width() - columns(right)), right, Style::title);
    ++page.row;
}

// ---- power flow -----------------------------------------------------------------------------------------------

struct Flow {
    std::string name;
    std::optional<double> watts;
    std::string words;
    Style style = Style::plain;
};

std::string direction(std::optional<double> watts, const char* positive, const char* negative) {
    constexpr double nothing_w = 25;
    if (!watts) {
        return "unknown";
    }
    if (std::abs(*watts) < nothing_w) {
        return "idle";
    }
    return *watts > 0 ? positive : negative;
}

// Known only when every charger says what it draws.
std::optional<double> charging_power(const Model& model) {
    double sum = 0;
    for (const auto& [id, charger] : model.chargers) {
        if (!charger.state || !charger.state->value.power_w) {
            return std::nullopt;
        }
        sum += *charger.state->value.power_w;
    }
    return model.chargers.empty() ? std::nullopt : std::optional(sum);
}

std::optional<double> difference(std::optional<double> whole, std::optional<double> part) {
    return whole && part ? std::optional(*whole - *part) : whole;
}

// The signs are those of the contract: + into the house (grid import, battery discharge), - out of it.
std::array<Flow, 5> power_flow(const Model& model) {
    const contract::SitePower nothing;
    const auto& site = model.site ? model.site->value : nothing;
    const auto cars = charging_power(model);
    const auto battery_words =
        fmt::format("{}  {}", direction(site.battery_w, "discharging", "charging"), percent_text(site.battery_soc_pct));
    const bool has_battery = site.battery_w || site.battery_soc_pct;
    const bool exports = site.grid_w.value_or(0) < 0;
    const auto count = std::ranges::count_if(model.chargers, [](const auto& entry) {
        return entry.second.state && entry.second.state->value.charging.value_or(false);
    });
    return {Flow{"SUN", site.pv_w, site.pv_w ? direction(site.pv_w, "producing", "idle") : "unknown", Style::yellow},
            Flow{"HOUSE", difference(site.house_w, cars), "without cars", Style::blue},
            Flow{"BATTERY", site.battery_w, has_battery ? battery_words : "none seen", Style::cyan},
            Flow{"GRID", site.grid_w, direction(site.grid_w, "importing", "exporting"),
                 exports ? Style::green : Style::red},
            Flow{"CARS", cars, count == 1 ? "1 charging" : fmt::format("{} charging", count), Style::magenta}};
}

// The next "round" power above every flow, so that bars can be compared and do not twitch.
double full_scale(const std::array<Flow, 5>& flows) {
    double largest = 0;
    for (const auto& flow : flows) {
        largest = std::max(largest, std::abs(flow.watts.value_or(0)));
    }
    double scale = 2000;
    while (scale < largest) {
        scale *= 2;
    }
    return scale;
}

void draw_flow(Page& page, const Model& model) {
    constexpr int value_column = 10;
    constexpr int words_column = 23;
    constexpr int bar_column = 43;
    const bool stale = !model.site || is_stale(model, *model.site, "ems-bridge") ||
                       model.site->value.quality == "stale" || model.site->value.quality == "error";
    const auto flows = power_flow(model);
    const int bar_room = page.canvas.width() - bar_column - 1;
    for (const auto& flow : flows) {
        const bool dimmed = stale && flow.name != "CARS";
        const bool is_signed = flow.name == "BATTERY" || flow.name == "GRID";
        const auto value =
            is_signed && flow.watts.value_or(0) > 0 ? "+" + kilowatts_text(flow.watts) : kilowatts_text(flow.watts);
        page.canvas.put(page.row, 1, flow.name, Style::bold);
        page.canvas.put(page.row, value_column, fmt::format("{:>10}", value), dimmed ? Style::dim : flow.style);
        page.canvas.put(page.row, words_column, flow.words, Style::dim, bar_column - words_column - 1);
        if (!dimmed && bar_room > 0) {
            const double share = std::abs(flow.watts.value_or(0)) / full_scale(flows);
            page.canvas.bar(page.row, bar_column, share * bar_room, flow.style);
        }
        ++page.row;
    }
}

std::string sources_in_trouble(const Model& model) {
    std::string list;
    for (const auto& [name, source] : model.sources) {
        if (!source.value.ok) {
            list += (list.empty() ? "" : ", ") + name + (source.value.error ? " (" + *source.value.error + ")" : "");
        }
    }
    return list;
}

// How far the figures above can be trusted.
void draw_data_age(Page& page, const Model& model) {
    if (!model.site) {
        page.canvas.put(page.row++, 1, "power: nothing heard from ems-bridge yet", Style::yellow);
        return;
    }
    const auto& site = *model.site;
    const bool stale = is_stale(model, site, "ems-bridge");
    const bool good = !stale && site.value.quality == "ok";
    const double age_s = site.age_s + site.value.age_s.value_or(0);
    std::string text = fmt::format("power: {}, {} old", stale ? "STALE" : site.value.quality, duration_text(age_s));
    if (model.policy && model.policy->value.surplus_w) {
        text += ", surplus " + kilowatts_text(model.policy->value.surplus_w);
    }
    if (const auto trouble = sources_in_trouble(model); !trouble.empty()) {
        text += ", no data from " + trouble;
    }
    page.canvas.put(page.row++, 1, text, good ? Style::plain : Style::yellow);
}

std::string override_text(const std::optional<Seen<contract::OverrideState>>& seen) {
    if (!seen || !seen->value.active) {
        return "no override";
    }
    const auto& forced = seen->value;
    const std::string text = "OVERRIDE " + (forced.amps ? amps_text(forced.amps) : std::string("max"));
    return text + (forced.until ? " until " + clock_text(*forced.until) : " until cleared");
}

// ---- chargers -------------------------------------------------------------------------------------------------

Style state_style(const contract::ChargerState& state) {
    if (state.fault || state.state == "fault") {
        return Style::red;
    }
    return state.charging.value_or(false) ? Style::green : Style::plain;
}

std::string measured_text(const contract::ChargerState& state) {
    std::string text = fmt::format("offered {}, drawn {}", amps_text(state.granted_a ? state.granted_a : state.limit_a),
                                   amps_text(state.current_a));
    text += ", " + kilowatts_text(state.power_w);
    if (state.session_kwh) {
        text += fmt::format(", session {:.2f} kWh", *state.session_kwh);
    }
    return text;
}

std::string state_words(const Model& model, const Charger& charger) {
    if (!charger.state) {
        return "nothing heard";
    }
    const auto& state = charger.state->value;
    if (is_stale(model, *charger.state, "twc-bus") || !charger.online.value_or(true)) {
        return fmt::format("STALE, {} {} ago", state.state, duration_text(charger.state->age_s));
    }
    return state.fault ? "fault: " + *state.fault : state.state;
}

std::string vehicle_text(const Model& model, const std::string& alias) {
    const auto found = model.vehicles.find(alias);
    if (found == model.vehicles.end()) {
        return alias;
    }
    const auto& car = found->second.value;
    std::string text = fmt::format("{} {} → {}", alias, percent_text(car.soc_pct), percent_text(car.charge_limit_pct));
    if (car.sleep_state && *car.sleep_state != "online") {
        text += ", " + *car.sleep_state;
    }
    if (is_stale(model, found->second, "tesla-bridge")) {
        text += ", STALE";
    }
    return text;
}

std::string plan_text(const Model& model, const Charger& charger) {
    if (!charger.policy) {
        return "no target from policy-engine";
    }
    const auto& plan = charger.policy->value;
    std::string text = fmt::format("target {}", amps_text(plan.target_a));
    if (charger.override_state && charger.override_state->value.active) {
        text += ", " + override_text(charger.override_state);
    }
    if (plan.binding_limit) {
        text += ", limited by " + *plan.binding_limit;
    }
    if (plan.countdown_s) {
        text += fmt::format(", next step in {}", duration_text(*plan.countdown_s - charger.policy->age_s));
    }
    if (plan.vehicle) {
        text += "  ·  " + vehicle_text(model, *plan.vehicle);
    }
    if (!plan.enabled) {
        text += "  ·  switched off";
    }
    return is_stale(model, *charger.policy, "policy-engine") ? "STALE: " + text : text;
}

// Three rows, and more for a long reason while `spare` rows are free.
void draw_charger(Page& page, const Model& model, const std::string& id, const Charger& charger, int& spare) {
    constexpr int text_column = 10;
    const bool stale = charger.state && (is_stale(model, *charger.state, "twc-bus") || !charger.online.value_or(true));
    page.canvas.put(page.row, 1, id, Style::bold, text_column - 2);
    Style style = charger.state ? state_style(charger.state->value) : Style::dim;
    if (stale) {
        style = Style::yellow;
    }
    int column = page.canvas.put(page.row, text_column, state_words(model, charger), style);
    if (charger.state) {
        column = std::max(column + 2, text_column + 12);
        page.canvas.put(page.row, column, measured_text(charger.state->value), stale ? Style::dim : Style::plain);
    }
    page.canvas.put(page.row + 1, text_column, plan_text(model, charger),
                    charger.policy && is_stale(model, *charger.policy, "policy-engine") ? Style::yellow : Style::plain);
    page.row += 2;
    const std::string reason = charger.policy ? charger.policy->value.reason : "";
    const auto lines = wrapped(reason, page.canvas.width() - text_column - 1);
    const int extra = std::min(spare, static_cast<int>(lines.size()) - 1);
    spare -= extra;
    for (int i = 0; i < extra; ++i) {
        page.canvas.put(page.row++, text_column, lines[static_cast<std::size_t>(i)], Style::cyan);
    }
    std::string rest;
    for (auto i = static_cast<std::size_t>(extra); i < lines.size(); ++i) {
        rest += (rest.empty() ? "" : " ") + lines[i];
    }
    page.canvas.put(page.row++, text_column, rest, Style::cyan, page.canvas.width() - text_column - 1);
}

void draw_chargers(Page& page, const Model& model, int rows) {
    constexpr int rows_a_charger = 3;
    if (model.chargers.empty()) {
        page.canvas.put(page.row++, 1, "no charger heard yet", Style::yellow);
        return;
    }
    const int count = static_cast<int>(model.chargers.size());
    int fitting = std::min(count, rows / rows_a_charger);
    if (fitting < count && fitting * rows_a_charger == rows) {
        --fitting;  // a row for the note that some are missing
    }
    int spare = fitting == count ? rows - fitting * rows_a_charger : 0;
    int drawn = 0;
    for (const auto& [id, charger] : model.chargers) {
        if (drawn++ == fitting) {
            page.canvas.put(page.row++, 1, fmt::format("and {} more: make the window higher", count - fitting),
                            Style::yellow);
            return;
        }
        draw_charger(page, model, id, charger, spare);
    }
}

// ---- the system -----------------------------------------------------------------------------------------------

void draw_mode(Page& page, const Model& model) {
    if (!model.policy) {
        page.canvas.put(page.row++, 1, "mode unknown: nothing heard from policy-engine yet", Style::yellow);
        return;
    }
    const bool stale = is_stale(model, *model.policy, "policy-engine");
    const auto& policy = model.policy->value;
    int column = page.canvas.put(page.row, 1, "mode ");
    column = page.canvas.put(page.row, column, policy.mode, stale ? Style::yellow : Style::bold);
    column = page.canvas.put(page.row, column, stale ? " (STALE)  ·  " : "  ·  ");
    const auto forced = override_text(model.override_state);
    column = page.canvas.put(page.row, column, forced, forced.starts_with("OVERRIDE") ? Style::yellow : Style::plain);
    page.canvas.put(page.row, column, "  ·  " + policy.reason, Style::dim);
    ++page.row;
}

std::string lease_text(const contract::BusState& bus) {
    if (bus.estop) {
        return "EMERGENCY STOP";
    }
    if (bus.failsafe) {
        return "FAIL-SAFE " + amps_text(bus.failsafe_a) + ", no lease";
    }
    return bus.lease_s ? "lease held" : "no lease";
}

void draw_bus(Page& page, const Model& model) {
    if (!model.bus) {
        page.canvas.put(page.row++, 1, "bus unknown: nothing heard from twc-bus yet", Style::yellow);
        return;
    }
    const auto& bus = model.bus->value;
    const bool stale = is_stale(model, *model.bus, "twc-bus");
    const bool good = !stale && bus.link == "ok" && !bus.failsafe && !bus.estop;
    const auto text =
        fmt::format("bus {}{}  ·  {} granted of {}, {} drawn  ·  {}", bus.link, stale ? " (STALE)" : "",
                    amps_text(bus.granted_a), amps_text(bus.limit_a), amps_text(bus.drawn_a), lease_text(bus));
    page.canvas.put(page.row++, 1, text, good ? Style::plain : Style::yellow);
}

struct ServiceMark {
    const char* before;
    const char* after;
    Style style;
};

ServiceMark service_mark(std::optional<bool> online) {
    if (!online) {
        return {.before = "? ", .after = "", .style = Style::dim};
    }
    return *online ? ServiceMark{.before = "● ", .after = "", .style = Style::green}
                   : ServiceMark{.before = "○ ", .after = " OFF", .style = Style::red};
}

void draw_services(Page& page, const Model& model) {
    int column = 1;
    const auto draw = [&](const std::string& name, std::optional<bool> online) {
        const auto mark = service_mark(online);
        column = page.canvas.put(page.row, column, mark.before + name + mark.after, mark.style) + 2;
    };
    auto others = model.services;
    for (const char* name : core_services) {
        const auto found = others.extract(name);
        draw(name, found.empty() ? std::nullopt : std::optional(found.mapped()));
    }
    for (const auto& [name, online] : others) {
        draw(name, online);
    }
    ++page.row;
}

void draw_problem(Page& page, const Model& model) {
    if (!model.problem.empty()) {
        page.canvas.put(page.row++, 1, "refused " + model.problem, Style::red);
    }
}

}  // namespace

std::string render(const Model& model, const Look& look) {
    constexpr int smallest_width = 40;
    constexpr int smallest_height = 12;
    Page page{Canvas(look)};
    if (look.width < smallest_width || look.height < smallest_height) {
        page.canvas.put(0, 0, "twc-mqtt needs 80x24");
        return page.canvas.text();
    }
    const int footer_rows = 4 + (model.problem.empty() ? 0 : 1);
    draw_title(page, model);
    draw_flow(page, model);
    draw_data_age(page, model);
    page.canvas.rule(page.row++);
    draw_chargers(page, model, page.rows_left() - footer_rows);
    page.canvas.rule(page.row++);
    draw_mode(page, model);
    draw_bus(page, model);
    draw_services(page, model);
    draw_problem(page, model);
    return page.canvas.text();
}

std::string render_line(const Model& model) {
    std::string line = clock_text(model.now) + (model.connected ? "" : " NOT CONNECTED");
    line += " " + (model.policy ? model.policy->value.mode : std::string("mode ?")) + " |";
    for (const auto& flow : power_flow(model)) {
        line += fmt::format(" {} {}", flow.name, kilowatts_text(flow.watts));
    }
    for (const auto& [id, charger] : model.chargers) {
        line += fmt::format(" | {} {}", id, state_words(model, charger));
        if (charger.state) {
            line += ", " + measured_text(charger.state->value);
        }
        if (charger.policy) {
            line += ": " + charger.policy->value.reason;
        }
    }
    Canvas canvas({.width = columns(line), .height = 1, .utf8 = true, .colour = false});
    canvas.put(0, 0, line);
    return canvas.text();
}

}  // namespace live_view
