#include "live-view/screen.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <doctest/doctest.h>

using namespace live_view;

namespace {

using namespace std::chrono_literals;

// The clock on the screen is local time: the tests choose the zone, so that it reads the same everywhere.
const bool zone_is_utc = [] {
    setenv("TZ", "UTC", 1);  // NOLINT(concurrency-mt-unsafe): before any thread
    tzset();
    return true;
}();

const contract::WallTime noon{1'772'000'000s + 0s};

const Look plain{.width = 80, .height = 24, .utf8 = true, .colour = false};

std::string file_text(const std::string& name) {
    std::ifstream file(FIXTURE_DIR "/" + name);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// UPDATE_SCREENS=1 in the environment writes the files anew: look at the difference before you commit it.
void check_screen(const std::string& name, const std::string& screen) {
    if (std::getenv("UPDATE_SCREENS") != nullptr) {  // NOLINT(concurrency-mt-unsafe): nobody changes it
        std::ofstream(FIXTURE_DIR "/" + name) << screen << "\n";
    }
    const auto expected = file_text(name);
    CAPTURE(name);
    CHECK(screen + "\n" == expected);
}

Charger a_charger(double granted_a, double current_a, const std::string& reason) {
    contract::ChargerState state{.state = current_a > 1 ? "charging" : "plugged",
                                 .plugged = true,
                                 .charging = current_a > 1,
                                 .limit_a = granted_a,
                                 .granted_a = granted_a,
                                 .current_a = current_a,
                                 .power_w = current_a * 230,
                                 .session_kwh = 1.234};
    contract::PolicyChargerState policy{
        .target_a = granted_a, .reason = reason, .reason_code = "tracking", .vehicle = std::nullopt};
    return {.state = Seen<contract::ChargerState>{state, 0.4},
            .policy = Seen<contract::PolicyChargerState>{policy, 0.2},
            .online = true};
}

Model sunny_day() {
    Model model{.broker = "127.0.0.1:1883", .connected = true, .now = noon};
    contract::SitePower site{.grid_w = -310,
                             .pv_w = 4212,
                             .house_w = 2902,
                             .battery_w = -1000,
                             .battery_soc_pct = 81.4,
                             .quality = "ok",
                             .age_s = 0.6};
    model.site = Seen<contract::SitePower>{site, 0.5};
    contract::BusState bus{.link = "ok",
                           .chargers = {"7744"},
                           .granted_a = 10,
                           .drawn_a = 9.8,
                           .limit_a = 32,
                           .failsafe_a = 6,
                           .lease_s = 28,
                           .reason = "following the lease"};
    model.bus = Seen<contract::BusState>{bus, 1};
    contract::PolicyState policy{.mode = "solar",
                                 .reason = "1 charger follows the sun",
                                 .allocated_a = 10,
                                 .surplus_w = 2310,
                                 .binding_limit = "surplus"};
    model.policy = Seen<contract::PolicyState>{policy, 0.3};
    model.chargers["7744"] = a_charger(10, 9.8, "tracking 2.3 kW of surplus at 1 phase and 231 V");
    auto& plan = model.chargers["7744"].policy->value;
    plan.binding_limit = "surplus";
    plan.vehicle = "modely";
    model.vehicles["modely"].value =
        contract::VehicleState{.soc_pct = 54, .charge_limit_pct = 80, .sleep_state = "online"};
    model.services = {
        {"twc-bus", true}, {"ems-bridge", true}, {"tesla-bridge", true}, {"policy-engine", true}, {"house-sim", true}};
    return model;
}

Model night() {
    Model model = sunny_day();
    model.site->value = contract::SitePower{
        .grid_w = 412, .pv_w = 0, .house_w = 912, .battery_w = 500, .battery_soc_pct = 34, .quality = "ok", .age_s = 1};
    model.chargers["7744"] = a_charger(0, 0, "no sun: waits for 1.4 kW of surplus");
    model.chargers["7744"].policy->value.countdown_s = 61;
    model.chargers["7744"].policy->age_s = 3;
    model.policy->value.surplus_w = -412;
    model.override_state =
        Seen<contract::OverrideState>{contract::OverrideState{.active = true, .amps = std::nullopt}, 5};
    model.chargers["7744"].override_state = Seen<contract::OverrideState>{
        contract::OverrideState{.active = true, .scope = "7744", .amps = 16, .until = noon + 30min}, 5};
    return model;
}

bool fits(const std::string& text, const Look& look) {
    std::istringstream screen(text);
    int lines = 0;
    int longest = 0;
    for (std::string line; std::getline(screen, line); ++lines) {
        longest = std::max(longest, columns(line));
    }
    return lines <= look.height && longest <= look.width;
}

}  // namespace

TEST_CASE("screen: a car charges from the sun") { check_screen("sunny.txt", render(sunny_day(), plain)); }

TEST_CASE("screen: by night an override and a countdown are shown") {
    check_screen("night.txt", render(night(), plain));
}

TEST_CASE("screen: without UTF-8 everything is ASCII") {
    const auto screen = render(sunny_day(), {.width = 80, .height = 24, .utf8 = false, .colour = false});

    check_screen("ascii.txt", screen);
    for (const char c : screen) {
        REQUIRE((c == '\n' || (c >= ' ' && c < 127)));
    }
}

TEST_CASE("screen: stale data is called stale, drawn without bars and never in green") {
    Model model = sunny_day();
    model.site->age_s = 300;
    model.bus->age_s = 200;
    model.chargers["7744"].state->age_s = 130;
    model.services["policy-engine"] = false;
    model.services["twc-bus"] = false;
    model.sources["roof"] = {contract::SourceState{.type = "solaredge", .ok = false, .error = "connection refused"}, 3};
    model.problem = "twc/bus/state: link: got \"odd\", expected one of opening, ok, no_answer, down";

    check_screen("stale.txt", render(model, plain));
    const auto coloured = render(model, {.width = 80, .height = 24});
    const auto charger_line = coloured.substr(coloured.find("7744"), 200);
    CHECK(charger_line.substr(0, charger_line.find('\n')).find("\x1b[0;32m") == std::string::npos);
}

TEST_CASE("screen: three chargers fit on 80 by 24") {
    Model model = sunny_day();
    model.site->value.house_w = 4262;
    model.site->value.grid_w = 1050;
    model.chargers["7745"] = a_charger(6, 5.9, "at its minimum, the rest goes to 7744 which has priority 1");
    model.chargers["7746"] = a_charger(0, 0, "waits for its turn");
    model.chargers["7746"].state->value.fault = "contactor";

    check_screen("three-chargers.txt", render(model, plain));
}

TEST_CASE("screen: what does not fit is announced") {
    Model model = sunny_day();
    model.site->value.house_w = 5620;
    model.site->value.grid_w = 2408;
    model.chargers["7745"] = a_charger(6, 5.9, "second");
    model.chargers["7746"] = a_charger(6, 5.9, "third");

    check_screen("narrow.txt", render(model, {.width = 60, .height = 18, .utf8 = true, .colour = false}));
}

TEST_CASE("screen: before anything is heard it says what is missing") {
    const Model model{.broker = "broker:1883", .connected = false, .now = noon};

    check_screen("nothing.txt", render(model, plain));
}

TEST_CASE("screen: every size gives at most that many lines, none too long") {
    const Model model = sunny_day();
    for (int size = 1; size <= 200; ++size) {
        const Look look{.width = size, .height = 1 + size * 7 % 60, .utf8 = true, .colour = false};
        CAPTURE(size);
        CHECK(fits(render(model, look), look));
    }
}

TEST_CASE("screen: colours appear only when they are wanted") {
    const auto coloured = render(sunny_day(), {.width = 80, .height = 24, .utf8 = true, .colour = true});

    CHECK(coloured.find("\x1b[") != std::string::npos);
    CHECK(render(sunny_day(), plain).find('\x1b') == std::string::npos);
}

TEST_CASE("screen: a power that rounds to nothing has no sign") {
    Model model = sunny_day();
    model.site->value.grid_w = -4;

    CHECK(render_line(model).find("GRID 0.00 kW") != std::string::npos);
}

TEST_CASE("screen: the line for logs holds the flow and every charger") {
    CHECK(render_line(sunny_day()) ==
          "06:13:20 solar | SUN 4.21 kW HOUSE 0.65 kW BATTERY -1.00 kW GRID -0.31 kW CARS 2.25 kW | 7744 charging, "
          "offered 10.0 A, drawn 9.8 A, 2.25 kW, session 1.23 kWh: tracking 2.3 kW of surplus at 1 phase and 231 V");
}
