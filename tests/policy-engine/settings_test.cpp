#include "policy-engine/settings.hpp"

#include <doctest/doctest.h>

#include "config/section.hpp"
#include "policy-engine/config.hpp"
#include "policy-engine/state_file.hpp"
#include "service/service_host.hpp"
#include "storage/atomic_file.hpp"
#include "world.hpp"

using namespace policy_engine;

namespace {

std::string problems_of(const std::string& text) {
    try {
        const config::Document document(text, "test.yaml");
        read_config(document.root());
        document.finish();
        return "";
    } catch (const config::ConfigError& error) {
        return error.what();
    }
}

}  // namespace

TEST_CASE("settings: each takes its good values and refuses the others unchanged") {
    struct Row {
        const char* name;
        const char* good;
        const char* bad;
    };
    const Row rows[] = {{"mode", "min_solar", "turbo"},
                        {"outside_schedule", "off", "scheduled"},
                        {"reserve_w", "-200 W", "lots"},
                        {"min_a", "8A", "4"},
                        {"max_a", "25", "100"},
                        {"import_cap_w", "5000", "-1"},
                        {"battery_priority", "car_first", "first"},
                        {"battery_first_until_pct", "80%", "101"},
                        {"import_price", "0.32", "-0.1"},
                        {"export_price", "0.08", "x"},
                        {"grid_weight", "1.5", "21"},
                        {"min_on_s", "600", "10"},
                        {"min_off_s", "60", "-1"},
                        {"max_starts_per_day", "5", "5.5"},
                        {"rotation_s", "900", "1"},
                        {"stop_by_vehicle", "off", "maybe"},
                        {"top_up_a", "3", "90"},
                        {"top_up_starts", "on", "perhaps"},
                        {"hour_resume_solar", "11.5", "25"},
                        {"non_scheduled_action", "solar", "sun"},
                        {"non_scheduled_a", "10", "3"},
                        {"cheap_price", "-0.02", "cheap"},
                        {"quarter_hour_w", "4500", "100"},
                        {"grid_max_a", "16A", "500"},
                        {"dim_w", R"({"limit_w":4200,"until":"2026-06-01T12:00:00Z"})", "-5"},
                        {"battery_buffer_pct", "80", "101"},
                        {"battery_start_pct", "95", "-1"},
                        {"battery_boost_until_pct", "40", "full"},
                        {"battery_protect", "off", "2"},
                        {"guests", "off", "some"},
                        {"plans", R"([{"charger":"7744","energy_kwh":5,"by":"2026-06-01T12:00:00Z"}])", "[3]"},
                        {"schedule", R"([{"start":"22:00","end":"06:00","flexible":true}])", "{"}};
    for (const auto& row : rows) {
        CAPTURE(row.name);
        Settings settings;
        const auto before = settings_to_json(settings);
        change_setting(settings, row.name, row.good);
        CHECK(settings_to_json(settings).at(row.name) != before.at(row.name));
        const Settings changed = settings;
        CHECK_THROWS(change_setting(settings, row.name, row.bad));
        CHECK(settings == changed);
    }
    Settings settings;
    settings.max_a = 20;
    change_setting(settings, "max_a", "auto");
    CHECK_FALSE(settings.max_a);
    CHECK_THROWS_AS(change_setting(settings, "colour", "red"), service::Rejected);
}

TEST_CASE("settings: of chargers and vehicles, kept in order") {
    Settings settings;
    change_charger_setting(settings, "7745", "priority", "7");
    change_charger_setting(settings, "7744", "mode", "fast");
    change_charger_setting(settings, "7744", "enabled", "off");
    change_vehicle_setting(settings, "blue", "max_a", "13");
    REQUIRE(settings.chargers.size() == 2);
    CHECK(settings.chargers[0].id == "7744");
    CHECK(settings.chargers[0].mode == Mode::fast);
    CHECK_FALSE(settings.chargers[0].enabled);
    CHECK(settings.chargers[1].priority == 7);
    CHECK(settings.vehicles[0].max_a == 13);
    const Settings before = settings;
    CHECK_THROWS_AS(change_charger_setting(settings, "7746", "priority", "11"), service::Rejected);
    CHECK_THROWS_AS(change_charger_setting(settings, "7744", "colour", "1"), service::Rejected);
    CHECK(settings == before);
}

TEST_CASE("settings: survive the way through the state file") {
    const support::TemporaryFolder folder;
    const WallTime now = std::chrono::sys_days(std::chrono::year(2026) / 6 / 1);
    KeptState kept;
    change_setting(kept.settings, "mode", "min_solar");
    change_setting(kept.settings, "max_a", "21");
    change_setting(kept.settings, "schedule",
                   R"([{"start":"22:00","end":"06:00","days":["sat"],"amps":9,"flexible":true}])");
    change_charger_setting(kept.settings, "7744", "mode", "off");
    change_vehicle_setting(kept.settings, "blue", "priority", "3");
    change_override(kept.settings, std::nullopt,
                    Override{.amps = 16, .until = now + std::chrono::hours(2), .source = "x"});
    change_override(kept.settings, "7744", Override{.amps = std::nullopt, .source = "y"});
    kept.starts_day = 7;
    kept.starts = {{"7744", 3}};
    kept.next_seq = 99;
    storage::write_atomically(folder / "state.json", to_text(kept));

    const auto restored = restore(folder / "state.json", {}, now);
    CHECK(restored.problems.empty());
    CHECK(restored.state.settings.schedule == kept.settings.schedule);
    CHECK(restored.state.settings.override_order == kept.settings.override_order);
    CHECK(to_text(restored.state) == to_text(kept));
    CHECK_FALSE(restore(folder / "state.json", {}, now + std::chrono::hours(3)).state.settings.override_order);
}

TEST_CASE("settings: a damaged state file is kept aside and explained") {
    const support::TemporaryFolder folder;
    for (const char* text : {"", "{", "[]", "{}", R"({"schema":9})", "\xff\xfe"}) {
        CAPTURE(text);
        storage::write_atomically(folder / "state.json", text);
        const auto restored = restore(folder / "state.json", {}, {});
        REQUIRE(restored.problems.size() == 1);
        CHECK(restored.problems[0].find("state.json.corrupt") != std::string::npos);
        CHECK(restored.state.settings == Settings{});
        CHECK(std::filesystem::exists(folder / "state.json.corrupt"));
        CHECK_FALSE(std::filesystem::exists(folder / "state.json"));
    }
    storage::write_atomically(folder / "state.json", R"({"schema":1,"settings":{"mode":"turbo","min_a":8}})");
    const auto partly = restore(folder / "state.json", {}, {});
    CHECK(partly.problems.size() == 1);
    CHECK(partly.state.settings.min_a == 8);
    CHECK(partly.state.settings.mode == Mode::solar);
    CHECK(restore(folder / "absent.json", {}, {}).problems.empty());
}

TEST_CASE("config: the shipped file loads and says what the defaults are") {
    const auto text = config::read_file(std::string(SOURCE_DIR) + "/config/policy-engine.yaml");
    const config::Document document(text, "policy-engine.yaml");
    document.root().raw("mqtt");
    document.root().raw("home_assistant");
    const auto shipped = read_config(document.root());
    document.finish();
    const config::Document empty("{}", "empty.yaml");
    const auto defaults = read_config(empty.root());
    CHECK(shipped.core == defaults.core);
    CHECK(shipped.defaults == defaults.defaults);
    CHECK(shipped.state_file == defaults.state_file);
    CHECK(defaults.defaults == Settings{});
    CHECK(defaults.core == Config{});
}

TEST_CASE("config: a misspelt key is refused in each section") {
    CHECK(problems_of("{}").empty());
    for (const char* text :
         {"sitee: {}", "site: {phase: 1}", "prices: {imports: 1}", "policy: {modes: solar}",
          "policy: {stale: {hold_s: 3}}", "chargers: {\"7744\": {maxa: 3}}", "vehicles: {blue: {van: x}}"}) {
        CAPTURE(text);
        CHECK(problems_of(text).find("unknown key") != std::string::npos);
    }
    for (const char* text : {"site: {phases: 4}", "policy: {mode: turbo}", "policy: {min_on_s: 5}",
                             "policy: {lease_s: 60}", "chargers: {\"77/44\": {}}", "chargers: {\"7744\": {line: 4}}",
                             "policy: {stale: {hold_after_s: 100}}", "vehicles: {blue: {max_a: 200}}"}) {
        CAPTURE(text);
        CHECK_FALSE(problems_of(text).empty());
    }
}
