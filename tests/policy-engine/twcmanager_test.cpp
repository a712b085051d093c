#include "policy-engine/twcmanager.hpp"

#include <doctest/doctest.h>

#include "messaging/in_memory_broker.hpp"
#include "policy-engine/override.hpp"
#include "scheduling/simulated_loop.hpp"

using namespace policy_engine;
using namespace std::chrono_literals;

namespace {

/// A broker, the mirror, and a front end that was made for TWCManager.
struct Bench {
    explicit Bench(TwcManagerConfig config = {.enabled = true}) {
        broker.tap([this](const std::string& client, const messaging::Publication& publication) {
            if (client == "policy-engine" && !publication.topic.ends_with("/info") &&
                !publication.topic.ends_with("/metrics")) {
                published.push_back(publication);
            }
        });
        start(std::move(config));
    }

    void start(TwcManagerConfig config) {
        mirror = std::make_unique<TwcManagerMirror>(std::move(config), environment, host,
                                                    [this](const messaging::Delivery& command) {
                                                        if (refuse) {
                                                            throw service::Rejected("no", "yes");
                                                        }
                                                        obeyed.push_back(command);
                                                    });
        loop.run_for(10ms);
    }

    void send(const std::string& topic, const std::string& payload, bool retained = false) {
        others->publish({.topic = topic, .payload = payload, .retained = retained, .qos = 1});
        loop.run_for(10ms);
    }

    std::vector<nlohmann::json> rejections() const {
        std::vector<nlohmann::json> found;
        for (const auto& publication : published) {
            if (publication.topic == "twc/service/policy-engine/event") {
                found.push_back(nlohmann::json::parse(publication.payload));
            }
        }
        return found;
    }

    std::vector<std::string> sent_to(const std::string& topic) const {
        std::vector<std::string> payloads;
        for (const auto& publication : published) {
            if (publication.topic == topic) {
                payloads.push_back(publication.payload);
            }
        }
        return payloads;
    }

    scheduling::SimulatedLoop loop;
    messaging::InMemoryBroker broker{loop};
    std::vector<messaging::Publication> published;
    std::vector<messaging::Delivery> obeyed;
    bool refuse = false;
    std::unique_ptr<messaging::InMemoryClient> others = broker.connect("others");
    std::unique_ptr<messaging::InMemoryClient> bus = broker.connect("policy-engine");
    scheduling::SimulatedWorkerFactory workers{loop};
    service::Environment environment{loop, workers, *bus, contract::Topics("twc"), "policy-engine", true};
    service::ServiceHost host{environment, [](nlohmann::json& /*metrics*/) {}};
    std::unique_ptr<TwcManagerMirror> mirror;
};

const contract::ChargerState charging{.state = "charging",
                                      .state_code = 1,
                                      .charging = true,
                                      .limit_a = 16,
                                      .granted_a = 16,
                                      .current_a = 15.25,
                                      .power_w = 3507.5,
                                      .voltage_l1_v = 229.8,
                                      .lifetime_kwh = 2201.4,
                                      .vin = "5YJ3E1EA7JF000001",
                                      .max_a = 32};

}  // namespace

TEST_CASE("TWCManager: its control messages become our own commands") {
    const auto now = std::chrono::system_clock::time_point(std::chrono::hours(500000));
    const auto charge_now = own_command("chargeNow", " 24, 3600 ");
    CHECK(charge_now.setting == "override");
    const auto order = parse_override(charge_now.payload, now, "");
    REQUIRE(order.order);
    CHECK_FALSE(order.charger);
    CHECK(order.order->amps == 24);
    CHECK(order.order->until == now + 1h);
    CHECK_FALSE(order.order->source.empty());

    CHECK(own_command("chargeNowEnd", "") == OwnCommand{"override", "clear"});
    CHECK(own_command("chargeNowEnd", "1") == OwnCommand{"override", "clear"});
    CHECK(own_command("nonScheduledAmpsMax", "0") == OwnCommand{"non_scheduled_a", "0"});
    CHECK(own_command("nonScheduledAmpsMax", "16") == OwnCommand{"non_scheduled_a", "16"});
    CHECK(own_command("nonScheduledAction", "1") == OwnCommand{"non_scheduled_action", "fixed"});
    CHECK(own_command("nonScheduledAction", "2") == OwnCommand{"non_scheduled_action", "none"});
    CHECK(own_command("nonScheduledAction", "3") == OwnCommand{"non_scheduled_action", "solar"});
}

TEST_CASE("TWCManager: control messages that mean nothing are refused with what is expected") {
    const std::pair<const char*, const char*> rows[] = {
        {"chargeNow", ""},
        {"chargeNow", "16"},
        {"chargeNow", "16,"},
        {"chargeNow", ",60"},
        {"chargeNow", "4,60"},
        {"chargeNow", "81,60"},
        {"chargeNow", "16,0"},
        {"chargeNow", "16,-5"},
        {"chargeNow", "16.5,60"},
        {"chargeNow", "16,60,1"},
        {"chargeNow", "16;60"},
        {"chargeNow", "-16,60"},
        {"chargeNow", "99999999999,60"},
        {"chargeNow", "16,99999999"},
        {"chargeNow", "\xff"},
        {"nonScheduledAmpsMax", ""},
        {"nonScheduledAmpsMax", "-1"},
        {"nonScheduledAmpsMax", "81"},
        {"nonScheduledAmpsMax", "6.5"},
        {"nonScheduledAction", "0"},
        {"nonScheduledAction", "4"},
        {"nonScheduledAction", "green"},
        {"stop", "1"},
        {"stop", ""},
        {"chargenow", "16,60"},
        {"", ""},
    };
    for (const auto& row : rows) {
        CAPTURE(std::string(row.first));
        CAPTURE(std::string(row.second));
        std::string expected;
        try {
            own_command(row.first, row.second);
        } catch (const service::Rejected& error) {
            expected = error.expected();
        }
        CHECK_FALSE(expected.empty());
    }
}

TEST_CASE("TWCManager: our states read as its status topics") {
    CHECK(mirror_of("ab12", charging) == MirrorTopics{{"AB12/ampsMax", "32.0"},
                                                      {"AB12/ampsInUse", "15.25"},
                                                      {"AB12/ampsOffered", "16.0"},
                                                      {"AB12/state", "1"},
                                                      {"AB12/carsCharging", "True"},
                                                      {"AB12/chargerLoadInW", "3508"},
                                                      {"AB12/lifetimekWh", "2201"},
                                                      {"AB12/voltagePhaseA", "230"},
                                                      {"AB12/voltagePhaseB", ""},
                                                      {"AB12/voltagePhaseC", ""},
                                                      {"AB12/currentVehicleVIN", "5YJ3E1EA7JF000001"},
                                                      {"AB12/lastVehicleVIN", "5YJ3E1EA7JF000001"}});
    const auto unknown = mirror_of("7744", contract::ChargerState{.charging = false});
    CHECK(unknown.at("7744/carsCharging") == "False");
    CHECK(unknown.at("7744/ampsInUse").empty());
    CHECK(unknown.at("7744/currentVehicleVIN").empty());
    CHECK_FALSE(unknown.contains("7744/lastVehicleVIN"));
    CHECK(mirror_of("7744", contract::PolicyChargerState{.target_a = 12}) ==
          MirrorTopics{{"7744/ampsDesired", "12.0"}});
    CHECK(mirror_of(contract::BusState{.drawn_a = 31.5, .charger_min_a = 6}) ==
          MirrorTopics{{"all/totalAmpsInUse", "31.5"}, {"config/minAmpsPerTWC", "6.0"}});
    CHECK(mirror_of(contract::PolicyState{.mode = "solar", .allocated_a = 16}) ==
          MirrorTopics{{"all/maxAmpsForSlaves", "16.0"}, {"all/currentPolicy", "Track Green Energy"}});
}

TEST_CASE("TWCManager: the current policy has its name for what comes closest") {
    const std::pair<const char*, const char*> rules[] = {{"charge_now", "Charge Now"},
                                                         {"scheduled_charging", "Scheduled Charging"},
                                                         {"track_green_energy", "Track Green Energy"},
                                                         {"non_scheduled_charging", "Non Scheduled Charging"},
                                                         {"non_scheduled_green", "Track Green Energy"},
                                                         {"Below 10 ct", "Below 10 ct"}};
    for (const auto& [rule, name] : rules) {
        CHECK(mirror_of(contract::PolicyState{.rule = rule}).at("all/currentPolicy") == name);
    }
    const std::pair<const char*, const char*> modes[] = {{"off", "Non Scheduled Charging"},
                                                         {"solar", "Track Green Energy"},
                                                         {"min_solar", "Track Green Energy"},
                                                         {"fast", "Charge Now"},
                                                         {"scheduled", "Scheduled Charging"}};
    for (const auto& [mode, name] : modes) {
        CHECK(mirror_of(contract::PolicyState{.mode = mode}).at("all/currentPolicy") == name);
    }
}

TEST_CASE("TWCManager: a control message is carried out as if it had come on our own topic") {
    Bench bench;
    bench.send("TWC/control/chargeNow", "16,1800");
    bench.send("TWC/control/chargeNowEnd", "");
    REQUIRE(bench.obeyed.size() == 2);
    CHECK(bench.obeyed[0].topic == "twc/policy/override/set");
    CHECK(bench.obeyed[1].payload == "clear");
    CHECK(bench.rejections().empty());

    bench.send("TWC/control/stop", "1");
    bench.send("TWC/control/chargeNow", "16,x");
    bench.refuse = true;
    bench.send("TWC/control/nonScheduledAction", "3");
    CHECK(bench.obeyed.size() == 2);
    const auto rejections = bench.rejections();
    REQUIRE(rejections.size() == 3);
    CHECK(rejections[0].at("event_type") == "command_rejected");
    CHECK(rejections[0].at("topic") == "TWC/control/stop");
    CHECK(rejections[1].at("value") == "16,x");
    CHECK(rejections[2].at("expected") == "yes");
}

TEST_CASE("TWCManager: a retained control message is refused, and its removal is not") {
    Bench bench({.enabled = false});
    bench.send("TWC/control/chargeNow", "16,1800", true);
    bench.start({.enabled = true});
    CHECK(bench.obeyed.empty());
    REQUIRE(bench.rejections().size() == 1);
    CHECK(bench.rejections()[0].at("reason").get<std::string>().find("retained") != std::string::npos);
    bench.mirror.reset();
    bench.send("TWC/control/chargeNow", "", true);
    bench.start({.enabled = true});
    CHECK(bench.rejections().size() == 1);
}

TEST_CASE("TWCManager: status is sent on change, at most once a second a topic, and the last change always") {
    Bench bench;
    contract::ChargerState state = charging;
    for (int i = 0; i < 50; ++i) {
        state.current_a = 10 + 0.1 * i;
        bench.mirror->update("7744", state);
        bench.loop.run_for(50ms);
    }
    bench.loop.run_for(2s);
    const auto sent = bench.sent_to("TWC/7744/ampsInUse");
    CHECK(sent.size() >= 3);
    CHECK(sent.size() <= 4);
    CHECK(sent.front() == "10.0");
    CHECK(sent.back() == "14.9");
    CHECK(bench.sent_to("TWC/7744/ampsMax").size() == 1);
    CHECK(bench.broker.retained("TWC/7744/ampsInUse") == "14.9");
    for (const auto& publication : bench.published) {
        CHECK((publication.retained && publication.qos == 0));
    }

    // What moved and came back within the second was no news.
    const auto before = bench.published.size();
    state.current_a = 3;
    bench.mirror->update("7744", state);
    state.current_a = 4;
    bench.mirror->update("7744", state);
    state.current_a = 3;
    bench.mirror->update("7744", state);
    bench.loop.run_for(5s);
    CHECK(bench.published.size() == before + 1);
}

TEST_CASE("TWCManager: a charger that is gone leaves nothing behind, and a car that left leaves its last VIN") {
    Bench bench;
    bench.broker.go_down();
    bench.mirror->update("7744", charging);
    bench.loop.run_for(2s);
    bench.broker.go_up();
    bench.loop.run_for(1s);
    CHECK(bench.broker.retained("TWC/7744/state") == "1");

    contract::ChargerState empty = charging;
    empty.vin.reset();
    bench.mirror->update("7744", empty);
    bench.mirror->update("7744", contract::PolicyChargerState{.target_a = 6});
    bench.mirror->update(contract::BusState{.drawn_a = 1});
    bench.loop.run_for(2s);
    CHECK_FALSE(bench.broker.retained("TWC/7744/currentVehicleVIN"));
    CHECK(bench.broker.retained("TWC/7744/lastVehicleVIN") == "5YJ3E1EA7JF000001");
    CHECK(bench.broker.retained("TWC/7744/ampsDesired") == "6.0");

    bench.mirror->forget("7744");
    bench.loop.run_for(2s);
    for (const auto& [topic, payload] : bench.broker.all_retained()) {
        CHECK_FALSE(topic.starts_with("TWC/7744/"));
    }
    CHECK(bench.broker.retained("TWC/all/totalAmpsInUse") == "1.0");
}

TEST_CASE("TWCManager: nothing is heard or said unless it is switched on, and the prefix is free") {
    Bench off({.enabled = false});
    off.mirror->update("7744", charging);
    off.mirror->forget("7744");
    off.send("TWC/control/chargeNow", "16,60");
    CHECK(off.obeyed.empty());
    CHECK(off.published.empty());

    Bench garage({.enabled = true, .prefix = "garage/TWC"});
    garage.mirror->update(contract::PolicyState{.mode = "off"});
    garage.send("garage/TWC/control/chargeNow", "16,60");
    garage.send("TWC/control/chargeNow", "16,60");
    CHECK(garage.obeyed.size() == 1);
    CHECK(garage.broker.retained("garage/TWC/all/currentPolicy") == "Non Scheduled Charging");
}
