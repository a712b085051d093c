#include <algorithm>
#include <fstream>
#include <sstream>

#include <doctest/doctest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include "storage/atomic_file.hpp"
#include "world.hpp"

using namespace std::chrono_literals;

TEST_CASE("service: surplus becomes amps end to end, and a falling surplus lowers them at once") {
    World world;
    world.live(3700, 90);
    CHECK(world.limit() == 16);
    CHECK(world.reason_code() == "surplus");
    CHECK(world.retained("twc/policy/state").at("surplus_w").get<double>() == doctest::Approx(3700));

    const auto before = world.published.size();
    world.grid(1150);
    CHECK(world.limit() == 11);
    CHECK(world.published.size() > before);

    world.live(6000, 40);
    CHECK(world.limit() == 26);
}

TEST_CASE("service: the limit is a lease that is renewed with a rising number") {
    World world;
    world.hold(500, {{"7744", 0}}, 60);

    const auto sent = world.sent_to("twc/bus/limit/set");
    REQUIRE(sent.size() >= 8);
    std::int64_t last = 0;
    for (const auto& publication : sent) {
        const auto message = contract::from_text<contract::LimitSet>(publication.payload);
        CHECK(message.ttl_s == 20);
        CHECK(message.seq > last);
        last = message.seq;
        CHECK_FALSE(publication.retained);
        CHECK(publication.qos == 1);
        CHECK(publication.expires_after == 20s);
    }

    world.stop();
    world.start();
    world.hold(500, {{"7744", 0}}, 2);
    CHECK(contract::from_text<contract::LimitSet>(world.sent_to("twc/bus/limit/set").back().payload).seq > last);
}

TEST_CASE("service: silent measurements are held, then reduced to the minimum, then the charge ends") {
    World world;
    world.live(3700, 90);
    REQUIRE(world.limit() == 16);

    const auto charger_only = [&](int seconds, double amps) {
        for (int i = 0; i < seconds; ++i) {
            world.charger("7744", amps);
            world.loop.run_for(999ms);
        }
    };
    charger_only(60, 16);
    CHECK(world.limit() == 16);
    CHECK(world.reason_code() == "stale_hold");
    charger_only(40, 16);
    CHECK(world.limit() == 6);
    CHECK(world.reason_code() == "stale_minimum");
    charger_only(220, 6);
    CHECK(world.limit() == 0);
    CHECK(world.reason_code() == "stop_without_vehicle");
    charger_only(5, 0);
    CHECK(world.reason_code() == "stale_stop");
}

TEST_CASE("service: a loss that ems-bridge announces leads to the minimum sooner") {
    World world;
    world.live(3700, 90);
    world.send("twc/service/ems-bridge/status", "offline", true);
    for (int i = 0; i < 35; ++i) {
        world.charger("7744", 16);
        world.loop.run_for(999ms);
    }
    CHECK(world.limit() == 6);
}

TEST_CASE("service: every command topic refuses nonsense visibly and changes nothing") {
    World world;
    world.hold(0, {{"7744", 0}}, 2);
    world.send("twc/vehicle/blue/state", contract::VehicleState{});
    const auto settings = world.retained("twc/policy/settings");
    for (const char* topic : {"twc/policy/mode/set", "twc/policy/override/set", "twc/policy/override/7744/set",
                              "twc/policy/schedule/set", "twc/policy/plan/set", "twc/policy/reserve_w/set",
                              "twc/policy/charger/7744/max_a/set", "twc/policy/charger/9999/max_a/set",
                              "twc/policy/vehicle/blue/max_a/set", "twc/policy/vehicle/green/max_a/set"}) {
        for (const char* payload : {"{\"a\":", "", "\xff\xfe", "nonsense"}) {
            CAPTURE(topic);
            CAPTURE(payload);
            const auto before = world.sent_to("twc/service/policy-engine/event").size();
            world.send(topic, payload);
            const auto events = world.sent_to("twc/service/policy-engine/event");
            REQUIRE(events.size() == before + 1);
            const auto event = nlohmann::json::parse(events.back().payload);
            CHECK(event.at("event_type") == "command_rejected");
            CHECK(event.at("topic") == topic);
            CHECK_FALSE(event.at("expected").get<std::string>().empty());
        }
    }
    CHECK(world.retained("twc/policy/settings") == settings);
    CHECK_FALSE(world.retained("twc/policy/override/state").at("active").get<bool>());
}

TEST_CASE("service: a retained command is refused at the next connection") {
    World world;
    world.stop();
    world.send("twc/policy/mode/set", "fast", true);
    world.start();
    world.loop.run_for(100ms);
    CHECK(world.event("command_rejected").at("topic") == "twc/policy/mode/set");
    CHECK(world.retained("twc/policy/settings").at("mode") == "solar");
}

TEST_CASE("service: settings and overrides survive a restart, with their absolute end") {
    World world;
    world.hold(0, {{"7744", 0}}, 2);
    world.send("twc/policy/mode/set", "min_solar");
    world.send("twc/policy/charger/7744/priority/set", "8");
    world.send("twc/policy/override/set", "12 30m");
    world.loop.run_for(100ms);
    CHECK(world.limit() == 12);
    const auto until = world.retained("twc/policy/override/state").at("until");
    CHECK(world.retained("twc/policy/settings").at("mode") == "min_solar");

    world.stop();
    world.loop.run_for(60s);
    world.start();
    world.hold(0, {{"7744", 0}}, 2);
    CHECK(world.limit() == 12);
    CHECK(world.retained("twc/policy/override/state").at("until") == until);
    CHECK(world.retained("twc/policy/settings").at("charger").at("7744").at("priority") == 8);
    CHECK(world.retained("twc/policy/charger/7744/state").at("reason_code") == "override_amps");

    world.loop.run_for(30min);
    CHECK_FALSE(world.retained("twc/policy/override/state").at("active").get<bool>());
}

TEST_CASE("service: an override for one charger leaves the other alone, and clear clears") {
    World world;
    world.hold(0, {{"7744", 0}, {"7745", 0}}, 2);
    world.send("twc/policy/override/7745/set", "10");
    CHECK(world.limit("7745") == 10);
    CHECK(world.limit("7744") == 0);
    CHECK(world.retained("twc/policy/override/7745/state").at("amps") == 10);
    world.send("twc/policy/override/set", "clear");
    CHECK(world.limit("7745") == 0);
    CHECK_FALSE(world.retained("twc/policy/override/7745/state").at("active").get<bool>());
}

TEST_CASE("service: a restart while a car charges neither stops nor starts it") {
    World world;
    world.live(3700, 90);
    REQUIRE(world.limit() == 16);
    const auto before = world.published.size();
    world.stop();
    world.start();
    world.live(3700, 30);
    for (std::size_t i = before; i < world.published.size(); ++i) {
        if (world.published[i].topic == "twc/bus/limit/set") {
            const auto message = contract::from_text<contract::LimitSet>(world.published[i].payload);
            CHECK(message.chargers.at("7744") >= 15);
        }
    }
    CHECK(world.limit() == 16);
    CHECK(world.retained("twc/policy/charger/7744/state").at("starts_today") == 1);
}

TEST_CASE("service: dead data that the broker kept is not believed") {
    World world;
    world.stop();
    world.send("twc/ems/state",
               contract::SitePower{.ts = world.loop.wall_now() - 2h, .grid_w = -9000, .quality = "ok", .age_s = 0.1});
    world.send("twc/service/ems-bridge/status", "offline", true);
    world.start();
    for (int i = 0; i < 200; ++i) {
        world.charger("7744", 0);
        world.loop.run_for(1s);
        REQUIRE(world.limit() == 0);
    }
}

TEST_CASE("service: on the bus of another master no limit is sent and no car is commanded") {
    for (const auto* role : {"listen", "slave"}) {
        CAPTURE(role);
        World world;
        world.send("twc/vehicle/blue/availability", "online", true);
        world.send("twc/vehicle/blue/state",
                   contract::VehicleState{
                       .charging_state = "charging", .plugged = true, .at_home = true, .can_command = true});
        world.live(3700, 90);
        REQUIRE(world.limit() == 16);

        world.send("twc/bus/state", contract::BusState{.link = "ok", .role = role, .chargers = {"7744"}});
        const auto sent = world.sent_to("twc/bus/limit/set").size();
        world.hold(5000, {{"7744", 20}}, 120);
        CHECK(world.sent_to("twc/bus/limit/set").size() == sent);
        CHECK(world.sent_to("twc/vehicle/blue/command/charge_stop/set").empty());
        CHECK(world.reason_code() == "other_master");
        CHECK(world.retained("twc/policy/charger/7744/state").at("target_a") == 0);

        world.send("twc/bus/state", contract::BusState{.link = "ok", .role = "master", .chargers = {"7744"}});
        world.live(3700, 120);
        CHECK(world.limit() == 16);
    }
}

TEST_CASE("service: the car is told to stop before the charger is lowered") {
    World world;
    world.send("twc/vehicle/blue/availability", "online", true);
    world.send(
        "twc/vehicle/blue/state",
        contract::VehicleState{.charging_state = "charging", .plugged = true, .at_home = true, .can_command = true});
    world.live(3700, 90);
    REQUIRE(world.limit() == 16);
    CHECK(world.retained("twc/policy/charger/7744/state").at("vehicle") == "blue");
    world.send("twc/policy/mode/set", "off");
    const auto commands = world.sent_to("twc/vehicle/blue/command/charge_stop/set");
    REQUIRE(commands.size() == 1);
    CHECK(commands[0].payload == "1");
    CHECK_FALSE(commands[0].retained);
    CHECK(world.limit() == 6);
    world.charger("7744", 0);
    world.loop.run_for(2s);
    CHECK(world.limit() == 0);

    world.send(
        "twc/vehicle/blue/state",
        contract::VehicleState{.charging_state = "stopped", .plugged = true, .at_home = true, .can_command = true});
    world.send("twc/policy/mode/set", "fast");
    world.hold(0, {{"7744", 0}}, 12);
    CHECK(world.sent_to("twc/vehicle/blue/command/charge_start/set").size() == 1);
}

TEST_CASE("service: without a vehicle link a stop warns once") {
    World world;
    world.live(3700, 90);
    world.send("twc/policy/override/set", "off");
    CHECK(world.limit() == 0);
    CHECK(world.event("warning").at("reason_code") == "stop_without_vehicle");
}

TEST_CASE("service: an unusable state is refused, counted, and changes nothing") {
    World world;
    world.live(3700, 90);
    world.send("twc/ems/state", R"({"grid_w":"much","quality":"ok","missing":[]})");
    CHECK(world.event("message_refused").at("topic") == "twc/ems/state");
    world.loop.run_for(1s);
    CHECK(world.limit() == 16);
}

TEST_CASE("service: a clock jump changes no current") {
    World world;
    world.live(3700, 90);
    world.loop.jump_wall_clock(-86400s);
    world.live(3700, 20);
    CHECK(world.limit() == 16);
    world.loop.jump_wall_clock(86400s * 30);
    world.live(3700, 20);
    CHECK(world.limit() == 16);
}

TEST_CASE("service: a broker outage and return renews the lease at once") {
    World world;
    world.live(3700, 90);
    world.broker.go_down();
    world.loop.run_for(5s);
    const auto before = world.sent_to("twc/bus/limit/set").size();
    world.broker.go_up();
    world.loop.run_for(10ms);
    CHECK(world.sent_to("twc/bus/limit/set").size() > before);
    CHECK(world.limit() >= 6);
}

TEST_CASE("service: a plan is taken, shown, kept over a restart, and charges when it must") {
    World world;
    world.hold(500, {{"7744", 0}}, 3);
    const auto by = contract::format_timestamp(world.loop.wall_now() + 20min);
    world.send("twc/policy/plan/set", R"({"charger":"7744","energy_kwh":3,"by":")" + by + R"("})");
    CHECK(world.retained("twc/policy/settings").at("plans").size() == 1);
    world.hold(500, {{"7744", 0}}, 3);
    CHECK(world.limit() >= 16);  // 3 kWh in 20 min cannot wait
    CHECK(world.reason_code().starts_with("plan"));

    world.stop();
    world.start();
    CHECK(world.retained("twc/policy/settings").at("plans").size() == 1);
    world.send("twc/policy/plan/set", R"({"vehicle":"nobody","soc_pct":80,"by":"07:00"})");
    CHECK(world.event("command_rejected").at("reason") == "no such vehicle");
    world.send("twc/policy/plan/set", "clear");
    CHECK(world.retained("twc/policy/settings").at("plans").empty());
    world.hold(500, {{"7744", 0}}, 3);
    CHECK(world.limit() == 0);
}

TEST_CASE("service: what a plan means is published, and what was charged for it survives a restart") {
    World world;
    CHECK(world.retained("twc/policy/plan/state").at("plans").empty());
    world.hold(-1500, {{"7744", 0}}, 3);
    const auto by = world.loop.wall_now() + 90min;
    world.send("twc/policy/plan/set",
               R"({"charger":"7744","energy_kwh":2,"by":")" + contract::format_timestamp(by) + R"("})");
    world.send("twc/policy/plan/set", R"({"charger":"0102","energy_kwh":2,"by":"23:00"})");
    CHECK(world.event("command_rejected").at("reason") == "no such charger");
    world.hold(-1500, {{"7744", 0}}, 3);
    const auto plan = [&] { return world.retained("twc/policy/plan/state").at("plans").at(0); };
    CHECK(plan().at("state") == "waiting");
    CHECK(plan().at("charger") == "7744");
    CHECK(plan().at("needed_kwh") == 2);
    CHECK(plan().at("can_be_met") == true);
    CHECK(contract::parse_timestamp(plan().at("latest_start").get<std::string>()).value() < by - 15min);
    CHECK(plan().at("runs").size() == 1);

    world.live(3700, 1200);
    const auto charged_kwh = plan().at("charged_kwh").get<double>();
    CHECK(charged_kwh > 0.9);
    world.stop();
    world.start();
    world.live(3700, 3);
    CHECK(plan().at("charged_kwh").get<double>() > charged_kwh - 0.01);
    world.live(3700, 1500);
    CHECK(plan().at("state") == "reached");
    CHECK(world.event("plan_reached").at("charger") == "7744");
}

TEST_CASE("service: an accepted payload cannot write lines of its own into the log") {
    World world;
    world.hold(500, {{"7744", 0}}, 3);
    std::ostringstream log;
    const auto before = spdlog::default_logger();
    spdlog::set_default_logger(
        std::make_shared<spdlog::logger>("forged", std::make_shared<spdlog::sinks::ostream_sink_st>(log)));
    world.send("twc/policy/override/set", "{\"amps\":16,\n\n\"duration_s\":600}");
    world.send("twc/policy/plan/set", "{\"charger\":\"7744\",\n\n\"energy_kwh\":3,\"by\":\"07:00\"}");
    spdlog::set_default_logger(before);
    CHECK(world.retained("twc/policy/override/state").at("active") == true);
    CHECK(world.retained("twc/policy/settings").at("plans").size() == 1);
    CHECK(log.str().find("override for all") != std::string::npos);
    CHECK(log.str().find("plan: ") != std::string::npos);
    CHECK(log.str().find("\n\n") == std::string::npos);
}

TEST_CASE("service: a plan that cannot be met says so once") {
    World world;
    world.hold(500, {{"7744", 0}}, 3);
    world.send("twc/policy/plan/set", R"({"charger":"7744","energy_kwh":200,"by":")" +
                                          contract::format_timestamp(world.loop.wall_now() + 1h) + R"("})");
    world.hold(500, {{"7744", 0}}, 200);
    CHECK(world.event("plan_cannot_be_met").at("needed_kwh") == 200);
    const auto events = world.sent_to("twc/service/policy-engine/event");
    CHECK(std::ranges::count_if(events, [](const auto& sent) {
              return sent.payload.find("plan_cannot_be_met") != std::string::npos;
          }) == 1);
}

TEST_CASE("service: what a state file says of plans is checked, and the rest of it is kept") {
    World world;
    world.send("twc/policy/mode/set", "fast");
    world.stop();
    auto kept = nlohmann::json::parse(storage::read_if_present(world.config.state_file).value());
    kept["pursued"] = {{"7744", {{{"goal", kept["settings"]}, {"deadline", "soon"}, {"charged_kwh", 1}}}}};
    storage::write_atomically(world.config.state_file, kept.dump());
    world.start();
    CHECK(world.event("settings_problem").at("reason").get<std::string>().find("pursued.7744") != std::string::npos);
    CHECK(world.retained("twc/policy/state").at("mode") == "fast");
}

TEST_CASE("service: every limit of all chargers together is shown with what it leaves") {
    policy_engine::ServiceConfig config;
    config.core.site.main_fuse_a = 35;
    config.core.site.wiring_max_a = 40;
    World world(config);
    world.send("twc/policy/mode/set", "fast");
    world.send("twc/policy/dim_w/set", "4200 10m");
    world.send("twc/policy/import_cap_w/set", "5000");
    world.send("twc/policy/quarter_hour_w/set", "6000");
    world.hold(1150, {{"7744", 0}}, 10);
    std::map<std::string, nlohmann::json> limits;
    const auto state = world.retained("twc/policy/state");
    for (const auto& limit : state.at("limits")) {
        limits.emplace(limit.at("name"), limit);
    }
    CHECK(limits.size() == 5);
    CHECK(limits.at("wiring").at("limit_a") == 40);
    CHECK(limits.at("house_l1").at("limit_a") == 35);
    CHECK(limits.at("house_l1").at("room_a") == 30);
    CHECK(limits.at("house_l1").at("reason") == "main fuse, phase 1");
    CHECK(limits.at("import_cap").at("room_w") == 3800);
    CHECK(limits.at("dimming").at("limit_w") == 4200);
    CHECK(limits.at("dimming").at("until").is_string());
    const auto end = contract::parse_timestamp(limits.at("quarter_hour").at("until").get<std::string>()).value();
    CHECK(end > world.loop.wall_now());
    CHECK(end <= world.loop.wall_now() + 15min);
}

TEST_CASE("service: a plan for a state of charge needs the size of the battery") {
    World world;
    world.send("twc/vehicle/blue/state", R"({"soc_pct":50,"plugged":true,"at_home":true,"can_command":true})", true);
    world.send("twc/policy/plan/set", R"({"vehicle":"blue","soc_pct":80,"by":"07:00"})");
    CHECK(world.event("command_rejected").at("expected").get<std::string>().find("vehicles.blue.battery_kwh") == 0);
    CHECK(world.retained("twc/policy/settings").at("plans").empty());
}

TEST_CASE("service: dimming limits all chargers, with an end, and is kept") {
    World world;
    world.send("twc/policy/mode/set", "fast");
    world.hold(500, {{"7744", 0}}, 3);
    REQUIRE(world.limit() > 20);
    world.send("twc/policy/dim_w/set", "4200 10m");
    world.hold(500, {{"7744", 0}}, 2);
    CHECK(world.limit() == 18);
    CHECK(world.retained("twc/policy/charger/7744/state").at("binding_limit") == "dimming");
    world.stop();
    world.start();
    world.hold(500, {{"7744", 0}}, 2);
    CHECK(world.limit() == 18);
    world.hold(500, {{"7744", 0}}, 600);
    CHECK(world.limit() > 20);
    CHECK(world.retained("twc/policy/settings").at("dim_w").is_null());
    world.send("twc/policy/dim_w/set", "lots");
    CHECK(world.event("command_rejected").at("topic") == "twc/policy/dim_w/set");
}

TEST_CASE("service: mode rules shows which rule decides, and why the others do not") {
    World world;
    world.send("twc/policy/mode/set", "rules");
    world.send("twc/policy/non_scheduled_action/set", "solar");
    world.live(3700, 90);
    auto state = world.retained("twc/policy/state");
    CHECK(state.at("mode") == "rules");
    CHECK(state.at("rule").get<std::string>().find("green") != std::string::npos);
    CHECK(state.at("rules").at("charge_now") == "not override.active (0) == 1");
    CHECK(state.at("rules").at("non_scheduled_charging") == "not settings.non_scheduled_action (solar) != solar");
    CHECK(world.limit() == 16);
    world.send("twc/policy/override/set", "10 1h");
    world.live(3700, 3);
    state = world.retained("twc/policy/state");
    CHECK(state.at("rule") == "charge_now");
    CHECK(state.at("rules").at("charge_now") == "active");
    CHECK(world.limit() == 10);
}

TEST_CASE("service: prices arrive on their topic, and slots out of order are refused") {
    World world;
    world.send("twc/policy/cheap_price/set", "0.10");
    world.hold(500, {{"7744", 0}}, 3);
    const auto slot = [&](std::chrono::hours start, double price) {
        return nlohmann::json{{"start", contract::format_timestamp(world.loop.wall_now() + start)},
                              {"end", contract::format_timestamp(world.loop.wall_now() + start + 1h)},
                              {"import_price", price}};
    };
    nlohmann::json tariff{
        {"quality", "ok"}, {"missing", nlohmann::json::array()}, {"slots", {slot(0h, 0.08), slot(1h, 0.30)}}};
    world.send("twc/ems/tariff/state", tariff.dump(), true);
    world.hold(500, {{"7744", 0}}, 2);
    CHECK(world.reason_code() == "cheap");
    CHECK(world.limit() > 20);
    world.send("twc/ems/tariff/state", R"({"quality":"error","missing":["spot"],"slots":[]})", true);
    world.hold(500, {{"7744", 0}}, 2);
    CHECK(world.reason_code() == "cheap");  // what was announced stays true
    std::swap(tariff["slots"][0], tariff["slots"][1]);
    tariff["slots"][1]["import_price"] = 0.5;
    world.send("twc/ems/tariff/state", tariff.dump(), true);
    CHECK(world.event("message_refused").at("reason").get<std::string>().find("slots[1]") != std::string::npos);
    world.hold(500, {{"7744", 0}}, 2);
    CHECK(world.reason_code() == "cheap");
    world.hold(500, {{"7744", 0}}, 3600);
    CHECK(world.limit() == 0);
}

namespace {

/// Notes what it is sent; answers as told.
struct NotingClient : http::HttpClient {
    NotingClient(std::vector<http::Request>& requests, int status) : sent(requests), answer(status) {}
    http::Response send(const http::Request& request) override {
        sent.push_back(request);
        return {.status = answer, .headers = {}, .body = {}};
    }
    std::vector<http::Request>& sent;
    int answer;
};

}  // namespace

TEST_CASE("service: a rule's webhook gets the state, and one that fails is reported and holds nothing up") {
    std::vector<http::Request> sent;
    int status = 200;
    policy_engine::ServiceConfig config;
    config.core.rules.list.front().webhooks.enter = "http://nodered.example/hook?secret=1";
    config.defaults.mode = policy_engine::Mode::rules;
    World world(config, [&] { return std::make_unique<NotingClient>(sent, status); });
    world.hold(500, {{"7744", 0}}, 3);
    CHECK(sent.empty());
    world.send("twc/policy/override/set", "10");
    world.hold(500, {{"7744", 0}}, 2);
    REQUIRE(sent.size() == 1);
    CHECK(sent.front().method == "POST");
    const auto body = nlohmann::json::parse(sent.front().body);
    CHECK(body.at("event") == "enter");
    CHECK(body.at("rule") == "charge_now");
    CHECK(body.at("state").at("mode") == "rules");

    world.send("twc/policy/override/set", "clear");
    world.hold(500, {{"7744", 0}}, 2);
    status = 500;
    world.stop();
    world.start();
    world.send("twc/policy/override/set", "10");
    world.hold(500, {{"7744", 0}}, 2);
    CHECK(world.limit() == 10);
    CHECK(world.event("webhook_failed").at("reason") == "HTTP status 500, expected 2xx");
    CHECK(world.event("webhook_failed").dump().find("secret") == std::string::npos);
}

TEST_CASE("service: another kind of reason is an event, another cloud is not") {
    World world;
    const auto events = [&] {
        std::vector<std::string> kinds;
        for (const auto& publication : world.sent_to("twc/service/policy-engine/event")) {
            const auto event = nlohmann::json::parse(publication.payload);
            if (event.at("event_type") == "reason_changed") {
                kinds.push_back(event.at("kind").get<std::string>());
                CHECK(event.at("reason").get<std::string>().size() > 5);
            }
        }
        return kinds;
    };
    world.live(3700, 300);
    const auto so_far = events();
    REQUIRE(so_far.size() >= 2);
    CHECK(so_far[so_far.size() - 2] == "waiting");
    CHECK(so_far.back() == "sun");
    world.live(900, 20);
    world.live(3700, 60);
    CHECK(events() == so_far);
    world.send("twc/policy/mode/set", "off");
    world.live(3700, 20);
    CHECK(events().back() == "off");
}
