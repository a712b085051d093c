#include "policy-engine/rules.hpp"

#include <doctest/doctest.h>

#include "policy-engine/decide.hpp"
#include "policy-engine/modes.hpp"
#include "policy-engine/read_rules.hpp"
#include "policy-engine/schedule.hpp"
#include "support/local_zone.hpp"

using namespace policy_engine;
using namespace std::chrono_literals;
using support::LocalZone;

namespace {

/// One charger with a car, in mode rules, at a time of day of Monday 2026-06-01 in UTC.
struct Site1 {
    Site1() {
        settings.mode = Mode::rules;
        inputs.site = Site{.grid_w = 0};
        inputs.chargers.push_back({.id = "7744", .plugged = true, .drawn_a = 0, .phases = 1});
        at_hour(12);
    }

    void at_hour(double hour) {
        inputs.wall = std::chrono::sys_days(std::chrono::year(2026) / 6 / 1) +
                      std::chrono::seconds(static_cast<long long>(hour * 3600));
    }

    const Decision& decide_now() {
        inputs.now += 1s;
        inputs.wall += 1s;
        inputs.site->measured_at = inputs.now;
        inputs.chargers.front().received_at = inputs.now;
        last = decide(config, settings, inputs, std::move(last.memory));
        return last;
    }

    const Charger& charger() const { return inputs.chargers.front(); }

    LocalZone zone{"UTC"};
    Config config;
    Settings settings;
    Inputs inputs;
    Decision last;
};

RuleSet rules_from(const std::string& yaml) {
    const config::Document document("rules:\n" + yaml, "policy.yaml");
    auto rules = read_rules(document.root().section("rules"));
    document.finish();
    return rules;
}

std::string problems_of(const std::string& yaml) {
    try {
        rules_from(yaml);
        return "";
    } catch (const config::ConfigError& error) {
        return error.what();
    }
}

}  // namespace

// TWCManager's table (features notes 2.3): charge now, schedule, day and resume hour, non-scheduled action.
TEST_CASE("rules: the default rules decide as TWCManager's five policies do") {
    struct Row {
        bool charge_now;
        bool scheduled;
        bool day;
        bool resumed;
        NonScheduledAction action;
        std::string rule;
        Reason reason;
        double amps;
    };
    using enum NonScheduledAction;
    constexpr double now_a = 20;
    constexpr double window_a = 16;
    constexpr double other_a = 10;
    std::vector<Row> rows;
    for (const auto action : {fixed, none, solar}) {
        for (const bool day : {false, true}) {
            for (const bool resumed : {false, true}) {
                rows.push_back({true, false, day, resumed, action, "charge_now", Reason::override_amps, now_a});
                rows.push_back({true, true, day, resumed, action, "charge_now", Reason::override_amps, now_a});
                rows.push_back({false, true, day, resumed, action, "scheduled_charging", Reason::scheduled, window_a});
                if (day && resumed && action != none) {
                    rows.push_back({false, false, true, true, action, "track_green_energy", Reason::no_surplus, 0});
                } else if (action == solar) {
                    rows.push_back({false, false, day, resumed, action, "non_scheduled_green", Reason::no_surplus, 0});
                } else if (action == none) {
                    // TWCManager's page sets the amps to 0 with this action; here they need not be.
                    rows.push_back({false, false, day, resumed, action, "non_scheduled_charging", Reason::rule_off, 0});
                } else {
                    rows.push_back(
                        {false, false, day, resumed, action, "non_scheduled_charging", Reason::rule_amps, other_a});
                }
            }
        }
    }
    for (const auto& row : rows) {
        CAPTURE(row.rule);
        CAPTURE(row.charge_now);
        CAPTURE(row.scheduled);
        CAPTURE(row.day);
        CAPTURE(row.resumed);
        CAPTURE(static_cast<int>(row.action));
        Site1 site;
        site.at_hour(row.day ? 12 : 3);
        site.settings.non_scheduled_a = other_a;
        site.settings.non_scheduled_action = row.action;
        site.settings.hour_resume_solar = row.resumed ? 0 : 23;
        if (row.charge_now) {
            site.settings.override_order = Override{.amps = now_a, .until = site.inputs.wall + 1h, .source = "test"};
        }
        if (row.scheduled) {
            site.settings.schedule = {
                {.start_min = row.day ? 660 : 120, .end_min = row.day ? 840 : 300, .amps = window_a}};
        }
        const auto& decision = site.decide_now();
        CHECK(decision.rule == row.rule);
        CHECK(decision.chargers.front().reason == row.reason);
        CHECK(decision.chargers.front().target_a == row.amps);
    }
}

TEST_CASE("rules: day ends at sunset to the minute, where the place is known, and at 20 o'clock elsewhere") {
    Site1 site;
    const auto rule_at = [&](double hour) {
        site.at_hour(hour);
        return site.decide_now().rule;
    };
    CHECK(rule_at(5.99) == "non_scheduled_charging");
    CHECK(rule_at(6.01) == "track_green_energy");
    CHECK(rule_at(19.9) == "track_green_energy");
    CHECK(rule_at(20.1) == "non_scheduled_charging");
    site.config.site.place =
        Place{.latitude_deg = 52.52, .longitude_deg = 13.40};  // Berlin, 1 June: 02:48 to 19:20 UTC
    CHECK(rule_at(2.7) == "non_scheduled_charging");
    CHECK(rule_at(2.95) == "track_green_energy");
    CHECK(rule_at(19.2) == "track_green_energy");
    CHECK(rule_at(19.45) == "non_scheduled_charging");
}

TEST_CASE("rules: a window across midnight belongs to the day it begins on") {
    Site1 site;
    site.settings.schedule = {{.days = 1U << 6, .start_min = 22 * 60, .end_min = 6 * 60, .amps = 16}};  // from Sunday
    site.at_hour(3);
    CHECK(site.decide_now().rule == "scheduled_charging");
    site.at_hour(23);
    CHECK(site.decide_now().rule == "non_scheduled_charging");
}

TEST_CASE("rules: a flexible window opens as late as the car's need allows, and never before its start") {
    Site1 site;
    site.config.vehicles = {{.alias = "blue", .battery_kwh = 75}};
    site.inputs.vehicles = {{.alias = "blue", .plugged = true, .at_home = true, .soc_pct = 60, .charge_limit_pct = 80}};
    site.settings.schedule = {{.start_min = 60, .end_min = 7 * 60, .amps = 16, .flexible = true}};
    // 15 kWh at 3.68 kW take 4.08 h; a quarter of an hour more: from 02:40 on.
    site.at_hour(2.5);
    CHECK(site.decide_now().chargers.front().reason != Reason::scheduled);
    site.at_hour(2.8);
    CHECK(site.decide_now().chargers.front().reason == Reason::scheduled);
    site.inputs.vehicles.front().soc_pct = 10;  // more than the window holds
    site.at_hour(0.5);
    CHECK(site.decide_now().chargers.front().reason != Reason::scheduled);
    site.at_hour(1.1);
    CHECK(site.decide_now().chargers.front().reason == Reason::scheduled);
    site.inputs.vehicles.front().soc_pct.reset();
    CHECK(site.decide_now().chargers.front().reason == Reason::scheduled);
}

TEST_CASE("rules: an emergency outranks an override in every mode, and is the only one looked at there") {
    for (const Mode mode : {Mode::fast, Mode::solar, Mode::rules}) {
        Site1 site;
        site.config.rules = rules_from("  emergency: [{name: storm, when: [ems.battery_soc_pct < 20], do: off}]\n");
        site.settings.mode = mode;
        site.settings.override_order = Override{.amps = 16, .until = {}, .source = "test"};
        site.inputs.site->battery_soc_pct = 50;
        CHECK(site.decide_now().chargers.front().target_a == 16);
        CHECK(site.last.rule == (mode == Mode::rules ? "charge_now" : ""));
        site.inputs.site->battery_soc_pct = 19;
        CHECK(site.decide_now().chargers.front().target_a == 0);
        CHECK(site.last.chargers.front().reason == Reason::rule_off);
        CHECK(site.last.rule == "storm");
    }
}

TEST_CASE("rules: before and after stand where TWCManager has them, and override replaces all") {
    const auto names = [](const RuleSet& rules) {
        std::vector<std::string> found;
        for (const auto& rule : rules.list) {
            found.push_back(rule.name);
        }
        return found;
    };
    const auto extended = rules_from("  emergency: [{name: e}]\n  before: [{name: b}]\n  after: [{name: a}]\n");
    CHECK(names(extended) == std::vector<std::string>{"e", "charge_now", "b", "scheduled_charging",
                                                      "track_green_energy", "a", "non_scheduled_charging",
                                                      "non_scheduled_green"});
    CHECK(extended.emergencies == 1);
    CHECK(names(rules_from("  override: [{name: one}, {name: two}]\n")) == std::vector<std::string>{"one", "two"});

    Site1 site;
    site.config.rules = rules_from("  override: [{name: never, when: [time.hour > 24]}]\n");
    CHECK(site.decide_now().chargers.front().reason == Reason::no_rule);
    CHECK(site.last.chargers.front().target_a == 0);
}

TEST_CASE("rules: a restriction narrows a default rule") {
    Site1 site;
    site.config.rules = rules_from("  adjust: {track_green_energy: {restrict: [ems.battery_soc_pct > 90]}}\n");
    CHECK(site.decide_now().rule == "non_scheduled_charging");  // unknown is not more than 90
    site.inputs.site->battery_soc_pct = 95;
    CHECK(site.decide_now().rule == "track_green_energy");
}

TEST_CASE("rules: a latch keeps a rule matching for its time, unless an earlier one matches") {
    Site1 site;
    site.config.rules =
        rules_from("  before: [{name: sunny, when: [ems.pv_w > 3000], do: amps, amps: 10, latch_s: 60}]\n");
    site.inputs.site->pv_w = 4000;
    CHECK(site.decide_now().rule == "sunny");
    site.inputs.site->pv_w = 0;
    for (int i = 0; i < 59; ++i) {
        REQUIRE(site.decide_now().rule == "sunny");
    }
    CHECK(site.decide_now().rule == "track_green_energy");
    site.inputs.site->pv_w = 4000;
    site.decide_now();
    site.inputs.site->pv_w = 0;
    site.settings.override_order = Override{.amps = 8, .until = {}, .source = "test"};
    CHECK(site.decide_now().rule == "charge_now");
}

TEST_CASE("rules: conditions nest, compare values with values, and an unknown one is never met") {
    Site1 site;
    const Circumstances all{site.config, site.settings, site.inputs, site.last.memory};
    const auto met = [&](const std::string& condition) {
        const auto rules = rules_from("  override: [{name: r, when: [" + condition + "]}]\n");
        const bool result = is_met(rules.list.front().when, all);
        CHECK(result == why_not(rules.list.front().when, all).empty());
        return result;
    };
    CHECK(met("{any: [time.hour < 3, {all: [time.weekday == 0, time.month == 6]}]}"));
    CHECK_FALSE(met("{none: [time.weekday == 0]}"));
    CHECK(met("settings.mode == rules"));
    CHECK(met("settings.mode ne solar"));
    CHECK(met("chargers.plugged gte 1"));
    CHECK(met("charger.7744.plugged == true"));
    CHECK_FALSE(met("charger.7799.plugged == false"));
    CHECK_FALSE(met("vehicle.blue.soc_pct < 50"));
    CHECK_FALSE(met("vehicle.blue.soc_pct >= 50"));
    CHECK_FALSE(met("ems.battery_soc_pct != 5"));
    CHECK(met("settings.min_on_s > settings.min_off_s"));

    const auto rules = rules_from("  override: [{name: r, when: [time.hour > 6, ems.pv_w > 100, time.hour < 1]}]\n");
    CHECK(why_not(rules.list.front().when, all) == "not ems.pv_w (not known) > 100");
    site.inputs.site->pv_w = 500;
    CHECK(why_not(rules.list.front().when, all) == "not time.hour (12) < 1");
}

TEST_CASE("rules: what is wrong in a rule is named with its place") {
    CHECK(problems_of("  before: [{name: r, when: [ems.grid < 3]}]\n").find("there is no value \"ems.grid\"") !=
          std::string::npos);
    CHECK(problems_of("  before: [{name: r, when: [ems.grid_w <> 3]}]\n").find("\"<>\" is not a relation") !=
          std::string::npos);
    CHECK(problems_of("  before: [{name: r, when: [ems.grid_w]}]\n").find("is not a comparison") != std::string::npos);
    CHECK(problems_of("  before: [{name: r, when: [3 < 4]}]\n").find("compares nothing") != std::string::npos);
    CHECK(problems_of("  before: [{name: r, when: [{or: [ems.grid_w < 3]}]}]\n").find("expected all, any or none") !=
          std::string::npos);
    CHECK(problems_of("  before: [{name: r, do: amps}]\n").find("amps") != std::string::npos);
    CHECK(problems_of("  before: [{name: r, do: amps, amps: 3}]\n").find("from 5 to 80") != std::string::npos);
    CHECK(problems_of("  before: [{name: r, do: nothing}]\n").find("do") != std::string::npos);
    CHECK(problems_of("  before: [{name: r, wen: []}]\n").find("wen") != std::string::npos);
    CHECK(problems_of("  before: [{name: scheduled_charging}]\n").find("two rules are named \"scheduled_charging\"") !=
          std::string::npos);
    CHECK(problems_of("  adjust: {nightly: {latch_s: 3}}\n").find("not one of the default rules") != std::string::npos);
    CHECK(problems_of("  override: [{name: r}]\n  before: [{name: s}]\n").find("no effect") != std::string::npos);
    CHECK(problems_of("  before: [{name: r, webhooks: {enter: 'ftp://x'}}]\n").find("http://") != std::string::npos);
    CHECK(problems_of("  befor: []\n").find("befor") != std::string::npos);
}

TEST_CASE("rules: webhooks are called on enter, start, stop and exit of the active rule") {
    Site1 site;
    site.config.rules = rules_from(
        "  before:\n"
        "    - {name: sunny, when: [ems.pv_w > 3000], do: amps, amps: 10,\n"
        "       webhooks: {enter: 'http://h/in', start: 'http://h/on', stop: 'http://h/off', exit: 'http://h/out'}}\n");
    site.decide_now();
    CHECK(site.last.webhooks.empty());
    site.inputs.site->pv_w = 4000;
    CHECK(site.decide_now().webhooks == std::vector<WebhookCall>{{"http://h/in", "enter", "sunny", ""}});
    CHECK(site.decide_now().webhooks.empty());
    site.inputs.chargers.front().drawn_a = 10;
    CHECK(site.decide_now().webhooks == std::vector<WebhookCall>{{"http://h/on", "start", "sunny", "7744"}});
    site.inputs.chargers.front().drawn_a = 0;
    CHECK(site.decide_now().webhooks == std::vector<WebhookCall>{{"http://h/off", "stop", "sunny", "7744"}});
    site.inputs.site->pv_w = 0;
    CHECK(site.decide_now().webhooks == std::vector<WebhookCall>{{"http://h/out", "exit", "sunny", ""}});
}

TEST_CASE("rules: a charge limit is set in the car while the rule holds, and set back afterwards") {
    Site1 site;
    site.config.rules = rules_from("  adjust: {charge_now: {vehicle_limit_pct: 90}}\n");
    site.inputs.vehicles = {{.alias = "blue",
                             .can_command = true,
                             .plugged = true,
                             .at_home = true,
                             .soc_pct = 60,
                             .charge_limit_pct = 70}};
    const auto limits_asked = [&] {
        std::vector<double> asked;
        for (int i = 0; i < 400; ++i) {
            for (const auto& command : site.decide_now().commands) {
                if (command.command == "set_limit") {
                    asked.push_back(command.value);
                }
            }
        }
        return asked;
    };
    CHECK(limits_asked().empty());
    site.settings.override_order = Override{.amps = 16, .until = {}, .source = "test"};
    CHECK(limits_asked() == std::vector<double>{90, 90});  // the car has not taken it yet: once every 5 minutes
    site.inputs.vehicles.front().charge_limit_pct = 90;
    CHECK(limits_asked().empty());
    site.settings.override_order.reset();
    CHECK(limits_asked().front() == 70);
    site.inputs.vehicles.front().charge_limit_pct = 70;
    CHECK(limits_asked().empty());
}
